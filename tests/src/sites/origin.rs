//! The servers of a site: each records what it gets and answers as the exchange says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::play::{head_lines, quoted_body};
use super::text::Answer;
use crate::policy::reader::{self, Message};

/// What all servers of a site share.
#[derive(Debug, Default)]
pub struct State {
    answers: VecDeque<Answer>,
    /// Lines of the exchange that is going on.
    lines: Vec<String>,
    /// Only who was asked is of interest.
    names_only: bool,
    streams: Vec<TcpStream>,
    ports: BTreeSet<u16>,
    stop: bool,
}

/// The servers of one run of a site.
#[derive(Debug)]
pub struct Origins {
    state: Arc<Mutex<State>>,
    threads: Vec<(SocketAddr, thread::JoinHandle<()>)>,
}

impl Origins {
    /// Takes the listeners over; those of `tcp` take bytes.
    pub fn start(
        listeners: &BTreeMap<String, TcpListener>,
        tcp: &BTreeMap<String, Vec<u8>>,
    ) -> std::io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let mut threads = Vec::new();
        for (name, listener) in listeners {
            let (listener, state) = (listener.try_clone()?, Arc::clone(&state));
            let (name, banner) = (name.clone(), tcp.get(name).cloned());
            let at = listener.local_addr()?;
            threads.push((
                at,
                thread::spawn(move || accept(&name, banner.as_deref(), &listener, &state)),
            ));
        }
        Ok(Self { state, threads })
    }

    /// What the next requests are answered with.
    pub fn answer(&self, answers: &[Answer], names_only: bool) {
        let mut state = lock(&self.state);
        state.answers = answers.iter().cloned().collect();
        state.names_only = names_only;
    }

    /// The lines since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state).lines)
    }

    /// The ports that connections came from.
    pub fn ports(&self) -> BTreeSet<u16> {
        lock(&self.state).ports.clone()
    }
}

impl Drop for Origins {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.state);
            state.stop = true;
            for stream in state.streams.drain(..) {
                // It may have ended by itself.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        for (at, thread) in self.threads.drain(..) {
            // Wakes the one that waits in accept; a thread that panicked has said so.
            let _ = TcpStream::connect_timeout(&at, Duration::from_secs(1));
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(name: &str, banner: Option<&[u8]>, listener: &TcpListener, state: &Arc<Mutex<State>>) {
    while let Ok((stream, peer)) = listener.accept() {
        {
            let mut state = lock(state);
            if state.stop {
                return;
            }
            state.ports.insert(peer.port());
            state.streams.extend(stream.try_clone());
        }
        let (name, banner, state) =
            (name.to_owned(), banner.map(<[u8]>::to_vec), Arc::clone(state));
        // It ends with its connection.
        thread::spawn(move || match banner {
            None => requests(&name, stream, &state),
            Some(banner) => bytes(&name, &banner, stream, &state),
        });
    }
}

/// Reads requests and answers them until the connection ends.
fn requests(name: &str, mut stream: TcpStream, state: &Mutex<State>) {
    let _ = stream.set_nodelay(true);
    let mut held = Vec::new();
    let mut chunk = vec![0; 65536];
    let mut first = true;
    loop {
        if first && let Some(len) = proxy_header(&held) {
            let header: Vec<u8> = held.drain(..len).collect();
            lock(state).lines.push(format!("{name}> {}", proxy_line(&header)));
        }
        match reader::request(&held) {
            Message::Whole(len) => {
                first = false;
                let request: Vec<u8> = held.drain(..len).collect();
                if !answer(name, &request, &mut stream, state) {
                    return;
                }
                continue;
            }
            Message::Partial => {}
            _ => {
                lock(state).lines.push(format!("{name}> no request {}", quoted_body(&held)));
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(len @ 1..) => held.extend_from_slice(&chunk[..len]),
            _ => return,
        }
    }
}

/// Both versions of the PROXY protocol's header, when whole.
fn proxy_header(held: &[u8]) -> Option<usize> {
    if held.starts_with(b"PROXY ") {
        return held.windows(2).position(|two| two == b"\r\n").map(|at| at + 2);
    }
    if !held.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
        return None;
    }
    let length = held.get(14..16)?;
    let len = 16 + (usize::from(length[0]) << 8) + usize::from(length[1]);
    (held.len() >= len).then_some(len)
}

/// A header of the PROXY protocol in one line, its addresses as text.
fn proxy_line(header: &[u8]) -> String {
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let four = |at: usize| {
        format!("{}.{}.{}.{}", header[at], header[at + 1], header[at + 2], header[at + 3])
    };
    match (header.first(), header.get(12..14)) {
        (Some(b'P'), _) => quoted_body(header),
        (_, Some([command, 0x11])) if header.len() >= 28 => format!(
            "PROXY v2 {command:#x} {}:{} {}:{} {}",
            four(16),
            port(24),
            four(20),
            port(26),
            quoted_body(&header[28..])
        ),
        _ => quoted_body(header),
    }
}

/// Records a request and answers it. False if the connection is done with.
fn answer(name: &str, request: &[u8], stream: &mut TcpStream, state: &Mutex<State>) -> bool {
    let answer = {
        let mut state = lock(state);
        if state.names_only {
            state.lines.push(name.to_owned());
        } else {
            state.lines.extend(head_lines(&format!("{name}> "), request));
        }
        state.answers.pop_front()
    };
    let (bytes, more) = match answer {
        None => (default_answer(name, request.starts_with(b"HEAD ")), true),
        Some(Answer::Bytes(bytes)) => (bytes, true),
        Some(Answer::Last(bytes)) => (bytes, false),
        Some(Answer::Close) => {
            // A clone is kept for the end of the run, so that dropping it would not close it.
            let _ = stream.shutdown(Shutdown::Both);
            return false;
        }
        Some(Answer::Silent) => {
            let _ = stream.read_to_end(&mut Vec::new());
            return false;
        }
    };
    if stream.write_all(&bytes).is_err() {
        return false;
    }
    if bytes.starts_with(b"HTTP/1.1 101") {
        echo(stream);
        return false;
    }
    if !more {
        let _ = stream.shutdown(Shutdown::Write);
    }
    more
}

fn default_answer(name: &str, head: bool) -> Vec<u8> {
    let body = format!("from {name}\n");
    let len = body.len();
    let body = if head { "" } else { &body };
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n{body}")
        .into_bytes()
}

fn echo(stream: &mut TcpStream) {
    let mut chunk = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut chunk) {
        if stream.write_all(&chunk[..len]).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// Speaks first if it has a banner, takes all bytes, answers with its name.
fn bytes(name: &str, banner: &[u8], mut stream: TcpStream, state: &Mutex<State>) {
    let mut all = Vec::new();
    if stream.write_all(banner).is_err() || stream.read_to_end(&mut all).is_err() {
        return;
    }
    let header: Vec<u8> = all.drain(..proxy_header(&all).unwrap_or(0)).collect();
    let answer = {
        let mut state = lock(state);
        if state.names_only {
            state.lines.push(name.to_owned());
        } else {
            if !header.is_empty() {
                state.lines.push(format!("{name}> {}", proxy_line(&header)));
            }
            state.lines.push(format!("{name}> | {}", quoted_body(&all)));
        }
        state.answers.pop_front()
    };
    let answer = match answer {
        None => format!("from {name}\n").into_bytes(),
        Some(Answer::Bytes(bytes) | Answer::Last(bytes)) => bytes,
        Some(Answer::Close | Answer::Silent) => Vec::new(),
    };
    let _ = stream.write_all(&answer);
    let _ = stream.shutdown(Shutdown::Both);
}
