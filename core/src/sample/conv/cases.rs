//! The tables in `cases/`: expressions, and what real haproxy 2.6 makes of them. The expected column
//! is measured: `tests/tests/converters.rs` compares it with haproxy, and writes it anew.
//!
//! `let NAME EXPRESSION` sets a variable for all cases of a file; `EXPRESSION => VALUE` is a case.
//! `(none)` is no value, `(refused)` is an error in the configuration.

use crate::config::MapHost;
use crate::proxy::spec::Site;
use crate::sample::args;
use crate::sample::fetch;
use crate::sample::stage::Stage;
use crate::sample::vars::Stored;
use crate::sample::{Expr, Kind, Names, Point, Value};

/// What stands before the first converter: a constant or a variable.
fn source(text: &str, names: &mut Names<'_>) -> Result<(Source, usize), String> {
    let call = args::call(text, 0).map_err(|mistake| mistake.message)?;
    let arg = match &call.args[..] {
        [] => "",
        [arg] => &arg.text,
        _ => return Err("one argument".into()),
    };
    let value = match call.name {
        "str" => Stored::Str(arg.as_bytes().into()),
        "bin" => Stored::Bin(unhex(arg)?.into()),
        "int" => Stored::Plain(Value::Int(arg.parse().map_err(|_| "a number")?)),
        "bool" => Stored::Plain(Value::Bool(arg == "true")),
        "ipv4" | "ipv6" => Stored::Plain(Value::Ip(arg.parse().map_err(|_| "an address")?)),
        "meth" => Stored::Method(arg.as_bytes().into()),
        "src" => Stored::Plain(Value::Ip([127, 0, 0, 1].into())),
        "var" => return Ok((Source::Var(names.var(arg)?), call.end)),
        other => return Err(format!("unknown source {other}")),
    };
    Ok((Source::Is(value), call.end))
}

enum Source {
    Is(Stored),
    Var(crate::sample::vars::VarId),
}

fn unhex(text: &str) -> Result<Vec<u8>, &'static str> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return Err("pairs of digits");
    }
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = core::str::from_utf8(pair).map_err(|_| "digits")?;
            u8::from_str_radix(pair, 16).map_err(|_| "digits")
        })
        .collect()
}

/// What an expression comes to on a stage, or why it is refused.
fn outcome(stage: &Stage, names: &mut Names<'_>, text: &str) -> Result<Option<Stored>, String> {
    let (source, end) = source(text, names)?;
    let kind = match &source {
        Source::Is(value) => value.value().kind(),
        Source::Var(_) => Kind::Any,
    };
    let call = args::call("always_true", 0).map_err(|mistake| mistake.message)?;
    let (fetch, _) = fetch::make(&call, Point::HttpReq, names).map_err(|m| m.message)?;
    let (expr, end) =
        Expr::with_convs(text, (0, end), fetch, kind, names).map_err(|mistake| mistake.message)?;
    if end != text.len() {
        return Err(format!("ends at {end}"));
    }
    let scene = stage.scene();
    let mut value = match &source {
        Source::Is(value) => Some(value.value()),
        Source::Var(id) => scene.var(*id),
    };
    for (takes, conv) in &expr.convs {
        let cast = value.and_then(|value| value.cast(*takes, scene.arena()));
        value = cast.and_then(|value| conv.apply(value, &scene));
    }
    Ok(value.map(Stored::of))
}

/// A value as the tables write it.
fn written(value: &Stored) -> String {
    let arena = crate::sample::Arena::new();
    let bytes = match value.value() {
        Value::Bin(bytes) => bytes,
        other => other.text(&arena),
    };
    let escape = |byte: u8| format!("\\x{byte:02x}");
    match core::str::from_utf8(bytes) {
        Ok(text) => text
            .chars()
            .map(|c| match c {
                '\\' => "\\\\".into(),
                c if c.is_ascii() && c.is_ascii_control() => escape(c as u8),
                c => c.to_string(),
            })
            .collect(),
        Err(_) => bytes
            .iter()
            .map(|byte| match byte {
                b'\\' => "\\\\".into(),
                b' '..=b'~' => char::from(*byte).to_string(),
                other => escape(*other),
            })
            .collect(),
    }
}

fn check(name: &str, table: &str) {
    let (mut lets, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(rest) = line.strip_prefix("let ") {
            lets.push(rest.split_once(' ').expect("a name and an expression"));
            continue;
        }
        let (text, expected) = line.split_once(" => ").unwrap_or((line, ""));
        let host = MapHost::default();
        let mut names = Names::new(&host);
        let mut site = Site::default();
        site.proxies.push(crate::proxy::spec::Proxy::default());
        site.global.timezone = Some("EST5EDT,M3.2.0,M11.1.0".into());
        let mut stage = Stage::at(site);
        stage.captures[0] = vec![None];
        for (name, text) in &lets {
            let value = outcome(&stage, &mut names, text).expect(text).expect(text);
            let id = names.var(name).expect(name);
            assert!(stage.scene().set_var(id, value.value()), "{name}");
        }
        let found = match outcome(&stage, &mut names, text) {
            Ok(Some(value)) => written(&value),
            Ok(None) => "(none)".into(),
            Err(_) => "(refused)".into(),
        };
        count += 1;
        if found != expected {
            wrong.push(format!("{text}\n   haproxy {expected}\n   we      {found}"));
        }
    }
    assert!(wrong.is_empty(), "{name}: {} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! tables {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            check(stringify!($name), include_str!(concat!("cases/", stringify!($name), ".txt")));
        }
    )* };
}

tables! { args encode hash number text words }
