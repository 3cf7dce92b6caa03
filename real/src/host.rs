//! The machine, as a configuration asks about it while it is built.

use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

use nix::unistd::{Group, User};
use tidegate_core::config::{FdLimit, Host};

/// This machine and this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Host for Machine {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| reason(&error))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, String> {
        let entries = std::fs::read_dir(dir).map_err(|error| reason(&error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| reason(&error))?;
            // A name that is no text cannot be asked for again.
            names.extend(entry.file_name().into_string());
        }
        Ok(names)
    }

    fn env(&self, name: &str) -> Option<String> {
        // A name that the system does not allow would make std panic.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn hostname(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let found = (name, 0).to_socket_addrs().map_err(|error| {
            let text = reason(&error);
            text.rsplit("address information: ").next().unwrap_or_default().to_owned()
        })?;
        // getaddrinfo may name an address once for each kind of socket.
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.map(|address| address.ip()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    fn cpus(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    fn fd_limit(&self) -> FdLimit {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let most = |value: Option<u64>| value.unwrap_or(u64::MAX);
        FdLimit { soft: most(limit.current), hard: most(limit.maximum) }
    }

    fn user(&self, name: &str) -> Option<(u32, u32)> {
        let user = User::from_name(name).ok()??;
        Some((user.uid.as_raw(), user.gid.as_raw()))
    }

    fn group(&self, name: &str) -> Option<u32> {
        Some(Group::from_name(name).ok()??.gid.as_raw())
    }

    fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }
}

/// An error in the system's words, without its number.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The files that a path of `-f` stands for: itself, or the `*.cfg` files of a directory that are
/// not hidden, in the order of their bytes.
pub fn configuration_files(path: &str) -> Result<Vec<String>, String> {
    let about = std::fs::metadata(path).map_err(|error| reason(&error))?;
    if !about.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut names = Machine.list(path)?;
    names.retain(|name| name.ends_with(".cfg") && !name.starts_with('.'));
    names.sort_unstable();
    let base = path.trim_end_matches('/');
    let files = names.iter().map(|name| format!("{base}/{name}"));
    Ok(files.filter(|file| Path::new(file).is_file()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_for_its_visible_cfg_files_in_order() {
        let dir = std::env::temp_dir().join(format!("tidegate-host-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("sub.cfg")).expect("a temporary directory");
        for name in ["b.cfg", "a.cfg", "B.cfg", ".hidden.cfg", "notes.txt", "a.cfg~"] {
            std::fs::write(dir.join(name), "").expect("ours");
        }
        let path = dir.to_str().expect("a plain path");
        let expected = ["B.cfg", "a.cfg", "b.cfg"].map(|name| format!("{path}/{name}"));
        assert_eq!(configuration_files(&format!("{path}/")), Ok(expected.to_vec()));
        let file = format!("{path}/notes.txt");
        assert_eq!(configuration_files(&file), Ok(vec![file.clone()]));
        std::fs::remove_dir_all(&dir).expect("ours");
        assert_eq!(configuration_files(path), Err("No such file or directory".into()));
    }

    #[test]
    fn the_machine_answers() {
        let host = Machine;
        assert_eq!(host.user("root"), Some((0, 0)));
        assert_eq!(host.group("root"), Some(0));
        assert_eq!(host.user("no such user"), None);
        assert!(host.cpus() >= 1 && !host.hostname().is_empty());
        assert!(host.fd_limit().hard >= host.fd_limit().soft);
        assert_eq!(host.env("a=b"), None);
        assert!(host.resolve("localhost").is_ok_and(|found| found.iter().all(IpAddr::is_loopback)));
        assert_eq!(host.read("/nonexistent"), Err("No such file or directory".into()));
    }
}
