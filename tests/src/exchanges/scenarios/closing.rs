//! Who closes when: keep-alive, close, pipelining, and the options about them.

use super::{GET, OK, answered, asked};
use crate::exchanges::scenario::{Scenario, http};
use crate::exchanges::script::*;

pub fn scenarios() -> Vec<Scenario> {
    [persistence(), pipelines(), options()].concat()
}

fn persistence() -> Vec<Scenario> {
    vec![
        http("keep-alive", "two requests on one connection on both sides")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([pause(60), send("c", "GET /2 HTTP/1.1\r\nHost: www\r\n\r\n"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c"), quiet("o", 50)])
            .codes(["--", "--"]),
        http("client-close", "the client asks to close: so does the answer, the server's stays")
            .steps(asked("GET / HTTP/1.1\r\nHost: www\r\nConnection: close\r\n\r\n"))
            .steps([send("o", OK), rest("c"), pause(50)])
            .codes(["--"]),
        http("client-http10", "an HTTP/1.0 client is closed after its answer")
            .steps(asked("GET / HTTP/1.0\r\nHost: www\r\n\r\n"))
            .steps([send("o", OK), rest("c"), pause(50)])
            .codes(["--"]),
        http("client-http10-keep-alive", "an HTTP/1.0 client that offers to stay may stay")
            .steps(asked("GET / HTTP/1.0\r\nHost: www\r\nConnection: keep-alive\r\n\r\n"))
            .steps(answered(OK, 5))
            .steps([send("c", "GET /2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--", "--"]),
        http("server-close", "the server closes after its answer: the client stays")
            .steps(asked(GET))
            .steps([
                send("o", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"),
                head("c"),
                body("c", 5),
                rest("o"),
                send("c", GET),
                accept("o2", "s1"),
                head("o2"),
                send("o2", OK),
                head("c"),
                body("c", 5),
                close("c"),
            ])
            .codes(["--", "--"]),
        http("server-close-chunked", "the same with a chunked answer")
            .steps(asked(GET))
            .steps([
                send(
                    "o",
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                    5\r\nhello\r\n0\r\n\r\n",
                ),
                head("c"),
                chunked("c"),
                close("o"),
                quiet("c", 50),
                close("c"),
            ])
            .codes(["--"]),
        http("client-half-close", "the client ends its stream behind the request")
            .steps(asked(GET))
            .steps([shut_write("c"), pause(50), send("o", OK), rest("c")])
            .codes(["--"]),
        http("client-half-close-at-once", "request and end arrive together")
            .steps([open("c"), send("c", GET), shut_write("c")])
            .steps([accept("o", "s1"), head("o"), pause(50), send("o", OK), rest("c")])
            .codes(["--"]),
        http("server-idle-close", "the server closes a connection that waits for a request")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([close("o"), pause(50), quiet("c", 50), send("c", GET)])
            .steps([accept("o2", "s1"), head("o2"), send("o2", OK), head("c"), body("c", 5)])
            .steps([close("c")])
            .codes(["--", "--"]),
    ]
}

fn pipelines() -> Vec<Scenario> {
    let three = "GET /1 HTTP/1.1\r\nHost: www\r\n\r\nGET /2 HTTP/1.1\r\nHost: www\r\n\r\n\
        GET /3 HTTP/1.1\r\nHost: www\r\n\r\n";
    let each = |n: &str| {
        vec![
            head("o"),
            send("o", format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}")),
            head("c"),
            body("c", 1),
        ]
    };
    vec![
        http("pipelined", "three requests in one segment are asked and answered in order")
            .steps([open("c"), send("c", three), accept("o", "s1")])
            .steps([each("1"), each("2"), each("3")].concat())
            .steps([close("c")])
            .codes(["--", "--", "--"]),
        http("pipelined-post", "a request behind a body")
            .steps([
                open("c"),
                send(
                    "c",
                    format!("POST /1 HTTP/1.1\r\nHost: www\r\nContent-Length: 5\r\n\r\nhello{GET}"),
                ),
                accept("o", "s1"),
                head("o"),
                body("o", 5),
                quiet("o", 50),
            ])
            .steps(answered(OK, 5))
            .steps([head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--", "--"]),
        http("pipelined-close", "nothing behind a request that asks to close is answered")
            .steps([
                open("c"),
                send("c", format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n{GET}")),
                accept("o", "s1"),
                head("o"),
                send("o", OK),
                rest("c"),
                pause(50),
            ])
            .codes(["--"]),
        http("pipelined-server-close", "the server closes between two pipelined requests")
            .steps([open("c"), send("c", format!("{GET}{GET}")), accept("o", "s1"), head("o")])
            .steps([
                send("o", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"),
                close("o"),
                head("c"),
                body("c", 5),
                accept("o2", "s1"),
                head("o2"),
                send("o2", OK),
                head("c"),
                body("c", 5),
                close("c"),
            ])
            .codes(["--", "--"]),
    ]
}

fn options() -> Vec<Scenario> {
    // One exchange; then the server's connection must have ended, and the client's not.
    let server_side = |scenario: Scenario| {
        scenario
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([rest("o"), quiet("c", 50), send("c", GET), accept("o2", "s1"), head("o2")])
            .steps([send("o2", OK), head("c"), body("c", 5), rest("o2"), close("c")])
            .codes(["--", "--"])
    };
    // One exchange; then both must have ended.
    let both = |scenario: Scenario| {
        scenario.steps(asked(GET)).steps([send("o", OK), rest("c"), rest("o")]).codes(["--"])
    };
    vec![
        server_side(
            http("http-server-close", "the server's side closes, the client's stays")
                .defaults("option http-server-close"),
        ),
        server_side(
            http("http-server-close-backend", "the same, said in the backend")
                .backend("option http-server-close"),
        ),
        http("http-server-close-frontend", "the same, said in the frontend")
            .frontend("option http-server-close")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([rest("o"), quiet("c", 50), close("c")])
            .codes(["--"]),
        both(http("httpclose", "both sides close").defaults("option httpclose")),
        http("httpclose-frontend", "said in the frontend")
            .frontend("option httpclose")
            .steps(asked(GET))
            .steps([send("o", OK), rest("c"), pause(50)])
            .codes(["--"]),
        server_side(
            http("httpclose-backend", "said in the backend: only the server's side closes")
                .backend("option httpclose"),
        ),
        http("http-keep-alive-over", "the backend says keep-alive, the frontend server-close")
            .frontend("option http-server-close")
            .backend("option http-keep-alive")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([rest("o"), quiet("c", 50), close("c")])
            .codes(["--"]),
        http("httpclose-http10", "an HTTP/1.0 client that offers to stay, and httpclose")
            .defaults("option httpclose")
            .steps(asked("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
            .steps([send("o", OK), rest("c"), rest("o")])
            .codes(["--"]),
        server_side(
            http("http-pretend-keepalive", "server-close without telling the server")
                .defaults("option http-server-close\noption http-pretend-keepalive"),
        ),
        http("httpclose-response-to-close", "httpclose with an answer that ends with the stream")
            .defaults("option httpclose")
            .steps(asked(GET))
            .steps([send("o", "HTTP/1.1 200 OK\r\n\r\nhello"), close("o"), rest("c")])
            .codes(["--"]),
    ]
}
