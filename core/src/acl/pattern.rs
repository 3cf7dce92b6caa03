//! Patterns of one kind, in an index that finds the first that matches a value. Of several that
//! match, the first in order wins, except where HAProxy keeps a tree: of beginnings the longest,
//! of networks the narrowest. Patterns can be added and taken away while the proxy runs.

use core::hash::Hasher;
use core::net::IpAddr;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use super::index::Index;
use super::network::Resolve;
use super::regex;
use super::texts::Texts;
use crate::sample::{Arena, Kind, Value};

/// How values are matched (`-m`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Match {
    /// `found`: there is a value.
    Found,
    /// `bool`: it is true.
    Bool,
    /// `int`: a number or a range.
    Int,
    /// `ip`: an address or a network.
    Ip,
    /// `bin`: bytes in hexadecimal.
    Bin,
    /// `len`: the length of text, as for `int`.
    Len,
    /// `str`: the same text.
    Str,
    /// `beg`: text that begins so.
    Beg,
    /// `sub`: text that contains it.
    Sub,
    /// `reg`: a regular expression.
    Reg,
    /// `dir`: whole parts between slashes.
    Dir,
    /// `dom`: whole parts between dots and the like.
    Dom,
    /// `end`: text that ends so.
    End,
    /// A regular expression whose groups are asked for (`map_regm`); no `-m` has it.
    Regm,
    /// An HTTP method by its name, which is what `method` matches without `-m`.
    Method,
    /// A version like `3.1` or a range of them, which is what `req.ssl_ver` matches without `-m`.
    Version,
}

impl Match {
    /// Those that `-m` has.
    pub const ALL: [Match; 13] = [
        Match::Found,
        Match::Bool,
        Match::Int,
        Match::Ip,
        Match::Bin,
        Match::Len,
        Match::Str,
        Match::Beg,
        Match::Sub,
        Match::Reg,
        Match::Dir,
        Match::Dom,
        Match::End,
    ];

    /// The word behind `-m`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Match::Found => "found",
            Match::Bool => "bool",
            Match::Int => "int",
            Match::Ip => "ip",
            Match::Bin => "bin",
            Match::Len => "len",
            Match::Str => "str",
            Match::Beg => "beg",
            Match::Sub => "sub",
            Match::Reg => "reg",
            Match::Dir => "dir",
            Match::Dom => "dom",
            Match::End => "end",
            Match::Regm => "regm",
            Match::Method => "method",
            Match::Version => "version",
        }
    }

    /// The method that the word behind `-m` names.
    pub fn parse(word: &str) -> Option<Match> {
        Match::ALL.into_iter().find(|how| how.as_str() == word)
    }

    /// The type that values are cast to before they are matched; `Any` takes them as they are.
    pub const fn kind(self) -> Kind {
        match self {
            Match::Found => Kind::Any,
            Match::Bool | Match::Int | Match::Version => Kind::Int,
            Match::Ip => Kind::Addr,
            Match::Bin => Kind::Bin,
            Match::Method => Kind::Method,
            Match::Len
            | Match::Str
            | Match::Beg
            | Match::Sub
            | Match::Reg
            | Match::Dir
            | Match::Dom
            | Match::End
            | Match::Regm => Kind::Str,
        }
    }

    /// What separates the parts of a value.
    pub(super) const fn delimiters(self) -> &'static [u8] {
        match self {
            Match::Dom => b"/?.:",
            _ => b"/?",
        }
    }
}

/// What a map says of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Text.
    Str(Box<[u8]>),
    /// A number.
    Int(i64),
    /// An address.
    Ip(IpAddr),
}

impl Output {
    /// Reads what stands behind a key as a value of type `kind`: text, a number or an address.
    pub fn parse(text: &[u8], kind: Kind) -> Result<Output, String> {
        let wrong = || format!("unable to parse '{}'", String::from_utf8_lossy(text));
        match kind {
            Kind::Int => {
                let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return Err(wrong());
                }
                Ok(Output::Int(crate::sample::leading_int(text)))
            }
            Kind::Addr | Kind::Ipv4 | Kind::Ipv6 => {
                crate::sample::parse_ip(text).map(Output::Ip).ok_or_else(wrong)
            }
            _ => Ok(Output::Str(text.into())),
        }
    }

    /// The value.
    pub fn value(&self) -> Value<'_> {
        match self {
            Output::Str(text) => Value::Str(text),
            Output::Int(n) => Value::Int(*n),
            Output::Ip(ip) => Value::Ip(*ip),
        }
    }
}

