//! The command line: HAProxy's options, read into a value. Nothing is done or printed here.
//!
//! HAProxy's options are words behind one dash (`-sf`, `-dS`, `-cc`), which no parser of the usual
//! kind reads; so this is written by hand.

use tidegate_core::build::CliOverrides;
use tidegate_core::config::units;

/// What the command line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Read a configuration, and check or run it.
    Run(Box<Options>),
    /// `-v`.
    Version,
    /// `-vv`.
    BuildOptions,
    /// `-h`, `--help`.
    Help,
    /// `-cc`: evaluate a condition.
    Condition(String),
    /// Nothing at all: show what this is.
    Demo,
}

/// What is told to the processes that a new one replaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Farewell {
    /// `-sf`: finish what you have.
    Finish,
    /// `-st`: end now.
    Terminate,
}

/// How a configuration is to be run.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// `-f` and `--`: files and directories, in order.
    pub files: Vec<String>,
    /// `-c`: only check.
    pub check: bool,
    /// `-db`, `-d`: stay in the foreground whatever the files say.
    pub foreground: bool,
    /// `-V`, `-d`: say more.
    pub verbose: bool,
    /// `-q`: say nothing.
    pub quiet: bool,
    /// `-dD`: say also what is merely suspicious.
    pub diagnostics: bool,
    /// `-C`: where relative paths begin.
    pub directory: Option<String>,
    /// `-m`: how much memory the process may use, in MB.
    pub memory_mb: Option<u64>,
    /// `-sf`, `-st`: which processes are replaced, and how they are told.
    pub old: Option<(Farewell, Vec<u32>)>,
    /// `-dK`: which classes of keywords are to be listed.
    pub keywords: Option<String>,
    /// `--record`: the directory for recordings of the engines.
    pub record: Option<String>,
    /// `--record-limit`: bytes of one engine's recording, at most.
    pub record_limit: Option<u64>,
    /// `-dL`: list the loaded libraries.
    pub libraries: bool,
    /// What the command line says about the configuration.
    pub overrides: CliOverrides,
    /// Options that were accepted and change nothing, and why.
    pub ineffective: Vec<(String, &'static str)>,
}

