//! Tokens: what a token may write, what it should, and how the one becomes the other.
//!
//! Values and functions of values, on deSEC's rules (recorded August 2026). The token side sends what
//! `desec::difference` finds and shows what audits find; the round judges its own token, too.

pub mod desec;
pub mod finding;
pub mod job;
pub mod key;
#[cfg(feature = "tokens")]
pub mod power;
pub mod rails;
pub mod route53;
pub mod upkeep;
pub mod verdict;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::address::{Family, PerFamily};
use super::name::Hostname;
use super::time::Timestamp;
use crate::core::order;

/// The provider's id of a token; not its secret.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TokenId(Box<str>);

/// A token, as its account shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// The name that somebody gave it; other tokens may have the same.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
    /// The limits of its life and use.
    pub limits: Limits,
    /// Its rights beside writing records.
    pub flags: Flags,
    /// Whether the server accepts its secret now.
    pub is_valid: bool,
    /// The account that it belongs to, if the server returns it.
    pub owner: Option<String>,
    /// The other account that it acts on, if any.
    pub acts_for: Option<String>,
    /// Whether a log-in made it, so that it is no API token.
    pub is_login: bool,
}

/// The limits of a token's life and use; `None` is no limit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// The longest life.
    pub max_age: Option<Duration>,
    /// The longest time without use.
    pub max_unused: Option<Duration>,
    /// The networks that it may be used from; `None` is everywhere.
    pub subnets: Option<Vec<String>>,
}

/// The rights of a token beside writing records. `None`: this server has no such setting.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flags {
    /// Whether it may create, change and delete tokens, itself included.
    pub manage_tokens: Option<bool>,
    /// Whether it may register zones in the account.
    pub create_zones: Option<bool>,
    /// Whether it may remove zones from the account.
    pub delete_zones: Option<bool>,
    /// Whether registering a zone gives it the right to write there.
    pub auto_policy: Option<bool>,
}

/// The two forms of deSEC's policies.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Api {
    /// Since December 2023: by zone, name and type.
    Rows,
    /// Before: by zone only.
    Zones,
}

/// A policy of a token, with the end of its URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// The end of its URL: an id, a zone, or `default`.
    pub at: String,
    /// The rule of the policy.
    pub rule: Rule,
}

/// The rule of a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rule {
    /// A rule of the form [`Api::Rows`].
    Row {
        /// The records that it is about.
        key: Key,
        /// Whether they may be written.
        write: bool,
    },
    /// A rule of the form [`Api::Zones`].
    Zone {
        /// The zone; `None` is every zone without a policy of its own.
        zone: Option<String>,
        /// Whether A and AAAA of the zone and every name below may be updated by dynDNS.
        dyndns: bool,
        /// Whether every record of the zone may be written.
        records: bool,
    },
}

/// The records that a row is about; `None` is any.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// The zone.
    pub zone: Option<String>,
    /// The name in the zone; empty for the zone's own.
    pub subname: Option<String>,
    /// The record type, in capitals.
    pub kind: Option<String>,
}

/// The duty of a token: the records of one host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Duty {
    /// The host.
    pub host: Hostname,
    /// The zone that its provider named; the host is within it.
    pub zone: Hostname,
    /// The families that are kept up to date.
    pub families: PerFamily<bool>,
}

impl TokenId {
    /// The id as text, as it is in URLs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenId {
    type Err = &'static str;

