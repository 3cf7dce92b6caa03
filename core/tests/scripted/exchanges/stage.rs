//! Plays a script on a rig: clients, origins, the little of a kernel that they need, and what each
//! receives.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use tidegate_core::config::MapHost;
use tidegate_core::fault::Fault;
use tidegate_core::poller::Address;
use tidegate_core::script::Wire;
use tidegate_core::time::Duration;

use super::compare::masked;
use super::reference::{Scenario, Step, fnv};
use crate::rig::{Ended, Knobs, Rig};

/// Longest wait for anything that a script expects, in milliseconds.
const WAIT_MAX: u64 = 5_000;
/// What a kernel takes for a peer that does not read, in bytes.
const WINDOW: usize = 4 << 20;
/// The same for one with a small receive buffer.
const NARROW: usize = 200_000;

/// One end of a connection, as the script's peer has it.
struct Conn {
    wire: Wire,
    held: Vec<u8>,
    ended: Option<&'static str>,
    window: usize,
}

struct Stage {
    rig: Rig,
    /// Place to address.
    places: Vec<(String, String)>,
    conns: BTreeMap<String, Conn>,
    /// Sockets that the peer closed: what still comes to them is answered with a reset.
    gone: Vec<Wire>,
    /// Connections that arrived at an origin and were not accepted yet.
    arrived: VecDeque<(String, Wire)>,
    /// Origins that answer by themselves, and their connections.
    serving: Vec<String>,
    served: Vec<(String, Wire)>,
    seen: BTreeMap<String, Vec<String>>,
    logged: Vec<String>,
}

/// Plays a scenario and gives the lines of its transcript.
pub fn play(scenario: &Scenario, piece_max: usize) -> Vec<String> {
    let (config, places) = filled(&scenario.config);
    let mut host = MapHost::default().with_file("/dev/null", "");
    for (name, bytes) in &scenario.files {
        host = host.with_file(&format!("/dir/{name}"), bytes.clone());
    }
    let large = |(_, step): &(String, Step)| matches!(step, Step::Send(b) if b.len() > 100_000);
    let pieces = if scenario.steps.iter().any(large) { 1_009 } else { 0 };
    let piece_max = if piece_max == 0 { 0 } else { pieces.max(piece_max) };
    let knobs = Knobs { host, piece_max, ..Knobs::default() };
    let mut stage = Stage {
        rig: Rig::with(&config, &knobs),
        places,
        conns: BTreeMap::new(),
        gone: Vec::new(),
        arrived: VecDeque::new(),
        serving: Vec::new(),
        served: Vec::new(),
        seen: BTreeMap::new(),
        logged: Vec::new(),
    };
    let mut failure = None;
    for (name, step) in &scenario.steps {
        if let Err(missing) = stage.step(name, step) {
            failure = Some(format!("FAILED at {name}: {missing}"));
            break;
        }
    }
    let lines = scenario.expected.iter().filter(|l| l.starts_with("log ")).count();
    stage.wait(3_000, |stage| (stage.logged.len() >= lines).then_some(()));
    stage.wait(40, |_| None::<()>);
    let mut lines = stage.finish();
    lines.extend(failure);
    lines
}

/// The configuration with addresses in its places, and which they are.
fn filled(text: &str) -> (String, Vec<(String, String)>) {
    let mut places: Vec<(String, String)> = Vec::new();
    let mut out = String::new();
    let mut left = text;
    while let Some((before, after)) = left.split_once('{') {
        let (place, after) = after.split_once('}').expect("a place ends");
        out.push_str(before);
        let port = 10_000 + places.len();
        let address = match place.split('.').next().unwrap_or_default() {
            "dir" => "/dir".to_string(),
            "log" if place == "log" => "127.0.0.1:514".to_string(),
            "log" => "/dir/log".to_string(),
            "bind6" => format!("[::1]:{port}"),
            _ => format!("127.0.0.1:{port}"),
        };
        let place = format!("{{{place}}}");
        let address = match places.iter().find(|(known, _)| *known == place) {
            Some((_, known)) => known.clone(),
            None => {
                places.push((place, address.clone()));
                address
            }
        };
        out.push_str(&address);
        left = after;
    }
    out.push_str(left);
    (out, places)
}

