//! Carries out rules: the first that applies, what it does, and on behind it until one decides.
//!
//! - `headers`: fields · `target`: method, target · `answers`: pages, redirects, authentication
//! - here: the order, variables, and what concerns the session itself

mod answers;
mod client;
mod headers;
mod target;

use core::net::IpAddr;

use super::{Verdict, answer, make_unique_id, tarpit};
use crate::acl::Truth;
use crate::channel::Facts;
use crate::conn::client::Marks;
use crate::fault::{Cause, Phase};
use crate::logfmt::format::Format;
use crate::poller::Peer;
use crate::proxy::spec::{Mode, ProxyId};
use crate::rule::{Action, End, Rule, Set, TimeoutValue, UniqueId, Value, Which};
use crate::sample::conv::Condition;
use crate::sample::vars::VarId;
use crate::sample::{Change, Point, Scene, Value as Sampled};
use crate::session::{Cx, Session, SessionFlags, Witnesses};
use crate::time::{Deadline, Duration};
use crate::txn::{Flow, LogLevel, TxnFlags};

pub(super) use answers::{after_response, monitor, reply};
pub(super) use client::run as client;

/// What became of one rule.
enum Step {
    /// The next one.
    Next,
    /// The set is done.
    Last,
    /// Wait here.
    Wait,
    /// The exchange has taken another turn.
    Stop,
}

/// The point at which a set's expressions stand.
pub(super) const fn point(set: Set) -> Point {
    match set {
        Set::Connection => Point::Connection,
        Set::Session => Point::Session,
        Set::Content => Point::ReqContent,
        Set::HttpRequest | Set::Redirect => Point::HttpReq,
        Set::ResponseContent => Point::ResContent,
        Set::HttpResponse | Set::AfterResponse => Point::HttpRes,
    }
}

/// Runs one set of a proxy's rules, from where it waited. `last` says that nothing more will come
/// of what has not come yet.
pub(super) fn run(
    s: &mut Session,
    set: Set,
    proxy: ProxyId,
    last: bool,
    cx: &mut Cx<'_>,
) -> Verdict {
    let site = cx.site;
    let rules = site.proxy(proxy).rules.set(set);
    let soft = TxnFlags::SOFT_REQUEST.with(TxnFlags::SOFT_RESPONSE);
    while let Some(rule) = rules.get(s.txn.rule_at as usize) {
        if rule.unique_id == UniqueId::Tested && s.has_request() {
            make_unique_id(s, cx);
        }
        let truth = match &rule.condition {
            None => Truth::Yes,
            Some(condition) => {
                let mut scene = s.scene(point(set), proxy, cx);
                scene.last_look = last;
                scene.req.more &= !last;
                scene.res.more &= !last;
                condition.test(&scene)
            }
        };
        if truth == Truth::Maybe && !last {
            keep_all(s, cx);
            // With more bytes the rules above may find what they did not find yet.
            s.txn.rule_at = 0;
            return Verdict::Wait;
        }
        let step = if truth.holds() {
            cx.desk.note(&rule.file, rule.line, &rule.text);
            if rule.unique_id == UniqueId::Applied && s.has_request() {
                make_unique_id(s, cx);
            }
            apply(s, rule, (set, proxy), cx)
        } else {
            Step::Next
        };
        keep_all(s, cx);
        match step {
            Step::Next => s.txn.rule_at += 1,
            Step::Last => break,
            Step::Wait => return Verdict::Wait,
            Step::Stop => {
                s.txn.rule_at = 0;
                s.txn.flags.clear(soft);
                return Verdict::Stop;
            }
        }
    }
    s.txn.rule_at = 0;
    // `strict-mode` is for the rest of its set.
    s.txn.flags.clear(soft);
    Verdict::Done
}

