//! Values with units: times (`us ms s m h d`) and sizes (`k m g`).

use std::fmt;

use crate::time::Duration;

/// The unit of a bare number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Most timeouts.
    Millis,
    /// `hard-stop-after`, cookies, TCP keep-alives, and whatever says so.
    Seconds,
}

/// Why a value is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitError {
    /// Nothing there.
    Empty,
    /// Something that is neither a digit nor a unit, at this byte.
    Unexpected(usize),
    /// More than can be counted.
    Overflow,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnitError::Empty => "a value is missing",
            UnitError::Unexpected(_) => "unexpected character",
            UnitError::Overflow => "the value is too large",
        })
    }
}

/// The longest time: what a signed 32-bit count of milliseconds holds, about 24.8 days.
pub const TIME_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// A time: digits, then `us`, `ms`, `s`, `m`, `h` or `d`; without one, in `unit`. At most
/// [`TIME_MAX`]. Anything after the unit is an error, although HAProxy 2.6 only warns of it.
pub fn time(text: &str, unit: Unit) -> Result<Duration, UnitError> {
    let (count, suffix, at) = split(text)?;
    let nanos = match suffix {
        "" if unit == Unit::Seconds => 1_000_000_000,
        "" | "ms" => 1_000_000,
        "us" => 1_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(UnitError::Unexpected(at + stray(suffix, &["us", "ms"], "smhd"))),
    };
    match count.checked_mul(nanos) {
        Some(total) if total <= TIME_MAX.as_nanos() => Ok(Duration::from_nanos(total)),
        _ => Err(UnitError::Overflow),
    }
}

/// A size in bytes: digits, then `k`, `m` or `g` in either case (times 1024).
pub fn size(text: &str) -> Result<u64, UnitError> {
    let (count, suffix, at) = split(text)?;
    let shift = match suffix {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return Err(UnitError::Unexpected(at + stray(suffix, &[], "kKmMgG"))),
    };
    count.checked_mul(1 << shift).ok_or(UnitError::Overflow)
}

/// The digits as a number, what follows them, and where it starts.
fn split(text: &str) -> Result<(u64, &str, usize), UnitError> {
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let at = text.bytes().take_while(u8::is_ascii_digit).count();
    if at == 0 {
        return Err(UnitError::Unexpected(0));
    }
    let count = text[..at].parse().map_err(|_| UnitError::Overflow)?;
    Ok((count, &text[at..], at))
}

/// The first byte of `suffix` that belongs to no unit.
fn stray(suffix: &str, long: &[&str], short: &str) -> usize {
    if let Some(unit) = long.iter().find(|unit| suffix.starts_with(**unit)) {
        return unit.len();
    }
    usize::from(suffix.starts_with(|c| short.contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let ms = |n| Ok(Duration::from_millis(n));
        for (text, expected) in [
            ("0", ms(0)),
            ("5000", ms(5000)),
            ("00010", ms(10)),
            ("999us", Ok(Duration::from_micros(999))),
            ("1ms", ms(1)),
            ("1s", ms(1000)),
            ("1m", ms(60_000)),
            ("1h", ms(3_600_000)),
            ("24d", ms(24 * 86_400_000)),
            ("2147483647", ms(2_147_483_647)),
            ("2147483648", Err(UnitError::Overflow)),
            ("25d", Err(UnitError::Overflow)),
            ("99999999999999999999", Err(UnitError::Overflow)),
            ("9999999999999999d", Err(UnitError::Overflow)),
            ("", Err(UnitError::Empty)),
            ("-1", Err(UnitError::Unexpected(0))),
            ("+1", Err(UnitError::Unexpected(0))),
            ("s", Err(UnitError::Unexpected(0))),
            ("1x", Err(UnitError::Unexpected(1))),
            ("1S", Err(UnitError::Unexpected(1))),
            ("1u", Err(UnitError::Unexpected(1))),
            ("1.5s", Err(UnitError::Unexpected(1))),
            ("1ss", Err(UnitError::Unexpected(2))),
            ("1msx", Err(UnitError::Unexpected(3))),
        ] {
            assert_eq!(time(text, Unit::Millis), expected, "{text}");
        }
        assert_eq!(time("30", Unit::Seconds), ms(30_000));
        assert_eq!(time("30ms", Unit::Seconds), ms(30));
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("16384", Ok(16384)),
            ("16k", Ok(16384)),
            ("1M", Ok(1 << 20)),
            ("4g", Ok(4 << 30)),
            ("9999999999g", Ok(9_999_999_999 << 30)),
            ("99999999999999999999", Err(UnitError::Overflow)),
            ("99999999999999g", Err(UnitError::Overflow)),
            ("", Err(UnitError::Empty)),
            ("k", Err(UnitError::Unexpected(0))),
            ("1kb", Err(UnitError::Unexpected(2))),
            ("1t", Err(UnitError::Unexpected(1))),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }
}
