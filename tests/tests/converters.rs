//! What the tables of converters in `core/src/sample/conv/cases` say of haproxy, asked of the real
//! one, version 2.6. `UPDATE_EXPECT=1` measures that column anew; our own, where we differ on
//! purpose, is written by people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tidegate_tests::exchanges::proxy::{Kind, find};

const VERSION: &str = "version 2.6";

/// The local time zone of the tables.
const ZONE: &str = "EST5EDT,M3.2.0,M11.1.0";

#[test]
fn the_tables_say_what_haproxy_does() {
    let haproxy = match find(Kind::Haproxy, false).and_then(is_2_6) {
        Ok(haproxy) => haproxy,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/sample/conv/cases");
    let mut paths: Vec<PathBuf> = fs::read_dir(&tables)
        .expect("tables")
        .map(|entry| entry.expect("a table").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "txt"));
    paths.sort();
    assert!(!paths.is_empty());
    let mut wrong = String::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a table");
        let measured = measure(&haproxy, &tables, &text);
        if update {
            fs::write(&path, &measured).expect("a table");
            continue;
        }
        for (old, new) in text.lines().zip(measured.lines()).filter(|(old, new)| old != new) {
            let _ = writeln!(wrong, "{}\n  said:  {old}\n  found: {new}", path.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn is_2_6(haproxy: PathBuf) -> Result<PathBuf, String> {
    let said = Command::new(&haproxy).arg("-v").output().map_err(|error| error.to_string())?;
    let known = String::from_utf8_lossy(&said.stdout).contains(VERSION);
    if known { Ok(haproxy) } else { Err(format!("the tables are about haproxy {VERSION}")) }
}

/// The table with what haproxy makes of each of its expressions.
fn measure(haproxy: &Path, folder: &Path, table: &str) -> String {
    let lines: Vec<&str> = table.lines().collect();
    let mut cases: BTreeMap<usize, &str> = BTreeMap::new();
    let mut lets = String::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some(rest) = line.strip_prefix("let ") {
            let (name, expr) = rest.split_once(' ').expect("a name and an expression");
            let _ = writeln!(lets, "  http-request set-var({name}) {}", quoted(expr));
        } else if !line.is_empty() && !line.starts_with('#') {
            cases.insert(at, line.split_once(" => ").map_or(*line, |(expr, _)| expr));
        }
    }
    let mut found = refused(haproxy, folder, &lets, &cases);
    let left: BTreeMap<usize, &str> =
        cases.iter().filter(|(at, _)| !found.contains_key(at)).map(|(at, e)| (*at, *e)).collect();
    let (config, port, _) = config(&lets, &left);
    let path = scratch(&config);
    let child = command(haproxy, folder, &path).arg("-db").spawn().expect("haproxy starts");
    let guard = Guard(child);
    let mut stream = BufReader::new(connect(port));
    for at in left.keys() {
        found.insert(*at, ask(&mut stream, *at));
    }
    drop(guard);
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        match (cases.get(&at), found.get(&at)) {
            (Some(expr), Some(value)) => {
                let ours =
                    line.split_once(" =/= ").map_or(String::new(), |(_, o)| format!(" =/= {o}"));
                let _ = writeln!(out, "{expr} => {value}{ours}");
            }
            _ => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    out
}

/// A word that the first level of the configuration's syntax leaves as it is.
fn quoted(expr: &str) -> String {
    format!("'{}'", expr.replace('\'', r"'\''"))
}

/// The configuration, its port, and which case stands in which line.
fn config(lets: &str, cases: &BTreeMap<usize, &str>) -> (String, u16, BTreeMap<usize, usize>) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.expect("a free port").port();
    let mut text = format!(
        "defaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n\
         frontend f\n  bind 127.0.0.1:{port}\n  declare capture request len 8\n{lets}"
    );
    let mut places = BTreeMap::new();
    for (at, expr) in cases {
        let _ =
            writeln!(text, "  http-request set-var(txn.out) {} if {{ path /{at} }}", quoted(expr));
        places.insert(text.lines().count(), *at);
    }
    text.push_str(
        "  http-request return status 200 content-type text/plain lf-string \
         \"%[var(txn.out)]|%[var(txn.out),hex]\" if { var(txn.out) -m found }\n  \
         http-request return status 404\nbackend b\n  server s 127.0.0.1:1\n",
    );
    (text, port, places)
}

/// The cases that haproxy does not take at all.
fn refused(
    haproxy: &Path,
    folder: &Path,
    lets: &str,
    cases: &BTreeMap<usize, &str>,
) -> BTreeMap<usize, String> {
    let mut refused = BTreeMap::new();
    loop {
        let left =
            cases.iter().filter(|(at, _)| !refused.contains_key(*at)).map(|(at, e)| (*at, *e));
        let (text, _, places) = config(lets, &left.collect());
        let path = scratch(&text);
        let checked = command(haproxy, folder, &path).arg("-c").output().expect("haproxy runs");
        if checked.status.success() {
            return refused;
        }
        let said = String::from_utf8_lossy(&checked.stderr);
        let before = refused.len();
        let marker = format!("[{}:", path.display());
        for line in said.lines().filter(|line| !line.contains("[WARNING]")) {
            let place = line.split_once(&marker).and_then(|(_, rest)| rest.split_once(']'));
            let Some(place) = place.and_then(|(number, _)| number.parse().ok()) else { continue };
            if let Some(at) = places.get(&place) {
                refused.insert(*at, "(refused)".into());
            }
        }
        assert!(refused.len() > before, "{said}");
    }
}

fn command(haproxy: &Path, folder: &Path, config: &Path) -> Command {
    let mut command = Command::new(haproxy);
    command.arg("-f").arg(config).current_dir(folder).env("TZ", ZONE);
    command.stdout(Stdio::null());
    command
}

fn scratch(config: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tidegate-converters-{}.cfg", std::process::id()));
    fs::write(&path, config).expect("a scratch file");
    path
}

struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(port: u16) -> TcpStream {
    for _ in 0..100 {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
            return stream;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("haproxy does not listen");
}

/// The value of a case, as the tables write it.
fn ask(stream: &mut BufReader<TcpStream>, case: usize) -> String {
    // In one piece: a piece that waits for the other's acknowledgement takes its time.
    let request = format!("GET /{case} HTTP/1.1\r\nHost: h\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).expect("a request");
    let mut line = String::new();
    stream.read_line(&mut line).expect("an answer");
    let good = line.contains(" 200 ");
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).expect("an answer");
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    if good { written(&value(&body)) } else { "(none)".into() }
}

/// What the two forms of a value in an answer mean: as text, in which some bytes are escaped and
/// none stand behind a NUL, and in hexadecimal, which numbers and addresses are hard to read in.
fn value(body: &[u8]) -> Vec<u8> {
    let at = body.iter().rposition(|byte| *byte == b'|').expect("both forms");
    let digits = std::str::from_utf8(&body[at + 1..]).expect("digits");
    let bytes: Vec<u8> = (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).expect("digits"))
        .collect();
    let text = &body[..at];
    let shown = String::from_utf8_lossy(text);
    let number = <[u8; 8]>::try_from(&bytes[..]).map(i64::from_be_bytes);
    let is_number = match number {
        // A truth value is not always written as 0 or 1.
        Ok(0 | 1) => text.len() < 8,
        Ok(number) => shown.parse() == Ok(number),
        Err(_) => bytes.is_empty(),
    };
    let is_address = match shown.parse() {
        Ok(IpAddr::V4(ip)) => ip.octets()[..] == bytes,
        Ok(IpAddr::V6(ip)) => ip.octets()[..] == bytes,
        Err(_) => false,
    };
    if is_number || is_address { text.into() } else { bytes }
}

fn written(bytes: &[u8]) -> String {
    let escape = |byte: u8| format!("\\x{byte:02x}");
    match std::str::from_utf8(bytes) {
        Ok(text) => text
            .chars()
            .map(|c| match c {
                '\\' => "\\\\".into(),
                c if c.is_ascii_control() => escape(c as u8),
                c => c.to_string(),
            })
            .collect(),
        Err(_) => bytes
            .iter()
            .map(|byte| match byte {
                b'\\' => "\\\\".into(),
                b' '..=b'~' => char::from(*byte).to_string(),
                other => escape(*other),
            })
            .collect(),
    }
}
