//! The words behind an expression in a condition: options, files, and patterns.

use std::sync::Arc;

use super::file::{self, FileUse};
use super::range::Operator;
use super::{Match, Patterns};
use crate::config::Word;
use crate::sample::args::Mistake;
use crate::sample::{Kind, Names, PatternFile};

/// What a condition's value is matched against: lists that are tried in order, by their index in
/// the site's patterns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lists {
    /// How it is matched.
    pub how: Match,
    /// The lists: those of files first, then the one of the line itself.
    pub lists: Box<[u32]>,
}

/// What is wrong with one of several words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WordMistake {
    /// Which; as many as there are words means that one is missing behind them.
    pub word: usize,
    /// What, and where in the word.
    pub mistake: Mistake,
}

/// Reads the words behind an expression of type `kind`. `default` is how it is matched if nothing
/// says otherwise: what [`keyword`](super::keyword) has, unless a converter stands behind it.
pub fn parse_patterns(
    words: &[Word],
    default: Option<Match>,
    kind: Kind,
    names: &mut Names<'_>,
) -> Result<Lists, WordMistake> {
    let mut reader = Reader {
        words,
        at: 0,
        kind,
        how: default.or(match kind {
            Kind::Bool => Some(Match::Bool),
            Kind::Int => Some(Match::Int),
            Kind::Addr | Kind::Ipv4 | Kind::Ipv6 => Some(Match::Ip),
            Kind::Str => Some(Match::Str),
            Kind::Any | Kind::Bin | Kind::Method => None,
        }),
        ignore_case: false,
        look_up: true,
        keys_only: false,
        id: None,
        lists: Vec::new(),
    };
    reader.options(names)?;
    let how = reader.how()?;
    reader.patterns(how, names)?;
    Ok(Lists { how, lists: reader.lists.into() })
}

struct Reader<'w> {
    words: &'w [Word],
    at: usize,
    kind: Kind,
    how: Option<Match>,
    ignore_case: bool,
    look_up: bool,
    keys_only: bool,
    id: Option<u32>,
    lists: Vec<u32>,
}

