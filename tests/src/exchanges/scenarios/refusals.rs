//! Answers that the proxy makes itself: bad requests, bad answers, rules, no server.

use super::{CUT_SHORT, GET, OK, answered, asked, part};
use crate::exchanges::scenario::{Scenario, http};
use crate::exchanges::script::*;

pub fn scenarios() -> Vec<Scenario> {
    [bad_requests(), bad_responses(), rules(), tarpit(), no_server(), refused()].concat()
}

fn bad_requests() -> Vec<Scenario> {
    // The request is refused and the connection closed.
    let bad = |name, why, request: &str| {
        http(name, why).steps([open("c"), send("c", request), rest("c")]).codes(["PR"])
    };
    let long = "x".repeat(20_000);
    vec![
        bad("bad-request", "no version in a request line", "GET /a\r\nHost: www\r\n\r\n"),
        bad("bad-version", "a version that is none", "GET / HTTP/x.y\r\nHost: www\r\n\r\n"),
        bad("bad-garbage", "bytes that are no request", "\x16\x03\x01\x02hello\r\n\r\n"),
        bad("bad-method", "a byte in a method that no token has", "GE(T / HTTP/1.1\r\n\r\n"),
        bad("bad-header-space", "a space before the colon", "GET / HTTP/1.1\r\nHost : www\r\n\r\n"),
        bad("bad-header-name", "a header without a name", "GET / HTTP/1.1\r\n: www\r\n\r\n"),
        bad("bad-header-colon", "a line without a colon", "GET / HTTP/1.1\r\nHost\r\n\r\n"),
        bad("bad-header-cr", "a lone CR in a value", "GET / HTTP/1.1\r\nHost: w\rw\r\n\r\n"),
        bad("bad-first-fold", "a fold in the first header", "GET / HTTP/1.1\r\n Host: w\r\n\r\n"),
        bad("bad-target-fragment", "a fragment in a target", "GET /a#b HTTP/1.1\r\n\r\n"),
        bad("bad-target-bytes", "a byte above 127 in a target", "GET /é HTTP/1.1\r\n\r\n"),
        bad(
            "bad-host-twice",
            "two Hosts that differ",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        ),
        bad(
            "bad-host-target",
            "a Host that is not the target's",
            "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
        ),
        bad(
            "bad-length-differing",
            "two lengths that differ",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        ),
        bad(
            "bad-length",
            "a length that is no number",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5x\r\n\r\nhello",
        ),
        bad(
            "bad-length-sign",
            "a length with a sign",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        ),
        bad(
            "bad-length-empty",
            "an empty length",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        ),
        bad(
            "bad-coding-last",
            "chunked is not the last coding",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        ),
        bad(
            "bad-coding-unknown",
            "a coding that is not chunked",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        ),
        bad(
            "bad-coding-twice",
            "chunked twice",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
            Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        bad("bad-target-long", "a target longer than a buffer", &format!("GET /{long}")),
        bad(
            "bad-header-long",
            "a header longer than a buffer",
            &format!("GET / HTTP/1.1\r\nX-A: {long}"),
        ),
        bad(
            "bad-header-count",
            "more headers than tune.http.maxhdr",
            &format!("GET / HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(102)),
        ),
        http("bad-second", "a bad request behind a good one")
            .steps(asked(&format!("{GET}bad\r\n\r\n")))
            .steps([send("o", OK), rest("c")])
            .codes(["--", "PR"]),
        http("bad-chunk", "a bad chunk size in a request's body")
            .steps(asked("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
            .steps([send("c", "5\r\nhello\r\nxyz\r\n"), rest("c"), rest("o")])
            .codes(["PH"])
            .allow("o 3", CUT_SHORT),
        http("bad-chunk-answered", "a bad chunk size after an early answer")
            .steps(asked("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
            .steps(answered(OK, 5))
            .steps([send("c", "5\r\nhello\r\nxyz\r\n"), rest("c"), rest("o")])
            .codes(["PD"])
            .allow("o 3", CUT_SHORT),
        http("bad-chunk-answering", "a bad chunk size while an answer is coming")
            .steps(asked("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
            .steps(part("o", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"))
            .steps([send("c", "5\r\nhello\r\nxyz\r\n"), rest("c"), rest("o")])
            .codes(["PD"])
            .allow("o 3", CUT_SHORT),
        http("bad-chunk-at-once", "a bad chunk size that comes with the head")
            .steps([
                open("c"),
                send(
                    "c",
                    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello",
                ),
                rest("c"),
            ])
            .codes(["PR"]),
        http("bad-request-errorfile", "a page of one's own for bad requests")
            .defaults("errorfile 400 {dir}/400.http")
            .file("400.http", PAGE_400)
            .steps([open("c"), send("c", "bad\r\n\r\n"), rest("c")])
            .codes(["PR"]),
        http("bad-request-nothing", "an empty page for bad requests: nothing is sent")
            .defaults("errorfile 400 /dev/null")
            .steps([open("c"), send("c", "bad\r\n\r\n"), rest("c")])
            .codes(["PR"]),
    ]
}

const PAGE_400: &str =
    "HTTP/1.0 400 Own\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nX-Own: 1\r\n\r\nown\n";
const PAGE_403: &str =
    "HTTP/1.1 403 Own\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nX-Own: 1\r\n\r\nown\n";

fn bad_responses() -> Vec<Scenario> {
    let bad = |name, why, response: &str| {
        http(name, why)
            .steps(asked(GET))
            .steps([send("o", response), rest("c"), rest("o")])
            .codes(["PH"])
    };
    let long = "x".repeat(20_000);
    vec![
        bad("response-garbage", "bytes that are no answer", "hello, this is no answer\r\n\r\n"),
        bad("response-version", "a version that is none", "HTTP/x 200 OK\r\n\r\n"),
        bad(
            "response-header",
            "a line without a colon in an answer",
            "HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 5\r\n\r\nhello",
        ),
        bad(
            "response-header-space",
            "a space before the colon in an answer",
            "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 5\r\n\r\nhello",
        ),
        bad(
            "response-length-differing",
            "two lengths that differ in an answer",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        ),
        bad(
            "response-header-long",
            "an answer's header longer than a buffer",
            &format!("HTTP/1.1 200 OK\r\nX-A: {long}"),
        ),
        http("response-chunk", "a bad chunk size in an answer that has begun")
            .steps(asked(GET))
            .steps(part("o", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
            .steps([head("c"), send("o", "xyz\r\n"), rest("c"), rest("o")])
            .codes(["SD"])
            .allow("o 3", CUT_SHORT),
        http("response-chunk-at-once", "a bad chunk size that comes with the head")
            .steps(asked(GET))
            .steps([
                send("o", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
                rest("c"),
                rest("o"),
            ])
            .codes(["PH"]),
        http("response-unasked", "a server that speaks before it is asked")
            .steps([open("c"), send("c", "GET / HTT"), unclaimed("s1", 50)])
            .steps([send("c", "P/1.1\r\nHost: www\r\n\r\n"), accept("o", "s1"), send("o", OK)])
            .steps([head("c"), body("c", 5), close("c")])
            .codes(["--"]),
        http("response-errorfile", "a page of one's own for bad answers")
            .defaults("errorfile 502 {dir}/502.http")
            .file("502.http", "HTTP/1.1 502 Own\r\nContent-Length: 4\r\n\r\nown\n")
            .steps(asked(GET))
            .steps([send("o", "garbage\r\n\r\n"), rest("c"), rest("o")])
            .codes(["PH"]),
    ]
}

fn rules() -> Vec<Scenario> {
    let deny = |name, why, lines| {
        http(name, why).frontend(lines).steps([open("c"), send("c", GET), head("c")]).codes(["PR"])
    };
    vec![
        deny("deny", "403, and the client may go on", "http-request deny")
            .steps([body("c", 93), send("c", GET), head("c"), body("c", 93), close("c")])
            .codes(["PR"]),
        deny("deny-status", "another status", "http-request deny deny_status 429")
            .steps([body("c", 117), close("c")]),
        deny("deny-status-200", "deny with 200", "http-request deny deny_status 200")
            .steps([body("c", 58), close("c")]),
        http("deny-backend", "denied by the backend's rule")
            .backend("http-request deny")
            .steps([open("c"), send("c", GET), head("c"), body("c", 93), close("c")])
            .codes(["PR"]),
        http("deny-close", "denied, and the client asked to close")
            .frontend("http-request deny")
            .steps([
                open("c"),
                send("c", "GET / HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n"),
                rest("c"),
            ])
            .codes(["PR"]),
        http("deny-http10", "an HTTP/1.0 client is denied")
            .frontend("http-request deny")
            .steps([open("c"), send("c", "GET / HTTP/1.0\r\n\r\n"), rest("c")])
            .codes(["PR"]),
        http("deny-head", "HEAD is denied without a body")
            .frontend("http-request deny")
            .steps([open("c"), send("c", "HEAD / HTTP/1.1\r\nHost: w\r\n\r\n"), head("c")])
            .steps([quiet("c", 50), close("c")])
            .codes(["PR"]),
        http("deny-post", "a POST is denied before its body: the connection closes")
            .frontend("http-request deny")
            .steps([
                open("c"),
                send("c", "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\nhello"),
                rest("c"),
            ])
            .codes(["PR"]),
        http("deny-post-whole", "a POST whose body is there is denied")
            .frontend("http-request deny")
            .steps([
                open("c"),
                send("c", "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 5\r\n\r\nhello"),
                head("c"),
                body("c", 93),
                pause(50),
            ])
            .codes(["PR"]),
        http("deny-errorfile", "a page of one's own for 403")
            .defaults("errorfile 403 {dir}/403.http")
            .frontend("http-request deny")
            .file("403.http", PAGE_403)
            .steps([open("c"), send("c", GET), head("c"), body("c", 4), close("c")])
            .codes(["PR"]),
        http("deny-pipelined", "two denied requests in one segment")
            .frontend("http-request deny")
            .steps([open("c"), send("c", format!("{GET}{GET}"))])
            .steps([head("c"), body("c", 93), head("c"), body("c", 93), close("c")])
            .codes(["PR", "PR"]),
    ]
}

/// A `listen`, since `abortonclose` is a backend's option.
const TARPIT: &str = "listen li\n    bind {bind.li}\n    option abortonclose\n    \
    http-request tarpit\n    server s1 {origin.s1}";

fn tarpit() -> Vec<Scenario> {
    let held = |name, why| http(name, why).defaults("timeout tarpit 150ms").codes(["PT"]);
    let asks = |request: &str| [open("c"), send("c", request)];
    let post = "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\nhello";
    vec![
        held("tarpit", "held for a while, then refused")
            .frontend("http-request tarpit")
            .steps(asks(GET))
            .steps([head("c"), body("c", 97), close("c")]),
        held("tarpit-again", "and the client may go on")
            .frontend("http-request tarpit")
            .steps(asks(GET))
            .steps([head("c"), body("c", 97), send("c", GET), head("c"), body("c", 97)])
            .steps([close("c")])
            .codes(["PT"]),
        held("tarpit-status", "with another status")
            .frontend("http-request tarpit deny_status 429")
            .steps(asks(GET))
            .steps([head("c"), body("c", 117), close("c")]),
        held("tarpit-backend", "by the backend's rule, for as long as the backend says")
            .backend("timeout tarpit 50ms\nhttp-request tarpit")
            .steps(asks(GET))
            .steps([head("c"), body("c", 97), close("c")]),
        http("tarpit-no-time", "a frontend without a time for it does not hold")
            .defaults("timeout connect 150ms")
            .frontend("http-request tarpit")
            .steps(asks(GET))
            .steps([head("c"), body("c", 97), close("c")])
            .codes(["PT"]),
        http("tarpit-connect", "a backend without one holds for that of connecting")
            .defaults("timeout connect 150ms")
            .backend("http-request tarpit")
            .steps(asks(GET))
            .steps([head("c"), body("c", 97), close("c")])
            .codes(["PT"]),
        held("tarpit-post", "a body that is not whole")
            .frontend("http-request tarpit")
            .steps(asks(post))
            .steps([rest("c")]),
        held("tarpit-left", "the client ends: nobody looks")
            .frontend("http-request tarpit")
            .steps(asks(GET))
            .steps([close("c"), pause(300)]),
        held("tarpit-reset", "nor if it resets")
            .frontend("http-request tarpit")
            .steps(asks(GET))
            .steps([reset("c"), pause(300)]),
        held("tarpit-post-left", "the client ends in its body")
            .frontend("http-request tarpit")
            .steps(asks(post))
            .steps([close("c"), pause(300)]),
        held("tarpit-abortonclose-backend", "nor for abortonclose of the backend")
            .backend("option abortonclose\nhttp-request tarpit")
            .steps(asks(GET))
            .steps([pause(30), close("c"), pause(300)]),
        held("tarpit-abortonclose", "with abortonclose of a listen its end is noticed")
            .more(TARPIT)
            .steps([open_to("c", "li"), send("c", GET), pause(30), close("c"), pause(300)]),
        held("tarpit-abortonclose-fin", "it may have come with the request").more(TARPIT).steps([
            open_to("c", "li"),
            send("c", GET),
            close("c"),
            pause(300),
        ]),
        held("tarpit-abortonclose-half", "only the end of its stream")
            .more(TARPIT)
            .steps([open_to("c", "li"), send("c", GET), pause(30), shut_write("c"), rest("c")])
            .allow("c 1 header", "who ended its stream is told that the connection ends"),
        held("tarpit-abortonclose-reset", "and so is a reset").more(TARPIT).steps([
            open_to("c", "li"),
            send("c", GET),
            pause(30),
            reset("c"),
            pause(300),
        ]),
    ]
}

fn no_server() -> Vec<Scenario> {
    let none = |scenario: Scenario| {
        scenario
            .steps([open("c"), send("c", GET), head("c"), body("c", 107), close("c")])
            .codes(["SC"])
    };
    vec![
        none(http("no-server", "a backend without servers").servers("")),
        none(
            http("no-server-disabled", "all servers are disabled")
                .servers("server s1 {origin.s1} disabled\nserver s2 {origin.s2} disabled"),
        ),
        none(
            http("no-server-weight", "all servers have weight 0")
                .servers("server s1 {origin.s1} weight 0"),
        ),
        http("no-server-errorfile", "a page of one's own for 503")
            .defaults("errorfile 503 {dir}/503.http")
            .file(
                "503.http",
                "HTTP/1.0 503 Own\r\nConnection: close\r\nContent-Type: text/html\r\n\r\nown\n",
            )
            .servers("")
            .steps([open("c"), send("c", GET), rest("c")])
            .codes(["SC"]),
        http("no-server-post", "no server, and the body is still coming")
            .servers("")
            .steps([
                open("c"),
                send("c", "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\nhello"),
                rest("c"),
            ])
            .codes(["SC"]),
        http("no-backend", "a frontend without a backend")
            .more("frontend fe2\n    bind {bind.fe2}\n    mode http")
            .steps([open_to("c", "fe2"), send("c", GET), head("c"), body("c", 107), close("c")])
            .codes(["SC"]),
    ]
}

fn refused() -> Vec<Scenario> {
    let refused = |scenario: Scenario| {
        scenario
            .backend("timeout connect 150ms")
            .steps([open("c"), send("c", GET), rest("c")])
            .codes(["SC"])
    };
    vec![
        refused(
            http("refused", "the server refuses: three more tries, then 503")
                .servers("server s1 {refused.s1}"),
        ),
        refused(
            http("refused-retries-0", "no more tries")
                .defaults("retries 0")
                .servers("server s1 {refused.s1}"),
        ),
        refused(
            http("refused-retries-1", "one more try")
                .defaults("retries 1")
                .servers("server s1 {refused.s1}"),
        ),
        refused(
            http("refused-both", "two servers refuse, no redispatch")
                .defaults("retries 1")
                .servers("server s1 {refused.s1}\nserver s2 {refused.s2}"),
        ),
        refused(
            http("refused-both-redispatch", "two servers refuse, with redispatch")
                .defaults("retries 2\noption redispatch")
                .servers("server s1 {refused.s1}\nserver s2 {refused.s2}"),
        ),
        http("redispatch", "roundrobin cares for no server: another is tried at once")
            .defaults("retries 1\noption redispatch")
            .backend("timeout connect 150ms")
            .servers("server s1 {refused.s1}\nserver s2 {origin.s2}")
            .steps([open("c"), send("c", GET), accept("o", "s2"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("redispatch-3", "the same with three more tries")
            .defaults("option redispatch")
            .backend("timeout connect 150ms")
            .servers("server s1 {refused.s1}\nserver s2 {origin.s2}")
            .steps([open("c"), send("c", GET), accept("o", "s2"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http(
            "redispatch-source",
            "source has a server for each client: there is no other to go to",
        )
        .defaults("retries 2\noption redispatch")
        .backend("timeout connect 150ms\nbalance source")
        .servers("server s1 {refused.s1} weight 255\nserver s2 {origin.s2} weight 1")
        .steps([open("c"), send("c", GET), rest("c")])
        .codes(["SC"]),
        http("redispatch-source-1", "the same with an interval of 1: no delay between the tries")
            .defaults("retries 2\noption redispatch 1")
            .backend("timeout connect 150ms\nbalance source")
            .servers("server s1 {refused.s1} weight 255\nserver s2 {origin.s2} weight 1")
            .steps([open("c"), send("c", GET), rest("c")])
            .codes(["SC"]),
        http("redispatch-first", "the algorithm first cares for none either")
            .defaults("retries 1\noption redispatch")
            .backend("timeout connect 150ms\nbalance first")
            .servers("server s1 {refused.s1}\nserver s2 {origin.s2}")
            .steps([open("c"), send("c", GET), accept("o", "s2"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("redispatch-alone", "redispatch with one server only")
            .defaults("retries 1\noption redispatch")
            .backend("timeout connect 150ms")
            .servers("server s1 {refused.s1}")
            .steps([open("c"), send("c", GET), rest("c")])
            .codes(["SC"]),
        http("refused-post", "the body is kept for the next try")
            .defaults("retries 1\noption redispatch")
            .backend("timeout connect 150ms")
            .servers("server s1 {refused.s1}\nserver s2 {origin.s2}")
            .steps([
                open("c"),
                send("c", "POST / HTTP/1.1\r\nHost: www\r\nContent-Length: 5\r\n\r\nhello"),
                accept("o", "s2"),
                head("o"),
                body("o", 5),
            ])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("no-port", "no local port is left: every try fails at once")
            .servers("server s1 {origin.s1} source {source.s1}")
            .steps([open("c"), send("c", GET), accept("o", "s1"), head("o")])
            .steps([open("d"), send("d", GET), head("d"), body("d", 107), close("d")])
            // The line of the first one counts the second one until its end was seen.
            .steps([pause(100)])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["", "", "", "", "SC", "--"]),
        http("backup", "a backup is used when no other server can be")
            .servers("server s1 {origin.s1} disabled\nserver s2 {origin.s2} backup")
            .steps([open("c"), send("c", GET), accept("o", "s2"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("backup-not-for-refused", "a backup does not help against a refusal")
            .defaults("retries 1\noption redispatch")
            .backend("timeout connect 150ms")
            .servers("server s1 {refused.s1}\nserver s2 {origin.s2} backup")
            .steps([open("c"), send("c", GET), rest("c")])
            .codes(["SC"]),
    ]
}
