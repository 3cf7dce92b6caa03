//! The table of open sockets: a slab of small slots with a generation each, so that a stale handle
//! or event is told from the socket that took its place.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mio::Token;
use tidegate_core::fault::Fault;
use tidegate_core::poller::Sock;

/// What a socket is, as far as the backend must know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A TCP connection.
    Tcp,
    /// A unix stream connection.
    Unix,
    /// A TCP listener, and how many connections are known to be queued.
    TcpListener {
        /// Learned from the kernel, counted down by each accept.
        queued: u32,
    },
    /// A unix listener.
    UnixListener,
    /// A connection that failed: the kernel tells its error only once.
    Dead(Fault),
}

impl Kind {
    /// Whether it listens.
    pub fn is_listener(self) -> bool {
        matches!(self, Kind::TcpListener { .. } | Kind::UnixListener)
    }
}

#[derive(Debug)]
enum State {
    Free { next: u32 },
    Socket { fd: OwnedFd, kind: Kind },
    Sink(u32),
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    state: State,
}

/// The end of the free list.
const NONE: u32 = u32::MAX;

/// The token of the waker: an index that no slot has.
pub const WAKER: Token = Token(usize::MAX);

const _: () = assert!(usize::BITS == 64, "a token carries an index and a generation");

/// The open sockets of one engine.
#[derive(Debug)]
pub struct Slots {
    slots: Vec<Slot>,
    /// Freed last is taken first: its line is still in the cache.
    free: u32,
    open: u32,
}

impl Default for Slots {
    fn default() -> Self {
        Slots { slots: Vec::new(), free: NONE, open: 0 }
    }
}

impl Slots {
    /// How many are open.
    pub fn open(&self) -> u32 {
        self.open
    }

    /// The handle that the next insertion will have, so that it can be registered before.
    pub fn upcoming(&self) -> Sock {
        match self.slots.get(self.free as usize) {
            Some(slot) => Sock { index: self.free, generation: slot.generation },
            None => Sock { index: self.slots.len() as u32, generation: 0 },
        }
    }

    /// Puts a socket in.
    pub fn insert(&mut self, fd: OwnedFd, kind: Kind) -> Sock {
        self.place(State::Socket { fd, kind })
    }

    /// Puts a sink in, which is kept elsewhere.
    pub fn insert_sink(&mut self, sink: u32) -> Sock {
        self.place(State::Sink(sink))
    }

    fn place(&mut self, state: State) -> Sock {
        let sock = self.upcoming();
        match self.slots.get_mut(sock.index as usize) {
            Some(slot) => {
                let State::Free { next } = slot.state else {
                    unreachable!("the free list is free")
                };
                self.free = next;
                slot.state = state;
            }
            None => {
                assert!(sock.index < NONE, "more sockets than a process can have");
                self.slots.push(Slot { generation: sock.generation, state });
            }
        }
        self.open += 1;
        sock
    }

    /// Takes a socket out; its handle is stale from here on.
    pub fn remove(&mut self, sock: Sock) -> Option<(OwnedFd, Kind)> {
        self.socket(sock)?;
        match self.take(sock)? {
            State::Socket { fd, kind } => Some((fd, kind)),
            State::Free { .. } | State::Sink(_) => None,
        }
    }

    /// Takes a sink out.
    pub fn remove_sink(&mut self, sock: Sock) {
        if self.sink(sock).is_some() {
            self.take(sock);
        }
    }

    fn take(&mut self, sock: Sock) -> Option<State> {
        let slot = self.slots.get_mut(sock.index as usize)?;
        if slot.generation != sock.generation || matches!(slot.state, State::Free { .. }) {
            return None;
        }
        slot.generation = slot.generation.wrapping_add(1);
        let state = std::mem::replace(&mut slot.state, State::Free { next: self.free });
        self.free = sock.index;
        self.open -= 1;
        Some(state)
    }

    /// An open socket's descriptor and kind.
    pub fn socket(&self, sock: Sock) -> Option<(BorrowedFd<'_>, Kind)> {
        match self.slots.get(sock.index as usize) {
            Some(Slot { generation, state: State::Socket { fd, kind } })
                if *generation == sock.generation =>
            {
                Some((fd.as_fd(), *kind))
            }
            _ => None,
        }
    }

    /// The kind of an open socket, to change it.
    pub fn kind_mut(&mut self, sock: Sock) -> Option<&mut Kind> {
        match self.slots.get_mut(sock.index as usize) {
            Some(Slot { generation, state: State::Socket { kind, .. } })
                if *generation == sock.generation =>
            {
                Some(kind)
            }
            _ => None,
        }
    }

    /// The number of the sink behind a handle.
    pub fn sink(&self, sock: Sock) -> Option<u32> {
        match self.slots.get(sock.index as usize) {
            Some(Slot { generation, state: State::Sink(sink) })
                if *generation == sock.generation =>
            {
                Some(*sink)
            }
            _ => None,
        }
    }
}

/// The token that a socket's events carry.
pub fn token(sock: Sock) -> Token {
    Token((sock.generation as usize) << 32 | sock.index as usize)
}

/// The socket that a token stands for.
pub fn sock(token: Token) -> Sock {
    Sock { index: token.0 as u32, generation: (token.0 >> 32) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fd() -> OwnedFd {
        std::io::stdin().as_fd().try_clone_to_owned().expect("stdin can be duplicated")
    }

    #[test]
    fn a_handle_is_stale_after_its_socket() {
        let mut slots = Slots::default();
        let first = slots.insert(fd(), Kind::Tcp);
        assert!(slots.socket(first).is_some());
        assert!(slots.remove(first).is_some());
        assert!(slots.socket(first).is_none() && slots.remove(first).is_none());

        assert_eq!(slots.upcoming().index, first.index);
        let second = slots.insert(fd(), Kind::Unix);
        assert_eq!(second.index, first.index);
        assert_ne!(second.generation, first.generation);
        assert!(slots.socket(first).is_none() && slots.sink(second).is_none());
        assert_eq!(slots.open(), 1);
    }

    #[test]
    fn tokens_carry_the_whole_handle() {
        for of in [
            Sock { index: 0, generation: 0 },
            Sock { index: 7, generation: u32::MAX },
            Sock { index: u32::MAX - 1, generation: 3 },
        ] {
            assert_eq!(sock(token(of)), of);
            assert_ne!(token(of), WAKER);
        }
    }
}
