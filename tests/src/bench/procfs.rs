//! What the kernel says about a process: CPU time, resident memory, descendants, listening ports.

use std::fs;
use std::io;

/// CPU time of some processes, all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// User and system, ns.
    pub run: u64,
    /// Ready to run but waiting for the processor, ns. Large when the machine is busy otherwise.
    pub delayed: u64,
}

impl Cpu {
    /// What `pids` have used so far. A thread that ends takes its time along.
    pub fn of(pids: &[u32]) -> io::Result<Self> {
        let mut sum = Self::default();
        for pid in pids {
            for task in fs::read_dir(format!("/proc/{pid}/task"))? {
                let path = task?.path().join("schedstat");
                // A thread may end between the listing and the reading.
                let Ok(text) = fs::read_to_string(path) else { continue };
                let cpu = parse_schedstat(&text).ok_or_else(|| malformed("schedstat"))?;
                sum.run += cpu.run;
                sum.delayed += cpu.delayed;
            }
        }
        Ok(sum)
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            run: self.run.saturating_sub(before.run),
            delayed: self.delayed.saturating_sub(before.delayed),
        }
    }
}

/// `run_ns delayed_ns timeslices`.
fn parse_schedstat(text: &str) -> Option<Cpu> {
    let mut words = text.split_whitespace().map(str::parse);
    Some(Cpu { run: words.next()?.ok()?, delayed: words.next()?.ok()? })
}

/// Resident memory of `pids`, bytes. Exact: VmRSS may lag behind by some pages per CPU.
pub fn resident(pids: &[u32]) -> io::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        sum += parse_rss(&text).ok_or_else(|| malformed("smaps_rollup"))?;
    }
    Ok(sum)
}

fn parse_rss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// `pid` and all that descend from it.
pub fn family(pid: u32) -> io::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Ok(child) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // A process may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        parents.extend(parse_parent(&text).map(|parent: u32| (child, parent)));
    }
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(child, _)| *child));
        next += 1;
    }
    Ok(family)
}

/// `pid (name) state ppid …`, where the name may hold anything.
fn parse_parent(text: &str) -> Option<u32> {
    text.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Whether someone listens on TCP `port`, without connecting to it.
pub fn is_listening(port: u16) -> io::Result<bool> {
    Ok(parse_listening(&fs::read_to_string("/proc/self/net/tcp")?, port))
}

fn parse_listening(text: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    text.lines().skip(1).any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next().unwrap_or_default();
        local.ends_with(&suffix) && words.nth(1) == Some(LISTEN)
    })
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is not in the known format"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat() {
        assert_eq!(parse_schedstat("1350179 42 1\n"), Some(Cpu { run: 1_350_179, delayed: 42 }));
        assert_eq!(parse_schedstat("1350179"), None);
        assert_eq!(parse_schedstat("a b c"), None);
    }

    #[test]
    fn rss() {
        let text = "5580-7ffd ---p 00000000 00:00 0 [rollup]\nRss:    1424 kB\nPss:  130 kB\n";
        assert_eq!(parse_rss(text), Some(1424 * 1024));
        assert_eq!(parse_rss("Pss: 130 kB\n"), None);
    }

    #[test]
    fn parent() {
        assert_eq!(parse_parent("7 (a) b (c) S 3 7 7 0"), Some(3));
        assert_eq!(parse_parent("7 (sh"), None);
    }

    #[test]
    fn listening() {
        let text = "  sl  local_address rem_address   st tx_queue\n   \
            0: 0100007F:8707 00000000:0000 0A 00000000:00000000\n   \
            1: 0100007F:8708 0100007F:1234 01 00000000:00000000\n";
        assert!(parse_listening(text, 0x8707));
        assert!(!parse_listening(text, 0x8708), "a connection is not a listener");
        assert!(!parse_listening(text, 0x8709));
    }

    #[test]
    fn this_process_is_known() {
        let pid = std::process::id();
        assert_eq!(family(pid).unwrap()[0], pid);
        assert!(resident(&[pid]).unwrap() > 0);
        assert!(Cpu::of(&[pid]).unwrap().run > 0);
    }
}
