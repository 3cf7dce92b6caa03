//! A poller that makes another one's answers worse, as its contract allows: what is given short or
//! not at all is announced again. It draws from its own seed and counts what it did.

use std::io::IoSlice;

use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Accepted, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Parcel, Peer, Pipe,
    Poller, Ready, Sock, SockOpt, TcpInfo, Which,
};
use tidegate_core::rng::{Rng, Seed};

/// How often what happens, of 1,000 calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratios {
    /// A receive gives less than there is.
    pub short_read: u32,
    /// A send takes less than there is room for.
    pub short_write: u32,
    /// A call finds nothing, or no room, although there is.
    pub balk: u32,
    /// An event comes twice.
    pub duplicate: u32,
    /// An event comes one harvest later.
    pub late: u32,
    /// `accept` runs out of descriptors or memory.
    pub accept_fails: u32,
    /// `connect` runs out of something.
    pub connect_fails: u32,
}

/// What was done, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Injected {
    pub short_reads: u64,
    pub short_writes: u64,
    pub balks: u64,
    pub duplicates: u64,
    pub late: u64,
    pub accept_failures: u64,
    pub connect_failures: u64,
}

impl Injected {
    /// Adds another's.
    pub fn add(&mut self, other: Injected) {
        self.short_reads += other.short_reads;
        self.short_writes += other.short_writes;
        self.balks += other.balks;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.accept_failures += other.accept_failures;
        self.connect_failures += other.connect_failures;
    }
}

/// A poller that is not to be relied on.
#[derive(Debug)]
pub struct Chaos<P> {
    inner: P,
    rng: Rng,
    ratios: Ratios,
    owed: Vec<Event>,
    /// By a socket's place: its generation, and the ends that were announced for it. Whoever is
    /// refused what was announced must hear of it whole again, the end included (P4).
    ends: Vec<(u32, Ready)>,
    injected: Injected,
}

impl<P: Poller> Chaos<P> {
    /// Wraps a poller.
    pub fn new(inner: P, seed: Seed, ratios: Ratios) -> Chaos<P> {
        let injected = Injected::default();
        Chaos { inner, rng: Rng::new(seed), ratios, owed: Vec::new(), ends: Vec::new(), injected }
    }

    /// Stops doing anything.
    pub fn calm(&mut self) {
        self.ratios = Ratios::default();
    }

    /// Whether events are owed: the host turns the engine again for them.
    pub fn pending(&self) -> bool {
        !self.owed.is_empty()
    }

    /// What was done.
    pub fn injected(&self) -> Injected {
        self.injected
    }

    /// What it wraps.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// What it wraps.
    pub fn inner_mut(&mut self) -> &mut P {
        &mut self.inner
    }

    fn hits(&mut self, ratio: u32) -> bool {
        ratio > 0 && self.rng.below(1000) < ratio
    }

    fn owe(&mut self, sock: Sock, ready: Ready) {
        let ends = match self.ends.get(sock.index as usize) {
            Some((generation, ends)) if *generation == sock.generation => *ends,
            _ => Ready::NONE,
        };
        self.owed.push(Event { sock, ready: ready.with(ends) });
    }

    fn remember(&mut self, event: Event) {
        let ends = Ready::HUP.with(Ready::ERR);
        if !event.ready.any(ends) {
            return;
        }
        let index = event.sock.index as usize;
        if index >= self.ends.len() {
            self.ends.resize(index + 1, (0, Ready::NONE));
        }
        let known = &mut self.ends[index];
        if known.0 != event.sock.generation {
            *known = (event.sock.generation, Ready::NONE);
        }
        for end in [Ready::HUP, Ready::ERR] {
            if event.ready.any(end) {
                known.1.set(end);
            }
        }
    }

    /// Whether a call is to find nothing; if so, it is announced again.
    fn balks(&mut self, sock: Sock, ready: Ready) -> bool {
        let balks = self.hits(self.ratios.balk);
        if balks {
            self.injected.balks += 1;
            self.owe(sock, ready);
        }
        balks
    }
}

impl<P: Poller> Poller for Chaos<P> {
    fn harvest(&mut self, events: &mut Vec<Event>) {
        let owed = core::mem::take(&mut self.owed);
        let from = events.len();
        self.inner.harvest(events);
        let mut at = from;
        while at < events.len() {
            self.remember(events[at]);
            if self.hits(self.ratios.late) {
                self.injected.late += 1;
                self.owed.push(events.swap_remove(at));
                continue;
            }
            if self.hits(self.ratios.duplicate) {
                self.injected.duplicates += 1;
                self.owed.push(events[at]);
            }
            at += 1;
        }
        events.extend(owed);
    }

    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault> {
        self.inner.listen(at)
    }

