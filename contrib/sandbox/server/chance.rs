//! Ids and secrets that nobody can guess beforehand.
//!
//! The standard library's only source of chance is the key of its hash maps: good enough for
//! credentials that open nothing but this process.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// A random UUID (version 4) in its usual form.
pub fn uuid() -> String {
    let bits = u128::from(number()) << 64 | u128::from(number());
    let digits = format!("{bits:032x}");
    let variant = ['8', '9', 'a', 'b'][(bits & 3) as usize];
    format!(
        "{}-{}-4{}-{variant}{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    )
}

/// 28 letters and digits, as deSEC's are.
pub fn secret() -> String {
    text(28, "abcdefghijkmnpqrstuvwxyz23456789")
}

/// So many of these characters, each of which takes one byte.
pub fn text(length: usize, alphabet: &str) -> String {
    let letters = alphabet.as_bytes();
    let count = letters.len() as u64;
    let place = || usize::try_from(number() % count).unwrap_or_default();
    (0..length).map(|_| char::from(letters[place()])).collect()
}

/// So many hexadecimal digits, in lower case.
pub fn hexadecimal(length: usize) -> String {
    text(length, "0123456789abcdef")
}

/// Whether `text` has the form of a UUID, in lower case as the server's links have it.
pub fn is_uuid(text: &str) -> bool {
    let fits = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

/// The UUID that `text` stands for in any of the ways in which Python reads one.
pub fn canonical_uuid(text: &str) -> Option<String> {
    let digits = text.replace("urn:", "").replace("uuid:", "");
    let digits = digits.trim_matches(['{', '}']).replace('-', "").to_ascii_lowercase();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let ends = [0, 8, 12, 16, 20, 32];
    let parts: Vec<&str> = ends.windows(2).map(|end| &digits[end[0]..end[1]]).collect();
    Some(parts.join("-"))
}

fn number() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_their_form_and_differ() {
        let id = uuid();
        assert!(is_uuid(&id), "{id}");
        assert_eq!(id.as_bytes()[14], b'4');
        assert_ne!(id, uuid());
        assert!(!is_uuid("00000000-0000-4000-8000-00000000000"));
        assert!(!is_uuid("default"));
    }

    #[test]
    fn secrets_have_28_characters_and_differ() {
        assert_eq!(secret().len(), 28);
        assert_ne!(secret(), secret());
    }
}
