//! What can be wrong with a message, by name; and blind changes of bytes.

use super::{Draft, Draw};

/// Mutates a request `times` times, and writes it.
pub fn request(
    draw: &mut Draw,
    draft: &mut Draft,
    times: usize,
    names: &mut Vec<&'static str>,
) -> Vec<u8> {
    let mut edits = Vec::new();
    for _ in 0..times {
        match draw.below(20) {
            0..7 => names.push(lines(draw, draft, true)),
            7..11 => names.push(request_line(draw, draft)),
            11..13 => names.push(host(draw, draft)),
            13..16 => names.push(framing(draw, draft)),
            16..18 => names.push(chunked(draw, draft)),
            _ => edits.push(draw.below(EDITS)),
        }
    }
    let mut bytes = draft.render();
    for edit in edits {
        names.push(edit_bytes(draw, &mut bytes, edit));
    }
    bytes
}

/// The same for a response.
pub fn response(
    draw: &mut Draw,
    draft: &mut Draft,
    times: usize,
    names: &mut Vec<&'static str>,
) -> Vec<u8> {
    names.push("answer");
    let mut edits = Vec::new();
    for _ in 0..times {
        match draw.below(20) {
            0..6 => names.push(lines(draw, draft, false)),
            6..9 => names.push(status_line(draw, draft)),
            9..13 => names.push(framing(draw, draft)),
            13..16 => names.push(chunked(draw, draft)),
            16..18 => names.push(ends(draw, draft)),
            _ => edits.push(draw.below(EDITS)),
        }
    }
    let mut bytes = draft.render();
    for edit in edits {
        names.push(edit_bytes(draw, &mut bytes, edit));
    }
    bytes
}

fn insert(line: &mut Vec<u8>, at: usize, what: &[u8]) {
    line.splice(at..at, what.iter().copied());
}

/// A place in the value of a field, not before its first byte.
fn in_value(draw: &mut Draw, line: &[u8]) -> usize {
    let colon = line.iter().position(|b| *b == b':').map_or(0, |at| at + 1);
    draw.between(colon, line.len())
}

