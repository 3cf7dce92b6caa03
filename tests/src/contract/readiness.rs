//! What is announced, and when a call may say that there is nothing: P1–P4, P9–P12.

use tidegate_core::fault::Fault;
use tidegate_core::poller::{Accepted, Close, ConnectSpec, Connecting, Io, Poller, Ready, Sock};

use super::{Bench, Harness, Scarce, Urgent};

/// P10: an accepted socket works at once, unannounced; a connecting one is announced.
pub async fn accepted_is_ready_and_connecting_is_not<H: Harness>(mut b: Bench<H>) {
    let listener = b.listen(0);
    let near = b.dial(0).await;
    assert!(!b.ready(near).any(Ready::READ.with(Ready::WRITE)));
    let far = b.accept(listener).await;
    b.established(near).await;
    b.send_now(near, b"early").await;
    b.host.settle().await;

    let mut into = [0; 16];
    if H::PROMPT {
        // Not a glance at any event.
        assert_eq!(b.recv(far, &mut into), Io::Done(5));
    } else {
        assert_eq!(b.read(far, 5).await, b"early");
    }
    b.send_now(far, b"answer").await;
    assert!(b.is_silent(far));
    assert_eq!(b.read(near, 6).await, b"answer");
}

/// P1: nothing blocks, whatever there is nothing of.
pub async fn nothing_blocks<H: Harness>(mut b: Bench<H>) {
    let listener = b.listen(0);
    assert!(matches!(b.try_accept(listener), Accepted::Blocked | Accepted::Failed(_)));
    let (near, far) = b.connect_to(listener, 0).await;
    for sock in [near, far] {
        assert!(b.is_silent(sock) && b.is_silent(sock));
    }
    let pipe = b.net().open_pipe(65_536).expect("a pipe");
    assert_eq!(b.net().splice_in(far, pipe, 1_000), Io::Blocked);
    fill(&mut b, near);
    assert!(matches!(b.send(near, b"no room"), Io::Blocked));
    assert!(matches!(b.try_accept(listener), Accepted::Blocked | Accepted::Failed(_)));
    let late = b.dial(0).await;
    assert!(matches!(b.net().connect_status(late), Connecting::Pending | Connecting::Done));
    b.net().close_pipe(pipe);
}

/// Sends until there is no room. Returns how much was sent.
fn fill<H: Harness>(b: &mut Bench<H>, sock: Sock) -> usize {
    let block = vec![7; 65_536];
    let (mut sent, mut blocked) = (0, 0);
    // One `Blocked` may be for no reason.
    while blocked < 20 {
        match b.send(sock, &block) {
            Io::Done(n) => (sent, blocked) = (sent + n, 0),
            Io::Blocked => blocked += if H::PROMPT { 20 } else { 1 },
            other => panic!("{other:?}"),
        }
        assert!(sent < 1 << 30, "a socket takes bytes without end");
    }
    sent
}

/// P1: `more` never counts too few.
pub async fn accept_counts_the_queue<H: Harness>(mut b: Bench<H>) {
    let listener = b.listen(0);
    for round in 0..2 {
        for _ in 0..3 {
            let near = b.dial(0).await;
            b.established(near).await;
        }
        let mut left = 3;
        while left > 0 {
            match b.try_accept(listener) {
                Accepted::One { more, .. } => {
                    left -= 1;
                    assert!(more.is_none_or(|more| more == left), "round {round}: {more:?}");
                }
                other => assert!(!H::PROMPT, "{other:?} with {left} in the queue"),
            }
        }
        assert!(matches!(b.try_accept(listener), Accepted::Blocked | Accepted::Failed(_)));
    }
}

/// P2: after a short receive, new bytes are announced; after a send without room, room is, and no
/// sooner.
pub async fn every_change_to_ready_is_announced<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    for text in ["one", "two", "three"] {
        b.send_now(near, text.as_bytes()).await;
        assert_eq!(b.read(far, text.len()).await, text.as_bytes());
        assert!(b.is_silent(far));
        b.glance();
        if H::PROMPT {
            assert!(b.is_silent(far));
        }
    }

    let mut sent = fill(&mut b, near);
    // What the receiver's side takes by itself makes room, but not without end.
    loop {
        b.host.settle().await;
        b.glance();
        if !b.ready(near).has(Ready::WRITE) {
            break;
        }
        let more = fill(&mut b, near);
        assert!(more > 0 || !H::PROMPT, "room was announced where there is none");
        sent += more;
        if !H::PROMPT {
            break;
        }
    }
    assert_eq!(b.read(far, sent).await.len(), sent);
    b.until(near, Ready::WRITE).await;
    b.send_now(near, b"room").await;
    assert_eq!(b.read(far, 4).await, b"room");
}

