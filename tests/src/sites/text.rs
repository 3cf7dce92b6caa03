//! A site's `exchanges` file.
//!
//! ```text
//! why: One sentence.                      the first lines are about the whole site
//! tcp: mail db                            these servers take bytes, not requests
//! banner mail: 220 ready\r\n              and this one speaks first
//! mask: t date                            `t=…` in log lines and `t: …` in heads; see `mask`
//! allow: s1> x-a because Of a reason.     lines that may differ begin so; the reason is shown
//!
//! [name]                                  one connection of a client
//! from: 127.0.0.9                         its address
//! to: admin                               the {bind.…} it connects to, without it `fe`
//! logs: 0                                 log lines that come of it, without it one a request
//! > POST /a                               a line of the request: version, Host, length and the
//! > X-Y: z                                empty line are added where they are missing
//! >| body\r\n                             bytes as they are
//! pause: 100                              before what follows is sent
//! < 404 Not Found                         what the server that gets it answers, without it 200
//! < X-Z: y                                and its name
//! <| body
//! <                                       the end of an interim answer; another one follows
//! answer: close                           instead: the server closes or stays silent; `last`:
//!                                         it closes after its answer
//! and                                     the next request follows at once
//! then                                    the next request follows the response
//! tcp                                     no HTTP: all is sent, ended, and read to the end
//! hello: www.example.com h2,http/1.1      a TLS ClientHello for that name, with these protocols
//! nothing: 300                            for so many milliseconds nothing comes back
//! keys: 200                               the request again and again, `{n}` being 000, 001, …:
//!                                         only who answered is recorded
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::hello;
use super::mask::Mask;
use crate::policy::text;

/// A site of the corpus.
#[derive(Debug, Default)]
pub struct Site {
    /// The name of its directory.
    pub name: String,
    pub dir: PathBuf,
    pub why: String,
    pub config: String,
    /// What stands beside the configuration.
    pub files: Vec<(String, Vec<u8>)>,
    /// Servers that take bytes, and what they say first.
    pub tcp: BTreeMap<String, Vec<u8>>,
    pub masks: Vec<Mask>,
    pub allowed: Vec<Allowed>,
    pub exchanges: Vec<Exchange>,
}

/// Lines of a record that may differ.
#[derive(Debug, Clone)]
pub struct Allowed {
    pub begins: String,
    pub reason: String,
}

/// One connection of a client.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    pub name: String,
    pub from: Option<String>,
    pub to: Option<String>,
    logs: Option<usize>,
    pub tcp: bool,
    pub keys: Option<usize>,
    pub turns: Vec<Turn>,
}

/// What is sent before the client reads.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    pub sends: Vec<Send>,
    /// The methods of the requests in it.
    pub methods: Vec<String>,
    pub answers: Vec<Answer>,
    /// Nothing comes back for so many milliseconds.
    pub nothing: Option<u64>,
}

#[derive(Debug, Clone)]
pub enum Send {
    Bytes(Vec<u8>),
    Pause(u64),
}

/// What a server does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Bytes(Vec<u8>),
    /// It answers, and closes.
    Last(Vec<u8>),
    Close,
    Silent,
}

impl Exchange {
    /// How many log lines it leaves.
    pub fn logs(&self) -> usize {
        let requests: usize = self.turns.iter().map(|turn| turn.methods.len()).sum();
        let each = if self.tcp { 1 } else { requests };
        self.logs.unwrap_or(each * self.keys.unwrap_or(1))
    }
}

/// Every site in `dir`, by name.
pub fn all(dir: &Path) -> Result<Vec<Site>, String> {
    let listing = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut dirs: Vec<PathBuf> =
        listing.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    dirs.sort();
    dirs.iter().map(|dir| load(dir)).collect()
}

fn load(dir: &Path) -> Result<Site, String> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = |file: &str| {
        fs::read_to_string(dir.join(file)).map_err(|error| format!("{name}/{file}: {error}"))
    };
    let mut site =
        read_exchanges(&read("exchanges")?).map_err(|why| format!("{name}/exchanges, {why}"))?;
    site.config = read("haproxy.cfg")?;
    let listing = fs::read_dir(dir).map_err(|error| format!("{name}: {error}"))?;
    for entry in listing.filter_map(Result::ok) {
        let file = entry.file_name().to_string_lossy().into_owned();
        if !["haproxy.cfg", "exchanges", "haproxy.txt"].contains(&&*file) {
            let bytes =
                fs::read(entry.path()).map_err(|error| format!("{name}/{file}: {error}"))?;
            site.files.push((file, bytes));
        }
    }
    (site.name, site.dir) = (name, dir.to_owned());
    Ok(site)
}

