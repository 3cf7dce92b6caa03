//! Gauges: how many there are of something now, approximate by design. Nothing may be refused on
//! their word; that is what limits and gates are for.
//!
//! Each engine has a block of its own on cache lines of its own and is the only one to write there,
//! with a relaxed load and store. A reader sums the blocks: O(engines).

use core::hash::Hasher;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::proxy::spec::{ProxyId, ServerId};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gauge {
    /// Connections that a frontend serves.
    Frontend(ProxyId),
    /// Sessions that a backend serves or holds in its queues: `beconn` of the log.
    Backend(ProxyId),
    /// Connections that a frontend has accepted since the start.
    Accepted(ProxyId),
    /// Sessions that a backend has got since the start.
    Received(ProxyId),
    /// Sessions that have this server, from its choice to their end: what `leastconn` compares, and
    /// `srv_conn` of the log.
    Served(ServerId),
    /// Idle connections kept to this server.
    Idle(ServerId),
    /// Requests of a frontend that were malformed, broken off or late, since the start: `ereq`.
    RequestErrors(ProxyId),
    /// Answers to a backend that were malformed, broken off or late, since the start: `eresp`.
    ResponseErrors(ProxyId),
    /// The same of one server.
    ServerResponseErrors(ServerId),
}

const PER_PROXY: u32 = 6;
const PER_SERVER: u32 = 3;
const LINE: usize = 16;

/// A cache line of counters.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU32; LINE]);

/// The gauges of all engines.
#[derive(Debug)]
pub(super) struct Gauges {
    /// Where the servers' gauges start in a block.
    servers_at: u32,
    blocks: Vec<Box<[Line]>>,
}

impl Gauges {
    pub(super) fn new(proxies: u32, servers: u32, engines: u32) -> Self {
        let servers_at = proxies * PER_PROXY;
        let lines = ((servers_at + servers * PER_SERVER) as usize).div_ceil(LINE);
        let block = || (0..lines).map(|_| Line::default()).collect();
        Gauges { servers_at, blocks: (0..engines).map(|_| block()).collect() }
    }

    pub(super) fn add(&self, engine: u32, gauge: Gauge, n: i32) {
        let cell = self.cell(engine as usize, gauge);
        cell.store(cell.load(Relaxed).wrapping_add_signed(n), Relaxed);
    }

    pub(super) fn digest<H: Hasher>(&self, into: &mut H) {
        let cells = self.blocks.iter().flatten().flat_map(|line| &line.0);
        cells.for_each(|cell| into.write_u32(cell.load(Relaxed)));
    }

    /// One engine's part may be below zero if it ends what another began, and so may a sum that
    /// saw the end and not the beginning: that reads as 0.
    pub(super) fn sum(&self, gauge: Gauge) -> u32 {
        let parts = (0..self.blocks.len()).map(|engine| self.cell(engine, gauge).load(Relaxed));
        let sum = parts.fold(0, u32::wrapping_add);
        sum.cast_signed().max(0).cast_unsigned()
    }

    fn cell(&self, engine: usize, gauge: Gauge) -> &AtomicU32 {
        let proxy = |id: ProxyId, n| id * PER_PROXY + n;
        let server = |id: ServerId, n| self.servers_at + id * PER_SERVER + n;
        let index = match gauge {
            Gauge::Frontend(id) => proxy(id, 0),
            Gauge::Backend(id) => proxy(id, 1),
            Gauge::Accepted(id) => proxy(id, 2),
            Gauge::Received(id) => proxy(id, 3),
            Gauge::Served(id) => server(id, 0),
            Gauge::Idle(id) => server(id, 1),
            Gauge::RequestErrors(id) => proxy(id, 4),
            Gauge::ResponseErrors(id) => proxy(id, 5),
            Gauge::ServerResponseErrors(id) => server(id, 2),
        } as usize;
        &self.blocks[engine][index / LINE].0[index % LINE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gauge_is_its_own_cell_and_engines_add_up() {
        let gauges = Gauges::new(3, 7, 2);
        let proxies = (0..3).flat_map(|id| {
            [
                Gauge::Frontend(id),
                Gauge::Backend(id),
                Gauge::Accepted(id),
                Gauge::Received(id),
                Gauge::RequestErrors(id),
                Gauge::ResponseErrors(id),
            ]
        });
        let servers = (0..7)
            .flat_map(|id| [Gauge::Served(id), Gauge::Idle(id), Gauge::ServerResponseErrors(id)]);
        let all: Vec<Gauge> = proxies.chain(servers).collect();
        for (n, gauge) in all.iter().enumerate() {
            gauges.add(0, *gauge, n as i32 + 1);
            gauges.add(1, *gauge, 100);
        }
        for (n, gauge) in all.iter().enumerate() {
            assert_eq!(gauges.sum(*gauge), n as u32 + 101, "{gauge:?}");
        }
    }

    #[test]
    fn what_another_engine_ends_is_taken_back() {
        let gauges = Gauges::new(1, 0, 2);
        gauges.add(1, Gauge::Frontend(0), -1);
        assert_eq!(gauges.sum(Gauge::Frontend(0)), 0);
        gauges.add(0, Gauge::Frontend(0), 3);
        assert_eq!(gauges.sum(Gauge::Frontend(0)), 2);
    }
}
