//! Arguments that are a constant or a variable.

use crate::sample::args::{Args, Mistake};
use crate::sample::names::Names;
use crate::sample::vars::VarId;
use crate::sample::{Kind, Scene, Value};

/// A number, or a variable that has one.
#[derive(Clone, Debug)]
pub(super) enum Number {
    /// A constant.
    Is(i64),
    /// A variable.
    Var(VarId),
}

impl Number {
    /// The argument `index`; 0 if it is not there.
    pub(super) fn of(
        args: &Args<'_, '_>,
        index: usize,
        names: &mut Names<'_>,
    ) -> Result<Number, Mistake> {
        let text = args.text(index);
        if let Ok(id) = names.var(text) {
            return Ok(Number::Var(id));
        }
        match args.int(index) {
            Ok(n) => Ok(Number::Is(n.unwrap_or(0))),
            Err(mistake) => Err(Mistake {
                message: format!(
                    "'{}' expects a number or a variable such as 'txn.name' (got '{text}')",
                    args.name()
                ),
                ..mistake
            }),
        }
    }

    /// Its value; none if the variable has none that is a number.
    pub(super) fn get(&self, scene: &Scene<'_>) -> Option<i64> {
        match self {
            Number::Is(n) => Some(*n),
            Number::Var(id) => scene.var(*id)?.to_int(),
        }
    }
}

/// Text or bytes, or a variable that has them.
#[derive(Clone, Debug)]
pub(super) enum Bytes {
    /// A constant.
    Are(Box<[u8]>),
    /// A variable.
    Var(VarId),
}

impl Bytes {
    /// The argument `index`, as it is written if it names no variable.
    pub(super) fn of(args: &Args<'_, '_>, index: usize, names: &mut Names<'_>) -> Bytes {
        let text = args.text(index);
        match names.var(text) {
            Ok(id) => Bytes::Var(id),
            Err(_) => Bytes::Are(text.as_bytes().into()),
        }
    }

    /// The value as text; none if the variable has none.
    pub(super) fn text<'a>(&'a self, scene: &Scene<'a>) -> Option<&'a [u8]> {
        match self {
            Bytes::Are(bytes) => Some(bytes),
            Bytes::Var(id) => Some(scene.var(*id)?.text(scene.arena())),
        }
    }
}

/// The value of a variable, cast.
pub(super) fn var<'a>(id: VarId, to: Kind, scene: &Scene<'a>) -> Option<Value<'a>> {
    scene.var(id)?.cast(to, scene.arena())
}
