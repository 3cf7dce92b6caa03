//! What the frontend does with a request before it chooses a backend: captures, `monitor-uri`, and
//! its rules.

use super::{Verdict, answer, make_unique_id, rules};
use crate::fault::{Cause, Phase};
use crate::proxy::spec::{Capture, CaptureCookie, Options, ProxyId};
use crate::rule::Set;
use crate::session::{Cx, Session, SessionFlags};
use crate::txn::TxnFlags;

/// Runs the frontend's rules.
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let frontend = cx.site.proxy(s.frontend);
    if frontend.options.has(Options::HTTP_CLOSE) {
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
    }
    if frontend.plain {
        return Verdict::Done;
    }
    if s.txn.stage == 0 && s.txn.rule_at == 0 {
        if !frontend.captures[0].is_empty() {
            capture(s, 0, &frontend.captures[0]);
        }
        if cx.site.wants.unique_id {
            make_unique_id(s, cx);
        }
        if frontend.monitor_uri.is_some() && rules::monitor(s, cx) {
            return Verdict::Stop;
        }
    }
    if frontend.options.has(Options::BUFFER_REQUEST) {
        match rules::buffer_request(s, s.frontend, cx) {
            Verdict::Done => {}
            other => return other,
        }
    }
    sets(s, s.frontend, cx)
}

/// Keeps the last field of each name that is to be captured: of the request, or (1) the response.
pub(super) fn capture(s: &mut Session, which: usize, declared: &[Capture]) {
    let head = if which == 0 { &s.txn.request } else { &s.txn.response };
    let slots = &mut s.txn.captures[which];
    slots.resize(declared.len(), None);
    for (slot, capture) in slots.iter_mut().zip(declared) {
        let Some(name) = &capture.header else { continue };
        *slot = head.named(name.as_bytes()).next_back().map(|value| {
            let len = value.len().min(capture.len as usize);
            value[..len].into()
        });
    }
}

/// Keeps the first cookie whose text begins as wanted: of the request, or (1) of the response, of
/// whose fields each sets one.
pub(super) fn capture_cookie(s: &mut Session, which: usize, wanted: &CaptureCookie) {
    let (head, name) = match which {
        0 => (&s.txn.request, &b"cookie"[..]),
        _ => (&s.txn.response, &b"set-cookie"[..]),
    };
    let cookies = head.named(name).flat_map(|value| {
        let parts = if which == 0 { usize::MAX } else { 1 };
        value.split(|b| *b == b';').take(parts).map(<[u8]>::trim_ascii)
    });
    let found = cookies.into_iter().find(|cookie| cookie.starts_with(&wanted.begins));
    s.txn.cookies[which] =
        found.map(|cookie| cookie[..cookie.len().min(wanted.len as usize)].into());
}

/// `option http-restrict-req-hdr-names`: what becomes of fields whose names CGI and its kin could
/// take for others. False if the request is refused.
fn restrict_names(s: &mut Session, proxy: ProxyId, cx: &mut Cx<'_>) -> bool {
    let options = cx.site.proxy(proxy).options;
    if !options.any(Options::ODD_NAMES) {
        return true;
    }
    let plain = |name: &[u8]| name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    if options.has(Options::DELETE_ODD_NAMES) {
        s.txn.request.retain(|name, _| plain(name));
    } else if s.txn.request.fields().any(|(name, _)| !plain(name)) {
        s.ends_in(Cause::Proxy, Phase::Request);
        answer(s, 403, cx);
        return false;
    }
    true
}

/// Runs one proxy's rule sets for requests, in order, from where they waited.
pub(super) fn sets(s: &mut Session, proxy: ProxyId, cx: &mut Cx<'_>) -> Verdict {
    const SETS: [Set; 3] = [Set::Content, Set::HttpRequest, Set::Redirect];
    while let Some(set) = SETS.get(usize::from(s.txn.stage)) {
        let inspected =
            *set == Set::Content && proxy == s.frontend && s.flags.has(SessionFlags::INSPECTED);
        if !cx.site.proxy(proxy).rules.set(*set).is_empty() && !inspected {
            // The head is here: what is not there now will not come.
            match rules::run(s, *set, proxy, true, cx) {
                Verdict::Done => {}
                other => return other,
            }
        }
        if *set == Set::HttpRequest && !restrict_names(s, proxy, cx) {
            s.txn.stage = 0;
            return Verdict::Stop;
        }
        s.txn.stage += 1;
    }
    s.txn.stage = 0;
    Verdict::Done
}
