//! The lines of `option httplog json` and `option tcplog json`: one JSON object each, with the
//! fields of `docs/log-json.md` in its order.
//!
//! Whatever a client sends, a line is one object of valid UTF-8 on one line, and it is never cut in
//! the middle: what does not fit is shortened or left out, and the object says so.

use super::line::{Lines, Record};
use super::text::{push_ip, push_number};
use crate::poller::Peer;

/// What a line ends with if something of it did not fit.
const TRUNCATED: &[u8] = b",\"truncated\":true}";

/// A text that would be shortened to less is left out.
const TEXT_MIN: usize = 8;

/// How long a JSON line may be where its `log` line has no `len`.
pub const LEN_DEFAULT: u32 = 8_192;

impl Lines {
    /// Appends a session's object, of `room` bytes at most. Of a line of `option tcplog` there is
    /// only what TCP has.
    pub fn json(&mut self, record: &Record<'_>, http: bool, room: usize, out: &mut Vec<u8>) {
        let stop = out.len() + room.saturating_sub(TRUNCATED.len());
        let mut object = Object { stop, cut: false, first: true, out };
        let when = if http { record.requested } else { record.accepted };
        object.field("time", |out| {
            out.push(b'"');
            self.dates.push_iso(when, out);
            out.push(b'"');
        });
        let client = match record.client {
            Peer::Inet(client) => Some(client),
            Peer::Unix => None,
        };
        object.field("client_ip", |out| match client {
            Some(client) => {
                out.push(b'"');
                push_ip(client.ip(), out);
                out.push(b'"');
            }
            None => out.extend_from_slice(b"null"),
        });
        object.number("client_port", client.map(|client| client.port().into()));
        object.number("listener_id", Some(record.listener_id.into()));
        object.text("frontend", Some(record.frontend.as_bytes()));
        object.text("backend", Some(record.backend.as_bytes()));
        object.text("server", record.server.map(str::as_bytes));

        let [cause, phase] = record.end.code();
        let state = [cause, phase, record.cookies[0], record.cookies[1]];
        object.text("state", Some(if http { &state } else { &state[..2] }));
        object.text("cause", Some(record.end.cause.name().as_bytes()));
        object.text("phase", Some(record.end.phase.name().as_bytes()));
        object.field("reason", |out| {
            // Both are ours, and plain.
            out.push(b'"');
            out.extend_from_slice(record.end.cause.explain().as_bytes());
            out.push(b' ');
            out.extend_from_slice(record.end.phase.explain().as_bytes());
            out.push(b'"');
        });
        object.text("error", record.error.map(|(_, text)| text.as_bytes()));
        object.flag("early", record.early);

        if http {
            let status = u64::try_from(record.status).ok().filter(|status| *status > 0);
            object.number("status", status);
        }
        object.number("bytes_out", Some(record.bytes));
        object.number("bytes_in", Some(record.bytes_in));
        let timers = &record.timers;
        if http {
            object.number("idle_ms", Some(timers.idle));
            object.number("request_ms", timers.request);
        }
        object.number("queue_ms", timers.queue);
        object.number("connect_ms", timers.connect);
        if http {
            object.number("response_ms", timers.response);
        }
        object.number("total_ms", Some(timers.total));

        let counts = &record.counts;
        for (name, n) in [
            ("process_connections", counts.actconn),
            ("frontend_connections", counts.feconn),
            ("backend_connections", counts.beconn),
            ("server_connections", counts.srvconn),
            ("retries", counts.retries),
        ] {
            object.number(name, Some(n.into()));
        }
        object.flag("redispatched", counts.redispatched);
        object.number("server_queue", Some(counts.srv_queue.into()));
        object.number("backend_queue", Some(counts.backend_queue.into()));

        if http {
            // What is long and of the client's making comes last, where it is what gets shortened.
            let [method, uri, version] = parts_of(record.request);
            object.text("method", method);
            object.text("version", version);
            object.text("request_cookie", record.request_cookie);
            object.text("response_cookie", record.response_cookie);
            object.texts("request_headers", record.request_captures);
            object.texts("response_headers", record.response_captures);
            let whole = uri.unwrap_or_default();
            let (uri_max, cut) = (self.request_max, whole.len() > self.request_max);
            object.text("uri", uri.map(|uri| &uri[..uri.len().min(uri_max)]));
            object.cut |= cut;
        }
        object.end();
    }
}

