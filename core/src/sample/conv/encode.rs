//! Converters of bytes into text that is safe somewhere, and back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::made::{Made, made_max};
use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub enum Conv {
    /// `base64`.
    Base64,
    /// `b64dec`.
    Base64Decode,
    /// `ub64enc`.
    UrlBase64,
    /// `ub64dec`.
    UrlBase64Decode,
    /// `hex`.
    Hex,
    /// `be2hex`.
    BeHex(Chunks),
    /// `be2dec`.
    BeDec(Chunks),
    /// `url_dec`: all of it is a query or form.
    UrlDecode(bool),
    /// `url_enc`.
    UrlEncode,
}

/// Bytes that are taken a few at once.
#[derive(Clone, Debug)]
pub struct Chunks {
    separator: Box<[u8]>,
    size: usize,
    /// What is left at the end is dropped.
    whole: bool,
}

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let (Value::Str(input) | Value::Bin(input)) = value else { return None };
        Some(match self {
            Conv::Base64 => Value::Str(base64(input, scene)?),
            Conv::UrlBase64 => Value::Str(url_base64(input, scene)?),
            Conv::Base64Decode => Value::Bin(base64_decode(input, scene)?),
            Conv::UrlBase64Decode => Value::Bin(url_base64_decode(input, scene)?),
            Conv::Hex => Value::Str(hex(input, scene)),
            Conv::BeHex(chunks) => Value::Str(chunks.hex(input, scene)),
            Conv::BeDec(chunks) => Value::Str(chunks.dec(input, scene)),
            Conv::UrlDecode(query) => Value::Str(url_decode(input, *query, scene)?),
            Conv::UrlEncode => Value::Str(url_encode(input, scene)),
        })
    }
}

/// In base64, padded. Too long is nothing.
fn base64<'a>(input: &[u8], scene: &Scene<'a>) -> Option<&'a [u8]> {
    let len = input.len().div_ceil(3) * 4;
    if len > made_max(scene) {
        return None;
    }
    let out = scene.arena().alloc_slice_fill_copy(len, 0);
    STANDARD.encode_slice(input, out).ok()?;
    Some(out)
}

/// In the alphabet for URLs, without padding.
fn url_base64<'a>(input: &[u8], scene: &Scene<'a>) -> Option<&'a [u8]> {
    let len = input.len().div_ceil(3) * 4;
    if len > made_max(scene) {
        return None;
    }
    let out = scene.arena().alloc_slice_fill_copy(len, 0);
    STANDARD.encode_slice(input, out).ok()?;
    for byte in out.iter_mut() {
        *byte = match *byte {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        };
    }
    let padding = len - (input.len() * 4).div_ceil(3);
    Some(&out[..len - padding])
}

/// The six bits that a character of base64 means.
fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// Out of base64 as HAProxy reads it: bits that are left over may be any, and each group of four may
/// be padded, not only the last.
pub(super) fn base64_decode<'a>(input: &[u8], scene: &Scene<'a>) -> Option<&'a [u8]> {
    let mut made = Made::new(scene, input.len() / 4 * 3);
    base64_groups(input, |bytes| made.add(bytes))?;
    Some(made.done())
}

/// The same in a vector of its own.
pub(super) fn base64_bytes(input: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    base64_groups(input, |bytes| {
        out.extend_from_slice(bytes);
        Some(())
    })?;
    Some(out)
}

fn base64_groups(input: &[u8], mut take: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
    if !input.len().is_multiple_of(4) {
        return None;
    }
    for group in input.chunks_exact(4) {
        let kept = group.iter().rposition(|byte| *byte != b'=')? + 1;
        let mut bits = 0;
        for byte in &group[..kept] {
            bits = (bits << 6) | sextet(*byte)?;
        }
        bits <<= 6 * (4 - kept);
        take(&bits.to_be_bytes()[1..kept])?;
    }
    Some(())
}

/// Out of base64 in the alphabet for URLs, without padding. HAProxy takes `=` for 63.
pub(super) fn url_base64_decode<'a>(input: &[u8], scene: &Scene<'a>) -> Option<&'a [u8]> {
    let mut made = Made::new(scene, input.len().div_ceil(4) * 3);
    for group in input.chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut bits = 0;
        for byte in group {
            bits = (bits << 6)
                | match byte {
                    b'-' => 62,
                    b'_' | b'=' => 63,
                    b'+' | b'/' => return None,
                    other => sextet(*other)?,
                };
        }
        bits <<= 6 * (4 - group.len());
        made.add(&bits.to_be_bytes()[1..group.len()])?;
    }
    Some(made.done())
}

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

fn hex_pair(byte: u8) -> [u8; 2] {
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// In hexadecimal digits, as many as fit; here HAProxy fills its buffer to the last byte.
fn hex<'a>(input: &[u8], scene: &Scene<'a>) -> &'a [u8] {
    let fit = input.len().min(made_max(scene).div_ceil(2));
    let out = scene.arena().alloc_slice_fill_copy(fit * 2, 0);
    for (pair, byte) in out.chunks_exact_mut(2).zip(input) {
        pair.copy_from_slice(&hex_pair(*byte));
    }
    out
}

