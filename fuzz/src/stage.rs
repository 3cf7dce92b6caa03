//! An engine on the core's scripted poller, as strict a host as there can be: it is turned only for
//! an event, a notification, a signal, or a moment that it asked for, and audited after every turn.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{MapHost, Source};
use tidegate_core::engine::{Engine, Park, Setup, Signal};
use tidegate_core::poller::Address;
use tidegate_core::proxy::shared::Shared;
use tidegate_core::proxy::spec::{Site, Tunables};
use tidegate_core::rng::Seed;
use tidegate_core::script::{Script, Wire};
use tidegate_core::time::{Duration, Instant, Now, Wall};

/// 2026-11-22T12:00:00Z.
const WALL_START: u64 = 1_795_348_800_000_000_000;
/// Turns at one moment in which nothing moves, beyond which an engine spins.
const STILL_MAX: u32 = 8;

/// Sizes so small that every limit is met.
pub fn tiny(t: &mut Tunables) {
    t.bufsize = 1_024;
    t.maxrewrite = 256;
    t.recv_size = 1_024;
    t.forward_size = 2_048;
    t.pipesize = 4_096;
    t.reads_max = 1;
    t.maxaccept = 1;
    t.runqueue_depth = 1;
    t.linger_bytes_max = 2_000;
    t.lingering_max = 2;
    t.idle_max = 2;
}

/// Engines on a script.
pub struct Stage {
    /// Where their peers are.
    pub net: Script,
    /// What they share.
    pub shared: Arc<Shared>,
    /// What they serve.
    pub site: Arc<Site>,
    engines: Vec<Engine>,
    parks: Vec<Park>,
    now: Instant,
}

impl Stage {
    /// Engines for a configuration, started and settled.
    ///
    /// # Panics
    ///
    /// If there is something wrong with the configuration.
    pub fn new(config: &str, engines: u32, tune: impl FnOnce(&mut Tunables)) -> Stage {
        let host = MapHost::default();
        let built = build(&[Source::new("t.cfg", config)], &CliOverrides::default(), &host);
        let (mut site, _) = built.unwrap_or_else(|errors| panic!("{config}\n{errors:#?}"));
        tune(&mut site.tunables);
        let site = Arc::new(site);
        let shared = Arc::new(Shared::new(&site, engines));
        let engine = |id| {
            let (site, shared) = (Arc::clone(&site), Arc::clone(&shared));
            Engine::new(Setup { site, shared, id, engines, seed: Seed(7), pid: 1 })
        };
        let mut net = Script::default();
        net.bound = (site.listeners.iter())
            .map(|listener| match listener.address {
                Address::Inet(at) => at,
                _ => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080),
            })
            .collect();
        let mut engines: Vec<Engine> = (0..engines).map(engine).collect();
        for (id, engine) in engines.iter_mut().enumerate() {
            net.engine = id as u32;
            engine.start(&mut net, clock(Instant::START)).expect("it starts");
        }
        let parks = vec![Park::Busy; engines.len()];
        let mut stage = Stage { net, shared, site, engines, parks, now: Instant::START };
        stage.turns();
        stage
    }

    /// Turns every engine that has a reason until none has.
    ///
    /// # Panics
    ///
    /// If an audit fails, or an engine spins.
    pub fn turns(&mut self) {
        let (mut still, mut before) = (0, self.net.progress);
        while let Some(id) = (0..self.engines.len()).find(|&id| self.has_reason(id)) {
            let Stage { net, engines, parks, now, .. } = self;
            net.engine = id as u32;
            net.notified.retain(|engine| *engine != id as u32);
            parks[id] = engines[id].turn(net, &mut (), clock(*now));
            engines[id].audit();
            if let Park::Until(at) = parks[id] {
                assert!(at > *now, "engine {id} sleeps until {at:?}, which is over");
            }
            still = if self.net.progress == before { still + 1 } else { 0 };
            assert!(still < STILL_MAX, "engine {id} spins: {:?}", self.net.calls);
            before = self.net.progress;
        }
        self.shared.audit();
    }

    fn has_reason(&self, id: usize) -> bool {
        let due = match self.parks[id] {
            Park::Busy => true,
            Park::Until(at) => at <= self.now,
            Park::Idle | Park::Done => false,
        };
        due || self.net.has_events(id as u32) || self.net.notified.contains(&(id as u32))
    }

    /// Lets time pass, stopping wherever an engine asked to be woken.
    pub fn advance(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        self.turns();
        while self.now < end {
            let asked = self.parks.iter().filter_map(|park| match park {
                Park::Until(at) => Some(*at),
                _ => None,
            });
            self.now = asked.min().unwrap_or(end).min(end);
            self.turns();
        }
    }

    /// A signal for all.
    pub fn signal(&mut self, signal: Signal) {
        for (engine, park) in self.engines.iter_mut().zip(&mut self.parks) {
            engine.signal(signal);
            *park = Park::Busy;
        }
        self.turns();
    }

    /// A new client, if the engines listen on sockets of their own, of the one with that number.
    pub fn client(&mut self, number: usize) -> Wire {
        match self.site.listeners[0].address.is_inet() {
            true => self.net.connect_to(0, (number % self.engines.len()) as u32),
            false => self.net.connect(0),
        }
    }

    /// Every peer ends and takes whatever comes; `hear` is called after each round. Then nothing
    /// may be left but listeners and sinks, and after a soft stop not even those.
    ///
    /// # Panics
    ///
    /// If something is left.
    pub fn finish(&mut self, mut hear: impl FnMut(&mut Script, Option<Wire>)) {
        self.net.shortage = None;
        self.net.fds_max = 0;
        for _ in 0..100 {
            let open = self.net.connections();
            let clients: usize = self.engines.iter().map(Engine::clients).sum();
            if open.is_empty() && clients == 0 {
                break;
            }
            for wire in open {
                self.net.window(wire, usize::MAX);
                hear(&mut self.net, Some(wire));
                self.net.end(wire);
            }
            self.turns();
            hear(&mut self.net, None);
            self.advance(60_000);
            hear(&mut self.net, None);
        }
        let sessions: usize = self.engines.iter().map(Engine::sessions).sum();
        let clients: usize = self.engines.iter().map(Engine::clients).sum();
        assert_eq!((sessions, clients), (0, 0), "sessions and clients left");
        assert_eq!(self.net.open(), self.net.standing(), "sockets left");
        assert!(self.shared.is_idle(), "something is held: {:#?}", self.shared);
        assert_eq!(self.shared.left(&self.site), [], "gauges left");
        self.signal(Signal::SoftStop);
        assert!(self.parks.iter().all(|park| *park == Park::Done), "{:?}", self.parks);
    }
}

fn clock(now: Instant) -> Now {
    Now { mono: now, wall: Wall::from_nanos(WALL_START + now.as_nanos()) }
}
