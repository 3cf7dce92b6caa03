//! Why a head is refused.

use core::fmt;

/// A refused head: what is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BadHead {
    /// The offset of the first byte in error, counted from the start of the input.
    pub at: usize,
    /// What is wrong there.
    pub why: HeadError,
}

impl fmt::Display for BadHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.why.explain())
    }
}

impl core::error::Error for BadHead {}

/// What is wrong with a head. All of it is the sender's doing: a client's is answered with 400, a
/// server's with 502.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadError {
    /// A CR that no LF follows.
    BareCr,
    /// A LF that no CR precedes.
    BareLf,
    /// A control character that is none of CR, LF, NUL and HTAB, or HTAB where it may not stand.
    Control,
    /// More empty lines before a request than are skipped, or any before a response.
    EmptyLines,
    /// The first byte cannot start a message; most often TLS on a port without TLS.
    FirstByte,
    /// A field name is empty, or holds a byte that no token holds, or has no colon.
    FieldName,
    /// A line starts with white space, continuing the one before (obs-fold).
    Folded,
    /// A Host that is no host: a byte that none holds, a port that is none, user information.
    Host,
    /// Two Host fields that differ.
    HostConflict,
    /// The input is not exactly one head.
    Incomplete,
    /// The method is empty or no token.
    Method,
    /// A NUL byte.
    Nul,
    /// White space between a field name and its colon.
    SpaceBeforeColon,
    /// The status is not three digits from 100 to 999.
    Status,
    /// The target is empty or holds a byte that is not visible ASCII, or a fragment.
    Target,
    /// An absolute target names another host than the Host field.
    TargetAuthority,
    /// The target's form does not fit the method.
    TargetForm,
    /// A name or the whole head is longer than the model's offsets can say.
    TooLarge,
    /// More fields than [`HeadLimits::fields_max`](super::HeadLimits::fields_max).
    TooManyFields,
    /// Not HTTP/1.0 or HTTP/1.1.
    Version,
}

impl HeadError {
    /// What is wrong with a first byte that cannot start a message.
    pub(super) fn of_first(byte: u8) -> HeadError {
        match byte {
            b'\r' | b'\n' | b'\0' => HeadError::of_control(byte),
            _ => HeadError::FirstByte,
        }
    }

    /// What a control character is called that stands where none may.
    pub(super) fn of_control(byte: u8) -> HeadError {
        match byte {
            b'\r' => HeadError::BareCr,
            b'\n' => HeadError::BareLf,
            b'\0' => HeadError::Nul,
            _ => HeadError::Control,
        }
    }

    /// A sentence's worth for logs and `show errors`.
    pub fn explain(&self) -> &'static str {
        match self {
            HeadError::BareCr => "a CR is not followed by LF",
            HeadError::BareLf => "a LF is not preceded by CR",
            HeadError::Control => "a forbidden control character",
            HeadError::EmptyLines => "too many empty lines before the message",
            HeadError::FirstByte => "the first byte cannot start an HTTP message",
            HeadError::FieldName => "a header line does not start with a name and a colon",
            HeadError::Folded => "a header line is folded",
            HeadError::Host => "the Host header is not a host with or without a port",
            HeadError::HostConflict => "two Host headers differ",
            HeadError::Incomplete => "not exactly one whole head",
            HeadError::Method => "the method is not a token followed by one space",
            HeadError::Nul => "a NUL byte",
            HeadError::SpaceBeforeColon => "white space between a header name and its colon",
            HeadError::Status => "the status is not three digits from 100 to 999",
            HeadError::Target => "the request target holds a forbidden byte or is empty",
            HeadError::TargetAuthority => "the request target names another host than Host does",
            HeadError::TargetForm => "the form of the request target does not fit the method",
            HeadError::TooLarge => "the head or a header name is too large",
            HeadError::TooManyFields => "too many headers",
            HeadError::Version => "the version is not HTTP/1.0 or HTTP/1.1",
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain())
    }
}

impl core::error::Error for HeadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_is_wrong_and_where() {
        use HeadError::*;
        let all = [
            BareCr,
            BareLf,
            Control,
            EmptyLines,
            FirstByte,
            FieldName,
            Folded,
            Host,
            HostConflict,
            Incomplete,
            Method,
            Nul,
            SpaceBeforeColon,
            Status,
            Target,
            TargetAuthority,
            TargetForm,
            TooLarge,
            TooManyFields,
            Version,
        ];
        let said: std::collections::BTreeSet<String> = all.iter().map(|e| e.to_string()).collect();
        assert_eq!(said.len(), all.len(), "each in its own words");
        assert!(said.iter().all(|words| words.contains(' ')), "{said:?}");
        let bad = BadHead { at: 17, why: Nul };
        assert_eq!(bad.to_string(), format!("byte 17: {Nul}"));
    }
}
