//! The binary from outside: exit codes, what it says and where, and how it starts.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A directory of one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory");
        Scratch(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("ours");
        fs::write(&path, text).expect("ours");
        shown(&path)
    }

    fn path(&self, name: &str) -> String {
        shown(&self.0.join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn shown(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}

fn tidegate(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(args.split_ascii_whitespace()).env_remove("NOTIFY_SOCKET");
    command
}

fn output(args: &str) -> Output {
    tidegate(args).output().expect("the binary runs")
}

fn site(bind: &str) -> String {
    format!(
        "defaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n\
         frontend f\n  bind {bind}\n  default_backend b\n\
         backend b\n  server s 127.0.0.1:1\n"
    )
}

#[test]
fn exit_codes_and_streams() {
    let scratch = Scratch::new("codes");
    let good = scratch.file("good.cfg", &site("127.0.0.1:20000"));
    let bad = scratch.file("bad.cfg", "frontend f\n  bnid :1\n");
    let idle = scratch.file("idle.cfg", "global\n  maxconn 10\n");
    let warned =
        scratch.file("warned.cfg", "frontend f\n  bind :20000\n  default_backend b\nbackend b\n");
    scratch.file("dir/2.cfg", "backend b\n  timeout connect 1s\n  timeout server 1s\n");
    let dir = scratch
        .file("dir/1.cfg", "frontend f\n  bind :20000\n  timeout client 1s\n  default_backend b\n");
    scratch.file("dir/.3.cfg", "nonsense\n");
    scratch.file("dir/4.txt", "nonsense\n");
    let dir = dir.trim_end_matches("/1.cfg");
    let valid = "Configuration file is valid\n";
    let usage = "Usage: haproxy -f";
    let version = "HAProxy version 2.6.12-tidegate";

    // Arguments, exit code, a part of stdout, a part of stderr; "" is nothing at all.
    for (args, code, out, err) in [
        (format!("-c -f {good}"), 0, valid, ""),
        (format!("-c -- {good}"), 0, valid, ""),
        (format!("-c -q -f {good}"), 0, "", ""),
        (format!("-c -f {dir}"), 0, valid, ""),
        (format!("-c -f {warned}"), 0, valid, "[WARNING]  ("),
        (format!("-c -dW -f {warned}"), 1, "", "[WARNING]  ("),
        (format!("-c -f {idle}"), 2, "no listener", ""),
        (format!("-f {idle}"), 1, "", "No enabled listener found"),
        (format!("-c -f {bad}"), 1, "", "unknown keyword 'bnid' in 'frontend' section"),
        (format!("-c -q -f {bad}"), 1, "", ""),
        (format!("-f {bad}"), 1, "", "Fatal errors found in configuration."),
        ("-c -f /nonexistent".into(), 1, "", "Cannot open configuration file/directory"),
        (format!("-C {} -c -f good.cfg", scratch.path("")), 0, valid, ""),
        ("-C /nonexistent -c -f good.cfg".into(), 1, "", "Could not change to directory"),
        ("-cc streq(a,a)".into(), 0, "", ""),
        ("-cc streq(a,b)".into(), 1, "", ""),
        ("-cc nonsense(".into(), 2, "", "Failed to evaluate condition"),
        ("-v".into(), 0, version, ""),
        ("-vv".into(), 0, "\nFeature list : -51DEGREES", ""),
        ("--help".into(), 0, "Exit codes", ""),
        ("-Z".into(), 1, version, usage),
        ("-f".into(), 1, version, usage),
        ("-c".into(), 1, version, usage),
        (format!("-W -f {good}"), 1, "", "there is no master process"),
        (format!("-Ws -f {good}"), 1, "", "there is no master process"),
        (format!("-x /s -f {good}"), 1, "", "'-x' is not supported"),
        (format!("-c -f {good} -sf 1 x"), 1, "", "'-sf' needs pids: 'x' is none"),
        (format!("-c -f {good} -de -dM"), 0, valid, "'-de' has no effect"),
        (format!("-c -q -f {good} -dKcfg"), 0, "\n\tmaxconn", ""),
        (format!("-c -q -f {good} -dL"), 0, "tidegate", ""),
    ] {
        let got = output(&args);
        let stdout = String::from_utf8_lossy(&got.stdout);
        let stderr = String::from_utf8_lossy(&got.stderr);
        assert_eq!(got.status.code(), Some(code), "{args}: {stdout}{stderr}");
        assert!(stdout.contains(out) && out.is_empty() == stdout.is_empty(), "{args}: {stdout}");
        assert!(stderr.contains(err) && err.is_empty() == stderr.is_empty(), "{args}: {stderr}");
    }
}

#[test]
fn a_taken_address_prevents_the_start() {
    let scratch = Scratch::new("taken");
    // std does not set SO_REUSEPORT, so nobody can listen beside it.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = taken.local_addr().expect("it is bound");
    let file = scratch.file("site.cfg", &site(&at.to_string()));
    let got = output(&format!("-f {file}"));
    let stderr = String::from_utf8_lossy(&got.stderr);
    assert_eq!(got.status.code(), Some(1), "{stderr}");
    let line = format!(
        "Binding [{file}:6] for frontend f: cannot bind socket (Address already in use) for [{at}]"
    );
    assert!(stderr.contains(&line), "{stderr}");
}

#[test]
fn nothing_is_left_after_a_failed_start() {
    let scratch = Scratch::new("failed");
    let socket = scratch.path("sock");
    let text = format!("global\n  chroot /nonexistent\n{}", site(&socket));
    let file = scratch.file("site.cfg", &text);
    // In the background the parent waits, and fails with its child.
    for mode in ["-db", "-D"] {
        let got = output(&format!("{mode} -f {file}"));
        let stderr = String::from_utf8_lossy(&got.stderr);
        assert_eq!(got.status.code(), Some(1), "{mode}: {stderr}");
        assert!(stderr.contains("Cannot chroot(/nonexistent)"), "{mode}: {stderr}");
    }
    let names: Vec<_> = fs::read_dir(&scratch.0).expect("ours").flatten().collect();
    assert!(names.iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".tmp")));
}

