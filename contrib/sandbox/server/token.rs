//! Tokens, and the policies that say which record sets a token may write.
//!
//! Pure. The REST endpoints (`tokens`, `policies`, `legacy`) read and change exactly these values.
//! Validity and precedence: deSEC, recorded August 2026.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::calendar::OPENED;
use super::chance;
use super::subnet::Subnet;

/// A credential of the account. `Debug` never shows its secret.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "the fields are deSEC's")]
pub struct Token {
    /// Where its owner may be; the peer of the connection counts.
    pub allowed_subnets: Vec<Subnet>,
    /// Whether it gets permission for every zone that it registers; then what is not allowed is
    /// denied.
    pub auto_policy: bool,
    /// When it was made, since the Unix epoch.
    pub created: Duration,
    /// A UUID, which is no secret.
    pub id: String,
    /// When its secret was last presented, if ever.
    pub last_used: Option<Duration>,
    /// Its longest life from `created`, or for ever. Zero: never valid.
    pub max_age: Option<Duration>,
    /// The longest silence it survives, or any.
    pub max_unused_period: Option<Duration>,
    /// `None` for a token of the API; otherwise whether a login had its second factor.
    pub mfa: Option<bool>,
    /// What the request log calls it.
    pub name: String,
    /// Whose it is, if not the account's.
    pub owner: Option<String>,
    /// Whether it may register zones. (Not asked by the old API, where every token may.)
    pub perm_create_domain: bool,
    /// Whether it may remove zones. (Not asked by the old API, where every token may.)
    pub perm_delete_domain: bool,
    /// Whether it may do everything with every token, itself included.
    pub perm_manage_tokens: bool,
    /// What it may write; empty means everything. Of no meaning under the old API.
    pub policies: Vec<Policy>,
    /// What a client presents.
    pub secret: String,
    /// The account on which it acts, if not the one that has it.
    pub user_override: Option<String>,
    /// What it may do under the old API, zone by zone; empty means everything.
    pub zone_policies: Vec<ZonePolicy>,
}

impl Token {
    /// A token without any policy, which may write everything.
    pub fn unrestricted(name: &str, secret: &str) -> Self {
        Self {
            allowed_subnets: ["0.0.0.0/0", "::/0"].iter().flat_map(|text| text.parse()).collect(),
            auto_policy: false,
            created: OPENED,
            id: chance::uuid(),
            last_used: None,
            max_age: None,
            max_unused_period: None,
            mfa: None,
            name: name.to_owned(),
            owner: None,
            perm_create_domain: false,
            perm_delete_domain: false,
            perm_manage_tokens: false,
            policies: Vec::new(),
            secret: secret.to_owned(),
            user_override: None,
            zone_policies: Vec::new(),
        }
    }

    /// A token that may do everything, with tokens and zones too.
    pub fn management(name: &str, secret: &str) -> Self {
        Self {
            perm_create_domain: true,
            perm_delete_domain: true,
            perm_manage_tokens: true,
            ..Self::unrestricted(name, secret)
        }
    }

