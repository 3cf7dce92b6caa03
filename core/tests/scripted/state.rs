//! The digest of an engine's whole state: engines with the same past have it in common, and whatever
//! could make a difference to what follows shows in it, before it does.

use tidegate_core::digest::Digest;

use crate::rig::{Knobs, Rig, S12, http_config};

const HEAD: &str = "GET /some/page HTTP/1.1\r\nHost: a\r\n";

fn state(play: impl Fn(&mut Rig)) -> u64 {
    let mut rig = Rig::with(&http_config(S12), &Knobs::default());
    play(&mut rig);
    let mut digest = Digest::default();
    rig.engines[0].digest(&mut digest);
    rig.shared.digest(&mut digest);
    digest.value()
}

#[test]
fn the_same_past_is_the_same_state_and_another_is_another() {
    let pasts: [&dyn Fn(&mut Rig); 7] = [
        &|_| {},
        &|rig| {
            let _ = rig.client();
        },
        // Nothing that comes out of the engine tells these from each other so far.
        &|rig| {
            let _ = rig.ask(HEAD);
        },
        &|rig| {
            let _ = rig.ask(HEAD.replace("page", "sage"));
        },
        &|rig| {
            let c = rig.ask(HEAD);
            rig.end(c);
        },
        // One of two servers had its turn.
        &|rig| {
            rig.ask(format!("{HEAD}\r\n"));
        },
        &|rig| {
            rig.ask(format!("{HEAD}\r\n"));
            rig.server("s1");
        },
    ];
    let states: Vec<u64> = pasts.iter().map(|past| state(past)).collect();
    for (n, past) in pasts.iter().enumerate() {
        assert_eq!(state(past), states[n], "number {n} again");
        assert!(!states[..n].contains(&states[n]), "number {n} is like one before it");
    }
}
