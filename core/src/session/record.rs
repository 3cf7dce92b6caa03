//! What the log says of a session.

use super::{Cx, NO_SERVER, Session};
use crate::conn::Client;
use crate::fault::{Cause, End, Phase};
use crate::logfmt::line::{Counts, Record, Timers};
use crate::poller::Peer;
use crate::proxy::shared::{Door, Gauge, LimitId, Serial};
use crate::proxy::spec::Mode;
use crate::proxy::spec::{Role, Site};
use crate::time::Instant;
use crate::txn::TxnFlags;

/// Who else knows something of a session that is logged.
#[derive(Clone, Copy)]
pub struct Witnesses<'a> {
    /// The client's connection.
    pub client: &'a Client,
    /// The configuration.
    pub site: &'a Site,
    /// Gauges.
    pub(crate) shared: &'a Door,
    /// The time.
    pub now: Instant,
}

impl<'a> Witnesses<'a> {
    /// Those of a step.
    pub fn of(cx: &'a Cx<'_>) -> Self {
        Witnesses { client: cx.client, site: cx.site, shared: cx.shared, now: cx.now.mono }
    }
}

/// What the log says of a client that never got a session, and why.
pub fn record_of_client<'a>(
    of: &Witnesses<'a>,
    (error, late): ((u8, &'static str), bool),
) -> Record<'a> {
    let Witnesses { client, site, shared, now } = *of;
    let frontend = site.proxy(client.frontend);
    let waited = now.as_millis().saturating_sub(client.accepted.as_millis());
    // A handshake that failed is over; one that is late never was.
    let (handshake, total) = if late { (None, waited) } else { (Some(waited), 0) };
    Record {
        client: client.peer,
        listener_id: site.listener(client.listener).id,
        accepted: client.accepted_wall,
        requested: client.accepted_wall,
        frontend: &frontend.name,
        backend: &frontend.name,
        server: None,
        timers: Timers { handshake, total, ..Timers::default() },
        status: 0,
        bytes: 0,
        bytes_in: 0,
        counter: 0,
        log_counter: 0,
        end: End::new(Cause::Proxy, Phase::Request),
        cookies: *b"--",
        request_cookie: None,
        response_cookie: None,
        counts: Counts {
            actconn: shared.used(LimitId::Process),
            feconn: shared.used(LimitId::Frontend(client.frontend)),
            ..Counts::default()
        },
        request_captures: None,
        response_captures: None,
        request: None,
        error: Some(error),
        early: false,
    }
}

