//! The `Poller` contract as tests that any backend can be held to. `tidegate_core::poller` numbers
//! the rules; each test names the ones that it is about. Nothing here knows a backend.

use std::io::IoSlice;

use tidegate_core::fault::Fault;
use tidegate_core::poller::{
    Accepted, Address, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Peer, Poller,
    Ready, Sock, Which,
};

/// Listeners that a harness opens.
pub const LISTENERS: u32 = 2;

/// Two engines on one host. Engine 0 has all listeners, and both ends of every connection.
pub trait Harness {
    /// The backend.
    type Net: Poller;

    /// A host for one test. With `unix`, its listeners are unix sockets.
    fn new(name: &str, unix: bool) -> Self;
    /// The poller of an engine.
    fn engine(&mut self, engine: u32) -> &mut Self::Net;
    /// Where a listener is reached.
    fn address(&self, listener: u32) -> Address;
    /// Where nobody listens.
    fn nobody(&self) -> Address;
    /// Waits until an engine has events or is notified; none if neither will ever come.
    fn wait(&mut self, engine: u32) -> Option<Vec<Event>>;
    /// What is announced by now, without waiting.
    fn glance(&mut self, engine: u32) -> Vec<Event>;
    /// Whether the backend can splice.
    fn has_pipes() -> bool;

    /// The poller of engine 0.
    fn net(&mut self) -> &mut Self::Net {
        self.engine(0)
    }

    /// Waits until `sock` is announced for something of `ready`, and returns all that was announced
    /// for it until then.
    fn await_ready(&mut self, sock: Sock, ready: Ready) -> Ready {
        let mut all = Ready::NONE;
        while !all.any(ready) {
            let events = self.wait(0).unwrap_or_else(|| panic!("{ready:?} never came: {all:?}"));
            for event in events.iter().filter(|event| event.sock == sock) {
                all.set(event.ready);
            }
        }
        all
    }
}

/// A connected pair: who connected, and who was accepted.
pub fn pair(host: &mut impl Harness) -> (Sock, Sock) {
    let listener = host.net().listen(&ListenSpec { listener: 0 }).expect("a listener");
    let near = connect(host, 0);
    let far = accept(host, listener);
    host.await_ready(near, Ready::WRITE);
    assert_eq!(host.net().connect_status(near), Connecting::Done);
    host.net().close(listener, Close::Graceful);
    (near, far)
}

fn connect(host: &mut impl Harness, listener: u32) -> Sock {
    let to = host.address(listener);
    let spec = ConnectSpec { to: &to, from: None, options: &[] };
    host.net().connect(&spec).expect("a connection")
}

fn accept(host: &mut impl Harness, listener: Sock) -> Sock {
    loop {
        match host.net().accept(listener) {
            Accepted::One { sock, .. } => return sock,
            Accepted::Blocked => drop(host.await_ready(listener, Ready::READ)),
            Accepted::Failed(fault) => panic!("accept failed: {fault:?}"),
        }
    }
}

/// Sends all of `bytes`, which fit.
pub fn send_all(host: &mut impl Harness, sock: Sock, bytes: &[u8]) {
    let sent = host.net().send(sock, &[IoSlice::new(bytes)], More::No);
    assert_eq!(sent, Io::Done(bytes.len()));
}

/// Receives until nothing is left, waiting for the first bytes.
fn recv_some(host: &mut impl Harness, sock: Sock) -> Vec<u8> {
    let mut into = [0; 4096];
    let mut all = Vec::new();
    loop {
        match host.net().recv(sock, &mut into) {
            Io::Done(n) => all.extend_from_slice(&into[..n]),
            Io::Blocked if all.is_empty() => drop(host.await_ready(sock, Ready::READ)),
            Io::Blocked => return all,
            other => panic!("{other:?} after {} bytes", all.len()),
        }
    }
}