/// Something about the lines of a head.
fn lines(draw: &mut Draw, draft: &mut Draft, request: bool) -> &'static str {
    if draft.fields.is_empty() {
        draft.push("X-A: b");
    }
    let n = draw.below(draft.fields.len());
    let line = &mut draft.fields[n];
    let at = in_value(draw, line);
    let colon = line.iter().position(|b| *b == b':').unwrap_or(0);
    match draw.below(24) {
        0 => {
            insert(line, at, b"\nX-Lf: 1");
            "bare-lf-field"
        }
        1 => {
            insert(line, at, b"\r");
            "bare-cr"
        }
        2 => {
            insert(line, at, b"\0");
            "nul"
        }
        3 => {
            let control = [draw.pick(&[&1_u8, &8, &11, &12, &14, &27, &31, &127])];
            insert(line, at, &[*control[0]]);
            "control"
        }
        4 => {
            let fold = draw.pick(&["\r\n ", "\r\n\t", "\r\n    ", "\r\n \r\n "]);
            insert(line, at, fold.as_bytes());
            "fold"
        }
        5 => {
            insert(&mut draft.fields[0], 0, b" ");
            "first-fold"
        }
        6 => {
            let space = draw.pick(&[" ", "\t", "  "]);
            insert(line, colon, space.as_bytes());
            "space-before-colon"
        }
        7 => {
            line.drain(..colon);
            "empty-name"
        }
        8 => {
            line.remove(colon);
            "no-colon"
        }
        9 => {
            let byte =
                draw.pick(&["(", "\"", "/", "@", "[", "{", "\\", "=", "\x7f", "é", " ", ","]);
            let at = draw.between(0, colon);
            insert(line, at, byte.as_bytes());
            "name-byte"
        }
        10 => {
            line.push(b'\r');
            "cr-cr-lf"
        }
        11 => {
            draft.line.push(b'\n');
            draft.line.extend_from_slice(b"X-Lf: 1");
            "bare-lf-line"
        }
        12 => {
            let copy = line.clone();
            draft.fields.push(copy);
            "field-twice"
        }
        13 => {
            draft.fields.insert(n, b"X-B: c\n".to_vec());
            "empty-line-lf"
        }
        14 => {
            let count = draw.between(90, 110);
            for _ in 0..count {
                draft.push("X-Many: 1");
            }
            "many-fields"
        }
        15 => {
            let len = draw.between(14_000, 17_500);
            draft.push([b"X-Huge: ".to_vec(), vec![b'h'; len]].concat());
            "huge-field"
        }
        16 => {
            let len = draw.between(200, 300);
            draft.push([vec![b'n'; len], b": long name".to_vec()].concat());
            "long-name"
        }
        17 => {
            let value = draw.pick(&[
                "close, keep-alive",
                "Content-Length",
                "Host, Cookie, X-Forwarded-For",
                "Transfer-Encoding",
                "close\r\nConnection: keep-alive",
                "keep-alive\r\nConnection: close",
                "\"close\"",
                "close;q=1",
                ",,close,",
                "closed",
                "x-a x-b",
                "upgrade",
                "",
            ]);
            draft.remove("Connection");
            draft.push(format!("Connection: {value}"));
            "connection"
        }
        18 => {
            draft.push(draw.pick(&[
                "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
                "Upgrade: websocket\r\nConnection: upgrade",
                "Upgrade: websocket",
                "Connection: upgrade",
                "Upgrade: TLS/1.0, h2\r\nConnection: upgrade",
                "Upgrade: \r\nConnection: upgrade",
            ]));
            "upgrade"
        }
        19 if request => {
            draft.push(draw.pick(&[
                "Expect: 200-ok",
                "Expect: 100-Continue",
                "Expect: 100-continue, 100-continue",
                "Expect:",
                "TE: chunked",
                "TE: trailers, trailers;q=0",
                "Trailer: X-Sum",
                "Trailer: Content-Length",
            ]));
            "expectations"
        }
        20 => {
            insert(&mut draft.line, 0, b"\r\n");
            "empty-line-first"
        }
        21 => {
            let lines = draw.between(1, 40);
            let empty = draw.pick(&["\r\n", "\n", "\r\n\n"]).repeat(lines);
            insert(&mut draft.line, 0, empty.as_bytes());
            "empty-lines-first"
        }
        22 => {
            line.truncate(colon + 1);
            "empty-value"
        }
        _ => {
            let trailing = draw.pick(&["\t", " \t ", "\x0b", "\x0c", "\u{a0}"]);
            line.extend_from_slice(trailing.as_bytes());
            "trailing-space"
        }
    }
}