fn apply(s: &mut Session, rule: &Rule, (set, proxy): (Set, ProxyId), cx: &mut Cx<'_>) -> Step {
    let response = matches!(set, Set::HttpResponse | Set::AfterResponse | Set::ResponseContent);
    let phase = if response { Phase::Headers } else { Phase::Request };
    let at = (point(set), proxy);
    match &rule.action {
        Action::Allow => {
            ended_by(s, rule);
            Step::Last
        }
        Action::Deny(reply) => {
            ended_by(s, rule);
            s.ends_in(Cause::Proxy, phase);
            answers::reply(s, reply, at, cx);
            Step::Stop
        }
        Action::Tarpit(reply) => {
            ended_by(s, rule);
            tarpit::hold(s, reply.status, proxy, cx);
            Step::Stop
        }
        Action::Return(reply) => {
            s.ends_in(Cause::Local, phase);
            // What it says does not know yet that it was the last one.
            answers::reply(s, reply, at, cx);
            ended_by(s, rule);
            Step::Stop
        }
        Action::Redirect(redirect) => {
            if !answers::redirect(s, redirect, at, cx) {
                return Step::Next;
            }
            ended_by(s, rule);
            s.ends_in(Cause::Local, phase);
            Step::Stop
        }
        Action::Auth { realm } => {
            ended_by(s, rule);
            answers::auth(s, realm.as_deref(), at, cx);
            Step::Stop
        }
        Action::Reject => {
            ended_by(s, rule);
            // In TCP mode the data of the response have begun.
            let data = set == Set::ResponseContent;
            s.ends_in(Cause::Proxy, if data { Phase::Data } else { phase });
            s.times.request = None;
            s.abort(cx);
            Step::Stop
        }
        Action::SilentDrop => {
            ended_by(s, rule);
            // In whatever set: HAProxy says that it was the request.
            s.ends_in(Cause::Proxy, Phase::Request);
            match set {
                Set::HttpResponse => {
                    s.times.response = None;
                    // What was here of the body counts as if it had gone on its way.
                    let head = s.txn.head_len as usize;
                    s.txn.body_bytes += s.res.input().len().saturating_sub(head) as u64;
                }
                Set::ResponseContent => {}
                _ => s.times.request = None,
            }
            s.flags.set(SessionFlags::SILENT);
            s.abort(cx);
            Step::Stop
        }
        Action::Close => {
            // The server is done with; what it said until now is for the client.
            ended_by(s, rule);
            s.close_back();
            Step::Last
        }
        Action::SetHeader(..)
        | Action::AddHeader(..)
        | Action::DelHeader(_)
        | Action::ReplaceHeader(..)
        | Action::ReplaceValue(..)
        | Action::SetStatus { .. } => {
            let fits = headers::apply(s, &rule.action, response, at, cx);
            let soft = if response { TxnFlags::SOFT_RESPONSE } else { TxnFlags::SOFT_REQUEST };
            if fits || s.txn.is(soft) {
                return Step::Next;
            }
            ended_by(s, rule);
            if set == Set::AfterResponse {
                // Whoever makes the answer goes on.
                return Step::Stop;
            }
            s.ends_in(Cause::Proxy, phase);
            if !response {
                s.times.request = None;
            }
            answer(s, 500, cx);
            Step::Stop
        }
        Action::EarlyHint(name, value) => {
            answers::early_hint(s, (name, value), at, cx);
            Step::Next
        }
        Action::SetMethod(_)
        | Action::SetPath(_)
        | Action::SetPathq(_)
        | Action::SetQuery(_)
        | Action::SetUri(_)
        | Action::ReplacePath(..)
        | Action::ReplacePathq(..)
        | Action::ReplaceUri(..)
        | Action::Normalize(_) => match target::apply(s, &rule.action, at, cx) {
            Ok(()) => Step::Next,
            Err(status) => {
                ended_by(s, rule);
                s.ends_in(Cause::Proxy, phase);
                s.times.request = None;
                s.txn.flags.set(TxnFlags::CLIENT_CLOSE);
                answer(s, status, cx);
                Step::Stop
            }
        },
        Action::SetVar { var, value, when } => {
            set_var(s, *var, value, when, at, cx);
            Step::Next
        }
        Action::UnsetVar(var) => {
            s.scene(at.0, at.1, cx).unset_var(*var);
            Step::Next
        }
        Action::SetAddress(end, _) | Action::SetPort(end, _) => {
            let part = Part::of(&rule.action, &s.scene(at.0, at.1, cx));
            if let (Some(part), Some(end)) = (part, end_of(s, *end, cx)) {
                part.put(end);
            }
            Step::Next
        }
        Action::SetLogLevel(level) => {
            s.txn.log_level = match level {
                Some(level) => LogLevel::Is(*level),
                None => LogLevel::Silent,
            };
            Step::Next
        }
        Action::Capture { slot, len, expr } => {
            let text: Option<Box<[u8]>> = {
                let scene = s.scene(at.0, at.1, cx);
                expr.text(&scene).map(|text| text[..text.len().min(*len as usize)].into())
            };
            keep(s, response, *slot, text, cx);
            Step::Next
        }
        Action::StrictMode(strict) => {
            let soft = if response { TxnFlags::SOFT_RESPONSE } else { TxnFlags::SOFT_REQUEST };
            s.txn.flags.clear(soft);
            if !strict {
                s.txn.flags.set(soft);
            }
            Step::Next
        }
        Action::DisableL7Retry => {
            s.flags.set(SessionFlags::NO_RETRY);
            Step::Next
        }
        Action::WaitForBody { time, at_least } => {
            wait_for_body(s, response, (*time, *at_least), cx)
        }
        Action::SetTimeout(which, value) => {
            let time = match &**value {
                TimeoutValue::Fixed(time) => Some(*time),
                TimeoutValue::Expr(expr) => {
                    let scene = s.scene(at.0, at.1, cx);
                    let millis = expr.eval(&scene).value.and_then(Sampled::to_int);
                    millis.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis)
                }
            };
            if let Some(time) = time.filter(|time| *time > Duration::ZERO) {
                match which {
                    Which::Server => s.txn.server_timeout = Some(time),
                    Which::Tunnel => s.txn.tunnel_timeout = Some(time),
                }
            }
            Step::Next
        }
        Action::Patterns { change, file, key, value } => {
            let key = text_of(s, key, at, cx);
            let value = value.as_ref().map(|value| text_of(s, value, at, cx));
            for file in &cx.site.changed[*file as usize] {
                let (key, value) = (key[..].into(), value.as_deref().map(Into::into));
                let change = Change::Patterns { change: *change, file: *file, key, value };
                cx.desk.change(cx.site, change);
            }
            Step::Next
        }
        Action::SetPriorityClass(expr) | Action::SetPriorityOffset(expr) => {
            let n = {
                let scene = s.scene(at.0, at.1, cx);
                expr.eval(&scene).value.and_then(Sampled::to_int)
            };
            if let Some(n) = n {
                let class = matches!(rule.action, Action::SetPriorityClass(_));
                let (low, high) = if class { (-2047, 2047) } else { (-524_287, 524_287) };
                let n = n.clamp(low, high) as i32;
                let (of_class, of_offset) = &mut s.txn.priority;
                *(if class { of_class } else { of_offset }) = n;
            }
            Step::Next
        }
        Action::SetTos(tos) => {
            s.mark_client(Marks { tos: Some(*tos), mark: None }, cx.client);
            Step::Next
        }
        Action::SetMark(mark) => {
            s.mark_client(Marks { tos: None, mark: Some(*mark) }, cx.client);
            Step::Next
        }
        Action::SwitchHttp => {
            ended_by(s, rule);
            if s.mode == Mode::Tcp {
                s.becomes_http(cx);
            }
            Step::Last
        }
        Action::SetNice(nice) => {
            s.errands_mut().nice = Some(*nice);
            Step::Next
        }
        Action::ExpectProxy | Action::Nothing => Step::Next,
    }
}

