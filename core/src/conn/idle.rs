//! Server connections and the idle ones among them: per server a list of connections that were
//! never reused and one of those that were, both last in, first out, so that what is used stays
//! warm and what is not used can be purged from the cold end.

use core::hash::{Hash, Hasher};

use slab::Slab;

use crate::conn::Transport;
use crate::conn::client::NO_SESSION;
use crate::invariant;
use crate::poller::Sock;
use crate::proxy::spec::{Reuse, ServerId};
use crate::time::Instant;

/// A server connection's place in its table.
pub type ConnId = u32;

/// Stands for no connection.
pub const NO_CONN: ConnId = u32::MAX;

/// A connection to a server.
#[derive(Debug, Hash)]
pub struct ServerConn {
    /// Its socket.
    pub sock: Sock,
    /// Whose it is.
    pub server: ServerId,
    /// The session that uses it, or none while it is idle.
    pub session: u32,
    /// Requests that it has carried.
    pub requests: u32,
    /// The client that it belongs to, if it belongs to one: another's requests never go there.
    pub owner: Option<u32>,
    /// What stands between the socket and the bytes.
    pub transport: Transport,
    /// The PROXY header that it begins with, if any: whoever uses it later must have the same.
    pub preface: Box<[u8]>,
    /// How much of that was sent.
    pub preface_sent: u32,
    /// Idle: in which list, and since when.
    idle: Option<Kind>,
    prev: ConnId,
    next: ConnId,
    /// When it became idle.
    pub idle_since: Instant,
}

impl ServerConn {
    /// What of its PROXY header was not sent yet.
    pub fn preface_left(&self) -> &[u8] {
        &self.preface[self.preface_sent as usize..]
    }
}

/// Which idle list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Carried one client's request so far; whether it survives another's is not known.
    Fresh,
    /// Was reused at least once.
    Proven,
    /// Belongs to one client (`http-reuse never`, `send-proxy`); in no list.
    Private,
}

/// One idle list of one server.
#[derive(Clone, Copy, Debug, Hash)]
pub struct IdleList {
    head: ConnId,
    tail: ConnId,
    len: u32,
}

const EMPTY: IdleList = IdleList { head: NO_CONN, tail: NO_CONN, len: 0 };

#[derive(Clone, Debug, Hash)]
struct Idle {
    lists: [IdleList; 2],
    /// The fewest idle connections since the last purge: so many were not needed.
    spare: u32,
}

/// Every server connection of one engine.
#[derive(Debug)]
pub struct ServerConns {
    table: Slab<ServerConn>,
    idle: Vec<Idle>,
    /// Idle connections, all servers, private ones too.
    pub idle_total: u32,
}

impl Hash for ServerConns {
    fn hash<H: Hasher>(&self, into: &mut H) {
        self.table.iter().for_each(|conn| conn.hash(into));
        (&self.idle, self.idle_total).hash(into);
    }
}

impl ServerConns {
    /// A table for `servers` servers.
    pub fn new(servers: usize) -> Self {
        ServerConns {
            table: Slab::new(),
            idle: vec![Idle { lists: [EMPTY; 2], spare: 0 }; servers],
            idle_total: 0,
        }
    }

    /// A new connection, in use by `session`.
    pub fn insert(&mut self, sock: Sock, server: ServerId, session: u32) -> ConnId {
        self.table.insert(ServerConn {
            sock,
            server,
            session,
            requests: 0,
            owner: None,
            transport: Transport::Raw,
            preface: Box::default(),
            preface_sent: 0,
            idle: None,
            prev: NO_CONN,
            next: NO_CONN,
            idle_since: Instant::START,
        }) as ConnId
    }

    /// The connection `id`.
    pub fn conn(&self, id: ConnId) -> &ServerConn {
        &self.table[id as usize]
    }

    /// The connection `id`, to be changed.
    pub fn conn_mut(&mut self, id: ConnId) -> &mut ServerConn {
        &mut self.table[id as usize]
    }

    /// Forgets a connection, idle or in use; its socket is the caller's to close.
    pub fn remove(&mut self, id: ConnId) -> ServerConn {
        self.unlink(id);
        self.table.remove(id as usize)
    }

    /// Puts a connection that a session has done with on its idle list, or keeps it for its owner.
    pub fn park(&mut self, id: ConnId, owner: Option<u32>, now: Instant) {
        let conn = &mut self.table[id as usize];
        invariant!(conn.idle.is_none() && conn.session != NO_SESSION);
        conn.session = NO_SESSION;
        conn.idle_since = now;
        conn.owner = owner;
        let kind = match (owner, conn.requests > 1) {
            (Some(_), _) => Kind::Private,
            (None, false) => Kind::Fresh,
            (None, true) => Kind::Proven,
        };
        conn.idle = Some(kind);
        self.idle_total += 1;
        if kind == Kind::Private {
            return;
        }
        let list = &mut self.idle[conn.server as usize].lists[kind as usize];
        conn.prev = NO_CONN;
        conn.next = list.head;
        let old = core::mem::replace(&mut list.head, id);
        list.len += 1;
        if old == NO_CONN {
            list.tail = id;
        } else {
            self.table[old as usize].prev = id;
        }
    }

