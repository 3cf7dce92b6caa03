//! Whole sessions: clients and servers that say what the input has them say, when it has them say
//! it, cut anywhere, through an engine with any of many configurations. All audits hold after every
//! turn, and at the end nothing is left. And with the reference as a third party:
//!
//! - what a server hears is requests, each of which a client has sent;
//! - what a client hears is responses, each ours or one that a server gave;
//! - none is presented as complete that was not, none has a field or a byte that was not said.
//!
//! A request that may not be repeated is not. In TCP mode, what each end hears is a beginning of
//! what another said, and all of it if nothing was done that may cut it short.

use arbitrary::{Result, Unstructured};
use tidegate_core::engine::Signal;
use tidegate_core::fault::Fault;
use tidegate_core::script::Wire;

use crate::peer::Peer;
use crate::reference::stream::{self, Ended, Message};
use crate::reference::{Start, body::Framing};
use crate::stage::{Stage, tiny};
use crate::steps::{self, Step, numbered};
use crate::{Target, texts};

/// The target.
pub const TARGET: Target = Target { name: "session", run, seeds, words: texts::session_words };

const CLIENTS_MAX: usize = 4;

const LINES: [&str; 24] = [
    "option splice-auto",
    "timeout tunnel 900",
    "timeout client-fin 100",
    "timeout server-fin 120",
    "option redispatch",
    "retries 1",
    "option abortonclose",
    "timeout queue 150",
    "option independent-streams",
    "option logasap",
    "maxconn 2",
    "timeout http-request 300",
    "timeout http-keep-alive 250",
    "timeout tarpit 80",
    "retry-on all-retryable-errors",
    "option http-server-close",
    "option httpclose",
    "option http-ignore-probes",
    "option prefer-last-server",
    "option dontlognull",
    "option forwardfor",
    "http-reuse always",
    "http-reuse never",
    "http-reuse aggressive",
];

const SERVERS: [&str; 8] = [
    " server s1 10.0.0.1:1\n",
    " server s1 10.0.0.1:1\n server s2 10.0.0.2:1\n",
    " server s1 10.0.0.1:1 maxconn 1\n",
    " server s1 10.0.0.1:1 maxconn 1 maxqueue 1\n server s2 10.0.0.2:1 maxconn 1 backup\n",
    " server s1 10.0.0.1:1 max-reuse 1 pool-max-conn 1\n server s2 10.0.0.2:1 pool-purge-delay 100\n",
    " http-request deny\n server s1 10.0.0.1:1\n",
    " http-request tarpit\n server s1 10.0.0.1:1\n",
    "",
];

/// What an input decides before the first step.
#[derive(Clone, Copy, Debug)]
struct World {
    lines: [u8; 3],
    servers: u8,
    /// TCP, tiny, two engines, a shared listener, backwards, eager (attempts succeed at once).
    bits: u8,
    /// How much a receive gives, and how often a call finds nothing.
    pieces: u8,
}

impl World {
    fn read(input: &mut Unstructured<'_>) -> Result<World> {
        let [a, b, c, servers, bits, pieces] = input.arbitrary()?;
        Ok(World { lines: [a, b, c], servers, bits, pieces })
    }

    fn bit(self, bit: u8) -> bool {
        self.bits >> bit & 1 == 1
    }

    fn is_tcp(self) -> bool {
        self.bit(0)
    }

    /// Whether it has that one of the [`LINES`].
    fn is_set(self, line: usize) -> bool {
        self.lines[line / 8] >> (line % 8) & 1 == 1
    }

    fn stage(self) -> Stage {
        let lines: Vec<&str> = (0..24).filter(|at| self.is_set(*at)).map(|at| LINES[at]).collect();
        let servers = usize::from(self.servers) % SERVERS.len();
        // Rules of HTTP are errors in TCP.
        let servers = if self.is_tcp() { SERVERS[servers % 4] } else { SERVERS[servers] };
        let config = format!(
            "global\n log 127.0.0.1:514 local0\ndefaults\n mode {}\n log global\n option {}\n \
             timeout connect 200\n timeout client 500\n timeout server 600\n {}\nlisten l\n bind \
             {}\n{servers}",
            if self.is_tcp() { "tcp" } else { "http" },
            if self.is_tcp() { "tcplog" } else { "httplog" },
            lines.join("\n "),
            if self.bit(3) { "/run/x.sock" } else { ":80" },
        );
        let engines = if self.bit(2) { 2 } else { 1 };
        let mut stage = Stage::new(&config, engines, |tunables| {
            if self.bit(1) {
                tiny(tunables);
            }
        });
        stage.net.piece_max = [0, 1, 2, 7, 1_000][usize::from(self.pieces) % 5];
        stage.net.balk_every = [0, 3, 10][usize::from(self.pieces / 5) % 3];
        stage.net.pipe_max = [0, 100, 5_000][usize::from(self.pieces / 15) % 3];
        stage.net.backwards = self.bit(4);
        stage
    }
}

