//! `bind` lines, and what `unix-bind` adds to their unix sockets.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::keywords::{self, Context};
use crate::config::units::Unit;
use crate::config::{Span, Statement, Word};
use crate::poller::Address;
use crate::proxy::spec::{BindOptions, Listener};

use super::Builder;
use super::address::{self, Endpoint, Family, HostPart, PortPart};
use super::args::{self, Args};
use super::draft::{BindDraft, Draft};

/// `unix-bind`: a prefix of paths, and the owner and mode of sockets whose line says nothing.
#[derive(Clone, Default)]
pub(super) struct UnixBind {
    prefix: String,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
}

/// What the words behind the addresses say.
#[derive(Default)]
struct Settings {
    options: BindOptions,
    name: Option<String>,
    id: Option<u32>,
    maxconn: u32,
    backlog: u32,
    accept_proxy: bool,
}

impl Builder<'_> {
    pub(super) fn bind(&mut self, draft: &mut Draft, statement: &Statement) {
        draft.has_bind = true;
        let mut args = Args::new(statement, 1, "bind", &mut self.diagnostics);
        let Some(word) = args.need("an address, such as ':80', '192.0.2.1:80' or '/run/x.sock'")
        else {
            return;
        };
        let settings = self.bind_settings(statement);
        let mut addresses = Vec::new();
        for text in word.as_str().split(',') {
            match self.bind_addresses(text) {
                Ok(found) => addresses.extend(found),
                Err(message) => {
                    self.diagnostics.alert(word.span, format!("'bind' : {message}"));
                }
            }
        }
        let source = &self.sources[word.span.file as usize];
        let place = format!("{}:{}", source.name, word.span.line);
        for (index, address) in addresses.into_iter().enumerate() {
            let mut options = settings.options.clone();
            if let Address::Unix(_) = address {
                options.mode = options.mode.or(self.unix_bind.mode);
                options.uid = options.uid.or(self.unix_bind.uid);
                options.gid = options.gid.or(self.unix_bind.gid);
            }
            // Only sockets that we bind ourselves can exist once per thread.
            options.shared |= !matches!(address, Address::Inet(_));
            let listener = Listener {
                address,
                frontend: 0,
                name: settings.name.as_deref().map(Into::into),
                id: 0,
                maxconn: settings.maxconn,
                backlog: settings.backlog,
                accept_proxy: settings.accept_proxy,
                options,
                place: place.clone(),
            };
            let id = if index == 0 { settings.id } else { None };
            draft.binds.push(BindDraft { listener, id, span: word.span });
        }
    }

    /// Every address that one of the comma-separated parts means.
    fn bind_addresses(&self, text: &str) -> Result<Vec<Address>, String> {
        let Endpoint { host, port, family, datagram } = address::parse(text, &self.names.env)?;
        if datagram {
            return Err(format!("dgram-type address not acceptable in '{text}'"));
        }
        let ip = match host {
            HostPart::Unix(path) => {
                return Ok(vec![Address::Unix(format!("{}{path}", self.unix_bind.prefix).into())]);
            }
            HostPart::Abstract(name) => return Ok(vec![Address::Abstract(name)]),
            HostPart::Fd(fd) => return Ok(vec![Address::Fd(fd)]),
            HostPart::Any if family == Family::V6 => IpAddr::from(Ipv6Addr::UNSPECIFIED),
            HostPart::Any => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            HostPart::Ip(ip) => ip,
            HostPart::Name(name) => address::resolve(&name, family, self.host)
                .map_err(|error| format!("invalid address: '{name}' in '{text}' ({error})"))?[0],
        };
        match port {
            PortPart::None => Err(format!("missing port specification in '{text}'")),
            PortPart::Offset(_) => Err(format!("port offset not permitted here in '{text}'")),
            PortPart::Range(0, _) => Err(format!("invalid port '0' in '{text}'")),
            PortPart::Range(first, last) => {
                Ok((first..=last).map(|port| Address::Inet(SocketAddr::new(ip, port))).collect())
            }
        }
    }

    fn bind_settings(&mut self, statement: &Statement) -> Settings {
        const COUNT_MAX: u32 = i32::MAX as u32;
        let mut settings = Settings::default();
        let mut at = 2;
        while let Some(word) = statement.words.get(at) {
            let Some(keyword) = keywords::find(Context::Bind, &[word.as_str()]) else {
                self.unknown(Context::Bind, statement, at);
                return settings;
            };
            let first = at + 1;
            at = first + usize::from(keyword.args);
            if statement.words.len() < at {
                let message = format!("'{}' on a 'bind' line expects a value", keyword.name);
                self.diagnostics.alert(statement.place(first), message);
                return settings;
            }
            if !self.usable(Context::Bind, keyword, word.span) {
                continue;
            }
            let options = &mut settings.options;
            let mut args = Args::new(statement, first, keyword.name, &mut self.diagnostics);
            match keyword.name {
                "name" => settings.name = args.next().map(|word| word.as_str().into()),
                "id" => settings.id = args.number(1..=COUNT_MAX),
                "maxconn" => settings.maxconn = args.number(0..=COUNT_MAX).unwrap_or_default(),
                "backlog" => settings.backlog = args.number(0..=COUNT_MAX).unwrap_or_default(),
                "accept-proxy" => settings.accept_proxy = true,
                "defer-accept" => options.defer_accept = true,
                "v4v6" => options.v4v6 = true,
                "v6only" => options.v6only = true,
                "tfo" => options.tfo = true,
                "transparent" => options.transparent = true,
                "mss" => options.mss = args.number(1..=65_535),
                "tcp-ut" => options.user_timeout = args.time(Unit::Millis),
                "interface" => options.interface = args.next().map(|w| w.as_str().into()),
                "mode" | "uid" | "user" | "gid" | "group" => {
                    self.owner(statement, first - 1, &mut settings.options);
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
                name => debug_assert!(false, "'{name}' is said to work and is not compiled"),
            }
        }
        settings
    }

    /// `mode`, `uid`, `user`, `gid`, `group` at word `at`, and the value behind it.
    fn owner(&mut self, statement: &Statement, at: usize, options: &mut BindOptions) {
        let name = statement.word(at);
        let Some(value) = statement.words.get(at + 1) else {
            self.diagnostics.alert(statement.place(at + 1), format!("'{name}' expects a value"));
            return;
        };
        let ids = 0..=u32::MAX - 1;
        let mut unknown = |kind: &str| {
            let message = format!("cannot find {kind} '{}'", value.as_str());
            self.diagnostics.alert(value.span, message);
        };
        match name {
            "mode" => match u32::from_str_radix(value.as_str(), 8) {
                Ok(mode) if mode <= 0o7777 => options.mode = Some(mode),
                _ => {
                    let message =
                        format!("'mode' expects an octal number (got '{}')", value.as_str());
                    self.diagnostics.alert(value.span, message);
                }
            },
            "uid" => options.uid = args::number(value, name, ids, &mut self.diagnostics),
            "gid" => options.gid = args::number(value, name, ids, &mut self.diagnostics),
            "user" => match self.host.user(value.as_str()) {
                Some((uid, _)) => options.uid = Some(uid),
                None => unknown("user"),
            },
            _ => match self.host.group(value.as_str()) {
                Some(gid) => options.gid = Some(gid),
                None => unknown("group"),
            },
        }
    }

    /// `unix-bind [prefix <p>] [mode <m>] [user <u>] [uid <u>] [group <g>] [gid <g>]`.
    pub(super) fn unix_bind(&mut self, statement: &Statement) {
        let mut options = BindOptions::default();
        let mut at = 1;
        while let Some(word) = statement.words.get(at) {
            match word.as_str() {
                "prefix" => self.unix_bind.prefix = statement.word(at + 1).into(),
                "mode" | "user" | "uid" | "group" | "gid" => {
                    self.owner(statement, at, &mut options);
                }
                other => {
                    let message = format!(
                        "'unix-bind' only supports 'prefix', 'mode', 'user', 'uid', 'group' and \
                         'gid' (got '{other}')"
                    );
                    self.diagnostics.alert(word.span, message);
                    return;
                }
            }
            at += 2;
        }
        self.unix_bind.mode = options.mode.or(self.unix_bind.mode);
        self.unix_bind.uid = options.uid.or(self.unix_bind.uid);
        self.unix_bind.gid = options.gid.or(self.unix_bind.gid);
    }
}

/// Gives listeners their ids: those asked for, then from 1 up what is free. Complains about an id
/// that is asked for twice through `clash`, which gets both places.
pub(super) fn assign_ids(binds: &mut [BindDraft], mut clash: impl FnMut(u32, Span, Span)) {
    let mut used = std::collections::BTreeMap::new();
    for bind in binds.iter() {
        if let Some(id) = bind.id
            && let Some(first) = used.insert(id, bind.span)
        {
            clash(id, first, bind.span);
        }
    }
    let mut next = 1;
    for bind in binds {
        bind.listener.id = bind.id.unwrap_or_else(|| {
            while used.contains_key(&next) {
                next += 1;
            }
            next += 1;
            next - 1
        });
    }
}
