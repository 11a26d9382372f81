//! The account: its zones with their records, its tokens, and how often it was asked.
//!
//! Pure: no clock and no socket; `now` is the time since the Unix epoch. The views (`dyndns`,
//! `rest`) and the name server (`dns`) read and change it, and so do tests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::api::Api;
use super::calendar::OPENED;
use super::chance;
use super::subnet::Subnet;
use super::throttle::{History, Scope};
use super::token::{Policy, Token};

/// The TTL of every record that a dynDNS update writes, whatever the zone's minimum.
pub const DYNDNS_TTL: u32 = 60;

/// One customer of the server.
#[derive(Clone, Debug)]
pub struct Account {
    /// Which API it is served by.
    pub api: Api,
    /// Addresses that hosts in a zone directly under a public suffix may not have.
    pub blocked: Vec<Subnet>,
    /// The owner's e-mail address, which is also accepted as a user name.
    pub email: String,
    /// Requests so far.
    pub history: History,
    /// A UUID.
    pub id: String,
    /// How many zones it may register over REST; `None` for any number.
    pub limit_domains: Option<usize>,
    /// The name servers of zones that are registered from now on, with their final dots.
    pub name_servers: Vec<String>,
    /// How many entries of a list are shown at once, and on a page.
    pub page_size: usize,
    /// Names like `dedyn.io`, under which the server gives zones away.
    pub public_suffixes: Vec<String>,
    /// Whether limits are enforced at all.
    pub throttled: bool,
    /// The credentials, in the order in which they were made.
    pub tokens: Vec<Token>,
    /// How far its clock is ahead of the machine's.
    ahead: Duration,
    /// How many zones and record sets there ever were.
    made: u64,
    zones: Vec<Zone>,
    /// How many zones there ever were.
    zones_ever: u64,
}

impl Account {
    /// An account without zones and tokens, with deSEC's limits and `dedyn.io` as public suffix.
    pub fn new(email: &str) -> Self {
        // Names that exist nowhere, so that nothing that follows them reaches the real Internet.
        let servers = ["ns1.sandbox.invalid.", "ns2.sandbox.invalid."];
        Self {
            ahead: Duration::ZERO,
            api: Api::Current,
            blocked: Vec::new(),
            email: email.to_owned(),
            history: History::default(),
            id: chance::uuid(),
            limit_domains: Some(15),
            made: 0,
            name_servers: servers.map(str::to_owned).to_vec(),
            page_size: 500,
            public_suffixes: vec!["dedyn.io".to_owned()],
            throttled: true,
            tokens: Vec::new(),
            zones: Vec::new(),
            zones_ever: 0,
        }
    }

    /// Moves the account's clock forwards: tokens age, and limits are forgotten in time.
    pub fn advance(&mut self, by: Duration) {
        self.ahead += by;
    }

    /// How far [`Account::advance`] has moved the clock so far.
    pub fn ahead(&self) -> Duration {
        self.ahead
    }

