//! What a handle is good for, and for how long: P5–P7, and the way to another engine.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Address, Close, ConnectSpec, Connecting, Io, More, Peer, Poller, Ready, Sock, Which,
};

use super::{Bench, Harness};

/// Calls something; none if it panics. The core owes it to a backend to use no stale handle, so one
/// that is strict may say so aloud.
fn attempt<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// P5: a closed socket's handle does nothing, and the socket in its place does not answer to it.
pub async fn a_stale_handle_does_nothing<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    b.send_now(near, b"unread").await;
    b.host.settle().await;
    b.close(far, Close::Graceful);
    abuse(&mut b, far);
    let listener = b.listen(1);
    let (near, other) = b.connect_to(listener, 1).await;
    assert_ne!(other, far);
    abuse(&mut b, far);
    b.send_now(near, b"alive").await;
    assert_eq!(b.read(other, 5).await, b"alive");
    b.send_now(other, b"and well").await;
    assert_eq!(b.read(near, 8).await, b"and well");
}

fn abuse<H: Harness>(b: &mut Bench<H>, stale: Sock) {
    for _ in 0..2 {
        // More than once, since a backend may answer `Blocked` at any time.
        let io = (0..20)
            .map(|_| attempt(|| b.net().recv(stale, &mut [0; 16])))
            .find(|io| *io != Some(Io::Blocked));
        assert!(matches!(io, Some(None | Some(Io::Failed(_)))), "{io:?}");
        let io = (0..20)
            .map(|_| attempt(|| b.net().send(stale, &[IoSlice::new(b"x")], More::No)))
            .find(|io| *io != Some(Io::Blocked));
        assert!(matches!(io, Some(None | Some(Io::Failed(_)))), "{io:?}");
        let _ = attempt(|| b.net().shut_write(stale));
        let _ = attempt(|| b.net().close(stale, Close::Reset));
        assert!(matches!(attempt(|| b.net().detach(stale)), None | Some(None)));
        assert!(matches!(attempt(|| b.net().address(stale, Which::Local)), None | Some(None)));
    }
}

/// P5: every socket has a handle of its own, so that an event on its way to one that was closed is
/// never another's.
pub async fn no_handle_comes_twice<H: Harness>(mut b: Bench<H>) {
    let listener = b.listen(0);
    let mut seen = BTreeSet::new();
    let (mut before, mut known) = (Sock::NONE, 0);
    for _ in 0..40 {
        let (near, far) = b.connect_to(listener, 0).await;
        for sock in [near, far] {
            assert!(seen.insert((sock.index, sock.generation)), "{sock:?} was there before");
            known = known.max(sock.index);
        }
        // An event of `far` is on its way when it is closed.
        b.send_now(near, b"never read").await;
        b.host.settle().await;
        if !before.is_none() {
            b.close(before, Close::Graceful);
        }
        b.close(far, Close::Reset);
        before = near;
    }
    assert!(known < 20, "places are not used again: {known}");
}

/// P6: an end stays one, and is no end of the other direction.
pub async fn an_end_is_final<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    b.net().shut_write(near);
    assert_eq!(b.read_to_end(far, 64).await, (vec![], Ok(())));
    for n in 0..3 {
        b.send_now(far, &[n]).await;
        assert_eq!(b.read(near, 1).await, [n]);
        let io = b.net().recv(far, &mut [0; 64]);
        assert!(io == Io::Eof || (!H::PROMPT && io == Io::Blocked), "{io:?}");
    }
}

/// P6: a reset is announced, fails both directions, and stays.
pub async fn a_reset_is_final<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    b.send_now(far, b"never read").await;
    b.until(near, Ready::READ).await;
    assert!(b.is_silent(far));
    b.close(near, Close::Reset);
    let ready = b.until(far, Ready::ERR.with(Ready::HUP)).await;
    assert!(ready.any(Ready::READ.with(Ready::ERR)), "{ready:?}");
    assert_eq!(b.read_to_end(far, 64).await, (vec![], Err(Fault::Reset)));
    let mut failed = [0; 2];
    for _ in 0..20 {
        match b.net().recv(far, &mut [0; 64]) {
            Io::Failed(_) | Io::Eof => failed[0] += 1,
            other => assert!(!H::PROMPT && other == Io::Blocked, "{other:?}"),
        }
        match b.net().send(far, &[IoSlice::new(b"x")], More::No) {
            Io::Failed(_) => failed[1] += 1,
            other => assert!(!H::PROMPT && other == Io::Blocked, "{other:?}"),
        }
    }
    assert!(failed[0] > 2 && failed[1] > 2, "{failed:?}");
}

/// P13: a peer is told nothing, or that the connection was reset; never that it was over.
pub async fn a_dropped_socket_does_not_end<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    let inet = b.net().address(near, Which::Peer).is_some_and(|peer| peer != Peer::Unix);
    b.send_now(far, b"unread").await;
    b.until(near, Ready::READ).await;
    b.close(near, Close::Drop);
    b.host.settle().await;
    match b.net().recv(far, &mut [0; 64]) {
        Io::Blocked | Io::Failed(Fault::Reset) => {}
        // A unix socket knows no resets.
        Io::Eof => assert!(!inet, "the peer thinks that it was told all"),
        other => panic!("{other:?}"),
    }
}

