//! Half-close in TCP mode and in tunnels: each direction ends by itself.

use crate::rig::{Ended, Rig, S1, http_config, in_pieces, tcp_config};

#[test]
fn a_client_ends_and_still_hears() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&tcp_config(S1), knobs);
        let c = rig.ask("question");
        let o = rig.server("s1");
        rig.end(c);
        assert_eq!(rig.heard(o), ("question".into(), Ended::Shut));
        rig.advance(500);
        rig.send(o, "late answer");
        assert_eq!(rig.heard(c), ("late answer".into(), Ended::Open));
        rig.end(o);
        assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Closed, Ended::Closed));
        assert_eq!(rig.log(), "l l/s1 0/0/500 11 -- 1/1/0/0/0 0/0");
        rig.finish();
    });
}

#[test]
fn a_server_ends_and_still_hears() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&tcp_config(S1), knobs);
        let c = rig.client();
        let o = rig.server("s1");
        rig.send(o, "bye");
        rig.end(o);
        assert_eq!(rig.heard(c), ("bye".into(), Ended::Shut));
        rig.advance(500);
        rig.send(c, "late");
        assert_eq!(rig.heard(o), ("late".into(), Ended::Open));
        rig.end(c);
        assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Closed, Ended::Closed));
        rig.finish();
    });
}

#[test]
fn an_end_waits_for_what_is_in_front_of_it() {
    let mut rig = Rig::tcp(S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.window(o, 3);
    rig.send(c, "abcdef");
    rig.end(c);
    assert_eq!(rig.heard(o), ("abc".into(), Ended::Open));
    rig.window(o, 2);
    assert_eq!(rig.heard(o), ("de".into(), Ended::Open));
    rig.window(o, 10);
    assert_eq!(rig.heard(o), ("f".into(), Ended::Shut));
    rig.finish();
}

#[test]
fn both_end_at_the_same_moment() {
    let mut rig = Rig::tcp(S1);
    let c = rig.client();
    let o = rig.server("s1");
    rig.net.push(c, b"a");
    rig.net.push(o, b"b");
    rig.net.end(c);
    rig.net.end(o);
    rig.turns();
    assert_eq!(rig.heard(o), ("a".into(), Ended::Closed));
    assert_eq!(rig.heard(c), ("b".into(), Ended::Closed));
    assert_eq!(rig.log(), "l l/s1 0/0/0 1 -- 1/1/0/0/0 0/0");
    rig.finish();
}

#[test]
fn in_a_tunnel() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
        let o = rig.server("s1");
        rig.text(o);
        rig.send(o, "HTTP/1.1 200 OK\r\n\r\nhi");
        assert_eq!(rig.text(c), "HTTP/1.1 200 OK\r\n\r\nhi");
        rig.send(c, "up");
        rig.end(c);
        assert_eq!(rig.heard(o), ("up".into(), Ended::Shut));
        rig.send(o, "down");
        assert_eq!(rig.heard(c), ("down".into(), Ended::Open));
        rig.end(o);
        assert_eq!((rig.ended(c), rig.ended(o)), (Ended::Closed, Ended::Closed));
        rig.finish();
    });
}

#[test]
fn an_http_client_that_ended_still_hears_its_answer() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.net.connect(0);
        rig.net.push(c, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        rig.net.end(c);
        rig.turns();
        let o = rig.server("s1");
        assert_eq!(rig.heard(o), ("GET / HTTP/1.1\r\nhost: a\r\n\r\n".into(), Ended::Open));
        rig.advance(1_000);
        rig.send(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let (text, ended) = rig.heard(c);
        assert!(text.ends_with("\r\n\r\nok"), "{text}");
        assert_eq!(ended, Ended::Closed);
        rig.finish();
    });
}
