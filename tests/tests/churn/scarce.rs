//! Too few descriptors, and nothing to do: neither costs processor time.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tidegate_tests::daemon::process::Launch;
use tidegate_tests::daemon::{Ask, Content, Daemon, Origin, Sent, Wire, eventually};

use crate::slow::STANDSTILL;
use crate::{DEFAULTS, KEPT, warm_up};

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
         listen spliced\nmode tcp\noption splice-auto\nbind {{bind.spliced}}\n\
         server origin {origin}\n",
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
