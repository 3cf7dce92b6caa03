//! Checks of ourselves: `invariant!` for what must always hold, `sometimes!` for what must happen
//! in some run. Neither is about a peer's bytes: those end in a typed outcome, never in a panic.

use core::sync::atomic::{AtomicU32, Ordering};

/// Asserts what must hold whatever the peers do. On in every build: the checks are O(1).
#[macro_export]
macro_rules! invariant {
    ($($arg:tt)*) => { assert!($($arg)*) };
}

/// Marks a rare situation as reached. Compiled to nothing without debug assertions.
#[macro_export]
macro_rules! sometimes {
    ($mark:ident) => {
        $crate::sometimes!($mark, true)
    };
    ($mark:ident, $cond:expr) => {
        if cfg!(debug_assertions) && $cond {
            $crate::check::reach($crate::check::Mark::$mark);
        }
    };
}

macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident,)*) => {
        /// The rare situations worth reaching. A sweep of simulations must reach each.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Mark { $($(#[$doc])* $mark,)* }

        /// Every mark, in order.
        pub const MARKS: &[Mark] = &[$(Mark::$mark,)*];
    };
}

marks! {
    /// `send` took less than was offered.
    ShortWrite,
    /// A peer ended while bytes that it sent were still unread.
    EofWithUnreadData,
    /// An event came for a socket that is closed.
    StaleEvent,
    /// A request waited for a free slot of a server.
    QueueWait,
    /// A queued request ran into `timeout queue`.
    QueueTimeout,
    /// A queued request's client went away.
    QueueAbort,
    /// A granted slot found its session gone.
    GrantTooLate,
    /// A connection to a server was refused and tried again.
    ConnectRetry,
    /// A server that was being connected to reset.
    ResetWhileConnecting,
    /// A retry went to another server.
    Redispatch,
    /// A reused connection died under its request, and the request was sent again.
    ReuseRetry,
    /// A request was sent again of which only a part had left.
    HalfSentRetry,
    /// A client gave up in the middle of its request's body.
    BodyAborted,
    /// An answer that had begun was cut short.
    AnswerTruncated,
    /// An interim answer was passed on.
    InterimPassed,
    /// An idle connection ended before anyone used it.
    IdleServerClosed,
    /// Accepting stopped for want of descriptors.
    NoDescriptors,
    /// Accepting stopped because a limit was reached.
    ListenerPaused,
    /// A client's next request was already there when the answer to its last one left.
    Pipelined,
    /// The server answered before the request's body had left.
    EarlyAnswer,
    /// A head came in more than one piece.
    PartialHead,
    /// A client's PROXY header came in more than one piece.
    ProxyHeaderCut,
    /// A server took only a part of a PROXY header at once.
    ProxyHeaderHalfSent,
    /// The buffer had to move its bytes to make room for a head.
    HeadMoved,
    /// A direction switched to splicing.
    Spliced,
    /// We closed first and waited for the client to end.
    Lingered,
    /// A log line was dropped because the arena was full.
    LogDropped,
    /// A timer was found early because its task had moved its deadline back.
    TimerRequeued,
}

static REACHED: [AtomicU32; MARKS.len()] = [const { AtomicU32::new(0) }; MARKS.len()];

/// Counts one more time that `mark` was reached.
pub fn reach(mark: Mark) {
    REACHED[mark as usize].fetch_add(1, Ordering::Relaxed);
}

/// How often `mark` was reached in this process.
pub fn reached(mark: Mark) -> u32 {
    REACHED[mark as usize].load(Ordering::Relaxed)
}
