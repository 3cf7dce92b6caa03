//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use super::case::{self, Case};
use super::peer::Peer;

pub const HELP: &str = "\
bench: Tidegate beside haproxy and nginx, on the loopback of one machine

  cargo build --release && cargo run --release -p tidegate-tests --bin bench -- [OPTIONS]

It brings its own load generator, origin server and a relay that parses nothing (the floor),
each a process of its own. A proxy is started anew for every round, on one processor;
generator and origin share another. The rounds go through all proxies in turn, so that what
disturbs the machine disturbs all of them; results are medians and quartiles over the
rounds, ratios are taken within a round. What is measured is CPU time (user and system, all
threads, as the scheduler accounts it) of the proxy per unit of work, and for p5 resident
memory. Every answer is checked: a status other than 200, a short body, a wrong byte, a
request that the origin never saw or that lacks X-Forwarded-For fails the round.

CASES (haproxy and tidegate read the same files in tests/configs/bench; nginx's are beside them)
  p1          GET of 1 KB, keep-alive, 64 connections, as fast as it goes
  p1log       the same with `option httplog` to a unix datagram socket
  p2          a new connection on both sides for each request
  p2defer     the same with defer-accept
  p3          bulk download in TCP mode, also spliced
  p4          HTTP bodies of 10 MB, also spliced
  p5          resident memory per idle client connection of 5,000, before and after a burst
  p7          POST of 16 KB with a Content-Length
  p7chunked   POST of 16 KB in four chunks
  p9          p1 with one thread and with two

OPTIONS
  --cases A,B,…       only these cases (default: all)
  --proxies A,B,…     of tidegate, haproxy, nginx, relay (default: all)
  --rounds N          rounds (default 7; p5 takes at most 3)
  --duration MS       length of the measured part of a round (default 1500)
  --warmup MS         load before it (default 300)
  --quiet MS          p5: how long nothing happens before memory is read (default 6000)
  --quick             3 rounds of 500 ms, warm-up 200 ms, quiet 2000 ms; other options still count
  --strace            count system calls per request (or MB) instead, with strace; one round
  --callgrind         count user-space instructions per request instead, with valgrind; one round
                      (cases p1, p2, p7, p7chunked, p9; default p1)
  --json FILE         write every sample and summary
  --md FILE           write the tables
  --tidegate PATH, --haproxy PATH, --nginx PATH
                      programs (default: tidegate beside this program, the others in PATH
                      or /usr/sbin)
  --proxy-core N      processor of the proxy (default 0)
  --load-core N       processor of generator and origin (default 1)
  --nice N            nice value of proxy, generator and origin (default 0); -10, as root, on
                      a machine that others use too
  --no-netns          measure on the machine's own loopback
  --list              list the cases and their rows
  --help

As root it runs in a network namespace of its own with cubic (or reno) congestion control,
because BBR distorts loopback. nginx needs its stream module for p3 (package
libnginx-mod-stream; $NGINX_MODULES names another folder).
CPU ratios move by 0.05 (p1, p2) to 0.08 (p3, p4) between runs; p5, system calls and
instructions repeat within a few percent. `delayed` in the tables is the time the proxy
waited for its processor while it could have run: if that is not near 0 %, something else
ran there and the caches were not its own. `to plain` compares a splice or two-thread row
with the same proxy without.

EXIT STATUS: 0 if every round succeeded, 1 if one failed, 2 for a wrong command line.
";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Time,
    Strace,
    Callgrind,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub mode: Mode,
    pub cases: Vec<&'static Case>,
    pub proxies: Vec<Peer>,
    pub rounds: usize,
    pub duration: Duration,
    pub warmup: Duration,
    pub quiet: Duration,
    pub json: Option<PathBuf>,
    pub markdown: Option<PathBuf>,
    /// Programs named on the command line.
    pub programs: Vec<(Peer, PathBuf)>,
    pub proxy_core: usize,
    pub load_core: usize,
    pub nice: i32,
    pub netns: bool,
}

/// What the command line asks for.
pub enum Asked {
    Measure(Box<Options>),
    Help,
    List,
}

