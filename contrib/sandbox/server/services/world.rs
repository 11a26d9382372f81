//! The account at a service: its zones with their records, and its credential. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::Service;
use super::cloudflare_tokens::Token;
use super::iam::Iam;
use super::ovh::Login;
use super::pace::Pace;
use super::{inwx, ionos};

/// One customer of a service.
#[derive(Clone)]
pub struct World {
    /// The accounts for updates of single hosts; only at INWX.
    pub accounts: Vec<inwx::Account>,
    /// How far its clock is ahead of the machine's.
    pub ahead: Duration,
    /// The users and keys beside the account's own; only at AWS.
    pub iam: Iam,
    /// The logins of single hosts; only at OVHcloud.
    pub logins: Vec<Login>,
    /// Whether an account owns the account's own token, and not a user; only at Cloudflare.
    pub is_owned_by_account: bool,
    /// What is sent beside the secret, such as the id of an access key; else empty.
    pub login: String,
    pub pace: Pace,
    /// What lets in: where it has two parts, they are `KEY:SECRET`.
    pub secret: String,
    pub service: Service,
    /// The tokens beside the account's own; only at Cloudflare.
    pub tokens: Vec<Token>,
    /// The update URLs; only at IONOS.
    pub urls: Vec<ionos::Url>,
    /// Whether its limits are enforced at all.
    pub throttled: bool,
    pub zones: Vec<Zone>,
    /// The number of the next record, zone or action.
    next: u64,
}

/// A domain of the account.
#[derive(Clone, Debug)]
pub struct Zone {
    pub id: u64,
    /// Whether it is seen in the account's own networks only.
    pub is_private: bool,
    /// In lower case, without a final dot.
    pub name: String,
    /// In the order in which they were made.
    pub records: Vec<Record>,
}

/// One record.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Record {
    pub comment: Option<String>,
    /// In the form of a zone file: an `MX` has its preference before the name.
    pub content: String,
    pub id: u64,
    /// `A` and so on.
    pub kind: String,
    /// The whole name, in lower case, without a final dot.
    pub name: String,
    pub proxied: bool,
    /// Seconds.
    pub ttl: u32,
}

impl Record {
    /// The preference of an `MX`, and its content without it.
    pub fn parts(&self) -> (Option<u16>, &str) {
        let parts = self.content.split_once(' ').filter(|_| self.kind == "MX");
        match parts.and_then(|(first, rest)| Some((first.parse().ok()?, rest))) {
            Some((preference, rest)) => (Some(preference), rest.trim_end_matches('.')),
            None => (None, &self.content),
        }
    }
}

/// A name with two addresses that nobody here has set, at every service with lists.
pub const SHARED: &str = "shared";

impl World {
    /// An account with both zones of the service, with records of others, and with a new credential.
    pub fn new(service: Service) -> Self {
        let mut world = Self {
            accounts: Vec::new(),
            ahead: Duration::ZERO,
            iam: Iam::default(),
            is_owned_by_account: false,
            login: service.login.map(|login| login()).unwrap_or_default(),
            logins: Vec::new(),
            next: 432_480_875,
            pace: Pace::default(),
            secret: (service.secret)(),
            service,
            throttled: true,
            tokens: Vec::new(),
            urls: Vec::new(),
            zones: Vec::new(),
        };
        if service.name == super::route53::SERVICE.name {
            // Only there: a zone for the account's own networks, which may have the same name.
            world.add_zone(service.zones[0]);
            world.zones[0].is_private = true;
        }
        for zone in service.zones {
            world.add_zone(zone);
        }
        let zone = service.zones[0];
        if service.zones != super::OWN_ZONES {
            return world;
        }
        world.add(zone, "TXT", "\"v=spf1 mx -all\"");
        world.add(zone, "MX", "10 mail.example.com.");
        world.add(&format!("www.{zone}"), "A", "192.0.2.80");
        for address in ["192.0.2.81", "192.0.2.82"] {
            world.add(&format!("{SHARED}.{zone}"), "A", address);
        }
        world
    }

    /// Adds a zone without records.
    pub fn add_zone(&mut self, name: &str) {
        let id = self.number();
        let zone = Zone { id, is_private: false, name: name.to_owned(), records: Vec::new() };
        self.zones.push(zone);
    }

