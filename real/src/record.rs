//! `--record`: the files that engines are recorded in. What is in them, and how they are played
//! again, is in `tidegate_sim::record`.
//!
//! They are opened before rights and the file system are given up, one for each engine, readable
//! for nobody but their owner: they contain what the traffic contains.

use std::cell::RefCell;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_core::engine::Setup;
use tidegate_sim::record::{Boot, Config, Over, Tape};

use crate::host::reason;
use crate::say;
use crate::version::VERSION;

/// The size at which a recording ends if none is given.
pub const LIMIT: u64 = 256 << 20;

/// The files of a process, by engine.
#[derive(Debug)]
pub struct Recording {
    files: std::vec::IntoIter<(PathBuf, File)>,
    limit: u64,
    config: Config,
}

/// One engine's recording.
#[derive(Debug)]
pub struct Reel {
    /// What it is written with.
    pub tape: Tape,
    path: PathBuf,
    engine: u32,
    limit: u64,
}

impl Recording {
    /// Creates a file for each engine in `dir`, and `dir` if it is not there.
    pub fn open(
        dir: &str,
        limit: Option<u64>,
        engines: u32,
        config: Config,
    ) -> Result<Recording, String> {
        let dir = Path::new(dir);
        let failed =
            |path: &Path, error| format!("Cannot record in {}: {}", path.display(), reason(&error));
        if !dir.exists() {
            DirBuilder::new().mode(0o700).create(dir).map_err(|error| failed(dir, error))?;
        }
        // A process id comes again, always the same in a container.
        let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        let mut files = Vec::new();
        for engine in 0..engines {
            let path = dir.join(format!("{start}-{}-{engine}.rec", std::process::id()));
            // A new file and never a link: nobody who may write to the directory shall choose where
            // it goes.
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            files.push((path.clone(), file.map_err(|error| failed(&path, error))?));
        }
        say::warning(format_args!(
            "Recording in {}: the files contain the traffic in clear, with all that is secret in it",
            dir.display()
        ));
        let limit = limit.unwrap_or(LIMIT);
        Ok(Recording { files: files.into_iter(), limit, config })
    }

    /// Begins the recording of the next engine.
    pub fn begin(&mut self, setup: &Setup) -> Result<Reel, String> {
        let (path, mut file) = self.files.next().ok_or("there is one file for each engine")?;
        let boot = Boot::of(VERSION, setup, self.config.clone());
        let sink = move |bytes: &[u8]| file.write_all(bytes).map_err(|error| reason(&error));
        let tape = Tape::begin(&boot, self.limit, Box::new(sink))
            .map_err(|why| format!("Cannot record in {}: {why}", path.display()))?;
        Ok(Reel { tape, path, engine: setup.id, limit: self.limit })
    }
}

impl Reel {
    /// What to tell the operator, if the recording is over before its engine is.
    pub fn farewell(&self) -> Option<String> {
        let why = match self.tape.over()? {
            Over::Limit => format!("its limit of {} bytes is reached", self.limit),
            Over::Failed(why) => format!("it cannot be written: {why}"),
            Over::Finished => return None,
        };
        let (engine, path) = (self.engine, self.path.display());
        Some(format!("Recording of engine {engine} in {path} ended, the proxy goes on: {why}."))
    }

    /// A panic in this thread writes first what is not written yet, the turn that it is in too:
    /// played again, it ends in the same panic.
    pub fn rescue_in_a_panic(&self) {
        static HOOK: Once = Once::new();
        TAPE.with_borrow_mut(|tape| *tape = Some(self.tape.clone()));
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let _ = TAPE.try_with(|tape| {
                    if let Ok(Some(tape)) = tape.try_borrow().as_deref() {
                        tape.rescue();
                    }
                });
                before(info);
            }));
        });
    }
}

