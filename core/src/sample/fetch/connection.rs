//! Connections and addresses, and the names of what they belong to.

use core::net::SocketAddr;

use super::{Avail, Kind, Sample, Scene, Spec, Value, row};
use crate::poller::TcpInfo;
use crate::proxy::shared::LimitId;
use crate::time::Duration;

/// A compiled fetch of this family.
#[derive(Clone, Copy, Debug)]
pub enum Fetch {
    /// An address.
    Ip(End),
    /// A port.
    Port(End),
    /// Whether an address is one of this machine's.
    IsLocal(End),
    /// A time that the kernel knows of the client's connection, in microseconds or milliseconds.
    Time(fn(&TcpInfo) -> u32, Unit),
    /// A number that the kernel knows of it.
    Count(fn(&TcpInfo) -> u32),
    /// Another fact.
    Fact(Fact),
}

/// What a time is counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// `us`.
    Micros,
    /// `ms`, rounded.
    Millis,
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// `src`.
    Src,
    /// `dst`.
    Dst,
    /// `fc_src`.
    FcSrc,
    /// `fc_dst`.
    FcDst,
    /// `bc_src`.
    BcSrc,
    /// `bc_dst`.
    BcDst,
}

/// What takes no argument and is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fact {
    /// `be_id`.
    BackendId,
    /// `be_name`.
    BackendName,
    /// `be_server_timeout`.
    BackendServerTimeout,
    /// `be_tunnel_timeout`.
    BackendTunnelTimeout,
    /// `cur_server_timeout`.
    ServerTimeout,
    /// `cur_tunnel_timeout`.
    TunnelTimeout,
    /// `dst_conn`.
    ListenerConnections,
    /// `fc_http_major`.
    ClientMajor,
    /// `bc_http_major`.
    ServerMajor,
    /// `fc_rcvd_proxy`.
    Proxied,
    /// `fc_pp_authority`.
    Authority,
    /// `fc_pp_unique_id`.
    ProxyUniqueId,
    /// `fc_err`: only a connection that got no session has one.
    ClientError,
    /// `fc_err_str`.
    ClientErrorText,
    /// `bc_err`.
    ServerError,
    /// `bc_err_str`.
    ServerErrorText,
    /// `fe_client_timeout`.
    ClientTimeout,
    /// `fe_defbe`.
    DefaultBackend,
    /// `fe_id`.
    FrontendId,
    /// `fe_name`.
    FrontendName,
    /// `so_id`.
    ListenerId,
    /// `so_name`.
    ListenerName,
    /// `srv_id`.
    ServerId,
    /// `srv_name`.
    ServerName,
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        let value = match *self {
            Fetch::Ip(end) => end.of(scene).map(|at| Value::Ip(at.ip())),
            Fetch::Port(end) => end.of(scene).map(|at| Value::Int(at.port().into())),
            Fetch::IsLocal(end) => end.of(scene).map(|at| Value::Bool(is_local(at, scene))),
            Fetch::Time(of, unit) => scene.tcp_info.map(|info| {
                let us = i64::from(of(info));
                Value::Int(match unit {
                    Unit::Micros => us,
                    Unit::Millis => (us + 500) / 1000,
                })
            }),
            Fetch::Count(of) => scene.tcp_info.map(|info| Value::Int(of(info).into())),
            Fetch::Fact(fact) => fact.of(scene),
        };
        value.into()
    }
}

impl End {
    fn of(self, scene: &Scene<'_>) -> Option<SocketAddr> {
        let ends = &scene.ends;
        match self {
            End::Src => ends.src,
            End::Dst => ends.dst,
            End::FcSrc => ends.fc_src,
            End::FcDst => ends.fc_dst,
            End::BcSrc => ends.bc_src,
            End::BcDst => ends.bc_dst,
        }
    }
}

/// Whether an address is this machine's, as far as its connections tell: loopback, and what
/// clients and servers reach us at.
fn is_local(at: SocketAddr, scene: &Scene<'_>) -> bool {
    let ip = at.ip().to_canonical();
    let ours = [scene.ends.fc_dst, scene.ends.bc_src];
    ip.is_loopback()
        || ip.is_unspecified()
        || ours.into_iter().flatten().any(|ours| ours.ip().to_canonical() == ip)
}

