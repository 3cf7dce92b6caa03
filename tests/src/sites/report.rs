//! What a run says to people: a table of the sites, and what is wrong with each.

use std::fmt::Write;

use super::diff::Difference;
use super::pending::Pending;
use super::run::Verdict;
use super::text::Site;

/// Most differences that are shown of a site.
const SHOWN_MAX: usize = 40;

impl Verdict {
    /// The first thing that is wrong, in one line.
    pub fn first(&self) -> Option<String> {
        match self {
            Self::Equal(_) => None,
            Self::Faulty(why) => Some(format!("faulty: {}", first_error(why.first()?))),
            Self::Spare(why) => why.first().cloned(),
            Self::NotLoaded(why) => Some(format!("not loaded: {}", first_error(why))),
            Self::Differs(found) => {
                let Difference { exchange, line, theirs } = found.first()?;
                let whose = if *theirs { "only tidegate" } else { "only haproxy" };
                Some(format!("differs: [{exchange}] {whose}: {line}"))
            }
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Equal(found) if found.is_empty() => "equal",
            Self::Equal(_) => "as allowed",
            Self::Faulty(_) => "FAULTY",
            Self::Spare(_) => "SPARE",
            Self::NotLoaded(_) => "not loaded",
            Self::Differs(_) => "DIFFERS",
        }
    }
}

/// The errors of what a program wrote when it refused its configuration, each a line.
fn errors(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter_map(|line| Some(line.strip_prefix("[ALERT]")?.split_once(") : ")?.1))
}

fn first_error(said: &str) -> &str {
    let first = errors(said).next().or_else(|| said.lines().next()).unwrap_or_default();
    first.strip_prefix("config : ").unwrap_or(first)
}

/// What is wrong with one site, for people.
pub fn details(verdict: &Verdict) -> String {
    let mut text = String::new();
    match verdict {
        Verdict::Equal(_) => {}
        Verdict::Faulty(why) | Verdict::Spare(why) => {
            for why in why {
                // Writing to a string does not fail.
                let _ = writeln!(text, "  {why}");
            }
        }
        Verdict::NotLoaded(why) => {
            for line in errors(why).take(SHOWN_MAX) {
                let _ = writeln!(text, "  {line}");
            }
        }
        Verdict::Differs(found) => {
            let mut exchange = "";
            for one in found.iter().take(SHOWN_MAX) {
                if one.exchange != exchange {
                    exchange = &one.exchange;
                    let _ = writeln!(text, "  [{exchange}]");
                }
                let whose = if one.theirs { "tidegate" } else { "haproxy " };
                let _ = writeln!(text, "    {whose} {}", one.line);
            }
            if found.len() > SHOWN_MAX {
                let _ = writeln!(text, "    and {} more", found.len() - SHOWN_MAX);
            }
        }
    }
    text
}

/// The table, and its sums.
pub fn table(sites: &[Site], verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    let count = |word: &str| verdicts.iter().filter(|verdict| verdict.word() == word).count();
    for (site, verdict) in sites.iter().zip(verdicts) {
        let what = match verdict {
            Verdict::Equal(found) if !found.is_empty() => {
                let reasons: Vec<&str> =
                    site.allowed.iter().map(|allowed| &*allowed.reason).collect();
                reasons.join("; ")
            }
            _ => verdict.first().unwrap_or_else(|| site.why.clone()),
        };
        let _ = writeln!(
            text,
            "{:<28} {:>3} {:<10} {what}",
            site.name,
            site.exchanges.len(),
            verdict.word()
        );
    }
    let exchanges: usize = sites.iter().map(|site| site.exchanges.len()).sum();
    let _ = writeln!(
        text,
        "{} sites with {exchanges} exchanges: {} equal, {} as allowed, {} differ, {} not loaded yet, \
         {} faulty",
        sites.len(),
        count("equal"),
        count("as allowed"),
        count("DIFFERS"),
        count("not loaded"),
        count("FAULTY") + count("SPARE")
    );
    text
}

/// What is against the list of pending sites; nothing if the run may pass.
pub fn against(sites: &[Site], verdicts: &[Verdict], pending: &[Pending]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (site, verdict) in sites.iter().zip(verdicts) {
        let listed = pending.iter().any(|pending| pending.site == site.name);
        match (verdict, listed) {
            (Verdict::Equal(_), true) => {
                wrong.push(format!("{} is equal now: take it off pending.txt", site.name));
            }
            (Verdict::NotLoaded(_) | Verdict::Differs(_) | Verdict::Spare(_), true)
            | (Verdict::Equal(_), false) => {}
            _ => wrong.push(format!("{} {}", site.name, verdict.first().unwrap_or_default())),
        }
    }
    wrong
}
