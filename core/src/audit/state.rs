//! The digest of an engine's whole state: two engines that have it in common go on in the same way,
//! if they are told the same. It holds no pointer and no memory that is not in use, so it is the
//! same in every process and build; [`super::check`] says whether the state is a sound one.

use core::hash::{Hash, Hasher};

use crate::conn::Client;
use crate::session::Session;
use crate::txn::Txn;

use super::View;

/// Takes everything in, but for what belongs to the engine alone.
pub fn digest<H: Hasher>(view: &View<'_>, into: &mut H) {
    (view.now, view.listeners, view.fds, view.tasks, view.conns).hash(into);
    // What the pools hold beside that is memory: it has no part in what happens.
    view.pools.live().hash(into);
    for (id, one) in view.clients {
        id.hash(into);
        client(one, into);
    }
    for (id, one) in view.sessions {
        id.hash(into);
        session(one, into);
    }
}

fn client<H: Hasher>(c: &Client, into: &mut H) {
    (c.sock, c.peer, c.accepted, c.accepted_wall, c.idle_since).hash(into);
    (c.listener, c.frontend, c.session, c.task, c.requests).hash(into);
    (c.last_server, c.private, &c.rest, c.linger_left).hash(into);
    (c.transport, c.mux, c.flags).hash(into);
}

fn session<H: Hasher>(s: &Session, into: &mut H) {
    (s.serial, s.client, s.task, s.frontend, s.backend, s.mode).hash(into);
    (&s.req, &s.res, &s.back, s.times, s.began_wall).hash(into);
    (s.request_expiry, s.end, s.refusal.is_some(), s.retries, s.flags).hash(into);
    txn(&s.txn, into);
}

fn txn<H: Hasher>(t: &Txn, into: &mut H) {
    (&t.request, &t.response, t.request_scan, t.response_scan).hash(into);
    (t.request_flow, t.response_flow, t.head_len, t.body_start).hash(into);
    (t.status, t.head_bytes, t.body_bytes, t.flags).hash(into);
}
