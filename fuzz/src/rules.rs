//! Lines of rules, conditions, expressions and formats in a proxy, and an exchange through it: what
//! the input has the client and the server say, and what the rules make of it. Whatever they are,
//!
//! - every server hears requests and nothing else, as the reference reads them, and the client hears
//!   responses: no value that a rule puts into a message breaks out of its place. Whether a target
//!   that rules have made is one that the method takes is the operator's affair, as with HAProxy;
//! - a line of the log is one line, and what somebody sent adds no control character to it;
//! - the audits hold, and nothing is left.
//!
//! Which rule does what is not looked at here: that is compared with HAProxy elsewhere.

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::{MapHost, Source};

use crate::Target;
use crate::peer::Peer;
use crate::reference::stream::{self, Ended};
use crate::stage::Stage;

/// Rules, conditions and expressions.
pub const RULES: Target = Target { name: "rules", run: rules, seeds: rule_seeds, words };

/// Formats of log lines.
pub const FORMAT: Target = Target { name: "log_format", run: format, seeds: format_seeds, words };

/// What parts of an input are separated by.
const CUT: &[u8] = b"\n==\n";

/// Lines of a configuration that an input may have.
const LINES_MAX: usize = 24;

/// What a line may begin with; others could put up another proxy than the one that is tried.
const KEYWORDS: [&str; 14] = [
    "acl",
    "capture",
    "declare",
    "http-after-response",
    "http-request",
    "http-response",
    "log-format",
    "redirect",
    "tcp-request",
    "tcp-response",
    "unique-id-format",
    "unique-id-header",
    "use-server",
    "use_backend",
];

const CONFIG: &str = "global
 log 127.0.0.1:514 local0
defaults
 mode http
 log global
 option httplog
 timeout connect 200
 timeout client 500
 timeout server 600
backend b2
 server s2 10.0.0.2:1
listen l
 bind :80
 server s1 10.0.0.1:1
";

const REQUEST: &[u8] = b"GET /a%20b/../c?x=1&y=%0d%0aZ:%201 HTTP/1.1\r\nHost: h.example:80\r\n\
    User-Agent: \"u\"\\ %\tx\r\nCookie: a=b; c=%41\r\nX-Code: %0d%0aX-In:%201\r\n\
    X-Base: DQpYLUluOiAx\r\nX-List: 1, 2 ,,3\r\n\r\n";

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: s=%0a\r\nX-Code: %0d%0aX-In:%201\r\n\r\nok";

/// Runs `rules` on `LINES == REQUEST == RESPONSE`, of which the last two may be missing.
///
/// # Panics
///
/// If one of the above does not hold.
pub fn rules(data: &[u8]) {
    let mut parts = cut(data).into_iter();
    let lines = parts.next().unwrap_or_default();
    let allowed = lines.split(|byte| *byte == b'\n').take(LINES_MAX).filter(|line| {
        let word = line.split(|byte| *byte == b' ').find(|word| !word.is_empty());
        word.is_some_and(|word| KEYWORDS.iter().any(|keyword| keyword.as_bytes() == word))
            && !has_control(line)
    });
    let mut config = CONFIG.as_bytes().to_vec();
    for line in allowed {
        config.push(b' ');
        config.extend_from_slice(line);
        config.push(b'\n');
    }
    let request = parts.next().unwrap_or(REQUEST);
    let response = parts.next().unwrap_or(RESPONSE);
    play(&config, request, response);
}

/// Runs `log_format` on `FORMAT == REQUEST == RESPONSE`.
///
/// # Panics
///
/// If one of the above does not hold.
pub fn format(data: &[u8]) {
    let mut parts = cut(data).into_iter();
    let format = parts.next().unwrap_or_default();
    // In double quotes, as the lexer has it: nothing in it means anything but to the format. A
    // control character in the operator's own text goes into the log as it is, in HAProxy too.
    let mut config = CONFIG.as_bytes().to_vec();
    config.extend_from_slice(b" log-format \"");
    for byte in format.iter().filter(|byte| !byte.is_ascii_control()) {
        config.extend(format!("\\x{byte:02x}").into_bytes());
    }
    config.extend_from_slice(b"\"\n");
    let request = parts.next().unwrap_or(REQUEST);
    let response = parts.next().unwrap_or(RESPONSE);
    play(&config, request, response);
}

/// The parts of an input.
fn cut(mut data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) = data.windows(CUT.len()).position(|window| window == CUT) {
        parts.push(&data[..at]);
        data = &data[at + CUT.len()..];
    }
    parts.push(data);
    parts
}

/// Whether the operator writes control characters. They go where the text goes, but for line ends
/// and NUL, in HAProxy too; it is what others send that must not.
fn has_control(line: &[u8]) -> bool {
    let escapes: [&[u8]; 4] = [b"\\x0", b"\\x1", b"\\x7f", b"\\x7F"];
    line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
        || escapes.iter().any(|escape| line.windows(escape.len()).any(|window| window == *escape))
}

