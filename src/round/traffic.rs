//! Traffic: facts about servers and credentials that save a request.
//!
//! One rule for every request, for a zone or an update: the least gap between two to one deSEC
//! server, no second request with a refused credential, none to a server that was just found
//! unreachable.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::core::address::interface::InterfaceName;
use crate::core::outcome::{Deferral, Fault, Outcome, Refusal};
use crate::core::provider::Provider;
use crate::core::secret::Fingerprint;
use crate::core::server::Server;
use crate::net::http::server_of;

/// The facts; the moments of the last requests are kept from round to round.
#[derive(Debug, Default)]
pub struct Traffic {
    /// When the last request to each server that wants a gap was answered.
    last: BTreeMap<String, Instant>,
    /// By the place that takes updates, the same for all entries that lead there.
    refused: BTreeMap<(String, Fingerprint), Refusal>,
    accepted: BTreeSet<(String, Fingerprint)>,
    /// By server and interface: another interface may still reach it.
    unreachable: BTreeMap<(String, Option<InterfaceName>), Deferral>,
    renewed: BTreeSet<Fingerprint>,
}

impl Traffic {
    /// Forgets the facts that hold for one round only.
    pub fn begin_round(&mut self) {
        let last = std::mem::take(&mut self.last);
        *self = Self { last, ..Self::default() };
    }

    /// The outcome of a request by the interface `bind`, if it is known without sending.
    pub fn foregone(
        &self,
        provider: &Provider,
        identity: Fingerprint,
        bind: Option<InterfaceName>,
    ) -> Option<Outcome> {
        let refusal = self.refused.get(&(provider.place(), identity)).cloned();
        let deferral = || self.unreachable.get(&(server(provider), bind)).cloned();
        refusal.map(Outcome::Rejected).or_else(|| deferral().map(Outcome::Deferred))
    }

    /// Whether the provider has accepted the credential in this round; until then only one
    /// request with it is sent at a time.
    pub fn is_accepted(&self, provider: &Provider, identity: Fingerprint) -> bool {
        self.accepted.contains(&(provider.place(), identity))
    }

    /// The moment before which nothing may leave for the provider's server.
    pub fn not_before(&self, provider: &Provider) -> Option<Instant> {
        let gap = provider.manners().least_gap?;
        self.last.get(&server(provider)).map(|last| *last + gap)
    }

    /// Learns from the outcome of a finished request by the interface `bind`.
    pub fn learn(
        &mut self,
        provider: &Provider,
        identity: Fingerprint,
        bind: Option<InterfaceName>,
        outcome: &Outcome,
    ) {
        if provider.manners().least_gap.is_some() {
            self.last.insert(server(provider), Instant::now());
        }
        let key = (provider.place(), identity);
        match outcome {
            Outcome::Updated | Outcome::Unchanged => {
                self.accepted.insert(key);
            }
            Outcome::Rejected(refusal) if refusal.rejection.is_the_credentials() => {
                self.refused.insert(key, refusal.clone());
            }
            // The provider refused something other than the credential.
            Outcome::Rejected(_) => {
                self.accepted.insert(key);
            }
            Outcome::Deferred(deferral) => match deferral.fault {
                Fault::Unreachable => {
                    self.unreachable.insert((server(provider), bind), deferral.clone());
                }
                // The result of the lost request is not known, but the next requests need not
                // wait as long for nothing.
                Fault::Lost => {
                    let detail = format!("not asked: a moment ago, {}", deferral.detail);
                    let deferral =
                        Deferral { fault: Fault::Unreachable, detail, retry_after: None };
                    self.unreachable.insert((server(provider), bind), deferral);
                }
                // The server has trouble, but not with the credential.
                Fault::NotShown
                | Fault::Refused
                | Fault::Server
                | Fault::Unintelligible
                | Fault::Unread => {
                    self.accepted.insert(key);
                }
                Fault::Busy
                | Fault::Clock
                | Fault::Skew
                | Fault::Storage
                | Fault::Throttled
                | Fault::Tls => {}
            },
        }
    }

    /// Whether to read the secret behind `identity` again after its refusal: once a round.
    pub fn may_renew(&mut self, identity: Fingerprint) -> bool {
        self.renewed.insert(identity)
    }
}

/// The name of the queue of requests to a provider: its server, for all entries, where that takes
/// one at a time, otherwise the provider itself.
pub fn queue_name(provider: &Provider) -> String {
    match provider.manners().most_at_once {
        1 => server(provider),
        _ => provider.name.to_string(),
    }
}

/// The server whose limits count: deSEC's update and API hosts share theirs. A file is its own.
fn server(provider: &Provider) -> String {
    let url = provider.api_url.as_deref().or(provider.update_url.as_deref());
    let name_server = || provider.name_server.as_ref().map(Server::to_string);
    url.map(server_of).or_else(name_server).unwrap_or_else(|| provider.name.to_string())
}
