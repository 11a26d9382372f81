//! Phrases that the texts of built-in entries hold often: there, each is one control character.
//!
//! It makes the table a fifth smaller, which counts in the flash of a router. Constants and functions
//! of std alone, because build.rs reads this file, too.

use std::borrow::Cow;

/// The phrases, the longest first.
const PHRASES: [&str; SIGNS.len()] = [
    "Authorization: Bearer {secret}",
    "; nothing narrower is offered",
    "Authorization: Basic {basic}",
    "credential",
    "https://",
    "address",
    "account",
    "request",
    "default",
    "record",
    "domain",
    "update",
    "secret",
    "status",
    "delete",
    "change",
    "code=",
    "label",
    "token",
    "name",
    "the ",
    "zone",
    "type",
    "200 ",
    "host",
    "\":\"{",
    "has=",
    "}\",\"",
    ".com",
    "word",
    "dns",
    "ttl",
    "for",
];

/// The characters that stand for them, which no text holds otherwise.
const SIGNS: [char; 33] = [
    '\u{3}', '\u{4}', '\u{5}', '\u{6}', '\u{7}', '\u{8}', '\u{9}', '\u{a}', '\u{80}', '\u{b}',
    '\u{c}', '\u{d}', '\u{e}', '\u{f}', '\u{81}', '\u{82}', '\u{10}', '\u{11}', '\u{12}', '\u{13}',
    '\u{14}', '\u{15}', '\u{16}', '\u{17}', '\u{18}', '\u{19}', '\u{1a}', '\u{1b}', '\u{1c}',
    '\u{1d}', '\u{1e}', '\u{1f}', '\u{7f}',
];

/// `text` with each phrase as its character.
#[allow(dead_code, reason = "build.rs alone shrinks texts")]
pub fn shrink(text: &str) -> String {
    let phrases = PHRASES.iter().zip(SIGNS);
    phrases.fold(text.to_owned(), |text, (phrase, sign)| text.replace(phrase, &sign.to_string()))
}

/// `text` with each phrase in full.
#[allow(dead_code, reason = "the program alone expands them")]
pub fn expand(text: &'static str) -> Cow<'static, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut whole = String::with_capacity(2 * text.len());
    for c in text.chars() {
        // An import expands every entry for each host, and most characters are not looked for.
        let sign = if c.is_control() { SIGNS.iter().position(|sign| *sign == c) } else { None };
        match sign {
            Some(at) => whole.push_str(PHRASES[at]),
            None => whole.push(c),
        }
    }
    Cow::Owned(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_after_they_were_made_smaller() {
        for text in
            ["", "a", "https://api.example.com/zones/{zone-id}/records", "the record, \u{fc}"]
        {
            let small: &'static str = shrink(text).leak();
            assert!(small.len() <= text.len() && expand(small) == text, "{text}");
        }
        assert_eq!(shrink("Authorization: Bearer {secret}").chars().count(), 1);
    }
}
