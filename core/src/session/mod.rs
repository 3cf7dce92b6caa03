//! A session: one exchange between a client's side and a server's. (The article's session; what
//! HAProxy has called a *stream* since 2.0. What it calls a session is [`crate::conn::Client`]
//! here.)
//!
//! It holds two channels, the server side's state, a transaction in HTTP mode, and the analysers
//! still to run. [`Session::process`] changes only the session itself and says what it wants;
//! `engine/` moves the bytes, opens and closes connections, and calls again.
//!
//! ```text
//!   client ──► req: input ─ analysers ─ output ──► server
//!   client ◄── res: output ─ analysers ─ input ◄── server
//!               process():  timeouts ► ends and faults ► request analysers ► response analysers
//!                           ► shutdowns ► over?
//! ```

mod close;
mod record;
mod scene;
mod times;

pub use record::{Witnesses, record_of_client};
pub use scene::{Surroundings, client_scene};
pub use times::Times;

use core::net::SocketAddr;

use crate::analyser;
use crate::bit_set;
use crate::channel::{Analysers, Channel, FOREVER, Facts};
use crate::conn::client::Marks;
use crate::conn::{Client, ConnId, Mux, NO_CONN};
use crate::fault::{Cause, End, Fault, Phase};
use crate::http::{HeadLimits, HeadScan, Scan, request_body};
use crate::invariant;
use crate::pool::Pools;
use crate::proxy::shared::Door;
use crate::proxy::shared::Ticket;
use crate::proxy::shared::errors::{Direction, Message};
use crate::proxy::spec::{Mode, Options, ProxyId, ServerId, Site};
use crate::sample::Desk;
use crate::side::{State, Step};
use crate::tasks::{TaskId, Woken};
use crate::time::{Deadline, Now, Wall};
use crate::txn::{Txn, TxnFlags};

/// Stands for no server.
pub const NO_SERVER: ServerId = ServerId::MAX;

bit_set! {
    /// What is true of a session.
    pub struct SessionFlags: u32 {
        /// A retry went to another server (`+` in the log).
        REDISPATCHED = 1,
        /// The server connection was used before.
        REUSED = 2,
        /// Bytes of the answer came in on the connection in use.
        ANSWERED = 4,
        /// Bytes of the request went out on the connection in use.
        SENT = 8,
        /// A slot of the server's `maxconn` is held.
        SLOT = 16,
        /// Counted in the backend's and server's gauges.
        COUNTED_BACKEND = 32,
        /// Counted as served by the server.
        COUNTED_SERVER = 64,
        /// The end was logged.
        LOGGED = 128,
        /// The server connection is to be closed before anything else happens.
        DROP_SERVER = 256,
        /// The server connection is to be closed with a reset.
        RESET_SERVER = 512,
        /// The client is to be reset rather than closed (a rule said so).
        SILENT = 1024,
        /// The process is stopping: no keep-alive after this exchange.
        STOPPING = 2048,
        /// Only a fresh connection will do: a reused one has just died under this request.
        FRESH = 4096,
        /// The next attempt to connect chooses a server anew.
        ELSEWHERE = 8192,
        /// The server connection is this client's only, from now on.
        PRIVATE = 16384,
        /// `disable-l7-retry`: nothing is sent a second time.
        NO_RETRY = 32768,
        /// `tcp-request content` rules of the frontend have looked at it already: it became HTTP.
        INSPECTED = 65536,
        /// Counted in the backend's rate of sessions.
        RATED = 131072,
    }
}

/// The server side.
#[derive(Debug, Hash, Default)]
pub struct Back {
    /// Where it is.
    pub state: State,
    /// The chosen server.
    pub server: ServerId,
    /// The one of the attempt before, if there was one.
    pub last: ServerId,
    /// The connection, if any.
    pub conn: ConnId,
    /// Attempts left.
    pub retries_left: u32,
    /// When the queue, the attempt or the pause has taken too long.
    pub expiry: Deadline,
    /// What the last attempt failed of.
    pub fault: Option<Fault>,
    /// Our place in a queue.
    pub ticket: Option<Ticket>,
    /// Requests before us in the server's queue when we came.
    pub server_queue: u32,
    /// Requests before us in the backend's queue when we came.
    pub backend_queue: u32,
    /// Our end of the last connection, if some expression or log wants to know it.
    pub ours: Option<SocketAddr>,
    /// Whether there was one.
    pub dialled: bool,
    /// The server's end of it, if the configuration does not say it.
    pub theirs: Option<SocketAddr>,
}

