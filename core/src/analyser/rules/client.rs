//! Rules that look at a client's connection before it has a session: `tcp-request connection` and
//! `session`.

use super::point;
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
        Action::SetVar { var, value, .. } => {
            let scene = client_scene(at, &Surroundings::of(cx));
            match &**value {
                Value::Expr(expr) => {
                    if let Some(value) = expr.eval(&scene).value {
                        scene.set_var(*var, value);
                    }
                }
                Value::Format(format) => {
                    let mut text = Vec::new();
                    format.write(&scene, usize::from(u16::MAX), &mut text);
                    scene.set_var(*var, Sampled::Str(&text));
                }
            }
        }
        Action::UnsetVar(var) => client_scene(at, &Surroundings::of(cx)).unset_var(*var),
        Action::SetAddress(end, expr) => {
            let ip = {
                let scene = client_scene(at, &Surroundings::of(cx));
                expr.eval(&scene).value.and_then(Sampled::to_ip)
            };
            if let (Some(ip), Some(Peer::Inet(address))) = (ip, end_of(cx, *end)) {
                address.set_ip(ip);
            }
        }
        Action::SetPort(end, expr) => {
            let port = {
                let scene = client_scene(at, &Surroundings::of(cx));
                expr.eval(&scene).value.and_then(Sampled::to_int)
            };
            if let (Some(port), Some(Peer::Inet(address))) = (port, end_of(cx, *end)) {
                address.set_port(port as u16);
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
