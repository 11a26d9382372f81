//! The memory: what is remembered about each host between rounds.
//!
//! `plan` reads it, `settle` writes it, the shell's state file keeps it. Values only.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::renewal::Renewals;
use super::address::standing::{self, Standings};
use super::address::{Addresses, Family, PerFamily};
use super::backoff::SHORT_ABSENCE;
use super::name::Hostname;
use super::outcome::{Deferral, Fault, Outcome, Rejection};
use super::pace::History;
use super::problem::Problem;
use super::secret::Fingerprint;
use super::time::Timestamp;
use super::token::verdict::TokenVerdict;
use crate::core::order::{self, SortedMap, SortedSet};

/// How long after an answer a reload tries the same again.
pub const REST: Duration = Duration::from_secs(60);

/// A host at a provider: the key of an entry of the memory.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// The host's name.
    pub host: Hostname,
    /// The provider's name in the configuration.
    // Shared: it is in the key of every host, pace and report.
    pub provider: Arc<str>,
}

/// A zone of a provider; the hosts whose zone is not known share one without a zone.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ZoneKey {
    /// The provider's name in the configuration.
    pub provider: Arc<str>,
    /// The zone, when it is known.
    pub zone: Option<Hostname>,
}

/// Everything that is remembered.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Memory {
    /// What is known about each host.
    // Boxed, because half of the room in a tree's nodes is empty where hosts come in order.
    pub hosts: SortedMap<Key, Box<Entry>>,
    /// The request history of each zone that has a pace.
    pub paces: SortedMap<ZoneKey, History>,
    /// What is known about each token in use, by the fingerprint of its secret.
    pub tokens: SortedMap<Fingerprint, TokenEntry>,
    /// The standings of the outside services that were blamed for something.
    pub services: Standings,
    /// Providers that turned out not to accept lists of hosts.
    pub without_lists: SortedSet<String>,
    /// The server that each provider's name meant when it was last asked: paces and lists belong to the
    /// server.
    pub servers: SortedMap<String, Fingerprint>,
    /// The last reckoning of the time, if the clock was not set then.
    pub reckoning: Option<Reckoning>,
    /// The renewals of prefixes that stand beside others on their interface.
    pub renewals: Renewals,
    /// How many answers about a host there were, by outcome.
    pub answers: SortedMap<Word, u64>,
}

/// The time as it is reckoned while the clock is not set; it continues from run to run.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Reckoning {
    /// The moment at which the reckoning began.
    pub since: Timestamp,
    /// The moment that was reckoned last.
    pub shown: Timestamp,
    /// What the unset clock showed then.
    pub wall: Timestamp,
    /// How long the machine had been up then.
    pub up: Duration,
}

impl Reckoning {
    /// The least time that has passed, when the clock shows `wall`, if it is still not set, and the
    /// machine has been `up` for so long; the machine may have been restarted.
    pub fn passed(&self, wall: Option<Timestamp>, up: Duration) -> Duration {
        let by_uptime = up.checked_sub(self.up).unwrap_or(up);
        by_uptime.max(wall.unwrap_or_default().since(self.wall))
    }
}

/// What is remembered about one host.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Entry {
    /// What is known about each family's record.
    pub families: PerFamily<Record>,
    /// Why the whole host waits. Most do not, and a thousand hosts are to take little memory.
    pub hold: Option<Box<Hold>>,
    /// Failures in a row, which determine the next wait.
    pub failures: u32,
    /// The last outcome, as a word, and its time.
    pub last: Option<(Word, Timestamp)>,
    /// The zone that the provider named.
    pub zone: Option<Hostname>,
    /// The id of the zone at the provider, where it has one.
    pub zone_id: Option<Box<str>>,
    /// How many rounds in a row ended, with Homing itself, before the answer to their requests.
    pub under_way: u32,
    /// With which other hosts the host may share a request.
    pub asking: Asking,
    /// Since when the host has had something to send and was held back by its zone's pace.
    pub queued_since: Option<Timestamp>,
    /// What the zone's own servers said last; kept only where they are asked.
    pub verified: Option<Box<Verification>>,
    /// Whether the provider answered the last update with a fault of its own until it was repeated: its
    /// name servers may not know the change, and a repeat makes no change.
    pub half_done: bool,
    /// How many times in a row the provider accepted an address and did not show it.
    pub not_shown: u32,
    /// The fingerprint of what was wrong with the host's secret in the last round, if anything was.
    pub left_out: Option<Fingerprint>,
    /// The place of all this; `None` in an entry of an earlier version, until its next round.
    pub place: Option<Destination>,
    /// Whether a round found the host no longer configured.
    pub is_gone: bool,
    /// When the host was last treated as new after that.
    pub came_back: Option<Timestamp>,
    /// Since when it is not right, and what was reported of that; kept only where that is reported.
    pub problem: Option<Problem>,
}

/// The place of a host's records. Addresses set at one place are not set at another.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Destination {
    /// The fingerprint of protocol, server, path and login; the secret is no part of it.
    pub fingerprint: Fingerprint,
    /// The zone, as far as it is known.
    pub zone: Option<Hostname>,
    /// When the token's receipt last said that what was set before is void.
    pub void_since: Option<Timestamp>,
}