impl Back {
    fn none() -> Back {
        Back { server: NO_SERVER, last: NO_SERVER, conn: NO_CONN, ..Back::default() }
    }
}

/// A message that was refused, to be counted, and kept if its bytes are there.
#[derive(Debug)]
pub struct Refusal {
    /// Who sent it.
    pub direction: Direction,
    /// What of it is kept.
    pub message: Option<Message>,
}

/// What a step leaves to the engine to do beside what the session wants. Most leave nothing.
#[derive(Debug, Default)]
pub struct Errands {
    /// A message that was just refused.
    pub refusal: Option<Refusal>,
    /// What is new in how packets to the client are marked.
    pub marks: Marks,
    /// `set-nice`: where the session's task stands among others.
    pub nice: Option<i16>,
}

/// What a session wants of the engine.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Nothing until something happens.
    Wait,
    /// A server: choose, queue or connect.
    Server,
    /// Close the server connection, then call again.
    DropServer,
    /// The exchange is over: log it, release everything.
    Over,
}

/// What a step may look at beside the session itself.
pub struct Cx<'a> {
    /// The time of this turn.
    pub now: Now,
    /// The configuration.
    pub site: &'a Site,
    /// Buffers.
    pub pools: &'a mut Pools,
    /// The client's connection.
    pub client: &'a mut Client,
    /// For writing heads; empty between uses.
    pub scratch: &'a mut Vec<u8>,
    /// What expressions use.
    pub desk: &'a mut Desk,
    /// The door to the other engines.
    pub(crate) shared: &'a Door,
    /// Which engine it is.
    pub engine: u32,
}

/// One exchange.
#[derive(Debug)]
pub struct Session {
    /// Tells it from every other session of the engine.
    pub serial: u64,
    /// The client's connection.
    pub client: u32,
    /// Its task.
    pub task: TaskId,
    /// Where it came in.
    pub frontend: ProxyId,
    /// Where it goes: the frontend itself until a backend is chosen.
    pub backend: ProxyId,
    /// How its bytes are understood.
    pub mode: Mode,
    /// From the client to the server.
    pub req: Channel,
    /// From the server to the client.
    pub res: Channel,
    /// The server side.
    pub back: Back,
    /// The HTTP transaction; empty in TCP mode.
    pub txn: Txn,
    /// When what happened.
    pub times: Times,
    /// When the first byte of the request came, on the wall clock.
    pub began_wall: Wall,
    /// When waiting for the request has taken too long.
    pub request_expiry: Deadline,
    /// When rules have waited long enough for bytes.
    pub rule_expiry: Deadline,
    /// Why it ended, once that is known. The first reason stays.
    pub end: Option<End>,
    /// What the last step left to the engine, which takes it at once.
    pub errands: Option<Box<Errands>>,
    /// Attempts allowed (`retries`).
    pub retries: u32,
    /// What is true of it.
    pub flags: SessionFlags,
}

impl Session {
    /// An unused session, to be made ready by [`Session::begin`].
    pub fn blank() -> Box<Session> {
        Box::new(Session {
            serial: 0,
            client: u32::MAX,
            task: u32::MAX,
            frontend: 0,
            backend: 0,
            mode: Mode::Tcp,
            req: Channel::default(),
            res: Channel::default(),
            back: Back::none(),
            txn: Txn::default(),
            times: Times::default(),
            began_wall: Wall::default(),
            request_expiry: Deadline::NEVER,
            rule_expiry: Deadline::NEVER,
            end: None,
            errands: None,
            retries: 0,
            flags: SessionFlags::NONE,
        })
    }

