//! What an engine was made of: the configuration's text, what it asked of the machine while it was
//! built, the command line, sizes and seeds. With it the same engine is made again, anywhere.

use core::net::IpAddr;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{FdLimit, Host, Source};
use tidegate_core::engine::{Engine, Setup};
use tidegate_core::proxy::shared::Shared;
use tidegate_core::proxy::spec::{Site, Tunables};
use tidegate_core::rng::Seed;

use crate::digest::Digest;

use super::wire::{Broken, Bytes, Hash, Reader, Wire, wire_struct};

/// The beginning of every recording. Its bytes notice what is done to text files.
pub const MAGIC: [u8; 8] = *b"\x89TGR\r\n\x1a\n";
/// Goes up with every change of what stands in a recording.
pub const FORMAT: u16 = 3;

/// How an engine came to be.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Who recorded it: program and version.
    pub program: String,
    /// Which engine it is, from 0.
    pub engine: u32,
    /// How many there were.
    pub engines: u32,
    /// Where their randomness came from.
    pub seed: u64,
    /// The process id, which logs show.
    pub pid: u32,
    /// The configuration.
    pub config: Config,
    /// Sizes and limits as they were, wherever they came from.
    tunables: Tunables,
    /// One socket per listener, because of the system or the command line.
    noreuseport: bool,
    timezone: Option<String>,
    /// Of the site: whether the same comes of the configuration again.
    site: Hash,
}

/// A configuration and all that it depends on.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The files, in order.
    pub sources: Vec<Source>,
    /// What the command line says about it.
    pub overrides: CliOverrides,
    /// What it asked of the machine.
    pub transcript: Transcript,
}

wire_struct! {
    Boot {
        program, engine, engines, seed, pid, config, tunables, noreuseport, timezone, site,
    }
    Config { sources, overrides, transcript }
    CliOverrides {
        maxconn, proxy_maxconn, daemon, pidfile, localpeer, no_splice, no_reuseport,
        ignore_resolution, zero_warning,
    }
    Tunables {
        bufsize, maxrewrite, recv_size, forward_size, pipesize, pipes_max, nosplice, maxaccept,
        maxpollevents, runqueue_depth, reads_max, maxhdr, payload_any_method, vars_max, logurilen,
        linger_bytes_max, linger_time_max, lingering_max, log_arena_max, idle_max, shortage_retry,
        rcvbuf_client, rcvbuf_server, sndbuf_client, sndbuf_server,
    }
    Transcript { files, lists, env, names, users, groups, hostname, cpus, fd_limit, root }
    FdLimit { soft, hard }
}

impl Wire for Source {
    fn put(&self, out: &mut Vec<u8>) {
        self.name.put(out);
        Bytes(self.bytes.clone()).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok(Source::new(from.get::<String>()?, from.get::<Bytes>()?.0))
    }
}

impl<K: Wire + Ord, V: Wire> Wire for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok(from.get::<Vec<(K, V)>>()?.into_iter().collect())
    }
}

impl Boot {
    /// What engine number `id` of `setup`'s kind is made of, whose site came of `config`.
    pub fn of(program: &str, setup: &Setup, config: Config) -> Boot {
        let site = &setup.site;
        Boot {
            program: program.to_owned(),
            engine: setup.id,
            engines: setup.engines,
            seed: setup.seed.0,
            pid: setup.pid,
            config,
            tunables: site.tunables.clone(),
            noreuseport: site.global.noreuseport,
            timezone: site.global.timezone.clone(),
            site: digest(site),
        }
    }

    /// Compiles the configuration again, asking nothing of this machine.
    pub fn site(&self) -> Result<Site, String> {
        let Config { sources, overrides, transcript } = &self.config;
        let (mut site, _) = build(sources, overrides, transcript).map_err(|diagnostics| {
            let first = diagnostics.first().map_or(String::new(), |d| d.plain(sources, self.pid));
            format!("its configuration is refused by this version: {}", first.trim_end())
        })?;
        site.tunables = self.tunables.clone();
        site.global.noreuseport = self.noreuseport;
        site.global.timezone.clone_from(&self.timezone);
        if digest(&site) != self.site {
            return Err(format!(
                "its configuration means something else to this version; it was recorded by {}",
                self.program
            ));
        }
        Ok(site)
    }

    /// The engine, as it was before its start.
    pub fn engine(&self) -> Result<Engine, String> {
        let (id, engines) = (self.engine, self.engines);
        if !(1..=tidegate_core::proxy::shared::ENGINES_MAX).contains(&engines) || id >= engines {
            return Err(format!("there is no engine {id} of {engines}"));
        }
        let site = Arc::new(self.site()?);
        let shared = Arc::new(Shared::new(&site, engines));
        Ok(Engine::new(Setup { site, shared, id, engines, seed: Seed(self.seed), pid: self.pid }))
    }

