//! The door between the engines: what must be one across the threads of a process. It is not a
//! place for state that one engine could keep for itself, and it never calls a `Poller`: whoever
//! changed something here gets a [`Wake`] and notifies those engines once it holds no lock.
//!
//! ```text
//!   gauges   approximate   a block of counters per engine, summed by readers; no contention
//!   rates    approximate   the same for events per second, if an expression asks for one
//!   serials  exact         numbers of requests and of lines: one atomic word each
//!   limits   exact         maxconn of the process, frontends, listeners: one atomic word each
//!   gates    exact         server slots and the queues before them: one mutex per backend
//!   rings    the last       messages of the log: one mutex each, at most once a turn
//!   errors   the last       refused messages, for `show errors`: one mutex per proxy and direction
//!   mail                   what one engine has to tell another: one mutex per engine
//! ```
//!
//! Locks are taken in the order gate, mailbox, and never two of a kind (only [`Shared::audit`]
//! does more: it holds one gate and looks into the mailboxes in turn). A request takes a lock only
//! if its server has a `maxconn`.
//!
//! Bounds: a gate holds at most one waiter per session, and the process maxconn bounds sessions; a
//! mailbox holds at most one `Resume` per limit, one `Granted` or `Requeue` per ticket that its
//! engine holds, and one `Adopt` per connection that was counted against the process maxconn
//! before it was handed on.

mod door;
pub mod errors;
mod gate;
mod gauges;
mod limit;
mod mail;
#[cfg(test)]
mod model;
mod rates;
mod rings;
mod serial;
#[cfg(test)]
mod tests;

use core::hash::Hasher;
use std::sync::{Mutex, MutexGuard};

use crate::invariant;
use crate::proxy::spec::{ListenerId, Options, ProxyId, ServerId, Site};
use crate::time::Instant;

use errors::{Direction, Errors, Event};
use gate::Gate;
use gauges::Gauges;
use limit::Limit;
use mail::Mail;
use rates::Rates;
use rings::Rings;
use serial::Serials;

pub(crate) use door::Door;
pub use door::{Answer, Question, Witness};
pub use gate::{Cancel, Queued, Rank, Slot, Ticket, Waiter};
pub use gauges::Gauge;
pub use mail::{Message, Wake};
pub use rates::Rate;
pub use serial::Serial;

/// The most engines that one process may have; HAProxy 2.6's MAX_THREADS.
pub const ENGINES_MAX: u32 = 64;

/// A limit on connections that holds across all engines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LimitId {
    /// `maxconn` of the global section.
    Process,
    /// `maxconn` of a frontend.
    Frontend(ProxyId),
    /// `maxconn` of a bind line.
    Listener(ListenerId),
}

/// What the engines of one process share.
#[derive(Debug)]
pub struct Shared {
    engines: u32,
    gauges: Gauges,
    rates: Rates,
    serials: Serials,
    /// The process, then the proxies, then the listeners.
    limits: Vec<Limit>,
    proxies: u32,
    /// By proxy; none where there are no servers.
    gates: Vec<Option<Gate>>,
    /// By server: its backend.
    backends: Vec<ProxyId>,
    mail: Mail,
    errors: Errors,
    rings: Rings,
}

impl Shared {
    /// The shared state of `engines` engines that serve `site`.
    ///
    /// # Panics
    ///
    /// If `engines` is not in 1..=[`ENGINES_MAX`].
    pub fn new(site: &Site, engines: u32) -> Self {
        invariant!((1..=ENGINES_MAX).contains(&engines), "{engines} engines");
        let proxies = site.proxies.len() as u32;
        let limits = std::iter::once(site.global.maxconn)
            .chain(site.proxies.iter().map(|proxy| proxy.maxconn))
            .chain(site.listeners.iter().map(|listener| listener.maxconn))
            .map(Limit::new)
            .collect();
        Shared {
            engines,
            gauges: Gauges::new(proxies, site.servers.len() as u32, engines),
            rates: Rates::new(site.wants.rates, proxies, site.servers.len() as u32, engines),
            serials: Serials::new(proxies),
            limits,
            proxies,
            gates: (0..proxies).map(|backend| gate_of(site, backend)).collect(),
            backends: site.servers.iter().map(|server| server.backend).collect(),
            mail: Mail::new(engines),
            errors: Errors::new(proxies),
            rings: Rings::new(&site.rings),
        }
    }