struct Play {
    stage: Stage,
    eager: bool,
    /// How much is filled in: what is received in pieces of a few bytes must not take for ever.
    said_max: usize,
    /// Nothing was done yet that may cut a connection short.
    calm: bool,
    clients: Vec<Peer>,
    servers: Vec<Peer>,
    dialled: Vec<Wire>,
}

/// Runs the target.
///
/// # Panics
///
/// If one of the above does not hold.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(world) = World::read(&mut input) else { return };
    let stage = world.stage();
    let mut play = Play {
        said_max: if (1..10).contains(&stage.net.piece_max) { 2_000 } else { 100_000 },
        stage,
        eager: world.bit(5),
        calm: world.bit(5),
        clients: Vec::new(),
        servers: Vec::new(),
        dialled: Vec::new(),
    };
    while let Ok(step) = Step::read(&mut input) {
        play.take(&step);
    }
    play.finish();
    if world.is_tcp() {
        check_streams(&play.clients, &play.servers);
        check_streams(&play.servers, &play.clients);
        if play.calm {
            check_all_was_heard(&play);
        }
    } else {
        check_messages(&play, world.is_set(14));
    }
}

impl Play {
    fn take(&mut self, step: &Step) {
        self.calm &= matches!(
            step,
            Step::Say(..) | Step::Text(..) | Step::Fill(..) | Step::Connect | Step::End(_)
        );
        match step {
            Step::Connect if self.clients.len() < CLIENTS_MAX => {
                let wire = self.stage.client(self.clients.len());
                self.clients.push(Peer::new(wire));
            }
            Step::Establish(which) if !self.dialled.is_empty() => {
                let wire = self.dialled.remove(usize::from(*which) % self.dialled.len());
                self.establish(wire);
            }
            Step::Refuse(which) if !self.dialled.is_empty() => {
                let wire = self.dialled.remove(usize::from(*which) % self.dialled.len());
                if self.stage.net.closed(wire).is_none() {
                    self.stage.net.refuse(wire, Fault::Refused);
                }
            }
            Step::Connect | Step::Establish(_) | Step::Refuse(_) => {}
            Step::Wait(count) => self.stage.advance(u64::from(*count) * 10),
            Step::Shortage(on) => {
                self.stage.net.shortage = (on % 2 == 1).then_some(Fault::NoDescriptors);
            }
            Step::Pipes(on) => self.stage.net.no_pipes = on % 2 == 1,
            Step::Signal(which) => {
                let all = [Signal::Pause, Signal::Resume, Signal::TrimPools];
                self.stage.signal(all[usize::from(*which) % 3]);
            }
            Step::Say(who, _)
            | Step::Text(who, _)
            | Step::Fill(who, _)
            | Step::End(who)
            | Step::Reset(who)
            | Step::Window(who, _) => self.act(usize::from(*who), step),
        }
        self.settle();
    }

    /// One of the peers does something.
    fn act(&mut self, who: usize, step: &Step) {
        let all = self.clients.len() + self.servers.len();
        if all == 0 {
            return;
        }
        let (at, split) = (who % all, self.clients.len());
        let texts = if at < split { texts::REQUESTS } else { texts::RESPONSES };
        let peer = if at < split { &mut self.clients[at] } else { &mut self.servers[at - split] };
        let net = &mut self.stage.net;
        match step {
            Step::Say(_, bytes) => peer.say(net, bytes),
            Step::Text(_, which) => {
                peer.say(net, texts[usize::from(*which) % texts.len()].as_bytes());
            }
            Step::Fill(_, count) => {
                let len =
                    (usize::from(*count) * 64).min(self.said_max.saturating_sub(peer.said.len()));
                let bytes: Vec<u8> = numbered(peer.wire, peer.said.len(), len).collect();
                peer.say(net, &bytes);
            }
            Step::End(_) => peer.end(net),
            Step::Reset(_) => peer.reset(net),
            Step::Window(_, 255) => net.window(peer.wire, usize::MAX),
            Step::Window(_, count) => net.window(peer.wire, usize::from(*count) * 4),
            _ => {}
        }
    }

    fn establish(&mut self, wire: Wire) {
        if self.stage.net.closed(wire).is_none() {
            self.stage.net.establish(wire);
            self.servers.push(Peer::new(wire));
        }
    }