/// Method, target and version of a request line.
fn parts_of(line: Option<&[u8]>) -> [Option<&[u8]>; 3] {
    let parts = line.and_then(|line| {
        let first = line.iter().position(|b| *b == b' ')?;
        let (method, rest) = (&line[..first], &line[first + 1..]);
        let last = rest.iter().rposition(|b| *b == b' ')?;
        Some([Some(method), Some(&rest[..last]), Some(&rest[last + 1..])])
    });
    parts.unwrap_or_default()
}

/// An object that is being written. It ends before `stop`, and behind that there is room for
/// [`TRUNCATED`].
struct Object<'a> {
    out: &'a mut Vec<u8>,
    stop: usize,
    cut: bool,
    first: bool,
}

impl Object<'_> {
    /// Writes a field, unless it is too long.
    fn field(&mut self, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
        let (start, first) = (self.out.len(), self.first);
        self.key(name);
        value(self.out);
        if self.out.len() > self.stop {
            self.out.truncate(start);
            (self.cut, self.first) = (true, first);
        }
    }

    fn key(&mut self, name: &str) {
        self.out.push(if self.first { b'{' } else { b',' });
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn number(&mut self, name: &str, value: Option<u64>) {
        self.field(name, |out| match value {
            Some(n) => push_number(n, out),
            None => out.extend_from_slice(b"null"),
        });
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.field(name, |out| {
            out.extend_from_slice(if value { b"true" } else { b"false" });
        });
    }

    /// Writes a text, as much of it as fits.
    fn text(&mut self, name: &str, value: Option<&[u8]>) {
        let (stop, mut whole) = (self.stop, true);
        self.field(name, |out| match value {
            Some(text) => {
                let start = out.len();
                whole = push_string(text, stop, out);
                if !whole && out.len() < start + TEXT_MIN {
                    // Too little to be of use: make it too long.
                    out.resize(stop + 1, b' ');
                }
            }
            None => out.extend_from_slice(b"null"),
        });
        self.cut |= !whole;
    }

    /// Writes texts by slot, if all of them fit.
    fn texts(&mut self, name: &str, values: Option<&[Option<Box<[u8]>>]>) {
        let stop = self.stop;
        self.field(name, |out| {
            let Some(values) = values else { return out.extend_from_slice(b"null") };
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let whole = match value {
                    Some(text) => push_string(text, stop, out),
                    None => {
                        out.extend_from_slice(b"null");
                        true
                    }
                };
                if !whole {
                    return out.resize(stop + 1, b' ');
                }
            }
            out.push(b']');
        });
    }

    fn end(self) {
        if self.first {
            self.out.push(b'{');
        }
        match (self.cut, self.first) {
            (true, true) => self.out.extend_from_slice(&TRUNCATED[1..]),
            (true, false) => self.out.extend_from_slice(TRUNCATED),
            (false, _) => self.out.push(b'}'),
        }
    }
}

/// Appends a string (RFC 8259 section 7) that ends at `stop` at the latest. False if it was
/// shortened. What is not UTF-8 becomes U+FFFD, one for each sequence that cannot be continued.
fn push_string(text: &[u8], stop: usize, out: &mut Vec<u8>) -> bool {
    const REPLACEMENT: &str = "\u{fffd}";
    // The closing quote.
    let stop = stop.saturating_sub(1);
    out.push(b'"');
    let mut whole = true;
    for chunk in text.utf8_chunks() {
        whole = push_valid(chunk.valid(), stop, out);
        if whole && !chunk.invalid().is_empty() {
            whole = push_valid(REPLACEMENT, stop, out);
        }
        if !whole {
            break;
        }
    }
    out.push(b'"');
    whole
}

/// Appends characters, escaped where JSON wants it (and DEL, which terminals act on). False if
/// there was no room for all of them.
fn push_valid(mut text: &str, stop: usize, out: &mut Vec<u8>) -> bool {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    loop {
        let special = |b: u8| b < b' ' || b == b'"' || b == b'\\' || b == 0x7f;
        let clean = text.bytes().position(special).unwrap_or(text.len());
        let mut fits = clean.min(stop.saturating_sub(out.len()));
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        out.extend_from_slice(&text.as_bytes()[..fits]);
        if fits < clean {
            return false;
        }
        let Some(&byte) = text.as_bytes().get(clean) else { return true };
        let mut unicode = *b"\\u0000";
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => {
                unicode[4] = HEX[usize::from(byte >> 4)];
                unicode[5] = HEX[usize::from(byte & 15)];
                &unicode
            }
        };
        if out.len() + escape.len() > stop {
            return false;
        }
        out.extend_from_slice(escape);
        text = &text[clean + 1..];
    }
}

#[cfg(test)]
mod tests;
