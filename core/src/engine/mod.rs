//! The engine: the run loop cut at the poll. The host waits; [`Engine::turn`] does the rest. These
//! are the only files of the core that call [`Poller`].
//!
//! ```text
//!   host: wait(park) ──► turn(now): readiness ► cached fds ► signals ► timers ► tasks ► flush ─┐
//!              ▲                                                                               │
//!              └───────────────────────────────── Park ────────────────────────────────────────┘
//! ```
//!
//! - `accept`: listeners, limits, new clients · `client`: a client between sessions, its lingering
//!   end
//! - `preface`: PROXY headers, awaited from clients and sent to servers
//! - `run`: one session's step and what it wants · `io`: bytes between sockets and channels ·
//!   `splice`
//! - `connect`: server choice, queues, idle connections · `mail`: what other engines say
//! - `signal`: soft stop, pause, dumps · `log`: lines and sinks · `forward`: rings to their servers

mod accept;
mod client;
mod connect;
mod forward;
mod io;
mod log;
mod mail;
mod observe;
mod parked;
mod preface;
mod run;
mod signal;
mod splice;

use core::hash::{Hash, Hasher};
use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

use crate::agent::log::Logs;
use crate::agent::ring::Forwarder;
use crate::audit;
use crate::balance::Balancer;
use crate::conn::{Client, ServerConns};
use crate::fds::{Fds, Owner};
use crate::logfmt::dates::Dates;
use crate::poller::{Event, ListenSpec, Pipe, Poller, Ready, Sock};
use crate::pool::Pools;
use crate::proxy::shared::{Door, Message, Shared, Witness};
use crate::proxy::spec::{ListenerId, Site};
use crate::rng::{Rng, Seed};
use crate::sample::{Applied, Desk, Scene};
use crate::session::Session;
use crate::tasks::{Chore, TaskId, Tasks, Woken, Work};
use crate::time::{Deadline, Instant, Now};

pub use accept::ListenerState;
pub use observe::{Note, Observer};
pub use signal::Signal;

/// What the host may do until the next turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Park {
    /// Work is left over: poll with a zero timeout.
    Busy,
    /// Sleep until this instant or readiness.
    Until(Instant),
    /// Only readiness or a signal can wake us.
    Idle,
    /// No listener and no session is left: leave.
    Done,
}

/// What an engine is given at construction.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration.
    pub site: Arc<Site>,
    /// The door to the other engines.
    pub shared: Arc<Shared>,
    /// Which engine this is, from 0.
    pub id: u32,
    /// How many there are.
    pub engines: u32,
    /// Where all its randomness comes from.
    pub seed: Seed,
    /// The process id, for logs.
    pub pid: u32,
}

/// How grave a notice is; HAProxy's words on stderr.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// `[NOTICE]`.
    Notice,
    /// `[WARNING]`.
    Warning,
    /// `[ALERT]`.
    Alert,
}

/// A line for the operator's stderr.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// How grave.
    pub severity: Severity,
    /// The line, without the `[WARNING]  (pid) : ` in front.
    pub text: String,
}

/// What an engine has counted since its start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Counters {
    /// Turns.
    pub turns: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Sessions begun.
    pub sessions: u64,
    /// HTTP requests understood.
    pub requests: u64,
    /// Connections made to servers.
    pub connects: u64,
    /// Requests that went on a connection that was there.
    pub reuses: u64,
    /// Connection attempts that failed.
    pub connect_failures: u64,
    /// Bytes spliced.
    pub spliced: u64,
    /// Times that accepting stopped for want of descriptors.
    pub shortages: u64,
}

/// One listener of this engine.
#[derive(Debug, Hash)]
struct Listening {
    sock: Sock,
    listener: ListenerId,
    state: ListenerState,
}

/// What this engine knows of one proxy.
#[derive(Debug, Hash)]
struct Farm {
    /// How it balances, if it has servers.
    balancer: Option<Balancer>,
    /// Whether it was said that it stopped.
    stopped: bool,
}

