//! The attacks: what a peer does, with how many bytes. Each is played to one engine on the scripted
//! poller, so that nothing but the proxy's own work is counted.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{MapHost, Source};
use tidegate_core::engine::{Engine, Park, Setup};
use tidegate_core::poller::Address;
use tidegate_core::proxy::shared::Shared;
use tidegate_core::rng::Seed;
use tidegate_core::script::{Script, Wire};
use tidegate_core::time::{Duration, Instant, Now, Wall};

const CONFIG: &str = "global
    tune.http.maxhdr 32767
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
listen l
    bind 127.0.0.1:80
    server s1 10.0.0.1:80
";

/// The size of a segment on most networks.
const SEGMENT: usize = 1_460;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What fits into a head.
const OF_HEAD: [usize; 4] = [1_750, 3_500, 7_000, 14_000];
const OF_STREAM: [usize; 4] = [16_000, 32_000, 64_000, 128_000];

/// Something that a peer does to make the proxy work for nothing.
pub struct Attack {
    pub name: &'static str,
    pub what: &'static str,
    /// Bytes that it sends, smallest first.
    pub sizes: [usize; 4],
    pub play: fn(&mut Host, usize),
}

pub const ALL: &[Attack] = &[
    Attack {
        name: "request-head",
        what: "a request head with one long field, byte by byte",
        sizes: OF_HEAD,
        play: |host, size| {
            let head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(size - 23));
            let c = host.client();
            host.send(c, head.as_bytes(), 1);
            host.server();
        },
    },
    Attack {
        name: "request-fields",
        what: "a request head with thousands of fields, byte by byte",
        sizes: OF_HEAD,
        play: |host, size| {
            let head = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(size / 6));
            let c = host.client();
            host.send(c, head.as_bytes(), 1);
            host.server();
        },
    },
    Attack {
        name: "request-odd-fields",
        what: "the same, spaced irregularly, in segments",
        sizes: OF_HEAD,
        play: |host, size| {
            let head = format!("GET / HTTP/1.1\r\n{}\r\n", "a:b \r\n".repeat(size / 6));
            let c = host.client();
            host.send(c, head.as_bytes(), SEGMENT);
            host.server();
        },
    },
    Attack {
        name: "request-lengths",
        what: "a request head that says its length over and over, byte by byte",
        sizes: OF_HEAD,
        play: |host, size| {
            let lines = "Content-Length: 0\r\n".repeat(size / 19);
            let c = host.client();
            host.send(c, format!("POST / HTTP/1.1\r\n{lines}\r\n").as_bytes(), 1);
            host.server();
        },
    },
    Attack {
        name: "response-head",
        what: "a response head with thousands of fields, byte by byte",
        sizes: OF_HEAD,
        play: |host, size| {
            let c = host.client();
            host.send(c, GET.as_bytes(), SEGMENT);
            let o = host.server();
            let fields = "a: b\r\n".repeat(size / 6);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
            host.send(o, head.as_bytes(), 1);
            assert!(host.heard(c) > size);
        },
    },
    Attack {
        name: "request-chunks",
        what: "a request's body in chunks of one byte, in segments",
        sizes: OF_STREAM,
        play: |host, size| {
            let c = host.client();
            host.send(c, CHUNKED.as_bytes(), SEGMENT);
            let o = host.server();
            host.send(c, "1\r\nx\r\n".repeat(size / 6).as_bytes(), SEGMENT);
            assert!(host.heard(o) > size - 6);
        },
    },
    Attack {
        name: "request-chunks-bytewise",
        what: "the same, byte by byte",
        sizes: OF_STREAM,
        play: |host, size| {
            let c = host.client();
            host.send(c, CHUNKED.as_bytes(), SEGMENT);
            let o = host.server();
            host.send(c, "1\r\nx\r\n".repeat(size / 6).as_bytes(), 1);
            assert!(host.heard(o) > size - 6);
        },
    },
    Attack {
        name: "response-chunks",
        what: "a response's body in chunks of one byte, in segments",
        sizes: OF_STREAM,
        play: |host, size| {
            let c = host.client();
            host.send(c, GET.as_bytes(), SEGMENT);
            let o = host.server();
            host.send(o, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", SEGMENT);
            host.send(o, "1\r\nx\r\n".repeat(size / 6).as_bytes(), SEGMENT);
            assert!(host.heard(c) > size - 6);
        },
    },
    Attack {
        name: "request-body",
        what: "a request's body of known length, a byte a second",
        sizes: OF_STREAM,
        play: |host, size| {
            let c = host.client();
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {size}\r\n\r\n");
            host.send(c, head.as_bytes(), SEGMENT);
            let o = host.server();
            for _ in 0..size {
                host.send(c, b"x", 1);
                host.wait(1_000);
            }
            assert!(host.heard(o) > size);
        },
    },
    Attack {
        name: "pipelining",
        what: "requests one behind the other, all of whose answers are read",
        sizes: OF_STREAM,
        play: |host, size| {
            let c = host.client();
            host.push(c, GET.repeat(size / GET.len()).as_bytes());
            let o = host.server();
            let mut served = 0;
            while host.heard(o) > 0 {
                served += 1;
                host.send(o, OK.as_bytes(), SEGMENT);
            }
            assert_eq!(served, size / GET.len());
        },
    },
    Attack {
        name: "pipelining-unread",
        what: "the same, and no answer is read",
        sizes: OF_STREAM,
        play: |host, size| {
            let c = host.client();
            host.net.window(c, 0);
            host.send(c, GET.as_bytes(), SEGMENT);
            let o = host.server();
            host.send(o, OK.as_bytes(), SEGMENT);
            host.send(c, GET.repeat(size / GET.len()).as_bytes(), SEGMENT);
            assert!(host.net.unread(c), "it is not all taken");
        },
    },
];

