//! The response's head as the client will see it, and how its body will pass.

use super::process_frontend::{capture, capture_cookie};
use super::wait_response::{put_response, tunnel};
use super::{Verdict, answer, rules};
use crate::channel::{Analysers, FOREVER};
use crate::fault::{Cause, Phase};
use crate::http::{
    Body, Known, UpgradeField, Version, keep_alive_wanted, response_body, settle, settle_unchanged,
    strip_hop_by_hop,
};
use crate::rule::Set;
use crate::session::{Cx, Session, SessionFlags};
use crate::sometimes;
use crate::txn::{Flow, TxnFlags};

/// Rewrites the head and starts the body.
#[inline]
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let plain = cx.site.proxy(s.frontend).plain && cx.site.proxy(s.backend).plain;
    if !plain && let other @ (Verdict::Wait | Verdict::Stop) = looks(s, cx) {
        return other;
    }
    if s.txn.is(TxnFlags::SWITCHES) {
        return tunnel(s, cx);
    }
    let len = s.txn.head_len as usize;
    decide_connections(s);
    prepare_head(s, plain);
    if !put_response(s, len, cx) {
        s.ends_in(Cause::Proxy, Phase::Headers);
        answer(s, 502, cx);
        return Verdict::Stop;
    }
    s.body_begins();
    match s.txn.response_flow {
        Flow::Length(n) => s.res.to_forward = n + u64::from(planted!(ForwardTooFar)),
        Flow::UntilClose => s.res.to_forward = FOREVER,
        Flow::Head | Flow::Chunked(_) | Flow::Done => {}
    }
    s.allow_splice(cx.site);
    s.res.analysers.set(Analysers::FORWARD_RESPONSE);
    Verdict::Done
}

/// Captures, and runs the rules.
fn looks(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let frontend = cx.site.proxy(s.frontend);
    if s.txn.stage == 0 && s.txn.rule_at == 0 && !frontend.captures[1].is_empty() {
        capture(s, 1, &frontend.captures[1]);
    }
    match rules_of_both(s, cx) {
        Verdict::Done => {}
        other => return other,
    }
    if let Some(wanted) = &frontend.capture_cookie {
        capture_cookie(s, 1, wanted);
    }
    Verdict::Done
}

/// Runs the backend's rules, then the frontend's, then those that look at every answer; from where
/// they waited.
fn rules_of_both(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    const SETS: [(Set, bool); 3] =
        [(Set::ResponseContent, false), (Set::HttpResponse, false), (Set::HttpResponse, true)];
    let site = cx.site;
    while let Some((set, front)) = SETS.get(usize::from(s.txn.stage)) {
        let proxy = if *front { s.frontend } else { s.backend };
        let own = !*front || s.backend != s.frontend;
        if own && !site.proxy(proxy).rules.set(*set).is_empty() {
            match rules::run(s, *set, proxy, true, cx) {
                Verdict::Done => {}
                other => return other,
            }
        }
        s.txn.stage += 1;
    }
    s.txn.stage = 0;
    if !rules::after_response(s, cx) {
        s.ends_in(Cause::Proxy, Phase::Headers);
        answer(s, 500, cx);
        return Verdict::Stop;
    }
    Verdict::Done
}

/// Decides which connections outlive this exchange.
fn decide_connections(s: &mut Session) {
    let txn = &mut s.txn;
    if !keep_alive_wanted(&txn.response) && !planted!(ReusedAfterClose) {
        txn.flags.set(TxnFlags::SERVER_CLOSE);
    }
    if txn.response.has(Known::ContentLength) && txn.response.has(Known::TransferEncoding) {
        // Two lengths, be it of a body that is not sent: who believes the other one sees other
        // answers behind this (RFC 9112 section 6.3).
        txn.flags.set(TxnFlags::SERVER_CLOSE);
    }
    if matches!(txn.response_flow, Flow::UntilClose) {
        txn.flags.set(TxnFlags::SERVER_CLOSE.with(TxnFlags::CLIENT_CLOSE));
    }
    sometimes!(EarlyAnswer, !txn.request_flow.is_done());
    if txn.request.version() == Version::V10 && matches!(txn.response_flow, Flow::Chunked(_)) {
        // An HTTP/1.0 client knows no chunks (RFC 9112 section 6.1): its body ends with the
        // connection.
        txn.flags.set(TxnFlags::UNCHUNK.with(TxnFlags::CLIENT_CLOSE));
    }
    if s.flags.has(SessionFlags::STOPPING) {
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
    }
}

/// `unchanged`: the head is as the server sent it.
fn prepare_head(s: &mut Session, unchanged: bool) {
    let close = s.txn.is(TxnFlags::CLIENT_CLOSE);
    let from_10 = s.txn.request.version() == Version::V10;
    let head = &mut s.txn.response;
    strip_hop_by_hop(head, UpgradeField::Strip);
    match s.txn.response_flow {
        _ if s.txn.flags.has(TxnFlags::UNCHUNK) => settle(head, Body::UntilClose),
        Flow::Length(n) if unchanged => settle_unchanged(head, Body::Length(n)),
        Flow::Length(n) => settle(head, Body::Length(n)),
        Flow::Chunked(_) => settle(head, Body::Chunked),
        Flow::UntilClose => settle(head, Body::UntilClose),
        // The body was looked at before, so that this cannot fail.
        Flow::Head | Flow::Done => {
            settle(head, response_body(head, s.txn.request.method()).unwrap_or(Body::None));
        }
    }
    match (close, head.version()) {
        (true, Version::V11) => head.push_known(Known::Connection, b"close"),
        (false, Version::V10) => head.push_known(Known::Connection, b"keep-alive"),
        (false, Version::V11) if from_10 => head.push_known(Known::Connection, b"keep-alive"),
        _ => {}
    }
}
