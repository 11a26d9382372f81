//! Looks at the servers of zones: before a first update, after each, and at the slow poll.
//!
//! Decides which hosts they are asked about, and remembers what they say. The answers never change
//! an exit code or a hold.

use std::time::Duration;

use super::errand::{HostAnswers, LOOK, Out, Task, VerifyCase, Whom};
use super::short::Short;
use super::{Case, Now, Round, Stage};
use crate::core::address::{Family, PerFamily};
use crate::core::memory::{Entry, Key, VerifyFinding};
use crate::core::order::{self, SortedSet};
use crate::core::outcome::Outcome;
use crate::core::plan::{Host, Stand, TakeOver, Use, Wish};
use crate::core::settle::settle;
use crate::core::verify::{Drift, Due, VerifyVerdict, note_look, note_update};

/// The most hosts that are looked at in one round; the others are looked at in the next poll.
const MOST_LOOKS: usize = 64;

impl Round {
    /// Asks about hosts without a memory before anything is sent, those of each provider together:
    /// what the servers already hold is noted as set.
    pub(super) fn look_first(&mut self) {
        let is_blank = |entry: &Entry| {
            entry.families.iter().all(|(_, record)| {
                record.set.is_none() && record.sent.is_none() && record.removed.is_none()
            })
        };
        let mut wanting: Short<String, Vec<usize>> = Short::default();
        for &place in &self.ready {
            let case = &self.cases[place];
            let is_wanted = case.subject.is_verified
                && !case.was_looked_at
                && self.known(place).is_none_or(is_blank);
            if is_wanted && !self.wants_zone(place) {
                wanting.or_default(case.subject.provider.name.to_string()).push(place);
            }
        }
        for places in wanting.take() {
            let mut cases = Vec::with_capacity(places.len());
            for &place in &places {
                self.ready.remove(&place);
                let zone = self.known(place).and_then(|entry| entry.zone.clone());
                let case = &mut self.cases[place];
                (case.stage, case.was_looked_at) = (Stage::Preparing, true);
                let (now, before) = (case.wishes.clone(), PerFamily::default());
                let (subject, due) = (case.subject.clone(), Due { now, before });
                cases.push(VerifyCase { subject, zone, due });
            }
            let task = Task::Look { cases, whom: Whom::Own, limit: Some(LOOK) };
            self.send(Out::FirstLook(places), task);
        }
    }

    /// Notes what the servers held before first updates.
    pub(super) fn heard_first(
        &mut self,
        places: &[usize],
        answers: Vec<HostAnswers>,
        now: &Now,
        spread: f64,
    ) {
        for &place in places {
            self.cases[place].stage = Stage::Rest;
        }
        for HostAnswers { key, due, verdict, .. } in answers {
            let is_it = |place: &&usize| self.cases[**place].subject.host.key == key;
            let Some(&place) = places.iter().find(is_it) else { continue };
            if !matches!(verdict, VerifyVerdict::Right { .. }) {
                continue;
            }
            self.cases[place].wishes = PerFamily::default();
            let situation = self.situation(place, now, spread);
            let host = std::rc::Rc::clone(&self.cases[place].subject.host);
            let entry = self.entry_mut(place);
            // This is not the provider's answer: the credential has not been tried.
            let outcome = Outcome::Unchanged;
            let news = settle(&host, entry, &due.now, &outcome, &situation);
            note_update(entry, verdict, Duration::ZERO, true, situation.now);
            let verified = entry.verified.clone();
            let host_report = self.host_report(place);
            host_report.note_answer(due.now, outcome, news);
            host_report.note_verified(verified);
            self.join_lane(place);
        }
        for &place in places {
            if self.is_ready(place) {
                self.ready.insert(place);
            }
            self.take_up(place, now, spread);
        }
    }

