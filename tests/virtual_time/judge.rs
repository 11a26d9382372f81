//! The judge of a life: what the source held, what the servers were sent, and what is wrong with that.
//!
//! Knows nothing of the program's memory: it judges by what the test did and by what arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use homing::core::address::{Family, PerFamily};
use homing::core::protocol::Answer;

use super::{HOSTS, Server};
use crate::years::providers::{Change, Complaint, Reply};
use crate::years::{DAY, HOUR, MINUTE, Millis, SECOND};

/// The addresses in the source's file.
pub type Held = PerFamily<Option<IpAddr>>;

/// How long the test itself may take for a change.
const SLACK: Millis = 200;

/// What was done, for the report.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Requests that were received.
    pub requests: u64,
    /// Records that were written.
    pub writes: u64,
    /// Answers other than a server's own.
    pub faults: u64,
    /// Starts of the program.
    pub starts: u64,
    /// How the program ended, by its exit code or signal.
    pub ends: BTreeMap<String, u64>,
    /// Waits of the program that ended.
    pub waits: u64,
}

/// What there is to say against the program.
#[derive(Debug, Default)]
pub struct Judge {
    /// The figures.
    pub figures: Figures,
    /// What is wrong, each with its moment.
    pub complaints: Vec<String>,
    /// The contents of the source's file, each from its moment on.
    held: Vec<(Millis, Held)>,
    /// The hosts that the program cannot know to be right: they may be sent again.
    doubted: BTreeSet<&'static str>,
    /// When each host was last confirmed.
    confirmed: BTreeMap<String, Millis>,
    /// The last moment at which the clocks were wrong, or the state was lost.
    trouble: Option<Millis>,
    /// Until when the servers want no update, and since when, by the zone.
    pauses: BTreeMap<String, (Millis, Millis)>,
    /// How often each secret was refused, and may be.
    refused: BTreeMap<String, (u64, u64)>,
    /// Requests to each server since the last count, and reasons to send something.
    counts: [u64; 3],
    reasons: u64,
}

impl Judge {
    /// Notes what is wrong at a moment.
    pub fn complain(&mut self, now: Millis, what: &str) {
        self.complaints.push(format!("{}: {what}", moment(now)));
    }

    /// Notes what the source's file holds from now on.
    pub fn note_held(&mut self, now: Millis, held: Held) {
        self.held.push((now, held));
        self.doubt(HOSTS.iter().map(|host| host.name));
    }

    /// What the source's file holds.
    pub fn held(&self) -> Held {
        self.held.last().map(|(_, held)| *held).unwrap_or_default()
    }

    /// The address of `family` that it held before the one that it holds.
    pub fn held_before(&self, family: Family) -> Option<IpAddr> {
        let now = self.held()[family];
        let mut held = self.held.iter().rev().filter_map(|(_, held)| held[family]);
        held.find(|address| Some(*address) != now)
    }

    /// What it held when it last held something.
    pub fn last_held(&self) -> Held {
        let mut held = self.held.iter().rev().map(|(_, held)| *held);
        held.find(|held| held.v4.is_some()).unwrap_or_default()
    }

    /// Whether the file held `address` at any time since `since`.
    fn had(&self, address: IpAddr, since: Millis) -> bool {
        let ends = self.held.iter().skip(1).map(|(from, _)| from + SLACK).chain([Millis::MAX]);
        let mut held = self.held.iter().zip(ends);
        held.any(|((_, held), end)| {
            end >= since && held.iter().any(|(_, known)| *known == Some(address))
        })
    }

    /// Notes that these hosts may be sent again.
    fn doubt(&mut self, hosts: impl Iterator<Item = &'static str>) {
        self.reasons += 1;
        self.doubted.extend(hosts);
    }

    /// Notes that a server's answer was none, or not its own.
    pub fn note_fault(&mut self, server: Server) {
        self.figures.faults += 1;
        let hosts = HOSTS.iter().filter(|host| host.server == server);
        self.doubted.extend(hosts.map(|host| host.name));
    }

    /// Notes that the program ended or was started without having said all; with its state lost, or as
    /// a person asked it, it may begin everything anew.
    pub fn note_cut(&mut self, now: Millis, forgets: bool) {
        self.doubt(HOSTS.iter().map(|host| host.name));
        if forgets {
            self.note_trouble(now);
            self.pauses.clear();
        }
        // What was heard in the last second may not be saved.
        self.pauses.retain(|_, (_, since)| *since + SECOND < now);
        self.note_retry();
    }

