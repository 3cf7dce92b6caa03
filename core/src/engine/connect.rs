//! Server choice, queues, and connections new or idle.

use super::{Engine, Farm, Note};
use crate::balance::{Algorithm, Balancer, Pick, Servers, domain};
use crate::conn::{ClientFlags, NO_CONN, ServerConn};
use crate::fault::{Cause, Fault, Phase};
use crate::fds::Owner;
use crate::logfmt::wire::Level;
use crate::poller::{Address, Close, ConnectSpec, Peer, Poller, Ready, SockOpt, Which};
use crate::proxy::shared::{Door, Gauge, Queued, Rank, Rate, Slot, Waiter};
use crate::proxy::spec::{Mode, Options, Proxy, Reuse, ServerId, Site};
use crate::rule::{Destination, Switch};
use crate::sample::Point;
use crate::session::{NO_SERVER, SessionFlags, Surroundings};
use crate::side::{State, Step};
use crate::sometimes;
use crate::time::Deadline;

/// One backend's servers as its balancer sees them.
struct View<'a> {
    site: &'a Site,
    backend: &'a Proxy,
    shared: &'a Door,
}

impl View<'_> {
    fn id(&self, server: usize) -> ServerId {
        self.backend.servers.start + server as ServerId
    }
}

impl Servers for View<'_> {
    fn len(&self) -> usize {
        self.backend.servers.len()
    }

    fn id(&self, server: usize) -> u32 {
        self.site.server(View::id(self, server)).id
    }

    fn weight(&self, server: usize) -> u32 {
        self.site.server(View::id(self, server)).weight
    }

    fn usable(&self, server: usize) -> bool {
        let spec = self.site.server(View::id(self, server));
        !spec.disabled && spec.address.is_some()
    }

    fn backup(&self, server: usize) -> bool {
        self.site.server(View::id(self, server)).backup
    }

    fn full(&self, server: usize) -> bool {
        self.site.server(View::id(self, server)).maxconn > 0
            && self.shared.full(View::id(self, server))
    }

    fn load(&self, server: usize) -> u32 {
        let id = View::id(self, server);
        let queued = if self.site.server(id).maxconn > 0 {
            self.shared.queue_lengths(self.site.server(id).backend, Some(id)).0
        } else {
            0
        };
        self.shared.gauge(Gauge::Served(id)) + queued
    }

    fn served(&self, server: usize) -> u32 {
        self.shared.gauge(Gauge::Served(View::id(self, server)))
    }
}

impl Engine {
    /// A balancer for every proxy that has servers.
    pub(super) fn make_farms(&self) -> Vec<Farm> {
        let make = |backend: &Proxy| Farm {
            balancer: (!backend.servers.is_empty()).then(|| {
                let view = View { site: &self.site, backend, shared: &self.shared };
                let mut balancer = Balancer::new(&backend.balance, &view);
                // The engines begin at different servers, so that the first requests of a process
                // with many threads do not all go to the first one.
                if matches!(backend.balance.algorithm, Algorithm::RoundRobin | Algorithm::StaticRr)
                {
                    for _ in 0..self.id {
                        let _ = balancer.pick(&view, None, None, &mut || 0);
                    }
                }
                balancer
            }),
            stopped: false,
        };
        self.site.proxies.iter().map(make).collect()
    }

    /// Whether a server may take traffic.
    pub(super) fn is_usable(&self, server: ServerId) -> bool {
        let spec = self.site.server(server);
        !spec.disabled && spec.address.is_some()
    }

    /// The load of the session's server changed.
    #[inline(always)]
    pub(super) fn balancer_moved(&mut self, id: u32) {
        let s = &self.sessions[id as usize];
        if self.site.proxy(s.backend).balance.algorithm == Algorithm::LeastConn
            && s.back.server != NO_SERVER
        {
            self.least_moved(id);
        }
    }

    fn least_moved(&mut self, id: u32) {
        let s = &self.sessions[id as usize];
        let backend = self.site.proxy(s.backend);
        let view = View { site: &self.site, backend, shared: &self.shared };
        let index = (s.back.server - backend.servers.start) as usize;
        if let Some(balancer) = &mut self.farms[s.backend as usize].balancer {
            balancer.moved(index, &view);
        }
    }

    /// The session wants a server: choose one if none is chosen, then connect.
    pub(super) fn find_server<P: Poller>(&mut self, net: &mut P, id: u32) {
        let s = &mut self.sessions[id as usize];
        if s.back.state == State::Request {
            self.choose(net, id);
        }
        if self.sessions[id as usize].back.state == State::Assigned {
            self.connect(net, id);
        }
    }

