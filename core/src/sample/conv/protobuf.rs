//! Converters of protocol buffers: a field of a message, named by its number and, in messages within
//! messages, theirs.

use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub struct Conv {
    /// Numbers, the outermost message's first.
    path: Box<[u32]>,
    /// What the field is; its bytes if it is not said.
    field: Option<Type>,
    /// The message stands behind a header of gRPC (`ungrpc`).
    grpc: bool,
}

/// The type of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Type {
    /// `int32`, `int64`, `uint32`, `uint64`, `bool`, `enum`: all are taken as they come.
    Plain,
    /// `sint32`, `sint64`.
    Zigzag,
    /// `fixed64`, `sfixed64`.
    Fixed64,
    /// `double`.
    Double,
    /// `fixed32`.
    Fixed32,
    /// `sfixed32`.
    Signed32,
    /// `float`.
    Float,
}

impl Type {
    fn of(name: &str) -> Option<Type> {
        Some(match name {
            "int32" | "int64" | "uint32" | "uint64" | "bool" | "enum" => Type::Plain,
            "sint32" | "sint64" => Type::Zigzag,
            "fixed64" | "sfixed64" => Type::Fixed64,
            "double" => Type::Double,
            "fixed32" => Type::Fixed32,
            "sfixed32" => Type::Signed32,
            "float" => Type::Float,
            _ => return None,
        })
    }

    /// The number in a field's bytes; none if the field is of another form.
    fn read(self, wire: Wire, bytes: &[u8]) -> Option<i64> {
        let four = || bytes.try_into().ok().map(u32::from_le_bytes);
        let eight = || bytes.try_into().ok().map(u64::from_le_bytes);
        Some(match (self, wire) {
            (Type::Plain, Wire::Varint) => varint(&mut &*bytes)? as i64,
            (Type::Zigzag, Wire::Varint) => {
                let n = varint(&mut &*bytes)?;
                (n >> 1) as i64 ^ -((n & 1) as i64)
            }
            (Type::Fixed64, Wire::Eight) => eight()? as i64,
            (Type::Double, Wire::Eight) => whole(f64::from_bits(eight()?)),
            (Type::Fixed32, Wire::Four) => four()?.into(),
            (Type::Signed32, Wire::Four) => (four()? as i32).into(),
            // HAProxy keeps 32 bits of the whole number, without their sign.
            (Type::Float, Wire::Four) => (whole(f32::from_bits(four()?).into()) as u32).into(),
            _ => return None,
        })
    }
}

/// The whole number in a floating one; what is none, or too large, is the least there is.
fn whole(n: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&n) { n as i64 } else { i64::MIN }
}

/// How a field's bytes are told from the next one's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wire {
    Varint,
    Four,
    Eight,
    Delimited,
}

/// Messages within messages at most.
const DEPTH_MAX: usize = 16;

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, _: &Scene<'a>) -> Option<Value<'a>> {
        let Value::Bin(bytes) = value else { return None };
        let (wire, found) =
            if self.grpc { in_grpc(bytes, &self.path) } else { lookup(bytes, &self.path) }?;
        match self.field {
            Some(field) => field.read(wire, found).map(Value::Int),
            None => Some(Value::Bin(found)),
        }
    }
}

/// Takes a number of up to ten bytes. As in HAProxy, no bytes are 0.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for (nth, byte) in rest.iter().enumerate().take(10) {
        n |= u64::from(byte & 0x7f) << (7 * nth);
        if *byte < 0x80 {
            *rest = &rest[nth + 1..];
            return Some(n);
        }
    }
    rest.is_empty().then_some(0)
}

/// Takes the first field: its number, its form and its bytes.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Wire, &'a [u8])> {
    let key = varint(rest)?;
    let (wire, len) = match key & 7 {
        0 => {
            let mut behind = *rest;
            varint(&mut behind)?;
            (Wire::Varint, rest.len() - behind.len())
        }
        1 => (Wire::Eight, 8),
        2 => (Wire::Delimited, usize::try_from(varint(rest)?).ok()?),
        5 => (Wire::Four, 4),
        _ => return None,
    };
    let (bytes, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some((key >> 3, wire, bytes))
}

/// The first field that the path leads to.
fn lookup<'a>(mut message: &'a [u8], path: &[u32]) -> Option<(Wire, &'a [u8])> {
    let (number, inner) = path.split_first()?;
    while !message.is_empty() {
        let (found, wire, bytes) = field(&mut message)?;
        if found != u64::from(*number) {
            continue;
        }
        if inner.is_empty() {
            return Some((wire, bytes));
        }
        if wire == Wire::Delimited
            && let Some(found) = lookup(bytes, inner)
        {
            return Some(found);
        }
    }
    None
}

/// The same in messages that each stand behind a byte and their length in four.
fn in_grpc<'a>(mut rest: &'a [u8], path: &[u32]) -> Option<(Wire, &'a [u8])> {
    loop {
        let [_, a, b, c, d, behind @ ..] = rest else { return None };
        let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (message, behind) = behind.split_at_checked(len)?;
        if let Some(found) = lookup(message, path) {
            return Some(found);
        }
        rest = behind;
    }
}

fn path(args: &Args<'_, '_>) -> Result<Box<[u32]>, Mistake> {
    let text = args.text(0);
    let numbers: Option<Vec<u32>> = text
        .split('.')
        .map(|part| match part {
            // HAProxy takes a missing number for 0, which no field has.
            "" => Some(0),
            // So has none what is larger than any.
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().unwrap_or(0))
            }
            _ => None,
        })
        .collect();
    let whole = !text.is_empty() && !text.ends_with('.');
    match numbers {
        Some(numbers) if whole && numbers.len() <= DEPTH_MAX => Ok(numbers.into()),
        Some(_) if whole => {
            Err(args.blame(0, format!("at most {DEPTH_MAX} numbers lead to a field")))
        }
        _ => {
            let message = format!("a field is a number, or several with dots, not '{text}'");
            Err(args.blame(0, message))
        }
    }
}

fn made(args: &Args<'_, '_>, grpc: bool) -> Result<super::Conv, Mistake> {
    let path = path(args)?;
    let named = (args.len() > 1).then(|| args.text(1));
    let field = match named {
        None => None,
        Some(name) => Some(Type::of(name).ok_or_else(|| {
            let message = format!(
                "'{name}' is no type of a field: they are int32, int64, uint32, uint64, sint32, \
                 sint64, bool, enum, fixed64, sfixed64, double, fixed32, sfixed32 and float"
            );
            args.blame(1, message)
        })?),
    };
    Ok(super::Conv::Protobuf(Box::new(Conv { path, field, grpc })))
}

const BIN: (Kind, Kind) = (Kind::Bin, Kind::Bin);

pub(super) const TABLE: &[Spec] = &[
    row("protobuf", BIN, (1, 2), |args, _| made(args, false)),
    row("ungrpc", BIN, (1, 2), |args, _| made(args, true)),
];
