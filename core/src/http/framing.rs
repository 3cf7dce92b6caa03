//! How long is the body? (RFC 9112 section 6.3.) Pure decisions about a head; the bytes of a
//! chunked body are [`ChunkDecoder`](super::ChunkDecoder)'s.
//!
//! Two hops that disagree about this can be made to see different requests on one connection, so
//! whatever is in doubt is an error. Stricter than HAProxy 2.6, on purpose: it takes a request with
//! both Content-Length and Transfer-Encoding (dropping the former) and chunks in HTTP/1.0.
//!
//! Policy is left to the caller: a GET, HEAD or DELETE of HTTP/1.0 with a body, say.

use core::fmt;

use itoa::Buffer;

use super::known::{Known, KnownSet, Method, Version};
use super::model::Head;

/// The largest body, in bytes, that a Content-Length may announce.
const LENGTH_MAX: u64 = i64::MAX as u64;

const FRAMING: KnownSet = KnownSet::of(&[Known::ContentLength, Known::TransferEncoding]);

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none: the message ends with its head.
    None,
    /// So many bytes, at most 2^63 - 1; often 0.
    Length(u64),
    /// A [`ChunkDecoder`](super::ChunkDecoder) knows.
    Chunked,
    /// The connection's end. Responses only.
    UntilClose,
    /// This is the connection's last message: what follows is no HTTP any more. A 101, or a 2xx to
    /// CONNECT. Whether the client asked for an upgrade at all is for the caller to know.
    Tunnel,
}

/// Why the length of a body is in doubt. A request's is answered with 400, a response's with 502.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// A Transfer-Encoding that is not exactly one `chunked`.
    Coding,
    /// A Transfer-Encoding in HTTP/1.0.
    CodingVersion,
    /// A CONNECT with a Content-Length or a Transfer-Encoding.
    ConnectBody,
    /// A Content-Length that is no number.
    Length,
    /// Both Content-Length and Transfer-Encoding in a request.
    LengthAndCoding,
    /// Content-Lengths that differ.
    LengthConflict,
    /// A Content-Length beyond 2^63 - 1.
    LengthTooLarge,
}

impl FramingError {
    /// A sentence's worth for logs and `show errors`.
    pub fn explain(&self) -> &'static str {
        match self {
            FramingError::Coding => "the Transfer-Encoding is not exactly one chunked",
            FramingError::CodingVersion => "a Transfer-Encoding in HTTP/1.0",
            FramingError::ConnectBody => "a CONNECT that announces a body",
            FramingError::Length => "the Content-Length is not a number",
            FramingError::LengthAndCoding => "both Content-Length and Transfer-Encoding",
            FramingError::LengthConflict => "two Content-Lengths differ",
            FramingError::LengthTooLarge => "the Content-Length is too large",
        }
    }
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain())
    }
}

impl core::error::Error for FramingError {}

/// The body of a request: [`Body::None`], [`Body::Length`] or [`Body::Chunked`].
pub fn request_body(head: &Head) -> Result<Body, FramingError> {
    debug_assert!(head.is_request());
    if !head.has_any(FRAMING) {
        return Ok(Body::None);
    }
    if head.method() == Method::Connect {
        return Err(FramingError::ConnectBody);
    }
    match (is_chunked(head)?, content_length(head)?) {
        (true, Some(_)) => Err(FramingError::LengthAndCoding),
        (true, None) => Ok(Body::Chunked),
        (false, Some(length)) => Ok(Body::Length(length)),
        (false, None) => Ok(Body::None),
    }
}

