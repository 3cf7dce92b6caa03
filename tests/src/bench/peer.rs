//! The proxies that are compared: where their programs are, and how each is started for a
//! configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::case::Row;
use super::options::Options;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    Haproxy,
    Nginx,
    Relay,
    Tidegate,
}

impl Peer {
    pub const ALL: [Self; 4] = [Self::Haproxy, Self::Nginx, Self::Relay, Self::Tidegate];

    pub fn name(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Relay => "relay",
            Self::Tidegate => "tidegate",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|peer| peer.name() == name)
    }

    /// Whether it understands HTTP at all, and adds `X-Forwarded-For` when told to.
    pub fn speaks_http(self) -> bool {
        self != Self::Relay
    }
}

/// The programs found on this machine.
pub struct Programs {
    found: Vec<(Peer, PathBuf, String)>,
    /// Folder of nginx's stream module, if that is installed.
    nginx_modules: Option<PathBuf>,
}

/// What a proxy is told about its surroundings.
pub struct Surroundings<'a> {
    pub front_port: u16,
    pub origin_port: u16,
    pub log_socket: &'a Path,
    pub work_dir: &'a Path,
}

/// A program with its arguments and what is added to its environment.
pub struct Invocation {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(&'static str, String)>,
}

impl Programs {
    /// Looks for what `options` asks for, and says loudly what is missing.
    pub fn find(options: &Options) -> Self {
        let mut found = Vec::new();
        for &peer in &options.proxies {
            match locate(peer, options) {
                Some(path) => {
                    let version = version(peer, &path);
                    found.push((peer, path, version));
                }
                None => eprintln!("bench: MISSING {}", hint(peer)),
            }
        }
        let modules = std::env::var_os("NGINX_MODULES")
            .map_or_else(|| PathBuf::from("/usr/lib/nginx/modules"), PathBuf::from);
        let nginx_modules = modules.join("ngx_stream_module.so").exists().then_some(modules);
        Self { found, nginx_modules }
    }

    /// Program and first line of its version, in the order asked for.
    pub fn list(&self) -> impl Iterator<Item = (Peer, &Path, &str)> {
        self.found.iter().map(|(peer, path, version)| (*peer, path.as_path(), version.as_str()))
    }

    fn path(&self, peer: Peer) -> Option<&Path> {
        self.list().find(|(p, ..)| *p == peer).map(|(_, path, _)| path)
    }

    /// Why `row` cannot be measured here, if so.
    pub fn obstacle(&self, row: &Row) -> Option<String> {
        if self.path(row.peer).is_none() {
            return Some(format!("{} is missing", row.peer.name()));
        }
        if row.peer == Peer::Nginx && row.config == "tcp" && self.nginx_modules.is_none() {
            return Some(
                "nginx's stream module is missing (package libnginx-mod-stream, \
                 or name its folder in $NGINX_MODULES)"
                    .into(),
            );
        }
        None
    }

