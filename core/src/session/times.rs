//! When what happened in a session, and the timers that the log makes of it.

use crate::conn::Client;
use crate::logfmt::line::Timers;
use crate::time::Instant;

/// The moments of a session.
#[derive(Clone, Copy, Debug, Hash, Default)]
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
        let span = |from: Option<Instant>, to: Option<Instant>| {
            Some(to?.as_millis().saturating_sub(from?.as_millis()))
        };
        let began = self.began.as_millis();
        Timers {
            handshake: Some(0),
            idle: began.saturating_sub(self.idle_since.as_millis()),
            data: span(self.response, Some(now)),
            request: span(Some(self.began), self.request),
            queue: span(self.request.or(Some(self.began)), self.queued),
            connect: span(self.queued, self.connected),
            response: span(self.connected, self.response),
            total: now.as_millis().saturating_sub(self.began.as_millis()),
        }
    }
}
