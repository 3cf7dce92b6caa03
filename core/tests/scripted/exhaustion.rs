//! No descriptors: accepting and connecting fail, wait, and go on when one is free or after 100 ms;
//! the engine never spins (the rig counts turns in which nothing moves).

use tidegate_core::engine::Park;
use tidegate_core::fault::Fault;

use crate::rig::{Ended, Knobs, Rig, S1, http_config};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn accepting_waits_a_while_and_tries_again() {
    for fault in [Fault::NoDescriptors, Fault::NoMemory] {
        let mut rig = Rig::http(S1);
        rig.net.shortage = Some(fault);
        let c = rig.net.connect(0);
        rig.net.push(c, GET.as_bytes());
        let turns = rig.turns;
        let calls = rig.calls(|rig| rig.advance(1_000));
        // Once, and then every 100 ms.
        assert!((10..=12).contains(&calls.accept), "{calls:?}");
        assert!(rig.turns - turns < 40, "{} turns", rig.turns - turns);
        rig.net.shortage = None;
        rig.advance(100);
        let o = rig.server("s1");
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"));
        rig.finish();
    }
}

#[test]
fn accepting_goes_on_when_a_descriptor_is_free() {
    let mut rig = Rig::tcp(S1);
    let c1 = rig.client();
    let o1 = rig.server("s1");
    rig.net.fds_max = rig.net.open();
    let c2 = rig.client();
    assert_eq!(rig.net.holder(c2), None);
    rig.end(c1);
    rig.end(o1);
    // At the same moment.
    assert_eq!(rig.net.holder(c2), Some(0));
    rig.finish();
}

#[test]
fn idle_server_connections_are_the_first_to_go() {
    let mut rig = Rig::http(S1);
    let c1 = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, OK);
    rig.text(c1);
    assert_eq!(rig.ended(o), Ended::Open);
    rig.net.fds_max = rig.net.open();
    let c2 = rig.ask(GET);
    assert_eq!((rig.net.holder(c2), rig.ended(o)), (Some(0), Ended::Reset));
    rig.finish();
}

#[test]
fn clients_that_linger_go_too() {
    let mut rig = Rig::http(&format!(" http-request deny\n{S1}"));
    let c1 = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    assert_eq!(rig.ended(c1), Ended::Shut);
    rig.net.fds_max = rig.net.open();
    let c2 = rig.client();
    assert_eq!((rig.net.holder(c2), rig.ended(c1)), (Some(0), Ended::Closed));
    rig.finish();
}

#[test]
fn connecting_fails_with_a_page() {
    let mut rig = Rig::http(S1);
    let c = rig.client();
    rig.net.fds_max = rig.net.open();
    rig.send(c, GET);
    let (text, ended) = rig.heard(c);
    assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{text}");
    assert_eq!(ended, Ended::Open);
    // As in HAProxy 2.6: the server could not be reached, and every attempt failed at once.
    let line = told_of_shortage(&mut rig);
    assert!(line.contains(" 503 217 - - SC-- "), "{line}");
    assert!(line.contains("/3 0/0 "), "{line}");
    rig.finish();
}

/// The line of the one session that failed, behind one for each of its attempts.
#[track_caller]
fn told_of_shortage(rig: &mut Rig) -> String {
    let mut lines = rig.raw_logs();
    let line = lines.pop().expect("the session's");
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for line in lines {
        assert!(line.starts_with("Connect() failed for backend "), "{line}");
        assert!(line.ends_with(": out of file descriptors."), "{line}");
    }
    line
}

#[test]
fn connecting_takes_the_descriptor_of_an_idle_connection() {
    let servers = " server s1 10.0.0.1:1\n server s2 10.0.0.2:1\n";
    let mut rig = Rig::http(&format!(" http-reuse never\n{servers}"));
    let (c1, c2) = (rig.ask(GET), rig.client());
    let o1 = rig.server("s1");
    rig.send(o1, OK);
    rig.net.fds_max = rig.net.open();
    rig.send(c2, GET);
    let o2 = rig.server("s2");
    assert_eq!(rig.ended(o1), Ended::Reset);
    rig.send(o2, OK);
    assert!(rig.text(c2).ends_with("ok"));
    // The client whose connection it was gets another.
    rig.text(c1);
    rig.net.fds_max = 0;
    rig.send(c1, GET);
    let (o, _) = rig.dialled().expect("a new one");
    rig.net.establish(o);
    rig.send(o, OK);
    assert!(rig.text(c1).ends_with("ok"));
    rig.finish();
}

#[test]
fn connecting_without_descriptors() {
    for (mode, code) in [("tcp", "SC "), ("http", "SC-- ")] {
        let config = match mode {
            "tcp" => crate::rig::tcp_config(S1),
            _ => http_config(S1),
        };
        let mut rig = Rig::new(&config);
        // The client takes the last descriptor.
        rig.net.fds_max = rig.net.open() + 1;
        let c = rig.ask(GET);
        rig.advance(10);
        assert_eq!(rig.ended(c) == Ended::Open, mode == "http");
        let line = told_of_shortage(&mut rig);
        assert!(line.contains(code), "{line}");
        rig.finish();
    }
}

#[test]
fn pipes_run_out() {
    let mut rig = Rig::tcp(&format!(" option splice-auto\n{S1}"));
    rig.net.no_pipes = true;
    let c = rig.client();
    let o = rig.server("s1");
    let bytes = crate::tcp::pattern(600_000);
    rig.send(c, &bytes);
    assert!(rig.net.sent(o) == bytes);
    assert_eq!((rig.net.pipes(), rig.net.calls.splice), (0, 0));
    rig.finish();
}

/// As many as fit, no more, all served in the end.
#[test]
fn a_crowd_at_a_narrow_door() {
    let config = http_config(&format!(" option httpclose\n{S1}"));
    let knobs = Knobs { tunables: |t| t.maxaccept = 3, ..Knobs::default() };
    let mut rig = Rig::with(&config, &knobs);
    rig.net.fds_max = rig.net.open() + 6;
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let c = rig.net.connect(0);
            rig.net.push(c, GET.as_bytes());
            c
        })
        .collect();
    let mut answered = 0;
    for _ in 0..200 {
        rig.advance(100);
        while let Some((o, _)) = rig.dialled() {
            if rig.net.closed(o).is_none() {
                rig.net.establish(o);
                rig.net.push(o, OK.as_bytes());
                rig.turns();
            }
        }
        for c in &clients {
            if !rig.text(*c).is_empty() {
                answered += 1;
                if rig.net.closed(*c).is_none() {
                    rig.end(*c);
                }
            }
        }
        assert!(rig.net.open() <= rig.net.fds_max);
    }
    assert_eq!(answered, 20);
    assert!(!matches!(rig.park(), Park::Busy));
    rig.finish();
}