/// Something about a request line.
fn request_line(draw: &mut Draw, draft: &mut Draft) -> &'static str {
    let words: Vec<Vec<u8>> = draft.line.split(|b| *b == b' ').map(<[u8]>::to_vec).collect();
    let [method, target, version] = &words[..] else { return "nothing" };
    let (mut method, mut target, mut version) = (method.clone(), target.clone(), version.clone());
    let (mut gap, mut end) = ([" ", " "], "");
    let name = match draw.below(12) {
        0 => {
            gap[draw.below(2)] = draw.pick(&["  ", "\t", " \t", "\x0b", "\r"]);
            "line-space"
        }
        1 => {
            end = draw.pick(&[" ", "\t", " x", "\r", " HTTP/1.1"]);
            "line-end"
        }
        2 => {
            version.clear();
            gap[1] = draw.pick(&["", " "]);
            "no-version"
        }
        3 => {
            version = draw
                .pick(&[
                    "HTTP/1.2",
                    "HTTP/2.0",
                    "HTTP/0.9",
                    "http/1.1",
                    "HTTP/1.1x",
                    "HTTP/11",
                    "HTTP/1.10",
                    "HTTP/01.1",
                    "HTTP/1,1",
                    "HTTP/3",
                    "HTTP/1.",
                    "HTTP /1.1",
                    "HTTP/1.9",
                    "ICY/1.1",
                    "RTSP/1.0",
                    "HTTP/9.9",
                    "XTTP/1.1",
                ])
                .as_bytes()
                .to_vec();
            "version"
        }
        4 => {
            let byte = draw.pick(&["(", "\"", "/", ":", "\0", "\x7f", "é", "\n", ";"]);
            let at = draw.below(method.len() + 1);
            insert(&mut method, at, byte.as_bytes());
            "method-byte"
        }
        5 => {
            method = draw
                .pick(&["", "get", "GETT", "G", "CONNECT", "TRACE", "PRI", "connect", "HEAD", "*"])
                .as_bytes()
                .to_vec();
            "method"
        }
        6 => {
            let byte = draw
                .pick(&["#", "#frag", "\u{e9}", "\x01", "\x7f", "\"", "<", "\\", "\t", "\0", "%"]);
            let at = draw.below(target.len()) + 1;
            insert(&mut target, at, byte.as_bytes());
            "target-byte"
        }
        7 | 8 => {
            target = draw
                .pick(&[
                    "",
                    "a",
                    "*",
                    "*/",
                    "test:80",
                    "//",
                    "http://other/",
                    "http://u:p@test/",
                    "http:///a",
                    "http://test",
                    "http://test?q",
                    "https://test:443/",
                    "http:/a",
                    "://a",
                    "/a b",
                    "http://test:99999/",
                    "ftp://test/",
                    "http://[::1/",
                    "?a",
                    "http://TEST:80/a",
                    "http://test:/a",
                    "http://te st/",
                    "www.example.com:8080",
                    "http://a,b/",
                ])
                .as_bytes()
                .to_vec();
            "target"
        }
        9 => {
            let len = draw.between(14_000, 17_500);
            target = [b"/".to_vec(), vec![b'u'; len]].concat();
            "target-long"
        }
        10 => {
            draft.line = draw
                .pick(&[
                    "PRI * HTTP/2.0\r\n\r\nSM\r\n",
                    "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
                    "GET /a",
                    "GET",
                    "PROXY TCP4 1.2.3.4 1.2.3.4 5 6",
                    "\n",
                    "",
                    "HTTP/1.1 200 OK",
                    "GET / HTTP/1.1\0",
                ])
                .as_bytes()
                .to_vec();
            return "no-http";
        }
        _ => {
            insert(
                &mut method,
                0,
                draw.pick(&[" ", "\t", "\0", "\r", "\n", "\u{feff}"]).as_bytes(),
            );
            "line-start"
        }
    };
    let parts = [&method, gap[0].as_bytes(), &target, gap[1].as_bytes(), &version, end.as_bytes()];
    draft.line = parts.concat();
    name
}

/// Something about a status line.
fn status_line(draw: &mut Draw, draft: &mut Draft) -> &'static str {
    let rest = draft.line.get(9..).unwrap_or_default().to_vec();
    let version = draft.line.get(..8).unwrap_or_default().to_vec();
    match draw.below(5) {
        0 => {
            let bad = draw.pick(&[
                "HTTP/1.2",
                "HTTP/2.0",
                "HTTP/0.9",
                "http/1.1",
                "HTTP/1.1x",
                "HTTP/11",
                "HTTP/1.10",
                "ICY",
                "HTTP/3",
                "HTTP/1.",
                "XTTP/1.1",
                "RTSP/1.0",
            ]);
            draft.line = [bad.as_bytes(), b" ", &rest].concat();
            "answer-version"
        }
        1 => {
            let bad = draw.pick(&[
                "20 OK",
                "2000 OK",
                "099 No",
                "000 No",
                "abc OK",
                "+20 OK",
                "-20 OK",
                "2 0 OK",
                "",
                " 200 OK",
                "\t200 OK",
                "200",
                "200  OK",
                "200\tOK",
                "600 Own",
                "199 Own",
                "101 Switching Protocols",
                "100 Continue",
                "204 No Content",
                "304 Not Modified",
                "0x1 OK",
                "205 Reset Content",
                "1000",
            ]);
            draft.line = [&version, &b" "[..], bad.as_bytes()].concat();
            "answer-status"
        }
        2 => {
            let bad = draw.pick(&["\x01", "\0", "\u{e9}", "\x7f", "\t", "\r", "\n", "\u{80}"]);
            draft.line.extend_from_slice(bad.as_bytes());
            draft.line.extend_from_slice(b" more");
            "answer-reason"
        }
        3 => {
            draft.line = draw
                .pick(&[
                    "garbage",
                    "",
                    "GET / HTTP/1.1",
                    "\x16\x03\x01\x02",
                    "HTTP/1.1",
                    "<html>",
                    "\r\n",
                ])
                .as_bytes()
                .to_vec();
            "answer-no-http"
        }
        _ => {
            let gap = draw.pick(&["", "  ", "\t"]);
            draft.line = [&version, gap.as_bytes(), &rest].concat();
            "answer-line-space"
        }
    }
}