    /// The credentials, in the order in which they were made.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The oldest token with this name.
    pub fn token_by_name(&self, name: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.name == name)
    }

    /// The token with this id.
    pub fn token_by_id(&self, id: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.id == id)
    }

    /// The token with this id, to be changed.
    pub fn token_by_id_mut(&mut self, id: &str) -> Option<&mut Token> {
        self.tokens.iter_mut().find(|token| token.id == id)
    }

    /// Registers a zone, with name servers and no other records; does nothing if it is there.
    pub fn add_zone(&mut self, name: &str) {
        self.register(name, OPENED);
    }

    /// Registers a zone at `now`, with name servers and no other records; does nothing if it is
    /// there.
    pub fn register(&mut self, name: &str, now: Duration) {
        if self.zone(name).is_some() {
            return;
        }
        self.made += 1;
        self.zones_ever += 1;
        let zone = Zone {
            created: now,
            minimum_ttl: 3600,
            name: name.to_owned(),
            number: self.zones_ever,
            records: BTreeMap::new(),
            serial: self.made,
            touched: now,
        };
        self.zones.push(zone);
        let values = self.name_servers.iter().cloned().collect();
        self.write(name, "", "NS", RecordSet { ttl: 3600, values }, now);
    }

    /// The zone with exactly this name.
    pub fn zone(&self, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.name == name)
    }

    /// Takes a zone and its records away, and with it every policy that names it.
    pub fn remove_zone(&mut self, name: &str) {
        self.zones.retain(|zone| zone.name != name);
        for token in &mut self.tokens {
            token.policies.retain(|policy| policy.domain.as_deref() != Some(name));
            token.zone_policies.retain(|policy| policy.domain.as_deref() != Some(name));
        }
    }

    /// Adds a token that can write A and AAAA of exactly these hosts.
    ///
    /// Returns the first host that no zone of the account covers, and then adds nothing.
    pub fn add_host_token<'a>(
        &mut self,
        name: &str,
        secret: &str,
        hosts: &[&'a str],
    ) -> Result<(), &'a str> {
        let mut policies = Vec::new();
        for host in hosts.iter().copied() {
            let zone = self.zone_of(host).ok_or(host)?;
            let subname = zone.subname_of(host).ok_or(host)?;
            policies.extend(["A", "AAAA"].map(|kind| Policy::allow(&zone.name, subname, kind)));
        }
        self.tokens.push(Token::restricted(name, secret, policies));
        Ok(())
    }

    /// The zones, in the order in which they were registered.
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// The zone that is responsible for `host`: the longest registered name that it ends with.
    pub fn zone_of(&self, host: &str) -> Option<&Zone> {
        let covering = self.zones.iter().filter(|zone| zone.subname_of(host).is_some());
        covering.max_by_key(|zone| zone.name.len())
    }

    /// Replaces the values of one record set; none removes it. Returns whether a zone covers it.
    pub fn set_records(&mut self, host: &str, kind: &str, values: &[&str], ttl: u32) -> bool {
        let Some(zone) = self.zone_of(host).map(|zone| zone.name.clone()) else {
            return false;
        };
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let subname = subname(host, &zone).unwrap_or_default().to_owned();
        self.write(&zone, &subname, kind, RecordSet { ttl, values }, OPENED);
        true
    }

    /// The values of one record set, sorted as text; empty if there is none.
    pub fn records(&self, host: &str, kind: &str) -> Vec<String> {
        let set = self.record_set(host, kind);
        set.map(|set| set.values.iter().cloned().collect()).unwrap_or_default()
    }

    /// The record set `kind` at `host`, if there is one.
    pub fn record_set(&self, host: &str, kind: &str) -> Option<&RecordSet> {
        let zone = self.zone_of(host)?;
        zone.record_set(zone.subname_of(host)?, kind)
    }

    /// Stores a record set in a zone; one without values is removed.
    pub fn write(
        &mut self,
        zone: &str,
        subname: &str,
        kind: &str,
        records: RecordSet,
        now: Duration,
    ) {
        let Some(zone) = self.zones.iter_mut().find(|known| known.name == zone) else {
            return;
        };
        let key = (subname.to_owned(), kind.to_owned());
        let before = zone.records.remove(&key);
        let known = before.as_ref().map(|entry| &entry.records);
        if known != Some(&records) && (known.is_some() || !records.values.is_empty()) {
            zone.touched = zone.touched.max(now);
        }
        if !records.values.is_empty() {
            self.made += 1;
            let (created, serial) =
                before.map_or((now, self.made), |entry| (entry.created, entry.serial));
            zone.records.insert(key, Entry { created, records, serial, touched: now });
        }
    }

    /// Lets the owner of `secret` in from `client` and notes that it was here.
    ///
    /// `None` for an unknown secret, a token past its time, or the wrong place. Being in the wrong
    /// place counts as use all the same.
    pub fn enter(&mut self, secret: &str, client: IpAddr, now: Duration) -> Option<Token> {
        let token = self.tokens.iter_mut().find(|token| token.secret == secret)?;
        if !token.is_valid(now) {
            return None;
        }
        token.last_used = Some(now);
        token.allows_client(client).then(|| token.clone())
    }

    /// Counts a request against `scopes`, or returns how long to wait.
    pub fn admit(&mut self, scopes: &[Scope], now: Duration) -> Result<(), Duration> {
        if self.throttled { self.history.admit(scopes, self.api, now) } else { Ok(()) }
    }

    /// Whether the server refuses `address` for hosts of this zone.
    pub fn is_blocked(&self, zone: &str, address: IpAddr) -> bool {
        let parent = zone.split_once('.').map(|(_, parent)| parent);
        let given_away = self.public_suffixes.iter().any(|suffix| parent == Some(suffix.as_str()));
        given_away && self.blocked.iter().any(|subnet| subnet.contains(address))
    }
}

/// A domain registered in the account.
#[derive(Clone, Debug)]
pub struct Zone {
    /// When it was registered, since the Unix epoch.
    pub created: Duration,
    /// The smallest TTL that the REST API accepts, in seconds.
    pub minimum_ttl: u32,
    /// Its name, in lower case and without a final dot.
    pub name: String,
    /// The key of its row in the server's database.
    pub number: u64,
    /// Grows from whatever was made to what was made later.
    pub serial: u64,
    /// When a record last changed, since the Unix epoch; also its serial number, in seconds.
    pub touched: Duration,
    records: BTreeMap<(String, String), Entry>,
}

