//! A channel: one direction of data between the two sides of a session.
//!
//! Not a socket and not a side: it holds what was received and not yet sent, what the analysers
//! still have to see, and how the two ends of this direction are. `engine/` moves the bytes.
//!
//! ```text
//!               received                    released                     sent
//!   reader side ───────► buf.input() ─ analysers / to_forward ► buf.output() ───────► writer side
//!   SHUTR: no more comes           (or a pipe: `piped` bytes in the kernel)  SHUTW: no more may go
//! ```

use crate::bit_set;
use crate::buf::Buf;
use crate::invariant;
use crate::poller::Pipe;
use crate::time::{Deadline, Duration, Instant};

/// Forward everything until the end.
pub const FOREVER: u64 = u64::MAX;

bit_set! {
    /// What is true of a channel's two ends.
    pub struct Facts: u16 {
        /// Nothing more is received: the reader's peer ended, failed, or we stopped reading.
        SHUTR = 1,
        /// The reader's peer failed (reset), rather than ended.
        READ_ERROR = 2,
        /// The reader was silent for too long.
        READ_TIMEOUT = 4,
        /// Nothing more is sent: we ended that direction, or its connection is gone.
        SHUTW = 8,
        /// The writer's peer failed.
        WRITE_ERROR = 16,
        /// The writer took nothing for too long.
        WRITE_TIMEOUT = 32,
        /// The reader's end is passed on to the writer once everything is sent.
        AUTO_CLOSE = 64,
        /// The reader's peer ended its direction itself (`Eof`).
        EOF = 128,
        /// Splicing is allowed in this direction.
        SPLICE = 256,
        /// A full receive was seen while only forwarding: bulk, worth a pipe.
        BULK = 512,
    }
}

bit_set! {
    /// The analysers that have yet to see a channel, in the order in which they run.
    pub struct Analysers: u16 {
        /// Inspect the first bytes (`tcp-request content`).
        TCP_INSPECT = 1,
        /// Wait for a whole request head.
        WAIT_REQUEST = 2,
        /// The frontend's rules.
        PROCESS_FRONTEND = 4,
        /// Choose the backend.
        SWITCHING = 8,
        /// Inspect the first bytes as the backend wants it.
        TCP_INSPECT_BACKEND = 16,
        /// The backend's rules, then ask for a server.
        PROCESS_BACKEND = 32,
        /// Hold the request, then refuse it.
        TARPIT = 64,
        /// Pass the request's head and body.
        FORWARD_REQUEST = 128,
        /// Inspect the server's first bytes (`tcp-response content`).
        INSPECT_RESPONSE = 256,
        /// Wait for a whole response head.
        WAIT_RESPONSE = 512,
        /// The backend's and the frontend's response rules.
        PROCESS_RESPONSE = 1024,
        /// Pass the response's body.
        FORWARD_RESPONSE = 2048,
    }
}

/// One direction of a session.
#[derive(Debug, Hash, Default)]
pub struct Channel {
    /// The bytes held, if any.
    pub buf: Option<Buf>,
    /// The kernel pipe that bytes are in, if any.
    pub pipe: Option<Pipe>,
    /// Bytes in the pipe.
    pub piped: u32,
    /// How many of the next bytes pass without any analyser.
    pub to_forward: u64,
    /// Who has yet to look.
    pub analysers: Analysers,
    /// How the ends are.
    pub facts: Facts,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes that the analysers took out or put in: received + added = sent + held.
    pub added: i64,
    /// How long the reader may be silent.
    pub read_timeout: Option<Duration>,
    /// How long the writer may take nothing.
    pub write_timeout: Option<Duration>,
    /// When the reader will have been silent for too long.
    pub read_expiry: Deadline,
    /// When the writer will have taken nothing for too long.
    pub write_expiry: Deadline,
}

impl Channel {
    /// Whether every fact of `facts` holds.
    pub fn is(&self, facts: Facts) -> bool {
        self.facts.has(facts)
    }

    /// Whether anything may be sent: in the buffer or in the pipe.
    pub fn has_output(&self) -> bool {
        self.piped > 0 || self.buf.as_ref().is_some_and(|b| b.output_len() > 0)
    }

    /// Whether nothing is held at all.
    pub fn is_drained(&self) -> bool {
        self.piped == 0 && self.buf.as_ref().is_none_or(Buf::is_empty)
    }

    /// The bytes that no analyser has released.
    pub fn input(&self) -> &[u8] {
        self.buf.as_ref().map_or(&[], Buf::input)
    }

    /// Bytes held in the buffer.
    pub fn held(&self) -> usize {
        self.buf.as_ref().map_or(0, Buf::len)
    }

    /// Notes `n` received bytes, committed to the buffer already, and releases what needs no
    /// analyser.
    pub fn arrived(&mut self, n: usize, now: Instant) {
        invariant!(!self.is(Facts::SHUTR));
        self.received += n as u64;
        self.read_expiry = Deadline::after(now, self.read_timeout);
        self.forward();
    }

    /// Releases input up to `to_forward`.
    pub fn forward(&mut self) {
        if self.to_forward == 0 {
            return;
        }
        if let Some(buf) = &mut self.buf {
            let n = (buf.input_len() as u64).min(self.to_forward);
            buf.release(n as usize);
            if self.to_forward != FOREVER {
                let twice = planted!(LengthTwice) && n < self.to_forward && n > 0;
                self.to_forward -= if twice { (2 * n).min(self.to_forward) } else { n };
            }
        }
    }

