//! The plan: what a round would send, and why a host sends nothing.
//!
//! `step` decides about one host, `schedule` gathers the hosts with something to send into requests
//! within each zone's pace. Both are pure; the round carries out what they return.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::interface::InterfaceName;
use super::address::{Addresses, Family, PerFamily};
use super::backoff::Backoff;
use super::memory::{Again, Asking, Entry, Hold, HoldKind, Key, Memory, ZoneKey};
use super::name::Hostname;
use super::outcome::Fault;
use super::pace::{History, Pace};
use super::protocol::manners::{Common, Removal};
use super::provider::Provider;
use super::secret::Fingerprint;
use super::time::Timestamp;
use crate::core::order::{self, SortedMap, SortedSet};

/// A host name that is kept up to date: the configuration that decisions need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    /// The name and its provider.
    pub key: Key,
    /// The rest, which the hosts of its block share.
    pub settings: Rc<HostSettings>,
}

/// The configuration of all hosts of one block, as far as decisions need it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostSettings {
    /// The zone, when it is configured.
    pub zone: Option<Hostname>,
    /// Where each family's address comes from.
    pub families: PerFamily<Use>,
    /// How often an unchanged address is sent again.
    pub refresh: Option<Duration>,
    /// Whether a request that leaves a family out still changes that family's record.
    pub loses: PerFamily<bool>,
    /// What happens to the record of a family that is gone.
    pub when_gone: WhenGone,
    /// The only interface that its requests may leave by; `None` is as the kernel routes them.
    pub bind: Option<InterfaceName>,
    /// How long resolvers may keep its records, in seconds, where the protocol states it.
    pub ttl: Option<u32>,
    /// Which records that were not set here may be changed.
    pub take_over: TakeOver,
    /// The values of the options that its provider's entry has, by name.
    pub options: Vec<(String, String)>,
}

impl Deref for Host {
    type Target = HostSettings;

    fn deref(&self) -> &HostSettings {
        &self.settings
    }
}

/// Which records that were not set here may be changed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TakeOver {
    /// All of them.
    Everything,
    /// None.
    Nothing,
    /// The only record of its name and type; where requests depend on what a record holds, all.
    #[default]
    OnlyOne,
}

#[cfg(test)]
impl std::ops::DerefMut for Host {
    fn deref_mut(&mut self) -> &mut HostSettings {
        Rc::make_mut(&mut self.settings)
    }
}

#[cfg(test)]
impl Host {
    /// The host `name` at `provider` without any settings, for tests.
    pub(crate) fn plain(name: &str, provider: &str) -> Self {
        let settings = HostSettings {
            zone: None,
            families: PerFamily { v4: Use::Auto, v6: Use::Auto },
            refresh: None,
            loses: PerFamily::default(),
            when_gone: WhenGone::Keep,
            bind: None,
            ttl: None,
            take_over: TakeOver::OnlyOne,
            options: Vec::new(),
        };
        let key = Key { host: name.parse().unwrap(), provider: provider.into() };
        Self { key, settings: Rc::new(settings) }
    }
}

impl Host {
    /// The families that are kept up to date.
    pub fn in_use(&self) -> PerFamily<bool> {
        self.families.map(|_, used| *used != Use::Off)
    }

    /// Whether a record of the host is removed by leaving it out of a request.
    fn removes_by_omission(&self) -> bool {
        matches!(self.when_gone, WhenGone::Remove { by: Removal::LeftOut, .. })
    }
}

/// Where a host takes the address of a family from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Use {
    /// `auto`: the address that this machine uses towards the Internet, if it has any.
    Auto,
    /// A source that the user named: it is a fault when it gives nothing.
    Named,
    /// `off`: the record is left alone.
    Off,
}

/// What happens to the record of a family that this machine no longer has.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum WhenGone {
    /// The record is left as it is.
    #[default]
    Keep,
    /// The record is removed.
    Remove {
        /// How long the family must have been gone, and watched while it was gone.
        after: Duration,
        /// How a request removes the record.
        by: Removal,
    },
}

/// What a source saw of one family in this round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// The kernel certainly has no such address, for this reason.
    Absent(Reason),
    /// These addresses.
    Here(Addresses),
    /// The source was not asked in this round.
    NotAsked,
    /// Nothing could be seen, for this reason.
    Unknown(Reason),
}

/// Why a family was not seen, in words.
// Shared, and a single pointer: each of a thousand hosts has four of them while a round decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason(Rc<String>);

impl Deref for Reason {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl From<String> for Reason {
    fn from(words: String) -> Self {
        Self(Rc::new(words))
    }
}

impl From<&str> for Reason {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

/// What a request says about one family.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Wish {
    /// The record is left as it is; an unknown address is not an empty record.
    #[default]
    Leave,
    /// The record is to be removed: the family is known to be gone.
    Remove,
    /// The record shall hold these addresses.
    Set(Addresses),
}

impl Wish {
    /// What the record shall hold: `Some(None)` is nothing at all, `None` is whatever it holds now.
    pub fn content(&self) -> Option<Option<&Addresses>> {
        match self {
            Self::Leave => None,
            Self::Remove => Some(None),
            Self::Set(addresses) => Some(Some(addresses)),
        }
    }
}

/// Why something is sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Nothing was ever set.
    First,
    /// The family is back, and its record was removed.
    Back,
    /// The address seen differs from the one set.
    Changed,
    /// The last request got no answer that tells what the provider holds.
    Unconfirmed,
    /// Somebody else has changed the record.
    Drifted,
    /// A server of the zone still answers what was set before.
    Unverified,
    /// The set addresses were not seen for long: another machine may have replaced them.
    Returned,
    /// The family is gone, and its record is to be removed.
    Gone,
    /// An unchanged address is sent so that nothing expires.
    Refresh,
}

/// The state of one family of a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stand {
    /// The machine has no such family, for this reason, and nothing is set; this is no fault.
    Absent(Reason),
    /// The record has a hold of its own.
    Held(Box<Hold>),
    /// The address should be seen and is not, for this reason.
    Missing(Reason),
    /// Its source was not asked in this round.
    NotAsked,
    /// The family is switched off.
    Off,
    /// The addresses seen are those that are set.
    Right,
    /// Something is to be sent.
    Wanted(Why),
}

/// The decision about one host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// What the request says; both families `Leave` when nothing is to be sent.
    pub wishes: PerFamily<Wish>,
    /// The state of each family.
    pub stands: PerFamily<Stand>,
    /// Why the whole host waits.
    pub hold: Option<Box<Hold>>,
    /// When this decision changes by itself: a hold ends or a refresh falls due.
    pub due: Option<Timestamp>,
}

/// The facts about the round as a whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Circumstances {
    /// The moment of the decision.
    pub now: Timestamp,
    /// Whether the network changed or the clock was set: waits for such faults are over.
    pub network_changed: bool,
    /// The moment since which unchanged addresses must have been confirmed; if not, they are sent, too.
    pub refresh: Option<Timestamp>,
    /// Whether parks and backoff are over; a pause that the provider asked for is not.
    pub retry_rejected: bool,
    /// How long each family of the host has been watched being gone, by a clock that cannot be set;
    /// zero while the wall clock is not set.
    pub watched: PerFamily<Duration>,
}

impl Step {
    /// Replaces the decision by `hold`, so that nothing is sent.
    pub fn refuse(&mut self, hold: Hold) {
        self.wishes = PerFamily::default();
        self.hold = Some(Box::new(hold));
        self.due = None;
    }

