//! PROXY headers: awaited from a client before its first session, and sent to a server in front of
//! the first request.
//!
//! ```text
//!   accept ──► EXPECTS_PROXY ── whole ──► introduce ──► first session, with what came behind it
//!                    │ ▲ in pieces: kept in Client::rest
//!                    └── ended, broke, late, not a header ──► a line in the log, closed
//! ```

use std::io::IoSlice;

use super::Engine;
use super::accept::set_marks;
use super::io::discard_output;
use crate::analyser;
use crate::buf::Buf;
use crate::channel::Facts;
use crate::conn::NO_CONN;
use crate::conn::client::ClientFlags;
use crate::conn::proxy_header::{self, Found, Header, HeaderFault, ends_between};
use crate::invariant;
use crate::poller::{Close, Io, More, Peer, Poller, Ready, Which};
use crate::pool::Class;
use crate::proxy::spec::{Mode, Options, SendProxy};
use crate::rule::Set;
use crate::session::Cx;
use crate::sometimes;
use crate::tasks::Woken;
use crate::time::Deadline;

/// So much room behind the first piece of a header is worth a receive: the piece is not moved.
const ROOM_WORTH: usize = 64;

impl Engine {
    /// A client just accepted begins with a header. It has `timeout client` for it.
    pub(super) fn await_header(&mut self, id: u32) {
        let client = &mut self.clients[id as usize];
        invariant!(client.is_idle() && client.requests == 0);
        client.flags.set(ClientFlags::EXPECTS_PROXY);
        let task = client.task;
        let wait = self.site.proxy(client.frontend).timeouts.client;
        self.set_client_deadline(id, Deadline::after(self.now.mono, wait));
        // Speculative: senders send it at once.
        self.tasks.wake(task, Woken::IO);
    }

    /// A client whose header is awaited has bytes, or has ended.
    pub(super) fn receive_header<P: Poller>(&mut self, net: &mut P, id: u32) {
        let client = &mut self.clients[id as usize];
        let sock = client.sock;
        let mut buf = match client.rest.take() {
            None => self.pools.take(Class::Large),
            Some(mut piece) => {
                let roomy = piece.room().len() >= ROOM_WORTH;
                if roomy { *piece } else { self.pools.grow(*piece, Class::Large) }
            }
        };
        if buf.room().is_empty() {
            buf.compact();
        }
        let offered = buf.room().len();
        match net.recv(sock, buf.room()) {
            Io::Done(n) => {
                if n < offered && !self.fds.ready(sock).any(Ready::HUP.with(Ready::ERR)) {
                    self.fds.used_up(sock, Ready::READ);
                }
                buf.commit(n);
                self.read_header(net, id, buf);
            }
            Io::Blocked => {
                self.fds.used_up(sock, Ready::READ.with(Ready::HUP).with(Ready::ERR));
                self.keep_piece(id, buf);
            }
            Io::Eof => {
                self.fds.used_up(sock, Ready::READ.with(Ready::HUP));
                let fault =
                    if buf.is_empty() { HeaderFault::Empty } else { HeaderFault::Truncated };
                self.pools.give(buf);
                self.no_header(net, id, fault);
            }
            Io::Failed(_) => {
                self.pools.give(buf);
                self.no_header(net, id, HeaderFault::Aborted);
            }
        }
    }

    /// Looks at what there is of a header.
    fn read_header<P: Poller>(&mut self, net: &mut P, id: u32, mut buf: Buf) {
        // As in HAProxy: what does not fit a buffer is refused.
        match proxy_header::read(buf.input(), self.site.tunables.bufsize as usize) {
            Found::NeedMore => {
                sometimes!(ProxyHeaderCut);
                self.keep_piece(id, buf);
                let sock = self.clients[id as usize].sock;
                if self.is_readable(sock) {
                    self.fds.retry(sock);
                }
            }
            Found::Bad { fault, ends } => {
                if let Some(ends) = ends {
                    self.clients[id as usize].peer = Peer::Inet(ends.source);
                }
                self.pools.give(buf);
                self.no_header(net, id, fault);
            }
            Found::Whole { len, header } => {
                let client = &mut self.clients[id as usize];
                client.introduce(&header);
                client.idle_since = self.now.mono;
                buf.skip(len);
                self.introduced(net, id, buf);
            }
        }
    }

    fn keep_piece(&mut self, id: u32, buf: Buf) {
        if buf.is_empty() {
            self.pools.give(buf);
            return;
        }
        let large = buf.capacity() >= self.pools.size(Class::Large);
        let piece = if large { self.pools.shrink(buf) } else { buf };
        self.clients[id as usize].rest = Some(Box::new(piece));
    }

