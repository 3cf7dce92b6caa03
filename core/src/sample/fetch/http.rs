//! A start line, what was captured of a message, and what is known of it as a whole.

use memchr::memchr;

use super::{Args, Avail, Kind, Mistake, Names, Sample, Scene, Side, Spec, Value, row};
use crate::http::Version;

/// A compiled fetch of this family.
#[derive(Clone, Copy, Debug)]
pub enum Fetch {
    /// `method`.
    Method,
    /// `req.ver`, `res.ver`: `1.1`.
    Version(Side),
    /// `status`.
    Status,
    /// `http_first_req`.
    First,
    /// `unique-id`.
    UniqueId,
    /// `capture.req.hdr`, `capture.res.hdr`: a slot of the request's or of the response's.
    Captured(Side, u32),
    /// `capture.req.method`: as it was received.
    CapturedMethod,
    /// `capture.req.uri`: as it was received.
    CapturedTarget,
    /// `capture.req.ver`, `capture.res.ver`: `HTTP/1.1`.
    CapturedVersion(Side),
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        match *self {
            Fetch::Method => match Side::Request.head(scene) {
                Ok(head) => Sample::is(Value::Method(head.method_bytes())),
                Err(sample) => sample,
            },
            Fetch::Version(side) => match side.head(scene) {
                Ok(head) => Sample::is(Value::Str(&head.version().as_bytes()[5..])),
                Err(sample) => sample,
            },
            Fetch::Status => status(scene).map(Value::Int).into(),
            Fetch::First => Sample::is(Value::Bool(scene.requests <= 1)),
            Fetch::UniqueId => scene.unique_id.map(Value::Str).into(),
            Fetch::Captured(side, slot) => {
                let slots = scene.captures[usize::from(side == Side::Response)];
                let value = slots.get(slot as usize).and_then(Option::as_deref);
                value.map(Value::Str).into()
            }
            Fetch::CapturedMethod => {
                request_line(scene).map(|(method, _)| Value::Str(method)).into()
            }
            Fetch::CapturedTarget => {
                request_line(scene).map(|(_, target)| Value::Str(target)).into()
            }
            Fetch::CapturedVersion(side) => {
                let head = side.stream(scene).head;
                let text = |version: Version| Value::Str(version.as_bytes());
                head.map(|head| text(head.version())).into()
            }
        }
    }
}

fn status(scene: &Scene<'_>) -> Option<i64> {
    match (scene.res.head, scene.record) {
        (Some(head), _) => Some(head.status().into()),
        (None, Some(record)) if record.status > 0 => Some(record.status.into()),
        (None, _) => None,
    }
}

/// Method and target of the request as it was received.
fn request_line<'a>(scene: &Scene<'a>) -> Option<(&'a [u8], &'a [u8])> {
    match scene.request_line {
        Some(line) => {
            let (method, rest) = line.split_at(memchr(b' ', line)?);
            let rest = &rest[1..];
            Some((method, &rest[..memchr(b' ', rest).unwrap_or(rest.len())]))
        }
        None => scene.req.head.map(|head| (head.method_bytes(), head.target())),
    }
}

fn captured(args: &Args<'_, '_>, names: &Names<'_>, side: Side) -> Result<super::Fetch, Mistake> {
    let response = side == Side::Response;
    let slots = names.captures[usize::from(response)];
    let slot = args.int_in(0, 0..=i64::from(u32::MAX), 0)? as u32;
    if slot >= slots {
        let message = format!(
            "'{}' expects the number of a slot that is declared above it; there are {slots}",
            args.name()
        );
        return Err(args.blame(0, message));
    }
    Ok(super::Fetch::Http(Fetch::Captured(side, slot)))
}

macro_rules! http_row {
    ($name:literal, $kind:ident, $avail:ident, $fetch:expr) => {
        row($name, Kind::$kind, Avail::$avail, (0, 0), |_, _| Ok(super::Fetch::Http($fetch)))
    };
}

pub(super) const TABLE: &[Spec] = &[
    row("capture.req.hdr", Kind::Str, Avail::Stream, (1, 1), |args, names| {
        captured(args, names, Side::Request)
    }),
    http_row!("capture.req.method", Str, Stream, Fetch::CapturedMethod),
    http_row!("capture.req.uri", Str, Stream, Fetch::CapturedTarget),
    http_row!("capture.req.ver", Str, Stream, Fetch::CapturedVersion(Side::Request)),
    row("capture.res.hdr", Kind::Str, Avail::Server, (1, 1), |args, names| {
        captured(args, names, Side::Response)
    }),
    http_row!("capture.res.ver", Str, Stream, Fetch::CapturedVersion(Side::Response)),
    http_row!("http_first_req", Bool, Stream, Fetch::First),
    http_row!("method", Method, Stream, Fetch::Method),
    http_row!("req.ver", Str, Request, Fetch::Version(Side::Request)),
    http_row!("req_ver", Str, Request, Fetch::Version(Side::Request)),
    http_row!("res.ver", Str, Response, Fetch::Version(Side::Response)),
    http_row!("resp_ver", Str, Response, Fetch::Version(Side::Response)),
    http_row!("status", Int, Server, Fetch::Status),
    http_row!("unique-id", Str, Always, Fetch::UniqueId),
];
