//! What a round decides, without a shell: looks and answers go in, errands come out.

use super::*;
use crate::core::memory::Destination;
use crate::core::outcome::Rejection;
use crate::core::plan::{Host, TakeOver, Use};
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
    let host = Host {
        key: Key { host: name.parse().unwrap(), provider: "p".into() },
        zone: Some(zone.parse().unwrap()),
        families: PerFamily { v4: Use::Auto, v6: Use::Auto },
        refresh: None,
        loses: PerFamily::default(),
        when_gone: WhenGone::Remove { after: Duration::from_secs(3600), by },
        bind: None,
        ttl: None,
        take_over: TakeOver::OnlyOne,
        options: Vec::new(),
    };
    Subject {
        at: 0,
        host: Rc::new(host),
        provider: Rc::new(provider),
        server: "p.example".into(),
        place: "p.example".into(),
        path: None,
        has_company: false,
        has_hook: false,
        is_verified: false,
        strict_token: false,
    }
}

/// The access with a secret of that number.
fn access(number: u64) -> HostAccess {
    let print = Fingerprint(number);
    let place = Fingerprint(0);
    HostAccess {
        credential: Credential { login: "me".into(), secret: Secret::new("secret") },
        identity: print,
        about: print,
        fingerprint: print,
        server: place,
        place: Destination { fingerprint: place, zone: None, void_since: None },
        terms: Err(NoTerms::NoReceipt),
    }
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
    round.look(Look { hosts, occasion, interval, ..Look::default() }, now, 0.5);
    round.advance(now, 0.5, &mut |_| Ok(()))
}

/// Gives the answer to an errand, and returns what leaves then.
fn hear(round: &mut Round, errand: &Errand, outcome: Outcome, now: &Now) -> Vec<Errand> {
    let answer = Answer::Update(Verdict::All(outcome));
    round.heard(errand.id, answer, now, 0.5, &mut |_| None);
    let errands = round.advance(now, 0.5, &mut |_| Ok(()));
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
