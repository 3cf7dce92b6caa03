//! How a session comes to its end: timeouts, faults, ends passed on, and when it is over.

use super::{Cx, NO_SERVER, Session, SessionFlags};
use crate::analyser;
use crate::balance::Algorithm;
use crate::channel::{Analysers, Facts};
use crate::fault::{Cause, Fault, Phase};
use crate::proxy::spec::{Mode, Options, Proxy, RetryOn, ServerId, Site};
use crate::side::{State, Step};
use crate::sometimes;
use crate::time::Deadline;
use crate::txn::{Flow, TxnFlags};

impl Session {
    /// Looks at every deadline that may have come.
    pub(super) fn expire(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        self.req.expire(now);
        self.res.expire(now);
        if self.back.expiry.is_due(now) {
            self.back.expiry = Deadline::NEVER;
            self.back_expired(cx);
        }
        if self.request_expiry.is_due(now) {
            self.request_expiry = Deadline::NEVER;
            if self.req.analysers.any(Analysers::WAIT_REQUEST) {
                self.req.facts.set(Facts::READ_TIMEOUT);
            } else if self.req.analysers.any(Analysers::TARPIT) {
                analyser::tarpit::release(self, cx);
            }
        }
    }

    /// The queue, a connection attempt or the pause between two has taken its time.
    fn back_expired(&mut self, cx: &mut Cx<'_>) {
        match self.back.state {
            State::Queued => {
                sometimes!(QueueTimeout);
                self.gives_up(Cause::ServerTimeout, Phase::Queue, cx);
            }
            State::Connecting => {
                self.back.fault = None;
                self.attempt_failed(true, cx);
            }
            State::Retrying => self.tries_again(),
            _ => {}
        }
    }

    /// A connection attempt failed (`timed_out`, or refused): another, elsewhere, later, or none.
    pub fn attempt_failed(&mut self, timed_out: bool, cx: &mut Cx<'_>) {
        let backend = cx.site.proxy(self.backend);
        self.flags.set(SessionFlags::DROP_SERVER);
        if self.back.retries_left == 0 || !backend.retry_on.has(RetryOn::CONN_FAILURE) {
            let cause = if timed_out { Cause::ServerTimeout } else { Cause::Server };
            self.gives_up(cause, Phase::Connect, cx);
            return;
        }
        self.back.retries_left -= 1;
        sometimes!(ConnectRetry);
        self.back.state.step(Step::Fail);
        let elsewhere = self.redispatches(cx.site);
        if elsewhere {
            self.flags.set(SessionFlags::ELSEWHERE);
        }
        // An attempt that timed out was a pause in itself, another server has not refused yet, and
        // neither did this one if it was us who lacked something.
        let lacking = self.back.fault.is_some_and(Fault::is_shortage);
        if timed_out || lacking || (elsewhere && has_several(cx.site, backend)) {
            self.tries_again();
            return;
        }
        let second = crate::time::Duration::from_secs(1);
        let pause = backend.timeouts.connect.map_or(second, |c| c.min(second));
        self.back.expiry = Deadline::after(cx.now.mono, Some(pause));
    }

    /// Whether the next attempt may choose a server anew: as `option redispatch` counts, or at once
    /// where the algorithm does not care which server a request goes to.
    pub fn redispatches(&self, site: &Site) -> bool {
        let backend = site.proxy(self.backend);
        let (done, allowed) = (i64::from(self.retries_done()), i64::from(self.retries));
        let every = match i64::from(backend.redispatch_interval) {
            interval if interval > 0 => interval,
            // From the end: -1 is the last attempt.
            interval => (allowed + 1 + interval.min(-1)).max(1),
        };
        let cares = matches!(backend.balance.algorithm, Algorithm::Source | Algorithm::Uri(_));
        backend.options.has(Options::REDISPATCH)
            && (done % every == 0 || (!cares && has_several(site, backend)))
    }

    /// The pause before the next attempt is over, or there is none.
    pub fn tries_again(&mut self) {
        if self.flags.has(SessionFlags::ELSEWHERE) {
            sometimes!(Redispatch);
            self.flags.clear(SessionFlags::ELSEWHERE);
            // What passed until now was spent on finding a server.
            self.times.queued = None;
            self.back.state.step(Step::Redispatch);
        } else {
            self.back.state.step(Step::Turn);
        }
    }