    /// Accepts letters, digits and hyphens, at most 64 of them; deSEC's are UUIDs.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const LONGEST: usize = 64;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(is_plain) {
            return Err("is not a token's id, such as 6be0a87c-0d9a-4228-a3c5-ed5d33f4a807");
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Token {
    /// When it expires by its age, if it does.
    pub fn expires(&self) -> Option<Timestamp> {
        Some(self.created.after(self.limits.max_age?))
    }
}

impl Limits {
    /// These limits, with that of `issued` in place of each one that makes the token useless: no
    /// time at all, a time below [`SHORTEST`] that was not issued, or no network.
    pub fn usable(&self, issued: &Self) -> Self {
        let span = |is: Option<Duration>, issued: Option<Duration>| match is {
            Some(span) if span.is_zero() || span < SHORTEST && issued != is => {
                issued.filter(|span| !span.is_zero())
            }
            _ => is,
        };
        Self {
            max_age: span(self.max_age, issued.max_age),
            max_unused: span(self.max_unused, issued.max_unused),
            subnets: match &self.subnets {
                Some(none) if none.is_empty() => {
                    issued.subnets.clone().filter(|subnets| !subnets.is_empty())
                }
                chosen => chosen.clone(),
            },
        }
    }
}

impl Duty {
    /// The host without its zone; empty when they are the same.
    pub fn subname(&self) -> &str {
        let rest = self.host.as_str().strip_suffix(self.zone.as_str()).unwrap_or_default();
        rest.strip_suffix('.').unwrap_or(rest)
    }

    /// Whether the host is a zone of its own.
    pub fn is_zone(&self) -> bool {
        self.host == self.zone
    }

    /// The name `label` below the host, relative to the zone.
    pub fn below(&self, label: &str) -> String {
        match self.subname() {
            "" => label.to_owned(),
            subname => format!("{label}.{subname}"),
        }
    }

    /// The host's record of type `kind`.
    pub fn record(&self, kind: &str) -> Key {
        Key::of(&self.zone, self.subname(), kind)
    }

    /// Whether `record` is an address of the host, of a family in use or not.
    pub fn covers(&self, record: &Key) -> bool {
        Family::BOTH.into_iter().any(|family| *record == self.record(family.record_type()))
    }

    /// The record types that are kept up to date.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let families = self.families;
        Family::BOTH.into_iter().filter(move |&family| families[family]).map(Family::record_type)
    }
}

/// The rules that a token for `duties` should have and no others, the default first.
pub fn wanted(api: Api, duties: &[Duty]) -> Vec<Rule> {
    let mut rules = vec![Rule::nothing(api)];
    for duty in duties {
        let own: Vec<Rule> = match api {
            Api::Rows => {
                let row = |kind| Rule::Row { key: duty.record(kind), write: true };
                duty.kinds().map(row).collect()
            }
            Api::Zones => {
                let zone = Some(duty.zone.to_string());
                vec![Rule::Zone { zone, dyndns: true, records: false }]
            }
        };
        for rule in own {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    rules
}

/// A rule of a token, with the records that it decides about, to be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// The rule.
    pub rule: Rule,
    /// The records of the token's hosts that it decides about, as `A of dev1.example.com`.
    pub decides: Vec<String>,
}

/// The rules of `policies`, the default last, with what each decides of `duties`.
pub fn rows(policies: &[Policy], duties: &[Duty]) -> Vec<Row> {
    let row = |policy: &Policy| Row { rule: policy.rule.clone(), decides: Vec::new() };
    let mut rows: Vec<Row> = policies.iter().map(row).collect();
    for duty in duties {
        for kind in duty.kinds() {
            let record = duty.record(kind);
            if let Some(index) = desec::rights::decided_by(policies, &record) {
                rows[index].decides.push(record.to_string());
            }
        }
    }
    order::sort_by_key(&mut rows, |row| (row.rule.is_default(), row.rule.to_string()));
    rows
}

impl Rule {
    /// The default that allows nothing.
    pub fn nothing(api: Api) -> Self {
        match api {
            Api::Rows => Self::Row { key: Key::default(), write: false },
            Api::Zones => Self::Zone { zone: None, dyndns: false, records: false },
        }
    }

    /// Whether it is about everything that no other policy is about.
    pub fn is_default(&self) -> bool {
        match self {
            Self::Row { key, .. } => *key == Key::default(),
            Self::Zone { zone, .. } => zone.is_none(),
        }
    }

    /// Whether it allows anything.
    pub fn allows(&self) -> bool {
        match self {
            Self::Row { write, .. } => *write,
            Self::Zone { dyndns, records, .. } => *dyndns || *records,
        }
    }

    /// The zone that the rule names, if by `duties` another zone is responsible for the name:
    /// such a row has no effect there.
    pub fn foreign_zone(&self, duties: &[Duty]) -> Option<&str> {
        let Self::Row { key: Key { zone: Some(zone), subname: Some(subname), .. }, .. } = self
        else {
            return None;
        };
        let name = full_name(subname, zone);
        let is_within = |zone: &str| {
            name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let zones = duties.iter().map(|duty| duty.zone.as_str());
        let responsible = zones.filter(|zone| is_within(zone)).max_by_key(|zone| zone.len());
        responsible.filter(|responsible| responsible != zone).map(|_| zone.as_str())
    }

    /// Whether both are about the same records; a token can have only one such policy.
    pub fn is_about_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Row { key, .. }, Self::Row { key: others, .. }) => key == others,
            (Self::Zone { zone, .. }, Self::Zone { zone: others, .. }) => zone == others,
            (Self::Row { .. } | Self::Zone { .. }, _) => false,
        }
    }
}

