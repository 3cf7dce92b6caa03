//! The bytes of the benchmark: prebuilt requests and answers, and the least parsing that still
//! notices a wrong one. Not an HTTP parser for anything else: it trusts the shape of heads and
//! reads status, length, chunking, `Connection: close` and the presence of `X-Forwarded-For`.
//!
//! Every body is a stretch of one endless pattern that begins at its position 0, so a receiver can
//! tell lost, repeated or foreign bytes from the first and the last byte of what it has received.

use std::fmt::Write as _;

/// Period of the pattern. A prime, so that no power of two of lost bytes goes unseen.
const PERIOD: u64 = 251;
/// Longest head that is waited for, bytes.
const HEAD_MAX: usize = 16 * 1024;
/// Length of the request bodies of P7, bytes.
pub const POST_LENGTH: u64 = 16 * 1024;
/// Length of the ordinary answer, bytes.
pub const ANSWER_LENGTH: u64 = 1024;

/// What a client of the benchmark asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// GET of so many bytes on a connection that stays.
    Get(u64),
    /// The same, with `Connection: close`.
    GetClose(u64),
    /// POST of [`POST_LENGTH`] bytes with a Content-Length.
    Post,
    /// POST of [`POST_LENGTH`] bytes in four chunks.
    PostChunked,
}

impl Request {
    /// The name by which the generator is told.
    pub fn name(self) -> String {
        match self {
            Self::Get(n) => format!("get:{n}"),
            Self::GetClose(n) => format!("get-close:{n}"),
            Self::Post => "post".into(),
            Self::PostChunked => "post-chunked".into(),
        }
    }

    /// The inverse of [`Request::name`].
    pub fn parse(name: &str) -> Option<Self> {
        let (verb, length) = match name.split_once(':') {
            Some((verb, length)) => (verb, Some(length.parse().ok()?)),
            None => (name, None),
        };
        match (verb, length) {
            ("get", Some(n)) => Some(Self::Get(n)),
            ("get-close", Some(n)) => Some(Self::GetClose(n)),
            ("post", None) => Some(Self::Post),
            ("post-chunked", None) => Some(Self::PostChunked),
            _ => None,
        }
    }

