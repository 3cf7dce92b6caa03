//! The benchmark: Tidegate beside haproxy and nginx on one machine, CPU time per unit of work. Not
//! a load tester: the load is a closed loop, and rates are reported only to show that it was one.
//!
//! ```text
//!        CPU 1                    CPU 0                CPU 1
//!   ┌─────────────┐  requests  ┌─────────┐          ┌────────┐
//!   │  generator  ├───────────►│  proxy  ├─────────►│ origin │
//!   └──────▲──────┘            └────▲────┘          └───▲────┘
//!          │ run, count, each       │ CPU time, RSS     │ stats
//!          └────────────────── campaign ────────────────┘
//! ```
//!
//! Generator, origin and relay are this very program, started again with a hidden first argument,
//! so that each process has its own account. See `HELP` in [`options`] for what is measured and how
//! to read it.

pub mod callgrind;
pub mod campaign;
pub mod case;
pub mod child;
pub mod generator;
pub mod network;
pub mod options;
pub mod origin;
pub mod peer;
pub mod poll;
pub mod procfs;
pub mod relay;
pub mod report;
pub mod rig;
pub mod stats;
pub mod strace;
pub mod wire;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use socket2::{Domain, Socket, Type};

use network::Network;
use options::{Asked, Options};
use peer::Programs;
use rig::Lab;
use wire::Request;

/// Connections waiting to be accepted by the origin.
const BACKLOG: i32 = 16_384;

/// The program `bench`.
pub fn main() -> ExitCode {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    if let Some(result) = part(&args) {
        return match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                eprintln!("bench {}: {fault}", args[0]);
                ExitCode::FAILURE
            }
        };
    }
    match Options::parse(args) {
        Ok(Asked::Help) => print!("{}", options::HELP),
        Ok(Asked::List) => list(),
        Ok(Asked::Measure(options)) => return measure(*options),
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Plays a part in a rig if the first argument names one.
fn part(args: &[String]) -> Option<Result<(), String>> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u16>().map_err(|_| format!("not a number: {text}"));
    Some(match args[..] {
        ["exec", cores, nice, program, ref rest @ ..] => (|| {
            let cores: Result<Vec<_>, _> =
                cores.split(',').map(|core| number(core).map(usize::from)).collect();
            let rest: Vec<_> = rest.iter().map(|&arg| arg.to_owned()).collect();
            let nice = nice.parse().map_err(|_| format!("not a number: {nice}"))?;
            child::execute(&cores?, nice, program, &rest)
        })(),
        ["origin", log_socket] => serve_origin(Path::new(log_socket)).map_err(|e| e.to_string()),
        ["relay", port, origin, threads] => (|| {
            let (port, origin, threads) = (number(port)?, number(origin)?, number(threads)?);
            relay::run(port, origin, threads.into()).map_err(|e| e.to_string())
        })(),
        ["generate", port, connections, request] => (|| {
            let request = Request::parse(request).ok_or("no such request")?;
            generator::serve(number(port)?, number(connections)?.into(), request)
        })(),
        _ => return None,
    })
}

