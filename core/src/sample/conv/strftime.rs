//! A date in a format of C's `strftime`, as glibc writes it in the C locale: flags (`_`, `-`, `0`,
//! `^`, `#`), widths, the modifiers `E` and `O`, and what is unknown as it stands.

use super::made::Made;

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A point in time, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Date<'z> {
    pub(super) year: i64,
    /// From 0.
    pub(super) month: usize,
    pub(super) day: i64,
    /// Days since the first of January.
    pub(super) year_day: i64,
    /// From Sunday, 0.
    pub(super) week_day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    /// Seconds east of UTC.
    pub(super) offset: i64,
    /// The zone's short name.
    pub(super) zone: &'z str,
    /// What `%s` says.
    pub(super) stamp: i64,
}

impl Date<'_> {
    /// Seconds since 1970 in UTC, of whatever size.
    pub(super) fn utc(seconds: i64) -> Date<'static> {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Years that begin in March, in eras of 400: the leap day is the last of one.
        let from_march = days + 719_468;
        let (era, day) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
        let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let part = (5 * day + 2) / 153;
        let month = (part + 2) % 12;
        let year = year_of_era + era * 400 + i64::from(month < 2);
        let leap = i64::from(is_leap(year));
        let year_day = if month < 2 { day - 306 } else { day + 59 + leap };
        Date {
            year,
            month: month as usize,
            day: day - (153 * part + 2) / 5 + 1,
            year_day,
            week_day: (days + 4).rem_euclid(7),
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
            offset: 0,
            zone: "GMT",
            stamp: seconds,
        }
    }

    /// The year and the number of its week, as ISO 8601 counts them.
    fn iso_week(&self) -> (i64, i64) {
        // The week belongs to the year of its Thursday.
        let thursday = self.year_day - (self.week_day + 6) % 7 + 3;
        let length = |year| 365 + i64::from(is_leap(year));
        if thursday < 0 {
            (self.year - 1, (thursday + length(self.year - 1)) / 7 + 1)
        } else if thursday >= length(self.year) {
            (self.year + 1, 1)
        } else {
            (self.year, thursday / 7 + 1)
        }
    }
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// What stands between `%` and the letter.
#[derive(Clone, Copy, Default)]
struct Flags {
    pad: Option<u8>,
    upper: bool,
    swap: bool,
    width: usize,
    modifier: Option<u8>,
}

/// Formats of several fields, by their letter.
const fn composed(letter: u8) -> Option<&'static [u8]> {
    Some(match letter {
        b'c' => b"%a %b %e %H:%M:%S %Y",
        b'D' | b'x' => b"%m/%d/%y",
        b'F' => b"%Y-%m-%d",
        b'r' => b"%I:%M:%S %p",
        b'R' => b"%H:%M",
        b'T' | b'X' => b"%H:%M:%S",
        _ => return None,
    })
}

/// Writes the date; none if it does not fit.
pub(super) fn write(format: &[u8], date: &Date<'_>, out: &mut Made<'_>) -> Option<()> {
    let mut rest = format;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.add(&rest[..at])?;
        let (flags, len) = flags(&rest[at + 1..]);
        let end = (at + 1 + len + 1).min(rest.len());
        let known = match rest.get(at + 1 + len) {
            Some(letter) => field(*letter, flags, date, out)?,
            None => false,
        };
        if !known {
            out.add(&rest[at..end])?;
        }
        rest = &rest[end..];
    }
    out.add(rest)
}

/// The flags at the start, and how long they are.
fn flags(text: &[u8]) -> (Flags, usize) {
    let mut flags = Flags::default();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'_' | b'-' | b'0' => flags.pad = Some(*byte),
            b'^' => flags.upper = true,
            b'#' => flags.swap = true,
            _ => break,
        }
        at += 1;
    }
    while let Some(digit @ b'0'..=b'9') = text.get(at) {
        flags.width = flags.width.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
        at += 1;
    }
    if let Some(modifier @ (b'E' | b'O')) = text.get(at) {
        flags.modifier = Some(*modifier);
        at += 1;
    }
    (flags, at)
}

