//! One run: engines, clients and servers on one clock, first with everything that the scenario lets
//! go wrong, then in a calm in which everything must come to its end.
//!
//! ```text
//!   turn whoever has a reason ─► nobody has ─► next moment: network, engines, actors, faults
//!            ▲                                         │
//!            └─────────────────────────────────────────┘
//!   trouble ──clients done or time up──► calm: heal, behave, ask once more ──► soft stop ──► done
//! ```
//!
//! The host that it plays is as strict as there can be: an engine is turned only for an event, a
//! notification, a signal, or a moment that it asked for. A wakeup that it forgot is lost.

use core::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

use tidegate_core::engine::{Engine, Note, Observer, Park, Setup, Signal};
use tidegate_core::poller::Address;
use tidegate_core::proxy::shared::Shared;
use tidegate_core::proxy::spec::Site;
use tidegate_core::rng::{Rng, Seed};
use tidegate_core::time::{Duration, Instant, Now, Wall};

use crate::actor::client::Client;
use crate::actor::collector::Collector;
use crate::actor::server::Server;
use crate::auditor;
use crate::chaos::{Chaos, Injected, Ratios};
use crate::digest::Digest;
use crate::ledger::{self, Violation};
use crate::memnet::{Counts, HostId, Limits, Net, Port};
use crate::record::{self, Boot, Finish, Reel, Tape};
use crate::scenario::{Knobs, Scenario};
use crate::site;
use crate::stopwatch::{Clock, Part, Spent, Stopwatch};
use crate::timeline::{Host, Moment};
use crate::trace::Traced;

/// 2026-11-22T12:00:00Z.
const WALL_START: u64 = 1_795_348_800_000_000_000;
/// The trouble lasts no longer.
const TROUBLE_MAX: Duration = Duration::from_secs(40);
/// The calm lasts no longer, or something hangs.
const CALM_MAX: Duration = Duration::from_secs(2_000);
/// Turns at one moment in which nothing moves, beyond which an engine spins.
const STILL_MAX: u32 = 64;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The first broken promise, if one was broken.
    pub violation: Option<Violation>,
    /// Of everything, in order.
    pub digest: u64,
    /// After each turn of an engine, if they were asked for.
    pub turns: Vec<u64>,
    /// Turns of engines.
    pub turns_count: u64,
    /// Requests answered whole.
    pub answered: u64,
    /// Requests made.
    pub requests: u64,
    /// Virtual time.
    pub time: Duration,
    /// What the network did.
    pub net: Counts,
    /// What the pollers did.
    pub injected: Injected,
    /// What happened, if it was asked for.
    pub timeline: Vec<Moment>,
    /// By engine: its recording, if they were asked for.
    pub recordings: Vec<Vec<u8>>,
    /// What the time was spent on, if there was a clock.
    pub spent: Spent,
}

/// What is kept of a run beside its outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    /// The digest after each turn.
    pub turns: bool,
    /// What happened, in words.
    pub timeline: bool,
    /// A recording of each engine, of at most so many bytes.
    pub recordings: Option<u64>,
    /// What the time was spent on, by this clock.
    pub clock: Option<Clock>,
}

/// Runs a scenario from beginning to end. A panic within is a violation, too.
pub fn run(scenario: &Scenario, watch: Watch) -> Outcome {
    let ledger: ledger::Shared = Rc::default();
    let kept = Rc::clone(&ledger);
    let scenario = scenario.clone();
    let stopwatch = Stopwatch::new(watch.clock);
    let timed = stopwatch.clone();
    let run = move || World::new(&scenario, &kept, watch, timed).run();
    let mut outcome = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let detail = match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
                (Some(text), _) => text.clone(),
                (_, Some(text)) => (*text).to_owned(),
                _ => "a panic without words".to_owned(),
            };
            let at = ledger.try_borrow().map_or(Instant::START, |ledger| ledger.now);
            let invariant = invariant_of(&detail);
            let violation = Some(Violation { invariant, at, detail });
            Outcome { violation, ..Outcome::default() }
        }
    };
    if let Ok(mut ledger) = ledger.try_borrow_mut() {
        outcome.timeline = ledger.timeline.take().unwrap_or_default();
    }
    drop(ledger);
    stopwatch.switch(Part::World);
    outcome.spent = stopwatch.spent();
    outcome
}