#[test]
fn term_and_int_end_the_process_at_once() {
    let scratch = Scratch::new("signals");
    let file = scratch.file("site.cfg", &site(&scratch.path("sock")));
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = tidegate(&format!("-db -f {file}")).spawn().expect("the binary runs");
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).expect("it runs");
        let status = child.wait().expect("it ends");
        assert_eq!(status.signal(), Some(signal.as_raw()));
    }
}

/// A proxy whose answer proves that it runs: with no server, a 503 of its own.
fn answering(socket: &str) -> String {
    format!(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n\
         frontend f\n  bind {socket}\n  default_backend b\nbackend b\n"
    )
}

/// Asks until there is an answer.
fn ask(socket: &str) -> String {
    let mut client = loop {
        match UnixStream::connect(socket) {
            Ok(client) => break client,
            Err(_) => std::thread::yield_now(),
        }
    };
    client.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").expect("it listens");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn usr1_is_a_soft_stop_that_ends_with_zero() {
    let scratch = Scratch::new("usr1");
    let socket = scratch.path("sock");
    let file = scratch.file("site.cfg", &answering(&socket));
    let mut child = tidegate(&format!("-db -f {file}"));
    let child = child.stderr(Stdio::piped()).spawn().expect("the binary runs");
    assert!(ask(&socket).starts_with("HTTP/1.1 503 "));
    let pid = Pid::from_child(&child);
    // Ignored, then handled.
    for signal in [Signal::USR2, Signal::PIPE, Signal::USR1] {
        kill_process(pid, signal).expect("it runs");
    }
    let end = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&end.stderr);
    assert_eq!(end.status.code(), Some(0), "{stderr}");
    let line = "Proxy f stopped (cumulated conns: FE: 1, BE: 0).";
    assert!(stderr.contains(line), "{stderr}");
}

