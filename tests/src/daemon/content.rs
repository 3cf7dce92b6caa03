//! Bodies whose every byte says whose it is: an endless stream for each key, cheap to make and to
//! check by comparing slices, so that loss, repetition, disorder and another's bytes are seen at
//! the first byte that is wrong. Not a hash, which would only say that something is.

use std::io::{self, Write};
use std::sync::OnceLock;

/// Bytes of a stretch. A prime, so that stretches never line up with buffers.
const STRETCH: usize = 65_521;

/// The first `length` bytes of the stream of `key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    pub key: u64,
    pub length: u64,
}

impl Content {
    pub fn new(key: u64, length: u64) -> Self {
        Self { key, length }
    }

    /// The bytes from `at` on: at most `max`, at least one before the end.
    pub fn piece(&self, at: u64, max: usize) -> &'static [u8] {
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let stretch = stretch(self.key, at / STRETCH as u64);
        let from = (at % STRETCH as u64) as usize;
        &stretch[from..STRETCH.min(from.saturating_add(max.min(left)))]
    }

    /// Everything, in one piece.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("a vector takes everything");
        bytes
    }

    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        self.write_pieces(to, STRETCH)
    }

    /// Writes it with at most `max` bytes a call.
    pub fn write_pieces(&self, to: &mut impl Write, max: usize) -> io::Result<()> {
        let mut at = 0;
        while at < self.length {
            let piece = self.piece(at, max);
            to.write_all(piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Checks that `bytes` are those at `at`.
    ///
    /// # Errors
    ///
    /// `InvalidData` with the place of the first wrong byte.
    pub fn check(&self, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let expected = self.piece(at, bytes.len());
            if expected.is_empty() {
                return Err(wrong(&format!("{} bytes too many", bytes.len())));
            }
            let (found, rest) = bytes.split_at(expected.len());
            if found != expected {
                let same = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
                let at = at + same as u64;
                return Err(wrong(&format!("wrong from byte {at} of {} on", self.length)));
            }
            at += found.len() as u64;
            bytes = rest;
        }
        Ok(())
    }
}

/// Compares what comes, piece by piece, with what should.
#[derive(Debug)]
pub struct Checker {
    pub content: Content,
    /// Bytes that came.
    pub at: u64,
}

impl Checker {
    pub fn new(content: Content) -> Self {
        Self { content, at: 0 }
    }

    pub fn feed(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.content.check(self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Whether all of it came.
    pub fn is_whole(&self) -> bool {
        self.at == self.content.length
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("body {what}"))
}

/// A window into a table of noise; its place depends on the key and the stretch's number.
fn stretch(key: u64, number: u64) -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    let noise = NOISE.get_or_init(|| {
        let words = (0..2 * STRETCH as u64 / 8 + 1).map(|i| mix(i ^ 0x7469_6465));
        words.flat_map(u64::to_le_bytes).collect()
    });
    let from = (mix(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number) % STRETCH as u64) as usize;
    &noise[from..from + STRETCH]
}

/// Steele, Lea and Flood's SplitMix64.
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_was_written_however_it_is_cut() {
        let content = Content::new(7, 3 * STRETCH as u64 + 5);
        let bytes = content.bytes();
        assert_eq!(bytes.len() as u64, content.length);
        for size in [1, 1000, STRETCH, bytes.len()] {
            let mut checker = Checker::new(content);
            for piece in bytes.chunks(size) {
                checker.feed(piece).unwrap();
            }
            assert!(checker.is_whole());
        }
    }

    #[test]
    fn what_is_wrong_is_noticed() {
        let content = Content::new(7, 200_000);
        let bytes = content.bytes();
        let wrong = |bytes: &[u8]| content.check(0, bytes).unwrap_err().to_string();
        let lost = [&bytes[..100], &bytes[101..]].concat();
        assert!(wrong(&lost).contains("wrong from byte 100"), "{}", wrong(&lost));
        let swapped = [&bytes[STRETCH..2 * STRETCH], &bytes[..STRETCH]].concat();
        assert!(wrong(&swapped).contains("wrong from byte"));
        assert!(wrong(&[&bytes[..], b"x"].concat()).contains("1 bytes too many"));
        assert!(wrong(&Content::new(8, 100).bytes()).contains("wrong from byte"));
    }
}
