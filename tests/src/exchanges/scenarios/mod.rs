//! All scenarios, a file per theme, and the steps that many of them share.

use super::scenario::Scenario;
use super::script::{Name, Step, accept, body, close, head, open, pause, send};

mod aborts;
mod balance;
mod closing;
mod framing;
mod heads;
mod logs;
mod proxy_header;
mod queues;
mod refusals;
mod reuse;
mod tcp;
mod timeouts;
mod tunnels;

/// Every scenario, in the order of the reference file.
pub fn all() -> Vec<Scenario> {
    [
        framing::scenarios(),
        heads::scenarios(),
        closing::scenarios(),
        reuse::scenarios(),
        tunnels::scenarios(),
        refusals::scenarios(),
        aborts::scenarios(),
        timeouts::scenarios(),
        queues::scenarios(),
        balance::scenarios(),
        tcp::scenarios(),
        logs::scenarios(),
        proxy_header::scenarios(),
    ]
    .concat()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: www\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// The client `c` asks, and the origin has the request's head on `o`.
fn asked(request: &str) -> Vec<Step> {
    vec![open("c"), send("c", request), accept("o", "s1"), head("o")]
}

/// Why the server hears a reset.
const CUT_SHORT: &str = "what was cut short ends in a reset: a FIN could pass for its end";

/// A tunnel whose both ways time out at once: haproxy resets the server in some and ends others.
const BOTH_WAYS: &str = "a tunnel that timed out ends both ways, whatever passed through it";

/// The origin answers on `o`, and the client has the whole answer.
fn answered(response: &str, len: usize) -> Vec<Step> {
    let mut steps = vec![send("o", response), head("c")];
    if len > 0 {
        steps.push(body("c", len));
    }
    steps
}

/// A whole exchange that ends by the client closing.
fn exchanged(request: &str, response: &str, len: usize) -> Vec<Step> {
    [asked(request), answered(response, len), vec![close("c")]].concat()
}

/// A sender stops within a message. haproxy sends such a part with MSG_MORE, and Linux holds it
/// back for up to 200 ms: wait for that, so that it makes no difference.
fn part(name: Name, bytes: &str) -> Vec<Step> {
    vec![send(name, bytes), pause(250)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::all;

    #[test]
    fn names_are_unique() {
        let names: Vec<&str> = all().iter().map(|scenario| scenario.name).collect();
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), unique.len());
    }
}
