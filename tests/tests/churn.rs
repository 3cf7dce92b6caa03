//! Many connections, short ones, slow ones, and ends at every moment. After all of it the daemon
//! holds what it held before.
//!
//! `CONNECTIONS` sets how many are open at once (2000), `CHURN` how many come and go (5000).

mod peers;

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use hyper::{Method, Request};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_tests::daemon::content::Checker;
use tidegate_tests::daemon::origin::Then;
use tidegate_tests::daemon::process::Launch;
use tidegate_tests::daemon::{
    Ask, At, Content, Daemon, Head, Origin, Outcome, PATIENCE, Sent, Visit, Wire, eventually,
};
use tokio::sync::Barrier;

use peers::{Stream, check, connect, hyper_origin};

/// What a daemon may keep after a burst, bytes: tables that have grown, pages that are not all free.
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
    let mut tasks = Vec::new();
    for client in 0..connections {
        let barrier = Arc::clone(&barrier);
        tasks.push(tokio::spawn(async move {
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
        }));
    }
    for task in tasks {
        task.await.expect("no client fails");
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

/// Small socket buffers on both sides, so that what the daemon itself holds shows.
const SMALL: usize = 32_768;

/// Far more than all buffers together hold.
const FLOOD: u64 = 16 << 20;

/// What may be under way when everything stands still, bytes: four socket buffers and the daemon's.
const UNDER_WAY: u64 = 4 << 20;

/// How long a writer must not get on to count as stopped. A busy machine can make it look so
/// early, which only makes less be under way.
const STANDSTILL: Duration = Duration::from_millis(500);

/// Writes all of `content`; says on `stopped` how much was taken before it first stood still.
fn flood(wire: &mut Wire, content: Content, stopped: &mpsc::Sender<u64>) -> io::Result<()> {
    wire.socket().set_write_timeout(Some(STANDSTILL))?;
    let mut at = 0;
    while at < content.length {
        match wire.write(content.piece(at, 16_384)) {
            Ok(n) => at += n as u64,
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                // Nobody listens any more where one is told twice.
                let _ = stopped.send(at);
                wire.socket().set_write_timeout(Some(PATIENCE))?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn small_buffers(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_recv_buffer_size(SMALL)?;
    socket.set_send_buffer_size(SMALL)
}

/// Readers that do not read, in one way of passing bytes.
fn slow_readers(options: &str, framing: &'static str) {
    const READERS: u64 = 8;
    let (stopped, stops) = mpsc::channel();
    let answer = move |visit: &mut Visit<'_>| {
        small_buffers(visit.wire.socket())?;
        let content = Content::new(!visit.key()?, FLOOD);
        if visit.head.target() == "/small" {
            return visit.plain(FLOOD / 1000);
        }
        let length = match framing {
            "length" => format!("Content-Length: {FLOOD}\r\n"),
            _ => "Transfer-Encoding: chunked\r\n".to_owned(),
        };
        let head = format!("HTTP/1.1 200 OK\r\nX-Key: {}\r\n{length}\r\n", !visit.key()?);
        visit.wire.write_all(head.as_bytes())?;
        if framing == "chunked" {
            // One chunk is as good as many: the daemon encodes anew.
            visit.wire.write_all(format!("{FLOOD:x}\r\n").as_bytes())?;
        }
        flood(visit.wire, content, &stopped)?;
        if framing == "chunked" {
            visit.wire.write_all(b"\r\n0\r\n\r\n")?;
        }
        Ok(Then::Keep)
    };
    let origin = Origin::http(answer);
    let daemon = Daemon::start(format!(
        "global\n\
         tune.rcvbuf.client {SMALL}\n\
         tune.sndbuf.client {SMALL}\n\
         tune.rcvbuf.server {SMALL}\n\
         tune.sndbuf.server {SMALL}\n\
         {DEFAULTS}\
         {options}\n\
         listen web\n\
         bind {{bind.web}}\n\
         server origin {}\n",
        origin.address()
    ));
    let small = Ask { target: "/small".into(), ..Ask::get(99, FLOOD / 1000) };
    let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
    assert!(small.exchange(&mut wire).whole().from_origin);
    drop(wire);
    let before = daemon.holdings();
    let mut readers: Vec<_> = (0..READERS)
        .map(|key| {
            let wire = Wire::connect_with(daemon.at("web"), small_buffers);
            (Ask::get(key, FLOOD), wire.expect("it listens"))
        })
        .collect();
    for (ask, wire) in &mut readers {
        ask.send(wire).expect("it takes");
    }
    for _ in 0..READERS {
        let taken = stops.recv_timeout(PATIENCE).expect("every origin is stopped");
        assert!(taken < UNDER_WAY, "{taken} bytes were taken for a client that does not read");
    }
    let now = daemon.holdings();
    assert!(now.resident < before.resident + READERS * (1 << 20), "{before:?} {now:?}");
    // Who does not read is in nobody's way.
    let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
    assert!(small.exchange(&mut wire).whole().from_origin);
    drop(wire);
    // And when they read, everything comes.
    for (ask, wire) in &mut readers {
        assert!(ask.receive(wire).whole().from_origin);
    }
    drop(readers);
    origin.check();
    daemon.returns_to(before, KEPT);
}

#[test]
fn slow_readers_of_known_length() {
    slow_readers("", "length");
}

#[test]
fn slow_readers_of_chunks() {
    slow_readers("", "chunked");
}

#[test]
fn slow_readers_behind_pipes() {
    slow_readers("option splice-response", "length");
}

/// A server that does not read the request.
fn slow_server(options: &str, body: Sent) {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let origin = Origin::http(move |visit| {
        small_buffers(visit.wire.socket())?;
        eventually("the client was stopped", || gate.load(Ordering::Relaxed));
        visit.body()?;
        visit.plain(1000)
    });
    let daemon = Daemon::start(format!(
        "global\n\
         tune.rcvbuf.client {SMALL}\n\
         tune.sndbuf.client {SMALL}\n\
         tune.rcvbuf.server {SMALL}\n\
         tune.sndbuf.server {SMALL}\n\
         {DEFAULTS}\
         {options}\n\
         listen web\n\
         bind {{bind.web}}\n\
         server origin {}\n",
        origin.address()
    ));
    let mut wire = Wire::connect_with(daemon.at("web"), small_buffers).expect("it listens");
    let ask = Ask::post(1, body, 1000);
    let (stopped, stops) = mpsc::channel();
    let before = daemon.holdings();
    wire.write_all(ask.head().as_bytes()).expect("it takes");
    if let Sent::Chunked(length, _) = body {
        wire.write_all(format!("{length:x}\r\n").as_bytes()).expect("it takes");
    }
    thread::scope(|scope| {
        let (daemon, open) = (&daemon, &open);
        scope.spawn(move || {
            let taken = stops.recv_timeout(PATIENCE);
            let now = daemon.holdings();
            open.store(true, Ordering::Relaxed);
            let taken = taken.expect("the client is stopped");
            assert!(taken < UNDER_WAY, "{taken} bytes were taken for a server that does not read");
            assert!(now.resident < before.resident + (4 << 20), "{before:?} {now:?}");
        });
        flood(&mut wire, ask.content(), &stopped).expect("it takes");
    });
    if let Sent::Chunked(..) = body {
        wire.write_all(b"\r\n0\r\n\r\n").expect("it takes");
    }
    assert!(ask.receive(&mut wire).whole().from_origin);
    drop(wire);
    origin.check();
    daemon.returns_to(before, KEPT);
}

#[test]
fn a_slow_server() {
    slow_server("", Sent::Length(FLOOD));
    slow_server("", Sent::Chunked(FLOOD, 0));
    slow_server("option splice-request", Sent::Length(FLOOD));
}

/// Where a client gives up.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    Connected,
    InHead,
    InBody,
    InChunks,
    Waiting,
    InAnswer,
}

const LEAVES: [Leaves; 6] = [
    Leaves::Connected,
    Leaves::InHead,
    Leaves::InBody,
    Leaves::InChunks,
    Leaves::Waiting,
    Leaves::InAnswer,
];

#[test]
fn clients_that_leave_at_every_moment() {
    // A second listener, so that connections in TCP mode die the same deaths.
    let origin = Origin::obedient();
    let daemon = Daemon::start(format!(
        "{DEFAULTS}\
         listen web\n\
         bind {{bind.web}}\n\
         server origin {origin}\n\
         listen tcp\n\
         mode tcp\n\
         bind {{bind.tcp}}\n\
         server origin {origin}\n\
         listen spliced\n\
         mode tcp\n\
         option splice-auto\n\
         bind {{bind.spliced}}\n\
         server origin {origin}\n",
        origin = origin.address()
    ));
    for listener in ["web", "tcp", "spliced"] {
        warm_up(daemon.at(listener));
    }
    let before = daemon.holdings();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // A client that behaves, all the while: it sees nothing of the others.
        scope.spawn(|| {
            let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
            for key in 1_000_000.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let ask = Ask::post(key, Sent::Length(key % 9999), key % 99_999);
                assert!(ask.exchange(&mut wire).whole().from_origin);
            }
        });
        let leave = |listener| {
            for key in 0..240_u64 {
                let moment = LEAVES[(key % 6) as usize];
                leave(Wire::connect(daemon.at(listener)).expect("it listens"), moment, key);
            }
        };
        let tcp = scope.spawn(move || leave("tcp"));
        let spliced = scope.spawn(move || leave("spliced"));
        leave("web");
        tcp.join().expect("no panic");
        spliced.join().expect("no panic");
        stop.store(true, Ordering::Relaxed);
    });
    origin.check();
    daemon.returns_to(before, KEPT);
}

