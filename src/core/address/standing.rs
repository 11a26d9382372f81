//! Standings: which outside services are skipped because they failed or lied, and how long.
//!
//! Pure: the services' answers to one question come in, the lesson about each service comes out. The
//! round keeps the standings in the memory; sources ask skipped services only after the others.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Family;
use crate::core::backoff::Backoff;
use crate::core::order::{SortedMap, SortedSet};
use crate::core::time::Timestamp;

/// A service in one family: it may tell the truth in one and be unreachable in the other.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServiceId {
    /// The service's name in messages.
    pub name: String,
    /// The family of the addresses that it is asked for.
    pub family: Family,
}

/// The standing of a service that failed or lied when it was last asked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServiceStanding {
    /// The service's fault.
    pub fault: ServiceFault,
    /// What was seen of it, in words.
    pub detail: String,
    /// How many times in a row it was blamed, which determines the next wait; at least 1.
    pub times: u32,
    /// When it was first blamed in that row.
    pub since: Timestamp,
    /// Until when it is skipped.
    pub until: Timestamp,
}

/// What a service can be blamed for; the worse one last.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceFault {
    /// It gave no believable address while another service gave one.
    Failed,
    /// It gave another address than the one that was agreed on.
    Lied,
}

/// The answer of one service to one question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceAnswer {
    /// The service.
    pub service: ServiceId,
    /// An address, or why there is none, in words that name the service.
    pub answer: Result<IpAddr, String>,
}

/// What a question showed about a service; the worse one last.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Lesson {
    /// It gave the address that is believed.
    Right,
    /// It is to blame; the fault, and what was seen of it.
    Blamed(ServiceFault, String),
}

/// The standings of the services that have been blamed.
pub type Standings = SortedMap<ServiceId, ServiceStanding>;

/// What a round showed about services.
pub type Lessons = SortedMap<ServiceId, Lesson>;

impl ServiceFault {
    /// The word for it in logs and in `status --json`; the state file has the same.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Lied => "lied",
        }
    }

    /// What a person can do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Failed => {
                "nothing to do unless it continues; then remove the service from the \
                source"
            }
            Self::Lied => {
                "nothing to do: the others agree; if it continues, remove the service from the \
                    source"
            }
        }
    }

    /// How long a service with this fault is skipped, longer each time.
    fn wait(self) -> Backoff {
        match self {
            Self::Failed => {
                Backoff { first: Duration::from_secs(5 * 60), ceiling: LONGEST, later: LONGEST }
            }
            Self::Lied => {
                Backoff { first: Duration::from_secs(60 * 60), ceiling: LONGEST, later: LONGEST }
            }
        }
    }
}

