//! The daemon's command.

use std::process::ExitCode;

use tidegate::cli::{Command, Mistake, parse};
use tidegate::{demo, host, route, say, start, version};
use tidegate_core::config::Host;

fn main() -> ExitCode {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let supervised = std::env::var_os("NOTIFY_SOCKET").is_some();
    if args.first().is_some_and(|word| word == "route") {
        return route::run(&args[1..]);
    }
    match parse(&args, supervised) {
        Ok(Command::Run(options)) => start::run(&options),
        Ok(Command::Demo) => demo::run(),
        Ok(Command::Condition(text)) => start::evaluate(&text),
        Ok(Command::Version) => print(&version::short()),
        Ok(Command::BuildOptions) => print(&version::long(host::Machine.cpus())),
        Ok(Command::Help) => print(version::help()),
        Err(Mistake::Refused(text)) => {
            say::alert(text);
            ExitCode::FAILURE
        }
        Err(Mistake::Usage(why)) => {
            say::print(version::short());
            if let Some(why) = why {
                say::alert(why);
            }
            say::help(version::usage());
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    say::print(text);
    ExitCode::SUCCESS
}
