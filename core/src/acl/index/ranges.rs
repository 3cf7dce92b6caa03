//! Numbers and ranges of them.

use std::collections::BTreeMap;

use super::super::range::Range;

/// Single numbers by their value, and ranges in order.
#[derive(Clone, Debug, Default)]
pub(in crate::acl) struct Ranges {
    single: BTreeMap<i64, u32>,
    wide: Vec<(u32, Range)>,
}

impl Ranges {
    /// Adds a range; false if it is there already: this one, or a single number of another.
    pub(in crate::acl) fn insert(&mut self, range: Range, id: u32) -> bool {
        if range.min == range.max {
            let mut fresh = false;
            self.single.entry(range.min).or_insert_with(|| {
                fresh = true;
                id
            });
            return fresh;
        }
        let at = self.wide.binary_search_by_key(&id, |(id, _)| *id);
        at.map_err(|at| self.wide.insert(at, (id, range))).is_err()
    }

    /// Takes a range away; false if another of the same number stood for it.
    pub(in crate::acl) fn remove(&mut self, range: Range, id: u32) -> bool {
        if range.min == range.max {
            let held = self.single.get(&range.min) == Some(&id);
            if held {
                self.single.remove(&range.min);
            }
            return held;
        }
        let at = self.wide.binary_search_by_key(&id, |(id, _)| *id);
        at.map(|at| self.wide.remove(at)).is_ok()
    }

    /// The first that holds a number.
    pub(in crate::acl) fn find(&self, n: i64) -> Option<u32> {
        let single = self.single.get(&n).copied();
        let mut wide =
            self.wide.iter().take_while(|(id, _)| single.is_none_or(|single| *id < single));
        wide.find(|(_, range)| range.holds(n)).map(|(id, _)| *id).or(single)
    }
}
