//! How fast the simulator is, and what its time goes to. Not a judgement: it prints, and whoever
//! knows what else the machine was doing reads. The clock is the program's: a run is given what
//! reads it, and nothing in the run goes by what it says.

use std::sync::OnceLock;
use std::time::Instant;

use tidegate_sim::scenario::{Profile, Scenario};
use tidegate_sim::stopwatch::{PARTS, Spent};
use tidegate_sim::sweep::Sum;
use tidegate_sim::world::{Watch, run};

/// Runs all seeds so often; the fastest pass counts.
const PASSES: usize = 3;
/// Seeds of the second figure.
const SWARM: u64 = 200;

/// Runs the seeds whose traffic is HTTP, or TCP, and says how fast that went and where the time
/// went. In one thread, with auditor and digests, as a sweep does it.
pub fn bench(seeds: std::ops::Range<u64>, profile: Profile) {
    if cfg!(not(debug_assertions)) {
        println!("not the sim profile: no debug assertions, no audit at the end of a turn");
    }
    let memory_before = memory();
    for (tcp, what) in [(0, "HTTP requests"), (1, "TCP connections")] {
        let all = seeds.clone().map(|seed| Scenario::draw(seed, profile));
        let scenarios: Vec<Scenario> = all.filter(|one| one.knobs.tcp == tcp).collect();
        let passes = (0..PASSES).map(|_| pass(&scenarios, Watch::default()));
        let best = passes.min_by_key(|pass| pass.cpu).expect("there are passes");
        let (n, sum) = (best.sum.requests, &best.sum);
        println!(
            "{what}: {:.0}/s ({n} in {} {} seeds: {:.3} s of the processor, {:.3} s in all; {} \
             turns, {} network events, {} MB through the network)",
            n as f64 * 1e9 / best.cpu as f64,
            sum.runs,
            profile.name(),
            best.cpu as f64 / 1e9,
            best.wall as f64 / 1e9,
            sum.turns,
            sum.net.events,
            sum.net.bytes >> 20,
        );
        let watch = Watch { clock: Some(nanoseconds), ..Watch::default() };
        let timed = pass(&scenarios, watch);
        let total = timed.spent.iter().sum::<u64>().max(1);
        for part in PARTS {
            let spent = timed.spent[part as usize];
            println!(
                "  {:>5.1} %  {:>6.2} us each  {}",
                spent as f64 * 100.0 / total as f64,
                spent as f64 / total as f64 * best.cpu as f64 / 1e3 / n.max(1) as f64,
                part.name()
            );
        }
        println!(
            "  looking at the clock for that made it {:.0} % slower; the shares are of that time",
            (timed.cpu as f64 / best.cpu as f64 - 1.0) * 100.0
        );
    }
    let swarm: Vec<Scenario> = (0..SWARM).map(|n| Scenario::draw(n, Profile::Swarm)).collect();
    let pass = pass(&swarm, Watch::default());
    println!("{SWARM} swarm seeds: {:.2} s, {} requests", pass.cpu as f64 / 1e9, pass.sum.requests);
    if let (Some(before), Some(after)) = (memory_before, memory()) {
        println!("memory: {before} MB at first, {after} MB at the end");
    }
}

struct Pass {
    sum: Sum,
    spent: Spent,
    /// Nanoseconds.
    cpu: u64,
    wall: u64,
}

fn pass(scenarios: &[Scenario], watch: Watch) -> Pass {
    let (mut sum, mut spent) = (Sum::default(), Spent::default());
    let (wall, cpu) = (nanoseconds(), on_processor());
    for scenario in scenarios {
        let outcome = run(scenario, watch);
        sum.add(scenario.seed, &outcome);
        for (all, one) in spent.iter_mut().zip(outcome.spent) {
            *all += one;
        }
    }
    if let Some((seed, violation)) = sum.failures.first() {
        println!("seed {seed} breaks {}: {}", violation.invariant, violation.detail);
    }
    let wall = nanoseconds() - wall;
    let cpu = on_processor().zip(cpu).map_or(wall, |(end, start)| end - start).max(1);
    Pass { sum, spent, cpu, wall }
}

/// Nanoseconds since the first call.
fn nanoseconds() -> u64 {
    // The program's clock, not a simulation's: a run is told what it reads, and only adds it up.
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Nanoseconds for which this process had a processor, where the system says it: what else runs on
/// the machine counts less.
fn on_processor() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// Megabytes that the process has in memory, where the system says it.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes >> 10)
}
