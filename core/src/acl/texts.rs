//! The texts of patterns in the order in which they were added. Not how they are found: that is
//! `index`.

use super::Output;

/// Stands for "no output".
const NONE: u32 = u32::MAX;

/// A pattern's text and what a map says of it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    len: u32,
    /// An index in `outputs`.
    output: u32,
    live: bool,
}

/// Texts, each with a number that says its place in the order.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    /// All texts, one behind the other: a hundred thousand allocations would cost more than they
    /// hold.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    outputs: Vec<Output>,
    live: usize,
}

impl Texts {
    /// Adds a text; returns its number, none if there is no room.
    pub(super) fn push(&mut self, text: &[u8], output: Option<Output>) -> Option<u32> {
        let start = u32::try_from(self.bytes.len()).ok()?;
        let len = u32::try_from(text.len()).ok()?;
        start.checked_add(len)?;
        let id = u32::try_from(self.entries.len()).ok().filter(|id| *id != NONE)?;
        self.bytes.extend_from_slice(text);
        let output = match output {
            None => NONE,
            Some(output) => {
                self.outputs.push(output);
                self.outputs.len() as u32 - 1
            }
        };
        self.entries.push(Entry { start, len, output, live: true });
        self.live += 1;
        Some(id)
    }

    /// Takes the last one away again.
    pub(super) fn pop(&mut self) {
        let Some(entry) = self.entries.pop() else { return };
        self.bytes.truncate(entry.start as usize);
        if entry.output != NONE {
            self.outputs.pop();
        }
        self.live -= usize::from(entry.live);
    }

    /// The text of a number.
    pub(super) fn get(&self, id: u32) -> &[u8] {
        let entry = &self.entries[id as usize];
        &self.bytes[entry.start as usize..][..entry.len as usize]
    }

    /// What a map says of it.
    pub(super) fn output(&self, id: u32) -> Option<&Output> {
        self.outputs.get(self.entries[id as usize].output as usize)
    }

    /// Lets a map say something else of it.
    pub(super) fn set_output(&mut self, id: u32, output: Option<Output>) {
        let entry = &mut self.entries[id as usize];
        match output {
            None => entry.output = NONE,
            Some(output) => match self.outputs.get_mut(entry.output as usize) {
                Some(held) => *held = output,
                None => {
                    self.outputs.push(output);
                    entry.output = self.outputs.len() as u32 - 1;
                }
            },
        }
    }

    /// Takes it away; its number is not given again.
    pub(super) fn kill(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        debug_assert!(entry.live, "a pattern is taken away once");
        entry.live = false;
        self.live -= 1;
    }

    /// Whether it is still there.
    pub(super) fn is_live(&self, id: u32) -> bool {
        self.entries[id as usize].live
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// How many numbers stand for nothing any more.
    pub(super) fn dead(&self) -> usize {
        self.entries.len() - self.live
    }

    /// The numbers of those that are there, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        let live = self.entries.iter().enumerate().filter(|(_, entry)| entry.live);
        live.map(|(id, _)| id as u32)
    }

    /// The same texts with new numbers, and no room lost.
    pub(super) fn compact(&mut self) {
        let mut kept = Texts::default();
        for id in self.ids() {
            // They had room before.
            kept.push(self.get(id), self.output(id).cloned());
        }
        *self = kept;
    }
}
