//! Looks: what the kernel and the services outside tell the process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use homing::core::address::Family;
use homing::core::address::standing::{self, ServiceAnswer, ServiceId};
use homing::core::order::SortedSet;
use homing::core::round::{HostAccess, Look, Now, Observed, Occasion, Subject};
use homing::core::secret::Fingerprint;
use homing::core::source::{Outside, Service as Teller};
use homing::round::{Begun, look_of};
use homing::source::outside::ServiceAnswers;
use homing::source::sights::{self, LONGEST_VERDICT, Sights};
use homing::source::snapshot::{Snapshot, SourceFacts};

use super::{Event, World};
use crate::years::disk::{access, hash};
use crate::years::faults::Kind;
use crate::years::machine::{Looking, Process, millis};

impl World {
    pub(super) fn begin_look(&mut self, process: &mut Process, occasion: Occasion) {
        let now = self.now_of(process);
        process.round.set_clock(&now);
        let routes = Some(self.kernel.routes(self.steady()));
        let look = Begun { occasion, at: now.uptime, routes };
        process.looking = Some(Looking { look, begun: (self.now, self.steady()) });
        self.after(0, Event::Look(process.number));
    }

    pub(super) fn snapshot(&self, process: &Process) -> Snapshot {
        self.kernel.snapshot(&process.round.memory.renewals, self.steady())
    }

    pub(super) fn look(&mut self, process: &mut Process) {
        let Some(Looking { look, begun }) = process.looking.clone() else { return };
        let occasion = look.occasion;
        let snapshot = self.snapshot(process);
        let patience = if occasion.by_event { 0 } else { millis(LONGEST_VERDICT) };
        let config = Rc::clone(&self.config);
        if self.steady() < begun.1 + patience
            && SourceFacts::of(&config, &snapshot).awaits_verdict()
        {
            return self.after(100, Event::Look(process.number));
        }
        let now = self.now_of(process);
        let aside = standing::aside(&process.round.memory.services, now.wall);
        let mut asked = std::mem::take(&mut process.asked);
        let mut waits = 1;
        let sights = Sights::of(
            &config,
            (Ok(snapshot), aside),
            (&mut asked, occasion.by_event, now.steady),
            &mut |outside, family, aside| {
                let told = self.tell(outside, family, aside);
                waits +=
                    if told.said.iter().any(|(_, said)| said.answer.is_err()) { 3000 } else { 200 };
                told
            },
        );
        process.asked = asked;
        let lasts = waits / 2 + self.chance.below(waits);
        self.after(lasts, Event::Looked(process.number, Box::new(sights)));
    }

    /// What the services tell, asked in turn until enough agree.
    pub(super) fn tell(
        &self,
        outside: &Outside,
        family: Family,
        aside: &SortedSet<ServiceId>,
    ) -> ServiceAnswers {
        let able = || outside.services.iter().filter(|service| service.can_tell(family));
        let is_aside = |service: &&Teller| aside.contains(&service.known_as(family));
        let mut said: Vec<(String, ServiceAnswer)> = Vec::new();
        for service in able().filter(|it| !is_aside(it)).chain(able().filter(is_aside)) {
            let answer = self.told_by(&service.to_string(), family);
            let service = service.known_as(family);
            said.push((service.name.clone(), ServiceAnswer { service, answer: answer.clone() }));
            let Ok(address) = answer else { continue };
            let same = said.iter().filter(|(_, said)| said.answer.as_ref() == Ok(&address)).count();
            if same >= outside.agree {
                return ServiceAnswers { address: Ok(address), said };
            }
        }
        ServiceAnswers { address: Err("no service is believed".to_owned()), said }
    }

    pub(super) fn told_by(&self, service: &str, family: Family) -> Result<IpAddr, String> {
        const THIRD_PARTIES: [&str; 4] = ["amazon", "icanhazip", "ident.me", "ipify"];
        let silent = || Err(format!("{service} does not answer"));
        let number = THIRD_PARTIES.iter().position(|known| *known == service);
        let bit = number.map_or(4, |number| number as u64);
        if self.is_active(Kind::Upstream).is_some()
            || self.is_active(Kind::EchoesSilent).is_some_and(|choice| choice >> bit & 1 == 1)
        {
            return silent();
        }
        let lies = |choice: u64| number.is_some_and(|number| number as u64 == choice % 4);
        if self.is_active(Kind::EchoesLie).is_some_and(lies) {
            return Ok(match family {
                Family::V4 => IpAddr::V4(Ipv4Addr::new(8, 8, 9, 9)),
                Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2a00, 0x1450, 0xdead, 0, 0, 0, 0, 9)),
            });
        }
        self.reached()[family].map_or_else(silent, Ok)
    }

    pub(super) fn looked(&mut self, process: &mut Process, sights: &Sights) -> Result<(), String> {
        let Some(Looking { look: begun, begun: (at, _) }) = process.looking.take() else {
            return Ok(());
        };
        self.journal.figures.looks += 1;
        if process.unsaved_since.is_some() || process.waiting.report_by().is_some() {
            self.report(process);
        }
        process.looked = at;
        let now = self.now_of(process);
        let look = self.observe(process, sights, begun.occasion, &now);
        self.carry_out(process, &now, |round, spread, machine| {
            let errands = round.look(look, &now, spread, machine);
            round.keep_services(&sights::services(machine.config));
            errands
        })?;
        let (known, is_idle) = ((&*self.config, &process.round.report), process.is_idle());
        let spread = self.chance.spread();
        process.waiting.begin(known, sights, begun, is_idle, &now, spread);
        if process.is_idle() {
            self.report(process);
        }
        Ok(())
    }

    pub(super) fn observe(
        &mut self,
        process: &mut Process,
        sights: &Sights,
        occasion: Occasion,
        now: &Now,
    ) -> Look {
        let config = Rc::clone(&self.config);
        let accesses = self.accesses();
        let known = config.providers.iter();
        let known = known.filter(|it| process.round.memory.servers.contains_key(&*it.name));
        let servers = known.map(|it| (it.name.to_string(), hash(&[&it.place()]))).collect();
        process.round.begin(&accesses, servers, occasion, now);
        if occasion.reloaded {
            // A refusal that was heard while the addresses were looked at is tried again, too.
            self.journal.note_retry();
        }
        let problem = |_: &str| Fingerprint(1);
        let look = look_of(&config, sights, &process.round, accesses, occasion, problem);
        for Observed { subject, seen, .. } in &look.hosts {
            self.journal.note_seen(subject.host.key.host.as_str(), seen, self.now);
        }
        look
    }

    pub(super) fn accesses(&self) -> Vec<(Subject, Result<Rc<HostAccess>, String>)> {
        let each = self.subjects.iter();
        each.map(|subject| (subject.clone(), self.access(subject))).collect()
    }

    pub(super) fn access(&self, subject: &Subject) -> Result<Rc<HostAccess>, String> {
        access(&self.config, &self.files, subject)
    }
}