impl Reader<'_> {
    /// A complaint about the word `word`.
    fn wrong(&self, word: usize, message: impl Into<String>) -> WordMistake {
        let len = self.words.get(word).map_or(0, |word| word.as_str().len());
        WordMistake { word, mistake: Mistake::new(0, len, message) }
    }

    /// How the value is matched.
    fn how(&self) -> Result<Match, WordMistake> {
        self.how.ok_or_else(|| {
            let message = format!(
                "how a value of type '{}' is matched must be said with '-m', before files and \
                 patterns",
                self.kind.as_str()
            );
            self.wrong(self.at, message)
        })
    }

    /// The word behind an option.
    fn argument(&self) -> Result<&str, WordMistake> {
        let option = self.words[self.at].as_str();
        match self.words.get(self.at + 1) {
            Some(word) => Ok(word.as_str()),
            None => {
                let message = format!("'{option}' needs a word behind it");
                Err(self.wrong(self.at, message))
            }
        }
    }

    fn options(&mut self, names: &mut Names<'_>) -> Result<(), WordMistake> {
        while let Some(word) = self.words.get(self.at) {
            let option = word.as_str();
            if !option.starts_with('-') {
                break;
            }
            match option {
                "-i" => self.ignore_case = true,
                "-n" => self.look_up = false,
                "-M" => self.keys_only = true,
                "--" => {
                    self.at += 1;
                    break;
                }
                "-m" => {
                    self.method()?;
                    self.at += 1;
                }
                "-f" => {
                    self.file(names)?;
                    self.at += 1;
                }
                "-u" => {
                    self.number(names)?;
                    self.at += 1;
                }
                _ => {
                    let message = format!(
                        "'{option}' is not an option of a condition; '--' must stand before \
                         patterns that begin with '-'"
                    );
                    return Err(self.wrong(self.at, message));
                }
            }
            self.at += 1;
        }
        Ok(())
    }

    /// `-m method`.
    fn method(&mut self) -> Result<(), WordMistake> {
        let name = self.argument()?;
        if !self.lists.is_empty() {
            return Err(self.wrong(self.at, "'-m' must stand before files and patterns"));
        }
        let Some(how) = Match::parse(name) else {
            let known = Match::ALL.map(Match::as_str);
            let message =
                format!("unknown matching method '{name}'; there are {}", known.join(", "));
            let mut wrong = self.wrong(self.at + 1, message);
            wrong.mistake.near = crate::config::similar::nearest(name, known).map(Into::into);
            return Err(wrong);
        };
        if !self.kind.casts_to(how.kind()) {
            let message = format!(
                "matching method '{name}' needs a value of type '{}', and this one has '{}'",
                how.kind().as_str(),
                self.kind.as_str()
            );
            return Err(self.wrong(self.at + 1, message));
        }
        self.how = Some(how);
        Ok(())
    }

    /// `-f file`.
    fn file(&mut self, names: &mut Names<'_>) -> Result<(), WordMistake> {
        let how = self.how()?;
        let path = self.argument()?;
        let way = FileUse {
            how,
            ignore_case: self.ignore_case,
            look_up: self.look_up,
            output: None,
            keys_only: self.keys_only,
        };
        let index =
            file::load(path, way, names).map_err(|message| self.wrong(self.at + 1, message))?;
        self.lists.push(index);
        Ok(())
    }

    /// `-u id`.
    fn number(&mut self, names: &Names<'_>) -> Result<(), WordMistake> {
        let text = self.argument()?;
        let Ok(id) = text.parse() else {
            let message = format!("'-u' needs a number (got '{text}')");
            return Err(self.wrong(self.at + 1, message));
        };
        if names.list_ids.contains(&id) {
            let message = format!("another list has the id {id} already");
            return Err(self.wrong(self.at + 1, message));
        }
        self.id = Some(id);
        Ok(())
    }

    /// The patterns of the line.
    fn patterns(&mut self, how: Match, names: &mut Names<'_>) -> Result<(), WordMistake> {
        let mut patterns = Patterns::new(how, self.ignore_case);
        let numbers = matches!(how, Match::Int | Match::Len | Match::Version);
        let mut operator = None;
        let (host, look_up) = (names.host, self.look_up);
        let resolve = |name: &str| file::first_v4(host, name);
        let resolve = look_up.then_some(&resolve as super::Resolve<'_>);
        if self.words.is_empty() && self.kind != Kind::Bool {
            let message = "there is nothing that the value is matched against, so that this \
                           never matches; '-m found' asks whether there is a value, '-m bool' \
                           whether it is true, and '--' says that it is meant so";
            names.warnings.push((names.span, message.into()));
        }
        while let Some(word) = self.words.get(self.at) {
            let mut text = word.as_str();
            if text.is_empty() {
                let message = "an empty pattern ends the list; what stands behind it is not \
                               looked at";
                names.warnings.push((word.span, message.into()));
                break;
            }
            if numbers && let Some(found) = Operator::parse(text) {
                operator = Some(found);
                self.at += 1;
                let Some(number) = self.words.get(self.at) else {
                    let message = format!("'{text}' has no number behind it");
                    names.warnings.push((word.span, message));
                    break;
                };
                text = number.as_str();
            }
            let added = match operator {
                Some(operator) => {
                    if operator != Operator::Eq && text.contains([':', '-']) {
                        let message = format!(
                            "'{text}' is a range, which is matched whatever stands before it"
                        );
                        names.warnings.push((self.words[self.at].span, message));
                    }
                    let version = how == Match::Version;
                    operator.pattern(text, version).and_then(|text| patterns.add(text, None))
                }
                None => patterns.add_resolved(word.bytes(), None, resolve),
            };
            added.map_err(|message| self.wrong(self.at, message))?;
            self.at += 1;
        }
        patterns.finish();
        let index = match self.id {
            None => names.add_list(patterns),
            Some(id) => {
                names.list_ids.insert(id);
                let name: Arc<str> = format!("#{id}").into();
                names.add_patterns(None, PatternFile { name, patterns: Arc::new(patterns) })
            }
        };
        self.lists.push(index);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::lexer::{self, Place};
    use crate::config::{Environment, MapHost};

    fn words(line: &str, host: &MapHost) -> Vec<Word> {
        let place = Place { file: "", file_index: 0, line: 1, section: "" };
        lexer::words(line.as_bytes(), place, &Environment::new(host)).expect(line)
    }

    #[test]
    fn mistakes_are_at_their_word() {
        let host = MapHost::default().with_file("list", "a\n").with_file("map", "a b\n");
        for (line, kind, word, part) in [
            ("-m nope a", Kind::Str, 1, "unknown matching method 'nope'"),
            ("-m", Kind::Str, 0, "needs a word behind it"),
            ("-x a", Kind::Str, 0, "not an option"),
            ("-i -f none", Kind::Str, 2, "cannot be read"),
            ("-f list -m beg a", Kind::Str, 2, "must stand before"),
            ("-u x", Kind::Str, 1, "needs a number"),
            ("-m ip 1.2.3.4", Kind::Bool, 1, "needs a value of type 'addr'"),
            ("a b", Kind::Bin, 0, "must be said with '-m'"),
            ("-i -n", Kind::Any, 2, "must be said with '-m'"),
            ("1 2 x", Kind::Int, 2, "is not a number"),
            ("1 gt x", Kind::Int, 2, "neither a number"),
            ("10.0.0.0/8 nowhere", Kind::Addr, 1, "not a valid IPv4 or IPv6 address"),
            ("-m reg ok [a", Kind::Str, 3, "closing bracket"),
            ("-m bin 00 0", Kind::Bin, 3, "even number"),
        ] {
            let mut names = Names::new(&host);
            let wrong = parse_patterns(&words(line, &host), None, kind, &mut names);
            let wrong = wrong.expect_err(line);
            assert_eq!(wrong.word, word, "{line}: {wrong:?}");
            assert!(wrong.mistake.message.contains(part), "{line}: {wrong:?}");
        }
    }

    #[test]
    fn what_is_odd_is_warned_about() {
        let host = MapHost::default();
        for (line, kind, part) in [
            ("", Kind::Str, "never matches"),
            ("a \"\" b", Kind::Str, "ends the list"),
            ("5 gt", Kind::Int, "no number behind it"),
            ("gt -5", Kind::Int, "is a range"),
        ] {
            let mut names = Names::new(&host);
            let read = parse_patterns(&words(line, &host), None, kind, &mut names);
            read.expect("only odd");
            assert!(names.warnings[0].1.contains(part), "{line}: {:?}", names.warnings);
        }
        let mut names = Names::new(&host);
        for line in ["--", "-m found", "-m bool"] {
            parse_patterns(&words(line, &host), None, Kind::Int, &mut names).expect(line);
        }
        parse_patterns(&[], None, Kind::Bool, &mut names).expect("a bool");
        assert!(names.warnings.is_empty());
    }

    #[test]
    fn files_come_first_and_ids_are_given_once() {
        let host = MapHost::default().with_file("list", "a\n").with_file("map", "a b\n");
        let mut names = Names::new(&host);
        let line = "-m beg -i -f list -M -f map -u 7 -- -x y";
        let read = parse_patterns(&words(line, &host), None, Kind::Str, &mut names).expect(line);
        assert_eq!(read.how, Match::Beg);
        let lens = read.lists.iter().map(|list| {
            let file = &names.patterns[*list as usize];
            (file.name.to_string(), file.patterns.len(), file.patterns.ignores_case())
        });
        let expected = [("list", 1), ("map", 1), ("#7", 2)];
        let expected = expected.map(|(name, len)| (name.to_owned(), len, true));
        assert_eq!(lens.collect::<Vec<_>>(), expected);
        let again = parse_patterns(&words("-u 7 a", &host), None, Kind::Str, &mut names);
        assert_eq!(again.expect_err("twice").word, 1);
    }
}