    /// Makes a used or blank session ready for a client's next exchange.
    pub fn begin(
        &mut self,
        serial: u64,
        client_id: u32,
        task: TaskId,
        client: &Client,
        cx: (Now, &Site),
    ) {
        let (now, site) = cx;
        let frontend = site.proxy(client.frontend);
        self.serial = serial;
        self.client = client_id;
        self.task = task;
        self.frontend = client.frontend;
        self.backend = client.frontend;
        self.mode = match client.mux {
            Mux::Pass => Mode::Tcp,
            Mux::H1 => Mode::Http,
        };
        self.req = Channel::default();
        self.res = Channel::default();
        self.back = Back::none();
        self.txn.reset();
        self.times = Times::begin(client, now.mono);
        self.began_wall = now.wall;
        self.request_expiry = Deadline::NEVER;
        self.rule_expiry = Deadline::NEVER;
        self.end = None;
        self.errands = None;
        self.retries = 0;
        self.flags = SessionFlags::NONE;
        self.req.read_timeout = frontend.timeouts.client;
        self.res.write_timeout = frontend.timeouts.client;
        match self.mode {
            Mode::Tcp => {
                self.req.analysers = Analysers::TCP_INSPECT.with(Analysers::SWITCHING);
                self.times.began = client.accepted;
                self.req.facts.set(Facts::AUTO_CLOSE);
                self.res.facts.set(Facts::AUTO_CLOSE);
                self.req.read_expiry = Deadline::after(now.mono, self.req.read_timeout);
            }
            Mode::Http => {
                self.req.analysers = Analysers::WAIT_REQUEST
                    .with(Analysers::PROCESS_FRONTEND)
                    .with(Analysers::SWITCHING)
                    .with(Analysers::PROCESS_BACKEND);
                let timeouts = &frontend.timeouts;
                let start = if client.requests <= 1 { client.idle_since } else { now.mono };
                self.request_expiry =
                    Deadline::after(start, timeouts.http_request.or(timeouts.client));
            }
        }
    }

    /// What this step leaves to the engine, to be added to.
    #[cold]
    pub fn errands_mut(&mut self) -> &mut Errands {
        self.errands.get_or_insert_default()
    }

    /// Has packets to the client marked.
    pub fn mark_client(&mut self, marks: Marks, client: &mut Client) {
        let new = client.mark(marks);
        if new != Marks::default() {
            let errands = self.errands_mut();
            errands.marks = new.or(errands.marks);
        }
    }

    /// Where TCP is proxied: looks whether what the client sent begins with the head of a request,
    /// which rules may ask for.
    pub fn peek_for_head(&mut self, site: &Site) {
        let known = TxnFlags::PEEKED.with(TxnFlags::NO_REQUEST);
        if self.mode != Mode::Tcp || self.txn.flags.any(known) {
            return;
        }
        let txn = &mut self.txn;
        let input = self.req.buf.as_ref().map_or(&[][..], |buf| buf.input());
        let limits = HeadLimits::of(site.tunables.maxhdr);
        let found = match txn.request_scan.parse(input, &mut txn.request, &limits) {
            Scan::Complete { .. } if request_body(&txn.request).is_ok() => TxnFlags::PEEKED,
            Scan::NeedMore => TxnFlags::PEEKING,
            Scan::Complete { .. } | Scan::Bad { .. } => TxnFlags::NO_REQUEST,
        };
        txn.flags.clear(TxnFlags::PEEKING);
        txn.flags.set(found);
    }

