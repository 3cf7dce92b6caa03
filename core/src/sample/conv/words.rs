//! Converters that take a part of text or bytes. They never copy.

use super::{Kind, Spec, Value, row};
use crate::sample::args::{Args, Mistake};

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub enum Conv {
    /// `field`: each delimiter ends one.
    Field(Part),
    /// `word`: runs of delimiters stand between two.
    Word(Part),
    /// `bytes`: where from, and how many.
    Bytes(i64, Option<usize>),
    /// `language`: those that are known, and the default.
    Language(Box<[Box<[u8]>]>, Option<Box<[u8]>>),
}

/// Which parts.
#[derive(Clone, Debug)]
pub struct Part {
    /// The first, counted from 1.
    nth: usize,
    /// Counted from the end, and towards the start.
    backwards: bool,
    delimiters: Box<[u8]>,
    /// None takes all that are left.
    count: Option<usize>,
}

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>) -> Option<Value<'a>> {
        match (self, value) {
            (Conv::Field(part), Value::Str(text)) => part.field(text).map(Value::Str),
            (Conv::Word(part), Value::Str(text)) => Some(Value::Str(part.word(text))),
            (Conv::Language(known, default), Value::Str(text)) => {
                let best = preferred(text, known).or(default.as_deref());
                best.map(Value::Str)
            }
            (Conv::Bytes(from, most), Value::Bin(bytes)) => {
                let from = usize::try_from(*from).unwrap_or(usize::MAX);
                let rest = bytes.get(from..).unwrap_or_default();
                Some(Value::Bin(&rest[..most.unwrap_or(rest.len()).min(rest.len())]))
            }
            _ => None,
        }
    }
}

impl Part {
    fn of(args: &Args<'_, '_>) -> Result<Part, Mistake> {
        let Some(nth) = args.int(0)? else {
            return Err(args.wrong(format!("'{}' needs a number: which one", args.name())));
        };
        if nth == 0 {
            return Err(args.blame(0, "they are counted from 1, or from the end from -1"));
        }
        let Some(delimiters) = args.get(1) else {
            return Err(args.wrong(format!("'{}' needs delimiters", args.name())));
        };
        let count = args.int(2)?.unwrap_or(1);
        Ok(Part {
            nth: nth.unsigned_abs() as usize,
            backwards: nth < 0,
            delimiters: delimiters.as_bytes().into(),
            count: usize::try_from(count).ok().filter(|count| *count > 0),
        })
    }

    /// Where in the text, seen from the end that is counted from, the next delimiter stands, or the
    /// next byte that is none.
    fn next(&self, text: &[u8], delimiter: bool) -> Option<usize> {
        let sought = |byte: &u8| self.delimiters.contains(byte) == delimiter;
        if self.backwards {
            text.iter().rev().position(sought)
        } else {
            text.iter().position(sought)
        }
    }

    /// What is left without the first `n` bytes.
    fn skip<'a>(&self, text: &'a [u8], n: usize) -> &'a [u8] {
        if self.backwards { &text[..text.len() - n] } else { &text[n..] }
    }

    /// What is left of `text` without `rest`, which is its other end.
    fn before<'a>(&self, text: &'a [u8], rest: &[u8]) -> &'a [u8] {
        if self.backwards { &text[rest.len()..] } else { &text[..text.len() - rest.len()] }
    }

    fn field<'a>(&self, mut text: &'a [u8]) -> Option<&'a [u8]> {
        for _ in 1..self.nth {
            text = self.skip(text, self.next(text, true)? + 1);
        }
        let Some(count) = self.count else { return Some(text) };
        let mut rest = text;
        for left in (0..count).rev() {
            match self.next(rest, true) {
                None => return Some(text),
                // The delimiter behind the last one is not part of it.
                Some(at) => rest = self.skip(rest, if left == 0 { at } else { at + 1 }),
            }
        }
        Some(self.before(text, rest))
    }

    fn word<'a>(&self, mut text: &'a [u8]) -> &'a [u8] {
        for left in (0..self.nth).rev() {
            let Some(at) = self.next(text, false) else { return b"" };
            text = self.skip(text, at);
            if left > 0 {
                let Some(at) = self.next(text, true) else { return b"" };
                text = self.skip(text, at);
            }
        }
        let Some(count) = self.count else { return text };
        let mut rest = text;
        for left in (0..count).rev() {
            let Some(at) = self.next(rest, true) else { return text };
            rest = self.skip(rest, at);
            if left > 0 {
                let Some(at) = self.next(rest, false) else { return text };
                rest = self.skip(rest, at);
            }
        }
        self.before(text, rest)
    }
}

