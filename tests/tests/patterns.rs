//! The tables of `core/src/acl/cases`, measured again where haproxy is installed: what a condition
//! or a map comes to there is what the core's own tests expect. `UPDATE_EXPECT=1` writes the
//! tables anew from what haproxy says.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tidegate_tests::exchanges::proxy::{Kind, find};

/// Where the tables lie, and haproxy runs: they name files beside them.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/acl/cases")
}

/// A table's file: its lines, and of each that is a case what is to be measured.
struct Table {
    path: PathBuf,
    lines: Vec<String>,
}

impl Table {
    fn read(name: &str) -> Table {
        let path = folder().join(name);
        let text = std::fs::read_to_string(&path).expect("the table is there");
        Table { path, lines: text.lines().map(String::from).collect() }
    }

    /// The cases: the index of the line, and what stands left of the arrow and right of it.
    fn cases(&self) -> Vec<(usize, &str, &str)> {
        let lines = self.lines.iter().enumerate();
        let cases = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        cases
            .map(|(index, line)| {
                let (case, expected) = line.split_once(" =>").expect("an arrow in each case");
                (index, case, expected.strip_prefix(' ').unwrap_or(expected))
            })
            .collect()
    }

    /// Holds what was measured against the table, or writes it there.
    fn settle(&self, found: &[String]) {
        let cases = self.cases();
        assert_eq!(cases.len(), found.len());
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let mut lines = self.lines.clone();
            for ((index, case, _), found) in cases.iter().zip(found) {
                lines[*index] = format!("{case} => {found}");
            }
            std::fs::write(&self.path, lines.join("\n") + "\n").expect("the table is written");
            return;
        }
        let mut wrong = String::new();
        for ((_, case, expected), found) in cases.iter().zip(found) {
            if expected != found {
                let _ = writeln!(wrong, "{case}\n  the table {expected}\n  haproxy   {found}");
            }
        }
        assert!(wrong.is_empty(), "{}:\n{wrong}", self.path.display());
    }
}

