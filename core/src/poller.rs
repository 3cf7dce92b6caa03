//! `Poller`: the core's only way to the outside. Socket operations on opaque handles; no method
//! blocks, reads a clock or draws randomness. Waiting is not here: the host waits, `turn` does the
//! rest.
//!
//! The contract, which every backend keeps:
//!
//! - P1 nothing blocks; nothing here is a source of time or chance.
//! - P2 readiness is edge-like: announced after each change to ready. The core considers it used up
//!   only on `Blocked` or on a *short* `Done(n)` (n < offered) …
//! - P3 … except after `HUP`/`ERR`: then it goes on until `Eof` or `Failed`. (Data and FIN that
//!   arrive before one `epoll_wait` give one event and never another; stopping at a short read
//!   hangs.)
//! - P4 a backend that cannot promise P2 announces the socket again itself.
//! - P5 after `close`, nothing of that generation acts; stale events are dropped and counted.
//! - P6 `Failed` is final for that direction; calling again is `Failed` or `Eof`, never a panic.
//! - P7 sending nothing or receiving into nothing is a programming error.
//! - P8 a short `splice_in` never uses readiness up (pipe slots may be full while the pipe's bytes
//!   are few); only `Blocked` with an empty pipe does.
//! - P9 the order of events within a harvest carries no meaning.
//! - P10 an accepted socket is assumed readable and writable at once; a connecting one is neither
//!   until announced. A socket is registered once, for both directions, edge-triggered.
//! - P11 a socket or listener that the core stopped using keeps its ready bit and is retried from
//!   the cached list when the reason ends.
//! - P12 a short read at an urgent mark may hide data; such a session ends by its timeout.
//! - P13 after `close` with [`Close::Drop`] the peer hears nothing more: no end, no reset, no byte
//!   that has not left. What it sends from then on may be answered by a reset, as by a host that
//!   has lost its memory. A backend that cannot do this resets.

use core::net::SocketAddr;
use std::io::IoSlice;
use std::sync::Arc;

use crate::bit_set;
use crate::fault::Fault;
use crate::time::Duration;

/// A handle of one socket. Generations tell a stale handle from the one that took its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sock {
    /// The place in the backend's table: small numbers, used again.
    pub index: u32,
    /// Differs for each socket that takes that place.
    pub generation: u32,
}

impl Sock {
    /// Stands for no socket.
    pub const NONE: Sock = Sock { index: u32::MAX, generation: u32::MAX };

    /// Whether this stands for no socket.
    pub fn is_none(self) -> bool {
        self.index == u32::MAX
    }
}

/// A handle of one kernel pipe.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pipe(pub u32);

/// What became of one receive or send.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Io {
    /// So many bytes moved; never 0.
    Done(usize),
    /// Not now: readiness will be announced.
    Blocked,
    /// The peer finished its direction.
    Eof,
    /// The direction is dead.
    Failed(Fault),
}

/// What became of one `accept`.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// A connection. `more` is how many are known to wait behind it, if the backend can tell:
    /// with `Some(0)` the listener counts as drained and need not be asked again.
    One {
        /// The new socket.
        sock: Sock,
        /// Who connected.
        peer: Peer,
        /// How many more are queued, if known.
        more: Option<u32>,
    },
    /// Nobody waits.
    Blocked,
    /// The listener could not give a connection.
    Failed(Fault),
}

/// How far a connection attempt is.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connecting {
    /// Not yet.
    Pending,
    /// Established.
    Done,
    /// Failed for good.
    Failed(Fault),
}

/// The other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Peer {
    /// An IP address and port.
    Inet(SocketAddr),
    /// A unix socket; it has no name worth showing.
    Unix,
}

/// Where a stream or datagram socket listens or connects to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Address {
    /// An IP address and port.
    Inet(SocketAddr),
    /// A path in the file system.
    Unix(Arc<str>),
    /// A name in Linux's abstract namespace (`abns@`).
    Abstract(Arc<str>),
    /// A descriptor that the process inherited (`fd@N`).
    Fd(i32),
}

impl Address {
    /// Whether it is an IP address.
    pub fn is_inet(&self) -> bool {
        matches!(self, Address::Inet(_))
    }
}

