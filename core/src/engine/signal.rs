//! Signals: queued by the host, handled by the turn.

use super::{Engine, Notice, Severity};
use crate::conn::client::ClientFlags;
use crate::fault::Cause;
use crate::logfmt::wire::Level;
use crate::poller::{Close, Poller};
use crate::proxy::shared::Gauge;
use crate::session::SessionFlags;
use crate::tasks::{Chore, Woken, Work};
use crate::time::Deadline;

use super::accept::ListenerState;

/// A signal, queued by the host and handled by the next turn.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Signal {
    /// USR1: close the listeners, end when the last session ends.
    SoftStop,
    /// TTOU: stop accepting, keep the listeners.
    Pause,
    /// TTIN: accept again.
    Resume,
    /// HUP: write the state of all servers and proxies to the log.
    DumpState,
    /// QUIT: say how much the pools hold, and trim them.
    TrimPools,
}

impl Engine {
    /// Queues a signal for the next turn.
    pub fn signal(&mut self, signal: Signal) {
        self.signals.push_back(signal);
    }

    /// Says something of its host to the operator: as a notice, and in the log of the first proxy
    /// that has one. It is sent in the next turn.
    pub fn announce(&mut self, severity: Severity, text: String) {
        let level = match severity {
            Severity::Notice => Level::Notice,
            Severity::Warning => Level::Warning,
            Severity::Alert => Level::Alert,
        };
        let logs = self.site.proxies.iter().position(|proxy| !proxy.logs.is_empty());
        if let Some(proxy) = logs {
            self.log_text(proxy as u32, level, &text);
        }
        self.notices.push(Notice { severity, text });
    }

    pub(super) fn handle_signal<P: Poller>(&mut self, net: &mut P, signal: Signal) {
        match signal {
            Signal::SoftStop => self.stop_softly(net),
            Signal::Pause => self.pause(),
            Signal::Resume => self.unpause(),
            Signal::DumpState => self.dump_state(),
            Signal::TrimPools => self.dump_pools(),
        }
    }

