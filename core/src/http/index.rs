//! Where the fields of a head are in its block of lines, in order, and which known names are among
//! them. It holds no bytes: [`Head`](super::Head) does.

use core::ops::Range;

use super::known::{Known, KnownSet};
use super::token::lower_token;

/// The longest field name in bytes.
pub(super) const NAME_MAX: usize = u16::MAX as usize;

/// What separates a name from its value, and ends a line.
pub(super) const COLON: &[u8] = b": ";
pub(super) const CRLF: &[u8] = b"\r\n";

/// A cleared index keeps room for so many fields.
const FIELDS_KEPT: usize = 256;

#[derive(Clone, Debug, Hash, Default)]
pub(super) struct Index {
    pub(super) fields: Vec<Field>,
    /// The known names of the fields: all of them, and no other.
    pub(super) present: KnownSet,
    /// The known names that more than one field had; it may be one by now.
    repeated: KnownSet,
    /// Of so many fields at the beginning it is known that their lines lie one behind the other,
    /// right behind the start line.
    pub(super) in_line: usize,
}

/// A field is the line `name: value` with its CRLF, somewhere in the block.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Field {
    pub(super) at: u32,
    pub(super) value_len: u32,
    pub(super) name_len: u16,
    pub(super) known: Known,
}

impl Field {
    pub(super) fn name(self) -> Range<usize> {
        let at = self.at as usize;
        at..at + usize::from(self.name_len)
    }

    pub(super) fn value(self) -> Range<usize> {
        let at = self.name().end + COLON.len();
        at..at + self.value_len as usize
    }

    pub(super) fn line(self) -> Range<usize> {
        self.at as usize..self.value().end + CRLF.len()
    }
}

/// Lowers a field name, in which there is no control character. Says what it is, or nothing if it
/// is no token.
pub(super) fn recognise(name: &mut [u8]) -> Option<Known> {
    lower_token(name).then(|| Known::recognise(name))
}

impl Index {
    /// Adds a line that is as it should be.
    #[inline(always)]
    pub(super) fn push(&mut self, at: usize, name_len: usize, value_len: usize, known: Known) {
        self.push_nameless(at, name_len, value_len, known);
        let name = KnownSet::of(&[known]);
        self.add_names(name, KnownSet::EMPTY);
    }

    /// The same, but for [`Index::add_names`], which the caller owes.
    #[inline(always)]
    pub(super) fn push_nameless(
        &mut self,
        at: usize,
        name_len: usize,
        value_len: usize,
        known: Known,
    ) {
        debug_assert!(name_len <= NAME_MAX);
        let (at, name_len, value_len) = (at as u32, name_len as u16, value_len as u32);
        self.fields.push(Field { at, value_len, name_len, known });
    }

    /// Adds the names of fields that were pushed, and those of them that were there twice.
    #[inline(always)]
    pub(super) fn add_names(&mut self, present: KnownSet, repeated: KnownSet) {
        self.repeated.insert_all(repeated);
        self.repeated.insert_all(self.present.both(present));
        self.present.insert_all(present);
    }

    pub(super) fn clear(&mut self) {
        self.fields.clear();
        if self.fields.capacity() > FIELDS_KEPT {
            self.fields.shrink_to(FIELDS_KEPT);
        }
        self.present = KnownSet::EMPTY;
        self.repeated = KnownSet::EMPTY;
        self.in_line = 0;
    }

    /// Removes the fields for which `keep` says no.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Field) -> bool) {
        let Index { fields, present, in_line, .. } = self;
        *in_line = 0;
        *present = KnownSet::EMPTY;
        fields.retain(|field| {
            let kept = keep(*field);
            if kept {
                present.insert(field.known);
            }
            kept
        });
    }

    /// Whether more than one field had that name.
    pub(super) fn repeats(&self, known: Known) -> bool {
        self.repeated.contains(known)
    }

    /// The field of a known name, if there is one and it is told at once that there is no other.
    pub(super) fn lone(&self, known: Known) -> Option<Field> {
        if !self.present.contains(known) || self.repeated.contains(known) {
            return None;
        }
        self.fields.iter().find(|field| field.known == known).copied()
    }

    /// The fields that may have that name: none, or all.
    pub(super) fn candidates(&self, known: Known) -> &[Field] {
        if known == Known::Other || self.present.contains(known) { &self.fields } else { &[] }
    }
}
