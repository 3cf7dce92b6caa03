//! Says what is wrong with a head that was refused, and at which byte. Not the parser: httparse
//! decides whether a head is valid, this reads the grammar again, slowly, for the operator. That
//! the two agree is a test.

use super::error::{BadHead, HeadError};
use super::find::{END, find_end};
use super::scan::{Kind, check_lines};
use super::token::{is_blank, is_target_byte, is_token_byte, is_value_byte};

/// The first thing that is wrong with `input` as one whole head of that kind, but for what the
/// lines mean: a target that does not fit, a Host that is none, a second one.
pub(super) fn diagnose(kind: Kind, input: &[u8], fields_max: usize) -> Option<BadHead> {
    if let Err(bad) = check_lines(input, 0, false) {
        return Some(bad);
    }
    match find_end(input) {
        Some(end) if end + END.len() == input.len() => {
            first_fault(kind, &input[..end + 2], fields_max)
        }
        _ => Some(BadHead { at: input.len(), why: HeadError::Incomplete }),
    }
}

/// The first fault of lines that all end in CRLF.
fn first_fault(kind: Kind, lines: &[u8], fields_max: usize) -> Option<BadHead> {
    let mut at = 0;
    for (index, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        let fault = match kind {
            _ if index > fields_max => Some((0, HeadError::TooManyFields)),
            _ if index > 0 => field(text),
            Kind::Request => request_line(text),
            Kind::Response => status_line(text),
        };
        if let Some((within, why)) = fault {
            return Some(BadHead { at: at + within, why });
        }
        at += line.len();
    }
    None
}

/// Where in a line something is wrong, and what.
type Fault = Option<(usize, HeadError)>;

pub(super) fn request_line(line: &[u8]) -> Fault {
    let method = run(line, is_token_byte);
    if method == 0 || line.get(method) != Some(&b' ') {
        return Some((method, HeadError::Method));
    }
    let start = method + 1;
    let target = run(&line[start..], is_target_byte);
    let end = start + target;
    if target == 0 || line.get(end) != Some(&b' ') {
        return Some((end, HeadError::Target));
    }
    let version = &line[end + 1..];
    (!is_version(version)).then_some((end + 1, HeadError::Version))
}

pub(super) fn status_line(line: &[u8]) -> Fault {
    let Some((version, rest)) = line.split_at_checked(8) else {
        return Some((0, HeadError::Version));
    };
    if !is_version(version) {
        return Some((0, HeadError::Version));
    }
    let [b' ', b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', rest @ ..] = rest else {
        return Some((8, HeadError::Status));
    };
    match rest {
        [] => None,
        [b' ', reason @ ..] => control(reason, 13),
        _ => Some((12, HeadError::Status)),
    }
}

fn field(line: &[u8]) -> Fault {
    if line.first().copied().is_some_and(is_blank) {
        return Some((0, HeadError::Folded));
    }
    let name = run(line, is_token_byte);
    match line.get(name) {
        Some(b':') if name > 0 => control(&line[name + 1..], name + 1),
        Some(b' ' | b'\t') => Some((name, HeadError::SpaceBeforeColon)),
        _ => Some((name, HeadError::FieldName)),
    }
}

pub(super) fn control(text: &[u8], at: usize) -> Fault {
    let clean = run(text, is_value_byte);
    (clean < text.len()).then_some((at + clean, HeadError::Control))
}

pub(super) fn is_version(text: &[u8]) -> bool {
    matches!(text, b"HTTP/1.0" | b"HTTP/1.1")
}

/// How many bytes at the start are of the class.
pub(super) fn run(text: &[u8], class: fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| class(**byte)).count()
}