    /// Chooses a server and takes its slot, or queues.
    fn choose<P: Poller>(&mut self, net: &mut P, id: u32) {
        let avoid = self.sessions[id as usize].back.server;
        if avoid != NO_SERVER {
            self.release_server(net, id);
            self.sessions[id as usize].back.server = NO_SERVER;
            self.sessions[id as usize].back.last = avoid;
        }
        let backend_id = self.sessions[id as usize].backend;
        let backend = self.site.proxy(backend_id);
        let avoid = (avoid != NO_SERVER).then(|| (avoid - backend.servers.start) as usize);
        let tells = !backend.use_servers.is_empty();
        if let Some(server) = self.preferred(id, avoid.is_some()) {
            match self.shared.slot(server) {
                Slot::Full => {}
                slot => return self.assign(id, server, slot == Slot::Granted),
            }
        }
        if tells
            && avoid.is_none()
            && let Some(server) = self.told(id)
        {
            return match self.shared.slot(server) {
                Slot::Full => self.queue(id, Some(server)),
                slot => self.assign(id, server, slot == Slot::Granted),
            };
        }
        let key = self.key(id);
        self.desk.clear();
        let backend = self.site.proxy(backend_id);
        let view = View { site: &self.site, backend, shared: &self.shared };
        let rng = &mut self.rng;
        let Some(balancer) = &mut self.farms[backend_id as usize].balancer else {
            return self.no_server(id);
        };
        match balancer.pick(&view, key, avoid, &mut || (rng.draw() >> 32) as u32) {
            Pick::None => self.no_server(id),
            Pick::AllFull => self.queue(id, None),
            Pick::Server(index) => {
                let server = View::id(&view, index);
                match self.shared.slot(server) {
                    Slot::Unlimited => self.assign(id, server, false),
                    Slot::Granted => self.assign(id, server, true),
                    // It filled up meanwhile, or no other will do.
                    Slot::Full => self.queue(id, Some(server)),
                }
            }
        }
    }

    /// The server of the client's last request, if `option prefer-last-server` has it so.
    #[inline(always)]
    fn preferred(&self, id: u32, failed: bool) -> Option<ServerId> {
        let s = &self.sessions[id as usize];
        let client = &self.clients[s.client as usize];
        let backend = self.site.proxy(s.backend);
        if failed || s.mode != Mode::Http || client.last_server == NO_SERVER {
            return None;
        }
        let wanted = backend.options.has(Options::PREFER_LAST_SERVER)
            || client.flags.has(ClientFlags::PREFER_LAST);
        // A connection that others may use as well is no reason to stay, as in HAProxy, where those
        // with the same PROXY header may.
        let held = client.private != NO_CONN && {
            let conn = self.conns.conn(client.private);
            let own = conn.preface.is_empty() || backend.reuse == Reuse::Never;
            conn.server == client.last_server && own
        };
        let same = backend.servers.contains(&client.last_server);
        (wanted && held && same && self.is_usable(client.last_server)).then_some(client.last_server)
    }

    /// What the balance algorithm looks at, hashed.
    #[inline]
    fn key(&self, id: u32) -> Option<u32> {
        use Algorithm::{Keyed, Source, Uri};
        let s = &self.sessions[id as usize];
        match self.site.proxy(s.backend).balance.algorithm {
            Source | Uri(_) | Keyed => self.hashed(id),
            _ => None,
        }
    }

    fn hashed(&self, id: u32) -> Option<u32> {
        let s = &self.sessions[id as usize];
        let balance = &self.site.proxy(s.backend).balance;
        match balance.algorithm {
            Algorithm::Source => match s.source(&self.clients[s.client as usize]) {
                Peer::Inet(address) => Some(balance.hash_type.source(&address.ip())),
                Peer::Unix => None,
            },
            Algorithm::Uri(options) if s.has_request() => {
                Some(balance.hash_type.uri(s.txn.request.target(), &options))
            }
            Algorithm::Keyed => {
                let backend = self.site.proxy(s.backend);
                let scene = s.scene_of(Point::Switch, s.backend, &self.surroundings(s.client));
                let mut values = backend.balance_keys.iter().filter_map(|expr| {
                    expr.eval(&scene).value.and_then(|value| value.bytes(scene.arena()))
                });
                // Where nothing is found, the servers take turns.
                let found = values.next()?;
                let found = if backend.balance_domain { domain(found) } else { found };
                Some(balance.hash_type.bytes(found))
            }
            _ => None,
        }
    }

    /// The server of the first `use-server` that applies, if it can be used.
    fn told(&self, id: u32) -> Option<ServerId> {
        let s = &self.sessions[id as usize];
        let backend = self.site.proxy(s.backend);
        let scene = s.scene_of(Point::Switch, s.backend, &self.surroundings(s.client));
        let holds = |way: &&Switch| {
            way.condition.as_ref().is_none_or(|condition| condition.test(&scene).holds())
        };
        let way = backend.use_servers.iter().find(holds)?;
        let server = match &way.to {
            Destination::Name(name) => self.site.refs.server(*name),
            Destination::Format(format) => {
                let mut name = Vec::new();
                format.write(&scene, usize::from(u16::MAX), &mut name);
                let called = |id: &ServerId| self.site.server(*id).name.as_bytes() == name;
                backend.servers.clone().find(called)
            }
        };
        server.filter(|server| self.is_usable(*server))
    }

