//! A TLS ClientHello, as far as a proxy in TCP mode looks at it.

/// The record of a ClientHello that asks for `name` and offers `protocols` (ALPN, separated by
/// commas). `-` and an empty text stand for an extension that is not there.
pub fn client_hello(name: &str, protocols: &str) -> Vec<u8> {
    let mut extensions = Vec::new();
    if name != "-" {
        // server_name: a list of one host_name.
        let host = [&[0][..], &with_length(2, name.as_bytes())].concat();
        extension(&mut extensions, 0, &with_length(2, &host));
    }
    // supported_groups, ec_point_formats, signature_algorithms: what every client sends.
    extension(&mut extensions, 10, &with_length(2, &[0, 0x1d, 0, 0x17]));
    extension(&mut extensions, 11, &with_length(1, &[0]));
    extension(&mut extensions, 13, &with_length(2, &[4, 3, 8, 4, 4, 1]));
    if !protocols.is_empty() {
        let list: Vec<u8> =
            protocols.split(',').flat_map(|name| with_length(1, name.as_bytes())).collect();
        extension(&mut extensions, 16, &with_length(2, &list));
    }
    // supported_versions: 1.3 and 1.2.
    extension(&mut extensions, 43, &with_length(1, &[3, 4, 3, 3]));
    let random: Vec<u8> = (0..32).collect();
    let body = [
        &[3, 3][..],
        &random,
        &with_length(1, &[]),
        &with_length(2, &[0x13, 1, 0x13, 2, 0xc0, 0x2f]),
        &with_length(1, &[0]),
        &with_length(2, &extensions),
    ]
    .concat();
    let handshake = [&[1][..], &with_length(3, &body)].concat();
    [&[22, 3, 1][..], &with_length(2, &handshake)].concat()
}

fn extension(into: &mut Vec<u8>, kind: u16, data: &[u8]) {
    into.extend_from_slice(&kind.to_be_bytes());
    into.extend_from_slice(&with_length(2, data));
}

/// `data` behind its length of `width` bytes.
fn with_length(width: usize, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u32).to_be_bytes();
    [&length[4 - width..], data].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lengths_nest() {
        let hello = client_hello("www.example.com", "h2,http/1.1");
        let length = |at: usize| usize::from(hello[at]) << 8 | usize::from(hello[at + 1]);
        assert_eq!(hello[..3], [22, 3, 1]);
        assert_eq!(length(3), hello.len() - 5);
        assert_eq!(length(7), hello.len() - 9);
        let name = b"www.example.com";
        assert!(hello.windows(name.len()).any(|window| window == name));
    }
}
