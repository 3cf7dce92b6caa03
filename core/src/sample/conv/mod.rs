//! Converters: what is made of a value. One family a file; each has a table of its names and types
//! and an enum of what is left of them when they are compiled.

#[cfg(test)]
mod cases;
mod date;
mod digest;
mod encode;
mod fix;
mod hash;
mod json;
mod json_query;
mod jwt;
mod made;
mod map;
mod mqtt;
mod net;
mod number;
mod operand;
mod protobuf;
mod regsub;
mod secret;
mod state;
mod strftime;
mod table;
mod text;
mod words;

pub use state::Condition;

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
    /// Addresses.
    Net(net::Conv),
    /// Substitution.
    Regsub(Box<regsub::Conv>),
    /// Variables, captures, the process.
    State(state::Conv),
    /// Protocol buffers.
    Protobuf(Box<protobuf::Conv>),
    /// Values in JSON.
    JsonQuery(Box<json_query::Conv>),
    /// JSON web tokens.
    Jwt(Box<jwt::Conv>),
    /// MQTT packets.
    Mqtt(mqtt::Conv),
    /// FIX messages.
    Fix(fix::Conv),
    /// Dates.
    Date(date::Conv),
    /// Digests.
    Digest(digest::Conv),
    /// What has a secret in it.
    Secret(secret::Conv),
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
            Conv::Net(conv) => conv.apply(value, scene),
            Conv::Regsub(conv) => conv.apply(value, scene),
            Conv::State(conv) => conv.apply(value, scene),
            Conv::Protobuf(conv) => conv.apply(value, scene),
            Conv::JsonQuery(conv) => conv.apply(value, scene),
            Conv::Jwt(conv) => conv.apply(value, scene),
            Conv::Mqtt(conv) => conv.apply(value, scene),
            Conv::Fix(conv) => conv.apply(value),
            Conv::Date(conv) => conv.apply(value, scene),
            Conv::Digest(conv) => conv.apply(value, scene),
            Conv::Secret(conv) => conv.apply(value, scene),
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
    /// The type that it gives.
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
        date::TABLE,
        digest::TABLE,
        encode::TABLE,
        fix::TABLE,
        hash::TABLE,
        json::TABLE,
        json_query::TABLE,
        jwt::TABLE,
        map::TABLE,
        mqtt::TABLE,
        net::TABLE,
        number::TABLE,
        protobuf::TABLE,
        regsub::TABLE,
        secret::TABLE,
        state::TABLE,
        table::TABLE,
        text::TABLE,
        words::TABLE,
    ];
    tables.into_iter().flatten()
}

/// Compiles a call of a converter: the converter, the type that it takes and the one that it gives.
pub fn make(call: &Call<'_>, names: &mut Names<'_>) -> Result<(Conv, Kind, Kind), Mistake> {
    let Some(spec) = specs().find(|spec| spec.name == call.name) else {
        let message = format!("unknown converter '{}'", call.name);
        let near = similar::nearest(call.name, specs().map(|spec| spec.name));
        return Err(Mistake::new(call.at, call.name.len(), message).near(near));
    };
    let args = Args::of(call, "converter", spec.args)?;
    Ok(((spec.make)(&args, names)?, spec.takes, spec.gives))
}