/// Gives up at `moment`, by an end or a reset.
fn leave(mut wire: Wire, moment: Leaves, key: u64) {
    let ask = match moment {
        Leaves::InBody => Ask::post(key, Sent::Length(300_000), 10),
        Leaves::InChunks => Ask::post(key, Sent::Chunked(300_000, 1000), 10),
        _ => Ask::get(key, 1_000_000),
    };
    let mut bytes = Vec::new();
    ask.send(&mut bytes).expect("a vector takes everything");
    let sent = match moment {
        Leaves::Connected => 0,
        Leaves::InHead => 20,
        Leaves::InBody | Leaves::InChunks => bytes.len() * 2 / 3,
        Leaves::Waiting | Leaves::InAnswer => bytes.len(),
    };
    wire.write_all(&bytes[..sent]).expect("it takes");
    if let Leaves::InAnswer = moment {
        let head = Head::read(&mut wire).expect("a head").expect("an answer");
        assert_eq!(head.status().expect("a status"), 200);
    }
    if (key / 6).is_multiple_of(2) { wire.reset() } else { drop(wire) }
}

/// Where an origin dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dies {
    Accepted,
    InRequest,
    Asked,
    InHead,
    InBody,
    InChunks,
    InEndless,
    Answered,
}

const DEATHS: [(Dies, &str); 8] = [
    (Dies::Accepted, "accepted"),
    (Dies::InRequest, "request"),
    (Dies::Asked, "asked"),
    (Dies::InHead, "head"),
    (Dies::InBody, "body"),
    (Dies::InChunks, "chunks"),
    (Dies::InEndless, "endless"),
    (Dies::Answered, "answered"),
];

