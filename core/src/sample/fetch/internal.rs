//! Constants, variables, and what the process knows of itself and its proxies.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{Args, Avail, Kind, Make, Mistake, Names, Sample, Scene, Spec, Value, row};
use crate::proxy::shared::{Gauge, LimitId, Rate};
use crate::proxy::spec::{Options, ProxyId, Role, Server, ServerId};
use crate::sample::names::{NameRef, Named};
use crate::sample::vars::VarId;

/// A compiled fetch of this family.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// A value that has no bytes.
    Plain(Value<'static>),
    /// None: `env` of what is not set.
    Absent,
    /// Text: `str`, `env`, `hostname`.
    Str(Box<[u8]>),
    /// `bin`.
    Bin(Box<[u8]>),
    /// `meth`.
    Method(Box<[u8]>),
    /// `var`, and what stands for one that has no value.
    Var(VarId, Option<Box<[u8]>>),
    /// `rand`: below a number; all 32 bits without one.
    Rand(Option<u32>),
    /// `uuid`.
    Uuid,
    /// `date`, so many units later.
    Date(i64, Unit),
    /// `date_us`: the microseconds of the second.
    Microseconds,
    /// `thread`.
    Thread,
    /// `stopping`.
    Stopping,
    /// `wait_end`.
    WaitEnd,
    /// `last_rule_file`.
    LastRuleFile,
    /// `last_rule_line`.
    LastRuleLine,
    /// `prio_class`.
    Class,
    /// `prio_offset`.
    Offset,
    /// What is counted of a proxy.
    Proxy(OfProxy, NameRef),
    /// What is known of a server.
    Server(OfServer, NameRef),
}

/// The unit of a date.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// `s`.
    Seconds,
    /// `ms`.
    Milliseconds,
    /// `us`.
    Microseconds,
}

/// What is counted of a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfProxy {
    /// `avg_queue`: queued, for each usable server.
    AverageQueue,
    /// `be_conn`.
    BackendConnections,
    /// `be_conn_free`: what the servers' limits leave; -1 if one has none.
    BackendFree,
    /// `connslots`: the same with the places in their queues.
    Slots,
    /// `fe_conn`.
    FrontendConnections,
    /// `nbsrv`: usable servers.
    Usable,
    /// `queue`.
    Queue,
    /// `be_sess_rate`.
    SessionRate,
    /// `fe_req_rate`.
    RequestRate,
    /// `fe_sess_rate`.
    ClientRate,
}

/// What is known of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfServer {
    /// `srv_conn`.
    Connections,
    /// `srv_conn_free`: -1 without a limit.
    Free,
    /// `srv_is_up`.
    IsUp,
    /// `srv_iweight`: the configured weight.
    InitialWeight,
    /// `srv_queue`.
    Queue,
    /// `srv_sess_rate`.
    SessionRate,
    /// `srv_uweight`, `srv_weight`: the weight now.
    Weight,
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        let value = match self {
            Fetch::Plain(value) => *value,
            Fetch::Absent => return Sample::NONE,
            Fetch::Str(text) => Value::Str(text),
            Fetch::Bin(bytes) => Value::Bin(bytes),
            Fetch::Method(name) => Value::Method(name),
            Fetch::Var(id, absent) => {
                return scene.var(*id).or(absent.as_deref().map(Value::Str)).into();
            }
            Fetch::Rand(below) => {
                let mut rng = scene.desk.rng.borrow_mut();
                let n = match below {
                    Some(below) => rng.below(*below),
                    None => (rng.draw() >> 32) as u32,
                };
                Value::Int(n.into())
            }
            Fetch::Uuid => Value::Str(uuid(scene)),
            Fetch::Date(offset, unit) => {
                let nanos = scene.now.wall.as_nanos();
                let divisor = match unit {
                    Unit::Seconds => 1_000_000_000,
                    Unit::Milliseconds => 1_000_000,
                    Unit::Microseconds => 1_000,
                };
                // It is another one at the next look.
                let now = ((nanos / divisor) as i64).wrapping_add(*offset);
                return Sample { value: Some(Value::Int(now)), may_change: true };
            }
            Fetch::Microseconds => {
                let n = scene.now.wall.as_nanos() % 1_000_000_000 / 1_000;
                return Sample { value: Some(Value::Int(n as i64)), may_change: true };
            }
            Fetch::Thread => Value::Int(scene.engine.into()),
            Fetch::Stopping => Value::Bool(scene.stopping),
            Fetch::WaitEnd if scene.last_look => Value::Bool(true),
            Fetch::WaitEnd => return Sample::NOT_YET,
            Fetch::LastRuleFile => {
                return scene.last_rule.map(|(file, _)| Value::Str(file.as_bytes())).into();
            }
            Fetch::LastRuleLine => {
                return scene.last_rule.map(|(_, line)| Value::Int(line.into())).into();
            }
            Fetch::Class => Value::Int(scene.priority.0.into()),
            Fetch::Offset => Value::Int(scene.priority.1.into()),
            Fetch::Proxy(what, name) => {
                return scene
                    .site
                    .refs
                    .proxy(*name)
                    .map(|id| Value::Int(what.of(id, scene)))
                    .into();
            }
            Fetch::Server(what, name) => {
                return scene.site.refs.server(*name).map(|id| what.of(id, scene)).into();
            }
        };
        Sample::is(value)
    }
}

