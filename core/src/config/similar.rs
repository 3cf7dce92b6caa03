//! "Did you mean": the known word nearest to an unknown one.

/// The candidate nearest to `word`, if one is near enough to be meant: at most a third of its
/// letters wrong (at least one). Among equals the first wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer words are not compared: the distance costs the product of both lengths.
    const WORD_MAX: usize = 64;
    let length = word.chars().count();
    if length == 0 || length > WORD_MAX {
        return None;
    }
    let letters = Letters::of(word);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let limit = (length.max(candidate.len()) / 3).max(1);
        // Most are told apart by this, so that a file that is none is soon read.
        let least = candidate.len().abs_diff(length).max(letters.apart(Letters::of(candidate)));
        if least > limit {
            continue;
        }
        let found = distance(word, candidate);
        if found <= limit && best.is_none_or(|(least, _)| found < least) {
            best = Some((found, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The letters of a word, whatever their order and number; 64 kinds of them.
#[derive(Clone, Copy)]
struct Letters(u64);

impl Letters {
    fn of(word: &str) -> Letters {
        Letters(word.chars().fold(0, |set, letter| set | 1 << (letter as u32 % 64)))
    }

    /// How many letters have to change at least to make one word of the other: one change brings
    /// one new kind in, and takes one out.
    fn apart(self, other: Letters) -> usize {
        (self.0 & !other.0).count_ones().max((other.0 & !self.0).count_ones()) as usize
    }
}

/// The least number of letters inserted, removed, replaced or swapped with their neighbour that
/// turns `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = above;
        above = row;
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_found_and_the_far_is_not() {
        let words = ["balance", "bind", "backlog", "option", "mode", "id"];
        for (typed, meant) in [
            ("balence", Some("balance")),
            ("blanace", Some("balance")),
            ("optoin", Some("option")),
            ("bnid", Some("bind")),
            ("bind", Some("bind")),
            ("moed", Some("mode")),
            ("zzzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, words), meant, "{typed}");
        }
    }

    #[test]
    fn distances() {
        for (a, b, n) in
            [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("kitten", "sitting", 3), ("a", "bc", 2)]
        {
            assert_eq!(distance(a, b), n, "{a} {b}");
            assert_eq!(distance(b, a), n, "{b} {a}");
            assert!(Letters::of(a).apart(Letters::of(b)) <= n, "{a} {b}");
        }
    }
}
