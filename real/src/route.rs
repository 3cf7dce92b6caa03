//! `tidegate route`: what would become of a request. The configuration is loaded, and the very engine
//! that carries traffic is given the request, on sockets that exist only in memory; nothing is
//! opened, and no server hears of it.

use std::fmt::Write;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{Host, Source};
use tidegate_core::engine::{Engine, Note, Park, Setup};
use tidegate_core::poller::Address;
use tidegate_core::proxy::shared::Shared;
use tidegate_core::proxy::spec::{Mode, Site};
use tidegate_core::rng::Seed;
use tidegate_core::sample::Applied;
use tidegate_core::script::{Script, Wire};
use tidegate_core::time::{Instant, Now, Wall};

use crate::host::{Machine, configuration_files};
use crate::say;

/// A server would get it.
const ROUTED: u8 = 0;
/// The command line or the configuration is wrong.
const FAILED: u8 = 1;
/// It would be answered, or closed, without a server.
const ANSWERED: u8 = 3;

/// Turns after which nothing more is waited for.
const TURNS_MAX: usize = 256;

/// What `--help` says.
const HELP: &str = "\
Usage: tidegate route -f FILE --request 'METHOD URL' [-H 'NAME: VALUE']... [--data TEXT]
                      [--src ADDRESS] [--frontend NAME] [--json]

Says what would become of a request: which rules apply, in order; what the server would get, and which
server; or what the client would be answered. Nothing is sent to anybody.

  -f FILE           the configuration; may be given several times
  --request TEXT    such as 'GET https://example.com/path?x=1'; the host becomes the Host header
  -H 'NAME: VALUE'  one more header; may be given several times
  --data TEXT       a body
  --src ADDRESS     where the client comes from; 127.0.0.1 otherwise
  --frontend NAME   where it comes in; the first HTTP frontend otherwise
  --json            the same as one JSON object

Ends with 0 if a server would get it, 3 if it would be answered without one, 1 on an error.
";

#[derive(Default)]
struct Asked {
    files: Vec<String>,
    request: Option<String>,
    headers: Vec<String>,
    data: Option<String>,
    source: Option<IpAddr>,
    frontend: Option<String>,
    json: bool,
}

/// What became of it.
struct Outcome {
    frontend: String,
    rules: Vec<Applied>,
    /// The server, if one was chosen: backend, server, address.
    server: Option<(String, String, String)>,
    /// What the server got.
    sent: String,
    /// What the client got.
    answer: String,
    logged: Vec<String>,
}

/// Carries it out.
pub fn run(args: &[String]) -> ExitCode {
    let asked = match parse(args) {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            say::print(HELP);
            return ExitCode::SUCCESS;
        }
        Err(why) => return fail(&why),
    };
    match route(&asked) {
        Ok(outcome) => {
            let text = if asked.json { outcome.json() } else { outcome.text() };
            say::print(text);
            if outcome.server.is_some() { ROUTED.into() } else { ANSWERED.into() }
        }
        Err(Some(why)) => fail(&why),
        Err(None) => FAILED.into(),
    }
}

fn fail(why: &str) -> ExitCode {
    say::alert(format_args!("route : {why}"));
    FAILED.into()
}

fn parse(args: &[String]) -> Result<Option<Asked>, String> {
    let mut asked = Asked::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value =
            || args.next().cloned().ok_or_else(|| format!("'{arg}' needs a value behind it"));
        match arg.as_str() {
            "-h" | "--help" => return Ok(None),
            "-f" => asked.files.push(value()?),
            "--request" => asked.request = Some(value()?),
            "-H" => asked.headers.push(value()?),
            "--data" => asked.data = Some(value()?),
            "--src" => {
                let text = value()?;
                let source = text.parse().map_err(|_| format!("'{text}' is no IP address"))?;
                asked.source = Some(source);
            }
            "--frontend" => asked.frontend = Some(value()?),
            "--json" => asked.json = true,
            other => return Err(format!("'{other}' is not an option of it; see --help")),
        }
    }
    if asked.files.is_empty() {
        return Err("which configuration? Give it with -f".into());
    }
    if asked.request.is_none() {
        return Err("which request? Give it with --request 'GET http://host/path'".into());
    }
    Ok(Some(asked))
}

