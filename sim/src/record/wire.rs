//! How values stand in a recording: numbers in as few bytes as they need (LEB128), variants as a
//! byte, lists behind their lengths. Every value says itself where it ends, so that what was asked
//! can be compared with what stands there without reading it first.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Why something cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The bytes end before it does.
    Short,
    /// It is nothing that a recording has in this place.
    Nonsense(&'static str),
}

/// Reads values one after another.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from byte number `at` on.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Reader { bytes, at }
    }

    /// The number of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Broken> {
        let end = self.at.checked_add(n).ok_or(Broken::Short)?;
        let taken = self.bytes.get(self.at..end).ok_or(Broken::Short)?;
        self.at = end;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        Ok(self.take(N)?.try_into().expect("as many as were asked for"))
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Broken> {
        Ok(self.array::<1>()?[0])
    }

    /// The next value.
    pub fn get<T: Wire>(&mut self) -> Result<T, Broken> {
        T::get(self)
    }
}

/// What can stand in a recording.
pub trait Wire: Sized {
    /// Writes it behind `out`.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads it.
    fn get(from: &mut Reader<'_>) -> Result<Self, Broken>;
}

/// A number that is as likely large as small, in eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hash(pub u64);

impl Wire for Hash {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok(Hash(u64::from_le_bytes(from.array()?)))
    }
}

impl Wire for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = u64::from(from.byte()?);
            let part = byte & 0x7f;
            if part << shift >> shift != part {
                break;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Broken::Nonsense("a number that is too large"))
    }
}

macro_rules! wire_numbers {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            #[allow(clippy::cast_lossless, reason = "usize has no From")]
            fn put(&self, out: &mut Vec<u8>) {
                (*self as u64).put(out);
            }

            fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
                let number = from.get::<u64>()?;
                <$type>::try_from(number).map_err(|_| Broken::Nonsense("a number that is too large"))
            }
        }
    )*};
}

wire_numbers!(u8, u16, u32, usize);

impl Wire for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        self.cast_unsigned().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok(from.get::<u32>()?.cast_signed())
    }
}

impl Wire for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        self.cast_unsigned().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok(from.get::<u64>()?.cast_signed())
    }
}

impl Wire for Box<[u8]> {
    fn put(&self, out: &mut Vec<u8>) {
        Bytes(self.to_vec()).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok(from.get::<Bytes>()?.0.into())
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Broken::Nonsense("neither yes nor no")),
        }
    }
}

impl Wire for () {
    fn put(&self, _out: &mut Vec<u8>) {}

    fn get(_from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok(())
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok((from.get()?, from.get()?))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok(if from.get::<bool>()? { Some(from.get()?) } else { None })
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_ok()));
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok(if from.get::<bool>()? { Ok(from.get()?) } else { Err(from.get()?) })
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.iter().for_each(|item| item.put(out));
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        // No room is made for a length that may be a lie.
        let length = from.get::<usize>()?;
        (0..length).map(|_| from.get()).collect()
    }
}

/// Bytes as they are, behind their length.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bytes(pub Vec<u8>);

impl Wire for Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.len().put(out);
        out.extend_from_slice(&self.0);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        let length = from.get()?;
        Ok(Bytes(from.take(length)?.to_vec()))
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        let bytes = from.get::<Bytes>()?.0;
        String::from_utf8(bytes).map_err(|_| Broken::Nonsense("a text that is none"))
    }
}

impl Wire for Arc<str> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok(from.get::<String>()?.into())
    }
}

impl Wire for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            IpAddr::V4(address) => {
                out.push(4);
                out.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                out.push(6);
                out.extend_from_slice(&address.octets());
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        match from.byte()? {
            4 => Ok(Ipv4Addr::from(from.array::<4>()?).into()),
            6 => Ok(Ipv6Addr::from(from.array::<16>()?).into()),
            _ => Err(Broken::Nonsense("an address of no known kind")),
        }
    }
}

