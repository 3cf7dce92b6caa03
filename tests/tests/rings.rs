//! What a ring's servers get from the daemon, and, for the same configuration, from haproxy.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use socket2::Socket;
use tidegate_tests::daemon::{At, Wire, eventually};
use tidegate_tests::exchanges::places::{NO_FILES, Places};
use tidegate_tests::exchanges::proxy::{Kind, Proxy, find};

/// The servers in the order of their lines.
const COUNTED: [bool; 4] = [false, true, true, false];

fn config(servers: &[SocketAddr]) -> String {
    format!(
        "global\n log ring@one local0\n log ring@two local1 notice err\n \
         log ring@two len 80 local2\n\
         defaults\n mode http\n log global\n timeout client 9s\n timeout connect 9s\n \
         timeout server 9s\n\
         frontend f\n bind {{bind.f}}\n log-format \"of %HM %HU\\nand %[str(end)]\"\n \
         http-request return status 200\n\
         ring one\n format rfc3164\n maxlen 1000\n size 20000\n timeout connect 5s\n \
         timeout server 9s\n server a {}\n server b {} log-proto octet-count\n\
         ring two\n format rfc5424\n timeout connect 5s\n timeout server 9s\n \
         server c {} log-proto octet-count\n server d unix@{{dir}}/d.sock log-proto legacy\n",
        servers[0], servers[1], servers[2]
    )
}

/// Takes a connection to a listener.
fn accepted(what: &str, mut accept: impl FnMut() -> std::io::Result<Socket>) -> Wire {
    let mut got = None;
    eventually(what, || {
        got = accept().ok();
        got.is_some()
    });
    let socket = got.expect("it was there");
    socket.set_nonblocking(false).expect("a socket");
    Wire::new(socket).expect("a socket")
}

fn ask(at: SocketAddr, path: &str) {
    let mut wire = Wire::connect(At::Inet(at)).expect("it listens");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut wire.writer().expect("a handle"), request.as_bytes())
        .expect("it reads");
    wire.read_to_end(|_| Ok(())).expect("an answer and its end");
}

/// Reads one message from a server's connection, and sees that nothing more comes.
fn messages(wire: &mut Wire, counted: bool) -> Vec<String> {
    // A line feed within makes two lines of one.
    let count = if counted { 1 } else { 2 };
    let mut bytes = Vec::new();
    loop {
        let found = split(&bytes, counted);
        if let Some(found) = found.filter(|found| found.len() >= count) {
            assert!(wire.is_silent(Duration::from_millis(150)).expect("it is open"), "{found:?}");
            return found;
        }
        let more = wire.fill().expect("messages");
        assert!(!more.is_empty(), "ended behind {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(more);
        let n = more.len();
        wire.consume(n);
    }
}

/// The messages in what was received, if the last is whole; of `legacy` ones each line.
fn split(bytes: &[u8], counted: bool) -> Option<Vec<String>> {
    let text = |bytes: &[u8]| plain(&String::from_utf8_lossy(bytes));
    if !counted {
        let lines = bytes.split_inclusive(|b| *b == b'\n');
        return lines.map(|line| Some(text(line.strip_suffix(b"\n")?))).collect();
    }
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let digits = rest.iter().position(|b| *b == b' ')?;
        let len: usize = std::str::from_utf8(&rest[..digits]).ok()?.parse().expect("a number");
        found.push(text(rest.get(digits + 1..digits + 1 + len)?));
        rest = &rest[digits + 1 + len..];
    }
    Some(found)
}

/// A message without what differs from run to run: dates and process numbers.
fn plain(message: &str) -> String {
    let mut out = String::new();
    for c in message.chars() {
        let c = if c.is_ascii_digit() { '9' } else { c };
        if c != '9' || !out.ends_with('9') {
            out.push(c);
        }
    }
    out
}

/// What each server gets: while it is there, and after it has ended its connection.
fn run(kind: Kind, program: &Path) -> Vec<[Vec<String>; 2]> {
    let inet: Vec<TcpListener> =
        (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("loopback")).collect();
    let at: Vec<SocketAddr> = inet.iter().map(|l| l.local_addr().expect("bound")).collect();
    let (places, config) = Places::of(&config(&at), NO_FILES).expect("places");
    let unix = UnixListener::bind(places.dir().join("d.sock")).expect("a socket file");
    inet.iter().for_each(|l| l.set_nonblocking(true).expect("a socket"));
    unix.set_nonblocking(true).expect("a socket");
    let take = |n: usize| {
        accepted(&format!("{kind} connects to server {n}"), || match inet.get(n) {
            Some(listener) => listener.accept().map(|(s, _): (TcpStream, _)| s.into()),
            None => unix.accept().map(|(s, _)| s.into()),
        })
    };
    let web = places.binds().next().expect("one bind");
    let _proxy = Proxy::start(program, places.dir(), &config, places.binds()).expect("it starts");
    let mut wires: Vec<Wire> = (0..4).map(take).collect();
    let mut got = vec![[Vec::new(), Vec::new()]; 4];
    // A line is written after its answer, by any of the threads: the next request waits for it.
    for path in ["one", "two", "three"] {
        ask(web, path);
        for (n, wire) in wires.iter_mut().enumerate() {
            got[n][0].extend(messages(wire, COUNTED[n]));
        }
    }
    // Some rest, so that the next attempt to connect is not too soon after the first.
    std::thread::sleep(Duration::from_millis(1_000));
    drop(wires);
    let mut wires: Vec<Wire> = (0..4).map(take).collect();
    ask(web, "four");
    for (n, wire) in wires.iter_mut().enumerate() {
        got[n][1] = messages(wire, COUNTED[n]);
    }
    got
}

#[test]
fn a_rings_servers_get_what_they_get_from_haproxy() {
    let tidegate = find(Kind::Tidegate, true).expect("the daemon builds");
    let ours = run(Kind::Tidegate, &tidegate);
    let last = |n: usize| ours[n][1].last().expect("a message").clone();
    assert!(last(0).starts_with("and ") && last(1).ends_with("of GET /four\nand end"), "{ours:?}");
    match find(Kind::Haproxy, false) {
        Ok(haproxy) => assert_eq!(ours, run(Kind::Haproxy, &haproxy)),
        Err(reason) => println!("rings: SKIPPED, NOTHING WAS COMPARED: {reason}"),
    }
}
