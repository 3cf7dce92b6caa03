//! The configuration: lines into words, conditions, and whole files into sites. Nothing panics,
//! every complaint has its place, and an engine can be made of whatever is accepted.

use std::sync::Arc;

use tidegate_core::build::{CliOverrides, build};
use tidegate_core::config::condition::{evaluate, evaluate_argument};
use tidegate_core::config::diagnostic::closing;
use tidegate_core::config::keywords;
use tidegate_core::config::lexer::{self, LexError, Place, WORDS_MAX};
use tidegate_core::config::{Diagnostic, Environment, MapHost, Source, Word};
use tidegate_core::engine::{Engine, Setup};
use tidegate_core::proxy::shared::Shared;
use tidegate_core::rng::Seed;
use tidegate_core::script::Script;
use tidegate_core::time::Now;

use crate::Target;

/// One line into words.
pub const LEXER: Target =
    Target { name: "config_lexer", run: lexer, seeds: lexer_seeds, words: lexer_words };

/// Whole files.
pub const CONFIG: Target = Target { name: "config", run: config, seeds: config_seeds, words };

/// Conditions of `.if` and `-cc`.
pub const CONDITION: Target =
    Target { name: "condition", run: condition, seeds: condition_seeds, words: condition_words };

/// A machine with a little of everything that a configuration may ask for.
fn host() -> MapHost {
    MapHost::default()
        .with_env("A", "one")
        .with_env("SPLIT", " b  c ")
        .with_env("EMPTY", "")
        .with_file("/etc/errors/503.http", "HTTP/1.0 503 No\r\n\r\nno\n")
        .with_file("/etc/errors/bad.http", "no")
        .with_name("web", &["10.0.0.9".parse().expect("an address"), "::9".parse().expect("one")])
}

const PLACE: Place<'_> = Place { file: "t.cfg", file_index: 0, line: 7, section: "s" };

/// Runs `config_lexer` on one line.
///
/// # Panics
///
/// If a word is not where it is said to be, or does not survive being quoted and read again.
pub fn lexer(data: &[u8]) {
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let host = host();
    let env = Environment::new(&host);
    let words = match lexer::words(line, PLACE, &env) {
        Ok(words) => words,
        Err(LexError { at, .. }) => return assert!(at <= line.len(), "a fault at {at}"),
    };
    assert!(words.len() <= WORDS_MAX);
    let mut end = 0;
    for word in &words {
        let span = word.span;
        assert_eq!((span.file, span.line), (0, 7));
        assert!(span.start <= span.end && span.end as usize <= line.len(), "{word:?}");
        assert!(span.start >= end || span.start == words[0].span.start || split(line), "{word:?}");
        end = span.start;
        assert!(!word.bytes().contains(&0), "{word:?}");
    }
    check_again(&words, &env, quoted);
    check_again(&words, &env, escaped);
}

/// Whether a variable may have become several words, which then have one place.
fn split(line: &[u8]) -> bool {
    line.windows(3).any(|w| w == b"[*]")
}

/// Words that are written in another way are read as the same.
fn check_again(words: &[Word], env: &Environment<'_>, write: fn(&[u8]) -> Vec<u8>) {
    let line = words.iter().map(|word| write(word.bytes())).collect::<Vec<_>>().join(&b' ');
    let again = lexer::words(&line, PLACE, env);
    let again = again.unwrap_or_else(|error| panic!("{error:?} in {}", line.escape_ascii()));
    let bytes = |words: &[Word]| words.iter().map(|w| w.bytes().to_vec()).collect::<Vec<_>>();
    assert_eq!(bytes(&again), bytes(words), "{}", line.escape_ascii());
}

/// In double quotes, with hexadecimal digits for whatever could mean something.
fn quoted(word: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in word {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'#' | b'\'' => out.push(*byte),
            _ => out.extend(format!("\\x{byte:02x}").into_bytes()),
        }
    }
    out.push(b'"');
    out
}

/// In single quotes as far as possible.
fn escaped(word: &[u8]) -> Vec<u8> {
    let mut out = b"''".to_vec();
    for byte in word {
        match byte {
            b'\'' => out.extend(b"\\'"),
            b'\n' => out.extend(b"\\n"),
            _ => out.extend([b'\'', *byte, b'\'']),
        }
    }
    out
}

