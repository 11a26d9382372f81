//! Secrets and texts with secrets that cannot be printed by accident, and the fingerprints of secrets.
//!
//! Holds values only; reading secret files and computing fingerprints is the shell's work.

use std::fmt;
use std::ops::Range;

use super::protocol::manners::Protocol;

/// The replacement of a secret in texts.
pub const HIDDEN: &str = "…";

/// A password or API token. `Debug` never shows it; there is no `Display` and no `Serialize`.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`; the caller has checked that it is one line.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The secret as text; a search for `expose()` finds every place where a secret leaves.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Text that may hold secrets, such as a URL or a body: `Debug` and `Display` show `…` for each.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Guarded {
    text: String,
    /// The range of each secret in the text, in the order of the text, with the secret.
    held: Vec<(Range<usize>, Secret)>,
}

impl Guarded {
    /// Appends text that holds no secret.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends `form`, the form of `secret` in texts of this kind.
    pub fn push_secret(&mut self, secret: &Secret, form: &str) {
        let begin = self.text.len();
        self.text.push_str(form);
        self.held.push((begin..self.text.len(), secret.clone()));
    }

    /// Appends another such text.
    pub fn append(&mut self, other: Self) {
        let begin = self.text.len();
        self.text.push_str(&other.text);
        let moved = |(place, secret): (Range<usize>, Secret)| {
            (place.start + begin..place.end + begin, secret)
        };
        self.held.extend(other.held.into_iter().map(moved));
    }

    /// The whole text, for the client that sends it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The secrets that it holds.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.held.iter().map(|(_, secret)| secret)
    }
}