/// What the zone's own servers said about a host.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Verification {
    /// When this was found.
    pub at: Timestamp,
    /// The result.
    pub finding: VerifyFinding,
    /// Why the same addresses are to be sent once more; kept until the provider has confirmed them.
    pub again: Option<Again>,
    /// Whether the update was sent twice already because a server was behind.
    pub repeated: bool,
    /// Whether a server was seen to hold what is set, since the last update.
    pub was_right: bool,
    /// When a change by somebody else was last put right.
    pub put_right: Option<Timestamp>,
    /// Whether the set addresses were away since the servers were last right: a machine that stood in
    /// for them meant no harm.
    pub returned: bool,
}

/// The result of asking the zone's own servers.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum VerifyFinding {
    /// The servers that answer clearly hold what is set.
    Right {
        /// How many servers hold it.
        servers: u32,
        /// How long after the update the last of them held it; zero where there was no update.
        took: Duration,
        /// What the others say, in words; empty where there are none.
        others: String,
    },
    /// Something is wrong or unclear; in words.
    Wrong(String),
}

/// Why addresses are sent again although the provider has confirmed them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Again {
    /// Somebody else has changed the record.
    Drifted,
    /// No server knows what the provider stored when it had a fault: the request has to make a change.
    Untransferred,
    /// A server still answers what was set before.
    Unverified,
}

/// What is remembered about one token.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct TokenEntry {
    /// When its server last accepted it; before the first time, when it was first seen here.
    pub spoke: Timestamp,
    /// When a request only to keep the token in use last failed; `None` since its server accepted it.
    pub unheard: Option<Timestamp>,
    /// When its end was last warned of.
    pub warned: Option<Timestamp>,
    /// The result of the check of its own rights.
    pub check: Option<SelfCheck>,
    /// When a check of its rights last began that did not end.
    pub looked: Option<Timestamp>,
}

/// The rights of a token, as its check found them.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SelfCheck {
    /// The fingerprint of the secret and its receipt at that time.
    pub about: Fingerprint,
    /// When the rights were checked.
    pub at: Timestamp,
    /// The verdict on the rights.
    pub verdict: TokenVerdict,
    /// What it can do beyond its job, in words; empty if nothing was found.
    pub powers: String,
    /// When it expires, if its server says so.
    pub end: Option<Timestamp>,
}

/// What is remembered about one record.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Record {
    /// The addresses that the provider confirmed.
    pub set: Option<Set>,
    /// When the provider confirmed that the record is removed; nothing was set since.
    pub removed: Option<Timestamp>,
    /// What was sent and is not (yet) answered; while it is there, what the provider holds is unknown.
    pub sent: Option<Box<Sent>>,
    /// Why this record waits while the host's other one does not.
    pub hold: Option<Box<Hold>>,
    /// Since when an address should be seen and is not.
    pub missing_since: Option<Timestamp>,
    /// Since when every look has found the family gone; kept only where that leads to the record's
    /// removal.
    pub gone_since: Option<Timestamp>,
    /// Since when the set addresses were not seen; after a long absence kept until their return is
    /// confirmed.
    pub away_since: Option<Timestamp>,
    /// When a return was last confirmed.
    pub returned: Option<Timestamp>,
    /// Addresses that were set or sent before, the latest last: a provider whose answer was lost, or
    /// whose lists are late, may still show them. Kept only where records are compared.
    pub earlier: Box<[IpAddr]>,
}

/// Addresses that left for the provider, or the wish that the record be removed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Sent {
    /// The addresses; `None` where the record was to be removed.
    pub addresses: Option<Addresses>,
    /// When they left.
    pub at: Timestamp,
    /// Whether an earlier request has no answer either, so that the doubt outlives this one.
    pub in_doubt: bool,
}

/// Addresses that the provider confirmed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Set {
    /// The addresses.
    pub addresses: Addresses,
    /// When they were set for the first time.
    pub since: Timestamp,
    /// When the provider last confirmed them.
    pub confirmed: Timestamp,
}

/// Why and how long a host or record waits.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Hold {
    /// What kind of wait it is.
    pub kind: HoldKind,
    /// What was seen, in words.
    pub detail: String,
    /// When the wait for its reason began.
    pub since: Timestamp,
    /// When its present end was set: later than `since` if the same wait was renewed.
    pub begun: Timestamp,
    /// When it ends by itself; a park without an end waits for a person.
    pub until: Option<Timestamp>,
    /// The fingerprint of the credential and settings: another one ends it, except a pause.
    pub fingerprint: Fingerprint,
}

/// The kinds of hold.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum HoldKind {
    /// A wait after a fault, longer each time.
    Backoff(Fault),
    /// Parked: only a person or a new credential helps.
    Rejected(Rejection),
    /// A pause whose length the provider stated.
    Throttled,
}

/// The last outcome without its details.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// See [`Outcome::Updated`].
    Updated,
    /// See [`Outcome::Unchanged`].
    Unchanged,
    /// See [`Outcome::Deferred`].
    Deferred,
    /// See [`Outcome::Rejected`].
    Rejected,
}

