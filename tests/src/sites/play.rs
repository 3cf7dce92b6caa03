//! The client of a site: plays its exchanges one after another and writes down what comes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::diff::Record;
use super::mask::Masks;
use super::origin::Origins;
use super::text::{Exchange, Send, Site, Turn};
use crate::exchanges::outcome::Seen;
use crate::exchanges::places::Places;
use crate::exchanges::script::quoted;
use crate::exchanges::stage::{chunks, connect};
use crate::policy::reader::{self, Message};

/// Longest wait for anything that must come.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// How long to look for a log line too many, at the end.
const LOG_QUIET: Duration = Duration::from_millis(30);

/// A body up to here is recorded by its lines.
const LINES_MAX: usize = 8192;

/// What an exchange left, not masked yet.
struct Raw<'a> {
    exchange: &'a Exchange,
    lines: Vec<String>,
    logs: Vec<String>,
}

/// Plays all exchanges of a site against a proxy that runs.
pub fn play(site: &Site, places: &mut Places, origins: &Origins) -> Vec<Record> {
    let mut ports = BTreeMap::new();
    let mut raws = Vec::new();
    for exchange in &site.exchanges {
        let mut lines = Vec::new();
        let logged = places.sink.lines.len();
        for key in 0..exchange.keys.unwrap_or(1) {
            client(exchange, key, places, origins, &mut lines, &mut ports);
        }
        if exchange.keys.is_some() {
            let names = origins.take();
            lines.extend(names.chunks(20).map(|names| names.join(" ")));
        } else {
            lines.extend(origins.take());
        }
        if !places.sink.until(logged + exchange.logs(), WAIT_MAX) {
            lines.push("MISSING log".to_owned());
        }
        let logs = places.sink.lines[logged..].to_vec();
        raws.push(Raw { exchange, lines, logs });
    }
    let logged = places.sink.lines.len();
    places.sink.until(logged + 1, LOG_QUIET);
    if let Some(last) = raws.last_mut() {
        last.logs.extend(places.sink.lines[logged..].iter().cloned());
    }
    ports.extend(origins.ports().into_iter().map(|port| (port, "SPORT".to_owned())));
    // A place's port outlives those of connections, which may have been the same before.
    ports.extend(places.ports());
    let masks = Masks { places, named: &site.masks, ports };
    raws.into_iter()
        .map(|raw| {
            let mut lines: Vec<String> = raw.lines.iter().map(|line| masks.line(line)).collect();
            if raw.exchange.keys.is_none() {
                lines.extend(raw.logs.iter().map(|line| format!("log {}", masks.log(line))));
            }
            Record { exchange: raw.exchange.name.clone(), lines }
        })
        .collect()
}

fn client(
    exchange: &Exchange,
    key: usize,
    places: &Places,
    origins: &Origins,
    lines: &mut Vec<String>,
    ports: &mut BTreeMap<u16, String>,
) {
    let to = exchange.to.as_deref().unwrap_or("fe");
    let Some(at) = places.bind(to) else {
        lines.push(format!("MISSING {{bind.{to}}}"));
        return;
    };
    let from = exchange.from.as_deref().unwrap_or("127.0.0.1");
    let mut conn = match connect(at, from, false) {
        Ok(stream) => Conn { stream, held: Vec::new(), ended: false },
        // Refused so fast that it was over before we looked.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
            lines.push("c> end".to_owned());
            return;
        }
        Err(error) => {
            lines.push(format!("MISSING connection: {error}"));
            return;
        }
    };
    let _ = conn.stream.set_nodelay(true);
    ports.extend(conn.stream.local_addr().map(|at: SocketAddr| (at.port(), "PORT".to_owned())));
    let names_only = exchange.keys.is_some();
    let mut tunnel = false;
    for turn in &exchange.turns {
        origins.answer(&turn.answers, names_only);
        let mut sent = 0;
        for send in &turn.sends {
            match send {
                Send::Pause(ms) => thread::sleep(Duration::from_millis(*ms)),
                Send::Bytes(bytes) => {
                    let bytes = with_key(bytes, names_only.then_some(key));
                    sent += bytes.len();
                    // A proxy that has left is seen by the next read.
                    let _ = conn.stream.write_all(&bytes);
                }
            }
        }
        let mut came = Vec::new();
        if let Some(ms) = turn.nothing {
            conn.fill(Instant::now() + Duration::from_millis(ms));
            let nothing = conn.held.is_empty() && !conn.ended;
            came.push(if nothing { "c> nothing".to_owned() } else { "c> SOMETHING".to_owned() });
        } else if exchange.tcp {
            conn.rest(&mut came);
        } else if tunnel {
            conn.exactly(sent, &mut came);
        } else {
            tunnel = conn.responses(turn, &mut came);
        }
        if !names_only {
            lines.extend(came);
        } else if came.iter().any(|line| line.starts_with("MISSING")) {
            lines.push("MISSING".to_owned());
        }
        if conn.ended {
            break;
        }
    }
    // The proxy's end of it is over before the next connection comes.
    let _ = conn.stream.shutdown(Shutdown::Write);
    let deadline = Instant::now() + Duration::from_secs(1);
    while !conn.ended && Instant::now() < deadline {
        conn.fill(deadline);
    }
}