    /// How many engines there are.
    pub fn engines(&self) -> u32 {
        self.engines
    }
}

/// Gauges: relaxed counters, one block per engine.
impl Shared {
    /// Changes a gauge by `n`. Only `engine` itself may call this with its number; another engine
    /// may take back what this one added (an adopted connection).
    pub fn gauge_add(&self, engine: u32, gauge: Gauge, n: i32) {
        self.gauges.add(engine, gauge, n);
    }

    /// The gauge's sum over the engines. May be off by what is being changed at this moment.
    pub fn gauge(&self, gauge: Gauge) -> u32 {
        self.gauges.sum(gauge)
    }
}

/// Rates: events per second.
impl Shared {
    /// Counts an event. Only `engine` itself may call this with its number.
    pub fn count(&self, engine: u32, rate: Rate, now: Instant) {
        self.rates.count(engine, rate, now);
    }

    /// Events of the last second, over the engines; always 0 if no expression asks for a rate.
    pub fn rate(&self, rate: Rate, now: Instant) -> u32 {
        self.rates.per_second(rate, now)
    }
}

/// Numbers.
impl Shared {
    /// The next number, which nobody else gets.
    pub fn take_number(&self, serial: Serial) -> u32 {
        self.serials.take(serial)
    }

    /// The number that is next.
    pub fn next_number(&self, serial: Serial) -> u32 {
        self.serials.next(serial)
    }
}

/// Refused messages: of every proxy the last request and the last response.
impl Shared {
    /// Keeps a refused message in the place of the proxy's last one. It gets its number here.
    pub fn keep_error(&self, event: Box<Event>) {
        self.errors.keep(event);
    }

    /// Messages refused since the start.
    pub fn errors(&self) -> u64 {
        self.errors.count()
    }

    /// The proxy's last refused message of that direction.
    pub fn last_error(&self, proxy: ProxyId, direction: Direction) -> Option<Event> {
        self.errors.last(proxy, direction)
    }
}

/// Rings of the log.
impl Shared {
    /// Keeps messages in a ring.
    pub fn keep_lines<'a>(&self, ring: u32, messages: impl Iterator<Item = &'a [u8]>) {
        self.rings.keep(ring, messages);
    }

    /// Appends the messages of a ring from number `from` on to `into`, each with a line feed, as
    /// many as fit `max` bytes, and returns the number to go on from.
    pub fn read_ring(&self, ring: u32, from: u64, max: usize, into: &mut Vec<u8>) -> u64 {
        self.rings.read(ring, from, max, into)
    }
}

/// Connection limits: exact, and lock-free below the limit.
impl Shared {
    /// Takes one connection of the limit for `engine`. False if it is reached: the engine is then
    /// registered, and gets `Message::Resume(l)` once there is room. Being told is no reservation.
    ///
    /// For a new connection take the listener's, the frontend's and the process's, in this order;
    /// if a later one refuses, release the earlier ones.
    #[must_use = "a connection taken must be released"]
    pub fn acquire(&self, l: LimitId, engine: u32) -> bool {
        invariant!(engine < self.engines);
        self.limit(l).acquire(engine)
    }

    /// Gives one connection of the limit back, and tells every engine that was refused since.
    pub fn release(&self, l: LimitId) -> Wake {
        let waiting = self.limit(l).release();
        self.resume(l, waiting)
    }

    /// The same in a process that is stopping: nobody is told, since nobody is to accept any more.
    pub fn release_for_good(&self, l: LimitId) -> Wake {
        let _ = self.limit(l).release();
        Wake::NONE
    }

    /// Connections held now: `actconn` and `feconn` of the log. Counted without a limit, too.
    pub fn used(&self, l: LimitId) -> u32 {
        self.limit(l).used()
    }

    /// The limit now; 0 is none.
    pub fn max(&self, l: LimitId) -> u32 {
        self.limit(l).max()
    }

