//! Bugs of the kind that proxies have had, put in on purpose so that the simulator can show that it
//! finds them. Compiled only under `--cfg tidegate_planted`, one of them chosen while the program
//! runs; without it, `planted!` is `false` and nothing of this exists. The daemon
//! refuses to be built with it.

/// Whether this bug was chosen. `false`, and nothing else, in every real build.
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(tidegate_planted)]
        let chosen = $crate::planted::is($crate::planted::Bug::$bug);
        #[cfg(not(tidegate_planted))]
        let chosen = false;
        chosen
    }};
}

#[cfg(tidegate_planted)]
mod chosen {
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    macro_rules! bugs {
        ($($(#[doc = $doc:literal])* $bug:ident,)*) => {
            /// The bugs.
            #[derive(Clone, Copy, PartialEq, Eq, Debug)]
            #[repr(u32)]
            pub enum Bug { $($(#[doc = $doc])* $bug,)* }

            /// Every bug and what it does.
            pub const BUGS: &[(Bug, &str)] = &[$((Bug::$bug, concat!($($doc),*)),)*];
        };
    }

    bugs! {
        /// A session that a queue gave a server is not woken.
        LostWakeup,
        /// A short read uses readiness up although the end was announced.
        MissedEof,
        /// A server connection that is closed stays in the table of sockets.
        StaleOwner,
        /// A server connection is closed twice.
        DoubleClose,
        /// A chunk whose data comes in two pieces is counted one byte longer.
        ChunkOffByOne,
        /// What was pipelined behind a request is dropped with its buffer.
        PipelinedLost,
        /// The bytes that a buffer held last are sent again in front of the next.
        BodyOfAnother,
        /// The slot of a server is not given back by who was cut off.
        SlotLeaked,
        /// A request is sent again although its body has left.
        RetryAnswered,
        /// A timer that fires early is not linked again.
        TimerLost,
        /// The end of one direction ends the other.
        HalfCloseAsClose,
        /// The backend's count of sessions is not taken back after a redispatch.
        CounterKept,
        /// An exchange that was tried again is logged twice.
        LogTwice,
        /// An exchange that was tried again is not logged.
        LogMissing,
        /// Which task runs first depends on where it lies in memory.
        OrderOfAddresses,
        /// The end is passed on before the last bytes.
        EarlyFin,
        /// One byte more than the body is passed on.
        ForwardTooFar,
        /// The end that was to follow what a full socket did not take is forgotten.
        ShutForgotten,
        /// A connection goes to the pool with bytes of its last answer unread.
        PooledUnread,
        /// A connection is used again although the server said that it closes.
        ReusedAfterClose,
        /// An interim answer is taken for the final one.
        InterimFinal,
        /// The answer to HEAD is waited for as if it had a body.
        HeadWithBody,
        /// One connection more than `maxconn`.
        MaxconnOffByOne,
        /// A slot that is granted too late is not given on.
        GrantLost,
        /// What is in a pipe when a direction ends is lost.
        PipeLost,
        /// The last byte that a full socket took is sent again.
        ByteRepeated,
        /// What is left of a body is counted down twice where it is cut.
        LengthTwice,
        /// A soft stop forgets the clients that idle.
        StopForgetsIdle,
        /// A listener that waits for room is never told of it.
        PausedForever,
        /// The server's silence is never noticed.
        NoServerTimeout,
        /// An idle connection that ended is kept, and used.
        DeadReused,
    }

    static CHOSEN: AtomicU32 = AtomicU32::new(u32::MAX);

    /// Chooses a bug for the whole process, or none.
    pub fn choose(bug: Option<Bug>) {
        CHOSEN.store(bug.map_or(u32::MAX, |bug| bug as u32), Relaxed);
    }

    /// Whether it is the one that was chosen.
    pub fn is(bug: Bug) -> bool {
        CHOSEN.load(Relaxed) == bug as u32
    }
}

#[cfg(tidegate_planted)]
pub use chosen::{BUGS, Bug, choose, is};
