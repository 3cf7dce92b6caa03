//! The gate of a backend: the slots of its servers (`maxconn`) and the queues before them. Exact
//! across engines; first come, first served, unless rules give a session a [`Rank`]. It does not
//! choose servers: that is balancing's.
//!
//! ```text
//!            slot: Granted ───────────────────────► held ──► free ─┐
//!  session ─ slot: Unlimited (never counted or freed)  ▲            │
//!            slot: Full ─► enqueue ─► Granted ─────────┤            ▼
//!                                  ├► Waiting ─────────┴─ Granted (message) to the first waiter
//!                                  │     ├► cancel        of the server's and the backend's queue
//!                                  │     └► Requeue (message)
//!                                  └► Full (maxqueue)
//! ```
//!
//! A freed slot goes from hand to hand under the lock and is never free in between, so nobody who
//! comes later overtakes: while someone waits whom a server may serve, that server has no slot.
//! The message is in the mailbox before the lock is dropped: who finds its ticket gone has mail.

use core::hash::{Hash, Hasher};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crate::invariant;
use crate::proxy::shared::lock;
use crate::proxy::shared::mail::{Mail, Message, Wake};
use crate::proxy::spec::{ProxyId, Server, ServerId};
use crate::time::Instant;

/// What became of asking for a slot.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// The server has no `maxconn`: nothing is counted, nothing is to be freed.
    Unlimited,
    /// The caller owns a slot and frees it.
    Granted,
    /// None is left: queue, or choose another server.
    Full,
}

/// Who waits. A session waits in one queue at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Waiter {
    /// Whose session it is.
    pub engine: u32,
    /// The session's place in its engine's table.
    pub session: u32,
    /// Tells it from later sessions at the same place.
    pub serial: u64,
    /// Whom it goes before.
    pub rank: Rank,
}

/// Who is served first: the lowest class, in it whoever came first; an offset counts as if the
/// session had come so much later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rank {
    /// `set-priority-class`, from 0: [`Rank::CLASS_USUAL`] is that of those who have none.
    pub class: u16,
    /// When it came, in milliseconds.
    pub came: u64,
    /// When it would have come with its offset (`set-priority-offset`), from
    /// [`Rank::OFFSET_USUAL`] milliseconds earlier on.
    pub offset: u32,
}

impl Rank {
    /// The class of those who have none, 0, in our counting; also the largest number of a class.
    pub const CLASS_USUAL: i32 = 2047;
    /// The offset of those who have none, 0, in our counting; also the largest offset.
    pub const OFFSET_USUAL: i32 = 524_287;

    /// The rank of a session that comes at that time, with the class and the offset that rules gave
    /// it.
    pub fn new((class, offset): (i32, i32), now: Instant) -> Rank {
        let from_zero = |n: i32, most: i32| (n.clamp(-most, most) + most).cast_unsigned();
        Rank {
            class: from_zero(class, Self::CLASS_USUAL) as u16,
            came: now.as_nanos() / 1_000_000,
            offset: from_zero(offset, Self::OFFSET_USUAL),
        }
    }
}

/// A place in a queue. Once it is answered by a message it is void, and cancelling it harmless.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ticket {
    backend: ProxyId,
    /// The server whose own queue it is in; none is the backend's queue.
    server: Option<ServerId>,
    arrival: u64,
}

impl Ticket {
    /// A ticket as it was given out in a run that is replayed. In any other it is of no use.
    pub const fn restored(backend: ProxyId, server: Option<ServerId>, arrival: u64) -> Ticket {
        Ticket { backend, server, arrival }
    }

    /// The backend that is waited for.
    pub fn backend(self) -> ProxyId {
        self.backend
    }

    /// The server that is waited for, if it must be this one.
    pub fn server(self) -> Option<ServerId> {
        self.server
    }

    /// Counts up with each ticket of the backend.
    pub fn arrival(self) -> u64 {
        self.arrival
    }
}

/// What became of queueing.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queued {
    /// In the queue. `Message::Granted` or `Message::Requeue` will come, unless it is cancelled.
    Waiting {
        /// To leave the queue with.
        ticket: Ticket,
        /// How many are ahead in this queue.
        ahead: u32,
    },
    /// There was a slot after all. The caller owns it and frees it, even if the server has no
    /// `maxconn`.
    Granted(ServerId),
    /// The server's own queue is as long as its `maxqueue` allows, which is this.
    Full(u32),
}

/// What became of leaving the queue.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cancel {
    /// Left it, owning nothing.
    Cancelled {
        /// The place that the session had in its queue, from 1: what the log shows.
        position: u32,
    },
    /// Too late: the message is in the engine's mailbox or was collected, and owns the slot.
    Late,
}

