//! The soft stop: listeners close, what runs may finish, and then it is over.

use tidegate_core::engine::{Park, Signal};

use crate::rig::{Ended, GLOBAL, Rig, S1};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn with_nothing_to_do() {
    let mut rig = Rig::http(S1);
    assert_eq!(rig.park(), Park::Idle);
    rig.signal(Signal::SoftStop);
    assert_eq!(rig.park(), Park::Done);
    assert_eq!(rig.notices(), ["Proxy l stopped (cumulated conns: FE: 0, BE: 0)."]);
    let line = rig.net.logged.last().expect("logged as well");
    assert!(line.starts_with("<132>") && line.ends_with("FE: 0, BE: 0)."), "{line}");
    // Twice is once.
    rig.signal(Signal::SoftStop);
    assert_eq!((rig.park(), rig.notices().len()), (Park::Done, 0));
}

#[test]
fn a_request_that_runs_finishes_and_its_client_is_told() {
    let mut rig = Rig::http(S1);
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.signal(Signal::SoftStop);
    assert_ne!(rig.park(), Park::Done);
    rig.send(o, OK);
    let (text, ended) = rig.heard(c);
    assert!(text.contains("\r\nconnection: close\r\n") && text.ends_with("ok"), "{text}");
    assert_eq!(ended, Ended::Shut);
    assert_ne!(rig.ended(o), Ended::Open, "nobody will need it");
    rig.end(c);
    assert_eq!(rig.park(), Park::Done);
    assert_eq!(rig.notices(), ["Proxy l stopped (cumulated conns: FE: 1, BE: 1)."]);
}

#[test]
fn an_answer_that_has_begun_is_the_last() {
    let mut rig = Rig::http(S1);
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    rig.signal(Signal::SoftStop);
    rig.send(o, "cd");
    assert!(rig.text(c).ends_with("abcd"));
    assert_ne!(rig.ended(c), Ended::Open);
    rig.end(c);
    assert_eq!(rig.park(), Park::Done);
}

#[test]
fn idle_connections_close_at_once() {
    let mut rig = Rig::http(S1);
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, OK);
    rig.text(c);
    let fresh = rig.client();
    rig.signal(Signal::SoftStop);
    assert_eq!((rig.ended(c), rig.ended(fresh)), (Ended::Closed, Ended::Closed));
    assert_eq!(rig.park(), Park::Done);
    // Nothing is left behind, not even idle connections to servers.
    assert_eq!(rig.net.open(), rig.net.standing(), "{:?}", rig.ended(o));
}

#[test]
fn tcp_sessions_go_on() {
    let mut rig = Rig::tcp(S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.signal(Signal::SoftStop);
    rig.send(c, "still");
    assert_eq!(rig.text(o), "still");
    rig.end(c);
    rig.end(o);
    assert_eq!(rig.park(), Park::Done);
}

#[test]
fn what_queues_is_still_served() {
    let mut rig = Rig::http(" server s1 10.0.0.1:80 maxconn 1\n");
    let (c1, c2) = (rig.ask(GET), rig.ask(GET));
    let o = rig.server("s1");
    rig.signal(Signal::SoftStop);
    rig.send(o, OK);
    let o = rig.server("s1");
    rig.send(o, OK);
    assert!(rig.text(c1).ends_with("ok") && rig.text(c2).ends_with("ok"));
    rig.end(c1);
    rig.end(c2);
    assert_eq!(rig.park(), Park::Done);
}

#[test]
fn hard_stop_after() {
    let config = |mode: &str| {
        format!(
            "{GLOBAL} hard-stop-after 2s\ndefaults\n mode {mode}\n log global\n option {mode}log\n \
             timeout connect 1h\n timeout client 1h\n timeout server 1h\nlisten l\n \
             bind 127.0.0.1:80\n{S1}"
        )
    };
    for mode in ["tcp", "http"] {
        let mut rig = Rig::new(&config(mode));
        let c = rig.ask(GET);
        let o = rig.server("s1");
        let waiting = rig.client();
        rig.signal(Signal::SoftStop);
        rig.advance(1_999);
        assert_eq!(rig.ended(c), Ended::Open, "{mode}");
        assert_ne!(rig.park(), Park::Done);
        rig.advance(2);
        assert_ne!(rig.ended(c), Ended::Open, "{mode}");
        assert_ne!(rig.ended(o), Ended::Open, "{mode}");
        assert_ne!(rig.ended(waiting), Ended::Open);
        assert_eq!(rig.park(), Park::Done, "{mode}");
        let lines = rig.logs();
        let line = lines.iter().find(|line| line.contains("l/s1")).expect("a line");
        assert!(line.contains(" K"), "{line}");
    }
}

#[test]
fn a_lingering_client_does_not_hold_it_up_for_long() {
    let mut rig = Rig::http(&format!(" http-request deny\n{S1}"));
    let c = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    assert_eq!(rig.ended(c), Ended::Shut);
    rig.signal(Signal::SoftStop);
    rig.advance(10_000);
    assert_eq!(rig.park(), Park::Done);
}

#[test]
fn stop_while_paused_or_short() {
    let mut rig = Rig::http(S1);
    rig.signal(Signal::Pause);
    rig.signal(Signal::SoftStop);
    rig.signal(Signal::Resume);
    assert_eq!(rig.park(), Park::Done);

    let mut rig = Rig::http(S1);
    rig.net.shortage = Some(tidegate_core::fault::Fault::NoDescriptors);
    let _ = rig.client();
    rig.signal(Signal::SoftStop);
    rig.advance(200);
    assert_eq!(rig.park(), Park::Done);
}

#[test]
fn other_signals() {
    let mut rig = Rig::http(S1);
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.signal(Signal::DumpState);
    let lines = rig.notices();
    assert!(lines[0].starts_with("SIGHUP: Server l/s1 is UP. Conn: 1 act, 0 pend, "), "{lines:?}");
    assert!(lines[1].starts_with("SIGHUP: Proxy l has 1 active server"), "{lines:?}");
    rig.signal(Signal::TrimPools);
    assert_eq!(rig.notices().len(), 1);
    rig.send(o, OK);
    assert!(rig.text(c).ends_with("ok"));
    rig.finish();
}
