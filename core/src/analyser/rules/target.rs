//! Rules that change the method and the target.

use super::headers::rewritten;
use super::text_of;
use crate::http::{Head, host_follows_target};
use crate::proxy::spec::ProxyId;
use crate::rule::{Action, path_start};
use crate::sample::Point;
use crate::session::{Cx, Session};
use crate::txn::TxnFlags;

/// Carries one out; the error is the status of the refusal.
pub(super) fn apply(
    s: &mut Session,
    action: &Action,
    at: (Point, ProxyId),
    cx: &mut Cx<'_>,
) -> Result<(), u16> {
    /// What makes no request any more, or does not fit, is an error of ours.
    const FAILED: u16 = 500;
    let made = match action {
        Action::SetMethod(format) => {
            let method = text_of(s, format, at, cx);
            return s.txn.request.set_method(&method).map_err(|_| FAILED);
        }
        Action::SetUri(format) => Some(text_of(s, format, at, cx)),
        Action::SetPath(format) => {
            let target = Parts::of(&s.txn.request);
            let path = text_of(s, format, at, cx);
            Some([target.before, &path, target.query].concat())
        }
        Action::SetPathq(format) => {
            let target = Parts::of(&s.txn.request);
            let pathq = text_of(s, format, at, cx);
            Some([target.before, &pathq].concat())
        }
        Action::SetQuery(format) => {
            let target = Parts::of(&s.txn.request);
            let query = text_of(s, format, at, cx);
            let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
            Some([target.before, target.path, mark, &query].concat())
        }
        Action::ReplacePath(pattern, template) => {
            let target = Parts::of(&s.txn.request);
            rewritten(target.path, pattern, template, at, s, cx)
                .map(|path| [target.before, &path, target.query].concat())
        }
        Action::ReplacePathq(pattern, template) => {
            let target = Parts::of(&s.txn.request);
            let pathq = &s.txn.request.target()[target.before.len()..];
            rewritten(pathq, pattern, template, at, s, cx)
                .map(|pathq| [target.before, &pathq].concat())
        }
        Action::ReplaceUri(pattern, template) => {
            rewritten(s.txn.request.target(), pattern, template, at, s, cx)
        }
        Action::Normalize(normalizer) => {
            normalizer.apply(s.txn.request.target()).map_err(|_| 400_u16)?
        }
        _ => None,
    };
    let Some(target) = made else { return Ok(()) };
    let (old, size) = (s.txn.request.target().len(), cx.site.tunables.bufsize as usize);
    if target.len() > old && !s.txn.request.may_grow(target.len() - old, size) {
        return if s.txn.is(TxnFlags::SOFT_REQUEST) { Ok(()) } else { Err(FAILED) };
    }
    let head = &mut s.txn.request;
    head.set_target(&target).map_err(|_| FAILED)?;
    match action {
        Action::SetUri(_) | Action::ReplaceUri(..) => host_follows_target(head).map_err(|_| FAILED),
        _ => Ok(()),
    }
}

/// A target in parts.
struct Parts<'a> {
    /// Scheme and authority, in absolute form.
    before: &'a [u8],
    /// The path.
    path: &'a [u8],
    /// The query with its question mark.
    query: &'a [u8],
}

impl Parts<'_> {
    fn of(head: &Head) -> Parts<'_> {
        let target = head.target();
        let start = path_start(target).min(target.len());
        let rest = &target[start..];
        let end = rest.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(rest.len());
        Parts { before: &target[..start], path: &rest[..end], query: &rest[end..] }
    }
}
