//! What is said of configurations that are wrong or only partly understood.

use super::*;

#[test]
fn every_mistake_in_one_run() {
    let text = "\
global
    maxcon 2000
    nbthread 0
    user nobody-here
    nbproc 4
    log 127.0.0.1 lcoal0
    bad \"quote

defaults
    mode htpp
    timeout client 5x
    timeout clint 5s
    option httplgo
    no option httplog
    clitimeout 5s
    server s 192.0.2.1:80

frontend web
    bind 300.1.1.1:80
    bind :80 ssl crt /c.pem
    bind :99999
    balence roundrobin
    acl local src 127.0.0.1
    http-request deny if local
    use_backend %[path]
    default_backend appz

backend app
    server a nowhere.example:80
    server a 192.0.2.1:80
    server a 192.0.2.2:80
    server b 192.0.2.2:80 wieght 3
    server c 192.0.2.2:80 socks4 192.0.2.9:1080
    errorfile 503 /none
    cookie SRV insert

backend app
frontend a/b
";
    let sources = [
        Source::new("one.cfg", text),
        Source::new("two.cfg", "bind :1\nlisten l\n bind :2\n mode tcp extra\n"),
    ];
    let errors = build(&sources, &CliOverrides::default(), &host()).unwrap_err();
    let plain: String = errors.iter().map(|d| d.plain(&sources, 42)).collect();
    let closing = crate::config::diagnostic::closing(&errors, &sources, 42);
    insta::assert_snapshot!("plain", plain + &closing);
    let terminal: String = errors.iter().map(|d| d.terminal(&sources, false)).collect();
    insta::assert_snapshot!("terminal", terminal);
}

