//! Every way to say how long a body is, on both sides, through the real daemon; and long bodies.
//!
//! `BODY_MB` sets the size of the long bodies in MB: 1024 by default where this test is built for
//! release, 64 otherwise.

mod peers;

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Version};
use hyper_util::rt::TokioIo;
use tidegate_tests::daemon::content::Checker;
use tidegate_tests::daemon::message::{Framing, Head};
use tidegate_tests::daemon::{Ask, At, Content, Daemon, Origin, Sent, Wire};
use tokio::net::TcpStream;

use peers::{Stream, check, connect, hyper_origin};

/// Body sizes around what buffers hold.
const SIZES: [u64; 8] = [0, 1, 1024, 16_384, 65_535, 65_536, 65_537, 1_048_576];

fn configuration(origin: &Origin, options: &str) -> String {
    http_to(&origin.address().to_string(), options)
}

fn http_to(origin: &str, options: &str) -> String {
    format!(
        "defaults\n\
         mode http\n\
         timeout connect 30s\n\
         timeout client 90s\n\
         timeout server 90s\n\
         default-server pool-purge-delay 100ms\n\
         listen web\n\
         bind {{bind.web}}\n\
         {options}\n\
         server origin {origin}\n"
    )
}

/// A way of asking, and a way of answering.
#[derive(Clone, Copy, Debug)]
struct Cell {
    client_minor: u8,
    client_keeps: bool,
    /// 0: no body, 1: of known length, 2: chunked.
    sent: u8,
    server_minor: u8,
    server_keeps: bool,
    answered: &'static str,
}

impl Cell {
    fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for bits in 0..16_u8 {
            let bit = |n: u8| bits >> n & 1;
            let (client_minor, server_minor) = (bit(0), bit(1));
            for sent in 0..=1 + client_minor {
                for answered in ["length", "chunked", "until-close", "204", "304", "HEAD"] {
                    let impossible = answered == "chunked" && server_minor == 0
                        || answered == "HEAD" && sent > 0
                        || answered == "until-close" && bit(3) == 1;
                    if !impossible {
                        let (client_keeps, server_keeps) = (bit(2) == 1, bit(3) == 1);
                        let client = (client_minor, client_keeps);
                        cells.push(Self::new(client, sent, (server_minor, server_keeps), answered));
                    }
                }
            }
        }
        cells
    }

    fn new(client: (u8, bool), sent: u8, server: (u8, bool), answered: &'static str) -> Self {
        let ((client_minor, client_keeps), (server_minor, server_keeps)) = (client, server);
        Self { client_minor, client_keeps, sent, server_minor, server_keeps, answered }
    }

    fn ask(&self, key: u64, up: u64, down: u64) -> Ask {
        let keep = if self.server_keeps { "keep" } else { "close" };
        let framing = if self.answered == "HEAD" { "length" } else { self.answered };
        Ask {
            method: match (self.answered, self.sent) {
                ("HEAD", _) => "HEAD",
                (_, 0) => "GET",
                _ => "POST",
            },
            target: format!("/{}/{keep}/{framing}/{down}", self.server_minor),
            minor: self.client_minor,
            keep: self.client_keeps,
            body: match self.sent {
                0 => Sent::None,
                1 => Sent::Length(up),
                _ => Sent::Chunked(up, 4099),
            },
            key,
            wanted: down,
        }
    }

    /// Whether the client's connection has to stay, where that is certain.
    fn must_keep(&self) -> Option<bool> {
        match self.answered {
            _ if !self.client_keeps => Some(false),
            "length" | "204" | "304" | "HEAD" => Some(true),
            "chunked" => Some(self.client_minor == 1),
            // Chunks could be made of it, or not.
            _ => None,
        }
    }
}