/// The body of a response to a request of that method. Transfer-Encoding wins over Content-Length,
/// which [`settle`] then removes. The two are checked even where they mean nothing (in an answer
/// to HEAD, a 304): a server that is wrong about them is not to be trusted with the next answer.
pub fn response_body(head: &Head, request_method: Method) -> Result<Body, FramingError> {
    debug_assert!(head.is_response());
    let (chunked, length) = match head.has_any(FRAMING) {
        true => (is_chunked(head)?, content_length(head)?),
        false => (false, None),
    };
    Ok(match (head.status(), request_method) {
        (101, _) | (200..=299, Method::Connect) => Body::Tunnel,
        (100..=199 | 204 | 304, _) => Body::None,
        (_, Method::Head) if !planted!(HeadWithBody) => Body::None,
        _ if chunked => Body::Chunked,
        _ => length.map_or(Body::UntilClose, Body::Length),
    })
}

/// Makes the head say that its body is `body`, once, and nothing else. What is written then cannot
/// be read in two ways. In an answer to HEAD or a 304 the fields are about a body that is not sent,
/// and stay; in a 1xx or 204 they are forbidden (RFC 9110 section 8.6, RFC 9112 section 6.1).
#[inline]
pub fn settle(head: &mut Head, body: Body) {
    match body {
        Body::Length(length) => settle_length(head, length),
        Body::Chunked => {
            head.remove(Known::ContentLength);
            if head.lone_value(Known::TransferEncoding) != Some(b"chunked") {
                head.settle_known(Known::TransferEncoding, b"chunked");
            }
        }
        Body::UntilClose | Body::Tunnel => {
            head.remove_all(FRAMING);
        }
        Body::None => match (head.status(), content_length(head)) {
            (200..=203 | 205.., Ok(Some(length))) if !head.has(Known::TransferEncoding) => {
                settle_length(head, length);
            }
            (200..=203 | 205.., _) => {
                head.remove(Known::ContentLength);
            }
            _ => {
                head.remove_all(FRAMING);
            }
        },
    }
}

/// The same for a head that nobody has changed since it was found to have that body, which saves to
/// read a length again.
#[inline]
pub fn settle_unchanged(head: &mut Head, body: Body) {
    // A number of as many digits as it takes has no zeros in front, no list and no spaces.
    if let Body::Length(length) = body
        && let Some(value) = head.lone_value(Known::ContentLength)
        && value.len() == length.checked_ilog10().map_or(1, |digits| digits as usize + 1)
        && !head.has(Known::TransferEncoding)
    {
        debug_assert_eq!(plain_length(value).unwrap_or(length), length, "it was read before");
        return;
    }
    settle(head, body);
}

#[inline]
fn settle_length(head: &mut Head, length: u64) {
    head.remove(Known::TransferEncoding);
    // Mostly it says just that already.
    let settled = head.lone_value(Known::ContentLength).is_some_and(|value| {
        plain_length(value) == Some(length) && (value[0] != b'0' || value.len() == 1)
    });
    if !settled {
        head.settle_known(Known::ContentLength, Buffer::new().format(length).as_bytes());
    }
}

/// Is there a Transfer-Encoding? If so, it must be `chunked` and no more.
#[inline]
fn is_chunked(head: &Head) -> Result<bool, FramingError> {
    let mut codings = head.values(Known::TransferEncoding);
    let Some(coding) = codings.next() else { return Ok(false) };
    if head.version() == Version::V10 {
        return Err(FramingError::CodingVersion);
    }
    if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
        Ok(true)
    } else {
        Err(FramingError::Coding)
    }
}

/// The one number that all Content-Lengths say. They may repeat it, in fields or in a list.
#[inline]
fn content_length(head: &Head) -> Result<Option<u64>, FramingError> {
    if !head.has(Known::ContentLength) {
        return Ok(None);
    }
    if let Some(length) = head.lone_value(Known::ContentLength).and_then(plain_length) {
        return Ok(Some(length));
    }
    let mut length = None;
    for value in head.values(Known::ContentLength) {
        for number in value.split(|byte| *byte == b',') {
            let number = parse_length(number.trim_ascii())?;
            if length.is_some_and(|length| length != number) {
                return Err(FramingError::LengthConflict);
            }
            length = Some(number);
        }
    }
    Ok(length)
}

