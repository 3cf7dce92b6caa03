//! `json`: text that can stand in a JSON string.

use super::made::Made;
use super::{Kind, Scene, Spec, Value, row};

/// A compiled converter of this family.
#[derive(Clone, Copy, Debug)]
pub enum Conv {
    /// `json` of bytes that are a character each.
    Ascii,
    /// `json` of UTF-8.
    Utf8 {
        /// `s`: faults are left out; else they make all of it nothing.
        silent: bool,
        /// `p`: characters in more bytes than they need are taken.
        permissive: bool,
    },
}

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let Value::Str(text) = value else { return None };
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'/');
        if text.iter().all(plain) {
            return Some(Value::Str(text));
        }
        // This one fills HAProxy's buffer to the last byte.
        let mut made = Made::filling(scene, text.len() + text.len() / 4);
        let mut rest = text;
        while let Some(first) = rest.first() {
            let (code, len) = match self {
                Conv::Ascii => (Ok(u32::from(*first)), 1),
                Conv::Utf8 { permissive, .. } => {
                    let (code, len, fault) = utf8(rest);
                    let fits = code <= 0xffff && !matches!(code, 0xd800..=0xdfff | 0xfffe | 0xffff);
                    let good = match fault {
                        Fault::None => true,
                        Fault::Overlong => *permissive,
                        Fault::Broken => false,
                    };
                    (if good && fits { Ok(code) } else { Err(()) }, len)
                }
            };
            rest = &rest[len..];
            match (code, self) {
                (Ok(code), _) => add(&mut made, code)?,
                (Err(()), Conv::Utf8 { silent: true, .. }) => {}
                (Err(()), _) => return None,
            }
        }
        Some(Value::Str(made.done()))
    }
}

fn add(made: &mut Made<'_>, code: u32) -> Option<()> {
    let short = match code {
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        0x22 | 0x2f | 0x5c => code as u8,
        0x20..=0x7e => return made.push(code as u8),
        _ => {
            let digit = |shift: u32| b"0123456789abcdef"[(code >> shift & 15) as usize];
            return made.add(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
        }
    };
    made.add(&[b'\\', short])
}

#[derive(PartialEq)]
enum Fault {
    None,
    /// It has more bytes than it needs.
    Overlong,
    /// It is no character.
    Broken,
}

/// The character at the start, how many bytes it takes, and what is wrong with it. Of what is
/// broken, as many bytes as could have been one. Forms of five and six bytes are known.
fn utf8(text: &[u8]) -> (u32, usize, Fault) {
    let first = text[0];
    let (len, bits) = match first {
        0..=0x7f => return (u32::from(first), 1, Fault::None),
        0x80..=0xbf | 0xfe.. => return (0, 1, Fault::Broken),
        0xc0..=0xdf => (2, first & 0x1f),
        0xe0..=0xef => (3, first & 0x0f),
        0xf0..=0xf7 => (4, first & 0x07),
        0xf8..=0xfb => (5, first & 0x03),
        0xfc..=0xfd => (6, first & 0x01),
    };
    let mut code = u32::from(bits);
    for at in 1..len {
        match text.get(at) {
            Some(byte @ 0x80..=0xbf) => code = code << 6 | u32::from(byte & 0x3f),
            _ => return (0, at, Fault::Broken),
        }
    }
    let least = [0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000][len - 2];
    (code, len, if code < least { Fault::Overlong } else { Fault::None })
}

pub(super) const TABLE: &[Spec] = &[row("json", (Kind::Str, Kind::Str), (0, 1), |args, _| {
    let conv = match args.text(0) {
        "" | "ascii" => Conv::Ascii,
        "utf8" => Conv::Utf8 { silent: false, permissive: false },
        "utf8s" => Conv::Utf8 { silent: true, permissive: false },
        "utf8p" => Conv::Utf8 { silent: false, permissive: true },
        "utf8ps" => Conv::Utf8 { silent: true, permissive: true },
        other => {
            let message = format!(
                "'json' knows 'ascii', 'utf8', 'utf8s', 'utf8p' and 'utf8ps', not '{other}'"
            );
            return Err(args.blame(0, message));
        }
    };
    Ok(super::Conv::Json(conv))
})];
