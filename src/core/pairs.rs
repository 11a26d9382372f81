//! A long text in about half of its bytes: each of the pairs that it holds most often is one byte.
//!
//! The comments of the example configuration are the manual of the configuration, and so are part of the
//! program. Functions of std alone, because build.rs reads this file, too.

/// The byte of the first pair; the bytes below are ASCII characters.
const FIRST: u8 = 128;

/// The number of pairs: all other bytes.
const COUNT: usize = 128;

/// The packed form of `text`: two bytes for each pair, in the order of the pairs' bytes, then the text.
/// A pair may hold those before it. `None` for a text with other characters than those of ASCII.
#[allow(dead_code, reason = "build.rs alone packs texts")]
pub fn pack(text: &str) -> Option<Vec<u8>> {
    let mut body = text.is_ascii().then(|| text.as_bytes().to_vec())?;
    let mut packed = Vec::new();
    for sign in FIRST..=u8::MAX {
        let pair = most_frequent(&body);
        packed.extend(pair);
        let mut rest = body.as_slice();
        let mut shorter = Vec::new();
        while let Some((first, after)) = rest.split_first() {
            let is_pair = rest.starts_with(&pair);
            shorter.push(if is_pair { sign } else { *first });
            rest = if is_pair { &rest[pair.len()..] } else { after };
        }
        body = shorter;
    }
    packed.extend(body);
    Some(packed)
}

/// The pair of neighbours that is in `bytes` most often; of several the first in the order of bytes, so
/// that the same text is always packed alike.
fn most_frequent(bytes: &[u8]) -> [u8; 2] {
    let mut counts = vec![0_u32; 1 << 16];
    for pair in bytes.windows(2) {
        counts[usize::from(u16::from_be_bytes([pair[0], pair[1]]))] += 1;
    }
    let most = counts.iter().max().copied().unwrap_or_default();
    let place = counts.iter().position(|count| *count == most).unwrap_or_default();
    u16::try_from(place).unwrap_or_default().to_be_bytes()
}

/// The text of its packed form.
#[allow(dead_code, reason = "the program alone unpacks them")]
pub fn unpack(packed: &[u8]) -> String {
    let (pairs, body) = packed.split_at_checked(2 * COUNT).unwrap_or_default();
    let mut text = String::with_capacity(2 * packed.len());
    let mut waiting = Vec::new();
    for sign in body {
        waiting.push(*sign);
        while let Some(sign) = waiting.pop() {
            match sign.checked_sub(FIRST) {
                None => text.push(char::from(sign)),
                Some(place) => {
                    let at = 2 * usize::from(place);
                    waiting.extend([pairs[at + 1], pairs[at]]);
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_after_they_were_packed() {
        let example = include_str!("../../config.example.toml");
        for text in ["", "a", "ab", "aaaaaaa", "the other then", example] {
            assert_eq!(unpack(&pack(text).unwrap()), text);
        }
        assert!(pack(example).unwrap().len() < example.len() * 3 / 5);
        assert_eq!(pack("\u{fc}"), None);
        assert_eq!(unpack(b""), "");
    }
}