/// Something about Host.
fn host(draw: &mut Draw, draft: &mut Draft) -> &'static str {
    match draw.below(4) {
        0 => {
            draft.remove("Host");
            "no-host"
        }
        1 => {
            let n = draft.find("Host");
            let copy = n.map_or(b"Host: test".to_vec(), |n| draft.fields[n].clone());
            draft.push(copy);
            "host-twice"
        }
        2 => {
            draft.push("Host: other");
            "host-other"
        }
        _ => {
            draft.remove("Host");
            let value = draw.pick(&[
                "",
                "a,b",
                "a b",
                "test:",
                "test:99999",
                "test:x",
                "u@test",
                "test/x",
                "te\"st",
                "[::1",
                "\u{e9}",
                "http://test",
                "..",
                "test, test",
                "TEST",
                "a\tb",
                "<x>",
            ]);
            draft.push(format!("Host: {value}"));
            "host-bad"
        }
    }
}

/// Something about the fields that say how long the body is.
fn framing(draw: &mut Draw, draft: &mut Draft) -> &'static str {
    let length = draft.body.len();
    let (has_length, has_coding) =
        (draft.find("Content-Length").is_some(), draft.find("Transfer-Encoding").is_some());
    match draw.below(8) {
        0 if has_coding => {
            let value = draw.pick(&["0", "5", "3", "1000"]);
            let field = format!("Content-Length: {value}");
            let at = draw.between(0, draft.fields.len());
            draft.fields.insert(at, field.into_bytes());
            "length-and-coding"
        }
        0 | 1 => {
            let value = draw.pick(&["chunked", "identity", "gzip"]);
            if !has_length {
                draft.push(format!("Content-Length: {length}"));
            }
            let field = format!("Transfer-Encoding: {value}");
            let at = draw.between(0, draft.fields.len());
            draft.fields.insert(at, field.into_bytes());
            if draw.one_in(2) {
                draft.body = draw.chunks(&draft.body.clone());
            }
            "coding-and-length"
        }
        2 | 3 => {
            draft.remove("Content-Length");
            if draw.one_in(2) {
                draft.remove("Transfer-Encoding");
            }
            let value = match draw.below(22) {
                0 => format!("+{length}"),
                1 => format!("-{length}"),
                2 => format!("{length}, {length}"),
                3 => format!("{length},{}", length + 1),
                4 => format!("{length},"),
                5 => format!(",{length}"),
                6 => format!("0x{length:x}"),
                7 => format!("{length:010}"),
                8 => format!("{length:040}"),
                9 => "9223372036854775807".to_owned(),
                10 => "9223372036854775808".to_owned(),
                11 => "18446744073709551616".to_owned(),
                12 => "340282366920938463463374607431768211457".to_owned(),
                13 => String::new(),
                14 => format!("{length} {length}"),
                15 => format!("{length};q=1"),
                16 => format!("\"{length}\""),
                17 => format!("{length}.0"),
                18 => format!("{}", length + 3),
                19 => format!("{}", length.saturating_sub(2)),
                20 => format!("{length}\r\nContent-Length: {length}"),
                _ => format!("{length}\r\nContent-Length: {}", length + 1),
            };
            draft.push(format!("Content-Length: {value}"));
            "length"
        }
        4 | 5 => {
            let value = draw.pick(&[
                "Chunked",
                "CHUNKED",
                "chunked ",
                "\tchunked",
                "identity",
                "gzip",
                "gzip, chunked",
                "chunked, gzip",
                "chunked, chunked",
                "chunked\r\nTransfer-Encoding: chunked",
                "xchunked",
                "chunkedx",
                "chunked;q=1",
                "\"chunked\"",
                "chunked,",
                ",chunked",
                "\x0bchunked",
                "chunk",
                "",
                "identity, chunked",
                "chunked\r\nTransfer-Encoding: identity",
                "chunked identity",
                "identity\r\nTransfer-Encoding: chunked",
                "chu\0nked",
                "'chunked'",
                "chunked\r\n identity",
            ]);
            let name = match draw.below(8) {
                0 => "Transfer_Encoding",
                1 => "Transfer-Encoding ",
                2 => "Transfer-Encodin",
                _ => "Transfer-Encoding",
            };
            if !has_coding {
                draft.remove("Content-Length");
                draft.body = draw.chunks(&draft.body.clone());
            }
            draft.remove("Transfer-Encoding");
            draft.push(format!("{name}: {value}"));
            "coding"
        }
        6 => {
            if !has_coding {
                draft.remove("Content-Length");
                draft.push("Transfer-Encoding: chunked");
                draft.body = draw.chunks(&draft.body.clone());
            }
            let old = draft.line.ends_with(b"HTTP/1.1");
            if old {
                draft.line.truncate(draft.line.len() - 1);
                draft.line.push(b'0');
            } else if draft.line.starts_with(b"HTTP/1.1") {
                draft.line[7] = b'0';
            }
            "coding-in-1.0"
        }
        _ => {
            draft.remove("Content-Length");
            draft.remove("Transfer-Encoding");
            "no-framing"
        }
    }
}

