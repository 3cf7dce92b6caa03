//! One session's turn: receive, let it decide, do what it wants, send; as long as that moves
//! something.

use super::accept::set_marks;
use super::io::wants_request;
use super::{Engine, Note, SPARE_SESSIONS};
use crate::channel::{Channel, Facts};
use crate::conn::{ClientFlags, NO_CONN};
use crate::fds::Owner;
use crate::poller::{Close, Connecting, Poller, Ready};
use crate::pool::Class;
use crate::proxy::shared::errors::{Direction, Event};
use crate::proxy::shared::{Cancel, Gauge};
use crate::proxy::spec::{Mode, Options, Reuse};
use crate::session::{Cx, NO_SERVER, Refusal, Session, SessionFlags, Want};
use crate::side::State;
use crate::sometimes;
use crate::tasks::Woken;
use crate::time::Deadline;
use crate::txn::TxnFlags;

/// How often one session may go round in one turn before others get theirs.
const ROUNDS_MAX: u32 = 8;

impl Engine {
    /// Runs a session as far as it goes.
    pub(super) fn run_session<P: Poller>(&mut self, net: &mut P, id: u32, woken: Woken) {
        let mut woken = woken;
        // A session that begins has what there was, if there is no more.
        let mut received = woken.has(Woken::INIT) && {
            let client = self.sessions[id as usize].client;
            !self.is_readable(self.clients[client as usize].sock)
        };
        for _ in 0..ROUNDS_MAX {
            if self.sessions[id as usize].back.state == State::Connecting {
                self.look_at_connecting(net, id);
            }
            // What is here is sent before more is looked for.
            let mut moved = !received && self.receive(net, id);
            received = false;
            let want = match self.is_watched(id) {
                false => self.step(net, id, woken),
                true => self.step_watched(net, id, woken),
            };
            match want {
                Want::Over => {
                    self.finish(net, id);
                    return;
                }
                Want::DropServer => {
                    self.drop_server(net, id);
                    moved = true;
                }
                Want::Server => {
                    self.find_server(net, id);
                    let state = self.sessions[id as usize].back.state;
                    match state {
                        State::Connecting | State::Queued => {}
                        // The request can leave, and nothing else has changed.
                        State::Established if self.forward_request(id) => {}
                        _ => {
                            // There is something to decide before there is something to send.
                            woken = Woken::IO;
                            received = true;
                            continue;
                        }
                    }
                    // A body may be read meanwhile.
                    let s = &self.sessions[id as usize];
                    moved |=
                        wants_request(s) && self.is_readable(self.clients[s.client as usize].sock);
                }
                Want::Wait => {}
            }
            moved |= self.send(net, id);
            if !moved {
                self.rest(id);
                return;
            }
            if self.sessions[id as usize].is_over_quietly() {
                self.finish(net, id);
                return;
            }
            woken = Woken::IO;
        }
        // The others first.
        let task = self.sessions[id as usize].task;
        self.tasks.wake(task, Woken::IO);
        self.rest(id);
    }

    /// One step of the session itself.
    #[inline(always)]
    fn step<P: Poller>(&mut self, net: &mut P, id: u32, woken: Woken) -> Want {
        let (s, mut cx) = self.session(id);
        let want = s.process(woken, &mut cx);
        cx.desk.clear();
        if s.errands.is_some() {
            self.run_errands(net, id);
        }
        want
    }

    /// Whether there is something to do before or after each step of a session.
    #[inline]
    fn is_watched(&self, id: u32) -> bool {
        let frontend = self.sessions[id as usize].frontend;
        self.site.proxy(frontend).options.any(Options::LOG_ASAP.with(Options::TCP_INFO))
    }

    #[cold]
    fn step_watched<P: Poller>(&mut self, net: &mut P, id: u32, woken: Woken) -> Want {
        if self.site.wants.tcp_info {
            let client = &mut self.clients[self.sessions[id as usize].client as usize];
            client.set_tcp_info(net.info(client.sock));
        }
        let want = self.step(net, id, woken);
        self.log_early(net, id);
        want
    }

    /// Does what a step left to be done.
    #[cold]
    fn run_errands<P: Poller>(&mut self, net: &mut P, id: u32) {
        let s = &mut self.sessions[id as usize];
        let Some(errands) = s.errands.take() else { return };
        set_marks(net, self.clients[s.client as usize].sock, errands.marks);
        if let Some(nice) = errands.nice {
            self.tasks.set_nice(s.task, nice);
        }
        if let Some(refusal) = errands.refusal {
            self.note_refusal(id, refusal);
        }
    }

