//! Lines for the operator on stderr, in the shape that HAProxy's have: the parenthesis is always in
//! column 12.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate_core::config::diagnostic::closing;
use tidegate_core::config::{Diagnostic, Severity, Source};
use tidegate_core::engine;

use crate::version::VERSION;

static QUIET: AtomicBool = AtomicBool::new(false);
static INTRODUCED: Once = Once::new();

/// From here on nothing is said (`-q`).
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Prints what was asked for on stdout. A reader who has seen enough is no error.
pub fn print(text: impl Display) {
    let _ = write!(std::io::stdout(), "{text}");
}

/// Prints help on stderr as it is.
pub fn help(text: &str) {
    write(text);
}

/// For information.
pub fn notice(text: impl Display) {
    say("[NOTICE]", text);
}

/// It goes on all the same.
pub fn warning(text: impl Display) {
    say("[WARNING]", text);
}

/// It does not go on.
pub fn alert(text: impl Display) {
    say("[ALERT]", text);
}

/// What an engine has to say.
pub fn of_engine(notice: &engine::Notice) {
    match notice.severity {
        engine::Severity::Notice => self::notice(&notice.text),
        engine::Severity::Warning => warning(&notice.text),
        engine::Severity::Alert => alert(&notice.text),
    }
}

/// What there is to say about a configuration; what is merely suspicious only if asked for. To a
/// person with the place marked, to a file or a tool as plain lines.
pub fn diagnostics(list: &[Diagnostic], sources: &[Source], suspicious: bool) {
    let terminal = std::io::stderr().is_terminal();
    let styled = terminal && std::env::var_os("NO_COLOR").is_none();
    for diagnostic in list {
        if diagnostic.severity == Severity::Diag && !suspicious {
            continue;
        }
        let text = if terminal {
            diagnostic.terminal(sources, styled)
        } else {
            diagnostic.plain(sources, std::process::id())
        };
        introduce();
        write(&text);
    }
    if list.iter().any(|diagnostic| diagnostic.severity == Severity::Alert) {
        write(&closing(list, sources, std::process::id()));
    }
}

fn say(label: &str, text: impl Display) {
    introduce();
    write(&line(label, std::process::id(), text));
}

fn line(label: &str, pid: u32, text: impl Display) -> String {
    format!("{label:<11}({pid}) : {text}\n")
}

/// Who is speaking; once, before the first line.
fn introduce() {
    INTRODUCED.call_once(|| {
        let pid = std::process::id();
        write(&line("[NOTICE]", pid, format_args!("haproxy version is {VERSION}")));
        if let Ok(path) = std::env::current_exe() {
            let path = path.display();
            write(&line("[NOTICE]", pid, format_args!("path to executable is {path}")));
        }
    });
}

fn write(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        // There is nowhere to say that stderr is gone.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_parenthesis_is_in_column_twelve() {
        for label in ["[NOTICE]", "[WARNING]", "[ALERT]"] {
            assert_eq!(super::line(label, 7, "x").find('('), Some(11));
        }
    }
}
