//! Kernel pipes for splicing. Linux only; elsewhere none can be opened.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use slab::Slab;
use tidegate_core::poller::Pipe;

/// The pipes of one engine.
#[derive(Debug, Default)]
pub struct Pipes {
    open: Slab<Ends>,
}

#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipes {
    /// Closes a pipe, losing what is in it.
    pub fn close(&mut self, pipe: Pipe) {
        self.open.try_remove(pipe.0 as usize);
    }
}

#[cfg(target_os = "linux")]
impl Pipes {
    /// Opens a pipe of about `bytes` capacity: less if the system allows a user no more.
    pub fn open(&mut self, bytes: u32) -> Result<Pipe, Errno> {
        use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Beyond /proc/sys/fs/pipe-max-size, or pipe-user-pages-soft for all pipes of the user,
        // the system refuses: then half of that, down to what a pipe has anyway.
        let mut size = bytes as usize;
        while size > DEFAULT_SIZE && fcntl_setpipe_size(&write, size).is_err() {
            size /= 2;
        }
        Ok(Pipe(self.open.insert(Ends { read, write }) as u32))
    }

    /// Moves up to `max` bytes from a socket into a pipe.
    pub fn fill(&self, from: BorrowedFd<'_>, pipe: Pipe, max: usize) -> Result<usize, Errno> {
        let ends = self.open.get(pipe.0 as usize).ok_or(Errno::BADF)?;
        rustix::pipe::splice(from, None, &ends.write, None, max, flags(false))
    }

    /// Moves up to `max` bytes from a pipe to a socket.
    pub fn drain(
        &self,
        pipe: Pipe,
        to: BorrowedFd<'_>,
        max: usize,
        more: bool,
    ) -> Result<usize, Errno> {
        let ends = self.open.get(pipe.0 as usize).ok_or(Errno::BADF)?;
        rustix::pipe::splice(&ends.read, None, to, None, max, flags(more))
    }
}

#[cfg(target_os = "linux")]
const DEFAULT_SIZE: usize = 65_536;

#[cfg(target_os = "linux")]
fn flags(more: bool) -> rustix::pipe::SpliceFlags {
    use rustix::pipe::SpliceFlags;

    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    if more { flags | SpliceFlags::MORE } else { flags }
}

#[cfg(not(target_os = "linux"))]
impl Pipes {
    /// There are no pipes to splice through here.
    pub fn open(&mut self, _bytes: u32) -> Result<Pipe, Errno> {
        Err(Errno::NOSYS)
    }

    /// See [`Pipes::open`].
    pub fn fill(&self, _from: BorrowedFd<'_>, _pipe: Pipe, _max: usize) -> Result<usize, Errno> {
        Err(Errno::NOSYS)
    }

    /// See [`Pipes::open`].
    pub fn drain(
        &self,
        _pipe: Pipe,
        _to: BorrowedFd<'_>,
        _max: usize,
        _more: bool,
    ) -> Result<usize, Errno> {
        Err(Errno::NOSYS)
    }
}
