//! `tidegate-sim`: runs Tidegate's engine in simulated networks, replays what fails, and makes it
//! smaller. The program, and not the library, measures time, uses threads and reads files.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod bench;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use tidegate_core::check::{MARKS, reached};
use tidegate_sim::record::Verdict;
use tidegate_sim::record::replay::{Step, Trace, replay as replay_recording};
use tidegate_sim::scenario::{Knobs, Profile, Scenario};
use tidegate_sim::sweep::{Sum, digest_of, shrink};
use tidegate_sim::timeline::Moment;
use tidegate_sim::world::{Outcome, Watch, run};

const HELP: &str = "\
tidegate-sim: Tidegate's engine in simulated networks

  tidegate-sim run [--seeds A..B] [--profile P] [--jobs N] [--minutes M] [--quiet]
                   [--every-mark]
      runs every seed of A..B (0..256), at most for M minutes, and says what they came to; with
      --every-mark it fails if one of the marks was not reached
  tidegate-sim replay SEED [--profile P] [--trace] [--json]
  tidegate-sim replay --scenario FILE [--trace] [--json]
      runs one again, with --trace as a timeline
  tidegate-sim replay FILE [--trace] [--json]
      runs an engine again from a recording that `tidegate --record DIR` made, without a network;
      says whether it does the same, or the first thing that it does otherwise. A file whose name
      is a number needs a ./ before it
  tidegate-sim shrink SEED [--profile P] [--runs N]
      looks for a smaller scenario that breaks the same promise, and prints it
  tidegate-sim show SEED [--profile P]
      prints the scenario of a seed, as --scenario reads it
  tidegate-sim planted [--bugs A,B | --third N] [--runs N]
      shows that the auditor finds bugs that are put in on purpose; only in a build with
      RUSTFLAGS=\"--cfg tidegate_planted\"
  tidegate-sim bench [--seeds A..B] [--profile P]
      says how fast it is on one core (seeds 0..400, calm), and what the time goes to
  tidegate-sim list-marks
      prints the rare situations that a sweep should reach

Profiles: calm (nothing goes wrong), swarm (some of it; the default), storm (all of it).
It ends with 1 if a promise was broken, with 2 if it was asked for nonsense.
";

