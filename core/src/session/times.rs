//! When what happened in a session, and the timers that the log makes of it.

use crate::conn::Client;
use crate::time::Instant;

/// The moments of a session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// The client was accepted.
    pub accepted: Instant,
    /// The client became idle before this session: accepted, or its last answer left.
    pub idle_since: Instant,
    /// The first byte of the request came (TCP: accepted).
    pub began: Instant,
    /// The request's head was complete and its rules were passed.
    pub request: Option<Instant>,
    /// The queue was left: a server was chosen.
    pub queued: Option<Instant>,
    /// The connection was established.
    pub connected: Option<Instant>,
    /// The response's head was complete.
    pub response: Option<Instant>,
}

/// The timers of a log line in milliseconds; -1 where the stage was never completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// `%TR`: from the first byte to the whole request.
    pub request: i64,
    /// `%Tw`: in the queue.
    pub wait: i64,
    /// `%Tc`: connecting.
    pub connect: i64,
    /// `%Tr`: until the response's head was complete.
    pub response: i64,
    /// `%Ta` in HTTP mode, `%Tt` in TCP mode: all of it.
    pub total: i64,
}

impl Times {
    /// A session that begins now, with the first bytes of its request.
    pub fn begin(client: &Client, now: Instant) -> Self {
        Times {
            accepted: client.accepted,
            idle_since: client.idle_since,
            began: now,
            ..Times::default()
        }
    }

    /// The log's timers for a session that ends now.
    pub fn timers(&self, now: Instant) -> Timers {
        let span = |from: Option<Instant>, to: Option<Instant>| match (from, to) {
            (Some(from), Some(to)) => to.as_millis().saturating_sub(from.as_millis()) as i64,
            _ => -1,
        };
        Timers {
            request: span(Some(self.began), self.request),
            wait: span(self.request.or(Some(self.began)), self.queued),
            connect: span(self.queued, self.connected),
            response: span(self.connected, self.response),
            total: span(Some(self.began), Some(now)),
        }
    }
}
