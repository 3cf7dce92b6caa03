//! Who does not read stops who writes, and no more than buffers is held meanwhile.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tidegate_tests::daemon::origin::Then;
use tidegate_tests::daemon::{
    Ask, Content, Daemon, Origin, PATIENCE, Sent, Visit, Wire, eventually,
};

use crate::{DEFAULTS, KEPT};

/// Small socket buffers on both sides, so that what the daemon itself holds shows.
const SMALL: usize = 32_768;

/// Far more than all buffers together hold.
const FLOOD: u64 = 16 << 20;

/// What may be under way when everything stands still, bytes: four socket buffers and the daemon's.
const UNDER_WAY: u64 = 4 << 20;

/// How long a writer must not get on to count as stopped. A busy machine can make it look so
/// early, which only makes less be under way.
pub const STANDSTILL: Duration = Duration::from_millis(500);

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
