//! Answers that the operator wrote: `errorfile`, `errorloc` and its kin, `errorfiles`, and the
//! `http-errors` sections.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::keywords::Context;
use crate::config::{Section, Span, Statement, Word};
use crate::reply;

use super::Builder;
use super::args::Args;
use super::draft::Draft;

/// Answers by status.
pub(super) type ErrorSet = Vec<(u16, Arc<[u8]>)>;

/// `http-errors` sections by name.
pub(super) type ErrorSets = BTreeMap<String, ErrorSet>;

/// Where a relative file name starts from (`default-path`).
#[derive(Clone, PartialEq, Eq)]
pub(super) enum DefaultPath {
    /// The working directory.
    Current,
    /// The directory of the file that names it.
    Config,
    /// The directory above that.
    Parent,
    Origin(String),
}

impl DefaultPath {
    /// `path` as seen from the configuration file `config`.
    pub(super) fn resolve(&self, path: &str, config: &str) -> String {
        let base = match self {
            DefaultPath::Current => return path.into(),
            _ if path.starts_with('/') => return path.into(),
            DefaultPath::Config => config.rfind('/').map_or(".", |slash| &config[..slash]).into(),
            DefaultPath::Parent => {
                config.rfind('/').map_or("..".into(), |slash| format!("{}/..", &config[..slash]))
            }
            DefaultPath::Origin(origin) => origin.clone(),
        };
        format!("{base}/{path}")
    }
}

impl Builder<'_> {
    /// A keyword that replaces answers of a proxy.
    pub(super) fn error_statement(
        &mut self,
        draft: &mut Draft,
        statement: &Statement,
        name: &'static str,
    ) {
        if name == "errorfiles" {
            self.error_files(draft, statement);
        } else if let Some((status, answer)) = self.error_answer(statement, name) {
            put(&mut draft.proxy.error_files, status, answer);
        }
    }

    /// `http-errors <name>`.
    pub(super) fn error_set(&mut self, section: &Section) {
        let mut set = ErrorSet::new();
        for statement in &section.statements {
            let context = Context::Line(section.kind);
            let Some(keyword) = self.keyword(context, statement) else { continue };
            if let Some((status, answer)) = self.error_answer(statement, keyword.name) {
                put(&mut set, status, answer);
            }
        }
        self.error_sets.insert(section.name().into(), set);
    }

    /// `errorfiles <set> [<status> …]`.
    fn error_files(&mut self, draft: &mut Draft, statement: &Statement) {
        let mut args = Args::new(statement, 1, "errorfiles", &mut self.diagnostics);
        let Some(name) = args.need("the name of an http-errors section") else { return };
        let Some(set) = self.error_sets.get(name.as_str()) else {
            let message = format!("unknown http-errors section '{}'", name.as_str());
            args.alert(name.span, message, "it must stand above the section that uses it");
            return;
        };
        let mut wanted = Vec::new();
        while args.peek().is_some() {
            let Some(status) = known_status(&mut args) else { return };
            wanted.push(status);
        }
        for (status, answer) in set {
            if wanted.is_empty() || wanted.contains(status) {
                put(&mut draft.proxy.error_files, *status, answer.clone());
            }
        }
    }

    /// `errorfile <status> <file>` or `errorloc… <status> <url>`.
    fn error_answer(&mut self, statement: &Statement, name: &str) -> Option<(u16, Arc<[u8]>)> {
        let mut args = Args::new(statement, 1, name, &mut self.diagnostics);
        let status = known_status(&mut args)?;
        let word = args.need(if name == "errorfile" { "a file" } else { "a URL" })?;
        if !args.end() {
            return None;
        }
        let answer = match name {
            "errorfile" => self.error_file(word)?,
            "errorloc303" => redirect("303 See Other", word.bytes()),
            _ => redirect("302 Found", word.bytes()),
        };
        Some((status, answer))
    }

    /// A file that holds a whole answer; nothing at all, as in /dev/null, answers nothing.
    fn error_file(&mut self, word: &Word) -> Option<Arc<[u8]>> {
        let source = &self.sources[word.span.file as usize];
        let path = self.default_path.resolve(word.as_str(), &source.name);
        let bytes = match self.host.read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("errorfile : error opening file '{path}': {error}");
                self.diagnostics.alert(word.span, message);
                return None;
            }
        };
        match answer(&bytes) {
            Ok(answer) if answer.len() <= self.site.tunables.bufsize as usize => Some(answer),
            Ok(_) => {
                let limit = self.site.tunables.bufsize;
                self.error_file_wrong(word.span, &path, &format!("longer than {limit} bytes"));
                None
            }
            Err(error) => {
                self.error_file_wrong(word.span, &path, &error);
                None
            }
        }
    }

    fn error_file_wrong(&mut self, span: Span, path: &str, error: &str) {
        let found = self.diagnostics.alert(span, format!("errorfile : '{path}': {error}"));
        found.help.push(
            "it holds a whole answer: a status line, header lines, an empty line and the page"
                .into(),
        );
    }
}

