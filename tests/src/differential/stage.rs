//! One case through one proxy: a client and a recording origin, moved by one poll loop.
//!
//! Nothing is timed but silence. What is sent in parts goes on when nothing came for a moment. When
//! nothing came for a while, what both sides wait for is nudged: the origin ends an answer that is not whole, then the client ends its side. Whether the
//! client's connection was kept is found by a second request, the probe, behind the last answer.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::grammar::Case;
use super::proxies::Lane;
use super::wire::{self, Framing, Message};

pub const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n";
const PROBED: &[u8] = b"HTTP/1.1 200 OK\r\nX-Probe: 1\r\nContent-Length: 5\r\n\r\nprobe";
const TURN: &[u8] = b"HTTP/1.1 200 OK\r\nX-Turn: 1\r\nContent-Length: 4\r\n\r\nturn";
const TURN_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nX-Turn: 1\r\nContent-Length: 4\r\n\r\n";
const NO_TUNNEL: &[u8] = b"HTTP/1.1 403 No\r\nX-Turn: 1\r\nContent-Length: 0\r\n\r\n";
const PING: &[u8] = b"ping";
const PONG: &[u8] = b"pong";

/// Of a silence after which nothing will come, the part after which what came is dealt with.
const PAUSES: u32 = 8;

/// Longest wait for the proxy to close what it has of a case that is over.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How the client's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It could be used again.
    Kept,
    /// By a FIN or a RST of the proxy, unasked.
    Closed,
    /// By the proxy, after the client ended its side.
    Nudged,
    /// Not at all: the proxy neither answered nor closed.
    Hung,
}

/// A request that reached the origin.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The number of its connection, in this run.
    pub connection: usize,
    pub message: Message,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the client got; the last may be cut.
    pub answers: Vec<Message>,
    /// The same as bytes.
    pub client: Vec<u8>,
    /// Behind a 101 or a granted CONNECT.
    pub tunnel: Vec<u8>,
    pub end: End,
    /// The probe was sent.
    pub probed: bool,
    /// What reached the origin, in the order in which it was whole.
    pub arrivals: Vec<Arrival>,
    /// The same as bytes, by connection.
    pub connections: Vec<Vec<u8>>,
    /// Bytes to the origin behind an upgrade.
    pub raw: Vec<u8>,
    /// The proxy kept a server's connection although both its ends were over.
    pub leaked: bool,
    /// The client's connection ended in a RST.
    pub reset: bool,
}

impl Outcome {
    /// Final answers.
    pub fn finals(&self) -> impl Iterator<Item = &Message> {
        self.answers.iter().filter(|answer| !answer.is_interim())
    }

    /// Methods of the requests, as the origin saw them.
    pub fn methods(&self) -> Vec<&[u8]> {
        self.arrivals.iter().map(|arrival| arrival.message.word(0)).collect()
    }
}

/// One end of a connection.
struct Wire {
    socket: TcpStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    /// What is to be sent later.
    parts: VecDeque<Vec<u8>>,
    /// Our side ends behind the last part.
    finish_behind: bool,
    /// Our side ends behind the outbox.
    finish: bool,
    finished: bool,
    ended: bool,
    /// By a RST, or by something as bad.
    broken: bool,
}

