//! Converters of JSON web tokens: their header and payload, and whether their signature is good.
//! What is signed is not looked at: an expired token has a good signature.

mod key;

use super::encode::url_base64_decode;
use super::json_query::Query;
use super::operand::Bytes;
use super::{Kind, Scene, Spec, Value, row};
use crate::sample::args::{Args, Mistake};
use crate::sample::names::Names;
use key::{Hash, Key};

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub enum Conv {
    /// `jwt_header_query`, `jwt_payload_query`: which part, and what of it.
    Query(usize, Option<Query>),
    /// `jwt_verify`.
    Verify(Verify),
}

/// How a signature is verified.
#[derive(Clone, Debug)]
pub struct Verify {
    algorithm: Named,
    /// A secret, or the path of a public key.
    secret: Bytes,
    /// The key in the file of that path.
    key: Option<Key>,
}

/// An algorithm, or a variable that names it.
#[derive(Clone, Debug)]
enum Named {
    Is(Algorithm),
    Var(Bytes),
}

/// What signs a token (RFC 7518).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Algorithm {
    /// `none`: nothing.
    None,
    /// `HS256` and kin: a secret that both sides know.
    Hmac(Hash),
    /// `RS256` and kin.
    Rsa(Hash),
    /// `ES256` and kin.
    Ecdsa(Hash),
    /// `PS256` and kin, which HAProxy does not verify.
    Pss,
}

impl Algorithm {
    fn of(name: &[u8]) -> Option<Algorithm> {
        if name == b"none" {
            return Some(Algorithm::None);
        }
        let (family, bits) = name.split_at_checked(2)?;
        let hash = match bits {
            b"256" => Hash::Sha256,
            b"384" => Hash::Sha384,
            b"512" => Hash::Sha512,
            _ => return None,
        };
        Some(match family {
            b"HS" => Algorithm::Hmac(hash),
            b"RS" => Algorithm::Rsa(hash),
            b"ES" => Algorithm::Ecdsa(hash),
            b"PS" => Algorithm::Pss,
            _ => return None,
        })
    }
}

/// What `jwt_verify` says beside 0 and 1.
const UNKNOWN_ALGORITHM: i64 = -1;
const UNMANAGED_ALGORITHM: i64 = -2;
const INVALID_TOKEN: i64 = -3;
const UNKNOWN_KEY: i64 = -5;

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let (Value::Str(token) | Value::Bin(token)) = value else { return None };
        match self {
            Conv::Query(part, query) => {
                let part = token.split(|byte| *byte == b'.').nth(*part)?;
                query.as_ref()?.get(url_base64_decode(part, scene)?, scene)
            }
            Conv::Verify(verify) => {
                let algorithm = match &verify.algorithm {
                    Named::Is(algorithm) => Some(*algorithm),
                    Named::Var(name) => Algorithm::of(name.text(scene)?),
                };
                let secret = verify.secret.text(scene)?;
                Some(Value::Int(match algorithm {
                    Some(algorithm) => verify.check(algorithm, secret, token, scene),
                    None => UNKNOWN_ALGORITHM,
                }))
            }
        }
    }
}

impl Verify {
    fn check(&self, algorithm: Algorithm, secret: &[u8], token: &[u8], scene: &Scene<'_>) -> i64 {
        let mut dots = memchr::memchr_iter(b'.', token);
        let (Some(_), end) = (dots.next(), dots.next()) else { return INVALID_TOKEN };
        if dots.next().is_some() {
            return INVALID_TOKEN;
        }
        let (signed, signature) = match end {
            Some(end) => (&token[..end], &token[end + 1..]),
            None => (token, &b""[..]),
        };
        if algorithm == Algorithm::None {
            return signature.is_empty().into();
        }
        if signature.is_empty() {
            return INVALID_TOKEN;
        }
        if algorithm == Algorithm::Pss {
            return UNMANAGED_ALGORITHM;
        }
        let Some(signature) = url_base64_decode(signature, scene) else { return INVALID_TOKEN };
        let good = match (algorithm, &self.key) {
            (Algorithm::Hmac(hash), _) => hash.hmac_is(secret, signed, signature),
            (Algorithm::Ecdsa(hash), Some(_)) if signature.len() != hash.pair_len() => {
                return INVALID_TOKEN;
            }
            (Algorithm::Ecdsa(hash), Some(key)) => key.ecdsa_is(hash, signed, signature),
            (Algorithm::Rsa(hash), Some(key)) => key.rsa_is(hash, signed, signature),
            _ => return UNKNOWN_KEY,
        };
        good.into()
    }
}

fn verify(args: &Args<'_, '_>, names: &mut Names<'_>) -> Result<super::Conv, Mistake> {
    let name = args.text(0);
    let algorithm = match (Bytes::of(args, 0, names), Algorithm::of(name.as_bytes())) {
        (variable @ Bytes::Var(_), _) => Named::Var(variable),
        (_, Some(Algorithm::Pss)) => {
            return Err(args.blame(0, format!("'{name}' cannot be verified yet")));
        }
        (_, Some(algorithm)) => Named::Is(algorithm),
        (_, None) => {
            let message = format!(
                "'{name}' is no algorithm of a JSON web token: they are none, HS256, HS384, HS512, \
                 RS256, RS384, RS512, ES256, ES384 and ES512"
            );
            return Err(args.blame(0, message));
        }
    };
    let secret = Bytes::of(args, 1, names);
    let sure = matches!(algorithm, Named::Is(Algorithm::Rsa(_) | Algorithm::Ecdsa(_)));
    let maybe = sure || matches!(algorithm, Named::Var(_));
    let mut key = None;
    if let Bytes::Are(_) = secret
        && maybe
    {
        let path = args.text(1);
        let read = names.host.read(path).and_then(|pem| Key::of(&pem));
        key = match read {
            Ok(key) => Some(key),
            Err(why) if sure => {
                let message = format!("'jwt_verify' will give -5: no public key in {path}: {why}");
                names.warnings.push((names.span, message));
                None
            }
            Err(_) => None,
        };
    }
    Ok(super::Conv::Jwt(Box::new(Conv::Verify(Verify { algorithm, secret, key }))))
}

fn query(args: &Args<'_, '_>, names: &mut Names<'_>, part: usize) -> Result<super::Conv, Mistake> {
    let query = args.get(0).map(|_| Query::of(args, 0)).transpose()?;
    if query.is_none() {
        let message = format!("'{}' without a path has no value, as in HAProxy 2.6", args.name());
        names.warnings.push((names.span, message));
    }
    Ok(super::Conv::Jwt(Box::new(Conv::Query(part, query))))
}

const QUERY: (Kind, Kind) = (Kind::Bin, Kind::Any);

pub(super) const TABLE: &[Spec] = &[
    row("jwt_header_query", QUERY, (0, 2), |args, names| query(args, names, 0)),
    row("jwt_payload_query", QUERY, (0, 2), |args, names| query(args, names, 1)),
    row("jwt_verify", (Kind::Bin, Kind::Int), (2, 2), verify),
];