/// A number as nearly all are written: digits, and so few of them that they cannot overflow.
fn plain_length(digits: &[u8]) -> Option<u64> {
    if !(1..=18).contains(&digits.len()) {
        return None;
    }
    let (mut length, mut odd) = (0, false);
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        odd |= digit > 9;
        // It overflows only where some are no digits, which is said below.
        length = u64::wrapping_add(u64::wrapping_mul(length, 10), digit.into());
    }
    (!odd).then_some(length)
}

fn parse_length(digits: &[u8]) -> Result<u64, FramingError> {
    if digits.is_empty() {
        return Err(FramingError::Length);
    }
    let mut length = Some(0u64);
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(FramingError::Length);
        }
        let add = |length: u64| length.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        length = length.and_then(add);
    }
    length.filter(|length| *length <= LENGTH_MAX).ok_or(FramingError::LengthTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{HeadLimits, parse_request, parse_response};

    fn parsed(text: &str) -> Head {
        let parse = if text.starts_with("HTTP/") { parse_response } else { parse_request };
        let mut head = Head::new();
        parse(format!("{text}\r\n\r\n").as_bytes(), &mut head, &HeadLimits::default()).unwrap();
        head
    }

    /// The fields after the decision is settled.
    fn settled(mut head: Head, body: Body) -> String {
        settle(&mut head, body);
        let line = |(name, value): (&[u8], &[u8])| {
            format!("{}: {}", name.escape_ascii(), value.escape_ascii())
        };
        head.fields().map(line).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn requests() {
        use FramingError::*;
        for (fields, expected, after) in [
            ("", Ok(Body::None), ""),
            ("A: b", Ok(Body::None), "a: b"),
            ("Content-Length: 0", Ok(Body::Length(0)), "content-length: 0"),
            ("Content-Length: 5", Ok(Body::Length(5)), "content-length: 5"),
            ("Content-Length: 5\r\nA: b", Ok(Body::Length(5)), "content-length: 5; a: b"),
            ("Content-Length: 05", Ok(Body::Length(5)), "content-length: 5"),
            ("Content-Length: 1024", Ok(Body::Length(1024)), "content-length: 1024"),
            (
                "Content-Length: 123456789012345678",
                Ok(Body::Length(123_456_789_012_345_678)),
                "content-length: 123456789012345678",
            ),
            (
                "Content-Length: 1234567890123456789",
                Ok(Body::Length(1_234_567_890_123_456_789)),
                "content-length: 1234567890123456789",
            ),
            ("Content-Length: 70, 0070", Ok(Body::Length(70)), "content-length: 70"),
            ("Content-Length: 5, 5", Ok(Body::Length(5)), "content-length: 5"),
            ("Content-Length: 5\t,5 , 05", Ok(Body::Length(5)), "content-length: 5"),
            ("Content-Length: 5\r\nContent-Length: 5", Ok(Body::Length(5)), "content-length: 5"),
            ("Content-Length: 5, 5\r\nA: b", Ok(Body::Length(5)), "content-length: 5; a: b"),
            (
                "A: b\r\nContent-Length: 5\r\nC: d\r\nContent-Length: 5\r\nE: f",
                Ok(Body::Length(5)),
                "a: b; content-length: 5; c: d; e: f",
            ),
            (
                "Content-Length: 9223372036854775807",
                Ok(Body::Length(LENGTH_MAX)),
                "content-length: 9223372036854775807",
            ),
            ("Content-Length: 9223372036854775808", Err(LengthTooLarge), ""),
            ("Content-Length: 18446744073709551616", Err(LengthTooLarge), ""),
            ("Content-Length: 99999999999999999999999", Err(LengthTooLarge), ""),
            ("Content-Length: 5, 6", Err(LengthConflict), ""),
            ("Content-Length: 5\r\nContent-Length: 6", Err(LengthConflict), ""),
            ("Content-Length:", Err(Length), ""),
            ("Content-Length: ,", Err(Length), ""),
            ("Content-Length: 5,", Err(Length), ""),
            ("Content-Length: ,5", Err(Length), ""),
            ("Content-Length: +5", Err(Length), ""),
            ("Content-Length: -5", Err(Length), ""),
            ("Content-Length: 5 5", Err(Length), ""),
            ("Content-Length: 0x5", Err(Length), ""),
            ("Content-Length: 5.0", Err(Length), ""),
            ("Content-Length: 5;a", Err(Length), ""),
            ("Content-Length: -Encoding: chunke", Err(Length), ""),
            ("Content-Length: ~~~~~~~~~~~~~~~~~~", Err(Length), ""),
            ("Content-Length: \u{665}", Err(Length), ""),
            ("Transfer-Encoding: chunked", Ok(Body::Chunked), "transfer-encoding: chunked"),
            ("Transfer-Encoding: CHUNKED", Ok(Body::Chunked), "transfer-encoding: chunked"),
            ("Transfer-Encoding:", Err(Coding), ""),
            ("Transfer-Encoding: identity", Err(Coding), ""),
            ("Transfer-Encoding: xchunked", Err(Coding), ""),
            ("Transfer-Encoding: chunked;q=1", Err(Coding), ""),
            ("Transfer-Encoding: \"chunked\"", Err(Coding), ""),
            ("Transfer-Encoding: gzip, chunked", Err(Coding), ""),
            ("Transfer-Encoding: chunked, gzip", Err(Coding), ""),
            ("Transfer-Encoding: chunked, chunked", Err(Coding), ""),
            ("Transfer-Encoding: ,chunked", Err(Coding), ""),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Err(Coding), ""),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", Err(Coding), ""),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5", Err(LengthAndCoding), ""),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", Err(LengthAndCoding), ""),
            ("Content-Length: x\r\nTransfer-Encoding: chunked", Err(Length), ""),
        ] {
            let lines = if fields.is_empty() { "" } else { &format!("\r\n{fields}") };
            let head = parsed(&format!("POST / HTTP/1.1{lines}"));
            assert_eq!(request_body(&head), expected, "{fields:?}");
            if let Ok(body) = expected {
                assert_eq!(settled(head, body), after, "{fields:?}");
            }
            if !fields.is_empty() && !fields.starts_with('A') {
                let head = parsed(&format!("CONNECT a:1 HTTP/1.1{lines}"));
                assert_eq!(request_body(&head), Err(ConnectBody), "{fields:?}");
            }
            if fields.contains("Transfer-Encoding") {
                let head = parsed(&format!("POST / HTTP/1.0{lines}"));
                assert_eq!(request_body(&head), Err(CodingVersion), "{fields:?}");
            }
        }
    }

    #[test]
    fn responses() {
        use FramingError::*;
        let both = "Content-Length: 5\r\nTransfer-Encoding: Chunked";
        let twice = "Content-Length: 5, 5";
        for (method, line, fields, expected, after) in [
            (Method::Get, "1.1 200 OK", "", Ok(Body::UntilClose), ""),
            (Method::Get, "1.0 200 OK", "A: b", Ok(Body::UntilClose), "a: b"),
            (Method::Get, "1.1 200 OK", twice, Ok(Body::Length(5)), "content-length: 5"),
            (Method::Get, "1.1 404 No", twice, Ok(Body::Length(5)), "content-length: 5"),
            (Method::Get, "1.1 200 OK", both, Ok(Body::Chunked), "transfer-encoding: chunked"),
            (Method::Get, "1.0 200 OK", both, Err(CodingVersion), ""),
            (Method::Get, "1.1 200 OK", "Content-Length: x", Err(Length), ""),
            (Method::Get, "1.1 200 OK", "Transfer-Encoding: gzip", Err(Coding), ""),
            (Method::Head, "1.1 200 OK", "", Ok(Body::None), ""),
            (Method::Head, "1.1 200 OK", twice, Ok(Body::None), "content-length: 5"),
            (Method::Head, "1.1 200 OK", both, Ok(Body::None), "transfer-encoding: Chunked"),
            (Method::Head, "1.1 200 OK", "Content-Length: x", Err(Length), ""),
            (Method::Get, "1.1 304 No", twice, Ok(Body::None), "content-length: 5"),
            (Method::Get, "1.1 304 No", "", Ok(Body::None), ""),
            (Method::Get, "1.1 100 Go", twice, Ok(Body::None), ""),
            (Method::Get, "1.1 103 Go", both, Ok(Body::None), ""),
            (Method::Get, "1.1 204 No", twice, Ok(Body::None), ""),
            (Method::Get, "1.1 204 No", both, Ok(Body::None), ""),
            (Method::Get, "1.1 101 Up", twice, Ok(Body::Tunnel), ""),
            (Method::Connect, "1.1 200 OK", both, Ok(Body::Tunnel), ""),
            (Method::Connect, "1.1 299 OK", "", Ok(Body::Tunnel), ""),
            (Method::Connect, "1.1 407 No", twice, Ok(Body::Length(5)), "content-length: 5"),
            (Method::Connect, "1.1 407 No", "", Ok(Body::UntilClose), ""),
        ] {
            let lines = if fields.is_empty() { "" } else { &format!("\r\n{fields}") };
            let head = parsed(&format!("HTTP/{line}{lines}"));
            assert_eq!(response_body(&head, method), expected, "{method:?} {line} {fields:?}");
            if let Ok(body) = expected {
                assert_eq!(settled(head, body), after, "{method:?} {line} {fields:?}");
            }
        }
    }

    #[test]
    fn another_body_than_the_received_one_can_be_settled() {
        let request = "POST / HTTP/1.1\r\nContent-Length: 5\r\nA: b";
        for (text, body, after) in [
            (request, Body::Chunked, "a: b; transfer-encoding: chunked"),
            (request, Body::Length(7), "content-length: 7; a: b"),
            (request, Body::None, "a: b"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", Body::UntilClose, ""),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", Body::Length(3), "content-length: 3"),
        ] {
            assert_eq!(settled(parsed(text), body), after, "{text} {body:?}");
        }
    }

    #[test]
    fn what_nobody_has_changed_is_settled_in_the_same_way() {
        let request = |fields: &str| parsed(&format!("POST / HTTP/1.1\r\n{fields}"));
        for (shown, body, after) in [
            ("Content-Length: 0", Body::Length(0), "content-length: 0"),
            ("Content-Length: 00", Body::Length(0), "content-length: 0"),
            ("Content-Length: 9", Body::Length(9), "content-length: 9"),
            ("Content-Length: 10", Body::Length(10), "content-length: 10"),
            ("Content-Length: 010", Body::Length(10), "content-length: 10"),
            ("Content-Length: 7, 7", Body::Length(7), "content-length: 7"),
            ("Content-Length: 7\r\nContent-Length: 7", Body::Length(7), "content-length: 7"),
            ("Content-Length: 7\r\nTransfer-Encoding: x", Body::Length(7), "content-length: 7"),
            ("Transfer-Encoding: Chunked", Body::Chunked, "transfer-encoding: chunked"),
            ("A: b", Body::None, "a: b"),
        ] {
            let mut head = request(shown);
            settle_unchanged(&mut head, body);
            let fields: Vec<_> =
                head.fields().map(|(name, value)| [name, b": ", value].concat()).collect();
            assert_eq!(String::from_utf8(fields.join(&b"; "[..])).unwrap(), after);
            assert_eq!(settled(request(shown), body), after, "{shown}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        use FramingError::*;
        let all = [
            Coding,
            CodingVersion,
            ConnectBody,
            Length,
            LengthAndCoding,
            LengthConflict,
            LengthTooLarge,
        ];
        let said: std::collections::BTreeSet<String> = all.iter().map(|e| e.to_string()).collect();
        assert_eq!(said.len(), all.len(), "each in its own words");
        assert!(said.iter().all(|words| words.len() > 20 && words.contains(' ')), "{said:?}");
        assert!(LengthTooLarge.to_string().contains("Content-Length"));
    }
}
