//! Compares short words regardless of case, as two integers instead of byte by byte.

/// A word with its letters in lower case: its length, its first bytes and its last, eight each of
/// a long word, four or two of a short one. They overlap, and are the whole of a word of 2 to 16
/// bytes; of a longer one, equal ends only make a candidate.
///
/// Lowering sets one bit in every byte. Two words that are equal then differ in nothing but case,
/// if one of them is made of letters, digits and `-`, and the other holds no control characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Folded {
    len: usize,
    first: u64,
    last: u64,
}

impl Folded {
    pub(super) const fn of(word: &[u8]) -> Folded {
        let (first, last) = match word.len() {
            0..2 => (0, 0),
            2..4 => (fold::<2>(word.first_chunk()), fold::<2>(word.last_chunk())),
            4..8 => (fold::<4>(word.first_chunk()), fold::<4>(word.last_chunk())),
            8.. => (fold::<8>(word.first_chunk()), fold::<8>(word.last_chunk())),
        };
        Folded { len: word.len(), first, last }
    }
}

const fn fold<const N: usize>(bytes: Option<&[u8; N]>) -> u64 {
    let Some(bytes) = bytes else { return 0 };
    let mut word = [0; 8];
    word.split_at_mut(N).0.copy_from_slice(bytes);
    u64::from_le_bytes(word) | u64::from_ne_bytes([0x20; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_equal_but_for_case() {
        let word = *b"x-2-az0-9x-abcde";
        for len in 2..=word.len() {
            let word = &word[..len];
            let folded = Folded::of(word);
            for at in 0..len {
                for byte in b' '..=255 {
                    let mut other = word.to_vec();
                    other[at] = byte;
                    let same = byte.eq_ignore_ascii_case(&word[at]);
                    assert_eq!(Folded::of(&other) == folded, same, "{byte:#x} at {at} of {len}");
                }
            }
            assert!(Folded::of(&word[1..]) != folded);
        }
    }
}
