//! The tables in `cases/`: expressions, and what real haproxy 2.6 makes of them. The expected column
//! is measured: `tests/tests/converters.rs` compares it with haproxy, and writes it anew.
//!
//! `let NAME EXPRESSION` sets a variable for all cases of a file; `EXPRESSION => VALUE` is a case.
//! `(none)` is no value, `(refused)` is an error in the configuration. Where we differ on purpose,
//! what we say stands behind ` =/= `.

use crate::config::MapHost;
use crate::poller::Address;
use crate::proxy::spec::{Proxy, Role, SendProxy, Server, Site};
use crate::sample::stage::Stage;
use crate::sample::vars::Stored;
use crate::sample::{Expr, Names, Point, Value};
use crate::time::Duration;

/// What an expression comes to on a stage, or why it is refused.
fn outcome(stage: &Stage, names: &mut Names<'_>, text: &str) -> Result<Option<Stored>, String> {
    let (expr, end) =
        Expr::parse(text, 0, Point::HttpReq, names).map_err(|mistake| mistake.message)?;
    if end != text.len() {
        return Err(format!("ends at {end}"));
    }
    Ok(expr.eval(&stage.scene()).value.map(Stored::of))
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

/// Files that stand beside the tables.
const KEYS: [(&str, &str); 5] = [
    ("es256.pub", include_str!("cases/keys/es256.pub")),
    ("es384.pub", include_str!("cases/keys/es384.pub")),
    ("es512.pub", include_str!("cases/keys/es512.pub")),
    ("rsa.crt", include_str!("cases/keys/rsa.crt")),
    ("rsa.pub", include_str!("cases/keys/rsa.pub")),
];

fn server() -> Server {
    Server {
        name: "s".into(),
        backend: 1,
        id: 1,
        address: Some(Address::Inet(([127, 0, 0, 1], 1).into())),
        port_offset: None,
        weight: 1,
        backup: false,
        disabled: false,
        maxconn: 0,
        maxqueue: 0,
        pool_max: None,
        pool_purge_delay: Duration::from_secs(5),
        max_reuse: None,
        source: None,
        user_timeout: None,
        send_proxy: SendProxy::default(),
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
        let mut host = MapHost::default();
        for (name, key) in KEYS {
            host.files.insert(format!("keys/{name}"), key.as_bytes().into());
        }
        let mut names = Names::new(&host);
        // What the program that measures has, too.
        let named = |name: &str, role| Proxy { name: name.into(), role, ..Proxy::default() };
        let mut site = Site::default();
        site.proxies.push(named("f", Role::FRONTEND));
        site.proxies.push(Proxy { servers: 0..1, ..named("b", Role::BACKEND) });
        site.servers.push(server());
        site.global.timezone = Some("EST5EDT,M3.2.0,M11.1.0".into());
        let mut stage = Stage::at(site);
        stage.captures[0] = vec![None];
        for (name, text) in &lets {
            let value = outcome(&stage, &mut names, text).expect(text).expect(text);
            let id = names.var(name).expect(name);
            assert!(stage.scene().set_var(id, value.value()), "{name}");
        }
        let (_, expected) = expected.split_once(" =/= ").unwrap_or(("", expected));
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

tables! { args bare casts date digest encode fix hash json_query jwt mqtt net number protobuf regsub state text words }
