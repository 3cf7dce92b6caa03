//! `json_query`: a value out of a JSON text, by a path such as `$.a.b[0]`. The text is read up to
//! that value and no further, and nothing of it is copied but strings with escapes.

use super::made::Made;
use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};
use crate::sample::leading_int;

/// Where a value is, and what it is made.
#[derive(Clone, Debug)]
pub struct Query {
    /// None never finds anything: HAProxy takes any text for a path.
    path: Option<Box<[Step]>>,
    /// Numbers are whole; else they are text.
    int: bool,
}

/// A step of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    /// `.name`.
    Key(Box<[u8]>),
    /// `[0]`; none is there for an index below 0.
    Index(Option<usize>),
}

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found<'a> {
    /// What stands between the quotation marks.
    Str(&'a [u8]),
    Number(&'a [u8]),
    Bool(bool),
    /// Something that has no value of its own.
    Other,
}

/// The text is no JSON, or the value is not there.
struct Stop;

/// Arrays and objects within each other at most.
const DEPTH_MAX: u32 = 20;

/// The whole numbers that JSON can be trusted with.
const INT_MAX: i64 = (1 << 53) - 1;

impl Query {
    /// Reads the path in the argument `index` and the type behind it.
    pub(super) fn of(args: &Args<'_, '_>, index: usize) -> Result<Query, Mistake> {
        let Some(path) = args.get(index) else {
            return Err(args.blame(index, format!("'{}' needs a path such as $.a", args.name())));
        };
        let int = match args.text(index + 1) {
            "" => false,
            "int" => true,
            other => {
                let message =
                    format!("the type of '{}' can only be int, not '{other}'", args.name());
                return Err(args.blame(index + 1, message));
            }
        };
        Ok(Query { path: steps(path.as_bytes()).map(Into::into), int })
    }

    /// The value that the path leads to.
    pub(super) fn get<'a>(&self, json: &'a [u8], scene: &Scene<'a>) -> Option<Value<'a>> {
        let mut reader = Reader { rest: json };
        match reader.seek(self.path.as_deref()?, 0).ok()? {
            Found::Bool(b) => Some(Value::Bool(b)),
            Found::Str(raw) => unescape(raw, scene).map(Value::Str),
            Found::Number(digits) if self.int => {
                let n = leading_int(digits);
                (-INT_MAX..=INT_MAX).contains(&n).then_some(Value::Int(n))
            }
            Found::Number(digits) => Some(Value::Str(general(float(digits), scene))),
            Found::Other => None,
        }
    }
}

fn steps(path: &[u8]) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix(b"$")?;
    let mut steps = Vec::new();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'.' => {
                let mut key = Vec::new();
                while let Some((byte, behind)) = rest.split_first() {
                    match (byte, behind.first()) {
                        (b'.' | b'[', _) => break,
                        (b'\\', Some(next)) => {
                            key.push(*next);
                            rest = &behind[1..];
                        }
                        _ => {
                            key.push(*byte);
                            rest = behind;
                        }
                    }
                }
                steps.push(Step::Key(key.into()));
            }
            b'[' => {
                let end = memchr::memchr(b']', rest)?;
                steps.push(Step::Index(usize::try_from(leading_int(&rest[..end])).ok()));
                rest = &rest[end + 1..];
            }
            _ => return None,
        }
    }
    Some(steps)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let kept = self.rest.iter().position(|byte| !space(byte));
        self.rest = &self.rest[kept.unwrap_or(self.rest.len())..];
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Result<u8, Stop> {
        self.skip_space();
        self.rest.first().copied().ok_or(Stop)
    }

    /// Whether the next byte is this one, which is then passed.
    fn eat(&mut self, byte: u8) -> Result<bool, Stop> {
        let found = self.peek()? == byte;
        if found {
            self.rest = &self.rest[1..];
        }
        Ok(found)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.eat(byte)? { Ok(()) } else { Err(Stop) }
    }

    /// Goes down the path from the value that comes next.
    fn seek(&mut self, path: &[Step], depth: u32) -> Result<Found<'a>, Stop> {
        let first = self.peek()?;
        let Some((step, inner)) = path.split_first() else {
            return match first {
                b'{' | b'[' => Ok(Found::Other),
                _ => self.scalar(first),
            };
        };
        if depth >= DEPTH_MAX {
            return Err(Stop);
        }
        match (first, step) {
            (b'{', Step::Key(wanted)) => self.in_object(depth, |key| key == &wanted[..])?,
            (b'[', Step::Index(Some(wanted))) => self.in_array(depth, *wanted)?,
            _ => return Err(Stop),
        }
        self.seek(inner, depth + 1)
    }

    /// Stops before the value of the first key that fits.
    fn in_object(&mut self, depth: u32, fits: impl Fn(&[u8]) -> bool) -> Result<(), Stop> {
        self.expect(b'{')?;
        if self.eat(b'}')? {
            return Err(Stop);
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            if fits(key) {
                return Ok(());
            }
            self.pass(depth + 1)?;
            self.expect(b',')?;
        }
    }

    /// Stops before the element.
    fn in_array(&mut self, depth: u32, wanted: usize) -> Result<(), Stop> {
        self.expect(b'[')?;
        if self.eat(b']')? {
            return Err(Stop);
        }
        for _ in 0..wanted {
            self.pass(depth + 1)?;
            self.expect(b',')?;
        }
        Ok(())
    }

    /// Passes a value.
    fn pass(&mut self, depth: u32) -> Result<(), Stop> {
        let first = self.peek()?;
        let close = match first {
            b'{' => b'}',
            b'[' => b']',
            _ => return self.scalar(first).map(|_| ()),
        };
        if depth >= DEPTH_MAX {
            return Err(Stop);
        }
        self.expect(first)?;
        if self.eat(close)? {
            return Ok(());
        }
        loop {
            if first == b'{' {
                self.string()?;
                self.expect(b':')?;
            }
            self.pass(depth + 1)?;
            if self.eat(close)? {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn scalar(&mut self, first: u8) -> Result<Found<'a>, Stop> {
        if first == b'"' {
            return self.string().map(Found::Str);
        }
        for (word, found) in [
            (&b"true"[..], Found::Bool(true)),
            (b"false", Found::Bool(false)),
            (b"null", Found::Other),
        ] {
            if let Some(behind) = self.rest.strip_prefix(word) {
                self.rest = behind;
                return Ok(found);
            }
        }
        if first != b'-' && !first.is_ascii_digit() {
            return Err(Stop);
        }
        let (number, behind) = self.rest.split_at(number_len(self.rest));
        self.rest = behind;
        Ok(Found::Number(number))
    }

    /// A string, as it stands between its quotation marks.
    fn string(&mut self) -> Result<&'a [u8], Stop> {
        self.expect(b'"')?;
        let mut at = 0;
        loop {
            at += memchr::memchr2(b'"', b'\\', &self.rest[at..]).ok_or(Stop)?;
            if self.rest[at] == b'"' {
                let string = &self.rest[..at];
                self.rest = &self.rest[at + 1..];
                return Ok(string);
            }
            match self.rest.get(at + 1) {
                Some(b'u') => {}
                Some(byte) if escaped(*byte).is_some() => {}
                _ => return Err(Stop),
            }
            at += 2;
        }
    }
}

