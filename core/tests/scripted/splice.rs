//! Bulk through pipes: the bytes are the same, and arrive in their order.

use crate::rig::{Ended, Knobs, Rig, S1, tcp_config};
use crate::tcp::pattern;

const LEN: usize = 1_000_000;

fn tcp(option: &str) -> Rig {
    Rig::tcp(&format!(" option {option}\n{S1}"))
}

#[test]
fn each_direction_as_asked() {
    for (option, up, down) in [
        ("splice-auto", true, true),
        ("splice-request", true, false),
        ("splice-response", false, true),
    ] {
        let mut rig = tcp(option);
        let c = rig.client();
        let o = rig.server("s1");
        let bytes = pattern(LEN);
        let calls = rig.calls(|rig| rig.send(c, &bytes));
        assert!(rig.net.sent(o) == bytes);
        assert_eq!(calls.splice > 0, up, "{option}");
        let calls = rig.calls(|rig| rig.send(o, &bytes));
        assert!(rig.net.sent(c) == bytes);
        assert_eq!(calls.splice > 0, down, "{option}");
        rig.finish();
    }
}

#[test]
fn small_things_are_copied() {
    let mut rig = tcp("splice-auto");
    let c = rig.client();
    let o = rig.server("s1");
    for _ in 0..50 {
        rig.send(c, pattern(3_000));
        rig.send(o, pattern(3_000));
    }
    assert_eq!((rig.net.calls.splice, rig.net.pipes()), (0, 0));
    rig.finish();
}

#[test]
fn through_small_pipes_and_windows() {
    for (pipe_max, window, piece_max) in
        [(0, 100_000, 0), (70_000, 30_001, 0), (5_000, 1_000_000, 0), (4_096, 777, 50_000)]
    {
        let config = tcp_config(&format!(" option splice-auto\n{S1}"));
        let mut rig = Rig::with(&config, &Knobs { piece_max, ..Knobs::default() });
        rig.net.pipe_max = pipe_max;
        let c = rig.client();
        let o = rig.server("s1");
        let bytes = pattern(LEN);
        rig.window(o, 0);
        rig.send(c, &bytes);
        rig.end(c);
        let got = rig.drain(o, window);
        assert!(got == bytes, "{pipe_max} {window}: {} bytes", got.len());
        assert_eq!(rig.ended(o), Ended::Shut);
        rig.finish();
    }
}

#[test]
fn a_body_of_known_length_and_what_comes_behind_it() {
    let mut rig = Rig::http(&format!(" option splice-auto\n{S1}"));
    let c = rig.client();
    let body = pattern(LEN);
    rig.net.push(c, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    rig.net.push(c, &body);
    rig.net.push(c, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.turns();
    let o = rig.server("s1");
    let got = rig.net.sent(o);
    let at = got.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    assert!(got[at..] == body);
    assert!(rig.net.calls.splice > 0);
    let spliced = rig.net.calls.splice;
    rig.net.push(o, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    rig.net.push(o, &body);
    rig.turns();
    let got = rig.net.sent(c);
    let at = got.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    assert!(got[at..] == body);
    assert!(rig.net.calls.splice > spliced);
    assert_eq!(rig.text(o), "GET /next HTTP/1.1\r\nhost: a\r\n\r\n");
    let line = rig.log();
    assert!(line.contains(" 200 1000055 - - ---- "), "{line}");
    rig.finish();
}

#[test]
fn a_body_that_ends_with_the_connection() {
    let mut rig = Rig::http(&format!(" option splice-auto\n{S1}"));
    let c = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let o = rig.server("s1");
    let body = pattern(LEN);
    rig.window(c, 0);
    rig.net.push(o, b"HTTP/1.1 200 OK\r\n\r\n");
    rig.net.push(o, &body);
    rig.net.end(o);
    rig.turns();
    let got = rig.drain(c, 123_457);
    let at = got.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    assert!(got[at..] == body, "{} bytes", got.len() - at);
    assert!(rig.net.calls.splice > 0);
    let line = rig.log();
    assert!(line.contains(" 200 1000034 - - ---- "), "{line}");
    rig.finish();
}

#[test]
fn it_breaks_off_while_bytes_are_in_the_pipe() {
    for who in ["client ends", "client resets", "server resets", "time"] {
        let mut rig = tcp("splice-auto");
        let c = rig.client();
        let o = rig.server("s1");
        rig.window(o, 300_000);
        rig.send(c, pattern(LEN));
        match who {
            "client ends" => rig.end(c),
            "client resets" => rig.reset(c),
            "server resets" => rig.reset(o),
            _ => rig.advance(10_000),
        }
        let got = rig.net.sent(o);
        assert!(pattern(LEN).starts_with(&got), "{who}");
        rig.advance(20_000);
        assert_eq!((rig.sessions(), rig.clients()), (0, 0), "{who}");
        assert_eq!(rig.logs().len(), 1);
        rig.finish();
    }
}

#[test]
fn pipes_are_few_and_used_again() {
    let knobs = Knobs { tunables: |t| t.pipes_max = 2, ..Knobs::default() };
    let mut rig = Rig::with(&tcp_config(&format!(" option splice-auto\n{S1}")), &knobs);
    let pairs: Vec<_> = (0..4).map(|_| (rig.client(), rig.server("s1"))).collect();
    for (c, o) in &pairs {
        rig.window(*o, 0);
        rig.send(*c, pattern(LEN));
    }
    assert!(rig.net.pipes() <= 2);
    for (c, o) in pairs {
        let got = rig.drain(o, 200_000);
        assert!(got == pattern(LEN));
        rig.end(c);
        rig.end(o);
    }
    assert!(rig.net.pipes() <= 2);
    rig.finish();
}
