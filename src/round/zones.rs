//! Finding the zone of a host, where the provider tells it and it matters.
//!
//! Asked once with the host's own token and remembered. A lone host of a provider needs no zone:
//! nobody shares its pace.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::perform::{Company, credential_refusal, renew, settle_one};
use super::{Engine, Planned, Report, has_something_to_say};
use crate::core::address::PerFamily;
use crate::core::address::interface::InterfaceName;
use crate::core::memory::{Again, Key, ZoneKey};
use crate::core::outcome::{Fault, Outcome, Rejection};
use crate::core::plan::Host;
use crate::core::protocol::desec::ZoneAnswer;
use crate::core::protocol::manners::ZoneNeed;
use crate::core::protocol::talk::ZoneTalk;
use crate::core::provider::Provider;
use crate::net::http::Clients;
use crate::provider::carry::Carrier;

/// Asks for the zones that are needed and not known; a host whose question fails is settled and
/// sends nothing more in this round.
pub async fn find(
    engine: &mut Engine,
    clients: &Clients,
    planned: &mut [Planned],
    report: &mut Report,
    stop: &Cell<bool>,
) {
    let config = Rc::clone(&engine.config);
    let mut paused: BTreeMap<usize, Outcome> = BTreeMap::new();
    // Providers that do not tell zones, or not now: one question by each line is enough to know.
    let mut silent: BTreeSet<(usize, Option<InterfaceName>)> = BTreeSet::new();
    for place in 0..planned.len() {
        if stop.get() || !is_needed(engine, &planned[place]) {
            continue;
        }
        let at = config.hosts[planned[place].at].provider;
        let bind = config.hosts[planned[place].at].host.bind;
        if silent.contains(&(at, bind)) {
            continue;
        }
        let provider = &config.providers[at];
        let identity = planned[place].access.identity;
        let foregone = engine.traffic.foregone(provider, identity, bind);
        let answer = match foregone.or_else(|| paused.get(&at).cloned()) {
            Some(outcome) => ZoneAnswer::Outcome(outcome),
            None => match ask(engine, clients, provider, &planned[place]).await {
                ZoneAnswer::Outcome(Outcome::Rejected(_))
                    if renew(engine, planned, &[place], identity) =>
                {
                    ask(engine, clients, provider, &planned[place]).await
                }
                answer => answer,
            },
        };
        engine.pulse.beat();
        let host = &config.hosts[planned[place].at].host.key.host;
        let outcome = match answer {
            ZoneAnswer::Silent => {
                silent.insert((at, bind));
                continue;
            }
            ZoneAnswer::Zone(zone) => {
                let zone_key = |zone| ZoneKey { provider: provider.name.to_string(), zone };
                engine.memory.join_zone(&zone_key(None), zone_key(Some(zone.clone())));
                if engine.entry_of(&planned[place]).settle_zone(&zone) {
                    // What was set in another zone is void: what seemed right is to be sent, too.
                    report.host_mut(planned[place].at).ask_again = true;
                }
                continue;
            }
            ZoneAnswer::NoZone => {
                let detail = format!("no zone of this account holds {host}");
                Outcome::rejected(Rejection::Host, detail)
            }
            ZoneAnswer::Outcome(outcome) => outcome,
        };
        match &outcome {
            Outcome::Deferred(deferral) if deferral.fault == Fault::Throttled => {
                paused.insert(at, outcome.clone());
            }
            _ => {}
        }
        let plan = &mut planned[place];
        plan.step.wishes = PerFamily::default();
        settle_one(engine, plan, &PerFamily::default(), &outcome, report);
        if let Some(refusal) = credential_refusal(&outcome) {
            let identity = planned[place].access.identity;
            let company = Company { provider, identity, own: &[place] };
            company.park(engine, planned, report, refusal, &BTreeSet::new());
        }
    }
}

/// Asks for the zone of one host.
async fn ask(
    engine: &mut Engine,
    clients: &Clients,
    provider: &Provider,
    plan: &Planned,
) -> ZoneAnswer {
    let credential = &plan.access.credential;
    let config = Rc::clone(&engine.config);
    let Host { key: Key { host, .. }, bind, .. } = &config.hosts[plan.at].host;
    if let Some(moment) = engine.traffic.not_before(provider) {
        tokio::time::sleep_until(moment.into()).await;
    }
    let what = format!("waiting for {} to tell the zone of {host}", provider.name);
    let (talk, step) = ZoneTalk::begin(provider, host, credential);
    let carrier = Carrier { clients, provider, credential, path: None, bind: *bind };
    let talking = carrier.hold(step, |heard| talk.hear(heard));
    let answer = engine.waiting.during(&what, talking).await;
    if let Some(learnt) = talk.lesson(&answer) {
        engine.traffic.learn(provider, plan.access.identity, *bind, &learnt);
    }
    answer
}

/// Whether the host has something to say, its provider tells zones, and others share them.
fn is_needed(engine: &Engine, plan: &Planned) -> bool {
    let host = &engine.config.hosts[plan.at];
    let provider = &engine.config.providers[host.provider];
    let entry = engine.memory.entry(&host.host.key);
    let known = host.host.zone.is_some() || entry.is_some_and(|entry| entry.zone.is_some());
    let company = engine.config.hosts.iter().filter(|other| other.provider == host.provider);
    let matters = match provider.protocol.manners().zone {
        // What is to be a change goes by the zone.
        ZoneNeed::Shared => {
            let verified = entry.and_then(|entry| entry.verified.as_ref());
            let again = verified.and_then(|verified| verified.again);
            again == Some(Again::Untransferred) || company.count() > 1
        }
        // Without it there is nothing to send.
        ZoneNeed::Always => true,
        ZoneNeed::Never => false,
    };
    matters && !known && has_something_to_say(&plan.step)
}
