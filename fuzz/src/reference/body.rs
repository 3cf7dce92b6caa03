//! How long a body is (RFC 9112 section 6.3), and what is in one that comes in chunks
//! (section 7.1).

use super::{Head, Read, is_text, is_token, trim};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// By its last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
    /// What follows is no HTTP.
    Tunnel,
}

const LENGTH_MAX: u128 = (1 << 63) - 1;
const SIZE_MAX: u128 = 1 << 62;
const DIGITS_MAX: usize = 16;
const EXTENSION_MAX: usize = 256;
const TRAILER_MAX: usize = 8_192;
const TRAILER_LINES_MAX: usize = 64;

/// The framing of a request, if there is no doubt.
pub fn of_request(head: &Head) -> Option<Framing> {
    let coded = coding(head)?;
    let length = length(head)?;
    let said = head.has("content-length") || head.has("transfer-encoding");
    match (coded, length) {
        _ if said && head.method() == b"CONNECT" => None,
        (true, Some(_)) => None,
        (true, None) => Some(Framing::Chunked),
        (false, Some(length)) => Some(Framing::Length(length)),
        (false, None) => Some(Framing::None),
    }
}

/// The framing of a response to a request of that method, if there is no doubt.
pub fn of_response(head: &Head, method: &[u8]) -> Option<Framing> {
    let coded = coding(head)?;
    let length = length(head)?;
    let status = head.status();
    Some(if status == 101 || (method == b"CONNECT" && status / 100 == 2) {
        Framing::Tunnel
    } else if status / 100 == 1 || status == 204 || status == 304 || method == b"HEAD" {
        Framing::None
    } else if coded {
        Framing::Chunked
    } else {
        length.map_or(Framing::UntilClose, Framing::Length)
    })
}

/// Whether the body is chunked; nothing if what is said of that is in doubt.
fn coding(head: &Head) -> Option<bool> {
    let codings: Vec<&[u8]> = head.values("transfer-encoding").collect();
    match codings[..] {
        [] => Some(false),
        [coding] if head.minor == 1 && coding.eq_ignore_ascii_case(b"chunked") => Some(true),
        _ => None,
    }
}

/// The length that is announced, if one is; nothing if it is in doubt.
fn length(head: &Head) -> Option<Option<u64>> {
    let mut numbers = Vec::new();
    for value in head.values("content-length") {
        for number in value.split(|byte| *byte == b',') {
            numbers.push(decimal(trim(number))?);
        }
    }
    numbers.dedup();
    match numbers[..] {
        [] => Some(None),
        [number] => Some(Some(number)),
        _ => None,
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = core::str::from_utf8(digits).ok()?.trim_start_matches('0');
    let number: u128 = match text {
        "" => 0,
        _ if text.len() > 20 => return None,
        _ => text.parse().ok()?,
    };
    (number <= LENGTH_MAX).then_some(number as u64)
}

/// A body that came in chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunked {
    /// Its bytes so far, whatever became of the rest.
    pub body: Vec<u8>,
    /// Whether it is over, and then how many bytes it took.
    pub end: Read<()>,
}

/// Reads the chunked body that `input` begins with.
pub fn chunked(input: &[u8]) -> Chunked {
    let mut body = Vec::new();
    let end = chunks(input, &mut body);
    Chunked { body, end }
}

fn chunks(input: &[u8], body: &mut Vec<u8>) -> Read<()> {
    let mut at = 0;
    loop {
        let size = match line(&input[at..], may_be_size, |text| size(text).is_some()) {
            Read::Whole(text, used) => match size(text) {
                Some(size) => {
                    at += used;
                    size
                }
                None => return Read::Bad,
            },
            Read::Partial => return Read::Partial,
            Read::Bad => return Read::Bad,
        };
        if size == 0 {
            break;
        }
        let rest = &input[at..];
        let count = rest.len().min(size as usize);
        body.extend_from_slice(&rest[..count]);
        if count < size as usize {
            return Read::Partial;
        }
        match &rest[count..] {
            [] | [b'\r'] => return Read::Partial,
            [b'\r', b'\n', ..] => at += count + 2,
            _ => return Read::Bad,
        }
    }
    trailer(input, at)
}

/// A line that ends in CRLF, and that `may_be` right as far as it goes, and `is` where it ends.
fn line(input: &[u8], may_be: fn(&[u8]) -> bool, is: fn(&[u8]) -> bool) -> Read<&[u8]> {
    let end = input.iter().position(|byte| *byte == b'\r');
    let text = &input[..end.unwrap_or(input.len())];
    match end {
        _ if !may_be(text) => Read::Bad,
        None => Read::Partial,
        Some(_) if !is(text) => Read::Bad,
        Some(end) => match input.get(end + 1) {
            None => Read::Partial,
            Some(b'\n') => Read::Whole(text, end + 2),
            Some(_) => Read::Bad,
        },
    }
}

fn digits(text: &[u8]) -> &[u8] {
    &text[..text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count()]
}

fn size(text: &[u8]) -> Option<u64> {
    let digits = core::str::from_utf8(digits(text)).ok()?;
    let size = u128::from_str_radix(digits, 16).ok()?;
    (size <= SIZE_MAX).then_some(size as u64)
}

/// Whether this is the beginning of a line with a chunk's size.
fn may_be_size(text: &[u8]) -> bool {
    let digits = digits(text);
    let rest = &text[digits.len()..];
    let pads = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let extension = &rest[pads..];
    let plain = extension.is_empty()
        || (extension[0] == b';' && extension.iter().all(|byte| is_text(*byte)));
    let sized = digits.is_empty() || size(digits).is_some();
    let begun = !digits.is_empty() || rest.is_empty();
    plain && begun && sized && digits.len() <= DIGITS_MAX && rest.len() <= EXTENSION_MAX
}

/// Whether this is the beginning of a field of the trailer.
fn may_be_field(text: &[u8]) -> bool {
    let name = text.iter().take_while(|byte| is_token(**byte)).count();
    match &text[name..] {
        [] => true,
        [b':', value @ ..] => name > 0 && value.iter().all(|byte| is_text(*byte)),
        _ => false,
    }
}

fn trailer(input: &[u8], start: usize) -> Read<()> {
    let mut at = start;
    let mut lines = 0;
    loop {
        let rest = &input[at..];
        let is_field = |text: &[u8]| text.is_empty() || text.contains(&b':');
        let text = match line(rest, may_be_field, is_field) {
            Read::Whole(b"", used) => return Read::Whole((), at + used),
            other => other,
        };
        // The line counts from its first byte, and so do its bytes.
        let begun = !rest.is_empty() && rest[0] != b'\r';
        let used = if let Read::Whole(_, used) = text { used } else { rest.len() };
        lines += usize::from(begun);
        let bytes = if begun { at + used - start } else { at - start };
        let too_long = lines > TRAILER_LINES_MAX || bytes > TRAILER_MAX;
        match text {
            _ if too_long => return Read::Bad,
            Read::Whole(_, used) => at += used,
            Read::Bad => return Read::Bad,
            Read::Partial => return Read::Partial,
        }
    }
}
