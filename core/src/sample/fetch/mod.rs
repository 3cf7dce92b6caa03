//! Fetches: where values come from. One family a file; each has a table of its names, their types,
//! and where they may stand, and an enum of what is left of them when they are compiled.

mod auth;
mod body;
mod connection;
mod cookie;
pub(in crate::sample) mod header;
mod hello;
mod http;
pub(in crate::sample) mod internal;
mod param;
mod payload;
mod refused;
#[cfg(test)]
mod tests;
mod tls;
mod url;

use super::args::{Args, Call, Mistake};
use super::names::Names;
use super::{Avail, Kind, Point, Sample, Scene, Stream, Value};
use crate::config::similar;
use crate::http::Head;

/// A compiled fetch.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// Constants, variables, the process and its proxies.
    Internal(internal::Fetch),
    /// Connections and addresses.
    Connection(connection::Fetch),
    /// Bytes as they came.
    Payload(payload::Fetch),
    /// A start line, and what is known of a message as a whole.
    Http(http::Fetch),
    /// The request's target.
    Url(url::Fetch),
    /// Fields of a head.
    Header(header::Fetch),
    /// Cookies.
    Cookie(cookie::Fetch),
    /// Parameters of the target or of a form.
    Param(param::Fetch),
    /// Bodies.
    Body(body::Fetch),
    /// Credentials.
    Auth(auth::Fetch),
    /// TLS.
    Tls(tls::Fetch),
}

impl Fetch {
    /// Its value; of several the one that stands for all.
    pub fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        match self {
            Fetch::Internal(fetch) => fetch.get(scene),
            Fetch::Connection(fetch) => fetch.get(scene),
            Fetch::Payload(fetch) => fetch.get(scene),
            Fetch::Http(fetch) => fetch.get(scene),
            Fetch::Url(fetch) => fetch.get(scene),
            Fetch::Header(fetch) => fetch.get(scene),
            Fetch::Cookie(fetch) => fetch.get(scene),
            Fetch::Param(fetch) => fetch.get(scene),
            Fetch::Body(fetch) => fetch.get(scene),
            Fetch::Auth(fetch) => fetch.get(scene),
            Fetch::Tls(fetch) => fetch.get(),
        }
    }

    /// Hands over each of its values until `take` says that it is enough. True if they may still
    /// change.
    pub fn each<'a>(&'a self, scene: &Scene<'a>, take: &mut dyn FnMut(Value<'a>) -> bool) -> bool {
        let several = match self {
            Fetch::Header(fetch) => fetch.each(scene, take),
            Fetch::Cookie(fetch) => fetch.each(scene, take),
            Fetch::Param(fetch) => fetch.each(scene, take),
            Fetch::Auth(fetch) => fetch.each(scene, take),
            _ => None,
        };
        if let Some(may_change) = several {
            return may_change;
        }
        let sample = self.get(scene);
        if let Some(value) = sample.value {
            take(value);
        }
        sample.may_change
    }
}

/// Which message a fetch looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The request.
    Request,
    /// The response.
    Response,
    /// Whichever is processed.
    Either,
}

impl Side {
    /// Whether it is the response here.
    fn is_response(self, scene: &Scene<'_>) -> bool {
        match self {
            Side::Request => false,
            Side::Response => true,
            Side::Either => matches!(scene.point, Point::ResContent | Point::HttpRes),
        }
    }

    /// That direction.
    fn stream<'a>(self, scene: &Scene<'a>) -> Stream<'a> {
        if self.is_response(scene) { scene.res } else { scene.req }
    }

    /// The message's head; if there is none, what a fetch that needs it comes to.
    fn head<'a>(self, scene: &Scene<'a>) -> Result<&'a Head, Sample<'a>> {
        let stream = self.stream(scene);
        let to_come = stream.head_to_come && stream.more;
        stream.head.ok_or(if to_come { Sample::NOT_YET } else { Sample::NONE })
    }

    /// Where it is to be found.
    const fn avail(self) -> Avail {
        match self {
            Side::Request => Avail::Request,
            Side::Response => Avail::Response,
            Side::Either => Avail::Either,
        }
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
    pub make: Make,
}

/// What compiles a fetch.
pub type Make = fn(&Args<'_, '_>, &mut Names<'_>) -> Result<Fetch, Mistake>;

/// A row of a table.
const fn row(
    name: &'static str,
    kind: Kind,
    avail: Avail,
    args: (usize, usize),
    make: Make,
) -> Spec {
    Spec { name, kind, avail, args, make }
}

/// Every fetch.
pub fn specs() -> impl Iterator<Item = &'static Spec> {
    let tables = [
        internal::TABLE,
        connection::TABLE,
        payload::TABLE,
        http::TABLE,
        url::TABLE,
        header::TABLE,
        cookie::TABLE,
        param::TABLE,
        body::TABLE,
        auth::TABLE,
        tls::TABLE,
    ];
    tables.into_iter().chain(refused::TABLES_OF_REASONS).flatten()
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
    if !spec.avail.at(point, names.role) {
        let places: Vec<&str> = Point::ALL
            .into_iter()
            .filter(|point| spec.avail.at(*point, names.role))
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
