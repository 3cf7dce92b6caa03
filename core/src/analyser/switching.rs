//! `use_backend` and `default_backend`: chooses the backend.

use super::{Verdict, answer, rules};
use crate::channel::Analysers;
use crate::fault::{Cause, Phase};
use crate::proxy::spec::{Mode, ProxyId, Role, Site};
use crate::rule::Destination;
use crate::sample::Point;
use crate::session::{Cx, Session};
use crate::side::Step;

/// Takes the first way that applies; a `listen` is its own backend.
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let frontend = cx.site.proxy(s.frontend);
    let own = frontend.role.has(Role::BACKEND).then_some(s.frontend);
    let Some(chosen) = chosen(s, cx).or(frontend.default_backend).or(own) else {
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
    let backend = cx.site.proxy(chosen);
    s.retries = backend.retries;
    s.back.retries_left = backend.retries;
    if s.mode == Mode::Tcp {
        if chosen != s.frontend && !backend.rules.content.is_empty() {
            s.req.analysers.set(Analysers::TCP_INSPECT_BACKEND);
        } else {
            s.back.state.step(Step::Want);
        }
    }
    Verdict::Done
}

/// The backend of the first `use_backend` that applies.
fn chosen(s: &Session, cx: &Cx<'_>) -> Option<ProxyId> {
    let frontend = cx.site.proxy(s.frontend);
    for way in &frontend.switching {
        let applies = match &way.condition {
            None => true,
            Some(condition) => condition.test(&s.scene(Point::Switch, s.frontend, cx)).holds(),
        };
        if !applies {
            continue;
        }
        return match &way.to {
            Destination::Name(name) => cx.site.refs.proxy(*name),
            // A name that nothing has leads to the default.
            Destination::Format(format) => {
                let name = rules::text_of(s, format, (Point::Switch, s.frontend), cx);
                backend_named(cx.site, &name, frontend.mode)
            }
        };
    }
    None
}

fn backend_named(site: &Site, name: &[u8], mode: Mode) -> Option<ProxyId> {
    let index = site.backends.get(name)?;
    (site.proxy(*index).mode == mode).then_some(*index)
}
