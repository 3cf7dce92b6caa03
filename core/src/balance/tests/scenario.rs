//! Replays what was done to an HAProxy 2.6.12 (one thread, loopback) and compares whom it chose.
//!
//! `measured.txt` has one scenario after another: `options | servers | steps`, then the choices it
//! measured, indented. Servers are `weight[b][/maxconn[+maxqueue]][x][#id]`, `b` for backup and
//! `x` for one that refuses connections (each session has one retry, redispatched at once). Steps:
//!
//! - `12`: so many requests, each over before the next; `k12`: with the keys `/0`, `/1` and so on;
//!   `@10.0.0.1`: one from this address
//! - `+`: one that stays open; `*7`: with the key `/7`; `-3`: the third of these is over
//! - `w1=5` `w1=50%` `d1` `u1`: on the runtime socket, a weight, maintenance, ready
//!
//! A choice is a server's position from 1, `q` for a session that is queued, 503 for none.

use core::net::IpAddr;
use core::str::FromStr;

use crate::balance::{
    Algorithm, Balancer, Function, HashType, Method, Pick, Policy, Servers, UriOptions,
};

#[test]
fn chooses_as_haproxy_did() {
    let mut lines = include_str!("measured.txt").lines().peekable();
    let (mut scenarios, mut wrong) = (0, String::new());
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut expected = Vec::new();
        while let Some(more) = lines.next_if(|line| line.starts_with("  ")) {
            expected.extend(more.split_whitespace());
        }
        let seen = Scenario::new(line).run();
        if seen != expected {
            wrong += &format!("{line}\n  want {}\n  have {}\n", expected.join(" "), seen.join(" "));
        }
        scenarios += 1;
    }
    assert!(scenarios > 300 && wrong.is_empty(), "{wrong}");
}

struct Scenario {
    farm: Farm,
    policy: Policy,
    balancer: Balancer,
    steps: Vec<&'static str>,
    /// The servers of the sessions that stay open, by the order of their start.
    open: Vec<Option<usize>>,
    keys: u32,
}

struct Farm(Vec<Server>);

struct Server {
    id: u32,
    weight: u32,
    initial: u32,
    backup: bool,
    refuses: bool,
    maintenance: bool,
    maxconn: u32,
    maxqueue: u32,
    load: u32,
}

impl Scenario {
    fn new(line: &'static str) -> Self {
        let parts: Vec<_> = line.split('|').map(str::trim).collect();
        let [options, servers, steps] = parts[..] else { panic!("{line}") };
        let policy = policy(options);
        let farm = Farm(
            servers.split_whitespace().zip(1..).map(|(text, id)| Server::new(text, id)).collect(),
        );
        let balancer = Balancer::new(&policy, &farm);
        let steps = steps.split_whitespace().collect();
        Self { farm, policy, balancer, steps, open: Vec::new(), keys: 0 }
    }

    fn run(mut self) -> Vec<String> {
        let mut seen = Vec::new();
        for step in self.steps.clone() {
            let rest = &step[1..];
            match step.as_bytes()[0] {
                b'k' => {
                    for _ in 0..number(rest) {
                        seen.push(self.request(Some(self.key(&format!("/{}", self.keys)))));
                        self.keys += 1;
                    }
                }
                b'@' => {
                    let address = rest.parse::<IpAddr>().unwrap();
                    seen.push(self.request(Some(self.policy.hash_type.source(&address))));
                }
                b'+' => seen.push(self.start(None)),
                b'*' => seen.push(self.start(Some(self.key(&format!("/{rest}"))))),
                b'-' => {
                    let server = self.open[number(rest) as usize - 1].take().unwrap();
                    self.load(server, -1);
                }
                b'w' | b'd' | b'u' => self.change(step),
                _ => {
                    for _ in 0..number(step) {
                        // Without a key of its own, a request still has a target.
                        let key = match self.policy.algorithm {
                            Algorithm::Uri(_) => Some(self.key("/")),
                            _ => None,
                        };
                        seen.push(self.request(key));
                    }
                }
            }
        }
        seen
    }

    fn key(&self, target: &str) -> u32 {
        match &self.policy.algorithm {
            Algorithm::Uri(options) => self.policy.hash_type.uri(target.as_bytes(), options),
            _ => self.policy.hash_type.bytes(target.as_bytes()),
        }
    }

    /// A request that is over at once.
    fn request(&mut self, key: Option<u32>) -> String {
        let server = self.session(key);
        if let Ok(server) = server {
            self.load(server, -1);
        }
        name(server)
    }

    fn start(&mut self, key: Option<u32>) -> String {
        let server = self.session(key);
        self.open.push(server.ok());
        name(server)
    }

