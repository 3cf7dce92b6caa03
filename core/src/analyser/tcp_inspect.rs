//! `tcp-request content`: the first look at a TCP session's bytes.

use super::Verdict;
use crate::fault::{Cause, Phase};
use crate::proxy::spec::Rule;
use crate::session::{Cx, Session};

/// Runs the frontend's rules that need no bytes.
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    for rule in &cx.site.proxy(s.frontend).request_rules {
        match rule {
            Rule::RejectContent => {
                s.ends_in(Cause::Proxy, Phase::Request);
                s.abort(cx);
                return Verdict::Stop;
            }
            Rule::Allow => break,
            // `tcp-request connection` was looked at when the client was accepted; the others are
            // HTTP's.
            Rule::RejectConnection | Rule::Deny { .. } | Rule::Reject | Rule::Tarpit { .. } => {}
        }
    }
    Verdict::Done
}
