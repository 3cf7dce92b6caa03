//! Bytes between sockets and channels.
//!
//! Receiving: a short read uses readiness up, unless the peer's end or failure was announced (P2,
//! P3); a socket that is not read for want of room keeps its ready bit and is looked at again when
//! the session runs next, which a send that makes room brings about (P11).

use std::io::IoSlice;

use super::Engine;
use crate::analyser::tarpit;
use crate::channel::{Analysers, Channel, Facts};
use crate::conn::NO_CONN;
use crate::fds::Fds;
use crate::poller::{Io, More, Poller, Ready, Sock};
use crate::pool::{Class, Pools};
use crate::proxy::spec::{Mode, Options};
use crate::session::{Session, SessionFlags};
use crate::side::State;
use crate::sometimes;
use crate::time::{Deadline, Instant};
use crate::txn::{Flow, TxnFlags};

/// What receiving needs of the engine beside the channel.
struct Receiver<'a, P> {
    net: &'a mut P,
    fds: &'a mut Fds,
    pools: &'a mut Pools,
    reads_max: u32,
    /// Bytes left free behind what analysers may still make longer (`tune.maxrewrite`).
    reserve: usize,
    now: Instant,
}

impl Engine {
    /// Receives on both sides what the session has use and room for. True if something came.
    #[inline]
    pub(super) fn receive<P: Poller>(&mut self, net: &mut P, id: u32) -> bool {
        let s = &mut *self.sessions[id as usize];
        let client_sock = self.clients[s.client as usize].sock;
        let reads_max = self.site.tunables.reads_max;
        let mut rx = Receiver {
            net,
            fds: &mut self.fds,
            pools: &mut self.pools,
            reads_max,
            reserve: self.site.tunables.maxrewrite as usize,
            now: self.now.mono,
        };
        let mut moved = false;
        let enough = has_enough(s, rx.pools);
        if enough && matches!(s.txn.request_flow, Flow::Head) {
            // It has not been looked at: afterwards more may be wanted.
            moved = true;
        } else if wants_request(s) && !enough {
            if may_splice(&s.req) {
                moved |= self.splicer_in(net, id, client_sock, true);
                return moved | self.receive_back(net, id);
            }
            moved |= rx.receive(client_sock, &mut s.req);
            if s.req.is(Facts::READ_ERROR) && !s.res.is(Facts::SHUTW) {
                // The connection is dead both ways.
                discard_output(&mut s.res, &mut self.pools);
                s.res.shut_write(Facts::NONE);
            }
        } else if !s.req.is(Facts::SHUTR) {
            let ready = rx.fds.ready(client_sock);
            // Who left is not looked for, unless `option abortonclose` says so.
            if ready.any(Ready::HUP.with(Ready::ERR))
                && match s.req.analysers.any(Analysers::TARPIT) {
                    true => tarpit::notices_end(s, &self.site),
                    false => self.site.proxy(s.backend).options.has(Options::ABORT_ON_CLOSE),
                }
            {
                let reset = ready.has(Ready::ERR);
                s.req.shut_read(if reset { Facts::READ_ERROR } else { Facts::EOF });
                moved = true;
            }
        }
        moved | self.receive_back(net, id)
    }

    fn receive_back<P: Poller>(&mut self, net: &mut P, id: u32) -> bool {
        let s = &mut *self.sessions[id as usize];
        if s.back.conn == NO_CONN || !wants_response(s) {
            return false;
        }
        let sock = self.conns.conn(s.back.conn).sock;
        if may_splice(&s.res) {
            return self.splicer_in(net, id, sock, false);
        }
        let reads_max = self.site.tunables.reads_max;
        let mut rx = Receiver {
            net,
            fds: &mut self.fds,
            pools: &mut self.pools,
            reads_max,
            reserve: self.site.tunables.maxrewrite as usize,
            now: self.now.mono,
        };
        let before = s.res.received;
        let moved = rx.receive(sock, &mut s.res);
        if s.res.received > before {
            s.flags.set(SessionFlags::ANSWERED);
        }
        if s.res.is(Facts::READ_ERROR) && !s.req.is(Facts::SHUTW) {
            discard_output(&mut s.req, &mut self.pools);
            s.req.shut_write(Facts::NONE);
        }
        moved
    }

