//! Converters of addresses, and of hosts with ports.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::text::lowered;
use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};

/// A compiled converter of this family.
#[derive(Clone, Copy, Debug)]
pub enum Conv {
    /// `ipmask`; without the second mask IPv6 addresses have no value.
    Mask(Ipv4Addr, Option<Ipv6Addr>),
    /// `host_only`.
    Host,
    /// `port_only`.
    Port,
}

impl Conv {
    pub(super) fn apply<'a>(self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        match (self, value) {
            (Conv::Mask(v4, v6), Value::Ip(ip)) => Some(Value::Ip(match ip.to_canonical() {
                IpAddr::V4(ip) => (ip & v4).into(),
                IpAddr::V6(ip) => (ip & v6?).into(),
            })),
            (Conv::Host, Value::Str(text)) => {
                let host = colon(text).map_or(text, |at| &text[..at]);
                Some(Value::Str(lowered(host, scene)))
            }
            (Conv::Port, Value::Str(text)) => {
                let port = colon(text).map_or(&b""[..], |at| &text[at + 1..]);
                // HAProxy does not look whether they are digits.
                let port = port.iter().fold(0, |n: u32, digit| {
                    n.wrapping_mul(10).wrapping_add(u32::from(*digit).wrapping_sub(b'0'.into()))
                });
                Some(Value::Int(port.into()))
            }
            _ => None,
        }
    }
}

/// Where the colon before the port stands: the last one, but not within brackets.
fn colon(text: &[u8]) -> Option<usize> {
    text.iter().rposition(|byte| matches!(byte, b':' | b']')).filter(|at| text[*at] == b':')
}

/// A mask by its length, up to `most`.
fn length(text: &str, most: u32) -> Option<u32> {
    text.trim_ascii_start().parse().ok().filter(|len| *len <= most)
}

fn mask4(args: &Args<'_, '_>) -> Result<Ipv4Addr, Mistake> {
    let text = args.text(0);
    let mask = length(text, 32).map(|len| Ipv4Addr::from_bits(ones(len, 32) as u32));
    mask.or_else(|| text.parse().ok()).ok_or_else(|| {
        let message = format!("'ipmask' needs a mask such as 24 or 255.255.255.0, not '{text}'");
        args.blame(0, message)
    })
}

fn mask6(args: &Args<'_, '_>) -> Result<Option<Ipv6Addr>, Mistake> {
    let Some(text) = args.get(1) else { return Ok(None) };
    let mask = length(text, 128).map(|len| Ipv6Addr::from_bits(ones(len, 128)));
    mask.or_else(|| text.parse().ok()).map(Some).ok_or_else(|| {
        let message =
            format!("the second mask of 'ipmask' is one such as 64 or ffff::, not '{text}'");
        args.blame(1, message)
    })
}

/// `len` ones at the high end of `width` bits.
const fn ones(len: u32, width: u32) -> u128 {
    match len {
        0 => 0,
        len => (u128::MAX << (128 - len)) >> (128 - width),
    }
}

const TEXT: (Kind, Kind) = (Kind::Str, Kind::Str);

pub(super) const TABLE: &[Spec] = &[
    row("host_only", TEXT, (0, 0), |_, _| Ok(super::Conv::Net(Conv::Host))),
    row("ipmask", (Kind::Addr, Kind::Ipv4), (1, 2), |args, _| {
        Ok(super::Conv::Net(Conv::Mask(mask4(args)?, mask6(args)?)))
    }),
    row("port_only", (Kind::Str, Kind::Int), (0, 0), |_, _| Ok(super::Conv::Net(Conv::Port))),
];
