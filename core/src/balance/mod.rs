//! Load balancing: the servers of one backend and a key in, a choice out. Not persistence, not
//! queues, and nothing that fetches the key.
//!
//! A [`Balancer`] belongs to one engine. What it must know of the servers at the moment of a pick
//! it asks through [`Servers`]; weights and states it remembers, and learns of changes by
//! [`Balancer::refresh`]. The choices are those of HAProxy 2.6 on one thread, pick by pick; the
//! tests hold them against sequences measured from it.
//!
//! | `balance` | chooses by | weights |
//! |---|---|---|
//! | `roundrobin` | smooth weighted turns (`round_robin`) | at any time |
//! | `static-rr` | a table of turns (`table`) | the table is made anew |
//! | `leastconn` | load per weight (`least`) | at any time |
//! | `first` | `id`, with a slot free (`first`) | only zero or not |
//! | `random` | the least loaded of several draws (`ring`) | at any time |
//! | all others | a hash (`hash`) in the table or on the ring | by `hash-type` |
//!
//! Backup servers are chosen from only while no active server is usable: the first of them in the
//! order of the configuration, or all under `option allbackups`. A first backup alone is chosen
//! even if it is full or just failed, except by `static-rr` and `random`, which say if it is full.
//! (HAProxy's tables let in other backups if their weights differ, against its own manual; ours
//! do not.)

mod first;
mod hash;
mod heap;
mod least;
mod ring;
mod round_robin;
mod table;
#[cfg(test)]
mod tests;

pub use hash::{Function, HashType, Method, UriOptions, avalanche, domain};

use first::First;
use least::LeastConn;
use ring::Ring;
use round_robin::RoundRobin;
use table::Table;

/// The highest weight of a server.
pub const WEIGHT_MAX: u32 = 256;

/// What slow start divides a weight into; see [`Servers::ramp`].
pub const SCALE: u32 = 16;

/// The servers of one backend as they are now, by index in the order of the configuration.
///
/// `load`, `served` and `full` are read at each pick and may be a little old (other engines change
/// them); the rest is read by [`Balancer::new`] and [`Balancer::refresh`] only.
pub trait Servers {
    /// How many servers there are; indices are below that.
    fn len(&self) -> usize;

    /// Whether the backend has no server.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `id` of the server: by default its position, from 1.
    fn id(&self, server: usize) -> u32 {
        server as u32 + 1
    }

    /// The weight in force, 0 to [`WEIGHT_MAX`] (more counts as that). 0 takes no new traffic.
    fn weight(&self, server: usize) -> u32;

    /// Slow start: how much of its weight the server has reached, 1 to [`SCALE`]. Only
    /// `roundrobin`, `leastconn`, `random` and consistent hashes heed it.
    fn ramp(&self, _server: usize) -> u32 {
        SCALE
    }

    /// Up, not in maintenance, not drained.
    fn usable(&self, server: usize) -> bool;

    /// `backup`: takes traffic only if no other server can.
    fn backup(&self, server: usize) -> bool;

    /// At its dynamic maxconn, or with sessions in its own queue.
    fn full(&self, server: usize) -> bool;

    /// What `leastconn` takes for full: no room in the server's own queue either, that is load not
    /// below dynamic maxconn + `maxqueue`. An unset `maxqueue` counts 0 here.
    fn crowded(&self, server: usize) -> bool {
        self.full(server)
    }

    /// Sessions served and queued.
    fn load(&self, server: usize) -> u32;

    /// Sessions served, without those queued.
    fn served(&self, server: usize) -> u32 {
        self.load(server)
    }

    /// Sessions served by all servers of the backend: what `hash-balance-factor` shares out.
    fn served_by_all(&self) -> u64 {
        (0..self.len()).map(|server| u64::from(self.served(server))).sum()
    }
}