    /// Adds a record to the zone that it belongs to, and returns its number; `None` if there is none.
    pub fn add(&mut self, name: &str, kind: &str, content: &str) -> Option<u64> {
        let id = self.number();
        let mut zones = self.zones.iter_mut().filter(|zone| zone.covers(name) && !zone.is_private);
        let record = Record {
            content: content.to_owned(),
            id,
            kind: kind.to_owned(),
            name: name.to_owned(),
            ttl: 3600,
            ..Record::default()
        };
        zones.next()?.records.push(record);
        Some(id)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The zone with this name that all the world sees.
    pub fn zone(&self, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.name == name && !zone.is_private)
    }

    /// The same, to be changed.
    pub fn zone_mut(&mut self, name: &str) -> Option<&mut Zone> {
        self.zones.iter_mut().find(|zone| zone.name == name && !zone.is_private)
    }

    /// The values of the records of one type at a name, sorted.
    pub fn values(&self, name: &str, kind: &str) -> Vec<String> {
        let zones = self.zones.iter().filter(|zone| !zone.is_private);
        let mut values: Vec<String> =
            zones.flat_map(|zone| zone.values(name, kind)).map(str::to_owned).collect();
        values.sort();
        values
    }

    /// The parts of the secret.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let keys = self.iam.users.iter().flat_map(|user| &user.keys);
        let tokens = self.tokens.iter().map(|token| token.secret.as_str());
        let logins = self.logins.iter().map(|login| login.password.as_str());
        let accounts = self.accounts.iter().map(|account| account.password.as_str());
        let logins = logins.chain(accounts).chain(self.urls.iter().map(|url| url.q.as_str()));
        let keys = keys.map(|key| key.secret.as_str());
        self.secret.split(':').chain(keys).chain(tokens).chain(logins)
    }
}

impl Zone {
    /// Whether a name is the zone's or below it.
    pub fn covers(&self, name: &str) -> bool {
        let rest = name.strip_suffix(&self.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// The whole name for what stands before the zone's: for nothing and `@` the zone's own.
    pub fn full(&self, label: &str) -> String {
        match label.to_lowercase().as_str() {
            "" | "@" => self.name.clone(),
            label => format!("{label}.{}", self.name),
        }
    }

    /// What stands before the zone's name in a name that it covers, and `apex` for its own.
    pub fn label<'a>(&self, name: &'a str, apex: &'a str) -> &'a str {
        let label = name.strip_suffix(&self.name).unwrap_or(name).trim_end_matches('.');
        if label.is_empty() { apex } else { label }
    }

    /// The record with this number.
    pub fn record(&self, id: u64) -> Option<&Record> {
        self.records.iter().find(|record| record.id == id)
    }

    /// The records of one type at a name, in the order in which they were made.
    pub fn set<'a>(&'a self, name: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.name == name && record.kind == kind)
    }

    /// Their contents.
    pub fn values<'a>(&'a self, name: &'a str, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.set(name, kind).map(|record| record.content.as_str())
    }

    /// Removes the records of one type at a name, and returns whether there were any.
    pub fn remove_set(&mut self, name: &str, kind: &str) -> bool {
        let before = self.records.len();
        self.records.retain(|record| record.name != name || record.kind != kind);
        self.records.len() < before
    }

    /// Removes the record with this number, and returns whether there was one.
    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.records.len();
        self.records.retain(|record| record.id != id);
        self.records.len() < before
    }
}

/// The content as services keep it, or `None` if it is no address where the type wants one.
pub fn content(kind: &str, text: &str) -> Option<String> {
    match kind {
        "A" => text.parse::<Ipv4Addr>().ok().map(|address| address.to_string()),
        "AAAA" => text.parse::<Ipv6Addr>().ok().map(|address| address.to_string()),
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::cloudflare;
    use super::*;

    #[test]
    fn a_zone_covers_its_own_name_and_those_below() {
        let world = World::new(cloudflare::SERVICE);
        let zone = world.zone("example.com").unwrap();
        assert!(zone.covers("example.com") && zone.covers("a.b.example.com"));
        assert!(!zone.covers("notexample.com") && !zone.covers("example.net"));
        assert_eq!(
            (zone.label("a.b.example.com", "@"), zone.label("example.com", "@")),
            ("a.b", "@")
        );
        assert_eq!(
            (zone.full("A.b"), zone.full("@")),
            ("a.b.example.com".into(), "example.com".into())
        );
    }

    #[test]
    fn an_address_is_kept_in_its_shortest_form() {
        assert_eq!(content("AAAA", "2001:DB8:0:0::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(content("A", "192.0.2.256"), None);
        assert_eq!(content("A", "2001:db8::1"), None);
        assert_eq!(content("TXT", "\"a\"").as_deref(), Some("\"a\""));
    }
}
