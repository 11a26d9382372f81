//! Finding the zone of a host, where the provider tells it and it matters.
//!
//! Asked once with the host's own token and remembered. A lone host of a provider needs no zone:
//! nobody shares its pace.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use super::perform::{Company, credential_refusal, renew, settle_one};
use super::{Engine, Planned, Report, has_something_to_say};
use crate::core::address::PerFamily;
use crate::core::address::interface::InterfaceName;
use crate::core::memory::{Again, Key, ZoneKey};
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Outcome, Rejection};
use crate::core::plan::Host;
use crate::core::protocol::desec::{self, ZoneAnswer};
use crate::core::protocol::manners::ZoneNeed;
use crate::core::protocol::powerdns;
use crate::core::protocol::{Answer, HttpRequest};
use crate::core::provider::{Protocol, Provider};
use crate::net::exchange::Silence;
use crate::net::http::Clients;
use crate::provider::desec::Zone;
use crate::provider::name_server::NameServer;

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
    let api_url = provider.api_url.as_deref();
    let request = match (provider.protocol, api_url, &provider.name_server) {
        (Protocol::Desec, Some(api_url), _) => desec::zone_request(api_url, host, credential),
        (Protocol::PowerDns, Some(api_url), _) => powerdns::zones_request(api_url, credential),
        (Protocol::Rfc2136, _, Some(server)) => {
            let server = NameServer { server, bind: *bind };
            let told = engine.waiting.during(&what, server.zone(host)).await;
            if let Err(Silence { fault, detail }) = &told {
                // It would keep every other host waiting as long.
                let learnt = Outcome::deferred(*fault, detail.clone());
                engine.traffic.learn(provider, plan.access.identity, *bind, &learnt);
            }
            return zone_of_server(told, host, server);
        }
        _ => return ZoneAnswer::Silent,
    };
    let request = HttpRequest { bind: *bind, ..request };
    let ca_file = provider.ca_file.as_deref().map(Path::new);
    let answer = match engine.waiting.during(&what, clients.send(&request, ca_file)).await {
        Ok(answer) => {
            let names = zone_names(&answer);
            match provider.protocol {
                Protocol::PowerDns => powerdns::zone_answer(host, &answer, names.as_deref()),
                _ => desec::zone_answer(host, &answer, names.as_deref()),
            }
        }
        // Nothing was sent, and the update would go the same way.
        Err(error) if !error.fault.leaves_doubt() => {
            ZoneAnswer::Outcome(Outcome::deferred(error.fault, error.detail))
        }
        Err(_) => ZoneAnswer::Silent,
    };
    let learnt = match &answer {
        ZoneAnswer::Outcome(outcome) => outcome.clone(),
        ZoneAnswer::NoZone | ZoneAnswer::Zone(_) => Outcome::Unchanged,
        ZoneAnswer::Silent => Outcome::deferred(Fault::Busy, "the zone was not told"),
    };
    engine.traffic.learn(provider, plan.access.identity, *bind, &learnt);
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

/// What a name server told about the zone of `host`.
fn zone_of_server(
    told: Result<Option<Hostname>, Silence>,
    host: &Hostname,
    NameServer { server, .. }: NameServer<'_>,
) -> ZoneAnswer {
    match told {
        Ok(Some(zone)) => ZoneAnswer::Zone(zone),
        Ok(None) => {
            let detail = format!(
                "{server} does not tell the zone of {host}; write zone in its [[host]] if it is right"
            );
            ZoneAnswer::Outcome(Outcome::rejected(Rejection::Host, detail))
        }
        Err(Silence { fault, detail }) => ZoneAnswer::Outcome(Outcome::deferred(fault, detail)),
    }
}

/// The names in a JSON list of zones; `None` when it is not one.
fn zone_names(answer: &Answer) -> Option<Vec<String>> {
    let zones: Vec<Zone> = serde_json::from_slice(&answer.body).ok()?;
    Some(zones.into_iter().map(|zone| zone.name).collect())
}
