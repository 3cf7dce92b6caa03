//! What happened in a run, moment by moment, for a person or a program that reads it. It decides
//! nothing, and nobody in the run can see whether it is kept.

use core::fmt;

use tidegate_core::engine::Note;
use tidegate_core::time::Instant;

/// Who something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// An engine of the proxy, from 0.
    Engine(u32),
    /// A client, from 0.
    Client(u64),
    /// A server, from 1.
    Server(u64),
    /// Where the log goes.
    Logs,
    /// What lies between them.
    Network,
    /// Who looks at all of it.
    Auditor,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Instant,
    /// To whom.
    pub host: Host,
    /// The session of an engine, by its number.
    pub session: Option<u64>,
    /// What the session, or the connection, is from here on.
    pub state: &'static str,
    /// In words.
    pub event: String,
}

impl Moment {
    /// What an engine told.
    pub fn of(at: Instant, engine: u32, note: Note) -> Moment {
        let host = Host::Engine(engine);
        let (session, state, event) = match note {
            Note::Accepted { client, listener } => {
                (None, "idle", format!("client {client} connected to listener {listener}"))
            }
            Note::Released { client } => (None, "gone", format!("client {client} has left")),
            Note::Began { serial, client, frontend } => {
                (Some(serial), "begun", format!("of client {client} in proxy {frontend}"))
            }
            Note::Queued { serial } => (Some(serial), "queued", "for a server".to_owned()),
            Note::Connected { serial, server, reused } => {
                let how = if reused { "a used" } else { "a new" };
                (Some(serial), "connected", format!("to server {server} by {how} connection"))
            }
            Note::Ended { serial, end, status } => {
                (Some(serial), "ended", format!("status {status}, {end:?}"))
            }
        };
        Moment { at, host, session, state, event }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Host::Engine(n) => format!("engine {n}"),
            Host::Client(n) => format!("client {n}"),
            Host::Server(n) => format!("server {n}"),
            Host::Logs => "logs".to_owned(),
            Host::Network => "network".to_owned(),
            Host::Auditor => "auditor".to_owned(),
        };
        f.pad(&text)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.at.as_nanos() as f64 / 1e6;
        write!(f, "{ms:>14.3} ms  {:<10}", self.host)?;
        if let Some(session) = self.session {
            write!(f, " session {session}")?;
        }
        for part in [self.state, &self.event] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let at = Instant::from_nanos(1_234_567_890);
        let note = Note::Connected { serial: 7, server: 2, reused: true };
        let line =
            "      1234.568 ms  engine 1   session 7 connected to server 2 by a used connection";
        assert_eq!(Moment::of(at, 1, note).to_string(), line);
        let (host, event) = (Host::Network, "calm".to_owned());
        let calm = Moment { at, host, session: None, state: "", event };
        assert_eq!(calm.to_string(), "      1234.568 ms  network    calm");
    }
}
