//! Fields of a head: whole lines (`fhdr`), or each value between commas (`hdr`).

use core::net::{Ipv4Addr, Ipv6Addr};

use memchr::memchr2;

use super::{Args, Kind, Mistake, Names, Sample, Scene, Side, Spec, Value, row};
use crate::http::Head;

/// The most that an occurrence can count from the end.
const OCCURRENCES_MAX: usize = 10;

/// A compiled fetch of this family.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// Values of one name.
    Field(Field),
    /// `hdr_names`: the names, joined.
    Names(Side, u8),
    /// `hdrs`: the fields as lines.
    Lines(Side),
    /// `hdrs_bin`: the fields, each name and value with its length before it.
    Binary(Side),
}

/// Values of one name.
#[derive(Clone, Debug)]
pub struct Field {
    side: Side,
    /// In lower case; empty for any (`hdr()`). None never has a value: `hdr`.
    name: Option<Box<[u8]>>,
    /// From the start if positive, from the end if negative; 0 is every one, or else the last.
    occurrence: i32,
    /// Lines are not divided at commas.
    whole: bool,
    what: What,
}

/// What is made of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Text,
    Count,
    Ip,
    Number,
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        let side = match self {
            Fetch::Field(field) => field.side,
            Fetch::Names(side, _) | Fetch::Lines(side) | Fetch::Binary(side) => *side,
        };
        let head = match side.head(scene) {
            Ok(head) => head,
            Err(sample) => return sample,
        };
        match self {
            Fetch::Field(field) => field.value(head).into(),
            Fetch::Names(_, delimiter) => Sample::is(Value::Str(names(head, *delimiter, scene))),
            Fetch::Lines(_) => Sample::is(Value::Bin(lines(head, scene))),
            Fetch::Binary(_) => Sample::is(Value::Bin(binary(head, scene))),
        }
    }

    pub(super) fn each<'a>(
        &'a self,
        scene: &Scene<'a>,
        take: &mut dyn FnMut(Value<'a>) -> bool,
    ) -> Option<bool> {
        let Fetch::Field(field) = self else { return None };
        if field.occurrence != 0 || field.what == What::Count {
            return None;
        }
        match field.side.head(scene) {
            Ok(head) => {
                if let Some(name) = &field.name {
                    walk(head, name, field.whole, &mut |text| {
                        field.what.of(text).is_some_and(&mut *take)
                    });
                }
                Some(false)
            }
            Err(sample) => Some(sample.may_change),
        }
    }
}

impl Field {
    fn value<'a>(&'a self, head: &'a Head) -> Option<Value<'a>> {
        if self.what == What::Count {
            let mut count = 0;
            walk(head, self.name.as_deref().unwrap_or_default(), self.whole, &mut |_| {
                count += 1;
                false
            });
            return Some(Value::Int(count));
        }
        self.what.of(self.text(head)?)
    }

    /// The value that the occurrence says.
    fn text<'a>(&'a self, head: &'a Head) -> Option<&'a [u8]> {
        let name = self.name.as_deref()?;
        let mut seen = 0_usize;
        if self.occurrence > 0 {
            let mut found = None;
            let wanted = self.occurrence as usize;
            walk(head, name, self.whole, &mut |text| {
                seen += 1;
                found = (seen == wanted).then_some(text);
                seen == wanted
            });
            return found;
        }
        let back = self.occurrence.unsigned_abs().max(1) as usize;
        // The last ones, in a ring.
        let mut last: [&[u8]; OCCURRENCES_MAX] = [b""; OCCURRENCES_MAX];
        walk(head, name, self.whole, &mut |text| {
            last[seen % OCCURRENCES_MAX] = text;
            seen += 1;
            false
        });
        (back <= seen).then(|| last[(seen - back) % OCCURRENCES_MAX])
    }
}

impl What {
    fn of(self, text: &[u8]) -> Option<Value<'_>> {
        match self {
            What::Text => Some(Value::Str(text)),
            What::Number => Some(Value::Int(number(text))),
            What::Ip => address(text),
            What::Count => None,
        }
    }
}

