//! From a command line to running engines: what happens, and in which order.
//!
//! ```text
//!   read ► build ► limits ► bind ► open logs, pid file ► fork ► tell the old ► open recordings
//!                                                       ► give up rights ► engines ► threads
//! ```
//!
//! Nothing has a second thread before the fork. All that needs rights or the whole file system
//! comes before they are given up.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tidegate_core::build::build;
use tidegate_core::config::{Diagnostic, Environment, Host, Severity, Source, condition};
use tidegate_core::proxy::spec::Site;
use tidegate_sim::record::{Config, Listening};

use crate::bind::{Binder, SHARDS, Trouble};
use crate::cli::{Farewell, Options};
use crate::host::{Machine, configuration_files, reason};
use crate::poller::Openings;
use crate::poller::sink::Output;
use crate::process::{self, Background, Ready};
use crate::record::Recording;
use crate::signals::{Handled, Signals};
use crate::thread::{Crew, Plan};
use crate::{keywords, say, version};

/// How often binding is tried again while old processes let go of their addresses, and how long is
/// waited between.
const BIND_RETRIES: u32 = 200;
const BIND_PAUSE: Duration = Duration::from_millis(10);

/// Why there is nothing to run.
pub type Stop = ExitCode;

const FAILED: u8 = 1;
const NOTHING_TO_DO: u8 = 2;

/// `-cc`: 0 true, 1 false, 2 not understood.
pub fn evaluate(text: &str) -> ExitCode {
    match condition::evaluate_argument(text, &Environment::new(&Machine)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => FAILED.into(),
        Err(error) => {
            say::alert(format_args!("config : Failed to evaluate condition: {error}"));
            NOTHING_TO_DO.into()
        }
    }
}

/// Checks or runs a configuration.
pub fn run(options: &Options) -> ExitCode {
    if options.quiet {
        say::be_quiet();
    }
    match configured(options) {
        Err(stop) => stop,
        Ok((site, config)) => match start(options, site, config) {
            Ok(running) => running.to_the_end(),
            Err(stop) => stop,
        },
    }
}

/// Says why it does not go on.
fn fail(text: impl std::fmt::Display) -> Stop {
    say::alert(text);
    FAILED.into()
}

/// Reads and checks the configuration; the answers of `-c` are given here.
fn configured(options: &Options) -> Result<(Site, Config), Stop> {
    if let Some(directory) = &options.directory {
        std::env::set_current_dir(directory).map_err(|error| {
            fail(format_args!("Could not change to directory {directory} : {}", reason(&error)))
        })?;
    }
    for (switch, why) in &options.ineffective {
        say::notice(format_args!("'{switch}' has no effect: {why}"));
    }
    let sources = read_files(&options.files)?;
    let machine = Listening::to(Machine);
    let (site, warned) = match build(&sources, &options.overrides, &machine) {
        Ok((site, diagnostics)) => {
            say::diagnostics(&diagnostics, &sources, options.diagnostics);
            (site, diagnostics.iter().any(is_warning))
        }
        Err(diagnostics) => {
            say::diagnostics(&diagnostics, &sources, options.diagnostics);
            return Err(FAILED.into());
        }
    };
    if warned && site.global.zero_warning {
        return Err(fail("config : Some warnings were found and 'zero-warning' is set. Aborting."));
    }
    if let Some(classes) = &options.keywords {
        say::print(keywords::list(classes));
    }
    if options.libraries {
        say::print(libraries());
    }
    let listens = site.listeners.iter().any(|at| !site.proxy(at.frontend).disabled);
    if options.check {
        return Err(checked(options.quiet, warned, listens));
    }
    if !listens {
        return Err(fail("No enabled listener found (check for 'bind' directives) ! Exiting."));
    }
    let (overrides, transcript) = (options.overrides.clone(), machine.transcript());
    Ok((site, Config { sources, overrides, transcript }))
}

fn is_warning(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Warning
}

/// The answer of `-c` about a configuration without errors.
fn checked(quiet: bool, warned: bool, listens: bool) -> Stop {
    let tell = |line: &str| {
        if !quiet {
            say::print(format_args!("{line}\n"));
        }
    };
    if warned {
        tell("Warnings were found.");
    }
    if !listens {
        tell("Configuration file has no error but will not start (no listener) => exit(2).");
        return NOTHING_TO_DO.into();
    }
    tell("Configuration file is valid");
    ExitCode::SUCCESS
}

fn read_files(paths: &[String]) -> Result<Vec<Source>, Stop> {
    let mut sources = Vec::new();
    for path in paths {
        let files = configuration_files(path).map_err(|why| {
            fail(format_args!("config : Cannot open configuration file/directory {path} : {why}"))
        })?;
        if files.is_empty() {
            say::warning(format_args!("config : no *.cfg file in directory {path}"));
        }
        for file in files {
            let bytes = Machine.read(&file).map_err(|why| {
                fail(format_args!("config : Could not open configuration file {file} : {why}"))
            })?;
            sources.push(Source::new(file, bytes));
        }
    }
    if sources.is_empty() {
        return Err(fail("config : no configuration file found"));
    }
    Ok(sources)
}

/// `-dL`: the executable and the libraries that the system loaded for it.
fn libraries() -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut paths: Vec<&str> = Vec::new();
    for path in maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..])) {
        if !paths.contains(&path) && Path::new(path).is_file() {
            paths.push(path);
        }
    }
    paths.iter().map(|path| format!("{path}\n")).collect()
}

/// Engines that are ready to go.
#[derive(Debug)]
pub struct Running {
    crew: Crew,
    signals: Signals,
}