/// What the answers would be.
const ANSWER: u64 = 100_000;

/// An origin that dies in every third request of a connection and in every second connection's
/// first, by an end or a reset.
fn mortal(dies: Dies) -> Origin {
    Origin::raw(move |connection, mut wire| {
        for turn in 0.. {
            let now = turn % 3 == 2 || turn == 0 && connection % 2 == 0;
            if now && dies == Dies::Accepted {
                if turn > 0 {
                    // Not before the answer before it has arrived.
                    wire.fill()?;
                }
                return gone(wire, connection);
            }
            let Some(head) = Head::read(&mut wire)? else { return Ok(()) };
            if now && dies == Dies::InRequest {
                // Some of the body was read, or none came.
                let _ = wire.socket().set_read_timeout(Some(Duration::from_millis(1)));
                let _ = wire.fill();
                return gone(wire, connection);
            }
            let mut visit = Visit { head, connection, turn, wire: &mut wire };
            visit.body()?;
            if !now {
                visit.plain(ANSWER)?;
                continue;
            }
            let key = !visit.key()?;
            let fields = match dies {
                Dies::Asked => return gone(wire, connection),
                Dies::InHead => {
                    wire.write_all(b"HTTP/1.1 200 OK\r\nX-Ke")?;
                    return gone(wire, connection);
                }
                Dies::InChunks => "Transfer-Encoding: chunked\r\n".to_owned(),
                Dies::InEndless => String::new(),
                _ => format!("Content-Length: {ANSWER}\r\n"),
            };
            let mut bytes = format!("HTTP/1.1 200 OK\r\nX-Key: {key}\r\n{fields}\r\n").into_bytes();
            let sent = if dies == Dies::Answered { ANSWER } else { ANSWER / 2 };
            if dies == Dies::InChunks {
                write!(bytes, "{sent:x}\r\n")?;
            }
            bytes.extend(&Content::new(key, ANSWER).bytes()[..sent as usize]);
            if dies == Dies::InChunks {
                bytes.extend(b"\r\n");
            }
            wire.write_all(&bytes)?;
            return gone(wire, connection);
        }
        Ok(())
    })
}