/// One fault each, in a proxy that is sound otherwise.
#[test]
fn faults() {
    for (text, expected) in [
        ("bind\n", "'bind' expects an address, such as ':80', '192.0.2.1:80' or '/run/x.sock'"),
        ("bind 192.0.2.1\n", "'bind' : missing port specification in '192.0.2.1'"),
        ("bind :0\n", "'bind' : invalid port '0' in ':0'"),
        (
            "bind :1 nmae x\n",
            "unknown keyword 'nmae' on a 'bind' line; did you mean 'name' maybe ?",
        ),
        ("bind :1 name\n", "'name' on a 'bind' line expects a value"),
        ("bind :1 proto h2\n", "'proto h2' is not supported yet"),
        (
            "bind :1 accept-netscaler-cip 1\n",
            "'bind ... accept-netscaler-cip' is not supported: there is no NetScaler client \
             address insertion: its header would be taken for traffic",
        ),
        (
            "server s 192.0.2.1 proxy-v2-options crc32c,x\n",
            "'proxy-v2-options' : unknown option 'x'",
        ),
        (
            "server s 192.0.2.1 proxy-v2-options\n",
            "'proxy-v2-options' on a 'server' line expects a value",
        ),
        (
            "tcp-request connection expect-proxy layer5\n",
            "'tcp-request connection expect-proxy' only supports 'layer4' (got 'layer5')",
        ),
        (
            "tcp-request connection expect-proxy layer4 x\n",
            "'tcp-request connection expect-proxy' expects 'if' or 'unless' here (got 'x')",
        ),
        ("bind :1 id 1\nbind :2 id 1\n", "custom id 1 already used"),
        (
            "bind nowhere.example:1\n",
            "'bind' : invalid address: 'nowhere.example' in \
          'nowhere.example:1' (Name or service not known)",
        ),
        ("bind udp@:1\n", "'bind' : dgram-type address not acceptable in 'udp@:1'"),
        (
            "option forwarded for for_port by_port\n",
            "'option forwarded' : 'by_port' is for a node without a name",
        ),
        (
            "option forwarded for-expr nothing\n",
            "'option forwarded' : unknown sample fetch 'nothing'",
        ),
        (
            "http-request set-tos 256\n",
            "'http-request set-tos' expects a number from 0 to 255, in hexadecimal with 0x, or in \
             octal with 0 (got '256')",
        ),
        (
            "http-request set-mark 09\n",
            "'http-request set-mark' expects a number from 0 to 4294967295, in hexadecimal with \
             0x, or in octal with 0 (got '09')",
        ),
        (
            "http-request deny if { fc_rtt(s) 1 }\n",
            "'http-request deny' : the unit is 'us' or 'ms'",
        ),
        (
            "http-request set-mark 1\nglobal\nuid 7\n",
            "'set-mark' needs the privileges that 'user' or 'uid' gives up",
        ),
        ("server\n", "'server' expects <name> and <addr>[:<port>] as arguments"),
        ("server s\n", "'server' expects <name> and <addr>[:<port>] as arguments"),
        ("server a/b 192.0.2.1\n", "'a/b' cannot be the name of a server"),
        ("server s 192.0.2.1 weight 300\n", "'weight' value must be between 0 and 256 (was 300)"),
        ("server s 192.0.2.1 maxconn 2k\n", "'maxconn' expects a number (got '2k')"),
        ("server s 192.0.2.1:1-2\n", "'server' : port range not permitted here in '192.0.2.1:1-2'"),
        (
            "server s :80\n",
            "'server' : connecting to the address that the client asked for is not \
          supported yet (in ':80')",
        ),
        (
            "server s nowhere.example:1\n",
            "could not resolve address 'nowhere.example': Name or \
          service not known",
        ),
        ("server s 192.0.2.1 init-addr x\n", "unknown init-addr method 'x'"),
        (
            "server s 192.0.2.1 ssl\n",
            "'server ... ssl' is not supported: TLS is not built in: the \
          server would be spoken to in plain text",
        ),
        (
            "server s 192.0.2.1 source 0.0.0.0 usesrc clientip\n",
            "'usesrc' of 'source' is not \
          supported yet, and connections would come from another address",
        ),
        ("server s 192.0.2.1 id 1\nserver t 192.0.2.1 id 1\n", "custom id 1 already used"),
        (
            "server s 192.0.2.1\nserver s 192.0.2.2\n",
            "proxy 'l', another server named 's' was \
          already defined at line 7, please use distinct names",
        ),
        ("server-template t x two.example:1\n", "'server-template' : invalid range 'x'"),
        (
            "server-template t 1-99999999 two.example:1\n",
            "'server-template' : invalid range \
          '1-99999999'",
        ),
        ("default-server id 3\n", "'id' is not allowed on a 'default-server' line"),
        ("use_backend nope\n", "proxy 'l': unable to find required use_backend: 'nope'"),
        ("http-request foo\n", "unknown action 'foo' for 'http-request'"),
        ("http-request set-header a:b c\n", "'a:b' is no header name"),
        ("http-request deny deny_status 418\n", "'http-request deny' : invalid status '418'"),
        (
            "http-request deny x\n",
            "'http-request deny' : unexpected 'x'; an answer has 'status', 'content-type', a body \
             ('string', 'lf-string', 'file', 'lf-file', 'errorfile', 'errorfiles', \
             'default-errorfiles') and 'hdr'",
        ),
        ("http-request allow x\n", "'http-request allow' expects 'if' or 'unless' here (got 'x')"),
        ("http-request deny if a\n", "'http-request deny' : no such ACL : 'a'"),
        (
            "http-request deny if { }\n",
            "'http-request deny' : an anonymous ACL is '{ <criterion> \
          [flags] [patterns] }'",
        ),
        (
            "tcp-request foo\n",
            "'tcp-request' supports 'connection', 'content', 'inspect-delay', \
          'session' (got 'foo')",
        ),
        (
            "filter spoe engine x\n",
            "'filter' is not supported: filters do not exist yet, and \
          traffic would pass unfiltered",
        ),
        ("errorfile 999 /x\n", "'errorfile' : unsupported status '999'"),
        ("errorfile 503 /x\n", "errorfile : error opening file '/x': No such file or directory"),
        ("errorfiles x\n", "unknown http-errors section 'x'"),
        ("retry-on none 500\n", "'retry-on': 'none' is only usable alone"),
        ("retry-on foo\n", "'retry-on': unknown keyword 'foo'"),
        ("option redispatch x\n", "'option redispatch' expects a number"),
        (
            "option forwardfor foo\n",
            "'option forwardfor' only supports optional values: 'except', \
          'header' and 'if-none' (got 'foo')",
        ),
        ("option\n", "'option' expects an option name"),
        (
            "option http_proxy\n",
            "'option http_proxy' is not supported any more; use 'http-request \
          do-resolve' and 'set-dst'",
        ),
        (
            "http-reuse foo\n",
            "'http-reuse' only supports 'never', 'safe', 'aggressive', 'always' \
          (got 'foo')",
        ),
        ("default_backend l\n", "proxy 'l': loop detected for default_backend: 'l'"),
        ("no log global\n", "'no log' cannot handle unexpected argument 'global'"),
        ("description\n", "'description' expects a text"),
        (
            "balance leastcon\n",
            "unknown 'balance' algorithm 'leastcon'; did you mean 'leastconn' \
          maybe ?",
        ),
        ("balance random(0)\n", "'balance random' : number of draws must be at least 1"),
        ("balance uri len\n", "'balance' expects a number"),
        ("balance hdr()\n", "'balance hdr' expects a header's name"),
        (
            "acl a path_begg /x\n",
            "'acl' : unknown sample fetch 'path_begg'; did you mean 'path_beg' maybe ?",
        ),
        (
            "acl a hdrs_beg(host) x\n",
            "'acl' : unknown sample fetch 'hdrs_beg'; did you mean 'hdr_beg' maybe ?",
        ),
        ("balance hash nope\n", "'balance hash' : unknown sample fetch 'nope'"),
        ("balance roundrobin x\n", "'balance' cannot handle unexpected argument 'x'"),
        (
            "hash-type avalanche\n",
            "'hash-type' only supports 'map-based', 'consistent' (got \
          'avalanche')",
        ),
        (
            "hash-type consistent md5\n",
            "'hash-type' only supports 'sdbm', 'djb2', 'wt6', 'crc32' \
          (got 'md5')",
        ),
        (
            "hash-balance-factor 50\n",
            "'hash-balance-factor' must be 0 or greater than 100 (was 50)",
        ),
        ("mode health\n", "'mode health' is not supported any more"),
        ("retries x\n", "'retries' expects a number (got 'x')"),
        ("maxconn -1\n", "'maxconn' expects a number (got '-1')"),
        ("log 127.0.0.1\n", "'log' expects a facility"),
        ("log ring@nowhere local0\n", "'log' : unknown ring named 'nowhere'"),
        (
            "log ring@rong local0\nring rung\n",
            "'log' : unknown ring named 'rong'; did you mean 'rung' maybe ?",
        ),
        ("ring r\nring r\n", "sink named 'r' already exists"),
        (
            "ring r\nserver s 192.0.2.1:1 log-proto tls\n",
            "'log-proto' only supports 'legacy', 'octet-count' (got 'tls')",
        ),
        ("ring r\nserver s 192.0.2.1\n", "'server' : missing port in '192.0.2.1'"),
        ("ring r\nserver s 192.0.2.1:+1\n", "'server' : missing port in '192.0.2.1:+1'"),
        ("ring r\nserver s\n", "'server' expects <name> and <addr>[:<port>] as arguments"),
        (
            "ring r\nserver s 192.0.2.1:1 send-proxy\n",
            "'send-proxy' is not supported in a 'ring' section yet",
        ),
        ("ring r\nsize 1m\n", "'size' expects a number (got '1m')"),
        ("ring r\nmaxlen 0\n", "'maxlen' value must be between 1 and 4294967295 (was 0)"),
        ("ring r\ndescription\n", "missing ring description text"),
        ("option httplog clf json\n", "'option httplog' cannot handle unexpected argument 'json'"),
        (
            "mode tcp\nlog-format \"%ci %HM\"\n",
            "'log-format' of proxy 'l' : format variable 'HM' is reserved for HTTP mode",
        ),
        (
            "mode tcp\nerror-log-format %TR\n",
            "'error-log-format' of proxy 'l' : format variable 'TR' is reserved for HTTP mode",
        ),
        ("log 127.0.0.1 local0 x\n", "'log' : unknown log level 'x'"),
        ("log tcp@127.0.0.1:1-2 local0\n", "'log' : one port is expected in 'tcp@127.0.0.1:1-2'"),
        ("log 127.0.0.1 len 3 local0\n", "'log' value must be between 80 and 65535 (was 3)"),
        (
            "timeout client\n",
            "'timeout client' expects a time (in milliseconds, or with us, ms, s, \
          m, h, d)",
        ),
        (
            "timeout client 25d\n",
            "timer overflow in argument '25d' to 'timeout client' (maximum \
          value is 2147483647 ms or ~24.8 days)",
        ),
        ("id 5\nlisten m\nid 5\nbind :9\n", "proxy 'm' reuses the custom id 5"),
        ("userlist u\nuser\n", "'user' expects the name of a user"),
        (
            "userlist u\nuser a passwd x\n",
            "'user' only supports 'password', 'insecure-password', 'groups' (got 'passwd')",
        ),
        ("userlist u\ngroup g user a\n", "'group' only supports 'users' (got 'user')"),
        (
            "userlist u\ngroup g users a,b\nuser a\n",
            "userlist 'u': no such user 'b' specified in group 'g'; did you mean 'a' maybe ?",
        ),
        (
            "userlist u\nuser a groups admins\ngroup admin\n",
            "userlist 'u': no such group 'admins' specified in user 'a'; did you mean 'admin' \
          maybe ?",
        ),
        (
            "default_backend t\nbackend t\nmode tcp\n",
            "http proxy 'l' tries to use incompatible tcp \
          backend 't' in 'default_backend'",
        ),
    ] {
        let text = format!("{TIMEOUTS}mode http\nlisten l\n{text}");
        let errors = build_with(&text, &CliOverrides::default()).map(|(_, w)| w).expect_err(&text);
        let errors: Vec<&str> = errors
            .iter()
            .filter_map(|told| told.strip_prefix("Alert "))
            .filter_map(|told| told.split_once(": ").map(|(_, message)| message))
            .collect();
        assert_eq!(errors, [expected], "{text}");
    }
}

