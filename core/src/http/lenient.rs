//! The grammar of `option accept-invalid-http-request` and `-response`, for heads that the strict
//! one refuses. Not for what decides where a message ends: lines, versions, methods, statuses,
//! blanks around names, and the fields about framing and the connection are as strict as ever.
//!
//! What is let pass beyond the strict grammar, all of which HAProxy lets pass with these options:
//!
//! - a field name of any visible bytes but a colon, if it is not near a name that is known: without
//!   its odd bytes it must not be one, for somebody behind us may drop them;
//! - a target with bytes beyond ASCII, or a fragment;
//! - a control character in a value or a reason phrase, but NUL, CR and LF. It goes on as a space;
//! - a Host that is no host.

use super::error::{BadHead, HeadError};
use super::index::NAME_MAX;
use super::known::{Known, KnownSet, VERSION_LEN, Version};
use super::model::Head;
use super::scan::Kind;
use super::token::{is_token_byte, is_value_byte, trim};

/// Fields whose values are never relaxed.
const STRICT: KnownSet = KnownSet::of(&[
    Known::Connection,
    Known::ContentLength,
    Known::Expect,
    Known::Host,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::Te,
    Known::Trailer,
    Known::TransferEncoding,
    Known::Upgrade,
]);

/// Takes a whole head of which `syntax` has found nothing wrong with the form of the lines.
pub(super) fn take(kind: Kind, input: &[u8], into: &mut Head) -> Result<(), BadHead> {
    into.clear();
    let lines = input.strip_suffix(b"\r\n").unwrap_or(input);
    let mut at = 0;
    for (index, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        match kind {
            _ if index > 0 => {
                take_field(text, into).map_err(|(within, why)| BadHead { at: at + within, why })?
            }
            Kind::Request => take_request_line(text, into),
            Kind::Response => take_status_line(text, into),
        }
        at += line.len();
    }
    merge_hosts(into).map_err(|why| BadHead { at: 0, why })
}

fn take_request_line(line: &[u8], into: &mut Head) {
    let (start, version) = line.split_at(line.len() - VERSION_LEN);
    let method_len = run(start, is_token_byte);
    into.push_request_line(
        &start[..method_len],
        &start[method_len + 1..start.len() - 1],
        version_of(version),
    );
}

fn take_status_line(line: &[u8], into: &mut Head) {
    // The line is at least `HTTP/1.1 200`.
    let status = line[9..12].iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let reason = line.get(13..).unwrap_or_default();
    into.push_status_line(status, reason, version_of(&line[..VERSION_LEN]));
}

/// Where in a line something is wrong, and what.
type Taken = Result<(), (usize, HeadError)>;

fn take_field(line: &[u8], into: &mut Head) -> Taken {
    let name_len = run(line, |byte| byte != b':');
    if name_len > NAME_MAX {
        return Err((0, HeadError::TooLarge));
    }
    let (name, rest) = line.split_at(name_len);
    let value = trim(&rest[1..]);
    let tokens = run(name, is_token_byte);
    if tokens < name_len {
        let bare: Vec<u8> = name.iter().copied().filter(|byte| is_token_byte(*byte)).collect();
        if Known::recognise(&bare.to_ascii_lowercase()) != Known::Other {
            return Err((tokens, HeadError::FieldName));
        }
        into.push_odd(name, value);
        return Ok(());
    }
    let known = Known::recognise(&name.to_ascii_lowercase());
    let clean = name_len + 1 + run(&rest[1..], is_value_byte);
    if STRICT.contains(known) && clean < line.len() {
        return Err((clean, HeadError::Control));
    }
    into.push(name, value);
    Ok(())
}

/// How many bytes at the start are of the class.
fn run(text: &[u8], class: fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| class(**byte)).count()
}

fn merge_hosts(head: &mut Head) -> Result<(), HeadError> {
    let differ = |head: &Head| {
        let first = head.value(Known::Host).unwrap_or_default();
        head.values(Known::Host).any(|host| !host.eq_ignore_ascii_case(first))
    };
    if differ(head) {
        return Err(HeadError::HostConflict);
    }
    let mut kept = false;
    head.retain(|name, _| name != b"host" || !core::mem::replace(&mut kept, true));
    Ok(())
}

