//! Finds bytes, sixteen at a time. The lines of a head are short: a search of twenty bytes is over
//! before memchr has set up its vectors, which it would do three times a line.

use wide::u8x16;

use super::token::is_target_byte;

/// How many bytes are looked at together.
pub(super) const WIDTH: usize = 16;

/// The CRLF of the last line and of the empty one that ends a head.
pub(super) const END: &[u8; 4] = b"\r\n\r\n";

const DEL: u8 = 0x7f;

/// Where the first control character is: below SP, HTAB included, or DEL.
#[inline]
pub(super) fn find_control(text: &[u8]) -> Option<usize> {
    let is_control = |byte| byte < b' ' || byte == DEL;
    find(text, |word| below(word, b' ') | equal(word, DEL), is_control)
}

/// Where a field name ends: at the first colon, blank or other byte up to SP.
pub(super) fn find_name_end(text: &[u8]) -> Option<usize> {
    let ends = |byte| byte <= b' ' || byte == b':';
    find(text, |word| below(word, b' ' + 1) | equal(word, b':'), ends)
}

/// [`find_name_end`] for the first bytes of a line.
#[inline(always)]
pub(super) fn name_end<const N: usize>(line: &[u8; N]) -> Option<usize> {
    let word = u8x16::new(*line.first_chunk()?);
    let marks = (below(word, b' ' + 1) | equal(word, b':')).to_bitmask();
    (marks != 0).then(|| marks.trailing_zeros() as usize)
}

/// [`find_control`] in one word.
#[inline(always)]
pub(super) fn control(text: &[u8; WIDTH]) -> Option<usize> {
    let word = u8x16::new(*text);
    let marks = (below(word, b' ') | equal(word, DEL)).to_bitmask();
    (marks != 0).then(|| marks.trailing_zeros() as usize)
}

/// Where a request target ends: at the first byte that is not visible ASCII, or starts a fragment.
pub(super) fn find_target_end(text: &[u8]) -> Option<usize> {
    let marks =
        |word| below(word, b' ' + 1) | equal(word, DEL) | equal(word, b'#') | !below(word, 0x80);
    find(text, marks, |byte| !is_target_byte(byte))
}

/// Marks, one bit each, the bytes that are none of letters, digits, `.`, `-` and `_`.
#[inline(always)]
pub(super) fn odd_in_name(text: &[u8; WIDTH]) -> u32 {
    let word = u8x16::new(*text);
    let lowered = word | u8x16::splat(b' ');
    let letter = below(lowered, b'z' + 1) & !below(lowered, b'a');
    let digit = below(word, b'9' + 1) & !below(word, b'-') & !equal(word, b'/');
    !(letter | digit | equal(word, b'_')).to_bitmask()
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
fn find(
    text: &[u8],
    marks: impl Fn(u8x16) -> u8x16,
    matches: impl Fn(u8) -> bool,
) -> Option<usize> {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk::<WIDTH>() {
        let marks = marks(u8x16::new(*word)).to_bitmask();
        if marks != 0 {
            return Some(text.len() - rest.len() + marks.trailing_zeros() as usize);
        }
        rest = after;
    }
    match text.last_chunk::<WIDTH>() {
        // What is left, with some of what was looked at before.
        Some(word) if !rest.is_empty() => {
            let marks = marks(u8x16::new(*word)).to_bitmask();
            (marks != 0).then(|| text.len() - WIDTH + marks.trailing_zeros() as usize)
        }
        Some(_) => None,
        None => text.iter().position(|byte| matches(*byte)),
    }
}

/// Marks the bytes below `limit`, which is not 0.
#[inline(always)]
fn below(word: u8x16, limit: u8) -> u8x16 {
    word.min(u8x16::splat(limit - 1)).simd_eq(word)
}

/// Marks the bytes equal to `byte`.
#[inline(always)]
fn equal(word: u8x16, byte: u8) -> u8x16 {
    word.simd_eq(u8x16::splat(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte, at every place of texts of whole words and of others, among bytes that are near
    /// the limits.
    #[test]
    fn every_byte_is_found_where_it_is() {
        for fill in [b' ' + 1, b'9', b';', b'~', 0x80, 0xff] {
            for len in [0, 1, 15, 16, 17, 32, 37] {
                let mut text = vec![fill; len];
                assert_eq!(find_control(&text), None);
                let ascii = fill.is_ascii();
                assert_eq!(find_target_end(&text), (!ascii && len > 0).then_some(0));
                for at in 0..len {
                    for byte in 0..=255 {
                        text[at] = byte;
                        let control = (byte < 0x20 || byte == 0x7f).then_some(at);
                        assert_eq!(find_control(&text), control, "{byte:#x} in {fill:#x}");
                        let name_end = (byte <= b' ' || byte == b':').then_some(at);
                        if let Some(word) = text.first_chunk::<WIDTH>() {
                            let found = super::name_end(word);
                            assert_eq!(found, name_end.filter(|at| *at < WIDTH), "{byte:#x}");
                            let found = super::control(word);
                            assert_eq!(found, control.filter(|at| *at < WIDTH), "{byte:#x}");
                        }
                        assert_eq!(find_name_end(&text), name_end, "{byte:#x} in {fill:#x}");
                        let target_end = (!is_target_byte(byte)).then_some(at);
                        assert!(!ascii || find_target_end(&text) == target_end, "{byte:#x}");
                    }
                    text[at] = fill;
                }
            }
        }
    }

    #[test]
    fn odd_bytes_in_names() {
        for byte in 0..=255u8 {
            let plain = byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            let mut text = [b'a'; WIDTH];
            text[5] = byte;
            assert_eq!(odd_in_name(&text) & 0xffff, u32::from(!plain) << 5, "{byte:#x}");
        }
    }

    /// Wherever it stands, and among all that looks like its beginning.
    #[test]
    fn the_end_is_found() {
        for (text, expected) in [
            (&b""[..], None),
            (b"\r\n\r", None),
            (b"\r\n\r\n", Some(0)),
            (b"\n\r\n\r\n", Some(1)),
            (b"a\r\n\r\n\r\n", Some(1)),
            (b"ab\r\n\r\n", Some(2)),
            (b"abc\r\n\r\nd", Some(3)),
            (b"\r\r\n\r\n", Some(1)),
            (b"\r\n\n\r\n\r\n", Some(3)),
            (b"\n\n\r\r\n\r\r\n\r\n", Some(6)),
            (b"a\r\nb\r\nc\t\0\r\n\r\n", Some(9)),
            (b"a\r\n\rb\r\n\r\n", Some(5)),
            (b"\r\n\r\t\n", None),
        ] {
            for before in 0..9 {
                let text = [&b"x".repeat(before)[..], text].concat();
                let found = expected.map(|at| at + before);
                assert_eq!(find_end(&text), found, "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn the_first_of_several_is_found() {
        for (text, control) in [
            (&b"abc: d\r\n"[..], Some(6)),
            (b"a\t\x7f: b\r\n padding", Some(1)),
            (b"0123456789abcdef\r\n", Some(16)),
        ] {
            assert_eq!(find_control(text), control);
        }
    }
}
