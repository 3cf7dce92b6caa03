//! Reports for people: one case with both sides, and the table of classes.

use std::fmt::Write as _;

use super::classes::Class;
use super::proxies::VARIANTS;
use super::run::Verdict;
use super::stage::Outcome;
use super::wire::short;

/// A case with both sides.
pub fn case(verdict: &Verdict) -> String {
    let case = &verdict.case;
    let mut text = format!(
        "seed {}: {}, {}\n  client sends {}{}\n  origin answers {}{}{}{}\n",
        case.seed,
        VARIANTS[case.variant].0,
        if case.mutations.is_empty() { "valid".to_owned() } else { case.mutations.join(", ") },
        short(&case.sent),
        cut(&case.cuts),
        if case.early { "early " } else { "" },
        short(&case.answer),
        cut(&case.answer_cuts),
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

fn cut(places: &[usize]) -> String {
    if places.is_empty() { String::new() } else { format!(", cut at {places:?}") }
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

/// The most cases, in percent, that a class may hold which is no policy.
pub const SHARE_MAX: f64 = 5.0;

/// What is to be said of many cases.
#[derive(Debug, Default)]
pub struct Summary {
    pub cases: u64,
    /// Without any difference.
    pub equal: u64,
    /// Some difference has no class.
    pub unexplained: u64,
    /// A message means two things to two readers.
    pub hard: u64,
    /// Not clean at first, but then: the machine was busy.
    pub unsteady: u64,
    /// Seeds of those that are not clean.
    pub seeds: Vec<u64>,
    /// Each with its cases.
    classes: Vec<(Class, u64)>,
}

impl Summary {
    pub fn add(&mut self, verdict: &Verdict) {
        self.cases += 1;
        self.equal += u64::from(verdict.is_clean() && verdict.differences.is_empty());
        self.hard += u64::from(verdict.is_hard());
        self.unsteady += u64::from(verdict.repeated && verdict.is_clean());
        if !verdict.is_clean() {
            self.unexplained += 1;
            self.seeds.push(verdict.case.seed);
        }
        for class in verdict.classes() {
            match self.classes.iter_mut().find(|(other, _)| *other == class) {
                Some((_, count)) => *count += 1,
                None => self.classes.push((class, 1)),
            }
        }
    }

    fn share(&self, count: u64) -> f64 {
        count as f64 * 100.0 / self.cases.max(1) as f64
    }

    /// Classes that hold too much.
    pub fn too_large(&self) -> Vec<String> {
        let large = self.classes.iter().filter(|(class, count)| {
            !class.is_policy() && *count >= 20 && self.share(*count) > SHARE_MAX
        });
        large.map(|(class, _)| class.name()).collect()
    }

    /// Everything is explained, and by no class too often.
    pub fn is_good(&self) -> bool {
        self.unexplained == 0 && self.hard == 0 && self.too_large().is_empty()
    }

    pub fn text(&self) -> String {
        let mut text = "| class | cases | % | cause | clause |\n|---|--:|--:|---|---|\n".to_owned();
        let mut classes = self.classes.clone();
        classes.sort_by_key(|(class, count)| (std::cmp::Reverse(*count), class.name()));
        for (class, count) in classes {
            let (name, cause, clause) = (class.name(), class.cause(), class.clause());
            let policy = if class.is_policy() { " (policy)" } else { "" };
            let share = self.share(count);
            let _ = writeln!(
                text,
                "| {name}{policy} | {count} | {share:.2} | {cause} | RFC {clause} |"
            );
        }
        let _ = writeln!(
            text,
            "{} cases: {} equal, {} explained, {} unexplained, {} hard; {} only when \
             run again",
            self.cases,
            self.equal,
            self.cases - self.equal - self.unexplained,
            self.unexplained,
            self.hard,
            self.unsteady
        );
        for name in self.too_large() {
            let _ = writeln!(text, "{name} holds more than {SHARE_MAX} % and is no policy");
        }
        if !self.seeds.is_empty() {
            let seeds: Vec<String> = self.seeds.iter().take(50).map(u64::to_string).collect();
            let _ = writeln!(text, "to see one: differential --seed N, of {}", seeds.join(" "));
        }
        text
    }
}
