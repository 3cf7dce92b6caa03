//! Numbers that are given out one after the other: each once, whichever engine asks.

use core::hash::Hasher;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::proxy::spec::ProxyId;

/// What is numbered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serial {
    /// Requests of HTTP and sessions of TCP (`%rt`).
    Requests,
    /// Lines that a frontend's format wrote (`%lc`).
    Lines(ProxyId),
}

/// The next number of each, from 0 up. After the last of 32 bits they begin anew.
#[derive(Debug)]
pub(super) struct Serials(Box<[AtomicU32]>);

impl Serials {
    pub(super) fn new(proxies: u32) -> Self {
        Serials((0..=proxies).map(|_| AtomicU32::new(0)).collect())
    }

    /// The next number, which nobody else gets.
    pub(super) fn take(&self, serial: Serial) -> u32 {
        self.of(serial).fetch_add(1, Relaxed)
    }

    /// The number that is next.
    pub(super) fn next(&self, serial: Serial) -> u32 {
        self.of(serial).load(Relaxed)
    }

    fn of(&self, serial: Serial) -> &AtomicU32 {
        match serial {
            Serial::Requests => &self.0[0],
            Serial::Lines(proxy) => &self.0[1 + proxy as usize],
        }
    }

    pub(super) fn digest<H: Hasher>(&self, into: &mut H) {
        self.0.iter().for_each(|next| into.write_u32(next.load(Relaxed)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_numbered_by_itself() {
        let serials = Serials::new(2);
        let [requests, first, second] = [Serial::Requests, Serial::Lines(0), Serial::Lines(1)];
        assert_eq!([0, 1].map(|_| serials.take(requests)), [0, 1]);
        assert_eq!([0, 1, 2].map(|_| serials.take(second)), [0, 1, 2]);
        assert_eq!([requests, first, second].map(|it| serials.next(it)), [2, 0, 3]);
        serials.of(first).store(u32::MAX, Relaxed);
        assert_eq!([0, 1].map(|_| serials.take(first)), [u32::MAX, 0]);
    }
}
