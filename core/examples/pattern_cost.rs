//! What it costs to load lists of patterns and to look values up in them, in instructions:
//!
//! ```text
//! cargo build --release -p tidegate-core --example pattern_cost
//! valgrind --tool=callgrind --callgrind-out-file=cost.out target/release/examples/pattern_cost
//! callgrind_annotate --inclusive=yes --threshold=100 cost.out | grep pattern_cost::
//! ```
//!
//! `load` is called once for each list and `look` [`ROUNDS`] times; divide by that. The two numbers
//! in their names are the method's place in [`METHODS`] and the length of the list.

use std::hint::black_box;

use tidegate_core::acl::{Match, Output, Patterns};
use tidegate_core::sample::{Arena, Kind, Value};

const ROUNDS: usize = 1000;

/// The methods, and a value that no pattern matches (all of it must be looked at) or only the last.
const METHODS: [Match; 9] = [
    Match::Str,
    Match::Beg,
    Match::End,
    Match::Dom,
    Match::Dir,
    Match::Ip,
    Match::Int,
    Match::Sub,
    Match::Reg,
];

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

#[inline(never)]
fn load<const HOW: usize, const SIZE: usize>() -> Patterns {
    let how = METHODS[black_box(HOW)];
    let mut patterns = Patterns::map(how, Kind::Str);
    for n in 0..SIZE {
        let output = Output::Str(format!("backend{n}").into_bytes().into());
        patterns.add(pattern(how, n), Some(output)).expect("a pattern");
    }
    patterns.finish();
    patterns
}

#[inline(never)]
fn look<const HOW: usize, const SIZE: usize>(
    patterns: &Patterns,
    value: Value<'_>,
    arena: &Arena,
) -> bool {
    patterns.find(black_box(value), arena).is_some() && black_box(HOW) < METHODS.len()
}

fn measure<const HOW: usize, const SIZE: usize>() {
    let how = METHODS[HOW];
    let patterns = load::<HOW, SIZE>();
    let mut arena = Arena::new();
    let text = value(how, SIZE - 1);
    let value = match how {
        Match::Ip => Value::Ip([10, (SIZE / 256) as u8, 0, 1].into()),
        Match::Int => Value::Int(SIZE as i64 - 1),
        _ => Value::Str(&text),
    };
    let mut found = 0;
    for _ in 0..ROUNDS {
        found += usize::from(look::<HOW, SIZE>(&patterns, value, &arena));
        arena.reset();
    }
    println!("{} {SIZE}: {} patterns, found {found} times", how.as_str(), patterns.len());
}

macro_rules! all {
    ($($how:literal)*) => { $(
        measure::<$how, 4>();
        measure::<$how, 10>();
        measure::<$how, 1000>();
        if METHODS[$how] != Match::Reg {
            measure::<$how, 100_000>();
        }
    )* };
}

fn main() {
    all!(0 1 2 3 4 5 6 7 8);
}