/// Notes the rule that ended a set (`last_rule_file`, `last_rule_line`).
fn ended_by(s: &mut Session, rule: &Rule) {
    s.txn.last_rule = Some((rule.file.clone(), rule.line));
}

/// What `set-src` and its kin give an end of the client's connection.
enum Part {
    Ip(IpAddr),
    Port(u16),
}

impl Part {
    /// None if the rule's expression has no value.
    fn of(action: &Action, scene: &Scene<'_>) -> Option<Part> {
        match action {
            Action::SetAddress(_, expr) => expr.eval(scene).value?.to_ip().map(Part::Ip),
            Action::SetPort(_, expr) => {
                expr.eval(scene).value?.to_int().map(|port| Part::Port(port as u16))
            }
            _ => None,
        }
    }

    /// An end that is no IP address stays as it is.
    fn put(self, end: &mut Peer) {
        let Peer::Inet(address) = end else { return };
        match self {
            Part::Ip(ip) => address.set_ip(ip),
            Part::Port(port) => address.set_port(port),
        }
    }
}

/// Which end of the client's connection a rule changes, for this exchange.
fn end_of<'s>(s: &'s mut Session, end: End, cx: &Cx<'_>) -> Option<&'s mut Peer> {
    let (index, usual) = match end {
        End::Source => (0, Some(cx.client.peer)),
        End::Destination => (1, cx.client.destination()),
    };
    let own = &mut s.txn.ends[index];
    *own = own.or(usual);
    own.as_mut()
}

/// The text of a format.
pub(super) fn text_of(
    s: &Session,
    format: &Format,
    (point, proxy): (Point, ProxyId),
    cx: &Cx<'_>,
) -> Vec<u8> {
    let mut out = Vec::new();
    write_format(s, format, (point, proxy), cx, &mut out);
    out
}