fn gone(wire: Wire, connection: u64) -> io::Result<()> {
    if (connection / 2).is_multiple_of(2) {
        wire.reset();
    }
    Ok(())
}

#[test]
fn origins_that_die_at_every_moment() {
    let origins: Vec<_> = DEATHS.iter().map(|&(dies, name)| (dies, name, mortal(dies))).collect();
    let mut config = DEFAULTS.to_owned();
    for (_, name, origin) in &origins {
        config +=
            &format!("listen {name}\nbind {{bind.{name}}}\nserver origin {}\n", origin.address());
    }
    config += "listen refused\nbind {bind.refused}\nserver origin {refused.x}\n";
    config += "listen silent\nbind {bind.silent}\ntimeout server 200ms\nserver origin {origin.x}\n";
    config +=
        "listen black\nbind {bind.black}\ntimeout connect 200ms\nserver origin {blackhole.x}\n";
    let daemon = Daemon::start(config);
    let before = daemon.holdings();
    thread::scope(|scope| {
        for (dies, name, _) in &origins {
            for client in 0..2 {
                let at = daemon.at(name);
                scope.spawn(move || see_deaths(*dies, &at, client << 32));
            }
        }
        for (name, status) in [("refused", 503), ("silent", 504), ("black", 503)] {
            let at = daemon.at(name);
            scope.spawn(move || {
                for key in 0..10 {
                    let mut wire = Wire::connect(at.clone()).expect("it listens");
                    let ask = Ask::post(key, Sent::Length(key * 10_000), 1000);
                    let answer = ask.exchange(&mut wire).whole();
                    assert_eq!(answer.status, status, "{name}");
                }
            });
        }
    });
    for (_, name, origin) in &origins {
        let faults = origin.faults();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    }
    daemon.returns_to(before, KEPT);
}

/// Requests to an origin that dies now and then: none hangs, none gets what is another's, and what
/// is not whole shows.
fn see_deaths(dies: Dies, at: &At, first: u64) {
    let mut spare = None;
    let mut whole = 0;
    for key in first..first + 60 {
        let body = match key % 3 {
            0 => Sent::None,
            1 => Sent::Length(key % 7 * 10_000),
            _ => Sent::Chunked(key % 7 * 10_000, 999),
        };
        let method = if key % 3 == 0 { "GET" } else { "POST" };
        let ask = Ask { method, ..Ask::post(key, body, ANSWER) };
        let mut wire = match spare.take() {
            Some(wire) => wire,
            None => Wire::connect(at.clone()).expect("it listens"),
        };
        let outcome = ask.exchange(&mut wire);
        let as_expected = match &outcome {
            Outcome::Whole(answer) if answer.from_origin => true,
            Outcome::Whole(answer) => {
                let early =
                    matches!(dies, Dies::Accepted | Dies::InRequest | Dies::Asked | Dies::InHead);
                match answer.status {
                    502 => early,
                    // One that is gone at once may never have been seen as connected.
                    503 => dies == Dies::Accepted,
                    _ => false,
                }
            }
            // A connection that was kept may be gone when the next request is sent on it. A POST can't
            // be sent twice, and the client learns what it would of the server itself.
            Outcome::Cut { status: None, received: 0 } => method == "POST",
            Outcome::Cut { status: Some(200), received } => {
                let all = if dies == Dies::Answered { ANSWER } else { ANSWER / 2 };
                *received <= all
                    && matches!(
                        dies,
                        Dies::InBody | Dies::InChunks | Dies::InEndless | Dies::Answered
                    )
            }
            Outcome::Cut { .. } | Outcome::Hung | Outcome::Wrong(_) => false,
        };
        assert!(as_expected, "{dies:?}: {outcome:?} for {ask:?}");
        if let Outcome::Whole(answer) = outcome {
            whole += u32::from(answer.from_origin);
            // Behind a page of the daemon's the connection ends, which the page does not say.
            if answer.keeps && answer.from_origin {
                spare = Some(wire);
            }
        }
    }
    assert!(whole >= 10, "{dies:?}: only {whole} whole answers");
}

