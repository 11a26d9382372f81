//! Keys of name servers: the configuration that lets a key do one job, and the probes that show
//! that it can do nothing else.
//!
//! Pure. On what BIND 9.18, Knot 3.2 and PowerDNS 4.7 answered (observed November 2026).

use super::finding::Finding;
use super::{Duty, Key, full_name};
use crate::core::name::Hostname;
use crate::core::protocol::rfc2136;
use crate::core::wire::dns::{Name, Rcode, Type};
use crate::core::wire::tsig::{self, Check, Complaint};

/// The configuration for three servers that lets `key` write the records of `duties` and nothing
/// else, as far as the server can restrict it; `secret` is put in the place of the key's secret.
pub fn instructions(key: &tsig::TsigKey, duties: &[Duty], secret: &str) -> String {
    let (name, algorithm) = (in_file(key), key.algorithm);
    let mut text = format!(
        "BIND, in named.conf:\n\n    key \"{}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n",
        key.name
    );
    for (zone, of_zone) in by_zone(duties) {
        text += &format!("    zone \"{zone}\" {{\n        …\n        update-policy {{\n");
        for duty in &of_zone {
            text += &format!("            {}", grant(&name, duty));
        }
        text += "        };\n    };\n";
    }
    text += &format!(
        "\nKnot DNS, in knot.conf:\n\n    key:\n      - id: {name}\n        algorithm: {algorithm}\n        secret: {secret}\n    acl:\n"
    );
    for (at, duty) in duties.iter().enumerate() {
        let kinds: Vec<_> = duty.kinds().collect();
        text += &format!(
            "      - id: {}\n        key: {name}\n        action: update\n        update-type: [{}]\n        update-owner: name\n        update-owner-match: equal\n        update-owner-name: [{}.]\n",
            acl(key, at),
            kinds.join(", "),
            duty.host
        );
    }
    text += "    zone:\n";
    for (zone, of_zone) in by_zone(duties) {
        let own = |duty: &&Duty| duties.iter().position(|known| known == *duty);
        let acls: Vec<_> = of_zone.iter().filter_map(own).map(|at| acl(key, at)).collect();
        text += &format!("      - domain: {zone}\n        acl: [{}]\n", acls.join(", "));
    }
    text += "\nPowerDNS (a key can write every record of the zone; it cannot be limited to names \
        or types):\n\n";
    let name = in_shell(key);
    text += &format!("    pdnsutil import-tsig-key {name} {algorithm} '{secret}'\n");
    for (zone, _) in by_zone(duties) {
        text += &format!("    pdnsutil add-meta {zone} TSIG-ALLOW-DNSUPDATE {name}\n");
        text += &format!("    pdnsutil set-meta {zone} ALLOW-DNSUPDATE-FROM 0.0.0.0/0 ::/0\n");
    }
    text
}

/// The instructions for three servers to remove `key`.
pub fn removal(key: &tsig::TsigKey, duties: &[Duty]) -> String {
    let name = in_file(key);
    let mut text = format!(
        "BIND, in named.conf: remove the statement `key \"{}\"`, and in the update-policy of the \
         zone:\n\n",
        key.name
    );
    for duty in duties {
        text += &format!("    {}", grant(&name, duty));
    }
    let acls: Vec<_> = (0..duties.len()).map(|at| acl(key, at)).collect();
    text += &format!(
        "\nKnot DNS, in knot.conf: remove the key with the id {name}, and from `acl` and the `acl` of \
         the zone:\n\n    {}\n",
        acls.join(", ")
    );
    text += &format!("\nPowerDNS:\n\n    pdnsutil delete-tsig-key {}\n", in_shell(key));
    for (zone, _) in by_zone(duties) {
        text += &format!(
            "    pdnsutil get-meta {zone} TSIG-ALLOW-DNSUPDATE    # then set-meta with the other keys\n"
        );
    }
    text
}

/// The line of BIND's policy that lets the key called `name` do a duty.
fn grant(name: &str, duty: &Duty) -> String {
    let kinds: Vec<_> = duty.kinds().collect();
    format!("grant {name} name {}. {};\n", duty.host, kinds.join(" "))
}

/// The name of a new key, made from its first host. A wildcard's asterisk is replaced, because
/// BIND's policy would apply it to every key.
pub fn key_name(host: &Hostname) -> Option<Name> {
    let text = host.as_str();
    match text.strip_prefix("*.") {
        Some(rest) => Name::from_text(&format!("wildcard.{rest}")),
        None => Name::from_text(text),
    }
}

/// The name of the key that replaces the key `name`: a server can hold both for a while.
pub fn next_key_name(name: &Name) -> Option<Name> {
    let text = name.to_string();
    let numbered = text.rsplit_once('-').and_then(|(stem, number)| {
        let is_short = number.len() <= 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        Some((stem, number.parse::<u32>().ok().filter(|_| is_short)?))
    });
    let (stem, number) = numbered.unwrap_or((&text, 1));
    Name::from_text(&format!("{stem}-{}", number + 1))
}