/// Something about a chunked body.
fn chunked(draw: &mut Draw, draft: &mut Draft) -> &'static str {
    if draft.find("Transfer-Encoding").is_none() {
        draft.remove("Content-Length");
        draft.push("Transfer-Encoding: chunked");
    }
    let size = draw.pick(&[
        "+3",
        "-3",
        "0x3",
        " 3",
        "3 ",
        "\t3",
        "3\t",
        "0003",
        "00000000000000003",
        "000000000000000003",
        "10000000000000003",
        "8000000000000003",
        "4000000000000001",
        "ffffffffffffffff",
        "g",
        "",
        "3g",
        "3;",
        "3; ",
        "3;a=\"b\r\nc\"",
        "3;a=\x01",
        "3;\u{e9}",
        "3,",
        "3\0",
        "3 x",
        "3=x",
        "2",
        "4",
        "3\r",
    ]);
    let whole = |size: &[u8], line: &[u8], data: &[u8], end: &[u8], rest: &[u8]| {
        [size, line, data, end, rest].concat()
    };
    let (size, crlf) = (size.as_bytes(), &b"\r\n"[..]);
    let name;
    draft.body = match draw.below(12) {
        0..5 => {
            name = "chunk-size";
            whole(size, crlf, b"abc", crlf, b"0\r\n\r\n")
        }
        5 => {
            name = "chunk-line-end";
            let end = draw.pick(&["\n", "\r", "\n\r", "\r\r\n", "\n\n", ""]);
            whole(b"3", end.as_bytes(), b"abc", crlf, b"0\r\n\r\n")
        }
        6 => {
            name = "chunk-data-end";
            let end = draw.pick(&["", "\n", "\r", "x\r\n", "\r\r\n", " \r\n", "\r\n\r\n"]);
            whole(b"3", crlf, b"abc", end.as_bytes(), b"0\r\n\r\n")
        }
        7 => {
            name = "chunk-extension";
            let len = draw.between(200, 20_000);
            let extension = [&b"3;"[..], &vec![b'e'; len]].concat();
            whole(&extension, crlf, b"abc", crlf, b"0\r\n\r\n")
        }
        8 => {
            name = "chunk-last";
            let last = draw.pick(&[
                "0\r\n",
                "0\n\n",
                "0\r\n\n",
                "0",
                "",
                "00000000000000000\r\n\r\n",
                "-0\r\n\r\n",
                "0;a\r\n\r\n",
                "0 \r\n\r\n",
                "0\r\n\r",
                "0\r\r\n\r\n",
            ]);
            whole(b"3", crlf, b"abc", crlf, last.as_bytes())
        }
        _ => {
            name = "trailer";
            let trailers = draw.pick(&[
                "A\r\n",
                ": b\r\n",
                "A : b\r\n",
                "A: b\n",
                " A: b\r\n",
                "A: b\r\n c\r\n",
                "A: \0\r\n",
                "A: \r \r\n",
                "Content-Length: 3\r\n",
                "Transfer-Encoding: chunked\r\n",
                "Host: x\r\n",
                "A: b\r\n",
                "A:\r\n",
                "A(: b\r\n",
                "A: \x01\r\n",
                "GET / HTTP/1.1\r\n",
                "A: \u{e9}\r\n",
            ]);
            let times = match draw.below(4) {
                0 => draw.between(2, 120),
                _ => 1,
            };
            let rest = format!("0\r\n{}\r\n", trailers.repeat(times));
            whole(b"3", crlf, b"abc", crlf, rest.as_bytes())
        }
    };
    name
}

