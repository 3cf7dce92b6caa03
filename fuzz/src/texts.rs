//! What seeds and dictionaries of HTTP targets are made of.

use tidegate_core::http::Known;

/// Heads of requests: good, odd, and wrong in one way each.
pub const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "\r\n\r\nGET /a?b=c HTTP/1.1\r\nHost: a.example:80\r\nAccept: */*\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n",
    "GET http://a:80/x HTTP/1.1\r\nHost: A\r\n\r\n",
    "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET * HTTP/1.1\r\n\r\n",
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X-Y\r\nUpgrade: websocket\r\nX-Y: z\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: A\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:a\r\nX: \t b c\t \r\nY:\r\nTE: trailers;q=1, gzip\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "GET  / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\n\n",
    "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
    "GET / HTTP/1.1\r\nA: \0\r\n\r\n",
    "GET /\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
    "M-~1 /\u{e9} HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nX-Caf\u{e9}: b\r\n\r\n",
    "GET / HTTP/1.1\r\nX: caf\u{e9}\r\nConnection: x, host, cookie\r\nCookie: d\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
];

/// Heads of responses.
pub const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    "HTTP/1.0 404 Not Found\r\n\r\n",
    "HTTP/1.1 204\r\n\r\n",
    "HTTP/1.1 301 \r\nLocation: /x\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: \"x\"\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 caf\u{e9}\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nHost: c\r\nHost: d\r\n\r\n",
    "HTTP/1.1 099 x\r\n\r\n",
    "HTTP/1.1 2000 x\r\n\r\n",
    "HTTP/1.1  200 x\r\n\r\n",
    "HTTP/2 200 OK\r\n\r\n",
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
    "garbage\r\n\r\n",
    "HTTP/1.1 200 OK\nA: b\n\n",
    "HTTP/1.1 200 O\rK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
    "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
];

/// Chunked bodies.
pub const CHUNKS: &[&str] = &[
    "0\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n",
    "a\r\n0123456789\r\n1\r\n\r\r\n2\r\n\r\n\r\n0\r\n\r\n",
    "0000000000000001\r\nx\r\n0\r\n\r\n",
    "00000000000000001\r\nx\r\n0\r\n\r\n",
    "1 \t\r\nx\r\n0 \r\n\r\n",
    "1;a=b\r\nx\r\n0;c=\"d;\t\"\r\n\r\n",
    "1;\u{ff}\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n",
    "4000000000000000\r\nx",
    "4000000000000001\r\nx",
    "ffffffffffffffff\r\nx",
    " 1\r\nx",
    "0x1\r\nx",
    "1\nx",
    "1 1\r\n",
    "1\rx",
    "1;a\r;b\r\nx",
    "1\r\nxy\r\n",
    "1\r\nx\n",
    "0\r\n\n",
    "0\r\na : b\r\n\r\n",
    "0\r\na: b\r\n c\r\n\r\n",
    "0\r\na\r\n\r\n",
];

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The seeds of `request_head`.
pub fn requests() -> Vec<Vec<u8>> {
    bytes(REQUESTS)
}

/// The seeds of `response_head`.
pub fn responses() -> Vec<Vec<u8>> {
    bytes(RESPONSES)
}

/// The seeds of `chunked`, with two that touch its limits.
pub fn chunks() -> Vec<Vec<u8>> {
    let extension = format!("1;{}\r\nz\r\n0\r\n\r\n", "x".repeat(255));
    let lines = format!("0\r\n{}\r\n", "a:\r\n".repeat(64));
    let mut seeds = bytes(CHUNKS);
    seeds.extend([extension.into_bytes(), lines.into_bytes()]);
    seeds
}

/// What heads are made of.
pub fn words() -> Vec<Vec<u8>> {
    let mut words = bytes(&[
        "GET ",
        "HEAD ",
        "POST ",
        "CONNECT ",
        "OPTIONS ",
        "TRACE ",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 ",
        "HTTP/1.1 101 ",
        "HTTP/1.1 204 ",
        "HTTP/1.1 304 ",
        "\r\n",
        "\r\n\r\n",
        "\r",
        "\n",
        "\0",
        "\t",
        "http://",
        "https://",
        "[::1]",
        ":443",
        "*",
        "chunked",
        "close",
        "keep-alive",
        "upgrade",
        "trailers",
        "h2c",
        "websocket",
        "100-continue",
        "0\r\n\r\n",
        "9223372036854775807",
        "18446744073709551616",
        "\u{b}",
        "\u{7f}",
        ", ",
        ": ",
        " :",
        "\r\n ",
        "\r\n\t",
    ]);
    words.extend(Known::ALL.iter().map(|known| format!("{}: ", known.name()).into_bytes()));
    words
}

/// What sessions are made of: whole messages as well.
pub fn session_words() -> Vec<Vec<u8>> {
    let short = |text: &&&str| text.len() < 64;
    let messages = REQUESTS.iter().chain(RESPONSES).filter(short);
    words().into_iter().chain(messages.map(|text| text.as_bytes().to_vec())).collect()
}

/// What chunks are made of.
pub fn chunk_words() -> Vec<Vec<u8>> {
    bytes(&[
        "0\r\n",
        "\r\n",
        "0\r\n\r\n",
        "1\r\n",
        "ff\r\n",
        "4000000000000000",
        "0000000000000000",
        ";a=b",
        ";\"",
        " \t",
        "a: b\r\n",
        ":",
        "\r",
        "\n",
        "0x",
        "+",
        "-",
    ])
}
