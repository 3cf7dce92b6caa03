//! A schedule of what peers do, read from the bytes of an input, and written for seeds.

use arbitrary::{Result, Unstructured};

/// One step. A number says to whom or how much, of those who are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Somebody says these bytes.
    Say(u8, Vec<u8>),
    /// Somebody says one of the texts that are there to be said.
    Text(u8, u8),
    /// Somebody says so many times 64 bytes that tell where they stand.
    Fill(u8, u8),
    /// A client comes.
    Connect,
    /// Somebody ends his direction.
    End(u8),
    /// Somebody resets.
    Reset(u8),
    /// Somebody takes so many bytes more; 255 is all.
    Window(u8, u8),
    /// A connection attempt succeeds.
    Establish(u8),
    /// A connection attempt fails.
    Refuse(u8),
    /// So many times 10 ms pass.
    Wait(u8),
    /// Descriptors are short, or are not.
    Shortage(u8),
    /// Pipes are refused, or are not.
    Pipes(u8),
    /// Pause, resume, trim.
    Signal(u8),
}

/// The kinds of step.
const KINDS: u8 = 13;

impl Step {
    /// Reads the next one.
    ///
    /// # Errors
    ///
    /// At the end of the input.
    pub fn read(input: &mut Unstructured<'_>) -> Result<Step> {
        let kind: u8 = input.arbitrary()?;
        if input.is_empty() && kind % KINDS != 3 {
            return Err(arbitrary::Error::NotEnoughData);
        }
        let mut byte = || input.arbitrary::<u8>();
        Ok(match kind % KINDS {
            0 => {
                let (who, len) = (byte()?, byte()?);
                Step::Say(who, input.bytes(usize::from(len).min(input.len()))?.to_vec())
            }
            1 => Step::Text(byte()?, byte()?),
            2 => Step::Fill(byte()?, byte()?),
            3 => Step::Connect,
            4 => Step::End(byte()?),
            5 => Step::Reset(byte()?),
            6 => Step::Window(byte()?, byte()?),
            7 => Step::Establish(byte()?),
            8 => Step::Refuse(byte()?),
            9 => Step::Wait(byte()?),
            10 => Step::Shortage(byte()?),
            11 => Step::Pipes(byte()?),
            _ => Step::Signal(byte()?),
        })
    }

    /// Writes it as it is read.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Step::Say(who, bytes) => {
                for part in bytes.chunks(255) {
                    out.extend([0, *who, part.len() as u8]);
                    out.extend_from_slice(part);
                }
            }
            Step::Text(who, which) => out.extend([1, *who, *which]),
            Step::Fill(who, count) => out.extend([2, *who, *count]),
            Step::Connect => out.push(3),
            Step::End(who) => out.extend([4, *who]),
            Step::Reset(who) => out.extend([5, *who]),
            Step::Window(who, count) => out.extend([6, *who, *count]),
            Step::Establish(which) => out.extend([7, *which]),
            Step::Refuse(which) => out.extend([8, *which]),
            Step::Wait(count) => out.extend([9, *count]),
            Step::Shortage(on) => out.extend([10, *on]),
            Step::Pipes(on) => out.extend([11, *on]),
            Step::Signal(which) => out.extend([12, *which]),
        }
    }
}

/// An input of these bytes and steps.
pub fn input(start: &[u8], steps: &[Step]) -> Vec<u8> {
    let mut out = start.to_vec();
    steps.iter().for_each(|step| step.write(&mut out));
    out
}

/// Bytes that tell of which stream they are and where in it.
pub fn numbered(stream: usize, at: usize, len: usize) -> impl Iterator<Item = u8> {
    (at..at + len).map(move |i| (i.wrapping_mul(31) >> 3) as u8 ^ (stream as u8).wrapping_mul(101))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let steps = [
            Step::Connect,
            Step::Say(1, b"abc".to_vec()),
            Step::Text(2, 3),
            Step::Fill(4, 5),
            Step::End(6),
            Step::Reset(7),
            Step::Window(8, 9),
            Step::Establish(10),
            Step::Refuse(11),
            Step::Wait(12),
            Step::Shortage(1),
            Step::Pipes(0),
            Step::Signal(2),
            Step::Connect,
        ];
        let bytes = input(b"", &steps);
        let mut read = Unstructured::new(&bytes);
        let again: Vec<Step> = (0..steps.len()).map(|_| Step::read(&mut read).unwrap()).collect();
        assert_eq!(again, steps);
        assert!(Step::read(&mut read).is_err());
    }
}
