//! Invariants over the whole engine: what must hold between any two turns.
//!
//! - A2 per channel: received + added = sent + held.
//! - A3 every open socket has an owner that knows it, and every owner's socket is open.
//! - A4 the counts agree: clients, sessions, connections, tasks, buffers.
//! - A5 every client and session has a deadline where the configuration has a timeout for it, and
//!   none is overdue.
//!
//! An audit changes nothing. It costs O(engine) and is for tests, simulations and debug builds.
//! [`digest`] says the same state in one number.

mod state;

pub use state::digest;

use slab::Slab;

use crate::agent::ring::Forwarder;
use crate::channel::{Channel, Facts};
use crate::conn::client::{ClientFlags, NO_SESSION};
use crate::conn::{Client, Mux, NO_CONN, ServerConns};
use crate::fds::{Fds, Owner};
use crate::pool::Pools;
use crate::proxy::spec::Site;
use crate::session::{NO_SERVER, Session, SessionFlags};
use crate::side::State;
use crate::tasks::{Tasks, Work};
use crate::time::{Duration, Instant};

/// How late a deadline may be looked at: a tick of the wheel.
const TICK: Duration = Duration::from_millis(1);

/// What is audited.
pub struct View<'a> {
    /// The configuration.
    pub site: &'a Site,
    /// The sockets.
    pub fds: &'a Fds,
    /// The tasks.
    pub tasks: &'a Tasks,
    /// The clients.
    pub clients: &'a Slab<Client>,
    /// The sessions.
    pub sessions: &'a Slab<Box<Session>>,
    /// The server connections.
    pub conns: &'a ServerConns,
    /// The buffers.
    pub pools: &'a Pools,
    /// Open listeners.
    pub listeners: usize,
    /// Log sinks.
    pub sinks: u32,
    /// What forwards rings.
    pub forwarders: &'a [Forwarder],
    /// The time of the last turn.
    pub now: Instant,
}

/// Checks everything.
///
/// # Panics
///
/// If something does not hold.
pub fn check(view: &View<'_>) {
    sockets(view);
    counts(view);
    for (id, session) in view.sessions {
        check_session(view, id as u32, session);
    }
    for (id, client) in view.clients {
        check_client(view, id as u32, client);
    }
    for (_, work, deadline) in view.tasks.iter() {
        if let Some(at) = deadline.instant() {
            assert!(at + TICK + TICK > view.now, "{work:?} is overdue: {at:?} at {:?}", view.now);
        }
    }
}

/// A3.
fn sockets(view: &View<'_>) {
    let mut listeners = 0;
    for (sock, owner) in view.fds.iter() {
        let known = match owner {
            Owner::Listener(_) => {
                listeners += 1;
                continue;
            }
            Owner::Client(id) => view.clients.get(id as usize).map(|c| c.sock),
            Owner::Server(id) => view
                .sessions
                .get(id as usize)
                .filter(|s| s.back.conn != NO_CONN)
                .map(|s| view.conns.conn(s.back.conn).sock),
            Owner::IdleServer(id) => {
                assert!(view.conns.is_idle(id), "{sock:?} is said to be idle");
                Some(view.conns.conn(id).sock)
            }
            Owner::LogSink(_) => continue,
            Owner::Forwarder(id) => view.forwarders.get(id as usize).and_then(Forwarder::sock),
            Owner::Check(_) | Owner::Resolver(_) | Owner::Peer(_) => None,
        };
        assert_eq!(known, Some(sock), "{owner:?} does not know its socket");
    }
    assert_eq!(listeners, view.listeners, "listeners open");
    for (id, client) in view.clients {
        assert_eq!(view.fds.owner(client.sock), Some(Owner::Client(id as u32)));
    }
    for (id, forwarder) in view.forwarders.iter().enumerate() {
        if let Some(sock) = forwarder.sock() {
            assert_eq!(view.fds.owner(sock), Some(Owner::Forwarder(id as u32)));
        }
    }
    for (id, client) in view.clients {
        let kept = client.private;
        let known = kept == NO_CONN
            || view.conns.is_idle(kept) && view.conns.conn(kept).owner == Some(id as u32);
        assert!(known, "client {id} keeps a connection that is not its own");
    }
    for (id, conn) in view.conns.iter() {
        if let Some(owner) = conn.owner.filter(|_| conn.session == NO_SESSION) {
            let owner = view.clients.get(owner as usize);
            assert!(owner.is_some_and(|c| c.private == id), "connection {id} has lost its client");
        }
        let owner = view.fds.owner(conn.sock);
        if conn.session == NO_SESSION {
            assert_eq!(owner, Some(Owner::IdleServer(id)));
        } else {
            assert_eq!(owner, Some(Owner::Server(conn.session)));
        }
    }
}

