//! A TCP session: whatever a client and a server do, what each sends comes to the other in order, a
//! direction that ends ends alone, and a reset ends everything.
//!
//! The model is three facts a side: what it sent, whether it ended, whether it reset. It knows
//! nothing of buffers, turns and events; those are the network's and the engine's to get right.

use std::io::IoSlice;

use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_core::poller::{Accepted, Close, Io, More, Poller, Sock};
use tidegate_sim::memnet::Port;

use crate::rig::{Bench, PROXY, SERVER, World, cases, plain, world};

/// Something that a side (0 is the client, 1 the server) does, or time that passes.
#[derive(Clone, Debug)]
enum Op {
    /// Offers so many bytes; the socket takes what it has room for.
    Send(usize, usize),
    /// Receives once, at most so many bytes.
    Receive(usize, usize),
    /// Ends its direction.
    End(usize),
    /// Resets.
    Reset(usize),
    /// So many microseconds pass.
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let side = 0..2_usize;
    prop_oneof![
        6 => (side.clone(), 1..40_000_usize).prop_map(|(side, n)| Op::Send(side, n)),
        5 => (side.clone(), 1..20_000_usize).prop_map(|(side, n)| Op::Receive(side, n)),
        5 => (0..2_000_u64).prop_map(Op::Pass),
        1 => side.clone().prop_map(Op::End),
        1 => side.prop_map(Op::Reset),
    ]
}

/// What a side did, and what came to it.
#[derive(Default)]
struct Side {
    sock: Option<Sock>,
    sent: Vec<u8>,
    ended: bool,
    reset: bool,
    received: Vec<u8>,
    /// The end that it saw: in order, or by a fault.
    end: Option<bool>,
}

impl Side {
    fn send(&mut self, port: &mut Port, side: usize, n: usize) {
        let Some(sock) = self.sock.filter(|_| !self.ended) else { return };
        let at = self.sent.len();
        let bytes: Vec<u8> = (at..at + n).map(|at| byte(side, at)).collect();
        if let Io::Done(n) = port.send(sock, &[IoSlice::new(&bytes)], More::No) {
            self.sent.extend_from_slice(&bytes[..n]);
        }
    }

    fn receive(&mut self, port: &mut Port, n: usize) -> bool {
        let Some(sock) = self.sock.filter(|_| self.end.is_none()) else { return false };
        let mut into = vec![0; n];
        match port.recv(sock, &mut into) {
            Io::Done(n) => self.received.extend_from_slice(&into[..n]),
            Io::Blocked => return false,
            Io::Eof => self.end = Some(true),
            Io::Failed(_) => self.end = Some(false),
        }
        true
    }

    fn end(&mut self, port: &mut Port) {
        if let Some(sock) = self.sock.filter(|_| !self.ended) {
            port.shut_write(sock);
            self.ended = true;
        }
    }

    fn reset(&mut self, port: &mut Port) {
        if let Some(sock) = self.sock.take() {
            port.close(sock, Close::Reset);
            self.reset = true;
        }
    }
}

/// Byte number `at` of what a side sends: of no short period, and another for each.
fn byte(side: usize, at: usize) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 12) as u8 ^ (side as u8 * 0x5a)
}

struct Rig {
    bench: Bench,
    sides: [Side; 2],
}

impl Rig {
    fn new(world: &World) -> Rig {
        let splice = if world.splice { "option splice-auto\n" } else { "" };
        let config = format!(
            "listen l\nmode tcp\nbind {PROXY}:80\ntimeout connect 1h\ntimeout client 1h\n\
             timeout server 1h\n{splice}server s {SERVER}:80"
        );
        let mut bench = Bench::new(world, &config);
        let mut sides = [Side::default(), Side::default()];
        sides[0].sock = Some(bench.dial());
        let mut rig = Rig { bench, sides };
        if !world.early {
            rig.pass(20_000);
            assert!(rig.sides[1].sock.is_some(), "the server was not asked");
        }
        rig
    }

