//! The process: limits, background, pid file, privileges. Each step is one function; `start` says
//! in which order.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};
use tidegate_core::proxy::spec::{Global, Options, Site};

use crate::host::reason;
use crate::sys::{self, Forked};

/// Descriptors that have nothing to do with traffic: pollers, wakers, sinks, standard streams.
const SPARE: u64 = 64;

/// Descriptors of one engine beside its sockets.
const PER_ENGINE: u64 = 4;

/// How many descriptors a site may need at its limits.
pub fn descriptors(site: &Site, engines: u32) -> u64 {
    let engines = u64::from(engines);
    let connections = 2 * u64::from(site.global.maxconn);
    let pipes = if splices(site) { 2 * pipes(&site.global) } else { 0 };
    let own = site.listeners.len() as u64 + site.sinks.len() as u64 + PER_ENGINE;
    let forwarders: usize = site.rings.iter().map(|ring| ring.servers.len()).sum();
    connections + pipes + engines * own + forwarders as u64 + SPARE
}

fn splices(site: &Site) -> bool {
    let splice = Options::SPLICE_AUTO.with(Options::SPLICE_REQUEST).with(Options::SPLICE_RESPONSE);
    !site.tunables.nosplice && site.proxies.iter().any(|proxy| proxy.options.any(splice))
}

fn pipes(global: &Global) -> u64 {
    match global.maxpipes {
        0 => u64::from(global.maxconn / 4),
        given => u64::from(given),
    }
}

