//! Sample fetches, measured: what HAProxy makes of the expressions in the core's table of cases.
//! The core's own test compares them with what it makes of them; here they are held against the
//! program.
//!
//! ```text
//!   request    client ──► http-request set-var(…) EXPR, return lf-file: the variables
//!   response   client ──► … ──► origin answers with the case's bytes
//!                     ◄── http-response set-var(…) EXPR, return lf-file
//!   bytes      client ──► tcp-request content set-var(…) EXPR, once the client has ended ──► log
//! ```
//!
//! Text and bytes come back in hexadecimal digits, so that nothing is escaped or cut.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::Duration;

use tidegate_core::sample::{Kind, fetch};

use crate::exchanges::proxy::Proxy;

/// What stands for a value that is not there.
const NONE: &[u8] = b"(none)";

/// Longest time for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A message and what expressions come to on it.
#[derive(Debug)]
pub struct Block {
    kind: Message,
    /// Its line, for complaints.
    title: String,
    bytes: Vec<u8>,
    /// Line numbers, expressions and values.
    pub cases: Vec<(usize, String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Message {
    Request,
    Response,
    Bytes,
}

/// Reads a table of cases.
pub fn read(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        if let Some(case) = line.strip_prefix("  ") {
            let (expr, value) = case.split_once(" =>").unwrap_or((case, ""));
            let block = blocks.last_mut().ok_or("a case before any message")?;
            let value = value.strip_prefix(' ').unwrap_or(value);
            block.cases.push((number, expr.into(), value.into()));
            continue;
        }
        let (kind, text) = line.split_once(' ').ok_or_else(|| format!("line {number}"))?;
        let kind = match kind {
            "request" => Message::Request,
            "response" => Message::Response,
            "bytes" => Message::Bytes,
            other => return Err(format!("line {number}: '{other}' is no kind of message")),
        };
        let bytes = unescape(text).ok_or_else(|| format!("line {number}: a bad escape"))?;
        blocks.push(Block { kind, title: line.into(), bytes, cases: Vec::new() });
    }
    Ok(blocks)
}

/// Measures all blocks: their cases get the values that `program` gives. Returns those that
/// differ, in words.
pub fn measure(program: &Path, dir: &Path, blocks: &mut [Block]) -> Result<Vec<String>, String> {
    let fail = |error: std::io::Error| error.to_string();
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let log = UdpSocket::bind(local).map_err(fail)?;
    log.set_read_timeout(Some(ANSWER_MAX)).map_err(fail)?;
    let origin = TcpListener::bind(local).map_err(fail)?;
    let log_at = log.local_addr().map_err(fail)?;
    let origin_at = origin.local_addr().map_err(fail)?;

    // Ports that are free now; the proxy takes them a moment later.
    let held: Vec<TcpListener> =
        blocks.iter().map(|_| TcpListener::bind(local)).collect::<Result<_, _>>().map_err(fail)?;
    let binds: Vec<SocketAddr> =
        held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>().map_err(fail)?;
    drop(held);

    let mut config = String::from(HEAD);
    for (index, (block, bind)) in blocks.iter().zip(&binds).enumerate() {
        let file = dir.join(format!("{index}.txt"));
        fs::write(&file, template(index, block)).map_err(fail)?;
        write_proxy(&mut config, index, block, *bind, &file, log_at, origin_at);
    }
    let _proxy = Proxy::start(program, dir, &config, binds.iter().copied())?;

    let mut differ = Vec::new();
    for (index, (block, bind)) in blocks.iter_mut().zip(&binds).enumerate() {
        let answer = match block.kind {
            Message::Bytes => logged(*bind, &block.bytes, &log, &format!("[{index}.")),
            Message::Request => answered(*bind, &block.bytes),
            Message::Response => through(*bind, &block.bytes, &origin),
        };
        let answer = answer.map_err(|error| format!("{}: {error}", block.title))?;
        for (number, (_, expr, value)) in block.cases.iter_mut().enumerate() {
            let found = between(&answer, format!("[{index}.{number}=").as_bytes())
                .and_then(|found| shown(found, expr))
                .ok_or_else(|| format!("{}: no answer for {expr}", block.title))?;
            if found != *value {
                differ.push(format!("{}\n  {expr} => {found}\n  not {value}", block.title));
                *value = found;
            }
        }
    }
    Ok(differ)
}

/// Before the proxies. The user list is that of the core's test.
const HEAD: &str = "\
userlist l
  group g users bob
  user bob password $1$saltsalt$9xy1btjgzLYfb7hivXtC//
  user al insecure-password x
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
";

fn write_proxy(
    config: &mut String,
    index: usize,
    block: &Block,
    bind: SocketAddr,
    file: &Path,
    log: SocketAddr,
    origin: SocketAddr,
) {
    let http =
        "  option http-buffer-request\n  option accept-invalid-http-request\n  option httplog";
    let mut line = |text: String| config.push_str(&(text + "\n"));
    let (rule, when) = match block.kind {
        Message::Request => ("http-request", ""),
        Message::Response => ("http-response", ""),
        Message::Bytes => ("tcp-request content", " if WAIT_END"),
    };
    line(format!("listen f{index}\n  bind {bind}\n  log {log} len 65000 format raw local0"));
    match block.kind {
        Message::Request => line(http.into()),
        Message::Response => line(format!("{http}\n  server s {origin}")),
        Message::Bytes => line("  mode tcp\n  tcp-request inspect-delay 2s".into()),
    }
    for (number, (_, expr, _)) in block.cases.iter().enumerate() {
        // A method that a variable keeps is a number; as text it stays what it is.
        let text = if kind(expr) == Kind::Method { ",concat()" } else { "" };
        line(format!("  {rule} set-var(txn.v{index}_{number}) '{expr}{text}'{when}"));
    }
    match block.kind {
        Message::Bytes => {
            line(format!("  log-format '{}'", template(index, block).replace('\n', "")));
            line("  tcp-request content reject if WAIT_END".into());
        }
        _ => line(format!(
            "  {rule} return status 200 content-type text/plain lf-file {}",
            file.display()
        )),
    }
}

/// The format that says what all variables hold.
fn template(index: usize, block: &Block) -> String {
    let mut out = String::new();
    for (number, (_, expr, _)) in block.cases.iter().enumerate() {
        let hex = if is_text(expr) { ",hex" } else { "" };
        let _ = writeln!(out, "[{index}.{number}=%[var(txn.v{index}_{number},(none)){hex}]]");
    }
    out.replace("(none)", "\"(none)\"")
}

/// The type that an expression's fetch has; no case has a converter that changes it.
fn kind(expr: &str) -> Kind {
    let name = expr.split('(').next().unwrap_or(expr);
    fetch::find(name).map_or(Kind::Str, |spec| spec.kind)
}

fn is_text(expr: &str) -> bool {
    matches!(kind(expr), Kind::Str | Kind::Bin | Kind::Method | Kind::Any)
}

/// What came back, as the table has it.
fn shown(found: &[u8], expr: &str) -> Option<String> {
    // A log writes a dash for an empty value.
    let found = if is_text(expr) && found == b"-" { b"" } else { found };
    if !is_text(expr) {
        return Some(escape(found));
    }
    let digits = std::str::from_utf8(found).ok()?;
    let pairs = (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16));
    let bytes: Vec<u8> = pairs.collect::<Result<_, _>>().ok()?;
    let binary = kind(expr) == Kind::Bin && bytes != NONE;
    Some(if binary { digits.into() } else { escape(&bytes) })
}