/// What a section may not have at all, whatever else would become of it.
#[test]
fn misplaced() {
    for (text, expected) in [
        ("defaults\nbind :1\n", "'bind' not allowed in 'defaults' section"),
        ("defaults\nserver s 192.0.2.1\n", "'server' not allowed in 'defaults' section"),
        ("defaults\nstick on src\n", "'stick on' not allowed in 'defaults' section"),
        ("defaults\nredirect prefix /\n", "'redirect' not allowed in 'defaults' section"),
        ("defaults\nacl a src 192.0.2.1\n", "'acl' not allowed in anonymous 'defaults' section"),
        (
            "defaults\nhttp-request deny\n",
            "'http-request' not allowed in anonymous 'defaults' section",
        ),
        (
            "frontend f\nserver s 192.0.2.1\n",
            "'server' not allowed because frontend 'f' has no backend capability",
        ),
    ] {
        let errors = build_with(text, &CliOverrides::default()).map(|(_, w)| w).unwrap_err();
        assert!(errors.contains(&format!("Alert 2: {expected}")), "{text} {errors:#?}");
    }
    let named =
        format!("{TIMEOUTS}defaults d\nmode http\nhttp-request deny\nlisten l from d\nbind :1\n");
    let (site, _) = build_with(&named, &CliOverrides::default()).unwrap();
    assert_eq!(rules_of(&site), ["http-request deny 403"]);
}

