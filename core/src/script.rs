//! A scripted, single-threaded [`Poller`] for tests and fuzzers: data in, calls out, time by hand.
//!
//! Not a network: nothing happens by itself. A test says what arrives, how much a peer takes, and
//! how a connection attempt ends, and looks at what was sent and closed. It keeps the poller's
//! contract, asserts what the core owes it (P7, no call on a closed handle), and counts what is
//! open. Several engines may share one: [`Script::engine`] says whose turn it is.
//!
//! ```text
//!   test: connect, push, end, reset, window ──► Script ◄── Poller ── engine
//!   test: sent, is_shut, closed, dialled    ◄──
//! ```

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::VecDeque;
use std::io::IoSlice;

use slab::Slab;

use crate::fault::Fault;
use crate::poller::{
    Accepted, Address, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Parcel, Peer,
    Pipe, Poller, Ready, Sock, SockOpt, TcpInfo, Which,
};

/// A socket of the script, as the test names it: it stays valid after the engine closed its end.
pub type Wire = usize;

/// What a peer does, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Arrival {
    Bytes(VecDeque<u8>),
    End,
    Reset,
}

#[derive(Debug)]
struct Line {
    sock: Sock,
    /// The engine that has it open.
    engine: u32,
    inbox: VecDeque<Arrival>,
    sent: Vec<u8>,
    window: usize,
    shut: bool,
    closed: Option<Close>,
    dead: Option<Fault>,
    connecting: Option<Connecting>,
    to: Option<Address>,
    peer: Peer,
    local: SocketAddr,
    listener: Option<u32>,
    queue: VecDeque<Wire>,
    messages: bool,
    options: Vec<SockOpt>,
}

/// The scripted poller.
#[derive(Debug, Default)]
pub struct Script {
    lines: Vec<Line>,
    socks: Slab<Wire>,
    generation: u32,
    events: Vec<Event>,
    dialled: VecDeque<Wire>,
    pipes: Slab<VecDeque<u8>>,
    ports: u16,
    /// Whose turn it is: it gets its own events, and what it opens is its own.
    pub engine: u32,
    /// The address of each listener; `127.0.0.1:8080` where there is none.
    pub bound: Vec<SocketAddr>,
    /// Answers further `accept` and `connect` calls with this shortage.
    pub shortage: Option<Fault>,
    /// Sockets that may be open at once; 0 is no limit. Beyond it: [`Fault::NoDescriptors`].
    pub fds_max: usize,
    /// Bytes that a pipe holds; 0 is as many as were asked for.
    pub pipe_max: usize,
    /// Refuses pipes.
    pub no_pipes: bool,
    /// Most bytes that one receive gives: cuts what arrives into pieces.
    pub piece_max: usize,
    /// Every so many receives and sends one is `Blocked` for no reason, and announced again; 0 is
    /// none.
    pub balk_every: u32,
    /// Hands out events in the reverse order (P9), and each of them twice.
    pub backwards: bool,
    /// How many calls of each kind were made.
    pub calls: Calls,
    /// Counts up whenever a call changed something: bytes moved, a socket was opened, ended or
    /// closed.
    pub progress: u64,
    /// Messages that sinks took, without their line feeds.
    pub logged: Vec<String>,
    /// What is known of every connection.
    pub tcp_info: Option<TcpInfo>,
    /// Engines that were notified.
    pub notified: Vec<u32>,
}

/// Counts of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// `accept`.
    pub accept: u32,
    /// `connect`.
    pub connect: u32,
    /// `recv`.
    pub recv: u32,
    /// `recv` that found nothing.
    pub recv_blocked: u32,
    /// `send`.
    pub send: u32,
    /// `splice_in` and `splice_out`.
    pub splice: u32,
    /// `shut_write` and `close`.
    pub end: u32,
    /// `info`.
    pub info: u32,
}

