//! What a fault does to the world when it begins and when it ends.

use std::net::IpAddr;
use std::path::PathBuf;

use homing::config::HostConfig;
use homing::core::address::{Addresses, Family};
use homing::core::memory::{Key, Memory};
use homing::os::clock::is_set;

use super::{Event, World};
use crate::years::faults::{Fault, Kind};
use crate::years::machine::{Signal, Topic};
use crate::years::providers::Service;
use crate::years::{HOUR, Millis, SECOND};

impl World {
    pub(super) fn begin(&mut self, at: usize) {
        let Fault { kind, choice, end, .. } = self.faults[at];
        self.journal.tell(self.now, || format!("{kind:?} begins, {choice}"));
        self.active.insert(at);
        match kind {
            Kind::Addresses => self.renumber_v4(),
            Kind::Prefixes | Kind::DeadPrefixes => self.renumber_v6(kind == Kind::Prefixes),
            Kind::FamilyGone => {
                self.kernel.prefixes.clear();
                self.after(0, Event::Kernel);
            }
            Kind::Link => {
                self.kernel.carrier = false;
                self.after(0, Event::Kernel);
            }
            Kind::Vpn => {
                self.kernel.tunnel = self.behind_nat.is_none();
                self.after(0, Event::Kernel);
            }
            Kind::Kills | Kind::StateLost => {
                self.kill();
                if kind == Kind::StateLost {
                    self.disk.saved = Memory::default();
                    self.journal.lost_state(self.now);
                }
                self.at(end, Event::Start);
            }
            Kind::KillsInARow => self.after(0, Event::KillAgain(at)),
            Kind::PowerLoss => self.lose_power(end),
            Kind::ClockUnset => {
                self.lose_power(self.now + 10 * SECOND);
                self.ahead = None;
                self.journal.note_clock(self.now, None);
            }
            Kind::ClockJumps => {
                const JUMPS: [i64; 8] = [-2, 2, -72, 72, -1, 1, 1000, -30];
                let hours = JUMPS[usize::try_from(choice % 8).unwrap_or_default()];
                let hour = i64::try_from(HOUR).unwrap_or_default();
                self.set_clock(self.ahead.map(|_| hours * hour + i64::from(choice % 60 < 30)));
            }
            Kind::DiskFull => self.disk.full = true,
            Kind::Drifts => self.let_drift(choice),
            Kind::Suspends => {
                if !self.is_off {
                    self.asleep_since = Some(self.now);
                }
            }
            Kind::Signals => {
                let signal = if choice % 2 == 0 { Signal::Round } else { Signal::Reload };
                if let Some(process) = &mut self.process {
                    process.signals.push_back(signal);
                }
            }
            Kind::Credentials => {
                let file = file_of(choice);
                let old = self.files[&file].clone();
                let new = format!("{}-{at}", old.split('-').next().unwrap_or_default());
                self.service(service_of(choice)).replace_secret(&old, &new);
                self.awaited.insert(at, (file, new));
            }
            Kind::Rights => {
                let host = self.host_of(choice);
                self.service(service_of(choice)).allow(&host, false);
            }
            Kind::Neighbours => self.after(0, Event::Neighbours(at)),
            Kind::Busy
            | Kind::EchoesLie
            | Kind::EchoesSilent
            | Kind::LostAnswers
            | Kind::Outage
            | Kind::Pages
            | Kind::ServerErrors
            | Kind::Slowness
            | Kind::Upstream => {}
        }
    }

    pub(super) fn end(&mut self, at: usize) {
        let Fault { kind, choice, .. } = self.faults[at];
        self.journal.tell(self.now, || format!("{kind:?} ends"));
        self.active.remove(&at);
        match kind {
            Kind::FamilyGone => self.bring_v6(),
            Kind::Link => {
                self.kernel.carrier = true;
                if choice % 2 == 0 {
                    self.renumber_v4();
                }
                if choice % 3 == 0 {
                    self.renumber_v6(choice % 2 == 0);
                }
                self.after(0, Event::Kernel);
            }
            Kind::Vpn => {
                self.kernel.tunnel = false;
                self.after(0, Event::Kernel);
            }
            Kind::PowerLoss => self.after(0, Event::Boot),
            Kind::ClockUnset => self.set_clock(Some(0)),
            Kind::ClockJumps => self.set_clock(self.ahead.map(|_| 0)),
            Kind::DiskFull => self.disk.full = false,
            Kind::Suspends => {
                if let Some(since) = self.asleep_since.take() {
                    self.slept += self.now - since;
                    self.journal.woke = Some(self.now);
                    if let Some(process) = &mut self.process {
                        process.clock_jumped = true;
                    }
                    self.after(0, Event::Kernel);
                }
            }
            Kind::Credentials => {
                if let Some((file, new)) = self.awaited.remove(&at) {
                    self.files.insert(file, new);
                    if let Some(process) = &mut self.process {
                        process.secrets_told = true;
                    }
                }
            }
            Kind::Rights => {
                let host = self.host_of(choice);
                self.service(service_of(choice)).allow(&host, true);
            }
            _ => {}
        }
    }

