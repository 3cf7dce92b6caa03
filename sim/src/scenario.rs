//! What one run is made of, decided before it begins: a seed and a table of knobs. It is plain data
//! that can be printed, read back, and made smaller; everything else follows from it.
//!
//! Each knob has a calm value, at which it adds no difficulty. A profile says how the others are
//! drawn: `calm` leaves all that can go wrong off; `swarm` switches whole classes of trouble on or
//! off and then draws how much of each; `storm` switches all of them on.

use core::fmt;
use core::fmt::Write as _;

use tidegate_core::rng::{Rng, Seed};

/// How a scenario is drawn from its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Nothing goes wrong.
    Calm,
    /// Some classes of trouble.
    Swarm,
    /// All of them.
    Storm,
}

impl Profile {
    /// The profile of that name.
    pub fn named(name: &str) -> Option<Profile> {
        [Profile::Calm, Profile::Swarm, Profile::Storm].into_iter().find(|p| p.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Calm => "calm",
            Profile::Swarm => "swarm",
            Profile::Storm => "storm",
        }
    }
}

/// A class of trouble, switched on or off as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// The shape of the site and its load: always drawn.
    Shape,
    Timeouts,
    Tunables,
    Network,
    Calls,
    Clients,
    Servers,
    Faults,
    Shortage,
}

const CLASSES: usize = Class::Shortage as usize + 1;

