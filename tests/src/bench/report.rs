//! Tables for people, JSON for programs.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::campaign::{Outcome, RowOutcome, Sample};
use super::case::Metric;
use super::network::Network;
use super::options::{Mode, Options};
use super::peer::Programs;
use super::stats::{self, Summary};

/// Where and how it was measured.
pub fn setting(options: &Options, programs: &Programs, network: &Network) -> Value {
    let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|text| text.trim_start_matches([' ', '\t', ':'])).unwrap_or_default();
    let versions: serde_json::Map<_, _> = programs
        .list()
        .map(|(peer, path, version)| {
            let told = json!({ "path": path.display().to_string(), "version": version });
            (peer.name().to_owned(), told)
        })
        .collect();
    json!({
        "mode": match options.mode {
            Mode::Time => "time",
            Mode::Strace => "strace",
            Mode::Callgrind => "callgrind",
        },
        "unix_time": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs()),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "cpu": model,
        "cpus": std::thread::available_parallelism().map_or(1, usize::from),
        "load_average": read("/proc/loadavg"),
        "congestion_control": network.congestion_control,
        "network_namespace": network.private,
        "programs": versions,
        "rounds": options.rounds,
        "duration_ms": options.duration.as_millis() as u64,
        "warmup_ms": options.warmup.as_millis() as u64,
        "quiet_ms": options.quiet.as_millis() as u64,
        "nice": options.nice,
        "proxy_core": options.proxy_core,
        "load_core": options.load_core,
    })
}

/// The same in a few lines.
pub fn setting_text(setting: &Value) -> String {
    let text = |name: &str| setting[name].to_string().replace('"', "");
    let mut lines = format!(
        "Kernel {}, {} x {}, load average {} at the start.\n\
         TCP congestion control {}, network namespace of its own: {}. \
         Proxy on CPU {}, generator and origin on CPU {}.\n",
        text("kernel"),
        text("cpus"),
        text("cpu"),
        text("load_average"),
        text("congestion_control"),
        text("network_namespace"),
        text("proxy_core"),
        text("load_core"),
    );
    match setting["mode"].as_str() {
        Some("time") => lines.push_str(&format!(
            "{} rounds of {} ms after {} ms of warm-up.\n\n",
            text("rounds"),
            text("duration_ms"),
            text("warmup_ms"),
        )),
        Some(mode) => lines.push_str(&format!("Counted with {mode}, one round.\n\n")),
        None => {}
    }
    for (name, program) in setting["programs"].as_object().into_iter().flatten() {
        let version = program["version"].as_str().unwrap_or_default();
        lines.push_str(&format!("- {name}: {version}\n"));
    }
    lines
}

/// Everything known about one row and one metric.
struct Line<'a> {
    of: &'a RowOutcome,
    summary: Option<Summary>,
    to_haproxy: Option<Summary>,
    to_relay: Option<Summary>,
    to_plain: Option<Summary>,
}

fn lines(outcome: &Outcome, metric: usize) -> Vec<Line<'_>> {
    let values = |row: &RowOutcome| -> Vec<Option<f64>> {
        let value = |sample: &Sample| sample.values.get(metric).copied();
        row.samples.iter().map(|sample| sample.as_ref().ok().and_then(value)).collect()
    };
    let named = |name: &str| outcome.rows.iter().find(|of| of.row.name == name).map(values);
    outcome
        .rows
        .iter()
        .map(|of| {
            let ours = values(of);
            let to = |name: &str| named(name).and_then(|theirs| stats::ratio(&ours, &theirs));
            // The relay that has as many threads.
            let relay = if of.row.threads > 1 { "relay-2t" } else { "relay" };
            Line {
                of,
                summary: Summary::of(ours.iter().flatten().copied()),
                to_haproxy: to(of.row.baseline),
                to_relay: to(relay),
                to_plain: of.row.plain.and_then(to),
            }
        })
        .collect()
}

/// The tables of one case, in Markdown: one for each metric.
pub fn tables(outcome: &Outcome) -> String {
    let mut text = String::new();
    for (i, metric) in outcome.metrics.iter().enumerate() {
        let Metric { suffix, what, unit } = metric;
        let (id, title) = (outcome.case.id, outcome.case.title);
        text.push_str(&format!("### {id}{suffix}: {title}\n\n{what}, {unit}\n\n"));
        text.push_str(&table(&lines(outcome, i)));
        text.push('\n');
    }
    text
}

