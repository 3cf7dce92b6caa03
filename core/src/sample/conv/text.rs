//! Converters of text.

use super::{Kind, Scene, Spec, Value, row};

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub enum Conv {
    /// `lower`.
    Lower,
    /// `upper`.
    Upper,
}

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let Value::Str(text) = value else { return None };
        let made = match self {
            Conv::Lower => mapped(text, u8::to_ascii_lowercase, scene),
            Conv::Upper => mapped(text, u8::to_ascii_uppercase, scene),
        };
        Some(Value::Str(made))
    }
}

/// The text with every byte mapped.
fn mapped<'a>(text: &'a [u8], map: fn(&u8) -> u8, scene: &Scene<'a>) -> &'a [u8] {
    if text.iter().all(|byte| map(byte) == *byte) {
        return text;
    }
    scene.arena().alloc_slice_fill_iter(text.iter().map(map))
}

pub(super) const TABLE: &[Spec] = &[
    row("lower", (Kind::Str, Kind::Str), (0, 0), |_, _| Ok(super::Conv::Text(Conv::Lower))),
    row("upper", (Kind::Str, Kind::Str), (0, 0), |_, _| Ok(super::Conv::Text(Conv::Upper))),
];
