//! Names with a meaning to a proxy: methods, versions and header fields, recognised once.

use wide::u8x16;

use super::find::WIDTH;

/// A request method. Methods are case-sensitive (RFC 9110 section 9.1): `get` is [`Other`].
///
/// [`Other`]: Method::Other
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// `CONNECT`.
    Connect,
    /// `OPTIONS`.
    Options,
    /// `TRACE`.
    Trace,
    /// `PATCH`.
    Patch,
    /// Any other token; its text is [`Head::method_bytes`](super::Head::method_bytes).
    #[default]
    Other,
}

impl Method {
    /// The method that `text` is, letter by letter.
    pub fn recognise(text: &[u8]) -> Method {
        match text {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"CONNECT" => Method::Connect,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"PATCH" => Method::Patch,
            _ => Method::Other,
        }
    }
}

/// The version a message was received in. What is written says HTTP/1.1 unless told otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0.
    V10,
    /// HTTP/1.1.
    #[default]
    V11,
}

/// The length of `HTTP/1.1`.
pub(super) const VERSION_LEN: usize = 8;

impl Version {
    /// Reads exactly `HTTP/1.0` or `HTTP/1.1`.
    pub(super) fn parse(text: &[u8; VERSION_LEN]) -> Option<Version> {
        // Compared as two words, which a match on the bytes would not be.
        if text == Version::V11.as_bytes() {
            Some(Version::V11)
        } else if text == Version::V10.as_bytes() {
            Some(Version::V10)
        } else {
            None
        }
    }

    /// As it stands in a start line.
    pub fn as_bytes(self) -> &'static [u8; VERSION_LEN] {
        match self {
            Version::V10 => b"HTTP/1.0",
            Version::V11 => b"HTTP/1.1",
        }
    }
}

/// Declares [`Known`] from a table of names that is ordered by length, for recognition is one jump
/// on the length and then a comparison with the few names of that length.
macro_rules! known {
    ($( $len:literal: $( $variant:ident = $name:literal, )+ )+) => {
        /// A header field that the proxy knows by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Known {
            $( $( #[doc = concat!("`", $name, "`")] $variant, )+ )+
            /// Any other name.
            Other,
        }

        impl Known {
            /// Every known name.
            pub const ALL: &[Known] = &[ $( $( Known::$variant, )+ )+ ];

            /// `name` in lower case.
            pub fn recognise(name: &[u8]) -> Known {
                match name.len() {
                    $( $len => {
                        $( if name == $name.as_bytes() { return Known::$variant; } )+
                        Known::Other
                    } )+
                    _ => Known::Other,
                }
            }

            /// The name with what separates it from its value.
            pub(super) const fn line_start(self) -> &'static str {
                match self {
                    $( $( Known::$variant => concat!($name, ": "), )+ )+
                    Known::Other => "",
                }
            }

            /// The name in lower case; empty for [`Known::Other`].
            pub const fn name(self) -> &'static str {
                match self {
                    $( $( Known::$variant => $name, )+ )+
                    Known::Other => "",
                }
            }
        }

        $( $( const _: () = assert!($name.len() == $len, "listed under a wrong length"); )+ )+
    };
}

known! {
    2:  Te = "te",
    3:  Age = "age", Via = "via",
    4:  Date = "date", Etag = "etag", Host = "host", Vary = "vary",
    5:  Range = "range",
    6:  Accept = "accept", Cookie = "cookie", Expect = "expect", Origin = "origin",
        Pragma = "pragma", Server = "server",
    7:  Expires = "expires", Referer = "referer", Trailer = "trailer", Upgrade = "upgrade",
    8:  Location = "location",
    9:  Forwarded = "forwarded",
    10: Connection = "connection", KeepAlive = "keep-alive", SetCookie = "set-cookie",
        UserAgent = "user-agent",
    12: ContentType = "content-type",
    13: Authorization = "authorization", CacheControl = "cache-control",
        ContentRange = "content-range", IfNoneMatch = "if-none-match",
        LastModified = "last-modified", XOriginalTo = "x-original-to",
    14: ContentLength = "content-length", Http2Settings = "http2-settings",
    15: AcceptEncoding = "accept-encoding", AcceptLanguage = "accept-language",
        XForwardedFor = "x-forwarded-for",
    16: ContentEncoding = "content-encoding", ProxyConnection = "proxy-connection",
        WwwAuthenticate = "www-authenticate", XForwardedHost = "x-forwarded-host",
        XForwardedPort = "x-forwarded-port",
    17: IfModifiedSince = "if-modified-since", SecWebsocketKey = "sec-websocket-key",
        TransferEncoding = "transfer-encoding", XForwardedProto = "x-forwarded-proto",
    18: ProxyAuthenticate = "proxy-authenticate",
    19: ProxyAuthorization = "proxy-authorization",
    20: SecWebsocketAccept = "sec-websocket-accept",
    25: StrictTransportSecurity = "strict-transport-security",
}

