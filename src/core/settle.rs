//! Settling: what an outcome changes in the memory.
//!
//! Pure, and the only place that puts new holds into the memory. The round calls it once for each host
//! of each answer, and saves afterwards.

use std::time::Duration;

use super::address::{Addresses, Family, PerFamily};
use super::backoff::{Backoff, SHORT_ABSENCE, after_absence, beyond_the_pause};
use super::memory::{Asking, Entry, Hold, HoldKind, Memory, Record, Sent, Set, Word, ZoneKey};
use super::outcome::{Deferral, Fault, Outcome, Refusal, Rejection};
use super::pace::Pace;
use super::plan::{Host, Request, Seen, Stand, Use, WhenGone, Why, Wish};
use super::protocol::manners::Removal;
use super::secret::Fingerprint;
use super::time::Timestamp;

/// The facts about an answer besides its outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Situation {
    /// When the answer came.
    pub now: Timestamp,
    /// A random number in `0.0..=1.0`: it shortens waits by up to a half.
    pub spread: f64,
    /// Whether the answer is about several hosts at once, so that one of them may be the cause.
    pub shared: bool,
    /// The fingerprint of the credential and settings that the host was asked with.
    pub fingerprint: Fingerprint,
    /// Whether this machine's own requests explain a refusal for too many requests.
    pub own_doing: bool,
}

/// The news for a person after an outcome.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum News {
    /// A record holds other addresses than before, or was confirmed after a doubt.
    Changed,
    /// The records were right already, or only refreshed.
    Confirmed,
    /// A wait began, or its reason changed.
    Held(Box<Hold>),
    /// Several records were refused together, and are asked about one by one from now on.
    Narrowed(Box<Refusal>),
    /// The same wait goes on.
    StillHeld(Box<Hold>),
}

/// Notes that the host's part of a round is about to leave: the next start can see that Homing ended
/// before the answer.
pub fn leaving(entry: &mut Entry) {
    entry.under_way = entry.under_way.saturating_add(1);
}

/// Notes that `wishes` leave now: until the answer, what the provider holds is unknown.
pub fn sending(entry: &mut Entry, wishes: &PerFamily<Wish>, now: Timestamp) {
    for family in Family::BOTH {
        let Some(addresses) = wishes[family].content() else { continue };
        let record = &mut entry.families[family];
        let in_doubt = record.sent.is_some();
        record.sent = Some(Box::new(Sent { addresses: addresses.cloned(), at: now, in_doubt }));
    }
}

/// Remembers the addresses that were set or sent before `wishes` leave, as this machine's own.
pub fn note_earlier(entry: &mut Entry, wishes: &PerFamily<Wish>) {
    const MOST: usize = 16;
    for family in Family::BOTH {
        let Some(new) = wishes[family].content() else { continue };
        let record = &mut entry.families[family];
        let set = record.set.as_ref().map(|set| &set.addresses);
        let unanswered = record.sent.as_ref().and_then(|sent| sent.addresses.as_ref());
        let before = set.into_iter().chain(unanswered).filter(|before| Some(*before) != new);
        let before: Vec<_> = before.flat_map(Addresses::iter).collect();
        let mut earlier = std::mem::take(&mut record.earlier).into_vec();
        earlier.retain(|address| !before.contains(address));
        earlier.extend(before);
        let surplus = earlier.len().saturating_sub(MOST);
        record.earlier = earlier.split_off(surplus).into();
    }
}

/// Remembers which families should be seen and are not; returns the families for which this is new.
pub fn note_missing(
    entry: &mut Entry,
    stands: &PerFamily<Stand>,
    now: Timestamp,
) -> PerFamily<bool> {
    stands.map(|family, stand| {
        let since = &mut entry.families[family].missing_since;
        match stand {
            Stand::Missing(_) => since.replace(since.unwrap_or(now)).is_none(),
            // Until the removal is confirmed, an address is still missing.
            Stand::Wanted(Why::Gone) => false,
            Stand::Absent(_) | Stand::Off | Stand::Right | Stand::Wanted(_) => {
                *since = None;
                false
            }
            Stand::Held(_) | Stand::NotAsked => false,
        }
    })
}

/// Remembers since when the set addresses are not seen, and that they are back.
///
/// A short absence is forgotten at the return; a long one is remembered until the record has been sent
/// once more.
pub fn note_away(entry: &mut Entry, seen: &PerFamily<Seen>, now: Timestamp) {
    let mut is_back = false;
    for family in Family::BOTH {
        let record = &mut entry.families[family];
        let Some(set) = &record.set else {
            record.away_since = None;
            continue;
        };
        match &seen[family] {
            Seen::NotAsked => {}
            Seen::Here(addresses) if *addresses == set.addresses => {
                is_back |= record.away_since.is_some();
                if record.return_due(now).is_none() {
                    record.away_since = None;
                }
            }
            Seen::Absent(_) | Seen::Here(_) | Seen::Unknown(_) => {
                record.away_since.get_or_insert(now);
            }
        }
    }
    if let Some(verified) = entry.verified.as_mut().filter(|_| is_back) {
        verified.returned = true;
    }
}

/// Remembers `problem`, the fingerprint of what is wrong with the host's secret; returns whether the
/// last round did not have it. A problem that is over is forgotten, so that it is news again.
pub fn note_left_out(entry: &mut Entry, problem: Option<Fingerprint>) -> bool {
    let last = std::mem::replace(&mut entry.left_out, problem);
    problem.is_some() && problem != last
}

