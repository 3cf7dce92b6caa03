//! The short sweep: a fixed set of seeds that promises nothing is broken and that everything is
//! repeated exactly, and the scenarios that once broke something.
//!
//! Longer ones are run by the program: `cargo run --profile sim -p tidegate-sim -- run`.
#![allow(clippy::disallowed_methods, reason = "the tests read their own files")]

use std::process::Command;

use tidegate_core::check::{MARKS, Mark, reached};
use tidegate_sim::scenario::{Profile, Scenario};
use tidegate_sim::sweep::{Difference, differ};
use tidegate_sim::world::{Watch, run};

const PROFILES: [Profile; 3] = [Profile::Swarm, Profile::Storm, Profile::Calm];

/// Seeds of the short sweep, each with one of the profiles in turn.
const SEEDS: u64 = 384;

/// Situations that so few seeds need not reach. `.ci/run sweep`, which has more, demands all.
const TOO_RARE: [Mark; 3] = [Mark::ReuseRetry, Mark::HalfSentRetry, Mark::ResetWhileConnecting];

#[test]
fn every_seed_is_clean_and_repeats_itself_turn_by_turn() {
    std::thread::scope(|scope| {
        for part in 0..2 {
            scope.spawn(move || {
                for seed in (0..SEEDS).filter(|seed| seed % 2 == part) {
                    let profile = PROFILES[seed as usize % 3];
                    match differ(&Scenario::draw(seed, profile)) {
                        Difference::None => {}
                        Difference::Turn(turn) => panic!(
                            "seed {seed} ({}) goes another way in turn {turn}",
                            profile.name()
                        ),
                        Difference::Broken(violation) => panic!(
                            "seed {seed} ({}) breaks {violation:?}\nagain: tidegate-sim replay \
                             {seed} --profile {} --trace",
                            profile.name(),
                            profile.name()
                        ),
                    }
                }
            });
        }
    });
    let missed = MARKS.iter().filter(|mark| reached(**mark) == 0 && !TOO_RARE.contains(mark));
    assert_eq!(missed.collect::<Vec<_>>(), Vec::<&Mark>::new(), "no seed came there");
}

/// What was broken once. Each file says why in its first lines.
#[test]
fn what_was_broken_stays_repaired() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    files.sort();
    assert!(files.len() > 1, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        assert!(text.starts_with("# "), "{file:?} does not say why it is there");
        let scenario = Scenario::parse(&text).unwrap_or_else(|e| panic!("{file:?}: {e}"));
        let outcome = run(&scenario, Watch::default());
        assert_eq!(outcome.violation, None, "{file:?}");
        if text.contains("GrantTooLate") {
            assert!(reached(Mark::GrantTooLate) > 0, "{file:?} does not do what it says");
        }
    }
}

/// Neither the process, nor its number of threads, nor their timing is part of a run.
#[test]
fn other_processes_come_to_the_same() {
    for profile in PROFILES {
        let digest = |jobs: &str| {
            let arguments =
                ["run", "--quiet", "--seeds", "1000..1024", "--profile", profile.name()];
            let output = Command::new(env!("CARGO_BIN_EXE_tidegate-sim"))
                .args(arguments)
                .args(["--jobs", jobs])
                .output()
                .expect("it runs");
            let text = String::from_utf8(output.stdout).expect("it speaks UTF-8");
            assert!(output.status.success(), "{text}");
            text.lines().last().expect("it ends with its digest").to_owned()
        };
        let one = digest("1");
        assert!(one.starts_with("digest "), "{one}");
        assert_eq!(one, digest("2"));
        let again = (1000..1024).map(|seed| {
            let outcome = run(&Scenario::draw(seed, profile), Watch::default());
            outcome.digest
        });
        let here = tidegate_sim::sweep::digest_of(again);
        assert_eq!(one, format!("digest {here:016x}"));
    }
}

/// A run that is asked for what it did tells the same story.
#[test]
fn to_be_watched_changes_nothing() {
    for seed in 2000..2012 {
        let scenario = Scenario::draw(seed, PROFILES[seed as usize % 3]);
        let blind = run(&scenario, Watch::default());
        let watched = run(&scenario, Watch { turns: true, timeline: true, ..Watch::default() });
        assert_eq!(blind.digest, watched.digest, "seed {seed}");
        assert_eq!(watched.turns.len() as u64, watched.turns_count, "seed {seed}");
        assert!(!watched.timeline.is_empty() && blind.timeline.is_empty(), "seed {seed}");
    }
}
