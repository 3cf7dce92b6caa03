//! The wait queue: a hierarchical timing wheel of 1 ms ticks with intrusive indices.
//!
//! Insert and cancel are O(1). A timer never fires early: its deadline is rounded up to a tick, and
//! a tick is over only when the clock has passed it. Six levels of 64 slots reach 2^36 ms (two
//! years); what is further away waits in the last level and is put back when its slot comes round.
//!
//! ```text
//!   level 0   64 slots of 1 ms       ──► expire
//!   level 1   64 slots of 64 ms      ──► when its time begins, its entries move down a level
//!   …
//!   level 5   64 slots of 2^30 ms
//! ```

use crate::invariant;
use crate::time::Instant;

const LEVELS: usize = 6;
const SLOTS: usize = 64;
const BITS: u32 = 6;
/// The furthest tick ahead that the levels can hold.
const REACH: u64 = (1 << (BITS * LEVELS as u32)) - 1;
const NIL: u32 = u32::MAX;
const UNLINKED: u16 = u16::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    prev: u32,
    next: u32,
    slot: u16,
    at: Instant,
    /// Of the insertions; it may wrap, which only changes who is first among equals.
    serial: u32,
}

const IDLE: Node = Node { prev: NIL, next: NIL, slot: UNLINKED, at: Instant::START, serial: 0 };

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

/// Timers by a small integer key, each with at most one entry.
#[derive(Debug)]
pub struct Wheel {
    nodes: Vec<Node>,
    slots: Box<[List; LEVELS * SLOTS]>,
    occupied: [u64; LEVELS],
    /// Every tick up to and including this one is over.
    elapsed: u64,
    serial: u32,
    len: u32,
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel {
            nodes: Vec::new(),
            slots: Box::new([List { head: NIL, tail: NIL }; LEVELS * SLOTS]),
            occupied: [0; LEVELS],
            elapsed: 0,
            serial: 0,
            len: 0,
        }
    }
}

impl Wheel {
    /// Enters `key` with a deadline, in place of the one it had.
    pub fn insert(&mut self, key: u32, at: Instant) {
        self.cancel(key);
        if key as usize >= self.nodes.len() {
            self.nodes.resize(key as usize + 1, IDLE);
        }
        self.serial = self.serial.wrapping_add(1);
        let node = &mut self.nodes[key as usize];
        node.at = at;
        node.serial = self.serial;
        self.len += 1;
        self.link(key);
    }

    /// Removes `key`, if it is there.
    pub fn cancel(&mut self, key: u32) {
        let Some(&Node { prev, next, slot, .. }) = self.nodes.get(key as usize) else { return };
        if slot == UNLINKED {
            return;
        }
        let list = &mut self.slots[slot as usize];
        if prev == NIL {
            list.head = next;
        } else {
            self.nodes[prev as usize].next = next;
        }
        if next == NIL {
            list.tail = prev;
        } else {
            self.nodes[next as usize].prev = prev;
        }
        if list.head == NIL {
            self.occupied[slot as usize / SLOTS] &= !(1 << (slot as usize % SLOTS));
        }
        self.nodes[key as usize].slot = UNLINKED;
        self.len -= 1;
    }

    /// Frees the room for keys from `keys` on; none of them is entered.
    pub fn trim(&mut self, keys: usize) {
        invariant!(self.nodes.iter().skip(keys).all(|node| node.slot == UNLINKED));
        self.nodes.truncate(keys);
        self.nodes.shrink_to_fit();
    }

    /// The deadline under which `key` is entered.
    pub fn deadline(&self, key: u32) -> Option<Instant> {
        self.nodes.get(key as usize).filter(|n| n.slot != UNLINKED).map(|n| n.at)
    }

    /// Takes out every key whose tick is over, by deadline, then by insertion.
    pub fn expire(&mut self, now: Instant, expired: &mut Vec<u32>) {
        let tick = now.as_millis();
        if self.len == 0 {
            self.elapsed = self.elapsed.max(tick);
            return;
        }
        let first = expired.len();
        while let Some((start, level, slot)) = self.next_slot()
            && start <= tick
        {
            self.elapsed = self.elapsed.max(start);
            let place = level * SLOTS + slot;
            let mut key = self.slots[place].head;
            self.slots[place] = List { head: NIL, tail: NIL };
            self.occupied[level] &= !(1 << slot);
            while key != NIL {
                let next = self.nodes[key as usize].next;
                self.nodes[key as usize].slot = UNLINKED;
                if ceil_tick(self.nodes[key as usize].at) <= self.elapsed {
                    self.len -= 1;
                    expired.push(key);
                } else {
                    self.link(key);
                }
                key = next;
            }
        }
        self.elapsed = self.elapsed.max(tick);
        let nodes = &self.nodes;
        expired[first..].sort_unstable_by_key(|&k| {
            let n = &nodes[k as usize];
            (n.at, n.serial)
        });
    }

