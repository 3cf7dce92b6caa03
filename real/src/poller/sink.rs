//! Where log messages go: a datagram socket, or a descriptor that takes whole lines. A sink never
//! blocks; what it does not take is the caller's to count.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};

use core::net::SocketAddr;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType};
use tidegate_core::poller::{Address, More};
use tidegate_core::proxy::spec::Sink;

use super::socket::{abstract_address, send_flags};
use crate::sys;

/// An open log target of one engine.
#[derive(Debug)]
pub enum Output {
    /// Each message is a datagram.
    Datagram(Datagram),
    /// Each message is a line of a stream.
    Stream(Stream),
}

impl Output {
    /// Opens a target of the configuration. A unix socket that nobody reads yet is no error: it is
    /// tried again with each batch. With `quiet`, the standard streams lead nowhere.
    pub fn open(sink: &Sink, quiet: bool) -> io::Result<Output> {
        let inherited = match sink {
            Sink::Datagram(address) => return Ok(Output::Datagram(Datagram::open(address)?)),
            Sink::Stdout | Sink::Stderr if quiet => {
                let flags = OFlags::WRONLY | OFlags::CLOEXEC;
                rustix::fs::open("/dev/null", flags, Mode::empty())?
            }
            Sink::Stdout => io::stdout().as_fd().try_clone_to_owned()?,
            Sink::Stderr => io::stderr().as_fd().try_clone_to_owned()?,
            Sink::Fd(number) => sys::duplicate_inherited(*number)?,
        };
        Ok(Output::Stream(Stream::new(inherited)?))
    }

