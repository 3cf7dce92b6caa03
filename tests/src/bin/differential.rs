//! Runs cases of the differential by hand: many, or one with both sides shown.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use tidegate_tests::differential::grammar::Case;
use tidegate_tests::differential::proxies::VARIANTS;
use tidegate_tests::differential::report::{self, Summary};
use tidegate_tests::differential::run::{Arena, LONG_QUIET};
use tidegate_tests::exchanges::proxy::{Kind, find};

const USAGE: &str = "usage: differential [--cases N] [--from SEED] [--seed N] [--lanes N]
                    [--tidegate PATH] [--haproxy PATH] [--show N] [--once]
  --cases N        so many cases (default 20000)
  --from SEED      the first seed (default 1)
  --seed N         one case, with both sides shown
  --lanes N        so many cases at a time (default 24)
  --tidegate PATH  the daemon (default TIDEGATE_BIN, or the one beside this program, built first)
  --haproxy PATH   the other one (default HAPROXY_BIN, or the first on the PATH)
  --show N         so many failures shown whole (default 10)
  --once           what does not come out clean is not run again: shows what comes and goes";

struct Options {
    cases: u64,
    from: u64,
    seed: Option<u64>,
    lanes: usize,
    tidegate: Option<PathBuf>,
    haproxy: Option<PathBuf>,
    show: usize,
    once: bool,
}

fn main() -> ExitCode {
    match options().and_then(|options| act(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        cases: 20_000,
        from: 1,
        seed: None,
        lanes: 24,
        tidegate: None,
        haproxy: None,
        show: 10,
        once: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        let number = |text: String| text.parse::<u64>().map_err(|_| USAGE.to_owned());
        match word.as_str() {
            "--cases" => options.cases = number(value()?)?,
            "--from" => options.from = number(value()?)?,
            "--seed" => options.seed = Some(number(value()?)?),
            "--lanes" => options.lanes = number(value()?)?.max(1) as usize,
            "--show" => options.show = number(value()?)? as usize,
            "--once" => options.once = true,
            "--tidegate" => options.tidegate = Some(value()?.into()),
            "--haproxy" => options.haproxy = Some(value()?.into()),
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(options)
}

/// True if every difference is explained.
fn act(options: &Options) -> Result<bool, String> {
    let path = |given: &Option<PathBuf>, kind| match given {
        Some(path) => Ok(path.clone()),
        None => find(kind, true),
    };
    let haproxy = path(&options.haproxy, Kind::Haproxy)?;
    let tidegate = path(&options.tidegate, Kind::Tidegate)?;
    let lanes = if options.seed.is_some() { 1 } else { options.lanes };
    let mut arena = Arena::start(&haproxy, &tidegate, lanes)?;
    if options.once {
        arena.again = 0;
    }
    if let Some(seed) = options.seed {
        let pair = arena.pair(0).map_err(|error| error.to_string())?;
        let case = Case::of(seed, VARIANTS.len());
        let verdict = pair.judge(&case, LONG_QUIET).map_err(|error| error.to_string())?;
        print!("{}", report::case(&verdict));
        return Ok(verdict.is_clean());
    }
    let start = Instant::now();
    let held = Mutex::new(Summary::default());
    let seeds = options.from..options.from + options.cases;
    arena
        .run(seeds, |verdict| {
            let mut held = held.lock().expect("nobody panics with it");
            if !verdict.is_clean() && held.seeds.len() < options.show {
                print!("{}", report::case(&verdict));
            }
            held.add(&verdict);
        })
        .map_err(|error| error.to_string())?;
    let summary = held.into_inner().expect("nobody panics with it");
    let seconds = start.elapsed().as_secs_f64();
    print!("{}", summary.text());
    let rate = options.cases as f64 / seconds;
    println!("seeds from {}, {seconds:.1} s, {rate:.0} cases/s", options.from);
    Ok(summary.is_good())
}
