//! Hosts for the `Poller` contract: `MioPoller` on the loopback interface.

use core::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidegate::bind::Binder;
use tidegate::poller::{MioPoller, Openings};
use tidegate_core::poller::{Address, Event, Poller, Sock};
use tidegate_core::proxy::spec::{BindOptions, Listener, Proxy, Role, Site};
use tidegate_tests::contract::{Bench, Course, Harness, LISTENERS, Scarce, Setting, Urgent, drive};

/// Two engines of a process, and what they listen on.
pub struct Loopback {
    engines: Vec<MioPoller>,
    addresses: Vec<Address>,
    nobody: Address,
    _dir: Scratch,
}

/// A directory of one test, removed at its end.
struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A listener of the tests.
pub fn listener(address: Address) -> Listener {
    Listener {
        address,
        frontend: 0,
        name: None,
        id: 1,
        maxconn: 0,
        backlog: 0,
        accept_proxy: false,
        // One socket, whatever the number of engines.
        options: BindOptions { shared: true, ..BindOptions::default() },
        place: "test:1".into(),
    }
}

impl Loopback {
    fn new(Setting { name, unix }: Setting) -> Self {
        let dir = std::env::temp_dir().join(format!("tg-{}-{name}-{unix}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let anywhere = Address::Inet(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let at = |i: u32| match unix {
            true => Address::Unix(dir.join(i.to_string()).to_str().expect("a plain path").into()),
            false => anywhere.clone(),
        };
        let site = Site {
            proxies: vec![Proxy { role: Role::FRONTEND, name: "f".into(), ..Proxy::default() }],
            listeners: (0..LISTENERS).map(|i| listener(at(i))).collect(),
            ..Site::default()
        };
        let mut binder = Binder::new(&site, 2);
        assert_eq!(binder.bind(), []);
        let mut sockets = binder.finish();
        // Both listeners to the first engine; the second adopts and is notified.
        let (first, second) = sockets.split_at_mut(1);
        for (mine, theirs) in first[0].iter_mut().zip(&mut second[0]) {
            *mine = mine.take().or_else(|| theirs.take());
        }
        let addresses = first[0]
            .iter()
            .map(|fd| {
                let name = rustix::net::getsockname(fd.as_ref().expect("all are bound"));
                let inet = SocketAddr::try_from(name.expect("it has a name"));
                inet.map_or_else(|_| Address::Fd(-1), Address::Inet)
            })
            .enumerate()
            .map(|(i, address)| if unix { at(i as u32) } else { address })
            .collect();
        // A port that was ours for a moment has nobody behind it; so has a path.
        let nobody = match unix {
            true => at(LISTENERS),
            false => {
                let gone = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
                Address::Inet(gone.local_addr().expect("it is bound"))
            }
        };
        let openings = sockets
            .into_iter()
            .map(|listeners| Openings { listeners, sinks: Vec::new() })
            .collect();
        let engines = MioPoller::for_engines(openings, 64).expect("pollers");
        Loopback { engines, addresses, nobody, _dir: Scratch(dir) }
    }
}

impl Harness for Loopback {
    type Net = MioPoller;

    fn run(setting: Setting, test: impl Fn(Bench<Self>) -> Course + 'static) {
        drive(test(Bench::new(Loopback::new(setting))));
    }

    fn engine(&mut self, engine: u32) -> &mut MioPoller {
        &mut self.engines[engine as usize]
    }

    fn address(&self, listener: u32) -> Address {
        self.addresses[listener as usize].clone()
    }

    fn nobody(&self) -> Address {
        self.nobody.clone()
    }

    async fn wait(&mut self, engine: u32) -> Option<Vec<Event>> {
        let net = self.engine(engine);
        let before = std::time::Instant::now();
        net.wait(Some(Duration::from_secs(5))).expect("epoll works");
        let mut events = Vec::new();
        net.harvest(&mut events);
        (before.elapsed() < Duration::from_secs(5)).then_some(events)
    }

    fn glance(&mut self, engine: u32) -> Vec<Event> {
        let net = self.engine(engine);
        net.wait(Some(Duration::ZERO)).expect("epoll works");
        let mut events = Vec::new();
        net.harvest(&mut events);
        events
    }

    async fn settle(&mut self) {
        // The loopback interface delivers within the call; what follows from that may take a moment.
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Urgent for Loopback {
    async fn send_around_mark(&mut self, near: Sock, before: &[u8], after: &[u8]) -> Sock {
        use rustix::net::{SendFlags, send};

        // The poller sends nothing urgent: its socket is borrowed for that.
        let parcel = self.engine(0).detach(near).expect("a parcel");
        let (fd, kind) = self.engine(0).hub().fetch(parcel).expect("its socket");
        assert_eq!(send(&fd, before, SendFlags::empty()), Ok(before.len()));
        assert_eq!(send(&fd, b"!", SendFlags::OOB), Ok(1));
        assert_eq!(send(&fd, after, SendFlags::empty()), Ok(after.len()));
        let parcel = self.engine(0).hub().leave(fd, kind);
        self.settle().await;
        self.engine(0).adopt(parcel).expect("the socket")
    }
}

impl Scarce for Loopback {
    /// For the whole process: its test must be the only one in it.
    fn starve(&mut self, left: usize) {
        use rustix::process::{Resource, getrlimit, setrlimit};
        use std::os::fd::AsRawFd;

        // The numbers that the next ones would get.
        let next: Vec<_> =
            (0..left).map(|_| std::fs::File::open("/dev/null").expect("one more")).collect();
        let end = next.iter().map(|file| file.as_raw_fd() + 1).max();
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = end.map(|end| end as u64);
        setrlimit(Resource::Nofile, limit).expect("less is allowed");
    }
}
