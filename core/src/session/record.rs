//! What the log says of a session.

use super::{NO_SERVER, Session};
use crate::fault::{Cause, End, Phase};
use crate::proxy::spec::Mode;
use crate::txn::TxnFlags;

impl Session {
    /// Why it ended: the reason that was noted, or that both sides finished.
    pub fn outcome(&self) -> End {
        self.end.unwrap_or(End::new(Cause::Normal, Phase::Done))
    }

    /// The status for the log: -1 if the client got none.
    pub fn logged_status(&self) -> i32 {
        if self.txn.status == 0 { -1 } else { i32::from(self.txn.status) }
    }

    /// Bytes to the client as `%B` counts them.
    pub fn logged_bytes(&self) -> u64 {
        match self.mode {
            Mode::Tcp => self.res.received,
            Mode::Http if self.txn.is(TxnFlags::TUNNEL) => {
                self.txn.head_bytes + self.res.received - self.txn.body_start
            }
            Mode::Http => self.txn.head_bytes + self.txn.body_bytes,
        }
    }

    /// Attempts beyond the first.
    pub fn retries_done(&self) -> u32 {
        self.retries - self.back.retries_left
    }

    /// Whether a request was understood.
    pub fn has_request(&self) -> bool {
        self.txn.is(TxnFlags::REQUEST)
    }

    /// Whether a server was chosen.
    pub fn has_server(&self) -> bool {
        self.back.server != NO_SERVER
    }
}
