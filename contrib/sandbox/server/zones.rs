//! The endpoints for zones: `domains/…`.
//!
//! Pure. Any token reads them; registering and removing has its own permissions. Forms and order
//! of checks: deSEC, recorded August 2026.

use super::account::{Account, Zone};
use super::api::Api;
use super::calendar::timestamp;
use super::call::{Call, Refusal, description};
use super::fields::Fields;
use super::http::{Answer, to_base64};
use super::json::Value;
use super::paging;
use super::throttle::Scope;
use super::token::Policy;

/// `domains/`: all zones, newest first; with `owns_qname` the one that is responsible for that
/// name, if any.
pub fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let token = call.enter()?;
    if call.request.method == "POST" {
        let may = match call.account.api {
            Api::Current => token.perm_create_domain,
            Api::Legacy => token.zone_policies.is_empty(),
        };
        if !may {
            return Err(Refusal::permission());
        }
        if call.account.limit_domains.is_some_and(|limit| call.account.zones().len() >= limit) {
            let text =
                "Domain limit exceeded. Please contact support to create additional domains.";
            return Err(Refusal::Detail(403, text.to_owned()));
        }
    }
    throttle(call)?;
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            if let Some(name) = call.request.parameter("owns_qname") {
                // At most one, and never in pages.
                let zone = owner(call.account, name).map(|zone| shown(zone, false));
                let list = Value::List(zone.into_iter().collect());
                return Ok(Answer::json(200, &list.to_string()));
            }
            let key = |zone: &Zone| format!("{:020}", zone.serial);
            let zones = call.account.zones().iter();
            let entries = zones.map(|zone| (key(zone), shown(zone, false)));
            paging::answer(call, entries.collect())
        }
        "POST" => {
            let body = call.object()?;
            let mut fields = Fields::of(&body, false);
            fields.required("name");
            let name = fields.whole_text("name");
            fields.complain("name", &name.as_deref().map(complaints).unwrap_or_default());
            fields.finish()?;
            let name = name.unwrap_or_default();
            if call.account.zone(&name).is_some() || !is_registrable(call.account, &name) {
                let text = "This domain name conflicts with an existing domain, or is disallowed \
                            by policy.";
                return Err(Refusal::field("name", text));
            }
            call.account.register(&name, call.now);
            if let Some(token) = call.account.token_by_id_mut(&token.id)
                && token.auto_policy
            {
                token.policies.push(Policy::allow_zone(&name));
            }
            let zone = call.account.zone(&name).map(|zone| shown(zone, true));
            Ok(Answer::json(201, &zone.unwrap_or(Value::Null).to_string()))
        }
        "OPTIONS" => Ok(description("Domain List")),
        _ => Err(call.no_such_method()),
    }
}

/// `domains/ZONE/`.
pub fn one(call: &mut Call<'_>, name: &str) -> Result<Answer, Refusal> {
    let token = call.enter()?;
    let current = call.account.api == Api::Current;
    let may_delete =
        if current { token.perm_delete_domain } else { token.zone_policies.is_empty() };
    if call.request.method == "DELETE" && !may_delete {
        return Err(Refusal::permission());
    }
    throttle(call)?;
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            let zone = call.account.zone(name).ok_or_else(|| call.not_found("Domain"))?;
            Ok(Answer::json(200, &shown(zone, true).to_string()))
        }
        "DELETE" => {
            let known = call.account.zone(name).is_some();
            if known && current && !token.may_write_whole(name) {
                return Err(Refusal::permission());
            }
            call.account.remove_zone(name);
            Ok(Answer::empty(204))
        }
        "OPTIONS" => Ok(description("Domain Instance")),
        _ => Err(call.no_such_method()),
    }
}

/// `domains/ZONE/zonefile/`.
pub fn file(call: &mut Call<'_>, name: &str) -> Result<Answer, Refusal> {
    let token = call.enter()?;
    find(call.account, name)?;
    if call.account.api == Api::Legacy && !token.zone_policy(name).perm_rrsets {
        return Err(Refusal::permission());
    }
    call.throttle(Scope::DnsApiPerDomainExpensive { zone: name.to_owned() })?;
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            let zone = find(call.account, name)?;
            let now = timestamp(call.now).replace('T', " ").replace('Z', "+00:00");
            let mut text =
                format!("; Zonefile for {name} exported from sandbox.invalid at {now}\n");
            for (subname, kind, entry) in zone.entries() {
                let owner = full_name(subname, name);
                for value in &entry.records.values {
                    let ttl = entry.records.ttl;
                    text.push_str(&format!("{owner}\t{ttl}\tIN\t{kind}\t{value}\n"));
                }
            }
            Ok(Answer::new(200, "text/dns", &text))
        }
        "OPTIONS" => Ok(description("Domain Zonefile")),
        _ => Err(call.no_such_method()),
    }
}

/// The zone with this name, for the views below it.
pub fn find<'a>(account: &'a Account, name: &str) -> Result<&'a Zone, Refusal> {
    account.zone(name).ok_or_else(|| Refusal::Detail(404, "Not found.".to_owned()))
}

