//! Random walks: peers that send, stop, end, reset and take what they like, cut anywhere, while time goes by
//! in leaps, through engines with tiny buffers. The audits hold after every turn, no byte is lost, changed or
//! made up, and when all have left nothing remains.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use tidegate_core::engine::Signal;
use tidegate_core::fault::Fault;
use tidegate_core::proxy::spec::Tunables;
use tidegate_core::script::Wire;

use crate::rig::{GLOBAL, Knobs, Rig};

/// What a walk may do. An index says to whom, of those who are there.
#[derive(Clone, Debug)]
enum Step {
    Connect,
    /// A peer sends so many bytes of what it has to say.
    Push(Index, usize),
    /// A peer sends the rest of its message, or the next one.
    Say(Index),
    End(Index),
    Reset(Index),
    Window(Index, usize),
    Establish(Index),
    Refuse(Index),
    Wait(u64),
    Shortage(bool),
    Pipes(bool),
    Signal(Signal),
}

fn steps(max: usize) -> impl Strategy<Value = Vec<Step>> {
    let who = any::<Index>;
    let size = prop_oneof![1usize..4, 1usize..200, 200usize..6_000];
    let step = prop_oneof![
        3 => Just(Step::Connect),
        8 => (who(), size.clone()).prop_map(|(who, n)| Step::Push(who, n)),
        16 => who().prop_map(Step::Say),
        2 => who().prop_map(Step::End),
        1 => who().prop_map(Step::Reset),
        3 => (who(), prop_oneof![Just(0), size]).prop_map(|(who, n)| Step::Window(who, n)),
        8 => who().prop_map(Step::Establish),
        1 => who().prop_map(Step::Refuse),
        4 => prop_oneof![1u64..30, 30u64..700].prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Shortage),
        1 => any::<bool>().prop_map(Step::Pipes),
        1 => select(vec![Signal::Pause, Signal::Resume, Signal::TrimPools]).prop_map(Step::Signal),
    ];
    vec(step, 1..max)
}

/// What a configuration adds, and the sizes of things.
#[derive(Clone, Debug)]
struct World {
    lines: Vec<&'static str>,
    piece_max: usize,
    pipe_max: usize,
    tiny: bool,
    engines: u32,
}

fn world(lines: &'static [&'static str]) -> impl Strategy<Value = World> {
    let lines = proptest::sample::subsequence(lines, 0..=lines.len());
    let pieces = select(vec![0, 1, 2, 7, 1_000]);
    (lines, pieces, select(vec![0, 100, 5_000]), any::<bool>(), 1u32..3).prop_map(
        |(lines, piece_max, pipe_max, tiny, engines)| World {
            lines,
            piece_max,
            pipe_max,
            tiny,
            engines,
        },
    )
}

pub fn tiny(t: &mut Tunables) {
    t.bufsize = 1_024;
    t.maxrewrite = 256;
    t.recv_size = 1_024;
    t.forward_size = 2_048;
    t.pipesize = 4_096;
    t.reads_max = 1;
    t.maxaccept = 1;
    t.runqueue_depth = 1;
    t.linger_bytes_max = 2_000;
    t.lingering_max = 2;
    t.idle_max = 2;
}

/// A peer: the wire, what it has to say, and where its messages end.
struct Peer {
    wire: Wire,
    says: Vec<u8>,
    ends: Vec<usize>,
    said: usize,
    heard: Vec<u8>,
    ended: bool,
    reset: bool,
}

struct Walk {
    rig: Rig,
    clients: Vec<Peer>,
    servers: Vec<Peer>,
    dialled: Vec<Wire>,
}

impl Walk {
    fn new(config: &str, world: &World) -> Walk {
        let tunables: fn(&mut Tunables) = if world.tiny { tiny } else { |_| {} };
        let (piece_max, engines) = (world.piece_max, world.engines);
        let knobs = Knobs { piece_max, engines, tunables, ..Knobs::default() };
        let mut rig = Rig::with(config, &knobs);
        rig.net.pipe_max = world.pipe_max;
        Walk { rig, clients: Vec::new(), servers: Vec::new(), dialled: Vec::new() }
    }

