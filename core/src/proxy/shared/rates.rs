//! Rates per second as HAProxy estimates them: what came in this second, and of what came in the
//! second before it the part that still lies within a second from now. Approximate by design, like
//! the gauges: each engine has counters of its own and is the only one to write there.
//!
//! ```text
//!            before              current
//!   ├───────────────────────┼───────────────┤ now
//!          └─ counted: before · rest ┘ + current
//! ```
//!
//! A second begins with an event, not with the clock. What is not asked for is not counted.

use core::hash::Hasher;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::proxy::spec::{ProxyId, ServerId};
use crate::time::Instant;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rate {
    /// Clients of a frontend: `fe_sess_rate`.
    Sessions(ProxyId),
    /// Requests of a frontend: `fe_req_rate`.
    Requests(ProxyId),
    /// Sessions that a backend has got: `be_sess_rate`.
    Received(ProxyId),
    /// Sessions that went to a server: `srv_sess_rate`.
    Served(ServerId),
}

const PER_PROXY: u32 = 3;
const SECOND: u32 = 1000;

/// The counter of one engine. Times are milliseconds, and wrap.
#[derive(Debug, Default)]
struct Counter {
    /// When the current second began.
    began: AtomicU32,
    current: AtomicU32,
    before: AtomicU32,
}

/// The counters of all engines; none if nobody asks.
#[derive(Debug)]
pub(super) struct Rates {
    /// Where the servers' counters start in a block.
    servers_at: u32,
    blocks: Vec<Box<[Counter]>>,
}

impl Rates {
    pub(super) fn new(wanted: bool, proxies: u32, servers: u32, engines: u32) -> Self {
        let servers_at = proxies * PER_PROXY;
        let block = || (0..servers_at + servers).map(|_| Counter::default()).collect();
        let engines = if wanted { engines } else { 0 };
        Rates { servers_at, blocks: (0..engines).map(|_| block()).collect() }
    }

    /// Counts one. Only `engine` itself calls it.
    pub(super) fn count(&self, engine: u32, rate: Rate, now: Instant) {
        let Some(block) = self.blocks.get(engine as usize) else { return };
        block[self.index(rate)].count(millis(now));
    }

    /// How many there were in the last second. May be off by what is being counted at this moment.
    pub(super) fn per_second(&self, rate: Rate, now: Instant) -> u32 {
        let (index, now) = (self.index(rate), millis(now));
        let parts = self.blocks.iter().map(|block| block[index].at(now));
        let all = parts.fold(Part::default(), Part::and);
        all.per_second()
    }

    pub(super) fn digest<H: Hasher>(&self, into: &mut H) {
        for counter in self.blocks.iter().flatten() {
            for cell in [&counter.began, &counter.current, &counter.before] {
                into.write_u32(cell.load(Relaxed));
            }
        }
    }

    fn index(&self, rate: Rate) -> usize {
        let index = match rate {
            Rate::Sessions(id) => id * PER_PROXY,
            Rate::Requests(id) => id * PER_PROXY + 1,
            Rate::Received(id) => id * PER_PROXY + 2,
            Rate::Served(id) => self.servers_at + id,
        };
        index as usize
    }
}

/// What one counter says at a moment.
#[derive(Clone, Copy, Default)]
struct Part {
    current: u64,
    before: u64,
    /// `before`, each weighed by the milliseconds of the second before that still count.
    weighed: u64,
}

impl Part {
    fn and(self, other: Part) -> Part {
        Part {
            current: self.current + other.current,
            before: self.before + other.before,
            weighed: self.weighed + other.weighed,
        }
    }

    fn per_second(self) -> u32 {
        // One event in a second before would be 0 at once: so it stays 1 for a while.
        if self.current == 0 && self.before <= 1 {
            return self.before as u32;
        }
        let total = self.current * u64::from(SECOND) + self.weighed;
        (total / u64::from(SECOND)).try_into().unwrap_or(u32::MAX)
    }
}