    /// The most important reason to send something; `None` when nothing is sent.
    pub fn why(&self) -> Option<Why> {
        let wanted = self.stands.iter().filter_map(|(family, stand)| match stand {
            Stand::Wanted(why) if self.wishes[family] != Wish::Leave => Some(*why),
            _ => None,
        });
        wanted.min()
    }
}

/// Decides about one host.
///
/// For each family, the first row that fits:
///
/// | use   | seen      | remembered                         | then                              |
/// |-------|-----------|------------------------------------|-----------------------------------|
/// | off   | –         | –                                  | leave                             |
/// | any   | –         | record held, and the hold stands   | leave: held                       |
/// | any   | not asked | –                                  | leave                             |
/// | auto  | absent    | never set, the other family seen   | leave: no fault                   |
/// | any   | absent    | removed because it was absent      | leave: no fault                   |
/// | any   | absent    | to be removed, and its time over   | remove: gone                      |
/// | any   | absent    | otherwise                          | leave: missing                    |
/// | any   | unknown   | –                                  | leave: missing                    |
/// | any   | here      | sent without an answer             | set: unconfirmed                  |
/// | any   | here      | never set                          | set: first                        |
/// | any   | here      | removed                            | set: back                         |
/// | any   | here      | another address set                | set: changed                      |
/// | any   | here      | the same set, a server says else   | set: drifted, or unverified       |
/// | any   | here      | the same set, after a long absence | set: returned                     |
/// | any   | here      | the same set, refresh due          | set: refresh                      |
/// | any   | here      | the same set                       | right                             |
///
/// A record is removed only while the record of the other family is right, or that family is off: never
/// both at once, and never when the whole network is away. The record of a family that is not known to
/// be absent is never removed.
///
/// Then for the host: while its hold stands nothing is sent. Otherwise, if any family is to be
/// set, a family that is right is stated as well, because most requests speak of both.
///
/// A hold stands until its time, whatever the address does, and ends before when the
/// fingerprint changes (parks and backoff), when the network changes (backoff for a fault of the
/// network), or on request (parks and backoff). A pause that the provider asked for always stands.
/// Refusals by Homing itself are no part of this: the round judges them again each time.
pub fn step(
    host: &Host,
    seen: &PerFamily<Seen>,
    fingerprint: Fingerprint,
    entry: Option<&Entry>,
    circumstances: &Circumstances,
) -> Step {
    let unknown = Entry::default();
    let entry = entry.unwrap_or(&unknown);
    let case = Case { host, seen, entry, circumstances };
    let standing = |hold: &Option<Box<Hold>>| {
        hold.clone().filter(|hold| stands(hold, fingerprint, circumstances))
    };
    let hold =
        standing(&entry.hold).or_else(|| cut_off(entry, fingerprint, circumstances).map(Box::new));
    let mut stands = PerFamily::from_fn(|family| {
        if host.families[family] == Use::Off {
            return Stand::Off;
        }
        if let Some(hold) = standing(&entry.families[family].hold) {
            return Stand::Held(hold);
        }
        let again = entry.verified.as_ref().and_then(|verified| verified.again);
        match (case.stand(family), again) {
            (Stand::Right | Stand::Wanted(Why::Refresh), Some(again)) => {
                Stand::Wanted(match again {
                    Again::Drifted => Why::Drifted,
                    Again::Untransferred | Again::Unverified => Why::Unverified,
                })
            }
            (stand, _) => stand,
        }
    });
    if let Some(family) = case.to_remove(&stands) {
        stands[family] = Stand::Wanted(Why::Gone);
    }
    let first_wanted = stands.iter().find(|(_, stand)| matches!(stand, Stand::Wanted(_)));
    let only = match entry.asking {
        // A family that is removed by leaving it out needs the other one in the request.
        Asking::OneFamily => first_wanted
            .filter(|(_, stand)| **stand != Stand::Wanted(Why::Gone) || !host.removes_by_omission())
            .map(|(family, _)| family),
        Asking::Together | Asking::Alone => None,
    };
    // A record that a request would lose is not risked while its source rests.
    let risked = stands.iter().any(|(f, stand)| *stand == Stand::NotAsked && host.loses[f]);
    let speaks = first_wanted.is_some() && hold.is_none() && !risked;
    let wishes = PerFamily::from_fn(|family| match (&stands[family], &seen[family]) {
        _ if !speaks || only.is_some_and(|only| only != family) => Wish::Leave,
        (Stand::Wanted(Why::Gone), Seen::Absent(_)) => Wish::Remove,
        (Stand::Wanted(_) | Stand::Right, Seen::Here(addresses)) => Wish::Set(addresses.clone()),
        _ => Wish::Leave,
    });
    let due = case.due(hold.as_deref(), &stands);
    Step { wishes, stands, hold, due }
}

/// The wait of a host whose requests had no answer twice or more, because Homing ended before: a
/// process that is killed and started again in a loop must not ask at every start.
fn cut_off(entry: &Entry, fingerprint: Fingerprint, circumstances: &Circumstances) -> Option<Hold> {
    let repeats = entry.under_way.checked_sub(1).filter(|&repeats| repeats > 0)?;
    let since = entry.families.iter().filter_map(|(_, record)| Some(record.sent.as_ref()?.at));
    let since = since.max()?;
    let until = since.after(Backoff::ORDINARY.delay(repeats, Duration::ZERO, 0.0));
    let waits = circumstances.now < until && !circumstances.retry_rejected;
    let detail = "Homing ended more than once before the answer came".to_owned();
    let (kind, until) = (HoldKind::Backoff(Fault::Lost), Some(until));
    waits.then_some(Hold { kind, detail, since, begun: since, until, fingerprint })
}

/// One host's case: its configuration, what is seen and remembered of it, and the circumstances.
struct Case<'a> {
    host: &'a Host,
    seen: &'a PerFamily<Seen>,
    entry: &'a Entry,
    circumstances: &'a Circumstances,
}

