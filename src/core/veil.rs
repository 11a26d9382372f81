//! The veil: finds secrets in foreign texts, in any encoding, and removes them.
//!
//! Pure. The HTTP client applies it to every answer and the round to the complaints of sources, because
//! both are quoted in logs, in the state and on terminals.

use std::borrow::Cow;

use super::secret::{HIDDEN, Secret};
use crate::core::order;

/// The length of the shortest run of a secret's characters that must not be quoted.
const RUN: usize = 6;

/// Secrets with fewer letters and digits are searched to the letter only, as they are and in the added
/// forms: a search in every encoding would find them everywhere.
const SHORTEST: usize = 5;

/// The greatest number of nested encodings that are searched, in texts of up to so many bytes; one in
/// longer texts. Each further encoding costs another search.
const DEPTHS: [(usize, u32); 2] = [(4 * 1024, 3), (64 * 1024, 2)];

/// Long texts are searched in overlapping pieces of this many bytes.
const WINDOW: usize = 16 * 1024;
const OVERLAP: usize = 1024;

/// The secrets that must not be repeated.
#[derive(Clone, Debug, Default)]
pub struct Veil {
    secrets: Vec<Secret>,
    /// Encoded secrets, which are hidden where a text holds them to the letter.
    forms: Vec<Secret>,
    /// Letters and digits of the secrets, forwards and backwards, in lower case.
    cores: Vec<Vec<u8>>,
    /// Every run of [`RUN`] of these characters, sorted; empty until it is needed.
    runs: Vec<[u8; RUN]>,
}

/// How much of a secret a text must hold to count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Much {
    /// `RUN` characters in a row.
    Part,
    /// All of its letters and digits.
    Whole,
}

impl Veil {
    /// Hides `secret` from now on.
    pub fn add(&mut self, secret: &Secret) {
        if !secret.expose().is_empty() && !self.secrets.contains(secret) {
            self.secrets.push(secret.clone());
            self.cores.clear();
            self.runs.clear();
        }
    }

    /// Whether `secret` is searched to the letter only, so that its encoded forms have to be added.
    pub fn is_faint(secret: &Secret) -> bool {
        core(secret.expose().as_bytes()).len() < SHORTEST
    }

    /// Hides `form`, an encoded secret, from now on where a text holds it to the letter.
    pub fn add_form(&mut self, form: &str) {
        let form = Secret::new(form);
        if !form.expose().is_empty() && !self.forms.contains(&form) {
            self.forms.push(form);
        }
    }

    fn to_the_letter(&self) -> impl Iterator<Item = &str> {
        self.forms.iter().chain(&self.secrets).map(Secret::expose)
    }

    /// Whether `text` holds a secret or enough of one; [`Veil::clean`] would take it out.
    pub fn is_in(&mut self, text: &str, much: Much) -> bool {
        self.prepare();
        self.to_the_letter().any(|secret| text.contains(secret))
            || self.holds(text.as_bytes(), much)
    }

    /// `text` without the secrets that it holds, in any form, and with as little else taken out as
    /// possible; `None` where it holds none. `much` says how much of a secret counts; a secret in its
    /// plain form always counts.
    pub fn clean(&mut self, text: &str, much: Much) -> Option<String> {
        self.prepare();
        let mut plain = Cow::Borrowed(text);
        for secret in self.to_the_letter() {
            if plain.contains(secret) {
                plain = plain.replace(secret, HIDDEN).into();
            }
        }
        let holds = |text: &str| self.holds(text.as_bytes(), much);
        if !holds(&plain) {
            return match plain {
                Cow::Borrowed(_) => None,
                Cow::Owned(cleaned) => Some(cleaned),
            };
        }
        let is_quote = |c: char| matches!(c, '"' | '<' | '>');
        let levels: [&dyn Fn(char) -> bool; 2] =
            [&|c| c.is_whitespace() || c == ',' || is_quote(c), &|c| c == '\n' || is_quote(c)];
        for is_between in levels {
            let mut cleaned = String::with_capacity(plain.len());
            for piece in plain.split_inclusive(is_between) {
                if holds(piece) {
                    let end = piece.char_indices().next_back().filter(|(_, c)| is_between(*c));
                    let end = end.map_or(piece.len(), |(at, _)| at);
                    self.hide(&piece[..end], much, &mut cleaned);
                    cleaned.push_str(&piece[end..]);
                } else {
                    cleaned.push_str(piece);
                }
            }
            if !holds(&cleaned) {
                return Some(cleaned);
            }
        }
        let mut cleaned = String::new();
        self.hide(&plain, much, &mut cleaned);
        Some(cleaned)
    }

