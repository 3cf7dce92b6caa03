//! A rolling hash of what happens and of what is, the same in every process and build: no pointers,
//! no layout, no hash map. Not a hash against anybody who wants two things to have the same.

use core::hash::Hasher;

/// The hash so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

/// Long runs of bytes are hashed in so many lanes.
const LANES: usize = 8;

impl Default for Digest {
    fn default() -> Self {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Takes a number in.
    #[inline]
    pub fn number(&mut self, n: u64) {
        let mixed = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    /// Takes bytes in, and how many they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let (blocks, rest) = bytes.as_chunks::<{ 8 * LANES }>();
        if !blocks.is_empty() {
            // Side by side, since each step of one waits for the step before.
            let mut lanes: [Digest; LANES] = core::array::from_fn(|lane| Digest(lane as u64));
            for block in blocks {
                let (words, _) = block.as_chunks::<8>();
                for (lane, word) in lanes.iter_mut().zip(words) {
                    lane.number(u64::from_le_bytes(*word));
                }
            }
            lanes.into_iter().for_each(|lane| self.number(lane.0));
        }
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.number(u64::from_le_bytes(last));
    }

    /// The hash as a number.
    pub fn value(self) -> u64 {
        self.0
    }
}

/// Whatever can be hashed can be taken in. Every number counts as 64 bits, however wide it is here.
impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.bytes(bytes);
    }

    fn write_u8(&mut self, n: u8) {
        self.number(u64::from(n));
    }

    fn write_u16(&mut self, n: u16) {
        self.number(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.number(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.number(n);
    }

    fn write_u128(&mut self, n: u128) {
        self.number(n as u64);
        self.number((n >> 64) as u64);
    }

    fn write_usize(&mut self, n: usize) {
        self.number(n as u64);
    }

    fn write_i8(&mut self, n: i8) {
        self.number(i64::from(n).cast_unsigned());
    }

    fn write_i16(&mut self, n: i16) {
        self.number(i64::from(n).cast_unsigned());
    }

    fn write_i32(&mut self, n: i32) {
        self.number(i64::from(n).cast_unsigned());
    }

    fn write_i64(&mut self, n: i64) {
        self.number(n.cast_unsigned());
    }

    fn write_i128(&mut self, n: i128) {
        self.write_u128(n.cast_unsigned());
    }

    fn write_isize(&mut self, n: isize) {
        self.number((n as i64).cast_unsigned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_for_ever_and_differs_with_what_it_is_of() {
        let of = |parts: &[&[u8]]| {
            let mut digest = Digest::default();
            parts.iter().for_each(|part| digest.bytes(part));
            digest.value()
        };
        assert_eq!(of(&[b"some bytes", b"more"]), 8_281_495_816_263_800_195);
        assert_eq!(of(&[&[b'x'; 100]]), 1_068_056_650_980_413_732);
        let all =
            [of(&[b"ab"]), of(&[b"a", b"b"]), of(&[b"b", b"a"]), of(&[b"ab\0"]), of(&[b"ba"])];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i}");
        }
    }
}