/// `balance`. A backend that says nothing has `roundrobin`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `roundrobin`.
    #[default]
    RoundRobin,
    /// `static-rr`.
    StaticRr,
    /// `leastconn`.
    LeastConn,
    /// `first`.
    First,
    /// `random(draws)`, 2 if it is not said.
    Random {
        /// How many servers are drawn, of which the least loaded is taken.
        draws: u32,
    },
    /// `source`, hashed by [`HashType::source`].
    Source,
    /// `uri`, hashed by [`HashType::uri`].
    Uri(UriOptions),
    /// `url_param`, `hdr`, `rdp-cookie`, `hash`: a key found elsewhere, hashed by
    /// [`HashType::bytes`].
    Keyed,
}

/// All that the configuration says about how to balance one backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// `balance`.
    pub algorithm: Algorithm,
    /// `hash-type`.
    pub hash_type: HashType,
    /// `hash-balance-factor`, in percent, above 100; 0 is none. Heeded by consistent hashes and
    /// `random`.
    pub balance_factor: u32,
    /// `option allbackups`.
    pub all_backups: bool,
}

/// A choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This server. It may be full where no other will do (hashes, the only backup): then the
    /// session belongs in the server's own queue.
    Server(usize),
    /// There are servers, and all are full: the session belongs in the backend's queue.
    AllFull,
    /// No server is usable.
    None,
}

/// The memory one engine has of one backend's turns, tables and rings.
#[derive(Clone, Debug, Hash)]
pub struct Balancer {
    policy: Policy,
    serving: Serving,
    /// By server, active and backup apart: what the algorithm counts it for, 0 if it takes no
    /// traffic.
    weights: [Vec<u32>; 2],
    state: State,
}

/// Who takes the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Serving {
    Nobody,
    /// The active servers (0) or all backups (1).
    Group(usize),
    /// One backup alone.
    Only(usize),
}

/// Pairs are the active servers and the backups.
#[derive(Clone, Debug, Hash)]
enum State {
    RoundRobin(Box<[RoundRobin; 2]>),
    LeastConn(Box<[LeastConn; 2]>),
    First([First; 2]),
    Table(Table),
    Ring(Box<[Ring; 2]>),
}

impl Balancer {
    /// The servers as they are, with nothing chosen yet. Their number does not change afterwards.
    pub fn new(policy: &Policy, servers: &impl Servers) -> Self {
        let consistent = policy.hash_type.method == Method::Consistent;
        let tabled = match policy.algorithm {
            Algorithm::StaticRr => true,
            Algorithm::Source | Algorithm::Uri(_) | Algorithm::Keyed => !consistent,
            _ => false,
        };
        let weights = weigh(servers, !tabled);
        let serving = Serving::of(&weights, policy.all_backups);
        let [active, backup] = &weights;
        let state = match policy.algorithm {
            _ if tabled => {
                let configured = (0..servers.len()).map(|server| servers.weight(server));
                State::Table(Table::new(configured, &serving.table(&weights)))
            }
            Algorithm::RoundRobin => {
                State::RoundRobin(Box::new([RoundRobin::new(active), RoundRobin::new(backup)]))
            }
            Algorithm::LeastConn => State::LeastConn(Box::new([
                LeastConn::new(active, servers),
                LeastConn::new(backup, servers),
            ])),
            Algorithm::First => {
                State::First([First::new(active, servers), First::new(backup, servers)])
            }
            _ => State::Ring(Box::new([Ring::new(active, servers), Ring::new(backup, servers)])),
        };
        Self { policy: *policy, serving, weights, state }
    }

    /// Weights or states have changed. Without a change this does nothing, so it may be called
    /// for any; changes that follow on each other are best told one by one.
    pub fn refresh(&mut self, servers: &impl Servers) {
        debug_assert_eq!(servers.len(), self.weights[0].len(), "servers neither come nor go");
        let new = weigh(servers, !matches!(self.state, State::Table(_)));
        if new == self.weights {
            return;
        }
        let old = core::mem::replace(&mut self.weights, new);
        self.serving = Serving::of(&self.weights, self.policy.all_backups);
        let changes = (0..2).flat_map(|group| {
            let pairs = old[group].iter().zip(&self.weights[group]).enumerate();
            pairs.filter(|(_, (old, new))| old != new).map(move |(at, (_, new))| (group, at, *new))
        });
        match &mut self.state {
            State::RoundRobin(groups) => {
                changes.for_each(|(group, server, weight)| groups[group].reweigh(server, weight));
            }
            State::LeastConn(groups) => changes.for_each(|(group, server, weight)| {
                groups[group].reweigh(server, weight, servers);
            }),
            State::First(groups) => {
                *groups = [0, 1].map(|group| First::new(&self.weights[group], servers));
            }
            State::Table(table) => table.rebuild(&self.serving.table(&self.weights)),
            State::Ring(groups) => {
                for (ring, weights) in groups.iter_mut().zip(&self.weights) {
                    ring.reweigh(weights, servers);
                }
            }
        }
    }

