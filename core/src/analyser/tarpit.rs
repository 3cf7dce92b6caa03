//! The tarpit: a request is held for a while, then refused.

use super::{Verdict, answer, refusal, rules};
use crate::channel::{Analysers, Facts};
use crate::fault::{Cause, Phase};
use crate::proxy::shared::errors::Direction;
use crate::proxy::spec::ProxyId;
use crate::rule::{Action, Rule};
use crate::sample::Point;
use crate::session::{Cx, Session};
use crate::time::{Deadline, Duration};

/// Starts holding the request.
pub(super) fn hold(s: &mut Session, status: u16, proxy: ProxyId, cx: &mut Cx<'_>) {
    s.req.analysers = Analysers::TARPIT;
    s.txn.status = status;
    s.txn.tarpit = Some((proxy, s.txn.rule_at));
    s.times.request = None;
    let timeouts = &cx.site.proxy(proxy).timeouts;
    let time = timeouts.tarpit.or(timeouts.connect).unwrap_or(Duration::ZERO);
    s.request_expiry = Deadline::after(cx.now.mono, Some(time));
}

/// A client that left need not be held.
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    if !s.req.is(Facts::SHUTR) {
        return Verdict::Wait;
    }
    release(s, cx);
    Verdict::Stop
}

/// The time is over: refuse it.
pub fn release(s: &mut Session, cx: &mut Cx<'_>) {
    let status = s.txn.status;
    let held = s.txn.tarpit;
    s.times.queued = Some(cx.now.mono);
    refusal::count(s, Direction::Request);
    s.ends_in(Cause::Proxy, Phase::Tarpit);
    let site = cx.site;
    let rule = held.and_then(|(proxy, index)| {
        Some((proxy, site.proxy(proxy).rules.http_request.get(index as usize)?))
    });
    match rule {
        Some((proxy, Rule { action: Action::Tarpit(reply), .. })) => {
            rules::reply(s, reply, (Point::HttpReq, proxy), cx);
        }
        _ => answer(s, status, cx),
    }
}
