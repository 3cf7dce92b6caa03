//! Making, naming and tuning stream sockets: what both the poller and the binding need.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use core::net::{IpAddr, SocketAddr};

use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SendFlags, SocketAddrAny, SocketAddrUnix};
use tidegate_core::poller::{Address, ConnectSpec, More, Peer, SockOpt, TcpInfo};

use crate::sys;

/// A non-blocking stream socket that a child does not inherit.
#[cfg(target_os = "linux")]
pub fn stream(family: AddressFamily) -> Result<OwnedFd, Errno> {
    use rustix::net::{SocketFlags, SocketType, socket_with};

    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, SocketType::STREAM, flags, None)
}

/// A non-blocking stream socket that a child does not inherit.
#[cfg(not(target_os = "linux"))]
pub fn stream(family: AddressFamily) -> Result<OwnedFd, Errno> {
    let fd = rustix::net::socket(family, rustix::net::SocketType::STREAM, None)?;
    private_and_nonblocking(&fd)?;
    Ok(fd)
}

/// Takes one connection from a listener; the new socket does not block.
#[cfg(target_os = "linux")]
pub fn accept(listener: BorrowedFd<'_>) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    use rustix::net::{SocketFlags, acceptfrom_with};

    acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
}

/// Takes one connection from a listener; the new socket does not block.
#[cfg(not(target_os = "linux"))]
pub fn accept(listener: BorrowedFd<'_>) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    let (fd, from) = rustix::net::acceptfrom(listener)?;
    private_and_nonblocking(&fd)?;
    Ok((fd, from))
}

#[cfg(not(target_os = "linux"))]
fn private_and_nonblocking(fd: &OwnedFd) -> Result<(), Errno> {
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(fd, true)
}

/// How to send: a dead peer is an error and no signal, and more may be announced.
pub fn send_flags(more: More) -> SendFlags {
    #[cfg(target_os = "linux")]
    return match more {
        More::No => SendFlags::NOSIGNAL,
        More::Yes => SendFlags::NOSIGNAL | SendFlags::MORE,
    };
    // The signal is ignored anyway, and nothing is lost if the kernel does not wait for more.
    #[cfg(not(target_os = "linux"))]
    {
        let _ = more;
        SendFlags::empty()
    }
}

/// Whether an `accept` failed because the connection that it took had died already: the next may be
/// well. Linux hands over the pending error of the connection (accept(2)).
pub fn died_in_the_queue(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INTR
            | Errno::CONNABORTED
            | Errno::PROTO
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NOPROTOOPT
    )
}

/// Starts a connection and leaves it to itself.
pub fn connect(spec: &ConnectSpec<'_>) -> Result<OwnedFd, Errno> {
    let fd = match spec.to {
        Address::Inet(SocketAddr::V4(_)) => stream(AddressFamily::INET)?,
        Address::Inet(SocketAddr::V6(_)) => stream(AddressFamily::INET6)?,
        Address::Unix(_) | Address::Abstract(_) => stream(AddressFamily::UNIX)?,
        Address::Fd(_) => return Err(Errno::INVAL),
    };
    for option in spec.options {
        // Not worth failing for: a unix socket has no TCP options.
        let _ = set(fd.as_fd(), *option);
    }
    if let Some(from) = spec.from {
        bind_source(fd.as_fd(), from)?;
    }
    let started = match spec.to {
        Address::Inet(to) => rustix::net::connect(&fd, to),
        Address::Unix(path) => rustix::net::connect(&fd, &SocketAddrUnix::new(&**path)?),
        Address::Abstract(name) => rustix::net::connect(&fd, &abstract_address(name)?),
        Address::Fd(_) => unreachable!("refused above"),
    };
    match started {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(fd),
        Err(errno) => Err(errno),
    }
}

