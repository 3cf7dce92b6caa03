//! A start line, what was captured of a message, and what is known of it as a whole.

use memchr::memchr;

use super::{Args, Avail, Kind, Mistake, Names, Sample, Scene, Side, Spec, Value, row};
use crate::http::{Head, Version};
use crate::sample::names::Captured;

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
                Ok(head) => Sample::is(Value::Method(method(scene, head))),
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

/// The method that rules see: of those that have a number in HAProxy the one that was received,
/// whatever `set-method` made of it since.
fn method<'a>(scene: &Scene<'a>, head: &'a Head) -> &'a [u8] {
    const NUMBERED: [&[u8]; 8] =
        [b"OPTIONS", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"TRACE", b"CONNECT"];
    let received = scene.request_line.and_then(|line| line.split(|b| *b == b' ').next());
    match received {
        Some(received) if NUMBERED.contains(&received) => received,
        _ => head.method_bytes(),
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

/// A slot that the frontend may declare further down. One that it does not have is empty.
fn captured(
    args: &Args<'_, '_>,
    names: &mut Names<'_>,
    side: Side,
) -> Result<super::Fetch, Mistake> {
    let slot = args.int_in(0, 0..=i64::from(u32::MAX), 0)? as u32;
    let response = side == Side::Response;
    names.captured.push(Captured {
        proxy: names.proxy.clone(),
        span: names.span,
        fetch: args.name().to_owned(),
        response,
        slot,
    });
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
