//! Server connections between requests: who may use which, and what makes one useless.

use tidegate_core::script::Wire;

use crate::rig::{Ended, Knobs, Rig, S1, S12, http_config};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One exchange of a client; gives the connection that it went on: a new one if one is dialled,
/// else `old`.
fn exchange(rig: &mut Rig, c: Wire, old: &[Wire]) -> Wire {
    rig.send(c, GET);
    let o = match rig.dialled() {
        Some((wire, _)) => {
            rig.net.establish(wire);
            rig.turns();
            wire
        }
        None => *old.iter().find(|o| !rig.net.sent(**o).is_empty()).expect("it went nowhere"),
    };
    rig.net.sent(o);
    rig.send(o, OK);
    assert!(rig.text(c).ends_with("ok"));
    o
}

/// Two clients, two requests each, in turn; each request's connection, numbered in the order of
/// dialling.
fn walk(lines: &str) -> Vec<usize> {
    let mut rig = Rig::http(&format!("{lines}{S1}"));
    let (c1, c2) = (rig.client(), rig.client());
    let mut conns: Vec<Wire> = Vec::new();
    let mut seen = Vec::new();
    for c in [c1, c1, c2, c2, c1, c2] {
        let o = exchange(&mut rig, c, &conns);
        if !conns.contains(&o) {
            conns.push(o);
        }
        seen.push(conns.iter().position(|conn| *conn == o).expect("known"));
    }
    rig.finish();
    seen
}

