//! One end of a stream connection, TCP or unix, with a buffer for reading. Nothing it does takes
//! longer than [`PATIENCE`]: then it is an error of the kind `TimedOut`.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::PATIENCE;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    Inet(SocketAddr),
    Unix(PathBuf),
}

impl From<SocketAddr> for At {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
}

impl Wire {
    pub fn connect(at: impl Into<At>) -> io::Result<Self> {
        Self::connect_with(at, |_| Ok(()))
    }

    /// The same with options that must be set before.
    pub fn connect_with(
        at: impl Into<At>,
        set: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> io::Result<Self> {
        let at = at.into();
        let domain = match &at {
            At::Inet(address) => Domain::for_address(*address),
            At::Unix(_) => Domain::UNIX,
        };
        let socket = Socket::new(domain, Type::STREAM, None)?;
        set(&socket)?;
        match at {
            At::Inet(address) => socket.connect_timeout(&address.into(), PATIENCE)?,
            At::Unix(path) => socket.connect(&SockAddr::unix(path)?)?,
        }
        Self::new(socket)
    }

    /// A connection that was accepted.
    pub fn new(socket: Socket) -> io::Result<Self> {
        if socket.domain()? != Domain::UNIX {
            socket.set_tcp_nodelay(true)?;
        }
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, buffer: vec![0; 65_536].into(), begin: 0, end: 0 })
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// What is here and not yet consumed, after waiting for at least one byte; empty at the end.
    pub fn fill(&mut self) -> io::Result<&[u8]> {
        if self.begin == self.end {
            self.begin = 0;
            self.end = 0;
            self.end = patiently(|| (&self.socket).read(&mut self.buffer))?;
        }
        Ok(&self.buffer[self.begin..self.end])
    }

    pub fn consume(&mut self, n: usize) {
        self.begin += n;
        assert!(self.begin <= self.end, "consumed more than there was");
    }

    /// Whether nothing comes within `time`: neither a byte nor the end. Slowness of the other side
    /// looks like this too.
    pub fn is_silent(&mut self, time: Duration) -> io::Result<bool> {
        self.socket.set_read_timeout(Some(time))?;
        let silent = match self.fill() {
            Ok(_) => false,
            Err(error) if error.kind() == ErrorKind::TimedOut => true,
            Err(error) => return Err(error),
        };
        self.socket.set_read_timeout(Some(PATIENCE))?;
        Ok(silent)
    }

    /// Reads to the end and gives every piece to `sink`.
    pub fn read_to_end(&mut self, mut sink: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        loop {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                return Ok(());
            }
            sink(bytes)?;
            let n = bytes.len();
            self.consume(n);
        }
    }

    /// Ends our direction.
    pub fn finish(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Closes with a reset instead of an end.
    pub fn reset(self) {
        // Where this fails the connection is gone already.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Another handle of the same connection, for a thread that writes while this one reads.
    pub fn writer(&self) -> io::Result<Socket> {
        self.socket.try_clone()
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        patiently(|| (&self.socket).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A timeout of a socket shows as `WouldBlock` on Linux.
fn patiently<T>(mut action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match action() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(ErrorKind::TimedOut.into());
            }
            done => return done,
        }
    }
}
