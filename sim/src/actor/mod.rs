//! Those who talk to the proxy: clients and servers, well-behaved and not. Each is a small state
//! machine on a port of its own, which is turned whenever something may have changed for it, and
//! then tries all that it could do.

pub mod client;
pub mod server;

use std::cell::RefCell;
use std::io::IoSlice;

use tidegate_core::poller::{Io, More, Poller, Sock};

use crate::memnet::Port;

/// What an actor still has to send.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.bytes.extend(bytes);
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Sends up to `most` bytes. The error is the connection's end.
    pub(crate) fn send(&mut self, port: &mut Port, sock: Sock, most: usize) -> Result<usize, ()> {
        let mut total = 0;
        while self.left() > 0 && total < most {
            let end = self.bytes.len().min(self.sent.saturating_add(most - total));
            match port.send(sock, &[IoSlice::new(&self.bytes[self.sent..end])], More::No) {
                Io::Done(n) => {
                    self.sent += n;
                    total += n;
                }
                Io::Blocked => break,
                Io::Eof | Io::Failed(_) => return Err(()),
            }
        }
        if self.left() == 0 {
            self.bytes.clear();
            self.sent = 0;
        }
        Ok(total)
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
    BLOCK.with_borrow_mut(|block| {
        let before = into.len();
        loop {
            let got = into.len() - before;
            let room = block.len().min(most - got);
            if room == 0 {
                return Heard::Bytes(got);
            }
            match port.recv(sock, &mut block[..room]) {
                Io::Done(n) => into.extend_from_slice(&block[..n]),
                Io::Blocked => return Heard::Bytes(got),
                Io::Eof if got > 0 => return Heard::Bytes(got),
                Io::Eof => return Heard::Eof,
                Io::Failed(_) => return Heard::Dead,
            }
        }
    })
}

thread_local! {
    /// What [`receive`] reads into: zeros are written once, not at every call.
    static BLOCK: RefCell<[u8; 16 << 10]> = const { RefCell::new([0; 16 << 10]) };
}