/// Hands over the values of a name (of all fields if it is empty) until `take` says that it is
/// enough. Unless `whole`, a line is divided at commas outside quotes.
pub(super) fn walk<'a>(
    head: &'a Head,
    name: &'a [u8],
    whole: bool,
    take: &mut dyn FnMut(&'a [u8]) -> bool,
) -> bool {
    let mut line = |line: &'a [u8]| if whole { take(line) } else { elements(line, take) };
    if name.is_empty() {
        head.fields().any(|(_, value)| line(value))
    } else {
        head.named(name).any(line)
    }
}

fn elements<'a>(mut rest: &'a [u8], take: &mut dyn FnMut(&'a [u8]) -> bool) -> bool {
    loop {
        let end = element_end(rest, b',');
        if take(trim(&rest[..end])) {
            return true;
        }
        if end == rest.len() {
            return false;
        }
        rest = &rest[end + 1..];
    }
}

/// Where the element ends that `text` begins with: at the first `stop` or comma that is not quoted.
pub(crate) fn element_end(text: &[u8], stop: u8) -> usize {
    // Quotes are rare: look for either.
    if memchr2(b'"', stop, text).is_none() && (stop == b',' || !text.contains(&b',')) {
        return text.len();
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if !quoted && (byte == stop || byte == b',') => return at,
            _ => {}
        }
    }
    text.len()
}

/// Without spaces and tabs around it.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let Some(start) = text.iter().position(|byte| !space(byte)) else { return &text[..0] };
    let end = text.iter().rposition(|byte| !space(byte)).unwrap_or(start);
    &text[start..=end]
}

/// The number that a value begins with, of 32 bits, as HAProxy's own reader has it: it stops at a
/// byte above `9`, and takes one below `0` for a negative digit.
pub(super) fn number(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let digits = digits.iter().map(|byte| i32::from(byte.cast_signed()) - i32::from(b'0'));
    let n = digits
        .take_while(|digit| *digit <= 9)
        .fold(0_i32, |n, digit| n.wrapping_mul(10).wrapping_add(digit));
    i64::from(if negative { n.wrapping_neg() } else { n })
}

/// An IPv4 address, with a port or without, or an IPv6 one.
fn address(text: &[u8]) -> Option<Value<'_>> {
    if let Some((ip, rest)) = leading_ipv4(text) {
        let port = || core::str::from_utf8(rest.strip_prefix(b":")?).ok()?.parse::<u16>().ok();
        return (rest.is_empty() || port().is_some()).then(|| Value::Ip(ip.into()));
    }
    let ip: Ipv6Addr = core::str::from_utf8(text).ok()?.parse().ok()?;
    Some(Value::Ip(ip.into()))
}

/// The IPv4 address that text begins with, and what follows it. Leading zeros mean nothing.
pub(super) fn leading_ipv4(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let mut octets = [0_u8; 4];
    let end = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.'));
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let mut parts = digits.split(|byte| *byte == b'.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| !part.is_empty())?;
        *octet =
            part.iter().try_fold(0_u8, |n, digit| n.checked_mul(10)?.checked_add(digit - b'0'))?;
    }
    parts.next().is_none().then(|| (octets.into(), rest))
}

fn names<'a>(head: &Head, delimiter: u8, scene: &Scene<'a>) -> &'a [u8] {
    let mut out = bumpalo::collections::Vec::new_in(scene.arena());
    for (index, (name, _)) in head.fields().enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        out.extend_from_slice_copy(name);
    }
    out.into_bump_slice()
}

fn lines<'a>(head: &Head, scene: &Scene<'a>) -> &'a [u8] {
    let len = head.fields_len() + head.fields_count() * 4 + 2;
    let mut out = bumpalo::collections::Vec::with_capacity_in(len, scene.arena());
    for (name, value) in head.fields() {
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice_copy(part);
        }
    }
    out.extend_from_slice_copy(b"\r\n");
    out.into_bump_slice()
}

fn binary<'a>(head: &Head, scene: &Scene<'a>) -> &'a [u8] {
    let mut out = bumpalo::collections::Vec::new_in(scene.arena());
    for (name, value) in head.fields() {
        for part in [name, value] {
            push_varint(part.len() as u64, &mut out);
            out.extend_from_slice_copy(part);
        }
    }
    out.extend_from_slice_copy(&[0, 0]);
    out.into_bump_slice()
}

