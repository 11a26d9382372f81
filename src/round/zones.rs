//! Finding the zone of a host, where the provider tells it and it matters.
//!
//! Asked once with the host's own token and remembered. A lone host of a provider needs no zone:
//! nobody shares its pace.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::perform::settle_one;
use super::{Engine, Planned, Report, has_something_to_say};
use crate::core::address::PerFamily;
use crate::core::outcome::{Fault, Outcome, Rejection};
use crate::core::plan::Wish;
use crate::core::protocol::Answer;
use crate::core::protocol::desec::{self, ZoneAnswer};
use crate::core::provider::Protocol;
use crate::core::secret::Fingerprint;
use crate::http::Clients;

/// Asks for the zones that are needed and not known; a host whose question fails is settled and
/// sends nothing more in this round.
pub async fn find(
    engine: &mut Engine,
    clients: &Clients,
    planned: &mut [Planned],
    report: &mut Report,
    stop: &Cell<bool>,
) {
    let mut refused: BTreeSet<Fingerprint> = BTreeSet::new();
    let mut paused: Option<Outcome> = None;
    for plan in planned.iter_mut() {
        if stop.get() || !is_needed(engine, plan) {
            continue;
        }
        let host = engine.config.hosts[plan.at].host.key.clone();
        let provider = &engine.config.providers[engine.config.hosts[plan.at].provider];
        let Some(api_url) = provider.api_url.as_deref() else { continue };
        let identity = plan.access.identity;
        let answer = if let Some(outcome) = &paused {
            ZoneAnswer::Outcome(outcome.clone())
        } else if refused.contains(&identity) {
            ZoneAnswer::Outcome(Outcome::rejected(Rejection::Credential, "refused just before"))
        } else {
            let request = desec::zone_request(api_url, &host.host, &plan.access.credential);
            let ca_file = provider.ca_file.as_deref().map(std::path::Path::new);
            let what = format!("waiting for {} to tell the zone of {}", provider.name, host.host);
            let asked = engine.waiting.during(&what, clients.send(&request, ca_file)).await;
            tokio::time::sleep(desec::LEAST_GAP).await;
            match asked {
                Ok(answer) => {
                    let names = zone_names(&answer);
                    desec::zone_answer(&host.host, &answer, names.as_deref())
                }
                // Nothing was sent, and the update would go the same way.
                Err(error) if !error.fault.leaves_doubt() => {
                    ZoneAnswer::Outcome(Outcome::deferred(error.fault, error.detail))
                }
                Err(_) => ZoneAnswer::Silent,
            }
        };
        let outcome = match answer {
            ZoneAnswer::Silent => continue,
            ZoneAnswer::Zone(zone) => {
                engine.memory.entry_mut(&host).zone = Some(zone);
                continue;
            }
            ZoneAnswer::NoZone => {
                let detail = format!("no zone of this account holds {}", host.host);
                Outcome::rejected(Rejection::Host, detail)
            }
            ZoneAnswer::Outcome(outcome) => outcome,
        };
        match &outcome {
            Outcome::Rejected(refusal) if refusal.rejection == Rejection::Credential => {
                refused.insert(identity);
            }
            Outcome::Deferred(deferral) if deferral.fault == Fault::Throttled => {
                paused = Some(outcome.clone());
            }
            _ => {}
        }
        let wishes = std::mem::take(&mut plan.step.wishes);
        debug_assert!(wishes.iter().any(|(_, wish)| *wish != Wish::Leave), "only askers are asked");
        settle_one(engine, plan, &PerFamily::default(), &outcome, false, report);
    }
}

/// Whether the host has something to say, its provider tells zones, and others share them.
fn is_needed(engine: &Engine, plan: &Planned) -> bool {
    let host = &engine.config.hosts[plan.at];
    let provider = &engine.config.providers[host.provider];
    let known = host.host.zone.is_some()
        || engine.memory.entry(&host.host.key).is_some_and(|entry| entry.zone.is_some());
    let company = engine.config.hosts.iter().filter(|other| other.provider == host.provider);
    provider.protocol == Protocol::Desec
        && !known
        && has_something_to_say(&plan.step)
        && company.count() > 1
}

/// The names in a JSON list of zones; `None` when it is not one.
fn zone_names(answer: &Answer) -> Option<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Zone {
        name: String,
    }
    let zones: Vec<Zone> = serde_json::from_slice(&answer.body).ok()?;
    Some(zones.into_iter().map(|zone| zone.name).collect())
}
