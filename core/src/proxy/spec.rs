//! The site: what a configuration means, compiled, immutable and shared by all engines.
//!
//! Made by `build/` from the statements of `config/`; nothing here changes while the process runs
//! (what changes lives in the engines and in [`crate::proxy::shared`]). Proxies, servers and
//! listeners are named by their index.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::acl::{Acl, Condition};
use crate::balance::Policy;
use crate::bit_set;
use crate::http::Known;
use crate::logfmt::format::Format;
use crate::poller::Address;
use crate::proxy::roster::Roster;
use crate::proxy::userlist::Userlist;
use crate::rule::{Forwarded, Reply, Rules, Switch, Value};
use crate::sample::{Expr, PatternFile, Refs};
use crate::time::Duration;

/// The index of a proxy in [`Site::proxies`].
pub type ProxyId = u32;
/// The index of a server in [`Site::servers`].
pub type ServerId = u32;
/// The index of a listener in [`Site::listeners`].
pub type ListenerId = u32;

/// A whole configuration.
#[derive(Debug, Default)]
pub struct Site {
    /// What concerns the process.
    pub global: Global,
    /// Limits and sizes.
    pub tunables: Tunables,
    /// Frontends, backends and listens, in the file's order.
    pub proxies: Vec<Proxy>,
    /// Every server of every backend; a backend's are adjacent, in the file's order.
    pub servers: Vec<Server>,
    /// Every address that is listened on (a `bind` line may give several).
    pub listeners: Vec<Listener>,
    /// Every log target in use, each once.
    pub sinks: Vec<Sink>,
    /// `ring` sections, and those that are always there, if anything is logged to them.
    pub rings: Vec<RingSpec>,
    /// What log targets that send only some messages send; each proxy's counts for itself.
    pub log_samples: Vec<LogSample>,
    /// Pattern files, and lists of patterns that rules may change, each once.
    pub patterns: Vec<PatternFile>,
    /// Pattern files that rules change: where each is in `patterns`, once for each way in which it
    /// is read.
    pub changed: Vec<Box<[u32]>>,
    /// ACLs, by index: the lines of each.
    pub acls: Vec<Vec<Acl>>,
    /// Backends by name: what `use_backend` with a format looks in.
    pub backends: Roster,
    /// What expressions want to know that costs something for each connection.
    pub wants: Wants,
    /// Some rule changes methods or targets, or requests are counted: what was asked for is kept
    /// for the log.
    pub rewrites: bool,
    /// What the names in expressions stand for.
    pub refs: Refs,
    /// `userlist` sections, in the file's order.
    pub userlists: Vec<Userlist>,
    /// `set-var` of the global section: names' numbers and values.
    pub proc_vars: Vec<(u32, Value)>,
}

/// What expressions want to know that costs something for each connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// Where clients connected to: `dst`, `%fi`, `option originalto`.
    pub destination: bool,
    /// Where our connections to servers come from: `bc_src`, `%bi`.
    pub source: bool,
    /// The unique id, before the request is made ready for a server, and not in a rule, which says
    /// so itself ([`crate::rule::Rule`]).
    pub unique_id: bool,
    /// Events per second: `fe_req_rate` and kin.
    pub rates: bool,
    /// What the kernel knows of clients' connections: `fc_rtt` and kin.
    pub tcp_info: bool,
    /// The numbers of requests: `%rt`.
    pub numbers: bool,
    /// The numbers of lines: `%lc`.
    pub line_numbers: bool,
}