/// Reads an `exchanges` file.
pub fn read_exchanges(text: &str) -> Result<Site, String> {
    let mut site = Site::default();
    let mut open: Option<Reader> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end_matches('\r');
        let taken = if let Some(name) = line.strip_prefix('[') {
            site.exchanges.extend(open.take().map(Reader::finish));
            let name =
                name.strip_suffix(']').ok_or("a name without its bracket").map(str::to_owned);
            name.map(|name| open = Some(Reader::new(name))).map_err(str::to_owned)
        } else if line.is_empty() || line.starts_with('#') {
            Ok(())
        } else if let Some(reader) = &mut open {
            reader.take(line)
        } else {
            preamble(&mut site, line)
        };
        taken.map_err(|why| format!("line {}: {why}: {line}", number + 1))?;
    }
    site.exchanges.extend(open.map(Reader::finish));
    if site.exchanges.is_empty() || site.why.is_empty() {
        return Err("it has no exchange, or no 'why:'".to_owned());
    }
    for (at, one) in site.exchanges.iter().enumerate() {
        if site.exchanges[..at].iter().any(|other| other.name == one.name) {
            return Err(format!("two exchanges are called {}", one.name));
        }
    }
    Ok(site)
}

fn preamble(site: &mut Site, line: &str) -> Result<(), String> {
    let (key, value) = line.split_once(": ").ok_or("no 'key: value'")?;
    match key.split_once(' ').unwrap_or((key, "")) {
        ("why", "") => value.clone_into(&mut site.why),
        ("tcp", "") => {
            site.tcp.extend(value.split(' ').map(|name| (name.to_owned(), Vec::new())));
        }
        ("banner", server) => {
            site.tcp.insert(server.to_owned(), text::bytes(value)?);
        }
        ("mask", "") => site.masks.push(Mask::read(value)?),
        ("allow", "") => {
            let (begins, reason) = value.split_once(" because ").ok_or("no ' because '")?;
            let (begins, reason) = (begins.to_owned(), reason.to_owned());
            site.allowed.push(Allowed { begins, reason });
        }
        _ => return Err(format!("'{key}' is no key here")),
    }
    Ok(())
}

/// Collects the lines of one exchange.
#[derive(Debug, Default)]
struct Reader {
    exchange: Exchange,
    turn: Turn,
    /// Lines of the head that is being written, and whether its empty line was.
    head: Vec<String>,
    ended: bool,
    /// What follows the head, with pauses in it.
    body: Vec<Send>,
    answer: AnswerReader,
}

#[derive(Debug, Default)]
struct AnswerReader {
    head: Vec<String>,
    body: Vec<u8>,
    last: bool,
}

impl Reader {
    fn new(name: String) -> Self {
        Self { exchange: Exchange { name, ..Exchange::default() }, ..Self::default() }
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        if let Some(raw) = line.strip_prefix(">| ") {
            let raw = raw.replace("{n}", "\\x7bn\\x7d");
            self.body.push(Send::Bytes(text::bytes(&raw)?));
            return Ok(());
        }
        if let Some(raw) = line.strip_prefix("<| ") {
            self.answer.body.extend(text::bytes(raw)?);
            return Ok(());
        }
        if line == ">" {
            self.ended = true;
            return Ok(());
        }
        if line == "<" {
            self.answer.head.push(String::new());
            return Ok(());
        }
        if let Some(field) = line.strip_prefix("> ") {
            self.head.push(field.to_owned());
            return Ok(());
        }
        if let Some(field) = line.strip_prefix("< ") {
            self.answer_line(field);
            return Ok(());
        }
        match line {
            "and" => self.end_request(),
            "then" => self.end_turn(),
            "tcp" => self.exchange.tcp = true,
            _ => return self.directive(line),
        }
        Ok(())
    }

    fn directive(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(": ").ok_or("no 'key: value'")?;
        let number = || value.parse::<u64>().map_err(|_| format!("'{value}' is no number"));
        match key {
            "from" => self.exchange.from = Some(value.to_owned()),
            "to" => self.exchange.to = Some(value.to_owned()),
            "logs" => self.exchange.logs = Some(number()? as usize),
            "keys" => self.exchange.keys = Some(number()? as usize),
            "pause" if self.head.is_empty() && self.body.is_empty() => {
                self.turn.sends.push(Send::Pause(number()?));
            }
            "pause" => self.body.push(Send::Pause(number()?)),
            "nothing" => self.turn.nothing = Some(number()?),
            "hello" => {
                let (name, protocols) = value.split_once(' ').unwrap_or((value, ""));
                self.body.push(Send::Bytes(hello::client_hello(name, protocols)));
            }
            "answer" => {
                let answer = match value {
                    "close" => Answer::Close,
                    "silent" => Answer::Silent,
                    "last" => {
                        self.answer.last = true;
                        return Ok(());
                    }
                    _ => return Err(format!("'{value}' is no answer")),
                };
                self.turn.answers.push(answer);
            }
            _ => return Err(format!("'{key}' is no key here")),
        }
        Ok(())
    }

