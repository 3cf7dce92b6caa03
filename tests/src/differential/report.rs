//! Reports for people.

use std::fmt::Write as _;

use super::proxies::VARIANTS;
use super::run::Verdict;
use super::stage::Outcome;
use super::wire::short;

/// A case with both sides.
pub fn case(verdict: &Verdict) -> String {
    let case = &verdict.case;
    let mut text = format!(
        "seed {}: {}, {}\n  client sends {}\n  origin answers {}{}\n",
        case.seed,
        VARIANTS[case.variant].0,
        if case.mutations.is_empty() { "valid".to_owned() } else { case.mutations.join(", ") },
        short(&case.sent),
        short(&case.answer),
        if case.closes { " and closes" } else { "" },
    );
    for (name, outcome) in [("haproxy", &verdict.haproxy), ("tidegate", &verdict.tidegate)] {
        let _ = writeln!(text, "  {name}");
        side(&mut text, outcome);
    }
    for (difference, class) in &verdict.differences {
        let _ = writeln!(
            text,
            "    {} = {difference}",
            class.map_or("UNEXPLAINED".to_owned(), |class| class.name())
        );
    }
    for objection in &verdict.objections {
        let _ = writeln!(text, "    OBJECTION {objection}");
    }
    text
}

fn side(text: &mut String, outcome: &Outcome) {
    let indented = |message: String| message.replace('\n', "\n        ");
    for arrival in &outcome.arrivals {
        let message = indented(arrival.message.text());
        let _ = writeln!(text, "    origin {} < {message}", arrival.connection);
    }
    if !outcome.raw.is_empty() {
        let _ = writeln!(text, "    origin, tunnel < {}", short(&outcome.raw));
    }
    for answer in &outcome.answers {
        let _ = writeln!(text, "    client < {}", indented(answer.text()));
    }
    if !outcome.tunnel.is_empty() {
        let _ = writeln!(text, "    client, tunnel < {}", short(&outcome.tunnel));
    }
    let probed = if outcome.probed { ", probed" } else { "" };
    let leaked = if outcome.leaked { ", LEAKED" } else { "" };
    let _ = writeln!(text, "    client {:?}{probed}{leaked}", outcome.end);
}