    /// Lets the engines react, and takes what they send.
    fn settle(&mut self) {
        loop {
            self.stage.turns();
            let Some((wire, _)) = self.stage.net.dialled() else { break };
            if self.eager { self.establish(wire) } else { self.dialled.push(wire) }
        }
        for peer in self.clients.iter_mut().chain(&mut self.servers) {
            peer.hear(&mut self.stage.net);
        }
    }

    /// Everybody ends, and the rest is heard.
    fn finish(&mut self) {
        let Play { stage, clients, servers, .. } = self;
        stage.finish(|net, ending| {
            for peer in clients.iter_mut().chain(servers.iter_mut()) {
                peer.hear(net);
                peer.ended |= ending == Some(peer.wire);
            }
        });
    }
}

/// What each of `ears` heard is a beginning of what one of `mouths` said.
fn check_streams(ears: &[Peer], mouths: &[Peer]) {
    for ear in ears.iter().filter(|ear| !ear.heard.is_empty()) {
        let whose = mouths.iter().any(|mouth| mouth.said.starts_with(&ear.heard));
        assert!(whose, "nobody said {}", ear.heard.escape_ascii());
    }
}

/// Every connection to a server heard all that a client said, and the other way round.
fn check_all_was_heard(play: &Play) {
    for server in &play.servers {
        let whole = |client: &&Peer| client.said == server.heard && client.heard == server.said;
        let text = || (server.heard.escape_ascii(), server.said.escape_ascii());
        assert!(play.clients.iter().any(|c| whole(&c)), "cut short: {:?}", text());
    }
}

fn check_messages(play: &Play, may_repeat: bool) {
    let asked: Vec<Vec<Message>> =
        play.clients.iter().map(|client| stream::all_requests(&client.said).list).collect();
    let mut answers = Vec::new();
    let mut unsafe_ones = Vec::new();
    for server in &play.servers {
        let heard = stream::requests(&server.heard);
        let text = || server.heard.escape_ascii().to_string();
        assert!(heard.ended != Ended::Bad, "a server hears no request: {}", text());
        for message in &heard.list {
            let sent = asked.iter().flatten().any(|sent| is_of(message, sent, false));
            assert!(sent, "nobody asked {message:?} in {}", text());
            if !may_be_repeated(message) {
                unsafe_ones.push(message.head.start.clone());
            }
        }
        let mut methods: Vec<Vec<u8>> =
            heard.list.iter().map(|message| message.head.method().to_vec()).collect();
        // The head of the last may be on its way.
        let rest = &server.heard[heard.list.last().map_or(0, |last| last.end)..];
        methods.extend(rest.split(|byte| *byte == b' ').next().map(<[u8]>::to_vec));
        let said = stream::responses(&server.said, &methods);
        answers.extend(said.list.into_iter().map(|answer| (answer, server.ended)));
    }
    for start in unsafe_ones.iter().filter(|_| !may_repeat) {
        let heard = unsafe_ones.iter().filter(|other| *other == start).count();
        let said = asked.iter().flatten().filter(|message| message.head.start == *start).count();
        assert!(heard <= said, "{start:?} was repeated");
    }
    for (client, asked) in play.clients.iter().zip(&asked) {
        let mut methods: Vec<Vec<u8>> =
            asked.iter().map(|message| message.head.method().to_vec()).collect();
        // What is no request is answered as well, with a page that has a body.
        methods.push(b"GET".to_vec());
        let mut heard = stream::responses(&client.heard, &methods);
        if heard.ended == Ended::Bad && heard.list.last().is_some_and(is_ours) {
            // A page that was not for the request, which came too late.
            let finals = heard.list.iter().filter(|m| m.head.status() / 100 != 1).count();
            methods.truncate(finals - 1);
            methods.push(b"GET".to_vec());
            heard = stream::responses(&client.heard, &methods);
        }
        let text = || client.heard.escape_ascii().to_string();
        assert!(
            heard.ended != Ended::Bad,
            "a client that said {} hears no response: {}",
            client.said.escape_ascii(),
            text()
        );
        for message in &heard.list {
            let given = answers.iter().any(|(answer, ended)| is_of(message, answer, *ended));
            assert!(given || is_ours(message), "nobody answered {message:?} in {}", text());
        }
    }
}

/// Whether a message that was heard is one that was said; `ended` if its sender then ended.
fn is_of(heard: &Message, said: &Message, ended: bool) -> bool {
    let same = match (&heard.head.start, &said.head.start) {
        (Start::Response(a, _), Start::Response(b, _)) => a == b,
        (a, b) => a == b,
    };
    let ours = ["connection", "content-length", "transfer-encoding", "te", "x-forwarded-for"];
    let is_ours = |name: &[u8]| ours.iter().any(|our| our.as_bytes() == name);
    let mut fields = said.head.fields.iter();
    let mut known = heard.head.fields.iter().filter(|(name, _)| !is_ours(name));
    let whole = said.whole || (said.framing == Framing::UntilClose && ended);
    same && known.all(|field| fields.any(|other| other == field))
        && said.body.starts_with(&heard.body)
        && (!heard.whole || heard.body == said.body && (whole || heard.body.is_empty()))
        && (!heard.whole || whole || said.framing == Framing::None)
}

