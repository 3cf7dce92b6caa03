//! What must hold of every run, whatever goes wrong in it. It only looks: at the ledger, at the log
//! lines, at the limits.
//!
//! | | what must hold | who looks |
//! |---|---|---|
//! | A1 | every byte of a body is the one that was sent | the actors, byte by byte |
//! | A2 | per channel: received + added = sent + held | `Engine::audit` |
//! | A3 | every socket has an owner; none is left at the end | `Engine::audit`, `world` |
//! | A4 | the counts agree, with `Shared`'s too | `Engine::audit`, `Shared::audit` |
//! | A5 | everything has a deadline, none is overdue | `Engine::audit` |
//! | A6 | parked means that nothing could go on | `Engine::audit` |
//! | A7 | no engine turns without end while nothing moves | `world` |
//! | A8 | a server sees the requests that were meant, and no other | the servers' own parser |
//! | A9 | one answer a request, or an end that has a reason | [`close`] |
//! | A10 | answers come in order | the clients, by number |
//! | A11 | no limit is exceeded | [`limits`] |
//! | A12 | nothing is sent after the end, no stale handle is used | `memnet` |
//! | A13 | one log line an exchange, and it says what the client saw | [`log_line`], [`close`] |
//! | A14 | in the calm, everything comes to an end | `world`, the clients |

use tidegate_core::proxy::shared::{LimitId, Shared};

use crate::ledger::{Fate, Ledger};
use crate::scenario::Knobs;
use crate::site;
use crate::timeline::Host;

/// A line arrived at the log's host.
pub fn log_line(ledger: &mut Ledger, knobs: &Knobs, line: &str) {
    ledger.note(Host::Logs, || line.trim_end().to_owned());
    let fields = line.split_once("] ").map(|(_, rest)| rest.split(' ').collect::<Vec<_>>());
    let code = |at: usize| fields.as_ref().and_then(|fields| fields.get(at).copied());
    if knobs.tcp == 1
        && let Some(code) = code(4)
        && is_calm(knobs)
        && code != "--"
    {
        ledger.violated("A13", format!("an end for no reason: {line}"));
    }
    let named = line.split_once(" /r/").or_else(|| line.split_once("\"CONNECT r"));
    let Some((_, rest)) = named else { return };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let Ok(id) = digits.parse() else { return };
    // ...] frontend backend/server TR/Tw/Tc/Tr/Ta status bytes ...
    let status = code(3).and_then(|status| status.parse().ok()).unwrap_or(0);
    let Some(entry) = ledger.entry(id) else {
        return ledger.violated("A13", format!("a line about what was never asked: {line}"));
    };
    let settled = (is_calm(knobs) || entry.meant.finale) && !entry.meant.spoilt;
    if settled && matches!(status, 101 | 200) && code(7).is_some_and(|code| !code.starts_with("--"))
    {
        return ledger.violated("A13", format!("an end for no reason: {line}"));
    }
    entry.logged += 1;
    entry.logged_status = status;
    if entry.logged > 1 {
        ledger.violated("A13", format!("request {id} is logged again: {line}"));
    }
}

/// Looks at what the engines share: no more connections than are allowed.
pub fn limits(shared: &Shared, knobs: &Knobs) -> Result<(), String> {
    let most = knobs.frontend_maxconn as u32;
    let used = shared.used(LimitId::Frontend(0));
    if most > 0 && used > most {
        return Err(format!("{used} connections at a frontend with maxconn {most}"));
    }
    Ok(())
}

/// Looks at every request when all is over.
pub fn close(ledger: &mut Ledger, knobs: &Knobs) {
    let calm = is_calm(knobs);
    let mut found = Vec::new();
    for (id, entry) in &ledger.entries {
        let meant = entry.meant;
        match entry.fate {
            Fate::Open => found.push(("A9", format!("request {id} has no end: {entry:?}"))),
            Fate::Answered(200) if entry.begun == 0 && knobs.tcp == 0 => {
                found.push(("A9", format!("request {id} was answered by nobody: {entry:?}")));
            }
            Fate::Answered(101) if meant.tunnel.is_none() => {
                found.push(("A9", format!("request {id} asked for no tunnel: {entry:?}")));
            }
            Fate::Answered(101 | 200) if site::is_tarpitted(knobs, *id) => {
                found.push(("A9", format!("request {id} left the tarpit: {entry:?}")));
            }
            Fate::Answered(403) if site::is_tarpitted(knobs, *id) => {}
            Fate::Answered(101 | 200) | Fate::Abandoned => {}
            // Whoever was there before may keep a server's only place for long.
            Fate::Answered(503) if knobs.server_maxconn > 0 => {}
            Fate::Cut if knobs.server_maxconn > 0 && knobs.tcp == 1 => {}
            Fate::Answered(500) => {
                found.push(("A9", format!("request {id} met an error of ours: {entry:?}")));
            }
            fate if (calm || meant.finale) && !meant.spoilt => {
                found.push(("A9", format!("request {id} came to {fate:?}: {entry:?}")));
            }
            Fate::Answered(status) if !matches!(status, 400 | 408 | 502 | 503 | 504) => {
                found.push(("A9", format!("request {id} was answered {status}: {entry:?}")));
            }
            _ => {}
        }
        if meant.method == "POST" && entry.begun > 1 && knobs.retry_on == 0 {
            let detail = format!("request {id} was answered {} times: {entry:?}", entry.begun);
            found.push(("A9", detail));
        }
        if let Fate::Answered(status) = entry.fate
            && knobs.tcp == 0
            && knobs.loss == 0
            && knobs.log_arena > 1_000
            && !meant.spoilt
            && (entry.logged, entry.logged_status) != (1, status)
            // What was not understood is logged without its name.
            && !(entry.logged == 0 && matches!(status, 400 | 408))
        {
            found.push(("A13", format!("the log does not say what happened to {id}: {entry:?}")));
        }
    }
    for (invariant, detail) in found {
        ledger.violated(invariant, detail);
    }
}

/// Whether nothing can go wrong.
fn is_calm(knobs: &Knobs) -> bool {
    let k = knobs;
    let manners = [k.stalls, k.closes_early, k.resets, k.slams, k.says_garbage, k.closes_idle];
    let others = [k.slams_later, k.urges, k.answers_urge];
    let faults = [k.cuts, k.silences, k.restarts, k.refusals, k.stop, k.descriptors, k.ports];
    let calls = [k.accept_fails, k.connect_fails];
    let slow = [k.answers_late, k.answers_early, k.reads_slowly, k.sends_slowly, k.bandwidth];
    let none = |all: &[u64]| all.iter().all(|n| *n == 0);
    let quick = k.latency_us < 10_000 && k.jitter_us < 10_000 && k.window > 1_000;
    let clients = [k.aborts, k.half_closes, k.garbage];
    let all = [&manners[..], &others, &faults, &calls, &slow, &clients];
    let waits = k.server_maxconn > 0 || k.frontend_maxconn > 0 || !crate::site::is_patient(k);
    all.into_iter().all(none) && quick && !waits && k.send_buffer > 1_000
}