/// Something about where an answer ends.
fn ends(draw: &mut Draw, draft: &mut Draft) -> &'static str {
    match draw.below(3) {
        0 => {
            draft.body.extend_from_slice(draw.pick(&[
                &b"surplus"[..],
                b"\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond",
                b"\0",
            ]));
            "answer-surplus"
        }
        1 => {
            let keep = draw.below(draft.body.len() + 1);
            draft.body.truncate(keep);
            "answer-short"
        }
        _ => {
            let status =
                draw.pick(&["204 No Content", "304 Not Modified", "101 Switching Protocols"]);
            let version = draft.line.get(..8).unwrap_or_default().to_vec();
            draft.line = [&version, &b" "[..], status.as_bytes()].concat();
            "answer-body-where-none-is"
        }
    }
}

/// How many blind changes there are.
const EDITS: usize = 7;

/// A blind change, mostly in the head.
fn edit_bytes(draw: &mut Draw, bytes: &mut Vec<u8>, edit: usize) -> &'static str {
    let most = if draw.one_in(3) { bytes.len() } else { bytes.len().min(120) };
    let at = draw.below(most.max(1)).min(bytes.len().saturating_sub(1));
    let to = bytes.len().min(at + draw.between(1, 12));
    match edit {
        0 => {
            bytes[at] ^= 1 << draw.below(8);
            "bit"
        }
        1 => {
            bytes[at] = draw.byte();
            "byte"
        }
        2 => {
            bytes.drain(at..to);
            "delete"
        }
        3 => {
            let some =
                draw.pick(&["\r", "\n", "\r\n", "\r\n\r\n", " ", ":", ",", "\0", "\t", "0", "a"]);
            insert(bytes, at, some.as_bytes());
            "insert"
        }
        4 => {
            let copy = bytes[at..to].to_vec();
            insert(bytes, at, &copy);
            "repeat"
        }
        5 => {
            bytes.truncate(at + 1);
            "truncate"
        }
        _ => {
            let crlf = super::super::wire::find(&bytes[at..], b"\r\n").map(|found| at + found);
            if let Some(found) = crlf {
                bytes.remove(found + draw.below(2));
            }
            "half-line-end"
        }
    }
}
