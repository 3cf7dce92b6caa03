//! Those who talk to the proxy: clients and servers, well-behaved and not. Each is a small state
//! machine on a port of its own, which is turned whenever something may have changed for it, and
//! then tries all that it could do.

pub mod client;
pub mod server;

use std::collections::VecDeque;
use std::io::IoSlice;

use tidegate_core::poller::{Io, More, Poller, Sock};

use crate::ledger::{self, Way};
use crate::memnet::Port;

/// What an actor still has to send. Bodies are made when their turn comes, a block at a time: most of
/// what a run moves is bodies, and what was just made is still in the processor's cache.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Made, and sent up to here.
    bytes: Vec<u8>,
    sent: usize,
    rest: VecDeque<Piece>,
    left: usize,
}

/// What is made later.
#[derive(Debug)]
enum Piece {
    Plain(Vec<u8>),
    Body { id: u64, way: Way, at: u64, len: usize },
}

/// Bytes that are made at once.
const BLOCK_SIZE: usize = 16 << 10;

impl Outbox {
    /// These bytes.
    pub(crate) fn push(&mut self, bytes: impl Into<Vec<u8>>) {
        let mut bytes = bytes.into();
        self.left += bytes.len();
        match self.rest.back_mut() {
            Some(Piece::Plain(last)) => last.append(&mut bytes),
            _ => self.rest.push_back(Piece::Plain(bytes)),
        }
    }

    /// Part of a body.
    pub(crate) fn push_body(&mut self, id: u64, way: Way, at: u64, len: u64) {
        let len = len as usize;
        self.left += len;
        self.rest.push_back(Piece::Body { id, way, at, len });
    }

    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Sends up to `most` bytes. The error is the connection's end.
    pub(crate) fn send(&mut self, port: &mut Port, sock: Sock, most: usize) -> Result<usize, ()> {
        let mut total = 0;
        while self.left > 0 && total < most {
            self.make();
            let end = self.bytes.len().min(self.sent.saturating_add(most - total));
            match port.send(sock, &[IoSlice::new(&self.bytes[self.sent..end])], More::No) {
                Io::Done(n) => {
                    self.sent += n;
                    self.left -= n;
                    total += n;
                }
                Io::Blocked => break,
                Io::Eof | Io::Failed(_) => return Err(()),
            }
        }
        Ok(total)
    }

    /// Makes the next bytes, if all that were made are sent.
    fn make(&mut self) {
        if self.sent < self.bytes.len() {
            return;
        }
        self.bytes.clear();
        self.sent = 0;
        while let Some(piece) = self.rest.front_mut()
            && self.bytes.len() < BLOCK_SIZE
        {
            match piece {
                Piece::Plain(bytes) => self.bytes.append(bytes),
                Piece::Body { id, way, at, len } => {
                    let n = (BLOCK_SIZE - self.bytes.len()).min(*len);
                    ledger::extend(&mut self.bytes, *id, *way, *at, n);
                    *at += n as u64;
                    *len -= n;
                    if *len > 0 {
                        return;
                    }
                }
            }
            self.rest.pop_front();
        }
    }
}

/// What a receive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// So many bytes.
    Bytes(usize),
    /// The end of the peer's direction.
    Eof,
    /// The end of everything.
    Dead,
}

/// Receives up to `most` bytes behind what is there.
pub(crate) fn receive(port: &mut Port, sock: Sock, into: &mut Vec<u8>, most: usize) -> Heard {
    /// What one call may give, as programs read that have a buffer of their own.
    const BLOCK: usize = 16 << 10;
    let before = into.len();
    loop {
        let got = into.len() - before;
        let room = BLOCK.min(most - got);
        if room == 0 {
            return Heard::Bytes(got);
        }
        match port.recv_to_vec(sock, into, room) {
            Io::Done(_) => {}
            Io::Blocked => return Heard::Bytes(got),
            Io::Eof if got > 0 => return Heard::Bytes(got),
            Io::Eof => return Heard::Eof,
            Io::Failed(_) => return Heard::Dead,
        }
    }
}

/// TCP mode: whether what came is what follows the `checked` bytes of a stream of `len`.
fn check_stream(id: u64, way: Way, checked: &mut u64, len: u64, came: &[u8]) -> Result<(), String> {
    let end = *checked + came.len() as u64;
    let extra = (end > len).then_some(len);
    if let Some(at) = ledger::first_wrong(id, way, *checked, came).or(extra) {
        return Err(format!("stream {id}: byte {at} of {len} is another's"));
    }
    *checked = end;
    Ok(())
}