/// The known language that a list like `Accept-Language` wants most: of equals the first.
fn preferred<'k>(mut text: &[u8], known: &'k [Box<[u8]>]) -> Option<&'k [u8]> {
    let mut best = (0, None);
    loop {
        text = skip_space(text);
        let end = text.iter().position(|byte| matches!(byte, b';' | b',') || is_space(*byte));
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        text = rest;
        let named = known.iter().find(|known| {
            // `en` stands for `en-US` as well.
            name.strip_prefix(&known[..]).is_some_and(|more| matches!(more, [] | [b'-', ..]))
        });
        if let Some(named) = named {
            let (weight, rest) = weight(text);
            text = rest;
            if weight > best.0 {
                best = (weight, Some(&named[..]));
            }
        }
        let Some(comma) = memchr::memchr(b',', text) else { return best.1 };
        text = &text[comma + 1..];
    }
}

/// The weight in `;q=0.5`, in thousandths, and what stands behind it. Without one that can be read it
/// is 1000; if something else stands there the item has none.
fn weight(text: &[u8]) -> (u32, &[u8]) {
    const FULL: u32 = 1000;
    let rest = match skip_space(text) {
        rest @ ([] | [b',', ..]) => return (FULL, rest),
        [b';', rest @ ..] => skip_space(rest),
        rest => return (0, rest),
    };
    let [b'q', rest @ ..] = rest else { return (FULL, rest) };
    let [b'=', rest @ ..] = skip_space(rest) else { return (FULL, rest) };
    let rest = skip_space(rest);
    let [whole @ b'0'..=b'9', rest @ ..] = rest else { return (FULL, rest) };
    let mut weight = u32::from(whole - b'0') * FULL;
    // The byte behind the first digit is taken whatever it is, even a comma, after which the next
    // item goes unseen: HAProxy chooses so.
    let Some((point, rest)) = rest.split_first() else { return (weight.min(FULL), rest) };
    if *point == b'.' {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        for (digit, of) in digits.zip([100, 10, 1]) {
            weight += u32::from(digit - b'0') * of;
        }
    }
    (weight.min(FULL), rest)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn skip_space(text: &[u8]) -> &[u8] {
    let kept = text.iter().position(|byte| !is_space(*byte));
    &text[kept.unwrap_or(text.len())..]
}

fn made(conv: Conv) -> Result<super::Conv, Mistake> {
    Ok(super::Conv::Words(conv))
}

const STR: (Kind, Kind) = (Kind::Str, Kind::Str);

pub(super) const TABLE: &[Spec] = &[
    row("bytes", (Kind::Bin, Kind::Bin), (1, 2), |args, _| {
        let from = args.int(0)?.unwrap_or(0);
        let most = args.int(1)?.and_then(|most| usize::try_from(most).ok());
        made(Conv::Bytes(from, most))
    }),
    row("field", STR, (2, 3), |args, _| made(Conv::Field(Part::of(args)?))),
    row("language", STR, (0, 2), |args, _| {
        let known = args.text(0).split(';').filter(|name| !name.is_empty());
        let default = args.get(1).map(|name| name.as_bytes().into());
        made(Conv::Language(known.map(|name| name.as_bytes().into()).collect(), default))
    }),
    row("word", STR, (2, 3), |args, _| made(Conv::Word(Part::of(args)?))),
];
