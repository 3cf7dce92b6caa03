//! The rounds: every proxy in turn, again and again, and what each of them yielded.

use std::thread;
use std::time::Duration;

use super::case::{Case, Load, Metric, Row};
use super::generator::{Command, Tally};
use super::options::Mode;
use super::procfs::Cpu;
use super::rig::{Lab, Rig};
use super::{callgrind, strace};

/// p5 repeats well and takes long.
const IDLE_ROUNDS_MAX: usize = 3;
/// Between the last new connection and the first reading of memory.
const CONNECTED: Duration = Duration::from_secs(1);
/// Connections opened at a time.
const OPENING: usize = 64;

/// What one round of one row yielded.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// One for each metric of the outcome.
    pub values: Vec<f64>,
    /// Requests a second, or GB a second.
    pub rate: Option<f64>,
    /// Share of the time in which the proxy ran.
    pub busy: Option<f64>,
    /// Share of the time in which it waited for its processor.
    pub delayed: Option<f64>,
    pub note: Option<String>,
}

/// All rounds of a case.
pub struct Outcome {
    pub case: &'static Case,
    pub metrics: Vec<Metric>,
    pub rows: Vec<RowOutcome>,
}

/// All rounds of a row, with the reason if one failed.
pub struct RowOutcome {
    pub row: Row,
    pub samples: Vec<Result<Sample, String>>,
}

/// Runs one case, and says on standard error how it goes.
pub fn run(lab: &Lab<'_>, case: &'static Case) -> Outcome {
    let mut rows = Vec::new();
    for row in case.rows.iter().filter(|row| lab.options.proxies.contains(&row.peer)) {
        match lab.programs.obstacle(row) {
            Some(obstacle) => eprintln!("bench: {} {} LEFT OUT: {obstacle}", case.id, row.name),
            None => rows.push(RowOutcome { row: *row, samples: Vec::new() }),
        }
    }
    let rounds = match case.load {
        Load::Idle { .. } => lab.options.rounds.min(IDLE_ROUNDS_MAX),
        Load::Requests { .. } | Load::Bulk { .. } => lab.options.rounds,
    };
    let metrics = metrics(lab.options.mode, case.load);
    let count = rows.len();
    for round in 0..rounds {
        for place in 0..count {
            // Nobody is always the first, nor always behind the same one.
            let RowOutcome { row, samples } = &mut rows[(place + round) % count];
            let result = measure(lab, case, row);
            let said = match &result {
                Ok(sample) => {
                    let values = sample.values.iter().zip(&metrics);
                    let values: Vec<_> =
                        values.map(|(value, m)| format!("{value:.2} {}", m.unit)).collect();
                    values.join(", ")
                }
                Err(fault) => format!("FAILED: {fault}"),
            };
            eprintln!("bench: {} {}/{rounds} {}: {said}", case.id, round + 1, row.name);
            samples.push(result);
        }
    }
    Outcome { case, metrics, rows }
}

fn metrics(mode: Mode, load: Load) -> Vec<Metric> {
    let counted = |what, unit| vec![Metric { suffix: "", what, unit }];
    match (mode, load) {
        (Mode::Time, load) => load.metrics().to_vec(),
        (Mode::Strace, Load::Bulk { .. }) => counted("system calls", "calls/MB"),
        (Mode::Strace, _) => counted("system calls", "calls/req"),
        (Mode::Callgrind, _) => counted("user-space instructions", "instr/req"),
    }
}

fn measure(lab: &Lab<'_>, case: &Case, row: &Row) -> Result<Sample, String> {
    match lab.options.mode {
        Mode::Strace => strace::measure(lab, case, row),
        Mode::Callgrind => callgrind::measure(lab, case, row),
        Mode::Time => match case.load {
            Load::Idle { connections, burst, .. } => {
                measure_memory(lab, row, case.load, connections, burst)
            }
            Load::Requests { .. } | Load::Bulk { .. } => measure_time(lab, row, case.load),
        },
    }
}

fn measure_time(lab: &Lab<'_>, row: &Row, load: Load) -> Result<Sample, String> {
    let mut rig = Rig::start(lab, row, load, None)?;
    rig.phase(Command::Run(lab.options.warmup))?;
    let before = rig.cpu()?;
    let tally = rig.phase(Command::Run(lab.options.duration))?;
    let used = rig.cpu()?.since(before);
    let lines = rig.audit()?;
    let mut sample = sample_of(load, tally, used)?;
    sample.note = lines.map(|lines| format!("{lines:.2} log lines/req"));
    Ok(sample)
}

fn sample_of(load: Load, tally: Tally, used: Cpu) -> Result<Sample, String> {
    let Tally { requests, bytes, nanos } = tally;
    if requests == 0 || nanos == 0 || used.run == 0 {
        return Err("nothing was done in the measured time".into());
    }
    let run = used.run as f64;
    let (value, rate) = match load {
        // ns a request is 1000 us a thousand requests; ns a byte is 1000 ms a GB.
        Load::Bulk { .. } => (run / bytes as f64 * 1e3, bytes as f64 / nanos as f64),
        Load::Requests { .. } | Load::Idle { .. } => {
            (run / requests as f64 / 1e3, requests as f64 / nanos as f64 * 1e9)
        }
    };
    Ok(Sample {
        values: vec![value],
        rate: Some(rate),
        busy: Some(run / nanos as f64),
        delayed: Some(used.delayed as f64 / nanos as f64),
        note: None,
    })
}

fn measure_memory(
    lab: &Lab<'_>,
    row: &Row,
    load: Load,
    connections: usize,
    burst: u64,
) -> Result<Sample, String> {
    let mut rig = Rig::start(lab, row, load, None)?;
    // Code and tables that the first requests touch belong to no connection.
    rig.phase(Command::Each { requests: 10, connections: OPENING, window: OPENING })?;
    thread::sleep(CONNECTED);
    let empty = rig.resident()?;
    rig.phase(Command::Each { requests: 1, connections, window: OPENING })?;
    thread::sleep(CONNECTED);
    let connected = rig.resident()?;
    rig.phase(Command::Each { requests: burst, connections, window: connections })?;
    thread::sleep(lab.options.quiet);
    let after = rig.resident()?;
    rig.audit()?;
    let more = (connections - OPENING) as f64;
    let each = |resident: u64| (resident as f64 - empty as f64) / more;
    Ok(Sample {
        values: vec![each(connected), each(after)],
        note: Some(format!("{:.1} MB before", empty as f64 / 1e6)),
        ..Sample::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::case;
    use super::*;

    #[test]
    fn units() {
        let (p1, p4) = (case::find("p1").unwrap().load, case::find("p4").unwrap().load);
        // 10,000 requests in one second, with 0.18 s of CPU time.
        let tally = Tally { requests: 10_000, bytes: 10_240_000, nanos: 1_000_000_000 };
        let used = Cpu { run: 180_000_000, delayed: 10_000_000 };
        let sample = sample_of(p1, tally, used).unwrap();
        assert_eq!(sample.values, [18.0]);
        assert_eq!((sample.rate, sample.busy), (Some(10_000.0), Some(0.18)));
        assert_eq!(sample.delayed, Some(0.01));
        // 2 GB in two seconds, with 0.75 s of CPU time.
        let tally = Tally { requests: 200, bytes: 2_000_000_000, nanos: 2_000_000_000 };
        let used = Cpu { run: 750_000_000, delayed: 0 };
        let sample = sample_of(p4, tally, used).unwrap();
        assert_eq!((&sample.values[..], sample.rate), (&[375.0][..], Some(1.0)));
        assert!(sample_of(p1, Tally::default(), used).is_err());
    }
}