/// A column without a single cell is left out.
fn table(lines: &[Line<'_>]) -> String {
    type Cell = Box<dyn Fn(&Line<'_>) -> Option<String>>;
    let ratio = |s: Summary| format!("{:.2}", s.median);
    let spread = |s: Summary| format!("{:.2}-{:.2}", s.lower, s.upper);
    let several = |line: &Line<'_>| line.of.samples.len() > 1;
    let median = |line: &Line<'_>, of: fn(&Sample) -> Option<f64>| {
        Summary::of(line.of.samples.iter().flatten().filter_map(of)).map(|s| s.median)
    };
    let columns: Vec<(&str, Cell)> = vec![
        ("proxy", Box::new(|line| Some(line.of.row.name.to_owned()))),
        ("median", Box::new(|line| line.summary.map(|s| magnitude(s.median)))),
        (
            "quartiles",
            Box::new(move |line| {
                let s = line.summary.filter(|_| several(line))?;
                Some(format!("{}-{}", magnitude(s.lower), magnitude(s.upper)))
            }),
        ),
        ("to haproxy", Box::new(move |line| line.to_haproxy.map(ratio))),
        ("quartiles", Box::new(move |line| line.to_haproxy.filter(|_| several(line)).map(spread))),
        ("to relay", Box::new(move |line| line.to_relay.map(ratio))),
        ("to plain", Box::new(move |line| line.to_plain.map(ratio))),
        ("rate/s", Box::new(move |line| median(line, |s| s.rate).map(magnitude))),
        ("busy", Box::new(move |line| median(line, |s| s.busy).map(percent))),
        ("delayed", Box::new(move |line| median(line, |s| s.delayed).map(percent))),
        (
            "rounds",
            Box::new(|line| {
                let good = line.of.samples.iter().flatten().count();
                let all = line.of.samples.len();
                Some(if good == all { all.to_string() } else { format!("{good} of {all}") })
            }),
        ),
        (
            "note",
            Box::new(|line| {
                let failed = line.of.samples.iter().find_map(|sample| sample.as_ref().err());
                match failed {
                    Some(fault) => Some(format!("FAILED: {}", fault.replace('|', "/"))),
                    None => line.of.samples.iter().flatten().last()?.note.clone(),
                }
            }),
        ),
    ];
    let mut rows = vec![String::from("|"); lines.len() + 2];
    for (title, cell) in &columns {
        let cells: Vec<_> = lines.iter().map(cell).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        rows[0].push_str(&format!(" {title} |"));
        rows[1].push_str("---|");
        for (row, cell) in rows[2..].iter_mut().zip(cells) {
            row.push_str(&format!(" {} |", cell.as_deref().unwrap_or("-")));
        }
    }
    rows.join("\n") + "\n"
}

/// Three to four digits that mean something.
fn magnitude(value: f64) -> String {
    match value.abs() {
        x if x >= 100.0 => format!("{value:.0}"),
        x if x >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// One case with all its samples.
pub fn json(outcome: &Outcome) -> Value {
    let summary =
        |s: Option<Summary>| s.map(|s| json!({ "median": s.median, "q1": s.lower, "q3": s.upper }));
    let metrics: Vec<_> = outcome
        .metrics
        .iter()
        .enumerate()
        .map(|(i, metric)| {
            let rows: Vec<_> = lines(outcome, i)
                .iter()
                .map(|line| {
                    let of = |f: fn(&Sample) -> Option<f64>| -> Vec<_> {
                        line.of.samples.iter().map(|s| s.as_ref().ok().and_then(f)).collect()
                    };
                    let values: Vec<_> = line
                        .of
                        .samples
                        .iter()
                        .map(|s| s.as_ref().ok().map(|s| s.values[i]))
                        .collect();
                    json!({
                        "proxy": line.of.row.name,
                        "threads": line.of.row.threads,
                        "samples": values,
                        "summary": summary(line.summary),
                        "to_haproxy": summary(line.to_haproxy),
                        "to_relay": summary(line.to_relay),
                        "to_plain": summary(line.to_plain),
                        "rate": of(|s| s.rate),
                        "busy": of(|s| s.busy),
                        "delayed": of(|s| s.delayed),
                        "failures": line.of.samples.iter().filter_map(|s| s.as_ref().err())
                            .collect::<Vec<_>>(),
                        "note": line.of.samples.iter().flatten().last().map(|s| &s.note),
                    })
                })
                .collect();
            let id = format!("{}{}", outcome.case.id, metric.suffix);
            json!({ "id": id, "what": metric.what, "unit": metric.unit, "rows": rows })
        })
        .collect();
    json!({ "case": outcome.case.id, "title": outcome.case.title, "metrics": metrics })
}

#[cfg(test)]
mod tests {
    use super::super::case;
    use super::*;

    fn outcome() -> Outcome {
        let case = case::find("p1").unwrap();
        let row = |name: &str, values: [Option<f64>; 3]| RowOutcome {
            row: *case.rows.iter().find(|row| row.name == name).unwrap(),
            samples: values
                .map(|value| {
                    let sample = Sample { rate: Some(50_000.0), ..Sample::default() };
                    value.map(|value| Sample { values: vec![value], ..sample }).ok_or("gone".into())
                })
                .to_vec(),
        };
        Outcome {
            case,
            metrics: case.load.metrics().to_vec(),
            rows: vec![
                row("haproxy", [Some(20.0), Some(18.0), Some(40.0)]),
                row("relay", [Some(10.0), None, Some(24.0)]),
            ],
        }
    }

    #[test]
    fn a_table_has_the_columns_that_are_known() {
        let expected = "\
### p1: keep-alive GET, 1 KB answer, 64 connections

CPU, us/req

| proxy | median | quartiles | to haproxy | quartiles | to relay | rate/s | rounds | note |
|---|---|---|---|---|---|---|---|---|
| haproxy | 20.0 | 19.0-30.0 | 1.00 | 1.00-1.00 | 1.83 | 50000 | 3 | - |
| relay | 17.0 | 13.5-20.5 | 0.55 | 0.53-0.57 | 1.00 | 50000 | 2 of 3 | FAILED: gone |

";
        assert_eq!(tables(&outcome()), expected);
    }

    #[test]
    fn json_keeps_every_sample() {
        let value = json(&outcome());
        let relay = &value["metrics"][0]["rows"][1];
        assert_eq!(relay["samples"], json!([10.0, null, 24.0]));
        assert_eq!(relay["to_haproxy"]["median"], json!(0.55));
        assert_eq!(relay["to_plain"], Value::Null);
        assert_eq!(relay["failures"], json!(["gone"]));
    }

    #[test]
    fn magnitudes() {
        for (value, text) in [(1103.4, "1103"), (18.23, "18.2"), (4.1, "4.10"), (-0.3, "-0.30")] {
            assert_eq!(magnitude(value), text);
        }
    }
}
