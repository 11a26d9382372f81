//! Dynamic updates (RFC 2136), signed with a key (TSIG, RFC 8945), as BIND, Knot and PowerDNS
//! answer them (observed November 2026).
//!
//! Pure: an update becomes a message to be signed, an answer becomes an outcome. The shell sends
//! and keeps the key's secret.

use std::net::IpAddr;
use std::time::Duration;

use super::Verdict;
use super::step::{Ask, Asked, Reply, Step};
use crate::core::address::{Family, PerFamily};
use crate::core::feature::{self, Feature};
use crate::core::name::Hostname;
use crate::core::outcome::{Deferral, Fault, Outcome, Refusal, Rejection, Silence};
use crate::core::plan::{Condition, Request, Update, Wish};
use crate::core::server::Server;
use crate::core::time::roughly;
use crate::core::wire::dns::{
    Class, Message, Name, Question, Rcode, ResourceRecord, Type, header, put_question, put_record,
};
use crate::core::wire::tsig::{Check, Complaint};

/// The port of name servers.
pub const PORT: u16 = 53;

/// How long a record may be kept by resolvers, in seconds, unless the host says otherwise.
pub const TIME_TO_LIVE: u32 = 60;

/// The talk about one request: the same update under each of its conditions in turn, until one holds.
#[derive(Debug)]
pub struct Change<'a> {
    request: &'a Request,
    clock_is_set: bool,
    /// The server's name in messages to people.
    server: String,
    /// The index of the condition that is tried.
    at: usize,
}

impl<'a> Change<'a> {
    /// The change that `request` wants at `server`; `clock_is_set` says whether this machine's
    /// clock can be trusted.
    pub fn new(request: &'a Request, clock_is_set: bool, server: Option<&Server>) -> Self {
        let server = server.map(Server::to_string).unwrap_or_default();
        Self { request, clock_is_set, server, at: 0 }
    }

    /// The update of `zone` under the current condition.
    pub fn ask(&self, zone: &Hostname) -> Step<Verdict> {
        if !Feature::NameServers.is_here() {
            let refusal = feature::refusal("the protocol rfc2136");
            return Step::Done(Verdict::All(Outcome::deferred(Fault::Unintelligible, refusal)));
        }
        let Request { updates, ttl, conditions, .. } = self.request;
        let unconditional = PerFamily::default();
        let condition = conditions.get(self.at).unwrap_or(&unconditional);
        let ttl = ttl.unwrap_or(TIME_TO_LIVE);
        let message = message(0, zone, updates, condition, ttl);
        Step::Ask(Ask::Dns(Asked::Update(zone.clone(), message)))
    }

    /// The next step after the reply.
    pub fn hear(&mut self, heard: Result<Reply, Silence>) -> Step<Verdict> {
        let outcome = match heard {
            Err(silence) => silence.into(),
            Ok(Reply { rcode, check, at }) => {
                let is_unmet = check == Check::Verified && is_unmet(rcode);
                self.at += 1;
                if let Some(zone) = &self.request.zone.zone
                    && is_unmet
                    && self.at < self.request.conditions.len()
                {
                    return self.ask(zone);
                }
                outcome(rcode, check, at, &self.server)
            }
        };
        Step::Done(Verdict::All(if self.clock_is_set { outcome } else { unset(outcome) }))
    }
}

/// The outcome of a signed update while this machine's clock is not set: PowerDNS refuses an
/// update signed at a wrong time as if the key were wrong, and does not name the clock.
fn unset(outcome: Outcome) -> Outcome {
    let detail = match outcome {
        Outcome::Deferred(Deferral { fault: Fault::Skew, detail, .. }) => detail,
        Outcome::Rejected(Refusal { rejection: Rejection::Forbidden, detail }) => detail,
        other => return other,
    };
    Outcome::deferred(Fault::Clock, format!("this machine's clock is not set, and {detail}"))
}