    /// Whether `tcp-request session` rules refuse a client that has said who it is.
    fn refuses_introduced<P: Poller>(&mut self, net: &mut P, id: u32) -> Option<Close> {
        let site = self.site.clone();
        let Engine { clients, pools, scratch, now, desk, shared, id: engine, .. } = self;
        let client = &mut clients[id as usize];
        if site.proxy(client.frontend).rules.session.is_empty() {
            return None;
        }
        if site.wants.tcp_info {
            client.set_tcp_info(net.info(client.sock));
        }
        let (sock, marks) = (client.sock, client.marks());
        let mut cx =
            Cx { now: *now, site: &site, pools, client, scratch, desk, shared, engine: *engine };
        let refused = analyser::refuses(Set::Session, &mut cx);
        set_marks(net, sock, cx.client.marks().beyond(marks));
        desk.clear();
        refused.map(|silent| if silent { Close::Drop } else { Close::Graceful })
    }

    /// A client has said who it is, and what else is in `buf`: from here on it is like any other
    /// that was just accepted.
    fn introduced<P: Poller>(&mut self, net: &mut P, id: u32, buf: Buf) {
        let (frontend, sock) = {
            let client = &self.clients[id as usize];
            (client.frontend, client.sock)
        };
        if let Some(how) = self.refuses_introduced(net, id) {
            self.pools.give(buf);
            self.release_client(net, id, how);
            return;
        }
        let buf = if buf.is_empty() {
            self.pools.give(buf);
            None
        } else {
            Some(buf)
        };
        if buf.is_none() && self.site.proxy(frontend).mode == Mode::Http {
            self.await_request(id);
            if self.is_readable(sock) {
                self.fds.retry(sock);
            }
            return;
        }
        self.log_connect(net, id);
        let session = self.start_session(id, buf);
        self.run_session(net, session, Woken::INIT);
    }

    /// No header will come from a client: a line says why, and it is closed.
    pub(super) fn no_header<P: Poller>(&mut self, net: &mut P, id: u32, fault: HeaderFault) {
        let client = &self.clients[id as usize];
        let silent = self.site.proxy(client.frontend).options.has(Options::DONT_LOG_NULL);
        if !(silent && fault.is_null()) {
            self.log_broken(id, fault);
        }
        // Nothing that the client waits for is lost by a reset, and it learns at once.
        let how = if fault.is_null() { Close::Graceful } else { Close::Reset };
        self.release_client(net, id, how);
    }

    /// Writes the header that a connection of this session to its server begins with; none if the
    /// server gets none.
    pub(super) fn write_preface<P: Poller>(&mut self, net: &mut P, id: u32) {
        self.preface.clear();
        let how = self.site.server(self.sessions[id as usize].back.server).send_proxy;
        if how.is_empty() {
            return;
        }
        let Engine { sessions, clients, pools, site, scratch, now, desk, shared, .. } = self;
        let s = &mut sessions[id as usize];
        let client = &mut clients[s.client as usize];
        if client.destination().is_none() {
            client.set_destination(net.address(client.sock, Which::Local));
        }
        if how.has(SendProxy::UNIQUE_ID) {
            let engine = self.id;
            let cx = Cx { now: *now, site, pools, client, scratch, desk, shared, engine };
            analyser::make_unique_id(s, &cx);
            desk.clear();
        }
        let client = &clients[s.client as usize];
        let header = Header {
            ends: ends_between(s.source(client), s.txn.ends[1].or(client.destination())),
            authority: client.authority(),
            unique_id: s.txn.unique_id.as_deref(),
        };
        proxy_header::write(how, &header, &mut self.preface);
    }

    /// Sends what is left of the header that the session's connection begins with, and what it has
    /// for the server behind it. True once the header has left.
    #[cold]
    pub(super) fn send_preface<P: Poller>(&mut self, net: &mut P, id: u32) -> bool {
        let now = self.now.mono;
        let s = &mut *self.sessions[id as usize];
        invariant!(s.back.conn != NO_CONN);
        let conn = self.conns.conn_mut(s.back.conn);
        let sock = conn.sock;
        if s.req.is(Facts::SHUTW) || !self.fds.ready(sock).has(Ready::WRITE) {
            return false;
        }
        let left = conn.preface_left();
        let output = s.req.buf.as_ref().map_or(&[][..], Buf::output);
        let slices = [IoSlice::new(left), IoSlice::new(output)];
        let (left, offered) = (left.len(), left.len() + output.len());
        let slices = &slices[..if output.is_empty() { 1 } else { 2 }];
        match net.send(sock, slices, More::No) {
            Io::Done(n) => {
                if n < offered {
                    self.fds.used_up(sock, Ready::WRITE);
                }
                conn.preface_sent += n.min(left) as u32;
                if n < left {
                    sometimes!(ProxyHeaderHalfSent);
                    s.req.write_expiry = Deadline::after(now, s.req.write_timeout);
                    return false;
                }
                s.req.left(n - left, now);
                true
            }
            Io::Blocked => {
                self.fds.used_up(sock, Ready::WRITE);
                if !s.req.write_expiry.is_set() {
                    s.req.write_expiry = Deadline::after(now, s.req.write_timeout);
                }
                false
            }
            Io::Eof | Io::Failed(_) => {
                conn.preface_sent = conn.preface.len() as u32;
                discard_output(&mut s.req, &mut self.pools);
                s.req.shut_write(Facts::WRITE_ERROR);
                true
            }
        }
    }
}
