//! The demonstration: with no argument at all, a small site with two origin servers of our own, on
//! the loopback interface only.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::Source;

use crate::bind::Binder;
use crate::host::{Machine, reason};
use crate::poller::Openings;
use crate::poller::sink::Output;
use crate::signals::{Handled, Signals};
use crate::thread::{Crew, Plan};
use crate::{say, start};

/// Where the demonstration listens if nobody else does.
const PORT: u16 = 8080;

const NAMES: [&str; 2] = ["blue", "green"];

/// Runs the demonstration until Ctrl-C.
pub fn run() -> ExitCode {
    match show() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say::alert(why);
            ExitCode::FAILURE
        }
    }
}

fn show() -> Result<(), String> {
    let origins = Origins::start().map_err(|error| reason(&error))?;
    let port = free_port().map_err(|error| reason(&error))?;
    let text = configuration(port, &origins);
    let sources = [Source::new("demonstration", text.clone())];
    let (site, _) = build(&sources, &CliOverrides::default(), &Machine).map_err(|diagnostics| {
        say::diagnostics(&diagnostics, &sources, false);
        "the demonstration's own configuration is refused".to_owned()
    })?;

    let engines = start::engines(&site);
    let mut binder = Binder::new(&site, engines);
    if let [trouble, ..] = binder.bind().as_slice() {
        return Err(trouble.to_string());
    }
    let mut openings = Vec::new();
    for listeners in binder.finish() {
        let sinks = site.sinks.iter().map(|sink| Output::open(sink, false).map(Some));
        let sinks = sinks.collect::<io::Result<_>>().map_err(|error| reason(&error))?;
        openings.push(Openings { listeners, sinks });
    }
    let mut signals = Signals::install(Handled::Demo).map_err(|error| reason(&error))?;
    // What the engines have to say is in the log, on the same terminal.
    let notify = |_: &_| {};
    let seed = start::seed();
    let plan = Plan { site: Arc::new(site), openings, seed, notify, recording: None };
    let crew = Crew::assemble(plan)?;

    say::print(greeting(port, &origins, &text));
    let began = Instant::now();
    crew.run(&mut signals)?;
    say::print(origins.summary(began.elapsed().as_secs()));
    Ok(())
}

fn greeting(port: u16, origins: &Origins, configuration: &str) -> String {
    let shown: String = configuration
        .lines()
        .map(|line| if line.is_empty() { "\n".into() } else { format!("    {line}\n") })
        .collect();
    format!(
        "This is Tidegate's demonstration; only this machine can reach it.\n\n\
         It runs this configuration, with two small origin servers of its own behind it:\n\n\
         {shown}\n\
         Listening on http://127.0.0.1:{port}/ for {}. Try it in another terminal:\n\n    \
           curl -i http://127.0.0.1:{port}/\n\n\
         Each request is logged below. Ctrl-C ends it. To run a configuration of yours:\n\
         tidegate -f haproxy.cfg (more: tidegate --help).\n\n",
        origins.list(),
    )
}

fn configuration(port: u16, origins: &Origins) -> String {
    let mut text = format!(
        "global\n    \
           log stdout format raw local0\n    \
           maxconn 1000\n    \
           nbthread 1\n    \
           hard-stop-after 3s\n\n\
         defaults\n    \
           mode http\n    \
           log global\n    \
           option httplog\n    \
           timeout connect 5s\n    \
           timeout client 30s\n    \
           timeout server 30s\n\n\
         frontend demo\n    \
           bind 127.0.0.1:{port}\n    \
           default_backend origins\n\n\
         backend origins\n    \
           balance roundrobin\n",
    );
    for origin in &origins.0 {
        text += &format!("    server {} {}\n", origin.name, origin.address);
    }
    text
}

/// 8080, or any port if somebody has that.
fn free_port() -> io::Result<u16> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr();
    Ok(at(PORT).or_else(|_| at(0))?.port())
}

/// Origin servers, each in a thread of its own.
struct Origins(Vec<Arc<Origin>>);

struct Origin {
    name: &'static str,
    address: SocketAddr,
    served: AtomicU64,
}

impl Origins {
    fn start() -> io::Result<Self> {
        let mut origins = Vec::new();
        for name in NAMES {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            let origin = Arc::new(Origin { name, address, served: AtomicU64::new(0) });
            origins.push(Arc::clone(&origin));
            std::thread::Builder::new()
                .name(format!("origin-{name}"))
                .spawn(move || origin.accept(&listener))?;
        }
        Ok(Origins(origins))
    }

    fn list(&self) -> String {
        let shown: Vec<_> = self.0.iter().map(|o| format!("{} ({})", o.name, o.address)).collect();
        shown.join(" and ")
    }

    fn summary(&self, seconds: u64) -> String {
        let served = |origin: &Arc<Origin>| origin.served.load(Ordering::Relaxed);
        let total: u64 = self.0.iter().map(served).sum();
        let each: Vec<_> =
            self.0.iter().map(|origin| format!("{} {}", origin.name, served(origin))).collect();
        format!(
            "\nThe demonstration ran for {seconds} s. Requests served: {total} ({}).\n",
            each.join(", "),
        )
    }
}

impl Origin {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            let origin = Arc::clone(&self);
            // Without a thread for it the connection is closed, which the proxy reports.
            let _ = std::thread::Builder::new().spawn(move || origin.serve(&client));
        }
    }

    /// Answers requests until the connection ends.
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut reader = BufReader::new(client);
        let mut head = Vec::new();
        while read_head(&mut reader, &mut head)? {
            let nth = self.served.fetch_add(1, Ordering::Relaxed) + 1;
            let body = format!("Hello from {}, request {nth}.\n", self.name);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\
                 x-origin: {}\r\n\r\n",
                body.len(),
                self.name,
            );
            let shown = if head.starts_with(b"HEAD ") { "" } else { body.as_str() };
            let mut client = client;
            client.write_all((answer + shown).as_bytes())?;
            discard_body(&mut reader, &head)?;
        }
        Ok(())
    }
}

/// Reads up to the empty line; false at the end of the connection. The proxy has checked what it
/// sends, so this need not.
fn read_head(reader: &mut impl BufRead, head: &mut Vec<u8>) -> io::Result<bool> {
    head.clear();
    loop {
        let before = head.len();
        if reader.read_until(b'\n', head)? == 0 {
            return Ok(false);
        }
        if head.len() - before <= 2 {
            return Ok(true);
        }
    }
}

/// Reads over a body: of a known length, or in chunks up to the last one.
fn discard_body(reader: &mut impl BufRead, head: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let field = |name: &str| {
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
    };
    if let Some(length) = field("content-length").and_then(|length| length.parse().ok()) {
        io::copy(&mut io::Read::take(reader, length), &mut io::sink())?;
    } else if field("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            if size == 0 {
                // Trailers end as a head does.
                return read_head(reader, &mut Vec::new()).map(drop);
            }
            io::copy(&mut io::Read::take(&mut *reader, size + 2), &mut io::sink())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_bodies_end_where_they_should() {
        let bytes = b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc\
            POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\nt: v\r\n\r\n\
            POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\
            GET / HTTP/1.1\r\n\r\n";
        let mut reader = &bytes[..];
        let mut head = Vec::new();
        for expected in ["POST", "POST", "POST", "GET "] {
            assert!(read_head(&mut reader, &mut head).expect("whole"));
            assert!(head.starts_with(expected.as_bytes()), "{expected}");
            discard_body(&mut reader, &head).expect("whole");
        }
        assert!(!read_head(&mut reader, &mut head).expect("the end"));
    }
}
