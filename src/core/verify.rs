//! Verifying: compares what the zone's own servers answer about a host with what is set.
//!
//! Decides the meaning of each answer, the result of all answers, when a server is asked again, and
//! what is remembered. Asking is the round's work.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use super::address::{Addresses, Family, PerFamily};
use super::memory::{Again, Entry, Verification, VerifyFinding};
use super::name::Hostname;
use super::plan::Wish;
use super::server::Server;
use super::time::Timestamp;
use super::wire::dns::{Class, Message, Name, Question, Rcode, Type};

/// How a host is verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verify {
    /// The servers to ask; if empty, the servers that the zone names.
    pub servers: Vec<Server>,
    /// How long a server may take to hold what was set.
    pub timeout: Duration,
}

impl Verify {
    /// How long a server may take by default.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
}

/// What a server says about the record of one family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// It holds these addresses, or none.
    Holds(Option<Addresses>),
    /// It was not asked.
    NotAsked,
    /// Its answer is not clear, for this reason, which follows the server's name.
    Unclear(String),
}

/// What one server said about a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerAnswer {
    /// The server's name in messages.
    pub server: String,
    /// What it said about each family.
    pub said: PerFamily<Said>,
}

/// What the records of a host should hold, and what they held before.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Due {
    /// What was set; a family with [`Wish::Leave`] is not checked.
    pub now: PerFamily<Wish>,
    /// What was set before the last update.
    pub before: PerFamily<Option<Addresses>>,
}

/// The state of one server, or of one family there; the worst first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ServerState {
    /// It holds neither what is set nor what was set before.
    Foreign,
    /// It holds what was set before.
    Behind,
    /// Its answer is not clear.
    Unclear,
    /// It holds what is set.
    Right,
}

/// The result of all servers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VerifyVerdict {
    /// At least one server holds something else.
    Differs {
        /// Whether one of them holds what was set before.
        is_behind: bool,
        /// Whether no server holds what is set, so that the answer does not depend on the server.
        everywhere: bool,
        /// What they hold, in words.
        words: String,
    },
    /// At least one server holds what is set, and none holds something else.
    Right {
        /// How many servers hold what is set; at least one.
        servers: u32,
        /// The reasons of the unclear servers.
        others: String,
    },
    /// No server gives a clear answer, for these reasons.
    Unclear(String),
}

/// The question for the host's record of `family`.
pub fn question(host: &Hostname, family: Family) -> Question {
    Question { name: host.into(), record_type: Type::of(family), class: Class::IN }
}

/// What `message` says about the record that `question` asks for.
///
/// The first row that fits:
///
/// | RCODE    | AA  | answer                        | then                          |
/// |----------|-----|-------------------------------|-------------------------------|
/// | others   | –   | –                             | unclear                       |
/// | NXDOMAIN, NOERROR | no | –                     | unclear: it may be cached     |
/// | NXDOMAIN | yes | –                             | none                          |
/// | NOERROR  | yes | another name in place of this | unclear                       |
/// | NOERROR  | yes | data that are no address      | unclear                       |
/// | NOERROR  | yes | records of the name and type  | these addresses               |
/// | NOERROR  | yes | nothing of them               | none                          |
pub fn said(message: &Message, question: &Question) -> Said {
    let unclear = |words: &str| Said::Unclear(words.to_owned());
    match message.header.rcode {
        Rcode::NO_ERROR | Rcode::NX_DOMAIN if !message.header.is_authoritative => {
            return unclear("is not authoritative for the name");
        }
        Rcode::NO_ERROR => {}
        Rcode::NX_DOMAIN => return Said::Holds(None),
        rcode => return Said::Unclear(rcode.to_string()),
    }
    let of_name = || message.answers.iter().filter(|record| record.name == question.name);
    if of_name().any(|record| record.record_type == Type::CNAME) {
        return unclear("answers with another name (CNAME)");
    }
    let records = of_name().filter(|record| record.record_type == question.record_type);
    let address = |data: &Vec<u8>| -> Option<IpAddr> {
        match question.record_type {
            Type::A => <[u8; 4]>::try_from(&data[..]).ok().map(IpAddr::from),
            _ => <[u8; 16]>::try_from(&data[..]).ok().map(IpAddr::from),
        }
    };
    match records.map(|record| address(&record.data)).collect::<Option<Vec<_>>>() {
        Some(addresses) => Said::Holds(Addresses::new(addresses)),
        None => unclear("answers with a record that holds no address"),
    }
}

