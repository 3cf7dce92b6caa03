//! What is wrong with a configuration, where, and what to write instead.
//!
//! A [`Diagnostic`] is a value; the two renderings are [`Diagnostic::plain`], whose first line has
//! the shape that tools expect of HAProxy, and [`Diagnostic::terminal`], for a person.

use annotate_snippets::renderer::{DecorStyle, Renderer};
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Snippet};

use super::source::{Source, Span};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Shown with `-dD` only.
    Diag,
    /// For information.
    Notice,
    /// Starts all the same, unless `zero-warning` or `-dW` is set.
    Warning,
    /// Does not start.
    Alert,
}

impl Severity {
    fn label(self) -> &'static str {
        match self {
            Severity::Diag => "[DIAG]",
            Severity::Notice => "[NOTICE]",
            Severity::Warning => "[WARNING]",
            Severity::Alert => "[ALERT]",
        }
    }
}

/// One complaint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The words to blame; an empty span blames the line; none, the configuration as a whole.
    pub span: Option<Span>,
    /// One sentence, without the place.
    pub message: String,
    /// What to do about it, a sentence each.
    pub help: Vec<String>,
    /// What to write in place of some words.
    pub suggestion: Option<Suggestion>,
    /// Another place that matters, and why.
    pub related: Option<(Span, String)>,
}

/// Words to write instead of those at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suggestion {
    /// What is replaced.
    pub span: Span,
    /// By what.
    pub replacement: String,
}

impl Diagnostic {
    /// A complaint about `span`.
    pub fn new(severity: Severity, span: Option<Span>, message: impl Into<String>) -> Self {
        Diagnostic {
            severity,
            span,
            message: message.into(),
            help: Vec::new(),
            suggestion: None,
            related: None,
        }
    }

    /// With a sentence about what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// With words to write instead.
    pub fn suggest(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.suggestion = Some(Suggestion { span, replacement: replacement.into() });
        self
    }

    /// With another place that matters.
    pub fn see(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    /// As lines of text. The first has HAProxy's shape, the parenthesis in column 12; the others
    /// begin with `   | ` as HAProxy's own continuation lines do. Ends with a line feed.
    pub fn plain(&self, sources: &[Source], pid: u32) -> String {
        let mut text = head(self.severity, pid);
        if let Some((span, source)) = self.span.and_then(|s| Some((s, file(sources, s)?))) {
            text += &format!("parsing [{}:{}] : {}\n", source.name, span.line, self.message);
            if span.end > span.start {
                let cut = Excerpt::of(source.line(span.line), span);
                text += &format!("   |  {}\n   |  {}\n", cut.text, cut.carets());
            }
        } else {
            text += &format!("{}\n", self.message);
        }
        if let Some(suggestion) = &self.suggestion {
            text += &format!("   | write instead: {}\n", suggestion.replacement);
        }
        if let Some((span, label)) = &self.related
            && let Some(source) = file(sources, *span)
        {
            text += &format!("   | {label}: {}:{}\n", source.name, span.line);
        }
        for help in &self.help {
            text += &format!("   | help: {help}\n");
        }
        text
    }

    /// As a snippet of the source with the place marked, in colour if `styled`. Ends with an
    /// empty line.
    pub fn terminal(&self, sources: &[Source], styled: bool) -> String {
        let level = match self.severity {
            Severity::Alert => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Notice => Level::NOTE,
            Severity::Diag => Level::INFO,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        if let Some((span, source)) = self.span.and_then(|s| Some((s, file(sources, s)?))) {
            group = group.element(snippet(source, span, AnnotationKind::Primary, None));
        }
        if let Some((span, label)) = &self.related
            && let Some(source) = file(sources, *span)
        {
            group = group.element(snippet(source, *span, AnnotationKind::Context, Some(label)));
        }
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let mut report = vec![group];
        if let Some(suggestion) = &self.suggestion
            && let Some(source) = file(sources, suggestion.span)
        {
            let cut = Excerpt::of(source.line(suggestion.span.line), suggestion.span);
            let patch = Patch::new(cut.bytes(), suggestion.replacement.as_str());
            report.push(
                Level::HELP.secondary_title("write instead").element(
                    Snippet::source(cut.text)
                        .path(source.name.as_str())
                        .line_start(suggestion.span.line as usize)
                        .patch(patch),
                ),
            );
        }
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        renderer.decor_style(DecorStyle::Ascii).render(&report) + "\n\n"
    }
}

/// The complaints of one run, in the order of their discovery.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds a complaint.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds one that prevents the start, and lends it for a help or a suggestion.
    pub fn alert(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Severity::Alert, Some(span), message.into())
    }

