//! Regular expressions: one automaton for all of them, which says which of them match.

use super::super::regex::{Groups, Regex, RegexList};
use super::super::texts::Texts;

/// What was added since the automaton was built is tried one by one until there are so many.
const FRESH_MAX: usize = 32;

/// An automaton of expressions, and what came after it was built.
#[derive(Clone, Debug)]
pub(in crate::acl) struct Regexes {
    fold: bool,
    /// The automaton, and the number of each of its expressions.
    built: Option<(RegexList, Box<[u32]>)>,
    /// Some of those in the automaton are gone.
    holes: bool,
    fresh: Vec<u32>,
    /// Each for itself: those that are fresh, and all of them if groups are asked for.
    singles: Vec<(u32, Regex)>,
    /// Groups will be asked for.
    groups: bool,
}

impl Regexes {
    pub(in crate::acl) fn new(fold: bool, groups: bool) -> Self {
        Regexes { fold, built: None, holes: false, fresh: Vec::new(), singles: Vec::new(), groups }
    }

    /// Adds an expression. `alone` if it is to be found before the next build.
    pub(in crate::acl) fn insert(
        &mut self,
        id: u32,
        texts: &Texts,
        alone: bool,
    ) -> Result<(), String> {
        if alone || self.groups {
            self.singles.push((id, Regex::new(texts.get(id), self.fold)?));
        }
        self.fresh.push(id);
        Ok(())
    }

    /// Takes an expression away; in the automaton it stays and is passed over.
    pub(in crate::acl) fn remove(&mut self, id: u32) {
        self.singles.retain(|(other, _)| *other != id);
        let before = self.fresh.len();
        self.fresh.retain(|other| *other != id);
        self.holes |= self.fresh.len() == before;
    }

    /// Whether it is time to build anew: what it costs is paid by as many additions.
    pub(in crate::acl) fn is_stale(&self) -> bool {
        let built = self.built.as_ref().map_or(0, |(_, ids)| ids.len());
        self.fresh.len() > FRESH_MAX.max(built / 8)
    }

    /// Builds the automaton.
    pub(in crate::acl) fn build(&mut self, texts: &Texts) {
        let ids: Box<[u32]> = texts.ids().collect();
        self.built = None;
        self.holes = false;
        self.fresh = Vec::new();
        if !self.groups {
            self.singles = Vec::new();
        }
        if ids.is_empty() {
            return;
        }
        match RegexList::new(ids.iter().map(|id| texts.get(*id)), self.fold) {
            Ok(list) => self.built = Some((list, ids)),
            Err(_) => {
                // Each was checked; all together are too large and are tried one by one.
                let single = |id: &u32| Some((*id, Regex::new(texts.get(*id), self.fold).ok()?));
                self.singles = ids.iter().filter_map(single).collect();
                self.fresh = ids.into();
            }
        }
    }

    /// The first expression in order that matches; any, if `any` will do.
    pub(in crate::acl) fn find(&self, value: &[u8], texts: &Texts, any: bool) -> Option<u32> {
        if let Some((list, ids)) = &self.built {
            let mut live = |at: usize| texts.is_live(ids[at]);
            if let Some(at) = list.find(value, any && !self.holes, &mut live) {
                return Some(ids[at]);
            }
        }
        self.fresh
            .iter()
            .copied()
            .find(|id| self.single(*id).is_some_and(|regex| regex.is_match(value)))
    }

    /// Where the groups of an expression lie in a value that it matches.
    pub(in crate::acl) fn groups(&self, id: u32, value: &[u8]) -> Option<Groups> {
        self.single(id)?.groups(value, 0)
    }

    fn single(&self, id: u32) -> Option<&Regex> {
        let at = self.singles.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.singles[at].1)
    }
}
