//! Zones: which hosts need theirs to be found before an update, and what the answers change.
//!
//! Asked once with the host's own token and remembered. The only host of a provider needs no
//! zone: it shares its pace with no other.

use std::rc::Rc;
use std::sync::Arc;

use super::errand::{Answer, Out, Subject, Task};
use super::short::Short;
use super::{Case, Now, Round, Shell, Stage};
use crate::core::address::PerFamily;
use crate::core::address::interface::InterfaceName;
use crate::core::memory::{Again, Entry, ZoneKey};
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Outcome, Rejection};
use crate::core::plan::Details;
use crate::core::protocol::manners::ZoneNeed;
use crate::core::protocol::step::ZoneAnswer;

/// The providers that are not asked for zones in this round.
#[derive(Debug, Default)]
pub(super) struct Silent {
    /// Those that return none: one question by each interface is enough.
    none: Vec<(String, Option<InterfaceName>)>,
    /// Those that asked for a pause, with that answer.
    paused: Short<String, Outcome>,
}

impl Round {
    /// Asks for the zones that are needed and not known, one at a time of each queue.
    pub(super) fn ask_for_zones(&mut self, now: &Now, spread: f64) {
        let mut busy: Vec<Rc<str>> = Vec::new();
        for out in self.out.values() {
            if let Out::Zone(place) = out {
                busy.push(self.cases[*place].subject.queue());
            }
        }
        let wanting: Vec<usize> =
            self.ready.iter().copied().filter(|place| self.wants_zone(*place)).collect();
        for place in wanting {
            if let Some((zone, id)) = self.cases[place].access.zone.clone() {
                self.cases[place].zone_asked = true;
                self.have_zone(place, &zone, Some(id));
                continue;
            }
            let Case { subject, access, .. } = &self.cases[place];
            let (bind, queue) = (subject.host.bind, subject.queue());
            let provider = subject.provider.name.to_string();
            if self.without_zones.none.contains(&(provider.clone(), bind)) {
                self.cases[place].zone_asked = true;
                continue;
            }
            let foregone = self.traffic.foregone(subject, access.identity, bind);
            if let Some(outcome) =
                foregone.or_else(|| self.without_zones.paused.get(&provider).cloned())
            {
                self.cases[place].zone_asked = true;
                self.give_up(place, &outcome, now, spread);
                continue;
            }
            if !busy.contains(&queue) {
                busy.push(queue);
                self.ask_for_zone(place);
            }
        }
    }

    fn ask_for_zone(&mut self, place: usize) {
        self.ready.remove(&place);
        let case = &mut self.cases[place];
        (case.stage, case.zone_asked) = (Stage::Preparing, true);
        let case = &self.cases[place];
        let details = Details::of(&case.subject.host, self.known(place));
        let (subject, credential) = (case.subject.clone(), case.access.credential.clone());
        let not_before = self.traffic.not_before(&subject);
        self.send(Out::Zone(place), Task::Zone { subject, credential, details, not_before });
    }

    /// Notes the answer about the zone of a host, with what it shows of the server.
    pub(super) fn heard_zone(
        &mut self,
        place: usize,
        (answer, lesson): (ZoneAnswer, Option<Outcome>),
        now: &Now,
        spread: f64,
        shell: &mut dyn Shell,
    ) {
        self.cases[place].stage = Stage::Rest;
        let Case { subject, access, .. } = &self.cases[place];
        let (subject, identity) = (subject.clone(), access.identity);
        let bind = subject.host.bind;
        if let Some(lesson) = &lesson {
            self.traffic.learn(&subject, identity, bind, lesson, now.steady);
        }
        let is_refused = matches!(&answer, ZoneAnswer::Outcome(Outcome::Rejected(_)));
        if is_refused && self.renew(&[place], identity, shell) && !self.is_stopping {
            return self.ask_for_zone(place);
        }
        let provider = subject.provider.name.to_string();
        match answer {
            ZoneAnswer::Silent => {
                self.without_zones.none.push((provider, bind));
            }
            ZoneAnswer::Zone(zone, id) => self.have_zone(place, &zone, id),
            ZoneAnswer::NoZone => {
                let detail = format!("no zone of this account holds {}", subject.host.key.host);
                let outcome = Outcome::rejected(Rejection::Host, detail);
                self.give_up(place, &outcome, now, spread);
            }
            ZoneAnswer::Outcome(outcome) => {
                if matches!(&outcome, Outcome::Deferred(why) if why.fault == Fault::Throttled) {
                    self.without_zones.paused.insert(provider, outcome.clone());
                }
                self.give_up(place, &outcome, now, spread);
            }
        }
        if self.is_ready(place) {
            self.ready.insert(place);
        }
        self.take_up(place, now, spread);
    }

    /// Notes the zone of a host, and its id where the provider has ids.
    fn have_zone(&mut self, place: usize, zone: &Hostname, id: Option<String>) {
        let provider = &self.cases[place].subject.host.key.provider;
        let zone_key = |zone| ZoneKey { provider: Arc::clone(provider), zone };
        self.memory.join_zone(&zone_key(None), zone_key(Some(zone.clone())));
        if self.entry_mut(place).settle_zone(zone, id) {
            // What was set in another zone is void: records that seemed right are sent too.
            self.host_report(place).ask_again = true;
            self.join_lane(place);
        }
    }

    /// Settles a host whose zone could not be found: it sends nothing more in this round.
    fn give_up(&mut self, place: usize, outcome: &Outcome, now: &Now, spread: f64) {
        self.cases[place].wishes = PerFamily::default();
        self.ready.remove(&place);
        self.settle(place, &PerFamily::default(), outcome, now, spread);
        if let Some(refusal) = outcome.credential_refusal() {
            self.park_company(place, refusal, now, spread);
        }
    }

    /// Whether a host waits until its zone is asked for.
    pub(super) fn wants_zone(&self, place: usize) -> bool {
        let case = &self.cases[place];
        !case.zone_asked
            && case.has_something_to_say()
            && needs_zone(&case.subject, self.known(place))
    }
}

impl Answer {
    /// The answer to a question for a zone that was not asked in time.
    pub fn no_zone(outcome: Outcome) -> Self {
        Self::Zone(ZoneAnswer::Outcome(outcome.clone()), Some(outcome))
    }
}

/// Whether a host that has something to send, and `entry` in the memory, needs a zone that is not
/// known.
pub fn needs_zone(subject: &Subject, entry: Option<&Entry>) -> bool {
    let (host, provider) = (&subject.host, &subject.provider);
    let has_id = || {
        let given = host.options.iter().any(|(name, _)| name == "zone-id");
        given || entry.is_some_and(|entry| entry.zone_id.is_some())
    };
    let known = host.zone.is_some() || entry.is_some_and(|entry| entry.zone.is_some());
    let known =
        known && (!provider.http.as_ref().is_some_and(|entry| entry.needs_zone_id()) || has_id());
    let matters = match provider.manners().zone {
        // The request that makes an update a change needs the zone.
        ZoneNeed::Shared => {
            let verified = entry.and_then(|entry| entry.verified.as_ref());
            let again = verified.and_then(|verified| verified.again);
            again == Some(Again::Untransferred) || subject.has_company
        }
        // Without the zone nothing can be sent.
        ZoneNeed::Always => true,
        ZoneNeed::Never => false,
    };
    matters && !known
}
