//! TCP mode: both directions, each end's ways to leave, each timeout.

use super::BOTH_WAYS;
use crate::exchanges::scenario::{Scenario, tcp};
use crate::exchanges::script::*;

/// `c` is connected to the server, and each has heard the other.
fn talking() -> Vec<Step> {
    vec![
        open("c"),
        accept("o", "s1"),
        send("c", "hello"),
        body("o", 5),
        send("o", "welcome"),
        body("c", 7),
    ]
}

pub fn scenarios() -> Vec<Scenario> {
    [endings(), timeouts(), connecting(), bulk()].concat()
}

fn endings() -> Vec<Scenario> {
    vec![
        tcp("tcp", "the client closes, then the server")
            .steps(talking())
            .steps([close("c"), rest("o"), close("o")])
            .codes(["--"]),
        tcp("tcp-server-closes", "the server closes, then the client")
            .steps(talking())
            .steps([close("o"), rest("c"), close("c")])
            .codes(["--"]),
        tcp("tcp-half-close", "the client ends its stream and still hears the answer")
            .steps(talking())
            .steps([shut_write("c"), rest("o"), pause(50), send("o", "late"), body("c", 4)])
            .steps([close("o"), rest("c")])
            .codes(["--"]),
        tcp("tcp-half-close-server", "the server ends its stream and still hears the client")
            .steps(talking())
            .steps([shut_write("o"), rest("c"), pause(50), send("c", "late"), body("o", 4)])
            .steps([close("c"), rest("o")])
            .codes(["--"]),
        tcp("tcp-at-once", "data and the end arrive together")
            .steps([open("c"), send("c", "hello"), shut_write("c"), accept("o", "s1")])
            .steps([rest("o"), send("o", "bye"), close("o"), rest("c")])
            .codes(["--"]),
        tcp("tcp-server-speaks", "the server speaks first and closes")
            .steps([open("c"), accept("o", "s1"), send("o", "banner"), close("o"), rest("c")])
            .steps([close("c")])
            .codes(["--"]),
        tcp("tcp-silent", "neither says a word; the client closes")
            .steps([open("c"), accept("o", "s1"), close("c"), rest("o"), close("o")])
            .codes(["--"]),
        tcp("tcp-silent-server", "neither says a word; the server closes")
            .steps([open("c"), accept("o", "s1"), close("o"), rest("c"), close("c")])
            .codes(["--"]),
        tcp("tcp-client-resets", "the client resets")
            .steps(talking())
            .steps([reset("c"), rest("o")])
            .codes(["CD"]),
        tcp("tcp-server-resets", "the server resets")
            .steps(talking())
            .steps([reset("o"), rest("c")])
            .codes(["SD"]),
        tcp("tcp-server-resets-at-once", "the server resets a silent connection")
            .steps([open("c"), accept("o", "s1"), pause(30), reset("o"), rest("c")])
            .codes(["SD"]),
        tcp("tcp-client-resets-half", "the client resets after the server's end")
            .steps(talking())
            .steps([shut_write("o"), rest("c"), reset("c"), rest("o")])
            .codes(["CD"]),
        tcp("tcp-nolinger", "with nolinger both ends are reset")
            .defaults("option nolinger")
            .steps(talking())
            .steps([close("c"), rest("o"), close("o")])
            .codes(["--"]),
        tcp("tcp-nolinger-server-closes", "the server closes first")
            .defaults("option nolinger")
            .steps(talking())
            .steps([close("o"), rest("c"), close("c")])
            .codes(["--"]),
        tcp("tcp-dontlognull", "an exchange without a byte is not logged with dontlognull")
            .defaults("option dontlognull")
            .steps([open("c"), accept("o", "s1"), close("c"), rest("o"), close("o"), pause(50)])
            .codes([]),
        tcp("tcp-dontlognull-data", "one with a byte is")
            .defaults("option dontlognull")
            .steps([open("c"), accept("o", "s1"), send("c", "x"), body("o", 1), close("c")])
            .steps([rest("o"), close("o")])
            .codes(["--"]),
        tcp("tcp-dontlognull-server", "one with bytes of the server alone is not")
            .defaults("option dontlognull")
            .steps([open("c"), accept("o", "s1"), send("o", "x"), body("c", 1), close("c")])
            .steps([rest("o"), close("o"), pause(50)])
            .codes([]),
        tcp("tcp-dontlog-normal", "dontlog-normal leaves out what ended well")
            .defaults("option dontlog-normal")
            .steps(talking())
            .steps([close("c"), rest("o"), close("o"), pause(50)])
            .codes([]),
    ]
}