/// A4.
fn counts(view: &View<'_>) {
    let with_session = view.clients.iter().filter(|(_, c)| !c.is_idle()).count();
    assert_eq!(with_session, view.sessions.len(), "clients with a session");
    let in_use = view.conns.iter().filter(|(_, c)| c.session != NO_SESSION).count();
    let held = view.sessions.iter().filter(|(_, s)| s.back.conn != NO_CONN).count();
    assert_eq!(in_use, held, "server connections in use");
    let clients = view.tasks.iter().filter(|(_, w, _)| matches!(w, Work::Client(_))).count();
    let sessions = view.tasks.iter().filter(|(_, w, _)| matches!(w, Work::Session(_))).count();
    assert_eq!((clients, sessions), (view.clients.len(), view.sessions.len()), "tasks");
    for (id, forwarder) in view.forwarders.iter().enumerate() {
        let work = view.tasks.work(forwarder.task);
        assert_eq!(work, Some(Work::Forwarder(id as u32)), "a forwarder's task");
    }
    let forwarders = view.tasks.iter().filter(|(_, w, _)| matches!(w, Work::Forwarder(_))).count();
    assert_eq!(forwarders, view.forwarders.len(), "tasks of forwarders");
    let buffers: usize = view
        .sessions
        .iter()
        .map(|(_, s)| usize::from(s.req.buf.is_some()) + usize::from(s.res.buf.is_some()))
        .sum::<usize>()
        + view.clients.iter().filter(|(_, c)| c.rest.is_some()).count();
    assert_eq!(buffers, view.pools.live() as usize, "buffers in use");
}

fn check_session(view: &View<'_>, id: u32, s: &Session) {
    let client = view.clients.get(s.client as usize);
    assert!(client.is_some_and(|c| c.session == id), "session {id} and its client disagree");
    for (name, channel) in [("req", &s.req), ("res", &s.res)] {
        check_channel(id, name, channel);
    }
    let connected = s.back.conn != NO_CONN;
    if s.back.state.has_connection() {
        assert!(connected, "session {id} is {:?} without a connection", s.back.state);
    }
    if connected {
        assert_eq!(view.conns.conn(s.back.conn).session, id, "session {id} and its connection");
        assert_ne!(s.back.server, NO_SERVER);
    }
    assert_eq!(s.back.ticket.is_some(), s.back.state == State::Queued, "session {id}'s ticket");
    let counted = s.flags.has(SessionFlags::COUNTED_SERVER);
    assert!(!connected || counted, "session {id} has a server that does not count it");
    // A5: something will wake it, unless the configuration knows no timeout for where it is.
    let timeouts = &view.site.proxy(s.frontend).timeouts;
    let back = &view.site.proxy(s.backend).timeouts;
    let bounded = timeouts.client.is_some() && back.server.is_some() && back.connect.is_some();
    let running = view.tasks.runnable() > 0;
    if bounded && !running {
        assert!(s.deadline().is_set(), "session {id} has no deadline: {s:#?}");
    }
}

/// A2.
fn check_channel(id: u32, name: &str, channel: &Channel) {
    let held = channel.held() as i64 + i64::from(channel.piped);
    let came = channel.received as i64 + channel.added;
    let went = channel.sent as i64 + held;
    assert_eq!(came, went, "session {id}'s {name}: received + added, sent + held");
    if channel.is(Facts::SHUTR) {
        assert!(!channel.read_expiry.is_set(), "session {id}'s {name} waits for a dead reader");
    }
}

fn check_client(view: &View<'_>, id: u32, client: &Client) {
    if client.session != NO_SESSION {
        assert!(view.sessions.contains(client.session as usize), "client {id}'s session");
        return;
    }
    let frontend = view.site.proxy(client.frontend);
    let timeouts = &frontend.timeouts;
    let lingers = client.flags.has(ClientFlags::LINGERING);
    let bounded = timeouts.client.is_some() || lingers;
    // In TCP mode a client without a session lingers, or its PROXY header is awaited.
    let expects = client.flags.has(ClientFlags::EXPECTS_PROXY);
    assert!(client.mux == Mux::H1 || lingers || expects, "client {id} has no session");
    if bounded {
        let deadline = view.tasks.deadline(client.task);
        let due = view.tasks.runnable() > 0 || deadline.is_set();
        assert!(due, "client {id} idles without a deadline");
    }
}