/// Raises the limit on open descriptors to `needed`, or to what `ulimit-n` asks for, as far as the
/// system allows. Returns the limit in force.
pub fn raise_descriptor_limit(global: &Global, needed: u64) -> u64 {
    let cap = global.fd_hard_limit.map_or(u64::MAX, u64::from);
    let wanted = global.ulimit_n.map_or(needed, u64::from).min(cap);
    let now = getrlimit(Resource::Nofile);
    if let Some(current) = now.current.filter(|current| *current < wanted) {
        let beyond = Rlimit { current: Some(wanted), maximum: now.maximum.map(|m| m.max(wanted)) };
        // Without the right to raise the hard limit: up to it.
        let most = now.maximum.map_or(wanted, |hard| hard.min(wanted)).max(current);
        let within = Rlimit { current: Some(most), maximum: now.maximum };
        let _ =
            setrlimit(Resource::Nofile, beyond).or_else(|_| setrlimit(Resource::Nofile, within));
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Limits the memory of the process (`-m`).
pub fn limit_memory(mb: u64) -> io::Result<()> {
    let bytes = Some(mb.saturating_mul(1024 * 1024));
    // Not the address space, of which the allocator reserves far more than it uses.
    setrlimit(Resource::Data, Rlimit { current: bytes, maximum: bytes })?;
    Ok(())
}

/// Creates the pid file, while the path can still be reached.
pub fn create_pidfile(path: &str) -> Result<File, String> {
    // A new file: the old one may be a link, or belong to somebody who could write to it later.
    let _ = std::fs::remove_file(path);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(path)
        .map_err(|error| format!("Cannot create pidfile {path} ({})", reason(&error)))
}

/// The side of a fork that goes on.
#[derive(Debug)]
pub enum Background {
    /// The original process: waits for the child to be ready.
    Parent(Awaited),
    /// The daemon: tells when it is ready.
    Child(Ready),
}

/// The child that a parent waits for.
#[derive(Debug)]
pub struct Awaited {
    /// Its process id.
    pub pid: u32,
    word: PipeReader,
}

impl Awaited {
    /// Whether the child came up; blocks until that is known.
    pub fn is_up(mut self) -> bool {
        let mut word = [0];
        // An end without a word: the child ended before it was ready.
        self.word.read_exact(&mut word).is_ok()
    }
}

/// What tells the parent, or nobody in the foreground, that we are ready.
#[derive(Debug, Default)]
pub struct Ready(Option<(PipeWriter, OwnedFd)>);

impl Ready {
    /// We are. From here on a daemon's standard streams lead nowhere, so that it holds no terminal
    /// and no pipe open.
    pub fn tell(self) -> io::Result<()> {
        let Some((mut word, null)) = self.0 else { return Ok(()) };
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
        // A parent that is gone does not wait.
        let _ = word.write_all(&[1]);
        Ok(())
    }
}

/// Splits off a daemon: its own session, no terminal.
pub fn daemonize() -> io::Result<Background> {
    let (word, telling) = io::pipe()?;
    // Opened while the path can be reached: `chroot` comes before the end of the start.
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    match sys::fork()? {
        Forked::Parent(pid) => {
            drop(telling);
            Ok(Background::Parent(Awaited { pid, word }))
        }
        Forked::Child => {
            drop(word);
            // It cannot fail: a new process leads no group.
            let _ = rustix::process::setsid();
            Ok(Background::Child(Ready(Some((telling, null)))))
        }
    }
}

/// Gives up what is not needed after binding: the file system, the groups, the user.
pub fn drop_privileges(global: &Global) -> Result<(), String> {
    if let Some(root) = &global.chroot {
        rustix::process::chroot(root)
            .and_then(|()| rustix::process::chdir("/"))
            .map_err(|errno| format!("Cannot chroot({root}): {}", reason(&errno.into())))?;
    }
    if let Some(gid) = global.gid {
        // Without the right to do this there is nothing to drop either.
        #[cfg(not(target_vendor = "apple"))]
        let _ = nix::unistd::setgroups(&[]);
        nix::unistd::setgid(gid.into())
            .map_err(|errno| format!("Cannot set gid {gid}: {}", errno.desc()))?;
    }
    if let Some(uid) = global.uid {
        nix::unistd::setuid(uid.into())
            .map_err(|errno| format!("Cannot set uid {uid}: {}", errno.desc()))?;
    }
    Ok(())
}

/// Sends a signal to each process; returns how many got it.
pub fn signal_all(pids: &[u32], signal: Signal) -> usize {
    let of = |pid: &u32| i32::try_from(*pid).ok().and_then(Pid::from_raw);
    pids.iter()
        .filter_map(of)
        .filter(|pid| rustix::process::kill_process(*pid, signal).is_ok())
        .count()
}

#[cfg(test)]
mod tests {
    use tidegate_core::proxy::spec::Proxy;

    use super::*;

    #[test]
    fn descriptors_cover_both_sides_and_the_pipes() {
        let mut site = Site { proxies: vec![Proxy::default()], ..Site::default() };
        site.global.maxconn = 1000;
        let without = descriptors(&site, 2);
        assert!(without >= 2000 && descriptors(&site, 4) > without);
        site.proxies[0].options.set(Options::SPLICE_RESPONSE);
        assert_eq!(descriptors(&site, 2), without + 500);
        site.global.maxpipes = 10;
        assert_eq!(descriptors(&site, 2), without + 20);
        site.tunables.nosplice = true;
        assert_eq!(descriptors(&site, 2), without);
    }

    #[test]
    fn a_pidfile_replaces_what_was_there() {
        let path = std::env::temp_dir().join(format!("tidegate-pid-{}", std::process::id()));
        let target = path.with_extension("target");
        std::fs::write(&target, "precious").expect("ours");
        std::os::unix::fs::symlink(&target, &path).expect("ours");
        let mut file = create_pidfile(path.to_str().expect("a plain path")).expect("a file");
        file.write_all(b"1\n").expect("room");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "1\n");
        assert_eq!(std::fs::read_to_string(&target).expect("there"), "precious");
        std::fs::remove_file(&path).and_then(|()| std::fs::remove_file(&target)).expect("ours");
        assert!(create_pidfile("/nonexistent/pid").is_err());
    }

    #[test]
    fn nobody_is_signalled_by_a_wild_number() {
        assert_eq!(signal_all(&[0, u32::MAX, i32::MAX as u32], Signal::CONT), 0);
    }
}