/// One proxy engine: everything that one thread of the daemon serves.
#[derive(Debug)]
pub struct Engine {
    site: Arc<Site>,
    shared: Door,
    id: u32,
    engines: u32,
    now: Now,
    fds: Fds,
    tasks: Tasks,
    events: Vec<Event>,
    listeners: Vec<Listening>,
    clients: Slab<Client>,
    sessions: Slab<Box<Session>>,
    // Boxed, since they move between here and the table of sessions.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Session>>,
    conns: ServerConns,
    /// Clients that linger.
    lingering: u32,
    farms: Vec<Farm>,
    pools: Pools,
    pipes: Vec<Pipe>,
    pipes_open: u32,
    logs: Logs,
    forwarders: Vec<Forwarder>,
    scratch: Vec<u8>,
    /// The PROXY header of the connection that is being sought; empty if it has none.
    preface: Vec<u8>,
    rng: Rng,
    desk: Desk,
    serial: u64,
    /// What was counted.
    pub counters: Counters,
    signals: VecDeque<Signal>,
    mail: Vec<Message>,
    notices: Vec<Notice>,
    notes: Vec<Note>,
    watching: bool,
    stopping: bool,
    paused: bool,
    shortage: Option<TaskId>,
    purge: TaskId,
    hard_stop: Option<TaskId>,
}

/// Sessions kept for the next exchange.
const SPARE_SESSIONS: usize = 64;

impl Engine {
    /// An engine for a site; it opens nothing yet.
    pub fn new(setup: Setup) -> Self {
        let Setup { site, shared, id, engines, seed, pid } = setup;
        let mut tasks = Tasks::default();
        let purge = tasks.insert(Work::Engine(Chore::Purge));
        let dates = Dates::named(site.global.timezone.as_deref()).unwrap_or_else(Dates::utc);
        let mut engine = Engine {
            id,
            engines,
            now: Now::default(),
            fds: Fds::default(),
            tasks,
            events: Vec::new(),
            listeners: Vec::new(),
            clients: Slab::new(),
            sessions: Slab::new(),
            spare: Vec::new(),
            conns: ServerConns::new(site.servers.len()),
            lingering: 0,
            farms: Vec::new(),
            pools: Pools::new(&site.tunables),
            pipes: Vec::new(),
            pipes_open: 0,
            logs: Logs::new(&site, pid, dates),
            forwarders: Vec::new(),
            scratch: Vec::new(),
            preface: Vec::new(),
            rng: Rng::new(seed.split("engine").split(&id.to_string())),
            desk: Desk::new(&site, Rng::new(seed.split("samples").split(&id.to_string())), pid),
            serial: 0,
            counters: Counters::default(),
            signals: VecDeque::new(),
            mail: Vec::new(),
            notices: Vec::new(),
            notes: Vec::new(),
            watching: false,
            stopping: false,
            paused: false,
            shortage: None,
            purge,
            hard_stop: None,
            site,
            shared: Door::new(shared),
        };
        engine.farms = engine.make_farms();
        engine.desk.accompanied = engine.engines > 1;
        Scene::bare(&engine.desk, &engine.site, &engine.shared, id, engine.now).set_proc_vars();
        engine
    }

    /// Lets a witness hear from here on what the other engines' state answers to this one, or
    /// answer in its place; none ends that. What was asked before, while nothing ran, is the same
    /// in every run.
    pub fn witness(&mut self, witness: Option<Box<dyn Witness>>) {
        self.shared.set_witness(witness);
    }

    /// Opens the listeners that are this engine's and the log sinks. Errors name the listener.
    pub fn start<P: Poller>(&mut self, net: &mut P, now: Now) -> Result<(), String> {
        self.now = now;
        let site = self.site.clone();
        for (index, spec) in site.listeners.iter().enumerate() {
            let index = index as u32;
            if site.proxy(spec.frontend).disabled || !self.owns_listener(index) {
                continue;
            }
            let sock = net
                .listen(&ListenSpec { listener: index })
                .map_err(|fault| format!("{}: {}", spec.place, fault.explain()))?;
            let place = self.listeners.len() as u32;
            // A connection may have been waiting since before we looked.
            self.fds.insert(sock, Owner::Listener(place), Ready::READ);
            self.fds.retry(sock);
            self.listeners.push(Listening { sock, listener: index, state: ListenerState::Ready });
        }
        for sink in 0..self.logs.sinks() {
            let outcome = net.open_sink(sink);
            if let Ok(sock) = outcome {
                self.fds.insert(sock, Owner::LogSink(sink), Ready::NONE);
            }
            self.logs.opened(sink, outcome, now.mono);
        }
        self.start_forwarding();
        Ok(())
    }