#[test]
fn the_demonstration_needs_no_argument() {
    let mut child = tidegate("").stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = |part: &str| {
        let mut lines = lines.by_ref().map(|line| line.expect("text"));
        lines.find(|line| line.contains(part)).unwrap_or_else(|| panic!("'{part}' never came"))
    };
    let line = next("Listening on http://");
    let at = line.split('/').nth(2).expect("an address");
    let mut client = TcpStream::connect(at).expect("it listens");
    client.write_all(b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("open");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    next("\"GET /x HTTP/1.1\"");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    assert!(next("Requests served: ").contains("served: 1 ("));
    assert_eq!(child.wait().expect("it ends").code(), Some(0));

    // A service manager that forgot the arguments hears about it.
    let supervised = tidegate("").env("NOTIFY_SOCKET", "/nonexistent").output();
    assert_eq!(supervised.expect("the binary runs").status.code(), Some(1));
}

#[test]
#[cfg(target_os = "linux")]
fn a_new_process_takes_over_from_an_old_one() {
    let scratch = Scratch::new("takeover");
    let socket = scratch.path("sock");
    // Both also share a TCP port, which only works if each lets the other bind beside it.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let text = answering(&format!("{socket},{}", port.expect("a free port")));
    let file = scratch.file("site.cfg", &text);
    let old = Daemon::start(&format!("-f {file}"), &scratch.path("old"));
    assert!(ask(&socket).starts_with("HTTP/1.1 503 "));
    let pid = Pid::from_raw(old.0.cast_signed()).expect("a pid");
    let ended = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
    let ended = ended.expect("it runs");

    let _new = Daemon::start(&format!("-f {file} -sf {}", old.0), &scratch.path("new"));
    let mut wait = [rustix::event::PollFd::new(&ended, rustix::event::PollFlags::IN)];
    let limit = rustix::time::Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut wait, Some(&limit)), Ok(1), "the old process stays");
    assert!(ask(&socket).starts_with("HTTP/1.1 503 "));
}

/// A daemon, ended with its test.
struct Daemon(u32);

impl Daemon {
    fn start(args: &str, pidfile: &str) -> Self {
        let got = output(&format!("-D -p {pidfile} {args}"));
        assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
        let text = fs::read_to_string(pidfile).expect("written before the parent ends");
        assert!(text.ends_with('\n'));
        Daemon(text.trim().parse().expect("a pid"))
    }

    fn link(&self, fd: u32) -> String {
        shown(&fs::read_link(format!("/proc/{}/fd/{fd}", self.0)).expect("it runs"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.0.cast_signed());
        let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_daemon_is_bound_and_detached_when_its_parent_ends() {
    let scratch = Scratch::new("daemon");
    let socket = scratch.path("sock");
    let file = scratch.file("site.cfg", &site(&format!("{socket} mode 600")));
    let daemon = Daemon::start(&format!("-f {file}"), &scratch.path("pid"));
    UnixStream::connect(&socket).expect("it listens");
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(&socket).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for stream in 0..3 {
        assert_eq!(daemon.link(stream), "/dev/null");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_inherited_listener_is_shared_and_made_non_blocking() {
    let scratch = Scratch::new("inherited");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).expect("it is open");
    let fd = listener.as_raw_fd();
    let text =
        site(&format!("fd@{fd}")) + &format!("frontend g\n  bind fd@{fd}\n  default_backend b\n");
    let file = scratch.file("site.cfg", &text);
    let _daemon = Daemon::start(&format!("-f {file}"), &scratch.path("pid"));
    let flags = rustix::fs::fcntl_getfl(&listener).expect("it is open");
    assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
}