/// Which promise an assertion is about that names none.
fn invariant_of(text: &str) -> &'static str {
    let named = ["A12", "P5", "P7"].into_iter().find(|name| text.starts_with(name));
    let known = [
        ("received + added", "A2"),
        ("does not know its socket", "A3"),
        ("has lost its client", "A3"),
        ("is said to be idle", "A3"),
        ("overdue", "A5"),
        ("no deadline", "A5"),
        ("without a deadline", "A5"),
        ("parked", "A6"),
        ("sleeps and could", "A6"),
        ("clients with a session", "A4"),
        ("in use", "A4"),
    ];
    let found = || known.into_iter().find(|(part, _)| text.contains(part)).map(|(_, name)| name);
    named.or_else(found).unwrap_or("panic")
}

type Wire = Traced<Chaos<Port>>;

struct World {
    knobs: Knobs,
    net: Net,
    rng: Rng,
    ledger: ledger::Shared,
    shared: Arc<Shared>,
    site: Arc<Site>,
    engines: Vec<(Engine, Wire, Park)>,
    /// Until when each is too busy to be turned.
    busy: Vec<Instant>,
    /// By engine, if they are recorded.
    tapes: Vec<(Tape, Reel)>,
    clients: Vec<Client>,
    servers: Vec<Server>,
    collector: Option<Collector>,
    proxy: HostId,
    logs: HostId,
    faults: Vec<(Instant, Trouble)>,
    watch: Watch,
    turns: Vec<u64>,
    turns_count: u64,
    notes: Notes,
    stopped: bool,
    /// With many sessions, the whole state is looked at in one of so many turns.
    audit_every: u64,
    stopwatch: Stopwatch,
}

/// Up to so many sessions, the whole state is looked at in every turn.
const AUDITED_SESSIONS: usize = 64;

/// Something that goes wrong at a moment.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Cut(HostId, HostId),
    Silence(HostId),
    Heal,
    Restart(HostId),
    Refuse(usize),
    Listen(usize),
    Stop,
}

/// What the engines told, hashed.
#[derive(Default)]
struct Notes {
    digest: Digest,
    /// Those of the turn, if a timeline is kept.
    told: Option<Vec<(Instant, Note)>>,
}

impl Observer for Notes {
    fn note(&mut self, now: Instant, note: Note) {
        (now, note).hash(&mut self.digest);
        if let Some(told) = &mut self.told {
            told.push((now, note));
        }
    }
}

