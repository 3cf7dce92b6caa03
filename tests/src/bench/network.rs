//! A network of our own. In a fresh network namespace nothing else uses ports, and the congestion
//! control is ours to choose: BBR, if the machine is set to it, paces even loopback and distorts
//! every bulk case.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Set in the environment of the benchmark that runs inside the namespace.
const INSIDE: &str = "TIDEGATE_BENCH_NETNS";

/// What is set inside. A kernel that lacks one is no reason to stop.
const SETTINGS: &[(&str, &str)] = &[
    ("net/ipv4/ip_local_port_range", "10240 65000"),
    ("net/core/somaxconn", "16384"),
    ("net/ipv4/tcp_max_syn_backlog", "16384"),
    // A log line that finds the queue full is dropped by every proxy.
    ("net/unix/max_dgram_qlen", "512"),
];

/// Where the measurement takes place.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its own namespace.
    pub private: bool,
    pub congestion_control: String,
}

impl Network {
    /// What there is here.
    pub fn current() -> Self {
        let private = std::env::var_os(INSIDE).is_some();
        Self { private, congestion_control: read("net/ipv4/tcp_congestion_control") }
    }

    /// Runs the whole program again inside a new namespace if it can, and then does not return.
    /// Called again inside, it sets the namespace up.
    pub fn enter() -> Self {
        let here = Self::current();
        if here.private {
            set_up();
            return Self::current();
        }
        let root = rustix::process::geteuid().is_root();
        if root
            && Command::new("unshare").args(["--net", "true"]).status().is_ok_and(|s| s.success())
        {
            let mut command = Command::new("unshare");
            command.arg("--net").arg("--");
            if let Ok(exe) = std::env::current_exe() {
                let error =
                    command.arg(exe).args(std::env::args_os().skip(1)).env(INSIDE, "1").exec();
                eprintln!("bench: unshare: {error}");
            }
        }
        let why = if root { "`unshare --net` fails here" } else { "not root" };
        eprintln!("bench: NO network namespace ({why}): measuring on the machine's own loopback");
        here.warn_of_pacing();
        here
    }

    /// Says so if the congestion control paces.
    pub fn warn_of_pacing(&self) {
        if self.congestion_control == "bbr" {
            eprintln!("bench: TCP congestion control is BBR: bulk and P1 results are DISTORTED");
        }
    }
}

fn set_up() {
    match Command::new("ip").args(["link", "set", "lo", "up"]).status() {
        Ok(status) if status.success() => {}
        _ => eprintln!("bench: `ip link set lo up` failed: there is no loopback"),
    }
    if ["cubic", "reno"].iter().all(|cc| write("net/ipv4/tcp_congestion_control", cc).is_err()) {
        eprintln!("bench: neither cubic nor reno can be set");
    }
    for (name, value) in SETTINGS {
        if let Err(error) = write(name, value) {
            eprintln!("bench: sysctl {name}: {error}");
        }
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default().trim().to_owned()
}

fn write(name: &str, value: &str) -> std::io::Result<()> {
    fs::write(format!("/proc/sys/{name}"), value)
}
