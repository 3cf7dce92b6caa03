//! Rings with servers: what is logged to a ring goes to them over a connection that stays open.

use tidegate_core::engine::{Park, Signal};
use tidegate_core::fault::Fault;
use tidegate_core::poller::Close;
use tidegate_core::script::Wire;

use crate::rig::{Knobs, Rig};

/// Where the ring's first server is, in the words of an address.
const FIRST: &str = "10.0.1.1:514";

fn config(ring: &str) -> String {
    format!(
        "global\n log ring@r format raw local0\n\
         listen l\n mode http\n log global\n timeout connect 1s\n timeout client 900s\n \
         timeout server 1s\n bind 127.0.0.1:80\n log-format \"line %HU\"\n \
         http-request return status 200\n\
         ring r\n format raw\n maxlen 100\n timeout connect 700ms\n timeout server 2s\n{ring}"
    )
}

fn rig(proto: &str) -> Rig {
    Rig::new(&config(&format!(" server s {FIRST} {proto}\n")))
}

/// The next connection attempt, which goes to the first server.
#[track_caller]
fn dial(rig: &mut Rig) -> Wire {
    let (wire, to) = rig.net.dialled().expect("an attempt to connect");
    assert!(format!("{to:?}").contains(FIRST), "{to:?}");
    wire
}

#[track_caller]
fn accept(rig: &mut Rig) -> Wire {
    let wire = dial(rig);
    rig.net.establish(wire);
    rig.turns();
    wire
}