/// Remembers since when families are gone, where their records are to be removed for that.
///
/// One look that finds a family, or cannot tell, ends this time: a record is removed only if every look
/// found its family gone. A record that waits keeps its moment and gets no new one.
pub fn note_gone(
    host: &Host,
    entry: &mut Entry,
    stands: &PerFamily<Stand>,
    seen: &PerFamily<Seen>,
    now: Timestamp,
) {
    for family in Family::BOTH {
        let since = &mut entry.families[family].gone_since;
        *since = match (host.when_gone, &seen[family], &stands[family]) {
            (WhenGone::Remove { .. }, Seen::Absent(_), stand) => match stand {
                Stand::Missing(_) | Stand::Wanted(_) => Some(since.unwrap_or(now)),
                Stand::Held(_) => *since,
                Stand::Absent(_) | Stand::NotAsked | Stand::Off | Stand::Right => None,
            },
            _ => None,
        };
    }
}

/// How long a name server may refuse a key that it accepted before, until that counts as a refusal of
/// the key's rights.
const REFUSES: Duration = Duration::from_secs(24 * 60 * 60);

/// The meaning of `outcome` in view of what is remembered of the `asked` hosts: a name server's refusal
/// ([`Fault::Refused`]) remains a fault for a day if all these records were written before; otherwise
/// it means that the key may not write them.
pub fn in_view_of(
    outcome: Outcome,
    asked: &[(&Entry, &PerFamily<Wish>)],
    now: Timestamp,
) -> Outcome {
    let Outcome::Deferred(Deferral { fault: Fault::Refused, detail, .. }) = outcome else {
        return outcome;
    };
    let was_written = |(entry, wishes): &(&Entry, &PerFamily<Wish>)| {
        Family::BOTH.into_iter().filter(|&family| wishes[family] != Wish::Leave).all(|family| {
            let record = &entry.families[family];
            record.set.is_some() || record.removed.is_some()
        })
    };
    let is_over = |(entry, _): &(&Entry, &PerFamily<Wish>)| {
        entry.hold.as_deref().is_some_and(|hold| {
            hold.kind == HoldKind::Backoff(Fault::Refused) && now.since(hold.since) >= REFUSES
        })
    };
    if asked.iter().all(was_written) && !asked.iter().any(is_over) {
        Outcome::deferred(Fault::Refused, detail)
    } else {
        Outcome::rejected(Rejection::Forbidden, detail)
    }
}

/// Remembers what `outcome` means for a host that was asked to hold `wishes`.
pub fn settle(
    host: &Host,
    entry: &mut Entry,
    wishes: &PerFamily<Wish>,
    outcome: &Outcome,
    situation: &Situation,
) -> News {
    let now = situation.now;
    entry.under_way = 0;
    // The host has had its turn, unless the provider did not count the request.
    if outcome.counts_as_a_turn() {
        entry.queued_since = None;
    }
    match outcome {
        Outcome::Updated => confirm(host, entry, wishes, Word::Updated, now),
        Outcome::Unchanged => confirm(host, entry, wishes, Word::Unchanged, now),
        Outcome::Deferred(deferral) => {
            if !deferral.fault.leaves_doubt() {
                not_sent(entry, wishes);
            }
            entry.half_done |= deferral.fault == Fault::Server;
            defer(entry, deferral, situation)
        }
        Outcome::Rejected(refusal) => {
            not_sent(entry, wishes);
            reject(host, entry, wishes, refusal, situation)
        }
    }
}

/// Remembers a pause until `until` that the provider asked for at `now`; it is for the whole zone.
pub fn settle_zone(memory: &mut Memory, zone: &ZoneKey, until: Timestamp, now: Timestamp) {
    let history = memory.paces.entry(zone.clone()).or_default();
    if history.pause_until < Some(until) {
        (history.pause_until, history.pause_since) = (Some(until), Some(now));
    }
}

/// Ends the wait of a host after its provider has accepted the same credential for another host, if
/// that shows that the cause is over; returns whether it does.
pub fn fixed_for_a_neighbour(entry: &mut Entry, now: Timestamp) -> bool {
    let ends = |hold: &&mut Hold| match hold.kind {
        HoldKind::Backoff(Fault::Server | Fault::Lost | Fault::Unreachable) => true,
        HoldKind::Backoff(_) | HoldKind::Rejected(_) | HoldKind::Throttled => false,
    };
    let hold = entry.hold.as_deref_mut().filter(ends);
    hold.is_some_and(|hold| hold.until.replace(now).is_none_or(|until| now < until))
}

/// When to update a host that is back after a long absence; `None` for any other host, which does not
/// wait. A host is back when a missing or removed address is seen again, or when `network_changed` ends
/// a wait for a fault of the network. `spread` is a random number in `0.0..=1.0`.
///
/// Must be called before what is seen is noted.
pub fn turn(
    entry: &mut Entry,
    stands: &PerFamily<Stand>,
    network_changed: bool,
    now: Timestamp,
    spread: f64,
) -> Option<Timestamp> {
    let long_ago = |since: Timestamp| now.since(since) > SHORT_ABSENCE;
    let is_seen_again = entry.families.iter().any(|(family, record)| {
        let gone = [record.missing_since, record.removed];
        matches!(stands[family], Stand::Wanted(why) if why != Why::Gone)
            && gone.into_iter().flatten().any(long_ago)
    });
    let cut_off = entry.hold.as_mut().filter(|hold| match hold.kind {
        HoldKind::Backoff(fault) => {
            network_changed && fault.is_the_networks() && long_ago(hold.since)
        }
        HoldKind::Rejected(_) | HoldKind::Throttled => false,
    });
    let turn = now.after(after_absence(spread));
    match cut_off {
        // In the round of its turn, the change of the network is no longer known.
        Some(hold) => hold.until = Some(hold.until.map_or(turn, |until| until.min(turn))),
        None if !is_seen_again => return None,
        None => {}
    }
    Some(turn)
}

