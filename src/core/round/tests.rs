//! What a round decides, without a shell: looks and answers go in, errands come out.

use std::net::IpAddr;

use super::*;
use crate::core::memory::Destination;
use crate::core::outcome::{Fault, Rejection};
use crate::core::plan::{Host, Use};
use crate::core::problem::EventKind;
use crate::core::protocol::manners::Protocol;
use crate::core::protocol::{Credential, Verdict};
use crate::core::token::upkeep::NoTerms;

fn now(seconds: u64) -> Now {
    let wall = Timestamp::from_secs(1_800_000_000 + seconds);
    let steady = Duration::from_secs(seconds);
    Now { wall, is_set: true, steady, uptime: steady, reckoning: None }
}

fn here(text: &str) -> PerFamily<Seen> {
    let address: IpAddr = text.parse().unwrap();
    PerFamily { v4: Seen::Here(Addresses::from(address)), v6: Seen::NotAsked }
}

/// The host `name` at a dyndns2 provider of that name, with a secret of its own.
fn host(at: usize, name: &str, provider: &str) -> (Subject, HostAccess) {
    let fingerprint = Fingerprint(at as u64);
    let mut host = Host::plain(name, provider);
    host.families = PerFamily { v4: Use::Named, v6: Use::Off };
    let mut entry = Protocol::Dyndns2.defaults(provider.to_owned().into());
    (entry.pace, entry.batch) = (None, 1);
    let block = BlockFacts {
        provider: Rc::new(entry),
        server: provider.into(),
        place: provider.into(),
        path: None,
        has_company: false,
        has_hook: true,
        is_verified: false,
        strict_token: false,
    };
    let subject = Subject { at, host: Rc::new(host), block: Rc::new(block) };
    let place = Destination { fingerprint: Fingerprint(9), zone: None, void_since: None };
    let credential = Credential { login: name.to_owned(), secret: Secret::new("s3cret") };
    let (identity, about, server) = (fingerprint, fingerprint, fingerprint);
    let terms = Err(NoTerms::NoReceipt);
    let access = HostAccess {
        credential,
        identity,
        about,
        fingerprint,
        server,
        place,
        zone: None,
        terms,
        expires: None,
    };
    (subject, access)
}

/// Rounds over the hosts `a.example` and `b.example`, each at a provider of its own.
struct Rounds {
    round: Round,
    hosts: Vec<(Subject, HostAccess)>,
    disk: Disk,
}

/// A shell that counts saves, and reads no secret again.
#[derive(Default)]
struct Disk {
    saves: usize,
    is_full: bool,
}

impl Shell for Disk {
    fn save(&mut self, _: &Memory) -> Result<(), String> {
        self.saves += 1;
        if self.is_full { Err("the disk is full".into()) } else { Ok(()) }
    }

    fn access(&self, _: &Subject) -> Option<Rc<HostAccess>> {
        None
    }
}

impl Rounds {
    fn new() -> Self {
        let hosts = vec![host(0, "a.example", "one"), host(1, "b.example", "two")];
        Self { round: Round::new(Memory::default(), true), hosts, disk: Disk::default() }
    }

    /// Looks at both hosts at `address`, and returns what is to be done.
    fn look(&mut self, address: &str, seconds: u64) -> Vec<Errand> {
        let now = now(seconds);
        let hosts = self.hosts.iter();
        let accesses =
            hosts.map(|(subject, access)| (subject.clone(), Ok(Rc::new(access.clone()))));
        let accesses: Vec<_> = accesses.collect();
        self.round.set_clock(&now);
        self.round.begin(&accesses, Vec::new(), Occasion::default(), &now);
        let observed = |(subject, access): &(Subject, HostAccess)| Observed {
            subject: subject.clone(),
            access: Ok(Rc::new(access.clone())),
            seen: here(address),
            file: None,
        };
        let hosts = self.hosts.iter().map(observed).collect();
        self.round.look(Look { hosts, ..Look::default() }, &now, 0.5, &mut self.disk)
    }

