//! The table of `static-rr` and of map-based hashes: every usable server as often as its weight,
//! spread evenly. It is made when the farm changes and only read afterwards.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use super::heap::{Heap, Place};
use super::{Pick, Servers};

#[derive(Clone, Debug, Hash)]
pub(super) struct Table {
    places: Vec<u32>,
    /// `static-rr`, and requests without a key: the next place. Behind the last it means the
    /// first, unless the table has grown by then.
    next: usize,
    /// What the configured weights have in common; it is left out of the table.
    divisor: u32,
}

impl Table {
    /// `configured` are the weights of all servers, `serving` those of the servers to choose from.
    pub(super) fn new(configured: impl Iterator<Item = u32>, serving: &[u32]) -> Self {
        let mut table =
            Self { places: Vec::new(), next: 0, divisor: configured.fold(0, gcd).max(1) };
        table.rebuild(serving);
        table
    }

    /// Makes the table anew; the place of `static-rr` in it stays.
    ///
    /// Each place goes to the server that is owed most whole turns, a turn being owed whenever
    /// its share of the places so far reaches another one; to the first in order among equals.
    pub(super) fn rebuild(&mut self, serving: &[u32]) {
        let weights: Vec<u64> =
            serving.iter().map(|weight| weight.div_ceil(self.divisor).into()).collect();
        let total: u64 = weights.iter().sum();
        // When each server is owed its n-th turn, and who is owed most.
        let reached = |server: usize, n: u64| (n * total).div_ceil(weights[server]) - 1;
        let mut times = BinaryHeap::with_capacity(weights.len());
        let mut owed = Heap::new(weights.len());
        let owing = |server: usize, turns: i64| Place {
            rank: (1_u64 << 32).wrapping_add_signed(-turns),
            seq: server as u64,
            server: server as u32,
        };
        let mut turns = vec![0; weights.len()];
        for server in (0..weights.len()).filter(|&server| weights[server] > 0) {
            times.push(Reverse((reached(server, 1), server, 1)));
            owed.restore(owing(server, 0));
        }
        self.places.clear();
        for time in 0..total {
            while let Some(&Reverse((at, server, n))) = times.peek()
                && at <= time
            {
                times.pop();
                times.push(Reverse((reached(server, n + 1), server, n + 1)));
                turns[server] += 1;
                owed.remove(server);
                owed.restore(owing(server, turns[server]));
            }
            // Never empty: there is a place only if there is a weight.
            let Some(most) = owed.pop() else { break };
            let server = most.server as usize;
            turns[server] -= 1;
            owed.restore(owing(server, turns[server]));
            self.places.push(most.server);
        }
    }

    /// The next in turn that has room.
    pub(super) fn turn(&mut self, servers: &impl Servers, avoid: Option<usize>) -> Pick {
        if self.next >= self.places.len() {
            self.next = 0;
        }
        let places = self.next..self.places.len();
        let mut avoided = None;
        for place in places.chain(0..self.next) {
            let server = self.places[place] as usize;
            if servers.full(server) {
                continue;
            }
            if Some(server) != avoid {
                self.next = place + 1;
                return Pick::Server(server);
            }
            avoided = Some(place);
        }
        let Some(place) = avoided else { return Pick::AllFull };
        self.next = place + 1;
        Pick::Server(self.places[place] as usize)
    }

    /// The server of a hash, full or not: it is the only one that will do.
    pub(super) fn keyed(&self, hash: u32) -> Pick {
        match self.places.len() {
            0 => Pick::None,
            len => Pick::Server(self.places[hash as usize % len] as usize),
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