/// A status that has an answer to replace.
fn known_status(args: &mut Args<'_, '_>) -> Option<u16> {
    let word = args.need("a status")?;
    match word.as_str().parse() {
        Ok(status) if reply::is_known(status) => Some(status),
        _ => {
            let known: Vec<String> = reply::known().map(|status| status.to_string()).collect();
            let message = format!("'{}' : unsupported status '{}'", args.name(), word.as_str());
            args.alert(word.span, message, &format!("known are: {}", known.join(", ")));
            None
        }
    }
}

fn put(set: &mut ErrorSet, status: u16, answer: Arc<[u8]>) {
    match set.iter_mut().find(|(known, _)| *known == status) {
        Some((_, old)) => *old = answer,
        None => set.push((status, answer)),
    }
}

/// The status of an answer that [`answer`] made.
pub(super) fn status_of(answer: &[u8]) -> Option<u16> {
    core::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

fn redirect(status: &str, location: &[u8]) -> Arc<[u8]> {
    let mut answer =
        format!("HTTP/1.1 {status}\r\ncache-control: no-cache\r\ncontent-length: 0\r\nlocation: ")
            .into_bytes();
    answer.extend(location.iter().filter(|b| !b.is_ascii_control()));
    answer.extend_from_slice(b"\r\n\r\n");
    answer.into()
}

/// The answer in a file, its head written anew: names in lower case, no `connection`, lines ended
/// by CR LF. A stated length must be the page's.
pub(super) fn answer(file: &[u8]) -> Result<Arc<[u8]>, String> {
    const FIELDS_MAX: usize = 64;
    if file.is_empty() {
        return Ok(Arc::from([]));
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(file) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err("the header does not end".into()),
        Err(error) => return Err(format!("unable to parse headers: {error}")),
    };
    let page = &file[length..];
    let version = head.version.unwrap_or(1);
    let status = head.code.unwrap_or_default();
    if status < 200 {
        return Err(format!("status {status} is no final answer"));
    }
    let mut out =
        format!("HTTP/1.{version} {status} {}\r\n", head.reason.unwrap_or_default()).into_bytes();
    for field in head.headers.iter() {
        let name = field.name.to_ascii_lowercase();
        let value = field.value.trim_ascii();
        match name.as_str() {
            "connection" | "keep-alive" | "proxy-connection" => continue,
            "transfer-encoding" => return Err("a page cannot have a transfer coding".into()),
            "content-length" => {
                let stated = std::str::from_utf8(value).ok().and_then(|v| v.parse::<usize>().ok());
                if stated != Some(page.len()) {
                    return Err(format!(
                        "payload size does not match the announced content-length ({} != {})",
                        page.len(),
                        String::from_utf8_lossy(value)
                    ));
                }
            }
            _ => {}
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(page);
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let parsed = |file: &str| {
            answer(file.as_bytes()).map(|answer| String::from_utf8_lossy(&answer).into_owned())
        };
        for (file, expected) in [
            ("", ""),
            (
                "HTTP/1.0 503 Service Unavailable\r\nCache-Control:  no-cache\r\n\
                 Connection: close\r\nContent-Type: text/html\r\n\r\n<html>\n",
                "HTTP/1.0 503 Service Unavailable\r\ncache-control: no-cache\r\n\
                 content-type: text/html\r\n\r\n<html>\n",
            ),
            (
                "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
            ),
        ] {
            assert_eq!(parsed(file), Ok(expected.to_string()));
        }
        for (file, error) in [
            ("garbage", "unable to parse headers: invalid HTTP version"),
            ("HTTP/1.0 503 x\r\nFoo: bar", "the header does not end"),
            ("HTTP/1.0 100 x\r\n\r\n", "status 100 is no final answer"),
            (
                "HTTP/1.0 503 x\r\nContent-Length: 3\r\n\r\nabcd",
                "payload size does not match the announced content-length (4 != 3)",
            ),
            (
                "HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "a page cannot have a transfer coding",
            ),
        ] {
            assert_eq!(parsed(file), Err(error.to_string()));
        }
    }

    #[test]
    fn redirects_hold_one_location() {
        assert_eq!(
            &*redirect("302 Found", b"/x\r\nset-cookie: y"),
            b"HTTP/1.1 302 Found\r\ncache-control: no-cache\r\ncontent-length: 0\r\n\
              location: /xset-cookie: y\r\n\r\n"
        );
    }

    #[test]
    fn paths() {
        let origin = DefaultPath::Origin("/o".into());
        for (base, path, config, expected) in [
            (&DefaultPath::Current, "e", "/a/b.cfg", "e"),
            (&DefaultPath::Config, "e", "/a/b.cfg", "/a/e"),
            (&DefaultPath::Config, "e", "b.cfg", "./e"),
            (&DefaultPath::Parent, "e", "/a/b.cfg", "/a/../e"),
            (&DefaultPath::Parent, "e", "b.cfg", "../e"),
            (&origin, "e", "b.cfg", "/o/e"),
            (&origin, "/e", "b.cfg", "/e"),
        ] {
            assert_eq!(base.resolve(path, config), expected);
        }
    }
}