impl OfProxy {
    fn of(self, id: ProxyId, scene: &Scene<'_>) -> i64 {
        let queued = || i64::from(scene.shared.queue_lengths(id, None).1);
        match self {
            OfProxy::AverageQueue => match usable(id, scene) {
                0 => queued() * 2,
                servers => (queued() + servers - 1) / servers,
            },
            OfProxy::BackendConnections => scene.gauge(Gauge::Backend(id)).into(),
            OfProxy::BackendFree => chosen_among(id, scene)
                .try_fold(0, |sum, (id, server)| {
                    (server.maxconn > 0).then(|| sum + free(id, server, scene))
                })
                .unwrap_or(-1),
            OfProxy::Slots => servers(id, scene)
                .filter(|(_, server)| is_up(server))
                .try_fold(0, |sum, (id, server)| {
                    let queued = i64::from(scene.shared.queue_lengths(server.backend, Some(id)).0);
                    (server.maxconn > 0 && server.maxqueue > 0).then(|| {
                        let queue = (i64::from(server.maxqueue) - queued).max(0);
                        sum + free(id, server, scene) + queue
                    })
                })
                .unwrap_or(-1),
            OfProxy::FrontendConnections => scene.shared.used(LimitId::Frontend(id)).into(),
            OfProxy::Usable => usable(id, scene),
            OfProxy::Queue => queued(),
            OfProxy::SessionRate => rate(Rate::Received(id), scene),
            OfProxy::RequestRate => rate(Rate::Requests(id), scene),
            OfProxy::ClientRate => rate(Rate::Sessions(id), scene),
        }
    }
}

impl OfServer {
    fn of(self, id: ServerId, scene: &Scene<'_>) -> Value<'static> {
        let server = scene.site.server(id);
        let number = |n: u32| Value::Int(n.into());
        match self {
            OfServer::Connections => number(scene.gauge(Gauge::Served(id))),
            OfServer::Free if server.maxconn == 0 => Value::Int(-1),
            OfServer::Free => Value::Int(free(id, server, scene)),
            OfServer::IsUp => Value::Bool(is_up(server)),
            OfServer::InitialWeight | OfServer::Weight => number(server.weight),
            OfServer::SessionRate => Value::Int(rate(Rate::Served(id), scene)),
            OfServer::Queue => number(scene.shared.queue_lengths(server.backend, Some(id)).0),
        }
    }
}

fn rate(rate: Rate, scene: &Scene<'_>) -> i64 {
    scene.shared.rate(rate, scene.now.mono).into()
}

/// A backend's servers.
fn servers<'a>(id: ProxyId, scene: &Scene<'a>) -> impl Iterator<Item = (ServerId, &'a Server)> {
    let site = scene.site;
    site.proxy(id).servers.clone().map(|id| (id, site.server(id)))
}

fn is_up(server: &Server) -> bool {
    !server.disabled && server.address.is_some()
}

/// The servers of a backend that can be chosen: of the backups, which stand in when there are no
/// others, only the first, unless all are used.
fn chosen_among<'a>(
    id: ProxyId,
    scene: &Scene<'a>,
) -> impl Iterator<Item = (ServerId, &'a Server)> {
    let proxy = scene.site.proxy(id);
    let fit = move |server: &Server| !proxy.disabled && server.weight > 0 && is_up(server);
    let backup = !servers(id, scene).any(|(_, server)| !server.backup && fit(server));
    let most = match backup && !proxy.options.has(Options::ALL_BACKUPS) {
        true => 1,
        false => usize::MAX,
    };
    servers(id, scene).filter(move |(_, server)| server.backup == backup && fit(server)).take(most)
}

pub(in crate::sample) fn usable(id: ProxyId, scene: &Scene<'_>) -> i64 {
    chosen_among(id, scene).count() as i64
}

/// What a server's limit leaves.
fn free(id: ServerId, server: &Server, scene: &Scene<'_>) -> i64 {
    let served = i64::from(scene.gauge(Gauge::Served(id)));
    (i64::from(server.maxconn) - served).max(0)
}

