//! Heads: names, order, hop-by-hop headers, forms of the target, `option forwardfor`.

use super::{GET, OK, answered, asked, exchanged};
use crate::exchanges::scenario::{Scenario, http};
use crate::exchanges::script::*;

pub fn scenarios() -> Vec<Scenario> {
    [order(), hop_by_hop(), targets(), forwardfor()].concat()
}

fn order() -> Vec<Scenario> {
    vec![
        http("headers-order", "names in lower case, order and repetitions kept, values trimmed")
            .steps(exchanged(
                "GET / HTTP/1.1\r\nX-B:  two  \r\nHost: www\r\nX-A:one\r\nX-B: three\r\n\
                X-Empty:\r\nAccept: a, b\r\nUser-Agent: Some/1.0 (x; y)\r\n\r\n",
                "HTTP/1.1 200 Fine And Well\r\nX-Z: 1\r\nSet-Cookie: a=1\r\nSERVER: Origin/1\r\n\
                Set-Cookie: b=2\r\nContent-Length: 5\r\nX-Empty: \r\nDate: today\r\n\r\nhello",
                5,
            ))
            .codes(["--"]),
        http("headers-folded", "folded lines in both heads")
            .steps(exchanged(
                "GET / HTTP/1.1\r\nHost: www\r\nX-A: one\r\n two\r\n\r\n",
                "HTTP/1.1 200 OK\r\nX-A: one\r\n\ttwo\r\nContent-Length: 5\r\n\r\nhello",
                5,
            ))
            .codes(["--"])
            .allow("", "folds are refused (RFC 9112 section 5.2)"),
        http("headers-bytes", "bytes above 127 in a value")
            .steps([
                open("c"),
                send("c", b"GET / HTTP/1.1\r\nHost: www\r\nX-A: \xc3\xa9\xff\r\n\r\n"),
                accept("o", "s1"),
                head("o"),
                send("o", b"HTTP/1.1 200 \xc3\xa9\r\nX-A: \xe9\r\nContent-Length: 0\r\n\r\n"),
                head("c"),
                close("c"),
            ])
            .codes(["--"]),
        http("headers-bare-lf", "lines that end in LF alone")
            .steps(exchanged(
                "GET / HTTP/1.1\nHost: www\nX-A: one\n\n",
                "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
                5,
            ))
            .codes(["--"])
            .allow("", "a line ends in CR LF alone (RFC 9112 section 2.2)"),
        http("request-pieces", "heads that come in pieces")
            .steps([
                open("c"),
                send("c", "GE"),
                pause(30),
                send("c", "T / HTTP/1.1\r"),
                pause(30),
                send("c", "\nHost: w"),
                pause(30),
                send("c", "ww\r\n\r"),
                pause(30),
                send("c", "\n"),
                accept("o", "s1"),
                head("o"),
                send("o", "HTTP/1.1 200 OK\r\nContent-Le"),
                pause(30),
                send("o", "ngth: 5\r\n\r\nhe"),
                pause(250),
                head("c"),
                send("o", "llo"),
                body("c", 5),
                close("c"),
            ])
            .codes(["--"]),
        http("request-leading-lines", "empty lines before a request are skipped")
            .steps(exchanged(&format!("\r\n\r\n{GET}"), OK, 5))
            .codes(["--"]),
        http("reason-empty", "an answer without a reason")
            .steps(exchanged(GET, "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", 5))
            .codes(["--"]),
        http("reason-empty-space", "an answer with a space and no reason")
            .steps(exchanged(GET, "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", 5))
            .codes(["--"]),
        http("method-unknown", "any token is a method")
            .steps(exchanged("BREW /pot HTTP/1.1\r\nHost: www\r\n\r\n", OK, 5))
            .codes(["--"]),
        http("length-twice", "the same length twice becomes one")
            .steps(asked(
                "POST / HTTP/1.1\r\nHost: www\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n\
                hello",
            ))
            .steps([body("o", 5)])
            .steps(answered("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nX-A: b\r\n\r\nhello", 5))
            .steps([close("c")])
            .codes(["--"]),
    ]
}

/// What haproxy does not do.
const HOP: &str = "hop-by-hop headers are not passed on (RFC 9110 section 7.6.1)";

