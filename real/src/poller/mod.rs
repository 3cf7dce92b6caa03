//! `MioPoller`: the core's door to the kernel, on mio (epoll, kqueue). It holds the sockets of one
//! engine and waits for their readiness; it decides nothing.
//!
//! Every connection and listener is registered once, for both directions, edge-triggered; the token
//! of its events carries index and generation. Sockets are plain descriptors: a request on a
//! keep-alive connection costs one system call for each receive and send and nothing else.

pub mod fault;
pub mod hub;
mod pipes;
pub mod sink;
pub mod slots;
pub mod socket;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, Shutdown};
use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Accepted, Address, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Parcel, Peer,
    Pipe, Poller, Ready, Sock, SockOpt, TcpInfo, Which,
};

use self::fault::{connect_fault, fault, fault_of};
use self::hub::Hub;
use self::pipes::Pipes;
use self::sink::Output;
use self::slots::{Kind, Slots, WAKER, sock, token};

/// What an engine's poller is given to start with.
#[derive(Debug, Default)]
pub struct Openings {
    /// By listener: its bound socket, if it is this engine's.
    pub listeners: Vec<Option<OwnedFd>>,
    /// By log target: where its messages go.
    pub sinks: Vec<Option<Output>>,
}

/// The poller of one engine.
#[derive(Debug)]
pub struct MioPoller {
    poll: mio::Poll,
    events: Events,
    slots: Slots,
    pipes: Pipes,
    openings: Openings,
    hub: Arc<Hub>,
    stale: u64,
}

impl MioPoller {
    /// One poller for each of `openings`, in the order of their engines; each takes up to
    /// `events_max` events from one wait.
    pub fn for_engines(openings: Vec<Openings>, events_max: u32) -> io::Result<Vec<MioPoller>> {
        let mut polls = Vec::with_capacity(openings.len());
        let mut wakers = Vec::with_capacity(openings.len());
        for _ in &openings {
            let poll = mio::Poll::new()?;
            wakers.push(mio::Waker::new(poll.registry(), WAKER)?);
            polls.push(poll);
        }
        let hub = Arc::new(Hub::new(wakers));
        Ok(polls
            .into_iter()
            .zip(openings)
            .map(|(poll, openings)| MioPoller {
                poll,
                events: Events::with_capacity(events_max.max(1) as usize),
                slots: Slots::default(),
                pipes: Pipes::default(),
                openings,
                hub: Arc::clone(&hub),
                stale: 0,
            })
            .collect())
    }

    /// Where this engine meets the others.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Waits for readiness, a wake-up or the end of `timeout` (rounded up to milliseconds; none is
    /// for ever). A signal ends the wait with nothing found.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            done => done,
        }
    }

    /// Events dropped because their socket was closed already.
    pub fn stale_events(&self) -> u64 {
        self.stale
    }

    /// Sockets and sinks that are open.
    pub fn open_sockets(&self) -> u32 {
        self.slots.open()
    }

    fn register(&mut self, fd: OwnedFd, kind: Kind) -> Result<Sock, Fault> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut SourceFd(&fd.as_raw_fd()), token(self.slots.upcoming()), interest)
            .map_err(|error| fault_of(&error))?;
        Ok(self.slots.insert(fd, kind))
    }

    fn deregister(&self, fd: BorrowedFd<'_>) {
        // It fails only if it was not registered, which is what is wanted.
        let _ = self.poll.registry().deregister(&mut SourceFd(&fd.as_raw_fd()));
    }

    fn fd(&self, sock: Sock) -> Result<BorrowedFd<'_>, Errno> {
        self.slots.socket(sock).map(|(fd, _)| fd).ok_or(Errno::BADF)
    }

    /// Keeps the reason for which a connection failed: the kernel tells it once.
    fn judge(&mut self, sock: Sock, io: Io) -> Io {
        if let Io::Failed(fault) = io {
            self.bury(sock, fault);
        }
        io
    }

    fn bury(&mut self, sock: Sock, fault: Fault) {
        if let Some(kind @ (Kind::Tcp | Kind::Unix)) = self.slots.kind_mut(sock) {
            *kind = Kind::Dead(fault);
        }
    }

    /// Connections queued behind the one just taken from a TCP listener.
    fn queued(&mut self, listener: Sock, known: u32) -> Option<u32> {
        let queued = match known.saturating_sub(1) {
            0 => self.info(listener)?.unacked,
            left => left,
        };
        if let Some(Kind::TcpListener { queued: kept }) = self.slots.kind_mut(listener) {
            *kept = queued;
        }
        Some(queued)
    }
}