    fn accept(&mut self, listener: Sock) -> Accepted {
        if self.hits(self.ratios.accept_fails) {
            self.injected.accept_failures += 1;
            let all = [Fault::NoDescriptors, Fault::NoMemory];
            let fault = all[self.rng.below(2) as usize];
            return Accepted::Failed(fault);
        }
        match self.inner.accept(listener) {
            // Not every system can tell how many wait.
            Accepted::One { sock, peer, more: Some(more) } if more > 0 => {
                let more = if self.hits(self.ratios.balk) { None } else { Some(more) };
                Accepted::One { sock, peer, more }
            }
            other => other,
        }
    }

    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault> {
        if self.hits(self.ratios.connect_fails) {
            self.injected.connect_failures += 1;
            let all = [Fault::NoPorts, Fault::NoMemory, Fault::Unreachable, Fault::Refused];
            return Err(all[self.rng.below(4) as usize]);
        }
        self.inner.connect(to)
    }

    fn connect_status(&mut self, sock: Sock) -> Connecting {
        self.inner.connect_status(sock)
    }

    fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io {
        if self.balks(sock, Ready::READ) {
            return Io::Blocked;
        }
        if into.len() > 1 && self.hits(self.ratios.short_read) {
            let n = 1 + self.rng.below((into.len() - 1).min(2_000) as u32) as usize;
            self.injected.short_reads += 1;
            // A short read says that there is no more; if there is, it must be announced (P4).
            self.owe(sock, Ready::READ);
            return self.inner.recv(sock, &mut into[..n]);
        }
        self.inner.recv(sock, into)
    }

    fn send(&mut self, sock: Sock, from: &[IoSlice<'_>], more: More) -> Io {
        if self.balks(sock, Ready::WRITE) {
            return Io::Blocked;
        }
        let first = from.iter().find(|slice| !slice.is_empty());
        if let Some(first) = first.filter(|slice| slice.len() > 1)
            && self.hits(self.ratios.short_write)
        {
            let n = 1 + self.rng.below((first.len() - 1) as u32) as usize;
            self.injected.short_writes += 1;
            self.owe(sock, Ready::WRITE);
            return self.inner.send(sock, &[IoSlice::new(&first[..n])], more);
        }
        self.inner.send(sock, from, more)
    }

    fn shut_write(&mut self, sock: Sock) {
        self.inner.shut_write(sock);
    }

    fn close(&mut self, sock: Sock, how: Close) {
        // What is owed to it is stale from here on (P5).
        self.inner.close(sock, how);
    }

    fn open_pipe(&mut self, bytes: u32) -> Result<Pipe, Fault> {
        self.inner.open_pipe(bytes)
    }

    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io {
        if self.balks(sock, Ready::READ) {
            return Io::Blocked;
        }
        if max > 1 && self.hits(self.ratios.short_read) {
            self.injected.short_reads += 1;
            // Never uses readiness up (P8).
            let n = 1 + self.rng.below((max - 1).min(2_000) as u32) as usize;
            return self.inner.splice_in(sock, pipe, n);
        }
        self.inner.splice_in(sock, pipe, max)
    }

    fn splice_out(&mut self, pipe: Pipe, sock: Sock, max: usize, more: More) -> Io {
        if self.balks(sock, Ready::WRITE) {
            return Io::Blocked;
        }
        if max > 1 && self.hits(self.ratios.short_write) {
            let n = 1 + self.rng.below((max - 1).min(2_000) as u32) as usize;
            self.injected.short_writes += 1;
            self.owe(sock, Ready::WRITE);
            return self.inner.splice_out(pipe, sock, n, more);
        }
        self.inner.splice_out(pipe, sock, max, more)
    }

    fn close_pipe(&mut self, pipe: Pipe) {
        self.inner.close_pipe(pipe);
    }

    fn address(&mut self, sock: Sock, which: Which) -> Option<Peer> {
        self.inner.address(sock, which)
    }

    fn set(&mut self, sock: Sock, option: SockOpt) {
        self.inner.set(sock, option);
    }

    fn info(&mut self, sock: Sock) -> Option<TcpInfo> {
        self.inner.info(sock)
    }

    fn open_sink(&mut self, sink: u32) -> Result<Sock, Fault> {
        self.inner.open_sink(sink)
    }

    fn send_messages(&mut self, sink: Sock, messages: &[IoSlice<'_>]) -> usize {
        self.inner.send_messages(sink, messages)
    }

    fn notify(&mut self, engine: u32) {
        self.inner.notify(engine);
    }

    fn detach(&mut self, sock: Sock) -> Option<Parcel> {
        self.inner.detach(sock)
    }

    fn adopt(&mut self, parcel: Parcel) -> Option<Sock> {
        self.inner.adopt(parcel)
    }
}
