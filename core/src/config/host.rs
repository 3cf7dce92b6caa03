//! What a configuration asks of the machine while it is built, and never later.

use core::net::IpAddr;
use std::collections::BTreeMap;

/// The limit on open descriptors (RLIMIT_NOFILE).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FdLimit {
    /// In force now.
    pub soft: u64,
    /// What an unprivileged process may raise it to.
    pub hard: u64,
}

/// The machine, as far as a configuration may ask about it. Errors are one sentence for the
/// operator without the name that was asked for.
pub trait Host {
    /// The whole of a file.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
    /// The names in a directory, without the directory, in any order.
    fn list(&self, dir: &str) -> Result<Vec<String>, String>;
    /// A variable of the environment the process was started with.
    fn env(&self, name: &str) -> Option<String>;
    /// The machine's name; the default of `localpeer` and of `log-send-hostname`.
    fn hostname(&self) -> String;
    /// The addresses of a host name, in the resolver's order.
    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String>;
    /// CPUs this process may run on, at least 1.
    fn cpus(&self) -> usize;
    /// The limit on open descriptors.
    fn fd_limit(&self) -> FdLimit;
    /// The user and primary group ids of a user name.
    fn user(&self, name: &str) -> Option<(u32, u32)>;
    /// The id of a group name.
    fn group(&self, name: &str) -> Option<u32>;
    /// Whether the process may raise its limits and change its user.
    fn is_root(&self) -> bool;
}

/// A machine made of tables, for tests and simulations. Nothing is found that was not put in.
#[derive(Clone, Debug)]
pub struct MapHost {
    /// Path to contents.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Host name to addresses.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// User name to user and group id.
    pub users: BTreeMap<String, (u32, u32)>,
    /// Group name to id.
    pub groups: BTreeMap<String, u32>,
    /// The machine's name.
    pub hostname: String,
    /// CPUs.
    pub cpus: usize,
    /// Descriptors.
    pub fd_limit: FdLimit,
    /// Privileged.
    pub root: bool,
}

impl Default for MapHost {
    fn default() -> Self {
        MapHost {
            files: BTreeMap::new(),
            env: BTreeMap::new(),
            names: BTreeMap::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            hostname: "localhost".into(),
            cpus: 2,
            fd_limit: FdLimit { soft: 1024, hard: 4096 },
            root: false,
        }
    }
}

impl MapHost {
    /// With one more file.
    pub fn with_file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), bytes.into());
        self
    }

    /// With one more environment variable.
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// With one more name that resolves.
    pub fn with_name(mut self, name: &str, addresses: &[IpAddr]) -> Self {
        self.names.insert(name.into(), addresses.to_vec());
        self
    }
}

impl Host for MapHost {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.get(path).cloned().ok_or_else(|| "No such file or directory".into())
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, String> {
        let prefix = format!("{}/", dir.trim_end_matches('/'));
        let names: Vec<String> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter(|rest| !rest.contains('/'))
            .map(String::from)
            .collect();
        if names.is_empty() { Err("No such file or directory".into()) } else { Ok(names) }
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn hostname(&self) -> String {
        self.hostname.clone()
    }

    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        self.names.get(name).cloned().ok_or_else(|| "Name or service not known".into())
    }

    fn cpus(&self) -> usize {
        self.cpus
    }

    fn fd_limit(&self) -> FdLimit {
        self.fd_limit
    }

    fn user(&self, name: &str) -> Option<(u32, u32)> {
        self.users.get(name).copied()
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }

    fn is_root(&self) -> bool {
        self.root
    }
}
