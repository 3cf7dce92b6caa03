//! HTTP heads and bodies.

use super::{Avail, Kind, Sample, Scene, Spec, Value, row};

/// A compiled fetch of this family.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// `path`: the target without scheme, authority and query.
    Path,
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        match self {
            Fetch::Path => scene.req.head.map(|head| Value::Str(head.target())).into(),
        }
    }

    /// Hands over each value of a fetch that has several (fields, cookies) until `take` says that
    /// it is enough. False if this fetch has one value only: `get` then has it.
    pub(super) fn each<'a>(
        &'a self,
        _scene: &Scene<'a>,
        _take: &mut dyn FnMut(Value<'a>) -> bool,
    ) -> bool {
        match self {
            Fetch::Path => false,
        }
    }
}

pub(super) const TABLE: &[Spec] =
    &[row("path", Kind::Str, Avail::Request, (0, 0), |_, _| Ok(super::Fetch::Http(Fetch::Path)))];
