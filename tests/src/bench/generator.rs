//! The load generator: a closed loop over a fixed number of connections, one request in flight on
//! each. It runs on one thread and does what it is told, line by line, on its standard input:
//!
//! ```text
//! run MS            requests on every connection for so long, then let the last answers come
//! count N           N requests in all
//! each N CS WINDOW  N requests on each of the first CS connections, at most WINDOW busy at a time
//! ```
//!
//! and answers each with `ok requests=R bytes=B nanos=T`, or `fail` and what was wrong. Between two
//! commands nothing is in flight, so the proxy is idle when its CPU time is read. Statuses, lengths
//! and body bytes are checked: a proxy that loses bytes fails the round, however fast it was.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::poll::{ENDED, EventFlags, Poll, READABLE, STREAM};
use super::wire::{self, Request};

/// No event for so long while answers are due is a failure.
const STALL_MAX: Duration = Duration::from_secs(20);
/// A phase that lasts longer has gone wrong.
pub const PHASE_MAX: Duration = Duration::from_secs(300);
const BUFFER: usize = 128 * 1024;

/// Obeys commands on standard input until it ends.
pub fn serve(port: u16, connections: usize, request: Request) -> Result<(), String> {
    let mut generator = Generator::new(port, connections, request)?;
    println!("ok");
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|e| format!("standard input: {e}"))?;
        let answer = match Command::parse(&line) {
            Some(command) => generator.obey(command),
            None => Err(format!("no such command: {line}")),
        };
        match answer {
            Ok(tally) => println!("ok {tally}"),
            Err(fault) => println!("fail {fault}"),
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Run(Duration),
    Count(u64),
    Each { requests: u64, connections: usize, window: usize },
}

impl Command {
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["run", ms] => Some(Self::Run(Duration::from_millis(ms.parse().ok()?))),
            ["count", n] => Some(Self::Count(n.parse().ok()?)),
            ["each", n, connections, window] => Some(Self::Each {
                requests: n.parse().ok()?,
                connections: connections.parse().ok()?,
                window: window.parse().ok()?,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(time) => write!(f, "run {}", time.as_millis()),
            Self::Count(n) => write!(f, "count {n}"),
            Self::Each { requests, connections, window } => {
                write!(f, "each {requests} {connections} {window}")
            }
        }
    }
}

/// What a phase achieved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answers received whole.
    pub requests: u64,
    /// Body bytes received.
    pub bytes: u64,
    /// Wall time from the first request to the last answer, ns.
    pub nanos: u64,
}

impl Tally {
    /// The inverse of its `Display`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut tally = Self::default();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=')?;
            let value = value.parse().ok()?;
            match name {
                "requests" => tally.requests = value,
                "bytes" => tally.bytes = value,
                "nanos" => tally.nanos = value,
                _ => return None,
            }
        }
        Some(tally)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "requests={} bytes={} nanos={}", self.requests, self.bytes, self.nanos)
    }
}

pub struct Generator {
    target: SocketAddrV4,
    /// The request as it is sent.
    bytes: Vec<u8>,
    answer_length: u64,
    closes: bool,
    poll: Poll,
    slots: Vec<Slot>,
    buffer: Vec<u8>,
    /// Connections with a request in flight.
    active: usize,
    /// Requests begun in this phase.
    begun: u64,
    /// The next connection that has not been used in this phase.
    fresh: usize,
    /// How many connections this phase uses.
    used: usize,
    time_over: bool,
    tally: Tally,
}

#[derive(Default)]
struct Slot {
    stream: Option<TcpStream>,
    expects: Expects,
    /// Bytes of the request sent so far.
    sent: usize,
    /// A head that has not arrived whole.
    head: Vec<u8>,
    /// Requests begun in this phase.
    begun: u64,
}

/// What the next bytes on a connection must be.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Expects {
    #[default]
    Nothing,
    Head,
    Body {
        at: u64,
    },
    End,
}

impl Generator {
    /// Connects nothing yet.
    pub fn new(port: u16, connections: usize, request: Request) -> Result<Self, String> {
        Ok(Self {
            target: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
            bytes: request.bytes(),
            answer_length: request.answer_length(),
            closes: request.closes(),
            poll: Poll::new(1024).map_err(|e| format!("epoll: {e}"))?,
            slots: (0..connections).map(|_| Slot::default()).collect(),
            buffer: vec![0; BUFFER],
            active: 0,
            begun: 0,
            fresh: 0,
            used: 0,
            time_over: false,
            tally: Tally::default(),
        })
    }