/// P3: data and an end that arrive together are both reached, although the receive that takes the
/// data is a short one.
pub async fn an_end_behind_data_is_reached<H: Harness>(mut b: Bench<H>) {
    let listener = b.listen(0);
    for offered in [64, 3] {
        let (near, far) = b.connect_to(listener, 0).await;
        assert!(b.is_silent(far));
        b.send_now(near, b"last words").await;
        b.net().shut_write(near);
        b.host.settle().await;
        assert_eq!(b.read_to_end(far, offered).await, (b"last words".to_vec(), Ok(())));
        // The other direction goes on.
        b.send_now(far, b"good bye").await;
        assert_eq!(b.read(near, 8).await, b"good bye");
    }
}

/// An end is announced although data is in front of it: who waits for nothing else learns of it.
/// (A backend that hands out one segment at a time cannot.)
pub async fn an_end_is_announced_before_it_is_reached<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    b.send_now(near, b"last words").await;
    b.net().shut_write(near);
    let ready = b.until(far, Ready::HUP).await;
    assert!(ready.has(Ready::READ), "{ready:?}");
    assert_eq!(b.read_to_end(far, 64).await, (b"last words".to_vec(), Ok(())));
}

/// P3: a reset is reached, whatever of the data in front of it is lost.
pub async fn a_reset_behind_data_is_reached<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    b.send_now(far, b"never read").await;
    b.until(near, Ready::READ).await;
    b.send_now(near, b"last words").await;
    b.host.settle().await;
    b.close(near, Close::Reset);
    b.host.settle().await;
    let (got, end) = b.read_to_end(far, 64).await;
    assert!(b"last words".starts_with(&got[..]), "{got:?}");
    assert_eq!(end, Err(Fault::Reset));
}

/// P3: who waits for room learns that there will never be any.
pub async fn a_sender_without_room_learns_of_a_reset<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    assert!(b.is_silent(near));
    while fill(&mut b, near) > 0 {
        b.host.settle().await;
        b.glance();
    }
    b.close(far, Close::Reset);
    let failed = loop {
        b.until(near, Ready::WRITE.with(Ready::ERR)).await;
        match b.send(near, b"anyone?") {
            Io::Failed(fault) => break fault,
            Io::Done(_) => panic!("it was reset"),
            _ => {}
        }
    };
    assert!(matches!(failed, Fault::Reset | Fault::BrokenPipe), "{failed:?}");
}

/// P4: what waits in many pieces is announced until the last one is taken, if a receive takes no
/// more than one.
pub async fn pieces_that_wait_are_all_announced<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    assert!(b.is_silent(far));
    let mut all = Vec::new();
    for n in 1..=60_u8 {
        let piece = vec![n; usize::from(n)];
        b.send_now(near, &piece).await;
        all.extend(piece);
        if n % 5 == 0 {
            b.host.settle().await;
        }
    }
    assert!(b.read(far, all.len()).await == all, "bytes were lost or changed");
    assert!(b.is_silent(far));
}

/// P2, P3, P4: bytes pass both ways at once, to their ends, between two who do nothing that no
/// readiness allows.
pub async fn a_transfer_by_the_rules_ends<H: Harness>(mut b: Bench<H>) {
    let text = |n: usize| (n.wrapping_mul(2_654_435_761) >> 13) as u8;
    let socks: [Sock; 2] = b.pair().await.into();
    let mut sent = [0; 2];
    let mut got = [0; 2];
    let mut ended = [false; 2];
    let mut into = vec![0; 100_000];
    let mut round = 0_usize;
    while ended != [true; 2] {
        let mut moved = false;
        for (i, sock) in socks.into_iter().enumerate() {
            round += 1;
            if b.ready(sock).has(Ready::WRITE) && sent[i] < H::BULK {
                let n = (1 + round * 7_919 % 150_000).min(H::BULK - sent[i]);
                let block: Vec<u8> = (sent[i]..sent[i] + n).map(|n| text(n + i)).collect();
                if let Io::Done(n) = b.send(sock, &block) {
                    (sent[i], moved) = (sent[i] + n, true);
                }
                if sent[i] == H::BULK {
                    b.net().shut_write(sock);
                }
            }
            let incoming = Ready::READ.with(Ready::HUP).with(Ready::ERR);
            if b.ready(sock).any(incoming) && !ended[i] {
                let n = 1 + round * 104_729 % into.len();
                match b.recv(sock, &mut into[..n]) {
                    Io::Done(n) => {
                        let at = got[i];
                        let right = into[..n].iter().zip(at..).all(|(b, n)| *b == text(n + 1 - i));
                        assert!(right, "wrong bytes behind {at}");
                        (got[i], moved) = (at + n, true);
                    }
                    Io::Eof => (ended[i], moved) = (true, true),
                    Io::Blocked => {}
                    Io::Failed(fault) => panic!("{fault:?}"),
                }
            }
        }
        if !moved {
            b.absorb().await;
        }
    }
    assert_eq!(got, [H::BULK; 2]);
}

