//! The corpus of whole sites: the same configuration and the same exchanges, through haproxy and
//! through Tidegate. Without haproxy its committed records are what is compared with.
//!
//! `sites WORD…` plays the sites whose names contain a word. `UPDATE_EXPECT=1` writes the records
//! from haproxy's runs, and the list of those that are not equal yet.

use std::process::ExitCode;

use tidegate_tests::sites::campaign::{Options, act};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        println!("sites: test");
        return ExitCode::SUCCESS;
    }
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let only = words.into_iter().filter(|word| !word.starts_with('-')).collect();
    match act(&Options { only, update, update_pending: update, ..Options::default() }) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("sites: {why}");
            ExitCode::FAILURE
        }
    }
}
