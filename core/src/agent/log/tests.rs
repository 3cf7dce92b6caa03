//! Log lines on their way: headers, batches, what a full arena or sink drops, reopening.

use super::*;
use crate::poller::Address;
use crate::proxy::spec::{Sink, WireFormat::*};

const SOCK: Sock = Sock { index: 7, generation: 1 };
const START: Instant = Instant::START;

fn later(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

fn target(sink: u32, format: WireFormat) -> LogTarget {
    LogTarget {
        sink,
        format,
        facility: 19,
        level: 7,
        min_level: 0,
        len_max: 1_024,
        len_given: false,
        text_max: u32::MAX,
        ring: None,
        sample: None,
    }
}

fn logs(sinks: usize, arena_max: u32) -> Logs {
    let mut site = Site::default();
    let path = Address::Unix("/dev/log".into());
    site.sinks = vec![Sink::Datagram(path); sinks];
    site.tunables.log_arena_max = arena_max;
    Logs::new(&site, 2402, Dates::utc())
}

/// Says `text` at 2026-11-02T12:41:20.844987Z.
fn say(logs: &mut Logs, targets: &[LogTarget], level: Level, text: &str) {
    let at = Wall::from_nanos(1_793_623_280_844_987_000);
    logs.emit(targets, "hx", level, at, |_, out| out.extend_from_slice(text.as_bytes()));
}

fn pending(logs: &Logs, sink: u32) -> Vec<String> {
    logs.pending(sink).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

#[test]
fn each_target_gets_its_header_and_a_line_feed() {
    let mut logs = logs(2, 65_536);
    let quiet = LogTarget { level: 3, ..target(1, Raw) };
    let raised = LogTarget { min_level: 5, ..target(1, Priority) };
    let targets = [target(0, Local), target(0, Rfc5424), quiet, raised];
    say(&mut logs, &targets, Level::Warning, "Proxy fe stopped.");
    assert_eq!(
        pending(&logs, 0),
        [
            "<156>Nov  2 12:41:20 hx[2402]: Proxy fe stopped.\n",
            "<156>1 2026-11-02T12:41:20.844987+00:00 - hx 2402 - - Proxy fe stopped.\n",
        ]
    );
    assert_eq!(pending(&logs, 1), ["<157>Proxy fe stopped.\n"]);
}

#[test]
fn what_nobody_wants_is_not_written() {
    let mut logs = logs(1, 65_536);
    let quiet = LogTarget { level: 3, ..target(0, Raw) };
    logs.emit(&[quiet], "hx", Level::Info, Wall::default(), |_, _| panic!("written"));
    logs.emit(&[], "hx", Level::Info, Wall::default(), |_, _| panic!("written"));
    assert!(logs.is_idle());
}

#[test]
fn equal_targets_share_their_bytes() {
    let mut logs = logs(3, 65_536);
    let targets = [target(0, Local), target(1, Local), target(2, Short), target(2, Local)];
    say(&mut logs, &targets, Level::Info, "one");
    assert_eq!(logs.arena.len(), pending(&logs, 2).concat().len());
    assert_eq!(pending(&logs, 0), pending(&logs, 1));
    assert_eq!(pending(&logs, 2), ["<6>one\n", "<158>Nov  2 12:41:20 hx[2402]: one\n"]);
}

#[test]
fn a_message_is_cut_to_its_length_header_included() {
    // The first three are HAProxy's own datagrams.
    let text = "127.0.0.1:60386 [22/Nov/2026:21:27:08.474] lim b/s1 0/0/0/0/0 200 64 - - ---- 1/1";
    let local = "<158>Nov 22 21:27:08 hx[11580]: 127.0.0.1:60386 [22/Nov/2026:21:27:08.474] lim \
                 b/s1 0/0/0/0/0 200 64\n";
    let dated = "<158>1 2026-11-22T21:27:08.475856+00:00 - hx 11580 - - 127.0.0.1:60386 \
                 [22/Nov/2026:21:27:\n";
    let table = [
        (Local, 100, local),
        (Rfc5424, 90, dated),
        (Raw, 80, &*format!("{}\n", &text[..80])),
        (Raw, 1_024, &*format!("{text}\n")),
        // `len` is 80 at least, but nothing here relies on it.
        (Local, 10, "<158>Nov 2\n"),
        (Short, 3, "<6>\n"),
    ];
    for (format, len_max, expected) in table {
        let mut logs = logs(1, 65_536);
        logs.pid = 11_580;
        let target = LogTarget { len_max, ..target(0, format) };
        let at = Wall::from_nanos(1_795_382_828_475_856_000);
        logs.emit(&[target], "hx", Level::Info, at, |_, out| {
            out.extend_from_slice(text.as_bytes())
        });
        assert_eq!(pending(&logs, 0), [expected], "{format:?} {len_max}");
    }
}

#[test]
fn a_full_arena_drops_and_counts() {
    // Nine bytes each; the second fits exactly.
    let mut logs = logs(2, 18);
    let targets = [target(0, Short)];
    for _ in 0..2 {
        say(&mut logs, &targets, Level::Info, "01234");
    }
    assert_eq!((pending(&logs, 0).len(), logs.dropped()), (2, 0));
    say(&mut logs, &[target(0, Short), target(1, Raw)], Level::Info, "");
    assert_eq!((pending(&logs, 0).len(), pending(&logs, 1).len(), logs.dropped()), (2, 0, 2));
    logs.end_turn();
    say(&mut logs, &targets, Level::Info, "01234");
    assert_eq!(pending(&logs, 0), ["<6>01234\n"]);
}

#[test]
fn a_sink_is_opened_once_and_sends_in_batches() {
    let mut logs = logs(1, 65_536);
    assert_eq!(logs.want(0, START), Want::Nothing);
    for text in ["a", "b", "c"] {
        say(&mut logs, &[target(0, Raw)], Level::Info, text);
    }
    assert_eq!(logs.want(0, START), Want::Open);
    logs.opened(0, Ok(SOCK), START);
    assert_eq!(logs.want(0, START), Want::Send(SOCK));
    logs.sent(0, 2, 2, START);
    assert_eq!((logs.want(0, START), pending(&logs, 0)), (Want::Send(SOCK), vec!["c\n".into()]));
    logs.sent(0, 1, 1, START);
    assert_eq!(logs.want(0, START), Want::Nothing);
    logs.end_turn();
    assert!(logs.is_idle());
    assert_eq!(logs.tally(0), Tally { sent: 3, dropped: 0 });
}

#[test]
fn what_a_full_sink_does_not_take_is_dropped() {
    let mut logs = logs(1, 65_536);
    logs.opened(0, Ok(SOCK), START);
    for text in ["a", "b", "c", "d"] {
        say(&mut logs, &[target(0, Raw)], Level::Info, text);
    }
    logs.sent(0, 3, 1, START);
    assert_eq!(logs.want(0, START), Want::Nothing);
    logs.end_turn();
    assert_eq!(logs.tally(0), Tally { sent: 1, dropped: 3 });
}

#[test]
fn a_sink_that_cannot_be_opened_is_left_alone_for_a_while() {
    let mut logs = logs(1, 65_536);
    say(&mut logs, &[target(0, Raw)], Level::Info, "a");
    logs.opened(0, Err(Fault::Refused), START);
    assert_eq!(logs.want(0, START), Want::Nothing);
    logs.end_turn();
    assert_eq!(logs.dropped(), 1);
    say(&mut logs, &[target(0, Raw)], Level::Info, "b");
    assert_eq!(logs.want(0, later(999)), Want::Nothing);
    assert_eq!(logs.want(0, later(1_000)), Want::Open);
}

#[test]
fn a_sink_that_takes_nothing_for_long_is_reopened() {
    let mut logs = logs(1, 65_536);
    logs.opened(0, Ok(SOCK), START);
    let mut turn = |millis, taken| {
        say(&mut logs, &[target(0, Raw)], Level::Info, "a");
        logs.sent(0, 1, taken, later(millis));
        let want = logs.want(0, later(millis));
        logs.end_turn();
        want
    };
    // Full, but never for a whole second.
    for (millis, taken) in [(0, 0), (900, 0), (999, 1), (1_500, 0), (2_499, 0)] {
        assert_eq!(turn(millis, taken), Want::Nothing, "{millis}");
    }
    assert_eq!(turn(2_500, 0), Want::Close(SOCK));
    assert!(!logs.is_idle());
    logs.closed(0, later(2_500));
    say(&mut logs, &[target(0, Raw)], Level::Info, "a");
    assert_eq!(logs.want(0, later(3_499)), Want::Nothing);
    assert_eq!(logs.want(0, later(3_500)), Want::Open);
}

#[test]
fn a_socket_that_failed_is_closed_with_or_without_messages() {
    let mut logs = logs(1, 65_536);
    logs.failed(0);
    assert_eq!(logs.want(0, START), Want::Nothing);
    logs.opened(0, Ok(SOCK), START);
    logs.failed(0);
    logs.failed(0);
    assert_eq!(logs.want(0, START), Want::Close(SOCK));
    logs.closed(0, START);
    assert_eq!(logs.want(0, later(5_000)), Want::Nothing);
}

#[test]
fn a_steady_state_does_not_allocate() {
    let mut logs = logs(2, 65_536);
    let targets = [target(0, Local), target(1, Rfc5424)];
    let mut turn = || {
        for _ in 0..20 {
            say(&mut logs, &targets, Level::Info, "the same again");
        }
        let room = (logs.arena.capacity(), logs.text.capacity(), logs.made.capacity());
        let messages = logs.sinks.iter().map(|sink| sink.messages.capacity()).sum::<usize>();
        logs.end_turn();
        (room, messages)
    };
    let first = turn();
    assert_eq!(turn(), first);
}