impl From<String> for Guarded {
    fn from(text: String) -> Self {
        Self { text, held: Vec::new() }
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = 0;
        for (place, _) in &self.held {
            f.write_str(&self.text[shown..place.start])?;
            f.write_str(HIDDEN)?;
            shown = place.end;
        }
        f.write_str(&self.text[shown..])
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Why `secret` is probably not what a provider that speaks `protocol` gave, as the end of a sentence
/// about it; a guess, for which nothing is refused.
pub fn doubt(secret: &Secret, protocol: Protocol) -> Option<&'static str> {
    const WORDS: [&str; 7] =
        ["token ", "bearer ", "basic ", "authorization:", "token=", "token:", "password="];
    let text = secret.expose();
    let lower = text.to_lowercase();
    let manners = protocol.manners();
    let issuer = manners.tokens.filter(|_| manners.has_receipts());
    let in_quotes = |quote: (char, char)| {
        text.len() > 1 && text.starts_with(quote.0) && text.ends_with(quote.1)
    };
    let quotes = [('"', '"'), ('\'', '\''), ('`', '`'), ('\u{201c}', '\u{201d}')];
    if quotes.into_iter().any(in_quotes) {
        Some("has quotes around it, which would be sent as part of it; remove them")
    } else if WORDS.iter().any(|word| lower.starts_with(word)) {
        Some("begins with a word that is not part of it; write only the secret")
    } else if is_placeholder(&lower) {
        Some("looks like a placeholder from an example; put your own there")
    } else if issuer.is_some() && is_uuid(&lower) {
        Some("looks like a token's id; its secret is shown only once, when it is made")
    } else if issuer.is_some_and(|issuer| !text.bytes().all(|byte| issuer.is_of_token(byte))) {
        Some("contains a character that no token of this provider has; copy it again")
    } else {
        None
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// Whether `text`, in small letters, is a placeholder that examples have in place of a secret.
fn is_placeholder(text: &str) -> bool {
    const WHOLE: [&str; 8] =
        ["changeme", "change-me", "change_me", "password", "secret", "token", "todo", "example"];
    let ends = [('<', '>'), ('{', '}'), ('[', ']'), ('$', '}')];
    let of_one = |c: char| text.len() > 2 && text.chars().all(|other| other == c);
    let joined = text.replace(['-', '_', ' ', '.'], "");
    WHOLE.contains(&text)
        || ["your", "my", "insert", "paste", "put"].iter().any(|word| {
            let rest = joined.strip_prefix(word);
            rest.is_some_and(|rest| {
                ["token", "secret", "password", "apikey", "api"]
                    .iter()
                    .any(|what| rest.contains(what) && rest.len() <= what.len() + 12)
            })
        })
        || ends.into_iter().any(|(first, last)| text.starts_with(first) && text.ends_with(last))
        || ['x', '*', '.', '-', '0'].into_iter().any(of_one)
}

/// A short salted digest of a host's credential and settings; equal means "nothing was changed".
///
/// It is short on purpose: it shows that something changed, and is of no use for guessing a secret.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(pub u64);

/// Reads exactly `digits` hexadecimal digits, as files keep salts and fingerprints.
pub fn hex(text: &str, digits: usize) -> Option<u128> {
    let all = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hardly_a_secret_is_told_by_what_it_looks_like() {
        let told = |text: &str, protocol| doubt(&Secret::new(text), protocol).unwrap_or("nothing");
        let desec = |text: &str| told(text, Protocol::Desec);
        for fine in [
            "i-T3b1h_OI-H9ab8tRS98stGtURe",
            "s3cret-of-dev1",
            "6c39c4d8a1b24f4f8a2e3d1f5b6a7c8d9e0f1a2b",
            "mytokenwithlotsofrandomletters",
        ] {
            assert_eq!(desec(fine), "nothing", "{fine}");
        }
        for (text, begins) in [
            ("\"i-T3b1h_OI-H9ab8tRS98stGtURe\"", "has quotes around it"),
            ("'i-T3b1h'", "has quotes around it"),
            ("Token i-T3b1h_OI", "begins with a word"),
            ("bearer abc", "begins with a word"),
            ("Authorization: Token abc", "begins with a word"),
            ("TOKEN=abc", "begins with a word"),
            ("YOUR_TOKEN", "looks like a placeholder"),
            ("your-token-here", "looks like a placeholder"),
            ("<token>", "looks like a placeholder"),
            ("${TOKEN}", "looks like a placeholder"),
            ("changeme", "looks like a placeholder"),
            ("xxxxxxxxxxxx", "looks like a placeholder"),
            ("6be0a87c-0d9a-4228-a3c5-ed5d33f4a807", "looks like a token's id"),
            ("6BE0A87C-0D9A-4228-A3C5-ED5D33F4A807", "looks like a token's id"),
            ("i-T3b1h_OI+H9ab8t", "contains a character"),
            ("zwei w\u{f6}rter", "contains a character"),
        ] {
            assert!(desec(text).starts_with(begins), "{text}: {}", desec(text));
        }
        // A password may be anything that is no mistake.
        for text in ["6be0a87c-0d9a-4228-a3c5-ed5d33f4a807", "zwei W\u{f6}rter!", "a+b"] {
            assert_eq!(told(text, Protocol::Dyndns2), "nothing", "{text}");
        }
        assert!(told("\"pass\"", Protocol::Dyndns2).starts_with("has quotes around it"));
        assert!(told("a1b2-c3", Protocol::Rails).starts_with("contains a character"));
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
    }

    #[test]
    fn a_text_shows_all_but_its_secrets() {
        let secret = Secret::new("hunter 2");
        let mut url = Guarded::from("https://dns.example/up?key=".to_owned());
        url.push_secret(&secret, "hunter%202");
        assert_eq!(url.to_string(), "https://dns.example/up?key=…");
        assert_eq!(format!("{url:?}"), "\"https://dns.example/up?key=…\"");
        assert_eq!(url.expose(), "https://dns.example/up?key=hunter%202");
        assert!(url.secrets().eq([&secret]));
        let mut whole = Guarded::from("GET ".to_owned());
        whole.append(url);
        assert_eq!(whole.to_string(), "GET https://dns.example/up?key=…");
        assert_eq!(Guarded::from("a".to_owned()).to_string(), "a");
    }
}
