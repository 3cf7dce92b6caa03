//! `use_backend` and `default_backend`: chooses the backend.

use super::{Verdict, answer};
use crate::fault::{Cause, Phase};
use crate::proxy::spec::{Mode, Role};
use crate::session::{Cx, Session};
use crate::side::Step;

/// Takes the first way that applies; a `listen` is its own backend.
pub(super) fn run(s: &mut Session, cx: &mut Cx<'_>) -> Verdict {
    let frontend = cx.site.proxy(s.frontend);
    let chosen = match frontend.switching.first() {
        Some(way) => way.backend,
        None if frontend.role.has(Role::BACKEND) => s.frontend,
        None => {
            // Nothing serves this frontend.
            s.times.request = None;
            s.ends_in(Cause::Server, Phase::Connect);
            match s.mode {
                Mode::Http => answer(s, 503, cx),
                Mode::Tcp => s.abort(cx),
            }
            return Verdict::Stop;
        }
    };
    s.backend = chosen;
    let backend = cx.site.proxy(chosen);
    s.retries = backend.retries;
    s.back.retries_left = backend.retries;
    if s.mode == Mode::Tcp {
        s.back.state.step(Step::Want);
    }
    Verdict::Done
}