/// One backend's servers and queues.
#[derive(Debug)]
pub(super) struct Gate {
    /// The number of the backend's first server.
    first: ServerId,
    state: Mutex<State>,
    /// By server: what can be read without the lock.
    meters: Vec<Meter>,
    /// The length of the backend's queue.
    waiting: AtomicU32,
}

/// What others may read of a server, on a cache line of its own. Written under the lock.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Meter {
    max: AtomicU32,
    used: AtomicU32,
    waiting: AtomicU32,
}

#[derive(Debug)]
struct State {
    seats: Vec<Seats>,
    /// Those who take whichever server comes first.
    queue: Queue,
    /// Counts tickets, over all queues: their order of arrival.
    arrivals: u64,
    /// The latest time at which anybody came: the engines' clocks are not read at one moment, and
    /// who came later must not go before.
    clock: u64,
    /// Servers that take from `queue` and have a slot left.
    spare: u32,
}

/// The slots of one server.
#[derive(Debug, Hash)]
struct Seats {
    /// `maxconn`; 0 is none.
    max: u32,
    /// `maxqueue`; 0 is none.
    queue_max: u32,
    used: u32,
    /// What may be in use beyond a `max` that was lowered; falls with `used`.
    ceiling: u32,
    /// Whether it takes from the backend's queue.
    takes: bool,
    /// Those who want this server and no other.
    queue: Queue,
}

impl Seats {
    fn has_slot(&self) -> bool {
        self.max == 0 || self.used < self.max
    }

    fn is_spare(&self) -> bool {
        self.takes && self.has_slot()
    }
}

/// Waiters in the order in which they are served.
#[derive(Debug, Default, Hash)]
struct Queue {
    waiting: BTreeMap<Turn, Waiting>,
    /// Where each is, by arrival.
    turns: BTreeMap<u64, Turn>,
    /// Counts those who were served from this queue. Wraps.
    served: u32,
}

/// Whose turn it is: the lowest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Turn {
    class: u16,
    /// When it came, with its offset.
    time: u64,
    arrival: u64,
}

#[derive(Debug, Hash)]
struct Waiting {
    who: Waiter,
    /// `served` when it came.
    served: u32,
}

impl Queue {
    fn len(&self) -> u32 {
        self.waiting.len() as u32
    }

    fn first(&self) -> Option<Turn> {
        self.waiting.first_key_value().map(|(turn, _)| *turn)
    }

    /// How many go before that turn.
    fn ahead(&self, turn: Turn) -> u32 {
        match self.waiting.last_key_value() {
            Some((last, _)) if *last > turn => self.waiting.range(..turn).count() as u32,
            _ => self.len(),
        }
    }

    fn push(&mut self, turn: Turn, who: Waiter) {
        let before = self.waiting.insert(turn, Waiting { who, served: self.served });
        invariant!(before.is_none());
        self.turns.insert(turn.arrival, turn);
    }

    fn remove(&mut self, arrival: u64) -> Option<(Waiter, u32)> {
        let turn = self.turns.remove(&arrival)?;
        let waiting = self.waiting.remove(&turn)?;
        Some((waiting.who, self.position(&waiting)))
    }

    /// Removes the first because it is served.
    fn serve(&mut self) -> Option<(Waiter, u32)> {
        let (turn, waiting) = self.waiting.pop_first()?;
        self.turns.remove(&turn.arrival);
        let position = self.position(&waiting);
        self.served = self.served.wrapping_add(1);
        Some((waiting.who, position))
    }

    /// Empties it: the waiters with their positions, in their order.
    fn dissolve(&mut self) -> Vec<(Waiter, u32)> {
        self.turns.clear();
        let waiting = core::mem::take(&mut self.waiting);
        waiting.into_values().map(|one| (one.who, self.position(&one))).collect()
    }

    /// HAProxy's queue position: who was served since, and itself.
    fn position(&self, waiting: &Waiting) -> u32 {
        self.served.wrapping_sub(waiting.served).wrapping_add(1)
    }
}

impl Gate {
    /// The gate of the adjacent `servers`, of which `first` is the first's number; `takers` of
    /// them, counted from 0, take from the backend's queue.
    pub(super) fn new(first: ServerId, servers: &[Server], takers: &[usize]) -> Self {
        let seats: Vec<Seats> = servers
            .iter()
            .enumerate()
            .map(|(i, server)| Seats {
                max: server.maxconn,
                queue_max: server.maxqueue,
                used: 0,
                ceiling: 0,
                takes: takers.contains(&i),
                queue: Queue::default(),
            })
            .collect();
        let spare = seats.iter().filter(|seats| seats.is_spare()).count() as u32;
        let meters = seats
            .iter()
            .map(|seats| Meter { max: AtomicU32::new(seats.max), ..Meter::default() })
            .collect();
        let state = State { seats, queue: Queue::default(), arrivals: 0, clock: 0, spare };
        Gate { first, state: Mutex::new(state), meters, waiting: AtomicU32::new(0) }
    }