impl Case<'_> {
    /// The state of one family, without regard to its holds.
    fn stand(&self, family: Family) -> Stand {
        let Self { host, seen, circumstances, .. } = self;
        let record = &self.entry.families[family];
        let addresses = match &seen[family] {
            Seen::NotAsked => return Stand::NotAsked,
            Seen::Unknown(reason) => return Stand::Missing(reason.clone()),
            Seen::Absent(reason) => {
                let other = family.other();
                let other_is_there =
                    matches!(seen[other], Seen::Here(_)) && host.families[other] != Use::Off;
                let never_set = record.set.is_none() && record.sent.is_none();
                let removes = matches!(host.when_gone, WhenGone::Remove { .. });
                let is_removed = never_set && record.removed.is_some() && removes;
                let is_no_fault = host.families[family] == Use::Auto && never_set && other_is_there;
                return if is_removed || is_no_fault {
                    Stand::Absent(reason.clone())
                } else {
                    Stand::Missing(reason.clone())
                };
            }
            Seen::Here(addresses) => addresses,
        };
        if record.sent.is_some() {
            return Stand::Wanted(Why::Unconfirmed);
        }
        let Some(set) = &record.set else {
            let why = if record.removed.is_some() { Why::Back } else { Why::First };
            return Stand::Wanted(why);
        };
        if set.addresses != *addresses {
            return Stand::Wanted(Why::Changed);
        }
        if record.return_due(circumstances.now).is_some_and(|due| due <= circumstances.now) {
            return Stand::Wanted(Why::Returned);
        }
        let age = circumstances.now.since(set.confirmed);
        let asked = circumstances.refresh.is_some_and(|begun| set.confirmed < begun);
        if asked || host.refresh.is_some_and(|period| age >= period) {
            return Stand::Wanted(Why::Refresh);
        }
        Stand::Right
    }

    /// The missing family whose record is to be removed now.
    ///
    /// The other family must be right first, even where one request could change both: a request that
    /// is refused, or split in two, must not leave the host without any record.
    fn to_remove(&self, stands: &PerFamily<Stand>) -> Option<Family> {
        let is_due = |family: &Family| {
            let is_missing = matches!(stands[*family], Stand::Missing(_));
            let other_stays = match &stands[family.other()] {
                Stand::Right | Stand::Wanted(Why::Refresh) => true,
                Stand::Wanted(Why::Unconfirmed) => self.is_set_either_way(family.other()),
                Stand::Off => !self.host.removes_by_omission(),
                Stand::Absent(_)
                | Stand::Held(_)
                | Stand::Missing(_)
                | Stand::NotAsked
                | Stand::Wanted(_) => false,
            };
            let is_over = |from| from <= self.circumstances.now;
            is_missing && other_stays && self.removable_from(*family).is_some_and(is_over)
        };
        Family::BOTH.into_iter().find(is_due)
    }

    /// Whether the provider holds what is seen of a family, whatever the result of the last request.
    fn is_set_either_way(&self, family: Family) -> bool {
        let record = &self.entry.families[family];
        let Seen::Here(addresses) = &self.seen[family] else { return false };
        let is_set = record.set.as_ref().is_some_and(|set| set.addresses == *addresses);
        let unanswered = record.sent.as_ref().and_then(|sent| sent.addresses.as_ref());
        is_set && unanswered == Some(addresses)
    }

    /// From when a family's record may be removed, if the family remains gone: when both the wall clock
    /// and the time of watching have reached the host's limit.
    fn removable_from(&self, family: Family) -> Option<Timestamp> {
        let WhenGone::Remove { after, .. } = self.host.when_gone else { return None };
        let Seen::Absent(_) = &self.seen[family] else { return None };
        let (record, now) = (&self.entry.families[family], self.circumstances.now);
        let by_the_clock = record.gone_since.unwrap_or(now).after(after);
        let by_watching = now.after(after.saturating_sub(self.circumstances.watched[family]));
        let is_there = record.set.is_some() || record.sent.is_some();
        is_there.then_some(by_the_clock.max(by_watching))
    }

    /// When the decision changes by itself.
    fn due(&self, hold: Option<&Hold>, stands: &PerFamily<Stand>) -> Option<Timestamp> {
        if let Some(hold) = hold {
            return hold.until;
        }
        let now = self.circumstances.now;
        let moments = stands.iter().filter_map(|(family, stand)| match stand {
            Stand::Held(hold) => hold.until,
            Stand::Right => {
                let record = &self.entry.families[family];
                let set = record.set.as_ref()?;
                let refresh = self.host.refresh.map(|period| set.confirmed.after(period));
                refresh.into_iter().chain(record.return_due(now)).min()
            }
            // After its moment it waits for the other family, whose change causes a round anyway.
            Stand::Missing(_) => self.removable_from(family).filter(|from| *from > now),
            Stand::Absent(_) | Stand::NotAsked | Stand::Off | Stand::Wanted(_) => None,
        });
        moments.min()
    }
}

/// Whether `hold` still stands.
pub fn stands(hold: &Hold, fingerprint: Fingerprint, circumstances: &Circumstances) -> bool {
    let waiting = hold.until.is_none_or(|until| circumstances.now < until);
    let ended = circumstances.retry_rejected || hold.fingerprint != fingerprint;
    match hold.kind {
        HoldKind::Throttled => waiting,
        HoldKind::Backoff(fault) => {
            let is_fixed = circumstances.network_changed && fault.is_the_networks();
            waiting && !ended && !is_fixed
        }
        // The round makes it again each time.
        HoldKind::Rejected(rejection) if rejection.is_our_own() => false,
        HoldKind::Rejected(_) => waiting && !ended,
    }
}

/// One host's part of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Update {
    /// The host.
    pub host: Hostname,
    /// What the request says about each family.
    pub wishes: PerFamily<Wish>,
}

/// A host that has something to send, with what `schedule` needs to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The host.
    pub host: &'a Host,
    /// Its provider.
    pub provider: &'a Provider,
    /// The hash of login and secret: hosts with equal ones may share a request.
    pub credential: Fingerprint,
    /// The decision, whose wishes are sent.
    pub step: &'a Step,
    /// Whether the update was counted already, and this is a further request of it.
    pub counted: bool,
}

/// What must be true of a record before it is changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Condition {
    /// There is no record.
    Absent,
    /// It holds exactly these addresses.
    Holds(Addresses),
}

/// What a talk that compares records needs to know of a host beside its wishes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Details {
    /// The addresses of each family that were set or sent by this machine.
    pub own: PerFamily<Vec<IpAddr>>,
    /// Which other records may be changed.
    pub take_over: TakeOver,
    /// The values of options, by name.
    pub options: Vec<(String, String)>,
    /// How long resolvers may keep the records, in seconds, if the user says it.
    pub ttl: Option<u32>,
    /// The zone's id at the provider, if it is known.
    pub zone_id: Option<String>,
    /// Whether the last request about each family has no answer: what it changed may not be in effect.
    pub is_unconfirmed: PerFamily<bool>,
}

impl Details {
    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The details of `host` with its memory.
    pub fn of(host: &Host, entry: Option<&Entry>) -> Self {
        let unknown = Entry::default();
        let entry = entry.unwrap_or(&unknown);
        let own = PerFamily::from_fn(|family| {
            let record = &entry.families[family];
            let set = record.set.as_ref().map(|set| &set.addresses);
            let unanswered = record.sent.as_ref().and_then(|request| request.addresses.as_ref());
            let own = set.into_iter().chain(unanswered).flat_map(Addresses::iter);
            own.chain(record.earlier.iter().copied()).collect()
        });
        let is_unconfirmed = entry.families.map(|_, record| record.sent.is_some());
        let HostSettings { take_over, ttl, .. } = **host;
        let (options, zone_id) =
            (host.options.clone(), entry.zone_id.as_deref().map(str::to_owned));
        Self { own, take_over, options, ttl, zone_id, is_unconfirmed }
    }
}

/// One request, and the hosts that it is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The indices of its hosts among the candidates, in the order of `updates`.
    pub hosts: Vec<usize>,
    /// What it says about each host.
    pub updates: Vec<Update>,
    /// How long resolvers may keep the records, in seconds.
    pub ttl: Option<u32>,
    /// What must be true of the records, tried in turn until one holds; empty without a condition.
    pub conditions: Vec<PerFamily<Option<Condition>>>,
    /// What else is known of each host, in the order of `updates`; empty where no talk needs it.
    pub details: Vec<Details>,
    /// Whether it has to make a change although the provider holds the data: its name servers do not.
    pub is_anew: bool,
    /// The zone whose pauses it respects.
    pub zone: ZoneKey,
    /// The keys of the paces that it counts against.
    pub counts: Vec<ZoneKey>,
    /// The moment at which it counts.
    pub at: Timestamp,
}

impl Request {
    /// The index of each host, with its update.
    pub fn parts(&self) -> impl Iterator<Item = (usize, &Update)> {
        self.hosts.iter().copied().zip(&self.updates)
    }

    /// Counts the request at its moment.
    pub fn count(&self, memory: &mut Memory, pace: Option<Pace>) {
        for (key, pace) in self.counts.iter().zip(pace.iter().cycle()) {
            memory.paces.entry(key.clone()).or_default().note(*pace, self.at);
        }
    }

