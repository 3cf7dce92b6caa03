//! The `Poller` contract on turmoil. Not in it: an end announced before the data in front of it is
//! taken (one segment at a time is seen), urgent marks and unix sockets, which turmoil has not.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::{Context, Waker};
use std::rc::Rc;
use std::time::Duration;

use tidegate_core::poller::{Address, Event, Poller};
use tidegate_tests::contract::{Bench, Course, Harness, Scarce, Setting};
use tidegate_tests::contract_tests;

use super::builder;
use super::net::{Hub, TurmoilNet};

struct Loopback {
    hub: Rc<Hub>,
    engines: [TurmoilNet; 2],
}

const PORTS: [u16; 2] = [80, 81];

impl Harness for Loopback {
    type Net = TurmoilNet;

    const BULK: usize = 300_000;

    fn run(_setting: Setting, test: impl Fn(Bench<Self>) -> Course + 'static) {
        let mut sim = builder(1).build();
        sim.client("host", async move {
            let hub = Hub::new(2);
            let engines = [0, 1].map(|engine| TurmoilNet::new(&hub, engine, &PORTS, 1_000));
            tokio::task::unconstrained(test(Bench::new(Loopback { hub, engines }))).await;
            Ok(())
        });
        sim.run().expect("the test passes");
    }

    fn engine(&mut self, engine: u32) -> &mut TurmoilNet {
        &mut self.engines[engine as usize]
    }

    fn address(&self, listener: u32) -> Address {
        let port = PORTS[listener as usize];
        Address::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    fn nobody(&self) -> Address {
        Address::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 82))
    }

    async fn wait(&mut self, engine: u32) -> Option<Vec<Event>> {
        // In turmoil nobody knows whether anything will ever come.
        let net = self.engine(engine);
        let waiting = tokio::time::timeout(Duration::from_secs(5), net.wait());
        waiting.await.ok()?;
        let mut events = Vec::new();
        self.engine(engine).harvest(&mut events);
        Some(events)
    }

    fn glance(&mut self, engine: u32) -> Vec<Event> {
        let net = self.engine(engine);
        net.look(&mut Context::from_waker(Waker::noop()));
        let mut events = Vec::new();
        net.harvest(&mut events);
        events
    }

    async fn settle(&mut self) {
        // Connections are established by whoever waits.
        for engine in &mut self.engines {
            let _ = tokio::time::timeout(Duration::from_millis(3), engine.wait()).await;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

impl Scarce for Loopback {
    fn starve(&mut self, left: usize) {
        self.hub.leave_descriptors(left);
    }
}

contract_tests!(loopback: Loopback, unix: false, common scarcity);