/// How long the number at the start is, as far as it is one.
fn number_len(text: &[u8]) -> usize {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut at = digits(usize::from(text.first() == Some(&b'-')));
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1);
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at = digits(at + 1 + sign);
    }
    at
}

/// The number in digits that [`number_len`] has found.
fn float(digits: &[u8]) -> f64 {
    let text = core::str::from_utf8(digits).unwrap_or_default();
    let whole = || text.split(['e', 'E']).next().and_then(|mantissa| mantissa.parse().ok());
    text.parse().ok().or_else(whole).unwrap_or(0.0)
}

/// The number as C's `%g` writes it.
fn general<'a>(n: f64, scene: &Scene<'a>) -> &'a [u8] {
    use std::io::Write;
    if n.is_infinite() {
        return if n > 0.0 { b"inf" } else { b"-inf" };
    }
    /// Writes into a buffer that is large enough for what is written here.
    fn show(buffer: &mut [u8; 32], args: core::fmt::Arguments<'_>) -> usize {
        let mut rest = &mut buffer[..];
        let _ = rest.write_fmt(args);
        32 - rest.len()
    }
    let mut buffer = [0; 32];
    let len = show(&mut buffer, format_args!("{n:.5e}"));
    let at = memchr::memchr(b'e', &buffer[..len]).unwrap_or(len);
    let exponent = leading_int(buffer.get(at + 1..len).unwrap_or_default());
    let trimmed = |text: &[u8]| -> usize {
        if !text.contains(&b'.') {
            return text.len();
        }
        let kept = text.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
        kept - usize::from(text[kept - 1] == b'.')
    };
    if (-4..6).contains(&exponent) {
        let decimals = (5 - exponent) as usize;
        let len = show(&mut buffer, format_args!("{n:.decimals$}"));
        let len = trimmed(&buffer[..len]);
        return scene.arena().alloc_slice_copy(&buffer[..len]);
    }
    let mantissa = trimmed(&buffer[..at]);
    let mut end = [0; 32];
    let sign = if exponent < 0 { '-' } else { '+' };
    let end_len = show(&mut end, format_args!("e{sign}{:02}", exponent.abs()));
    let mut made = Made::new(scene, mantissa + end_len);
    made.fill(&buffer[..mantissa]);
    made.fill(&end[..end_len]);
    made.done()
}

/// What an escape of two characters means.
const fn escaped(byte: u8) -> Option<u8> {
    Some(match byte {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'"' | b'\\' => byte,
        _ => return None,
    })
}

/// A string without its escapes. Like HAProxy it knows only characters of one byte in `\u00XX`.
fn unescape<'a>(raw: &'a [u8], scene: &Scene<'a>) -> Option<&'a [u8]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => byte - b'0',
        // What is no digit gives something all the same.
        other => other.to_ascii_lowercase().wrapping_sub(b'W'),
    };
    if memchr::memchr(b'\\', raw).is_none() {
        return Some(raw);
    }
    let mut made = Made::new(scene, raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        made.add(&rest[..at])?;
        rest = match &rest[at + 1..] {
            [b'u', b'0', b'0', high, low, rest @ ..] => {
                made.push((digit(*high) << 4) | digit(*low))?;
                rest
            }
            [byte, rest @ ..] => {
                made.push(escaped(*byte)?)?;
                rest
            }
            [] => return None,
        };
    }
    made.add(rest)?;
    Some(made.done())
}

/// A compiled `json_query`.
#[derive(Clone, Debug)]
pub struct Conv(Query);

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let Value::Str(json) = value else { return None };
        self.0.get(json, scene)
    }
}

pub(super) const TABLE: &[Spec] =
    &[row("json_query", (Kind::Str, Kind::Any), (0, 2), |args, _| {
        Ok(super::Conv::JsonQuery(Box::new(Conv(Query::of(args, 0)?))))
    })];
