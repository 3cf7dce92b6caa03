//! Laws that hold for any patterns: every index finds what comparing one after the other finds, and
//! goes on to after patterns were added and taken away.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::{Match, Output, Patterns, Regex};
use crate::sample::{Arena, Value};

/// Patterns as a plain list, looked through from the front.
#[derive(Clone)]
struct Naive {
    how: Match,
    fold: bool,
    list: Vec<(String, i64)>,
}

/// A value of any of the types that are matched.
#[derive(Clone, Debug)]
enum Given {
    Text(Vec<u8>),
    Number(i64),
    Address(IpAddr),
}

impl Given {
    fn value(&self) -> Value<'_> {
        match self {
            Given::Text(text) => Value::Str(text),
            Given::Number(n) => Value::Int(*n),
            Given::Address(ip) => Value::Ip(*ip),
        }
    }
}

/// The bytes that separate parts, by HAProxy's manual.
fn separates(how: Match, byte: u8) -> bool {
    match how {
        Match::Dir => matches!(byte, b'/' | b'?'),
        _ => matches!(byte, b'/' | b'?' | b'.' | b':'),
    }
}

impl Naive {
    fn text_matches(&self, pattern: &str, value: &[u8]) -> bool {
        let lower = |bytes: &[u8]| {
            if self.fold { bytes.to_ascii_lowercase() } else { bytes.to_vec() }
        };
        let (pattern, value) = (lower(pattern.as_bytes()), lower(value));
        match self.how {
            Match::Str => value == pattern,
            Match::Beg => value.starts_with(&pattern),
            Match::End => value.ends_with(&pattern),
            Match::Sub => (0..=value.len()).any(|at| value[at..].starts_with(&pattern)),
            Match::Dir | Match::Dom => {
                let edge = |byte: Option<&u8>| byte.is_none_or(|byte| separates(self.how, *byte));
                let keep: Vec<usize> =
                    (0..pattern.len()).filter(|at| !separates(self.how, pattern[*at])).collect();
                let (Some(first), Some(last)) = (keep.first(), keep.last()) else {
                    return edge(value.last());
                };
                let wanted = &pattern[*first..=*last];
                (0..value.len()).any(|at| {
                    value[at..].starts_with(wanted)
                        && edge(at.checked_sub(1).map(|at| &value[at]))
                        && edge(value.get(at + wanted.len()))
                })
            }
            _ => unreachable!("the others are not for text"),
        }
    }

    /// What the map says of the pattern that wins.
    fn find(&self, given: &Given) -> Option<i64> {
        let first = |matches: &dyn Fn(&str) -> bool| {
            self.list.iter().find(|(pattern, _)| matches(pattern)).map(|(_, output)| *output)
        };
        match (self.how, given) {
            (Match::Beg, Given::Text(value)) if !self.fold => {
                let mut best: Option<&(String, i64)> = None;
                for entry in &self.list {
                    let longer = best.is_none_or(|best| entry.0.len() > best.0.len());
                    if self.text_matches(&entry.0, value) && longer {
                        best = Some(entry);
                    }
                }
                best.map(|(_, output)| *output)
            }
            (Match::Reg, Given::Text(value)) => first(&|pattern| {
                Regex::new(pattern.as_bytes(), self.fold).expect("an expression").is_match(value)
            }),
            (Match::Len, Given::Text(value)) => {
                let len = value.len() as i64;
                first(&|pattern| in_range(pattern, len))
            }
            (Match::Int, Given::Number(n)) => first(&|pattern| in_range(pattern, *n)),
            (Match::Bin, Given::Text(value)) => {
                let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
                first(&|pattern| pattern.eq_ignore_ascii_case(&digits))
            }
            (Match::Ip, Given::Address(ip)) => self.find_network(*ip),
            (_, Given::Text(value)) => first(&|pattern| self.text_matches(pattern, value)),
            (how, given) => unreachable!("{how:?} of {given:?}"),
        }
    }

