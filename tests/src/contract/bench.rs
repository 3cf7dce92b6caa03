//! The core's part: what is ready, used up by the core's rules.

use std::collections::BTreeMap;
use std::io::IoSlice;

use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Accepted, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Poller, Ready, Sock,
};

use super::Harness;

/// All that says that a receive is worth a try.
const INCOMING: Ready = Ready::READ.with(Ready::HUP).with(Ready::ERR);

/// Engine 0 of a host, and what its sockets are ready for.
pub struct Bench<H> {
    /// The host.
    pub host: H,
    ready: BTreeMap<(u32, u32), Ready>,
}

impl<H: Harness> Bench<H> {
    /// A host on which nothing was done yet.
    pub fn new(host: H) -> Self {
        Bench { host, ready: BTreeMap::new() }
    }

    /// The poller.
    pub fn net(&mut self) -> &mut H::Net {
        self.host.engine(0)
    }

    /// What a socket is ready for.
    pub fn ready(&self, sock: Sock) -> Ready {
        self.ready.get(&key(sock)).copied().unwrap_or(Ready::NONE)
    }

    fn note(&mut self, sock: Sock, ready: Ready) {
        let known = self.ready.entry(key(sock)).or_insert(Ready::NONE);
        *known = known.with(ready);
    }

    fn used_up(&mut self, sock: Sock, ready: Ready) {
        let left = self.ready(sock).without(ready);
        self.ready.insert(key(sock), left);
    }

    /// Notes what was announced.
    pub fn take_in(&mut self, events: Vec<Event>) {
        for event in events {
            self.note(event.sock, event.ready);
        }
    }

    /// Waits for more announcements.
    pub async fn absorb(&mut self) {
        match self.host.wait(0).await {
            Some(events) => self.take_in(events),
            None => panic!("nothing will ever come; known: {:?}", self.ready),
        }
    }

    /// Notes what is announced by now.
    pub fn glance(&mut self) {
        let events = self.host.glance(0);
        self.take_in(events);
    }

    /// Waits until `sock` is ready for something of `ready`; says all that it is ready for.
    pub async fn until(&mut self, sock: Sock, ready: Ready) -> Ready {
        while !self.ready(sock).any(ready) {
            self.absorb().await;
        }
        self.ready(sock)
    }

    /// Opens a listener.
    pub fn listen(&mut self, listener: u32) -> Sock {
        let sock = self.net().listen(&ListenSpec { listener }).expect("a listener");
        self.note(sock, Ready::READ);
        sock
    }

    /// Starts a connection, again and again if the backend says that something is short.
    pub async fn dial(&mut self, listener: u32) -> Sock {
        let to = self.host.address(listener);
        let spec = ConnectSpec { to: &to, from: None, options: &[] };
        for _ in 0..100 {
            match self.net().connect(&spec) {
                Ok(sock) => return sock,
                Err(fault) => assert!(!H::PROMPT, "{fault:?}"),
            }
            self.host.settle().await;
        }
        panic!("no connection can be made");
    }

    /// Waits until a connection is established.
    pub async fn established(&mut self, sock: Sock) {
        self.until(sock, Ready::WRITE).await;
        assert_eq!(self.net().connect_status(sock), Connecting::Done);
    }

    /// Takes a connection, waiting for one.
    pub async fn accept(&mut self, listener: Sock) -> Sock {
        loop {
            self.until(listener, Ready::READ).await;
            match self.try_accept(listener) {
                Accepted::One { sock, .. } => return sock,
                Accepted::Blocked => {}
                Accepted::Failed(fault) => {
                    assert!(!H::PROMPT && fault.is_shortage(), "{fault:?}");
                    self.host.settle().await;
                }
            }
        }
    }

    /// Takes a connection if there is one. It is ready for everything (P10).
    pub fn try_accept(&mut self, listener: Sock) -> Accepted {
        let accepted = self.net().accept(listener);
        match accepted {
            Accepted::One { sock, .. } => self.note(sock, Ready::READ.with(Ready::WRITE)),
            Accepted::Blocked => self.used_up(listener, Ready::READ),
            Accepted::Failed(_) => {}
        }
        accepted
    }

    /// A connected pair: who connected, and who was accepted.
    pub async fn pair(&mut self) -> (Sock, Sock) {
        let listener = self.listen(0);
        let (near, far) = self.connect_to(listener, 0).await;
        self.close(listener, Close::Graceful);
        (near, far)
    }

    /// Another pair, by a listener that is open.
    pub async fn connect_to(&mut self, listener: Sock, number: u32) -> (Sock, Sock) {
        let near = self.dial(number).await;
        let far = self.accept(listener).await;
        self.established(near).await;
        (near, far)
    }

