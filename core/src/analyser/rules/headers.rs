//! Rules that change header fields and the status.

use super::write_format;
use crate::acl::expand;
use crate::http::{Head, target_follows_host};
use crate::logfmt::format::Format;
use crate::proxy::spec::ProxyId;
use crate::rule::{Action, Pattern, Template};
use crate::sample::{Point, element_end};
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
            // What there was is gone even if nothing takes its place.
            let head = head(s, response);
            head.remove_name(name);
            fits = head.may_grow(name.len() + text.len(), size);
            if fits {
                head.push(name, &text);
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
    if !response && names_host(action) {
        target_follows_host(&mut s.txn.request);
    }
    *cx.scratch = text;
    fits
}

/// Whether it may give Host another value.
fn names_host(action: &Action) -> bool {
    match action {
        Action::SetHeader(name, _)
        | Action::ReplaceHeader(name, ..)
        | Action::ReplaceValue(name, ..) => **name == *b"host",
        _ => false,
    }
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
pub(super) fn rewritten(
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

/// The same for each element of a list. Of one that is replaced the blanks around it go as well.
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
    let mut rest = value;
    loop {
        let end = element_end(rest, b',');
        let (part, behind) = rest.split_at(end);
        match rewritten(part.trim_ascii(), pattern, template, at, s, cx) {
            Some(with) => {
                made.extend_from_slice(&with);
                changed = true;
            }
            None => made.extend_from_slice(part),
        }
        let Some((_, behind)) = behind.split_first() else { break };
        made.push(b',');
        rest = behind;
    }
    changed.then_some(made)
}

/// The usual reason phrase of a status.
pub(super) fn reason_of(status: u16) -> &'static [u8] {
    crate::reply::reason(status).as_bytes()
}
