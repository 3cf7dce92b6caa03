//! What stands before a message on the wire: `format` of a `log` line.
//!
//! HAProxy's own bytes, for a `log-tag` of `hx`:
//!
//! | format | before the message |
//! |---|---|
//! | `local` | `<158>Nov  2 12:41:20 hx[2402]: ` |
//! | `rfc3164` | `<158>Nov  2 12:41:20 localhost hx[2402]: ` |
//! | `rfc5424` | `<158>1 2026-11-02T12:41:20.844987+00:00 - hx 2402 - - ` |
//! | `priority` | `<158>` |
//! | `short` | `<6>` |
//! | `timed` | `<6>2026-11-02T12:41:20.845007+00:00 ` |
//! | `iso` | `2026-11-02T12:41:20.845011+00:00 ` |
//! | `raw` | nothing |

use super::dates::Dates;
use super::text::push_number;
use crate::proxy::spec::{LogTarget, WireFormat};
use crate::time::Wall;

/// How grave a message is (RFC 5424 section 6.2.1). Lower is graver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Level {
    /// `emerg`: a backend has no server left.
    Emergency = 0,
    /// `alert`: a server went down.
    Alert = 1,
    /// `crit`.
    Critical = 2,
    /// `err`: a session that failed, with `option log-separate-errors`; no port or descriptor is
    /// left to reach a server.
    Error = 3,
    /// `warning`: a proxy was stopped.
    Warning = 4,
    /// `notice`: a server came up, a proxy was started.
    Notice = 5,
    /// `info`: traffic.
    Info = 6,
    /// `debug`.
    Debug = 7,
}

impl Level {
    /// The level that the configuration calls so.
    pub fn named(name: &str) -> Option<Level> {
        use Level::*;
        let known = [
            ("emerg", Emergency),
            ("alert", Alert),
            ("crit", Critical),
            ("err", Error),
            ("warning", Warning),
            ("notice", Notice),
            ("info", Info),
            ("debug", Debug),
        ];
        known.iter().find(|(word, _)| *word == name).map(|(_, level)| *level)
    }
}

/// Who sends a message, and when.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// `log-tag`.
    pub tag: &'a str,
    /// The process id.
    pub pid: u32,
    /// `log-send-hostname`.
    pub hostname: Option<&'a str>,
    /// Structured data (RFC 5424), with its brackets; empty for none.
    pub data: &'a [u8],
    /// When the message is sent.
    pub at: Wall,
}

/// The level that `target` gives to a message of `level`; None if it does not want it.
pub fn admitted(target: &LogTarget, level: Level) -> Option<u8> {
    let level = level as u8;
    (level <= target.level).then_some(level.max(target.min_level))
}

/// Appends the header of `format` for a message of `facility` (0 to 23) and `level` (0 to 7).
pub fn push_header(
    format: WireFormat,
    facility: u8,
    level: u8,
    sender: &Sender<'_>,
    dates: &mut Dates,
    out: &mut Vec<u8>,
) {
    let priority = u64::from(facility) * 8 + u64::from(level);
    match format {
        WireFormat::Local => {
            push_angles(priority, out);
            dates.push_bsd(sender.at, out);
            out.push(b' ');
            push_tag(sender, out);
        }
        WireFormat::Rfc3164 => {
            push_angles(priority, out);
            dates.push_bsd(sender.at, out);
            out.push(b' ');
            // The host is not optional in this format.
            out.extend_from_slice(sender.hostname.unwrap_or("localhost").as_bytes());
            out.push(b' ');
            push_tag(sender, out);
        }
        WireFormat::Rfc5424 => {
            push_angles(priority, out);
            out.extend_from_slice(b"1 ");
            dates.push_iso(sender.at, out);
            for field in [sender.hostname.unwrap_or(""), sender.tag] {
                out.push(b' ');
                out.extend_from_slice(if field.is_empty() { b"-" } else { field.as_bytes() });
            }
            out.push(b' ');
            push_number(sender.pid.into(), out);
            // No message id.
            out.extend_from_slice(b" - ");
            out.extend_from_slice(if sender.data.is_empty() { b"-" } else { sender.data });
            out.push(b' ');
        }
        WireFormat::Priority => push_angles(priority, out),
        WireFormat::Short => push_angles(level.into(), out),
        WireFormat::Timed => {
            push_angles(level.into(), out);
            dates.push_iso(sender.at, out);
            out.push(b' ');
        }
        WireFormat::Iso => {
            dates.push_iso(sender.at, out);
            out.push(b' ');
        }
        WireFormat::Raw => {}
    }
}

fn push_angles(n: u64, out: &mut Vec<u8>) {
    out.push(b'<');
    push_number(n, out);
    out.push(b'>');
}

fn push_tag(sender: &Sender<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(sender.tag.as_bytes());
    out.push(b'[');
    push_number(sender.pid.into(), out);
    out.extend_from_slice(b"]: ");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_haproxys() {
        use WireFormat::*;
        let named = Some("web1");
        let table: &[(WireFormat, Option<&str>, &str)] = &[
            (Local, None, "<158>Nov  2 12:41:20 hx[2402]: "),
            (Local, named, "<158>Nov  2 12:41:20 hx[2402]: "),
            (Rfc3164, None, "<158>Nov  2 12:41:20 localhost hx[2402]: "),
            (Rfc3164, named, "<158>Nov  2 12:41:20 web1 hx[2402]: "),
            (Rfc5424, None, "<158>1 2026-11-02T12:41:20.844987+00:00 - hx 2402 - - "),
            (Rfc5424, named, "<158>1 2026-11-02T12:41:20.844987+00:00 web1 hx 2402 - - "),
            (Priority, named, "<158>"),
            (Short, named, "<6>"),
            (Timed, named, "<6>2026-11-02T12:41:20.844987+00:00 "),
            (Iso, named, "2026-11-02T12:41:20.844987+00:00 "),
            (Raw, named, ""),
        ];
        let mut dates = Dates::utc();
        for &(format, hostname, expected) in table {
            let at = Wall::from_nanos(1_793_623_280_844_987_000);
            let sender = Sender { tag: "hx", pid: 2402, hostname, data: b"", at };
            let mut out = Vec::new();
            push_header(format, 19, Level::Info as u8, &sender, &mut dates, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{format:?}");
        }
    }

    #[test]
    fn a_target_filters_by_its_level_and_raises_to_its_minimum() {
        let target = |level, min_level| LogTarget {
            sink: 0,
            format: WireFormat::Local,
            facility: 19,
            level,
            min_level,
            len_max: 1_024,
            len_given: false,
            text_max: u32::MAX,
            ring: None,
            sample: None,
        };
        let table = [
            (target(7, 0), Level::Info, Some(6)),
            (target(5, 0), Level::Info, None),
            (target(5, 0), Level::Warning, Some(4)),
            (target(7, 5), Level::Warning, Some(5)),
            (target(7, 5), Level::Info, Some(6)),
            (target(0, 0), Level::Emergency, Some(0)),
        ];
        for (target, level, expected) in table {
            assert_eq!(admitted(&target, level), expected, "{target:?} {level:?}");
        }
    }
}
