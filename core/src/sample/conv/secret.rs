//! Converters with a secret in them: authentication codes, decryption, comparison in constant time.

use aes_gcm::aead::array::ArraySize;
use aes_gcm::aead::consts::{U8, U12, U16};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{KeyInit, Nonce};
use aes_gcm::aes::{Aes128, Aes192, Aes256};
use aes_gcm::{AeadInOut, AesGcm};
use ctutils::CtEq;

use super::digest::{Algorithm, algorithm};
use super::encode;
use super::made::made_max;
use super::operand::var;
use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};
use crate::sample::names::Names;
use crate::sample::vars::VarId;

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub enum Conv {
    /// `hmac`.
    Hmac(Algorithm, Secret),
    /// `aes_gcm_dec`.
    AesGcm(Box<AesGcmArgs>),
    /// `secure_memcmp`.
    Compare(VarId),
}

/// The arguments of `aes_gcm_dec`.
#[derive(Clone, Debug)]
pub struct AesGcmArgs {
    bits: u16,
    nonce: Secret,
    key: Secret,
    tag: Secret,
}

/// Bytes that are written in base64, or a variable that holds them so.
#[derive(Clone)]
pub enum Secret {
    /// A constant.
    Is(Box<[u8]>),
    /// A variable.
    Var(VarId),
}

/// Does not say what it is.
impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    fn of(
        args: &Args<'_, '_>,
        index: usize,
        what: &str,
        names: &mut Names<'_>,
    ) -> Result<Secret, Mistake> {
        let text = args.text(index);
        if let Ok(id) = names.var(text) {
            return Ok(Secret::Var(id));
        }
        match encode::base64_bytes(text.as_bytes()) {
            Some(bytes) => Ok(Secret::Is(bytes.into())),
            None => {
                let message = format!(
                    "the {what} of '{}' must be in base64, or a variable such as 'txn.name'",
                    args.name()
                );
                Err(args.blame(index, message))
            }
        }
    }

    fn get<'a>(&'a self, scene: &Scene<'a>) -> Option<&'a [u8]> {
        match self {
            Secret::Is(bytes) => Some(bytes),
            Secret::Var(id) => encode::base64_decode(scene.var(*id)?.text(scene.arena()), scene),
        }
    }
}

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let Value::Bin(bytes) = value else { return None };
        match self {
            Conv::Hmac(algorithm, key) => {
                let code = algorithm.hmac(key.get(scene)?, bytes);
                Some(Value::Bin(scene.arena().alloc_slice_copy(code.bytes())))
            }
            Conv::AesGcm(args) => args.decrypt(bytes, scene).map(Value::Bin),
            Conv::Compare(id) => {
                let Value::Bin(other) = var(*id, Kind::Bin, scene)? else { return None };
                Some(Value::Bool(same(bytes, other)))
            }
        }
    }
}

/// Whether they are the same, in a time that depends on their lengths only.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).to_bool()
}

impl AesGcmArgs {
    fn decrypt<'a>(&'a self, sealed: &[u8], scene: &Scene<'a>) -> Option<&'a [u8]> {
        if sealed.len() > made_max(scene) {
            return None;
        }
        let (nonce, key) = (self.nonce.get(scene)?, self.key.get(scene)?);
        let key = key.get(..usize::from(self.bits / 8))?;
        let opened = scene.arena().alloc_slice_copy(sealed);
        let tag = match self.bits {
            128 => sized::<Aes128>(key, nonce, opened),
            192 => sized::<Aes192>(key, nonce, opened),
            _ => sized::<Aes256>(key, nonce, opened),
        }?;
        // HAProxy takes a tag that was cut to any length; 96 bits are the least that is safe.
        let given = self.tag.get(scene)?;
        let good = given.len() >= 12 && tag.get(..given.len()).is_some_and(|tag| same(tag, given));
        // Unlike what failed to be opened, what was opened may be seen.
        good.then_some(&*opened)
    }
}

/// Opens with a nonce of a usual length, and gives the tag that it should have had.
fn sized<A>(key: &[u8], nonce: &[u8], text: &mut [u8]) -> Option<[u8; 16]>
where
    AesGcm<A, U8>: AeadInOut<TagSize = U16> + KeyInit,
    AesGcm<A, U12>: AeadInOut<TagSize = U16> + KeyInit,
    AesGcm<A, U16>: AeadInOut<TagSize = U16> + KeyInit,
{
    match nonce.len() {
        8 => open::<AesGcm<A, U8>>(key, nonce, text),
        12 => open::<AesGcm<A, U12>>(key, nonce, text),
        16 => open::<AesGcm<A, U16>>(key, nonce, text),
        _ => None,
    }
}

/// Opening is sealing with the same key stream; sealing what came out again gives the tag, which
/// can then be compared as far as it was kept.
fn open<C>(key: &[u8], nonce: &[u8], text: &mut [u8]) -> Option<[u8; 16]>
where
    C: AeadInOut<TagSize = U16> + KeyInit,
    C::NonceSize: ArraySize,
{
    let cipher = C::new_from_slice(key).ok()?;
    let nonce = Nonce::<C>::try_from(nonce).ok()?;
    cipher.encrypt_inout_detached(&nonce, b"", InOutBuf::from(&mut *text)).ok()?;
    let mut sealed = text.to_vec();
    let tag = cipher.encrypt_inout_detached(&nonce, b"", InOutBuf::from(&mut sealed[..])).ok()?;
    Some(tag.into())
}

fn made(conv: Conv) -> Result<super::Conv, Mistake> {
    Ok(super::Conv::Secret(conv))
}

const BIN: (Kind, Kind) = (Kind::Bin, Kind::Bin);

pub(super) const TABLE: &[Spec] = &[
    row("aes_gcm_dec", BIN, (4, 4), |args, names| {
        let Some(bits @ (128 | 192 | 256)) = args.int(0)? else {
            let message = "the key of 'aes_gcm_dec' has 128, 192 or 256 bits";
            return Err(args.blame(0, message));
        };
        let nonce = Secret::of(args, 1, "nonce", names)?;
        let key = Secret::of(args, 2, "key", names)?;
        let tag = Secret::of(args, 3, "tag", names)?;
        made(Conv::AesGcm(Box::new(AesGcmArgs { bits: bits as u16, nonce, key, tag })))
    }),
    row("hmac", BIN, (2, 2), |args, names| {
        made(Conv::Hmac(algorithm(args)?, Secret::of(args, 1, "key", names)?))
    }),
    row("secure_memcmp", (Kind::Bin, Kind::Bool), (0, 1), |args, names| {
        made(Conv::Compare(names.var_arg(args, 0)?))
    }),
];