/// The message that fulfils `updates`, all of `zone`, together or not at all; unsigned.
///
/// A record's addresses are replaced; a family that is left alone keeps its own. `conditions` are
/// about the first host, at most one for each family; the update is made only if all of them hold.
pub fn message(
    id: u16,
    zone: &Hostname,
    updates: &[Update],
    conditions: &PerFamily<Option<Condition>>,
    time_to_live: u32,
) -> Vec<u8> {
    let first = updates.first().map(|update| Name::from(&update.host));
    let required: Vec<ResourceRecord> = conditions
        .iter()
        .filter_map(|(family, condition)| Some((family, condition.as_ref()?)))
        .zip(first.iter().cycle())
        .flat_map(|((family, condition), name)| prerequisites(name, family, condition))
        .collect();
    let changes: Vec<(ResourceRecord, u32)> = updates
        .iter()
        .flat_map(|update| {
            let name = Name::from(&update.host);
            let wishes = update.wishes.iter();
            wishes.flat_map(move |(family, wish)| changes(&name, family, wish, time_to_live))
        })
        .collect();
    assembled(id, zone, &required, &changes)
}

/// A message that never changes anything: it asks to add a record of the type at `name`, on the
/// condition that another name is in use and is not in use. One of these conditions is always
/// wrong, even with a wildcard in the zone.
///
/// BIND and Knot check the permission before the conditions, and answer accordingly.
pub fn probe(id: u16, zone: &Hostname, name: &Name, record_type: Type) -> Vec<u8> {
    let nowhere = Name::from_text(&format!("homing-probe-that-cannot-be.{zone}"))
        .unwrap_or_else(|| Name::from(zone));
    let (in_use, in_no_use) = (Class::ANY, Class::NONE);
    let contradiction = [in_use, in_no_use].map(|class| {
        let (name, data) = (nowhere.clone(), Vec::new());
        ResourceRecord { name, record_type: Type::ANY, class, data }
    });
    let data = match record_type {
        Type::A => vec![192, 0, 2, 1],
        Type::AAAA => vec![0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        _ => b"\x05probe".to_vec(),
    };
    let addition = ResourceRecord { name: name.clone(), record_type, class: Class::IN, data };
    assembled(id, zone, &contradiction, &[(addition, TIME_TO_LIVE)])
}

fn assembled(
    id: u16,
    zone: &Hostname,
    required: &[ResourceRecord],
    changes: &[(ResourceRecord, u32)],
) -> Vec<u8> {
    const UPDATE: u16 = 5 << 11;
    let count = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
    let mut message = header(id, UPDATE, [1, count(required.len()), count(changes.len()), 0]);
    put_question(&mut message, &beginning(zone));
    required.iter().for_each(|record| put_record(&mut message, record, 0));
    changes.iter().for_each(|(record, ttl)| put_record(&mut message, record, *ttl));
    message
}

/// The question for the SOA at `name`: an update names its zone by it, and the answer for a host
/// contains the zone that holds the host.
pub fn beginning(name: &Hostname) -> Question {
    Question { name: name.into(), record_type: Type::SOA, class: Class::IN }
}

/// The records that state a condition (RFC 2136, section 2.4).
fn prerequisites(name: &Name, family: Family, condition: &Condition) -> Vec<ResourceRecord> {
    let record_type = Type::of(family);
    let record = |class, data| ResourceRecord { name: name.clone(), record_type, class, data };
    match condition {
        Condition::Absent => vec![record(Class::NONE, Vec::new())],
        Condition::Holds(addresses) => {
            addresses.iter().map(|address| record(Class::IN, data(address))).collect()
        }
    }
}

/// The records that make a change, with their times to live (RFC 2136, section 2.5).
fn changes(name: &Name, family: Family, wish: &Wish, ttl: u32) -> Vec<(ResourceRecord, u32)> {
    let record_type = Type::of(family);
    let record = |class, data| ResourceRecord { name: name.clone(), record_type, class, data };
    let whole = || (record(Class::ANY, Vec::new()), 0);
    match wish {
        Wish::Leave => Vec::new(),
        Wish::Remove => vec![whole()],
        Wish::Set(addresses) => {
            let added = addresses.iter().map(|address| record(Class::IN, data(address)));
            std::iter::once(whole()).chain(added.map(|record| (record, ttl))).collect()
        }
    }
}

fn data(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Whether `message` answers the update that was sent with `id`. The zone may be left out of it
/// (RFC 2136, section 3.8).
pub fn answers(message: &Message, id: u16, zone: &Hostname) -> bool {
    const UPDATE: u8 = 5;
    let head = message.header;
    let is_about = message.questions.is_empty() || message.questions == [beginning(zone)];
    head.is_answer && head.opcode == UPDATE && head.id == id && is_about
}

/// The zone that holds `host`, from the answer to the question for its SOA: the owner of the SOA,
/// which is in the answer section for the zone itself and in the authority section for names below.
pub fn zone_told(message: &Message, host: &Hostname) -> Option<Hostname> {
    let mut records = message.answers.iter().chain(&message.authority);
    let soa = records.find(|record| record.record_type == Type::SOA)?;
    soa.name.hostname().filter(|zone| host.is_within(zone))
}

/// Whether to ask again over TCP: an answer without a valid signature, success or error, may have
/// been forged by anyone who saw the datagram.
pub fn needs_a_second_look(check: Check) -> bool {
    match check {
        Check::Unverified(_) => true,
        Check::Clock(_) | Check::Verified => false,
    }
}

/// Whether an answer says that a condition of the update does not hold (RFC 2136, section 3.2.5).
pub fn is_unmet(rcode: Rcode) -> bool {
    matches!(rcode.0, 3 | 6 | 7 | 8)
}

/// The outcome of an answer to an update; `server` is the server's name in messages to people.
///
/// | signature                       | RCODE                         | outcome                     |
/// |---------------------------------|-------------------------------|-----------------------------|
/// | right                           | NOERROR                       | updated                     |
/// | right                           | SERVFAIL                      | deferred: server            |
/// | right                           | REFUSED                       | deferred: refused           |
/// | right                           | NOTAUTH, NOTZONE              | rejected: host              |
/// | right                           | YXDOMAIN, YXRRSET, NXDOMAIN, NXRRSET | rejected: request    |
/// | right                           | FORMERR, NOTIMP               | rejected: request           |
/// | right, the clocks differ        | any                           | deferred: skew              |
/// | none; says BADTIME              | NOTAUTH                       | deferred: skew              |
/// | none; says BADSIG               | NOTAUTH                       | rejected: credential        |
/// | none; says BADKEY               | NOTAUTH                       | rejected: forbidden         |
/// | none                            | REFUSED, NOTAUTH              | rejected: forbidden         |
/// | none                            | NOTIMP                        | rejected: request           |
/// | none or wrong                   | other                         | deferred: unintelligible    |
///
/// Knot answers BADKEY when the key is right but not allowed for the name, so it is about one
/// host. PowerDNS answers without a signature to a wrong key and to clocks that differ. An error
/// of the key comes with NOTAUTH (RFC 8945, section 5.2): with any other RCODE the answer
/// contradicts itself, and no host is parked for it.
pub fn outcome(rcode: Rcode, check: Check, now: u64, server: &str) -> Outcome {
    let said = format!("{server} answers {}", rcode.name());
    let rejected = |rejection, more: &str| Outcome::rejected(rejection, format!("{said}{more}"));
    let deferred = |fault, more: &str| Outcome::deferred(fault, format!("{said}{more}"));
    let says = |what: &str| format!("{server} says {what}");
    match (check, rcode) {
        (Check::Clock(theirs), _) => {
            let apart = roughly(Duration::from_secs(now.abs_diff(theirs)));
            let relation = if theirs > now { "ahead of" } else { "behind" };
            let detail =
                format!("the clock of {server} is {apart} {relation} this machine's (BADTIME)");
            Outcome::deferred(Fault::Skew, detail)
        }
        (Check::Unverified(Complaint::BadTime), Rcode::NOT_AUTH) => {
            Outcome::deferred(Fault::Skew, says("that the clocks differ (BADTIME)"))
        }
        (Check::Unverified(Complaint::BadSignature), Rcode::NOT_AUTH) => {
            let detail = says("that the key's secret is another (BADSIG)");
            Outcome::rejected(Rejection::Credential, detail)
        }
        (Check::Unverified(Complaint::BadKey), Rcode::NOT_AUTH) => {
            let detail = says("BADKEY: wrong key, or (Knot) not allowed for this name");
            Outcome::rejected(Rejection::Forbidden, detail)
        }
        (Check::Unverified(Complaint::Unsigned), Rcode::REFUSED | Rcode::NOT_AUTH) => rejected(
            Rejection::Forbidden,
            " without a signature: wrong key, clocks that differ, or no updates from here",
        ),
        (Check::Unverified(Complaint::Unsigned), Rcode::NOT_IMP) => {
            rejected(Rejection::Request, ": it accepts no updates")
        }
        (Check::Unverified(complaint), _) => {
            let more = match complaint {
                Complaint::Unsigned => " without a signature, which could be forged",
                Complaint::Forged => " with a signature that is not the key's",
                Complaint::BadKey | Complaint::BadSignature | Complaint::BadTime => {
                    " and an error of the key, which contradict each other"
                }
            };
            deferred(Fault::Unintelligible, more)
        }
        (Check::Verified, Rcode::NO_ERROR) => Outcome::Updated,
        // The memory of the host decides whether this is for good: the key may have written before.
        (Check::Verified, Rcode::REFUSED) => deferred(Fault::Refused, ""),
        (Check::Verified, Rcode::NOT_AUTH | Rcode::NOT_ZONE) => {
            rejected(Rejection::Host, ": the server is not responsible for the zone")
        }
        (Check::Verified, rcode) if is_unmet(rcode) => {
            rejected(Rejection::Request, ": the record has a value that somebody else has set")
        }
        (Check::Verified, Rcode::FORM_ERR | Rcode::NOT_IMP) => rejected(Rejection::Request, ""),
        (Check::Verified, _) => deferred(Fault::Server, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::Addresses;

    fn name(text: &str) -> Hostname {
        text.parse().unwrap()
    }

    fn set(addresses: &[&str]) -> Wish {
        let parsed = addresses.iter().map(|address| address.parse().unwrap());
        Wish::Set(Addresses::new(parsed).unwrap())
    }

    fn update(v4: Wish, v6: Wish) -> Update {
        Update { host: name("dev1.example.com"), wishes: PerFamily { v4, v6 } }
    }

    fn parsed(updates: &[Update], conditions: &PerFamily<Option<Condition>>) -> Message {
        let bytes = message(7, &name("example.com"), updates, conditions, 60);
        Message::parse(&bytes).unwrap()
    }

    /// Type, class and length of each record.
    fn shape(records: &[ResourceRecord]) -> Vec<(u16, u16, usize)> {
        records.iter().map(|r| (r.record_type.0, r.class.0, r.data.len())).collect()
    }

    #[test]
    fn both_families_are_replaced_in_one_message() {
        let both = update(set(&["192.0.2.1", "192.0.2.2"]), set(&["2001:db8::1"]));
        let message = parsed(&[both], &PerFamily::default());
        assert_eq!(message.header.opcode, 5);
        assert_eq!(message.questions, [beginning(&name("example.com"))]);
        assert!(message.answers.is_empty(), "no condition");
        let expect = [(1, 255, 0), (1, 1, 4), (1, 1, 4), (28, 255, 0), (28, 1, 16)];
        assert_eq!(shape(&message.authority), expect);
    }

    #[test]
    fn a_family_that_is_left_alone_is_not_mentioned() {
        let message = parsed(&[update(set(&["192.0.2.1"]), Wish::Leave)], &PerFamily::default());
        assert_eq!(shape(&message.authority), [(1, 255, 0), (1, 1, 4)]);
    }

    #[test]
    fn conditions_stand_before_the_changes() {
        let held = Addresses::from("192.0.2.9".parse::<std::net::IpAddr>().unwrap());
        let conditions =
            PerFamily { v4: Some(Condition::Holds(held)), v6: Some(Condition::Absent) };
        let both = update(set(&["192.0.2.1"]), set(&["2001:db8::1"]));
        let message = parsed(&[both], &conditions);
        assert_eq!(shape(&message.answers), [(1, 1, 4), (28, 254, 0)]);
    }

    #[test]
    fn a_probe_rests_on_what_cannot_be() {
        let bytes =
            probe(7, &name("example.com"), &Name::from(&name("www.example.com")), Type::TXT);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(shape(&message.answers), [(255, 255, 0), (255, 254, 0)]);
        assert_eq!(message.answers[0].name, message.answers[1].name, "it contradicts itself");
        assert_eq!(shape(&message.authority), [(16, 1, 6)]);
    }

    #[track_caller]
    fn means(rcode: u8, check: Check, expect: &str) {
        let said = match outcome(Rcode(rcode), check, 1_000_000, "ns1") {
            Outcome::Updated => "updated".to_owned(),
            Outcome::Unchanged => "unchanged".to_owned(),
            Outcome::Deferred(deferral) => {
                format!("{}: {}", deferral.fault.word(), deferral.detail)
            }
            Outcome::Rejected(refusal) => {
                format!("{}: {}", refusal.rejection.word(), refusal.detail)
            }
        };
        assert!(said.contains(expect), "{said}");
    }

    #[test]
    fn signed_answers_are_believed() {
        means(0, Check::Verified, "updated");
        means(5, Check::Verified, "refused: ns1 answers REFUSED");
        means(9, Check::Verified, "host: ns1 answers NOTAUTH");
        means(10, Check::Verified, "host: ns1 answers NOTZONE");
        means(8, Check::Verified, "request: ns1 answers NXRRSET");
        means(2, Check::Verified, "server-fault: ns1 answers SERVFAIL");
        means(12, Check::Verified, "server-fault: ns1 answers RCODE 12");
    }

    #[test]
    fn unsigned_success_is_no_success() {
        for complaint in [Complaint::Unsigned, Complaint::Forged] {
            means(0, Check::Unverified(complaint), "unintelligible: ns1 answers NOERROR");
        }
        means(2, Check::Unverified(Complaint::Unsigned), "unintelligible");
    }

    #[test]
    fn errors_of_the_key_are_told_apart() {
        means(9, Check::Unverified(Complaint::BadKey), "forbidden: ns1 says BADKEY");
        means(9, Check::Unverified(Complaint::BadSignature), "credential: ns1 says");
        means(5, Check::Unverified(Complaint::Unsigned), "forbidden: ns1 answers REFUSED without");
        means(9, Check::Clock(999_400), "clock-skew: the clock of ns1 is 10 min behind this");
        means(9, Check::Clock(1_007_200), "is 2 h ahead of this");
        means(9, Check::Unverified(Complaint::BadTime), "clock-skew");
    }

    #[test]
    fn an_error_of_the_key_beside_another_rcode_parks_nobody() {
        for complaint in [Complaint::BadKey, Complaint::BadSignature, Complaint::BadTime] {
            for rcode in [0, 2, 5, 10] {
                means(rcode, Check::Unverified(complaint), "unintelligible: ns1 answers");
            }
        }
    }

    #[test]
    fn what_nothing_vouches_for_is_asked_for_again() {
        for complaint in [
            Complaint::BadKey,
            Complaint::BadSignature,
            Complaint::BadTime,
            Complaint::Forged,
            Complaint::Unsigned,
        ] {
            assert!(needs_a_second_look(Check::Unverified(complaint)));
        }
        assert!(!needs_a_second_look(Check::Verified));
        assert!(!needs_a_second_look(Check::Clock(7)));
    }
}