    /// Writes it as the head of a recording.
    pub fn head(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.put(&mut body);
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&FORMAT.to_le_bytes());
        head.extend_from_slice(&(body.len() as u64).to_le_bytes());
        head.extend_from_slice(&body);
        hash(&body).put(&mut head);
        head
    }

    /// Reads the head of a recording; says where its entries begin.
    pub fn read(recording: &[u8]) -> Result<(Boot, usize), String> {
        let short = |_| "it ends within its head: nothing was recorded yet".to_owned();
        let mut reader = Reader::new(recording, 0);
        if recording.is_empty() {
            return Err("it is empty".into());
        }
        let magic = reader.array::<8>().map_err(|_| "it is no recording")?;
        if magic != MAGIC {
            return Err("it is no recording".into());
        }
        let format = u16::from_le_bytes(reader.array().map_err(short)?);
        if format != FORMAT {
            return Err(format!("it has format {format}; this version reads format {FORMAT}"));
        }
        let length = u64::from_le_bytes(reader.array().map_err(short)?);
        let length = usize::try_from(length).map_err(|_| "its head is damaged")?;
        let body = reader.take(length).map_err(short)?;
        let sum = reader.get::<Hash>().map_err(short)?;
        if sum != hash(body) {
            return Err("its head is damaged".into());
        }
        let mut fields = Reader::new(body, 0);
        let boot = fields.get::<Boot>().ok().filter(|_| fields.is_at_end());
        Ok((boot.ok_or("its head is damaged")?, reader.at()))
    }
}

fn hash(bytes: &[u8]) -> Hash {
    let mut digest = Digest::default();
    digest.bytes(bytes);
    Hash(digest.value())
}

fn digest(site: &Site) -> Hash {
    hash(format!("{site:?}").as_bytes())
}

/// What was asked of a machine, and what it answered. As a [`Host`] it answers the same again, and
/// knows nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    files: BTreeMap<String, Result<Bytes, String>>,
    lists: BTreeMap<String, Result<Vec<String>, String>>,
    env: BTreeMap<String, Option<String>>,
    names: BTreeMap<String, Result<Vec<IpAddr>, String>>,
    users: BTreeMap<String, Option<(u32, u32)>>,
    groups: BTreeMap<String, Option<u32>>,
    hostname: Option<String>,
    cpus: Option<usize>,
    fd_limit: Option<FdLimit>,
    root: Option<bool>,
}

const UNKNOWN: &str = "it was not asked for in the recording";

impl Host for Transcript {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let file = self.files.get(path).cloned();
        file.map_or_else(|| Err(UNKNOWN.into()), |file| file.map(|bytes| bytes.0))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, String> {
        self.lists.get(dir).cloned().unwrap_or_else(|| Err(UNKNOWN.into()))
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned().flatten()
    }

    fn hostname(&self) -> String {
        self.hostname.clone().unwrap_or_default()
    }

    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        self.names.get(name).cloned().unwrap_or_else(|| Err(UNKNOWN.into()))
    }

    fn cpus(&self) -> usize {
        self.cpus.unwrap_or(1)
    }

    fn fd_limit(&self) -> FdLimit {
        self.fd_limit.unwrap_or(FdLimit { soft: 1024, hard: 1024 })
    }

    fn user(&self, name: &str) -> Option<(u32, u32)> {
        self.users.get(name).copied().flatten()
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied().flatten()
    }

    fn is_root(&self) -> bool {
        self.root.unwrap_or(false)
    }
}

/// A host that keeps a transcript of what another one is asked.
#[derive(Debug)]
pub struct Listening<H> {
    host: H,
    transcript: RefCell<Transcript>,
}

impl<H: Host> Listening<H> {
    /// Listens to what `host` is asked.
    pub fn to(host: H) -> Self {
        Listening { host, transcript: RefCell::default() }
    }

    /// What was asked and answered.
    pub fn transcript(self) -> Transcript {
        self.transcript.into_inner()
    }
}

