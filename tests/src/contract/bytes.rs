//! Where bytes go: through pipes, in slices, behind a close. P8.

use std::io::IoSlice;

use tidegate_core::poller::{Close, Io, More, Poller, Ready};

use super::{Bench, Harness};

/// P8: bytes pass through a small pipe, in order and to the end, if readiness is used up only by
/// `Blocked` with an empty pipe.
pub async fn splicing_by_the_rules_ends<H: Harness>(mut b: Bench<H>) {
    let incoming = Ready::READ.with(Ready::HUP).with(Ready::ERR);
    let listener = b.listen(0);
    let (source, from) = b.connect_to(listener, 0).await;
    let (to, sink) = b.connect_to(listener, 0).await;
    let pipe = b.net().open_pipe(4_096).expect("a pipe");
    let text: Vec<u8> = (0..H::BULK as u32).map(|i| ((i * 7) >> 3) as u8).collect();
    let (mut sent, mut held, mut got) = (0, 0, Vec::new());
    let (mut ended, mut shut, mut done) = (false, false, false);
    let mut into = vec![0; 30_000];
    while !done {
        let mut moved = false;
        // Small pieces fill a pipe's slots before its bytes.
        let piece = (1 + sent * 31 % 3_000).min(H::BULK - sent);
        if piece > 0 && b.ready(source).has(Ready::WRITE) {
            if let Io::Done(n) = b.send(source, &text[sent..sent + piece]) {
                (sent, moved) = (sent + n, true);
            }
            if sent == H::BULK {
                b.net().shut_write(source);
            }
        }
        if !ended && b.ready(from).any(incoming) {
            match b.splice_in(from, pipe, 262_144, held) {
                Io::Done(n) => (held, moved) = (held + n, true),
                Io::Eof => (ended, moved) = (true, true),
                Io::Blocked => {}
                Io::Failed(fault) => panic!("{fault:?}"),
            }
        }
        if held > 0 && b.ready(to).has(Ready::WRITE) {
            match b.splice_out(pipe, to, held) {
                Io::Done(n) => (held, moved) = (held - n, true),
                Io::Blocked => {}
                other => panic!("{other:?}"),
            }
        }
        if ended && held == 0 && !shut {
            b.net().shut_write(to);
            shut = true;
        }
        if b.ready(sink).any(incoming) {
            match b.recv(sink, &mut into) {
                Io::Done(n) => {
                    got.extend_from_slice(&into[..n]);
                    moved = true;
                }
                Io::Eof => done = true,
                Io::Blocked => {}
                Io::Failed(fault) => panic!("{fault:?}"),
            }
        }
        if !moved && !done {
            b.absorb().await;
        }
    }
    assert!(got == text, "bytes were lost or changed");
    b.net().close_pipe(pipe);
}

/// Vectored sends arrive in order; `More::Yes` only delays.
pub async fn slices_arrive_in_order<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    let text = b"head body end";
    let mut sent = 0;
    while sent < text.len() {
        b.until(near, Ready::WRITE).await;
        let rest = &text[sent..];
        let (first, second) = rest.split_at(rest.len().min(5));
        let slices = [IoSlice::new(first), IoSlice::new(b""), IoSlice::new(second)];
        match b.net().send(near, &slices, More::Yes) {
            Io::Done(n) => sent += n,
            other => assert!(!H::PROMPT && other == Io::Blocked, "{other:?}"),
        }
        b.glance();
    }
    b.send_now(near, b".").await;
    assert_eq!(b.read(far, 14).await, b"head body end.");
}

/// What a socket has taken arrives, and then the end, although the socket is closed.
pub async fn a_close_delivers_what_was_sent<H: Harness>(mut b: Bench<H>) {
    let (near, far) = b.pair().await;
    let block = vec![9; 50_000];
    let mut sent = 0;
    // Many pieces, but not all that fits: a network whose queue is full may lose the end.
    while sent < 2_000_000
        && let Io::Done(n) = b.send(near, &block)
    {
        sent += n;
    }
    b.close(near, Close::Graceful);
    let (got, end) = b.read_to_end(far, 30_000).await;
    assert_eq!((got.len(), end), (sent, Ok(())));
}
