//! The update view: what one dynDNS request changes, and what it is answered.
//!
//! Pure: account, request, address of the client and time in; answer out. Behaviour and sentences
//! are deSEC's, recorded August 2026, and the golden files hold this module to them. Checks run
//! in this order: credentials, hosts and zone, throttle, method, parameters, then per record set
//! CNAME, permission, content; and all record sets of a request change together or not at all.
//! The old API asks for permission once, before the throttle, and knows one host, no prefixes and
//! no values for single hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::account::{Account, DYNDNS_TTL, RecordSet};
use super::api::Api;
use super::auth;
use super::http::{Answer, Request};
use super::subnet::Subnet;
use super::throttle::{self, Scope};
use super::yaml::{self, Problem};

/// Performs the update that `request` asks for and answers it, in the server's own words.
pub fn answer(account: &mut Account, request: &Request, client: IpAddr, now: Duration) -> Answer {
    let answer = update(account, request, client, now).unwrap_or_else(Answer::from);
    match answer.status {
        500 => answer, // raised outside the view, which therefore could not add anything
        _ => answer.with("Allow", "GET, HEAD, OPTIONS"),
    }
}

fn update(
    account: &mut Account,
    request: &Request,
    client: IpAddr,
    now: Duration,
) -> Result<Answer, Refusal> {
    let caller = auth::for_update(account, request, client, now).map_err(Refusal::Credential)?;
    let hosts = hosts(account, request, caller.user.as_deref())?;
    let own = match account.api {
        Api::Current => own_values(request),
        Api::Legacy => OwnValues::new(),
    };
    let zone = common_zone(account, hosts.iter().chain(own.keys().map(|(host, _)| host)))?;
    if account.api == Api::Legacy && !caller.token.zone_policy(&zone).perm_dyndns {
        return Err(Refusal::Endpoint);
    }

    let scopes = [Scope::Dyndns { zone: zone.clone() }, Scope::User];
    account.admit(&scopes, now).map_err(Refusal::Throttled)?;
    match request.method.as_str() {
        "GET" | "HEAD" => {}
        "OPTIONS" => {
            let description = "namedescriptionrendersparses";
            return Ok(Answer::new(200, "*/*; charset=utf-8", description));
        }
        other => return Err(Refusal::Method(other.to_owned())),
    }

    let changes = changes(account, &hosts, &own, request, client)?;
    let mut problems = Vec::new();
    for change in &changes {
        if change.meets_cname(account, &zone) {
            problems.push(vec![CONFLICT.to_owned()]);
        } else if account.api == Api::Legacy
            || caller.token.may_write(&zone, &change.subname, change.family.kind())
        {
            problems.push(change.content_problem(account, &zone).into_iter().collect());
        } else {
            return Err(Refusal::Permission);
        }
    }
    if problems.iter().any(|texts| !texts.is_empty()) {
        let problems = problems.into_iter().map(Problem::RecordSet).collect();
        return Err(Refusal::Invalid(problems));
    }
    for change in changes {
        let values = change.canonical();
        let records = RecordSet { ttl: DYNDNS_TTL, values };
        account.write(&zone, &change.subname, change.family.kind(), records, now);
    }
    Ok(Answer::text(200, "good"))
}

/// The hosts to update, lower-cased: the first parameter that names any, or the only zone.
fn hosts(account: &Account, request: &Request, user: Option<&str>) -> Result<Vec<String>, Refusal> {
    let hostname = request.parameter("hostname");
    let named = hostname
        .filter(|value| !["", "YES"].contains(value)) // old ddclient sends YES with host_id
        .or_else(|| request.parameter("host_id"))
        .or(user.filter(|user| !user.is_empty() && !user.contains('@')))
        .or_else(|| request.parameter("username"));
    match (named, account.zones()) {
        (Some(name), _) if account.api == Api::Legacy => Ok(vec![name.trim().to_lowercase()]),
        (Some(list), _) => Ok(host_list(list)),
        (None, [zone]) => Ok(vec![zone.name.clone()]),
        (None, []) => Err(Refusal::NoZoneAtAll),
        (None, _) => Err(Refusal::Unspecified),
    }
}

