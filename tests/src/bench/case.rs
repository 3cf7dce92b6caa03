//! The cases: which load, which proxies with which configuration, and what each is compared with.

use super::peer::Peer;
use super::wire::{ANSWER_LENGTH, Request};

/// One case of the benchmark.
#[derive(Debug, PartialEq)]
pub struct Case {
    pub id: &'static str,
    pub title: &'static str,
    pub load: Load,
    pub rows: &'static [Row],
    /// With strace: so many requests are counted.
    pub strace: Option<u64>,
    /// With callgrind: the two numbers of requests whose difference counts.
    pub callgrind: Option<[u64; 2]>,
}

/// What the generator does, and what the cost is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// CPU time per request.
    Requests { request: Request, connections: usize },
    /// CPU time per GB (10^9 bytes) of body.
    Bulk { request: Request, connections: usize },
    /// Resident memory per idle connection; `burst` requests on each, all at once, before the
    /// second reading.
    Idle { request: Request, connections: usize, burst: u64 },
}

impl Load {
    pub fn request(self) -> Request {
        match self {
            Self::Requests { request, .. }
            | Self::Bulk { request, .. }
            | Self::Idle { request, .. } => request,
        }
    }

    pub fn connections(self) -> usize {
        match self {
            Self::Requests { connections, .. }
            | Self::Bulk { connections, .. }
            | Self::Idle { connections, .. } => connections,
        }
    }

    /// What is measured, in the order of a sample's values.
    pub fn metrics(self) -> &'static [Metric] {
        const REQUEST: &[Metric] = &[Metric { suffix: "", what: "CPU", unit: "us/req" }];
        const BULK: &[Metric] = &[Metric { suffix: "", what: "CPU", unit: "ms/GB" }];
        const IDLE: &[Metric] = &[
            Metric { suffix: "", what: "RSS once connected", unit: "B/conn" },
            Metric { suffix: "burst", what: "RSS after a burst", unit: "B/conn" },
        ];
        match self {
            Self::Requests { .. } => REQUEST,
            Self::Bulk { .. } => BULK,
            Self::Idle { .. } => IDLE,
        }
    }
}

/// One number that a case yields.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Appended to the case's id in tables and JSON.
    pub suffix: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
}

/// One proxy with one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: &'static str,
    pub peer: Peer,
    /// Stem of the configuration file; ignored for the relay.
    pub config: &'static str,
    pub threads: usize,
    /// The row that is 1.00.
    pub baseline: &'static str,
    /// The same proxy without what this row adds.
    pub plain: Option<&'static str>,
}

impl Row {
    const fn of(peer: Peer, config: &'static str) -> Self {
        let name = match peer {
            Peer::Haproxy => "haproxy",
            Peer::Nginx => "nginx",
            Peer::Relay => "relay",
            Peer::Tidegate => "tidegate",
        };
        Self { name, peer, config, threads: 1, baseline: "haproxy", plain: None }
    }

    const fn spliced(self, name: &'static str, config: &'static str) -> Self {
        Self { name, config, plain: Some(self.name), ..self }
    }

    const fn twice(self, name: &'static str) -> Self {
        Self { name, threads: 2, baseline: "haproxy-2t", plain: Some(self.name), ..self }
    }
}

const fn four(config: &'static str) -> [Row; 4] {
    [
        Row::of(Peer::Haproxy, config),
        Row::of(Peer::Nginx, config),
        Row::of(Peer::Relay, config),
        Row::of(Peer::Tidegate, config),
    ]
}

const fn six(config: &'static str, splice: &'static str) -> [Row; 6] {
    let [haproxy, nginx, relay, tidegate] = four(config);
    [
        haproxy,
        haproxy.spliced("haproxy-splice", splice),
        nginx,
        relay,
        tidegate,
        tidegate.spliced("tidegate-splice", splice),
    ]
}

const fn one_and_two_threads(config: &'static str) -> [Row; 8] {
    let [haproxy, nginx, relay, tidegate] = four(config);
    [
        haproxy,
        haproxy.twice("haproxy-2t"),
        nginx,
        nginx.twice("nginx-2t"),
        relay,
        relay.twice("relay-2t"),
        tidegate,
        tidegate.twice("tidegate-2t"),
    ]
}