    /// What the client sends is HTTP, though its frontend proxies TCP (`switch-mode http`, or an
    /// HTTP backend): what is here is read as a request, and so is whatever follows on the
    /// connection.
    pub fn becomes_http(&mut self, cx: &mut Cx<'_>) {
        invariant!(self.mode == Mode::Tcp && self.back.state == State::Initial);
        invariant!(self.req.to_forward == 0);
        self.mode = Mode::Http;
        cx.client.mux = Mux::H1;
        self.flags.set(SessionFlags::INSPECTED);
        self.txn.flags.clear(TxnFlags::PEEKING.with(TxnFlags::PEEKED).with(TxnFlags::NO_REQUEST));
        self.txn.request.clear();
        self.txn.request_scan = HeadScan::request();
        self.req.facts.clear(Facts::AUTO_CLOSE);
        self.res.facts.clear(Facts::AUTO_CLOSE);
        self.req.read_expiry = Deadline::NEVER;
        let timeouts = &cx.site.proxy(self.frontend).timeouts;
        self.request_expiry =
            Deadline::after(cx.now.mono, timeouts.http_request.or(timeouts.client));
        self.req.analysers.set(
            Analysers::WAIT_REQUEST
                .with(Analysers::PROCESS_FRONTEND)
                .with(Analysers::PROCESS_BACKEND),
        );
    }

    /// One step: looks at what changed and goes as far as it can without the engine.
    pub fn process(&mut self, woken: Woken, cx: &mut Cx<'_>) -> Want {
        if woken.has(Woken::TIMER) {
            self.expire(cx);
        }
        self.notice_faults(cx);
        if self.flags.has(SessionFlags::DROP_SERVER) {
            return Want::DropServer;
        }
        analyser::run_request(self, cx);
        analyser::run_response(self, cx);
        if self.flags.has(SessionFlags::DROP_SERVER) {
            return Want::DropServer;
        }
        self.pass_on_ends(cx);
        if self.flags.has(SessionFlags::DROP_SERVER) {
            return Want::DropServer;
        }
        if self.is_over() {
            return Want::Over;
        }
        match self.back.state {
            State::Request | State::Assigned => Want::Server,
            _ => Want::Wait,
        }
    }

    /// The step of an HTTP request that was just given a server's idle connection. False if it does
    /// not end with the request on its way, and another has to follow.
    pub fn forwards(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.mode != Mode::Http {
            return false;
        }
        analyser::run_request(self, cx);
        let done = self.txn.is(TxnFlags::HEAD_QUEUED) && self.txn.request_flow.is_done();
        done && !self.flags.has(SessionFlags::DROP_SERVER) && !self.txn.is(TxnFlags::LOCAL)
    }

    /// The next moment at which something of it is due.
    pub fn deadline(&self) -> Deadline {
        let waits = self.back.expiry.min(self.request_expiry).min(self.rule_expiry);
        self.req.deadline().min(self.res.deadline()).min(waits)
    }

    /// What it is doing, as the log's second letter says it.
    pub fn phase(&self) -> Phase {
        match self.back.state {
            State::Initial => Phase::Request,
            State::Request | State::Queued => Phase::Queue,
            State::Assigned | State::Connecting | State::Retrying => Phase::Connect,
            State::Established if self.mode == Mode::Tcp => Phase::Data,
            State::Established if !self.txn.is(TxnFlags::RESPONSE) => {
                if self.txn.request_flow.is_done() { Phase::Headers } else { Phase::Data }
            }
            State::Established => Phase::Data,
            State::Closed if self.mode == Mode::Tcp => Phase::Data,
            State::Closed => Phase::Last,
        }
    }

    /// Notes why it ends; the first reason stays.
    pub fn ends(&mut self, cause: Cause) {
        let phase = self.phase();
        self.ends_in(cause, phase);
    }

    /// Notes why and in which phase it ends; the first reason stays.
    pub fn ends_in(&mut self, cause: Cause, phase: Phase) {
        self.end.get_or_insert(End::new(cause, phase));
    }

    /// The backend's options and the frontend's, whichever apply.
    pub fn options(&self, site: &Site) -> Options {
        site.proxy(self.frontend).options.with(site.proxy(self.backend).options)
    }

    /// Whether its end may be logged.
    pub fn is_logged(&self, site: &Site) -> bool {
        !site.proxy(self.frontend).logs.is_empty()
    }

    /// Whether it waits for an output to drain before it can go on.
    pub fn waits_for_drain(&self) -> bool {
        match self.mode {
            Mode::Tcp => self.req.is(Facts::SHUTR) || self.res.is(Facts::SHUTR),
            Mode::Http => {
                self.txn.response_flow.is_done()
                    || self.res.is(Facts::SHUTR)
                    || self.req.is(Facts::SHUTR)
            }
        }
    }