    fn find_network(&self, ip: IpAddr) -> Option<i64> {
        // Of the networks of the family of `ip` the narrowest; of equal ones the first.
        let narrowest = |ip: IpAddr| {
            let mut best: Option<(u32, i64)> = None;
            for (pattern, output) in &self.list {
                let (net, bits) = pattern.split_once('/').expect("each has its bits");
                let (net, bits): (IpAddr, u32) =
                    (net.parse().expect("an address"), bits.parse().expect("a number"));
                let inside = match (net, ip) {
                    (IpAddr::V4(net), IpAddr::V4(ip)) => {
                        let differ = u32::from(net) ^ u32::from(ip);
                        u64::from(differ) < 1 << (32 - bits)
                    }
                    (IpAddr::V6(net), IpAddr::V6(ip)) => {
                        let differ = u128::from(net) ^ u128::from(ip);
                        differ.leading_zeros() >= bits
                    }
                    _ => false,
                };
                if inside && best.is_none_or(|(wide, _)| bits > wide) {
                    best = Some((bits, *output));
                }
            }
            best.map(|(_, output)| output)
        };
        let other = match ip {
            IpAddr::V4(ip) => Some(IpAddr::V6(ip.to_ipv6_mapped())),
            IpAddr::V6(ip) => ip.to_ipv4_mapped().map(IpAddr::V4),
        };
        narrowest(ip).or_else(|| other.and_then(narrowest))
    }
}

fn in_range(pattern: &str, n: i64) -> bool {
    match pattern.split_once(':') {
        None => pattern.parse() == Ok(n),
        Some((low, high)) => {
            (low.is_empty() || low.parse().is_ok_and(|low: i64| low <= n))
                && (high.is_empty() || high.parse().is_ok_and(|high: i64| n <= high))
        }
    }
}

/// Something done to patterns.
#[derive(Clone, Debug)]
enum Step {
    Add(String),
    Remove(String),
    Set(String),
    Clear,
    Find(Given),
}

/// Patterns of a kind, few enough that they meet.
fn pattern(how: Match) -> BoxedStrategy<String> {
    match how {
        Match::Int | Match::Len => prop_oneof![
            4 => (0..30i64).prop_map(|n| n.to_string()),
            1 => (0..30i64).prop_map(|n| format!("0{n}")),
            2 => (0..30i64, 0..5i64).prop_map(|(n, more)| format!("{n}:{}", n + more)),
            1 => (0..30i64).prop_map(|n| format!("{n}:")),
            1 => (0..30i64).prop_map(|n| format!(":{n}")),
        ]
        .boxed(),
        Match::Bin => "(0[0aA]|[fF]1){0,3}".boxed(),
        Match::Ip => prop_oneof![
            (address_v4(), 0..=32).prop_map(|(ip, bits)| format!("{ip}/{bits}")),
            (address_v6(), 0..=128).prop_map(|(ip, bits)| format!("{ip}/{bits}")),
        ]
        .boxed(),
        Match::Reg => "(\\^)?[abA.]{1,3}(\\*|\\+|\\?|[ab]\\$)?".boxed(),
        _ => "[abAB]{0,4}[./?:]?[ab]{0,3}[./?:]?".boxed(),
    }
}

fn address_v4() -> impl Strategy<Value = Ipv4Addr> {
    (0..4u8, 0..2u8, 0..4u8).prop_map(|(a, b, c)| Ipv4Addr::new(10 + a, b, 0, c))
}

fn address_v6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        address_v4().prop_map(|ip| ip.to_ipv6_mapped()),
        (0..4u16, 0..4u16).prop_map(|(a, b)| Ipv6Addr::new(0x2001, a, 0, 0, 0, 0, 0, b)),
    ]
}

