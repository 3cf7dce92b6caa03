//! The servers in the order of a number each has: a binary heap that knows where everybody is.
//! Not a general one: every server is in it at most once, equal ranks leave in the order in which
//! they came, and nothing is allocated after it was made.

/// A server in its place. Ordered by `rank`, then by `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) rank: u64,
    /// Who came first, among equals.
    pub(super) seq: u64,
    pub(super) server: u32,
}

/// The lowest rank is first.
#[derive(Clone, Debug, Hash)]
pub(super) struct Heap {
    places: Vec<Place>,
    /// By server: its index in `places`, or `ABSENT`.
    slots: Vec<u32>,
    next_seq: u64,
}

const ABSENT: u32 = u32::MAX;

impl Heap {
    /// An empty heap for servers `0..len`.
    pub(super) fn new(len: usize) -> Self {
        Self { places: Vec::with_capacity(len), slots: vec![ABSENT; len], next_seq: 0 }
    }

    /// Adds `server`, behind those of the same rank.
    pub(super) fn push(&mut self, server: usize, rank: u64) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.restore(Place { rank, seq, server: server as u32 });
    }

    /// Adds a server among those of the same rank by its `seq`: back to where it was popped from.
    pub(super) fn restore(&mut self, place: Place) {
        debug_assert_eq!(self.slots[place.server as usize], ABSENT, "in the heap already");
        self.places.push(place);
        self.rise(self.places.len() - 1, place);
    }

    /// Takes the first.
    pub(super) fn pop(&mut self) -> Option<Place> {
        let first = *self.places.first()?;
        self.remove_at(0);
        Some(first)
    }

    /// Takes `server` out, if it is in.
    pub(super) fn remove(&mut self, server: usize) {
        let at = self.slots[server];
        if at != ABSENT {
            self.remove_at(at as usize);
        }
    }

    pub(super) fn first(&self) -> Option<&Place> {
        self.places.first()
    }

    pub(super) fn place(&self, server: usize) -> Option<&Place> {
        self.places.get(self.slots[server] as usize)
    }

    /// The rank of all, if all have the same.
    pub(super) fn common_rank(&self) -> Option<u64> {
        let rank = self.places.first()?.rank;
        self.places.iter().all(|place| place.rank == rank).then_some(rank)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Takes all, in order, to the end of `into`.
    pub(super) fn drain(&mut self, into: &mut Vec<u32>) {
        self.places.sort_unstable_by_key(|place| (place.rank, place.seq));
        for place in self.places.drain(..) {
            self.slots[place.server as usize] = ABSENT;
            into.push(place.server);
        }
    }

    fn remove_at(&mut self, at: usize) {
        let gone = self.places.swap_remove(at);
        self.slots[gone.server as usize] = ABSENT;
        if let Some(&moved) = self.places.get(at) {
            // What came from the end may belong above or below: down first, as it mostly does.
            let at = self.sink(at, moved);
            self.rise(at, moved);
        }
    }

    /// Moves the hole at `at` down to where `place` may stand; the hole is filled by `rise`.
    fn sink(&mut self, mut at: usize, place: Place) -> usize {
        loop {
            let left = 2 * at + 1;
            let Some(&(mut child)) = self.places.get(left) else { return at };
            let mut below = left;
            if let Some(&right) = self.places.get(left + 1)
                && right.before(&child)
            {
                (below, child) = (left + 1, right);
            }
            if !child.before(&place) {
                return at;
            }
            self.set(at, child);
            at = below;
        }
    }

    /// Moves the hole at `at` up to where `place` belongs, and puts it there.
    fn rise(&mut self, mut at: usize, place: Place) {
        while at > 0 {
            let above = (at - 1) / 2;
            let parent = self.places[above];
            if !place.before(&parent) {
                break;
            }
            self.set(at, parent);
            at = above;
        }
        self.set(at, place);
    }

    fn set(&mut self, at: usize, place: Place) {
        self.places[at] = place;
        self.slots[place.server as usize] = at as u32;
    }
}

impl Place {
    fn before(&self, other: &Self) -> bool {
        (self.rank, self.seq) < (other.rank, other.seq)
    }
}