/// Whether the method of a request says that it may be sent twice (RFC 9110 section 9.2.2).
fn may_be_repeated(request: &Message) -> bool {
    let safe: [&[u8]; 6] = [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"];
    safe.contains(&request.head.method())
}

/// Whether it is a page of the proxy's own.
pub(crate) fn is_ours(heard: &Message) -> bool {
    let status = heard.head.status();
    let page = format!("<html><body><h1>{status} ").into_bytes();
    let known = [400, 403, 408, 413, 422, 500, 501, 502, 503, 504].contains(&status);
    let begins = heard.body.starts_with(&page) || page.starts_with(&heard.body);
    known && begins && heard.head.values("cache-control").eq([b"no-cache"])
}

fn seeds() -> Vec<Vec<u8>> {
    use Step::*;
    let http = |lines: [u8; 3], servers: u8, bits: u8, pieces: u8| {
        vec![lines[0], lines[1], lines[2], servers, bits | 32, pieces]
    };
    let mut seeds = Vec::new();
    // Every text of a client, answered by one of a server.
    for which in 0..texts::REQUESTS.len() as u8 {
        let answer = which % texts::RESPONSES.len() as u8;
        let steps =
            [Connect, Text(0, which), Text(1, answer), Say(0, b"x".to_vec()), Text(1, 0), End(1)];
        seeds.push(steps::input(&http([0, which, which * 7], which % 4, 0, which), &steps));
    }
    let post = b"POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 4096\r\n\r\n".to_vec();
    let get = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    let big = b"HTTP/1.1 200 OK\r\nContent-Length: 8192\r\n\r\n".to_vec();
    let all: &[(&[u8], Vec<Step>)] = &[
        (
            &http([1, 0, 0], 0, 0, 0),
            vec![
                Connect,
                Say(0, post.clone()),
                Fill(0, 30),
                Fill(0, 34),
                Say(1, big.clone()),
                Fill(1, 128),
                Wait(10),
            ],
        ),
        (
            &http([0, 0, 0], 1, 2, 3),
            vec![
                Connect,
                Connect,
                Say(0, get.clone()),
                Say(1, get.clone()),
                Text(2, 0),
                Text(3, 1),
                Text(2, 2),
                End(2),
            ],
        ),
        (
            &http([16, 64, 32], 2, 2, 4),
            vec![
                Connect,
                Connect,
                Say(0, get.clone()),
                Say(1, get),
                Reset(2),
                Wait(30),
                Text(2, 0),
                End(0),
                Wait(70),
            ],
        ),
        (
            &[0, 0, 0, 1, 0, 0],
            vec![Connect, Text(0, 0), Refuse(0), Wait(100), Establish(0), Text(1, 1), Wait(100)],
        ),
        (
            &[1, 0, 0, 0, 1, 0],
            vec![
                Connect,
                Establish(0),
                Fill(0, 40),
                Fill(1, 200),
                Window(0, 0),
                Fill(1, 200),
                End(1),
                Window(0, 255),
                End(0),
            ],
        ),
        (
            &[1, 0, 0, 1, 1 | 8 | 4, 16],
            vec![
                Connect,
                Connect,
                Pipes(1),
                Fill(0, 9),
                Establish(0),
                Establish(0),
                Reset(2),
                Wait(99),
            ],
        ),
        (
            &http([0, 0, 0], 0, 4 | 8, 0),
            vec![
                Connect,
                Shortage(1),
                Connect,
                Text(0, 0),
                Shortage(0),
                Wait(20),
                Signal(0),
                Signal(1),
                Text(1, 0),
                Signal(2),
            ],
        ),
        (
            &http([0, 0, 0], 0, 0, 0),
            vec![
                Connect,
                Text(0, 11),
                Text(1, 8),
                Say(0, b"tunnelled".to_vec()),
                Say(1, b"bytes".to_vec()),
                End(0),
                End(1),
            ],
        ),
        (
            &http([0, 0, 0], 0, 0, 0),
            vec![Connect, Say(0, post), Fill(0, 10), Say(1, big), End(1), Wait(100)],
        ),
    ];
    seeds.extend(all.iter().map(|(start, steps)| steps::input(start, steps)));
    seeds
}