fn main() -> ExitCode {
    match parse() {
        Ok(Command::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Command::Run(sweep)) => sweep.run(),
        Ok(Command::Replay { scenario, name, trace, json }) => {
            replay(&scenario, &name, trace, json)
        }
        Ok(Command::Play { file, trace, json }) => play(&file, trace, json),
        Ok(Command::Shrink { scenario, runs }) => shrink_one(scenario, runs),
        Ok(Command::Show(scenario)) => {
            print!("{scenario}");
            ExitCode::SUCCESS
        }
        Ok(Command::Planted { which, runs }) => planted(&which, runs),
        Ok(Command::Bench { seeds, profile }) => {
            bench::bench(seeds, profile);
            ExitCode::SUCCESS
        }
        Ok(Command::ListMarks) => {
            MARKS.iter().for_each(|mark| println!("{mark:?}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tidegate-sim: {error}\nTry tidegate-sim --help.");
            ExitCode::from(2)
        }
    }
}

enum Command {
    Help,
    Run(Sweep),
    Replay { scenario: Scenario, name: String, trace: bool, json: bool },
    Play { file: String, trace: bool, json: bool },
    Shrink { scenario: Scenario, runs: u32 },
    Show(Scenario),
    Planted { which: Which, runs: u32 },
    Bench { seeds: std::ops::Range<u64>, profile: Profile },
    ListMarks,
}

/// Which of the planted bugs.
enum Which {
    All,
    Named(Vec<String>),
    /// Every third, from this one on.
    Third(usize),
}

fn parse() -> Result<Command, lexopt::Error> {
    let mut args = lexopt::Parser::from_env();
    let mut words = Vec::new();
    let (mut profile, mut seeds) = (None, None);
    let (mut jobs, mut minutes) = (1, None);
    let (mut trace, mut json, mut quiet, mut every_mark) = (false, false, false, false);
    let (mut file, mut runs, mut which) = (None, 6_000, Which::All);
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("profile") => {
                let name = args.value()?.string()?;
                let unknown = format!("no profile is called {name:?}");
                profile = Some(Profile::named(&name).ok_or(unknown)?);
            }
            Long("seeds") => {
                let text = args.value()?.string()?;
                let bad = || format!("--seeds takes A..B, not {text:?}");
                let (from, to) = text.split_once("..").ok_or_else(bad)?;
                let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
                seeds = Some(number(from)?..number(to)?);
            }
            Long("jobs") => jobs = args.value()?.parse::<usize>()?.clamp(1, 256),
            Long("minutes") => minutes = Some(args.value()?.parse::<f64>()?),
            Long("scenario") => file = Some(args.value()?.string()?),
            Long("runs") => runs = args.value()?.parse()?,
            Long("bugs") => {
                let text = args.value()?.string()?;
                which = Which::Named(text.split(',').map(str::to_owned).collect());
            }
            Long("third") => which = Which::Third(args.value()?.parse::<usize>()? % 3),
            Long("trace") => trace = true,
            Long("json") => json = true,
            Long("quiet") => quiet = true,
            Long("every-mark") => every_mark = true,
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words == ["bench"] {
        let profile = profile.unwrap_or(Profile::Calm);
        return Ok(Command::Bench { seeds: seeds.unwrap_or(0..400), profile });
    }
    let (profile, seeds) = (profile.unwrap_or(Profile::Swarm), seeds.unwrap_or(0..256));
    let seed =
        |text: &str| text.parse().map_err(|_| lexopt::Error::from(format!("{text:?} is no seed")));
    let named = |text: &str| format!("{text} --profile {}", profile.name());
    Ok(match (&words[..], file) {
        ([], None) => Command::Help,
        (["run"], None) => Command::Run(Sweep { seeds, jobs, minutes, profile, quiet, every_mark }),
        (["replay"], Some(file)) => {
            let text = std::fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
            let scenario = Scenario::parse(&text).map_err(|e| format!("{file}: {e}"))?;
            Command::Replay { scenario, name: format!("--scenario {file}"), trace, json }
        }
        (["replay", file], None) if file.parse::<u64>().is_err() => {
            Command::Play { file: (*file).to_owned(), trace, json }
        }
        (["replay", n], None) => {
            let scenario = Scenario::draw(seed(n)?, profile);
            Command::Replay { scenario, name: named(n), trace, json }
        }
        (["shrink", n], None) => {
            Command::Shrink { scenario: Scenario::draw(seed(n)?, profile), runs }
        }
        (["show", n], None) => Command::Show(Scenario::draw(seed(n)?, profile)),
        (["planted"], None) => Command::Planted { which, runs },
        (["list-marks"], None) => Command::ListMarks,
        (other, _) => return Err(format!("{:?} makes no sense", other.join(" ")).into()),
    })
}

thread_local! {
    /// What this thread runs, for the words of a panic.
    static RUNNING: Cell<Option<(u64, Profile)>> = const { Cell::new(None) };
}

/// A panic is a broken promise, and is told like the others. Where it cannot be caught it says at
/// least which seed it was.
fn expect_panics() {
    if cfg!(panic = "unwind") {
        return std::panic::set_hook(Box::new(|_| {}));
    }
    std::panic::set_hook(Box::new(|panic| {
        if let Some((seed, profile)) = RUNNING.get() {
            eprintln!("seed {seed} ({}): {panic}", profile.name());
        } else {
            eprintln!("{panic}");
        }
        eprintln!(
            "tidegate-sim: this build ends with the first panic, which the sim profile does not:\n  \
             cargo build --profile sim -p tidegate-sim"
        );
    }));
}

/// Many seeds.
struct Sweep {
    seeds: std::ops::Range<u64>,
    jobs: usize,
    minutes: Option<f64>,
    profile: Profile,
    quiet: bool,
    /// It fails if a mark is not reached.
    every_mark: bool,
}

impl Sweep {
    fn run(self) -> ExitCode {
        expect_panics();
        let began = Instant::now();
        let end = self.minutes.map(|minutes| began + Duration::from_secs_f64(minutes * 60.0));
        let (next, over) = (AtomicU64::new(self.seeds.start), AtomicBool::new(false));
        let (send, outcomes) = mpsc::channel::<(u64, Outcome)>();
        let mut sum = Sum::default();
        let digests = Mutex::new(BTreeMap::new());
        // The program's threads, not a simulation's: each run is wholly within one of them, shares
        // nothing but the seed's number with the others, and knows neither which it is nor when.
        // The digest is put together in the order of the seeds, so it is the same for any `jobs`.
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                let send = send.clone();
                let (next, over, sweep) = (&next, &over, &self);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= sweep.seeds.end || end.is_some_and(|end| Instant::now() > end) {
                            break;
                        }
                        RUNNING.set(Some((seed, sweep.profile)));
                        let outcome = run(&Scenario::draw(seed, sweep.profile), Watch::default());
                        if send.send((seed, outcome)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(send);
            let mut told = Instant::now();
            for (seed, outcome) in outcomes {
                if let Ok(mut digests) = digests.lock() {
                    digests.insert(seed, outcome.digest);
                }
                sum.add(seed, &outcome);
                if let Some(violation) = &outcome.violation {
                    println!("seed {seed}: {} at {:?}", violation.invariant, violation.at);
                    println!("    {}", violation.detail.replace('\n', "\n    "));
                    println!(
                        "    again: tidegate-sim replay {seed} --profile {} --trace",
                        self.profile.name()
                    );
                    over.store(sum.failures.len() >= 10, Ordering::Relaxed);
                }
                if !self.quiet && told.elapsed() > Duration::from_secs(5) {
                    told = Instant::now();
                    eprintln!("{} seeds, {} broken", sum.runs, sum.failures.len());
                }
            }
        });
        let digests = digests.into_inner().unwrap_or_default();
        self.tell(&sum, began.elapsed(), digest_of(digests.into_values()));
        let missed = self.every_mark && MARKS.iter().any(|mark| reached(*mark) == 0);
        if missed {
            println!("broken: it was to reach every mark");
        }
        match sum.failures.is_empty() && !missed {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }

    fn tell(&self, sum: &Sum, took: Duration, digest: u64) {
        let rate = |n: u64| n as f64 / took.as_secs_f64();
        println!(
            "{} seeds of {} ({}), {} broken, in {:.1} s: {:.0} seeds/s, {:.0} requests/s",
            sum.runs,
            self.seeds.end - self.seeds.start,
            self.profile.name(),
            sum.failures.len(),
            took.as_secs_f64(),
            rate(sum.runs),
            rate(sum.requests),
        );
        println!(
            "simulated: {} requests ({} answered), {} h {:02} min, {} turns, {} network events",
            sum.requests,
            sum.answered,
            sum.seconds / 3600,
            sum.seconds / 60 % 60,
            sum.turns,
            sum.net.events
        );
        let (i, n) = (sum.injected, sum.net);
        println!(
            "injected: short reads {}, short writes {}, balks {}, duplicates {}, late events {}, \
             accept failures {}, connect failures {}",
            i.short_reads,
            i.short_writes,
            i.balks,
            i.duplicates,
            i.late,
            i.accept_failures,
            i.connect_failures
        );
        println!(
            "network: {} connections, {} refused, {} SYNs lost, {} resets, {} retransmissions, {} \
             crashes, {} shortages, {} datagrams lost",
            n.connections,
            n.refused,
            n.syn_lost,
            n.resets,
            n.retransmissions,
            n.crashes,
            n.shortages,
            n.datagrams_lost
        );
        if cfg!(not(debug_assertions)) {
            println!("marks: not counted in this build, which has no debug assertions");
        } else {
            let missed: Vec<_> = MARKS.iter().filter(|mark| reached(**mark) == 0).collect();
            println!("marks: {} of {} reached", MARKS.len() - missed.len(), MARKS.len());
            if !missed.is_empty() {
                println!("    never: {missed:?}");
            }
            let mut rare: Vec<_> = MARKS.iter().map(|mark| (reached(*mark), mark)).collect();
            rare.retain(|(times, _)| *times > 0);
            rare.sort_by_key(|(times, _)| *times);
            let rare = rare.iter().take(4).map(|(times, mark)| format!("{mark:?} {times}"));
            println!("    rarest: {}", rare.collect::<Vec<_>>().join(", "));
        }
        println!("digest {digest:016x}");
    }
}

fn replay(scenario: &Scenario, name: &str, trace: bool, json: bool) -> ExitCode {
    expect_panics();
    let outcome = run(scenario, Watch { timeline: trace || json, ..Watch::default() });
    for moment in &outcome.timeline {
        if json {
            let Moment { at, host, session, state, event } = moment;
            let (ms, host) = (at.as_nanos() as f64 / 1e6, host.to_string());
            let line = serde_json::json!({
                "ms": ms, "host": host, "session": session, "state": state, "event": event,
            });
            println!("{line}");
        } else {
            println!("{moment}");
        }
    }
    println!(
        "{} of {} requests answered in {:.3} s of virtual time, {} turns, digest {:016x}",
        outcome.answered,
        outcome.requests,
        outcome.time.as_nanos() as f64 / 1e9,
        outcome.turns_count,
        outcome.digest
    );
    if cfg!(debug_assertions) {
        let marks: Vec<_> = MARKS.iter().filter(|mark| reached(**mark) > 0).collect();
        println!("marks: {marks:?}");
    }
    match outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("{} broken at {:?}: {}", violation.invariant, violation.at, violation.detail);
            println!("again: tidegate-sim replay {name} --trace");
            ExitCode::FAILURE
        }
    }
}

