//! Text or bytes in the making: they lie in the arena, and are never longer than the buffer in which
//! HAProxy would make them.

use bumpalo::collections::Vec;

use crate::sample::Scene;

/// Bytes that grow up to a limit.
pub(super) struct Made<'a> {
    bytes: Vec<'a, u8>,
    max: usize,
}

impl<'a> Made<'a> {
    /// Nothing yet; `expected` bytes are likely.
    pub(super) fn new(scene: &Scene<'a>, expected: usize) -> Self {
        let max = made_max(scene);
        Made { bytes: Vec::with_capacity_in(expected.min(max), scene.arena()), max }
    }

    /// The same, with room for as much as the whole buffer holds.
    pub(super) fn filling(scene: &Scene<'a>, expected: usize) -> Self {
        let mut made = Made::new(scene, expected);
        made.max += 1;
        made
    }

    /// Adds bytes; none if they do not fit.
    pub(super) fn add(&mut self, more: &[u8]) -> Option<()> {
        if more.len() > self.left() {
            return None;
        }
        self.bytes.extend_from_slice_copy(more);
        Some(())
    }

    /// Adds a byte; none if it does not fit.
    pub(super) fn push(&mut self, byte: u8) -> Option<()> {
        self.add(&[byte])
    }

    /// Adds as many of the bytes as fit.
    pub(super) fn fill(&mut self, more: &[u8]) {
        let fit = more.len().min(self.left());
        self.bytes.extend_from_slice_copy(&more[..fit]);
    }

    /// Adds a byte several times; none if they do not fit.
    pub(super) fn repeat(&mut self, byte: u8, times: usize) -> Option<()> {
        if times > self.left() {
            return None;
        }
        self.bytes.resize(self.bytes.len() + times, byte);
        Some(())
    }

    /// Moves what stands behind `from` to the right, so that it is `width` wide.
    pub(super) fn pad_from(&mut self, from: usize, width: usize, zeros: bool) -> Option<()> {
        let missing = width.saturating_sub(self.len() - from);
        if missing > 0 {
            self.repeat(if zeros { b'0' } else { b' ' }, missing)?;
            self.since(from).rotate_right(missing);
        }
        Some(())
    }

    /// What stands behind `from`.
    pub(super) fn since(&mut self, from: usize) -> &mut [u8] {
        &mut self.bytes[from..]
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many more fit.
    pub(super) fn left(&self) -> usize {
        self.max - self.bytes.len()
    }

    /// The bytes.
    pub(super) fn done(self) -> &'a [u8] {
        self.bytes.into_bump_slice()
    }
}

/// The most bytes that a converter makes: HAProxy's buffer without the byte that ends a string.
pub(super) fn made_max(scene: &Scene<'_>) -> usize {
    (scene.site.tunables.bufsize as usize).saturating_sub(1)
}
