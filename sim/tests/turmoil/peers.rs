//! hyper's client and server on turmoil's sockets.

use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use turmoil::net::{TcpListener, TcpStream};

use super::host::PORT;

/// A body in pieces, with a pause before each.
pub struct Pieces {
    left: VecDeque<Bytes>,
    /// The length that is announced; without one it is chunked.
    length: Option<u64>,
    pause: Duration,
    nap: Option<Pin<Box<Sleep>>>,
}

impl Pieces {
    pub fn new(body: &[u8], piece: usize, chunked: bool, pause: Duration) -> Pieces {
        let left: VecDeque<Bytes> = body.chunks(piece).map(Bytes::copy_from_slice).collect();
        let length = (!chunked).then_some(body.len() as u64);
        Pieces { left, length, pause, nap: None }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.left.is_empty() && !self.pause.is_zero() {
            let pause = self.pause;
            let nap = self.nap.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            if nap.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.nap = None;
        }
        let piece = self.left.pop_front();
        if let (Some(length), Some(piece)) = (&mut self.length, &piece) {
            *length -= piece.len() as u64;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub id: u32,
    pub body: Vec<u8>,
    pub chunked: bool,
    /// How long the client rests before each piece of its request.
    pub drip: Duration,
    /// How long the server thinks before it answers.
    pub think: Duration,
    /// How long it rests before each piece of its answer.
    pub pause: Duration,
}

impl Ask {
    /// A request with a body of that many bytes, which no other one has.
    pub fn new(id: u32, length: usize) -> Ask {
        let byte = |n: usize| (n.wrapping_mul(2_654_435_761) >> 11) as u8 ^ (id as u8);
        let body = (0..length).map(byte).collect();
        let none = Duration::ZERO;
        Ask { id, body, chunked: false, drip: none, think: none, pause: none }
    }

    pub fn chunked(self, chunked: bool) -> Ask {
        Ask { chunked, ..self }
    }

    pub fn drip(self, millis: u64) -> Ask {
        Ask { drip: Duration::from_millis(millis), ..self }
    }

    pub fn think(self, millis: u64) -> Ask {
        Ask { think: Duration::from_millis(millis), ..self }
    }

    pub fn pause(self, millis: u64) -> Ask {
        Ask { pause: Duration::from_millis(millis), ..self }
    }
}

/// What became of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its own body came back whole, from that server, on its so-manieth connection.
    Echo { server: String, connection: u32 },
    /// The proxy's own answer.
    Status(u16),
    /// The connection failed before or within the answer.
    Broken,
}

impl Answer {
    pub fn is_echo(&self) -> bool {
        matches!(self, Answer::Echo { .. })
    }
}

/// What the peers saw, in order.
pub type Told = Rc<RefCell<Vec<String>>>;

pub fn tell(told: &Told, text: &str) {
    let at = turmoil::sim_elapsed().unwrap_or_default().as_millis();
    told.borrow_mut().push(format!("{at} {text}"));
}

/// A client with one connection, which it makes anew when it must.
pub struct Client {
    name: String,
    told: Told,
    sender: Option<(SendRequest<Pieces>, JoinHandle<()>)>,
    /// Connections that it made.
    pub made: u32,
}

impl Client {
    pub fn new(name: &str, told: &Told) -> Client {
        Client { name: name.to_owned(), told: Rc::clone(told), sender: None, made: 0 }
    }

    /// Asks, and reads the whole answer.
    ///
    /// # Panics
    ///
    /// If the answer is another's.
    pub async fn ask(&mut self, ask: &Ask) -> Answer {
        let answer = self.exchange(ask).await;
        // Who answers itself closes.
        if !answer.as_ref().is_ok_and(Answer::is_echo) {
            self.sender = None;
        }
        let answer = answer.unwrap_or(Answer::Broken);
        tell(&self.told, &format!("{} {}: {answer:?}", self.name, ask.id));
        answer
    }

    async fn exchange(&mut self, ask: &Ask) -> Result<Answer, ()> {
        if self.sender.as_ref().is_none_or(|(sender, _)| sender.is_closed()) {
            let stream = TcpStream::connect(("proxy", PORT)).await.map_err(drop)?;
            let io = TokioIo::new(stream);
            let (sender, conn) = hyper::client::conn::http1::handshake(io).await.map_err(drop)?;
            let task = tokio::task::spawn_local(async move { drop(conn.await) });
            self.sender = Some((sender, task));
            self.made += 1;
        }
        let (sender, _) = self.sender.as_mut().ok_or(())?;
        let request = Request::post("/echo")
            .header("host", "example.org")
            .header("x-id", ask.id)
            .header("x-think", ask.think.as_millis() as u64)
            .header("x-pause", ask.pause.as_millis() as u64)
            .header("x-chunked", u16::from(ask.chunked))
            .body(Pieces::new(&ask.body, 5_000, ask.chunked, ask.drip))
            .expect("a request");
        sender.ready().await.map_err(drop)?;
        let response = sender.send_request(request).await.map_err(drop)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(drop)?.to_bytes();
        if head.status != StatusCode::OK {
            return Ok(Answer::Status(head.status.as_u16()));
        }
        let field = |name: &str| head.headers[name].to_str().expect("text").to_owned();
        assert_eq!(field("x-id"), ask.id.to_string(), "{}: another's answer", self.name);
        assert!(body == ask.body, "{}: {} bytes are not its own", self.name, body.len());
        let connection = field("x-connection").parse().expect("a number");
        Ok(Answer::Echo { server: field("x-server"), connection })
    }

    /// Ends its connection in order, and sees it end.
    pub async fn leave(&mut self) {
        if let Some((sender, task)) = self.sender.take() {
            drop(sender);
            let _ = task.await;
        }
    }
}

/// A server's software: it sends back what it gets.
pub async fn serve(name: String, told: Told) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", 80)).await?;
    let mut connections = 0;
    loop {
        let (stream, _) = listener.accept().await?;
        connections += 1;
        let (name, told) = (name.clone(), Rc::clone(&told));
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| answer(request, name.clone(), connections));
            // The date would be the machine's.
            let outcome = hyper::server::conn::http1::Builder::new()
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            let end = if outcome.is_ok() { "ended" } else { "failed" };
            tell(&told, &format!("{name}: connection {connections} {end}"));
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    name: String,
    connection: u32,
) -> Result<Response<Pieces>, hyper::Error> {
    let (head, body) = request.into_parts();
    let number = |name: &str| -> u64 {
        head.headers[name].to_str().expect("text").parse().expect("a number")
    };
    let body = body.collect().await?.to_bytes();
    tokio::time::sleep(Duration::from_millis(number("x-think"))).await;
    let pause = Duration::from_millis(number("x-pause"));
    let chunked = number("x-chunked") == 1;
    let piece = (body.len() / 4).clamp(1, 7_000);
    let response = Response::builder()
        .header("x-id", number("x-id"))
        .header("x-server", name)
        .header("x-connection", connection)
        .body(Pieces::new(&body, piece, chunked, pause));
    Ok(response.expect("a response"))
}