    /// The whole request: head of about 230 bytes with eight headers, and the body.
    pub fn bytes(self) -> Vec<u8> {
        let (method, path_length) = match self {
            Self::Get(n) | Self::GetClose(n) => ("GET", n),
            Self::Post | Self::PostChunked => ("POST", ANSWER_LENGTH),
        };
        let mut head = format!(
            "{method} /bytes/{path_length} HTTP/1.1\r\n\
             Host: bench.example\r\n\
             User-Agent: tidegate-bench/1\r\n\
             Accept: text/html,*/*;q=0.8\r\n\
             Accept-Language: en-GB,en\r\n\
             Accept-Encoding: gzip\r\n\
             Referer: http://bench.example/\r\n\
             Cookie: id=0123456789abcdef\r\n\
             Cache-Control: max-age=0\r\n"
        );
        match self {
            Self::Get(_) => {}
            Self::GetClose(_) => head.push_str("Connection: close\r\n"),
            Self::Post => {
                let _ = write!(head, "Content-Length: {POST_LENGTH}\r\n");
            }
            Self::PostChunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        match self {
            Self::Get(_) | Self::GetClose(_) => {}
            Self::Post => bytes.extend_from_slice(&pattern(0, POST_LENGTH as usize)),
            Self::PostChunked => {
                let piece = POST_LENGTH as usize / 4;
                for i in 0..4 {
                    bytes.extend_from_slice(format!("{piece:x}\r\n").as_bytes());
                    bytes.extend_from_slice(&pattern((i * piece) as u64, piece));
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
        }
        bytes
    }

    /// Length of the body that must come back, bytes.
    pub fn answer_length(self) -> u64 {
        match self {
            Self::Get(n) | Self::GetClose(n) => n,
            Self::Post | Self::PostChunked => ANSWER_LENGTH,
        }
    }

    /// Whether both sides close after the answer.
    pub fn closes(self) -> bool {
        matches!(self, Self::GetClose(_))
    }
}

/// The head of the origin's answer, about 200 bytes.
pub fn answer_head(length: u64, close: bool) -> Vec<u8> {
    let connection = if close { "Connection: close\r\n" } else { "" };
    format!(
        "HTTP/1.1 200 OK\r\n\
         Server: origin\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Content-Type: application/octet-stream\r\n\
         Content-Length: {length}\r\n\
         Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         ETag: \"0123456789\"\r\n{connection}\r\n"
    )
    .into_bytes()
}

/// `length` bytes of the pattern from position `from`.
pub fn pattern(from: u64, length: usize) -> Vec<u8> {
    (from..from + length as u64).map(pattern_byte).collect()
}

/// A stretch that can be sent at any position: slice it from [`pattern_offset`].
pub fn pattern_stretch(length: usize) -> Vec<u8> {
    pattern(0, length + PERIOD as usize)
}

/// Where position `at` of the pattern is found in a [`pattern_stretch`].
pub fn pattern_offset(at: u64) -> usize {
    (at % PERIOD) as usize
}

/// Whether `bytes`, found at position `at` of a body, can belong there. Looks at both ends only.
pub fn matches_pattern(at: u64, bytes: &[u8]) -> bool {
    match (bytes.first(), bytes.last()) {
        (Some(&first), Some(&last)) => {
            first == pattern_byte(at) && last == pattern_byte(at + bytes.len() as u64 - 1)
        }
        _ => true,
    }
}

fn pattern_byte(at: u64) -> u8 {
    (at % PERIOD) as u8
}

/// What the benchmark wants to know of a request or an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the head, the empty line included.
    pub length: usize,
    /// Status of an answer; 0 for a request.
    pub status: u16,
    /// Body bytes that a GET asks for with its path.
    pub wanted: Option<u64>,
    pub content_length: Option<u64>,
    pub chunked: bool,
    pub close: bool,
    pub forwarded_for: bool,
}

/// Reads the head at the beginning of `bytes`, if it is whole.
///
/// # Errors
/// A short description of what is wrong with it.
pub fn head(bytes: &[u8]) -> Result<Option<Head>, &'static str> {
    let Some(length) = head_length(bytes) else {
        return if bytes.len() > HEAD_MAX { Err("head of more than 16 KB") } else { Ok(None) };
    };
    let mut head = Head { length, ..Head::default() };
    let mut lines = bytes[..length].split(|&b| b == b'\n');
    let first = lines.next().unwrap_or_default();
    if let Some(rest) = first.strip_prefix(b"HTTP/1.") {
        head.status = rest.get(2..5).and_then(number).ok_or("malformed status line")? as u16;
    } else {
        let path = first.split(|&b| b == b' ').nth(1).ok_or("malformed request line")?;
        head.wanted = path.strip_prefix(b"/bytes/").and_then(number);
    }
    for line in lines {
        // Only four header names matter: c(ontent-length, onnection), t(ransfer-encoding), x(-f…).
        match line.first().map(u8::to_ascii_lowercase) {
            Some(b'c') => {
                if let Some(value) = value_of(line, b"content-length") {
                    head.content_length = Some(number(value).ok_or("malformed Content-Length")?);
                } else if let Some(value) = value_of(line, b"connection") {
                    head.close |= value.eq_ignore_ascii_case(b"close");
                }
            }
            Some(b't') => {
                if let Some(value) = value_of(line, b"transfer-encoding") {
                    head.chunked |= value.eq_ignore_ascii_case(b"chunked");
                }
            }
            Some(b'x') => head.forwarded_for |= value_of(line, b"x-forwarded-for").is_some(),
            _ => {}
        }
    }
    Ok(Some(head))
}

/// Length of the head including the empty line, if that is there. Looks at every fourth byte.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut i = 3;
    while i < bytes.len() {
        match bytes[i] {
            b'\n' if bytes[i - 3..i] == *b"\r\n\r" => return Some(i + 1),
            b'\r' | b'\n' => i += 1,
            _ => i += 4,
        }
    }
    None
}