    /// Whether this engine opens a listener: its own shard of it, or the one socket that there is.
    fn owns_listener(&self, listener: ListenerId) -> bool {
        let spec = self.site.listener(listener);
        let sharded =
            !spec.options.shared && !self.site.global.noreuseport && spec.address.is_inet();
        sharded || listener % self.engines == self.id
    }

    /// One turn of the loop: readiness, cached descriptors, signals, timers, tasks, flush.
    pub fn turn<P: Poller, O: Observer>(&mut self, net: &mut P, seen: &mut O, now: Now) -> Park {
        self.now = now;
        self.watching = O::WATCHES;
        self.counters.turns += 1;
        let mut events = core::mem::take(&mut self.events);
        net.harvest(&mut events);
        for event in events.drain(..) {
            if !self.fds.announce(event) {
                crate::sometimes!(StaleEvent);
            }
        }
        self.events = events;
        // First of all: who stops takes nothing more, whatever room others have made.
        while let Some(signal) = self.signals.pop_front() {
            self.handle_signal(net, signal);
        }
        self.read_mail(net);
        let list = self.fds.take_cached();
        for &sock in &list {
            if let Some((owner, ready)) = self.fds.begin(sock) {
                self.dispatch(net, sock, owner, ready);
            }
        }
        self.fds.recycle(list);
        self.tasks.expire(now.mono);
        if self.tasks.is_unsorted() {
            self.tasks.sort();
        }
        for _ in 0..self.site.tunables.runqueue_depth {
            let Some((id, work, woken)) = self.tasks.pop() else { break };
            match work {
                Work::Session(session) => self.run_session(net, session, woken),
                Work::Client(client) => self.run_client(net, client, woken),
                Work::Engine(chore) => self.run_chore(net, id, chore),
                Work::Forwarder(forwarder) => self.run_forwarder(net, forwarder),
            }
        }
        if !self.desk.changes.get_mut().is_empty() {
            self.tell_changes(net);
        }
        self.flush_logs(net);
        if O::WATCHES {
            for note in self.notes.drain(..) {
                seen.note(now.mono, note);
            }
        }
        let park = self.park(net);
        if cfg!(debug_assertions) {
            self.audit_sometimes(park);
        }
        park
    }

