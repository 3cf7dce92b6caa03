//! The door as the engines see it, in one thread: order and exactness.

use core::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::*;
use crate::poller::{Address, Parcel, Peer};
use crate::proxy::spec::{BindOptions, Listener, Proxy, Role, SendProxy, Server};
use crate::time::Duration;

/// A server of backend 0 with these limits, usable and active.
pub(super) fn server(maxconn: u32, maxqueue: u32) -> Server {
    Server {
        name: Arc::from("s"),
        backend: 0,
        id: 1,
        address: Some(Address::Inet(SocketAddr::from((Ipv4Addr::LOCALHOST, 80)))),
        port_offset: None,
        weight: 1,
        backup: false,
        disabled: false,
        maxconn,
        maxqueue,
        pool_max: None,
        pool_purge_delay: Duration::from_secs(5),
        max_reuse: None,
        source: None,
        user_timeout: None,
        send_proxy: SendProxy::NONE,
    }
}

/// One proxy with one listener, and these servers.
pub(super) fn site(servers: Vec<Server>) -> Site {
    let proxy = Proxy {
        role: Role::FRONTEND.with(Role::BACKEND),
        maxconn: 2,
        listeners: 0..1,
        servers: 0..servers.len() as u32,
        ..Proxy::default()
    };
    let listener = Listener {
        address: Address::Inet(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        frontend: 0,
        name: None,
        id: 1,
        maxconn: 1,
        backlog: 0,
        accept_proxy: false,
        options: BindOptions::default(),
        place: String::new(),
    };
    let mut site =
        Site { proxies: vec![proxy], servers, listeners: vec![listener], ..Site::default() };
    site.global.maxconn = 3;
    site
}

const RESUME: Message = Message::Resume(LimitId::Process);

fn who(engine: u32, session: u32) -> Waiter {
    Waiter { engine, session, serial: u64::from(session) + 1000, rank: Rank::default() }
}

fn granted(session: u32, server: ServerId, position: u32) -> Message {
    Message::Granted { session, serial: u64::from(session) + 1000, server, position }
}

fn mail(shared: &Shared, engine: u32) -> Vec<Message> {
    let mut into = Vec::new();
    shared.collect(engine, &mut into);
    shared.audit();
    into
}

fn wait(shared: &Shared, server: Option<ServerId>, who: Waiter) -> Ticket {
    match shared.enqueue(0, server, who) {
        Queued::Waiting { ticket, .. } => ticket,
        other => panic!("{who:?} should wait: {other:?}"),
    }
}

fn ranked(session: u32, class: i32, offset: i32, millis: u64) -> Waiter {
    let now = Instant::from_nanos(millis * 1_000_000);
    Waiter { rank: Rank::new((class, offset), now), ..who(0, session) }
}

#[test]
fn the_lowest_class_is_served_first_and_in_it_whoever_would_have_come_first() {
    let shared = Shared::new(&site(vec![server(1, 0), server(1, 0)]), 1);
    assert_eq!((shared.slot(0), shared.slot(1)), (Slot::Granted, Slot::Granted));
    for waiter in [
        ranked(1, 0, 0, 1000),
        ranked(2, 1, -500_000, 1000),
        ranked(3, 0, 50, 1000),
        ranked(4, -1, 900, 1010),
        // This clock is behind, but it came later.
        ranked(5, 0, 0, 990),
        ranked(6, 0, -11, 1020),
    ] {
        wait(&shared, None, waiter);
    }
    // Of the two queues, too, the lower class goes first, and then the earlier time.
    wait(&shared, Some(0), ranked(7, 0, 0, 1030));
    wait(&shared, Some(0), ranked(8, -1, 800, 1030));
    let order: Vec<u32> = (0..8)
        .map(|_| {
            let _ = shared.free(0);
            match mail(&shared, 0)[..] {
                [Message::Granted { session, .. }] => session,
                ref other => panic!("{other:?}"),
            }
        })
        .collect();
    assert_eq!(order, [8, 4, 1, 6, 5, 7, 3, 2]);
}

#[test]
fn each_limit_is_its_own() {
    let shared = Shared::new(&site(vec![]), 2);
    let limits = [(LimitId::Process, 3), (LimitId::Frontend(0), 2), (LimitId::Listener(0), 1)];
    for (l, max) in limits {
        assert_eq!(shared.max(l), max);
        for n in 0..max {
            assert_eq!(shared.used(l), n);
            assert!(shared.acquire(l, 0));
        }
        assert!(!shared.acquire(l, 1));
        assert!(mail(&shared, 1).is_empty());
        assert_eq!(shared.release(l), Wake::one(1));
        assert_eq!(mail(&shared, 1), [Message::Resume(l)]);
        (1..max).for_each(|_| assert!(shared.release(l).is_empty()));
    }
    assert!(shared.is_idle());
}

#[test]
fn a_refused_engine_has_one_resume_however_often_it_was_refused() {
    let shared = Shared::new(&site(vec![]), 2);
    assert!((0..3).all(|_| shared.acquire(LimitId::Process, 0)));
    assert!(!shared.acquire(LimitId::Process, 1));
    assert_eq!(shared.release(LimitId::Process), Wake::one(1));
    assert!(shared.acquire(LimitId::Process, 0));
    assert!(!shared.acquire(LimitId::Process, 1));
    assert!(shared.release(LimitId::Process).is_empty());
    assert_eq!(mail(&shared, 1), [RESUME]);
    assert!(shared.acquire(LimitId::Process, 0));
    assert!(!shared.acquire(LimitId::Process, 1));
    assert_eq!(shared.set_limit(LimitId::Process, 4), Wake::one(1));
    assert_eq!(mail(&shared, 1), [RESUME]);
}

#[test]
fn no_limit_still_counts() {
    let shared = Shared::new(&Site { proxies: vec![Proxy::default()], ..Site::default() }, 1);
    assert!((0..1000).all(|_| shared.acquire(LimitId::Frontend(0), 0)));
    assert_eq!(shared.used(LimitId::Frontend(0)), 1000);
    assert!(!shared.is_idle());
}

#[test]
fn a_server_without_maxconn_is_never_counted() {
    let shared = Shared::new(&site(vec![server(0, 0)]), 1);
    assert_eq!(shared.slot(0), Slot::Unlimited);
    assert!(!shared.full(0) && shared.slots_used(0) == 0 && shared.is_idle());
}

#[test]
fn a_freed_slot_goes_to_the_oldest_of_both_queues() {
    let shared = Shared::new(&site(vec![server(1, 0), server(1, 0)]), 3);
    assert_eq!((shared.slot(0), shared.slot(1)), (Slot::Granted, Slot::Granted));
    wait(&shared, Some(0), who(0, 1));
    wait(&shared, None, who(1, 2));
    wait(&shared, Some(0), who(2, 3));
    wait(&shared, Some(1), who(0, 4));
    assert_eq!(shared.queue_lengths(0, Some(0)), (2, 1));
    assert_eq!(shared.queue_lengths(0, None), (0, 1));
    assert!(shared.full(0) && shared.slot(0) == Slot::Full);

    assert_eq!(shared.free(0), Wake::one(0));
    assert_eq!(mail(&shared, 0), [granted(1, 0, 1)]);
    assert_eq!(shared.slot(0), Slot::Full);
    // Whoever takes any server came before whoever wants server 1.
    assert_eq!(shared.free(1), Wake::one(1));
    assert_eq!(mail(&shared, 1), [granted(2, 1, 1)]);
    assert_eq!(shared.free(0), Wake::one(2));
    assert_eq!(mail(&shared, 2), [granted(3, 0, 2)]);
    assert_eq!(shared.free(1), Wake::one(0));
    assert_eq!(mail(&shared, 0), [granted(4, 1, 1)]);

    assert!(shared.free(0).is_empty() && shared.free(1).is_empty());
    assert!(shared.is_idle());
}

#[test]
fn queueing_finds_a_slot_that_became_free() {
    let shared = Shared::new(&site(vec![server(1, 0), server(1, 0)]), 1);
    assert_eq!((shared.slot(0), shared.slot(1)), (Slot::Granted, Slot::Granted));
    assert!(shared.free(1).is_empty());
    assert_eq!(shared.enqueue(0, None, who(0, 1)), Queued::Granted(1));
    assert!(shared.free(0).is_empty());
    assert_eq!(shared.enqueue(0, Some(0), who(0, 2)), Queued::Granted(0));
    assert_eq!((shared.slots_used(0), shared.slots_used(1)), (1, 1));
}

#[test]
fn maxqueue_bounds_the_servers_queue_only() {
    let shared = Shared::new(&site(vec![server(1, 2)]), 1);
    assert_eq!(shared.slot(0), Slot::Granted);
    (0..2).for_each(|n| _ = wait(&shared, Some(0), who(0, n)));
    assert_eq!(shared.enqueue(0, Some(0), who(0, 2)), Queued::Full(2));
    let ahead = |queued| match queued {
        Queued::Waiting { ahead, .. } => ahead,
        other => panic!("{other:?}"),
    };
    assert_eq!((3..6).map(|n| ahead(shared.enqueue(0, None, who(0, n)))).max(), Some(2));
    shared.audit();
}

#[test]
fn whoever_leaves_the_queue_owns_nothing() {
    let shared = Shared::new(&site(vec![server(1, 0)]), 2);
    assert_eq!(shared.slot(0), Slot::Granted);
    let first = wait(&shared, Some(0), who(0, 1));
    let second = wait(&shared, Some(0), who(1, 2));
    let third = wait(&shared, Some(0), who(0, 3));
    assert!(first.arrival() < second.arrival() && second.server() == Some(0));
    assert_eq!(shared.cancel(first), Cancel::Cancelled { position: 1 });
    assert_eq!(shared.cancel(first), Cancel::Late);
    assert_eq!(shared.free(0), Wake::one(1));
    assert_eq!(shared.cancel(third), Cancel::Cancelled { position: 2 });
    assert!(shared.free(0).is_empty() && shared.slots_used(0) == 0);
}

#[test]
fn a_cancel_that_is_late_leaves_the_slot_with_the_message() {
    let shared = Shared::new(&site(vec![server(1, 0)]), 2);
    assert_eq!(shared.slot(0), Slot::Granted);
    let ticket = wait(&shared, None, who(1, 7));
    let _ = shared.free(0);
    assert!(shared.has_mail(1));
    assert_eq!(shared.cancel(ticket), Cancel::Late);
    assert_eq!((shared.slots_used(0), shared.slot(0)), (1, Slot::Full));
    assert_eq!(mail(&shared, 1), [granted(7, 0, 1)]);
    assert!(shared.free(0).is_empty() && shared.is_idle());
}

#[test]
fn more_slots_serve_the_queues_in_order() {
    let shared = Shared::new(&site(vec![server(1, 0)]), 1);
    assert_eq!(shared.slot(0), Slot::Granted);
    (1..=4).for_each(|n| _ = wait(&shared, (n % 2 == 0).then_some(0), who(0, n)));
    assert_eq!(shared.set_slots(0, 3), Wake::one(0));
    assert_eq!(mail(&shared, 0), [granted(1, 0, 1), granted(2, 0, 1)]);
    assert_eq!(shared.set_slots(0, 0), Wake::one(0));
    assert_eq!(mail(&shared, 0), [granted(3, 0, 2), granted(4, 0, 2)]);
    assert_eq!(shared.slot(0), Slot::Unlimited);
    assert_eq!(shared.slots_used(0), 5);
    (0..5).for_each(|_| assert!(shared.free(0).is_empty()));
    assert!(shared.is_idle());
}

#[test]
fn fewer_slots_drain() {
    let shared = Shared::new(&site(vec![server(3, 0)]), 1);
    (0..3).for_each(|_| assert_eq!(shared.slot(0), Slot::Granted));
    wait(&shared, Some(0), who(0, 1));
    assert!(shared.set_slots(0, 1).is_empty());
    shared.audit();
    assert!(shared.free(0).is_empty() && shared.free(0).is_empty());
    assert!(!shared.free(0).is_empty());
    assert_eq!(shared.slots_used(0), 1);
    shared.audit();
}

#[test]
fn only_servers_that_take_serve_the_backends_queue() {
    let shared = Shared::new(&site(vec![server(1, 0), server(1, 0)]), 1);
    assert_eq!((shared.slot(0), shared.slot(1)), (Slot::Granted, Slot::Granted));
    assert!(shared.set_takes(0, false).is_empty());
    wait(&shared, None, who(0, 1));
    wait(&shared, Some(0), who(0, 2));
    assert!(!shared.free(0).is_empty());
    assert_eq!(mail(&shared, 0), [granted(2, 0, 1)]);
    assert!(shared.free(0).is_empty());
    // It has a slot now, but does not take: who comes waits, until it takes.
    wait(&shared, None, who(0, 3));
    shared.audit();
    assert_eq!(shared.set_takes(0, true), Wake::one(0));
    assert_eq!(mail(&shared, 0), [granted(1, 0, 1)]);
}

#[test]
fn a_queue_can_be_sent_back_to_balancing() {
    let shared = Shared::new(&site(vec![server(1, 0)]), 2);
    assert_eq!(shared.slot(0), Slot::Granted);
    let ticket = wait(&shared, Some(0), who(0, 1));
    wait(&shared, Some(0), who(1, 2));
    wait(&shared, None, who(1, 3));
    assert_eq!(shared.requeue(0), (2, Wake::one(0).with(Wake::one(1))));
    assert_eq!(shared.requeue_backend(0), (1, Wake::NONE));
    let requeue = |session: u32| {
        let serial = u64::from(session) + 1000;
        Message::Requeue { session, serial, position: 1 }
    };
    assert_eq!(mail(&shared, 0), [requeue(1)]);
    assert_eq!(mail(&shared, 1), [requeue(2), requeue(3)]);
    assert_eq!(shared.cancel(ticket), Cancel::Late);
    assert_eq!(shared.queue_lengths(0, Some(0)), (0, 0));
}

#[test]
fn who_takes_at_the_start() {
    let backup = || Server { backup: true, ..server(1, 0) };
    let down = || Server { disabled: true, ..server(1, 0) };
    let unresolved = || Server { address: None, ..server(1, 0) };
    let drained = || Server { weight: 0, ..server(1, 0) };
    let cases = [
        (vec![server(1, 0), backup(), server(1, 0)], false, vec![0, 2]),
        (vec![down(), unresolved(), drained(), backup(), backup()], false, vec![3]),
        (vec![down(), backup(), backup()], true, vec![1, 2]),
        (vec![down()], true, vec![]),
    ];
    for (servers, all_backups, takers) in cases {
        let mut site = site(servers);
        if all_backups {
            site.proxies[0].options.set(Options::ALL_BACKUPS);
        }
        let shared = Shared::new(&site, 1);
        for (n, server) in takers.iter().enumerate() {
            assert_eq!(shared.enqueue(0, None, who(0, n as u32)), Queued::Granted(*server));
        }
        wait(&shared, None, who(0, 99));
    }
}

#[test]
fn a_proxy_without_servers_has_no_queue() {
    let shared = Shared::new(&site(vec![]), 1);
    assert_eq!(shared.queue_lengths(0, None), (0, 0));
    assert_eq!(shared.requeue_backend(0), (0, Wake::NONE));
}

#[test]
fn sockets_are_handed_on_by_mail() {
    let shared = Shared::new(&site(vec![]), 2);
    let adopt = Message::Adopt { listener: 0, parcel: Parcel(7), peer: Peer::Unix };
    assert_eq!(shared.post(1, adopt.clone()), Wake::one(1));
    assert_eq!((mail(&shared, 0), mail(&shared, 1)), (vec![], vec![adopt]));
}

#[test]
#[should_panic(expected = "freed twice")]
fn freeing_what_is_not_held_is_a_bug() {
    let _ = Shared::new(&site(vec![server(1, 0)]), 1).free(0);
}

#[test]
#[should_panic(expected = "waits twice")]
fn the_audit_sees_a_session_in_two_queues() {
    let shared = Shared::new(&site(vec![server(1, 0)]), 1);
    assert_eq!(shared.slot(0), Slot::Granted);
    wait(&shared, Some(0), who(0, 1));
    wait(&shared, None, who(0, 1));
    shared.audit();
}