/// Writes one field. False if there is none of that letter.
fn field(letter: u8, flags: Flags, date: &Date<'_>, out: &mut Made<'_>) -> Option<bool> {
    let modified = match letter {
        b'c' | b'C' | b'x' | b'X' | b'Y' => flags.modifier == Some(b'O'),
        b'y' | b'n' | b't' | b'%' | b'p' | b'P' | b's' | b'u' | b'z' | b'Z' => false,
        b'a' | b'A' | b'D' | b'F' | b'r' | b'R' | b'T' => flags.modifier.is_some(),
        _ => flags.modifier == Some(b'E'),
    };
    if modified {
        return Some(false);
    }
    let hour12 = (date.hour + 11) % 12 + 1;
    let half = if date.hour < 12 { "AM" } else { "PM" };
    let month = MONTHS[date.month];
    let day = DAYS[date.week_day as usize];
    match letter {
        b'a' => text(&day[..3], flags, flags.swap, out)?,
        b'A' => text(day, flags, flags.swap, out)?,
        b'b' | b'h' => text(&month[..3], flags, flags.swap, out)?,
        b'B' => text(month, flags, flags.swap, out)?,
        b'p' if flags.swap => text(&half.to_ascii_lowercase(), flags, false, out)?,
        b'p' => text(half, flags, false, out)?,
        b'P' => text(&half.to_ascii_lowercase(), Flags { upper: false, ..flags }, false, out)?,
        b'Z' if flags.swap => text(&date.zone.to_ascii_lowercase(), flags, false, out)?,
        b'Z' => text(date.zone, flags, false, out)?,
        b'n' => text("\n", flags, false, out)?,
        b't' => text("\t", flags, false, out)?,
        b'%' => text("%", flags, false, out)?,
        b'C' => number(1, date.year.div_euclid(100), flags, out)?,
        b'd' => number(2, date.day, flags, out)?,
        b'e' => number(2, date.day, spaced(flags), out)?,
        b'g' => number(2, date.iso_week().0.rem_euclid(100), flags, out)?,
        b'G' => number(1, date.iso_week().0, flags, out)?,
        b'H' => number(2, date.hour, flags, out)?,
        b'I' => number(2, hour12, flags, out)?,
        b'j' => number(3, date.year_day + 1, flags, out)?,
        b'k' => number(2, date.hour, spaced(flags), out)?,
        b'l' => number(2, hour12, spaced(flags), out)?,
        b'm' => number(2, date.month as i64 + 1, flags, out)?,
        b'M' => number(2, date.minute, flags, out)?,
        b's' => number(1, date.stamp, flags, out)?,
        b'S' => number(2, date.second, flags, out)?,
        b'u' => number(1, (date.week_day + 6) % 7 + 1, flags, out)?,
        b'U' => number(2, (date.year_day - date.week_day + 7) / 7, flags, out)?,
        b'V' => number(2, date.iso_week().1, flags, out)?,
        b'w' => number(1, date.week_day, flags, out)?,
        b'W' => number(2, (date.year_day - (date.week_day + 6) % 7 + 7) / 7, flags, out)?,
        b'y' => number(2, date.year.rem_euclid(100), flags, out)?,
        b'Y' => number(1, date.year, flags, out)?,
        b'z' => {
            text(if date.offset < 0 { "-" } else { "+" }, flags, false, out)?;
            let minutes = date.offset.abs() / 60;
            number(4, minutes / 60 * 100 + minutes % 60, flags, out)?;
        }
        _ => match composed(letter) {
            Some(format) => {
                let from = out.len();
                write(format, date, out)?;
                out.pad_from(from, flags.width, flags.pad == Some(b'0'))?;
                if flags.upper {
                    out.since(from).make_ascii_uppercase();
                }
            }
            None => return Some(false),
        },
    }
    Some(true)
}

/// With spaces before it, unless the flags say otherwise.
fn spaced(flags: Flags) -> Flags {
    Flags { pad: flags.pad.or(Some(b'_')), ..flags }
}

fn text(text: &str, flags: Flags, upper: bool, out: &mut Made<'_>) -> Option<()> {
    let from = out.len();
    out.add(text.as_bytes())?;
    if flags.upper || upper {
        out.since(from).make_ascii_uppercase();
    }
    out.pad_from(from, flags.width, flags.pad == Some(b'0'))
}

fn number(digits: usize, value: i64, flags: Flags, out: &mut Made<'_>) -> Option<()> {
    let from = out.len();
    let mut shown = itoa::Buffer::new();
    let shown = shown.format(value.unsigned_abs());
    let sign = usize::from(value < 0);
    let missing = digits.max(flags.width).saturating_sub(shown.len() + sign);
    let fill = match flags.pad {
        Some(b'-') => None,
        Some(b'_') => Some(b' '),
        _ => Some(b'0'),
    };
    if fill == Some(b' ') {
        out.repeat(b' ', missing)?;
    }
    if value < 0 {
        out.push(b'-')?;
    }
    if fill == Some(b'0') {
        out.repeat(b'0', missing)?;
    }
    out.add(shown.as_bytes())?;
    out.pad_from(from, flags.width, false)
}
