//! What every request was meant to be and what became of it, kept apart from the proxy: the actors
//! write into it what they sent and saw, and the auditor reads it.

use core::hash::Hash;
use core::net::SocketAddr;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tidegate_core::time::Instant;

use crate::digest::Digest;
use crate::timeline::{Host, Moment};

/// The direction of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client.
    Request,
    /// From the server.
    Response,
}

/// What a client means by a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meant {
    /// `GET`, `HEAD`, `POST` or `CONNECT`; TCP streams have none.
    pub method: &'static str,
    /// Bytes of its body.
    pub body: u64,
    /// The body comes in chunks.
    pub chunked: bool,
    /// It asks for a tunnel, through which so many bytes go.
    pub tunnel: Option<u64>,
    /// Asked once everything is calm again: it must be answered.
    pub finale: bool,
    /// The client itself means to give it up, or sends it so that it may fail.
    pub spoilt: bool,
}

/// What became of a request, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It was not sent, or the client is still waiting.
    Open,
    /// It was answered whole.
    Answered(u16),
    /// The connection ended before that, or within the answer.
    Cut,
    /// The client gave it up by itself.
    Abandoned,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it is.
    pub meant: Meant,
    /// How it ended.
    pub fate: Fate,
    /// How often a server has read it whole.
    pub served: u32,
    /// How often a server began to answer it.
    pub begun: u32,
    /// A server has seen part of its body: it may not be sent again.
    pub body_seen: bool,
    /// Log lines about it, and the last one's status.
    pub logged: u32,
    /// The status in the log.
    pub logged_status: u16,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which: `A1` to `A14`, as the auditor's table has them.
    pub invariant: &'static str,
    /// When it was noticed.
    pub at: Instant,
    /// What was seen.
    pub detail: String,
}

/// All requests of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By number.
    pub entries: BTreeMap<u64, Entry>,
    /// Who asks each request, as servers and the log are told: the PROXY header's word, else the
    /// socket's. None has no address.
    pub sources: BTreeMap<u64, Option<SocketAddr>>,
    /// What was found to be wrong, in order.
    pub violations: Vec<Violation>,
    /// What happened, to be read by a person.
    pub timeline: Option<Vec<Moment>>,
    /// The time.
    pub now: Instant,
    /// What the actors saw, hashed.
    pub digest: Digest,
    next: u64,
}

/// The ledger as the actors hold it.
pub type Shared = Rc<RefCell<Ledger>>;

impl Ledger {
    /// Enters a request and says its number.
    pub fn enter(&mut self, meant: Meant) -> u64 {
        self.next += 1;
        let fate = Fate::Open;
        let entry = Entry {
            meant,
            fate,
            served: 0,
            begun: 0,
            body_seen: false,
            logged: 0,
            logged_status: 0,
        };
        self.entries.insert(self.next, entry);
        self.next
    }

    /// The entry of that number.
    pub fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    /// Says how a request ended; the first word stays.
    pub fn settle(&mut self, id: u64, fate: Fate) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.fate == Fate::Open {
            entry.fate = fate;
            (id, fate).hash(&mut self.digest);
            self.note(Host::Auditor, || format!("request {id}: {fate:?}"));
        }
    }

    /// Notes a broken promise.
    pub fn violated(&mut self, invariant: &'static str, detail: String) {
        self.note(Host::Auditor, || format!("{invariant} VIOLATED: {detail}"));
        self.violations.push(Violation { invariant, at: self.now, detail });
    }

    /// Notes something in the timeline, if there is one.
    pub fn note(&mut self, host: Host, event: impl FnOnce() -> String) {
        let at = self.now;
        if let Some(timeline) = &mut self.timeline {
            timeline.push(Moment { at, host, session: None, state: "", event: event() });
        }
    }
}

/// Where the words of a body begin to differ from those of any other.
fn origin(id: u64, way: Way) -> u64 {
    (id << 1 | u64::from(way == Way::Response)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Eight bytes of a body, from eight times `n` on, the first the lowest. No two of a body are the
/// same. As cheap as it can be: most of a run's bytes are these.
fn word(origin: u64, n: u64) -> u64 {
    mixed(origin ^ n.wrapping_mul(TURN))
}

fn mixed(word: u64) -> u64 {
    word ^ (word >> 29)
}

/// What turns one word of a body into the next.
const TURN: u64 = 0xd134_2543_de82_ef95;

/// A byte of a body: of which, which way, where.
pub fn byte(id: u64, way: Way, at: u64) -> u8 {
    (word(origin(id, way), at >> 3) >> (8 * (at & 7))) as u8
}

/// So many words are written or compared at a time.
const WORDS: usize = 64;

/// Gives `take` the body's bytes from `at` on, piece by piece, until it wants no more of the `len`.
fn pieces(id: u64, way: Way, mut at: u64, mut len: usize, mut take: impl FnMut(&[u8]) -> bool) {
    let origin = origin(id, way);
    let mut words = [[0; 8]; WORDS];
    while len > 0 {
        let skip = (at % 8) as usize;
        let count = (skip + len).div_ceil(8).min(WORDS);
        let mut turn = (at / 8).wrapping_mul(TURN);
        for place in &mut words[..count] {
            *place = mixed(origin ^ turn).to_le_bytes();
            turn = turn.wrapping_add(TURN);
        }
        let piece = &words[..count].as_flattened()[skip..];
        let piece = &piece[..piece.len().min(len)];
        if !take(piece) {
            return;
        }
        at += piece.len() as u64;
        len -= piece.len();
    }
}

/// Part of a body, behind what is in `into`.
pub fn extend(into: &mut Vec<u8>, id: u64, way: Way, at: u64, len: usize) {
    into.reserve(len);
    pieces(id, way, at, len, |piece| {
        into.extend_from_slice(piece);
        true
    });
}

/// Where the first byte is that is not the body's, if `data` is said to be what is there at `at`.
pub fn first_wrong(id: u64, way: Way, at: u64, data: &[u8]) -> Option<u64> {
    let mut same = 0;
    pieces(id, way, at, data.len(), |piece| {
        let is_same = data[same..][..piece.len()] == *piece;
        if is_same {
            same += piece.len();
        }
        is_same
    });
    (at + same as u64..)
        .zip(&data[same..])
        .find(|(at, got)| byte(id, way, *at) != **got)
        .map(|(at, _)| at)
}

/// A number that follows from a request's and a purpose, for what is decided about it.
pub fn lot(seed: u64, id: u64, purpose: u64) -> u64 {
    let mut digest = Digest::default();
    [seed, id, purpose].into_iter().for_each(|n| digest.number(n));
    digest.number(0);
    digest.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_byte_is_seen() {
        for at in 0..20 {
            for len in 0..40 {
                let mut data = Vec::new();
                extend(&mut data, 7, Way::Request, at, len);
                let expected: Vec<u8> =
                    (at..at + len as u64).map(|at| byte(7, Way::Request, at)).collect();
                assert_eq!(data, expected);
                assert_eq!(first_wrong(7, Way::Request, at, &data), None);
                for wrong in 0..len {
                    data[wrong] ^= 1;
                    assert_eq!(first_wrong(7, Way::Request, at, &data), Some(at + wrong as u64));
                    data[wrong] ^= 1;
                }
            }
        }
    }
}