    /// The step of a session that found an idle connection for its request: only that has to leave.
    /// False if that was not all.
    #[inline]
    fn forward_request(&mut self, id: u32) -> bool {
        let (s, mut cx) = self.session(id);
        s.forwards(&mut cx)
    }

    /// A session, and what it works with.
    #[inline]
    pub(super) fn session(&mut self, id: u32) -> (&mut Session, Cx<'_>) {
        let Engine {
            sessions, clients, pools, site, scratch, now, desk, shared, id: engine, ..
        } = self;
        let s = &mut *sessions[id as usize];
        let client = &mut clients[s.client as usize];
        let cx = Cx { now: *now, site, pools, client, scratch, desk, shared, engine: *engine };
        (s, cx)
    }

    /// Counts a message that the session has refused, and keeps it for `show errors`.
    fn note_refusal(&mut self, id: u32, refusal: Refusal) {
        let s = &self.sessions[id as usize];
        let server = s.has_server().then_some(s.back.server);
        match refusal.direction {
            Direction::Request => {
                self.shared.gauge_add(self.id, Gauge::RequestErrors(s.frontend), 1);
            }
            Direction::Response => {
                self.shared.gauge_add(self.id, Gauge::ResponseErrors(s.backend), 1);
                if let Some(server) = server {
                    self.shared.gauge_add(self.id, Gauge::ServerResponseErrors(server), 1);
                }
            }
        }
        let Some(message) = refusal.message else { return };
        let client = &self.clients[s.client as usize];
        self.shared.keep_error(Box::new(Event {
            number: 0,
            when: self.now.wall,
            direction: refusal.direction,
            frontend: s.frontend,
            backend: s.has_request().then_some(s.backend),
            server,
            source: client.peer,
            flags: [u32::from(client.flags.bits()), s.flags.bits(), s.txn.flags.bits()],
            message,
        }));
    }

    /// Before the session sleeps: buffers only while there are bytes, and its deadline.
    #[inline]
    fn rest(&mut self, id: u32) {
        let s = &mut self.sessions[id as usize];
        for channel in [&mut s.req, &mut s.res] {
            tidy(channel, &mut self.pools);
        }
        let (task, deadline) = (s.task, s.deadline());
        self.tasks.set_deadline(task, deadline);
    }

    /// A connection attempt was announced: how did it end?
    fn look_at_connecting<P: Poller>(&mut self, net: &mut P, id: u32) {
        let conn = self.sessions[id as usize].back.conn;
        let sock = self.conns.conn(conn).sock;
        let ready = self.fds.ready(sock);
        if ready.is_empty() {
            return;
        }
        let outcome = if ready.any(Ready::ERR.with(Ready::HUP)) {
            net.connect_status(sock)
        } else if ready.has(Ready::WRITE) {
            Connecting::Done
        } else {
            return;
        };
        match outcome {
            Connecting::Pending => {}
            Connecting::Done => {
                self.established(id, false);
                if self.sessions[id as usize].mode == Mode::Tcp {
                    self.log_early(net, id);
                }
            }
            Connecting::Failed(fault) => self.attempt_failed(id, fault),
        }
    }

    /// The session has its server connection.
    #[inline]
    pub(super) fn established(&mut self, id: u32, reused: bool) {
        let s = &mut self.sessions[id as usize];
        s.connected(reused, &self.site, self.now);
        let conn = self.conns.conn_mut(s.back.conn);
        conn.requests += 1;
        if reused {
            self.counters.reuses += 1;
        }
        if self.watching {
            let (serial, server) = (s.serial, s.back.server);
            self.notes.push(Note::Connected { serial, server, reused });
        }
    }

    /// Closes the session's server connection, and gives back what it holds of the server if it is
    /// done with it.
    pub(super) fn drop_server<P: Poller>(&mut self, net: &mut P, id: u32) {
        let s = &mut self.sessions[id as usize];
        s.flags.clear(SessionFlags::DROP_SERVER);
        let conn = core::mem::replace(&mut s.back.conn, NO_CONN);
        // An attempt, or a request that will not be answered any more: nothing that we sent matters
        // now.
        let reset = s.may_reset_server() || s.end.is_some() || s.flags.has(SessionFlags::FRESH);
        let how = if reset { Close::Reset } else { Close::Graceful };
        if s.back.state == State::Closed {
            self.release_server(net, id);
        }
        if conn != NO_CONN {
            self.close_conn(net, conn, how);
        }
    }