impl<H: Host> Host for Listening<H> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let answer = self.host.read(path);
        self.transcript.borrow_mut().files.insert(path.into(), answer.clone().map(Bytes));
        answer
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, String> {
        let answer = self.host.list(dir);
        self.transcript.borrow_mut().lists.insert(dir.into(), answer.clone());
        answer
    }

    fn env(&self, name: &str) -> Option<String> {
        let answer = self.host.env(name);
        self.transcript.borrow_mut().env.insert(name.into(), answer.clone());
        answer
    }

    fn hostname(&self) -> String {
        let answer = self.host.hostname();
        self.transcript.borrow_mut().hostname = Some(answer.clone());
        answer
    }

    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let answer = self.host.resolve(name);
        self.transcript.borrow_mut().names.insert(name.into(), answer.clone());
        answer
    }

    fn cpus(&self) -> usize {
        let answer = self.host.cpus();
        self.transcript.borrow_mut().cpus = Some(answer);
        answer
    }

    fn fd_limit(&self) -> FdLimit {
        let answer = self.host.fd_limit();
        self.transcript.borrow_mut().fd_limit = Some(answer);
        answer
    }

    fn user(&self, name: &str) -> Option<(u32, u32)> {
        let answer = self.host.user(name);
        self.transcript.borrow_mut().users.insert(name.into(), answer);
        answer
    }

    fn group(&self, name: &str) -> Option<u32> {
        let answer = self.host.group(name);
        self.transcript.borrow_mut().groups.insert(name.into(), answer);
        answer
    }

    fn is_root(&self) -> bool {
        let answer = self.host.is_root();
        self.transcript.borrow_mut().root = Some(answer);
        answer
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::config::MapHost;

    use super::*;

    const TEXT: &str = "global\n log 127.0.0.1:514 local0\ndefaults\n mode http\n\
         errorfile 503 /etc/503\nlisten web\n bind \"$WHERE\"\n server one backend:80\n";

    fn config() -> (Config, Site) {
        let host = MapHost::default()
            .with_file("/etc/503", "HTTP/1.0 503 No\r\n\r\n")
            .with_env("WHERE", "127.0.0.1:8080")
            .with_name("backend", &[IpAddr::from([10, 0, 0, 7])]);
        let host = Listening::to(host);
        let sources = vec![Source::new("a.cfg", TEXT)];
        let overrides = CliOverrides { maxconn: Some(77), ..CliOverrides::default() };
        let (site, _) = build(&sources, &overrides, &host).expect("it is good");
        (Config { sources, overrides, transcript: host.transcript() }, site)
    }

    fn boot() -> Boot {
        let (config, mut site) = config();
        site.tunables.recv_size = 333;
        site.global.noreuseport = true;
        let site = Arc::new(site);
        let shared = Arc::new(Shared::new(&site, 3));
        let setup = Setup { site, shared, id: 2, engines: 3, seed: Seed(9), pid: 42 };
        Boot::of("a test", &setup, config)
    }

    #[test]
    fn the_same_engine_is_made_again_without_the_machine() {
        let head = boot().head();
        let mut recording = head.clone();
        recording.extend_from_slice(b"entries");
        let (boot, begins) = Boot::read(&recording).expect("it is whole");
        assert_eq!(begins, head.len());
        assert_eq!((boot.engine, boot.engines, boot.seed, boot.pid), (2, 3, 9, 42));
        let site = boot.site().expect("the same configuration");
        assert_eq!((site.global.maxconn, site.tunables.recv_size), (77, 333));
        assert!(site.global.noreuseport);
        assert!(format!("{:?}", site.servers[0].address).contains("10.0.0.7"));
        boot.engine().expect("an engine");
    }

    #[test]
    fn another_meaning_is_noticed() {
        let mut other = boot();
        let transcript = &mut other.config.transcript;
        transcript.names.insert("backend".into(), Ok(vec![IpAddr::from([10, 0, 0, 8])]));
        assert!(other.site().expect_err("another server").contains("something else"));
        let mut other = boot();
        other.config.transcript.files.clear();
        assert!(other.site().expect_err("no error file").contains("refused by this version"));
        let mut other = boot();
        other.engine = 3;
        assert!(other.engine().is_err());
    }

    #[test]
    fn a_head_is_checked() {
        let head = boot().head();
        let error = |bytes: &[u8]| Boot::read(bytes).expect_err("it is broken");
        assert_eq!(error(b""), "it is empty");
        assert_eq!(error(b"global\n  daemon\n"), "it is no recording");
        assert!(error(&head[..head.len() - 1]).contains("ends within its head"));
        let with = |at: usize| {
            let mut bytes = head.clone();
            bytes[at] ^= 1;
            bytes
        };
        assert_eq!(error(&with(0)), "it is no recording");
        let other = format!("format {}", FORMAT ^ 1);
        assert!(error(&with(8)).contains(&other), "{}", error(&with(8)));
        assert_eq!(error(&with(30)), "its head is damaged");
        assert_eq!(error(&with(head.len() - 1)), "its head is damaged");
    }
}
