//! Ends at every moment, of either side: nobody hangs, nobody gets what is another's, and what is
//! not whole shows.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tidegate_tests::daemon::content::Checker;
use tidegate_tests::daemon::{Ask, At, Content, Daemon, Head, Origin, Outcome, Sent, Visit, Wire};

use crate::{DEFAULTS, KEPT, warm_up};

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
            // A connection that was kept may be gone when the next request is sent on it. A POST
            // can't be sent twice: the client learns what it would of the server itself.
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