    pub(super) fn slot(&self, server: ServerId) -> Slot {
        let i = self.index(server);
        if self.meters[i].max.load(Relaxed) == 0 {
            return Slot::Unlimited;
        }
        let mut state = lock(&self.state);
        if !state.seats[i].has_slot() {
            return Slot::Full;
        }
        state.take(i);
        self.publish(&state, i);
        Slot::Granted
    }

    pub(super) fn enqueue(
        &self,
        backend: ProxyId,
        server: Option<ServerId>,
        who: Waiter,
    ) -> Queued {
        let mut state = lock(&self.state);
        let own = server.map(|server| self.index(server));
        // Since the caller looked, a slot may have become free: then nobody would free another.
        let free = match own {
            Some(i) => state.seats[i].has_slot().then_some(i),
            None if state.spare > 0 => state.seats.iter().position(Seats::is_spare),
            None => None,
        };
        if let Some(i) = free {
            state.take(i);
            self.publish(&state, i);
            return Queued::Granted(self.first + i as u32);
        }
        if let Some(seats) = own.map(|i| &state.seats[i])
            && seats.queue_max != 0
            && seats.queue.len() >= seats.queue_max
        {
            return Queued::Full(seats.queue_max);
        }
        let arrival = state.arrivals;
        state.arrivals += 1;
        state.clock = state.clock.max(who.rank.came);
        let time = state.clock + u64::from(who.rank.offset);
        let turn = Turn { class: who.rank.class, time, arrival };
        let queue = state.queue_of(own);
        let ahead = queue.ahead(turn);
        queue.push(turn, who);
        self.publish_queue(&state, own);
        Queued::Waiting { ticket: Ticket { backend, server, arrival }, ahead }
    }

    pub(super) fn cancel(&self, ticket: Ticket) -> Cancel {
        let mut state = lock(&self.state);
        let own = ticket.server.map(|server| self.index(server));
        let Some((_, position)) = state.queue_of(own).remove(ticket.arrival) else {
            return Cancel::Late;
        };
        self.publish_queue(&state, own);
        Cancel::Cancelled { position }
    }

    pub(super) fn free(&self, server: ServerId, mail: &Mail) -> Wake {
        let i = self.index(server);
        let mut state = lock(&self.state);
        state.alter(i, |seats| {
            invariant!(seats.used > 0, "a slot of server {server} was freed twice");
            seats.used -= 1;
            seats.ceiling = seats.ceiling.min(seats.used);
        });
        self.hand_out(&mut state, i, mail)
    }

    pub(super) fn set_slots(&self, server: ServerId, max: u32, mail: &Mail) -> Wake {
        let i = self.index(server);
        let mut state = lock(&self.state);
        state.alter(i, |seats| {
            seats.max = max;
            seats.ceiling = seats.used;
        });
        self.hand_out(&mut state, i, mail)
    }

    pub(super) fn set_takes(&self, server: ServerId, takes: bool, mail: &Mail) -> Wake {
        let i = self.index(server);
        let mut state = lock(&self.state);
        state.alter(i, |seats| seats.takes = takes);
        self.hand_out(&mut state, i, mail)
    }

    /// Dissolves the server's own queue, or the backend's.
    pub(super) fn requeue(&self, server: Option<ServerId>, mail: &Mail) -> (u32, Wake) {
        let mut state = lock(&self.state);
        let own = server.map(|server| self.index(server));
        let queue = state.queue_of(own);
        let (count, mut wake) = (queue.len(), Wake::NONE);
        for (Waiter { engine, session, serial, .. }, position) in queue.dissolve() {
            wake.add(mail.post(engine, Message::Requeue { session, serial, position }));
        }
        self.publish_queue(&state, own);
        (count, wake)
    }

    pub(super) fn full(&self, server: ServerId) -> bool {
        let meter = &self.meters[self.index(server)];
        let max = meter.max.load(Relaxed);
        max != 0 && (meter.used.load(Relaxed) >= max || meter.waiting.load(Relaxed) > 0)
    }

    pub(super) fn used(&self, server: ServerId) -> u32 {
        self.meters[self.index(server)].used.load(Relaxed)
    }

    pub(super) fn lengths(&self, server: Option<ServerId>) -> (u32, u32) {
        let own = |server| self.meters[self.index(server)].waiting.load(Relaxed);
        (server.map_or(0, own), self.waiting.load(Relaxed))
    }

