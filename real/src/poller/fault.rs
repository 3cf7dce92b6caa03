//! From the system's error numbers to the core's faults.

use rustix::io::Errno;
use tidegate_core::fault::Fault;

/// What an error number means to the core.
pub fn fault(errno: Errno) -> Fault {
    match errno {
        Errno::CONNREFUSED | Errno::NOENT => Fault::Refused,
        Errno::CONNRESET | Errno::CONNABORTED => Fault::Reset,
        Errno::PIPE => Fault::BrokenPipe,
        Errno::TIMEDOUT => Fault::TimedOut,
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => {
            Fault::Unreachable
        }
        Errno::MFILE | Errno::NFILE => Fault::NoDescriptors,
        Errno::NOMEM | Errno::NOBUFS => Fault::NoMemory,
        Errno::ADDRNOTAVAIL => Fault::NoPorts,
        Errno::ADDRINUSE => Fault::AddressInUse,
        Errno::PERM | Errno::ACCESS => Fault::Denied,
        other => Fault::Other(other.raw_os_error()),
    }
}

/// The same for an error of std, mio or socket2.
pub fn fault_of(error: &std::io::Error) -> Fault {
    Errno::from_io_error(error).map_or(Fault::Other(0), fault)
}

/// What a failed `connect` means, where it differs.
pub fn connect_fault(errno: Errno, unix: bool) -> Fault {
    match errno {
        // The backlog of a unix listener is full: the server, not we, is short of something.
        Errno::AGAIN if unix => Fault::Refused,
        // Linux: every port towards this address is taken.
        Errno::AGAIN | Errno::ADDRINUSE => Fault::NoPorts,
        // A path that is no socket.
        Errno::NOTSOCK => Fault::Refused,
        other => fault(other),
    }
}