    /// How `row`'s proxy is started.
    pub fn command(&self, row: &Row, around: &Surroundings<'_>) -> Result<Invocation, String> {
        let program = self.path(row.peer).ok_or("no such program")?.to_owned();
        let Surroundings { front_port, origin_port, log_socket, work_dir } = around;
        let mut env = vec![
            ("FRONT_PORT", front_port.to_string()),
            ("ORIGIN_PORT", origin_port.to_string()),
            ("NBTHREAD", row.threads.to_string()),
            ("LOG_SOCKET", log_socket.display().to_string()),
        ];
        let args = match row.peer {
            Peer::Haproxy | Peer::Tidegate => {
                vec!["-f".into(), config(row.config, "cfg").display().to_string(), "-db".into()]
            }
            Peer::Relay => {
                let (front, origin) = (front_port.to_string(), origin_port.to_string());
                vec!["relay".into(), front, origin, row.threads.to_string()]
            }
            Peer::Nginx => {
                // One process is measured as one; several need the master.
                env.push(("NGINX_MASTER", if row.threads > 1 { "on" } else { "off" }.into()));
                env.push(("WORK_DIR", work_dir.display().to_string()));
                if let Some(modules) = &self.nginx_modules {
                    env.push(("NGINX_MODULES", modules.display().to_string()));
                }
                let template = config(row.config, "nginx");
                let text = fs::read_to_string(&template)
                    .map_err(|e| format!("{}: {e}", template.display()))?;
                let path = work_dir.join("nginx.conf");
                fs::write(&path, expand(&text, &env)?)
                    .map_err(|e| format!("{}: {e}", path.display()))?;
                let (dir, conf) = (work_dir.display().to_string(), path.display().to_string());
                vec!["-p".into(), dir, "-c".into(), conf, "-e".into(), "stderr".into()]
            }
        };
        Ok(Invocation { program, args, env })
    }
}

fn config(stem: &str, extension: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/bench");
    folder.join(stem).with_extension(extension)
}

/// Replaces `${NAME}` by its value.
fn expand(text: &str, env: &[(&'static str, String)]) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or("a ${ is never closed")?;
        expanded.push_str(before);
        rest = after;
        if name == "NAMES" {
            // The comment at the head of a template speaks of them.
            expanded.push_str("${NAMES}");
            continue;
        }
        let (_, value) =
            env.iter().find(|(n, _)| *n == name).ok_or_else(|| format!("no value for {name}"))?;
        expanded.push_str(value);
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn locate(peer: Peer, options: &Options) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let named = options.programs.iter().find(|(p, _)| *p == peer).map(|(_, path)| path.clone());
    if let Some(path) = named {
        return path.is_file().then(|| fs::canonicalize(path).ok())?;
    }
    match peer {
        Peer::Relay => Some(own),
        Peer::Tidegate => Some(own.with_file_name("tidegate")).filter(|path| path.is_file()),
        Peer::Haproxy | Peer::Nginx => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path)
                .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
                .map(|folder| folder.join(peer.name()))
                .find(|path| path.is_file())
        }
    }
}

fn hint(peer: Peer) -> &'static str {
    match peer {
        Peer::Haproxy => "haproxy: not in PATH nor /usr/sbin; there will be no ratios",
        Peer::Nginx => "nginx: not in PATH nor /usr/sbin; its rows are left out",
        Peer::Relay => "relay: this program cannot find itself",
        Peer::Tidegate => {
            "tidegate: not beside this program (build it with `cargo build --release`, or name it \
             with --tidegate); its rows are left out"
        }
    }
}

/// First line of what it says about its version.
fn version(peer: Peer, path: &Path) -> String {
    let flag = match peer {
        Peer::Relay => return "bundled".into(),
        Peer::Nginx | Peer::Haproxy | Peer::Tidegate => "-v",
    };
    // Bounded, for a program that takes the flag for something else.
    let output = Command::new("timeout").arg("5").arg(path).arg(flag).stdin(Stdio::null()).output();
    let Ok(output) = output else { return String::new() };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::case;
    use super::*;

    #[test]
    fn templates_are_expanded() {
        let env = [("A", "1".to_owned()), ("BC", "x".to_owned())];
        assert_eq!(expand("a ${A}${BC} ${A}; # ${NAMES}", &env).unwrap(), "a 1x 1; # ${NAMES}");
        assert_eq!(expand("none", &env).unwrap(), "none");
        assert!(expand("${A", &env).is_err());
        assert!(expand("${D}", &env).is_err());
    }

    #[test]
    fn every_row_has_its_configuration() {
        for case in case::ALL {
            for row in case.rows {
                let extension = match row.peer {
                    Peer::Haproxy | Peer::Tidegate => "cfg",
                    Peer::Nginx => "nginx",
                    Peer::Relay => continue,
                };
                let path = config(row.config, extension);
                assert!(path.is_file(), "{}: {}", row.name, path.display());
            }
        }
    }
}
