//! Rules that change header fields and the status.

use super::write_format;
use crate::acl::expand;
use crate::http::Head;
use crate::logfmt::format::Format;
use crate::proxy::spec::ProxyId;
use crate::rule::{Action, Pattern, Template};
use crate::sample::Point;
use crate::session::{Cx, Session};

/// Carries one out; false if what it makes does not fit.
pub(super) fn apply(
    s: &mut Session,
    action: &Action,
    response: bool,
    at: (Point, ProxyId),
    cx: &mut Cx<'_>,
) -> bool {
    let mut fits = true;
    let size = cx.site.tunables.bufsize as usize;
    let mut text = std::mem::take(cx.scratch);
    text.clear();
    match action {
        Action::SetHeader(name, value) => {
            write_format(s, value, at, cx, &mut text);
            fits = head(s, response).may_grow(name.len() + text.len(), size);
            if fits {
                head(s, response).set(name, &text);
            }
        }
        Action::AddHeader(name, value) => {
            write_format(s, value, at, cx, &mut text);
            fits = head(s, response).may_grow(name.len() + text.len(), size);
            if fits {
                head(s, response).push(name, &text);
            }
        }
        Action::DelHeader(names) => match names {
            crate::rule::NameMatch::Is(name) => {
                head(s, response).remove_name(name);
            }
            other => head(s, response).retain(|name, _| !other.matches(name)),
        },
        Action::ReplaceHeader(name, pattern, template) => {
            fits = replace(s, response, name, cx, |value, s, cx| {
                rewritten(value, pattern, template, at, s, cx)
            });
        }
        Action::ReplaceValue(name, pattern, template) => {
            fits = replace(s, response, name, cx, |value, s, cx| {
                rewritten_list(value, pattern, template, at, s, cx)
            });
        }
        Action::SetStatus { status, reason } => {
            let version = s.txn.response.version();
            let reason = reason.as_deref().unwrap_or_else(|| reason_of(*status));
            s.txn.response.set_status_line(*status, reason, version);
            s.txn.status = *status;
        }
        _ => {}
    }
    *cx.scratch = text;
    fits
}

fn head(s: &mut Session, response: bool) -> &mut Head {
    if response { &mut s.txn.response } else { &mut s.txn.request }
}

/// Replaces the values of all fields of a name; false at the first that does not fit.
fn replace(
    s: &mut Session,
    response: bool,
    name: &[u8],
    cx: &mut Cx<'_>,
    make: impl Fn(&[u8], &Session, &Cx<'_>) -> Option<Vec<u8>>,
) -> bool {
    let size = cx.site.tunables.bufsize as usize;
    let count = head(s, response).fields_count();
    for index in 0..count {
        let made = {
            let head = if response { &s.txn.response } else { &s.txn.request };
            match head.field(index) {
                Some((field, value)) if field == name => {
                    make(value, s, cx).map(|made| (made, value.len()))
                }
                _ => None,
            }
        };
        if let Some((made, old)) = made {
            let head = head(s, response);
            if made.len() > old && !head.may_grow(made.len() - old, size) {
                return false;
            }
            head.replace_value(index, &made);
        }
    }
    true
}

/// A whole value with the template in its place, if the pattern matches.
fn rewritten(
    value: &[u8],
    pattern: &Pattern,
    template: &Template,
    at: (Point, ProxyId),
    s: &Session,
    cx: &Cx<'_>,
) -> Option<Vec<u8>> {
    let groups = pattern.groups(value)?;
    let mut text = Vec::new();
    let format: &Format = &template.0;
    write_format(s, format, at, cx, &mut text);
    Some(expand(&text, value, &groups, &cx.desk.arena).to_vec())
}

/// The same for each part between commas.
fn rewritten_list(
    value: &[u8],
    pattern: &Pattern,
    template: &Template,
    at: (Point, ProxyId),
    s: &Session,
    cx: &Cx<'_>,
) -> Option<Vec<u8>> {
    let mut made = Vec::new();
    let mut changed = false;
    for (index, part) in value.split(|b| *b == b',').enumerate() {
        if index > 0 {
            made.push(b',');
        }
        let inner = part.trim_ascii();
        match rewritten(inner, pattern, template, at, s, cx) {
            Some(with) => {
                let lead = part.len() - part.trim_ascii_start().len();
                made.extend_from_slice(&part[..lead]);
                made.extend_from_slice(&with);
                made.extend_from_slice(&part[lead + inner.len()..]);
                changed = true;
            }
            None => made.extend_from_slice(part),
        }
    }
    changed.then_some(made)
}

/// The usual reason phrase of a status.
pub(super) fn reason_of(status: u16) -> &'static [u8] {
    crate::reply::reason(status).as_bytes()
}
