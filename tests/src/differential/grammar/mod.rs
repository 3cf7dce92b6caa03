//! Cases from seeds: valid messages by RFC 9112's grammar, and then, in more than half of the
//! cases, something wrong with one of them. A seed is one case, on every machine.

mod mutate;
mod request;
mod response;

use tidegate_core::rng::{Rng, Seed};

pub use request::METHODS;

/// What both proxies get.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub seed: u64,
    /// Which of the configurations.
    pub variant: usize,
    /// What the client sends.
    pub sent: Vec<u8>,
    /// Where it is cut into parts that are sent one after the other, with a pause between them.
    pub cuts: Vec<usize>,
    /// How many requests it means to send.
    pub meant: usize,
    /// What the origin answers the first request with. Others get plain answers.
    pub answer: Vec<u8>,
    /// Where that is cut.
    pub answer_cuts: Vec<usize>,
    /// The origin does not wait for the end of the first request, if that is in a later part than
    /// its head.
    pub early: bool,
    /// The origin ends the connection behind it.
    pub closes: bool,
    /// What was done to the valid messages.
    pub mutations: Vec<&'static str>,
}

/// Longest answer that interim ones go before.
const INTERIM_BEFORE_MAX: usize = 8_000;

impl Case {
    /// The case of a seed; there are `variants` configurations.
    pub fn of(seed: u64, variants: usize) -> Self {
        let mut draw = Draw(Rng::new(Seed(seed).split("differential")));
        let variant = draw.below(variants);
        let request = request::Request::draw(&mut draw);
        let response = response::Response::draw(&mut draw, &request);
        let mut mutations = Vec::new();
        let (mut sent, mut answer) = (request.draft.clone(), response.draft.clone());
        let mut meant = 1;
        let which = draw.below(100);
        let times = if draw.one_in(5) { 2 } else { 1 };
        let mut sent = if (40..72).contains(&which) {
            mutate::request(&mut draw, &mut sent, times, &mut mutations)
        } else {
            sent.render()
        };
        if draw.one_in(8) {
            let next = request::Request::draw_plain(&mut draw);
            sent.extend(next.draft.render());
            meant += 1;
        }
        let answer = if which >= 72 {
            mutate::response(&mut draw, &mut answer, times, &mut mutations)
        } else {
            answer.render()
        };
        // haproxy 2.6.12 loses bytes of a body that is larger than its buffer, or comes in parts, and
        // comes together with interim answers. That is no difference of framing, so no class could have it: there
        // is no such case.
        let interim = if answer.len() > INTERIM_BEFORE_MAX { Vec::new() } else { response.interim };
        let alone = interim.is_empty();
        let answer = [interim, answer].concat();
        // From a stream of its own: what is sent is the same without cuts.
        let mut draw = Draw(Rng::new(Seed(seed).split("cuts")));
        let cuts = draw.cuts(&sent);
        // Nor one that is closed some time behind its last part: who is quicker then decides whether
        // the next request is on that connection already.
        let closes = response.closes;
        let answer_cuts = if alone && !closes { draw.cuts(&answer) } else { Vec::new() };
        let early = !cuts.is_empty() && !closes && draw.one_in(2);
        Self { seed, variant, sent, cuts, meant, answer, answer_cuts, early, closes, mutations }
    }
}

/// A message in parts that a mutation can get at.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub line: Vec<u8>,
    /// Whole lines without their ends.
    pub fields: Vec<Vec<u8>>,
    /// The body as it goes on the wire.
    pub body: Vec<u8>,
}

impl Draft {
    pub fn render(&self) -> Vec<u8> {
        let mut bytes = [&self.line[..], b"\r\n"].concat();
        for field in &self.fields {
            bytes.extend_from_slice(field);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub fn push(&mut self, field: impl AsRef<[u8]>) {
        self.fields.push(field.as_ref().to_vec());
    }

    /// The place of a field of that name, in any case.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| {
            field.len() > name.len()
                && field[..name.len()].eq_ignore_ascii_case(name.as_bytes())
                && field[name.len()] == b':'
        })
    }

    pub fn remove(&mut self, name: &str) {
        while let Some(at) = self.find(name) {
            self.fields.remove(at);
        }
    }
}

/// A generator with the draws that grammars need.
pub(super) struct Draw(Rng);