impl Counter {
    fn count(&self, now: u32) {
        let began = self.began.load(Relaxed);
        let current = self.current.load(Relaxed);
        let passed = now.wrapping_sub(began);
        if passed < SECOND {
            self.current.store(current.saturating_add(1), Relaxed);
            return;
        }
        let next = passed < 2 * SECOND;
        self.before.store(if next { current } else { 0 }, Relaxed);
        self.current.store(1, Relaxed);
        self.began.store(if next { began.wrapping_add(SECOND) } else { now }, Relaxed);
    }

    fn at(&self, now: u32) -> Part {
        let current = self.current.load(Relaxed);
        let before = self.before.load(Relaxed);
        // Another engine's clock may be a little ahead of ours.
        let passed = now.wrapping_sub(self.began.load(Relaxed)).cast_signed().max(0) as u32;
        let (current, before, passed) = match passed {
            0..SECOND => (current, before, passed),
            passed if passed - SECOND < SECOND => (0, current, passed - SECOND),
            _ => (0, 0, 0),
        };
        let weighed = u64::from(before) * u64::from(SECOND - passed);
        Part { current: current.into(), before: before.into(), weighed }
    }
}

fn millis(now: Instant) -> u32 {
    (now.as_nanos() / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::Requests(1);

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn count(rates: &Rates, engine: u32, times: impl IntoIterator<Item = u64>) {
        times.into_iter().for_each(|time| rates.count(engine, RATE, at(time)));
    }

    #[test]
    fn the_part_of_the_second_before_falls_with_time() {
        let rates = Rates::new(true, 2, 0, 1);
        count(&rates, 0, [5000; 100]);
        for (time, expected) in
            [(5000, 100), (5999, 100), (6000, 100), (6250, 75), (6999, 0), (7000, 0), (99_000, 0)]
        {
            assert_eq!(rates.per_second(RATE, at(time)), expected, "at {time}");
        }
        count(&rates, 0, [6500; 10]);
        for (time, expected) in [(6500, 60), (6750, 35), (7000, 10), (7500, 5), (8000, 0)] {
            assert_eq!(rates.per_second(RATE, at(time)), expected, "at {time}");
        }
    }

    #[test]
    fn what_is_long_ago_begins_a_new_second() {
        let rates = Rates::new(true, 2, 0, 1);
        count(&rates, 0, [5000, 5000, 7000]);
        assert_eq!(rates.per_second(RATE, at(7000)), 1);
        // A steady one a second stays one.
        count(&rates, 0, (8..20).map(|second| second * 1000));
        assert_eq!(rates.per_second(RATE, at(19_900)), 1);
        assert_eq!(rates.per_second(RATE, at(20_900)), 1);
        assert_eq!(rates.per_second(RATE, at(21_000)), 0);
    }

    #[test]
    fn engines_add_up_and_each_rate_is_its_own() {
        let rates = Rates::new(true, 2, 2, 2);
        count(&rates, 0, [5000, 5100]);
        count(&rates, 1, [5300, 5301, 5302]);
        assert_eq!(rates.per_second(RATE, at(5302)), 5);
        for other in [Rate::Sessions(1), Rate::Received(1), Rate::Requests(0), Rate::Served(1)] {
            assert_eq!(rates.per_second(other, at(5302)), 0, "{other:?}");
        }
        rates.count(0, Rate::Served(1), at(5400));
        assert_eq!(rates.per_second(Rate::Served(1), at(5400)), 1);
        assert_eq!(rates.per_second(Rate::Served(0), at(5400)), 0);
    }

    #[test]
    fn nothing_is_counted_that_nobody_wants() {
        let rates = Rates::new(false, 2, 2, 2);
        count(&rates, 1, [5000]);
        assert_eq!(rates.per_second(RATE, at(5000)), 0);
    }

    #[test]
    fn the_clock_wraps() {
        let rates = Rates::new(true, 2, 0, 1);
        let end = u64::from(u32::MAX);
        count(&rates, 0, [end - 10, end - 5, end + 5, end + 6]);
        assert_eq!(rates.per_second(RATE, at(end + 900)), 4);
        assert_eq!(rates.per_second(RATE, at(end + 1490)), 2);
    }
}