/// Whether a name needs no quotes in any file or shell, as the names that Homing gives.
fn is_simple(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// The key's name for a server's configuration file.
fn in_file(key: &tsig::TsigKey) -> String {
    let name = key.name.to_string();
    if is_simple(&name) { name } else { format!("\"{name}\"") }
}

/// The key's name as one word of a shell.
fn in_shell(key: &tsig::TsigKey) -> String {
    let name = key.name.to_string();
    if is_simple(&name) { name } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

/// The name of Knot DNS' rule for the duty at that index.
fn acl(key: &tsig::TsigKey, at: usize) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = key.name.to_string().chars().map(word).collect();
    if at == 0 { format!("homing-{name}") } else { format!("homing-{name}-{}", at + 1) }
}

/// The duties of each zone, in the order in which zones are first named.
fn by_zone(duties: &[Duty]) -> Vec<(&Hostname, Vec<&Duty>)> {
    let mut zones: Vec<(_, Vec<&Duty>)> = Vec::new();
    for duty in duties {
        match zones.iter_mut().find(|(zone, _)| *zone == &duty.zone) {
            Some((_, of_zone)) => of_zone.push(duty),
            None => zones.push((&duty.zone, vec![duty])),
        }
    }
    zones
}

/// A probe: the question whether the key may write records of that type at that name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probe {
    /// The name.
    pub name: Name,
    /// The type.
    pub record_type: Type,
    /// The same record, in the form of a finding.
    pub key: Key,
}

/// The permission that an answer to a probe shows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Permission {
    /// The server permits the change; only its condition did not hold.
    Granted,
    /// The server does not permit the change.
    Denied,
    /// The answer shows neither.
    Untold,
}

/// The record types of probes, with their names.
const KINDS: [(&str, Type); 3] = [("A", Type::A), ("AAAA", Type::AAAA), ("TXT", Type::TXT)];

/// The probes for rights of a key for `duty` beyond its job: a neighbour, the zone's own name, a
/// wildcard, a name below the host, and other records at the host; addresses of `hosts` are no excess.
pub fn probes(duty: &Duty, hosts: &[Duty]) -> Vec<Probe> {
    const NEIGHBOUR: &str = "homing-probe-neighbour";
    let own = || duty.subname().to_owned();
    let places: [(String, &[&str]); 7] = [
        (NEIGHBOUR.to_owned(), &["A", "AAAA", "TXT"]),
        (String::new(), &["A", "AAAA", "TXT"]),
        ("*".to_owned(), &["A", "AAAA"]),
        (own(), &["TXT"]),
        (duty.below("_acme-challenge"), &["TXT"]),
        (duty.below(NEIGHBOUR), &["A", "AAAA"]),
        (own(), &["A", "AAAA"]),
    ];
    let mut probes: Vec<Probe> = Vec::new();
    for (subname, kinds) in places {
        for found in kinds.iter().filter_map(|kind| probe(duty, &subname, kind)) {
            let is_job = hosts.iter().any(|host| host.covers(&found.key));
            if !is_job && !probes.contains(&found) {
                probes.push(found);
            }
        }
    }
    probes
}

/// The probes of the job itself: the records that the key must be allowed to write.
pub fn own_probes(duty: &Duty) -> Vec<Probe> {
    duty.kinds().filter_map(|kind| probe(duty, duty.subname(), kind)).collect()
}

fn probe(duty: &Duty, subname: &str, kind: &str) -> Option<Probe> {
    let name = Name::from_text(&full_name(subname, duty.zone.as_str()))?;
    let (_, record_type) = KINDS.into_iter().find(|(known, _)| *known == kind)?;
    Some(Probe { name, record_type, key: Key::of(&duty.zone, subname, kind) })
}

/// The permission that an answer to a probe shows. The key must be known to be right at this
/// server: then Knot's BADKEY means that the name or type is not allowed.
///
/// | signature | RCODE                    | means                                |
/// |-----------|--------------------------|--------------------------------------|
/// | right     | a condition is not met   | granted: only that stood in the way  |
/// | right     | REFUSED                  | denied                               |
/// | BADKEY    | NOTAUTH                  | denied                               |
/// | other     ||                         untold                                 |
pub fn permission(rcode: Rcode, check: Check) -> Permission {
    match (check, rcode) {
        (Check::Verified, rcode) if rfc2136::is_unmet(rcode) => Permission::Granted,
        (Check::Verified, Rcode::REFUSED) => Permission::Denied,
        (Check::Unverified(Complaint::BadKey), Rcode::NOT_AUTH) => Permission::Denied,
        _ => Permission::Untold,
    }
}