/// Takes a request back from the pace if, by its `outcomes`, the provider did not count it; returns
/// whether this machine's own requests explain a refusal for too many requests.
pub fn settle_pace(
    memory: &mut Memory,
    request: &Request,
    pace: Option<Pace>,
    outcomes: &[Outcome],
    now: Timestamp,
) -> bool {
    if outcomes.iter().all(|outcome| !outcome.counts_as_a_turn()) {
        request.uncount(memory);
    }
    let histories = request.counts.iter().filter_map(|key| memory.paces.get(key));
    histories.into_iter().any(|history| history.explains_a_refusal(pace, now))
}

/// The longest pause that one answer of a provider can cause (a broken server may ask for a year).
pub const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait after a rejection that may be fixed at the provider.
const RECHECK: Duration = Duration::from_secs(24 * 60 * 60);

fn confirm(
    host: &Host,
    entry: &mut Entry,
    wishes: &PerFamily<Wish>,
    word: Word,
    now: Timestamp,
) -> News {
    let mut changed = false;
    for family in Family::BOTH {
        let record = &mut entry.families[family];
        let addresses = match &wishes[family] {
            Wish::Leave => {
                // The provider has deleted or overwritten the record that the request left out.
                if let Some(set) = record.set.as_ref().filter(|_| host.loses[family]) {
                    let addresses = Some(set.addresses.clone());
                    record.sent = Some(Box::new(Sent { addresses, at: now, in_doubt: true }));
                }
                continue;
            }
            Wish::Remove => {
                changed = true;
                let earlier = std::mem::take(&mut record.earlier);
                *record = Record { removed: Some(now), earlier, ..Record::default() };
                continue;
            }
            Wish::Set(addresses) => addresses,
        };
        let same = record.set.as_ref().filter(|set| set.addresses == *addresses);
        changed |= same.is_none();
        let since = same.map_or(now, |set| set.since);
        let is_back = same.is_some() && record.return_due(now).is_some();
        let returned = if is_back { Some(now) } else { record.returned };
        let set = Set { addresses: addresses.clone(), since, confirmed: now };
        let earlier = std::mem::take(&mut record.earlier);
        *record = Record { set: Some(set), returned, earlier, ..Record::default() };
    }
    changed |= entry.hold.take().is_some();
    // A repeat only confirms; an update that is confirmed at the first attempt is done.
    entry.half_done &= entry.failures > 0;
    entry.failures = 0;
    entry.last = Some((word, now));
    if entry.verified.as_mut().is_some_and(|verified| verified.again.take().is_some()) {
        // What is to be sent again is still to be sent of a family that the request left out.
        for (family, wish) in wishes.iter().filter(|(family, _)| host.families[*family] != Use::Off)
        {
            let record = &mut entry.families[family];
            if let (Wish::Leave, Some(set), None) = (wish, &record.set, &record.sent) {
                let addresses = Some(set.addresses.clone());
                record.sent = Some(Box::new(Sent { addresses, at: now, in_doubt: true }));
            }
        }
    }
    let settled = |family: Family| {
        let record = &entry.families[family];
        let has_answer = record.set.is_some() || record.removed.is_some();
        host.families[family] == Use::Off || (record.hold.is_none() && has_answer)
    };
    entry.asking = match entry.asking {
        // It stays until both families have an answer, and while one is refused alone.
        Asking::OneFamily if !Family::BOTH.into_iter().all(settled) => Asking::OneFamily,
        Asking::OneFamily | Asking::Together => Asking::Together,
        // The host is right alone, so that it may share requests again.
        Asking::Alone => Asking::Together,
    };
    if changed { News::Changed } else { News::Confirmed }
}

fn defer(entry: &mut Entry, deferral: &Deferral, situation: &Situation) -> News {
    // Failures count apart for a pause that the provider asks for and for a fault.
    let paused = |kind: HoldKind| kind == HoldKind::Throttled;
    let goes_on = |hold: &Hold| paused(hold.kind) == deferral.retry_after.is_some();
    let failures = if entry.hold.as_deref().is_none_or(goes_on) { entry.failures } else { 0 };
    entry.failures = failures.saturating_add(1);
    entry.last = Some((Word::Deferred, situation.now));
    let backoff = match deferral.fault {
        Fault::Busy => Backoff::BRIEF,
        Fault::Clock => Backoff::CLOCK,
        Fault::Lost
        | Fault::NotShown
        | Fault::Refused
        | Fault::Storage
        | Fault::Server
        | Fault::Skew
        | Fault::Throttled
        | Fault::Tls
        | Fault::Unintelligible
        | Fault::Unreachable
        | Fault::Unread => Backoff::ORDINARY,
    };
    let lasts = |hold: &&Hold| matches!(hold.kind, HoldKind::Backoff(_));
    let lasting = entry.hold.as_deref().filter(lasts).map(|hold| hold.since);
    let lasted = situation.now.since(lasting.unwrap_or(situation.now));
    let delay = |failures| backoff.delay(failures, lasted, situation.spread);
    let (kind, wait) = match deferral.retry_after {
        Some(wait) => {
            let more = match (deferral.fault, entry.failures) {
                (Fault::Throttled, _) if situation.own_doing => Duration::ZERO,
                (Fault::Throttled, failures) => beyond_the_pause(failures, situation.spread),
                // A server that fails again is not asked every second, even if it asks for that.
                (_, failures @ 2..) => delay(failures - 1).saturating_sub(wait),
                _ => Duration::ZERO,
            };
            (HoldKind::Throttled, wait.saturating_add(more).min(LONGEST_PAUSE))
        }
        None => (HoldKind::Backoff(deferral.fault), delay(entry.failures)),
    };
    let hold = hold(kind, &deferral.detail, Some(wait), situation);
    place(&mut entry.hold, hold)
}