impl Stage {
    fn step(&mut self, name: &str, step: &Step) -> Result<(), String> {
        match step {
            Step::Open { to, narrow } => self.open(name, to, "127.0.0.1", *narrow),
            Step::Accept(server) => return self.accept(name, server.as_deref()),
            Step::Send(bytes) => {
                let wire = self.conn(name)?.wire;
                if self.rig.net.closed(wire).is_none() {
                    self.rig.net.push(wire, bytes);
                } else if let Ok(conn) = self.conn(name) {
                    // A kernel answers with a reset, once what came before is read.
                    conn.fill_ended("reset");
                }
            }
            Step::Head => {
                let end = |held: &[u8]| {
                    held.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
                };
                let head = self.take(name, "head", end)?;
                self.see_head(name, &head);
            }
            Step::Body(len) => {
                let body = self.take(name, "body", |held| (held.len() >= *len).then_some(*len))?;
                self.see(name, format!("body {}", quoted(&body)));
            }
            Step::Chunks => {
                let bytes = self.take(name, "last chunk", |held| chunks(held).map(|(at, _)| at))?;
                let (_, text) = chunks(&bytes).ok_or("chunks")?;
                self.see(name, text);
            }
            Step::Rest => return self.rest(name),
            Step::ShutWrite => {
                let wire = self.conn(name)?.wire;
                if self.rig.net.closed(wire).is_none() {
                    self.rig.net.end(wire);
                }
            }
            Step::Close | Step::Reset => self.close(name, matches!(step, Step::Reset))?,
            Step::Pause(ms) => {
                self.wait(*ms, |_| None::<()>);
            }
            Step::Quiet(ms) => {
                self.fill(name);
                let had = self.conn(name)?.held.len();
                self.wait(*ms, |_| None::<()>);
                self.fill(name);
                let conn = self.conn(name)?;
                if conn.held.len() > had || conn.ended.is_some() {
                    let what = conn.held[had..].escape_ascii().to_string();
                    return Err(format!("something came: \"{what}\" {:?}", conn.ended));
                }
                self.see(name, format!("nothing for {ms} ms"));
            }
            Step::Unclaimed(ms) => {
                self.wait(*ms, |_| None::<()>);
                if self.arrived.iter().any(|(at, _)| at == name) {
                    return Err("a connection came".into());
                }
            }
            Step::Logged(lines) => {
                let done = self.wait(WAIT_MAX, |s| (s.logged.len() >= *lines).then_some(()));
                done.ok_or_else(|| format!("{} lines logged", self.logged.len()))?;
            }
            Step::Serve(servers) => self.serving.extend(servers.iter().cloned()),
            Step::Get { path, from } => {
                self.open(name, "fe", from, false);
                let wire = self.conn(name)?.wire;
                let head = format!("GET {path} HTTP/1.1\r\nHost: www\r\nConnection: close\r\n\r\n");
                self.rig.net.push(wire, head.as_bytes());
                return self.rest(name);
            }
        }
        self.pump();
        Ok(())
    }

    fn open(&mut self, name: &str, to: &str, from: &str, narrow: bool) {
        let place = [format!("{{bind.{to}}}"), format!("{{bind6.{to}}}")];
        let (_, address) = self.places.iter().find(|(p, _)| place.contains(p)).expect("a bind");
        let at = self.rig.site.listeners.iter().position(|l| match l.address {
            Address::Inet(at) => at.to_string() == *address,
            _ => false,
        });
        let from: IpAddr = if address.starts_with('[') { "::1" } else { from }.parse().expect("ip");
        let wire = self.rig.net.connect_from(at.expect("a listener") as u32, from);
        self.add(name, wire, if narrow { NARROW } else { WINDOW });
    }

    fn add(&mut self, name: &str, wire: Wire, window: usize) {
        self.rig.net.window(wire, window);
        self.seen.entry(name.to_string()).or_default();
        let conn = Conn { wire, held: Vec::new(), ended: None, window };
        self.conns.insert(name.to_string(), conn);
    }

