//! Dates as logs write them, in the local time zone, each second converted once.
//!
//! A line and its header speak of different moments (a session may have begun long ago), so a few
//! seconds are remembered, not one. There is no clock here.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::time::Wall;

/// Seconds that are remembered: a power of two.
const SLOTS: usize = 8;

const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// Writes dates. Give each engine its own.
#[derive(Debug)]
pub struct Dates {
    zone: TimeZone,
    slots: [Second; SLOTS],
}

/// One second, written in every way.
#[derive(Clone, Copy, Debug)]
struct Second {
    /// Seconds since the epoch; `u64::MAX` if the slot is free.
    at: u64,
    /// `[22/Nov/2026:12:21:14.000]`
    log: [u8; 26],
    /// `Nov 22 12:41:20`
    bsd: [u8; 15],
    /// `2026-11-22T12:41:20.000000+00:00`
    iso: [u8; 32],
}

impl Dates {
    /// Dates in `zone`.
    pub fn new(zone: TimeZone) -> Self {
        let empty = Second {
            at: u64::MAX,
            log: *b"[00/---/0000:00:00:00.000]",
            bsd: *b"--- 00 00:00:00",
            iso: *b"0000-00-00T00:00:00.000000+00:00",
        };
        Dates { zone, slots: [empty; SLOTS] }
    }

    /// Dates in UTC.
    pub fn utc() -> Self {
        Dates::new(TimeZone::UTC)
    }

    /// Dates in the zone called `name`: one of the system's zones (`Europe/Paris`) or a POSIX rule
    /// (`CET-1CEST,M3.5.0,M10.5.0/3`); UTC if none is given. None if there is no such zone.
    ///
    /// The zone's file is read here and never again.
    pub fn named(name: Option<&str>) -> Option<Self> {
        let Some(name) = name else { return Some(Dates::utc()) };
        let zone = TimeZone::get(name).or_else(|_| TimeZone::posix(name)).ok()?;
        Some(Dates::new(zone))
    }

    /// Appends `[DD/Mon/YYYY:HH:MM:SS.mmm]`.
    pub fn push_log(&mut self, at: Wall, out: &mut Vec<u8>) {
        let mut text = self.second(at).log;
        put_digits(&mut text[22..25], at.subsec_millis());
        out.extend_from_slice(&text);
    }

    /// Appends `DD/Mon/YYYY:HH:MM:SS.mmm`.
    pub fn push_millis(&mut self, at: Wall, out: &mut Vec<u8>) {
        let before = out.len();
        self.push_log(at, out);
        // Without its brackets.
        out.remove(before);
        out.pop();
    }

    /// Appends `DD/Mon/YYYY:HH:MM:SS +hhmm`.
    pub fn push_zone(&mut self, at: Wall, out: &mut Vec<u8>) {
        let second = self.second(at);
        out.extend_from_slice(&second.log[1..21]);
        out.push(b' ');
        out.extend_from_slice(&second.iso[26..29]);
        out.extend_from_slice(&second.iso[30..32]);
    }

    /// Appends `DD/Mon/YYYY:HH:MM:SS +0000`.
    pub fn push_utc(&mut self, at: Wall, out: &mut Vec<u8>) {
        Dates::utc().push_zone(at, out);
    }

    /// Appends `Mon DD HH:MM:SS`, the day padded with a space (RFC 3164 section 4.1.2).
    pub fn push_bsd(&mut self, at: Wall, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.second(at).bsd);
    }

    /// Appends `YYYY-MM-DDTHH:MM:SS.uuuuuu+HH:MM` (RFC 5424 section 6.2.3).
    pub fn push_iso(&mut self, at: Wall, out: &mut Vec<u8>) {
        let mut text = self.second(at).iso;
        put_digits(&mut text[20..26], at.subsec_micros());
        out.extend_from_slice(&text);
    }

    fn second(&mut self, at: Wall) -> &Second {
        let slot = &mut self.slots[at.as_secs() as usize % SLOTS];
        if slot.at != at.as_secs() {
            slot.write(at.as_secs(), &self.zone);
        }
        slot
    }
}

