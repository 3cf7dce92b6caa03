//! `-dK`: lists the words of the configuration language.

use std::fmt::Write;

use tidegate_core::config::keywords::{Context, Keyword, Sections, Status, contexts, table};

/// Classes that `-dK` knows, and what they hold.
const CLASSES: &[(&str, &str)] = &[
    ("all", "every class"),
    ("cfg", "configuration keywords"),
    ("acl", "ACL keywords"),
    ("cli", "commands of the runtime socket"),
    ("cnv", "converters"),
    ("flt", "filters"),
    ("smp", "sample fetches"),
    ("svc", "services"),
];

/// The text for the classes behind `-dK`, apart by commas; none means all.
pub fn list(classes: &str) -> String {
    let mut text = String::new();
    for class in classes.split(',').map(|class| if class.is_empty() { "all" } else { class }) {
        match class {
            "all" | "cfg" => configuration(&mut text),
            "help" => {
                text.push_str("# Classes for -dK, apart by commas:\n");
                for (name, what) in CLASSES {
                    let _ = writeln!(text, "  {name:<5} {what}");
                }
            }
            other if CLASSES.iter().any(|(name, _)| *name == other) => {
                let _ = writeln!(text, "# Class '{other}': none in this build.");
            }
            other => {
                let _ = writeln!(text, "# Class '{other}' is unknown; see -dKhelp.");
            }
        }
    }
    text
}

fn configuration(text: &mut String) {
    text.push_str("# List of registered configuration keywords:\n");
    for context in contexts() {
        let _ = writeln!(text, "{}", title(context));
        for keyword in table(context) {
            if !matches!(keyword.status, Status::Removed(_)) {
                let _ = writeln!(text, "\t{}", entry(keyword));
            }
        }
    }
}

fn title(context: Context) -> String {
    match context {
        Context::Line(kind) if kind.is_proxy() => "proxy".into(),
        Context::Line(kind) => format!("{kind:?}").to_lowercase(),
        Context::Option => "proxy: option".into(),
        Context::Bind => "bind".into(),
        Context::Server => "server".into(),
        Context::Rule(ruleset) => format!("rule: {ruleset}"),
    }
}

/// The keyword, the sections of proxies that may have it, and whether it does anything.
fn entry(keyword: &Keyword) -> String {
    use tidegate_core::config::SectionKind::{Backend, Defaults, Frontend, Listen};

    let mut text = keyword.name.to_owned();
    if keyword.sections != Sections::NONE {
        let letters = [(Defaults, 'D'), (Frontend, 'F'), (Listen, 'L'), (Backend, 'B')]
            .map(|(kind, letter)| if keyword.sections.contains(kind) { letter } else { '-' });
        text = format!("{text:<34} {}", letters.iter().collect::<String>());
    }
    match keyword.status {
        Status::NoEffect(_) => text + "  (no effect)",
        Status::Unsafe(_) => text + "  (refused)",
        Status::Works | Status::Removed(_) => text,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn classes() {
        let all = super::list("");
        assert!(all.contains("\nglobal\n") && all.contains("\n\tmaxconn"), "{all}");
        assert!(super::list("help").contains("  cfg "));
        assert!(super::list("smp").contains("none in this build"));
        assert!(super::list("x,cfg").starts_with("# Class 'x' is unknown"));
    }
}