#[test]
fn out_of_descriptors() {
    const LIMIT: u32 = 40;
    let origin = Origin::obedient();
    let config = format!(
        "global\n\
         nbthread 2\n\
         ulimit-n {LIMIT}\n\
         {DEFAULTS}\
         listen web\n\
         bind {{bind.web}}\n\
         server origin {}\n",
        origin.address()
    );
    let mut daemon = Launch::new(config).descriptors(LIMIT).start();
    warm_up(daemon.at("web"));
    let before = daemon.holdings();
    let open = || Wire::connect(daemon.at("web")).expect("the kernel takes it");
    // Clients that say nothing, more than there are descriptors.
    let mut idle: Vec<Wire> = (0..LIMIT * 2).map(|_| open()).collect();
    eventually("all descriptors are in use", || daemon.descriptors(|_| true) >= LIMIT as usize - 1);
    // One more waits, with its request; meanwhile the daemon rests.
    let mut last = open();
    let ask = Ask::get(1, 1000);
    ask.send(&mut last).expect("the kernel takes it");
    let cpu = daemon.cpu();
    assert!(last.is_silent(Duration::from_secs(2)).expect("no error"), "answered without room");
    let used = daemon.cpu() - cpu;
    assert!(used < Duration::from_millis(300), "{used:?} of CPU time in 2 s of waiting");
    assert!(daemon.runs());
    // They leave one after the other; each gives its place to the next that waits.
    for wire in idle.drain(..) {
        drop(wire);
    }
    let answer = ask.receive(&mut last).whole();
    // Those that waited before it may have taken the descriptor for its server again.
    assert!(answer.from_origin || answer.status == 503, "{}", answer.status);
    drop(last);
    // More requests at once than there are descriptors: some are refused, and say so; none hangs.
    let served = AtomicU64::new(0);
    thread::scope(|scope| {
        for client in 0..u64::from(LIMIT) {
            let (served, at) = (&served, daemon.at("web"));
            scope.spawn(move || {
                for key in client << 8..client << 8 | 5 {
                    let mut wire = Wire::connect(at.clone()).expect("the kernel takes it");
                    let answer = Ask::get(key, 50_000).exchange(&mut wire).whole();
                    assert!(answer.from_origin || answer.status == 503, "{}", answer.status);
                    served.fetch_add(u64::from(answer.from_origin), Ordering::Relaxed);
                }
            });
        }
    });
    assert!(served.into_inner() > 0, "nothing was served");
    eventually("it serves as before", || {
        let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
        Ask::get(7, 100).exchange(&mut wire).whole().from_origin
    });
    origin.check();
    daemon.returns_to(before, KEPT);
}

