//! `tidegate-sim replay FILE`: what it prints and how it ends.
#![allow(clippy::disallowed_methods, reason = "a test of the program, which reads files")]

use std::path::PathBuf;
use std::process::{Command, Output};

use tidegate_sim::scenario::{Profile, Scenario};
use tidegate_sim::world::{Watch, run};

/// An engine's recording, with HTTP requests in it.
fn recording() -> Vec<u8> {
    let mut scenario = Scenario::draw(3, Profile::Calm);
    (scenario.knobs.tcp, scenario.knobs.engines) = (0, 1);
    let watch = Watch { recordings: Some(u64::MAX), ..Watch::default() };
    run(&scenario, watch).recordings.remove(0)
}

struct File(PathBuf);

impl File {
    fn new(name: &str, bytes: &[u8]) -> File {
        let path = std::env::temp_dir().join(format!("{}-{name}.rec", std::process::id()));
        std::fs::write(&path, bytes).expect("a temporary file");
        File(path)
    }

    /// Replays it: the exit code, standard output and error.
    fn replay(&self, options: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-sim"));
        let Output { status, stdout, stderr } =
            command.arg("replay").arg(&self.0).args(options).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code().expect("an end"), text(stdout), text(stderr))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_program_says_what_a_recording_comes_to() {
    let whole = recording();
    let (code, said, error) = File::new("whole", &whole).replay(&[]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(said.contains(" digest ") && said.contains("same: as recorded"), "{said}");

    let (code, said, error) = File::new("cut", &whole[..whole.len() * 2 / 3]).replay(&[]);
    assert_eq!(code, 0);
    assert!(said.contains("breaks off") && error.contains("is cut short"), "{said}{error}");

    // A byte of a request: the server gets another one.
    let at = whole.windows(5).position(|five| five == b"HTTP/").expect("a request");
    let mut other = whole;
    other[at - 2] ^= 1;
    let (code, said, _) = File::new("other", &other).replay(&[]);
    assert_eq!(code, 1);
    assert!(said.contains("DIVERGED in turn ") && said.contains("the recording has: "), "{said}");

    let (code, _, error) = File::new("none", b"global\n daemon\n").replay(&[]);
    assert_eq!(code, 2);
    assert!(error.ends_with(": it is no recording\n"), "{error}");
}

#[test]
fn a_trace_is_for_people_and_for_programs() {
    let file = File::new("trace", &recording());
    let (_, lines, _) = file.replay(&["--trace"]);
    assert!(lines.lines().any(|line| line.contains(" ms  turn ") && line.contains("recv #")));
    let (_, json, _) = file.replay(&["--json"]);
    let first = json.lines().next().expect("a line");
    let step: serde_json::Value = serde_json::from_str(first).expect("JSON");
    assert_eq!((step["turn"].as_u64(), step["event"].as_str()), (Some(0), Some("the start")));
}
