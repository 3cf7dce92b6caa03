//! The proxy as a host of turmoil: its engines as one task, turned as strictly as MemNet's are,
//! only for an event, a notification, a signal or a moment that they asked for.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tidegate_core::engine::{Counters, Engine, Note, Observer, Park, Setup, Signal};
use tidegate_core::proxy::shared::Shared;
use tidegate_core::proxy::spec::Site;
use tidegate_core::rng::Seed;
use tidegate_core::time::{Instant, Now, Wall};
use tidegate_sim::chaos::{Chaos, Ratios};
use tidegate_sim::digest::Digest;
use tidegate_sim::stopwatch::Stopwatch;
use tidegate_sim::trace::Traced;

use super::EPOCH;
use super::net::{Hub, TurmoilNet};

/// Where the proxy listens, on every address of its host.
pub const PORT: u16 = 8080;
/// Turns in one moment beyond which an engine spins.
const STILL_MAX: u32 = 20_000;

/// What the proxy is started with.
#[derive(Clone)]
pub struct Proxy {
    pub site: Arc<Site>,
    pub engines: u32,
    pub seed: u64,
    /// The most that one send takes.
    pub segment: usize,
    /// What goes wrong between the engines and the network.
    pub ratios: Ratios,
}

/// What can be seen and done from outside.
#[derive(Default)]
pub struct Seen {
    pub stop: Cell<bool>,
    pub ended: Cell<bool>,
    pub clients: Cell<usize>,
    pub sessions: Cell<usize>,
    /// Sockets that are open.
    pub open: Cell<usize>,
    /// Of the first engine.
    pub counters: Cell<Counters>,
    /// Accepted by each engine.
    pub accepted: RefCell<Vec<u64>>,
    pub lines: RefCell<Vec<String>>,
    /// Everything that passed between the engines and the network, and what they told.
    pub digest: RefCell<Digest>,
    hub: RefCell<Option<Rc<Hub>>>,
}

impl Seen {
    /// Has the engines stop softly.
    pub fn stop(&self) {
        self.stop.set(true);
        if let Some(hub) = &*self.hub.borrow() {
            hub.wake();
        }
    }
}

type Wire = Traced<Chaos<TurmoilNet>>;

struct Notes<'a>(&'a Seen);

impl Observer for Notes<'_> {
    fn note(&mut self, now: Instant, note: Note) {
        let mut digest = self.0.digest.borrow_mut();
        digest.number(now.as_nanos());
        digest.bytes(format!("{note:?}").as_bytes());
    }
}

/// The proxy's software, from its start to its end.
pub async fn serve(proxy: Proxy, seen: Rc<Seen>) -> turmoil::Result {
    // Turmoil's queues would answer `Blocked` for no reason after 128 calls.
    tokio::task::unconstrained(run(proxy, seen)).await;
    Ok(())
}

async fn run(proxy: Proxy, seen: Rc<Seen>) {
    let hub = Hub::new(proxy.engines as usize);
    seen.hub.replace(Some(Rc::clone(&hub)));
    let shared = Arc::new(Shared::new(&proxy.site, proxy.engines));
    let seed = Seed(proxy.seed);
    let mut engines: Vec<(Engine, Wire, Park)> = (0..proxy.engines)
        .map(|id| {
            let net = TurmoilNet::new(&hub, id as usize, &[PORT], proxy.segment);
            let chaos = seed.split("chaos").split(&id.to_string());
            let mut wire = Traced::new(Chaos::new(net, chaos, proxy.ratios), Stopwatch::default());
            let mut engine = Engine::new(Setup {
                site: Arc::clone(&proxy.site),
                shared: Arc::clone(&shared),
                id,
                engines: proxy.engines,
                seed: seed.split("engine"),
                pid: 1,
            });
            engine.start(&mut wire, clock()).expect("it starts");
            (engine, wire, Park::Busy)
        })
        .collect();
    let (mut moment, mut still) = (Instant::START, 0);
    while engines.iter().any(|(.., park)| *park != Park::Done) {
        let now = clock();
        still = if now.mono == moment { still + 1 } else { 0 };
        moment = now.mono;
        assert!(still < STILL_MAX, "the engines spin");
        let stop = seen.stop.take();
        for (engine, wire, park) in &mut engines {
            if stop {
                engine.signal(Signal::SoftStop);
            }
            if stop || wants_turn(wire, *park, now.mono) {
                *park = engine.turn(wire, &mut Notes(&seen), now);
                engine.audit();
            }
        }
        watch(&seen, &engines, &hub);
        rest(&mut engines, &seen).await;
    }
    shared.audit();
    assert!(shared.is_idle(), "limits or queues are held at the end: {shared:?}");
    seen.ended.set(true);
}

fn watch(seen: &Seen, engines: &[(Engine, Wire, Park)], hub: &Hub) {
    seen.clients.set(engines.iter().map(|(engine, ..)| engine.clients()).sum());
    seen.sessions.set(engines.iter().map(|(engine, ..)| engine.sessions()).sum());
    seen.open.set(engines.iter().map(|(_, wire, _)| wire.inner().inner().open()).sum());
    seen.counters.set(engines[0].0.counters);
    seen.accepted.replace(engines.iter().map(|(engine, ..)| engine.counters.accepted).collect());
    seen.lines.borrow_mut().append(&mut hub.lines.borrow_mut());
    let mut digest = seen.digest.borrow_mut();
    for (_, wire, _) in engines {
        digest.number(wire.digest().value());
    }
}

fn wants_turn(wire: &Wire, park: Park, now: Instant) -> bool {
    match park {
        Park::Done => return false,
        Park::Busy => return true,
        Park::Until(at) if at <= now => return true,
        Park::Until(_) | Park::Idle => {}
    }
    wire.inner().pending() || wire.inner().inner().has_events()
}

/// Waits until an engine has a reason to be turned.
async fn rest(engines: &mut [(Engine, Wire, Park)], seen: &Seen) {
    let now = clock().mono;
    if engines.iter().any(|(_, wire, park)| wants_turn(wire, *park, now)) {
        tokio::task::yield_now().await;
    }
    let next = engines.iter().filter_map(|(.., park)| match park {
        Park::Until(at) => Some(*at),
        _ => None,
    });
    // A day stands for ever.
    let nap = next.min().map_or(86_400_000_000_000, |at| at.since(now).as_nanos());
    let mut nap = Box::pin(tokio::time::sleep(std::time::Duration::from_nanos(nap)));
    core::future::poll_fn(|cx| {
        for (_, wire, _) in engines.iter_mut() {
            wire.inner_mut().inner_mut().look(cx);
        }
        let now = clock().mono;
        let over = nap.as_mut().poll(cx).is_ready();
        let wanted = engines.iter().any(|(_, wire, park)| wants_turn(wire, *park, now));
        let done = engines.iter().all(|(.., park)| *park == Park::Done);
        if over || wanted || done || seen.stop.get() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn clock() -> Now {
    let since = turmoil::sim_elapsed().expect("it runs on a host").as_nanos() as u64;
    Now {
        mono: Instant::from_nanos(since),
        wall: Wall::from_nanos(EPOCH.as_nanos() as u64 + since),
    }
}
