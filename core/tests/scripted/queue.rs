//! Queues before servers with a `maxconn`: first come, first served, and who leaves holds nothing.

use crate::rig::{Ended, Rig, http_config, tcp_config};

const ONE: &str = " server s1 10.0.0.1:80 maxconn 1\n";

fn get(path: u32) -> String {
    format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn first_come_first_served() {
    let mut rig = Rig::http(ONE);
    let clients: Vec<_> = (0..4).map(|n| rig.ask(get(n))).collect();
    let o = rig.server("s1");
    rig.no_dial();
    for (n, c) in clients.iter().enumerate() {
        // A reused connection or a new one: in any case the next in the queue.
        let o = if n == 0 { o } else { rig.server("s1") };
        assert!(rig.text(o).starts_with(&format!("GET /{n} ")), "{n}");
        rig.advance(10);
        rig.send(o, OK);
        assert!(rig.text(*c).ends_with("ok"));
        let waited = 10 * n;
        let line = rig.log();
        let queue = if n == 0 { 0 } else { 1 };
        assert!(line.starts_with(&format!("l l/s1 0/{waited}/0/10/{} 200", waited + 10)), "{line}");
        let position = line.split(' ').nth(9).expect("queues");
        assert_eq!(position.split('/').nth(1).map(|p| p != "0"), Some(queue == 1), "{line}");
    }
    rig.finish();
}

#[test]
fn an_idle_client_holds_no_slot() {
    let mut rig = Rig::http(ONE);
    let c1 = rig.ask(get(1));
    let o = rig.server("s1");
    rig.send(o, OK);
    assert_eq!(rig.ended(c1), Ended::Open);
    let c2 = rig.ask(get(2));
    let o2 = rig.server("s1");
    rig.send(o2, OK);
    assert!(rig.text(c2).ends_with("ok"));
    rig.finish();
}

#[test]
fn a_client_leaves_the_queue() {
    for (mode, options, reset, code, noticed) in [
        ("tcp", "", false, "CQ", true),
        ("tcp", "", true, "CD", true),
        ("http", " option abortonclose\n", false, "CQ", true),
        ("http", " option abortonclose\n", true, "CQ", true),
        ("http", "", false, "", false),
        ("http", "", true, "", false),
    ] {
        let lines = format!("{options}{ONE}");
        let config = if mode == "tcp" { tcp_config(&lines) } else { http_config(&lines) };
        let mut rig = Rig::new(&config);
        let said = if mode == "tcp" { String::new() } else { get(1) };
        let c1 = rig.client();
        let c2 = rig.client();
        let c3 = rig.client();
        for c in [c1, c2, c3] {
            if !said.is_empty() {
                rig.send(c, &said);
            }
        }
        let o = rig.server("s1");
        rig.advance(50);
        if reset {
            rig.reset(c2)
        } else {
            rig.end(c2)
        }
        let lines = rig.logs();
        if noticed {
            assert_eq!(lines.len(), 1, "{mode} {options} {reset}");
            assert!(lines[0].contains(&format!(" {code}")), "{}", lines[0]);
            assert!(lines[0].contains("l/<NOSRV> "), "{}", lines[0]);
            // The third is the next.
            if mode == "tcp" {
                rig.end(o);
                rig.end(c1);
            } else {
                rig.send(o, OK);
            }
            let o = rig.server("s1");
            if mode == "http" {
                rig.send(o, OK);
                assert!(rig.text(c3).ends_with("ok"));
            }
        } else {
            assert!(lines.is_empty());
        }
        rig.finish();
    }
}

#[test]
fn maxqueue_sends_elsewhere_or_away() {
    let mut rig = Rig::http(" balance source\n server s1 10.0.0.1:80 maxconn 1 maxqueue 1\n");
    let _c1 = rig.ask(get(1));
    let _o = rig.server("s1");
    let _c2 = rig.ask(get(2));
    rig.no_dial();
    let c3 = rig.ask(get(3));
    let text = rig.text(c3);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 503 "), "{text}");
    rig.finish();
}

#[test]
fn a_full_server_is_passed_over() {
    let mut rig = Rig::http(" server s1 10.0.0.1:80 maxconn 1\n server s2 10.0.0.2:80 maxconn 2\n");
    let clients: Vec<_> = (0..4).map(|n| rig.ask(get(n))).collect();
    let mut names = Vec::new();
    while let Some((wire, name)) = rig.dialled() {
        rig.net.establish(wire);
        rig.turns();
        names.push((name, wire));
    }
    let mut count: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
    count.sort_unstable();
    assert_eq!(count, ["s1", "s2", "s2"]);
    // Whichever is done first takes the one that waits.
    let (name, wire) = names[1].clone();
    rig.send(wire, OK);
    let o = rig.server(&name);
    assert!(rig.text(o).starts_with("GET /3 "));
    rig.send(o, OK);
    assert!(rig.text(clients[3]).ends_with("ok"));
    rig.finish();
}

#[test]
fn a_refused_attempt_frees_its_slot() {
    let mut rig = Rig::http(&format!(" retries 0\n{ONE}"));
    let c1 = rig.ask(get(1));
    let c2 = rig.ask(get(2));
    rig.refuse("s1");
    assert!(rig.text(c1).starts_with("HTTP/1.1 503 "));
    let o = rig.server("s1");
    rig.send(o, OK);
    assert!(rig.text(c2).ends_with("ok"));
    rig.finish();
}

/// A client that does not read its page holds no slot, no place in a queue, no connection.
#[test]
fn a_page_that_nobody_reads_holds_nothing() {
    let mut rig = Rig::http(&format!(" timeout queue 100\n{ONE}"));
    let _c1 = rig.ask(get(1));
    let o = rig.server("s1");
    let c2 = rig.client();
    rig.window(c2, 0);
    rig.send(c2, get(2));
    rig.advance(101);
    let c3 = rig.ask(get(3));
    rig.send(o, OK);
    // The second gave up: the third is next although the second is still there.
    let o3 = rig.server("s1");
    assert!(rig.text(o3).starts_with("GET /3 "));
    rig.send(o3, OK);
    assert!(rig.text(c3).ends_with("ok"));
    rig.window(c2, 100_000);
    assert!(rig.text(c2).starts_with("HTTP/1.1 503 "));
    rig.finish();
}

#[test]
fn a_slot_is_free_when_the_answer_is_complete() {
    let mut rig = Rig::http(ONE);
    let c1 = rig.client();
    rig.window(c1, 10);
    rig.send(c1, get(1));
    let o = rig.server("s1");
    rig.send(o, OK);
    // The first client has not read all: the exchange lasts.
    let c2 = rig.ask(get(2));
    rig.no_dial();
    rig.window(c1, 1_000);
    let o2 = rig.server("s1");
    rig.send(o2, OK);
    assert!(rig.text(c2).ends_with("ok"));
    rig.finish();
}
