//! Server connections that stay: who may use them, and what if they die.

use super::{GET, OK, answered, asked};
use crate::exchanges::scenario::{Scenario, http};
use crate::exchanges::script::*;

/// `c1` asks, is answered on `o`, and stays connected and idle.
fn idle_first() -> Vec<Step> {
    vec![
        open("c1"),
        send("c1", GET),
        accept("o", "s1"),
        head("o"),
        send("o", OK),
        head("c1"),
        body("c1", 5),
        pause(40),
    ]
}

/// `c2`'s first request arrives on `o`.
fn second_shares() -> Vec<Step> {
    vec![
        open("c2"),
        send("c2", GET),
        head("o"),
        send("o", OK),
        head("c2"),
        body("c2", 5),
        close("c1"),
        close("c2"),
    ]
}

/// `c2`'s first request has a connection of its own, `o2`.
fn second_opens() -> Vec<Step> {
    vec![
        open("c2"),
        send("c2", GET),
        accept("o2", "s1"),
        head("o2"),
        send("o2", OK),
        head("c2"),
        body("c2", 5),
        close("c1"),
        close("c2"),
    ]
}

pub fn scenarios() -> Vec<Scenario> {
    [sharing(), dying(), preferring()].concat()
}

fn sharing() -> Vec<Scenario> {
    // `c1` has made two requests on `o`, so that the connection is known to be persistent.
    let proven = [send("c1", GET), head("o"), send("o", OK), head("c1"), body("c1", 5), pause(40)];
    vec![
        http("reuse-default", "a first request does not go on another's connection")
            .steps(idle_first())
            .steps(second_opens())
            .codes(["--", "--"]),
        http("reuse-safe", "the same, said")
            .backend("http-reuse safe")
            .steps(idle_first())
            .steps(second_opens())
            .codes(["--", "--"]),
        http("reuse-safe-second", "with safe, a second request may")
            .backend("http-reuse safe")
            .steps(idle_first())
            .steps([open("c2"), send("c2", GET), accept("o2", "s1"), head("o2")])
            .steps([
                send(
                    "o2",
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
                ),
                head("c2"),
                body("c2", 5),
                close("o2"),
                pause(40),
                send("c2", GET),
                head("o"),
                send("o", OK),
                head("c2"),
                body("c2", 5),
                close("c1"),
                close("c2"),
            ])
            .codes(["--", "--", "--"]),
        http("reuse-safe-left", "with safe, a connection whose client left is not for a first")
            .backend("http-reuse safe")
            .steps(idle_first())
            .steps([close("c1"), pause(40), open("c2"), send("c2", GET), accept("o2", "s1")])
            .steps([head("o2"), send("o2", OK), head("c2"), body("c2", 5), close("c2")])
            .codes(["--", "--"]),
        http("reuse-aggressive", "a first request may use a connection that has served two")
            .backend("http-reuse aggressive")
            .steps(idle_first())
            .steps(proven.clone())
            .steps(second_shares())
            .codes(["--", "--", "--"]),
        http("reuse-aggressive-unproven", "but not one that has served one")
            .backend("http-reuse aggressive")
            .steps(idle_first())
            .steps(second_opens())
            .codes(["--", "--"]),
        http("reuse-always", "a first request may use any")
            .backend("http-reuse always")
            .steps(idle_first())
            .steps(second_shares())
            .codes(["--", "--"]),
        http("reuse-never", "each client has its own")
            .backend("http-reuse never")
            .steps(idle_first())
            .steps(proven)
            .steps([close("c1"), pause(40), open("c2"), send("c2", GET), accept("o2", "s1")])
            .steps([head("o2"), send("o2", OK), head("c2"), body("c2", 5), close("c2")])
            .codes(["--", "--", "--"]),
        http("reuse-never-own", "with never, the connection ends with its client")
            .backend("http-reuse never")
            .steps(idle_first())
            .steps([close("c1"), rest("o")])
            .codes(["--"]),
        http("reuse-other-server", "the next request may go to another server")
            .servers("server s1 {origin.s1}\nserver s2 {origin.s2}")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([send("c", GET), accept("o2", "s2"), head("o2"), send("o2", OK)])
            .steps([head("c"), body("c", 5), send("c", GET), head("o"), send("o", OK)])
            .steps([head("c"), body("c", 5), close("c")])
            .codes(["--", "--", "--"]),
        http("reuse-http-server-close", "no connection stays with http-server-close")
            .backend("http-reuse always\noption http-server-close")
            .steps(idle_first())
            .steps([rest("o")])
            .steps(second_opens())
            .codes(["--", "--"]),
        http("reuse-pool-max-0", "pool-max-conn 0 keeps none for others")
            .backend("http-reuse always")
            .servers("server s1 {origin.s1} pool-max-conn 0")
            .steps(idle_first())
            .steps([close("c1"), rest("o")])
            .codes(["--"]),
    ]
}