/// The servers of `zone` that `message` names, in its order.
pub fn name_servers(message: &Message, zone: &Hostname) -> Vec<Hostname> {
    let records = message.answers.iter().chain(&message.authority);
    let of_zone = records.filter(|record| {
        record.record_type == Type::NS && record.name.hostname().as_ref() == Some(zone)
    });
    let mut names = Vec::new();
    for record in of_zone {
        let name = Name::leading(&record.data).ok().and_then(|(name, _)| name.hostname());
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

/// The resolvers that a `resolv.conf` names, at most three, as in the system's library; the resolver on
/// this machine where it names none.
pub fn resolvers(text: &str) -> Vec<IpAddr> {
    const MOST: usize = 3;
    let address = |line: &str| line.trim().strip_prefix("nameserver")?.trim().parse().ok();
    let named: Vec<IpAddr> = text.lines().filter_map(address).take(MOST).collect();
    if named.is_empty() { vec![[127, 0, 0, 1].into()] } else { named }
}

/// When a server that does not hold what is set is asked next, after the moment `asked`; both count
/// from the beginning. Soon at first, then at most every two seconds.
pub fn next_time(asked: Duration) -> Duration {
    const FIRST: [u64; 4] = [200, 500, 1000, 2000];
    const LEAST: Duration = Duration::from_secs(2);
    let first = FIRST.into_iter().map(Duration::from_millis).find(|moment| *moment > asked);
    first.unwrap_or_else(|| asked + LEAST.max(asked / 4))
}

/// The state of one server.
///
/// | the families asked for                           | then    |
/// |--------------------------------------------------|---------|
/// | one differs, from what was set before as well    | foreign |
/// | one holds what was set before                    | behind  |
/// | one is unclear, or none was asked                | unclear |
/// | all hold what is set                             | right   |
pub fn standing(due: &Due, told: &ServerAnswer) -> ServerState {
    let families = Family::BOTH.into_iter().filter_map(|family| {
        let expected = due.now[family].content()?;
        Some(match &told.said[family] {
            Said::NotAsked | Said::Unclear(_) => ServerState::Unclear,
            Said::Holds(addresses) if addresses.as_ref() == expected => ServerState::Right,
            Said::Holds(addresses) if *addresses == due.before[family] => ServerState::Behind,
            Said::Holds(_) => ServerState::Foreign,
        })
    });
    families.min().unwrap_or(ServerState::Unclear)
}

/// The result of all servers: behind if one is, else foreign if one is, else right if one is.
pub fn judge(due: &Due, told: &[ServerAnswer]) -> VerifyVerdict {
    let of = |wanted: ServerState| told.iter().filter(move |told| standing(due, told) == wanted);
    let words = || {
        let differ = |told: &&ServerAnswer| {
            matches!(standing(due, told), ServerState::Behind | ServerState::Foreign)
        };
        joined(told.iter().filter(differ).map(|told| differences(due, told)))
    };
    let others = || {
        joined(of(ServerState::Unclear).map(|told| {
            let unclear = told.said.iter().find_map(|(_, said)| match said {
                Said::Unclear(why) => Some(&**why),
                Said::Holds(_) | Said::NotAsked => None,
            });
            format!("{} {}", told.server, unclear.unwrap_or("was not asked"))
        }))
    };
    let right = of(ServerState::Right).count();
    let everywhere = right == 0;
    let is_behind = of(ServerState::Behind).next().is_some();
    if is_behind || of(ServerState::Foreign).next().is_some() {
        VerifyVerdict::Differs { is_behind, everywhere, words: words() }
    } else if right > 0 {
        let servers = u32::try_from(right).unwrap_or(u32::MAX);
        VerifyVerdict::Right { servers, others: others() }
    } else {
        VerifyVerdict::Unclear(format!("no server answers: {}", others()))
    }
}

/// How a server's answer differs from what is set: `ns2:53 answers IPv4 192.0.2.1, no IPv6`.
fn differences(due: &Due, ServerAnswer { server, said }: &ServerAnswer) -> String {
    let mut text = format!("{server} answers");
    let mut separator = " ";
    for (family, said) in said.iter() {
        let Some(expected) = due.now[family].content() else { continue };
        let _ = match said {
            Said::Holds(held) if held.as_ref() == expected => continue,
            Said::Holds(Some(held)) => write!(text, "{separator}{family} {held}"),
            Said::Holds(None) => write!(text, "{separator}no {family}"),
            Said::NotAsked | Said::Unclear(_) => continue,
        };
        separator = ", ";
    }
    text
}

/// The greatest number of servers that a message describes; the others are counted.
const MOST_TOLD: usize = 4;

fn joined(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<_> = texts.collect();
    let shown = texts[..texts.len().min(MOST_TOLD)].join("; ");
    match texts.len().saturating_sub(MOST_TOLD) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// Records the result of verifying an update that took `took` to reach the last server; `changed` when
/// the update set something new.
///
/// | verdict | repeated already | then                                 |
/// |---------|------------------|--------------------------------------|
/// | right   | –                | right                                |
/// | behind, foreign | –  | after a fault of the provider's: wrong, and a change is made |
/// | behind  | no               | wrong, and the update is sent again  |
/// | others  | –                | wrong                                |
///
/// Where the servers were right before the update and hold now neither what it set nor what was set
/// before, somebody else has changed the record since: the next check between updates may put it right.
pub fn note_update(
    entry: &mut Entry,
    verdict: VerifyVerdict,
    took: Duration,
    changed: bool,
    now: Timestamp,
) {
    let is_half_done =
        std::mem::take(&mut entry.half_done) && matches!(verdict, VerifyVerdict::Differs { .. });
    let before = entry.verified.take();
    let put_right = before.as_ref().and_then(|before| before.put_right);
    let is_foreign = matches!(verdict, VerifyVerdict::Differs { is_behind: false, .. });
    let has_drifted = is_foreign && before.as_ref().is_some_and(|before| before.was_right);
    let same = before.filter(|_| !changed);
    let repeated = same.as_ref().is_some_and(|same| same.repeated);
    let was_right = same.is_some_and(|same| same.was_right);
    let (finding, is_behind, some_are_right) = match verdict {
        VerifyVerdict::Right { servers, others } => {
            (VerifyFinding::Right { servers, took, others }, false, true)
        }
        VerifyVerdict::Differs { is_behind, everywhere, words } => {
            (VerifyFinding::Wrong(words), is_behind, !everywhere)
        }
        VerifyVerdict::Unclear(words) => (VerifyFinding::Wrong(words), false, false),
    };
    let again = if is_half_done {
        Some(Again::Untransferred)
    } else {
        (is_behind && !repeated).then_some(Again::Unverified)
    };
    let was_right = was_right || some_are_right || has_drifted;
    let repeated = repeated || is_behind;
    let (at, returned) = (now, false);
    let verified = Verification { at, finding, again, repeated, was_right, put_right, returned };
    entry.verified = Some(Box::new(verified));
}

/// The news from a check between updates.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Drift {
    /// Somebody else has changed the record, and it is to be put right; the difference in words.
    PutRight(String),
    /// Some servers hold something else, and others what is set; the difference in words.
    Differ(String),
    /// Somebody else has changed the record, and it is left as it is; the difference, and why.
    Left(String, &'static str),
    /// The records are right again.
    Over,
}

/// How long a record that was put right is left alone when somebody changes it again.
pub const TRUCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Records the result of a check between updates, if it is new; returns the news.
///
/// | verdict           | remembered                | then                            |
/// |-------------------|---------------------------|---------------------------------|
/// | right             | nothing                   | right                           |
/// | right             | wrong                     | right: over                     |
/// | right             | right                     | –                               |
/// | unclear           | –                         | –                               |
/// | some foreign      | –                         | wrong: they differ              |
/// | all foreign       | put right within a day, and not away since | wrong: left    |
/// | all foreign       | never seen right          | wrong: left                     |
/// | all foreign       | otherwise                 | wrong: put right                |
///
/// Without `take_over` the record is left. A record that is left is news when the difference is new.
pub fn note_look(
    entry: &mut Entry,
    verdict: VerifyVerdict,
    take_over: bool,
    now: Timestamp,
) -> Option<Drift> {
    let before = entry.verified.as_ref();
    let put_right = before.and_then(|before| before.put_right);
    let repeated = before.is_some_and(|before| before.repeated);
    // A machine that stood in for an absent address has to give way once, and that is no conflict.
    let returned = before.is_some_and(|before| before.returned);
    let note = |finding, again, was_right, put_right| {
        let (at, returned) = (now, false);
        let verified =
            Verification { at, finding, again, repeated, was_right, put_right, returned };
        Some(Box::new(verified))
    };
    match verdict {
        VerifyVerdict::Unclear(_) => None,
        VerifyVerdict::Right { servers, others } => {
            let finding = VerifyFinding::Right { servers, took: Duration::ZERO, others };
            match before.map(|before| &before.finding) {
                Some(VerifyFinding::Right { .. }) => {
                    entry.verified.iter_mut().for_each(|verified| verified.returned = false);
                    None
                }
                before => {
                    let drift = before.map(|_| Drift::Over);
                    entry.verified = note(finding, None, true, put_right);
                    drift
                }
            }
        }
        VerifyVerdict::Differs { everywhere, words, .. } => {
            let is_known = before.is_some_and(
                |before| matches!(&before.finding, VerifyFinding::Wrong(known) if *known == words),
            );
            let finding = VerifyFinding::Wrong(words.clone());
            if !everywhere {
                if is_known {
                    return None;
                }
                entry.verified = note(finding, None, true, put_right);
                return Some(Drift::Differ(words));
            }
            // Without an earlier verification the record counts as once right.
            let was_right = before.is_none_or(|before| before.was_right);
            let in_truce = !returned && put_right.is_some_and(|at| now.since(at) < TRUCE);
            let why_not = if !take_over {
                Some("unchanged, because take-over is false")
            } else if !was_right {
                Some("unchanged, because no server has had the right address before")
            } else if in_truce {
                Some("unchanged, because it was corrected within the last day")
            } else {
                None
            };
            match why_not {
                Some(_) if is_known => None,
                Some(why) => {
                    entry.verified = note(finding, None, was_right, put_right);
                    Some(Drift::Left(words, why))
                }
                None => {
                    let put_right = put_right.filter(|_| returned).or((!returned).then_some(now));
                    entry.verified = note(finding, Some(Again::Drifted), false, put_right);
                    Some(Drift::PutRight(words))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wire::dns::{Header, ResourceRecord};

    const HOST: &str = "a.example.com";
    const NEW: &str = "192.0.2.2";
    const OLD: &str = "192.0.2.1";
    const OTHER: &str = "192.0.2.99";

    fn addresses(text: &str) -> Addresses {
        Addresses::from(text.parse::<IpAddr>().unwrap())
    }

    fn host() -> Hostname {
        HOST.parse().unwrap()
    }

    fn record(name: &str, record_type: Type, data: &[u8]) -> ResourceRecord {
        let name = Name::from_text(name).unwrap();
        ResourceRecord { name, record_type, class: Class::IN, data: data.to_vec() }
    }

    fn message(rcode: u8, is_authoritative: bool, answers: Vec<ResourceRecord>) -> Message {
        let header = Header {
            id: 0,
            is_answer: true,
            opcode: 0,
            is_authoritative,
            is_truncated: false,
            rcode: Rcode(rcode),
        };
        let questions = vec![question(&host(), Family::V4)];
        Message { header, questions, answers, authority: vec![], additional: vec![], last_at: 0 }
    }

    #[test]
    fn only_who_is_responsible_and_answers_tells_anything() {
        let a = |data: &[u8]| vec![record("A.example.com", Type::A, data)];
        let held = |text: &str| Said::Holds(Some(addresses(text)));
        let unclear = |words: &str| Said::Unclear(words.to_owned());
        let cname =
            vec![record(HOST, Type::CNAME, b"\x01b\x00"), record("b", Type::A, &[192, 0, 2, 2])];
        let others = vec![record("b.example.com", Type::A, &[192, 0, 2, 9])];
        for (rcode, is_authoritative, answers, expect) in [
            (0, true, a(&[192, 0, 2, 2]), held(NEW)),
            (0, true, vec![], Said::Holds(None)),
            (0, true, others, Said::Holds(None)),
            (3, true, vec![], Said::Holds(None)),
            (0, false, a(&[192, 0, 2, 2]), unclear("is not authoritative for the name")),
            (3, false, vec![], unclear("is not authoritative for the name")),
            (5, false, vec![], unclear("refuses to answer (REFUSED)")),
            (2, true, vec![], unclear("cannot find the answer (SERVFAIL)")),
            (0, true, cname, unclear("answers with another name (CNAME)")),
            (0, true, a(&[1, 2, 3]), unclear("answers with a record that holds no address")),
        ] {
            let message = message(rcode, is_authoritative, answers);
            assert_eq!(said(&message, &message.questions[0]), expect, "{message:?}");
        }
    }

    #[test]
    fn a_zone_names_each_of_its_servers_once() {
        let ns =
            |name: &str| record("Example.com", Type::NS, Name::from_text(name).unwrap().wire());
        let answers = vec![ns("ns1.example.net"), ns("NS1.example.net"), ns("ns2.example.net")];
        let mut message = message(0, true, answers);
        message.answers.push(record("example.com", Type::NS, b"\xc0"));
        message.answers.push(record("example.org", Type::NS, b"\x03ns9\x00"));
        let names = name_servers(&message, &"example.com".parse().unwrap());
        let names: Vec<_> = names.iter().map(Hostname::as_str).collect();
        assert_eq!(names, ["ns1.example.net", "ns2.example.net"]);
    }

    #[test]
    fn resolvers_are_read_as_the_system_does() {
        let texts = |text: &str| {
            resolvers(text).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts(""), "127.0.0.1");
        assert_eq!(texts("# nameserver 192.0.2.1\nsearch example\n"), "127.0.0.1");
        assert_eq!(
            texts("nameserver 192.0.2.1\nnameserver\t2001:db8::1\n"),
            "192.0.2.1 2001:db8::1"
        );
        assert_eq!(texts("nameserver fe80::1%eth0\nnameserver 192.0.2.1\n"), "192.0.2.1");
        assert_eq!(texts(&"nameserver 192.0.2.1\n".repeat(9)).split(' ').count(), 3);
    }

    #[test]
    fn servers_are_asked_again_soon_and_then_less_often() {
        let mut moments = vec![Duration::ZERO];
        while moments.len() < 9 {
            moments.push(next_time(*moments.last().unwrap()));
        }
        let moments: Vec<_> = moments.iter().map(Duration::as_millis).collect();
        assert_eq!(moments, [0, 200, 500, 1000, 2000, 4000, 6000, 8000, 10_000]);
        assert_eq!(next_time(Duration::from_secs(100)), Duration::from_secs(125));
        // Asked late: the moments that are over are left out.
        assert_eq!(next_time(Duration::from_millis(700)), Duration::from_secs(1));
    }

    fn due() -> Due {
        let set = |text: &str| Wish::Set(addresses(text));
        Due {
            now: PerFamily { v4: set(NEW), v6: set("2001:db8::2") },
            before: PerFamily { v4: Some(addresses(OLD)), v6: None },
        }
    }

    /// What a server said whose answer for IPv4 is `v4`; for IPv6 it is right unless `v6` says else.
    fn server_answer(v4: Option<&str>, v6: Option<Said>) -> ServerAnswer {
        let held = |text: &str| Said::Holds(Some(addresses(text)));
        let v4 = match v4 {
            None => Said::Holds(None),
            Some("silent") => Said::Unclear("did not answer".to_owned()),
            Some(text) => held(text),
        };
        let said = PerFamily { v4, v6: v6.unwrap_or_else(|| held("2001:db8::2")) };
        ServerAnswer { server: "ns".to_owned(), said }
    }

    #[test]
    fn a_server_is_right_behind_foreign_or_unclear() {
        let nothing = || Some(Said::Holds(None));
        for (v4, v6, expect) in [
            (Some(NEW), None, ServerState::Right),
            (Some(OLD), None, ServerState::Behind),
            (Some(NEW), nothing(), ServerState::Behind),
            (Some(OTHER), nothing(), ServerState::Foreign),
            (None, None, ServerState::Foreign),
            (Some("silent"), None, ServerState::Unclear),
            (Some("silent"), nothing(), ServerState::Behind),
        ] {
            assert_eq!(standing(&due(), &server_answer(v4, v6.clone())), expect, "{v4:?} {v6:?}");
        }
        let left = Due { now: PerFamily { v4: Wish::Leave, ..due().now }, ..due() };
        assert_eq!(
            standing(&left, &server_answer(Some(OTHER), None)),
            ServerState::Right,
            "unchanged"
        );
        let removed = Due { now: PerFamily { v4: Wish::Remove, ..due().now }, ..due() };
        assert_eq!(standing(&removed, &server_answer(None, None)), ServerState::Right);
        assert_eq!(standing(&removed, &server_answer(Some(OLD), None)), ServerState::Behind);
        assert_eq!(standing(&Due::default(), &server_answer(None, None)), ServerState::Unclear);
    }

    #[test]
    fn the_servers_come_to_one_verdict() {
        let judge_all = |servers: &[&str]| {
            let told: Vec<_> = servers.iter().map(|v4| server_answer(Some(v4), None)).collect();
            judge(&due(), &told)
        };
        let right =
            |servers, others: &str| VerifyVerdict::Right { servers, others: others.to_owned() };
        let words = format!("ns answers IPv4 {OTHER}");
        let foreign = |everywhere| VerifyVerdict::Differs {
            is_behind: false,
            everywhere,
            words: words.clone(),
        };
        let behind = |everywhere, text: &str| VerifyVerdict::Differs {
            is_behind: true,
            everywhere,
            words: text.to_owned(),
        };
        let both = format!("ns answers IPv4 {OLD}; ns answers IPv4 {OTHER}");
        for (servers, expect) in [
            (&[NEW, NEW][..], right(2, "")),
            (&[NEW, "silent"], right(1, "ns did not answer")),
            (&[NEW, OLD, OTHER], behind(false, &both)),
            (&[OLD, "silent"], behind(true, &format!("ns answers IPv4 {OLD}"))),
            (&[NEW, OTHER], foreign(false)),
            (&["silent", OTHER], foreign(true)),
            (
                &["silent"],
                VerifyVerdict::Unclear("no server answers: ns did not answer".to_owned()),
            ),
        ] {
            assert_eq!(judge_all(servers), expect);
        }
        let VerifyVerdict::Differs { is_behind: true, words, .. } = judge_all(&[OLD; 6]) else {
            panic!()
        };
        assert!(words.contains("; and 2 more"), "{words}");
    }

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + hours * 3600)
    }

    fn right() -> VerifyVerdict {
        VerifyVerdict::Right { servers: 1, others: String::new() }
    }

    fn foreign() -> VerifyVerdict {
        VerifyVerdict::Differs { is_behind: false, everywhere: true, words: "else".to_owned() }
    }

    fn again(entry: &Entry) -> Option<Again> {
        entry.verified.as_ref().and_then(|verified| verified.again)
    }

    #[test]
    fn an_update_is_repeated_once_for_a_server_that_is_behind() {
        let mut entry = Entry::default();
        let behind = || VerifyVerdict::Differs {
            is_behind: true,
            everywhere: true,
            words: "late".to_owned(),
        };
        let mut update = |verdict: VerifyVerdict, changed: bool| {
            note_update(&mut entry, verdict, Duration::ZERO, changed, at(0));
            again(&entry)
        };
        assert_eq!(update(behind(), true), Some(Again::Unverified));
        assert_eq!(update(behind(), false), None);
        assert_eq!(update(right(), false), None);
        assert_eq!(update(behind(), false), None, "of the same change");
        assert_eq!(update(behind(), true), Some(Again::Unverified));
        assert_eq!(update(foreign(), true), None, "a view or a proxy is no reason");
    }

    fn look(
        entry: &mut Entry,
        verdict: VerifyVerdict,
        take_over: bool,
        hours: u64,
    ) -> Option<&'static str> {
        note_look(entry, verdict, take_over, at(hours)).map(|drift| match drift {
            Drift::Differ(_) => "differ",
            Drift::PutRight(_) => "put right",
            Drift::Left(_, why) => why,
            Drift::Over => "over",
        })
    }

    #[test]
    fn a_drift_is_put_right_once_a_day_and_told_once() {
        let mut entry = Entry::default();
        note_update(&mut entry, right(), Duration::ZERO, true, at(0));
        assert_eq!(look(&mut entry, right(), true, 1), None);
        assert_eq!(look(&mut entry, VerifyVerdict::Unclear(String::new()), true, 2), None);
        assert_eq!(look(&mut entry, foreign(), true, 3), Some("put right"));
        assert_eq!(again(&entry), Some(Again::Drifted));
        note_update(&mut entry, right(), Duration::ZERO, false, at(3));
        let truce = "unchanged, because it was corrected within the last day";
        assert_eq!(look(&mut entry, foreign(), true, 4), Some(truce));
        assert_eq!((look(&mut entry, foreign(), true, 5), again(&entry)), (None, None));
        assert_eq!(look(&mut entry, right(), true, 6), Some("over"));
        assert_eq!(look(&mut entry, foreign(), true, 7), Some(truce));
        assert_eq!(look(&mut entry, foreign(), true, 27), Some("put right"));
    }

    #[test]
    fn a_drift_that_an_update_of_the_other_family_finds_is_put_right() {
        let mut entry = Entry::default();
        note_update(&mut entry, right(), Duration::ZERO, true, at(0));
        note_update(&mut entry, foreign(), Duration::ZERO, true, at(1));
        assert_eq!(look(&mut entry, foreign(), true, 2), Some("put right"));
        note_update(&mut entry, foreign(), Duration::ZERO, false, at(2));
        assert_eq!(look(&mut entry, foreign(), true, 99), None, "it was no use");
    }

    #[test]
    fn what_a_provider_only_stored_is_made_a_change_once_and_is_nobodys_doing() {
        let behind = || VerifyVerdict::Differs {
            is_behind: true,
            everywhere: true,
            words: "else".to_owned(),
        };
        for verdict in [behind(), foreign()] {
            let mut entry = Entry { half_done: true, ..Entry::default() };
            note_update(&mut entry, verdict.clone(), Duration::ZERO, true, at(0));
            assert_eq!(again(&entry), Some(Again::Untransferred));
            assert_eq!(entry.verified.as_ref().unwrap().put_right, None);
            note_update(&mut entry, verdict, Duration::ZERO, false, at(1));
            assert_ne!(again(&entry), Some(Again::Untransferred), "once");
        }
        let mut entry = Entry { half_done: true, ..Entry::default() };
        note_update(&mut entry, right(), Duration::ZERO, true, at(0));
        assert_eq!((again(&entry), entry.half_done), (None, false));
    }

    #[test]
    fn whoever_stood_in_for_an_address_that_was_away_gives_way_each_time_it_is_back() {
        let mut entry = Entry::default();
        note_update(&mut entry, right(), Duration::ZERO, true, at(0));
        let comes_back = |entry: &mut Entry| entry.verified.as_mut().unwrap().returned = true;
        assert_eq!(look(&mut entry, foreign(), true, 1), Some("put right"));
        note_update(&mut entry, right(), Duration::ZERO, false, at(1));
        for hours in [2, 3] {
            comes_back(&mut entry);
            assert_eq!(look(&mut entry, foreign(), true, hours), Some("put right"));
            note_update(&mut entry, right(), Duration::ZERO, false, at(hours));
            assert_eq!(entry.verified.as_ref().unwrap().put_right, Some(at(1)), "not counted");
        }
        // What is found right in between was nobody's standing in.
        comes_back(&mut entry);
        assert_eq!(look(&mut entry, right(), true, 4), None);
        assert!(
            look(&mut entry, foreign(), true, 5).is_some_and(|words| words.contains("unchanged"))
        );
    }

    #[test]
    fn a_drift_is_left_where_putting_right_is_no_use_or_not_allowed() {
        let mut entry = Entry::default();
        assert_eq!(
            look(&mut entry, foreign(), false, 0),
            Some("unchanged, because take-over is false")
        );
        let mut proxied = Entry::default();
        note_update(&mut proxied, foreign(), Duration::ZERO, true, at(0));
        assert_eq!(look(&mut proxied, foreign(), true, 1), None, "told already");
        assert_eq!(again(&proxied), None);
        // Nobody but a server that was late from the beginning.
        let mut late = Entry::default();
        let behind =
            VerifyVerdict::Differs { is_behind: true, everywhere: true, words: "else".to_owned() };
        note_update(&mut late, behind, Duration::ZERO, true, at(0));
        assert_eq!(look(&mut late, foreign(), true, 1), None);
        // Some of the servers: a view, or one that lags.
        let mut views = Entry::default();
        note_update(&mut views, right(), Duration::ZERO, true, at(0));
        let some = || VerifyVerdict::Differs {
            is_behind: false,
            everywhere: false,
            words: "some".to_owned(),
        };
        assert_eq!(look(&mut views, some(), true, 1), Some("differ"));
        assert_eq!((look(&mut views, some(), true, 2), again(&views)), (None, None));
        assert_eq!(look(&mut views, foreign(), true, 3), Some("put right"), "the others as well");
        // Set before anybody looked.
        assert_eq!(look(&mut Entry::default(), foreign(), true, 1), Some("put right"));
    }
}