/// A random UUID of version 4.
fn uuid<'a>(scene: &Scene<'a>) -> &'a [u8] {
    let mut rng = scene.desk.rng.borrow_mut();
    let bits = u128::from(rng.draw()) << 64 | u128::from(rng.draw());
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let mut text = [b'-'; 36];
    let mut nibble = 0;
    for (at, byte) in text.iter_mut().enumerate() {
        if !matches!(at, 8 | 13 | 18 | 23) {
            *byte = b"0123456789abcdef"[(bits >> (124 - 4 * nibble)) as usize & 15];
            nibble += 1;
        }
    }
    scene.arena().alloc_slice_copy(&text)
}

fn made(fetch: Fetch) -> Result<super::Fetch, Mistake> {
    Ok(super::Fetch::Internal(fetch))
}

fn unit(args: &Args<'_, '_>, index: usize) -> Result<Unit, Mistake> {
    match args.get(index) {
        None | Some("s") => Ok(Unit::Seconds),
        Some("ms") => Ok(Unit::Milliseconds),
        Some("us") => Ok(Unit::Microseconds),
        Some(other) => {
            let message = format!("'{}' expects 's', 'ms' or 'us' (got '{other}')", args.name());
            Err(args.blame(index, message))
        }
    }
}

fn boolean(args: &Args<'_, '_>) -> Result<bool, Mistake> {
    let text = args.text(0);
    if text.eq_ignore_ascii_case("true") || text == "1" {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") || text == "0" {
        Ok(false)
    } else {
        let message = format!("'bool' expects 'true', 'false', '1' or '0' (got '{text}')");
        Err(args.blame(0, message))
    }
}

fn hexadecimal(args: &Args<'_, '_>) -> Result<Box<[u8]>, Mistake> {
    let text = args.text(0);
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect::<Option<_>>().ok_or_else(|| {
        let message = format!("'bin' expects an even number of hexadecimal digits (got '{text}')");
        args.blame(0, message)
    })
}

fn literal<T: core::str::FromStr>(args: &Args<'_, '_>, what: &str) -> Result<T, Mistake> {
    let text = args.text(0);
    let wrong = |_| args.blame(0, format!("'{}' expects {what} (got '{text}')", args.name()));
    text.parse().map_err(wrong)
}

fn of_proxy(
    args: &Args<'_, '_>,
    names: &mut Names<'_>,
    what: OfProxy,
) -> Result<super::Fetch, Mistake> {
    let role = match what {
        OfProxy::FrontendConnections | OfProxy::RequestRate | OfProxy::ClientRate => Role::FRONTEND,
        _ => Role::BACKEND,
    };
    names.wants.rates |=
        matches!(what, OfProxy::SessionRate | OfProxy::RequestRate | OfProxy::ClientRate);
    let name = match args.get(0) {
        Some(name) => name.to_owned(),
        None if names.proxy.is_empty() => {
            let message = format!("'{}' needs the name of a proxy here", args.name());
            return Err(args.wrong(message));
        }
        None if !names.role.has(role) => {
            let message = format!(
                "'{}' needs the name of a proxy, since '{}' is no {}",
                args.name(),
                names.proxy,
                if role == Role::FRONTEND { "frontend" } else { "backend" }
            );
            return Err(args.wrong(message));
        }
        None => names.proxy.clone(),
    };
    made(Fetch::Proxy(what, names.refer(Named::Proxy(name))))
}

fn of_server(
    args: &Args<'_, '_>,
    names: &mut Names<'_>,
    what: OfServer,
) -> Result<super::Fetch, Mistake> {
    names.wants.rates |= what == OfServer::SessionRate;
    made(Fetch::Server(what, names.server(args.text(0))))
}

const fn plain(name: &'static str, kind: Kind, avail: Avail, make: Make) -> Spec {
    row(name, kind, avail, (0, 0), make)
}

macro_rules! proxy_row {
    ($name:literal, $what:ident) => {
        row($name, Kind::Int, Avail::Running, (0, 1), |args, names| {
            of_proxy(args, names, OfProxy::$what)
        })
    };
}

macro_rules! server_row {
    ($name:literal, $kind:ident, $what:ident) => {
        row($name, Kind::$kind, Avail::Running, (1, 1), |args, names| {
            of_server(args, names, OfServer::$what)
        })
    };
}

/// What HAProxy counts while its profiler runs, which we have not.
macro_rules! zero_row {
    ($name:literal) => {
        plain($name, Kind::Int, Avail::Running, |_, _| made(Fetch::Plain(Value::Int(0))))
    };
}

