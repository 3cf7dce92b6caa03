//! Writes a head: start line, fields in order, empty line. What it says was settled before.

use super::known::{VERSION_LEN, Version};
use super::model::Head;

/// Appends a request head to `out`, in the version that the client spoke, as HAProxy does.
pub fn write_request(head: &Head, out: &mut Vec<u8>) {
    debug_assert!(head.is_request());
    let at = out.len();
    write(head, out);
    if head.version() != Version::V11 {
        // The line ends in the version and CRLF.
        let end = at + head.line_len() - 2;
        out[end - VERSION_LEN..end].copy_from_slice(head.version().as_bytes());
    }
}

/// Appends a response head to `out`, which says that version. Names are in lower case, and the
/// space before the reason phrase is there even if the phrase is empty (RFC 9112 section 4).
pub fn write_response(head: &Head, version: Version, out: &mut Vec<u8>) {
    debug_assert!(head.is_response());
    let at = out.len();
    write(head, out);
    if version != Version::V11 {
        out[at..at + VERSION_LEN].copy_from_slice(version.as_bytes());
    }
}

/// Writes a request head, as [`write_request`] does, to where it fills: [`Head::wire_len`] bytes.
#[inline]
pub fn fill_request(head: &Head, into: &mut [u8]) {
    debug_assert!(head.is_request());
    fill(head, into);
    if head.version() != Version::V11 {
        let end = head.line_len() - 2;
        into[end - VERSION_LEN..end].copy_from_slice(head.version().as_bytes());
    }
}

/// Writes a response head, as [`write_response`] does, to where it fills: [`Head::wire_len`] bytes.
#[inline]
pub fn fill_response(head: &Head, version: Version, into: &mut [u8]) {
    debug_assert!(head.is_response());
    fill(head, into);
    if version != Version::V11 {
        into[..VERSION_LEN].copy_from_slice(version.as_bytes());
    }
}

#[inline]
fn fill(head: &Head, mut into: &mut [u8]) {
    for piece in head.pieces().chain([&b"\r\n"[..]]) {
        let (here, rest) = into.split_at_mut(piece.len());
        here.copy_from_slice(piece);
        into = rest;
    }
    debug_assert!(into.is_empty());
}

#[inline]
fn write(head: &Head, out: &mut Vec<u8>) {
    out.reserve(head.wire_len_max());
    for piece in head.pieces() {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(b"\r\n");
}
