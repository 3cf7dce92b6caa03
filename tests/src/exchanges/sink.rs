//! The log sink: a UDP and a unix datagram socket that receive what the proxy logs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Longest datagram; haproxy's default `len` is 1024, a scenario may ask for more.
const LINE_MAX: usize = 65536;

#[derive(Debug)]
pub struct Sink {
    udp: UdpSocket,
    unix: UnixDatagram,
    path: PathBuf,
    /// Lines so far, each without its end of line.
    pub lines: Vec<String>,
}

impl Sink {
    pub fn open(dir: &Path) -> io::Result<Self> {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let path = dir.join("log");
        let unix = UnixDatagram::bind(&path)?;
        udp.set_nonblocking(true)?;
        unix.set_nonblocking(true)?;
        Ok(Self { udp, unix, path, lines: Vec::new() })
    }

    pub fn udp(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    pub fn unix(&self) -> &Path {
        &self.path
    }

    /// Receives until there are `lines` lines, or `wait` is over. True if there are.
    pub fn until(&mut self, lines: usize, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        loop {
            self.take();
            let left = deadline.saturating_duration_since(Instant::now());
            if self.lines.len() >= lines || left.is_zero() {
                return self.lines.len() >= lines;
            }
            let mut fds =
                [PollFd::new(&self.udp, PollFlags::IN), PollFd::new(&self.unix, PollFlags::IN)];
            // A failed poll only makes the loop look again before its deadline.
            let _ = poll(&mut fds, Some(&timespec(left)));
        }
    }

    fn take(&mut self) {
        let mut line = vec![0; LINE_MAX];
        while let Ok(len) = self.udp.recv(&mut line) {
            self.lines.push(String::from_utf8_lossy(&line[..len]).trim_end().to_owned());
        }
        while let Ok(len) = self.unix.recv(&mut line) {
            self.lines.push(String::from_utf8_lossy(&line[..len]).trim_end().to_owned());
        }
    }
}

/// Rounded up to a millisecond.
pub fn timespec(wait: Duration) -> Timespec {
    let ms = i64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(i64::MAX);
    Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 }
}
