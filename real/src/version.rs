//! Who we are: `-v`, `-vv`, the usage and the help.

use std::fmt::Write;

use tidegate_core::config::HAPROXY_VERSION;
use tidegate_core::config::condition::FEATURES;
use tidegate_core::proxy::spec::Tunables;

use self::text::{HELP, USAGE};

mod text;

/// What tools read as the version: the HAProxy release whose language and behaviour are claimed,
/// and our own behind it.
pub const VERSION: &str = concat!("2.6.12-tidegate", env!("CARGO_PKG_VERSION"));

/// `-v`: the lines that tools parse, and who it really is.
pub fn short() -> String {
    let system = rustix::system::uname();
    let name = |field: &std::ffi::CStr| field.to_string_lossy().into_owned();
    format!(
        "HAProxy version {VERSION} - Tidegate {own}, compatible with HAProxy {HAPROXY_VERSION}\n\
         Status: not an HAProxy build; Tidegate is a separate program that takes its place.\n\
         Known bugs: see Tidegate's own issue tracker.\n\
         Running on: {} {} {} {}\n",
        name(system.sysname()),
        name(system.release()),
        name(system.version()),
        name(system.machine()),
        own = env!("CARGO_PKG_VERSION"),
    )
}

/// `-vv`: the same and what this build can do.
pub fn long(cpus: usize) -> String {
    let mut text = short();
    let features: Vec<String> = FEATURES
        .iter()
        .map(|(name, has)| format!("{}{name}", if *has { '+' } else { '-' }))
        .collect();
    let defaults = Tunables::default();
    let _ = write!(
        text,
        "Build options :\n  \
           TARGET  = {target}\n  \
           PROFILE = {profile}\n\n\
         Feature list : {}\n\n\
         Default settings :\n  \
           bufsize = {}, maxrewrite = {}, maxpollevents = {}\n\n\
         Built with multi-threading support (default={cpus}).\n\n",
        features.join(" "),
        defaults.bufsize,
        defaults.maxrewrite,
        defaults.maxpollevents,
        target = target(),
        profile = if cfg!(debug_assertions) { "debug" } else { "release" },
    );
    text.push_str(&pollers());
    text.push_str(
        "\nAvailable multiplexer protocols :\n\
         (protocols marked as <default> cannot be specified using 'proto' keyword)\n  \
           <default> : mode=HTTP  side=FE|BE  mux=H1    flags=\n  \
           <default> : mode=TCP   side=FE|BE  mux=PASS  flags=\n\n\
         Available services : none\n\n\
         Available filters : none\n",
    );
    text
}

/// The list of pollers, as `-vv` and `-V` print it.
pub fn pollers() -> String {
    format!(
        "Available polling systems :\n      \
           {POLLER:>5} : pref=300,  test result OK\n\
         Total: 1 (1 usable), will use {POLLER}.\n"
    )
}

/// The poller that mio uses here.
pub const POLLER: &str =
    if cfg!(any(target_os = "linux", target_os = "android")) { "epoll" } else { "kqueue" };

/// What is printed for a command line that is not understood.
pub fn usage() -> &'static str {
    USAGE
}

/// `--help`.
pub fn help() -> &'static str {
    HELP
}

fn target() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_find_the_version_where_they_look() {
        let first = short().lines().next().unwrap_or_default().to_owned();
        assert!(first.starts_with(&format!("HAProxy version {HAPROXY_VERSION}-tidegate")));
        assert!(VERSION.starts_with(HAPROXY_VERSION));
        assert_eq!(short().lines().count(), 4);
        assert!(long(2).contains("\nFeature list : -51DEGREES "));
    }

    #[test]
    fn lines_fit_a_terminal() {
        for line in USAGE.lines().chain(HELP.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
