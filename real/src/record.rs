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
