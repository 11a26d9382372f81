//! Asking a provider that an entry describes for what no step of the entry is about: the token side's
//! requests, and the zone of a host.
//!
//! A request that came too early is sent again. Decides nothing about a host.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::Trouble;
use super::carry::Carrier;
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Rejection};
use crate::core::plan::Details;
use crate::core::protocol::http::answer::{self, Meaning, Rules};
use crate::core::protocol::http::rows::tree_of;
use crate::core::protocol::http::signing::Sign;
use crate::core::protocol::step::{Heard, Moment, ZoneAnswer};
use crate::core::protocol::talk::{ZoneJob, ZoneTalk};
use crate::core::protocol::{Answer, Credential, HttpRequest};
use crate::core::provider::Provider;
use crate::net::http::Clients;
use crate::os::clock;

/// A provider, asked with one credential.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The provider, which has an entry.
    pub provider: &'a Provider,
    /// The clients to ask with.
    pub clients: &'a Clients,
    /// The credential.
    pub who: &'a Credential,
    /// What an answer that is no success says, in one line.
    pub said: fn(&Answer, Option<&Value>) -> String,
}

/// The longest pause that is waited for: some services take two requests a minute.
const LONGEST: Duration = Duration::from_secs(65);

/// The pauses before a request that came too early is sent again: services accept a few a second.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

impl<'a> Asker<'a> {
    /// The base URL of the provider, which receipts name.
    pub fn server(&self) -> &'a str {
        self.provider.api_url.as_deref().unwrap_or_default()
    }

    /// The moment of a conversation that begins now.
    pub fn moment() -> Moment {
        Moment { now: clock::wall(), clock_is_set: true, nonce: clock::nonce() }
    }

    /// The zone of `host` with its id, as the provider finds it; `zone` is the configured one.
    pub async fn zone(
        &self,
        host: &Hostname,
        zone: Option<&Hostname>,
    ) -> Result<(Hostname, String), Trouble> {
        patiently(async || self.zone_now(host, zone).await).await
    }

    async fn zone_now(
        &self,
        host: &Hostname,
        zone: Option<&Hostname>,
    ) -> Result<(Hostname, String), Trouble> {
        let details = Details::default();
        let Self { provider, clients, who: credential, .. } = *self;
        let job =
            ZoneJob { provider, credential, host, zone, details: &details, moment: Self::moment() };
        let (mut talk, step) = ZoneTalk::begin(&job);
        let carrier = Carrier { clients, provider, credential, path: None, bind: None };
        let hear = |heard: Result<Heard, _>| talk.hear(heard);
        match carrier.hold(step, hear).await {
            ZoneAnswer::Zone(zone, Some(id)) => Ok((zone, id)),
            ZoneAnswer::Outcome(outcome) => Err(outcome.into()),
            // Without ids, a zone goes by its name.
            ZoneAnswer::Zone(zone, None) => {
                let id = zone.to_string();
                Ok((zone, id))
            }
            ZoneAnswer::NoZone | ZoneAnswer::Silent => {
                let detail = format!("no public zone of the account holds {host}");
                Err(Trouble::rejected(Rejection::Host, detail))
            }
        }
    }

    /// The tree of the answer to `request`, if that is a success; `sign` signs it. An answer without a
    /// body is null.
    pub async fn heard(
        &self,
        request: &HttpRequest,
        sign: Option<&Sign>,
    ) -> Result<Value, Trouble> {
        patiently(async || self.heard_now(request.clone(), sign).await).await
    }

    async fn heard_now(&self, request: HttpRequest, sign: Option<&Sign>) -> Result<Value, Trouble> {
        let moment = (clock::wall().millis() / 1000, clock::nonce());
        let entry = self.provider.http.as_ref();
        let request = match sign {
            Some(sign) => {
                let most = entry.map_or(1, |entry| entry.secret_parts);
                let parts: Vec<&str> = self.who.secret.expose().splitn(most, ':').collect();
                sign.signed(request, self.who, &parts, moment)
            }
            None => request,
        };
        let ca_file = self.provider.ca_file.as_deref().map(Path::new);
        let answer = self.clients.send(&request, ca_file).await?;
        let tree = tree_of(&answer.body);
        let (answers, otherwise) =
            entry.map_or((&[][..], None), |entry| (&entry.answers, entry.otherwise));
        let rules = Rules { answers, otherwise, rest: true, pages: false, ok: &[] };
        let meaning = answer::meaning(&answer, tree.as_ref(), &rules);
        if meaning.is_success() {
            return Ok(tree.unwrap_or_default());
        }
        Err(self.trouble(meaning, &answer, tree.as_ref()))
    }

    /// What an answer that is no success means.
    fn trouble(&self, meaning: Meaning, answer: &Answer, tree: Option<&Value>) -> Trouble {
        let said = (self.said)(answer, tree);
        let rejected = |rejection| Trouble::rejected(rejection, said.clone());
        let deferred = |fault| Trouble::answered(fault, answer);
        match meaning {
            Meaning::Gone | Meaning::Host => Trouble::NotThere(said),
            Meaning::Credential => rejected(Rejection::Credential),
            Meaning::Abuse | Meaning::Agent | Meaning::Forbidden => rejected(Rejection::Forbidden),
            // The other reasons of a 409 are quotas and changes that are under way.
            Meaning::Request if answer.status == 409 && said.contains("EntityAlreadyExists") => {
                Trouble::Conflict(said)
            }
            Meaning::Request if answer.status == 409 && !said.contains("LimitExceeded") => {
                deferred(Fault::Busy)
            }
            Meaning::Feature | Meaning::Request => rejected(Rejection::Request),
            Meaning::Skew => deferred(Fault::Skew),
            Meaning::Throttled => deferred(Fault::Throttled),
            Meaning::Busy => deferred(Fault::Busy),
            Meaning::Server => deferred(Fault::Server),
            Meaning::Unchanged | Meaning::Updated | Meaning::Unintelligible => {
                deferred(Fault::Unintelligible)
            }
        }
    }
}

/// Repeats what `ask` asks while it comes too early: that was not carried out, so that nothing is made
/// twice.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, Trouble>) -> Result<T, Trouble> {
    for pause in PAUSES {
        match ask().await {
            Err(trouble) if came_too_early(&trouble) => {
                let wished = wished(&trouble).filter(|wished| *wished <= LONGEST);
                tokio::time::sleep(wished.unwrap_or(pause).max(pause)).await;
            }
            told => return told,
        }
    }
    ask().await
}

/// The pause that the service asks for.
fn wished(trouble: &Trouble) -> Option<Duration> {
    match trouble {
        Trouble::Deferred(deferral) => deferral.retry_after,
        Trouble::Conflict(_) | Trouble::NotThere(_) | Trouble::Rejected(_) => None,
    }
}

/// Whether a request was refused because others came shortly before it, or are under way.
fn came_too_early(trouble: &Trouble) -> bool {
    let Trouble::Deferred(deferral) = trouble else { return false };
    matches!(deferral.fault, Fault::Busy | Fault::Throttled)
}