/// A name inside a zone, with its final dot.
pub fn full_name(subname: &str, zone: &str) -> String {
    if subname.is_empty() { format!("{zone}.") } else { format!("{subname}.{zone}.") }
}

fn throttle(call: &mut Call<'_>) -> Result<(), Refusal> {
    let scope = if call.is_safe() { Scope::DnsApiCheap } else { Scope::DnsApiExpensive };
    call.throttle(scope)
}

/// The zone that is responsible for `name`. What is no name is in no zone; capitals may stand only
/// before the zone's own name.
fn owner<'a>(account: &'a Account, name: &str) -> Option<&'a Zone> {
    let rest = name.strip_prefix("*.").unwrap_or(name).to_lowercase();
    account.zone_of(name).filter(|_| complaints(&rest).is_empty())
}

/// Names below which anybody registers names, and that nobody can register; a few of the public
/// suffix list beside the top-level domains.
const PUBLIC_SUFFIXES: [&str; 8] =
    ["ac.uk", "co.jp", "co.nz", "co.uk", "com.au", "com.br", "github.io", "org.uk"];

/// Whether an account may register the zone `name` as far as its name tells.
fn is_registrable(account: &Account, name: &str) -> bool {
    let is_public = |name: &str| {
        !name.contains('.')
            || PUBLIC_SUFFIXES.contains(&name)
            || account.public_suffixes.iter().any(|suffix| suffix == name)
    };
    let (first, parent) = name.split_once('.').unwrap_or((name, ""));
    let is_reserved = first.starts_with('_') || ["autoconfig", "autodiscover"].contains(&first);
    let is_internal = name.ends_with(".internal");
    !(is_public(name) || is_internal || is_reserved && is_public(parent))
}

