//! Finds the zone of a host, if the provider returns it and it matters.
//!
//! Asked once with the host's own token and remembered. The only host of a provider needs no
//! zone: it shares its pace with no other.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::perform::{Company, moment};
use super::{Engine, Planned, Round, has_something_to_say};
use crate::core::address::PerFamily;
use crate::core::address::interface::InterfaceName;
use crate::core::memory::{Again, ZoneKey};
use crate::core::outcome::{Fault, Outcome, Rejection};
use crate::core::plan::Details;
use crate::core::protocol::manners::ZoneNeed;
use crate::core::protocol::step::ZoneAnswer;
use crate::core::protocol::talk::{ZoneJob, ZoneTalk};
use crate::provider::carry::Carrier;

impl Round<'_> {
    /// Asks for the zones that are needed and not known; a host whose question fails is settled
    /// and sends nothing more in this round.
    pub async fn find_zones(&mut self) {
        let config = Rc::clone(&self.engine.config);
        let mut paused: BTreeMap<usize, Outcome> = BTreeMap::new();
        // Providers that return no zones, or not now: one question by each interface is enough.
        let mut silent: BTreeSet<(usize, Option<InterfaceName>)> = BTreeSet::new();
        for place in 0..self.planned.len() {
            if self.stop.get() || !needs_zone(self.engine, &self.planned[place]) {
                continue;
            }
            let (host, provider) = self.planned[place].configured(&config);
            let (at, bind) = (host.provider, host.host.bind);
            if silent.contains(&(at, bind)) {
                continue;
            }
            let identity = self.planned[place].access.identity;
            let foregone = self.engine.traffic.foregone(provider, identity, bind);
            let answer = match foregone.or_else(|| paused.get(&at).cloned()) {
                Some(outcome) => ZoneAnswer::Outcome(outcome),
                None => match self.ask_for_zone(place).await {
                    ZoneAnswer::Outcome(Outcome::Rejected(_)) if self.renew(&[place], identity) => {
                        self.ask_for_zone(place).await
                    }
                    answer => answer,
                },
            };
            self.engine.pulse.beat();
            let outcome = match answer {
                ZoneAnswer::Silent => {
                    silent.insert((at, bind));
                    continue;
                }
                ZoneAnswer::Zone(zone, id) => {
                    let zone_key = |zone| ZoneKey { provider: provider.name.to_string(), zone };
                    self.engine.memory.join_zone(&zone_key(None), zone_key(Some(zone.clone())));
                    if self.entry_mut(place).settle_zone(&zone, id) {
                        // What was set in another zone is void: records that seemed right are sent too.
                        self.host_report(place).ask_again = true;
                    }
                    continue;
                }
                ZoneAnswer::NoZone => {
                    let detail = format!("no zone of this account holds {}", host.host.key.host);
                    Outcome::rejected(Rejection::Host, detail)
                }
                ZoneAnswer::Outcome(outcome) => outcome,
            };
            if matches!(&outcome, Outcome::Deferred(why) if why.fault == Fault::Throttled) {
                paused.insert(at, outcome.clone());
            }
            self.planned[place].step.wishes = PerFamily::default();
            self.settle(place, &PerFamily::default(), &outcome);
            if let Some(refusal) = outcome.credential_refusal() {
                let identity = self.planned[place].access.identity;
                let company = Company { provider, identity, own: &[place] };
                self.park(&company, refusal, &BTreeSet::new());
            }
        }
    }

    /// Asks for the zone of one host.
    async fn ask_for_zone(&mut self, place: usize) -> ZoneAnswer {
        let plan = &self.planned[place];
        let credential = &plan.access.credential;
        let (host, provider) = plan.configured(&self.engine.config);
        let (name, bind) = (&host.host.key.host, host.host.bind);
        if let Some(moment) = self.engine.traffic.not_before(provider) {
            tokio::time::sleep_until(moment.into()).await;
        }
        let what = format!("waiting for {} to tell the zone of {name}", provider.name);
        let details = Details::of(&host.host, self.known(place));
        let zone = host.host.zone.as_ref();
        let moment = moment(&self.engine.clock);
        let job = ZoneJob { provider, credential, host: name, zone, details: &details, moment };
        let (mut talk, step) = ZoneTalk::begin(&job);
        let carrier = Carrier { clients: self.clients, provider, credential, path: None, bind };
        let talking = carrier.hold(step, |heard| talk.hear(heard));
        let answer = self.engine.waiting.during(&what, talking).await;
        if let Some(learnt) = talk.lesson(&answer) {
            self.engine.traffic.learn(provider, plan.access.identity, bind, &learnt);
        }
        answer
    }
}

/// Whether the host of `plan` has something to send, and needs a zone that is not known.
pub fn needs_zone(engine: &Engine, plan: &Planned) -> bool {
    let (host, provider) = plan.configured(&engine.config);
    let entry = engine.memory.entry(&host.host.key);
    let has_id = || {
        let given = host.host.options.iter().any(|(name, _)| name == "zone-id");
        given || entry.is_some_and(|entry| entry.zone_id.is_some())
    };
    let known = host.host.zone.is_some() || entry.is_some_and(|entry| entry.zone.is_some());
    let known =
        known && (!provider.http.as_ref().is_some_and(|entry| entry.needs_zone_id()) || has_id());
    let hosts = engine.config.hosts.iter();
    let matters = match provider.manners().zone {
        // The request that makes an update a change needs the zone.
        ZoneNeed::Shared => {
            let verified = entry.and_then(|entry| entry.verified.as_ref());
            let again = verified.and_then(|verified| verified.again);
            again == Some(Again::Untransferred)
                || hosts.filter(|other| other.provider == host.provider).count() > 1
        }
        // Without the zone nothing can be sent.
        ZoneNeed::Always => true,
        ZoneNeed::Never => false,
    };
    matters && !known && has_something_to_say(&plan.step)
}