    /// Lets both hosts be at one provider with one credential.
    fn share_provider(&mut self) {
        let block = Rc::clone(&self.hosts[0].0.block);
        let mut host = Host::clone(&self.hosts[1].0.host);
        host.key.provider = "one".into();
        let second = &mut self.hosts[1];
        second.0 = Subject { at: second.0.at, host: Rc::new(host), block };
        second.1.identity = Fingerprint(0);
    }

    /// The answer to `errand`, and what is to be done then.
    fn heard(&mut self, errand: &Errand, answer: Answer, seconds: u64) -> Vec<Errand> {
        self.round.heard(errand.id, answer, &now(seconds), 0.5, &mut self.disk)
    }

    /// The IPv4 address that is set for the host at `at`.
    fn set(&self, at: usize) -> Option<String> {
        let entry = self.round.memory.entry(&self.hosts[at].0.host.key)?;
        entry.families.v4.set.as_ref().map(|set| set.addresses.to_string())
    }
}

/// The host and the IPv4 address of each update, and each host whose program is run.
fn told(errands: &[Errand]) -> Vec<String> {
    let word = |errand: &Errand| match &errand.task {
        Task::Update { request, .. } => {
            let [update] = &request.updates[..] else { panic!("one host") };
            let Wish::Set(addresses) = &update.wishes.v4 else { panic!("an address") };
            format!("{} {addresses}", update.host)
        }
        Task::Hook { subject, .. } => format!("program of {}", subject.host.key.host),
        task => panic!("{task:?}"),
    };
    errands.iter().map(word).collect()
}

fn updated() -> Answer {
    Answer::Update(Verdict::All(Outcome::Updated))
}

#[test]
fn a_silent_provider_delays_no_other_host() {
    let mut rounds = Rounds::new();
    let first = rounds.look("198.18.0.1", 0);
    assert_eq!(told(&first), ["a.example 198.18.0.1", "b.example 198.18.0.1"]);
    assert_eq!(rounds.disk.saves, 1, "once for both");
    assert_eq!(told(&rounds.heard(&first[1], updated(), 1)), ["program of b.example"]);
    // The next address goes to the one that has answered alone.
    let second = rounds.look("198.18.0.2", 2);
    assert_eq!(told(&second), ["b.example 198.18.0.2"]);
    assert_eq!(told(&rounds.heard(&second[0], updated(), 3)), [""; 0], "its program runs");
    assert_eq!((rounds.set(0), rounds.set(1)), (None, Some("198.18.0.2".into())));
    // One more look, and the silent one is asked once, with the newest address.
    let third = rounds.look("198.18.0.3", 4);
    assert_eq!(told(&third), ["b.example 198.18.0.3"]);
    let last = rounds.heard(&first[0], updated(), 30);
    assert_eq!(told(&last), ["program of a.example", "a.example 198.18.0.3"]);
    assert_eq!(rounds.set(0), Some("198.18.0.1".into()), "what it has confirmed");
    rounds.heard(&last[1], updated(), 31);
    assert_eq!(rounds.set(0), Some("198.18.0.3".into()));
    assert!(!rounds.round.is_over(), "programs run");
}

