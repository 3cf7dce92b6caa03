//! Requests behind each other on one connection: answered in their order, each once.

use crate::rig::{Ended, Rig, S1, http_config, in_pieces};

fn get(path: &str) -> String {
    format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn answers_come_in_order() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask(get("1") + &get("2") + &get("3"));
        let o = rig.server("s1");
        for n in ["1", "2", "3"] {
            // One at a time: the next is not sent before the last is answered.
            assert_eq!(rig.text(o), format!("GET /{n} HTTP/1.1\r\nhost: a\r\n\r\n"));
            rig.send(o, ok(n));
            assert!(rig.text(c).ends_with(&format!("\r\n\r\n{n}")));
        }
        assert_eq!(rig.logs().len(), 3);
        rig.no_dial();
        rig.finish();
    });
}

#[test]
fn bodies_between_them() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask(
            "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
             POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
             GET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
        );
        let o = rig.server("s1");
        assert!(rig.text(o).ends_with("\r\n\r\nhello"));
        rig.send(o, ok("1"));
        assert!(rig.text(o).ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
        rig.send(o, ok("2"));
        assert!(rig.text(o).starts_with("GET /3 "));
        rig.send(o, ok("3"));
        let text = rig.text(c);
        let order: Vec<_> = text.matches("\r\n\r\n").count().to_string().chars().collect();
        assert_eq!(order, ['3']);
        rig.finish();
    });
}

#[test]
fn a_server_that_closes_between_them() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask(get("1") + &get("2"));
        let o = rig.server("s1");
        rig.net.push(o, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1");
        rig.net.end(o);
        rig.turns();
        assert!(rig.text(c).ends_with("\r\n\r\n1"));
        let o = rig.server("s1");
        assert!(rig.text(o).starts_with("GET /2 "));
        rig.send(o, ok("2"));
        let (text, ended) = rig.heard(c);
        assert!(text.ends_with("\r\n\r\n2"));
        assert_eq!(ended, Ended::Open);
        rig.finish();
    });
}

/// It said keep-alive by silence, and then closed under the next request: that goes elsewhere
/// unseen.
#[test]
fn a_server_that_closes_without_a_word() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask(get("1") + &get("2"));
        let o = rig.server("s1");
        rig.net.push(o, ok("1").as_bytes());
        rig.net.end(o);
        rig.turns();
        let o = rig.server("s1");
        assert!(rig.text(o).starts_with("GET /2 "));
        rig.send(o, ok("2"));
        assert!(rig.text(c).ends_with("\r\n\r\n2"));
        assert_eq!(rig.logs().len(), 2);
        rig.finish();
    });
}

#[test]
fn the_last_one_may_close() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let close = "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let c = rig.ask(get("1") + close + &get("3"));
        let o = rig.server("s1");
        rig.send(o, ok("1"));
        rig.send(o, ok("2"));
        let text = rig.text(c);
        assert!(text.ends_with("\r\nconnection: close\r\n\r\n2"), "{text}");
        assert_ne!(rig.ended(c), Ended::Open);
        // What came behind the last request is nobody's.
        assert_eq!(rig.text(o).matches("GET /3").count(), 0);
        assert_eq!(rig.logs().len(), 2);
        rig.finish();
    });
}

#[test]
fn a_denied_one_between_them() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(&format!(" http-request deny\n{S1}")), knobs);
        let c = rig.ask(get("1") + &get("2"));
        let (text, ended) = rig.heard(c);
        assert_eq!(text.matches("HTTP/1.1 403 Forbidden").count(), 2);
        assert_eq!(ended, Ended::Open);
        rig.finish();
    });
}

#[test]
fn a_bad_one_behind_a_good_one() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.ask(get("1") + "bad\r\n\r\n");
        let o = rig.server("s1");
        rig.send(o, ok("1"));
        let text = rig.text(c);
        let at = text.find("\r\n\r\n1HTTP/1.1 400 Bad request\r\n");
        assert!(at.is_some(), "{text}");
        assert_eq!(rig.logs().len(), 2);
        rig.finish();
    });
}

#[test]
fn the_end_behind_them() {
    in_pieces(|knobs| {
        let mut rig = Rig::with(&http_config(S1), knobs);
        let c = rig.net.connect(0);
        rig.net.push(c, (get("1") + &get("2")).as_bytes());
        rig.net.end(c);
        rig.turns();
        let o = rig.server("s1");
        rig.send(o, ok("1"));
        rig.send(o, ok("2"));
        let (text, ended) = rig.heard(c);
        assert!(text.ends_with("\r\n\r\n2"), "{text}");
        assert_eq!(ended, Ended::Closed);
        assert_eq!(rig.logs().len(), 2);
        rig.finish();
    });
}

/// A client that sends a great many requests keeps neither the turn nor memory to itself.
#[test]
fn many_of_them() {
    let mut rig = Rig::http(" http-request deny\n");
    let c = rig.net.connect(0);
    for n in 0..2_000 {
        rig.net.push(c, get(&n.to_string()).as_bytes());
    }
    let other = rig.net.connect(0);
    rig.net.push(other, get("other").as_bytes());
    rig.turns();
    assert_eq!(rig.text(other).matches("HTTP/1.1 403").count(), 1);
    assert_eq!(rig.text(c).matches("HTTP/1.1 403 Forbidden").count(), 2_000);
    rig.finish();
}
