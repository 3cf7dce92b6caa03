//! A discrete-event network: any number of hosts on one virtual clock, byte by byte.
//!
//! Not a model of TCP's algorithms (no slow start, no SACK), but of everything that a program can
//! see of TCP: windows and buffers that fill up, bytes that come in pieces, FIN and RST as the two
//! different ends, a SYN that nobody answers, a queue of connections that is full, a link that is
//! cut and heals, a host that falls silent or forgets its connections. It costs O(log n) an event,
//! and nothing while nothing happens.
//!
//! ```text
//!   host ── Port ── Poller          one Port per engine, or per actor
//!            │
//!   End ──► │ unsent │▒▒▒ in flight ▒▒▒│              room: the send buffer
//!                           │ arrives after latency, bandwidth, partitions; in order
//!   End ◄──── inbox: │ unread │                       room: the receive window
//! ```
//!
//! Events are as edge-like as Linux's: a socket is announced when something new has come, when room
//! has come to be after a send found none, and never again for what was there before (P2, P3).

mod end;
mod port;
mod queue;
#[cfg(test)]
mod tests;

use core::net::{IpAddr, SocketAddr};
use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use slab::Slab;
use tidegate_core::fault::Fault;
use tidegate_core::poller::{Address, Ready, Sock};
use tidegate_core::rng::{Rng, Seed};
use tidegate_core::time::{Duration, Instant};

use crate::stopwatch::{Part, Stopwatch};

use end::{End, EndId, Phase};
use queue::{Event, Queue};

pub use port::Port;

/// A machine of the network.
pub type HostId = u32;

/// What may go wrong of a network by itself, and how large its parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that a socket takes without their having arrived.
    pub send_buffer: usize,
    /// Bytes that a socket holds unread.
    pub window: usize,
    /// Bytes of one segment.
    pub segment: usize,
    /// One way, without load.
    pub latency: Duration,
    /// Up to so much more, drawn for each segment.
    pub jitter: Duration,
    /// Bytes a second of a direction; 0 is no limit.
    pub bandwidth: u64,
    /// Descriptors of one host; 0 is no limit.
    pub descriptors: usize,
    /// Local ports of one host; 0 is no limit.
    pub ports: usize,
    /// Connections that a listener holds before they are accepted.
    pub backlog: usize,
    /// Of 1,000 events, so many of sockets closed meanwhile are handed out all the same (P5).
    pub stale: u32,
    /// Of 1,000 datagrams, so many are lost.
    pub loss: u32,
    /// Events say only what is new, not all that is.
    pub narrow_events: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            send_buffer: 256 << 10,
            window: 256 << 10,
            segment: 64 << 10,
            latency: Duration::from_micros(100),
            jitter: Duration::ZERO,
            bandwidth: 0,
            descriptors: 0,
            ports: 0,
            backlog: 128,
            stale: 0,
            loss: 0,
            narrow_events: false,
        }
    }
}

/// What became of what, counted; never read by the network itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events of the network.
    pub events: u64,
    /// Connections established.
    pub connections: u64,
    /// Bytes that arrived.
    pub bytes: u64,
    /// SYNs that were not answered.
    pub syn_lost: u64,
    /// Connections refused.
    pub refused: u64,
    /// RSTs sent.
    pub resets: u64,
    /// Arrivals put off by a cut link.
    pub retransmissions: u64,
    /// Hosts crashed or restarted.
    pub crashes: u64,
    /// Descriptors or ports asked for in vain.
    pub shortages: u64,
    /// Datagrams lost.
    pub datagrams_lost: u64,
}

impl Counts {
    /// Adds another's.
    pub fn add(&mut self, other: Counts) {
        self.events += other.events;
        self.connections += other.connections;
        self.bytes += other.bytes;
        self.syn_lost += other.syn_lost;
        self.refused += other.refused;
        self.resets += other.resets;
        self.retransmissions += other.retransmissions;
        self.crashes += other.crashes;
        self.shortages += other.shortages;
        self.datagrams_lost += other.datagrams_lost;
    }
}

/// The network. A clone is another handle of the same one.
#[derive(Clone, Debug)]
pub struct Net(Rc<RefCell<State>>, Stopwatch);

#[derive(Debug)]
struct State {
    limits: Limits,
    rng: Rng,
    now: Instant,
    queue: Queue,
    hosts: Vec<Host>,
    /// The first host of each address.
    addresses: BTreeMap<IpAddr, HostId>,
    ports: Vec<PortState>,
    ends: Slab<End>,
    /// Inboxes of connections that are over.
    spare: Vec<VecDeque<u8>>,
    generation: u32,
    listeners: Slab<Listener>,
    /// Links that are cut, by sender and receiver.
    cut: BTreeMap<(HostId, HostId), ()>,
    counts: Counts,
    progress: u64,
}

#[derive(Debug)]
struct Host {
    name: String,
    address: IpAddr,
    descriptors: usize,
    ports: usize,
    next_port: u16,
    /// Nothing that it sends or is sent arrives.
    silent: bool,
    datagrams: Vec<Vec<u8>>,
    /// Its engines and actors, by their places in `ports`.
    programs: Vec<usize>,
}

