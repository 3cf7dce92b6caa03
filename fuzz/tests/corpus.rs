//! Every input of every corpus through its target, without a fuzzer; and that the corpora and
//! dictionaries are what `bin/seeds` writes, and something beside it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tidegate_fuzz::{TARGETS, Target, canary, dictionary, seed_name};

fn here(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(part)
}

fn files(target: &Target) -> Vec<PathBuf> {
    let folder = here("corpus").join(target.name);
    let read = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = read.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

/// Replays one corpus; says which input failed.
fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let files = files(target);
    assert!(files.len() > 10, "the corpus of {name} is lost");
    for file in files {
        let input = fs::read(&file).expect("an input is readable");
        let tried = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        assert!(tried.is_ok(), "{} fails", file.display());
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*

        /// None is forgotten, here or among the binaries.
        #[test]
        fn every_target_is_replayed_and_built() {
            let replayed = [$(stringify!($name)),*];
            let all: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(all, replayed);
            let manifest = fs::read_to_string(here("Cargo.toml")).expect("the manifest");
            for name in all.into_iter().chain(["canary"]) {
                assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
                assert!(here("fuzz_targets").join(format!("{name}.rs")).exists(), "{name}");
            }
        }
    };
}

replays! {
    request_head response_head chunked head_model framing config_lexer config condition rules log_format proxy_header session reuse world
}

#[test]
fn the_canary_sings() {
    let sings = |input: &[u8]| catch_unwind(|| (canary::TARGET.run)(input)).is_err();
    assert!(sings(b"SOS!") && !sings(b"SOS?") && !sings(b""));
}

#[test]
fn seeds_and_dictionaries_are_what_the_generator_writes() {
    const HELP: &str = "run `cargo run -p tidegate-fuzz --bin seeds`";
    for target in TARGETS.iter().chain([&canary::TARGET]) {
        let folder = here("corpus").join(target.name);
        let seeds = (target.seeds)();
        for (index, seed) in seeds.iter().enumerate() {
            let file = folder.join(seed_name(index));
            let found =
                fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}; {HELP}", file.display()));
            assert!(found == *seed, "{} is another; {HELP}", file.display());
        }
        let is_seed = |file: &PathBuf| {
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-"))
        };
        let all = files(target);
        assert_eq!(all.iter().filter(|file| is_seed(file)).count(), seeds.len(), "{HELP}");
        assert!(all.len() < 200, "{} inputs of {}: merge them", all.len(), target.name);
        let words = dictionary(&(target.words)());
        let file = here("dictionaries").join(format!("{}.dict", target.name));
        assert_eq!(fs::read_to_string(file).unwrap_or_default(), words, "{}; {HELP}", target.name);
    }
}