    /// Takes one step; `says` makes what a client and a server have to say.
    fn take(&mut self, step: &Step, says: &mut impl FnMut(bool) -> Vec<Vec<u8>>) {
        match step {
            Step::Connect if self.clients.len() < 6 => {
                let engine = self.clients.len() % self.rig.engines.len();
                let wire = match self.rig.site.listeners[0].address.is_inet() {
                    true => self.rig.net.connect_to(0, engine as u32),
                    false => self.rig.net.connect(0),
                };
                self.clients.push(Peer::new(wire, &says(true)));
            }
            Step::Push(who, n) => {
                if let Some((rig, peer)) = self.peer(who) {
                    peer.push(rig, *n);
                }
            }
            Step::Say(who) => {
                if let Some((rig, peer)) = self.peer(who) {
                    let end = peer.ends.iter().find(|end| **end > peer.said);
                    let n = end.map_or(0, |end| end - peer.said);
                    peer.push(rig, n);
                }
            }
            Step::End(who) => {
                if let Some((rig, peer)) = self.peer(who)
                    && !peer.ended
                    && !peer.reset
                    && rig.net.closed(peer.wire).is_none()
                {
                    peer.ended = true;
                    rig.net.end(peer.wire);
                }
            }
            Step::Reset(who) => {
                if let Some((rig, peer)) = self.peer(who)
                    && !peer.reset
                    && rig.net.closed(peer.wire).is_none()
                {
                    peer.reset = true;
                    rig.net.reset(peer.wire);
                }
            }
            Step::Window(who, n) => {
                if let Some((rig, peer)) = self.peer(who) {
                    rig.net.window(peer.wire, *n);
                }
            }
            Step::Establish(who) if !self.dialled.is_empty() => {
                let wire = self.dialled.remove(who.index(self.dialled.len()));
                if self.rig.net.closed(wire).is_none() {
                    self.rig.net.establish(wire);
                    self.servers.push(Peer::new(wire, &says(false)));
                }
            }
            Step::Refuse(who) if !self.dialled.is_empty() => {
                let wire = self.dialled.remove(who.index(self.dialled.len()));
                if self.rig.net.closed(wire).is_none() {
                    self.rig.net.refuse(wire, Fault::Refused);
                }
            }
            Step::Wait(ms) => self.rig.advance(*ms),
            Step::Shortage(on) => self.rig.net.shortage = on.then_some(Fault::NoDescriptors),
            Step::Pipes(on) => self.rig.net.no_pipes = !on,
            Step::Signal(signal) => self.rig.signal(*signal),
            Step::Connect | Step::Establish(_) | Step::Refuse(_) => {}
        }
        self.rig.turns();
        while let Some((wire, _)) = self.rig.net.dialled() {
            self.dialled.push(wire);
        }
        for peer in self.clients.iter_mut().chain(&mut self.servers) {
            peer.heard.extend(self.rig.net.sent(peer.wire));
        }
    }

    fn peer(&mut self, who: &Index) -> Option<(&mut Rig, &mut Peer)> {
        let all = self.clients.len() + self.servers.len();
        if all == 0 {
            return None;
        }
        let at = who.index(all);
        let split = self.clients.len();
        let peer = if at < split { &mut self.clients[at] } else { &mut self.servers[at - split] };
        Some((&mut self.rig, peer))
    }
}

impl Peer {
    fn new(wire: Wire, messages: &[Vec<u8>]) -> Peer {
        let lens = messages.iter().scan(0, |sum, message| {
            *sum += message.len();
            Some(*sum)
        });
        let (ends, says) = (lens.collect(), messages.concat());
        Peer { wire, says, ends, said: 0, heard: Vec::new(), ended: false, reset: false }
    }

    /// Sends at most `n` bytes more, if it still can.
    fn push(&mut self, rig: &mut Rig, n: usize) {
        let n = n.min(self.says.len() - self.said);
        if n > 0 && !self.ended && !self.reset && rig.net.closed(self.wire).is_none() {
            rig.net.push(self.wire, &self.says[self.said..self.said + n]);
            self.said += n;
        }
    }
}

const TIMEOUTS: &str = " timeout connect 200\n timeout client 500\n timeout server 600\n";

const TCP_LINES: &[&str] = &[
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
    "option tcplog",
    "maxconn 2",
];

const HTTP_LINES: &[&str] = &[
    "option splice-auto",
    "timeout tunnel 900",
    "timeout client-fin 100",
    "timeout server-fin 120",
    "timeout http-request 300",
    "timeout http-keep-alive 250",
    "timeout tarpit 80",
    "timeout queue 150",
    "option redispatch",
    "retries 1",
    "retry-on all-retryable-errors",
    "option abortonclose",
    "option http-server-close",
    "option httpclose",
    "option http-ignore-probes",
    "option prefer-last-server",
    "option dontlognull",
    "option logasap",
    "option httplog",
    "http-reuse always",
    "http-reuse never",
    "http-reuse aggressive",
    "maxconn 2",
];