/// An error without a sentence was already told.
fn route(asked: &Asked) -> Result<Outcome, Option<String>> {
    let site = load(&asked.files)?;
    let frontend = frontend(&site, asked.frontend.as_deref())?;
    let listener = site.proxy(frontend).listeners.start;
    let request = request(asked)?;
    let site = Arc::new(site);
    let mut engine = Engine::new(Setup {
        shared: Arc::new(Shared::new(&site, 1)),
        site: site.clone(),
        id: 0,
        engines: 1,
        seed: Seed(0),
        pid: std::process::id(),
    });
    engine.trace_rules();
    let mut net = Script::default();
    for at in &site.listeners {
        net.bound.push(match &at.address {
            Address::Inet(at) => *at,
            _ => ([127, 0, 0, 1], 80).into(),
        });
    }
    let mut now = Now { mono: Instant::START, wall: wall() };
    engine.start(&mut net, now).map_err(Some)?;
    let source = asked.source.unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let client = net.connect_from(listener, source);
    net.push(client, request.as_bytes());
    let mut notes: Vec<Note> = Vec::new();
    let mut server: Option<Wire> = None;
    for _ in 0..TURNS_MAX {
        let park = engine.turn(&mut net, &mut notes, now);
        while let Some((wire, _)) = net.dialled() {
            net.establish(wire);
            server = Some(wire);
        }
        let (answered, closed) = (net.has_sent(client), net.closed(client).is_some());
        if server.is_some_and(|wire| net.has_sent(wire)) || answered || closed {
            break;
        }
        match park {
            // Time passes at once: a tarpit, an inspect-delay, a pause.
            Park::Until(at) => {
                let passed = at.since(now.mono).as_nanos();
                now = Now { mono: at, wall: Wall::from_nanos(now.wall.as_nanos() + passed) };
            }
            Park::Busy => {}
            Park::Idle | Park::Done if net.has_events(0) => {}
            Park::Idle | Park::Done => break,
        }
    }
    let chosen = notes.iter().rev().find_map(|note| match note {
        Note::Connected { server, .. } => Some(*server),
        _ => None,
    });
    let server_name = chosen.map(|id| {
        let spec = site.server(id);
        let address = match &spec.address {
            Some(Address::Inet(at)) => at.to_string(),
            Some(other) => format!("{other:?}"),
            None => String::new(),
        };
        (site.proxy(spec.backend).name.to_string(), spec.name.to_string(), address)
    });
    Ok(Outcome {
        frontend: site.proxy(frontend).name.to_string(),
        rules: engine.take_trace(),
        server: server_name,
        sent: server.map(|wire| net.text(wire)).unwrap_or_default(),
        answer: net.text(client),
        logged: std::mem::take(&mut net.logged),
    })
}

fn wall() -> Wall {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Wall::from_nanos(since.map_or(0, |since| since.as_nanos() as u64))
}

fn load(files: &[String]) -> Result<Site, Option<String>> {
    let mut sources = Vec::new();
    for path in files {
        let paths = configuration_files(path)
            .map_err(|why| Some(format!("cannot open the configuration {path} : {why}")))?;
        for path in paths {
            let bytes = Machine
                .read(&path)
                .map_err(|why| Some(format!("cannot read the configuration {path} : {why}")))?;
            sources.push(Source::new(path, bytes));
        }
    }
    match build(&sources, &CliOverrides::default(), &Machine) {
        Ok((site, _)) => Ok(site),
        Err(diagnostics) => {
            say::diagnostics(&diagnostics, &sources, false);
            Err(None)
        }
    }
}

