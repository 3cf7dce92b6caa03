//! What attacks cost, in instructions for each byte that the attacker sends, counted by valgrind's
//! callgrind. Not a race: a figure that grows with the size of the attack is a fault, whatever the
//! figure.

pub mod play;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::{env, fs};

use play::{ALL, Attack, Host};

const HELP: &str = "\
attacks: instructions for each byte of attacks that grow

  cargo run --release -p tidegate-tests --bin attacks [-- [--md FILE] [NAME...]]

Each attack is played to an engine on the scripted poller, in four sizes, under valgrind's
callgrind; counted are the engine's turns. It ends non-zero if a figure grows with the size.
";

/// By so much a figure may be above that of the smallest size, in percent: what is done once for
/// each attack weighs less the larger it is, and nothing else may differ.
const GROWTH_MAX: u64 = 15;

/// What stands in front of the table.
const TITLE: &str = "\
# What attacks cost

Instructions of the engine for each byte that the attacker sends, by the size of the attack in
bytes. Written by `cargo run --release -p tidegate-tests --bin attacks -- --md docs/attacks.md`,
which fails if a figure grows with the size: then some byte is looked at, moved or held again and
again. The engine is on the scripted poller, whose work is counted
as well; one byte at a time, most of the rest is what a turn costs.

What an attacker can hold is bounded beside that: a head has `timeout http-request` and at most
`tune.bufsize` less `tune.maxrewrite` bytes; chunk sizes, their extensions and trailers have limits
of their own; what is not read is not fetched. A body that comes a byte at a time, before
`timeout client` each, has no end of its own, as in HAProxy: it holds one session, one connection
to the server and no buffer between two bytes, and counts against every `maxconn`.
`core/tests/scripted/attacks.rs` shows all of it.

";

/// The program `attacks`.
pub fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["play", name, size] => play(name, size),
        ["--help", ..] => {
            print!("{HELP}");
            Ok(())
        }
        ["--md", file, ref names @ ..] => measure(names).and_then(|table| {
            fs::write(file, format!("{TITLE}{table}")).map_err(|error| format!("{file}: {error}"))
        }),
        ref names => measure(names).map(drop),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("attacks: {why}");
            ExitCode::FAILURE
        }
    }
}

fn find(name: &str) -> Result<&'static Attack, String> {
    ALL.iter().find(|attack| attack.name == name).ok_or(format!("no attack is called '{name}'"))
}

fn play(name: &str, size: &str) -> Result<(), String> {
    let size = size.parse().map_err(|_| format!("not a number: {size}"))?;
    (find(name)?.play)(&mut Host::start(), size);
    Ok(())
}

fn measure(names: &[&str]) -> Result<String, String> {
    let named: Result<Vec<&Attack>, String> = names.iter().map(|name| find(name)).collect();
    let attacks = if names.is_empty() { ALL.iter().collect() } else { named? };
    let mut table = "| attack | sizes | instructions a byte |\n|---|---|---|\n".to_owned();
    let mut grown = Vec::new();
    for attack in attacks {
        let mut figures = Vec::new();
        for size in attack.sizes {
            figures.push(instructions(attack, size)? / size as u64);
        }
        if figures.iter().any(|figure| figure * 100 > figures[0] * (100 + GROWTH_MAX)) {
            grown.push(attack.name);
        }
        let words = |numbers: Vec<String>| numbers.join(", ");
        let sizes = words(attack.sizes.iter().map(usize::to_string).collect());
        let figures = words(figures.iter().map(u64::to_string).collect());
        println!("{:24} {sizes:28} {figures}", attack.name);
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {} | {sizes} | {figures} |", attack.what);
    }
    match grown[..] {
        [] => Ok(table),
        _ => Err(format!("grows with its size: {}", grown.join(", "))),
    }
}

/// Instructions of all turns of one attack.
fn instructions(attack: &Attack, size: usize) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let profile = Profile(env::temp_dir().join(format!("attacks-{}.out", std::process::id())));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=tidegate_tests::attacks::play::turn"])
        .arg(format!("--callgrind-out-file={}", profile.0.display()))
        .arg(program)
        .args(["play", attack.name, &size.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(format!("{}: {}", attack.name, String::from_utf8_lossy(&output.stderr)));
    }
    let text = fs::read_to_string(&profile.0).map_err(|error| error.to_string())?;
    crate::bench::callgrind::total(&text).filter(|total| *total > 0).ok_or("nothing counted".into())
}

/// A file that is removed in the end.
struct Profile(PathBuf);

impl Drop for Profile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