impl World {
    fn new(
        scenario: &Scenario,
        ledger: &ledger::Shared,
        watch: Watch,
        stopwatch: Stopwatch,
    ) -> World {
        let k = &scenario.knobs;
        let seed = Seed(scenario.seed);
        ledger.borrow_mut().timeline = watch.timeline.then(Vec::new);
        let net = Net::new(seed, limits(k)).timed(stopwatch.clone());
        let proxy = net.host("proxy", site::PROXY);
        let logs = net.host("logs", site::LOGS);
        let mut rng = Rng::new(seed.split("world"));
        let mut hosts = Vec::new();
        let servers = (1..=k.servers)
            .map(|n| {
                let host = net.host(&format!("s{n}"), site::server_address(n).ip());
                hosts.push(host);
                let port = net.port(host, 0);
                // A full backlog is the proxy's trouble here: servers accept at once, and one that
                // does not is for `refusals`.
                port.bind_with_backlog(0, Address::Inet(site::server_address(n)), 128);
                Server::new(n, port, Rc::clone(ledger), k, scenario.seed)
            })
            .collect();
        let collector = (k.rules == 1).then(|| {
            let port = net.port(net.host("collector", site::COLLECTOR), 0);
            port.bind_with_backlog(0, Address::Inet((site::COLLECTOR, 514).into()), 128);
            Collector::new(port, Rc::clone(ledger), scenario.seed)
        });
        let (site, config) = site::described(k);
        let mut tapes = Vec::new();
        let shared = Arc::new(Shared::new(&site, k.engines as u32));
        let engines = (0..k.engines as u32)
            .map(|id| {
                let port = net.port(proxy, id);
                port.bind(0, site::entrance(k));
                port.bind_sink(0, logs);
                let ratios = ratios(k);
                let chaos = Chaos::new(port, seed.split("chaos").split(&id.to_string()), ratios);
                let mut wire = Traced::new(chaos, stopwatch.clone());
                let setup = Setup {
                    site: Arc::clone(&site),
                    shared: Arc::clone(&shared),
                    id,
                    engines: k.engines as u32,
                    seed: seed.split("engine"),
                    pid: 1,
                };
                let mut engine = Engine::new(setup.clone());
                let now = clock(Instant::START);
                let started = if let Some(limit) = watch.recordings {
                    let (sink, reel) = record::to_memory();
                    let boot = Boot::of("tidegate-sim", &setup, config.clone());
                    let tape = Tape::begin(&boot, limit, sink).expect("there is room for it");
                    tapes.push((tape.clone(), reel));
                    tape.start(&mut engine, &mut wire, now)
                } else {
                    engine.start(&mut wire, now)
                };
                started.expect("it starts");
                (engine, wire, Park::Busy)
            })
            .collect();
        let clients = (0..k.clients)
            .map(|n| {
                // To a unix socket one connects on the host itself.
                let host = match k.unix {
                    1 => proxy,
                    _ => net.host(&format!("c{n}"), site::client_address(n)),
                };
                hosts.extend((k.unix != 1).then_some(host));
                let port = net.port(host, 1_000 + n as u32);
                let rng = Rng::new(seed.split("client").split(&n.to_string()));
                Client::new(n, port, rng, Rc::clone(ledger), site::entrance(k), k)
            })
            .collect();
        let faults = schedule(k, &mut rng, proxy, &hosts);
        World {
            knobs: k.clone(),
            net,
            rng,
            ledger: Rc::clone(ledger),
            shared,
            site,
            busy: vec![Instant::START; k.engines as usize],
            engines,
            tapes,
            clients,
            servers,
            collector,
            proxy,
            logs,
            faults,
            watch,
            turns: Vec::new(),
            turns_count: 0,
            notes: Notes { told: watch.timeline.then(Vec::new), ..Notes::default() },
            stopped: false,
            audit_every: 1 << Rng::new(seed.split("audit")).below(7),
            stopwatch,
        }
    }

    fn run(mut self) -> Outcome {
        self.stopwatch.switch(Part::World);
        let trouble = Instant::START + TROUBLE_MAX;
        while self.step(trouble) && !self.is_broken() {
            if self.faults.is_empty() && self.clients.iter().all(Client::is_idle) {
                break;
            }
        }
        if !self.is_broken() {
            self.calm();
        }
        if !self.is_broken() {
            let _auditor = self.stopwatch.within(Part::Auditor);
            auditor::close(&mut self.ledger.borrow_mut(), &self.knobs);
        }
        self.stopwatch.switch(Part::Setup);
        self.outcome()
    }

    /// Nothing goes wrong any more: everything must come to its end.
    fn calm(&mut self) {
        self.faults.clear();
        self.net.heal();
        self.net.provide();
        for (_, wire, _) in &mut self.engines {
            wire.inner_mut().calm();
        }
        for server in &mut self.servers {
            server.calm_down();
        }
        if let Some(collector) = &mut self.collector {
            collector.calm_down();
        }
        for client in &mut self.clients {
            client.calm_down(self.stopped);
        }
        self.ledger.borrow_mut().note(Host::Network, || "calm".to_owned());
        let end = self.net.now() + CALM_MAX;
        let done = |world: &World| world.clients.iter().all(Client::is_done);
        if !self.go_on_until(end, done) {
            return self.hangs("clients hang in the calm");
        }
        if !self.stopped {
            self.signal();
        }
        let done = |world: &World| world.engines.iter().all(|(.., park)| *park == Park::Done);
        if !self.go_on_until(end, done) {
            return self.hangs("an engine does not end");
        }
        // The sinks stay open until the process ends.
        let sinks = self.engines.len();
        let open = self.net.open(self.proxy);
        if open > sinks {
            let list = self.net.list_open(self.proxy);
            self.violated("A3", format!("{} sockets are left:\n{list}", open - sinks));
        }
        self.shared.audit();
        if !self.shared.is_idle() {
            self.violated(
                "A11",
                format!("limits or queues are held at the end: {:?}", self.shared),
            );
        }
        for (gauge, value) in self.shared.left(&self.site) {
            self.violated("A4", format!("{gauge:?} is {value} at the end"));
        }
    }