    /// No connection will be made: tell the client.
    pub fn gives_up(&mut self, cause: Cause, phase: Phase, cx: &mut Cx<'_>) {
        self.ends_in(cause, phase);
        self.leaves_queue(cx);
        match self.mode {
            Mode::Http => {
                let status = if cause == Cause::Internal { 500 } else { 503 };
                analyser::answer(self, status, cx);
            }
            Mode::Tcp => self.abort(cx),
        }
    }

    /// The time in a queue counts even if nothing came of it.
    fn leaves_queue(&mut self, cx: &Cx<'_>) {
        if self.back.state == State::Queued {
            let client = self.end.is_some_and(|end| end.cause == Cause::Client);
            sometimes!(QueueAbort, client);
            self.times.queued = Some(cx.now.mono);
        }
    }

    /// Ends both directions at once; what is held is lost, but for answers of ours.
    pub fn abort(&mut self, cx: &mut Cx<'_>) {
        self.leaves_queue(cx);
        self.req.analysers = Analysers::NONE;
        self.res.analysers = Analysers::NONE;
        self.req.to_forward = 0;
        self.res.to_forward = 0;
        self.drop_held(cx);
        self.req.shut_read(Facts::NONE);
        self.req.shut_write(Facts::NONE);
        self.res.shut_read(Facts::NONE);
        self.res.shut_write(Facts::NONE);
        self.close_back();
        self.txn.flags.set(TxnFlags::CLIENT_CLOSE);
        self.request_expiry = Deadline::NEVER;
    }

    /// The server side is done with: no connection is there or will be.
    pub fn close_back(&mut self) {
        // A connection, a slot, a place in a queue: others wait for them.
        if !matches!(self.back.state, State::Initial | State::Request | State::Closed) {
            self.flags.set(SessionFlags::DROP_SERVER);
        }
        self.back.state.step(Step::Close);
        self.back.expiry = Deadline::NEVER;
        self.req.shut_write(Facts::NONE);
        self.res.shut_read(Facts::NONE);
    }

    fn drop_held(&mut self, cx: &mut Cx<'_>) {
        for channel in [&mut self.req, &mut self.res] {
            if let Some(buf) = channel.buf.take() {
                channel.added -= buf.len() as i64;
                cx.pools.give(buf);
            }
        }
    }

    /// Turns what the channels noticed (ends, resets, timeouts) into what becomes of the session.
    pub(super) fn notice_faults(&mut self, cx: &mut Cx<'_>) {
        let bad = Facts::READ_ERROR
            .with(Facts::READ_TIMEOUT)
            .with(Facts::WRITE_ERROR)
            .with(Facts::WRITE_TIMEOUT);
        if !self.req.facts.any(bad) && !self.res.facts.any(bad) {
            return;
        }
        match self.mode {
            Mode::Tcp => self.notice_tcp(cx),
            Mode::Http => self.notice_http(cx),
        }
    }

    fn notice_tcp(&mut self, cx: &mut Cx<'_>) {
        if self.req.facts.has(Facts::READ_ERROR) && !self.res.is(Facts::EOF) {
            // A reset is passed on as one: the end of a stream would say that it was whole.
            self.ends_in(Cause::Client, Phase::Data);
            self.abort(cx);
            return;
        }
        let cause = if self.req.facts.has(Facts::READ_ERROR) {
            Some(Cause::Client)
        } else if self.req.facts.has(Facts::READ_TIMEOUT) {
            Some(Cause::ClientTimeout)
        } else if self.req.facts.has(Facts::WRITE_ERROR) {
            Some(Cause::Server)
        } else if self.req.facts.has(Facts::WRITE_TIMEOUT) {
            Some(Cause::ServerTimeout)
        } else if self.res.facts.has(Facts::READ_ERROR) {
            Some(Cause::Server)
        } else if self.res.facts.has(Facts::READ_TIMEOUT) {
            Some(Cause::ServerTimeout)
        } else if self.res.facts.has(Facts::WRITE_ERROR) {
            Some(Cause::Client)
        } else if self.res.facts.has(Facts::WRITE_TIMEOUT) {
            Some(Cause::ClientTimeout)
        } else {
            None
        };
        if let Some(cause) = cause
            && self.end.is_none()
        {
            let phase = self.phase();
            self.ends_in(cause, if phase == Phase::Request { Phase::Queue } else { phase });
        }
        // A direction that failed or timed out is over; the other goes on until it drains or fails.
        if self.req.facts.any(Facts::READ_TIMEOUT.with(Facts::READ_ERROR)) {
            self.req.shut_read(Facts::NONE);
        }
        if self.res.facts.any(Facts::READ_TIMEOUT.with(Facts::READ_ERROR)) {
            self.res.shut_read(Facts::NONE);
        }
        if self.req.facts.any(Facts::WRITE_TIMEOUT.with(Facts::WRITE_ERROR)) {
            self.req.shut_write(Facts::NONE);
        }
        if self.res.facts.any(Facts::WRITE_TIMEOUT.with(Facts::WRITE_ERROR)) {
            self.res.shut_write(Facts::NONE);
        }
    }

