//! `server`, `server-template` and `default-server` lines.

use core::net::{IpAddr, SocketAddr};

use crate::config::keywords::{self, Context};
use crate::config::units::Unit;
use crate::config::{Span, Statement, Word};
use crate::poller::Address;
use crate::proxy::spec::{SendProxy, Server};
use crate::time::Duration;

use super::Builder;
use super::address::{self, Endpoint, HostPart, PortPart};
use super::args::Args;
use super::draft::Draft;
use super::proxy::source;

/// A server whose id may not be given yet.
#[derive(Clone)]
pub(super) struct ServerDraft {
    pub(super) server: Server,
    pub(super) id: Option<u32>,
    pub(super) span: Span,
}

/// What the words behind an address say; `default-server` sets what later lines start from.
#[derive(Clone)]
pub(super) struct ServerSettings {
    weight: u32,
    backup: bool,
    disabled: bool,
    maxconn: u32,
    maxqueue: u32,
    pool_max: Option<u32>,
    pool_purge_delay: Duration,
    max_reuse: Option<u32>,
    source: Option<SocketAddr>,
    user_timeout: Option<Duration>,
    send_proxy: SendProxy,
    init_addr: Vec<InitAddr>,
    /// Not inherited.
    id: Option<u32>,
}

/// One way to a server's first address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InitAddr {
    /// From a state file, of which there is none.
    Last,
    /// Ask the resolver.
    Libc,
    /// Start in maintenance.
    None,
    Ip(IpAddr),
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
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
            send_proxy: SendProxy::NONE,
            init_addr: vec![InitAddr::Last, InitAddr::Libc],
            id: None,
        }
    }
}