impl Session {
    /// What the log says of it now. The request line is written to `line`.
    pub fn record<'a>(
        &'a self,
        of: &Witnesses<'a>,
        line: &'a mut Vec<u8>,
        early: bool,
    ) -> Record<'a> {
        let Witnesses { client, site, shared, now } = *of;
        // What was no request never had a backend, not even one that made it HTTP.
        let broken = self.mode == Mode::Http && !self.has_request();
        let backend = if broken { self.frontend } else { self.backend };
        let (frontend, backend) = (site.proxy(self.frontend), site.proxy(backend));
        let mut timers = self.times.timers(now);
        let handshake = if client.requests <= 1 {
            client.idle_since.as_millis().saturating_sub(client.accepted.as_millis())
        } else {
            0
        };
        timers.handshake = Some(handshake);
        if self.mode == Mode::Tcp {
            let all = now.as_millis().saturating_sub(self.times.accepted.as_millis());
            timers.total = all.saturating_sub(handshake);
            timers.data = None;
        }
        let server = self.has_server().then_some(self.back.server);
        let serves = self.backend != self.frontend || frontend.role.has(Role::BACKEND);
        let captures = |index: usize| {
            let understood = self.mode == Mode::Tcp || self.has_request();
            let declared = !frontend.captures[index].is_empty() && understood;
            declared.then(|| match &self.txn.captures[index][..] {
                // None of them was there.
                [] => NO_CAPTURES.get(..frontend.captures[index].len()).unwrap_or_default(),
                some => some,
            })
        };
        Record {
            client: self.source(client),
            listener_id: site.listener(client.listener).id,
            accepted: client.accepted_wall,
            requested: self.began_wall,
            frontend: &frontend.name,
            backend: &backend.name,
            server: server.map(|server| &*site.server(server).name),
            timers,
            status: self.logged_status(),
            bytes: self.logged_bytes(),
            bytes_in: if broken { 0 } else { self.received_bytes() },
            counter: if self.txn.is(TxnFlags::NUMBERED) {
                self.txn.number
            } else if site.wants.numbers {
                shared.next_number(Serial::Requests)
            } else {
                0
            },
            log_counter: if site.wants.line_numbers {
                shared.next_number(Serial::Lines(self.frontend))
            } else {
                0
            },
            end: self.outcome(),
            cookies: *b"--",
            request_cookie: self.txn.cookies[0].as_deref(),
            response_cookie: self.txn.cookies[1].as_deref(),
            counts: Counts {
                actconn: shared.used(LimitId::Process),
                feconn: shared.used(LimitId::Frontend(self.frontend)),
                beconn: if serves { shared.gauge(Gauge::Backend(self.backend)) } else { 0 },
                srvconn: server.map_or(0, |server| shared.gauge(Gauge::Served(server))),
                retries: self.retries_done(),
                redispatched: self.flags.has(super::SessionFlags::REDISPATCHED),
                srv_queue: self.back.server_queue,
                backend_queue: self.back.backend_queue,
            },
            request_captures: captures(0),
            response_captures: captures(1),
            request: self.request_line(line),
            error: None,
            early,
        }
    }

    /// Where the client comes from, as rules have it.
    pub fn source(&self, client: &Client) -> Peer {
        self.txn.ends[0].unwrap_or(client.peer)
    }

    /// `METHOD URI VERSION` as the client sent it.
    fn request_line<'a>(&'a self, out: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        if !self.has_request() {
            return None;
        }
        if !self.txn.line.is_empty() {
            return Some(&self.txn.line);
        }
        let request = &self.txn.request;
        out.clear();
        out.extend_from_slice(request.method_bytes());
        out.push(b' ');
        out.extend_from_slice(request.target());
        out.push(b' ');
        out.extend_from_slice(request.version().as_bytes());
        Some(out)
    }

    /// Gives it its number, if anything asks for numbers and it has none yet: what was TCP and
    /// became HTTP keeps its own.
    pub fn take_number(&mut self, cx: &Cx<'_>) {
        if cx.site.wants.numbers && !self.txn.is(TxnFlags::NUMBERED) {
            self.txn.flags.set(TxnFlags::NUMBERED);
            self.txn.number = cx.shared.take_number(Serial::Requests);
        }
    }

    /// Why it ended: the reason that was noted, or that both sides finished.
    pub fn outcome(&self) -> End {
        self.end.unwrap_or(End::new(Cause::Normal, Phase::Done))
    }

    /// The status for the log: -1 if the client got none.
    pub fn logged_status(&self) -> i32 {
        if self.txn.status == 0 { -1 } else { i32::from(self.txn.status) }
    }

    /// Bytes to the client as `%B` counts them.
    pub fn logged_bytes(&self) -> u64 {
        match self.mode {
            Mode::Tcp => self.res.received,
            Mode::Http if self.txn.is(TxnFlags::TUNNEL) => {
                self.txn.head_bytes + self.res.received - self.txn.body_start
            }
            Mode::Http => self.txn.head_bytes + self.txn.body_bytes,
        }
    }

    /// Bytes from the client as `%U` counts them: its head as HAProxy keeps it, and its body.
    fn received_bytes(&self) -> u64 {
        let received = self.req.received;
        let (counted, came) = self.txn.request_bytes;
        received.saturating_sub(came.into()) + u64::from(counted)
    }

    /// Attempts beyond the first.
    pub fn retries_done(&self) -> u32 {
        self.retries - self.back.retries_left
    }

    /// Whether a request was understood.
    pub fn has_request(&self) -> bool {
        self.txn.is(TxnFlags::REQUEST)
    }

    /// Whether a server was chosen.
    pub fn has_server(&self) -> bool {
        self.back.server != NO_SERVER
    }
}

/// Captures of which none is there.
static NO_CAPTURES: [Option<Box<[u8]>>; 64] = [const { None }; 64];
