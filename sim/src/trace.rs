//! A poller that hashes what passes between an engine and another poller: every call and every
//! result. Two runs of a seed are the same if these hashes are.

use std::io::IoSlice;

use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Accepted, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Parcel, Peer, Pipe,
    Poller, Sock, SockOpt, TcpInfo, Which,
};

use crate::digest::Digest;
use crate::stopwatch::{Part, Stopwatch};

/// The hash of an engine's dealings with the world.
#[derive(Debug)]
pub struct Traced<P> {
    inner: P,
    digest: Digest,
    calls: u64,
    watch: Stopwatch,
}

impl<P: Poller> Traced<P> {
    /// Wraps a poller.
    pub fn new(inner: P, watch: Stopwatch) -> Traced<P> {
        Traced { inner, digest: Digest::default(), calls: 0, watch }
    }

    /// The hash so far.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// What it wraps.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// What it wraps.
    pub fn inner_mut(&mut self) -> &mut P {
        &mut self.inner
    }

    /// Takes something of the engine's own in.
    pub fn also(&mut self, what: impl FnOnce(&mut Digest)) {
        let _hashing = self.watch.within(Part::Digest);
        what(&mut self.digest);
    }

    fn call(&mut self, kind: u64, sock: Sock) {
        self.calls += 1;
        self.digest.number(kind << 32 | u64::from(sock.index));
        self.digest.number(u64::from(sock.generation));
    }

    fn io(&mut self, io: Io) -> Io {
        self.digest.number(match io {
            Io::Done(n) => n as u64,
            Io::Blocked => u64::MAX,
            Io::Eof => u64::MAX - 1,
            Io::Failed(fault) => u64::MAX - 2 - number_of(fault),
        });
        io
    }

    fn opened(&mut self, outcome: Result<Sock, Fault>) -> Result<Sock, Fault> {
        match outcome {
            Ok(sock) => self.call(30, sock),
            Err(fault) => self.digest.number(31 + number_of(fault)),
        }
        outcome
    }
}

fn number_of(fault: Fault) -> u64 {
    fault.explain().len() as u64 * 256 + u64::from(fault.explain().as_bytes()[0])
}

impl<P: Poller> Poller for Traced<P> {
    fn harvest(&mut self, events: &mut Vec<Event>) {
        let from = events.len();
        self.inner.harvest(events);
        for event in &events[from..] {
            self.digest.number(u64::from(event.sock.index) << 32 | u64::from(event.ready.bits()));
        }
    }

    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault> {
        let outcome = self.inner.listen(at);
        self.opened(outcome)
    }

    fn accept(&mut self, listener: Sock) -> Accepted {
        self.call(1, listener);
        let accepted = self.inner.accept(listener);
        match accepted {
            Accepted::One { sock, more, .. } => {
                self.call(2, sock);
                self.digest.number(more.map_or(u64::MAX, u64::from));
            }
            Accepted::Blocked => self.digest.number(3),
            Accepted::Failed(fault) => self.digest.number(4 + number_of(fault)),
        }
        accepted
    }

    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault> {
        let outcome = self.inner.connect(to);
        self.opened(outcome)
    }

    fn connect_status(&mut self, sock: Sock) -> Connecting {
        self.call(5, sock);
        let status = self.inner.connect_status(sock);
        self.digest.number(match status {
            Connecting::Pending => 0,
            Connecting::Done => 1,
            Connecting::Failed(fault) => 2 + number_of(fault),
        });
        status
    }

    fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io {
        self.call(6, sock);
        self.digest.number(into.len() as u64);
        let io = self.inner.recv(sock, into);
        if let Io::Done(n) = io {
            let _hashing = self.watch.within(Part::Digest);
            self.digest.bytes(&into[..n]);
        }
        self.io(io)
    }

    fn send(&mut self, sock: Sock, from: &[IoSlice<'_>], more: More) -> Io {
        self.call(7, sock);
        self.digest.number(from.iter().map(|slice| slice.len() as u64).sum());
        let io = self.inner.send(sock, from, more);
        if let Io::Done(mut n) = io {
            // What is offered in vain will be offered again.
            let _hashing = self.watch.within(Part::Digest);
            for slice in from {
                let taken = n.min(slice.len());
                self.digest.bytes(&slice[..taken]);
                n -= taken;
            }
        }
        self.io(io)
    }

    fn shut_write(&mut self, sock: Sock) {
        self.call(8, sock);
        self.inner.shut_write(sock);
    }

    fn close(&mut self, sock: Sock, how: Close) {
        let kind = match how {
            Close::Graceful => 9,
            Close::Reset => 10,
            Close::Drop => 29,
        };
        self.call(kind, sock);
        self.inner.close(sock, how);
    }

    fn open_pipe(&mut self, bytes: u32) -> Result<Pipe, Fault> {
        let pipe = self.inner.open_pipe(bytes);
        self.digest.number(11 + u64::from(pipe.is_ok()));
        pipe
    }

    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io {
        self.call(13, sock);
        let io = self.inner.splice_in(sock, pipe, max);
        self.io(io)
    }

    fn splice_out(&mut self, pipe: Pipe, sock: Sock, max: usize, more: More) -> Io {
        self.call(14, sock);
        let io = self.inner.splice_out(pipe, sock, max, more);
        self.io(io)
    }

    fn close_pipe(&mut self, pipe: Pipe) {
        self.digest.number(15 + u64::from(pipe.0));
        self.inner.close_pipe(pipe);
    }

    fn address(&mut self, sock: Sock, which: Which) -> Option<Peer> {
        self.inner.address(sock, which)
    }

    fn set(&mut self, sock: Sock, option: SockOpt) {
        self.call(16, sock);
        self.inner.set(sock, option);
    }

    fn info(&mut self, sock: Sock) -> Option<TcpInfo> {
        self.inner.info(sock)
    }

    fn open_sink(&mut self, sink: u32) -> Result<Sock, Fault> {
        let outcome = self.inner.open_sink(sink);
        self.opened(outcome)
    }

    fn send_messages(&mut self, sink: Sock, messages: &[IoSlice<'_>]) -> usize {
        self.call(17, sink);
        for message in messages {
            self.digest.bytes(message);
        }
        self.inner.send_messages(sink, messages)
    }

    fn notify(&mut self, engine: u32) {
        self.digest.number(18 << 32 | u64::from(engine));
        self.inner.notify(engine);
    }

    fn detach(&mut self, sock: Sock) -> Option<Parcel> {
        self.call(19, sock);
        self.inner.detach(sock)
    }

    fn adopt(&mut self, parcel: Parcel) -> Option<Sock> {
        let sock = self.inner.adopt(parcel);
        self.digest.number(20 + u64::from(sock.is_some()));
        sock
    }
}
