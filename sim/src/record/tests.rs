//! Recordings of engines in MemNet, under everything that a scenario lets go wrong, and what
//! becomes of recordings that are cut short, limited or changed.

use std::sync::{Arc, Mutex};

use tidegate_core::poller::Sock;

use super::entry::Entry;
use super::replay::{Step, replay};
use super::wire::{Hash, Wire};
use super::{Boot, Finish, Report, Verdict};
use crate::scenario::{Profile, Scenario};
use crate::world::{Watch, run};

const NO_LIMIT: u64 = u64::MAX;

/// The recordings of a scenario's engines.
fn record(scenario: &Scenario, limit: u64) -> Vec<Vec<u8>> {
    let watch = Watch { recordings: Some(limit), ..Watch::default() };
    run(scenario, watch).recordings
}

/// A scenario with two engines, queues and some trouble, whose recordings are not small.
fn lively() -> Scenario {
    let mut scenario = Scenario::draw(7, Profile::Swarm);
    let k = &mut scenario.knobs;
    (k.engines, k.tcp, k.server_maxconn, k.servers, k.splice, k.unix) = (2, 0, 1, 2, 0, 0);
    // No part of it is much of the whole.
    (k.clients, k.requests, k.body, k.crowd) = (10, 10, 3_000, 0);
    scenario
}

fn play(recording: &[u8]) -> Report {
    replay(recording.to_vec(), None).expect("a recording")
}

#[test]
fn every_engine_of_every_scenario_ends_in_the_same_digest() {
    let (mut turns, mut shared) = (0, 0);
    for seed in 0..60 {
        let profile = [Profile::Swarm, Profile::Storm, Profile::Calm][seed as usize % 3];
        let scenario = Scenario::draw(seed, profile);
        let recordings = record(&scenario, NO_LIMIT);
        for recording in recordings {
            let report = play(&recording);
            // A run that breaks a promise is stopped there, and is worth replaying all the more.
            let ends = matches!(report.verdict, Verdict::Same(Finish::Done | Finish::Stopped));
            assert!(ends, "seed {seed}: {report}");
            turns += report.turns;
            shared += u64::from(report.boot.engines > 1);
        }
    }
    assert!(turns > 10_000 && shared > 20, "{turns} turns, {shared} recordings of several engines");
}

#[test]
fn recording_changes_nothing() {
    for seed in 0..12 {
        let scenario = Scenario::draw(seed, Profile::Swarm);
        let watch = Watch { recordings: Some(NO_LIMIT), ..Watch::default() };
        let (plain, recorded) = (run(&scenario, Watch::default()), run(&scenario, watch));
        assert_eq!(plain.digest, recorded.digest, "seed {seed}");
        let limited = run(&scenario, Watch { recordings: Some(20_000), ..Watch::default() });
        assert_eq!(plain.digest, limited.digest, "seed {seed}, limited");
    }
}

#[test]
fn a_recording_ends_at_its_limit_and_is_good_up_to_there() {
    let whole = record(&lively(), NO_LIMIT).remove(0);
    let all = play(&whole).turns;
    for limit in [whole.len() as u64 / 3, whole.len() as u64 / 2, whole.len() as u64 - 1] {
        let cut = record(&lively(), limit).remove(0);
        assert!(cut.len() as u64 <= limit && cut.len() as u64 > limit * 2 / 3, "{}", cut.len());
        let report = play(&cut);
        assert_eq!(report.verdict, Verdict::Same(Finish::Limit), "{report}");
        assert!(report.turns > 0 && report.turns < all);
    }
    assert_eq!(record(&lively(), whole.len() as u64 + 64).remove(0), whole);
}

/// Where the entries of a recording begin.
fn first_entries(recording: &[u8]) -> usize {
    Boot::read(recording).expect("its head").1
}

#[test]
fn a_recording_that_breaks_off_is_good_up_to_there() {
    let whole = record(&lively(), NO_LIMIT).remove(1);
    let (all, begins) = (play(&whole), first_entries(&whole));
    let (mut inside, mut between, mut most) = (0, 0, 0);
    for end in (begins..whole.len() - 1).step_by(whole.len() / 300 + 1).chain([whole.len() - 1]) {
        let report = play(&whole[..end]);
        match report.verdict {
            Verdict::CutShort { inside: true } => inside += 1,
            Verdict::CutShort { inside: false } => between += 1,
            _ => panic!("at byte {end} of {}: {report}", whole.len()),
        }
        assert!(report.is_same() && report.turns >= most && report.turns <= all.turns);
        most = report.turns;
        assert!(report.to_string().contains("breaks off"));
    }
    assert!(inside > 0 && most == all.turns, "{inside} inside, {between} between, {most}");
    // At its very beginning, and before.
    assert_eq!(play(&whole[..begins]).verdict, Verdict::CutShort { inside: false });
    for end in [0, 5, 9, 30, begins - 1] {
        assert!(replay(whole[..end].to_vec(), None).is_err(), "{end}");
    }
}