    fn accept(&mut self, name: &str, server: Option<&str>) -> Result<(), String> {
        let server = server.map(String::from);
        let arrival = self.wait(WAIT_MAX, |stage| {
            let at = stage
                .arrived
                .iter()
                .position(|(at, _)| server.as_ref().is_none_or(|server| server == at))?;
            stage.arrived.remove(at)
        });
        let (at, wire) = arrival.ok_or("no connection arrived")?;
        self.add(name, wire, WINDOW);
        self.see(name, format!("at {at}"));
        Ok(())
    }

    /// Waits until what is held of a connection contains a whole part, and takes that.
    fn take(
        &mut self,
        name: &str,
        what: &str,
        whole: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<Vec<u8>, String> {
        self.conn(name)?;
        let end = self.wait(WAIT_MAX, |stage| {
            stage.fill(name);
            let conn = stage.conn(name).ok()?;
            match whole(&conn.held) {
                None if conn.ended.is_some() => Some(None),
                None => None,
                end => Some(end),
            }
        });
        let conn = self.conn(name)?;
        let Some(Some(end)) = end else {
            let how = conn.ended.unwrap_or("still open");
            let missing = format!("no {what}: {how} after \"{}\"", conn.held.escape_ascii());
            self.see(name, format!("MISSING: {missing}"));
            return Err(missing);
        };
        let rest = conn.held.split_off(end);
        Ok(std::mem::replace(&mut conn.held, rest))
    }

    fn rest(&mut self, name: &str) -> Result<(), String> {
        self.conn(name)?;
        let ended = self.wait(WAIT_MAX, |stage| {
            stage.fill(name);
            stage.conn(name).ok()?.ended
        });
        let held = std::mem::take(&mut self.conn(name)?.held);
        self.see_held(name, &held);
        match ended {
            Some(end) => self.see(name, end.into()),
            None => {
                self.see(name, "MISSING: end".into());
                return Err("it did not end".into());
            }
        }
        Ok(())
    }

    fn close(&mut self, name: &str, reset: bool) -> Result<(), String> {
        self.fill(name);
        let conn = self.conns.remove(name).ok_or("no such connection")?;
        if self.rig.net.closed(conn.wire).is_none() {
            if reset {
                self.rig.net.reset(conn.wire);
            } else {
                self.rig.net.end(conn.wire);
                self.rig.net.window(conn.wire, usize::MAX);
                self.gone.push(conn.wire);
            }
        }
        if !reset && !conn.held.is_empty() {
            self.see(name, format!("body {}", quoted(&conn.held)));
        }
        Ok(())
    }

    /// Lets time pass until `found` gives something, at most `ms`.
    fn wait<T>(&mut self, ms: u64, mut found: impl FnMut(&mut Stage) -> Option<T>) -> Option<T> {
        let end = self.rig.now + Duration::from_millis(ms);
        loop {
            self.pump();
            if let Some(found) = found(self) {
                return Some(found);
            }
            // What was taken may have made room.
            self.pump();
            if self.rig.now >= end {
                return None;
            }
            self.rig.step_to(end);
        }
    }

    /// Lets the engine and the network settle: connections arrive or fail, sockets that are gone
    /// answer with resets, origins that answer by themselves do.
    fn pump(&mut self) {
        loop {
            self.rig.turns();
            let mut moved = false;
            while let Some((wire, to)) = self.rig.net.dialled() {
                let Address::Inet(at) = to else { panic!("an address: {to:?}") };
                let place = self.places.iter().find(|(_, address)| *address == at.to_string());
                let place = place.map_or("", |(place, _)| place.as_str());
                if let Some(server) = place.strip_prefix("{origin.") {
                    let server = server.trim_end_matches('}').to_string();
                    self.rig.net.establish(wire);
                    if self.serving.contains(&server) {
                        self.served.push((server, wire));
                    } else {
                        self.arrived.push_back((server, wire));
                    }
                } else if !place.starts_with("{blackhole.") {
                    self.rig.net.refuse(wire, Fault::Refused);
                }
                moved = true;
            }
            for &wire in &self.gone {
                if !self.rig.net.sent(wire).is_empty() && self.rig.net.closed(wire).is_none() {
                    self.rig.net.reset(wire);
                    moved = true;
                }
            }
            for (server, wire) in &self.served {
                let heads = self.rig.net.text(*wire).matches("\r\n\r\n").count();
                for _ in 0..heads {
                    let len = server.len();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{server}");
                    self.rig.net.push(*wire, head.as_bytes());
                    moved = true;
                }
            }
            self.logged.extend(self.rig.wire_logs());
            if !moved {
                return;
            }
        }
    }

    /// Takes what came for a connection, which makes room for more.
    fn fill(&mut self, name: &str) {
        let Some(conn) = self.conns.get_mut(name) else { return };
        let bytes = self.rig.net.sent(conn.wire);
        if !bytes.is_empty() && self.rig.net.closed(conn.wire).is_none() {
            self.rig.net.window(conn.wire, conn.window);
        }
        conn.held.extend_from_slice(&bytes);
        if conn.ended.is_none() {
            conn.ended = match self.rig.ended(conn.wire) {
                Ended::Open | Ended::Dropped => None,
                Ended::Shut | Ended::Closed => Some("end"),
                Ended::Reset => Some("reset"),
            };
        }
    }

    fn conn(&mut self, name: &str) -> Result<&mut Conn, String> {
        self.conns.get_mut(name).ok_or_else(|| format!("{name} is not connected"))
    }

    fn see(&mut self, name: &str, what: String) {
        self.seen.entry(name.to_string()).or_default().push(what);
    }

    fn see_head(&mut self, name: &str, head: &[u8]) {
        for line in head.split_inclusive(|&byte| byte == b'\n') {
            self.see(name, line.escape_ascii().to_string());
        }
    }

    fn see_held(&mut self, name: &str, held: &[u8]) {
        let (mut held, mut interim) = (held, true);
        while interim
            && held.starts_with(b"HTTP/")
            && let Some(at) = held.windows(4).position(|four| four == b"\r\n\r\n")
        {
            interim = held.get(8..10) == Some(b" 1");
            self.see_head(name, &held[..at + 4]);
            held = &held[at + 4..];
        }
        if !held.is_empty() {
            self.see(name, format!("body {}", quoted(held)));
        }
    }

    /// What no step read, and how each connection ended; then everything has to go away.
    fn finish(mut self) -> Vec<String> {
        let names: Vec<String> = self.conns.keys().cloned().collect();
        for name in names {
            self.fill(&name);
            let Some(conn) = self.conns.remove(&name) else { continue };
            self.see_held(&name, &conn.held);
            let known = self.seen[&name].iter().any(|seen| seen == "end" || seen == "reset");
            // When an idle connection to a server goes is nobody's affair.
            let idle = self.seen[&name].first().is_some_and(|first| first.starts_with("at "));
            if let Some(end) = conn.ended
                && !known
                && !idle
            {
                self.see(&name, end.into());
            }
        }
        let mut lines = Vec::new();
        for (name, seen) in &self.seen {
            lines.extend(seen.iter().map(|what| format!("{name} < {what}")));
        }
        for line in &self.logged {
            let mut line = line.clone();
            for (place, address) in &self.places {
                line = line.replace(address.as_str(), place);
            }
            lines.push(format!("log {}", masked(&line)));
        }
        if self.logged.is_empty() {
            lines.push("no log line".into());
        }
        self.rig.finish();
        lines
    }
}

impl Conn {
    fn fill_ended(&mut self, how: &'static str) {
        self.ended.get_or_insert(how);
    }
}

/// Bytes as a literal, long ones cut, as in the reference file.
fn quoted(bytes: &[u8]) -> String {
    if bytes.len() <= 400 {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    let (start, len, hash) = (bytes[..60].escape_ascii(), bytes.len(), fnv(bytes));
    format!("\"{start}\" … {len} bytes, fnv {hash:016x}")
}

/// A whole chunked body at the start of `held`: where it ends, and its text.
fn chunks(held: &[u8]) -> Option<(usize, String)> {
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
            let trailer = quoted(&held[trailer..next]);
            return Some((
                next,
                format!("chunks {sizes:?} {} trailer {trailer}", quoted(&payload)),
            ));
        }
        at = next;
    }
}