    /// What expressions may look at around a client's session.
    fn surroundings(&self, client: u32) -> Surroundings<'_> {
        Surroundings {
            client: &self.clients[client as usize],
            site: &self.site,
            desk: &self.desk,
            shared: &self.shared,
            engine: self.id,
            now: self.now,
        }
    }

    /// The server is chosen and its slot taken.
    fn assign(&mut self, id: u32, server: ServerId, slot: bool) {
        let s = &mut self.sessions[id as usize];
        s.back.server = server;
        if slot {
            s.flags.set(SessionFlags::SLOT);
        }
        s.back.state.step(Step::Assign);
    }

    fn no_server(&mut self, id: u32) {
        self.give_up(id, Cause::Server, Phase::Connect);
    }

    fn give_up(&mut self, id: u32, cause: Cause, phase: Phase) {
        let (s, mut cx) = self.session(id);
        s.gives_up(cause, phase, &mut cx);
    }

    /// Waits for a slot of `server`, or of any.
    fn queue(&mut self, id: u32, server: Option<ServerId>) {
        sometimes!(QueueWait);
        let s = &mut self.sessions[id as usize];
        let rank = Rank::new(s.txn.priority, self.now.mono);
        let who = Waiter { engine: self.id, session: id, serial: s.serial, rank };
        match self.shared.enqueue(s.backend, server, who) {
            Queued::Waiting { ticket, .. } => {
                s.back.ticket = Some(ticket);
                s.back.state.step(Step::Queue);
                let timeouts = &self.site.proxy(s.backend).timeouts;
                let wait = timeouts.queue.or(timeouts.connect);
                s.back.expiry = Deadline::after(self.now.mono, wait);
                if self.watching {
                    self.notes.push(Note::Queued { serial: s.serial });
                }
            }
            Queued::Granted(server) => self.assign(id, server, true),
            Queued::Full(_) => self.give_up(id, Cause::Server, Phase::Queue),
        }
    }

    /// Takes an idle connection, or starts a new one.
    fn connect<P: Poller>(&mut self, net: &mut P, id: u32) {
        let now = self.now.mono;
        let s = &mut self.sessions[id as usize];
        let server = s.back.server;
        s.times.queued.get_or_insert(now);
        if s.back.last != NO_SERVER && s.back.last != server {
            s.flags.set(SessionFlags::REDISPATCHED);
        }
        if !s.flags.has(SessionFlags::COUNTED_SERVER) {
            s.flags.set(SessionFlags::COUNTED_SERVER);
            self.shared.gauge_add(self.id, Gauge::Served(server), 1);
            self.balancer_moved(id);
        }
        if self.site.wants.rates {
            self.shared.count(self.id, Rate::Served(server), now);
        }
        self.write_preface(net, id);
        if let Some(conn) = self.idle_for(id) {
            let s = &mut self.sessions[id as usize];
            s.back.conn = conn;
            let sock = self.conns.conn(conn).sock;
            self.note_ends(net, id, sock);
            self.fds.reassign(sock, Owner::Server(id));
            self.shared.gauge_add(self.id, Gauge::Idle(server), -1);
            self.established(id, true);
            return;
        }
        let mut outcome = self.open(net, id);
        if outcome.is_err_and(Fault::is_shortage) && self.run_short(net) {
            outcome = self.open(net, id);
        }
        match outcome {
            Ok(sock) => {
                self.counters.connects += 1;
                self.note_ends(net, id, sock);
                let conn = self.conns.insert(sock, server, id);
                self.conns.conn_mut(conn).preface = self.preface.as_slice().into();
                self.fds.insert(sock, Owner::Server(id), Ready::NONE);
                let s = &mut self.sessions[id as usize];
                s.back.conn = conn;
                s.back.state.step(Step::Connect);
                let timeout = self.site.proxy(s.backend).timeouts.connect;
                s.back.expiry = Deadline::after(now, timeout);
            }
            Err(fault) => {
                if fault.is_shortage() {
                    self.say_shortage(id, fault);
                }
                self.attempt_failed(id, fault);
            }
        }
    }

    /// Notes both ends of the connection that is used from here on.
    #[inline(always)]
    fn note_ends<P: Poller>(&mut self, net: &mut P, id: u32, sock: crate::poller::Sock) {
        let inet = |peer: Option<Peer>| match peer {
            Some(Peer::Inet(at)) => Some(at),
            _ => None,
        };
        let s = &mut self.sessions[id as usize];
        let server = self.site.server(s.back.server);
        if self.site.wants.source {
            s.back.ours = inet(net.address(sock, Which::Local));
        }
        s.back.dialled = true;
        // Else it is where the configuration says.
        if server.port_offset.is_some() {
            s.back.theirs = inet(net.address(sock, Which::Peer));
        }
    }

    /// Tells the operator that a connection could not be made for want of something.
    #[cold]
    fn say_shortage(&mut self, id: u32, fault: Fault) {
        let backend = self.sessions[id as usize].backend;
        let name = &self.site.proxy(backend).name;
        let text = format!("Connect() failed for backend {name}: {}.", fault.explain());
        self.log_text(backend, Level::Error, &text);
    }

    /// An idle connection that this session may use.
    fn idle_for(&mut self, id: u32) -> Option<u32> {
        let s = &self.sessions[id as usize];
        if s.mode != Mode::Http || s.flags.has(SessionFlags::FRESH) {
            return None;
        }
        let server = s.back.server;
        let client = &mut self.clients[s.client as usize];
        let private = client.private;
        let suits = |conn: &ServerConn| conn.server == server && *conn.preface == *self.preface;
        if private != NO_CONN && suits(self.conns.conn(private)) {
            client.private = NO_CONN;
            self.conns.claim(private, id);
            return Some(private);
        }
        let first = client.requests <= 1;
        self.conns.take(server, self.site.proxy(s.backend).reuse, first, id)
    }

    /// Starts a connection to the session's server.
    fn open<P: Poller>(&mut self, net: &mut P, id: u32) -> Result<crate::poller::Sock, Fault> {
        let s = &self.sessions[id as usize];
        let backend = self.site.proxy(s.backend);
        let server = self.site.server(s.back.server);
        let Some(address) = &server.address else { return Err(Fault::Unreachable) };
        let moved;
        let to = match (server.port_offset, address) {
            (Some(offset), Address::Inet(at)) => {
                let port = match net.address(self.clients[s.client as usize].sock, Which::Local) {
                    Some(Peer::Inet(local)) => i32::from(local.port()) + offset,
                    _ => offset,
                };
                let port = u16::try_from(port).map_err(|_| Fault::Unreachable)?;
                moved = Address::Inet(core::net::SocketAddr::new(at.ip(), port));
                &moved
            }
            _ => address,
        };
        let tunables = &self.site.tunables;
        let mut options = [SockOpt::NoDelay(true); 8];
        let mut count = 1;
        let mut add = |option: SockOpt| {
            options[count] = option;
            count += 1;
        };
        if tunables.rcvbuf_server > 0 {
            add(SockOpt::ReceiveBuffer(tunables.rcvbuf_server));
        }
        if tunables.sndbuf_server > 0 {
            add(SockOpt::SendBuffer(tunables.sndbuf_server));
        }
        if let Some(timeout) = server.user_timeout {
            add(SockOpt::UserTimeout(timeout));
        }
        if backend.options.has(Options::NOLINGER) {
            add(SockOpt::NoLinger);
        }
        let options = if matches!(to, Address::Inet(_)) { &options[..count] } else { &[] };
        let from = server.source.or(backend.source);
        let spec = ConnectSpec { to, from, options };
        let sock = net.connect(&spec)?;
        if backend.options.has(Options::SERVER_KEEPALIVE) {
            super::accept::keep_alive(net, sock, &backend.server_probes);
        }
        Ok(sock)
    }

    /// Closes an idle connection.
    pub(super) fn close_idle<P: Poller>(&mut self, net: &mut P, conn: u32) {
        crate::invariant!(self.conns.is_idle(conn));
        let owner = self.conns.conn(conn).owner.and_then(|id| self.clients.get_mut(id as usize));
        if let Some(client) = owner.filter(|client| client.private == conn) {
            client.private = NO_CONN;
        }
        let conn = self.conns.remove(conn);
        self.fds.remove(conn.sock);
        net.close(conn.sock, Close::Reset);
        self.shared.gauge_add(self.id, Gauge::Idle(conn.server), -1);
        self.descriptor_freed();
    }

    /// Closes half of the idle connections that nobody needed since the last look.
    pub(super) fn purge_idle<P: Poller>(&mut self, net: &mut P) {
        let mut delay = crate::time::Duration::from_secs(3600);
        for server in 0..self.site.servers.len() as ServerId {
            if self.conns.idle_of(server) == 0 {
                continue;
            }
            delay = delay.min(self.site.server(server).pool_purge_delay);
            for _ in 0..self.conns.spare(server) {
                let Some(conn) = self.conns.coldest(server) else { break };
                self.close_idle(net, conn);
            }
        }
        if self.conns.idle_total > 0 {
            self.tasks.set_deadline(self.purge, Deadline::after(self.now.mono, Some(delay)));
        }
    }
}
