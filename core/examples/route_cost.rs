//! What a request costs that a map sends to one of many backends, in instructions:
//!
//! ```text
//! cargo build --release -p tidegate-core --example route_cost
//! valgrind --tool=callgrind --callgrind-out-file=cost.out target/release/examples/route_cost
//! callgrind_annotate --inclusive=yes --threshold=100 cost.out | grep -E '(few|many)::(load|exchange)'
//! ```
//!
//! `load` is called once for each site and `exchange` [`ROUNDS`] times; divide by that. What the
//! scripted network costs is in it, and is the same for both.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{MapHost, Source};
use tidegate_core::engine::{Engine, Park, Setup};
use tidegate_core::proxy::shared::Shared;
use tidegate_core::proxy::spec::Site;
use tidegate_core::rng::Seed;
use tidegate_core::script::{Script, Wire};
use tidegate_core::time::{Instant, Now, Wall};

const ROUNDS: usize = 1000;

const NOW: Now = Now { mono: Instant::START, wall: Wall::from_nanos(1_795_348_800_000_000_000) };

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A configuration of so many backends with a server each, and what its map of hosts is read from.
fn config(backends: usize, hosts: usize) -> (Source, MapHost) {
    let mut text = String::from(
        "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
         frontend f\n bind 127.0.0.1:80\n use_backend %[req.hdr(host),lower,map(hosts.map,b0)]\n",
    );
    for n in 0..backends {
        let (high, low) = (n / 250, n % 250);
        let _ = write!(text, "backend b{n}\n server s 10.0.{high}.{low}:80\n");
    }
    let lines = (0..hosts).map(|n| format!("host{n}.example b{}\n", n % backends));
    let lines: String = lines.collect();
    let mut host = MapHost::default();
    host.files.insert("hosts.map".into(), lines.into_bytes());
    (Source::new("cost.cfg", text), host)
}

/// An engine with one client, and one connection to a server.
struct Play {
    net: Script,
    engine: Engine,
    client: Wire,
    server: Wire,
    request: Vec<u8>,
}

impl Play {
    /// The client asks for the last host of the map; a first exchange has been made.
    fn new(site: Site, hosts: usize) -> Play {
        let site = Arc::new(site);
        let shared = Arc::new(Shared::new(&site, 1));
        let mut engine =
            Engine::new(Setup { site, shared, id: 0, engines: 1, seed: Seed(7), pid: 1 });
        let mut net = Script::default();
        engine.start(&mut net, NOW).expect("it starts");
        let client = net.connect(0);
        let host = hosts - 1;
        let request = format!("GET / HTTP/1.1\r\nHost: HOST{host}.example\r\n\r\n").into_bytes();
        let mut play = Play { net, engine, client, server: client, request };
        play.net.push(client, &play.request);
        play.turns();
        let (server, to) = play.net.dialled().expect("the request leads to a server");
        println!("host{host}.example leads to {to:?}");
        play.net.establish(server);
        play.server = server;
        play.turns();
        play.answer();
        play
    }

    fn turns(&mut self) {
        while self.engine.turn(&mut self.net, &mut (), NOW) == Park::Busy || self.net.has_events(0)
        {
        }
    }

    fn answer(&mut self) {
        assert!(!self.net.sent(self.server).is_empty(), "the server gets the request");
        self.net.push(self.server, RESPONSE);
        self.turns();
        assert!(!self.net.sent(self.client).is_empty(), "the client gets the answer");
    }
}

/// Sites of their own functions, so that each has its own account.
macro_rules! sites {
    ($($name:ident: $backends:literal $hosts:literal,)*) => {
        $(mod $name {
            use super::*;

            #[inline(never)]
            fn load(source: Source, host: &MapHost) -> Site {
                let built = build(black_box(&[source]), &CliOverrides::default(), host);
                built.expect("the configuration is right").0
            }

            #[inline(never)]
            fn exchange(play: &mut Play) -> usize {
                play.net.push(play.client, &play.request);
                play.turns();
                play.answer();
                black_box($hosts)
            }

            pub fn measure() {
                let (source, host) = config($backends, $hosts);
                let mut play = Play::new(load(source, &host), $hosts);
                for _ in 0..ROUNDS {
                    exchange(&mut play);
                }
            }
        })*

        fn main() {
            $($name::measure();)*
        }
    };
}

sites! {
    few: 10 10,
    many: 10_000 100_000,
}