    /// Sends both outputs, and ends directions whose last byte has left. True if the session should
    /// look again.
    pub(super) fn send<P: Poller>(&mut self, net: &mut P, id: u32) -> bool {
        let now = self.now.mono;
        let s = &mut *self.sessions[id as usize];
        let mut again = false;
        let established = s.back.state == State::Established && s.back.conn != NO_CONN;
        let before = s.req.sent;
        let mut begun = established;
        if established && !self.conns.conn(s.back.conn).preface_left().is_empty() {
            begun = self.send_preface(net, id);
            again = begun;
        }
        let s = &mut *self.sessions[id as usize];
        if begun {
            let sock = self.conns.conn(s.back.conn).sock;
            again |= send_channel(net, &mut self.fds, &mut self.pools, sock, &mut s.req, now);
            if s.req.sent > before {
                s.flags.set(SessionFlags::SENT);
                refresh(&mut s.res, now);
            }
            if s.req.owes_shut_write() {
                let backend = self.site.proxy(s.backend);
                s.req.shut_write(Facts::NONE);
                if backend.options.has(Options::NOLINGER) {
                    // It closes both ways at once, which resets.
                    s.res.shut_read(Facts::NONE);
                } else {
                    net.shut_write(sock);
                    half_closed(&mut s.res, backend.timeouts.server_fin, now);
                }
                again = true;
            }
        }
        let sock = self.clients[s.client as usize].sock;
        let before = s.res.sent;
        again |= send_channel(net, &mut self.fds, &mut self.pools, sock, &mut s.res, now);
        if s.res.sent > before && !s.req.is(Facts::SHUTR) && s.req.read_expiry.is_set() {
            // A client that takes data is not silent.
            let independent = self.site.proxy(s.frontend).options.has(Options::INDEPENDENT_STREAMS);
            if !independent {
                refresh(&mut s.req, now);
            }
        }
        if s.res.owes_shut_write() {
            if !s.req.is(Facts::SHUTR) {
                net.shut_write(sock);
                let fin = self.site.proxy(s.frontend).timeouts.client_fin;
                half_closed(&mut s.req, fin, now);
            }
            s.res.shut_write(Facts::NONE);
            again = true;
        }
        again
            && (s.waits_for_drain()
                || s.req.facts.any(Facts::WRITE_ERROR)
                || s.res.facts.any(Facts::WRITE_ERROR)
                || self.can_read_more(&self.sessions[id as usize], sock))
    }

    /// Whether a socket was left unread for want of room, which there is now.
    #[inline(always)]
    fn can_read_more(&self, s: &Session, client: Sock) -> bool {
        (wants_request(s) && self.is_readable(client) && s.req.is_drained())
            || (s.back.conn != NO_CONN
                && wants_response(s)
                && s.res.is_drained()
                && self.is_readable(self.conns.conn(s.back.conn).sock))
    }
}