    /// Forgets and closes a server connection.
    pub(super) fn close_conn<P: Poller>(&mut self, net: &mut P, conn: u32, how: Close) {
        let conn = self.conns.remove(conn);
        if !planted!(StaleOwner) {
            self.fds.remove(conn.sock);
        }
        net.close(conn.sock, how);
        if planted!(DoubleClose) {
            net.close(conn.sock, how);
        }
        self.descriptor_freed();
    }

    /// Gives back what the session holds of its server: the slot, the place in a queue, the counts.
    #[inline]
    pub(super) fn release_server<P: Poller>(&mut self, net: &mut P, id: u32) {
        let s = &mut self.sessions[id as usize];
        if let Some(ticket) = s.back.ticket.take()
            && let Cancel::Cancelled { position } = self.shared.cancel(ticket)
        {
            // `ticket` says which queue it was.
            s.back.ticket = Some(ticket);
            super::mail::note_position(s, position);
            s.back.ticket = None;
        }
        if s.flags.has(SessionFlags::COUNTED_SERVER) {
            s.flags.clear(SessionFlags::COUNTED_SERVER);
            self.shared.gauge_add(self.id, Gauge::Served(s.back.server), -1);
        }
        let keeps = planted!(SlotLeaked) && s.end.is_some();
        if s.flags.has(SessionFlags::SLOT) && !keeps {
            s.flags.clear(SessionFlags::SLOT);
            let wake = self.shared.free(s.back.server);
            self.wake_engines(net, wake);
        }
        self.balancer_moved(id);
    }

    /// The exchange is over: the line, then everything is given back, and the connections live on
    /// or end.
    fn finish<P: Poller>(&mut self, net: &mut P, id: u32) {
        let backend_counted = {
            let s = &mut self.sessions[id as usize];
            let counted = s.flags.has(SessionFlags::COUNTED_BACKEND);
            s.flags.clear(SessionFlags::COUNTED_BACKEND);
            let kept = planted!(CounterKept) && s.flags.has(SessionFlags::REDISPATCHED);
            counted.then_some(s.backend).filter(|_| !kept)
        };
        self.part_with_server(net, id);
        self.release_server(net, id);
        if let Some(backend) = backend_counted {
            self.shared.gauge_add(self.id, Gauge::Backend(backend), -1);
        }
        let logged = self.sessions[id as usize].flags.has(SessionFlags::LOGGED);
        let again = || self.sessions[id as usize].retries_done() > 0;
        let (missing, twice) = (planted!(LogMissing) && again(), planted!(LogTwice) && again());
        if !logged && !missing {
            self.log_session(id, false);
        }
        if twice {
            self.log_session(id, false);
        }
        let mut s = self.sessions.remove(id as usize);
        if self.watching {
            let (serial, end, status) = (s.serial, s.outcome(), s.txn.status);
            self.notes.push(Note::Ended { serial, end, status });
        }
        if s.has_request() {
            self.counters.requests += 1;
        }
        self.tasks.remove(s.task);
        for channel in [&mut s.req, &mut s.res] {
            self.give_pipe(net, channel);
        }
        if let Some(buf) = s.res.buf.take() {
            self.pools.give(buf);
        }
        let client_id = s.client;
        let keeps = s.keeps_client() && !s.flags.has(SessionFlags::STOPPING);
        if let Some(buf) = &mut s.req.buf {
            // What the server was not sent any more must not stand in front of the next request.
            buf.sent(buf.output_len());
        }
        match s.req.buf.take() {
            Some(rest) if keeps && !rest.is_empty() && !planted!(PipelinedLost) => {
                let rest = self.pools.shrink(rest);
                self.clients[client_id as usize].rest = Some(Box::new(rest));
            }
            Some(buf) => self.pools.give(buf),
            None => {}
        }
        let client = &mut self.clients[client_id as usize];
        client.session = crate::conn::client::NO_SESSION;
        if s.req.is(Facts::EOF) {
            client.flags.set(crate::conn::ClientFlags::EOF);
        }
        if keeps {
            self.recycle(s);
            self.client_idles(net, client_id);
            return;
        }
        if s.flags.has(SessionFlags::SILENT) {
            self.recycle(s);
            self.release_client(net, client_id, Close::Drop);
            return;
        }
        if s.txn.is(TxnFlags::CUT) {
            self.recycle(s);
            self.release_client(net, client_id, Close::Reset);
            return;
        }
        let broken = s.req.is(Facts::READ_ERROR) || s.res.is(Facts::WRITE_ERROR);
        let quiet = broken || self.is_quiet(&s);
        self.recycle(s);
        self.close_client(net, client_id, quiet);
    }

