//! Converters: what is made of a value. One family a file; each has a table of its names and types
//! and an enum of what is left of them when they are compiled.

#[cfg(test)]
mod cases;
mod encode;
mod hash;
mod json;
mod made;
mod map;
mod number;
mod operand;
mod text;
mod words;

use super::args::{Args, Call, Mistake};
use super::names::Names;
use super::{Kind, Scene, Value};
use crate::config::similar;

/// A compiled converter.
#[derive(Clone, Debug)]
pub enum Conv {
    /// Numbers: arithmetic, bits, comparisons.
    Number(number::Conv),
    /// Text into other text, or compared.
    Text(text::Conv),
    /// Bytes as text and back.
    Encode(encode::Conv),
    /// Hashes that are not for security.
    Hash(hash::Conv),
    /// Text for a JSON string.
    Json(json::Conv),
    /// What a file says of a value.
    Map(map::Conv),
    /// Parts of text and bytes.
    Words(words::Conv),
}

impl Conv {
    /// What becomes of a value that has the type it takes; none if nothing does.
    pub fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        match self {
            Conv::Number(conv) => conv.apply(value, scene),
            Conv::Text(conv) => conv.apply(value, scene),
            Conv::Encode(conv) => conv.apply(value, scene),
            Conv::Hash(conv) => conv.apply(value),
            Conv::Json(conv) => conv.apply(value, scene),
            Conv::Map(conv) => conv.apply(value, scene),
            Conv::Words(conv) => conv.apply(value),
        }
    }
}

/// A name of a converter.
pub struct Spec {
    /// The name.
    pub name: &'static str,
    /// The type that it takes.
    pub takes: Kind,
    /// The type that it gives; `Any` gives what it was given.
    pub gives: Kind,
    /// The least and the most arguments.
    pub args: (usize, usize),
    /// Compiles it.
    pub make: fn(&Args<'_, '_>, &mut Names<'_>) -> Result<Conv, Mistake>,
}

/// A row of a table.
const fn row(
    name: &'static str,
    (takes, gives): (Kind, Kind),
    args: (usize, usize),
    make: fn(&Args<'_, '_>, &mut Names<'_>) -> Result<Conv, Mistake>,
) -> Spec {
    Spec { name, takes, gives, args, make }
}

/// Every converter.
pub fn specs() -> impl Iterator<Item = &'static Spec> {
    let tables = [
        encode::TABLE,
        hash::TABLE,
        json::TABLE,
        map::TABLE,
        number::TABLE,
        text::TABLE,
        words::TABLE,
    ];
    tables.into_iter().flatten()
}

/// Compiles a call of a converter behind a value of type `kind`: the converter, the type that it
/// takes and the one that it gives.
pub fn make(
    call: &Call<'_>,
    kind: Kind,
    names: &mut Names<'_>,
) -> Result<(Conv, Kind, Kind), Mistake> {
    let Some(spec) = specs().find(|spec| spec.name == call.name) else {
        let message = format!("unknown converter '{}'", call.name);
        let near = similar::nearest(call.name, specs().map(|spec| spec.name));
        return Err(Mistake::new(call.at, call.name.len(), message).near(near));
    };
    let args = Args::of(call, "converter", spec.args)?;
    let gives = if spec.gives == Kind::Any { kind } else { spec.gives };
    Ok(((spec.make)(&args, names)?, spec.takes, gives))
}
