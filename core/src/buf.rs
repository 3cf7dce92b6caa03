//! `Buf`: one linear buffer of one direction. Not a ring: what is in it is always one slice.
//!
//! ```text
//!   0        start          mid           end            capacity
//!   | headroom | output ──► | input ─────► | room          |
//!              released by    not yet        lent to the
//!              the analysers  released       next receive
//! ```
//!
//! The room is lent, then told how much arrived (`room`, `commit`); output is looked at, then told
//! how much left (`output`, `sent`). A new head takes the place of the old one by [`Buf::replace`]:
//! it is written into the headroom in front of the body, so that head and body leave in one plain
//! `send`.

use core::hash::{Hash, Hasher};

use crate::{invariant, sometimes};

/// Bytes kept free in front of the first byte that is received into a large buffer.
const HEADROOM: usize = 1_024;
/// A buffer smaller than this has no headroom.
const HEADROOM_FROM: usize = 16_384;

/// A linear buffer with an output and an input region.
pub struct Buf {
    block: Box<[u8]>,
    start: u32,
    mid: u32,
    end: u32,
    /// Bytes moved in the block or into it from another, for tests that look for work that grows
    /// faster than what arrives.
    #[cfg(debug_assertions)]
    moved: u64,
}

impl Hash for Buf {
    /// What it holds, and how much room there is; what it held once does not matter.
    fn hash<H: Hasher>(&self, into: &mut H) {
        (self.output(), self.input(), self.start, self.block.len()).hash(into);
    }
}

impl Buf {
    /// An empty buffer on a block of at most 4 GiB.
    pub fn new(block: Box<[u8]>) -> Self {
        invariant!(u32::try_from(block.len()).is_ok());
        let mut buf = Buf {
            block,
            start: 0,
            mid: 0,
            end: 0,
            #[cfg(debug_assertions)]
            moved: 0,
        };
        buf.rewind();
        if planted!(BodyOfAnother) && buf.block.len() > 2_000 && buf.block[buf.end as usize] != 0 {
            buf.end += 1;
        }
        buf
    }

    /// The block, for the pool that it came from. What is in the buffer is lost.
    pub fn into_block(self) -> Box<[u8]> {
        self.block
    }

    /// Bytes moved so far; counted in debug builds only.
    pub fn moved(&self) -> u64 {
        #[cfg(debug_assertions)]
        return self.moved;
        #[cfg(not(debug_assertions))]
        0
    }

    #[inline(always)]
    fn note_move(&mut self, _bytes: usize) {
        #[cfg(debug_assertions)]
        {
            self.moved += _bytes as u64;
        }
    }

    /// The free bytes behind the input, for a receive. May be empty.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.block[self.end as usize..]
    }

    /// Says that the first `n` bytes of the room were filled.
    pub fn commit(&mut self, n: usize) {
        invariant!(n <= self.block.len() - self.end as usize);
        self.end += n as u32;
    }

    /// Adds bytes behind the input; false (and nothing added) if they don't fit.
    #[must_use]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= self.room().len();
        if fits {
            self.room()[..bytes.len()].copy_from_slice(bytes);
            self.commit(bytes.len());
        }
        fits
    }

    /// Bytes that may be sent.
    pub fn output(&self) -> &[u8] {
        &self.block[self.start as usize..self.mid as usize]
    }

    /// How many bytes may be sent.
    pub fn output_len(&self) -> usize {
        (self.mid - self.start) as usize
    }

    /// Bytes that the analysers have not released.
    pub fn input(&self) -> &[u8] {
        &self.block[self.mid as usize..self.end as usize]
    }

    /// How many bytes the analysers have not released.
    pub fn input_len(&self) -> usize {
        (self.end - self.mid) as usize
    }

    /// The input, to be changed in place.
    pub fn input_mut(&mut self) -> &mut [u8] {
        &mut self.block[self.mid as usize..self.end as usize]
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// The size of the block.
    pub fn capacity(&self) -> usize {
        self.block.len()
    }

    /// Says that the first `n` bytes of the output left.
    pub fn sent(&mut self, n: usize) {
        invariant!(n <= self.output_len());
        self.start += n as u32;
        if self.start == self.end {
            self.rewind();
        }
    }

    /// Turns the first `n` bytes of the input into output.
    pub fn release(&mut self, n: usize) {
        invariant!(n <= self.input_len());
        self.mid += n as u32;
    }

    /// Drops the whole input.
    pub fn drop_input(&mut self) {
        self.end = self.mid;
        if self.start == self.end {
            self.rewind();
        }
    }

    /// Drops `n` bytes of the input from its front. Only without output, else see [`Buf::replace`].
    #[inline]
    pub fn skip(&mut self, n: usize) {
        invariant!(n <= self.input_len());
        if self.start == self.mid {
            self.start += n as u32;
            self.mid += n as u32;
            if self.start == self.end {
                self.rewind();
            }
        } else {
            let at = self.mid as usize;
            self.block.copy_within(at + n..self.end as usize, at);
            self.end -= n as u32;
            self.note_move(self.end as usize - at);
        }
    }

    /// Replaces the first `old` bytes of the input by `new`, which becomes output. False (and
    /// nothing changed) if the block is too small.
    #[must_use]
    #[inline]
    pub fn replace(&mut self, old: usize, new: &[u8]) -> bool {
        self.replace_with(old, new.len(), |gap| gap.copy_from_slice(new))
    }

    /// [`Buf::replace`] by `len` bytes that `write` writes.
    #[must_use]
    #[inline]
    pub fn replace_with(&mut self, old: usize, len: usize, write: impl FnOnce(&mut [u8])) -> bool {
        invariant!(old <= self.input_len());
        let (start, mid, end) = (self.start as usize, self.mid as usize, self.end as usize);
        let body = mid + old;
        if start == mid && len <= body {
            // The usual case: right in front of the body, into the headroom if need be.
            let at = body - len;
            write(&mut self.block[at..body]);
            self.start = at as u32;
            self.mid = body as u32;
            return true;
        }
        let all = (mid - start) + len + (end - body);
        if all > self.block.len() {
            return false;
        }
        sometimes!(HeadMoved);
        self.note_move(all);
        // Move the output to the front and the rest to where it fits behind.
        let rest = (mid - start) + len;
        if rest + (end - body) <= self.block.len() && rest >= body {
            self.block.copy_within(body..end, rest);
            self.block.copy_within(start..mid, 0);
        } else {
            self.block.copy_within(start..mid, 0);
            self.block.copy_within(body..end, rest);
        }
        write(&mut self.block[mid - start..rest]);
        self.start = 0;
        self.mid = rest as u32;
        self.end = all as u32;
        true
    }

    /// Rewrites the input in place in one pass: `pass` is lent the input and answers how many bytes
    /// at its front are now output and how many bytes it took in all; the bytes between are
    /// dropped.
    ///
    /// For decoding and re-encoding a chunked body: what goes out is never longer than what came.
    pub fn rewrite<R>(&mut self, pass: impl FnOnce(&mut [u8]) -> (usize, usize, R)) -> R {
        let mid = self.mid as usize;
        let (kept, taken, result) = pass(&mut self.block[mid..self.end as usize]);
        invariant!(kept <= taken && taken <= self.input_len());
        if kept < taken {
            self.block.copy_within(mid + taken..self.end as usize, mid + kept);
            self.end -= (taken - kept) as u32;
            self.note_move(self.end as usize - (mid + kept));
        }
        self.mid += kept as u32;
        if self.start == self.end {
            self.rewind();
        }
        result
    }

    /// Moves what it holds to the front of the block, so that all free bytes are room.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.note_move(self.len());
            self.block.copy_within(self.start as usize..self.end as usize, 0);
            self.mid -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Takes over what `other` holds, which must fit; this one is empty.
    pub fn take_from(&mut self, other: &Buf) {
        invariant!(self.is_empty());
        if self.start as usize + other.len() > self.block.len() {
            self.start = 0;
        }
        let at = self.start as usize;
        let bytes = &other.block[other.start as usize..other.end as usize];
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
        self.note_move(other.len());
        self.mid = self.start + (other.mid - other.start);
        self.end = self.start + (other.end - other.start);
    }

    fn rewind(&mut self) {
        let at = if self.block.len() >= HEADROOM_FROM { HEADROOM as u32 } else { 0 };
        (self.start, self.mid, self.end) = (at, at, at);
    }
}