    /// Asks whether all servers have what was set or confirmed for the hosts at `places`.
    pub(super) fn verify(&mut self, places: &SortedSet<usize>) {
        let (mut cases, mut hosts) = (Vec::new(), Vec::new());
        for &place in places {
            let Case { subject, at, .. } = &self.cases[place];
            let host_report = &self.report.hosts[*at];
            let is_wanted = subject.is_verified
                && host_report.has_succeeded()
                && host_report.verified.is_none();
            let Some(entry) = self.known(place).filter(|_| is_wanted) else { continue };
            let now = PerFamily::from_fn(|family| held(&subject.host, entry, family));
            let due = Due { now, before: host_report.before.clone() };
            hosts.push((subject.host.key.clone(), host_report.changed(Some(entry))));
            cases.push(VerifyCase { subject: subject.clone(), zone: entry.zone.clone(), due });
        }
        if cases.is_empty() {
            return;
        }
        self.send(Out::Verify(hosts), Task::Look { cases, whom: Whom::All, limit: None });
    }

    /// Remembers and reports the answers after updates; those about an earlier update are out of date.
    pub(super) fn heard_verified(
        &mut self,
        id: u64,
        hosts: &[(Key, bool)],
        answers: Vec<HostAnswers>,
        now: &Now,
    ) {
        for HostAnswers { key, due, verdict, took } in answers {
            let changed = hosts.iter().any(|(known, changed)| *known == key && *changed);
            let case = self.cases.iter().find(|case| case.subject.host.key == key);
            let (Some(case), Some(entry)) = (case, self.memory.hosts.get_mut(&key)) else {
                continue;
            };
            let is_newest = !self.out.iter().any(|(other, out)| *other > id && out.verifies(&key));
            let is_current =
                PerFamily::from_fn(|family| held(&case.subject.host, entry, family)) == due.now;
            if !is_newest || !is_current {
                continue;
            }
            // The state counts whole milliseconds, and zero means that no time was measured.
            let took = took.max(Duration::from_millis(1));
            note_update(entry, verdict, took, changed, now.wall);
            let verified = entry.verified.clone();
            self.report.hosts[case.at].note_verified(verified);
        }
    }

    /// Looks whether others have changed what is set, if this round is to do so.
    pub(super) fn look_for_drift(&mut self, now: &Now) {
        if !std::mem::take(&mut self.looks_due) {
            return;
        }
        let (suspects, right) = self.due_looks(now);
        if right.is_empty() {
            return self.look_at_all(suspects);
        }
        let task = Task::Look { cases: right, whom: Whom::First, limit: Some(LOOK) };
        self.send(Out::Drift(suspects), task);
    }

    fn look_at_all(&mut self, cases: Vec<VerifyCase>) {
        if !cases.is_empty() && !self.is_stopping {
            let task = Task::Look { cases, whom: Whom::All, limit: Some(LOOK) };
            self.send(Out::AllServers, task);
        }
    }

    /// Notes what the first server of each zone said; `suspects` are asked about at all servers, and so
    /// are hosts for which that server did not confirm what is set.
    pub(super) fn heard_drift(
        &mut self,
        mut suspects: Vec<VerifyCase>,
        answers: Vec<HostAnswers>,
        now: &Now,
    ) {
        for answer in answers {
            match answer.verdict {
                VerifyVerdict::Right { .. } => self.note_looked(answer, now),
                // The answer of one server alone is not enough.
                VerifyVerdict::Differs { .. } | VerifyVerdict::Unclear(_) => {
                    let is_it = |case: &&Case| case.subject.host.key == answer.key;
                    let Some(case) = self.cases.iter().find(is_it) else { continue };
                    let zone = self.memory.entry(&answer.key).and_then(|entry| entry.zone.clone());
                    let (subject, due) = (case.subject.clone(), answer.due);
                    suspects.push(VerifyCase { subject, zone, due });
                }
            }
        }
        self.look_at_all(suspects);
    }

    /// Notes what all servers said; a host whose record is to be put right has something to send.
    pub(super) fn heard_all_servers(&mut self, answers: Vec<HostAnswers>, now: &Now) {
        for answer in answers {
            let key = answer.key.clone();
            self.note_looked(answer, now);
            let is_it = |case: &Case| case.subject.host.key == key;
            let Some(place) = self.cases.iter().position(is_it) else { continue };
            if matches!(self.host_report(place).drift, Some(Drift::PutRight(_)))
                && self.cases[place].stage == Stage::Rest
            {
                self.decide(place, None, PerFamily::default(), now);
            }
        }
    }

