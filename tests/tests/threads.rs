//! Several engines in one process: what must be one across them is exact, and all of them work.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use tidegate_tests::daemon::process::Launch;
use tidegate_tests::daemon::{
    Ask, At, Daemon, Head, Origin, PATIENCE, Sent, Visit, Wire, eventually,
};

const THREADS: &str = "global\n\
     nbthread 4\n\
     maxconn 1000\n";

const DEFAULTS: &str = "defaults\n\
     mode http\n\
     backlog 1000\n\
     timeout connect 90s\n\
     timeout queue 90s\n\
     timeout client 90s\n\
     timeout server 90s\n";

/// What an origin counts and holds back.
#[derive(Debug, Default)]
struct Turnstile {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Requests that came and are not answered.
    inside: u64,
    /// The most there ever were.
    most: u64,
    /// Requests that may still be answered.
    tickets: u64,
    /// The keys of all requests, as they came.
    order: Vec<u64>,
}

impl Turnstile {
    /// Counts a request in, and out again when there is a ticket for it. It is out before its
    /// answer is written: nobody can know of the end earlier than we do.
    fn pass(&self, key: u64) -> io::Result<()> {
        let mut state = self.state.lock().expect("no panic with it");
        state.inside += 1;
        state.most = state.most.max(state.inside);
        state.order.push(key);
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(state, PATIENCE, |state| state.tickets == 0);
        let (mut state, timeout) = waited.expect("no panic with it");
        if timeout.timed_out() {
            return Err(io::Error::other("never let out"));
        }
        state.tickets -= 1;
        state.inside -= 1;
        Ok(())
    }

    /// Lets so many more out.
    fn issue(&self, tickets: u64) {
        self.state.lock().expect("no panic with it").tickets += tickets;
        self.changed.notify_all();
    }

    /// Waits until so many have ever come.
    fn await_requests(&self, total: usize) {
        let state = self.state.lock().expect("no panic with it");
        let waited =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.order.len() < total);
        let (state, timeout) = waited.expect("no panic with it");
        assert!(!timeout.timed_out(), "{} requests came, not {total}", state.order.len());
    }

    fn most(&self) -> u64 {
        self.state.lock().expect("no panic with it").most
    }

    fn order(&self) -> Vec<u64> {
        self.state.lock().expect("no panic with it").order.clone()
    }
}

/// An origin that lets requests wait at the turnstile.
fn counting() -> (Arc<Turnstile>, Origin) {
    let turnstile = Arc::new(Turnstile::default());
    let inner = Arc::clone(&turnstile);
    let origin = Origin::http(move |visit: &mut Visit<'_>| {
        visit.body()?;
        inner.pass(visit.key()?)?;
        visit.obey()
    });
    (turnstile, origin)
}

/// `total` requests of `clients` clients, all at once, while the origin lets one out whenever
/// it is full: as many as `limit` are inside at times, and never more.
fn limited(config: &str, clients: u64, total: u64, limit: u64, keep: bool) {
    let (turnstile, origin) = counting();
    let daemon = Daemon::start(config.replace("{origin}", &origin.address().to_string()));
    press(&turnstile, &daemon.at("web"), (clients, total), limit, keep);
    origin.check();
}

fn press(turnstile: &Turnstile, at: &At, (clients, total): (u64, u64), limit: u64, keep: bool) {
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..clients {
            let next = &next;
            scope.spawn(move || {
                let mut spare = None;
                loop {
                    let key = next.fetch_add(1, Ordering::Relaxed);
                    if key >= total {
                        return;
                    }
                    let connect = || Wire::connect(at.clone()).expect("it listens");
                    let mut wire = spare.take().unwrap_or_else(connect);
                    let ask = Ask { keep, ..Ask::post(key, Sent::Length(key * 9), 500) };
                    let answer = ask.exchange(&mut wire).whole();
                    assert!(answer.from_origin, "{answer:?}");
                    spare = answer.keeps.then_some(wire);
                }
            });
        }
        // With nobody let out, as many come as may.
        turnstile.await_requests(limit as usize);
        for out in 1..=total {
            turnstile.issue(1);
            turnstile.await_requests((out + limit).min(total) as usize);
        }
    });
    assert_eq!(turnstile.most(), limit, "at once");
}

