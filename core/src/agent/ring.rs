//! The forwarder agent: sends the messages of a ring to one of its servers, in order, over one
//! stream that stays open.
//!
//! ```text
//!                connected                        ended, failed, or takes nothing for too long
//!   Connecting ─────────────► Open ──────────────────────────────┐
//!       ▲ │ refused, or takes too long                           │
//!       │ └───────────────────► Broken ◄─────────────────────────┘
//!       │ RETRY_DELAY after the attempt before     │ closed
//!       └──────────────── Closed ◄─────────────────┘
//! ```
//!
//! It holds one buffer of messages; while that is not sent, it reads no more, and the ring goes on
//! without it: what is driven out meanwhile is lost. A connection that fails takes with it what the
//! kernel had accepted of it; the next one begins with the first message that was not sent whole.
//!
//! All forwarders belong to the first engine. What that engine itself logs wakes them. The others
//! do not: a wake costs a system call, and whoever logs would have to look whether somebody waits.
//! So where there are others, a forwarder that has sent everything looks again every
//! [`LOOK_DELAY`]; those who log know nothing of it.
//!
//! It keeps no process alive: when the first engine has nothing else left, what is in the rings is
//! sent as far as it goes at once, and the connections are closed. What other engines log after
//! that stays where it is.
//!
//! The agent has no socket and no clock; [`Forwarder::want`] says what it wants the engine to do.

use std::io::Write;

use crate::invariant;
use crate::poller::{Ready, Sock};
use crate::proxy::shared::Followed;
use crate::proxy::spec::{LogProto, RingServer, RingSpec};
use crate::tasks::TaskId;
use crate::time::{Deadline, Duration, Instant};

/// The least time between two attempts to connect.
pub const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How often a ring is looked at that other engines write to.
pub const LOOK_DELAY: Duration = Duration::from_millis(100);

/// What forwards a ring to one server.
#[derive(Debug, Hash)]
pub struct Forwarder {
    /// Which ring, and which of its servers.
    pub to: (u32, u32),
    /// Its task.
    pub task: TaskId,
    proto: LogProto,
    connect_timeout: Option<Duration>,
    server_timeout: Option<Duration>,
    state: State,
    /// When the connection is given up: it takes too long to come, or takes nothing.
    expiry: Deadline,
    /// No attempt before this.
    retry: Instant,
    /// Where the ring is read on.
    place: u64,
    /// Whether the ring had nothing more.
    idle: bool,
    /// Where in the ring the messages of `out` begin.
    begin: u64,
    /// Messages as they are sent.
    out: Vec<u8>,
    /// Of each the end, there and in the ring.
    ends: Vec<(usize, u64)>,
    /// How much of `out` is sent.
    sent: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum State {
    Closed,
    Connecting(Sock),
    Open(Sock),
    /// Useless, and still to be closed.
    Broken(Sock),
}

/// What a forwarder wants from the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Nothing until its deadline, or until something happens.
    Nothing,
    /// To be connected; answer with [`Forwarder::dialled`].
    Connect,
    /// To know how its attempt is; answer with [`Forwarder::connected`] or [`Forwarder::failed`].
    Status(Sock),
    /// To hear whether the server has ended, whatever it says; answer with [`Forwarder::failed`].
    Receive(Sock),
    /// Messages from this place on; answer with [`Forwarder::took`].
    Read(u64),
    /// [`Forwarder::output`] sent; answer with [`Forwarder::left`], also if nothing did.
    Send(Sock),
    /// Its socket closed; answer with [`Forwarder::closed`].
    Close(Sock),
}

impl Forwarder {
    /// What forwards `ring` to its `server`, which are number `to`.
    pub fn new(to: (u32, u32), task: TaskId, ring: &RingSpec, server: &RingServer) -> Self {
        Forwarder {
            to,
            task,
            proto: server.proto,
            connect_timeout: ring.connect_timeout,
            server_timeout: ring.server_timeout,
            state: State::Closed,
            expiry: Deadline::NEVER,
            retry: Instant::START,
            place: 0,
            idle: false,
            begin: 0,
            out: Vec::new(),
            ends: Vec::new(),
            sent: 0,
        }
    }

    /// Its socket, if one is open.
    pub fn sock(&self) -> Option<Sock> {
        match self.state {
            State::Closed => None,
            State::Connecting(sock) | State::Open(sock) | State::Broken(sock) => Some(sock),
        }
    }