impl Wire for SocketAddr {
    fn put(&self, out: &mut Vec<u8>) {
        self.ip().put(out);
        self.port().put(out);
        if let SocketAddr::V6(address) = self {
            address.flowinfo().put(out);
            address.scope_id().put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Broken> {
        let (ip, port) = (from.get()?, from.get()?);
        let mut address = SocketAddr::new(ip, port);
        if let SocketAddr::V6(address) = &mut address {
            address.set_flowinfo(from.get()?);
            address.set_scope_id(from.get()?);
        }
        Ok(address)
    }
}

/// A struct as the list of its fields; all of them, or it does not compile.
macro_rules! wire_struct {
    ($($type:ty { $($field:ident),* $(,)? })*) => {$(
        impl $crate::record::wire::Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.put(out);)*
            }

            fn get(
                from: &mut $crate::record::wire::Reader<'_>,
            ) -> Result<Self, $crate::record::wire::Broken> {
                $(let $field = from.get()?;)*
                Ok(Self { $($field),* })
            }
        }
    )*};
}

/// An enum as a byte for the variant and its fields; all of them, or it does not compile.
macro_rules! wire_enum {
    ($($type:ty {
        $($tag:literal => $variant:ident $(($($item:ident),*))? $({$($field:ident),*})?),* $(,)?
    })*) => {$(
        impl $crate::record::wire::Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($($item),*))? $({$($field),*})? => {
                        out.push($tag);
                        $($($item.put(out);)*)?
                        $($($field.put(out);)*)?
                    })*
                }
            }

            fn get(
                from: &mut $crate::record::wire::Reader<'_>,
            ) -> Result<Self, $crate::record::wire::Broken> {
                Ok(match from.byte()? {
                    $($tag => {
                        $($(let $item = from.get()?;)*)?
                        $($(let $field = from.get()?;)*)?
                        Self::$variant $(($($item),*))? $({$($field),*})?
                    })*
                    _ => {
                        let what = concat!("no ", stringify!($type));
                        return Err($crate::record::wire::Broken::Nonsense(what));
                    }
                })
            }
        }
    )*};
}

pub(super) use {wire_enum, wire_struct};

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_and_comes<T: Wire + PartialEq + core::fmt::Debug>(value: &T, size: usize) {
        let mut bytes = vec![9];
        value.put(&mut bytes);
        assert_eq!(bytes.len() - 1, size, "{value:?}");
        let mut reader = Reader::new(&bytes, 1);
        assert_eq!(reader.get::<T>().as_ref(), Ok(value));
        assert!(reader.is_at_end());
        for short in 1..bytes.len() {
            assert_eq!(Reader::new(&bytes[..short], 1).get::<T>(), Err(Broken::Short));
        }
    }

    #[test]
    fn values_come_back_and_a_part_of_one_is_short() {
        for (number, size) in [(0, 1), (127, 1), (128, 2), (1 << 56, 9), (u64::MAX, 10)] {
            goes_and_comes(&number, size);
        }
        goes_and_comes(&u32::MAX, 5);
        goes_and_comes(&-1, 5);
        goes_and_comes(&Hash(1), 8);
        goes_and_comes(&(true, Some(7_u16)), 3);
        goes_and_comes(&Vec::<Result<u32, bool>>::from([Ok(300), Err(false)]), 6);
        goes_and_comes(&Bytes(b"abc".to_vec()), 4);
        goes_and_comes(&"\u{e9}".to_owned(), 3);
        goes_and_comes(&SocketAddr::from(([127, 0, 0, 1], 80)), 6);
        let v6: SocketAddr = "[fe80::1%3]:8080".parse().expect("an address");
        goes_and_comes(&v6, 21);
    }

    #[test]
    fn nonsense_is_told_from_an_end() {
        fn fails<T: Wire + PartialEq + core::fmt::Debug>(bytes: &[u8]) {
            assert!(matches!(Reader::new(bytes, 0).get::<T>(), Err(Broken::Nonsense(_))));
        }
        fails::<u64>(&[0xff; 11]);
        fails::<u64>(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]);
        fails::<u16>(&[0x80, 0x80, 4]);
        fails::<bool>(&[2]);
        fails::<String>(&[1, 0xff]);
        fails::<IpAddr>(&[5, 0, 0, 0, 0]);
        // A length that is a lie costs nothing.
        let mut lie = Vec::new();
        u64::MAX.put(&mut lie);
        assert_eq!(Reader::new(&lie, 0).get::<Bytes>(), Err(Broken::Short));
        assert_eq!(Reader::new(&lie, 0).get::<Vec<u64>>(), Err(Broken::Short));
    }
}