/// A client that says `request` and a server that answers each with `response`.
fn play(config: &[u8], request: &[u8], response: &[u8]) {
    let sources = [Source::new("t.cfg", config)];
    if build(&sources, &CliOverrides::default(), &MapHost::default()).is_err() {
        return;
    }
    let Ok(config) = core::str::from_utf8(config) else { return };
    let mut stage = Stage::new(config, 1, |_| {});
    let mut client = Peer::new(stage.client(0));
    let mut servers: Vec<Peer> = Vec::new();
    client.say(&mut stage.net, request);
    // Rules may wait, for a body or as long as they say; then nobody waits any more.
    for round in 0..12 {
        settle(&mut stage, &mut client, &mut servers);
        for server in &mut servers {
            answer(&mut stage, server, response);
        }
        if round > 4 {
            stage.advance(300);
        }
    }
    settle(&mut stage, &mut client, &mut servers);
    stage.finish(|net, ending| {
        for peer in servers.iter_mut().chain([&mut client]) {
            peer.hear(net);
            peer.ended |= ending == Some(peer.wire);
        }
    });
    check(&stage, &client, &servers, request, response);
}

fn settle(stage: &mut Stage, client: &mut Peer, servers: &mut Vec<Peer>) {
    loop {
        stage.turns();
        let Some((wire, _)) = stage.net.dialled() else { break };
        if stage.net.closed(wire).is_none() {
            stage.net.establish(wire);
            servers.push(Peer::new(wire));
        }
    }
    for peer in servers.iter_mut().chain([client]) {
        peer.hear(&mut stage.net);
    }
}

/// One answer for each request that is whole and has none.
fn answer(stage: &mut Stage, server: &mut Peer, response: &[u8]) {
    let heard = stream::rewritten_requests(&server.heard);
    let whole = heard.list.iter().filter(|message| message.whole).count();
    let given = server.said.len() / response.len().max(1);
    if given < whole && !response.is_empty() {
        server.say(&mut stage.net, response);
        stage.turns();
        server.hear(&mut stage.net);
    }
}

fn check(stage: &Stage, client: &Peer, servers: &[Peer], request: &[u8], response: &[u8]) {
    let asked = stream::all_requests(request).list;
    for server in servers {
        let heard = stream::rewritten_requests(&server.heard);
        let text = || server.heard.escape_ascii().to_string();
        assert!(heard.ended != Ended::Bad, "a server hears no request: {}", text());
        let fits = heard.list.len() <= asked.len();
        assert!(fits, "{} requests became more: {}", asked.len(), text());
    }
    let answered = servers.iter().any(|server| server.said.starts_with(response));
    // What the answer is to, rules may have changed; what is none is answered as if it was a GET.
    let same = |method: &[u8]| vec![method.to_vec(); asked.len() + 1];
    let methods = asked.iter().map(|message| message.head.method().to_vec());
    let mut tries = vec![methods.chain([b"GET".to_vec()]).collect()];
    tries.extend([&b"GET"[..], b"HEAD", b"CONNECT"].map(same));
    let good =
        |methods: &Vec<Vec<u8>>| stream::responses(&client.heard, methods).ended != Ended::Bad;
    let good = tries.iter().any(good);
    let text = || client.heard.escape_ascii().to_string();
    assert!(good, "the client hears no response (answered: {answered}): {}", text());
    for line in &stage.net.logged {
        let clean = line.bytes().all(|byte| byte >= b' ' && byte != 0x7f);
        assert!(clean, "a control character in the log: {}", line.escape_debug());
    }
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(CUT)
}

const LINES: &[&str] = &[
    "http-request set-header X-Out %[req.hdr(x-code),url_dec]",
    "http-request add-header X-Out \"%[req.hdr(x-base),b64dec] %[src]\"",
    "http-request set-path \"%[path,url_dec]\"",
    "http-request set-query \"%[query,url_dec]\"",
    "http-request set-uri \"%[req.hdr(x-code),url_dec]\"",
    "http-request set-method \"%[req.hdr(x-code),url_dec]\"",
    "http-request replace-header Cookie (.*)=(.*) \\2:\\1",
    "http-request replace-path (.*) /p\\1",
    "http-request replace-value X-List ([0-9]) <\\1>",
    "http-request del-header x- -m beg",
    "acl a path_beg /a\nacl b req.hdr(host) -m dom example\nhttp-request deny deny_status 429 if a !b || b { method GET }",
    "http-request redirect location \"http://%[req.hdr(x-code),url_dec]/%[path]\" code 302",
    "redirect prefix /%[url_param(y)] if { path -m sub %20 }",
    "http-request return status 200 content-type text/plain lf-string \"%[req.hdr(x-code),url_dec]\" hdr X-Out \"%[url_param(y)]\"",
    "http-request set-var(txn.a) req.hdr(x-code),url_dec\nhttp-response set-header X-Out %[var(txn.a)]",
    "http-response set-status 404 reason \"%0d%0a\"",
    "http-response add-header X-Out \"%[res.hdr(x-code),url_dec]\"",
    "http-after-response set-header X-Out \"%[res.cook(s),url_dec]\"",
    "tcp-request inspect-delay 50ms\ntcp-request content accept if { req.len gt 10 }\ntcp-request content reject",
    "use_backend b2 if { url_param(x) -m int 1 }",
    "use-server s1 unless { req.cook(a) b }",
    "capture request header X-Code len 40\ncapture response header X-Code len 40",
    "http-request capture req.hdr(x-code),url_dec len 60",
    "unique-id-format %{+X}o\\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid\nunique-id-header X-Id",
    "http-request early-hint Link \"%[req.hdr(x-code),url_dec]\"",
    "http-request wait-for-body time 100ms at-least 10\nhttp-request set-header X-Body %[req.body,hex]",
    "http-request normalize-uri path-merge-slashes\nhttp-request normalize-uri query-sort-by-name",
    "http-request tarpit if { rand(2) 0 }",
    "http-request set-header X-Out %[req.hdr(x-list),word(2,\\,),add(3),mul(7),json]",
    "http-request set-header X-Out \"%[req.hdrs]\"\nhttp-request set-header X-In %[unique-id]",
];

