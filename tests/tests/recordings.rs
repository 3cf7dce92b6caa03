//! `--record`: each engine of the real daemon, recorded under load, runs again without a network
//! and ends in the same digest.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;
use tidegate_sim::record::replay::{Step, replay};
use tidegate_sim::record::{Finish, Report, Verdict};
use tidegate_tests::daemon::process::Launch;
use tidegate_tests::daemon::{Ask, At, Daemon, Origin, Outcome, Sent, Wire, eventually};

/// Two engines, queues before both servers, every kind of listener, a TCP mode that splices, and
/// logs. `{server}` is the origin, `{log}` a socket of ours.
const CONFIG: &str = "global\n\
     nbthread 2\n\
     maxconn 200\n\
     log {log} local0\n\
     defaults\n\
     mode http\n\
     log global\n\
     option httplog\n\
     timeout connect 20s\n\
     timeout queue 20s\n\
     timeout client 20s\n\
     timeout server 20s\n\
     frontend web\n\
     bind {bind.web}\n\
     bind unix@{dir}/web.sock\n\
     maxconn 20\n\
     default_backend servers\n\
     backend servers\n\
     balance leastconn\n\
     option abortonclose\n\
     option redispatch\n\
     server one {server} maxconn 3\n\
     server two {server} maxconn 2\n\
     listen bytes\n\
     mode tcp\n\
     option tcplog\n\
     option splice-auto\n\
     bind {bind.bytes}\n\
     server one {server}\n";

struct Stage {
    origin: Origin,
    log: UdpSocket,
    daemon: Daemon,
}

fn stage(arguments: &[&str]) -> Stage {
    let origin = Origin::obedient();
    let log = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    log.set_nonblocking(true).expect("a socket");
    let config = CONFIG
        .replace("{log}", &log.local_addr().expect("bound").to_string())
        .replace("{server}", &origin.address().to_string());
    let launch = Launch::new(config).listens_at("web.sock").arguments(arguments);
    Stage { origin, log, daemon: launch.start() }
}

impl Stage {
    fn places(&self) -> [At; 2] {
        [self.daemon.at("web"), self.daemon.unix("web.sock")]
    }

    /// Clients of all kinds until `enough` says so; returns how many requests were answered whole.
    fn load(&self, clients: u64, enough: impl Fn(u64) -> bool + Sync) -> u64 {
        let answered = AtomicU64::new(0);
        thread::scope(|scope| {
            for client in 0..clients {
                let (at, bytes) = (&self.places()[client as usize % 2], self.daemon.at("bytes"));
                let at = if client % 5 == 4 { bytes } else { at.clone() };
                let (answered, enough) = (&answered, &enough);
                scope.spawn(move || {
                    let mut spare = None;
                    for n in 0.. {
                        if enough(answered.load(Ordering::Relaxed)) {
                            return;
                        }
                        let Ok(wire) = spare.take().map_or_else(|| Wire::connect(at.clone()), Ok)
                        else {
                            continue;
                        };
                        let (kept, whole) = request(wire, client << 32 | n, n);
                        answered.fetch_add(u64::from(whole), Ordering::Relaxed);
                        spare = kept;
                    }
                });
            }
        });
        answered.into_inner()
    }

    /// The recordings, by engine.
    fn recordings(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let dir = fs::read_dir(self.daemon.dir().join("recordings")).expect("a directory");
        let mut paths: Vec<PathBuf> = dir.map(|entry| entry.expect("a file").path()).collect();
        paths.sort();
        paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("ours"))).collect()
    }

    fn replayed(&self) -> Vec<Report> {
        let recordings = self.recordings();
        assert_eq!(recordings.len(), 2);
        let reports: Vec<Report> = recordings
            .into_iter()
            .map(|(path, bytes)| match replay(bytes, None) {
                Ok(report) => report,
                Err(why) => panic!("{}: {why}", path.display()),
            })
            .collect();
        for (id, report) in reports.iter().enumerate() {
            assert_eq!((report.boot.engine as usize, report.boot.engines), (id, 2));
            assert_eq!(report.boot.pid, self.daemon.pid());
        }
        reports
    }
}

/// One request, on a connection that may be given back, and whether it was answered whole.
fn request(mut wire: Wire, key: u64, n: u64) -> (Option<Wire>, bool) {
    let ask = match n % 7 {
        0 | 1 => Ask::get(key, n % 3000),
        2 => Ask::post(key, Sent::Length(n % 20_000), 700),
        3 => Ask::post(key, Sent::Chunked(n % 9_000, 1000), n % 40_000),
        4 => Ask { keep: false, ..Ask::get(key, 100) },
        5 => Ask { target: "/1/keep/chunked/30000".into(), ..Ask::get(key, 30_000) },
        _ => Ask::get(key, 100_000),
    };
    match n % 23 {
        // In the middle of the head, or of the answer, or as soon as it is asked.
        7 => drop(wire.write_all(&ask.head().as_bytes()[..20])),
        11 => {
            let _ = ask.send(&mut wire);
            let _ = wire.fill().map(<[u8]>::len);
            wire.reset();
        }
        15 => {
            let _ = ask.send(&mut wire);
            wire.reset();
        }
        _ => {
            return match ask.exchange(&mut wire) {
                Outcome::Whole(answer) => (answer.keeps.then_some(wire), true),
                Outcome::Cut { .. } => (None, false),
                other => panic!("{other:?}"),
            };
        }
    }
    (None, false)
}