    /// Takes an idle connection of `server` for a session, as `reuse` allows it for a client's
    /// first or a later request.
    pub fn take(
        &mut self,
        server: ServerId,
        reuse: Reuse,
        first: bool,
        session: u32,
    ) -> Option<ConnId> {
        let lists = &self.idle[server as usize].lists;
        let (fresh, proven) = (lists[Kind::Fresh as usize].head, lists[Kind::Proven as usize].head);
        let either = [fresh, proven].into_iter().find(|&id| id != NO_CONN);
        let id = match (reuse, first) {
            (Reuse::Never, _) | (Reuse::Safe, true) => None,
            (Reuse::Aggressive, true) => (proven != NO_CONN).then_some(proven),
            (Reuse::Safe | Reuse::Aggressive, false) | (Reuse::Always, _) => either,
        }?;
        self.claim(id, session);
        Some(id)
    }

    /// Gives an idle connection to a session.
    pub fn claim(&mut self, id: ConnId, session: u32) {
        invariant!(self.table[id as usize].idle.is_some());
        self.unlink(id);
        self.table[id as usize].session = session;
    }

    /// Idle connections of `server` that are not one client's own.
    pub fn idle_of(&self, server: ServerId) -> u32 {
        self.idle[server as usize].lists.iter().map(|l| l.len).sum()
    }

    /// The idle connection of `server` that was used least recently.
    pub fn coldest(&self, server: ServerId) -> Option<ConnId> {
        let lists = &self.idle[server as usize].lists;
        lists.iter().map(|l| l.tail).find(|&id| id != NO_CONN)
    }

    /// How many idle connections of `server` were not needed since this was last asked; half of
    /// them, rounded up, are worth closing. (HAProxy's `pool-purge-delay`.)
    pub fn spare(&mut self, server: ServerId) -> u32 {
        let len = self.idle_of(server);
        let idle = &mut self.idle[server as usize];
        let spare = core::mem::replace(&mut idle.spare, len);
        spare.min(len).div_ceil(2)
    }

    /// Whether a connection is idle.
    pub fn is_idle(&self, id: ConnId) -> bool {
        self.table[id as usize].idle.is_some()
    }

    /// Any idle connection; those that are one client's own come last.
    pub fn any_idle(&self) -> Option<ConnId> {
        if self.idle_total == 0 {
            return None;
        }
        let shared = (0..self.idle.len() as ServerId).find_map(|s| self.coldest(s));
        shared.or_else(|| self.iter().find(|(_, conn)| conn.idle.is_some()).map(|(id, _)| id))
    }

    /// Every connection, for the audit.
    pub fn iter(&self) -> impl Iterator<Item = (ConnId, &ServerConn)> {
        self.table.iter().map(|(id, conn)| (id as ConnId, conn))
    }

    /// Connections, idle ones too.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    #[inline]
    fn unlink(&mut self, id: ConnId) {
        let conn = &mut self.table[id as usize];
        let Some(kind) = conn.idle.take() else { return };
        self.idle_total -= 1;
        if kind == Kind::Private {
            return;
        }
        let (prev, next, server) = (conn.prev, conn.next, conn.server as usize);
        let list = &mut self.idle[server].lists[kind as usize];
        list.len -= 1;
        if prev == NO_CONN {
            list.head = next;
        } else {
            self.table[prev as usize].next = next;
        }
        if next == NO_CONN {
            list.tail = prev;
        } else {
            self.table[next as usize].prev = prev;
        }
        let idle = &mut self.idle[server];
        idle.spare = idle.spare.min(idle.lists.iter().map(|l| l.len).sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conns(n: u32) -> (ServerConns, Vec<ConnId>) {
        let mut conns = ServerConns::new(1);
        let ids = (0..n)
            .map(|i| conns.insert(Sock { index: i, generation: 1 }, 0, 7))
            .collect::<Vec<_>>();
        for &id in &ids {
            conns.conn_mut(id).requests = 1;
            conns.park(id, None, Instant::START);
        }
        (conns, ids)
    }

    #[test]
    fn the_last_parked_is_taken_first_and_any_can_leave() {
        let (mut conns, ids) = conns(4);
        conns.remove(ids[1]);
        assert_eq!(conns.take(0, Reuse::Safe, false, 9), Some(ids[3]));
        assert_eq!(conns.take(0, Reuse::Safe, false, 9), Some(ids[2]));
        assert_eq!(conns.coldest(0), Some(ids[0]));
        assert_eq!(conns.take(0, Reuse::Safe, false, 9), Some(ids[0]));
        assert_eq!(conns.take(0, Reuse::Safe, false, 9), None);
        assert_eq!((conns.idle_of(0), conns.idle_total, conns.len()), (0, 0, 3));
    }

    #[test]
    fn who_may_take_which() {
        for (reuse, first, fresh, proven) in [
            (Reuse::Never, false, false, false),
            (Reuse::Safe, true, false, false),
            (Reuse::Safe, false, true, true),
            (Reuse::Aggressive, true, false, true),
            (Reuse::Aggressive, false, true, true),
            (Reuse::Always, true, true, true),
        ] {
            let (mut conns, _) = conns(1);
            let got = conns.take(0, reuse, first, 1);
            assert_eq!(got.is_some(), fresh, "{reuse:?} {first}");
            let (mut conns, _) = self::conns(1);
            let id = conns.take(0, Reuse::Always, true, 1).unwrap_or(NO_CONN);
            conns.conn_mut(id).requests = 2;
            conns.park(id, None, Instant::START);
            assert_eq!(conns.take(0, reuse, first, 1).is_some(), proven, "{reuse:?} {first}");
        }
    }

    #[test]
    fn a_purge_closes_half_of_what_nobody_needed() {
        let (mut conns, _) = conns(10);
        assert_eq!(conns.spare(0), 0);
        let id = conns.take(0, Reuse::Always, true, 1).unwrap_or(NO_CONN);
        conns.park(id, None, Instant::START);
        assert_eq!(conns.spare(0), 5);
    }
}
