//! What it costs to load lists of patterns and to look values up in them, in instructions:
//!
//! ```text
//! cargo build --release -p tidegate-core --example pattern_cost
//! valgrind --tool=callgrind --callgrind-out-file=cost.out target/release/examples/pattern_cost
//! callgrind_annotate --inclusive=yes --threshold=100 cost.out | grep -E 'load|look'
//! ```
//!
//! `load` is called once for each list and `look` [`ROUNDS`] times; divide by that.

use std::hint::black_box;

use tidegate_core::acl::{Match, Output, Patterns};
use tidegate_core::sample::{Arena, Kind, Value};

const ROUNDS: usize = 1000;

fn pattern(how: Match, n: usize) -> String {
    match how {
        Match::Beg => format!("/path/{n}/"),
        Match::Dir => format!("part{n}"),
        Match::Ip => format!("10.{}.{}.0/24", n / 256 % 256, n % 256),
        Match::Int => n.to_string(),
        Match::End => format!(".host{n}.example"),
        Match::Reg => format!("^/r{n}/[0-9]+$"),
        _ => format!("host{n}.example"),
    }
}

fn value(how: Match, n: usize) -> Vec<u8> {
    match how {
        Match::Beg => format!("/path/{n}/to/a/file.html"),
        Match::Dir => format!("/some/part{n}/to/a/file.html"),
        Match::End => format!("www.host{n}.example"),
        Match::Dom => format!("www.host{n}.example"),
        Match::Sub => format!("https://www.host{n}.example/"),
        Match::Reg => format!("/r{n}/12345"),
        other => return pattern(other, n).into_bytes(),
    }
    .into_bytes()
}

fn list(how: Match, size: usize) -> Patterns {
    let mut patterns = Patterns::map(how, Kind::Str);
    for n in 0..size {
        let output = Output::Str(format!("backend{n}").into_bytes().into());
        patterns.add(pattern(how, n), Some(output)).expect("a pattern");
    }
    patterns.finish();
    patterns
}

/// A list of its own functions, so that each has its own account.
macro_rules! lists {
    ($($name:ident: $how:ident $size:literal,)*) => {
        $(mod $name {
            use super::*;

            #[inline(never)]
            fn load() -> Patterns {
                list(Match::$how, black_box($size))
            }

            #[inline(never)]
            fn look(patterns: &Patterns, value: Value<'_>, arena: &Arena) -> bool {
                patterns.find(black_box(value), arena).is_some() && black_box($size) > 0
            }

            pub fn measure() {
                let patterns = load();
                let mut arena = Arena::new();
                let text = value(Match::$how, $size - 1);
                let value = match Match::$how {
                    Match::Ip => Value::Ip([10, ($size as u32 / 256) as u8, 0, 1].into()),
                    Match::Int => Value::Int($size - 1),
                    _ => Value::Str(&text),
                };
                let mut found = 0;
                for _ in 0..ROUNDS {
                    found += usize::from(look(&patterns, value, &arena));
                    arena.reset();
                }
                println!("{}: found {found} times", stringify!($name));
            }
        })*

        fn main() {
            $($name::measure();)*
        }
    };
}

lists! {
    str_4: Str 4,
    str_10: Str 10,
    str_1000: Str 1000,
    str_100000: Str 100_000,
    beg_4: Beg 4,
    beg_10: Beg 10,
    beg_1000: Beg 1000,
    beg_100000: Beg 100_000,
    end_4: End 4,
    end_10: End 10,
    end_1000: End 1000,
    end_100000: End 100_000,
    dom_4: Dom 4,
    dom_10: Dom 10,
    dom_1000: Dom 1000,
    dom_100000: Dom 100_000,
    dir_4: Dir 4,
    dir_10: Dir 10,
    dir_1000: Dir 1000,
    dir_100000: Dir 100_000,
    ip_4: Ip 4,
    ip_10: Ip 10,
    ip_1000: Ip 1000,
    ip_60000: Ip 60_000,
    int_4: Int 4,
    int_10: Int 10,
    int_1000: Int 1000,
    int_100000: Int 100_000,
    sub_4: Sub 4,
    sub_10: Sub 10,
    sub_1000: Sub 1000,
    sub_100000: Sub 100_000,
    reg_4: Reg 4,
    reg_10: Reg 10,
    reg_1000: Reg 1000,
}