const P1: Load = Load::Requests { request: Request::Get(ANSWER_LENGTH), connections: 64 };
const P2: Load = Load::Requests { request: Request::GetClose(ANSWER_LENGTH), connections: 64 };

pub const ALL: &[Case] = &[
    Case {
        id: "p1",
        title: "keep-alive GET, 1 KB answer, 64 connections",
        load: P1,
        rows: &four("http-keepalive"),
        strace: Some(20_000),
        callgrind: Some([2_000, 6_000]),
    },
    Case {
        id: "p1log",
        title: "p1 with option httplog to a unix datagram socket",
        load: P1,
        rows: &[
            Row::of(Peer::Haproxy, "http-keepalive-log"),
            Row::of(Peer::Tidegate, "http-keepalive-log"),
        ],
        strace: None,
        callgrind: None,
    },
    Case {
        id: "p2",
        title: "a new connection on both sides for each request",
        load: P2,
        rows: &four("http-close"),
        strace: Some(3_000),
        callgrind: Some([1_000, 3_000]),
    },
    Case {
        id: "p2defer",
        title: "p2 with defer-accept",
        load: P2,
        rows: &[
            Row::of(Peer::Haproxy, "http-close-defer"),
            Row::of(Peer::Nginx, "http-close-defer"),
            Row::of(Peer::Tidegate, "http-close-defer"),
        ],
        strace: None,
        callgrind: None,
    },
    Case {
        id: "p3",
        title: "bulk download in TCP mode, 4 connections",
        load: Load::Bulk { request: Request::Get(64_000_000), connections: 4 },
        rows: &six("tcp", "tcp-splice"),
        strace: Some(8),
        callgrind: None,
    },
    Case {
        id: "p4",
        title: "HTTP bodies of 10 MB, 8 connections",
        load: Load::Bulk { request: Request::Get(10_000_000), connections: 8 },
        rows: &six("http-keepalive", "http-splice"),
        strace: Some(50),
        callgrind: None,
    },
    Case {
        id: "p5",
        title: "memory per idle keep-alive client connection, 5,000 of them",
        load: Load::Idle { request: Request::Get(ANSWER_LENGTH), connections: 5_000, burst: 10 },
        rows: &four("http-keepalive"),
        strace: None,
        callgrind: None,
    },
    Case {
        id: "p7",
        title: "POST of 16 KB with a Content-Length, 64 connections",
        load: Load::Requests { request: Request::Post, connections: 64 },
        rows: &four("http-keepalive"),
        strace: Some(5_000),
        callgrind: Some([1_000, 3_000]),
    },
    Case {
        id: "p7chunked",
        title: "POST of 16 KB in four chunks, 64 connections",
        load: Load::Requests { request: Request::PostChunked, connections: 64 },
        rows: &four("http-keepalive"),
        strace: None,
        callgrind: Some([1_000, 3_000]),
    },
    Case {
        id: "p9",
        title: "p1 with one thread and with two",
        load: P1,
        rows: &one_and_two_threads("http-keepalive"),
        strace: None,
        callgrind: Some([4_000, 20_000]),
    },
];

/// The case called `name`; the splice rows are part of p3 and p4.
pub fn find(name: &str) -> Option<&'static Case> {
    let id = name.strip_suffix("splice").unwrap_or(name);
    ALL.iter().find(|case| case.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_compared_with_rows_of_their_case() {
        for case in ALL {
            let named = |name| case.rows.iter().any(|row| row.name == name);
            for row in case.rows {
                let same = case.rows.iter().filter(|other| other.name == row.name).count();
                assert_eq!(same, 1, "{} {}", case.id, row.name);
                assert!(named(row.baseline), "{} {}", case.id, row.name);
                assert!(row.plain.is_none_or(named), "{} {}", case.id, row.name);
            }
        }
    }

    #[test]
    fn names() {
        assert_eq!(find("p1").map(|case| case.id), Some("p1"));
        assert_eq!(find("p4splice").map(|case| case.id), Some("p4"));
        assert_eq!(find("p6"), None);
        assert_eq!(find(""), None);
    }
}