impl Poller for MioPoller {
    fn harvest(&mut self, events: &mut Vec<Event>) {
        for event in &self.events {
            if event.token() == WAKER {
                continue;
            }
            let sock = sock(event.token());
            if self.slots.socket(sock).is_none() {
                self.stale += 1;
                continue;
            }
            let mut ready = Ready::NONE;
            if event.is_readable() {
                ready.set(Ready::READ);
            }
            // A send finds out what became of a direction that is closed.
            if event.is_writable() || event.is_write_closed() {
                ready.set(Ready::WRITE);
            }
            if event.is_read_closed() {
                ready.set(Ready::READ.with(Ready::HUP));
            }
            if event.is_error() {
                ready.set(Ready::ERR);
            }
            events.push(Event { sock, ready });
        }
        self.events.clear();
    }

    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault> {
        let bound = self.openings.listeners.get_mut(at.listener as usize);
        let fd = bound.and_then(Option::take).ok_or(Fault::Other(libc::EBADF))?;
        let kind =
            if socket::is_inet(&fd) { Kind::TcpListener { queued: 0 } } else { Kind::UnixListener };
        self.register(fd, kind)
    }

    fn accept(&mut self, listener: Sock) -> Accepted {
        let Some((fd, kind)) = self.slots.socket(listener) else {
            return Accepted::Failed(Fault::Other(libc::EBADF));
        };
        // Each connection that died in the queue costs one round, so this ends.
        let (fd, from) = loop {
            match socket::accept(fd) {
                Ok(accepted) => break accepted,
                Err(Errno::AGAIN) => {
                    if let Some(Kind::TcpListener { queued }) = self.slots.kind_mut(listener) {
                        *queued = 0;
                    }
                    return Accepted::Blocked;
                }
                Err(errno) if socket::died_in_the_queue(errno) => {}
                Err(errno) => return Accepted::Failed(fault(errno)),
            }
        };
        let peer = from.as_ref().and_then(socket::peer).unwrap_or(Peer::Unix);
        let (kind, more) = match kind {
            Kind::TcpListener { queued } => (Kind::Tcp, self.queued(listener, queued)),
            _ => (Kind::Unix, None),
        };
        match self.register(fd, kind) {
            Ok(sock) => Accepted::One { sock, peer, more },
            Err(fault) => Accepted::Failed(fault),
        }
    }

    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault> {
        let kind = if matches!(to.to, Address::Inet(_)) { Kind::Tcp } else { Kind::Unix };
        let fd = socket::connect(to).map_err(|errno| connect_fault(errno, kind == Kind::Unix))?;
        // Registered only now: before `connect`, epoll would announce a hang-up.
        self.register(fd, kind)
    }

    fn connect_status(&mut self, sock: Sock) -> Connecting {
        let Some((fd, kind)) = self.slots.socket(sock) else {
            return Connecting::Failed(Fault::Other(libc::EBADF));
        };
        if let Kind::Dead(fault) = kind {
            return Connecting::Failed(fault);
        }
        let errno = match rustix::net::sockopt::socket_error(fd) {
            Ok(Err(errno)) | Err(errno) => errno,
            Ok(Ok(())) => match rustix::net::getpeername(fd) {
                Ok(_) => return Connecting::Done,
                Err(Errno::NOTCONN) => return Connecting::Pending,
                Err(errno) => errno,
            },
        };
        let fault = connect_fault(errno, kind == Kind::Unix);
        self.bury(sock, fault);
        Connecting::Failed(fault)
    }

    fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io {
        assert!(!into.is_empty(), "receiving into nothing (P7)");
        let fd = match self.fd(sock) {
            Ok(fd) => fd,
            Err(errno) => return Io::Failed(fault(errno)),
        };
        let io = outcome(|| rustix::net::recv(fd, &mut *into, RecvFlags::empty()).map(|(_, n)| n));
        self.judge(sock, io)
    }

