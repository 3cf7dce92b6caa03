//! Rings: the last messages of the log, in memory. Each holds the last bytes of what was logged to
//! it, whole messages only; a new message drives out as many of the oldest as it needs.
//!
//! ```text
//!    len message len message len message        at most `size` bytes with their lengths
//!    └ oldest: number `first`       next ┘
//! ```
//!
//! Nothing of it comes back to an engine. Who reads (the runtime socket) says which number it wants
//! to go on from, so that readers do not hold each other up, nor the log.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::invariant;
use crate::proxy::spec::RingSpec;

use super::lock;

/// What a message takes besides its bytes.
const OVERHEAD: usize = size_of::<u32>();

/// The rings of a process, as in [`Site::rings`](crate::proxy::spec::Site::rings).
#[derive(Debug)]
pub(super) struct Rings(Vec<Mutex<Ring>>);

impl Rings {
    pub(super) fn new(specs: &[RingSpec]) -> Self {
        Rings(specs.iter().map(|spec| Mutex::new(Ring::new(spec.size as usize))).collect())
    }

    pub(super) fn keep<'a>(&self, ring: u32, messages: impl Iterator<Item = &'a [u8]>) {
        let mut ring = lock(&self.0[ring as usize]);
        messages.for_each(|message| ring.keep(message));
    }

    pub(super) fn read(&self, ring: u32, from: u64, max: usize, into: &mut Vec<u8>) -> u64 {
        lock(&self.0[ring as usize]).read(from, max, into)
    }
}

#[derive(Debug)]
struct Ring {
    bytes: VecDeque<u8>,
    size: usize,
    /// The number of the oldest message.
    first: u64,
    /// The number that the next one gets.
    next: u64,
}

impl Ring {
    fn new(size: usize) -> Self {
        Ring { bytes: VecDeque::new(), size, first: 0, next: 0 }
    }

    fn keep(&mut self, message: &[u8]) {
        let message = message.strip_suffix(b"\n").unwrap_or(message);
        let message = &message[..message.len().min(self.size.saturating_sub(OVERHEAD))];
        while self.bytes.len() + OVERHEAD + message.len() > self.size && self.first < self.next {
            let oldest = self.len_at(0);
            self.bytes.drain(..OVERHEAD + oldest);
            self.first += 1;
        }
        self.bytes.extend((message.len() as u32).to_le_bytes());
        self.bytes.extend(message);
        self.next += 1;
        invariant!(self.bytes.len() <= self.size.max(OVERHEAD));
    }

    /// Appends the messages from number `from` on to `into`, each with a line feed, as many as fit
    /// `max` bytes, and returns the number to go on from. What is gone is passed over.
    fn read(&self, from: u64, max: usize, into: &mut Vec<u8>) -> u64 {
        let stop = into.len().saturating_add(max);
        let (mut at, mut number) = (0, self.first);
        while number < self.next {
            let len = self.len_at(at);
            at += OVERHEAD;
            if number >= from {
                if into.len() + len >= stop {
                    return number;
                }
                into.extend(self.bytes.range(at..at + len));
                into.push(b'\n');
            }
            at += len;
            number += 1;
        }
        number
    }

    fn len_at(&self, at: usize) -> usize {
        let mut len = [0; OVERHEAD];
        len.iter_mut().zip(self.bytes.range(at..at + OVERHEAD)).for_each(|(to, from)| *to = *from);
        u32::from_le_bytes(len) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(ring: &Ring, from: u64, max: usize) -> (String, u64) {
        let mut into = Vec::new();
        let next = ring.read(from, max, &mut into);
        (String::from_utf8(into).unwrap(), next)
    }

    #[test]
    fn the_oldest_make_room() {
        let mut ring = Ring::new(24);
        for message in [&b"one\n"[..], b"two\n", b"three\n"] {
            ring.keep(message);
        }
        // 7 and 7 and 9 bytes.
        assert_eq!(text(&ring, 0, 100), ("one\ntwo\nthree\n".into(), 3));
        ring.keep(b"4");
        assert_eq!(text(&ring, 0, 100), ("two\nthree\n4\n".into(), 4));
        ring.keep(b"");
        assert_eq!(text(&ring, 0, 100), ("three\n4\n\n".into(), 5));
        ring.keep(&[b'x'; 100]);
        assert_eq!(text(&ring, 0, 100), (format!("{}\n", "x".repeat(20)), 6));
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let mut ring = Ring::new(100);
        for message in [b"a1", b"b2", b"c3"] {
            ring.keep(message);
        }
        assert_eq!(text(&ring, 0, 6), ("a1\nb2\n".into(), 2));
        assert_eq!(text(&ring, 2, 2), (String::new(), 2));
        assert_eq!(text(&ring, 2, 3), ("c3\n".into(), 3));
        assert_eq!(text(&ring, 3, 100), (String::new(), 3));
        // One who was too slow has missed something.
        ring.keep(&[b'x'; 91]);
        assert_eq!(text(&ring, 1, 100), (format!("{}\n", "x".repeat(91)), 4));
    }

    proptest! {
        #[test]
        fn it_holds_the_last_that_fit(
            size in 4..200_usize,
            messages in prop::collection::vec(prop::collection::vec(b'a'..=b'z', 0..60), 0..50),
        ) {
            let mut ring = Ring::new(size);
            for message in &messages {
                ring.keep(message);
            }
            let mut expected: Vec<&[u8]> = Vec::new();
            let mut taken = 0;
            for message in messages.iter().rev() {
                let message = &message[..message.len().min(size - OVERHEAD)];
                taken += message.len() + OVERHEAD;
                if taken > size {
                    break;
                }
                expected.insert(0, message);
            }
            let mut into = Vec::new();
            let next = ring.read(0, usize::MAX, &mut into);
            prop_assert_eq!(next, messages.len() as u64);
            let lines: Vec<&[u8]> = into.split_inclusive(|b| *b == b'\n').collect();
            let lines: Vec<&[u8]> = lines.iter().map(|line| &line[..line.len() - 1]).collect();
            prop_assert_eq!(lines, expected);
        }
    }
}