/// Runs `config` on one file.
///
/// # Panics
///
/// If a complaint has no place in the file, or no engine can be made of what was accepted.
pub fn config(data: &[u8]) {
    let host = host();
    let sources = [Source::new("/etc/t.cfg", data)];
    let cli = CliOverrides::default();
    let built = build(&sources, &cli, &host);
    let complaints = match &built {
        Ok((_, complaints)) | Err(complaints) => complaints,
    };
    for complaint in complaints {
        check_place(complaint, data);
    }
    for complaint in complaints.iter().take(20) {
        let text = complaint.plain(&sources, 1);
        assert!(text.starts_with('[') && text.ends_with('\n'), "{text}");
        assert!(!complaint.terminal(&sources, complaints.len() == 1).is_empty());
    }
    let Ok((site, _)) = built else {
        assert!(closing(complaints, &sources, 1).ends_with("found in configuration.\n"));
        return;
    };
    let site = Arc::new(site);
    let shared = Arc::new(Shared::new(&site, 1));
    let mut engine = Engine::new(Setup { site, shared, id: 0, engines: 1, seed: Seed(1), pid: 1 });
    let mut net = Script::default();
    if engine.start(&mut net, Now::default()).is_ok() {
        engine.turn(&mut net, &mut (), Now::default());
        engine.audit();
    }
}

fn check_place(complaint: &Diagnostic, data: &[u8]) {
    let whole = ["more messages are not shown", "'zero-warning' is set"];
    let Some(span) = complaint.span else {
        let known = whole.iter().any(|text| complaint.message.contains(text));
        return assert!(known, "no place: {complaint:?}");
    };
    let line = data.split(|byte| *byte == b'\n').nth((span.line as usize).wrapping_sub(1));
    let Some(line) = line.filter(|_| span.file == 0) else {
        panic!("no such line: {complaint:?}");
    };
    // Just behind the line, if something is missing there.
    let fits = span.start <= span.end && span.end as usize <= line.len() + 1;
    assert!(fits, "no such bytes in {} of them: {complaint:?}", line.len());
}

/// Runs `condition` on one expression.
///
/// # Panics
///
/// If a condition contradicts what is made of it by `!`, `&&` and `||`.
pub fn condition(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let host = host();
    let env = Environment::new(&host);
    let _ = evaluate_argument(text, &env);
    let found = evaluate(text, &env);
    if text.trim_matches([' ', '\t']).is_empty() {
        return;
    }
    let Ok(truth) = found else {
        // What others stand around may balance parentheses and quotes.
        if text.contains(['(', ')', '"', '\'', '\\']) {
            return;
        }
        for worse in [format!("!({text})"), format!("({text})"), format!("1&&({text})")] {
            assert!(evaluate(&worse, &env).is_err(), "{text:?} is none, and {worse:?} is");
        }
        return;
    };
    for (other, expected) in [
        (format!("!({text})"), !truth),
        (format!("!!({text})"), truth),
        (format!(" ( {text} ) "), truth),
        (format!("({text})&&1"), truth),
        (format!("0||({text})"), truth),
        (format!("({text})||!({text})"), true),
        (format!("({text})&&!({text})"), false),
    ] {
        match evaluate(&other, &env) {
            Ok(found) => assert_eq!(found, expected, "{other:?}"),
            Err(error) => assert!(error.to_string().contains("nested"), "{error} in {other:?}"),
        }
    }
}

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const LINES: &[&str] = &[
    "server s1 10.0.0.1:80 check",
    "a \"b c\" 'd e' f\\ g # comment",
    "\"$A\" \"${A}\" \"${NONE-x y}\" \"${SPLIT[*]}\" $A",
    "\"${.FILE}:${.LINE} ${.SECTION}\"",
    "\\x41\\n\\t\\r\\\\\\#\\\"\\' \\q",
    "\"\\$A\\\"'\"",
    "\"unclosed",
    "'unclosed",
    "\"${A\"",
    "\"$1\"",
    "\\x4",
    "\\x00",
    "\"${A[0]}\"",
    "a\tb\r",
    "a\u{e9}\u{fc} \"\"",
    "\"${SPLIT[*]}${SPLIT[*]}\"x",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 \
     35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65",
];

fn lexer_seeds() -> Vec<Vec<u8>> {
    bytes(LINES)
}

fn lexer_words() -> Vec<Vec<u8>> {
    bytes(&[
        "\"", "'", "\\", "\\x", "$", "${", "}", "[*]", "-", ".FILE", ".LINE", ".SECTION", "A",
        "SPLIT", "EMPTY", "#", "\t", "\\x00",
    ])
}

const CONDITIONS: &[&str] = &[
    "1",
    "0",
    "!0",
    "-0x1f",
    "defined(A)",
    "!defined(NONE) && feature(THREAD)",
    "streq(a,\"a\") || strneq('b,c',d)",
    "version_atleast(2.4-dev3-12)",
    "version_before(v2.6.12) && (1 || 0)",
    "((((1))))",
    "feature(OPENSSL) && openssl_version_atleast(1.1.1)",
    "ssllib_name_startswith(x)",
    "defined(\"A\\\")",
    "streq(a)",
    "streq(a,b,c)",
    "1 &&",
    "(1",
    "1 1",
    "#\"#'#",
    "nothing(1)",
];