/// P1, P10: an accepted socket works at once, unannounced; a connecting one is announced.
pub fn accepted_is_ready_and_connecting_is_not<H: Harness>(unix: bool) {
    let mut host = H::new("accepted", unix);
    let listener = host.net().listen(&ListenSpec { listener: 0 }).expect("a listener");
    assert_eq!(host.net().accept(listener), Accepted::Blocked);

    let near = connect(&mut host, 0);
    host.await_ready(near, Ready::WRITE);
    assert_eq!(host.net().connect_status(near), Connecting::Done);
    send_all(&mut host, near, b"early");
    let far = accept(&mut host, listener);
    let mut into = [0; 16];
    assert_eq!(host.net().recv(far, &mut into), Io::Done(5));
    send_all(&mut host, far, b"answer");
    assert_eq!(host.net().recv(far, &mut into), Io::Blocked);
    assert_eq!(recv_some(&mut host, near), b"answer");
    assert_eq!(host.net().accept(listener), Accepted::Blocked);
}

/// P1: `more` never counts too few.
pub fn accept_counts_the_queue<H: Harness>(unix: bool) {
    let mut host = H::new("queue", unix);
    let listener = host.net().listen(&ListenSpec { listener: 0 }).expect("a listener");
    for round in 0..2 {
        for _ in 0..3 {
            let near = connect(&mut host, 0);
            host.await_ready(near, Ready::WRITE);
        }
        for left in [2, 1, 0] {
            match host.net().accept(listener) {
                Accepted::One { more: None, .. } => {}
                Accepted::One { more: Some(more), .. } => assert_eq!(more, left, "round {round}"),
                other => panic!("{other:?} with {} in the queue", left + 1),
            }
        }
        assert_eq!(host.net().accept(listener), Accepted::Blocked);
    }
}

/// P2: after a short receive, new bytes are announced; after a blocked send, room is.
pub fn every_change_to_ready_is_announced<H: Harness>(unix: bool) {
    let mut host = H::new("edges", unix);
    let (near, far) = pair(&mut host);
    let mut into = [0; 64];
    for text in ["one", "two", "three"] {
        send_all(&mut host, near, text.as_bytes());
        host.await_ready(far, Ready::READ);
        assert_eq!(host.net().recv(far, &mut into), Io::Done(text.len()));
    }

    let block = vec![7; 65_536];
    let mut sent = 0;
    let blocked = loop {
        match host.net().send(near, &[IoSlice::new(&block)], More::No) {
            Io::Done(n) => sent += n,
            Io::Blocked => break sent,
            other => panic!("{other:?}"),
        }
    };
    assert!(host.glance(0).iter().all(|e| e.sock != near || !e.ready.has(Ready::WRITE)));
    let mut received = 0;
    while received < blocked {
        received += recv_some(&mut host, far).len();
    }
    host.await_ready(near, Ready::WRITE);
    send_all(&mut host, near, b"room");
    assert_eq!(recv_some(&mut host, far), b"room");
}

/// P3: data and an end that arrive together are announced as a hang-up, and both are there.
pub fn an_end_behind_data_is_announced<H: Harness>(unix: bool) {
    let mut host = H::new("end", unix);
    let (near, far) = pair(&mut host);
    host.glance(0);
    send_all(&mut host, near, b"last words");
    host.net().shut_write(near);
    let ready = host.await_ready(far, Ready::HUP);
    assert!(ready.has(Ready::READ.with(Ready::HUP)), "{ready:?}");
    let mut into = [0; 64];
    assert_eq!(host.net().recv(far, &mut into), Io::Done(10));
    for _ in 0..2 {
        assert_eq!(host.net().recv(far, &mut into), Io::Eof);
    }
    // The other direction goes on.
    send_all(&mut host, far, b"good bye");
    assert_eq!(recv_some(&mut host, near), b"good bye");
}

/// P3, P6: a reset is announced, fails both directions, and stays.
pub fn a_reset_is_final<H: Harness>(unix: bool) {
    let mut host = H::new("reset", unix);
    let (near, far) = pair(&mut host);
    send_all(&mut host, far, b"never read");
    host.await_ready(near, Ready::READ);
    host.net().close(near, Close::Reset);
    let ready = host.await_ready(far, Ready::ERR.with(Ready::HUP));
    assert!(ready.any(Ready::READ.with(Ready::ERR)), "{ready:?}");
    let mut into = [0; 64];
    assert!(matches!(host.net().recv(far, &mut into), Io::Failed(Fault::Reset)));
    for _ in 0..2 {
        assert!(matches!(host.net().recv(far, &mut into), Io::Failed(_) | Io::Eof));
        let sent = host.net().send(far, &[IoSlice::new(b"x")], More::No);
        assert!(matches!(sent, Io::Failed(_)), "{sent:?}");
    }
}

