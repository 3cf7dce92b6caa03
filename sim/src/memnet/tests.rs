//! What a program can see of TCP, one behaviour at a time.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::io::IoSlice;

use tidegate_core::poller::{
    Accepted, Close, ConnectSpec, Connecting, Event, Io, ListenSpec, More, Poller,
};

use super::*;

struct Two {
    net: Net,
    server: Port,
    client: Port,
    listener: Sock,
    hosts: [HostId; 2],
}

const AT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 80);

fn two(limits: Limits) -> Two {
    two_of(1, limits)
}

fn two_of(seed: u64, limits: Limits) -> Two {
    let net = Net::new(Seed(seed), limits);
    let s = net.host("server", AT.ip());
    let c = net.host("client", IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));
    let mut server = net.port(s, 0);
    let client = net.port(c, 0);
    server.bind(0, Address::Inet(AT));
    let listener = server.listen(&ListenSpec { listener: 0 }).unwrap();
    Two { net, server, client, listener, hosts: [s, c] }
}

impl Two {
    fn dial(&mut self) -> Sock {
        let to = Address::Inet(AT);
        self.client.connect(&ConnectSpec { to: &to, from: None, options: &[] }).unwrap()
    }

    /// Lets a millisecond pass.
    fn pass(&self) {
        self.wait(Duration::from_millis(1));
    }

    fn wait(&self, time: Duration) {
        self.net.advance_to(self.net.now() + time);
    }

    fn pair(&mut self) -> (Sock, Sock) {
        let client = self.dial();
        self.pass();
        let Accepted::One { sock, .. } = self.server.accept(self.listener) else {
            panic!("nobody came");
        };
        harvest(&mut self.server);
        harvest(&mut self.client);
        (client, sock)
    }
}

fn harvest(port: &mut Port) -> Vec<Event> {
    let mut events = Vec::new();
    port.harvest(&mut events);
    events
}

fn send(port: &mut Port, sock: Sock, bytes: &[u8]) -> Io {
    port.send(sock, &[IoSlice::new(bytes)], More::No)
}

fn read(port: &mut Port, sock: Sock) -> (Vec<u8>, Io) {
    let (mut all, mut block) = (Vec::new(), [0; 1000]);
    loop {
        match port.recv(sock, &mut block) {
            Io::Done(n) => all.extend_from_slice(&block[..n]),
            other => return (all, other),
        }
    }
}

#[test]
fn bytes_and_ends_arrive_in_order_each_way() {
    let mut two = two(Limits::default());
    let (c, s) = two.pair();
    assert_eq!(send(&mut two.client, c, b"hello"), Io::Done(5));
    two.client.shut_write(c);
    assert_eq!(read(&mut two.server, s), (vec![], Io::Blocked));
    two.pass();
    let events = harvest(&mut two.server);
    assert_eq!(events.len(), 1, "data and FIN are one event");
    assert!(events[0].ready.has(Ready::READ.with(Ready::HUP)));
    assert_eq!(read(&mut two.server, s), (b"hello".to_vec(), Io::Eof));
    assert_eq!(send(&mut two.server, s, b"bye"), Io::Done(3));
    two.server.close(s, Close::Graceful);
    two.pass();
    assert_eq!(read(&mut two.client, c), (b"bye".to_vec(), Io::Eof));
    two.client.close(c, Close::Graceful);
    two.pass();
    assert_eq!(two.net.state().ends.len(), 0);
    assert_eq!((two.net.open(two.hosts[0]), two.net.open(two.hosts[1])), (1, 0));
}

#[test]
fn full_buffers_block_and_are_announced_once() {
    let mut two = two(Limits { send_buffer: 10, window: 5, ..Limits::default() });
    let (c, s) = two.pair();
    assert_eq!(send(&mut two.client, c, &[7; 30]), Io::Done(10));
    two.pass();
    // Five have arrived, so there is room for five more.
    assert_eq!(harvest(&mut two.client).len(), 1);
    assert_eq!(send(&mut two.client, c, &[7; 30]), Io::Done(5));
    assert_eq!(send(&mut two.client, c, &[7; 30]), Io::Blocked);
    two.pass();
    assert!(harvest(&mut two.client).is_empty());
    for _ in 0..3 {
        assert_eq!(read(&mut two.server, s).0.len(), 5);
        two.pass();
    }
    assert_eq!(read(&mut two.server, s), (vec![], Io::Blocked));
}

#[test]
fn what_was_not_read_turns_a_close_into_a_reset() {
    let mut two = two(Limits::default());
    let (c, s) = two.pair();
    send(&mut two.client, c, b"unread").into_done();
    two.pass();
    send(&mut two.server, s, b"answer").into_done();
    two.server.close(s, Close::Graceful);
    two.pass();
    // The reset destroys what the client has not read.
    assert_eq!(read(&mut two.client, c), (vec![], Io::Failed(Fault::Reset)));
    assert_eq!(send(&mut two.client, c, b"x"), Io::Failed(Fault::BrokenPipe));
    two.client.close(c, Close::Graceful);
    assert_eq!(two.net.state().ends.len(), 0);
}

