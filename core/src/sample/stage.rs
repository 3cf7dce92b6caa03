//! A scene made of parts, for tests.

use std::sync::Arc;

use super::names::{Named, Target};
use super::vars::Vars;
use super::{Desk, Ends, Expr, Names, Point, Sample, Scene, Stream, leading_int};
use crate::config::{MapHost, Span};
use crate::http::{Head, HeadLimits, Known, parse_request, parse_response};
use crate::poller::TcpInfo;
use crate::proxy::shared::{Door, Shared};
use crate::proxy::spec::{Proxy, Server, Site};
use crate::rng::{Rng, Seed};
use crate::time::{Instant, Now, Wall};

/// 2026-11-22 12:21:14.079 UTC.
const WALL: Wall = Wall::from_nanos(1_795_350_074_079_000_000);

/// Everything that a scene borrows.
pub(crate) struct Stage {
    pub(crate) host: MapHost,
    pub(crate) desk: Desk,
    pub(crate) site: Site,
    pub(crate) door: Door,
    pub(crate) req: Option<Head>,
    pub(crate) res: Option<Head>,
    pub(crate) req_bytes: Vec<u8>,
    pub(crate) res_bytes: Vec<u8>,
    pub(crate) http: bool,
    pub(crate) more: bool,
    pub(crate) ends: Ends,
    pub(crate) tcp_info: Option<TcpInfo>,
    pub(crate) sess: Vars,
    pub(crate) txn: Vars,
    pub(crate) pass: Vars,
    pub(crate) point: Point,
    pub(crate) captures: [Vec<Option<Box<[u8]>>>; 2],
    refs: Vec<(Named, Span)>,
}

impl Stage {
    /// A site of one proxy, a client at 127.0.0.1:40000, and no message.
    pub(crate) fn new() -> Stage {
        Stage::at(Site {
            proxies: vec![Proxy { name: "p".into(), ..Proxy::default() }],
            ..Site::default()
        })
    }

    pub(crate) fn at(site: Site) -> Stage {
        let shared = Arc::new(Shared::new(&site, 1));
        Stage {
            host: MapHost::default(),
            desk: Desk::new(&site, Rng::new(Seed(1)), 7),
            site,
            door: Door::new(shared),
            req: None,
            res: None,
            req_bytes: Vec::new(),
            res_bytes: Vec::new(),
            http: true,
            more: false,
            ends: Ends {
                src: Some(([127, 0, 0, 1], 40_000).into()),
                dst: Some(([127, 0, 0, 2], 80).into()),
                fc_src: Some(([127, 0, 0, 1], 40_000).into()),
                fc_dst: Some(([127, 0, 0, 2], 80).into()),
                ..Ends::default()
            },
            tcp_info: None,
            sess: Vars::default(),
            txn: Vars::default(),
            pass: Vars::default(),
            point: Point::HttpReq,
            captures: [Vec::new(), Vec::new()],
            refs: Vec::new(),
        }
    }

    /// With a request, and behind its head the bytes of its body.
    pub(crate) fn request(self, text: &str) -> Stage {
        self.message(text.as_bytes())
    }

    /// The same of bytes. What only a lenient parser takes is a request here, too.
    pub(crate) fn message(mut self, bytes: &[u8]) -> Stage {
        let (head, body) = split_head(bytes);
        let mut parsed = Head::new();
        let limits = HeadLimits { lenient: true, ..HeadLimits::default() };
        parse_request(head, &mut parsed, &limits).expect("a request");
        self.req = Some(parsed);
        self.req_bytes = body.into();
        self
    }

    /// With a response, and behind its head the bytes of its body.
    pub(crate) fn response(self, text: &str) -> Stage {
        self.answer(text.as_bytes())
    }

    /// The same of bytes.
    pub(crate) fn answer(mut self, bytes: &[u8]) -> Stage {
        let (head, body) = split_head(bytes);
        let mut parsed = Head::new();
        parse_response(head, &mut parsed, &HeadLimits::default()).expect("a response");
        self.res = Some(parsed);
        self.res_bytes = body.into();
        self.point = Point::HttpRes;
        self
    }