/// A length as HAProxy's peers and agents write it: one byte below 240, else 4 bits in the first
/// and 7 in each further one.
fn push_varint(mut n: u64, out: &mut bumpalo::collections::Vec<'_, u8>) {
    if n < 240 {
        out.push(n as u8);
        return;
    }
    out.push(n as u8 | 0xf0);
    n = (n - 240) >> 4;
    while n >= 128 {
        out.push(n as u8 | 0x80);
        n = (n - 128) >> 7;
    }
    out.push(n as u8);
}

fn field(
    args: &Args<'_, '_>,
    side: Side,
    whole: bool,
    what: What,
) -> Result<super::Fetch, Mistake> {
    let name = (!args.is_empty()).then(|| args.text(0).to_ascii_lowercase().into_bytes().into());
    let least = -(OCCURRENCES_MAX as i64);
    let occurrence = args.int_in(1, least..=i64::from(i32::MAX), 0)? as i32;
    Ok(super::Fetch::Header(Fetch::Field(Field { side, name, occurrence, whole, what })))
}

/// The row of a fetch of [`Field`].
macro_rules! field_row {
    ($name:literal, $side:ident, $whole:literal, $what:ident) => {
        row(
            $name,
            match What::$what {
                What::Text => Kind::Str,
                What::Count | What::Number => Kind::Int,
                What::Ip => Kind::Ipv4,
            },
            Side::$side.avail(),
            match What::$what {
                What::Count => (0, 1),
                _ => (0, 2),
            },
            |args, _| field(args, Side::$side, $whole, What::$what),
        )
    };
}

macro_rules! other_row {
    ($name:literal, $kind:ident, $side:ident, $args:expr, $make:expr) => {
        row($name, Kind::$kind, Side::$side.avail(), $args, |args, _: &mut Names<'_>| {
            let make: fn(&Args<'_, '_>) -> Fetch = $make;
            Ok(super::Fetch::Header(make(args)))
        })
    };
}

fn delimiter(args: &Args<'_, '_>) -> u8 {
    // One byte, whatever follows it.
    args.get(0).unwrap_or(",").as_bytes()[0]
}

pub(super) const TABLE: &[Spec] = &[
    field_row!("hdr", Either, false, Text),
    field_row!("hdr_cnt", Request, false, Count),
    field_row!("hdr_ip", Request, false, Ip),
    field_row!("hdr_val", Request, false, Number),
    field_row!("req.fhdr", Request, true, Text),
    field_row!("req.fhdr_cnt", Request, true, Count),
    field_row!("req.hdr", Request, false, Text),
    field_row!("req.hdr_cnt", Request, false, Count),
    field_row!("req.hdr_ip", Request, false, Ip),
    field_row!("req.hdr_val", Request, false, Number),
    field_row!("res.fhdr", Response, true, Text),
    field_row!("res.fhdr_cnt", Response, true, Count),
    field_row!("res.hdr", Response, false, Text),
    field_row!("res.hdr_cnt", Response, false, Count),
    field_row!("res.hdr_ip", Response, false, Ip),
    field_row!("res.hdr_val", Response, false, Number),
    field_row!("shdr", Response, false, Text),
    field_row!("shdr_cnt", Response, false, Count),
    field_row!("shdr_ip", Response, false, Ip),
    field_row!("shdr_val", Response, false, Number),
    other_row!("req.hdr_names", Str, Request, (0, 1), |args| Fetch::Names(
        Side::Request,
        delimiter(args)
    )),
    other_row!("res.hdr_names", Str, Response, (0, 1), |args| Fetch::Names(
        Side::Response,
        delimiter(args)
    )),
    other_row!("req.hdrs", Bin, Request, (0, 0), |_| Fetch::Lines(Side::Request)),
    other_row!("res.hdrs", Bin, Response, (0, 0), |_| Fetch::Lines(Side::Response)),
    other_row!("req.hdrs_bin", Bin, Request, (0, 0), |_| Fetch::Binary(Side::Request)),
    other_row!("res.hdrs_bin", Bin, Response, (0, 0), |_| Fetch::Binary(Side::Response)),
];
