//! The journal of a simulated machine: what it may and may not do, and what it has done.
//!
//! Knows nothing of the core's memory: it judges by what left the machine, what came back, and what the
//! world was like.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use homing::core::address::{Addresses, Family, PerFamily};
use homing::core::outcome::Outcome;
use homing::core::plan::{Seen, Wish};

use super::providers::Change;
use super::{DAY, HOUR, MINUTE, Millis, SECOND};

/// How long set addresses must be away so that they may be sent once more, with some margin.
const AWAY: Millis = 9 * MINUTE;

/// What was done, for the report.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Days of hosts.
    pub host_days: u64,
    /// Looks at the machine.
    pub looks: u64,
    /// Requests that reached a provider.
    pub requests: u64,
    /// Updates of hosts that left.
    pub updates: u64,
    /// Saves that changed the state.
    pub saves: u64,
    /// Starts of the process.
    pub starts: u64,
    /// Answers that asked for a pause.
    pub throttled: u64,
    /// Answers that refused a credential.
    pub refused: u64,
    /// Programs that were told of a change.
    pub programs: u64,
    /// Checks of tokens.
    pub checks: u64,
    /// Records that somebody else changed.
    pub drifts: u64,
    /// Runs from cron.
    pub runs: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<String, u64>,
    /// The longest time after the last fault of a cycle until everything was right, in milliseconds,
    /// where nothing waits for a try once a day.
    pub slowest: Millis,
}