impl Key {
    /// The key of one record.
    pub fn of(zone: &Hostname, subname: &str, kind: &str) -> Self {
        let own = |text: &str| Some(text.to_owned());
        Self { zone: own(zone.as_str()), subname: own(subname), kind: own(kind) }
    }
}

/// The full name of `subname` in `zone`; an empty `subname` is the zone's own name.
pub fn full_name(subname: &str, zone: &str) -> String {
    if subname.is_empty() { zone.to_owned() } else { format!("{subname}.{zone}") }
}

impl fmt::Display for Key {
    /// Writes the records in words: `A of dev1.example.com`, `any record of any name in any zone`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Some(kind) => write!(f, "{kind} of ")?,
            None => f.write_str("any record of ")?,
        }
        match (self.subname.as_deref(), self.zone.as_deref()) {
            (Some(""), Some(zone)) => write!(f, "{zone} itself"),
            (Some(subname), Some(zone)) => f.write_str(&full_name(subname, zone)),
            (None, Some(zone)) => write!(f, "any name in {zone}"),
            (Some(""), None) => f.write_str("every zone itself"),
            (Some(subname), None) => write!(f, "{subname} in every zone"),
            (None, None) => f.write_str("any name in every zone"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can = |may: bool| if may { "allow" } else { "deny" };
        match self {
            Self::Row { key, write } if *key == Key::default() => {
                write!(f, "default: {} everything", can(*write))
            }
            Self::Row { key, write } => write!(f, "{} {key}", can(*write)),
            Self::Zone { zone, dyndns, records } => {
                let place = match zone {
                    Some(zone) => format!("{zone} and every name below"),
                    None => "every other zone".to_owned(),
                };
                match (dyndns, records) {
                    (_, true) => write!(f, "allow any record of {place}"),
                    (true, false) => write!(f, "allow A and AAAA of {place}"),
                    (false, false) if zone.is_none() => f.write_str("default: deny everything"),
                    (false, false) => write!(f, "deny any record of {place}"),
                }
            }
        }
    }
}

/// The name that Homing gives to a token for `hosts`, within deSEC's 64 characters.
pub fn name_for(hosts: &[Hostname]) -> String {
    const LONGEST: usize = 64;
    let first = hosts.first().map(Hostname::as_str).unwrap_or_default();
    // Host names are ASCII, so every byte is a character.
    format!("{OURS}{first}").chars().take(LONGEST).collect()
}

/// The shortest life of a token, unless a person insists on a shorter one.
pub const SHORTEST: Duration = Duration::from_secs(60 * 60);

/// The zone to register for `host`: the name above it, or the host itself if anyone can register
/// names in that one.
pub fn zone_to_register(host: &Hostname) -> &str {
    let host = host.as_str();
    let host = host.strip_prefix("*.").unwrap_or(host);
    match host.split_once('.') {
        Some((_, above)) if !is_public(above) => above,
        _ => host,
    }
}