#[test]
fn a_poll_looks_for_no_drift_while_an_update_is_verified() {
    let mut rounds = Rounds::new();
    for (subject, _) in &mut rounds.hosts {
        let block = Rc::make_mut(&mut subject.block);
        (block.is_verified, block.has_hook) = (true, false);
    }
    let whom = |errands: &[Errand]| {
        let looks = errands.iter().filter_map(|errand| match &errand.task {
            Task::Look { cases, whom, .. } => Some((*whom, cases.len())),
            _ => None,
        });
        looks.collect::<Vec<_>>()
    };
    let first = rounds.look("198.18.0.1", 0);
    assert_eq!(whom(&first), [(Whom::Own, 1); 2], "before the first updates");
    let updates: Vec<Errand> =
        first.iter().flat_map(|look| rounds.heard(look, Answer::Look(Vec::new()), 1)).collect();
    let verifying = rounds.heard(&updates[0], updated(), 2);
    assert_eq!(whom(&verifying), [(Whom::All, 1)]);
    rounds.heard(&updates[1], updated(), 2);
    assert_eq!(whom(&rounds.look("198.18.0.1", 3)), [], "both are being verified");
    // The first is asked about at the next poll, because nothing about it is known.
    rounds.heard(&verifying[0], Answer::Look(Vec::new()), 4);
    assert_eq!(whom(&rounds.look("198.18.0.1", 400)), [(Whom::All, 1)]);
}

#[test]
fn a_look_before_a_first_update_delays_no_other_host_of_its_provider() {
    let mut rounds = Rounds::new();
    rounds.share_provider();
    Rc::make_mut(&mut rounds.hosts[0].0.block).is_verified = true;
    let first = rounds.look("198.18.0.1", 0);
    let [look, other] = &first[..] else { panic!("a look and an update: {first:?}") };
    assert!(matches!(&look.task, Task::Look { whom: Whom::Own, .. }), "{look:?}");
    assert_eq!(told(std::slice::from_ref(other)), ["b.example 198.18.0.1"]);
    assert_eq!(told(&rounds.heard(other, updated(), 1)), ["program of b.example"]);
    assert_eq!(told(&rounds.heard(look, Answer::Look(Vec::new()), 3)), ["a.example 198.18.0.1"]);
}

#[test]
fn an_answer_to_a_host_that_is_no_longer_configured_is_remembered() {
    let mut rounds = Rounds::new();
    let first = rounds.look("198.18.0.1", 0);
    let gone = rounds.hosts.remove(0);
    rounds.hosts[0].0.at = 0;
    assert_eq!(told(&rounds.look("198.18.0.1", 1)), [""; 0]);
    rounds.heard(&first[0], updated(), 2);
    rounds.heard(&first[1], updated(), 2);
    let entry = rounds.round.memory.entry(&gone.0.host.key).unwrap();
    assert!(entry.families.v4.set.is_some() && entry.families.v4.sent.is_none());
    rounds.round.end(&now(3));
    assert_eq!(rounds.round.report.hosts.len(), 2);
    rounds.look("198.18.0.1", 4);
    assert_eq!(rounds.round.report.hosts.len(), 1, "its answer is heard");
}

#[test]
fn a_stop_takes_back_what_has_not_left() {
    let mut rounds = Rounds::new();
    // The second request waits for the trial of the credential.
    rounds.share_provider();
    let first = rounds.look("198.18.0.1", 0);
    assert_eq!(first.len(), 1);
    rounds.round.stop();
    assert_eq!(told(&rounds.round.advance(&now(1), 0.5, &mut rounds.disk)), [""; 0]);
    let sent = |rounds: &Rounds, at: usize| {
        let entry = rounds.round.memory.entry(&rounds.hosts[at].0.host.key).unwrap();
        entry.families.v4.sent.is_some()
    };
    assert!(sent(&rounds, 0) && !sent(&rounds, 1));
    let lost = Answer::Update(Verdict::All(Outcome::deferred(Fault::Lost, "late")));
    assert_eq!(told(&rounds.heard(&first[0], lost, 2)), [""; 0]);
    rounds.round.end(&now(2));
    assert!(sent(&rounds, 0) && rounds.round.is_over());
    assert_eq!(rounds.round.report.exit(), super::super::exit::Exit::Deferred);
}