/// The frontend of that name, or the first that speaks HTTP and listens.
fn frontend(site: &Site, name: Option<&str>) -> Result<u32, Option<String>> {
    let listens = |index: &usize| {
        let proxy = &site.proxies[*index];
        !proxy.listeners.is_empty() && !proxy.disabled && proxy.mode == Mode::Http
    };
    let mut candidates = (0..site.proxies.len()).filter(listens);
    let found = match name {
        None => candidates.next(),
        Some(name) => candidates.find(|index| *site.proxies[*index].name == *name),
    };
    found.map(|index| index as u32).ok_or_else(|| {
        Some(match name {
            Some(name) => format!("there is no HTTP frontend '{name}' that listens"),
            None => "no HTTP frontend listens".into(),
        })
    })
}

/// The request on the wire.
fn request(asked: &Asked) -> Result<String, Option<String>> {
    let text = asked.request.as_deref().unwrap_or_default();
    let (method, url) = text.split_once(' ').unwrap_or(("GET", text));
    let url = url.trim();
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => match rest.find(['/', '?']) {
            Some(at) if rest[at..].starts_with('/') => (Some(&rest[..at]), rest[at..].to_owned()),
            Some(at) => (Some(&rest[..at]), format!("/{}", &rest[at..])),
            None => (Some(rest), "/".to_owned()),
        },
        None => (None, url.to_owned()),
    };
    let mut out = format!("{method} {path} HTTP/1.1\r\n");
    let named = |name: &str| {
        asked.headers.iter().any(|header| {
            header.split(':').next().is_some_and(|known| known.trim().eq_ignore_ascii_case(name))
        })
    };
    if !named("host") {
        let _ = write!(out, "Host: {}\r\n", host.unwrap_or("localhost"));
    }
    for header in &asked.headers {
        if !header.contains(':') {
            return Err(Some(format!("'-H {header}' is not of the form 'Name: value'")));
        }
        let _ = write!(out, "{header}\r\n");
    }
    if let Some(data) = &asked.data {
        let _ = write!(out, "Content-Length: {}\r\n\r\n{data}", data.len());
    } else {
        out.push_str("\r\n");
    }
    Ok(out)
}

impl Outcome {
    fn text(&self) -> String {
        let mut out = format!("frontend  {}\n", self.frontend);
        for (index, rule) in self.rules.iter().enumerate() {
            let title = if index == 0 { "rules" } else { "" };
            let _ = writeln!(out, "{title:<10}{}:{}  {}", rule.file, rule.line, rule.text);
        }
        match &self.server {
            Some((backend, server, address)) => {
                let _ = writeln!(out, "backend   {backend}\nserver    {server} ({address})");
                push_lines(&mut out, "request", &self.sent);
            }
            None => {
                let _ = writeln!(out, "server    none");
                let answer = if self.answer.is_empty() { "closed, without a word" } else { "" };
                push_lines(
                    &mut out,
                    "answer",
                    if answer.is_empty() { &self.answer } else { answer },
                );
            }
        }
        for line in &self.logged {
            let _ = writeln!(out, "log       {line}");
        }
        out
    }

    fn json(&self) -> String {
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|rule| json!({"file": &*rule.file, "line": rule.line, "rule": &*rule.text}))
            .collect();
        let server = self.server.as_ref().map(|(backend, server, address)| {
            json!({"backend": backend, "server": server, "address": address})
        });
        let value = json!({
            "frontend": self.frontend,
            "rules": rules,
            "routed": server,
            "request": self.server.is_some().then_some(&self.sent),
            "answer": self.server.is_none().then_some(&self.answer),
            "log": self.logged,
        });
        format!("{value}\n")
    }
}

/// Appends lines with a title in front of the first.
fn push_lines(out: &mut String, title: &str, text: &str) {
    for (index, line) in text.trim_end().lines().enumerate() {
        let title = if index == 0 { title } else { "" };
        let _ = writeln!(out, "{title:<10}{line}");
    }
}
