//! Finds bytes, eight at a time. The lines of a head are short: a search of twenty bytes is over
//! before memchr has set up its vectors, which it would do three times a line.
//!
//! A word is looked at as eight lanes of one byte. The tests below leave the top bit set in each
//! lane that matches. Lanes above a match may be marked wrongly, since a borrow runs upwards, but
//! the lowest mark is always right, and it is the only one that is used.

use super::token::is_target_byte;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const TOPS: u64 = ONES << 7;

/// The CRLF of the last line and of the empty one that ends a head.
pub(super) const END: &[u8; 4] = b"\r\n\r\n";

const DEL: u8 = 0x7f;

/// Where the first control character is: below SP, HTAB included, or DEL.
#[inline]
pub(super) fn find_control(text: &[u8]) -> Option<usize> {
    let is_control = |byte| byte < b' ' || byte == DEL;
    find(text, |word| below(word, b' ') | equal(word, DEL), is_control)
}

/// Where the first byte below SP is: whatever can end a line, or break one.
pub(super) fn find_break(text: &[u8]) -> Option<usize> {
    find(text, |word| below(word, b' '), |byte| byte < b' ')
}

/// Where a field name ends: at the first colon, blank or other byte up to SP.
#[inline]
pub(super) fn find_name_end(text: &[u8]) -> Option<usize> {
    let ends = |byte| byte <= b' ' || byte == b':';
    find(text, |word| below(word, b' ' + 1) | equal(word, b':'), ends)
}

/// Where a request target ends: at the first byte that is not visible ASCII, or starts a fragment.
pub(super) fn find_target_end(text: &[u8]) -> Option<usize> {
    let marks = |word| below(word, b' ' + 1) | equal(word, DEL) | equal(word, b'#') | word & TOPS;
    find(text, marks, |byte| !is_target_byte(byte))
}

/// Where [`END`] is first. Most bytes say that it does not end within four of them.
pub(super) fn find_end(text: &[u8]) -> Option<usize> {
    let mut last = END.len() - 1;
    loop {
        while *text.get(last)? > b'\r' {
            last += END.len();
        }
        last += match text[last] {
            b'\n' if text[..=last].ends_with(END) => return Some(last + 1 - END.len()),
            b'\n' => 2,
            b'\r' => 1,
            _ => END.len(),
        };
    }
}

/// Where the first byte is that `matches`, which `marks` finds in a word.
#[inline(always)]
fn find(text: &[u8], marks: impl Fn(u64) -> u64, matches: impl Fn(u8) -> bool) -> Option<usize> {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk() {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(text.len() - rest.len() + lowest(marks));
        }
        rest = after;
    }
    let at = text.len() - rest.len();
    rest.iter().position(|byte| matches(*byte)).map(|found| at + found)
}

/// The place of the lowest mark.
fn lowest(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// Marks the bytes below `limit`, which is at most 0x80.
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word & TOPS
}

/// Marks the bytes equal to `byte`.
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte, at every place of texts of whole words and of others, among bytes that are near
    /// the limits.
    #[test]
    fn every_byte_is_found_where_it_is() {
        for fill in [b' ' + 1, b'9', b';', b'~', 0x80, 0xff] {
            for len in [0, 1, 7, 8, 9, 16, 21] {
                let mut text = vec![fill; len];
                assert_eq!(find_control(&text), None);
                assert_eq!(find_break(&text), None);
                assert_eq!(find_name_end(&text), None);
                let ascii = fill.is_ascii();
                assert_eq!(find_target_end(&text), (!ascii && len > 0).then_some(0));
                for at in 0..len {
                    for byte in 0..=255 {
                        text[at] = byte;
                        let control = (byte < 0x20 || byte == 0x7f).then_some(at);
                        let line_end = (byte < 0x20).then_some(at);
                        let end = (byte <= b' ' || byte == b':').then_some(at);
                        assert_eq!(find_control(&text), control, "{byte:#x} in {fill:#x}");
                        assert_eq!(find_break(&text), line_end, "{byte:#x} in {fill:#x}");
                        assert_eq!(find_name_end(&text), end, "{byte:#x} in {fill:#x}");
                        let target_end = (!is_target_byte(byte)).then_some(at);
                        assert!(!ascii || find_target_end(&text) == target_end, "{byte:#x}");
                    }
                    text[at] = fill;
                }
            }
        }
    }

    #[test]
    fn the_first_of_several_is_found() {
        for (text, control, end) in [
            (&b"abc: d\r\n"[..], Some(6), Some(3)),
            (b"a\t\x7f: b\r\n padding", Some(1), Some(1)),
            (b":\r\n       ", Some(1), Some(0)),
            (b"0123456 :\r\n", Some(9), Some(7)),
            (b"012345678:\r\n", Some(10), Some(9)),
        ] {
            assert_eq!(find_control(text), control);
            assert_eq!(find_name_end(text), end);
        }
    }
}