/// One engine's or actor's view: its handles and what was announced to it.
#[derive(Debug)]
struct PortState {
    host: HostId,
    engine: u32,
    socks: Slab<(u32, What)>,
    generation: u32,
    pending: Vec<(Sock, Ready)>,
    notified: bool,
    pipes: Slab<VecDeque<u8>>,
    pipe_sizes: Vec<usize>,
    /// What its listeners and sinks are, by number.
    bound: BTreeMap<u32, (Address, usize)>,
    sinks: BTreeMap<u32, HostId>,
}

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    End(EndId),
    Listener(usize),
    Sink(u32),
}

#[derive(Debug)]
struct Listener {
    port: usize,
    sock: Sock,
    address: Address,
    backlog: usize,
    queue: VecDeque<EndId>,
}

impl Net {
    /// An empty network at the start of time.
    pub fn new(seed: Seed, limits: Limits) -> Net {
        Net(
            Rc::new(RefCell::new(State {
                limits,
                rng: Rng::new(seed.split("net")),
                now: Instant::START,
                queue: Queue::default(),
                hosts: Vec::new(),
                addresses: BTreeMap::new(),
                ports: Vec::new(),
                ends: Slab::new(),
                spare: Vec::new(),
                generation: 0,
                listeners: Slab::new(),
                cut: BTreeMap::new(),
                counts: Counts::default(),
                progress: 0,
            })),
            Stopwatch::default(),
        )
    }

    /// The same network, with its time taken in all that is made of this handle.
    pub fn timed(self, watch: Stopwatch) -> Net {
        Net(self.0, watch)
    }

    /// Adds a host.
    pub fn host(&self, name: &str, address: IpAddr) -> HostId {
        let mut state = self.0.borrow_mut();
        state.hosts.push(Host {
            name: name.to_owned(),
            address,
            descriptors: 0,
            ports: 0,
            next_port: 32_768,
            silent: false,
            datagrams: Vec::new(),
            programs: Vec::new(),
        });
        let host = state.hosts.len() as HostId - 1;
        state.addresses.entry(address).or_insert(host);
        host
    }

    /// A way into the network for one engine of a host, or one actor. The engines of a process have
    /// the numbers that they notify each other by.
    pub fn port(&self, host: HostId, engine: u32) -> Port {
        let mut state = self.0.borrow_mut();
        state.ports.push(PortState {
            host,
            engine,
            socks: Slab::new(),
            generation: 0,
            pending: Vec::new(),
            notified: false,
            pipes: Slab::new(),
            pipe_sizes: Vec::new(),
            bound: BTreeMap::new(),
            sinks: BTreeMap::new(),
        });
        let at = state.ports.len() - 1;
        state.hosts[host as usize].programs.push(at);
        Port::new(self.clone(), at)
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.0.borrow().now
    }

    /// When the network does something next by itself, if it ever will.
    pub fn next_event(&self) -> Option<Instant> {
        self.0.borrow().queue.next()
    }

    /// Lets time pass to `to`, with all that happens until then. Never goes back.
    pub fn advance_to(&self, to: Instant) {
        let _mine = self.1.within(Part::Network);
        let mut state = self.0.borrow_mut();
        while let Some((at, event)) = state.queue.pop(to) {
            state.now = state.now.max(at);
            state.counts.events += 1;
            state.happen(event);
        }
        state.now = state.now.max(to);
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.0.borrow().counts
    }

    /// Rises whenever something moved: what does not raise it is spinning.
    pub fn progress(&self) -> u64 {
        self.0.borrow().progress
    }

    /// Sockets of a host that are open.
    pub fn open(&self, host: HostId) -> usize {
        let state = self.0.borrow();
        state.ports.iter().filter(|port| port.host == host).map(|port| port.socks.len()).sum()
    }

    /// Sockets of a host that are open, in words.
    pub fn list_open(&self, host: HostId) -> String {
        let state = self.0.borrow();
        let ports = state.ports.iter().filter(|port| port.host == host);
        let name = &state.hosts[host as usize].name;
        let socks = ports.flat_map(|port| port.socks.iter());
        let line = |(index, (_, what)): (usize, &(u32, What))| {
            format!("{name} {index}: {}\n", state.describe(*what))
        };
        socks.map(line).collect()
    }

    /// Cuts the way from one host to another; what is sent is tried again until it is healed.
    pub fn cut(&self, from: HostId, to: HostId) {
        self.0.borrow_mut().cut.insert((from, to), ());
    }

    /// A host can have so many more descriptors until it gives one back. Only the first host has a
    /// limit.
    pub fn leave_descriptors(&self, host: HostId, left: usize) {
        let mut state = self.0.borrow_mut();
        state.limits.descriptors = state.hosts[host as usize].descriptors + left;
    }

