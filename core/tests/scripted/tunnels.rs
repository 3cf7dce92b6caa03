//! 101 and CONNECT: from the answer on, bytes pass as they are.

use crate::rig::{Ended, Rig, S1, http_config, in_pieces};
use crate::tcp::pattern;

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";
const CONNECT: &str = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
const GRANTED: &str = "HTTP/1.1 200 OK\r\n\r\n";

#[test]
fn both_ways_until_both_end() {
    in_pieces(|knobs| {
        for (request, answer, code) in [(UPGRADE, SWITCH, 101), (CONNECT, GRANTED, 200)] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(request);
            let o = rig.server("s1");
            rig.net.sent(o);
            rig.send(o, answer);
            let head = rig.text(c);
            assert!(head.starts_with(&format!("HTTP/1.1 {code} ")), "{head}");
            assert_eq!(head.contains("upgrade: chat\r\n"), code == 101, "{head}");
            rig.send(c, "GET / looks like HTTP\r\n\r\n");
            assert_eq!(rig.text(o), "GET / looks like HTTP\r\n\r\n");
            rig.send(o, "HTTP/1.1 is not one\r\n\r\n");
            assert_eq!(rig.text(c), "HTTP/1.1 is not one\r\n\r\n");
            rig.end(o);
            assert_eq!(rig.ended(c), Ended::Shut);
            rig.end(c);
            assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Closed, Ended::Closed));
            let line = rig.log();
            assert!(line.contains(&format!(" {code} ")) && line.contains(" ---- "), "{line}");
            rig.finish();
        }
    });
}

#[test]
fn early_bytes_of_either_side_are_not_lost() {
    in_pieces(|knobs| {
        for (request, answer) in [(UPGRADE, SWITCH), (CONNECT, GRANTED)] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(format!("{request}early"));
            let o = rig.server("s1");
            // They wait for the answer: perhaps there is no tunnel.
            assert!(!rig.text(o).contains("early"));
            rig.send(o, format!("{answer}at once"));
            assert_eq!(rig.text(o), "early");
            assert!(rig.text(c).ends_with("\r\n\r\nat once"));
            rig.finish();
        }
    });
}

#[test]
fn what_came_behind_a_declined_upgrade_is_the_next_request() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask(format!("{UPGRADE}GET /next HTTP/1.1\r\nHost: a\r\n\r\n"));
        let o = rig.server("s1");
        rig.text(o);
        rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
        assert!(rig.text(c).ends_with("\r\n\r\nno"));
        assert!(rig.text(o).starts_with("GET /next "));
        rig.finish();
    });
}

#[test]
fn a_refused_connect_goes_on_as_http() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask(CONNECT);
        let o = rig.server("s1");
        rig.text(o);
        rig.send(o, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
        assert!(rig.text(c).ends_with("\r\n\r\nno"));
        rig.send(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(rig.text(o).starts_with("GET / "));
        rig.finish();
    });
}

#[test]
fn bulk_through_a_tunnel() {
    for option in ["", " option splice-auto\n"] {
        let mut rig = Rig::http(&format!("{option}{S1}"));
        let c = rig.ask(CONNECT);
        let o = rig.server("s1");
        rig.text(o);
        rig.send(o, GRANTED);
        rig.text(c);
        let bytes = pattern(700_000);
        rig.window(o, 0);
        rig.send(c, &bytes);
        assert!(rig.drain(o, 50_001) == bytes);
        rig.window(c, 0);
        rig.send(o, &bytes);
        assert!(rig.drain(c, 50_001) == bytes);
        rig.end(c);
        rig.end(o);
        assert!(rig.log().contains(" 200 700034 - - ---- "));
        rig.finish();
    }
}

#[test]
fn websockets_need_their_key_and_its_proof() {
    let head = "GET /w HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n";
    in_pieces(|knobs| {
        for key in ["", "Sec-WebSocket-Key: \r\n", "Sec-WebSocket-Key: x\r\n"] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(format!("{head}{key}\r\n"));
            assert!(rig.text(c).starts_with("HTTP/1.1 400 "));
            rig.no_dial();
            rig.finish();
        }

        for (proof, code) in [("Sec-WebSocket-Accept: x\r\n", 101), ("", 502)] {
            let mut rig = Rig::with(&http_config(S1), knobs);
            let c = rig.ask(format!("{head}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
            let o = rig.server("s1");
            let answer = "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
            rig.send(o, format!("{answer}{proof}\r\n"));
            assert!(rig.text(c).starts_with(&format!("HTTP/1.1 {code} ")));
            rig.finish();
        }
    });
}

#[test]
fn nobody_switches_behind_a_body() {
    for (body, kept) in [
        ("Content-Length: 0\r\n\r\n", true),
        ("Content-Length: 2\r\n\r\nab", false),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false),
    ] {
        let mut rig = Rig::http(S1);
        let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n";
        let c = rig.ask(format!("{head}{body}"));
        let o = rig.server("s1");
        assert_eq!(rig.text(o).contains("upgrade"), kept, "{body:?}");
        rig.send(o, "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        assert_eq!(rig.text(c).starts_with("HTTP/1.1 101 "), kept, "{body:?}");
        rig.finish();
    }
}

#[test]
fn http_2_is_not_offered_behind_our_back() {
    let mut rig = Rig::http(S1);
    let _c = rig.ask(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: x\r\n\r\n",
    );
    let o = rig.server("s1");
    assert_eq!(rig.text(o), "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    rig.finish();
}

#[test]
fn a_soft_stop_lets_tunnels_go_on() {
    let mut rig = Rig::http(S1);
    let c = rig.ask(CONNECT);
    let o = rig.server("s1");
    rig.text(o);
    rig.send(o, GRANTED);
    rig.text(c);
    rig.signal(tidegate_core::engine::Signal::SoftStop);
    rig.send(c, "ping");
    assert_eq!(rig.text(o), "ping");
    rig.end(c);
    rig.end(o);
    assert_eq!(rig.park(), tidegate_core::engine::Park::Done);
}
