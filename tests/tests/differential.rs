//! haproxy and Tidegate on seeded messages, valid and mutated: every difference has its class, and
//! other readers agree about all that Tidegate forwards. The program `differential` runs more.

use std::sync::Mutex;

use tidegate_tests::differential::report::{self, Summary};
use tidegate_tests::differential::run::Arena;
use tidegate_tests::exchanges::proxy::{Kind, find};

const CASES: u64 = 800;
const LANES: usize = 12;

#[test]
fn every_difference_is_explained() {
    let haproxy = match find(Kind::Haproxy, false) {
        Ok(path) => path,
        Err(reason) => {
            println!("differential: SKIPPED, NOTHING WAS COMPARED: {reason}");
            return;
        }
    };
    let tidegate = find(Kind::Tidegate, true).expect("the daemon builds");
    let arena = Arena::start(&haproxy, &tidegate, LANES).expect("both start");
    let summary = Mutex::new(Summary::default());
    let judged = arena.run(1..CASES + 1, |verdict| {
        let mut summary = summary.lock().expect("nobody panics with it");
        if !verdict.is_clean() && summary.seeds.len() < 5 {
            println!("{}", report::case(&verdict));
        }
        summary.add(&verdict);
    });
    judged.expect("loopback works");
    let summary = summary.into_inner().expect("nobody panics with it");
    println!("{}", summary.text());
    assert_eq!(summary.cases, CASES);
    assert!(summary.equal > CASES / 4, "the grammar makes few valid cases");
    assert!(summary.is_good(), "see above");
}
