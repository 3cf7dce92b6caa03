//! The tables in `cases/`: conditions and maps, and what real haproxy 2.6 makes of them. The last
//! column is measured: `tests/tests/patterns.rs` compares it with haproxy, and writes it anew.

use crate::config::lexer::{self, Place};
use crate::config::{Environment, MapHost};
use crate::proxy::spec::{Proxy, Site};
use crate::sample::stage::Stage;
use crate::sample::vars::Stored;
use crate::sample::{Arena, Expr, Kind, Names, Point, Value, args, fetch};
use core::net::Ipv6Addr;

use super::{Lists, Match, parse_patterns};

/// The files beside the tables, by the names that they have there.
fn host() -> MapHost {
    macro_rules! files {
        ($($name:literal)*) => {
            MapHost::default()
                .with_name("localhost", &[Ipv6Addr::LOCALHOST.into(), [127, 0, 0, 1].into()])
                $(.with_file(
                    concat!("files/", $name),
                    include_bytes!(concat!("cases/files/", $name)).as_slice(),
                ))*
        };
    }
    files! {
        "addresses.map" "bad-int.lst" "bad-int.map" "bad-output.map" "bad-reg.map" "dom.map"
        "dup.map" "end.map" "exprs.lst" "int.map" "ip-order.map" "ip.map" "list.lst" "nets.lst"
        "numbers.map" "plus.map" "regm.map" "str.map" "sub.map"
    }
}

/// A constant before the first converter, and where it ends.
fn source(text: &str) -> Result<(Stored, usize), String> {
    let call = args::call(text, 0).map_err(|mistake| mistake.message)?;
    let arg = call.args.first().map_or("", |arg| arg.text.as_str());
    let stored = match call.name {
        "str" => Stored::Str(arg.as_bytes().into()),
        "bin" => {
            let digits = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
            let bytes: Option<Vec<u8>> = arg.as_bytes().chunks(2).map(digits).collect();
            Stored::Bin(bytes.ok_or("digits")?.into())
        }
        "int" => Stored::Int(arg.parse().map_err(|_| "a number")?),
        "bool" => Stored::Bool(arg == "true"),
        "ipv4" | "ipv6" => Stored::Ip(arg.parse().map_err(|_| "an address")?),
        "meth" => Stored::Method(arg.as_bytes().into()),
        "method" => Stored::Method(b"GET"[..].into()),
        other => return Err(format!("unknown source {other}")),
    };
    Ok((stored, call.end))
}

/// An expression: a constant and its converters.
struct Constant {
    value: Stored,
    expr: Expr,
}

impl Constant {
    fn parse(text: &str, names: &mut Names<'_>) -> Result<Constant, String> {
        let (value, end) = source(text)?;
        let call = args::call("always_true", 0).map_err(|mistake| mistake.message)?;
        let (fetch, _) = fetch::make(&call, Point::HttpReq, names).map_err(|m| m.message)?;
        let kind = value.value().kind();
        let (expr, end) =
            Expr::with_convs(text, (0, end), fetch, kind, names).map_err(|m| m.message)?;
        if end == text.len() { Ok(Constant { value, expr }) } else { Err("more".into()) }
    }

    fn eval<'a>(&'a self, scene: &crate::sample::Scene<'a>) -> Option<Value<'a>> {
        let mut value = self.value.value();
        for (takes, conv) in &self.expr.convs {
            value = conv.apply(value.cast(*takes, scene.arena())?, scene)?;
        }
        Some(value)
    }
}

/// A site that has the patterns which were named.
fn stage(names: Names<'_>) -> Stage {
    let mut site = Site { patterns: names.patterns, ..Site::default() };
    site.proxies.push(Proxy::default());
    Stage::at(site)
}

/// Runs each case of a table.
fn check(table: &str, outcome: impl Fn(&str) -> String) {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (case, expected) = line.split_once(" => ").unwrap_or((line, ""));
        let found = outcome(case);
        count += 1;
        if found != expected {
            wrong.push(format!("{case}\n   haproxy {expected}\n   we      {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The words of a line.
fn words(line: &str, host: &MapHost) -> Vec<crate::config::Word> {
    let place = Place { file: "", file_index: 0, line: 1, section: "" };
    lexer::words(line.as_bytes(), place, &Environment::new(host)).expect(line)
}

#[test]
fn conditions() {
    let host = host();
    check(include_str!("cases/conditions.txt"), |case| {
        let words = words(case, &host);
        let mut names = Names::new(&host);
        let Ok(constant) = Constant::parse(words[0].as_str(), &mut names) else {
            return "(refused)".into();
        };
        let default = (words[0].as_str() == "method").then_some(Match::Method);
        let kind = constant.expr.kind;
        let Ok(Lists { lists, .. }) = parse_patterns(&words[1..], default, kind, &mut names) else {
            return "(refused)".into();
        };
        let stage = stage(names);
        let scene = stage.scene();
        let value = constant.eval(&scene);
        let yes = value.is_some_and(|value| {
            lists.iter().any(|list| scene.patterns(*list).matches(value, scene.arena()))
        });
        if yes { "yes".into() } else { "no".into() }
    });
}

#[test]
fn maps() {
    let host = host();
    check(include_str!("cases/maps.txt"), |case| {
        let mut names = Names::new(&host);
        let Ok(constant) = Constant::parse(case, &mut names) else { return "(refused)".into() };
        let stage = stage(names);
        let scene = stage.scene();
        let arena = Arena::new();
        let text = |value: Value<'_>| match value.kind() {
            Kind::Bin => "bytes".into(),
            _ => String::from_utf8_lossy(value.text(&arena)).into_owned(),
        };
        constant.eval(&scene).map_or_else(|| "(none)".into(), text)
    });
}