/// Runs an engine again from its recording.
fn play(file: &str, trace: bool, json: bool) -> ExitCode {
    let show = move |step: Step| {
        let ms = step.at.as_nanos() as f64 / 1e6;
        if json {
            let (turn, event) = (step.turn, step.text);
            println!("{}", serde_json::json!({ "turn": turn, "ms": ms, "event": event }));
        } else {
            println!("{ms:>14.3} ms  turn {:<6} {}", step.turn, step.text);
        }
    };
    let trace = (trace || json).then(|| Box::new(show) as Trace);
    let recording = std::fs::read(file).map_err(|error| error.to_string());
    match recording.and_then(|recording| replay_recording(recording, trace)) {
        Ok(report) => {
            if let Verdict::CutShort { .. } = report.verdict {
                eprintln!("tidegate-sim: {file} is cut short");
            }
            println!("{report}");
            if report.is_same() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("tidegate-sim: {file}: {why}");
            ExitCode::from(2)
        }
    }
}

fn shrink_one(scenario: Scenario, runs: u32) -> ExitCode {
    expect_panics();
    let Some(violation) = run(&scenario, Watch::default()).violation else {
        eprintln!("nothing is broken in that scenario");
        return ExitCode::from(2);
    };
    let count = |scenario: &Scenario| scenario.to_string().lines().count() - 1;
    eprintln!("{}, {} of {} knobs", violation.invariant, count(&scenario), Knobs::NAMES.len());
    let small = shrink(scenario, violation.invariant, runs, |smaller| {
        eprintln!("still broken with {} knobs", count(smaller));
    });
    print!("# breaks {}\n{small}", violation.invariant);
    ExitCode::FAILURE
}

