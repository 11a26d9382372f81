//! Tokens, and the policies that say which record sets a token may write.
//!
//! Pure. The endpoints that manage them over REST come later and change exactly these values.
//! Validity and precedence: deSEC, recorded August 2026.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::subnet::Subnet;

/// A credential of the account. `Debug` never shows its secret.
#[derive(Clone)]
pub struct Token {
    /// Where its owner may be; the peer of the connection counts.
    pub allowed_subnets: Vec<Subnet>,
    /// When it was made, since the Unix epoch.
    pub created: Duration,
    /// When its secret was last presented, if ever.
    pub last_used: Option<Duration>,
    /// Its longest life from `created`, or for ever. Zero: never valid.
    pub max_age: Option<Duration>,
    /// The longest silence it survives, or any.
    pub max_unused_period: Option<Duration>,
    /// What the request log calls it.
    pub name: String,
    /// What it may write; empty means everything.
    pub policies: Vec<Policy>,
    /// What a client presents.
    pub secret: String,
}

impl Token {
    /// A token without any policy, which may write everything.
    pub fn unrestricted(name: &str, secret: &str) -> Self {
        Self {
            allowed_subnets: ["0.0.0.0/0", "::/0"].iter().flat_map(|text| text.parse()).collect(),
            created: super::account::OPENED,
            last_used: None,
            max_age: None,
            max_unused_period: None,
            name: name.to_owned(),
            policies: Vec::new(),
            secret: secret.to_owned(),
        }
    }

    /// A token that may write only what `policies` allow; everything else is denied by default.
    pub fn restricted(
        name: &str,
        secret: &str,
        policies: impl IntoIterator<Item = Policy>,
    ) -> Self {
        let mut token = Self::unrestricted(name, secret);
        token.policies = std::iter::once(Policy::deny_all()).chain(policies).collect();
        token
    }

    /// Whether age and silence leave it valid at `now`; where the client is does not matter here.
    pub fn is_valid(&self, now: Duration) -> bool {
        let young = self.max_age.is_none_or(|age| self.created + age >= now && !age.is_zero());
        let heard = self.last_used.unwrap_or(self.created);
        let active = self.max_unused_period.is_none_or(|p| heard + p >= now && !p.is_zero());
        young && active
    }

    /// Whether a client at `address` may use it.
    pub fn allows_client(&self, address: IpAddr) -> bool {
        self.allowed_subnets.iter().any(|subnet| subnet.contains(address))
    }

    /// Whether it may write the record set `kind` at `subname` of `zone`.
    ///
    /// The most specific matching policy decides: zone before subname before type. Wildcards are
    /// compared as text. Without any policy everything is allowed.
    pub fn may_write(&self, zone: &str, subname: &str, kind: &str) -> bool {
        let matching = self.policies.iter().filter(|policy| policy.covers(zone, subname, kind));
        let decisive = matching.max_by_key(|policy| policy.specificity());
        decisive.map_or(self.policies.is_empty(), |policy| policy.perm_write)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

/// One row of a token's rights; `None` stands for "any".
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// A zone of the account.
    pub domain: Option<String>,
    /// A name inside the zone; `""` is the apex.
    pub subname: Option<String>,
    /// A record type, in upper case.
    pub kind: Option<String>,
    /// Whether record sets that match may be written.
    pub perm_write: bool,
}

impl Policy {
    /// The default policy of a token that may write nothing.
    pub fn deny_all() -> Self {
        Self { domain: None, subname: None, kind: None, perm_write: false }
    }

    /// Permission to write one type at one name of one zone.
    pub fn allow(zone: &str, subname: &str, kind: &str) -> Self {
        Self {
            domain: Some(zone.to_owned()),
            subname: Some(subname.to_owned()),
            kind: Some(kind.to_owned()),
            perm_write: true,
        }
    }

    fn covers(&self, zone: &str, subname: &str, kind: &str) -> bool {
        let agrees = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        agrees(&self.domain, zone) && agrees(&self.subname, subname) && agrees(&self.kind, kind)
    }

    /// The eight levels of precedence, in ascending order.
    fn specificity(&self) -> (bool, bool, bool) {
        (self.domain.is_some(), self.subname.is_some(), self.kind.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_790_000_000);

    fn policy(row: (Option<&str>, Option<&str>, Option<&str>), perm_write: bool) -> Policy {
        let owned = |part: Option<&str>| part.map(str::to_owned);
        Policy { domain: owned(row.0), subname: owned(row.1), kind: owned(row.2), perm_write }
    }

    #[test]
    fn a_token_without_policies_may_write_everything() {
        assert!(Token::unrestricted("all", "s").may_write("example.com", "", "NS"));
    }

    #[test]
    fn a_narrow_token_may_write_its_two_record_sets_and_nothing_else() {
        let rows = ["A", "AAAA"].map(|kind| Policy::allow("example.com", "dev1", kind));
        let token = Token::restricted("dev1", "s", rows);
        assert!(token.may_write("example.com", "dev1", "A"));
        assert!(token.may_write("example.com", "dev1", "AAAA"));
        for (zone, subname, kind) in [
            ("example.com", "dev1", "TXT"),
            ("example.com", "", "A"),
            ("example.com", "a.dev1", "A"),
            ("example.org", "dev1", "A"),
        ] {
            assert!(!token.may_write(zone, subname, kind), "{kind} of {subname} in {zone}");
        }
    }

    #[test]
    fn at_each_of_the_eight_levels_the_more_specific_row_wins() {
        let (z, s, k) = (Some("example.com"), Some("dev1"), Some("A"));
        let ascending = [
            (None, None, None),
            (None, None, k),
            (None, s, None),
            (None, s, k),
            (z, None, None),
            (z, None, k),
            (z, s, None),
            (z, s, k),
        ];
        for pair in ascending.windows(2) {
            for allow in [true, false] {
                // The stronger row stands first, so that order in the list cannot be what decides.
                let rows = vec![policy(pair[1], allow), policy(pair[0], !allow)];
                let token = Token { policies: rows, ..Token::unrestricted("t", "s") };
                assert_eq!(token.may_write("example.com", "dev1", "A"), allow, "{pair:?}");
            }
        }
    }

    #[test]
    fn a_policy_for_the_wildcard_covers_only_the_wildcard_itself() {
        let token = Token::restricted("wild", "s", [Policy::allow("example.com", "*", "A")]);
        assert!(token.may_write("example.com", "*", "A"));
        assert!(!token.may_write("example.com", "www", "A"));
    }

    #[test]
    fn a_maximum_age_of_zero_never_lets_anyone_in() {
        let token = Token { max_age: Some(Duration::ZERO), ..Token::unrestricted("t", "s") };
        assert!(!token.is_valid(token.created));
    }

    #[test]
    fn a_token_that_was_silent_too_long_is_invalid_until_it_is_changed() {
        let mut token = Token::unrestricted("t", "s");
        token.max_unused_period = Some(Duration::from_secs(60));
        token.last_used = Some(NOW);
        assert!(token.is_valid(NOW + Duration::from_secs(60)));
        assert!(!token.is_valid(NOW + Duration::from_secs(61)));
    }

    #[test]
    fn the_secret_does_not_appear_in_debug_output() {
        assert!(!format!("{:?}", Token::unrestricted("t", "hidden")).contains("hidden"));
    }
}
