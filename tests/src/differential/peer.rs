//! Messages as hyper reads them: an HTTP/1 that nobody here wrote, fed from memory.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, client, server};

use super::wire::Field;

/// What hyper says of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// A request's method and target, or an answer's status.
    pub line: Vec<u8>,
    /// Those of one name together.
    pub fields: Vec<Field>,
    pub body: Vec<u8>,
}

/// A connection in memory: its input is all there, and its output is not wanted.
struct Memory<'a> {
    input: &'a [u8],
    /// Nothing is read before something was written: a client must ask first.
    asked: Option<Rc<Cell<bool>>>,
}

impl Read for Memory<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.asked.as_ref().is_some_and(|asked| !asked.get()) {
            return Poll::Pending;
        }
        let n = self.input.len().min(into.remaining());
        into.put_slice(&self.input[..n]);
        self.input = &self.input[n..];
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(asked) = &self.asked {
            asked.set(true);
        }
        Poll::Ready(Ok(b.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Nothing here waits for anything but itself, so that a future that is not ready after so many
/// looks never will be.
const LOOKS_MAX: usize = 20_000;

/// The requests that hyper finds, and why it stopped if it was not the end.
pub fn requests(bytes: &[u8]) -> (Vec<Said>, Option<String>) {
    let found = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let found = Rc::clone(&found);
        async move {
            let (head, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let line = format!("{} {}", head.method, head.uri);
                let body = body.to_bytes().to_vec();
                let said = Said { line: line.into_bytes(), fields: fields(&head.headers), body };
                found.borrow_mut().push(said);
            }
            let mut answer = Response::new(Empty::<Bytes>::new());
            *answer.status_mut() = StatusCode::FORBIDDEN;
            Ok::<_, Infallible>(answer)
        }
    });
    let mut error = Some("it waits for ever".to_owned());
    {
        let mut builder = server::conn::http1::Builder::new();
        let builder = builder.half_close(true).max_headers(256).auto_date_header(false);
        let memory = Memory { input: bytes, asked: None };
        let mut connection = pin!(builder.serve_connection(memory, service));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..LOOKS_MAX {
            if let Poll::Ready(end) = connection.as_mut().poll(&mut context) {
                error = end.err().map(|error| format!("{error:?}"));
                break;
            }
        }
    }
    (found.take(), error)
}

/// The final answer to a request of `method` that `bytes` begin with.
pub fn response(bytes: &[u8], method: &[u8]) -> Result<Said, String> {
    let memory = Memory { input: bytes, asked: Some(Rc::default()) };
    let method = Method::from_bytes(method).map_err(|error| error.to_string())?;
    let target = if method == Method::CONNECT { "test:443" } else { "/" };
    let request = Request::builder().method(method).uri(target).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let mut context = Context::from_waker(Waker::noop());
    let mut builder = client::conn::http1::Builder::new();
    let mut handshake = pin!(builder.max_headers(256).handshake(memory));
    let Poll::Ready(Ok((mut sender, connection))) = handshake.as_mut().poll(&mut context) else {
        return Err("no handshake".to_owned());
    };
    let mut connection = pin!(connection);
    let mut answer = pin!(async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let line = head.status.as_str().as_bytes().to_vec();
        Ok(Said { line, fields: fields(&head.headers), body })
    });
    let mut over = false;
    for _ in 0..LOOKS_MAX {
        if let Poll::Ready(end) = answer.as_mut().poll(&mut context) {
            return end.map_err(|error: hyper::Error| format!("{error:?}"));
        }
        over = over || connection.as_mut().poll(&mut context).is_ready();
    }
    Err("it waits for ever".to_owned())
}

fn fields(headers: &HeaderMap) -> Vec<Field> {
    let field = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec())
    };
    headers.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        let two = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n";
        let (found, error) = requests(two);
        assert_eq!(error, None);
        assert_eq!((&found[0].line[..], &found[0].body[..]), (&b"POST /a"[..], &b"abc"[..]));
        assert_eq!((&found[1].line[..], found.len()), (&b"GET /b"[..], 2));
        assert!(requests(b"GET / HTTP/1.1\r\nA b\r\n\r\n").1.is_some());
    }

    #[test]
    fn responses_are_read() {
        let two =
            b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1";
        let said = response(two, b"GET").unwrap();
        assert_eq!((&said.line[..], &said.body[..]), (&b"200"[..], &b"ok"[..]));
        let said = response(b"HTTP/1.1 200 OK\r\n\r\nhello", b"GET").unwrap();
        assert_eq!(said.body, b"hello");
        assert!(response(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", b"GET").is_err());
        assert!(response(b"garbage", b"GET").is_err());
    }
}
