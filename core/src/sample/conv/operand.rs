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

/// The value of a variable, cast.
pub(super) fn var<'a>(id: VarId, to: Kind, scene: &Scene<'a>) -> Option<Value<'a>> {
    scene.var(id)?.cast(to, scene.arena())
}
