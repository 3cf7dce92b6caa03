//! Texts by their hash. Beginnings, ends and parts of a value are looked up too: one hash is
//! carried along the value, and asked about at each length that some pattern has. That costs as
//! much as the value is long, and nothing for patterns of lengths that it does not have.

use core::hash::Hasher;
use std::collections::BTreeMap;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use super::super::texts::Texts;

/// What is compared of a pattern's text and of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::acl) struct Form {
    /// Without the case of letters.
    pub(in crate::acl) fold: bool,
    /// The text is hexadecimal digits of what it means.
    pub(in crate::acl) hex: bool,
    /// From the end.
    pub(in crate::acl) back: bool,
    /// Without delimiters around it: what separates the parts.
    pub(in crate::acl) words: Option<&'static [u8]>,
}

impl Form {
    /// The very bytes.
    pub(in crate::acl) const PLAIN: Form =
        Form { fold: false, hex: false, back: false, words: None };
}

/// Whether a byte separates parts.
fn is_delimiter(byte: u8, delimiters: &[u8]) -> bool {
    delimiters.contains(&byte)
}

/// A text without delimiters around it.
fn stripped<'t>(mut text: &'t [u8], delimiters: &[u8]) -> &'t [u8] {
    while let [first, rest @ ..] = text
        && is_delimiter(*first, delimiters)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_delimiter(*last, delimiters)
    {
        text = rest;
    }
    text
}

/// A hash that is carried along bytes.
#[derive(Clone)]
struct Trail(SipHasher13);

impl Trail {
    fn new() -> Trail {
        // Patterns are the operator's, and a table of them is never walked through: a fixed key
        // keeps hashes the same everywhere.
        Trail(SipHasher13::new_with_keys(0x7469_6465_6761_7465, 0x7061_7474_6572_6e73))
    }

    fn feed(&mut self, bytes: &[u8], form: Form) {
        if !form.fold && !form.back {
            self.0.write(bytes);
            return;
        }
        let mut room = [0; 64];
        let mut part = |chunk: &[u8]| {
            let room = &mut room[..chunk.len()];
            room.copy_from_slice(chunk);
            if form.fold {
                room.make_ascii_lowercase();
            }
            if form.back {
                room.reverse();
            }
            self.0.write(room);
        };
        if form.back {
            bytes.rchunks(64).for_each(&mut part);
        } else {
            bytes.chunks(64).for_each(&mut part);
        }
    }

    fn end(self) -> u64 {
        self.0.finish()
    }
}

/// Numbers of patterns by the hash of their text.
#[derive(Clone, Debug)]
pub(in crate::acl) struct Hashed {
    form: Form,
    table: HashTable<u32>,
    /// How many patterns have a length.
    lengths: BTreeMap<usize, u32>,
    /// How many patterns have that many delimiters in them.
    joints: BTreeMap<usize, u32>,
}

impl Hashed {
    pub(in crate::acl) fn new(form: Form) -> Self {
        Hashed { form, table: HashTable::new(), lengths: BTreeMap::new(), joints: BTreeMap::new() }
    }

    /// Adds a pattern; false if one that means the same is there already.
    pub(in crate::acl) fn insert(&mut self, id: u32, texts: &Texts) -> bool {
        let form = self.form;
        let text = texts.get(id);
        let hash = hash_text(form, text);
        let same = |other: &u32| same_text(form, texts.get(*other), text);
        if self.table.find(hash, same).is_some() {
            return false;
        }
        self.table.insert_unique(hash, id, |id| hash_text(form, texts.get(*id)));
        *self.lengths.entry(meant_len(form, text)).or_default() += 1;
        if let Some(delimiters) = form.words {
            *self.joints.entry(joints(text, delimiters)).or_default() += 1;
        }
        true
    }

    /// Takes a pattern away; false if another that means the same stood for it.
    pub(in crate::acl) fn remove(&mut self, id: u32, texts: &Texts) -> bool {
        let form = self.form;
        let text = texts.get(id);
        let Ok(entry) = self.table.find_entry(hash_text(form, text), |other| *other == id) else {
            return false;
        };
        entry.remove();
        drop_one(&mut self.lengths, meant_len(form, text));
        if let Some(delimiters) = form.words {
            drop_one(&mut self.joints, joints(text, delimiters));
        }
        true
    }

    /// The pattern that is the value.
    pub(in crate::acl) fn whole(&self, value: &[u8], texts: &Texts) -> Option<u32> {
        self.lengths.get(&value.len())?;
        let mut trail = Trail::new();
        trail.feed(value, self.form);
        self.at(trail, value, texts)
    }

    /// Hands over the patterns that the value begins with (or ends with, if the form goes from the
    /// end), shortest first.
    pub(in crate::acl) fn ends(&self, value: &[u8], texts: &Texts, take: &mut dyn FnMut(u32)) {
        let mut trail = Trail::new();
        let mut seen = 0;
        for len in self.lengths.keys().copied().take_while(|len| *len <= value.len()) {
            let (part, fresh) = if self.form.back {
                let from = value.len() - len;
                (&value[from..], &value[from..value.len() - seen])
            } else {
                (&value[..len], &value[seen..len])
            };
            trail.feed(fresh, self.form);
            seen = len;
            if let Some(id) = self.at(trail.clone(), part, texts) {
                take(id);
            }
        }
    }

