//! Two engines that share a door: limits, queues and sockets across them. Each is turned only when
//! it has a reason of its own or was notified.

use tidegate_core::config::MapHost;
use tidegate_core::engine::{Park, Signal};

use crate::rig::{Ended, Knobs, Rig, S1, http_config, tcp_config};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn two(config: &str) -> Rig {
    Rig::with(config, &Knobs { engines: 2, ..Knobs::default() })
}

#[test]
fn a_sharded_listener_has_a_socket_each() {
    let mut rig = two(&tcp_config(S1));
    for engine in [0, 1] {
        let c = rig.net.connect_to(0, engine);
        rig.turns();
        assert_eq!(rig.net.holder(c), Some(engine));
        let o = rig.server("s1");
        rig.send(c, "hello");
        assert_eq!(rig.text(o), "hello");
    }
    assert_eq!(rig.engines.iter().map(|e| e.sessions()).collect::<Vec<_>>(), [1, 1]);
    rig.finish();
}

#[test]
fn a_limit_holds_across_them() {
    for (global, lines) in [(" maxconn 1\n", ""), ("", " maxconn 1\n")] {
        let config = tcp_config(&format!("{lines}{S1}"));
        let config = config.replacen("global\n", &format!("global\n{global}"), 1);
        let mut rig = two(&config);
        let c0 = rig.net.connect_to(0, 0);
        rig.turns();
        let o0 = rig.server("s1");
        let c1 = rig.net.connect_to(0, 1);
        rig.turns();
        assert_eq!(rig.net.holder(c1), None);
        rig.end(c0);
        rig.end(o0);
        // The other engine was woken.
        assert_eq!(rig.net.holder(c1), Some(1), "{global}{lines}");
        rig.finish();
    }
}

#[test]
fn a_slot_goes_from_one_engine_to_the_other() {
    let mut rig = two(&http_config(" server s1 10.0.0.1:80 maxconn 1\n"));
    let ask = |rig: &mut Rig, engine, path: u32| {
        let c = rig.net.connect_to(0, engine);
        rig.send(c, format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        c
    };
    let clients =
        [ask(&mut rig, 0, 0), ask(&mut rig, 1, 1), ask(&mut rig, 0, 2), ask(&mut rig, 1, 3)];
    for (n, c) in clients.into_iter().enumerate() {
        let o = rig.server("s1");
        assert!(rig.text(o).starts_with(&format!("GET /{n} ")), "in the order of arrival");
        assert_eq!(rig.net.holder(o), Some(n as u32 % 2));
        rig.no_dial();
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
    }
    rig.finish();
}

#[test]
fn a_grant_that_comes_too_late_is_given_on() {
    let config = http_config(" option abortonclose\n server s1 10.0.0.1:80 maxconn 1\n");
    let mut rig = two(&config);
    let c0 = rig.net.connect_to(0, 0);
    rig.send(c0, GET);
    let o0 = rig.server("s1");
    let c1 = rig.net.connect_to(0, 1);
    rig.send(c1, GET);
    let c2 = rig.net.connect_to(0, 0);
    rig.send(c2, GET);
    // The answer comes in engine 0, which grants the slot to engine 1; there the client left just
    // now.
    rig.net.push(o0, OK.as_bytes());
    rig.net.reset(c1);
    rig.turn(0);
    rig.turns();
    assert!(rig.text(c0).ends_with("ok"));
    let o2 = rig.server("s1");
    rig.send(o2, OK);
    assert!(rig.text(c2).ends_with("ok"));
    assert_ne!(rig.ended(c1), Ended::Open);
    rig.finish();
}

#[test]
fn one_socket_for_all_hands_clients_on() {
    let config = tcp_config(S1).replace("bind 127.0.0.1:80", "bind /run/x.sock");
    let mut rig = two(&config);
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let c = rig.net.connect(0);
            // What it says before it is handed on is not lost.
            rig.net.push(c, b"hello");
            rig.turns();
            c
        })
        .collect();
    let holders: Vec<_> = clients.iter().map(|c| rig.net.holder(*c)).collect();
    assert_eq!(holders, [Some(0), Some(1), Some(0), Some(1), Some(0), Some(1)]);
    for c in clients {
        let o = rig.server("s1");
        assert_eq!(rig.text(o), "hello");
        rig.send(o, "welcome");
        rig.end(o);
        rig.end(c);
    }
    rig.finish();
}

#[test]
fn the_owner_of_a_shared_socket_changes_with_the_listener() {
    let config = tcp_config(S1).replace("bind 127.0.0.1:80", "bind /run/a.sock\n bind /run/b.sock");
    let mut rig = two(&config);
    for listener in [0, 1] {
        let c = rig.net.connect(listener);
        rig.turns();
        assert!(rig.net.holder(c).is_some());
    }
    rig.finish();
}