impl Script {
    /// A client connects to listener number `listener` of the site.
    ///
    /// # Panics
    ///
    /// If the engine does not listen there.
    pub fn connect(&mut self, listener: u32) -> Wire {
        self.connect_from(listener, IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The same from another address than `127.0.0.1`.
    ///
    /// # Panics
    ///
    /// If no engine listens there.
    pub fn connect_from(&mut self, listener: u32, from: IpAddr) -> Wire {
        let at = self.listening(listener).next().expect("an engine listens there");
        self.connect_at(at, from)
    }

    /// A client connects to the shard of a listener that `engine` has.
    ///
    /// # Panics
    ///
    /// If that engine does not listen there.
    pub fn connect_to(&mut self, listener: u32, engine: u32) -> Wire {
        let at = self.listening(listener).find(|&at| self.lines[at].engine == engine);
        self.connect_at(at.expect("the engine listens there"), IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    fn connect_at(&mut self, at: Wire, from: IpAddr) -> Wire {
        self.ports += 1;
        let peer = SocketAddr::new(from, 40_000 + self.ports);
        let wire = self.line(Peer::Inet(peer), None);
        self.lines[wire].local = self.lines[at].local;
        self.lines[at].queue.push_back(wire);
        self.announce(at, Ready::READ);
        wire
    }

    /// The peer sends bytes.
    pub fn push(&mut self, wire: Wire, bytes: &[u8]) {
        match self.lines[wire].inbox.back_mut() {
            Some(Arrival::Bytes(last)) => last.extend(bytes),
            _ => {
                let bytes = bytes.iter().copied().collect();
                self.lines[wire].inbox.push_back(Arrival::Bytes(bytes));
            }
        }
        self.announce(wire, Ready::READ);
    }

    /// The peer ends its direction.
    pub fn end(&mut self, wire: Wire) {
        self.lines[wire].inbox.push_back(Arrival::End);
        self.announce(wire, Ready::READ.with(Ready::HUP));
    }

    /// The peer resets: what was not received is lost.
    pub fn reset(&mut self, wire: Wire) {
        self.lines[wire].inbox.clear();
        self.lines[wire].inbox.push_back(Arrival::Reset);
        self.lines[wire].dead = Some(Fault::BrokenPipe);
        self.announce(wire, Ready::READ.with(Ready::HUP).with(Ready::ERR));
    }

    /// The peer takes at most `bytes` more before it has to be asked again.
    pub fn window(&mut self, wire: Wire, bytes: usize) {
        let blocked = self.lines[wire].window == 0;
        self.lines[wire].window = bytes;
        if blocked && bytes > 0 {
            self.announce(wire, Ready::WRITE);
        }
    }

    /// Whether the engine sent something there that was not looked at yet.
    pub fn has_sent(&self, wire: Wire) -> bool {
        !self.lines[wire].sent.is_empty()
    }

    /// The options that the engine set on a socket since this was last asked.
    pub fn options(&mut self, wire: Wire) -> Vec<SockOpt> {
        core::mem::take(&mut self.lines[wire].options)
    }

    /// What the engine sent since this was last asked.
    pub fn sent(&mut self, wire: Wire) -> Vec<u8> {
        core::mem::take(&mut self.lines[wire].sent)
    }

    /// The same as text.
    pub fn text(&mut self, wire: Wire) -> String {
        String::from_utf8_lossy(&self.sent(wire)).into_owned()
    }

    /// The next connection attempt of the engine, oldest first, and where it goes.
    pub fn dialled(&mut self) -> Option<(Wire, Address)> {
        let wire = self.dialled.pop_front()?;
        let to = self.lines[wire].to.clone()?;
        Some((wire, to))
    }

    /// The attempt succeeds.
    pub fn establish(&mut self, wire: Wire) {
        self.lines[wire].connecting = Some(Connecting::Done);
        let ready = Ready::WRITE.with(self.pending(wire));
        self.announce(wire, ready);
    }

    /// The attempt fails.
    pub fn refuse(&mut self, wire: Wire, fault: Fault) {
        self.lines[wire].connecting = Some(Connecting::Failed(fault));
        self.announce(wire, Ready::WRITE.with(Ready::HUP).with(Ready::ERR));
    }

    /// Whether the engine ended its direction, or closed.
    pub fn is_shut(&self, wire: Wire) -> bool {
        self.lines[wire].shut || self.lines[wire].closed.is_some()
    }

    /// How the engine closed the socket, if it did.
    pub fn closed(&self, wire: Wire) -> Option<Close> {
        self.lines[wire].closed
    }

    /// Whether the peer sent something that the engine did not receive. (Closing then resets.)
    pub fn unread(&self, wire: Wire) -> bool {
        matches!(self.lines[wire].inbox.front(), Some(Arrival::Bytes(_)))
    }

    /// The engine that has the socket open, if one has.
    pub fn holder(&self, wire: Wire) -> Option<u32> {
        let line = &self.lines[wire];
        (!line.sock.is_none() && line.closed.is_none()).then_some(line.engine)
    }

    /// Sockets that the engines have open, listeners and sinks too.
    pub fn open(&self) -> usize {
        self.socks.len()
    }

    /// Listeners and sinks among them.
    pub fn standing(&self) -> usize {
        let standing =
            |wire: Wire| self.lines[wire].listener.is_some() || self.lines[wire].messages;
        self.socks.iter().filter(|(_, wire)| standing(**wire)).count()
    }

    /// The connections that the engines have open, of clients and to servers.
    pub fn connections(&self) -> Vec<Wire> {
        let standing =
            |wire: Wire| self.lines[wire].listener.is_some() || self.lines[wire].messages;
        self.socks.iter().map(|(_, wire)| *wire).filter(|wire| !standing(*wire)).collect()
    }

    /// Pipes that the engine has open.
    pub fn pipes(&self) -> usize {
        self.pipes.len()
    }

    /// Whether events wait to be harvested by an engine.
    pub fn has_events(&self, engine: u32) -> bool {
        self.events.iter().any(|event| self.is_for(*event, engine))
    }

    fn is_for(&self, event: Event, engine: u32) -> bool {
        let wire = self.socks.get(event.sock.index as usize);
        wire.is_none_or(|wire| {
            self.lines[*wire].engine == engine || self.lines[*wire].sock != event.sock
        })
    }

    fn line(&mut self, peer: Peer, to: Option<Address>) -> Wire {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
        self.lines.push(Line {
            sock: Sock::NONE,
            engine: self.engine,
            inbox: VecDeque::new(),
            sent: Vec::new(),
            window: usize::MAX,
            shut: false,
            closed: None,
            dead: None,
            connecting: None,
            to,
            peer,
            local,
            listener: None,
            queue: VecDeque::new(),
            messages: false,
            options: Vec::new(),
        });
        self.lines.len() - 1
    }

    fn open_line(&mut self, wire: Wire) -> Sock {
        self.generation += 1;
        self.progress += 1;
        let index = self.socks.insert(wire) as u32;
        let sock = Sock { index, generation: self.generation };
        self.lines[wire].sock = sock;
        self.lines[wire].engine = self.engine;
        sock
    }

    /// As `open_line`, for a socket that was there before: what it is ready for is announced once,
    /// as registering it with the kernel does.
    fn take_line(&mut self, wire: Wire) -> Sock {
        let sock = self.open_line(wire);
        let ready = self.pending(wire);
        if !ready.is_empty() {
            self.announce(wire, ready);
        }
        sock
    }

    fn listening(&self, listener: u32) -> impl Iterator<Item = Wire> {
        let is = move |l: &Line| l.listener == Some(listener) && l.closed.is_none();
        self.lines.iter().enumerate().filter(move |(_, l)| is(l)).map(|(wire, _)| wire)
    }

    /// What has arrived already.
    fn pending(&self, wire: Wire) -> Ready {
        let ready = |arrival: &Arrival| match arrival {
            Arrival::Bytes(_) => Ready::READ,
            Arrival::End => Ready::READ.with(Ready::HUP),
            Arrival::Reset => Ready::READ.with(Ready::HUP).with(Ready::ERR),
        };
        self.lines[wire].inbox.iter().fold(Ready::NONE, |all, a| all.with(ready(a)))
    }

    fn is_full(&self) -> bool {
        self.fds_max > 0 && self.socks.len() >= self.fds_max
    }

    fn announce(&mut self, wire: Wire, ready: Ready) {
        let line = &self.lines[wire];
        let connecting = line.to.is_some()
            && !matches!(line.connecting, Some(Connecting::Done | Connecting::Failed(_)));
        if !line.sock.is_none() && line.closed.is_none() && !connecting {
            self.events.push(Event { sock: line.sock, ready });
        }
    }

    /// Whether this call finds nothing although there is something.
    fn balks(&mut self, sock: Sock, ready: Ready) -> bool {
        let calls = self.calls.recv + self.calls.send;
        if self.balk_every == 0 || !calls.is_multiple_of(self.balk_every) {
            return false;
        }
        let wire = self.socks[sock.index as usize];
        self.announce(wire, ready);
        true
    }

    fn at(&mut self, sock: Sock) -> &mut Line {
        let wire = *self.socks.get(sock.index as usize).expect("an open socket");
        let line = &mut self.lines[wire];
        assert_eq!(line.sock, sock, "a stale handle");
        line
    }
}

impl Poller for Script {
    fn harvest(&mut self, events: &mut Vec<Event>) {
        for event in core::mem::take(&mut self.events) {
            let mine = self.is_for(event, self.engine);
            if mine { events.push(event) } else { self.events.push(event) }
        }
        if self.backwards {
            events.reverse();
            events.extend_from_within(..);
        }
    }

    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault> {
        let wire = self.line(Peer::Unix, None);
        self.lines[wire].listener = Some(at.listener);
        if let Some(local) = self.bound.get(at.listener as usize) {
            self.lines[wire].local = *local;
        }
        Ok(self.open_line(wire))
    }

    fn accept(&mut self, listener: Sock) -> Accepted {
        self.calls.accept += 1;
        if let Some(fault) = self.shortage {
            return Accepted::Failed(fault);
        }
        if self.is_full() {
            return Accepted::Failed(Fault::NoDescriptors);
        }
        let line = self.at(listener);
        let Some(wire) = line.queue.pop_front() else { return Accepted::Blocked };
        let more = line.queue.len() as u32;
        let sock = self.take_line(wire);
        Accepted::One { sock, peer: self.lines[wire].peer, more: Some(more) }
    }

    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault> {
        self.calls.connect += 1;
        if let Some(fault) = self.shortage {
            return Err(fault);
        }
        if self.is_full() {
            return Err(Fault::NoDescriptors);
        }
        let wire = self.line(Peer::Unix, Some(to.to.clone()));
        self.dialled.push_back(wire);
        Ok(self.open_line(wire))
    }

    fn connect_status(&mut self, sock: Sock) -> Connecting {
        self.at(sock).connecting.unwrap_or(Connecting::Pending)
    }

    fn recv(&mut self, sock: Sock, into: &mut [u8]) -> Io {
        assert!(!into.is_empty(), "P7: receiving into nothing");
        self.calls.recv += 1;
        let pending = self.pending(self.socks[sock.index as usize]);
        if !pending.is_empty() && self.balks(sock, pending) {
            return Io::Blocked;
        }
        let most = if self.piece_max == 0 { usize::MAX } else { self.piece_max };
        let line = self.at(sock);
        let io = match line.inbox.front_mut() {
            None => Io::Blocked,
            Some(Arrival::End) => Io::Eof,
            Some(Arrival::Reset) => Io::Failed(Fault::Reset),
            Some(Arrival::Bytes(bytes)) => {
                let n = bytes.len().min(into.len()).min(most);
                let (first, second) = bytes.as_slices();
                let split = n.min(first.len());
                into[..split].copy_from_slice(&first[..split]);
                into[split..n].copy_from_slice(&second[..n - split]);
                bytes.drain(..n);
                if bytes.is_empty() {
                    line.inbox.pop_front();
                }
                self.progress += 1;
                Io::Done(n)
            }
        };
        // A piece is a short read although more is here: announced again (P4). An end or a failure
        // behind the bytes was announced when it came, and is not again (P3).
        let wire = self.socks[sock.index as usize];
        match io {
            Io::Blocked => self.calls.recv_blocked += 1,
            Io::Done(n) if n < into.len() && self.unread(wire) => {
                self.announce(wire, Ready::READ);
            }
            _ => {}
        }
        io
    }

    fn send(&mut self, sock: Sock, from: &[IoSlice<'_>], _more: More) -> Io {
        let offered: usize = from.iter().map(|s| s.len()).sum();
        assert!(offered > 0, "P7: sending nothing");
        self.calls.send += 1;
        if self.balks(sock, Ready::WRITE) {
            return Io::Blocked;
        }
        let line = self.at(sock);
        assert!(!line.shut, "A12: sending after shut_write");
        if let Some(fault) = line.dead {
            return Io::Failed(fault);
        }
        let n = offered.min(line.window);
        if n == 0 {
            return Io::Blocked;
        }
        let mut left = n;
        for slice in from {
            let part = left.min(slice.len());
            line.sent.extend_from_slice(&slice[..part]);
            left -= part;
        }
        if line.window != usize::MAX {
            line.window -= n;
        }
        self.progress += 1;
        Io::Done(n)
    }

    fn shut_write(&mut self, sock: Sock) {
        self.calls.end += 1;
        self.progress += 1;
        let line = self.at(sock);
        assert!(!line.shut, "shut twice");
        line.shut = true;
    }

    fn close(&mut self, sock: Sock, how: Close) {
        self.calls.end += 1;
        self.progress += 1;
        self.at(sock).closed = Some(how);
        self.socks.remove(sock.index as usize);
    }

    fn open_pipe(&mut self, _bytes: u32) -> Result<Pipe, Fault> {
        if self.no_pipes || self.is_full() {
            return Err(Fault::NoDescriptors);
        }
        Ok(Pipe(self.pipes.insert(VecDeque::new()) as u32))
    }

    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io {
        assert!(max > 0, "P7: receiving into nothing");
        self.calls.splice += 1;
        let held = self.pipes[pipe.0 as usize].len();
        let room = if self.pipe_max == 0 { max } else { self.pipe_max.saturating_sub(held) };
        if room == 0 {
            return Io::Blocked;
        }
        let mut block = vec![0; max.min(room).min(65_536)];
        let io = self.recv(sock, &mut block);
        if let Io::Done(n) = io {
            self.pipes[pipe.0 as usize].extend(&block[..n]);
        }
        io
    }

    fn splice_out(&mut self, pipe: Pipe, sock: Sock, max: usize, more: More) -> Io {
        self.calls.splice += 1;
        let bytes: Vec<u8> = self.pipes[pipe.0 as usize].iter().copied().take(max).collect();
        let io = self.send(sock, &[IoSlice::new(&bytes)], more);
        if let Io::Done(n) = io {
            self.pipes[pipe.0 as usize].drain(..n);
        }
        io
    }

    fn close_pipe(&mut self, pipe: Pipe) {
        self.pipes.remove(pipe.0 as usize);
    }

    fn address(&mut self, sock: Sock, which: Which) -> Option<Peer> {
        match which {
            Which::Peer => Some(self.at(sock).peer),
            Which::Local => Some(Peer::Inet(self.at(sock).local)),
        }
    }

    fn set(&mut self, sock: Sock, option: SockOpt) {
        self.at(sock).options.push(option);
    }

    fn info(&mut self, sock: Sock) -> Option<TcpInfo> {
        self.calls.info += 1;
        self.at(sock);
        self.tcp_info
    }

    fn open_sink(&mut self, _sink: u32) -> Result<Sock, Fault> {
        let wire = self.line(Peer::Unix, None);
        self.lines[wire].messages = true;
        Ok(self.open_line(wire))
    }

    fn send_messages(&mut self, sink: Sock, messages: &[IoSlice<'_>]) -> usize {
        assert!(self.at(sink).messages);
        for message in messages {
            self.logged.push(String::from_utf8_lossy(message).trim_end().to_string());
        }
        messages.len()
    }

    fn notify(&mut self, engine: u32) {
        self.notified.push(engine);
    }

    fn detach(&mut self, sock: Sock) -> Option<Parcel> {
        let wire = *self.socks.get(sock.index as usize)?;
        self.socks.remove(sock.index as usize);
        self.lines[wire].sock = Sock::NONE;
        Some(Parcel(wire as u64))
    }

    fn adopt(&mut self, parcel: Parcel) -> Option<Sock> {
        Some(self.take_line(parcel.0 as usize))
    }
}
