//! Pools of buffer blocks by size class, last in, first out: the block that was used last is still
//! in the processor's cache. A block is zeroed once, when it is made.
//!
//! Not an allocator: a class keeps a bounded number of free blocks and gives the rest back.

use crate::buf::Buf;
use crate::proxy::spec::Tunables;

/// Which size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Holds a partial head while its client is slow.
    Small,
    /// `tune.bufsize`: holds what the analysers may hold.
    Medium,
    /// Offered to a receive.
    Large,
    /// For a direction that only forwards.
    Forward,
}

const CLASSES: usize = 4;
/// Bytes of the smallest class.
const SMALL: usize = 2_048;
/// Free blocks kept per class after a burst.
const KEEP: [usize; CLASSES] = [64, 16, 8, 4];

/// The blocks of one engine.
#[derive(Debug)]
pub struct Pools {
    free: [Vec<Box<[u8]>>; CLASSES],
    size: [usize; CLASSES],
    live: [u32; CLASSES],
    /// Blocks made since the start, for the dump and the tests.
    pub made: u64,
    /// Bytes moved in buffers that were given back; counted in debug builds only.
    pub moved: u64,
}

impl Pools {
    /// Empty pools with the sizes of `tunables`.
    pub fn new(tunables: &Tunables) -> Self {
        let medium = tunables.bufsize.max(256) as usize;
        let large = (tunables.recv_size as usize).max(medium);
        let size = [SMALL.min(medium), medium, large, (tunables.forward_size as usize).max(large)];
        Pools { free: Default::default(), size, live: [0; CLASSES], made: 0, moved: 0 }
    }

    /// An empty buffer.
    #[inline]
    pub fn take(&mut self, class: Class) -> Buf {
        let c = class as usize;
        self.live[c] += 1;
        match self.free[c].pop() {
            Some(block) => Buf::new(block),
            None => {
                self.made += 1;
                Buf::new(vec![0; self.size[c]].into_boxed_slice())
            }
        }
    }

    /// Takes a buffer back; what is in it is lost.
    #[inline]
    pub fn give(&mut self, buf: Buf) {
        self.moved += buf.moved();
        let block = buf.into_block();
        let c = self.class_of(block.len());
        self.live[c] -= 1;
        if self.free[c].len() < KEEP[c] {
            self.free[c].push(block);
        }
    }

    /// Moves a buffer's bytes into the smallest class that holds them with room to spare, if that
    /// is smaller.
    pub fn shrink(&mut self, buf: Buf) -> Buf {
        let class = if buf.len() * 2 <= self.size[0] {
            Class::Small
        } else if buf.len() + 1_024 <= self.size[1] {
            Class::Medium
        } else {
            return buf;
        };
        if self.size[class as usize] >= buf.capacity() {
            return buf;
        }
        let mut smaller = self.take(class);
        smaller.take_from(&buf);
        self.give(buf);
        smaller
    }

    /// Moves a buffer's bytes into a block of `class`, if that is larger.
    pub fn grow(&mut self, buf: Buf, class: Class) -> Buf {
        if self.size[class as usize] <= buf.capacity() {
            return buf;
        }
        let mut larger = self.take(class);
        larger.take_from(&buf);
        self.give(buf);
        larger
    }

    /// The size of a class in bytes.
    pub fn size(&self, class: Class) -> usize {
        self.size[class as usize]
    }

    /// Frees every block that is not in use.
    pub fn trim(&mut self) {
        for free in &mut self.free {
            free.clear();
            free.shrink_to_fit();
        }
    }

    /// Buffers in use, all classes.
    pub fn live(&self) -> u32 {
        self.live.iter().sum()
    }

    /// (size, in use, free) of each class, for the operator.
    pub fn figures(&self) -> [(usize, u32, usize); CLASSES] {
        core::array::from_fn(|c| (self.size[c], self.live[c], self.free[c].len()))
    }

    fn class_of(&self, len: usize) -> usize {
        // Classes of the same size share the first one's place; the sum of `live` stays right.
        (0..CLASSES).find(|&c| self.size[c] == len && self.live[c] > 0).unwrap_or(CLASSES - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_given_is_taken_first_and_no_more_are_kept_than_said() {
        let mut pools = Pools::new(&Tunables::default());
        let taken: Vec<Buf> = (0..20).map(|_| pools.take(Class::Large)).collect();
        assert_eq!((pools.live(), pools.made), (20, 20));
        for buf in taken {
            pools.give(buf);
        }
        assert_eq!(pools.figures()[2], (65_536, 0, 8));
        let buf = pools.take(Class::Large);
        assert_eq!(pools.made, 20);
        pools.give(buf);
        pools.trim();
        assert_eq!(pools.figures()[2].2, 0);
    }

    #[test]
    fn a_partial_head_moves_to_the_smallest_class() {
        let mut pools = Pools::new(&Tunables::default());
        let mut buf = pools.take(Class::Large);
        assert!(buf.append(b"GET / HTTP/1.1\r\n"));
        let buf = pools.shrink(buf);
        assert_eq!((buf.capacity(), buf.input()), (2_048, &b"GET / HTTP/1.1\r\n"[..]));
        assert_eq!(pools.live(), 1);
        let buf = pools.grow(buf, Class::Large);
        assert_eq!((buf.capacity(), buf.input_len()), (65_536, 16));
        pools.give(buf);
        assert_eq!(pools.live(), 0);
    }
}
