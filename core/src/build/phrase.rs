//! The words of a statement that have expressions, formats or a condition in them.

use crate::acl::{Condition, WordMistake};
use crate::config::{Diagnostic, Span, Word};
use crate::logfmt::format::{Format, Style};
use crate::rule::Pattern;
use crate::sample::args::Mistake;
use crate::sample::{Expr, Names, Point, conv};

use super::args::Args;

/// A cursor over words, and what expressions need to be compiled.
pub(super) struct Phrase<'s, 'd, 'p> {
    pub(super) args: Args<'s, 'd>,
    pub(super) names: &'d mut Names<'p>,
    /// Where its expressions stand.
    pub(super) point: Point,
}

impl<'s, 'd, 'p> Phrase<'s, 'd, 'p> {
    /// The next word is the format of something.
    pub(super) fn format(&mut self, what: &str, style: Style) -> Option<Format> {
        let word = self.args.need(what)?;
        self.format_of(word, style)
    }

    /// A word as a format.
    pub(super) fn format_of(&mut self, word: &Word, style: Style) -> Option<Format> {
        match Format::parse(word.as_str(), style, self.point, self.names) {
            Ok(format) => Some(format),
            Err(mistake) => {
                self.mistake(word, &mistake);
                None
            }
        }
    }

    /// The next words are an expression; further converters may be words of their own.
    pub(super) fn expr(&mut self) -> Option<Expr> {
        let word = self.args.need("an expression")?;
        let mut text = word.as_str().to_owned();
        let mut span = word.span;
        while let Some(next) = self.args.peek() {
            let name = next.as_str().split(['(', ',']).next().unwrap_or_default();
            if !conv::specs().any(|spec| spec.name == name) {
                break;
            }
            text = format!("{text},{}", next.as_str());
            span = span.to(next.span);
            self.args.next();
        }
        let outcome = Expr::parse(&text, 0, self.point, self.names);
        let mistake = match outcome {
            Ok((expr, end)) if end == text.len() => return Some(expr),
            Ok((_, end)) => {
                let rest = &text[end..];
                let message = format!("'{rest}' does not belong to an expression");
                Mistake::new(end, rest.len(), message)
            }
            Err(mistake) => mistake,
        };
        self.mistake(&Word::new(text.into_bytes(), span), &mistake);
        None
    }

    /// The next word is a regular expression.
    pub(super) fn pattern(&mut self) -> Option<Pattern> {
        let word = self.args.need("a regular expression")?;
        match Pattern::new(word.as_str(), false) {
            Ok(pattern) => Some(pattern),
            Err(mistake) => {
                self.mistake(word, &mistake);
                None
            }
        }
    }

    /// The words from here to the end are a condition, or nothing is left. An error if they are
    /// neither, or wrong.
    pub(super) fn condition(&mut self) -> Result<Option<Condition>, ()> {
        let Some(first) = self.args.peek() else { return Ok(None) };
        if !matches!(first.as_str(), "if" | "unless") {
            let message = format!(
                "'{}' expects 'if' or 'unless' here (got '{}')",
                self.args.name(),
                first.as_str()
            );
            self.args.alert(first.span, message, "");
            return Err(());
        }
        let words = self.args.rest();
        match Condition::parse(words, self.point, self.names) {
            Ok(condition) => Ok(Some(condition)),
            Err(fault) => {
                self.fault(words, &fault);
                Err(())
            }
        }
    }

    /// A complaint about one of several words.
    pub(super) fn fault(&mut self, words: &[Word], fault: &WordMistake) {
        match words.get(fault.word) {
            Some(word) => self.mistake(word, &fault.mistake),
            None => {
                let span = words.last().map_or_else(
                    || self.args.place(),
                    |word| Span { start: word.span.end, end: word.span.end + 1, ..word.span },
                );
                self.args.alert(span, fault.mistake.message.clone(), "");
            }
        }
    }

    /// A complaint about part of a word.
    pub(super) fn mistake(&mut self, word: &Word, mistake: &Mistake) {
        let message = format!("'{}' : {}", self.args.name(), mistake.message);
        self.args.push(complaint(word, mistake, message));
    }
}

/// What is said of a part of a word.
pub(super) fn complaint(word: &Word, mistake: &Mistake, mut message: String) -> Diagnostic {
    let span = part(word, mistake);
    if let Some(near) = &mistake.near {
        message = format!("{message}; did you mean '{near}' maybe ?");
    }
    let found = Diagnostic::new(crate::config::Severity::Alert, Some(span), message);
    match &mistake.near {
        Some(near) => found.suggest(span, near.clone()),
        None => found,
    }
}

/// The place of a mistake: a part of the word, if it stands in the file as it is (without quotes
/// and escapes, or with quotes around all of it).
fn part(word: &Word, mistake: &Mistake) -> Span {
    let span = word.span;
    let width = (span.end - span.start) as usize;
    let quotes = match width.checked_sub(word.bytes().len()) {
        Some(0) => 0,
        Some(2) => 1,
        _ => return span,
    };
    if mistake.len == 0 || mistake.at + mistake.len > word.bytes().len() {
        return span;
    }
    let start = span.start + quotes + mistake.at as u32;
    Span { start, end: start + mistake.len as u32, ..span }
}