#[test]
fn the_rules_of_http_reuse() {
    // A client's first request never goes on another's connection; later ones go on any.
    assert_eq!(walk(" http-reuse safe\n"), [0, 0, 1, 1, 1, 1]);
    assert_eq!(walk(""), walk(" http-reuse safe\n"));
    // Unless that was reused before: it has proven that it survives it.
    assert_eq!(walk(" http-reuse aggressive\n"), [0, 0, 0, 0, 0, 0]);
    assert_eq!(walk(" http-reuse always\n"), [0, 0, 0, 0, 0, 0]);
    // To each its own.
    assert_eq!(walk(" http-reuse never\n"), [0, 0, 1, 1, 0, 1]);
    assert_eq!(walk(" option http-server-close\n"), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn aggressive_takes_no_unproven_one_for_a_first_request() {
    for (reuse, expected) in [("aggressive", [0, 1]), ("always", [0, 0]), ("safe", [0, 1])] {
        let mut rig = Rig::http(&format!(" http-reuse {reuse}\n{S1}"));
        let (c1, c2) = (rig.client(), rig.client());
        let first = exchange(&mut rig, c1, &[]);
        let second = exchange(&mut rig, c2, &[first]);
        assert_eq!([0, usize::from(second != first)], expected, "{reuse}");
        rig.finish();
    }
}

#[test]
fn a_private_connection_goes_with_its_client() {
    let mut rig = Rig::http(&format!(" http-reuse never\n{S1}"));
    let c = rig.client();
    let o = exchange(&mut rig, c, &[]);
    assert_eq!(rig.ended(o), Ended::Open);
    rig.end(c);
    assert_ne!(rig.ended(o), Ended::Open);
    rig.finish();

    // A shared one stays.
    let mut rig = Rig::http(S1);
    let c = rig.client();
    let o = exchange(&mut rig, c, &[]);
    rig.end(c);
    assert_eq!(rig.ended(o), Ended::Open);
    rig.finish();
}

/// One at a time: when the next request goes to another server, the old connection is closed.
#[test]
fn a_client_has_one_private_connection() {
    let mut rig = Rig::http(&format!(" http-reuse never\n{S12}"));
    let c = rig.client();
    let first = exchange(&mut rig, c, &[]);
    let second = exchange(&mut rig, c, &[first]);
    assert_ne!(first, second);
    assert_eq!((rig.ended(first), rig.ended(second)), (Ended::Reset, Ended::Open));
    rig.finish();
}

#[test]
fn prefer_last_server_stays_with_its_own_connection() {
    let mut rig = Rig::http(&format!(" http-reuse never\n option prefer-last-server\n{S12}"));
    let c = rig.client();
    let first = exchange(&mut rig, c, &[]);
    assert_eq!(exchange(&mut rig, c, &[first]), first);
    // If that has ended there is nothing to prefer.
    rig.end(first);
    rig.send(c, GET);
    let o = rig.server("s2");
    rig.send(o, OK);
    assert!(rig.text(c).ends_with("ok"));
    rig.finish();
}

#[test]
fn ntlm_makes_a_connection_private() {
    let mut rig = Rig::http(&format!(" http-reuse always\n{S12}"));
    let c1 = rig.ask(GET);
    let o = rig.server("s1");
    rig.send(o, "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n");
    rig.net.sent(o);
    rig.text(c1);
    // Another's request goes elsewhere, although any connection would do.
    let c2 = rig.ask(GET);
    let o2 = rig.server("s2");
    rig.send(o2, OK);
    assert!(rig.text(c2).ends_with("ok"));
    // And its own stays there, although it would be another server's turn.
    for _ in 0..3 {
        rig.send(c1, GET);
        assert!(rig.text(o).starts_with("GET / "));
        rig.send(o, OK);
        assert!(rig.text(c1).ends_with("ok"));
    }
    rig.end(c1);
    assert_eq!(rig.ended(o), Ended::Reset);
    rig.finish();
}

#[test]
fn an_idle_connection_that_speaks_or_ends_is_not_used() {
    for event in ["bytes", "end", "reset", "all at once"] {
        let mut rig = Rig::http(S1);
        let c = rig.client();
        let o = exchange(&mut rig, c, &[]);
        match event {
            "bytes" => rig.send(o, "HTTP/1.1 408 Request Timeout\r\n\r\n"),
            "end" => rig.end(o),
            "reset" => rig.reset(o),
            _ => {
                // The end and the next request come in the same turn.
                rig.net.end(o);
                rig.net.push(c, GET.as_bytes());
                rig.turns();
            }
        }
        assert_ne!(rig.ended(o), Ended::Open, "{event}");
        if event != "all at once" {
            rig.send(c, GET);
        }
        let o = rig.server("s1");
        rig.send(o, OK);
        assert!(rig.text(c).ends_with("ok"), "{event}");
        assert_eq!(rig.logs().len(), 2);
        rig.finish();
    }
}

/// The connection dies under the request before one byte of the answer.
#[test]
fn a_request_is_sent_again_if_that_is_safe() {
    let body = "Content-Length: 2\r\n\r\nhi";
    for (method, body, reset, again) in [
        ("GET", "\r\n", false, true),
        ("GET", "\r\n", true, true),
        ("HEAD", "\r\n", true, true),
        ("PUT", "\r\n", false, true),
        ("DELETE", "\r\n", false, true),
        ("OPTIONS", "\r\n", false, true),
        ("POST", "\r\n", false, false),
        ("POST", body, true, false),
        ("PATCH", "\r\n", true, false),
        ("PUT", body, false, false),
    ] {
        let mut rig = Rig::http(S1);
        let c = rig.client();
        let o = exchange(&mut rig, c, &[]);
        rig.logs();
        rig.send(c, format!("{method} /2 HTTP/1.1\r\nHost: a\r\n{body}"));
        assert!(rig.text(o).starts_with(method));
        if reset {
            rig.reset(o)
        } else {
            rig.end(o)
        }
        if again {
            let o = rig.server("s1");
            assert!(rig.text(o).starts_with(&format!("{method} /2 ")));
            rig.send(o, "HTTP/1.1 204 No Content\r\n\r\n");
            assert!(rig.text(c).starts_with("HTTP/1.1 204 "), "{method}");
            let line = rig.log();
            // It is no retry that the configuration counts.
            assert!(line.contains(" 204 ") && line.contains("/0 0/0 "), "{line}");
        } else {
            // Nobody knows whether it was done: no page, an end.
            rig.no_dial();
            let (text, ended) = rig.heard(c);
            assert_eq!(text, "", "{method}");
            assert_ne!(ended, Ended::Open);
            let line = rig.log();
            assert!(line.contains(" -1 0 - - SH-- "), "{line}");
        }
        rig.finish();
    }
}

/// A body that came behind its head has left our hands as well.
#[test]
fn a_request_whose_body_is_gone_is_not_sent_again() {
    for (head, body) in [
        ("Content-Length: 10", "hello"),
        ("Content-Length: 5", "hello"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
    ] {
        for splice in ["", " option splice-auto\n"] {
            let mut rig = Rig::http(&format!("{splice}{S1}"));
            let c = rig.client();
            let o = exchange(&mut rig, c, &[]);
            rig.send(c, format!("PUT / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n"));
            rig.send(c, body);
            assert!(rig.text(o).contains("hello"));
            rig.reset(o);
            rig.no_dial();
            assert_eq!(rig.text(c), "");
            rig.finish();
        }
    }
    // As long as none of it came, the head alone can go again.
    let mut rig = Rig::http(S1);
    let c = rig.client();
    let o = exchange(&mut rig, c, &[]);
    rig.send(c, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    rig.reset(o);
    let o = rig.server("s1");
    rig.send(c, "hello");
    assert!(rig.text(o).ends_with("\r\n\r\nhello"));
    rig.finish();
}

/// A POST of which nothing was sent yet is safe as well.
#[test]
fn an_unsent_request_is_sent_again() {
    let mut rig = Rig::http(S1);
    let c = rig.client();
    let o = exchange(&mut rig, c, &[]);
    rig.net.window(o, 0);
    rig.send(c, "POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(rig.text(o), "");
    rig.reset(o);
    let o = rig.server("s1");
    rig.send(o, OK);
    assert!(rig.text(c).ends_with("ok"));
    rig.finish();
}

#[test]
fn a_fresh_connection_that_dies_is_a_502() {
    let mut rig = Rig::http(S1);
    let c = rig.ask(GET);
    let o = rig.server("s1");
    rig.end(o);
    assert!(rig.text(c).starts_with("HTTP/1.1 502 "));
    rig.no_dial();
    rig.finish();
}

/// Not even if it took the place of a reused one.
#[test]
fn a_second_death_is_not_forgiven() {
    let mut rig = Rig::http(S1);
    let c = rig.client();
    let o = exchange(&mut rig, c, &[]);
    rig.send(c, GET);
    rig.reset(o);
    let o = rig.server("s1");
    rig.reset(o);
    assert!(rig.text(c).starts_with("HTTP/1.1 502 "));
    rig.no_dial();
    rig.finish();
}

#[test]
fn limits_on_idle_connections() {
    for (server, tunables, kept) in [
        ("", None, 3),
        (" pool-max-conn 1", None, 1),
        (" pool-max-conn 0", None, 0),
        ("", Some(2), 2),
    ] {
        let mut knobs = Knobs::default();
        if tunables.is_some() {
            knobs.tunables = |t| t.idle_max = 2;
        }
        let config = http_config(&format!(" server s1 10.0.0.1:80{server}\n"));
        let mut rig = Rig::with(&config, &knobs);
        let clients: Vec<_> = (0..3).map(|_| rig.ask(GET)).collect();
        let servers: Vec<_> = (0..3).map(|_| rig.server("s1")).collect();
        for o in &servers {
            rig.send(*o, OK);
        }
        for c in clients {
            assert!(rig.text(c).ends_with("ok"));
        }
        let open = servers.iter().filter(|o| rig.ended(**o) == Ended::Open).count();
        assert_eq!(open, kept, "{server} {tunables:?}");
        rig.finish();
    }
}

#[test]
fn max_reuse() {
    let mut rig = Rig::http(" server s1 10.0.0.1:80 max-reuse 1\n");
    let c = rig.client();
    let first = exchange(&mut rig, c, &[]);
    assert_eq!(exchange(&mut rig, c, &[first]), first);
    assert_ne!(rig.ended(first), Ended::Open);
    let second = exchange(&mut rig, c, &[first]);
    assert_ne!(second, first);
    rig.finish();
}

#[test]
fn idle_connections_that_nobody_needs_are_purged() {
    let mut rig = Rig::http(" server s1 10.0.0.1:80 pool-purge-delay 1s\n");
    let clients: Vec<_> = (0..8).map(|_| rig.ask(GET)).collect();
    let servers: Vec<_> = (0..8).map(|_| rig.server("s1")).collect();
    for o in &servers {
        rig.send(*o, OK);
    }
    for c in clients {
        rig.end(c);
    }
    let open = |rig: &Rig| servers.iter().filter(|o| rig.ended(**o) == Ended::Open).count();
    assert_eq!(open(&rig), 8);
    let mut left = Vec::new();
    for _ in 0..6 {
        rig.advance(1_000);
        left.push(open(&rig));
    }
    assert_eq!(*left.last().expect("six"), 0, "{left:?}");
    assert!(left.is_sorted_by(|a, b| a >= b) && left[1] <= 4, "{left:?}");
    rig.finish();
}

#[test]
fn not_to_another_server() {
    let mut rig = Rig::http(&format!(" http-reuse always\n{S12}"));
    let c = rig.client();
    let first = exchange(&mut rig, c, &[]);
    rig.send(c, GET);
    let second = rig.server("s2");
    rig.send(second, OK);
    assert!(rig.text(c).ends_with("ok"));
    assert_eq!((rig.ended(first), rig.ended(second)), (Ended::Open, Ended::Open));
    rig.send(c, GET);
    rig.no_dial();
    assert!(rig.text(first).starts_with("GET / "));
    rig.finish();
}
