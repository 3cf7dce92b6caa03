//! HTTP/1 messages: bytes in, values out. No policy, no I/O, no configuration, no clock.
//!
//! ```text
//!   bytes ──► HeadScan::parse ──────────► Head ──────────► write_request ──► bytes
//!             (advance: where does         │               write_response
//!              it end? parse_request,      │
//!              parse_response: what        ├──► connection, strip_hop_by_hop
//!              does it say?)               │    rules: push, set, remove, replace_value
//!                                          ▼
//!                  request_body, response_body: how long is the body? (settle: say so)
//!                                │
//!   body ──► ChunkDecoder ◄──────┘ Chunked ────────────► write_chunk_head ──► bytes
//! ```
//!
//! - [`HeadScan`] finds the end of a head while it arrives. Its cursor never moves back, so a head
//!   that comes byte by byte costs no more than one that comes whole.
//!   [`parse`](HeadScan::parse) does that and the next in one go.
//! - [`parse_request`] and [`parse_response`] turn one whole head into a [`Head`].
//! - [`Head`] is the model that rules read and change. A head that is sent on is always written
//!   from it, so what the next hop reads never depends on what the received bytes could have meant
//!   to another parser. It is recycled: in the steady state nothing here allocates.
//! - [`request_body`] and [`response_body`] decide how long a body is, and refuse what is in doubt.
//! - [`ChunkDecoder`] removes the chunked coding in place, whatever way the bytes are cut.
//!
//! The grammar is RFC 9112's without its leniencies: lines end in CRLF, one space separates the
//! parts of a start line, no white space stands before a colon, no line is folded, no value holds
//! a control character but HTAB. HAProxy repairs most of these; a peer that depends on it is rare,
//! a peer that attacks through it is not. `lenient` is for those who must live with one. Every
//! refusal is a typed error that can
//! [explain](HeadError::explain) itself and says at which byte.

mod authority;
mod chunked;
mod connection;
mod error;
mod find;
mod folded;
mod framing;
mod index;
mod known;
mod lenient;
mod model;
mod parse;
mod regular;
mod scan;
mod syntax;
mod token;
mod write;

#[cfg(test)]
mod tests;

pub use authority::{host_follows_target, target_follows_host};
pub use chunked::{
    CHUNK_HEAD_MAX, Chunk, ChunkDecoder, ChunkError, LAST_CHUNK, chunks_data, chunks_end,
    chunks_len, write_chunk_head,
};
pub use connection::{
    Connection, UpgradeField, connection, elements_of, keep_alive_wanted, strip_hop_by_hop,
};
pub use error::{BadHead, HeadError};
pub use framing::{Body, FramingError, request_body, response_body, settle, settle_unchanged};
pub use known::{Known, KnownSet, Method, Version};
pub use model::Head;
pub use parse::{HeadLimits, parse_request, parse_response};
pub use scan::{HeadScan, Scan};
pub use write::{fill_request, fill_response, write_request, write_response};
