//! Converters of bytes into digests.

use hmac::{KeyInit, Mac, SimpleHmac};
use sha1::Digest;

use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};

/// A compiled converter of this family: `sha1`, `sha2`, `digest`.
#[derive(Clone, Copy, Debug)]
pub struct Conv(Algorithm);

impl Conv {
    pub(super) fn apply<'a>(self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let Value::Bin(bytes) = value else { return None };
        Some(Value::Bin(scene.arena().alloc_slice_copy(self.0.digest(bytes).bytes())))
    }
}

/// What makes a digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// MD5 and SHA-1, one behind the other.
    Md5Sha1,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA-512/224.
    Sha512For224,
    /// SHA-512/256.
    Sha512For256,
    /// SHA3-224.
    Sha3For224,
    /// SHA3-256.
    Sha3For256,
    /// SHA3-384.
    Sha3For384,
    /// SHA3-512.
    Sha3For512,
}

/// A digest or code of up to 64 bytes.
pub struct Made {
    bytes: [u8; 64],
    len: usize,
}

impl Made {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn of(parts: &[&[u8]]) -> Made {
        let mut made = Made { bytes: [0; 64], len: 0 };
        for part in parts {
            made.bytes[made.len..made.len + part.len()].copy_from_slice(part);
            made.len += part.len();
        }
        made
    }
}

/// Calls a function that is generic over the digest.
macro_rules! each {
    ($algorithm:expr, $both:expr, $name:ident ( $($arg:expr),* )) => {
        match $algorithm {
            Algorithm::Md5Sha1 => $both,
            Algorithm::Md5 => $name::<md5::Md5>($($arg),*),
            Algorithm::Sha1 => $name::<sha1::Sha1>($($arg),*),
            Algorithm::Sha224 => $name::<sha2::Sha224>($($arg),*),
            Algorithm::Sha256 => $name::<sha2::Sha256>($($arg),*),
            Algorithm::Sha384 => $name::<sha2::Sha384>($($arg),*),
            Algorithm::Sha512 => $name::<sha2::Sha512>($($arg),*),
            Algorithm::Sha512For224 => $name::<sha2::Sha512_224>($($arg),*),
            Algorithm::Sha512For256 => $name::<sha2::Sha512_256>($($arg),*),
            Algorithm::Sha3For224 => $name::<sha3::Sha3_224>($($arg),*),
            Algorithm::Sha3For256 => $name::<sha3::Sha3_256>($($arg),*),
            Algorithm::Sha3For384 => $name::<sha3::Sha3_384>($($arg),*),
            Algorithm::Sha3For512 => $name::<sha3::Sha3_512>($($arg),*),
        }
    };
}

impl Algorithm {
    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Made {
        fn hash<D: Digest>(bytes: &[u8]) -> Made {
            Made::of(&[&D::digest(bytes)])
        }
        let both = || Made::of(&[&md5::Md5::digest(bytes), &sha1::Sha1::digest(bytes)]);
        each!(self, both(), hash(bytes))
    }

    /// The code that authenticates `bytes`.
    pub fn hmac(self, key: &[u8], bytes: &[u8]) -> Made {
        fn code<D: Digest + hmac::digest::block_api::BlockSizeUser>(
            key: &[u8],
            bytes: &[u8],
        ) -> Made {
            match SimpleHmac::<D>::new_from_slice(key) {
                Ok(mac) => Made::of(&[&mac.chain_update(bytes).finalize().into_bytes()]),
                // Every length is a key's.
                Err(_) => Made::of(&[]),
            }
        }
        each!(self, Made::of(&[]), code(key, bytes))
    }

    /// The one that OpenSSL calls so.
    fn named(name: &str) -> Option<Algorithm> {
        let name = name.to_ascii_lowercase();
        // The names of signatures stand for their digests.
        let mut bare = name.strip_suffix("withrsaencryption").unwrap_or(&name);
        for prefix in ["rsa-", "ssl3-", "id-rsassa-pkcs1-v1_5-with-"] {
            bare = bare.strip_prefix(prefix).unwrap_or(bare);
        }
        Some(match bare {
            "md5" => Algorithm::Md5,
            "md5-sha1" => Algorithm::Md5Sha1,
            "sha1" | "sha-1" | "sha1-2" => Algorithm::Sha1,
            "sha224" | "sha-224" | "sha2-224" => Algorithm::Sha224,
            "sha256" | "sha-256" | "sha2-256" => Algorithm::Sha256,
            "sha384" | "sha-384" | "sha2-384" => Algorithm::Sha384,
            "sha512" | "sha-512" | "sha2-512" => Algorithm::Sha512,
            "sha512-224" | "sha-512/224" | "sha2-512/224" => Algorithm::Sha512For224,
            "sha512-256" | "sha-512/256" | "sha2-512/256" => Algorithm::Sha512For256,
            "sha512/224" if bare != name => Algorithm::Sha512For224,
            "sha512/256" if bare != name => Algorithm::Sha512For256,
            "sha3-224" => Algorithm::Sha3For224,
            "sha3-256" => Algorithm::Sha3For256,
            "sha3-384" => Algorithm::Sha3For384,
            "sha3-512" => Algorithm::Sha3For512,
            _ => return None,
        })
    }
}

/// The first argument as the name of a digest.
pub(super) fn algorithm(args: &Args<'_, '_>) -> Result<Algorithm, Mistake> {
    let name = args.text(0);
    let found = Algorithm::named(name).filter(|found| {
        // A code of two digests is nothing that anybody defined.
        args.name() != "hmac" || *found != Algorithm::Md5Sha1
    });
    found.ok_or_else(|| {
        let message = format!(
            "'{}' knows md5, sha1, sha224, sha256, sha384, sha512, sha512-224, sha512-256 and \
             sha3-224 to sha3-512, not '{name}'",
            args.name()
        );
        args.blame(0, message)
    })
}

fn made(algorithm: Algorithm) -> Result<super::Conv, Mistake> {
    Ok(super::Conv::Digest(Conv(algorithm)))
}

const BIN: (Kind, Kind) = (Kind::Bin, Kind::Bin);

pub(super) const TABLE: &[Spec] = &[
    row("digest", BIN, (0, 1), |args, _| made(algorithm(args)?)),
    row("sha1", BIN, (0, 0), |_, _| made(Algorithm::Sha1)),
    row("sha2", BIN, (0, 1), |args, _| match args.int(0)?.unwrap_or(256) {
        224 => made(Algorithm::Sha224),
        256 => made(Algorithm::Sha256),
        384 => made(Algorithm::Sha384),
        512 => made(Algorithm::Sha512),
        other => Err(args.blame(0, format!("SHA-2 has 224, 256, 384 or 512 bits, not {other}"))),
    }),
];
