//! The configuration that a scenario's knobs describe, in HAProxy's own words: the whole way from
//! the text to the engine is part of the run.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{MapHost, Source};
use tidegate_core::poller::Address;
use tidegate_core::proxy::spec::Site;

use crate::record::{Config, Listening};
use crate::scenario::Knobs;

/// The proxy's host.
pub const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// The host that the log goes to.
pub const LOGS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 9, 9));

const ALGORITHMS: [&str; 10] = [
    "roundrobin",
    "static-rr",
    "leastconn",
    "first",
    "source",
    "random",
    "random(3)",
    "uri",
    "uri whole",
    "uri len 4 depth 2",
];
/// From here on the algorithms know only HTTP.
const FIRST_OF_HTTP: u64 = 7;
const KEYED: [&str; 3] = ["hdr(x-id)", "url_param id check_post", "hash path,field(3,/)"];

/// What rules say of a request goes to the server with it, and comes back with the answer: whose it
/// is shows whether a variable of one exchange was ever seen in another.
const HTTP_RULES: &[&str] = &[
    "acl ours req.hdr(x-id) -m found",
    "http-request deny status 400 if { req.hdr(x-never) -m found }",
    "http-request tarpit deny_status 403 if { req.hdr(x-id),mod(16) 7 }",
    "http-request set-var(txn.id) req.hdr(x-id)",
    "http-request set-var(proc.last) req.hdr(x-id)",
    "http-request set-var-fmt(txn.numbers) %rt-%lc",
    "http-request set-header x-rule %[var(txn.id)] if ours",
    "http-after-response set-header x-after 1",
    "use_backend b if ours",
];
const TCP_RULES: &[&str] = &[
    "tcp-request connection set-var(sess.from) src",
    "tcp-request session accept if { src 10.0.0.0/8 }",
    "tcp-request content set-var(txn.from) var(sess.from)",
    "tcp-request content set-var-fmt(txn.numbers) %rt-%lc",
    "tcp-request content accept if { var(txn.from) -m found }",
];
const REUSE: [&str; 4] = ["safe", "never", "aggressive", "always"];

/// Whether a request ends in the tarpit: no server ever hears of it.
pub fn is_tarpitted(knobs: &Knobs, id: u64) -> bool {
    knobs.rules == 1 && knobs.tcp == 0 && id % 16 == 7
}

/// Where server number `n` listens.
pub fn server_address(n: u64) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 1, n as u8)), 80)
}

/// Where the clients of host number `n` are.
pub fn client_address(n: u64) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 2, n as u8))
}

/// Where the proxy listens.
pub fn entrance(knobs: &Knobs) -> Address {
    match knobs.unix {
        1 => Address::Unix("/run/sim.sock".into()),
        _ => Address::Inet(SocketAddr::new(PROXY, 8080)),
    }
}

