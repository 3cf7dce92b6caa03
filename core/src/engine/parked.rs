//! A6: an engine that parks has nothing to do. Whatever could move now would have to wait for an
//! event that has been announced already and never will be again.

use super::Engine;
use super::accept::ListenerState;
use super::io::{has_room, wants_request, wants_response};
use crate::channel::Facts;
use crate::conn::NO_CONN;
use crate::fds::Owner;
use crate::poller::Ready;
use crate::session::Session;
use crate::side::State;

impl Engine {
    /// Checks that nothing could progress, if nothing is due to run.
    ///
    /// # Panics
    ///
    /// If something could: a wakeup was lost.
    pub(super) fn audit_parked(&self) {
        let busy = self.fds.has_cached()
            || self.tasks.runnable() > 0
            || !self.signals.is_empty()
            || self.shared.audit_mail(self.id);
        if busy {
            return;
        }
        self.audit_forwarders();
        for (id, s) in &self.sessions {
            self.audit_session_parked(id as u32, s);
        }
        for (sock, owner) in self.fds.iter() {
            let waits = match owner {
                Owner::Client(id) => self.clients[id as usize].is_idle(),
                Owner::IdleServer(_) => true,
                Owner::Listener(place) => {
                    self.listeners[place as usize].state == ListenerState::Ready
                }
                _ => false,
            };
            assert!(!waits || !self.is_readable(sock), "{owner:?} sleeps and could read");
        }
    }

    fn audit_session_parked(&self, id: u32, s: &Session) {
        let client = self.clients[s.client as usize].sock;
        let readable = |sock| self.is_readable(sock);
        let writable = |sock| self.fds.ready(sock).has(Ready::WRITE);
        let why = if s.is_over() {
            Some("is over")
        } else if matches!(s.back.state, State::Request | State::Assigned) {
            Some("wants a server")
        } else if wants_request(s) && readable(client) && has_room(&s.req) {
            Some("could receive from its client")
        } else if s.res.has_output() && !s.res.is(Facts::SHUTW) && writable(client) {
            Some("could send to its client")
        } else if s.res.owes_shut_write() {
            Some("owes its client an end")
        } else if s.back.conn == NO_CONN {
            None
        } else {
            let server = self.conns.conn(s.back.conn).sock;
            let established = s.back.state == State::Established;
            let begun = self.conns.conn(s.back.conn).preface_left().is_empty();
            if s.back.state == State::Connecting && !self.fds.ready(server).is_empty() {
                Some("could look at its connection")
            } else if wants_response(s) && readable(server) && has_room(&s.res) {
                Some("could receive from its server")
            } else if established
                && !s.req.is(Facts::SHUTW)
                && (s.req.has_output() || !begun)
                && writable(server)
            {
                Some("could send to its server")
            } else if established && begun && s.req.owes_shut_write() {
                Some("owes its server an end")
            } else {
                None
            }
        };
        assert!(why.is_none(), "session {id} sleeps and {}: {s:#?}", why.unwrap_or_default());
    }
}
