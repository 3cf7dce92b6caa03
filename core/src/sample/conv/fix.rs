//! Converters of FIX messages (Financial Information eXchange): `TAG=VALUE` fields, each ended by a
//! byte 1, of which the first three and the last have their place.

use super::{Kind, Spec, Value, row};
use crate::sample::args::{Args, Mistake};

/// A compiled converter of this family.
#[derive(Clone, Copy, Debug)]
pub enum Conv {
    /// `fix_is_valid`.
    IsValid,
    /// `fix_tag_value`.
    TagValue(u32),
}

const BEGIN_STRING: u32 = 8;
const BODY_LENGTH: u32 = 9;
const CHECK_SUM: u32 = 10;
const MSG_TYPE: u32 = 35;

/// Tags that have a name.
const NAMES: [(&str, u32); 6] = [
    ("BeginString", BEGIN_STRING),
    ("BodyLength", BODY_LENGTH),
    ("CheckSum", CHECK_SUM),
    ("MsgType", MSG_TYPE),
    ("SenderCompID", 49),
    ("TargetCompID", 56),
];

const VERSIONS: [&[u8]; 6] =
    [b"FIX.4.0", b"FIX.4.1", b"FIX.4.2", b"FIX.4.3", b"FIX.4.4", b"FIXT.1.1"];

/// The last tag that FIX 4.2 knows: HAProxy takes no other in a valid message.
const TAG_MAX: u32 = 446;

/// No message is shorter.
const LENGTH_MIN: usize = 26;

impl Conv {
    pub(super) fn apply<'a>(self, value: Value<'a>) -> Option<Value<'a>> {
        let Value::Bin(message) = value else { return None };
        match self {
            Conv::IsValid => is_valid(message).map(Value::Bool),
            Conv::TagValue(tag) => tag_value(message, tag).map(Value::Bin),
        }
    }
}

/// The first field's tag and value, and what follows; none if it is not whole.
fn field(message: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let equals = memchr::memchr(b'=', message)?;
    let end = equals + memchr::memchr(1, &message[equals..])?;
    Some((&message[..equals], &message[equals + 1..end], &message[end + 1..]))
}

/// Digits as a number; like HAProxy's, it begins anew at 2^32.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0, |n: u32, digit| {
        digit.is_ascii_digit().then(|| n.wrapping_mul(10).wrapping_add((digit - b'0').into()))
    })
}

fn tag(digits: &[u8]) -> Option<u32> {
    number(digits).filter(|tag| *tag != 0)
}

/// Whether it is a message; none if more bytes could tell.
fn is_valid(message: &[u8]) -> Option<bool> {
    if message.len() < LENGTH_MIN {
        return None;
    }
    let (mut rest, mut length, mut body) = (message, 0, 0);
    for nth in 0.. {
        let at = message.len() - rest.len();
        let (digits, value, behind) = field(rest)?;
        let Some(id @ ..=TAG_MAX) = tag(digits) else { return Some(false) };
        rest = behind;
        let good = match nth {
            0 => id == BEGIN_STRING && VERSIONS.contains(&value),
            1 => {
                body = message.len() - rest.len();
                let known = number(value);
                length = known.unwrap_or(0) as usize;
                id == BODY_LENGTH && known.is_some()
            }
            2 => id == MSG_TYPE,
            _ if id == CHECK_SUM => {
                let sum = message[..at].iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
                let fits = value.len() == 3 && number(value) == Some(sum.into());
                return Some(fits && at - body == length);
            }
            _ => true,
        };
        if !good {
            return Some(false);
        }
    }
    None
}

/// The value of the first field of that tag.
fn tag_value(message: &[u8], wanted: u32) -> Option<&[u8]> {
    let mut rest = message;
    loop {
        let (digits, value, behind) = field(rest)?;
        if tag(digits)? == wanted {
            return (!value.is_empty()).then_some(value);
        }
        rest = behind;
    }
}

fn wanted(args: &Args<'_, '_>) -> Result<u32, Mistake> {
    let text = args.text(0);
    let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    named.map(|(_, tag)| *tag).or_else(|| tag(text.as_bytes())).ok_or_else(|| {
        let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        let message = format!("a FIX tag is a number or {}, not '{text}'", known.join(", "));
        args.blame(0, message)
    })
}

pub(super) const TABLE: &[Spec] = &[
    row("fix_is_valid", (Kind::Bin, Kind::Bool), (0, 0), |_, _| {
        Ok(super::Conv::Fix(Conv::IsValid))
    }),
    row("fix_tag_value", (Kind::Bin, Kind::Bin), (0, 1), |args, _| {
        Ok(super::Conv::Fix(Conv::TagValue(wanted(args)?)))
    }),
];
