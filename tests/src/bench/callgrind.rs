//! User-space instructions per request: the same proxy is run twice under valgrind with different
//! numbers of requests. Start, connections and end cancel out in the difference.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::campaign::Sample;
use super::case::{Case, Load, Row};
use super::generator::Command;
use super::peer::Peer;
use super::rig::{Lab, Rig};

const PATIENCE: Duration = Duration::from_secs(30);

pub fn measure(lab: &Lab<'_>, case: &Case, row: &Row) -> Result<Sample, String> {
    let [few, many] = case.callgrind.ok_or("this case is not counted with callgrind")?;
    if row.peer == Peer::Nginx && row.threads > 1 {
        return Err("its workers are processes of their own, which are not counted".into());
    }
    let less = instructions(lab, row, case.load, few)?;
    let more = instructions(lab, row, case.load, many)?;
    let each = more.checked_sub(less).ok_or("fewer instructions for more requests")?;
    Ok(Sample { values: vec![each as f64 / (many - few) as f64], ..Sample::default() })
}

/// Instructions of a whole life of the proxy in which it serves `requests`.
fn instructions(lab: &Lab<'_>, row: &Row, load: Load, requests: u64) -> Result<u64, String> {
    let profile = lab.work_dir.join(format!("callgrind.{}.{requests}", row.name));
    let args = vec![
        "--tool=callgrind".into(),
        format!("--callgrind-out-file={}", profile.display()),
        "--quiet".into(),
    ];
    let mut rig = Rig::start(lab, row, load, Some((PathBuf::from("valgrind"), args)))?;
    rig.phase(Command::Count(requests))?;
    rig.audit()?;
    rig.proxy.signal(Signal::TERM);
    rig.proxy.wait(PATIENCE)?;
    let text = fs::read_to_string(&profile).map_err(|e| format!("{}: {e}", profile.display()))?;
    total(&text).ok_or_else(|| format!("no total in {}", profile.display()))
}

/// The sum over all parts of a profile.
pub fn total(text: &str) -> Option<u64> {
    let totals = text.lines().filter_map(|line| line.strip_prefix("totals:"));
    totals
        .map(|total| total.trim().parse::<u64>().ok())
        .try_fold(None, |sum, total| Some(Some(sum.unwrap_or(0) + total?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals() {
        assert_eq!(total("events: Ir\nfn=(1)\n16 400\ntotals: 416\n"), Some(416));
        assert_eq!(total("totals: 1\npart: 2\ntotals: 2\n"), Some(3));
        assert_eq!(total("totals: x\n"), None);
        assert_eq!(total("events: Ir\n"), None);
    }
}