    /// Nothing is scarce any more.
    pub fn provide(&self) {
        let limits = &mut self.0.borrow_mut().limits;
        limits.descriptors = 0;
        limits.ports = 0;
    }

    /// Mends every link, and wakes up every silent host.
    pub fn heal(&self) {
        let mut state = self.0.borrow_mut();
        state.cut.clear();
        for host in &mut state.hosts {
            host.silent = false;
        }
    }

    /// The host falls silent: nothing arrives there, nothing comes from there.
    pub fn silence(&self, host: HostId) {
        let mut state = self.0.borrow_mut();
        state.hosts[host as usize].silent = true;
        state.counts.crashes += 1;
    }

    /// The host comes back without any memory of its connections: their peers learn of it by a RST
    /// when they send something. Its own programs see their sockets fail.
    pub fn restart(&self, host: HostId) {
        let mut state = self.0.borrow_mut();
        state.hosts[host as usize].silent = false;
        state.counts.crashes += 1;
        let ids: Vec<EndId> = state
            .ends
            .iter()
            .filter(|(_, end)| end.host == host)
            .map(|(place, end)| EndId { place, generation: end.generation })
            .collect();
        for id in ids {
            state.forget(id);
        }
    }

    /// Datagrams that arrived at a host since this was last asked.
    pub fn datagrams(&self, host: HostId) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.0.borrow_mut().hosts[host as usize].datagrams)
    }

    /// Puts an urgent mark into the middle of what each connection of the host has unread: a receive
    /// stops there once, although more is there (P12).
    pub fn urge(&self, host: HostId) {
        let mut state = self.0.borrow_mut();
        for (_, end) in &mut state.ends {
            if end.host == host && end.arrived > 1 {
                end.mark = Some(end.arrived / 2);
            }
        }
    }

    fn state(&self) -> Ref<'_, State> {
        self.0.borrow()
    }
}

impl State {
    /// Something is new about a socket.
    fn announce(&mut self, id: EndId, ready: Ready) {
        let Some(end) = self.end(id) else { return };
        if end.sock.is_none() || matches!(end.phase, Phase::Dialling { .. }) {
            return;
        }
        let (port, sock) = (end.port, end.sock);
        self.tell(port, sock, ready);
    }

    fn tell(&mut self, port: usize, sock: Sock, ready: Ready) {
        let pending = &mut self.ports[port].pending;
        match pending.iter_mut().rev().take(8).find(|(s, _)| *s == sock) {
            Some((_, known)) => *known = known.with(ready),
            None => pending.push((sock, ready)),
        }
        self.progress += 1;
    }

    /// Whether anything gets from one host to the other.
    fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.hosts[from as usize].silent
            || self.hosts[to as usize].silent
            || self.cut.contains_key(&(from, to))
    }

    fn latency(&mut self) -> Duration {
        let jitter = self.limits.jitter.as_nanos();
        let extra = if jitter == 0 { 0 } else { self.rng.draw() % jitter };
        Duration::from_nanos(self.limits.latency.as_nanos() + extra)
    }

    /// One more descriptor of the host.
    fn take_descriptor(&mut self, host: HostId) -> Result<(), Fault> {
        let most = self.limits.descriptors;
        let used = &mut self.hosts[host as usize].descriptors;
        // Only the first host, the one under test, has a limit.
        if most > 0 && *used >= most && host == 0 {
            self.counts.shortages += 1;
            return Err(Fault::NoDescriptors);
        }
        *used += 1;
        Ok(())
    }

    fn host_at(&self, address: IpAddr) -> Option<HostId> {
        self.addresses.get(&address).copied()
    }

    /// The listeners of an address, one per shard.
    fn listening(&self, host: HostId, address: &Address) -> Vec<usize> {
        let is = |listener: &Listener| {
            self.ports[listener.port].host == host && covers(&listener.address, address)
        };
        self.listeners.iter().filter(|(_, l)| is(l)).map(|(place, _)| place).collect()
    }

    fn describe(&self, what: What) -> String {
        match what {
            What::End(id) => match self.end(id) {
                Some(end) => format!("{end:?}"),
                None => "gone".to_owned(),
            },
            What::Listener(place) => format!("listener {:?}", self.listeners[place].address),
            What::Sink(n) => format!("sink {n}"),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(id) => self.arrive(id),
            Event::Syn(id) => self.syn(id),
            Event::Accepted(id) => self.accepted(id),
            Event::Refused(id) => self.refused(id),
            Event::Window(id) => self.transmit(id),
        }
    }

    fn next_generation(&mut self) -> u32 {
        self.generation += 1;
        self.generation
    }
}

/// Whether who connects to `asked` gets to a listener on `bound`.
fn covers(bound: &Address, asked: &Address) -> bool {
    match (bound, asked) {
        (Address::Inet(bound), Address::Inet(asked)) => {
            bound.port() == asked.port()
                && (bound.ip().is_unspecified() || bound.ip() == asked.ip())
        }
        _ => bound == asked,
    }
}

/// The address of an IP socket.
fn inet(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Inet(address) => Some(*address),
        _ => None,
    }
}
