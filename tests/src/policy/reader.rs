//! An independent reader of HTTP/1 messages as a proxy should write them. Strict about what frames
//! a message, and it shares no code with the proxy: what the proxy says and what this understands
//! must be the same.

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Not whole yet.
    Partial,
    /// So many bytes are one message.
    Whole(usize),
    /// It goes on until the connection ends.
    UntilEnd,
    /// The head of so many bytes is the last: what follows is no HTTP.
    Tunnel(usize),
    /// No message.
    Bad(&'static str),
}

/// The request that `bytes` begin with.
pub fn request(bytes: &[u8]) -> Message {
    let Some(head) = head_len(bytes) else { return Message::Partial };
    let fields = &bytes[..head];
    match body(fields) {
        Err(why) => Message::Bad(why),
        Ok(Length::None) => Message::Whole(head),
        Ok(length) => with_body(bytes, head, length),
    }
}

/// The response that `bytes` begin with, to a request of that method. An interim one is whole by
/// itself.
pub fn response(bytes: &[u8], method: &[u8]) -> Message {
    let Some(head) = head_len(bytes) else { return Message::Partial };
    let Some(status) = status(bytes) else { return Message::Bad("no status line") };
    match (status, body(&bytes[..head])) {
        (101, _) => Message::Tunnel(head),
        (200..=299, _) if method == b"CONNECT" => Message::Tunnel(head),
        (100..=199 | 204 | 304, _) => Message::Whole(head),
        _ if method == b"HEAD" => Message::Whole(head),
        (_, Err(why)) => Message::Bad(why),
        (_, Ok(Length::None)) => Message::UntilEnd,
        (_, Ok(length)) => with_body(bytes, head, length),
    }
}

/// The status of the response that `bytes` begin with.
pub fn status(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[derive(Clone, Copy)]
enum Length {
    None,
    Bytes(usize),
    Chunked,
}

fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn body(head: &[u8]) -> Result<Length, &'static str> {
    let (mut length, mut chunked) = (None, false);
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = std::str::from_utf8(value).map_err(|_| "a length that is no text")?;
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if length.is_some() || !plain {
                return Err("an ambiguous length");
            }
            length = Some(digits.parse().unwrap_or(usize::MAX));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err("an ambiguous transfer coding");
            }
            chunked = true;
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err("both a length and chunks"),
        (Some(length), false) => Ok(Length::Bytes(length)),
        (None, true) => Ok(Length::Chunked),
        (None, false) => Ok(Length::None),
    }
}

fn with_body(bytes: &[u8], head: usize, length: Length) -> Message {
    let whole = match length {
        Length::None => Some(0),
        Length::Bytes(length) => (bytes.len() - head >= length).then_some(length),
        Length::Chunked => match chunks_len(&bytes[head..]) {
            Ok(whole) => whole,
            Err(why) => return Message::Bad(why),
        },
    };
    whole.map_or(Message::Partial, |len| Message::Whole(head + len))
}

/// How long the chunks at the start are, once they are whole, trailers included.
fn chunks_len(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let mut at = 0;
    loop {
        let Some(line) = line(&bytes[at..]) else { return Ok(None) };
        let digits = line.split(|byte| *byte == b';').next().unwrap_or(line);
        let text = std::str::from_utf8(digits).map_err(|_| "a size that is no text")?;
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !plain {
            return Err("a chunk size that is no number");
        }
        let size = usize::from_str_radix(text, 16).map_err(|_| "a chunk size too large")?;
        at += line.len() + 2;
        if size == 0 {
            break;
        }
        let Some(end) = bytes.get(at + size..at + size + 2) else { return Ok(None) };
        if end != b"\r\n" {
            return Err("a chunk without its end");
        }
        at += size + 2;
    }
    while let Some(line) = line(&bytes[at..]) {
        at += line.len() + 2;
        if line.is_empty() {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn line(bytes: &[u8]) -> Option<&[u8]> {
    bytes.windows(2).position(|two| two == b"\r\n").map(|len| &bytes[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        for (bytes, found) in [
            (&b"GET / HTTP/1.1\r\n"[..], Message::Partial),
            (b"GET / HTTP/1.1\r\n\r\nG", Message::Whole(18)),
            (b"PUT / HTTP/1.1\r\ncontent-length: 2\r\n\r\nab", Message::Whole(39)),
            (b"PUT / HTTP/1.1\r\ncontent-length: 2\r\n\r\na", Message::Partial),
            (b"P / HTTP/1.1\r\ncontent-length: +2\r\n\r\na", Message::Bad("an ambiguous length")),
            (
                b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\nP",
                Message::Whole(61),
            ),
            (
                b"P / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
                Message::Bad("a chunk without its end"),
            ),
        ] {
            assert_eq!(request(bytes), found, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn responses() {
        for (bytes, method, found) in [
            (&b"HTTP/1.1 200 OK\r\n\r\nab"[..], "GET", Message::UntilEnd),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", "GET", Message::Whole(40)),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", "HEAD", Message::Whole(38)),
            (b"HTTP/1.1 100 Go\r\n\r\nHTTP", "GET", Message::Whole(19)),
            (b"HTTP/1.1 101 Up\r\n\r\nabc", "GET", Message::Tunnel(19)),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", "CONNECT", Message::Tunnel(19)),
            (b"SSH\r\n\r\n", "GET", Message::Bad("no status line")),
        ] {
            assert_eq!(response(bytes, method.as_bytes()), found, "{}", bytes.escape_ascii());
        }
    }
}