impl Figures {
    /// Adds those of another run.
    pub fn add(&mut self, other: Self) {
        self.host_days += other.host_days;
        self.looks += other.looks;
        self.requests += other.requests;
        self.updates += other.updates;
        self.saves += other.saves;
        self.starts += other.starts;
        self.throttled += other.throttled;
        self.refused += other.refused;
        self.programs += other.programs;
        self.checks += other.checks;
        self.drifts += other.drifts;
        self.runs += other.runs;
        self.slowest = self.slowest.max(other.slowest);
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

/// What is known of one host.
#[derive(Clone, Debug, Default)]
struct HostLog {
    /// What a provider has confirmed.
    confirmed: PerFamily<Option<Addresses>>,
    /// When it was last confirmed, by the wall clock in milliseconds.
    confirmed_at: PerFamily<u64>,
    /// Whether the machine cannot know what the provider holds.
    doubt: PerFamily<bool>,
    /// Since when looks do not find what is confirmed.
    away: PerFamily<Option<Millis>>,
    /// Since when looks find no address at all.
    unseen: PerFamily<Option<Millis>>,
    /// The same, as it was at the end of the last run from cron that could save what it saw.
    unseen_saved: PerFamily<Option<Millis>>,
    /// Whether nothing was sent since the state was lost, so that its zone is not known.
    has_lost_zone: bool,
    /// Whether it is found again after a long absence.
    returned: PerFamily<bool>,
    /// The family whose record somebody else changed last.
    drifted: Option<Family>,
    /// The families that may be sent again because of that: the host is put right as a whole.
    to_be_put_right: PerFamily<bool>,
    /// Whether the process has seen that the servers hold what was confirmed last.
    servers_are_right: bool,
    /// What its program was last told, if the next call has to begin there.
    told: Option<PerFamily<Option<Addresses>>>,
}

/// The journal.
#[derive(Debug, Default)]
pub struct Journal {
    /// What was done.
    pub figures: Figures,
    hosts: BTreeMap<String, HostLog>,
    /// The addresses that the machine has had, from each moment on.
    had: VecDeque<(Millis, BTreeSet<IpAddr>)>,
    /// Since when each family has been gone for sure.
    gone: PerFamily<Option<Millis>>,
    /// When each family came back last, and since when it had been gone.
    back: PerFamily<Option<(Millis, Millis)>>,
    /// The secrets whose refusal was heard.
    refused: BTreeSet<String>,
    /// The secrets that a provider has accepted.
    accepted: BTreeSet<String>,
    /// When the rights of each secret were last checked.
    checked: BTreeMap<String, Millis>,
    /// Until when the zones of a provider are to be left alone.
    pauses: BTreeMap<String, Millis>,
    /// The last things that happened, where somebody wants to know.
    pub last: Option<VecDeque<String>>,
    /// The last moment at which the machine's clocks were wrong, or changed.
    pub clock_trouble: Option<Millis>,
    /// The last moment at which a state was lost.
    state_lost: Option<Millis>,
    /// The last moment at which the machine woke: what left before it slept may arrive only then.
    pub woke: Option<Millis>,
}

impl Journal {
    /// Keeps what happened, if somebody wants to know.
    pub fn tell(&mut self, now: Millis, what: impl FnOnce() -> String) {
        const KEPT: usize = 60;
        if let Some(last) = &mut self.last {
            last.push_back(format!("{} s: {}", now / SECOND, what()));
            if last.len() > KEPT {
                last.pop_front();
            }
        }
    }

    /// Notes the addresses that the machine has from now on.
    pub fn note_addresses(&mut self, now: Millis, addresses: BTreeSet<IpAddr>) {
        for family in Family::BOTH {
            let is_there = addresses.iter().any(|address| Family::of(*address) == family);
            if is_there {
                self.back[family] =
                    self.gone[family].take().map(|since| (now, since)).or(self.back[family]);
            } else {
                self.gone[family].get_or_insert(now);
            }
        }
        if self.had.back().is_some_and(|(_, known)| *known == addresses) {
            return;
        }
        self.had.push_back((now, addresses));
        while self.had.get(1).is_some_and(|(from, _)| from + HOUR < now) {
            self.had.pop_front();
        }
    }

    /// Whether the machine had `address` at any time from `since` on.
    fn had(&self, address: IpAddr, since: Millis) -> bool {
        let ends = self.had.iter().skip(1).map(|(from, _)| *from).chain([Millis::MAX]);
        self.had
            .iter()
            .zip(ends)
            .any(|((_, addresses), end)| end >= since && addresses.contains(&address))
    }

    /// Notes what a look saw of a host.
    pub fn note_seen(&mut self, host: &str, seen: &PerFamily<Seen>, now: Millis) {
        let clock_trouble = self.clock_trouble;
        let log = self.hosts.entry(host.to_owned()).or_default();
        for (family, seen) in seen.iter() {
            let is_here = matches!(seen, Seen::Here(_));
            log.unseen[family] = (!is_here).then(|| log.unseen[family].unwrap_or(now));
            let is_confirmed = match (seen, &log.confirmed[family]) {
                (Seen::NotAsked, _) | (_, None) => continue,
                (Seen::Here(seen), Some(confirmed)) => seen == confirmed,
                (Seen::Absent(_) | Seen::Unknown(_), Some(_)) => false,
            };
            if !is_confirmed {
                log.away[family].get_or_insert(now);
            } else if let Some(since) = log.away[family].take() {
                let by_clock = clock_trouble.is_some_and(|at| at >= since);
                log.returned[family] |= by_clock || now - since >= AWAY;
            }
        }
    }

    /// Judges an update that leaves after a look that began at `looked`; `refresh` is the host's period,
    /// and `wall` what the clock shows.
    pub fn leaves(
        &mut self,
        (host, wishes, refresh): (&str, &PerFamily<Wish>, Option<u64>),
        (looked, wall): (Millis, u64),
    ) -> Result<(), String> {
        self.figures.updates += 1;
        for (_, wish) in wishes.iter() {
            let Wish::Set(addresses) = wish else { continue };
            if let Some(address) = addresses.iter().find(|address| !self.had(*address, looked)) {
                return Err(format!(
                    "(a) {host} is sent {address}, which the machine does not have"
                ));
            }
        }
        let log = self.hosts.entry(host.to_owned()).or_default();
        if std::mem::take(&mut log.has_lost_zone) {
            self.state_lost = Some(looked);
        }
        let reason = |family: Family| match &wishes[family] {
            Wish::Leave => false,
            Wish::Remove => log.confirmed[family].is_some() || log.doubt[family],
            Wish::Set(addresses) => {
                let age = wall.saturating_sub(log.confirmed_at[family]);
                log.confirmed[family].as_ref() != Some(addresses)
                    || log.doubt[family]
                    || log.returned[family]
                    || log.to_be_put_right[family]
                    || refresh.is_some_and(|period| age >= period)
            }
        };
        if Family::BOTH.into_iter().any(reason) {
            return Ok(());
        }
        Err(format!("(d) {host} is sent {wishes:?} again, without a reason"))
    }

    /// Judges a use of a secret for a host.
    pub fn uses(&self, host: &str, secret: &str) -> Result<(), String> {
        if self.refused.contains(secret) {
            return Err(format!("(c) the refused secret {secret} is used again for {host}"));
        }
        Ok(())
    }

    /// Notes that the process heard the outcome of an update.
    pub fn heard(
        &mut self,
        (host, wishes): (&str, &PerFamily<Wish>),
        outcome: &Outcome,
        wall: u64,
    ) {
        let log = self.hosts.entry(host.to_owned()).or_default();
        for (family, wish) in wishes.iter() {
            let content = match wish {
                Wish::Leave => continue,
                Wish::Remove => None,
                Wish::Set(addresses) => Some(addresses.clone()),
            };
            match outcome {
                Outcome::Updated | Outcome::Unchanged => {
                    // Only the family itself puts the record right.
                    if log.drifted.is_none_or(|drifted| drifted == family) {
                        (log.drifted, log.to_be_put_right[family]) = (None, false);
                    }
                    (log.confirmed[family], log.confirmed_at[family]) = (content, wall);
                    // What is confirmed now may have gone before the answer came.
                    (log.doubt[family], log.away[family]) = (false, log.unseen[family]);
                    log.returned[family] = false;
                    log.servers_are_right = false;
                }
                Outcome::Deferred(deferral) => log.doubt[family] |= deferral.fault.leaves_doubt(),
                Outcome::Rejected(_) => {}
            }
        }
    }

    /// Notes that the process heard that a secret is refused.
    pub fn heard_refusal(&mut self, secret: &str) {
        self.figures.refused += 1;
        self.refused.insert(secret.to_owned());
    }

    /// Notes that the process heard that a secret is accepted.
    pub fn heard_success(&mut self, secret: &str) {
        self.accepted.insert(secret.to_owned());
    }

    /// Judges a check of the rights of a secret.
    pub fn checks(&mut self, secret: &str, now: Millis) -> Result<(), String> {
        self.figures.checks += 1;
        if !self.accepted.contains(secret) {
            return Err(format!("(h) {secret} is checked before its first success"));
        }
        match self.checked.insert(secret.to_owned(), now) {
            Some(before) if now - before < DAY - MINUTE => {
                let hours = (now - before) / HOUR;
                Err(format!("(h) {secret} is checked again after {hours} hours"))
            }
            _ => Ok(()),
        }
    }

    /// Judges a program that is run for a host: `before` was set and `now` is.
    pub fn program(
        &mut self,
        host: &str,
        (before, now): (PerFamily<Option<Addresses>>, PerFamily<Option<Addresses>>),
    ) -> Result<(), String> {
        self.figures.programs += 1;
        if before == now {
            return Err(format!("(g) the program of {host} is run although {now:?} stays"));
        }
        let log = self.hosts.entry(host.to_owned()).or_default();
        match log.told.replace(now) {
            Some(told) if told != before => Err(format!(
                "(g) the program of {host} was told of {told:?} and is told now that it was {before:?}"
            )),
            _ => Ok(()),
        }
    }

    /// What the program of a host was last told, if that has to be what is set.
    pub fn told(&self, host: &str) -> Option<&PerFamily<Option<Addresses>>> {
        self.hosts.get(host)?.told.as_ref()
    }

    /// Notes that the process saw that the servers hold what is set.
    pub fn servers_are_right(&mut self, host: &str) {
        self.hosts.entry(host.to_owned()).or_default().servers_are_right = true;
    }

    /// What is set for a host and may be changed by somebody else, so that it has to be put right.
    pub fn may_drift(&self, host: &str, family: Family) -> Option<&Addresses> {
        let log = self.hosts.get(host)?;
        let is_known = log.servers_are_right && !log.doubt[family];
        log.confirmed[family].as_ref().filter(|_| is_known)
    }

    /// Notes that somebody else changed a record of a host.
    pub fn drifted(&mut self, host: &str, family: Family) {
        self.figures.drifts += 1;
        let log = self.hosts.entry(host.to_owned()).or_default();
        log.drifted = Some(family);
        log.to_be_put_right = PerFamily { v4: true, v6: true };
    }

    /// Notes that the process heard that it shall leave a zone alone for `wait`.
    pub fn heard_pause(&mut self, zone: &str, now: Millis, wait: Millis) {
        self.figures.throttled += 1;
        let until = self.pauses.entry(zone.to_owned()).or_default();
        *until = (now + wait).max(*until);
    }

    /// Judges an update that arrives in a zone.
    pub fn arrives(&mut self, zone: &str, now: Millis) -> Result<(), String> {
        match self.pauses.get(zone) {
            Some(until) if now + SECOND < *until => {
                let left = (until - now) / SECOND;
                Err(format!("(c) {zone} is asked {left} s before the end of its pause"))
            }
            _ => Ok(()),
        }
    }

    /// Judges a refusal for the pace of which only this machine is the cause.
    pub fn own_pace(&self, now: Millis) -> Result<(), String> {
        let recent = |at: Option<Millis>| at.is_some_and(|at| at + 10 * MINUTE > now);
        if recent(self.clock_trouble) || recent(self.state_lost) || recent(self.woke) {
            return Ok(());
        }
        Err("(c) the machine's own requests exceed the pace".to_owned())
    }

    /// Judges a change of a record; `removes` if the host's records may be removed.
    pub fn changed(&self, change: &Change, removes: bool, now: Millis) -> Result<(), String> {
        let Change { host, family, before, after } = change;
        if before.is_empty() || !after.is_empty() {
            return Ok(());
        }
        // A request may arrive when the family has just come back.
        let just_back = self.back[*family].filter(|(back, _)| now - back < 2 * MINUTE);
        let mut gone = self.gone[*family].or(just_back.map(|(_, since)| since));
        let is_run = self.figures.runs > 0;
        // What was there between two runs from cron alone was there for none of them.
        if is_run && gone.is_some() {
            gone = self.hosts.get(host).and_then(|log| log.unseen[*family]);
        }
        // Runs from cron have no clock but that on the wall.
        let by_clock = |since| is_run && self.clock_trouble >= Some(since);
        let is_gone = gone.is_some_and(|since| now - since >= HOUR || by_clock(since));
        if removes && is_gone {
            return Ok(());
        }
        Err(format!("(a) the {} record of {host} is lost", family.record_type()))
    }

    /// Notes that a person asked for a new try.
    pub fn note_retry(&mut self) {
        self.refused.clear();
    }

    /// Notes that a run from cron ended, and whether it could save what it saw: the next one knows no more.
    pub fn run_ended(&mut self, could_save: bool) {
        for log in self.hosts.values_mut() {
            if could_save {
                log.unseen_saved = log.unseen;
            } else {
                log.unseen = log.unseen_saved;
            }
        }
        if !could_save {
            self.ended(&[], true);
        }
    }

    /// Notes that the process ended with updates of `hosts` under way; `unsaved` if it had learnt
    /// something that was not saved.
    pub fn ended(&mut self, hosts: &[String], unsaved: bool) {
        for host in hosts {
            self.hosts.entry(host.clone()).or_default().doubt = PerFamily { v4: true, v6: true };
        }
        // Its programs ended with it, and a check may have.
        self.hosts.values_mut().for_each(|log| log.told = None);
        self.checked.clear();
        if unsaved {
            self.forget();
        }
    }

    /// Notes that the state was lost.
    pub fn lost_state(&mut self, now: Millis) {
        self.state_lost = Some(now);
        self.hosts.values_mut().for_each(|log| log.has_lost_zone = true);
        self.forget();
    }

    fn forget(&mut self) {
        for log in self.hosts.values_mut() {
            log.doubt = PerFamily { v4: true, v6: true };
            (log.told, log.servers_are_right) = (None, false);
        }
        self.checked.clear();
        self.refused.clear();
        self.pauses.clear();
    }

    /// Notes that the clocks were wrong, or changed.
    ///
    /// `wall` is what the wall clock shows now, if it is set.
    pub fn note_clock(&mut self, now: Millis, wall: Option<u64>) {
        self.clock_trouble = Some(now);
        self.checked.clear();
        self.pauses.clear();
        for log in self.hosts.values_mut() {
            for family in Family::BOTH {
                let at = &mut log.confirmed_at[family];
                *at = wall.map_or(*at, |wall| wall.min(*at));
                log.returned[family] |= log.away[family].is_some();
            }
        }
    }
}
