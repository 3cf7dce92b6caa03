//! The request's target: as a whole, its parts, and hashes of it.

use core::net::IpAddr;

use memchr::{memchr, memmem};

use super::header::{leading_ipv4, walk};
use super::{Avail, Kind, Sample, Scene, Side, Spec, Value, row};
use crate::balance::{HashType, Method};
use crate::http::Head;

/// A compiled fetch of this family.
#[derive(Clone, Copy, Debug)]
pub enum Fetch {
    /// `url`: all of it.
    Url,
    /// `path`: without scheme, authority and query.
    Path,
    /// `pathq`: `path` with its query.
    PathAndQuery,
    /// `query`: what stands behind the question mark.
    Query,
    /// `base`: Host and `path`.
    Base,
    /// `baseq`: Host and `pathq`.
    BaseAndQuery,
    /// `base32` and `url32`: a hash of Host and `path` or `pathq`.
    Hash {
        /// With the query.
        query: bool,
        /// The client's address stands behind it.
        src: bool,
    },
    /// `url_ip`: the address that an absolute target names.
    Ip,
    /// `url_port`: the port that an absolute target names.
    Port,
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        match Side::Request.head(scene) {
            Ok(head) => self.of(head, scene).into(),
            Err(sample) => sample,
        }
    }

    fn of<'a>(self, head: &'a Head, scene: &Scene<'a>) -> Option<Value<'a>> {
        let target = head.target();
        Some(match self {
            Fetch::Url => Value::Str(target),
            Fetch::Path => Value::Str(without_query(path(target)?)),
            Fetch::PathAndQuery => Value::Str(path(target)?),
            Fetch::Query => Value::Str(&target[memchr(b'?', target)? + 1..]),
            Fetch::Base => base(head, scene, without_query)?,
            Fetch::BaseAndQuery => base(head, scene, |path| path)?,
            Fetch::Hash { query, src } => {
                let path = path(target).unwrap_or_default();
                let path = if query { path } else { without_query(path) };
                let key = joined(host(head).unwrap_or_default(), path, scene);
                let hash = HashType::new(Method::MapBased, None, true).bytes(key);
                if src { with_source(hash, scene)? } else { Value::Int(hash.into()) }
            }
            Fetch::Ip => Value::Ip(leading_ipv4(authority(target)?.1)?.0.into()),
            Fetch::Port => {
                let (default, authority) = authority(target)?;
                let port = match authority {
                    // As HAProxy, which looks no further.
                    [b'[', ..] => return None,
                    _ => port(authority).unwrap_or(default),
                };
                Value::Int(port.into())
            }
        })
    }
}

/// The path of a target and its query; none if it has none (`*`, an authority).
pub(super) fn path(target: &[u8]) -> Option<&[u8]> {
    match target {
        [b'/', ..] => Some(target),
        [b'*'] => None,
        _ => {
            let rest = &target[memmem::find(target, b"://")? + 3..];
            let slash = rest.iter().position(|byte| matches!(byte, b'/' | b'?'))?;
            (rest[slash] == b'/').then(|| &rest[slash..])
        }
    }
}

pub(super) fn without_query(path: &[u8]) -> &[u8] {
    memchr(b'?', path).map_or(path, |at| &path[..at])
}

/// The host that the head names first; none if it is empty.
fn host(head: &Head) -> Option<&[u8]> {
    let mut first = None;
    walk(head, b"host", false, &mut |host| {
        first = Some(host);
        true
    });
    first.filter(|host| !host.is_empty())
}

fn base<'a>(head: &'a Head, scene: &Scene<'a>, part: fn(&[u8]) -> &[u8]) -> Option<Value<'a>> {
    let path = path(head.target()).map(part);
    let Some(host) = host(head) else { return path.map(Value::Str) };
    Some(Value::Str(joined(host, path.unwrap_or_default(), scene)))
}

fn joined<'a>(host: &[u8], path: &[u8], scene: &Scene<'a>) -> &'a [u8] {
    let len = host.len() + path.len();
    let mut out = bumpalo::collections::Vec::with_capacity_in(len, scene.arena());
    out.extend_from_slice_copy(host);
    out.extend_from_slice_copy(path);
    out.into_bump_slice()
}

/// A hash and the client's address, as bytes.
fn with_source<'a>(hash: u32, scene: &Scene<'a>) -> Option<Value<'a>> {
    let mut out = bumpalo::collections::Vec::with_capacity_in(20, scene.arena());
    out.extend_from_slice(&hash.to_be_bytes());
    match scene.ends.src?.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    Some(Value::Bin(out.into_bump_slice()))
}

/// The authority of an absolute `http` or `https` target, and the port that its scheme implies.
fn authority(target: &[u8]) -> Option<(u16, &[u8])> {
    let at = memmem::find(target, b"://")?;
    let port = match &target[..at] {
        scheme if scheme.eq_ignore_ascii_case(b"http") => 80,
        scheme if scheme.eq_ignore_ascii_case(b"https") => 443,
        _ => return None,
    };
    let rest = &target[at + 3..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    Some((port, &rest[..end]))
}

fn port(authority: &[u8]) -> Option<u16> {
    let colon = authority.iter().rposition(|byte| *byte == b':')?;
    core::str::from_utf8(&authority[colon + 1..]).ok()?.parse().ok()
}

macro_rules! url_row {
    ($name:literal, $kind:ident, $fetch:expr) => {
        row($name, Kind::$kind, Avail::Request, (0, 0), |_, _| Ok(super::Fetch::Url($fetch)))
    };
}

pub(super) const TABLE: &[Spec] = &[
    url_row!("base", Str, Fetch::Base),
    url_row!("base32", Int, Fetch::Hash { query: false, src: false }),
    url_row!("base32+src", Bin, Fetch::Hash { query: false, src: true }),
    url_row!("baseq", Str, Fetch::BaseAndQuery),
    url_row!("path", Str, Fetch::Path),
    url_row!("pathq", Str, Fetch::PathAndQuery),
    url_row!("query", Str, Fetch::Query),
    url_row!("url", Str, Fetch::Url),
    url_row!("url32", Int, Fetch::Hash { query: true, src: false }),
    url_row!("url32+src", Bin, Fetch::Hash { query: true, src: true }),
    url_row!("url_ip", Ipv4, Fetch::Ip),
    url_row!("url_port", Int, Fetch::Port),
];