impl Draw {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(u32::try_from(bound).unwrap_or(u32::MAX)) as usize
    }

    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high + 1 - low)
    }

    /// Where a message is cut: mostly nowhere, else in a few places, of which one is near the end of
    /// its head.
    pub fn cuts(&mut self, message: &[u8]) -> Vec<usize> {
        if message.len() < 2 || !self.one_in(3) {
            return Vec::new();
        }
        let count = self.between(1, 3);
        let mut cuts: Vec<usize> = (0..count).map(|_| self.between(1, message.len() - 1)).collect();
        if let Some(end) = message.windows(4).position(|four| four == b"\r\n\r\n") {
            let near = (end + self.below(6)).clamp(1, message.len() - 1);
            cuts.push(near);
        }
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    /// Some of these bytes, at random.
    pub fn text(&mut self, len: usize, of: &[u8]) -> Vec<u8> {
        (0..len).map(|_| of[self.below(of.len())]).collect()
    }

    /// A body's length: mostly short, sometimes beyond what a buffer holds.
    pub fn length(&mut self) -> usize {
        match self.below(40) {
            0 => self.between(10_000, 40_000),
            1..4 => self.between(300, 6_000),
            4..12 => 0,
            _ => self.between(1, 300),
        }
    }

    /// A name in some case.
    pub fn cased(&mut self, name: &str) -> Vec<u8> {
        let mut name = name.as_bytes().to_vec();
        match self.below(6) {
            0 => name.make_ascii_uppercase(),
            1 => name.make_ascii_lowercase(),
            2 => {
                let at = self.below(name.len());
                name[at] ^= if name[at].is_ascii_alphabetic() { 0x20 } else { 0 };
            }
            _ => {}
        }
        name
    }

    /// A field with spaces as one may write them.
    pub fn field(&mut self, name: &str, value: &[u8]) -> Vec<u8> {
        let before = self.pick(&[": ", ": ", ": ", ": ", ":", ":  ", ":\t", ": \t"]);
        let after = self.pick(&["", "", "", "", "", "", " ", "\t"]);
        [&self.cased(name), before.as_bytes(), value, after.as_bytes()].concat()
    }

    /// A field that means nothing to a proxy.
    pub fn any_field(&mut self) -> Vec<u8> {
        const TCHAR: &[u8] = b"abcXYZ019!#$%&'*+-.^_`|~";
        const VALUE: &[u8] = b"abcXYZ019 \t,;=\"\\()/?:@[]{}<>\x80\xc3\xff~";
        match self.below(14) {
            0 => {
                let len = self.between(1, 12);
                let name = [b"x".to_vec(), self.text(len, TCHAR)].concat();
                let len = self.between(0, 30);
                [&name, &b": "[..], self.text(len, VALUE).trim_ascii()].concat()
            }
            1 => self.field("X-Empty", b""),
            2 => {
                let len = self.between(200, 2000);
                let value = self.text(len, b"abcdef0123456789");
                self.field("X-Long", &value)
            }
            3 => self.field("Cookie", b"a=b; c=\"d\"; $e"),
            4 => self.field("X-Forwarded-For", b"192.0.2.1, 192.0.2.2"),
            5 => self.field("Via", b"1.1 elsewhere"),
            6 => self.field("Cache-Control", b"no-cache, max-age=0"),
            7 => self.field("X-A", b"one, two"),
            8 => self.field("X-A", b"three"),
            9 => self.field("X_Under_Score", b"1"),
            10 => self.field("Accept", b"text/html;q=0.5, */*"),
            11 => self.field("Authorization", b"Basic dTpw"),
            12 => self.field("Range", b"bytes=0-4"),
            _ => self.field("User-Agent", b"differential/1 (seeded)"),
        }
    }

    /// A body in the chunked coding, as one may write it.
    pub fn chunks(&mut self, body: &[u8]) -> Vec<u8> {
        let mut coded = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            let most = if self.one_in(3) { 4 } else { rest.len() };
            let (piece, left) = rest.split_at(self.between(1, rest.len().min(most)));
            let size = match self.below(8) {
                0 => format!("{:X}", piece.len()),
                1 => format!("{:04x}", piece.len()),
                _ => format!("{:x}", piece.len()),
            };
            coded.extend_from_slice(size.as_bytes());
            if self.one_in(12) {
                let extension = self.pick(&[";a", ";a=b", ";a=\"b;c\"", " ;a=b", ";a;b=c", " "]);
                coded.extend_from_slice(extension.as_bytes());
            }
            coded.extend_from_slice(b"\r\n");
            coded.extend_from_slice(piece);
            coded.extend_from_slice(b"\r\n");
            rest = left;
        }
        coded.extend_from_slice(if self.one_in(10) { b"000\r\n" } else { b"0\r\n" });
        if self.one_in(12) {
            let some = self.between(1, 3);
            for trailer in
                ["X-Sum: 12\r\n", "X-More: a, b\r\n", "Content-Length: 5\r\n"].iter().take(some)
            {
                coded.extend_from_slice(trailer.as_bytes());
            }
        }
        coded.extend_from_slice(b"\r\n");
        coded
    }

    /// A body, which may look like what stands around bodies.
    pub fn body(&mut self, len: usize) -> Vec<u8> {
        const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: smuggled\r\n\r\n";
        match self.below(6) {
            0 => SMUGGLED.iter().copied().cycle().take(len).collect(),
            1 => (0..len).map(|_| self.byte()).collect(),
            2 => b"0\r\n\r\n".iter().copied().cycle().take(len).collect(),
            _ => self.text(len, b"abcdefghijklmnopqrstuvwxyz"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::strict;
    use super::*;

    #[test]
    fn a_seed_is_one_case() {
        for seed in 0..50 {
            let (one, other) = (Case::of(seed, 4), Case::of(seed, 4));
            assert_eq!((one.sent, one.answer), (other.sent, other.answer));
        }
        assert_ne!(Case::of(1, 4).sent, Case::of(2, 4).sent);
    }

    #[test]
    fn what_was_not_mutated_is_valid() {
        let mut plain = 0;
        for seed in 0..2000 {
            let case = Case::of(seed, 4);
            let on_response = case.mutations.iter().any(|name| name.starts_with("answer"));
            if case.mutations.is_empty() || on_response {
                let reading = strict::requests(&case.sent);
                assert_eq!(reading.fault, None, "{seed}: {}", case.sent.escape_ascii());
                assert!(!reading.partial, "{seed}: {}", case.sent.escape_ascii());
                if on_response {
                    continue;
                }
                plain += 1;
                let method = reading.messages[0].word(0);
                let answers = strict::responses(&case.answer, &[method], case.closes);
                assert_eq!(answers.fault, None, "{seed}: {}", case.answer.escape_ascii());
                assert!(!answers.partial, "{seed}: {}", case.answer.escape_ascii());
            }
        }
        assert!((500..1500).contains(&plain), "{plain} of 2000 are valid");
    }
}
