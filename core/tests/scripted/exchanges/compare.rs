//! Compares two transcripts line by line: chunk sizes have no meaning, and timers may be a little
//! apart.

use super::allowed::What;

/// What a scenario gives in which the engine panicked.
pub const PANICKED: &str = "it panicked";

/// How much longer and shorter a timer may be than the reference's, in milliseconds: that was made
/// on a real machine, which may be late and never early.
const SLACK_MS: [i64; 2] = [50, 250];
/// Which word of a log line has the timers: behind priority, client, date, frontend and backend.
const TIMERS: usize = 5;

/// What differs beyond what `allowed` says, one text each.
pub fn differences(expected: &[String], found: &[String], allowed: &[What]) -> Vec<String> {
    let panicked = found.iter().any(|line| line == PANICKED);
    if allowed.contains(&What::All) && !panicked {
        return Vec::new();
    }
    let (theirs, ours) = (seen(expected, allowed), seen(found, allowed));
    let mut out = Vec::new();
    for log in [false, true] {
        let part = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|line| line.starts_with("log ") == log).cloned().collect()
        };
        let (theirs, ours) = (part(&theirs), part(&ours));
        let same = |at: usize| match (theirs.get(at), ours.get(at)) {
            (Some(theirs), Some(ours)) => same_line(theirs, ours),
            _ => false,
        };
        // From the first line that differs on.
        if let Some(at) = (0..theirs.len().max(ours.len())).find(|at| !same(*at)) {
            out.extend(theirs.iter().skip(at).map(|line| format!("  haproxy:  {line}")));
            out.extend(ours.iter().skip(at).map(|line| format!("  tidegate: {line}")));
        }
    }
    out
}

/// A transcript without what is not compared.
fn seen(lines: &[String], allowed: &[What]) -> Vec<String> {
    let hidden = |line: &str, what: &What| match *what {
        What::Log => line.starts_with("log "),
        What::Socket(name) => line.starts_with(&format!("{name} < ")),
        What::End(name) => line == format!("{name} < end") || line == format!("{name} < reset"),
        What::All => false,
    };
    lines.iter().filter(|line| !allowed.iter().any(|what| hidden(line, what))).cloned().collect()
}

fn same_line(theirs: &str, ours: &str) -> bool {
    if let (Some(theirs), Some(ours)) = (theirs.strip_prefix("log "), ours.strip_prefix("log ")) {
        let (theirs, ours): (Vec<&str>, Vec<&str>) =
            (theirs.split(' ').collect(), ours.split(' ').collect());
        let same = |(at, (t, o)): (usize, (&&str, &&str))| t == o || at == TIMERS && close(t, o);
        return theirs.len() == ours.len() && theirs.iter().zip(&ours).enumerate().all(same);
    }
    match (theirs.split_once(" < chunks ["), ours.split_once(" < chunks [")) {
        (Some((name, theirs)), Some((our_name, ours))) => {
            let payload = |text: &str| text.split_once("] ").map(|(_, rest)| rest.to_string());
            name == our_name && payload(theirs) == payload(ours)
        }
        _ => theirs == ours,
    }
}

/// Timers that are close: `a/b/c`, of which each is -1 in both or in neither.
fn close(theirs: &str, ours: &str) -> bool {
    let timers = |word: &str| -> Option<Vec<i64>> {
        word.split('/').map(|n| n.trim_start_matches('+').parse().ok()).collect()
    };
    let near = |t: i64, o: i64| o - t <= SLACK_MS[0] && t - o <= SLACK_MS[1];
    let alike = |(t, o): (&i64, &i64)| (*t < 0) == (*o < 0) && near(*t, *o);
    match (timers(theirs), timers(ours)) {
        (Some(t), Some(o)) => t.len() == o.len() && t.iter().zip(&o).all(alike),
        _ => false,
    }
}

/// A log message as the reference shows it: date and tag gone, the client's port and the dates
/// masked.
pub fn masked(line: &str) -> String {
    let (priority, rest) = line.split_once('>').unwrap_or(("", line));
    let message = rest.split_once("]: ").map_or(rest, |(_, message)| message);
    let mut words: Vec<String> = message.split(' ').map(String::from).collect();
    for word in &mut words {
        if word.starts_with('[') && word.matches('/').count() == 2 && word.ends_with(']') {
            *word = "[DATE]".into();
        } else if let Some((address, port)) = word.rsplit_once(':')
            && port.parse::<u16>().is_ok()
            && !address.contains('"')
            && (address.contains('.') || address.contains(':') || address == "unix")
        {
            *word = format!("{address}:PORT");
        }
    }
    format!("{priority}> {}", words.join(" "))
}