    /// The server connection is there: clocks start, and the request may flow.
    pub fn connected(&mut self, reused: bool, site: &Site, now: Now) {
        self.back.state.step(if reused { Step::Reuse } else { Step::Connected });
        self.back.expiry = Deadline::NEVER;
        self.back.fault = None;
        self.times.connected = Some(now.mono);
        if reused {
            self.flags.set(SessionFlags::REUSED);
        } else {
            self.flags.clear(SessionFlags::REUSED);
        }
        self.flags.clear(SessionFlags::ANSWERED.with(SessionFlags::SENT));
        let backend = site.proxy(self.backend);
        let server = self.txn.server_timeout.or(backend.timeouts.server);
        self.req.write_timeout = server;
        self.res.read_timeout = server;
        // A connection that takes a retry's place starts with clean ends.
        self.req.facts.clear(Facts::SHUTW.with(Facts::WRITE_ERROR).with(Facts::WRITE_TIMEOUT));
        self.res
            .facts
            .clear(Facts::SHUTR.with(Facts::READ_ERROR).with(Facts::READ_TIMEOUT).with(Facts::EOF));
        match self.mode {
            Mode::Tcp => {
                if backend.rules.response_content.is_empty() {
                    self.res.to_forward = FOREVER;
                } else {
                    self.res.analysers.set(Analysers::INSPECT_RESPONSE);
                }
                self.req.to_forward = FOREVER;
                self.req.forward();
                if let Some(tunnel) = self.txn.tunnel_timeout.or(backend.timeouts.tunnel) {
                    for channel in [&mut self.req, &mut self.res] {
                        channel.read_timeout = Some(tunnel);
                        channel.write_timeout = Some(tunnel);
                    }
                    self.req.await_reader(now.mono);
                }
                self.allow_splice(site);
                self.res.read_expiry = Deadline::after(now.mono, self.res.read_timeout);
            }
            Mode::Http => {
                self.txn.flags.clear(TxnFlags::HEAD_QUEUED);
                self.req.analysers.set(Analysers::FORWARD_REQUEST);
                self.res.analysers.set(Analysers::WAIT_RESPONSE);
                self.res.read_expiry = Deadline::after(now.mono, self.res.read_timeout);
                if planted!(NoServerTimeout) {
                    self.res.read_timeout = None;
                    self.res.read_expiry = Deadline::NEVER;
                }
            }
        }
    }

    /// Notes where the request's body begins: with what is there behind its head.
    pub fn request_body_begins(&mut self) {
        self.txn.request_body_start = self.request_bytes_taken();
    }

    /// Bytes of the request's body that have left the input, for a server or for nobody.
    pub fn request_body_taken(&self) -> u64 {
        self.request_bytes_taken().wrapping_sub(self.txn.request_body_start)
    }

    /// Counts what was received and is not held any more; from below 0, where a session begins with
    /// what another has received.
    fn request_bytes_taken(&self) -> u64 {
        self.req.received.wrapping_sub(self.req.input().len() as u64)
    }

    /// Notes where the response's body begins: behind what was read of its head.
    pub fn body_begins(&mut self) {
        self.txn.body_start = self.res.received - self.res.input().len() as u64;
    }

    /// Bytes of the response's body that were released, when it is not chunked.
    pub fn released_body(&self) -> u64 {
        self.res.received - self.txn.body_start - self.res.input().len() as u64
    }

    /// Notes in which directions the options allow splicing.
    pub fn allow_splice(&mut self, site: &Site) {
        if site.tunables.nosplice {
            return;
        }
        let options = self.options(site);
        if options.any(Options::SPLICE_AUTO.with(Options::SPLICE_REQUEST)) {
            self.req.facts.set(Facts::SPLICE);
        }
        if options.any(Options::SPLICE_AUTO.with(Options::SPLICE_RESPONSE)) {
            self.res.facts.set(Facts::SPLICE);
        }
    }
}