#[test]
fn an_address_that_is_back_before_it_could_be_replaced_leaves_nothing_undone() {
    for outcome in [
        Outcome::deferred(Fault::Busy, "busy"),
        Outcome::rejected(Rejection::Credential, "Invalid token."),
    ] {
        let mut rounds = Rounds::new();
        for errand in rounds.look("198.18.0.1", 0) {
            rounds.heard(&errand, updated(), 1);
        }
        let errands = rounds.look("198.18.0.2", 100);
        rounds.heard(&errands[0], Answer::Update(Verdict::All(outcome)), 101);
        let key = rounds.hosts[0].0.host.key.clone();
        assert!(rounds.round.memory.entry(&key).unwrap().hold.is_some());
        // By then a wait is over, and there is another credential.
        rounds.hosts[0].1.fingerprint = Fingerprint(7);
        rounds.look("198.18.0.1", 200);
        let entry = rounds.round.memory.entry(&key).unwrap();
        assert_eq!((&entry.hold, entry.last), (&None, Some((Word::Unchanged, now(1).wall))));
        assert_eq!(rounds.set(0).as_deref(), Some("198.18.0.1"));
    }
}

#[test]
fn no_program_is_told_of_a_change_that_was_changed_back_while_it_ran() {
    let mut rounds = Rounds::new();
    rounds.hosts.truncate(1);
    let first = rounds.look("198.18.0.1", 0);
    let program = rounds.heard(&first[0], updated(), 1);
    assert_eq!(told(&program), ["program of a.example"]);
    for (address, seconds) in [("198.18.0.2", 2), ("198.18.0.1", 4)] {
        let update = rounds.look(address, seconds);
        assert_eq!(told(&rounds.heard(&update[0], updated(), seconds + 1)), [""; 0]);
    }
    assert_eq!(told(&rounds.heard(&program[0], Answer::Hook(Ok(())), 9)), [""; 0]);
    assert!(rounds.round.is_over());
}

#[test]
fn a_credential_that_is_refused_in_a_list_is_not_tried_for_those_before_it() {
    let mut rounds = Rounds::new();
    let mut provider = crate::core::provider::Provider::clone(&rounds.hosts[0].0.provider);
    provider.batch = 2;
    let provider = Rc::new(provider);
    for (at, (subject, access)) in rounds.hosts.iter_mut().enumerate() {
        let mut host = Host::clone(&subject.host);
        host.key.provider = "one".into();
        let (server, place): (Rc<str>, Rc<str>) = ("one".into(), "one".into());
        let provider = Rc::clone(&provider);
        let block = BlockFacts { provider, server, place, ..BlockFacts::clone(&subject.block) };
        *subject = Subject { at, host: Rc::new(host), block: Rc::new(block) };
        access.identity = Fingerprint(7);
    }
    for first in [Outcome::deferred(Fault::Server, "500"), Outcome::Unchanged] {
        rounds.round = Round::new(Memory::default(), true);
        let errands = rounds.look("198.18.0.1", 0);
        assert_eq!(errands.len(), 1);
        let in_doubt = first != Outcome::Unchanged;
        let refused = Outcome::rejected(Rejection::Credential, "401");
        let answer = Answer::Update(Verdict::Each(vec![first, refused]));
        rounds.heard(&errands[0], answer, 1);
        assert_eq!(told(&rounds.look("198.18.0.2", 4000)), [""; 0], "neither is asked about again");
        let entry = rounds.round.memory.entry(&rounds.hosts[0].0.host.key).unwrap();
        assert_eq!(
            entry.families.v4.sent.is_some(),
            in_doubt,
            "what the provider holds is not known"
        );
    }
}

#[test]
fn what_cannot_be_saved_is_not_sent() {
    let mut rounds = Rounds::new();
    rounds.disk.is_full = true;
    let errands = rounds.look("198.18.0.1", 0);
    assert_eq!(told(&errands), [""; 0]);
    rounds.round.end(&now(0));
    let report = &rounds.round.report;
    assert_eq!(report.storage_problem.as_deref(), Some("the disk is full"));
    assert_eq!(report.exit(), super::super::exit::Exit::Deferred);
    assert!(rounds.round.is_over());
}