impl core::fmt::Debug for Buf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (output, input) = (self.output_len(), self.input_len());
        write!(f, "Buf({output} to send, {input} held, of {})", self.block.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buf(size: usize, output: &[u8], input: &[u8]) -> Buf {
        let mut b = Buf::new(vec![0; size].into_boxed_slice());
        assert!(b.append(output));
        b.release(output.len());
        assert!(b.append(input));
        b
    }

    #[test]
    fn a_head_is_replaced_in_the_headroom() {
        let mut b = buf(20_000, b"", b"oldBODY");
        assert!(b.replace(3, b"a longer head"));
        assert_eq!((b.output(), b.input()), (&b"a longer head"[..], &b"BODY"[..]));
        b.release(4);
        assert_eq!(b.output(), b"a longer headBODY");
    }

    #[test]
    fn replacing_moves_what_is_in_the_way_or_refuses() {
        for (out, old, new, rest) in [
            ("", 0, "head", "body"),
            ("out", 2, "longer", "body"),
            ("output", 4, "x", "body"),
            ("out", 0, "12345678", "b"),
            ("", 2, "1234567890ab", "bo"),
        ] {
            let input = format!("{}{rest}", &"????????"[..old]);
            let mut b = buf(16, out.as_bytes(), input.as_bytes());
            assert!(b.replace(old, new.as_bytes()), "{out} {old} {new} {rest}");
            assert_eq!(b.output(), format!("{out}{new}").as_bytes());
            assert_eq!(b.input(), rest.as_bytes());
        }
        let mut b = buf(16, b"output", b"0123456789");
        assert!(!b.replace(1, b"ab"));
        assert_eq!((b.output(), b.input()), (&b"output"[..], &b"0123456789"[..]));
    }

    #[test]
    fn draining_gives_all_room_back() {
        let mut b = buf(20_000, b"abc", b"");
        b.sent(3);
        assert!(b.is_empty());
        assert_eq!(b.room().len(), 20_000 - HEADROOM);
    }

    #[test]
    fn a_rewrite_keeps_what_it_says_and_drops_the_rest() {
        let mut b = buf(64, b"out", b"..data..tail");
        let seen = b.rewrite(|input| {
            input.copy_within(2..6, 0);
            (4, 8, input.len())
        });
        assert_eq!(seen, 12);
        assert_eq!((b.output(), b.input()), (&b"outdata"[..], &b"tail"[..]));
        b.skip(1);
        assert_eq!(b.input(), b"ail");
    }

    #[test]
    fn it_moves_to_another_block_whole() {
        let small = buf(8, b"ab", b"cd");
        let mut large = buf(20_000, b"", b"");
        large.take_from(&small);
        assert_eq!((large.output(), large.input()), (&b"ab"[..], &b"cd"[..]));
        let mut small = buf(8, b"", b"");
        small.take_from(&large);
        small.compact();
        assert_eq!(small.room().len(), 4);
    }
}