/// The `global` section, as far as it concerns the process.
#[derive(Debug, Default, Clone)]
pub struct Global {
    /// `daemon`, or `-D`.
    pub daemon: bool,
    /// `pidfile`, or `-p`.
    pub pidfile: Option<String>,
    /// `chroot`.
    pub chroot: Option<String>,
    /// `user` or `uid`, resolved.
    pub uid: Option<u32>,
    /// `group` or `gid`, resolved.
    pub gid: Option<u32>,
    /// `nbthread`; none means one per CPU that we may run on.
    pub nbthread: Option<u32>,
    /// `maxconn`: connections of the whole process; already derived from the descriptor limit if
    /// unset.
    pub maxconn: u32,
    /// `ulimit-n`, if given.
    pub ulimit_n: Option<u32>,
    /// `fd-hard-limit`, if given.
    pub fd_hard_limit: Option<u32>,
    /// `hard-stop-after`.
    pub hard_stop_after: Option<Duration>,
    /// `log` lines of the global section: what `log global` means.
    pub logs: Vec<LogTarget>,
    /// `log-tag`; "haproxy" if unset.
    pub log_tag: Arc<str>,
    /// `log-send-hostname`, with the name to send.
    pub log_hostname: Option<Arc<str>>,
    /// The machine's name.
    pub hostname: Arc<str>,
    /// `node`, else the machine's name.
    pub node: Arc<str>,
    /// `description`.
    pub description: Option<Arc<str>>,
    /// `localpeer` or `-L`, else the machine's name.
    pub localpeer: Arc<str>,
    /// `zero-warning` or `-dW`: a configuration with warnings does not start.
    pub zero_warning: bool,
    /// `noreuseport` or `-dR`: one socket per listener, never one per thread.
    pub noreuseport: bool,
    /// `maxpipes`: pipes for splicing, of the whole process; 0 derives maxconn/4.
    pub maxpipes: u32,
    /// The name of the local time zone for the dates in logs, as jiff knows it; none is UTC.
    pub timezone: Option<String>,
}

/// Limits and sizes, with HAProxy's names where it has one. The simulator shrinks them.
#[derive(Debug, Clone)]
pub struct Tunables {
    /// `tune.bufsize`: bytes of a head or body that the analysers may hold. 16,384.
    pub bufsize: u32,
    /// `tune.maxrewrite`: bytes of that kept free for rewriting. 1,024.
    pub maxrewrite: u32,
    /// Bytes offered to one receive. 65,536.
    pub recv_size: u32,
    /// Bytes of the buffer of a direction that only forwards. 262,144.
    pub forward_size: u32,
    /// `tune.pipesize`: bytes asked of a splice pipe. 1,048,576 (HAProxy: 65,536; few calls is what
    /// counts).
    pub pipesize: u32,
    /// Pipes open at once in one engine.
    pub pipes_max: u32,
    /// `nosplice` or `-dS`: never splice.
    pub nosplice: bool,
    /// `tune.maxaccept`: accepts per listener and turn. 4 by default in 2.6 with a single thread:
    /// 64 here.
    pub maxaccept: u32,
    /// `tune.maxpollevents`: events taken per wait. 200.
    pub maxpollevents: u32,
    /// `tune.runqueue-depth`: tasks run per turn. 200.
    pub runqueue_depth: u32,
    /// Receives per socket and turn.
    pub reads_max: u32,
    /// `tune.http.maxhdr`: header fields in a head. 101.
    pub maxhdr: u32,
    /// `h1-accept-payload-with-any-method`: bodies of GET, HEAD and DELETE in HTTP/1.0 are taken.
    pub payload_any_method: bool,
    /// `tune.vars.*-max-size`: bytes of the variables of one scope; 0 is no limit. 0.
    pub vars_max: u32,
    /// `tune.http.logurilen`: characters of the request line that are logged. 1,023.
    pub logurilen: u32,
    /// Bytes read and thrown away after we closed first, before giving up.
    pub linger_bytes_max: u64,
    /// Time spent on that.
    pub linger_time_max: Duration,
    /// Clients of one engine that may be in that state at once.
    pub lingering_max: u32,
    /// Bytes of log lines held in one turn.
    pub log_arena_max: u32,
    /// Idle server connections kept in one engine.
    pub idle_max: u32,
    /// How long after running out of descriptors accepting is tried again. 100 ms.
    pub shortage_retry: Duration,
    /// `tune.idletimer` and the like have no effect; `tune.rcvbuf.client` and kin, in bytes, 0 is
    /// the system's.
    pub rcvbuf_client: u32,
    /// `tune.rcvbuf.server`.
    pub rcvbuf_server: u32,
    /// `tune.sndbuf.client`.
    pub sndbuf_client: u32,
    /// `tune.sndbuf.server`.
    pub sndbuf_server: u32,
}

