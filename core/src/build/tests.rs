//! Statements to a site: what each keyword becomes.

use core::net::SocketAddr;

use super::*;
use crate::config::MapHost;
use crate::poller::Address;
use crate::proxy::spec::{
    LogFormat, LogProto, LogTarget, Mode, Options, Proxy, RetryOn, Reuse, RingServer, RingSpec,
    SendProxy, Sink, Site, WireFormat,
};
use crate::rule::{Action, Destination, Rule, Set, Switch};
use crate::time::Duration;

mod errors;
mod many;
mod stock;

fn host() -> MapHost {
    let page = "HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\nsorry\n";
    let mut host = MapHost::default()
        .with_file("/e/503.http", page)
        .with_file("/dev/null", "")
        .with_env("FD", "7")
        .with_name("two.example", &["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()])
        .with_name("six.example", &["2001:db8::1".parse().unwrap()]);
    host.users.insert("haproxy".into(), (101, 102));
    host.groups.insert("haproxy".into(), 102);
    host
}

type Outcome = Result<(Site, Vec<String>), Vec<String>>;

fn told(list: &[Diagnostic]) -> Vec<String> {
    list.iter()
        .map(|d| format!("{:?} {}: {}", d.severity, d.span.map_or(0, |s| s.line), d.message))
        .collect()
}

fn build_with(text: &str, cli: &CliOverrides) -> Outcome {
    match build(&[Source::new("t.cfg", text)], cli, &host()) {
        Ok((site, warnings)) => Ok((site, told(&warnings))),
        Err(errors) => Err(told(&errors)),
    }
}

/// The site of a text that deserves no warning.
fn site(text: &str) -> Site {
    match build_with(text, &CliOverrides::default()) {
        Ok((site, warnings)) => {
            assert_eq!(warnings, Vec::<String>::new(), "{text}");
            site
        }
        Err(errors) => panic!("{text}\n{errors:#?}"),
    }
}

/// Timeouts, so that nothing is said of them.
const TIMEOUTS: &str = "defaults\ntimeout client 1s\ntimeout server 1s\ntimeout connect 1s\n";

pub(super) fn http(text: &str) -> Site {
    site(&format!("{TIMEOUTS}mode http\n{text}"))
}

fn inet(text: &str) -> Address {
    Address::Inet(text.parse::<SocketAddr>().unwrap())
}

#[test]
fn nothing_is_a_site() {
    let site = site("");
    assert!(site.proxies.is_empty());
    assert_eq!(&*site.global.log_tag, "haproxy");
    assert_eq!(&*site.global.node, "localhost");
}

#[test]
fn a_frontend_and_its_backend() {
    let site = http(
        "frontend f\nbind :80\nbind 192.0.2.9:81 name n id 9 maxconn 5 backlog 6\n\
         default_backend b\nbackend a\nbackend b\nserver s 192.0.2.1:8080 weight 5 maxconn 9\n\
         server t [2001:db8::1]:8080 backup disabled maxqueue 4\n",
    );
    let names: Vec<&str> = site.proxies.iter().map(|proxy| &*proxy.name).collect();
    assert_eq!(names, ["f", "a", "b"]);
    assert_eq!(site.proxies.iter().map(|p| p.uuid).collect::<Vec<_>>(), [2, 3, 4]);
    let frontend = site.proxy(0);
    assert_eq!((frontend.mode, frontend.default_backend), (Mode::Http, Some(2)));
    assert_eq!((frontend.listeners.clone(), frontend.servers.clone()), (0..2, 0..0));
    assert_eq!(frontend.timeouts.client, Some(Duration::from_secs(1)));
    let listener = site.listener(0);
    assert_eq!(
        (&listener.address, listener.id, &*listener.place),
        (&inet("0.0.0.0:80"), 1, "t.cfg:7")
    );
    let listener = site.listener(1);
    assert_eq!(listener.name.as_deref(), Some("n"));
    assert_eq!((listener.id, listener.maxconn, listener.backlog), (9, 5, 6));
    let backend = site.proxy(2);
    assert_eq!(backend.servers, 0..2);
    assert_eq!((backend.retries, backend.redispatch_interval), (3, -1));
    let server = site.server(0);
    assert_eq!((server.weight, server.maxconn, server.id, server.backend), (5, 9, 1, 2));
    assert_eq!((server.address.clone(), server.port_offset), (Some(inet("192.0.2.1:8080")), None));
    let server = site.server(1);
    assert!(server.backup && server.disabled);
    assert_eq!((server.maxqueue, server.id), (4, 2));
}

#[test]
fn defaults_are_inherited() {
    let site = http(
        "retries 5\noption splice-auto\nmaxconn 77\ndefault-server weight 9\n\
         listen a\nbind :1\nserver s 192.0.2.1\nno option splice-auto\n\
         defaults d\ntimeout client 2s\ntimeout connect 2s\ntimeout server 2s\n\
         defaults e from d\ntimeout client 3s\n\
         listen b from d\nbind :2\n\
         listen c\nbind :3\nserver s 192.0.2.1:80\n",
    );
    let [a, b, c] = &site.proxies[..] else { panic!() };
    assert_eq!((a.retries, a.maxconn, a.mode), (5, 77, Mode::Http));
    assert_eq!(a.options, Options::NONE);
    assert_eq!((b.retries, b.maxconn, b.mode), (3, 0, Mode::Tcp));
    assert_eq!(b.timeouts.client, Some(Duration::from_secs(2)));
    assert_eq!(c.timeouts.client, Some(Duration::from_secs(3)));
    assert_eq!(c.timeouts.queue, Some(Duration::from_secs(2)));
    assert_eq!(site.server(0).weight, 9);
    assert_eq!(site.server(0).port_offset, Some(0));
    assert_eq!(site.server(1).weight, 1);
}

#[test]
fn binds() {
    let site = http(
        "listen l\nbind 192.0.2.1:80,:81-83,[::1]:84 name x id 7\n\
         bind ipv6@:90 v6only tfo mss 1400\n\
         bind /s mode 660 user haproxy gid 5\nbind abns@a\nbind fd@${FD}\nbind two.example:85 \
         defer-accept tcp-ut 3s interface lo transparent proto h1\n",
    );
    let addresses: Vec<&Address> = site.listeners.iter().map(|l| &l.address).collect();
    assert_eq!(
        addresses,
        [
            &inet("192.0.2.1:80"),
            &inet("0.0.0.0:81"),
            &inet("0.0.0.0:82"),
            &inet("0.0.0.0:83"),
            &inet("[::1]:84"),
            &inet("[::]:90"),
            &Address::Unix("/s".into()),
            &Address::Abstract("a".into()),
            &Address::Fd(7),
            &inet("192.0.2.1:85"),
        ]
    );
    let ids: Vec<u32> = site.listeners.iter().map(|l| l.id).collect();
    assert_eq!(ids, [7, 1, 2, 3, 4, 5, 6, 8, 9, 10]);
    let options = |index: usize| &site.listeners[index].options;
    assert!(options(5).v6only && options(5).tfo && !options(5).shared);
    assert_eq!(options(5).mss, Some(1400));
    assert_eq!(
        (options(6).mode, options(6).uid, options(6).gid),
        (Some(0o660), Some(101), Some(5))
    );
    assert!(options(6).shared && options(7).shared && options(8).shared);
    assert!(options(9).defer_accept && options(9).transparent);
    assert_eq!(options(9).user_timeout, Some(Duration::from_secs(3)));
    assert_eq!(options(9).interface.as_deref(), Some("lo"));
}

#[test]
fn unix_bind_adds_to_paths() {
    let site = site(&format!(
        "global\nunix-bind prefix /run mode 600 user haproxy\n{TIMEOUTS}listen l\nbind /s\nbind \
         unix@/t mode 660\nbind :1\n"
    ));
    let of = |index: usize| (&site.listeners[index].address, site.listeners[index].options.mode);
    assert_eq!(of(0), (&Address::Unix("/run/s".into()), Some(0o600)));
    assert_eq!(of(1), (&Address::Unix("/run/t".into()), Some(0o660)));
    assert_eq!(of(2), (&inet("0.0.0.0:1"), None));
}

#[test]
fn servers() {
    let text = TIMEOUTS.to_owned()
        + "mode http\nlisten l\nbind :80\nsource 192.0.2.200\n\
         default-server maxconn 3 pool-max-conn 8 pool-purge-delay 7s max-reuse 4\n\
         server a 192.0.2.1:+10\nserver b 192.0.2.1:-10 maxconn 4\nserver c /s id 2\n\
         server d two.example:80 source 192.0.2.201:99 tcp-ut 1s\n\
         server e nowhere.example:80 init-addr last,libc,none\n\
         server f nowhere.example:80 init-addr 192.0.2.77\n\
         server g ipv6@six.example:80 pool-max-conn -1 max-reuse -1 no-check no-ssl\n\
         server-template t 3 two.example:81 weight 2\n\
         server-template u 4-5 192.0.2.5:82\n";
    let (site, warnings) = build_with(&text, &CliOverrides::default()).unwrap();
    // Of `e`, which has no address until it is given one.
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("could not resolve address 'nowhere.example'"));
    let server = |name: &str| site.servers.iter().find(|s| &*s.name == name).unwrap();
    assert_eq!(server("a").port_offset, Some(10));
    assert_eq!(server("b").port_offset, Some(-10));
    assert_eq!((server("a").maxconn, server("b").maxconn), (3, 4));
    assert_eq!(
        (server("c").port_offset, &server("c").address),
        (None, &Some(Address::Unix("/s".into())))
    );
    assert_eq!((server("a").id, server("b").id, server("c").id, server("d").id), (1, 3, 2, 4));
    assert_eq!(server("d").address, Some(inet("192.0.2.1:80")));
    assert_eq!(server("d").source, "192.0.2.201:99".parse().ok());
    assert_eq!(server("d").user_timeout, Some(Duration::from_secs(1)));
    assert_eq!(site.proxy(0).source, "192.0.2.200:0".parse().ok());
    assert_eq!(server("e").address, None);
    assert_eq!(server("f").address, Some(inet("192.0.2.77:80")));
    assert_eq!(server("g").address, Some(inet("[2001:db8::1]:80")));
    assert_eq!((server("g").pool_max, server("g").max_reuse), (None, None));
    assert_eq!((server("a").pool_max, server("a").max_reuse), (Some(8), Some(4)));
    assert_eq!(server("a").pool_purge_delay, Duration::from_secs(7));
    let template = ["t1", "t2", "t3", "u4", "u5"].map(|name| server(name).address.clone());
    assert_eq!(
        template,
        [
            Some(inet("192.0.2.1:81")),
            Some(inet("192.0.2.2:81")),
            None,
            Some(inet("192.0.2.5:82")),
            Some(inet("192.0.2.5:82")),
        ]
    );
    assert_eq!(server("t3").weight, 2);
}

#[test]
fn proxy_headers() {
    let site = http(
        "listen l\nbind :80,:81 accept-proxy\nbind :82\n\
         default-server send-proxy proxy-v2-options crc32c,authority\n\
         server a 192.0.2.1:80\nserver b 192.0.2.1:80 no-send-proxy send-proxy-v2-ssl-cn\n\
         listen m\nbind :83\ntcp-request connection expect-proxy layer4\n\
         tcp-request connection accept\n\
         listen n\nbind :84\ntcp-request connection expect-proxy layer4 if FALSE\n\
         tcp-request connection accept if TRUE\ntcp-request connection expect-proxy layer4\n",
    );
    let accepts: Vec<bool> = site.listeners.iter().map(|l| l.accept_proxy).collect();
    assert_eq!(accepts, [true, true, false, false, false]);
    let expects = |rule: &Rule| matches!(rule.action, Action::ExpectProxy);
    let expects = |proxy: &Proxy| proxy.rules.connection.iter().filter(|r| expects(r)).count();
    assert_eq!(site.proxies.iter().map(expects).collect::<Vec<_>>(), [0, 1, 2]);
    let base = SendProxy::CRC32C.with(SendProxy::AUTHORITY);
    let named = SendProxy::V2.with(SendProxy::SSL).with(SendProxy::CERT_CN);
    assert_eq!(site.servers[0].send_proxy, base.with(SendProxy::V1));
    assert_eq!(site.servers[1].send_proxy, base.with(named));
    // What HAProxy sends for each of these was measured.
    let (v1, v2, none) = (SendProxy::V1, SendProxy::V2, SendProxy::NONE);
    for (words, expected) in [
        ("send-proxy no-send-proxy", none),
        ("send-proxy no-send-proxy-v2", v1),
        ("send-proxy-v2 no-send-proxy", v2),
        ("send-proxy-v2 no-send-proxy-v2-ssl", none),
        ("send-proxy-v2-ssl no-send-proxy-v2-ssl", none),
        ("send-proxy-v2-ssl no-send-proxy-v2", SendProxy::SSL),
        ("send-proxy-v2-ssl-cn no-send-proxy-v2-ssl-cn", none),
        ("send-proxy-v2-ssl-cn no-send-proxy-v2-ssl", SendProxy::CERT_CN),
        ("proxy-v2-options unique-id no-send-proxy", SendProxy::UNIQUE_ID),
        ("proxy-v2-options cert-key", SendProxy::SSL.with(SendProxy::SSL_MORE)),
    ] {
        let site = http(&format!("listen l\nbind :80\nserver s 192.0.2.1:80 {words}\n"));
        assert_eq!(site.servers[0].send_proxy, expected, "{words}");
    }
}

#[test]
fn options() {
    let bits = |text: &str| http(&format!("listen l\nbind :1\n{text}")).proxy(0).options;
    for (text, expected) in [
        ("option httpclose\noption http-server-close\n", Options::HTTP_SERVER_CLOSE),
        ("option httpclose\noption http-keep-alive\n", Options::NONE),
        ("option httpclose\nno option http-server-close\n", Options::HTTP_CLOSE),
        ("option httpclose\nno option httpclose\n", Options::NONE),
        ("option tcpka\n", Options::CLIENT_KEEPALIVE.with(Options::SERVER_KEEPALIVE)),
        ("option clitcpka\n", Options::CLIENT_KEEPALIVE),
        ("option redispatch\n", Options::REDISPATCH),
        ("option redispatch\nno option redispatch\n", Options::NONE),
        ("option redispatch 0\n", Options::NONE),
        ("option dontlognull\ndefault option dontlognull\n", Options::NONE),
        ("option http-no-delay\noption nolinger\n", Options::HTTP_NO_DELAY.with(Options::NOLINGER)),
        ("option disable-h2-upgrade\n", Options::NONE),
    ] {
        assert_eq!(bits(text), expected, "{text}");
    }
    let site = http("listen l\nbind :1\noption redispatch 3\nclitcpka-idle 5\nsrvtcpka-cnt 2\n");
    assert_eq!(site.proxy(0).redispatch_interval, 3);
    assert_eq!(site.proxy(0).client_probes.idle, Some(Duration::from_secs(5)));
    assert_eq!(site.proxy(0).server_probes.count, Some(2));
}

#[test]
fn balancing() {
    use crate::balance::{Algorithm, Function, HashType, Method, UriOptions};
    let policy = |text: &str| http(&format!("listen l\nbind :1\n{text}")).proxy(0).balance;
    let uri = UriOptions { whole: true, len: 5, depth: 2, path_only: true };
    for (text, expected) in [
        ("", Algorithm::RoundRobin),
        ("balance roundrobin\n", Algorithm::RoundRobin),
        ("balance static-rr\n", Algorithm::StaticRr),
        ("balance leastconn\n", Algorithm::LeastConn),
        ("balance first\n", Algorithm::First),
        ("balance source\n", Algorithm::Source),
        ("balance random\n", Algorithm::Random { draws: 2 }),
        ("balance random(4)\n", Algorithm::Random { draws: 4 }),
        ("balance uri\n", Algorithm::Uri(UriOptions::default())),
        ("balance uri whole len 5 depth 2 path-only\n", Algorithm::Uri(uri)),
    ] {
        assert_eq!(policy(text).algorithm, expected, "{text}");
    }
    for (text, expected) in [
        ("hash-type consistent\n", HashType::new(Method::Consistent, None, true)),
        (
            "hash-type map-based djb2 avalanche\n",
            HashType::new(Method::MapBased, Some(Function::Djb2), true),
        ),
        (
            "hash-type consistent crc32\n",
            HashType::new(Method::Consistent, Some(Function::Crc32), false),
        ),
    ] {
        assert_eq!(policy(text).hash_type, expected, "{text}");
    }
    assert_eq!(policy("hash-balance-factor 150\n").balance_factor, 150);
    assert!(policy("option allbackups\n").all_backups);
}

#[test]
fn forwarded_for() {
    let site = http(
        "listen l\nbind :1\noption forwardfor except 127.0.0.0/8 header X-Client if-none\n\
         listen m\nbind :2\noption forwardfor\n",
    );
    let forward = site.proxy(0).forward_for.clone().unwrap();
    assert_eq!((&*forward.header, forward.if_none), ("x-client", true));
    assert_eq!(forward.except, Some(("127.0.0.0".parse().unwrap(), 8)));
    let forward = site.proxy(1).forward_for.clone().unwrap();
    assert_eq!(
        (&*forward.header, forward.except, forward.if_none),
        ("x-forwarded-for", None, false)
    );
}

#[test]
fn json_lines_may_be_longer() {
    let site = site(&format!(
        "global\nlog 127.0.0.1 local0\n{TIMEOUTS}log global\nmode http\n\
         listen a\nbind :1\nlog 127.0.0.1 len 300 local1\noption httplog json\n\
         listen b\nbind :2\noption tcplog json\n\
         listen c\nbind :3\noption httplog\n\
         listen d\nbind :4\noption httplog json\nlog-format %ci\n"
    ));
    let of = |id: usize| {
        let proxy = &site.proxies[id];
        (proxy.log_format, proxy.logs.iter().map(|log| log.len_max).collect::<Vec<_>>())
    };
    assert_eq!(of(0), (LogFormat::HttpJson, vec![8_192, 300]));
    assert_eq!(of(1), (LogFormat::TcpJson, vec![8_192]));
    assert_eq!(of(2), (LogFormat::Http, vec![1_024]));
    assert_eq!(of(3).1, [1_024], "a format of its own is no JSON");
}

#[test]
fn rings() {
    let site = site(&format!(
        "global\nlog ring@late len 200 local0\nlog ring@buf0 local1\nlog 127.0.0.1 local2\n\
         {TIMEOUTS}log global\n\
         ring early\nformat rfc5424\nmaxlen 300\n\
         listen a\nbind :1\nlog ring@early local3 notice\noption tcplog\n\
         ring late\ndescription of some length\nsize 20000\n"
    ));
    let ring = |name: &str, description: &str, format, len_max, size| {
        let (name, description) = (name.into(), description.into());
        RingSpec {
            name,
            description,
            format,
            len_max,
            size,
            connect_timeout: None,
            server_timeout: None,
            servers: Vec::new(),
        }
    };
    assert_eq!(
        site.rings,
        [
            ring("late", "of some length", WireFormat::Raw, 16_384, 20_000),
            ring("buf0", "buf0", WireFormat::Timed, 16_384, 1 << 20),
            ring("early", "early", WireFormat::Rfc5424, 300, 16_384),
        ]
    );
    let logs = &site.proxies[0].logs;
    let of = |log: &LogTarget| (log.ring, log.format, log.len_max, log.text_max);
    assert_eq!(
        logs.iter().map(of).collect::<Vec<_>>(),
        [
            (Some(0), WireFormat::Raw, 16_384, 200),
            (Some(1), WireFormat::Timed, 16_384, 1_024),
            (None, WireFormat::Local, 1_024, u32::MAX),
            (Some(2), WireFormat::Rfc5424, 300, 1_024),
        ]
    );
    assert_eq!(site.sinks.len(), 1);
}

#[test]
fn logs_over_tcp() {
    let site = site(&format!(
        "global\nlog tcp@192.0.2.1:515 len 200 format rfc5424 local0\nlog uxst@/run/log local1\n\
         {TIMEOUTS}log global\nlog tcp6@[2001:db8::1] local2\n\
         listen a\nbind :1\nlisten b\nbind :2\n"
    ));
    let inet = |text: &str| Address::Inet(text.parse().unwrap());
    let of = |ring: &RingSpec| {
        let [server] = &ring.servers[..] else { panic!("{ring:?}") };
        (server.address.clone().unwrap(), ring.format, ring.len_max, server.proto)
    };
    assert_eq!(
        site.rings.iter().map(of).collect::<Vec<_>>(),
        [
            (inet("192.0.2.1:515"), WireFormat::Rfc5424, 200, LogProto::Legacy),
            (Address::Unix("/run/log".into()), WireFormat::Local, 1_024, LogProto::Legacy),
            (inet("[2001:db8::1]:514"), WireFormat::Local, 1_024, LogProto::Legacy),
        ]
    );
    for proxy in &site.proxies {
        let rings: Vec<_> = proxy.logs.iter().map(|log| log.ring).collect();
        assert_eq!(rings, [Some(0), Some(1), Some(2)], "the same for all");
    }
    assert!(site.sinks.is_empty());
}

#[test]
fn servers_of_rings() {
    let site = site(&format!(
        "{TIMEOUTS}ring r\ntimeout connect 300\ntimeout server 5s\nserver a 192.0.2.1:514\n\
         server b unix@/run/log log-proto octet-count\n\
         server c 192.0.2.2:1 log-proto legacy source 192.0.2.9 tcp-ut 2s\n\
         server d none.invalid:1 init-addr none\n\
         listen a\nbind :1\nlog ring@r local0\n"
    ));
    let ring = &site.rings[0];
    let ms = Duration::from_millis;
    assert_eq!((ring.connect_timeout, ring.server_timeout), (Some(ms(300)), Some(ms(5_000))));
    let inet = |text: &str| Address::Inet(text.parse().unwrap());
    let of = |s: &RingServer| (s.name.to_string(), s.address.clone(), s.proto);
    assert_eq!(
        ring.servers.iter().map(of).collect::<Vec<_>>(),
        [
            ("a".into(), Some(inet("192.0.2.1:514")), LogProto::Legacy),
            ("b".into(), Some(Address::Unix("/run/log".into())), LogProto::OctetCount),
            ("c".into(), Some(inet("192.0.2.2:1")), LogProto::Legacy),
            ("d".into(), None, LogProto::Legacy),
        ]
    );
    let source = ring.servers[2].source.map(|at| at.ip().to_string());
    assert_eq!(
        (source.as_deref(), ring.servers[2].user_timeout),
        (Some("192.0.2.9"), Some(ms(2_000)))
    );
}

#[test]
fn logs() {
    let site = site(&format!(
        "global\nlog 127.0.0.1 local0\nlog /dev/log local1 notice err\nlog-tag t\n\
         log-send-hostname h\n{TIMEOUTS}log global\noption tcplog\n\
         listen a\nbind :1\nlog stdout len 200 format raw daemon\nlog global\nlog-tag u\n\
         listen b\nbind :2\nno log\nlog fd@5 format rfc5424 local7\nlog 127.0.0.1:514 local0\n\
         listen c\nbind :3\nmode http\noption httplog\noption logasap\n"
    ));
    assert_eq!(
        site.sinks,
        [
            Sink::Datagram(inet("127.0.0.1:514")),
            Sink::Datagram(Address::Unix("/dev/log".into())),
            Sink::Stdout,
            Sink::Fd(5),
        ]
    );
    let [a, b, c] = &site.proxies[..] else { panic!() };
    let sinks = |proxy: &crate::proxy::spec::Proxy| -> Vec<u32> {
        proxy.logs.iter().map(|log| log.sink).collect()
    };
    assert_eq!((sinks(a), sinks(b), sinks(c)), (vec![0, 1, 2], vec![3, 0], vec![0, 1]));
    assert_eq!((a.logs[1].facility, a.logs[1].level, a.logs[1].min_level), (17, 5, 3));
    assert_eq!((a.logs[0].level, a.logs[0].min_level, a.logs[0].len_max), (7, 0, 1024));
    assert_eq!((a.logs[2].format, a.logs[2].len_max), (WireFormat::Raw, 200));
    assert_eq!(b.logs[0].format, WireFormat::Rfc5424);
    assert_eq!((a.log_format, c.log_format), (LogFormat::Tcp, LogFormat::Http));
    assert_eq!((site.global.log_tag.as_ref(), a.log_tag.as_deref()), ("t", Some("u")));
    assert_eq!(site.global.log_hostname.as_deref(), Some("h"));
}

#[test]
fn global_settings() {
    let site = site(
        "global\ndaemon\nmaxconn 4000\nnbthread 4\nuser haproxy\ngid 7\nchroot /v\npidfile /p\n\
         ulimit-n 9000\nfd-hard-limit 8000\nhard-stop-after 30s\nnosplice\nnoreuseport\n\
         node n\ndescription a b\nlocalpeer p\nmaxpipes 5\nthread-groups 1\nsetenv X y\n\
         tune.bufsize 32768\ntune.maxrewrite 20000\ntune.maxaccept -1\ntune.http.maxhdr 200\n\
         h1-accept-payload-with-any-method\nzero-warning\n",
    );
    let global = &site.global;
    assert!(global.daemon && global.noreuseport && global.zero_warning);
    assert_eq!((global.maxconn, global.nbthread, global.maxpipes), (4000, Some(4), 5));
    assert_eq!((global.uid, global.gid), (Some(101), Some(7)));
    assert_eq!((global.chroot.as_deref(), global.pidfile.as_deref()), (Some("/v"), Some("/p")));
    assert_eq!((global.ulimit_n, global.fd_hard_limit), (Some(9000), Some(8000)));
    assert_eq!(global.hard_stop_after, Some(Duration::from_secs(30)));
    assert_eq!((&*global.node, global.description.as_deref()), ("n", Some("a b")));
    assert_eq!(&*global.localpeer, "p");
    let tune = &site.tunables;
    assert!(tune.nosplice && tune.payload_any_method);
    assert_eq!(
        (tune.bufsize, tune.maxrewrite, tune.maxaccept, tune.maxhdr),
        (32768, 16384, u32::MAX, 200)
    );
}

#[test]
fn the_command_line_wins() {
    let cli = CliOverrides {
        maxconn: Some(9),
        proxy_maxconn: Some(8),
        daemon: true,
        pidfile: Some("/cli".into()),
        localpeer: Some("cli".into()),
        no_splice: true,
        no_reuseport: true,
        ignore_resolution: true,
        zero_warning: false,
    };
    let text = format!(
        "global\nmaxconn 4\npidfile /p\nlocalpeer q\n{TIMEOUTS}listen \"$HAPROXY_LOCALPEER\"\nbind \
         :1\nserver s nowhere.example:1\nlisten m\nbind :2\nmaxconn 5\n"
    );
    let (site, warnings) = build_with(&text, &cli).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let global = &site.global;
    assert!(global.daemon && global.noreuseport && site.tunables.nosplice);
    let strict = CliOverrides { zero_warning: true, ..cli };
    let errors = build_with(&text, &strict).map(|(_, warnings)| warnings).unwrap_err();
    assert_eq!(errors[1], "Alert 0: Some warnings were found and 'zero-warning' is set. Aborting.");
    assert_eq!((global.maxconn, global.pidfile.as_deref()), (9, Some("/cli")));
    assert_eq!((&*global.localpeer, &*site.proxy(0).name), ("cli", "cli"));
    assert_eq!((site.proxy(0).maxconn, site.proxy(1).maxconn), (8, 5));
    assert_eq!(site.server(0).address, None);
}

/// Each as HAProxy 2.6.12 computes it from the same limit of descriptors, but for its stats socket,
/// which counts as a listener there.
#[test]
fn maxconn_follows_from_the_descriptors() {
    let maxconn = |limit: u64, global: &str, count: usize, extra: &str| {
        let mut host = host();
        host.fd_limit = crate::config::FdLimit { soft: 10, hard: limit };
        let mut text = format!("global\n{global}\n{TIMEOUTS}");
        // The stats socket's place.
        for n in 0..=count {
            text += &format!("frontend f{n}\nbind 127.0.0.1:{}\n{extra}\n", 1000 + n);
        }
        let sources = [Source::new("t.cfg", text)];
        build(&sources, &CliOverrides::default(), &host).unwrap().0.global.maxconn
    };
    for (limit, global, count, extra, expected) in [
        (20_000, "", 1, "", 9986),
        (20_000, "", 2, "", 9985),
        (20_000, "", 5, "", 9984),
        (20_000, "nbthread 1", 1, "", 9987),
        (20_000, "nbthread 4", 1, "", 9983),
        (20_000, "nbthread 1", 1, "option splice-auto", 7990),
        (20_000, "nbthread 1\nfd-hard-limit 1000", 1, "", 487),
        (1_024, "nbthread 1", 1, "", 499),
        (20_000, "nbthread 1\nmaxconn 500", 1, "", 500),
        (100, "nbthread 1", 1, "", 100),
    ] {
        assert_eq!(
            maxconn(limit, global, count, extra),
            expected,
            "{limit} {global} {count} {extra}"
        );
    }
}

#[test]
fn error_pages() {
    let site = site(&format!(
        "http-errors set\nerrorfile 503 /dev/null\nerrorfile 404 /e/503.http\n{TIMEOUTS}mode http\n\
         errorfile 503 /e/503.http\nlisten l\nbind :1\nerrorloc 403 /x\nerrorloc303 404 /y\n\
         listen m\nbind :2\nerrorfiles set\nlisten n\nbind :3\nerrorfiles set 404\n"
    ));
    let page = |proxy: u32, status: u16| -> Option<String> {
        let files = &site.proxy(proxy).error_files;
        let (_, answer) = files.iter().find(|(known, _)| *known == status)?;
        Some(String::from_utf8_lossy(answer).into_owned())
    };
    assert_eq!(
        page(0, 503).unwrap(),
        "HTTP/1.0 503 Service Unavailable\r\nconnection: close\r\n\r\nsorry\n"
    );
    assert!(page(0, 403).unwrap().starts_with("HTTP/1.1 302 Found\r\n"));
    assert!(page(0, 404).unwrap().contains("\r\nlocation: /y\r\n"));
    assert_eq!(page(1, 503).unwrap(), "");
    assert!(page(1, 404).is_some());
    assert!(page(2, 503).unwrap().contains("sorry") && page(2, 404).is_some());
}

/// The rules of the first proxy: set, action in short, condition.
fn rules_of(site: &Site) -> Vec<String> {
    const SETS: [Set; 4] = [Set::Connection, Set::Session, Set::Content, Set::HttpRequest];
    let rules = |set: Set| site.proxy(0).rules.set(set).iter().map(move |rule| (set, rule));
    let short = |(set, rule): (Set, &Rule)| {
        let action = match &rule.action {
            Action::Deny(reply) => format!("deny {}", reply.status),
            Action::Tarpit(reply) => format!("tarpit {}", reply.status),
            other => format!("{other:?}").to_ascii_lowercase(),
        };
        let condition = rule.condition.as_ref().map_or("", |condition| &condition.text);
        format!("{} {action} {condition}", set.as_str()).trim_end().to_owned()
    };
    SETS.into_iter().flat_map(rules).map(short).collect()
}

#[test]
fn rules() {
    for (text, expected) in [
        ("http-request deny\n", &["http-request deny 403"][..]),
        ("http-request deny deny_status 429\n", &["http-request deny 429"]),
        ("http-request deny status 404 if TRUE\n", &["http-request deny 404 if TRUE"]),
        ("http-request tarpit\n", &["http-request tarpit 500"]),
        (
            "http-request reject unless { always_false }\n",
            &["http-request reject unless { always_false }"],
        ),
        (
            "http-request allow\nhttp-request deny\n",
            &["http-request allow", "http-request deny 403"],
        ),
        (
            "tcp-request content reject\ntcp-request session reject\n\
             tcp-request connection accept\n",
            &[
                "tcp-request connection allow",
                "tcp-request session reject",
                "tcp-request content reject",
            ],
        ),
    ] {
        let site = http(&format!("listen l\nbind :1\n{text}"));
        assert_eq!(rules_of(&site), expected, "{text}");
    }
}

#[test]
fn proxy_values() {
    let site = http(
        "listen l\nbind :1\nid 9\nfullconn 7\nbacklog 6\nhttp-reuse always\nretries 0\n\
         retry-on conn-failure response-timeout 404 503\ntimeout tunnel 1h\ntimeout client 0\n\
         timeout client 5s\ntimeout http-request 3s\ntimeout queue 4s\ntimeout tarpit 6s\n\
         description some text\nuse_backend m if TRUE\ndefault_backend m\n\
         listen m\nbind :2\ndisabled\nenabled\nlisten n\ndisabled\n\
         backend o\nfrontend o\nbind :3\n",
    );
    let proxy = site.proxy(0);
    assert_eq!((proxy.uuid, proxy.fullconn, proxy.backlog, proxy.retries), (9, 7, 6, 0));
    assert_eq!(proxy.reuse, Reuse::Always);
    let status = |code| RetryOn::status(code).unwrap();
    assert_eq!(
        proxy.retry_on,
        RetryOn::CONN_FAILURE.with(RetryOn::RESPONSE_TIMEOUT).with(status(404)).with(status(503))
    );
    assert_eq!(proxy.timeouts.tunnel, Some(Duration::from_secs(3600)));
    assert_eq!(proxy.timeouts.client, Some(Duration::from_secs(5)));
    assert_eq!(proxy.timeouts.queue, Some(Duration::from_secs(4)));
    let to = |switch: &Switch| match &switch.to {
        Destination::Name(name) => site.refs.proxy(*name),
        Destination::Format(_) => None,
    };
    assert_eq!(proxy.switching.iter().map(to).collect::<Vec<_>>(), [Some(1)]);
    assert_eq!(proxy.default_backend, Some(1));
    assert_eq!(site.proxies.iter().map(|p| p.uuid).collect::<Vec<_>>(), [9, 2, 3, 4, 5]);
    assert!(!site.proxy(1).disabled && site.proxy(2).disabled);
}
