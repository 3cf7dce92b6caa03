//! The few system calls that no safe wrapper offers. All unsafe code of the daemon is in this file.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, socklen_t};

/// Sets a socket option that is one C integer.
pub fn set_int(fd: BorrowedFd<'_>, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    let len = size_of::<c_int>() as socklen_t;
    // SAFETY: the descriptor is open for the call, and the pointer and length describe `value`.
    let rc =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), len) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads a socket option that is one C integer.
#[cfg(all(test, target_os = "linux"))]
pub fn get_int(fd: BorrowedFd<'_>, level: c_int, option: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as socklen_t;
    // SAFETY: the descriptor is open for the call, and the kernel writes at most `len` bytes, which
    // is the size of `value`.
    let rc = unsafe {
        libc::getsockopt(fd.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut len)
    };
    if rc == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Words of `struct tcp_info` that we read: up to and including `tcpi_reordering`.
const TCP_INFO_WORDS: usize = 23;

/// The front of the kernel's `struct tcp_info`, as 32-bit words. Its layout is part of Linux's ABI
/// and only ever grows at the end.
#[cfg(target_os = "linux")]
pub fn tcp_info(fd: BorrowedFd<'_>) -> Option<[u32; TCP_INFO_WORDS]> {
    let mut words = [0_u32; TCP_INFO_WORDS];
    let mut len = size_of_val(&words) as socklen_t;
    // SAFETY: the descriptor is open for the call; the kernel writes at most `len` bytes, which is
    // the size of `words`, and any bit pattern is a valid u32.
    let rc = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            words.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    (rc == 0 && len as usize == size_of_val(&words)).then_some(words)
}

/// Takes over a descriptor that the process inherited and that the configuration names by number.
/// Fails if no such descriptor is open.
pub fn adopt_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only asks whether the descriptor is open.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open; the caller takes each number once, before the process opens anything
    // under a number that the configuration could name.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A new descriptor for what an inherited one refers to; the original stays open.
pub fn duplicate_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC on a closed number fails with EBADF and does nothing else.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Which side of a fork we are on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forked {
    /// The original process; the child's id.
    Parent(u32),
    /// The new one.
    Child,
}

/// Forks. The caller holds no thread but its own: the child may then do whatever it likes.
pub fn fork() -> io::Result<Forked> {
    assert_eq!(threads(), 1, "a process with threads must not fork");
    // SAFETY: only a forked child of a process with several threads is restricted to
    // async-signal-safe calls; the assertion above says that this one has a single thread.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid.cast_unsigned())),
    }
}

/// Threads of this process, as far as the system tells; else 1.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, |tasks| tasks.count().max(1))
}

/// Gives free pages of the C allocator back to the system. Nothing without glibc.
pub fn trim_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes the allocator's own locks and touches only free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}
