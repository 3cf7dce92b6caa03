//! The hashes and the parts of a request they are fed with, as HAProxy 2.6.12 has them: the
//! functions by its converters of the same names, the parts by which of 24 servers was chosen.

use crate::balance::hash::avalanche;
use crate::balance::{Function, HashType, Method, UriOptions, domain};

#[test]
fn functions() {
    // Each without and with avalanche.
    type Row = (&'static [u8], [[u32; 2]; 4]);
    let rows: [Row; 16] = [
        (b"", [[0, 2874071335], [5381, 3719394183], [4187620192, 2385687481], [0, 2874071335]]),
        (
            b"a",
            [
                [97, 1830748055],
                [177670, 3548763807],
                [1900802597, 1986649387],
                [3904355907, 1288200982],
            ],
        ),
        (
            b"ab",
            [
                [6363201, 3352188731],
                [5863208, 282820760],
                [314091001, 988008184],
                [2659403885, 854450000],
            ],
        ),
        (
            b"abc",
            [
                [807794786, 659243622],
                [193485963, 2235766107],
                [2483038440, 266135527],
                [891568578, 930845320],
            ],
        ),
        (
            b"abcd",
            [
                [3518636162, 2236161834],
                [2090069583, 1062536028],
                [3652983515, 4187236387],
                [3984772369, 3551951197],
            ],
        ),
        (
            b"abcde",
            [
                [3176136803, 908673264],
                [252819604, 146165671],
                [1109650285, 718100965],
                [2240272485, 1958307735],
            ],
        ),
        (
            b"/index.html",
            [
                [858007926, 4217574924],
                [3776231887, 1889807916],
                [822151038, 2986733765],
                [3928116034, 571229468],
            ],
        ),
        (
            b"foobarbaz0123456789",
            [
                [1177718643, 4193403845],
                [35517096, 607350803],
                [1985224891, 615315314],
                [1115028241, 4262008884],
            ],
        ),
        (
            b"\x80",
            [
                [128, 1816263921],
                [177701, 2554209895],
                [1926232677, 1149342394],
                [1069182125, 197574571],
            ],
        ),
        (
            b"\xff\xfe",
            [
                [16727999, 4077444878],
                [5868578, 512819222],
                [2931399054, 4058743326],
                [2297966742, 2420572208],
            ],
        ),
        (
            b"the quick brown fox jumps over the lazy dog",
            [
                [840966547, 2410628898],
                [2012963070, 2417645015],
                [685990589, 1647561333],
                [3456913684, 512662255],
            ],
        ),
        (
            b"-",
            [
                [45, 3889762692],
                [177618, 157970197],
                [1887161637, 1795180950],
                [2547889144, 2177021735],
            ],
        ),
        (
            b"0",
            [
                [48, 554408395],
                [177621, 647504328],
                [1880084069, 4053554807],
                [4108050209, 170841244],
            ],
        ),
        (
            b"/0",
            [
                [3083201, 159781632],
                [5861508, 3186421141],
                [1387805159, 4073059160],
                [1964775998, 1308211742],
            ],
        ),
        (
            b"12345678",
            [
                [4267168004, 4225258200],
                [938407465, 1796257514],
                [4280059181, 2649266082],
                [2598427311, 3843143269],
            ],
        ),
        (
            b"1234567",
            [
                [1756052532, 1229542274],
                [939490257, 3341835352],
                [2123381160, 2501828337],
                [1342400927, 2807281673],
            ],
        ),
    ];
    let functions = [Function::Sdbm, Function::Djb2, Function::Wt6, Function::Crc32];
    for (key, expected) in rows {
        let hashes = functions.map(|function| function.hash(key));
        assert_eq!(hashes.map(|hash| [hash, avalanche(hash)]), expected, "{}", key.escape_ascii());
    }
}

#[test]
fn uri_keys() {
    // Which of 24 equal servers: the plain sdbm of the key, modulo 24.
    const TARGETS: [&str; 19] = [
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/b/c?x=1",
        "/a/b/c?x=1/2",
        "/a?",
        "/a?b",
        "/abcdefghijklmnopqrstuvwxyz",
        "/abcd/efgh/ijkl/mnop",
        "//a//b",
        "http://h/a/b/c?x=1",
        "http://h",
        "/a/b;c=d",
        "/%2fa/%41",
        "*",
        "/a/b/c/d/e/f/g/h?i/j/k",
        "/?a",
        "http://h/",
    ];
    let plain = UriOptions::default();
    let path_only = UriOptions { path_only: true, ..plain };
    let rows = [
        (plain, "24 19 22 6 18 18 19 19 13 9 18 8 15 21 11 19 5 24"),
        (UriOptions { whole: true, ..plain }, "24 19 22 6 23 2 14 22 13 9 18 21 15 21 11 19 6 2"),
        (UriOptions { len: 3, ..plain }, "24 19 22 22 22 22 19 19 1 1 10 17 17 22 13 19 22 24"),
        (UriOptions { len: 1, ..plain }, "24 24 24 24 24 24 24 24 24 24 24 9 9 24 24 19 24 24"),
        (UriOptions { depth: 1, ..plain }, "24 19 19 19 19 19 19 19 13 2 24 14 14 19 16 19 19 24"),
        (UriOptions { depth: 2, ..plain }, "24 19 22 6 6 6 19 19 13 9 10 15 15 21 11 19 6 24"),
        (UriOptions { len: 4, depth: 2, ..plain }, "24 19 22 6 6 6 19 19 4 4 10 9 9 6 19 19 6 24"),
        (path_only, "24 19 22 6 18 18 19 19 13 9 18 18 1 21 11 1 5 24"),
        (UriOptions { whole: true, ..path_only }, "24 19 22 6 23 2 14 22 13 9 18 23 1 21 11 1 6 2"),
        (UriOptions { len: 2, ..path_only }, "24 19 19 19 19 19 19 19 19 19 17 19 1 19 7 1 19 24"),
        (UriOptions { depth: 2, ..path_only }, "24 19 22 6 6 6 19 19 13 9 10 6 1 21 11 1 6 24"),
        (
            UriOptions { whole: true, depth: 3, ..plain },
            "24 19 22 6 23 23 14 22 13 10 23 17 15 21 11 19 18 2",
        ),
        (
            UriOptions { whole: true, len: 6, ..plain },
            "24 19 22 6 18 18 14 22 13 7 18 14 14 6 1 19 18 2",
        ),
        (
            UriOptions { len: 12, depth: 3, ..plain },
            "24 19 22 6 18 18 19 19 24 11 23 17 15 21 11 19 18 24",
        ),
        (
            UriOptions { whole: true, len: 9, depth: 3, path_only: true },
            "24 19 22 6 20 20 14 22 4 9 23 20 1 21 11 1 18 2",
        ),
    ];
    let sdbm = HashType::default();
    for (options, expected) in rows {
        let chosen: Vec<_> = TARGETS[..18]
            .iter()
            .map(|target| (sdbm.uri(target.as_bytes(), &options) % 24 + 1).to_string())
            .collect();
        assert_eq!(chosen.join(" "), expected, "{options:?}");
    }
    let djb2 = HashType::new(Method::MapBased, Some(Function::Djb2), false);
    for (target, bare, path) in
        [("*", 16, 6), ("http://h", 6, 6), ("http://h/", 13, 21), ("/", 21, 21)]
    {
        let chosen = [plain, path_only].map(|how| djb2.uri(target.as_bytes(), &how) % 24 + 1);
        assert_eq!(chosen, [bare, path], "{target}");
    }
}

#[test]
fn domains() {
    // Which of 24 equal servers under `use_domain_only`, and the part it was chosen by.
    let sdbm = [
        ("www.example.com", "example", 11),
        ("example.com", "example", 11),
        ("com", "com", 2),
        ("haproxy.1wt.eu", "1wt", 23),
        ("a.b.c.d.e", "d", 5),
        ("localhost:8080", "localhost:8080", 8),
        ("www.example.com:8080", "example", 11),
        ("1.2.3.4", "3", 4),
        (".", ".", 23),
        ("a.", "a", 2),
        (".a", ".a", 12),
        (".com.", "com", 2),
        ("x.y", "x", 1),
        ("www.example.com.", "com", 2),
        ("[::1]:80", "[::1]:80", 20),
        ("a..b", "a.", 6),
        ("b.example.co.uk", "co", 13),
        ("EXAMPLE.com", "EXAMPLE", 3),
        ("a b.c", "a b", 20),
        ("a:b.c:d", "a:b", 10),
    ];
    let djb2 = [
        ("..", ".", 20),
        ("...", ".", 20),
        ("a...b", ".", 20),
        ("..b", ".", 20),
        ("a..", "a.", 5),
        (".a.", "a", 23),
        ("b.example.co.uk", "co", 16),
        ("zz", "zz", 18),
    ];
    let rows = sdbm.map(|row| (Function::Sdbm, row));
    for (function, (name, part, server)) in
        rows.into_iter().chain(djb2.map(|row| (Function::Djb2, row)))
    {
        assert_eq!(domain(name.as_bytes()), part.as_bytes(), "{name}");
        assert_eq!(function.hash(part.as_bytes()) % 24 + 1, server, "{name}");
    }
    assert_eq!(domain(b""), b"");
}

#[test]
fn defaults() {
    let plain = HashType::default();
    assert_eq!((plain.function, plain.avalanche), (Function::Sdbm, false));
    let ring = HashType::new(Method::Consistent, None, false);
    assert_eq!((ring.function, ring.avalanche), (Function::Sdbm, true));
    let named = HashType::new(Method::Consistent, Some(Function::Sdbm), false);
    assert!(!named.avalanche, "a function that is named is taken as it is");
}
