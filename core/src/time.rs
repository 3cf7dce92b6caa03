//! Time as a value: it is an argument everywhere, never read.
//!
//! `Instant` counts nanoseconds since the engine started, `Wall` nanoseconds since the Unix epoch
//! (for logs and dates only), `Duration` a length of time, `Deadline` an instant or never. They are
//! plain numbers, so that they can be hashed, recorded and rebuilt. This module has no clock.

use core::ops::{Add, Sub};

/// A length of time in nanoseconds; at most 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);

    /// A duration of `ns` nanoseconds.
    pub const fn from_nanos(ns: u64) -> Self {
        Duration(ns)
    }

    /// A duration of `us` microseconds, saturating.
    pub const fn from_micros(us: u64) -> Self {
        Duration(us.saturating_mul(1_000))
    }

    /// A duration of `ms` milliseconds, saturating.
    pub const fn from_millis(ms: u64) -> Self {
        Duration(ms.saturating_mul(1_000_000))
    }

    /// A duration of `s` seconds, saturating.
    pub const fn from_secs(s: u64) -> Self {
        Duration(s.saturating_mul(1_000_000_000))
    }

    /// Whole nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The shorter of two durations.
    pub fn min(self, other: Duration) -> Duration {
        Duration(self.0.min(other.0))
    }
}

/// A moment on the engine's own clock: nanoseconds since it started; never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// The moment at which the engine started.
    pub const START: Instant = Instant(0);

    /// The moment `ns` nanoseconds after the start.
    pub const fn from_nanos(ns: u64) -> Self {
        Instant(ns)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds since the start, rounded down: the tick of the timer wheel.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Time since `earlier`, or zero if `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, length: Duration) -> Instant {
        Instant(self.0.saturating_add(length.0))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

/// Wall-clock time in nanoseconds since the Unix epoch (UTC). For logs and dates: no decision
/// depends on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Wall(u64);

impl Wall {
    /// The moment `ns` nanoseconds after the epoch.
    pub const fn from_nanos(ns: u64) -> Self {
        Wall(ns)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// The millisecond within the second, 0 to 999.
    pub const fn subsec_millis(self) -> u32 {
        ((self.0 / 1_000_000) % 1_000) as u32
    }

    /// The microsecond within the second, 0 to 999,999.
    pub const fn subsec_micros(self) -> u32 {
        ((self.0 / 1_000) % 1_000_000) as u32
    }
}

/// The two clocks as the host read them once, right after its wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// The engine's own clock.
    pub mono: Instant,
    /// The wall clock.
    pub wall: Wall,
}

/// An instant, or never. Never is later than every instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Deadline(u64);

impl Deadline {
    /// Does not come.
    pub const NEVER: Deadline = Deadline(u64::MAX);

    /// Comes at `at`.
    pub const fn at(at: Instant) -> Self {
        Deadline(at.0)
    }

    /// Comes `timeout` after `from`; never, without a timeout.
    pub fn after(from: Instant, timeout: Option<Duration>) -> Self {
        timeout.map_or(Deadline::NEVER, |t| Deadline((from + t).0))
    }

    /// Whether it has come at `now`. It never comes early.
    pub const fn is_due(self, now: Instant) -> bool {
        self.0 <= now.0
    }

    /// Whether it will ever come.
    pub const fn is_set(self) -> bool {
        self.0 != u64::MAX
    }

    /// Its instant, if it comes.
    pub fn instant(self) -> Option<Instant> {
        self.is_set().then_some(Instant(self.0))
    }

    /// The earlier of the two.
    pub fn min(self, other: Deadline) -> Deadline {
        Deadline(self.0.min(other.0))
    }
}

impl Default for Deadline {
    fn default() -> Self {
        Deadline::NEVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early() {
        let d = Deadline::after(Instant::from_nanos(5), Some(Duration::from_nanos(10)));
        assert!(!d.is_due(Instant::from_nanos(14)));
        assert!(d.is_due(Instant::from_nanos(15)));
        assert!(!Deadline::NEVER.is_due(Instant::from_nanos(u64::MAX - 1)));
        assert_eq!(d.min(Deadline::NEVER), d);
    }

    #[test]
    fn lengths_saturate() {
        assert_eq!(Duration::from_secs(u64::MAX).as_nanos(), u64::MAX);
        assert_eq!(Instant::START.since(Instant::from_nanos(7)), Duration::ZERO);
    }
}
