//! Ends: an answer that is given before its request is whole arrives, a kept connection that dies
//! is nobody's error, and a daemon that is told to stop finishes what it does.

use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tidegate_tests::daemon::origin::Then;
use tidegate_tests::daemon::{
    Ask, At, Content, Daemon, Head, Origin, Outcome, PATIENCE, Sent, Visit, Wire, eventually,
};

const DEFAULTS: &str = "defaults\n\
     mode http\n\
     retries 0\n\
     timeout connect 90s\n\
     timeout client 90s\n\
     timeout server 90s\n";

/// Runs `work` for `0..times` on four threads.
fn often(times: u64, work: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= times {
                        return;
                    }
                    work(n);
                }
            });
        }
    });
}

/// Sends 1 MB, that nobody wants, and counts on the answer all the same: reading when all of it is
/// written, or while it is written.
fn early_answer(at: &At, n: u64, status: u16) {
    let mut wire = Wire::connect(at.clone()).expect("it listens");
    let body = match n / 2 % 2 {
        0 => Sent::Length(1 << 20),
        _ => Sent::Chunked(1 << 20, 50_000),
    };
    let ask = Ask::post(n, body, 3000);
    let outcome = if n.is_multiple_of(2) {
        // Where it is refused is not important.
        ask.exchange(&mut wire)
    } else {
        let mut writer = wire.writer().expect("a second handle");
        thread::scope(|scope| {
            scope.spawn(|| {
                // An error means that nobody reads any more: then the answer tells.
                let _ = ask.send(&mut writer);
            });
            ask.receive(&mut wire)
        })
    };
    match outcome {
        Outcome::Whole(answer) => assert_eq!(answer.status, status, "attempt {n}"),
        other => panic!("attempt {n}: {other:?}"),
    }
}

#[test]
fn a_denied_upload_gets_its_page() {
    let daemon = Daemon::start(format!(
        "{DEFAULTS}listen web\nbind {{bind.web}}\nhttp-request deny\nserver none 127.0.0.1:1\n"
    ));
    let before = daemon.holdings();
    often(1000, |n| early_answer(&daemon.at("web"), n, 403));
    daemon.returns_to(before, 8 << 20);
}

#[test]
fn an_upload_to_no_server_gets_its_page() {
    let daemon = Daemon::start(format!(
        "{DEFAULTS}\
         listen empty\nbind {{bind.empty}}\n\
         listen refused\nbind {{bind.refused}}\nserver gone {{refused.x}}\n"
    ));
    let before = daemon.holdings();
    often(1000, |n| {
        let name = if n / 4 % 2 == 0 { "empty" } else { "refused" };
        early_answer(&daemon.at(name), n, 503);
    });
    daemon.returns_to(before, 8 << 20);
}

#[test]
fn an_upload_that_the_server_refuses_gets_its_answer() {
    // Says so, and closes without having read the body: the kernel resets the connection.
    let origin = Origin::http(|visit| {
        let key = !visit.key()?;
        let head = format!("HTTP/1.1 413 Too Much\r\nX-Key: {key}\r\nContent-Length: 3000\r\n\r\n");
        let mut bytes = head.into_bytes();
        Content::new(key, 3000).write(&mut bytes)?;
        visit.wire.write_all(&bytes)?;
        Ok(Then::Close)
    });
    let daemon = Daemon::start(format!(
        "{DEFAULTS}listen web\nbind {{bind.web}}\nserver origin {}\n",
        origin.address()
    ));
    let before = daemon.holdings();
    often(1000, |n| early_answer(&daemon.at("web"), n, 413));
    origin.check();
    daemon.returns_to(before, 8 << 20);
}

#[test]
fn a_client_that_ends_its_direction_gets_its_answer() {
    let origin = Origin::obedient();
    let daemon = Daemon::start(format!(
        "{DEFAULTS}listen web\nbind {{bind.web}}\nserver origin {}\n",
        origin.address()
    ));
    often(200, |n| {
        let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
        let body = [Sent::None, Sent::Length(70_000), Sent::Chunked(70_000, 999)][n as usize % 3];
        let ask = Ask::post(n, body, 100_000);
        ask.send(&mut wire).expect("it takes");
        wire.finish().expect("it is connected");
        assert!(ask.receive(&mut wire).whole().from_origin);
        assert_eq!(Head::read(&mut wire).expect("an end"), None);
    });
    origin.check();
}

