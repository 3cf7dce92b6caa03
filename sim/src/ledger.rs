//! What every request was meant to be and what became of it, kept apart from the proxy: the actors
//! write into it what they sent and saw, and the auditor reads it.

use core::hash::Hash;
use core::net::SocketAddr;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tidegate_core::time::Instant;

use crate::digest::Digest;

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
    pub timeline: Option<Vec<(Instant, String)>>,
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
            self.note(|| format!("request {id}: {fate:?}"));
        }
    }

    /// Notes a broken promise.
    pub fn violated(&mut self, invariant: &'static str, detail: String) {
        self.note(|| format!("{invariant} VIOLATED: {detail}"));
        self.violations.push(Violation { invariant, at: self.now, detail });
    }

    /// Notes something in the timeline, if there is one.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(timeline) = &mut self.timeline {
            timeline.push((now, text()));
        }
    }
}

/// Eight bytes of a body, from eight times `n` on, the first the lowest.
fn word(id: u64, way: Way, n: u64) -> u64 {
    let word = (id << 1 | u64::from(way == Way::Response)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ n.wrapping_mul(0xd134_2543_de82_ef95);
    (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// A byte of a body: of which, which way, where.
pub fn byte(id: u64, way: Way, at: u64) -> u8 {
    (word(id, way, at >> 3) >> (8 * (at & 7))) as u8
}

/// Part of a body, behind what is in `into`.
pub fn extend(into: &mut Vec<u8>, id: u64, way: Way, at: u64, len: usize) {
    let end = at + len as u64;
    let (first, last) = (at.next_multiple_of(8).min(end), end / 8 * 8);
    into.extend((at..first).map(|at| byte(id, way, at)));
    if first < last {
        let from = into.len();
        into.resize(from + (last - first) as usize, 0);
        let (words, _) = into[from..].as_chunks_mut::<8>();
        for (n, place) in (first / 8..).zip(words) {
            *place = word(id, way, n).to_le_bytes();
        }
    }
    into.extend((last.max(first)..end).map(|at| byte(id, way, at)));
}

/// Where the first byte is that is not the body's, if `data` is said to be what is there at `at`.
pub fn first_wrong(id: u64, way: Way, at: u64, data: &[u8]) -> Option<u64> {
    let wrong_in = |at: u64, data: &[u8]| {
        (at..).zip(data).find(|(at, got)| byte(id, way, *at) != **got).map(|(at, _)| at)
    };
    let before = (at.wrapping_neg() & 7) as usize;
    let (first, rest) = data.split_at(before.min(data.len()));
    let (words, last) = rest.as_chunks::<8>();
    let start = at + first.len() as u64;
    if let Some(wrong) = wrong_in(at, first) {
        return Some(wrong);
    }
    for (n, got) in (start / 8..).zip(words) {
        if u64::from_le_bytes(*got) != word(id, way, n) {
            return wrong_in(n * 8, got);
        }
    }
    wrong_in(start + 8 * words.len() as u64, last)
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