    /// Closes the listeners and idle connections; what runs may finish.
    fn stop_softly<P: Poller>(&mut self, net: &mut P) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        for listening in core::mem::take(&mut self.listeners) {
            self.fds.remove(listening.sock);
            net.close(listening.sock, Close::Graceful);
        }
        if self.id == 0 {
            self.say_stopped();
        }
        for (_, s) in &mut self.sessions {
            s.flags.set(SessionFlags::STOPPING);
        }
        let idle: Vec<u32> = self
            .clients
            .iter()
            .filter(|(_, c)| {
                let busy = ClientFlags::LINGERING.with(ClientFlags::EXPECTS_PROXY);
                c.is_idle() && !c.flags.any(busy)
            })
            .map(|(id, _)| id as u32)
            .collect();
        for id in idle {
            if planted!(StopForgetsIdle) {
                self.set_client_deadline(id, Deadline::NEVER);
                continue;
            }
            self.close_client(net, id, true);
        }
        while let Some(conn) = self.conns.any_idle() {
            self.close_idle(net, conn);
        }
        if let Some(limit) = self.site.global.hard_stop_after {
            let task = self.tasks.insert(Work::Engine(Chore::HardStop));
            self.tasks.set_deadline(task, Deadline::after(self.now.mono, Some(limit)));
            self.hard_stop = Some(task);
        }
    }

    fn say_stopped(&mut self) {
        let site = self.site.clone();
        for (id, proxy) in site.proxies.iter().enumerate() {
            let farm = &mut self.farms[id];
            if proxy.disabled || core::mem::replace(&mut farm.stopped, true) {
                continue;
            }
            let text = format!(
                "Proxy {} stopped (cumulated conns: FE: {}, BE: {}).",
                proxy.name,
                self.shared.gauge(Gauge::Accepted(id as u32)),
                self.shared.gauge(Gauge::Received(id as u32))
            );
            self.say(Severity::Warning, Level::Warning, id as u32, text);
        }
    }

    /// `hard-stop-after`: what still runs is killed.
    pub(super) fn stop_hard<P: Poller>(&mut self, net: &mut P) {
        let sessions: Vec<u32> = self.sessions.iter().map(|(id, _)| id as u32).collect();
        for id in sessions {
            self.kill_session(id, Cause::Killed);
        }
        let clients: Vec<u32> =
            self.clients.iter().filter(|(_, c)| c.is_idle()).map(|(id, _)| id as u32).collect();
        for id in clients {
            self.release_client(net, id, Close::Graceful);
        }
        if let Some(task) = self.hard_stop.take() {
            self.tasks.remove(task);
        }
    }

    /// Ends a session for a reason from outside; its task does the rest.
    fn kill_session(&mut self, id: u32, cause: Cause) {
        let Engine {
            sessions, clients, pools, site, scratch, desk, shared, id: engine, now, ..
        } = self;
        let s = &mut sessions[id as usize];
        s.ends(cause);
        let client = &mut clients[s.client as usize];
        let mut cx = crate::session::Cx {
            now: *now,
            site,
            pools,
            client,
            scratch,
            desk,
            shared,
            engine: *engine,
        };
        s.abort(&mut cx);
        let task = s.task;
        self.tasks.wake(task, Woken::SIGNAL);
    }

    fn pause(&mut self) {
        self.paused = true;
        for l in &mut self.listeners {
            l.state = ListenerState::Paused;
        }
        self.say_all("Paused", "frontend");
    }

    fn unpause(&mut self) {
        self.paused = false;
        self.resume_listeners(|state| state == ListenerState::Paused);
        self.say_all("Resumed", "frontend");
    }

    fn say_all(&mut self, what: &str, kind: &str) {
        if self.id != 0 {
            return;
        }
        let site = self.site.clone();
        for (id, proxy) in site.proxies.iter().enumerate() {
            if !proxy.listeners.is_empty() && !proxy.disabled {
                let text = format!("{what} {kind} {}.", proxy.name);
                self.say(Severity::Warning, Level::Warning, id as u32, text);
            }
        }
    }

    /// HUP: one line for each server and each proxy.
    fn dump_state(&mut self) {
        if self.id != 0 {
            return;
        }
        let site = self.site.clone();
        for (id, proxy) in site.proxies.iter().enumerate() {
            for server in proxy.servers.clone() {
                let spec = site.server(server);
                let state = if self.is_usable(server) { "UP" } else { "DOWN" };
                let (queued, _) = self.shared.queue_lengths(id as u32, Some(server));
                let text = format!(
                    "SIGHUP: Server {}/{} is {state}. Conn: {} act, {queued} pend, {} tot.",
                    proxy.name,
                    spec.name,
                    self.shared.gauge(Gauge::Served(server)),
                    self.shared.gauge(Gauge::Received(id as u32)),
                );
                self.say(Severity::Warning, Level::Notice, id as u32, text);
            }
            let own = |server| self.shared.queue_lengths(id as u32, Some(server)).0;
            let unassigned = self.shared.queue_lengths(id as u32, None).1;
            let queued = unassigned + proxy.servers.clone().map(own).sum::<u32>();
            let text = format!(
                "SIGHUP: Proxy {} has {} active servers available. Conn: act(FE+BE): {}+{}, \
                 {queued} pend ({unassigned} unass), tot(FE+BE): {}+{}.",
                proxy.name,
                proxy.servers.clone().filter(|&s| self.is_usable(s)).count(),
                self.shared.used(crate::proxy::shared::LimitId::Frontend(id as u32)),
                self.shared.gauge(Gauge::Backend(id as u32)),
                self.shared.gauge(Gauge::Accepted(id as u32)),
                self.shared.gauge(Gauge::Received(id as u32)),
            );
            self.say(Severity::Warning, Level::Notice, id as u32, text);
        }
    }

    /// QUIT: what the pools hold, then give it back.
    fn dump_pools(&mut self) {
        let mut text = format!("Dumping pools usage of engine {}:", self.id);
        for (size, live, free) in self.pools.figures() {
            text.push_str(&format!(" buffers of {size} bytes: {live} used, {free} free;"));
        }
        text.push_str(&format!(
            " sessions: {} used, {} spare; clients: {}; server connections: {}.",
            self.sessions.len(),
            self.spare.len(),
            self.clients.len(),
            self.conns.len()
        ));
        self.notices.push(Notice { severity: Severity::Notice, text });
        self.trim();
    }

    fn say(&mut self, severity: Severity, level: Level, proxy: u32, text: String) {
        self.log_text(proxy, level, &text);
        self.notices.push(Notice { severity, text });
    }
}