bit_set! {
    /// What a socket is ready for.
    pub struct Ready: u8 {
        /// Bytes, an end or an error can be read; a listener has a connection.
        READ = 1,
        /// There is room to send; a connection attempt has ended.
        WRITE = 2,
        /// The peer finished its direction: read until `Eof` (P3).
        HUP = 4,
        /// The connection failed: read until `Failed` (P3).
        ERR = 8,
    }
}

/// One announcement of readiness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whose.
    pub sock: Sock,
    /// For what.
    pub ready: Ready,
}

/// Whether more bytes follow at once (`MSG_MORE`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum More {
    /// Nothing follows at once: send them.
    No,
    /// More come in the same turn: they may wait for each other.
    Yes,
}

/// How a socket is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// FIN after what is queued.
    Graceful,
    /// RST at once, discarding what is queued (`SO_LINGER` 0).
    Reset,
    /// Without a word to the peer (P13).
    Drop,
}

/// Which end's address is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Ours.
    Local,
    /// The peer's.
    Peer,
}

/// A socket option set on a live socket. A backend that has no such thing ignores it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SockOpt {
    /// `TCP_NODELAY`.
    NoDelay(bool),
    /// `SO_KEEPALIVE`.
    KeepAlive(bool),
    /// `TCP_KEEPIDLE`.
    KeepIdle(Duration),
    /// `TCP_KEEPINTVL`.
    KeepInterval(Duration),
    /// `TCP_KEEPCNT`.
    KeepCount(u32),
    /// `SO_RCVBUF` in bytes.
    ReceiveBuffer(u32),
    /// `SO_SNDBUF` in bytes.
    SendBuffer(u32),
    /// `TCP_USER_TIMEOUT`.
    UserTimeout(Duration),
    /// `TCP_QUICKACK`: false delays the acknowledgement so that it can ride on data.
    QuickAck(bool),
    /// `SO_LINGER` 0 (`option nolinger`): closing resets.
    NoLinger,
    /// `IP_TOS`, or the traffic class of an IPv6 connection: what its packets carry.
    Tos(u8),
    /// `SO_MARK`: what the host's own routing and filters know its packets by.
    Mark(u32),
}

/// What `listen` is asked for. The backend knows the rest (it may have bound long before, while it
/// still had the privileges).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListenSpec {
    /// The listener's index in `Site::listeners`.
    pub listener: u32,
}

/// What `connect` is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectSpec<'a> {
    /// Where to.
    pub to: &'a Address,
    /// The local address (`source`), if one is asked for.
    pub from: Option<SocketAddr>,
    /// Options set before connecting.
    pub options: &'a [SockOpt],
}

/// What the kernel knows of a TCP connection (`TCP_INFO`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct TcpInfo {
    /// Smoothed round-trip time in microseconds.
    pub rtt_us: u32,
    /// How much that varies, in microseconds.
    pub rtt_var_us: u32,
    /// Segments sent and not acknowledged; of a listener, the accept queue's length.
    pub unacked: u32,
    /// Segments acknowledged selectively; of a listener, the accept queue's limit.
    pub sacked: u32,
    /// Segments that are thought to be lost.
    pub lost: u32,
    /// Segments that were sent again and are not acknowledged.
    pub retrans: u32,
    /// Segments acknowledged ahead of a gap; newer kernels do not count them.
    pub fackets: u32,
    /// By how many segments packets may be out of order before one counts as lost.
    pub reordering: u32,
}

/// A socket on its way from one engine to another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Parcel(pub u64);

/// The core's only way to the outside. See the module's contract.
pub trait Poller {
    /// Appends what the last wait found. Events of closed sockets may be among them (P5).
    fn harvest(&mut self, events: &mut Vec<Event>);

    /// Opens the listener, or takes over the one the backend bound for it.
    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault>;

    /// Takes one connection from a listener.
    fn accept(&mut self, listener: Sock) -> Accepted;

    /// Starts a connection. It is neither readable nor writable until announced.
    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault>;

    /// How far an announced connection attempt is. Not needed to learn of success: a `send` that
    /// is accepted says so too.
    fn connect_status(&mut self, sock: Sock) -> Connecting;

    /// Receives into `into`, which is not empty.
    fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io;

