//! Slow readers: a session holds what its buffers hold, and the peer that sends waits.

use crate::rig::{Ended, Rig, S1};
use crate::tcp::pattern;

/// How much of what a peer pushed the engine took, when nobody takes anything on the other side.
const HELD_MAX: usize = 300_000;

#[test]
fn a_server_that_does_not_read() {
    let mut rig = Rig::tcp(S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.window(o, 0);
    let bytes = pattern(5_000_000);
    rig.send(c, &bytes);
    let calls = rig.calls(|rig| {
        for _ in 0..10 {
            rig.send(c, "more");
        }
    });
    assert!(calls.recv <= 10, "it goes on reading: {calls:?}");
    // What it takes once the window opens a little is what it held, and as much again.
    rig.window(o, 1_000);
    let mut got = rig.net.sent(o);
    assert_eq!(got.len(), 1_000);
    assert!(rig.net.unread(c));
    got.extend(rig.drain(o, 1_000_000));
    assert!(got.starts_with(&bytes));
    assert!(!rig.net.unread(c));
    rig.finish();
}

#[test]
fn a_client_that_does_not_read() {
    for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"]
    {
        let mut rig = Rig::http(S1);
        let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let o = rig.server("s1");
        rig.window(c, 0);
        let bytes = pattern(5_000_000);
        rig.net.push(o, answer.as_bytes());
        rig.net.push(o, &bytes);
        rig.turns();
        assert!(rig.net.unread(o), "it took five megabytes for a client that reads nothing");
        let got = rig.drain(c, 100_000);
        assert!(got.ends_with(&bytes[4_999_000..]) && got.len() > 5_000_000);
        rig.finish();
    }
}

#[test]
fn a_chunked_answer_to_a_client_that_does_not_read() {
    let mut rig = Rig::http(S1);
    let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let o = rig.server("s1");
    rig.window(c, 0);
    rig.net.push(o, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..300 {
        rig.net.push(o, b"2710\r\n");
        rig.net.push(o, &pattern(10_000));
        rig.net.push(o, b"\r\n");
    }
    rig.turns();
    assert!(rig.net.unread(o));
    rig.net.push(o, b"0\r\n\r\n");
    let got = rig.drain(c, 77_777);
    assert!(got.ends_with(b"\r\n0\r\n\r\n") && got.len() > 3_000_000);
    assert!(rig.log().contains(" 200 3000059 - - ---- "));
    rig.finish();
}

#[test]
fn a_body_before_there_is_a_server() {
    let mut rig = Rig::http(" server s1 10.0.0.1:80 maxconn 1\n");
    let _c1 = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let o = rig.server("s1");
    let c2 = rig.client();
    rig.net.push(c2, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
    rig.net.push(c2, &pattern(5_000_000));
    rig.turns();
    assert!(rig.net.unread(c2), "it took five megabytes for nobody");
    rig.send(o, "HTTP/1.1 204 No Content\r\n\r\n");
    let o2 = rig.server("s1");
    let got = rig.net.sent(o2);
    assert!(got.ends_with(&pattern(5_000_000)[4_999_000..]));
    rig.finish();
}

/// What the engine holds for a session, as the difference between what one side sent and the other
/// got.
#[test]
fn held_bytes_are_bounded() {
    let mut rig = Rig::tcp(S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.window(o, 0);
    let (mut pushed, block) = (0, pattern(10_000));
    for _ in 0..1_000 {
        if rig.net.unread(c) {
            break;
        }
        rig.send(c, &block);
        pushed += block.len();
    }
    assert!(pushed <= HELD_MAX, "{pushed} bytes");
    assert_eq!(rig.ended(c), Ended::Open);
    rig.finish();
}

#[test]
fn idle_clients_hold_no_buffer() {
    let mut rig = Rig::http(S1);
    for _ in 0..50 {
        let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let o = match rig.dialled() {
            Some((o, _)) => {
                rig.net.establish(o);
                rig.turns();
                o
            }
            None => continue,
        };
        rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert!(rig.text(c).ends_with("ok"));
    }
    rig.signal(tidegate_core::engine::Signal::TrimPools);
    let text = rig.notices().join("\n");
    // No buffer of any size is in use.
    assert_eq!(text.matches("bytes: 0 used").count(), 4, "{text}");
    assert!(text.contains("sessions: 0 used"), "{text}");
    rig.finish();
}