impl PartialEq for Options {
    fn eq(&self, other: &Self) -> bool {
        // For tests; `CliOverrides` has no equality of its own.
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Eq for Options {}

/// What is wrong with a command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// It is not understood: the usage helps. The reason, if there is more to say.
    Usage(Option<String>),
    /// It is understood and cannot be done: one sentence.
    Refused(String),
}

/// Switches that only change how HAProxy works inside, and why they do nothing here.
const INEFFECTIVE: &[(&str, &str)] = &[
    ("-de", "there is one poller, the system's best"),
    ("-dp", "there is one poller, the system's best"),
    ("-dk", "there is one poller, the system's best"),
    ("-dv", "there is one poller, the system's best"),
    ("-dG", "names are always resolved with getaddrinfo()"),
    ("-dV", "servers are never spoken to over SSL"),
];

/// Reads the arguments that follow the program's name. `supervised` says that a service manager
/// waits for a notification, which a demonstration would never send.
pub fn parse(args: &[String], supervised: bool) -> Result<Command, Mistake> {
    if args.is_empty() {
        return if supervised { Err(Mistake::Usage(None)) } else { Ok(Command::Demo) };
    }
    let mut options = Options::default();
    let mut args = args.iter().map(String::as_str).peekable();
    while let Some(arg) = args.next() {
        let mut value =
            || args.next().ok_or_else(|| Mistake::Usage(Some(format!("'{arg}' needs a value"))));
        match arg {
            "-v" | "--version" => return Ok(Command::Version),
            "-vv" => return Ok(Command::BuildOptions),
            "-h" | "--help" => return Ok(Command::Help),
            "-cc" => return Ok(Command::Condition(value()?.to_owned())),
            "-f" => options.files.push(value()?.to_owned()),
            "--" => options.files.extend(args.by_ref().map(str::to_owned)),
            "-c" => options.check = true,
            "-D" => options.overrides.daemon = true,
            "-db" => options.foreground = true,
            "-d" => (options.foreground, options.verbose) = (true, true),
            "-V" => options.verbose = true,
            "-q" => options.quiet = true,
            "-C" => options.directory = Some(value()?.to_owned()),
            "-p" => options.overrides.pidfile = Some(value()?.to_owned()),
            "-L" => options.overrides.localpeer = Some(value()?.to_owned()),
            "-n" => options.overrides.maxconn = Some(number(arg, value()?)?),
            "-N" => options.overrides.proxy_maxconn = Some(number(arg, value()?)?),
            "-m" => options.memory_mb = Some(number(arg, value()?)?),
            "--record" => options.record = Some(value()?.to_owned()),
            "--record-limit" => options.record_limit = Some(size(arg, value()?)?),
            "-dS" => options.overrides.no_splice = true,
            "-dR" => options.overrides.no_reuseport = true,
            "-dr" => options.overrides.ignore_resolution = true,
            "-dW" => options.overrides.zero_warning = true,
            "-dD" => options.diagnostics = true,
            "-dL" => options.libraries = true,
            "-sf" | "-st" => {
                let how = if arg == "-sf" { Farewell::Finish } else { Farewell::Terminate };
                let mut pids = Vec::new();
                while let Some(list) = args.next_if(|next| !next.starts_with('-')) {
                    read_pids(arg, list, &mut pids)?;
                }
                options.old = Some((how, pids));
            }
            "-W" | "-Ws" | "-S" => return Err(Mistake::Refused(no_master(arg))),
            "-x" => {
                return Err(Mistake::Refused(
                    "'-x' is not supported: listening sockets are not passed on over a socket. \
                     Start the new process with '-sf' and the old one's pid instead: both can \
                     listen at once"
                        .into(),
                ));
            }
            _ => match other(arg, &mut options) {
                true => {}
                false => return Err(Mistake::Usage(Some(format!("unknown option '{arg}'")))),
            },
        }
    }
    if options.files.is_empty() {
        return Err(Mistake::Usage(Some("no configuration file is given: use '-f'".into())));
    }
    if options.record_limit.is_some() && options.record.is_none() {
        return Err(Mistake::Usage(Some("'--record-limit' is of use with '--record' only".into())));
    }
    Ok(Command::Run(Box::new(options)))
}

/// Options that carry something behind their letters, or do nothing.
fn other(arg: &str, options: &mut Options) -> bool {
    if let Some(classes) = arg.strip_prefix("-dK") {
        options.keywords = Some(classes.to_owned());
    } else if arg.starts_with("-dM") {
        let why = "freed memory is never used again, and there is nothing to poison";
        options.ineffective.push((arg.to_owned(), why));
    } else if let Some((switch, why)) = INEFFECTIVE.iter().find(|(switch, _)| *switch == arg) {
        options.ineffective.push(((*switch).to_owned(), why));
    } else if arg.starts_with("-d") {
        // As HAProxy: whatever begins so is about debugging.
        (options.foreground, options.verbose) = (true, true);
        let why = "no such switch is known; it is taken for '-d'";
        options.ineffective.push((arg.to_owned(), why));
    } else {
        return false;
    }
    true
}

fn no_master(arg: &str) -> String {
    format!(
        "'{arg}' is not supported: there is no master process. Run in the foreground with '-db' \
         (systemd: Type=exec) or in the background with '-D', and replace a running process with \
         '-sf' and its pid"
    )
}

fn number<N: std::str::FromStr>(option: &str, text: &str) -> Result<N, Mistake> {
    text.parse().map_err(|_| Mistake::Usage(Some(format!("'{option}' needs a number: '{text}'"))))
}

fn size(option: &str, text: &str) -> Result<u64, Mistake> {
    let why = |error| format!("'{option}' needs a size such as 64m: '{text}': {error}");
    units::size(text).map_err(|error| Mistake::Usage(Some(why(error))))
}

/// Pids apart by blanks, as `$(pidof haproxy)` or `$(cat file)` gives them.
fn read_pids(option: &str, list: &str, pids: &mut Vec<u32>) -> Result<(), Mistake> {
    for word in list.split_ascii_whitespace() {
        match word.parse() {
            // 0 and below would mean whole groups of processes.
            Ok(pid) if pid > 0 && i32::try_from(pid).is_ok() => pids.push(pid),
            _ => return Err(Mistake::Refused(format!("'{option}' needs pids: '{word}' is none"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, Mistake> {
        let args: Vec<String> = line.split(' ').filter(|a| !a.is_empty()).map(Into::into).collect();
        parse(&args, false)
    }

    fn run(line: &str) -> Options {
        match read(line) {
            Ok(Command::Run(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn commands() {
        let supervised = parse(&[], true);
        assert_eq!(supervised, Err(Mistake::Usage(None)));
        for (line, command) in [
            ("", Command::Demo),
            ("-v", Command::Version),
            ("-c -v", Command::Version),
            ("-vv", Command::BuildOptions),
            ("--help", Command::Help),
            ("-cc streq(a,b)", Command::Condition("streq(a,b)".into())),
        ] {
            assert_eq!(read(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn mistakes() {
        for (line, part) in [
            ("-Z", "unknown option '-Z'"),
            ("a.cfg", "unknown option 'a.cfg'"),
            ("-f", "'-f' needs a value"),
            ("-cc", "'-cc' needs a value"),
            ("-c", "no configuration file"),
            ("-f a -n x", "'-n' needs a number: 'x'"),
            ("-f a -n -1", "'-n' needs a number: '-1'"),
            ("-f a --record", "'--record' needs a value"),
            (
                "-f a --record d --record-limit 5x",
                "'--record-limit' needs a size such as 64m: '5x'",
            ),
            ("-f a --record-limit 5m", "'--record' only"),
        ] {
            match read(line) {
                Err(Mistake::Usage(Some(text))) => assert!(text.contains(part), "{line}: {text}"),
                other => panic!("{line}: {other:?}"),
            }
        }
        for line in ["-W -f a", "-Ws -f a", "-S /s -f a", "-x /s -f a", "-f a -sf 1 x", "-sf 0"] {
            assert!(matches!(read(line), Err(Mistake::Refused(_))), "{line}");
        }
    }

    #[test]
    fn files() {
        assert_eq!(run("-f a -f b").files, ["a", "b"]);
        assert_eq!(run("-f a -- b -c").files, ["a", "b", "-c"]);
        assert!(!run("-- -c").check);
    }

    #[test]
    fn switches() {
        let all = run("-f a -c -D -db -V -q -dD -dL -dKcfg,acl -dS -dR -dr -dW");
        assert!(all.check && all.foreground && all.verbose && all.quiet);
        assert!(all.diagnostics && all.libraries);
        assert_eq!(all.keywords.as_deref(), Some("cfg,acl"));
        let of = &all.overrides;
        assert!(of.daemon && of.no_splice && of.no_reuseport);
        assert!(of.ignore_resolution && of.zero_warning);

        let debug = run("-f a -d");
        assert!(debug.foreground && debug.verbose && !debug.overrides.daemon);

        let unknown = run("-f a -dX");
        assert!(unknown.foreground && unknown.verbose && unknown.ineffective.len() == 1);

        let ineffective = run("-f a -de -dp -dk -dv -dG -dV -dM -dM12");
        assert_eq!(ineffective.ineffective.len(), 8);
    }

    #[test]
    fn values() {
        let all = run("-f a -C /d -p pid -L peer -n 5 -N 6 -m 7");
        assert_eq!(all.directory.as_deref(), Some("/d"));
        assert_eq!(all.memory_mb, Some(7));
        assert_eq!((all.record, all.record_limit), (None, None));
        let recording = run("-f a --record /d --record-limit 64m");
        assert_eq!(recording.record.as_deref(), Some("/d"));
        assert_eq!(recording.record_limit, Some(64 << 20));
        let of = &all.overrides;
        assert_eq!((of.maxconn, of.proxy_maxconn), (Some(5), Some(6)));
        assert_eq!((of.pidfile.as_deref(), of.localpeer.as_deref()), (Some("pid"), Some("peer")));
    }

    #[test]
    fn old_processes() {
        for (line, old) in [
            ("-f a", None),
            ("-f a -sf", Some((Farewell::Finish, vec![]))),
            ("-sf 1 2 -f a", Some((Farewell::Finish, vec![1, 2]))),
            ("-f a -st 3", Some((Farewell::Terminate, vec![3]))),
        ] {
            assert_eq!(run(line).old, old, "{line}");
        }
        let args = ["-f", "a", "-sf", "4 5\n6"].map(String::from);
        let Ok(Command::Run(options)) = parse(&args, false) else { panic!("it is well formed") };
        assert_eq!(options.old, Some((Farewell::Finish, vec![4, 5, 6])));
    }
}
