//! What the pollers of one process share: how to wake each other, and the sockets on their way from
//! one engine to another.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use tidegate_core::poller::Parcel;

use super::slots::Kind;

/// The meeting point of all engines of a process.
#[derive(Debug)]
pub struct Hub {
    wakers: Vec<mio::Waker>,
    parcels: Mutex<Parcels>,
}

#[derive(Debug, Default)]
struct Parcels {
    next: u64,
    waiting: BTreeMap<u64, (OwnedFd, Kind)>,
}

impl Hub {
    /// A hub for the engines with these wakers, in order.
    pub fn new(wakers: Vec<mio::Waker>) -> Self {
        Hub { wakers, parcels: Mutex::default() }
    }

    /// Engines that meet here.
    pub fn engines(&self) -> u32 {
        self.wakers.len() as u32
    }

    /// Wakes an engine's host from its wait. Waking an engine that has ended does nothing.
    pub fn wake(&self, engine: u32) {
        if let Some(waker) = self.wakers.get(engine as usize) {
            // The only failure is a counter that is full, which means that the engine is woken.
            let _ = waker.wake();
        }
    }

    /// Leaves a socket for another engine to fetch.
    pub fn leave(&self, fd: OwnedFd, kind: Kind) -> Parcel {
        let mut parcels = self.parcels();
        let key = parcels.next;
        parcels.next += 1;
        parcels.waiting.insert(key, (fd, kind));
        Parcel(key)
    }

    /// Fetches a socket that was left. None if somebody did already.
    pub fn fetch(&self, parcel: Parcel) -> Option<(OwnedFd, Kind)> {
        self.parcels().waiting.remove(&parcel.0)
    }

    fn parcels(&self) -> std::sync::MutexGuard<'_, Parcels> {
        // A panic cannot leave the map half changed; and in release it ends the process.
        self.parcels.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
