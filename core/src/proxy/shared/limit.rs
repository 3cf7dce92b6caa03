//! One connection limit: exact across engines, one compare-and-swap below the limit.
//!
//! No wake-up is lost: a refused engine registers and then tries once more; a release counts down
//! and then looks who registered. Both are sequentially consistent, so at least one of the two
//! sees the other. Registrations are never withdrawn: a superfluous `Resume` is harmless, a
//! withdrawn one could have been another listener's of the same engine.

use core::hash::Hasher;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use crate::invariant;
use crate::proxy::shared::mail::Wake;

/// A limit on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Limit {
    /// What is held in the low half, the limit in the high half (0: none).
    state: AtomicU64,
    /// Engines that were refused and want to know of the next release.
    waiting: AtomicU64,
    /// Engines that have a `Resume` in their mailbox: one is enough.
    told: AtomicU64,
    /// The most that was ever held beyond a limit that was lowered. For the audit.
    ceiling: AtomicU32,
}

const fn held(state: u64) -> u32 {
    state as u32
}

const fn limit(state: u64) -> u32 {
    (state >> 32) as u32
}

fn has_room(state: u64) -> bool {
    let one_more = if planted!(MaxconnOffByOne) { 1 } else { 0 };
    limit(state) == 0 || held(state) < limit(state) + one_more
}

impl Limit {
    pub(super) fn new(max: u32) -> Self {
        Limit {
            state: AtomicU64::new(u64::from(max) << 32),
            waiting: AtomicU64::new(0),
            told: AtomicU64::new(0),
            ceiling: AtomicU32::new(0),
        }
    }

    pub(super) fn acquire(&self, engine: u32) -> bool {
        self.take() || self.register(engine)
    }

    pub(super) fn digest<H: Hasher>(&self, into: &mut H) {
        let all = [&self.state, &self.waiting, &self.told];
        all.into_iter().for_each(|word| into.write_u64(word.load(SeqCst)));
    }

    /// Returns who is to be told.
    pub(super) fn release(&self) -> Wake {
        let before = self.state.fetch_sub(1, SeqCst);
        invariant!(held(before) > 0, "a connection was released twice");
        self.waiting_for(before - 1)
    }

    /// Returns who is to be told.
    pub(super) fn set(&self, max: u32) -> Wake {
        let with = |state| (u64::from(max) << 32) | u64::from(held(state));
        let before = self.state.fetch_update(SeqCst, SeqCst, |state| Some(with(state)));
        let after = with(before.unwrap_or_else(|state| state));
        if !has_room(after) {
            self.ceiling.fetch_max(held(after), Relaxed);
        }
        self.waiting_for(after)
    }

    /// Notes that the engine is being told. False if it has such a message already, which it will
    /// act on after this release.
    pub(super) fn tell(&self, engine: u32) -> bool {
        self.told.fetch_or(1 << engine, SeqCst) & 1 << engine == 0
    }

    /// The engine took the message out, and has not acted on it yet.
    pub(super) fn told(&self, engine: u32) {
        self.told.fetch_and(!(1 << engine), SeqCst);
    }

    pub(super) fn used(&self) -> u32 {
        held(self.state.load(Relaxed))
    }

    pub(super) fn max(&self) -> u32 {
        limit(self.state.load(Relaxed))
    }

    pub(super) fn audit(&self) {
        let state = self.state.load(SeqCst);
        let most = limit(state).max(self.ceiling.load(Relaxed));
        invariant!(limit(state) == 0 || held(state) <= most, "{} of {most}", held(state));
    }

    fn take(&self) -> bool {
        let one_more = |state| {
            invariant!(held(state) < u32::MAX);
            has_room(state).then_some(state + 1)
        };
        self.state.fetch_update(SeqCst, SeqCst, one_more).is_ok()
    }

    /// After a refusal. Whoever released since found nobody registered: so try once more.
    fn register(&self, engine: u32) -> bool {
        self.waiting.fetch_or(1 << engine, SeqCst);
        self.take()
    }

    fn waiting_for(&self, state: u64) -> Wake {
        // Above a lowered limit nobody can go on: whoever releases the last one too many tells.
        if !has_room(state) || self.waiting.load(SeqCst) == 0 {
            return Wake::NONE;
        }
        Wake::from_bits(self.waiting.swap(0, SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_exact_and_the_refused_are_told_once() {
        let limit = Limit::new(2);
        assert!(limit.acquire(0) && limit.acquire(1));
        assert!(!limit.acquire(1) && !limit.acquire(1) && !limit.acquire(5));
        assert_eq!((limit.used(), limit.max()), (2, 2));
        assert_eq!(limit.release().collect::<Vec<_>>(), [1, 5]);
        assert!(limit.release().is_empty());
        assert!(limit.acquire(0) && limit.acquire(0) && !limit.acquire(0));
    }

    #[test]
    fn a_release_between_refusal_and_registration_is_not_missed() {
        let limit = Limit::new(1);
        assert!(limit.acquire(0));
        assert!(!limit.take());
        assert!(limit.release().is_empty());
        assert!(limit.register(1));
        assert_eq!(limit.used(), 1);
    }

    #[test]
    fn one_resume_at_a_time() {
        let limit = Limit::new(1);
        assert!(limit.tell(3) && !limit.tell(3) && limit.tell(4));
        limit.told(3);
        assert!(limit.tell(3) && !limit.tell(4));
    }

    #[test]
    fn a_lowered_limit_drains_and_tells_only_below() {
        let limit = Limit::new(3);
        assert!((0..3).all(|_| limit.acquire(0)));
        assert!(!limit.acquire(7));
        assert!(limit.set(1).is_empty());
        limit.audit();
        assert!(limit.release().is_empty() && limit.release().is_empty());
        assert!(!limit.acquire(0));
        assert_eq!(limit.release().collect::<Vec<_>>(), [0, 7]);
        assert_eq!(limit.used(), 0);
    }

    #[test]
    fn a_raised_or_removed_limit_tells_at_once() {
        for max in [2, 0] {
            let limit = Limit::new(1);
            assert!(limit.acquire(0) && !limit.acquire(0));
            assert!(!limit.set(max).is_empty());
            assert!(limit.acquire(0));
            limit.audit();
        }
    }

    #[test]
    #[should_panic(expected = "released twice")]
    fn releasing_what_is_not_held_is_a_bug() {
        let _ = Limit::new(1).release();
    }
}
