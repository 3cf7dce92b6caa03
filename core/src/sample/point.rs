//! Where an expression stands, and which fetches have something to look at there.

use crate::proxy::spec::Role;

/// A rule set or another place in the configuration that has expressions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// `tcp-request connection`.
    Connection,
    /// `tcp-request session`.
    Session,
    /// `tcp-request content`.
    ReqContent,
    /// `http-request`, `redirect`.
    HttpReq,
    /// `use_backend`, `use-server`, `balance`, `stick`.
    Switch,
    /// `tcp-response content`.
    ResContent,
    /// `http-response`, `http-after-response`.
    HttpRes,
    /// `http-error`: an answer of ours, to a request or in the place of a response.
    Answer,
    /// `log-format` and kin.
    Log,
    /// The configuration itself: `set-var` in `global`.
    Config,
    /// An ACL, which is checked where it is used.
    Any,
}

impl Point {
    /// What complaints call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Point::Connection => "tcp-request connection rules",
            Point::Session => "tcp-request session rules",
            Point::ReqContent => "tcp-request content rules",
            Point::HttpReq => "http-request rules",
            Point::Switch => "switching rules",
            Point::ResContent => "tcp-response content rules",
            Point::HttpRes => "http-response rules",
            Point::Answer => "http-error",
            Point::Log => "logs",
            Point::Config => "the configuration itself",
            Point::Any => "ACLs",
        }
    }

    /// Every point that has rules or the like of its own.
    pub const ALL: [Point; 10] = [
        Point::Connection,
        Point::Session,
        Point::ReqContent,
        Point::HttpReq,
        Point::Switch,
        Point::ResContent,
        Point::HttpRes,
        Point::Answer,
        Point::Log,
        Point::Config,
    ];
}

/// What a fetch needs to be there (HAProxy's `SMP_USE_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Avail {
    /// Nothing.
    Always,
    /// A process that runs.
    Running,
    /// A client's connection.
    Client,
    /// A client's connection, after its handshakes.
    Handshake,
    /// The session: a request has begun. What is kept of it until the end.
    Stream,
    /// A backend was chosen.
    Backend,
    /// A server was chosen.
    Server,
    /// The request's bytes or head, before they are passed on.
    Request,
    /// The response's bytes or head.
    Response,
    /// The bytes or head of either, whichever is processed.
    Either,
}

impl Avail {
    /// Whether it is there at `point` of a proxy that may do `role` (of a `listen`, which is a
    /// frontend and a backend, one of both is enough).
    pub const fn at(self, point: Point, role: Role) -> bool {
        use Point::*;
        let backend = role.has(Role::BACKEND);
        match self {
            _ if matches!(point, Any) => true,
            Avail::Always => true,
            Avail::Running | Avail::Client => !matches!(point, Config),
            Avail::Handshake => !matches!(point, Connection | Config),
            Avail::Stream => !matches!(point, Connection | Session | Config),
            Avail::Backend => match point {
                ReqContent | HttpReq | Switch => backend,
                ResContent | HttpRes | Answer | Log => true,
                Connection | Session | Config => false,
                Any => true,
            },
            Avail::Server => matches!(point, ResContent | HttpRes | Answer | Log),
            Avail::Request => matches!(point, ReqContent | HttpReq | Switch | Answer),
            Avail::Response => matches!(point, ResContent | HttpRes | Answer),
            Avail::Either => {
                matches!(point, ReqContent | HttpReq | Switch | ResContent | HttpRes | Answer)
            }
        }
    }
}
