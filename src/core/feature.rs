//! What a build may leave out, and the words in which it says so.
//!
//! The features of `Cargo.toml` as values, for whoever reads a setting, a command or prints help. A
//! build without one refuses what needs it and never does something else in its place.

use crate::core::name::Hostname;

/// What a build may leave out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Feature {
    /// To translate other clients' set-ups.
    Import,
    /// To take host names in letters beyond ASCII.
    InternationalNames,
    /// To be confined by the kernel's Landlock.
    Landlock,
    /// To send signed updates to name servers.
    NameServers,
    /// To issue, audit, rotate and revoke tokens.
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

/// That this build leaves `what` out, with what to do.
pub fn refusal(what: &str) -> String {
    format!("this build of Homing leaves out {what}; the full build has it")
}

/// What to do so that `homing token ACTION` is run for `host`, where this build leaves it out, too.
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