#[test]
fn a_servers_maxconn_is_exact() {
    for options in ["", "option http-server-close\n"] {
        let config = format!(
            "{THREADS}{DEFAULTS}{options}\
             listen web\nbind {{bind.web}}\nserver one {{origin}} maxconn 3\n"
        );
        limited(&config, 24, 480, 3, true);
    }
}

#[test]
fn a_frontends_maxconn_is_exact() {
    let config = format!(
        "{THREADS}{DEFAULTS}\
         listen web\nbind {{bind.web}}\nmaxconn 5\nserver one {{origin}}\n"
    );
    limited(&config, 24, 480, 5, false);
}

#[test]
fn a_listeners_maxconn_is_exact() {
    let config = format!(
        "{THREADS}{DEFAULTS}\
         listen web\nbind {{bind.web}} maxconn 5\nserver one {{origin}}\n"
    );
    limited(&config, 24, 480, 5, false);
}

#[test]
fn the_global_maxconn_is_exact() {
    let config = format!(
        "global\nnbthread 4\nmaxconn 6\n{DEFAULTS}\
         listen web\nbind {{bind.web}}\nmaxconn 100\nserver one {{origin}}\n"
    );
    limited(&config, 24, 480, 6, false);
}

#[test]
fn connections_in_tcp_mode_are_limited_too() {
    // A server's maxconn, where a request is a whole connection.
    let config = format!(
        "{THREADS}{DEFAULTS}\
         listen web\nmode tcp\nbind {{bind.web}}\nserver one {{origin}} maxconn 3\n"
    );
    limited(&config, 24, 240, 3, false);
}

#[test]
fn clients_that_give_up_in_a_queue_leave_no_trace() {
    let (turnstile, origin) = counting();
    let daemon = Daemon::start(format!(
        "{THREADS}{DEFAULTS}option abortonclose\n\
         listen web\nbind {{bind.web}}\nserver one {} maxconn 2\n",
        origin.address()
    ));
    let ask = |key| Ask::get(key, 100);
    let mut served: VecDeque<_> = (0..2).map(|key| (key, open(&daemon, &ask(key)))).collect();
    turnstile.await_requests(2);
    let before = daemon.holdings();
    for round in 0..20 {
        let waiting: Vec<Wire> =
            (0..20).map(|n| open(&daemon, &ask(1000 + round * 20 + n))).collect();
        await_queue(&daemon, 20);
        for (n, wire) in waiting.into_iter().enumerate() {
            if n % 2 == 0 { wire.reset() } else { drop(wire) }
        }
        await_queue(&daemon, 0);
    }
    daemon.returns_to(before, 8 << 20);
    // The slots are as many as ever.
    served.extend((2..10).map(|key| (key, open(&daemon, &ask(key)))));
    await_queue(&daemon, 8);
    turnstile.issue(10);
    while let Some((key, mut wire)) = served.pop_front() {
        assert!(ask(key).receive(&mut wire).whole().from_origin);
    }
    assert_eq!(turnstile.most(), 2);
    assert_eq!(turnstile.order().len(), 10, "nobody came who had given up");
    origin.check();
}

/// Opens a connection and sends a request.
fn open(daemon: &Daemon, ask: &Ask) -> Wire {
    let mut wire = Wire::connect(daemon.at("web")).expect("it listens");
    ask.send(&mut wire).expect("it takes");
    wire
}

