//! Which server gets which request.

use crate::exchanges::scenario::{Scenario, http, tcp};
use crate::exchanges::script::*;

const THREE: &str = "server s1 {origin.s1}\nserver s2 {origin.s2}\nserver s3 {origin.s3}";
const WEIGHTS: &str = "server s1 {origin.s1} weight 1\nserver s2 {origin.s2} weight 3\n\
    server s3 {origin.s3} weight 2";

/// The answers to twelve requests, each on a connection of its own, name their servers.
fn twelve(scenario: Scenario, from: fn(usize) -> &'static str) -> Scenario {
    const NAMES: [Name; 12] =
        ["c01", "c02", "c03", "c04", "c05", "c06", "c07", "c08", "c09", "c10", "c11", "c12"];
    scenario
        .steps([serve(&["s1", "s2", "s3"])])
        .steps(
            NAMES
                .iter()
                .enumerate()
                .map(|(at, name)| get_from(name, format!("/page/{at}?q={}", at % 3), from(at))),
        )
        .codes(["--"; 12])
}

fn local(_: usize) -> &'static str {
    LOOPBACK
}

fn many(at: usize) -> &'static str {
    ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.1.2.4", "127.9.8.7", "127.0.1.1"][at % 6]
}

/// Six connections are held at a time.
fn held(scenario: Scenario) -> Scenario {
    scenario
        .steps([
            open("c1"),
            accept_any("o1"),
            open("c2"),
            accept_any("o2"),
            open("c3"),
            accept_any("o3"),
            open("c4"),
            accept_any("o4"),
            open("c5"),
            accept_any("o5"),
            open("c6"),
            accept_any("o6"),
        ])
        .steps([close("c2"), rest("o2"), close("o2"), logged(1)])
        .steps([close("c3"), rest("o3"), close("o3"), logged(2)])
        .steps([open("c7"), accept_any("o7"), open("c8"), accept_any("o8")])
        .steps([close("c1"), rest("o1"), close("o1"), logged(3)])
        .steps([close("c4"), rest("o4"), close("o4"), logged(4)])
        .steps([close("c5"), rest("o5"), close("o5"), logged(5)])
        .steps([close("c6"), rest("o6"), close("o6"), logged(6)])
        .steps([close("c7"), rest("o7"), close("o7"), logged(7)])
        .steps([close("c8"), rest("o8"), close("o8"), logged(8)])
        .codes(["--"; 8])
}

pub fn scenarios() -> Vec<Scenario> {
    vec![
        twelve(http("balance-default", "no balance line").servers(THREE), local),
        twelve(
            http("balance-roundrobin", "roundrobin").backend("balance roundrobin").servers(THREE),
            local,
        ),
        twelve(
            http("balance-roundrobin-weights", "roundrobin, weights 1, 3 and 2")
                .backend("balance roundrobin")
                .servers(WEIGHTS),
            local,
        ),
        twelve(
            http("balance-static-rr", "static-rr").backend("balance static-rr").servers(THREE),
            local,
        ),
        twelve(
            http("balance-static-rr-weights", "static-rr, weights 1, 3 and 2")
                .backend("balance static-rr")
                .servers(WEIGHTS),
            local,
        ),
        twelve(
            http("balance-leastconn", "leastconn without load")
                .backend("balance leastconn")
                .servers(THREE),
            local,
        ),
        twelve(
            http("balance-leastconn-weights", "leastconn without load, weights 1, 3 and 2")
                .backend("balance leastconn")
                .servers(WEIGHTS),
            local,
        ),
        twelve(
            http("balance-source", "source, from several addresses")
                .backend("balance source")
                .servers(THREE),
            many,
        ),
        twelve(
            http("balance-source-weights", "source, weights 1, 3 and 2")
                .backend("balance source")
                .servers(WEIGHTS),
            many,
        ),
        twelve(
            http("balance-source-consistent", "source with a consistent hash")
                .backend("balance source\nhash-type consistent")
                .servers(WEIGHTS),
            many,
        ),
        twelve(http("balance-uri", "uri").backend("balance uri").servers(THREE), local),
        twelve(
            http("balance-uri-weights", "uri, weights 1, 3 and 2")
                .backend("balance uri")
                .servers(WEIGHTS),
            local,
        ),
        twelve(
            http("balance-uri-whole", "uri with its query")
                .backend("balance uri whole")
                .servers(THREE),
            local,
        ),
        twelve(
            http("balance-uri-len", "uri, its first 7 bytes")
                .backend("balance uri len 7")
                .servers(THREE),
            local,
        ),
        twelve(
            http("balance-uri-depth", "uri, its first folder")
                .backend("balance uri depth 1")
                .servers(THREE),
            local,
        ),
        twelve(
            http("balance-uri-consistent", "uri with a consistent hash")
                .backend("balance uri\nhash-type consistent")
                .servers(WEIGHTS),
            local,
        ),
        twelve(http("balance-first", "first").backend("balance first").servers(THREE), local),
        twelve(
            http("balance-backups", "two backups, allbackups")
                .servers(
                    "server s1 {origin.s1} disabled\nserver s2 {origin.s2} backup\n\
                server s3 {origin.s3} backup",
                )
                .backend("option allbackups"),
            local,
        ),
        twelve(
            http("balance-backup-first", "two backups: the first alone").servers(
                "server s1 {origin.s1} disabled\nserver s2 {origin.s2} backup\n\
                server s3 {origin.s3} backup",
            ),
            local,
        ),
        twelve(
            http("balance-weight-0", "a server of weight 0 gets none").servers(
                "server s1 {origin.s1} weight 0\nserver s2 {origin.s2}\nserver s3 {origin.s3}",
            ),
            local,
        ),
        held(tcp("balance-held-roundrobin", "held connections, roundrobin").servers(WEIGHTS)),
        held(
            tcp("balance-held-leastconn", "held connections, leastconn")
                .backend("balance leastconn")
                .servers(THREE),
        ),
        held(
            tcp("balance-held-leastconn-weights", "held connections, leastconn and weights")
                .backend("balance leastconn")
                .servers(WEIGHTS),
        ),
        held(
            tcp(
                "balance-held-first",
                "held connections, first: a server is filled before the next",
            )
            .backend("balance first")
            .servers(
                "server s1 {origin.s1} maxconn 2\nserver s2 {origin.s2} maxconn 3\n\
                    server s3 {origin.s3}",
            ),
        ),
        held(
            tcp("balance-held-maxconn", "held connections: a full server is passed over").servers(
                "server s1 {origin.s1} maxconn 1\nserver s2 {origin.s2}\nserver s3 {origin.s3}",
            ),
        ),
    ]
}