fn rule_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = LINES.iter().map(|line| line.as_bytes().to_vec()).collect();
    let post = b"POST /?y=%0a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
        GET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Code: %0a\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    seeds.push(join(&[LINES[0].as_bytes(), post, chunked]));
    seeds.push(join(&[LINES[25].as_bytes(), post, b"HTTP/1.1 304 No\r\n\r\n"]));
    seeds.push(LINES.join("\n").into_bytes());
    seeds
}

const FORMATS: &[&str] = &[
    "",
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r",
    "%{+Q}o %{-Q}ci \"%r\" %%",
    "%{+X}Ts %{+E}HU %HM %HP %HQ %HV %ID %pid %rt %lc",
    "%{+Q,+E}[req.hdr(x-code),url_dec] %[src] %[req.hdr(user-agent)]",
    "%{+E}o %[req.hdr(user-agent)] [%[path,url_dec]]",
    "%[req.hdr(x-base),b64dec]",
    "%[res.hdr(x-code),url_dec,hex] %[status]",
    "%t %T %trl %trg %Th %Ti %Td %Tu %Tq %Tt %Tl %ms %U %sslv %sslc",
    "%hrl %hsl %fi %fp %bi %bp %si %sp %f %H %U %trr",
    "%{",
    "%{+Q",
    "%[",
    "%[path",
    "%nothing",
    "%",
    "%{+Q}",
    "a%%b%%%ci",
];

fn format_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = FORMATS.iter().map(|text| text.as_bytes().to_vec()).collect();
    seeds.push(join(&[FORMATS[1].as_bytes(), b"GET /\x01 HTTP/1.1\r\n\r\n"]));
    seeds.push(join(&[FORMATS[4].as_bytes(), b"GET / HTTP/1.0\r\nX-Code: %0a%00%ff\r\n\r\n"]));
    seeds
}

fn words() -> Vec<Vec<u8>> {
    let words = [
        "\n==\n",
        "http-request ",
        "http-response ",
        "http-after-response ",
        "acl a ",
        "use_backend b2 ",
        "set-header X-Out ",
        "add-header ",
        "del-header ",
        "replace-header ",
        "replace-value ",
        "replace-path ",
        "replace-uri ",
        "set-path ",
        "set-pathq ",
        "set-query ",
        "set-uri ",
        "set-method ",
        "set-status ",
        "set-var(txn.a) ",
        "set-var-fmt(txn.a) ",
        "unset-var(txn.a)",
        "redirect location ",
        "redirect prefix ",
        "redirect scheme ",
        "return status 200 ",
        "lf-string ",
        "string ",
        "content-type ",
        "hdr X ",
        "deny deny_status ",
        "tarpit",
        "capture ",
        "early-hint ",
        "normalize-uri ",
        "wait-for-body time 1s",
        "if ",
        "unless ",
        " or ",
        "||",
        "!",
        "{ ",
        " }",
        "-m ",
        "-i ",
        "-- ",
        "reg ",
        "beg ",
        "end ",
        "sub ",
        "dom ",
        "dir ",
        "len ",
        "int ",
        "str ",
        "found",
        "bool",
        "%[",
        "]",
        "%{+Q}",
        "%{+E}",
        "%{+X}",
        "%ci",
        "%r",
        "%hr",
        "%HU",
        "req.hdr(",
        "req.hdrs",
        "req.body",
        "req.cook(",
        "req.len",
        "res.hdr(",
        "res.cook(",
        "path",
        "query",
        "url",
        "url_param(",
        "base",
        "method",
        "src",
        "dst",
        "var(txn.a)",
        "rand(2)",
        "status",
        "hdr_cnt(",
        ",url_dec",
        ",url_enc",
        ",b64dec",
        ",base64",
        ",hex",
        ",lower",
        ",word(1,\\,)",
        ",field(1,:)",
        ",bytes(0,5)",
        ",add(1)",
        ",json",
        ",concat(",
        ",regsub(",
        ",iif(a,b)",
        ",length",
        "%0d%0a",
        "%00",
        "\\1",
        "\r\n",
        "X-Code",
        "X-Base",
    ];
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
