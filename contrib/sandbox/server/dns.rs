//! An authoritative name server for the account's zones: one question in, one answer out.
//!
//! Pure: bytes of a UDP message to bytes (RFC 1035). Answers A, AAAA, CNAME, NS and SOA, expands
//! wildcards, and tells "no such name" from "no such records" (RFC 2308), as resolvers rely on it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::account::{Account, RecordSet, Zone};

/// Without extensions (which this server has none of) no UDP answer may be longer.
const LIMIT: usize = 512;
const HEADER: usize = 12;
/// The name of the question, as a pointer to where it always stands.
const QUESTION_NAME: [u8; 2] = [0xC0, 12];
const SOA_TTL: u32 = 300;

/// The answer to a query, or `None` if the message is no query at all.
pub fn answer(account: &Account, query: &[u8]) -> Option<Vec<u8>> {
    let header = query.get(..HEADER)?;
    let is_response = header[2] & 0x80 != 0;
    if is_response {
        return None;
    }
    let opcode = header[2] >> 3 & 0x0F;
    let reply = if opcode == 0 {
        Question::read(query).map_or(Reply::code(Code::FormatError), |q| resolve(account, &q))
    } else {
        Reply::code(Code::NotImplemented)
    };
    let question = Question::read(query).map(|question| question.bytes).unwrap_or_default();
    let whole = reply.message(header, question, false);
    Some(if whole.len() <= LIMIT { whole } else { reply.message(header, question, true) })
}

fn resolve(account: &Account, question: &Question<'_>) -> Reply {
    let Some(zone) = account.zone_of(&question.name) else {
        return Reply::code(Code::Refused);
    };
    let subname = zone.subname_of(&question.name).unwrap_or_default();
    let Some(owner) = owner(zone, subname) else {
        return Reply { authority: soa(zone), ..Reply::code(Code::NameError) };
    };
    let Some(kind) = Kind::of(question.kind) else {
        return Reply { authority: soa(zone), ..Reply::code(Code::NoError) };
    };
    let answers = match kind {
        Kind::Soa if subname.is_empty() => soa(zone),
        Kind::Soa => Vec::new(),
        Kind::A | Kind::Aaaa | Kind::Cname | Kind::Ns => {
            let direct = zone.record_set(&owner, kind.name()).map(|set| (kind, set));
            let alias = || zone.record_set(&owner, "CNAME").map(|set| (Kind::Cname, set));
            direct.or_else(alias).map(|(kind, set)| entries(kind, set)).unwrap_or_default()
        }
    };
    let authority = if answers.is_empty() { soa(zone) } else { Vec::new() };
    Reply { answers, authority, code: Code::NoError }
}

