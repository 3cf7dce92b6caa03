//! Converters of seconds since 1970 into dates.

use jiff::{Timestamp, tz::Dst};

use super::made::Made;
use super::strftime::{self, Date};
use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub enum Conv {
    /// `http_date`: what is added, and how many there are in a second.
    Http(i64, i64),
    /// `utime`: the format, and what is added.
    Utc(Box<[u8]>, i64),
    /// `ltime`, likewise.
    Local(Box<[u8]>, i64),
}

/// HAProxy keeps dates from being negative by leaving only these bits.
const SECONDS: i64 = (1 << 55) - 1;

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let Value::Int(n) = value else { return None };
        let mut made = Made::new(scene, 64);
        match self {
            Conv::Http(offset, unit) => {
                let n = n.wrapping_add(*offset);
                let date = Date::utc((n / unit) & SECONDS);
                strftime::write(b"%a, %d %b %Y %H:%M:%S", &date, &mut made)?;
                if *unit > 1 {
                    made.push(b'.')?;
                    made.add(itoa::Buffer::new().format(n % unit).as_bytes())?;
                }
                made.add(b" GMT")?;
            }
            Conv::Utc(format, offset) => {
                let seconds = (n & SECONDS).saturating_add(*offset);
                let mut date = Date::utc(seconds);
                // C's `%s` takes every date for a local one, outside of summer time.
                date.stamp = seconds.saturating_sub(local(seconds, scene, false).offset);
                return Some(written(format, &date, made));
            }
            Conv::Local(format, offset) => {
                let seconds = (n & SECONDS).saturating_add(*offset);
                return Some(written(format, &local(seconds, scene, true), made));
            }
        }
        Some(Value::Str(made.done()))
    }
}

/// The date in the format. Nothing of it if it does not fit, as `strftime` has it.
fn written<'a>(format: &[u8], date: &Date<'_>, mut made: Made<'a>) -> Value<'a> {
    Value::Str(match strftime::write(format, date, &mut made) {
        Some(()) => made.done(),
        None => b"",
    })
}

/// The date in the local time zone, in summer time if it is `summer` there and that is wanted.
fn local<'a>(seconds: i64, scene: &Scene<'a>, summer: bool) -> Date<'a> {
    // The zone's rules end where the calendar of its library does.
    let known = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let info = Timestamp::from_second(known).map(|at| scene.desk.zone.to_offset_info(at));
    let (mut offset, mut zone) = (0, "UTC");
    if let Ok(info) = info {
        offset = info.offset().seconds().into();
        zone = scene.arena().alloc_str(info.abbreviation());
        if !summer && info.dst() == Dst::Yes {
            offset -= 3_600;
        }
    }
    Date { offset, zone, stamp: seconds, ..Date::utc(seconds.saturating_add(offset)) }
}

fn format(args: &Args<'_, '_>) -> Result<(Box<[u8]>, i64), Mistake> {
    Ok((args.text(0).as_bytes().into(), args.int(1)?.unwrap_or(0)))
}

const TYPES: (Kind, Kind) = (Kind::Int, Kind::Str);

pub(super) const TABLE: &[Spec] = &[
    row("http_date", TYPES, (0, 2), |args, _| {
        let unit = match args.text(1) {
            "" | "s" => 1,
            "ms" => 1_000,
            "us" => 1_000_000,
            other => {
                let message = format!("the unit of 'http_date' is s, ms or us, not '{other}'");
                return Err(args.blame(1, message));
            }
        };
        let offset = args.int(0)?;
        if offset.is_none() && args.get(1).is_some() {
            return Err(args.wrong("'http_date' needs an offset before the unit, such as 0"));
        }
        Ok(super::Conv::Date(Conv::Http(offset.unwrap_or(0), unit)))
    }),
    row("ltime", TYPES, (0, 2), |args, _| {
        let (format, offset) = format(args)?;
        Ok(super::Conv::Date(Conv::Local(format, offset)))
    }),
    row("utime", TYPES, (0, 2), |args, _| {
        let (format, offset) = format(args)?;
        Ok(super::Conv::Date(Conv::Utc(format, offset)))
    }),
];
