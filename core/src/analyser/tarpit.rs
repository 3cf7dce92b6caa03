//! The tarpit: a request is held for a while, then refused.

use super::{Verdict, answer, refusal, rules};
use crate::channel::{Analysers, Facts};
use crate::fault::{Cause, Phase};
use crate::proxy::shared::errors::Direction;
use crate::proxy::spec::{Options, ProxyId, Role, Site};
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
    let time = cx.site.proxy(proxy).timeouts.tarpit.filter(|time| *time > Duration::ZERO);
    if time.is_none() {
        return release(s, cx);
    }
    s.request_expiry = Deadline::after(cx.now.mono, time);
}

/// A client that left need not be held, where that is looked for (see [`notices_end`]).
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    if !s.req.is(Facts::SHUTR) || !notices_end(s, cx.site) {
        return Verdict::Wait;
    }
    if s.txn.request_flow.is_done() && !s.req.is(Facts::READ_ERROR) {
        release(s, cx);
    } else {
        // Nobody is there to be told.
        ends(s, cx);
        s.abort(cx);
    }
    Verdict::Stop
}

/// Whether it matters that the client of a held request leaves: in its body, and where
/// `option abortonclose` of the `listen` that it came to says so.
pub fn notices_end(s: &Session, site: &Site) -> bool {
    let frontend = site.proxy(s.frontend);
    let asked = frontend.role.has(Role::BACKEND) && frontend.options.has(Options::ABORT_ON_CLOSE);
    asked || !s.txn.request_flow.is_done()
}

/// The time is over: refuse it.
pub fn release(s: &mut Session, cx: &mut Cx<'_>) {
    let status = s.txn.status;
    let held = s.txn.tarpit;
    ends(s, cx);
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

fn ends(s: &mut Session, cx: &mut Cx<'_>) {
    s.times.queued = Some(cx.now.mono);
    refusal::count(s, Direction::Request);
    s.ends_in(Cause::Proxy, Phase::Tarpit);
}