/// Ends a round at a moment, and returns what is to be told: host, event, outcome and reason.
fn events(rounds: &mut Rounds, seconds: u64) -> Vec<(String, EventKind, Word, String)> {
    rounds.round.end(&now(seconds));
    let events = rounds.round.note_events(Duration::from_secs(900), &now(seconds));
    let told = |event: Event| (event.key.host.to_string(), event.kind, event.outcome, event.reason);
    events.into_iter().map(told).collect()
}

/// What is told of the first host.
fn of_the_first(kind: EventKind, outcome: Word, reason: &str) -> (String, EventKind, Word, String) {
    ("a.example".to_owned(), kind, outcome, reason.to_owned())
}

#[test]
fn a_rejection_is_told_once_whatever_restarts_and_then_that_the_host_is_right_again() {
    let mut rounds = Rounds::new();
    rounds.hosts.truncate(1);
    Rc::make_mut(&mut rounds.hosts[0].0.block).has_hook = false;
    let first = rounds.look("198.18.0.1", 0);
    assert_eq!(events(&mut rounds, 0), [], "it is being asked about");
    let refusal = Outcome::rejected(Rejection::Credential, "badauth");
    rounds.heard(&first[0], Answer::Update(Verdict::All(refusal)), 1);
    let expect =
        of_the_first(EventKind::Problem, Word::Rejected, "the credential is refused: badauth");
    assert_eq!(events(&mut rounds, 1), [expect]);
    let kept = rounds.round.memory.clone();
    rounds.round = Round::new(kept, true);
    assert_eq!(told(&rounds.look("198.18.0.1", 9000)), [""; 0], "it is parked");
    assert_eq!(events(&mut rounds, 9000), []);
    rounds.hosts[0].1.fingerprint = Fingerprint(77);
    let again = rounds.look("198.18.0.1", 9001);
    rounds.heard(&again[0], updated(), 9002);
    let expect = of_the_first(EventKind::Recovered, Word::Updated, "");
    assert_eq!(events(&mut rounds, 9002), [expect]);
    assert_eq!(events(&mut rounds, 9003), []);
    let entry = rounds.round.memory.entry(&rounds.hosts[0].0.host.key).unwrap();
    assert_eq!(entry.problem, None);
}

#[test]
fn a_deferral_is_told_when_it_lasts_and_the_next_look_comes_for_that() {
    let mut rounds = Rounds::new();
    rounds.hosts.truncate(1);
    let first = rounds.look("198.18.0.1", 0);
    let lost = Outcome::deferred_for(Fault::Server, "503", Duration::from_secs(5000));
    rounds.heard(&first[0], Answer::Update(Verdict::All(lost)), 1);
    assert_eq!(events(&mut rounds, 1), []);
    assert_eq!(rounds.round.report.next, Some(now(901).wall));
    assert_eq!(told(&rounds.look("198.18.0.1", 901)), [""; 0]);
    rounds.round.end(&now(901));
    let event = rounds.round.note_events(Duration::from_secs(900), &now(901)).remove(0);
    assert_eq!((event.kind, event.outcome), (EventKind::Problem, Word::Deferred));
    assert!(event.reason.ends_with(": 503") && !event.fix.is_empty(), "{event:?}");
}

#[test]
fn a_host_whose_secret_cannot_be_used_is_told_of_when_that_lasts() {
    let mut rounds = Rounds::new();
    for (seconds, expect) in [(0, 0), (899, 0), (900, 1), (1000, 0)] {
        let (subject, _) = rounds.hosts[0].clone();
        let words = "x.token is empty; put the token on its first line".to_owned();
        let access = Err(Box::new(SecretProblem { words, hash: Some(Fingerprint(5)) }));
        let observed = Observed { subject, access, seen: here("198.18.0.1"), file: None };
        let look = Look { hosts: vec![observed], ..Look::default() };
        rounds.round.look(look, &now(seconds), 0.5, &mut rounds.disk);
        let told = events(&mut rounds, seconds);
        assert_eq!(told.len(), expect, "{seconds}: {told:?}");
        if let [told] = &told[..] {
            assert_eq!((told.2, &*told.3), (Word::Deferred, "x.token is empty"));
        }
    }
}