    /// Whether a fault of a kind strikes a service now.
    pub(super) fn strikes(&self, kind: Kind, service: usize) -> bool {
        let mut active = self.active.iter().map(|at| &self.faults[*at]);
        active.any(|fault| fault.kind == kind && service_of(fault.choice) == service)
    }

    /// What is chance about the active fault of a kind, if there is one.
    pub(super) fn is_active(&self, kind: Kind) -> Option<u64> {
        let mut active = self.active.iter().map(|at| &self.faults[*at]);
        active.find(|fault| fault.kind == kind).map(|fault| fault.choice)
    }

    pub(super) fn service(&mut self, number: usize) -> &mut dyn Service {
        match number {
            0 => &mut self.desec,
            1 => &mut *self.services[0],
            _ => &mut *self.services[1],
        }
    }

    pub(super) fn host_of(&self, choice: u64) -> String {
        let provider = ["desec", "dyn", "cloudflare"][service_of(choice)];
        let is_there = |host: &&HostConfig| &*self.config.providers[host.provider].name == provider;
        let hosts: Vec<_> = self.config.hosts.iter().filter(is_there).collect();
        let at = usize::try_from(choice / 3).unwrap_or_default() % hosts.len();
        hosts[at].host.key.host.to_string()
    }

    /// Lets somebody else change a record of a host whose servers are asked, unless the process could
    /// not know that it was right before.
    fn let_drift(&mut self, choice: u64) {
        let hosts = self.config.hosts.iter().filter(|host| host.verify.is_some());
        let hosts: Vec<Key> = hosts.map(|host| host.host.key.clone()).collect();
        let at = usize::try_from(choice / 2).unwrap_or_default() % hosts.len();
        let Key { host, provider } = &hosts[at];
        let is_asked = self.process.as_ref().is_some_and(|process| process.is_asking(host));
        let (family, address) = if choice.is_multiple_of(2) {
            (Family::V4, IpAddr::from([203, 0, 114, 66]))
        } else {
            (Family::V6, IpAddr::from([0x2a00, 0x1450, 0xbad, 0, 0, 0, 0, 66]))
        };
        let held = self.service_named(provider).records(host.as_str());
        let held = Addresses::new(held[family].iter().copied());
        let set = self.journal.may_drift(host.as_str(), family);
        if is_asked || set.is_none() || held.as_ref() != set {
            return;
        }
        let now = self.now;
        self.service(number_of(provider)).change_by_others(host.as_str(), address, now);
        self.journal.drifted(host.as_str(), family);
    }

    /// The service of a provider.
    pub(super) fn service_named(&self, provider: &str) -> &dyn Service {
        match number_of(provider) {
            0 => &self.desec,
            1 => &*self.services[0],
            _ => &*self.services[1],
        }
    }

    pub(super) fn lose_power(&mut self, until: Millis) {
        self.kill();
        self.is_off = true;
        self.asleep_since = None;
        self.off_until = self.off_until.max(until);
        self.at(until, Event::Boot);
    }

    pub(super) fn boot(&mut self) {
        if !self.is_off || self.now < self.off_until {
            return;
        }
        (self.is_off, self.boot_at, self.slept) = (false, self.now, 0);
        let has_v6 = !self.kernel.prefixes.is_empty();
        self.kernel.prefixes.clear();
        if has_v6 {
            self.bring_v6();
        }
        self.after(3 * SECOND, Event::Start);
    }

    pub(super) fn set_clock(&mut self, ahead: Option<i64>) {
        if self.ahead == ahead {
            return;
        }
        self.ahead = ahead;
        let wall = self.wall();
        self.journal.note_clock(self.now, is_set(wall).then_some(wall.millis()));
        if let Some(process) = &mut self.process {
            process.clock_jumped = true;
        }
    }

    pub(super) fn kill(&mut self) {
        let Some(process) = self.process.take() else { return };
        let hosts = process.errands.values().filter_map(|conversation| match &conversation.topic {
            Topic::Update(request) => Some(request),
            Topic::Greet(_) | Topic::Zone(_) => None,
        });
        let hosts: Vec<String> = hosts
            .flat_map(|request| request.updates.iter().map(|update| update.host.to_string()))
            .collect();
        self.journal.ended(&hosts, process.round.memory != self.disk.saved);
    }
}

/// The number of a provider's service.
pub(super) fn number_of(provider: &str) -> usize {
    match provider {
        "desec" => 0,
        "dyn" => 1,
        _ => 2,
    }
}

/// The number of the service that a fault is about.
pub(super) fn service_of(choice: u64) -> usize {
    usize::try_from(choice % 3).unwrap_or_default()
}

/// The secret file that a fault is about.
fn file_of(choice: u64) -> PathBuf {
    let name = match (service_of(choice), choice / 3 % 3) {
        (0, 0) => "one",
        (0, 1) => "two",
        (0, _) => "three",
        (1, _) => "password",
        _ => "records",
    };
    PathBuf::from(format!("/t/{name}"))
}