/// The finding about a permission beyond the job, if there is one.
pub fn finding(probe: &Probe, permission: Permission, said: &str) -> Option<Finding> {
    match permission {
        Permission::Denied => None,
        Permission::Granted => Some(Finding::MayWrite(probe.key.clone())),
        Permission::Untold => {
            let kind = probe.key.kind.as_deref().unwrap_or_default();
            Some(Finding::untold(format!("it may not write {kind} at {}", probe.name), said))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::address::PerFamily;
    use super::*;

    fn duty(host: &str, v6: bool) -> Duty {
        Duty {
            host: host.parse().unwrap(),
            zone: "example.com".parse().unwrap(),
            families: PerFamily { v4: true, v6 },
        }
    }

    fn key() -> tsig::TsigKey {
        tsig::TsigKey { name: Name::from_text("dev1").unwrap(), algorithm: tsig::Algorithm::Sha256 }
    }

    #[test]
    fn the_policy_names_exactly_the_hosts_and_their_families() {
        let duties = [duty("dev1.example.com", true), duty("dev2.example.com", false)];
        let text = instructions(&key(), &duties, "c2VjcmV0");
        for line in [
            "key \"dev1\" { algorithm hmac-sha256; secret \"c2VjcmV0\"; };",
            "grant dev1 name dev1.example.com. A AAAA;",
            "grant dev1 name dev2.example.com. A;",
            "update-type: [A, AAAA]",
            "update-owner-name: [dev2.example.com.]",
            "acl: [homing-dev1, homing-dev1-2]",
            "pdnsutil add-meta example.com TSIG-ALLOW-DNSUPDATE dev1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn what_was_written_for_a_key_is_named_when_it_goes() {
        let duties = [duty("dev1.example.com", true), duty("dev2.example.com", false)];
        let (made, gone) = (instructions(&key(), &duties, ""), removal(&key(), &duties));
        for line in ["grant dev1 name dev1.example.com. A AAAA;", "homing-dev1", "homing-dev1-2"] {
            assert!(made.contains(line) && gone.contains(line), "{line} in {gone}");
        }
        assert!(gone.contains("pdnsutil delete-tsig-key dev1"), "{gone}");
    }

    #[test]
    fn a_key_is_called_after_its_host_and_the_next_one_otherwise() {
        for (host, expect) in
            [("dev1.example.com", "dev1.example.com"), ("*.example.com", "wildcard.example.com")]
        {
            assert_eq!(key_name(&host.parse().unwrap()).unwrap().to_string(), expect);
        }
        for (name, expect) in [
            ("dev1", "dev1-2"),
            ("dev1-2", "dev1-3"),
            ("dev-one.example.com", "dev-one.example.com-2"),
            ("dev1.example.com-9", "dev1.example.com-10"),
            ("dev-", "dev--2"),
            ("k-20261122", "k-20261122-2"),
        ] {
            let next = next_key_name(&Name::from_text(name).unwrap()).unwrap();
            assert_eq!(next.to_string(), expect);
        }
    }

    #[test]
    fn what_is_no_address_of_the_hosts_is_asked_about() {
        let duties = [duty("dev1.example.com", true)];
        let names: Vec<String> = probes(&duties[0], &duties)
            .iter()
            .map(|probe| format!("{} {}", probe.name, probe.key.kind.as_deref().unwrap()))
            .collect();
        let expect = [
            "homing-probe-neighbour.example.com A",
            "homing-probe-neighbour.example.com AAAA",
            "homing-probe-neighbour.example.com TXT",
            "example.com A",
            "example.com AAAA",
            "example.com TXT",
            "*.example.com A",
            "*.example.com AAAA",
            "dev1.example.com TXT",
            "_acme-challenge.dev1.example.com TXT",
            "homing-probe-neighbour.dev1.example.com A",
            "homing-probe-neighbour.dev1.example.com AAAA",
        ];
        assert_eq!(names, expect);
    }

    #[test]
    fn a_host_that_is_the_zone_itself_may_write_its_own_addresses() {
        let duties = [duty("example.com", true)];
        let names: Vec<String> =
            probes(&duties[0], &duties).iter().map(|probe| probe.name.to_string()).collect();
        assert!(names.contains(&"_acme-challenge.example.com".to_owned()), "{names:?}");
        let own = |probe: &Probe| probe.key.subname.as_deref() == Some("");
        let kinds: Vec<_> = probes(&duties[0], &duties)
            .into_iter()
            .filter(own)
            .map(|probe| probe.key.kind.unwrap())
            .collect();
        assert_eq!(kinds, ["TXT"]);
    }

    #[test]
    fn only_what_is_signed_grants_and_knots_word_counts_for_a_proven_key() {
        let nx_domain = Rcode(3);
        let bad_key = Check::Unverified(Complaint::BadKey);
        let unsigned = Check::Unverified(Complaint::Unsigned);
        for (rcode, check, expect) in [
            (nx_domain, Check::Verified, Permission::Granted),
            (nx_domain, unsigned, Permission::Untold),
            (Rcode::REFUSED, Check::Verified, Permission::Denied),
            (Rcode::REFUSED, unsigned, Permission::Untold),
            (Rcode::NOT_AUTH, bad_key, Permission::Denied),
            (Rcode::NO_ERROR, Check::Verified, Permission::Untold),
            (Rcode(2), Check::Verified, Permission::Untold),
        ] {
            assert_eq!(permission(rcode, check), expect, "{rcode:?} {check:?}");
        }
    }
}
