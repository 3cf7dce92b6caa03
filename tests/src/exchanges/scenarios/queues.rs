//! Limits: server maxconn and its queue, frontend and process maxconn.

use super::{GET, OK, answered};
use crate::exchanges::scenario::{Scenario, http, tcp};
use crate::exchanges::script::*;

const ONE: &str = "server s1 {origin.s1} maxconn 1";

/// `c1` has the only place at the server.
fn first() -> Vec<Step> {
    vec![
        open("c1"),
        send("c1", "GET /1 HTTP/1.1\r\nHost: www\r\nConnection: close\r\n\r\n"),
        accept("o", "s1"),
        head("o"),
    ]
}

/// `c1` is answered, and leaves its place.
fn first_ends() -> Vec<Step> {
    vec![send("o", OK), rest("c1")]
}

fn asks(name: Name, path: &str) -> Vec<Step> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: www\r\nConnection: close\r\n\r\n");
    vec![open(name), send(name, request), pause(60)]
}

pub fn scenarios() -> Vec<Scenario> {
    vec![
        http("queue", "the second waits until the first has ended")
            .servers(ONE)
            .steps(first())
            .steps(asks("c2", "/2"))
            .steps([pause(100)])
            .steps(first_ends())
            .steps([accept("o2", "s1"), head("o2"), send("o2", OK), rest("c2")])
            .codes(["--", "--"]),
        http("queue-order", "three wait, and are served in their order")
            .servers(ONE)
            .steps(first())
            .steps(asks("c2", "/2"))
            .steps(asks("c3", "/3"))
            .steps(asks("c4", "/4"))
            .steps(first_ends())
            .steps([accept("o2", "s1"), head("o2"), send("o2", OK), rest("c2")])
            .steps([accept("o3", "s1"), head("o3"), send("o3", OK), rest("c3")])
            .steps([accept("o4", "s1"), head("o4"), send("o4", OK), rest("c4")])
            .codes(["--", "--", "--", "--"]),
        http("queue-reuse", "the next in the queue takes the connection over")
            .backend("http-reuse always")
            .servers(ONE)
            .steps(first())
            .steps(asks("c2", "/2"))
            .steps(first_ends())
            .steps([head("o"), send("o", OK), rest("c2")])
            .codes(["--", "--"]),
        http("queue-close", "the same with a connection for each request")
            .defaults("option http-server-close")
            .servers(ONE)
            .steps(first())
            .steps(asks("c2", "/2"))
            .steps(first_ends())
            .steps([accept("o2", "s1"), head("o2"), send("o2", OK), rest("c2")])
            .codes(["--", "--"]),
        http("queue-two-servers", "both servers are full: the backend's queue")
            .servers("server s1 {origin.s1} maxconn 1\nserver s2 {origin.s2} maxconn 1")
            .defaults("option http-server-close")
            .steps(first())
            .steps([open("c2"), send("c2", GET), accept("o2", "s2"), head("o2")])
            .steps(asks("c3", "/3"))
            .steps(asks("c4", "/4"))
            .steps([send("o2", OK), head("c2"), body("c2", 5), rest("o2")])
            .steps([accept("o3", "s2"), head("o3"), send("o3", OK), rest("c3")])
            .steps([accept("o4", "s2"), head("o4"), send("o4", OK), rest("c4"), rest("o4")])
            .steps(first_ends())
            .steps([close("c2")])
            .codes(["--", "--", "--", "--"]),
        http("queue-timeout", "nobody leaves in time")
            .backend("timeout queue 300ms")
            .servers(ONE)
            .steps(first())
            .steps(asks("c2", "/2"))
            .steps([rest("c2")])
            .steps(first_ends())
            .codes(["sQ", "--"]),
        http("queue-timeout-connect", "without timeout queue, timeout connect applies")
            .backend("timeout connect 300ms")
            .servers(ONE)
            .steps(first())
            .steps(asks("c2", "/2"))
            .steps([rest("c2")])
            .steps(first_ends())
            .codes(["sQ", "--"]),
        http("queue-abort", "a client that leaves the queue, with abortonclose")
            .defaults("option abortonclose")
            .servers(ONE)
            .steps(first())
            .steps(asks("c2", "/2"))
            .steps([shut_write("c2"), rest("c2")])
            .steps(first_ends())
            .codes(["CQ", "--"]),
        http("queue-abort-reset", "a client that resets in the queue, with abortonclose")
            .defaults("option abortonclose")
            .servers(ONE)
            .steps(first())
            .steps(asks("c2", "/2"))
            .steps([reset("c2"), logged(1)])
            .steps(first_ends())
            .codes(["CQ", "--"]),
        http("queue-abort-unseen", "without abortonclose it keeps its place")
            .servers(ONE)
            .steps(first())
            .steps(asks("c2", "/2"))
            .steps([shut_write("c2"), pause(100)])
            .steps(first_ends())
            .steps([accept("o2", "s1"), head("o2"), send("o2", OK), rest("c2")])
            .codes(["--", "--"]),
        http("queue-maxqueue", "maxqueue bounds the server's own queue, not its backend's")
            .servers("server s1 {origin.s1} maxconn 1 maxqueue 1\nserver s2 {origin.s2} backup")
            .backend("timeout queue 600ms")
            .steps(first())
            .steps(asks("c2", "/2"))
            .steps(asks("c3", "/3"))
            .steps([rest("c3"), rest("c2")])
            .steps(first_ends())
            .codes(["sQ", "sQ", "--"]),
        http("queue-idle-client", "a client that is idle holds no place")
            .servers(ONE)
            .steps([open("c1"), send("c1", GET), accept("o", "s1"), head("o"), send("o", OK)])
            .steps([head("c1"), body("c1", 5)])
            .steps([open("c2"), send("c2", GET)])
            .steps([accept("o2", "s1"), head("o2"), send("o2", OK), head("c2"), body("c2", 5)])
            .steps([close("c1"), close("c2")])
            .codes(["--", "--"]),
        tcp("tcp-queue", "a TCP connection waits for its place")
            .servers(ONE)
            .steps([open("c1"), accept("o", "s1"), send("c1", "hi"), body("o", 2)])
            .steps([open("c2"), send("c2", "two"), pause(150)])
            .steps([close("c1"), rest("o"), close("o")])
            .steps([accept("o2", "s1"), body("o2", 3), close("c2"), rest("o2"), close("o2")])
            .codes(["--", "--"]),
        tcp("tcp-queue-timeout", "a TCP connection waits in vain")
            .backend("timeout queue 300ms")
            .servers(ONE)
            .steps([open("c1"), accept("o", "s1"), send("c1", "hi"), body("o", 2)])
            .steps([open("c2"), rest("c2")])
            .steps([close("c1"), rest("o"), close("o")])
            .codes(["sQ", "--"]),
        tcp("tcp-queue-abort", "a TCP client that leaves the queue")
            .servers(ONE)
            .steps([open("c1"), accept("o", "s1"), send("c1", "hi"), body("o", 2)])
            .steps([open("c2"), pause(100), close("c2"), logged(1)])
            .steps([close("c1"), rest("o"), close("o")])
            .codes(["CQ", "--"]),
        tcp("tcp-queue-abort-data", "a TCP client that sent something and leaves the queue")
            .servers(ONE)
            .steps([open("c1"), accept("o", "s1"), send("c1", "hi"), body("o", 2)])
            .steps([open("c2"), send("c2", "two"), pause(100), reset("c2"), logged(1)])
            .steps([close("c1"), rest("o"), close("o")])
            .codes(["CD", "--"]),
        http("frontend-maxconn", "beyond the frontend's maxconn clients wait in the kernel")
            .frontend("maxconn 1")
            .steps([open("c1"), send("c1", GET), accept("o", "s1"), head("o")])
            .steps([open("c2"), send("c2", GET), pause(150)])
            .steps([send("o", OK), head("c1"), body("c1", 5), quiet("c2", 50), close("c1")])
            .steps([accept("o2", "s1"), head("o2"), send("o2", OK), head("c2"), body("c2", 5)])
            .steps([close("c2")])
            .codes(["--", "--"]),
        http("global-maxconn", "beyond the process's maxconn too")
            .global("maxconn 1")
            .defaults("option httpclose")
            .steps([open("c1"), send("c1", GET), accept("o", "s1"), head("o")])
            .steps([open("c2"), send("c2", GET), unclaimed("s1", 150)])
            .steps([send("o", OK), rest("c1")])
            .steps([accept("o2", "s1"), head("o2"), send("o2", OK), rest("c2")])
            .codes(["--", "--"]),
        http("counters", "three at a time: what each line counts")
            .servers("server s1 {origin.s1}\nserver s2 {origin.s2}")
            .steps([open("c1"), send("c1", GET), accept("o1", "s1"), head("o1")])
            .steps([open("c2"), send("c2", GET), accept("o2", "s2"), head("o2")])
            .steps([open("c3"), send("c3", GET), accept("o", "s1"), head("o")])
            .steps([send("o1", OK), head("c1"), body("c1", 5), logged(1)])
            .steps([send("o2", OK), head("c2"), body("c2", 5), logged(2), close("c2"), pause(30)])
            .steps([open("c")])
            .steps([close("c"), logged(3)])
            .steps([send("o", OK), head("c3"), body("c3", 5), close("c3"), close("c1")])
            .codes(["--", "--", "CR", "--"]),
        http("counters-two-frontends", "process and frontend differ")
            .more("listen other\n    bind {bind.other}\n    mode tcp\n    option tcplog\n    server s2 {origin.s2}")
            .steps([open_to("t", "other"), accept("ot", "s2")])
            .steps([open("c"), send("c", GET), accept("o", "s1"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c"), close("t"), rest("ot"), close("ot")])
            .codes(["--", "--"]),
    ]
}