impl Default for Tunables {
    fn default() -> Self {
        Tunables {
            bufsize: 16_384,
            maxrewrite: 1_024,
            recv_size: 65_536,
            forward_size: 262_144,
            pipesize: 1_048_576,
            pipes_max: 1_024,
            nosplice: false,
            maxaccept: 64,
            maxpollevents: 200,
            runqueue_depth: 200,
            reads_max: 4,
            maxhdr: 101,
            payload_any_method: false,
            vars_max: 0,
            logurilen: 1_023,
            linger_bytes_max: 16 * 1024 * 1024,
            linger_time_max: Duration::from_secs(10),
            lingering_max: 4_096,
            log_arena_max: 1_048_576,
            idle_max: 16_384,
            shortage_retry: Duration::from_millis(100),
            rcvbuf_client: 0,
            rcvbuf_server: 0,
            sndbuf_client: 0,
            sndbuf_server: 0,
        }
    }
}

/// `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Bytes pass as they are.
    #[default]
    Tcp,
    /// HTTP is parsed.
    Http,
}

bit_set! {
    /// What a section may do.
    pub struct Role: u8 {
        /// Takes clients: `frontend`, `listen`.
        FRONTEND = 1,
        /// Has servers: `backend`, `listen`.
        BACKEND = 2,
    }
}

bit_set! {
    /// `option …` of a proxy.
    pub struct Options: u32 {
        /// `option http-server-close`.
        HTTP_SERVER_CLOSE = 1,
        /// `option httpclose`.
        HTTP_CLOSE = 2,
        /// `option http-pretend-keepalive`.
        PRETEND_KEEPALIVE = 4,
        /// `option prefer-last-server`.
        PREFER_LAST_SERVER = 8,
        /// `option dontlognull`.
        DONT_LOG_NULL = 16,
        /// `option dontlog-normal`.
        DONT_LOG_NORMAL = 32,
        /// `option log-separate-errors`.
        LOG_SEPARATE_ERRORS = 64,
        /// `option splice-auto`.
        SPLICE_AUTO = 128,
        /// `option splice-request`.
        SPLICE_REQUEST = 256,
        /// `option splice-response`.
        SPLICE_RESPONSE = 512,
        /// `option tcpka` or `clitcpka`: keep-alive probes towards clients.
        CLIENT_KEEPALIVE = 1024,
        /// `option tcpka` or `srvtcpka`: keep-alive probes towards servers.
        SERVER_KEEPALIVE = 2048,
        /// `option nolinger`.
        NOLINGER = 4096,
        /// `option abortonclose`.
        ABORT_ON_CLOSE = 8192,
        /// `option http-ignore-probes`.
        IGNORE_PROBES = 16384,
        /// `option allbackups`.
        ALL_BACKUPS = 32768,
        /// `option tcp-smart-accept`.
        SMART_ACCEPT = 65536,
        /// `option tcp-smart-connect`.
        SMART_CONNECT = 131072,
        /// `option redispatch`.
        REDISPATCH = 262144,
        /// `option idle-close-on-response`.
        IDLE_CLOSE_ON_RESPONSE = 524288,
        /// `option http-no-delay`.
        HTTP_NO_DELAY = 1048576,
        /// `option logasap`.
        LOG_ASAP = 2097152,
        /// `option independent-streams`.
        INDEPENDENT_STREAMS = 4194304,
        /// `option accept-invalid-http-request`.
        ACCEPT_INVALID_REQUEST = 8388608,
        /// `option accept-invalid-http-response`.
        ACCEPT_INVALID_RESPONSE = 16777216,
        /// `option http-buffer-request`.
        BUFFER_REQUEST = 33554432,
        /// Some expression of the site wants to know what the kernel knows of clients' connections.
        TCP_INFO = 67108864,
        /// `option http-restrict-req-hdr-names delete`.
        DELETE_ODD_NAMES = 134217728,
        /// `option http-restrict-req-hdr-names reject`.
        REJECT_ODD_NAMES = 268435456,
    }
}

impl Options {
    /// What `option http-restrict-req-hdr-names` may say; neither is `preserve`.
    pub const ODD_NAMES: Options = Options::DELETE_ODD_NAMES.with(Options::REJECT_ODD_NAMES);
}