/// Patterns that one list may have while the proxy runs, so that rules which add what peers send
/// come to an end.
const RUNNING_MAX: usize = 1 << 20;

/// Numbers that stand for nothing any more are borne up to this many, or as many as there are
/// patterns.
const DEAD_MAX: usize = 64;

/// Patterns of one kind.
#[derive(Clone, Debug)]
pub struct Patterns {
    how: Match,
    ignore_case: bool,
    /// The type of what a map says; none if it is no map.
    output: Option<Kind>,
    texts: Texts,
    index: Index,
    /// Patterns that mean the same as one before them, and are in no index.
    shadowed: usize,
    /// The first pattern of each text, once something was to be taken away or changed.
    by_text: Option<HashTable<u32>>,
    /// Patterns whose text one before them has, once that is known.
    doubles: usize,
    /// `finish` was called.
    finished: bool,
}

impl Patterns {
    /// No patterns yet.
    pub fn new(how: Match, ignore_case: bool) -> Self {
        Patterns {
            how,
            ignore_case,
            output: None,
            texts: Texts::default(),
            index: Index::new(how, ignore_case),
            shadowed: 0,
            by_text: None,
            doubles: 0,
            finished: false,
        }
    }

    /// No patterns yet of a map whose values have the type `kind`.
    pub fn map(how: Match, kind: Kind) -> Self {
        Patterns { output: Some(kind), ..Self::new(how, false) }
    }

    /// How values are matched.
    pub fn how(&self) -> Match {
        self.how
    }

    /// Whether letters are compared without their case.
    pub fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// The type of what a map says; none if it is no map.
    pub fn output_kind(&self) -> Option<Kind> {
        self.output
    }

    /// The type that values are cast to before they are matched; `Any` takes them as they are.
    pub fn kind(&self) -> Kind {
        self.how.kind()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.len() == 0
    }