fn serve_origin(log_socket: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None)?;
    socket.bind(&(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    let _ = fs::remove_file(log_socket);
    let log = UnixDatagram::bind(log_socket)?;
    println!("ok {}", listener.local_addr()?.port());
    origin::Origin::new(listener, Some(log))?.serve(io::stdin(), io::stdout())?;
    Ok(())
}

fn list() {
    for case in case::ALL {
        let rows: Vec<_> = case.rows.iter().map(|row| row.name).collect();
        println!("{:<10} {}\n{:<10} {}", case.id, case.title, "", rows.join(", "));
    }
}

fn measure(mut options: Options) -> ExitCode {
    let network = if options.netns {
        Network::enter()
    } else {
        let network = Network::current();
        network.warn_of_pacing();
        network
    };
    share_processors(&mut options);
    let programs = Programs::find(&options);
    let work_dir = match WorkDir::create() {
        Ok(work_dir) => work_dir,
        Err(error) => {
            eprintln!("bench: no work folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    let setting = report::setting(&options, &programs, &network);
    let mut markdown = report::setting_text(&setting) + "\n";
    print!("{markdown}");
    let lab = Lab { options: &options, programs: &programs, work_dir: &work_dir.0 };
    let mut cases = Vec::new();
    let mut good = true;
    for case in &options.cases {
        let outcome = campaign::run(&lab, case);
        let tables = report::tables(&outcome);
        print!("{tables}");
        markdown.push_str(&tables);
        cases.push(report::json(&outcome));
        good &= outcome.rows.iter().all(|row| row.samples.iter().all(Result::is_ok));
        // After every case, so that an interrupted campaign leaves what it has.
        let all = serde_json::json!({ "setting": setting, "cases": cases });
        good &= save(options.json.as_deref(), &format!("{all:#}\n"));
        good &= save(options.markdown.as_deref(), &markdown);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// On a machine with one processor everything must share it.
fn share_processors(options: &mut Options) {
    let allowed = |core| {
        rustix::thread::sched_getaffinity(None)
            .is_ok_and(|set| core < rustix::thread::CpuSet::MAX_CPU && set.is_set(core))
    };
    if !allowed(options.proxy_core) {
        eprintln!("bench: CPU {} is not ours: using CPU 0", options.proxy_core);
        options.proxy_core = 0;
    }
    if !allowed(options.load_core) || options.load_core == options.proxy_core {
        eprintln!("bench: generator and origin SHARE the proxy's CPU: results are DISTORTED");
        options.load_core = options.proxy_core;
    }
}

fn save(path: Option<&Path>, text: &str) -> bool {
    let Some(path) = path else { return true };
    match fs::write(path, text) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("bench: {}: {error}", path.display());
            false
        }
    }
}

/// A folder for sockets, written configurations and standard errors, removed at the end.
struct WorkDir(PathBuf);

impl WorkDir {
    fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("tidegate-bench-{}", std::process::id()));
        // Left behind by a process that had our number and was killed.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::generator::{Command, Generator};
    use super::origin::{Origin, Seen};
    use super::relay::{Relay, listen};
    use super::*;

    /// Runs `commands` through a relay; what the generator and the origin counted.
    fn relayed(request: Request, connections: usize, commands: &[Command]) -> (u64, u64, Seen) {
        let back = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let back_port = back.local_addr().unwrap().port();
        let front = listen(0).unwrap();
        let front_port = front.local_addr().unwrap().port();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let origin = thread::spawn(move || {
            Origin::new(back, None).unwrap().serve(&theirs, &theirs).unwrap()
        });
        thread::spawn(move || Relay::new(front, back_port).unwrap().serve());
        let mut generator = Generator::new(front_port, connections, request).unwrap();
        let (mut requests, mut bytes) = (0, 0);
        for command in commands {
            let tally = generator.obey(*command).unwrap();
            requests += tally.requests;
            bytes += tally.bytes;
        }
        drop(ours);
        (requests, bytes, origin.join().unwrap())
    }

    #[test]
    fn every_request_passes_through_the_relay() {
        let each = Command::Each { requests: 3, connections: 10, window: 4 };
        let count = Command::Count(100);
        for request in [
            Request::Get(1024),
            Request::GetClose(1024),
            Request::Get(3_000_000),
            Request::Post,
            Request::PostChunked,
        ] {
            let (requests, bytes, seen) = relayed(request, 16, &[each, count]);
            assert_eq!(requests, 10 * 3 + 100, "{request:?}");
            assert_eq!(bytes, requests * request.answer_length(), "{request:?}");
            assert_eq!(seen.requests, requests, "{request:?}");
            assert_eq!((seen.refused, seen.forwarded), (0, 0), "{request:?}");
            let expected = if request.closes() { requests } else { 16 };
            assert_eq!(seen.connections, expected, "{request:?}");
        }
    }

    #[test]
    fn parts_are_known_by_their_first_argument() {
        let part = |line: &str| part(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(part("--quick").is_none());
        assert!(part("relay 1").is_none());
        assert_eq!(part("relay 1 x 1"), Some(Err("not a number: x".into())));
        assert_eq!(part("generate 1 1 put"), Some(Err("no such request".into())));
    }
}
