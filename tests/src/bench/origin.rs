//! The origin server: answers `GET /bytes/N` with N bytes of the pattern, and a POST, once its body
//! has arrived whole and unharmed, with the ordinary answer. One thread, one epoll. It also empties
//! the datagram socket that the proxies log to, and counts what it sees, so that the harness can
//! tell whether every request was really passed on. `stats` on its standard input asks for the
//! counts.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use rustix::net::{SendFlags, SocketFlags};

use super::poll::{ENDED, EventFlags, Poll, READABLE, STREAM};
use super::wire::{self, ANSWER_LENGTH, Body};

const LISTENER: usize = 0;
const CONTROL: usize = 1;
const LOG: usize = 2;
/// Tokens of connections begin here.
const FIRST: usize = 3;

const BUFFER: usize = 128 * 1024;
/// Bytes of a large body offered to the kernel at a time.
const STRETCH: usize = 256 * 1024;
const LOG_LINES_PER_TURN: usize = 256;
const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What the origin has seen since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub connections: u64,
    /// Whole requests answered.
    pub requests: u64,
    /// Requests that carried `X-Forwarded-For`.
    pub forwarded: u64,
    /// Requests refused as malformed or with wrong body bytes.
    pub refused: u64,
    /// Datagrams received at the log socket.
    pub log_lines: u64,
}

impl Seen {
    /// The inverse of its `Display`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut seen = Self::default();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=')?;
            let value = value.parse().ok()?;
            match name {
                "connections" => seen.connections = value,
                "requests" => seen.requests = value,
                "forwarded" => seen.forwarded = value,
                "refused" => seen.refused = value,
                "log_lines" => seen.log_lines = value,
                _ => return None,
            }
        }
        Some(seen)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, requests, forwarded, refused, log_lines } = self;
        write!(f, "connections={connections} requests={requests} forwarded={forwarded} ")?;
        write!(f, "refused={refused} log_lines={log_lines}")
    }
}

/// Serves until the control channel ends.
pub struct Origin {
    poll: Poll,
    listener: TcpListener,
    log: Option<UnixDatagram>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    seen: Seen,
    buffer: Vec<u8>,
    stock: Stock,
}

/// Answers made beforehand.
struct Stock {
    small: Vec<u8>,
    small_close: Vec<u8>,
    stretch: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// A head that has not arrived whole.
    head: Vec<u8>,
    /// The request whose body is still coming.
    body: Option<(wire::Head, Body)>,
    sending: Option<Sending>,
}

/// The part of an answer that the kernel has not taken yet.
struct Sending {
    head: Vec<u8>,
    at: u64,
    length: u64,
    close: bool,
}

/// What became of a connection.
#[derive(PartialEq, Eq)]
enum Fate {
    Stays,
    Ends,
}

impl Origin {
    pub fn new(listener: TcpListener, log: Option<UnixDatagram>) -> io::Result<Self> {
        let poll = Poll::new(1024)?;
        listener.set_nonblocking(true)?;
        poll.add(&listener, LISTENER, EventFlags::IN)?;
        if let Some(log) = &log {
            log.set_nonblocking(true)?;
            poll.add(log, LOG, EventFlags::IN)?;
        }
        let small = |close| {
            let mut bytes = wire::answer_head(ANSWER_LENGTH, close);
            bytes.extend_from_slice(&wire::pattern(0, ANSWER_LENGTH as usize));
            bytes
        };
        let stock = Stock {
            small: small(false),
            small_close: small(true),
            stretch: wire::pattern_stretch(STRETCH),
        };
        Ok(Self {
            poll,
            listener,
            log,
            connections: Vec::new(),
            free: Vec::new(),
            seen: Seen::default(),
            buffer: vec![0; BUFFER],
            stock,
        })
    }

