//! The HTTP transaction of a session: both heads, and how far each message is.
//!
//! Not the rules (they are analysers) and not the bytes (they are in the channels).

use crate::bit_set;
use std::sync::Arc;

use crate::http::{Body, ChunkDecoder, Head, HeadScan, Known};
use crate::logfmt::wire::Level;
use crate::poller::Peer;
use crate::proxy::spec::ProxyId;
use crate::sample::Captures;
use crate::sample::vars::Vars;
use crate::time::Duration;

bit_set! {
    /// What is true of a transaction.
    pub struct TxnFlags: u32 {
        /// The request's head was understood.
        REQUEST = 1,
        /// The response's head was understood (a final one).
        RESPONSE = 2,
        /// The client's connection is to be closed after the answer.
        CLIENT_CLOSE = 4,
        /// The client asked for the close itself (or is HTTP/1.0): it sends nothing more.
        CLIENT_ASKED_CLOSE = 8,
        /// The server's connection is to be closed after the answer.
        SERVER_CLOSE = 16,
        /// The request's head was put into the output of the connection that is in use.
        HEAD_QUEUED = 32,
        /// The client asked for another protocol, and 101 would be fitting.
        UPGRADE = 128,
        /// TCP is proxied, and what the client sent until now may become a request's head.
        PEEKING = 64,
        /// Both directions pass as they are.
        TUNNEL = 256,
        /// A body that came chunked goes out without its framing (to an HTTP/1.0 client).
        UNCHUNK = 512,
        /// The answer is ours, not a server's.
        LOCAL = 1024,
        /// An interim (1xx) answer was passed on.
        INTERIM = 2048,
        /// The request's body has begun to pass.
        BODY_STARTED = 4096,
        /// The answer was cut where its end is the connection's: only a reset tells the client.
        CUT = 8192,
        /// TCP is proxied, and what the client sent begins with the head of a request, for rules to
        /// look at.
        PEEKED = 16384,
        /// The same, and it does not.
        NO_REQUEST = 32768,
        /// A rewrite of the request that does not fit is left out (`strict-mode off`).
        SOFT_REQUEST = 1 << 16,
        /// A rewrite of the response that does not fit is left out.
        SOFT_RESPONSE = 1 << 17,
        /// The response's head begins a tunnel, once it is passed on.
        SWITCHES = 1 << 18,
        /// It has its number.
        NUMBERED = 1 << 19,
    }
}

/// Decodes a chunked body and encodes it anew.
#[derive(Clone, Copy, Debug, Hash, Default)]
pub struct Recoder {
    /// What comes in.
    pub decoder: ChunkDecoder,
    /// A chunk's size went out, and the CRLF behind its data has not yet.
    pub open: bool,
}

/// How far a message is behind its head.
#[derive(Clone, Copy, Debug, Hash, Default)]
pub enum Flow {
    /// The head is not complete.
    #[default]
    Head,
    /// So many bytes of the body are still to be released.
    Length(u64),
    /// The body is chunked.
    Chunked(Recoder),
    /// The body ends with the connection.
    UntilClose,
    /// The message is complete (as far as receiving goes).
    Done,
}

impl Flow {
    /// The flow of a message whose head was just read.
    pub fn of(body: Body) -> Flow {
        match body {
            // A tunnel has no end of its own: `FOREVER` in `to_forward` says it.
            Body::None | Body::Length(0) | Body::Tunnel => Flow::Done,
            Body::Length(n) => Flow::Length(n),
            Body::Chunked => Flow::Chunked(Recoder::default()),
            Body::UntilClose => Flow::UntilClose,
        }
    }

    /// Whether the message is complete.
    pub fn is_done(&self) -> bool {
        matches!(self, Flow::Done)
    }
}

/// Whether and how loud a session is logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum LogLevel {
    /// As its outcome has it.
    #[default]
    Usual,
    /// With this level (`set-log-level`).
    Is(Level),
    /// Not at all.
    Silent,
}