/// Binds the local end of a connection. Without a port, the port is chosen when it connects, so
/// that one port can serve connections to different places.
fn bind_source(fd: BorrowedFd<'_>, from: SocketAddr) -> Result<(), Errno> {
    if from.port() == 0 {
        #[cfg(target_os = "linux")]
        let _ = sys::set_int(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);
    } else {
        sockopt::set_socket_reuseaddr(fd, true)?;
    }
    rustix::net::bind(fd, &from)
}

/// The address of a name in the abstract namespace.
pub fn abstract_address(name: &str) -> Result<SocketAddrUnix, Errno> {
    #[cfg(target_os = "linux")]
    return SocketAddrUnix::new_abstract_name(name.as_bytes());
    #[cfg(not(target_os = "linux"))]
    {
        let _ = name;
        Err(Errno::AFNOSUPPORT)
    }
}

/// Sets an option of a live socket.
pub fn set(fd: BorrowedFd<'_>, option: SockOpt) -> Result<(), Errno> {
    match option {
        SockOpt::NoDelay(on) => sockopt::set_tcp_nodelay(fd, on),
        SockOpt::KeepAlive(on) => sockopt::set_socket_keepalive(fd, on),
        SockOpt::ReceiveBuffer(bytes) => sockopt::set_socket_recv_buffer_size(fd, bytes as usize),
        SockOpt::SendBuffer(bytes) => sockopt::set_socket_send_buffer_size(fd, bytes as usize),
        SockOpt::NoLinger => sockopt::set_socket_linger(fd, Some(std::time::Duration::ZERO)),
        #[cfg(not(target_os = "openbsd"))]
        SockOpt::KeepIdle(after) => sockopt::set_tcp_keepidle(fd, seconds(after)),
        #[cfg(not(target_os = "openbsd"))]
        SockOpt::KeepInterval(every) => sockopt::set_tcp_keepintvl(fd, seconds(every)),
        #[cfg(not(target_os = "openbsd"))]
        SockOpt::KeepCount(probes) => sockopt::set_tcp_keepcnt(fd, probes),
        #[cfg(target_os = "linux")]
        SockOpt::UserTimeout(timeout) => {
            let ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
            sockopt::set_tcp_user_timeout(fd, ms)
        }
        #[cfg(target_os = "linux")]
        SockOpt::QuickAck(on) => sockopt::set_tcp_quickack(fd, on),
        SockOpt::Tos(tos) => set_tos(fd, tos),
        #[cfg(target_os = "linux")]
        SockOpt::Mark(mark) => {
            sys::set_int(fd, libc::SOL_SOCKET, libc::SO_MARK, mark.cast_signed())
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
        }
        #[cfg(not(target_os = "linux"))]
        _ => Ok(()),
    }
}

/// Marks the packets of a connection. One that comes from an IPv4 address to a socket of IPv6 sends
/// IPv4 packets.
fn set_tos(fd: BorrowedFd<'_>, tos: u8) -> Result<(), Errno> {
    let at = SocketAddr::try_from(rustix::net::getsockname(fd)?)?;
    match at.ip().to_canonical() {
        IpAddr::V4(_) => sockopt::set_ip_tos(fd, tos),
        IpAddr::V6(_) => sockopt::set_ipv6_tclass(fd, tos.into()),
    }
}

/// Makes a socket leave without a word when it is closed.
///
/// What has come is read and acknowledged, so that the peer has no reason to send it again and to be
/// answered by a reset. In repair mode, which needs `CAP_NET_ADMIN`, the kernel then forgets the
/// connection. Where that is not allowed, the reset gets no further than the first router: the peer
/// on our own network sees it.
pub fn silence(fd: BorrowedFd<'_>) {
    /// At most so many bytes are read: a peer that goes on sending is reset.
    const READS_MAX: usize = 4;
    let mut bytes = [0; 16_384];
    for _ in 0..READS_MAX {
        match rustix::net::recv(fd, &mut bytes, rustix::net::RecvFlags::DONTWAIT) {
            Ok((_, 1..)) => {}
            _ => break,
        }
    }
    let _ = set(fd, SockOpt::QuickAck(true));
    #[cfg(target_os = "linux")]
    if sys::set_int(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR, 1).is_ok() {
        return;
    }
    let _ = sockopt::set_ip_ttl(fd, 1);
    let _ = sockopt::set_ipv6_unicast_hops(fd, Some(1));
    let _ = set(fd, SockOpt::NoLinger);
}