/// What engines did, in words.
#[derive(Default)]
struct Steps(Arc<Mutex<Vec<String>>>);

impl Steps {
    fn add(&mut self, recording: Vec<u8>) {
        let steps = Arc::clone(&self.0);
        let trace = move |step: Step| steps.lock().expect("no panic with it").push(step.text);
        replay(recording, Some(Box::new(trace))).expect("a recording");
    }

    fn with(&self, part: &str) -> usize {
        let steps = self.0.lock().expect("no panic with it");
        steps.iter().filter(|step| step.contains(part)).count()
    }
}

const RECORD: [&str; 2] = ["--record", "{dir}/recordings"];

#[test]
fn engines_that_were_under_load_together_are_replayed_alone() {
    let mut stage = stage(&RECORD);
    let answered = stage.load(15, |answered| answered >= 3_000);
    stage.daemon.signal(Signal::HUP);
    stage.daemon.signal(Signal::QUIT);
    // Idle connections, and somebody who waits for the answer, see the soft stop.
    let mut idle: Vec<Wire> =
        (0..4).map(|_| Wire::connect(stage.daemon.at("web")).expect("it listens")).collect();
    for (n, wire) in idle.iter_mut().enumerate() {
        assert!(Ask::get(n as u64, 10).exchange(wire).whole().keeps);
    }
    stage.daemon.signal(Signal::USR1);
    assert_eq!(stage.daemon.ended().code(), Some(0), "{}", stage.daemon.messages());
    stage.origin.check();
    assert!(stage.daemon.messages().contains("traffic in clear"));

    let reports = stage.replayed();
    for report in &reports {
        assert_eq!(report.verdict, Verdict::Same(Finish::Done), "{report}");
        assert!(report.calls > 3_000, "{report}");
    }
    assert_ne!(reports[0].digest, reports[1].digest);
    // What engines tell each other, and what leaves the kernel only as a number, was part of it.
    let mut steps = Steps::default();
    for (_, bytes) in stage.recordings() {
        steps.add(bytes);
    }
    for kind in
        ["Waiting", "Granted { session", "shared Cancel", "Adopt(Parcel", "detach #", "splice_in #"]
    {
        assert!(steps.with(kind) > 0, "no {kind} in {} steps", steps.with(""));
    }
    assert!(answered >= 3_000);
}

#[test]
fn a_recording_of_a_killed_process_is_good_up_to_there() {
    let mut stage = stage(&RECORD);
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        let (stage, done) = (&stage, &done);
        scope.spawn(move || stage.load(8, |_| done.load(Ordering::Relaxed) > 0));
        let size = || stage.recordings().iter().map(|(_, bytes)| bytes.len()).min();
        eventually("a recording of some size", || size() > Some(500_000));
        stage.daemon.signal(Signal::TERM);
        done.store(1, Ordering::Relaxed);
    });
    assert!(!stage.daemon.ended().success());
    for report in stage.replayed() {
        assert!(matches!(report.verdict, Verdict::CutShort { .. }), "{report}");
        assert!(report.is_same() && report.calls > 500, "{report}");
    }
}

#[test]
fn a_recording_ends_at_its_limit_and_the_proxy_goes_on() {
    let limit = 300_000;
    let mut stage = stage(&[&RECORD[..], &["--record-limit", "300000"]].concat());
    let said = |stage: &Stage| {
        let messages = stage.daemon.messages();
        messages.lines().filter(|line| line.contains("Recording of engine")).count()
    };
    assert_eq!(said(&stage), 0);
    stage.load(10, |_| said(&stage) == 2);
    assert!(stage.load(10, |answered| answered >= 200) >= 200);
    for (path, bytes) in stage.recordings() {
        assert!(bytes.len() <= limit, "{} bytes in {}", bytes.len(), path.display());
        let mode = fs::metadata(&path).expect("ours").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let dir = fs::metadata(stage.daemon.dir().join("recordings")).expect("ours");
    assert_eq!(dir.permissions().mode() & 0o777, 0o700);
    for report in stage.replayed() {
        assert_eq!(report.verdict, Verdict::Same(Finish::Limit), "{report}");
        assert!(report.turns > 10, "{report}");
    }
    // Once for each engine.
    assert_eq!(said(&stage), 2, "{}", stage.daemon.messages());
    assert!(stage.daemon.messages().contains("the proxy goes on: its limit of 300000 bytes"));
    stage.daemon.signal(Signal::USR1);
    assert_eq!(stage.daemon.ended().code(), Some(0), "{}", stage.daemon.messages());
    stage.origin.check();
}

#[test]
fn the_end_of_a_recording_is_in_the_log() {
    let mut stage = stage(&[&RECORD[..], &["--record-limit", "20k"]].concat());
    let mut logged = String::new();
    let mut line = [0; 2048];
    eventually("two ends in the log", || {
        let mut wire = Wire::connect(stage.daemon.at("web")).expect("it listens");
        assert!(Ask { keep: false, ..Ask::get(1, 10) }.exchange(&mut wire).whole().from_origin);
        while let Ok(n) = stage.log.recv(&mut line) {
            logged.push_str(&String::from_utf8_lossy(&line[..n]));
        }
        logged.matches("Recording of engine").count() == 2
    });
    assert!(logged.contains("its limit of 20480 bytes is reached."), "{logged}");
    stage.daemon.signal(Signal::USR1);
    assert_eq!(stage.daemon.ended().code(), Some(0), "{}", stage.daemon.messages());
}