impl Builder<'_> {
    /// `default-server <settings>`.
    pub(super) fn default_server(&mut self, draft: &mut Draft, statement: &Statement) {
        let base = draft.default_server.clone();
        if let Some(mut settings) = self.server_settings(base, statement, 1) {
            if settings.id.take().is_some() {
                let message = "'id' is not allowed on a 'default-server' line";
                self.diagnostics.alert(statement.span(), message);
            }
            draft.default_server = settings;
        }
    }

    /// `server <name> <address>[:<port>] <settings>`.
    pub(super) fn server(&mut self, draft: &mut Draft, statement: &Statement) {
        let mut args = Args::new(statement, 1, "server", &mut self.diagnostics);
        let Some(name) = args.need("<name> and <addr>[:<port>] as arguments") else { return };
        if !is_name(name.as_str()) {
            let message = format!("'{}' cannot be the name of a server", name.as_str());
            args.alert(
                name.span,
                message,
                "names are made of letters, digits, '-', '_', '.' and ':'",
            );
            return;
        }
        let Some(word) = args.need("<name> and <addr>[:<port>] as arguments") else { return };
        let base = draft.default_server.clone();
        let settings = self.server_settings(base, statement, 3);
        let endpoint = self.server_address(word);
        let (Some(settings), Some(endpoint)) = (settings, endpoint) else { return };
        let Some(addresses) = self.server_addresses(word, &endpoint, &settings) else { return };
        let address = addresses.first().cloned();
        draft.servers.push(server(name.as_str(), name.span, address, endpoint.port, &settings));
    }

    /// `server-template <prefix> <count or range> <fqdn>[:<port>] <settings>`: one server for each
    /// number; each gets an address of the name of its own while there are some, the others start
    /// in maintenance.
    pub(super) fn server_template(&mut self, draft: &mut Draft, statement: &Statement) {
        const EXPECTED: &str = "<prefix> <nb | range> <addr>[:<port>] as arguments";
        /// Servers of one line.
        const COUNT_MAX: u32 = 65_536;
        let mut args = Args::new(statement, 1, "server-template", &mut self.diagnostics);
        let Some(prefix) = args.need(EXPECTED) else { return };
        let Some(range) = args.need(EXPECTED) else { return };
        let Some(word) = args.need(EXPECTED) else { return };
        let (first, last) = match range.as_str().split_once('-') {
            Some((first, last)) => (first.parse::<u32>().ok(), last.parse::<u32>().ok()),
            None => (Some(1), range.as_str().parse::<u32>().ok()),
        };
        let numbers = match (first, last) {
            (Some(first), Some(last)) if first <= last && last - first < COUNT_MAX && last > 0 => {
                first..=last
            }
            _ => {
                let message = format!("'server-template' : invalid range '{}'", range.as_str());
                args.alert(range.span, message, "write a count such as 5, or a range such as 1-5");
                return;
            }
        };
        if !is_name(prefix.as_str()) {
            let message = format!("'{}' cannot begin the name of a server", prefix.as_str());
            args.alert(prefix.span, message, "");
            return;
        }
        let base = draft.default_server.clone();
        let settings = self.server_settings(base, statement, 4);
        let endpoint = self.server_address(word);
        let (Some(mut settings), Some(endpoint)) = (settings, endpoint) else { return };
        let Some(addresses) = self.server_addresses(word, &endpoint, &settings) else { return };
        let by_name = matches!(endpoint.host, HostPart::Name(_));
        for (index, number) in numbers.enumerate() {
            let address = if by_name { addresses.get(index) } else { addresses.first() };
            let name = format!("{}{number}", prefix.as_str());
            let made = server(&name, prefix.span, address.cloned(), endpoint.port, &settings);
            draft.servers.push(made);
            // The id is the first server's.
            settings.id = None;
        }
    }

    fn server_address(&mut self, word: &Word) -> Option<Endpoint> {
        let text = word.as_str();
        let complain = |message: String| -> Result<Endpoint, (String, &str)> { Err((message, "")) };
        let checked = match address::parse(text, &self.names.env) {
            Err(message) => complain(message),
            Ok(e) if e.datagram => {
                complain(format!("dgram-type address not acceptable in '{text}'"))
            }
            Ok(Endpoint { port: PortPart::Range(first, last), .. }) if first != last => {
                complain(format!("port range not permitted here in '{text}'"))
            }
            Ok(Endpoint { host: HostPart::Fd(_), .. }) => {
                complain(format!("a descriptor cannot be connected to (in '{text}')"))
            }
            Ok(e) if matches!(e.host, HostPart::Any) || is_unspecified(&e.host) => Err((
                format!(
                    "connecting to the address that the client asked for is not supported yet \
                     (in '{text}')"
                ),
                "name the server's address",
            )),
            Ok(endpoint) => return Some(endpoint),
        };
        if let Err((message, help)) = checked {
            let found = self.diagnostics.alert(word.span, format!("'server' : {message}"));
            if !help.is_empty() {
                found.help.push(help.into());
            }
        }
        None
    }

    /// The addresses that an endpoint and `init-addr` give; none if it starts in maintenance, or
    /// nothing at all after a complaint.
    fn server_addresses(
        &mut self,
        word: &Word,
        endpoint: &Endpoint,
        settings: &ServerSettings,
    ) -> Option<Vec<Address>> {
        let port = match endpoint.port {
            PortPart::Range(port, _) => port,
            _ => 0,
        };
        let inet = |ip: IpAddr| Address::Inet(SocketAddr::new(ip, port));
        let name = match &endpoint.host {
            HostPart::Unix(path) => return Some(vec![Address::Unix(path.clone())]),
            HostPart::Abstract(name) => return Some(vec![Address::Abstract(name.clone())]),
            HostPart::Ip(ip) => return Some(vec![inet(*ip)]),
            HostPart::Name(name) => name,
            HostPart::Any | HostPart::Fd(_) => return None,
        };
        let mut failure = None;
        for method in &settings.init_addr {
            let (instead, what) = match method {
                InitAddr::Last => continue,
                InitAddr::Libc => match address::resolve(name, endpoint.family, self.host) {
                    Ok(found) => return Some(found.into_iter().map(inet).collect()),
                    Err(reason) => {
                        failure = Some(reason);
                        continue;
                    }
                },
                InitAddr::None => (Vec::new(), "disabling server"),
                InitAddr::Ip(ip) => (vec![inet(*ip)], "falling back to configured address"),
            };
            if let Some(reason) = failure {
                let message = format!("could not resolve address '{name}': {reason}, {what}");
                self.diagnostics.warning(word.span, message);
            }
            return Some(instead);
        }
        let failure = failure.unwrap_or_else(|| "no method of 'init-addr' looks it up".into());
        let message = format!("could not resolve address '{name}': {failure}");
        if self.cli.ignore_resolution {
            self.diagnostics.warning(word.span, format!("{message}, disabling server"));
            return Some(Vec::new());
        }
        let found = self.diagnostics.alert(word.span, message);
        found
            .help
            .push("'init-addr last,libc,none' lets the server start in maintenance instead".into());
        None
    }

    fn server_settings(
        &mut self,
        mut settings: ServerSettings,
        statement: &Statement,
        from: usize,
    ) -> Option<ServerSettings> {
        const COUNT_MAX: u32 = i32::MAX as u32;
        let mut at = from;
        let mut sound = true;
        while let Some(word) = statement.words.get(at) {
            let Some(keyword) = keywords::find(Context::Server, &[word.as_str()]) else {
                self.unknown(Context::Server, statement, at);
                return None;
            };
            let first = at + 1;
            at = first + usize::from(keyword.args);
            if statement.words.len() < at {
                let message = format!("'{}' on a 'server' line expects a value", keyword.name);
                self.diagnostics.alert(statement.place(first), message);
                return None;
            }
            if !self.usable(Context::Server, keyword, word.span) {
                continue;
            }
            let mut args = Args::new(statement, first, keyword.name, &mut self.diagnostics);
            let mut number = |target: &mut u32, max: u32| match args.number(0..=max) {
                Some(value) => *target = value,
                None => sound = false,
            };
            match keyword.name {
                "weight" => number(&mut settings.weight, 256),
                "maxconn" => number(&mut settings.maxconn, COUNT_MAX),
                "maxqueue" => number(&mut settings.maxqueue, COUNT_MAX),
                "backup" => settings.backup = true,
                "no-backup" => settings.backup = false,
                "disabled" => settings.disabled = true,
                "enabled" => settings.disabled = false,
                "id" => settings.id = args.number(1..=COUNT_MAX),
                "pool-max-conn" => settings.pool_max = limit(&mut args),
                "max-reuse" => settings.max_reuse = limit(&mut args),
                "pool-purge-delay" => {
                    settings.pool_purge_delay =
                        args.time(Unit::Millis).unwrap_or(settings.pool_purge_delay);
                }
                "tcp-ut" => settings.user_timeout = args.time(Unit::Millis),
                "init-addr" => {
                    if let Some(methods) = init_addr(&mut args) {
                        settings.init_addr = methods;
                    }
                }
                "source" => {
                    // `usesrc` and `interface` behind it are refused.
                    let found = source(&mut args, &self.names.env);
                    at = args.position();
                    match found {
                        Ok(source) => settings.source = source,
                        Err(()) => return None,
                    }
                }
                "proto" => {
                    let protocol = args.next().map_or("", Word::as_str);
                    if !matches!(protocol, "h1" | "none") {
                        let message = format!("'proto {protocol}' is not supported yet");
                        args.alert(
                            statement.place(first),
                            message,
                            "HTTP/1 is spoken without being named",
                        );
                    }
                }
                "proxy-v2-options" => match proxy_options(&mut args) {
                    Some(options) => settings.send_proxy.set(options),
                    None => sound = false,
                },
                name if sent_header(name.trim_start_matches("no-")).is_some() => {
                    let asked = sent_header(name.trim_start_matches("no-")).unwrap_or_default();
                    if name.starts_with("no-") {
                        settings.send_proxy.clear(asked);
                    } else {
                        settings.send_proxy.set(asked);
                    }
                }
                // What they would switch off is off.
                name if name.starts_with("no-") => {}
                name => debug_assert!(false, "'{name}' is said to work and is not compiled"),
            }
        }
        sound.then_some(settings)
    }
}

