//! The HTTP transaction of a session: both heads, and how far each message is.
//!
//! Not the rules (they are analysers) and not the bytes (they are in the channels).

use crate::bit_set;
use crate::http::{Body, ChunkDecoder, Head, HeadScan};

bit_set! {
    /// What is true of a transaction.
    pub struct TxnFlags: u16 {
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
        /// Some of the request's body was released, so that it can't be sent again.
        BODY_RELEASED = 64,
        /// The client asked for another protocol, and 101 would be fitting.
        UPGRADE = 128,
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
    }
}

/// Decodes a chunked body and encodes it anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recoder {
    /// What comes in.
    pub decoder: ChunkDecoder,
    /// A chunk's size went out, and the CRLF behind its data has not yet.
    pub open: bool,
}

/// How far a message is behind its head.
#[derive(Clone, Copy, Debug, Default)]
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

/// A request and its answer.
#[derive(Debug, Default)]
pub struct Txn {
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
    /// Where the response's body begins, counted in received bytes.
    pub body_start: u64,
    /// The status that the client got; 0 if none.
    pub status: u16,
    /// What the log counts for the response's heads (see [`Txn::count_head`]).
    pub head_bytes: u64,
    /// Bytes of the response's body without framing.
    pub body_bytes: u64,
    /// What is true of it.
    pub flags: TxnFlags,
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
        self.body_start = 0;
        self.head_bytes = 0;
        self.body_bytes = 0;
        self.flags = TxnFlags::NONE;
    }

    /// Counts a response head as HAProxy's `%B` does: 20, the lengths of version, status and reason, of all
    /// names and values as the server sent them, and 1 for the end.
    pub fn count_head(&mut self) {
        let fields: usize = self.response.fields().map(|(n, v)| n.len() + v.len()).sum();
        self.head_bytes += 20 + 8 + 3 + self.response.reason().len() as u64 + fields as u64 + 1;
    }

    /// Whether every fact of `flags` holds.
    pub fn is(&self, flags: TxnFlags) -> bool {
        self.flags.has(flags)
    }
}