    /// Adds one that does not prevent the start.
    pub fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Severity::Warning, Some(span), message.into())
    }

    /// Whether something prevents the start.
    pub fn is_fatal(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Alert)
    }

    /// All of them, by their place; those without one come last. Beyond a thousand, only how many
    /// more there are: it was no configuration.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        const SHOWN_MAX: usize = 1_000;
        const LAST: (u32, u32, u32) = (u32::MAX, u32::MAX, u32::MAX);
        let key = |d: &Diagnostic| d.span.map_or(LAST, |s| (s.file, s.line, s.start));
        self.list.sort_by_key(key);
        if let Some(more) = self.list.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            // An alert stays an alert, wherever it stood.
            let worst = self.list.iter().map(|d| d.severity).max().unwrap_or(Severity::Notice);
            self.list.truncate(SHOWN_MAX);
            let message = format!("{more} more messages are not shown");
            self.list.push(Diagnostic::new(worst, None, message));
        }
        self.list
    }

    /// In the order of their discovery.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    fn add(&mut self, severity: Severity, span: Option<Span>, message: String) -> &mut Diagnostic {
        self.list.push(Diagnostic::new(severity, span, message));
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}

/// HAProxy's last lines when a configuration is refused: one per file with errors, then one for
/// all.
pub fn closing(diagnostics: &[Diagnostic], sources: &[Source], pid: u32) -> String {
    let head = head(Severity::Alert, pid);
    let mut text = String::new();
    for (index, source) in sources.iter().enumerate() {
        let wrong = |d: &&Diagnostic| {
            d.severity == Severity::Alert && d.span.is_some_and(|s| s.file as usize == index)
        };
        if diagnostics.iter().find(wrong).is_some() {
            text += &format!("{head}Error(s) found in configuration file : {}\n", source.name);
        }
    }
    text + &format!("{head}Fatal errors found in configuration.\n")
}

fn head(severity: Severity, pid: u32) -> String {
    format!("{:<11}({pid}) : config : ", severity.label())
}

fn file(sources: &[Source], span: Span) -> Option<&Source> {
    sources.get(span.file as usize)
}

fn snippet<'a>(
    source: &'a Source,
    span: Span,
    kind: AnnotationKind,
    label: Option<&'a String>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let cut = Excerpt::of(source.line(span.line), span);
    let mark = kind.span(cut.bytes()).label(label.map(String::as_str));
    Snippet::source(cut.text)
        .path(source.name.as_str())
        .line_start(span.line as usize)
        .annotation(mark)
}

/// A line made fit for a terminal (a blank per tab or control character), cut to the neighbourhood
/// of a place if it is long, and the place in it.
struct Excerpt {
    text: String,
    /// Columns, in characters.
    start: usize,
    end: usize,
}

impl Excerpt {
    fn of(line: &[u8], span: Span) -> Self {
        /// Characters shown before the place in a long line, and of the whole line.
        const BEFORE_MAX: usize = 60;
        const LINE_MAX: usize = 160;
        let at = |byte: u32| {
            let prefix = &line[..line.len().min(byte as usize)];
            String::from_utf8_lossy(prefix).chars().count()
        };
        let (start, end) = (at(span.start), at(span.end));
        let shown = without_secrets(&String::from_utf8_lossy(line));
        let mut text: Vec<char> =
            shown.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let skip = if text.len() > LINE_MAX { start.saturating_sub(BEFORE_MAX) } else { 0 };
        text.drain(..skip.min(text.len()));
        text.truncate(LINE_MAX);
        let end = (end - skip).min(text.len());
        Excerpt { start: (start - skip).min(end), end, text: text.into_iter().collect() }
    }

    fn carets(&self) -> String {
        let width = (self.end - self.start).max(1);
        " ".repeat(self.start) + &"^".repeat(width)
    }