/// Waits until so many requests are in the queue of the only server, as the daemon says on HUP.
fn await_queue(daemon: &Daemon, length: usize) {
    let wanted = format!(" {length} pend (");
    eventually(&format!("a queue of {length}"), || {
        let said = daemon.messages().len();
        daemon.signal(Signal::HUP);
        eventually("an answer to HUP", || {
            daemon.messages()[said..].lines().any(|line| line.contains("unass"))
        });
        daemon.messages()[said..].contains(&wanted)
    });
}

#[test]
fn a_queue_is_served_in_order() {
    let (turnstile, origin) = counting();
    let daemon = Daemon::start(format!(
        "{THREADS}{DEFAULTS}\
         listen web\nbind {{bind.web}}\nserver one {} maxconn 1\n",
        origin.address()
    ));
    let asks: Vec<Ask> = (0..40).map(|key| Ask::post(key, Sent::Length(key * 10), 100)).collect();
    let mut wires = Vec::new();
    for (n, ask) in asks.iter().enumerate() {
        wires.push(open(&daemon, ask));
        match n {
            0 => turnstile.await_requests(1),
            // It is in the queue, whichever engine has it, before the next comes.
            _ => await_queue(&daemon, n),
        }
    }
    for n in 1..=asks.len() {
        turnstile.issue(1);
        turnstile.await_requests((n + 1).min(asks.len()));
    }
    for (ask, wire) in asks.iter().zip(&mut wires) {
        assert!(ask.receive(wire).whole().from_origin);
    }
    assert_eq!(turnstile.order(), (0..40).collect::<Vec<u64>>());
    assert_eq!(turnstile.most(), 1);
    origin.check();
}

/// Requests over a listener: each is answered, and every engine had something to do.
fn all_work(daemon: &Daemon, at: &At, connections: u64) {
    let before = daemon.sleeps();
    thread::scope(|scope| {
        for client in 0..8 {
            scope.spawn(move || {
                for n in 0..connections / 8 {
                    let mut wire = Wire::connect(at.clone()).expect("it listens");
                    for turn in 0..3 {
                        let key = client << 32 | n << 4 | turn;
                        let ask = Ask::post(key, Sent::Length(n * 10), 1000 + n * 100);
                        assert!(ask.exchange(&mut wire).whole().from_origin);
                    }
                }
            });
        }
    });
    let after = daemon.sleeps();
    assert_eq!(after.len(), 4, "engines");
    for (n, (before, after)) in before.iter().zip(&after).enumerate() {
        // Who never slept in between had nothing but work or nothing at all; no test is so busy.
        assert!(after - before >= 3, "engine {n} of {at} slept {} times", after - before);
    }
}

#[test]
fn every_engine_works_for_a_tcp_listener() {
    let origin = Origin::obedient();
    let server = origin.address();
    let config = |more: &str| {
        format!("{THREADS}{more}{DEFAULTS}listen web\nbind {{bind.web}}\nserver one {server}\n")
    };
    for more in ["", "noreuseport\n"] {
        let daemon = Daemon::start(config(more));
        all_work(&daemon, &daemon.at("web"), 400);
    }
    origin.check();
}

#[test]
fn every_engine_works_for_a_unix_listener() {
    let origin = Origin::obedient();
    let daemon = Launch::new(format!(
        "{THREADS}{DEFAULTS}listen web\nbind unix@{{dir}}/web.sock\nserver one {}\n",
        origin.address()
    ))
    .listens_at("web.sock")
    .start();
    let before = daemon.holdings();
    all_work(&daemon, &daemon.unix("web.sock"), 400);
    origin.check();
    // The idle connections to the server stay for a while.
    let kept = daemon.holdings().descriptors - before.descriptors;
    assert!(kept <= origin.connections() as usize, "{kept} descriptors more");
}

