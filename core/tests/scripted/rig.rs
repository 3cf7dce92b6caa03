//! The fixture: a configuration in text becomes engines on a [`Script`], time goes by hand, every
//! turn is audited, and at the end everything must be back where it began.
//!
//! The rig is as strict a host as there can be: it turns an engine only if there is an event for
//! it, if another engine notified it, if it was sent a signal, or if the time has come that it
//! asked for. A wakeup that the engine forgot is lost here.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{MapHost, Source};
use tidegate_core::engine::{Engine, Note, Park, Setup, Signal};
use tidegate_core::fault::Fault;
use tidegate_core::poller::{Address, Close};
use tidegate_core::proxy::shared::Shared;
use tidegate_core::proxy::spec::{Site, Tunables};
use tidegate_core::rng::Seed;
use tidegate_core::script::{Calls, Script, Wire};
use tidegate_core::time::{Duration, Instant, Now, Wall};

/// 2026-11-22T12:00:00Z.
const WALL_START: u64 = 1_795_348_800_000_000_000;

/// Turns at one moment in which nothing moves, beyond which the engines are said to spin (A7).
const STILL_MAX: u32 = 8;

/// What every configuration begins with.
pub const GLOBAL: &str = "global\n log 127.0.0.1:514 local0\n";

const TIMEOUTS: &str = " timeout connect 1s\n timeout client 2s\n timeout server 3s\n";

/// A `listen` in TCP mode with these lines, and sections behind it.
pub fn tcp_config(lines: &str) -> String {
    format!(
        "{GLOBAL}defaults\n mode tcp\n log global\n option tcplog\n{TIMEOUTS}\
         listen l\n bind 127.0.0.1:80\n{lines}\n"
    )
}

/// The same in HTTP mode.
pub fn http_config(lines: &str) -> String {
    format!(
        "{GLOBAL}defaults\n mode http\n log global\n option httplog\n{TIMEOUTS}\
         listen l\n bind 127.0.0.1:80\n{lines}\n"
    )
}

/// One server.
pub const S1: &str = " server s1 10.0.0.1:80\n";
/// Two.
pub const S12: &str = " server s1 10.0.0.1:80\n server s2 10.0.0.2:80\n";

/// Plays something whole, and with everything that arrives cut into pieces of 1, 2 and 7 bytes.
pub fn in_pieces(play: impl Fn(&Knobs)) {
    for piece_max in [0, 1, 2, 7] {
        play(&Knobs { piece_max, ..Knobs::default() });
    }
}

/// Engines on a script.
pub struct Rig {
    pub net: Script,
    pub engines: Vec<Engine>,
    pub shared: Arc<Shared>,
    pub site: Arc<Site>,
    pub now: Instant,
    pub notes: Vec<Note>,
    /// Turns taken since the start.
    pub turns: u64,
    parks: Vec<Park>,
    logged: usize,
}

/// What a rig is made of, beside the text.
#[derive(Clone)]
pub struct Knobs {
    pub engines: u32,
    pub host: MapHost,
    pub tunables: fn(&mut Tunables),
    /// See [`Script::piece_max`].
    pub piece_max: usize,
}

impl Default for Knobs {
    fn default() -> Self {
        Knobs { engines: 1, host: MapHost::default(), tunables: |_| {}, piece_max: 0 }
    }
}

impl Rig {
    /// One engine for this configuration.
    pub fn new(config: &str) -> Rig {
        Rig::with(config, &Knobs::default())
    }

    /// One engine with a TCP `listen` of these lines.
    pub fn tcp(lines: &str) -> Rig {
        Rig::new(&tcp_config(lines))
    }

    /// One engine with an HTTP `listen` of these lines.
    pub fn http(lines: &str) -> Rig {
        Rig::new(&http_config(lines))
    }