#[test]
fn a_limit_on_a_shared_socket() {
    let config =
        tcp_config(&format!(" maxconn 2\n{S1}")).replace("bind 127.0.0.1:80", "bind /run/x.sock");
    let mut rig = two(&config);
    let clients: Vec<_> = (0..3).map(|_| rig.client()).collect();
    assert_eq!(rig.net.holder(clients[2]), None);
    // The second is with the other engine, and frees the place from there.
    let servers: Vec<_> = (0..2).map(|_| rig.server("s1")).collect();
    rig.end(clients[1]);
    rig.end(servers[1]);
    assert!(rig.net.holder(clients[2]).is_some());
    rig.finish();
}

#[test]
fn each_keeps_its_own_idle_connections() {
    let mut rig = two(&http_config(&format!(" http-reuse always\n{S1}")));
    for engine in [0, 1] {
        let c = rig.net.connect_to(0, engine);
        rig.send(c, GET);
        let o = rig.server("s1");
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
        rig.send(c, GET);
        rig.no_dial();
        rig.send(o, OK);
    }
    rig.finish();
}

#[test]
fn a_soft_stop_stops_both_and_is_said_once() {
    let mut rig = two(&tcp_config(S1));
    let c = rig.net.connect_to(0, 1);
    rig.turns();
    let o = rig.server("s1");
    rig.signal(Signal::SoftStop);
    assert_eq!(rig.parks(), [Park::Done, Park::Until(rig.deadline(1))]);
    assert_eq!(rig.notices().len(), 1);
    rig.end(c);
    rig.end(o);
    assert_eq!(rig.parks(), [Park::Done, Park::Done]);
}

/// An engine that is done already gets no clients any more.
#[test]
fn a_client_for_an_engine_that_has_stopped() {
    let config = tcp_config(S1).replace("bind 127.0.0.1:80", "bind /run/x.sock");
    let mut rig = two(&config);
    rig.signal_one(1, Signal::SoftStop);
    assert_eq!(rig.parks()[1], Park::Done);
    let clients: Vec<_> = (0..3).map(|_| rig.client()).collect();
    assert!(clients.iter().all(|c| rig.net.holder(*c) == Some(0)));
    rig.finish();
}

/// A message that is in the mailbox of an engine that stops is still read.
#[test]
fn a_client_handed_to_an_engine_that_stops() {
    let config = tcp_config(S1).replace("bind 127.0.0.1:80", "bind /run/x.sock");
    let mut rig = two(&config);
    let _c0 = rig.client();
    let c1 = rig.net.connect(0);
    rig.turn(0);
    rig.signal(Signal::SoftStop);
    rig.turns();
    assert!(rig.net.holder(c1).is_some() || rig.net.closed(c1).is_some(), "it is lost");
    while let Some((o, _)) = rig.dialled() {
        rig.net.establish(o);
        rig.net.end(o);
    }
    for c in rig.net.connections() {
        rig.net.end(c);
    }
    rig.turns();
    rig.advance(60_000);
    assert_eq!(rig.parks(), [Park::Done, Park::Done]);
    assert!(rig.shared.is_idle());
}

#[test]
fn what_a_rule_changes_all_engines_see() {
    let host = MapHost::default().with_file("/l", "one\n").with_file("/m", "k first\n");
    let config = http_config(
        " acl known hdr(x) -f /l\n acl mapped str(k),map(/m) -m found\n \
         http-request add-acl(/l) %[hdr(add)] if { hdr(add) -m found }\n \
         http-request del-acl(/l) %[hdr(del)] if { hdr(del) -m found }\n \
         http-request set-map(/m) k %[hdr(map)] if { hdr(map) -m found }\n \
         http-request set-var(proc.seen) hdr(set) if { hdr(set) -m found }\n \
         http-request unset-var(proc.seen) if { hdr(unset) -m found }\n \
         http-request set-var(txn.m) str(k),map(/m)\n \
         http-request return status 200 hdr r \"%[var(txn.m)] %[var(proc.seen)] known\" if known\n \
         http-request return status 200 hdr r \"%[var(txn.m)] %[var(proc.seen)] unknown\"\n",
    );
    let mut rig = Rig::with(&config, &Knobs { engines: 2, host, ..Knobs::default() });
    let mut ask = |engine, fields: &str, answer: &str| {
        let client = rig.net.connect_to(0, engine);
        rig.send(client, format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let got = rig.text(client);
        assert!(got.contains(&format!("\r\nr: {answer}\r\n")), "{fields:?}: {got}");
        rig.end(client);
    };
    ask(0, "x: two\r\n", "first  unknown");
    ask(1, "x: two\r\nadd: two\r\nmap: second\r\nset: 1\r\n", "second 1 known");
    ask(0, "x: two\r\n", "second 1 known");
    ask(0, "x: two\r\ndel: two\r\nmap: third\r\nset: 2\r\n", "third 2 unknown");
    ask(1, "x: two\r\n", "third 2 unknown");
    ask(1, "x: one\r\nunset: 1\r\n", "third  known");
    ask(0, "x: one\r\n", "third  known");
    rig.finish();
}
