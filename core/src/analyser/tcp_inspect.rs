//! `tcp-request content` and `tcp-response content` in TCP mode: a look at the bytes before they
//! pass, for as long as `inspect-delay` allows.

use super::{Verdict, rules};
use crate::channel::{FOREVER, Facts};
use crate::proxy::spec::ProxyId;
use crate::rule::Set;
use crate::session::{Cx, Session};
use crate::side::Step;
use crate::time::{Deadline, Duration};

/// Runs the frontend's rules.
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    if cx.site.wants.numbers {
        s.take_number(cx);
    }
    inspect(s, Set::Content, s.frontend, cx)
}

/// Runs the backend's rules, then asks for a server.
pub(super) fn run_backend(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let verdict = inspect(s, Set::Content, s.backend, cx);
    if verdict == Verdict::Done {
        s.back.state.step(Step::Want);
    }
    verdict
}

/// Runs the backend's rules over the server's bytes.
pub(super) fn run_response(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let verdict = inspect(s, Set::ResponseContent, s.backend, cx);
    if verdict == Verdict::Done {
        s.res.to_forward = FOREVER;
        s.res.forward();
    }
    verdict
}

fn inspect(s: &mut Session, set: Set, proxy: ProxyId, cx: &mut Cx<'_>) -> Verdict {
    let all = &cx.site.proxy(proxy).rules;
    if all.set(set).is_empty() {
        return Verdict::Done;
    }
    let response = set == Set::ResponseContent;
    let delay = if response { all.response_delay } else { all.inspect_delay };
    if !response {
        s.peek_for_head(cx.site);
    }
    let channel = if response { &s.res } else { &s.req };
    let full = channel.input().len() >= room(cx);
    let ended = channel.is(Facts::SHUTR);
    let over = s.rule_expiry.is_due(cx.now.mono);
    let last = delay.is_none() || full || ended || over;
    let verdict = rules::run(s, set, proxy, last, cx);
    match verdict {
        Verdict::Wait if !s.rule_expiry.is_set() => {
            let delay = delay.unwrap_or(Duration::ZERO);
            s.rule_expiry = Deadline::after(cx.now.mono, Some(delay));
        }
        Verdict::Wait => {}
        Verdict::Done | Verdict::Stop => s.rule_expiry = Deadline::NEVER,
    }
    verdict
}

/// As many bytes as are looked at.
fn room(cx: &Cx<'_>) -> usize {
    (cx.site.tunables.bufsize - cx.site.tunables.maxrewrite) as usize
}
