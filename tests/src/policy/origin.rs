//! The server behind the proxy: it reads requests with the independent reader and answers them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::case::Case;
use super::play::{Feed, feed};
use super::reader::{self, Message};
use crate::exchanges::sink::timespec;

/// Marks the request that looks whether a connection is still in step.
pub const PROBE: &str = "GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n";

/// What the probe is answered with.
pub const PROBED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nPROBED";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers HEAD, and CONNECT, which is not granted.
const ANSWER_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
const DECLINE: &[u8] = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";

/// What the origin answers with, instead of 200.
#[derive(Debug, Clone)]
pub struct Answer {
    pub bytes: Vec<u8>,
    pub end: bool,
    pub feed: Feed,
}

/// A connection that reached the origin.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Whole requests.
    pub requests: Vec<Vec<u8>>,
    /// What is not whole, or no request.
    pub rest: Vec<u8>,
    /// Why `rest` is no request.
    pub bad: Option<&'static str>,
}

#[derive(Debug, Default)]
struct State {
    answer: Option<Answer>,
    seen: Vec<Seen>,
    streams: Vec<TcpStream>,
    /// Counts cases: a connection of another one records nothing.
    epoch: u64,
}

/// The origin of one lane.
#[derive(Debug)]
pub struct Origin {
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Origin {
    pub fn start(listener: TcpListener) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (state, stop) = (Arc::clone(&state), Arc::clone(&stop));
            thread::spawn(move || accept(&listener, &state, &stop))
        };
        Self { state, stop, thread: Some(thread) }
    }

    /// Forgets what was; from here on requests but the probe get `answer`, if there is one.
    pub fn begin(&self, answer: Option<&Case>, feed: Feed) {
        let mut state = lock(&self.state);
        for stream in state.streams.drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
        state.seen.clear();
        state.epoch += 1;
        state.answer = answer.map(|case| Answer { bytes: case.bytes.clone(), end: case.end, feed });
    }

    /// The connections since [`Origin::begin`].
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state).seen.clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.begin(None, Feed::Whole);
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, state: &Arc<Mutex<State>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&timespec(Duration::from_millis(20))));
        if ready != Ok(1) {
            continue;
        }
        let Ok((stream, _)) = listener.accept() else { continue };
        let Ok(clone) = stream.try_clone() else { continue };
        let (at, epoch) = {
            let mut state = lock(state);
            state.streams.push(clone);
            state.seen.push(Seen::default());
            (state.seen.len() - 1, state.epoch)
        };
        let state = Arc::clone(state);
        // It ends with its connection, which `begin` shuts.
        thread::spawn(move || serve(stream, &state, at, epoch));
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, at: usize, epoch: u64) {
    let _ = stream.set_nodelay(true);
    let mut held = Vec::new();
    let mut bytes = [0; 65536];
    while let Ok(len @ 1..) = stream.read(&mut bytes) {
        held.extend_from_slice(&bytes[..len]);
        while let Some(answer) = note(&mut held, state, at, epoch) {
            if feed(&mut stream, &answer.bytes, answer.feed).is_err() {
                return;
            }
            if answer.end {
                let _ = stream.shutdown(Shutdown::Write);
            }
        }
    }
    // The clone in `state` would keep it open.
    let _ = stream.shutdown(Shutdown::Both);
}

/// Notes what came. A whole request is taken out and its answer returned.
fn note(held: &mut Vec<u8>, state: &Mutex<State>, at: usize, epoch: u64) -> Option<Answer> {
    let mut state = lock(state);
    if state.epoch != epoch {
        return None;
    }
    let message = reader::request(held);
    let answer = state.answer.clone();
    let seen = &mut state.seen[at];
    seen.rest.clone_from(held);
    match message {
        Message::Whole(len) if !held.is_empty() => {
            let rest = held.split_off(len);
            let request = std::mem::replace(held, rest);
            seen.rest.clear();
            let answer = reply(&request, answer);
            seen.requests.push(request);
            Some(answer)
        }
        Message::Bad(why) => {
            seen.bad = Some(why);
            None
        }
        _ => None,
    }
}

fn reply(request: &[u8], answer: Option<Answer>) -> Answer {
    let plain = |bytes: &[u8]| Answer { bytes: bytes.to_vec(), end: false, feed: Feed::Whole };
    if is_probe(request) {
        return plain(PROBED);
    }
    answer.unwrap_or_else(|| {
        plain(match request.split(|byte| *byte == b' ').next() {
            Some(b"HEAD") => ANSWER_HEAD,
            Some(b"CONNECT") => DECLINE,
            _ => ANSWER,
        })
    })
}

/// Whether a request that reached the origin is the probe, unchanged.
pub fn is_probe(request: &[u8]) -> bool {
    let text = request.to_ascii_lowercase();
    text.starts_with(b"get /probe http/1.1\r\nhost: probe\r\n")
}

/// Whether bytes are the probe's answer, whatever head the proxy gave it.
pub fn is_probed(response: &[u8]) -> bool {
    response.starts_with(b"HTTP/1.1 200 OK\r\n") && response.ends_with(b"\r\n\r\nPROBED")
}

/// Writes the probe.
pub fn probe(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(PROBE.as_bytes())
}
