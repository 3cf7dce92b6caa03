//! Where Tidegate differs from HAProxy on purpose, or where the reference depends on the machine it
//! was made on.

/// What is not compared, or compared otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The log.
    Log,
    /// How the connection of this name ended.
    End(&'static str),
    /// All that this socket received.
    Socket(&'static str),
    /// Nothing at all: it is only played.
    All,
}

use What::*;

const RETRIED: &str = "a request that is safe to repeat is tried again on a fresh connection";
const STRICT: &str = "refused, as the http module says";
const HOP: &str = "what is meant for one hop ends there, as the http module says";
const TRAILERS: &str = "trailers are dropped, as the http module says";
const CHUNKS: &str = "HAProxy cuts chunks anew where bytes came apart";
const ABORT: &str = "an exchange that ends in the middle resets its server's connection";
const BOTH_WAYS: &str = "a tunnel that timed out ends both ways";
const KERNEL: &str = "depends on how much the kernel holds";
const SILENT: &str = "HAProxy resets a connection to a server that nothing was sent on";

/// Scenario, what, and why.
pub const ALLOWED: &[(&str, What, &str)] = &[
    ("response-trailers", All, TRAILERS),
    ("post-trailers", Socket("o"), TRAILERS),
    ("response-chunked-http10", All, "an HTTP/1.0 client knows no chunks"),
    ("interim-http10", Socket("c"), "an HTTP/1.0 client knows no interim answers"),
    ("post-length-and-chunked", All, STRICT),
    ("headers-folded", All, STRICT),
    ("headers-bare-lf", All, STRICT),
    ("connection-listed", Socket("c"), HOP),
    ("connection-listed", Socket("o"), HOP),
    ("connection-close-listed", Socket("o"), HOP),
    ("te-kept", Socket("o"), HOP),
    ("upgrade-http10", Socket("o"), HOP),
    ("upgrade-timeout-tunnel", End("o"), BOTH_WAYS),
    ("websocket-accept-missing", End("o"), ABORT),
    ("connect-length", Socket("c"), "a length that means nothing is not passed on"),
    ("connect-timeout-silent", End("o"), SILENT),
    ("reuse-dies", All, RETRIED),
    ("reuse-dies-reset", All, RETRIED),
    ("reuse-dies-shared", All, RETRIED),
    ("reuse-dies-post", Log, "what failed is logged, although the client is not told"),
    ("bad-chunk", End("o"), ABORT),
    ("bad-chunk-answered", End("o"), ABORT),
    ("bad-chunk-answering", End("o"), ABORT),
    ("response-chunk", End("o"), ABORT),
    ("client-body-chunked", Socket("o"), CHUNKS),
    ("client-data", End("o"), ABORT),
    ("client-data-close", End("o"), ABORT),
    ("client-data-to-close", End("o"), ABORT),
    ("server-chunk", All, CHUNKS),
    ("server-to-close-reset", End("c"), "a cut body does not look whole"),
    ("timeout-server-chunk", Socket("c"), CHUNKS),
    ("server-leaves-body", All, "the client is told that the server failed"),
    ("timeout-client-read", Log, KERNEL),
    ("tcp-timeout-read", Log, KERNEL),
    ("tcp-nolinger", End("o"), "the kernel resets; the script has none"),
    ("tcp-timeout-tunnel-silent", End("o"), SILENT),
    ("proxy-cut", Log, "a PROXY header may come in pieces"),
    ("proxy-cut", Socket("c"), "a PROXY header may come in pieces"),
    (
        "tarpit-abortonclose-half",
        Socket("c"),
        "who ended its stream is told that the connection ends",
    ),
    ("no-port", All, "the script does not run out of ports"),
    ("log-cut", Log, "where it is cut depends on the digits of pid and port"),
];

/// Scenarios in which it matters what has arrived when: in pieces they are others.
pub const CUT: &[&str] = &[
    "bad-chunk",
    "bad-chunk-at-once",
    "response-chunk-at-once",
    "bad-chunk-answered",
    "bad-chunk-answering",
    "deny-post-whole",
    "client-waiting-answer",
    "log-asap",
];

/// What is allowed in a scenario.
pub fn allowed(scenario: &str) -> Vec<What> {
    ALLOWED.iter().filter(|(name, ..)| *name == scenario).map(|(_, what, _)| *what).collect()
}