/// P6: a refused connection says so, at once or when announced, and again when asked again.
pub fn a_refused_connection_fails_for_good<H: Harness>(unix: bool) {
    let mut host = H::new("refused", unix);
    let to = host.nobody();
    let spec = ConnectSpec { to: &to, from: None, options: &[] };
    let sock = match host.net().connect(&spec) {
        Err(fault) => return assert_eq!(fault, Fault::Refused),
        Ok(sock) => sock,
    };
    host.await_ready(sock, Ready::WRITE.with(Ready::ERR));
    for _ in 0..2 {
        assert_eq!(host.net().connect_status(sock), Connecting::Failed(Fault::Refused));
    }
    let mut into = [0; 16];
    assert!(matches!(host.net().recv(sock, &mut into), Io::Failed(_) | Io::Eof));
    assert!(matches!(host.net().send(sock, &[IoSlice::new(b"x")], More::No), Io::Failed(_)));
    host.net().close(sock, Close::Graceful);
}

/// P5: a closed socket's handle does nothing, and the socket in its place does not answer to it.
pub fn a_stale_handle_does_nothing<H: Harness>(unix: bool) {
    let mut host = H::new("handles", unix);
    let (near, far) = pair(&mut host);
    send_all(&mut host, near, b"unread");
    host.net().close(far, Close::Graceful);
    let mut into = [0; 16];
    for _ in 0..2 {
        assert!(matches!(host.net().recv(far, &mut into), Io::Failed(_)));
        let sent = host.net().send(far, &[IoSlice::new(b"x")], More::No);
        assert!(matches!(sent, Io::Failed(_)), "{sent:?}");
        host.net().shut_write(far);
        host.net().close(far, Close::Reset);
        assert_eq!(host.net().detach(far), None);
        assert_eq!(host.net().address(far, Which::Local), None);
    }
    let listener = host.net().listen(&ListenSpec { listener: 1 }).expect("a listener");
    let (near, other) = (connect(&mut host, 1), accept(&mut host, listener));
    assert_ne!(other, far);
    host.net().close(far, Close::Reset);
    host.await_ready(near, Ready::WRITE);
    send_all(&mut host, near, b"alive");
    assert_eq!(recv_some(&mut host, other), b"alive");
}

/// P7: receiving into nothing is our own mistake.
pub fn receiving_into_nothing_panics<H: Harness>(unix: bool) {
    let mut host = H::new("nothing", unix);
    let (near, _far) = pair(&mut host);
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = host.net().recv(near, &mut []);
    }));
    assert!(asked.is_err());
}

/// P8: bytes pass through a pipe in order, whatever each step moves.
pub fn splicing_loses_nothing<H: Harness>(unix: bool) {
    if !H::has_pipes() {
        return;
    }
    let mut host = H::new("splice", unix);
    let (near, far) = pair(&mut host);
    let pipe = host.net().open_pipe(262_144).expect("a pipe");
    let text: Vec<u8> = (0..1_000_000_u32).map(|i| ((i * 7) >> 3) as u8).collect();
    let (mut sent, mut held, mut back) = (0, 0, Vec::new());
    let mut ended = false;
    while back.len() < text.len() {
        let mut moved = false;
        if sent < text.len() {
            match host.net().send(near, &[IoSlice::new(&text[sent..])], More::No) {
                Io::Done(n) => (sent, moved) = (sent + n, true),
                Io::Blocked => {}
                other => panic!("{other:?}"),
            }
            if sent == text.len() {
                host.net().shut_write(near);
            }
        }
        match host.net().splice_in(far, pipe, 262_144) {
            Io::Done(n) => (held, moved) = (held + n, true),
            Io::Blocked => {}
            Io::Eof => ended = true,
            other => panic!("{other:?}"),
        }
        if held > 0 {
            match host.net().splice_out(pipe, far, held, More::No) {
                Io::Done(n) => (held, moved) = (held - n, true),
                Io::Blocked => {}
                other => panic!("{other:?}"),
            }
        }
        let mut into = [0; 65_536];
        match host.net().recv(near, &mut into) {
            Io::Done(n) => {
                back.extend_from_slice(&into[..n]);
                moved = true;
            }
            Io::Blocked => {}
            other => panic!("{other:?}"),
        }
        if !moved && back.len() < text.len() {
            host.wait(0).expect("somebody can go on");
        }
    }
    assert!(back == text, "bytes were lost or changed");
    assert!(ended || host.net().splice_in(far, pipe, 1) == Io::Eof);
    host.net().close_pipe(pipe);
}