    /// A client that speaks no HTTP and sent these bytes.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Stage {
        self.http = false;
        self.req_bytes = bytes.into();
        let mut head = Head::new();
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n")
            && parse_request(&bytes[..end + 4], &mut head, &HeadLimits::default()).is_ok()
        {
            self.req = Some(head);
        }
        self.point = Point::ReqContent;
        self
    }

    /// Compiles an expression; pattern files come from `self.host`.
    pub(crate) fn compile(&mut self, text: &str) -> Result<Expr, String> {
        let host = self.host.clone();
        let mut names = Names::new(&host);
        // Numbers of names are given anew for each expression: all of a test are in one list.
        names.vars = (0..).zip(["a", "b", "c"]).map(|(n, name)| (name.into(), n)).collect();
        names.patterns = std::mem::take(&mut self.site.patterns);
        names.refs = std::mem::take(&mut self.refs);
        names.known = (0..).zip(&names.refs).map(|(n, (named, _))| (named.clone(), n)).collect();
        names.proxy = "p".into();
        let outcome = Expr::parse(text, 0, self.point, &mut names);
        self.site.patterns = names.patterns;
        self.refs = names.refs;
        self.site.refs.targets =
            self.refs.iter().filter_map(|(named, _)| target(&self.site, named)).collect();
        self.desk.patterns.resize_with(self.site.patterns.len(), || None);
        match outcome {
            Ok((expr, end)) if end == text.len() => Ok(expr),
            Ok((_, end)) => Err(format!("ends at {end}")),
            Err(mistake) => Err(mistake.message),
        }
    }

    /// The value of an expression as text.
    pub(crate) fn eval(&mut self, text: &str) -> Option<String> {
        let expr = self.compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let scene = self.scene();
        let Sample { value, .. } = expr.eval(&scene);
        value.map(|value| String::from_utf8_lossy(value.text(scene.arena())).into_owned())
    }

    pub(crate) fn scene(&self) -> Scene<'_> {
        Scene {
            desk: &self.desk,
            site: &self.site,
            shared: &self.door,
            engine: 0,
            now: Now { mono: Instant::START, wall: WALL },
            point: self.point,
            proxy: 0,
            frontend: 0,
            backend: 0,
            listener: 0,
            server: None,
            ends: self.ends,
            tcp_info: self.tcp_info.as_ref(),
            accepted: WALL,
            began: WALL,
            requests: 1,
            http: self.http,
            req: stream(self.http, self.req.as_ref(), &self.req_bytes, self.more),
            res: stream(self.http, self.res.as_ref(), &self.res_bytes, self.more),
            sess: Some(&self.sess),
            txn: Some(&self.txn),
            pass: Some(&self.pass),
            captures: [&self.captures[0], &self.captures[1]],
            record: None,
            unique_id: None,
            last_rule: None,
            request_line: None,
            last_look: !self.more,
            stopping: false,
            priority: (0, 0),
            server_timeout: None,
            tunnel_timeout: None,
            pp_authority: None,
            pp_unique_id: None,
        }
    }
}

/// What a name stands for; a test names nothing that is not there.
fn target(site: &Site, named: &Named) -> Option<Target> {
    let proxy = |name: &str| site.proxies.iter().position(|proxy| *proxy.name == *name);
    let found = match named {
        Named::Proxy(name) => Target::Proxy(proxy(name)? as u32),
        Named::Server { backend, server, here } => {
            let backend = proxy(backend.as_deref().unwrap_or(here))? as u32;
            let fits = |known: &Server| known.backend == backend && *known.name == **server;
            Target::Server(site.servers.iter().position(fits)? as u32)
        }
        Named::Userlist(name) => {
            let list = site.userlists.iter().position(|list| *list.name == **name);
            Target::Userlist(list? as u32)
        }
    };
    Some(found)
}

fn split_head(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    bytes.split_at(end + 4)
}

fn stream<'a>(http: bool, head: Option<&'a Head>, bytes: &'a [u8], more: bool) -> Stream<'a> {
    let chunked = head.is_some_and(|head| head.has(Known::TransferEncoding));
    let length = head.and_then(|head| head.value(Known::ContentLength));
    let length = length.map_or(0, |length| leading_int(length) as u64);
    Stream { head, head_to_come: http && head.is_none(), bytes, chunked, length, more }
}

#[test]
fn an_expression_is_compiled_and_evaluated() {
    let mut stage = Stage::new().request("GET /Ab HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(stage.eval("path,lower").as_deref(), Some("/ab"));
    assert_eq!(stage.compile("path,lowre").unwrap_err(), "unknown converter 'lowre'");
    let mut stage = stage.response("HTTP/1.1 200 OK\r\n\r\n");
    assert!(stage.compile("path").unwrap_err().contains("not available in http-response"));
    stage.point = Point::Connection;
    assert!(stage.compile("path").unwrap_err().contains("not available in tcp-request connection"));
}
