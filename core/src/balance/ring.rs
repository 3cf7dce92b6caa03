//! The ring of consistent hashes and of `balance random`: every server stands at sixteen points of
//! the 32-bit circle per unit of weight, and a hash belongs to the nearest point.
//!
//! The points follow from a server's `id` alone. Balancers that agree on the ids agree on the keys.

use super::hash::avalanche;
use super::{Pick, SCALE, Servers, WEIGHT_MAX};

/// One group of servers, all active or all backup.
#[derive(Clone, Debug, Hash)]
pub(super) struct Ring {
    /// By position.
    points: Vec<Point>,
    weights: Vec<u32>,
    /// By server: the weights of the servers before it, summed up at the start. They only say who
    /// gets what a division leaves over, and HAProxy does not bring them up to date either.
    before: Vec<u64>,
    total: u64,
    /// Requests without a key go round the ring: the point of the last one.
    last: Option<Point>,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Point {
    at: u32,
    server: u32,
    /// Counted per server; those of a lighter server are the first of the heavier.
    number: u32,
}

/// `hash-balance-factor`: how much more than its share of the sessions a server may have, in
/// percent of that share; 0 is no limit.
type Factor = u32;

impl Ring {
    pub(super) fn new(weights: &[u32], servers: &impl Servers) -> Self {
        let mut ring = Self {
            points: Vec::new(),
            weights: vec![0; weights.len()],
            before: Vec::new(),
            total: 0,
            last: None,
        };
        ring.reweigh(weights, servers);
        let sums = weights.iter().scan(0, |sum, &weight| {
            let before = *sum;
            *sum += u64::from(weight);
            Some(before)
        });
        ring.before = sums.collect();
        ring
    }

    /// The weights are others now. Only the points of servers that changed come and go.
    pub(super) fn reweigh(&mut self, weights: &[u32], servers: &impl Servers) {
        let stays = |point: &Point| point.number < weights[point.server as usize];
        self.points.retain(stays);
        // If the last point leaves, the next one counts as used in its place.
        if let Some(last) = self.last.filter(|last| !stays(last)) {
            self.last = self.points.get(self.after(last.at)).copied();
        }
        let kept = self.points.len();
        self.total = weights.iter().map(|&weight| u64::from(weight)).sum();
        for (server, &weight) in weights.iter().enumerate() {
            let id = servers.id(server);
            self.points.extend((self.weights[server]..weight).map(|number| Point {
                at: avalanche(id.wrapping_mul(WEIGHT_MAX * SCALE).wrapping_add(number)),
                server: server as u32,
                number,
            }));
        }
        self.weights.clear();
        self.weights.extend_from_slice(weights);
        // Two sorted runs: the stable sort merges them.
        self.points[kept..].sort_by_key(|point| point.at);
        self.points.sort_by_key(|point| point.at);
    }

    /// The server nearest to `hash`; from there on round the ring past the one to avoid and those
    /// with more than their share. Full or not: a key has only one place.
    pub(super) fn keyed(
        &self,
        servers: &impl Servers,
        hash: u32,
        avoid: Option<usize>,
        factor: Factor,
    ) -> Pick {
        let slots = Slots::new(self, servers, factor);
        self.find(hash, avoid, slots.as_ref()).map_or(Pick::None, Pick::Server)
    }

    fn find<S: Servers>(
        &self,
        hash: u32,
        avoid: Option<usize>,
        slots: Option<&Slots<'_, S>>,
    ) -> Option<usize> {
        let nearest = self.nearest(hash)?;
        let (before, from) = self.points.split_at(nearest);
        let chosen =
            from.iter().chain(before).map(|point| point.server as usize).find(|&server| {
                Some(server) != avoid && slots.is_none_or(|slots| slots.left(server))
            });
        // Nobody has a slot left: the end of the ring, so that at least it is not the one to avoid.
        let mut last = self.points.iter().rev().map(|point| point.server as usize);
        chosen.or_else(|| last.find(|&server| Some(server) != avoid)).or(avoid)
    }

    /// `balance random`: the least loaded of `draws` servers that chance names, if it has room.
    pub(super) fn drawn(
        &self,
        servers: &impl Servers,
        draws: u32,
        avoid: Option<usize>,
        factor: Factor,
        rng: &mut impl FnMut() -> u32,
    ) -> Pick {
        let slots = Slots::new(self, servers, factor);
        let load = |server| u64::from(servers.served(server));
        let weight = |server: usize| u64::from(self.weights[server]);
        let mut best = None;
        for _ in 0..draws.max(1) {
            let Some(drawn) = self.find(rng(), avoid, slots.as_ref()) else { return Pick::None };
            best = match best {
                Some(best) if load(drawn) * weight(best) > load(best) * weight(drawn) => Some(best),
                _ => Some(drawn),
            };
        }
        match best {
            Some(server) if !servers.full(server) => Pick::Server(server),
            _ => Pick::AllFull,
        }
    }

    /// The next point round the ring whose server has room, for a request that has no key.
    pub(super) fn turn(&mut self, servers: &impl Servers, avoid: Option<usize>) -> Pick {
        let start = match self.last {
            None => 0,
            Some(last) => self.after(last.at),
        };
        let (before, from) = self.points.split_at(start);
        let mut avoided = None;
        for point in from.iter().chain(before) {
            let server = point.server as usize;
            if servers.full(server) {
                continue;
            }
            if Some(server) == avoid {
                avoided = Some(*point);
                continue;
            }
            self.last = Some(*point);
            return Pick::Server(server);
        }
        let Some(point) = avoided else { return Pick::AllFull };
        self.last = Some(point);
        Pick::Server(point.server as usize)
    }

    /// The index of the first point behind position `at`, the number of points if there is none.
    fn after(&self, at: u32) -> usize {
        self.points.partition_point(|point| point.at <= at)
    }

    /// The index of the point nearest to `hash`, the one before it if two are as near.
    fn nearest(&self, hash: u32) -> Option<usize> {
        let last = self.points.len().checked_sub(1)?;
        let not_before = self.points.partition_point(|point| point.at < hash);
        let next = if not_before > last { 0 } else { not_before };
        let previous = self.after(hash).checked_sub(1).unwrap_or(last);
        let back = hash.wrapping_sub(self.points[previous].at);
        let ahead = self.points[next].at.wrapping_sub(hash);
        Some(if back <= ahead { previous } else { next })
    }
}

/// How many sessions each server may have under a `hash-balance-factor`.
struct Slots<'a, S> {
    ring: &'a Ring,
    servers: &'a S,
    /// Slots of every unit of weight, and what is left over for all together.
    each: u64,
    rest: u64,
}

impl<'a, S: Servers> Slots<'a, S> {
    /// Shares out the sessions there are and the one that is coming, `factor` percent of them.
    fn new(ring: &'a Ring, servers: &'a S, factor: Factor) -> Option<Self> {
        if factor == 0 || ring.total == 0 {
            return None;
        }
        let slots = ((servers.served_by_all() + 1) * u64::from(factor)).div_ceil(100);
        Some(Self { ring, servers, each: slots / ring.total, rest: slots % ring.total })
    }

    fn left(&self, server: usize) -> bool {
        let weight = u64::from(self.ring.weights[server]);
        let before = self.ring.before[server];
        // Rounded so that the shares add up, as long as the weights are those of the start.
        let over =
            (before + weight) * self.rest / self.ring.total - before * self.rest / self.ring.total;
        u64::from(self.servers.served(server)) < (weight * self.each + over).max(1)
    }
}
