//! A client that knows what it must get: the request carries a key, and the answer's body is the
//! stream of that key's complement.
//!
//! What to answer is in the target, `/<minor>/<keep|close>/<framing>/<length>`, for
//! [`Visit::serve`](super::Visit::serve) to obey.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};

use super::content::{Checker, Content};
use super::message::{Chunks, Framing, Head, read_body};
use super::wire::Wire;

/// Most bytes of a page that nobody here wrote.
const PAGE_MAX: usize = 65_536;

/// A request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    None,
    Length(u64),
    /// So many bytes, in chunks of at most so many.
    Chunked(u64, usize),
}

impl Sent {
    pub fn length(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Length(length) | Self::Chunked(length, _) => length,
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: &'static str,
    pub target: String,
    /// The minor version of HTTP/1.
    pub minor: u8,
    /// Whether the connection is to stay.
    pub keep: bool,
    pub body: Sent,
    /// Tells it from all other requests.
    pub key: u64,
    /// What the origin sends when it is asked.
    pub wanted: u64,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub head: Head,
    pub status: u16,
    pub framing: Framing,
    /// Whether the connection stays.
    pub keeps: bool,
    /// Bytes of the body.
    pub length: u64,
    /// Whether the origin wrote it.
    pub from_origin: bool,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    Whole(Answer),
    /// The end came too early, and it shows.
    Cut {
        status: Option<u16>,
        received: u64,
    },
    /// Nothing came for too long.
    Hung,
    /// Bytes that are not what they should be.
    Wrong(String),
}

impl Outcome {
    /// The answer.
    ///
    /// # Panics
    ///
    /// If there is none that is whole.
    #[track_caller]
    pub fn whole(self) -> Answer {
        match self {
            Self::Whole(answer) => answer,
            other => panic!("no whole answer: {other:?}"),
        }
    }
}

impl Ask {
    /// `GET` in HTTP/1.1 with keep-alive for `wanted` bytes of known length.
    pub fn get(key: u64, wanted: u64) -> Self {
        let target = format!("/1/keep/length/{wanted}");
        Self { method: "GET", target, minor: 1, keep: true, body: Sent::None, key, wanted }
    }

    /// `POST` of `body`, else as [`Ask::get`].
    pub fn post(key: u64, body: Sent, wanted: u64) -> Self {
        Self { method: "POST", body, ..Self::get(key, wanted) }
    }

    pub fn head(&self) -> String {
        let mut head = format!(
            "{} {} HTTP/1.{}\r\nHost: test\r\nX-Key: {}\r\nX-Body: {}\r\n",
            self.method,
            self.target,
            self.minor,
            self.key,
            self.body.length(),
        );
        match self.body {
            Sent::None => {}
            Sent::Length(length) => _ = write!(head, "Content-Length: {length}\r\n"),
            Sent::Chunked(..) => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        match (self.minor, self.keep) {
            (0, true) => head.push_str("Connection: keep-alive\r\n"),
            (1, false) => head.push_str("Connection: close\r\n"),
            _ => {}
        }
        head + "\r\n"
    }

    pub fn content(&self) -> Content {
        Content::new(self.key, self.body.length())
    }

    /// Writes all of it.
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(self.head().as_bytes())?;
        match self.body {
            Sent::None => Ok(()),
            Sent::Length(_) => self.content().write(to),
            Sent::Chunked(_, size) => {
                let mut chunks = Chunks(to);
                self.content().write_pieces(&mut chunks, size)?;
                chunks.end()
            }
        }
    }

    /// Reads the answer, interim ones not counted.
    pub fn receive(&self, wire: &mut Wire) -> Outcome {
        let mut status = None;
        let mut received = 0;
        match self.read(wire, &mut status, &mut received) {
            Ok(Some(answer)) => Outcome::Whole(answer),
            Ok(None) => Outcome::Cut { status, received },
            Err(error) => match error.kind() {
                ErrorKind::TimedOut => Outcome::Hung,
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                    Outcome::Cut { status, received }
                }
                _ => Outcome::Wrong(format!("{error} in the answer to {self:?}")),
            },
        }
    }

    /// Sends the request, whole or as far as it is taken, and reads the answer.
    pub fn exchange(&self, wire: &mut Wire) -> Outcome {
        match self.send(wire) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Outcome::Hung,
            // Whoever takes no more may have answered.
            _ => self.receive(wire),
        }
    }

    fn read(
        &self,
        wire: &mut Wire,
        seen: &mut Option<u16>,
        received: &mut u64,
    ) -> io::Result<Option<Answer>> {
        let (head, status) = loop {
            let Some(head) = Head::read(wire)? else { return Ok(None) };
            let status = head.status()?;
            if status >= 200 {
                break (head, status);
            }
        };
        *seen = Some(status);
        let framing = head.answer_framing(self.method)?;
        let key = head.number("x-key")?;
        if key.is_some_and(|key| key != !self.key) {
            return Err(io::Error::other("another's answer"));
        }
        let wanted = if framing == Framing::None { 0 } else { self.wanted };
        if let (Some(_), Framing::Length(length)) = (key, framing)
            && length != wanted
        {
            return Err(io::Error::other(format!("a length of {length}")));
        }
        let mut checker = Checker::new(Content::new(!self.key, wanted));
        let mut page = 0;
        let result = read_body(wire, framing, &mut |bytes| match key {
            Some(_) => checker.feed(bytes),
            None => {
                page += bytes.len();
                if page > PAGE_MAX { Err(io::Error::other("an endless page")) } else { Ok(()) }
            }
        });
        *received = checker.at + page as u64;
        result?;
        if key.is_some() && !checker.is_whole() {
            // By its framing it is whole, which only an end that means the end of the body may say.
            return match framing {
                Framing::UntilClose => Ok(None),
                _ => Err(io::Error::other(format!("{} bytes of {wanted}", checker.at))),
            };
        }
        Ok(Some(Answer {
            status,
            framing,
            keeps: head.keeps()? && framing != Framing::UntilClose,
            head,
            length: *received,
            from_origin: key.is_some(),
        }))
    }
}
