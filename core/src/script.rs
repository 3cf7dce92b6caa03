//! A scripted, single-threaded [`Poller`] for tests and fuzzers: data in, calls out, time by hand.
//!
//! Not a network: nothing happens by itself. A test says what arrives, how much a peer takes, and how a
//! connection attempt ends, and looks at what was sent and closed. It keeps the poller's contract, asserts
//! what the core owes it (P7, no call on a closed handle), and counts what is open.
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
    inbox: VecDeque<Arrival>,
    sent: Vec<u8>,
    window: usize,
    shut: bool,
    closed: Option<Close>,
    dead: Option<Fault>,
    connecting: Option<Connecting>,
    to: Option<Address>,
    peer: Peer,
    listener: Option<u32>,
    queue: VecDeque<Wire>,
    messages: bool,
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
    /// Answers further `accept` and `connect` calls with this shortage.
    pub shortage: Option<Fault>,
    /// Most bytes that one receive gives: cuts what arrives into pieces.
    pub piece_max: usize,
    /// How many calls of each kind were made.
    pub calls: Calls,
    /// Messages that sinks took, without their line feeds.
    pub logged: Vec<String>,
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
}

impl Script {
    /// A client connects to listener number `listener` of the site.
    ///
    /// # Panics
    ///
    /// If the engine does not listen there.
    pub fn connect(&mut self, listener: u32) -> Wire {
        self.ports += 1;
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000 + self.ports);
        let wire = self.line(Peer::Inet(peer), None);
        let at = self.listener(listener).expect("the engine listens there");
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
        self.announce(wire, Ready::WRITE);
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

    /// Sockets that the engine has open, listeners and sinks too.
    pub fn open(&self) -> usize {
        self.socks.len()
    }

    /// Pipes that the engine has open.
    pub fn pipes(&self) -> usize {
        self.pipes.len()
    }

    /// Whether events wait to be harvested.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    fn line(&mut self, peer: Peer, to: Option<Address>) -> Wire {
        self.lines.push(Line {
            sock: Sock::NONE,
            inbox: VecDeque::new(),
            sent: Vec::new(),
            window: usize::MAX,
            shut: false,
            closed: None,
            dead: None,
            connecting: None,
            to,
            peer,
            listener: None,
            queue: VecDeque::new(),
            messages: false,
        });
        self.lines.len() - 1
    }

    fn open_line(&mut self, wire: Wire) -> Sock {
        self.generation += 1;
        let index = self.socks.insert(wire) as u32;
        let sock = Sock { index, generation: self.generation };
        self.lines[wire].sock = sock;
        sock
    }

    fn listener(&self, listener: u32) -> Option<Wire> {
        self.lines.iter().position(|l| l.listener == Some(listener) && l.closed.is_none())
    }

    fn announce(&mut self, wire: Wire, ready: Ready) {
        let line = &self.lines[wire];
        let connecting = line.to.is_some()
            && !matches!(line.connecting, Some(Connecting::Done | Connecting::Failed(_)));
        if !line.sock.is_none() && line.closed.is_none() && !connecting {
            self.events.push(Event { sock: line.sock, ready });
        }
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
        events.append(&mut self.events);
    }

    fn listen(&mut self, at: &ListenSpec) -> Result<Sock, Fault> {
        let wire = self.line(Peer::Unix, None);
        self.lines[wire].listener = Some(at.listener);
        Ok(self.open_line(wire))
    }

    fn accept(&mut self, listener: Sock) -> Accepted {
        self.calls.accept += 1;
        if let Some(fault) = self.shortage {
            return Accepted::Failed(fault);
        }
        let line = self.at(listener);
        let Some(wire) = line.queue.pop_front() else { return Accepted::Blocked };
        let more = line.queue.len() as u32;
        let sock = self.open_line(wire);
        Accepted::One { sock, peer: self.lines[wire].peer, more: Some(more) }
    }

    fn connect(&mut self, to: &ConnectSpec<'_>) -> Result<Sock, Fault> {
        self.calls.connect += 1;
        if let Some(fault) = self.shortage {
            return Err(fault);
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
        let most = if self.piece_max == 0 { usize::MAX } else { self.piece_max };
        let line = self.at(sock);
        let io = match line.inbox.front_mut() {
            None => Io::Blocked,
            Some(Arrival::End) => Io::Eof,
            Some(Arrival::Reset) => Io::Failed(Fault::Reset),
            Some(Arrival::Bytes(bytes)) => {
                let n = bytes.len().min(into.len()).min(most);
                for (to, from) in into.iter_mut().zip(bytes.drain(..n)) {
                    *to = from;
                }
                if bytes.is_empty() {
                    line.inbox.pop_front();
                }
                Io::Done(n)
            }
        };
        // A piece is a short read although more is here: announced again (P4).
        let wire = self.socks[sock.index as usize];
        match io {
            Io::Blocked => self.calls.recv_blocked += 1,
            Io::Done(n) if n < into.len() && !self.lines[wire].inbox.is_empty() => {
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
        Io::Done(n)
    }

    fn shut_write(&mut self, sock: Sock) {
        let line = self.at(sock);
        assert!(!line.shut, "shut twice");
        line.shut = true;
    }

    fn close(&mut self, sock: Sock, how: Close) {
        self.at(sock).closed = Some(how);
        self.socks.remove(sock.index as usize);
    }

    fn open_pipe(&mut self, _bytes: u32) -> Result<Pipe, Fault> {
        Ok(Pipe(self.pipes.insert(VecDeque::new()) as u32))
    }

    fn splice_in(&mut self, sock: Sock, pipe: Pipe, max: usize) -> Io {
        self.calls.splice += 1;
        let mut block = vec![0; max.min(65_536)];
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
            Which::Local => {
                Some(Peer::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)))
            }
        }
    }

    fn set(&mut self, sock: Sock, _option: SockOpt) {
        self.at(sock);
    }

    fn info(&mut self, _sock: Sock) -> Option<TcpInfo> {
        None
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
        Some(Parcel(wire as u64))
    }

    fn adopt(&mut self, parcel: Parcel) -> Option<Sock> {
        Some(self.open_line(parcel.0 as usize))
    }
}
