//! System calls per request or per MB, counted by strace once the proxy is warm.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::campaign::Sample;
use super::case::{Case, Load, Row};
use super::child::{Child, Recipe};
use super::generator::Command;
use super::rig::{Lab, Rig};

const PATIENCE: Duration = Duration::from_secs(10);
/// Calls rarer than this per unit are not named.
const NAMED_MIN: f64 = 0.005;

pub fn measure(lab: &Lab<'_>, case: &Case, row: &Row) -> Result<Sample, String> {
    let requests = case.strace.ok_or("this case is not counted with strace")?;
    let mut rig = Rig::start(lab, row, case.load, None)?;
    rig.phase(Command::Count(2 * case.load.connections() as u64))?;
    let mut strace = attach(lab, rig.proxy.pid())?;
    let tally = rig.phase(Command::Count(requests))?;
    strace.signal(Signal::INT);
    strace.wait(PATIENCE)?;
    rig.audit()?;
    let calls = parse(&strace.stderr());
    let work = match case.load {
        Load::Bulk { .. } => tally.bytes as f64 / 1e6,
        Load::Requests { .. } | Load::Idle { .. } => tally.requests as f64,
    };
    let per = |calls: u64| calls as f64 / work;
    let named: Vec<_> = calls
        .iter()
        .map(|(name, calls)| (name, per(*calls)))
        .filter(|(_, per)| *per >= NAMED_MIN)
        .map(|(name, per)| format!("{name} {per:.2}"))
        .collect();
    let sum = calls.iter().map(|(_, calls)| calls).sum();
    Ok(Sample { values: vec![per(sum)], note: Some(named.join(", ")), ..Sample::default() })
}

/// Starts strace on `pid`, and returns when it is attached.
fn attach(lab: &Lab<'_>, pid: u32) -> Result<Child, String> {
    let mut strace = Child::spawn(Recipe {
        name: "strace",
        program: PathBuf::from("strace"),
        args: ["-c", "-f", "-p", &pid.to_string()].map(String::from).to_vec(),
        env: Vec::new(),
        cores: &[lab.options.load_core],
        work_dir: lab.work_dir,
        talks: false,
        nice: lab.options.nice,
    })?;
    let deadline = Instant::now() + PATIENCE;
    while !strace.stderr().contains("attached") {
        strace.check_alive()?;
        if Instant::now() > deadline {
            return Err("strace does not attach".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(strace)
}

/// Calls by name from the table of `strace -c`, the most frequent first.
fn parse(text: &str) -> Vec<(String, u64)> {
    let mut calls: Vec<_> = text
        .lines()
        .filter_map(|line| {
            // % time, seconds, usecs/call, calls, errors if any, syscall
            let words: Vec<_> = line.split_whitespace().collect();
            let name = *words.last().filter(|name| **name != "total")?;
            words.first()?.parse::<f64>().ok()?;
            let calls = words.get(3)?.parse().ok()?;
            (words.len() >= 5).then(|| (name.to_owned(), calls))
        })
        .collect();
    calls.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let text = "\
strace: Process 12 attached
strace: Process 12 detached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 52.16    0.000314           7        43           recvfrom
 30.00    0.000214           7        80         5 sendto
------ ----------- ----------- --------- --------- ----------------
100.00    0.000602           6       123         5 total
";
        assert_eq!(parse(text), [("sendto".to_owned(), 80), ("recvfrom".to_owned(), 43)]);
        assert_eq!(parse("strace: nothing"), []);
    }
}