/// Vectored sends arrive in order; `More::Yes` only delays.
pub fn slices_arrive_in_order<H: Harness>(unix: bool) {
    let mut host = H::new("slices", unix);
    let (near, far) = pair(&mut host);
    let slices = [IoSlice::new(b"head "), IoSlice::new(b""), IoSlice::new(b"body ")];
    assert_eq!(host.net().send(near, &slices, More::Yes), Io::Done(10));
    send_all(&mut host, near, b"end");
    let mut all = Vec::new();
    while all.len() < 13 {
        all.extend(recv_some(&mut host, far));
    }
    assert_eq!(all, b"head body end");
}

/// Both ends agree on their addresses.
pub fn addresses_agree<H: Harness>(unix: bool) {
    let mut host = H::new("names", unix);
    let (near, far) = pair(&mut host);
    let mut of = |sock, which| host.net().address(sock, which);
    assert_eq!(of(near, Which::Peer), of(far, Which::Local));
    assert_eq!(of(near, Which::Local), of(far, Which::Peer));
    match of(near, Which::Peer) {
        Some(Peer::Inet(at)) => assert_eq!(host.address(0), Address::Inet(at)),
        Some(Peer::Unix) => assert!(unix),
        None => panic!("no address"),
    }
}

/// A socket that one engine detaches works on another, bytes and all; a parcel opens once.
pub fn a_socket_moves_to_another_engine<H: Harness>(unix: bool) {
    let mut host = H::new("parcel", unix);
    let (near, far) = pair(&mut host);
    send_all(&mut host, near, b"on the way");
    let parcel = host.net().detach(far).expect("a parcel");
    assert_eq!(host.net().detach(far), None);
    let moved = host.engine(1).adopt(parcel).expect("the socket");
    assert_eq!(host.engine(1).adopt(parcel), None);
    let mut into = [0; 64];
    assert_eq!(host.engine(1).recv(moved, &mut into), Io::Done(10));

    send_all(&mut host, near, b"more");
    let announced = |events: Vec<Event>| {
        events.iter().any(|event| event.sock == moved && event.ready.has(Ready::READ))
    };
    while !announced(host.wait(1).expect("it is announced where it lives")) {}
    assert_eq!(host.engine(1).recv(moved, &mut into), Io::Done(4));
    host.engine(1).close(moved, Close::Graceful);
    host.await_ready(near, Ready::HUP);
}

/// A notified engine wakes, also if it was notified before it waited.
pub fn a_notified_engine_wakes<H: Harness>(unix: bool) {
    let mut host = H::new("notify", unix);
    for _ in 0..2 {
        host.net().notify(1);
        assert_eq!(host.wait(1), Some(Vec::new()));
        host.net().notify(0);
        assert_eq!(host.wait(0), Some(Vec::new()));
    }
}

/// The tests of the contract for one harness, over TCP and over unix sockets.
#[macro_export]
macro_rules! contract_tests {
    ($harness:ident) => {
        mod tcp {
            $crate::contract_tests!(@each $harness, false);
        }
        mod unix {
            $crate::contract_tests!(@each $harness, true);
        }
    };
    (@each $harness:ident, $unix:expr) => {
        $crate::contract_tests!(@one $harness, $unix,
            accepted_is_ready_and_connecting_is_not
            accept_counts_the_queue
            every_change_to_ready_is_announced
            an_end_behind_data_is_announced
            a_reset_is_final
            a_refused_connection_fails_for_good
            a_stale_handle_does_nothing
            receiving_into_nothing_panics
            splicing_loses_nothing
            slices_arrive_in_order
            addresses_agree
            a_socket_moves_to_another_engine
            a_notified_engine_wakes
        );
    };
    (@one $harness:ident, $unix:expr, $($test:ident)*) => {
        $(#[test]
        fn $test() {
            $crate::contract::$test::<super::$harness>($unix);
        })*
    };
}