pub(super) const TABLE: &[Spec] = &[
    plain("always_false", Kind::Bool, Avail::Always, |_, _| made(Fetch::Plain(Value::Bool(false)))),
    plain("always_true", Kind::Bool, Avail::Always, |_, _| made(Fetch::Plain(Value::Bool(true)))),
    row("bin", Kind::Bin, Avail::Always, (1, 1), |args, _| made(Fetch::Bin(hexadecimal(args)?))),
    row("bool", Kind::Bool, Avail::Always, (1, 1), |args, _| {
        made(Fetch::Plain(Value::Bool(boolean(args)?)))
    }),
    row("int", Kind::Int, Avail::Always, (1, 1), |args, _| {
        made(Fetch::Plain(Value::Int(literal(args, "a number")?)))
    }),
    row("ipv4", Kind::Ipv4, Avail::Always, (1, 1), |args, _| {
        let ip: Ipv4Addr = literal(args, "an IPv4 address")?;
        made(Fetch::Plain(Value::Ip(ip.into())))
    }),
    row("ipv6", Kind::Ipv6, Avail::Always, (1, 1), |args, _| {
        let ip: Ipv6Addr = literal(args, "an IPv6 address")?;
        made(Fetch::Plain(Value::Ip(ip.into())))
    }),
    row("meth", Kind::Method, Avail::Always, (1, 1), |args, _| {
        made(Fetch::Method(args.text(0).as_bytes().into()))
    }),
    row("str", Kind::Str, Avail::Always, (0, 1), |args, _| {
        made(Fetch::Str(args.text(0).as_bytes().into()))
    }),
    row("env", Kind::Str, Avail::Always, (0, 1), |args, names| match names.env.var(args.text(0)) {
        Some(value) => made(Fetch::Str(value.into_bytes().into())),
        None => made(Fetch::Absent),
    }),
    row("var", Kind::Any, Avail::Always, (1, 2), |args, names| {
        let absent = (args.len() > 1).then(|| args.text(1).as_bytes().into());
        made(Fetch::Var(names.var_arg(args, 0)?, absent))
    }),
    row("rand", Kind::Int, Avail::Always, (0, 1), |args, _| {
        let below = args.int_in(0, 0..=i64::from(u32::MAX), 0)? as u32;
        made(Fetch::Rand((below > 0).then_some(below)))
    }),
    row("uuid", Kind::Str, Avail::Always, (0, 1), |args, _| match args.int(0)? {
        None | Some(4) => made(Fetch::Uuid),
        Some(other) => {
            let message = format!("'uuid' knows version 4 only (got '{other}')");
            Err(args.blame(0, message))
        }
    }),
    row("date", Kind::Int, Avail::Always, (0, 2), |args, _| {
        made(Fetch::Date(args.int(0)?.unwrap_or(0), unit(args, 1)?))
    }),
    plain("date_us", Kind::Int, Avail::Always, |_, _| made(Fetch::Microseconds)),
    plain("hostname", Kind::Str, Avail::Always, |_, names| {
        made(Fetch::Str(names.host.hostname().into_bytes().into()))
    }),
    plain("nbproc", Kind::Int, Avail::Always, |_, _| made(Fetch::Plain(Value::Int(1)))),
    plain("proc", Kind::Int, Avail::Always, |_, _| made(Fetch::Plain(Value::Int(1)))),
    plain("thread", Kind::Int, Avail::Always, |_, _| made(Fetch::Thread)),
    plain("stopping", Kind::Bool, Avail::Running, |_, _| made(Fetch::Stopping)),
    plain("wait_end", Kind::Bool, Avail::Running, |_, _| made(Fetch::WaitEnd)),
    plain("last_rule_file", Kind::Str, Avail::Running, |_, _| made(Fetch::LastRuleFile)),
    plain("last_rule_line", Kind::Int, Avail::Running, |_, _| made(Fetch::LastRuleLine)),
    plain("prio_class", Kind::Int, Avail::Running, |_, _| made(Fetch::Class)),
    plain("prio_offset", Kind::Int, Avail::Running, |_, _| made(Fetch::Offset)),
    zero_row!("cpu_calls"),
    zero_row!("cpu_ns_avg"),
    zero_row!("cpu_ns_tot"),
    zero_row!("lat_ns_avg"),
    zero_row!("lat_ns_tot"),
    proxy_row!("avg_queue", AverageQueue),
    proxy_row!("be_conn", BackendConnections),
    proxy_row!("be_conn_free", BackendFree),
    proxy_row!("be_sess_rate", SessionRate),
    proxy_row!("connslots", Slots),
    proxy_row!("fe_conn", FrontendConnections),
    proxy_row!("fe_req_rate", RequestRate),
    proxy_row!("fe_sess_rate", ClientRate),
    proxy_row!("nbsrv", Usable),
    proxy_row!("queue", Queue),
    server_row!("srv_conn", Int, Connections),
    server_row!("srv_conn_free", Int, Free),
    server_row!("srv_is_up", Bool, IsUp),
    server_row!("srv_iweight", Int, InitialWeight),
    server_row!("srv_queue", Int, Queue),
    server_row!("srv_sess_rate", Int, SessionRate),
    server_row!("srv_uweight", Int, Weight),
    server_row!("srv_weight", Int, Weight),
];
