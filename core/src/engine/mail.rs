//! What other engines say, and waking them.

use super::Engine;
use crate::poller::{Poller, Ready};
use crate::proxy::shared::{Message, Wake};
use crate::session::SessionFlags;
use crate::side::{State, Step};
use crate::sometimes;
use crate::tasks::Woken;
use crate::time::Deadline;

impl Engine {
    /// Reads the mailbox.
    pub(super) fn read_mail<P: Poller>(&mut self, net: &mut P) {
        if !self.shared.has_mail(self.id) {
            return;
        }
        let mut mail = core::mem::take(&mut self.mail);
        self.shared.collect(self.id, &mut mail);
        for message in mail.drain(..) {
            match message {
                Message::Resume(_) if planted!(PausedForever) => {}
                Message::Resume(limit) => self.resume(limit),
                Message::Granted { session, serial, server, position } => {
                    self.granted(net, (session, serial), server, position);
                }
                Message::Requeue { session, serial, position } => {
                    self.requeued((session, serial), position);
                }
                Message::Change(change) => self.desk.follow(&self.site, &change),
                Message::Adopt { listener, parcel, peer } => match net.adopt(parcel) {
                    Some(sock) => self.welcome(net, sock, peer, listener),
                    None => self.release_limits(net, listener),
                },
            }
        }
        self.mail = mail;
    }

    /// A queued session got a server's slot, which it owns from here on.
    fn granted<P: Poller>(&mut self, net: &mut P, who: (u32, u64), server: u32, position: u32) {
        let (place, serial) = who;
        let waiting = self
            .sessions
            .get_mut(place as usize)
            .filter(|s| s.serial == serial && s.back.state == State::Queued);
        let Some(s) = waiting else {
            sometimes!(GrantTooLate);
            if planted!(GrantLost) {
                return;
            }
            let wake = self.shared.free(server);
            self.wake_engines(net, wake);
            return;
        };
        note_position(s, position);
        s.back.ticket = None;
        s.back.server = server;
        s.back.expiry = Deadline::NEVER;
        s.flags.set(SessionFlags::SLOT);
        s.back.state.step(Step::Grant);
        if planted!(LostWakeup) {
            return;
        }
        self.tasks.wake(s.task, Woken::MESSAGE);
    }

    /// The queue was dissolved: choose again.
    fn requeued(&mut self, who: (u32, u64), position: u32) {
        let (place, serial) = who;
        let waiting = self
            .sessions
            .get_mut(place as usize)
            .filter(|s| s.serial == serial && s.back.state == State::Queued);
        if let Some(s) = waiting {
            note_position(s, position);
            s.back.ticket = None;
            s.back.state.step(Step::Requeue);
            self.tasks.wake(s.task, Woken::MESSAGE);
        }
    }

    /// Tells the other engines what rules have changed here of what they have copies of.
    #[cold]
    pub(super) fn tell_changes<P: Poller>(&mut self, net: &mut P) {
        let this = self.id;
        for change in self.desk.changes.take() {
            for engine in (0..self.engines).filter(|engine| *engine != this) {
                // One that is done has no use for it.
                if let Some(wake) = self.shared.offer(engine, Message::Change(change.clone())) {
                    self.wake_engines(net, wake);
                }
            }
        }
    }

    /// Wakes the engines that have mail; we look at our own before we park.
    pub(super) fn wake_engines<P: Poller>(&mut self, net: &mut P, wake: Wake) {
        for engine in wake.without(self.id) {
            net.notify(engine);
        }
    }

    /// Whether a socket has something to be read, an end or an error.
    pub(super) fn is_readable(&self, sock: crate::poller::Sock) -> bool {
        self.fds.ready(sock).any(Ready::READ.with(Ready::HUP).with(Ready::ERR))
    }
}

/// What the log shows: the place in the queue that was left, of the server's own or the backend's.
pub(super) fn note_position(s: &mut crate::session::Session, position: u32) {
    match s.back.ticket.and_then(crate::proxy::shared::Ticket::server) {
        Some(_) => s.back.server_queue += position,
        None => s.back.backend_queue += position,
    }
}
