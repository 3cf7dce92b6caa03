//! The proxy under test: finding it, starting it on a configuration, stopping it.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// How the error of a proxy that ended at once, or never listened, begins.
pub const NOT_STARTED: &str = "did not start";

/// Longest time from start to listening.
const START_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Haproxy,
    Tidegate,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Haproxy => "haproxy",
            Self::Tidegate => "tidegate",
        })
    }
}

/// The program for `kind`: `HAPROXY_BIN` or the first `haproxy` on the usual paths;
/// `TIDEGATE_BIN` or the one beside this program's target directory (`build` makes it first).
pub fn find(kind: Kind, build: bool) -> Result<PathBuf, String> {
    match kind {
        Kind::Haproxy => haproxy(),
        Kind::Tidegate => tidegate(build),
    }
}

fn haproxy() -> Result<PathBuf, String> {
    if let Some(path) = env::var_os("HAPROXY_BIN") {
        return Ok(path.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|dir| dir.join("haproxy"))
        .find(|path| path.is_file())
        .ok_or_else(|| "haproxy is not installed".to_owned())
}

fn tidegate(build: bool) -> Result<PathBuf, String> {
    if let Some(path) = env::var_os("TIDEGATE_BIN") {
        return Ok(path.into());
    }
    let exe = env::current_exe().map_err(|error| error.to_string())?;
    // target/<profile>/deps/exchanges-… for a test, target/<profile>/exchanges for the program.
    let profile = exe.ancestors().skip(1).find(|dir| !dir.ends_with("deps"));
    let profile = profile.ok_or("this program stands in no directory")?;
    if build {
        let release = profile.ends_with("release");
        let target = profile.parent().unwrap_or(profile);
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--package", "tidegate"])
            .args(release.then_some("--release"))
            .arg("--manifest-path")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .arg("--target-dir")
            .arg(target)
            .status()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        if !status.success() {
            return Err("tidegate does not build".to_owned());
        }
    }
    let path = profile.join("tidegate");
    path.is_file().then_some(path).ok_or_else(|| {
        format!("no tidegate in {}: build it or set TIDEGATE_BIN", profile.display())
    })
}

/// A running proxy. Dropping it kills it.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    stderr: PathBuf,
}

impl Proxy {
    /// Starts `program -f dir/proxy.cfg -db` and waits until it listens on `binds`.
    pub fn start(
        program: &Path,
        dir: &Path,
        config: &str,
        binds: impl Iterator<Item = SocketAddr>,
    ) -> Result<Self, String> {
        let file = dir.join("proxy.cfg");
        let stderr = dir.join("stderr");
        let start = || -> io::Result<Child> {
            fs::write(&file, config)?;
            Command::new(program)
                .arg("-f")
                .arg(&file)
                .arg("-db")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(&stderr)?)
                .spawn()
        };
        let child = start().map_err(|error| format!("{}: {error}", program.display()))?;
        let mut proxy = Self { child, stderr };
        let binds: Vec<SocketAddr> = binds.collect();
        let deadline = Instant::now() + START_MAX;
        while !listening(&binds) {
            if let Ok(Some(status)) = proxy.child.try_wait() {
                return Err(format!("{NOT_STARTED} ({status}):\n{}", proxy.messages()));
            }
            if Instant::now() > deadline {
                return Err(format!("{NOT_STARTED}, it does not listen:\n{}", proxy.messages()));
            }
            // Nothing announces a listening socket without touching its queue.
            thread::sleep(Duration::from_millis(2));
        }
        Ok(proxy)
    }

    /// What it wrote to its standard error so far.
    pub fn messages(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// True if every address has a listening socket, found without touching its queue: an address
/// that is merely bound can be bound again with SO_REUSEADDR, one that is listened on can't.
pub fn listening(binds: &[SocketAddr]) -> bool {
    binds.iter().all(|bind| {
        Socket::new(Domain::for_address(*bind), Type::STREAM, None)
            .and_then(|socket| {
                socket.set_reuse_address(true)?;
                socket.bind(&(*bind).into())
            })
            .is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    })
}