/// One request, which is logged.
fn ask(rig: &mut Rig, path: &str) {
    let c = rig.ask(format!("GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    rig.end(c);
}

/// The process is told to stop, and stops at once: no socket is left but sinks.
#[track_caller]
fn stop(mut rig: Rig) {
    rig.signal(Signal::SoftStop);
    assert!(rig.parks().iter().all(|park| *park == Park::Done), "{:?}", rig.parks());
    assert_eq!(rig.net.open(), rig.net.standing(), "sockets left");
    assert!(rig.shared.is_idle());
}

#[test]
fn messages_go_out_as_they_come() {
    for (proto, expected) in [
        ("", ["line /a\n", "line /b\nline /c\n"]),
        ("log-proto legacy", ["line /a\n", "line /b\nline /c\n"]),
        ("log-proto octet-count", ["7 line /a", "7 line /b7 line /c"]),
    ] {
        let mut rig = rig(proto);
        let s = accept(&mut rig);
        assert_eq!(rig.text(s), "");
        ask(&mut rig, "a");
        assert_eq!(rig.text(s), expected[0]);
        ask(&mut rig, "b");
        ask(&mut rig, "c");
        assert_eq!(rig.text(s), expected[1]);
        // However long nothing is to be said.
        rig.advance(600_000);
        assert_eq!((rig.text(s).as_str(), rig.net.closed(s)), ("", None));
        assert_eq!(rig.park(), Park::Idle);
        rig.no_dial();
        stop(rig);
    }
}

#[test]
fn what_came_before_the_connection_is_sent_first() {
    let mut rig = rig("");
    ask(&mut rig, "a");
    ask(&mut rig, "b");
    let s = accept(&mut rig);
    ask(&mut rig, "c");
    assert_eq!(rig.text(s), "line /a\nline /b\nline /c\n");
    stop(rig);
}

#[test]
fn each_server_gets_everything() {
    let mut rig = Rig::new(&config(
        " server one 10.0.1.1:514\n server two /run/two.sock log-proto octet-count\n",
    ));
    let one = accept(&mut rig);
    let (two, to) = rig.net.dialled().expect("both are connected to");
    assert!(format!("{to:?}").contains("/run/two.sock"), "{to:?}");
    ask(&mut rig, "a");
    // One that is late holds nobody up.
    assert_eq!(rig.text(one), "line /a\n");
    rig.net.establish(two);
    rig.turns();
    assert_eq!(rig.text(two), "7 line /a");
    stop(rig);
}

#[test]
fn a_refused_attempt_is_repeated_every_second() {
    let mut rig = rig("");
    for round in 0..3_u64 {
        let s = dial(&mut rig);
        assert_eq!(rig.ms(), round * 1_000);
        rig.advance(300);
        rig.net.refuse(s, Fault::Refused);
        rig.turns();
        assert_eq!(rig.net.closed(s), Some(Close::Graceful));
        rig.advance(699);
        rig.no_dial();
        rig.advance(1);
    }
    let s = accept(&mut rig);
    ask(&mut rig, "a");
    assert_eq!(rig.text(s), "line /a\n");
    stop(rig);
}

#[test]
fn an_attempt_without_an_answer_is_given_up() {
    let mut rig = rig("");
    let s = dial(&mut rig);
    rig.advance(699);
    assert_eq!(rig.net.closed(s), None);
    rig.advance(2);
    assert_eq!(rig.net.closed(s), Some(Close::Graceful));
    rig.no_dial();
    rig.advance(300);
    dial(&mut rig);
    stop(rig);
}

#[test]
fn without_descriptors_it_waits_a_second() {
    let mut rig = rig("");
    let s = accept(&mut rig);
    rig.advance(5_000);
    rig.net.shortage = Some(Fault::NoDescriptors);
    rig.end(s);
    rig.net.shortage = None;
    rig.advance(999);
    rig.no_dial();
    rig.advance(1);
    accept(&mut rig);
    stop(rig);
}

#[test]
fn a_server_that_ends_is_connected_to_again() {
    let mut rig = rig("");
    let s = accept(&mut rig);
    ask(&mut rig, "a");
    assert_eq!(rig.text(s), "line /a\n");
    rig.advance(5_000);
    // Its end alone is enough, as in HAProxy; the connection lasted, so the next comes at once.
    rig.end(s);
    assert_eq!(rig.net.closed(s), Some(Close::Graceful));
    let s = accept(&mut rig);
    ask(&mut rig, "b");
    assert_eq!(rig.text(s), "line /b\n", "and nothing twice");
    // One that ends at once is left alone for a while.
    rig.reset(s);
    ask(&mut rig, "c");
    rig.advance(900);
    rig.no_dial();
    rig.advance(100);
    let s = accept(&mut rig);
    assert_eq!(rig.text(s), "line /c\n");
    stop(rig);
}

#[test]
fn what_a_server_says_is_ignored() {
    for piece_max in [0, 1] {
        let config = config(&format!(" server s {FIRST}\n"));
        let mut rig = Rig::with(&config, &Knobs { piece_max, ..Knobs::default() });
        let s = accept(&mut rig);
        rig.send(s, "x".repeat(300_000));
        assert!(!rig.net.unread(s));
        ask(&mut rig, "a");
        assert_eq!(rig.text(s), "line /a\n");
        // Even with its end behind it.
        rig.advance(2_000);
        rig.net.push(s, &[b'y'; 5_000]);
        rig.end(s);
        assert_eq!(rig.net.closed(s), Some(Close::Graceful));
        let s = accept(&mut rig);
        ask(&mut rig, "b");
        assert_eq!(rig.text(s), "line /b\n");
        stop(rig);
    }
}

#[test]
fn a_slow_server_gets_it_piece_by_piece() {
    let mut rig = rig("log-proto octet-count");
    let s = accept(&mut rig);
    rig.net.window(s, 4);
    ask(&mut rig, "a");
    ask(&mut rig, "b");
    assert_eq!(rig.text(s), "7 li");
    rig.advance(1_900);
    rig.window(s, 5);
    assert_eq!(rig.text(s), "ne /a");
    // What moved counts.
    rig.advance(1_900);
    rig.window(s, 1_000);
    assert_eq!(rig.text(s), "7 line /b");
    rig.advance(100_000);
    assert_eq!(rig.net.closed(s), None);
    stop(rig);
}

#[test]
fn a_server_that_takes_nothing_is_left_and_gets_what_it_did_not_get_whole() {
    let mut rig = rig("");
    let s = accept(&mut rig);
    rig.advance(10_000);
    rig.net.window(s, 12);
    for path in ["a", "b", "c"] {
        ask(&mut rig, path);
    }
    assert_eq!(rig.text(s), "line /a\nline");
    rig.advance(1_999);
    assert_eq!(rig.net.closed(s), None);
    rig.advance(2);
    assert_eq!(rig.net.closed(s), Some(Close::Graceful));
    let s = accept(&mut rig);
    assert_eq!(rig.text(s), "line /b\nline /c\n");
    stop(rig);
}

#[test]
fn what_is_driven_out_meanwhile_is_lost_and_memory_stays() {
    let mut rig = rig("");
    let s = accept(&mut rig);
    rig.net.window(s, 0);
    // 16 bytes each, with their lengths, in a ring of 16,384.
    for n in 0..3_000 {
        ask(&mut rig, &format!("{n:06}"));
    }
    rig.reset(s);
    rig.advance(1_000);
    let s = accept(&mut rig);
    let text = rig.text(s);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("line /001976", 1024));
    assert_eq!(lines[1023], "line /002999");
    stop(rig);
}

#[test]
fn a_stop_sends_what_is_there_and_waits_for_nobody() {
    let mut rig = rig("");
    let s = accept(&mut rig);
    ask(&mut rig, "a");
    rig.signal(Signal::SoftStop);
    assert_eq!(rig.park(), Park::Done);
    let text = rig.text(s);
    assert!(text.starts_with("line /a\nProxy l stopped "), "{text}");
    assert_eq!((text.lines().count(), rig.net.closed(s)), (2, Some(Close::Graceful)));
    stop(rig);

    // Nor for one that takes nothing, or says things without end, or is not even there.
    for what in ["nothing", "says", "absent"] {
        let mut rig = self::rig("");
        let s = dial(&mut rig);
        if what != "absent" {
            rig.net.establish(s);
            rig.turns();
        }
        rig.net.window(s, if what == "nothing" { 0 } else { usize::MAX });
        ask(&mut rig, "a");
        if what == "says" {
            rig.net.push(s, &vec![b'x'; 100 << 20]);
        }
        stop(rig);
    }
}

#[test]
fn while_a_session_lasts_a_stopping_process_forwards() {
    let mut rig = rig("");
    let s = accept(&mut rig);
    let c = rig.ask("GET /a HTTP/1.1\r\nHost: a\r\n");
    rig.signal(Signal::SoftStop);
    assert_ne!(rig.park(), Park::Done);
    assert!(rig.text(s).starts_with("Proxy l stopped "));
    rig.advance(1_500);
    rig.end(s);
    let s = accept(&mut rig);
    rig.send(c, "\r\n");
    rig.end(c);
    assert_eq!((rig.text(s).as_str(), rig.park()), ("line /a\n", Park::Done));
    stop(rig);
}

#[test]
fn one_engine_forwards_what_all_of_them_log() {
    let config = config(&format!(" server s {FIRST}\n"));
    let mut rig = Rig::with(&config, &Knobs { engines: 2, ..Knobs::default() });
    let s = accept(&mut rig);
    rig.no_dial();
    for (engine, path) in [(0, "a"), (1, "b"), (0, "c")] {
        let c = rig.net.connect_to(0, engine);
        rig.send(c, format!("GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        rig.end(c);
    }
    assert_eq!(rig.text(s), "line /a\nline /b\nline /c\n");
    let c = rig.net.connect_to(0, 1);
    rig.send(c, "GET /d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    rig.end(c);
    assert_eq!(rig.text(s), "");
    rig.advance(100);
    assert_eq!(rig.text(s), "line /d\n");
    stop(rig);
}

#[test]
fn it_goes_on_whatever_the_order_and_size_of_what_happens() {
    let mut rig = rig("log-proto octet-count");
    let s = accept(&mut rig);
    rig.net.backwards = true;
    rig.net.balk_every = 3;
    let mut expected = String::new();
    let mut got = String::new();
    for n in 0..200_usize {
        rig.net.window(s, n % 7 * 3);
        ask(&mut rig, &n.to_string());
        let line = format!("line /{n}");
        expected += &format!("{} {line}", line.len());
        got += &rig.text(s);
    }
    rig.window(s, usize::MAX);
    got += &rig.text(s);
    assert_eq!(got, expected);
    rig.net.balk_every = 0;
    stop(rig);
}
