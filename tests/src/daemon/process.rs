//! The daemon's process: started on a configuration, watched through /proc, stopped.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::PATIENCE;
use super::wire::At;
use crate::bench::procfs::{self, Cpu};
use crate::exchanges::places::{NO_FILES, Places};
use crate::exchanges::proxy::{Kind, find, listening};

/// What to start.
#[derive(Debug)]
pub struct Launch {
    config: String,
    descriptors: Option<u32>,
    inherited: Option<OwnedFd>,
    unix: Vec<String>,
    arguments: Vec<String>,
}

/// A daemon that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    places: Places,
    stderr: PathBuf,
}

/// Most descriptors of pipes that a daemon of these tests keeps when it has no use for them.
const SPARE_PIPES: usize = 128;

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Open descriptors, without pipes.
    pub descriptors: usize,
    /// Descriptors of pipes, of which some are kept for later.
    pub pipes: usize,
    /// Resident memory, bytes.
    pub resident: u64,
}

impl Launch {
    /// A configuration, in which `{bind.x}` stands for an address to listen on, `{dir}` for a
    /// directory; see [`Places`].
    pub fn new(config: impl Into<String>) -> Self {
        let config = config.into();
        let (unix, arguments) = Default::default();
        Self { config, descriptors: None, inherited: None, unix, arguments }
    }

    /// With so many descriptors at most.
    #[must_use]
    pub fn descriptors(self, limit: u32) -> Self {
        Self { descriptors: Some(limit), ..self }
    }

    /// With `socket` as descriptor 3.
    #[must_use]
    pub fn inherits(self, socket: impl Into<OwnedFd>) -> Self {
        Self { inherited: Some(socket.into()), ..self }
    }

    /// Waits until the unix socket `{dir}/name` listens.
    #[must_use]
    pub fn listens_at(mut self, name: &str) -> Self {
        self.unix.push(name.to_owned());
        self
    }

    /// With these arguments behind the others; `{dir}` stands for the directory.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    ///
    /// With what it said, if it does not.
    #[track_caller]
    pub fn start(self) -> Daemon {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| match find(Kind::Tidegate, true) {
            Ok(path) => path,
            Err(why) => panic!("{why}"),
        });
        let (places, config) =
            Places::of(&self.config, NO_FILES).expect("places for the configuration");
        let file = places.dir().join("tidegate.cfg");
        let stderr = places.dir().join("stderr");
        fs::write(&file, config).expect("a configuration file");
        let dir = places.dir().display().to_string();
        // The shell arranges what a child must not arrange between fork and exec.
        let mut script = String::new();
        if let Some(limit) = self.descriptors {
            script += &format!("ulimit -n {limit} && ");
        }
        if self.inherited.is_some() {
            script += "exec 3<&0 </dev/null && ";
        }
        let inherited = self.inherited.map_or_else(Stdio::null, Stdio::from);
        let child = Command::new("sh")
            .args(["-c", &(script + "exec \"$@\""), "sh"])
            .arg(program)
            .arg("-f")
            .arg(&file)
            .arg("-db")
            .args(self.arguments.iter().map(|word| word.replace("{dir}", &dir)))
            .stdin(inherited)
            .stdout(Stdio::null())
            .stderr(File::create(&stderr).expect("a file for its messages"))
            .spawn()
            .expect("a shell");
        let mut daemon = Daemon { child, places, stderr };
        let binds: Vec<SocketAddr> = daemon.places.binds().collect();
        let deadline = Instant::now() + PATIENCE;
        // It listens before it runs; its last thread is the last thing that it makes.
        let threads = threads(&self.config);
        let sockets: Vec<PathBuf> =
            self.unix.iter().map(|name| daemon.places.dir().join(name)).collect();
        let is_up = |daemon: &Daemon| {
            listening(&binds)
                && sockets.iter().all(|path| UnixStream::connect(path).is_ok())
                && daemon.sleeps().len() >= threads
        };
        while !is_up(&daemon) {
            if let Ok(Some(status)) = daemon.child.try_wait() {
                panic!("did not start ({status}):\n{}", daemon.messages());
            }
            assert!(Instant::now() < deadline, "does not listen:\n{}", daemon.messages());
            // Nothing announces a listening socket without touching its queue.
            std::thread::sleep(Duration::from_millis(2));
        }
        daemon
    }
}