#[test]
fn every_change_of_a_recording_is_diagnosed() {
    let whole = record(&lively(), NO_LIMIT).remove(0);
    let begins = first_entries(&whole);
    let mut verdicts = [0; 5];
    for at in (begins..whole.len()).step_by(whole.len() / 400 + 1) {
        let mut changed = whole.clone();
        changed[at] ^= 0x11;
        let report = play(&changed);
        let kind = match &report.verdict {
            Verdict::Diverged { asked, recorded } => {
                assert_ne!(asked, recorded);
                0
            }
            Verdict::OtherDigest { .. } => 1,
            Verdict::Damaged(_) => 2,
            Verdict::Panicked(_) => 3,
            // A length that is now too large.
            Verdict::CutShort { .. } => 4,
            Verdict::Same(_) => panic!("a change of byte {at} goes unnoticed"),
        };
        verdicts[kind] += 1;
    }
    assert!(verdicts[0] > 50 && verdicts[1] > 0 && verdicts[2] > 0, "{verdicts:?}");
}

#[test]
fn a_divergence_says_where_and_what() {
    let whole = record(&lively(), NO_LIMIT).remove(0);
    // A byte of a request's head that is passed on to a server.
    let at = whole.windows(4).rposition(|four| four == b"GET ").expect("a request");
    let mut changed = whole.clone();
    changed[at..at + 3].copy_from_slice(b"PUT");
    let report = play(&changed);
    let Verdict::Diverged { asked, recorded } = &report.verdict else { panic!("{report}") };
    assert!(!asked.is_empty() && !recorded.is_empty());
    let text = report.to_string();
    let turn = format!("DIVERGED in turn {}", report.turns + 1);
    assert!(text.contains(&turn) && text.contains("the engine asked"), "{text}");

    // Something behind the end.
    let mut longer = whole.clone();
    longer.push(0);
    assert!(matches!(play(&longer).verdict, Verdict::Damaged(_)));
    // An end that is not the recording's own.
    let mut early = whole[..first_entries(&whole)].to_vec();
    Entry::End { why: Finish::Done, turns: 5, digest: Hash(0) }.put(&mut early);
    assert!(matches!(play(&early).verdict, Verdict::Damaged(_)));
}

#[test]
fn an_engine_that_panics_does_so_again() {
    let mut recording = record(&lively(), NO_LIMIT).remove(0);
    // A network that is mad: it accepts its own listener. The answer is one byte and the socket.
    let place = |sock: Sock| {
        let mut question = Vec::new();
        Entry::Accept(sock).put(&mut question);
        question.push(0);
        let at = recording.windows(question.len()).position(|bytes| bytes == question);
        at.map(|at| (at + question.len(), sock))
    };
    let socks = (0..4).flat_map(|index| (0..4).map(move |generation| Sock { index, generation }));
    let (at, listener) = socks.filter_map(place).min_by_key(|found| found.0).expect("an accept");
    recording[at] = listener.index as u8;
    let report = play(&recording);
    let Verdict::Panicked(text) = &report.verdict else { panic!("{report}") };
    assert!(text.contains("has an owner"), "{text}");
    // A process that panics leaves nothing behind what it was told last, the peer's address here.
    let told = (at..recording.len())
        .find(|end| matches!(play(&recording[..*end]).verdict, Verdict::Panicked(_)));
    assert!(told.is_some_and(|end| end - at < 64), "{told:?}");
}

#[test]
fn a_trace_shows_what_was_asked_and_answered() {
    let whole = record(&lively(), NO_LIMIT).remove(0);
    let steps: Arc<Mutex<Vec<Step>>> = Arc::default();
    let kept = Arc::clone(&steps);
    let trace = Box::new(move |step| kept.lock().expect("ours").push(step));
    let report = replay(whole, Some(trace)).expect("a recording");
    let steps = steps.lock().expect("ours");
    assert_eq!(steps[0].turn, 0);
    assert_eq!(steps.last().map(|step| step.turn), Some(report.turns));
    for part in
        ["recv #", "\"GET /", "send #", "accept #", "HasMail -> Flag", "the end of the turn"]
    {
        assert!(steps.iter().any(|step| step.text.contains(part)), "{part}");
    }
    assert!(steps.windows(2).all(|two| two[0].at <= two[1].at && two[0].turn <= two[1].turn));
}