impl Fact {
    fn of<'a>(self, scene: &Scene<'a>) -> Option<Value<'a>> {
        let site = scene.site;
        let (frontend, backend) = (site.proxy(scene.frontend), site.proxy(scene.backend));
        let number = |n: u32| Value::Int(n.into());
        Some(match self {
            Fact::BackendId => number(backend.uuid),
            // What was no request never had a backend.
            Fact::BackendName if scene.http && scene.req.head.is_none() => return None,
            Fact::BackendName => Value::Str(backend.name.as_bytes()),
            Fact::BackendServerTimeout => milliseconds(backend.timeouts.server),
            Fact::BackendTunnelTimeout => milliseconds(backend.timeouts.tunnel),
            Fact::ServerTimeout => {
                // The backend's is taken over once there is a connection.
                let connected = backend.timeouts.server.filter(|_| scene.ends.bc_dst.is_some());
                milliseconds(scene.server_timeout.unwrap_or(connected))
            }
            // Only what a rule has set.
            Fact::TunnelTimeout => milliseconds(scene.tunnel_timeout.flatten()),
            Fact::ListenerConnections => {
                number(scene.shared.used(LimitId::Listener(scene.listener)))
            }
            Fact::ClientMajor => number(1),
            Fact::ServerMajor => {
                scene.ends.bc_dst?;
                number(1)
            }
            Fact::Proxied => Value::Bool(scene.ends.proxied),
            Fact::Authority => Value::Str(scene.pp_authority?),
            Fact::ProxyUniqueId => Value::Str(scene.pp_unique_id?),
            Fact::ClientError => number(client_error(scene).map_or(0, |(code, _)| code.into())),
            Fact::ClientErrorText => {
                Value::Str(client_error(scene).map_or("Success", |(_, text)| text).as_bytes())
            }
            Fact::ServerError => {
                scene.ends.bc_dst?;
                number(0)
            }
            Fact::ServerErrorText => {
                scene.ends.bc_dst?;
                Value::Str(b"Success")
            }
            Fact::ClientTimeout => milliseconds(frontend.timeouts.client),
            Fact::DefaultBackend => {
                let default = frontend.default_backend?;
                Value::Str(site.proxy(default).name.as_bytes())
            }
            Fact::FrontendId => number(frontend.uuid),
            Fact::FrontendName => Value::Str(frontend.name.as_bytes()),
            Fact::ListenerId => number(site.listeners.get(scene.listener as usize)?.id),
            Fact::ListenerName => {
                let listener = site.listeners.get(scene.listener as usize)?;
                Value::Str(listener.name.as_ref()?.as_bytes())
            }
            Fact::ServerId => number(site.server(scene.server?).id),
            Fact::ServerName => Value::Str(site.server(scene.server?).name.as_bytes()),
        })
    }
}

/// A timeout as a number; 0 is none.
/// Why the client got no session.
fn client_error(scene: &Scene<'_>) -> Option<(u8, &'static str)> {
    scene.record.and_then(|record| record.error)
}

fn milliseconds(timeout: Option<Duration>) -> Value<'static> {
    Value::Int(timeout.map_or(0, |timeout| timeout.as_millis() as i64))
}

macro_rules! connection_row {
    ($name:literal, $kind:ident, $avail:ident, $fetch:expr) => {
        row($name, Kind::$kind, Avail::$avail, (0, 0), |_, _| Ok(super::Fetch::Connection($fetch)))
    };
}

macro_rules! kernel_time {
    ($name:literal, $field:ident) => {
        row($name, Kind::Int, Avail::Client, (0, 1), |args, names| {
            let unit = match args.get(0) {
                None | Some("ms") => Unit::Millis,
                Some("us") => Unit::Micros,
                Some(_) => return Err(args.blame(0, "the unit is 'us' or 'ms'")),
            };
            names.wants.tcp_info = true;
            Ok(super::Fetch::Connection(Fetch::Time(|info| info.$field, unit)))
        })
    };
}

macro_rules! kernel_count {
    ($name:literal, $field:ident) => {
        row($name, Kind::Int, Avail::Client, (0, 1), |args, names| {
            if !args.is_empty() {
                let message = concat!("'", $name, "' takes no argument; this one has no effect");
                names.warnings.push((names.span, message.into()));
            }
            names.wants.tcp_info = true;
            Ok(super::Fetch::Connection(Fetch::Count(|info| info.$field)))
        })
    };
}

