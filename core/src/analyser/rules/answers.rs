//! Answers that rules give: pages, redirects, a demand for a password, hints; and the rules that
//! look at every answer.

use std::io::Write;

use super::headers::reason_of;
use super::{run, text_of, write_format};
use crate::analyser::{Verdict, answer, answer_with};
use crate::fault::{Cause, Phase};
use crate::http::{Body, Known, Version, settle, write_response};
use crate::logfmt::format::Format;
use crate::proxy::spec::ProxyId;
use crate::rule::{Redirect, RedirectKind, Reply, ReplyBody, Set, path_start};
use crate::sample::Point;
use crate::session::{Cx, Session};
use crate::txn::{LogLevel, TxnFlags};

/// Sends an answer of a rule.
pub(in crate::analyser) fn reply(
    s: &mut Session,
    reply: &Reply,
    at: (Point, ProxyId),
    cx: &mut Cx<'_>,
) {
    let mut body = Vec::new();
    let (bytes, kind): (&[u8], &str) = match &reply.body {
        ReplyBody::Page if reply.fields.is_empty() => return answer(s, reply.status, cx),
        ReplyBody::Page => {
            let page = crate::analyser::page_of(s, reply.status, cx);
            let with = fields_of(s, reply, at, cx);
            return answer_with(s, reply.status, &insert(&page, &with), cx);
        }
        ReplyBody::File(file) if reply.fields.is_empty() => {
            return answer_with(s, reply.status, file, cx);
        }
        ReplyBody::File(file) => {
            let with = fields_of(s, reply, at, cx);
            return answer_with(s, reply.status, &insert(file, &with), cx);
        }
        ReplyBody::Empty => (&[], ""),
        ReplyBody::Bytes(bytes, kind) => (bytes, kind),
        ReplyBody::Format(format, kind) => {
            write_format(s, format, at, cx, &mut body);
            (&body, kind)
        }
    };
    let mut out = status_line(reply.status);
    out.extend_from_slice(&fields_of(s, reply, at, cx));
    // Writing to a vector cannot fail.
    let _ = write!(out, "content-length: {}\r\n", bytes.len());
    if !kind.is_empty() && !bytes.is_empty() {
        let _ = write!(out, "content-type: {kind}\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    answer_with(s, reply.status, &out, cx);
}

fn status_line(status: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let _ = write!(out, "HTTP/1.1 {status} ");
    out.extend_from_slice(reason_of(status));
    out.extend_from_slice(b"\r\n");
    out
}

/// The lines of the fields that a reply adds.
fn fields_of(s: &Session, reply: &Reply, at: (Point, ProxyId), cx: &Cx<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in &reply.fields {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        let before = out.len();
        write_format(s, value, at, cx, &mut out);
        mend(&mut out[before..]);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// What would end a line becomes a space.
fn mend(value: &mut [u8]) {
    for byte in value {
        if matches!(byte, b'\r' | b'\n' | 0) {
            *byte = b' ';
        }
    }
}

/// An answer with more lines at the end of its head.
fn insert(answer: &[u8], lines: &[u8]) -> Vec<u8> {
    match memchr::memmem::find(answer, b"\r\n\r\n") {
        Some(at) => [&answer[..at + 2], lines, &answer[at + 2..]].concat(),
        None => answer.to_vec(),
    }
}

/// Sends a redirect; false if it does not apply after all (`ignore-empty`).
pub(super) fn redirect(
    s: &mut Session,
    redirect: &Redirect,
    at: (Point, ProxyId),
    cx: &mut Cx<'_>,
) -> bool {
    let mut location = text_of(s, &redirect.target, at, cx);
    if location.is_empty() && redirect.ignore_empty {
        return false;
    }
    let request = &s.txn.request;
    let target = request.target();
    let start = path_start(target).min(target.len());
    let query = |path: &[u8]| path.iter().position(|b| *b == b'?').unwrap_or(path.len());
    match redirect.kind {
        RedirectKind::Location => {}
        RedirectKind::Prefix | RedirectKind::Scheme => {
            if redirect.kind == RedirectKind::Scheme {
                location.extend_from_slice(b"://");
                location.extend_from_slice(request.value(Known::Host).unwrap_or_default());
            } else if location == b"/" {
                // A prefix of one slash is none: the path has its own.
                location.clear();
            }
            let mut path = &target[start..];
            if path.is_empty() {
                path = b"/";
            }
            let end = if redirect.drop_query { query(path) } else { path.len() };
            let path = &path[..end];
            location.extend_from_slice(path);
            // As in HAProxy: behind the query, if it was not dropped.
            if redirect.append_slash && !path.ends_with(b"/") {
                location.push(b'/');
            }
        }
    }
    mend(&mut location);
    let status = redirect.status;
    let mut out = match status {
        302 => b"HTTP/1.1 302 Found\r\n".to_vec(),
        _ => status_line(status),
    };
    out.extend_from_slice(b"content-length: 0\r\nlocation: ");
    out.extend_from_slice(&location);
    out.extend_from_slice(b"\r\n");
    if matches!(status, 302 | 303 | 307) {
        out.extend_from_slice(b"cache-control: no-cache\r\n");
    }
    if let Some(cookie) = &redirect.cookie {
        out.extend_from_slice(b"set-cookie: ");
        out.extend_from_slice(cookie);
        out.extend_from_slice(b"\r\n");
    }
    if at.0 == Point::HttpReq && !s.txn.request_flow.is_done() {
        // As in HAProxy: where a body comes with the request, here or not, the connection ends.
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    answer_with(s, status, &out, cx);
    true
}

/// Asks for a name and a password; a proxy's client with 407.
pub(super) fn auth(s: &mut Session, realm: Option<&Format>, at: (Point, ProxyId), cx: &mut Cx<'_>) {
    s.ends_in(Cause::Local, Phase::Request);
    // Whatever the target's form: what is checked is `Authorization`.
    let (status, field) = (401, b"www-authenticate");
    let realm = match realm {
        Some(format) => text_of(s, format, at, cx),
        None => cx.site.proxy(at.1).name.as_bytes().to_vec(),
    };
    let mut line = field.to_vec();
    line.extend_from_slice(b": Basic realm=\"");
    line.extend_from_slice(&realm);
    mend(&mut line);
    line.extend_from_slice(b"\"\r\n");
    let page = crate::analyser::page_of(s, status, cx);
    answer_with(s, status, &insert(&page, &line), cx);
}

/// Sends a 103 with one field in front of the answer (not to HTTP/1.0, which knows none).
pub(super) fn early_hint(
    s: &mut Session,
    (name, value): (&[u8], &Format),
    at: (Point, ProxyId),
    cx: &mut Cx<'_>,
) {
    if s.txn.request.version() != Version::V11 {
        return;
    }
    let text = text_of(s, value, at, cx);
    let head = &mut s.txn.response;
    head.clear();
    head.set_status_line(103, b"Early Hints", Version::V11);
    head.push(name, &text);
    settle(head, Body::None);
    cx.scratch.clear();
    write_response(head, Version::V11, cx.scratch);
    s.txn.count_head(Body::None);
    s.txn.response.clear();
    s.txn.flags.set(TxnFlags::INTERIM);
    // One that does not fit is only a hint.
    let _ = crate::analyser::queue_answer(s, cx);
}

/// `monitor-uri`: whether the request was for us, and is answered.
pub(in crate::analyser) fn monitor(s: &mut Session, cx: &mut Cx<'_>) -> bool {
    let frontend = cx.site.proxy(s.frontend);
    let Some(uri) = &frontend.monitor_uri else { return false };
    let target = s.txn.request.target();
    if target != uri.as_bytes() {
        return false;
    }
    let failed = frontend
        .monitor_fail
        .iter()
        .any(|condition| condition.test(&s.scene(Point::HttpReq, s.frontend, cx)).holds());
    s.ends_in(Cause::Local, Phase::Request);
    // Nobody wants a line for each of these.
    s.txn.log_level = LogLevel::Silent;
    answer(s, if failed { 503 } else { 200 }, cx);
    true
}

/// `http-after-response`: the rules of the backend, then the frontend's, over the response's head.
/// False if one makes what does not fit and has to.
#[must_use]
pub(in crate::analyser) fn after_response(s: &mut Session, cx: &mut Cx<'_>) -> bool {
    let cursor = std::mem::take(&mut s.txn.rule_at);
    let mut fits = true;
    for proxy in [s.backend, s.frontend] {
        if fits && !cx.site.proxy(proxy).rules.after_response.is_empty() {
            // These rules only change the head, or fail.
            fits = run(s, Set::AfterResponse, proxy, true, cx) == Verdict::Done;
        }
        if s.backend == s.frontend {
            break;
        }
    }
    s.txn.rule_at = cursor;
    fits
}
