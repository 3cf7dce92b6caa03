//! The `Poller` contract on `MioPoller`, against the loopback interface.

mod loopback;

use core::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tidegate::bind::Binder;
use tidegate_core::poller::{Address, Close, Poller};
use tidegate_core::proxy::spec::{Proxy, Site};
use tidegate_tests::contract::{Harness, Setting};
use tidegate_tests::contract_tests;

use loopback::{Loopback, listener};

contract_tests!(tcp: Loopback, unix: false, common hangups marks);
contract_tests!(unix: Loopback, unix: true, common hangups);

#[test]
fn a_stale_event_is_dropped_and_counted() {
    let setting = Setting { name: "stale", unix: false };
    Loopback::run(setting, |mut b| {
        Box::pin(async move {
            let (near, far) = b.pair().await;
            b.send_all(near, b"x").await;
            let net = b.net();
            net.wait(Some(Duration::from_secs(5))).expect("epoll works");
            // The event is in hand, and its socket goes.
            net.close(far, Close::Graceful);
            let mut events = Vec::new();
            net.harvest(&mut events);
            assert!(events.iter().all(|event| event.sock != far));
            assert_eq!(net.stale_events(), 1);
        })
    });
}

#[test]
fn every_engine_has_its_own_socket_for_a_tcp_listener() {
    let mut spec = listener(Address::Inet(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
    spec.options.shared = false;
    let site = Arc::new(Site {
        proxies: vec![Proxy::default()],
        listeners: vec![spec.clone(), spec],
        ..Site::default()
    });
    let mut binder = Binder::new(&site, 3);
    assert_eq!(binder.bind(), []);
    let sockets = binder.finish();
    let sharded = cfg!(target_os = "linux");
    for (engine, sockets) in sockets.iter().enumerate() {
        for (listener, socket) in sockets.iter().enumerate() {
            assert_eq!(socket.is_some(), sharded || listener == engine, "{engine} {listener}");
        }
    }
}