/// The trimmed value of a header line if its name, in lower case, is `name`.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The body of a request as it arrives, by length or in chunks: counted, checked, not kept.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    framing: Framing,
    received: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length {
        left: u64,
    },
    ChunkSize {
        value: u64,
        digits: bool,
    },
    ChunkData {
        left: u64,
    },
    ChunkEnd,
    /// Trailer section; the line so far is empty or not.
    Trailer {
        empty: bool,
    },
    Done,
}

impl Body {
    /// The body that `head` announces.
    pub fn of(head: &Head) -> Self {
        let framing = match (head.chunked, head.content_length.unwrap_or(0)) {
            (true, _) => Framing::ChunkSize { value: 0, digits: false },
            (false, 0) => Framing::Done,
            (false, left) => Framing::Length { left },
        };
        Self { framing, received: 0 }
    }

    /// Bytes of content so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    pub fn is_whole(&self) -> bool {
        self.framing == Framing::Done
    }

    /// Takes what belongs to the body from the front of `bytes`; says how many bytes that was.
    ///
    /// # Errors
    /// A short description of what is wrong with the body.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let mut at = 0;
        while at < bytes.len() && !self.is_whole() {
            self.framing = match self.framing {
                Framing::Length { left } => {
                    let n = self.content(left, &bytes[at..])?;
                    at += n;
                    match left - n as u64 {
                        0 => Framing::Done,
                        left => Framing::Length { left },
                    }
                }
                Framing::ChunkData { left } => {
                    let n = self.content(left, &bytes[at..])?;
                    at += n;
                    match left - n as u64 {
                        0 => Framing::ChunkEnd,
                        left => Framing::ChunkData { left },
                    }
                }
                other => {
                    let byte = bytes[at];
                    at += 1;
                    other.after(byte)?
                }
            };
        }
        Ok(at)
    }

    fn content(&mut self, left: u64, bytes: &[u8]) -> Result<usize, &'static str> {
        let n = (bytes.len() as u64).min(left) as usize;
        if !matches_pattern(self.received, &bytes[..n]) {
            return Err("body bytes are not those that were sent");
        }
        self.received += n as u64;
        Ok(n)
    }
}

