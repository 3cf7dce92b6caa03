//! Fetches: where values come from. One family a file; each has a table of its names, their types,
//! and where they may stand, and an enum of what is left of them when they are compiled.

mod connection;
mod http;
mod internal;
mod payload;

use super::args::{Args, Call, Mistake};
use super::names::Names;
use super::{Avail, Kind, Point, Sample, Scene, Value};
use crate::config::similar;

/// A compiled fetch.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// Constants, variables, the process and its proxies.
    Internal(internal::Fetch),
    /// Connections and addresses.
    Connection(connection::Fetch),
    /// Bytes as they came.
    Payload(payload::Fetch),
    /// Heads and bodies.
    Http(http::Fetch),
}

impl Fetch {
    /// Its value; of several the one that stands for all.
    pub fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        match self {
            Fetch::Internal(fetch) => fetch.get(scene),
            Fetch::Connection(fetch) => fetch.get(scene),
            Fetch::Payload(fetch) => fetch.get(scene),
            Fetch::Http(fetch) => fetch.get(scene),
        }
    }

    /// Hands over each of its values until `take` says that it is enough. True if they may still
    /// change.
    pub fn each<'a>(&'a self, scene: &Scene<'a>, take: &mut dyn FnMut(Value<'a>) -> bool) -> bool {
        if let Fetch::Http(fetch) = self
            && fetch.each(scene, take)
        {
            return false;
        }
        let sample = self.get(scene);
        if let Some(value) = sample.value {
            take(value);
        }
        sample.may_change
    }
}

/// A name of a fetch.
pub struct Spec {
    /// The name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What must be there.
    pub avail: Avail,
    /// The least and the most arguments.
    pub args: (usize, usize),
    /// Compiles it.
    pub make: fn(&Args<'_, '_>, &mut Names<'_>) -> Result<Fetch, Mistake>,
}

/// A row of a table.
const fn row(
    name: &'static str,
    kind: Kind,
    avail: Avail,
    args: (usize, usize),
    make: fn(&Args<'_, '_>, &mut Names<'_>) -> Result<Fetch, Mistake>,
) -> Spec {
    Spec { name, kind, avail, args, make }
}

/// Every fetch.
pub fn specs() -> impl Iterator<Item = &'static Spec> {
    let tables = [internal::TABLE, connection::TABLE, payload::TABLE, http::TABLE];
    tables.into_iter().flatten()
}

/// The fetch called `name`.
pub fn find(name: &str) -> Option<&'static Spec> {
    specs().find(|spec| spec.name == name)
}

/// Compiles a call of a fetch.
pub fn make(
    call: &Call<'_>,
    point: Point,
    names: &mut Names<'_>,
) -> Result<(Fetch, Kind), Mistake> {
    let Some(spec) = find(call.name) else {
        let message = format!("unknown sample fetch '{}'", call.name);
        let near = similar::nearest(call.name, specs().map(|spec| spec.name));
        return Err(Mistake::new(call.at, call.name.len(), message).near(near));
    };
    if !spec.avail.at(point) {
        let places: Vec<&str> = Point::ALL
            .into_iter()
            .filter(|point| spec.avail.at(*point))
            .map(Point::as_str)
            .collect();
        let message = format!(
            "'{}' is not available in {}; it is in {}",
            call.name,
            point.as_str(),
            places.join(", ")
        );
        return Err(Mistake::new(call.at, call.name.len(), message));
    }
    let args = Args::of(call, "sample fetch", spec.args)?;
    Ok(((spec.make)(&args, names)?, spec.kind))
}