/// Whether anyone can register names in `zone`, judged by its form: a top-level domain, one like
/// `co.uk`, or deSEC's own `dedyn.io`.
pub fn is_public(zone: &str) -> bool {
    const KINDS: [&str; 8] = ["ac", "co", "com", "edu", "gov", "ne", "net", "org"];
    match zone.split_once('.') {
        None => true,
        Some((kind, country)) => zone == GIVEN_AWAY || country.len() == 2 && KINDS.contains(&kind),
    }
}

/// The way round a credential that reaches further than `host`, in words: an alias at a service whose
/// tokens are for one name. A wildcard's alias needs a name as well.
pub fn way_round(host: &str) -> String {
    let label = host.trim_start_matches("*.").split('.').next().unwrap_or_default();
    format!(
        "keep this credential off this machine: write `{host}. CNAME {label}.{GIVEN_AWAY}.` at the \
            provider by hand (not at a zone's own name), and let Homing update {label}.{GIVEN_AWAY} \
            at deSEC, where `homing token issue` makes a token for that name alone"
    )
}

/// The zone in which deSEC gives names away; deSEC adds there what such a name needs.
pub const GIVEN_AWAY: &str = "dedyn.io";

/// Every network, as the server writes it: no limit at all.
pub const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// The beginning of the names of Homing's tokens.
pub const OURS: &str = "homing:";

/// Reads a duration of deSEC's: `[DD] [HH:[MM:]]ss[.uuuuuu]`.
///
/// Fractions of a second are dropped, but a time above zero becomes at least one second.
pub fn parse_span(text: &str) -> Option<Duration> {
    let (days, clock) = match text.split_once(' ') {
        Some((days, clock)) => (days.parse::<u64>().ok()?, clock),
        None => (0, text),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut seconds = 0_u64;
    let parts: Vec<&str> = clock.split(':').collect();
    if parts.len() > 3 {
        return None;
    }
    for part in parts {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    seconds = seconds.checked_add(days.checked_mul(DAY)?)?;
    if seconds == 0 && fraction.bytes().any(|digit| digit != b'0') {
        seconds = 1;
    }
    Some(Duration::from_secs(seconds))
}

/// Writes a duration as deSEC does: `365 00:00:00`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, rest) = (seconds / DAY, seconds % DAY);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days == 0 { clock } else { format!("{days} {clock}") }
}

/// Writes a duration as a person would on the command line: `365d`, `36h`, `90s`.
pub fn period(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(DAY, 'd'), (60 * 60, 'h'), (60, 'm')];
    let whole =
        units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, letter) = whole.unwrap_or((1, 's'));
    format!("{}{letter}", seconds / unit)
}

