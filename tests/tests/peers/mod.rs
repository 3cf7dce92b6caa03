//! hyper as client and as origin: peers that nobody here wrote.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::TokioIo;
use tidegate_tests::daemon::Content;
use tidegate_tests::daemon::content::Checker;
use tokio::net::{TcpSocket, TcpStream};

/// A body for hyper: with a length if it is told, else chunked.
pub struct Stream {
    content: Content,
    at: u64,
    told: bool,
}

impl Stream {
    pub fn new(content: Content, told: bool) -> Self {
        Self { content, at: 0, told }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.content.piece(self.at, 30_011);
        self.at += piece.len() as u64;
        let frame = Frame::data(Bytes::from_static(piece));
        Poll::Ready((!piece.is_empty()).then_some(Ok(frame)))
    }

    fn size_hint(&self) -> SizeHint {
        if self.told {
            SizeHint::with_exact(self.content.length - self.at)
        } else {
            SizeHint::new()
        }
    }
}

/// Reads all of a body and compares it.
pub async fn check(mut body: Incoming, content: Content) -> io::Result<()> {
    let mut checker = Checker::new(content);
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(io::Error::other)?.into_data() {
            checker.feed(&bytes)?;
        }
    }
    let short = || io::Error::other(format!("{} bytes of {}", checker.at, content.length));
    checker.is_whole().then_some(()).ok_or_else(short)
}

/// What hyper answers: the framing is the first word of the path, the length the second.
async fn answer(request: Request<Incoming>) -> io::Result<Response<Stream>> {
    let path = request.uri().path().to_owned();
    let mut words = path.split('/').skip(1);
    let framing = words.next().unwrap_or_default().to_owned();
    let length = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let number = |name: &str| {
        let value = request.headers().get(name).and_then(|v| v.to_str().ok()?.parse().ok());
        value.ok_or_else(|| io::Error::other(format!("no {name}")))
    };
    let (key, sent) = (number("x-key")?, number("x-body")?);
    check(request.into_body(), Content::new(key, sent)).await?;
    let content = Content::new(!key, length);
    let mut answer = Response::new(Stream::new(content, framing == "length"));
    if framing == "until-close" {
        *answer.version_mut() = Version::HTTP_10;
    }
    Ok(answer)
}

/// hyper as origin; returns its address.
pub async fn hyper_origin() -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    // Room for all that connect at once. Where there is none, Linux answers with SYN cookies, and
    // what it then drops ends in a reset, which is a 502 to a client.
    let listener = socket.listen(4096).expect("it listens");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service_fn(answer);
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(socket), service));
        }
    });
    address
}

/// A connection of hyper as client.
pub async fn connect(to: SocketAddr) -> SendRequest<Stream> {
    let socket = TcpStream::connect(to).await.expect("it listens");
    let http = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
    let (sender, connection) = http.expect("a connection");
    tokio::spawn(connection);
    sender
}
