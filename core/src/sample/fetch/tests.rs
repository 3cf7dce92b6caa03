//! What fetches come to, against values measured from HAProxy 2.6: `cases.txt` is what the program
//! `fetches` in `tests/` measures, `registered.txt` what `haproxy -dKsmp` prints.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Kind, find, specs};
use crate::poller::Address;
use crate::proxy::shared::Gauge;
use crate::proxy::spec::{Proxy, Role, Server, Site};
use crate::proxy::userlist::{Password, User, Userlist};
use crate::sample::stage::Stage;
use crate::sample::{Point, Sample};

/// The columns of `registered.txt` that a point in a proxy of a role stands for.
fn columns(point: Point, role: Role) -> &'static [usize] {
    let frontend = role.has(Role::FRONTEND);
    let backend = role.has(Role::BACKEND);
    let of = |both: &'static [usize; 2]| match (frontend, backend) {
        (true, true) => &both[..],
        (true, false) => &both[..1],
        _ => &both[1..],
    };
    match point {
        Point::Connection => &[0],
        Point::Session => &[1],
        Point::ReqContent => of(&[2, 6]),
        Point::HttpReq => of(&[3, 7]),
        Point::Switch => of(&[5, 9]),
        Point::ResContent => of(&[15, 11]),
        Point::HttpRes => of(&[16, 12]),
        Point::Answer => match (frontend, backend) {
            (true, true) => &[3, 16, 7, 12],
            (true, false) => &[3, 16],
            _ => &[7, 12],
        },
        Point::Log => &[18],
        Point::Config => &[20],
        // Checked where it is used.
        Point::Any => &[],
    }
}

#[test]
fn the_table_is_haproxys() {
    let mut registered = Vec::new();
    for line in include_str!("registered.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (columns_of, kind, call) =
            (words.next().unwrap(), words.next().unwrap(), words.collect::<Vec<_>>().join(" "));
        let name = call.split('(').next().unwrap();
        registered.push(name.to_owned());
        let Some(spec) = find(name) else {
            panic!("{name} is not known");
        };
        let kind = match name {
            // Registered as numbers, and yet addresses.
            "bc_src" | "bc_dst" => "ipv4",
            _ => kind,
        };
        assert_eq!(spec.kind.as_str(), kind, "{name}");
        let role = [Role::FRONTEND, Role::BACKEND, Role::FRONTEND.with(Role::BACKEND)];
        for (point, role) in Point::ALL.iter().flat_map(|point| role.map(|role| (*point, role))) {
            let valid = columns(point, role).iter().any(|at| columns_of.as_bytes()[*at] == b'Y');
            assert_eq!(spec.avail.at(point, role), valid, "{name} in {point:?} of {role:?}");
        }
        let args = call.strip_prefix(name).unwrap().trim_matches(['(', ')']);
        let optional = args.find('[').unwrap_or(args.len());
        let count = |text: &str| text.split([',', '[']).filter(|part| !part.is_empty()).count();
        let (least, most) = (count(&args[..optional]), count(args));
        assert!(spec.args.0 <= least && spec.args.1 >= most, "{call}: {:?}", spec.args);
    }
    for spec in specs() {
        assert!(registered.iter().any(|name| name == spec.name), "{}", spec.name);
        assert_eq!(specs().filter(|other| other.name == spec.name).count(), 1, "{}", spec.name);
    }
}

/// Backslashes resolved, as the cases have them.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match (byte, byte == b'\\') {
            (_, true) => match bytes.next().expect("a byte behind the backslash") {
                b'r' => out.push(b'\r'),
                b'n' => out.push(b'\n'),
                b't' => out.push(b'\t'),
                b'x' => {
                    let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                    let digits = core::str::from_utf8(&digits).unwrap();
                    out.push(u8::from_str_radix(digits, 16).unwrap());
                }
                other => out.push(other),
            },
            (other, false) => out.push(other),
        }
    }
    out
}

/// The site that the cases were measured on.
fn site() -> Stage {
    let user = |name: &str, password: Password, groups: &[&str]| User {
        name: name.into(),
        password,
        groups: groups.iter().map(|group| Arc::from(*group)).collect(),
    };
    let hash = "$1$saltsalt$9xy1btjgzLYfb7hivXtC//";
    let users = vec![
        user("bob", Password::Hash(hash.into()), &["g"]),
        user("al", Password::Plain("x".into()), &[]),
    ];
    let mut stage = Stage::at(Site {
        proxies: vec![Proxy { name: "p".into(), ..Proxy::default() }],
        userlists: vec![Userlist { name: "l".into(), users }],
        ..Site::default()
    });
    stage.ends.dst = stage.ends.src;
    stage
}