    /// A moment at which something may be due; never later than the earliest tick that is.
    pub fn next(&self) -> Option<Instant> {
        self.next_slot().map(|(start, _, _)| Instant::from_nanos(start.saturating_mul(1_000_000)))
    }

    /// Entries in the wheel.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next slot that is not empty: the tick at which it begins, its level and its number.
    fn next_slot(&self) -> Option<(u64, usize, usize)> {
        for level in 0..LEVELS {
            if self.occupied[level] == 0 {
                continue;
            }
            let shift = BITS * level as u32;
            let here = self.elapsed >> shift;
            let turned = self.occupied[level].rotate_right((here % SLOTS as u64) as u32);
            let ahead = u64::from(turned.trailing_zeros());
            let start = (here + ahead) << shift;
            return Some((start, level, ((here + ahead) % SLOTS as u64) as usize));
        }
        None
    }

    fn link(&mut self, key: u32) {
        let when = ceil_tick(self.nodes[key as usize].at);
        // What is due already goes into the slot of the next tick that will be looked at.
        let when = when.clamp(self.elapsed, self.elapsed.saturating_add(REACH / 2));
        let differing = (self.elapsed ^ when) | (SLOTS as u64 - 1);
        let level = ((63 - differing.leading_zeros()) / BITS).min(LEVELS as u32 - 1);
        let slot = (when >> (BITS * level)) as usize % SLOTS;
        let place = level as usize * SLOTS + slot;
        let tail = self.slots[place].tail;
        let node = &mut self.nodes[key as usize];
        invariant!(node.slot == UNLINKED);
        node.prev = tail;
        node.next = NIL;
        node.slot = place as u16;
        if tail == NIL {
            self.slots[place].head = key;
        } else {
            self.nodes[tail as usize].next = key;
        }
        self.slots[place].tail = key;
        self.occupied[level as usize] |= 1 << slot;
    }
}

/// The first tick that is not before `at`.
fn ceil_tick(at: Instant) -> u64 {
    at.as_nanos().div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn ns(n: u64) -> Instant {
        Instant::from_nanos(n)
    }

    #[test]
    fn never_early_and_in_order() {
        let mut wheel = Wheel::default();
        wheel.insert(0, ns(1_000_001));
        wheel.insert(1, ns(1_500_000));
        wheel.insert(2, ns(1_000_001));
        let mut out = Vec::new();
        wheel.expire(ns(1_999_999), &mut out);
        assert!(out.is_empty());
        assert_eq!(wheel.next(), Some(ns(2_000_000)));
        wheel.expire(ns(2_000_000), &mut out);
        assert_eq!(out, [0, 2, 1]);
        assert!(wheel.is_empty() && wheel.next().is_none());
    }

    #[test]
    fn what_is_already_due_fires_at_the_next_look() {
        let mut wheel = Wheel::default();
        let mut out = Vec::new();
        wheel.expire(ns(5_000_000_000), &mut out);
        wheel.insert(3, ns(1_000_000));
        assert!(wheel.next().is_some_and(|t| t <= ns(5_000_000_000)));
        wheel.expire(ns(5_000_000_000), &mut out);
        assert_eq!(out, [3]);
    }

    proptest! {
        /// Against a sorted map: the same keys in the same order, however time moves.
        #[test]
        fn agrees_with_a_sorted_map(steps in prop::collection::vec(
            (0u8..4, 0u32..20, prop_oneof![0u64..100, 0u64..100_000, 0u64..1u64 << 38]), 1..200))
        {
            let mut wheel = Wheel::default();
            let mut model: BTreeMap<u32, (Instant, u64)> = BTreeMap::new();
            let (mut now, mut serial) = (0u64, 0u64);
            for (op, key, ms) in steps {
                match op {
                    0 | 1 => {
                        serial += 1;
                        let at = ns((now + ms) * 1_000_000 + u64::from(key));
                        wheel.insert(key, at);
                        model.insert(key, (at, serial));
                    }
                    2 => {
                        wheel.cancel(key);
                        model.remove(&key);
                    }
                    _ => {
                        now += ms;
                        let mut got = Vec::new();
                        wheel.expire(ns(now * 1_000_000), &mut got);
                        let mut due: Vec<_> = model.iter()
                            .filter(|(_, (at, _))| ceil_tick(*at) <= now)
                            .map(|(k, (at, s))| (*at, *s, *k)).collect();
                        due.sort();
                        for (_, _, k) in &due { model.remove(k); }
                        prop_assert_eq!(got, due.into_iter().map(|d| d.2).collect::<Vec<_>>());
                    }
                }
                prop_assert_eq!(wheel.len() as usize, model.len());
                if let Some(first) = model.values().map(|(at, _)| ceil_tick(*at)).min() {
                    let next = wheel.next().map(|t| t.as_nanos() / 1_000_000);
                    prop_assert!(next.is_some_and(|t| t <= first.max(now)));
                }
            }
        }
    }
}