    /// The engines that `knobs` ask for, started and settled.
    pub fn with(config: &str, knobs: &Knobs) -> Rig {
        let built = build(&[Source::new("t.cfg", config)], &CliOverrides::default(), &knobs.host);
        let (mut site, _) = match built {
            Ok(built) => built,
            Err(errors) => panic!("{config}\n{errors:#?}"),
        };
        (knobs.tunables)(&mut site.tunables);
        let site = Arc::new(site);
        let shared = Arc::new(Shared::new(&site, knobs.engines));
        let engine = |id| {
            Engine::new(Setup {
                site: site.clone(),
                shared: shared.clone(),
                id,
                engines: knobs.engines,
                seed: Seed(7),
                pid: 1,
            })
        };
        let bound: Vec<SocketAddr> = site
            .listeners
            .iter()
            .map(|l| match l.address {
                Address::Inet(at) => at,
                _ => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080),
            })
            .collect();
        let mut rig = Rig {
            net: Script::default(),
            engines: (0..knobs.engines).map(engine).collect(),
            shared,
            site,
            now: Instant::START,
            notes: Vec::new(),
            turns: 0,
            parks: vec![Park::Busy; knobs.engines as usize],
            logged: 0,
        };
        rig.net.bound = bound;
        rig.net.piece_max = knobs.piece_max;
        for (id, engine) in rig.engines.iter_mut().enumerate() {
            rig.net.engine = id as u32;
            engine.start(&mut rig.net, clock(Instant::START)).expect("it starts");
        }
        rig.turns();
        rig
    }

    /// Turns every engine that has a reason to run until none has, and audits after each turn.
    pub fn turns(&mut self) {
        let (mut still, mut before) = (0, self.net.progress);
        while let Some(id) = (0..self.engines.len()).find(|&id| self.has_reason(id)) {
            self.turn(id);
            still = if self.net.progress == before { still + 1 } else { 0 };
            assert!(still < STILL_MAX, "engine {id} spins: {:?}", self.net.calls);
            before = self.net.progress;
        }
        self.shared.audit();
    }

    /// One turn of one engine.
    pub fn turn(&mut self, id: usize) {
        let Rig { net, engines, notes, now, parks, .. } = self;
        net.engine = id as u32;
        net.notified.retain(|engine| *engine != id as u32);
        parks[id] = engines[id].turn(net, notes, clock(*now));
        engines[id].audit();
        self.turns += 1;
        if let Park::Until(at) = parks[id] {
            assert!(at > self.now, "engine {id} sleeps until {at:?}, which is over");
        }
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
        while self.step_to(end) {}
    }

    /// Goes to the next moment that an engine asked for, at most to `end`, and turns. False at the
    /// end.
    pub fn step_to(&mut self, end: Instant) -> bool {
        let asked = self.parks.iter().filter_map(|park| match park {
            Park::Until(at) => Some(*at),
            _ => None,
        });
        self.now = asked.min().unwrap_or(end).min(end);
        self.turns();
        self.now < end
    }

    /// Milliseconds since the start.
    pub fn ms(&self) -> u64 {
        self.now.as_millis()
    }

    pub fn signal(&mut self, signal: Signal) {
        for (engine, park) in self.engines.iter_mut().zip(&mut self.parks) {
            engine.signal(signal);
            *park = Park::Busy;
        }
        self.turns();
    }

    /// A signal that only one engine has heard so far.
    pub fn signal_one(&mut self, engine: usize, signal: Signal) {
        self.engines[engine].signal(signal);
        self.parks[engine] = Park::Busy;
        self.turns();
    }

    /// How the first engine parks now.
    pub fn park(&self) -> Park {
        self.parks[0]
    }

    /// How all do.
    pub fn parks(&self) -> &[Park] {
        &self.parks
    }

    /// When an engine asked to be woken.
    pub fn deadline(&self, engine: usize) -> Instant {
        match self.parks[engine] {
            Park::Until(at) => at,
            other => panic!("{other:?}"),
        }
    }
}

/// Peers.
impl Rig {
    /// A client of the first listener.
    pub fn client(&mut self) -> Wire {
        self.client_of(0)
    }

    pub fn client_of(&mut self, listener: u32) -> Wire {
        let wire = self.net.connect(listener);
        self.turns();
        wire
    }

    /// The peer sends.
    pub fn send(&mut self, wire: Wire, bytes: impl AsRef<[u8]>) {
        self.net.push(wire, bytes.as_ref());
        self.turns();
    }

    /// A client that comes and sends at once.
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Wire {
        let wire = self.net.connect(0);
        self.send(wire, bytes);
        wire
    }

    /// The peer ends its direction.
    pub fn end(&mut self, wire: Wire) {
        self.net.end(wire);
        self.turns();
    }

    /// The peer resets.
    pub fn reset(&mut self, wire: Wire) {
        self.net.reset(wire);
        self.turns();
    }

    /// The peer takes so many bytes more.
    pub fn window(&mut self, wire: Wire, bytes: usize) {
        self.net.window(wire, bytes);
        self.turns();
    }

    /// The next connection attempt, left as it is, and the name of the server that it goes to.
    pub fn dialled(&mut self) -> Option<(Wire, String)> {
        let (wire, to) = self.net.dialled()?;
        let server = self.site.servers.iter().find(|s| s.address.as_ref() == Some(&to));
        Some((wire, server.map_or_else(|| format!("{to:?}"), |s| s.name.to_string())))
    }

    /// The next connection attempt succeeds; it goes to this server.
    #[track_caller]
    pub fn server(&mut self, name: &str) -> Wire {
        let wire = self.dial(name);
        self.net.establish(wire);
        self.turns();
        wire
    }

    /// The next connection attempt, which goes to this server; it is left open.
    #[track_caller]
    pub fn dial(&mut self, name: &str) -> Wire {
        let Some((wire, to)) = self.dialled() else { panic!("no connection attempt") };
        assert_eq!(to, name);
        wire
    }