/// A final comma leaves an empty name in the list, which no zone covers.
fn host_list(value: &str) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for host in value.split(',').map(|host| host.trim().to_lowercase()) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// The zone that is responsible for every one of `hosts`.
fn common_zone<'a>(
    account: &Account,
    hosts: impl Iterator<Item = &'a String>,
) -> Result<String, Refusal> {
    let mut zones = BTreeSet::new();
    for host in hosts {
        let zone = account.zone_of(host).filter(|_| is_name(host)).ok_or(Refusal::NoHost)?;
        zones.insert(zone.name.clone());
    }
    let first = zones.pop_first().ok_or(Refusal::Unspecified)?;
    if zones.is_empty() { Ok(first) } else { Err(Refusal::SeveralZones) }
}

/// Whether `host` is spelled as names in a zone are: Punycode, not Unicode, and no final dot.
fn is_name(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '*'].contains(&c);
    host.split('.').all(|label| !label.is_empty() && label.chars().all(fits))
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Family {
    V4,
    V6,
}

impl Family {
    const BOTH: [Self; 2] = [Self::V4, Self::V6];

    fn kind(self) -> &'static str {
        match self {
            Self::V4 => "A",
            Self::V6 => "AAAA",
        }
    }

    /// The character that makes an item of a value count for this family.
    fn mark(self) -> char {
        match self {
            Self::V4 => '.',
            Self::V6 => ':',
        }
    }

    /// Where its addresses are looked for; the first that has any counts.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::V4 => &["myip", "myipv4", "ip"],
            Self::V6 => &["myipv6", "ipv6", "myip", "ip"],
        }
    }

    /// The parameter that the values for single hosts are added to.
    fn own_parameter(self) -> &'static str {
        match self {
            Self::V4 => "myipv4",
            Self::V6 => "myipv6",
        }
    }

    fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The one spelling under which an address is stored.
    fn canonical(self, text: &str) -> Option<IpAddr> {
        match self {
            Self::V4 => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
            Self::V6 => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        }
    }
}

/// Parameter and value for a single host and family, as in `myipv4:dev1.example.com=192.0.2.1`.
type OwnValues<'a> = BTreeMap<(String, Family), (&'a str, &'a str)>;

fn own_values(request: &Request) -> OwnValues<'_> {
    let mut own = OwnValues::new();
    for (name, value) in &request.query {
        for family in Family::BOTH {
            let list = name.strip_prefix(family.own_parameter());
            let list = list.and_then(|rest| rest.strip_prefix(':'));
            for host in list.map(host_list).unwrap_or_default() {
                own.insert((host, family), (name, value));
            }
        }
    }
    own
}

/// What a request wants for one family of a host.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Wish {
    Delete,
    Prefix(Subnet),
    Preserve,
    Values(BTreeSet<String>),
}

/// The wish that a parameter expresses for `family`, if any: items that cannot belong to the
/// family are passed over, and when nothing is left the parameter counts as absent.
fn wish(parameter: &str, value: &str, family: Family, api: Api) -> Result<Option<Wish>, Refusal> {
    let words = ["", "preserve"];
    let items = value.split(',').map(str::trim);
    let items: BTreeSet<&str> =
        items.filter(|item| words.contains(item) || item.contains(family.mark())).collect();
    if items.len() > 1 && words.iter().any(|word| items.contains(word)) {
        return Err(Refusal::parameter(format!(
            "IP parameter \"{parameter}\" cannot have addresses and \"preserve\" or an empty value \
             at the same time."
        )));
    }
    let prefix = items.iter().find(|item| item.contains('/') && api == Api::Current).copied();
    if prefix.is_some() && items.len() > 1 {
        return Err(Refusal::parameter(format!(
            "IP parameter \"{parameter}\" cannot use subnet notation with multiple addresses."
        )));
    }
    if let Some(prefix) = prefix {
        let subnet = prefix.parse::<Subnet>().ok();
        let subnet = subnet.filter(|subnet| subnet.is_ipv4() == (family == Family::V4));
        return subnet.map(Wish::Prefix).map(Some).ok_or_else(|| {
            Refusal::parameter(format!(
                "IP parameter \"{parameter}\" is an invalid subnet: '{prefix}' does not appear to \
                 be an IPv4 or IPv6 network"
            ))
        });
    }
    Ok(match items.first() {
        None => None,
        Some(&"") => Some(Wish::Delete),
        Some(&"preserve") => Some(Wish::Preserve),
        Some(_) => Some(Wish::Values(items.into_iter().map(str::to_owned).collect())),
    })
}

