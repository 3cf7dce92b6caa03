//! Valid requests.

use super::{Draft, Draw};

pub const METHODS: [&str; 10] =
    ["GET", "GET", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "M-SEARCH"];

/// A valid request, and what its answer depends on.
#[derive(Clone, Debug)]
pub struct Request {
    pub draft: Draft,
    pub method: &'static str,
    /// It asks for an upgrade.
    pub upgrades: bool,
}

impl Request {
    pub fn draw(draw: &mut Draw) -> Self {
        match draw.below(60) {
            0 => return Self::connect(draw),
            1 => return Self::upgrade(draw),
            _ => {}
        }
        let method = draw.pick(&METHODS);
        let old = draw.one_in(10);
        let host = draw.pick(&["test", "test", "www.example.com:8080", "127.0.0.1", "[::1]:80"]);
        let mut draft = Draft::default();
        let target = match draw.below(16) {
            0 => format!("http://{host}/abs?x=1"),
            1 if method == "OPTIONS" => "*".to_owned(),
            2 => "/a/b/../c//d?e=f&g=http://h/".to_owned(),
            3 => "/%00%0d%0a?\"<>\\^`{|}".to_owned(),
            4 => format!("/{}", "long/".repeat(draw.between(20, 300))),
            _ => "/a?b=c".to_owned(),
        };
        let version = if old { "HTTP/1.0" } else { "HTTP/1.1" };
        draft.line = format!("{method} {target} {version}").into_bytes();
        let hostless = old && draw.one_in(3) || draw.one_in(60);
        if !hostless {
            let field = draw.field("Host", host.as_bytes());
            draft.push(field);
        }
        for _ in 0..draw.below(6) {
            let field = draw.any_field();
            draft.push(field);
        }
        hop_by_hop(draw, &mut draft, old);
        let payload =
            matches!(method, "POST" | "PUT" | "PATCH" | "M-SEARCH") || !old && draw.one_in(8);
        if payload {
            body(draw, &mut draft, old);
        }
        if draw.one_in(4) && draft.fields.len() > 1 {
            let (a, b) = (draw.below(draft.fields.len()), draw.below(draft.fields.len()));
            draft.fields.swap(a, b);
        }
        Self { draft, method, upgrades: false }
    }

    /// One without anything unusual, to stand behind another.
    pub fn draw_plain(draw: &mut Draw) -> Self {
        let mut draft = Draft { line: b"GET /second HTTP/1.1".to_vec(), ..Draft::default() };
        draft.push("Host: test");
        let method = if draw.one_in(3) {
            draft.line = b"POST /second HTTP/1.1".to_vec();
            draft.push("Content-Length: 6");
            draft.body = b"second".to_vec();
            "POST"
        } else {
            "GET"
        };
        Self { draft, method, upgrades: false }
    }

    fn connect(draw: &mut Draw) -> Self {
        let target = draw.pick(&["test:443", "[::1]:80", "www.example.com:8080"]);
        let line = format!("CONNECT {target} HTTP/1.1").into_bytes();
        let mut draft = Draft { line, ..Draft::default() };
        draft.push(format!("Host: {target}"));
        Self { draft, method: "CONNECT", upgrades: false }
    }

    fn upgrade(draw: &mut Draw) -> Self {
        let mut draft = Draft { line: b"GET /chat HTTP/1.1".to_vec(), ..Draft::default() };
        draft.push("Host: test");
        let list = draw.pick(&["Upgrade", "keep-alive, Upgrade", "upgrade"]);
        let field = draw.field("Connection", list.as_bytes());
        draft.push(field);
        if draw.one_in(2) {
            draft.push("Upgrade: websocket");
            draft.push("Sec-WebSocket-Version: 13");
            draft.push("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
        } else {
            draft.push("Upgrade: example/1");
        }
        Self { draft, method: "GET", upgrades: true }
    }
}

/// Fields that are for the proxy.
fn hop_by_hop(draw: &mut Draw, draft: &mut Draft, old: bool) {
    let field = match draw.below(44) {
        0 | 1 => ("Connection", "close"),
        2 | 3 => ("Connection", "keep-alive"),
        4 if old => ("Connection", "Keep-Alive"),
        5 => ("Connection", "x-a, X-Nothing"),
        6 => ("Connection", "close, x-a"),
        7 => ("Keep-Alive", "timeout=5, max=100"),
        8 => ("Proxy-Connection", "keep-alive"),
        9 => ("TE", "trailers"),
        10 => ("TE", "gzip;q=0.5, trailers"),
        11 => ("TE", "deflate"),
        12 => ("Expect", "100-continue"),
        13 => ("Connection", "TE, keep-alive"),
        14 => ("Upgrade", "example/2"),
        _ => return,
    };
    let field = draw.field(field.0, field.1.as_bytes());
    draft.push(field);
}

fn body(draw: &mut Draw, draft: &mut Draft, old: bool) {
    let len = draw.length();
    let content = draw.body(len);
    match draw.below(8) {
        0 => {}
        1..5 if !old => {
            let field = draw.field("Transfer-Encoding", b"chunked");
            draft.push(field);
            draft.body = draw.chunks(&content);
        }
        _ => {
            let value = content.len().to_string();
            let field = draw.field("Content-Length", value.as_bytes());
            draft.push(field);
            draft.body = content;
        }
    }
}
