//! What one end of a connection received, cut into messages by a reader that is lenient on
//! purpose: it reads what either proxy wrote and records it. It judges nothing; that is what
//! `strict` and `oracle` are for.

use std::fmt::Write as _;

/// How the end of a body was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
    /// What follows is no HTTP any more.
    Tunnel,
}

/// A name in lower case, and a value without the white space around it.
pub type Field = (Vec<u8>, Vec<u8>);

/// One message, or the part of one that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub line: Vec<u8>,
    pub fields: Vec<Field>,
    pub framing: Framing,
    /// Without the chunked coding.
    pub body: Vec<u8>,
    pub trailers: Vec<Field>,
    /// Its end came.
    pub complete: bool,
    /// Its head came.
    pub headed: bool,
    /// How many bytes it took.
    pub len: usize,
}

impl Message {
    fn partial(bytes: &[u8]) -> Self {
        Self {
            line: bytes.to_vec(),
            fields: Vec::new(),
            framing: Framing::None,
            body: Vec::new(),
            trailers: Vec::new(),
            complete: false,
            headed: false,
            len: bytes.len(),
        }
    }

    /// The words of the start line.
    pub fn word(&self, n: usize) -> &[u8] {
        self.line.splitn(3, |b| *b == b' ').nth(n).unwrap_or_default()
    }

    pub fn status(&self) -> u16 {
        let text = std::str::from_utf8(self.word(1)).unwrap_or_default();
        text.parse().unwrap_or_default()
    }

    pub fn is_interim(&self) -> bool {
        matches!(self.status(), 100..=199) && self.status() != 101
    }

    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |(n, _): &&Field| n == name.as_bytes();
        self.fields.iter().filter(named).map(|(_, value)| &**value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Whether a list of that name has that element.
    pub fn lists(&self, name: &str, element: &str) -> bool {
        let mut elements = self.values(name).flat_map(|value| value.split(|b| *b == b','));
        elements.any(|e| e.trim_ascii().eq_ignore_ascii_case(element.as_bytes()))
    }

    /// Whether its sender says that the connection ends with it.
    pub fn says_close(&self) -> bool {
        let old = self.line.starts_with(b"HTTP/1.0") || self.line.ends_with(b"HTTP/1.0");
        self.framing == Framing::UntilClose
            || self.lists("connection", "close")
            || old && !self.lists("connection", "keep-alive")
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let end = if self.complete { "" } else { " … CUT" };
        let _ = writeln!(text, "{}", self.line.escape_ascii());
        for (name, value) in &self.fields {
            let _ = writeln!(text, "  {}: {}", name.escape_ascii(), value.escape_ascii());
        }
        let _ = write!(text, "  {:?} body {}{end}", self.framing, short(&self.body));
        for (name, value) in &self.trailers {
            let _ = write!(text, "\n  trailer {}: {}", name.escape_ascii(), value.escape_ascii());
        }
        text
    }
}

/// Some bytes for people; long ones cut in the middle.
pub fn short(bytes: &[u8]) -> String {
    const MOST: usize = 400;
    if bytes.len() <= 2 * MOST {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    let (first, last) = (&bytes[..MOST], &bytes[bytes.len() - MOST..]);
    let cut = bytes.len() - 2 * MOST;
    format!("\"{}\" … {cut} bytes … \"{}\"", first.escape_ascii(), last.escape_ascii())
}

/// The first request in `bytes`; none if there is no byte.
pub fn request(bytes: &[u8]) -> Option<Message> {
    let mut message = head(bytes)?;
    if !message.headed {
        return Some(message);
    }
    let chunked = message.has("transfer-encoding");
    let length = length(&message);
    message.framing = match length {
        _ if chunked => Framing::Chunked,
        Some(length) => Framing::Length(length),
        None => Framing::None,
    };
    body(&mut message, bytes, false);
    Some(message)
}

/// The first response in `bytes`, to a request of `method`; none if there is no byte. `ended` tells
/// that nothing more will come.
pub fn response(bytes: &[u8], method: &[u8], ended: bool) -> Option<Message> {
    let mut message = head(bytes)?;
    if !message.headed {
        return Some(message);
    }
    message.framing = match message.status() {
        101 => Framing::Tunnel,
        200..=299 if method == b"CONNECT" => Framing::Tunnel,
        100..=199 | 204 | 304 => Framing::None,
        _ if method == b"HEAD" => Framing::None,
        _ if message.has("transfer-encoding") => Framing::Chunked,
        _ => length(&message).map_or(Framing::UntilClose, Framing::Length),
    };
    body(&mut message, bytes, ended);
    Some(message)
}

fn length(message: &Message) -> Option<u64> {
    let value = message.values("content-length").next()?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn head(bytes: &[u8]) -> Option<Message> {
    if bytes.is_empty() {
        return None;
    }
    let mut message = Message::partial(bytes);
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Some(message) };
    let mut lines = lines(&bytes[..end]);
    message.line = lines.next().unwrap_or_default().to_vec();
    message.fields = lines.map(field).collect();
    message.headed = true;
    message.len = end + 4;
    Some(message)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let here = rest?;
        let end = find(here, b"\r\n");
        rest = end.map(|end| &here[end + 2..]);
        Some(&here[..end.unwrap_or(here.len())])
    })
}

