//! Regular expressions: HAProxy's are PCRE's, ours take time that is linear in the value whatever
//! the expression. [`pcre`](super::pcre) translates; what cannot be done in linear time
//! (look-around, back-references) is refused there.

use regex_automata::meta;
use regex_automata::util::pool::Pool;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Input, MatchKind, PatternSet};
use regex_syntax::hir::Hir;

use super::pcre;
use crate::sample::Arena;

/// Groups that a replacement can name, the whole match included.
pub const GROUPS_MAX: usize = 10;

/// What the automaton of one expression may take.
const SIZE_MAX: usize = 10 << 20;

/// What the automaton of a list of expressions may take.
const LIST_SIZE_MAX: usize = 1 << 30;

/// Where the groups of a match lie in the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Groups([Option<(usize, usize)>; GROUPS_MAX]);

impl Groups {
    /// Where the group `index` begins and ends; 0 is the whole match.
    pub fn get(&self, index: usize) -> Option<(usize, usize)> {
        self.0.get(index).copied().flatten()
    }

    /// Where the whole match begins and ends.
    pub fn whole(&self) -> (usize, usize) {
        self.0[0].unwrap_or_default()
    }
}

/// A regular expression over bytes.
#[derive(Clone)]
pub struct Regex {
    inner: meta::Regex,
}

impl core::fmt::Debug for Regex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The automaton says nothing to a reader.
        f.write_str("Regex")
    }
}

impl Regex {
    /// Compiles one. The error is a sentence.
    pub fn new(text: &[u8], ignore_case: bool) -> Result<Regex, String> {
        let hir = parse(text, ignore_case, pcre::End::Exact)?;
        let inner = build(&[hir], SIZE_MAX, meta::Config::new())
            .map_err(|why| format!("regular expression '{}': {why}", show(text)))?;
        Ok(Regex { inner })
    }

    /// Whether it matches somewhere.
    pub fn is_match(&self, value: &[u8]) -> bool {
        self.inner.is_match(value)
    }

    /// The groups of the first match that begins at `at` or behind it.
    pub fn groups(&self, value: &[u8], at: usize) -> Option<Groups> {
        let mut slots: [Option<NonMaxUsize>; 2 * GROUPS_MAX] = [None; 2 * GROUPS_MAX];
        self.inner.search_slots(&Input::new(value).range(at..), &mut slots)?;
        let mut groups = Groups::default();
        for (group, pair) in groups.0.iter_mut().zip(slots.chunks_exact(2)) {
            *group = pair[0].zip(pair[1]).map(|(from, to)| (from.get(), to.get()));
        }
        Some(groups)
    }
}

/// Writes `template` with the groups of a match put in for `\0` to `\9`, and bytes for `\xHH`. Any
/// other character behind a backslash stands for itself.
pub fn expand<'a>(template: &[u8], value: &[u8], groups: &Groups, arena: &'a Arena) -> &'a [u8] {
    let mut out = bumpalo::collections::Vec::with_capacity_in(template.len() + value.len(), arena);
    let mut rest = template;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let hex = |byte: &u8| (*byte as char).to_digit(16).map(|digit| digit as u8);
        match rest {
            [digit @ b'0'..=b'9', tail @ ..] => {
                rest = tail;
                if let Some((from, to)) = groups.get(usize::from(digit - b'0')) {
                    out.extend_from_slice(&value[from..to]);
                }
            }
            [b'x', high, low, tail @ ..] if hex(high).is_some() && hex(low).is_some() => {
                out.push(hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0));
                rest = tail;
            }
            [other, tail @ ..] => {
                out.push(*other);
                rest = tail;
            }
            [] => out.push(b'\\'),
        }
    }
    out.into_bump_slice()
}

/// Which of several expressions match.
pub(super) struct RegexList {
    inner: meta::Regex,
    count: usize,
    /// Where the answer is written: kept, since making room for it would cost each time.
    sets: Pool<PatternSet, Box<dyn Fn() -> PatternSet + Send + Sync>>,
}

impl core::fmt::Debug for RegexList {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RegexList({})", self.count)
    }
}

impl Clone for RegexList {
    fn clone(&self) -> Self {
        RegexList::of(self.inner.clone(), self.count)
    }
}