impl Chunks {
    fn of(args: &Args<'_, '_>, most: i64, absent: i64) -> Result<Chunks, Mistake> {
        let size = match args.int(1)? {
            None if absent > 0 && args.len() < 2 && args.get(0).is_none() => absent,
            size => size.unwrap_or(0),
        };
        if !(1..=most).contains(&size) {
            let message = format!(
                "'{}' needs the size of a chunk, from 1 to {most}, as its second argument",
                args.name()
            );
            return Err(args.blame(1, message));
        }
        let whole = args.int_in(2, 0..=1, 0)? == 1;
        Ok(Chunks { separator: args.text(0).as_bytes().into(), size: size as usize, whole })
    }

    fn split<'b>(&self, input: &'b [u8]) -> core::slice::Chunks<'b, u8> {
        let left_over = if self.whole { input.len() % self.size } else { 0 };
        input[..input.len() - left_over].chunks(self.size)
    }

    /// What does not fit is left out, by whole chunks.
    fn hex<'a>(&self, input: &[u8], scene: &Scene<'a>) -> &'a [u8] {
        if self.size >= input.len() || self.separator.is_empty() {
            let kept: usize = self.split(input).map(<[u8]>::len).sum();
            return hex(&input[..kept], scene);
        }
        let per_chunk = self.separator.len() + self.size * 2;
        // Like `hex`, to the last byte of the buffer.
        let mut room = made_max(scene) + 1 + self.separator.len();
        let likely = input.len().div_ceil(self.size) * per_chunk;
        let mut out = bumpalo::collections::Vec::with_capacity_in(likely.min(room), scene.arena());
        for (nth, chunk) in self.split(input).enumerate() {
            if room < per_chunk {
                break;
            }
            room -= per_chunk;
            if nth > 0 {
                out.extend_from_slice_copy(&self.separator);
            }
            for byte in chunk {
                out.extend_from_slice_copy(&hex_pair(*byte));
            }
        }
        out.into_bump_slice()
    }

    fn dec<'a>(&self, input: &[u8], scene: &Scene<'a>) -> &'a [u8] {
        let mut made = Made::new(scene, input.len() * 4);
        let mut digits = itoa::Buffer::new();
        for (nth, chunk) in self.split(input).enumerate() {
            let number = chunk.iter().fold(0, |n: u64, byte| (n << 8) | u64::from(*byte));
            let digits = digits.format(number);
            let separator = if nth > 0 { &self.separator[..] } else { b"" };
            if made.left() < separator.len() + digits.len() {
                break;
            }
            made.fill(separator);
            made.fill(digits.as_bytes());
        }
        made.done()
    }
}

/// Without percent signs. A broken escape makes all of it nothing.
fn url_decode<'a>(input: &'a [u8], mut query: bool, scene: &Scene<'a>) -> Option<&'a [u8]> {
    let special = |byte: &u8| matches!(byte, b'%' | b'+' | b'?');
    let Some(first) = input.iter().position(special) else { return Some(input) };
    let mut made = Made::new(scene, input.len());
    made.add(&input[..first])?;
    let mut rest = input[first..].iter();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'+' if query => b' ',
            b'%' => {
                let mut digit = || (*rest.next()? as char).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            other => {
                query |= *other == b'?';
                *other
            }
        };
        made.push(byte)?;
    }
    Some(made.done())
}

/// With percent signs for all but unreserved characters; what does not fit is left out.
fn url_encode<'a>(input: &'a [u8], scene: &Scene<'a>) -> &'a [u8] {
    let safe =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if input.iter().all(safe) {
        return input;
    }
    let mut made = Made::new(scene, input.len() * 2);
    for byte in input {
        let [high, low] = hex_pair(*byte);
        let added = match safe(byte) {
            true => made.push(*byte),
            // An escape is never the very last.
            false if made.left() > 3 => made.add(&[b'%', high, low]),
            false => None,
        };
        if added.is_none() {
            break;
        }
    }
    made.done()
}

fn made(conv: Conv) -> Result<super::Conv, Mistake> {
    Ok(super::Conv::Encode(conv))
}

const FROM_BIN: (Kind, Kind) = (Kind::Bin, Kind::Str);
const TO_BIN: (Kind, Kind) = (Kind::Str, Kind::Bin);
const STR: (Kind, Kind) = (Kind::Str, Kind::Str);

pub(super) const TABLE: &[Spec] = &[
    row("b64dec", TO_BIN, (0, 0), |_, _| made(Conv::Base64Decode)),
    row("base64", FROM_BIN, (0, 0), |_, _| made(Conv::Base64)),
    row("be2dec", FROM_BIN, (0, 3), |args, _| made(Conv::BeDec(Chunks::of(args, 8, 0)?))),
    row("be2hex", FROM_BIN, (0, 3), |args, _| {
        made(Conv::BeHex(Chunks::of(args, i64::MAX, i64::MAX)?))
    }),
    row("hex", FROM_BIN, (0, 0), |_, _| made(Conv::Hex)),
    row("ub64dec", TO_BIN, (0, 0), |_, _| made(Conv::UrlBase64Decode)),
    row("ub64enc", FROM_BIN, (0, 0), |_, _| made(Conv::UrlBase64)),
    row("url_dec", STR, (0, 1), |args, _| made(Conv::UrlDecode(args.int(0)?.unwrap_or(0) != 0))),
    row("url_enc", STR, (0, 1), |args, _| match args.text(0) {
        "" | "query" => made(Conv::UrlEncode),
        other => Err(args.blame(0, format!("'url_enc' knows only 'query', not '{other}'"))),
    }),
];
