//! Plays the corpus of sites by hand: all or some, through haproxy, Tidegate or both.

use std::process::ExitCode;

use tidegate_tests::sites::campaign::{Options, act};

const USAGE: &str =
    "usage: sites [--only NAME]... [--quick] [--update] [--update-pending] [--show WHICH]
  --only NAME       only sites whose name contains NAME
  --quick           against the committed references, without haproxy
  --update          write the references from haproxy's runs
  --update-pending  write the list of sites that are not equal yet
  --show WHICH      print the records of haproxy or tidegate";

fn main() -> ExitCode {
    match options().and_then(|options| act(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options { details: true, ..Options::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--only" => options.only.push(value()?),
            "--quick" => options.quick = true,
            "--update" => options.update = true,
            "--update-pending" => options.update_pending = true,
            "--show" => options.show = Some(value()?),
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(options)
}
