//! How the first pattern that matches is found in time that does not grow with their number: one
//! structure a kind of matching. They hold the patterns' numbers; the texts are elsewhere
//! (`super::texts`).

mod hashed;
mod networks;
mod ranges;
mod regexes;
mod within;

use hashed::{Form, Hashed, has_words, same_bytes};
use networks::Networks;
use ranges::Ranges;
use regexes::Regexes;
use within::Within;

use super::Match;
use super::network::Resolve;
use super::range::Range;
use super::regex::{self, Groups};
use super::texts::Texts;
use crate::sample::Value;

/// With so few patterns it is quicker to compare each than to hash.
const FEW: usize = 8;

/// What finds patterns of one kind.
#[derive(Clone, Debug)]
pub(super) struct Index {
    how: Match,
    fold: bool,
    parts: Parts,
}

#[derive(Clone, Debug)]
enum Parts {
    /// Patterns say nothing.
    Nothing,
    /// Numbers and lengths.
    Ranges(Ranges),
    /// Addresses.
    Networks(Box<Networks>),
    /// Whole values, beginnings, ends, and parts between delimiters.
    Hashed(Hashed),
    /// Methods are few, and known ones have rules of their own.
    Each,
    /// Texts anywhere.
    Within(Within),
    /// Expressions.
    Regexes(Regexes),
}

impl Index {
    pub(super) fn new(how: Match, fold: bool) -> Self {
        let parts = match how {
            Match::Found | Match::Bool => Parts::Nothing,
            Match::Int | Match::Len | Match::Version => Parts::Ranges(Ranges::default()),
            Match::Ip => Parts::Networks(Box::default()),
            Match::Bin => Parts::Hashed(Hashed::new(Form { hex: true, ..Form::PLAIN })),
            Match::Str | Match::Beg => Parts::Hashed(Hashed::new(Form { fold, ..Form::PLAIN })),
            Match::End => Parts::Hashed(Hashed::new(Form { fold, back: true, ..Form::PLAIN })),
            Match::Dir | Match::Dom => {
                let words = Some(how.delimiters());
                Parts::Hashed(Hashed::new(Form { fold, words, ..Form::PLAIN }))
            }
            Match::Method => Parts::Each,
            Match::Sub => Parts::Within(Within::new(fold)),
            Match::Reg | Match::Regm => {
                Parts::Regexes(Regexes::new(fold, matches!(how, Match::Regm)))
            }
        };
        Index { how, fold, parts }
    }

    /// Adds a pattern; false if one that means the same is there already. `alone` if it is to be
    /// found before the next build.
    pub(super) fn insert(
        &mut self,
        id: u32,
        texts: &Texts,
        resolve: Option<Resolve<'_>>,
        alone: bool,
    ) -> Result<bool, String> {
        match &mut self.parts {
            Parts::Nothing | Parts::Each => Ok(true),
            Parts::Ranges(ranges) => Ok(ranges.insert(range(self.how, texts.get(id))?, id)),
            Parts::Networks(networks) => networks.insert(id, texts, resolve),
            Parts::Hashed(hashed) => {
                if self.how == Match::Bin {
                    digits(texts.get(id))?;
                }
                Ok(hashed.insert(id, texts))
            }
            Parts::Within(within) => {
                within.insert(id);
                Ok(true)
            }
            Parts::Regexes(regexes) => {
                if !alone {
                    regex::check(texts.get(id), self.fold)?;
                }
                regexes.insert(id, texts, alone)?;
                Ok(true)
            }
        }
    }

    /// Takes a pattern away; false if another that means the same stood for it.
    pub(super) fn remove(&mut self, id: u32, texts: &Texts) -> bool {
        match &mut self.parts {
            Parts::Nothing | Parts::Each => true,
            Parts::Ranges(ranges) => {
                range(self.how, texts.get(id)).is_ok_and(|range| ranges.remove(range, id))
            }
            Parts::Networks(networks) => networks.remove(id, texts),
            Parts::Hashed(hashed) => hashed.remove(id, texts),
            Parts::Within(within) => {
                within.remove(id);
                true
            }
            Parts::Regexes(regexes) => {
                regexes.remove(id);
                true
            }
        }
    }

    /// The same without patterns.
    pub(super) fn emptied(&self) -> Self {
        match &self.parts {
            Parts::Networks(networks) => {
                Index { parts: Parts::Networks(Box::new(networks.emptied())), ..*self }
            }
            _ => Index::new(self.how, self.fold),
        }
    }

    /// Whether it is time to build anew.
    pub(super) fn is_stale(&self) -> bool {
        match &self.parts {
            Parts::Within(within) => within.is_stale(),
            Parts::Regexes(regexes) => regexes.is_stale(),
            _ => false,
        }
    }

