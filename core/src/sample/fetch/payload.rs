//! Bytes as they came: what TCP carries, and what can be read off it without HTTP.

use super::{Sample, Scene, Spec, Value};

/// A compiled fetch of this family.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// A constant.
    Constant(bool),
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, _scene: &Scene<'a>) -> Sample<'a> {
        match self {
            Fetch::Constant(b) => Sample::is(Value::Bool(*b)),
        }
    }
}

pub(super) const TABLE: &[Spec] = &[];
