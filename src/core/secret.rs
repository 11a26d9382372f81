//! Secrets that cannot be printed by accident, and the fingerprints that stand for them.
//!
//! Holds values only; reading secret files and computing fingerprints is the shell's work.

use std::fmt;

/// A password or API token. `Debug` never shows it; there is no `Display` and no `Serialize`.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`, which the caller has checked to be one line.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The only way out; searching for `expose()` finds every place a secret leaves.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A short salted digest of a host's credential and settings; equal means "nothing was changed".
///
/// It is short on purpose: it tells that something changed, and is of no use for guessing a secret.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(pub u64);

/// Reads exactly so many hexadecimal digits, as salts and fingerprints are kept in files.
pub fn hex(text: &str, digits: usize) -> Option<u128> {
    let all = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
    }
}
