//! What will happen, in order of time; at one moment, in the order in which it was caused.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tidegate_core::time::Instant;

use super::end::EndId;

/// Something that happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// The first segment of those that this end has in flight arrives.
    Arrive(EndId),
    /// A SYN arrives.
    Syn(EndId),
    /// A SYN is answered.
    Accepted(EndId),
    /// A SYN is answered by a RST.
    Refused(EndId),
    /// This end learns that its peer has room again.
    Window(EndId),
}

/// The events to come.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    caused: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Instant, event: Event) {
        self.caused += 1;
        self.heap.push(Reverse((at, self.caused, event)));
    }

    /// The next event up to `until`.
    pub(super) fn pop(&mut self, until: Instant) -> Option<(Instant, Event)> {
        if self.next()? > until {
            return None;
        }
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }
}
