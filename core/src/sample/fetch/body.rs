//! Bodies, as far as they have come.

use super::{Kind, Sample, Scene, Side, Spec, Value, row};
use crate::http::{Chunk, ChunkDecoder};

/// A compiled fetch of this family.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    side: Side,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// The bytes that are there.
    Bytes,
    /// How many are there.
    Len,
    /// How many the head declares.
    Size,
}

impl Fetch {
    pub(super) fn get<'a>(&'a self, scene: &Scene<'a>) -> Sample<'a> {
        if let Err(sample) = self.side.head(scene) {
            return sample;
        }
        let (body, may_change) = bytes(self.side, scene);
        let value = match self.what {
            What::Bytes => Value::Bin(body),
            What::Len => Value::Int(body.len() as i64),
            What::Size => {
                let size = self.side.stream(scene).length.max(body.len() as u64);
                Value::Int(size.cast_signed())
            }
        };
        Sample { value: Some(value), may_change }
    }
}

/// The bytes of a body that are there, and whether there may be more of them. Chunks are joined in
/// the arena, unless there is but one.
pub(super) fn bytes<'a>(side: Side, scene: &Scene<'a>) -> (&'a [u8], bool) {
    let stream = side.stream(scene);
    if stream.chunked {
        let (body, over) = joined(stream.bytes, scene);
        return (body, !over && stream.more);
    }
    let held = stream.bytes.len();
    // A request without a length has no body: what follows it is the next one.
    let unlimited = stream.length == 0 && side.is_response(scene);
    let length = if unlimited { held } else { held.min(stream.length as usize) };
    let over = !unlimited && held as u64 >= stream.length;
    (&stream.bytes[..length], !over && stream.more)
}

/// The data of the chunks in `input`, and whether the last one is among them.
fn joined<'a>(input: &'a [u8], scene: &Scene<'a>) -> (&'a [u8], bool) {
    let mut decoder = ChunkDecoder::new();
    let mut only: &[u8] = b"";
    let mut all = bumpalo::collections::Vec::new_in(scene.arena());
    let mut rest = input;
    let over = loop {
        let (data, len) = match decoder.step(rest) {
            Chunk::Skip(len) => (false, len),
            Chunk::Data(len) => (true, len),
            Chunk::End(_) => break true,
            Chunk::NeedMore => break false,
            // Whoever forwards it says so.
            Chunk::Bad(_) => break true,
        };
        let (piece, behind) = rest.split_at(len);
        rest = behind;
        match data {
            true if all.is_empty() && only.is_empty() => only = piece,
            true => {
                if all.is_empty() {
                    all.extend_from_slice_copy(only);
                }
                all.extend_from_slice_copy(piece);
            }
            false => {}
        }
    };
    (if all.is_empty() { only } else { all.into_bump_slice() }, over)
}

macro_rules! body_row {
    ($name:literal, $kind:ident, $side:ident, $what:ident) => {
        row($name, Kind::$kind, Side::$side.avail(), (0, 0), |_, _| {
            Ok(super::Fetch::Body(Fetch { side: Side::$side, what: What::$what }))
        })
    };
}

pub(super) const TABLE: &[Spec] = &[
    body_row!("req.body", Bin, Request, Bytes),
    body_row!("req.body_len", Int, Request, Len),
    body_row!("req.body_size", Int, Request, Size),
    body_row!("res.body", Bin, Response, Bytes),
    body_row!("res.body_len", Int, Response, Len),
    body_row!("res.body_size", Int, Response, Size),
];