    /// Runs one phase to its end.
    pub fn obey(&mut self, command: Command) -> Result<Tally, String> {
        let all = self.slots.len();
        let (used, window) = match command {
            Command::Each { connections, window, .. } => (connections.min(all), window),
            Command::Run(_) | Command::Count(_) => (all, all),
        };
        assert_eq!(self.active, 0, "a phase began while another was on");
        (self.begun, self.fresh, self.used, self.time_over) = (0, 0, used, false);
        self.tally = Tally::default();
        for slot in &mut self.slots {
            slot.begun = 0;
        }
        let started = Instant::now();
        while self.active < window && self.fresh < self.used {
            self.begin_fresh(command)?;
        }
        while self.active > 0 {
            let events = self.poll.wait(Some(STALL_MAX)).map_err(|e| format!("epoll: {e}"))?;
            let elapsed = started.elapsed();
            if events == 0 || elapsed > PHASE_MAX {
                return Err(format!(
                    "no end after {} s: {} requests in flight, {} answered",
                    elapsed.as_secs(),
                    self.active,
                    self.tally.requests
                ));
            }
            if let Command::Run(time) = command {
                self.time_over |= elapsed >= time;
            }
            for i in 0..events {
                let (slot, flags) = self.poll.event(i);
                self.ready(slot, flags, command)?;
            }
        }
        self.tally.nanos = started.elapsed().as_nanos() as u64;
        Ok(self.tally)
    }

    fn begin_fresh(&mut self, command: Command) -> Result<(), String> {
        let index = self.fresh;
        self.fresh += 1;
        if !self.wants_more(index, command) {
            return Ok(());
        }
        self.active += 1;
        self.begin(index)
    }

    fn wants_more(&self, index: usize, command: Command) -> bool {
        match command {
            Command::Run(_) => !self.time_over,
            Command::Count(n) => self.begun < n,
            Command::Each { requests, .. } => self.slots[index].begun < requests,
        }
    }