#[test]
fn bytes_to_a_closed_socket_are_answered_by_a_reset() {
    let mut two = two(Limits::default());
    let (c, s) = two.pair();
    two.server.close(s, Close::Graceful);
    two.pass();
    send(&mut two.client, c, b"anyone?").into_done();
    two.pass();
    assert_eq!(read(&mut two.client, c).1, Io::Failed(Fault::Reset));
}

#[test]
fn connections_are_refused_or_not_answered_or_wait() {
    let mut two = two(Limits { backlog: 1, ..Limits::default() });
    let [first, second] = [two.dial(), two.dial()];
    two.pass();
    assert_eq!(two.client.connect_status(first), Connecting::Done);
    assert_eq!(two.client.connect_status(second), Connecting::Pending);
    assert!(matches!(two.server.accept(two.listener), Accepted::One { .. }));
    assert_eq!(two.server.accept(two.listener), Accepted::Blocked);
    two.wait(Duration::from_secs(2));
    assert_eq!(two.client.connect_status(second), Connecting::Done, "a SYN is sent again");
    two.net.silence(two.hosts[0]);
    let third = two.dial();
    two.wait(Duration::from_secs(30));
    assert_eq!(two.client.connect_status(third), Connecting::Pending);
    two.wait(Duration::from_secs(300));
    assert_eq!(two.client.connect_status(third), Connecting::Failed(Fault::TimedOut));
    two.net.heal();
    two.server.close(two.listener, Close::Graceful);
    let fourth = two.dial();
    two.pass();
    assert_eq!(two.client.connect_status(fourth), Connecting::Failed(Fault::Refused));
}

#[test]
fn a_server_may_speak_before_its_client_knows_that_it_is_connected() {
    for seed in 0..20 {
        let jitter = Duration::from_micros(900);
        let mut two = two_of(seed, Limits { jitter, ..Limits::default() });
        let c = two.dial();
        let s = loop {
            two.wait(Duration::from_micros(10));
            if let Accepted::One { sock, .. } = two.server.accept(two.listener) {
                break sock;
            }
        };
        send(&mut two.server, s, b"welcome").into_done();
        two.wait(Duration::from_millis(3));
        assert_eq!(read(&mut two.client, c), (b"welcome".to_vec(), Io::Blocked), "{seed}");
    }
}

#[test]
fn who_hangs_up_while_it_is_being_answered_resets() {
    let mut two = two(Limits::default());
    let c = two.dial();
    two.wait(Duration::from_micros(120));
    assert_eq!(two.client.connect_status(c), Connecting::Pending);
    two.client.close(c, Close::Graceful);
    let Accepted::One { sock, .. } = two.server.accept(two.listener) else { panic!("nobody came") };
    assert_eq!(read(&mut two.server, sock).1, Io::Blocked);
    two.pass();
    assert_eq!(read(&mut two.server, sock).1, Io::Failed(Fault::Reset));
    two.server.close(sock, Close::Graceful);
    two.pass();
    assert_eq!(two.net.state().ends.len(), 0);
}

#[test]
fn a_cut_link_delays_and_then_loses() {
    let mut two = two(Limits::default());
    let (c, s) = two.pair();
    two.net.cut(two.hosts[1], two.hosts[0]);
    send(&mut two.client, c, b"late").into_done();
    send(&mut two.server, s, b"the other way").into_done();
    two.wait(Duration::from_secs(1));
    assert_eq!(read(&mut two.client, c).0, b"the other way");
    assert_eq!(read(&mut two.server, s), (vec![], Io::Blocked));
    two.net.heal();
    two.wait(Duration::from_secs(5));
    assert_eq!(read(&mut two.server, s).0, b"late");
    two.net.cut(two.hosts[1], two.hosts[0]);
    send(&mut two.client, c, b"never").into_done();
    two.wait(Duration::from_secs(3600));
    assert_eq!(read(&mut two.client, c), (vec![], Io::Failed(Fault::TimedOut)));
    assert_eq!(read(&mut two.server, s), (vec![], Io::Blocked), "it was not told");
}

#[test]
fn a_host_that_restarts_has_forgotten() {
    let mut two = two(Limits::default());
    let (c, s) = two.pair();
    two.net.restart(two.hosts[0]);
    assert_eq!(read(&mut two.server, s).1, Io::Failed(Fault::Reset));
    assert_eq!(read(&mut two.client, c).1, Io::Blocked);
    send(&mut two.client, c, b"hello?").into_done();
    two.pass();
    assert_eq!(read(&mut two.client, c).1, Io::Failed(Fault::Reset));
}

#[test]
fn a_quiet_day_costs_nothing_and_ten_thousand_connections_little() {
    let mut two = two(Limits { backlog: 20_000, ..Limits::default() });
    let socks: Vec<Sock> = (0..10_000).map(|_| two.dial()).collect();
    two.pass();
    for sock in &socks {
        assert_eq!(two.client.connect_status(*sock), Connecting::Done);
    }
    let before = two.net.counts().events;
    two.wait(Duration::from_secs(86_400));
    assert_eq!(two.net.counts().events, before);
}

trait IntoDone {
    fn into_done(self) -> usize;
}

impl IntoDone for Io {
    #[track_caller]
    fn into_done(self) -> usize {
        match self {
            Io::Done(n) => n,
            other => panic!("{other:?}"),
        }
    }
}
