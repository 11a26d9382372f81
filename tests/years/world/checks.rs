//! Whether all is well: at some time after the last fault of each cycle, and from then on to its end.

use std::collections::BTreeSet;

use homing::config::{HostConfig, SourceRef};
use homing::core::address::Family;
use homing::core::memory::{Entry, Memory};
use homing::core::name::Hostname;

use super::{Event, World};
use crate::years::faults::{CYCLE, Fault, Kind};
use crate::years::machine::millis;
use crate::years::{DAY, HOUR, MINUTE, Millis};

/// The longest time after the last fault until everything is right, besides two slow polls: an hour of
/// backoff, an hour beyond a pause, and the pace of a zone.
pub const BOUND: Millis = 3 * HOUR;

/// The same after a refusal that is tried again once a day.
pub const DAILY: Millis = 25 * HOUR;

/// When everything has to be right.
#[derive(Clone, Copy)]
pub struct Check {
    /// Since when nothing is wrong any more.
    since: Millis,
    until: Millis,
    /// Whether something may wait for a try once a day.
    is_daily: bool,
    /// Whether it was right before, so that it has to be.
    again: bool,
}

impl World {
    /// Plans when everything has to be right: at some time after the last fault of each cycle, and from
    /// then on to its end.
    pub(super) fn plan_checks(&mut self, days: u64) {
        for cycle in 0..(days * DAY).div_ceil(CYCLE) {
            let (begin, end) = (cycle * CYCLE, (cycle + 1) * CYCLE);
            let faults = self.faults.iter().filter(|fault| (begin..end).contains(&fault.begin));
            let faults: Vec<Fault> = faults.copied().collect();
            let since = faults.iter().map(|fault| fault.end).max().unwrap_or(begin);
            let of = |kind: Kind| faults.iter().filter(|fault| fault.kind == kind).count();
            // A record is put right once a day.
            let is_daily = of(Kind::Rights) > 0 || of(Kind::Drifts) > 1;
            let bound = if is_daily { DAILY } else { BOUND };
            let until = since + bound + 2 * millis(self.config.daemon.interval);
            let until = until + self.cron.unwrap_or_default();
            self.at(since + 1, Event::Check(Check { since, until, is_daily, again: false }));
            self.at(end - 1, Event::Check(Check { since, until: end, is_daily, again: true }));
        }
    }

    pub(super) fn check(&mut self, check: Check) -> Result<(), String> {
        self.is_told()?;
        let Err(what) = self.is_right() else {
            if !check.again && !check.is_daily {
                let slowest = &mut self.journal.figures.slowest;
                *slowest = (*slowest).max(self.now - check.since);
            }
            return Ok(());
        };
        if check.again || self.now >= check.until {
            let minutes = (self.now - check.since) / MINUTE;
            return Err(format!("(b) {minutes} minutes after the last fault {what}"));
        }
        self.after(MINUTE, Event::Check(check));
        Ok(())
    }

    pub(super) fn is_right(&self) -> Result<(), String> {
        let reached = self.reached();
        for host in &self.config.hosts {
            let (name, provider) = (&host.host.key.host, &self.config.providers[host.provider]);
            let service = self.service_named(&provider.name);
            let held = service.records(name.as_str());
            for family in Family::BOTH {
                let Some(address) = reached[family] else { continue };
                if host.sources[family].is_none() || is_interface_behind_nat(self, host, family) {
                    continue;
                }
                if held[family] != BTreeSet::from([address]) {
                    let (held, state) = (&held[family], self.state_of(name));
                    return Err(format!("{name} holds {held:?} in place of {address}: {state}"));
                }
            }
        }
        Ok(())
    }

    /// What the process remembers, or would if it ran.
    fn memory(&self) -> &Memory {
        self.process.as_ref().map_or(&self.disk.saved, |process| &process.round.memory)
    }

    /// Whether each program was told what is set now.
    fn is_told(&self) -> Result<(), String> {
        if self.process.as_ref().is_some_and(|process| !process.is_idle()) {
            return Ok(());
        }
        for host in &self.config.hosts {
            let key = &host.host.key;
            let set = self.memory().entry(key).map(Entry::addresses).unwrap_or_default();
            if let Some(told) = self.journal.told(key.host.as_str()).filter(|told| **told != set) {
                return Err(format!("(g) the program of {} knows {told:?}, not {set:?}", key.host));
            }
        }
        Ok(())
    }

    /// What the process remembers of a host.
    pub(super) fn state_of(&self, name: &Hostname) -> String {
        let entry = self.memory().hosts.iter().find(|(key, _)| key.host == *name);
        let entry = entry.map(|(_, entry)| entry);
        let Some(process) = &self.process else { return format!("no process runs; {entry:?}") };
        let mut reports = process.round.report.hosts.iter();
        let report = reports.find(|report| report.host.key.host == *name);
        let next = process.round.report.next.map(|next| next.since(self.now_of(process).wall));
        let check = millis(process.waiting.next_check(&self.now_of(process)));
        let wait = check.saturating_sub(self.uptime());
        let errands = process.errands.len();
        format!(
            "{entry:?}\nseen {:?}\nstep {:?}\nnext {next:?}, checked in {wait} ms, {errands} errands",
            report.map(|report| &report.seen),
            report.map(|report| &report.step),
        )
    }
}

/// Whether a source is an interface that has only a private address.
fn is_interface_behind_nat(world: &World, host: &HostConfig, family: Family) -> bool {
    let named = matches!(host.sources[family], Some(SourceRef::Named(0)));
    named && family == Family::V4 && world.behind_nat.is_some()
}