    /// Sends whole messages in order and returns how many were taken.
    pub fn send(&mut self, messages: &[IoSlice<'_>]) -> usize {
        match self {
            Output::Datagram(datagram) => datagram.send(messages),
            Output::Stream(stream) => stream.send(messages),
        }
    }
}

/// A connected datagram socket that finds its peer again after that was restarted.
#[derive(Debug)]
pub struct Datagram {
    fd: OwnedFd,
    to: Target,
    connected: bool,
}

#[derive(Debug)]
enum Target {
    Inet(SocketAddr),
    Unix(SocketAddrUnix),
}

impl Datagram {
    fn open(address: &Address) -> io::Result<Self> {
        let (family, to) = match address {
            Address::Inet(to @ SocketAddr::V4(_)) => (AddressFamily::INET, Target::Inet(*to)),
            Address::Inet(to @ SocketAddr::V6(_)) => (AddressFamily::INET6, Target::Inet(*to)),
            Address::Unix(path) => {
                (AddressFamily::UNIX, Target::Unix(SocketAddrUnix::new(&**path)?))
            }
            Address::Abstract(name) => (AddressFamily::UNIX, Target::Unix(abstract_address(name)?)),
            Address::Fd(_) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let mut datagram = Datagram { fd: socket(family)?, to, connected: false };
        datagram.connect();
        Ok(datagram)
    }

    fn connect(&mut self) {
        self.connected = match &self.to {
            Target::Inet(to) => rustix::net::connect(&self.fd, to),
            Target::Unix(to) => rustix::net::connect(&self.fd, to),
        }
        .is_ok();
    }

    fn send(&mut self, messages: &[IoSlice<'_>]) -> usize {
        if !self.connected {
            self.connect();
        }
        let mut taken = 0;
        let mut rest = messages;
        // One message in trouble gets one more chance: an error may be about an earlier one, and
        // a unix socket whose reader was restarted must be connected anew.
        let mut again = true;
        while self.connected && !rest.is_empty() {
            match send_batch(&self.fd, rest) {
                Ok(n) => {
                    taken += n;
                    rest = &rest[n..];
                    again = true;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => break,
                Err(Errno::MSGSIZE) => rest = &rest[1..],
                Err(_) if again => {
                    again = false;
                    self.connect();
                }
                Err(_) => self.connected = false,
            }
        }
        taken
    }
}

#[cfg(target_os = "linux")]
fn socket(family: AddressFamily) -> Result<OwnedFd, Errno> {
    use rustix::net::{SocketFlags, socket_with};

    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, SocketType::DGRAM, flags, None)
}

#[cfg(not(target_os = "linux"))]
fn socket(family: AddressFamily) -> Result<OwnedFd, Errno> {
    let fd = rustix::net::socket(family, SocketType::DGRAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(fd)
}

/// Messages that go with one system call.
#[cfg(target_os = "linux")]
const BATCH: usize = 32;

/// Sends up to a batch of messages; at least one was taken if there is no error.
#[cfg(target_os = "linux")]
fn send_batch(fd: &OwnedFd, messages: &[IoSlice<'_>]) -> Result<usize, Errno> {
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, sendmmsg};

    if let [message] = messages {
        return rustix::net::send(fd, message, send_flags(More::No)).map(|_| 1);
    }
    let count = messages.len().min(BATCH);
    let mut controls: [_; BATCH] = std::array::from_fn(|_| SendAncillaryBuffer::default());
    let mut controls = controls.iter_mut();
    let mut headers: [_; BATCH] = std::array::from_fn(|i| {
        let of = if i < count { &messages[i..=i] } else { &[] };
        MMsgHdr::new(of, controls.next().expect("there are as many as headers"))
    });
    sendmmsg(fd, &mut headers[..count], send_flags(More::No))
}

#[cfg(not(target_os = "linux"))]
fn send_batch(fd: &OwnedFd, messages: &[IoSlice<'_>]) -> Result<usize, Errno> {
    rustix::net::send(fd, &messages[0], send_flags(More::No)).map(|_| 1)
}

/// A descriptor that the process was given: a pipe, a terminal, a file or a stream socket.
#[derive(Debug)]
pub struct Stream {
    fd: OwnedFd,
    socket: bool,
    /// The end of a line of which the kernel took only a part.
    rest: Vec<u8>,
}

/// What a pipe takes whole or not at all (POSIX: `PIPE_BUF`, at least 512; Linux: 4096). Lines of
/// several engines and processes do not mix up to this size.
const WHOLE: usize = 4096;

/// Lines that go with one system call.
const LINES: usize = 64;

impl Stream {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
        let fd = match kind {
            FileType::Fifo | FileType::CharacterDevice => nonblocking(fd)?,
            _ => fd,
        };
        Ok(Stream { fd, socket: kind == FileType::Socket, rest: Vec::new() })
    }

    fn send(&mut self, messages: &[IoSlice<'_>]) -> usize {
        let mut taken = 0;
        while self.finish_line() && taken < messages.len() {
            let batch = batch(&messages[taken..]);
            let Ok(written) = self.write(batch) else { break };
            taken += self.settle(batch, written);
        }
        taken
    }

    /// Writes what is left of a line that was cut; false if something still is.
    fn finish_line(&mut self) -> bool {
        if self.rest.is_empty() {
            return true;
        }
        if let Ok(n) = self.write(&[IoSlice::new(&self.rest)]) {
            self.rest.drain(..n);
        }
        self.rest.is_empty()
    }

    /// How many lines of `batch` count as taken after `written` bytes: a line that was begun is
    /// taken, and its end is kept.
    fn settle(&mut self, batch: &[IoSlice<'_>], mut written: usize) -> usize {
        for (i, line) in batch.iter().enumerate() {
            if written == 0 {
                return i;
            }
            if written < line.len() {
                self.rest.extend_from_slice(&line[written..]);
                return i + 1;
            }
            written -= line.len();
        }
        batch.len()
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        loop {
            let written = if self.socket {
                let flags = SendFlags::DONTWAIT | send_flags(More::No);
                rustix::net::sendmsg(&self.fd, slices, &mut Default::default(), flags)
            } else {
                rustix::io::writev(&self.fd, slices)
            };
            match written {
                Err(Errno::INTR) => {}
                Ok(0) => return Err(Errno::AGAIN),
                done => return done,
            }
        }
    }
}

/// The first lines that a pipe takes whole together; at least one.
fn batch<'a, 'b>(messages: &'a [IoSlice<'b>]) -> &'a [IoSlice<'b>] {
    let mut bytes = 0;
    let fit = messages.iter().take(LINES).take_while(|line| {
        bytes += line.len();
        bytes <= WHOLE
    });
    &messages[..fit.count().max(1)]
}

/// The same pipe or terminal without blocking. Others use it too, and whether it blocks belongs to
/// the opened file and not to the descriptor: so it is opened anew where the system can do that.
fn nonblocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;

    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    if let Ok(own) = rustix::fs::open(path, flags, Mode::empty()) {
        return Ok(own);
    }
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn lines<'a>(texts: &'a [&'a str]) -> Vec<IoSlice<'a>> {
        texts.iter().map(|text| IoSlice::new(text.as_bytes())).collect()
    }

    #[test]
    fn datagrams_keep_their_borders_and_find_a_restarted_reader() {
        let dir = std::env::temp_dir().join(format!("tidegate-sink-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let path = dir.join("log");
        let to = Address::Unix(path.to_str().expect("a plain path").into());

        let mut output = Output::open(&Sink::Datagram(to), false).expect("nobody need listen yet");
        assert_eq!(output.send(&lines(&["lost"])), 0);

        for round in 0..2 {
            let _ = std::fs::remove_file(&path);
            let reader = UnixDatagram::bind(&path).expect("a path that is free");
            assert_eq!(output.send(&lines(&["one", "two", "three"])), 3, "round {round}");
            let mut into = [0; 16];
            for expected in ["one", "two", "three"] {
                let n = reader.recv(&mut into).expect("it was sent");
                assert_eq!(&into[..n], expected.as_bytes());
            }
        }
        std::fs::remove_dir_all(&dir).expect("ours");
    }

    #[test]
    fn a_reader_that_is_gone_does_not_end_the_log() {
        let gone = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = gone.local_addr().expect("it is bound");
        drop(gone);
        let sink = Sink::Datagram(Address::Inet(address));
        let mut output = Output::open(&sink, false).expect("nobody need listen");
        // The kernel reports each loss with the next message.
        for _ in 0..3 {
            assert_eq!(output.send(&lines(&["one", "two"])), 2);
        }
    }

    #[test]
    fn a_full_pipe_takes_whole_lines_and_does_not_block() {
        let (read, write) = std::io::pipe().expect("a pipe");
        let mut stream = Stream::new(write.into()).expect("a pipe is a stream");
        let long = "x".repeat(1000) + "\n";
        let huge = "y".repeat(10_000) + "\n";
        let mut sent = String::new();
        // Until nothing fits any more; 64 KB is what a pipe holds.
        loop {
            let texts = [long.as_str(), huge.as_str(), long.as_str()];
            let taken = stream.send(&lines(&texts));
            texts[..taken].iter().for_each(|text| sent.push_str(text));
            if taken < texts.len() {
                break;
            }
        }
        assert!(sent.len() >= 60_000, "{}", sent.len());

        // A reader appears: the cut line is finished first, then the next.
        let reader = std::thread::spawn(move || {
            let mut read = read;
            let mut got = String::new();
            read.read_to_string(&mut got).map(|_| got)
        });
        while stream.send(&lines(&["end\n"])) == 0 {
            std::thread::yield_now();
        }
        drop(stream);
        let got = reader.join().expect("no panic").expect("text");
        assert!(got == sent + "end\n", "lines were cut or mixed");
    }
}
