//! Listeners and what they accept: limits, budgets, shortages, new clients.
//!
//! ```text
//!   Ready ── limit of the listener ──► Full ──────┐ Resume: room below the limit
//!     ▲  └── limit above it, no fds ─► Limited ───┤ or 100 ms, or a descriptor was freed
//!     └───────────────────────────────────────────┘
//!   Ready ◄── TTIN ── Paused ◄── TTOU ── any
//! ```

use super::{Engine, Note};
use crate::analyser;
use crate::conn::client::{ClientFlags, Marks};
use crate::conn::{Client, Mux};
use crate::fds::Owner;
use crate::poller::{Accepted, Close, Peer, Poller, Ready, Sock, SockOpt, Which};
use crate::proxy::shared::{Gauge, LimitId, Message, Rate, Wake};
use crate::proxy::spec::{ListenerId, Mode, Options, Probes};
use crate::rule::Set;
use crate::session::Cx;
use crate::sometimes;
use crate::tasks::{Chore, Woken, Work};
use crate::time::Deadline;

/// What a listener does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ListenerState {
    /// Accepts.
    Ready,
    /// Its own `maxconn` is reached.
    Full,
    /// A limit above it is reached, or there are no descriptors.
    Limited,
    /// An operator paused it.
    Paused,
}

impl Engine {
    /// Accepts up to `tune.maxaccept` connections.
    pub(super) fn accept<P: Poller>(&mut self, net: &mut P, place: u32) {
        let (sock, listener) = {
            let l = &self.listeners[place as usize];
            if l.state == ListenerState::Paused {
                return;
            }
            (l.sock, l.listener)
        };
        self.listeners[place as usize].state = ListenerState::Ready;
        for _ in 0..self.site.tunables.maxaccept {
            if let Err(state) = self.acquire_limits(net, listener) {
                sometimes!(ListenerPaused);
                self.listeners[place as usize].state = state;
                return;
            }
            match net.accept(sock) {
                Accepted::One { sock: client, peer, more } => {
                    self.deliver(net, client, peer, listener);
                    if more == Some(0) {
                        self.fds.used_up(sock, Ready::READ);
                        return;
                    }
                }
                Accepted::Blocked => {
                    self.release_limits(net, listener);
                    self.fds.used_up(sock, Ready::READ);
                    return;
                }
                Accepted::Failed(fault) => {
                    self.release_limits(net, listener);
                    if fault.is_shortage() {
                        if self.run_short(net) {
                            continue;
                        }
                        self.listeners[place as usize].state = ListenerState::Limited;
                        return;
                    }
                    // The connection was gone before we took it: the next one.
                }
            }
        }
        self.fds.retry(sock);
    }

    /// Takes a place of each limit that a new connection counts in.
    fn acquire_limits<P: Poller>(
        &mut self,
        net: &mut P,
        listener: ListenerId,
    ) -> Result<(), ListenerState> {
        let frontend = self.site.listener(listener).frontend;
        if !self.shared.acquire(LimitId::Listener(listener), self.id) {
            return Err(ListenerState::Full);
        }
        if !self.shared.acquire(LimitId::Frontend(frontend), self.id) {
            let wake = self.shared.release(LimitId::Listener(listener));
            self.wake_engines(net, wake);
            return Err(ListenerState::Limited);
        }
        if !self.shared.acquire(LimitId::Process, self.id) {
            let mut wake = self.shared.release(LimitId::Frontend(frontend));
            wake.add(self.shared.release(LimitId::Listener(listener)));
            self.wake_engines(net, wake);
            return Err(ListenerState::Limited);
        }
        Ok(())
    }

    /// Gives those places back.
    pub(super) fn release_limits<P: Poller>(&mut self, net: &mut P, listener: ListenerId) {
        let frontend = self.site.listener(listener).frontend;
        let limits = [LimitId::Process, LimitId::Frontend(frontend), LimitId::Listener(listener)];
        let mut wake = Wake::NONE;
        for l in limits {
            // An engine that has not heard of the stop yet would take one more, were it told.
            wake.add(match self.stopping {
                true => self.shared.release_for_good(l),
                false => self.shared.release(l),
            });
        }
        self.wake_engines(net, wake);
    }

