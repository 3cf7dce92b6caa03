//! The `Poller` contract on MemNet, plain and as bad as it can be, and on Chaos over it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use tidegate_core::poller::{Address, Event, Poller, Sock};
use tidegate_core::rng::Seed;
use tidegate_core::time::Duration;
use tidegate_sim::chaos::{Chaos, Ratios};
use tidegate_sim::memnet::{HostId, Limits, Net, Port};
use tidegate_tests::contract::{Bench, Course, Harness, LISTENERS, Scarce, Setting, Urgent, drive};
use tidegate_tests::contract_tests;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// Seeds that each test is run with.
const SEEDS: u64 = 3;

/// The network and the one host in it.
struct Lan {
    net: Net,
    host: HostId,
    unix: bool,
}

impl Lan {
    fn new(setting: Setting, seed: u64, limits: Limits) -> (Lan, [Port; 2]) {
        let net = Net::new(Seed(seed), limits);
        let host = net.host("host", HERE);
        let lan = Lan { net, host, unix: setting.unix };
        let ports = [0, 1].map(|engine| lan.net.port(host, engine));
        for listener in 0..LISTENERS {
            ports[0].bind(listener, lan.address(listener));
        }
        (lan, ports)
    }

    fn address(&self, listener: u32) -> Address {
        match self.unix {
            true => Address::Unix(format!("/run/{listener}.sock").into()),
            false => Address::Inet(SocketAddr::new(HERE, 80 + listener as u16)),
        }
    }

    /// Goes on to the next thing that happens. False if nothing does.
    fn go_on(&self) -> bool {
        let next = self.net.next_event();
        next.inspect(|at| self.net.advance_to(*at)).is_some()
    }

    /// Lets all that is on its way arrive; what is tried again and again is left alone.
    fn settle(&self) {
        self.net.advance_to(self.net.now() + Duration::from_millis(150));
    }

    fn mark(&self) {
        self.settle();
        self.net.urge(self.host);
    }
}

/// Small, slow and uneven.
fn narrow() -> Limits {
    Limits {
        send_buffer: 3_000,
        window: 1_000,
        segment: 700,
        jitter: Duration::from_micros(400),
        bandwidth: 50_000_000,
        stale: 500,
        narrow_events: true,
        ..Limits::default()
    }
}

fn harvest(port: &mut impl Poller) -> Vec<Event> {
    let mut events = Vec::new();
    port.harvest(&mut events);
    events
}

macro_rules! memnet {
    ($name:ident, $limits:expr, $bulk:expr) => {
        struct $name {
            lan: Lan,
            ports: [Port; 2],
        }

        impl Harness for $name {
            type Net = Port;

            const BULK: usize = $bulk;

            fn run(setting: Setting, test: impl Fn(Bench<Self>) -> Course + 'static) {
                for seed in 0..SEEDS {
                    let (lan, ports) = Lan::new(setting, seed, $limits);
                    drive(test(Bench::new($name { lan, ports })));
                }
            }

            fn engine(&mut self, engine: u32) -> &mut Port {
                &mut self.ports[engine as usize]
            }

            fn address(&self, listener: u32) -> Address {
                self.lan.address(listener)
            }

            fn nobody(&self) -> Address {
                self.lan.address(LISTENERS)
            }

            async fn wait(&mut self, engine: u32) -> Option<Vec<Event>> {
                while !self.ports[engine as usize].has_events() {
                    if !self.lan.go_on() {
                        return None;
                    }
                }
                Some(harvest(self.engine(engine)))
            }

            fn glance(&mut self, engine: u32) -> Vec<Event> {
                harvest(self.engine(engine))
            }

            async fn settle(&mut self) {
                self.lan.settle();
            }
        }

        impl Scarce for $name {
            fn starve(&mut self, left: usize) {
                self.lan.net.leave_descriptors(self.lan.host, left);
            }
        }

        impl Urgent for $name {
            async fn send_around_mark(&mut self, near: Sock, before: &[u8], after: &[u8]) -> Sock {
                use std::io::IoSlice;
                use tidegate_core::poller::{Io, More};

                let slices = [IoSlice::new(before), IoSlice::new(after)];
                let sent = self.ports[0].send(near, &slices, More::No);
                assert_eq!(sent, Io::Done(before.len() + after.len()));
                self.lan.mark();
                near
            }
        }
    };
}

memnet!(Plain, Limits::default(), 1_000_000);
memnet!(Narrow, narrow(), 60_000);

/// Chaos over a narrow network.
struct Wild {
    lan: Lan,
    ports: [Chaos<Port>; 2],
}

const RATIOS: Ratios = Ratios {
    short_read: 300,
    short_write: 300,
    balk: 300,
    duplicate: 200,
    late: 300,
    accept_fails: 200,
    connect_fails: 200,
};

impl Harness for Wild {
    type Net = Chaos<Port>;

    const PROMPT: bool = false;
    const BULK: usize = 60_000;

    fn run(setting: Setting, test: impl Fn(Bench<Self>) -> Course + 'static) {
        for seed in 0..SEEDS {
            let (lan, ports) = Lan::new(setting, seed, narrow());
            let ports = ports.map(|port| Chaos::new(port, Seed(seed).split("chaos"), RATIOS));
            drive(test(Bench::new(Wild { lan, ports })));
        }
    }

    fn engine(&mut self, engine: u32) -> &mut Chaos<Port> {
        &mut self.ports[engine as usize]
    }

    fn address(&self, listener: u32) -> Address {
        self.lan.address(listener)
    }

    fn nobody(&self) -> Address {
        self.lan.address(LISTENERS)
    }

    async fn wait(&mut self, engine: u32) -> Option<Vec<Event>> {
        let port = &self.ports[engine as usize];
        while !port.pending() && !port.inner().has_events() {
            if !self.lan.go_on() {
                return None;
            }
        }
        Some(harvest(self.engine(engine)))
    }

    fn glance(&mut self, engine: u32) -> Vec<Event> {
        harvest(self.engine(engine))
    }

    async fn settle(&mut self) {
        self.lan.settle();
    }
}

contract_tests!(plain: Plain, unix: false, common hangups scarcity marks silence);
contract_tests!(plain_unix: Plain, unix: true, common hangups scarcity);
contract_tests!(narrow: Narrow, unix: false, common hangups scarcity marks);
contract_tests!(wild: Wild, unix: false, common);
contract_tests!(wild_unix: Wild, unix: true, common);