    fn send(&mut self, sock: Sock, from: &[IoSlice<'_>], more: More) -> Io {
        debug_assert!(from.iter().any(|slice| !slice.is_empty()), "sending nothing (P7)");
        let fd = match self.fd(sock) {
            Ok(fd) => fd,
            Err(errno) => return Io::Failed(fault(errno)),
        };
        let flags = socket::send_flags(more);
        let io = outcome(|| match from {
            [slice] => rustix::net::send(fd, slice, flags),
            slices => {
                let slices = &slices[..slices.len().min(SLICES_MAX)];
                rustix::net::sendmsg(fd, slices, &mut SendAncillaryBuffer::default(), flags)
            }
        });
        self.judge(sock, io)
    }

    fn shut_write(&mut self, sock: Sock) {
        if let Ok(fd) = self.fd(sock) {
            // It fails if the connection is gone, which the next receive will say.
            let _ = rustix::net::shutdown(fd, Shutdown::Write);
        }
    }

    fn close(&mut self, sock: Sock, how: Close) {
        self.slots.remove_sink(sock);
        let Some((fd, kind)) = self.slots.remove(sock) else { return };
        match how {
            Close::Graceful => {}
            Close::Reset => {
                let _ = rustix::net::sockopt::set_socket_linger(&fd, Some(Duration::ZERO));
            }
            Close::Drop => socket::silence(fd.as_fd()),
        }
        // Closing the last descriptor of a socket ends its registration, but a listener may have
        // others (a sibling's, our parent's).
        if kind.is_listener() {
            self.deregister(fd.as_fd());
        }
    }

    fn open_pipe(&mut self, bytes: u32) -> Result<Pipe, Fault> {
        self.pipes.open(bytes).map_err(fault)
    }

    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io {
        assert!(max > 0, "receiving into nothing (P7)");
        outcome(|| self.pipes.fill(self.fd(sock)?, pipe, max))
    }

    fn splice_out(&mut self, pipe: Pipe, sock: Sock, max: usize, more: More) -> Io {
        assert!(max > 0, "sending nothing (P7)");
        outcome(|| self.pipes.drain(pipe, self.fd(sock)?, max, more == More::Yes))
    }

    fn close_pipe(&mut self, pipe: Pipe) {
        self.pipes.close(pipe);
    }

    fn address(&mut self, sock: Sock, which: Which) -> Option<Peer> {
        let fd = self.fd(sock).ok()?;
        let name = match which {
            Which::Local => rustix::net::getsockname(fd).ok(),
            Which::Peer => rustix::net::getpeername(fd).ok()?,
        };
        // The nameless end of a unix socket has no address at all.
        name.as_ref().map_or(Some(Peer::Unix), socket::peer)
    }

    fn set(&mut self, sock: Sock, option: SockOpt) {
        if let Ok(fd) = self.fd(sock) {
            let _ = socket::set(fd, option);
        }
    }

    fn info(&mut self, sock: Sock) -> Option<TcpInfo> {
        socket::info(self.fd(sock).ok()?)
    }

    fn open_sink(&mut self, sink: u32) -> Result<Sock, Fault> {
        match self.openings.sinks.get(sink as usize) {
            Some(Some(_)) => Ok(self.slots.insert_sink(sink)),
            _ => Err(Fault::Other(libc::EBADF)),
        }
    }

    fn send_messages(&mut self, sink: Sock, messages: &[IoSlice<'_>]) -> usize {
        let Some(number) = self.slots.sink(sink) else { return 0 };
        match self.openings.sinks.get_mut(number as usize) {
            Some(Some(output)) => output.send(messages),
            _ => 0,
        }
    }

    fn notify(&mut self, engine: u32) {
        self.hub.wake(engine);
    }

    fn detach(&mut self, sock: Sock) -> Option<Parcel> {
        let (fd, kind) = self.slots.remove(sock)?;
        self.deregister(fd.as_fd());
        Some(self.hub.leave(fd, kind))
    }

    fn adopt(&mut self, parcel: Parcel) -> Option<Sock> {
        let (fd, kind) = self.hub.fetch(parcel)?;
        self.register(fd, kind).ok()
    }
}

/// `IOV_MAX` on every system we know; the rest waits for the next call.
const SLICES_MAX: usize = 1024;

/// Makes a call until it is not interrupted, and says what became of it.
#[inline]
fn outcome(mut call: impl FnMut() -> Result<usize, Errno>) -> Io {
    loop {
        return match call() {
            Ok(0) => Io::Eof,
            Ok(n) => Io::Done(n),
            Err(Errno::AGAIN) => Io::Blocked,
            Err(Errno::INTR) => continue,
            Err(errno) => Io::Failed(fault(errno)),
        };
    }
}
