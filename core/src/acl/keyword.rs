//! Names that only conditions have: a fetch together with how its value is matched (`path_beg`).

use super::Match;

/// Fetches that have the suffixed forms, by their short name.
const FAMILIES: [(&str, &str); 8] = [
    ("base", "base"),
    ("cook", "req.cook"),
    ("hdr", "req.hdr"),
    ("path", "path"),
    ("scook", "res.cook"),
    ("shdr", "res.hdr"),
    ("url", "url"),
    ("urlp", "urlp"),
];

/// The suffixes.
const SUFFIXES: [(&str, Match); 7] = [
    ("_beg", Match::Beg),
    ("_dir", Match::Dir),
    ("_dom", Match::Dom),
    ("_end", Match::End),
    ("_len", Match::Len),
    ("_reg", Match::Reg),
    ("_sub", Match::Sub),
];

/// Those that stand alone.
const SINGLE: [(&str, &str, Match); 13] = [
    ("http_auth_group", "http_auth_group", Match::Str),
    ("method", "method", Match::Method),
    ("payload", "req.payload", Match::Bin),
    ("payload_lv", "req.payload_lv", Match::Bin),
    ("req.ssl_ver", "req.ssl_ver", Match::Version),
    ("req_rdp_cookie", "req.rdp_cookie", Match::Str),
    ("req_rdp_cookie_cnt", "req.rdp_cookie_cnt", Match::Int),
    ("req_ssl_sni", "req.ssl_sni", Match::Str),
    ("req_ssl_ver", "req.ssl_ver", Match::Version),
    ("req_ver", "req.ver", Match::Str),
    ("resp_ver", "res.ver", Match::Str),
    ("ssl_fc_sni_end", "ssl_fc_sni", Match::End),
    ("ssl_fc_sni_reg", "ssl_fc_sni", Match::Reg),
];

/// The fetch that a condition's keyword stands for, and how its value is matched unless `-m` or a
/// converter says otherwise.
pub fn keyword(name: &str) -> Option<(&'static str, Match)> {
    if let Some((_, fetch, how)) = SINGLE.iter().find(|(known, ..)| *known == name) {
        return Some((fetch, *how));
    }
    FAMILIES.iter().find_map(|(short, fetch)| {
        let suffix = name.strip_prefix(short)?;
        if suffix.is_empty() {
            return Some((*fetch, Match::Str));
        }
        let (_, how) = SUFFIXES.iter().find(|(known, _)| *known == suffix)?;
        Some((*fetch, *how))
    })
}

/// Every such keyword.
pub fn keywords() -> impl Iterator<Item = String> {
    let families = FAMILIES.into_iter().flat_map(|(short, _)| {
        let suffixed = SUFFIXES.iter().map(move |(suffix, _)| format!("{short}{suffix}"));
        core::iter::once(short.to_owned()).chain(suffixed)
    });
    families.chain(SINGLE.iter().map(|(name, ..)| (*name).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_of_conditions() {
        for (name, expected) in [
            ("path", Some(("path", Match::Str))),
            ("path_beg", Some(("path", Match::Beg))),
            ("hdr", Some(("req.hdr", Match::Str))),
            ("hdr_dom", Some(("req.hdr", Match::Dom))),
            ("shdr_len", Some(("res.hdr", Match::Len))),
            ("method", Some(("method", Match::Method))),
            ("req_ssl_ver", Some(("req.ssl_ver", Match::Version))),
            ("req.hdr", None),
            ("path_foo", None),
            ("src", None),
        ] {
            assert_eq!(keyword(name), expected, "{name}");
        }
        assert!(keywords().all(|name| keyword(&name).is_some()));
    }
}
