//! What HAProxy 2.6.12 makes of the same lines was observed word by word; the tables hold it.

use super::*;
use crate::config::MapHost;

fn host() -> MapHost {
    [("A", "one"), ("L", "x  y\tz"), ("E", ""), ("SP", " a b "), ("Q", "q\"q"), ("D", "$A")]
        .iter()
        .fold(MapHost::default(), |host, (name, value)| host.with_env(name, value))
}

fn lex(line: &str) -> Result<Vec<String>, LexError> {
    let host = host();
    let place = Place { file: "p.cfg", file_index: 0, line: 2, section: "fe" };
    let words = words(line.as_bytes(), place, &Environment::new(&host))?;
    Ok(words.iter().map(|word| word.as_str().to_string()).collect())
}

#[test]
fn words_of_a_line() {
    for (line, expected) in [
        ("", &[][..]),
        ("  \t ", &[]),
        ("# all", &[]),
        (" a b\tc ", &["a", "b", "c"]),
        ("a\x0bb\x0cc\rd\r", &["a", "b", "c", "d"]),
        (r"foo\ bar", &["foo bar"]),
        (r"foo\#bar", &["foo#bar"]),
        ("foo#bar", &["foo"]),
        (r"foo\\bar", &[r"foo\bar"]),
        (r"a\nb\rc\td", &["a\nb\rc\td"]),
        (r"a\x41b\x7eB", &["aAb~B"]),
        (r"a\qb", &[r"a\qb"]),
        (r"\a", &[r"\a"]),
        ("a\\\tb", &["a\\", "b"]),
        ("a\\", &["a\\"]),
        (r"a\\", &["a\\"]),
        (r"\$A", &[r"\$A"]),
        ("$A", &["$A"]),
        (r#"a\"b c\""#, &["a\"b", "c\""]),
        (r#""a b""#, &["a b"]),
        (r#""a\"b\'c""#, &["a\"b'c"]),
        (r#""\ a\#b#c""#, &[" a#b#c"]),
        (r#""a\qb\x41\n""#, &["a\\qbA\n"]),
        (r#""it's""#, &["it's"]),
        (r#"'a b'"#, &["a b"]),
        (r#"'a\'"#, &[r"a\"]),
        (r#"'a\n$A"'"#, &[r#"a\n$A""#]),
        (r#"a'b c'd"#, &["ab cd"]),
        (r#"a""b ''"#, &["ab", ""]),
        (r#""""#, &[""]),
    ] {
        assert_eq!(lex(line), Ok(expected.iter().map(|w| w.to_string()).collect()), "{line}");
    }
}

#[test]
fn variables() {
    for (line, expected) in [
        (r#""$A""#, &["one"][..]),
        (r#""${A}x$A""#, &["onexone"]),
        (r#""$Ax""#, &[""]),
        (r#""$A-x""#, &["one-x"]),
        (r#""$A.B$A[*]""#, &["one.Bone[*]"]),
        (r#""\$A""#, &["$A"]),
        (r#""${A-x}}""#, &["one}"]),
        (r#""${N-def}""#, &["def"]),
        (r#""${N-d ef}""#, &["d ef"]),
        (r#""${N-}""#, &[""]),
        (r#""${N-$A}""#, &["$A"]),
        (r#""${N-a"b\n}""#, &["a\"b\\n"]),
        (r#""${E-def}""#, &[""]),
        (r#""${N}" x"$N"y"#, &["", "xy"]),
        (r#""$Q$D""#, &["q\"q$A"]),
        (r#""${L}""#, &["x  y\tz"]),
        (r#"a "${L[*]}""#, &["a", "x", "y", "z"]),
        (r#"x"${L[*]}"y"#, &["xx", "y", "zy"]),
        (r#""${SP[*]}""#, &["", "a", "b", ""]),
        (r#"x"${SP[*]}"y z"#, &["x", "a", "b", "y", "z"]),
        (r#""${E[*]}" z"#, &["", "z"]),
        (r#""${N[*]}""#, &[""]),
        (r#""${N[*]-a b}""#, &["a", "b"]),
        (r#""${L[*]-d}""#, &["x", "y", "z"]),
        (r#""$.FILE:$.LINE:$.SECTION""#, &["p.cfg:2:fe"]),
        (r#""${.LINE-x}$.LINE.x""#, &["22.x"]),
    ] {
        assert_eq!(lex(line), Ok(expected.iter().map(|w| w.to_string()).collect()), "{line}");
    }
}

#[test]
fn errors_and_their_places() {
    use LexErrorKind::*;
    for (line, kind, at) in [
        (r#" "a"#, Quote, 1),
        (r#" foo "a"#, Quote, 5),
        (r#" 'a"#, Quote, 1),
        (r#" "a" 'b"#, Quote, 5),
        (r"a\x4", Hex, 1),
        (r"a\xzz b", Hex, 1),
        (r"a\x+1", Hex, 1),
        (r#" "${N"#, Brace, 3),
        (r#" "${N second"#, Brace, 3),
        (r#" "${A+x}""#, Brace, 3),
        (r#" "${A:-x}""#, Brace, 3),
        (r#" "$1""#, Name, 3),
        (r#" "$""#, Name, 3),
        (r#" "$ A""#, Name, 3),
        (r#" "${}""#, Name, 4),
        (r#" "${.NOPE}""#, Name, 4),
        (r#" "$.""#, Name, 3),
        (r#" "${L[0]}""#, Expansion, 5),
        (r#" "${L[*}""#, Expansion, 5),
        ("a\0b", Nul, 1),
        ("# a\0b", Nul, 3),
        (r"a\x00", Nul, 1),
    ] {
        assert_eq!(lex(line), Err(LexError { kind, at }), "{line}");
    }
}

#[test]
fn at_most_sixty_four_words() {
    let line = |n: usize| vec!["w"; n].join(" ");
    assert_eq!(lex(&line(64)).map(|words| words.len()), Ok(64));
    assert_eq!(lex(&format!("{}  # x", line(64))).map(|words| words.len()), Ok(64));
    assert_eq!(lex(&line(65)), Err(LexError { kind: LexErrorKind::TooMany, at: 128 }));
}

#[test]
fn spans_cover_the_quotes() {
    let host = host();
    let place = Place { file: "p.cfg", file_index: 3, line: 7, section: "" };
    let words = words(br#"  bind "$A"x # c"#, place, &Environment::new(&host)).unwrap();
    assert_eq!(words[0].span, Span { file: 3, line: 7, start: 2, end: 6 });
    assert_eq!(words[1].span, Span { file: 3, line: 7, start: 7, end: 12 });
}

#[test]
fn bytes_that_are_no_utf8_are_kept() {
    let host = host();
    let place = Place { file: "p.cfg", file_index: 0, line: 1, section: "" };
    let words = words(br"\xe9t", place, &Environment::new(&host)).unwrap();
    assert_eq!(words[0].bytes(), b"\xe9t");
    assert_eq!(words[0].as_str(), "\u{fffd}t");
}

proptest::proptest! {
    #[test]
    fn any_bytes_end_in_words_or_a_place(line in proptest::collection::vec(0u8.., 0..80)) {
        let host = host();
        let place = Place { file: "p.cfg", file_index: 0, line: 1, section: "" };
        match words(&line, place, &Environment::new(&host)) {
            Ok(words) => for word in words {
                proptest::prop_assert!(word.span.start <= word.span.end);
                proptest::prop_assert!(word.span.end as usize <= line.len());
            },
            Err(error) => proptest::prop_assert!(error.at <= line.len()),
        }
    }
}
