//! Bodies: how their length is said on either side, and what becomes of it on the other.

use super::{GET, OK, answered, asked, exchanged, part};
use crate::exchanges::scenario::{Scenario, http};
use crate::exchanges::script::*;

const NO_TRAILERS: &str =
    "trailers are not passed on yet (RFC 9110 section 6.5.1 permits dropping them)";

/// RFC 9112 section 6.1 and RFC 9110 section 15.2.
const HTTP10: &str = "an HTTP/1.0 client knows neither chunks nor interim answers";

pub fn scenarios() -> Vec<Scenario> {
    [responses(), requests(), without_body(), interim(), large()].concat()
}

fn responses() -> Vec<Scenario> {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n";
    const TRAILERS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
        5\r\nhello\r\n0\r\nX-Sum: 12\r\nX-More: a\r\n\r\n";
    vec![
        http("get", "an answer with a length; the server's connection stays")
            .steps(exchanged(GET, OK, 5))
            .steps([quiet("o", 50)])
            .codes(["--"]),
        http("response-empty", "an answer with length 0")
            .steps(exchanged(GET, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0))
            .codes(["--"]),
        http("response-chunked", "a chunked answer; extensions are dropped")
            .steps(asked(GET))
            .steps([send("o", CHUNKED), head("c"), chunked("c"), close("c")])
            .codes(["--"]),
        http("response-chunked-pieces", "chunks that arrive apart")
            .steps(asked(GET))
            .steps(part("o", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
            .steps([head("c")])
            .steps(part("o", "5\r\nhello\r\n"))
            .steps([body("c", 10)])
            .steps(part("o", "6\r\n wo"))
            .steps([send("o", "rld\r\n0\r\n\r\n"), chunked("c"), close("c")])
            .codes(["--"]),
        http("response-trailers", "a chunked answer with trailers")
            .steps(asked(GET))
            .steps([send("o", TRAILERS), head("c"), chunked("c"), close("c")])
            .codes(["--"])
            .allow("c 2", NO_TRAILERS)
            .allow("log 1 bytes", NO_TRAILERS),
        http("response-chunked-http10", "a chunked answer to an HTTP/1.0 client")
            .steps(asked("GET / HTTP/1.0\r\n\r\n"))
            .steps([send("o", CHUNKED), rest("c")])
            .codes(["--"])
            .allow("c", HTTP10),
        http("response-to-close", "an answer that ends with the server's connection")
            .steps(asked(GET))
            .steps([
                send("o", "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello"),
                head("c"),
                body("c", 5),
                close("o"),
                rest("c"),
            ])
            .codes(["--"]),
        http("response-to-close-http10", "the same to an HTTP/1.0 client")
            .steps(asked("GET / HTTP/1.0\r\nHost: www\r\n\r\n"))
            .steps([send("o", "HTTP/1.0 200 OK\r\n\r\nhello"), close("o"), rest("c")])
            .codes(["--"]),
        http("response-to-close-empty", "a head without a length, then the end")
            .steps(asked(GET))
            .steps([send("o", "HTTP/1.1 200 OK\r\n\r\n"), close("o"), rest("c")])
            .codes(["--"]),
        http("response-http10-length", "an HTTP/1.0 answer with a length, kept open by the server")
            .steps(asked(GET))
            .steps([
                send("o", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
                head("c"),
                body("c", 5),
                rest("o"),
                quiet("c", 50),
                close("c"),
            ])
            .codes(["--"]),
        http("response-http10-keep-alive", "an HTTP/1.0 answer that offers to stay open")
            .steps(asked(GET))
            .steps([
                send(
                    "o",
                    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
                ),
                head("c"),
                body("c", 5),
                quiet("o", 50),
                quiet("c", 0),
                close("c"),
            ])
            .codes(["--"]),
        http("response-surplus", "bytes behind an answer's length: the connection is not reused")
            .steps(asked(GET))
            .steps([send("o", format!("{OK}surplus")), head("c"), body("c", 5)])
            .steps([send("c", GET), accept("o2", "s1"), head("o2"), send("o2", OK)])
            .steps([head("c"), body("c", 5), rest("o"), close("c")])
            .codes(["--", "--"]),
    ]
}

fn requests() -> Vec<Scenario> {
    let chunked_request = "POST /p HTTP/1.1\r\nHost: www\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        http("post", "a body with a length")
            .steps(asked("POST /p HTTP/1.1\r\nHost: www\r\nContent-Length: 5\r\n\r\nhello"))
            .steps([body("o", 5)])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("post-empty", "a body of length 0")
            .steps(exchanged("POST /p HTTP/1.1\r\nHost: www\r\nContent-Length: 0\r\n\r\n", OK, 5))
            .codes(["--"]),
        http("post-without-length", "a POST that says no length has no body")
            .steps(exchanged("POST /p HTTP/1.1\r\nHost: www\r\n\r\n", OK, 5))
            .codes(["--"]),
        http("post-http10", "a body with a length in HTTP/1.0")
            .steps(asked("POST /p HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"))
            .steps([body("o", 5), send("o", OK), rest("c")])
            .codes(["--"]),
        http("get-with-body", "a GET may have a body")
            .steps(asked("GET /p HTTP/1.1\r\nHost: www\r\nContent-Length: 5\r\n\r\nhello"))
            .steps([body("o", 5)])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("post-chunked", "a chunked body with an extension")
            .steps(asked(chunked_request))
            .steps([send("c", "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n"), chunked("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("post-trailers", "a chunked body with trailers")
            .steps(asked(chunked_request))
            .steps([send("c", "5\r\nhello\r\n0\r\nX-Sum: 12\r\n\r\n"), chunked("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"])
            .allow("o 3", NO_TRAILERS),
        http("post-apart", "a body that comes after the head reaches the server as it comes")
            .steps(asked("POST /p HTTP/1.1\r\nHost: www\r\nContent-Length: 10\r\n\r\n"))
            .steps(part("c", "hello"))
            .steps([body("o", 5), send("c", "world"), body("o", 5)])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("post-length-and-chunked", "both lengths in a request: chunked wins, then it closes")
            .steps(asked(
                "POST /p HTTP/1.1\r\nHost: www\r\nContent-Length: 5\r\n\
                Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            ))
            .steps([chunked("o"), send("o", OK), rest("c")])
            .codes(["--"])
            .allow("", "doubtful framing is refused (RFC 9112 section 6.3)"),
        http("response-length-and-chunked", "both lengths in an answer")
            .steps(asked(GET))
            .steps([
                send(
                    "o",
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
                    5\r\nhello\r\n0\r\n\r\n",
                ),
                head("c"),
                chunked("c"),
                rest("o"),
                close("c"),
            ])
            .codes(["--"]),
        http("post-early-answer", "the server answers while the body is still coming")
            .steps(asked("POST /p HTTP/1.1\r\nHost: www\r\nContent-Length: 10\r\n\r\nhello"))
            .steps([body("o", 5)])
            .steps(answered(OK, 5))
            .steps([pause(50), send("c", "world"), body("o", 5), quiet("c", 50), close("c")])
            .codes(["--"]),
        http(
            "post-early-answer-close",
            "the server refuses the body and closes: the client may go on",
        )
        .frontend("timeout client 400ms")
        .steps(asked("POST /p HTTP/1.1\r\nHost: www\r\nContent-Length: 10\r\n\r\nhello"))
        .steps([
            body("o", 5),
            send(
                "o",
                "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            ),
            close("o"),
            rest("c"),
        ])
        .codes(["cD"]),
    ]
}

fn without_body() -> Vec<Scenario> {
    let head = "HEAD / HTTP/1.1\r\nHost: www\r\n\r\n";
    let get = |name, why, response: &'static str| {
        http(name, why)
            .steps(asked(GET))
            .steps(answered(response, 0))
            .steps([quiet("c", 50), close("c")])
            .codes(["--"])
    };
    vec![
        http("head", "the answer to HEAD has the length of GET's and no body")
            .steps(asked(head))
            .steps(answered("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 0))
            .steps([quiet("c", 50), close("c")])
            .codes(["--"]),
        http("head-chunked", "the answer to HEAD names chunked")
            .steps(asked(head))
            .steps(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0))
            .steps([quiet("c", 50), close("c")])
            .codes(["--"]),
        http("head-without-length", "the answer to HEAD says no length")
            .steps(asked(head))
            .steps(answered("HTTP/1.1 200 OK\r\n\r\n", 0))
            .steps([quiet("c", 50), close("c")])
            .codes(["--"]),
        get("status-204", "204 has no body", "HTTP/1.1 204 No Content\r\n\r\n"),
        get(
            "status-204-length",
            "204 with a length still has no body",
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        ),
        get("status-304", "304 has no body", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n"),
        get(
            "status-304-length",
            "304 keeps the length of the 200 it stands for",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        ),
        get(
            "status-304-chunked",
            "304 that names chunked",
            "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
    ]
}

fn interim() -> Vec<Scenario> {
    let expecting =
        "POST /p HTTP/1.1\r\nHost: www\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    vec![
        http("expect-continue", "100 passes to the client, which then sends its body")
            .steps(asked(expecting))
            .steps([
                send("o", "HTTP/1.1 100 Continue\r\n\r\n"),
                head("c"),
                send("c", "hello"),
                body("o", 5),
            ])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("expect-refused", "a final answer in place of 100")
            .frontend("timeout client 400ms")
            .steps(asked(expecting))
            .steps([
                send("o", "HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
                close("o"),
                rest("c"),
            ])
            .codes(["cD"]),
        http("expect-not-awaited", "the client sends its body without waiting")
            .steps(asked(expecting))
            .steps([send("c", "hello"), body("o", 5)])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("early-hints", "two interim answers before the final one")
            .steps(asked(GET))
            .steps([
                send("o", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"),
                head("c"),
                send("o", "HTTP/1.1 102 Processing\r\n\r\n"),
                head("c"),
            ])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("interim-with-final", "an interim and the final answer in one segment")
            .steps(asked(GET))
            .steps([
                send("o", format!("HTTP/1.1 100 Continue\r\n\r\n{OK}")),
                head("c"),
                head("c"),
                body("c", 5),
                close("c"),
            ])
            .codes(["--"]),
        http("interim-http10", "an interim answer to an HTTP/1.0 client")
            .steps(asked("GET / HTTP/1.0\r\n\r\n"))
            .steps([send("o", format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}")), rest("c")])
            .codes(["--"])
            .allow("c", HTTP10),
    ]
}

fn large() -> Vec<Scenario> {
    const LEN: usize = 1_000_000;
    vec![
        http("response-large", "a megabyte with a length")
            .steps(asked(GET))
            .steps([
                send("o", format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n")),
                flood("o", LEN),
                head("c"),
                body("c", LEN),
                close("c"),
            ])
            .codes(["--"]),
        http("response-large-to-close", "a megabyte to the end")
            .steps(asked("GET / HTTP/1.0\r\n\r\n"))
            .steps([
                send("o", "HTTP/1.0 200 OK\r\n\r\n"),
                send("o", pattern(LEN / 4)),
                close("o"),
                rest("c"),
            ])
            .codes(["--"]),
        http("post-large", "a megabyte up, and an answer")
            .steps(asked(&format!(
                "POST /p HTTP/1.1\r\nHost: www\r\nContent-Length: {LEN}\r\n\r\n"
            )))
            .steps([flood("c", LEN), body("o", LEN)])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
    ]
}
