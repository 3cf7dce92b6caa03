//! The last refused request and the last refused response of every proxy, as `show errors` shows
//! them. Not a log: of each proxy and direction only the last one is kept, and of that no more
//! bytes than a buffer holds.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::http::{ChunkError, FramingError, HeadError};
use crate::poller::Peer;
use crate::proxy::spec::{ProxyId, ServerId};
use crate::time::Wall;

/// Who sent what was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// A client; it counts for the frontend.
    Request,
    /// A server; it counts for the backend.
    Response,
}

/// Why a message was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Its head is malformed.
    Head(HeadError),
    /// Nobody can say for sure how long its body is.
    Framing(FramingError),
    /// Its chunked body is malformed.
    Chunk(ChunkError),
    /// Its head has no room in a buffer.
    TooLarge,
    /// A WebSocket handshake without its key or its proof; a 101 to nothing that was asked.
    Upgrade,
    /// A body with a method that has none in HTTP/1.0.
    Payload,
}

impl Why {
    /// What is wrong, in words.
    pub fn explain(self) -> &'static str {
        match self {
            Why::Head(why) => why.explain(),
            Why::Framing(why) => why.explain(),
            Why::Chunk(why) => why.explain(),
            Why::TooLarge => "the head does not fit the buffer",
            Why::Upgrade => "a switch of protocols that is not as it must be",
            Why::Payload => "a body that HTTP/1.0 does not have with this method",
        }
    }

    /// Where the parser was, in HAProxy's words and numbers.
    pub fn state(self, direction: Direction) -> (&'static str, u32) {
        let request = direction == Direction::Request;
        match self {
            Why::Head(HeadError::FirstByte | HeadError::EmptyLines) if request => {
                ("MSG_RQBEFORE", 0)
            }
            Why::Head(HeadError::FirstByte | HeadError::EmptyLines) => ("MSG_RPBEFORE", 8),
            Why::Head(HeadError::Method) => ("MSG_RQMETH", 2),
            Why::Head(HeadError::Target | HeadError::TargetAuthority | HeadError::TargetForm) => {
                ("MSG_RQURI", 4)
            }
            Why::Head(HeadError::Version) if request => ("MSG_RQVER", 6),
            Why::Head(HeadError::Version) => ("MSG_RPVER", 10),
            Why::Head(HeadError::Status) => ("MSG_RPCODE", 12),
            Why::Head(HeadError::Incomplete | HeadError::TooLarge | HeadError::TooManyFields)
            | Why::TooLarge => ("MSG_HDR_FIRST", 16),
            Why::Head(HeadError::FieldName | HeadError::SpaceBeforeColon) => ("MSG_HDR_NAME", 17),
            Why::Head(HeadError::Control | HeadError::Nul) => ("MSG_HDR_VAL", 22),
            Why::Head(HeadError::BareCr | HeadError::BareLf) => ("MSG_HDR_L2_LF", 23),
            Why::Head(HeadError::Folded | HeadError::Host | HeadError::HostConflict)
            | Why::Framing(_) => ("MSG_HDR_L2_LWS", 24),
            Why::Upgrade | Why::Payload => ("MSG_LAST_LF", 25),
            Why::Chunk(ChunkError::DataEnd) => ("MSG_CHUNK_CRLF", 28),
            Why::Chunk(ChunkError::Trailer | ChunkError::TrailerTooLong) => ("MSG_TRAILERS", 29),
            Why::Chunk(_) => ("MSG_CHUNK_SIZE", 26),
        }
    }
}

/// The bytes of a refused message, as they lay in the buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Why it was refused.
    pub why: Why,
    /// The offset in `bytes` of the first byte in error; at most their length.
    pub at: usize,
    /// What there was of it that had not been sent on.
    pub bytes: Box<[u8]>,
    /// Bytes before it that were still to be sent on.
    pub out: usize,
    /// Bytes that were free behind it.
    pub free: usize,
    /// The size of the buffer.
    pub size: usize,
    /// Bytes still to come of the chunk that it was in.
    pub chunk_left: u64,
    /// Bytes of its body that were sent on before.
    pub body: u64,
}

/// A refused message and whose it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Counted from 0 over all proxies and both directions.
    pub number: u64,
    /// When.
    pub when: Wall,
    /// Who sent it.
    pub direction: Direction,
    /// Where the exchange came in.
    pub frontend: ProxyId,
    /// Where it went, if that was decided.
    pub backend: Option<ProxyId>,
    /// The server, if one was chosen.
    pub server: Option<ServerId>,
    /// The client.
    pub source: Peer,
    /// What was true of the client's connection, of the session and of the transaction then.
    pub flags: [u32; 3],
    /// The message.
    pub message: Message,
}

/// The last events of every proxy.
#[derive(Debug)]
pub(super) struct Errors {
    events: AtomicU64,
    /// Two of a proxy: request, response.
    last: Box<[Mutex<Option<Box<Event>>>]>,
}

impl Errors {
    pub(super) fn new(proxies: u32) -> Self {
        let last = (0..2 * proxies).map(|_| Mutex::new(None)).collect();
        Errors { events: AtomicU64::new(0), last }
    }

    /// Keeps an event in the place of the one before, and numbers it.
    pub(super) fn keep(&self, mut event: Box<Event>) {
        event.number = self.events.fetch_add(1, Relaxed);
        let proxy = match event.direction {
            Direction::Request => event.frontend,
            Direction::Response => event.backend.unwrap_or(event.frontend),
        };
        let mut place = self.place(proxy, event.direction);
        *place = Some(event);
    }

    pub(super) fn count(&self) -> u64 {
        self.events.load(Relaxed)
    }

    pub(super) fn last(&self, proxy: ProxyId, direction: Direction) -> Option<Event> {
        self.place(proxy, direction).as_deref().cloned()
    }

    fn place(&self, proxy: ProxyId, direction: Direction) -> MutexGuard<'_, Option<Box<Event>>> {
        let index = 2 * proxy as usize + usize::from(direction == Direction::Response);
        self.last[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