/// P9: events of one harvest may be worked through in any order.
pub async fn the_order_of_events_means_nothing<H: Harness>(mut b: Bench<H>) {
    let listener = b.listen(0);
    let mut pairs = Vec::new();
    for _ in 0..8 {
        pairs.push(b.connect_to(listener, 0).await);
    }
    for backwards in [false, true] {
        for (n, (near, far)) in pairs.iter().enumerate() {
            while !b.is_silent(*far) {}
            b.send_now(*near, format!("for number {n}").as_bytes()).await;
        }
        b.host.settle().await;
        let mut order: Vec<usize> = Vec::new();
        while order.len() < pairs.len() {
            let mut events = b.host.wait(0).await.expect("all are announced");
            if backwards {
                events.reverse();
            }
            for event in &events {
                let of = pairs.iter().position(|(_, far)| *far == event.sock);
                order.extend(of.filter(|n| !order.contains(n) && event.ready.has(Ready::READ)));
            }
            b.take_in(events);
        }
        for n in order {
            let text = format!("for number {n}");
            assert_eq!(b.read(pairs[n].1, text.len()).await, text.as_bytes());
        }
    }
}

/// P11: what a socket is ready for and was not used is still there much later, although nothing is
/// announced again.
pub async fn readiness_that_is_not_used_stays<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    b.send_now(near, b"take your time").await;
    b.until(far, Ready::READ).await;
    for _ in 0..3 {
        b.host.settle().await;
        b.host.glance(0);
    }
    let mut into = [0; 4];
    let mut all = Vec::new();
    while all.len() < 14 {
        // Whole receives only, which use nothing up: no event is needed for the next.
        let n = into.len().min(14 - all.len());
        match b.recv(far, &mut into[..n]) {
            Io::Done(n) => all.extend_from_slice(&into[..n]),
            other => assert!(!H::PROMPT && other == Io::Blocked, "{other:?}"),
        }
    }
    assert_eq!(all, b"take your time");
    // Room was announced when the connection was made, and never used.
    b.send_now(far, b"no hurry").await;
    assert_eq!(b.read(near, 8).await, b"no hurry");
}

/// P11: who accepts one at a time, and not at once, needs one announcement for all.
pub async fn a_queue_that_is_left_alone_stays<H: Harness>(mut b: Bench<H>) {
    let listener = b.listen(0);
    let mut waiting = Vec::new();
    for n in 0..4_u8 {
        let near = b.dial(0).await;
        b.established(near).await;
        b.send_now(near, &[n]).await;
        b.host.settle().await;
        waiting.push(near);
    }
    b.until(listener, Ready::READ).await;
    for n in 0..4 {
        b.host.settle().await;
        b.host.glance(0);
        let far = loop {
            match b.try_accept(listener) {
                Accepted::One { sock, .. } => break sock,
                other => assert!(!H::PROMPT, "{other:?} with {} in the queue", 4 - n),
            }
        };
        assert_eq!(b.read(far, 1).await, [n], "out of turn");
    }
}

/// P11: an accept that failed for want of a descriptor works when one is given back, although
/// nothing is announced; so does a connect.
pub async fn a_starved_listener_goes_on<H: Scarce>(mut b: Bench<H>) {
    let listener = b.listen(0);
    let (first, second) = (b.dial(0).await, b.dial(0).await);
    b.established(first).await;
    b.established(second).await;
    for near in [first, second] {
        b.send_now(near, b"still here").await;
    }
    b.host.settle().await;
    b.host.starve(1);
    let far = b.accept(listener).await;
    b.host.glance(0);
    for _ in 0..2 {
        assert_eq!(b.try_accept(listener), Accepted::Failed(Fault::NoDescriptors));
    }
    let to = b.host.address(0);
    let spec = ConnectSpec { to: &to, from: None, options: &[] };
    assert_eq!(b.net().connect(&spec), Err(Fault::NoDescriptors));
    b.close(far, Close::Graceful);
    let Accepted::One { sock: other, .. } = b.try_accept(listener) else {
        panic!("the second is lost");
    };
    assert_eq!(b.read(other, 10).await, b"still here");
    b.close(other, Close::Graceful);
    assert!(b.net().connect(&spec).is_ok());
}

/// P12: a receive stops short at an urgent mark although more is there; the next one gives the
/// rest, announced or not.
pub async fn a_short_read_at_a_mark_hides_data_and_loses_none<H: Urgent>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    assert!(b.is_silent(far));
    let near = b.host.send_around_mark(near, b"before", b"behind").await;
    let mut into = [0; 64];
    b.until(far, Ready::READ).await;
    assert_eq!(b.recv(far, &mut into), Io::Done(6));
    assert_eq!(&into[..6], b"before");
    assert_eq!(b.recv(far, &mut into), Io::Done(6));
    assert_eq!(&into[..6], b"behind");
    assert!(b.is_silent(far));
    b.net().shut_write(near);
    assert_eq!(b.read_to_end(far, 64).await, (vec![], Ok(())));
}