fn condition_seeds() -> Vec<Vec<u8>> {
    bytes(CONDITIONS)
}

fn condition_words() -> Vec<Vec<u8>> {
    bytes(&[
        "defined(",
        "feature(",
        "streq(",
        "strneq(",
        "version_atleast(",
        "version_before(",
        "openssl_version_atleast(",
        "openssl_version_before(",
        "ssllib_name_startswith(",
        "&&",
        "||",
        "!",
        "(",
        ")",
        ",",
        "0x",
        "-dev",
        "\"",
        "'",
        "\\",
        "THREAD",
        "OPENSSL",
    ])
}

const PROXIES: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 2s\n timeout \
                       server 3s\n";

fn config_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        format!("global\n maxconn 100\n log 127.0.0.1:514 local0\n{PROXIES} log global\n"),
        format!("{PROXIES}frontend f\n bind :80\n bind [::1]:81 name x\n default_backend b\n\
                 backend b\n balance leastconn\n server s1 10.0.0.1:80 weight 5 maxconn 3 backup\n \
                 server s2 web:80 disabled\n"),
        format!("{PROXIES}listen l\n bind :80\n option httplog\n option forwardfor except \
                 10.0.0.0/8\n http-reuse always\n errorfile 503 /etc/errors/503.http\n server s1 \
                 10.0.0.1:80\n"),
        format!("{PROXIES}defaults d from x\nlisten l from d\n bind :80-82\n bind /run/x.sock mode \
                 660\n http-request deny if TRUE\n http-request tarpit unless {{ always_false }}\n"),
        "global\n setenv X y\n presetenv X z\n unsetenv X\n resetenv A\n.if defined(X)\n.alert \
         \"no\"\n.elif streq(\"$A\",one)\n.warning 'w'\n.else\n.notice n\n.endif\n"
            .to_owned(),
        ".if 1\n.if 0\n.else\n.endif\n.elif\n.endif x\n.endif\n.diag \"d\"\n.what\n".to_owned(),
        "frontend f\n bind :80\n use_backend none if TRUE\n no option httplog\n default option \
         httplog\n no mode http\n"
            .to_owned(),
        "listen l\n mode tcp\n bind :80\n balance source\n hash-type consistent\n stick-table type \
         ip size 1m\n acl x src 10.0.0.1\n tcp-request content accept\n server-template s 1-3 \
         web:80\n"
            .to_owned(),
        "frontend f g\nbackend\nlisten a/b\nuserlist u\n user x insecure-password y\npeers p\n \
         peer q 10.0.0.1:1\nresolvers r\nhttp-errors e\n errorfile 503 /etc/errors/503.http\n"
            .to_owned(),
        "listen l\n bind :80\n server s1 10.0.0.1:99999\n server s1 nowhere:80\n server s1 \
         10.0.0.1 weight 999 maxconn -1\n timeout client 99999999999s\n"
            .to_owned(),
        "global\n nbthread 4\n tune.bufsize 1\n tune.maxrewrite 99999999\n maxconn 0\n zero-warning\n"
            .to_owned(),
        "global\n daemon\n nosuch\n\"unclosed\nlisten l\n bind :80\n\0".to_owned(),
        "listen l # comment\r\n bind :80\r\n".to_owned(),
        "listen l\n bind :80".to_owned(),
        String::new(),
    ];
    seeds.extend(
        ["balance roundrobin", "balance uri depth 3", "balance hdr(host)", "balance random(2)"]
            .map(|line| format!("{PROXIES}listen l\n bind :80\n {line}\n server s1 10.0.0.1:80\n")),
    );
    seeds.into_iter().map(String::into_bytes).collect()
}

/// Every keyword of every section, and what stands around them.
fn words() -> Vec<Vec<u8>> {
    let mut words = bytes(&[
        "global\n",
        "defaults\n",
        "frontend f\n",
        "backend b\n",
        "listen l\n",
        " bind :80\n",
        " server s1 10.0.0.1:80 ",
        " if TRUE",
        " unless FALSE",
        "no ",
        "default ",
        ".if ",
        ".elif ",
        ".else\n",
        ".endif\n",
        " from ",
        "10.0.0.1:80",
        "[::1]:80",
        "/run/x.sock",
        "1ms",
        "1d",
        "4294967296",
        "-1",
        "100%",
        "local0",
        "{ always_true }",
        "/etc/errors/503.http",
        "web:80",
        "\"",
        "\\x00",
        "${A}",
        "[*]",
    ]);
    let mut names: Vec<&str> = keywords::contexts()
        .flat_map(|context| keywords::table(context).iter().map(|keyword| keyword.name))
        .collect();
    names.sort_unstable();
    names.dedup();
    words.extend(names.into_iter().map(|name| format!(" {name} ").into_bytes()));
    words
}