    pub(super) fn digest<H: Hasher>(&self, into: &mut H) {
        let state = lock(&self.state);
        (&state.seats, &state.queue, state.arrivals, state.clock, state.spare).hash(into);
    }

    pub(super) fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        let idle = |seats: &Seats| seats.used == 0 && seats.queue.len() == 0;
        state.queue.len() == 0 && state.seats.iter().all(idle)
    }

    pub(super) fn audit(&self, engines: u32, mail: &Mail) {
        let state = lock(&self.state);
        let queues = || state.seats.iter().map(|seats| &seats.queue).chain([&state.queue]);
        let mut arrivals = BTreeSet::new();
        let mut waiters = BTreeSet::new();
        invariant!(queues().all(|queue| queue.turns.len() == queue.waiting.len()));
        for (turn, Waiting { who, .. }) in queues().flat_map(|queue| &queue.waiting) {
            invariant!(turn.arrival < state.arrivals && arrivals.insert(turn.arrival));
            invariant!(who.engine < engines);
            invariant!(waiters.insert((who.engine, who.session)), "{who:?} waits twice");
        }
        let spare = state.seats.iter().filter(|seats| seats.is_spare()).count();
        invariant!(state.spare as usize == spare, "{} spare, not {spare}", state.spare);
        invariant!(spare == 0 || state.queue.len() == 0, "a spare slot, and someone waits");
        invariant!(self.waiting.load(Relaxed) == state.queue.len());
        for (seats, (meter, id)) in state.seats.iter().zip(self.meters.iter().zip(self.first..)) {
            invariant!(seats.max == 0 || seats.used <= seats.max.max(seats.ceiling), "server {id}");
            invariant!(!seats.has_slot() || seats.queue.len() == 0, "server {id} has a slot");
            invariant!(seats.queue_max == 0 || seats.queue.len() <= seats.queue_max, "server {id}");
            invariant!(meter.max.load(Relaxed) == seats.max);
            invariant!(meter.used.load(Relaxed) == seats.used);
            invariant!(meter.waiting.load(Relaxed) == seats.queue.len());
            let mailed =
                |m: &Message| matches!(m, Message::Granted { server, .. } if *server == id);
            invariant!(mail.count(mailed) <= seats.used as usize, "server {id}: slots lost");
        }
    }

    /// Gives what slots the server has to those who wait for them, in their order.
    fn hand_out(&self, state: &mut State, i: usize, mail: &Mail) -> Wake {
        let mut wake = Wake::NONE;
        while let Some((Waiter { engine, session, serial, .. }, position)) = state.serve(i) {
            let server = self.first + i as u32;
            wake.add(mail.post(engine, Message::Granted { session, serial, server, position }));
        }
        self.publish(state, i);
        self.publish_queue(state, None);
        wake
    }

    fn publish(&self, state: &State, i: usize) {
        let (seats, meter) = (&state.seats[i], &self.meters[i]);
        meter.max.store(seats.max, Relaxed);
        meter.used.store(seats.used, Relaxed);
        meter.waiting.store(seats.queue.len(), Relaxed);
    }

    fn publish_queue(&self, state: &State, own: Option<usize>) {
        match own {
            Some(i) => self.publish(state, i),
            None => self.waiting.store(state.queue.len(), Relaxed),
        }
    }

    fn index(&self, server: ServerId) -> usize {
        (server - self.first) as usize
    }
}

impl State {
    /// Serves the first who waits for server `i`, if it has a slot: the slot is taken for him.
    fn serve(&mut self, i: usize) -> Option<(Waiter, u32)> {
        let seats = &mut self.seats[i];
        if !seats.has_slot() {
            return None;
        }
        let common = if seats.takes { self.queue.first() } else { None };
        let served = match (seats.queue.first(), common) {
            (Some(own), Some(common)) if common < own => self.queue.serve(),
            (None, Some(_)) => self.queue.serve(),
            _ => seats.queue.serve(),
        }?;
        self.take(i);
        Some(served)
    }

    fn take(&mut self, i: usize) {
        self.alter(i, |seats| {
            invariant!(seats.has_slot());
            seats.used += 1;
        });
    }

    /// Changes a server's slots and keeps `spare` true.
    fn alter(&mut self, i: usize, change: impl FnOnce(&mut Seats)) {
        let seats = &mut self.seats[i];
        let before = seats.is_spare();
        change(seats);
        match (before, seats.is_spare()) {
            (false, true) => self.spare += 1,
            (true, false) => self.spare -= 1,
            _ => {}
        }
    }

    fn queue_of(&mut self, own: Option<usize>) -> &mut Queue {
        match own {
            Some(i) => &mut self.seats[i].queue,
            None => &mut self.queue,
        }
    }
}
