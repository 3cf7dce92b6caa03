//! The PROXY protocol: headers from clients and to servers.

use super::{GET, OK, answered};
use crate::exchanges::scenario::{Scenario, http, tcp};
use crate::exchanges::script::*;

/// A proxy whose clients begin with a header. Its server's requests begin with none.
const HTTP: &str = "listen px
    bind {bind.px} accept-proxy name door
    option forwardfor
    timeout client 500ms
    server s1 {origin.s1}";
const TCP: &str = "listen px
    bind {bind.px} accept-proxy
    timeout client 500ms
    server s1 {origin.s1}";

const LINE: &str = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n";
const LINE_V6: &str = "PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n";
/// `LINE` in version 2.
const BLOCK: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x01\xbb";
/// The same with a checksum that is wrong.
const BAD_SUM: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\
    \x01\xbb\x03\0\x04sums";
/// The same with an authority and a unique id.
const NAMED: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x18\xc0\0\x02\x07\xc0\0\x02\x01\x12\x67\x01\
    \xbb\x02\0\x04name\x05\0\x02id";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// haproxy refuses it at once; here the rest may come within `timeout client`.
const PIECES: &str = "a header may come in pieces";

/// A client says who it is and asks, in one segment.
fn asks(header: impl AsRef<[u8]>) -> Vec<Step> {
    let bytes = [header.as_ref(), GET.as_bytes()].concat();
    vec![open_to("c", "px"), send("c", bytes), accept("o", "s1"), head("o")]
}

/// A client that is closed without an answer.
fn refused(header: impl AsRef<[u8]>) -> Vec<Step> {
    vec![open_to("c", "px"), send("c", header), rest("c")]
}

/// A proxy whose servers hear the header in this way.
fn sends(name: &'static str, why: &'static str, server: &'static str) -> Scenario {
    tcp(name, why).more(server)
}

