//! Each timeout of HTTP mode. One is short, the others are seconds away.

use super::{GET, OK, answered, asked, part};
use crate::exchanges::scenario::{Scenario, http};
use crate::exchanges::script::*;

pub fn scenarios() -> Vec<Scenario> {
    [client_side(), server_side()].concat()
}

fn client_side() -> Vec<Scenario> {
    vec![
        http("timeout-request", "a head that never ends")
            .frontend("timeout http-request 300ms")
            .steps([open("c"), send("c", "GET / HTTP/1.1\r\nHo"), rest("c")])
            .codes(["cR"]),
        http("timeout-request-nothing", "a client that says nothing")
            .frontend("timeout http-request 300ms")
            .steps([open("c"), rest("c")])
            .codes(["cR"]),
        http("timeout-request-dontlognull", "the same with dontlognull")
            .defaults("option dontlognull")
            .frontend("timeout http-request 300ms")
            .steps([open("c"), rest("c")])
            .codes([]),
        http("timeout-request-probes", "the same with http-ignore-probes")
            .defaults("option http-ignore-probes")
            .frontend("timeout http-request 300ms")
            .steps([open("c"), rest("c")])
            .codes([]),
        http("timeout-request-drip", "a byte now and then does not help")
            .frontend("timeout http-request 300ms")
            .steps([open("c"), send("c", "GET / "), pause(200), send("c", "HTTP"), rest("c")])
            .codes(["cR"]),
        http("timeout-request-client", "without it, timeout client bounds the head")
            .frontend("timeout client 300ms")
            .steps([open("c"), send("c", "GET / HTTP/1.1\r\nHo"), rest("c")])
            .codes(["cR"]),
        http("timeout-request-errorfile", "a page of one's own for 408")
            .defaults("errorfile 408 {dir}/408.http")
            .file("408.http", "HTTP/1.1 408 Own\r\nContent-Length: 4\r\n\r\nown\n")
            .frontend("timeout http-request 300ms")
            .steps([open("c"), send("c", "GET"), rest("c")])
            .codes(["cR"]),
        http("timeout-keep-alive", "an idle client is closed without a word or a line")
            .frontend("timeout http-keep-alive 300ms")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([rest("c")])
            .codes(["--"]),
        http("timeout-keep-alive-part", "once a byte came, the head has timeout http-request")
            .frontend("timeout http-keep-alive 300ms\ntimeout http-request 500ms")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([pause(100), send("c", "GET"), rest("c")])
            .codes(["--", "cR"]),
        http("timeout-keep-alive-request", "without it, http-request bounds the idle time")
            .frontend("timeout http-request 300ms")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([rest("c")])
            .codes(["--"]),
        http("timeout-keep-alive-client", "without either, timeout client does")
            .frontend("timeout client 300ms")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([rest("c")])
            .codes(["--"]),
        http("timeout-client-body", "a body that stops: the client's timeout is not what ends it")
            .frontend("timeout client 300ms")
            .backend("timeout server 600ms")
            .steps(asked("POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\n"))
            .steps(part("c", "hello"))
            .steps([body("o", 5), rest("c"), rest("o")])
            .codes(["sH"]),
        http("timeout-client-read", "a client that does not read its answer")
            .frontend("timeout client 400ms")
            .steps([open_narrow("c"), send("c", GET), accept("o", "s1"), head("o")])
            .steps([
                send("o", "HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n"),
                flood("o", 30_000_000),
                logged(1),
                reset("c"),
            ])
            .codes(["cD"])
            .tolerate("log 1 bytes", "depends on how much the kernel holds")
            .tolerate("log 1 T", "depends on how fast the kernel fills"),
        http("timeout-client-waiting", "the client's timeout does not run while the server thinks")
            .frontend("timeout client 200ms")
            .steps(asked(GET))
            .steps([quiet("c", 400)])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("timeout-client-fin", "a half-closed client")
            .frontend("timeout client-fin 300ms")
            .steps(asked(GET))
            .steps([shut_write("c"), quiet("c", 500)])
            .steps([send("o", OK), rest("c")])
            .codes(["--"]),
    ]
}

fn server_side() -> Vec<Scenario> {
    vec![
        http("timeout-connect", "a server that does not answer SYNs")
            .defaults("retries 0")
            .backend("timeout connect 300ms")
            .servers("server s1 {blackhole.s1}")
            .steps([open("c"), send("c", GET), rest("c")])
            .codes(["sC"]),
        http("timeout-connect-retries", "each try has the whole time")
            .defaults("retries 1")
            .backend("timeout connect 300ms")
            .servers("server s1 {blackhole.s1}")
            .steps([open("c"), send("c", GET), rest("c")])
            .codes(["sC"]),
        http("timeout-connect-redispatch", "the last try finds another server")
            .defaults("retries 1\noption redispatch")
            .backend("timeout connect 300ms")
            .servers("server s1 {blackhole.s1}\nserver s2 {origin.s2}")
            .steps([open("c"), send("c", GET), accept("o", "s2"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("timeout-server", "a server that does not answer")
            .backend("timeout server 300ms")
            .steps(asked(GET))
            .steps([rest("c"), rest("o")])
            .codes(["sH"]),
        http("timeout-server-keep-alive", "a second request that is not answered")
            .backend("timeout server 300ms")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([send("c", GET), head("o"), rest("c"), rest("o")])
            .codes(["--", "sH"]),
        http("timeout-server-head", "an answer's head that never ends")
            .backend("timeout server 300ms")
            .steps(asked(GET))
            .steps([send("o", "HTTP/1.1 200 OK\r\nCon"), rest("c"), rest("o")])
            .codes(["sH"]),
        http("timeout-server-interim", "an interim answer and no other")
            .backend("timeout server 300ms")
            .steps(asked(GET))
            .steps([send("o", "HTTP/1.1 100 Continue\r\n\r\n"), rest("c"), rest("o")])
            .codes(["sH"]),
        http("timeout-server-body", "an answer's body that stops")
            .backend("timeout server 300ms")
            .steps(asked(GET))
            .steps([
                send("o", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
                rest("c"),
                rest("o"),
            ])
            .codes(["sD"]),
        http("timeout-server-chunk", "a chunk that stops")
            .backend("timeout server 300ms")
            .steps(asked(GET))
            .steps([
                send("o", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello"),
                rest("c"),
                rest("o"),
            ])
            .codes(["sD"])
            .allow("c 2", "how a sender cuts its chunks has no meaning (RFC 9112 section 7.1)"),
        http("timeout-server-errorfile", "a page of one's own for 504")
            .backend("timeout server 300ms")
            .defaults("errorfile 504 {dir}/504.http")
            .file("504.http", "HTTP/1.1 504 Own\r\nContent-Length: 4\r\n\r\nown\n")
            .steps(asked(GET))
            .steps([rest("c"), rest("o")])
            .codes(["sH"]),
        http("timeout-server-post", "a server that does not answer a whole body")
            .backend("timeout server 300ms")
            .steps(asked("POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 5\r\n\r\nhello"))
            .steps([body("o", 5), rest("c"), rest("o")])
            .codes(["sH"]),
        http("timeout-server-data-flows", "time runs anew with each piece")
            .backend("timeout server 300ms")
            .steps(asked(GET))
            .steps([pause(200), send("o", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")])
            .steps([pause(200), send("o", "l"), pause(200), send("o", "lo")])
            .steps([head("c"), body("c", 5), close("c")])
            .codes(["--"]),
    ]
}
