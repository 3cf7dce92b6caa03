//! What became of a message, as one line of text.

use super::origin::Seen;
use super::reader;
use super::text::shown;

/// How the client's connection was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A probe on it got its own answer.
    Open,
    /// A probe on it got something else.
    OutOfStep,
    Closed,
    Reset,
    /// Neither an answer nor an end came in time.
    Silent,
    /// It carries no HTTP any more.
    Tunnel,
}

impl Fate {
    fn text(self) -> &'static str {
        match self {
            Self::Open => "stays open",
            Self::OutOfStep => "stays open OUT OF STEP",
            Self::Closed => "closes",
            Self::Reset => "resets",
            Self::Silent => "says nothing more",
            Self::Tunnel => "tunnel",
        }
    }
}

/// What became of the server's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// It carried the probe as well.
    Reused,
    /// The probe came on another one.
    Dropped,
    /// The probe did not come, or got another's answer.
    Lost,
}

/// What became of one message in one proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Requests that reached the origin, without the probe.
    pub requests: Vec<Vec<u8>>,
    /// What else reached it: the start of a request, or none.
    pub partial: Option<Vec<u8>>,
    /// Everything that the client got, without the probe's answer.
    pub client: Vec<u8>,
    pub fate: Fate,
    /// Responses: the server's connection.
    pub server: Option<Server>,
    /// Termination states and, where no request was understood, `<BADREQ>`.
    pub logs: Vec<String>,
}

impl Outcome {
    /// Notes what the origin saw.
    pub fn take_seen(&mut self, seen: &[Seen], is_probe: impl Fn(&[u8]) -> bool) {
        for seen in seen {
            let own = seen.requests.iter().filter(|request| !is_probe(request));
            self.requests.extend(own.cloned());
            if !seen.rest.is_empty() {
                self.partial = Some(seen.rest.clone());
            }
        }
    }

    /// The outcome of a request.
    pub fn of_request(&self) -> String {
        let mut parts = Vec::new();
        if !self.requests.is_empty() {
            let sent: Vec<String> =
                self.requests.iter().map(|request| format!("`{}`", shown(request))).collect();
            parts.push(format!("sends on {}", sent.join(" and ")));
        }
        if let Some(partial) = &self.partial {
            parts.push(format!("sends on the start `{}`", shown(partial)));
        }
        parts.push(format!("{} {}", self.answers(), self.fate.text()).trim_start().to_owned());
        self.push_logs(&mut parts);
        parts.join("; ")
    }

    /// The outcome of a response.
    pub fn of_response(&self) -> String {
        let mut parts = Vec::new();
        let page = page(&self.client);
        match page {
            Some(status) => parts.push(format!("{status} {}", self.fate.text())),
            None if self.client.is_empty() => parts.push(self.fate.text().to_owned()),
            None => parts.push(format!("`{}` {}", shown(&self.client), self.fate.text())),
        }
        match self.server {
            Some(Server::Reused) => parts.push("server reused".to_owned()),
            Some(Server::Dropped) => parts.push("server closed".to_owned()),
            Some(Server::Lost) => parts.push("PROBE LOST".to_owned()),
            None => {}
        }
        self.push_logs(&mut parts);
        parts.join("; ")
    }

    /// Whether the same bytes in small pieces may end so: whoever gets them sees the same, but for
    /// a fault in a body, which is found when its head is on its way already. Then a request is
    /// never whole at the server, and an answer visibly cut off at the client.
    pub fn agrees_in_pieces(&self, pieces: &Outcome) -> bool {
        let said = |outcome: &Outcome| (outcome.answers(), page(&outcome.client));
        let same = self.client == pieces.client
            || said(self) == said(pieces) && page(&self.client).is_some();
        let same = same && self.fate == pieces.fate;
        let cut = page(&self.client) == Some(502)
            && pieces.fate != Fate::Open
            && pieces.logs == ["SD"]
            && self.server == pieces.server;
        self.requests == pieces.requests && (same || cut)
    }

    fn push_logs(&self, parts: &mut Vec<String>) {
        let odd: Vec<&str> =
            self.logs.iter().map(|log| &**log).filter(|log| *log != "--").collect();
        if !odd.is_empty() {
            parts.push(format!("logs {}", odd.join(", ")));
        }
    }

    /// The statuses that the client got.
    fn answers(&self) -> String {
        let mut statuses = Vec::new();
        let mut rest = &self.client[..];
        while let Some(status) = reader::status(rest) {
            statuses.push(status.to_string());
            // The next status line, wherever the body ends: every body here is short text.
            let next = rest.windows(7).skip(1).position(|seven| seven == b"HTTP/1.");
            rest = next.map_or(&[][..], |at| &rest[at + 1..]);
        }
        if statuses.is_empty() && !self.client.is_empty() {
            return format!("`{}`", shown(&self.client));
        }
        statuses.join(" ")
    }
}

/// The status, if all that came is a page of the proxy's own.
fn page(bytes: &[u8]) -> Option<u16> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let own = bytes[at..].starts_with(b"<html><body><h1>") || is_head_of_page(&bytes[..at]);
    reader::status(bytes).filter(|status| own && *status >= 400)
}

/// The answer to HEAD has no body to know a page by.
fn is_head_of_page(head: &[u8]) -> bool {
    let has = |field: &[u8]| head.windows(field.len()).any(|part| part == field);
    has(b"cache-control: no-cache\r\n") && has(b"content-type: text/html\r\n")
}