fn server(
    name: &str,
    span: Span,
    address: Option<Address>,
    port: PortPart,
    settings: &ServerSettings,
) -> ServerDraft {
    let inet = !matches!(address, Some(Address::Unix(_) | Address::Abstract(_)));
    let port_offset = match port {
        PortPart::Offset(offset) if inet => Some(offset),
        PortPart::None if inet => Some(0),
        _ => None,
    };
    let server = Server {
        name: name.into(),
        backend: 0,
        id: 0,
        address,
        port_offset,
        weight: settings.weight,
        backup: settings.backup,
        disabled: settings.disabled,
        maxconn: settings.maxconn,
        maxqueue: settings.maxqueue,
        pool_max: settings.pool_max,
        pool_purge_delay: settings.pool_purge_delay,
        max_reuse: settings.max_reuse,
        source: settings.source,
        user_timeout: settings.user_timeout,
        send_proxy: settings.send_proxy,
    };
    ServerDraft { server, id: settings.id, span }
}

/// A number, or -1 for no limit.
fn limit(args: &mut Args<'_, '_>) -> Option<u32> {
    if args.takes("-1") { None } else { args.number(0..=i32::MAX as u32) }
}

/// What `send-proxy` and its variants set, and with `no-` in front clear.
fn sent_header(keyword: &str) -> Option<SendProxy> {
    Some(match keyword {
        "send-proxy" => SendProxy::V1,
        "send-proxy-v2" => SendProxy::V2,
        "send-proxy-v2-ssl" => SendProxy::V2.with(SendProxy::SSL),
        "send-proxy-v2-ssl-cn" => SendProxy::V2.with(SendProxy::SSL).with(SendProxy::CERT_CN),
        _ => return None,
    })
}