    /// What it wants, if its socket is so ready. It is asked again until it wants nothing.
    pub fn want(&self, ready: Ready, now: Instant) -> Want {
        let readable = ready.any(Ready::READ.with(Ready::HUP).with(Ready::ERR));
        match self.state {
            State::Closed if now >= self.retry => Want::Connect,
            State::Closed => Want::Nothing,
            State::Broken(sock) => Want::Close(sock),
            State::Connecting(sock) | State::Open(sock) if self.expiry.is_due(now) => {
                Want::Close(sock)
            }
            State::Connecting(_) if ready.is_empty() => Want::Nothing,
            State::Connecting(sock) => Want::Status(sock),
            State::Open(sock) if readable => Want::Receive(sock),
            State::Open(_) if self.output().is_empty() && !self.idle => Want::Read(self.place),
            State::Open(sock) if !self.output().is_empty() && ready.has(Ready::WRITE) => {
                Want::Send(sock)
            }
            State::Open(_) => Want::Nothing,
        }
    }

    /// When it wants to be asked again. `alone` if nobody but its own engine writes to the ring.
    pub fn deadline(&self, alone: bool, now: Instant) -> Deadline {
        match self.state {
            State::Closed => Deadline::at(self.retry),
            State::Open(_) if self.idle && !alone => Deadline::after(now, Some(LOOK_DELAY)),
            _ => self.expiry,
        }
    }

    /// There may be something new in the ring.
    pub fn look_again(&mut self) {
        self.idle = false;
    }

    /// An attempt to connect was made; without a socket it has failed.
    pub fn dialled(&mut self, sock: Option<Sock>, now: Instant) {
        invariant!(self.state == State::Closed);
        self.retry = now + RETRY_DELAY;
        if let Some(sock) = sock {
            self.state = State::Connecting(sock);
            self.expiry = Deadline::after(now, self.connect_timeout);
        }
    }

    /// The connection is there.
    pub fn connected(&mut self) {
        if let State::Connecting(sock) = self.state {
            self.state = State::Open(sock);
            self.expiry = Deadline::NEVER;
            self.idle = false;
        }
    }

    /// The attempt or the connection failed, or the server ended it.
    pub fn failed(&mut self) {
        if let Some(sock) = self.sock() {
            self.state = State::Broken(sock);
        }
    }

    /// The socket is closed.
    pub fn closed(&mut self) {
        self.state = State::Closed;
        self.expiry = Deadline::NEVER;
        let whole = self.ends.partition_point(|(end, _)| *end <= self.sent);
        self.place = whole.checked_sub(1).map_or(self.begin, |last| self.ends[last].1);
        self.forget();
    }

    /// Takes messages of the ring over.
    pub fn took(&mut self, found: &Followed) {
        invariant!(self.output().is_empty());
        self.forget();
        self.begin = found.begin();
        self.place = found.next;
        self.idle = found.bytes.is_empty();
        for (message, place) in found.messages() {
            frame(self.proto, message, &mut self.out);
            self.ends.push((self.out.len(), place));
        }
        if self.idle {
            // A burst may have been the last for long.
            (self.out, self.ends) = (Vec::new(), Vec::new());
        }
    }

    /// What is to be sent.
    pub fn output(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// So much of it was sent.
    pub fn left(&mut self, n: usize, now: Instant) {
        self.sent += n;
        if self.output().is_empty() {
            self.expiry = Deadline::NEVER;
        } else if n > 0 || !self.expiry.is_set() {
            self.expiry = Deadline::after(now, self.server_timeout);
        }
    }

    /// Whether it has sent everything that it knows of.
    pub fn is_idle(&self) -> bool {
        self.idle && self.output().is_empty()
    }

    fn forget(&mut self) {
        self.begin = self.place;
        self.sent = 0;
        self.out.clear();
        self.ends.clear();
    }
}

/// Writes a message so that it can be told from the next. Like HAProxy's, a `legacy` message is
/// sent as it is: one with a line feed within (which only the configuration can put there) arrives
/// as two.
fn frame(proto: LogProto, message: &[u8], out: &mut Vec<u8>) {
    if proto == LogProto::OctetCount {
        // Writing to memory does not fail.
        let _ = write!(out, "{} ", message.len());
    }
    out.extend_from_slice(message);
    if proto == LogProto::Legacy {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