impl Options {
    /// Reads the arguments after the program's name.
    pub fn parse<I>(args: I) -> Result<Asked, lexopt::Error>
    where
        I: IntoIterator,
        I::Item: Into<std::ffi::OsString>,
    {
        let mut parser = lexopt::Parser::from_args(args);
        let mut mode = Mode::Time;
        let mut cases = None;
        let mut proxies = Peer::ALL.to_vec();
        let (mut rounds, mut duration, mut warmup, mut quiet) = (None, None, None, None);
        let (mut json, mut markdown, mut programs) = (None, None, Vec::new());
        let (mut proxy_core, mut load_core) = (0, 1);
        let (mut quick, mut netns, mut nice) = (false, true, 0);
        let millis = |ms: u64| Duration::from_millis(ms);
        while let Some(arg) = parser.next()? {
            match arg {
                Short('h') | Long("help") => return Ok(Asked::Help),
                Long("list") => return Ok(Asked::List),
                Long("cases") => cases = Some(list(&parser.value()?.string()?, case::find)?),
                Long("proxies") => proxies = list(&parser.value()?.string()?, Peer::parse)?,
                Long("rounds") => rounds = Some(parser.value()?.parse::<usize>()?),
                Long("duration") => duration = Some(millis(parser.value()?.parse()?)),
                Long("warmup") => warmup = Some(millis(parser.value()?.parse()?)),
                Long("quiet") => quiet = Some(millis(parser.value()?.parse()?)),
                Long("quick") => quick = true,
                Long("strace") => mode = Mode::Strace,
                Long("callgrind") => mode = Mode::Callgrind,
                Long("json") => json = Some(parser.value()?.into()),
                Long("md") => markdown = Some(parser.value()?.into()),
                Long("tidegate") => programs.push((Peer::Tidegate, parser.value()?.into())),
                Long("haproxy") => programs.push((Peer::Haproxy, parser.value()?.into())),
                Long("nginx") => programs.push((Peer::Nginx, parser.value()?.into())),
                Long("proxy-core") => proxy_core = parser.value()?.parse()?,
                Long("load-core") => load_core = parser.value()?.parse()?,
                Long("nice") => nice = parser.value()?.parse::<i32>()?.clamp(-20, 19),
                Long("no-netns") => netns = false,
                other => return Err(other.unexpected()),
            }
        }
        let usual = |usual, hasty| millis(if quick { hasty } else { usual });
        // The quickest way to a wrong conclusion is a single round.
        let rounds = rounds.unwrap_or(if quick { 3 } else { 7 }).clamp(1, 1000);
        Ok(Asked::Measure(Box::new(Self {
            mode,
            cases: cases.unwrap_or_else(|| match mode {
                Mode::Time => case::ALL.iter().collect(),
                Mode::Strace => case::ALL.iter().filter(|case| case.strace.is_some()).collect(),
                Mode::Callgrind => case::find("p1").into_iter().collect(),
            }),
            proxies,
            rounds: if mode == Mode::Time { rounds } else { 1 },
            duration: duration.unwrap_or_else(|| usual(1500, 500)),
            warmup: warmup.unwrap_or_else(|| usual(300, 200)),
            quiet: quiet.unwrap_or_else(|| usual(6000, 2000)),
            json,
            markdown,
            programs,
            proxy_core,
            load_core,
            nice,
            netns,
        })))
    }
}

/// The items of a comma-separated list, each once, in the order given.
fn list<T: PartialEq>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, lexopt::Error> {
    let mut items = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let item = parse(name).ok_or_else(|| format!("{name} is not known, see --help"))?;
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        match Options::parse(line.split_whitespace()).unwrap() {
            Asked::Measure(options) => *options,
            Asked::Help | Asked::List => panic!("{line}"),
        }
    }

    #[test]
    fn defaults() {
        let options = options("");
        assert_eq!(options.cases.len(), case::ALL.len());
        assert_eq!(options.proxies, Peer::ALL);
        assert_eq!((options.rounds, options.duration.as_millis()), (7, 1500));
        assert!(options.netns);
    }

    #[test]
    fn what_is_given_counts_more_than_quick() {
        let options = options("--rounds 5 --quick --cases p2,p1,p3splice,p3 --proxies relay");
        assert_eq!((options.rounds, options.duration.as_millis()), (5, 500));
        let ids: Vec<_> = options.cases.iter().map(|case| case.id).collect();
        assert_eq!(ids, ["p2", "p1", "p3"]);
        assert_eq!(options.proxies, [Peer::Relay]);
    }

    #[test]
    fn modes_choose_their_cases() {
        let ids = |line| options(line).cases.iter().map(|case| case.id).collect::<Vec<_>>();
        assert_eq!(ids("--strace"), ["p1", "p2", "p3", "p4", "p7"]);
        assert_eq!(ids("--callgrind"), ["p1"]);
        assert_eq!(ids("--callgrind --cases p7"), ["p7"]);
    }

    #[test]
    fn wrong_ones_are_refused() {
        for line in ["--cases p99", "--proxies squid", "--rounds x", "--frob", "stray"] {
            assert!(Options::parse(line.split_whitespace()).is_err(), "{line}");
        }
        assert!(matches!(Options::parse(["--help"]), Ok(Asked::Help)));
        assert!(matches!(Options::parse(["--list"]), Ok(Asked::List)));
    }
}
