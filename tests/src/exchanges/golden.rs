//! The reference file: every scenario with what haproxy gave, as Markdown for people.

use std::fmt::Write;

use super::outcome::{Outcome, Seen};
use super::report;
use super::scenario::{Scenario, Template};
use super::script::quoted;

/// What the runs show beyond single values.
const NOTES: &str = include_str!("notes.md");

/// The whole file. `outcomes` are haproxy's, in the scenarios' order.
pub fn markdown(version: &str, scenarios: &[Scenario], outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "# Exchanges\n\n\
        What {version} does in each scenario of `src/exchanges/scenarios/`. Made by\n\
        `cargo run -p tidegate-tests --bin exchanges -- --golden`; don't edit it.\n\n\
        Dates, pids and the client's ports are masked; timers are as they came, in milliseconds.\n\
        Names before a colon are sockets: `c…` are clients, `o…` the origin's connections. The\n\
        script is in the order in which things were done; what a socket received is marked `<`.\n\
        `end` is a FIN, `reset` a RST. Chunk sizes are shown but not compared.\n\n"
    );
    text.push_str(NOTES);
    for template in [Template::Http, Template::Tcp] {
        let _ = writeln!(text, "## {}\n\n```haproxy\n{}```\n", template.name(), template.text());
    }
    let _ = writeln!(text, "## Coverage\n\n{}\n", report::uncovered(scenarios));
    for (scenario, outcome) in scenarios.iter().zip(outcomes) {
        one(&mut text, scenario, outcome);
    }
    text
}

fn one(text: &mut String, scenario: &Scenario, outcome: &Outcome) {
    let config = &scenario.config;
    let _ = writeln!(text, "## {}\n\n{}\n", scenario.name, scenario.why);
    let _ = writeln!(text, "```haproxy\n# {}", config.template.name());
    for (place, lines) in config.added() {
        let _ = writeln!(text, "{place}");
        for line in lines.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    for (name, file) in &config.files {
        let _ = writeln!(text, "# {{dir}}/{name}: {}", quoted(file.as_bytes()));
    }
    let _ = writeln!(text, "```\n\n```text");
    for step in &scenario.steps {
        let _ = writeln!(text, "{step}");
    }
    let _ = writeln!(text, "```\n\n```text");
    for (name, seen) in &outcome.transcripts {
        for seen in seen {
            received(text, name, seen);
        }
    }
    for line in &outcome.logs {
        let _ = writeln!(text, "log {}", line.text());
    }
    if outcome.logs.is_empty() {
        let _ = writeln!(text, "no log line");
    }
    if let Some(failure) = &outcome.failure {
        let _ = writeln!(text, "FAILED {failure}");
    }
    let _ = writeln!(text, "```\n");
}

/// A head is shown line by line.
fn received(text: &mut String, name: &str, seen: &Seen) {
    if let Seen::Head(head) = seen {
        for line in head.split_inclusive(|&byte| byte == b'\n') {
            let _ = writeln!(text, "{name} < {}", line.escape_ascii());
        }
    } else {
        let _ = writeln!(text, "{name} < {}", seen.text());
    }
}