/// The longest time that a service is skipped at once.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl ServiceStanding {
    /// Whether the service is skipped at `now`.
    pub fn is_aside(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// The services that are skipped at `now`.
pub fn aside(standings: &Standings, now: Timestamp) -> SortedSet<ServiceId> {
    let aside = standings.iter().filter(|(_, standing)| standing.is_aside(now));
    aside.map(|(service, _)| service.clone()).collect()
}

/// The lessons of the answers to one question; `believed` is the address that was agreed on, if any.
///
/// | it said              | another got through | one is believed | then          |
/// |----------------------|---------------------|-----------------|---------------|
/// | no address           | no                  |                 | nothing       |
/// | no address           | yes                 |                 | it failed     |
/// | an address           |                     | no              | nothing       |
/// | what is believed     |                     | yes             | it is right   |
/// | another address      |                     | yes             | it lied       |
///
/// Where no service gave an address, the network is dead or somebody in it answers everything: no
/// service is at fault.
pub fn lessons(said: &[ServiceAnswer], believed: Option<IpAddr>) -> Lessons {
    let got_through = said.iter().any(|said| said.answer.is_ok());
    let agrees = |said: &&ServiceAnswer| said.answer.as_ref().ok() == believed.as_ref();
    let others = match said.iter().filter(|said| said.answer.is_ok()).filter(agrees).count() {
        1 => "another says".to_owned(),
        several => format!("{several} others say"),
    };
    let lesson = |said: &ServiceAnswer| match (&said.answer, believed) {
        (Ok(address), Some(believed)) if *address == believed => Some(Lesson::Right),
        (Ok(address), Some(believed)) => {
            let detail = format!("says {address} where {others} {believed}");
            Some(Lesson::Blamed(ServiceFault::Lied, detail))
        }
        (Err(reason), _) if got_through => {
            Some(Lesson::Blamed(ServiceFault::Failed, reason.clone()))
        }
        (Ok(_), None) | (Err(_), _) => None,
    };
    let mut lessons = Lessons::new();
    for said in said {
        if let Some(lesson) = lesson(said) {
            add(&mut lessons, said.service.clone(), lesson);
        }
    }
    lessons
}

/// Adds a lesson about a service; of two lessons in one round the worse one counts.
pub fn add(lessons: &mut Lessons, service: ServiceId, lesson: Lesson) {
    let known = lessons.entry(service).or_insert(Lesson::Right);
    if lesson > *known {
        *known = lesson;
    }
}

/// Applies the lessons of a round to the standings.
///
/// The standing of a service that is right is removed. A blamed service is skipped, twice as long each
/// time; while it is skipped, only a worse fault counts, so that asking it anyway prolongs nothing.
pub fn settle(standings: &mut Standings, lessons: &Lessons, now: Timestamp) {
    for (service, lesson) in lessons {
        let (fault, detail) = match lesson {
            Lesson::Right => {
                standings.remove(service);
                continue;
            }
            Lesson::Blamed(fault, detail) => (*fault, detail),
        };
        let known = standings.get(service);
        if known.is_some_and(|known| known.is_aside(now) && fault <= known.fault) {
            continue;
        }
        let times = known.map_or(1, |known| known.times.saturating_add(1));
        let since = known.map_or(now, |known| known.since);
        let until = now.after(fault.wait().delay(times, Duration::ZERO, 0.0));
        let standing = ServiceStanding { fault, detail: detail.clone(), times, since, until };
        standings.insert(service.clone(), standing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    fn service(name: &str) -> ServiceId {
        ServiceId { name: name.to_owned(), family: Family::V4 }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn says(name: &str, text: &str) -> ServiceAnswer {
        ServiceAnswer { service: service(name), answer: Ok(address(text)) }
    }

    fn fails(name: &str) -> ServiceAnswer {
        ServiceAnswer { service: service(name), answer: Err(format!("{name} is silent")) }
    }

    fn failed(name: &str) -> Lesson {
        Lesson::Blamed(ServiceFault::Failed, format!("{name} is silent"))
    }

    fn lied(detail: &str) -> Lesson {
        Lesson::Blamed(ServiceFault::Lied, detail.to_owned())
    }

    #[track_caller]
    fn check(said: &[ServiceAnswer], believed: Option<&str>, expect: &[(&str, Lesson)]) {
        let expect: Lessons = expect.iter().map(|(n, l)| (service(n), l.clone())).collect();
        assert_eq!(lessons(said, believed.map(address)), expect);
    }

    /// The standings after `lesson` about one service, asked at each of the moments.
    fn after(lesson: &Lesson, moments: &[u64]) -> Standings {
        let mut standings = Standings::new();
        for moment in moments {
            settle(&mut standings, &[(service("a"), lesson.clone())].into(), at(*moment));
        }
        standings
    }

    #[test]
    fn a_dead_line_and_a_captive_portal_are_nobodys_fault() {
        check(&[fails("a"), fails("b"), fails("c")], None, &[]);
    }

    #[test]
    fn who_told_nothing_where_another_got_through_failed() {
        let right = ("b", Lesson::Right);
        let said = [fails("a"), says("b", "192.0.2.1")];
        check(&said, Some("192.0.2.1"), &[("a", failed("a")), right]);
        // That not enough agree is no excuse: one got through.
        check(&said, None, &[("a", failed("a"))]);
    }

    #[test]
    fn who_told_another_address_than_the_agreed_one_lied() {
        let said = [says("a", "192.0.2.1"), says("b", "192.0.2.2"), says("c", "192.0.2.2")];
        let lie = lied("says 192.0.2.1 where 2 others say 192.0.2.2");
        let right = [("b", Lesson::Right), ("c", Lesson::Right)];
        check(&said, Some("192.0.2.2"), &[&[("a", lie)][..], &right].concat());
        let lie = lied("says 192.0.2.1 where another says 192.0.2.2");
        check(&said[..2], Some("192.0.2.2"), &[("a", lie), ("b", Lesson::Right)]);
    }

    #[test]
    fn without_agreement_nobody_knows_who_lied() {
        check(&[says("a", "192.0.2.1"), says("b", "192.0.2.2")], None, &[]);
    }

    #[test]
    fn the_worse_lesson_of_a_round_counts_in_any_order() {
        let all = [lied("x"), Lesson::Right, failed("a")];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let mut lessons = Lessons::new();
            for place in order {
                add(&mut lessons, service("a"), all[place].clone());
            }
            assert_eq!(lessons[&service("a")], lied("x"));
        }
    }

    #[test]
    fn failures_are_left_aside_from_five_minutes_to_a_day() {
        let mut standings = Standings::new();
        let lesson: Lessons = [(service("a"), failed("a"))].into();
        let mut now = 0;
        for minutes in [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440] {
            settle(&mut standings, &lesson, at(now));
            let standing = &standings[&service("a")];
            assert_eq!((standing.since, standing.until), (at(0), at(now + minutes * MINUTE)));
            assert!(standing.is_aside(at(now)) && !standing.is_aside(standing.until));
            now += minutes * MINUTE;
        }
    }

    #[test]
    fn a_lie_begins_at_an_hour() {
        let standings = after(&lied("x"), &[0, HOUR]);
        let standing = &standings[&service("a")];
        assert_eq!((standing.times, standing.until), (2, at(3 * HOUR)));
    }

    #[test]
    fn asking_who_is_left_aside_prolongs_nothing() {
        let once = after(&failed("a"), &[0]);
        assert_eq!(after(&failed("a"), &[0, 1, 2, 299]), once);
        assert_eq!(after(&failed("a"), &[0, 300])[&service("a")].times, 2);
    }

    #[test]
    fn a_lie_counts_even_from_who_is_left_aside_for_a_failure() {
        let mut standings = after(&failed("a"), &[0]);
        settle(&mut standings, &[(service("a"), lied("x"))].into(), at(1));
        assert_eq!(standings[&service("a")].fault, ServiceFault::Lied);
        assert_eq!(standings[&service("a")].until, at(1 + 2 * HOUR));
        let before = standings.clone();
        settle(&mut standings, &[(service("a"), failed("a"))].into(), at(2));
        assert_eq!(standings, before, "a failure is less than a lie");
    }

    #[test]
    fn what_is_right_stands_well_again() {
        let mut standings = after(&lied("x"), &[0]);
        assert_eq!(aside(&standings, at(1)), [service("a")].into());
        assert_eq!(aside(&standings, at(HOUR)), SortedSet::new());
        settle(&mut standings, &[(service("a"), Lesson::Right)].into(), at(1));
        assert_eq!(standings, Standings::new());
    }
}
