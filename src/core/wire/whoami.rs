//! Resolvers that answer with the asker's address: their questions and answers.
//!
//! Holds the built-in ones. Pure: asking is the shell's work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dns::{Class, Name, Question, ResourceRecord, Type};
use crate::core::address::told::{address_of, of_family, quoted};
use crate::core::address::{Family, PerFamily};
use crate::core::name::Hostname;
use crate::core::server::Server;

/// The port of DNS.
pub const PORT: u16 = 53;

/// A resolver that answers a certain question with the asker's address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolver {
    /// The name that people know it by.
    pub title: String,
    /// Its server in each family.
    pub servers: PerFamily<Option<Server>>,
    /// The name to ask for.
    pub name: Hostname,
    /// The class to ask for.
    pub class: Class,
    /// The type to ask for; `None` is A or AAAA, according to the family.
    pub record_type: Option<Type>,
}

/// A built-in resolver.
struct BuiltIn {
    title: &'static str,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    name: &'static str,
    class: Class,
    record_type: Option<Type>,
}

const BUILT_IN: [BuiltIn; 3] = [
    BuiltIn {
        title: "opendns",
        v4: Ipv4Addr::new(208, 67, 222, 222),
        v6: Ipv6Addr::new(0x2620, 0x119, 0x35, 0, 0, 0, 0, 0x35),
        name: "myip.opendns.com",
        class: Class::IN,
        record_type: None,
    },
    BuiltIn {
        title: "cloudflare",
        v4: Ipv4Addr::new(1, 1, 1, 1),
        v6: Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111),
        name: "whoami.cloudflare",
        class: Class::CH,
        record_type: Some(Type::TXT),
    },
    BuiltIn {
        title: "google",
        v4: Ipv4Addr::new(216, 239, 32, 10),
        v6: Ipv6Addr::new(0x2001, 0x4860, 0x4802, 0x32, 0, 0, 0, 0xa),
        name: "o-o.myaddr.l.google.com",
        class: Class::IN,
        record_type: Some(Type::TXT),
    },
];

/// The names of the built-in resolvers.
pub fn titles() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|built_in| built_in.title)
}

impl Resolver {
    /// The built-in resolver called `title`.
    pub fn built_in(title: &str) -> Option<Self> {
        let found = BUILT_IN.iter().find(|built_in| built_in.title == title)?;
        let server = |address: IpAddr| Some(Server::from((address, PORT)));
        Some(Self {
            title: title.to_owned(),
            servers: PerFamily { v4: server(found.v4.into()), v6: server(found.v6.into()) },
            name: found.name.parse().ok()?,
            class: found.class,
            record_type: found.record_type,
        })
    }

    /// Whether it can answer with an address of `family`.
    pub fn can_tell(&self, family: Family) -> bool {
        let wanted = [Type::of(family), Type::TXT];
        let fits = self.record_type.is_none_or(|record_type| wanted.contains(&record_type));
        fits && self.servers[family].is_some()
    }

    /// The question for the asker's address of `family`.
    pub fn question(&self, family: Family) -> Question {
        let record_type = self.record_type.unwrap_or(Type::of(family));
        Question { name: Name::from(&self.name), record_type, class: self.class }
    }
}

/// The one address of `family` in the `answers` to `question`; the error is what they say
/// instead, in words that follow the resolver's name.
pub fn address_in(
    answers: &[ResourceRecord],
    question: &Question,
    family: Family,
) -> Result<IpAddr, String> {
    let fits = |record: &&ResourceRecord| {
        let ResourceRecord { name, record_type, class, .. } = record;
        (name, record_type, class) == (&question.name, &question.record_type, &question.class)
    };
    let mut records = answers.iter().filter(fits);
    let record = match (records.next(), records.next()) {
        (Some(record), None) => record,
        (Some(_), Some(_)) => return Err("answers with more than one record".to_owned()),
        (None, _) => return Err("answers without a record of what was asked".to_owned()),
    };
    let told = match question.record_type {
        Type::TXT => text_of(&record.data).and_then(|text| address_of(&text, family)),
        _ => raw_address(&record.data).and_then(|address| of_family(address, family)),
    };
    told.map_err(|instead| format!("says {instead}"))
}

