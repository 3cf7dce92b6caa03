//! `userlist`: names, passwords and groups, for `http_auth` and kin. Not where a request's
//! credentials are found.

use std::sync::Arc;

use mcf::PasswordHash;
use yescrypt::{PasswordVerifier, Yescrypt};

/// A `userlist` section.
#[derive(Clone, Debug, Default)]
pub struct Userlist {
    /// Its name.
    pub name: Arc<str>,
    /// Its users, each once.
    pub users: Vec<User>,
}

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: Arc<str>,
    /// What the password must be.
    pub password: Password,
    /// The groups that it belongs to, each once.
    pub groups: Vec<Arc<str>>,
}

/// What a password must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Password {
    /// No password fits: none was given.
    None,
    /// `insecure-password`: this text.
    Plain(Arc<str>),
    /// `password`: what crypt(3) makes this of.
    Hash(Arc<str>),
}

impl Userlist {
    /// The user of that name, if the password is the right one.
    pub fn check(&self, name: &[u8], password: &[u8]) -> Option<&User> {
        let user = self.users.iter().find(|user| user.name.as_bytes() == name)?;
        user.password.fits(password).then_some(user)
    }
}

impl Password {
    /// Whether `given` is it. A hash takes as long as whoever made it wanted (milliseconds).
    fn fits(&self, given: &[u8]) -> bool {
        match self {
            Password::None => false,
            // Each byte is looked at, so that the time tells nothing of where they differ.
            Password::Plain(text) => {
                let differ = text.bytes().zip(given).fold(0, |bits, (a, b)| bits | (a ^ b));
                text.len() == given.len() && differ == 0
            }
            Password::Hash(hash) if hash.starts_with("$y$") => PasswordHash::new(&**hash)
                .is_ok_and(|hash| Yescrypt::default().verify_password(given, &hash).is_ok()),
            Password::Hash(hash) => pwhash::unix::verify(given, hash),
        }
    }

    /// Whether a hash has a form that is known: MD5 (`$1$`), bcrypt (`$2b$`), SHA-256 (`$5$`),
    /// SHA-512 (`$6$`), yescrypt (`$y$`), or the 13 letters of the oldest.
    pub fn is_known(hash: &str) -> bool {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
        match hash.strip_prefix('$').and_then(|rest| rest.split_once('$')) {
            Some(("1" | "2a" | "2b" | "2y" | "5" | "6", rest)) => rest.contains('$'),
            Some(("y", _)) => PasswordHash::new(hash).is_ok(),
            Some(_) => false,
            None => hash.len() == 13 && hash.bytes().all(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        for (password, given, fits) in [
            (Password::None, "", false),
            (Password::Plain("secret".into()), "secret", true),
            (Password::Plain("secret".into()), "secre", false),
            (Password::Plain("secret".into()), "secreT", false),
            (Password::Plain("".into()), "", true),
        ] {
            assert_eq!(password.fits(given.as_bytes()), fits, "{password:?} {given}");
        }
        for hash in [
            "$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
            "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
            "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2Soep\
             NXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/",
            "$y$j75$F5Jx5fExrKuPp53xLKQ..1$l5YiXCKNY/N9ezall4xjJAFS/wg.kWVcFXfOzyxVn1.",
            "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
            "abNANd1rDfiNc",
        ] {
            let password = Password::Hash(hash.into());
            assert!(Password::is_known(hash), "{hash}");
            assert!(password.fits(b"secret") && !password.fits(b"other"), "{hash}");
        }
        for hash in ["", "x", "$1$abc", "$7$x$y", "secret-secret", "$y$"] {
            assert!(!Password::is_known(hash), "{hash}");
        }
    }

    #[test]
    fn a_user_is_found_with_its_groups() {
        let user = |name: &str, password: &str, groups: &[&str]| User {
            name: name.into(),
            password: Password::Plain(password.into()),
            groups: groups.iter().map(|group| Arc::from(*group)).collect(),
        };
        let list =
            Userlist { name: "l".into(), users: vec![user("a", "x", &["g"]), user("b", "y", &[])] };
        assert_eq!(list.check(b"a", b"x").map(|user| &*user.groups[0]), Some("g"));
        assert!(list.check(b"a", b"y").is_none() && list.check(b"c", b"x").is_none());
    }
}
