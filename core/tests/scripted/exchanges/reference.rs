//! Reads the reference file: scenarios with their configurations, scripts, and what HAProxy gave.

/// One scenario.
pub struct Scenario {
    pub name: String,
    pub why: String,
    /// The whole configuration; its `{…}` places are still to be filled.
    pub config: String,
    /// Name and contents of the files in `{dir}`.
    pub files: Vec<(String, Vec<u8>)>,
    pub steps: Vec<(String, Step)>,
    /// The lines of the transcript: what each socket received, and the log.
    pub expected: Vec<String>,
}

/// One step of a script; `String`s are names of sockets and servers.
pub enum Step {
    Open { to: String, narrow: bool },
    Accept(Option<String>),
    Send(Vec<u8>),
    Head,
    Body(usize),
    Chunks,
    Rest,
    ShutWrite,
    Close,
    Reset,
    Pause(u64),
    Quiet(u64),
    Unclaimed(u64),
    Logged(usize),
    Serve(Vec<String>),
    Get { path: String, from: String },
}

impl Scenario {
    pub fn all(file: &str) -> Vec<Scenario> {
        let mut templates = Vec::new();
        let mut scenarios = Vec::new();
        for section in file.split("\n## ").skip(1) {
            let (name, text) = section.split_once("\n\n").expect("a title, then a body");
            let blocks: Vec<&str> = blocks(text);
            if name.ends_with(".cfg") {
                templates.push((name, blocks[0]));
            } else if let [config, script, expected] = blocks[..] {
                let why = text.lines().next().unwrap_or_default();
                scenarios.push(Scenario::read(name, why, &templates, config, script, expected));
            }
        }
        assert!(scenarios.len() > 300, "only {} scenarios", scenarios.len());
        scenarios
    }

    fn read(
        name: &str,
        why: &str,
        templates: &[(&str, &str)],
        config: &str,
        script: &str,
        expected: &str,
    ) -> Scenario {
        let mut lines = config.lines();
        let template = lines.next().and_then(|l| l.strip_prefix("# ")).unwrap_or_default();
        let (_, template) = templates.iter().find(|(name, _)| *name == template).expect("known");
        let mut added: Vec<(&str, String)> = Vec::new();
        let mut files = Vec::new();
        for line in lines {
            if let Some(file) = line.strip_prefix("# {dir}/") {
                let (name, bytes) = file.split_once(": ").expect("a name and bytes");
                files.push((name.to_string(), unquoted(bytes)));
            } else if line.starts_with('@') {
                added.push((line, String::new()));
            } else if let Some((_, text)) = added.last_mut() {
                text.push_str(line);
                text.push('\n');
            }
        }
        let mut text = String::new();
        for line in template.lines() {
            match added.iter().find(|(place, _)| *place == line.trim_start()) {
                Some((_, lines)) => text.push_str(lines),
                None if line.trim_start().starts_with('@') => {}
                None => text.push_str(line),
            }
            text.push('\n');
        }
        Scenario {
            name: name.to_string(),
            why: why.to_string(),
            config: text,
            files,
            steps: script.lines().map(step).collect(),
            expected: expected.lines().map(String::from).collect(),
        }
    }
}

/// The fenced blocks of a section.
fn blocks(text: &str) -> Vec<&str> {
    text.split("\n```\n")
        .filter_map(|part| part.split_once("```")?.1.split_once('\n'))
        .map(|b| b.1)
        .collect()
}

/// A line of a script: whose step it is (empty if nobody's), and what.
fn step(line: &str) -> (String, Step) {
    if let Some(servers) = line.strip_suffix(" answer by themselves") {
        return (String::new(), Step::Serve(servers.split(' ').map(String::from).collect()));
    }
    if let Some(lines) = line.strip_prefix("wait for ") {
        return (String::new(), Step::Logged(number(lines)));
    }
    if let Some(ms) = line.strip_prefix("pause ") {
        return (String::new(), Step::Pause(number(ms) as u64));
    }
    let (name, what) = line.split_once(": ").unwrap_or_else(|| panic!("a step: {line}"));
    let after = |prefix: &str| what.strip_prefix(prefix);
    let step = if let Some(to) = after("connect to ") {
        let narrow = to.strip_suffix(", small receive buffer");
        Step::Open { to: narrow.unwrap_or(to).to_string(), narrow: narrow.is_some() }
    } else if let Some(server) = after("accepted by ") {
        Step::Accept((server != "any server").then(|| server.to_string()))
    } else if let Some(bytes) = after("send \"").map(|b| &what[what.len() - b.len() - 1..]) {
        Step::Send(unquoted(bytes))
    } else if let Some(len) = after("send ") {
        Step::Send(pattern(number(len)))
    } else if let Some(ms) = after("nothing comes for ") {
        Step::Quiet(number(ms) as u64)
    } else if let Some(ms) = after("no connection comes for ") {
        Step::Unclaimed(number(ms) as u64)
    } else if let Some(get) = after("GET ") {
        let (path, from) = get.split_once(" from ").expect("path and address");
        Step::Get { path: path.to_string(), from: from.to_string() }
    } else {
        match what {
            "read a head" => Step::Head,
            "read chunks" => Step::Chunks,
            "read to the end" => Step::Rest,
            "shut write" => Step::ShutWrite,
            "close" => Step::Close,
            "reset" => Step::Reset,
            _ => Step::Body(number(after("read ").unwrap_or_else(|| panic!("a step: {line}")))),
        }
    };
    (name.to_string(), step)
}

fn number(text: &str) -> usize {
    let word = text.split(' ').next().unwrap_or_default();
    word.parse().unwrap_or_else(|_| panic!("a number: {text}"))
}

/// The bytes of a literal. Of a long one the file has the beginning, the length and a digest: it is
/// made again, and must have that digest.
fn unquoted(literal: &str) -> Vec<u8> {
    let (text, cut) = match literal.split_once("\" … ") {
        Some((text, cut)) => (&text[1..], Some(cut)),
        None => (&literal[1..literal.len() - 1], None),
    };
    let start = unescaped(text);
    let Some(cut) = cut else { return start };
    let len = number(cut);
    let digest = cut.rsplit(' ').next().and_then(|d| u64::from_str_radix(d, 16).ok());
    let tail = |tail: &[u8], fill: &[u8]| {
        let mut bytes = start.clone();
        while bytes.len() + tail.len() < len {
            bytes.push(fill[(bytes.len() - start.len()) % fill.len()]);
        }
        bytes.extend_from_slice(tail);
        bytes
    };
    let fields = [b"GET / HTTP/1.1\r\n", &b"X-A: b\r\n".repeat(102)[..], b"\r\n"].concat();
    let made =
        [pattern(len), tail(b"", b"x"), tail(b" HTTP/1.1\r\nHost: www\r\n\r\n", b"x"), fields];
    let found = made.into_iter().find(|bytes| Some(fnv(bytes)) == digest);
    found.unwrap_or_else(|| panic!("cannot make {literal}"))
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        (bytes, rest) = match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digit = |b: &u8| (*b as char).to_digit(16).expect("hex") as u8;
                bytes.push(digit(high) << 4 | digit(low));
                (bytes, after)
            }
            (b'\\', [letter, after @ ..]) => {
                bytes.push(match letter {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    other => *other,
                });
                (bytes, after)
            }
            _ => {
                bytes.push(*first);
                (bytes, after)
            }
        };
    }
    bytes
}

/// FNV-1a, 64 bits.
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The bytes that a script's long sends consist of.
fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
