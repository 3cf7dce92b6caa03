//! The frontend's `http-request` rules.

use super::{Verdict, answer, tarpit};
use crate::fault::{Cause, Phase};
use crate::proxy::spec::{Options, ProxyId, Rule};
use crate::session::{Cx, Session};
use crate::txn::TxnFlags;

/// Runs the frontend's rules.
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    if cx.site.proxy(s.frontend).options.has(Options::HTTP_CLOSE) {
        s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
    }
    rules(s, s.frontend, cx)
}

/// Runs one proxy's rules in order.
pub(super) fn rules(s: &mut Session, proxy: ProxyId, cx: &mut Cx<'_>) -> Verdict {
    for rule in &cx.site.proxy(proxy).request_rules {
        match *rule {
            Rule::Allow => break,
            Rule::Deny { status } => {
                s.ends_in(Cause::Proxy, Phase::Request);
                answer(s, status, cx);
                return Verdict::Stop;
            }
            Rule::Reject | Rule::RejectContent => {
                s.ends_in(Cause::Proxy, Phase::Request);
                s.times.request = None;
                s.abort(cx);
                return Verdict::Stop;
            }
            Rule::Tarpit { status } => {
                tarpit::hold(s, status, proxy, cx);
                return Verdict::Stop;
            }
            Rule::RejectConnection => {}
        }
    }
    Verdict::Done
}
