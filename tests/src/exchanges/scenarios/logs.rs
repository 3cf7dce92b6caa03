//! Log formats, targets and options.

use super::{GET, OK, answered, asked, exchanged};
use crate::exchanges::scenario::{Scenario, http, tcp};
use crate::exchanges::script::*;

/// Proxies without a log format.
const PLAIN: &str = "defaults
    mode http
    log global
    timeout connect 2s
    timeout client 3s
    timeout server 3s
listen plain
    bind {bind.plain}
    server s1 {origin.s1}";
const PLAIN_TCP: &str = "defaults
    mode tcp
    log global
    timeout connect 2s
    timeout client 3s
    timeout server 3s
listen plain
    bind {bind.plain}
    server s1 {origin.s1}";

pub fn scenarios() -> Vec<Scenario> {
    let long = "x".repeat(1100);
    vec![
        http("log-default", "no format: one line when a request begins")
            .more(PLAIN)
            .steps([open_to("c", "plain"), send("c", GET), accept("o", "s1"), head("o")])
            .steps(answered(OK, 5))
            .steps([send("c", GET), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["", ""]),
        http("log-default-nothing", "none for a client that says nothing")
            .more(PLAIN)
            .steps([open_to("c", "plain"), close("c"), pause(50)])
            .codes([]),
        tcp("log-default-tcp", "in TCP mode it comes with the connection")
            .more(PLAIN_TCP)
            .steps([open_to("c", "plain"), accept("o", "s1"), close("c"), rest("o"), close("o")])
            .codes([""]),
        http("log-tcplog", "tcplog in HTTP mode")
            .frontend("option tcplog")
            .steps(exchanged(GET, OK, 5))
            .codes(["--"]),
        http("log-unix", "to a unix datagram socket, another facility")
            .frontend("no log\nlog {log.unix} local3")
            .steps(exchanged(GET, OK, 5))
            .codes(["--"]),
        http("log-two", "two targets")
            .frontend("log {log.unix} daemon")
            .steps(exchanged(GET, OK, 5))
            .steps([logged(2)])
            .codes(["--", "--"]),
        http("log-level", "a target that is for errors only hears nothing")
            .frontend("no log\nlog {log} local0 err")
            .steps(exchanged(GET, OK, 5))
            .steps([pause(50)])
            .codes([]),
        http("log-min-level", "a target with a least level")
            .frontend("no log\nlog {log} local0 debug notice")
            .steps(exchanged(GET, OK, 5))
            .codes(["--"]),
        http("log-separate-errors", "errors have a level of their own")
            .defaults("option log-separate-errors")
            .servers("")
            .steps([open("c"), send("c", GET), head("c"), body("c", 107), close("c")])
            .codes(["SC"]),
        http("log-dontlog-normal", "what ended well is left out")
            .defaults("option dontlog-normal")
            .steps(exchanged(GET, OK, 5))
            .steps([pause(50)])
            .codes([]),
        http("log-none", "no log at all")
            .frontend("no log")
            .steps(exchanged(GET, OK, 5))
            .steps([pause(50)])
            .codes([]),
        http("log-asap", "logasap: the line comes with the answer's head")
            .defaults("option logasap")
            .steps(asked(GET))
            .steps([send("o", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), logged(1)])
            .steps([send("o", "world"), head("c"), body("c", 10), close("c")])
            .codes(["--"]),
        tcp("log-asap-tcp", "logasap in TCP mode: the line comes with the connection")
            .defaults("option logasap")
            .steps([open("c"), accept("o", "s1"), logged(1), close("c"), rest("o"), close("o")])
            .codes(["--"]),
        http("log-escapes", "bytes of a target that are escaped")
            .steps(exchanged("GET /a\"b{c}|\\d?e^` HTTP/1.1\r\nHost: www\r\n\r\n", OK, 5))
            .codes(["--"]),
        http("log-long", "a target longer than a log line's part")
            .frontend("no log\nlog {log} len 4096 local0")
            .steps(exchanged(&format!("GET /{long} HTTP/1.1\r\nHost: www\r\n\r\n"), OK, 5))
            .codes(["--"]),
        http("log-cut", "a line longer than the target's length")
            .steps(exchanged(&format!("GET /{long} HTTP/1.1\r\nHost: www\r\n\r\n"), OK, 5))
            .codes(["--"])
            .tolerate("log 1 captures", "where it is cut depends on the digits of pid and port"),
        http("log-idle", "idle time between requests is in no timer")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([pause(200), send("c", GET), head("o"), pause(100)])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--", "--"]),
        http("log-slow-head", "the time of the head is TR")
            .steps([open("c"), pause(100), send("c", "GET / HT"), pause(200)])
            .steps([send("c", "TP/1.1\r\nHost: www\r\n\r\n"), accept("o", "s1"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("log-slow-data", "the time of the body is in Ta alone")
            .steps(asked(GET))
            .steps([pause(100), send("o", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")])
            .steps([pause(300), send("o", "llo"), head("c"), body("c", 5), close("c")])
            .codes(["--"]),
    ]
}
