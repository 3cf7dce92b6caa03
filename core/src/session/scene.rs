//! What expressions may look at, of a session and of its client.

use core::net::SocketAddr;

use super::{Cx, NO_SERVER, Session, SessionFlags};
use crate::channel::{Channel, Facts};
use crate::conn::{Client, ClientFlags};
use crate::http::Head;
use crate::poller::{Address, Peer};
use crate::proxy::shared::Door;
use crate::proxy::spec::{Mode, ProxyId, Site};
use crate::sample::{Desk, Ends, Point, Scene, Stream};
use crate::time::Now;
use crate::txn::{Flow, TxnFlags};

/// What there is around a session that expressions may look at.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The client's connection.
    pub client: &'a Client,
    /// The configuration.
    pub site: &'a Site,
    /// What expressions use.
    pub desk: &'a Desk,
    /// The door to the other engines.
    pub(crate) shared: &'a Door,
    /// Which engine it is.
    pub engine: u32,
    /// The time.
    pub now: Now,
}

impl<'a> Surroundings<'a> {
    /// Those of a step.
    pub fn of(cx: &'a Cx<'_>) -> Self {
        let Cx { client, site, desk, shared, engine, now, .. } = cx;
        Surroundings { client, site, desk, shared, engine: *engine, now: *now }
    }
}

impl Session {
    /// The scene at a point of a proxy's rules.
    pub fn scene<'a>(&'a self, point: Point, proxy: ProxyId, cx: &'a Cx<'_>) -> Scene<'a> {
        self.scene_of(point, proxy, &Surroundings::of(cx))
    }

    /// The same, with other surroundings than a step's.
    pub fn scene_of<'a>(
        &'a self,
        point: Point,
        proxy: ProxyId,
        of: &Surroundings<'a>,
    ) -> Scene<'a> {
        let txn = &self.txn;
        // Of HTTP in TCP there is a head while its bytes are here.
        let peeked = txn.is(TxnFlags::PEEKED) && !self.req.input().is_empty();
        let request = (txn.is(TxnFlags::REQUEST) || peeked).then_some(&txn.request);
        let response = (txn.status != 0 || txn.is(TxnFlags::RESPONSE))
            .then_some(&txn.response)
            .filter(|head| head.is_response());
        // A response's head is in front of its body until it is passed on.
        let in_front = matches!(point, Point::HttpRes | Point::Answer);
        let head_len = if in_front { txn.head_len as usize } else { 0 };
        let mut scene = client_scene((point, proxy), of);
        scene.backend = self.backend;
        scene.server = (self.back.server != NO_SERVER).then_some(self.back.server);
        scene.ends.bc_src = self.back.ours;
        scene.ends.bc_dst = self.server_end(of.site);
        let own = |index: usize, usual| match txn.ends[index] {
            Some(Peer::Inet(at)) => Some(at),
            _ => usual,
        };
        scene.ends.src = own(0, scene.ends.src);
        scene.ends.dst = own(1, scene.ends.dst);
        scene.began = self.began_wall;
        scene.http = self.mode == Mode::Http;
        scene.req = stream(&self.req, request, &txn.request_flow, 0, of.site);
        scene.res = stream(&self.res, response, &txn.response_flow, head_len, of.site);
        let http = self.mode == Mode::Http;
        scene.req.head_to_come = request.is_none() && (http || txn.is(TxnFlags::PEEKING));
        scene.res.head_to_come = response.is_none() && http;
        scene.txn = Some(&txn.vars);
        scene.pass = Some(&txn.pass);
        scene.captures = [&txn.captures[0], &txn.captures[1]];
        scene.unique_id = txn.unique_id.as_deref();
        scene.request_line = Some(&txn.line[..]).filter(|line| !line.is_empty());
        scene.priority = txn.priority;
        scene.stopping = self.flags.has(SessionFlags::STOPPING);
        scene.server_timeout = txn.server_timeout.map(Some);
        scene.tunnel_timeout = txn.tunnel_timeout.map(Some);
        scene.last_rule = txn.last_rule.as_ref().map(|(file, line)| (&**file, *line));
        scene
    }
}

impl Session {
    /// Where the last connection to a server went.
    fn server_end(&self, site: &Site) -> Option<SocketAddr> {
        if !self.back.dialled || self.back.server == NO_SERVER {
            return None;
        }
        let server = site.server(self.back.server);
        match (&server.address, server.port_offset) {
            (Some(Address::Inet(at)), None) => Some(*at),
            _ => self.back.theirs,
        }
    }
}

/// The scene of a client that has no session.
pub fn client_scene<'a>((point, proxy): (Point, ProxyId), of: &Surroundings<'a>) -> Scene<'a> {
    let client = of.client;
    let inet = |peer: Peer| match peer {
        Peer::Inet(at) => Some(at),
        Peer::Unix => None,
    };
    let src = inet(client.peer);
    Scene {
        point,
        proxy,
        frontend: client.frontend,
        backend: client.frontend,
        listener: client.listener,
        ends: Ends {
            src,
            fc_src: inet(client.socket_peer()),
            dst: client.destination().and_then(inet),
            fc_dst: client.destination().and_then(inet),
            proxied: client.flags.has(ClientFlags::RECEIVED_PROXY),
            ..Ends::default()
        },
        tcp_info: client.tcp_info(),
        accepted: client.accepted_wall,
        began: client.accepted_wall,
        requests: client.requests,
        sess: Some(&client.vars),
        pp_authority: client.authority(),
        pp_unique_id: client.relayed_id(),
        ..Scene::bare(of.desk, of.site, of.shared, of.engine, of.now)
    }
}

fn stream<'a>(
    channel: &'a Channel,
    head: Option<&'a Head>,
    flow: &Flow,
    head_len: usize,
    site: &Site,
) -> Stream<'a> {
    let bytes = channel.input();
    let full = bytes.len() >= site.tunables.bufsize as usize;
    Stream {
        head,
        head_to_come: false,
        bytes: &bytes[head_len.min(bytes.len())..],
        chunked: matches!(flow, Flow::Chunked(_)),
        length: match flow {
            Flow::Length(n) => *n,
            _ => 0,
        },
        more: !channel.is(Facts::SHUTR) && !full && !flow.is_done(),
    }
}