    /// Notes `n` bytes received into the pipe.
    pub fn arrived_in_pipe(&mut self, n: usize, now: Instant) {
        invariant!(n as u64 <= self.to_forward);
        self.received += n as u64;
        self.piped += n as u32;
        if self.to_forward != FOREVER {
            self.to_forward -= n as u64;
        }
        self.read_expiry = Deadline::after(now, self.read_timeout);
    }

    /// Notes that `n` bytes of output left the buffer.
    pub fn left(&mut self, n: usize, now: Instant) {
        self.sent += n as u64;
        if let Some(buf) = &mut self.buf {
            buf.sent(n);
        }
        self.after_send(now);
    }

    /// Notes that `n` bytes left the pipe.
    pub fn left_pipe(&mut self, n: usize, now: Instant) {
        invariant!(n as u32 <= self.piped);
        self.sent += n as u64;
        self.piped -= n as u32;
        self.after_send(now);
    }

    fn after_send(&mut self, now: Instant) {
        self.write_expiry = if self.has_output() {
            Deadline::after(now, self.write_timeout)
        } else {
            Deadline::NEVER
        };
    }

    /// Starts the reader's clock anew, if there is still something to wait for.
    pub fn await_reader(&mut self, now: Instant) {
        if !self.is(Facts::SHUTR) {
            self.read_expiry = Deadline::after(now, self.read_timeout);
        }
    }

    /// Starts the writer's clock if there is something to send and it does not run.
    pub fn await_writer(&mut self, now: Instant) {
        if !self.write_expiry.is_set() && self.has_output() && !self.is(Facts::SHUTW) {
            self.write_expiry = Deadline::after(now, self.write_timeout);
        }
    }

    /// No more will be received.
    pub fn shut_read(&mut self, why: Facts) {
        self.facts.set(Facts::SHUTR.with(why));
        self.read_expiry = Deadline::NEVER;
    }

    /// No more may be sent.
    pub fn shut_write(&mut self, why: Facts) {
        self.facts.set(Facts::SHUTW.with(why));
        self.write_expiry = Deadline::NEVER;
    }

    /// Whether the reader's end can be passed on now: everything is sent.
    pub fn owes_shut_write(&self) -> bool {
        self.is(Facts::SHUTR.with(Facts::AUTO_CLOSE))
            && !self.is(Facts::SHUTW)
            && (self.is_drained() || planted!(EarlyFin))
            && self.analysers.is_empty()
    }

    /// The earlier of its two deadlines.
    pub fn deadline(&self) -> Deadline {
        self.read_expiry.min(self.write_expiry)
    }

    /// Marks the timeouts that have come; says whether one has.
    pub fn expire(&mut self, now: Instant) -> bool {
        let (read, write) = (self.read_expiry.is_due(now), self.write_expiry.is_due(now));
        if read {
            self.facts.set(Facts::READ_TIMEOUT);
            self.read_expiry = Deadline::NEVER;
        }
        if write {
            self.facts.set(Facts::WRITE_TIMEOUT);
            self.write_expiry = Deadline::NEVER;
        }
        read || write
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::{Class, Pools};
    use crate::proxy::spec::Tunables;

    fn receive(channel: &mut Channel, pools: &mut Pools, bytes: &[u8]) {
        let buf = channel.buf.get_or_insert_with(|| pools.take(Class::Large));
        assert!(buf.append(bytes));
        channel.arrived(bytes.len(), Instant::START);
    }

    #[test]
    fn what_is_to_be_forwarded_passes_and_the_rest_waits() {
        let mut pools = Pools::new(&Tunables::default());
        let mut channel = Channel { to_forward: 3, ..Channel::default() };
        receive(&mut channel, &mut pools, b"abcdef");
        assert_eq!(channel.input(), b"def");
        assert_eq!(channel.to_forward, 0);
        channel.to_forward = FOREVER;
        channel.forward();
        assert!(channel.input().is_empty() && channel.has_output());
        channel.left(6, Instant::START);
        assert!(channel.is_drained());
        assert_eq!((channel.received, channel.sent), (6, 6));
    }

    #[test]
    fn an_end_is_passed_on_only_when_everything_is_sent() {
        let mut pools = Pools::new(&Tunables::default());
        let mut channel = Channel { to_forward: FOREVER, ..Channel::default() };
        channel.facts.set(Facts::AUTO_CLOSE);
        receive(&mut channel, &mut pools, b"abc");
        channel.shut_read(Facts::EOF);
        assert!(!channel.owes_shut_write());
        channel.left(3, Instant::START);
        assert!(channel.owes_shut_write());
        channel.shut_write(Facts::NONE);
        assert!(!channel.owes_shut_write());
    }

    #[test]
    fn each_end_has_its_own_clock() {
        let second = Some(Duration::from_secs(1));
        let mut pools = Pools::new(&Tunables::default());
        let mut channel = Channel {
            to_forward: FOREVER,
            read_timeout: second,
            write_timeout: second,
            ..Channel::default()
        };
        receive(&mut channel, &mut pools, b"abc");
        channel.await_writer(Instant::from_nanos(500_000_000));
        assert!(!channel.expire(Instant::from_nanos(999_999_999)));
        assert!(channel.expire(Instant::from_nanos(1_000_000_000)));
        assert!(channel.is(Facts::READ_TIMEOUT) && !channel.is(Facts::WRITE_TIMEOUT));
        assert!(channel.expire(Instant::from_nanos(1_500_000_000)));
        assert!(channel.is(Facts::WRITE_TIMEOUT));
        assert!(!channel.deadline().is_set());
    }
}