    /// The next connection attempt, which goes to this server, is refused.
    #[track_caller]
    pub fn refuse(&mut self, name: &str) {
        let wire = self.dial(name);
        self.net.refuse(wire, Fault::Refused);
        self.turns();
    }

    /// Asserts that nothing was dialled.
    #[track_caller]
    pub fn no_dial(&mut self) {
        assert_eq!(self.dialled(), None, "a connection attempt");
    }

    /// What the peer received since this was last asked.
    pub fn text(&mut self, wire: Wire) -> String {
        self.net.text(wire)
    }

    /// Takes what the peer received, and looks how the engine ended its direction.
    pub fn heard(&mut self, wire: Wire) -> (String, Ended) {
        (self.net.text(wire), self.ended(wire))
    }

    /// Takes everything that comes for a peer through a window of so many bytes.
    pub fn drain(&mut self, wire: Wire, window: usize) -> Vec<u8> {
        let mut all = self.net.sent(wire);
        while self.net.closed(wire).is_none() {
            self.window(wire, window);
            let more = self.net.sent(wire);
            if more.is_empty() {
                break;
            }
            all.extend(more);
        }
        all
    }

    /// How the engine ended a connection.
    pub fn ended(&self, wire: Wire) -> Ended {
        match self.net.closed(wire) {
            // As kernels do.
            Some(Close::Graceful) if self.net.unread(wire) => Ended::Reset,
            Some(Close::Graceful) => Ended::Closed,
            Some(Close::Reset) => Ended::Reset,
            Some(Close::Drop) => Ended::Dropped,
            None if self.net.is_shut(wire) => Ended::Shut,
            None => Ended::Open,
        }
    }
}

/// How the engine ended a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Not at all.
    Open,
    /// It ended its direction and still listens.
    Shut,
    /// It closed.
    Closed,
    /// It reset, or closed without having read everything, which resets.
    Reset,
    /// It left without a word.
    Dropped,
}

/// What came out beside bytes.
impl Rig {
    /// The lines logged since this was last asked, without date, tag, client and accept date.
    pub fn logs(&mut self) -> Vec<String> {
        let lines = self.raw_logs();
        let short = |line: &String| line.splitn(3, ' ').nth(2).unwrap_or(line).to_string();
        lines.iter().map(short).collect()
    }

    /// The one line logged since this was last asked.
    #[track_caller]
    pub fn log(&mut self) -> String {
        let mut lines = self.logs();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.remove(0)
    }

    /// The lines without date and tag.
    pub fn raw_logs(&mut self) -> Vec<String> {
        let new = &self.net.logged[self.logged..];
        let lines = new.iter().map(|l| l.split_once("]: ").map_or(l.as_str(), |(_, l)| l).into());
        let lines: Vec<String> = lines.collect();
        self.logged = self.net.logged.len();
        lines
    }

    /// The lines logged since this was last asked, as they are on the wire.
    pub fn wire_logs(&mut self) -> Vec<String> {
        let lines = self.net.logged[self.logged..].to_vec();
        self.logged = self.net.logged.len();
        lines
    }

    /// The lines on stderr since this was last asked.
    pub fn notices(&mut self) -> Vec<String> {
        let notices = self.engines.iter_mut().flat_map(Engine::take_notices);
        notices.map(|notice| notice.text).collect()
    }

    /// Calls made by `what`.
    pub fn calls(&mut self, what: impl FnOnce(&mut Rig)) -> Calls {
        let before = self.net.calls;
        what(self);
        let after = self.net.calls;
        Calls {
            accept: after.accept - before.accept,
            connect: after.connect - before.connect,
            recv: after.recv - before.recv,
            recv_blocked: after.recv_blocked - before.recv_blocked,
            send: after.send - before.send,
            splice: after.splice - before.splice,
            end: after.end - before.end,
            info: after.info - before.info,
        }
    }

    pub fn sessions(&self) -> usize {
        self.engines.iter().map(Engine::sessions).sum()
    }

    pub fn clients(&self) -> usize {
        self.engines.iter().map(Engine::clients).sum()
    }

    /// Every peer ends, takes whatever comes, and time passes: then nothing may be left but
    /// listeners and sinks; and after a soft stop, not even listeners.
    #[track_caller]
    pub fn finish(mut self) {
        for _ in 0..100 {
            self.net.shortage = None;
            self.net.fds_max = 0;
            let open = self.net.connections();
            if open.is_empty() && self.clients() == 0 {
                break;
            }
            for wire in open {
                self.net.window(wire, usize::MAX);
                self.net.end(wire);
            }
            self.turns();
            self.advance(60_000);
        }
        assert_eq!((self.sessions(), self.clients()), (0, 0), "sessions and clients left");
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