thread_local! {
    /// Of the engine that this thread turns.
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use tidegate_core::build::{CliOverrides, build};
    use tidegate_core::config::{MapHost, Source};
    use tidegate_core::engine::Engine;
    use tidegate_core::proxy::shared::Shared;
    use tidegate_core::rng::Seed;
    use tidegate_core::time::Now;
    use tidegate_sim::record::replay::replay;
    use tidegate_sim::record::{Listening, Record, Verdict, to_memory};

    use super::*;
    use crate::poller::{MioPoller, Openings};

    fn setup() -> (Setup, Config) {
        let sources = vec![Source::new("a.cfg", "listen a\n mode tcp\n server s 127.0.0.1:1\n")];
        let host = Listening::to(MapHost::default());
        let overrides = CliOverrides::default();
        let (site, _) = build(&sources, &overrides, &host).expect("it is good");
        let site = Arc::new(site);
        let shared = Arc::new(Shared::new(&site, 1));
        let setup = Setup { site, shared, id: 0, engines: 1, seed: Seed(1), pid: 1 };
        (setup, Config { sources, overrides, transcript: host.transcript() })
    }

    #[test]
    fn a_panic_writes_the_turn_that_it_is_in() {
        let (setup, config) = setup();
        let (sink, reel) = to_memory();
        let tape = Tape::begin(&Boot::of("a test", &setup, config), LIMIT, sink).expect("room");
        let path = PathBuf::new();
        let recorded = Reel { tape, path, engine: 0, limit: LIMIT };
        let thread = std::thread::spawn(move || {
            recorded.rescue_in_a_panic();
            let mut pollers = MioPoller::for_engines(vec![Openings::default()], 1).expect("one");
            let mut net = Record::on(pollers.remove(0), recorded.tape.clone());
            let mut engine = Engine::new(setup);
            recorded.tape.starts(&mut engine, Now::default());
            engine.start(&mut net, Now::default()).expect("nothing to open");
            recorded.tape.started(true);
            recorded.tape.turns(Now::default());
            panic!("as an engine would in a turn");
        });
        assert!(thread.join().is_err());
        let report = replay(reel.lock().expect("ours").clone(), None).expect("a recording");
        // The engine does not panic again: it asks on, behind the end.
        assert_eq!(report.verdict, Verdict::CutShort { inside: true }, "{report}");
        assert_eq!(report.turns, 0);
    }

    #[test]
    fn files_are_new_and_for_their_owner_only() {
        let dir = std::env::temp_dir().join(format!("tidegate-record-{}", std::process::id()));
        let (_, config) = setup();
        let path = dir.to_str().expect("a plain path");
        let open = || Recording::open(path, Some(1 << 20), 3, config.clone()).expect("room");
        let names: BTreeMap<PathBuf, ()> = open().files.map(|(path, _)| (path, ())).collect();
        assert_eq!(names.len(), 3);
        for name in names.keys() {
            use std::os::unix::fs::PermissionsExt;
            let about = std::fs::metadata(name).expect("it is there");
            assert_eq!(about.permissions().mode() & 0o777, 0o600);
        }
        std::fs::remove_dir_all(&dir).expect("ours");
        std::fs::write(&dir, "").expect("ours");
        let error = Recording::open(path, None, 1, config).expect_err("it is a file");
        assert!(error.starts_with("Cannot record in ") && error.ends_with(": Not a directory"));
        std::fs::remove_file(&dir).expect("ours");
    }

    #[test]
    fn what_does_not_fit_is_said_before_anything_runs() {
        let dir = std::env::temp_dir().join(format!("tidegate-small-{}", std::process::id()));
        let (setup, config) = setup();
        let path = dir.to_str().expect("a plain path");
        let mut recording = Recording::open(path, Some(100), 1, config).expect("room");
        let error = recording.begin(&setup).expect_err("too small");
        assert!(error.contains("the configuration alone takes "), "{error}");
        std::fs::remove_dir_all(&dir).expect("ours");
    }

    #[test]
    fn a_sink_that_fails_ends_the_recording_with_a_word() {
        let (setup, config) = setup();
        let mut left = 2;
        let sink = Box::new(move |_: &[u8]| {
            left -= 1;
            if left == 0 { Err("No space left on device".to_owned()) } else { Ok(()) }
        });
        let tape = Tape::begin(&Boot::of("a test", &setup, config), LIMIT, sink).expect("room");
        let path = PathBuf::from("/r/1.rec");
        let reel = Reel { tape, path, engine: 3, limit: LIMIT };
        assert_eq!(reel.farewell(), None);
        let mut engine = Engine::new(setup);
        reel.tape.starts(&mut engine, Now::default());
        reel.tape.started(true);
        let expected = "Recording of engine 3 in /r/1.rec ended, the proxy goes on: it cannot be \
                        written: No space left on device.";
        assert_eq!(reel.farewell().as_deref(), Some(expected));
    }
}
