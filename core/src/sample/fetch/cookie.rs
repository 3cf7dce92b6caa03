//! Cookies of a request, and those that a response sets.

use super::header::{element_end, number, walk};
use super::{Args, Kind, Mistake, Sample, Scene, Side, Spec, Value, row};
use crate::http::Head;

/// A compiled fetch of this family.
#[derive(Clone, Debug)]
pub struct Fetch {
    side: Side,
    /// Exactly so; empty for any.
    name: Box<[u8]>,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Text,
    Count,
    Number,
}

impl What {
    fn of(self, text: &[u8]) -> Value<'_> {
        match self {
            What::Number => Value::Int(number(text)),
            What::Text | What::Count => Value::Str(text),
        }
    }
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        let head = match self.side.head(scene) {
            Ok(head) => head,
            Err(sample) => return sample,
        };
        let (mut count, mut last) = (0, None);
        // Of all cookies the first, of one the last.
        let first = self.name.is_empty() && self.what != What::Count;
        self.walk(head, scene, &mut |text| {
            count += 1;
            last = Some(text);
            first
        });
        match self.what {
            What::Count => Sample::is(Value::Int(count)),
            what => last.map(|text| what.of(text)).into(),
        }
    }

    pub(super) fn each<'a>(
        &'a self,
        scene: &Scene<'a>,
        take: &mut dyn FnMut(Value<'a>) -> bool,
    ) -> Option<bool> {
        if self.what == What::Count {
            return None;
        }
        match self.side.head(scene) {
            Ok(head) => {
                self.walk(head, scene, &mut |text| take(self.what.of(text)));
                Some(false)
            }
            Err(sample) => Some(sample.may_change),
        }
    }

    /// Hands over each value of the cookie until `take` says that it is enough.
    fn walk<'a>(
        &'a self,
        head: &'a Head,
        scene: &Scene<'a>,
        take: &mut dyn FnMut(&'a [u8]) -> bool,
    ) {
        let response = self.side.is_response(scene);
        let name: &[u8] = if response { b"set-cookie" } else { b"cookie" };
        // Lines are divided at commas, too, as HAProxy does it.
        walk(head, name, false, &mut |line| {
            let mut rest = line;
            if line.len() <= self.name.len() {
                return false;
            }
            while let Some((value, next)) = find(rest, &self.name, !response) {
                if take(value) {
                    return true;
                }
                rest = next;
            }
            false
        });
    }
}

/// The value of the first cookie of that name, and what stands behind it. Of a `list` (a request's
/// line) every pair is looked at, else only the first: those behind it are attributes.
fn find<'a>(mut text: &'a [u8], name: &[u8], list: bool) -> Option<(&'a [u8], &'a [u8])> {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t');
    while text.len() > name.len() + 1 {
        let start = text.iter().position(|byte| !space(byte)).unwrap_or(text.len());
        let pair = &text[start..];
        let stop = |byte: &u8| matches!(byte, b'=' | b';') || (list && *byte == b',');
        let equal = pair.iter().position(stop).unwrap_or(pair.len());
        let end = pair[..equal].iter().rposition(|byte| !space(byte)).map_or(0, |last| last + 1);
        let (value, next) = match pair.get(equal) {
            Some(b'=') => {
                let value = &pair[equal + 1..];
                let begin = value.iter().position(|byte| !space(byte)).unwrap_or(value.len());
                let value = &value[begin..];
                let next = element_end(value, b';');
                let last = value[..next].iter().rposition(|byte| !space(byte));
                (Some(&value[..last.map_or(0, |last| last + 1)]), equal + 1 + begin + next)
            }
            _ => (None, equal),
        };
        let behind = pair.get(next + 1..).unwrap_or_default();
        let named = name.is_empty() || &pair[..end] == name;
        match value {
            // Attributes of old cookies are no cookies.
            _ if pair.first() == Some(&b'$') => {}
            Some(value) if named => return Some((value, behind)),
            None => {}
            Some(_) if list => {}
            Some(_) => return None,
        }
        text = behind;
    }
    None
}

fn make(args: &Args<'_, '_>, side: Side, what: What) -> Result<super::Fetch, Mistake> {
    let name = args.text(0).as_bytes().into();
    Ok(super::Fetch::Cookie(Fetch { side, name, what }))
}

macro_rules! cookie_row {
    ($name:literal, $side:ident, $what:ident) => {
        row(
            $name,
            match What::$what {
                What::Text => Kind::Str,
                What::Count | What::Number => Kind::Int,
            },
            Side::$side.avail(),
            (0, 1),
            |args, _| make(args, Side::$side, What::$what),
        )
    };
}

pub(super) const TABLE: &[Spec] = &[
    cookie_row!("cook", Request, Text),
    cookie_row!("cook_cnt", Request, Count),
    cookie_row!("cook_val", Request, Number),
    cookie_row!("cookie", Either, Text),
    cookie_row!("req.cook", Request, Text),
    cookie_row!("req.cook_cnt", Request, Count),
    cookie_row!("req.cook_val", Request, Number),
    cookie_row!("res.cook", Response, Text),
    cookie_row!("res.cook_cnt", Response, Count),
    cookie_row!("res.cook_val", Response, Number),
    cookie_row!("scook", Response, Text),
    cookie_row!("scook_cnt", Response, Count),
    cookie_row!("scook_val", Response, Number),
];
