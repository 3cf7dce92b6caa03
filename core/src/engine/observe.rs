//! What an engine tells a watcher. An observer only watches: nothing that it does changes a run,
//! and watching with `()` compiles to nothing.

use crate::fault::End;
use crate::proxy::spec::{ListenerId, ProxyId, ServerId};
use crate::time::Instant;

/// Something that happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Note {
    /// A client connected.
    Accepted {
        /// Its place.
        client: u32,
        /// Where.
        listener: ListenerId,
    },
    /// A client's connection is gone.
    Released {
        /// Its place.
        client: u32,
    },
    /// A session began.
    Began {
        /// Its number.
        serial: u64,
        /// Its client.
        client: u32,
        /// Where it came in.
        frontend: ProxyId,
    },
    /// A session got a server connection.
    Connected {
        /// Its number.
        serial: u64,
        /// To whom.
        server: ServerId,
        /// The connection was used before.
        reused: bool,
    },
    /// A session waits in a queue.
    Queued {
        /// Its number.
        serial: u64,
    },
    /// A session ended.
    Ended {
        /// Its number.
        serial: u64,
        /// Why.
        end: End,
        /// The status that the client got; 0 if none.
        status: u16,
    },
}

/// Watches an engine.
pub trait Observer {
    /// Whether it wants notes at all; if not, none are made.
    const WATCHES: bool = true;

    /// Something happened in the turn at `now`.
    fn note(&mut self, now: Instant, note: Note);
}

impl Observer for () {
    const WATCHES: bool = false;

    fn note(&mut self, _now: Instant, _note: Note) {}
}

impl Observer for Vec<Note> {
    fn note(&mut self, _now: Instant, note: Note) {
        self.push(note);
    }
}