/// `http-reuse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reuse {
    /// A server connection belongs to one client.
    Never,
    /// A client's first request never goes on another's connection.
    #[default]
    Safe,
    /// A first request may go on a connection that was reused before.
    Aggressive,
    /// Any request may go on any idle connection.
    Always,
}

/// The timeouts of a proxy. None means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// `timeout connect`.
    pub connect: Option<Duration>,
    /// `timeout client`.
    pub client: Option<Duration>,
    /// `timeout server`.
    pub server: Option<Duration>,
    /// `timeout tunnel`.
    pub tunnel: Option<Duration>,
    /// `timeout client-fin`.
    pub client_fin: Option<Duration>,
    /// `timeout server-fin`.
    pub server_fin: Option<Duration>,
    /// `timeout queue`; falls back to `timeout connect`.
    pub queue: Option<Duration>,
    /// `timeout http-request`.
    pub http_request: Option<Duration>,
    /// `timeout http-keep-alive`.
    pub http_keep_alive: Option<Duration>,
    /// `timeout tarpit`; falls back to a backend's `timeout connect`.
    pub tarpit: Option<Duration>,
}

/// `option forwardfor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardFor {
    /// The header's name, in lower case; "x-forwarded-for" unless `header` says otherwise.
    pub header: Arc<str>,
    /// What it is.
    pub known: Known,
    /// `except`: clients of this network are not named.
    pub except: Option<(IpAddr, u8)>,
    /// `if-none`: a header that is there already stays the only one.
    pub if_none: bool,
}

/// Keep-alive probe parameters (`clitcpka-*`, `srvtcpka-*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Probes {
    /// Probes before giving up.
    pub count: Option<u32>,
    /// Silence before the first.
    pub idle: Option<Duration>,
    /// Time between them.
    pub interval: Option<Duration>,
}

/// A frontend, backend or listen.
#[derive(Debug, Default, Clone)]
pub struct Proxy {
    /// Its name.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// `mode`.
    pub mode: Mode,
    /// `id`, or given in order from 2 up.
    pub uuid: u32,
    /// `disabled`: neither listens nor serves.
    pub disabled: bool,
    /// `maxconn` of a frontend; 0 is no limit of its own.
    pub maxconn: u32,
    /// `fullconn` of a backend; 0 derives it.
    pub fullconn: u32,
    /// `backlog`; 0 derives it.
    pub backlog: u32,
    /// `option …`.
    pub options: Options,
    /// `http-reuse`.
    pub reuse: Reuse,
    /// `timeout …`.
    pub timeouts: Timeouts,
    /// `option forwardfor`.
    pub forward_for: Option<ForwardFor>,
    /// `log` lines, `log global` already replaced by what it means.
    pub logs: Vec<LogTarget>,
    /// Which line is logged.
    pub log_format: LogFormat,
    /// `log-tag`, if it differs from the global one.
    pub log_tag: Option<Arc<str>>,
    /// Keep-alive probes towards clients.
    pub client_probes: Probes,
    /// Keep-alive probes towards servers.
    pub server_probes: Probes,
    /// `errorfile` and kin: what is sent instead of our own page, as (status, whole answer). An
    /// empty answer sends nothing.
    pub error_files: Vec<(u16, Arc<[u8]>)>,
    /// The rule sets.
    pub rules: Rules,
    /// Whether no request and no response has to be looked at: see [`Proxy::is_plain`]. Known once
    /// the site is built.
    pub plain: bool,
    /// `use_backend` lines: the first that applies is taken.
    pub switching: Vec<Switch>,
    /// `default_backend`.
    pub default_backend: Option<ProxyId>,
    /// `use-server` lines: the first that applies is taken.
    pub use_servers: Vec<Switch>,
    /// What is captured of requests and of responses, by slot.
    pub captures: [Vec<Capture>; 2],
    /// `capture cookie`.
    pub capture_cookie: Option<CaptureCookie>,
    /// `log-format`.
    pub format: Option<Arc<Format>>,
    /// `log-format-sd`.
    pub format_sd: Option<Arc<Format>>,
    /// `error-log-format`.
    pub error_format: Option<Arc<Format>>,
    /// `unique-id-format`.
    pub unique_id_format: Option<Arc<Format>>,
    /// `unique-id-header`, in lower case.
    pub unique_id_header: Option<Arc<str>>,
    /// `monitor-uri`.
    pub monitor_uri: Option<Arc<str>>,
    /// `monitor fail`: one of these must hold for the answer to be bad.
    pub monitor_fail: Vec<Condition>,
    /// `option originalto`.
    pub original_to: Option<ForwardFor>,
    /// `option forwarded`.
    pub forwarded: Option<Arc<Forwarded>>,
    /// `http-error`: answers that replace our pages.
    pub http_errors: Vec<Arc<Reply>>,
    /// The proxy's own listeners, as a range of [`Site::listeners`].
    pub listeners: core::ops::Range<u32>,
    /// The backend's servers, as a range of [`Site::servers`].
    pub servers: core::ops::Range<u32>,
    /// `balance` with `hash-type`.
    pub balance: Policy,
    /// `balance` by what expressions find: the first that has a value.
    pub balance_keys: Vec<Expr>,
    /// `use_domain_only`: of a host name only the name of the domain counts.
    pub balance_domain: bool,
    /// `http-send-name-header`, in lower case.
    pub send_name_header: Option<Arc<str>>,
    /// `retries`. 3.
    pub retries: u32,
    /// `option redispatch N`: redispatch on every Nth retry; negative counts from the end. -1: on
    /// the last one.
    pub redispatch_interval: i32,
    /// `retry-on`.
    pub retry_on: RetryOn,
    /// `source` of the backend.
    pub source: Option<SocketAddr>,
}