fn version_of(text: &[u8]) -> Version {
    if text.ends_with(b"0") { Version::V10 } else { Version::V11 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{HeadLimits, HeadScan, Scan, write_request, write_response};

    type Outcome = Result<&'static str, (usize, HeadError)>;

    /// Whole, byte by byte and cut at every place. What the strict grammar takes, this takes too.
    fn check(start: HeadScan, input: &[u8], expected: Outcome) {
        let text = input.escape_ascii();
        let limits = HeadLimits { lenient: true, ..HeadLimits::default() };
        let mut head = Head::new();
        let mut feed =
            |scan: &mut HeadScan, input: &[u8]| match scan.parse(input, &mut head, &limits) {
                Scan::NeedMore => None,
                Scan::Bad { at, why } => Some(Err((at, why))),
                Scan::Complete { .. } => {
                    let mut wire = Vec::new();
                    match head.is_request() {
                        true => write_request(&head, &mut wire),
                        false => write_response(&head, Version::V11, &mut wire),
                    }
                    assert_eq!(wire.len(), head.wire_len());
                    Some(Ok(wire))
                }
            };
        let expected = Some(expected.map(|wire| wire.chars().map(|c| c as u8).collect()));
        assert_eq!(feed(&mut start.clone(), input), expected, "whole: {text}");
        let mut scan = start;
        let found = (0..=input.len()).find_map(|len| feed(&mut scan, &input[..len]));
        assert_eq!(found, expected, "byte by byte: {text}");
        for cut in 0..input.len() {
            let mut scan = start;
            let found = feed(&mut scan, &input[..cut]).or_else(|| feed(&mut scan, input));
            assert_eq!(found, expected, "cut at {cut}: {text}");
        }
    }

    #[test]
    fn requests() {
        use HeadError::*;
        let table: &[(&[u8], Outcome)] = &[
            (b"GET / HTTP/1.1\r\nA: b\r\n\r\n", Ok("GET / HTTP/1.1\r\na: b\r\n\r\n")),
            (b"GET / HTTP/1.1\r\nX/Y: z\r\n\r\n", Ok("GET / HTTP/1.1\r\nx/y: z\r\n\r\n")),
            (b"GET / HTTP/1.0\r\n(\xe9): z\r\n\r\n", Ok("GET / HTTP/1.0\r\n(\u{e9}): z\r\n\r\n")),
            (b"GET /\xff#a HTTP/1.1\r\n\r\n", Ok("GET /\u{ff}#a HTTP/1.1\r\n\r\n")),
            (b"GET / HTTP/1.1\r\nA: b\x01c\x7f\r\n\r\n", Ok("GET / HTTP/1.1\r\na: b c \r\n\r\n")),
            (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Ok("GET / HTTP/1.1\r\nhost: a b\r\n\r\n")),
            (
                b"GET /# HTTP/1.1\r\nHost: a\r\nX: y\r\nHOST: A\r\n\r\n",
                Ok("GET /# HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n"),
            ),
            (b"GET /# HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Err((0, HostConflict))),
            (b"GET a#b HTTP/1.1\r\n\r\n", Err((4, TargetForm))),
            (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", Err((17, SpaceBeforeColon))),
            (b"GET / HTTP/1.1\r\nA B: c\r\n\r\n", Err((17, SpaceBeforeColon))),
            (b"GET / HTTP/1.1\r\n: c\r\n\r\n", Err((16, FieldName))),
            (b"GET / HTTP/1.1\r\nA\x01: c\r\n\r\n", Err((17, FieldName))),
            (b"GET / HTTP/1.1\r\nA\r\n\r\n", Err((17, FieldName))),
            (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Err((22, Folded))),
            (b"GET / HTTP/1.1\r\nA: \0\r\n\r\n", Err((19, Nul))),
            (b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", Err((20, BareCr))),
            (b"GET / HTTP/1.1\r\nA: b\nc\r\n\r\n", Err((20, BareLf))),
            (b"GET / HTTP/1.1\r\nContent-Length\xa0: 5\r\n\r\n", Err((30, FieldName))),
            (b"GET / HTTP/1.1\r\n\"host\": a\r\n\r\n", Err((16, FieldName))),
            (b"GET / HTTP/1.1\r\nTransfer(-)Encoding: a\r\n\r\n", Err((24, FieldName))),
            (b"GET / HTTP/1.1\r\nContent-Length: 5\x0b\r\n\r\n", Err((33, Control))),
            (b"GET / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", Err((35, Control))),
            (b"GET / HTTP/1.1\r\nConnection: \x01\r\n\r\n", Err((28, Control))),
            (b"GET /\x01 HTTP/1.1\r\n\r\n", Err((5, Target))),
            (b"GET /\x7f HTTP/1.1\r\n\r\n", Err((5, Target))),
            (b"GET /# x HTTP/1.1\r\n\r\n", Err((7, Version))),
            (b"GET /# HTTP/1.2\r\n\r\n", Err((7, Version))),
            (b"GET / HTTP/2.0\r\n\r\n", Err((6, Version))),
            (b"GE(T / HTTP/1.1\r\n\r\n", Err((2, Method))),
            (b"GET  / HTTP/1.1\r\n\r\n", Err((4, Target))),
            (b"GET\r\n\r\n", Err((3, Method))),
        ];
        for (input, expected) in table {
            check(HeadScan::request(), input, *expected);
        }
    }

    #[test]
    fn responses() {
        use HeadError::*;
        let table: &[(&[u8], Outcome)] = &[
            (b"HTTP/1.1 200 OK\r\nX/Y: z\r\n\r\n", Ok("HTTP/1.1 200 OK\r\nx/y: z\r\n\r\n")),
            (b"HTTP/1.1 200 O\x01K\r\n\r\n", Ok("HTTP/1.1 200 O K\r\n\r\n")),
            (b"HTTP/1.1 200\r\nA: \x01\r\n\r\n", Ok("HTTP/1.1 200 \r\na:  \r\n\r\n")),
            (b"HTTP/1.2 200 OK\r\nX/Y: z\r\n\r\n", Err((0, Version))),
            (b"HTTP/1.1 20 OK\r\nX/Y: z\r\n\r\n", Err((8, Status))),
            (b"HTTP/1.1 200 OK\r\nX Y: z\r\n\r\n", Err((18, SpaceBeforeColon))),
            (b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", Err((31, SpaceBeforeColon))),
        ];
        for (input, expected) in table {
            check(HeadScan::response(), input, *expected);
        }
    }

    #[test]
    fn long_names() {
        let limits = HeadLimits { lenient: true, ..HeadLimits::default() };
        for (len, good) in [(NAME_MAX, true), (NAME_MAX + 1, false)] {
            for name in ["x".repeat(len), "x".repeat(len - 1) + "/"] {
                let input = format!("GET /# HTTP/1.1\r\n{name}: a\r\n\r\n");
                let found = HeadScan::request().parse(input.as_bytes(), &mut Head::new(), &limits);
                let too_large = Scan::Bad { at: 17, why: HeadError::TooLarge };
                let whole = Scan::Complete { skip: 0, len: input.len() };
                assert_eq!(found, if good { whole } else { too_large }, "{len}");
            }
        }
    }

    #[test]
    fn fields_are_counted() {
        let limits = HeadLimits { fields_max: 3, lenient: true };
        for (count, good) in [(3, true), (4, false)] {
            let input = format!("GET /# HTTP/1.1\r\n{}\r\n", "x: 1\r\n".repeat(count));
            let found = HeadScan::request().parse(input.as_bytes(), &mut Head::new(), &limits);
            assert_eq!(matches!(found, Scan::Complete { .. }), good);
        }
    }
}