    /// Builds what finds the patterns that are there now.
    pub(super) fn finish(&mut self, texts: &Texts) {
        match &mut self.parts {
            Parts::Within(within) => within.build(texts),
            Parts::Regexes(regexes) => regexes.build(texts),
            _ => {}
        }
    }

    /// The first pattern that matches a value of this kind's type; any, if `any` will do.
    pub(super) fn find(&self, value: Value<'_>, texts: &Texts, any: bool) -> Option<u32> {
        let text = match value {
            Value::Str(bytes) | Value::Bin(bytes) | Value::Method(bytes) => bytes,
            Value::Bool(_) | Value::Int(_) | Value::Ip(_) => &[],
        };
        match (&self.parts, value) {
            (Parts::Nothing, _) => None,
            (Parts::Ranges(ranges), Value::Int(n)) => ranges.find(n),
            (Parts::Ranges(ranges), _) => ranges.find(text.len() as i64),
            (Parts::Networks(networks), Value::Ip(ip)) => networks.find(ip),
            (Parts::Networks(_), _) => None,
            (Parts::Hashed(hashed), _) if texts.len() > FEW => self.look_up(hashed, text, texts),
            (Parts::Hashed(_) | Parts::Each, _) => self.compare_each(text, texts),
            (Parts::Within(within), _) => within.find(text, texts, any),
            (Parts::Regexes(regexes), _) => regexes.find(text, texts, any),
        }
    }

    /// Where the groups of an expression lie in a value that it matches.
    pub(super) fn groups(&self, id: u32, value: &[u8]) -> Option<Groups> {
        match &self.parts {
            Parts::Regexes(regexes) => regexes.groups(id, value),
            _ => None,
        }
    }

    /// By comparing each.
    fn compare_each(&self, value: &[u8], texts: &Texts) -> Option<u32> {
        let mut matching = texts.ids().filter(|id| self.compare(texts.get(*id), value));
        if !self.longest() {
            return matching.next();
        }
        // Of the longest the first.
        matching.reduce(
            |best, id| {
                if texts.get(id).len() > texts.get(best).len() { id } else { best }
            },
        )
    }

    /// Whether the longest pattern wins: HAProxy's tree of beginnings, which it has for those whose
    /// case matters.
    fn longest(&self) -> bool {
        self.how == Match::Beg && !self.fold
    }

    fn compare(&self, text: &[u8], value: &[u8]) -> bool {
        let same = |a: &[u8], b: &[u8]| if self.fold { a.eq_ignore_ascii_case(b) } else { a == b };
        match self.how {
            Match::Beg => value.get(..text.len()).is_some_and(|part| same(part, text)),
            Match::End => {
                let from = value.len().checked_sub(text.len());
                from.is_some_and(|from| same(&value[from..], text))
            }
            Match::Dir | Match::Dom => has_words(value, text, self.how.delimiters(), &same),
            Match::Bin => same_bytes(text, value),
            // Those that HAProxy knows by a number are themselves only.
            Match::Method => text == value || !is_known(value) && same(text, value),
            _ => same(text, value),
        }
    }

    /// By hash.
    fn look_up(&self, hashed: &Hashed, value: &[u8], texts: &Texts) -> Option<u32> {
        let mut best: Option<u32> = None;
        let mut first = |id| best = Some(best.map_or(id, |best: u32| best.min(id)));
        match self.how {
            Match::Beg if self.longest() => hashed.ends(value, texts, &mut |id| best = Some(id)),
            Match::Beg | Match::End => hashed.ends(value, texts, &mut first),
            Match::Dir | Match::Dom => hashed.words(value, texts, &mut first),
            _ => best = hashed.whole(value, texts),
        }
        best
    }
}

/// Whether HAProxy has a number for the method.
fn is_known(name: &[u8]) -> bool {
    const KNOWN: [&[u8]; 8] =
        [b"OPTIONS", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"TRACE", b"CONNECT"];
    KNOWN.contains(&name)
}

fn range(how: Match, text: &[u8]) -> Result<Range, String> {
    let text = String::from_utf8_lossy(text);
    if how == Match::Version { Range::parse_version(&text) } else { Range::parse(&text) }
}

/// Checks that the text is pairs of hexadecimal digits.
fn digits(text: &[u8]) -> Result<(), String> {
    if let Some(odd) = text.iter().find(|byte| !byte.is_ascii_hexdigit()) {
        return Err(format!("'{}' is no hexadecimal digit", char::from(*odd)));
    }
    if text.len() % 2 == 1 {
        return Err("an even number of hexadecimal digits is needed".into());
    }
    Ok(())
}
