//! What stands behind the `{…}` places of a configuration: addresses the test owns.
//!
//! | place | stands for |
//! |---|---|
//! | `{bind.x}` | an address for the proxy to listen on; the port is held by a bound socket |
//! | `{bind6.x}` | the same on `::1` |
//! | `{origin.x}` | a listening socket of the origin |
//! | `{refused.x}` | a bound socket that does not listen: connections are refused |
//! | `{source.x}` | an address to connect from; the port is held by a bound socket |
//! | `{blackhole.x}` | a listening socket whose backlog is full: connections hang |
//! | `{log}` | the log sink, UDP |
//! | `{log.unix}` | the log sink, a unix datagram socket |
//! | `{dir}` | the scenario's own directory |

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::scenario::Config;
use super::sink::Sink;

/// For a configuration that reads no files.
pub const NO_FILES: &[(&str, &str)] = &[];

/// What places begin with.
const PLACES: [&str; 9] = [
    "bind.",
    "bind6.",
    "origin.",
    "refused.",
    "source.",
    "blackhole.",
    "log}",
    "log.unix}",
    "dir}",
];

/// The places of one run of one scenario. Dropping it gives everything back.
#[derive(Debug)]
pub struct Places {
    pub dir: PathBuf,
    pub sink: Sink,
    pub origins: BTreeMap<String, TcpListener>,
    binds: BTreeMap<String, SocketAddr>,
    /// Address text to the place's name, for masking.
    names: BTreeMap<String, String>,
    _held: Vec<Socket>,
    _plugs: Vec<TcpStream>,
}

impl Places {
    /// Opens what `config` names, and returns it with the text in which every place is filled.
    pub fn open(config: &Config) -> io::Result<(Self, String)> {
        Self::of(&config.text(), &config.files)
    }

    /// The same for a text and the files beside it.
    pub fn of<N: AsRef<Path>, F: AsRef<[u8]>>(
        text: &str,
        files: &[(N, F)],
    ) -> io::Result<(Self, String)> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("exchanges-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let sink = Sink::open(&dir)?;
        let mut places = Self {
            dir,
            sink,
            origins: BTreeMap::new(),
            binds: BTreeMap::new(),
            names: BTreeMap::new(),
            _held: Vec::new(),
            _plugs: Vec::new(),
        };
        for (name, text) in files {
            fs::write(places.dir.join(name), text)?;
        }
        let mut filled = String::new();
        let mut left = text;
        while let Some((before, after)) = left.split_once('{') {
            filled.push_str(before);
            if !PLACES.iter().any(|place| after.starts_with(place)) {
                // A brace of the language: `%{+Q}o`, `[0-9]{3}`.
                filled.push('{');
                left = after;
                continue;
            }
            let (place, after) = after.split_once('}').ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, "a place without its closing brace")
            })?;
            filled.push_str(&places.fill(place)?);
            left = after;
        }
        filled.push_str(left);
        Ok((places, filled))
    }

    fn fill(&mut self, place: &str) -> io::Result<String> {
        match place {
            "dir" => return Ok(self.dir.display().to_string()),
            "log" => return Ok(self.sink.udp()?.to_string()),
            "log.unix" => return Ok(self.sink.unix().display().to_string()),
            _ => {}
        }
        let named = |name: &str| format!("{{{name}}}");
        if let Some((address, _)) = self.names.iter().find(|(_, name)| **name == named(place)) {
            return Ok(address.clone());
        }
        let kind = place.split('.').next().unwrap_or_default();
        let (domain, ip) = match kind {
            "bind6" => (Domain::IPV6, IpAddr::V6(Ipv6Addr::LOCALHOST)),
            _ => (Domain::IPV4, IpAddr::V4(Ipv4Addr::LOCALHOST)),
        };
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        if kind.starts_with("bind") || kind == "source" {
            // As the proxy does, so that it can bind what is held here.
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(true)?;
        }
        socket.bind(&SocketAddr::new(ip, 0).into())?;
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        self.names.insert(address.to_string(), named(place));
        let short = place.split_once('.').map_or(place, |(_, name)| name).to_owned();
        match kind {
            "bind" | "bind6" => {
                self.binds.insert(short, address);
                self._held.push(socket);
            }
            "origin" => {
                socket.listen(128)?;
                self.origins.insert(short, socket.into());
            }
            "refused" | "source" => self._held.push(socket),
            "blackhole" => {
                socket.listen(0)?;
                self._held.push(socket);
                // The queue holds one more than the backlog says; a full one drops SYNs.
                while let Ok(plug) = TcpStream::connect_timeout(&address, Duration::from_millis(80))
                {
                    self._plugs.push(plug);
                }
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{{{place}}}?"))),
        }
        Ok(address.to_string())
    }

    /// The address of `{bind.name}`.
    pub fn bind(&self, name: &str) -> Option<SocketAddr> {
        self.binds.get(name).copied()
    }

    pub fn binds(&self) -> impl Iterator<Item = SocketAddr> {
        self.binds.values().copied()
    }

    /// The ports of all places, and what to call them.
    pub fn ports(&self) -> impl Iterator<Item = (u16, String)> {
        self.names.iter().filter_map(|(address, name)| {
            let address: SocketAddr = address.parse().ok()?;
            Some((address.port(), format!("{name}.port")))
        })
    }

    /// Replaces every address of a place by the place, and the directory by `{dir}`.
    pub fn mask(&self, text: &str) -> String {
        let mut text = text.replace(&self.dir.display().to_string(), "{dir}");
        for (address, name) in &self.names {
            text = text.replace(address, name);
        }
        text
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // A directory that stays behind in the temporary folder does no harm.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
