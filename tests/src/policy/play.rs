//! Plays one case against one running proxy.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::case::Case;
use super::origin::{Origin, is_probe, is_probed, probe};
use super::outcome::{Fate, Outcome, Server};
use super::reader::{self, Message};
use crate::exchanges::logline::LogLine;
use crate::exchanges::sink::Sink;

/// Longer than any timeout of the configuration.
const WAIT_MAX: Duration = Duration::from_millis(2500);

/// How long a tunnel is listened to.
const TUNNEL_WAIT: Duration = Duration::from_millis(150);

/// What a proxy needs to notice that idle connections ended.
const SETTLE: Duration = Duration::from_millis(8);

/// Between the last byte and the end of a request's stream.
const BEFORE_END: Duration = Duration::from_millis(80);

/// How bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// In one piece.
    Whole,
    /// Byte by byte, or in small pieces if there are many.
    Trickle,
}

/// Sends `bytes` as `feed` says.
pub fn feed(stream: &mut TcpStream, bytes: &[u8], feed: Feed) -> io::Result<()> {
    let piece = match feed {
        Feed::Whole => bytes.len().max(1),
        Feed::Trickle if bytes.len() > 2000 => 97,
        Feed::Trickle => 1,
    };
    for piece in bytes.chunks(piece) {
        stream.write_all(piece)?;
    }
    Ok(())
}

/// Which side the cases of a file are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Requests,
    Responses,
}

/// Plays `case` at `to`.
pub fn play(
    side: Side,
    case: &Case,
    how: Feed,
    to: SocketAddr,
    origin: &Origin,
    sink: &mut Sink,
) -> io::Result<Outcome> {
    origin.begin((side == Side::Responses).then_some(case), how);
    thread::sleep(SETTLE);
    sink.until(usize::MAX, Duration::ZERO);
    let logged = sink.lines.len();
    let mut client = Client::connect(to)?;
    let mut ports = vec![client.port];
    let method = match side {
        Side::Requests => {
            // A proxy that refuses may close before all is sent.
            let _ = feed(&mut client.stream, &case.bytes, how);
            if case.end {
                // What came before is dealt with first, whatever else the machine does.
                thread::sleep(BEFORE_END);
                let _ = client.stream.shutdown(Shutdown::Write);
            }
            case.bytes.split(|byte| *byte == b' ').next().unwrap_or_default().to_vec()
        }
        Side::Responses => {
            client.stream.write_all(request_of(&case.method).as_bytes())?;
            case.method.split(' ').next().unwrap_or_default().as_bytes().to_vec()
        }
    };
    // Behind the end of a stream there can be no probe.
    let (fate, answers) = client.fate(&method, case.end && side == Side::Requests);
    let mut outcome = Outcome {
        requests: Vec::new(),
        partial: None,
        client: client.got,
        fate,
        server: None,
        logs: Vec::new(),
    };
    drop(client.stream);
    if side == Side::Responses {
        if fate != Fate::Open {
            // Another client: does it get what is not for it?
            let mut other = Client::connect(to)?;
            ports.push(other.port);
            probe(&mut other.stream)?;
            outcome.server = match other.fate(b"GET", true).0 {
                Fate::Open => None,
                _ => Some(Server::Lost),
            };
        }
        outcome.server = outcome.server.or(Some(server_of(origin)));
    }
    outcome.take_seen(&origin.seen(), is_probe);
    let ours = |line: &String| {
        ports.iter().any(|port| line.contains(&format!("127.0.0.1:{port} ")))
            && !line.contains("/probe")
    };
    let wanted = answers.max(1);
    let deadline = Instant::now() + Duration::from_millis(700);
    while sink.lines[logged..].iter().filter(|line| ours(line)).count() < wanted
        && Instant::now() < deadline
    {
        sink.until(sink.lines.len() + 1, Duration::from_millis(50));
    }
    outcome.logs = sink.lines[logged..].iter().filter(|line| ours(line)).map(|l| code(l)).collect();
    Ok(outcome)
}

fn request_of(method: &str) -> String {
    match method.split_once(' ') {
        Some((method, "upgrade")) => format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n"
        ),
        Some((method, version)) => {
            format!("{method} / {version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        }
        None if method == "CONNECT" => "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n".to_owned(),
        None => format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"),
    }
}

fn server_of(origin: &Origin) -> Server {
    let seen = origin.seen();
    match seen.iter().position(|seen| seen.requests.iter().any(|request| is_probe(request))) {
        Some(at) if seen[at].requests.len() > 1 => Server::Reused,
        Some(_) => Server::Dropped,
        None => Server::Lost,
    }
}

fn code(line: &str) -> String {
    let code = LogLine::parse(line).code().unwrap_or("??").to_owned();
    if line.contains("\"<BADREQ>\"") { format!("{code} <BADREQ>") } else { code }
}

struct Client {
    stream: TcpStream,
    port: u16,
    got: Vec<u8>,
}

/// How a look at the connection ended.
enum Found {
    Bytes,
    End(Fate),
}

impl Client {
    fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        let port = stream.local_addr()?.port();
        Ok(Self { stream, port, got: Vec::new() })
    }

    /// Reads all answers, probes the connection if it seems to go on (unless it is `probed`), and
    /// says how it was left and how many answers there were. What is left in `got` is without the
    /// probe's answer.
    fn fate(&mut self, method: &[u8], mut probed: bool) -> (Fate, usize) {
        let deadline = Instant::now() + WAIT_MAX;
        let (mut at, mut answers) = (0, 0);
        loop {
            let method = if answers == 0 { method } else { b"GET" };
            match reader::response(&self.got[at..], method) {
                Message::Whole(len) => {
                    let response = &self.got[at..at + len];
                    if probed && is_probed(response) {
                        let whole = self.got.len() == at + len;
                        self.got.truncate(at);
                        return (if whole { Fate::Open } else { Fate::OutOfStep }, answers);
                    }
                    let interim = reader::status(response).is_some_and(|status| status < 200);
                    let close = says_close(response);
                    at += len;
                    answers += usize::from(!interim);
                    if !interim && !probed && !close {
                        probed = probe(&mut self.stream).is_ok();
                    }
                    continue;
                }
                Message::Tunnel(_) => {
                    let listen = Instant::now() + TUNNEL_WAIT;
                    while let Found::Bytes = self.read(listen) {}
                    return (Fate::Tunnel, answers);
                }
                Message::Partial | Message::UntilEnd | Message::Bad(_) => {}
            }
            if let Found::End(fate) = self.read(deadline) {
                let left = self.got.len() > at;
                return (fate, answers + usize::from(left));
            }
        }
    }

    fn read(&mut self, deadline: Instant) -> Found {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut bytes = [0; 65536];
        let read = self
            .stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .and_then(|()| self.stream.read(&mut bytes));
        match read {
            Ok(0) => Found::End(Fate::Closed),
            Ok(len) => {
                self.got.extend_from_slice(&bytes[..len]);
                Found::Bytes
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Found::End(Fate::Silent)
            }
            Err(_) => Found::End(Fate::Reset),
        }
    }
}

fn says_close(response: &[u8]) -> bool {
    let text = response.to_ascii_lowercase();
    text.windows(19).any(|part| part == b"\r\nconnection: close")
}
