//! Binding: every listener of a site becomes one listening socket, or one for each engine, while
//! the process still has its privileges and a single thread. Accepting is not here.
//!
//! What a connection inherits from its listener on Linux is set here once instead of on each
//! connection: `TCP_NODELAY`, keep-alive probes, buffer sizes, `tcp-ut`, `tcp-smart-accept`.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use core::net::SocketAddr;

use rustix::fs::{CWD, Gid, Mode, Uid};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, sockopt};
use socket2::SockRef;
use tidegate_core::poller::{Address, SockOpt};
use tidegate_core::proxy::spec::{Listener, Options, Proxy, Role, Site};

use crate::poller::socket::{abstract_address, set, stream};
use crate::sys;

/// How many connections may wait to be accepted if the configuration does not say.
const BACKLOG: u32 = 1024;

/// Whether the kernel spreads connections over several sockets of one address.
pub const SHARDS: bool = cfg!(target_os = "linux");

/// Seconds for which `defer-accept` waits for the first bytes.
const DEFER_ACCEPT_S: i32 = 60;

/// What a unix path may measure: `sun_path` and its final zero.
const UNIX_PATH_MAX: usize = 107;

/// A listener that could not be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// The line for the operator.
    pub text: String,
    /// Whether somebody else has the address, who may let go of it.
    pub taken: bool,
}

impl Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The listening sockets of a site, as far as they are bound.
#[derive(Debug)]
pub struct Binder<'a> {
    site: &'a Site,
    engines: u32,
    /// By listener; none of them or all.
    bound: Vec<Vec<OwnedFd>>,
    /// Descriptors named by `fd@`: several listeners may name the same.
    inherited: BTreeMap<i32, OwnedFd>,
}

impl<'a> Binder<'a> {
    /// Nothing is bound yet.
    pub fn new(site: &'a Site, engines: u32) -> Self {
        let bound = site.listeners.iter().map(|_| Vec::new()).collect();
        Binder { site, engines: engines.max(1), bound, inherited: BTreeMap::new() }
    }