#[test]
fn a_round_that_is_stopped_tells_nothing() {
    let mut rounds = Rounds::new();
    let first = rounds.look("198.18.0.1", 0);
    rounds.round.stop();
    let refusal = Outcome::rejected(Rejection::Credential, "badauth");
    rounds.heard(&first[0], Answer::Update(Verdict::All(refusal)), 1);
    assert_eq!(events(&mut rounds, 1), []);
}

/// Hosts at deSEC, whose records are removed with their addresses.
mod at_desec {
    use super::super::*;
    use super::Disk;
    use crate::core::memory::Destination;
    use crate::core::outcome::{Fault, Rejection};
    use crate::core::plan::Host;
    use crate::core::protocol::manners::Protocol;
    use crate::core::protocol::{Credential, Verdict};
    use crate::core::token::upkeep::NoTerms;

    /// The moment by the wall clock and by the steady one after so many seconds.
    fn after(seconds: u64) -> Now {
        let steady = Duration::from_secs(100_000 + seconds);
        let wall = Timestamp::from_secs(1_800_000_000 + seconds);
        Now { wall, is_set: true, steady, uptime: steady, reckoning: None }
    }

    /// A host at deSEC that removes the record of a family that is gone.
    fn subject(name: &str, zone: &str) -> Subject {
        let provider = Protocol::Desec.defaults("p".into());
        let by = provider.removal().unwrap();
        let mut host = Host::plain(name, "p");
        host.zone = Some(zone.parse().unwrap());
        host.when_gone = WhenGone::Remove { after: Duration::from_secs(3600), by };
        let block = BlockFacts {
            provider: Rc::new(provider),
            server: "p.example".into(),
            place: "p.example".into(),
            path: None,
            has_company: false,
            has_hook: false,
            is_verified: false,
            strict_token: false,
        };
        Subject { at: 0, host: Rc::new(host), block: Rc::new(block) }
    }

    /// The access with a secret of that number.
    fn access(number: u64) -> Rc<HostAccess> {
        let print = Fingerprint(number);
        let place = Fingerprint(0);
        Rc::new(HostAccess {
            credential: Credential { login: "me".into(), secret: Secret::new("secret") },
            identity: print,
            about: print,
            fingerprint: print,
            server: place,
            place: Destination { fingerprint: place, zone: None, void_since: None },
            zone: None,
            terms: Err(NoTerms::NoReceipt),
            expires: None,
        })
    }

    fn here(address: &str) -> Seen {
        Seen::Here(Addresses::new([address.parse().unwrap()]).unwrap())
    }

    /// Looks once at hosts with these secrets, and returns what leaves.
    fn look(round: &mut Round, hosts: &[(Subject, u64)], v6: &Seen, now: &Now) -> Vec<Errand> {
        let occasion = Occasion { by_itself: true, ..Occasion::default() };
        let accesses: Vec<_> =
            hosts.iter().map(|(subject, secret)| (subject.clone(), Ok(access(*secret)))).collect();
        round.begin(&accesses, Vec::new(), occasion, now);
        let observed = hosts.iter().map(|(subject, secret)| {
            let seen = PerFamily { v4: here("192.0.2.1"), v6: v6.clone() };
            Observed { subject: subject.clone(), access: Ok(access(*secret)), seen, file: None }
        });
        let (hosts, interval) = (observed.collect(), Duration::from_secs(300));
        let look = Look { hosts, occasion, interval, ..Look::default() };
        round.look(look, now, 0.5, &mut Disk::default())
    }