/// haproxy with a configuration; it is stopped when this is dropped.
struct Haproxy {
    child: Child,
    port: u16,
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration of these lines in a frontend.
fn config(port: u16, lines: &str) -> String {
    format!(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n\
         frontend f\n bind 127.0.0.1:{port}\n{lines}"
    )
}

/// Lines of a configuration before those of `config`'s caller.
const LINES_BEFORE: usize = 7;

/// Which of the lines haproxy refuses. It is asked until it finds no more: a file that was refused
/// in one place is not always read again in the next.
fn refused(haproxy: &Path, file: &Path, lines: &[String]) -> Vec<usize> {
    let mut all = Vec::new();
    loop {
        let left = lines.iter().enumerate();
        let left = left.map(|(at, line)| if all.contains(&at) { "" } else { line.as_str() });
        let left: Vec<&str> = left.collect();
        let more = refused_once(haproxy, file, &left.join("\n"));
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

fn refused_once(haproxy: &Path, file: &Path, lines: &str) -> Vec<usize> {
    std::fs::write(file, config(1, lines) + "\n").expect("a file is written");
    let output = Command::new(haproxy)
        .args(["-c", "-f"])
        .arg(file)
        .current_dir(folder())
        .output()
        .expect("haproxy runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mark = format!("[{}:", file.display());
    let alerts = text.lines().filter(|line| line.starts_with("[ALERT]"));
    let mut numbers: Vec<usize> = alerts
        .filter_map(|line| {
            let (_, rest) = line.split_once(&mark)?;
            rest.split_once(']')?.0.parse::<usize>().ok()
        })
        .map(|number| number - LINES_BEFORE - 1)
        .collect();
    numbers.dedup();
    numbers
}

impl Haproxy {
    fn start(haproxy: &Path, file: &Path, lines: &str) -> Haproxy {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        std::fs::write(file, config(port, lines)).expect("a file is written");
        let child = Command::new(haproxy)
            .args(["-db", "-f"])
            .arg(file)
            .current_dir(folder())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy starts");
        let mut started = Haproxy { child, port };
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "haproxy does not listen");
            let gone = started.child.try_wait().expect("haproxy can be waited for");
            assert!(gone.is_none(), "haproxy ended: see {}", file.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }

    /// The status and the body of `/0`, `/1`, … up to `count`.
    fn answers(&self, count: usize) -> Vec<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut answers = Vec::new();
        for index in 0..count {
            let request = format!("GET /{index} HTTP/1.1\r\nhost: h\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("a request is sent");
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a line of an answer");
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.to_ascii_lowercase());
            }
            let status = head[0].split(' ').nth(1).and_then(|word| word.parse().ok());
            let length = head.iter().find_map(|line| line.strip_prefix("content-length:"));
            let length = length.and_then(|text| text.trim().parse().ok()).expect("a length");
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let body = String::from_utf8(body).expect("values are text");
            answers.push((status.expect("a status"), body));
        }
        answers
    }
}

/// A file for a configuration that goes away with the test.
fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tidegate-patterns-{name}-{}.cfg", std::process::id()))
}

fn measure(name: &str, judge: impl FnOnce(&Path, &Path, &Table) -> Vec<String>) {
    let haproxy = match find(Kind::Haproxy, false) {
        Ok(path) => path,
        Err(reason) => {
            println!("patterns: SKIPPED, NOTHING WAS MEASURED: {reason}");
            return;
        }
    };
    let table = Table::read(&format!("{name}.txt"));
    let file = temporary(name);
    let found = judge(&haproxy, &file, &table);
    let _ = std::fs::remove_file(file);
    table.settle(&found);
}

#[test]
fn conditions() {
    measure("conditions", |haproxy, file, table| {
        let cases: Vec<&str> = table.cases().into_iter().map(|(_, case, _)| case).collect();
        let acls = cases.iter().enumerate().map(|(at, case)| format!(" acl a{at} {case}"));
        let acls: Vec<String> = acls.collect();
        let refused = refused(haproxy, file, &acls);
        let mut lines = String::new();
        for (index, case) in cases.iter().enumerate() {
            if refused.contains(&index) {
                continue;
            }
            let _ = writeln!(
                lines,
                " acl a{index} {case}\n http-request return status 200 content-type text/plain \
                 string yes if {{ path /{index} }} a{index}"
            );
        }
        lines.push_str(" http-request return status 200 content-type text/plain string no\n");
        let answers = Haproxy::start(haproxy, file, &lines).answers(cases.len());
        let answers = answers.into_iter().enumerate().map(|(index, (_, body))| {
            if refused.contains(&index) { "(refused)".into() } else { body }
        });
        answers.collect()
    });
}

#[test]
fn maps() {
    measure("maps", |haproxy, file, table| {
        let cases: Vec<&str> = table.cases().into_iter().map(|(_, case, _)| case).collect();
        let formats: Vec<String> =
            cases.iter().map(|case| format!(" http-request set-header x %[{case}]")).collect();
        let refused = refused(haproxy, file, &formats);
        let mut lines = String::new();
        for (index, case) in cases.iter().enumerate() {
            if refused.contains(&index) {
                continue;
            }
            let _ = writeln!(
                lines,
                " http-request return status 200 content-type text/plain lf-string %[{case}] if \
                 {{ path /{index} }} {{ {case} -m found }}"
            );
        }
        lines.push_str(" http-request return status 404 content-type text/plain string none\n");
        let answers = Haproxy::start(haproxy, file, &lines).answers(cases.len());
        let answers = answers.into_iter().enumerate().map(|(index, (status, body))| {
            if refused.contains(&index) {
                "(refused)".into()
            } else if status == 404 {
                "(none)".into()
            } else {
                body
            }
        });
        answers.collect()
    });
}