impl Framing {
    /// The next state of the chunked framing after `byte`, which is no content.
    fn after(self, byte: u8) -> Result<Self, &'static str> {
        Ok(match (self, byte) {
            (Self::ChunkSize { .. } | Self::ChunkEnd, b'\r') => self,
            (Self::ChunkSize { value: 0, digits: true }, b'\n') => Self::Trailer { empty: true },
            (Self::ChunkSize { value, digits: true }, b'\n') => Self::ChunkData { left: value },
            (Self::ChunkSize { value, .. }, byte) => {
                let digit = (byte as char).to_digit(16).ok_or("malformed chunk size")?;
                let value = value.checked_mul(16).ok_or("malformed chunk size")?;
                Self::ChunkSize { value: value + u64::from(digit), digits: true }
            }
            (Self::ChunkEnd, b'\n') => Self::ChunkSize { value: 0, digits: false },
            (Self::Trailer { empty: true }, b'\n') => Self::Done,
            (Self::Trailer { empty }, b'\r') => Self::Trailer { empty },
            (Self::Trailer { .. }, b'\n') => Self::Trailer { empty: true },
            (Self::Trailer { .. }, _) => Self::Trailer { empty: false },
            _ => return Err("malformed chunk"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_names_round_trip() {
        for request in
            [Request::Get(1024), Request::GetClose(7), Request::Post, Request::PostChunked]
        {
            assert_eq!(Request::parse(&request.name()), Some(request));
        }
        for wrong in ["", "get", "get:", "get:x", "post:1", "put"] {
            assert_eq!(Request::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn requests_have_eight_headers_and_say_what_they_carry() {
        let bytes = Request::Get(1024).bytes();
        let lines = bytes.iter().filter(|&&b| b == b'\n').count();
        assert_eq!(lines, 1 + 8 + 1);
        assert!((180..=280).contains(&bytes.len()), "{}", bytes.len());
        let read = head(&bytes).unwrap().unwrap();
        assert_eq!(read, Head { length: bytes.len(), wanted: Some(1024), ..Head::default() });
        assert!(head(&Request::GetClose(1).bytes()).unwrap().unwrap().close);
        assert_eq!(
            head(&Request::Post.bytes()).unwrap().unwrap().content_length,
            Some(POST_LENGTH)
        );
        assert!(head(&Request::PostChunked.bytes()).unwrap().unwrap().chunked);
    }

    #[test]
    fn heads() {
        type Case<'a> = (&'a str, Result<Option<Head>, &'static str>);
        let of = |length| Head { length, ..Head::default() };
        let table: &[Case] = &[
            ("", Ok(None)),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", Ok(None)),
            ("HTTP/1.1 200 OK\r\n\r\nrest", Ok(Some(Head { status: 200, ..of(19) }))),
            (
                "HTTP/1.1 503 No\r\ncontent-LENGTH:  12 \r\nConnection: Close\r\n\r\n",
                Ok(Some(Head { status: 503, content_length: Some(12), close: true, ..of(60) })),
            ),
            (
                "GET /bytes/5 HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n",
                Ok(Some(Head { wanted: Some(5), forwarded_for: true, ..of(53) })),
            ),
            ("GET / HTTP/1.1\r\nContent-Lengthy: 5\r\n\r\n", Ok(Some(of(38)))),
            ("HTTP/1.1 2x0 OK\r\n\r\n", Err("malformed status line")),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1,2\r\n\r\n", Err("malformed Content-Length")),
        ];
        for (bytes, expected) in table {
            assert_eq!(head(bytes.as_bytes()), *expected, "{bytes:?}");
        }
        assert_eq!(head(&[b'a'; HEAD_MAX + 1]), Err("head of more than 16 KB"));
    }

    #[test]
    fn a_head_is_whole_at_its_last_byte_only() {
        let bytes = Request::Get(1024).bytes();
        for end in 0..bytes.len() {
            assert_eq!(head(&bytes[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn bodies_arrive_cut_anywhere() {
        for request in [Request::Post, Request::PostChunked] {
            let bytes = request.bytes();
            let head = head(&bytes).unwrap().unwrap();
            let body = &bytes[head.length..];
            for step in [1, 3, 4096, body.len()] {
                let mut reader = Body::of(&head);
                for piece in body.chunks(step) {
                    assert!(!reader.is_whole());
                    assert_eq!(reader.feed(piece), Ok(piece.len()));
                }
                assert!(reader.is_whole());
                assert_eq!(reader.received(), POST_LENGTH);
                assert_eq!(reader.feed(b"next"), Ok(0));
            }
        }
    }

    #[test]
    fn wrong_bodies_are_noticed() {
        let chunked = Head { chunked: true, ..Head::default() };
        for (bytes, fault) in [
            (&b"g\r\n"[..], "malformed chunk size"),
            (b"\r\n", "malformed chunk size"),
            (b"fffffffffffffffff\r\n", "malformed chunk size"),
            (b"1\r\n\x00x", "malformed chunk"),
            (b"1\r\nx\r\n", "body bytes are not those that were sent"),
        ] {
            assert_eq!(Body::of(&chunked).feed(bytes), Err(fault), "{bytes:?}");
        }
        let mut lost = pattern(0, 300);
        lost.remove(100);
        let length = Head { content_length: Some(300), ..Head::default() };
        assert!(Body::of(&length).feed(&lost).is_err());
    }

    #[test]
    fn a_stretch_can_be_sent_at_any_position() {
        let stretch = pattern_stretch(1000);
        for at in [0, 1, 250, 251, 252, 1 << 32] {
            let from = pattern_offset(at);
            assert!(matches_pattern(at, &stretch[from..from + 1000]));
            assert!(!matches_pattern(at + 1, &stretch[from..from + 1000]));
        }
    }
}