#[cfg(not(tidegate_planted))]
fn planted(which: &Which, runs: u32) -> ExitCode {
    let asked = match which {
        Which::All => "all".to_owned(),
        Which::Named(names) => names.join(", "),
        Which::Third(n) => format!("third {n}"),
    };
    eprintln!(
        "tidegate-sim: there are no bugs ({asked}, {runs} runs) in this build. Build it with\n  \
         RUSTFLAGS=\"--cfg tidegate_planted\" cargo build --profile sim -p tidegate-sim \
         --target-dir target/planted"
    );
    ExitCode::from(2)
}

/// Runs seeds against each bug until its auditor notices it.
#[cfg(tidegate_planted)]
fn planted(which: &Which, runs: u32) -> ExitCode {
    use tidegate_core::planted::{BUGS, choose};
    expect_panics();
    let chosen = |(at, (bug, _)): &(usize, &(tidegate_core::planted::Bug, &str))| match which {
        Which::All => true,
        Which::Named(names) => names.contains(&format!("{bug:?}")),
        Which::Third(n) => at % 3 == *n,
    };
    let mut missed = 0;
    println!("| bug | what it does | found by | seeds | seconds |\n|---|---|---|---|---|");
    for (_, (bug, what)) in BUGS.iter().enumerate().filter(chosen) {
        choose(Some(*bug));
        let began = Instant::now();
        let found = (0..u64::from(runs)).find_map(|seed| {
            let profile = [Profile::Swarm, Profile::Storm, Profile::Calm][seed as usize % 3];
            let scenario = Scenario::draw(seed, profile);
            let one = run(&scenario, Watch::default());
            let differs = || {
                let again = seed % 4 == 0 && run(&scenario, Watch::default()).digest != one.digest;
                again.then_some("replay")
            };
            if let Some(violation) = &one.violation {
                eprintln!("{bug:?}, seed {seed} ({}): {}", profile.name(), violation.detail);
            }
            one.violation.map(|v| v.invariant).or_else(differs).map(|by| (by, seed + 1))
        });
        choose(None);
        let took = began.elapsed().as_secs_f64();
        let what = what.trim();
        match found {
            Some((by, seeds)) => println!("| {bug:?} | {what} | {by} | {seeds} | {took:.2} |"),
            None => {
                missed += 1;
                println!("| {bug:?} | {what} | NOT FOUND | {runs} | {took:.2} |");
            }
        }
    }
    if missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