fn config(mode: &str, world: &World, servers: &str) -> String {
    let bind = if world.pipe_max == 0 { ":80" } else { "/run/x.sock" };
    format!(
        "{GLOBAL}defaults\n mode {mode}\n log global\n{TIMEOUTS} {}\nlisten l\n bind {bind}\n{servers}",
        world.lines.join("\n ")
    )
}

/// Bytes that tell where they come from and where they stand.
fn numbered(stream: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(31) >> 3) as u8 ^ (stream as u8).wrapping_mul(101)).collect()
}

/// What clients of HTTP say, one after the other or broken off.
const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /long HTTP/1.1\r\nHost: a\r\nX-Long: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\nBODY",
    "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nA: b\r\n\r\n",
    "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",
    "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "BAD\r\n\r\n",
    "\r\n",
    "tunnelled bytes",
];

/// And what servers say, whatever they were asked.
const ANSWERS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\nBODY",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n",
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "garbage\r\n\r\n",
];

/// The next few of `texts`. The first are the likeliest.
fn talk(choices: &[Index], at: &mut usize, texts: &[&str]) -> Vec<Vec<u8>> {
    let message = |_| {
        let choice = choices[*at % choices.len()];
        *at += 1;
        let text = if choice.index(2) == 0 { choice.get(&texts[..4]) } else { choice.get(texts) };
        match text.strip_suffix("BODY") {
            Some(head) => [head.as_bytes(), &numbered(3, 3_000)].concat(),
            None => text.as_bytes().to_vec(),
        }
    };
    (0..5).map(message).collect()
}

pub fn cases(n: u32) -> ProptestConfig {
    let config = ProptestConfig::with_cases(n);
    // The same walks every time, unless told otherwise.
    let rng_seed = match option_env!("WALKS") {
        Some(_) => RngSeed::Random,
        None => RngSeed::Fixed(20_261_122),
    };
    let cases = option_env!("WALKS").and_then(|n| n.parse().ok()).unwrap_or(config.cases);
    ProptestConfig {
        rng_seed,
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..config
    }
}

proptest! {
    #![proptest_config(cases(150))]

    /// Of several TCP sessions: what each end hears is a beginning of what the other said.
    #[test]
    fn tcp(world in world(TCP_LINES), steps in steps(60), servers in select(vec![
        " server s1 10.0.0.1:1\n",
        " server s1 10.0.0.1:1\n server s2 10.0.0.2:1\n",
        " server s1 10.0.0.1:1 maxconn 1\n",
        " server s1 10.0.0.1:1 maxconn 1\n server s2 10.0.0.2:1 maxconn 1 backup\n",
    ])) {
        let mut walk = Walk::new(&config("tcp", &world, servers), &world);
        let mut streams = 0;
        let mut says = |_: bool| {
            streams += 1;
            numbered(streams, 8_000).chunks(1_000).map(<[u8]>::to_vec).collect()
        };
        for step in &steps {
            walk.take(step, &mut says);
        }
        for (ours, theirs) in [(&walk.clients, &walk.servers), (&walk.servers, &walk.clients)] {
            for peer in ours {
                let whose = |other: &&Peer| other.says[..other.said].starts_with(&peer.heard);
                prop_assert!(theirs.iter().any(|other| whose(&other)) || peer.heard.is_empty());
            }
        }
        walk.rig.finish();
    }

    /// HTTP with anything said by anybody at any time.
    #[test]
    fn http(
        world in world(HTTP_LINES),
        steps in steps(80),
        choices in vec(any::<Index>(), 16),
        servers in select(vec![
            " server s1 10.0.0.1:1\n",
            " server s1 10.0.0.1:1\n server s2 10.0.0.2:1\n",
            " server s1 10.0.0.1:1 maxconn 1\n",
            " server s1 10.0.0.1:1 maxconn 1 maxqueue 1\n server s2 10.0.0.2:1 maxconn 1 backup\n",
            " server s1 10.0.0.1:1 max-reuse 1 pool-max-conn 1\n server s2 10.0.0.2:1 pool-purge-delay 100\n",
            " http-request deny\n server s1 10.0.0.1:1\n",
            " http-request tarpit\n server s1 10.0.0.1:1\n",
        ]),
    ) {
        let mut walk = Walk::new(&config("http", &world, servers), &world);
        let mut at = 0;
        let mut says = |client: bool| {
            talk(&choices, &mut at, if client { REQUESTS } else { ANSWERS })
        };
        for step in &steps {
            walk.take(step, &mut says);
        }
        walk.rig.finish();
    }
}