    fn act(&mut self, op: &Op) {
        match *op {
            Op::Pass(micros) => self.pass(micros),
            Op::Send(n, _) | Op::Receive(n, _) | Op::End(n) | Op::Reset(n) => {
                let side = &mut self.sides[n];
                let port = [&mut self.bench.client, &mut self.bench.server].into_iter().nth(n);
                let port = port.expect("there are two");
                match *op {
                    Op::Send(_, bytes) => side.send(port, n, bytes),
                    Op::Receive(_, bytes) => {
                        side.receive(port, bytes);
                    }
                    Op::End(_) => side.end(port),
                    _ => side.reset(port),
                }
            }
        }
    }

    fn pass(&mut self, micros: u64) {
        let Rig { bench, sides } = self;
        bench.pass(micros, |bench| {
            if sides[1].sock.is_none()
                && !sides[1].reset
                && let Accepted::One { sock, .. } = bench.server.accept(bench.listener)
            {
                sides[1].sock = Some(sock);
            }
        });
    }

    /// Receives everything that still comes.
    fn drain(&mut self) {
        let mut quiet = 0;
        while quiet < 20 {
            self.pass(2_000);
            let mut moved = false;
            let ports = [&mut self.bench.client, &mut self.bench.server];
            for (side, port) in self.sides.iter_mut().zip(ports) {
                while side.receive(port, 50_000) {
                    moved = true;
                }
            }
            quiet = if moved { 0 } else { quiet + 1 };
        }
    }

    /// Holds what happened against the model.
    fn judge(&mut self, early: bool) {
        let [client, server] = &self.sides;
        for (from, to) in [(client, server), (server, client)] {
            let right = from.sent.starts_with(&to.received);
            assert!(right, "{} bytes came, which are not the first sent", to.received.len());
        }
        let reset = client.reset || server.reset;
        // A client that ended without a word may have been let go before there was a server.
        let mute = early && client.ended && client.sent.is_empty();
        if !reset && !mute {
            for (from, to) in [(client, server), (server, client)] {
                let (sent, got) = (from.sent.len(), to.received.len());
                assert_eq!(got, sent, "bytes are missing");
                assert_eq!(to.end, from.ended.then_some(true), "an end came wrongly, or not");
            }
        }
        // Who resets after its end was passed on is not missed before somebody has something for it
        // or a timeout comes (nor by HAProxy).
        let unseen = self.sides.iter().any(|side| side.reset && side.ended);
        if reset && !unseen {
            for side in self.sides.iter().filter(|side| side.sock.is_some()) {
                assert!(side.end.is_some(), "a reset was not passed on");
            }
        }
        let over = reset || (client.ended && server.ended);
        let known = self.bench.engine.clients();
        assert!(mute || unseen || known == usize::from(!over), "{known} clients; over: {over}");
    }

    /// Both leave.
    fn close(mut self) {
        let ports = [&mut self.bench.client, &mut self.bench.server];
        for (side, port) in self.sides.iter_mut().zip(ports) {
            if let Some(sock) = side.sock.take() {
                port.close(sock, Close::Graceful);
            }
        }
        self.bench.stop();
    }
}

fn play(world: &World, ops: &[Op]) {
    let mut rig = Rig::new(world);
    for op in ops {
        rig.act(op);
    }
    rig.drain();
    rig.judge(world.early);
    rig.close();
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_session_passes_bytes_ends_and_resets(world in world(), ops in vec(op(), 0..40)) {
        play(&world, &ops);
    }
}

/// The model is of some use: each of these differs from what happened in one thing.
#[test]
fn the_model_tells_right_from_wrong() {
    let falsify: [fn(&mut Rig); 5] = [
        |rig| rig.sides[1].received[5] ^= 1,
        |rig| rig.sides[1].received.truncate(999),
        |rig| rig.sides[0].received.push(0),
        |rig| rig.sides[1].end = None,
        |rig| rig.sides[0].end = Some(true),
    ];
    for (n, falsify) in falsify.into_iter().enumerate() {
        let mut rig = Rig::new(&plain());
        for op in [Op::Send(0, 1_000), Op::Send(1, 1_000), Op::End(0)] {
            rig.act(&op);
        }
        rig.drain();
        rig.judge(false);
        falsify(&mut rig);
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rig.judge(false)));
        assert!(judged.is_err(), "number {n} was not noticed");
    }
}
