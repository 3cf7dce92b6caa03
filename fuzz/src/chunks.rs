//! Chunked bodies: the core's decoder against the reference, cut anywhere, with data seen or passed
//! on unseen; and what is encoded is decoded.

use tidegate_core::http::{CHUNK_HEAD_MAX, Chunk, ChunkDecoder, LAST_CHUNK, write_chunk_head};

use crate::reference::{Read, body};
use crate::{Target, texts};

/// The target.
pub const TARGET: Target =
    Target { name: "chunked", run, seeds: texts::chunks, words: texts::chunk_words };

/// What decoding came to.
#[derive(Debug, PartialEq)]
struct Decoded {
    body: Vec<u8>,
    end: Read<()>,
}

/// Runs the target on the bytes of a body, and what may follow it.
pub fn run(input: &[u8]) {
    let expected = body::chunked(input);
    let expected = Decoded { body: expected.body, end: expected.end };
    assert_eq!(decode(input, &[], false), expected, "whole");
    assert_eq!(decode(input, &[], true), expected, "passed unseen");
    let bytewise: Vec<usize> = (0..input.len()).collect();
    assert_eq!(decode(input, &bytewise, false), expected, "byte by byte");
    let most = if input.len() <= 64 { 64 } else { 12 };
    for cut in crate::cuts(input, most) {
        assert_eq!(decode(input, &[cut], cut % 2 == 0), expected, "cut at {cut}");
    }
    encode(&expected.body, input);
}

/// Decodes pieces that end at the cuts, which are sorted, and at the end of the input.
fn decode(input: &[u8], cuts: &[usize], unseen: bool) -> Decoded {
    let mut decoder = ChunkDecoder::new();
    let (mut body, mut at) = (Vec::new(), 0);
    for cut in cuts.iter().copied().chain([input.len()]) {
        loop {
            let piece = &input[at..cut];
            let left = usize::try_from(decoder.left()).unwrap_or(usize::MAX).min(piece.len());
            if unseen && left > 0 {
                decoder.pass(left as u64);
                body.extend_from_slice(&piece[..left]);
                at += left;
                continue;
            }
            match decoder.step(piece) {
                Chunk::NeedMore => {
                    assert!(piece.is_empty(), "more is needed, and there is more");
                    break;
                }
                Chunk::Skip(count) => {
                    assert!((1..=piece.len()).contains(&count), "{count} of {}", piece.len());
                    at += count;
                }
                Chunk::Data(count) => {
                    assert!((1..=piece.len()).contains(&count), "{count} of {}", piece.len());
                    body.extend_from_slice(&piece[..count]);
                    at += count;
                }
                Chunk::End(count) => {
                    assert!(count <= piece.len(), "{count} of {}", piece.len());
                    assert!(decoder.is_done() && decoder.step(b"x") == Chunk::End(0));
                    return Decoded { body, end: Read::Whole((), at + count) };
                }
                Chunk::Bad(error) => {
                    assert_eq!(decoder.step(b"0\r\n\r\n"), Chunk::Bad(error), "it recovered");
                    return Decoded { body, end: Read::Bad };
                }
            }
        }
    }
    assert!(!decoder.is_done());
    Decoded { body, end: Read::Partial }
}

/// Encodes in chunks whose sizes follow from `input`, and reads it again.
fn encode(body: &[u8], input: &[u8]) {
    let mut wire = Vec::new();
    let mut rest = body;
    let mut sizes = input.iter().cycle();
    while !rest.is_empty() {
        let size = sizes.next().map_or(1, |byte| usize::from(*byte) + 1);
        let (chunk, after) = rest.split_at(rest.len().min(size));
        let mut head = [0; CHUNK_HEAD_MAX];
        let len = write_chunk_head(chunk.len() as u64, &mut head);
        wire.extend_from_slice(&head[..len]);
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
        rest = after;
    }
    wire.extend_from_slice(LAST_CHUNK);
    let whole = Read::Whole((), wire.len());
    let again = body::chunked(&wire);
    assert_eq!((again.body.as_slice(), &again.end), (body, &whole), "the reference reads it");
    assert_eq!(decode(&wire, &[], false), Decoded { body: body.to_vec(), end: whole });
}
