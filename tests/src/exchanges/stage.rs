//! Plays a script: the clients, the origins, and what each of them receives.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, SockRef, Socket, Type};

use super::outcome::{End, Seen, Transcripts};
use super::places::Places;
use super::script::{Name, Step, pattern};
use super::sink::timespec;

/// Longest wait for anything that a script expects.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// One connection of a script, with what was received and not yet read by a step.
#[derive(Debug)]
struct Conn {
    stream: TcpStream,
    held: Vec<u8>,
    ended: Option<End>,
}

/// Plays one script against one running proxy.
#[derive(Debug)]
pub struct Stage<'a> {
    places: &'a mut Places,
    conns: BTreeMap<Name, Conn>,
    seen: Transcripts,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl<'a> Stage<'a> {
    pub fn new(places: &'a mut Places) -> Self {
        Self {
            places,
            conns: BTreeMap::new(),
            seen: Transcripts::new(),
            threads: Vec::new(),
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Plays the steps in order, and says why it stopped if it did before the last.
    pub fn play(&mut self, steps: &[Step]) -> Result<(), String> {
        for (at, step) in steps.iter().enumerate() {
            self.step(step).map_err(|missing| format!("step {} ({step}): {missing}", at + 1))?;
        }
        Ok(())
    }

    /// Waits for `lines` log lines at most `wait`, then `quiet` for one too many.
    pub fn logs(&mut self, lines: usize, wait: Duration, quiet: Duration) {
        self.places.sink.until(lines, wait);
        let lines = self.places.sink.lines.len();
        self.places.sink.until(lines + 1, quiet);
    }

    /// Ends all connections and gives what each had received; what no step read comes last.
    pub fn finish(mut self) -> Transcripts {
        for (name, mut conn) in std::mem::take(&mut self.conns) {
            conn.leftover();
            let seen = self.seen.entry(name).or_default();
            split_head(conn.held, seen);
            // When the proxy lets an idle server connection go is its own affair.
            let idle = matches!(seen.first(), Some(Seen::At(_)));
            if let Some(end) = conn.ended
                && !idle
                && !seen.iter().any(|seen| matches!(seen, Seen::End(_)))
            {
                seen.push(Seen::End(end));
            }
            // Wakes a thread that still writes to a clone of it.
            let _ = conn.stream.shutdown(std::net::Shutdown::Both);
        }
        std::mem::take(&mut self.seen)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Open { name, to, from, narrow } => self.open(name, to, from, *narrow),
            Step::Accept { name, server } => self.accept(name, *server),
            Step::Send { name, bytes } => {
                // A peer that has left is seen by the next read.
                let _ = self.conn(name)?.stream.write_all(bytes);
                Ok(())
            }
            Step::Flood { name, len } => self.flood(name, *len),
            Step::Head { name } => self.read(name, Conn::head),
            Step::Body { name, len } => self.read(name, |conn| conn.body(*len)),
            Step::Chunked { name } => self.read(name, Conn::chunked),
            Step::Rest { name } => self.rest(name),
            Step::ShutWrite { name } => {
                let _ = self.conn(name)?.stream.shutdown(std::net::Shutdown::Write);
                Ok(())
            }
            Step::Close { name } => self.close(name, false),
            Step::Reset { name } => self.close(name, true),
            Step::Pause { ms } => {
                thread::sleep(Duration::from_millis(*ms));
                Ok(())
            }
            Step::Quiet { name, ms } => self.quiet(name, *ms),
            Step::Unclaimed { server, ms } => self.unclaimed(server, *ms),
            Step::Logged { lines } => {
                let done = self.places.sink.until(*lines, WAIT_MAX);
                let count = self.places.sink.lines.len();
                done.then_some(()).ok_or_else(|| format!("{count} lines logged"))
            }
            Step::Serve { servers } => self.serve(servers),
            Step::Get { name, path, from } => self.get(name, path, from),
        }
    }

    fn open(&mut self, name: Name, to: Name, from: &str, narrow: bool) -> Result<(), String> {
        let to = self.places.bind(to).ok_or_else(|| format!("no {{bind.{to}}}"))?;
        let stream = connect(to, from, narrow).map_err(|error| error.to_string())?;
        self.add(name, stream);
        Ok(())
    }

    fn add(&mut self, name: Name, stream: TcpStream) {
        // Both are hints; loopback works without.
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(WAIT_MAX));
        self.seen.entry(name).or_default();
        self.conns.insert(name, Conn { stream, held: Vec::new(), ended: None });
    }

    fn accept(&mut self, name: Name, server: Option<Name>) -> Result<(), String> {
        let (at, stream) =
            self.arrival(server, WAIT_MAX).ok_or_else(|| "no connection arrived".to_owned())?;
        self.add(name, stream);
        self.seen.entry(name).or_default().push(Seen::At(at));
        Ok(())
    }

    fn arrival(&self, server: Option<Name>, wait: Duration) -> Option<(String, TcpStream)> {
        let origins: Vec<(&String, &TcpListener)> = self
            .places
            .origins
            .iter()
            .filter(|(name, _)| server.is_none_or(|server| server == *name))
            .collect();
        let mut fds: Vec<PollFd<'_>> =
            origins.iter().map(|(_, listener)| PollFd::new(*listener, PollFlags::IN)).collect();
        poll(&mut fds, Some(&timespec(wait))).ok()?;
        let at = fds.iter().position(|fd| fd.revents().contains(PollFlags::IN))?;
        let (name, listener) = origins[at];
        Some((name.clone(), listener.accept().ok()?.0))
    }

    fn flood(&mut self, name: Name, len: usize) -> Result<(), String> {
        let conn = self.conn(name)?;
        let mut stream = conn.stream.try_clone().map_err(|error| error.to_string())?;
        self.threads.push(thread::spawn(move || {
            // A peer that stops reading is what some scripts are about.
            let _ = stream.write_all(&pattern(len));
        }));
        Ok(())
    }

    fn read(
        &mut self,
        name: Name,
        read: impl FnOnce(&mut Conn) -> Result<Seen, String>,
    ) -> Result<(), String> {
        let result = read(self.conn(name)?);
        let seen = self.seen.entry(name).or_default();
        match result {
            Ok(what) => {
                seen.push(what);
                Ok(())
            }
            Err(missing) => {
                seen.push(Seen::Missing(missing.clone()));
                Err(missing)
            }
        }
    }

    fn rest(&mut self, name: Name) -> Result<(), String> {
        let conn = self.conn(name)?;
        let deadline = Instant::now() + WAIT_MAX;
        while conn.fill(deadline) {}
        let (held, ended) = (std::mem::take(&mut conn.held), conn.ended);
        let seen = self.seen.entry(name).or_default();
        split_head(held, seen);
        let Some(end) = ended else {
            seen.push(Seen::Missing("end".to_owned()));
            return Err("it did not end".to_owned());
        };
        seen.push(Seen::End(end));
        Ok(())
    }

    fn close(&mut self, name: Name, reset: bool) -> Result<(), String> {
        let mut conn = self.conns.remove(name).ok_or("no such connection")?;
        if reset {
            SockRef::from(&conn.stream)
                .set_linger(Some(Duration::ZERO))
                .map_err(|error| error.to_string())?;
            return Ok(());
        }
        conn.leftover();
        if !conn.held.is_empty() {
            self.seen.entry(name).or_default().push(Seen::Body(conn.held));
        }
        Ok(())
    }

    fn quiet(&mut self, name: Name, ms: u64) -> Result<(), String> {
        let conn = self.conn(name)?;
        let had = conn.held.len();
        conn.fill(Instant::now() + Duration::from_millis(ms));
        let quiet = conn.held.len() == had && conn.ended.is_none();
        if !quiet {
            return Err("something came".to_owned());
        }
        self.seen.entry(name).or_default().push(Seen::Silence(ms));
        Ok(())
    }

    fn unclaimed(&mut self, server: Name, ms: u64) -> Result<(), String> {
        match self.arrival(Some(server), Duration::from_millis(ms)) {
            Some(_) => Err("a connection came".to_owned()),
            None => Ok(()),
        }
    }

    fn serve(&mut self, servers: &'static [Name]) -> Result<(), String> {
        for &server in servers {
            let listener = self.places.origins.get(server).ok_or("no such server")?;
            let listener = listener.try_clone().map_err(|error| error.to_string())?;
            let stop = Arc::clone(&self.stop);
            self.threads.push(thread::spawn(move || serve(server, &listener, &stop)));
        }
        Ok(())
    }

    fn get(&mut self, name: Name, path: &str, from: &str) -> Result<(), String> {
        self.open(name, "fe", from, false)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: www\r\nConnection: close\r\n\r\n");
        let _ = self.conn(name)?.stream.write_all(request.as_bytes());
        self.rest(name)
    }

    fn conn(&mut self, name: Name) -> Result<&mut Conn, String> {
        self.conns.get_mut(name).ok_or_else(|| format!("{name} is not connected"))
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.conns.clear();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

impl Conn {
    /// Receives once. False after the end, or when nothing came until `deadline`.
    fn fill(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if self.ended.is_some() || left.is_zero() {
            return false;
        }
        let mut bytes = [0; 65536];
        let read = self
            .stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .and_then(|()| self.stream.read(&mut bytes));
        match read {
            Ok(0) => self.ended = Some(End::Fin),
            Ok(len) => self.held.extend_from_slice(&bytes[..len]),
            Err(error) if would_block(&error) => return false,
            Err(_) => self.ended = Some(End::Reset),
        }
        self.ended.is_none()
    }

    /// Takes what has arrived already.
    fn leftover(&mut self) {
        while self.fill(Instant::now() + Duration::from_millis(1)) {}
    }

    /// Receives until `whole` finds the end of a message part in what is held.
    fn until<T>(
        &mut self,
        what: &str,
        whole: impl Fn(&[u8]) -> Option<(usize, T)>,
    ) -> Result<(Vec<u8>, T), String> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            if let Some((end, value)) = whole(&self.held) {
                let rest = self.held.split_off(end);
                return Ok((std::mem::replace(&mut self.held, rest), value));
            }
            if !self.fill(deadline) {
                let how = match self.ended {
                    Some(End::Fin) => "ended",
                    Some(End::Reset) => "reset",
                    None => "still open",
                };
                let held = self.held.escape_ascii();
                return Err(format!("no {what}: {how} after \"{held}\""));
            }
        }
    }

    fn head(&mut self) -> Result<Seen, String> {
        let end = |held: &[u8]| {
            held.windows(4).position(|four| four == b"\r\n\r\n").map(|at| (at + 4, ()))
        };
        Ok(Seen::Head(self.until("head", end)?.0))
    }

    fn body(&mut self, len: usize) -> Result<Seen, String> {
        let end = |held: &[u8]| (held.len() >= len).then_some((len, ()));
        Ok(Seen::Body(self.until("body", end)?.0))
    }

    fn chunked(&mut self) -> Result<Seen, String> {
        let (_, seen) = self.until("last chunk", chunks)?;
        Ok(seen)
    }
}