/// An origin that closes kept connections whenever it likes.
fn fickle() -> Origin {
    Origin::raw(|connection, mut wire| {
        for turn in 0.. {
            let Some(head) = Head::read(&mut wire)? else { return Ok(()) };
            let mut visit = Visit { head, connection, turn, wire: &mut wire };
            visit.body()?;
            visit.plain(100)?;
            // At once, or about when the next request comes, or not at all.
            let dice = connection.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            if turn >= dice % 4 {
                let wait = Duration::from_micros(dice / 4 % 300);
                let then = Instant::now() + wait;
                while Instant::now() < then {
                    std::hint::spin_loop();
                }
                if dice % 2 == 0 {
                    wire.reset();
                }
                return Ok(());
            }
        }
        Ok(())
    })
}

#[test]
fn a_kept_connection_that_dies_is_no_error_of_a_get() {
    let origin = fickle();
    let daemon = Daemon::start(format!(
        "{DEFAULTS}listen web\nbind {{bind.web}}\nserver origin {}\n",
        origin.address()
    ));
    thread::scope(|scope| {
        for client in 0..4_u64 {
            let at = daemon.at("web");
            scope.spawn(move || {
                let mut wire = Wire::connect(at).expect("it listens");
                for key in client << 32..client << 32 | 500 {
                    let answer = Ask::get(key, 100).exchange(&mut wire).whole();
                    assert!(answer.from_origin && answer.keeps, "{answer:?} for {key:x}");
                }
            });
        }
    });
    origin.check();
}

#[test]
fn a_kept_connection_that_dies_under_a_post_shows() {
    let origin = fickle();
    let daemon = Daemon::start(format!(
        "{DEFAULTS}listen web\nbind {{bind.web}}\nserver origin {}\n",
        origin.address()
    ));
    thread::scope(|scope| {
        for client in 0..4_u64 {
            let at = daemon.at("web");
            scope.spawn(move || {
                let mut spare = None;
                for key in client << 32..client << 32 | 300 {
                    let connect = || Wire::connect(at.clone()).expect("it listens");
                    let mut wire = spare.take().unwrap_or_else(connect);
                    let ask = Ask::post(key, Sent::Length(key % 5 * 10_000), 100);
                    match ask.exchange(&mut wire) {
                        Outcome::Whole(answer) if answer.from_origin => {
                            spare = answer.keeps.then_some(wire);
                        }
                        // What it would see of the server itself.
                        Outcome::Cut { status: None, received: 0 } => {}
                        other => panic!("{other:?} for {ask:?}"),
                    }
                }
            });
        }
    });
    origin.check();
}

#[test]
fn what_a_server_did_not_take_is_not_sent_with_the_next_request() {
    // Answers as soon as it has a head, and reads nothing more of what is no short request.
    let unread = Mutex::new(Vec::new());
    let origin = Origin::raw(move |connection, mut wire| {
        wire.socket().set_recv_buffer_size(16_384)?;
        for turn in 0.. {
            let Some(head) = Head::read(&mut wire)? else { return Ok(()) };
            let long = head.number("x-body")?.unwrap_or(0) > 0;
            let mut visit = Visit { head, connection, turn, wire: &mut wire };
            visit.answer(1, !long, "length", 100)?;
            if long {
                unread.lock().expect("no panic with it").push(wire);
                return Ok(());
            }
        }
        Ok(())
    });
    let daemon = Daemon::start(format!(
        "global\n\
         tune.sndbuf.server 16384\n\
         {DEFAULTS}timeout server 150ms\n\
         listen web\nbind {{bind.web}}\nserver origin {}\n",
        origin.address()
    ));
    // Of some of these the daemon holds the last part, and waits for the server to take it.
    for size in (10_000..240_000).step_by(10_000) {
        let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
        let body = if size % 20_000 == 0 { Sent::Length(size) } else { Sent::Chunked(size, 999) };
        let first = Ask::post(size, body, 100);
        let mut writer = wire.writer().expect("a second handle");
        let answer = thread::scope(|scope| {
            scope.spawn(|| {
                let _ = first.send(&mut writer);
            });
            first.receive(&mut wire).whole()
        });
        assert!(answer.from_origin, "{answer:?} for {size}");
        match Ask::get(size + 1, 100).exchange(&mut wire) {
            Outcome::Whole(answer) => assert!(answer.from_origin, "{answer:?} after {size}"),
            // What was not taken in time ends the connection.
            Outcome::Cut { status: None, received: 0 } => {}
            other => panic!("{other:?} after {size}"),
        }
    }
    origin.check();
}

