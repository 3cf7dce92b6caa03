//! Sections and statements: which words make one, and what is refused.

use super::*;
use crate::config::MapHost;

fn read_text(text: &str) -> (Vec<Section>, Vec<String>) {
    let host = MapHost::default().with_env("A", "one");
    let mut diagnostics = Diagnostics::default();
    let sources = [Source::new("p.cfg", text)];
    let sections = read(&sources, &mut Environment::new(&host), &mut diagnostics);
    let told = diagnostics
        .into_sorted()
        .iter()
        .map(|d| format!("{:?} {}: {}", d.severity, d.span.map_or(0, |s| s.line), d.message))
        .collect();
    (sections, told)
}

fn outline(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        text += &format!("[{} {}", section.kind.as_str(), section.name());
        if let Some(from) = &section.from {
            text += &format!(" from {}", from.as_str());
        }
        text += "]";
        for statement in &section.statements {
            let words: Vec<&str> = statement.words.iter().map(Word::as_str).collect();
            match statement.negation {
                Negation::Plain => text += " ",
                Negation::No => text += " no:",
                Negation::Default => text += " default:",
            }
            text += &words.join(",");
        }
    }
    text
}

#[test]
fn sections_and_statements() {
    for (text, expected) in [
        ("", ""),
        ("global\n daemon\n", "[global ] daemon"),
        ("global#c\ndaemon#c\n", "[global ] daemon"),
        ("defaults\ndefaults d\ndefaults from d\n", "[defaults ][defaults d][defaults  from d]"),
        ("frontend f from d\r\n mode http\r\n", "[frontend f from d] mode,http"),
        ("listen l\n no option x\n default option y\n", "[listen l] no:option,x default:option,y"),
        ("backend b\n \"\" ignored\n \"$NOPE\" too\n", "[backend b]"),
        ("global\nsetenv N v\nfrontend \"$N\"\n", "[global ][frontend v]"),
        ("global\npresetenv A v\nunsetenv B\nfrontend \"$A\"\n", "[global ][frontend one]"),
        ("global\nresetenv B\nfrontend \"${A-none}\"\n", "[global ][frontend none]"),
        ("http-errors e\ncache c\nprogram p\n", "[http-errors e][cache c][program p]"),
    ] {
        let (sections, told) = read_text(text);
        assert_eq!((outline(&sections).as_str(), told), (expected, vec![]), "{text}");
    }
}

#[test]
fn conditional_blocks() {
    for (text, expected) in [
        (".if 1\nglobal\n.endif\n", "[global ]"),
        (".if\nglobal\n.else\nlisten l\n.endif\n", "[listen l]"),
        (
            ".if 0\nlisten a\n.elif 1\nlisten b\n.elif 1\nlisten c\n.else\nlisten d\n.endif\n",
            "[listen b]",
        ),
        (".if 1\nlisten a\n.elif bad(\nlisten b\n.endif\n", "[listen a]"),
        (
            ".if 0\n.if bad(\nlisten a\n.else\nlisten b\n.endif\n.else\nlisten c\n.endif\n",
            "[listen c]",
        ),
        (".if 1\n.if 0\nlisten a\n.endif\nlisten b\n.endif\nlisten c\n", "[listen b][listen c]"),
        (".if streq(\"$A\",one) # c\nlisten a\n.endif\n", "[listen a]"),
        (".if !0 || ( 1 && 0 )\nlisten a\n.endif\n", "[listen a]"),
    ] {
        let (sections, told) = read_text(text);
        assert_eq!((outline(&sections).as_str(), told), (expected, vec![]), "{text}");
    }
}

#[test]
fn complaints() {
    for (text, expected) in [
        ("bind :80\n", "Alert 1: unknown keyword 'bind' out of section"),
        ("frontend\n", "Alert 1: 'frontend' expects an <id> argument"),
        ("listen a/b\n", "Alert 1: character '/' is not permitted in 'listen' name 'a/b'"),
        ("global x\n", "Alert 1: 'global' cannot handle unexpected argument 'x'"),
        (
            "listen l 1.2.3.4:80\n",
            "Alert 1: 'listen' cannot handle unexpected argument '1.2.3.4:80'",
        ),
        ("listen l from\n", "Alert 1: 'from' expects the name of a defaults section"),
        ("userlist u from d\n", "Alert 1: 'userlist' cannot handle unexpected argument 'from'"),
        ("global\n daemon", "Alert 2: missing LF on last line, file might have been truncated"),
        ("global\n \"a\n", "Alert 2: unmatched quote at position 2"),
        (".if 0\n 'a\n.endif\n", "Alert 2: unmatched quote at position 2"),
        (".if 1\n", "Alert 1: non-terminated '.if' block"),
        (".endif\n", "Alert 1: lone '.endif' with no matching '.if'"),
        (".else\n", "Alert 1: lone '.else' with no matching '.if'"),
        (".elif 1\n", "Alert 1: lone '.elif' with no matching '.if'"),
        (".if 0\n.else\n.else\n.endif\n", "Alert 3: '.else' after '.else' is not permitted"),
        (".if 0\n.else\n.elif 1\n.endif\n", "Alert 3: '.elif' after '.else' is not permitted"),
        (".if 1\n.else x\n.endif\n", "Alert 2: unexpected argument 'x' for '.else'"),
        (".if foo\n.endif\n", "Alert 1: unparsable conditional expression 'foo' in '.if'"),
        (".foo\n", "Alert 1: unknown directive '.foo'"),
        (".notice x\n", "Notice 1: 'x'"),
        (".diag \"x y\"\n", "Diag 1: 'x y'"),
        (".warning \"$.FILE:$.LINE\"\n", "Warning 1: 'p.cfg:1'"),
        (".alert x\n", "Alert 1: 'x'"),
        (".alert x y\n", "Alert 1: unexpected argument 'y' for '.alert'"),
        ("global\nsetenv A\n", "Alert 2: 'setenv' expects a name and a value"),
        (
            "global\n no daemon\n",
            "Alert 2: negation/default currently supported only for options, log, busy-polling, \
             set-dumpable, strict-limits, insecure-fork-wanted and numa-cpu-mapping",
        ),
    ] {
        assert_eq!(read_text(text).1, vec![expected.to_string()], "{text}");
    }
}

#[test]
fn nothing_inside_a_broken_section_is_reported() {
    let (sections, told) = read_text("backend\n nonsense\nbackend b\n mode tcp\n");
    assert_eq!(outline(&sections), "[backend b] mode,tcp");
    assert_eq!(told.len(), 1);
}

#[test]
fn blocks_nest_sixty_four_deep() {
    let nest = |n: usize| format!("{}{}", ".if 1\n".repeat(n), ".endif\n".repeat(n));
    assert_eq!(read_text(&nest(64)).1, Vec::<String>::new());
    assert_eq!(read_text(&nest(65)).1, ["Alert 65: too many nested '.if', max is 64"]);
}

#[test]
fn each_file_begins_outside_of_sections() {
    let host = MapHost::default();
    let mut diagnostics = Diagnostics::default();
    let sources = [Source::new("a", "global\n.if 1\n"), Source::new("b", "daemon\n.endif\n")];
    read(&sources, &mut Environment::new(&host), &mut diagnostics);
    let places: Vec<_> =
        diagnostics.iter().filter_map(|d| d.span.map(|s| (s.file, s.line))).collect();
    assert_eq!(places, [(0, 2), (1, 1), (1, 2)]);
}
