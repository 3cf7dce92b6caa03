//! Many connections, short ones, slow ones, and ends at every moment. After all of it the daemon
//! holds what it held before.
//!
//! `CONNECTIONS` sets how many are open at once (2000), `CHURN` how many come and go (5000).

mod deaths;
#[path = "../peers/mod.rs"]
mod peers;
mod scarce;
mod slow;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use hyper::{Method, Request};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_tests::daemon::{Ask, At, Content, Daemon, Head, Origin, Sent, Wire};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use peers::{Stream, check, connect, hyper_origin};

/// What a daemon may keep after a burst, bytes: tables have grown, pages are not all free.
const KEPT: u64 = 8 << 20;

/// What it may keep of a second burst beyond what it kept of the first, bytes.
const KEPT_AGAIN: u64 = 2 << 20;

/// The daemon's own timeouts are longer than the tests' patience: they hide nothing.
const DEFAULTS: &str = "global\n\
     maxconn 8000\n\
     defaults\n\
     mode http\n\
     maxconn 8000\n\
     retries 0\n\
     timeout connect 90s\n\
     timeout client 90s\n\
     timeout server 90s\n\
     default-server pool-purge-delay 100ms\n";

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// As many descriptors for this process as it may have.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("within it");
}

/// Has one exchange, so that what is made once is there before anything is counted.
fn warm_up(at: At) {
    let target = "/1/close/length/100000".to_owned();
    let ask = Ask { keep: false, target, ..Ask::get(0, 100_000) };
    let mut wire = Wire::connect(at).expect("it listens");
    ask.exchange(&mut wire).whole();
    assert_eq!(Head::read(&mut wire).expect("an end"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_connections_at_once() {
    raise_limit();
    let connections = number("CONNECTIONS", 2000);
    let origin = hyper_origin().await;
    let daemon = Daemon::start(format!(
        "{DEFAULTS}\
         listen web\n\
         bind {{bind.web}}\n\
         server origin {origin}\n"
    ));
    let At::Inet(web) = daemon.at("web") else { unreachable!("bound to an address") };
    let before = daemon.holdings();
    burst(web, connections).await;
    daemon.returns_to(before, KEPT);
    let first = daemon.holdings();
    burst(web, connections).await;
    daemon.returns_to(first, KEPT_AGAIN);
}

/// So many connections, open at the same time, with three requests each.
async fn burst(web: SocketAddr, connections: u64) {
    let barrier = Arc::new(Barrier::new(connections as usize));
    let mut tasks = JoinSet::new();
    for client in 0..connections {
        let barrier = Arc::clone(&barrier);
        tasks.spawn(async move {
            let mut sender = connect(web).await;
            for round in 0..3 {
                let key = client << 8 | round;
                let (up, down) = ([0, 100, 20_000][(key % 3) as usize], 1000 + client * 7);
                let framing = if key % 2 == 0 { "length" } else { "chunked" };
                let request = Request::builder()
                    .method(Method::POST)
                    .uri(format!("/{framing}/{down}"))
                    .header("host", "test")
                    .header("x-key", key)
                    .header("x-body", up)
                    .body(Stream::new(Content::new(key, up), key % 5 < 3))
                    .expect("a request");
                let answer = sender.send_request(request).await.expect("an answer");
                assert_eq!(answer.status(), 200);
                check(answer.into_body(), Content::new(!key, down)).await.expect("the body");
                sender.ready().await.expect("it is kept");
                // All of them are open and between two requests.
                barrier.wait().await;
            }
        });
    }
    // Whichever ends first: if one fails, the others wait at the barrier for good.
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no client fails");
    }
}

#[test]
fn connections_come_and_go() {
    let origin = Origin::obedient();
    let daemon = Daemon::start(format!(
        "{DEFAULTS}\
         listen web\n\
         bind {{bind.web}}\n\
         server origin {}\n",
        origin.address()
    ));
    warm_up(daemon.at("web"));
    let before = daemon.holdings();
    let next = AtomicU64::new(1);
    let last = number("CHURN", 5000);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let key = next.fetch_add(1, Ordering::Relaxed);
                    if key > last {
                        return;
                    }
                    come_and_go(&daemon, key);
                }
            });
        }
    });
    origin.check();
    daemon.returns_to(before, KEPT);
}

/// One short connection; the kind depends on the key.
fn come_and_go(daemon: &Daemon, key: u64) {
    let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
    let ask = Ask::get(key, key % 3000);
    match key % 8 {
        0 => drop(wire),
        1 => wire.reset(),
        2 => {
            // Whatever becomes of it: the daemon may have been faster.
            let _ = wire.write_all(b"GET / HTTP/1.1\r\nHo");
        }
        3 => {
            ask.send(&mut wire).expect("it takes");
            wire.reset();
        }
        4 => {
            let ask = Ask { keep: false, ..ask };
            assert!(ask.exchange(&mut wire).whole().from_origin);
            assert_eq!(Head::read(&mut wire).expect("an end"), None);
        }
        5 => {
            let ask = Ask::post(key, Sent::Chunked(5000, 600), 10);
            assert!(ask.exchange(&mut wire).whole().from_origin);
        }
        6 => {
            wire.finish().expect("it is connected");
            // 400 or nothing at all.
            let _ = ask.receive(&mut wire);
        }
        _ => assert!(ask.exchange(&mut wire).whole().from_origin),
    }
}
