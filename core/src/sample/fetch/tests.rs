//! What fetches come to, against values measured from HAProxy 2.6: `cases.txt` is what the program
//! `fetches` in `tests/` measures, `registered.txt` what `haproxy -dKsmp` prints.

use std::sync::Arc;

use super::{Kind, find, specs};
use crate::proxy::spec::{Proxy, Role, Site};
use crate::proxy::userlist::{Password, User, Userlist};
use crate::sample::Point;
use crate::sample::stage::Stage;

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
