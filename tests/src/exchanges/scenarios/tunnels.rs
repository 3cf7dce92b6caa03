//! CONNECT and 101: what comes behind the heads is no longer HTTP.

use super::{BOTH_WAYS, CUT_SHORT, GET, OK, answered, asked};
use crate::exchanges::scenario::{Scenario, http};
use crate::exchanges::script::*;

pub fn scenarios() -> Vec<Scenario> {
    [connect(), upgrade()].concat()
}

const CONNECT: &str = "CONNECT www:443 HTTP/1.1\r\nHost: www:443\r\n\r\n";
const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: www\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";
const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";
const WEBSOCKET: &str = "GET /chat HTTP/1.1\r\nHost: www\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Bytes in both directions, then the client ends and the server after it.
fn talked() -> Vec<Step> {
    vec![
        send("c", "ping"),
        body("o", 4),
        send("o", "pong"),
        body("c", 4),
        shut_write("c"),
        rest("o"),
        send("o", "bye"),
        close("o"),
        rest("c"),
    ]
}

fn connect() -> Vec<Scenario> {
    vec![
        http("connect", "a tunnel after 200; the client ends first")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps(talked())
            .codes(["--"]),
        http("connect-server-ends", "a tunnel; the server ends first")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps([send("o", "hello"), body("c", 5), shut_write("o"), rest("c")])
            .steps([close("c"), rest("o")])
            .codes(["--"]),
        http("connect-length", "a length in the answer to CONNECT means nothing")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\nContent-Length: 5\r\n\r\n", 0))
            .steps(talked())
            .codes(["--"])
            .allow("c 1 header", "a length means nothing here (RFC 9110 section 9.3.6)"),
        http("connect-refused", "CONNECT is answered by 403: no tunnel")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nhello", 5))
            .steps([quiet("c", 50), close("c")])
            .codes(["--"]),
        http("connect-early", "bytes behind the request wait for the answer")
            .steps([open("c"), send("c", format!("{CONNECT}early")), accept("o", "s1"), head("o")])
            .steps([quiet("o", 50)])
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps([body("o", 5), close("c"), rest("o"), close("o")])
            .codes(["--"]),
        http("connect-timeout-tunnel", "an idle tunnel")
            .backend("timeout tunnel 300ms")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps([send("c", "ping"), body("o", 4), send("o", "pong"), body("c", 4)])
            .steps([rest("c"), rest("o")])
            .codes(["cD"]),
        http("connect-timeout-silent", "a tunnel that never carried a byte")
            .backend("timeout tunnel 300ms")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps([rest("c"), rest("o")])
            .codes(["cD"])
            .allow("o 3", BOTH_WAYS),
        http("connect-timeout-client", "without timeout tunnel, timeout client applies")
            .frontend("timeout client 300ms")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps([send("c", "ping"), body("o", 4), send("o", "pong"), body("c", 4)])
            .steps([rest("o"), close("o"), rest("c")])
            .codes(["cD"]),
        http("connect-timeout-server", "or timeout server")
            .backend("timeout server 300ms")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps([send("c", "ping"), body("o", 4), send("o", "pong"), body("c", 4)])
            .steps([rest("c"), close("c"), rest("o")])
            .codes(["sD"]),
        http("connect-client-reset", "the client resets a tunnel")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps([send("c", "ping"), body("o", 4), reset("c"), rest("o")])
            .codes(["CD"]),
        http("connect-server-reset", "the server resets a tunnel")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps([send("c", "ping"), body("o", 4), reset("o"), rest("c")])
            .codes(["SD"]),
        http("connect-timeout-server-fin", "the client ended a tunnel, the server does not")
            .backend("timeout server-fin 300ms")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps([send("c", "ping"), body("o", 4), shut_write("c"), rest("o"), rest("c")])
            .codes(["sD"]),
        http("connect-timeout-client-fin", "the server ended a tunnel, the client does not")
            .frontend("timeout client-fin 300ms")
            .steps(asked(CONNECT))
            .steps(answered("HTTP/1.1 200 Established\r\n\r\n", 0))
            .steps([send("c", "ping"), body("o", 4), shut_write("o"), rest("c"), rest("o")])
            .codes(["cD"]),
    ]
}

const NOT_IN_1_0: &str = "an Upgrade in HTTP/1.0 is not passed on (RFC 9110 section 7.8)";

fn upgrade() -> Vec<Scenario> {
    vec![
        http("upgrade", "a tunnel after 101")
            .steps(asked(UPGRADE))
            .steps(answered(SWITCHED, 0))
            .steps(talked())
            .codes(["--"]),
        http("upgrade-early", "the server's bytes come with its 101")
            .steps(asked(UPGRADE))
            .steps([send("o", format!("{SWITCHED}hello")), head("c"), body("c", 5)])
            .steps([send("c", "ping"), body("o", 4), close("c"), rest("o"), close("o")])
            .codes(["--"]),
        http("upgrade-declined", "200 in place of 101: the exchange goes on as HTTP")
            .steps(asked(UPGRADE))
            .steps(answered(OK, 5))
            .steps([send("c", GET), head("o")])
            .steps(answered(OK, 5))
            .steps([close("c")])
            .codes(["--", "--"]),
        http("upgrade-http10", "an HTTP/1.0 request cannot upgrade")
            .steps(asked("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"))
            .steps([send("o", OK), rest("c")])
            .codes(["--"])
            .allow("o 2 header", NOT_IN_1_0),
        http("upgrade-server-close", "an upgrade with http-server-close")
            .defaults("option http-server-close")
            .steps(asked(UPGRADE))
            .steps(answered(SWITCHED, 0))
            .steps(talked())
            .codes(["--"]),
        http("upgrade-unasked", "101 without a request to upgrade")
            .steps(asked(GET))
            .steps([send("o", SWITCHED), rest("c"), rest("o")])
            .codes(["PH"]),
        http("upgrade-timeout-tunnel", "an idle tunnel after 101")
            .backend("timeout tunnel 300ms")
            .steps(asked(UPGRADE))
            .steps(answered(SWITCHED, 0))
            .steps([send("c", "ping"), body("o", 4), send("o", "pong"), body("c", 4)])
            .steps([rest("c"), rest("o")])
            .codes(["cD"])
            .allow("o 4", BOTH_WAYS),
        http("websocket", "a WebSocket handshake, its answer checked against its key")
            .steps(asked(WEBSOCKET))
            .steps(answered(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                0,
            ))
            .steps(talked())
            .codes(["--"]),
        http("websocket-key-missing", "a WebSocket handshake without its key")
            .steps([
                open("c"),
                send(
                    "c",
                    "GET / HTTP/1.1\r\nHost: w\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                ),
                rest("c"),
            ])
            .codes(["PR"]),
        http("websocket-accept-missing", "a WebSocket answer without its accept header")
            .steps(asked(WEBSOCKET))
            .steps([
                send(
                    "o",
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                    Upgrade: websocket\r\n\r\n",
                ),
                rest("c"),
                rest("o"),
            ])
            .codes(["PH"])
            .allow("o 3", CUT_SHORT),
        http("websocket-accept-wrong", "a WebSocket answer whose accept header is wrong")
            .steps(asked(WEBSOCKET))
            .steps(answered(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
                0,
            ))
            .steps(talked())
            .codes(["--"]),
    ]
}