#[test]
fn values_are_haproxys() {
    let (mut stage, mut message, mut wrong, mut count) = (site(), "", Vec::new(), 0);
    for line in include_str!("cases.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some(case) = line.strip_prefix("  ") else {
            message = line;
            let (kind, text) = line.split_once(' ').unwrap();
            let text = unescape(text);
            let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
            stage = match kind {
                "request" => site().message(&text),
                "response" => site().message(request).answer(&text),
                "bytes" => site().raw(&text),
                other => panic!("{other}"),
            };
            continue;
        };
        let (text, expected) = case.split_once(" =>").unwrap();
        let expected = &expected[1..];
        count += 1;
        let expr = stage.compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let scene = stage.scene();
        let value = expr.eval(&scene).value;
        let found = match value {
            None => b"(none)".to_vec(),
            Some(value) if expr.kind == Kind::Bin => {
                let bytes = value.bytes(scene.arena()).unwrap_or_default();
                bytes.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()
            }
            Some(value) => value.text(scene.arena()).to_vec(),
        };
        if found != unescape(expected) {
            let found = String::from_utf8_lossy(&found).into_owned();
            wrong.push(format!("{message}\n  {text}: {found}\n  haproxy: {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 1000, "{count}");
}

/// All values of an expression, as a condition sees them.
fn all(stage: &mut Stage, text: &str) -> (String, bool) {
    let expr = stage.compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let scene = stage.scene();
    let mut values = Vec::new();
    let may_change = expr.each(&scene, &mut |value| {
        values.push(String::from_utf8_lossy(value.text(scene.arena())).into_owned());
        false
    });
    (values.join("|"), may_change)
}

#[test]
fn conditions_see_every_value() {
    let mut stage = site().request(
        "GET /?a=1&b=x&a=2&c HTTP/1.1\r\nHost: h\r\nX: 1, 2\r\nX: z\r\nY: 10.0.0.1, x, ::1\r\n\
         Cookie: s=1; t=2\r\nCookie: s=3\r\nAuthorization: Basic Ym9iOnNlY3JldA==\r\n\r\n",
    );
    for (text, expected) in [
        ("req.hdr(x)", "1|2|z"),
        ("hdr(x)", "1|2|z"),
        ("req.fhdr(x)", "1, 2|z"),
        ("req.hdr(x,2)", "2"),
        ("req.hdr(x,-1)", "z"),
        ("req.hdr(none)", ""),
        ("req.hdr", ""),
        ("req.hdr_cnt(x)", "3"),
        ("req.hdr_val(x)", "1|2|0"),
        ("req.hdr_ip(y)", "10.0.0.1|::1"),
        ("req.cook(s)", "1|3"),
        ("req.cook()", "1|2|3"),
        ("req.cook_cnt(s)", "2"),
        ("req.cook_val(s)", "1|3"),
        ("urlp(a)", "1|2"),
        ("urlp()", "1|x|2"),
        ("urlp_val(a)", "1|2"),
        ("path", "/"),
        ("http_auth_group(l)", "g"),
        ("http_auth(l)", "1"),
    ] {
        assert_eq!(all(&mut stage, text), (expected.into(), false), "{text}");
    }
}

#[test]
fn it_is_known_what_more_bytes_may_change() {
    let mut stage = site().raw(b"\x16\x03\x01");
    for (text, value, may_change) in [
        ("req.len", Some("3"), true),
        ("req.payload(0,0)", Some("\u{16}\u{3}\u{1}"), true),
        ("req.payload(0,2)", Some("\u{16}\u{3}"), false),
        ("req.payload(0,4)", None, true),
        ("req.payload(16384,1)", None, false),
        ("req.payload_lv(3,1)", None, true),
        ("req.ssl_hello_type", None, true),
        ("req.ssl_sni", None, true),
        ("req.ssl_ver", None, true),
        ("rdp_cookie", None, true),
        ("distcc_param(ARGC)", None, true),
        ("wait_end", None, true),
        ("date", Some("1795350074"), true),
        ("src", Some("127.0.0.1"), false),
        // No HTTP will come of it.
        ("path", None, false),
    ] {
        for more in [true, false] {
            stage.more = more;
            let expr = stage.compile(text).expect(text);
            let scene = stage.scene();
            let sample = expr.eval(&scene);
            let found = sample.value.map(|value| value.text(scene.arena()));
            match (text, more) {
                ("wait_end", false) => assert_eq!(found, Some(&b"1"[..])),
                _ => assert_eq!(found, value.map(str::as_bytes), "{text}"),
            }
            let may_change = may_change && (more || text == "date");
            assert_eq!(sample.may_change, may_change, "{text}, more: {more}");
        }
    }
    // A head that is not whole, and a body that is not.
    let mut stage = site();
    stage.more = true;
    for text in ["path", "req.hdr(host)", "req.cook(a)", "urlp(a)", "req.body", "method"] {
        let expr = stage.compile(text).expect(text);
        assert_eq!(expr.eval(&stage.scene()), Sample::NOT_YET, "{text}");
    }
    let mut stage = site().request("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na=");
    for (text, value) in [("req.body_len", "2"), ("req.body_size", "3"), ("req.body_param(a)", "")]
    {
        for more in [true, false] {
            stage.more = more;
            let expr = stage.compile(text).expect(text);
            let scene = stage.scene();
            let sample = expr.eval(&scene);
            let found = sample.value.map(|value| value.text(scene.arena()));
            assert_eq!((found, sample.may_change), (Some(value.as_bytes()), more), "{text}");
        }
    }
}

#[test]
fn a_refusal_says_why() {
    let mut stage = site();
    stage.point = Point::HttpReq;
    for (text, error) in [
        ("sc0_conn_cnt", "'sc0_conn_cnt' needs stick tables, which are not built in"),
        ("src_http_req_rate(t)", "'src_http_req_rate' needs stick tables, which are not built in"),
        ("nosuch", "unknown sample fetch 'nosuch'"),
        ("req.hdr(a,-11)", "'req.hdr' expects a number from -10 to 2147483647 (got -11)"),
        ("req.hdr(a,b)", "'req.hdr' expects a number (got 'b')"),
        ("req.cook(a,b)", "sample fetch 'req.cook' takes at most 1 arguments, not 2"),
        ("payload(1)", "sample fetch 'payload' needs 1 more argument"),
        ("payload_lv(1,0)", "'payload_lv' expects a length of 1 byte at least"),
        ("payload_lv(0,1,-2)", "'payload_lv' would begin before the first byte"),
        ("bool(yes)", "'bool' expects 'true', 'false', '1' or '0' (got 'yes')"),
        ("bin(abc)", "'bin' expects an even number of hexadecimal digits (got 'abc')"),
        ("ipv4(1.2.3)", "'ipv4' expects an IPv4 address (got '1.2.3')"),
        ("int(0x10)", "'int' expects a number (got '0x10')"),
        ("uuid(3)", "'uuid' knows version 4 only (got '3')"),
        ("date(0,x)", "'date' expects 's', 'ms' or 'us' (got 'x')"),
        ("distcc_param(A)", "'distcc_param' expects a token of four letters (got 'A')"),
        ("http_auth", "sample fetch 'http_auth' needs 1 more argument"),
        ("http_auth()", "sample fetch 'http_auth' needs 1 more argument"),
    ] {
        assert_eq!(stage.compile(text).map(|expr| expr.text), Err(error.into()), "{text}");
    }
    // Whatever HAProxy knows is known, if only to be refused.
    let registered = include_str!("registered.txt").lines().filter(|line| !line.starts_with('#'));
    for call in registered.filter_map(|line| line.split_whitespace().nth(2)) {
        let name = call.split('(').next().unwrap_or(call);
        assert!(find(name).is_some(), "{name}");
    }
}

#[test]
fn what_is_counted_of_proxies_and_servers() {
    let server = |name: &str, maxconn, maxqueue, weight, backup| Server {
        name: name.into(),
        backend: 1,
        id: 1,
        address: Some(Address::Inet(([192, 0, 2, 1], 80).into())),
        port_offset: None,
        weight,
        backup,
        disabled: name == "down",
        maxconn,
        maxqueue,
        ..Server::default()
    };
    let mut stage = Stage::at(Site {
        proxies: vec![
            Proxy { name: "p".into(), ..Proxy::default() },
            Proxy { name: "b".into(), servers: 0..4, ..Proxy::default() },
            Proxy { name: "none".into(), ..Proxy::default() },
        ],
        servers: vec![
            server("s", 10, 5, 7, false),
            server("t", 4, 6, 1, false),
            server("down", 9, 9, 1, false),
            server("spare", 2, 1, 1, true),
        ],
        ..Site::default()
    });
    stage.door.gauge_add(0, Gauge::Served(0), 3);
    stage.door.gauge_add(0, Gauge::Backend(1), 5);
    for (text, expected) in [
        ("nbsrv(b)", "2"),
        ("nbsrv(none)", "0"),
        ("be_conn(b)", "5"),
        ("be_conn", "0"),
        ("be_conn_free(b)", "11"),
        ("connslots(b)", "25"),
        ("queue(b)", "0"),
        ("avg_queue(b)", "0"),
        ("fe_conn", "0"),
        ("srv_conn(b/s)", "3"),
        ("srv_conn_free(b/s)", "7"),
        ("srv_is_up(b/s)", "1"),
        ("srv_is_up(b/down)", "0"),
        ("srv_weight(b/s)", "7"),
        ("srv_iweight(b/s)", "7"),
        ("srv_uweight(b/s)", "7"),
        ("srv_queue(b/s)", "0"),
    ] {
        assert_eq!(stage.eval(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn chance_has_its_forms() {
    let mut stage = site();
    let uuid = stage.eval("uuid").expect("a value");
    let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert_eq!((&uuid[14..15], "89ab".contains(&uuid[19..20])), ("4", true), "{uuid}");
    assert_ne!(stage.eval("uuid"), Some(uuid));
    for _ in 0..50 {
        let n: u32 = stage.eval("rand(3)").expect("a value").parse().expect("a number");
        assert!(n < 3);
    }
}

proptest! {
    /// Whatever a peer sends, every fetch comes to something, and to no more than there is.
    #[test]
    fn no_bytes_make_a_fetch_panic(
        start in prop::sample::select(vec![
            &b""[..],
            b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03",
            b"\x80\x2e\x01",
            b"\x03\x00\x00\x2b\x26\xe0\x00\x00\x00\x00\x00Cookie: ",
            b"DIST00000001ARGV000000",
        ]),
        rest in prop::collection::vec(
            prop_oneof![prop::sample::select(&b"\x00\x01\x03\x10=\r"[..]), any::<u8>()],
            0..200,
        ),
        more in any::<bool>(),
    ) {
        let bytes = [start, &rest].concat();
        let mut stage = site().raw(&bytes);
        stage.more = more;
        for text in [
            "req.len", "req.ssl_hello_type", "req.ssl_ver", "req.ssl_sni", "req.ssl_alpn",
            "req.ssl_st_ext", "req.ssl_ec_ext", "rdp_cookie", "rdp_cookie(a)", "rdp_cookie_cnt",
            "distcc_param(ARGV)", "distcc_body(ARGV,2)", "req.payload(0,0)", "req.payload(5,9)",
            "req.payload_lv(0,1)", "req.payload_lv(3,2,-4)", "req.payload_lv(1,4,7)",
        ] {
            let expr = stage.compile(text).expect(text);
            let scene = stage.scene();
            if let Some(value) = expr.eval(&scene).value {
                prop_assert!(value.text(scene.arena()).len() <= bytes.len().max(20), "{text}");
            }
        }
    }

    /// The same of bodies and fields.
    #[test]
    fn no_message_makes_a_fetch_panic(
        field in "[ -~]{0,60}",
        cookie in "[a;=, \"$b\\\\]{0,40}",
        target in "[a-c/?&;=.:0-9%]{0,40}",
        body in prop::collection::vec(any::<u8>(), 0..80),
        chunked in any::<bool>(),
    ) {
        let framing = if chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 60" };
        let head = format!(
            "POST /{target} HTTP/1.1\r\nHost: h\r\n{framing}\r\nX: {field}\r\nCookie: {cookie}\r\n\
             Authorization: Basic {field}\r\n\r\n"
        );
        let mut stage = site().message(&[head.as_bytes(), &body].concat());
        for text in [
            "req.hdr(x)", "req.hdr(x,-3)", "req.hdr(x,2)", "req.hdr_ip(x)", "req.hdr_val(x)",
            "req.cook(a)", "req.cook()", "req.cook_cnt(b)", "urlp(a)", "urlp()", "urlp(b,;)",
            "path", "base32", "url_ip", "url_port", "req.body", "req.body_len", "req.body_param(a)",
            "req.hdrs_bin", "http_auth(l)", "http_auth_pass", "http_auth_bearer(x)",
        ] {
            let _ = stage.eval(text);
            let _ = all(&mut stage, text);
        }
        let held = stage.eval("req.body_len").expect("a number");
        prop_assert!(held.parse::<usize>().expect("a number") <= body.len());
    }
}