    /// Makes room for `hosts` hosts, and no more: a thousand may wait.
    fn make_room(&mut self, hosts: usize) {
        self.hosts.reserve_exact(hosts - self.hosts.len());
        self.updates.reserve_exact(hosts - self.updates.len());
        if !self.counts.is_empty() {
            self.counts.reserve_exact(hosts - self.counts.len());
        }
    }

    /// Takes the count back.
    pub fn uncount(&self, memory: &mut Memory) {
        for key in &self.counts {
            if let Some(history) = memory.paces.get_mut(key) {
                history.take_back(self.at);
            }
        }
    }
}

/// The requests that leave now, and the candidates that have to wait for a pace.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Schedule {
    /// The requests, in the order in which they leave.
    pub now: Vec<Request>,
    /// The indices of the candidates that wait, and until when.
    pub later: Vec<(usize, Timestamp)>,
}

/// Gathers `candidates` into requests that keep within every zone's pace.
///
/// Hosts share a request when provider, credential, zone, interface and TTL are the same, the provider
/// accepts lists, the protocol can state what each host needs, and no refusal has set them apart; a
/// request never names a host that is not listed beside its credential. Within a zone the host that has
/// waited longest goes first, then the order of the configuration holds.
pub fn schedule(candidates: &[Candidate<'_>], memory: &Memory, now: Timestamp) -> Schedule {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    let waiting_since = |place: usize| {
        memory.entry(&candidates[place].host.key).and_then(|entry| entry.queued_since)
    };
    order::sort_by_key(&mut order, |&place| waiting_since(place).unwrap_or(now));

    let mut requests: Vec<Request> = Vec::new();
    let mut later: Vec<(usize, Timestamp)> = Vec::new();
    let mut open: SortedMap<_, usize> = SortedMap::new();
    for place in order {
        let candidate = &candidates[place];
        let entry = memory.entry(&candidate.host.key);
        let zone = zone_key(candidate, entry);
        let own_pace = own_pace(candidate);
        let free_at = own_pace.as_ref().and_then(|(key, pace)| {
            let history = memory.paces.get(key)?;
            Some(history.free_at(Some(*pace), now))
        });
        if let Some(free_at) = free_at.filter(|free_at| *free_at > now) {
            later.push((place, free_at));
            continue;
        }
        let manners = candidate.provider.manners();
        // An update counts once, however many requests it needs.
        let mut counts: Vec<ZoneKey> = own_pace.into_iter().map(|(key, _)| key).collect();
        let again = entry.and_then(|entry| entry.verified.as_ref()?.again);
        let is_anew = again == Some(Again::Untransferred);
        let apart = is_anew
            || entry.is_some_and(|entry| entry.asking != Asking::Together)
            || (manners.has_conditions && candidate.host.take_over == TakeOver::Nothing);
        let most = if apart || memory.without_lists.contains(&*candidate.provider.name) {
            1
        } else {
            let provider = candidate.provider;
            provider.batch.clamp(1, manners.most_hosts)
        };
        for (family, wishes) in parts(candidate) {
            let is_common = match manners.common {
                Common::Always => true,
                Common::Never => false,
                Common::Removal => wishes.iter().any(|(_, wish)| *wish == Wish::Remove),
            };
            let common = is_common.then(|| wishes.clone());
            let update = Update { host: candidate.host.key.host.clone(), wishes };
            let conditions = if manners.has_conditions {
                conditions(candidate.host, entry, &update.wishes)
            } else {
                Vec::new()
            };
            let mut details = Vec::new();
            if candidate.provider.http.is_some() {
                details.push(Details::of(candidate.host, entry));
            }
            let HostSettings { bind, ttl, .. } = **candidate.host;
            let slot = (zone.clone(), candidate.credential, (bind, ttl), family, common);
            match open.get(&slot) {
                Some(&at) if most > 1 && requests[at].hosts.len() < most => {
                    let request = &mut requests[at];
                    if request.hosts.len() == 1 {
                        request.make_room(most.min(candidates.len()));
                    }
                    request.hosts.push(place);
                    request.updates.push(update);
                    request.details.append(&mut details);
                    request.counts.append(&mut counts);
                }
                _ => {
                    if most > 1 {
                        open.insert(slot, requests.len());
                    }
                    let zone = zone.clone();
                    let (hosts, updates) = (vec![place], vec![update]);
                    let counts = std::mem::take(&mut counts);
                    requests.push(Request {
                        hosts,
                        updates,
                        ttl,
                        conditions,
                        details,
                        is_anew,
                        zone,
                        counts,
                        at: now,
                    });
                }
            }
        }
    }
    within_pace(candidates, requests, later, memory, now)
}

/// The pace of the candidate's host alone, and the key that its requests are counted under; `None`
/// where the zone has the pace, or there is none, or the update is counted already.
fn own_pace(candidate: &Candidate<'_>) -> Option<(ZoneKey, Pace)> {
    let pace = candidate.provider.pace.filter(|_| candidate.provider.pace_each_host)?.kept();
    let Key { host, provider } = &candidate.host.key;
    let key = ZoneKey { provider: Arc::clone(provider), zone: Some(host.clone()) };
    (!candidate.counted).then_some((key, pace))
}