impl<P: Poller> Receiver<'_, P> {
    /// Receives into the channel's buffer until the socket has no more, there is no room, or it is
    /// enough.
    fn receive(&mut self, sock: Sock, channel: &mut Channel) -> bool {
        let mut moved = false;
        for _ in 0..self.reads_max {
            let ready = self.fds.ready(sock);
            if !ready.any(Ready::READ.with(Ready::HUP).with(Ready::ERR)) {
                break;
            }
            if channel.buf.is_none() {
                let bulk = channel.is(Facts::BULK);
                channel.buf =
                    Some(self.pools.take(if bulk { Class::Forward } else { Class::Large }));
            }
            let only_forwards = channel.to_forward >= self.pools.size(Class::Forward) as u64;
            let reserve = if only_forwards { 0 } else { self.reserve };
            let Some((buf, offered)) = make_room(channel, self.pools, reserve) else { break };
            match self.net.recv(sock, &mut buf.room()[..offered]) {
                Io::Done(n) => {
                    buf.commit(n);
                    channel.arrived(n, self.now);
                    moved = true;
                    if n == offered {
                        if channel.to_forward > 0 {
                            channel.facts.set(Facts::BULK);
                        }
                        // Send first what is here.
                        break;
                    }
                    if !ready.any(Ready::HUP.with(Ready::ERR)) || planted!(MissedEof) {
                        let all = Ready::READ.with(Ready::HUP).with(Ready::ERR);
                        let used = if planted!(MissedEof) { all } else { Ready::READ };
                        self.fds.used_up(sock, used);
                        break;
                    }
                }
                Io::Blocked => {
                    self.fds.used_up(sock, Ready::READ.with(Ready::HUP).with(Ready::ERR));
                    break;
                }
                Io::Eof => {
                    sometimes!(EofWithUnreadData, !channel.is_drained());
                    channel.shut_read(Facts::EOF);
                    if planted!(ShutForgotten) && channel.has_output() {
                        channel.facts.clear(Facts::AUTO_CLOSE);
                    }
                    if planted!(HalfCloseAsClose) {
                        channel.shut_write(Facts::NONE);
                    }
                    self.fds.used_up(sock, Ready::READ.with(Ready::HUP));
                    moved = true;
                    break;
                }
                Io::Failed(_) => {
                    channel.shut_read(Facts::READ_ERROR);
                    self.fds.used_up(sock, Ready::READ.with(Ready::HUP).with(Ready::ERR));
                    moved = true;
                    break;
                }
            }
        }
        moved
    }
}

/// So much room in a small buffer is worth a receive.
const ROOM_WORTH: usize = 64;

/// The channel's buffer with room worth a receive beyond `reserve`, and how much; none if what it
/// holds has to leave first.
#[inline]
fn make_room<'a>(
    channel: &'a mut Channel,
    pools: &mut Pools,
    reserve: usize,
) -> Option<(&'a mut crate::buf::Buf, usize)> {
    let large = pools.size(Class::Large);
    if channel.buf.as_ref()?.is_empty() && channel.buf.as_ref()?.capacity() >= large {
        let buf = channel.buf.as_mut()?;
        let room = buf.room().len();
        return (room > reserve).then(|| (buf, room - reserve));
    }
    let mut held = channel.buf.take()?;
    // A small buffer holds what was left at the end of a turn: more comes now. Of a head that comes
    // in small pieces what is there is not moved each time: the piece has room behind it. If it has
    // not, there is more.
    let room = held.room().len();
    let small = held.capacity() < large;
    let partial = small && held.output_len() == 0 && channel.to_forward == 0;
    if partial && room >= ROOM_WORTH {
        return Some((channel.buf.insert(held), room));
    }
    let mut buf = if small { pools.grow(held, Class::Large) } else { held };
    let little = buf.capacity() / 4 + reserve;
    // Nothing will leave by itself what only analysers hold.
    let worth_moving = buf.len() <= buf.capacity() / 2 || buf.output_len() == 0;
    if buf.room().len() < little && !buf.is_empty() && worth_moving {
        buf.compact();
    }
    let room = buf.room().len();
    let enough = room > reserve && (room >= little || buf.output_len() == 0);
    let buf = channel.buf.insert(buf);
    enough.then_some((buf, room.saturating_sub(reserve)))
}

/// Whether there is room although nothing is about to be sent, which would have it looked at again;
/// for the audit.
pub(super) fn has_room(channel: &Channel) -> bool {
    !channel.has_output()
        && channel.buf.as_ref().is_none_or(|buf| buf.input_len() < buf.capacity() / 4)
}