    /// Closes a socket.
    pub fn close(&mut self, sock: Sock, how: Close) {
        self.net().close(sock, how);
        self.ready.remove(&key(sock));
    }

    /// Receives once, and uses readiness up as the core does.
    pub fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io {
        let offered = into.len();
        let io = self.net().recv(sock, into);
        self.received(sock, io, offered);
        io
    }

    fn received(&mut self, sock: Sock, io: Io, offered: usize) {
        match io {
            Io::Done(n) => {
                assert!(n > 0 && n <= offered, "{n} of {offered}");
                if n < offered && !self.ready(sock).any(Ready::HUP.with(Ready::ERR)) {
                    self.used_up(sock, Ready::READ);
                }
            }
            Io::Eof => self.used_up(sock, Ready::READ.with(Ready::HUP)),
            Io::Blocked | Io::Failed(_) => self.used_up(sock, INCOMING),
        }
    }

    /// Sends once, and uses readiness up as the core does.
    pub fn send(&mut self, sock: Sock, bytes: &[u8]) -> Io {
        let io = self.net().send(sock, &[IoSlice::new(bytes)], More::No);
        match io {
            Io::Done(n) => {
                assert!(n > 0 && n <= bytes.len(), "{n} of {}", bytes.len());
                if n < bytes.len() {
                    self.used_up(sock, Ready::WRITE);
                }
            }
            Io::Blocked => self.used_up(sock, Ready::WRITE),
            Io::Eof => panic!("a send has no end"),
            Io::Failed(_) => {}
        }
        io
    }

    /// Sends all of `bytes`, waiting for room.
    pub async fn send_all(&mut self, sock: Sock, bytes: &[u8]) {
        let mut sent = 0;
        while sent < bytes.len() {
            self.until(sock, Ready::WRITE).await;
            match self.send(sock, &bytes[sent..]) {
                Io::Done(n) => sent += n,
                Io::Blocked => {}
                other => panic!("{other:?} after {sent} bytes"),
            }
        }
    }

    /// Sends bytes for which there is room: all of them in one call, if the backend is prompt.
    pub async fn send_now(&mut self, sock: Sock, bytes: &[u8]) {
        if H::PROMPT {
            assert_eq!(self.send(sock, bytes), Io::Done(bytes.len()));
        } else {
            self.note(sock, Ready::WRITE);
            self.send_all(sock, bytes).await;
        }
    }

    /// Receives `n` bytes, waiting for them.
    pub async fn read(&mut self, sock: Sock, n: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < n {
            self.until(sock, INCOMING).await;
            // More is offered than is there: that is what uses readiness up.
            let mut into = vec![0; n - all.len() + 64];
            match self.recv(sock, &mut into) {
                Io::Done(got) => all.extend_from_slice(&into[..got]),
                Io::Blocked => {}
                other => panic!("{other:?} after {} bytes", all.len()),
            }
        }
        assert_eq!(all.len(), n, "more came than was sent");
        all
    }

    /// Receives to the end, `offered` bytes at a time; the end is `Eof` or a fault.
    pub async fn read_to_end(
        &mut self,
        sock: Sock,
        offered: usize,
    ) -> (Vec<u8>, Result<(), Fault>) {
        let (mut all, mut into) = (Vec::new(), vec![0; offered]);
        loop {
            self.until(sock, INCOMING).await;
            match self.recv(sock, &mut into) {
                Io::Done(n) => all.extend_from_slice(&into[..n]),
                Io::Blocked => {}
                Io::Eof => return (all, Ok(())),
                Io::Failed(fault) => return (all, Err(fault)),
            }
        }
    }

    /// Whether a receive finds nothing.
    pub fn is_silent(&mut self, sock: Sock) -> bool {
        self.recv(sock, &mut [0; 64]) == Io::Blocked
    }

    /// Moves bytes from a socket into a pipe that holds `held`.
    pub fn splice_in(
        &mut self,
        sock: Sock,
        pipe: tidegate_core::poller::Pipe,
        max: usize,
        held: usize,
    ) -> Io {
        let io = self.net().splice_in(sock, pipe, max);
        match io {
            // It may be the pipe that is full.
            Io::Blocked if held > 0 => {}
            // A short one says nothing.
            Io::Done(_) => {}
            other => self.received(sock, other, max),
        }
        io
    }

    /// Moves bytes from a pipe to a socket. As in the core, only `Blocked` uses readiness up.
    pub fn splice_out(&mut self, pipe: tidegate_core::poller::Pipe, sock: Sock, max: usize) -> Io {
        let io = self.net().splice_out(pipe, sock, max, More::No);
        if io == Io::Blocked {
            self.used_up(sock, Ready::WRITE);
        }
        io
    }
}

fn key(sock: Sock) -> (u32, u32) {
    (sock.index, sock.generation)
}