    /// Steps until it is so. False if it never is, or something is broken.
    fn go_on_until(&mut self, end: Instant, done: impl Fn(&World) -> bool) -> bool {
        while !done(self) {
            if self.is_broken() || (!self.step(end) && !done(self)) {
                return false;
            }
        }
        true
    }

    fn hangs(&mut self, what: &str) {
        if !self.is_broken() {
            let detail = self.describe();
            self.violated("A14", format!("{what}: {detail}"));
        }
    }

    fn describe(&self) -> String {
        let each = |(engine, _, park): &(Engine, Wire, Park)| {
            format!("{} clients, {} sessions, {park:?}; ", engine.clients(), engine.sessions())
        };
        self.engines.iter().map(each).collect()
    }

    /// Lets everyone act who can, and goes on to the next moment. False at the end of time.
    fn step(&mut self, end: Instant) -> bool {
        let now = self.net.now();
        self.ledger.borrow_mut().now = now;
        self.cause_trouble(now);
        self.act(now);
        if self.is_broken() {
            return true;
        }
        let engines = self.engines.iter().filter_map(|(.., park)| match park {
            Park::Until(at) => Some(*at),
            _ => None,
        });
        let clients = self.clients.iter().filter_map(Client::deadline);
        let servers = self.servers.iter().filter_map(|server| server.deadline(now));
        let collector = self.collector.iter().filter_map(|collector| collector.deadline(now));
        let busy = (0..self.engines.len())
            .filter(|&id| self.busy[id] > now && self.wants_turn(id, now))
            .map(|id| self.busy[id]);
        let next = engines
            .filter(|at| *at > now)
            .chain(busy)
            .chain(clients)
            .chain(servers)
            .chain(collector)
            .chain(self.net.next_event())
            .chain(self.faults.first().map(|(at, _)| *at))
            .min();
        let Some(next) = next.filter(|next| *next <= end) else { return false };
        self.net.advance_to(next.max(now));
        true
    }

    /// Turns whoever has a reason at this moment, until nobody has.
    fn act(&mut self, now: Instant) {
        let (mut still, mut before) = (0, self.net.progress());
        loop {
            let mut ready: Vec<usize> =
                (0..self.engines.len()).filter(|&id| self.has_reason(id, now)).collect();
            while !ready.is_empty() {
                let id = ready.swap_remove(self.rng.below(ready.len() as u32) as usize);
                self.turn(id, now);
                let progress = self.net.progress();
                still = if progress == before { still + 1 } else { 0 };
                before = progress;
                if still > STILL_MAX {
                    let detail = self.describe();
                    return self.violated("A7", format!("engine {id} spins: {detail}"));
                }
            }
            let actors = self.stopwatch.within(Part::Actors);
            for server in &mut self.servers {
                if server.has_events() || server.deadline(now).is_some_and(|at| at <= now) {
                    server.turn(now);
                }
            }
            if let Some(collector) = &mut self.collector
                && (collector.has_events() || collector.deadline(now).is_some_and(|at| at <= now))
            {
                collector.turn(now);
            }
            for client in &mut self.clients {
                if client.has_events() || client.deadline().is_some_and(|at| at <= now) {
                    client.turn(now);
                }
            }
            drop(actors);
            let again = (0..self.engines.len()).any(|id| self.has_reason(id, now))
                || self.servers.iter().any(Server::has_events)
                || self.collector.iter().any(Collector::has_events)
                || self.clients.iter().any(Client::has_events);
            if !again || self.is_broken() {
                return;
            }
        }
    }

    fn has_reason(&self, id: usize, now: Instant) -> bool {
        self.busy[id] <= now && self.wants_turn(id, now)
    }

    fn wants_turn(&self, id: usize, now: Instant) -> bool {
        let (_, wire, park) = &self.engines[id];
        let due = match park {
            Park::Busy => true,
            Park::Until(at) => *at <= now,
            Park::Idle | Park::Done => false,
        };
        // Who has ended is not turned any more.
        if *park == Park::Done {
            return false;
        }
        due || wire.inner().pending() || wire.inner().inner().has_events()
    }