macro_rules! knobs {
    ($($(#[$doc:meta])* $name:ident: $class:ident, $calm:expr, [$($draw:expr),+];)*) => {
        /// The values of one run.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub struct Knobs { $($(#[$doc])* pub $name: u64,)* }

        impl Knobs {
            /// No trouble at all.
            pub const CALM: Knobs = Knobs { $($name: $calm,)* };

            /// Every knob's name.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            fn draw(rng: &mut Rng, on: [bool; CLASSES]) -> Knobs {
                Knobs { $($name: {
                    let choices: &[u64] = &[$($draw),+];
                    let drawn = choices[rng.below(choices.len() as u32) as usize];
                    if on[Class::$class as usize] { drawn } else { $calm }
                },)* }
            }

            /// One of them, by its place in [`Knobs::NAMES`].
            pub fn knob(&mut self, at: usize) -> &mut u64 {
                let all = [$(&mut self.$name,)*];
                all.into_iter().nth(at).expect("a knob of that number")
            }
        }
    };
}

knobs! {
    /// 0 is HTTP, 1 is TCP.
    tcp: Shape, 0, [0, 0, 0, 1];
    engines: Shape, 1, [1, 1, 2, 3];
    servers: Shape, 2, [1, 2, 3, 4];
    clients: Shape, 6, [1, 2, 4, 6, 10];
    /// Requests of each client.
    requests: Shape, 6, [1, 3, 6, 10];
    /// Most bytes of a body.
    body: Shape, 3_000, [0, 100, 3_000, 40_000, 300_000];
    /// By its place in `site`'s list.
    algorithm: Shape, 0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    /// `hash-type consistent` where 1.
    consistent: Shape, 0, [0, 0, 1];
    /// `hash-balance-factor`.
    balance_factor: Shape, 0, [0, 0, 150];
    /// Servers have different weights where 1.
    weights: Shape, 0, [0, 1];
    /// `http-reuse`: safe, never, aggressive, always.
    reuse: Shape, 0, [0, 0, 1, 2, 3];
    /// Nothing, `http-server-close`, `httpclose`.
    closing: Shape, 0, [0, 0, 0, 1, 2];
    forwardfor: Shape, 1, [0, 1];
    splice: Shape, 0, [0, 1];
    /// 0 is none.
    server_maxconn: Shape, 0, [0, 0, 1, 2];
    frontend_maxconn: Shape, 0, [0, 0, 0, 1, 3];
    retries: Shape, 3, [0, 1, 3];
    /// `retry-on all-retryable-errors` where 1.
    retry_on: Shape, 0, [0, 0, 1];
    redispatch: Shape, 0, [0, 1];
    abortonclose: Shape, 0, [0, 0, 1];
    /// Listens on one socket, which the engines share, instead of one each: a unix socket where 1,
    /// an inherited one where 2.
    unix: Shape, 0, [0, 0, 0, 1, 2];
    /// Many clients wait for one place, and give up all the time.
    crowd: Shape, 0, [0, 0, 0, 0, 0, 0, 0, 1];
    /// Soft stop in the middle.
    stop: Shape, 0, [0, 0, 0, 1];

    /// The timeouts of the configuration in milliseconds; 0 is none.
    timeout_connect: Timeouts, 4_000, [1_500, 4_000];
    timeout_client: Timeouts, 10_000, [3_000, 10_000];
    timeout_server: Timeouts, 11_000, [4_000, 11_000];
    timeout_queue: Timeouts, 30_000, [500, 3_000, 30_000];
    timeout_http_request: Timeouts, 8_000, [2_000, 8_000];
    timeout_http_keep_alive: Timeouts, 5_000, [500, 5_000];
    timeout_tunnel: Timeouts, 0, [0, 2_000, 20_000];
    timeout_client_fin: Timeouts, 0, [0, 1_000, 5_000];
    timeout_server_fin: Timeouts, 0, [0, 1_000, 5_000];

    bufsize: Tunables, 16_384, [2_048, 4_096, 16_384];
    recv_size: Tunables, 65_536, [2_048, 8_192, 65_536];
    maxaccept: Tunables, 64, [1, 2, 64];
    runqueue_depth: Tunables, 200, [1, 3, 200];
    reads_max: Tunables, 4, [1, 2, 4];
    idle_max: Tunables, 1_000, [0, 1, 1_000];
    pipesize: Tunables, 1_048_576, [4_096, 65_536, 1_048_576];

    /// Bytes of log lines held in one turn.
    log_arena: Tunables, 65_536, [200, 65_536];
    /// Up to so many microseconds pass between two turns of an engine: it is busy, or its thread
    /// is not scheduled.
    sluggish_us: Tunables, 0, [0, 300, 50_000];

    latency_us: Network, 100, [1, 100, 5_000, 80_000];
    jitter_us: Network, 0, [0, 50, 3_000, 50_000];
    segment: Network, 65_536, [1, 7, 100, 1_460, 65_536];
    window: Network, 262_144, [300, 2_000, 20_000, 262_144];
    send_buffer: Network, 262_144, [20, 300, 2_000, 20_000, 262_144];
    bandwidth: Network, 0, [0, 0, 200_000, 5_000_000];
    backlog: Network, 128, [1, 3, 128];
    stale: Network, 0, [0, 100, 900];
    narrow: Network, 0, [0, 1];
    loss: Network, 0, [0, 0, 300];

    /// Of 1,000 calls.
    short_read: Calls, 0, [0, 50, 500];
    short_write: Calls, 0, [0, 50, 500];
    balk: Calls, 0, [0, 50, 300];
    duplicate: Calls, 0, [0, 100, 500];
    late: Calls, 0, [0, 100];
    accept_fails: Calls, 0, [0, 0, 50];
    connect_fails: Calls, 0, [0, 0, 50];

    /// Of 1,000 connections of clients.
    pipelines: Clients, 0, [0, 300, 1_000];
    http10: Clients, 0, [0, 200];
    aborts: Clients, 0, [0, 100, 400];
    half_closes: Clients, 0, [0, 300];
    reads_slowly: Clients, 0, [0, 200];
    sends_slowly: Clients, 0, [0, 200];
    garbage: Clients, 0, [0, 100];
    /// Ask for another protocol, or for `CONNECT`, and go on in it.
    tunnels: Clients, 0, [0, 0, 300];
    /// What they send has urgent marks, at which a receive stops (P12).
    urges: Clients, 0, [0, 0, 100];

    /// Of 1,000 answers of servers.
    answers_late: Servers, 0, [0, 200];
    stalls: Servers, 0, [0, 50];
    closes_early: Servers, 0, [0, 100];
    resets: Servers, 0, [0, 50];
    /// Of 1,000 connections, not answers: reset as soon as they are accepted.
    slams: Servers, 0, [0, 0, 100, 400];
    /// The same, or ended in order, when the first bytes of a request come.
    slams_later: Servers, 0, [0, 0, 200];
    says_garbage: Servers, 0, [0, 50];
    /// The server ends its connections behind an answer without having said so.
    closes_idle: Servers, 0, [0, 200];
    /// Says that it closes, and leaves that to the proxy.
    says_close: Servers, 0, [0, 200];
    /// Sends another answer behind the one that was asked for.
    says_more: Servers, 0, [0, 200];
    interim: Servers, 0, [0, 200];
    /// Answers before it has read the request's body.
    answers_early: Servers, 0, [0, 100];
    /// What it sends has urgent marks.
    answers_urge: Servers, 0, [0, 0, 100];

    /// How often each happens.
    cuts: Faults, 0, [0, 1, 4];
    silences: Faults, 0, [0, 1, 2];
    restarts: Faults, 0, [0, 1, 2];
    /// Servers that stop listening for a while.
    refusals: Faults, 0, [0, 1, 3];

    descriptors: Shortage, 0, [0, 8, 20];
    ports: Shortage, 0, [0, 2, 6];

    /// Clients begin with a PROXY header.
    accept_proxy: Shape, 0, [0, 0, 1];
    /// Servers get one: in version 1, or 2 with all options.
    send_proxy: Shape, 0, [0, 0, 0, 1, 2];
    /// Rules look at everything that passes, and mark it, where 1; some are held in a tarpit.
    rules: Shape, 0, [0, 1];
    /// Balances by `hdr`, `url_param`, `hash` of the path, or `rdp-cookie`, not by `algorithm`.
    keyed: Shape, 0, [0, 0, 0, 1, 2, 3];
    timeout_tarpit: Timeouts, 500, [500, 3_000];
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Where all that is drawn during the run comes from.
    pub seed: u64,
    /// What it is made of.
    pub knobs: Knobs,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn draw(seed: u64, profile: Profile) -> Scenario {
        let mut rng = Rng::new(Seed(seed).split("scenario"));
        let mut on = [true; CLASSES];
        for on in &mut on[1..] {
            let drawn = rng.below(2) == 1;
            *on = match profile {
                Profile::Calm => false,
                Profile::Swarm => drawn,
                Profile::Storm => true,
            };
        }
        let mut knobs = Knobs::draw(&mut rng, on);
        if profile == Profile::Calm {
            // What makes a client wait or an exchange end is trouble too.
            (knobs.stop, knobs.frontend_maxconn, knobs.crowd) = (0, 0, 0);
            // It is the yardstick of speed: requests that nothing looks at.
            (knobs.rules, knobs.keyed) = (0, 0);
        }
        if profile != Profile::Calm && knobs.crowd == 1 {
            (knobs.clients, knobs.servers, knobs.server_maxconn) = (10, 1, 1);
            (knobs.aborts, knobs.abortonclose, knobs.sluggish_us) = (400, 1, 50_000);
            // A place that is given away by one engine and given up in the other, at one moment.
            (knobs.engines, knobs.requests, knobs.timeout_queue) = (2, 10, 500);
        }
        // Byte by byte, a large body is a run of its own.
        if knobs.segment < 100 || knobs.window < 1_000 || knobs.send_buffer < 1_000 {
            knobs.body = knobs.body.min(3_000);
        }
        if knobs.send_buffer < 100 {
            knobs.body = knobs.body.min(300);
        }
        if knobs.accept_proxy == 1 && knobs.send_buffer < 300 {
            // A PROXY header of many round trips would be late whatever the engine does.
            knobs.send_buffer = 300;
        }
        Scenario { seed, knobs }
    }

    /// Reads what [`Scenario`]'s `Display` wrote.
    pub fn parse(text: &str) -> Result<Scenario, String> {
        let mut scenario = Scenario { seed: 0, knobs: Knobs::CALM };
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let problem = |what: &str| format!("line {}: {what}: {line:?}", number + 1);
            let (name, value) = line.split_once(' ').ok_or_else(|| problem("no value"))?;
            let value = value.trim().parse().map_err(|_| problem("not a number"))?;
            match Knobs::NAMES.iter().position(|known| *known == name) {
                Some(at) => *scenario.knobs.knob(at) = value,
                None if name == "seed" => scenario.seed = value,
                None => return Err(problem("no knob of that name")),
            }
        }
        Ok(scenario)
    }

    /// Every scenario that is this one with one knob nearer to calm, those that take most away
    /// first.
    pub fn smaller(&self) -> Vec<Scenario> {
        let mut all = Vec::new();
        let mut calm = Knobs::CALM;
        let mut mine = self.knobs.clone();
        for at in 0..Knobs::NAMES.len() {
            let (now, calm) = (*mine.knob(at), *calm.knob(at));
            let mut tries = vec![calm];
            if matches!(Knobs::NAMES[at], "clients" | "requests" | "servers" | "engines") {
                tries = vec![1, now / 2, now.saturating_sub(1)];
            } else if Knobs::NAMES[at] == "body" {
                tries = vec![0, now / 2];
            } else if now > calm {
                tries.push(calm + (now - calm) / 2);
            }
            for value in tries {
                let least = u64::from(matches!(
                    Knobs::NAMES[at],
                    "clients" | "requests" | "servers" | "engines"
                ));
                if value != now && value >= least {
                    let mut smaller = self.clone();
                    *smaller.knobs.knob(at) = value;
                    all.push(smaller);
                }
            }
        }
        all
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("seed {}\n", self.seed);
        let (mut calm, mut mine) = (Knobs::CALM, self.knobs.clone());
        for (at, name) in Knobs::NAMES.iter().enumerate() {
            let (value, calm) = (*mine.knob(at), *calm.knob(at));
            if value != calm {
                writeln!(text, "{name} {value}")?;
            }
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_printed_and_read_back() {
        for profile in [Profile::Calm, Profile::Swarm, Profile::Storm] {
            for seed in 0..200 {
                let scenario = Scenario::draw(seed, profile);
                assert_eq!(Scenario::parse(&scenario.to_string()), Ok(scenario.clone()));
                assert!(scenario.smaller().iter().all(|smaller| *smaller != scenario));
            }
        }
        for bad in ["seed", "seed x", "sede 1", "tcp -1"] {
            assert!(Scenario::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn calm_has_no_trouble_and_storm_has_some() {
        let calm = Scenario::draw(7, Profile::Calm).knobs;
        assert_eq!((calm.balk, calm.aborts, calm.cuts, calm.descriptors), (0, 0, 0, 0));
        let storms = (0..100).map(|seed| Scenario::draw(seed, Profile::Storm).knobs);
        assert!(storms.filter(|knobs| knobs.cuts > 0).count() > 30);
    }
}