    /// Keeps a connection, or hands it to the engine whose turn it is if the listener has one
    /// socket for all.
    fn deliver<P: Poller>(&mut self, net: &mut P, sock: Sock, peer: Peer, listener: ListenerId) {
        let spec = self.site.listener(listener);
        let sharded =
            !spec.options.shared && !self.site.global.noreuseport && spec.address.is_inet();
        if !sharded && self.engines > 1 {
            let to = (self.counters.accepted % u64::from(self.engines)) as u32;
            self.counters.accepted += 1;
            if to != self.id {
                let Some(parcel) = net.detach(sock) else {
                    // It could not be handed on, and is gone.
                    return self.release_limits(net, listener);
                };
                if let Some(wake) = self.shared.offer(to, Message::Adopt { listener, parcel, peer })
                {
                    return self.wake_engines(net, wake);
                }
                // That engine has stopped already.
                match net.adopt(parcel) {
                    Some(sock) => self.welcome(net, sock, peer, listener),
                    None => self.release_limits(net, listener),
                }
                return;
            }
        } else {
            self.counters.accepted += 1;
        }
        self.welcome(net, sock, peer, listener);
    }

    /// A connection becomes a client.
    pub(super) fn welcome<P: Poller>(
        &mut self,
        net: &mut P,
        sock: Sock,
        peer: Peer,
        listener: ListenerId,
    ) {
        let site = self.site.clone();
        let frontend_id = site.listener(listener).frontend;
        let frontend = site.proxy(frontend_id);
        self.shared.gauge_add(self.id, Gauge::Accepted(frontend_id), 1);
        let place = self.clients.vacant_key() as u32;
        let task = self.tasks.insert(Work::Client(place));
        let mux = if frontend.mode == Mode::Tcp { Mux::Pass } else { Mux::H1 };
        let times = (self.now.mono, self.now.wall);
        let mut client = Client::new(sock, peer, listener, frontend_id, task, mux, times);
        client.flags.set(ClientFlags::COUNTED);
        if site.listener(listener).accept_proxy {
            client.flags.set(ClientFlags::EXPECTS_PROXY);
        }
        if site.wants.destination {
            client.set_destination(net.address(sock, Which::Local));
        }
        let refused = self.refuses(net, &mut client, Set::Connection).or_else(|| {
            let later = client.flags.has(ClientFlags::EXPECTS_PROXY);
            if later { None } else { self.refuses(net, &mut client, Set::Session) }
        });
        let expects = client.flags.has(ClientFlags::EXPECTS_PROXY);
        if let Some(how) = refused {
            self.tasks.remove(task);
            net.close(sock, how);
            self.release_limits(net, listener);
            return;
        }
        if site.wants.rates {
            self.shared.count(self.id, Rate::Sessions(frontend_id), self.now.mono);
        }
        self.clients.insert(client);
        self.fds.insert(sock, Owner::Client(place), Ready::READ.with(Ready::WRITE));
        if frontend.options.has(Options::CLIENT_KEEPALIVE) {
            keep_alive(net, sock, &frontend.client_probes);
        }
        if frontend.options.has(Options::NOLINGER) {
            net.set(sock, SockOpt::NoLinger);
        }
        if self.watching {
            self.notes.push(Note::Accepted { client: place, listener });
        }
        if expects {
            self.await_header(place);
            return;
        }
        match frontend.mode {
            Mode::Tcp => {
                self.log_connect(net, place);
                let session = self.start_session(place, None);
                self.tasks.wake(self.sessions[session as usize].task, Woken::INIT);
            }
            Mode::Http => {
                self.await_request(place);
                // Speculative: the request is often here already.
                self.tasks.wake(task, Woken::IO);
            }
        }
    }