#[test]
fn warnings() {
    for (text, expected) in [
        (
            "listen l\n",
            &["5: proxy 'l' has no 'bind' directive. Please declare it as a backend if \
          this was intended."][..],
        ),
        (
            "backend b\n\
             server a nowhere.example:1 init-addr libc,none\n\
             server b nowhere.example:1 init-addr libc,192.0.2.1\n\
             server c nowhere.example:1 init-addr none\n\
             server d nowhere.example:1 init-addr 192.0.2.1\n",
            &[
                "6: could not resolve address 'nowhere.example': Name or service not known, \
                 disabling server",
                "7: could not resolve address 'nowhere.example': Name or service not known, \
                 falling back to configured address",
            ],
        ),
        (
            "backend b\nbind :1\nmaxconn 3\noption dontlognull\ntimeout client 3s\n",
            &[
                "6: 'bind' ignored because backend 'b' has no frontend capability",
                "7: 'maxconn' ignored because backend 'b' has no frontend capability",
                "8: 'option dontlognull' ignored because backend 'b' has no frontend capability",
                "9: 'timeout client' ignored because backend 'b' has no frontend capability",
            ],
        ),
        (
            "frontend f\nbind :1\nbalance roundrobin\noption redispatch\n",
            &[
                "7: 'balance' ignored because frontend 'f' has no backend capability",
                "8: 'option redispatch' ignored because frontend 'f' has no backend capability",
            ],
        ),
        (
            "listen l\nbind :1\noption httplog\nhttp-request deny\noption forwardfor\n",
            &[
                "5: log format ignored for proxy 'l' since it has no log address",
                "7: 'option httplog' not usable with proxy 'l' (needs 'mode http'); falling back \
             to 'option tcplog'",
                "8: 'http-request' rules ignored for proxy 'l' (needs 'mode http')",
                "9: 'option forwardfor' ignored for proxy 'l' (needs 'mode http')",
            ],
        ),
        (
            "listen l\nbind :1\nlog 127.0.0.1 local0\noption httplog clf\n",
            &["8: 'option httplog' not usable with proxy 'l' (needs 'mode http'); falling back \
                 to 'option tcplog'"],
        ),
        (
            "listen l\nbind :1\nlog 127.0.0.1 local0\noption httplog json\n",
            &["8: 'option httplog json' not usable with proxy 'l' (needs 'mode http'); falling \
               back to 'option tcplog json'"],
        ),
        (
            "listen l\nbind :1\nlog ring@r format raw local0\n\
             ring r\nsize 100\nmaxlen 20000\ntimeout client 1s\n\
             server s 192.0.2.1:1 weight 2 check\n\
             backend b\nserver s 192.0.2.1:1 log-proto legacy\n",
            &[
                "7: 'format' has no effect on what is logged to a ring",
                "8: missing timeouts for ring 'r'",
                "8: ring 'r' event max length '20000' exceeds size, forced to size '16384'",
                "9: ignoring new size '100' that is smaller than current size '16384' for ring \
                 'r'",
                "11: 'timeout client' has no effect in a 'ring' section",
                "12: 'weight' has no effect in a 'ring' section",
                "12: 'server ... check' has no effect: there are no health checks yet: servers \
                 count as up",
                "14: 'log-proto' has no effect outside of 'ring' sections",
            ],
        ),
        (
            "backend b\noption httplog\n",
            &["6: 'option httplog' ignored because backend 'b' has no frontend capability"],
        ),
        (
            "listen l\nbind :1\ntimeout client 0\ntimeout connect 0\nserver s 192.0.2.1:1\n",
            &["5: missing timeouts for proxy 'l'"],
        ),
        (
            "backend b\nserver s 192.0.2.1:1 check\nserver t 192.0.2.1:2 check inter 3s cookie x\n",
            &[
                "6: 'server ... check' has no effect: there are no health checks yet: servers \
             count as up",
                "7: 'server ... inter' has no effect: there are no health checks yet: servers \
             count as up",
                "7: 'server ... cookie' has no effect: there is no persistence yet: each request \
             is balanced",
            ],
        ),
        (
            "userlist u\nuser x insecure-password y\nuser x\ngroup g\ngroup g\nuser z password y\n\
          userlist u\n",
            &[
                "7: ignoring duplicated user 'x' in userlist 'u'",
                "9: ignoring duplicated group 'g' in userlist 'u'",
                "10: the password of user 'z' is no hash of a known form: no password will fit it",
                "11: ignoring duplicated userlist 'u'",
            ],
        ),
        (
            "listen l\nbind :1 thread 1-4\nstats enable\nstats uri /s\n\
             tcp-request connection track-sc0 src\n",
            &[
                "6: 'bind ... thread' has no effect: threads are not bound to CPUs, listeners or \
             niceness yet",
                "7: 'stats enable' has no effect: there is no statistics page yet",
                "8: 'stats uri' has no effect: there is no statistics page yet",
                "9: 'tcp-request connection track-sc0' has no effect: there are no stick tables \
             and counters yet",
            ],
        ),
    ] {
        let text = format!("{TIMEOUTS}{text}");
        let (_, warnings) = build_with(&text, &CliOverrides::default()).unwrap();
        let expected: Vec<String> = expected.iter().map(|w| format!("Warning {w}")).collect();
        assert_eq!(warnings, expected, "{text}");
    }
}

