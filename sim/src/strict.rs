//! An independent reading of HTTP/1.1, as strict as can be: what an actor understands of the bytes
//! it gets. It shares no code with the core, so that the two do not agree by mistake.

/// The head of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The start line.
    pub line: String,
    /// Names in lower case, and values.
    pub fields: Vec<(String, String)>,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By its last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

impl Head {
    /// Reads the head that `input` begins with: none if it is not whole; and how long it is.
    pub fn read(input: &[u8]) -> Result<Option<(Head, usize)>, String> {
        let Some(end) = input.windows(4).position(|w| w == b"\r\n\r\n") else {
            return if input.len() > 1 << 16 { Err("a head without end".into()) } else { Ok(None) };
        };
        let text = core::str::from_utf8(&input[..end]).map_err(|_| "a head that is not text")?;
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let mut fields = Vec::new();
        for field in lines {
            let (name, value) = field.split_once(':').ok_or(format!("no colon in {field:?}"))?;
            let token = !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            if !token || value.bytes().any(|b| b < b' ' || b == 0x7f) {
                return Err(format!("a bad field {field:?}"));
            }
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Some((Head { line, fields }, end + 4)))
    }

    /// The value of the only field of that name.
    pub fn only(&self, name: &str) -> Result<Option<&str>, String> {
        let mut values = self.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| &**v);
        let first = values.next();
        match values.next() {
            Some(_) => Err(format!("{name} twice in {self:?}")),
            None => Ok(first),
        }
    }

    /// How the body ends of a message that has one; `None` if nothing says so.
    pub fn framing(&self) -> Result<Option<Framing>, String> {
        match (self.only("content-length")?, self.only("transfer-encoding")?) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(format!("two framings in {self:?}")),
            (None, Some("chunked")) => Ok(Some(Framing::Chunked)),
            (None, Some(other)) => Err(format!("transfer-encoding {other:?}")),
            (Some(length), None) => {
                let plain = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
                let length = length.parse().ok().filter(|_| plain);
                length.map(|n| Some(Framing::Length(n))).ok_or(format!("a bad length in {self:?}"))
            }
        }
    }

    /// The status of a response.
    pub fn status(&self) -> Result<u16, String> {
        let rest =
            self.line.strip_prefix("HTTP/1.").ok_or(format!("no status: {:?}", self.line))?;
        let digits = rest.get(2..5).ok_or(format!("no status: {:?}", self.line))?;
        digits.parse().map_err(|_| format!("no status: {:?}", self.line))
    }
}

/// The body of a message that is being read.
#[derive(Clone, Debug)]
pub struct Body {
    framing: Framing,
    left: u64,
    state: ChunkState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkState {
    Size,
    Data,
    DataEnd,
    Trailer,
    Done,
}

impl Body {
    /// A body of that framing.
    pub fn new(framing: Framing) -> Body {
        let left = if let Framing::Length(n) = framing { n } else { 0 };
        Body { framing, left, state: ChunkState::Size }
    }

    /// Whether its end was seen.
    pub fn is_done(&self) -> bool {
        match self.framing {
            Framing::Length(_) => self.left == 0,
            Framing::Chunked => self.state == ChunkState::Done,
            Framing::UntilClose => false,
        }
    }

    /// Whether it ends with the connection.
    pub fn is_until_close(&self) -> bool {
        self.framing == Framing::UntilClose
    }

    /// Reads some of it: `data` gets its bytes. Says how many bytes of `input` were used.
    pub fn read(&mut self, input: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, String> {
        match self.framing {
            Framing::Length(_) => {
                let n = (input.len() as u64).min(self.left) as usize;
                data(&input[..n]);
                self.left -= n as u64;
                Ok(n)
            }
            Framing::UntilClose => {
                data(input);
                Ok(input.len())
            }
            Framing::Chunked => self.read_chunks(input, data),
        }
    }

    fn read_chunks(&mut self, input: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, String> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.state {
                ChunkState::Done => return Ok(used),
                ChunkState::Data => {
                    let n = (rest.len() as u64).min(self.left) as usize;
                    data(&rest[..n]);
                    self.left -= n as u64;
                    used += n;
                    if self.left > 0 {
                        return Ok(used);
                    }
                    self.state = ChunkState::DataEnd;
                }
                ChunkState::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.state = ChunkState::Size;
                    }
                    [] | [b'\r'] => return Ok(used),
                    _ => return Err(format!("no CRLF behind a chunk: {}", excerpt(rest))),
                },
                ChunkState::Size | ChunkState::Trailer => {
                    let Some(end) = rest.windows(2).position(|w| w == b"\r\n") else {
                        let long = rest.len() > 4096;
                        return if long {
                            Err("a chunk line without end".into())
                        } else {
                            Ok(used)
                        };
                    };
                    let line = &rest[..end];
                    used += end + 2;
                    if self.state == ChunkState::Trailer {
                        if line.is_empty() {
                            self.state = ChunkState::Done;
                        }
                        continue;
                    }
                    let digits = core::str::from_utf8(line).unwrap_or("?");
                    let hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
                    let size = u64::from_str_radix(digits, 16).ok().filter(|_| hex);
                    self.left = size.ok_or(format!("a bad chunk size {}", excerpt(line)))?;
                    self.state =
                        if self.left == 0 { ChunkState::Trailer } else { ChunkState::Data };
                }
            }
        }
    }
}

/// The beginning of some bytes, to be shown.
pub fn excerpt(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(80)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let (head, len) = Head::read(b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest").unwrap().unwrap();
        assert_eq!((head.line.as_str(), len), ("GET / HTTP/1.1", 24));
        assert_eq!(head.only("a"), Ok(Some("b")));
        assert_eq!(Head::read(b"GET / HTTP/1.1\r\n"), Ok(None));
        for bad in ["a b: c", ": c", "ab", "a : b", " a: b", "a: b\tc"] {
            assert!(Head::read(format!("G\r\n{bad}\r\n\r\n").as_bytes()).is_err(), "{bad}");
        }
        for bad in [
            "content-length: 1\r\ncontent-length: 1",
            "content-length: 1\r\ntransfer-encoding: chunked",
            "transfer-encoding: gzip",
            "content-length: +1",
            "content-length: ",
        ] {
            let head = Head::read(format!("G\r\n{bad}\r\n\r\n").as_bytes()).unwrap().unwrap().0;
            assert!(head.framing().is_err(), "{bad}");
        }
    }

    #[test]
    fn chunked_bodies_whole_and_cut_anywhere() {
        let wire = b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
        for cut in 0..wire.len() {
            let mut body = Body::new(Framing::Chunked);
            let mut got = Vec::new();
            let used = body.read(&wire[..cut], |data| got.extend_from_slice(data)).unwrap();
            assert!(!body.is_done());
            let rest = body.read(&wire[used..], |data| got.extend_from_slice(data)).unwrap();
            assert_eq!((used + rest, &got[..]), (wire.len(), &b"abc0123456789"[..]));
            assert!(body.is_done());
        }
        for bad in ["3\r\nabcd\r\n", "x\r\n", "\r\n", " 3\r\nabc\r\n", "3;a\r\nabc\r\n"] {
            let mut body = Body::new(Framing::Chunked);
            assert!(body.read(bad.as_bytes(), |_| {}).is_err(), "{bad:?}");
        }
    }
}