impl Known {
    /// Recognises the name that is the first `len` bytes of `line`, less than a word, in any case,
    /// and lowers it where it stands if it is known. It holds no control characters. Says what it
    /// is, and the set of only that.
    #[inline(always)]
    pub(super) fn recognise_short<const N: usize>(
        line: &mut [u8; N],
        len: usize,
    ) -> Option<(Known, KnownSet)> {
        let line = line.first_chunk_mut()?;
        let word = u8x16::new(*line);
        let mask = u8x16::new(SHORT_MASKS[len % WIDTH]);
        let spaces = mask & u8x16::splat(b' ');
        let lowered = (word & mask) | spaces;
        let slot = SLOTS[short_hash(u128::from_le_bytes(lowered.to_array()))];
        let (name, set, known) = SHORTS[usize::from(slot) % SHORTS.len()];
        if !lowered.simd_eq(u8x16::new(name.to_le_bytes())).all() {
            return None;
        }
        *line = (word | spaces).to_array();
        Some((known, set))
    }
}

// The short names, which nearly all are, are found by one look into a table. A name is its lowered
// bytes as a number, zeros behind them. Lowering sets one bit in every byte: what is then equal to
// a name of letters, digits and `-` differs in nothing but case, if it held no control characters.

/// The longest short name.
const SHORT_MAX: usize = WIDTH - 1;

/// By length: the bytes of a name.
static SHORT_MASKS: [[u8; WIDTH]; WIDTH] = {
    let mut masks = [[0; WIDTH]; WIDTH];
    let mut len = 1;
    while len <= SHORT_MAX {
        masks[len] = (u128::MAX >> (128 - 8 * len)).to_le_bytes();
        len += 1;
    }
    masks
};

/// The short names by their place in [`Known::ALL`], which begins with them, and behind them what
/// equals no name.
static SHORTS: [(u128, KnownSet, Known); 64] = {
    let mut shorts = [(u128::MAX, KnownSet::EMPTY, Known::Other); 64];
    let mut at = 0;
    while at < SHORT_COUNT {
        let known = Known::ALL[at];
        shorts[at] = (short_name(known), KnownSet::of(&[known]), known);
        at += 1;
    }
    shorts
};

const fn short_name(known: Known) -> u128 {
    let name = known.name().as_bytes();
    let mut word = 0;
    let mut i = name.len();
    while i > 0 {
        i -= 1;
        word = word << 8 | name[i] as u128;
    }
    word
}

const SHORT_COUNT: usize = {
    let mut count = 0;
    while count < Known::ALL.len() && Known::ALL[count].name().len() <= SHORT_MAX {
        count += 1;
    }
    assert!(count < 64, "a slot of SHORTS is left for what is no name");
    count
};

/// By hash: the place of a short name; of none, beyond all.
static SLOTS: [u8; 256] = slots(HASH_FACTOR);

/// Chosen so that no two short names have the same hash, which is checked.
const HASH_FACTOR: u64 = {
    let mut factor = 0x9e37_79b9_7f4a_7c15_u64;
    while !is_perfect(factor) {
        factor = factor.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(2);
    }
    factor
};

const fn is_perfect(factor: u64) -> bool {
    let mut seen = [false; 256];
    let mut at = 0;
    while at < SHORT_COUNT {
        let hash = hash_with(factor, short_name(Known::ALL[at]));
        if seen[hash] {
            return false;
        }
        seen[hash] = true;
        at += 1;
    }
    true
}

const fn slots(factor: u64) -> [u8; 256] {
    let mut slots = [u8::MAX; 256];
    let mut at = 0;
    while at < SHORT_COUNT {
        slots[hash_with(factor, short_name(Known::ALL[at]))] = at as u8;
        at += 1;
    }
    slots
}

#[inline(always)]
fn short_hash(name: u128) -> usize {
    hash_with(HASH_FACTOR, name)
}

#[inline(always)]
const fn hash_with(factor: u64, name: u128) -> usize {
    let word = name as u64 ^ ((name >> 64) as u64).rotate_left(5);
    (word.wrapping_mul(factor) >> 56) as usize
}

const _: () = assert!(Known::ALL.len() < 64, "KnownSet is 64 bits, one of them for Other");

/// A set of known names. [`Known::Other`] is never in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KnownSet(u64);

impl KnownSet {
    /// No name.
    pub const EMPTY: KnownSet = KnownSet(0);

    /// These names.
    pub const fn of(names: &[Known]) -> KnownSet {
        let mut set = KnownSet::EMPTY;
        let mut index = 0;
        while index < names.len() {
            set.0 |= KnownSet::bit(names[index]);
            index += 1;
        }
        set
    }

