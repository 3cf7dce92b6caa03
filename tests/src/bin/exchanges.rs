//! Runs the scripted exchanges by hand: one or all, through haproxy, Tidegate or both.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use tidegate_tests::exchanges::proxy::{Kind, find};
use tidegate_tests::exchanges::scenario::Scenario;
use tidegate_tests::exchanges::{golden, report, run, scenarios};

const USAGE: &str = "usage: exchanges [--only NAME]... [--proxy haproxy|tidegate|both] [--golden]
                 [--stability N] [--config] [--list]
  --only NAME    only scenarios whose name contains NAME
  --proxy WHICH  run through these and print what came (default both, printing differences)
  --golden       write tests/exchanges.md from haproxy's runs
  --stability N  run haproxy N times against itself
  --config       print the configuration of each scenario, its places unfilled
  --list         print the names";

#[derive(Debug, Default)]
struct Options {
    only: Vec<String>,
    proxy: Option<String>,
    golden: bool,
    stability: usize,
    config: bool,
    list: bool,
}

fn main() -> ExitCode {
    match options().and_then(|options| act(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--only" => options.only.push(value()?),
            "--proxy" => options.proxy = Some(value()?),
            "--golden" => options.golden = true,
            "--stability" => {
                options.stability = value()?.parse().map_err(|_| USAGE.to_owned())?;
            }
            "--config" => options.config = true,
            "--list" => options.list = true,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(options)
}

/// True if all went well.
fn act(options: &Options) -> Result<bool, String> {
    let mut scenarios = scenarios::all();
    if !options.only.is_empty() {
        scenarios.retain(|scenario| options.only.iter().any(|name| scenario.name.contains(name)));
    }
    if options.list {
        for scenario in &scenarios {
            println!("{:32} {}", scenario.name, scenario.why);
        }
        return Ok(true);
    }
    if options.config {
        for scenario in &scenarios {
            println!("# {}\n{}", scenario.name, scenario.config.text());
        }
        return Ok(true);
    }
    let haproxy = || find(Kind::Haproxy, false);
    let tidegate = || find(Kind::Tidegate, true);
    if options.golden {
        return write_golden(&haproxy()?, &scenarios);
    }
    if options.stability > 0 {
        let haproxy = haproxy()?;
        // It does not differ from itself on purpose.
        for scenario in &mut scenarios {
            scenario.allowed.retain(|allowed| !allowed.always);
        }
        let mut well = true;
        for round in 1..=options.stability {
            println!("round {round}");
            well &= compare(&scenarios, &haproxy, &haproxy);
        }
        return Ok(well);
    }
    match options.proxy.as_deref() {
        Some("haproxy") => Ok(show(&scenarios, &haproxy()?)),
        Some("tidegate") => Ok(show(&scenarios, &tidegate()?)),
        Some("both") => {
            let (haproxy, tidegate) = (haproxy()?, tidegate()?);
            for scenario in &scenarios {
                println!("== {}: {}", scenario.name, scenario.why);
                println!("haproxy\n{}", report::outcome(&run::run(scenario, &haproxy)));
                println!("tidegate\n{}", report::outcome(&run::run(scenario, &tidegate)));
            }
            Ok(true)
        }
        None => Ok(compare(&scenarios, &haproxy()?, &tidegate()?)),
        Some(_) => Err(USAGE.to_owned()),
    }
}

fn show(scenarios: &[Scenario], program: &Path) -> bool {
    let outcomes = run::each(scenarios, |scenario| run::run(scenario, program));
    let mut well = true;
    for (scenario, outcome) in scenarios.iter().zip(&outcomes) {
        println!("== {}: {}\n{}", scenario.name, scenario.why, report::outcome(outcome));
        for fault in outcome.faults(scenario) {
            println!("  FAULT: {fault}");
            well = false;
        }
    }
    well
}

fn compare(scenarios: &[Scenario], haproxy: &Path, tidegate: &Path) -> bool {
    report::verdicts(scenarios, &run::compare(scenarios, haproxy, tidegate))
}

fn write_golden(haproxy: &Path, scenarios: &[Scenario]) -> Result<bool, String> {
    let outcomes = run::reference(scenarios, haproxy);
    let mut well = true;
    for (scenario, outcome) in scenarios.iter().zip(&outcomes) {
        for fault in outcome.faults(scenario) {
            println!("{}: {fault}\n{}", scenario.name, report::outcome(outcome));
            well = false;
        }
    }
    let version = Command::new(haproxy).arg("-v").output().map_err(|error| error.to_string())?;
    let version = String::from_utf8_lossy(&version.stdout);
    let version: Vec<&str> = version.split_whitespace().take(3).collect();
    let text = golden::markdown(&version.join(" "), scenarios, &outcomes);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("exchanges.md");
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{} scenarios in {}", scenarios.len(), path.display());
    Ok(well)
}
