//! Clients and servers that leave in each phase of an HTTP exchange.

use super::{GET, OK, answered, asked, part};
use crate::exchanges::scenario::{Scenario, http};
use crate::exchanges::script::*;

pub fn scenarios() -> Vec<Scenario> {
    [clients(), servers()].concat()
}

fn clients() -> Vec<Scenario> {
    vec![
        http("client-nothing", "a client that connects and leaves")
            .steps([open("c"), close("c")])
            .codes(["CR"]),
        http("client-nothing-dontlognull", "the same is not logged with dontlognull")
            .defaults("option dontlognull")
            .steps([open("c"), close("c"), pause(100)])
            .codes([]),
        http("client-nothing-probes", "the same with http-ignore-probes")
            .defaults("option http-ignore-probes")
            .steps([open("c"), close("c"), pause(100)])
            .codes([]),
        http("client-part", "a client that leaves within its head")
            .steps([open("c"), send("c", "GET / HT"), pause(30), shut_write("c"), rest("c")])
            .codes(["CR"]),
        http("client-part-dontlognull", "the same is logged in spite of dontlognull")
            .defaults("option dontlognull")
            .steps([open("c"), send("c", "GET / HT"), pause(30), shut_write("c"), rest("c")])
            .codes(["CR"]),
        http("client-part-reset", "a client that resets within its head")
            .steps([open("c"), send("c", "GET / HTTP/1.1\r\nHo"), pause(30), reset("c")])
            .codes(["CR"]),
        http("client-second-part", "a client that leaves within its second head")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([send("c", "GET /2"), pause(30), shut_write("c"), rest("c")])
            .codes(["--", "CR"]),
        http("client-connect", "a client's reset is not seen while the server's connection hangs")
            .defaults("retries 0")
            .backend("timeout connect 300ms")
            .servers("server s1 {blackhole.s1}")
            .steps([open("c"), send("c", GET), pause(100), reset("c")])
            .codes(["sC"]),
        http("client-connect-abortonclose", "with abortonclose it is")
            .defaults("option abortonclose")
            .servers("server s1 {blackhole.s1}")
            .steps([open("c"), send("c", GET), pause(150), reset("c")])
            .codes(["CC"]),
        http("client-connect-abortonclose-fin", "and so is the end of its stream")
            .defaults("option abortonclose")
            .servers("server s1 {blackhole.s1}")
            .steps([open("c"), send("c", GET), pause(150), shut_write("c"), rest("c")])
            .codes(["CC"]),
        http("client-connect-body", "nor is the end of a stream within a body")
            .defaults("retries 0")
            .backend("timeout connect 400ms")
            .servers("server s1 {blackhole.s1}")
            .steps([
                open("c"),
                send("c", "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\nhello"),
                pause(100),
                shut_write("c"),
                rest("c"),
            ])
            .codes(["CC"]),
        http("client-waiting", "a reset while the answer is awaited is not seen")
            .backend("timeout server 300ms")
            .steps(asked(GET))
            .steps([pause(50), reset("c"), rest("o")])
            .codes(["sH"]),
        http("client-waiting-answer", "it is when the answer comes")
            .steps(asked(GET))
            .steps([pause(50), reset("c"), pause(50), send("o", OK), quiet("o", 50)])
            .codes(["CD"]),
        http("client-waiting-abortonclose", "with abortonclose it is at once")
            .defaults("option abortonclose")
            .steps(asked(GET))
            .steps([pause(50), reset("c"), rest("o")])
            .codes(["CD"]),
        http("client-waiting-abortonclose-fin", "and so is the end of its stream")
            .defaults("option abortonclose")
            .steps(asked(GET))
            .steps([pause(50), shut_write("c"), rest("o"), rest("c")])
            .codes(["CH"]),
        http("client-body", "a client that leaves within its body")
            .steps(asked("POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\n"))
            .steps(part("c", "hello"))
            .steps([body("o", 5), shut_write("c"), rest("o"), rest("c")])
            .codes(["CD"]),
        http("client-body-reset", "a client that resets within its body")
            .steps(asked("POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\n"))
            .steps(part("c", "hello"))
            .steps([body("o", 5), reset("c"), rest("o")])
            .codes(["CD"]),
        http("client-body-chunked", "a client that leaves within a chunk")
            .steps(asked("POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n"))
            .steps(part("c", "a\r\nhello"))
            .steps([shut_write("c"), rest("o"), rest("c")])
            .codes(["CD"])
            .allow("o 3", CUT_CHUNK),
        http("client-data", "a client that resets within the answer, which goes on")
            .steps(asked(GET))
            .steps(part("o", PART))
            .steps([head("c"), body("c", 5), reset("c"), pause(20)])
            .steps(part("o", "w"))
            .steps([send("o", "o"), rest("o")])
            .codes(["CD"]),
        http("client-data-silent", "a client that resets within the answer, which stops: not seen")
            .backend("timeout server 400ms")
            .steps(asked(GET))
            .steps(part("o", PART))
            .steps([head("c"), body("c", 5), reset("c"), rest("o")])
            .codes(["sD"]),
        http("client-data-close", "a client that closes within the answer, which goes on")
            .steps(asked(GET))
            .steps(part("o", PART))
            .steps([head("c"), body("c", 5), close("c"), pause(20)])
            .steps(part("o", "w"))
            .steps(part("o", "o"))
            .steps([send("o", "r"), rest("o")])
            .codes(["CD"])
            .tolerate("log 1 T", "MSG_MORE delays the write that meets the reset")
            .tolerate("log 1 bytes", "MSG_MORE delays the write that meets the reset"),
        http("client-data-half-close", "a client that ends its stream within the answer")
            .steps(asked(GET))
            .steps(part("o", PART))
            .steps([head("c"), body("c", 5), shut_write("c"), pause(50)])
            .steps([send("o", "world"), rest("c")])
            .codes(["--"]),
        http("client-data-abortonclose", "with abortonclose that ends the answer")
            .defaults("option abortonclose")
            .steps(asked(GET))
            .steps(part("o", PART))
            .steps([head("c"), body("c", 5), shut_write("c"), rest("c"), rest("o")])
            .codes(["CD"]),
        http("client-data-to-close", "a client that resets an answer that ends with the stream")
            .steps(asked(GET))
            .steps(part("o", "HTTP/1.1 200 OK\r\n\r\nhello"))
            .steps([head("c"), body("c", 5), reset("c"), pause(20)])
            .steps(part("o", "w"))
            .steps([send("o", "o"), rest("o")])
            .codes(["CD"]),
    ]
}