fn field(line: &[u8]) -> Field {
    let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
    let value = line.get(colon + 1..).unwrap_or_default();
    (line[..colon].to_ascii_lowercase(), value.trim_ascii().to_vec())
}

pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn body(message: &mut Message, bytes: &[u8], ended: bool) {
    let rest = &bytes[message.len..];
    match message.framing {
        Framing::None | Framing::Tunnel => message.complete = true,
        Framing::Length(length) => {
            let taken = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
            message.body = rest[..taken].to_vec();
            message.len += taken;
            message.complete = taken as u64 == length;
        }
        Framing::UntilClose => {
            message.body = rest.to_vec();
            message.len = bytes.len();
            message.complete = ended;
        }
        Framing::Chunked => match chunks(rest, message) {
            Some(taken) => {
                message.len += taken;
                message.complete = true;
            }
            None => message.len = bytes.len(),
        },
    }
}

/// Decodes what is there. Says how long it was if it was whole.
fn chunks(bytes: &[u8], message: &mut Message) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = find(&bytes[at..], b"\r\n")?;
        let line = &bytes[at..at + end];
        at += end + 2;
        let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).ok()?;
        let data = &bytes[at..];
        message.body.extend_from_slice(&data[..size.min(data.len())]);
        at = at.checked_add(size)?;
        if bytes.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    loop {
        let end = find(&bytes[at..], b"\r\n")?;
        let line = &bytes[at..at + end];
        at += end + 2;
        if line.is_empty() {
            return Some(at);
        }
        message.trailers.push(field(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_cut() {
        let two = b"POST /a HTTP/1.1\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n\
            3;x\r\nabc\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.1\r\nContent-Length: 2\r\n\r\nxyz";
        let first = request(two).unwrap();
        assert_eq!(first.word(1), b"/a");
        assert_eq!((&first.body[..], first.complete), (&b"abc"[..], true));
        assert_eq!(first.trailers, [(b"t".to_vec(), b"u".to_vec())]);
        let second = request(&two[first.len..]).unwrap();
        assert_eq!((&second.body[..], second.complete), (&b"xy"[..], true));
        let third = request(&two[first.len + second.len..]).unwrap();
        assert_eq!((third.headed, third.complete), (false, false));
        for cut in 1..first.len {
            assert!(!request(&two[..cut]).unwrap().complete, "cut at {cut}");
        }
    }

    #[test]
    fn responses_end_as_they_say() {
        let plain = b"HTTP/1.1 200 OK\r\n\r\nabc";
        assert!(!response(plain, b"GET", false).unwrap().complete);
        assert_eq!(response(plain, b"GET", true).unwrap().body, b"abc");
        assert_eq!(response(plain, b"HEAD", false).unwrap().len, 19);
        assert_eq!(response(plain, b"CONNECT", false).unwrap().framing, Framing::Tunnel);
        let none = b"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(response(none, b"GET", false).unwrap().framing, Framing::None);
    }
}
