//! Features that a build may leave out, and the messages about them.
//!
//! The features of `Cargo.toml` as values, for code that reads a setting or a command, or prints help.
//! A build without a feature refuses what needs it and never does something else instead.

use crate::core::name::Hostname;

/// A feature that a build may leave out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Feature {
    /// Translating other clients' set-ups.
    Import,
    /// Accepting host names in letters beyond ASCII.
    InternationalNames,
    /// Confinement by the kernel's Landlock.
    Landlock,
    /// Signed updates to name servers.
    NameServers,
    /// Issuing, auditing, rotating and revoking tokens.
    Tokens,
}

impl Feature {
    /// Every feature, sorted by name.
    pub const ALL: [Self; 5] =
        [Self::Import, Self::InternationalNames, Self::Landlock, Self::NameServers, Self::Tokens];

    /// Its name in `Cargo.toml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::InternationalNames => "international-names",
            Self::Landlock => "landlock",
            Self::NameServers => "name-servers",
            Self::Tokens => "tokens",
        }
    }

    /// Whether this build has it.
    pub fn is_here(self) -> bool {
        match self {
            Self::Import => cfg!(feature = "import"),
            Self::InternationalNames => cfg!(feature = "international-names"),
            Self::Landlock => cfg!(feature = "landlock"),
            Self::NameServers => cfg!(feature = "name-servers"),
            Self::Tokens => cfg!(feature = "tokens"),
        }
    }
}

/// The names of the features that this build leaves out, sorted.
pub fn left_out() -> impl Iterator<Item = &'static str> {
    Feature::ALL.into_iter().filter(|feature| !feature.is_here()).map(Feature::word)
}

/// The message that this build leaves `what` out, with what to do.
pub fn refusal(what: &str) -> String {
    format!("this build of Homing leaves out {what}; the full build has it")
}

/// What to do to run `homing token ACTION` for `host`, also where this build leaves the command out.
pub fn run_token(action: &str, host: &Hostname) -> String {
    let place = if Feature::Tokens.is_here() { "" } else { " where the full build is" };
    format!("run `homing token {action} {host}`{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_the_name_that_it_has_in_the_manifest() {
        let manifest = include_str!("../../Cargo.toml");
        let features = manifest.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
        let full = features.lines().find(|line| line.starts_with("full = ")).unwrap();
        let words = Feature::ALL.map(|feature| format!("{:?}", feature.word()));
        assert_eq!(full, format!("full = [{}]", words.join(", ")));
        assert!(words.is_sorted());
    }
}