pub fn scenarios() -> Vec<Scenario> {
    let late = || [open_to("c", "px"), pause(200)];
    vec![
        http("proxy-line", "version 1: the client is who the header names")
            .more(HTTP)
            .steps(asks(LINE))
            .steps(answered(OK, 5))
            .steps([send("c", GET), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--", "--"]),
        http("proxy-line-v6", "version 1 with IPv6")
            .more(HTTP)
            .steps(asks(LINE_V6))
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("proxy-block", "version 2")
            .more(HTTP)
            .steps(asks(BLOCK))
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("proxy-block-named", "version 2 with TLVs")
            .more(HTTP)
            .steps(asks(NAMED))
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("proxy-unknown", "version 1 without addresses")
            .more(HTTP)
            .steps(asks("PROXY UNKNOWN\r\n"))
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("proxy-local", "version 2, and the sender speaks for itself")
            .more(HTTP)
            .steps(asks(LOCAL))
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("proxy-alone", "the request comes later")
            .more(HTTP)
            .steps([open_to("c", "px"), send("c", BLOCK), pause(100), send("c", GET)])
            .steps([accept("o", "s1"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("proxy-late", "a late header is in no timer of the request")
            .more(HTTP)
            .steps(late())
            .steps([send("c", [BLOCK, GET.as_bytes()].concat()), accept("o", "s1"), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--"]),
        http("proxy-no-request", "a header and no request: 408")
            .more(HTTP)
            .steps([open_to("c", "px"), send("c", LINE), head("c"), body("c", 110), rest("c")])
            .codes(["cR"]),
        http("proxy-none", "a request without a header").more(HTTP).steps(refused(GET)).codes([""]),
        http("proxy-invalid", "a line that ends in LF alone")
            .more(HTTP)
            .steps(refused("PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\nGET / HTTP/1.1\r\n"))
            .codes([""]),
        http("proxy-cut", "a header in pieces")
            .more(HTTP)
            .steps([open_to("c", "px"), send("c", &LINE[..20]), rest("c")])
            .codes([""])
            .allow("log 1 message", PIECES)
            .allow("c 1", PIECES),
        http("proxy-protocol", "a protocol that there is not")
            .more(HTTP)
            .steps(refused("PROXY UDP4 192.0.2.7 192.0.2.1 4711 443\r\n"))
            .codes([""]),
        http("proxy-bad-sum", "a checksum that is wrong")
            .more(HTTP)
            .steps(refused(BAD_SUM))
            .codes([""]),
        http("proxy-empty", "a client that ends without a word")
            .more(HTTP)
            .steps([open_to("c", "px"), shut_write("c"), rest("c")])
            .codes([""]),
        http("proxy-reset", "a client that resets")
            .more(HTTP)
            .steps([open_to("c", "px"), reset("c"), logged(1)])
            .codes([""]),
        http("proxy-silent", "timeout client bounds the wait")
            .more(HTTP)
            .steps([open_to("c", "px"), rest("c")])
            .codes([""]),
        http("proxy-dontlognull", "and what said nothing may have no line")
            .defaults("option dontlognull\noption log-separate-errors")
            .more(HTTP)
            .steps([open_to("c", "px"), shut_write("c"), rest("c"), open_to("c2", "px")])
            .steps([send("c2", GET), rest("c2"), pause(50)])
            .codes([""]),
        http("proxy-expect", "the rule instead of the word on the bind line")
            .more(
                "listen px
    bind {bind.px}
    tcp-request connection expect-proxy layer4
    server s1 {origin.s1}",
            )
            .steps(asks(LINE))
            .steps(answered(OK, 5))
            .steps([close("c"), open_to("c2", "px"), send("c2", GET), rest("c2")])
            .codes(["--", ""]),
        http("proxy-default-log", "without a format: one line for a request, none for a failure")
            .more(
                "defaults
    mode http
    log global
    timeout connect 2s
    timeout client 3s
    timeout server 3s
listen px
    bind {bind.px} accept-proxy
    server s1 {origin.s1}",
            )
            .steps(asks(LINE))
            .steps(answered(OK, 5))
            .steps([close("c"), open_to("c2", "px"), send("c2", GET), rest("c2"), pause(50)])
            .codes([""]),
        tcp("proxy-tcp", "TCP mode")
            .more(TCP)
            .steps([open_to("c", "px"), send("c", [BLOCK, b"hello"].concat()), accept("o", "s1")])
            .steps([body("o", 5), send("o", "hi"), body("c", 2), close("c"), rest("o"), close("o")])
            .codes(["--"]),
        tcp("proxy-tcp-late", "TCP mode: a late header is in Tw")
            .more(TCP)
            .steps(late())
            .steps([send("c", LINE), accept("o", "s1"), close("c"), rest("o"), close("o")])
            .codes(["--"]),
        tcp("proxy-tcp-none", "TCP mode: not a header")
            .more(TCP)
            .steps(refused("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"))
            .codes([""]),
        sends(
            "proxy-sent-line",
            "a server gets it in version 1",
            "listen px
    bind {bind.px} accept-proxy
    server s1 {origin.s1} send-proxy",
        )
        .steps([open_to("c", "px"), send("c", BLOCK), accept("o", "s1"), body("o", LINE.len())])
        .steps([send("c", "hello"), body("o", 5), close("c"), rest("o"), close("o")])
        .codes(["--"]),
        sends(
            "proxy-sent-block",
            "a server gets it in version 2",
            "listen px
    bind {bind.px} accept-proxy
    server s1 {origin.s1} send-proxy-v2",
        )
        .steps([open_to("c", "px"), send("c", LINE), accept("o", "s1"), body("o", BLOCK.len())])
        .steps([send("o", "hello"), body("c", 5), close("c"), rest("o"), close("o")])
        .codes(["--"]),
        sends(
            "proxy-sent-options",
            "with a checksum, the authority that came, an empty unique id, and no TLS",
            "listen px
    bind {bind.px} accept-proxy
    server s1 {origin.s1} send-proxy-v2-ssl-cn proxy-v2-options crc32c,authority,unique-id",
        )
        .steps([open_to("c", "px"), send("c", NAMED), accept("o", "s1")])
        .steps([body("o", 28 + 7 + 7 + 3 + 8), close("c"), rest("o"), close("o")])
        .codes(["--"]),
        http("proxy-sent-http", "in front of the first request of a connection only")
            .more(
                "listen px
    bind {bind.px} accept-proxy
    server s1 {origin.s1} send-proxy",
            )
            .steps(asks(LINE))
            .steps(answered(OK, 5))
            .steps([send("c", GET), head("o")])
            .steps(answered(OK, 5))
            .steps([open_to("c2", "px"), send("c2", [LINE_V6, GET].concat())])
            .steps([accept("o2", "s1"), head("o2"), send("o2", OK), head("c2"), body("c2", 5)])
            .steps([close("c"), close("c2")])
            .codes(["--", "--", "--"]),
        http("proxy-sent-retry", "a retry begins with it again")
            .more(
                "listen px
    bind {bind.px} accept-proxy
    retry-on all-retryable-errors
    server s1 {origin.s1} send-proxy",
            )
            .steps(asks(LINE))
            .steps([close("o"), accept("o2", "s1"), head("o2"), send("o2", OK)])
            .steps([head("c"), body("c", 5), close("c")])
            .codes(["--"]),
    ]
}
