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

    /// Puts the lowered word, which is whole, in the place of the one it is of.
    pub(super) fn put(self, word: &mut [u8]) {
        debug_assert!(self.is_whole() && word.len() == self.len);
        match self.len {
            0..2 => {}
            2..4 => {
                put::<2>(word.first_chunk_mut(), self.first);
                put::<2>(word.last_chunk_mut(), self.last);
            }
            4..8 => {
                put::<4>(word.first_chunk_mut(), self.first);
                put::<4>(word.last_chunk_mut(), self.last);
            }
            8.. => {
                put::<8>(word.first_chunk_mut(), self.first);
                put::<8>(word.last_chunk_mut(), self.last);
            }
        }
    }

    pub(super) const fn len(self) -> usize {
        self.len
    }

    /// Do the ends hold all of the word?
    pub(super) const fn is_whole(self) -> bool {
        matches!(self.len, 2..=16)
    }
}

const fn fold<const N: usize>(bytes: Option<&[u8; N]>) -> u64 {
    let Some(bytes) = bytes else { return 0 };
    let mut word = [0; 8];
    word.split_at_mut(N).0.copy_from_slice(bytes);
    u64::from_le_bytes(word) | u64::from_ne_bytes([0x20; 8])
}

fn put<const N: usize>(bytes: Option<&mut [u8; N]>, folded: u64) {
    if let Some(bytes) = bytes {
        bytes.copy_from_slice(&folded.to_le_bytes()[..N]);
    }
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
            assert!(folded.is_whole());
            for at in 0..len {
                for byte in b' '..=255 {
                    let mut other = word.to_vec();
                    other[at] = byte;
                    let same = byte.eq_ignore_ascii_case(&word[at]);
                    assert_eq!(Folded::of(&other) == folded, same, "{byte:#x} at {at} of {len}");
                }
            }
            assert!(Folded::of(&word[1..]) != folded);
            let mut upper = word.to_ascii_uppercase();
            Folded::of(&upper).put(&mut upper);
            assert_eq!(upper, word);
        }
    }
}
