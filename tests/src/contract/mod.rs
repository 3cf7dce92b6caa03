//! The `Poller` contract as tests that any backend can be held to: one body for the kernel's
//! loopback and for every simulated network. `tidegate_core::poller` numbers the rules; each test
//! names the ones that it is about. Nothing here knows a backend.
//!
//! The tests play the core's part by the core's rules: [`Bench`] uses readiness up exactly when the
//! core does, and waits for an announcement whenever it has none. A backend that forgets one hangs,
//! and a wait in which nothing can ever come fails the test.
//!
//! | rule | held by |
//! |---|---|
//! | P1 | `nothing_blocks`, `accept_counts_the_queue` |
//! | P2 | `every_change_to_ready_is_announced` |
//! | P3 | `an_end_behind_data_is_reached`, `a_reset_behind_data_is_reached`, |
//! | | `a_sender_without_room_learns_of_a_reset` |
//! | P4 | `pieces_that_wait_are_all_announced`, `a_transfer_by_the_rules_ends` |
//! | P5 | `a_stale_handle_does_nothing`, `no_handle_comes_twice` |
//! | P6 | `a_reset_is_final`, `an_end_is_final`, `a_refused_connection_fails_for_good` |
//! | P7 | `receiving_into_nothing_panics`, `sending_nothing_panics` |
//! | P8 | `splicing_by_the_rules_ends` |
//! | P9 | `the_order_of_events_means_nothing` |
//! | P10 | `accepted_is_ready_and_connecting_is_not` |
//! | P11 | `readiness_that_is_not_used_stays`, `a_queue_that_is_left_alone_stays`, |
//! | | `a_starved_listener_goes_on` |
//! | P12 | `a_short_read_at_a_mark_hides_data_and_loses_none` |
//! | P13 | `a_dropped_socket_does_not_end`, `a_dropped_socket_says_nothing` |

mod bench;
mod bytes;
mod handles;
mod readiness;

use std::future::Future;
use std::pin::Pin;

use tidegate_core::poller::{Address, Event, Poller, Sock};

pub use bench::Bench;
pub use bytes::*;
pub use handles::*;
pub use readiness::*;

/// Listeners that a harness opens.
pub const LISTENERS: u32 = 2;

/// A test under way. Of a backend that waits by blocking, or by moving a clock on, it is never
/// pending.
pub type Course = Pin<Box<dyn Future<Output = ()>>>;

/// What a test asks of its host.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The test's name.
    pub name: &'static str,
    /// The listeners are unix sockets.
    pub unix: bool,
}

/// Two engines on one host. Engine 0 has all listeners, and both ends of every connection.
pub trait Harness: Sized + 'static {
    /// The backend.
    type Net: Poller;

    /// What may be done now is done at once and whole. False of a backend that may always answer
    /// short or `Blocked` and announce again.
    const PROMPT: bool = true;
    /// Bytes of a long transfer: many times what the buffers hold.
    const BULK: usize = 1_000_000;

    /// Runs a test on a host of its own, or on several that differ, one after the other.
    fn run(setting: Setting, test: impl Fn(Bench<Self>) -> Course + 'static);
    /// The poller of an engine.
    fn engine(&mut self, engine: u32) -> &mut Self::Net;
    /// Where a listener is reached.
    fn address(&self, listener: u32) -> Address;
    /// Where nobody listens.
    fn nobody(&self) -> Address;
    /// Waits until an engine has events or is notified; none if neither will ever come.
    fn wait(&mut self, engine: u32) -> impl Future<Output = Option<Vec<Event>>>;
    /// What is announced by now, without waiting.
    fn glance(&mut self, engine: u32) -> Vec<Event>;
    /// Lets everything that is on its way arrive.
    fn settle(&mut self) -> impl Future<Output = ()>;
}

/// A harness that can run out of descriptors.
pub trait Scarce: Harness {
    /// From here on, so many more descriptors can be had until one is given back.
    fn starve(&mut self, left: usize);
}

/// A harness that can make an urgent mark.
pub trait Urgent: Harness {
    /// Sends `before`, an urgent mark and `after`, which are equally long, and lets them arrive.
    /// Returns the sender's handle, which may be another one.
    fn send_around_mark(
        &mut self,
        near: Sock,
        before: &[u8],
        after: &[u8],
    ) -> impl Future<Output = Sock>;
}

/// Drives a test that is never pending to its end.
///
/// # Panics
///
/// If it is pending: then the harness waits in a way that it does not promise.
pub fn drive(mut test: Course) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(test.as_mut().poll(&mut context).is_ready(), "nobody else would go on with it");
}

/// The tests of the contract for one harness: a module's name, whether the listeners are unix
/// sockets, and the groups: `common`, and what not every backend can be made to do.
#[macro_export]
macro_rules! contract_tests {
    ($module:ident: $harness:ident, unix: $unix:expr, $($group:ident)*) => {
        mod $module {
            $($crate::contract_tests!(@ $group $harness, $unix);)*
        }
    };
    (@ common $harness:ident, $unix:expr) => {
        $crate::contract_tests!(@each $harness, $unix,
            accepted_is_ready_and_connecting_is_not
            nothing_blocks
            accept_counts_the_queue
            every_change_to_ready_is_announced
            an_end_behind_data_is_reached
            a_reset_behind_data_is_reached
            a_sender_without_room_learns_of_a_reset
            pieces_that_wait_are_all_announced
            a_transfer_by_the_rules_ends
            a_stale_handle_does_nothing
            no_handle_comes_twice
            a_reset_is_final
            an_end_is_final
            a_refused_connection_fails_for_good
            a_dropped_socket_does_not_end
            receiving_into_nothing_panics
            sending_nothing_panics
            splicing_by_the_rules_ends
            the_order_of_events_means_nothing
            readiness_that_is_not_used_stays
            a_queue_that_is_left_alone_stays
            slices_arrive_in_order
            a_close_delivers_what_was_sent
            addresses_agree
            a_socket_moves_to_another_engine
            a_notified_engine_wakes
        );
    };
    // An end is announced although data is in front of it.
    (@ hangups $harness:ident, $unix:expr) => {
        $crate::contract_tests!(@each $harness, $unix, an_end_is_announced_before_it_is_reached);
    };
    (@ scarcity $harness:ident, $unix:expr) => {
        $crate::contract_tests!(@each $harness, $unix, a_starved_listener_goes_on);
    };
    // A socket can be closed without a word.
    (@ silence $harness:ident, $unix:expr) => {
        $crate::contract_tests!(@each $harness, $unix, a_dropped_socket_says_nothing);
    };
    (@ marks $harness:ident, $unix:expr) => {
        $crate::contract_tests!(
            @each $harness, $unix, a_short_read_at_a_mark_hides_data_and_loses_none
        );
    };
    (@each $harness:ident, $unix:expr, $($test:ident)*) => {
        $(#[test]
        fn $test() {
            use $crate::contract::{Harness, Setting};
            let setting = Setting { name: stringify!($test), unix: $unix };
            <super::$harness as Harness>::run(setting, |bench| {
                Box::pin($crate::contract::$test(bench))
            });
        })*
    };
}
