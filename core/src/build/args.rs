//! The arguments of one statement, taken one by one, with the complaints they deserve.

use core::ops::RangeInclusive;

use crate::config::units::{self, Unit, UnitError};
use crate::config::{Diagnostic, Diagnostics, Span, Statement, Word};
use crate::time::Duration;

/// A cursor over the words behind a keyword.
pub(super) struct Args<'s, 'd> {
    statement: &'s Statement,
    at: usize,
    /// What complaints call the keyword.
    name: String,
    diagnostics: &'d mut Diagnostics,
}

impl<'s, 'd> Args<'s, 'd> {
    /// The words of `statement` from `at` on; `name` is the keyword in front of them.
    pub(super) fn new(
        statement: &'s Statement,
        at: usize,
        name: impl Into<String>,
        diagnostics: &'d mut Diagnostics,
    ) -> Self {
        Args { statement, at, name: name.into(), diagnostics }
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Option<&'s Word> {
        let word = self.statement.words.get(self.at);
        self.at += usize::from(word.is_some());
        word
    }

    /// The next word, which stays.
    pub(super) fn peek(&self) -> Option<&'s Word> {
        self.statement.words.get(self.at)
    }

    /// Takes the next word if it is `word`.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|next| next.as_str() == word);
        self.at += usize::from(found);
        found
    }

    /// Which word is next.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The place of the next word, or behind the last.
    pub(super) fn place(&self) -> Span {
        self.statement.place(self.at)
    }

    /// The next word, which must be there: `what` says what it is.
    pub(super) fn need(&mut self, what: &str) -> Option<&'s Word> {
        match self.peek() {
            Some(word) if !word.as_str().is_empty() => self.next(),
            _ => {
                let message = format!("'{}' expects {what}", self.name);
                self.diagnostics.alert(self.place(), message);
                None
            }
        }
    }

    /// A number within a range.
    pub(super) fn number(&mut self, range: RangeInclusive<u32>) -> Option<u32> {
        let word = self.need("a number")?;
        number(word, &self.name, range, self.diagnostics)
    }

    /// A time.
    pub(super) fn time(&mut self, unit: Unit) -> Option<Duration> {
        let of = if unit == Unit::Seconds { "seconds" } else { "milliseconds" };
        let word = self.need(&format!("a time (in {of}, or with us, ms, s, m, h, d)"))?;
        time(word, &self.name, unit, self.diagnostics)
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&mut self, choices: &[(&str, T)]) -> Option<T> {
        let place = self.place();
        let got = self.next().map_or("", Word::as_str);
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == got) {
            return Some(*value);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let message =
            format!("'{}' only supports '{}' (got '{got}')", self.name, names.join("', '"));
        let near = crate::config::similar::nearest(got, names);
        let found = self.diagnostics.alert(place, message);
        if let Some(near) = near {
            *found = found.clone().suggest(place, near);
        }
        None
    }

    /// Complains about the next word, if there is one.
    pub(super) fn end(&mut self) -> bool {
        let Some(extra) = self.peek().filter(|word| !word.as_str().is_empty()) else {
            return true;
        };
        let message =
            format!("'{}' cannot handle unexpected argument '{}'", self.name, extra.as_str());
        self.diagnostics.alert(extra.span, message);
        false
    }

    /// A complaint about `span`, with a help if there is one.
    pub(super) fn alert(&mut self, span: Span, message: impl Into<String>, help: &str) {
        let found = self.diagnostics.alert(span, message);
        if !help.is_empty() {
            found.help.push(help.into());
        }
    }

    /// A size in bytes within a range.
    pub(super) fn size(&mut self, range: RangeInclusive<u64>) -> Option<u64> {
        let word = self.need("a size in bytes (or with k, m, g)")?;
        match units::size(word.as_str()) {
            Ok(size) if range.contains(&size) => Some(size),
            _ => {
                let message =
                    format!("'{}' expects a size in bytes (got '{}')", self.name, word.as_str());
                self.diagnostics.alert(word.span, message);
                None
            }
        }
    }

    /// The place of the word before the next one.
    pub(super) fn before(&self) -> Span {
        self.statement.place(self.at.saturating_sub(1))
    }

    /// A complaint that is already made.
    pub(super) fn push(&mut self, found: Diagnostic) {
        self.diagnostics.push(found);
    }

    /// All words from the next one on; they count as taken.
    pub(super) fn rest(&mut self) -> &'s [Word] {
        let rest = &self.statement.words[self.at.min(self.statement.words.len())..];
        self.at = self.statement.words.len();
        rest
    }

    /// What complaints call the keyword.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// A word as a number within a range.
pub(super) fn number(
    word: &Word,
    name: &str,
    range: RangeInclusive<u32>,
    diagnostics: &mut Diagnostics,
) -> Option<u32> {
    let text = word.as_str();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(value) if range.contains(&value) && digits => Some(value),
        _ => {
            let message = if digits {
                format!(
                    "'{name}' value must be between {} and {} (was {text})",
                    range.start(),
                    range.end()
                )
            } else {
                format!("'{name}' expects a number (got '{text}')")
            };
            let found = diagnostics.alert(word.span, message);
            if !digits && units::size(text).is_ok() {
                let help = "units such as 'k' are not understood here: write the number out";
                found.help.push(help.into());
            }
            None
        }
    }
}

/// A word as a time.
pub(super) fn time(
    word: &Word,
    name: &str,
    unit: Unit,
    diagnostics: &mut Diagnostics,
) -> Option<Duration> {
    let text = word.as_str().trim_start();
    let error = match units::time(text, unit) {
        Ok(time) => return Some(time),
        Err(error) => error,
    };
    let message = match error {
        UnitError::Overflow => format!(
            "timer overflow in argument '{text}' to '{name}' (maximum value is 2147483647 ms or \
             ~24.8 days)"
        ),
        UnitError::Unexpected(at) => {
            let stray = text[at..].chars().next().unwrap_or(' ');
            format!("unexpected character '{stray}' in '{name}'")
        }
        UnitError::Empty => format!("'{name}' expects a time"),
    };
    let found = diagnostics.alert(word.span, message);
    if error != UnitError::Overflow {
        found.help.push("write a whole number and one of us, ms, s, m, h, d, such as 500ms".into());
    }
    None
}