/// Opens once, for all who wait.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicU64,
}

impl Gate {
    fn pass(&self) -> io::Result<()> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let open = self.open.lock().expect("no panic with it");
        let (open, _) =
            self.opened.wait_timeout_while(open, PATIENCE, |open| !*open).expect("the same");
        if *open { Ok(()) } else { Err(io::Error::other("the gate stays closed")) }
    }

    fn open(&self) {
        *self.open.lock().expect("no panic with it") = true;
        self.opened.notify_all();
    }

    fn await_visitors(&self, visitors: u64) {
        eventually("the requests are there", || self.waiting.load(Ordering::Relaxed) >= visitors);
    }
}

/// A daemon with two threads before an origin that answers when the gate is open.
fn gated() -> (Arc<Gate>, Origin, Daemon) {
    let gate = Arc::new(Gate::default());
    let passing = Arc::clone(&gate);
    let origin = Origin::http(move |visit| {
        if visit.head.target() == "/now" {
            return visit.plain(10);
        }
        passing.pass()?;
        visit.serve()
    });
    let echo = Origin::raw(|_, mut wire| {
        let mut bytes = Vec::new();
        wire.read_to_end(|piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        wire.write_all(&bytes)
    });
    let daemon = Daemon::start(format!(
        "global\n\
         nbthread 2\n\
         {DEFAULTS}\
         listen web\n\
         bind {{bind.web}}\n\
         server origin {}\n\
         listen tcp\n\
         mode tcp\n\
         bind {{bind.tcp}}\n\
         server echo {}\n",
        origin.address(),
        echo.address()
    ));
    // It serves as long as it has connections, which the daemon ends.
    std::mem::forget(echo);
    (gate, origin, daemon)
}

#[test]
fn a_soft_stop_lets_what_runs_finish() {
    let (gate, origin, mut daemon) = gated();
    let open = || Wire::connect(daemon.at("web")).expect("it listens");
    let mut idle: Vec<Wire> = (0..20).map(|_| open()).collect();
    for (key, wire) in idle.iter_mut().enumerate().skip(10) {
        // Half of them have had an answer.
        let ask = Ask { target: "/now".into(), ..Ask::get(key as u64, 10) };
        assert!(ask.exchange(wire).whole().keeps);
    }
    let mut running = Vec::new();
    for key in 100..120 {
        let body = if key % 2 == 0 { Sent::None } else { Sent::Length(100_000) };
        let framing = if key % 3 == 0 { "chunked" } else { "length" };
        let target = format!("/1/keep/{framing}/300000");
        let ask = Ask { target, ..Ask::post(key, body, 300_000) };
        let mut wire = open();
        ask.send(&mut wire).expect("it takes");
        running.push((ask, wire));
    }
    // One that is half sent, and a tunnel.
    let half = Ask::post(200, Sent::Length(100_000), 1000);
    let mut bytes = Vec::new();
    half.send(&mut bytes).expect("a vector takes everything");
    let mut halfway = open();
    halfway.write_all(&bytes[..50_000]).expect("it takes");
    let mut tunnel = Wire::connect(daemon.at("tcp")).expect("it listens");
    tunnel.write_all(b"before").expect("it takes");
    gate.await_visitors(21);

    daemon.signal(Signal::USR1);
    for wire in &mut idle {
        assert_eq!(Head::read(wire).expect("an end"), None, "an idle connection");
    }
    for name in ["web", "tcp"] {
        eventually("it listens no more", || Wire::connect(daemon.at(name)).is_err());
    }
    assert!(daemon.runs());
    gate.open();
    halfway.write_all(&bytes[50_000..]).expect("it takes");
    running.push((half, halfway));
    for (ask, wire) in &mut running {
        let answer = ask.receive(wire).whole();
        assert!(answer.from_origin && !answer.keeps, "{answer:?}");
        assert_eq!(Head::read(wire).expect("an end"), None);
    }
    drop(running);
    tunnel.write_all(b" and after").expect("it takes");
    tunnel.finish().expect("it is connected");
    assert!(daemon.runs(), "a tunnel is open");
    let mut echoed = Vec::new();
    let all = tunnel.read_to_end(|piece| {
        echoed.extend_from_slice(piece);
        Ok(())
    });
    all.expect("the rest");
    assert_eq!(echoed, b"before and after");
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.messages());
    origin.check();
}