    /// Serves; answers each line `stats` read from `asked` on `told`, and returns at its end.
    pub fn serve(mut self, mut asked: impl Read + AsFd, mut told: impl Write) -> io::Result<Seen> {
        self.poll.add(&asked, CONTROL, EventFlags::IN)?;
        loop {
            for i in 0..self.poll.wait(None)? {
                let (token, flags) = self.poll.event(i);
                match token {
                    LISTENER => self.accept()?,
                    LOG => self.empty_log(),
                    CONTROL => {
                        let mut line = [0; 64];
                        match asked.read(&mut line)? {
                            0 => return Ok(self.seen),
                            _ => writeln!(told, "ok {}", self.seen)?,
                        }
                    }
                    token => self.ready(token - FIRST, flags),
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        loop {
            let stream = match rustix::net::accept_with(&self.listener, flags) {
                Ok(fd) => TcpStream::from(fd),
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or(self.connections.len());
            if index == self.connections.len() {
                self.connections.push(None);
            }
            self.poll.add(&stream, index + FIRST, STREAM)?;
            self.connections[index] =
                Some(Connection { stream, head: Vec::new(), body: None, sending: None });
            self.seen.connections += 1;
        }
    }

    fn empty_log(&mut self) {
        let Some(log) = &self.log else { return };
        for _ in 0..LOG_LINES_PER_TURN {
            if log.recv(&mut self.buffer).is_err() {
                return;
            }
            self.seen.log_lines += 1;
        }
    }

    fn ready(&mut self, index: usize, flags: EventFlags) {
        let Some(connection) = &mut self.connections[index] else { return };
        let mut fate = Fate::Stays;
        if flags.intersects(EventFlags::OUT) && connection.sending.is_some() {
            fate = connection.send(&self.stock);
        }
        if fate == Fate::Stays && flags.intersects(READABLE) {
            fate = connection.receive(flags, &mut self.buffer, &self.stock, &mut self.seen);
        }
        if fate == Fate::Ends {
            self.connections[index] = None;
            self.free.push(index);
        }
    }
}

impl Connection {
    fn receive(
        &mut self,
        flags: EventFlags,
        buffer: &mut [u8],
        stock: &Stock,
        seen: &mut Seen,
    ) -> Fate {
        loop {
            let n = match self.stream.read(buffer) {
                Ok(0) => return Fate::Ends,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Fate::Stays,
                Err(_) => return Fate::Ends,
            };
            let fate = match self.feed(&buffer[..n], stock, seen) {
                Ok(fate) => fate,
                Err(_) => {
                    seen.refused += 1;
                    let _ = self.stream.write(BAD_REQUEST);
                    Fate::Ends
                }
            };
            if fate == Fate::Ends || (n < buffer.len() && !flags.intersects(ENDED)) {
                return fate;
            }
        }
    }

    /// Takes received bytes, and answers when they complete a request.
    fn feed(&mut self, bytes: &[u8], stock: &Stock, seen: &mut Seen) -> Result<Fate, &'static str> {
        let (head, mut body, rest) = match self.body.take() {
            Some((head, body)) => (head, body, bytes),
            None => {
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
                    return Ok(Fate::Stays);
                };
                self.head.clear();
                (head, Body::of(&head), &bytes[head.length - before..])
            }
        };
        if body.feed(rest)? < rest.len() {
            return Err("bytes after the request");
        }
        if !body.is_whole() {
            self.body = Some((head, body));
            return Ok(Fate::Stays);
        }
        if self.sending.is_some() {
            return Err("request before the last answer was sent");
        }
        let length = head.wanted.ok_or("no such path")?;
        seen.requests += 1;
        seen.forwarded += u64::from(head.forwarded_for);
        Ok(self.answer(length, head.close, stock))
    }

    fn answer(&mut self, length: u64, close: bool, stock: &Stock) -> Fate {
        let mut left = Sending { head: Vec::new(), at: 0, length, close };
        if length == ANSWER_LENGTH {
            let bytes = if close { &stock.small_close } else { &stock.small };
            match self.stream.write(bytes) {
                Ok(n) if n == bytes.len() => left.at = length,
                Ok(n) => (left.head, left.at) = (bytes[n..].to_vec(), length),
                Err(_) => return Fate::Ends,
            }
        } else {
            left.head = wire::answer_head(length, close);
        }
        self.sending = Some(left);
        self.send(stock)
    }

    /// Goes on with the answer until it is sent or the socket is full.
    fn send(&mut self, stock: &Stock) -> Fate {
        let Some(left) = &mut self.sending else { return Fate::Stays };
        while !left.head.is_empty() || left.at < left.length {
            let from = wire::pattern_offset(left.at);
            let n = (left.length - left.at).min(STRETCH as u64) as usize;
            let (bytes, flags) = if left.head.is_empty() {
                (&stock.stretch[from..from + n], SendFlags::NOSIGNAL)
            } else if n > 0 {
                (&left.head[..], SendFlags::NOSIGNAL | SendFlags::MORE)
            } else {
                (&left.head[..], SendFlags::NOSIGNAL)
            };
            match rustix::net::send(&self.stream, bytes, flags) {
                Ok(n) if left.head.is_empty() => left.at += n as u64,
                Ok(n) => drop(left.head.drain(..n)),
                Err(rustix::io::Errno::AGAIN) => return Fate::Stays,
                Err(_) => return Fate::Ends,
            }
        }
        let close = left.close;
        self.sending = None;
        if close { Fate::Ends } else { Fate::Stays }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_round_trip() {
        let seen = Seen { connections: 1, requests: 2, forwarded: 3, refused: 4, log_lines: 5 };
        assert_eq!(Seen::parse(&seen.to_string()), Some(seen));
        assert_eq!(Seen::parse("requests"), None);
    }
}