impl Wire {
    fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let (inbox, outbox) = (Vec::new(), Vec::new());
        Ok(Self {
            socket,
            inbox,
            outbox,
            parts: VecDeque::new(),
            finish_behind: false,
            finish: false,
            finished: false,
            ended: false,
            broken: false,
        })
    }

    fn send(&mut self, bytes: &[u8]) {
        self.outbox.extend_from_slice(bytes);
        self.flush();
    }

    fn finish(&mut self) {
        self.finish = true;
        self.flush();
    }

    fn flush(&mut self) {
        while !self.outbox.is_empty() {
            match self.socket.write(&self.outbox) {
                Ok(n) => _ = self.outbox.drain(..n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Nobody reads it any more; what was read before is still to be looked at.
                Err(_) => self.outbox.clear(),
            }
        }
        if self.finish && !self.finished {
            self.finished = true;
            // It may be reset already.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }

    /// Sends these parts, one now.
    fn send_parts(&mut self, mut parts: VecDeque<Vec<u8>>) {
        if let Some(first) = parts.pop_front() {
            self.send(&first);
        }
        self.parts = parts;
    }

    /// Sends the next part, if there is one and somebody to read it.
    fn next_part(&mut self) -> bool {
        let Some(part) = self.parts.pop_front().filter(|_| !self.ended) else { return false };
        self.send(&part);
        if self.finish_behind && self.parts.is_empty() {
            self.finish();
        }
        true
    }

    /// Reads all that is there.
    fn read(&mut self) {
        let mut bytes = [0; 16_384];
        while !self.ended {
            match self.socket.read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(n) => self.inbox.extend_from_slice(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.ended = true;
                    self.broken = true;
                }
            }
        }
    }

    fn interest(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        if !self.ended {
            flags |= PollFlags::IN;
        }
        if !self.outbox.is_empty() {
            flags |= PollFlags::OUT;
        }
        flags
    }
}

/// A connection at the origin.
struct Served {
    wire: Wire,
    /// So much of the inbox is whole requests.
    read: usize,
    /// What follows is no HTTP.
    raw: bool,
    ponged: bool,
    answered: bool,
    /// Its last request was answered before it was whole.
    early: bool,
}

struct Stage<'a> {
    case: &'a Case,
    lane: &'a Lane,
    client: Wire,
    served: Vec<Served>,
    arrivals: Vec<Arrival>,
    answers: Vec<Message>,
    probed: bool,
    pinged: bool,
    quiet: Duration,
}

/// Runs a case; `quiet` is how long a silence means that nothing will come.
pub fn run(case: &Case, lane: &Lane, quiet: Duration) -> io::Result<Outcome> {
    let mut client = Wire::new(TcpStream::connect(lane.at(case.variant))?)?;
    client.send_parts(parts(&case.sent, &case.cuts));
    let mut stage = Stage {
        case,
        lane,
        client,
        served: Vec::new(),
        arrivals: Vec::new(),
        answers: Vec::new(),
        probed: false,
        pinged: false,
        quiet,
    };
    let end = stage.play()?;
    let leaked = !stage.drain()?;
    Ok(stage.outcome(end, leaked))
}

/// A text cut into parts.
fn parts(text: &[u8], cuts: &[usize]) -> VecDeque<Vec<u8>> {
    let mut at = 0;
    let ends = cuts.iter().map(|cut| (*cut).min(text.len())).chain([text.len()]);
    ends.map(|end| text[std::mem::replace(&mut at, end)..end].to_vec())
        .filter(|part| !part.is_empty())
        .collect()
}

/// Waits until nothing comes at a lane's origin any more, and ends what came.
pub fn settle(lane: &Lane, quiet: Duration) -> io::Result<()> {
    let mut strays: Vec<Wire> = Vec::new();
    let deadline = Instant::now() + DRAIN_MAX;
    while Instant::now() < deadline {
        let mut fds = vec![PollFd::from_borrowed_fd(lane.origin.as_fd(), PollFlags::IN)];
        for stray in strays.iter().filter(|stray| !stray.ended) {
            fds.push(PollFd::from_borrowed_fd(stray.socket.as_fd(), PollFlags::IN));
        }
        if rustix::io::retry_on_intr(|| poll(&mut fds, Some(&timespec(quiet))))? == 0 {
            break;
        }
        while let Ok((socket, _)) = lane.origin.accept() {
            let mut stray = Wire::new(socket)?;
            stray.finish();
            strays.push(stray);
        }
        strays.iter_mut().for_each(Wire::read);
    }
    Ok(())
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) }
}