    /// Appends the replacement of `text`; a first word that may be the protocol's own stays.
    fn hide(&self, text: &str, much: Much, cleaned: &mut String) {
        let text = text.trim_start();
        let first = text.split_whitespace().next().unwrap_or_default();
        if (3..text.len()).contains(&first.len())
            && first.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'!')
            && !self.holds(first.as_bytes(), much)
        {
            cleaned.push_str(first);
            cleaned.push(' ');
        }
        cleaned.push_str(HIDDEN);
    }

    fn prepare(&mut self) {
        if !self.cores.is_empty() {
            return;
        }
        for secret in &self.secrets {
            let core = core(secret.expose().as_bytes());
            if core.len() >= SHORTEST {
                let backwards: Vec<u8> = core.iter().rev().copied().collect();
                self.cores.extend([core, backwards]);
            }
        }
        let runs = self.cores.iter().flat_map(|core| core.windows(RUN));
        self.runs = runs.filter_map(|run| run.try_into().ok()).collect();
        order::sort(&mut self.runs);
        self.runs.dedup();
    }

    fn holds(&self, text: &[u8], much: Much) -> bool {
        if self.cores.is_empty() {
            return false;
        }
        let depth = DEPTHS.into_iter().find(|(most, _)| text.len() <= *most);
        let depth = depth.map_or(1, |(_, depth)| depth);
        let mut from = 0;
        loop {
            let to = text.len().min(from + WINDOW);
            if self.holds_below(&text[from..to], much, depth) {
                return true;
            }
            if to == text.len() {
                return false;
            }
            from = to - OVERLAP;
        }
    }

    /// Whether a short text holds a secret, below up to `depth` further nested encodings.
    fn holds_below(&self, text: &[u8], much: Much, depth: u32) -> bool {
        if text.len() < SHORTEST {
            return false;
        }
        if self.core_holds(&core(text), much) {
            return true;
        }
        let Some(depth) = depth.checked_sub(1) else { return false };
        let below = |text: &[u8]| self.holds_below(text, much, depth);
        unescaped(text).is_some_and(|text| below(&text))
            || (0..2).any(|skipped| below(&from_hex(text, skipped)))
            || (0..4).any(|skipped| below(&from_base64(text, skipped)))
    }

    fn core_holds(&self, text: &[u8], much: Much) -> bool {
        let is_run =
            |run: &[u8]| run.try_into().is_ok_and(|run| self.runs.binary_search(&run).is_ok());
        let contains = |core: &Vec<u8>| text.windows(core.len()).any(|part| part == &core[..]);
        let is_short = |core: &&Vec<u8>| core.len() < RUN;
        let any_run = text.windows(RUN).any(is_run);
        match much {
            Much::Part if any_run => true,
            Much::Whole if any_run => self.cores.iter().any(contains),
            Much::Part | Much::Whole => self.cores.iter().filter(is_short).any(contains),
        }
    }
}

/// The letters and digits of `text` in lower case: characters between them, from the zeros of UTF-16 to
/// zero-width characters, hide nothing.
fn core(text: &[u8]) -> Vec<u8> {
    let plain = text.iter().filter(|byte| byte.is_ascii_alphanumeric());
    plain.map(u8::to_ascii_lowercase).collect()
}

