//! Valid answers to a request.

use super::request::Request;
use super::{Draft, Draw};

/// A valid answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// What goes before it.
    pub interim: Vec<u8>,
    pub draft: Draft,
    /// The server's connection ends with it.
    pub closes: bool,
}

const STATUS: [&str; 14] = [
    "200 OK",
    "200 OK",
    "200 OK",
    "200 OK",
    "201 Created",
    "206 Partial Content",
    "204 No Content",
    "301 Moved Permanently",
    "304 Not Modified",
    "401 Unauthorized",
    "404 Not Found",
    "500 Internal Server Error",
    "503 ",
    "999 Own",
];

impl Response {
    pub fn draw(draw: &mut Draw, request: &Request) -> Self {
        let old = draw.one_in(12);
        let status = match request.method {
            _ if request.upgrades && draw.one_in(2) => return Self::switches(request),
            "CONNECT" if draw.one_in(2) => "200 Established",
            // A tunnel by another status is a case of its own.
            "CONNECT" => "403 Forbidden",
            _ => draw.pick(&STATUS),
        };
        let version = if old { "HTTP/1.0" } else { "HTTP/1.1" };
        let line = format!("{version} {status}").into_bytes();
        let mut draft = Draft { line, ..Draft::default() };
        if request.method == "CONNECT" && status.starts_with('2') {
            return Self { interim: Vec::new(), draft, closes: false };
        }
        for _ in 0..draw.below(5) {
            let field = match draw.below(8) {
                0 => draw.field("Set-Cookie", b"a=b; Path=/; HttpOnly"),
                1 => draw.field("Server", b"origin/1 (x)"),
                2 => draw.field("ETag", b"\"abc\""),
                3 => draw.field("Content-Type", b"text/plain; charset=\"utf-8\""),
                4 => draw.field("Location", b"http://test/else?where=#here"),
                _ => draw.any_field(),
            };
            draft.push(field);
        }
        let mut closes = old;
        match draw.below(24) {
            0 | 1 => {
                draft.push("Connection: close");
                closes = true;
            }
            2 => {
                draft.push("Connection: keep-alive");
                closes = false;
            }
            3 => draft.push("Keep-Alive: timeout=5"),
            4 => draft.push("Proxy-Connection: keep-alive"),
            5 => draft.push("Connection: x-a"),
            _ => {}
        }
        let length = draw.length();
        let content = draw.body(length);
        let bodyless =
            request.method == "HEAD" || ["204", "304"].iter().any(|s| status.starts_with(s));
        let about = !status.starts_with("204");
        match draw.below(10) {
            0..4 if !old && about => {
                let field = draw.field("Transfer-Encoding", b"chunked");
                draft.push(field);
                draft.body = draw.chunks(&content);
            }
            4 if bodyless => {}
            4 => {
                draft.body = content;
                if !closes && draw.one_in(2) {
                    draft.remove("Connection");
                    draft.push("Connection: close");
                }
                draft.remove("Connection");
                closes = true;
            }
            _ if about => {
                let value = content.len().to_string();
                let field = draw.field("Content-Length", value.as_bytes());
                draft.push(field);
                draft.body = content;
            }
            _ => {}
        }
        if bodyless {
            draft.body.clear();
        }
        let mut interim = Vec::new();
        if !old && draw.one_in(20) {
            for _ in 0..draw.between(1, 3) {
                interim.extend_from_slice(draw.pick(&[
                    &b"HTTP/1.1 100 Continue\r\n\r\n"[..],
                    b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
                    b"HTTP/1.1 102 Processing\r\nX-A: b\r\n\r\n",
                ]));
            }
        }
        Self { interim, draft, closes }
    }

    fn switches(request: &Request) -> Self {
        let line = b"HTTP/1.1 101 Switching Protocols".to_vec();
        let mut draft = Draft { line, ..Draft::default() };
        draft.push("Connection: Upgrade");
        if request.draft.find("Sec-WebSocket-Key").is_some() {
            draft.push("Upgrade: websocket");
            draft.push("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        } else {
            draft.push("Upgrade: example/1");
        }
        Self { interim: Vec::new(), draft, closes: false }
    }
}