/// A whole chunked body at the start of `held`: where it ends, and what it is.
pub fn chunks(held: &[u8]) -> Option<(usize, Seen)> {
    let (mut sizes, mut payload, mut at) = (Vec::new(), Vec::new(), 0);
    let line = |at: usize| -> Option<usize> {
        held.get(at..)?.windows(2).position(|two| two == b"\r\n").map(|len| at + len + 2)
    };
    loop {
        let data = line(at)?;
        let size = held[at..data].split(|byte| !byte.is_ascii_hexdigit()).next()?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            at = data;
            break;
        }
        sizes.push(size);
        payload.extend_from_slice(held.get(data..data + size)?);
        at = data + size + 2;
    }
    let trailer = at;
    loop {
        let next = line(at)?;
        if next == at + 2 {
            let trailer = held[trailer..next].to_vec();
            return Some((next, Seen::Chunks { sizes, payload, trailer }));
        }
        at = next;
    }
}

/// Records what was read in one go: heads that came with the end read better on their own lines.
fn split_head(mut held: Vec<u8>, seen: &mut Vec<Seen>) {
    let mut interim = true;
    while interim
        && held.starts_with(b"HTTP/")
        && let Some(at) = held.windows(4).position(|four| four == b"\r\n\r\n")
    {
        interim = held.get(8..10) == Some(b" 1");
        let rest = held.split_off(at + 4);
        seen.push(Seen::Head(std::mem::replace(&mut held, rest)));
    }
    if !held.is_empty() {
        seen.push(Seen::Body(held));
    }
}

