//! Rules: `tcp-request`, `tcp-response`, `http-request`, `http-response`, `http-after-response`.
//!
//! Only verdicts that always apply are compiled. Since nothing else is evaluated, the first of them
//! decides its rule set, and the rules behind it never run.

use crate::config::keywords::{self, Context, Status};
use crate::config::{Span, Statement};
use crate::proxy::spec::Rule;
use crate::reply;

use super::Builder;
use super::args::Args;
use super::condition;
use super::draft::{Draft, Verdict};

impl Builder<'_> {
    /// `ruleset` is the words that begin the rule.
    pub(super) fn rule(&mut self, draft: &mut Draft, statement: &Statement, ruleset: &'static str) {
        let context = Context::Rule(ruleset);
        let at = ruleset.split(' ').count();
        // Some actions have their argument in parentheses, right behind the name.
        let action = statement.word(at).split('(').next().unwrap_or_default();
        let Some(keyword) = keywords::find(context, &[action]) else {
            self.unknown(context, statement, at);
            return;
        };
        if let Status::Unsafe(reason) = keyword.status {
            // A rule whose condition never holds does nothing.
            let words = &statement.words[at + 1..];
            let condition = words.iter().position(|w| matches!(w.as_str(), "if" | "unless"));
            if let Some(start) = condition
                && matches!(condition::verdict(&words[start..]), condition::Verdict::Never)
            {
                return;
            }
            let span = statement.place(0).to(statement.place(at));
            let message = format!("'{ruleset} {action}' is not supported yet: {reason}");
            self.diagnostics.alert(span, message);
            return;
        }
        let span = statement.place(0).to(statement.place(at));
        if !self.usable(context, keyword, span) {
            return;
        }
        let mut args =
            Args::new(statement, at + 1, format!("{ruleset} {action}"), &mut self.diagnostics);
        let verdict = match (ruleset, action) {
            (_, "accept" | "allow") => Verdict::Allow,
            ("tcp-request connection" | "tcp-request session", "reject") => {
                Verdict::Apply(Rule::RejectConnection)
            }
            ("tcp-request content", "reject") => Verdict::Apply(Rule::RejectContent),
            ("http-request", "reject") => Verdict::Apply(Rule::Reject),
            ("http-request", "deny" | "tarpit") => {
                let tarpit = action == "tarpit";
                let Some(status) = deny_status(&mut args, if tarpit { 500 } else { 403 }) else {
                    return;
                };
                Verdict::Apply(if tarpit { Rule::Tarpit { status } } else { Rule::Deny { status } })
            }
            ("tcp-request connection", "expect-proxy") => {
                if args.choice(&[("layer4", ())]).is_none() {
                    return;
                }
                Verdict::ExpectProxy
            }
            // Without TLS there is no handshake to wait for.
            (_, "wait-for-handshake") => return,
            _ => {
                debug_assert!(false, "'{ruleset} {action}' is said to work and is not compiled");
                return;
            }
        };
        let rest = &statement.words[args.position()..];
        match condition::verdict(rest) {
            condition::Verdict::Always => {}
            condition::Verdict::Never => return,
            condition::Verdict::Stray(span) => {
                let message = format!("'{ruleset} {action}' expects 'if' or 'unless'");
                self.diagnostics.alert(span, message);
                return;
            }
            condition::Verdict::Depends(span) => {
                self.depends(ruleset, action, span);
                return;
            }
        }
        if verdict == Verdict::ExpectProxy {
            // It decides nothing, so that what follows counts too.
            draft.proxy.expect_proxy |= !draft.accepts_connections;
            return;
        }
        let set = match ruleset {
            "tcp-request connection" | "tcp-request session" => 0,
            "tcp-request content" => 1,
            _ => {
                draft.http_only.push(("http-request", span));
                2
            }
        };
        // An `accept` of a connection ends `tcp-request connection` only; `session` goes on.
        let slot = &mut draft.verdicts[set];
        let connection_accept = ruleset == "tcp-request connection" && verdict == Verdict::Allow;
        draft.accepts_connections |= connection_accept;
        if slot.is_none() && !connection_accept {
            *slot = Some(verdict);
        }
    }

    fn depends(&mut self, ruleset: &str, action: &str, span: Span) {
        let message = format!(
            "conditions are not evaluated yet, and '{ruleset} {action}' would let through or \
             refuse the wrong traffic"
        );
        let found = self.diagnostics.alert(span, message);
        found.help.push("remove the rule, or its condition if it may apply to everything".into());
    }
}

/// `[ { status | deny_status } <code> ]`, up to a condition.
fn deny_status(args: &mut Args<'_, '_>, default: u16) -> Option<u16> {
    let mut status = default;
    while let Some(word) = args.peek() {
        match word.as_str() {
            "deny_status" | "status" => {
                args.next();
                let word = args.need("a status")?;
                status = match word.as_str().parse() {
                    Ok(status) if reply::is_known(status) => status,
                    _ => {
                        let known: Vec<String> = reply::known().map(|s| s.to_string()).collect();
                        let message =
                            format!("'{}' : invalid status '{}'", args.name(), word.as_str());
                        args.alert(word.span, message, &format!("known are: {}", known.join(", ")));
                        return None;
                    }
                };
            }
            "if" | "unless" => break,
            other => {
                let message = format!("'{}' : '{other}' is not supported yet", args.name());
                let help = "only 'deny_status <code>' is; 'errorfile' sets the page of a status";
                args.alert(word.span, message, help);
                return None;
            }
        }
    }
    Some(status)
}
