//! A compiled expression: a fetch, and converters one behind the other.

use super::args::{self, Mistake};
use super::conv::{self, Conv};
use super::fetch::{self, Fetch};
use super::names::Names;
use super::{Kind, Point, Sample, Scene, Value};

/// A fetch and what is made of its value.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Where the value comes from.
    pub fetch: Fetch,
    /// What is made of it: each with the type that it takes.
    pub convs: Box<[(Kind, Conv)]>,
    /// The type that comes out, as far as it is known.
    pub kind: Kind,
    /// As it was written.
    pub text: Box<str>,
}

impl Expr {
    /// Reads the expression that begins at byte `at` of `text`; returns where it ends.
    pub fn parse(
        text: &str,
        at: usize,
        point: Point,
        names: &mut Names<'_>,
    ) -> Result<(Expr, usize), Mistake> {
        let call = args::call(text, at)?;
        names.wants.destination |= call.name.contains("dst");
        names.wants.source |= call.name.starts_with("bc_src");
        names.wants.unique_id |= call.name == "unique-id" && point != Point::Log;
        let (fetch, kind) = fetch::make(&call, point, names)?;
        Self::with_convs(text, (at, call.end), fetch, kind, names)
    }

    /// Reads the converters behind a fetch that ends at `end`.
    pub fn with_convs(
        text: &str,
        (at, mut end): (usize, usize),
        fetch: Fetch,
        mut kind: Kind,
        names: &mut Names<'_>,
    ) -> Result<(Expr, usize), Mistake> {
        let mut convs = Vec::new();
        while text[end..].starts_with(',') {
            let call = args::call(text, end + 1)?;
            if call.name.is_empty() {
                // HAProxy takes commas that nothing stands between, and some behind all.
                if call.args.is_empty() && text[call.end..].starts_with([',', ' ', '\t'])
                    || call.end == text.len()
                {
                    end = call.end;
                    continue;
                }
                return Err(Mistake::new(end, 1, "a converter is missing behind this comma"));
            }
            let (conv, takes, gives) = conv::make(&call, names)?;
            if !kind.casts_to(takes) {
                let message = format!(
                    "converter '{}' takes '{}', and what stands before it gives '{}'",
                    call.name,
                    takes.as_str(),
                    kind.as_str()
                );
                return Err(Mistake::new(call.at, call.name.len(), message));
            }
            convs.push((takes, conv));
            kind = gives;
            end = call.end;
        }
        let text = text[at..end].into();
        Ok((Expr { fetch, convs: convs.into(), kind, text }, end))
    }

    /// Evaluates it.
    pub fn eval<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        let mut sample = self.fetch.get(scene);
        sample.value = sample.value.and_then(|value| self.convert(value, scene));
        sample
    }

    /// Evaluates it for each value that the fetch has, until `take` says that it is enough. True if
    /// what was seen may still change.
    pub fn each<'a>(&'a self, scene: &Scene<'a>, take: &mut dyn FnMut(Value<'a>) -> bool) -> bool {
        self.fetch.each(scene, &mut |value| match self.convert(value, scene) {
            Some(value) => take(value),
            None => false,
        })
    }

    /// Its value as text; none if there is none.
    pub fn text<'a>(&'a self, scene: &Scene<'a>) -> Option<&'a [u8]> {
        Some(self.eval(scene).value?.text(scene.arena()))
    }

    fn convert<'a>(&'a self, mut value: Value<'a>, scene: &Scene<'a>) -> Option<Value<'a>> {
        for (takes, conv) in &self.convs {
            value = conv.apply(value.cast(*takes, scene.arena())?, scene)?;
        }
        Some(value)
    }
}
