//! Traffic: facts about servers and credentials that save a request.
//!
//! One rule for every request, for a zone or an update: the least gap between two to one deSEC
//! server, no second request with a refused credential, none to a server that was just found
//! unreachable.

use std::rc::Rc;
use std::time::Duration;

use super::errand::Subject;
use crate::core::address::interface::InterfaceName;
use crate::core::order::{SortedMap, SortedSet};
use crate::core::outcome::{Deferral, Fault, Outcome, Refusal};
use crate::core::secret::Fingerprint;

/// The facts; the moments of the last requests are kept from round to round.
#[derive(Debug, Default)]
pub struct Traffic {
    /// When the last request to each server that wants a gap was answered, by the steady clock.
    last: SortedMap<Rc<str>, Duration>,
    /// By the place that takes updates, the same for all entries that lead there; with the moment of
    /// the answer, by the steady clock.
    refused: SortedMap<(Rc<str>, Fingerprint), (Refusal, Duration)>,
    accepted: SortedSet<(Rc<str>, Fingerprint)>,
    /// By server and interface: another interface may still reach it.
    unreachable: SortedMap<(Rc<str>, Option<InterfaceName>), Deferral>,
    renewed: SortedSet<Fingerprint>,
}

impl Traffic {
    /// Forgets the facts that hold for one round only. If requests of the last round go on, refusals of
    /// credentials since `refused_since` are kept: hosts that waited behind them are not parked yet.
    pub fn begin_round(&mut self, refused_since: Option<Duration>) {
        let Self { last, mut refused, .. } = std::mem::take(self);
        refused.retain(|_, (_, at)| refused_since.is_some_and(|since| since <= *at));
        *self = Self { last, refused, ..Self::default() };
    }

    /// The outcome of a request by the interface `bind`, if it is known without sending.
    pub fn foregone(
        &self,
        subject: &Subject,
        identity: Fingerprint,
        bind: Option<InterfaceName>,
    ) -> Option<Outcome> {
        let refusal = self.refused.get(&(Rc::clone(&subject.place), identity));
        let deferral = || self.unreachable.get(&(Rc::clone(&subject.server), bind)).cloned();
        refusal
            .map(|(refusal, _)| Outcome::Rejected(refusal.clone()))
            .or_else(|| deferral().map(Outcome::Deferred))
    }

    /// Whether the server has accepted the credential in this round; until then only one
    /// request with it is sent at a time.
    pub fn is_accepted(&self, subject: &Subject, identity: Fingerprint) -> bool {
        self.accepted.contains(&(Rc::clone(&subject.place), identity))
    }

    /// The moment by the steady clock before which nothing may leave for the host's server.
    pub fn not_before(&self, subject: &Subject) -> Option<Duration> {
        let gap = subject.provider.manners().least_gap?;
        self.last.get(&subject.server).map(|last| *last + gap)
    }

    /// Learns from the outcome of a finished request by the interface `bind`.
    pub fn learn(
        &mut self,
        subject: &Subject,
        identity: Fingerprint,
        bind: Option<InterfaceName>,
        outcome: &Outcome,
        steady: Duration,
    ) {
        if subject.provider.manners().least_gap.is_some() {
            self.last.insert(Rc::clone(&subject.server), steady);
        }
        let key = (Rc::clone(&subject.place), identity);
        match outcome {
            Outcome::Updated | Outcome::Unchanged => {
                self.accepted.insert(key);
            }
            Outcome::Rejected(refusal) if refusal.rejection.is_the_credentials() => {
                self.refused.insert(key, (refusal.clone(), steady));
            }
            // The provider refused something other than the credential.
            Outcome::Rejected(_) => {
                self.accepted.insert(key);
            }
            Outcome::Deferred(deferral) => match deferral.fault {
                Fault::Unreachable => {
                    self.unreachable.insert((Rc::clone(&subject.server), bind), deferral.clone());
                }
                // The result of the lost request is not known, but the next requests need not
                // wait as long for nothing.
                Fault::Lost => {
                    let detail = format!("not asked: a moment ago, {}", deferral.detail);
                    let deferral =
                        Deferral { fault: Fault::Unreachable, detail, retry_after: None };
                    self.unreachable.insert((Rc::clone(&subject.server), bind), deferral);
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
