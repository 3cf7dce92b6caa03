//! Why keywords have no effect or are refused, and the short forms the tables are written in.

use super::Status;

pub(super) const WORKS: Status = Status::Works;

pub(super) const fn no(reason: &'static str) -> Status {
    Status::NoEffect(reason)
}

pub(super) const fn refuse(reason: &'static str) -> Status {
    Status::Unsafe(reason)
}

pub(super) const CASE: &str = "header names are sent in lower case";
pub(super) const CHECKS: &str = "there are no health checks yet: servers count as up";
pub(super) const COMPRESSION: &str = "responses are not compressed yet";
pub(super) const DEVICES: &str = "device detection needs a library that this build does not have";
pub(super) const ENGINE: &str = "the event loop has nothing of that kind to set";
pub(super) const FILTER: &str = "filters do not exist yet, and traffic would pass unfiltered";
pub(super) const H2: &str = "there is no HTTP/2 yet";
pub(super) const HTTPCLIENT: &str = "there is no HTTP client";
pub(super) const LOG_FORMAT: &str =
    "there is no TLS yet to be logged; the line of 'option httplog' is written";
pub(super) const LUA: &str = "Lua is not built in";
pub(super) const MASTER: &str = "there is no master process yet";
pub(super) const NAMESPACE: &str =
    "network namespaces are not supported, and another network would be used";
pub(super) const NETSCALER: &str =
    "there is no NetScaler client address insertion: its header would be taken for traffic";
pub(super) const NOTHING: &str = "there is nothing to set";
pub(super) const NOT_YET: &str = "it is not implemented yet";
pub(super) const PERSISTENCE: &str = "there is no persistence yet: each request is balanced";
pub(super) const PINNING: &str = "threads are not bound to CPUs, listeners or niceness yet";
pub(super) const QUIC: &str = "there is no QUIC yet";
pub(super) const RATES: &str = "rates are not limited yet";
pub(super) const RESOLVING: &str = "names are looked up once, at the start";
pub(super) const RULES: &str = "without it traffic would pass or go where it should not";
pub(super) const SOCKET: &str = "it concerns the runtime socket, which does not exist yet";
pub(super) const SOCKS: &str = "there is no SOCKS4 yet: the server would be reached directly";
pub(super) const STATE: &str = "no state is kept across restarts or shared with peers yet";
pub(super) const STATS: &str = "there is no statistics page yet";
pub(super) const STOP: &str = "a soft stop closes idle connections at once";
pub(super) const TLS: &str = "TLS is not built in";
pub(super) const TLS_BIND: &str = "TLS is not built in: the port would speak plain text";
pub(super) const TLS_SERVER: &str =
    "TLS is not built in: the server would be spoken to in plain text";
pub(super) const TRANSPARENT: &str =
    "not supported yet, and connections would go to or come from other addresses";
pub(super) const VARIABLES: &str =
    "variables are bounded by the names and values of the configuration alone";
pub(super) const CACHE: &str = "there is no cache yet";
pub(super) const COUNTERS: &str = "there are no stick tables and counters yet";
pub(super) const TRACING: &str = "OpenTracing is not built in";
