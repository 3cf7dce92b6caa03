//! Rules that look at a client's connection before it has a session: `tcp-request connection` and
//! `session`.

use super::{Part, assign, point};
use crate::conn::ClientFlags;
use crate::conn::client::Marks;
use crate::poller::Peer;
use crate::rule::{Action, End, Rule, Set, Value};
use crate::sample::Value as Sampled;
use crate::session::{Cx, Surroundings, client_scene};

/// Runs one of the sets. Some if the client is refused; true inside if it shall not be told.
pub(in crate::analyser) fn run(set: Set, cx: &mut Cx<'_>) -> Option<bool> {
    for rule in cx.site.proxy(cx.client.frontend).rules.set(set) {
        if !applies(rule, set, cx) {
            continue;
        }
        cx.desk.note(&rule.file, rule.line, &rule.text);
        match &rule.action {
            Action::Allow => return None,
            Action::Reject => return Some(false),
            Action::SilentDrop => return Some(true),
            Action::ExpectProxy => cx.client.flags.set(ClientFlags::EXPECTS_PROXY),
            action => apply(action, set, cx),
        }
    }
    None
}

fn applies(rule: &Rule, set: Set, cx: &Cx<'_>) -> bool {
    match &rule.condition {
        None => true,
        Some(condition) => {
            let at = (point(set), cx.client.frontend);
            condition.test(&client_scene(at, &Surroundings::of(cx))).holds()
        }
    }
}

fn apply(action: &Action, set: Set, cx: &mut Cx<'_>) {
    let at = (point(set), cx.client.frontend);
    match action {
        Action::SetVar { var, value, when } => {
            let mut text = Vec::new();
            let scene = client_scene(at, &Surroundings::of(cx));
            let new = match &**value {
                Value::Expr(expr) => expr.eval(&scene).value,
                Value::Format(format) => {
                    format.write(&scene, usize::from(u16::MAX), &mut text);
                    Some(Sampled::Str(&text))
                }
            };
            if let Some(new) = new {
                assign(&scene, *var, new, when);
            }
        }
        Action::UnsetVar(var) => client_scene(at, &Surroundings::of(cx)).unset_var(*var),
        Action::SetAddress(end, _) | Action::SetPort(end, _) => {
            let part = Part::of(action, &client_scene(at, &Surroundings::of(cx)));
            if let (Some(part), Some(end)) = (part, end_of(cx, *end)) {
                part.put(end);
            }
        }
        Action::SetTos(tos) => {
            cx.client.mark(Marks { tos: Some(*tos), mark: None });
        }
        Action::SetMark(mark) => {
            cx.client.mark(Marks { tos: None, mark: Some(*mark) });
        }
        _ => {}
    }
}

fn end_of<'c>(cx: &'c mut Cx<'_>, end: End) -> Option<&'c mut Peer> {
    match end {
        End::Source => Some(cx.client.peer_mut()),
        End::Destination => cx.client.destination_mut(),
    }
}
