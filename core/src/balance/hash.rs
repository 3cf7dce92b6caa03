//! The hashes of `hash-type`, and the parts of a request they are fed with. Not a keyed hash: the
//! same key must reach the same server through every engine, every restart and every balancer.
//!
//! A client can therefore choose its server. That is what the option is for.

use core::net::IpAddr;

use crc::{CRC_32_ISO_HDLC, Crc};

/// `hash-type`: what turns a key into a number, and a number into a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashType {
    /// How a number becomes a server.
    pub method: Method,
    /// How a key becomes a number.
    pub function: Function,
    /// Mix the bits of the hash once more.
    pub avalanche: bool,
}

/// How a hash is mapped to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// `map-based`: a place in a table of all usable servers. Smooth, but any change of the farm
    /// moves most keys.
    #[default]
    MapBased,
    /// `consistent`: the nearest of many points each server has on a ring. Less smooth; a change
    /// of one server moves that server's keys only.
    Consistent,
}

/// How the bytes of a key become a number. `balance source` uses none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Function {
    /// `sdbm`, the default.
    #[default]
    Sdbm,
    /// `djb2`.
    Djb2,
    /// `wt6`.
    Wt6,
    /// `crc32`.
    Crc32,
}

/// The arguments of `balance uri`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UriOptions {
    /// `whole`: the query string is part of the key.
    pub whole: bool,
    /// `len`: bytes considered at most; 0 is no limit.
    pub len: u32,
    /// `depth`: directory levels considered at most; 0 is no limit.
    pub depth: u32,
    /// `path-only`: the scheme and the authority of an absolute target are not part of the key.
    pub path_only: bool,
}

impl HashType {
    /// What the configuration says: a consistent hash without a named function is sdbm with
    /// avalanche, a map-based one plain sdbm.
    pub fn new(method: Method, function: Option<Function>, avalanche: bool) -> Self {
        let implied = function.is_none() && method == Method::Consistent;
        Self { method, function: function.unwrap_or_default(), avalanche: avalanche || implied }
    }

    /// The hash of any key (`hdr`, `url_param`, `rdp-cookie`, `hash`). For `hdr` and `url_param`
    /// an empty value is no key at all; that is the caller's to know.
    pub fn bytes(&self, key: &[u8]) -> u32 {
        self.finish(self.function.hash(key))
    }

    /// The hash of `balance source`: the address' 32-bit words folded together.
    pub fn source(&self, address: &IpAddr) -> u32 {
        self.finish(match address {
            IpAddr::V4(v4) => v4.to_bits(),
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                let half = (bits >> 64) as u64 ^ bits as u64;
                (half >> 32) as u32 ^ half as u32
            }
        })
    }

    /// The hash of `balance uri` for a request target as it was received.
    pub fn uri(&self, target: &[u8], options: &UriOptions) -> u32 {
        self.bytes(options.key(target))
    }

    fn finish(&self, hash: u32) -> u32 {
        if self.avalanche { avalanche(hash) } else { hash }
    }
}

impl Default for HashType {
    fn default() -> Self {
        Self::new(Method::MapBased, None, false)
    }
}

impl Function {
    /// The plain hash, as the converters of the same names give it.
    pub fn hash(self, key: &[u8]) -> u32 {
        match self {
            Self::Sdbm => key.iter().fold(0, |hash, &byte| {
                (hash << 6)
                    .wrapping_add(hash << 16)
                    .wrapping_sub(hash)
                    .wrapping_add(u32::from(byte))
            }),
            Self::Djb2 => key
                .iter()
                .fold(5381, |hash: u32, &byte| hash.wrapping_mul(33).wrapping_add(byte.into())),
            Self::Wt6 => wt6(key),
            Self::Crc32 => CRC32.checksum(key),
        }
    }
}

impl UriOptions {
    /// The part of `target` that is hashed.
    pub fn key<'a>(&self, target: &'a [u8]) -> &'a [u8] {
        let mut key = if self.path_only { path(target) } else { target };
        if self.len > 0 {
            key = &key[..key.len().min(self.len as usize)];
        }
        let mut slashes = 0;
        let end = key.iter().position(|&byte| match byte {
            b'/' => {
                slashes += 1;
                self.depth > 0 && slashes > self.depth
            }
            b'?' => !self.whole,
            _ => false,
        });
        end.map_or(key, |end| &key[..end])
    }
}

/// `use_domain_only`: the label before the last dot, the whole name if there is none. A port is
/// not told from a label, and a label may begin with a dot where two stand together, as in HAProxy.
pub fn domain(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|&byte| byte == b'.') {
        None | Some(0) => name,
        Some(end) => {
            let before = name[..end - 1].iter().rposition(|&byte| byte == b'.');
            &name[before.map_or(0, |dot| dot + 1)..end]
        }
    }
}

/// The path of a request target, with its query: empty in `*` and in a bare authority.
fn path(target: &[u8]) -> &[u8] {
    if target.first() == Some(&b'/') {
        return target;
    }
    let Some(scheme) = target.windows(3).position(|at| at == b"://") else {
        return &[];
    };
    let rest = &target[scheme + 3..];
    rest.iter().position(|&byte| byte == b'/').map_or(&[], |slash| &rest[slash..])
}

/// Spreads every bit over the whole word: Bob Jenkins' full avalanche of four bytes, and a
/// multiplication by a prime (3 * 2^30 + 1) so that short inputs reach the high bits as well.
pub fn avalanche(hash: u32) -> u32 {
    let mut a = hash;
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = (a ^ 0xc761_c23c) ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

/// Two words that rotate each other by amounts taken from their own bits.
fn wt6(key: &[u8]) -> u32 {
    let (mut low, mut high) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut left, mut right) = (6, 18);
    for &byte in key {
        let mixed = !(low ^ u32::from(byte));
        low = (!high.wrapping_add(byte.into())).rotate_left(left);
        high = mixed.rotate_left(right);
        let turns = ((low >> 16) ^ high) & 0xffff;
        (left, right) = (turns & 0x1f, turns >> 11);
    }
    low ^ high
}

/// CRC-32 of Ethernet, gzip and PNG.
static CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
