//! `balance`, `hash-type` and `hash-balance-factor`.

use crate::balance::{Algorithm, Function, HashType, Method, UriOptions};
use crate::config::Statement;

use super::Builder;
use super::args::Args;
use super::draft::Draft;

const NAMES: [&str; 11] = [
    "roundrobin",
    "static-rr",
    "leastconn",
    "first",
    "source",
    "uri",
    "random",
    "url_param",
    "hdr",
    "rdp-cookie",
    "hash",
];

impl Builder<'_> {
    pub(super) fn balance(&mut self, draft: &mut Draft, statement: &Statement) {
        let mut args = Args::new(statement, 1, "balance", &mut self.diagnostics);
        let place = args.place();
        let Some(word) = args.next() else {
            draft.proxy.balance.algorithm = Algorithm::RoundRobin;
            return;
        };
        let (name, argument) = match word.as_str().split_once('(') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(')').unwrap_or(rest))),
            None => (word.as_str(), None),
        };
        let algorithm = match (name, argument) {
            ("roundrobin", None) => Algorithm::RoundRobin,
            ("static-rr", None) => Algorithm::StaticRr,
            ("leastconn", None) => Algorithm::LeastConn,
            ("first", None) => Algorithm::First,
            ("source", None) => Algorithm::Source,
            ("uri", None) => match uri(&mut args) {
                Some(options) => {
                    draft.http_only.push(("balance uri", place));
                    Algorithm::Uri(options)
                }
                None => return,
            },
            ("random", None) => Algorithm::Random { draws: 2 },
            ("random", Some(draws)) => match draws.parse() {
                Ok(draws) if draws > 0 => Algorithm::Random { draws },
                _ => {
                    let message = "'balance random' : number of draws must be at least 1";
                    args.alert(word.span, message, "write 'random' or, say, 'random(3)'");
                    return;
                }
            },
            ("url_param", None) | ("hdr" | "rdp-cookie", _) | ("hash", None) => {
                let message = format!(
                    "'balance {name}' is not supported yet, and clients would move between servers"
                );
                args.alert(word.span, message, "'uri' and 'source' are the hashes that exist");
                return;
            }
            _ => {
                let message = format!("unknown 'balance' algorithm '{}'", word.as_str());
                let near = crate::config::similar::nearest(name, NAMES);
                self.suggest(word.span, message, near);
                return;
            }
        };
        if args.end() {
            draft.proxy.balance.algorithm = algorithm;
        }
    }

    /// `hash-type <method> [<function> [avalanche]]`.
    pub(super) fn hash_type(&mut self, draft: &mut Draft, statement: &Statement) {
        const METHODS: [(&str, Method); 2] =
            [("map-based", Method::MapBased), ("consistent", Method::Consistent)];
        const FUNCTIONS: [(&str, Function); 4] = [
            ("sdbm", Function::Sdbm),
            ("djb2", Function::Djb2),
            ("wt6", Function::Wt6),
            ("crc32", Function::Crc32),
        ];
        let mut args = Args::new(statement, 1, "hash-type", &mut self.diagnostics);
        let Some(method) = args.choice(&METHODS) else { return };
        let function = match args.peek() {
            Some(_) => match args.choice(&FUNCTIONS) {
                Some(function) => Some(function),
                None => return,
            },
            None => None,
        };
        let avalanche = args.takes("avalanche");
        if args.end() {
            draft.proxy.balance.hash_type = HashType::new(method, function, avalanche);
        }
    }

    /// `hash-balance-factor <percent>`.
    pub(super) fn hash_balance_factor(&mut self, draft: &mut Draft, statement: &Statement) {
        let mut args = Args::new(statement, 1, "hash-balance-factor", &mut self.diagnostics);
        let place = args.place();
        match args.number(0..=i32::MAX as u32) {
            Some(percent @ 1..=100) => {
                let message =
                    format!("'hash-balance-factor' must be 0 or greater than 100 (was {percent})");
                args.alert(place, message, "150 lets a server have half more than its share");
            }
            Some(percent) if args.end() => draft.proxy.balance.balance_factor = percent,
            _ => {}
        }
    }
}

/// `[ whole ] [ len <n> ] [ depth <n> ] [ path-only ]`.
fn uri(args: &mut Args<'_, '_>) -> Option<UriOptions> {
    let mut options = UriOptions::default();
    while let Some(word) = args.peek() {
        match word.as_str() {
            "whole" => options.whole = true,
            "path-only" => options.path_only = true,
            "len" | "depth" => {
                let len = word.as_str() == "len";
                args.next();
                // HAProxy's counters are as wide.
                let count = args.number(1..=65_535)?;
                *(if len { &mut options.len } else { &mut options.depth }) = count;
                continue;
            }
            other => {
                let message = format!(
                    "'balance uri' only accepts 'len', 'depth', 'path-only' and 'whole' (got \
                     '{other}')"
                );
                args.alert(word.span, message, "");
                return None;
            }
        }
        args.next();
    }
    Some(options)
}
