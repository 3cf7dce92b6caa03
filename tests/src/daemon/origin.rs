//! An origin server: a thread for each connection, and a function that decides what happens on it.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::content::{Checker, Content};
use super::message::{Chunks, Framing, Head, read_body};
use super::wire::Wire;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Size of the chunks of a chunked answer, bytes.
const CHUNK: usize = 10_007;

/// An origin that runs until it is dropped. Connections outlive it until their other ends close.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    listener: Arc<Socket>,
    books: Arc<Books>,
}

#[derive(Debug, Default)]
struct Books {
    connections: AtomicU64,
    requests: AtomicU64,
    faults: Mutex<Vec<String>>,
}

/// A request that came.
#[derive(Debug)]
pub struct Visit<'a> {
    pub head: Head,
    /// The number of its connection, from 0.
    pub connection: u64,
    /// Its number on the connection, from 0.
    pub turn: u64,
    /// Its body is still in here.
    pub wire: &'a mut Wire,
}

/// Whether the connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Keep,
    Close,
    Reset,
}

impl Origin {
    /// An origin of which every connection, numbered from 0, is given to `serve`. An error of the
    /// kind `InvalidData` or `Other` is a fault of the proxy; others are the fates of connections.
    pub fn raw(serve: impl Fn(u64, Wire) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None);
        let listener = socket.and_then(|socket| {
            socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
            socket.listen(BACKLOG)?;
            Ok(socket)
        });
        Self::on(listener.expect("a listener on loopback"), serve)
    }

    /// As [`Origin::raw`], on a listener.
    pub fn on(
        listener: Socket,
        serve: impl Fn(u64, Wire) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().ok().and_then(|address| address.as_socket());
        let origin = Self {
            address: address.expect("it is bound"),
            listener: Arc::new(listener),
            books: Arc::default(),
        };
        let (listener, books) = (Arc::clone(&origin.listener), Arc::clone(&origin.books));
        let serve = Arc::new(serve);
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let number = books.connections.fetch_add(1, Ordering::Relaxed);
                let (serve, books) = (Arc::clone(&serve), Arc::clone(&books));
                let run = move || {
                    if let Err(error) = Wire::new(socket).and_then(|wire| serve(number, wire))
                        && matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::Other)
                    {
                        books.fault(error.to_string());
                    }
                };
                thread::Builder::new().stack_size(128 * 1024).spawn(run).expect("a thread");
            }
        });
        origin
    }

    /// An origin that gives every request to `answer`.
    pub fn http(
        answer: impl Fn(&mut Visit<'_>) -> io::Result<Then> + Send + Sync + 'static,
    ) -> Self {
        Self::raw(move |connection, mut wire| {
            for turn in 0.. {
                let Some(head) = Head::read(&mut wire)? else { return Ok(()) };
                let mut visit = Visit { head, connection, turn, wire: &mut wire };
                match answer(&mut visit)? {
                    Then::Keep => {}
                    Then::Close => return Ok(()),
                    Then::Reset => {
                        wire.reset();
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    /// An origin that does what targets say; see [`Visit::serve`].
    pub fn obedient() -> Self {
        Self::http(|visit| visit.serve())
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.books.connections.load(Ordering::Relaxed)
    }

    /// What the proxy did wrong, as far as this end sees.
    pub fn faults(&self) -> Vec<String> {
        self.books.faults.lock().expect("no test panics with it").clone()
    }

    /// Checks that the proxy did nothing wrong.
    #[track_caller]
    pub fn check(&self) {
        let faults = self.faults();
        assert!(faults.is_empty(), "the origin saw: {:?}", &faults[..faults.len().min(5)]);
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // Wakes the thread that accepts; it ends, and the listener with it.
        let _ = self.listener.shutdown(Shutdown::Both);
    }
}

impl Books {
    fn fault(&self, what: String) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.faults.lock().expect("no test panics with it").push(what);
    }
}

impl Visit<'_> {
    /// The request's key.
    pub fn key(&self) -> io::Result<u64> {
        self.head.number("x-key")?.ok_or_else(|| io::Error::other("a request without its key"))
    }

    /// Reads and checks the request's body.
    pub fn body(&mut self) -> io::Result<()> {
        let length = self.head.number("x-body")?.unwrap_or(0);
        let mut checker = Checker::new(Content::new(self.key()?, length));
        let framing = self.head.request_framing()?;
        read_body(self.wire, framing, &mut |bytes| checker.feed(bytes))?;
        match checker.is_whole() {
            true => Ok(()),
            false => Err(io::Error::other(format!("{} bytes of {length}", checker.at))),
        }
    }

    /// Reads the body, checks it, and answers as the target says.
    pub fn serve(&mut self) -> io::Result<Then> {
        self.body()?;
        self.obey()
    }

    /// Answers as the target says:
    /// `/<minor>/<keep|close>/<length|chunked|until-close|204|304>/<length>`.
    pub fn obey(&mut self) -> io::Result<Then> {
        let target = self.head.target().to_owned();
        let mut words = target.split('/').skip(1);
        let mut word = || words.next().ok_or_else(|| io::Error::other("a short target"));
        let (minor, keep, framing) = (word()? == "1", word()? == "keep", word()?.to_owned());
        let length = word()?.parse().map_err(io::Error::other)?;
        self.answer(if minor { 1 } else { 0 }, keep, &framing, length)
    }

    /// Writes an answer with the body that the client expects.
    pub fn answer(
        &mut self,
        minor: u8,
        keep: bool,
        framing: &str,
        length: u64,
    ) -> io::Result<Then> {
        let key = !self.key()?;
        let status = match framing {
            "204" => "204 No Content",
            "304" => "304 Not Modified",
            _ => "200 OK",
        };
        let mut head = format!("HTTP/1.{minor} {status}\r\nX-Key: {key}\r\n");
        match (minor, keep) {
            (0, true) => head.push_str("Connection: keep-alive\r\n"),
            (1, false) => head.push_str("Connection: close\r\n"),
            _ => {}
        }
        match framing {
            "length" => head.push_str(&format!("Content-Length: {length}\r\n")),
            "chunked" => head.push_str("Transfer-Encoding: chunked\r\n"),
            _ => {}
        }
        head.push_str("\r\n");
        let content = Content::new(key, length);
        let bodyless = self.head.method() == "HEAD" || status != "200 OK";
        if bodyless || length < 4096 && framing != "chunked" {
            let mut bytes = head.into_bytes();
            if !bodyless {
                content.write(&mut bytes)?;
            }
            self.wire.write_all(&bytes)?;
        } else {
            self.wire.write_all(head.as_bytes())?;
            if framing == "chunked" {
                let mut chunks = Chunks(self.wire);
                content.write_pieces(&mut chunks, CHUNK)?;
                chunks.end()?;
            } else {
                content.write(self.wire)?;
            }
        }
        Ok(if keep && framing != "until-close" { Then::Keep } else { Then::Close })
    }

    /// What [`Visit::answer`] writes, for a plain answer of known length.
    pub fn plain(&mut self, length: u64) -> io::Result<Then> {
        self.answer(1, true, "length", length)
    }

    /// The answer's framing as the target asks for it.
    pub fn framing(&self) -> io::Result<Framing> {
        self.head.request_framing()
    }
}