    /// Adds one; [`Known::Other`] is passed over.
    pub fn insert(&mut self, known: Known) {
        self.0 |= KnownSet::bit(known);
    }

    /// Adds all of `names`.
    pub(super) fn insert_all(&mut self, names: KnownSet) {
        self.0 |= names.0;
    }

    /// The names that are in both.
    pub(super) const fn both(self, other: KnownSet) -> KnownSet {
        KnownSet(self.0 & other.0)
    }

    /// Removes all of `names`.
    pub fn remove_all(&mut self, names: KnownSet) {
        self.0 &= !names.0;
    }

    /// The same set without `known`.
    pub const fn without(self, known: Known) -> KnownSet {
        KnownSet(self.0 & !KnownSet::bit(known))
    }

    /// Whether `known` is in it.
    pub const fn contains(self, known: Known) -> bool {
        self.0 & KnownSet::bit(known) != 0
    }

    /// Whether any name is in both.
    pub const fn intersects(self, other: KnownSet) -> bool {
        self.0 & other.0 != 0
    }

    const fn bit(known: Known) -> u64 {
        (1 << known as u8) & !(1 << Known::Other as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_recognised_and_nothing_near_it() {
        for &known in Known::ALL {
            let name = known.name().as_bytes();
            assert_eq!(Known::recognise(name), known);
            assert_eq!(Known::recognise(&name[1..]), Known::Other, "{known:?}");
            assert_eq!(Known::recognise(&name.to_ascii_uppercase()), Known::Other);
            for len in 1..name.len().min(SHORT_MAX + 1) {
                let mut line = [b'X'; WIDTH];
                line[..len].copy_from_slice(&name[..len]);
                let is_known = Known::recognise(&name[..len]) != Known::Other;
                let found = Known::recognise_short(&mut line, len);
                assert_eq!(found.is_some(), is_known, "{known:?} {len}");
            }
            let upper = name.to_ascii_uppercase();
            let line = |name: &[u8]| {
                let mut line = [b'X'; WIDTH];
                line[..name.len()].copy_from_slice(name);
                line
            };
            if name.len() <= SHORT_MAX {
                let mut upper = line(&upper);
                let set = KnownSet::of(&[known]);
                assert_eq!(Known::recognise_short(&mut upper, name.len()), Some((known, set)));
                assert_eq!(upper, line(name));
            }
            for at in 0..name.len() {
                for byte in (b' '..=255).filter(|byte| *byte != name[at]) {
                    let mut near = name.to_vec();
                    near[at] = byte;
                    assert_ne!(Known::recognise(&near), known);
                    if name.len() <= SHORT_MAX && !byte.eq_ignore_ascii_case(&name[at]) {
                        let found = Known::recognise_short(&mut line(&near), near.len());
                        let known = Known::recognise(&near);
                        let known =
                            (known != Known::Other).then(|| (known, KnownSet::of(&[known])));
                        assert_eq!(found, known, "{near:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn sets() {
        let some = KnownSet::of(&[Known::Te, Known::Host]);
        let others = KnownSet::of(&[Known::Host, Known::Cookie]);
        assert_eq!(some.both(others), KnownSet::of(&[Known::Host]));
        assert_eq!(some.without(Known::Te), KnownSet::of(&[Known::Host]));
        assert_eq!(some.without(Known::Cookie), some);
        assert_eq!(some.without(Known::Other), some);
        assert!(some.intersects(others) && !some.without(Known::Host).intersects(others));
        let mut set = KnownSet::of(&[Known::Te, Known::StrictTransportSecurity, Known::Other]);
        assert!(set.contains(Known::Te) && set.contains(Known::StrictTransportSecurity));
        assert!(!set.contains(Known::Host) && !set.contains(Known::Other));
        set.remove_all(KnownSet::of(&[Known::Te]));
        assert!(!set.contains(Known::Te) && set.intersects(set));
        assert!(!set.intersects(KnownSet::of(&[Known::Te, Known::Host])));
        set.insert(Known::Other);
        assert!(!set.contains(Known::Other));
    }

    #[test]
    fn methods_are_case_sensitive() {
        for (text, method) in [
            (&b"GET"[..], Method::Get),
            (b"HEAD", Method::Head),
            (b"POST", Method::Post),
            (b"PUT", Method::Put),
            (b"DELETE", Method::Delete),
            (b"CONNECT", Method::Connect),
            (b"OPTIONS", Method::Options),
            (b"TRACE", Method::Trace),
            (b"PATCH", Method::Patch),
            (b"get", Method::Other),
            (b"GETS", Method::Other),
            (b"PURGE", Method::Other),
        ] {
            assert_eq!(Method::recognise(text), method);
        }
    }
}
