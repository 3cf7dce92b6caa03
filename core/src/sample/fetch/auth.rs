//! Credentials of a request: what `Authorization` says. (HAProxy never looks at
//! `Proxy-Authorization`, whatever the target's form.)

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use memchr::memchr;

use super::header::walk;
use super::{Args, Avail, Kind, Mistake, Names, Sample, Scene, Side, Spec, Value, row};
use crate::http::Head;
use crate::proxy::userlist::User;
use crate::sample::names::{NameRef, Named};

/// A compiled fetch of this family.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// `http_auth`: whether the user list has them.
    Known(NameRef),
    /// `http_auth_group`: the user, if the user list has it. A condition compares the user's
    /// groups instead.
    Groups(NameRef),
    /// `http_auth_user`.
    User,
    /// `http_auth_pass`.
    Password,
    /// `http_auth_type`: `Basic` or `Bearer`.
    Scheme,
    /// `http_auth_bearer`: the token, in that field instead if there is a name.
    Bearer(Option<Box<[u8]>>),
}

/// What a field says.
#[derive(Clone, Copy, Debug)]
enum Credentials<'a> {
    Basic { user: &'a [u8], password: &'a [u8] },
    Bearer(&'a [u8]),
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        let head = match Side::Request.head(scene) {
            Ok(head) => head,
            Err(sample) => return sample,
        };
        let found = credentials(head, scene);
        let value = match (self, found) {
            (Fetch::Known(list), Some(Credentials::Basic { .. })) => {
                Some(Value::Bool(user(*list, found, scene).is_some()))
            }
            (Fetch::Groups(list), _) => {
                user(*list, found, scene).map(|user| Value::Str(user.name.as_bytes()))
            }
            (Fetch::User, Some(Credentials::Basic { user, .. })) => Some(Value::Str(user)),
            (Fetch::Password, Some(Credentials::Basic { password, .. })) => {
                Some(Value::Str(password))
            }
            (Fetch::Scheme, Some(Credentials::Basic { .. })) => Some(Value::Str(b"Basic")),
            (Fetch::Scheme, Some(Credentials::Bearer(_))) => Some(Value::Str(b"Bearer")),
            // Empty where there is none.
            (Fetch::Bearer(Some(name)), _) => {
                let found = first(head, name).and_then(split);
                let token = found.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer"));
                Some(Value::Str(token.map_or(b"", |(_, token)| token)))
            }
            (Fetch::Bearer(None), Some(Credentials::Bearer(token))) => Some(Value::Str(token)),
            _ => None,
        };
        value.into()
    }

    /// The groups of the user, for a condition; an empty one if it is in none.
    pub(super) fn each<'a>(
        &'a self,
        scene: &Scene<'a>,
        take: &mut dyn FnMut(Value<'a>) -> bool,
    ) -> Option<bool> {
        let Fetch::Groups(list) = self else { return None };
        let head = match Side::Request.head(scene) {
            Ok(head) => head,
            Err(sample) => return Some(sample.may_change),
        };
        if let Some(user) = user(*list, credentials(head, scene), scene) {
            let mut groups = user.groups.iter();
            let taken = groups.any(|group| take(Value::Str(group.as_bytes())));
            if !taken && user.groups.is_empty() {
                take(Value::Str(b""));
            }
        }
        Some(false)
    }
}

/// The user of a list whose name and password were given.
fn user<'a>(list: NameRef, found: Option<Credentials<'a>>, scene: &Scene<'a>) -> Option<&'a User> {
    let Some(Credentials::Basic { user, password }) = found else { return None };
    let index = scene.site.refs.userlist(list)?;
    scene.site.userlists.get(index as usize)?.check(user, password)
}

/// What the client says of itself.
fn credentials<'a>(head: &'a Head, scene: &Scene<'a>) -> Option<Credentials<'a>> {
    let (scheme, data) = split(first(head, b"authorization")?)?;
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(Credentials::Bearer(data));
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let room = scene.arena().alloc_slice_fill_copy(data.len().div_ceil(4) * 3, 0);
    let len = BASE64.decode_slice(data, room).ok()?;
    let text = &room[..len];
    // What stands behind a NUL is not looked at.
    let text = &text[..memchr(0, text).unwrap_or(len)];
    let colon = memchr(b':', text)?;
    Some(Credentials::Basic { user: &text[..colon], password: &text[colon + 1..] })
}

/// Padding is needed, as everywhere in HTTP.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The first value of a field.
fn first<'a>(head: &'a Head, name: &'a [u8]) -> Option<&'a [u8]> {
    let mut found = None;
    walk(head, name, false, &mut |value| {
        found = Some(value);
        true
    });
    found
}

/// A scheme and what follows it.
fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr(b' ', value).filter(|at| *at > 0)?;
    let (scheme, rest) = value.split_at(space);
    let begin = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
    Some((scheme, &rest[begin..]))
}

fn of_list(
    args: &Args<'_, '_>,
    names: &mut Names<'_>,
    fetch: fn(NameRef) -> Fetch,
) -> Result<super::Fetch, Mistake> {
    let Some(name) = args.get(0) else {
        return Err(args.wrong(format!("'{}' needs the name of a userlist", args.name())));
    };
    Ok(super::Fetch::Auth(fetch(names.refer(Named::Userlist(name.into())))))
}

pub(super) const TABLE: &[Spec] = &[
    row("http_auth", Kind::Bool, Avail::Request, (1, 1), |args, names| {
        of_list(args, names, Fetch::Known)
    }),
    row("http_auth_group", Kind::Str, Avail::Request, (1, 1), |args, names| {
        of_list(args, names, Fetch::Groups)
    }),
    row("http_auth_user", Kind::Str, Avail::Request, (0, 0), |_, _| {
        Ok(super::Fetch::Auth(Fetch::User))
    }),
    row("http_auth_pass", Kind::Str, Avail::Request, (0, 0), |_, _| {
        Ok(super::Fetch::Auth(Fetch::Password))
    }),
    row("http_auth_type", Kind::Str, Avail::Request, (0, 0), |_, _| {
        Ok(super::Fetch::Auth(Fetch::Scheme))
    }),
    row("http_auth_bearer", Kind::Str, Avail::Request, (0, 1), |args, _| {
        let name = args.get(0).map(|name| name.to_ascii_lowercase().into_bytes().into());
        Ok(super::Fetch::Auth(Fetch::Bearer(name)))
    }),
];
