//! `regsub`: what a regular expression matches is replaced.

use super::made::Made;
use super::{Kind, Scene, Spec, Value, row};
use crate::acl::{Regex, expand};

/// A compiled converter of this family.
#[derive(Clone, Debug)]
pub struct Conv {
    regex: Regex,
    /// `\0` to `\9` are groups of the match.
    template: Box<[u8]>,
    /// Every match, not only the first.
    global: bool,
}

impl Conv {
    pub(super) fn apply<'a>(&'a self, value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        let Value::Str(text) = value else { return None };
        let Some(mut groups) = self.regex.groups(text, 0) else { return Some(value) };
        // Room for all of HAProxy's buffer; what does not fit is cut off.
        let mut made = Made::filling(scene, text.len() + self.template.len());
        let mut start = 0;
        loop {
            let (from, to) = groups.whole();
            made.fill(&text[start..from]);
            made.fill(expand(&self.template, text, &groups, scene.arena()));
            if start >= text.len() {
                break;
            }
            start = to;
            // A match of nothing stands before a byte, which is passed over.
            if from == to && start < text.len() {
                made.fill(&text[start..=start]);
                start += 1;
            }
            if !self.global {
                break;
            }
            match self.regex.groups(text, start) {
                Some(next) => groups = next,
                None => break,
            }
        }
        made.fill(&text[start..]);
        Some(Value::Str(made.done()))
    }
}

/// Whether a backslash of the template has nothing behind it, or `\x` not two digits.
fn broken(mut template: &[u8]) -> bool {
    while let Some(at) = memchr::memchr(b'\\', template) {
        template = match &template[at + 1..] {
            [b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [b'x', ..] | [] => return true,
            [_, rest @ ..] => rest,
        };
    }
    false
}

pub(super) const TABLE: &[Spec] = &[row("regsub", (Kind::Str, Kind::Str), (2, 3), |args, _| {
    let Some(regex) = args.get(0) else {
        return Err(args.blame(0, "'regsub' needs a regular expression"));
    };
    let (mut ignore_case, mut global) = (false, false);
    for flag in args.text(2).chars() {
        match flag {
            // Twice is once more the other way, as HAProxy has it.
            'g' => global = !global,
            'i' => ignore_case = !ignore_case,
            other => {
                let message = format!("the flags of 'regsub' are i and g, not '{other}'");
                return Err(args.blame(2, message));
            }
        }
    }
    let template = args.text(1).as_bytes();
    if broken(template) {
        let message = "a backslash in this replacement needs a group's digit, 'x' with two \
                       hexadecimal digits, or a character behind it";
        return Err(args.blame(1, message));
    }
    let regex = Regex::new(regex.as_bytes(), ignore_case).map_err(|why| args.blame(0, why))?;
    Ok(super::Conv::Regsub(Box::new(Conv { regex, template: template.into(), global })))
})];