/// Every framing in both versions on both sides, with both fates of the connection, and every size.
fn every_framing(options: &str, sizes: &[u64], keeps: bool) {
    let origin = Origin::obedient();
    let daemon = Daemon::start(configuration(&origin, options));
    let mut key = 0;
    for (n, cell) in Cell::all().into_iter().enumerate() {
        let mut wire = None;
        for (i, &up) in sizes.iter().enumerate() {
            let down = sizes[(i + n) % sizes.len()];
            key += 1;
            let ask = cell.ask(key, up, down);
            let mut used = match wire.take() {
                Some(wire) => wire,
                None => Wire::connect(daemon.at("web")).expect("it listens"),
            };
            let answer = ask.exchange(&mut used).whole();
            let status = match cell.answered {
                "204" => 204,
                "304" => 304,
                _ => 200,
            };
            assert_eq!(answer.status, status, "{cell:?}");
            assert!(answer.from_origin, "{cell:?}");
            let whole = if matches!(cell.answered, "204" | "304" | "HEAD") { 0 } else { down };
            assert_eq!(answer.length, whole, "{cell:?}");
            let allowed = match answer.framing {
                Framing::Chunked => cell.client_minor == 1,
                Framing::UntilClose => matches!(cell.answered, "until-close" | "chunked"),
                _ => true,
            };
            assert!(allowed, "{:?} for {cell:?}", answer.framing);
            let expected = cell.must_keep().map(|must| must && keeps);
            assert_eq!(
                expected.unwrap_or(answer.keeps),
                answer.keeps,
                "{cell:?} {:?}",
                answer.head
            );
            if answer.keeps {
                wire = Some(used);
            } else {
                let rest = Head::read(&mut used).expect("an end");
                assert_eq!(rest, None, "behind the last answer to {cell:?}");
            }
        }
    }
    origin.check();
}

#[test]
fn every_framing_both_ways() {
    every_framing("", &SIZES, true);
}

#[test]
fn every_framing_when_the_server_connection_is_not_kept() {
    every_framing("option http-server-close", &[0, 16_384, 65_537], true);
}

#[test]
fn every_framing_when_no_connection_is_kept() {
    every_framing("option httpclose", &[1, 16_384, 65_537], false);
}

