//! One origin, one proxy, one generator: what a round is made of. Everything ends with the rig.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::case::{Load, Row};
use super::child::{Child, Recipe};
use super::generator::{Command, PHASE_MAX, Tally};
use super::options::Options;
use super::origin::Seen;
use super::peer::{Invocation, Programs, Surroundings};
use super::procfs::{self, Cpu};

/// How long the helpers may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a proxy may take until it listens; valgrind is slow.
const START_MAX: Duration = Duration::from_secs(60);
/// After the last answer: connections are still being closed.
const SETTLE: Duration = Duration::from_millis(20);

/// What all rounds share.
pub struct Lab<'a> {
    pub options: &'a Options,
    pub programs: &'a Programs,
    pub work_dir: &'a Path,
}

pub struct Rig {
    // In the order in which they must end.
    generator: Child,
    pub proxy: Child,
    origin: Child,
    /// The proxy and its workers.
    pub pids: Vec<u32>,
    /// Requests answered since the start.
    requests: u64,
    row: Row,
}

impl Rig {
    /// Starts all three; the proxy as an argument of `wrapper` if there is one.
    pub fn start(
        lab: &Lab<'_>,
        row: &Row,
        load: Load,
        wrapper: Option<(PathBuf, Vec<String>)>,
    ) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
        let (proxy_cores, load_cores) = cores(lab.options, row.threads);
        let log_socket = lab.work_dir.join("log.sock");
        let helper = |name, args| Recipe {
            name,
            program: own.clone(),
            args,
            env: Vec::new(),
            cores: &load_cores,
            work_dir: lab.work_dir,
            talks: true,
            nice: lab.options.nice,
        };
        let args = vec!["origin".into(), log_socket.display().to_string()];
        let mut origin = Child::spawn(helper("origin", args))?;
        let origin_port = origin.answer(PATIENCE)?.parse().map_err(|_| "origin: no port")?;
        let front_port = free_port()?;
        let work_dir = lab.work_dir;
        let around = Surroundings { front_port, origin_port, log_socket: &log_socket, work_dir };
        let Invocation { mut program, mut args, env } = lab.programs.command(row, &around)?;
        if let Some((wrapper, mut before)) = wrapper {
            before.push(program.display().to_string());
            before.append(&mut args);
            (program, args) = (wrapper, before);
        }
        let name = row.name;
        let mut proxy = Child::spawn(Recipe {
            name,
            program,
            args,
            env,
            cores: &proxy_cores,
            work_dir,
            talks: false,
            nice: lab.options.nice,
        })?;
        await_listener(&mut proxy, front_port)?;
        if row.threads > 1 {
            // A master has bound its port before it forks its workers.
            thread::sleep(Duration::from_millis(200));
        }
        let pids = procfs::family(proxy.pid()).map_err(|e| format!("{name}: {e}"))?;
        let request = load.request().name();
        let connections = load.connections().to_string();
        let args = vec!["generate".into(), front_port.to_string(), connections, request];
        let mut generator = Child::spawn(helper("generator", args))?;
        generator.answer(PATIENCE)?;
        Ok(Self { generator, proxy, origin, pids, requests: 0, row: *row })
    }

    /// Lets the generator run one phase, and everything come to rest.
    pub fn phase(&mut self, command: Command) -> Result<Tally, String> {
        let patience = PHASE_MAX + PATIENCE;
        let answer = self.generator.ask(&command.to_string(), patience);
        self.proxy.check_alive()?;
        let answer = answer.map_err(|fault| match self.proxy.stderr().lines().last() {
            Some(last) => format!("{fault} ({} says: {last})", self.row.name),
            None => fault,
        })?;
        let tally = Tally::parse(&answer).ok_or_else(|| format!("generator: {answer}"))?;
        self.requests += tally.requests;
        thread::sleep(SETTLE);
        Ok(tally)
    }

    /// CPU time of the proxy so far.
    pub fn cpu(&self) -> Result<Cpu, String> {
        Cpu::of(&self.pids).map_err(|e| format!("CPU time of {}: {e}", self.row.name))
    }

    /// Resident memory of the proxy, bytes.
    pub fn resident(&self) -> Result<u64, String> {
        procfs::resident(&self.pids).map_err(|e| format!("memory of {}: {e}", self.row.name))
    }

    /// Compares what the origin saw with what the generator did; the log lines per request if the
    /// proxy was to log.
    pub fn audit(&mut self) -> Result<Option<f64>, String> {
        let answer = self.origin.ask("stats", PATIENCE)?;
        let seen = Seen::parse(&answer).ok_or_else(|| format!("origin: {answer}"))?;
        if seen.refused > 0 {
            return Err(format!("the origin refused {} requests", seen.refused));
        }
        if seen.requests != self.requests {
            let (origin, client) = (seen.requests, self.requests);
            return Err(format!("{client} requests were answered, the origin saw {origin}"));
        }
        let http = self.row.peer.speaks_http() && self.row.config.starts_with("http");
        if http && seen.forwarded != seen.requests {
            let without = seen.requests - seen.forwarded;
            return Err(format!("{without} of {} requests lack X-Forwarded-For", seen.requests));
        }
        if !self.row.config.ends_with("-log") {
            return Ok(None);
        }
        match seen.log_lines as f64 / seen.requests as f64 {
            0.0 => Err("nothing was logged".into()),
            lines => Ok(Some(lines)),
        }
    }
}

/// The processors of the proxy, and those of generator and origin.
fn cores(options: &Options, threads: usize) -> (Vec<usize>, Vec<usize>) {
    let (proxy, load) = (options.proxy_core, options.load_core);
    let mut cores = vec![proxy];
    if threads > 1 {
        let available = thread::available_parallelism().map_or(1, usize::from);
        // With two processors only, the second thread shares that of the load.
        cores.push((0..available).find(|&core| core != proxy && core != load).unwrap_or(load));
    }
    (cores, vec![load])
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|e| format!("no free port: {e}"))
}

fn await_listener(proxy: &mut Child, port: u16) -> Result<(), String> {
    let deadline = Instant::now() + START_MAX;
    while !procfs::is_listening(port).map_err(|e| format!("/proc/self/net/tcp: {e}"))? {
        proxy.check_alive()?;
        if Instant::now() > deadline {
            return Err(format!("nobody listens on port {port} after {} s", START_MAX.as_secs()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