    fn notice_http(&mut self, cx: &mut Cx<'_>) {
        if self.txn.is(TxnFlags::TUNNEL) {
            self.notice_tcp(cx);
            return;
        }
        // The client is gone, or takes nothing.
        if self.res.facts.any(Facts::WRITE_ERROR.with(Facts::WRITE_TIMEOUT)) {
            let timeout = self.res.facts.has(Facts::WRITE_TIMEOUT);
            self.ends(if timeout { Cause::ClientTimeout } else { Cause::Client });
            // The server did its part: its connection may serve others.
            if timeout || !self.keeps_server() {
                self.abort(cx);
            }
            return;
        }
        let judged = Analysers::WAIT_REQUEST.with(Analysers::TARPIT);
        if self.req.facts.has(Facts::READ_ERROR) && !self.req.analysers.any(judged) {
            let established = self.back.state == State::Established;
            self.ends_in(Cause::Client, if established { Phase::Data } else { self.phase() });
            self.abort(cx);
            return;
        }
        if self.req.facts.has(Facts::READ_TIMEOUT)
            && !self.req.analysers.any(Analysers::WAIT_REQUEST)
        {
            self.req.facts.clear(Facts::READ_TIMEOUT);
            if self.txn.is(TxnFlags::RESPONSE) {
                self.ends(Cause::ClientTimeout);
                self.abort(cx);
                return;
            }
            // The body stalls. As in HAProxy, it is the server whose patience ends, if it has a
            // limit. Where a pause or a wait ended in this moment, the next step is about to come.
            let server_waits = self.res.read_expiry.is_set()
                || self.res.is(Facts::READ_TIMEOUT)
                || self.back.expiry.is_set()
                || matches!(self.back.state, State::Request | State::Assigned);
            if !self.txn.is(TxnFlags::LOCAL) && !server_waits {
                self.ends(Cause::ClientTimeout);
                analyser::answer(self, 408, cx);
                return;
            }
        }
        // The server takes nothing: as if it did not answer; or it has answered, and wants no more.
        if self.req.facts.has(Facts::WRITE_TIMEOUT) {
            self.req.facts.clear(Facts::WRITE_TIMEOUT);
            if self.txn.response_flow.is_done() {
                self.ends_in(Cause::ServerTimeout, Phase::Data);
                self.req.shut_write(Facts::NONE);
            } else {
                self.res.facts.set(Facts::READ_TIMEOUT);
            }
        }
        // A server that no longer takes the request may still have answered: its answer decides.
        if self.req.facts.has(Facts::WRITE_ERROR) {
            self.req.shut_write(Facts::NONE);
        }
        // The response's side is the response analysers' to judge.
    }

    /// Marks directions whose other half is dead, so that nothing waits for it.
    pub(super) fn pass_on_ends(&mut self, cx: &mut Cx<'_>) {
        let whole = self.mode == Mode::Tcp || self.txn.is(TxnFlags::TUNNEL);
        if !whole {
            self.pass_on_abort(cx);
            return;
        }
        // What can't be delivered need not be read.
        if self.req.is(Facts::SHUTW) && !self.req.is(Facts::SHUTR) {
            self.req.shut_read(Facts::NONE);
        }
        if self.res.is(Facts::SHUTW) && !self.res.is(Facts::SHUTR) {
            self.res.shut_read(Facts::NONE);
        }
        // A client that said nothing and ended has nothing to wait for.
        if self.is_looking()
            && self.req.is(Facts::EOF)
            && self.req.is_drained()
            && !self.res.is(Facts::SHUTR)
        {
            self.ends(Cause::Client);
            self.abort(cx);
        }
    }