    /// Opens what is not open yet. May be called again after trouble.
    pub fn bind(&mut self) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        for (i, listener) in self.site.listeners.iter().enumerate() {
            let frontend = self.site.proxy(listener.frontend);
            if !self.bound[i].is_empty() || frontend.disabled {
                continue;
            }
            match self.open(listener, frontend) {
                Ok(sockets) => self.bound[i] = sockets,
                Err(failure) => troubles.push(failure.of(listener, frontend)),
            }
        }
        troubles
    }

    /// By engine and listener: the sockets to accept from. A listener that has one socket for all
    /// belongs to engine `listener % engines`.
    pub fn finish(self) -> Vec<Vec<Option<OwnedFd>>> {
        let count = self.engines as usize;
        let mut by_engine: Vec<Vec<Option<OwnedFd>>> =
            (0..count).map(|_| self.bound.iter().map(|_| None).collect()).collect();
        for (listener, sockets) in self.bound.into_iter().enumerate() {
            let first = if sockets.len() == 1 { listener % count } else { 0 };
            for (i, fd) in sockets.into_iter().enumerate() {
                by_engine[first + i][listener] = Some(fd);
            }
        }
        by_engine
    }

    fn open(&mut self, listener: &Listener, frontend: &Proxy) -> Result<Vec<OwnedFd>, Failure> {
        let backlog = self.backlog(listener, frontend);
        match &listener.address {
            Address::Inet(address) => {
                let mut address = *address;
                let mut sockets = Vec::new();
                for _ in 0..self.shards(listener) {
                    let fd = self.open_inet(address, listener, frontend, backlog)?;
                    // Port 0 becomes a port with the first socket; the others join it there.
                    address = name_of(&fd).unwrap_or(address);
                    sockets.push(fd);
                }
                Ok(sockets)
            }
            Address::Unix(path) => Ok(vec![open_unix(path, listener, backlog)?]),
            Address::Abstract(name) => {
                let fd = stream(AddressFamily::UNIX).at("cannot create socket")?;
                let address = abstract_address(name).at("bad name")?;
                rustix::net::bind(&fd, &address).at("cannot bind UNIX socket")?;
                rustix::net::listen(&fd, backlog).at("cannot listen to socket")?;
                Ok(vec![fd])
            }
            Address::Fd(number) => Ok(vec![self.take_inherited(*number, backlog)?]),
        }
    }

    /// Sockets that a listener gets: one for each engine if the kernel can spread connections.
    fn shards(&self, listener: &Listener) -> u32 {
        let alone = listener.options.shared || self.site.global.noreuseport;
        if SHARDS && !alone { self.engines } else { 1 }
    }

    fn backlog(&self, listener: &Listener, frontend: &Proxy) -> i32 {
        let asked =
            [listener.backlog, frontend.backlog, frontend.maxconn, self.site.global.maxconn];
        let backlog = asked.into_iter().find(|n| *n > 0).unwrap_or(BACKLOG);
        i32::try_from(backlog).unwrap_or(i32::MAX)
    }

    fn open_inet(
        &self,
        address: SocketAddr,
        listener: &Listener,
        frontend: &Proxy,
        backlog: i32,
    ) -> Result<OwnedFd, Failure> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let fd = stream(family).at("cannot create socket")?;
        sockopt::set_socket_reuseaddr(&fd, true).at("cannot set SO_REUSEADDR")?;
        if !self.site.global.noreuseport {
            // A new process binds beside the old one, and engines beside each other.
            #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "macos"))]
            SockRef::from(&fd)
                .set_reuse_port(true)
                .map_err(|e| Failure::of_io("SO_REUSEPORT", &e))?;
        }
        self.set_options(&fd, address, listener, frontend)?;
        rustix::net::bind(&fd, &address).at("cannot bind socket")?;
        #[cfg(target_os = "linux")]
        if listener.options.tfo {
            let queue = backlog.max(1);
            sys::set_int(fd.as_fd(), libc::IPPROTO_TCP, libc::TCP_FASTOPEN, queue)
                .map_err(|e| Failure::of_io("cannot set TCP_FASTOPEN", &e))?;
        }
        rustix::net::listen(&fd, backlog).at("cannot listen to socket")?;
        Ok(fd)
    }

    fn set_options(
        &self,
        fd: &OwnedFd,
        address: SocketAddr,
        listener: &Listener,
        frontend: &Proxy,
    ) -> Result<(), Failure> {
        let options = &listener.options;
        if address.is_ipv6() && (options.v6only || options.v4v6) {
            sockopt::set_ipv6_v6only(fd, options.v6only).at("cannot set IPV6_V6ONLY")?;
        }
        if options.transparent {
            make_foreign(fd, address).at("cannot make listening socket transparent")?;
        }
        if let Some(interface) = &options.interface {
            bind_device(fd, interface).at("cannot bind listener to device")?;
        }
        if let Some(mss) = options.mss {
            SockRef::from(fd).set_tcp_mss(mss).map_err(|e| Failure::of_io("cannot set MSS", &e))?;
        }
        #[cfg(target_os = "linux")]
        if options.defer_accept {
            let option = libc::TCP_DEFER_ACCEPT;
            sys::set_int(fd.as_fd(), libc::IPPROTO_TCP, option, DEFER_ACCEPT_S)
                .map_err(|e| Failure::of_io("cannot enable DEFER_ACCEPT", &e))?;
        }
        for option in self.inherited_options(listener, frontend) {
            // As on a connection: not worth a word.
            let _ = set(fd.as_fd(), option);
        }
        Ok(())
    }

    /// What connections inherit.
    fn inherited_options(&self, listener: &Listener, frontend: &Proxy) -> Vec<SockOpt> {
        let tunables = &self.site.tunables;
        let mut inherited = vec![SockOpt::NoDelay(true)];
        if frontend.options.has(Options::CLIENT_KEEPALIVE) {
            let probes = frontend.client_probes;
            inherited.push(SockOpt::KeepAlive(true));
            inherited.extend(probes.count.map(SockOpt::KeepCount));
            inherited.extend(probes.idle.map(SockOpt::KeepIdle));
            inherited.extend(probes.interval.map(SockOpt::KeepInterval));
        }
        if frontend.options.has(Options::SMART_ACCEPT) {
            inherited.push(SockOpt::QuickAck(false));
        }
        if tunables.rcvbuf_client > 0 {
            inherited.push(SockOpt::ReceiveBuffer(tunables.rcvbuf_client));
        }
        if tunables.sndbuf_client > 0 {
            inherited.push(SockOpt::SendBuffer(tunables.sndbuf_client));
        }
        inherited.extend(listener.options.user_timeout.map(SockOpt::UserTimeout));
        inherited
    }

    /// A descriptor that the process was started with. It listens already, or is made to.
    fn take_inherited(&mut self, number: i32, backlog: i32) -> Result<OwnedFd, Failure> {
        let fd = match self.inherited.entry(number) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                // The standard streams stay what they are.
                let fd = if number <= 2 {
                    sys::duplicate_inherited(number)
                } else {
                    sys::adopt_inherited(number)
                };
                free.insert(fd.map_err(|e| Failure::of_io("cannot use the descriptor", &e))?)
            }
        };
        let fd = fd.try_clone().map_err(|e| Failure::of_io("cannot copy the descriptor", &e))?;
        rustix::io::ioctl_fionbio(&fd, true).at("cannot make socket non-blocking")?;
        if !sockopt::socket_acceptconn(&fd).at("not a socket")? {
            rustix::net::listen(&fd, backlog).at("cannot listen to socket")?;
        }
        Ok(fd)
    }
}