/// The wish for `family` of every host that has none of its own. A request that says nothing sets
/// the connection's address, or deletes the record of the family that the connection is not.
fn general_wish(
    request: &Request,
    family: Family,
    client: IpAddr,
    api: Api,
) -> Result<Wish, Refusal> {
    for parameter in family.parameters() {
        let Some(value) = request.parameter(parameter) else {
            continue;
        };
        if let Some(wish) = wish(parameter, value, family, api)? {
            return Ok(wish);
        }
    }
    let here = Family::of(client) == family;
    Ok(if here { Wish::Values([client.to_string()].into()) } else { Wish::Delete })
}

/// One record set to be written; without values it is removed, which needs permission just so.
#[derive(Clone, Debug)]
struct Change {
    family: Family,
    subname: String,
    values: Vec<String>,
}

const CONFLICT: &str = "RRset with conflicting type present at same subname: database (CNAME). (No \
                        other RRsets are allowed alongside CNAME.)";

impl Change {
    fn meets_cname(&self, account: &Account, zone: &str) -> bool {
        let zone = account.zones().iter().find(|known| known.name == zone);
        let cname = zone.and_then(|zone| zone.record_set(&self.subname, "CNAME"));
        cname.is_some() && !self.values.is_empty()
    }

    fn content_problem(&self, account: &Account, zone: &str) -> Option<String> {
        let mut known = BTreeSet::new();
        for value in &self.values {
            let kind = self.family.kind();
            let Some(address) = self.family.canonical(value) else {
                return Some(format!(
                    "Record content for type {kind} malformed: Text input is malformed."
                ));
            };
            if !known.insert(address) {
                return Some("Duplicate: records must be semantically unique".to_owned());
            }
        }
        let blocked = known.into_iter().filter(|_| self.family == Family::V4);
        let mut blocked = blocked.filter(|address| account.is_blocked(zone, *address));
        blocked.next().map(|address| format!("IP address {address} not allowed."))
    }

    fn canonical(&self) -> BTreeSet<String> {
        let addresses = self.values.iter().filter_map(|value| self.family.canonical(value));
        addresses.map(|address| address.to_string()).collect()
    }
}

/// The record sets to write: both families of the hosts asked for, and of a host that has only
/// values of its own, the families of those.
fn changes(
    account: &Account,
    hosts: &[String],
    own: &OwnValues<'_>,
    request: &Request,
    client: IpAddr,
) -> Result<Vec<Change>, Refusal> {
    let mut wishes = Vec::new();
    for family in Family::BOTH {
        let general = general_wish(request, family, client, account.api)?;
        wishes.extend(hosts.iter().map(|host| ((host, family), general.clone())));
    }
    let mut wishes: BTreeMap<_, _> = wishes.into_iter().collect();
    for ((host, family), (parameter, value)) in own {
        if let Some(wish) = wish(parameter, value, *family, account.api)? {
            wishes.insert((host, *family), wish);
        }
    }
    let changes = wishes.into_iter().filter_map(|((host, family), wish)| {
        let values = match wish {
            Wish::Delete => Vec::new(),
            Wish::Prefix(subnet) => {
                let hosts = account.records(host, family.kind());
                let hosts = hosts.iter().filter_map(|text| text.parse().ok());
                hosts.filter_map(|host| subnet.rebased(host)).map(|a| a.to_string()).collect()
            }
            Wish::Preserve => return None,
            Wish::Values(values) => values.into_iter().collect(),
        };
        let subname = account.zone_of(host)?.subname_of(host)?.to_owned();
        Some(Change { family, subname, values })
    });
    Ok(changes.collect())
}

/// Why a request changes nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Refusal {
    Credential(auth::Refused),
    Endpoint,
    Invalid(Vec<Problem>),
    Method(String),
    NoHost,
    NoZoneAtAll,
    Permission,
    SeveralZones,
    Throttled(Duration),
    Unspecified,
}