#[test]
fn streams_whose_server_ends_them_lose_nothing() {
    // The first bytes say how much to send; the end comes right behind it.
    let origin = Origin::raw(|_, mut wire| {
        let line = wire.fill()?.to_vec();
        wire.consume(line.len());
        let text = String::from_utf8_lossy(&line).into_owned();
        let mut words = text.trim().split(' ').map(|word| word.parse().unwrap_or(0));
        let (key, length, reset) = (words.next(), words.next(), words.next());
        Content::new(key.unwrap_or(0), length.unwrap_or(0)).write(&mut wire)?;
        if reset == Some(1) {
            wire.reset();
        }
        Ok(())
    });
    let listener = |name: &str, option: &str| {
        format!(
            "listen {name}\nmode tcp\nbind {{bind.{name}}}\n{option}\nserver origin {}\n",
            origin.address()
        )
    };
    let tcp = listener("tcp", "") + &listener("spliced", "option splice-auto");
    let daemon = Daemon::start(DEFAULTS.to_owned() + &tcp);
    let before = daemon.holdings();
    thread::scope(|scope| {
        for name in ["tcp", "spliced"] {
            for client in 0..2_u64 {
                let at = daemon.at(name);
                scope.spawn(move || {
                    for key in client << 32..client << 32 | 300 {
                        let (length, reset) = (key * 7919 % 400_000, u64::from(key % 3 == 0));
                        let mut wire = Wire::connect(at.clone()).expect("it listens");
                        // In one write: what is left unread makes an end a reset.
                        let line = format!("{key} {length} {reset}\n");
                        wire.write_all(line.as_bytes()).expect("it takes");
                        let mut checker = Checker::new(Content::new(key, length));
                        let end = wire.read_to_end(|bytes| checker.feed(bytes));
                        match end.map_err(|error| error.kind()) {
                            Ok(()) | Err(ErrorKind::ConnectionReset) => {}
                            Err(other) => panic!("{name}: {other:?} after {} bytes", checker.at),
                        }
                        assert!(checker.is_whole() || reset == 1, "{name}: {checker:?}");
                    }
                });
            }
        }
    });
    origin.check();
    daemon.returns_to(before, KEPT);
}

#[test]
fn who_waits_uses_no_processor() {
    // Never answers, never reads more than a head.
    let held = Mutex::new(Vec::new());
    let origin = Origin::raw(move |_, mut wire| {
        if wire.fill()?.starts_with(b"flood") {
            wire.socket().set_write_timeout(Some(STANDSTILL))?;
            // Until it is stopped.
            let _ = Content::new(0, u64::MAX).write(&mut wire);
        }
        held.lock().expect("no panic with it").push(wire);
        Ok(())
    });
    let daemon = Daemon::start(format!(
        "{DEFAULTS}\
         listen web\nbind {{bind.web}}\nserver origin {origin}\n\
         listen queue\nbind {{bind.queue}}\nserver origin {origin} maxconn 1\n\
         listen denied\nbind {{bind.denied}}\nhttp-request deny\n\
         listen black\nbind {{bind.black}}\nserver origin {{blackhole.x}}\n\
         listen tcp\nmode tcp\nbind {{bind.tcp}}\nserver origin {origin}\n\
         listen spliced\nmode tcp\noption splice-auto\nbind {{bind.spliced}}\nserver origin {origin}\n",
        origin = origin.address()
    ));
    let send = |name: &str, bytes: &[u8]| {
        let mut wire = Wire::connect(daemon.at(name)).expect("it listens");
        wire.write_all(bytes).expect("it takes");
        wire
    };
    let finished = |name: &str, bytes: &[u8]| {
        let wire = send(name, bytes);
        wire.finish().expect("it is connected");
        wire
    };
    let get = Ask::get(1, 1).head();
    let mut post = Vec::new();
    Ask::post(1, Sent::Length(300_000), 1).send(&mut post).expect("a vector takes everything");
    let mut wires = vec![
        send("web", b""),
        send("web", b"GET / HTTP/1.1\r\nHo"),
        send("web", get.as_bytes()),
        finished("web", get.as_bytes()),
        send("web", &post[..200_000]),
        send("queue", get.as_bytes()),
        send("queue", get.as_bytes()),
        finished("queue", get.as_bytes()),
        send("black", get.as_bytes()),
        send("denied", &post[..200_000]),
        send("tcp", b"hello"),
        finished("tcp", b"hello"),
        send("tcp", b"flood"),
        send("spliced", b"hello"),
        finished("spliced", b"hello"),
        send("spliced", b"flood"),
    ];
    // Until nothing moves any more.
    let mut last = daemon.cpu();
    eventually("everything stands still", || {
        assert!(wires[0].is_silent(STANDSTILL).expect("no error"));
        let (before, now) = (last, daemon.cpu());
        last = now;
        now - before < Duration::from_millis(20)
    });
    assert!(wires[0].is_silent(Duration::from_secs(2)).expect("no error"));
    let used = daemon.cpu() - last;
    assert!(used < Duration::from_millis(50), "{used:?} of CPU time in 2 s of waiting");
}
