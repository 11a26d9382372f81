//! What a record may say, by its type.
//!
//! Pure. Addresses and names are read as strictly as deSEC does; of other types only what tells
//! sense from nonsense is looked at. Sentences: deSEC, recorded August 2026, where it showed them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The types that may be written.
const KINDS: &[&str] = &[
    "A",
    "AAAA",
    "AFSDB",
    "APL",
    "CAA",
    "CDNSKEY",
    "CDS",
    "CERT",
    "CNAME",
    "CSYNC",
    "DHCID",
    "DNAME",
    "DNSKEY",
    "DLV",
    "DS",
    "EUI48",
    "EUI64",
    "HINFO",
    "HTTPS",
    "KX",
    "L32",
    "L64",
    "LOC",
    "LP",
    "MX",
    "NAPTR",
    "NID",
    "NS",
    "OPENPGPKEY",
    "PTR",
    "RP",
    "SMIMEA",
    "SPF",
    "SRV",
    "SSHFP",
    "SVCB",
    "TLSA",
    "TXT",
    "URI",
];

/// The types that the server makes itself.
const AUTOMATIC: &[&str] = &["CDNSKEY", "CDS", "DNSKEY", "NSEC3", "NSEC3PARAM", "RRSIG", "SOA"];

/// Why nobody may write record sets of this type, if so.
pub fn kind_complaint(kind: &str) -> Option<String> {
    if AUTOMATIC.contains(&kind) && !KINDS.contains(&kind) {
        return Some(format!("You cannot tinker with the {kind} RRset."));
    }
    let unknown = !KINDS.contains(&kind);
    unknown.then(|| format!("The {kind} RR set type is currently unsupported."))
}

/// The one spelling under which a record is stored, or the complaint.
pub fn canonical(kind: &str, text: &str) -> Result<String, String> {
    let malformed =
        || format!("Record content for type {kind} malformed: Text input is malformed.");
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match kind {
        "A" => text.parse().map(|a: Ipv4Addr| a.to_string()).map_err(|_| malformed()),
        "AAAA" => text.parse().map(|a: Ipv6Addr| a.to_string()).map_err(|_| malformed()),
        "CNAME" | "DNAME" | "NS" | "PTR" => match words.as_slice() {
            [name] => qualified(name),
            _ => Err(malformed()),
        },
        "AFSDB" | "KX" | "MX" => match words.as_slice() {
            [number, name] if number.parse::<u16>().is_ok() => {
                qualified(name).map(|name| format!("{number} {name}"))
            }
            _ => Err(malformed()),
        },
        "SRV" => match words.as_slice() {
            [numbers @ .., name] if numbers.len() == 3 => {
                let fits = numbers.iter().all(|number| number.parse::<u16>().is_ok());
                let name = qualified(name);
                if fits {
                    name.map(|n| format!("{} {n}", numbers.join(" ")))
                } else {
                    Err(malformed())
                }
            }
            _ => Err(malformed()),
        },
        "SPF" | "TXT" => {
            let quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
            let complaint = format!("Data for {kind} records must be given using quotation marks.");
            if quoted { Ok(text.to_owned()) } else { Err(complaint) }
        }
        // All others have at least two parts, or a long one.
        _ if words.len() < 2 && text.len() < 12 => Err(malformed()),
        _ => Ok(words.join(" ")),
    }
}

fn qualified(name: &str) -> Result<String, String> {
    let Some(labels) = name.strip_suffix('.') else {
        let text = "Hostname must be fully-qualified (i.e., end in a dot: \"example.com.\")";
        return Err(text.to_owned());
    };
    let fits = |label: &str| (1..=63).contains(&label.len());
    if labels.is_empty() || labels.split('.').all(fits) {
        Ok(name.to_lowercase())
    } else {
        Err(format!("Hostname {name} is malformed."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_spelling() {
        assert_eq!(canonical("AAAA", "2001:DB8:0::1").unwrap(), "2001:db8::1");
        let refused = canonical("A", "-").unwrap_err();
        assert_eq!(refused, "Record content for type A malformed: Text input is malformed.");
        assert!(canonical("A", "192.0.2.01").is_err());
    }

    #[test]
    fn names_end_in_a_dot_and_texts_are_quoted() {
        assert_eq!(canonical("NS", "NS1.example.com.").unwrap(), "ns1.example.com.");
        assert!(canonical("CNAME", "-").unwrap_err().contains("fully-qualified"));
        assert_eq!(canonical("MX", "10  mail.example.").unwrap(), "10 mail.example.");
        assert!(canonical("MX", "mail.example.").is_err());
        assert_eq!(canonical("SRV", "0 0 443 a.example.").unwrap(), "0 0 443 a.example.");
        assert!(canonical("TXT", "-").unwrap_err().contains("quotation marks"));
        assert!(canonical("TXT", "\"-\"").is_ok());
    }

    #[test]
    fn a_hopeless_record_is_none_of_any_type() {
        for kind in KINDS {
            assert!(canonical(kind, "-").is_err(), "{kind}");
        }
    }

    #[test]
    fn only_known_types_are_written() {
        assert!(kind_complaint("TLSA").is_none());
        assert!(kind_complaint("SOA").unwrap().contains("tinker"));
        assert!(kind_complaint("FOO").unwrap().contains("unsupported"));
    }
}
