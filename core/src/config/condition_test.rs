//! The answers of HAProxy 2.6.12's `-cc` to the same questions, where its build does not matter.

use super::*;
use crate::config::MapHost;

fn ask(text: &str) -> Result<bool, String> {
    let host = MapHost::default().with_env("A", "one").with_env("E", "");
    evaluate_argument(text, &Environment::new(&host)).map_err(|error| error.to_string())
}

#[test]
fn values() {
    for (text, expected) in [
        ("", false),
        ("0", false),
        ("00", false),
        ("1", true),
        ("-1", true),
        ("+1", true),
        ("0x1", true),
        ("99999999999999999999", true),
        ("  1 ", true),
        ("\t1", true),
        ("!0", true),
        ("! 0", true),
        ("!!1", true),
        ("!(1)", false),
        ("((1))", true),
        ("( 1 )", true),
        ("(!1)", false),
        ("1&&1", true),
        ("1 && 0", false),
        ("0||1", true),
        ("1 ||  1 ", true),
        ("1 && 1 || 0", true),
        ("0 && 1 || 1", true),
        ("1 || 0 && 0", true),
        ("(0 || 1) && 0", false),
        ("defined(A)", true),
        ("defined(E)", true),
        ("!defined(A)", false),
        ("defined(NOPE)", false),
        ("defined( A)", false),
        ("defined(A )", false),
        ("defined(\"A\")", true),
        ("defined(.FILE)", false),
        ("defined", false),
        ("defined()", false),
        ("feature(THREAD)", true),
        ("feature(thread)", false),
        ("feature(NOPE)", false),
        ("feature(51DEGREES)", false),
        ("streq(a,b)", false),
        ("streq(a,a)", true),
        ("streq(,)", true),
        ("streq(a, a)", false),
        ("streq(\"a\",a)", true),
        ("streq('a',a)", true),
        ("streq(a b,a b)", true),
        ("streq(a  b,a b)", true),
        ("streq(\"$A\",one)", true),
        ("streq($A,one)", false),
        ("streq(#,\"#\")", true),
        ("streq('\"a,b\"','\"a,b\"')", true),
        ("strneq(a,b)", true),
        ("strneq(a,a)", false),
        ("version_atleast(2.6)", true),
        ("version_atleast(2.6.12)", true),
        ("version_atleast(2.6.13)", false),
        ("version_atleast(2.6-dev3)", true),
        ("version_atleast(2.6.12-dev99)", true),
        ("version_atleast(2.6.12-1)", false),
        ("version_atleast(2.6.12.1)", false),
        ("version_atleast(2.7-dev0)", false),
        ("version_atleast(v2.6)", true),
        ("version_atleast(2)", true),
        ("version_atleast(2.6x)", true),
        ("version_atleast(abc)", true),
        ("version_atleast()", true),
        ("version_before(2.7)", true),
        ("version_before(2.6.12)", false),
        ("ssllib_name_startswith(OpenSSL)", false),
        ("feature(OPENSSL) && openssl_version_atleast(1.1.1)", false),
    ] {
        assert_eq!(ask(text), Ok(expected), "{text}");
    }
}

#[test]
fn errors() {
    for (text, expected) in [
        (" ", "unparsable conditional expression ' '"),
        ("x", "unparsable conditional expression 'x'"),
        ("!", "unparsable conditional expression ''"),
        ("- 1", "unparsable conditional expression '- 1'"),
        ("()", "unparsable conditional expression ')'"),
        ("1 || x", "unparsable conditional expression 'x'"),
        ("0 && x", "unparsable conditional expression 'x'"),
        ("1 &&", "unparsable conditional expression ''"),
        ("&&1", "unparsable conditional expression '&&1'"),
        ("foo(1)", "unparsable conditional expression 'foo(1)'"),
        ("enabled(POLL)", "unparsable conditional expression 'enabled(POLL)'"),
        ("1x", "unexpected character 'x' at the end of conditional expression '1x'"),
        ("1 1", "unexpected character '1' at the end of conditional expression '1 1'"),
        ("1#x", "unexpected character '#' at the end of conditional expression '1#x'"),
        ("1&1", "unexpected character '&' at the end of conditional expression '1&1'"),
        ("1)", "unexpected character ')' at the end of conditional expression '1)'"),
        (
            "defined (A)",
            "unexpected character '(' at the end of conditional expression 'defined (A)'",
        ),
        ("(1", "expected ')' after conditional expression '(1'"),
        (
            "defined(A",
            "expected ')' in argument 1 of predicate 'defined' used in conditional expression",
        ),
        (
            "streq(a)",
            "missing arguments (got 1/2), type 'string' expected in argument 1 of predicate \
             'streq' used in conditional expression",
        ),
        (
            "streq()",
            "missing arguments (got 0/2), type 'string' expected in argument 1 of predicate \
             'streq' used in conditional expression",
        ),
        (
            "streq(a,b,c)",
            "expected ')' before ',c)' in argument 2 of predicate 'streq' used in conditional \
             expression",
        ),
        (
            "openssl_version_atleast(1.1.1)",
            "this build has no OpenSSL whose version could be compared; test feature(OPENSSL) \
             first",
        ),
        ("streq(\"a,b)", "unmatched quote at position 7"),
    ] {
        assert_eq!(ask(text), Err(expected.to_string()), "{text}");
    }
    let deep = "(".repeat(100_000);
    assert_eq!(ask(&deep), Err("too many nested parentheses".to_string()));
}

#[test]
fn versions_are_ordered() {
    let sorted = ["1", "2.6-dev1", "2.6-dev2", "2.6-dev2-4", "2.6", "2.6.0-3", "2.6.1", "2.10"];
    for pair in sorted.windows(2) {
        assert_eq!(compare_versions(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        assert_eq!(compare_versions(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
    }
    assert_eq!(compare_versions("2.6", "v2.6.0"), Ordering::Equal);
}