    /// Takes the lines that the operator should see on stderr.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        core::mem::take(&mut self.notices)
    }

    /// From here on the rules that apply are noted.
    pub fn trace_rules(&mut self) {
        self.desk.trace = Some(Vec::new());
    }

    /// Takes the rules that applied since the last time.
    pub fn take_trace(&mut self) -> Vec<Applied> {
        self.desk.trace.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// The buffers: how many there are, and what was moved in them.
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Sessions that run.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Clients connected, idle ones too.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Sockets open.
    pub fn sockets(&self) -> u32 {
        self.fds.open
    }

    /// Frees what a burst left behind. For a host that sees no work for a while.
    pub fn trim(&mut self) {
        self.pools.trim();
        self.spare = Vec::new();
        self.logs.trim();
        if self.clients.len() * 4 < self.clients.capacity() {
            self.clients.shrink_to_fit();
        }
        self.sessions.shrink_to_fit();
        self.tasks.trim();
        self.fds.trim();
    }

    fn park<P: Poller>(&mut self, net: &mut P) -> Park {
        if self.fds.has_cached()
            || self.tasks.runnable() > 0
            || !self.signals.is_empty()
            || self.shared.has_mail(self.id)
        {
            return Park::Busy;
        }
        if self.stopping && self.listeners.is_empty() && self.clients.is_empty() {
            if !self.forwarders.is_empty() {
                self.end_forwarding(net);
            }
            return if self.shared.retire(self.id) { Park::Done } else { Park::Busy };
        }
        self.tasks.next_expiry().map_or(Park::Idle, Park::Until)
    }

    /// One socket of the cached list: who has it does what it is ready for.
    fn dispatch<P: Poller>(&mut self, net: &mut P, sock: Sock, owner: Owner, ready: Ready) {
        match owner {
            Owner::Listener(place) => self.accept(net, place),
            Owner::Client(id) => {
                // The work itself is left to the task: one socket at a time is received, understood
                // and sent on, so that all of them share one hot buffer.
                let client = &self.clients[id as usize];
                let task = match self.sessions.get(client.session as usize) {
                    Some(session) => session.task,
                    None => client.task,
                };
                self.tasks.wake(task, Woken::IO);
            }
            Owner::Server(session) => {
                let task = self.sessions[session as usize].task;
                self.tasks.wake(task, Woken::IO);
            }
            Owner::IdleServer(conn) => {
                if ready.any(Ready::READ.with(Ready::HUP).with(Ready::ERR)) && !planted!(DeadReused)
                {
                    crate::sometimes!(IdleServerClosed);
                    self.close_idle(net, conn);
                }
            }
            Owner::LogSink(sink) => {
                if ready.has(Ready::ERR) {
                    self.fds.used_up(sock, Ready::ERR);
                    self.logs.failed(sink);
                }
            }
            Owner::Forwarder(id) => {
                let task = self.forwarders[id as usize].task;
                self.tasks.wake(task, Woken::IO);
            }
            Owner::Check(_) | Owner::Resolver(_) | Owner::Peer(_) => {}
        }
    }

    fn run_chore<P: Poller>(&mut self, net: &mut P, id: TaskId, chore: Chore) {
        match chore {
            Chore::Shortage => self.shortage_over(id),
            Chore::Purge => self.purge_idle(net),
            Chore::HardStop => self.stop_hard(net),
            Chore::Sinks => {}
        }
    }

    fn audit_sometimes(&self, park: Park) {
        let every = if self.sessions.len() <= 64 { 1 } else { 64 };
        if self.counters.turns.is_multiple_of(every) || matches!(park, Park::Idle | Park::Done) {
            self.audit();
        }
    }

    /// Checks the whole engine against its invariants.
    ///
    /// # Panics
    ///
    /// If one does not hold: that is a bug of the engine.
    pub fn audit(&self) {
        audit::check(&self.view());
        self.audit_parked();
    }

    /// Takes the whole state into a hash: what two engines have in common that go on in the same
    /// way if they are told the same. Notices that the host has not taken yet are not part of it.
    pub fn digest<H: Hasher>(&self, into: &mut H) {
        let Engine {
            // The same for all engines, or for this one at all times.
            site: _,
            shared: _,
            id: _,
            engines: _,
            watching: _,
            // In the view.
            now: _,
            fds: _,
            tasks: _,
            clients: _,
            sessions: _,
            conns: _,
            pools: _,
            // Memory for what a turn does, empty or without meaning behind it.
            events: _,
            spare: _,
            scratch: _,
            preface: _,
            // What the host or a watcher has yet to take.
            notices: _,
            notes: _,
            logs,
            forwarders,
            listeners,
            lingering,
            farms,
            pipes,
            pipes_open,
            rng,
            desk,
            serial,
            counters,
            signals,
            mail,
            stopping,
            paused,
            shortage,
            purge,
            hard_stop,
        } = self;
        audit::digest(&self.view(), into);
        (listeners, farms, signals, mail, pipes).hash(into);
        (pipes_open, lingering, serial, counters).hash(into);
        (stopping, paused, shortage, purge, hard_stop).hash(into);
        (rng.clone().draw(), desk, logs, forwarders).hash(into);
    }

    fn view(&self) -> audit::View<'_> {
        audit::View {
            site: &self.site,
            fds: &self.fds,
            tasks: &self.tasks,
            clients: &self.clients,
            sessions: &self.sessions,
            conns: &self.conns,
            pools: &self.pools,
            listeners: self.listeners.len(),
            sinks: self.logs.sinks(),
            forwarders: &self.forwarders,
            now: self.now.mono,
        }
    }

    fn set_client_deadline(&mut self, client: u32, deadline: Deadline) {
        let task = self.clients[client as usize].task;
        self.tasks.set_deadline(task, deadline);
    }
}