/// One engine, its peers and its clock.
pub struct Host {
    net: Script,
    engine: Engine,
    park: Park,
    now: Instant,
}

impl Host {
    pub fn start() -> Self {
        let built = build(
            &[Source::new("attacks.cfg", CONFIG)],
            &CliOverrides::default(),
            &MapHost::default(),
        );
        let (site, _) = built.unwrap_or_else(|errors| panic!("{errors:#?}"));
        let site = Arc::new(site);
        let shared = Arc::new(Shared::new(&site, 1));
        let mut net = Script::default();
        net.bound = vec![match site.listeners[0].address {
            Address::Inet(at) => at,
            _ => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 80),
        }];
        let mut engine =
            Engine::new(Setup { site, shared, id: 0, engines: 1, seed: Seed(7), pid: 1 });
        engine.start(&mut net, clock(Instant::START)).expect("it starts");
        let mut host = Self { net, engine, park: Park::Busy, now: Instant::START };
        host.turns();
        host
    }

    fn turns(&mut self) {
        while self.has_reason() {
            self.net.notified.clear();
            self.park = turn(&mut self.engine, &mut self.net, clock(self.now));
        }
    }

    fn has_reason(&self) -> bool {
        let due = match self.park {
            Park::Busy => true,
            Park::Until(at) => at <= self.now,
            Park::Idle | Park::Done => false,
        };
        due || self.net.has_events(0) || !self.net.notified.is_empty()
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.now < end {
            self.now = match self.park {
                Park::Until(at) => at.min(end),
                _ => end,
            };
            self.turns();
        }
    }

    fn client(&mut self) -> Wire {
        let wire = self.net.connect(0);
        self.turns();
        wire
    }

    fn server(&mut self) -> Wire {
        let (wire, _) = self.net.dialled().expect("a connection to the server");
        self.net.establish(wire);
        self.turns();
        wire
    }

    fn push(&mut self, wire: Wire, bytes: &[u8]) {
        self.net.push(wire, bytes);
        self.turns();
    }

    fn send(&mut self, wire: Wire, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            self.push(wire, piece);
        }
    }

    /// How much a peer received since this was last asked.
    fn heard(&mut self, wire: Wire) -> usize {
        self.net.sent(wire).len()
    }
}

/// What is counted: valgrind knows it by its name.
#[inline(never)]
fn turn(engine: &mut Engine, net: &mut Script, now: Now) -> Park {
    engine.turn(net, &mut (), now)
}

fn clock(now: Instant) -> Now {
    Now { mono: now, wall: Wall::from_nanos(1_795_348_800_000_000_000 + now.as_nanos()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attack_can_be_played() {
        for attack in ALL {
            (attack.play)(&mut Host::start(), attack.sizes[0]);
        }
    }
}