#[test]
fn every_engine_works_for_an_inherited_listener() {
    let origin = Origin::obedient();
    let config =
        format!("{THREADS}{DEFAULTS}listen web\nbind fd@3\nserver one {}\n", origin.address());
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).and_then(|()| listener.listen(1024)).expect("a port");
    let address = listener.local_addr().ok().and_then(|address| address.as_socket());
    let at = At::from(address.expect("it is bound"));
    let daemon = Launch::new(config.as_str()).inherits(listener).start();
    all_work(&daemon, &at, 400);
    drop(daemon);

    let path = std::env::temp_dir().join(format!("threads-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).expect("a unix socket");
    let daemon = Launch::new(config.as_str()).inherits(listener).start();
    all_work(&daemon, &At::Unix(path.clone()), 400);
    std::fs::remove_file(path).expect("ours");
    origin.check();
}

#[test]
fn limits_of_a_shared_listener_are_exact() {
    let (turnstile, origin) = counting();
    let daemon = Launch::new(format!(
        "{THREADS}{DEFAULTS}maxconn 5\n\
         listen web\nbind unix@{{dir}}/web.sock\nserver one {}\n",
        origin.address()
    ))
    .listens_at("web.sock")
    .start();
    press(&turnstile, &daemon.unix("web.sock"), (20, 200), 5, false);
    origin.check();
}

#[test]
fn idle_clients_count_until_they_leave() {
    let origin = Origin::obedient();
    let daemon = Daemon::start(format!(
        "{THREADS}{DEFAULTS}\
         listen web\nbind {{bind.web}}\nmaxconn 5\nserver one {}\n",
        origin.address()
    ));
    let mut idle: Vec<Wire> = (0..5)
        .map(|key| {
            let mut wire = open(&daemon, &Ask::get(key, 100));
            assert!(Ask::get(key, 100).receive(&mut wire).whole().keeps);
            wire
        })
        .collect();
    for key in 10..30 {
        let ask = Ask::get(key, 100);
        let mut sixth = open(&daemon, &ask);
        assert!(sixth.is_silent(Duration::from_millis(20)).expect("no error"));
        drop(idle.remove(0));
        assert!(ask.receive(&mut sixth).whole().from_origin);
        idle.push(sixth);
    }
    // A soft stop ends those that are idle; nobody accepts any more, so what is in the kernel's
    // queue is gone.
    let mut queued = open(&daemon, &Ask::get(40, 100));
    daemon.signal(Signal::USR1);
    for wire in &mut idle {
        assert_eq!(Head::read(wire).expect("an end"), None);
    }
    assert!(!matches!(Head::read(&mut queued), Ok(Some(_))), "nobody accepts any more");
    let mut daemon = daemon;
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.messages());
    origin.check();
}

#[test]
fn signals_reach_every_engine_under_load() {
    let origin = Origin::obedient();
    let mut daemon = Daemon::start(format!(
        "{THREADS}{DEFAULTS}listen web\nbind {{bind.web}}\nserver one {}\n",
        origin.address()
    ));
    let served = AtomicU64::new(0);
    thread::scope(|scope| {
        for client in 0..4_u64 {
            let (served, at) = (&served, daemon.at("web"));
            scope.spawn(move || {
                let mut wire = Wire::connect(at).expect("it listens");
                for key in client << 32.. {
                    let ask = Ask::get(key, 2000);
                    // The last connection to be served is told so.
                    let sent = wire.write_all(ask.head().as_bytes());
                    if sent.is_err() {
                        return;
                    }
                    match ask.receive(&mut wire) {
                        tidegate_tests::daemon::Outcome::Whole(answer) => {
                            assert!(answer.from_origin);
                            served.fetch_add(1, Ordering::Relaxed);
                            if !answer.keeps {
                                return;
                            }
                        }
                        tidegate_tests::daemon::Outcome::Cut { status: None, received: 0 } => {
                            return;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
        for signal in [Signal::HUP, Signal::QUIT, Signal::TTOU, Signal::TTIN, Signal::USR1] {
            let before = served.load(Ordering::Relaxed);
            eventually("traffic goes on", || served.load(Ordering::Relaxed) > before + 50);
            daemon.signal(signal);
        }
    });
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.messages());
    origin.check();
}
