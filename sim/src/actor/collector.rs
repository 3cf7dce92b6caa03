//! Who gets the messages of a ring: it reads, now and then not for a while, and ends a connection
//! after some of them. Each connection must bring whole messages from its first byte on.

use tidegate_core::poller::{Accepted, Close, Event, ListenSpec, Poller, Sock};
use tidegate_core::time::{Duration, Instant};

use super::{Heard, receive};
use crate::ledger::{self, Shared};
use crate::memnet::Port;
use crate::site;
use crate::strict;

#[derive(Debug)]
struct Stream {
    sock: Sock,
    inbox: Vec<u8>,
    /// It reads so many messages more.
    left: u64,
    asleep: Instant,
}

/// The server of a ring.
#[derive(Debug)]
pub struct Collector {
    port: Port,
    ledger: Shared,
    seed: u64,
    calm: bool,
    listener: Option<Sock>,
    stream: Option<Stream>,
    events: Vec<Event>,
    /// Connections so far.
    accepted: u64,
    /// Messages so far.
    messages: u64,
}

impl Collector {
    /// One that listens where the port's listener 0 is bound.
    pub fn new(mut port: Port, ledger: Shared, seed: u64) -> Collector {
        let listener = port.listen(&ListenSpec { listener: 0 }).ok();
        Collector {
            port,
            ledger,
            seed,
            calm: false,
            listener,
            stream: None,
            events: Vec::new(),
            accepted: 0,
            messages: 0,
        }
    }

    /// From now on it reads all that comes.
    pub fn calm_down(&mut self) {
        self.calm = true;
    }

    /// Whether something came for it.
    pub fn has_events(&self) -> bool {
        self.port.has_events()
    }

    /// When it wants to be turned again.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        self.stream.as_ref().map(|stream| stream.asleep).filter(|at| *at > now)
    }

    /// Does all that can be done now.
    pub fn turn(&mut self, now: Instant) {
        self.events.clear();
        self.port.harvest(&mut self.events);
        while let Some(listener) = self.listener {
            let Accepted::One { sock, .. } = self.port.accept(listener) else { break };
            self.accepted += 1;
            let lot = ledger::lot(self.seed, self.accepted, 31);
            let sleeps = lot.is_multiple_of(3) && !self.calm;
            let nap = Duration::from_millis(if sleeps { lot % 5_000 } else { 0 });
            let stream = Stream { sock, inbox: Vec::new(), left: lot % 50, asleep: now + nap };
            if let Some(old) = self.stream.replace(stream) {
                // The proxy has given it up, and its end has yet to come.
                self.port.close(old.sock, Close::Reset);
            }
        }
        let Some(mut stream) = self.stream.take_if(|stream| stream.asleep <= now) else { return };
        match self.read(&mut stream) {
            Some(how) => self.port.close(stream.sock, how),
            None => self.stream = Some(stream),
        }
    }

    /// Says how the connection is closed, if it is.
    fn read(&mut self, stream: &mut Stream) -> Option<Close> {
        loop {
            let heard = receive(&mut self.port, stream.sock, &mut stream.inbox, 32 << 10);
            loop {
                match message(&stream.inbox) {
                    Ok(0) => break,
                    Ok(len) => {
                        stream.inbox.drain(..len);
                        self.messages += 1;
                    }
                    Err(detail) => {
                        let excerpt = strict::excerpt(&stream.inbox);
                        let text = format!("collector: {detail}; unread: {excerpt}");
                        self.ledger.borrow_mut().violated("A8", text);
                        return Some(Close::Reset);
                    }
                }
                if !self.calm {
                    if stream.left == 0 {
                        let reset = ledger::lot(self.seed, self.messages, 32).is_multiple_of(2);
                        return Some(if reset { Close::Reset } else { Close::Graceful });
                    }
                    stream.left -= 1;
                }
            }
            match heard {
                Heard::Bytes(0) => return None,
                Heard::Bytes(_) => {}
                Heard::Eof | Heard::Dead => return Some(Close::Graceful),
            }
        }
    }
}

/// The length of the first message with its count, 0 if it is not whole.
fn message(bytes: &[u8]) -> Result<usize, String> {
    let Some(digits) = bytes.iter().position(|b| *b == b' ') else {
        let sound = bytes.len() <= 3 && bytes.iter().all(u8::is_ascii_digit);
        return if sound { Ok(0) } else { Err("no length in front of a message".into()) };
    };
    let count = std::str::from_utf8(&bytes[..digits]).ok().and_then(|text| text.parse().ok());
    let Some(len) = count.filter(|len| (1..=site::MESSAGE_MAX).contains(len)) else {
        return Err("a message of a length that there is not".into());
    };
    let Some(message) = bytes.get(digits + 1..digits + 1 + len) else { return Ok(0) };
    if !message.starts_with(b"<13") || message.get(4..7) != Some(b">1 ") {
        return Err("what is counted is no message".into());
    }
    if message.contains(&b'\n') {
        return Err("a line feed within a message".into());
    }
    Ok(digits + 1 + len)
}