/// Sends a channel's output: the buffer, then the pipe. True if all of it left, or the socket
/// failed.
#[inline]
fn send_channel<P: Poller>(
    net: &mut P,
    fds: &mut Fds,
    pools: &mut Pools,
    sock: Sock,
    channel: &mut Channel,
    now: Instant,
) -> bool {
    if channel.is(Facts::SHUTW) || !channel.has_output() || !fds.ready(sock).has(Ready::WRITE) {
        return channel.owes_shut_write();
    }
    while let Some(output) = channel.buf.as_ref().map(|b| b.output()).filter(|o| !o.is_empty()) {
        let offered = output.len();
        match net.send(sock, &[IoSlice::new(output)], More::No) {
            Io::Done(n) => {
                let again = usize::from(planted!(ByteRepeated) && n < offered && n > 1);
                channel.left(n - again, now);
                if n < offered {
                    sometimes!(ShortWrite);
                    fds.used_up(sock, Ready::WRITE);
                    return false;
                }
            }
            Io::Blocked => {
                fds.used_up(sock, Ready::WRITE);
                channel.await_writer(now);
                return false;
            }
            Io::Eof | Io::Failed(_) => {
                discard_output(channel, pools);
                channel.shut_write(Facts::WRITE_ERROR);
                return true;
            }
        }
    }
    if channel.piped > 0 && !super::splice::splice_out(net, fds, sock, channel, now) {
        return channel.is(Facts::SHUTW);
    }
    true
}

/// Drops what can't be sent any more.
pub(super) fn discard_output(channel: &mut Channel, pools: &mut Pools) {
    if let Some(buf) = &mut channel.buf {
        let n = buf.output_len();
        buf.sent(n);
        channel.added -= n as i64;
        if buf.is_empty()
            && let Some(buf) = channel.buf.take()
        {
            pools.give(buf);
        }
    }
}

/// A direction has ended; the other may stay open for so long.
fn half_closed(other: &mut Channel, fin: Option<crate::time::Duration>, now: Instant) {
    if let Some(fin) = fin
        && !other.is(Facts::SHUTR)
    {
        other.read_timeout = Some(fin);
        other.read_expiry = Deadline::after(now, Some(fin));
    }
}

/// The peer took data: it is not silent.
fn refresh(channel: &mut Channel, now: Instant) {
    if channel.read_expiry.is_set() {
        channel.read_expiry = Deadline::after(now, channel.read_timeout);
    }
}

/// Whether the session has use for more of the client's bytes.
pub(super) fn wants_request(s: &Session) -> bool {
    if s.req.is(Facts::SHUTR) {
        return false;
    }
    match s.mode {
        Mode::Tcp => true,
        Mode::Http => {
            s.txn.is(TxnFlags::TUNNEL)
                || s.req.analysers.any(Analysers::WAIT_REQUEST.with(Analysers::FORWARD_REQUEST))
                // A body is read while rules wait for it, and while there is no server yet, to see
                // whether its client stays.
                || ((s.is_looking() || s.rule_expiry.is_set()) && !s.txn.request_flow.is_done())
        }
    }
}

/// Whether the client has sent ahead so much that no room is made for more of it: the next request
/// is here and was not looked at, or waits for its turn. Making room moves all of it, which each of
/// many small requests would have done again.
#[inline]
fn has_enough(s: &Session, pools: &Pools) -> bool {
    let ahead =
        s.req.buf.as_ref().is_some_and(|buf| {
            buf.input_len() > pools.size(Class::Large) / 2 && buf.output_len() == 0
        });
    ahead
        && s.mode == Mode::Http
        && match s.req.analysers.lowest() {
            Some(Analysers::WAIT_REQUEST) => s.txn.request_scan.is_fresh(),
            _ => s.txn.request_flow.is_done() && !s.txn.is(TxnFlags::TUNNEL),
        }
}

/// Whether it has use for more of the server's.
pub(super) fn wants_response(s: &Session) -> bool {
    s.back.state == State::Established
        && !s.res.is(Facts::SHUTR)
        && (s.mode == Mode::Tcp || s.txn.is(TxnFlags::TUNNEL) || !s.txn.response_flow.is_done())
}

/// Whether what comes next in this direction may pass through a pipe.
fn may_splice(channel: &Channel) -> bool {
    channel.piped > 0
        || (channel.is(Facts::SPLICE.with(Facts::BULK))
            && channel.to_forward >= super::splice::WORTH
            && channel.buf.as_ref().is_none_or(crate::buf::Buf::is_empty))
}
