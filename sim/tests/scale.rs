//! The network with many in it, and with nothing going on: what is there costs memory, what happens
//! costs a little, and time costs nothing.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::io::IoSlice;
use std::sync::Arc;

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{MapHost, Source};
use tidegate_core::engine::{Engine, Park, Setup, Signal};
use tidegate_core::poller::{
    Accepted, Address, Close, ConnectSpec, Io, ListenSpec, More, Poller, Sock,
};
use tidegate_core::proxy::shared::Shared;
use tidegate_core::rng::Seed;
use tidegate_core::time::{Duration, Instant, Now, Wall};
use tidegate_sim::memnet::{Limits, Net, Port};

const HOSTS: u32 = 1_000;
const EACH: usize = 10;
const ALL: usize = HOSTS as usize * EACH;
const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 80);
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 80);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Town {
    net: Net,
    engine: Engine,
    wire: Port,
    park: Park,
    turns: u64,
    clients: Vec<(Port, Vec<Sock>)>,
    server: Port,
    listener: Sock,
}

impl Town {
    fn new() -> Town {
        let text = format!(
            "global\nmaxconn 20000\ndefaults\nmode http\ntimeout connect 1h\ntimeout client 2d\ntimeout server 1h\n\
             timeout http-keep-alive 2d\nlisten l\nbind {PROXY}\nserver s {SERVER}\n"
        );
        let source = Source::new("town.cfg", text.as_str());
        let (site, _) = build(&[source], &CliOverrides::default(), &MapHost::default())
            .unwrap_or_else(|errors| panic!("{text}\n{errors:#?}"));
        let site = Arc::new(site);
        let net = Net::new(Seed(1), Limits { backlog: ALL, ..Limits::default() });
        let proxy = net.host("proxy", PROXY.ip());
        let server = net.host("server", SERVER.ip());
        let mut wire = net.port(proxy, 0);
        wire.bind(0, Address::Inet(PROXY));
        let shared = Arc::new(Shared::new(&site, 1));
        let mut engine =
            Engine::new(Setup { site, shared, id: 0, engines: 1, seed: Seed(1), pid: 1 });
        engine.start(&mut wire, clock(&net)).expect("it starts");
        let mut server = net.port(server, 1);
        server.bind(0, Address::Inet(SERVER));
        let listener = server.listen(&ListenSpec { listener: 0 }).expect("it listens");
        let clients = (0..HOSTS)
            .map(|n| {
                let at = IpAddr::V4(Ipv4Addr::from_bits(0x0a01_0000 + n));
                let host = net.host(&format!("c{n}"), at);
                (net.port(host, 2 + n), Vec::new())
            })
            .collect();
        Town { net, engine, wire, park: Park::Busy, turns: 0, clients, server, listener }
    }

    /// Goes on for as long as anything happens, at most until then.
    fn run(&mut self, end: Instant) {
        loop {
            let due = match self.park {
                Park::Busy => true,
                Park::Until(at) => at <= self.net.now(),
                Park::Idle | Park::Done => false,
            };
            if self.park != Park::Done && (due || self.wire.has_events()) {
                self.park = self.engine.turn(&mut self.wire, &mut (), clock(&self.net));
                self.turns += 1;
                continue;
            }
            let due = match self.park {
                Park::Until(at) => Some(at),
                _ => None,
            };
            match [due, self.net.next_event()].into_iter().flatten().min() {
                Some(at) if at <= end => self.net.advance_to(at),
                _ => break,
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.net.now() + time;
        self.run(end);
        self.net.advance_to(end);
    }
}

fn clock(net: &Net) -> Now {
    let mono = net.now();
    Now { mono, wall: Wall::from_nanos(mono.since(Instant::START).as_nanos()) }
}

fn read(port: &mut Port, sock: Sock) -> Vec<u8> {
    let (mut all, mut block) = (Vec::new(), [0; 1_000]);
    while let Io::Done(n) = port.recv(sock, &mut block) {
        all.extend_from_slice(&block[..n]);
    }
    all
}

#[test]
fn a_thousand_hosts_with_ten_thousand_connections_and_then_a_day_of_quiet() {
    let mut town = Town::new();
    let second = Duration::from_secs(1);
    let to = Address::Inet(PROXY);
    let spec = ConnectSpec { to: &to, from: None, options: &[] };
    for (port, socks) in &mut town.clients {
        socks.extend((0..EACH).map(|_| port.connect(&spec).expect("it connects")));
    }
    town.run_for(second);
    assert_eq!(town.engine.clients(), ALL);

    // All of them ask before any of them is answered.
    for (port, socks) in &mut town.clients {
        for sock in socks {
            let request = [IoSlice::new(b"GET / HTTP/1.1\r\nHost: town\r\n\r\n")];
            assert!(matches!(port.send(*sock, &request, More::No), Io::Done(_)));
        }
    }
    town.run_for(second);
    assert_eq!(town.engine.sessions(), ALL);
    let mut served = Vec::new();
    while let Accepted::One { sock, .. } = town.server.accept(town.listener) {
        served.push(sock);
    }
    assert_eq!(served.len(), ALL);
    for sock in served {
        assert!(read(&mut town.server, sock).starts_with(b"GET / HTTP/1.1\r\n"));
        let answer = [IoSlice::new(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntown")];
        assert!(matches!(town.server.send(sock, &answer, More::No), Io::Done(_)));
    }
    town.run_for(second);
    for (port, socks) in &mut town.clients {
        for sock in socks {
            assert!(read(port, *sock).ends_with(b"\r\n\r\ntown"));
        }
    }
    assert_eq!((town.engine.clients(), town.engine.sessions()), (ALL, 0));

    // A little while each connection: nothing was gone through for each of the others.
    let events = town.net.counts().events;
    assert!(events < 20 * ALL as u64, "{events} events");

    // Idle connections to the server are let go first; then there is nothing to do.
    town.run_for(Duration::from_secs(600));
    let (turns, events) = (town.turns, town.net.counts().events);
    town.run_for(DAY);
    let (turns, events) = (town.turns - turns, town.net.counts().events - events);
    assert!(turns <= 24 && events <= 24, "{turns} turns and {events} events in a day of quiet");
    assert_eq!(town.engine.clients(), ALL);

    for (port, socks) in &mut town.clients {
        socks.drain(..).for_each(|sock| port.close(sock, Close::Graceful));
    }
    town.run_for(second);
    town.engine.signal(Signal::SoftStop);
    town.park = Park::Busy;
    town.run_for(second);
    assert_eq!((town.park, town.engine.clients(), town.net.open(0)), (Park::Done, 0, 0));
}