fn proxy_options(args: &mut Args<'_, '_>) -> Option<SendProxy> {
    let word = args.need("options, such as 'crc32c,authority'")?;
    let mut options = SendProxy::NONE;
    for option in word.as_str().split(',') {
        options.set(match option {
            "ssl" => SendProxy::SSL,
            "cert-cn" => SendProxy::SSL.with(SendProxy::CERT_CN),
            "ssl-cipher" | "cert-sig" | "cert-key" => SendProxy::SSL.with(SendProxy::SSL_MORE),
            "authority" => SendProxy::AUTHORITY,
            "crc32c" => SendProxy::CRC32C,
            "unique-id" => SendProxy::UNIQUE_ID,
            other => {
                let message = format!("'proxy-v2-options' : unknown option '{other}'");
                let help = "known are: ssl, cert-cn, ssl-cipher, cert-sig, cert-key, authority, \
                            crc32c, unique-id";
                args.alert(word.span, message, help);
                return None;
            }
        });
    }
    Some(options)
}

fn init_addr(args: &mut Args<'_, '_>) -> Option<Vec<InitAddr>> {
    let word = args.need("methods, such as 'last,libc,none'")?;
    let mut methods = Vec::new();
    for method in word.as_str().split(',') {
        methods.push(match method {
            "last" => InitAddr::Last,
            "libc" => InitAddr::Libc,
            "none" => InitAddr::None,
            other => match other.parse() {
                Ok(ip) => InitAddr::Ip(ip),
                Err(_) => {
                    let message = format!("unknown init-addr method '{other}'");
                    args.alert(word.span, message, "known are: last, libc, none or an IP address");
                    return None;
                }
            },
        });
    }
    Some(methods)
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
}

fn is_unspecified(host: &HostPart) -> bool {
    matches!(host, HostPart::Ip(ip) if ip.is_unspecified())
}

/// Gives servers their ids, as [`super::bind::assign_ids`] does listeners.
pub(super) fn assign_ids(servers: &mut [ServerDraft], mut clash: impl FnMut(u32, Span, Span)) {
    let mut used = std::collections::BTreeMap::new();
    for draft in servers.iter() {
        if let Some(id) = draft.id
            && let Some(first) = used.insert(id, draft.span)
        {
            clash(id, first, draft.span);
        }
    }
    let mut next = 1;
    for draft in servers {
        draft.server.id = draft.id.unwrap_or_else(|| {
            while used.contains_key(&next) {
                next += 1;
            }
            next += 1;
            next - 1
        });
    }
}