/// A request and its answer.
#[derive(Debug, Default)]
pub struct Txn {
    /// Its number (`%rt`), if it has one.
    pub number: u32,
    /// The request's head as the client sent it.
    pub request: Head,
    /// The response's head as the server sent it.
    pub response: Head,
    /// Finds the end of the request's head.
    pub request_scan: HeadScan,
    /// Finds the end of the response's head.
    pub response_scan: HeadScan,
    /// How far the request is.
    pub request_flow: Flow,
    /// How far the response is.
    pub response_flow: Flow,
    /// Bytes of the response's head as it came.
    pub head_len: u32,
    /// Where the request's body begins, counted in bytes that left the input.
    pub request_body_start: u64,
    /// Where the response's body begins, counted in received bytes.
    pub body_start: u64,
    /// The status that the client got; 0 if none.
    pub status: u16,
    /// What the log counts for the response's heads (see [`Txn::count_head`]); of heads that came
    /// from a server only if something is logged.
    pub head_bytes: u64,
    /// Bytes of the response's body without framing.
    pub body_bytes: u64,
    /// What is true of it.
    pub flags: TxnFlags,
    /// The rule that waits, by its place in its set.
    pub rule_at: u32,
    /// `txn.` variables.
    pub vars: Vars,
    /// `req.` or `res.` variables.
    pub pass: Vars,
    /// What was captured of the request and of the response.
    pub captures: [Captures; 2],
    /// The captured cookies of the request and of the response, names and all.
    pub cookies: [Option<Box<[u8]>>; 2],
    /// What the log counts for the request's head, and how long it was.
    pub request_bytes: (u32, u32),
    /// The request line as it came, where rules may change it.
    pub line: Vec<u8>,
    /// The unique id, once it was made.
    pub unique_id: Option<Box<[u8]>>,
    /// The rule that ended a set: file and line.
    pub last_rule: Option<(Arc<str>, u32)>,
    /// Where the client comes from and went to, as rules of this exchange have it.
    pub ends: [Option<Peer>; 2],
    /// How it is logged.
    pub log_level: LogLevel,
    /// `timeout server`, as a rule set it.
    pub server_timeout: Option<Duration>,
    /// `timeout tunnel`, as a rule set it.
    pub tunnel_timeout: Option<Duration>,
    /// `set-priority-class` and `set-priority-offset`.
    pub priority: (i32, i32),
    /// The rule that holds it in the tarpit: its proxy, and its place among the rules.
    pub tarpit: Option<(ProxyId, u32)>,
    /// How many of the rule sets of the proxy at hand are done.
    pub stage: u8,
}

impl Txn {
    /// Makes it new, keeping what it allocated.
    pub fn reset(&mut self) {
        self.request.clear();
        self.response.clear();
        self.request_scan = HeadScan::request();
        self.response_scan = HeadScan::response();
        self.request_flow = Flow::Head;
        self.response_flow = Flow::Head;
        self.status = 0;
        self.head_len = 0;
        self.request_body_start = 0;
        self.body_start = 0;
        self.head_bytes = 0;
        self.body_bytes = 0;
        self.flags = TxnFlags::NONE;
        self.rule_at = 0;
        self.vars.clear();
        self.pass.clear();
        self.captures.iter_mut().for_each(Vec::clear);
        self.cookies = [None, None];
        self.request_bytes = (0, 0);
        self.line.clear();
        self.unique_id = None;
        self.last_rule = None;
        self.ends = [None; 2];
        self.log_level = LogLevel::Usual;
        self.server_timeout = None;
        self.tunnel_timeout = None;
        self.priority = (0, 0);
        self.tarpit = None;
        self.stage = 0;
    }

    /// Counts a response head, as the server sent it, the way HAProxy's `%B` does: 20, the lengths
    /// of version, status and reason, of all names and values, and 1 for the end. What it has
    /// removed by then does not count: `close` and `keep-alive`, and lengths beyond the one that
    /// holds.
    #[inline]
    pub fn count_head(&mut self, body: Body) {
        let head = &self.response;
        let mut sum = head.fields_len();
        for value in head.values(Known::Connection) {
            sum -= value.len();
            sum += left_of_connection(value).map_or(0, |len| len + CONNECTION.len());
            sum -= CONNECTION.len();
        }
        if head.has(Known::ContentLength) {
            sum -= spare_lengths(head, body);
        }
        self.head_bytes += 20 + 8 + 3 + head.reason().len() as u64 + sum as u64 + 1;
    }

    /// Counts the request's head, of `len` bytes as it came, in the same way for `%U`.
    #[inline]
    pub fn count_request(&mut self, len: usize) {
        let head = &self.request;
        let line = head.method_bytes().len() + head.target().len();
        let counted = 20 + 8 + line + head.fields_len() + 1;
        self.request_bytes = (counted as u32, len as u32);
    }

    /// Whether every fact of `flags` holds.
    pub fn is(&self, flags: TxnFlags) -> bool {
        self.flags.has(flags)
    }
}

const CONNECTION: &str = "connection";
const LENGTH: &str = "content-length";

/// How many bytes of the Content-Length fields are not of the one number that holds.
fn spare_lengths(head: &Head, body: Body) -> usize {
    let mut values = head.values(Known::ContentLength);
    let Some(first) = values.next() else { return 0 };
    let holds = first.split(|b| *b == b',').next().unwrap_or(first).trim_ascii().len();
    let others: usize = values.map(|value| LENGTH.len() + value.len()).sum();
    match body {
        Body::Chunked => LENGTH.len() + first.len() + others,
        _ => first.len() - holds + others,
    }
}

/// How long a Connection field is without `close` and `keep-alive`; none if nothing is left.
fn left_of_connection(value: &[u8]) -> Option<usize> {
    let gone = |option: &&[u8]| {
        option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive")
    };
    let options = || value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    if !options().any(|option| gone(&option)) {
        return Some(value.len());
    }
    let left = options().filter(|option| !gone(option)).map(|option| option.len() + 2);
    left.reduce(|a, b| a + b).map(|len| len - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_connection_field() {
        for (value, left) in [
            ("close", None),
            ("Keep-Alive, close", None),
            ("X-Hop, keep-alive", Some(5)),
            ("close, a, b", Some(4)),
            ("a,b", Some(3)),
            ("", Some(0)),
        ] {
            assert_eq!(left_of_connection(value.as_bytes()), left, "{value}");
        }
    }
}