#[test]
fn small_chunks_and_small_writes() {
    let origin = Origin::obedient();
    let daemon = Daemon::start(configuration(&origin, ""));
    for (key, size) in [(1, 1), (2, 2), (3, 15), (4, 16), (5, 17)] {
        let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
        let ask = Ask { body: Sent::Chunked(3000, size), ..Ask::post(key, Sent::None, 3000) };
        let mut bytes = Vec::new();
        ask.send(&mut bytes).expect("a vector takes everything");
        for piece in bytes.chunks(7) {
            wire.write_all(piece).expect("it takes");
        }
        assert_eq!(ask.receive(&mut wire).whole().status, 200);
    }
    origin.check();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::obedient();
    let daemon = Daemon::start(configuration(&origin, ""));
    let asks: Vec<Ask> = (0..200)
        .map(|key| {
            let body = match key % 3 {
                0 => Sent::None,
                1 => Sent::Length(key * 100),
                _ => Sent::Chunked(key * 100, 333),
            };
            Ask::post(key, body, key * 50)
        })
        .collect();
    let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
    let mut writer = wire.writer().expect("a second handle");
    thread::scope(|scope| {
        scope.spawn(|| {
            for ask in &asks {
                ask.send(&mut writer).expect("it takes");
            }
        });
        for ask in &asks {
            assert!(ask.receive(&mut wire).whole().from_origin);
        }
    });
    origin.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hyper_on_both_sides() {
    let origin = hyper_origin().await;
    let daemon = Daemon::start(http_to(&origin.to_string(), ""));
    let At::Inet(web) = daemon.at("web") else { unreachable!("bound to an address") };
    let mut tasks = Vec::new();
    for client in 0..12_u64 {
        tasks.push(tokio::spawn(async move {
            let version = if client % 3 == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
            let mut sender = None;
            for (n, &size) in SIZES.iter().enumerate() {
                for (f, framing) in ["length", "chunked", "until-close"].into_iter().enumerate() {
                    let key = client << 32 | (n * 3 + f) as u64;
                    let up = SIZES[(n + f + client as usize) % SIZES.len()];
                    let told = version == Version::HTTP_10 || (n + f) % 2 == 0;
                    let body = Stream::new(Content::new(key, up), told);
                    let request = Request::builder()
                        .method(Method::POST)
                        .version(version)
                        .uri(format!("/{framing}/{size}"))
                        .header("host", "test")
                        .header("x-key", key)
                        .header("x-body", up)
                        .header("connection", "keep-alive")
                        .body(body)
                        .expect("a request");
                    let mut using = match sender.take() {
                        Some(sender) => sender,
                        None => connect(web).await,
                    };
                    let answer = using.send_request(request).await.expect("an answer");
                    assert_eq!(answer.status(), 200, "{framing} {size} {version:?}");
                    check(answer.into_body(), Content::new(!key, size)).await.expect("the body");
                    // hyper closes where it must.
                    if using.ready().await.is_ok() {
                        sender = Some(using);
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("no client fails");
    }
}

/// Whether curl is installed: a second client that nobody here wrote.
fn has_curl() -> bool {
    let version = Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    let there = version.is_ok_and(|status| status.success());
    if !there {
        eprintln!("SKIPPED: curl is not installed");
    }
    there
}

fn curl(arguments: &[&str], content: Content) -> Vec<u8> {
    let mut child = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--max-time", "60"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is there");
    let mut stdin = child.stdin.take().expect("it is piped");
    let writer = thread::spawn(move || content.write(&mut stdin));
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "curl {arguments:?}: {}", output.status);
    writer.join().expect("no panic").expect("curl reads all");
    output.stdout
}

#[test]
fn curl_as_client() {
    if !has_curl() {
        return;
    }
    let origin = Origin::obedient();
    let daemon = Daemon::start(configuration(&origin, ""));
    let web = daemon.at("web");
    for version in ["--http1.0", "--http1.1"] {
        for (key, framing) in [(1, "length"), (2, "chunked"), (3, "until-close")] {
            for size in [0, 1, 65_537, 1_048_576] {
                let url = format!("http://{web}/1/keep/{framing}/{size}");
                let key_field = format!("X-Key: {key}");
                let expected = Content::new(!key, size);
                // Twice, so that the second may use the first's connection.
                let arguments = [version, "-H", &key_field, &url, &url];
                let got = curl(&arguments, Content::new(0, 0));
                let (first, second) = got.split_at(got.len() / 2);
                expected.check(0, first).expect("the body");
                assert_eq!(first, second, "{version} {framing} {size}");
                assert_eq!(first.len() as u64, size, "{version} {framing} {size}");
                if version == "--http1.1" {
                    // Chunked, since curl does not know the length of what it is piped.
                    let body = format!("X-Body: {size}");
                    let arguments = [version, "-H", &key_field, "-H", &body, "-T", "-", &url];
                    let got = curl(&arguments, Content::new(key, size));
                    expected.check(0, &got).expect("the body");
                    assert_eq!(got.len() as u64, size, "{framing} {size}");
                }
            }
        }
    }
    origin.check();
}

/// Bytes of a long body.
fn long() -> u64 {
    let default = if cfg!(debug_assertions) { 64 } else { 1024 };
    let megabytes = std::env::var("BODY_MB").ok().and_then(|text| text.parse().ok());
    megabytes.unwrap_or(default) << 20
}

#[test]
fn long_bodies_in_http() {
    let origin = Origin::obedient();
    let daemon = Daemon::start(configuration(&origin, ""));
    let before = daemon.holdings();
    for (key, body, framing) in [
        (1, Sent::None, "length"),
        (2, Sent::None, "chunked"),
        (3, Sent::Length(long()), "204"),
        (4, Sent::Chunked(long(), 20_011), "204"),
    ] {
        let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
        let target = format!("/1/keep/{framing}/{}", long());
        let ask = Ask { target, ..Ask::post(key, body, long()) };
        let answer = ask.exchange(&mut wire).whole();
        assert_eq!(answer.length, if framing == "204" { 0 } else { long() });
    }
    origin.check();
    daemon.returns_to(before, 8 << 20);
}

#[test]
fn long_bodies_in_http_through_pipes() {
    let origin = Origin::obedient();
    let daemon = Daemon::start(configuration(&origin, "option splice-auto"));
    for (key, body, framing) in [(1, Sent::None, "length"), (2, Sent::Length(long()), "204")] {
        let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
        let target = format!("/1/keep/{framing}/{}", long());
        let ask = Ask { target, ..Ask::post(key, body, long()) };
        assert!(ask.exchange(&mut wire).whole().from_origin);
    }
    assert!(daemon.holdings().pipes > 0, "nothing was spliced");
    origin.check();
}

/// Long streams through TCP mode, one after the other (the second begins at the end of the first)
/// and both at once.
fn long_streams(options: &str, pipes: bool) {
    // The first byte says what to do; then the client's stream, to its end.
    let origin = Origin::raw(|_, mut wire| {
        let both = wire.fill()?.first() == Some(&b'b');
        wire.consume(1);
        let answer = Content::new(2, long());
        let mut writer = wire.writer()?;
        let first = both.then(|| thread::spawn(move || answer.write(&mut writer)));
        let mut checker = Checker::new(Content::new(1, long()));
        wire.read_to_end(|bytes| checker.feed(bytes))?;
        if !checker.is_whole() {
            return Err(io::Error::other(format!("{} bytes came", checker.at)));
        }
        match first {
            Some(first) => first.join().expect("no panic"),
            None => answer.write(&mut wire),
        }
    });
    let daemon = Daemon::start(format!(
        "defaults\n\
         mode tcp\n\
         timeout connect 30s\n\
         timeout client 90s\n\
         timeout server 90s\n\
         {options}\n\
         listen tcp\n\
         bind {{bind.tcp}}\n\
         server origin {}\n",
        origin.address()
    ));
    let own = daemon.holdings().pipes;
    for order in [b"a", b"b"] {
        let mut wire = Wire::connect(daemon.at("tcp")).expect("it listens");
        wire.write_all(order).expect("it takes");
        let writer = Arc::new(wire.writer().expect("a second handle"));
        let up = thread::spawn(move || {
            Content::new(1, long()).write(&mut &*writer)?;
            writer.shutdown(std::net::Shutdown::Write)
        });
        let mut checker = Checker::new(Content::new(2, long()));
        wire.read_to_end(|bytes| checker.feed(bytes)).expect("the stream");
        assert!(checker.is_whole(), "{} bytes came", checker.at);
        up.join().expect("no panic").expect("it takes");
    }
    origin.check();
    let spliced = daemon.holdings().pipes > own;
    assert_eq!(spliced, pipes, "{options}");
}

#[test]
fn long_streams_in_tcp() {
    long_streams("", false);
}

#[test]
fn long_streams_in_tcp_through_pipes() {
    long_streams("option splice-auto", true);
}

#[test]
fn long_streams_in_tcp_through_a_pipe_one_way() {
    long_streams("option splice-request", true);
    long_streams("option splice-response", true);
}

#[test]
fn hyper_as_client_of_a_page() {
    // A page of the daemon's own, read by a client that nobody here wrote.
    let daemon = Daemon::start(http_to("127.0.0.1:1", "http-request deny"));
    let At::Inet(web) = daemon.at("web") else { unreachable!("bound to an address") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let socket = TcpStream::connect(web).await.expect("it listens");
        let http = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
        let (mut sender, connection) = http.expect("a connection");
        tokio::spawn(connection);
        let request = Request::get("/").header("host", "test").body(Full::<Bytes>::default());
        let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
        assert_eq!(answer.status(), 403);
        let page = answer.into_body().collect().await.expect("whole").to_bytes();
        assert!(page.ends_with(b"</html>\n"), "{page:?}");
    });
}