    /// A token that may write only what `policies` allow; everything else is denied by default.
    ///
    /// Under the old API it may update every name of the zones that `policies` name.
    pub fn restricted(
        name: &str,
        secret: &str,
        policies: impl IntoIterator<Item = Policy>,
    ) -> Self {
        let mut token = Self::unrestricted(name, secret);
        token.policies = std::iter::once(Policy::deny_all()).chain(policies).collect();
        token.zone_policies.push(ZonePolicy::deny_all());
        for zone in token.policies.iter().filter(|p| p.perm_write).filter_map(|p| p.domain.clone())
        {
            if !token.zone_policies.iter().any(|policy| policy.domain.as_ref() == Some(&zone)) {
                token.zone_policies.push(ZonePolicy::allow_dyndns(&zone));
            }
        }
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

    /// Whether its policies let it remove the zone: it may write whatever has no row of its own.
    pub fn may_write_whole(&self, zone: &str) -> bool {
        let general = |domain: Option<&str>| {
            let fits = |policy: &&Policy| policy.key() == (domain, None, None);
            self.policies.iter().find(fits).map(|policy| policy.perm_write)
        };
        general(Some(zone)).or_else(|| general(None)).unwrap_or(self.policies.is_empty())
    }

    /// What the old API lets it do in `zone`.
    pub fn zone_policy(&self, zone: &str) -> ZonePolicy {
        let find = |domain: Option<&str>| {
            self.zone_policies.iter().find(|policy| policy.domain.as_deref() == domain).cloned()
        };
        let everything = ZonePolicy { domain: None, perm_dyndns: true, perm_rrsets: true };
        find(Some(zone)).or_else(|| find(None)).unwrap_or(everything)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

/// One row of a token's rights; `None` stands for "any". Equal is what says the same.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A zone of the account.
    pub domain: Option<String>,
    /// A UUID.
    pub id: String,
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
        Self { domain: None, id: chance::uuid(), subname: None, kind: None, perm_write: false }
    }

    /// Permission to write one type at one name of one zone.
    pub fn allow(zone: &str, subname: &str, kind: &str) -> Self {
        Self {
            domain: Some(zone.to_owned()),
            subname: Some(subname.to_owned()),
            kind: Some(kind.to_owned()),
            perm_write: true,
            ..Self::deny_all()
        }
    }

    /// Permission to write everything in one zone.
    pub fn allow_zone(zone: &str) -> Self {
        Self { domain: Some(zone.to_owned()), perm_write: true, ..Self::deny_all() }
    }

    /// Zone, subname and type, of which no token has the same twice.
    pub fn key(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        (self.domain.as_deref(), self.subname.as_deref(), self.kind.as_deref())
    }

    /// Whether it is the row for what no other row is for.
    pub fn is_default(&self) -> bool {
        self.key() == (None, None, None)
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

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        (self.key(), self.perm_write) == (other.key(), other.perm_write)
    }
}

impl Eq for Policy {}

/// One row of a token's rights under the old API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ZonePolicy {
    /// A zone of the account, or every one that has no row.
    pub domain: Option<String>,
    /// Whether A and AAAA of all names in the zone may be updated through dynDNS.
    pub perm_dyndns: bool,
    /// Whether its record sets may be read and written over REST.
    pub perm_rrsets: bool,
}

impl ZonePolicy {
    /// The default policy of a token that may do nothing.
    pub fn deny_all() -> Self {
        Self { domain: None, perm_dyndns: false, perm_rrsets: false }
    }

    /// Permission to update every name of a zone.
    pub fn allow_dyndns(zone: &str) -> Self {
        Self { domain: Some(zone.to_owned()), perm_dyndns: true, perm_rrsets: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_790_000_000);

    fn policy(row: (Option<&str>, Option<&str>, Option<&str>), perm_write: bool) -> Policy {
        let owned = |part: Option<&str>| part.map(str::to_owned);
        let [domain, subname, kind] = [row.0, row.1, row.2].map(owned);
        Policy { domain, subname, kind, perm_write, ..Policy::deny_all() }
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
    fn a_zone_is_removed_only_by_who_may_write_all_of_it() {
        let zone = Some("example.com");
        let may = |rows: Vec<Policy>| {
            Token { policies: rows, ..Token::unrestricted("t", "s") }.may_write_whole("example.com")
        };
        assert!(may(vec![]));
        assert!(may(vec![Policy::deny_all(), Policy::allow_zone("example.com")]));
        assert!(!may(vec![Policy::deny_all()]));
        assert!(!may(vec![Policy::deny_all(), Policy::allow_zone("example.org")]));
        assert!(!may(vec![Policy::deny_all(), policy((zone, None, Some("A")), true)]));
        assert!(!may(vec![policy((None, None, None), true), policy((zone, None, None), false)]));
    }

    #[test]
    fn under_the_old_api_the_zones_own_row_wins() {
        let token = Token::restricted("t", "s", [Policy::allow("example.com", "dev1", "A")]);
        let policy = token.zone_policy("example.com");
        assert!(policy.perm_dyndns && !policy.perm_rrsets);
        assert_eq!(token.zone_policy("example.org"), ZonePolicy::deny_all());
        assert!(Token::unrestricted("t", "s").zone_policy("example.org").perm_rrsets);
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