    fn turn(&mut self, id: usize, now: Instant) {
        let engines = self.stopwatch.within(Part::Engine);
        let (engine, wire, park) = &mut self.engines[id];
        *park = match self.tapes.get(id) {
            Some((tape, _)) => tape.turn(engine, wire, &mut self.notes, clock(now)).0,
            None => engine.turn(wire, &mut self.notes, clock(now)),
        };
        if let Some(told) = &mut self.notes.told
            && let Some(timeline) = &mut self.ledger.borrow_mut().timeline
        {
            let moments = told.drain(..).map(|(at, note)| Moment::of(at, id as u32, note));
            timeline.extend(moments);
        }
        let few = engine.sessions() <= AUDITED_SESSIONS;
        let rests = matches!(park, Park::Idle | Park::Done);
        if few || rests || self.turns_count.is_multiple_of(self.audit_every) {
            // With debug assertions each turn ends with its audit.
            if !cfg!(debug_assertions) {
                engine.audit();
            }
            wire.also(|digest| {
                engine.digest(digest);
                self.shared.digest(digest);
            });
        }
        drop(engines);
        self.turns_count += 1;
        if self.knobs.sluggish_us > 0 {
            let nap = u64::from(self.rng.below(self.knobs.sluggish_us as u32 + 1));
            self.busy[id] = now + Duration::from_micros(nap);
        }
        if self.watch.turns {
            let mut digest = wire.digest();
            digest.number(self.notes.digest.value());
            self.turns.push(digest.value());
        }
        if let Park::Until(at) = *park
            && at <= now
        {
            self.violated("A7", format!("engine {id} sleeps until {at:?}, which is over"));
        }
        let _auditor = self.stopwatch.within(Part::Auditor);
        let lines = self.net.datagrams(self.logs);
        if !lines.is_empty() {
            let mut ledger = self.ledger.borrow_mut();
            for line in lines {
                auditor::log_line(&mut ledger, &self.knobs, &String::from_utf8_lossy(&line));
            }
        }
        if let Err(detail) = auditor::limits(&self.shared, &self.knobs) {
            self.violated("A11", detail);
        }
    }

    fn cause_trouble(&mut self, now: Instant) {
        while let Some((at, trouble)) = self.faults.first().copied()
            && at <= now
        {
            self.faults.remove(0);
            self.ledger.borrow_mut().note(Host::Network, || format!("trouble: {trouble:?}"));
            match trouble {
                Trouble::Cut(from, to) => self.net.cut(from, to),
                Trouble::Silence(host) => self.net.silence(host),
                Trouble::Heal => self.net.heal(),
                Trouble::Restart(host) => self.net.restart(host),
                Trouble::Refuse(server) => self.servers[server].refuse(),
                Trouble::Listen(server) => self.servers[server].listen(),
                Trouble::Stop => self.signal(),
            }
        }
    }

    fn signal(&mut self) {
        self.stopped = true;
        for (id, (engine, _, park)) in self.engines.iter_mut().enumerate() {
            match self.tapes.get(id) {
                Some((tape, _)) => tape.signal(engine, Signal::SoftStop),
                None => engine.signal(Signal::SoftStop),
            }
            *park = Park::Busy;
        }
    }

    fn violated(&mut self, invariant: &'static str, detail: String) {
        self.ledger.borrow_mut().violated(invariant, detail);
    }

    fn is_broken(&self) -> bool {
        !self.ledger.borrow().violations.is_empty()
    }

    fn outcome(mut self) -> Outcome {
        let recordings = self.recordings();
        let ledger = self.ledger.borrow();
        let mut digest = ledger.digest;
        let mut injected = Injected::default();
        for (_, wire, _) in &self.engines {
            digest.number(wire.digest().value());
            digest.number(wire.calls());
            injected.add(wire.inner().injected());
        }
        digest.number(self.notes.digest.value());
        digest.number(self.net.now().as_nanos());
        digest.number(self.turns_count);
        let answered =
            ledger.entries.values().filter(|e| matches!(e.fate, ledger::Fate::Answered(_))).count();
        Outcome {
            violation: ledger.violations.first().cloned(),
            digest: digest.value(),
            turns: core::mem::take(&mut self.turns),
            turns_count: self.turns_count,
            answered: answered as u64,
            requests: ledger.entries.len() as u64,
            time: self.net.now().since(Instant::START),
            net: self.net.counts(),
            injected,
            timeline: Vec::new(),
            recordings,
            spent: Spent::default(),
        }
    }
}

