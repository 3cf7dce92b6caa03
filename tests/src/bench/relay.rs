//! The floor: a TCP relay that parses nothing. One connection to the origin for each client, made
//! when the client is accepted and kept as long as it stays. What a proxy costs beyond this is its
//! own.
//!
//! Data goes through one 64 KB buffer of the thread and is sent at once; only what the kernel
//! refuses is kept with the connection. The end of the origin's side ends both; the client's is
//! passed on as a half-close.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::thread;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use socket2::{Domain, Socket, Type};

use super::poll::{ENDED, EventFlags, Poll, READABLE, STREAM};

const BUFFER: usize = 64 * 1024;
const BACKLOG: i32 = 4096;
const LISTENER: usize = usize::MAX;
/// Sides of a pair: the client's and the origin's.
const CLIENT: usize = 0;
const ORIGIN: usize = 1;

/// Listens on `port` of 127.0.0.1 for one of several threads that share it.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Relays on `threads` threads until the process is ended.
pub fn run(port: u16, origin: u16, threads: usize) -> io::Result<()> {
    // All listeners exist before the first one serves, or early clients would all be its own.
    let listeners = (0..threads).map(|_| listen(port)).collect::<io::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let serve = |listener| Relay::new(listener, origin)?.serve();
        let mut listeners = listeners.into_iter();
        let own = listeners.next();
        for listener in listeners {
            scope.spawn(move || serve(listener));
        }
        own.map_or(Ok(()), serve)
    })
}

/// One thread's share.
pub struct Relay {
    poll: Poll,
    listener: TcpListener,
    origin: SocketAddrV4,
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

/// A client and its connection to the origin.
struct Pair {
    sides: [TcpStream; 2],
    /// What each side could not take yet. An idle pair has none, and a slice is smaller than a Vec.
    backlog: [Option<Box<[u8]>>; 2],
}

/// What became of a pair.
#[derive(PartialEq, Eq)]
enum Fate {
    Stays,
    Ends,
}

impl Relay {
    pub fn new(listener: TcpListener, origin: u16) -> io::Result<Self> {
        let poll = Poll::new(256)?;
        poll.add(&listener, LISTENER, EventFlags::IN)?;
        Ok(Self {
            poll,
            listener,
            origin: SocketAddrV4::new(Ipv4Addr::LOCALHOST, origin),
            pairs: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; BUFFER],
        })
    }

    pub fn serve(mut self) -> io::Result<()> {
        loop {
            for i in 0..self.poll.wait(None)? {
                let (token, flags) = self.poll.event(i);
                if token == LISTENER {
                    self.accept()?;
                } else {
                    self.ready(token / 2, token % 2, flags);
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        loop {
            let client = match rustix::net::accept_with(&self.listener, flags) {
                Ok(fd) => TcpStream::from(fd),
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            let server =
                rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
            match rustix::net::connect(&server, &self.origin) {
                Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
                Err(error) => return Err(error.into()),
            }
            let index = self.free.pop().unwrap_or(self.pairs.len());
            if index == self.pairs.len() {
                self.pairs.push(None);
            }
            let server = TcpStream::from(server);
            self.poll.add(&server, index * 2 + ORIGIN, STREAM)?;
            self.poll.add(&client, index * 2 + CLIENT, STREAM)?;
            self.pairs[index] = Some(Pair { sides: [client, server], backlog: [None, None] });
        }
    }

    fn ready(&mut self, index: usize, side: usize, flags: EventFlags) {
        let Some(pair) = &mut self.pairs[index] else { return };
        let mut fate = Fate::Stays;
        if flags.intersects(EventFlags::OUT) && pair.backlog[side].is_some() {
            fate = pair.flush(side, &mut self.buffer);
        }
        if fate == Fate::Stays && flags.intersects(READABLE) {
            fate = pair.pass(side, flags.intersects(ENDED), &mut self.buffer);
        }
        if fate == Fate::Ends {
            self.pairs[index] = None;
            self.free.push(index);
        }
    }
}

impl Pair {
    /// Passes what `side` has sent to the other, until it is drained or the other is full.
    fn pass(&mut self, side: usize, ended: bool, buffer: &mut [u8]) -> Fate {
        let other = 1 - side;
        loop {
            if self.backlog[other].is_some() {
                return Fate::Stays;
            }
            let n = match self.sides[side].read(buffer) {
                Ok(0) if side == CLIENT => {
                    let _ = self.sides[other].shutdown(Shutdown::Write);
                    return Fate::Stays;
                }
                Ok(0) => return Fate::Ends,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Fate::Stays,
                Err(_) => return Fate::Ends,
            };
            let sent = match self.sides[other].write(&buffer[..n]) {
                Ok(sent) => sent,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => return Fate::Ends,
            };
            if sent < n {
                self.backlog[other] = Some(buffer[sent..n].into());
            } else if n < buffer.len() && !ended {
                return Fate::Stays;
            }
        }
    }

    /// Sends what `side` could not take before; when that is gone, goes on reading for it.
    fn flush(&mut self, side: usize, buffer: &mut [u8]) -> Fate {
        let Some(kept) = self.backlog[side].take() else { return Fate::Stays };
        match self.sides[side].write(&kept) {
            Ok(n) if n == kept.len() => {
                // Its events were spent while there was no room: read on as if one had come.
                self.pass(1 - side, true, buffer)
            }
            Ok(n) => {
                self.backlog[side] = Some(kept[n..].into());
                Fate::Stays
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.backlog[side] = Some(kept);
                Fate::Stays
            }
            Err(_) => Fate::Ends,
        }
    }
}