/// The text.
pub fn config(knobs: &Knobs) -> String {
    let k = knobs;
    let mut lines = vec![
        "global".to_owned(),
        format!(" log {LOGS}:514 local0"),
        format!(" tune.bufsize {}", k.bufsize),
        " tune.maxrewrite 512".to_owned(),
        format!(" tune.maxaccept {}", k.maxaccept),
        format!(" tune.runqueue-depth {}", k.runqueue_depth),
        format!(" tune.pipesize {}", k.pipesize),
        "defaults".to_owned(),
        format!(" mode {}", if k.tcp == 1 { "tcp" } else { "http" }),
        " log global".to_owned(),
        format!(" option {}", if k.tcp == 1 { "tcplog" } else { "httplog" }),
        format!(" retries {}", k.retries),
    ];
    for (name, ms) in timeouts(k) {
        if ms > 0 {
            lines.push(format!(" timeout {name} {ms}ms"));
        }
    }
    let mut option = |on: bool, text: &str| {
        if on {
            lines.push(format!(" {text}"));
        }
    };
    let http = k.tcp == 0;
    option(http && k.retry_on == 1, "retry-on all-retryable-errors");
    option(k.redispatch == 1, "option redispatch");
    option(http && k.closing == 1, "option http-server-close");
    option(http && k.closing == 2, "option httpclose");
    option(http && k.forwardfor == 1, "option forwardfor");
    option(k.splice == 1, "option splice-auto");
    option(k.abortonclose == 1, "option abortonclose");
    if k.rules == 1 {
        lines.push(" log ring@last local0".to_owned());
        lines.extend(["ring last", " format rfc5424", " maxlen 100"].map(str::to_owned));
    }
    lines.push("frontend f".to_owned());
    lines.push(match entrance(k) {
        Address::Unix(path) => format!(" bind {path}"),
        _ if k.unix == 2 => " bind fd@3".to_owned(),
        _ => format!(" bind {PROXY}:8080"),
    });
    if k.accept_proxy == 1
        && let Some(bind) = lines.last_mut()
    {
        bind.push_str(" accept-proxy");
    }
    if k.frontend_maxconn > 0 {
        lines.push(format!(" maxconn {}", k.frontend_maxconn));
    }
    if k.rules == 1 {
        let rules = if http { HTTP_RULES } else { TCP_RULES };
        lines.extend(rules.iter().map(|rule| format!(" {rule}")));
    }
    lines.push(" default_backend b".to_owned());
    lines.push("backend b".to_owned());
    let most = if http { ALGORITHMS.len() as u64 } else { FIRST_OF_HTTP };
    lines.push(match k.keyed {
        keyed if keyed > 0 && http => format!(" balance {}", KEYED[keyed as usize % KEYED.len()]),
        1 => " balance rdp-cookie".to_owned(),
        _ => format!(" balance {}", ALGORITHMS[(k.algorithm % most) as usize]),
    });
    if k.rules == 1 && http {
        lines.push(" http-response set-header x-seen %[var(txn.id)]".to_owned());
    }
    if k.consistent == 1 {
        lines.push(" hash-type consistent".to_owned());
    }
    if k.balance_factor > 0 {
        lines.push(format!(" hash-balance-factor {}", k.balance_factor));
    }
    if http {
        lines.push(format!(" http-reuse {}", REUSE[k.reuse as usize % 4]));
    }
    lines.push(match k.send_proxy {
        0 => " default-server no-send-proxy".to_owned(),
        1 => " default-server send-proxy".to_owned(),
        _ => " default-server send-proxy-v2-ssl proxy-v2-options crc32c,authority,unique-id".into(),
    });
    for n in 1..=k.servers {
        let mut options = String::new();
        if k.server_maxconn > 0 {
            options.push_str(&format!(" maxconn {}", k.server_maxconn));
        }
        if k.weights == 1 {
            options.push_str(&format!(" weight {}", n * n));
        }
        lines.push(format!(" server s{n} {}{options}", server_address(n)));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn timeouts(k: &Knobs) -> [(&'static str, u64); 10] {
    [
        ("connect", k.timeout_connect),
        ("client", k.timeout_client),
        ("server", k.timeout_server),
        ("queue", k.timeout_queue),
        ("http-request", k.timeout_http_request),
        ("http-keep-alive", k.timeout_http_keep_alive),
        ("tunnel", k.timeout_tunnel),
        ("client-fin", k.timeout_client_fin),
        ("server-fin", k.timeout_server_fin),
        ("tarpit", k.timeout_tarpit),
    ]
}

/// Whether every timeout is as long as in the calm.
pub fn is_patient(knobs: &Knobs) -> bool {
    let calm = timeouts(&Knobs::CALM);
    timeouts(knobs).into_iter().zip(calm).all(|((_, mine), (_, calm))| mine == calm)
}

/// The site that the text describes, with the tunables that no keyword sets.
///
/// # Panics
///
/// If the text is refused: that is a fault of the simulator's.
pub fn site(knobs: &Knobs) -> Arc<Site> {
    described(knobs).0
}

/// The same, with what it was made of: for recordings.
///
/// # Panics
///
/// If the text is refused.
pub fn described(knobs: &Knobs) -> (Arc<Site>, Config) {
    let text = config(knobs);
    let sources = vec![Source::new("sim.cfg", text.as_str())];
    let host = Listening::to(MapHost::default());
    let built = build(&sources, &CliOverrides::default(), &host);
    let mut site = match built {
        Ok((site, _)) => site,
        Err(errors) => panic!("{text}\n{errors:#?}"),
    };
    site.tunables.recv_size = knobs.recv_size.max(knobs.bufsize) as u32;
    site.tunables.reads_max = knobs.reads_max as u32;
    site.tunables.log_arena_max = knobs.log_arena as u32;
    site.tunables.idle_max = knobs.idle_max as u32;
    let transcript = host.transcript();
    (Arc::new(site), Config { sources, overrides: CliOverrides::default(), transcript })
}
