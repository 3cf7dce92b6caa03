//! `if` and `unless`: named and anonymous ACLs, joined.
//!
//! ```text
//!   if a !b or { path_beg /x } c       (a and not b) or (the anonymous one and c)
//! ```
//!
//! What is not known yet (more bytes may come) is neither true nor false: see [`Truth`].

use super::{Acl, Word, WordMistake, anonymous, named};
use crate::sample::args::Mistake;
use crate::sample::{Avail, Names, Point, Scene};

/// What a test came to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Truth {
    /// It does not hold.
    No,
    /// More bytes may decide it.
    Maybe,
    /// It holds.
    Yes,
}

impl Truth {
    /// Whether it is `yes`; without more to come what is undecided does not hold.
    pub const fn holds(self) -> bool {
        matches!(self, Truth::Yes)
    }

    const fn negated(self) -> Truth {
        match self {
            Truth::No => Truth::Yes,
            Truth::Maybe => Truth::Maybe,
            Truth::Yes => Truth::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Truth {
        if holds { Truth::Yes } else { Truth::No }
    }
}

/// A compiled `if …` or `unless …`.
#[derive(Clone, Debug)]
pub struct Condition {
    unless: bool,
    /// One of these groups must hold, every term of it.
    any: Box<[Box<[Term]>]>,
    /// As it was written.
    pub text: Box<str>,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    negated: bool,
    /// Which ACL, by index in the site's.
    acl: u32,
}

impl Condition {
    /// Compiles the words from `if` or `unless` on, to the last.
    pub fn parse(
        words: &[Word],
        point: Point,
        names: &mut Names<'_>,
    ) -> Result<Condition, WordMistake> {
        let unless = words[0].as_str() == "unless";
        let fault = |word: usize, message: String| WordMistake {
            word,
            mistake: Mistake::new(0, 0, message),
        };
        let mut any = Vec::new();
        let mut all: Vec<Term> = Vec::new();
        let mut negated = false;
        let mut at = 1;
        while at < words.len() {
            let mut word = words[at].as_str();
            if matches!(word, "or" | "||") {
                if all.is_empty() || negated {
                    return Err(fault(at, format!("'{word}' has nothing to its left")));
                }
                any.push(std::mem::take(&mut all).into_boxed_slice());
                at += 1;
                continue;
            }
            while let Some(rest) = word.strip_prefix('!') {
                negated = !negated;
                word = rest;
            }
            if word.is_empty() {
                at += 1;
                continue;
            }
            let acl = if word == "{" {
                let Some(len) = words[at + 1..].iter().position(|word| word.as_str() == "}") else {
                    return Err(fault(
                        at,
                        "this '{' has no '}', which is a word of its own".into(),
                    ));
                };
                let inner = &words[at + 1..at + 1 + len];
                let acl = anonymous(inner, names).map_err(|m| m.shift(at + 1))?;
                at += len + 1;
                acl
            } else {
                named(word, names).map_err(|(message, near)| WordMistake {
                    word: at,
                    mistake: Mistake::new(0, 0, message).near(near),
                })?
            };
            check(acl, point, names, words[at.min(words.len() - 1)].span);
            all.push(Term { negated, acl });
            negated = false;
            at += 1;
        }
        if all.is_empty() || negated {
            let message = format!("'{}' expects a condition", words[0].as_str());
            return Err(fault(words.len(), message));
        }
        any.push(all.into_boxed_slice());
        let text = words.iter().map(Word::as_str).collect::<Vec<_>>().join(" ");
        Ok(Condition { unless, any: any.into(), text: text.into() })
    }

    /// Whether it holds here and now.
    pub fn test(&self, scene: &Scene<'_>) -> Truth {
        let mut found = Truth::No;
        for all in &self.any {
            let mut suite = Truth::Yes;
            for term in all {
                let truth = test(&scene.site.acls[term.acl as usize], scene);
                suite = suite.min(if term.negated { truth.negated() } else { truth });
                if suite == Truth::No {
                    break;
                }
            }
            found = found.max(suite);
            if found == Truth::Yes {
                break;
            }
        }
        if self.unless { found.negated() } else { found }
    }
}

/// One of an ACL's lines must hold.
fn test(lines: &[Acl], scene: &Scene<'_>) -> Truth {
    let mut found = Truth::No;
    for line in lines {
        found = found.max(line.test(scene));
        if found == Truth::Yes {
            break;
        }
    }
    found
}

/// Notes an ACL that cannot match where it is used.
fn check(acl: u32, point: Point, names: &mut Names<'_>, span: crate::config::Span) {
    let role = names.role;
    let lines = &names.acls[acl as usize];
    let never = |line: &&Acl| !line.avail.at(point, role);
    let Some(line) = lines.iter().find(never).filter(|_| lines.iter().all(|line| never(&line)))
    else {
        return;
    };
    let places: Vec<&str> =
        Point::ALL.into_iter().filter(|p| line.avail.at(*p, role)).map(Point::as_str).collect();
    let message = format!(
        "this never matches: '{}' is not available in {}; it is in {}",
        line.expr.text,
        point.as_str(),
        places.join(", ")
    );
    names.warnings.push((span, message));
}

/// What an ACL's fetch needs: so that it can be checked where it is used.
pub(super) fn avail_of(name: &str) -> Avail {
    crate::sample::fetch::find(name).map_or(Avail::Always, |spec| spec.avail)
}
