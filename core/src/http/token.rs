//! The character classes of RFC 9110 section 5.6 and the lists of section 5.6.1.

/// The bytes that may stand in a token (`tchar`), in lower case; 0 stands for all others.
static TOKEN: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if matches!(
            byte as u8,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
                | b'`' | b'|' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z'
        ) {
            table[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// May this byte stand in a method or in a field name?
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)] != 0
}

/// Is this a whole token, of one byte at least?
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// Lowers a token where it stands. Says whether it is one; if not, its bytes are spoilt.
pub(super) fn lower_token(text: &mut [u8]) -> bool {
    let mut valid = !text.is_empty();
    for byte in text {
        *byte = TOKEN[usize::from(*byte)];
        valid &= *byte != 0;
    }
    valid
}

/// May this byte stand in a field value or a reason phrase? Any but the controls; HTAB may.
pub(super) fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=0x7e | 0x80..)
}

/// May this byte stand in a request target? Visible ASCII only. `#` starts a fragment, which is
/// never sent; HAProxy refuses both as well.
pub(super) fn is_target_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && byte != b'#'
}

/// White space that carries no meaning (OWS): SP and HTAB.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The text without the white space around it.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

/// The elements of a comma-separated list, trimmed. Empty ones are left out, as RFC 9110 asks.
/// Not for lists with quoted strings in them.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for byte in 0..=255u8 {
            let visible = (0x21..=0x7e).contains(&byte);
            let delimiter = b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(is_token_byte(byte), visible && !delimiter, "{byte:#x}");
            assert_eq!(is_target_byte(byte), visible && byte != b'#', "{byte:#x}");
            assert_eq!(is_value_byte(byte), byte >= 0x20 && byte != 0x7f || byte == 9, "{byte:#x}");
        }
    }

    #[test]
    fn lists() {
        for (list, expected) in [
            (&b""[..], &[][..]),
            (b" , ,", &[]),
            (b"close", &[&b"close"[..]]),
            (b" a ,,\tb\t, c d ", &[b"a", b"b", b"c d"]),
        ] {
            assert!(elements(list).eq(expected.iter().copied()), "{list:?}");
        }
    }
}