    /// The patterns in order, and what a map says of each.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&Output>)> {
        self.texts.ids().map(|id| (self.texts.get(id), self.texts.output(id)))
    }

    /// Adds a pattern. The error is a sentence about the text.
    pub fn add(&mut self, text: impl AsRef<[u8]>, output: Option<Output>) -> Result<(), String> {
        self.add_resolved(text.as_ref(), output, None)
    }

    /// Adds a pattern which may be the name of a host, if it matches addresses.
    pub fn add_resolved(
        &mut self,
        text: &[u8],
        output: Option<Output>,
        resolve: Option<Resolve<'_>>,
    ) -> Result<(), String> {
        let full = self.finished && self.texts.len() >= RUNNING_MAX;
        let id = if full { None } else { self.texts.push(text, output) };
        let id = id.ok_or("there are too many patterns")?;
        match self.index.insert(id, &self.texts, resolve, self.finished) {
            Ok(true) => {}
            Ok(false) => self.shadowed += 1,
            Err(message) => {
                self.texts.pop();
                return Err(message);
            }
        }
        if let Some(table) = &mut self.by_text {
            self.doubles += usize::from(!note(table, id, &self.texts));
        }
        if self.finished && self.index.is_stale() {
            self.finish();
        }
        Ok(())
    }

    /// Builds what finds them quickly; to be called once all are added.
    pub fn finish(&mut self) {
        self.finished = true;
        self.index.finish(&self.texts);
    }

    /// Whether a pattern has this very text.
    pub fn has(&mut self, text: &[u8]) -> bool {
        self.first_of(text).is_some()
    }

    /// Takes away every pattern that has this very text; says how many.
    pub fn remove(&mut self, text: &[u8]) -> usize {
        let ids = self.all_of(text);
        for id in &ids {
            self.texts.kill(*id);
        }
        if let (Some(table), Some(first)) = (&mut self.by_text, ids.first())
            && let Ok(entry) = table.find_entry(hash(text), |other| other == first)
        {
            entry.remove();
            self.doubles -= ids.len() - 1;
        }
        for id in &ids {
            self.unindex(*id);
        }
        if self.texts.dead() > DEAD_MAX.max(self.texts.len()) {
            self.rebuild();
        }
        ids.len()
    }

    /// Lets a map say something else of every pattern that has this very text; says how many.
    pub fn set(&mut self, text: &[u8], output: &Output) -> usize {
        let ids = self.all_of(text);
        for id in &ids {
            self.texts.set_output(*id, Some(output.clone()));
        }
        ids.len()
    }

    /// Takes all patterns away.
    pub fn clear(&mut self) {
        let (finished, output) = (self.finished, self.output);
        *self = Patterns { finished, output, ..Self::new(self.how, self.ignore_case) };
    }

    /// Whether some pattern matches.
    pub fn matches<'a>(&self, value: Value<'a>, arena: &'a Arena) -> bool {
        self.look(value, arena, true).is_some()
    }

    /// The first pattern that matches: what a map says of it, if it is one's.
    pub fn find<'a>(&self, value: Value<'a>, arena: &'a Arena) -> Option<Option<&Output>> {
        let id = self.look(value, arena, false)?;
        Some(id.and_then(|id| self.texts.output(id)))
    }

    /// The first pattern that matches, and what a map says of it; the text is empty where patterns
    /// say nothing.
    pub fn find_entry<'a>(
        &self,
        value: Value<'a>,
        arena: &'a Arena,
    ) -> Option<(&[u8], Option<&Output>)> {
        let id = self.look(value, arena, false)?;
        Some(id.map_or((&b""[..], None), |id| (self.texts.get(id), self.texts.output(id))))
    }

    /// What the map says of the first expression that matches, with the groups of the match in
    /// place of `\0` to `\9`.
    pub fn substitute<'a>(&self, value: Value<'a>, arena: &'a Arena) -> Option<&'a [u8]> {
        let id = self.look(value, arena, false)??;
        let Some(Output::Str(template)) = self.texts.output(id) else { return None };
        let text = value.text(arena);
        let groups = self.index.groups(id, text)?;
        Some(regex::expand(template, text, &groups, arena))
    }

    /// The number of the first pattern that matches, or of any if `any` will do; a number is
    /// missing where patterns say nothing.
    fn look<'a>(&self, value: Value<'a>, arena: &'a Arena, any: bool) -> Option<Option<u32>> {
        let value = value.cast(self.kind(), arena)?;
        match self.how {
            Match::Found => Some(None),
            Match::Bool => value.to_bool()?.then_some(None),
            _ => self.index.find(value, &self.texts, any).map(Some),
        }
    }

    /// Builds everything anew, without what is gone.
    fn rebuild(&mut self) {
        self.texts.compact();
        self.by_text = None;
        self.shadowed = 0;
        self.doubles = 0;
        self.index = self.index.emptied();
        let ids: Vec<u32> = self.texts.ids().collect();
        for id in ids {
            // They were accepted before; names were resolved then and are numbers now.
            let indexed = self.index.insert(id, &self.texts, None, false);
            self.shadowed += usize::from(indexed == Ok(false));
        }
        if self.finished {
            self.finish();
        }
    }

    /// Takes a pattern out of the index that is gone from the texts; one that meant the same takes
    /// its place.
    fn unindex(&mut self, id: u32) {
        if !self.index.remove(id, &self.texts) {
            self.shadowed -= 1;
            return;
        }
        if self.shadowed == 0 {
            return;
        }
        // Every other meaning has its pattern in the index: what can be added is the heir.
        let mut ids = self.texts.ids();
        if ids.any(|id| self.index.insert(id, &self.texts, None, true) == Ok(true)) {
            self.shadowed -= 1;
        }
    }

    /// The first pattern that has this very text.
    fn first_of(&mut self, text: &[u8]) -> Option<u32> {
        let texts = &self.texts;
        let table = self.by_text.get_or_insert_with(|| {
            let mut table = HashTable::with_capacity(texts.len());
            self.doubles = texts.ids().filter(|id| !note(&mut table, *id, texts)).count();
            table
        });
        table.find(hash(text), |id| texts.get(*id) == text).copied()
    }

    /// All patterns that have this very text.
    fn all_of(&mut self, text: &[u8]) -> Vec<u32> {
        let Some(first) = self.first_of(text) else { return Vec::new() };
        if self.doubles == 0 {
            return vec![first];
        }
        let ids = self.texts.ids().skip_while(|id| *id < first);
        ids.filter(|id| self.texts.get(*id) == text).collect()
    }
}

fn hash(text: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x7465_7874, 0x6265_666f_7265);
    hasher.write(text);
    hasher.finish()
}

/// Notes the text of a pattern; false if one before it has the same.
fn note(table: &mut HashTable<u32>, id: u32, texts: &Texts) -> bool {
    let text = texts.get(id);
    let hash_of = hash(text);
    if table.find(hash_of, |other| texts.get(*other) == text).is_some() {
        return false;
    }
    table.insert_unique(hash_of, id, |id| hash(texts.get(*id)));
    true
}
