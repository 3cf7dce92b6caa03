//! Texts that a value contains: one automaton for all of them.

use aho_corasick::automaton::OverlappingState;
use aho_corasick::{AhoCorasick, Input, MatchKind};

use super::super::texts::Texts;

/// What was added since the automaton was built is looked for one by one until there are so many.
const FRESH_MAX: usize = 32;

/// An automaton of texts, and what came after it was built.
#[derive(Clone, Debug)]
pub(in crate::acl) struct Within {
    fold: bool,
    /// The automaton, and the number of each of its patterns.
    built: Option<(AhoCorasick, Box<[u32]>)>,
    fresh: Vec<u32>,
}

impl Within {
    pub(in crate::acl) fn new(fold: bool) -> Self {
        Within { fold, built: None, fresh: Vec::new() }
    }

    /// Adds a pattern, which is looked for alone until the next build.
    pub(in crate::acl) fn insert(&mut self, id: u32) {
        self.fresh.push(id);
    }

    /// Takes a pattern away; in the automaton it stays and is passed over.
    pub(in crate::acl) fn remove(&mut self, id: u32) {
        self.fresh.retain(|other| *other != id);
    }

    /// Whether it is time to build anew: what it costs is paid by as many additions.
    pub(in crate::acl) fn is_stale(&self) -> bool {
        let built = self.built.as_ref().map_or(0, |(_, ids)| ids.len());
        self.fresh.len() > FRESH_MAX.max(built / 8)
    }

    /// Builds the automaton.
    pub(in crate::acl) fn build(&mut self, texts: &Texts) {
        let ids: Box<[u32]> = texts.ids().collect();
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::Standard).ascii_case_insensitive(self.fold);
        match builder.build(ids.iter().map(|id| texts.get(*id))) {
            Ok(automaton) => {
                self.built = Some((automaton, ids));
                self.fresh = Vec::new();
            }
            Err(_) => {
                // Too many for its numbers: they are looked for one by one.
                self.built = None;
                self.fresh = ids.into();
            }
        }
    }

    /// The first pattern in order that the value contains; any, if `any` will do.
    pub(in crate::acl) fn find(&self, value: &[u8], texts: &Texts, any: bool) -> Option<u32> {
        let mut best: Option<u32> = None;
        if let Some((automaton, ids)) = &self.built {
            let mut state = OverlappingState::start();
            loop {
                automaton.find_overlapping(Input::new(value), &mut state);
                let Some(found) = state.get_match() else { break };
                let id = ids[found.pattern().as_usize()];
                if texts.is_live(id) {
                    best = Some(best.map_or(id, |best| best.min(id)));
                    if any || id == ids[0] {
                        break;
                    }
                }
            }
        }
        // What is fresh comes after what is built.
        best.or_else(|| {
            let mut fresh = self.fresh.iter().copied();
            fresh.find(|id| contains(value, texts.get(*id), self.fold))
        })
    }
}

/// Whether `value` contains `text`.
pub(in crate::acl) fn contains(value: &[u8], text: &[u8], fold: bool) -> bool {
    if !fold {
        return memchr::memmem::find(value, text).is_some();
    }
    text.is_empty() || value.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
}