fn with_key(bytes: &[u8], key: Option<usize>) -> Vec<u8> {
    let Some(key) = key else { return bytes.to_vec() };
    String::from_utf8_lossy(bytes).replace("{n}", &format!("{key:03}")).into_bytes()
}

struct Conn {
    stream: TcpStream,
    held: Vec<u8>,
    ended: bool,
}

impl Conn {
    /// Receives once. False if nothing came until `deadline`, or the stream ended.
    fn fill(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if self.ended || left.is_zero() {
            return false;
        }
        let mut bytes = [0; 65536];
        let read = self
            .stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .and_then(|()| self.stream.read(&mut bytes));
        match read {
            Ok(len @ 1..) => {
                self.held.extend_from_slice(&bytes[..len]);
                true
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                false
            }
            // Whether a FIN or a RST comes first is a race when bytes were left unread.
            _ => {
                self.ended = true;
                false
            }
        }
    }

    /// Reads the responses to all requests of the turn. True if the last began a tunnel.
    fn responses(&mut self, turn: &Turn, came: &mut Vec<String>) -> bool {
        for method in &turn.methods {
            match self.response(method, came) {
                Some(false) => {}
                Some(true) => return true,
                None => return false,
            }
        }
        false
    }

    /// Reads one response, the interim ones before it too. True if a tunnel begins, nothing if no
    /// other response can come.
    fn response(&mut self, method: &str, came: &mut Vec<String>) -> Option<bool> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            match reader::response(&self.held, method.as_bytes()) {
                Message::Whole(len) => {
                    let message: Vec<u8> = self.held.drain(..len).collect();
                    came.extend(head_lines("c> ", &message));
                    if message.get(9) == Some(&b'1') {
                        continue;
                    }
                    if says_close(&message) {
                        self.end(deadline, came);
                        return None;
                    }
                    return Some(false);
                }
                Message::Tunnel(len) => {
                    let message: Vec<u8> = self.held.drain(..len).collect();
                    came.extend(head_lines("c> ", &message));
                    return Some(true);
                }
                Message::UntilEnd => {
                    while self.fill(deadline) {}
                    let message = std::mem::take(&mut self.held);
                    came.extend(head_lines("c> ", &message));
                    self.end(deadline, came);
                    return None;
                }
                Message::Bad(why) => {
                    came.push(format!("c> NO RESPONSE ({why}) {}", quoted(&self.held)));
                    return None;
                }
                Message::Partial if !self.fill(deadline) => {
                    let how = if self.ended { "end" } else { "MISSING response" };
                    if !self.held.is_empty() {
                        came.push(format!("c> | {}", quoted(&self.held)));
                    }
                    came.push(format!("c> {how}").replace("c> MISSING", "MISSING"));
                    return None;
                }
                Message::Partial => {}
            }
        }
    }

    fn end(&mut self, deadline: Instant, came: &mut Vec<String>) {
        while self.fill(deadline) {}
        if !self.held.is_empty() {
            came.push(format!("c> | {}", quoted(&self.held)));
        }
        came.push(if self.ended { "c> end" } else { "MISSING end" }.to_owned());
    }

    fn exactly(&mut self, len: usize, came: &mut Vec<String>) {
        let deadline = Instant::now() + WAIT_MAX;
        while self.held.len() < len && self.fill(deadline) {}
        came.push(format!("c> | {}", quoted(&std::mem::take(&mut self.held))));
    }

    /// Ends our direction and reads what comes.
    fn rest(&mut self, came: &mut Vec<String>) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let deadline = Instant::now() + WAIT_MAX;
        self.end(deadline, came);
    }
}

fn says_close(message: &[u8]) -> bool {
    let head = head(message).to_ascii_lowercase();
    String::from_utf8_lossy(&head).lines().any(|line| line == "connection: close")
}

fn head(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    &message[..end.map_or(message.len(), |at| at + 2)]
}

/// A message as lines: its head, then its body, in one line and without chunks.
pub fn head_lines(prefix: &str, message: &[u8]) -> Vec<String> {
    let head = head(message);
    let mut lines: Vec<String> = head
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| {
            format!("{prefix}{}", line.strip_suffix(b"\r\n").unwrap_or(line).escape_ascii())
        })
        .map(|line| line.replace("\\\"", "\"").replace("\\'", "'"))
        .collect();
    let body = message.get(head.len() + 2..).unwrap_or_default();
    let chunked =
        String::from_utf8_lossy(head).to_ascii_lowercase().contains("\ntransfer-encoding:");
    match (chunked, chunks(body)) {
        (true, Some((_, Seen::Chunks { payload, trailer, .. }))) => {
            lines.push(format!("{prefix}| chunked {}", quoted_body(&payload)));
            if trailer != b"\r\n" {
                lines.push(format!("{prefix}| trailer {}", quoted_body(&trailer)));
            }
        }
        _ if body.is_empty() => {}
        _ if body.len() < LINES_MAX => {
            // By line, so that a difference shows which.
            let parts = body.split_inclusive(|&byte| byte == b'\n');
            lines.extend(parts.map(|part| format!("{prefix}| {}", quoted_body(part))));
        }
        _ => lines.push(format!("{prefix}| {}", quoted_body(body))),
    }
    lines
}

/// Bytes in one line that begins and ends with a quote.
pub fn quoted_body(bytes: &[u8]) -> String {
    quoted(bytes).replace("\\\"", "\"").replace("\\'", "'")
}