impl Zone {
    /// `host` without this zone's name (`""` for the zone itself), or `None` if it lies outside.
    pub fn subname_of<'a>(&self, host: &'a str) -> Option<&'a str> {
        subname(host, &self.name)
    }

    /// The record set `kind` at `subname`, if there is one.
    pub fn record_set(&self, subname: &str, kind: &str) -> Option<&RecordSet> {
        self.entry(subname, kind).map(|entry| &entry.records)
    }

    /// The same, with its dates.
    pub fn entry(&self, subname: &str, kind: &str) -> Option<&Entry> {
        self.records.get(&(subname.to_owned(), kind.to_owned()))
    }

    /// Every record set with its subname and type, in alphabetical order of those.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, &Entry)> {
        self.records.iter().map(|((subname, kind), entry)| (subname.as_str(), kind.as_str(), entry))
    }

    /// Whether any record lies at `subname` or below it (RFC 8020).
    pub fn has_name(&self, subname: &str) -> bool {
        let below = format!(".{subname}");
        self.records.keys().any(|(owner, _)| owner == subname || owner.ends_with(&below))
    }
}

/// All records of one type at one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordSet {
    /// Seconds.
    pub ttl: u32,
    /// Their contents as text, without duplicates.
    pub values: BTreeSet<String>,
}

/// A record set as it is stored.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it came into being, since the Unix epoch.
    pub created: Duration,
    /// What it holds.
    pub records: RecordSet,
    /// Grows from whatever was made to what was made later.
    pub serial: u64,
    /// When it was last written, even with what it held already; since the Unix epoch.
    pub touched: Duration,
}

fn subname<'a>(host: &'a str, zone: &str) -> Option<&'a str> {
    let rest = host.strip_suffix(zone)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_suffix('.') }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn account() -> Account {
        let mut account = Account::new("owner@lab.example");
        account.add_zone("example.com");
        account.add_host_token("dev1", "secret", &["dev1.example.com"]).unwrap();
        account
    }

    #[test]
    fn the_longest_registered_zone_is_responsible() {
        let mut account = account();
        account.add_zone("dev1.example.com");
        assert_eq!(account.zone_of("a.dev1.example.com").unwrap().name, "dev1.example.com");
        assert_eq!(account.zone_of("dev1.example.com").unwrap().name, "dev1.example.com");
        assert_eq!(account.zone_of("dev2.example.com").unwrap().name, "example.com");
    }

    #[test]
    fn a_name_that_only_ends_with_the_same_letters_is_outside() {
        assert!(account().zone_of("notexample.com").is_none());
        assert!(account().zone_of("example.com.").is_none());
    }

    #[test]
    fn a_token_is_found_by_its_name_and_its_id() {
        let account = account();
        let token = account.token_by_name("dev1").unwrap();
        assert_eq!(account.token_by_id(&token.id).unwrap().name, "dev1");
        assert!(account.token_by_name("dev2").is_none());
    }

    #[test]
    fn removing_a_zone_removes_its_policies_and_leaves_the_token_powerless() {
        let mut account = account();
        account.remove_zone("example.com");
        account.add_zone("example.com");
        assert_eq!(account.tokens[0].policies, [Policy::deny_all()]);
    }

    #[test]
    fn a_token_for_a_host_outside_every_zone_is_not_made() {
        let mut account = account();
        let made = account.add_host_token("both", "s", &["dev2.example.com", "dev.example.net"]);
        assert_eq!(made, Err("dev.example.net"));
        assert_eq!(account.tokens.len(), 1);
    }

    #[test]
    fn the_wrong_place_counts_as_use_but_an_expired_token_does_not() {
        let mut account = account();
        let now = OPENED + Duration::from_secs(10);
        account.tokens[0].allowed_subnets = Vec::new();
        assert!(account.enter("secret", HERE, now).is_none());
        assert_eq!(account.tokens[0].last_used, Some(now));

        account.tokens[0].max_age = Some(Duration::from_secs(1));
        assert!(account.enter("secret", HERE, now * 2).is_none());
        assert_eq!(account.tokens[0].last_used, Some(now));
    }

    #[test]
    fn blocked_addresses_concern_only_zones_directly_under_a_public_suffix() {
        let mut account = account();
        account.blocked.push("203.0.113.200/32".parse().unwrap());
        let address = "203.0.113.200".parse().unwrap();
        assert!(account.is_blocked("home.dedyn.io", address));
        assert!(!account.is_blocked("a.home.dedyn.io", address));
        assert!(!account.is_blocked("example.com", address));
        assert!(!account.is_blocked("home.dedyn.io", "203.0.113.201".parse().unwrap()));
    }

    #[test]
    fn writing_what_is_there_does_not_touch_the_zone() {
        let mut account = account();
        let set = |value: &str| RecordSet { ttl: 60, values: [value.to_owned()].into() };
        account.write("example.com", "dev1", "A", set("192.0.2.1"), OPENED * 2);
        account.write("example.com", "dev1", "A", set("192.0.2.1"), OPENED * 3);
        let nothing = RecordSet { ttl: 60, values: BTreeSet::new() };
        account.write("example.com", "dev1", "AAAA", nothing, OPENED * 3);
        assert_eq!(account.zone_of("example.com").unwrap().touched, OPENED * 2);
    }
}
