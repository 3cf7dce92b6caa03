//! `use_backend` and `default_backend`: chooses the backend.

use super::{Verdict, answer, rules};
use crate::channel::Analysers;
use crate::fault::{Cause, Phase};
use crate::proxy::shared::{Gauge, Rate};
use crate::proxy::spec::{Mode, ProxyId, Role, Site};
use crate::rule::{Destination, Switch};
use crate::sample::Point;
use crate::session::{Cx, Session, SessionFlags};
use crate::side::Step;

/// Takes the first way that applies; a `listen` is its own backend.
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let frontend = cx.site.proxy(s.frontend);
    let own = frontend.role.has(Role::BACKEND).then_some(s.frontend);
    let way = match frontend.switching.is_empty() {
        true => None,
        false => {
            s.peek_for_head(cx.site);
            way(s, cx)
        }
    };
    if let Some(way) = way {
        cx.desk.note(&way.place.0, way.place.1, &way.text);
    }
    let chosen = way.and_then(|way| destination(s, way, cx));
    let Some(chosen) = chosen.or(frontend.default_backend).or(own) else {
        // Nothing serves this frontend.
        s.times.request = None;
        s.ends_in(Cause::Server, Phase::Connect);
        match s.mode {
            Mode::Http => answer(s, 503, cx),
            Mode::Tcp => s.abort(cx),
        }
        return Verdict::Stop;
    };
    s.backend = chosen;
    s.flags.set(SessionFlags::COUNTED_BACKEND);
    cx.shared.gauge_add(cx.engine, Gauge::Received(chosen), 1);
    cx.shared.gauge_add(cx.engine, Gauge::Backend(chosen), 1);
    let backend = cx.site.proxy(chosen);
    s.retries = backend.retries;
    s.back.retries_left = backend.retries;
    if s.mode != backend.mode && !changes_mode(s, cx) {
        return Verdict::Stop;
    }
    if s.mode == Mode::Tcp {
        count(s, cx);
        if chosen != s.frontend && !backend.rules.content.is_empty() {
            s.req.analysers.set(Analysers::TCP_INSPECT_BACKEND);
        } else {
            s.back.state.step(Step::Want);
        }
    }
    Verdict::Done
}

/// A TCP session with an HTTP backend becomes HTTP. What became HTTP cannot go back: false.
#[cold]
fn changes_mode(s: &mut Session, cx: &mut Cx<'_>) -> bool {
    if s.mode == Mode::Tcp {
        s.becomes_http(cx);
        return true;
    }
    s.times.request = None;
    s.ends_in(Cause::Internal, Phase::Request);
    s.abort(cx);
    false
}

/// Counts a session of its backend, if that is asked for.
pub(super) fn count(s: &mut Session, cx: &Cx<'_>) {
    if cx.site.wants.rates && !s.flags.has(SessionFlags::RATED) {
        s.flags.set(SessionFlags::RATED);
        cx.shared.count(cx.engine, Rate::Received(s.backend), cx.now.mono);
    }
}

/// The first `use_backend` that applies.
fn way<'s>(s: &Session, cx: &Cx<'s>) -> Option<&'s Switch> {
    let site = cx.site;
    site.proxy(s.frontend).switching.iter().find(|way| match &way.condition {
        None => true,
        Some(condition) => condition.test(&s.scene(Point::Switch, s.frontend, cx)).holds(),
    })
}

/// Where it leads; a name that nothing has leads to the default.
fn destination(s: &Session, way: &Switch, cx: &Cx<'_>) -> Option<ProxyId> {
    match &way.to {
        Destination::Name(name) => cx.site.refs.proxy(*name),
        Destination::Format(format) => {
            let name = rules::text_of(s, format, (Point::Switch, s.frontend), cx);
            backend_named(cx.site, &name, cx.site.proxy(s.frontend).mode)
        }
    }
}

fn backend_named(site: &Site, name: &[u8], mode: Mode) -> Option<ProxyId> {
    let index = site.backends.get(name)?;
    let backend = site.proxy(index).mode;
    (backend == mode || backend == Mode::Http).then_some(index)
}
