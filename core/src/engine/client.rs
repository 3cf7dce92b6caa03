//! A client between its sessions: the first bytes of a request, idle deadlines, the lingering end.

use super::{Engine, Note};
use crate::buf::Buf;
use crate::channel::Facts;
use crate::conn::Client;
use crate::conn::NO_CONN;
use crate::conn::client::{ClientFlags, NO_SESSION};
use crate::conn::proxy_header::HeaderFault;
use crate::poller::{Close, Io, Poller, Ready};
use crate::pool::Class;
use crate::proxy::spec::Options;
use crate::session::{Session, SessionFlags};
use crate::sometimes;
use crate::tasks::{Woken, Work};
use crate::time::Deadline;

impl Engine {
    /// An idle client has bytes, or has ended.
    pub(super) fn client_readable<P: Poller>(&mut self, net: &mut P, id: u32) {
        let client = &self.clients[id as usize];
        if client.flags.has(ClientFlags::LINGERING) {
            self.discard(net, id);
            return;
        }
        if client.flags.has(ClientFlags::EXPECTS_PROXY) {
            self.receive_header(net, id);
            return;
        }
        let sock = client.sock;
        let mut buf = self.pools.take(Class::Large);
        let offered = buf.room().len();
        match net.recv(sock, buf.room()) {
            Io::Done(n) => {
                if n < offered && !self.fds.ready(sock).any(Ready::HUP.with(Ready::ERR)) {
                    self.fds.used_up(sock, Ready::READ);
                }
                buf.commit(n);
                self.log_connect(net, id);
                let session = self.start_session(id, Some(buf));
                self.run_session(net, session, Woken::INIT);
            }
            Io::Blocked => {
                self.fds.used_up(sock, Ready::READ.with(Ready::HUP).with(Ready::ERR));
                self.pools.give(buf);
            }
            Io::Eof => {
                self.fds.used_up(sock, Ready::READ.with(Ready::HUP));
                self.pools.give(buf);
                self.clients[id as usize].flags.set(ClientFlags::EOF);
                if self.clients[id as usize].requests > 0 || self.ignores_probes(id) {
                    self.release_client(net, id, Close::Graceful);
                } else {
                    // It never sent a request: that is an incomplete one.
                    self.start_broken(net, id, Facts::EOF);
                }
            }
            Io::Failed(_) => {
                self.pools.give(buf);
                if self.clients[id as usize].requests > 0 || self.ignores_probes(id) {
                    self.release_client(net, id, Close::Graceful);
                } else {
                    self.start_broken(net, id, Facts::READ_ERROR);
                }
            }
        }
    }

    fn ignores_probes(&self, id: u32) -> bool {
        let frontend = self.site.proxy(self.clients[id as usize].frontend);
        frontend.options.has(Options::IGNORE_PROBES)
    }

    /// A session for a request that will not come.
    fn start_broken<P: Poller>(&mut self, net: &mut P, id: u32, why: Facts) {
        let session = self.start_session(id, None);
        let s = &mut self.sessions[session as usize];
        s.times.began = s.times.idle_since;
        if why == Facts::READ_TIMEOUT {
            s.req.facts.set(why);
        } else {
            s.req.shut_read(why);
        }
        self.run_session(net, session, Woken::INIT);
    }

    /// Begins a session with the first bytes of its request, if there are any. The caller runs it,
    /// or wakes its task.
    pub(super) fn start_session(&mut self, id: u32, buf: Option<Buf>) -> u32 {
        let client = &mut self.clients[id as usize];
        client.requests += 1;
        self.serial += 1;
        self.counters.sessions += 1;
        let mut session = self.spare.pop().unwrap_or_else(Session::blank);
        let place = self.sessions.vacant_key() as u32;
        let task = self.tasks.insert(Work::Session(place));
        session.begin(self.serial, id, task, client, (self.now, &self.site));
        client.session = place;
        if self.stopping {
            session.flags.set(SessionFlags::STOPPING);
        }
        if let Some(buf) = buf {
            let n = buf.len();
            session.req.buf = Some(buf);
            session.req.arrived(n, self.now.mono);
        }
        if client.flags.has(ClientFlags::EOF) {
            session.req.shut_read(Facts::EOF);
        }
        if self.watching {
            let (serial, frontend) = (session.serial, session.frontend);
            self.notes.push(Note::Began { serial, client: id, frontend });
        }
        self.sessions.insert(session);
        self.set_client_deadline(id, Deadline::NEVER);
        place
    }