impl Proxy {
    /// Whether all that its log says of what is served is `Connect from …`.
    pub fn says_connect(&self) -> bool {
        self.log_format == LogFormat::Connect && self.format.is_none()
    }

    /// Whether it has no rules, captures, unique ids, `monitor-uri`, `option forwarded` or
    /// buffering: nothing that has to look at a message's head, or at what a session goes by,
    /// before it may pass.
    pub fn is_plain(&self) -> bool {
        let Rules {
            connection: _,
            session: _,
            content,
            http_request,
            redirect,
            response_content,
            http_response,
            after_response,
            inspect_delay: _,
            response_delay: _,
        } = &self.rules;
        let rules =
            [content, http_request, redirect, response_content, http_response, after_response];
        rules.iter().all(|rules| rules.is_empty())
            && self.captures.iter().all(Vec::is_empty)
            && self.capture_cookie.is_none()
            && self.unique_id_format.is_none()
            && self.monitor_uri.is_none()
            && self.forwarded.is_none()
            && !self.options.any(Options::BUFFER_REQUEST.with(Options::ODD_NAMES))
    }
}

bit_set! {
    /// `retry-on`: which failures are retried beyond a refused connection.
    pub struct RetryOn: u16 {
        /// `conn-failure`; the default.
        CONN_FAILURE = 1,
        /// `empty-response`.
        EMPTY_RESPONSE = 2,
        /// `junk-response`.
        JUNK_RESPONSE = 4,
        /// `response-timeout`.
        RESPONSE_TIMEOUT = 8,
        /// A status from [`RetryOn`]'s list: 401, 403, 404, 408, 425, 500, 501, 502, 503, 504
        /// follow as bits 16 to 8192.
        STATUS = 16,
    }
}

impl RetryOn {
    /// The statuses that `retry-on` may name, in the order of their bits.
    pub const STATUSES: [u16; 10] = [401, 403, 404, 408, 425, 500, 501, 502, 503, 504];

    /// The bit of a status, if `retry-on` may name it.
    pub fn status(status: u16) -> Option<RetryOn> {
        let index = Self::STATUSES.iter().position(|known| *known == status)?;
        Some(RetryOn(RetryOn::STATUS.bits() << index))
    }
}

/// A value that is kept for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// `capture request header` and `response header`: of the last field of this name. None is for
    /// rules to fill.
    pub header: Option<Arc<str>>,
    /// At most so many bytes.
    pub len: u32,
}