/// Binds under a temporary name and renames it over the path, so that a new process takes the path
/// over from an old one without a moment at which nobody listens there.
fn open_unix(path: &str, listener: &Listener, backlog: i32) -> Result<OwnedFd, Failure> {
    let temporary = format!("{path}.{}.tmp", std::process::id());
    if temporary.len() > UNIX_PATH_MAX {
        let room = UNIX_PATH_MAX - (temporary.len() - path.len());
        return Err(Failure::new(format!("socket path too long (max {room})"), None));
    }
    let fd = stream(AddressFamily::UNIX).at("cannot create socket")?;
    remove(&temporary).at("error when trying to unlink previous UNIX socket")?;
    let address = SocketAddrUnix::new(temporary.as_str()).at("bad path")?;
    rustix::net::bind(&fd, &address).at("cannot bind UNIX socket")?;
    let done = (|| {
        let options = &listener.options;
        if options.uid.is_some() || options.gid.is_some() {
            let (uid, gid) = (options.uid.map(Uid::from_raw), options.gid.map(Gid::from_raw));
            rustix::fs::chown(temporary.as_str(), uid, gid).at("cannot change owner")?;
        }
        if let Some(mode) = options.mode {
            let mode = Mode::from_raw_mode(mode as rustix::fs::RawMode);
            rustix::fs::chmod(temporary.as_str(), mode).at("cannot change mode")?;
        }
        rustix::net::listen(&fd, backlog).at("cannot listen to socket")?;
        rustix::fs::renameat(CWD, temporary.as_str(), CWD, path)
            .at("cannot switch final and temporary UNIX sockets")
    })();
    if done.is_err() {
        let _ = remove(&temporary);
    }
    done.map(|()| fd)
}

fn remove(path: &str) -> Result<(), Errno> {
    match rustix::fs::unlink(Path::new(path)) {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

/// Lets a socket have an address that is not ours (`transparent`).
#[cfg(target_os = "linux")]
fn make_foreign(fd: &OwnedFd, address: SocketAddr) -> Result<(), Errno> {
    let socket = SockRef::from(fd);
    let done = if address.is_ipv4() {
        socket.set_ip_transparent_v4(true).or_else(|_| socket.set_freebind_v4(true))
    } else {
        socket.set_ip_transparent_v6(true).or_else(|_| socket.set_freebind_v6(true))
    };
    done.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}

#[cfg(not(target_os = "linux"))]
fn make_foreign(_fd: &OwnedFd, _address: SocketAddr) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

#[cfg(target_os = "linux")]
fn bind_device(fd: &OwnedFd, interface: &str) -> Result<(), Errno> {
    SockRef::from(fd)
        .bind_device(Some(interface.as_bytes()))
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}

#[cfg(not(target_os = "linux"))]
fn bind_device(_fd: &OwnedFd, _interface: &str) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

fn name_of(fd: &OwnedFd) -> Option<SocketAddr> {
    SocketAddr::try_from(rustix::net::getsockname(fd).ok()?).ok()
}

/// What failed, before it is known for whom.
#[derive(Debug)]
struct Failure {
    what: String,
    errno: Option<Errno>,
}

impl Failure {
    fn new(what: String, errno: Option<Errno>) -> Self {
        Failure { what, errno }
    }

    fn of_io(what: &str, error: &std::io::Error) -> Self {
        Failure::new(what.into(), Errno::from_io_error(error))
    }

    fn of(&self, listener: &Listener, frontend: &Proxy) -> Trouble {
        let kind = if frontend.role.has(Role::BACKEND) { "proxy" } else { "frontend" };
        let reason = self.errno.map(|errno| format!(" ({})", words(errno))).unwrap_or_default();
        let text = format!(
            "Binding [{}] for {kind} {}: {}{reason} for [{}]",
            listener.place,
            frontend.name,
            self.what,
            Shown(&listener.address),
        );
        Trouble { text, taken: self.errno == Some(Errno::ADDRINUSE) }
    }
}

/// The system's words for an error, without the number that std appends.
pub fn words(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// An address as HAProxy writes it.
pub struct Shown<'a>(pub &'a Address);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Address::Inet(SocketAddr::V4(v4)) => write!(f, "{v4}"),
            Address::Inet(SocketAddr::V6(v6)) => write!(f, "{}:{}", v6.ip(), v6.port()),
            Address::Unix(path) => f.write_str(path),
            Address::Abstract(name) => write!(f, "abns@{name}"),
            Address::Fd(number) => write!(f, "fd@{number}"),
        }
    }
}

trait At<T> {
    fn at(self, what: &str) -> Result<T, Failure>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, what: &str) -> Result<T, Failure> {
        self.map_err(|errno| Failure::new(what.into(), Some(errno)))
    }
}