impl Second {
    #[cold]
    fn write(&mut self, at: u64, zone: &TimeZone) {
        // A `Wall` ends in the year 2554, which is within what jiff knows.
        let stamp = Timestamp::from_second(at as i64).unwrap_or_default();
        let offset = zone.to_offset(stamp);
        let date = offset.to_datetime(stamp);
        let number = |n: i8| n.unsigned_abs().into();
        let (year, day) = (date.year().unsigned_abs().into(), number(date.day()));
        let index = usize::from(date.month().unsigned_abs() - 1);
        let month = &MONTHS[index * 3..index * 3 + 3];

        let mut clock = *b"00:00:00";
        put_digits(&mut clock[..2], number(date.hour()));
        put_digits(&mut clock[3..5], number(date.minute()));
        put_digits(&mut clock[6..], number(date.second()));

        put_digits(&mut self.log[1..3], day);
        self.log[4..7].copy_from_slice(month);
        put_digits(&mut self.log[8..12], year);
        self.log[13..21].copy_from_slice(&clock);

        self.bsd[..3].copy_from_slice(month);
        put_digits(&mut self.bsd[4..6], day);
        if self.bsd[4] == b'0' {
            self.bsd[4] = b' ';
        }
        self.bsd[7..].copy_from_slice(&clock);

        put_digits(&mut self.iso[..4], year);
        put_digits(&mut self.iso[5..7], number(date.month()));
        put_digits(&mut self.iso[8..10], day);
        self.iso[11..19].copy_from_slice(&clock);
        let minutes = offset.seconds().unsigned_abs() / 60;
        self.iso[26] = if offset.is_negative() { b'-' } else { b'+' };
        put_digits(&mut self.iso[27..29], minutes / 60);
        put_digits(&mut self.iso[30..32], minutes % 60);

        self.at = at;
    }
}

/// Fills `into` with the last digits of `n`, padded with zeros.
fn put_digits(into: &mut [u8], mut n: u32) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All three ways of writing `secs` and `micros`, a line each.
    fn dates(dates: &mut Dates, secs: u64, micros: u64) -> String {
        let at = Wall::from_nanos(secs * 1_000_000_000 + micros * 1_000 + 999);
        let mut out = Vec::new();
        dates.push_log(at, &mut out);
        out.push(b'\n');
        dates.push_bsd(at, &mut out);
        out.push(b'\n');
        dates.push_iso(at, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_date_is_written_in_full() {
        let paris = "CET-1CEST,M3.5.0,M10.5.0/3";
        let table: &[(Option<&str>, u64, u64, &str)] = &[
            (
                None,
                0,
                0,
                "[01/Jan/1970:00:00:00.000]\nJan  1 00:00:00\n1970-01-01T00:00:00.000000+00:00",
            ),
            (
                None,
                1_795_351_274,
                79_003,
                "[22/Nov/2026:12:41:14.079]\nNov 22 12:41:14\n2026-11-22T12:41:14.079003+00:00",
            ),
            (
                None,
                1_709_251_199,
                999_999,
                "[29/Feb/2024:23:59:59.999]\nFeb 29 23:59:59\n2024-02-29T23:59:59.999999+00:00",
            ),
            // The second before and the second of the change to summer time.
            (
                Some(paris),
                1_774_745_999,
                0,
                "[29/Mar/2026:01:59:59.000]\nMar 29 01:59:59\n2026-03-29T01:59:59.000000+01:00",
            ),
            (
                Some(paris),
                1_774_746_000,
                0,
                "[29/Mar/2026:03:00:00.000]\nMar 29 03:00:00\n2026-03-29T03:00:00.000000+02:00",
            ),
            (
                Some("NST3:30"),
                1_767_225_600,
                0,
                "[31/Dec/2025:20:30:00.000]\nDec 31 20:30:00\n2025-12-31T20:30:00.000000-03:30",
            ),
        ];
        for &(zone, secs, micros, expected) in table {
            let mut writer = Dates::named(zone).expect("a zone");
            assert_eq!(dates(&mut writer, secs, micros), expected);
        }
    }

    #[test]
    fn a_slot_is_rewritten_when_its_second_changes() {
        let mut writer = Dates::utc();
        let first = dates(&mut writer, 1, 0);
        let later = dates(&mut writer, 1 + SLOTS as u64, 0);
        assert!(later.starts_with("[01/Jan/1970:00:00:09.000]"), "{later}");
        assert_eq!(dates(&mut writer, 1, 0), first);
    }

    #[test]
    fn an_unknown_zone_is_none() {
        assert!(Dates::named(Some("Nowhere/Atlantis")).is_none());
    }
}