/// What the records of a host without take-over must hold before `wishes` are sent: what was sent last
/// and not answered, what is set, or what is wished; in the last case nothing is taken from anybody,
/// and it may be our own update whose answer was lost.
fn conditions(
    host: &Host,
    entry: Option<&Entry>,
    wishes: &PerFamily<Wish>,
) -> Vec<PerFamily<Option<Condition>>> {
    if host.take_over != TakeOver::Nothing {
        return Vec::new();
    }
    let unknown = Entry::default();
    let records = &entry.unwrap_or(&unknown).families;
    let holds = |addresses: Option<&Addresses>| {
        Some(addresses.cloned().map_or(Condition::Absent, Condition::Holds))
    };
    let set = |family: Family| holds(records[family].set.as_ref().map(|set| &set.addresses));
    let unanswered = |family: Family| match &records[family].sent {
        Some(request) => holds(request.addresses.as_ref()),
        None => set(family),
    };
    let stated = |of: &dyn Fn(Family) -> Option<Condition>| {
        PerFamily::from_fn(|family| of(family).filter(|_| wishes[family] != Wish::Leave))
    };
    let already = |family: Family| wishes[family].content().and_then(holds);
    let mut conditions: Vec<PerFamily<_>> = Vec::new();
    for condition in [stated(&unanswered), stated(&set), stated(&already)] {
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    conditions
}

/// The zone whose pace a candidate's request counts against.
fn zone_key(candidate: &Candidate<'_>, entry: Option<&Entry>) -> ZoneKey {
    let zone = candidate.host.zone.clone().or_else(|| entry.and_then(|entry| entry.zone.clone()));
    ZoneKey { provider: Arc::clone(&candidate.host.key.provider), zone }
}

/// The requests that a candidate's step needs: one, or one per family where the provider needs that.
fn parts(candidate: &Candidate<'_>) -> Vec<(Option<Family>, PerFamily<Wish>)> {
    let wishes = &candidate.step.wishes;
    if !candidate.provider.one_family {
        return vec![(None, wishes.clone())];
    }
    let wanted = wishes.iter().filter(|(family, wish)| {
        **wish != Wish::Leave && matches!(candidate.step.stands[*family], Stand::Wanted(_))
    });
    let parts = wanted.map(|(family, wish)| {
        let mut wishes = PerFamily::default();
        wishes[family] = wish.clone();
        (Some(family), wishes)
    });
    parts.collect()
}

/// Lets requests leave while their zone's pace has room.
fn within_pace(
    candidates: &[Candidate<'_>],
    requests: Vec<Request>,
    later: Vec<(usize, Timestamp)>,
    memory: &Memory,
    now: Timestamp,
) -> Schedule {
    let history = |key: &ZoneKey| memory.paces.get(key).cloned().unwrap_or_default();
    let mut histories: SortedMap<ZoneKey, History> = SortedMap::new();
    for Request { zone, .. } in &requests {
        histories.entry(zone.clone()).or_insert_with(|| history(zone));
    }
    let mut schedule = Schedule { now: Vec::new(), later };
    for mut request in requests {
        let provider = candidates[request.hosts[0]].provider;
        let pace = provider.pace.filter(|_| !provider.pace_each_host).map(Pace::kept);
        let keys = match pace {
            Some(_) => possible_zones(&request, memory.paces.keys().chain(histories.keys())),
            None => SortedSet::from([request.zone.clone()]),
        };
        let free_at = keys.iter().map(|key| {
            histories.entry(key.clone()).or_insert_with(|| history(key)).free_at(pace, now)
        });
        if let Some(free_at) = free_at.max().filter(|free_at| *free_at > now) {
            schedule.later.extend(request.hosts.iter().map(|&place| (place, free_at)));
            continue;
        }
        if let Some(pace) = pace {
            for key in keys {
                histories.entry(key.clone()).or_default().note(pace, now);
                request.counts.push(key);
            }
        }
        schedule.now.push(request);
    }
    schedule
}

/// The zones that the provider may count a request in: its own, and where that is not known also each
/// of the `known` ones that may hold one of its hosts.
fn possible_zones<'a>(
    request: &Request,
    known: impl Iterator<Item = &'a ZoneKey>,
) -> SortedSet<ZoneKey> {
    let ZoneKey { provider, zone: None } = &request.zone else {
        return SortedSet::from([request.zone.clone()]);
    };
    let may_hold = |key: &&ZoneKey| {
        key.provider == *provider
            && key
                .zone
                .as_ref()
                .is_none_or(|zone| request.updates.iter().any(|update| update.host.is_within(zone)))
    };
    known.filter(may_hold).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Record, Sent, Set};
    use super::super::outcome::{Fault, Rejection};
    use super::*;
    use crate::core::protocol::manners::Protocol;

    const PRINT: Fingerprint = Fingerprint(7);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    fn here(text: &str) -> Seen {
        Seen::Here(addresses(text))
    }

    fn absent() -> Seen {
        Seen::Absent("".into())
    }

    fn addresses(text: &str) -> Addresses {
        Addresses::from(text.parse::<std::net::IpAddr>().unwrap())
    }

    fn host(name: &str) -> Host {
        Host::plain(name, "p")
    }

    fn set(text: &str) -> Record {
        let set = Set { addresses: addresses(text), since: at(0), confirmed: at(0) };
        Record { set: Some(set), ..Record::default() }
    }

    fn held(kind: HoldKind, until: Option<u64>) -> Hold {
        let detail = String::new();
        Hold { kind, detail, since: at(0), begun: at(0), until: until.map(at), fingerprint: PRINT }
    }

    fn now(seconds: u64) -> Circumstances {
        Circumstances { now: at(seconds), ..Circumstances::default() }
    }

    const V4: &str = "198.18.0.1";
    const V6: &str = "2a00::1";

    #[test]
    fn what_is_set_and_was_away_for_long_is_sent_once_more_and_at_most_once_an_hour() {
        let wanted = Stand::Wanted(Why::Returned);
        for (away, returned, now_is, expect, due) in [
            (None, None, 1000, Stand::Right, None),
            (Some(400), None, 1000, Stand::Right, None),
            (Some(399), None, 1000, wanted.clone(), None),
            (Some(399), Some(100), 1000, Stand::Right, Some(3700)),
            (Some(399), Some(100), 3699, Stand::Right, Some(3700)),
            (Some(399), Some(100), 3700, wanted, None),
        ] {
            let record = Record { away_since: away.map(at), returned: returned.map(at), ..set(V4) };
            let entry = Entry {
                families: PerFamily { v4: record, v6: Record::default() },
                ..Entry::default()
            };
            let seen = PerFamily { v4: here(V4), v6: Seen::NotAsked };
            let step = step(&host("a.example"), &seen, PRINT, Some(&entry), &now(now_is));
            assert_eq!(step.stands.v4, expect, "{away:?} {returned:?} {now_is}");
            assert_eq!(step.wishes.v4 != Wish::Leave, expect != Stand::Right);
            assert_eq!(step.due, due.map(at));
        }
    }

    #[track_caller]
    fn check(
        seen: (Seen, Seen),
        entry: &Entry,
        circumstances: &Circumstances,
        expect: &[Why],
    ) -> Step {
        let seen = PerFamily { v4: seen.0, v6: seen.1 };
        let step = step(&host("a.example"), &seen, PRINT, Some(entry), circumstances);
        let why: Vec<_> = step.why().into_iter().collect();
        assert_eq!(why, expect, "{step:?}");
        step
    }

    #[test]
    fn a_first_address_is_sent_and_an_absent_family_is_left_alone() {
        let step = check((here(V4), absent()), &Entry::default(), &now(0), &[Why::First]);
        assert_eq!(step.wishes, PerFamily { v4: Wish::Set(addresses(V4)), v6: Wish::Leave });
        assert_eq!(step.stands.v6, Stand::Absent("".into()));
    }

    #[test]
    fn what_is_set_is_not_sent_again() {
        let entry = Entry { families: PerFamily { v4: set(V4), v6: set(V6) }, ..Entry::default() };
        check((here(V4), here(V6)), &entry, &now(99_999_999), &[]);
    }

    #[test]
    fn a_change_of_one_family_states_the_other_as_well() {
        let entry = Entry { families: PerFamily { v4: set(V4), v6: set(V6) }, ..Entry::default() };
        let step = check((here("198.18.0.2"), here(V6)), &entry, &now(5), &[Why::Changed]);
        assert_eq!(step.wishes.v6, Wish::Set(addresses(V6)));
    }

    #[test]
    fn an_unknown_address_never_touches_the_record() {
        let entry = Entry { families: PerFamily { v4: set(V4), v6: set(V6) }, ..Entry::default() };
        let unknown = Seen::Unknown("the interface has gone".into());
        let step = check((here("198.18.0.2"), unknown), &entry, &now(5), &[Why::Changed]);
        assert_eq!(step.wishes.v6, Wish::Leave);
        assert!(matches!(step.stands.v6, Stand::Missing(_)));
    }

    #[test]
    fn a_family_that_was_set_and_is_absent_now_is_missing() {
        let entry = Entry { families: PerFamily { v4: set(V4), v6: set(V6) }, ..Entry::default() };
        let step = check((here(V4), absent()), &entry, &now(5), &[]);
        assert!(matches!(step.stands.v6, Stand::Missing(_)));
    }

    #[test]
    fn a_machine_without_any_address_is_a_fault() {
        let step = check((absent(), absent()), &Entry::default(), &now(0), &[]);
        assert!(matches!(step.stands.v4, Stand::Missing(_)));
    }

    #[test]
    fn a_source_that_was_not_asked_is_no_fault() {
        let step = check((Seen::NotAsked, here(V6)), &Entry::default(), &now(0), &[Why::First]);
        assert_eq!(step.stands.v4, Stand::NotAsked);
        assert_eq!(step.wishes.v4, Wish::Leave);
    }

    #[test]
    fn after_a_lost_answer_the_same_address_is_sent_again() {
        let mut record = set(V4);
        record.sent =
            Some(Box::new(Sent { addresses: Some(addresses(V4)), at: at(1), in_doubt: false }));
        let entry =
            Entry { families: PerFamily { v4: record, v6: Record::default() }, ..Entry::default() };
        check((here(V4), absent()), &entry, &now(9), &[Why::Unconfirmed]);
    }

    #[test]
    fn an_unchanged_address_is_sent_when_its_refresh_is_due_and_not_before() {
        let mut host = host("a.example");
        host.refresh = Some(Duration::from_secs(86_400));
        let entry = Entry {
            families: PerFamily { v4: set(V4), v6: Record::default() },
            ..Entry::default()
        };
        let seen = PerFamily { v4: here(V4), v6: absent() };
        let before = step(&host, &seen, PRINT, Some(&entry), &now(86_399));
        assert_eq!((before.why(), before.due), (None, Some(at(86_400))));
        let after = step(&host, &seen, PRINT, Some(&entry), &now(86_400));
        assert_eq!(after.why(), Some(Why::Refresh));
    }

    #[test]
    fn a_rejected_host_stays_quiet_even_if_the_address_moves() {
        let hold = Some(Box::new(held(HoldKind::Rejected(Rejection::Credential), None)));
        let entry = Entry {
            hold,
            families: PerFamily { v4: set(V4), v6: Record::default() },
            ..Entry::default()
        };
        check((here("198.18.0.2"), absent()), &entry, &now(9_999_999), &[]);
    }

    #[test]
    fn a_new_fingerprint_ends_a_park_but_not_a_pause_the_provider_asked_for() {
        let seen = PerFamily { v4: here(V4), v6: absent() };
        let mut entry = Entry {
            hold: Some(Box::new(held(HoldKind::Rejected(Rejection::Credential), None))),
            ..Entry::default()
        };
        let other = Fingerprint(8);
        let decide =
            |entry: &Entry| step(&host("a.example"), &seen, other, Some(entry), &now(5)).why();
        assert_eq!(decide(&entry), Some(Why::First));
        entry.hold = Some(Box::new(held(HoldKind::Throttled, Some(100))));
        assert_eq!(decide(&entry), None);
    }

    #[test]
    fn retrying_on_request_ends_parks_and_backoff_only() {
        let circumstances = Circumstances { retry_rejected: true, ..now(5) };
        for (kind, ended) in [
            (HoldKind::Rejected(Rejection::Abuse), true),
            (HoldKind::Backoff(Fault::Server), true),
            (HoldKind::Throttled, false),
        ] {
            assert_eq!(!stands(&held(kind, Some(100)), PRINT, &circumstances), ended, "{kind:?}");
        }
    }

    #[test]
    fn a_network_that_comes_up_ends_only_waits_for_the_network() {
        let circumstances = Circumstances { network_changed: true, ..now(5) };
        assert!(!stands(
            &held(HoldKind::Backoff(Fault::Unreachable), Some(99)),
            PRINT,
            &circumstances
        ));
        assert!(stands(&held(HoldKind::Backoff(Fault::Server), Some(99)), PRINT, &circumstances));
    }

    #[test]
    fn a_held_family_is_left_out_while_the_other_goes_on() {
        let hold = Some(held(HoldKind::Rejected(Rejection::Forbidden), Some(86_400)));
        let record = Record { hold: hold.map(Box::new), ..Record::default() };
        let entry =
            Entry { families: PerFamily { v4: Record::default(), v6: record }, ..Entry::default() };
        let step = check((here(V4), here(V6)), &entry, &now(5), &[Why::First]);
        assert_eq!(step.wishes.v6, Wish::Leave);
    }

    #[test]
    fn families_are_asked_one_by_one_after_a_refusal_of_both() {
        let entry = Entry { asking: Asking::OneFamily, ..Entry::default() };
        let step = check((here(V4), here(V6)), &entry, &now(5), &[Why::First]);
        assert_eq!(step.wishes, PerFamily { v4: Wish::Set(addresses(V4)), v6: Wish::Leave });
    }

    const HOUR: u64 = 3600;

    fn removing(by: Removal) -> Host {
        let when_gone = WhenGone::Remove { after: Duration::from_secs(HOUR), by };
        let mut host = host("a.example");
        host.when_gone = when_gone;
        host
    }

    /// Both families set, IPv6 known to be gone since the beginning, and `change`.
    fn gone(change: impl FnOnce(&mut Entry)) -> Entry {
        let mut v6 = set(V6);
        v6.gone_since = Some(at(0));
        let mut entry = Entry { families: PerFamily { v4: set(V4), v6 }, ..Entry::default() };
        change(&mut entry);
        entry
    }

    /// The moment `seconds`, both families watched being gone from the beginning.
    fn watched(seconds: u64) -> Circumstances {
        let watched = PerFamily::from_fn(|_| Duration::from_secs(seconds));
        Circumstances { watched, ..now(seconds) }
    }

    /// What becomes of both records.
    #[track_caller]
    fn check_gone(
        host: &Host,
        seen: (Seen, Seen),
        entry: &Entry,
        circumstances: &Circumstances,
        (v4, v6): (Wish, Wish),
    ) -> Step {
        let seen = PerFamily { v4: seen.0, v6: seen.1 };
        let step = step(host, &seen, PRINT, Some(entry), circumstances);
        assert_eq!(step.wishes, PerFamily { v4, v6 }, "{step:?}");
        step
    }

    fn nothing() -> (Wish, Wish) {
        (Wish::Leave, Wish::Leave)
    }

    fn v6_removed() -> (Wish, Wish) {
        (Wish::Set(addresses(V4)), Wish::Remove)
    }

    #[test]
    fn a_family_gone_for_long_is_removed_and_the_other_stated() {
        for by in [Removal::Said, Removal::LeftOut] {
            let seen = (here(V4), absent());
            let step = check_gone(&removing(by), seen, &gone(|_| {}), &watched(HOUR), v6_removed());
            assert_eq!((step.why(), step.due), (Some(Why::Gone), None));
        }
    }

    #[test]
    fn nothing_is_removed_unless_it_is_asked_for() {
        let seen = (here(V4), absent());
        check_gone(&host("a.example"), seen, &gone(|_| {}), &watched(9 * HOUR), nothing());
    }

    #[test]
    fn nothing_is_removed_before_its_time_by_any_clock() {
        let host = removing(Removal::Said);
        let minutes = |wall: u64, watched: u64| Circumstances {
            now: at(wall * 60),
            watched: PerFamily::from_fn(|_| Duration::from_secs(watched * 60)),
            ..Circumstances::default()
        };
        for (circumstances, due) in [
            (minutes(59, 59), 60),
            // A start not long ago, or a clock that was set forward.
            (minutes(999, 59), 1000),
            (minutes(59, 999), 60),
            // A clock that is not set.
            (minutes(999, 0), 1059),
        ] {
            let seen = (here(V4), absent());
            let step = check_gone(&host, seen, &gone(|_| {}), &circumstances, nothing());
            assert!(matches!(step.stands.v6, Stand::Missing(_)));
            assert_eq!(step.due, Some(at(due * 60)));
        }
        let first = gone(|entry| entry.families.v6.gone_since = None);
        let seen = (here(V4), absent());
        let step = check_gone(&host, seen, &first, &watched(9 * HOUR), nothing());
        assert_eq!(step.due, Some(at(10 * HOUR)), "the first look that finds it gone");
    }

    #[test]
    fn nothing_is_removed_that_is_not_known_to_be_gone() {
        let host = removing(Removal::Said);
        for v6 in [Seen::Unknown("timed out".into()), Seen::NotAsked, here(V6)] {
            let step =
                check_gone(&host, (here(V4), v6), &gone(|_| {}), &watched(9 * HOUR), nothing());
            assert_eq!(step.due, None);
        }
    }

    #[test]
    fn nothing_is_removed_while_the_other_family_is_not_right() {
        let host = removing(Removal::Said);
        let long = watched(9 * HOUR);
        let both = |entry: &mut Entry| entry.families.v4.gone_since = Some(at(0));
        let step = check_gone(&host, (absent(), absent()), &gone(both), &long, nothing());
        assert_eq!(step.due, None, "no timer runs out again and again");
        for v4 in [Seen::Unknown("timed out".into()), Seen::NotAsked] {
            check_gone(&host, (v4, absent()), &gone(|_| {}), &long, nothing());
        }
        let moved = here("198.18.0.2");
        let set_first = (Wish::Set(addresses("198.18.0.2")), Wish::Leave);
        check_gone(&host, (moved, absent()), &gone(|_| {}), &long, set_first);
        for (unanswered, expect) in [
            (Some("198.18.0.2"), (Wish::Set(addresses(V4)), Wish::Leave)),
            (None, (Wish::Set(addresses(V4)), Wish::Leave)),
            // Whatever became of that request, the record is right.
            (Some(V4), v6_removed()),
        ] {
            let doubtful = |entry: &mut Entry| {
                let addresses = unanswered.map(addresses);
                entry.families.v4.sent =
                    Some(Box::new(Sent { addresses, at: at(1), in_doubt: false }));
            };
            check_gone(&host, (here(V4), absent()), &gone(doubtful), &long, expect);
        }
        let parked = |entry: &mut Entry| {
            let kind = HoldKind::Rejected(Rejection::Forbidden);
            entry.families.v4.hold = Some(Box::new(held(kind, None)));
        };
        check_gone(&host, (here(V4), absent()), &gone(parked), &long, nothing());
    }

    #[test]
    fn with_the_other_family_off_a_removal_goes_alone_where_it_can() {
        let seen = || (Seen::NotAsked, absent());
        let mut host = removing(Removal::Said);
        host.families.v4 = Use::Off;
        let alone = (Wish::Leave, Wish::Remove);
        check_gone(&host, seen(), &gone(|_| {}), &watched(HOUR), alone);
        let mut host = removing(Removal::LeftOut);
        host.families.v4 = Use::Off;
        check_gone(&host, seen(), &gone(|_| {}), &watched(HOUR), nothing());
    }

    #[test]
    fn families_asked_one_by_one_are_removed_so_unless_that_is_said_by_leaving_them_out() {
        let entry = gone(|entry| entry.asking = Asking::OneFamily);
        let alone = (Wish::Leave, Wish::Remove);
        let seen = || (here(V4), absent());
        check_gone(&removing(Removal::Said), seen(), &entry, &watched(HOUR), alone);
        check_gone(&removing(Removal::LeftOut), seen(), &entry, &watched(HOUR), v6_removed());
    }

    #[test]
    fn a_removal_without_an_answer_is_repeated_or_taken_back() {
        let host = removing(Removal::Said);
        let entry = gone(|entry| {
            entry.families.v6.sent =
                Some(Box::new(Sent { addresses: None, at: at(HOUR), in_doubt: false }));
        });
        check_gone(&host, (here(V4), absent()), &entry, &watched(HOUR + 60), v6_removed());
        let back = (Wish::Set(addresses(V4)), Wish::Set(addresses(V6)));
        check_gone(&host, (here(V4), here(V6)), &entry, &watched(HOUR + 60), back);
    }

    #[test]
    fn a_hold_stands_for_removals_as_well() {
        let held = |entry: &mut Entry| {
            entry.hold = Some(Box::new(held(HoldKind::Backoff(Fault::Server), Some(9 * HOUR))));
        };
        let host = removing(Removal::Said);
        let seen = (here(V4), absent());
        check_gone(&host, seen, &gone(held), &watched(HOUR), nothing());
    }

    #[test]
    fn what_was_removed_is_right_while_it_is_gone_and_set_when_it_is_back() {
        let mut host = removing(Removal::Said);
        let removed = Record { removed: Some(at(HOUR)), ..Record::default() };
        let entry = Entry { families: PerFamily { v4: set(V4), v6: removed }, ..Entry::default() };
        for used in [Use::Auto, Use::Named] {
            host.families.v6 = used;
            for v4 in [here(V4), absent()] {
                let seen = (v4, absent());
                let step = check_gone(&host, seen, &entry, &watched(9 * HOUR), nothing());
                assert!(matches!(step.stands.v6, Stand::Absent(_)), "{step:?}");
            }
        }
        let back = (Wish::Set(addresses(V4)), Wish::Set(addresses(V6)));
        let seen = (here(V4), here(V6));
        let step = check_gone(&host, seen, &entry, &watched(9 * HOUR), back);
        assert_eq!(step.why(), Some(Why::Back));
        // A host that keeps records has not asked for the fault to be none.
        host.when_gone = WhenGone::Keep;
        let seen = (here(V4), absent());
        let step = check_gone(&host, seen, &entry, &watched(9 * HOUR), nothing());
        assert!(matches!(step.stands.v6, Stand::Missing(_)), "{step:?}");
    }

    #[test]
    fn hosts_share_a_removal_only_when_they_want_the_same() {
        let mut provider = Protocol::Desec.defaults("p".into());
        provider.pace = None;
        let hosts = ["a.example", "b.example", "c.example", "d.example"].map(host);
        let step = |v4: &str, v6: Wish| Step {
            wishes: PerFamily { v4: Wish::Set(addresses(v4)), v6 },
            stands: PerFamily { v4: Stand::Right, v6: Stand::Wanted(Why::Gone) },
            hold: None,
            due: None,
        };
        let steps = [
            step(V4, Wish::Remove),
            step("198.18.0.2", Wish::Remove),
            step(V4, Wish::Set(addresses(V6))),
            step(V4, Wish::Remove),
        ];
        let candidates: Vec<_> = hosts
            .iter()
            .zip(&steps)
            .map(|(host, step)| Candidate {
                host,
                provider: &provider,
                credential: PRINT,
                step,
                counted: false,
            })
            .collect();
        let schedule = schedule(&candidates, &Memory::default(), at(0));
        assert_eq!(places(&schedule), [vec![0, 3], vec![1], vec![2]]);
    }

    fn scheduled(names: &[&str], provider: &Provider, memory: &Memory, now: Timestamp) -> Schedule {
        let hosts: Vec<_> = names.iter().map(|name| host(name)).collect();
        let seen = PerFamily { v4: here(V4), v6: here(V6) };
        let circumstances = Circumstances { now, ..Circumstances::default() };
        let steps: Vec<_> = hosts
            .iter()
            .map(|host| step(host, &seen, PRINT, memory.entry(&host.key), &circumstances))
            .collect();
        let candidates: Vec<_> = hosts
            .iter()
            .zip(&steps)
            .map(|(host, step)| Candidate {
                host,
                provider,
                credential: PRINT,
                step,
                counted: false,
            })
            .collect();
        schedule(&candidates, memory, now)
    }

    fn places(schedule: &Schedule) -> Vec<Vec<usize>> {
        schedule.now.iter().map(|request| request.hosts.clone()).collect()
    }

    #[test]
    fn hosts_of_one_credential_and_zone_share_requests_of_twenty() {
        let names: Vec<String> = (0..45).map(|n| format!("h{n}.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let provider = Protocol::Dyndns2.defaults("p".into());
        let schedule = scheduled(&names, &provider, &Memory::default(), at(0));
        let sizes: Vec<_> = places(&schedule).iter().map(Vec::len).collect();
        assert_eq!(sizes, [20, 20, 5]);
    }

    #[test]
    fn hosts_of_two_lines_share_no_request() {
        let provider = Protocol::Dyndns2.defaults("p".into());
        let mut hosts: Vec<_> = ["a.example", "b.example", "c.example"].map(host).into();
        hosts[0].bind = Some("wan1".parse().unwrap());
        hosts[1].bind = Some("wan2".parse().unwrap());
        hosts[2].bind = hosts[0].bind;
        let seen = PerFamily { v4: here(V4), v6: here(V6) };
        let step = step(&hosts[0], &seen, PRINT, None, &now(0));
        let candidates: Vec<_> = hosts
            .iter()
            .map(|host| Candidate {
                host,
                provider: &provider,
                credential: PRINT,
                step: &step,
                counted: false,
            })
            .collect();
        let schedule = schedule(&candidates, &Memory::default(), at(0));
        assert_eq!(places(&schedule), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn a_host_set_apart_is_asked_alone() {
        let mut memory = Memory::default();
        memory.entry_mut(&host("b.example").key).asking = Asking::Alone;
        let provider = Protocol::Dyndns2.defaults("p".into());
        let schedule =
            scheduled(&["a.example", "b.example", "c.example"], &provider, &memory, at(0));
        assert_eq!(places(&schedule), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn what_is_taken_over_by_nobody_is_what_was_set_sent_or_is_wished() {
        let mut careful = host("a.example");
        let wishes = PerFamily { v4: Wish::Set(addresses(V4)), v6: Wish::Leave };
        assert!(conditions(&careful, None, &wishes).is_empty());
        careful.take_over = TakeOver::Nothing;
        let v4 = |condition| PerFamily { v4: Some(condition), v6: None };
        let holds = |text| v4(Condition::Holds(addresses(text)));
        assert_eq!(conditions(&careful, None, &wishes), [v4(Condition::Absent), holds(V4)]);
        let mut entry = Entry::default();
        entry.families.v4 = set("198.18.0.2");
        let of_set = [holds("198.18.0.2"), holds(V4)];
        assert_eq!(conditions(&careful, Some(&entry), &wishes), of_set);
        let sent = Some(addresses("198.18.0.3"));
        entry.families.v4.sent =
            Some(Box::new(Sent { addresses: sent, at: at(1), in_doubt: true }));
        let of_all = [holds("198.18.0.3"), holds("198.18.0.2"), holds(V4)];
        assert_eq!(conditions(&careful, Some(&entry), &wishes), of_all);
    }

    #[test]
    fn a_zone_beyond_its_pace_waits_and_the_longest_waiting_goes_first() {
        let mut provider = Protocol::Desec.defaults("p".into());
        provider.batch = 1;
        let mut memory = Memory::default();
        memory.entry_mut(&host("c.example").key).queued_since = Some(at(0));
        let schedule =
            scheduled(&["a.example", "b.example", "c.example"], &provider, &memory, at(9));
        assert_eq!(places(&schedule), [vec![2], vec![0]]);
        assert_eq!(schedule.later, [(1, at(129).after(Duration::from_millis(500)))]);
    }

    #[test]
    fn a_host_whose_zone_is_not_known_keeps_the_pace_of_each_zone_that_may_hold_it() {
        let provider = Protocol::Desec.defaults("p".into());
        let pace = provider.pace.unwrap().kept();
        let mut memory = Memory::default();
        for name in ["a.zone.example", "b.zone.example"] {
            memory.entry_mut(&host(name).key).zone = Some("zone.example".parse().unwrap());
            let request = &scheduled(&[name], &provider, &memory, at(0)).now[0];
            request.count(&mut memory, Some(pace));
        }
        let names = ["c.zone.example", "c.example"];
        let schedule = scheduled(&names[..1], &provider, &memory, at(9));
        assert_eq!(schedule.later, [(0, at(0).after(pace.window))]);
        let elsewhere = &scheduled(&names[1..], &provider, &memory, at(9)).now[0];
        assert_eq!(elsewhere.counts, std::slice::from_ref(&elsewhere.zone));
        // What it sends counts in that zone as well.
        let request = &scheduled(&names[..1], &provider, &memory, at(200)).now[0];
        let zones = request.counts.iter().map(|key| key.zone.as_ref().map(Hostname::as_str));
        assert!(zones.eq([None, Some("zone.example")]), "{:?}", request.counts);
        // Zones that are only about to be asked count, too.
        let names = ["c.zone.example", "a.zone.example", "b.zone.example"];
        let mut provider = provider;
        provider.batch = 1;
        assert_eq!(scheduled(&names, &provider, &memory, at(400)).now.len(), 2);
    }

    #[test]
    fn each_host_of_dyndns2_has_a_pace_of_its_own() {
        let provider = Protocol::Dyndns2.defaults("p".into());
        let (pace, mut memory) = (provider.pace.unwrap().kept(), Memory::default());
        let names = ["a.example", "b.example"];
        for seconds in 0..6 {
            let request = &scheduled(&["a.example"], &provider, &memory, at(seconds)).now[0];
            request.count(&mut memory, Some(pace));
        }
        let schedule = scheduled(&names, &provider, &memory, at(10));
        assert_eq!(places(&schedule), [vec![1]]);
        assert_eq!(schedule.later, [(0, at(0).after(pace.window))]);
        // One list is one update of each, and waits for none.
        let schedule = scheduled(&names, &provider, &Memory::default(), at(10));
        assert_eq!((places(&schedule), schedule.now[0].counts.len()), (vec![vec![0, 1]], 2));
        let by_hand = Provider { pace_each_host: false, ..provider };
        let schedule = scheduled(&names, &by_hand, &Memory::default(), at(10));
        assert_eq!(schedule.now[0].counts, [schedule.now[0].zone.clone()]);
    }

    #[test]
    fn who_ends_more_than_once_before_the_answer_waits_longer_each_time() {
        for (under_way, wait) in [(0, 0), (1, 0), (2, 30), (3, 60), (40, 900)] {
            let mut entry = Entry { under_way, ..Entry::default() };
            let sent = Some(addresses(V4));
            entry.families.v4.sent =
                Some(Box::new(Sent { addresses: sent, at: at(100), in_doubt: true }));
            let seen = PerFamily { v4: here(V4), v6: absent() };
            let decided = |seconds, retry_rejected| {
                let circumstances = Circumstances { retry_rejected, ..now(seconds) };
                step(&host("a.example"), &seen, PRINT, Some(&entry), &circumstances)
            };
            assert_eq!(decided(100, false).hold.is_some(), wait > 0, "{under_way}");
            assert_eq!(decided(100, false).due, (wait > 0).then(|| at(100 + wait)));
            assert_eq!(decided(100 + wait, false).why(), Some(Why::Unconfirmed));
            assert_eq!(decided(100, true).why(), Some(Why::Unconfirmed));
        }
    }

    #[test]
    fn a_provider_that_wants_one_family_a_request_gets_two() {
        let mut provider = Protocol::Dyndns2.defaults("p".into());
        provider.one_family = true;
        let schedule = scheduled(&["a.example"], &provider, &Memory::default(), at(0));
        assert_eq!(places(&schedule), [vec![0], vec![0]]);
        assert_eq!(schedule.now[1].updates[0].wishes.v4, Wish::Leave);
    }
}
