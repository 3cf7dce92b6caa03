//! Writes a head: start line, fields in order, empty line. What it says was settled before.

use super::known::{VERSION_LEN, Version};
use super::model::Head;

/// Appends a request head to `out`. It says HTTP/1.1, whatever version it was received in: what a
/// client of HTTP/1.0 must be spared (chunks, for one) is spared it when the answer is written.
pub fn write_request(head: &Head, out: &mut Vec<u8>) {
    debug_assert!(head.is_request());
    write(head, out);
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

fn write(head: &Head, out: &mut Vec<u8>) {
    out.reserve(head.wire_len_max());
    for piece in head.pieces() {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(b"\r\n");
}
