//! Features that a build may leave out, and the messages about them.
//!
//! The features of `Cargo.toml` as values, for code that reads a setting or a command, or prints help.
//! A build without a feature refuses what needs it and never does something else instead.

use crate::core::name::Hostname;

/// A feature that a build may leave out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Feature {
    /// Signed requests to cloud providers.
    Cloud,
    /// Providers whose credential is an RSA key in a file; not in the full build, because RSA is a
    /// large part of the program for two of them.
    CloudKeys,
    /// Translating other clients' set-ups.
    Import,
    /// Writing the first configuration.
    Init,
    /// Accepting host names in letters beyond ASCII.
    InternationalNames,
    /// Confinement by the kernel's Landlock.
    Landlock,
    /// Manual pages and completions.
    Manual,
    /// Signed updates to name servers.
    NameServers,
    /// Files about the hosts, metrics and a page, and messages about their problems.
    Pages,
    /// Issuing, auditing, rotating and revoking tokens.
    Tokens,
}

impl Feature {
    /// Every feature, sorted by name.
    pub const ALL: [Self; 10] = [
        Self::Cloud,
        Self::CloudKeys,
        Self::Import,
        Self::Init,
        Self::InternationalNames,
        Self::Landlock,
        Self::Manual,
        Self::NameServers,
        Self::Pages,
        Self::Tokens,
    ];

    /// Its name in `Cargo.toml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::CloudKeys => "cloud-keys",
            Self::Import => "import",
            Self::Init => "init",
            Self::InternationalNames => "international-names",
            Self::Landlock => "landlock",
            Self::Manual => "manual",
            Self::NameServers => "name-servers",
            Self::Pages => "pages",
            Self::Tokens => "tokens",
        }
    }

    /// Whether this build has it.
    pub fn is_here(self) -> bool {
        match self {
            Self::Cloud => cfg!(feature = "cloud"),
            Self::CloudKeys => cfg!(feature = "cloud-keys"),
            Self::Import => cfg!(feature = "import"),
            Self::Init => cfg!(feature = "init"),
            Self::InternationalNames => cfg!(feature = "international-names"),
            Self::Landlock => cfg!(feature = "landlock"),
            Self::Manual => cfg!(feature = "manual"),
            Self::NameServers => cfg!(feature = "name-servers"),
            Self::Pages => cfg!(feature = "pages"),
            Self::Tokens => cfg!(feature = "tokens"),
        }
    }

    /// Whether the full build has it; if not, only a build that asks for it by name has it.
    pub fn is_in_full(self) -> bool {
        self != Self::CloudKeys
    }

    /// The message that this build leaves `what` out, which needs this feature, with what to do.
    pub fn refusal(self, what: &str) -> String {
        if self.is_in_full() {
            return refusal(what);
        }
        let word = self.word();
        format!("this build of Homing does not include {what}; build it with `--features {word}`")
    }
}

/// The features that this build leaves out, sorted by name.
pub fn left_out() -> impl Iterator<Item = Feature> {
    Feature::ALL.into_iter().filter(|feature| !feature.is_here())
}

/// The message that this build leaves `what` out, with what to do.
pub fn refusal(what: &str) -> String {
    format!("this build of Homing does not include {what}; the full build has it")
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
        let in_full = Feature::ALL.into_iter().filter(|feature| feature.is_in_full());
        let words: Vec<_> = in_full.map(|feature| format!("{:?}", feature.word())).collect();
        assert_eq!(full, format!("full = [{}]", words.join(", ")));
        assert!(Feature::ALL.map(Feature::word).is_sorted());
        for feature in Feature::ALL {
            let begin = format!("{} = [", feature.word());
            assert!(features.lines().any(|line| line.starts_with(&begin)), "{begin}");
        }
    }

    #[test]
    fn a_refusal_says_which_build_has_it() {
        let refusal = Feature::Cloud.refusal("x");
        assert_eq!(refusal, "this build of Homing does not include x; the full build has it");
        let refusal = Feature::CloudKeys.refusal("x");
        let expect = "this build of Homing does not include x; build it with `--features \
            cloud-keys`";
        assert_eq!(refusal, expect);
    }
}