/// Tidegate repeats what haproxy leaves to the client, or answers with 502.
const RETRIED: &str = "a request that is safe to repeat is tried again on a fresh connection";

fn dying() -> Vec<Scenario> {
    let second = |how: Step, why, name| {
        http(name, why).steps(asked(GET)).steps(answered(OK, 5)).steps([
            send("c", GET),
            head("o"),
            how,
        ])
    };
    vec![
        second(
            close("o"),
            "a reused connection closes under a request: the client is closed without a word or a \
            line, to try again",
            "reuse-dies",
        )
        .steps([rest("c")])
        .codes(["--"])
        .allow("", RETRIED),
        second(reset("o"), "a reused connection is reset under a request", "reuse-dies-reset")
            .steps([rest("c")])
            .codes(["--"])
            .allow("", RETRIED),
        second(close("o"), "with retry-on it is tried again", "reuse-dies-retry-on")
            .backend("retry-on empty-response conn-failure")
            .steps([accept("o2", "s1"), head("o2"), send("o2", OK), head("c"), body("c", 5)])
            .steps([close("c")])
            .codes(["--", "--"]),
        http("reuse-dies-post", "a POST on a reused connection that closes under it")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([
                send("c", "POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 5\r\n\r\nhello"),
                head("o"),
                body("o", 5),
                close("o"),
                rest("c"),
            ])
            .codes(["--"])
            .allow("log lines", "the request that failed is logged too"),
        http("reuse-dies-shared", "another's connection closes under a first request")
            .backend("http-reuse always")
            .steps(idle_first())
            .steps([open("c2"), send("c2", GET), head("o"), close("o"), rest("c2"), close("c1")])
            .codes(["--", "SH"])
            .allow("", RETRIED),
        http("reuse-idle-bytes", "an idle connection that speaks is not used again")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([pause(30), send("o", "HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n")])
            .steps([pause(50), send("c", GET), accept("o2", "s1"), head("o2"), send("o2", OK)])
            .steps([head("c"), body("c", 5), close("c")])
            .codes(["--", "--"]),
    ]
}

fn preferring() -> Vec<Scenario> {
    const TWO: &str = "server s1 {origin.s1}\nserver s2 {origin.s2}";
    vec![
        http("prefer-last-server", "with shared connections it changes nothing")
            .backend("option prefer-last-server")
            .servers(TWO)
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([send("c", GET), accept("o2", "s2"), head("o2"), send("o2", OK)])
            .steps([head("c"), body("c", 5), close("c")])
            .codes(["--", "--"]),
        http("prefer-last-server-never", "the next request stays with its own connection")
            .backend("option prefer-last-server\nhttp-reuse never")
            .servers(TWO)
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([send("c", GET), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--", "--"]),
        http("prefer-last-server-closed", "not if that connection has ended")
            .backend("option prefer-last-server\nhttp-reuse never")
            .servers(TWO)
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([close("o"), pause(50), send("c", GET), accept("o2", "s2"), head("o2")])
            .steps([send("o2", OK), head("c"), body("c", 5), close("c")])
            .codes(["--", "--"]),
        http("auth-ntlm", "a 401 with NTLM makes the connection private")
            .backend("http-reuse always")
            .steps([open("c1"), send("c1", GET), accept("o", "s1"), head("o")])
            .steps([
                send(
                    "o",
                    "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 5\r\n\r\nhello",
                ),
                head("c1"),
                body("c1", 5),
                pause(40),
            ])
            .steps(second_opens())
            .codes(["--", "--"]),
    ]
}