impl Stage<'_> {
    fn play(&mut self) -> io::Result<End> {
        loop {
            let more = !self.client.parts.is_empty()
                || self.served.iter().any(|served| !served.wire.parts.is_empty());
            if self.wait(if more { self.quiet / PAUSES } else { self.quiet })? {
                self.serve();
                self.understand();
            } else if more {
                self.client.next_part();
                self.served.iter_mut().for_each(|served| _ = served.wire.next_part());
            } else if !self.nudge() {
                return Ok(End::Hung);
            }
            let tunnel = self.answers.last().is_some_and(|a| a.framing == Framing::Tunnel);
            if self.client.ended {
                return Ok(if self.client.finish { End::Nudged } else { End::Closed });
            }
            if self.probed && !tunnel && self.answers.last().is_some_and(is_probed) {
                return Ok(End::Kept);
            }
        }
    }

    /// Waits for events and reads. False after a silence.
    fn wait(&mut self, longest: Duration) -> io::Result<bool> {
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.client.socket.as_fd(), self.client.interest()),
            PollFd::from_borrowed_fd(self.lane.origin.as_fd(), PollFlags::IN),
        ];
        for served in &self.served {
            let (fd, flags) = (served.wire.socket.as_fd(), served.wire.interest());
            // An ended connection is always ready, so don't ask about it.
            if !flags.is_empty() {
                fds.push(PollFd::from_borrowed_fd(fd, flags));
            }
        }
        if self.client.interest().is_empty() {
            fds.swap_remove(0);
        }
        if rustix::io::retry_on_intr(|| poll(&mut fds, Some(&timespec(longest))))? == 0 {
            return Ok(false);
        }
        loop {
            match self.lane.origin.accept() {
                Ok((socket, _)) => self.served.push(Served {
                    wire: Wire::new(socket)?,
                    read: 0,
                    raw: false,
                    ponged: false,
                    answered: false,
                    early: false,
                }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.client.flush();
        self.client.read();
        for served in &mut self.served {
            served.wire.flush();
            served.wire.read();
        }
        Ok(true)
    }

    /// The origin answers what is whole.
    fn serve(&mut self) {
        for (connection, served) in self.served.iter_mut().enumerate() {
            while !served.raw {
                let Some(message) = wire::request(&served.wire.inbox[served.read..]) else { break };
                let first = self.arrivals.is_empty();
                if !message.complete {
                    let early = self.case.early
                        && first
                        && message.headed
                        && !tunnels(&self.case.answer, message.word(0));
                    if early && !served.early {
                        served.early = true;
                        served.answered = true;
                        served.wire.send(&self.case.answer);
                    }
                    break;
                }
                served.read += message.len;
                served.answered = true;
                if std::mem::take(&mut served.early) {
                    self.arrivals.push(Arrival { connection, message });
                    continue;
                }
                let (method, target) = (message.word(0), message.word(1));
                let (answer, closes) = match (method, target) {
                    _ if first => (&self.case.answer[..], self.case.closes),
                    (b"CONNECT", _) => (NO_TUNNEL, false),
                    (_, b"/probe") => (PROBED, false),
                    (b"HEAD", _) => (TURN_HEAD, false),
                    _ => (TURN, false),
                };
                served.raw = first && tunnels(answer, method);
                let cuts = if first { &self.case.answer_cuts[..] } else { &[] };
                served.wire.finish_behind = closes;
                served.wire.send_parts(parts(answer, cuts));
                if closes && served.wire.parts.is_empty() {
                    served.wire.finish();
                }
                self.arrivals.push(Arrival { connection, message });
            }
            if served.raw && !served.ponged && served.wire.inbox.len() > served.read {
                served.ponged = true;
                served.wire.send(PONG);
                served.wire.finish();
            }
        }
    }

    /// The client reads what it got, and goes on.
    fn understand(&mut self) {
        let methods: Vec<&[u8]> = self.arrivals.iter().map(|a| a.message.word(0)).collect();
        // What is cut by a reset is not ended.
        let ended = self.client.ended && !self.client.broken;
        self.answers = answers(&self.client.inbox, &methods, ended);
        let finals = self.answers.iter().filter(|a| !a.is_interim() && a.complete).count();
        if finals >= self.case.meant && self.client.parts.is_empty() {
            self.go_on();
        }
    }

    /// Behind a whole answer that keeps the connection, sends the probe; into a tunnel, something.
    fn go_on(&mut self) -> bool {
        let Some(last) = self.answers.last() else { return false };
        let whole = last.complete && !last.is_interim();
        if last.framing == Framing::Tunnel {
            if !self.pinged {
                self.pinged = true;
                self.client.send(PING);
                return true;
            }
            return false;
        }
        if self.probed || !whole || last.says_close() || self.client.ended || self.client.finish {
            return false;
        }
        self.probed = true;
        self.client.send(PROBE);
        true
    }

    /// Nothing came for a while. False if there is nothing left to try.
    fn nudge(&mut self) -> bool {
        let partial = self.answers.last().is_none_or(|a| !a.complete || a.is_interim());
        if !partial && self.go_on() {
            return true;
        }
        let mut done = false;
        for served in &mut self.served {
            if served.answered && !served.wire.finish {
                served.wire.finish();
                done = true;
            }
        }
        if !done && !self.client.finish {
            self.client.finish();
            done = true;
        }
        done
    }

    /// Ends all connections and waits until the proxy has let go of them.
    fn drain(&mut self) -> io::Result<bool> {
        self.client.read();
        let _ = self.client.socket.shutdown(Shutdown::Both);
        self.client.outbox.clear();
        self.client.parts.clear();
        self.client.ended = true;
        let deadline = Instant::now() + DRAIN_MAX;
        loop {
            for served in &mut self.served {
                served.wire.outbox.clear();
                served.wire.parts.clear();
                served.wire.finish();
            }
            if self.served.iter().all(|served| served.wire.ended) {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.wait(left)? {
                return Ok(false);
            }
        }
    }

    fn outcome(mut self, end: End, leaked: bool) -> Outcome {
        for (connection, served) in self.served.iter().enumerate() {
            let rest = &served.wire.inbox[served.read..];
            if let Some(message) = wire::request(rest).filter(|_| !served.raw) {
                self.arrivals.push(Arrival { connection, message });
            }
        }
        let used: usize = self.answers.iter().map(|answer| answer.len).sum();
        let raw = self.served.iter().find(|served| served.raw);
        Outcome {
            tunnel: self.client.inbox.get(used..).unwrap_or_default().to_vec(),
            answers: self.answers,
            end,
            probed: self.probed,
            arrivals: self.arrivals,
            raw: raw.map_or(Vec::new(), |served| served.wire.inbox[served.read..].to_vec()),
            connections: self.served.into_iter().map(|served| served.wire.inbox).collect(),
            client: self.client.inbox,
            leaked,
            reset: self.client.broken,
        }
    }
}

fn is_probed(answer: &Message) -> bool {
    answer.complete && answer.has("x-probe")
}

/// Whether a connection is a tunnel after that answer.
fn tunnels(answer: &[u8], method: &[u8]) -> bool {
    answers(answer, &[method], true).last().is_some_and(|last| last.framing == Framing::Tunnel)
}

/// Cuts what a client got into answers; stops behind one that opens a tunnel or is cut.
pub fn answers(bytes: &[u8], methods: &[&[u8]], ended: bool) -> Vec<Message> {
    let mut found = Vec::new();
    let (mut at, mut number) = (0, 0);
    loop {
        let method = methods.get(number).copied().unwrap_or(b"GET");
        let Some(message) = wire::response(&bytes[at..], method, ended) else { return found };
        at += message.len;
        number += usize::from(!message.is_interim());
        let last = !message.complete || message.framing == Framing::Tunnel;
        found.push(message);
        if last {
            return found;
        }
    }
}