/// P13: a peer is told nothing, whatever was left unread.
pub async fn a_dropped_socket_says_nothing<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    b.send_now(far, b"unread").await;
    b.until(near, Ready::READ).await;
    b.close(near, Close::Drop);
    b.host.settle().await;
    assert!(b.is_silent(far));
    b.send_now(far, b"anyone?").await;
    assert_eq!(b.read_to_end(far, 64).await, (vec![], Err(Fault::Reset)));
}

/// P6: a refused connection says so, at once or when announced, and again when asked again.
pub async fn a_refused_connection_fails_for_good<H: Harness>(mut b: Bench<H>) {
    let to = b.host.nobody();
    let spec = ConnectSpec { to: &to, from: None, options: &[] };
    let sock = loop {
        match b.net().connect(&spec) {
            Ok(sock) => break sock,
            Err(Fault::Refused) => return,
            Err(fault) => assert!(!H::PROMPT, "{fault:?}"),
        }
    };
    b.until(sock, Ready::WRITE.with(Ready::ERR)).await;
    for _ in 0..2 {
        assert_eq!(b.net().connect_status(sock), Connecting::Failed(Fault::Refused));
    }
    let io = b.net().recv(sock, &mut [0; 16]);
    assert!(matches!(io, Io::Failed(_) | Io::Eof) || (!H::PROMPT && io == Io::Blocked), "{io:?}");
    let io = b.net().send(sock, &[IoSlice::new(b"x")], More::No);
    assert!(matches!(io, Io::Failed(_)) || (!H::PROMPT && io == Io::Blocked), "{io:?}");
    b.close(sock, Close::Graceful);
}

/// P7: receiving into nothing is our own mistake.
pub async fn receiving_into_nothing_panics<H: Harness>(mut b: Bench<H>) {
    let (near, _far) = b.pair().await;
    // A backend that answers `Blocked` for no reason may do so before it looks.
    let calls: Vec<_> = (0..20).map(|_| attempt(|| b.net().recv(near, &mut []))).collect();
    assert!(calls.iter().any(Option::is_none), "{calls:?}");
    assert!(calls.iter().all(|io| matches!(io, None | Some(Io::Blocked))), "{calls:?}");
}

/// P7: and so is sending nothing.
pub async fn sending_nothing_panics<H: Harness>(mut b: Bench<H>) {
    let (near, _far) = b.pair().await;
    let nothing = [IoSlice::new(b""), IoSlice::new(b"")];
    let calls: Vec<_> =
        (0..20).map(|_| attempt(|| b.net().send(near, &nothing, More::No))).collect();
    assert!(calls.iter().any(Option::is_none), "{calls:?}");
    assert!(calls.iter().all(|io| matches!(io, None | Some(Io::Blocked))), "{calls:?}");
}

/// Both ends agree on their addresses.
pub async fn addresses_agree<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    let mut of = |sock, which| b.net().address(sock, which).expect("an address");
    let names = [of(near, Which::Local), of(near, Which::Peer)];
    assert_eq!([of(far, Which::Peer), of(far, Which::Local)], names);
    match b.host.address(0) {
        Address::Inet(at) => assert_eq!(names[1], Peer::Inet(at)),
        _ => assert_eq!(names, [Peer::Unix; 2]),
    }
}

/// A socket that one engine detaches works on another, bytes and all; a parcel opens once.
pub async fn a_socket_moves_to_another_engine<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    b.send_now(near, b"on the way").await;
    b.host.settle().await;
    let parcel = b.net().detach(far).expect("a parcel");
    assert!(matches!(attempt(|| b.net().detach(far)), None | Some(None)));
    let moved = b.host.engine(1).adopt(parcel).expect("the socket");
    assert_eq!(b.host.engine(1).adopt(parcel), None);

    // Whoever adopts a socket assumes it ready.
    let mut known = Ready::READ;
    for text in [&b"on the way"[..], b"and some more"] {
        let mut all = Vec::new();
        while all.len() < text.len() {
            while !known.has(Ready::READ) {
                let events = b.host.wait(1).await.expect("it is announced where it lives");
                events.iter().filter(|event| event.sock == moved).for_each(|e| known.set(e.ready));
            }
            let mut into = [0; 64];
            match b.host.engine(1).recv(moved, &mut into) {
                Io::Done(n) => all.extend_from_slice(&into[..n]),
                Io::Blocked => {}
                other => panic!("{other:?}"),
            }
            known.clear(Ready::READ);
        }
        assert_eq!(all, text);
        if text == b"on the way" {
            b.send_now(near, b"and some more").await;
        }
    }
    b.host.engine(1).close(moved, Close::Graceful);
    assert_eq!(b.read_to_end(near, 64).await, (vec![], Ok(())));
}

/// A notified engine wakes, also if it was notified before it waited.
pub async fn a_notified_engine_wakes<H: Harness>(mut b: Bench<H>) {
    for _ in 0..2 {
        b.net().notify(1);
        assert_eq!(b.host.wait(1).await, Some(Vec::new()));
        b.net().notify(0);
        assert_eq!(b.host.wait(0).await, Some(Vec::new()));
    }
}
