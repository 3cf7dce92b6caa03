//! Public keys, and whether a signature is theirs.

use rsa::pkcs1v15;
use rsa::pkcs8::DecodePublicKey;
use rsa::signature::Verifier;
use sha2::{Sha256, Sha384, Sha512};

use crate::sample::conv::digest::Algorithm;
use crate::sample::conv::secret::same;

/// The hash that is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// How long the two numbers of an ECDSA signature are.
    pub(super) const fn pair_len(self) -> usize {
        match self {
            Hash::Sha256 => 64,
            Hash::Sha384 => 96,
            // Of a curve of 521 bits.
            Hash::Sha512 => 132,
        }
    }

    /// Whether the code of `message` is `code`.
    pub(super) fn hmac_is(self, secret: &[u8], message: &[u8], code: &[u8]) -> bool {
        let algorithm = match self {
            Hash::Sha256 => Algorithm::Sha256,
            Hash::Sha384 => Algorithm::Sha384,
            Hash::Sha512 => Algorithm::Sha512,
        };
        same(algorithm.hmac(secret, message).bytes(), code)
    }
}

/// A public key of any kind.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Rsa(Box<rsa::PublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
}

impl Key {
    /// The key in a PEM file (`BEGIN PUBLIC KEY`).
    pub(super) fn of(pem: &[u8]) -> Result<Key, String> {
        let pem = core::str::from_utf8(pem).map_err(|_| "it is no PEM file")?;
        if let Ok(key) = rsa::PublicKey::from_public_key_pem(pem) {
            return Ok(Key::Rsa(Box::new(key)));
        }
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(pem) {
            return Ok(Key::P256(Box::new(key)));
        }
        if let Ok(key) = p384::ecdsa::VerifyingKey::from_public_key_pem(pem) {
            return Ok(Key::P384(Box::new(key)));
        }
        match p521::ecdsa::VerifyingKey::from_public_key_pem(pem) {
            Ok(key) => Ok(Key::P521(Box::new(key))),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether `signature` is an RSA one of `message` (PKCS #1, version 1.5).
    pub(super) fn rsa_is(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        let Key::Rsa(key) = self else { return false };
        let Ok(signature) = pkcs1v15::Signature::try_from(signature) else { return false };
        let key = || (**key).clone();
        match hash {
            Hash::Sha256 => {
                pkcs1v15::VerifyingKey::<Sha256>::new(key()).verify(message, &signature)
            }
            Hash::Sha384 => {
                pkcs1v15::VerifyingKey::<Sha384>::new(key()).verify(message, &signature)
            }
            Hash::Sha512 => {
                pkcs1v15::VerifyingKey::<Sha512>::new(key()).verify(message, &signature)
            }
        }
        .is_ok()
    }

    /// Whether `signature` is an ECDSA one of `message`: two numbers, one behind the other.
    pub(super) fn ecdsa_is(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        match (self, hash) {
            (Key::P256(key), Hash::Sha256) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            (Key::P384(key), Hash::Sha384) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            (Key::P521(key), Hash::Sha512) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            _ => false,
        }
    }
}