#[test]
fn the_same_warning_is_given_once() {
    let text =
        format!("{TIMEOUTS}backend b\nserver s 192.0.2.1:1 check\nserver t 192.0.2.1:2 check\n");
    let sources = [Source::new("t.cfg", text)];
    let (_, warnings) = build(&sources, &CliOverrides::default(), &host()).unwrap();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].help, ["the same is true of 1 more line"]);
}

#[test]
fn every_keyword_that_works_is_compiled() {
    // A keyword without its arguments draws a complaint or not; what it must never do is to reach
    // the assertion for keywords that nobody compiles.
    for context in keywords::contexts() {
        for keyword in keywords::table(context) {
            let name = keyword.name;
            let line = match context {
                Context::Line(SectionKind::Global) => format!("global\n{name}\n{name} 1\n"),
                Context::Line(kind) if kind.is_proxy() => ["frontend", "backend"]
                    .map(|kind| format!("{kind} {kind}\n{name}\n{name} 1\n"))
                    .concat(),
                Context::Line(kind) => format!("{} x\n{name}\n{name} 1\n", kind.as_str()),
                Context::Option => ["option", "no option"]
                    .map(|option| format!("listen {}\n{option} {name}\n", option.len()))
                    .concat(),
                Context::Bind => format!("listen l\nbind :1 {name} 1\n"),
                Context::Server => format!("listen l\nserver s 192.0.2.1 {name} 1\n"),
                Context::Rule(ruleset) => format!("listen l\n{ruleset} {name}\n"),
            };
            let _ = build_with(&line, &CliOverrides::default());
        }
    }
}