fn timeouts() -> Vec<Scenario> {
    vec![
        tcp("tcp-timeout-client", "the client is silent: the server hears its end, and closes")
            .frontend("timeout client 300ms")
            .steps(talking())
            .steps([rest("o"), close("o"), rest("c")])
            .codes(["cD"]),
        tcp(
            "tcp-timeout-client-half",
            "the same; the server does not close, until its own timeout",
        )
        .frontend("timeout client 300ms")
        .backend("timeout server 700ms")
        .steps(talking())
        .steps([rest("o"), quiet("c", 200), rest("c")])
        .codes(["cD"]),
        tcp("tcp-timeout-server", "the server is silent: the client hears its end, and closes")
            .backend("timeout server 300ms")
            .steps(talking())
            .steps([rest("c"), close("c"), rest("o")])
            .codes(["sD"]),
        tcp(
            "tcp-timeout-server-half",
            "the same; the client does not close, until its own timeout",
        )
        .frontend("timeout client 700ms")
        .backend("timeout server 300ms")
        .steps(talking())
        .steps([rest("c"), quiet("o", 200), rest("o")])
        .codes(["sD"]),
        tcp("tcp-timeout-both", "both timeouts are the same")
            .frontend("timeout client 300ms")
            .backend("timeout server 300ms")
            .steps(talking())
            .steps([rest("c"), rest("o")])
            .codes(["cD"]),
        tcp("tcp-timeout-client-sends", "data from the server counts for the client too")
            .frontend("timeout client 300ms")
            .steps(talking())
            .steps([pause(200), send("o", "x"), pause(200), send("o", "y"), rest("o"), close("o")])
            .steps([rest("c")])
            .codes(["cD"]),
        tcp("tcp-timeout-silent", "neither ever said a word")
            .frontend("timeout client 300ms")
            .steps([open("c"), accept("o", "s1"), rest("o"), close("o"), rest("c")])
            .codes(["cD"]),
        tcp("tcp-timeout-tunnel", "timeout tunnel replaces both")
            .frontend("timeout client 200ms")
            .backend("timeout server 200ms\ntimeout tunnel 500ms")
            .steps(talking())
            .steps([rest("c"), rest("o")])
            .codes(["cD"]),
        tcp("tcp-timeout-tunnel-silent", "it does so before either has spoken")
            .frontend("timeout client 200ms")
            .backend("timeout server 200ms\ntimeout tunnel 500ms")
            .steps([open("c"), accept("o", "s1"), rest("c"), rest("o")])
            .codes(["cD"])
            .allow("o 2", BOTH_WAYS),
        tcp("tcp-timeout-client-fin", "the server has ended, the client does not")
            .frontend("timeout client-fin 300ms")
            .steps(talking())
            .steps([shut_write("o"), rest("c"), rest("o")])
            .codes(["cD"]),
        tcp("tcp-timeout-server-fin", "the client has ended, the server does not")
            .backend("timeout server-fin 300ms")
            .steps(talking())
            .steps([shut_write("c"), rest("o"), rest("c")])
            .codes(["sD"]),
        tcp("tcp-timeout-fin-tunnel", "timeout tunnel and client-fin: the shorter for half-closed")
            .frontend("timeout client-fin 300ms")
            .backend("timeout tunnel 900ms\ntimeout server-fin 300ms")
            .steps(talking())
            .steps([shut_write("c"), rest("o"), rest("c")])
            .codes(["sD"]),
        tcp("tcp-timeout-half-close", "without server-fin, timeout server applies")
            .backend("timeout server 300ms")
            .steps(talking())
            .steps([shut_write("c"), rest("o"), rest("c")])
            .codes(["sD"]),
        tcp("tcp-timeout-read", "a client that does not read")
            .frontend("timeout client 400ms")
            .steps([open_narrow("c"), accept("o", "s1"), flood("o", 30_000_000), logged(1)])
            .steps([reset("c")])
            .codes(["cD"])
            .tolerate("log 1 bytes", "depends on how much the kernel holds")
            .tolerate("log 1 T", "depends on how fast the kernel fills"),
    ]
}