    fn session(&mut self, key: Option<u32>) -> Result<usize, &'static str> {
        let mut avoid = None;
        loop {
            let server =
                match self.balancer.pick(&self.farm, key, avoid, &mut || panic!("drew a number")) {
                    Pick::Server(server) => server,
                    Pick::AllFull => return Err("q"),
                    Pick::None => return Err("503"),
                };
            if self.farm.0[server].load >= self.farm.0[server].maxconn {
                return Err("q");
            }
            self.load(server, 1);
            if !self.farm.0[server].refuses {
                return Ok(server);
            }
            self.load(server, -1);
            if avoid.replace(server).is_some() {
                return Err("503");
            }
        }
    }

    fn load(&mut self, server: usize, change: i32) {
        let load = &mut self.farm.0[server].load;
        *load = load.checked_add_signed(change).unwrap();
        self.balancer.moved(server, &self.farm);
    }

    fn change(&mut self, step: &str) {
        let (server, weight) = step[1..].split_once('=').unwrap_or((&step[1..], ""));
        let server = &mut self.farm.0[number(server) as usize - 1];
        match (&step[..1], weight.strip_suffix('%')) {
            ("d", _) => server.maintenance = true,
            ("u", _) => server.maintenance = false,
            (_, Some(percent)) => server.weight = server.initial * number(percent) / 100,
            (_, None) => server.weight = number(weight),
        }
        self.balancer.refresh(&self.farm);
    }
}

fn policy(options: &str) -> Policy {
    let mut policy = Policy::default();
    for option in options.split(';') {
        let words: Vec<_> = option.split_whitespace().collect();
        match words[..] {
            ["balance", algorithm] => {
                policy.algorithm = match algorithm {
                    "roundrobin" => Algorithm::RoundRobin,
                    "static-rr" => Algorithm::StaticRr,
                    "leastconn" => Algorithm::LeastConn,
                    "first" => Algorithm::First,
                    "source" => Algorithm::Source,
                    "uri" => Algorithm::Uri(UriOptions::default()),
                    "hdr(x-k)" => Algorithm::Keyed,
                    _ => panic!("{option}"),
                };
            }
            ["hash-type", method, ref rest @ ..] => {
                let method = match method {
                    "map-based" => Method::MapBased,
                    "consistent" => Method::Consistent,
                    _ => panic!("{option}"),
                };
                let function = rest.first().map(|function| match *function {
                    "sdbm" => Function::Sdbm,
                    "djb2" => Function::Djb2,
                    "wt6" => Function::Wt6,
                    "crc32" => Function::Crc32,
                    _ => panic!("{option}"),
                });
                policy.hash_type = HashType::new(method, function, rest.len() > 1);
            }
            ["hash-balance-factor", factor] => policy.balance_factor = number(factor),
            ["option", "allbackups"] => policy.all_backups = true,
            _ => panic!("{option}"),
        }
    }
    policy
}

impl Server {
    fn new(text: &str, position: u32) -> Self {
        let (text, id) = text.split_once('#').map_or((text, position), |(t, id)| (t, number(id)));
        let (text, refuses) = text.strip_suffix('x').map_or((text, false), |text| (text, true));
        let (text, slots) = text.split_once('/').unwrap_or((text, "0"));
        let (maxconn, maxqueue) = slots.split_once('+').unwrap_or((slots, "0"));
        let (weight, backup) = text.strip_suffix('b').map_or((text, false), |text| (text, true));
        let maxconn = if maxconn == "0" { u32::MAX } else { number(maxconn) };
        let (weight, maxqueue) = (number(weight), number(maxqueue));
        let (maintenance, load) = (false, 0);
        let initial = weight;
        Self { id, weight, initial, backup, refuses, maintenance, maxconn, maxqueue, load }
    }
}

impl Servers for Farm {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn id(&self, server: usize) -> u32 {
        self.0[server].id
    }
    fn weight(&self, server: usize) -> u32 {
        self.0[server].weight
    }
    fn usable(&self, server: usize) -> bool {
        !self.0[server].maintenance
    }
    fn backup(&self, server: usize) -> bool {
        self.0[server].backup
    }
    fn full(&self, server: usize) -> bool {
        self.0[server].load >= self.0[server].maxconn
    }
    fn crowded(&self, server: usize) -> bool {
        self.0[server].load >= self.0[server].maxconn.saturating_add(self.0[server].maxqueue)
    }
    fn load(&self, server: usize) -> u32 {
        self.0[server].load
    }
}

fn name(choice: Result<usize, &str>) -> String {
    choice.map_or_else(str::to_owned, |server| (server + 1).to_string())
}

fn number(text: &str) -> u32 {
    u32::from_str(text).unwrap_or_else(|_| panic!("{text} is no number"))
}