    /// Hands over the patterns that are whole parts of the value.
    pub(in crate::acl) fn words(&self, value: &[u8], texts: &Texts, take: &mut dyn FnMut(u32)) {
        let delimiters = self.form.words.expect("only such a form is asked for words");
        let (Some(longest), Some(most)) = (self.lengths.keys().last(), self.joints.keys().last())
        else {
            return;
        };
        let delimits = |at: usize| value.get(at).is_none_or(|byte| is_delimiter(*byte, delimiters));
        if self.lengths.contains_key(&0) && (value.is_empty() || delimits(value.len() - 1)) {
            // What is nothing but delimiters matches where the value ends with one.
            if let Some(id) = self.at(Trail::new(), &[], texts) {
                take(id);
            }
        }
        let mut start = 0;
        while start < value.len() {
            if delimits(start) {
                start += 1;
                continue;
            }
            let (mut trail, mut seen, mut joints) = (Trail::new(), start, 0);
            let last = value.len().min(start.saturating_add(*longest));
            let mut next = None;
            for end in start + 1..=last {
                if !delimits(end) {
                    continue;
                }
                next = next.or(Some(end));
                if self.lengths.contains_key(&(end - start)) && !delimits(end - 1) {
                    trail.feed(&value[seen..end], self.form);
                    seen = end;
                    if let Some(id) = self.at(trail.clone(), &value[start..end], texts) {
                        take(id);
                    }
                }
                joints += 1;
                if joints > *most {
                    break;
                }
            }
            start = next.unwrap_or_else(|| {
                (last..value.len()).find(|at| delimits(*at)).unwrap_or(value.len())
            });
        }
    }

    /// The pattern that is `part`, of which `trail` has the hash.
    fn at(&self, trail: Trail, part: &[u8], texts: &Texts) -> Option<u32> {
        let form = self.form;
        self.table.find(trail.end(), |id| same_value(form, texts.get(*id), part)).copied()
    }
}

/// Whether some whole parts of the value are the pattern's.
pub(super) fn has_words(
    value: &[u8],
    text: &[u8],
    delimiters: &[u8],
    same: &dyn Fn(&[u8], &[u8]) -> bool,
) -> bool {
    let text = stripped(text, delimiters);
    let delimits = |at: usize| value.get(at).is_none_or(|byte| is_delimiter(*byte, delimiters));
    if text.is_empty() {
        return value.is_empty() || delimits(value.len() - 1);
    }
    let Some(last) = value.len().checked_sub(text.len()) else { return false };
    (0..=last).any(|at| {
        (at == 0 || delimits(at - 1))
            && delimits(at + text.len())
            && same(&value[at..at + text.len()], text)
    })
}

/// Whether digits stand for the value.
pub(super) fn same_bytes(text: &[u8], value: &[u8]) -> bool {
    text.len() == value.len() * 2 && decoded(text).eq(value.iter().copied())
}

fn drop_one(counts: &mut BTreeMap<usize, u32>, key: usize) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// The part of a text that means something.
fn meant(form: Form, text: &[u8]) -> &[u8] {
    form.words.map_or(text, |delimiters| stripped(text, delimiters))
}

/// How long a value is that matches.
fn meant_len(form: Form, text: &[u8]) -> usize {
    let len = meant(form, text).len();
    if form.hex { len / 2 } else { len }
}

/// The delimiters between the parts of a pattern.
fn joints(text: &[u8], delimiters: &[u8]) -> usize {
    stripped(text, delimiters).iter().filter(|byte| is_delimiter(**byte, delimiters)).count()
}

/// The bytes that pairs of digits stand for.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
    text.chunks_exact(2).map(move |pair| digit(pair[0]) << 4 | digit(pair[1]))
}

fn hash_text(form: Form, text: &[u8]) -> u64 {
    let mut trail = Trail::new();
    if form.hex {
        decoded(text).for_each(|byte| trail.feed(&[byte], form));
    } else {
        trail.feed(meant(form, text), form);
    }
    trail.end()
}

/// Whether two patterns mean the same.
fn same_text(form: Form, a: &[u8], b: &[u8]) -> bool {
    if form.hex {
        return a.eq_ignore_ascii_case(b);
    }
    let (a, b) = (meant(form, a), meant(form, b));
    if form.fold { a.eq_ignore_ascii_case(b) } else { a == b }
}

/// Whether a pattern is the value.
fn same_value(form: Form, text: &[u8], value: &[u8]) -> bool {
    if form.hex {
        return same_bytes(text, value);
    }
    let text = meant(form, text);
    if form.fold { text.eq_ignore_ascii_case(value) } else { text == value }
}