impl Running {
    /// Lets the engines run until all have ended.
    pub fn to_the_end(self) -> ExitCode {
        let Running { crew, mut signals } = self;
        match crew.run(&mut signals) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => fail(failure),
        }
    }
}

/// Brings a site up. In the background, the original process ends in here.
fn start(options: &Options, mut site: Site, config: Config) -> Result<Running, Stop> {
    // Where the kernel does not spread connections over sockets, engines cannot have one each.
    site.global.noreuseport |= !SHARDS;
    let engines = engines(&site);
    let daemon = site.global.daemon && !options.foreground;
    if options.verbose {
        say::help(&version::pollers());
        say::print(format_args!("Using {}() as the polling mechanism.\n", version::POLLER));
    }
    limits(options, &site, engines)?;
    let old = options.old.as_ref();
    let listeners = bind(&site, engines, old.map_or(&[], |(_, pids)| pids))?;
    let openings = openings(&site, listeners, daemon)?;
    let pidfile = match &site.global.pidfile {
        Some(path) if daemon => Some(process::create_pidfile(path).map_err(fail)?),
        _ => None,
    };
    let ready = if daemon { background(options, pidfile)? } else { Ready::default() };
    if !daemon {
        // Here and not when all is ready: afterwards we may not be allowed to.
        farewell(old);
    }
    let recording = match &options.record {
        Some(dir) => {
            Some(Recording::open(dir, options.record_limit, engines, config).map_err(fail)?)
        }
        None => None,
    };
    process::drop_privileges(&site.global).map_err(fail)?;
    let signals = Signals::install(Handled::Daemon).map_err(fail)?;
    let site = Arc::new(site);
    let plan = Plan { site, openings, seed: seed(), notify: say::of_engine, recording };
    let crew = Crew::assemble(plan).map_err(fail)?;
    ready.tell().map_err(fail)?;
    Ok(Running { crew, signals })
}

/// How many engines a site wants; without `nbthread` one for each CPU, as HAProxy up to 64.
pub fn engines(site: &Site) -> u32 {
    site.global.nbthread.unwrap_or_else(|| Machine.cpus().min(64) as u32).max(1)
}

fn limits(options: &Options, site: &Site, engines: u32) -> Result<(), Stop> {
    let needed = process::descriptors(site, engines);
    let limit = process::raise_descriptor_limit(&site.global, needed);
    // What each connection needs at least: both its sides.
    let least = 2 * u64::from(site.global.maxconn);
    if limit < least {
        say::warning(format_args!(
            "Cannot raise FD limit to {needed}, limit is {limit}: not enough for {} connections. \
             Those beyond it will wait; lower maxconn or raise the limit",
            site.global.maxconn
        ));
    }
    if let Some(mb) = options.memory_mb {
        process::limit_memory(mb)
            .map_err(|error| fail(format_args!("Cannot limit memory to {mb} MB: {error}")))?;
    }
    Ok(())
}

/// Opens all listeners. While an address is taken, the processes that we replace are asked to let
/// go of it; if that does not help they are told to go on.
fn bind(site: &Site, engines: u32, old: &[u32]) -> Result<Vec<Vec<Option<OwnedFd>>>, Stop> {
    let mut binder = Binder::new(site, engines);
    let mut troubles = binder.bind();
    let mut asked = false;
    for _ in 0..BIND_RETRIES {
        let may_pass = !troubles.is_empty() && troubles.iter().all(|trouble| trouble.taken);
        if !may_pass || process::signal_all(old, Signal::TTOU) == 0 {
            break;
        }
        asked = true;
        std::thread::sleep(BIND_PAUSE);
        troubles = binder.bind();
    }
    if troubles.is_empty() {
        return Ok(binder.finish());
    }
    if asked {
        process::signal_all(old, Signal::TTIN);
    }
    for Trouble { text, .. } in &troubles {
        say::alert(text);
    }
    Err(fail("Some protocols failed to start their listeners! Exiting."))
}

fn openings(
    site: &Site,
    listeners: Vec<Vec<Option<OwnedFd>>>,
    daemon: bool,
) -> Result<Vec<Openings>, Stop> {
    let mut openings = Vec::new();
    for listeners in listeners {
        let mut sinks = Vec::new();
        for sink in &site.sinks {
            let output = Output::open(sink, daemon).map_err(|error| {
                fail(format_args!("Cannot open log target {sink:?}: {}", reason(&error)))
            })?;
            sinks.push(Some(output));
        }
        openings.push(Openings { listeners, sinks });
    }
    Ok(openings)
}

/// Forks. The child goes on without a terminal; the parent sees whether it comes up, tells the old
/// processes if it does, and ends.
fn background(options: &Options, pidfile: Option<File>) -> Result<Ready, Stop> {
    let split = process::daemonize();
    match split.map_err(|error| fail(format_args!("Cannot fork: {}", reason(&error))))? {
        Background::Parent(child) => {
            if !child.is_up() {
                return Err(FAILED.into());
            }
            farewell(options.old.as_ref());
            Err(ExitCode::SUCCESS)
        }
        Background::Child(ready) => {
            if let Some(mut file) = pidfile {
                let pid = std::process::id();
                writeln!(file, "{pid}")
                    .map_err(|e| fail(format_args!("Cannot write pidfile: {}", reason(&e))))?;
            }
            Ok(ready)
        }
    }
}

fn farewell(old: Option<&(Farewell, Vec<u32>)>) {
    if let Some((how, pids)) = old {
        let signal = match how {
            Farewell::Finish => Signal::USR1,
            Farewell::Terminate => Signal::TERM,
        };
        process::signal_all(pids, signal);
    }
}

/// Different in every run: std's hasher is keyed by the system.
pub fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
