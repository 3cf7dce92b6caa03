//! Writes what the corpora and dictionaries begin with: `cargo run -p tidegate-fuzz --bin seeds`.
//! What else is in `corpus/`, findings above all, is left alone.

use std::fs;
use std::io;
use std::path::Path;

use tidegate_fuzz::{TARGETS, canary, dictionary, seed_name};

fn main() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for target in TARGETS.iter().chain([&canary::TARGET]) {
        let folder = here.join("corpus").join(target.name);
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("seed-") {
                fs::remove_file(entry.path())?;
            }
        }
        for (index, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(seed_name(index)), seed)?;
        }
        let words = dictionary(&(target.words)());
        let file = here.join("dictionaries").join(format!("{}.dict", target.name));
        fs::create_dir_all(here.join("dictionaries"))?;
        if !words.is_empty() {
            fs::write(file, words)?;
        }
    }
    Ok(())
}
