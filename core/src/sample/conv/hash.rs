//! Hashes that are not for security: those of `hash-type`, CRC-32C and the xxHash family.

use crc::{CRC_32_ISCSI, Crc};
use xxhash_rust::{xxh3::xxh3_64_with_seed, xxh32::xxh32, xxh64::xxh64};

use super::{Kind, Spec, Value, row};
use crate::balance::{self, Function};
use crate::sample::args::{Args, Mistake};

/// A compiled converter of this family.
#[derive(Clone, Copy, Debug)]
pub enum Conv {
    /// `crc32`, `djb2`, `sdbm`, `wt6`; with their bits mixed once more if true.
    Balance(Function, bool),
    /// `crc32c`, likewise.
    Crc32c(bool),
    /// `xxh32` with its seed.
    Xxh32(u32),
    /// `xxh64` with its seed.
    Xxh64(u64),
    /// `xxh3` with its seed.
    Xxh3(u64),
}

impl Conv {
    pub(super) fn apply<'a>(self, value: Value<'a>) -> Option<Value<'a>> {
        let Value::Bin(bytes) = value else { return None };
        Some(Value::Int(match self {
            Conv::Balance(function, mixed) => mix(function.hash(bytes), mixed),
            Conv::Crc32c(mixed) => mix(CRC32C.checksum(bytes), mixed),
            Conv::Xxh32(seed) => xxh32(bytes, seed).into(),
            Conv::Xxh64(seed) => xxh64(bytes, seed) as i64,
            Conv::Xxh3(seed) => xxh3_64_with_seed(bytes, seed) as i64,
        }))
    }
}

fn mix(hash: u32, mixed: bool) -> i64 {
    if mixed { balance::avalanche(hash).into() } else { hash.into() }
}

/// CRC-32 of iSCSI and SCTP.
static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The argument: any number but 0 asks for mixed bits.
fn mixed(args: &Args<'_, '_>) -> Result<bool, Mistake> {
    Ok(args.int(0)?.unwrap_or(0) != 0)
}

fn seed(args: &Args<'_, '_>) -> Result<u64, Mistake> {
    Ok(args.int(0)?.unwrap_or(0) as u64)
}

fn made(conv: Conv) -> Result<super::Conv, Mistake> {
    Ok(super::Conv::Hash(conv))
}

const TYPES: (Kind, Kind) = (Kind::Bin, Kind::Int);

pub(super) const TABLE: &[Spec] = &[
    row("crc32", TYPES, (0, 1), |args, _| made(Conv::Balance(Function::Crc32, mixed(args)?))),
    row("crc32c", TYPES, (0, 1), |args, _| made(Conv::Crc32c(mixed(args)?))),
    row("djb2", TYPES, (0, 1), |args, _| made(Conv::Balance(Function::Djb2, mixed(args)?))),
    row("sdbm", TYPES, (0, 1), |args, _| made(Conv::Balance(Function::Sdbm, mixed(args)?))),
    row("wt6", TYPES, (0, 1), |args, _| made(Conv::Balance(Function::Wt6, mixed(args)?))),
    row("xxh3", TYPES, (0, 1), |args, _| made(Conv::Xxh3(seed(args)?))),
    row("xxh32", TYPES, (0, 1), |args, _| made(Conv::Xxh32(seed(args)? as u32))),
    row("xxh64", TYPES, (0, 1), |args, _| made(Conv::Xxh64(seed(args)?))),
];