const DAY: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn duty(host: &str, zone: &str) -> Duty {
        let families = PerFamily { v4: true, v6: true };
        Duty { host: host.parse().unwrap(), zone: zone.parse().unwrap(), families }
    }

    #[test]
    fn a_host_is_a_name_in_its_zone() {
        assert_eq!(duty("a.b.example.com", "example.com").subname(), "a.b");
        assert_eq!(duty("example.com", "example.com").subname(), "");
        assert_eq!(duty("*.example.com", "example.com").subname(), "*");
    }

    #[test]
    fn exactly_the_rows_of_the_hosts_are_wanted() {
        let mut one = duty("dev1.example.com", "example.com");
        one.families.v4 = false;
        let rules = wanted(Api::Rows, &[one.clone(), duty("example.com", "example.com"), one]);
        let told: Vec<String> = rules.iter().map(Rule::to_string).collect();
        let expect = [
            "default: deny everything",
            "allow AAAA of dev1.example.com",
            "allow A of example.com itself",
            "allow AAAA of example.com itself",
        ];
        assert_eq!(told, expect);
        let rules = wanted(Api::Zones, &[duty("example.com", "example.com")]);
        assert_eq!(rules[1].to_string(), "allow A and AAAA of example.com and every name below");
    }

    #[test]
    fn a_row_of_a_zone_that_is_not_responsible_names_it() {
        let duties = [duty("kid.example.com", "kid.example.com")];
        let row = |zone: &str, subname: Option<&str>| Rule::Row {
            key: Key {
                zone: Some(zone.to_owned()),
                subname: subname.map(str::to_owned),
                kind: Some("A".to_owned()),
            },
            write: true,
        };
        assert_eq!(row("example.com", Some("kid")).foreign_zone(&duties), Some("example.com"));
        assert_eq!(row("example.com", Some("a.kid")).foreign_zone(&duties), Some("example.com"));
        for other in [
            row("kid.example.com", Some("")),
            row("example.com", Some("www")),
            row("example.com", None),
            row("kid.example.com", Some("a")),
        ] {
            assert_eq!(other.foreign_zone(&duties), None, "{other}");
        }
    }

    #[test]
    fn a_name_has_at_most_64_characters() {
        let long: Hostname = format!("{}.example.com", "a".repeat(63)).parse().unwrap();
        assert_eq!(name_for(&[long]).len(), 64);
        assert_eq!(name_for(&["a.example".parse().unwrap()]), "homing:a.example");
    }

    #[test]
    fn limits_that_make_a_token_useless_become_those_that_were_issued() {
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
        let nets = |nets: &[&str]| Some(nets.iter().map(|&net| net.to_owned()).collect());
        let limits = |max_age, max_unused, subnets| Limits { max_age, max_unused, subnets };
        let none = Limits::default();
        let issued = limits(hours(8760), hours(720), nets(&["192.0.2.0/24"]));
        let useless = limits(hours(0), Some(Duration::from_secs(1)), nets(&[]));
        assert_eq!(useless.usable(&issued), issued);
        assert_eq!(useless.usable(&none), none);
        assert_eq!(useless.usable(&useless).max_age, None, "whatever a receipt says of it");
        // What somebody chose stays, and so does a short time that was issued.
        let chosen = limits(hours(24), None, nets(&["198.51.100.0/24"]));
        assert_eq!(chosen.usable(&issued), chosen);
        let short = limits(Some(SHORTEST / 2), None, None);
        assert_eq!(short.usable(&short), short);
        assert_eq!(none.usable(&issued), none);
    }

    #[test]
    fn a_zone_to_register_is_one_that_can_be() {
        for (host, zone) in [
            ("dev1.dyn.example.com", "dyn.example.com"),
            ("dev1.example.com", "example.com"),
            ("example.com", "example.com"),
            ("x.dedyn.io", "x.dedyn.io"),
            ("a.x.dedyn.io", "x.dedyn.io"),
            ("*.x.dedyn.io", "x.dedyn.io"),
            ("*.a.x.dedyn.io", "x.dedyn.io"),
            ("home.example.co.uk", "example.co.uk"),
            ("example.co.uk", "example.co.uk"),
        ] {
            assert_eq!(zone_to_register(&host.parse().unwrap()), zone, "{host}");
        }
    }

    #[test]
    fn spans_are_days_and_a_clock() {
        for (text, seconds) in [
            ("365 00:00:00", 365 * DAY),
            ("00:00:00", 0),
            ("00:00:00.000001", 1),
            ("1 02:03:04.500000", DAY + 2 * 3600 + 3 * 60 + 4),
            ("90", 90),
            ("01:30", 90),
        ] {
            assert_eq!(parse_span(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(span(Duration::from_secs(DAY + 3723)), "1 01:02:03");
        assert_eq!(span(Duration::from_secs(59)), "00:00:59");
        for wrong in ["", "x", "1:2:3:4", "-1 00:00:00", "1 day"] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_period_is_in_the_largest_unit_that_fits() {
        let of = |seconds| period(Duration::from_secs(seconds));
        assert_eq!([of(400 * DAY), of(36 * 3600), of(90), of(0)], ["400d", "36h", "90s", "0s"]);
    }

    #[test]
    fn an_id_is_fit_for_a_url() {
        assert!("6be0a87c-0d9a-4228-a3c5-ed5d33f4a807".parse::<TokenId>().is_ok());
        for wrong in ["", "../x", "a b", "a?b", &"a".repeat(65)] {
            assert!(wrong.parse::<TokenId>().is_err(), "{wrong}");
        }
    }
}
