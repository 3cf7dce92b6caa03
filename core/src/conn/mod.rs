//! Connections: the client's and the server's, with their transport and multiplexer.
//!
//! A [`Client`] lives as long as the client's connection and owns what HAProxy calls session scope;
//! it holds no session, no channel and no buffer while it is idle. A [`ServerConn`] outlives the
//! session that made it in the idle pool. Neither touches a socket: `engine/` does.

pub mod client;
pub mod idle;
pub mod proxy_header;

pub use client::{Client, ClientFlags};
pub use idle::{ConnId, IdleList, NO_CONN, ServerConn, ServerConns};

/// What stands between the socket and the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Transport {
    /// Nothing: the channel's own buffer is lent to the socket. (A PROXY header is read and taken
    /// off before the first session begins, and stands between nothing afterwards.) TLS becomes a
    /// further variant, which lends buffers of its own and delivers by copy.
    #[default]
    Raw,
}

/// How sessions share a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mux {
    /// One session for the whole connection (TCP mode).
    Pass,
    /// One session at a time, one after the other (HTTP/1). HTTP/2 becomes a variant with many at
    /// once.
    H1,
}