impl Refusal {
    fn parameter(text: String) -> Self {
        Self::Invalid(vec![Problem::Request(text)])
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Credential(sentence) => {
                // Never `Basic`: a client that waits for a challenge it knows waits for ever.
                Self::text(401, sentence).with("WWW-Authenticate", "Token")
            }
            Refusal::Endpoint => {
                Self::text(403, "You do not have permission to perform this action.")
            }
            Refusal::Invalid(problems) => Self::text(400, &yaml::list(&problems)),
            Refusal::Method(method) => {
                Self::text(405, &format!("Method \"{method}\" not allowed."))
            }
            Refusal::NoHost => Self::text(404, "nohost"),
            Refusal::NoZoneAtAll => Self::page(500, "Server Error (500)", ""),
            Refusal::Permission => Self::text(403, "Insufficient token permissions."),
            Refusal::SeveralZones => {
                Self::text(400, "Cannot update subdomains from more than one domain.")
            }
            Refusal::Throttled(wait) => {
                let (seconds, sentence) = throttle::refusal(wait);
                Self::text(429, &sentence).with("Retry-After", &seconds.to_string())
            }
            Refusal::Unspecified => {
                Self::text(400, "Request does not properly specify domain for update.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::calendar::OPENED;
    use super::*;

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn account() -> Account {
        let mut account = Account::new("owner@lab.example");
        account.add_zone("example.com");
        account.add_zone("example.org");
        account.add_host_token("dev1", "one", &["dev1.example.com"]).unwrap();
        account.tokens.push(super::super::token::Token::unrestricted("all", "all"));
        account.set_records("dev1.example.com", "A", &["192.0.2.1"], 60);
        account.set_records("dev1.example.com", "AAAA", &["2001:db8::1"], 60);
        account
    }

    fn ask(
        account: &mut Account,
        secret: &str,
        query: &[(&str, &str)],
        from: IpAddr,
    ) -> (u16, String) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let request = Request {
            headers: vec![("Authorization".to_owned(), format!("Token {secret}"))],
            method: "GET".to_owned(),
            query: query.iter().map(owned).collect(),
            ..Request::default()
        };
        account.history.flush();
        let answer = answer(account, &request, from, OPENED);
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    /// Asks as a token that may do everything and compares A and AAAA of dev1 afterwards.
    #[track_caller]
    fn check(query: &[(&str, &str)], from: IpAddr, a: &[&str], aaaa: &[&str]) {
        let mut account = account();
        let query = [&[("hostname", "dev1.example.com")], query].concat();
        assert_eq!(ask(&mut account, "all", &query, from), (200, "good".to_owned()));
        assert_eq!(account.records("dev1.example.com", "A"), a);
        assert_eq!(account.records("dev1.example.com", "AAAA"), aaaa);
    }

    #[test]
    fn a_family_that_is_left_out_takes_the_connection_or_is_deleted() {
        check(&[], V4, &["127.0.0.1"], &[]);
        check(&[], V6, &[], &["::1"]);
        check(&[("myipv4", "192.0.2.9")], V4, &["192.0.2.9"], &[]);
        check(&[("myipv4", "192.0.2.9")], V6, &["192.0.2.9"], &["::1"]);
    }

    #[test]
    fn preserve_leaves_a_family_alone_and_an_empty_value_deletes_it() {
        check(&[("myipv4", "preserve"), ("myipv6", "")], V4, &["192.0.2.1"], &[]);
        check(&[("myip", "preserve")], V4, &["192.0.2.1"], &["2001:db8::1"]);
    }

    #[test]
    fn a_list_in_myip_is_sorted_into_families() {
        let query = [("myip", "192.0.2.7, 2001:db8::7")];
        check(&query, V4, &["192.0.2.7"], &["2001:db8::7"]);
    }

    #[test]
    fn a_parameter_without_anything_for_the_family_counts_as_absent() {
        let query = [("myip", "2001:db8::7"), ("myipv4", "192.0.2.7")];
        check(&query, V4, &["192.0.2.7"], &["2001:db8::7"]);
    }

    #[test]
    fn two_records_that_a_prefix_would_make_equal_are_refused_as_duplicates() {
        let mut account = account();
        account.set_records("dev1.example.com", "AAAA", &["2001:db8:1::5", "2001:db8:2::5"], 60);
        let query = [("hostname", "dev1.example.com"), ("myip", "preserve")];
        let query = [&query[..], &[("myipv6", "2001:db8:9::/64")]].concat();
        let (status, body) = ask(&mut account, "all", &query, V4);
        assert_eq!(status, 400);
        assert!(body.contains("Duplicate: records must be semantically unique"), "{body}");
    }

    #[test]
    fn the_first_denied_record_set_hides_what_is_wrong_with_the_others() {
        let hosts = ("hostname", "dev1.example.com,dev2.example.com");
        let answer = ask(&mut account(), "one", &[hosts, ("myip", "1.2.3.4x")], V4);
        assert_eq!(answer, (403, "Insufficient token permissions.".to_owned()));
    }

    #[test]
    fn deleting_and_preserving_do_not_conflict_with_a_cname() {
        for value in ["", "preserve"] {
            let mut account = account();
            account.set_records("cn.example.com", "CNAME", &["www.example.org."], 3600);
            let query = [("hostname", "cn.example.com"), ("myip", value)];
            assert_eq!(ask(&mut account, "all", &query, V4).0, 200);
        }
    }

    #[test]
    fn names_that_no_zone_can_hold_are_nohost() {
        for host in ["dev1.example.com.", "dev1.example.com,", "dév.example.com", "a..example.com"]
        {
            let answer = ask(&mut account(), "all", &[("hostname", host)], V4);
            assert_eq!(answer, (404, "nohost".to_owned()), "{host}");
        }
    }

    #[test]
    fn a_host_that_has_only_its_own_value_must_be_in_the_same_zone() {
        let hostname = ("hostname", "dev1.example.com");
        let foreign = [hostname, ("myipv4:dev1.example.org", "192.0.2.1")];
        assert_eq!(ask(&mut account(), "all", &foreign, V4).0, 400);
        let unknown = [hostname, ("myipv4:dev1.example.net", "192.0.2.1")];
        assert_eq!(ask(&mut account(), "all", &unknown, V4).0, 404);
    }

    #[test]
    fn one_value_may_be_given_to_several_hosts_of_ones_choice() {
        let mut account = account();
        let query = [
            ("hostname", "dev1.example.com"),
            ("myip", "preserve"),
            ("myipv6:dev2.example.com,dev3.example.com", "2001:db8::23"),
        ];
        assert_eq!(ask(&mut account, "all", &query, V4).0, 200);
        assert_eq!(account.records("dev2.example.com", "AAAA"), ["2001:db8::23"]);
        assert_eq!(account.records("dev3.example.com", "AAAA"), ["2001:db8::23"]);
        assert_eq!(account.records("dev1.example.com", "AAAA"), ["2001:db8::1"]);
    }

    #[test]
    fn what_is_refused_before_the_throttle_costs_no_budget() {
        let mut account = account();
        let request = |secret: &str, host: &str| Request {
            headers: vec![("Authorization".to_owned(), format!("Token {secret}"))],
            method: "GET".to_owned(),
            query: vec![("hostname".to_owned(), host.to_owned())],
            ..Request::default()
        };
        let mut status =
            |secret, host| answer(&mut account, &request(secret, host), V4, OPENED).status;
        for _ in 0..5 {
            assert_eq!(status("wrong", "dev1.example.com"), 401);
            assert_eq!(status("one", "dev1.example.net"), 404);
            assert_eq!(status("one", "dev1.example.com,dev1.example.org"), 400);
        }
        assert_eq!(status("one", "dev2.example.com"), 403);
        assert_eq!(status("one", "dev1.example.com"), 200);
        assert_eq!(status("one", "dev1.example.com"), 429);
    }

    #[test]
    fn the_old_api_asks_for_permission_before_it_counts() {
        let mut account = account();
        account.api = Api::Legacy;
        let request = |host: &str| Request {
            headers: vec![("Authorization".to_owned(), "Token one".to_owned())],
            method: "GET".to_owned(),
            query: vec![("hostname".to_owned(), host.to_owned())],
            ..Request::default()
        };
        let mut status = |host| answer(&mut account, &request(host), V4, OPENED).status;
        for _ in 0..3 {
            assert_eq!(status("dev1.example.org"), 403);
        }
        assert_eq!(status("any.name.example.com"), 200);
        assert_eq!(status("dev1.example.com"), 429);
    }

    #[test]
    fn the_old_api_passes_over_values_for_single_hosts() {
        let mut account = account();
        account.api = Api::Legacy;
        let query = [
            ("hostname", "dev1.example.com"),
            ("myip", "preserve"),
            ("myipv4:dev2.example.com", "192.0.2.9"),
        ];
        assert_eq!(ask(&mut account, "one", &query, V4).0, 200);
        assert!(account.records("dev2.example.com", "A").is_empty());
    }
}