    /// Sends the next request on connection `index`, connecting if it must.
    fn begin(&mut self, index: usize) -> Result<(), String> {
        self.begun += 1;
        if self.slots[index].stream.is_none() {
            let stream = self.connect().map_err(|e| format!("connect: {e}"))?;
            self.poll.add(&stream, index, STREAM).map_err(|e| format!("epoll: {e}"))?;
            self.slots[index].stream = Some(stream);
        }
        let slot = &mut self.slots[index];
        debug_assert!(slot.expects == Expects::Nothing);
        slot.begun += 1;
        slot.sent = 0;
        slot.expects = Expects::Head;
        self.send(index)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        if !self.closes {
            rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
        }
        match rustix::net::connect(&socket, &self.target) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
            Err(error) => Err(error.into()),
        }
    }

    fn send(&mut self, index: usize) -> Result<(), String> {
        let slot = &mut self.slots[index];
        let Some(mut stream) = slot.stream.as_ref() else { return Ok(()) };
        while slot.sent < self.bytes.len() {
            match stream.write(&self.bytes[slot.sent..]) {
                Ok(n) => slot.sent += n,
                // Until the handshake is over, or until there is room: an event will tell.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(format!("send: {e}")),
            }
        }
        Ok(())
    }

    fn ready(&mut self, index: usize, flags: EventFlags, command: Command) -> Result<(), String> {
        if flags.intersects(EventFlags::OUT) && self.slots[index].expects == Expects::Head {
            self.send(index)?;
        }
        if !flags.intersects(READABLE) {
            return Ok(());
        }
        loop {
            let slot = &mut self.slots[index];
            let Some(mut stream) = slot.stream.as_ref() else { return Ok(()) };
            match stream.read(&mut self.buffer) {
                Ok(0) => return self.ended(index, command),
                Ok(n) => {
                    let (whole, content) = slot.feed(&self.buffer[..n], self.answer_length)?;
                    self.tally.bytes += content;
                    if whole {
                        self.answered(index, command)?;
                    }
                    if n < self.buffer.len() && !flags.intersects(ENDED) {
                        return Ok(());
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(format!("receive: {e}")),
            }
        }
    }

    /// The answer on connection `index` is whole.
    fn answered(&mut self, index: usize, command: Command) -> Result<(), String> {
        if self.slots[index].sent < self.bytes.len() {
            return Err("answered before the request was sent".into());
        }
        if self.closes {
            self.slots[index].expects = Expects::End;
            return Ok(());
        }
        self.slots[index].expects = Expects::Nothing;
        self.done(index, command)
    }

    /// The proxy has closed connection `index`.
    fn ended(&mut self, index: usize, command: Command) -> Result<(), String> {
        let slot = &mut self.slots[index];
        match slot.expects {
            Expects::End => {
                slot.stream = None;
                slot.expects = Expects::Nothing;
                self.done(index, command)
            }
            Expects::Nothing => Err("connection closed between two requests".into()),
            Expects::Head => Err("connection closed before the answer".into()),
            Expects::Body { at } => {
                Err(format!("connection closed after {at} of {} body bytes", self.answer_length))
            }
        }
    }

    fn done(&mut self, index: usize, command: Command) -> Result<(), String> {
        self.tally.requests += 1;
        if self.wants_more(index, command) {
            return self.begin(index);
        }
        self.active -= 1;
        while self.fresh < self.used {
            let before = self.active;
            self.begin_fresh(command)?;
            if self.active > before {
                break;
            }
        }
        Ok(())
    }
}

impl Slot {
    /// Takes received bytes; says whether the answer is whole now, and how many were body bytes.
    fn feed(&mut self, bytes: &[u8], answer_length: u64) -> Result<(bool, u64), String> {
        let (mut at, body) = match self.expects {
            Expects::Body { at } => (at, bytes),
            Expects::Head => {
                let Some((length, skip)) = self.feed_head(bytes)? else { return Ok((false, 0)) };
                if length != answer_length {
                    return Err(format!("answer of {length} bytes instead of {answer_length}"));
                }
                (0, &bytes[skip..])
            }
            Expects::Nothing | Expects::End => {
                return Err(format!("{} bytes after the answer", bytes.len()));
            }
        };
        if !wire::matches_pattern(at, body) {
            return Err(format!("wrong body bytes at {at}"));
        }
        at += body.len() as u64;
        if at > answer_length {
            return Err(format!("{} bytes after the answer", at - answer_length));
        }
        self.expects = Expects::Body { at };
        Ok((at == answer_length, body.len() as u64))
    }

    /// The announced length of the answer, and how many of `bytes` were still head.
    fn feed_head(&mut self, bytes: &[u8]) -> Result<Option<(u64, usize)>, String> {
        let before = self.head.len();
        let head = if before == 0 {
            wire::head(bytes)?
        } else {
            self.head.extend_from_slice(bytes);
            wire::head(&self.head)?
        };
        let Some(head) = head else {
            if before == 0 {
                self.head.extend_from_slice(bytes);
            }
            return Ok(None);
        };
        self.head.clear();
        if head.status != 200 {
            return Err(format!("status {}", head.status));
        }
        let length = head.content_length.ok_or("answer without Content-Length")?;
        Ok(Some((length, head.length - before)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(length: u64) -> Vec<u8> {
        let mut bytes = wire::answer_head(length, false);
        bytes.extend_from_slice(&wire::pattern(0, length as usize));
        bytes
    }

    #[test]
    fn commands_and_tallies_round_trip() {
        for command in [
            Command::Run(Duration::from_millis(1500)),
            Command::Count(20),
            Command::Each { requests: 10, connections: 500, window: 64 },
        ] {
            assert_eq!(Command::parse(&command.to_string()), Some(command));
        }
        for wrong in ["", "run", "run x", "each 1 2", "stop"] {
            assert_eq!(Command::parse(wrong), None, "{wrong}");
        }
        let tally = Tally { requests: 1, bytes: 2, nanos: 3 };
        assert_eq!(Tally::parse(&tally.to_string()), Some(tally));
        assert_eq!(Tally::parse("requests=1 colour=2"), None);
    }

    #[test]
    fn answers_arrive_cut_anywhere() {
        let bytes = answer(1024);
        for cut in 1..bytes.len() {
            let mut slot = Slot { expects: Expects::Head, ..Slot::default() };
            let (whole, first) = slot.feed(&bytes[..cut], 1024).unwrap();
            assert!(!whole, "{cut}");
            let (whole, second) = slot.feed(&bytes[cut..], 1024).unwrap();
            assert!(whole, "{cut}");
            assert_eq!(first + second, 1024);
        }
    }

    #[test]
    fn wrong_answers_fail() {
        let table: &[(&str, Vec<u8>, &str)] = &[
            ("status", b"HTTP/1.1 503 No\r\n\r\n".to_vec(), "status 503"),
            ("no length", b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), "answer without Content-Length"),
            ("short", answer(1000), "answer of 1000 bytes instead of 1024"),
            ("long", [answer(1024), vec![1; 3]].concat(), "wrong body bytes at 0"),
            (
                "surplus",
                [answer(1024), wire::pattern(1024, 3)].concat(),
                "3 bytes after the answer",
            ),
        ];
        for (name, bytes, fault) in table {
            let mut slot = Slot { expects: Expects::Head, ..Slot::default() };
            assert_eq!(slot.feed(bytes, 1024).unwrap_err(), *fault, "{name}");
        }
        let mut idle = Slot::default();
        assert_eq!(idle.feed(b"x", 1024).unwrap_err(), "1 bytes after the answer");
    }
}
