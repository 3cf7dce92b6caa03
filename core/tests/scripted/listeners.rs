//! Listeners: limits at every level, pausing, and clients that wait in the kernel meanwhile.

use tidegate_core::engine::Signal;

use crate::rig::{GLOBAL, Knobs, Rig, S1, http_config, tcp_config};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn config(global: &str, frontend: &str, bind: &str) -> String {
    format!(
        "global\n log 127.0.0.1:514 local0\n{global}\ndefaults\n mode tcp\n log global\n \
         option tcplog\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n\
         listen l\n bind 127.0.0.1:80 {bind}\n{frontend}\n{S1}\
         listen other\n bind 127.0.0.1:81\n{S1}"
    )
}

#[test]
fn a_limit_makes_clients_wait_and_lets_them_in_one_by_one() {
    for (global, frontend, bind, other_waits) in [
        (" maxconn 2\n", "", "", true),
        ("", " maxconn 2\n", "", false),
        ("", "", "maxconn 2", false),
    ] {
        let mut rig = Rig::new(&config(global, frontend, bind));
        let clients: Vec<_> = (0..5).map(|_| rig.client()).collect();
        let servers: Vec<_> = (0..2).map(|_| rig.server("s1")).collect();
        let inside = |rig: &Rig| clients.iter().filter(|c| rig.net.holder(**c).is_some()).count();
        assert_eq!(inside(&rig), 2, "{global}{frontend}{bind}");
        rig.no_dial();
        // Who has another door is not concerned, unless the whole process is full.
        let other = rig.client_of(1);
        assert_eq!(rig.net.holder(other).is_none(), other_waits);
        // Waiting costs nothing.
        let calls = rig.calls(|rig| rig.advance(10_000));
        assert_eq!((calls.accept, calls.recv), (0, 0), "{global}{frontend}{bind}");
        rig.end(clients[0]);
        rig.end(servers[0]);
        let used = if other_waits { 1 } else { 2 };
        assert!(rig.net.holder(clients[2]).is_some() || rig.net.holder(other).is_some());
        assert!(inside(&rig) >= used);
        rig.finish();
    }
}

#[test]
fn an_idle_http_client_holds_its_place() {
    let mut rig = Rig::http(&format!(" maxconn 1\n timeout http-keep-alive 500\n{S1}"));
    let c1 = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, OK);
    let c2 = rig.ask(GET);
    assert_eq!(rig.net.holder(c2), None);
    rig.text(c1);
    rig.advance(501);
    assert_eq!(rig.net.holder(c2), Some(0));
    rig.finish();
}

#[test]
fn a_rejected_client_gives_its_place_back() {
    let mut rig = Rig::tcp(&format!(" maxconn 1\n tcp-request connection reject\n{S1}"));
    for _ in 0..5 {
        let c = rig.client();
        assert!(rig.net.closed(c).is_some());
    }
    rig.finish();
}

#[test]
fn accepting_in_small_steps() {
    let knobs = Knobs { tunables: |t| t.maxaccept = 1, ..Knobs::default() };
    let mut rig = Rig::with(&tcp_config(S1), &knobs);
    let clients: Vec<_> = (0..10).map(|_| rig.net.connect(0)).collect();
    let turns = rig.turns;
    rig.turns();
    assert!(clients.iter().all(|c| rig.net.holder(*c).is_some()));
    assert!(rig.turns - turns >= 10, "one a turn");
    rig.finish();
}

#[test]
fn pause_and_resume() {
    let mut rig = Rig::http(S1);
    let c1 = rig.ask(GET);
    let o = rig.server("s1");
    rig.signal(Signal::Pause);
    assert_eq!(rig.notices(), ["Paused frontend l."]);
    let c2 = rig.ask(GET);
    assert_eq!(rig.net.holder(c2), None);
    // What is inside goes on.
    rig.send(o, OK);
    assert!(rig.text(c1).ends_with("ok"));
    let calls = rig.calls(|rig| rig.advance(1_000));
    assert_eq!(calls.accept, 0);
    rig.signal(Signal::Resume);
    assert_eq!(rig.notices(), ["Resumed frontend l."]);
    assert_eq!(rig.net.holder(c2), Some(0));
    rig.finish();
}

/// A limit that has room again does not open what an operator closed.
#[test]
fn a_pause_is_stronger_than_a_limit() {
    let mut rig = Rig::tcp(&format!(" maxconn 1\n{S1}"));
    let c1 = rig.client();
    let o1 = rig.server("s1");
    let c2 = rig.client();
    rig.signal(Signal::Pause);
    rig.end(c1);
    rig.end(o1);
    rig.advance(1_000);
    assert_eq!(rig.net.holder(c2), None);
    rig.signal(Signal::Resume);
    assert_eq!(rig.net.holder(c2), Some(0));
    rig.finish();
}

#[test]
fn a_shortage_during_a_pause() {
    let mut rig = Rig::tcp(S1);
    rig.net.shortage = Some(tidegate_core::fault::Fault::NoDescriptors);
    let c = rig.client();
    rig.signal(Signal::Pause);
    rig.net.shortage = None;
    rig.advance(1_000);
    assert_eq!(rig.net.holder(c), None);
    rig.signal(Signal::Resume);
    assert_eq!(rig.net.holder(c), Some(0));
    rig.finish();
}

#[test]
fn many_listeners_of_one_frontend() {
    let mut rig = Rig::new(&format!(
        "{GLOBAL}defaults\n mode http\n log global\n option httplog\n timeout connect 1s\n \
         timeout client 1s\n timeout server 1s\nfrontend f\n bind :80\n bind :81\n bind :82\n \
         maxconn 2\n default_backend b\nbackend b\n{S1}"
    ));
    let clients: Vec<_> = (0..3).map(|listener| rig.client_of(listener)).collect();
    assert_eq!(rig.net.holder(clients[2]), None);
    rig.reset(clients[0]);
    assert_eq!(rig.net.holder(clients[2]), Some(0));
    rig.finish();
}

#[test]
fn a_client_that_is_gone_before_it_is_accepted() {
    let mut rig = Rig::with(&http_config(S1), &Knobs::default());
    rig.signal(Signal::Pause);
    let c = rig.net.connect(0);
    rig.net.push(c, GET.as_bytes());
    rig.net.reset(c);
    rig.signal(Signal::Resume);
    assert!(rig.net.closed(c).is_some());
    rig.finish();
}