/// How many engines a configuration asks for.
fn threads(config: &str) -> usize {
    let told = config.lines().find_map(|line| line.trim().strip_prefix("nbthread "));
    let cpus = || std::thread::available_parallelism().map_or(1, usize::from);
    told.and_then(|number| number.trim().parse().ok()).unwrap_or_else(cpus)
}

impl Daemon {
    /// [`Launch::start`] of a plain configuration.
    #[track_caller]
    pub fn start(config: impl Into<String>) -> Self {
        Launch::new(config).start()
    }

    /// The address of `{bind.name}`.
    #[track_caller]
    pub fn at(&self, name: &str) -> At {
        self.places.bind(name).expect("a bind of that name").into()
    }

    /// The unix socket `{dir}/name`.
    pub fn unix(&self, name: &str) -> At {
        At::Unix(self.places.dir().join(name))
    }

    /// Its directory, `{dir}`.
    pub fn dir(&self) -> &Path {
        self.places.dir()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it holds now.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            descriptors: self.descriptors(|name| !is_pipe(name)),
            pipes: self.descriptors(is_pipe),
            resident: procfs::resident(&[self.pid()]).expect("it runs"),
        }
    }

    /// How many of its descriptors are of a kind, by what /proc calls them (`socket:[…]`).
    pub fn descriptors(&self, kind: impl Fn(&str) -> bool) -> usize {
        let dir = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs");
        // One may be closed between the listing and the reading.
        let names = dir.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        names.filter(|name| kind(&name.to_string_lossy())).count()
    }

    /// CPU time so far, all threads.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(Cpu::of(&[self.pid()]).expect("it runs").run)
    }

    /// For each engine's thread, how often it went to sleep.
    pub fn sleeps(&self) -> Vec<u64> {
        let Ok(dir) = fs::read_dir(format!("/proc/{}/task", self.pid())) else { return Vec::new() };
        let read = |path: PathBuf| {
            let name = fs::read_to_string(path.join("comm")).ok()?;
            name.starts_with("engine-").then_some(())?;
            let status = fs::read_to_string(path.join("status")).ok()?;
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse().ok()
        };
        dir.filter_map(|entry| read(entry.ok()?.path())).collect()
    }

    /// Waits until it holds no more descriptors than `before`, and at most `more` bytes more.
    #[track_caller]
    pub fn returns_to(&self, before: Holdings, more: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.holdings();
            let back = now.descriptors <= before.descriptors
                && now.pipes <= before.pipes.max(SPARE_PIPES)
                && now.resident <= before.resident + more;
            if back {
                return;
            }
            assert!(Instant::now() < deadline, "it held {before:?} before, and {now:?} after");
            // Descriptors are closed and memory is given back when there is time.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, signal: Signal) {
        // Not yet waited for, so the id is still its own.
        let pid = Pid::from_raw(self.pid() as i32).expect("not 0");
        kill_process(pid, signal).expect("our own child");
    }

    /// Whether it is still running.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.pid() as i32).expect("not 0");
        if let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) {
            let timeout = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&timeout)));
            assert_ne!(ready, Ok(0), "does not end:\n{}", self.messages());
        }
        self.child.wait().expect("our own child")
    }

    /// What it wrote to its standard error so far.
    pub fn messages(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }
}

/// Whether a descriptor, by what /proc calls it, is an end of a pipe.
pub fn is_pipe(name: &str) -> bool {
    name.starts_with("pipe:")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.messages());
        }
        // It may have ended by itself; then there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