fn between<'a>(answer: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = answer.windows(mark.len()).position(|window| window == mark)? + mark.len();
    let end = answer[at..].iter().position(|byte| *byte == b']')?;
    Some(&answer[at..at + end])
}

fn connect(bind: SocketAddr, bytes: &[u8]) -> std::io::Result<TcpStream> {
    let mut client = TcpStream::connect(bind)?;
    client.set_read_timeout(Some(ANSWER_MAX))?;
    client.write_all(bytes)?;
    Ok(client)
}

/// The whole answer to a request.
fn answered(bind: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut client = connect(bind, bytes)?;
    let mut answer: Vec<u8> = Vec::new();
    let mut room = [0; 4096];
    loop {
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(head) = head
            && let Some(at) = answer.windows(16).position(|window| window == b"content-length: ")
        {
            let digits = answer[at + 16..].iter().take_while(|byte| byte.is_ascii_digit());
            let len = digits.fold(0, |n, digit| n * 10 + usize::from(digit - b'0'));
            if answer.len() >= head + 4 + len {
                return Ok(answer);
            }
        }
        match client.read(&mut room)? {
            0 => return Ok(answer),
            n => answer.extend_from_slice(&room[..n]),
        }
    }
}

/// The answer to a request that an origin answers with `bytes`.
fn through(bind: SocketAddr, bytes: &[u8], origin: &TcpListener) -> std::io::Result<Vec<u8>> {
    thread::scope(|scope| {
        let serve = scope.spawn(|| -> std::io::Result<()> {
            let (mut server, _) = origin.accept()?;
            server.set_read_timeout(Some(ANSWER_MAX))?;
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && server.read(&mut byte)? == 1 {
                head.push(byte[0]);
            }
            server.write_all(bytes)?;
            // The proxy may have closed by then.
            let _ = server.shutdown(Shutdown::Write);
            let _ = server.read(&mut byte);
            Ok(())
        });
        let answer = answered(bind, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        if answer.is_ok() {
            serve.join().expect("the origin does not panic")?;
        }
        answer
    })
}

/// The log line, which begins with `mark`, of a client that sends `bytes` and ends.
fn logged(bind: SocketAddr, bytes: &[u8], log: &UdpSocket, mark: &str) -> std::io::Result<Vec<u8>> {
    let client = connect(bind, bytes)?;
    client.shutdown(Shutdown::Write)?;
    let mut line = vec![0; 65_536];
    // Lines of the exchanges before may still come.
    loop {
        let len = log.recv(&mut line)?;
        if line[..len].starts_with(mark.as_bytes()) {
            line.truncate(len);
            return Ok(line);
        }
    }
}

/// The table with the cases' values as they are now.
pub fn rewrite(text: &str, blocks: &[Block]) -> String {
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    for (number, expr, value) in blocks.iter().flat_map(|block| &block.cases) {
        lines[*number] = format!("  {expr} => {value}");
    }
    lines.join("\n") + "\n"
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next()? {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'x' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    Some(out)
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b' '..=b'~' => out.push(char::from(*byte)),
            other => {
                let _ = write!(out, "\\x{other:02x}");
            }
        }
    }
    out
}