impl RegexList {
    fn of(inner: meta::Regex, count: usize) -> Self {
        RegexList { inner, count, sets: Pool::new(Box::new(move || PatternSet::new(count))) }
    }

    /// Compiles expressions that were checked before.
    pub(super) fn new<'t>(
        texts: impl Iterator<Item = &'t [u8]>,
        ignore_case: bool,
    ) -> Result<Self, String> {
        let hirs: Result<Vec<Hir>, String> =
            texts.map(|text| parse(text, ignore_case, pcre::End::Loose)).collect();
        let hirs = hirs?;
        // All of them, not the first one at each place.
        let config = meta::Config::new().match_kind(MatchKind::All);
        let inner = build(&hirs, LIST_SIZE_MAX, config)?;
        Ok(RegexList::of(inner, hirs.len()))
    }

    /// The first in order that matches, of those that `live` says are there; any, if `any` will
    /// do and all are.
    pub(super) fn find(
        &self,
        value: &[u8],
        any: bool,
        live: &mut dyn FnMut(usize) -> bool,
    ) -> Option<usize> {
        let input = Input::new(value);
        if self.count == 1 || any {
            let found = self.inner.is_match(input.clone());
            if !found || any {
                return found.then_some(0);
            }
            return live(0).then_some(0);
        }
        if !self.inner.is_match(input.clone()) {
            return None;
        }
        let mut set = self.sets.get();
        set.clear();
        self.inner.which_overlapping_matches(&input, &mut set);
        let first = set.iter().map(|pattern| pattern.as_usize()).find(|at| live(*at));
        drop(set);
        first
    }
}

/// Checks an expression: nothing about it can fail later but its size.
pub(super) fn check(text: &[u8], ignore_case: bool) -> Result<(), String> {
    let hir = parse(text, ignore_case, pcre::End::Loose)?;
    let nfa = regex_automata::nfa::thompson::Compiler::new()
        .configure(
            regex_automata::nfa::thompson::Config::new().utf8(false).nfa_size_limit(Some(SIZE_MAX)),
        )
        .build_from_hir(&hir);
    nfa.map(|_| ()).map_err(|why| format!("regular expression '{}': {why}", show(text)))
}

fn parse(text: &[u8], ignore_case: bool, end: pcre::End) -> Result<Hir, String> {
    let ours = pcre::translate(text, end)
        .map_err(|why| format!("regular expression '{}': {why}", show(text)))?;
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .case_insensitive(ignore_case)
        .build()
        .parse(&ours)
        .map_err(|error| {
            let why = match &error {
                regex_syntax::Error::Parse(error) => error.kind().to_string(),
                regex_syntax::Error::Translate(error) => error.kind().to_string(),
                other => other.to_string(),
            };
            format!("regular expression '{}': {why}", show(text))
        })
}

fn build(hirs: &[Hir], size_max: usize, config: meta::Config) -> Result<meta::Regex, String> {
    let config = config.utf8_empty(false).nfa_size_limit(Some(size_max));
    let built = meta::Builder::new().configure(config).build_many_from_hir(hirs);
    built.map_err(|error| match error.size_limit() {
        Some(_) => "it becomes too large; smaller repetitions help".to_owned(),
        None => error.to_string(),
    })
}

fn show(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_replacements() {
        let arena = Arena::new();
        let regex = Regex::new(b"(a)(b)?", false).expect("an expression");
        for (value, template, expected) in [
            ("abx", r"[\1-\2-\0-\3-\x41-\a]", "[a-b-ab--A-a]"),
            ("ax", r"[\1-\2-\0-\3-\x41-\a]", "[a--a--A-a]"),
            ("a", r"\xg1\", r"xg1\"),
        ] {
            let groups = regex.groups(value.as_bytes(), 0).expect("a match");
            let made = expand(template.as_bytes(), value.as_bytes(), &groups, &arena);
            assert_eq!(String::from_utf8_lossy(made), expected);
        }
        assert_eq!(regex.groups(b"aba", 1).map(|groups| groups.whole()), Some((2, 3)));
        assert_eq!(regex.groups(b"x", 0), None);
    }
}
