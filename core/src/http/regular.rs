//! The short way for heads that are spaced as nearly all are: one space wherever there may be some,
//! no white space at the end of a line, nothing twice that may be there once. It decides nothing:
//! a head that it does not take is not bad, but left to httparse, and one that it takes becomes
//! what httparse would have made of it, for a third of the instructions. Both are tests.

use super::find::{WIDTH, control, find_control, find_name_end, find_target_end, name_end};
use super::index::{COLON, CRLF, Index, NAME_MAX, recognise};
use super::known::{Known, KnownSet, Version};
use super::model::Head;
use super::scan::Kind;
use super::token::{is_token_byte, lower_token};

/// So much of the lines is looked at together: a short name, and a value that is not too long.
pub(super) const WINDOW: usize = 64;

/// Makes a model of the head that starts what `head` was loaded with, and says how long it is. If
/// that says `None`, `head` is in no particular state.
pub(super) fn take_regular(kind: Kind, head: &mut Head, fields_max: usize) -> Option<usize> {
    let start = match kind {
        Kind::Request => take_request_line(head)?,
        Kind::Response => take_status_line(head)?,
    };
    let (lines, index) = head.loaded();
    // Kept out of the index while there are lines, for it is what is looked at with every one.
    let (mut present, mut repeated) = (KnownSet::EMPTY, KnownSet::EMPTY);
    let mut at = start;
    loop {
        let window = lines.get_mut(at..at + WINDOW)?.first_chunk_mut()?;
        let len = match name_end(window) {
            Some(0) => break,
            Some(name_len) => take_field(window, name_len, at, index).map(|(len, name)| {
                repeated.insert_all(present.both(name));
                present.insert_all(name);
                len
            }),
            None => None,
        };
        at += match len {
            Some(len) => len,
            None => take_long_field(lines, at, index)?,
        };
    }
    index.add_names(present, repeated);
    // The lines end where no name begins.
    lines.get(at..)?.strip_prefix(b"\r\n")?;
    if index.fields.len() > fields_max || index.repeats(Known::Host) {
        return None;
    }
    head.unload(at);
    Some(at + CRLF.len())
}

/// Says how long the line is.
fn take_request_line(head: &mut Head) -> Option<usize> {
    let lines = &*head.loaded().0;
    let method_len = match lines {
        [b'G', b'E', b'T', b' ', ..] => 3,
        _ => lines.iter().take_while(|byte| is_token_byte(**byte)).count(),
    };
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

/// Takes the line that starts the window, which is at `at`, and says how long it is and which name
/// is to be added to the index. None if it is not regular, or too long to tell.
#[inline(always)]
fn take_field(
    window: &mut [u8; WINDOW],
    name_len: usize,
    at: usize,
    index: &mut Index,
) -> Option<(usize, KnownSet)> {
    // What it is anyway; it shows that all below is within the window.
    let name_len = name_len % WIDTH;
    let (known, name) = match Known::recognise_short(window, name_len) {
        Some(known) => known,
        None => (recognise_unknown(window, name_len)?, KnownSet::EMPTY),
    };
    let value = name_len + COLON.len();
    let end = match control(word_at(window, value)) {
        Some(len) => value + len % WIDTH,
        None => value + WIDTH + control(word_at(window, value + WIDTH))? % WIDTH,
    };
    if !is_regular(window, name_len, end) {
        return None;
    }
    index.push_nameless(at, name_len, end - value, known);
    Some((end + CRLF.len(), name))
}

/// A short name that is not known, if it is a token.
#[inline(never)]
fn recognise_unknown(window: &mut [u8; WINDOW], name_len: usize) -> Option<Known> {
    lower_token(&mut window[..name_len]).then_some(Known::Other)
}

/// Takes the line at `at`, whose name or value may be a long one, and says how long it is. A name
/// that was looked at before may be in lower case by now.
#[inline(never)]
fn take_long_field(lines: &mut [u8], at: usize, index: &mut Index) -> Option<usize> {
    let line = &mut lines[at..];
    let name_len = find_name_end(line)?;
    let known = recognise(&mut line[..name_len])?;
    let value = name_len + COLON.len();
    let end = value + find_control(line.get(value..)?)?;
    if name_len > NAME_MAX || !is_regular(line, name_len, end) {
        return None;
    }
    index.push(at, name_len, end - value, known);
    Some(end + CRLF.len())
}

/// Whether in a line whose value has no control characters up to `end` nothing is but the name, a
/// colon, one space, a value with no space around it, and CRLF.
#[inline(always)]
fn is_regular(line: &[u8], name_len: usize, end: usize) -> bool {
    let value = name_len + COLON.len();
    line.get(name_len..value) == Some(COLON)
        && line.get(end..end + CRLF.len()) == Some(CRLF)
        && line[value] != b' '
        && (line[end - 1] != b' ' || end == value)
}

#[inline(always)]
fn word_at(window: &[u8; WINDOW], at: usize) -> &[u8; WIDTH] {
    window[at..].first_chunk().expect("the window is wide enough")
}
