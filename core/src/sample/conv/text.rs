//! Converters of text into other text: case, trimming, joining; and its comparison.

use super::made::Made;
use super::operand::var;
use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};
use crate::sample::names::Names;
use crate::sample::vars::VarId;

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub enum Conv {
    /// `lower`.
    Lower,
    /// `upper`.
    Upper,
    /// `length`.
    Length,
    /// `ltrim`: bytes that are taken away at the start.
    Ltrim(Box<[u8]>),
    /// `rtrim`: at the end.
    Rtrim(Box<[u8]>),
    /// `cut_crlf`.
    CutCrlf,
    /// `concat`.
    Concat(Join),
    /// `add_item`; what stands before is the delimiter.
    AddItem(Join),
    /// `strcmp`.
    Strcmp(VarId),
}

/// What is put behind a text.
#[derive(Clone, Debug)]
pub struct Join {
    before: Box<[u8]>,
    var: Option<VarId>,
    behind: Box<[u8]>,
}

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let Value::Str(text) = value else { return None };
        let made = match self {
            Conv::Lower => lowered(text, scene),
            Conv::Upper => mapped(text, u8::to_ascii_uppercase, scene),
            Conv::Length => return Some(Value::Int(text.len() as i64)),
            Conv::Ltrim(chars) => {
                let kept = text.iter().position(|byte| !chars.contains(byte));
                &text[kept.unwrap_or(text.len())..]
            }
            Conv::Rtrim(chars) => {
                let kept = text.iter().rposition(|byte| !chars.contains(byte));
                &text[..kept.map_or(0, |last| last + 1)]
            }
            Conv::CutCrlf => {
                let end = memchr::memchr2(b'\r', b'\n', text);
                &text[..end.unwrap_or(text.len())]
            }
            Conv::Concat(join) => {
                let middle = join.middle(scene);
                joined([text, &join.before, middle, &join.behind], scene)
            }
            Conv::AddItem(join) => {
                let middle = join.middle(scene);
                let added = !middle.is_empty() || !join.behind.is_empty();
                let delimiter = if added && !text.is_empty() { &join.before[..] } else { b"" };
                joined([text, delimiter, middle, &join.behind], scene)
            }
            Conv::Strcmp(id) => {
                let Value::Str(other) = var(*id, Kind::Str, scene)? else { return None };
                return Some(Value::Int(strcmp(text, other)));
            }
        };
        Some(Value::Str(made))
    }
}

impl Join {
    /// The argument `index` is what stands before, and the variable and what stands behind follow.
    fn of(args: &Args<'_, '_>, names: &mut Names<'_>) -> Result<Join, Mistake> {
        let var = args.get(1).map(|_| names.var_arg(args, 1)).transpose()?;
        let text = |index| args.text(index).as_bytes().into();
        Ok(Join { before: text(0), var, behind: text(2) })
    }

    /// The variable's text; a variable without a value has none.
    fn middle<'a>(&self, scene: &Scene<'a>) -> &'a [u8] {
        let value = self.var.and_then(|id| scene.var(id));
        value.map_or(b"", |value| value.text(scene.arena()))
    }
}

/// The text in lower case.
pub(super) fn lowered<'a>(text: &'a [u8], scene: &Scene<'a>) -> &'a [u8] {
    mapped(text, u8::to_ascii_lowercase, scene)
}

/// The text with every byte mapped.
fn mapped<'a>(text: &'a [u8], map: fn(&u8) -> u8, scene: &Scene<'a>) -> &'a [u8] {
    if text.iter().all(|byte| map(byte) == *byte) {
        return text;
    }
    scene.arena().alloc_slice_fill_iter(text.iter().map(map))
}

/// Parts as one text; what does not fit is cut off.
fn joined<'a>([text, rest @ ..]: [&'a [u8]; 4], scene: &Scene<'a>) -> &'a [u8] {
    let more: usize = rest.iter().map(|part| part.len()).sum();
    if more == 0 {
        return text;
    }
    let mut made = Made::new(scene, text.len() + more);
    made.fill(text);
    for part in rest {
        made.fill(part);
    }
    made.done()
}

/// As C's `strcmp` has it on most machines: the difference of the first bytes that differ, else
/// which one is longer.
fn strcmp(a: &[u8], b: &[u8]) -> i64 {
    for (a, b) in a.iter().zip(b) {
        if a != b {
            return i64::from(*a) - i64::from(*b);
        }
        if *a == 0 {
            break;
        }
    }
    a.len().cmp(&b.len()) as i64
}

fn made(conv: Conv) -> Result<super::Conv, Mistake> {
    Ok(super::Conv::Text(conv))
}

const STR: (Kind, Kind) = (Kind::Str, Kind::Str);

pub(super) const TABLE: &[Spec] = &[
    row("add_item", STR, (2, 3), |args, names| {
        if args.get(1).is_none() && args.get(2).is_none() {
            return Err(args.wrong("'add_item' needs a variable or a suffix behind the delimiter"));
        }
        made(Conv::AddItem(Join::of(args, names)?))
    }),
    row("concat", STR, (0, 3), |args, names| made(Conv::Concat(Join::of(args, names)?))),
    row("cut_crlf", STR, (0, 0), |_, _| made(Conv::CutCrlf)),
    row("length", (Kind::Str, Kind::Int), (0, 0), |_, _| made(Conv::Length)),
    row("lower", STR, (0, 0), |_, _| made(Conv::Lower)),
    row("ltrim", STR, (0, 1), |args, _| made(Conv::Ltrim(args.text(0).as_bytes().into()))),
    row("rtrim", STR, (0, 1), |args, _| made(Conv::Rtrim(args.text(0).as_bytes().into()))),
    row("strcmp", (Kind::Str, Kind::Int), (0, 1), |args, names| {
        made(Conv::Strcmp(names.var_arg(args, 0)?))
    }),
    row("upper", STR, (0, 0), |_, _| made(Conv::Upper)),
];