/// The kernel counts keep-alive times in seconds, of at least one.
fn seconds(length: tidegate_core::time::Duration) -> std::time::Duration {
    let ms = length.as_millis().max(1);
    std::time::Duration::from_secs(ms.div_ceil(1000))
}

/// What the kernel knows of a connection or a listener.
pub fn info(fd: BorrowedFd<'_>) -> Option<TcpInfo> {
    #[cfg(target_os = "linux")]
    {
        let words = sys::tcp_info(fd)?;
        Some(TcpInfo {
            rtt_us: words[17],
            rtt_var_us: words[18],
            unacked: words[6],
            sacked: words[7],
            lost: words[8],
            retrans: words[9],
            fackets: words[10],
            reordering: words[22],
        })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = fd;
        None
    }
}

/// The end of a connection as the core knows it.
pub fn peer(address: &SocketAddrAny) -> Option<Peer> {
    match address.address_family() {
        AddressFamily::UNIX => Some(Peer::Unix),
        _ => SocketAddr::try_from(address.clone()).ok().map(Peer::Inet),
    }
}

/// Whether it is a socket of the internet families.
pub fn is_inet(fd: impl AsFd) -> bool {
    rustix::net::getsockname(fd).is_ok_and(|name| {
        matches!(name.address_family(), AddressFamily::INET | AddressFamily::INET6)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Both ends of a connection to `at`, as a listener at `on` takes it.
    fn pair(on: &str, at: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(on).expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let client = TcpStream::connect((at, port)).expect("a connection");
        (listener.accept().expect("its other end").0, client)
    }

    #[test]
    fn packets_carry_the_mark_of_their_own_protocol() {
        let (four, _c) = pair("127.0.0.1:0", "127.0.0.1");
        set(four.as_fd(), SockOpt::Tos(0x10)).unwrap();
        assert_eq!(sockopt::ip_tos(&four).unwrap(), 0x10);
        let (mapped, _c) = pair("[::]:0", "127.0.0.1");
        set(mapped.as_fd(), SockOpt::Tos(0x20)).unwrap();
        assert_eq!(sockopt::ip_tos(&mapped).unwrap(), 0x20);
        let (six, _c) = pair("[::1]:0", "::1");
        set(six.as_fd(), SockOpt::Tos(0x40)).unwrap();
        assert_eq!(sockopt::ipv6_tclass(&six).unwrap(), 0x40);
    }

    #[test]
    fn marking_takes_a_privilege() {
        let (end, _c) = pair("127.0.0.1:0", "127.0.0.1");
        let told = set(end.as_fd(), SockOpt::Mark(7));
        assert!(matches!(told, Ok(()) | Err(Errno::PERM)), "{told:?}");
        if told.is_ok() {
            assert_eq!(sys::get_int(end.as_fd(), libc::SOL_SOCKET, libc::SO_MARK).unwrap(), 7);
        }
    }

    #[test]
    fn the_kernel_tells_of_a_connection_and_not_of_a_unix_socket() {
        let (end, _c) = pair("127.0.0.1:0", "127.0.0.1");
        let info = info(end.as_fd()).expect("figures");
        assert!((1..1_000_000).contains(&info.rtt_us), "{info:?}");
        assert!((1..1_000_000).contains(&info.rtt_var_us), "{info:?}");
        assert!((1..=300).contains(&info.reordering), "{info:?}");
        assert_eq!((info.lost, info.retrans), (0, 0));
        let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(super::info(unix.as_fd()), None);
    }
}