    /// Gives the answer to an errand, and returns what leaves then.
    fn hear(round: &mut Round, errand: &Errand, outcome: Outcome, now: &Now) -> Vec<Errand> {
        let answer = Answer::Update(Verdict::All(outcome));
        let errands = round.heard(errand.id, answer, now, 0.5, &mut Disk::default());
        round.end(now);
        errands
    }

    #[test]
    fn a_host_whose_record_was_removed_long_ago_waits_for_one_turn_and_not_for_another() {
        let mut round = Round::new(Memory::default(), true);
        let hosts = [(subject("a.example", "a.example"), 1)];
        let (there, gone) = (here("2001:db8::1"), Seen::Absent("no IPv6 here".into()));
        let first = look(&mut round, &hosts, &there, &after(0));
        assert!(hear(&mut round, &first[0], Outcome::Updated, &after(0)).is_empty());
        assert!(look(&mut round, &hosts, &gone, &after(300)).is_empty());
        let removal = look(&mut round, &hosts, &gone, &after(4000));
        assert!(hear(&mut round, &removal[0], Outcome::Updated, &after(4000)).is_empty());
        assert!(look(&mut round, &hosts, &there, &after(9000)).is_empty());
        round.end(&after(9000));
        assert_eq!(round.report.next, Some(after(9030).wall));
        assert_eq!(look(&mut round, &hosts, &there, &after(9030)).len(), 1);
    }

    #[test]
    fn a_look_while_hosts_wait_forgets_no_refused_credential() {
        let mut round = Round::new(Memory::default(), true);
        let hosts = [
            (subject("a.one.example", "one.example"), 1),
            (subject("b.one.example", "one.example"), 2),
            (subject("c.two.example", "two.example"), 1),
        ];
        let seen = here("2001:db8::1");
        let of_a = look(&mut round, &hosts, &seen, &after(0));
        let refused = Outcome::rejected(Rejection::Credential, "badauth");
        let of_b = hear(&mut round, &of_a[0], refused, &after(1));
        assert_eq!((of_a.len(), of_b.len()), (1, 1));
        assert!(look(&mut round, &hosts, &seen, &after(2)).is_empty());
        assert!(hear(&mut round, &of_b[0], Outcome::Updated, &after(3)).is_empty());
        let parked = |host: &HostReport| {
            matches!(host.holds[..], [(None, Hold { kind: HoldKind::Rejected(_), .. })])
        };
        assert_eq!(round.report.hosts.iter().map(parked).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn a_credential_that_is_refused_is_not_tried_for_a_host_that_was_deferred_before() {
        let mut round = Round::new(Memory::default(), true);
        let hosts = [
            (subject("a.one.example", "one.example"), 1),
            (subject("c.two.example", "two.example"), 1),
        ];
        let seen = here("2001:db8::1");
        let of_a = look(&mut round, &hosts, &seen, &after(0));
        let of_c = hear(&mut round, &of_a[0], Outcome::deferred(Fault::Server, "500"), &after(1));
        assert_eq!((of_a.len(), of_c.len()), (1, 1));
        let refused = Outcome::rejected(Rejection::Credential, "badauth");
        assert!(hear(&mut round, &of_c[0], refused, &after(2)).is_empty());
        assert!(look(&mut round, &hosts, &seen, &after(4000)).is_empty());
    }
}

#[test]
fn refusals_are_kept_from_a_moment_on_while_requests_go_on() {
    let (subject, access) = host(0, "a.example", "one");
    let refused = Outcome::rejected(Rejection::Credential, "401");
    for (since, is_kept) in [(Some(40), true), (Some(100), true), (Some(101), false), (None, false)]
    {
        let mut traffic = Traffic::default();
        traffic.learn(&subject, access.identity, None, &refused, Duration::from_secs(100));
        traffic.begin_round(since.map(Duration::from_secs));
        let known = traffic.foregone(&subject, access.identity, None);
        assert_eq!(known.is_some(), is_kept, "{since:?}");
    }
}