/// With which hosts a host may share a request; narrows after a refusal until the culprit is alone.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asking {
    /// With other hosts of the same credential and zone.
    #[default]
    Together,
    /// Alone, with both families.
    Alone,
    /// Alone, one family at a time.
    OneFamily,
}

impl Hold {
    /// What a person can do for `host`.
    pub fn remedy(&self, host: &Hostname) -> Cow<'static, str> {
        match self.kind {
            HoldKind::Backoff(fault) => Deferral::remedy(fault, &self.detail).into(),
            HoldKind::Rejected(rejection) => rejection.remedy(host),
            HoldKind::Throttled => Fault::Throttled.remedy().into(),
        }
    }
}

/// The least time before the same is sent once more because of another absence: of the set addresses,
/// or of a host that was not configured.
pub const LEAST_ABSENCE: Duration = Duration::from_secs(60 * 60);

impl HoldKind {
    /// The word for the kind in `status --json`: `backoff`, `throttled` or `rejected`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backoff(_) => "backoff",
            Self::Rejected(_) => "rejected",
            Self::Throttled => "throttled",
        }
    }

    /// The word for the reason in the state file and in `status --json`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Backoff(fault) => fault.word(),
            Self::Rejected(rejection) => rejection.word(),
            Self::Throttled => Fault::Throttled.word(),
        }
    }

    /// The longest time that such a hold can last; a later end comes from a wrong clock.
    fn longest(self) -> Duration {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        match self {
            Self::Backoff(_) => super::backoff::Backoff::ORDINARY.later,
            Self::Rejected(_) | Self::Throttled => DAY,
        }
    }
}

/// Writes the kind as a part of a sentence: `the credential is refused`.
impl fmt::Display for HoldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backoff(fault) => fault.fmt(f),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Throttled => f.write_str("the provider asks for a pause"),
        }
    }
}

impl Word {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Updated, Self::Unchanged, Self::Deferred, Self::Rejected];

    /// The word for `outcome`.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Updated => Self::Updated,
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Deferred(_) => Self::Deferred,
            Outcome::Rejected(_) => Self::Rejected,
        }
    }

    /// The word as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Deferred => "deferred",
            Self::Rejected => "rejected",
        }
    }
}

impl Entry {
    /// The addresses that are set.
    pub fn addresses(&self) -> PerFamily<Option<Addresses>> {
        self.families.map(|_, record| record.set.as_ref().map(|set| set.addresses.clone()))
    }

    /// The holds that have not ended: the host's own first, then those of records, with their family.
    pub fn holds(&self, now: Timestamp) -> impl Iterator<Item = (Option<Family>, &Hold)> {
        let own = self.hold.as_deref().map(|hold| (None, hold)).into_iter();
        let families = self.families.iter();
        let records = families.filter_map(|(f, record)| Some((Some(f), record.hold.as_deref()?)));
        own.chain(records).filter(move |(_, hold)| hold.until.is_none_or(|until| now < until))
    }

    /// Notes that the host's records are at `place` from now on, where the zone is given only if it is
    /// configured; returns whether this voids what was remembered.
    ///
    /// | remembered              | then                                                      |
    /// |-------------------------|-----------------------------------------------------------|
    /// | no place                | it is true of `place`: an earlier version wrote it        |
    /// | another server or login | void                                                      |
    /// | another zone            | void                                                      |
    /// | another `void_since`    | void, in an entry of an earlier version as well           |
    /// | the same                | stays                                                     |
    pub fn settle_in(&mut self, place: &Destination) -> bool {
        let before = self.place.take();
        let is_elsewhere = before.as_ref().is_some_and(|before| {
            let zones = before.zone.as_ref().zip(place.zone.as_ref());
            before.fingerprint != place.fingerprint || zones.is_some_and(|(old, new)| old != new)
        });
        let voided = before.as_ref().and_then(|before| before.void_since);
        let is_void = is_elsewhere || (place.void_since.is_some() && place.void_since != voided);
        if is_void {
            self.forget();
        }
        let zone = before.filter(|_| !is_void).and_then(|before| before.zone);
        self.place = Some(Destination {
            zone: place.zone.clone().or(zone).or_else(|| self.zone.clone()),
            void_since: place.void_since.or(voided),
            ..*place
        });
        is_void
    }

    /// Notes the zone that the provider names, and its id; returns whether this voids what was remembered, because
    /// the zone is another one than before.
    pub fn settle_zone(&mut self, zone: &Hostname, id: Option<String>) -> bool {
        let before = self.place.as_ref().and_then(|place| place.zone.as_ref());
        let is_void = before.is_some_and(|before| before != zone);
        if is_void {
            let place = self.place.take();
            self.forget();
            self.place = place;
        }
        if let Some(place) = &mut self.place {
            place.zone = Some(zone.clone());
        }
        self.zone = Some(zone.clone());
        self.zone_id = id.map(String::into_boxed_str);
        is_void
    }

    /// Forgets all that is true of one place only.
    fn forget(&mut self) {
        let Self { families, left_out, came_back, problem, .. } = std::mem::take(self);
        let families = families.map(|_, Record { missing_since, gone_since, .. }| Record {
            missing_since: *missing_since,
            gone_since: *gone_since,
            ..Record::default()
        });
        *self = Self { families, left_out, came_back, problem, ..Self::default() };
    }