/// The one string of a TXT record (RFC 1035, section 3.3.14), without quotes around it.
fn text_of(data: &[u8]) -> Result<String, String> {
    let whole = |(length, text): &(&u8, &[u8])| usize::from(**length) == text.len();
    let Some((_, text)) = data.split_first().filter(whole) else {
        return Err(format!("{}, which is not one text", quoted(&String::from_utf8_lossy(data))));
    };
    Ok(String::from_utf8_lossy(text).trim_matches('"').to_owned())
}

/// The address in the data of an A or AAAA record.
fn raw_address(data: &[u8]) -> Result<IpAddr, String> {
    let v4 = || <[u8; 4]>::try_from(data).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(data).map(IpAddr::from);
    v4().or_else(|_| v6()).map_err(|_| format!("{} bytes, which are not an address", data.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(resolver: &str, family: Family, data: &[&[u8]]) -> (Question, Vec<ResourceRecord>) {
        let question = Resolver::built_in(resolver).unwrap().question(family);
        let record = |data: &&[u8]| {
            let Question { name, record_type, class } = question.clone();
            ResourceRecord { name, record_type, class, data: data.to_vec() }
        };
        let records = data.iter().map(record).collect();
        (question, records)
    }

    #[track_caller]
    fn check(resolver: &str, family: Family, data: &[&[u8]], expect: Result<&str, &str>) {
        let (question, records) = records(resolver, family, data);
        let expect = expect.map(|text| text.parse().unwrap()).map_err(str::to_owned);
        assert_eq!(address_in(&records, &question, family), expect);
    }

    #[test]
    fn every_built_in_resolver_tells_both_families() {
        assert_eq!(titles().collect::<Vec<_>>(), ["opendns", "cloudflare", "google"]);
        for title in titles() {
            let resolver = Resolver::built_in(title).unwrap();
            for (family, server) in resolver.servers.iter() {
                assert!(server.as_ref().unwrap().may_be_reached_over(family));
                assert!(resolver.can_tell(family));
            }
        }
        let question = |family| Resolver::built_in("opendns").unwrap().question(family);
        assert_eq!(question(Family::V4).record_type, Type::A);
        assert_eq!(question(Family::V6).record_type, Type::AAAA);
    }

    #[test]
    fn one_record_with_the_address_is_believed() {
        check("opendns", Family::V4, &[&[8, 8, 8, 8]], Ok("8.8.8.8"));
        let v6 = b"\x2a\0\x14\x50\0\0\0\0\0\0\0\0\0\0\0\x09";
        check("opendns", Family::V6, &[v6], Ok("2a00:1450::9"));
        check("google", Family::V4, &[b"\x078.8.8.8"], Ok("8.8.8.8"));
        check("cloudflare", Family::V6, &[b"\x0e\"2a00:1450::9\""], Ok("2a00:1450::9"));
    }

    #[test]
    fn anything_else_is_told() {
        let v4 = Family::V4;
        check("opendns", v4, &[], Err("answers without a record of what was asked"));
        let two: [&[u8]; 2] = [&[8, 8, 8, 8], &[8, 8, 4, 4]];
        check("opendns", v4, &two, Err("answers with more than one record"));
        check("opendns", v4, &[&[8, 8]], Err("says 2 bytes, which are not an address"));
        let other = Err("says ::, which is not an IPv4 address");
        check("opendns", v4, &[&[0; 16]], other);
        check("google", v4, &[b"\x02::"], other);
        check("google", v4, &[b"\x02hi"], Err("says \"hi\", which is not an address"));
        check("google", v4, &[b"\x018\x018"], Err("says \"88\", which is not one text"));
        check("google", v4, &[b""], Err("says \"\", which is not one text"));
    }

    #[test]
    fn records_of_something_else_are_left_aside() {
        let (question, mut records) = records("opendns", Family::V4, &[&[8, 8, 8, 8][..]; 4]);
        records[0].name = Name::from(&"elsewhere.example".parse().unwrap());
        records[1].record_type = Type::TXT;
        records[2].class = Class::CH;
        assert!(address_in(&records, &question, Family::V4).is_ok());
    }
}
