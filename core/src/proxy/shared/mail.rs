//! Mailboxes: what one engine has to tell another. Posting does not wake anybody by itself: it
//! returns whom to notify.

use core::hash::{Hash, Hasher};
use core::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::sync::Mutex;

use crate::invariant;
use crate::poller::{Parcel, Peer};
use crate::proxy::shared::{LimitId, lock};
use crate::proxy::spec::{ListenerId, ServerId};
use crate::sample::Change;

/// What one engine tells another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// There was room below this limit: try again whatever it refused.
    Resume(LimitId),
    /// A slot for a queued session. The message owns the slot: if the session is gone, free it.
    Granted {
        /// The waiter's session.
        session: u32,
        /// The waiter's serial.
        serial: u64,
        /// Whose slot it is.
        server: ServerId,
        /// The place that the session had in its queue, from 1: what the log shows.
        position: u32,
    },
    /// The queue was dissolved: balance again. Nothing is owned.
    Requeue {
        /// The waiter's session.
        session: u32,
        /// The waiter's serial.
        serial: u64,
        /// The place that the session had in its queue, from 1: what the log shows.
        position: u32,
    },
    /// A rule has changed something that every engine has a copy of.
    Change(Change),
    /// A connection that another engine accepted, counted against its limits already.
    Adopt {
        /// Where it came in.
        listener: ListenerId,
        /// The socket, for `Poller::adopt`.
        parcel: Parcel,
        /// Who connected.
        peer: Peer,
    },
}

/// The engines that must be notified, once no lock is held. Iterates over their numbers, upwards.
///
/// Dropping it may leave an engine asleep: a later post to the same unread mailbox wakes nobody.
#[must_use = "these engines may be asleep: Poller::notify each"]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wake(u64);

impl Wake {
    /// Nobody.
    pub const NONE: Wake = Wake(0);

    /// Those whose bits are set: engine 0 is the lowest.
    pub const fn from_bits(bits: u64) -> Wake {
        Wake(bits)
    }

    /// One bit for each, engine 0 the lowest.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// One engine.
    pub fn one(engine: u32) -> Wake {
        Wake(1 << engine)
    }

    /// Both.
    pub fn with(self, other: Wake) -> Wake {
        Wake(self.0 | other.0)
    }

    /// Adds those of `other`.
    pub fn add(&mut self, other: Wake) {
        self.0 |= other.0;
    }

    /// All but one engine: itself, which will look at its mail before it parks.
    pub fn without(self, engine: u32) -> Wake {
        Wake(self.0 & !(1 << engine))
    }

    /// Whether the engine is among them.
    pub fn has(self, engine: u32) -> bool {
        self.0 & 1 << engine != 0
    }

    /// Whether it is nobody.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Iterator for Wake {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let first = (self.0 != 0).then(|| self.0.trailing_zeros())?;
        self.0 &= self.0 - 1;
        Some(first)
    }
}

/// The mailboxes of all engines.
#[derive(Debug)]
pub(super) struct Mail(Vec<Mailbox>);

/// The mailbox of one engine, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Mailbox {
    /// Whether `messages` is not empty. Written under the lock.
    any: AtomicBool,
    /// Whether the engine is done, and reads no more. Written under the lock.
    closed: AtomicBool,
    messages: Mutex<Vec<Message>>,
}

impl Mail {
    pub(super) fn new(engines: u32) -> Self {
        Mail((0..engines).map(|_| Mailbox::default()).collect())
    }

    pub(super) fn digest<H: Hasher>(&self, into: &mut H) {
        for mailbox in &self.0 {
            (&*lock(&mailbox.messages), mailbox.closed.load(Acquire)).hash(into);
        }
    }

    /// Returns the engine if its box was empty: otherwise whoever filled it wakes it. An engine
    /// that is done has nothing to resume; nobody waits there any more.
    pub(super) fn post(&self, engine: u32, message: Message) -> Wake {
        let resumes = matches!(message, Message::Resume(_));
        self.offer(engine, message).unwrap_or_else(|| {
            invariant!(resumes, "a message to one who is done");
            Wake::NONE
        })
    }