    /// The hosts whose turn it is: those with a wrong record or never asked about, and those that
    /// were right.
    fn due_looks(&mut self, now: &Now) -> (Vec<VerifyCase>, Vec<VerifyCase>) {
        // The poll may come a little early, because it goes by another clock.
        const SLACK: Duration = Duration::from_secs(1);
        let interval = self.interval.saturating_sub(SLACK);
        let mut turns = Vec::new();
        for (place, case) in self.cases.iter().enumerate() {
            let host_report = &self.report.hosts[case.at];
            let Some(step) = host_report.step.as_ref().filter(|_| case.subject.is_verified) else {
                continue;
            };
            let rests = step.stands.iter().all(|(_, stand)| {
                matches!(stand, Stand::Absent(_) | Stand::NotAsked | Stand::Off | Stand::Right)
            });
            let last = self.looked.get(&case.subject.host.key).copied();
            let is_due = last.is_none_or(|last| now.steady.saturating_sub(last) >= interval);
            let is_right = step.stands.iter().any(|(_, stand)| *stand == Stand::Right);
            // Servers that do not have the last update yet are no sign of somebody else's.
            let key = &case.subject.host.key;
            let is_verified = !self.out.values().any(|out| out.verifies(key));
            let is_quiet = step.hold.is_none() && host_report.answers.is_empty() && is_verified;
            if is_right && rests && is_due && is_quiet && case.stage == Stage::Rest {
                turns.push((last, place));
            }
        }
        order::sort(&mut turns);
        let (mut doubtful, mut right) = (Vec::new(), Vec::new());
        for (_, place) in turns.into_iter().take(MOST_LOOKS) {
            let subject = self.cases[place].subject.clone();
            self.looked.insert(subject.host.key.clone(), now.steady);
            let Some(entry) = self.memory.entry(&subject.host.key) else { continue };
            let step = self.step(place);
            let is_right = |family| step.is_some_and(|step| step.stands[family] == Stand::Right);
            let before =
                entry.addresses().map(|family, set| set.clone().filter(|_| is_right(family)));
            let now = before.map(|_, set| set.clone().map_or(Wish::Leave, Wish::Set));
            let zone = entry.zone.clone();
            let case = VerifyCase { subject, zone, due: Due { now, before } };
            match entry.verified.as_ref().map(|verified| &verified.finding) {
                Some(VerifyFinding::Right { .. }) => right.push(case),
                Some(VerifyFinding::Wrong(_)) | None => doubtful.push(case),
            }
        }
        (doubtful, right)
    }

    /// Remembers and reports the result of a look at a host, if it is new and about what is set.
    fn note_looked(&mut self, answer: HostAnswers, now: &Now) {
        let HostAnswers { key, due, verdict, .. } = answer;
        let Some(case) = self.cases.iter().find(|case| case.subject.host.key == key) else {
            return;
        };
        let may_change = case.subject.host.take_over != TakeOver::Nothing;
        let entry = self.memory.entry_mut(&key);
        let set = entry.addresses();
        if due.before.iter().any(|(family, before)| before.is_some() && set[family] != *before) {
            return;
        }
        let drift = note_look(entry, verdict, may_change, now.wall);
        self.report.hosts[case.at].note_drift(drift);
    }
}

/// What the record of a family should hold, according to the memory.
fn held(host: &Host, entry: &Entry, family: Family) -> Wish {
    let record = &entry.families[family];
    match (&record.set, record.removed, &record.sent) {
        _ if host.families[family] == Use::Off => Wish::Leave,
        (_, _, Some(_)) | (None, None, None) => Wish::Leave,
        (Some(set), _, None) => Wish::Set(set.addresses.clone()),
        (None, Some(_), None) => Wish::Remove,
    }
}