    fn answer_line(&mut self, field: &str) {
        let status = field.split(' ').next().unwrap_or_default();
        let starts = status.starts_with("HTTP/")
            || status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        // An interim answer and the one that follows it are one answer.
        let interim = self.answer.head.last().is_some_and(String::is_empty);
        if starts && !interim {
            self.end_answer();
        }
        if starts && !status.starts_with("HTTP/") {
            self.answer.head.push(format!("HTTP/1.1 {field}"));
        } else {
            self.answer.head.push(field.to_owned());
        }
    }

    fn end_answer(&mut self) {
        let answer = std::mem::take(&mut self.answer);
        if answer.head.is_empty() {
            if !answer.body.is_empty() {
                self.turn.answers.push(Answer::Bytes(answer.body));
            }
            return;
        }
        let mut bytes = Vec::new();
        for line in &answer.head {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        let bodiless = answer.head[0].contains(" 304") || answer.head[0].contains(" 101");
        if !has(&answer.head, "content-length")
            && !has(&answer.head, "transfer-encoding")
            && !bodiless
            && !answer.last
        {
            bytes
                .extend_from_slice(format!("Content-Length: {}\r\n", answer.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&answer.body);
        let answer = if answer.last { Answer::Last(bytes) } else { Answer::Bytes(bytes) };
        self.turn.answers.push(answer);
    }

    fn end_request(&mut self) {
        let (head, body) = (std::mem::take(&mut self.head), std::mem::take(&mut self.body));
        let ended = std::mem::take(&mut self.ended);
        let mut bytes = Vec::new();
        if let Some(line) = head.first() {
            let version = if line.contains(" HTTP/") { "" } else { " HTTP/1.1" };
            bytes.extend_from_slice(format!("{line}{version}\r\n").as_bytes());
            if !has(&head, "host") && version == " HTTP/1.1" {
                bytes.extend_from_slice(b"Host: www.example.com\r\n");
            }
            for line in &head[1..] {
                bytes.extend_from_slice(format!("{line}\r\n").as_bytes());
            }
            let len: usize = body.iter().map(Send::len).sum();
            if !ended
                && len > 0
                && !has(&head, "content-length")
                && !has(&head, "transfer-encoding")
            {
                bytes.extend_from_slice(format!("Content-Length: {len}\r\n").as_bytes());
            }
            bytes.extend_from_slice(b"\r\n");
            let method = line.split(' ').next().unwrap_or_default();
            self.turn.methods.push(method.to_owned());
            self.send(Send::Bytes(bytes));
        } else if let Some(Send::Bytes(first)) = body.iter().find(|send| send.len() > 0) {
            let method = first.split(|&byte| byte == b' ').next().unwrap_or_default();
            self.turn.methods.push(String::from_utf8_lossy(method).into_owned());
        }
        for send in body {
            self.send(send);
        }
    }

    /// What no pause parts is written in one go.
    fn send(&mut self, send: Send) {
        match (self.turn.sends.last_mut(), send) {
            (Some(Send::Bytes(before)), Send::Bytes(bytes)) => before.extend(bytes),
            (_, send) => self.turn.sends.push(send),
        }
    }

    fn end_turn(&mut self) {
        self.end_request();
        self.end_answer();
        let turn = std::mem::take(&mut self.turn);
        if !turn.sends.is_empty() || turn.nothing.is_some() || self.exchange.tcp {
            self.exchange.turns.push(turn);
        }
    }

    fn finish(mut self) -> Exchange {
        self.end_turn();
        self.exchange
    }
}

impl Send {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Pause(_) => 0,
        }
    }
}

fn has(head: &[String], name: &str) -> bool {
    head.iter()
        .skip(1)
        .any(|line| line.split_once(':').is_some_and(|(field, _)| field.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(turn: &Turn) -> String {
        let bytes = turn.sends.iter().filter_map(|send| match send {
            Send::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Send::Pause(_) => None,
        });
        bytes.collect()
    }

    #[test]
    fn what_is_missing_of_a_message_is_added() {
        let text = "why: x\n[a]\n> POST /a\n> X: y\n>| hello\n< 404 Not Found\n<| no\n\
            then\n> GET / HTTP/1.0\nand\n>| GARBAGE x\\r\\n\n";
        let site = read_exchanges(text).expect("it is well formed");
        let turns = &site.exchanges[0].turns;
        assert_eq!(
            sent(&turns[0]),
            "POST /a HTTP/1.1\r\nHost: www.example.com\r\nX: y\r\nContent-Length: 5\r\n\r\nhello"
        );
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno".to_vec();
        assert_eq!(turns[0].answers, [Answer::Bytes(answer)]);
        assert_eq!(sent(&turns[1]), "GET / HTTP/1.0\r\n\r\nGARBAGE x\r\n");
        assert_eq!(turns[1].methods, ["GET", "GARBAGE"]);
        assert_eq!(site.exchanges[0].logs(), 3);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in ["", "why: x\n", "why: x\n[a\n", "why: x\n[a]\nx\n", "x: y\n[a]\n"] {
            assert!(read_exchanges(text).is_err(), "{text}");
        }
    }
}