    /// Sends the slices in order; at least one byte is in them.
    fn send(&mut self, sock: Sock, from: &[IoSlice<'_>], more: More) -> Io;

    /// Ends our direction: FIN after what is queued. The other direction goes on.
    fn shut_write(&mut self, sock: Sock);

    /// Ends the socket. Its handle is stale from here on.
    fn close(&mut self, sock: Sock, how: Close);

    /// Opens a pipe of about `bytes` capacity for splicing.
    fn open_pipe(&mut self, bytes: u32) -> Result<Pipe, Fault>;

    /// Moves up to `max` bytes from a socket into a pipe.
    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io;

    /// Moves up to `max` bytes from a pipe to a socket.
    fn splice_out(&mut self, pipe: Pipe, sock: Sock, max: usize, more: More) -> Io;

    /// Closes a pipe, losing what is in it.
    fn close_pipe(&mut self, pipe: Pipe);

    /// One end's address.
    fn address(&mut self, sock: Sock, which: Which) -> Option<Peer>;

    /// Sets an option; a failure is not worth a word.
    fn set(&mut self, sock: Sock, option: SockOpt);

    /// What the kernel knows of the connection, if it tells.
    fn info(&mut self, sock: Sock) -> Option<TcpInfo>;

    /// Opens log target number `sink` of the site (a datagram socket or a descriptor).
    fn open_sink(&mut self, sink: u32) -> Result<Sock, Fault>;

    /// Sends whole messages to a sink, in order; returns how many were taken. The rest did not fit.
    fn send_messages(&mut self, sink: Sock, messages: &[IoSlice<'_>]) -> usize;

    /// Wakes the host of another engine, or of this one, from its wait.
    fn notify(&mut self, engine: u32);

    /// Takes a socket out of this engine; `adopt` on another engine of the same host brings it
    /// back.
    fn detach(&mut self, sock: Sock) -> Option<Parcel>;

    /// Takes over a socket that another engine detached.
    fn adopt(&mut self, parcel: Parcel) -> Option<Sock>;
}

/// A poller that is lent: for what is put around one for a while.
impl<P: Poller> Poller for &mut P {
    fn harvest(&mut self, events: &mut Vec<Event>) {
        (**self).harvest(events);
    }

    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault> {
        (**self).listen(at)
    }

    fn accept(&mut self, listener: Sock) -> Accepted {
        (**self).accept(listener)
    }

    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault> {
        (**self).connect(to)
    }

    fn connect_status(&mut self, sock: Sock) -> Connecting {
        (**self).connect_status(sock)
    }

    fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io {
        (**self).recv(sock, into)
    }

    fn send(&mut self, sock: Sock, from: &[IoSlice<'_>], more: More) -> Io {
        (**self).send(sock, from, more)
    }

    fn shut_write(&mut self, sock: Sock) {
        (**self).shut_write(sock);
    }

    fn close(&mut self, sock: Sock, how: Close) {
        (**self).close(sock, how);
    }

    fn open_pipe(&mut self, bytes: u32) -> Result<Pipe, Fault> {
        (**self).open_pipe(bytes)
    }

    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io {
        (**self).splice_in(sock, pipe, max)
    }

    fn splice_out(&mut self, pipe: Pipe, sock: Sock, max: usize, more: More) -> Io {
        (**self).splice_out(pipe, sock, max, more)
    }

    fn close_pipe(&mut self, pipe: Pipe) {
        (**self).close_pipe(pipe);
    }

    fn address(&mut self, sock: Sock, which: Which) -> Option<Peer> {
        (**self).address(sock, which)
    }

    fn set(&mut self, sock: Sock, option: SockOpt) {
        (**self).set(sock, option);
    }

    fn info(&mut self, sock: Sock) -> Option<TcpInfo> {
        (**self).info(sock)
    }

    fn open_sink(&mut self, sink: u32) -> Result<Sock, Fault> {
        (**self).open_sink(sink)
    }

    fn send_messages(&mut self, sink: Sock, messages: &[IoSlice<'_>]) -> usize {
        (**self).send_messages(sink, messages)
    }

    fn notify(&mut self, engine: u32) {
        (**self).notify(engine);
    }

    fn detach(&mut self, sock: Sock) -> Option<Parcel> {
        (**self).detach(sock)
    }

    fn adopt(&mut self, parcel: Parcel) -> Option<Sock> {
        (**self).adopt(parcel)
    }
}