#[test]
fn a_soft_stop_in_full_traffic_loses_nothing() {
    let origin = Origin::obedient();
    let mut daemon = Daemon::start(format!(
        "{DEFAULTS}listen web\nbind {{bind.web}}\nserver origin {}\n",
        origin.address()
    ));
    let served = AtomicU64::new(0);
    let at = daemon.at("web");
    thread::scope(|scope| {
        for client in 0..8_u64 {
            let (served, at) = (&served, at.clone());
            scope.spawn(move || {
                let mut spare = None;
                for key in client << 32.. {
                    // Who finds nobody listening is done.
                    let Some(mut wire) = spare.take().or_else(|| Wire::connect(at.clone()).ok())
                    else {
                        return;
                    };
                    let ask = Ask::post(key, Sent::Length(key % 9 * 5000), 50_000);
                    match ask.exchange(&mut wire) {
                        Outcome::Whole(answer) if answer.from_origin => {
                            served.fetch_add(1, Ordering::Relaxed);
                            spare = answer.keeps.then_some(wire);
                        }
                        // It was closed while idle, as every server may.
                        Outcome::Cut { status: None, received: 0 } => {}
                        other => panic!("{other:?} for {ask:?}"),
                    }
                }
            });
        }
        eventually("some requests", || served.load(Ordering::Relaxed) > 100);
        daemon.signal(Signal::USR1);
    });
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.messages());
    origin.check();
}

#[test]
fn a_hard_stop_ends_what_does_not_finish() {
    let gate = Arc::new(Gate::default());
    let passing = Arc::clone(&gate);
    let origin = Origin::http(move |visit| {
        passing.pass()?;
        visit.serve()
    });
    let mut daemon = Daemon::start(format!(
        "global\nhard-stop-after 300ms\n{DEFAULTS}\
         listen web\nbind {{bind.web}}\nserver origin {}\n",
        origin.address()
    ));
    let ask = Ask::get(1, 10);
    let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
    ask.send(&mut wire).expect("it takes");
    gate.await_visitors(1);
    daemon.signal(Signal::USR1);
    match ask.receive(&mut wire) {
        Outcome::Cut { status: None, received: 0 } => {}
        Outcome::Whole(answer) if !answer.from_origin => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.messages());
    gate.open();
}

#[test]
fn a_termination_is_one() {
    for signal in [Signal::TERM, Signal::INT] {
        let (gate, _origin, mut daemon) = gated();
        let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
        let ask = Ask::get(1, 10);
        ask.send(&mut wire).expect("it takes");
        gate.await_visitors(1);
        daemon.signal(signal);
        assert_eq!(daemon.ended().signal(), Some(signal.as_raw()));
        assert!(matches!(ask.receive(&mut wire), Outcome::Cut { status: None, received: 0 }));
        gate.open();
    }
}