    /// Whether the client sends nothing more that could destroy our last bytes: it said so itself,
    /// or ended.
    fn is_quiet(&self, s: &Session) -> bool {
        let sock = self.clients[s.client as usize].sock;
        match s.mode {
            Mode::Tcp => true,
            Mode::Http if s.txn.is(TxnFlags::TUNNEL) => true,
            Mode::Http => {
                s.res.is(Facts::SHUTW)
                    || (s.txn.is(TxnFlags::CLIENT_ASKED_CLOSE)
                        && s.txn.request_flow.is_done()
                        && s.req.input().is_empty()
                        && !self.is_readable(sock))
            }
        }
    }

    fn recycle(&mut self, session: Box<Session>) {
        if self.spare.len() < SPARE_SESSIONS {
            self.spare.push(session);
        }
    }

    /// The server connection goes to the idle pool, or is closed.
    fn part_with_server<P: Poller>(&mut self, net: &mut P, id: u32) {
        let s = &mut self.sessions[id as usize];
        let conn = s.back.conn;
        if conn == NO_CONN {
            return;
        }
        s.back.conn = NO_CONN;
        let how = if s.may_reset_server() { Close::Reset } else { Close::Graceful };
        let client_id = s.client;
        let server = s.back.server;
        let keeps = s.keeps_server();
        let authenticated = s.flags.has(SessionFlags::PRIVATE);
        let private = self.site.proxy(s.backend).reuse == Reuse::Never
            || authenticated
            || !self.conns.conn(conn).preface.is_empty()
            || self.conns.conn(conn).owner.is_some();
        let stays = s.keeps_client();
        if !keeps || self.stopping || (private && !stays) || !self.may_park(conn, server) {
            self.close_conn(net, conn, how);
            return;
        }
        let sock = self.conns.conn(conn).sock;
        if self.is_readable(sock) && !planted!(PooledUnread) {
            // Something came behind the answer, or it ended: it is of no use any more.
            self.close_conn(net, conn, how);
            return;
        }
        let old = self.clients[client_id as usize].private;
        if private && old != NO_CONN {
            self.close_idle(net, old);
        }
        self.conns.park(conn, private.then_some(client_id), self.now.mono);
        self.fds.reassign(sock, Owner::IdleServer(conn));
        self.clients[client_id as usize].last_server = server;
        let client = &mut self.clients[client_id as usize];
        if private {
            client.private = conn;
        }
        if authenticated {
            client.flags.set(ClientFlags::PREFER_LAST);
        }
        self.shared.gauge_add(self.id, Gauge::Idle(server), 1);
        if !self.tasks.deadline(self.purge).is_set() {
            let delay = self.site.server(server).pool_purge_delay;
            self.tasks.set_deadline(self.purge, Deadline::after(self.now.mono, Some(delay)));
        }
    }

    /// Whether one more idle connection to `server` is within the limits.
    #[inline(always)]
    fn may_park(&self, conn: u32, server: u32) -> bool {
        let spec = self.site.server(server);
        let requests = self.conns.conn(conn).requests;
        spec.pool_max.is_none_or(|max| self.shared.gauge(Gauge::Idle(server)) < max)
            && self.conns.idle_total < self.site.tunables.idle_max
            && spec.max_reuse.is_none_or(|max| requests <= max)
            && server != NO_SERVER
    }

    /// Tells a session that its attempt to connect failed.
    pub(super) fn attempt_failed(&mut self, id: u32, fault: crate::fault::Fault) {
        self.counters.connect_failures += 1;
        sometimes!(ResetWhileConnecting, fault == crate::fault::Fault::Reset);
        let (s, mut cx) = self.session(id);
        s.back.fault = Some(fault);
        s.attempt_failed(false, &mut cx);
    }
}

/// Gives an empty buffer back; moves a small rest out of a large one.
#[inline]
fn tidy(channel: &mut Channel, pools: &mut crate::pool::Pools) {
    let Some(buf) = channel.buf.take() else { return };
    if buf.is_empty() {
        pools.give(buf);
        return;
    }
    sometimes!(PartialHead, buf.output_len() == 0);
    let large = buf.capacity() >= pools.size(Class::Large);
    channel.buf = Some(if large { pools.shrink(buf) } else { buf });
}
