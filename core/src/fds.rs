//! Who owns each socket, what it is ready for, and the cached list: sockets with work left although
//! no event will come for them.
//!
//! ```text
//!   event ──► ready bits ──► cached list ──► owner's I/O ──► Blocked or short: bit cleared
//!                                 ▲                └── budget spent, no room, limit: bit kept
//!                                 └─── the reason ended (P11) ───────────┘
//! ```

use crate::invariant;
use crate::poller::{Event, Ready, Sock};

/// Who a socket belongs to; dispatch is one `match`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// A listener, by its place in the engine.
    Listener(u32),
    /// A client's connection.
    Client(u32),
    /// A session's connection to its server.
    Server(u32),
    /// An idle connection to a server, watched until it is used.
    IdleServer(u32),
    /// A health check (an agent).
    Check(u32),
    /// A resolver (an agent).
    Resolver(u32),
    /// A log sink (an agent).
    LogSink(u32),
    /// A peer (an agent).
    Peer(u32),
}

#[derive(Clone, Copy, Debug, Hash)]
struct Entry {
    owner: Option<Owner>,
    generation: u32,
    ready: Ready,
    cached: bool,
}

const EMPTY: Entry = Entry { owner: None, generation: 0, ready: Ready::NONE, cached: false };

/// The table of sockets of one engine.
#[derive(Debug, Hash, Default)]
pub struct Fds {
    table: Vec<Entry>,
    cached: Vec<Sock>,
    /// Sockets that have an owner.
    pub open: u32,
    /// Events that came for a socket that is closed.
    pub stale: u64,
}

impl Fds {
    /// Enters a socket with what it is assumed ready for (P10).
    pub fn insert(&mut self, sock: Sock, owner: Owner, ready: Ready) {
        let index = sock.index as usize;
        if index >= self.table.len() {
            self.table.resize(index + 1, EMPTY);
        }
        let entry = &mut self.table[index];
        invariant!(entry.owner.is_none(), "socket {sock:?} has an owner: {:?}", entry.owner);
        *entry = Entry { owner: Some(owner), generation: sock.generation, ready, cached: false };
        self.open += 1;
    }

    /// Forgets a socket, which is about to be closed or handed over.
    pub fn remove(&mut self, sock: Sock) -> Owner {
        let entry = self.entry(sock);
        entry.ready = Ready::NONE;
        entry.cached = false;
        let owner = entry.owner.take();
        self.open -= 1;
        // `entry` asserts that there is one.
        owner.unwrap_or(Owner::Client(u32::MAX))
    }

    /// Gives a socket to another owner; what it is ready for stays.
    pub fn reassign(&mut self, sock: Sock, owner: Owner) {
        self.entry(sock).owner = Some(owner);
    }

    /// Notes an event. False if it is stale.
    pub fn announce(&mut self, event: Event) -> bool {
        match self.table.get_mut(event.sock.index as usize) {
            Some(e) if e.owner.is_some() && e.generation == event.sock.generation => {
                e.ready.set(event.ready);
                if !e.cached {
                    e.cached = true;
                    self.cached.push(event.sock);
                }
                true
            }
            _ => {
                self.stale += 1;
                false
            }
        }
    }

    /// Puts a socket on the cached list, to be looked at again in the next turn (P11).
    pub fn retry(&mut self, sock: Sock) {
        let entry = self.entry(sock);
        if !entry.cached {
            entry.cached = true;
            self.cached.push(sock);
        }
    }

    /// Frees the room of closed sockets behind the last one that is open.
    pub fn trim(&mut self) {
        let len = self.table.iter().rposition(|e| e.owner.is_some()).map_or(0, |last| last + 1);
        self.table.truncate(len);
        self.table.shrink_to_fit();
        self.cached.shrink_to_fit();
    }

    /// Takes the cached list, to be worked through. Give the vector back with [`Fds::recycle`].
    pub fn take_cached(&mut self) -> Vec<Sock> {
        core::mem::take(&mut self.cached)
    }

    /// Takes back the vector of [`Fds::take_cached`]; entries added meanwhile are kept.
    pub fn recycle(&mut self, mut list: Vec<Sock>) {
        list.clear();
        if self.cached.is_empty() {
            self.cached = list;
        }
    }

    /// Begins the work on a socket of the cached list: its owner and what it is ready for, unless
    /// it was closed meanwhile.
    pub fn begin(&mut self, sock: Sock) -> Option<(Owner, Ready)> {
        let e = self.table.get_mut(sock.index as usize)?;
        if e.generation != sock.generation || !e.cached {
            return None;
        }
        e.cached = false;
        e.owner.map(|owner| (owner, e.ready))
    }

    /// What a socket is ready for.
    pub fn ready(&self, sock: Sock) -> Ready {
        match self.table.get(sock.index as usize) {
            Some(e) if e.generation == sock.generation => e.ready,
            _ => Ready::NONE,
        }
    }

    /// Clears ready bits that I/O used up.
    pub fn used_up(&mut self, sock: Sock, ready: Ready) {
        self.entry(sock).ready.clear(ready);
    }

    /// The owner of an open socket.
    pub fn owner(&self, sock: Sock) -> Option<Owner> {
        self.table
            .get(sock.index as usize)
            .filter(|e| e.generation == sock.generation)
            .and_then(|e| e.owner)
    }

    /// Whether work is left for the next turn.
    pub fn has_cached(&self) -> bool {
        !self.cached.is_empty()
    }

    /// Every open socket and its owner, for the audit.
    pub fn iter(&self) -> impl Iterator<Item = (Sock, Owner)> + '_ {
        self.table.iter().enumerate().filter_map(|(index, e)| {
            let sock = Sock { index: index as u32, generation: e.generation };
            e.owner.map(|owner| (sock, owner))
        })
    }

    fn entry(&mut self, sock: Sock) -> &mut Entry {
        let entry = &mut self.table[sock.index as usize];
        invariant!(
            entry.generation == sock.generation && entry.owner.is_some(),
            "stale handle {sock:?}"
        );
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_events_are_dropped_and_counted() {
        let mut fds = Fds::default();
        let old = Sock { index: 3, generation: 1 };
        let new = Sock { index: 3, generation: 2 };
        fds.insert(old, Owner::Client(0), Ready::NONE);
        fds.remove(old);
        fds.insert(new, Owner::Client(1), Ready::WRITE);
        assert!(!fds.announce(Event { sock: old, ready: Ready::READ }));
        assert!(fds.announce(Event { sock: new, ready: Ready::READ }));
        assert_eq!((fds.stale, fds.open), (1, 1));
        assert_eq!(fds.take_cached(), [new]);
        assert_eq!(fds.begin(new), Some((Owner::Client(1), Ready::READ.with(Ready::WRITE))));
        assert_eq!(fds.begin(new), None);
    }

    #[test]
    fn a_socket_is_on_the_cached_list_once() {
        let mut fds = Fds::default();
        let sock = Sock { index: 0, generation: 1 };
        fds.insert(sock, Owner::Client(0), Ready::READ);
        fds.retry(sock);
        fds.retry(sock);
        fds.announce(Event { sock, ready: Ready::READ });
        assert_eq!(fds.take_cached().len(), 1);
        fds.remove(sock);
        assert_eq!(fds.begin(sock), None);
    }
}