/// The cookie that is kept for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureCookie {
    /// What the cookie, its name and its value, begins with.
    pub begins: Box<[u8]>,
    /// At most so many bytes.
    pub len: u32,
}

/// Which line a proxy logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Neither: `Connect from …` at accept.
    #[default]
    Connect,
    /// `option tcplog`.
    Tcp,
    /// `option httplog`.
    Http,
    /// `option tcplog json`.
    TcpJson,
    /// `option httplog json`.
    HttpJson,
}

impl LogFormat {
    /// Whether a line is a JSON object.
    pub const fn is_json(self) -> bool {
        matches!(self, LogFormat::TcpJson | LogFormat::HttpJson)
    }
}

/// A `log` line: a sink and how to write to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// The index in [`Site::sinks`], if it is no ring.
    pub sink: u32,
    /// The index in [`Site::rings`], if it is one.
    pub ring: Option<u32>,
    /// Wire format (`format …`).
    pub format: WireFormat,
    /// Facility, 0 to 23.
    pub facility: u8,
    /// The least severe level that is sent (0 emerg … 7 debug).
    pub level: u8,
    /// Messages more severe than this are sent with this level.
    pub min_level: u8,
    /// The longest message in bytes (`len`), 80 to 65,535.
    pub len_max: u32,
    /// The longest text in bytes, without what stands before it.
    pub text_max: u32,
    /// Whether the line says itself how long.
    pub len_given: bool,
    /// The index in [`Site::log_samples`], if only some messages are sent.
    pub sample: Option<u32>,
}

/// A `ring` section: the last messages that were logged to it, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingSpec {
    /// Its name.
    pub name: Arc<str>,
    /// `description`; without one its name.
    pub description: Arc<str>,
    /// How messages are written to it.
    pub format: WireFormat,
    /// `maxlen`: the longest message in bytes.
    pub len_max: u32,
    /// `size`: the bytes of all messages, and a few for each.
    pub size: u32,
    /// `timeout connect`: how long a connection to a server may take.
    pub connect_timeout: Option<Duration>,
    /// `timeout server`: how long a server may take nothing although there is something for it.
    pub server_timeout: Option<Duration>,
    /// `server`: who gets the messages.
    pub servers: Vec<RingServer>,
}

/// A `server` of a ring: it gets the ring's messages over one connection that stays open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingServer {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is; none if its name is not known.
    pub address: Option<Address>,
    /// `source`: where connections to it come from.
    pub source: Option<SocketAddr>,
    /// `tcp-ut`: how long what was sent may stay without an answer.
    pub user_timeout: Option<Duration>,
    /// `log-proto`: how messages are told apart.
    pub proto: LogProto,
}

/// `log-proto`: how messages are told apart on a stream (RFC 6587).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogProto {
    /// `legacy`: a line feed behind each.
    Legacy,
    /// `octet-count`: its length in front of each.
    OctetCount,
}

/// `sample` of a `log` line: which of each so many messages are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSample {
    /// After so many it begins anew.
    pub size: u32,
    /// The first and the last of each range, counted from 0.
    pub ranges: Box<[(u32, u32)]>,
}

impl LogSample {
    /// Whether the message of that number, counted from 0, is sent.
    pub fn takes(&self, number: u32) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }
}

/// Where log messages go. Each is opened once per engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// A UDP or unix datagram socket.
    Datagram(Address),
    /// `stdout`.
    Stdout,
    /// `stderr`.
    Stderr,
    /// `fd@N`.
    Fd(i32),
}

/// `log … format`: what stands before the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WireFormat {
    /// `<PRI>Mon DD HH:MM:SS tag[pid]: `.
    #[default]
    Local,
    /// The same with the host name.
    Rfc3164,
    /// RFC 5424.
    Rfc5424,
    /// `<PRI>`.
    Priority,
    /// `<LEVEL>`.
    Short,
    /// `<LEVEL>` and an ISO date.
    Timed,
    /// An ISO date.
    Iso,
    /// Nothing.
    Raw,
}