    /// Changes the limit (`set maxconn`); 0 is none. What is held beyond a lower limit stays.
    pub fn set_limit(&self, l: LimitId, max: u32) -> Wake {
        let waiting = self.limit(l).set(max);
        self.resume(l, waiting)
    }

    fn resume(&self, l: LimitId, engines: Wake) -> Wake {
        engines
            .filter(|engine| self.limit(l).tell(*engine))
            .fold(Wake::NONE, |wake, engine| wake.with(self.mail.post(engine, Message::Resume(l))))
    }

    fn limit(&self, l: LimitId) -> &Limit {
        let index = match l {
            LimitId::Process => 0,
            LimitId::Frontend(proxy) => 1 + proxy,
            LimitId::Listener(listener) => 1 + self.proxies + listener,
        };
        &self.limits[index as usize]
    }
}

/// Server slots and queues. A slot has one owner: the session that was granted it, or the
/// `Granted` message until its session takes it. An engine that gets the message for a session
/// that is gone gives the slot back with [`Shared::free`].
impl Shared {
    /// Tries to take a slot of a server without waiting. `Full` also while others wait for it.
    pub fn slot(&self, server: ServerId) -> Slot {
        self.gate_of(server).slot(server)
    }

    /// Whether the server has no slot left or others wait for one. A relaxed read, for balancing.
    pub fn full(&self, server: ServerId) -> bool {
        self.gate_of(server).full(server)
    }

    /// Queues `who` for a slot: of `server`, or, if none is given, of any server that takes from
    /// its backend's queue. If a slot became free meanwhile it is granted at once.
    pub fn enqueue(&self, backend: ProxyId, server: Option<ServerId>, who: Waiter) -> Queued {
        invariant!(who.engine < self.engines);
        self.gate(backend).enqueue(backend, server, who)
    }

    /// Leaves the queue (abort, timeout). After [`Cancel::Late`] a message for this waiter is in
    /// its engine's mailbox, or was collected: the message owns the slot, the session may go.
    pub fn cancel(&self, ticket: Ticket) -> Cancel {
        self.gate(ticket.backend()).cancel(ticket)
    }

    /// Gives a granted slot back. The first waiter of the server's queue and, if the server takes
    /// from it, of the backend's queue gets it at once.
    pub fn free(&self, server: ServerId) -> Wake {
        self.gate_of(server).free(server, &self.mail)
    }

    /// Slots of the server in use now.
    pub fn slots_used(&self, server: ServerId) -> u32 {
        self.gate_of(server).used(server)
    }

    /// How many wait in the server's queue, and in its backend's. Relaxed reads.
    pub fn queue_lengths(&self, backend: ProxyId, server: Option<ServerId>) -> (u32, u32) {
        self.gates[backend as usize].as_ref().map_or((0, 0), |gate| gate.lengths(server))
    }

    /// Changes a server's `maxconn`; 0 is none. What is held beyond a lower one stays; sessions
    /// that got `Slot::Unlimited` are not counted afterwards.
    pub fn set_slots(&self, server: ServerId, max: u32) -> Wake {
        self.gate_of(server).set_slots(server, max, &self.mail)
    }

    /// Says whether the server takes from its backend's queue: it is up, not draining, has a
    /// weight, and is no backup that stands by. One that begins to takes what it has slots for.
    pub fn set_takes(&self, server: ServerId, takes: bool) -> Wake {
        self.gate_of(server).set_takes(server, takes, &self.mail)
    }

    /// Sends the waiters of the server's own queue (it went down) back to balancing: each gets
    /// `Message::Requeue`. Returns how many. Whether they may leave (`option redispatch`) is the
    /// caller's to know.
    pub fn requeue(&self, server: ServerId) -> (u32, Wake) {
        self.gate_of(server).requeue(Some(server), &self.mail)
    }

    /// The same for the backend's queue (its last server went down).
    pub fn requeue_backend(&self, backend: ProxyId) -> (u32, Wake) {
        let gate = self.gates[backend as usize].as_ref();
        gate.map_or((0, Wake::NONE), |gate| gate.requeue(None, &self.mail))
    }

    fn gate(&self, backend: ProxyId) -> &Gate {
        self.gates[backend as usize].as_ref().expect("a backend with servers has a gate")
    }

