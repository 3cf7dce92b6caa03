//! What both machines have in common: an engine in a small network, turned only when it has a
//! reason.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed};
use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{MapHost, Source};
use tidegate_core::engine::{Engine, Park, Setup, Signal};
use tidegate_core::poller::{Address, ConnectSpec, ListenSpec, Poller, Sock};
use tidegate_core::proxy::shared::Shared;
use tidegate_core::rng::Seed;
use tidegate_core::time::{Duration, Instant, Now, Wall};
use tidegate_sim::chaos::{Chaos, Ratios};
use tidegate_sim::memnet::{Limits, Net, Port};

pub const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));

/// What the network and the engine are like.
#[derive(Clone, Debug)]
pub struct World {
    pub seed: u64,
    pub limits: Limits,
    pub ratios: Ratios,
    pub bufsize: u32,
    pub splice: bool,
    /// The client acts before the server's connection is there.
    pub early: bool,
}

pub fn world() -> impl Strategy<Value = World> {
    let sizes = (1..60_000_usize, 1..60_000_usize, 1..5_000_usize, 0..400_u64);
    let limits = (sizes, any::<bool>()).prop_map(|(sizes, narrow_events)| {
        let (send_buffer, window, segment, jitter) = sizes;
        let jitter = Duration::from_micros(jitter);
        // So small pieces that all of it takes no time.
        let segment = segment.max(window / 100);
        Limits { send_buffer, window, segment, jitter, narrow_events, ..Limits::default() }
    });
    let ratios = (0..300_u32, 0..300_u32, 0..300_u32, 0..300_u32).prop_map(
        |(short_read, short_write, balk, late)| Ratios {
            short_read,
            short_write,
            balk,
            late,
            duplicate: late,
            ..Ratios::default()
        },
    );
    let engine = (prop_oneof![Just(2_048), Just(16_384)], any::<bool>(), any::<bool>());
    (any::<u64>(), limits, ratios, engine).prop_map(|(seed, limits, ratios, engine)| {
        let (bufsize, splice, early) = engine;
        World { seed, limits, ratios, bufsize, splice, early }
    })
}

/// A quiet world, for tests of the models themselves.
pub fn plain() -> World {
    World {
        seed: 1,
        limits: Limits::default(),
        ratios: Ratios::default(),
        bufsize: 16_384,
        splice: false,
        early: false,
    }
}

/// The same cases in every run; a failure is kept and tried first in the next.
pub fn cases(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(20_261_124),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource(
            "proptest-regressions",
        ))),
        ..Config::default()
    }
}

/// A network with an engine in it, and its host's neighbours.
pub struct Bench {
    pub net: Net,
    pub engine: Engine,
    pub client: Port,
    pub server: Port,
    pub listener: Sock,
    wire: Chaos<Port>,
    park: Park,
    shared: Arc<Shared>,
}

impl Bench {
    /// An engine of that configuration: it listens on port 80, and so does the server.
    pub fn new(world: &World, config: &str) -> Bench {
        let text =
            format!("global\ntune.bufsize {}\ntune.maxrewrite 512\n{config}\n", world.bufsize);
        let source = Source::new("session.cfg", text.as_str());
        let (mut site, _) = build(&[source], &CliOverrides::default(), &MapHost::default())
            .unwrap_or_else(|errors| panic!("{text}\n{errors:#?}"));
        site.tunables.recv_size = world.bufsize;
        let site = Arc::new(site);
        let net = Net::new(Seed(world.seed), world.limits);
        let [proxy, server, client] = [("proxy", PROXY), ("server", SERVER), ("client", CLIENT)]
            .map(|(n, at)| net.host(n, at));
        let port = net.port(proxy, 0);
        port.bind(0, Address::Inet(SocketAddr::new(PROXY, 80)));
        let mut wire = Chaos::new(port, Seed(world.seed).split("chaos"), world.ratios);
        let shared = Arc::new(Shared::new(&site, 1));
        let mut engine = Engine::new(Setup {
            site,
            shared: Arc::clone(&shared),
            id: 0,
            engines: 1,
            seed: Seed(world.seed),
            pid: 1,
        });
        engine.start(&mut wire, clock(&net)).expect("it starts");
        let [client, mut server] = [client, server].map(|host| net.port(host, 1 + host));
        server.bind(0, Address::Inet(SocketAddr::new(SERVER, 80)));
        let listener = server.listen(&ListenSpec { listener: 0 }).expect("it listens");
        Bench { net, engine, client, server, listener, wire, park: Park::Busy, shared }
    }

    /// The client connects.
    pub fn dial(&mut self) -> Sock {
        let to = Address::Inet(SocketAddr::new(PROXY, 80));
        let spec = ConnectSpec { to: &to, from: None, options: &[] };
        self.client.connect(&spec).expect("it connects")
    }

    /// Lets time pass; `each` is asked at every moment at which something happened.
    pub fn pass(&mut self, micros: u64, mut each: impl FnMut(&mut Bench)) {
        let end = self.net.now() + Duration::from_micros(micros);
        loop {
            let mut still = 0;
            while self.wants_turn() {
                self.park = self.engine.turn(&mut self.wire, &mut (), clock(&self.net));
                self.engine.audit();
                still += 1;
                assert!(still < 10_000, "it spins");
            }
            each(self);
            let due = match self.park {
                Park::Until(at) => Some(at),
                _ => None,
            };
            let next = [due, self.net.next_event()].into_iter().flatten().min();
            match next.filter(|at| *at <= end) {
                Some(at) => self.net.advance_to(at.max(self.net.now())),
                None => break,
            }
        }
        self.net.advance_to(end);
        // Nobody else looks at what is announced to the peers.
        for port in [&mut self.client, &mut self.server] {
            port.harvest(&mut Vec::new());
        }
    }

    fn wants_turn(&self) -> bool {
        let due = match self.park {
            Park::Busy => true,
            Park::Until(at) => at <= self.net.now(),
            Park::Idle => false,
            Park::Done => return false,
        };
        due || self.wire.pending() || self.wire.inner().has_events()
    }

    /// Both peers have left: nothing must remain.
    pub fn stop(mut self) {
        self.pass(1_000_000, |_| {});
        assert_eq!((self.engine.clients(), self.engine.sessions()), (0, 0), "somebody is left");
        self.engine.signal(Signal::SoftStop);
        self.park = Park::Busy;
        self.pass(1_000_000, |_| {});
        assert_eq!(self.park, Park::Done);
        self.shared.audit();
        assert!(self.shared.is_idle());
        assert_eq!(self.net.open(0), 0, "{}", self.net.list_open(0));
    }
}

fn clock(net: &Net) -> Now {
    let mono = net.now();
    Now { mono, wall: Wall::from_nanos(mono.since(Instant::START).as_nanos()) }
}