    /// Notes that what the program has counted may not be what was sent.
    pub fn note_trouble(&mut self, now: Millis) {
        self.trouble = Some(now);
    }

    /// Notes that refused secrets may be tried once more.
    pub fn note_retry(&mut self) {
        self.reasons += 1;
        self.refused.values_mut().for_each(|(_, most)| *most += 3);
    }

    /// Notes that the clocks were set, or wrong.
    pub fn note_clock(&mut self, now: Millis) {
        self.note_cut(now, true);
    }

    /// Judges a request that arrives for `zone`, if it is an update.
    pub fn arrives(&mut self, server: Server, zone: Option<&str>, now: Millis) {
        self.figures.requests += 1;
        self.counts[server as usize] += 1;
        let Some((until, _)) = zone.and_then(|zone| self.pauses.get(zone)) else { return };
        if now + SECOND < *until {
            let left = (until - now) / SECOND;
            self.complain(now, &format!("(c) an update {left} s before the end of a pause"));
        }
    }

    /// Judges what a server carried out and answers; the source was read at `looked` or later.
    pub fn carried_out(&mut self, reply: &Reply, now: Millis, looked: Millis) {
        for Change { host, family, before, after } in &reply.changes {
            self.figures.writes += 1;
            for address in after {
                if !self.had(*address, looked) {
                    let held = &self.held[self.held.len().saturating_sub(3)..];
                    let what = format!("(a) {host} is sent {address}; the file held {held:?}");
                    self.complain(now, &what);
                }
            }
            if after.is_empty() && !before.is_empty() {
                let record = family.record_type();
                self.complain(now, &format!("(a) the {record} record of {host} is lost"));
            }
        }
        let hosts: BTreeSet<&String> = reply.changes.iter().map(|change| &change.host).collect();
        for host in hosts {
            let is_equal = |change: &Change| change.host == *host && change.before == change.after;
            let is_old =
                self.confirmed.get(host).is_none_or(|at| now >= at + DAY.saturating_sub(HOUR));
            let is_repeated = reply.changes.iter().filter(|it| it.host == *host).all(is_equal);
            if is_repeated && !is_old && !self.doubted.contains(host.as_str()) {
                self.complain(now, &format!("(d) {host} is sent the same without a reason"));
            }
        }
        match &reply.complaint {
            // How often a secret may be refused is judged where it is answered.
            Some(Complaint::Blocked(_)) if is_refusal(&reply.answer) => {}
            Some(Complaint::Blocked(what)) => self.complain(now, &format!("(c) {what}")),
            Some(Complaint::TooMany { own: true })
                if self.trouble.is_none_or(|at| at + 10 * MINUTE < now) =>
            {
                self.complain(now, "(c) the program's own requests exceed the pace");
            }
            Some(Complaint::TooMany { .. }) | None => {}
        }
    }

    /// Notes that the program was sent a server's own answer to an update of `zone` with `secret`.
    pub fn answered(&mut self, reply: &Reply, (zone, secret): (Option<&str>, &str), now: Millis) {
        if is_refusal(&reply.answer) {
            let (count, most) = self.refused.entry(secret.to_owned()).or_insert((0, 3));
            *count += 1;
            if count > most {
                let what =
                    format!("(c) the refused secret {secret} is used for the {count}th time");
                self.complain(now, &what);
            }
        }
        if let (Some(zone), Some(wait)) = (zone, reply.answer.retry_after) {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            self.pauses.insert(zone.to_owned(), (now + wait, now));
        }
        if reply.answer.status == 200 {
            for Change { host, .. } in &reply.changes {
                self.confirmed.insert(host.clone(), now);
                self.doubted.remove(host.as_str());
            }
        }
    }

    /// The requests to each server and the reasons since the last call.
    pub fn take_counts(&mut self) -> ([u64; 3], u64) {
        (std::mem::take(&mut self.counts), std::mem::take(&mut self.reasons))
    }
}

/// Whether an answer refuses the secret.
fn is_refusal(answer: &Answer) -> bool {
    answer.status == 401 || answer.body == b"badauth"
}

/// A moment in days and hours.
pub fn moment(now: Millis) -> String {
    let (hours, minutes) = (now / HOUR % 24, now / MINUTE % 60);
    let (seconds, millis) = (now / SECOND % 60, now % SECOND);
    format!("day {} at {hours:02}:{minutes:02}:{seconds:02}.{millis:03}", now / DAY)
}
