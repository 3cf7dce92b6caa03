//! One run over the corpus: what is played, what is compared with what, what is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::diff::{self, Record};
use super::pending::{self, Pending};
use super::report;
use super::run::{Outcome, Verdict, each, judge, run};
use super::text::{self, Site};
use crate::exchanges::proxy::{Kind, find};

/// The version that the references are of.
const HAPROXY: &str = "version 2.6";

/// What a run is to do.
#[derive(Debug, Default)]
pub struct Options {
    /// Parts of names; without any, all sites.
    pub only: Vec<String>,
    /// Against the references, haproxy is not run.
    pub quick: bool,
    /// The references are written.
    pub update: bool,
    pub update_pending: bool,
    /// Print the records of this proxy, and compare nothing.
    pub show: Option<String>,
    /// Print what is wrong with sites that are on the list, too.
    pub details: bool,
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sites")
}

/// Does it, and prints the table. True if all is as it should be.
pub fn act(options: &Options) -> Result<bool, String> {
    let mut sites = text::all(&corpus())?;
    sites.retain(|site| {
        options.only.is_empty() || options.only.iter().any(|name| site.name.contains(name.as_str()))
    });
    if let Some(which) = &options.show {
        let kind = if which == "haproxy" { Kind::Haproxy } else { Kind::Tidegate };
        return show(&sites, &find(kind, true)?);
    }
    let haproxy = if options.quick {
        Err("not asked for".to_owned())
    } else {
        find(Kind::Haproxy, false).and_then(is_2_6)
    };
    let references = match &haproxy {
        Ok((program, version)) => references(&sites, program, version, options.update)?,
        Err(why) if options.update => return Err(why.clone()),
        Err(why) => {
            println!("haproxy is not run ({why}): compared with its committed records");
            sites.iter().map(|site| (committed(site), Vec::new())).collect()
        }
    };
    let tidegate = find(Kind::Tidegate, true)?;
    let outcomes = each(&sites, |site| run(site, &tidegate));
    let verdicts: Vec<Verdict> = sites
        .iter()
        .zip(references)
        .zip(outcomes)
        .map(|((site, (reference, faults)), outcome)| {
            let verdict = match faults.is_empty() {
                true => judge(site, &reference, &outcome),
                false => Verdict::Faulty(faults),
            };
            // A busy machine may have been late.
            match verdict {
                Verdict::Differs(_) => judge(site, &reference, &run(site, &tidegate)),
                verdict => verdict,
            }
        })
        .collect();
    let list = corpus().join("pending.txt");
    if options.update_pending {
        write_pending(&list, &sites, &verdicts)?;
    }
    let pending = pending::read(&fs::read_to_string(&list).unwrap_or_default());
    for (site, verdict) in sites.iter().zip(&verdicts) {
        let listed = pending.iter().any(|pending| pending.site == site.name);
        let details = report::details(verdict);
        if !details.is_empty() && (options.details || !listed) {
            print!("{}\n{details}", site.name);
        }
    }
    print!("{}", report::table(&sites, &verdicts));
    let wrong = report::against(&sites, &verdicts, &pending);
    for line in &wrong {
        println!("sites: {line}");
    }
    Ok(wrong.is_empty())
}

fn show(sites: &[Site], program: &Path) -> Result<bool, String> {
    for (site, outcome) in sites.iter().zip(each(sites, |site| run(site, program))) {
        println!("== {}", site.name);
        match outcome {
            Outcome::Refused(why) => println!("{why}"),
            Outcome::Played(records) => print!("{}", diff::write("", &records)),
        }
    }
    Ok(true)
}

/// Two words: the program and what it says of itself.
fn is_2_6(program: PathBuf) -> Result<(PathBuf, String), String> {
    let output = Command::new(&program).arg("-v").output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version: Vec<&str> = said.split_whitespace().take(3).collect();
    let version = version.join(" ");
    if version.contains(HAPROXY) {
        Ok((program, version))
    } else {
        Err(format!("it is '{version}', not {HAPROXY}"))
    }
}

/// haproxy's records of a site, and what is wrong with them.
type Reference = (Vec<Record>, Vec<String>);

fn references(
    sites: &[Site],
    program: &Path,
    version: &str,
    update: bool,
) -> Result<Vec<Reference>, String> {
    let outcomes = each(sites, |site| run(site, program));
    let mut references = Vec::new();
    for (site, outcome) in sites.iter().zip(outcomes) {
        let mut faults = Vec::new();
        let committed = committed(site);
        let mut records = match outcome {
            Outcome::Played(records) => records,
            Outcome::Refused(why) => {
                references.push((committed, vec![format!("haproxy {why}")]));
                continue;
            }
        };
        if update {
            let file = site.dir.join("haproxy.txt");
            fs::write(&file, diff::write(version, &records))
                .map_err(|error| format!("{}: {error}", file.display()))?;
        } else if records != committed {
            // A busy machine may have been late.
            if let Outcome::Played(again) = run(site, program) {
                records = again;
            }
            let found = diff::compare(&committed, &records);
            faults.extend(found.iter().take(5).map(|one| {
                let whose = if one.theirs { "now" } else { "in haproxy.txt" };
                format!("haproxy, [{}] only {whose}: {}", one.exchange, one.line)
            }));
        }
        references.push((records, faults));
    }
    Ok(references)
}

fn committed(site: &Site) -> Vec<Record> {
    diff::read(&fs::read_to_string(site.dir.join("haproxy.txt")).unwrap_or_default())
}

/// Sites that were not played stay as they are on the list.
fn write_pending(list: &Path, sites: &[Site], verdicts: &[Verdict]) -> Result<(), String> {
    let before = pending::read(&fs::read_to_string(list).unwrap_or_default());
    let mut after: Vec<Pending> = before
        .into_iter()
        .filter(|pending| !sites.iter().any(|site| site.name == pending.site))
        .collect();
    for (site, verdict) in sites.iter().zip(verdicts) {
        if let (Verdict::NotLoaded(_) | Verdict::Differs(_) | Verdict::Spare(_), Some(why)) =
            (verdict, verdict.first())
        {
            after.push(Pending { site: site.name.clone(), why });
        }
    }
    after.sort_by(|one, other| one.site.cmp(&other.site));
    fs::write(list, pending::write(&after)).map_err(|error| error.to_string())
}
