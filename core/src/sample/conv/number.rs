//! Converters of numbers: arithmetic, bits, comparisons. Nothing overflows: what is too large is the
//! largest there is.

use super::operand::Number;
use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};
use crate::sample::names::Names;

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub enum Conv {
    /// Two numbers into one.
    Two(Op, Operand),
    /// `neg`.
    Neg,
    /// `cpl`.
    Cpl,
    /// `bool`.
    Bool,
    /// `not`.
    Not,
    /// `odd`.
    Odd,
    /// `even`.
    Even,
    /// `hex2i`.
    Hex2i,
    /// `htonl`.
    Htonl,
}

/// What stands in the argument.
#[derive(Clone, Debug)]
pub struct Operand(Number);

/// What is done with two numbers.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// `add`.
    Add,
    /// `and`.
    And,
    /// `div`.
    Div,
    /// `mod`.
    Mod,
    /// `mul`.
    Mul,
    /// `or`.
    Or,
    /// `sub`.
    Sub,
    /// `xor`.
    Xor,
}

impl Op {
    const fn of(self, a: i64, b: i64) -> i64 {
        match self {
            Op::Add => a.saturating_add(b),
            Op::And => a & b,
            // Dividing by nothing is much.
            Op::Div if b == 0 => i64::MAX,
            Op::Div => a.saturating_div(b),
            Op::Mod if b == 0 => 0,
            Op::Mod => a.wrapping_rem(b),
            Op::Mul => a.saturating_mul(b),
            Op::Or => a | b,
            Op::Sub => a.saturating_sub(b),
            Op::Xor => a ^ b,
        }
    }
}

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        if let Conv::Hex2i = self {
            let Value::Str(digits) = value else { return None };
            return hex2i(digits).map(Value::Int);
        }
        let Value::Int(n) = value else { return None };
        Some(match self {
            Conv::Two(op, Operand(other)) => Value::Int(op.of(n, other.get(scene)?)),
            Conv::Neg => Value::Int(n.saturating_neg()),
            Conv::Cpl => Value::Int(!n),
            Conv::Bool => Value::Bool(n != 0),
            Conv::Not => Value::Bool(n == 0),
            Conv::Odd => Value::Bool(n & 1 == 1),
            Conv::Even => Value::Bool(n & 1 == 0),
            Conv::Htonl => Value::Bin(scene.arena().alloc_slice_copy(&(n as u32).to_be_bytes())),
            Conv::Hex2i => return None,
        })
    }
}

/// The number that hexadecimal digits mean, of too many the last sixteen.
fn hex2i(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n: i64, digit| {
        let digit = (*digit as char).to_digit(16)?;
        Some((n << 4) | i64::from(digit))
    })
}

fn two(op: Op, args: &Args<'_, '_>, names: &mut Names<'_>) -> Result<super::Conv, Mistake> {
    Ok(super::Conv::Number(Conv::Two(op, Operand(Number::of(args, 0, names)?))))
}

const fn one(conv: Conv) -> Result<super::Conv, Mistake> {
    Ok(super::Conv::Number(conv))
}

const INT: (Kind, Kind) = (Kind::Int, Kind::Int);
const BOOL: (Kind, Kind) = (Kind::Int, Kind::Bool);

pub(super) const TABLE: &[Spec] = &[
    row("add", INT, (0, 1), |args, names| two(Op::Add, args, names)),
    row("and", INT, (0, 1), |args, names| two(Op::And, args, names)),
    row("bool", BOOL, (0, 0), |_, _| one(Conv::Bool)),
    row("cpl", INT, (0, 0), |_, _| one(Conv::Cpl)),
    row("div", INT, (0, 1), |args, names| two(Op::Div, args, names)),
    row("even", BOOL, (0, 0), |_, _| one(Conv::Even)),
    row("hex2i", (Kind::Str, Kind::Int), (0, 0), |_, _| one(Conv::Hex2i)),
    row("htonl", (Kind::Int, Kind::Bin), (0, 0), |_, _| one(Conv::Htonl)),
    row("mod", INT, (0, 1), |args, names| two(Op::Mod, args, names)),
    row("mul", INT, (0, 1), |args, names| two(Op::Mul, args, names)),
    row("neg", INT, (0, 0), |_, _| one(Conv::Neg)),
    row("not", BOOL, (0, 0), |_, _| one(Conv::Not)),
    row("odd", BOOL, (0, 0), |_, _| one(Conv::Odd)),
    row("or", INT, (0, 1), |args, names| two(Op::Or, args, names)),
    row("sub", INT, (0, 1), |args, names| two(Op::Sub, args, names)),
    row("xor", INT, (0, 1), |args, names| two(Op::Xor, args, names)),
];
