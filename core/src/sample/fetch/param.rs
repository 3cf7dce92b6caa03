//! Parameters: `name=value` between `&` or `;`, in the request's target or in a form.

use super::header::number;
use super::{Args, Avail, Kind, Mistake, Sample, Scene, Side, Spec, Value, body, row};

/// A compiled fetch of this family.
#[derive(Clone, Debug)]
pub struct Fetch {
    place: Place,
    /// Exactly so; empty for any.
    name: Box<[u8]>,
    number: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Behind the first such byte of the target.
    Target(u8),
    /// The body.
    Body,
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        match self.params(scene) {
            Ok((mut params, may_change)) => {
                let value = params.next(&self.name).map(|text| self.value(text));
                Sample { value, may_change }
            }
            Err(sample) => sample,
        }
    }

    pub(super) fn each<'a>(
        &'a self,
        scene: &Scene<'a>,
        take: &mut dyn FnMut(Value<'a>) -> bool,
    ) -> Option<bool> {
        match self.params(scene) {
            Ok((mut params, may_change)) => {
                while let Some(text) = params.next(&self.name) {
                    if take(self.value(text)) {
                        break;
                    }
                }
                Some(may_change)
            }
            Err(sample) => Some(sample.may_change),
        }
    }

    fn value<'a>(&self, text: &'a [u8]) -> Value<'a> {
        if self.number { Value::Int(number(text)) } else { Value::Str(text) }
    }

    fn params<'a>(&'a self, scene: &Scene<'a>) -> Result<(Params<'a>, bool), Sample<'a>> {
        match self.place {
            Place::Target(delimiter) => {
                let target = Side::Request.head(scene)?.target();
                let at = memchr::memchr(delimiter, target).ok_or(Sample::NONE)?;
                Ok((Params { rest: Some(&target[at + 1..]), delimiter }, false))
            }
            Place::Body => {
                Side::Request.head(scene)?;
                let (rest, may_change) = body::bytes(Side::Request, scene);
                Ok((Params { rest: Some(rest), delimiter: b'&' }, may_change))
            }
        }
    }
}

/// The parameters that are left of a list.
struct Params<'a> {
    rest: Option<&'a [u8]>,
    delimiter: u8,
}

impl<'a> Params<'a> {
    /// The value of the next one of that name.
    fn next(&mut self, name: &[u8]) -> Option<&'a [u8]> {
        loop {
            let rest = self.rest?;
            let stop = |byte: &u8| matches!(byte, b'&' | b';') || *byte == self.delimiter;
            let end = rest.iter().position(stop).unwrap_or(rest.len());
            self.rest = rest.get(end + 1..);
            let param = &rest[..end];
            if name.is_empty() {
                // The next one that has a value.
                if let Some(equal) = param.iter().position(|byte| *byte == b'=') {
                    return Some(&param[equal + 1..]);
                }
                continue;
            }
            if let Some([b'=', value @ ..]) = param.strip_prefix(name) {
                return Some(value);
            }
        }
    }
}

fn target(args: &Args<'_, '_>, number: bool) -> Result<super::Fetch, Mistake> {
    // One byte, whatever follows it.
    let delimiter = args.get(1).unwrap_or("?").as_bytes()[0];
    make(args, Place::Target(delimiter), number)
}

fn make(args: &Args<'_, '_>, place: Place, number: bool) -> Result<super::Fetch, Mistake> {
    let name = args.text(0).as_bytes().into();
    Ok(super::Fetch::Param(Fetch { place, name, number }))
}

pub(super) const TABLE: &[Spec] = &[
    row("url_param", Kind::Str, Avail::Request, (0, 2), |args, _| target(args, false)),
    row("urlp", Kind::Str, Avail::Request, (0, 2), |args, _| target(args, false)),
    row("urlp_val", Kind::Int, Avail::Request, (0, 2), |args, _| target(args, true)),
    row("req.body_param", Kind::Bin, Avail::Request, (0, 1), |args, _| {
        make(args, Place::Body, false)
    }),
];
