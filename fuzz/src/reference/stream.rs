//! One message after the other, as the end of a connection hears them.

use super::body::{self, Framing};
use super::{Head, Kind, Read};

/// A message, as far as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its head.
    pub head: Head,
    /// How its body ends.
    pub framing: Framing,
    /// Its body so far.
    pub body: Vec<u8>,
    /// Whether the body is over. One that ends with the connection never is.
    pub whole: bool,
    /// Where it ends, or where the input does.
    pub end: usize,
}

/// How the reading of a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Behind a message, or within one.
    Open,
    /// At bytes that are no message.
    Bad,
    /// At a message behind which there is no HTTP.
    Tunnel,
}

/// All messages of a stream, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    /// In order.
    pub list: Vec<Message>,
    /// How it ended.
    pub ended: Ended,
}

/// Reads what a client says, up to a request behind which there may be no HTTP.
pub fn requests(input: &[u8]) -> Messages {
    read(input, Kind::Request, super::head, |head, _| body::of_request(head))
}

/// The same of requests whose targets and hosts somebody has made who may: rules.
pub fn rewritten_requests(input: &[u8]) -> Messages {
    read(input, Kind::Request, super::form, |head, _| body::of_request(head))
}

/// The same, as if there was always HTTP behind them.
pub fn all_requests(input: &[u8]) -> Messages {
    let mut all = requests(input);
    while all.ended == Ended::Tunnel {
        let at = all.list.last().map_or(0, |last| last.end);
        let more = requests(&input[at..]);
        all.ended = more.ended;
        all.list.extend(more.list.into_iter().map(|m| Message { end: at + m.end, ..m }));
    }
    all
}

/// Reads what a server says to requests of these methods. Interim responses are messages of their
/// own, and take no method.
pub fn responses(input: &[u8], methods: &[Vec<u8>]) -> Messages {
    read(input, Kind::Response, super::head, |head, before| {
        let finals = before.iter().filter(|m| m.head.status() / 100 != 1).count();
        body::of_response(head, methods.get(finals)?)
    })
}

fn read(
    input: &[u8],
    kind: Kind,
    head: impl Fn(Kind, &[u8]) -> Read<Head>,
    framing: impl Fn(&Head, &[Message]) -> Option<Framing>,
) -> Messages {
    let mut list: Vec<Message> = Vec::new();
    let mut at = 0;
    let ended = loop {
        let (head, used) = match head(kind, &input[at..]) {
            Read::Whole(head, used) => (head, used),
            Read::Partial => break Ended::Open,
            Read::Bad => break Ended::Bad,
        };
        let Some(framing) = framing(&head, &list) else { break Ended::Bad };
        at += used;
        let rest = &input[at..];
        let (body, used, whole) = match framing {
            Framing::None | Framing::Tunnel => (Vec::new(), 0, true),
            Framing::UntilClose => (rest.to_vec(), rest.len(), false),
            Framing::Length(length) => {
                let count = rest.len().min(usize::try_from(length).unwrap_or(usize::MAX));
                (rest[..count].to_vec(), count, count as u64 == length)
            }
            Framing::Chunked => {
                let chunked = body::chunked(rest);
                match chunked.end {
                    Read::Whole((), used) => (chunked.body, used, true),
                    Read::Partial => (chunked.body, rest.len(), false),
                    Read::Bad => {
                        let (body, end) = (chunked.body, input.len());
                        list.push(Message { head, framing, body, whole: false, end });
                        break Ended::Bad;
                    }
                }
            }
        };
        at += used;
        let asks = head.method() == b"CONNECT" || (kind == Kind::Request && head.has("upgrade"));
        list.push(Message { head, framing, body, whole, end: at });
        match framing {
            Framing::Tunnel => break Ended::Tunnel,
            _ if asks => break Ended::Tunnel,
            _ if !whole => break Ended::Open,
            _ => {}
        }
    };
    Messages { list, ended }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Start;

    /// Method or status, body, and whether it is whole.
    fn told(messages: &Messages) -> Vec<(String, String, bool)> {
        let told = |message: &Message| {
            let start = match &message.head.start {
                Start::Request(method, _) => String::from_utf8_lossy(method).into_owned(),
                Start::Response(status, _) => status.to_string(),
            };
            (start, String::from_utf8_lossy(&message.body).into_owned(), message.whole)
        };
        messages.list.iter().map(told).collect()
    }

    #[test]
    fn what_clients_say() {
        let row = |start: &str, body: &str, whole| (start.to_owned(), body.to_owned(), whole);
        let post = "POST / HTTP/1.1\r\n";
        for (text, expected, ended) in [
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), vec![row("GET", "", true)], Ended::Open),
            (
                format!("{post}Content-Length: 2\r\n\r\nokGET / HTTP/1.1\r\n\r\n"),
                vec![row("POST", "ok", true), row("GET", "", true)],
                Ended::Open,
            ),
            (
                format!("{post}Transfer-Encoding: chunked\r\n\r\n2;a\r\nok\r\n0\r\nb: c\r\n\r\nGE"),
                vec![row("POST", "ok", true)],
                Ended::Open,
            ),
            (
                format!("{post}Transfer-Encoding: chunked\r\n\r\n2\r\nokay"),
                vec![row("POST", "ok", false)],
                Ended::Bad,
            ),
            (
                format!("{post}Content-Length: 3\r\n\r\nok"),
                vec![row("POST", "ok", false)],
                Ended::Open,
            ),
            (format!("{post}Content-Length: 2, 3\r\n\r\nok"), vec![], Ended::Bad),
            (
                format!("{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
                vec![],
                Ended::Bad,
            ),
            ("GET / HTTP/1.1\nHost: a\n\n".to_owned(), vec![], Ended::Bad),
            ("GET / HTTP/1.1\r\nA : b\r\n\r\n".to_owned(), vec![], Ended::Bad),
            (
                "CONNECT a:1 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_owned(),
                vec![row("CONNECT", "", true)],
                Ended::Tunnel,
            ),
        ] {
            let found = requests(text.as_bytes());
            assert_eq!((told(&found), found.ended), (expected, ended), "{text:?}");
        }
        let all = all_requests(b"CONNECT a:1 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        assert_eq!((all.list.len(), all.list[1].end), (2, 42));
    }

    #[test]
    fn what_servers_say() {
        let row = |start: &str, body: &str, whole| (start.to_owned(), body.to_owned(), whole);
        let get = || b"GET".to_vec();
        for (text, methods, expected, ended) in [
            (
                "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                vec![get()],
                vec![row("100", "", true), row("200", "ok", true)],
                Ended::Open,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
                vec![b"HEAD".to_vec(), get()],
                vec![row("200", "", true), row("204", "", true)],
                Ended::Open,
            ),
            (
                "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
                vec![get()],
                vec![row("204", "", true)],
                Ended::Bad,
            ),
            ("HTTP/1.0 200 OK\r\n\r\nx", vec![get()], vec![row("200", "x", false)], Ended::Open),
            ("\r\nHTTP/1.1 200 OK\r\n\r\n", vec![get()], vec![], Ended::Bad),
            (
                "HTTP/1.1 200 OK\r\n\r\nx",
                vec![b"CONNECT".to_vec()],
                vec![row("200", "", true)],
                Ended::Tunnel,
            ),
        ] {
            let found = responses(text.as_bytes(), &methods);
            assert_eq!((told(&found), found.ended), (expected, ended), "{text:?}");
        }
    }
}
