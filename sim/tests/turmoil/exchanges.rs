//! Exchanges through the proxy while the network, the servers and the proxy itself fail. Each run
//! is done twice, and must be the same to the last call.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{MapHost, Source};
use tidegate_core::engine::Counters;
use tidegate_core::rng::{Rng, Seed};
use tidegate_sim::chaos::Ratios;

use super::builder;
use super::host::{self, PORT, Proxy, Seen};
use super::peers::{self, Answer, Ask, Client, Told};

/// What a run is made with.
#[derive(Clone, Copy)]
struct Setting {
    seed: u64,
    engines: u32,
    servers: u32,
    /// More lines of the backend.
    backend: &'static str,
    segment: usize,
    chaos: bool,
}

impl Setting {
    fn new(seed: u64) -> Setting {
        let (engines, segment) = (1, 1_460);
        Setting { seed, engines, servers: 1, backend: "", segment, chaos: false }
    }
}

const CHAOS: Ratios = Ratios {
    short_read: 100,
    short_write: 100,
    balk: 100,
    duplicate: 50,
    late: 100,
    accept_fails: 0,
    connect_fails: 0,
};

/// What goes wrong, and when.
type Trouble = (u64, fn(&mut turmoil::Sim<'static>));

struct Stage {
    sim: turmoil::Sim<'static>,
    seen: Rc<Seen>,
    told: Told,
    seed: u64,
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
struct Happened {
    digest: u64,
    told: Vec<String>,
    lines: Vec<String>,
    counters: Counters,
    accepted: Vec<u64>,
}

impl Stage {
    fn new(setting: Setting) -> Stage {
        let mut sim = builder(setting.seed).build();
        let (seen, told): (Rc<Seen>, Told) = Default::default();
        let mut servers = String::new();
        for n in 1..=setting.servers {
            let name = format!("s{n}");
            servers += &format!("server {name} {}:80\n", sim.lookup(&*name));
            let told = Rc::clone(&told);
            let host = name.clone();
            sim.host(&*host, move || peers::serve(name.clone(), Rc::clone(&told)));
        }
        let text = format!(
            "global\nnoreuseport\nlog 127.0.0.1 local0\n\
             defaults\nmode http\nlog global\noption httplog\nretries 3\noption redispatch 1\n\
             timeout connect 1s\ntimeout client 3s\ntimeout server 2s\ntimeout queue 2s\n\
             timeout http-request 3s\ntimeout http-keep-alive 3s\n\
             frontend f\nbind :{PORT}\ndefault_backend b\n\
             backend b\n{}{servers}",
            setting.backend
        );
        let source = Source::new("turmoil.cfg", text.as_str());
        let (mut site, _) = build(&[source], &CliOverrides::default(), &MapHost::default())
            .unwrap_or_else(|errors| panic!("{text}\n{errors:#?}"));
        site.tunables.maxaccept = site.tunables.maxaccept.min(2);
        let ratios = if setting.chaos { CHAOS } else { Ratios::default() };
        let Setting { seed, engines, segment, .. } = setting;
        let proxy = Proxy { site: Arc::new(site), engines, seed, segment, ratios };
        let watch = Rc::clone(&seen);
        sim.host("proxy", move || host::serve(proxy.clone(), Rc::clone(&watch)));
        Stage { sim, seen, told, seed }
    }

    /// A client that does something and then leaves.
    fn client(&mut self, name: &'static str, does: impl AsyncFnOnce(&mut Client) + 'static) {
        let mut client = Client::new(name, &self.told);
        self.sim.client(name, async move {
            does(&mut client).await;
            client.leave().await;
            Ok(())
        });
    }

    /// Runs until all clients have left, causing trouble at its moments (in milliseconds); then
    /// until the proxy is at rest and has stopped in order.
    fn run(mut self, trouble: &[Trouble]) -> Happened {
        let mut trouble = trouble.iter().peekable();
        let mut done = false;
        while !done {
            let now = self.sim.elapsed().as_millis() as u64;
            while let Some((_, cause)) = trouble.next_if(|(at, _)| *at <= now) {
                cause(&mut self.sim);
            }
            done = self.sim.step().expect("nothing fails");
        }
        assert!(trouble.peek().is_none(), "the clients left before all trouble came");
        self.until("clients or sessions are left", |seen| {
            seen.clients.get() == 0 && seen.sessions.get() == 0
        });
        self.seen.stop();
        self.until("it does not end", |seen| seen.ended.get());
        // The one log target.
        let sinks = self.seen.accepted.borrow().len();
        assert!(self.seen.open.get() <= sinks, "{} sockets are left", self.seen.open.get());

        let mut digest = *self.seen.digest.borrow();
        let (told, lines) = (self.told.take(), self.seen.lines.take());
        for text in told.iter().chain(&lines) {
            digest.bytes(text.as_bytes());
        }
        digest.number(self.sim.elapsed().as_nanos() as u64);
        let counters = self.seen.counters.get();
        let accepted = self.seen.accepted.take();
        Happened { digest: digest.value(), told, lines, counters, accepted }
    }

    fn until(&mut self, otherwise: &str, is_so: impl Fn(&Seen) -> bool) {
        let end = self.sim.elapsed() + Duration::from_secs(10);
        while !is_so(&self.seen) {
            assert!(self.sim.elapsed() < end, "{otherwise}: {:#?}", self.told.borrow());
            self.sim.step().expect("nothing fails");
        }
    }
}

/// Runs it twice, the same to the last call.
fn twice(setting: Setting, run: impl Fn(Setting) -> Happened) -> Happened {
    let first = run(setting);
    let second = run(setting);
    assert_eq!(first.told, second.told);
    assert_eq!(first, second, "the same was seen, but what passed was not the same");
    first
}

/// The termination code of each exchange.
fn ends(happened: &Happened) -> Vec<&str> {
    let is_code =
        |word: &&str| word.len() == 4 && word.bytes().all(|b| b == b'-' || b.is_ascii_alphabetic());
    // The proxies' last words have none.
    happened.lines.iter().filter_map(|line| line.split(' ').skip(5).find(is_code)).collect()
}

#[test]
fn bodies_pass_both_ways() {
    for seed in 0..4 {
        let setting = Setting {
            engines: 1 + seed as u32 % 2,
            servers: 2,
            segment: [300, 1_460, 16_384, 65_536][seed as usize],
            chaos: seed >= 2,
            ..Setting::new(seed)
        };
        const REQUESTS: u32 = 6;
        let happened = twice(setting, |setting| {
            let mut stage = Stage::new(setting);
            for (n, name) in ["c0", "c1", "c2", "c3"].into_iter().enumerate() {
                let mut rng = Rng::new(Seed(stage.seed).split(name));
                stage.client(name, async move |client| {
                    for k in 0..REQUESTS {
                        let length = match rng.below(4) {
                            0 => rng.below(100),
                            1 => rng.below(3_000),
                            2 => rng.below(30_000),
                            _ => rng.below(150_000),
                        };
                        let ask = Ask::new(n as u32 * 100 + k, length as usize);
                        let ask = ask.chunked(rng.below(2) == 0).think(u64::from(rng.below(30)));
                        let answer = client.ask(&ask).await;
                        assert!(answer.is_echo(), "{answer:?}");
                    }
                });
            }
            stage.run(&[])
        });
        assert_eq!(ends(&happened), ["----"; 4 * REQUESTS as usize]);
        if setting.engines == 2 {
            // One engine has the listener, and hands connections on.
            assert_eq!(happened.accepted.iter().sum::<u64>(), 4, "{:?}", happened.accepted);
        }
        for server in ["s1", "s2"] {
            let of = format!("\"{server}\"");
            assert!(happened.told.iter().any(|line| line.contains(&of)), "{server} idles");
        }
    }
}

#[test]
fn runs_of_different_seeds_differ() {
    let digest = |seed| {
        let mut stage = Stage::new(Setting::new(seed));
        stage.client("c", async |client| {
            assert!(client.ask(&Ask::new(1, 10_000)).await.is_echo());
        });
        stage.run(&[]).digest
    };
    assert_ne!(digest(1), digest(2));
}

#[test]
fn connections_are_kept_on_both_sides() {
    let happened = twice(Setting::new(7), |setting| {
        let mut stage = Stage::new(setting);
        stage.client("c", async |client| {
            for id in 0..20 {
                let answer = client.ask(&Ask::new(id, id as usize * 10)).await;
                assert_eq!(answer, Answer::Echo { server: "s1".into(), connection: 1 });
                if id == 10 {
                    tokio::time::sleep(Duration::from_millis(1_500)).await;
                }
            }
            assert_eq!(client.made, 1);
        });
        stage.run(&[])
    });
    let Counters { accepted, connects, reuses, requests, .. } = happened.counters;
    assert_eq!((accepted, connects, reuses, requests), (1, 1, 19, 20));
}

#[test]
fn what_is_held_goes_on_when_it_is_released() {
    for seed in 0..3 {
        let happened = twice(Setting::new(seed), |setting| {
            let mut stage = Stage::new(setting);
            stage.client("c", async |client| {
                for id in 0..30 {
                    let answer = client.ask(&Ask::new(id, 20_000).pause(20)).await;
                    assert!(answer.is_echo(), "{answer:?}");
                }
            });
            stage.run(&[
                (700, |sim| sim.hold("proxy", "s1")),
                (2_200, |sim| sim.release("proxy", "s1")),
                (2_900, |sim| sim.hold("c", "proxy")),
                (4_500, |sim| sim.release("c", "proxy")),
            ])
        });
        assert_eq!(ends(&happened), ["----"; 30]);
        assert_eq!(happened.counters.accepted, 1);
    }
}

#[test]
fn what_is_held_too_long_is_answered_and_comes_to_nobody_else() {
    for seed in 0..3 {
        let happened = twice(Setting { backend: "retries 0\n", ..Setting::new(seed) }, |setting| {
            let mut stage = Stage::new(setting);
            let late = Rc::new(Cell::new(0));
            let count = Rc::clone(&late);
            stage.client("c", async move |client| {
                for id in 0..12 {
                    match client.ask(&Ask::new(id, 5_000).think(300)).await {
                        Answer::Echo { .. } => {}
                        // A request was under way, or a connection was to be made.
                        Answer::Status(503 | 504) => count.set(count.get() + 1),
                        other => panic!("{other:?}"),
                    }
                }
            });
            let happened = stage.run(&[
                (1_000, |sim| sim.hold("proxy", "s1")),
                (5_000, |sim| sim.release("proxy", "s1")),
            ]);
            assert!(late.get() >= 2, "{:#?}", happened.told);
            happened
        });
        assert!(ends(&happened).contains(&"sH--"), "{:#?}", happened.lines);
    }
}

#[test]
fn a_server_that_is_cut_off_is_done_without_and_comes_back() {
    for seed in 0..3 {
        let setting = Setting { servers: 2, ..Setting::new(seed) };
        let happened = twice(setting, |setting| {
            let mut stage = Stage::new(setting);
            for (n, name) in ["c0", "c1"].into_iter().enumerate() {
                stage.client(name, async move |client| {
                    let mut failed = 0;
                    for k in 0..40 {
                        let ask = Ask::new(n as u32 * 100 + k, 4_000).think(100);
                        match client.ask(&ask).await {
                            Answer::Echo { .. } => {}
                            // What was under way is lost: turmoil sends nothing again.
                            Answer::Status(502..=504) | Answer::Broken => failed += 1,
                            other => panic!("{other:?}"),
                        }
                    }
                    assert!(failed <= 4, "{failed} failed");
                    for k in 50..54 {
                        assert!(client.ask(&Ask::new(n as u32 * 100 + k, 10)).await.is_echo());
                    }
                });
            }
            stage.run(&[
                (1_000, |sim| sim.partition("proxy", "s1")),
                (4_000, |sim| sim.repair("proxy", "s1")),
            ])
        });
        let both = ["s1", "s2"].map(|server| {
            let of = format!("\"{server}\"");
            let at = |line: &String| line.split(' ').next().and_then(|ms| ms.parse::<u64>().ok());
            let during = |ms: &u64| (1_200..3_900).contains(ms);
            let lines = happened.told.iter().filter(|line| line.contains(&of));
            let times: Vec<u64> = lines.filter_map(at).collect();
            (times.iter().any(during), times.last().is_some_and(|ms| *ms > 4_000))
        });
        assert_eq!(both, [(false, true), (true, true)], "{:#?}", happened.told);
    }
}

#[test]
fn a_client_that_is_cut_off_is_forgotten() {
    for seed in 0..3 {
        let happened = twice(Setting::new(seed), |setting| {
            let mut stage = Stage::new(setting);
            stage.client("lost", async |client| {
                let ask = Ask::new(1, 50_000).drip(200);
                let answer = tokio::time::timeout(Duration::from_secs(6), client.ask(&ask)).await;
                assert!(answer.is_err(), "{answer:?}");
                // It never says good bye.
                core::mem::forget(core::mem::replace(client, Client::new("x", &Told::default())));
            });
            stage.client("well", async |client| {
                for id in 100..140 {
                    assert!(client.ask(&Ask::new(id, 2_000).think(100)).await.is_echo());
                }
            });
            stage.run(&[(500, |sim| sim.partition("lost", "proxy"))])
        });
        let count = |code| ends(&happened).iter().filter(|end| **end == code).count();
        // It is the server's patience that ends first.
        assert_eq!((count("----"), count("sH--")), (40, 1), "{:?}", ends(&happened));
    }
}

#[test]
fn a_server_that_crashes_comes_back() {
    for seed in 0..3 {
        let happened = twice(Setting::new(seed), |setting| {
            let mut stage = Stage::new(setting);
            for (n, name) in ["c0", "c1", "c2"].into_iter().enumerate() {
                stage.client(name, async move |client| {
                    for k in 0..12 {
                        // Answers of 800 ms: one is always under way.
                        let ask = Ask::new(n as u32 * 100 + k, 9_000).pause(200);
                        match client.ask(&ask).await {
                            Answer::Echo { .. } | Answer::Status(502..=504) | Answer::Broken => {}
                            other => panic!("{other:?}"),
                        }
                    }
                    for k in 50..53 {
                        assert!(client.ask(&Ask::new(n as u32 * 100 + k, 10)).await.is_echo());
                    }
                });
            }
            stage.run(&[(1_500, |sim| sim.crash("s1")), (6_000, |sim| sim.bounce("s1"))])
        });
        let ends = ends(&happened);
        assert!(ends.contains(&"SD--"), "no answer was cut short: {ends:?}");
        assert!(ends.contains(&"sC--"), "no connection was answered: {ends:?}");
    }
}

#[test]
fn a_proxy_that_crashes_starts_anew() {
    for seed in 0..3 {
        let happened = twice(Setting { engines: 2, ..Setting::new(seed) }, |setting| {
            let mut stage = Stage::new(setting);
            for (n, name) in ["c0", "c1", "c2"].into_iter().enumerate() {
                stage.client(name, async move |client| {
                    let mut broken = 0;
                    for k in 0..10 {
                        let ask = Ask::new(n as u32 * 100 + k, 9_000).pause(100);
                        match client.ask(&ask).await {
                            Answer::Echo { .. } => {}
                            Answer::Broken => {
                                broken += 1;
                                tokio::time::sleep(Duration::from_millis(300)).await;
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                    assert!(broken > 0, "{name} noticed nothing");
                    assert!(client.ask(&Ask::new(n as u32 * 100 + 50, 10)).await.is_echo());
                });
            }
            stage.run(&[(1_000, |sim| sim.crash("proxy")), (1_800, |sim| sim.bounce("proxy"))])
        });
        assert!(happened.accepted.iter().sum::<u64>() >= 3, "{:?}", happened.accepted);
    }
}