/// The name whose records answer for `subname`: itself if it exists, else the wildcard at the
/// closest name above that exists (RFC 4592), else none.
fn owner(zone: &Zone, subname: &str) -> Option<String> {
    if subname.is_empty() || zone.has_name(subname) {
        return Some(subname.to_owned());
    }
    let mut name = subname;
    loop {
        let above = name.split_once('.').map_or("", |(_, above)| above);
        let wildcard = if above.is_empty() { "*".to_owned() } else { format!("*.{above}") };
        if zone.has_name(&wildcard) {
            return Some(wildcard);
        }
        if above.is_empty() || zone.has_name(above) {
            return None;
        }
        name = above;
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    A,
    Aaaa,
    Cname,
    Ns,
    Soa,
}

impl Kind {
    const ALL: [Self; 5] = [Self::A, Self::Aaaa, Self::Cname, Self::Ns, Self::Soa];

    fn of(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Cname => 5,
            Self::Ns => 2,
            Self::Soa => 6,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Ns => "NS",
            Self::Soa => "SOA",
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Code {
    FormatError = 1,
    NameError = 3,
    NoError = 0,
    NotImplemented = 4,
    Refused = 5,
}

struct Question<'a> {
    bytes: &'a [u8],
    kind: u16,
    name: String,
}

impl<'a> Question<'a> {
    /// The only question of a query, or `None` if there is not exactly one that can be read.
    fn read(query: &'a [u8]) -> Option<Self> {
        if query.get(4..6)? != [0, 1] {
            return None;
        }
        let mut labels = Vec::new();
        let mut at = HEADER;
        loop {
            let length = usize::from(*query.get(at)?);
            at += 1;
            match length {
                0 => break,
                1..=63 => labels.push(std::str::from_utf8(query.get(at..at + length)?).ok()?),
                _ => return None, // a pointer, which has nothing to point to yet
            }
            at += length;
        }
        let kind = u16::from_be_bytes(query.get(at..at + 2)?.try_into().ok()?);
        let is_internet = query.get(at + 2..at + 4)? == [0, 1];
        let name = labels.join(".").to_lowercase();
        is_internet.then(|| Self { bytes: &query[HEADER..at + 4], kind, name })
    }
}

struct Reply {
    answers: Vec<Vec<u8>>,
    authority: Vec<Vec<u8>>,
    code: Code,
}

impl Reply {
    fn code(code: Code) -> Self {
        Self { answers: Vec::new(), authority: Vec::new(), code }
    }

    /// The message; a truncated one asks the client to come back over TCP.
    fn message(&self, header: &[u8], question: &[u8], truncated: bool) -> Vec<u8> {
        let authoritative = matches!(self.code, Code::NoError | Code::NameError);
        let wanted_recursion = header[2] & 0x01;
        let flags = 0x80 | u8::from(authoritative) << 2 | u8::from(truncated) << 1;
        let mut message = vec![header[0], header[1], flags | wanted_recursion, self.code as u8];
        let (answers, authority): (&[_], &[_]) =
            if truncated { (&[], &[]) } else { (&self.answers, &self.authority) };
        for count in [usize::from(!question.is_empty()), answers.len(), authority.len(), 0] {
            message.extend(u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
        }
        message.extend(question);
        message.extend(answers.iter().chain(authority).flatten());
        message
    }
}

fn entries(kind: Kind, set: &RecordSet) -> Vec<Vec<u8>> {
    let contents = set.values.iter().filter_map(|value| content(kind, value));
    contents.map(|content| entry(&QUESTION_NAME, kind, set.ttl, &content)).collect()
}

/// The content of one record on the wire; `None` if the text is no content of that type.
fn content(kind: Kind, text: &str) -> Option<Vec<u8>> {
    match kind {
        Kind::A => Some(text.parse::<Ipv4Addr>().ok()?.octets().to_vec()),
        Kind::Aaaa => Some(text.parse::<Ipv6Addr>().ok()?.octets().to_vec()),
        Kind::Cname | Kind::Ns => Some(name(text.trim_end_matches('.'))),
        Kind::Soa => None,
    }
}

fn soa(zone: &Zone) -> Vec<Vec<u8>> {
    let serial = u32::try_from(zone.touched.as_secs()).unwrap_or(u32::MAX);
    let mut content = [name("ns1.sandbox.invalid"), name("owner.sandbox.invalid")].concat();
    // Refresh, retry, expire, and how long "no such name" may be remembered: seconds.
    for number in [serial, 86400, 3600, 2_419_200, 60] {
        content.extend(number.to_be_bytes());
    }
    vec![entry(&name(&zone.name), Kind::Soa, SOA_TTL, &content)]
}

fn entry(owner: &[u8], kind: Kind, ttl: u32, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let mut bytes = owner.to_vec();
    bytes.extend(kind.number().to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(ttl.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(content);
    bytes
}

fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    for label in text.split('.').map(str::as_bytes) {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend(label.iter().take(63));
    }
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let mut account = Account::new("owner@lab.example");
        account.add_zone("example.com");
        account.set_records("dev1.example.com", "A", &["192.0.2.1", "192.0.2.2"], 60);
        account.set_records("a.b.example.com", "AAAA", &["2001:db8::1"], 60);
        account.set_records("*.w.example.com", "A", &["192.0.2.3"], 60);
        account.set_records("cn.example.com", "CNAME", &["www.example.org."], 60);
        account
    }

    fn query(host: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0xAB, 0xCD, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(name(host));
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes
    }

    /// Compares response code, number of answers and number of authority records.
    #[track_caller]
    fn check(host: &str, kind: u16, expected: (u8, u8, u8)) {
        let message = answer(&account(), &query(host, kind)).unwrap();
        assert_eq!(message[..2], [0xAB, 0xCD]);
        assert_eq!((message[3], message[7], message[9]), expected);
    }

    #[test]
    fn every_record_of_the_set_is_answered() {
        check("dev1.example.com", 1, (0, 2, 0));
        check("DEV1.example.com", 1, (0, 2, 0));
    }

    #[test]
    fn an_answer_holds_the_address_and_the_ttl() {
        let message = answer(&account(), &query("a.b.example.com", 28)).unwrap();
        let address: Ipv6Addr = "2001:db8::1".parse().unwrap();
        assert!(message.ends_with(&address.octets()));
        let start = message.len() - 16 - 2 - 4;
        assert_eq!(message[start..start + 4], 60_u32.to_be_bytes());
    }

    #[test]
    fn a_name_without_records_of_that_type_exists_all_the_same() {
        check("dev1.example.com", 28, (0, 0, 1));
        check("dev1.example.com", 16, (0, 0, 1));
        check("b.example.com", 1, (0, 0, 1)); // nothing here, but a name below
    }

    #[test]
    fn a_name_that_does_not_exist_is_denied_with_the_soa() {
        check("nothing.example.com", 1, (3, 0, 1));
    }

    #[test]
    fn a_wildcard_answers_for_names_that_do_not_exist() {
        check("any.w.example.com", 1, (0, 1, 0));
        check("very.deep.w.example.com", 1, (0, 1, 0));
        check("any.w.example.com", 28, (0, 0, 1));
        check("any.b.example.com", 1, (3, 0, 1)); // `b` exists and has no wildcard below
    }

    #[test]
    fn an_alias_is_answered_whatever_is_asked_for() {
        check("cn.example.com", 1, (0, 1, 0));
    }

    #[test]
    fn the_apex_has_name_servers_and_an_soa() {
        check("example.com", 2, (0, 2, 0));
        check("example.com", 6, (0, 1, 0));
        check("dev1.example.com", 6, (0, 0, 1));
    }

    #[test]
    fn foreign_names_are_refused() {
        check("example.net", 1, (5, 0, 0));
    }

    #[test]
    fn what_is_no_query_gets_no_answer_and_a_broken_one_a_format_error() {
        assert_eq!(answer(&account(), b"short"), None);
        assert_eq!(answer(&account(), &[0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        let mut cut = query("dev1.example.com", 1);
        cut.truncate(20);
        assert_eq!(answer(&account(), &cut).unwrap()[3], 1);
    }

    #[test]
    fn what_does_not_fit_is_truncated() {
        let mut account = account();
        let many: Vec<String> = (0..60).map(|last| format!("192.0.2.{last}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        account.set_records("dev1.example.com", "A", &many, 60);
        let message = answer(&account, &query("dev1.example.com", 1)).unwrap();
        assert!(message.len() <= LIMIT);
        assert_eq!((message[2] & 0x02, message[7]), (0x02, 0));
    }
}