fn reject(
    host: &Host,
    entry: &mut Entry,
    wishes: &PerFamily<Wish>,
    refusal: &Refusal,
    situation: &Situation,
) -> News {
    let rejection = refusal.rejection;
    if rejection.may_have_one_culprit() && situation.shared {
        entry.last = Some((Word::Deferred, situation.now));
        entry.asking = Asking::Alone;
        return News::Narrowed(Box::new(refusal.clone()));
    }
    let stated = to_blame(host, wishes);
    // "No such host" and "blocked for abuse" speak of the name, whatever the family.
    let of_name = matches!(rejection, Rejection::Abuse | Rejection::Host);
    let by_family = rejection.may_have_one_culprit() && !of_name;
    if by_family && stated.len() > 1 {
        entry.last = Some((Word::Deferred, situation.now));
        entry.asking = Asking::OneFamily;
        return News::Narrowed(Box::new(refusal.clone()));
    }
    // Where no provider was asked, the last outcome stays.
    if !rejection.is_our_own() {
        entry.last = Some((Word::Rejected, situation.now));
    }
    let recheck = rejection.may_be_fixed_there().then_some(RECHECK);
    let hold = hold(HoldKind::Rejected(rejection), &refusal.detail, recheck, situation);
    match stated[..] {
        [family] if by_family && host.families[family.other()] != Use::Off => {
            place(&mut entry.families[family].hold, hold)
        }
        _ => place(&mut entry.hold, hold),
    }
}

/// The families that may be the reason for a refusal of `wishes`.
///
/// A family that is removed by leaving it out cannot be asked about alone; the other family, which is
/// right, is stated only because of it.
fn to_blame(host: &Host, wishes: &PerFamily<Wish>) -> Vec<Family> {
    let removed = Family::BOTH.into_iter().find(|&family| wishes[family] == Wish::Remove);
    match (host.when_gone, removed) {
        (WhenGone::Remove { by: Removal::LeftOut, .. }, Some(family)) => vec![family],
        _ => Family::BOTH.into_iter().filter(|&family| wishes[family] != Wish::Leave).collect(),
    }
}

/// `detail`, cut to what a person reads.
fn bounded(detail: &str) -> String {
    const LONGEST: usize = 600;
    match detail.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &detail[..end]),
        None => detail.to_owned(),
    }
}

/// A hold that begins now.
fn hold(kind: HoldKind, detail: &str, wait: Option<Duration>, situation: &Situation) -> Hold {
    Hold {
        kind,
        detail: bounded(detail),
        since: situation.now,
        begun: situation.now,
        until: wait.map(|wait| situation.now.after(wait)),
        fingerprint: situation.fingerprint,
    }
}

/// Puts `hold` into `slot`; after a hold of the same kind, or a fault after a fault, `since` stays.
fn place(slot: &mut Option<Box<Hold>>, mut hold: Hold) -> News {
    let is_fault = |kind| matches!(kind, HoldKind::Backoff(_));
    let before = slot.take();
    if let Some(before) = &before
        && (before.kind == hold.kind || is_fault(before.kind) && is_fault(hold.kind))
    {
        hold.since = before.since;
    }
    let is_the_same = before.is_some_and(|before| before.kind == hold.kind);
    let hold = Box::new(hold);
    *slot = Some(hold.clone());
    if is_the_same { News::StillHeld(hold) } else { News::Held(hold) }
}