    fn bytes(&self) -> core::ops::Range<usize> {
        let byte = |column| {
            self.text.char_indices().nth(column).map_or(self.text.len(), |(index, _)| index)
        };
        byte(self.start)..byte(self.end)
    }
}

/// The line with stars for the word behind each word that announces a password: messages end up
/// in logs that more people read than the configuration.
fn without_secrets(line: &str) -> String {
    const BEFORE: [&str; 4] = ["password", "insecure-password", "auth", "ca-sign-pass"];
    let mut out = String::with_capacity(line.len());
    let mut secret = false;
    for part in line.split_inclusive(|c: char| c.is_whitespace()) {
        let word = part.trim_end();
        if secret && !word.is_empty() {
            out.extend(word.chars().map(|_| '*'));
            out.push_str(&part[word.len()..]);
        } else {
            out.push_str(part);
        }
        secret = BEFORE.contains(&word) || (secret && word.is_empty());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<Source> {
        vec![
            Source::new("a.cfg", "global\n\tmaxcon 3\n"),
            Source::new("b.cfg", "frontend f\nfrontend f\n bind \u{e9}\u{e9} x\n"),
        ]
    }

    fn all() -> Vec<Diagnostic> {
        let at = |file, line, start, end| Span { file, line, start, end };
        vec![
            Diagnostic::new(Severity::Alert, Some(at(0, 2, 1, 7)), "unknown keyword 'maxcon'")
                .suggest(at(0, 2, 1, 7), "maxconn"),
            Diagnostic::new(Severity::Alert, Some(at(1, 2, 9, 10)), "the name 'f' is taken")
                .see(at(1, 1, 9, 10), "declared first at"),
            Diagnostic::new(Severity::Warning, Some(at(1, 3, 11, 12)), "what is 'x'?")
                .help("remove it"),
            Diagnostic::new(Severity::Notice, Some(Span::line(1, 1)), "look here"),
            Diagnostic::new(Severity::Warning, None, "no listener"),
        ]
    }

    #[test]
    fn plain() {
        let text: String = all().iter().map(|d| d.plain(&sources(), 42)).collect();
        insta::assert_snapshot!(text + &closing(&all(), &sources(), 42));
    }

    #[test]
    fn terminal() {
        let text: String = all().iter().map(|d| d.terminal(&sources(), false)).collect();
        insta::assert_snapshot!(text);
        assert!(all()[0].terminal(&sources(), true).contains("\u{1b}["));
    }

    #[test]
    fn a_flood_is_cut_short_but_stays_fatal() {
        let mut all = Diagnostics::default();
        for line in 1..=1_500 {
            all.warning(Span::line(0, line), "w");
        }
        all.alert(Span::line(0, 2_000), "a");
        let sorted = all.into_sorted();
        assert_eq!(sorted.len(), 1_001);
        assert_eq!(sorted[1_000].message, "501 more messages are not shown");
        assert_eq!(sorted[1_000].severity, Severity::Alert);
    }

    #[test]
    fn passwords_are_not_shown() {
        for (line, shown) in [
            (
                "user joe insecure-password  s3cret groups a",
                "user joe insecure-password  ****** groups a",
            ),
            ("stats auth joe:s3cret", "stats auth **********"),
            ("user joe password", "user joe password"),
            ("user joe passwords here", "user joe passwords here"),
        ] {
            assert_eq!(without_secrets(line), shown);
        }
    }

    #[test]
    fn the_parenthesis_is_in_column_twelve() {
        for diagnostic in all() {
            assert_eq!(diagnostic.plain(&sources(), 7).find('('), Some(11));
        }
    }

    #[test]
    fn excerpts_of_long_lines_show_the_place() {
        let line = format!("\t{} bad {}", "x".repeat(500), "y".repeat(500));
        let span = Span { file: 0, line: 1, start: 502, end: 505 };
        let cut = Excerpt::of(line.as_bytes(), span);
        assert_eq!(&cut.text[cut.bytes()], "bad");
        assert!(cut.text.len() <= 160);
        // Places beyond the line, as after an edit of the file, are cut too.
        let cut = Excerpt::of(b"ab", Span { file: 0, line: 1, start: 5, end: 9 });
        assert_eq!((cut.start, cut.end), (2, 2));
        let cut = Excerpt::of(b"", span);
        assert_eq!(cut.carets(), "^");
    }
}