    /// The same, but none, and nothing posted, if the engine is done.
    pub(super) fn offer(&self, engine: u32, message: Message) -> Option<Wake> {
        let mailbox = &self.0[engine as usize];
        let mut messages = lock(&mailbox.messages);
        if mailbox.closed.load(Acquire) {
            return None;
        }
        let first = messages.is_empty();
        messages.push(message);
        mailbox.any.store(true, Release);
        Some(if first { Wake::one(engine) } else { Wake::NONE })
    }

    /// Closes the engine's box for good. False, and nothing done, if there is mail.
    pub(super) fn close(&self, engine: u32) -> bool {
        let mailbox = &self.0[engine as usize];
        let messages = lock(&mailbox.messages);
        if messages.is_empty() {
            mailbox.closed.store(true, Release);
        }
        messages.is_empty()
    }

    pub(super) fn collect(&self, engine: u32, into: &mut Vec<Message>) {
        if !self.has_mail(engine) {
            return;
        }
        let mailbox = &self.0[engine as usize];
        let mut messages = lock(&mailbox.messages);
        into.append(&mut messages);
        mailbox.any.store(false, Release);
    }

    pub(super) fn has_mail(&self, engine: u32) -> bool {
        self.0[engine as usize].any.load(Acquire)
    }

    /// How many messages satisfy `which`.
    pub(super) fn count(&self, which: impl Fn(&Message) -> bool) -> usize {
        let count = |mailbox: &Mailbox| lock(&mailbox.messages).iter().filter(|m| which(m)).count();
        self.0.iter().map(count).sum()
    }

    pub(super) fn audit(&self) {
        for mailbox in &self.0 {
            let messages = lock(&mailbox.messages);
            invariant!(mailbox.any.load(Acquire) != messages.is_empty());
            let mut resumed: Vec<LimitId> = Vec::new();
            resumed.extend(messages.iter().filter_map(|message| match message {
                Message::Resume(l) => Some(l),
                _ => None,
            }));
            resumed.sort_unstable();
            invariant!(resumed.windows(2).all(|two| two[0] != two[1]), "told twice: {resumed:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESUME: Message = Message::Resume(LimitId::Process);

    #[test]
    fn mail_arrives_in_order_and_only_the_first_wakes() {
        let mail = Mail::new(2);
        let other = Message::Requeue { session: 1, serial: 2, position: 3 };
        assert_eq!(mail.post(1, RESUME), Wake::one(1));
        assert_eq!(mail.post(1, other.clone()), Wake::NONE);
        assert!(mail.has_mail(1) && !mail.has_mail(0));
        let mut into = vec![other.clone()];
        mail.collect(1, &mut into);
        mail.collect(0, &mut into);
        assert_eq!(into, [other.clone(), RESUME, other.clone()]);
        assert!(!mail.has_mail(1));
        assert_eq!(mail.post(1, other), Wake::one(1));
        mail.audit();
    }

    #[test]
    fn a_box_is_closed_only_when_it_is_empty() {
        let mail = Mail::new(1);
        assert_eq!(mail.offer(0, RESUME), Some(Wake::one(0)));
        assert!(!mail.close(0));
        mail.collect(0, &mut Vec::new());
        assert!(mail.close(0) && mail.close(0));
        assert_eq!((mail.offer(0, RESUME), mail.post(0, RESUME)), (None, Wake::NONE));
        assert!(!mail.has_mail(0));
        mail.audit();
    }

    #[test]
    fn wakes_are_sets() {
        let mut wake = Wake::one(63).with(Wake::one(0));
        wake.add(Wake::one(7));
        assert!(wake.has(7) && !wake.has(8));
        assert_eq!(wake.without(0).collect::<Vec<_>>(), [7, 63]);
        assert!(Wake::NONE.is_empty() && wake.without(9) == wake);
    }
}
