//! Constants, variables, and what the process knows of itself and its proxies.

use super::{Avail, Kind, Sample, Scene, Spec, Value, row};

/// A compiled fetch of this family.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// `always_true`, `always_false`.
    Constant(bool),
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, _scene: &Scene<'a>) -> Sample<'a> {
        match self {
            Fetch::Constant(b) => Sample::is(Value::Bool(*b)),
        }
    }
}

pub(super) const TABLE: &[Spec] = &[
    row("always_false", Kind::Bool, Avail::Always, (0, 0), |_, _| {
        Ok(super::Fetch::Internal(Fetch::Constant(false)))
    }),
    row("always_true", Kind::Bool, Avail::Always, (0, 0), |_, _| {
        Ok(super::Fetch::Internal(Fetch::Constant(true)))
    }),
];
