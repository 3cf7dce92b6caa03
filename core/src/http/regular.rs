//! The short way for heads that are spaced as nearly all are: one space wherever there may be some,
//! no white space at the end of a line, nothing twice that may be there once. It decides nothing:
//! a head that it does not take is not bad, but left to httparse, and one that it takes becomes
//! what httparse would have made of it, for a third of the instructions. Both are tests.

use super::find::{WIDTH, find_control, find_name_end, find_target_end, name_end, padded_control};
use super::index::{COLON, CRLF, Index, NAME_MAX, recognise};
use super::known::{Known, Version};
use super::model::Head;
use super::scan::Kind;
use super::token::{is_token_byte, lower_token};

/// Makes a model of the head that starts what `head` was loaded with, and says how long it is. If
/// that says `None`, `head` is in no particular state.
pub(super) fn take_regular(kind: Kind, head: &mut Head, fields_max: usize) -> Option<usize> {
    let start = match kind {
        Kind::Request => take_request_line(head)?,
        Kind::Response => take_status_line(head)?,
    };
    let (lines, index) = head.loaded();
    let all = lines.len();
    let mut rest = lines.get_mut(start..)?;
    while !rest.starts_with(b"\r\n") {
        if index.fields.len() == fields_max {
            return None;
        }
        let len = take_field(rest, all - rest.len(), index)?;
        rest = rest.get_mut(len..)?;
    }
    let at = all - rest.len();
    head.unload(at);
    Some(at + 2)
}

/// Says how long the line is.
fn take_request_line(head: &mut Head) -> Option<usize> {
    let lines = &*head.loaded().0;
    let method_len = lines.iter().take_while(|byte| is_token_byte(**byte)).count();
    let rest = lines[method_len..].strip_prefix(b" ")?;
    let target_len = find_target_end(rest)?;
    let (version, rest) = rest[target_len..].strip_prefix(b" ")?.split_first_chunk()?;
    let version = Version::parse(version)?;
    let rest = rest.strip_prefix(b"\r\n")?;
    if method_len == 0 || target_len == 0 {
        return None;
    }
    let len = lines.len() - rest.len();
    head.take_request_line(0, method_len, target_len, version);
    Some(len)
}

/// Says how long the line is.
fn take_status_line(head: &mut Head) -> Option<usize> {
    let lines = &*head.loaded().0;
    let (version, rest) = lines.split_first_chunk()?;
    let version = Version::parse(version)?;
    let [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', rest @ ..] = rest else {
        return None;
    };
    let digit = |digit: &u8| u16::from(digit - b'0');
    let status = digit(a) * 100 + digit(b) * 10 + digit(c);
    let reason_len = find_control(rest)?;
    let rest = rest[reason_len..].strip_prefix(b"\r\n")?;
    let len = lines.len() - rest.len();
    head.take_status_line(0, reason_len, status, version);
    Some(len)
}

/// Takes the line that starts `lines`, which are at `at` in the head, and says how long it is.
#[inline(always)]
fn take_field(lines: &mut [u8], at: usize, index: &mut Index) -> Option<usize> {
    let start = lines.first_chunk_mut()?;
    let Some(name_len) = name_end(start) else { return take_long_field(lines, at, index) };
    let known = match Known::recognise_short(start, name_len) {
        Known::Other => recognise_unknown(start, name_len)?,
        known => known,
    };
    take_value(lines, at, name_len, known, index)
}

/// A short name that is not known, if it is a token.
#[inline(never)]
fn recognise_unknown(start: &mut [u8; WIDTH], name_len: usize) -> Option<Known> {
    lower_token(start.get_mut(..name_len)?).then_some(Known::Other)
}

/// A line whose name may be a long one.
#[cold]
fn take_long_field(lines: &mut [u8], at: usize, index: &mut Index) -> Option<usize> {
    let name_len = find_name_end(lines)?;
    let known = recognise(lines.get_mut(..name_len)?)?;
    take_value(lines, at, name_len, known, index)
}

/// Takes the rest of the line, behind a name that is taken.
#[inline(always)]
fn take_value(
    lines: &[u8],
    at: usize,
    name_len: usize,
    known: Known,
    index: &mut Index,
) -> Option<usize> {
    let [b':', b' ', rest @ ..] = lines.get(name_len..)? else { return None };
    let value_len = padded_control(rest)?;
    let (value, [b'\r', b'\n', ..]) = rest.split_at_checked(value_len)? else { return None };
    // HTAB is a control, so only SP is left of the blanks.
    if value.first() == Some(&b' ') || value.last() == Some(&b' ') || name_len > NAME_MAX {
        return None;
    }
    let twice = known == Known::Host && index.present.contains(Known::Host);
    index.push(at, name_len, value_len, known);
    (!twice).then_some(name_len + COLON.len() + value_len + CRLF.len())
}
