//! haproxy in front of Tidegate and behind it, speaking the PROXY protocol to each other: who the
//! client is must get through unharmed. Without haproxy nothing is compared, and the test says so.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};

use tidegate_tests::daemon::{Daemon, Origin};
use tidegate_tests::exchanges::places::{NO_FILES, Places};
use tidegate_tests::exchanges::proxy::{Kind, Proxy, find};

const DEFAULTS: &str = "defaults\n\
     timeout connect 30s\n\
     timeout client 60s\n\
     timeout server 60s\n";

/// What each version is asked for with, and what passes with it.
const SENT: [&str; 4] = [
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2 proxy-v2-options crc32c,authority,unique-id",
    "send-proxy-v2-ssl-cn proxy-v2-options crc32c",
];

/// An origin that answers with the address that the request says it is forwarded for.
fn origin() -> Origin {
    Origin::raw(|_, mut wire| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Some(&byte) = wire.fill()?.first() else { return Ok(()) };
            wire.consume(1);
            head.push(byte);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let named = head.lines().find_map(|line| line.strip_prefix("x-forwarded-for: "));
        let named = named.unwrap_or("nobody");
        let answer = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{named}",
            named.len()
        );
        wire.write_all(answer.as_bytes())
    })
}

/// Asks from an address of the loopback network, behind `header`, and reads all that comes.
fn ask(to: SocketAddr, from: Ipv4Addr, header: &str) -> io::Result<String> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&to.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(tidegate_tests::daemon::PATIENCE))?;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{header}{request}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let _ = stream.shutdown(Shutdown::Both);
    Ok(answer)
}

/// haproxy on a configuration with one `{bind.h}`.
fn haproxy(config: &str) -> Option<(Proxy, Places, SocketAddr)> {
    let program = match find(Kind::Haproxy, false) {
        Ok(program) => program,
        Err(reason) => {
            println!("SKIPPED, NOTHING WAS COMPARED: {reason}");
            return None;
        }
    };
    let (places, text) = Places::of(config, NO_FILES).expect("places");
    let proxy = Proxy::start(&program, places.dir(), &text, places.binds()).expect("it starts");
    let at = places.bind("h").expect("its bind");
    Some((proxy, places, at))
}

fn address(daemon: &Daemon) -> SocketAddr {
    match daemon.at("t") {
        tidegate_tests::daemon::At::Inet(at) => at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn haproxy_tells_tidegate() {
    for mode in ["tcp", "http"] {
        let origin = origin();
        let daemon = Daemon::start(format!(
            "{DEFAULTS} mode http\nlisten t\n bind {{bind.t}} accept-proxy\n option forwardfor\n \
             server o {}\n",
            origin.address()
        ));
        for sent in SENT {
            let config = format!(
                "{DEFAULTS} mode {mode}\nlisten h\n bind {{bind.h}}\n server t {} {sent}\n",
                address(&daemon)
            );
            let Some((_proxy, _places, at)) = haproxy(&config) else { return };
            for last in 1..4 {
                let from = Ipv4Addr::new(127, 0, 7, last);
                let answer = ask(at, from, "").expect("an answer");
                assert!(answer.ends_with(&format!("\r\n\r\n{from}")), "{mode} {sent}: {answer}");
            }
        }
    }
}

#[test]
fn tidegate_tells_haproxy() {
    for mode in ["tcp", "http"] {
        for sent in SENT {
            let origin = origin();
            let config = format!(
                "{DEFAULTS} mode http\nlisten h\n bind {{bind.h}} accept-proxy\n \
                 option forwardfor\n server o {}\n",
                origin.address()
            );
            let Some((_proxy, _places, at)) = haproxy(&config) else { return };
            let daemon = Daemon::start(format!(
                "{DEFAULTS} mode {mode}\nlisten t\n bind {{bind.t}}\n server h {at} {sent}\n"
            ));
            for last in 1..4 {
                let from = Ipv4Addr::new(127, 0, 7, last);
                let answer = ask(address(&daemon), from, "").expect("an answer");
                assert!(answer.ends_with(&format!("\r\n\r\n{from}")), "{mode} {sent}: {answer}");
            }
        }
    }
}

/// A name for the client that no socket has goes through both, in both families.
#[test]
fn a_header_goes_through_both() {
    for sent in SENT {
        let origin = origin();
        let config = format!(
            "{DEFAULTS} mode http\nlisten h\n bind {{bind.h}} accept-proxy\n option forwardfor\n \
             server o {}\n",
            origin.address()
        );
        let Some((_proxy, _places, at)) = haproxy(&config) else { return };
        let daemon = Daemon::start(format!(
            "{DEFAULTS} mode tcp\nlisten t\n bind {{bind.t}} accept-proxy\n server h {at} {sent}\n"
        ));
        for (header, client) in [
            ("PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n", "192.0.2.7"),
            ("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7"),
        ] {
            let answer = ask(address(&daemon), Ipv4Addr::LOCALHOST, header).expect("an answer");
            assert!(answer.ends_with(&format!("\r\n\r\n{client}")), "{sent}: {answer}");
        }
    }
}