fn connecting() -> Vec<Scenario> {
    vec![
        tcp("tcp-refused", "the server refuses")
            .backend("timeout connect 150ms")
            .servers("server s1 {refused.s1}")
            .steps([open("c"), rest("c")])
            .codes(["SC"]),
        tcp("tcp-refused-retries-0", "the server refuses, no more tries")
            .defaults("retries 0")
            .servers("server s1 {refused.s1}")
            .steps([open("c"), rest("c")])
            .codes(["SC"]),
        tcp("tcp-redispatch", "the last try goes to another server")
            .defaults("retries 1\noption redispatch")
            .backend("timeout connect 150ms")
            .servers("server s1 {refused.s1}\nserver s2 {origin.s2}")
            .steps([open("c"), send("c", "hello"), accept("o", "s2"), body("o", 5), close("c")])
            .steps([rest("o"), close("o")])
            .codes(["--"]),
        tcp("tcp-timeout-connect", "the server does not answer SYNs")
            .defaults("retries 1")
            .backend("timeout connect 300ms")
            .servers("server s1 {blackhole.s1}")
            .steps([open("c"), rest("c")])
            .codes(["sC"]),
        tcp("tcp-client-leaves", "the client closes while the connection hangs")
            .servers("server s1 {blackhole.s1}")
            .steps([open("c"), pause(150), close("c")])
            .codes(["CC"]),
        tcp("tcp-client-resets-connect", "the client resets while the connection hangs")
            .servers("server s1 {blackhole.s1}")
            .steps([open("c"), send("c", "hello"), pause(150), reset("c")])
            .codes(["CD"]),
        tcp("tcp-client-half-closes", "a client with data ends its stream while it hangs")
            .defaults("retries 0")
            .backend("timeout connect 400ms")
            .servers("server s1 {blackhole.s1}")
            .steps([open("c"), send("c", "hello"), pause(100), shut_write("c"), rest("c")])
            .codes(["sC"]),
        tcp("tcp-client-timeout-connect", "timeout client is over while the connection hangs")
            .defaults("retries 0")
            .frontend("timeout client 200ms")
            .backend("timeout connect 500ms")
            .servers("server s1 {blackhole.s1}")
            .steps([open("c"), rest("c")])
            .codes(["cC"]),
        tcp("tcp-no-server", "no server")
            .servers("server s1 {origin.s1} disabled")
            .steps([open("c"), rest("c")])
            .codes(["SC"]),
        tcp("tcp-backup", "a backup")
            .servers("server s1 {origin.s1} disabled\nserver s2 {origin.s2} backup")
            .steps([open("c"), accept("o", "s2"), send("o", "hi"), close("o"), rest("c")])
            .steps([close("c")])
            .codes(["--"]),
    ]
}

fn bulk() -> Vec<Scenario> {
    const LEN: usize = 1_000_000;
    let one = |name, why, lines| {
        tcp(name, why)
            .defaults(lines)
            .steps([open("c"), accept("o", "s1"), flood("c", LEN), body("o", LEN)])
            .steps([flood("o", LEN), body("c", LEN), close("c"), rest("o"), close("o")])
            .codes(["--"])
    };
    vec![
        one("tcp-bulk", "a megabyte each way", ""),
        one("tcp-splice-auto", "the same with splice-auto", "option splice-auto"),
        one("tcp-splice-request", "the same with splice-request", "option splice-request"),
        one("tcp-splice-response", "the same with splice-response", "option splice-response"),
        tcp("tcp-bulk-both", "a megabyte each way at the same time")
            .steps([open("c"), accept("o", "s1"), flood("c", LEN), flood("o", LEN)])
            .steps([body("o", LEN), body("c", LEN), close("c"), rest("o"), close("o")])
            .codes(["--"]),
        tcp("tcp-bulk-end", "half a megabyte and the end, read late")
            .steps([open("c"), accept("o", "s1"), send("o", pattern(LEN / 2)), close("o")])
            .steps([pause(100), rest("c"), close("c")])
            .codes(["--"]),
    ]
}
