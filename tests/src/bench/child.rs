//! Child processes that do not outlive the benchmark: pinned, killed on drop, and told by the
//! kernel to end when their parent dies in any other way (a panic aborts in release builds, so no
//! destructor runs).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

/// How long a child may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(3);

pub struct Child {
    name: String,
    process: process::Child,
    stderr: PathBuf,
    /// Bytes read from its standard output and not yet asked for.
    unread: Vec<u8>,
}

/// What to start, and how.
pub struct Recipe<'a> {
    /// For messages, and for the file that its standard error goes to.
    pub name: &'a str,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(&'static str, String)>,
    /// Processors it may use.
    pub cores: &'a [usize],
    pub work_dir: &'a std::path::Path,
    /// Whether it is spoken to through its standard input and output.
    pub talks: bool,
    /// Added to its nice value.
    pub nice: i32,
}

impl Child {
    /// Starts it by way of [`execute`], so that it is pinned before its first instruction.
    pub fn spawn(recipe: Recipe<'_>) -> Result<Self, String> {
        let Recipe { name, program, args, env, cores, work_dir, talks, nice } = recipe;
        let stderr = work_dir.join(format!("{name}.stderr"));
        let fault = |e: io::Error| format!("cannot start {name}: {e}");
        let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
        let errors = File::create(&stderr).map_err(fault)?;
        let (input, output) = if talks {
            (Stdio::piped(), Stdio::piped())
        } else {
            (Stdio::null(), errors.try_clone().map_err(fault)?.into())
        };
        let process = Command::new(std::env::current_exe().map_err(fault)?)
            .args(["exec", &cores.join(","), &nice.to_string()])
            .arg(&program)
            .args(args)
            .envs(env)
            .current_dir(work_dir)
            .stdin(input)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(fault)?;
        Ok(Self { name: name.into(), process, stderr, unread: Vec::new() })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends one line and waits for the line that answers it: what follows `ok`.
    pub fn ask(&mut self, line: &str, patience: Duration) -> Result<String, String> {
        let stdin = self.process.stdin.as_mut().expect("only what talks is asked");
        writeln!(stdin, "{line}")
            .map_err(|e| format!("{}: {e}{}", self.name, self.last_words()))?;
        self.answer(patience)
    }

    /// The next line that it says on its own, as in [`Child::ask`].
    pub fn answer(&mut self, patience: Duration) -> Result<String, String> {
        let line = self.line(patience)?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("ok", rest) => Ok(rest.to_owned()),
            ("fail", rest) => Err(format!("{}: {rest}", self.name)),
            _ => Err(format!("{}: unexpected answer: {line}", self.name)),
        }
    }

    fn line(&mut self, patience: Duration) -> Result<String, String> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(end) = self.unread.iter().position(|&b| b == b'\n') {
                let line = self.unread.drain(..=end).collect::<Vec<_>>();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout =
                Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let stdout = self.process.stdout.as_mut().expect("only what talks is asked");
            let mut fds = [PollFd::new(&*stdout, PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&timeout)) {
                Ok(0) => {
                    return Err(format!("{}: silent for {} s", self.name, patience.as_secs()));
                }
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(format!("{}: {error}", self.name)),
            }
            let mut bytes = [0; 512];
            match stdout.read(&mut bytes) {
                Ok(0) => return Err(format!("{} has ended{}", self.name, self.last_words())),
                Ok(n) => self.unread.extend_from_slice(&bytes[..n]),
                Err(error) => return Err(format!("{}: {error}", self.name)),
            }
        }
    }

    /// An error if it has ended.
    pub fn check_alive(&mut self) -> Result<(), String> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(format!("{} has ended ({}){}", self.name, said(status), self.last_words()))
            }
            Err(error) => Err(format!("{}: {error}", self.name)),
        }
    }

    pub fn signal(&self, signal: Signal) {
        // Not yet waited for, so the pid is still its own.
        if let Some(pid) = Pid::from_raw(self.process.id() as i32) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + patience;
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Ok(None) => return Err(format!("{} does not end", self.name)),
                Err(error) => return Err(format!("{}: {error}", self.name)),
            }
        }
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        fs::read(&self.stderr)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines of its standard error, for a message.
    fn last_words(&self) -> String {
        let text = self.stderr();
        let lines: Vec<_> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(4)..];
        if last.is_empty() { String::new() } else { format!(": {}", last.join(" / ")) }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.process.try_wait() {
            return;
        }
        self.signal(Signal::TERM);
        if self.wait(PATIENCE).is_err() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn said(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".into(),
    }
}

/// Becomes `program`, on `cores` only, with as many descriptors as are allowed, and ended by
/// SIGTERM when the benchmark dies. Returns only if that fails.
pub fn execute(cores: &[usize], nice: i32, program: &str, args: &[String]) -> Result<(), String> {
    let fault = |what: &str, e: rustix::io::Errno| format!("{what}: {e}");
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    rustix::thread::sched_setaffinity(None, &set).map_err(|e| fault("processor affinity", e))?;
    if nice != 0 {
        // Where the scheduler groups by session, a nice value counts within the session only, and
        // the session has one of its own.
        rustix::process::setsid().map_err(|e| fault("setsid", e))?;
        let _ = fs::write("/proc/self/autogroup", nice.to_string());
        rustix::process::nice(nice).map_err(|e| fault("nice", e))?;
    }
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(Resource::Nofile, raised).map_err(|e| fault("descriptors", e))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|e| fault("death signal", e))?;
    Err(format!("{program}: {}", Command::new(program).args(args).exec()))
}
