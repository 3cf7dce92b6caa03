//! Bytes as readable text, and back.

/// A repetition is written as `{text*count}` from so many bytes on.
const RUN_MIN: usize = 48;

/// The longest text that is looked at as one that repeats.
const PERIOD_MAX: usize = 24;

/// One line of text in which every byte can be read: `\r`, `\n`, `\t`, `\xHH`, `{text*count}`.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let (period, count) = repetition(&bytes[at..]);
        if count > 1 {
            text.push('{');
            push(&bytes[at..at + period], &mut text);
            text.push_str(&format!("*{count}}}"));
            at += period * count;
        } else {
            push(&bytes[at..=at], &mut text);
            at += 1;
        }
    }
    text
}

fn push(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        match byte {
            b'{' => text.push_str("\\x7b"),
            b'}' => text.push_str("\\x7d"),
            b'\'' | b'"' => text.push(char::from(*byte)),
            _ => text.push_str(&byte.escape_ascii().to_string()),
        }
    }
}

/// What `bytes` begin with again and again, if that is worth a notation.
fn repetition(bytes: &[u8]) -> (usize, usize) {
    for period in 1..=PERIOD_MAX.min(bytes.len()) {
        let unit = &bytes[..period];
        let count = bytes.chunks_exact(period).take_while(|chunk| *chunk == unit).count();
        if count > 1 && period * count >= RUN_MIN {
            return (period, count);
        }
    }
    (1, 1)
}

/// The bytes that [`shown`] would show as `text`.
pub fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '\\' => rest = escaped(rest, &mut out)?,
            '{' => {
                let (inner, after) = rest[1..].split_once('}').ok_or("a brace is not closed")?;
                let (unit, count) = inner.rsplit_once('*').ok_or("a repetition without '*'")?;
                let count: usize = count.parse().map_err(|_| format!("'{count}' times?"))?;
                out.extend(bytes(unit)?.repeat(count));
                rest = after;
            }
            _ => {
                let len = first.len_utf8();
                out.extend_from_slice(&rest.as_bytes()[..len]);
                rest = &rest[len..];
            }
        }
    }
    Ok(out)
}

fn escaped<'a>(text: &'a str, out: &mut Vec<u8>) -> Result<&'a str, String> {
    let code = text[1..].chars().next().ok_or("a backslash at the end")?;
    let byte = match code {
        'r' => b'\r',
        'n' => b'\n',
        't' => b'\t',
        '\\' => b'\\',
        'x' => {
            let digits = text.get(2..4).ok_or("\\x without two digits")?;
            out.push(u8::from_str_radix(digits, 16).map_err(|error| error.to_string())?);
            return Ok(&text[4..]);
        }
        _ => return Err(format!("'\\{code}' means nothing")),
    };
    out.push(byte);
    Ok(&text[1 + code.len_utf8()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for (raw, text) in [
            (b"GET / HTTP/1.1\r\n\t\\\"'".to_vec(), "GET / HTTP/1.1\\r\\n\\t\\\\\"'"),
            (b"\0\x7f\xff{}".to_vec(), "\\x00\\x7f\\xff\\x7b\\x7d"),
            ([b"a".to_vec(), b"b".repeat(100)].concat(), "a{b*100}"),
            (b"x: 1\r\n".repeat(20), "{x: 1\\r\\n*20}"),
            (b"b".repeat(20), "bbbbbbbbbbbbbbbbbbbb"),
        ] {
            assert_eq!(shown(&raw), text);
            assert_eq!(bytes(text), Ok(raw));
        }
        for text in ["\\q", "\\x1", "{a", "{a}", "{a*x}", "\\"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