/// `text` with one layer of escapes undone: those of URLs, of quoted-printable, of JSON, C and shells,
/// of HTML and XML; `None` where there are none. Escaped characters beyond ASCII are left out.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut any = false;
    while let Some((&first, after)) = rest.split_first() {
        let found = match first {
            b'%' | b'=' => digits(after, 16, 2..=2),
            b'\\' => match after.first() {
                Some(b'u' | b'U') => {
                    let braces = usize::from(after.get(1) == Some(&b'{'));
                    let longest = if after[0] == b'U' { 8 } else { 4 };
                    let least = if braces == 0 { longest } else { 1 };
                    digits(&after[1 + braces..], 16, least..=longest)
                        .map(|(code, length)| (code, length + 1 + 2 * braces))
                }
                Some(b'x') => {
                    digits(&after[1..], 16, 1..=2).map(|(code, length)| (code, length + 1))
                }
                Some(b'0'..=b'7') => digits(after, 8, 1..=3),
                Some(byte) => Some((u32::from(*byte), 1)),
                None => None,
            },
            b'&' if after.first() == Some(&b'#') => {
                let hex = usize::from(matches!(after.get(1), Some(b'x' | b'X')));
                let radix = if hex == 1 { 16 } else { 10 };
                digits(&after[1 + hex..], radix, 1..=8).map(|(code, length)| {
                    let end = 1 + hex + length;
                    (code, end + usize::from(after.get(end) == Some(&b';')))
                })
            }
            _ => None,
        };
        match found {
            Some((code, length)) => {
                any = true;
                out.extend(u8::try_from(code).ok().filter(u8::is_ascii));
                rest = after.get(length..).unwrap_or_default();
            }
            // A soft line break: the line continues in the next one (RFC 2045, section 6.7).
            None if first == b'=' && matches!(after.first(), Some(b'\r' | b'\n')) => rest = after,
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    any.then_some(out)
}

/// The number that begins `text`, with as many digits as `lengths` allow, and the count of its digits.
fn digits(
    text: &[u8],
    radix: u32,
    lengths: std::ops::RangeInclusive<usize>,
) -> Option<(u32, usize)> {
    let value = |byte: &u8| char::from(*byte).to_digit(radix);
    let found: Vec<u32> = text.iter().map_while(value).take(*lengths.end()).collect();
    let number = found.iter().fold(0u32, |all, digit| all.wrapping_mul(radix).wrapping_add(*digit));
    lengths.contains(&found.len()).then_some((number, found.len()))
}

/// The bytes that pairs of hexadecimal digits in `text` stand for, whatever separates them; of each run
/// the first `skipped` digits are left out.
fn from_hex(text: &[u8], skipped: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut run = Vec::new();
    let mut end = |run: &mut Vec<u8>| {
        for pair in run.get(skipped..).unwrap_or_default().chunks_exact(2) {
            out.push(pair[0] << 4 | pair[1]);
        }
        run.clear();
    };
    for (at, byte) in text.iter().enumerate() {
        match char::from(*byte).to_digit(16) {
            // Some write every byte as 0x73: the zero before the x is no digit.
            Some(0) if matches!(text.get(at + 1), Some(b'x' | b'X')) => {}
            Some(digit) => run.extend(u8::try_from(digit)),
            None if byte.is_ascii_alphabetic() && !matches!(byte, b'x' | b'X') => end(&mut run),
            None => {}
        }
    }
    end(&mut run);
    out
}

/// The bytes that Base64 in `text` stands for, in either alphabet (RFC 4648), without white space; of
/// each run the first `skipped` characters are left out, because text before it may look like Base64.
fn from_base64(text: &[u8], skipped: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count, mut to_skip) = (0u32, 0u32, skipped);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ if byte.is_ascii_whitespace() || byte.is_ascii_control() => continue,
            _ => {
                (count, to_skip) = (0, skipped);
                out.push(b' ');
                continue;
            }
        };
        if to_skip > 0 {
            to_skip -= 1;
            continue;
        }
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count).to_be_bytes()[3]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const SECRET: &str = "Zx7kQp2-Lm9+Wv4t";

    fn veil() -> Veil {
        let mut veil = Veil::default();
        veil.add(&Secret::new(SECRET));
        veil
    }

    fn joined(between: &str) -> String {
        SECRET.chars().flat_map(|c| [c.to_string(), between.to_owned()]).collect()
    }

    fn each(form: impl Fn(u8) -> String) -> String {
        SECRET.bytes().map(form).collect()
    }

    /// The secret in every form that a server may give it.
    fn forms() -> Vec<String> {
        let wide = |little: bool| -> String {
            SECRET
                .chars()
                .map(|c| if little { format!("{c}\0") } else { format!("\0{c}") })
                .collect()
        };
        let percent = each(|b| format!("%{b:02x}"));
        let basic = format!("login:{SECRET}");
        vec![
            SECRET.to_owned(),
            SECRET.to_uppercase(),
            SECRET.chars().rev().collect(),
            wide(true),
            wide(false),
            joined("\0\0\0"),
            joined(" "),
            joined("\u{200b}"),
            joined("\x01"),
            joined("-"),
            joined("\n"),
            percent.clone(),
            percent.to_uppercase(),
            percent.replace('%', "%25"),
            each(|b| format!("&#{b};")),
            each(|b| format!("&#x{b:X};")),
            each(|b| format!("&#{b:05}")),
            each(|b| format!("{}&#8203;", char::from(b))),
            each(|b| format!("\\u{b:04x}")),
            each(|b| format!("\\\\u{b:04X}")),
            each(|b| format!("\\u{{{b:x}}}")),
            each(|b| format!("\\x{b:02x}")),
            each(|b| format!("\\{b:03o}")),
            each(|b| format!("\\{}", char::from(b)))
                .replace("\\2", "2")
                .replace("\\7", "7")
                .replace("\\4", "4"),
            each(|b| format!("={b:02X}")),
            SECRET.replace("p2", "p=\r\n2"),
            each(|b| format!("{b:02x}")),
            each(|b| format!("{b:02X} ")),
            each(|b| format!("{b:02x}:")),
            each(|b| format!("0x{b:02x}, ")),
            STANDARD.encode(SECRET),
            STANDARD.encode(&basic),
            URL_SAFE_NO_PAD.encode(&basic),
            format!("Basic {}", STANDARD.encode(&basic)),
            format!("x{}", STANDARD.encode(&basic)),
            STANDARD.encode(&basic).chars().flat_map(|c| [c, '\n']).collect(),
            STANDARD.encode(STANDARD.encode(&basic)),
            STANDARD.encode(wide(true)),
            each(|b| {
                format!(
                    "%{:02x}%{:02x}",
                    b"0123456789abcdef"[usize::from(b >> 4)],
                    b"0123456789abcdef"[usize::from(b & 15)]
                )
            }),
        ]
    }

    fn cleaned(text: &str, much: Much) -> String {
        veil().clean(text, much).unwrap_or_else(|| text.to_owned())
    }

    fn reveals(text: &str) -> bool {
        let mut veil = veil();
        veil.prepare();
        veil.holds(text.as_bytes(), Much::Part)
    }

    #[test]
    fn a_secret_is_found_in_every_form_and_taken_out() {
        for form in forms() {
            for much in [Much::Part, Much::Whole] {
                for text in [
                    form.clone(),
                    format!("badauth {form}"),
                    format!("{{\"detail\": \"no {form} here\", \"x\": \"harmless\"}}"),
                    format!("<errors><error>{form}</error><error>harmless</error></errors>"),
                ] {
                    assert!(reveals(&text), "{text:?}");
                    let cleaned = cleaned(&text, much);
                    assert!(!reveals(&cleaned), "{text:?} {cleaned:?}");
                    assert!(cleaned.contains(HIDDEN), "{cleaned}");
                }
                let text = format!("badauth {form}");
                assert!(cleaned(&text, much).starts_with("badauth "), "{text:?}");
            }
        }
    }

    #[test]
    fn what_goes_with_a_secret_stays() {
        let text = format!("{{\"name\": \"{}\", \"id\": \"a-b\"}}", STANDARD.encode(SECRET));
        assert_eq!(cleaned(&text, Much::Whole), "{\"name\": \"…\", \"id\": \"a-b\"}");
        assert_eq!(cleaned(&format!("t={SECRET}!"), Much::Part), "t=…!");
        for harmless in ["good 192.0.2.1", "{\"detail\":\"Invalid token.\"}", "", "…"] {
            assert_eq!(veil().clean(harmless, Much::Part), None);
        }
    }

    #[test]
    fn six_characters_in_a_row_are_too_many_to_be_quoted() {
        assert_eq!(cleaned("wrong: zx7kqp...", Much::Part), "wrong: …");
        assert_eq!(cleaned("wrong: zx7kq...", Much::Part), "wrong: zx7kq...");
        assert_eq!(veil().clean("wrong: zx7kqp...", Much::Whole), None);
    }

    #[test]
    fn short_secrets_are_hidden_as_they_are() {
        let mut veil = Veil::default();
        veil.add(&Secret::new("s3c"));
        veil.add(&Secret::new(""));
        assert_eq!(veil.clean("x s3c", Much::Part).as_deref(), Some("x …"));
        assert_eq!(veil.clean("S3C", Much::Part), None);
        veil.add(&Secret::new("abc12"));
        assert_eq!(veil.clean("A-B-C-1-2 y", Much::Part).as_deref(), Some("… y"));
        assert_eq!(veil.clean("%61bc%31%32", Much::Whole).as_deref(), Some("…"));
    }

    #[test]
    fn long_texts_are_looked_at_as_a_whole() {
        for at in [0, WINDOW - 7, WINDOW * 3 - 20, 99_000] {
            let text = format!("{} {SECRET}x {}", "x".repeat(at), "y".repeat(100_000 - at));
            assert!(reveals(&text), "{at}");
        }
        assert_eq!(Veil::default().clean(SECRET, Much::Part), None);
    }

    #[test]
    fn no_bytes_are_too_strange() {
        for text in ["%", "%4", "\\u", "\\u{", "\\u{41", "\\x", "\\", "&#", "&#x", "="] {
            for front in ["", "abcdef", "%61%62%63%64%65%66"] {
                assert!(!reveals(&format!("{front}{text}")));
            }
        }
    }
}
