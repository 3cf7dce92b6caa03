//! The text of `show errors`: the last refused request and response of every proxy, as HAProxy
//! shows them. Not the command: who asks, and of what, is the runtime socket's business.
//!
//! The lines are HAProxy 2.6's, so that what reads them goes on working; the flags in them are
//! Tidegate's own (of the client's connection, of the session, of the transaction).

use core::fmt::Write;

use super::dates::Dates;
use super::text::push_endpoint;
use crate::poller::Peer;
use crate::proxy::shared::Shared;
use crate::proxy::shared::errors::{Direction, Event};
use crate::proxy::spec::{ProxyId, Role, ServerId, Site};
use crate::time::Wall;

/// The most columns of a line of a message's bytes.
const WIDTH: usize = 79;

/// Appends what `show errors` says of one proxy, or of all, in one direction or both.
pub fn push_errors(
    site: &Site,
    shared: &Shared,
    dates: &mut Dates,
    now: Wall,
    only: (Option<ProxyId>, Option<Direction>),
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"Total events captured on ");
    dates.push_log(now, out);
    push(out, format_args!(" : {}\n", shared.errors()));
    let (proxy, direction) = only;
    for id in 0..site.proxies.len() as ProxyId {
        for one in [Direction::Request, Direction::Response] {
            let Some(event) = shared.last_error(id, one) else { continue };
            let concerned =
                proxy.is_none_or(|proxy| event.frontend == proxy || event.backend == Some(proxy));
            if concerned && direction.is_none_or(|wanted| wanted == one) {
                push_event(site, &event, dates, out);
            }
        }
    }
    out.push(b'\n');
}

fn push_event(site: &Site, event: &Event, dates: &mut Dates, out: &mut Vec<u8>) {
    let Event { number, message, flags: [client, session, transaction], .. } = event;
    out.extend_from_slice(b" \n");
    dates.push_log(event.when, out);
    match event.direction {
        Direction::Request => {
            push_proxy(" frontend", site, Some(event.frontend), out);
            out.extend_from_slice(b": invalid request\n ");
            let backend = event.backend.filter(|id| site.proxy(*id).role.has(Role::BACKEND));
            push_proxy(" backend", site, backend, out);
        }
        Direction::Response => {
            push_proxy(" backend", site, event.backend, out);
            out.extend_from_slice(b": invalid response\n ");
            push_proxy(" frontend", site, Some(event.frontend), out);
        }
    }
    push_server(site, event.server, out);
    push(out, format_args!(", event #{number}, src "));
    match event.source {
        Peer::Inet(source) => push_endpoint(source, out),
        Peer::Unix => out.extend_from_slice(b"unix:1"),
    }
    let (state, state_number) = message.why.state(event.direction);
    push(
        out,
        format_args!(
            "\n  buffer starts at 0 (including {} out), {} free,\n  \
             len {}, wraps at {}, error at position {}\n  \
             H1 connection flags 0x{client:08x}, H1 stream flags 0x{session:08x}\n  \
             H1 msg state {state}({state_number}), H1 msg flags 0x{transaction:08x}\n  \
             H1 chunk len {} bytes, H1 body len {} bytes :\n  \n",
            message.out,
            message.free,
            message.bytes.len(),
            message.size,
            message.at,
            message.chunk_left,
            message.body,
        ),
    );
    push_bytes(&message.bytes, out);
}

fn push_proxy(what: &str, site: &Site, proxy: Option<ProxyId>, out: &mut Vec<u8>) {
    match proxy.map(|id| site.proxy(id)) {
        Some(proxy) => push(out, format_args!("{what} {} (#{})", proxy.name, proxy.uuid)),
        None => push(out, format_args!("{what} <NONE> (#-1)")),
    }
}

fn push_server(site: &Site, server: Option<ServerId>, out: &mut Vec<u8>) {
    match server.map(|id| site.server(id)) {
        Some(server) => push(out, format_args!(", server {} (#{})", server.name, server.id)),
        None => out.extend_from_slice(b", server <NONE> (#-1)"),
    }
}

/// The bytes in lines that end where theirs do; `+` marks a line that goes on with the one before.
fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let (mut at, mut goes_on) = (0, false);
    while at < bytes.len() {
        let mark = if goes_on { '+' } else { ' ' };
        let start = out.len();
        push(out, format_args!("  {at:05}{mark} "));
        goes_on = true;
        while at < bytes.len() {
            let byte = bytes[at];
            let before = out.len();
            push_byte(byte, out);
            if out.len() - start > WIDTH {
                out.truncate(before);
                break;
            }
            at += 1;
            if byte == b'\n' {
                goes_on = false;
                break;
            }
        }
        out.push(b'\n');
    }
}

fn push_byte(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'\t' => out.extend_from_slice(b"\\t"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        0x1b => out.extend_from_slice(b"\\e"),
        b'\\' => out.extend_from_slice(b"\\\\"),
        0x20..=0x7e => out.push(byte),
        _ => push(out, format_args!("\\x{byte:02X}")),
    }
}

fn push(out: &mut Vec<u8>, text: core::fmt::Arguments<'_>) {
    struct Sink<'a>(&'a mut Vec<u8>);
    impl Write for Sink<'_> {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    // A vector takes everything.
    let _ = Sink(out).write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push_bytes(bytes, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Measured with HAProxy 2.6.
    #[test]
    fn bytes_in_lines() {
        let head = ["GET / HTTP/1.1\r\nHost : a\r\nX-Long: ", &"y".repeat(200)].concat();
        let bytes = [head.as_bytes(), b"\t\x01\xff\\\r\n\r\n"].concat();
        let y = |n: usize| "y".repeat(n);
        let expected = format!(
            "  00000  GET / HTTP/1.1\\r\\n\n  00016  Host : a\\r\\n\n  \
             00026  X-Long: {}\n  00096+ {}\n  00166+ {}\\t\n  \
             00235+ \\x01\\xFF\\\\\\r\\n\n  00240  \\r\\n\n",
            y(62),
            y(70),
            y(68)
        );
        assert_eq!(shown(&bytes), expected);
        assert_eq!(shown(b"\x1b"), "  00000  \\e\n");
        assert_eq!(shown(b""), "");
    }

    /// A line is full at 79 columns, whatever the width of its last byte.
    #[test]
    fn full_lines() {
        for (last, fits) in [("x", 69), ("\r", 68), ("\x01", 66)] {
            for pad in 60..=70 {
                let text = shown(format!("{}{last}", "a".repeat(pad)).as_bytes());
                let lines: Vec<&str> = text.lines().collect();
                assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
                assert_eq!(lines.len() == 1, pad <= fits, "{pad}: {text}");
            }
        }
    }
}