    /// Notes whether the host is configured at `now`; a host that was not, for at least a round, is
    /// treated as new when it is back, except for a pause that its provider asked for.
    ///
    /// This happens at most once in [`LEAST_ABSENCE`]: two configurations that share a state directory
    /// and are used in turn must not send everything at each turn.
    pub fn note_configured(&mut self, is_configured: bool, now: Timestamp) {
        if !is_configured {
            self.is_gone = true;
        } else if self.is_gone && self.came_back.is_none_or(|last| now.since(last) >= LEAST_ABSENCE)
        {
            let pause = self.hold.take().filter(|hold| hold.kind == HoldKind::Throttled);
            let (failures, place) = (self.failures, self.place.take());
            self.forget();
            self.failures = if pause.is_some() { failures } else { 0 };
            (self.hold, self.place, self.came_back) = (pause, place, Some(now));
        }
    }

    /// Ends a wait without a purpose: nothing is left to be sent. What counts of the last update is
    /// then that the provider has confirmed what is right.
    pub fn end_needless_wait(&mut self) {
        (self.hold, self.failures) = (None, 0);
        if self.last.is_some_and(|(word, _)| matches!(word, Word::Deferred | Word::Rejected)) {
            let sets = self.families.iter().filter_map(|(_, record)| record.set.as_ref());
            self.last = sets.map(|set| set.confirmed).max().map(|at| (Word::Unchanged, at));
        }
    }

    /// Ends parks and backoff, on request; a pause that the provider asked for remains.
    pub fn end_waits(&mut self) {
        for hold in self.hold_slots() {
            *hold = hold.take().filter(|hold| hold.kind == HoldKind::Throttled);
        }
    }

    /// Ends parks and backoff as soon as the last answer is a minute old: reloads may come in a loop. A
    /// wait for a file of this machine ends at once, because no server was asked.
    pub fn end_waits_soon(&mut self, now: Timestamp) {
        let rested = self.last.map_or(now, |(_, at)| at.after(REST));
        for slot in self.hold_slots() {
            let Some(hold) = slot else { continue };
            match hold.kind {
                HoldKind::Throttled => {}
                HoldKind::Backoff(Fault::Storage) => *slot = None,
                HoldKind::Backoff(_) | HoldKind::Rejected(_) if rested <= now => *slot = None,
                HoldKind::Backoff(_) | HoldKind::Rejected(_) => {
                    hold.until = Some(hold.until.map_or(rested, |until| until.min(rested)));
                }
            }
        }
    }

    /// The slots of its holds: the host's own first.
    fn hold_slots(&mut self) -> [&mut Option<Box<Hold>>; 3] {
        let PerFamily { v4, v6 } = &mut self.families;
        [&mut self.hold, &mut v4.hold, &mut v6.hold]
    }
}

/// Lets `value` be `last` where both are equal; it is the last one then.
pub fn share<T: Clone + PartialEq>(value: &mut T, last: &mut Option<T>) {
    match last {
        Some(last) if last == value => value.clone_from(last),
        _ => *last = Some(value.clone()),
    }
}

impl Record {
    /// From when the set addresses, seen again after a long absence, are to be sent once more: another
    /// machine may have set its own. Not too often, because a network may come and go.
    pub fn return_due(&self, now: Timestamp) -> Option<Timestamp> {
        let away_since = self.away_since.filter(|since| now.since(*since) > SHORT_ABSENCE)?;
        Some(self.returned.map_or(away_since, |last| last.after(LEAST_ABSENCE)))
    }
}

impl TokenEntry {
    /// Notes that the server accepted the token.
    pub fn note_heard(&mut self, now: Timestamp) {
        self.spoke = now;
        self.unheard = None;
    }

    /// Whether its rights are to be checked: daily, and for a new secret or receipt; after a check that
    /// did not end, a day later.
    pub fn wants_a_look(&self, about: Fingerprint, now: Timestamp) -> bool {
        const REST: Duration = Duration::from_secs(24 * 60 * 60);
        let rests = |at: Timestamp| now.since(at) < REST;
        !self.looked.is_some_and(rests)
            && !self.check_of(about).is_some_and(|check| rests(check.at))
    }

    /// The check of exactly that secret with that receipt.
    pub fn check_of(&self, about: Fingerprint) -> Option<&SelfCheck> {
        self.check.as_ref().filter(|check| check.about == about)
    }
}