pub(super) const TABLE: &[Spec] = &[
    connection_row!("src", Ipv4, Client, Fetch::Ip(End::Src)),
    connection_row!("src_port", Int, Client, Fetch::Port(End::Src)),
    connection_row!("src_is_local", Bool, Client, Fetch::IsLocal(End::Src)),
    connection_row!("dst", Ipv4, Client, Fetch::Ip(End::Dst)),
    connection_row!("dst_port", Int, Client, Fetch::Port(End::Dst)),
    connection_row!("dst_is_local", Bool, Client, Fetch::IsLocal(End::Dst)),
    connection_row!("fc_src", Ipv4, Client, Fetch::Ip(End::FcSrc)),
    connection_row!("fc_src_port", Int, Client, Fetch::Port(End::FcSrc)),
    connection_row!("fc_src_is_local", Bool, Client, Fetch::IsLocal(End::FcSrc)),
    connection_row!("fc_dst", Ipv4, Client, Fetch::Ip(End::FcDst)),
    connection_row!("fc_dst_port", Int, Client, Fetch::Port(End::FcDst)),
    connection_row!("fc_dst_is_local", Bool, Client, Fetch::IsLocal(End::FcDst)),
    connection_row!("bc_src", Ipv4, Server, Fetch::Ip(End::BcSrc)),
    connection_row!("bc_src_port", Int, Server, Fetch::Port(End::BcSrc)),
    connection_row!("bc_dst", Ipv4, Server, Fetch::Ip(End::BcDst)),
    connection_row!("bc_dst_port", Int, Server, Fetch::Port(End::BcDst)),
    connection_row!("be_id", Int, Backend, Fetch::Fact(Fact::BackendId)),
    connection_row!("be_name", Str, Backend, Fetch::Fact(Fact::BackendName)),
    connection_row!("be_server_timeout", Int, Backend, Fetch::Fact(Fact::BackendServerTimeout)),
    connection_row!("be_tunnel_timeout", Int, Backend, Fetch::Fact(Fact::BackendTunnelTimeout)),
    connection_row!("cur_server_timeout", Int, Backend, Fetch::Fact(Fact::ServerTimeout)),
    connection_row!("cur_tunnel_timeout", Int, Backend, Fetch::Fact(Fact::TunnelTimeout)),
    connection_row!("dst_conn", Int, Client, Fetch::Fact(Fact::ListenerConnections)),
    connection_row!("fc_http_major", Int, Client, Fetch::Fact(Fact::ClientMajor)),
    connection_row!("bc_http_major", Int, Server, Fetch::Fact(Fact::ServerMajor)),
    connection_row!("fc_rcvd_proxy", Bool, Client, Fetch::Fact(Fact::Proxied)),
    connection_row!("fc_pp_authority", Str, Client, Fetch::Fact(Fact::Authority)),
    connection_row!("fc_pp_unique_id", Str, Client, Fetch::Fact(Fact::ProxyUniqueId)),
    connection_row!("fc_err", Int, Client, Fetch::Fact(Fact::ClientError)),
    connection_row!("fc_err_str", Str, Client, Fetch::Fact(Fact::ClientErrorText)),
    connection_row!("bc_err", Int, Server, Fetch::Fact(Fact::ServerError)),
    connection_row!("bc_err_str", Str, Server, Fetch::Fact(Fact::ServerErrorText)),
    kernel_time!("fc_rtt", rtt_us),
    kernel_time!("fc_rttvar", rtt_var_us),
    kernel_count!("fc_unacked", unacked),
    kernel_count!("fc_sacked", sacked),
    kernel_count!("fc_retrans", retrans),
    kernel_count!("fc_fackets", fackets),
    kernel_count!("fc_lost", lost),
    kernel_count!("fc_reordering", reordering),
    connection_row!("fe_client_timeout", Int, Client, Fetch::Fact(Fact::ClientTimeout)),
    connection_row!("fe_defbe", Str, Client, Fetch::Fact(Fact::DefaultBackend)),
    connection_row!("fe_id", Int, Client, Fetch::Fact(Fact::FrontendId)),
    connection_row!("fe_name", Str, Client, Fetch::Fact(Fact::FrontendName)),
    connection_row!("so_id", Int, Client, Fetch::Fact(Fact::ListenerId)),
    connection_row!("so_name", Str, Client, Fetch::Fact(Fact::ListenerName)),
    connection_row!("srv_id", Int, Server, Fetch::Fact(Fact::ServerId)),
    connection_row!("srv_name", Str, Server, Fetch::Fact(Fact::ServerName)),
];