    fn gate_of(&self, server: ServerId) -> &Gate {
        self.gate(self.backends[server as usize])
    }
}

/// Mail.
impl Shared {
    /// Leaves a message for an engine.
    pub fn post(&self, engine: u32, message: Message) -> Wake {
        self.mail.post(engine, message)
    }

    /// Leaves a message for an engine, unless it is done: then what the message owns stays the
    /// caller's.
    pub fn offer(&self, engine: u32, message: Message) -> Option<Wake> {
        self.mail.offer(engine, message)
    }

    /// Says that the engine is done and will not read again. False if it has mail to read first.
    /// Only `engine` itself calls it, once nothing of it waits for anything.
    pub fn retire(&self, engine: u32) -> bool {
        self.mail.close(engine)
    }

    /// Moves the engine's mail, oldest first, to the end of `into`. Only `engine` itself calls it.
    pub fn collect(&self, engine: u32, into: &mut Vec<Message>) {
        let start = into.len();
        self.mail.collect(engine, into);
        for message in &into[start..] {
            if let Message::Resume(l) = message {
                self.limit(*l).told(engine);
            }
        }
    }

    /// Whether there is mail: one atomic load. An engine that parks has looked here last.
    pub fn has_mail(&self, engine: u32) -> bool {
        self.mail.has_mail(engine)
    }
}

impl Shared {
    /// Recomputes what must hold, at any moment and from any thread.
    ///
    /// # Panics
    ///
    /// If it does not hold.
    pub fn audit(&self) {
        self.limits.iter().for_each(Limit::audit);
        self.mail.audit();
        for gate in self.gates.iter().flatten() {
            gate.audit(self.engines, &self.mail);
        }
    }

    /// Takes the whole state into a hash, but for the refused messages and the log.
    pub fn digest<H: Hasher>(&self, into: &mut H) {
        self.limits.iter().for_each(|limit| limit.digest(into));
        self.gates.iter().flatten().for_each(|gate| gate.digest(into));
        self.gauges.digest(into);
        self.rates.digest(into);
        self.serials.digest(into);
        self.mail.digest(into);
    }

    /// Whether nothing is held, nobody waits and no mail is left: so it must be after the end.
    pub fn is_idle(&self) -> bool {
        self.limits.iter().all(|limit| limit.used() == 0)
            && self.gates.iter().flatten().all(Gate::is_idle)
            && (0..self.engines).all(|engine| !self.has_mail(engine))
    }

    /// The gauges of what is going on that are not zero, with their values: after the end there
    /// must be none. For tests.
    pub fn left(&self, site: &Site) -> Vec<(Gauge, u32)> {
        let servers =
            (0..site.servers.len() as u32).flat_map(|id| [Gauge::Served(id), Gauge::Idle(id)]);
        let proxies =
            (0..site.proxies.len() as u32).flat_map(|id| [Gauge::Frontend(id), Gauge::Backend(id)]);
        let all = servers.chain(proxies).map(|gauge| (gauge, self.gauge(gauge)));
        all.filter(|(_, value)| *value != 0).collect()
    }
}

/// The gate of a backend that has servers. At the start those take from its queue that balancing
/// would use with all servers up: the active ones, else the first backup, or all.
fn gate_of(site: &Site, backend: ProxyId) -> Option<Gate> {
    let proxy = site.proxy(backend);
    let range = proxy.servers.start as usize..proxy.servers.end as usize;
    let servers = site.servers.get(range).filter(|servers| !servers.is_empty())?;
    let usable = |i: &usize| {
        let server = &servers[*i];
        !server.disabled && server.address.is_some() && server.weight > 0
    };
    let all = || (0..servers.len()).filter(usable);
    let active: Vec<usize> = all().filter(|i| !servers[*i].backup).collect();
    let takers = if !active.is_empty() {
        active
    } else if proxy.options.has(Options::ALL_BACKUPS) {
        all().collect()
    } else {
        all().take(1).collect()
    };
    Some(Gate::new(proxy.servers.start, servers, &takers))
}

/// Locks. A poisoned lock means that an engine broke an invariant inside: nothing is sound then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no engine panicked at the door")
}