    /// Whether the rules of a set, `tcp-request connection` or `session`, refuse a client, and how
    /// it is closed then.
    pub(super) fn refuses<P: Poller>(
        &mut self,
        net: &mut P,
        client: &mut Client,
        set: Set,
    ) -> Option<Close> {
        let site = self.site.clone();
        if site.proxy(client.frontend).rules.set(set).is_empty() {
            return None;
        }
        if site.wants.tcp_info {
            client.set_tcp_info(net.info(client.sock));
        }
        let (sock, marks) = (client.sock, client.marks());
        let Engine { pools, scratch, now, desk, shared, id: engine, .. } = self;
        let mut cx =
            Cx { now: *now, site: &site, pools, client, scratch, desk, shared, engine: *engine };
        let refused = analyser::refuses(set, &mut cx);
        set_marks(net, sock, cx.client.marks().beyond(marks));
        desk.clear();
        refused.map(|silent| if silent { Close::Drop } else { Close::Graceful })
    }

    /// A client whose first request may take its time.
    pub(super) fn await_request(&mut self, client: u32) {
        let timeouts = &self.site.proxy(self.clients[client as usize].frontend).timeouts;
        let wait = timeouts.http_request.or(timeouts.client);
        self.set_client_deadline(client, Deadline::after(self.now.mono, wait));
    }

    /// Out of descriptors, memory or ports: idle server connections and lingering clients go. If
    /// there are none, accepting waits until a descriptor is freed, or for a while. True if trying
    /// again makes sense.
    pub(super) fn run_short<P: Poller>(&mut self, net: &mut P) -> bool {
        sometimes!(NoDescriptors);
        self.counters.shortages += 1;
        let before = self.fds.open;
        while let Some(conn) = self.conns.any_idle() {
            self.close_idle(net, conn);
        }
        self.end_lingering(net);
        if self.fds.open < before {
            return true;
        }
        if self.shortage.is_none() {
            let task = self.tasks.insert(Work::Engine(Chore::Shortage));
            let wait = self.site.tunables.shortage_retry;
            self.tasks.set_deadline(task, Deadline::after(self.now.mono, Some(wait)));
            self.shortage = Some(task);
        }
        false
    }

    /// The wait is over: listeners try again.
    pub(super) fn shortage_over(&mut self, task: u32) {
        self.tasks.remove(task);
        self.shortage = None;
        self.resume_listeners(|state| state == ListenerState::Limited);
    }

    /// Lets listeners in some state try again.
    pub(super) fn resume_listeners(&mut self, which: impl Fn(ListenerState) -> bool) {
        for l in &mut self.listeners {
            if which(l.state) {
                l.state = ListenerState::Ready;
                if self.fds.ready(l.sock).has(Ready::READ) {
                    self.fds.retry(l.sock);
                }
            }
        }
    }

    /// A limit has room again.
    pub(super) fn resume(&mut self, limit: LimitId) {
        let site = self.site.clone();
        for l in &mut self.listeners {
            let concerned = match limit {
                LimitId::Process => true,
                LimitId::Frontend(frontend) => site.listener(l.listener).frontend == frontend,
                LimitId::Listener(listener) => l.listener == listener,
            };
            if concerned && matches!(l.state, ListenerState::Full | ListenerState::Limited) {
                l.state = ListenerState::Ready;
                if self.fds.ready(l.sock).has(Ready::READ) {
                    self.fds.retry(l.sock);
                }
            }
        }
    }
}

/// Has the packets of a client's socket marked.
pub(super) fn set_marks<P: Poller>(net: &mut P, sock: Sock, marks: Marks) {
    if let Some(tos) = marks.tos {
        net.set(sock, SockOpt::Tos(tos));
    }
    if let Some(mark) = marks.mark {
        net.set(sock, SockOpt::Mark(mark));
    }
}

/// Turns keep-alive probes on, as the options say.
pub(super) fn keep_alive<P: Poller>(net: &mut P, sock: Sock, probes: &Probes) {
    net.set(sock, SockOpt::KeepAlive(true));
    if let Some(count) = probes.count {
        net.set(sock, SockOpt::KeepCount(count));
    }
    if let Some(idle) = probes.idle {
        net.set(sock, SockOpt::KeepIdle(idle));
    }
    if let Some(interval) = probes.interval {
        net.set(sock, SockOpt::KeepInterval(interval));
    }
}
