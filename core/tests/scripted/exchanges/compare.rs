//! Compares two transcripts line by line: chunk sizes have no meaning, and timers may be a little apart.

/// How far two timers may be apart, in milliseconds: the reference was made on a real machine.
const SLACK_MS: i64 = 50;
/// Which word of a log line has the timers: behind priority, client, date, frontend and backend.
const TIMERS: usize = 5;

/// What differs, one text each.
pub fn differences(expected: &[String], found: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    let (log, other): (Vec<&String>, Vec<&String>) =
        expected.iter().partition(|line| line.starts_with("log "));
    let (found_log, found_other): (Vec<&String>, Vec<&String>) =
        found.iter().partition(|line| line.starts_with("log "));
    for (theirs, ours) in [(other, found_other), (log, found_log)] {
        let n = theirs.len().max(ours.len());
        let same = theirs.len() == ours.len() && theirs.iter().zip(&ours).all(|(t, o)| same_line(t, o));
        if same {
            continue;
        }
        // The first line that differs, and what stands there.
        let at = (0..n).find(|&at| match (theirs.get(at), ours.get(at)) {
            (Some(t), Some(o)) => !same_line(t, o),
            _ => true,
        });
        let at = at.unwrap_or(0);
        for line in theirs.iter().skip(at) {
            out.push(format!("  haproxy:  {line}"));
        }
        for line in ours.iter().skip(at) {
            out.push(format!("  tidegate: {line}"));
        }
    }
    out
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
    let close = |(t, o): (&i64, &i64)| (*t < 0) == (*o < 0) && (t - o).abs() <= SLACK_MS;
    match (timers(theirs), timers(ours)) {
        (Some(t), Some(o)) => t.len() == o.len() && t.iter().zip(&o).all(close),
        _ => false,
    }
}

/// A log message as the reference shows it: date and tag gone, the client's port and the dates masked.
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