/// Takes back the note that `wishes` were sent: the provider did not accept them.
///
/// A doubt about an earlier request stays.
pub fn not_sent(entry: &mut Entry, wishes: &PerFamily<Wish>) {
    entry.under_way = 0;
    for family in Family::BOTH {
        if wishes[family] != Wish::Leave {
            let sent = &mut entry.families[family].sent;
            *sent = sent.take().filter(|sent| sent.in_doubt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Addresses;
    use super::super::verify::{Drift, VerifyVerdict, note_look};
    use super::*;

    const PRINT: Fingerprint = Fingerprint(7);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    fn host() -> Host {
        Host::plain("a.example", "p")
    }

    fn wish(text: &str) -> Wish {
        Wish::Set(Addresses::from(text.parse::<std::net::IpAddr>().unwrap()))
    }

    fn both() -> PerFamily<Wish> {
        PerFamily { v4: wish("198.18.0.1"), v6: wish("2a00::1") }
    }

    fn v6_only() -> PerFamily<Wish> {
        PerFamily { v4: Wish::Leave, v6: wish("2a00::1") }
    }

    fn v4_only() -> PerFamily<Wish> {
        PerFamily { v4: wish("198.18.0.1"), v6: Wish::Leave }
    }

    fn situation(seconds: u64, shared: bool) -> Situation {
        Situation { now: at(seconds), spread: 0.0, shared, fingerprint: PRINT, own_doing: false }
    }

    fn forbidden() -> Outcome {
        Outcome::rejected(Rejection::Forbidden, "403")
    }

    /// Sends `wishes` and settles `outcome`, the way a round does.
    fn round(entry: &mut Entry, wishes: &PerFamily<Wish>, outcome: &Outcome, seconds: u64) -> News {
        sending(entry, wishes, at(seconds));
        settle(&host(), entry, wishes, outcome, &situation(seconds, false))
    }

    #[test]
    fn a_confirmed_address_remembers_since_when_it_is_set() {
        let mut entry = Entry::default();
        assert_eq!(round(&mut entry, &both(), &Outcome::Updated, 0), News::Changed);
        assert_eq!(round(&mut entry, &both(), &Outcome::Unchanged, 50), News::Confirmed);
        let set = entry.families.v4.set.unwrap();
        assert_eq!((set.since, set.confirmed), (at(0), at(50)));
    }

    #[test]
    fn a_key_that_wrote_the_record_before_may_be_refused_for_a_day() {
        const DAY: u64 = 24 * 60 * 60;
        let refused = || Outcome::deferred(Fault::Refused, "REFUSED");
        let forbidden = Outcome::rejected(Rejection::Forbidden, "REFUSED");
        let in_view = |entries: &[&Entry], wishes: &PerFamily<Wish>, seconds| {
            let asked: Vec<_> = entries.iter().map(|&entry| (entry, wishes)).collect();
            in_view_of(refused(), &asked, at(seconds))
        };
        let mut entry = Entry::default();
        assert_eq!(in_view(&[&entry], &v4_only(), 0), forbidden, "it never did");
        round(&mut entry, &v4_only(), &Outcome::Updated, 0);
        assert_eq!(in_view(&[&entry], &both(), 9), forbidden, "not of both families");
        assert_eq!(in_view(&[&entry, &Entry::default()], &v4_only(), 9), forbidden, "not of all");
        for (seconds, expect) in
            [(10, refused()), (40, refused()), (DAY + 9, refused()), (DAY + 10, forbidden.clone())]
        {
            let outcome = in_view(&[&entry], &v4_only(), seconds);
            assert_eq!(outcome, expect, "{seconds}");
            round(&mut entry, &v4_only(), &outcome, seconds);
        }
        // Another fault, or a success, begins the day anew.
        round(&mut entry, &v4_only(), &Outcome::Updated, DAY + 20);
        assert_eq!(in_view(&[&entry], &v4_only(), 2 * DAY), refused());
        assert_eq!(in_view_of(Outcome::Updated, &[], at(0)), Outcome::Updated);
    }

    #[test]
    fn a_missing_family_is_news_once() {
        let mut entry = Entry::default();
        let missing = PerFamily { v4: Stand::Missing("gone".into()), v6: Stand::Off };
        assert!(note_missing(&mut entry, &missing, at(0)).v4);
        assert!(!note_missing(&mut entry, &missing, at(9)).v4);
        assert_eq!(entry.families.v4.missing_since, Some(at(0)));
        note_missing(&mut entry, &PerFamily { v4: Stand::Right, v6: Stand::Off }, at(20));
        assert!(note_missing(&mut entry, &missing, at(30)).v4);
    }

    #[test]
    fn a_fault_of_the_providers_is_remembered_until_a_first_attempt_succeeds() {
        let mut entry = Entry::default();
        round(&mut entry, &both(), &Outcome::deferred(Fault::Lost, ""), 0);
        round(&mut entry, &both(), &Outcome::Updated, 40);
        assert!(!entry.half_done, "no answer is no fault of its own");
        round(&mut entry, &both(), &Outcome::deferred(Fault::Server, "500"), 50);
        round(&mut entry, &both(), &Outcome::Updated, 90);
        assert!(entry.half_done, "the repeat may have changed nothing");
        round(&mut entry, &both(), &Outcome::Updated, 99);
        assert!(!entry.half_done);
    }

    #[test]
    fn an_absence_is_remembered_until_it_is_short_or_confirmed() {
        let mut entry = Entry::default();
        round(&mut entry, &v4_only(), &Outcome::Updated, 0);
        let seen = |v4| PerFamily { v4, v6: Seen::NotAsked };
        let here = |text: &str| Seen::Here(text.parse::<std::net::IpAddr>().unwrap().into());
        let away_since = |entry: &Entry| entry.families.v4.away_since;
        let own = "198.18.0.1";
        for (v4, seconds, expect) in [
            (here(own), 1, None),
            (Seen::Unknown("".into()), 10, Some(10)),
            (Seen::NotAsked, 20, Some(10)),
            (here(own), 610, None),
            (Seen::Absent("".into()), 700, Some(700)),
            (here("198.18.0.9"), 800, Some(700)),
            (here(own), 1301, Some(700)),
            (Seen::Absent("".into()), 1400, Some(700)),
            (here(own), 1500, Some(700)),
        ] {
            note_away(&mut entry, &seen(v4), at(seconds));
            assert_eq!(away_since(&entry), expect.map(at), "{seconds}");
        }
        round(&mut entry, &v4_only(), &Outcome::Unchanged, 1600);
        assert_eq!((away_since(&entry), entry.families.v4.returned), (None, Some(at(1600))));
        // Whatever else confirms it is no return.
        round(&mut entry, &v4_only(), &Outcome::Unchanged, 1700);
        assert_eq!(entry.families.v4.returned, Some(at(1600)));
    }

    #[test]
    fn unchanged_is_success_and_remembered() {
        let mut entry = Entry::default();
        round(&mut entry, &v4_only(), &Outcome::Unchanged, 0);
        assert!(entry.families.v4.set.is_some() && entry.families.v6.set.is_none());
    }

    #[test]
    fn waits_grow_and_success_forgets_them() {
        let mut entry = Entry::default();
        let lost = Outcome::deferred(Fault::Lost, "timed out");
        round(&mut entry, &both(), &lost, 0);
        assert_eq!(entry.hold.as_ref().unwrap().until, Some(at(30)));
        let news = round(&mut entry, &both(), &lost, 30);
        assert!(matches!(news, News::StillHeld(hold) if hold.since == at(0)));
        assert_eq!(entry.hold.as_ref().unwrap().until, Some(at(90)));
        round(&mut entry, &both(), &Outcome::Updated, 90);
        assert_eq!((entry.hold, entry.failures), (None, 0));
    }

    #[test]
    fn a_lost_answer_leaves_a_doubt_that_a_later_failure_to_connect_does_not_dispel() {
        let mut entry = Entry::default();
        round(&mut entry, &both(), &Outcome::Updated, 0);
        let moved = PerFamily { v4: wish("198.18.0.2"), v6: wish("2a00::1") };
        round(&mut entry, &moved, &Outcome::deferred(Fault::Lost, ""), 1);
        assert!(entry.families.v4.sent.is_some());
        round(&mut entry, &moved, &Outcome::deferred(Fault::Unreachable, ""), 40);
        assert!(entry.families.v4.sent.is_some());
        round(&mut entry, &moved, &Outcome::Updated, 99);
        assert!(entry.families.v4.sent.is_none());
    }

    #[test]
    fn a_failure_to_connect_alone_leaves_no_doubt() {
        let mut entry = Entry::default();
        round(&mut entry, &both(), &Outcome::deferred(Fault::Unreachable, ""), 0);
        assert!(entry.families.v4.sent.is_none());
    }

    #[test]
    fn a_wish_of_the_providers_is_kept_to_the_second_but_not_beyond_a_day() {
        let mut entry = Entry::default();
        let wait =
            |seconds| Outcome::deferred_for(Fault::Throttled, "", Duration::from_secs(seconds));
        round(&mut entry, &both(), &wait(118), 0);
        let hold = entry.hold.clone().unwrap();
        assert_eq!((hold.kind, hold.until), (HoldKind::Throttled, Some(at(118))));
        round(&mut entry, &both(), &wait(10_000_000), 200);
        assert_eq!(entry.hold.unwrap().until, Some(at(200 + 86_400)));
    }

    fn throttled(seconds: u64) -> Outcome {
        Outcome::deferred_for(Fault::Throttled, "", Duration::from_secs(seconds))
    }

    /// How long the host waits after `outcome`, in seconds, with all of chance against it.
    fn wait(entry: &mut Entry, outcome: &Outcome, seconds: u64, own_doing: bool) -> u64 {
        let situation = Situation { spread: 1.0, own_doing, ..situation(seconds, false) };
        settle(&host(), entry, &both(), outcome, &situation);
        let until = entry.hold.as_ref().unwrap().until.unwrap();
        until.since(at(seconds)).as_secs()
    }

    #[test]
    fn those_who_share_a_limit_do_not_come_back_together() {
        let mut entry = Entry::default();
        for (turn, minutes) in [4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            let waited = wait(&mut entry, &throttled(60), turn as u64 * 9000, false);
            assert_eq!(waited, 60 + minutes * 60, "{turn}");
        }
        assert_eq!(wait(&mut entry, &throttled(60), 90_000, true), 60, "our own doing");
        let asked = Outcome::deferred_for(Fault::Server, "", Duration::from_secs(1));
        let mut entry = Entry::default();
        let waits = [0, 1, 2].map(|n| wait(&mut entry, &asked, n * 100, false));
        assert_eq!(waits, [1, 15, 30], "no limit of a pace, but no reason to ask each second");
    }

    #[test]
    fn faults_and_refusals_for_speed_are_counted_apart() {
        let (lost, mut entry) = (Outcome::deferred(Fault::Lost, ""), Entry::default());
        (0..6).for_each(|n| assert!(wait(&mut entry, &lost, n * 1000, false) <= 450));
        assert_eq!(wait(&mut entry, &throttled(60), 7000, false), 60 + 240);
        assert_eq!(wait(&mut entry, &lost, 8000, false), 15);
    }

    #[test]
    fn a_fault_that_lasts_for_a_day_is_tried_once_an_hour_whatever_its_words() {
        let mut entry = Entry::default();
        for (n, fault) in
            [Fault::Lost, Fault::Server, Fault::Unreachable].iter().cycle().enumerate()
        {
            let seconds = n as u64 * 900;
            let news = round(&mut entry, &both(), &Outcome::deferred(*fault, ""), seconds);
            assert!(matches!(news, News::Held(_)), "another fault is news");
            let hold = entry.hold.clone().unwrap();
            assert_eq!(hold.since, at(0));
            let waited = hold.until.unwrap().since(at(seconds)).as_secs();
            assert_eq!(waited > 900, seconds >= 86_400, "{seconds}: {waited}");
            if seconds > 90_000 {
                break;
            }
        }
    }

    #[test]
    fn what_did_not_count_keeps_its_place_in_the_queue() {
        for (outcome, keeps) in [
            (throttled(60), true),
            (Outcome::deferred(Fault::Unreachable, ""), true),
            (Outcome::deferred(Fault::Clock, ""), true),
            (Outcome::deferred(Fault::Lost, ""), false),
            (Outcome::Updated, false),
            (forbidden(), false),
        ] {
            let mut entry = Entry { queued_since: Some(at(0)), ..Entry::default() };
            round(&mut entry, &both(), &outcome, 9);
            assert_eq!(entry.queued_since.is_some(), keeps, "{outcome:?}");
            let zone = ZoneKey { provider: "p".into(), zone: None };
            let mut memory = Memory::default();
            let pace = "2/2m".parse::<Pace>().unwrap();
            let (hosts, updates, conditions) = (vec![0], Vec::new(), Vec::new());
            let (counts, at, is_anew) = (vec![zone.clone()], at(0), false);
            let request = Request {
                hosts,
                updates,
                ttl: None,
                conditions,
                details: Vec::new(),
                zone: zone.clone(),
                counts,
                at,
                is_anew,
            };
            request.count(&mut memory, Some(pace));
            assert!(!settle_pace(&mut memory, &request, Some(pace), &[outcome], at));
            assert_eq!(memory.paces[&zone].sent.is_empty(), keeps);
        }
    }

    #[test]
    fn a_neighbours_success_ends_waits_for_faults_that_are_over_and_no_others() {
        for (outcome, ends) in [
            (Outcome::deferred(Fault::Server, ""), true),
            (Outcome::deferred(Fault::Lost, ""), true),
            (Outcome::deferred(Fault::Unreachable, ""), true),
            (Outcome::deferred(Fault::Unintelligible, ""), false),
            (throttled(60), false),
            (Outcome::rejected(Rejection::Host, "nohost"), false),
        ] {
            let mut entry = Entry::default();
            round(&mut entry, &both(), &outcome, 0);
            assert_eq!(fixed_for_a_neighbour(&mut entry, at(9)), ends, "{outcome:?}");
            let until = entry.hold.as_ref().unwrap().until.unwrap();
            assert_eq!(until <= at(9), ends, "{outcome:?}");
        }
    }

    #[test]
    fn who_was_away_for_long_draws_a_turn() {
        let wanted = PerFamily { v4: Stand::Wanted(Why::Changed), v6: Stand::Right };
        let missing = |seconds| {
            let mut entry = Entry::default();
            entry.families.v4.missing_since = Some(at(seconds));
            entry
        };
        let now = at(10_000);
        let turn = |mut entry: Entry, stands: &PerFamily<Stand>, network_changed| {
            turn(&mut entry, stands, network_changed, now, 0.5)
        };
        let drawn = Some(now.after(Duration::from_secs(30)));
        assert_eq!(turn(missing(9_399), &wanted, false), drawn);
        assert_eq!(turn(missing(9_400), &wanted, false), None, "ten minutes");
        assert_eq!(turn(Entry::default(), &wanted, true), None, "never away");
        let right = PerFamily { v4: Stand::Right, v6: Stand::Right };
        assert_eq!(turn(missing(0), &right, true), None);
        // A line that was down all the time, while the address was not.
        let mut entry = Entry::default();
        round(&mut entry, &both(), &Outcome::deferred(Fault::Unreachable, ""), 0);
        entry.hold.as_mut().unwrap().until = Some(at(20_000));
        assert_eq!(turn(entry.clone(), &wanted, false), None);
        assert_eq!(super::turn(&mut entry, &wanted, true, now, 0.5), drawn);
        assert_eq!(entry.hold.unwrap().until, drawn);
    }

    #[test]
    fn a_pause_is_the_whole_zones() {
        let mut memory = Memory::default();
        let zone = ZoneKey { provider: "p".into(), zone: None };
        settle_zone(&mut memory, &zone, at(60), at(0));
        settle_zone(&mut memory, &zone, at(30), at(0));
        assert_eq!(memory.paces[&zone].pause_until, Some(at(60)));
    }

    #[test]
    fn a_bad_credential_parks_for_good_and_an_unknown_host_for_a_day() {
        let mut entry = Entry::default();
        let bad = Outcome::rejected(Rejection::Credential, "badauth");
        round(&mut entry, &both(), &bad, 0);
        assert_eq!(entry.hold.as_ref().unwrap().until, None);
        let mut entry = Entry::default();
        round(&mut entry, &both(), &Outcome::rejected(Rejection::Host, "nohost"), 0);
        assert_eq!(entry.hold.as_ref().unwrap().until, Some(at(86_400)));
    }

    #[test]
    fn a_refusal_shared_by_several_hosts_parks_nobody_yet() {
        let mut entry = Entry::default();
        let news = settle(&host(), &mut entry, &both(), &forbidden(), &situation(0, true));
        assert!(matches!(news, News::Narrowed(_)));
        assert_eq!((entry.asking, entry.hold), (Asking::Alone, None));
    }

    #[test]
    fn a_refusal_of_both_families_is_settled_one_by_one_and_parks_only_the_guilty() {
        let mut entry = Entry::default();
        round(&mut entry, &both(), &forbidden(), 0);
        assert_eq!(entry.asking, Asking::OneFamily);
        round(&mut entry, &v4_only(), &Outcome::Updated, 1);
        assert_eq!(entry.asking, Asking::OneFamily);
        round(&mut entry, &v6_only(), &forbidden(), 2);
        assert_eq!(entry.hold, None);
        assert!(entry.families.v6.hold.is_some() && entry.families.v4.hold.is_none());
    }

    #[test]
    fn a_record_that_a_request_loses_is_in_doubt_afterwards() {
        let mut host = host();
        host.loses.v6 = true;
        let mut entry = Entry::default();
        round(&mut entry, &both(), &Outcome::Updated, 0);
        settle(&host, &mut entry, &v4_only(), &Outcome::Updated, &situation(9, false));
        assert!(entry.families.v6.sent.is_some() && entry.families.v4.sent.is_none());
    }

    #[test]
    fn a_family_that_a_repeat_leaves_out_is_still_to_be_repeated() {
        let mut entry = Entry::default();
        round(&mut entry, &both(), &Outcome::Updated, 0);
        let words = "ns1 answers IPv4 198.18.0.9".to_owned();
        let verdict = VerifyVerdict::Differs { is_behind: false, everywhere: true, words };
        let drift = note_look(&mut entry, verdict, true, at(5));
        assert!(matches!(drift, Some(Drift::PutRight(_))));
        round(&mut entry, &v4_only(), &Outcome::deferred(Fault::Unread, "500"), 6);
        round(&mut entry, &v6_only(), &Outcome::Unchanged, 7);
        assert_eq!(entry.verified.as_ref().unwrap().again, None);
        assert!(entry.families.v4.sent.is_some() && entry.families.v6.sent.is_none());
        round(&mut entry, &v4_only(), &Outcome::Updated, 8);
        assert!(Family::BOTH.into_iter().all(|family| entry.families[family].sent.is_none()));
    }

    fn removing(by: Removal) -> Host {
        let after = Duration::from_secs(3600);
        let mut host = host();
        host.when_gone = WhenGone::Remove { after, by };
        host
    }

    fn v6_removed() -> PerFamily<Wish> {
        PerFamily { v4: wish("198.18.0.1"), v6: Wish::Remove }
    }

    #[test]
    fn a_confirmed_removal_is_remembered_and_an_address_after_it() {
        let mut entry = Entry::default();
        round(&mut entry, &both(), &Outcome::Updated, 0);
        entry.families.v6.gone_since = Some(at(1));
        assert_eq!(round(&mut entry, &v6_removed(), &Outcome::Updated, 9), News::Changed);
        let removed = Record { removed: Some(at(9)), ..Record::default() };
        assert_eq!(entry.families.v6, removed);
        round(&mut entry, &both(), &Outcome::Updated, 20);
        assert!(entry.families.v6.set.is_some() && entry.families.v6.removed.is_none());
    }

    #[test]
    fn a_removal_without_an_answer_leaves_a_doubt_and_a_refused_one_does_not() {
        let mut entry = Entry::default();
        round(&mut entry, &both(), &Outcome::Updated, 0);
        round(&mut entry, &v6_removed(), &Outcome::deferred(Fault::Lost, ""), 9);
        let record = &entry.families.v6;
        let sent = record.sent.as_deref();
        assert!(matches!(sent, Some(Sent { addresses: None, in_doubt: false, .. })));
        assert!(record.set.is_some() && record.removed.is_none());
        let mut entry = Entry::default();
        round(&mut entry, &both(), &Outcome::Updated, 0);
        round(&mut entry, &v6_removed(), &Outcome::deferred(Fault::Unreachable, ""), 9);
        assert!(entry.families.v6.sent.is_none() && entry.families.v6.set.is_some());
    }

    #[test]
    fn a_refused_removal_parks_its_own_record_only() {
        let settled = |by, wishes: &PerFamily<Wish>| {
            let mut entry = Entry::default();
            round(&mut entry, &both(), &Outcome::Updated, 0);
            settle(&removing(by), &mut entry, wishes, &forbidden(), &situation(9, false));
            entry
        };
        // Said, it is asked about alone first.
        let entry = settled(Removal::Said, &v6_removed());
        assert_eq!((entry.asking, entry.families.v6.hold), (Asking::OneFamily, None));
        let alone = PerFamily { v4: Wish::Leave, v6: Wish::Remove };
        for entry in [settled(Removal::Said, &alone), settled(Removal::LeftOut, &v6_removed())] {
            assert_eq!((entry.hold, entry.families.v4.hold), (None, None));
            assert!(entry.families.v6.hold.is_some());
        }
    }

    #[test]
    fn a_family_counts_as_gone_from_the_first_look_of_an_unbroken_row() {
        let host = removing(Removal::Said);
        let mut entry = Entry::default();
        let mut look = |v6: Seen, stand: Stand, seconds: u64| {
            let seen = PerFamily { v4: Seen::NotAsked, v6 };
            let stands = PerFamily { v4: Stand::Off, v6: stand };
            note_gone(&host, &mut entry, &stands, &seen, at(seconds));
            entry.families.v6.gone_since
        };
        let absent = || Seen::Absent("".into());
        let here = || Seen::Here(Addresses::from("2a00::1".parse::<std::net::IpAddr>().unwrap()));
        let unknown = || Seen::Unknown("".into());
        let missing = || Stand::Missing("".into());
        let parked = || {
            let kind = HoldKind::Rejected(Rejection::Forbidden);
            Stand::Held(Box::new(hold(kind, "", None, &situation(0, false))))
        };
        for (seen, stand, seconds, expect) in [
            (absent(), missing(), 1, Some(1)),
            (absent(), missing(), 2, Some(1)),
            (absent(), Stand::Wanted(Why::Gone), 3, Some(1)),
            (absent(), parked(), 4, Some(1)),
            (unknown(), missing(), 5, None),
            (absent(), parked(), 6, None),
            (absent(), missing(), 7, Some(7)),
            (here(), parked(), 8, None),
            (absent(), missing(), 9, Some(9)),
            (here(), Stand::Right, 10, None),
            (absent(), Stand::Absent("".into()), 11, None),
        ] {
            assert_eq!(look(seen, stand, seconds), expect.map(at), "{seconds}");
        }
        let seen = PerFamily { v4: Seen::NotAsked, v6: absent() };
        let stands = PerFamily { v4: Stand::Off, v6: missing() };
        note_gone(&super::tests::host(), &mut entry, &stands, &seen, at(12));
        assert_eq!(entry.families.v6.gone_since, None, "a record that is kept");
    }

    #[test]
    fn a_removal_that_is_under_way_does_not_make_a_family_found() {
        let mut entry = Entry::default();
        let missing = PerFamily { v4: Stand::Missing("gone".into()), v6: Stand::Off };
        note_missing(&mut entry, &missing, at(0));
        let wanted = PerFamily { v4: Stand::Wanted(Why::Gone), v6: Stand::Off };
        assert!(!note_missing(&mut entry, &wanted, at(9)).v4);
        assert_eq!(entry.families.v4.missing_since, Some(at(0)));
    }

    #[test]
    fn a_host_with_one_family_is_parked_as_a_whole() {
        let mut entry = Entry::default();
        let mut host = host();
        host.families.v6 = Use::Off;
        let situation = situation(0, false);
        settle(&host, &mut entry, &v4_only(), &forbidden(), &situation);
        assert!(matches!(entry.hold.unwrap().kind, HoldKind::Rejected(Rejection::Forbidden)));
    }
}
