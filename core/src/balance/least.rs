//! `balance leastconn`: the server with the fewest sessions for its weight, in turns among equals.
//!
//! The order is kept by rank, and a server is ranked anew when its own load changes: whoever
//! changed first goes first among equals, as in HAProxy. [`LeastConn::moved`] says so. Loads that
//! other engines change are not announced; each pick looks at a few servers in rotation, and at
//! the one it is about to choose, and puts right what it finds.

use super::heap::{Heap, Place};
use super::{Pick, SCALE, Servers, WEIGHT_MAX};

/// One group of servers, all active or all backup.
#[derive(Clone, Debug, Hash)]
pub(super) struct LeastConn {
    weights: Vec<u32>,
    order: Heap,
    /// The next server to look at without being told.
    patrol: usize,
    /// Passed over by the pick in progress; they keep their places.
    passed: Vec<Place>,
}

/// Servers each pick looks at unasked.
const PATROL: usize = 2;

impl LeastConn {
    pub(super) fn new(weights: &[u32], servers: &impl Servers) -> Self {
        let len = weights.len();
        let mut group = Self {
            weights: vec![0; len],
            order: Heap::new(len),
            patrol: 0,
            passed: Vec::with_capacity(len),
        };
        for (server, &weight) in weights.iter().enumerate() {
            group.reweigh(server, weight, servers);
        }
        group
    }

    /// `server` has another weight now; 0 takes it out.
    pub(super) fn reweigh(&mut self, server: usize, weight: u32, servers: &impl Servers) {
        self.weights[server] = weight;
        self.order.remove(server);
        if weight > 0 {
            self.order.push(server, rank(servers.load(server), weight));
        }
    }

    /// The load of `server` may have changed.
    pub(super) fn moved(&mut self, server: usize, servers: &impl Servers) {
        let Some(place) = self.order.place(server) else { return };
        let rank = rank(servers.load(server), self.weights[server]);
        if place.rank != rank {
            self.order.remove(server);
            self.order.push(server, rank);
        }
    }

    pub(super) fn pick(&mut self, servers: &impl Servers, avoid: Option<usize>) -> Pick {
        for _ in 0..PATROL.min(self.weights.len()) {
            self.moved(self.patrol, servers);
            self.patrol = (self.patrol + 1) % self.weights.len();
        }
        let mut avoided = None;
        let chosen = loop {
            let Some(place) = self.settle(servers) else { break avoided };
            let server = place.server as usize;
            if !servers.crowded(server) {
                if Some(server) != avoid {
                    break Some(server);
                }
                avoided = Some(server);
            }
            self.order.pop();
            self.passed.push(place);
        };
        for place in self.passed.drain(..) {
            self.order.restore(place);
        }
        chosen.map_or(Pick::AllFull, Pick::Server)
    }

    /// The first whose rank is the true one. Loads may change under our eyes: after as many
    /// corrections as there are servers, whoever is first will do.
    fn settle(&mut self, servers: &impl Servers) -> Option<Place> {
        for _ in 0..self.weights.len() {
            let first = *self.order.first()?;
            self.moved(first.server as usize, servers);
            if self.order.first() == Some(&first) {
                break;
            }
        }
        self.order.first().copied()
    }
}

/// An idle server counts nothing, whatever its weight: they all get their first session in turn.
fn rank(load: u32, weight: u32) -> u64 {
    match load {
        0 => 0,
        _ => (u64::from(load) + 1) * u64::from(WEIGHT_MAX * SCALE) / u64::from(weight),
    }
}