    /// Tells `leastconn` that this engine changed the load of `server` (a session taken, queued
    /// or released), which is what makes turns among equals. Nothing to the others.
    pub fn moved(&mut self, server: usize, servers: &impl Servers) {
        if let State::LeastConn(groups) = &mut self.state {
            groups[usize::from(servers.backup(server))].moved(server, servers);
        }
    }

    /// Chooses a server for a session.
    ///
    /// `key` is the hash of what the algorithm looks at; without one, or where a hash has no say,
    /// the servers take turns. `avoid` is the server that just failed this session: it is chosen
    /// again only if no other will do, and by a map-based hash always. `rng` gives uniform 32-bit
    /// numbers; only `random` draws any.
    pub fn pick(
        &mut self,
        servers: &impl Servers,
        key: Option<u32>,
        avoid: Option<usize>,
        rng: &mut impl FnMut() -> u32,
    ) -> Pick {
        let Policy { algorithm, balance_factor: factor, .. } = self.policy;
        let random = matches!(algorithm, Algorithm::Random { .. });
        match (&mut self.state, self.serving) {
            (_, Serving::Nobody) => Pick::None,
            (State::Table(table), _) => match key {
                Some(hash) if algorithm != Algorithm::StaticRr => table.keyed(hash),
                _ => table.turn(servers, avoid),
            },
            (_, Serving::Only(server)) if random && servers.full(server) => Pick::AllFull,
            (_, Serving::Only(server)) => Pick::Server(server),
            (State::RoundRobin(groups), Serving::Group(at)) => groups[at].pick(servers, avoid),
            (State::LeastConn(groups), Serving::Group(at)) => groups[at].pick(servers, avoid),
            (State::First(groups), Serving::Group(at)) => groups[at].pick(servers, avoid),
            (State::Ring(rings), Serving::Group(at)) => match (algorithm, key) {
                (Algorithm::Random { draws }, _) => {
                    rings[at].drawn(servers, draws, avoid, factor, rng)
                }
                (_, Some(hash)) => rings[at].keyed(servers, hash, avoid, factor),
                (_, None) => rings[at].turn(servers, avoid),
            },
        }
    }
}

impl Serving {
    fn of([active, backup]: &[Vec<u32>; 2], all_backups: bool) -> Self {
        if active.iter().any(|&weight| weight > 0) {
            return Self::Group(0);
        }
        match backup.iter().position(|&weight| weight > 0) {
            None => Self::Nobody,
            Some(_) if all_backups => Self::Group(1),
            Some(first) => Self::Only(first),
        }
    }

    /// The weights a table is made of.
    fn table(&self, weights: &[Vec<u32>; 2]) -> Vec<u32> {
        match *self {
            Self::Nobody => Vec::new(),
            Self::Group(group) => weights[group].clone(),
            Self::Only(only) => (0..=only).map(|server| u32::from(server == only)).collect(),
        }
    }
}

/// What each server counts for among the active and among the backups: nothing if it takes no
/// traffic or is of the other kind. `ramped` weights are in units of 1 / [`SCALE`].
fn weigh(servers: &impl Servers, ramped: bool) -> [Vec<u32>; 2] {
    [false, true].map(|backup| {
        let weigh = |server| {
            let weight = servers.weight(server).min(WEIGHT_MAX);
            match (servers.backup(server) == backup && servers.usable(server), ramped) {
                (false, _) => 0,
                (true, false) => weight,
                (true, true) => weight * servers.ramp(server).clamp(1, SCALE),
            }
        };
        (0..servers.len()).map(weigh).collect()
    })
}