fn complaints(name: &str) -> Vec<String> {
    const LONGEST: usize = 191;
    let mut complaints = Vec::new();
    if name.is_empty() {
        complaints.push("This field may not be blank.".to_owned());
        return complaints;
    }
    if name.chars().count() > LONGEST {
        complaints.push(format!("Ensure this field has no more than {LONGEST} characters."));
    }
    if name != name.to_lowercase() {
        complaints.push(format!("Invalid value (not lowercase): {name}"));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || ['-', '_'].contains(&c);
    let label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(fits);
    let last = name.rsplit('.').next().unwrap_or_default();
    if !name.split('.').all(label) || last.contains('_') {
        complaints.push(
            "Domain names must be labels separated by dots. Labels may consist of up to 63 \
             letters, digits, hyphens, and underscores. The last label may not contain an \
             underscore."
                .to_owned(),
        );
    }
    complaints
}

/// A zone as the API shows it; in lists without its keys.
fn shown(zone: &Zone, with_keys: bool) -> Value {
    let touched = Value::from(timestamp(zone.touched));
    let mut members = vec![
        ("created", Value::from(timestamp(zone.created))),
        ("published", touched.clone()),
        ("name", Value::from(zone.name.as_str())),
    ];
    if with_keys {
        members.push(("keys", Value::List(vec![key(&zone.name)])));
    }
    members.push(("minimum_ttl", zone.minimum_ttl.into()));
    members.push(("touched", touched));
    Value::object(members)
}

/// A key in the form of a real one. Nothing here is signed with it.
fn key(zone: &str) -> Value {
    let public = to_base64(&noise(zone, 0, 64));
    let tag = noise(zone, 1, 2).iter().fold(0, |tag, byte| tag * 256 + u32::from(*byte));
    let ds = |digest: u64, length| {
        let digits: Vec<String> =
            noise(zone, digest, length).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{tag} 13 {digest} {}", digits.concat())
    };
    Value::object([
        ("dnskey", Value::from(format!("257 3 13 {public}"))),
        ("ds", Value::texts([ds(2, 32), ds(4, 48)])),
        ("flags", Value::from(257)),
        ("keytype", Value::from("csk")),
        ("managed", Value::from(true)),
    ])
}

/// Bytes that look like chance and are always the same for `text` and `purpose`.
fn noise(text: &str, purpose: u64, length: usize) -> Vec<u8> {
    // FNV-1a to begin with, then a step of a linear generator for each byte.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ purpose, step);
    let byte = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rest::testing::Lab;
    use super::super::token::Token;
    use super::*;

    #[test]
    fn a_new_zone_shows_its_keys_and_is_there_at_once() {
        let mut lab = Lab::new();
        let made = lab.ok("management", "POST", "/domains/", "{\"name\":\"new.example\"}");
        let Some(Value::List(keys)) = made.get("keys") else {
            panic!("no keys: {made}");
        };
        let ds = keys[0].get("ds").unwrap().to_string();
        assert!(ds.contains(" 13 2 ") && ds.contains(" 13 4 "), "{ds}");
        assert_eq!(lab.ok("management", "GET", "/domains/new.example/", ""), made);
        assert_eq!(lab.account.records("new.example", "NS").len(), 2);
        let list = lab.ok("dev1", "GET", "/domains/", "").to_string();
        assert!(list.contains("new.example") && !list.contains("keys"), "{list}");
        let (status, file) = lab.ask("dev1", "GET", "/domains/new.example/zonefile/", "");
        assert_eq!(status, 200);
        assert!(file.contains("new.example.\t3600\tIN\tNS\tns1.sandbox.invalid.\n"), "{file}");
    }

    #[test]
    fn names_that_are_taken_or_are_none_are_refused() {
        let conflict = "{\"name\":[\"This domain name conflicts with an existing domain, or is \
                        disallowed by policy.\"]}";
        let mut lab = Lab::new();
        for name in [
            "example.com",
            "dedyn.io",
            "test",
            "_x.test",
            "_tcp.dedyn.io",
            "autoconfig.co.uk",
            "autodiscover.example",
            "a.internal",
            "co.uk",
            "123",
        ] {
            let body = format!("{{\"name\":\"{name}\"}}");
            let answer = lab.ask("management", "POST", "/domains/", &body);
            assert_eq!(answer, (400, conflict.to_owned()));
        }
        // A number is read as text.
        let answer = lab.ask("management", "POST", "/domains/", "{\"name\":123}");
        assert_eq!(answer, (400, conflict.to_owned()));
        let long = format!("{}example", "a.".repeat(95));
        for name in ["", "A.example", "a..example", "a.example.", " a.example", &long] {
            let body = format!("{{\"name\":\"{name}\"}}");
            assert_eq!(lab.ask("management", "POST", "/domains/", &body).0, 400, "{name}");
        }
        for name in ["_x.sub.test", "_dmarc.example.com", "autoconfig.example.com"] {
            lab.ok("management", "POST", "/domains/", &format!("{{\"name\":\"{name}\"}}"));
        }
        lab.account.limit_domains = Some(2);
        assert_eq!(lab.ask("management", "POST", "/domains/", "{\"name\":\"b.example\"}").0, 403);
    }

    #[test]
    fn what_is_no_name_in_small_letters_has_no_zone() {
        let mut lab = Lab::new();
        let mut owner = |name: &str| {
            let zones = lab.ok("dev1", "GET", &format!("/domains/?owns_qname={name}"), "");
            assert_eq!(lab.link("first"), None);
            let Value::List(zones) = zones else { panic!("no list") };
            zones.first().map(|zone| zone.get("name").unwrap().to_string())
        };
        let own = Some("\"example.com\"".to_owned());
        for name in ["example.com", "a.example.com", "*.example.com", "BAR.example.com&cursor="] {
            assert_eq!(owner(name), own, "{name}");
        }
        let longest = "a".repeat(63);
        assert_eq!(owner(&format!("{longest}.example.com")), own);
        for name in [
            "A.EXAMPLE.COM",
            "a.Example.com",
            &format!("a{longest}.example.com"),
            "a..example.com",
            "a.example.com.",
            "*.*.example.com",
            "*",
            "",
        ] {
            assert_eq!(owner(name), None, "{name}");
        }
    }

    #[test]
    fn a_zone_is_removed_with_its_policies_by_who_may_write_all_of_it() {
        let mut lab = Lab::new();
        let id = |lab: &Lab| lab.account.token_by_name("dev1").unwrap().id.clone();
        let narrow = id(&lab);
        lab.account.token_by_id_mut(&narrow).unwrap().perm_delete_domain = true;
        assert_eq!(lab.ask("dev1", "DELETE", "/domains/example.com/", "").0, 403);
        assert_eq!(lab.ask("dev1", "DELETE", "/domains/probe.invalid/", "").0, 204);
        assert_eq!(lab.ask("management", "DELETE", "/domains/example.com/", "").0, 204);
        assert_eq!(lab.account.token_by_name("dev1").unwrap().policies, [Policy::deny_all()]);
        assert_eq!(lab.ask("management", "GET", "/domains/example.com/", "").0, 404);
        assert_eq!(lab.ask("dev1", "GET", "/domains/example.com/rrsets/", "").0, 404);
    }

    #[test]
    fn with_auto_policy_a_token_may_write_the_zones_that_it_registers() {
        let mut lab = Lab::new();
        let mut token = Token::restricted("auto", "auto", []);
        token.auto_policy = true;
        assert_eq!(lab.ask("auto", "POST", "/domains/", "{}").0, 401);
        lab.account.tokens.push(token);
        assert_eq!(lab.ask("auto", "POST", "/domains/", "{}").0, 403);
        lab.account.tokens.last_mut().unwrap().perm_create_domain = true;
        lab.ok("auto", "POST", "/domains/", "{\"name\":\"victim.example.com\"}");
        let expected = [Policy::deny_all(), Policy::allow_zone("victim.example.com")];
        assert_eq!(lab.account.token_by_name("auto").unwrap().policies, expected);
        let item = "{\"subname\":\"\",\"type\":\"A\",\"ttl\":3600,\"records\":[\"203.0.113.99\"]}";
        lab.ok("auto", "POST", "/domains/victim.example.com/rrsets/", item);
        assert_eq!(lab.account.records("victim.example.com", "A"), ["203.0.113.99"]);
        assert_eq!(lab.ask("auto", "POST", "/domains/example.com/rrsets/", item).0, 403);
    }
}