/// Appends the text of a format to `out`.
pub(super) fn write_format(
    s: &Session,
    format: &Format,
    (point, proxy): (Point, ProxyId),
    cx: &Cx<'_>,
    out: &mut Vec<u8>,
) {
    /// As long as HAProxy's buffers are.
    const MAX: usize = 16_384;
    if let Some(text) = format.constant() {
        out.extend_from_slice(text);
        return;
    }
    let mut scene = s.scene(point, proxy, cx);
    if format.needs_record() {
        let mut line = Vec::new();
        let record = s.record(&Witnesses::of(cx), &mut line, false);
        scene.record = Some(&record);
        format.write(&scene, out.len() + MAX, out);
    } else {
        format.write(&scene, out.len() + MAX, out);
    }
}

fn set_var(
    s: &mut Session,
    var: VarId,
    value: &Value,
    when: &[Condition],
    at: (Point, ProxyId),
    cx: &Cx<'_>,
) {
    let made;
    let scene = s.scene(at.0, at.1, cx);
    let new = match value {
        Value::Expr(expr) => expr.eval(&scene).value,
        Value::Format(format) => {
            made = text_of(s, format, at, cx);
            Some(Sampled::Str(&made))
        }
    };
    if let Some(new) = new {
        assign(&scene, var, new, when);
    }
}

/// Gives a variable a value, if all of the rule's conditions on both hold.
fn assign(scene: &Scene<'_>, var: VarId, new: Sampled<'_>, when: &[Condition]) {
    if when.iter().all(|condition| condition.holds(var, new, scene)) {
        scene.set_var(var, new);
    }
}

/// Keeps for the log what converters captured.
fn keep_all(s: &mut Session, cx: &Cx<'_>) {
    for captured in cx.desk.take_captured() {
        keep(s, captured.response, captured.slot, Some(captured.text), cx);
    }
}

/// Keeps a value for the log.
pub(super) fn keep(
    s: &mut Session,
    response: bool,
    slot: u32,
    text: Option<Box<[u8]>>,
    cx: &Cx<'_>,
) {
    let declared = &cx.site.proxy(s.frontend).captures[usize::from(response)];
    let Some(capture) = declared.get(slot as usize) else { return };
    let slots = &mut s.txn.captures[usize::from(response)];
    slots.resize(declared.len(), None);
    let len = capture.len as usize;
    slots[slot as usize] =
        text.map(|text| if text.len() > len { text[..len].into() } else { text });
}

/// `option http-buffer-request`: waits for the body, as long as `timeout http-request` allows.
pub(super) fn buffer_request(s: &mut Session, proxy: ProxyId, cx: &mut Cx<'_>) -> Verdict {
    let timeouts = &cx.site.proxy(proxy).timeouts;
    let frontend = &cx.site.proxy(s.frontend).timeouts;
    let time = timeouts.http_request.or(frontend.http_request).or(frontend.client);
    // Without any limit it is as long as the longest that can be configured.
    let time = time.unwrap_or(Duration::from_millis(i32::MAX as u64));
    match wait_for_body(s, false, (time, 0), cx) {
        Step::Next | Step::Last => Verdict::Done,
        Step::Wait => Verdict::Wait,
        Step::Stop => Verdict::Stop,
    }
}

/// Waits until enough of the body is there.
fn wait_for_body(
    s: &mut Session,
    response: bool,
    (time, at_least): (Duration, u32),
    cx: &mut Cx<'_>,
) -> Step {
    let (channel, flow, head) = if response {
        (&s.res, s.txn.response_flow, s.txn.head_len as usize)
    } else {
        (&s.req, s.txn.request_flow, 0)
    };
    let here = channel.input().len().saturating_sub(head) as u64;
    let room = cx.site.tunables.bufsize as usize - cx.site.tunables.maxrewrite as usize;
    let complete = match flow {
        Flow::Head | Flow::Done => true,
        Flow::Length(n) => here >= n,
        Flow::Chunked(recoder) => {
            let mut decoder = recoder.decoder;
            let bytes = &channel.input()[head.min(channel.input().len())..];
            crate::http::chunks_end(&mut decoder, bytes)
        }
        Flow::UntilClose => false,
    };
    let enough = at_least > 0 && here >= u64::from(at_least);
    let over = channel.is(Facts::SHUTR) || here as usize >= room;
    if complete || enough || over {
        s.rule_expiry = Deadline::NEVER;
        return Step::Next;
    }
    if !s.rule_expiry.is_set() {
        s.rule_expiry = Deadline::after(cx.now.mono, Some(time));
    } else if s.rule_expiry.is_due(cx.now.mono) {
        s.rule_expiry = Deadline::NEVER;
        let (cause, status) =
            if response { (Cause::ServerTimeout, 504) } else { (Cause::ClientTimeout, 408) };
        s.ends_in(cause, Phase::Request);
        if !response {
            s.times.request = None;
        }
        answer(s, status, cx);
        return Step::Stop;
    }
    Step::Wait
}