impl Memory {
    /// What is known about `key`, if anything.
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        self.hosts.get(key).map(|entry| &**entry)
    }

    /// The entry of `key`, made if there was none.
    pub fn entry_mut(&mut self, key: &Key) -> &mut Entry {
        self.hosts.entry(key.clone()).or_default()
    }

    /// Lets hosts that follow one another share equal addresses and names: where they were read from a
    /// file, each has its own.
    pub fn share(&mut self) {
        let (mut provider, mut set) = (None, PerFamily::default());
        self.hosts.for_each_mut(|key, entry| {
            share(&mut key.provider, &mut provider);
            for family in Family::BOTH {
                if let Some(known) = &mut entry.families[family].set {
                    share(&mut known.addresses, &mut set[family]);
                }
            }
        });
        self.paces.for_each_mut(|key, _| share(&mut key.provider, &mut provider));
    }

    /// Notes that `provider` is asked at `server`; what is remembered of another server of that name,
    /// such as its pace, is forgotten.
    pub fn note_server(&mut self, provider: &str, server: Fingerprint) {
        if self.servers.get(provider) == Some(&server) {
            return;
        }
        if self.servers.insert(provider.to_owned(), server).is_some() {
            self.paces.retain(|zone, _| *zone.provider != *provider);
            self.without_lists.remove(provider);
        }
    }

    /// Gives `zone` the history of `before`, the zone that its requests counted against while its name
    /// was not known.
    pub fn join_zone(&mut self, before: &ZoneKey, zone: ZoneKey) {
        let Some(inherited) = self.paces.get(before).cloned() else { return };
        let history = self.paces.entry(zone).or_default();
        history.sent.extend(inherited.sent);
        order::sort(&mut history.sent);
        if inherited.pause_until > history.pause_until {
            (history.pause_until, history.pause_since) =
                (inherited.pause_until, inherited.pause_since);
        }
    }

    /// Forgets request histories that no longer matter to any pace.
    pub fn forget_old_paces(&mut self, longest: Duration, now: Timestamp) {
        self.paces.retain(|_, history| !history.is_over(longest, now));
    }

    /// The newest moment of anything remembered: the clock has shown this moment once.
    pub fn newest(&self) -> Option<Timestamp> {
        let entries = self.hosts.values().flat_map(|entry| {
            let records = entry.families.iter().flat_map(|(_, record)| {
                let confirmed = record.set.as_ref().map(|set| set.confirmed);
                let sent = record.sent.as_ref().map(|sent| sent.at);
                confirmed.into_iter().chain(sent)
            });
            let last = entry.last.map(|(_, at)| at);
            records.chain(last).chain(entry.queued_since).collect::<Vec<_>>()
        });
        let paces = self.paces.values().flat_map(|history| history.sent.iter().copied());
        let tokens = self.tokens.values().map(|token| token.spoke);
        entries.chain(paces).chain(tokens).max()
    }

    /// Moves the waits that began while a clock ran ahead, so that they last as long as intended;
    /// returns whether there are any.
    fn move_waits(&mut self, now: Timestamp) -> bool {
        let mut changed = false;
        let mut shift = |begun: &mut Timestamp, until: &mut Option<Timestamp>| {
            let ahead = begun.since(now);
            if !ahead.is_zero() {
                *until = until.map(|until| until.before(ahead));
                *begun = now;
                changed = true;
            }
        };
        for entry in self.hosts.values_mut() {
            for hold in entry.hold_slots().into_iter().flatten() {
                shift(&mut hold.begun, &mut hold.until);
            }
        }
        for History { pause_since, pause_until, .. } in self.paces.values_mut() {
            pause_since.iter_mut().for_each(|since| shift(since, pause_until));
        }
        changed
    }

    /// Moves what was written while the clock was not set, under a reckoning that is over: an event of
    /// a moment ago remains one of a moment ago. `up` is how long the machine has been up.
    pub fn leave_reckoning(&mut self, now: Timestamp, up: Duration) {
        let Some(reckoning) = self.reckoning.take() else { return };
        let reckoned = reckoning.shown.after(reckoning.passed(None, up));
        let (ahead, behind) = (reckoned.since(now), now.since(reckoned));
        let shift = |moment: &mut Timestamp| {
            if *moment >= reckoning.since {
                *moment = moment.before(ahead).after(behind);
            }
        };
        for entry in self.hosts.values_mut() {
            for hold in entry.hold_slots().into_iter().flatten() {
                if hold.begun >= reckoning.since {
                    hold.until.iter_mut().for_each(shift);
                }
                [&mut hold.since, &mut hold.begun].into_iter().for_each(shift);
            }
            let last = entry.last.as_mut().map(|(_, at)| at);
            let problem = entry.problem.as_mut().map(|problem| &mut problem.since);
            entry.queued_since.iter_mut().chain(last).chain(problem).for_each(shift);
        }
        for History { sent, pause_since, pause_until } in self.paces.values_mut() {
            sent.iter_mut().for_each(shift);
            if pause_since.is_some_and(|since| since >= reckoning.since) {
                [pause_since, pause_until].into_iter().flatten().for_each(shift);
            }
        }
    }

    /// Pulls back moments written by a clock that ran ahead, so that nothing waits for a false future.
    ///
    /// Returns whether anything was pulled back. Call it only with a clock that is set.
    pub fn clamp(&mut self, now: Timestamp) -> bool {
        let mut changed = self.move_waits(now);
        let mut pull = |moment: &mut Timestamp, latest: Timestamp| {
            if *moment > latest {
                *moment = latest;
                changed = true;
            }
        };
        for entry in self.hosts.values_mut() {
            let PerFamily { v4, v6 } = &mut entry.families;
            for record in [v4, v6] {
                if let Some(set) = &mut record.set {
                    pull(&mut set.since, now);
                    pull(&mut set.confirmed, now);
                }
                if let Some(sent) = &mut record.sent {
                    pull(&mut sent.at, now);
                }
                let Record { removed, missing_since, gone_since, away_since, returned, .. } =
                    record;
                let moments = [removed, missing_since, gone_since, away_since, returned];
                moments.into_iter().flatten().for_each(|moment| pull(moment, now));
            }
            for hold in entry.hold_slots().into_iter().flatten() {
                pull(&mut hold.since, now);
                if let Some(until) = &mut hold.until {
                    pull(until, now.after(hold.kind.longest()));
                }
            }
            if let Some((_, at)) = &mut entry.last {
                pull(at, now);
            }
            let moments = [&mut entry.queued_since, &mut entry.came_back];
            moments.into_iter().flatten().for_each(|moment| pull(moment, now));
            if let Some(problem) = &mut entry.problem {
                pull(&mut problem.since, now);
            }
            if let Some(Verification { at, put_right, .. }) = entry.verified.as_deref_mut() {
                pull(at, now);
                put_right.iter_mut().for_each(|moment| pull(moment, now));
            }
        }
        for token in self.tokens.values_mut() {
            pull(&mut token.spoke, now);
            let check = token.check.as_mut().map(|check| &mut check.at);
            let looked = token.looked.as_mut();
            let moments = [token.unheard.as_mut(), token.warned.as_mut(), check, looked];
            moments.into_iter().flatten().for_each(|moment| pull(moment, now));
        }
        for standing in self.services.values_mut() {
            pull(&mut standing.since, now);
            pull(&mut standing.until, now.after(standing::LONGEST));
        }
        for history in self.paces.values_mut() {
            history.sent.iter_mut().for_each(|at| pull(at, now));
            if let Some(until) = &mut history.pause_until {
                pull(until, now.after(HoldKind::Throttled.longest()));
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::standing::ServiceStanding;
    use crate::core::outcome::Fault;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    #[test]
    fn what_is_shared_is_as_it_was() {
        let mut memory = Memory::default();
        let addresses = ["198.51.100.7", "198.51.100.7", "198.51.100.8", "198.51.100.7"];
        for (number, address) in addresses.iter().enumerate() {
            let (host, provider) = (format!("h{number}.example").parse().unwrap(), "p".into());
            let addresses = Addresses::from(address.parse::<IpAddr>().unwrap());
            let set = Some(Set { addresses, since: at(0), confirmed: at(0) });
            memory.entry_mut(&Key { host, provider }).families.v4.set = set;
        }
        let zone = ZoneKey { provider: "q".into(), zone: None };
        memory.paces.insert(zone, History { sent: vec![at(0)], ..History::default() });
        let before = memory.clone();
        memory.share();
        assert_eq!(memory, before);
        let providers = memory.hosts.keys().map(|key| Arc::as_ptr(&key.provider));
        assert_eq!(providers.collect::<SortedSet<_>>().len(), 1, "one name in memory");
    }

    #[test]
    fn a_hold_written_by_a_clock_far_ahead_ends_within_its_own_ceiling() {
        let mut memory = Memory::default();
        let key = Key { host: "a.example".parse().unwrap(), provider: "p".into() };
        memory.entry_mut(&key).hold = Some(Box::new(Hold {
            kind: HoldKind::Backoff(Fault::Lost),
            detail: String::new(),
            since: at(900_000),
            begun: at(900_000),
            until: Some(at(900_030)),
            fingerprint: Fingerprint(1),
        }));
        let record = &mut memory.entry_mut(&key).families.v6;
        record.gone_since = Some(at(900_000));
        record.removed = Some(at(900_000));
        assert!(memory.clamp(at(0)));
        let record = &memory.entry(&key).unwrap().families.v6;
        assert_eq!((record.gone_since, record.removed), (Some(at(0)), Some(at(0))));
        let hold = memory.entry(&key).unwrap().hold.clone().unwrap();
        assert_eq!((hold.since, hold.until), (at(0), Some(at(30))));
        assert!(!memory.clamp(at(0)));
    }

    fn host() -> Key {
        Key { host: "a.example".parse().unwrap(), provider: "p".into() }
    }

    fn throttled(since: u64, begun: u64, until: u64) -> Hold {
        Hold {
            kind: HoldKind::Throttled,
            detail: String::new(),
            since: at(since),
            begun: at(begun),
            until: Some(at(until)),
            fingerprint: Fingerprint(1),
        }
    }

    #[test]
    fn what_waits_by_a_clock_that_ran_ahead_waits_no_longer_than_it_was_to() {
        let zone = ZoneKey { provider: "p".into(), zone: None };
        let paused = |since, until| History {
            pause_since: Some(at(since)),
            pause_until: Some(at(until)),
            ..History::default()
        };
        let mut memory = Memory::default();
        // Held for the same before the clock was ahead, and held anew when it was.
        memory.entry_mut(&host()).hold = Some(Box::new(throttled(5, 7200, 7260)));
        memory.entry_mut(&host()).families.v4.hold = Some(Box::new(throttled(0, 0, 50)));
        memory.paces.insert(zone.clone(), paused(7200, 7260));
        assert!(memory.clamp(at(10)));
        let entry = memory.entry(&host()).unwrap();
        assert_eq!(entry.hold, Some(Box::new(throttled(5, 10, 70))));
        assert_eq!(entry.families.v4.hold, Some(Box::new(throttled(0, 0, 50))));
        assert_eq!(memory.paces[&zone], paused(10, 70));
        assert!(!memory.clamp(at(11)));
    }

    #[test]
    fn what_was_reckoned_moves_with_the_clock_when_it_is_set() {
        let zone = ZoneKey { provider: "p".into(), zone: None };
        let up = Duration::from_secs;
        let reckoning =
            Reckoning { since: at(100), shown: at(130), wall: Timestamp::default(), up: up(30) };
        let of = |day: u64| {
            let mut memory = Memory::default();
            let entry = memory.entry_mut(&host());
            entry.hold = Some(Box::new(throttled(day + 120, day + 120, day + 180)));
            entry.families.v4.hold = Some(Box::new(throttled(10, 10, 500)));
            entry.last = Some((Word::Deferred, at(day + 120)));
            let sent = [at(50), at(day + 110)].into();
            let (pause_since, pause_until) = (Some(at(day + 120)), Some(at(day + 180)));
            memory.paces.insert(zone.clone(), History { sent, pause_until, pause_since });
            memory
        };
        for day in [0, 86_400] {
            let mut memory = Memory { reckoning: Some(reckoning), ..of(0) };
            // Ten seconds after the last reckoning.
            memory.leave_reckoning(at(day + 140), up(40));
            assert_eq!(memory, of(day));
        }
        // Behind what was reckoned.
        let mut memory = Memory { reckoning: Some(reckoning), ..of(0) };
        memory.leave_reckoning(at(40), up(40));
        assert_eq!(memory.entry(&host()).unwrap().hold, Some(Box::new(throttled(20, 20, 80))));
    }

    #[test]
    fn a_reload_ends_waits_a_minute_after_the_last_answer_and_those_for_a_file_at_once() {
        let backoff = HoldKind::Backoff;
        let parked = HoldKind::Rejected(Rejection::Credential);
        for (kind, seconds, expect) in [
            (backoff(Fault::Storage), 1, None),
            (backoff(Fault::Server), 1, Some(60)),
            (parked, 1, Some(60)),
            (parked, 59, Some(60)),
            (backoff(Fault::Server), 60, None),
            (parked, 60, None),
            (HoldKind::Throttled, 1, Some(500)),
            (HoldKind::Throttled, 60, Some(500)),
        ] {
            let hold = Some(Box::new(Hold { kind, ..throttled(0, 0, 500) }));
            let mut entry = Entry { last: Some((Word::Deferred, at(0))), ..Entry::default() };
            (entry.hold, entry.families.v6.hold) = (hold.clone(), hold);
            entry.end_waits_soon(at(seconds));
            for hold in [entry.hold, entry.families.v6.hold] {
                assert_eq!(
                    hold.map(|hold| hold.until),
                    expect.map(|end| Some(at(end))),
                    "{kind:?}"
                );
            }
        }
        // Sooner than that, a wait ends by itself.
        let hold = Some(Box::new(Hold { kind: backoff(Fault::Lost), ..throttled(0, 0, 30) }));
        let last = Some((Word::Deferred, at(0)));
        let mut entry = Entry { hold: hold.clone(), last, ..Entry::default() };
        entry.end_waits_soon(at(1));
        assert_eq!(entry.hold, hold);
    }

    fn place(server: u64, zone: Option<&str>) -> Destination {
        let zone = zone.map(|zone| zone.parse().unwrap());
        Destination { fingerprint: Fingerprint(server), zone, void_since: None }
    }

    /// An entry with something set, held and missing, as an earlier version left it.
    fn set() -> Entry {
        let addresses = Addresses::from(std::net::IpAddr::from([198, 18, 0, 1]));
        let mut entry =
            Entry { failures: 3, zone: Some("old.example".parse().unwrap()), ..Entry::default() };
        entry.families.v4.set = Some(Set { addresses, since: at(0), confirmed: at(0) });
        entry.families.v6.missing_since = Some(at(1));
        entry.hold = Some(Box::new(Hold {
            kind: HoldKind::Throttled,
            detail: String::new(),
            since: at(0),
            begun: at(0),
            until: Some(at(60)),
            fingerprint: Fingerprint(1),
        }));
        entry
    }

    /// Whether `entry` still knows what was set; what it knows of this machine it always knows.
    #[track_caller]
    fn is_set(entry: &Entry) -> bool {
        assert_eq!(entry.families.v6.missing_since, Some(at(1)));
        let is_set = entry.families.v4.set.is_some();
        assert_eq!(is_set, entry.failures == 3);
        is_set
    }

    #[test]
    fn what_is_set_counts_for_one_place() {
        let voided = |seconds| Destination { void_since: Some(at(seconds)), ..place(1, None) };
        for (places, expect) in [
            (&[place(1, None)][..], true),
            (&[place(1, Some("old.example"))], true),
            // What an earlier version was told of the zone is no word of the configuration's.
            (&[place(1, Some("new.example"))], true),
            (&[place(1, None), place(1, None)], true),
            (&[place(1, None), place(1, Some("old.example"))], true),
            (&[place(1, Some("old.example")), place(1, None)], true),
            (&[place(1, None), place(1, Some("new.example"))], false),
            (&[place(1, Some("a.example")), place(1, None), place(1, Some("b.example"))], false),
            (&[place(1, None), place(2, None)], false),
            (&[voided(1)], false),
            (&[place(1, None), voided(1)], false),
        ] {
            let mut entry = set();
            let void = places.iter().map(|place| entry.settle_in(place)).last().unwrap();
            assert_eq!((is_set(&entry), void), (expect, !expect), "{places:?}");
            assert_eq!(entry.hold.is_some(), expect, "{places:?}");
        }
        // Said once, it is void once; and a receipt that is lost changes nothing.
        let mut entry = set();
        assert!(entry.settle_in(&voided(1)));
        entry = Entry { place: entry.place, ..set() };
        assert!(!entry.settle_in(&voided(1)) && !entry.settle_in(&place(1, None)));
        assert!(!entry.settle_in(&voided(1)) && is_set(&entry));
        assert!(entry.settle_in(&voided(2)) && !is_set(&entry));
    }

    #[test]
    fn a_zone_that_is_told_for_the_first_time_changes_nothing_and_another_one_all() {
        let mut entry = Entry { zone: None, ..set() };
        entry.settle_in(&place(1, None));
        assert!(!entry.settle_zone(&"old.example".parse().unwrap(), None) && is_set(&entry));
        assert!(!entry.settle_zone(&"old.example".parse().unwrap(), None) && is_set(&entry));
        assert!(entry.settle_zone(&"a.old.example".parse().unwrap(), None) && !is_set(&entry));
        assert_eq!(entry.zone, Some("a.old.example".parse().unwrap()));
        assert!(!entry.settle_in(&place(1, None)));
    }

    #[test]
    fn a_host_that_was_configured_no_more_is_a_new_one_at_most_once_an_hour() {
        let mut entry = set();
        entry.note_configured(true, at(10));
        assert!(is_set(&entry));
        entry.note_configured(false, at(20));
        assert!(is_set(&entry) && entry.is_gone);
        entry.note_configured(true, at(30));
        assert!(entry.families.v4.set.is_none() && entry.hold.is_some(), "a pause stands");
        let mut entry = Entry { came_back: entry.came_back, ..set() };
        for (is_configured, seconds, expect) in
            [(false, 40, true), (true, 50, true), (true, 3629, true), (true, 3630, false)]
        {
            entry.note_configured(is_configured, at(seconds));
            assert_eq!(entry.families.v4.set.is_some(), expect, "{seconds}");
        }
        assert!(!entry.is_gone);
    }

    #[test]
    fn the_pace_of_one_server_is_no_other_ones_of_that_name() {
        let zone = |provider: &str| ZoneKey { provider: provider.into(), zone: None };
        let mut memory = Memory::default();
        for provider in ["p", "q"] {
            memory.paces.insert(zone(provider), History::default());
            memory.without_lists.insert(provider.into());
        }
        memory.note_server("p", Fingerprint(1));
        memory.note_server("p", Fingerprint(1));
        assert_eq!((memory.paces.len(), memory.without_lists.len()), (2, 2));
        memory.note_server("p", Fingerprint(2));
        assert!(!memory.paces.contains_key(&zone("p")) && !memory.without_lists.contains("p"));
        assert_eq!((memory.paces.len(), memory.without_lists.len()), (1, 1));
    }

    #[test]
    fn a_tokens_rights_are_looked_at_daily_and_for_a_new_secret_or_receipt() {
        let day = 24 * 60 * 60;
        let verdict = TokenVerdict::Narrow;
        let check = SelfCheck {
            about: Fingerprint(1),
            at: at(0),
            verdict,
            powers: String::new(),
            end: None,
        };
        let known = TokenEntry { check: Some(check), ..TokenEntry::default() };
        let wants =
            |token: &TokenEntry, about, now| token.wants_a_look(Fingerprint(about), at(now));
        assert!(wants(&TokenEntry::default(), 1, 0));
        assert!(!wants(&known, 1, day - 1) && wants(&known, 1, day) && wants(&known, 2, 1));
        let failed = TokenEntry { looked: Some(at(0)), ..known };
        assert!(!wants(&failed, 2, day - 1) && wants(&failed, 2, day));
    }

    #[test]
    fn a_service_is_not_left_aside_for_a_false_future() {
        let service = standing::ServiceId { name: "s".into(), family: Family::V4 };
        let standing = ServiceStanding {
            fault: standing::ServiceFault::Lied,
            detail: String::new(),
            times: 1,
            since: at(900_000),
            until: at(903_600),
        };
        let services = [(service.clone(), standing)].into();
        let mut memory = Memory { services, ..Memory::default() };
        assert!(memory.clamp(at(0)));
        let standing = &memory.services[&service];
        assert_eq!((standing.since, standing.until), (at(0), at(24 * 60 * 60)));
        assert!(!memory.clamp(at(0)));
    }
}