/// One address that is listened on.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where.
    pub address: Address,
    /// The frontend that it belongs to.
    pub frontend: ProxyId,
    /// `name`, for the log.
    pub name: Option<Arc<str>>,
    /// `id`, or given in order from 1 up.
    pub id: u32,
    /// `maxconn`; 0 is no limit of its own.
    pub maxconn: u32,
    /// `backlog`; 0 takes the frontend's.
    pub backlog: u32,
    /// `accept-proxy`: every connection begins with a PROXY header.
    pub accept_proxy: bool,
    /// What is set before binding.
    pub options: BindOptions,
    /// `file:line` of the bind, for messages.
    pub place: String,
}

/// What a `bind` line sets on its socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// `defer-accept`: the kernel hands a connection over with its first bytes.
    pub defer_accept: bool,
    /// `v6only`.
    pub v6only: bool,
    /// `v4v6`.
    pub v4v6: bool,
    /// `transparent`.
    pub transparent: bool,
    /// `tfo`.
    pub tfo: bool,
    /// `mss`.
    pub mss: Option<u32>,
    /// `tcp-ut`.
    pub user_timeout: Option<Duration>,
    /// `interface`.
    pub interface: Option<String>,
    /// `mode` of a unix socket.
    pub mode: Option<u32>,
    /// `uid`/`user` of a unix socket.
    pub uid: Option<u32>,
    /// `gid`/`group` of a unix socket.
    pub gid: Option<u32>,
    /// The line was for UDP or another thing that threads cannot each have one of: one socket for
    /// all.
    pub shared: bool,
}

/// A server of a backend.
#[derive(Debug, Default, Clone)]
pub struct Server {
    /// Its name.
    pub name: Arc<str>,
    /// The backend that it belongs to.
    pub backend: ProxyId,
    /// `id`, or given in order from 1 up.
    pub id: u32,
    /// Where it listens. None if its name did not resolve and `init-addr none` let that pass: it is
    /// then in maintenance.
    pub address: Option<Address>,
    /// The port is the client's plus this (`+N`, `-N`, or no port at all), not the address's own.
    pub port_offset: Option<i32>,
    /// `weight`, 0 to 256. 1.
    pub weight: u32,
    /// `backup`.
    pub backup: bool,
    /// `disabled`: starts in maintenance.
    pub disabled: bool,
    /// `maxconn`; 0 is no limit.
    pub maxconn: u32,
    /// `maxqueue`; 0 is no limit.
    pub maxqueue: u32,
    /// `pool-max-conn`: idle connections kept; none is no limit of its own, 0 keeps none.
    pub pool_max: Option<u32>,
    /// `pool-purge-delay`. 5 s.
    pub pool_purge_delay: Duration,
    /// `max-reuse`: requests on one connection after its first; none is no limit.
    pub max_reuse: Option<u32>,
    /// `source`.
    pub source: Option<SocketAddr>,
    /// `tcp-ut`.
    pub user_timeout: Option<Duration>,
    /// `send-proxy` and kin: whether and how a connection begins with a PROXY header.
    pub send_proxy: SendProxy,
}

bit_set! {
    /// `send-proxy`, `send-proxy-v2…` and `proxy-v2-options`. As in HAProxy a header is sent if any
    /// of them is set, and in version 2 only if `V2` is.
    pub struct SendProxy: u8 {
        /// `send-proxy`.
        V1 = 1,
        /// `send-proxy-v2`.
        V2 = 2,
        /// `ssl`: whether the client came by TLS.
        SSL = 4,
        /// `cert-cn`: the name in its certificate.
        CERT_CN = 8,
        /// `ssl-cipher`, `cert-sig`, `cert-key`.
        SSL_MORE = 16,
        /// `crc32c`.
        CRC32C = 32,
        /// `unique-id`.
        UNIQUE_ID = 64,
        /// `authority`.
        AUTHORITY = 128,
    }
}

impl Site {
    /// The proxy `id`.
    pub fn proxy(&self, id: ProxyId) -> &Proxy {
        &self.proxies[id as usize]
    }

    /// The server `id`.
    pub fn server(&self, id: ServerId) -> &Server {
        &self.servers[id as usize]
    }

    /// The listener `id`.
    pub fn listener(&self, id: ListenerId) -> &Listener {
        &self.listeners[id as usize]
    }
}