    /// A client that ends within its request's body, before there is a server: nothing will come of
    /// it. Nor where `option abortonclose` takes the end for an abort.
    fn pass_on_abort(&mut self, cx: &mut Cx<'_>) {
        let waits = self.back.state != State::Initial
            && self.back.state != State::Closed
            && !self.txn.response_flow.is_done();
        if !self.req.is(Facts::EOF) || !waits {
            return;
        }
        let established = self.back.state == State::Established;
        let aborts = match self.txn.request_flow {
            Flow::Length(n) => (self.req.input().len() as u64) < n && !established,
            Flow::Done => cx.site.proxy(self.backend).options.has(Options::ABORT_ON_CLOSE),
            _ => false,
        };
        if aborts {
            self.ends(Cause::Client);
            if established && !self.txn.is(TxnFlags::RESPONSE) {
                analyser::answer(self, 400, cx);
            } else {
                self.abort(cx);
            }
        }
    }

    /// Whether it asked for a server and has none yet.
    pub fn is_looking(&self) -> bool {
        self.back.state.is_before_connection() && self.back.state != State::Initial
    }

    /// Whether the exchange is over and everything is delivered that can be.
    #[inline]
    pub fn is_over(&self) -> bool {
        let tunnel = self.txn.is(TxnFlags::TUNNEL);
        if self.mode == Mode::Tcp || tunnel {
            let client = self.req.is(Facts::SHUTR) && self.res.is(Facts::SHUTW);
            let server = self.req.is(Facts::SHUTW) && self.res.is(Facts::SHUTR);
            return client && server;
        }
        if self.res.is(Facts::SHUTW) {
            return true;
        }
        // A server that answered early may still want the rest of the request.
        let sent = self.txn.request_flow.is_done() && !self.req.has_output();
        self.txn.response_flow.is_done()
            && !self.res.has_output()
            && self.res.analysers.is_empty()
            && (sent || self.req.is(Facts::SHUTW))
    }

    /// Whether it is over and nothing is left to be noticed first: the usual end of an exchange.
    pub fn is_over_quietly(&self) -> bool {
        self.mode == Mode::Http
            && !self.req.facts.with(self.res.facts).any(
                Facts::READ_ERROR
                    .with(Facts::WRITE_ERROR)
                    .with(Facts::READ_TIMEOUT)
                    .with(Facts::WRITE_TIMEOUT)
                    .with(Facts::SHUTW),
            )
            && !self.flags.has(SessionFlags::DROP_SERVER)
            && self.is_over()
    }

    /// Whether the client's connection may carry another exchange after this one.
    pub fn keeps_client(&self) -> bool {
        self.mode == Mode::Http
            && !self.txn.flags.any(TxnFlags::CLIENT_CLOSE.with(TxnFlags::TUNNEL))
            && self.txn.request_flow.is_done()
            && !self.res.is(Facts::SHUTW)
            && !self.req.is(Facts::READ_ERROR)
            && self.txn.status != 0
    }

    /// Whether the server's connection may carry another request: the answer is complete, nothing
    /// came behind it, and our request was sent whole.
    #[inline]
    pub fn keeps_server(&self) -> bool {
        self.back.state == State::Established
            && self.back.server != NO_SERVER
            && self.mode == Mode::Http
            && !self
                .txn
                .flags
                .any(TxnFlags::SERVER_CLOSE.with(TxnFlags::TUNNEL).with(TxnFlags::LOCAL))
            && self.txn.is(TxnFlags::RESPONSE)
            && self.txn.request_flow.is_done()
            && self.txn.response_flow.is_done()
            && !self.req.has_output()
            && (self.res.input().is_empty() || planted!(PooledUnread))
            && !self.res.is(Facts::SHUTR)
            && !self.req.is(Facts::SHUTW)
    }

    /// Whether closing the server's connection with a reset can lose nothing: its answer is
    /// complete, and our request was sent whole. Never without a protocol that says so.
    pub fn may_reset_server(&self) -> bool {
        let sent = !self.req.has_output();
        match self.mode {
            Mode::Http if !self.txn.is(TxnFlags::TUNNEL) => {
                self.txn.response_flow.is_done() && self.txn.request_flow.is_done() && sent
            }
            _ => false,
        }
    }
}

/// Whether more than one server of a backend is there to be chosen, backups not counted.
fn has_several(site: &Site, backend: &Proxy) -> bool {
    let active = |id: &ServerId| {
        let server = site.server(*id);
        !server.backup && !server.disabled && server.address.is_some() && server.weight > 0
    };
    backend.servers.clone().filter(active).nth(1).is_some()
}