/// Connects from an address, with the smallest receive buffer if `narrow`.
pub fn connect(to: SocketAddr, from: &str, narrow: bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    if narrow {
        socket.set_recv_buffer_size(4096)?;
    }
    if to.is_ipv4() {
        let from: IpAddr = from.parse().map_err(io::Error::other)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    socket.connect_timeout(&to.into(), WAIT_MAX)?;
    Ok(socket.into())
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Answers every request that reaches `listener` with the server's name, until told to stop.
fn serve(server: Name, listener: &TcpListener, stop: &Arc<AtomicBool>) {
    let mut threads = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        let wait = timespec(Duration::from_millis(20));
        if poll(&mut fds, Some(&wait)).is_ok_and(|ready| ready > 0)
            && let Ok((stream, _)) = listener.accept()
        {
            let stop = Arc::clone(stop);
            threads.push(thread::spawn(move || answer(server, stream, &stop)));
        }
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn answer(server: Name, stream: TcpStream, stop: &AtomicBool) {
    let mut conn = Conn { stream, held: Vec::new(), ended: None };
    let (name, len) = (server, server.len());
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{name}");
    while !stop.load(Ordering::Relaxed) && conn.ended.is_none() {
        conn.fill(Instant::now() + Duration::from_millis(20));
        while let Some(at) = conn.held.windows(4).position(|four| four == b"\r\n\r\n") {
            conn.held.drain(..at + 4);
            if conn.stream.write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_ends_behind_its_trailers() {
        let whole = b"5;x=1\r\nhello\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n";
        let (end, seen) = chunks(&[whole.as_slice(), b"next"].concat()).expect("it is whole");
        assert_eq!(end, whole.len());
        let payload = b"hello0123456789".to_vec();
        let trailer = b"x: y\r\n\r\n".to_vec();
        assert_eq!(seen, Seen::Chunks { sizes: vec![5, 10], payload, trailer });
        for cut in 0..whole.len() {
            assert!(chunks(&whole[..cut]).is_none(), "cut at {cut}");
        }
    }
}
