//! Host names: parsed once, at the edge, into the form that goes on the wire.
//!
//! Owns the rules of RFC 1123 (section 2.1) and RFC 1035 (section 2.3.4), but accepts underscores
//! before the last dot: the DNS has no rule against them (RFC 2181, section 11), and deSEC, BIND and
//! PowerDNS hold such names. Turning U-labels into A-labels needs tables and is the configuration's
//! job; here every name is ASCII.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A host name in lower-case A-labels without a final dot, such as `dev1.dyn.example.com`.
///
/// The first label may be `*`, because some providers keep the addresses of a wildcard.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
// Shared: a host's name is in the configuration, in every report and in the keys of many maps.
pub struct Hostname(Arc<str>);

/// Why a text is not a host name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NameError {
    /// The text looks like an IP address, or ends like one.
    Address,
    /// A label holds a character other than letters, digits, hyphens and underscores, or the last label
    /// holds an underscore.
    Character(char),
    /// The text is empty, or nothing is between two dots.
    Empty,
    /// A label begins or ends with a hyphen.
    Hyphen,
    /// A label is longer than 63 characters.
    LabelTooLong,
    /// The name is longer than 253 characters.
    TooLong,
}

impl Hostname {
    /// The name as text, as it goes on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }

    /// Whether this name is `zone` or lies below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        match self.0.strip_suffix(zone.as_str()) {
            Some(rest) => rest.is_empty() || rest.ends_with('.'),
            None => false,
        }
    }
}

const LONGEST_LABEL: usize = 63;
const LONGEST_NAME: usize = 253;

/// Whether `text` is a host name as it goes on the wire, without any of the rarer characters: every
/// start reads the names of all hosts twice, and the whole of the rules takes ten times as long.
fn is_usual(text: &str) -> bool {
    let (mut label, mut before, mut has_letter) = (0, b'.', false);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' => has_letter = true,
            b'0'..=b'9' => {}
            b'-' if before != b'.' => {}
            b'.' if !matches!(before, b'-' | b'.') => (label, has_letter) = (0, false),
            _ => return false,
        }
        label += usize::from(byte != b'.');
        before = byte;
        if label > LONGEST_LABEL {
            return false;
        }
    }
    has_letter && before != b'-' && text.len() <= LONGEST_NAME
}

impl FromStr for Hostname {
    type Err = NameError;

    /// Parses ASCII text; upper case becomes lower case, and one final dot is dropped.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_usual(text) { Ok(Self(text.into())) } else { by_the_rules(text) }
    }
}

/// The name in `text`, or the rule that it breaks.
fn by_the_rules(text: &str) -> Result<Hostname, NameError> {
    let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if text.len() > LONGEST_NAME {
        return Err(NameError::TooLong);
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    // No top-level domain holds an underscore, nor does the name of a machine of this network.
    if last.contains('_') {
        return Err(NameError::Character('_'));
    }
    for (place, label) in text.split('.').enumerate() {
        if label.is_empty() {
            return Err(NameError::Empty);
        }
        if label.len() > LONGEST_LABEL {
            return Err(NameError::LabelTooLong);
        }
        if place == 0 && label == "*" && text.len() > 1 {
            continue;
        }
        let foreign = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if let Some(c) = label.chars().find(foreign) {
            return Err(NameError::Character(c));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(NameError::Hyphen);
        }
    }
    // No top-level domain is all digits; such a name is a mistyped address (RFC 3696, section 2).
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NameError::Address);
    }
    Ok(Hostname(text.into()))
}

impl Ord for Hostname {
    /// The order of the texts. Most names differ in their first letters, and each round compares each
    /// name a hundred times to find it in maps.
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (self.0.as_bytes(), other.0.as_bytes());
        match (ours.first_chunk(), theirs.first_chunk()) {
            (Some(one), Some(two)) if one != two => {
                u64::from_be_bytes(*one).cmp(&u64::from_be_bytes(*two))
            }
            _ => ours.cmp(theirs),
        }
    }
}

impl PartialOrd for Hostname {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => {
                f.write_str("is an address, not a host name; write the name to update")
            }
            Self::Character(c) => write!(
                f,
                "is not a host name: {c:?} is not allowed; use letters, digits, hyphens and dots"
            ),
            Self::Empty => f.write_str("is not a host name: a part between the dots is empty"),
            Self::Hyphen => f.write_str("is not a host name: a part begins or ends with a hyphen"),
            Self::LabelTooLong => {
                f.write_str("is not a host name: a part is longer than 63 characters")
            }
            Self::TooLong => f.write_str("is not a host name: it is longer than 253 characters"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, &NameError>) {
        let name = text.parse::<Hostname>();
        assert_eq!(name.as_ref().map(Hostname::as_str), expect);
    }

    #[test]
    fn names_are_lowered_and_lose_their_final_dot() {
        check("Dev1.Example.COM.", Ok("dev1.example.com"));
        check("xn--bcher-kva.example", Ok("xn--bcher-kva.example"));
        check("*.example.com", Ok("*.example.com"));
        check("router", Ok("router"));
        check("Living_Room._x.example", Ok("living_room._x.example"));
    }

    #[test]
    fn what_is_no_host_name_is_told_apart() {
        check("", Err(&NameError::Empty));
        check("a..b", Err(&NameError::Empty));
        check("-a.example", Err(&NameError::Hyphen));
        check("sl/ash.example", Err(&NameError::Character('/')));
        check("under_score", Err(&NameError::Character('_')));
        check("a.under_score", Err(&NameError::Character('_')));
        check("a.*.example", Err(&NameError::Character('*')));
        check("192.0.2.1", Err(&NameError::Address));
        check(&"a".repeat(64), Err(&NameError::LabelTooLong));
        check(&"a.".repeat(130), Err(&NameError::TooLong));
    }

    #[test]
    fn names_are_in_the_order_of_their_texts() {
        let texts = ["a", "a.b", "abcdefgh", "abcdefgh.a", "abcdefgh.b", "abcdefgi", "b", "*.a"];
        for one in texts {
            for two in texts {
                let (name, other) = (Hostname(one.into()), Hostname(two.into()));
                assert_eq!(name.cmp(&other), one.cmp(two), "{one} {two}");
            }
        }
    }

    #[test]
    fn a_usual_name_breaks_no_rule() {
        let mut texts = vec![String::new()];
        for _ in 1..=6 {
            let longer = |text: &String| ["a", "1", "-", "."].map(|more| format!("{text}{more}"));
            texts = texts.iter().flat_map(longer).collect();
            for text in texts.iter().filter(|text| is_usual(text)) {
                assert_eq!(by_the_rules(text), Ok(Hostname((**text).into())));
            }
        }
        for text in ["a".repeat(64), "a.".repeat(127) + "a"] {
            assert!(!is_usual(&text));
        }
        assert!(is_usual(&"a".repeat(63)));
    }

    #[test]
    fn a_zone_holds_itself_and_what_ends_in_a_dot_and_it() {
        let name = |text: &str| text.parse::<Hostname>().unwrap();
        assert!(name("a.example.com").is_within(&name("example.com")));
        assert!(name("example.com").is_within(&name("example.com")));
        assert!(!name("badexample.com").is_within(&name("example.com")));
    }
}