    /// After a session: what is there of the next request, or an idle wait.
    pub(super) fn client_idles<P: Poller>(&mut self, net: &mut P, id: u32) {
        let now = self.now.mono;
        let client = &mut self.clients[id as usize];
        client.session = NO_SESSION;
        client.idle_since = now;
        if let Some(rest) = client.rest.take() {
            sometimes!(Pipelined);
            self.log_connect(net, id);
            let session = self.start_session(id, Some(*rest));
            // Others first: what is pipelined must not keep the turn to itself.
            self.tasks.wake(self.sessions[session as usize].task, Woken::INIT);
            return;
        }
        if self.stopping || client.flags.has(ClientFlags::EOF) {
            self.close_client(net, id, true);
            return;
        }
        let timeouts = &self.site.proxy(client.frontend).timeouts;
        let wait = timeouts.http_keep_alive.or(timeouts.http_request).or(timeouts.client);
        let sock = client.sock;
        self.set_client_deadline(id, Deadline::after(now, wait));
        if self.fds.ready(sock).any(Ready::READ.with(Ready::HUP).with(Ready::ERR)) {
            self.fds.retry(sock);
        }
    }

    /// A client's own task: it is readable, or its idle or lingering time is over.
    pub(super) fn run_client<P: Poller>(&mut self, net: &mut P, id: u32, woken: Woken) {
        let client = &self.clients[id as usize];
        if !client.is_idle() {
            return;
        }
        if woken.has(Woken::IO) && self.is_readable(client.sock) {
            let expects = |c: &Client| c.flags.has(ClientFlags::EXPECTS_PROXY);
            let before = (client.sock, client.requests, expects(client));
            self.client_readable(net, id);
            let same = self
                .clients
                .get(id as usize)
                .is_some_and(|c| (c.sock, c.requests, expects(c)) == before && c.is_idle());
            if !same {
                return;
            }
        }
        if !woken.has(Woken::TIMER) {
            return;
        }
        let client = &self.clients[id as usize];
        if client.flags.has(ClientFlags::LINGERING) {
            self.release_client(net, id, Close::Graceful);
            return;
        }
        if client.flags.has(ClientFlags::EXPECTS_PROXY) {
            self.no_header(net, id, HeaderFault::TimedOut);
            return;
        }
        let silent = client.requests > 0 || self.ignores_probes(id);
        if silent || self.stopping {
            self.close_client(net, id, true);
        } else {
            self.start_broken(net, id, Facts::READ_TIMEOUT);
        }
    }

    /// Closes a client's connection. If it may still be sending (`quiet` says that it is not), we
    /// end our direction only, and read and throw away what comes, so that our last bytes are not
    /// destroyed by a reset.
    pub(super) fn close_client<P: Poller>(&mut self, net: &mut P, id: u32, quiet: bool) {
        let client = &mut self.clients[id as usize];
        client.session = NO_SESSION;
        let sock = client.sock;
        if quiet || client.flags.has(ClientFlags::EOF) {
            self.release_client(net, id, Close::Graceful);
            return;
        }
        if self.lingering >= self.site.tunables.lingering_max {
            self.release_client(net, id, Close::Graceful);
            return;
        }
        sometimes!(Lingered);
        let tunables = &self.site.tunables;
        self.lingering += 1;
        client.flags.set(ClientFlags::LINGERING);
        client.linger_left = u32::try_from(tunables.linger_bytes_max).unwrap_or(u32::MAX);
        let deadline = Deadline::after(self.now.mono, Some(tunables.linger_time_max));
        net.shut_write(sock);
        if let Some(rest) = self.clients[id as usize].rest.take() {
            self.pools.give(*rest);
        }
        // As far as limits go, it is gone.
        self.release_places(net, id);
        self.set_client_deadline(id, deadline);
        if self.fds.ready(sock).any(Ready::READ.with(Ready::HUP).with(Ready::ERR)) {
            self.fds.retry(sock);
        }
    }