fn given(how: Match) -> BoxedStrategy<Given> {
    match how {
        Match::Int => (-2..40i64).prop_map(Given::Number).boxed(),
        Match::Ip => prop_oneof![
            address_v4().prop_map(|ip| Given::Address(ip.into())),
            address_v6().prop_map(|ip| Given::Address(ip.into())),
        ]
        .boxed(),
        Match::Bin => prop::collection::vec(prop::sample::select(vec![0, 10, 0xf1]), 0..4)
            .prop_map(Given::Text)
            .boxed(),
        Match::Len => prop::collection::vec(any::<u8>(), 0..40).prop_map(Given::Text).boxed(),
        _ => prop_oneof![
            3 => "[abAB./?:]{0,12}".prop_map(|text| Given::Text(text.into_bytes())),
            1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Given::Text),
        ]
        .boxed(),
    }
}

fn steps(how: Match) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => pattern(how).prop_map(Step::Add),
        6 => pattern(how).prop_map(Step::Remove),
        3 => pattern(how).prop_map(Step::Set),
        20 => given(how).prop_map(Step::Find),
    ];
    (prop::collection::vec(step, 0..150), any::<bool>(), 0..150usize).prop_map(
        |(mut steps, clear, at)| {
            if clear && at < steps.len() {
                steps[at] = Step::Clear;
            }
            steps
        },
    )
}

const METHODS: [Match; 11] = [
    Match::Str,
    Match::Beg,
    Match::End,
    Match::Sub,
    Match::Dir,
    Match::Dom,
    Match::Reg,
    Match::Len,
    Match::Int,
    Match::Bin,
    Match::Ip,
];

fn any_steps() -> impl Strategy<Value = (Match, bool, usize, Vec<Step>)> {
    prop::sample::select(METHODS.to_vec()).prop_flat_map(|how| {
        let fold = if how == Match::Bin { Just(false).boxed() } else { any::<bool>().boxed() };
        (Just(how), fold, 0..60usize, steps(how))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 400 }))]

    #[test]
    fn an_index_finds_what_comparing_finds((how, fold, load, steps) in any_steps()) {
        let mut naive = Naive { how, fold, list: Vec::new() };
        let mut ours = Patterns::new(how, fold);
        let mut arena = Arena::new();
        let mut finished = false;
        for (number, step) in (0i64..).zip(steps) {
            // The first ones are what the configuration has, the others come while it runs.
            if !finished && number as usize >= load {
                ours.finish();
                finished = true;
            }
            match step {
                Step::Add(text) => {
                    ours.add(&text, Some(Output::Int(number))).expect("a pattern");
                    naive.list.push((text, number));
                }
                Step::Remove(text) => {
                    let before = naive.list.len();
                    naive.list.retain(|(other, _)| *other != text);
                    let gone = before - naive.list.len();
                    prop_assert_eq!(ours.has(text.as_bytes()), gone > 0);
                    prop_assert_eq!(ours.remove(text.as_bytes()), gone);
                }
                Step::Set(text) => {
                    let mut count = 0;
                    for (_, output) in naive.list.iter_mut().filter(|(other, _)| *other == text) {
                        *output = -number;
                        count += 1;
                    }
                    prop_assert_eq!(ours.set(text.as_bytes(), &Output::Int(-number)), count);
                }
                Step::Clear => {
                    naive.list.clear();
                    ours.clear();
                }
                Step::Find(_) if !finished => {}
                Step::Find(given) => {
                    let found = ours.find(given.value(), &arena).map(|output| match output {
                        Some(Output::Int(n)) => *n,
                        other => panic!("every pattern has a number: {other:?}"),
                    });
                    prop_assert_eq!(found, naive.find(&given), "{:?} in {:?}", given, naive.list);
                    prop_assert_eq!(ours.matches(given.value(), &arena), found.is_some());
                }
            }
            prop_assert_eq!(ours.len(), naive.list.len());
            arena.reset();
        }
        let held: Vec<String> =
            ours.iter().map(|(text, _)| String::from_utf8_lossy(text).into_owned()).collect();
        let expected: Vec<String> = naive.list.into_iter().map(|(text, _)| text).collect();
        prop_assert_eq!(held, expected);
    }
}
