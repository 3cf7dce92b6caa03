//! `balance`, `hash-type` and `hash-balance-factor`.

use crate::balance::{Algorithm, Function, HashType, Method, UriOptions};
use crate::config::Statement;
use crate::proxy::spec::Options;
use crate::sample::{Expr, Point};

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
            ("url_param", None) | ("hdr", Some(_)) | ("rdp-cookie", _) | ("hash", None) => {
                self.keyed(draft, statement, name, argument);
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

    /// `balance` by something that an expression finds.
    fn keyed(
        &mut self,
        draft: &mut Draft,
        statement: &Statement,
        name: &str,
        argument: Option<&str>,
    ) {
        let place = statement.place(1);
        let title = format!("balance {name}");
        let mut phrase = self.phrase(statement, (2, &title), Point::Switch);
        let mut domain = false;
        let texts = match name {
            "hash" => {
                let Some(expr) = phrase.expr() else { return };
                if phrase.args.end() {
                    draft.proxy.balance.algorithm = Algorithm::Keyed;
                    draft.proxy.balance_keys = vec![expr];
                }
                return;
            }
            "hdr" => {
                let header = argument.unwrap_or_default();
                if header.is_empty() {
                    phrase.args.alert(place, "'balance hdr' expects a header's name", "hdr(name)");
                    return;
                }
                domain = phrase.args.takes("use_domain_only");
                vec![format!("req.hdr({header},1)")]
            }
            "url_param" => {
                let Some(param) = phrase.args.need("a parameter's name") else { return };
                let in_query = format!("url_param({})", param.as_str());
                if phrase.args.takes("check_post") {
                    // A number that HAProxy takes, and has ignored for long.
                    if phrase.args.peek().is_some_and(|word| word.as_str().parse::<u32>().is_ok()) {
                        phrase.args.next();
                    }
                    vec![in_query, format!("req.body_param({})", param.as_str())]
                } else {
                    vec![in_query]
                }
            }
            _ => vec![format!("req.rdp_cookie({})", argument.unwrap_or("mstshash"))],
        };
        if !phrase.args.end() {
            return;
        }
        let mut keys = Vec::new();
        for text in texts {
            match Expr::parse(&text, 0, Point::Switch, phrase.names) {
                Ok((expr, _)) => keys.push(expr),
                Err(mistake) => {
                    phrase.args.alert(place, format!("'{title}' : {}", mistake.message), "");
                    return;
                }
            }
        }
        if matches!(name, "hdr" | "url_param") {
            draft.http_only.push(("balance by HTTP", place));
        }
        if keys.len() > 1 {
            draft.proxy.options.set(Options::BUFFER_REQUEST);
        }
        draft.proxy.balance.algorithm = Algorithm::Keyed;
        draft.proxy.balance_keys = keys;
        draft.proxy.balance_domain = domain;
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
