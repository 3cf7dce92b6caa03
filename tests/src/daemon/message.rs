//! HTTP/1 messages as a strict reader of its own sees them: whatever two readers could understand
//! in two ways is an error of the kind `InvalidData`. An end where none belongs is `UnexpectedEof`.

use std::io::{self, ErrorKind, Write};

use super::wire::Wire;

/// Longest head that is read, bytes.
const HEAD_MAX: usize = 65_536;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// The first line and the fields of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub line: String,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head; none if the connection ends before its first byte.
    pub fn read(wire: &mut Wire) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            let here = wire.fill()?;
            if here.is_empty() {
                return match bytes.len() {
                    0 => Ok(None),
                    _ => Err(cut(format!("in a head: {:?}", String::from_utf8_lossy(&bytes)))),
                };
            }
            let from = bytes.len().saturating_sub(3);
            let had = bytes.len();
            bytes.extend_from_slice(here);
            let end = bytes[from..].windows(4).position(|w| w == b"\r\n\r\n");
            let end = end.map(|at| from + at + 4);
            let taken = end.unwrap_or(bytes.len()) - had;
            wire.consume(taken);
            if let Some(end) = end {
                bytes.truncate(end);
                return Self::parse(&bytes).map(Some);
            }
            if bytes.len() > HEAD_MAX {
                return Err(invalid("a head without end"));
            }
        }
    }

    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| invalid("a head that is no text"))?;
        let text = text.strip_suffix("\r\n\r\n").unwrap_or(text);
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let mut fields = Vec::new();
        for field in lines {
            let (name, value) = field.split_once(':').ok_or_else(|| invalid(field))?;
            if name.is_empty() || name.contains(|c: char| c.is_whitespace()) {
                return Err(invalid(field));
            }
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if text.replace("\r\n", "").contains(['\r', '\n']) {
            return Err(invalid("a bare CR or LF"));
        }
        Ok(Self { line, fields })
    }

    /// The value of a field that is there at most once.
    pub fn field(&self, name: &str) -> io::Result<Option<&str>> {
        let mut found = self.fields.iter().filter(|(n, _)| n == name);
        let first = found.next().map(|(_, value)| value.as_str());
        match found.next() {
            None => Ok(first),
            Some(_) => Err(invalid(format!("{name} twice"))),
        }
    }

    /// A field that is a number.
    pub fn number(&self, name: &str) -> io::Result<Option<u64>> {
        let Some(value) = self.field(name)? else { return Ok(None) };
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        let number = value.parse().ok().filter(|_| digits);
        number.map(Some).ok_or_else(|| invalid(format!("{name}: {value}")))
    }

    /// The minor version of HTTP/1.
    pub fn minor(&self) -> io::Result<u8> {
        let word = match self.line.strip_prefix("HTTP/1.") {
            Some(rest) => rest.split(' ').next(),
            None => self.line.rsplit(' ').next().and_then(|word| word.strip_prefix("HTTP/1.")),
        };
        match word {
            Some("0") => Ok(0),
            Some("1") => Ok(1),
            _ => Err(invalid(&self.line)),
        }
    }

    /// An answer's status.
    pub fn status(&self) -> io::Result<u16> {
        self.minor()?;
        let code = self.line.split(' ').nth(1).filter(|code| code.len() == 3);
        code.and_then(|code| code.parse().ok()).ok_or_else(|| invalid(&self.line))
    }

    /// A request's method.
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// A request's target.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// Whether the sender keeps the connection, as far as its version and its fields say.
    pub fn keeps(&self) -> io::Result<bool> {
        let said = |word: &str| {
            self.fields.iter().filter(|(name, _)| name == "connection").any(|(_, value)| {
                value.split(',').any(|item| item.trim().eq_ignore_ascii_case(word))
            })
        };
        match (said("close"), said("keep-alive")) {
            (true, true) => Err(invalid("both close and keep-alive")),
            (true, false) => Ok(false),
            (false, keep) => Ok(keep || self.minor()? == 1),
        }
    }

    /// How a request's body ends.
    pub fn request_framing(&self) -> io::Result<Framing> {
        Ok(self.framing()?.unwrap_or(Framing::None))
    }

    /// How the body of an answer to `method` ends.
    pub fn answer_framing(&self, method: &str) -> io::Result<Framing> {
        let framing = self.framing()?;
        match self.status()? {
            100..=199 | 204 if framing.is_some() => Err(invalid("a body that cannot be")),
            100..=199 | 204 | 304 => Ok(Framing::None),
            _ if method == "HEAD" => Ok(Framing::None),
            _ => Ok(framing.unwrap_or(Framing::UntilClose)),
        }
    }

    fn framing(&self) -> io::Result<Option<Framing>> {
        let length = self.number("content-length")?;
        match (self.field("transfer-encoding")?, length) {
            (Some(_), Some(_)) => Err(invalid("both Content-Length and Transfer-Encoding")),
            (Some(_), None) if self.minor()? == 0 => Err(invalid("chunks in HTTP/1.0")),
            (Some("chunked"), None) => Ok(Some(Framing::Chunked)),
            (Some(other), None) => Err(invalid(format!("Transfer-Encoding: {other}"))),
            (None, length) => Ok(length.map(Framing::Length)),
        }
    }
}

/// Reads a body and gives every piece of it to `sink`.
pub fn read_body(
    wire: &mut Wire,
    framing: Framing,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    match framing {
        Framing::None => Ok(()),
        Framing::Length(length) => read_exactly(wire, length, sink),
        Framing::UntilClose => wire.read_to_end(sink),
        Framing::Chunked => loop {
            let size = line(wire)?;
            let digits = !size.is_empty() && size.bytes().all(|b| b.is_ascii_hexdigit());
            let left = u64::from_str_radix(&size, 16).ok().filter(|_| digits);
            let left = left.ok_or_else(|| invalid(format!("chunk size {size:?}")))?;
            if left == 0 {
                while !line(wire)?.is_empty() {}
                return Ok(());
            }
            read_exactly(wire, left, sink)?;
            if !line(wire)?.is_empty() {
                return Err(invalid("bytes behind a chunk"));
            }
        },
    }
}

fn read_exactly(
    wire: &mut Wire,
    mut left: u64,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    while left > 0 {
        let here = wire.fill()?;
        if here.is_empty() {
            return Err(cut(format!("{left} bytes before the end of a body")));
        }
        let n = here.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        sink(&here[..n])?;
        wire.consume(n);
        left -= n as u64;
    }
    Ok(())
}

/// One line without its end.
fn line(wire: &mut Wire) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let Some(&byte) = wire.fill()?.first() else { return Err(cut("between chunks")) };
        wire.consume(1);
        line.push(byte);
        if line.len() > HEAD_MAX {
            return Err(invalid("a line without end"));
        }
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).map_err(|_| invalid("a line that is no text"))
}

/// Writes chunks: the last one when it is told to.
#[derive(Debug)]
pub struct Chunks<'a, W: Write>(pub &'a mut W);

impl<W: Write> Chunks<'_, W> {
    pub fn end(self) -> io::Result<()> {
        self.0.write_all(b"0\r\n\r\n")
    }
}

impl<W: Write> Write for Chunks<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            self.0.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
            self.0.write_all(bytes)?;
            self.0.write_all(b"\r\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.into())
}

fn cut(place: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, format!("cut {}", place.into()))
}
