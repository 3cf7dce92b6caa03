//! A thin epoll, the only multiplexer of the generator, the origin and the relay. Edge-triggered,
//! one registration a descriptor for life.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

pub use rustix::event::epoll::EventFlags;

/// Both directions of a stream, edge-triggered.
pub const STREAM: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);
/// The other side has finished or failed: read until the end is seen.
pub const ENDED: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);
/// Something to read, or an end.
pub const READABLE: EventFlags = EventFlags::IN.union(ENDED);

pub struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    /// Harvests at most `events_max` events a wait.
    pub fn new(events_max: usize) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(events_max) })
    }

    /// Registers `fd`; closing it is the only way out.
    pub fn add(&self, fd: impl AsFd, token: usize, interest: EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token as u64);
        Ok(epoll::add(&self.epoll, fd, data, interest)?)
    }

    /// Waits for events; says how many there are (0: the time is over, or a signal came).
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.events.clear();
        let timeout = timeout
            .map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: i64::from(t.subsec_nanos()) });
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(n) => Ok(n),
            Err(rustix::io::Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// The token and flags of event `i` of the last wait.
    pub fn event(&self, i: usize) -> (usize, EventFlags) {
        let event = self.events[i];
        (event.data.u64() as usize, event.flags)
    }
}
