//! Examples that targets start from, and the conversation of one update with a pretended service.

use std::net::IpAddr;
use std::time::Duration;

use homing::core::address::standing::{ServiceFault, ServiceId, ServiceStanding};
use homing::core::address::{Addresses, Family, PerFamily};
use homing::core::memory::{
    Destination, Hold, HoldKind, Key, Memory, Record, Sent, Set, TokenEntry, Word, ZoneKey,
};
use homing::core::name::Hostname;
use homing::core::outcome::{Fault, Outcome, Rejection, Silence};
use homing::core::pace::History;
use homing::core::plan::{Details, Request, Update, Wish};
use homing::core::protocol::step::{Ask, Heard, Moment, Step};
use homing::core::protocol::talk::{Job, Talk};
use homing::core::protocol::{Answer, HttpRequest, Verdict};
use homing::core::secret::Fingerprint;
use homing::core::time::Timestamp;

/// What stands in every secret of an example, and nowhere else.
pub const MARK: &str = "s3cr3t";

/// The page of a hotel or a router that stands in the way of every service.
pub const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>\
    <form action=\"/x\"><p>Your ticket, please</p></form></body></html>";

/// The moment of every example.
pub const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// Where the examples happen: a clock that is set, and a number that is not drawn.
pub fn moment() -> Moment {
    Moment { now: NOW, clock_is_set: true, nonce: 7 }
}

/// The wish for each family's addresses among `addresses`; a family without one is left alone.
pub fn wishes(addresses: &[IpAddr]) -> PerFamily<Wish> {
    PerFamily::from_fn(|family| {
        let of = addresses.iter().copied().filter(|address| Family::of(*address) == family);
        Addresses::new(of).map_or(Wish::Leave, Wish::Set)
    })
}

/// The request for `hosts`, all with the same wishes.
pub fn request(
    hosts: &[Hostname],
    zone: Option<Hostname>,
    wishes: &PerFamily<Wish>,
    details: &Details,
) -> Request {
    let update = |host: &Hostname| Update { host: host.clone(), wishes: wishes.clone() };
    Request {
        hosts: (0..hosts.len()).collect(),
        updates: hosts.iter().map(update).collect(),
        ttl: details.ttl,
        conditions: Vec::new(),
        details: vec![details.clone(); hosts.len()],
        is_anew: false,
        zone: ZoneKey { provider: "example".into(), zone },
        counts: Vec::new(),
        at: NOW,
    }
}

/// What was asked and answered until a conversation ended.
#[derive(Debug, Default)]
pub struct Told {
    /// The requests.
    pub asked: Vec<HttpRequest>,
    /// Their answers.
    pub answers: Vec<Answer>,
}

/// Leads the conversation of `job` to its end: `answer` tells the answer to each request by its
/// number, or that none comes.
///
/// Fails where a request shows a secret, or where there is no end.
pub fn converse(job: &Job<'_>, answer: &dyn Fn(usize) -> Option<Answer>) -> (Verdict, Told) {
    const MOST: usize = 1000;
    let mut told = Told::default();
    let (mut talk, mut step) = Talk::begin(job);
    loop {
        let heard = match step {
            Step::Done(verdict) => return (verdict, told),
            Step::Ask(Ask::Http(request)) => {
                let shown = format!("{request} {request:?}");
                assert!(!shown.contains(MARK), "a request shows a secret: {shown}");
                told.asked.push(*request);
                assert!(told.asked.len() < MOST, "a conversation without an end");
                let answer = answer(told.asked.len() - 1);
                told.answers.extend(answer.clone());
                answer.map(Heard::Answer)
            }
            Step::Ask(Ask::Dns(_) | Ask::File(_)) => None,
        };
        step = talk.hear(heard.ok_or_else(|| Silence::new(Fault::Lost, "no answer")));
    }
}

/// Whether the provider is said to hold what was asked for.
pub fn is_success(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unchanged | Outcome::Updated)
}

/// The words of an outcome that people read.
pub fn words(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Unchanged | Outcome::Updated => "",
        Outcome::Deferred(deferral) => &deferral.detail,
        Outcome::Rejected(refusal) => &refusal.detail,
    }
}

/// A memory with something of every kind.
pub fn memory() -> Memory {
    let at = |seconds: u64| Timestamp::from_secs(1_790_000_000 + seconds);
    let host: Hostname = "a.example.com".parse().expect("it is a host name");
    let zone: Hostname = "example.com".parse().expect("it is a host name");
    let addresses =
        || Addresses::new(["192.0.2.1", "192.0.2.2"].map(|it| it.parse().expect("an address")));
    let key = Key { host, provider: "desec".into() };
    let zone_key = ZoneKey { provider: "desec".into(), zone: Some(zone.clone()) };
    let mut memory = Memory::default();
    let hold = |kind| Hold {
        kind,
        detail: "a word".to_owned(),
        since: at(1),
        begun: at(2),
        until: Some(at(9)),
        fingerprint: Fingerprint(7),
    };
    let entry = memory.entry_mut(&key);
    entry.families.v4 = Record {
        set: addresses().map(|addresses| Set { addresses, since: at(3), confirmed: at(4) }),
        sent: Some(Box::new(Sent { addresses: addresses(), at: at(5), in_doubt: true })),
        away_since: Some(at(6)),
        ..Record::default()
    };
    entry.families.v6.hold = Some(Box::new(hold(HoldKind::Rejected(Rejection::Host))));
    entry.hold = Some(Box::new(hold(HoldKind::Backoff(Fault::Server))));
    entry.last = Some((Word::Deferred, at(5)));
    entry.zone = Some(zone.clone());
    let fingerprint = Fingerprint(8);
    entry.place = Some(Destination { fingerprint, zone: Some(zone), void_since: Some(at(6)) });
    let sent = [at(4), at(5)].into();
    memory
        .paces
        .insert(zone_key, History { sent, pause_until: Some(at(8)), pause_since: Some(at(7)) });
    let token = TokenEntry { spoke: at(4), warned: Some(at(5)), ..TokenEntry::default() };
    memory.tokens.insert(Fingerprint(9), token);
    let service = ServiceId { name: "ipify".to_owned(), family: Family::V4 };
    let (fault, detail) = (ServiceFault::Lied, "a word".to_owned());
    let standing = ServiceStanding { fault, detail, times: 2, since: at(1), until: at(2) };
    memory.services.insert(service, standing);
    memory.without_lists.insert("old".to_owned());
    memory.servers.insert("desec".to_owned(), Fingerprint(3));
    let _ = memory.clamp(at(100).after(Duration::from_secs(1)));
    memory
}
