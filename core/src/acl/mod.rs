//! Conditions: patterns that values are matched against, named ACLs, and what `if` and `unless`
//! make of them.

#[cfg(test)]
mod cases;
mod condition;
pub mod file;
mod index;
mod keyword;
#[cfg(test)]
mod laws;
mod network;
mod pattern;
mod pcre;
mod predefined;
mod range;
mod regex;
mod texts;
mod words;

pub use condition::{Condition, Truth};
pub use keyword::{keyword, keywords};
pub use network::Resolve;
pub use pattern::{Match, Output, Patterns};
pub use regex::{GROUPS_MAX, Groups, Regex, expand};
pub use words::{Lists, WordMistake, parse_patterns};

use crate::config::Word;
use crate::config::similar;
use crate::sample::args::Mistake;
use crate::sample::{Avail, Expr, Names, Point, Scene, fetch};

impl WordMistake {
    /// The same among words of which these are those from `offset` on.
    fn shift(mut self, offset: usize) -> WordMistake {
        self.word += offset;
        self
    }
}

/// One line of an ACL: an expression and the patterns of which one must match.
#[derive(Clone, Debug)]
pub struct Acl {
    /// What is looked at.
    pub expr: Expr,
    /// The patterns.
    pub lists: Lists,
    /// What its fetch needs.
    pub avail: Avail,
}

impl Acl {
    /// Compiles `criterion [flags] [patterns]`.
    pub fn parse(words: &[Word], names: &mut Names<'_>) -> Result<Acl, WordMistake> {
        let fault = |word, mistake| WordMistake { word, mistake };
        let text = words[0].as_str();
        let call = crate::sample::args::call(text, 0).map_err(|mistake| fault(0, mistake))?;
        // `path_beg` is `path` with `-m beg`.
        let keyword = keyword(call.name);
        let (fetch, how) = match keyword {
            Some((fetch, how)) => (fetch, Some(how)),
            None => (call.name, None),
        };
        let full = format!("{fetch}{}", &text[call.name.len()..]);
        let grown = full.len() as isize - text.len() as isize;
        let moved = |mut mistake: Mistake| {
            // Places are those of what was written.
            mistake.at = (mistake.at as isize - grown).max(0) as usize;
            mistake
        };
        let (expr, end) = Expr::parse(&full, 0, Point::Any, names).map_err(|mistake| {
            let unknown = fetch::find(fetch).is_none();
            let near = unknown.then(|| near(call.name)).flatten();
            fault(0, moved(if unknown { mistake.near(near) } else { mistake }))
        })?;
        if end != full.len() {
            let rest = &full[end..];
            let message = format!("'{rest}' does not belong to an expression");
            return Err(fault(0, moved(Mistake::new(end, rest.len(), message))));
        }
        let how = how.filter(|_| expr.convs.is_empty());
        let lists = parse_patterns(&words[1..], how, expr.kind, names).map_err(|m| m.shift(1))?;
        Ok(Acl { expr, lists, avail: condition::avail_of(fetch) })
    }

    /// Whether one of the values matches one of the patterns.
    pub fn test(&self, scene: &Scene<'_>) -> Truth {
        let mut found = false;
        let may_change = self.expr.each(scene, &mut |value| {
            let mut lists = self.lists.lists.iter();
            found = lists.any(|list| scene.patterns(*list).matches(value, scene.arena()));
            found
        });
        match (found, may_change) {
            (true, _) => Truth::Yes,
            (false, true) => Truth::Maybe,
            (false, false) => Truth::No,
        }
    }
}

/// The criterion that an unknown one is nearest to.
fn near(name: &str) -> Option<String> {
    let keywords: Vec<String> = keywords().collect();
    let fetches = fetch::specs().map(|spec| spec.name);
    similar::nearest(name, fetches.chain(keywords.iter().map(String::as_str))).map(str::to_owned)
}

/// The index of a named ACL: one of the proxy's own, or a predefined one.
fn named(name: &str, names: &mut Names<'_>) -> Result<u32, (String, Option<String>)> {
    if let Some(index) = names.acl_names.get(name) {
        return Ok(*index);
    }
    if let Some(criterion) = predefined::find(name) {
        let words: Vec<Word> = criterion
            .split(' ')
            .map(|word| Word::new(word.as_bytes().to_vec(), names.span))
            .collect();
        let acl = Acl::parse(&words, names)
            .map_err(|fault| (format!("ACL '{name}': {}", fault.mistake.message), None))?;
        return Ok(names.add_acl(Some(name), acl));
    }
    let known = names.acl_names.keys().map(String::as_str);
    let near =
        similar::nearest(name, known).or_else(|| similar::nearest(name, predefined::names()));
    let near = near.map(str::to_owned);
    Err((format!("no such ACL : '{name}'"), near))
}

/// The index of an ACL that has no name.
fn anonymous(words: &[Word], names: &mut Names<'_>) -> Result<u32, WordMistake> {
    if words.is_empty() {
        let message = "an anonymous ACL is '{ <criterion> [flags] [patterns] }'";
        return Err(WordMistake { word: 0, mistake: Mistake::new(0, 0, message) });
    }
    let acl = Acl::parse(words, names)?;
    Ok(names.add_acl(None, acl))
}