impl World {
    /// Ends the recordings.
    fn recordings(&mut self) -> Vec<Vec<u8>> {
        let tapes = core::mem::take(&mut self.tapes);
        let ends =
            tapes.into_iter().zip(&mut self.engines).map(|((tape, reel), (engine, _, park))| {
                let done = *park == Park::Done;
                tape.finish(engine, if done { Finish::Done } else { Finish::Stopped });
                reel.lock().map(|mut bytes| core::mem::take(&mut *bytes)).unwrap_or_default()
            });
        ends.collect()
    }
}

fn clock(now: Instant) -> Now {
    Now { mono: now, wall: Wall::from_nanos(WALL_START + now.as_nanos()) }
}

fn limits(k: &Knobs) -> Limits {
    // The listeners, the sinks and what forwards a ring must open, and one client with one server must always fit.
    let standing = k.engines as usize * 2 + 4 + k.rules as usize;
    Limits {
        send_buffer: k.send_buffer as usize,
        window: k.window as usize,
        segment: k.segment as usize,
        latency: Duration::from_micros(k.latency_us),
        jitter: Duration::from_micros(k.jitter_us),
        bandwidth: k.bandwidth,
        descriptors: if k.descriptors == 0 { 0 } else { k.descriptors as usize + standing },
        ports: k.ports as usize,
        backlog: k.backlog as usize,
        stale: k.stale as u32,
        loss: k.loss as u32,
        narrow_events: k.narrow == 1,
    }
}

fn ratios(k: &Knobs) -> Ratios {
    Ratios {
        short_read: k.short_read as u32,
        short_write: k.short_write as u32,
        balk: k.balk as u32,
        duplicate: k.duplicate as u32,
        late: k.late as u32,
        accept_fails: k.accept_fails as u32,
        connect_fails: k.connect_fails as u32,
    }
}

/// When what goes wrong, in order.
fn schedule(k: &Knobs, rng: &mut Rng, proxy: HostId, hosts: &[HostId]) -> Vec<(Instant, Trouble)> {
    let mut all = Vec::new();
    let at = |rng: &mut Rng| Duration::from_millis(u64::from(rng.below(12_000)));
    let lasts = |rng: &mut Rng| Duration::from_millis(u64::from(rng.below(9_000)));
    let servers = &hosts[..k.servers as usize];
    let one = |rng: &mut Rng, of: &[HostId]| of[rng.below(of.len() as u32) as usize];
    for _ in 0..k.cuts {
        let begin = Instant::START + at(rng);
        let other = one(rng, hosts);
        match rng.below(3) {
            0 => all.push((begin, Trouble::Cut(proxy, other))),
            1 => all.push((begin, Trouble::Cut(other, proxy))),
            _ => all
                .extend([(begin, Trouble::Cut(proxy, other)), (begin, Trouble::Cut(other, proxy))]),
        }
        all.push((begin + lasts(rng), Trouble::Heal));
    }
    for _ in 0..k.silences {
        let begin = Instant::START + at(rng);
        all.push((begin, Trouble::Silence(one(rng, hosts))));
        all.push((begin + lasts(rng), Trouble::Heal));
    }
    for _ in 0..k.restarts {
        all.push((Instant::START + at(rng), Trouble::Restart(one(rng, servers))));
    }
    for _ in 0..k.refusals {
        let begin = Instant::START + at(rng);
        let server = rng.below(k.servers as u32) as usize;
        all.push((begin, Trouble::Refuse(server)));
        all.push((begin + lasts(rng), Trouble::Listen(server)));
    }
    if k.stop == 1 {
        all.push((Instant::START + at(rng), Trouble::Stop));
    }
    all.sort_by_key(|(at, _)| *at);
    all
}