fn hop_by_hop() -> Vec<Scenario> {
    vec![
        http("connection-listed", "Connection's own words and what becomes of listed headers")
            .steps(exchanged(
                "GET / HTTP/1.1\r\nHost: www\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
                Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n\
                Upgrade: h2c\r\n\r\n",
                "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
                Keep-Alive: timeout=5\r\nContent-Length: 5\r\nUpgrade: h2c\r\n\r\nhello",
                5,
            ))
            .codes(["--"])
            .allow("o 2 header", HOP)
            .allow("c 1 header", HOP),
        http("connection-close-listed", "close among other words in a request")
            .steps(asked("GET / HTTP/1.1\r\nConnection: X-A, close\r\nHost: www\r\nX-A: 1\r\n\r\n"))
            .steps([send("o", OK), rest("c")])
            .codes(["--"])
            .allow("o 2 header", HOP),
        http("connection-twice", "two Connection headers in one request")
            .steps(asked(
                "GET / HTTP/1.1\r\nConnection: keep-alive\r\nHost: www\r\nConnection: close\r\n\r\n",
            ))
            .steps([send("o", OK), rest("c")])
            .codes(["--"]),
        http("te-kept", "TE with the other words")
            .steps(exchanged(
                "GET / HTTP/1.1\r\nHost: www\r\nTE: trailers, gzip;q=0.5\r\nConnection: TE\r\n\r\n",
                OK,
                5,
            ))
            .codes(["--"])
            .allow("o 2 header", HOP),
    ]
}

fn targets() -> Vec<Scenario> {
    let target =
        |name, why, line: &'static str| http(name, why).steps(exchanged(line, OK, 5)).codes(["--"]);
    vec![
        target(
            "target-absolute",
            "the absolute form is passed on as it came",
            "GET http://www/a?b=c HTTP/1.1\r\nHost: www\r\n\r\n",
        ),
        target(
            "target-absolute-port",
            "the absolute form with a port that Host lacks",
            "GET http://www:80/a HTTP/1.1\r\nHost: www\r\n\r\n",
        ),
        target("target-asterisk", "the asterisk form", "OPTIONS * HTTP/1.1\r\nHost: www\r\n\r\n"),
        target("host-missing", "no Host in HTTP/1.1", "GET /a HTTP/1.1\r\nX-A: b\r\n\r\n"),
        target("host-empty", "an empty Host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n"),
        target(
            "host-twice",
            "the same Host twice",
            "GET /a HTTP/1.1\r\nHost: www\r\nHost: www\r\n\r\n",
        ),
        target(
            "target-escapes",
            "quotes, braces and escapes in a target",
            "GET /a%20b?x={y}|z'`~ HTTP/1.1\r\nHost: www\r\n\r\n",
        ),
    ]
}

fn forwardfor() -> Vec<Scenario> {
    const SENT: &str =
        "GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7\r\nHost: www\r\nX-A: b\r\n\r\n";
    let one = |name, why, lines| {
        http(name, why).frontend(lines).steps(exchanged(SENT, OK, 5)).codes(["--"])
    };
    vec![
        http("forwardfor", "the client's address is added last")
            .frontend("option forwardfor")
            .steps(exchanged(GET, OK, 5))
            .codes(["--"]),
        http("forwardfor-ipv6", "a client on IPv6")
            .frontend("option forwardfor\nbind {bind6.fe6}")
            .steps([open_to("c", "fe6"), send("c", GET), accept("o", "s1"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        one("forwardfor-again", "one that was there stays", "option forwardfor"),
        one("forwardfor-if-none", "nothing is added to one", "option forwardfor if-none"),
        one("forwardfor-except", "not for these clients", "option forwardfor except 127.0.0.0/8"),
        one("forwardfor-header", "under another name", "option forwardfor header X-Client"),
        http("forwardfor-both", "in the frontend and in the backend: added once")
            .frontend("option forwardfor")
            .backend("option forwardfor header X-Client")
            .steps(exchanged(GET, OK, 5))
            .codes(["--"]),
        http("forwardfor-keep-alive", "on each request of a connection")
            .frontend("option forwardfor")
            .steps(asked(GET))
            .steps(answered(OK, 5))
            .steps([send("c", GET), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--", "--"]),
        http("forwardfor-http10", "before the connection header that haproxy adds")
            .frontend("option forwardfor")
            .steps(asked("GET / HTTP/1.0\r\nHost: www\r\n\r\n"))
            .steps([send("o", OK), rest("c")])
            .codes(["--"]),
    ]
}