    /// Throws away what a lingering client sends, up to the limit of a turn and the limit in all.
    fn discard<P: Poller>(&mut self, net: &mut P, id: u32) {
        let sock = self.clients[id as usize].sock;
        let mut buf = self.pools.take(Class::Large);
        let mut over = false;
        for _ in 0..self.site.tunables.reads_max {
            let offered = buf.room().len();
            match net.recv(sock, buf.room()) {
                Io::Done(n) => {
                    let client = &mut self.clients[id as usize];
                    client.linger_left = client.linger_left.saturating_sub(n as u32);
                    if client.linger_left == 0 {
                        over = true;
                        break;
                    }
                    if n < offered && !self.fds.ready(sock).any(Ready::HUP.with(Ready::ERR)) {
                        self.fds.used_up(sock, Ready::READ);
                        break;
                    }
                }
                Io::Blocked => {
                    self.fds.used_up(sock, Ready::READ.with(Ready::HUP).with(Ready::ERR));
                    break;
                }
                Io::Eof | Io::Failed(_) => {
                    over = true;
                    break;
                }
            }
        }
        self.pools.give(buf);
        if over {
            self.release_client(net, id, Close::Graceful);
        } else if self.fds.ready(sock).any(Ready::READ.with(Ready::HUP)) {
            self.fds.retry(sock);
        }
    }

    /// Ends a client that has no session: its socket, its task, its places in the limits.
    pub(super) fn release_client<P: Poller>(&mut self, net: &mut P, id: u32, how: Close) {
        self.release_places(net, id);
        let client = self.clients.remove(id as usize);
        crate::invariant!(client.is_idle());
        if client.flags.has(ClientFlags::LINGERING) {
            self.lingering -= 1;
        }
        self.fds.remove(client.sock);
        net.close(client.sock, how);
        self.tasks.remove(client.task);
        if let Some(rest) = client.rest {
            self.pools.give(*rest);
        }
        if client.private != NO_CONN {
            self.close_idle(net, client.private);
        }
        self.descriptor_freed();
        if self.watching {
            self.notes.push(Note::Released { client: id });
        }
    }

    /// Gives back a client's places in the limits, if it has them.
    fn release_places<P: Poller>(&mut self, net: &mut P, id: u32) {
        let client = &mut self.clients[id as usize];
        if client.flags.has(ClientFlags::COUNTED) {
            client.flags.clear(ClientFlags::COUNTED);
            let listener = client.listener;
            self.release_limits(net, listener);
        }
    }

    /// Closes every client that only lingers: its descriptor is needed.
    pub(super) fn end_lingering<P: Poller>(&mut self, net: &mut P) {
        if self.lingering == 0 {
            return;
        }
        let lingers = |(_, c): &(usize, &Client)| c.flags.has(ClientFlags::LINGERING);
        let ids: Vec<u32> = self.clients.iter().filter(lingers).map(|(id, _)| id as u32).collect();
        for id in ids {
            self.release_client(net, id, Close::Graceful);
        }
    }

    /// A descriptor is free again: a listener that waits for one may try.
    pub(super) fn descriptor_freed(&mut self) {
        if let Some(task) = self.shortage {
            self.shortage_over(task);
        }
    }
}