/// haproxy sends the part of a chunk that it has as a chunk.
const CUT_CHUNK: &str = "how a sender cuts its chunks has no meaning (RFC 9112 section 7.1)";

/// The first half of an answer.
const PART: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";

fn servers() -> Vec<Scenario> {
    vec![
        http("server-nothing", "a server that closes without an answer")
            .steps(asked(GET))
            .steps([close("o"), rest("c")])
            .codes(["SH"]),
        http("server-nothing-reset", "a server that resets without an answer")
            .steps(asked(GET))
            .steps([reset("o"), rest("c")])
            .codes(["SH"]),
        http("server-nothing-at-once", "a server that accepts and closes")
            .steps([open("c"), send("c", GET), accept("o", "s1"), close("o"), rest("c")])
            .codes(["SH"]),
        http("server-part", "a server that closes within its head")
            .steps(asked(GET))
            .steps([send("o", "HTTP/1.1 200 OK\r\nConte"), pause(30), close("o"), rest("c")])
            .codes(["SH"]),
        http("server-interim", "a server that closes behind an interim answer")
            .steps(asked(GET))
            .steps([send("o", "HTTP/1.1 100 Continue\r\n\r\n"), head("c"), close("o"), rest("c")])
            .codes(["SH"]),
        http("server-body", "a server that closes within its body")
            .steps(asked(GET))
            .steps(part("o", PART))
            .steps([head("c"), body("c", 5), close("o"), rest("c")])
            .codes(["SD"]),
        http("server-body-at-once", "head, part of the body and the end arrive together")
            .steps(asked(GET))
            .steps([
                send("o", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
                close("o"),
                rest("c"),
            ])
            .codes(["SD"]),
        http("server-body-reset", "a server that resets within its body")
            .steps(asked(GET))
            .steps(part("o", PART))
            .steps([head("c"), body("c", 5), reset("o"), rest("c")])
            .codes(["SD"]),
        http("server-chunk", "a server that closes within a chunk")
            .steps(asked(GET))
            .steps(part("o", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello"))
            .steps([close("o"), rest("c")])
            .codes(["SD"])
            .allow("c 2", CUT_CHUNK),
        http("server-chunk-last", "a server that closes before the last chunk")
            .steps(asked(GET))
            .steps(part("o", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
            .steps([head("c"), body("c", 10), close("o"), rest("c")])
            .codes(["SD"]),
        http("server-leaves-body", "a server that resets while the client sends its body")
            .steps(asked("POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\n"))
            .steps(part("c", "hello"))
            .steps([body("o", 5), reset("o"), rest("c")])
            .codes(["SD"])
            .allow("", "the client is told by a 502 that the server failed"),
        http("server-to-close-reset", "a reset in place of the end of an answer without length")
            .steps(asked(GET))
            .steps(part("o", "HTTP/1.1 200 OK\r\n\r\nhello"))
            .steps([head("c"), body("c", 5), reset("o"), rest("c")])
            .codes(["SD"])
            .allow("c 3", "a cut body whose end is the connection's never looks whole"),
        http("server-retry-on", "a server that closes without an answer is tried again")
            .backend("retry-on empty-response")
            .steps(asked(GET))
            .steps([close("o"), accept("o2", "s1"), head("o2"), send("o2", OK)])
            .steps([head("c"), body("c", 5), close("c")])
            .codes(["--"]),
    ]
}
