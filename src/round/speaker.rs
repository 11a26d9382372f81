//! Asks an account with one of its tokens: for which host, by which interface, and no longer than
//! a round can wait.
//!
//! Decides nothing about the token. Used by the upkeep and by the self-check.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use super::perform::turned;
use super::{Planned, Round};
use crate::core::outcome::{Fault, Outcome};
use crate::core::provider::Provider;
use crate::core::secret::Fingerprint;
use crate::core::token::finding::Finding;
use crate::net::interface::Uplink;
use crate::provider::Trouble;
use crate::provider::desec::Account;

/// The longest wait for the account's rate limits within one request.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest wait of a round for anything here: the next update may be due.
const LONGEST: Duration = Duration::from_secs(20);

/// The account's answer about a token; empty after a greeting.
pub type Findings = Result<Vec<Finding>, Trouble>;

/// A token in use.
#[derive(Clone)]
pub struct OwnToken {
    /// The hash of login and secret.
    pub identity: Fingerprint,
    /// The indexes of its hosts among the planned; at least one.
    pub places: Vec<usize>,
}

impl<'a> Round<'a> {
    /// The host for which, and by whose interface, a token sends: the first host whose interface
    /// is there, as far as that is known.
    pub fn speaker(&self, places: &[usize]) -> &Planned {
        let is_there = |plan: &&Planned| {
            let (host, provider) = plan.configured(&self.engine.config);
            let (identity, bind) = (plan.access.identity, host.host.bind);
            self.engine.traffic.foregone(provider, identity, bind).is_none()
                && bind.is_none_or(|name| Uplink::find(name).is_ok())
        };
        let mut plans = places.iter().map(|&place| &self.planned[place]);
        plans.find(is_there).unwrap_or(&self.planned[places[0]])
    }

    /// The account as the token of `plan` sees it, as soon as its server may be asked; `None`
    /// when a request is not worth sending in this round.
    pub async fn account<'p>(&self, provider: &'p Provider, plan: &Planned) -> Option<Account<'p>>
    where
        'a: 'p,
    {
        let api_url = provider.api_url.as_deref()?;
        let bind = self.engine.config.hosts[plan.at].host.bind;
        if self.engine.traffic.foregone(provider, plan.access.identity, bind).is_some() {
            return None;
        }
        if let Some(moment) = self.engine.traffic.not_before(provider) {
            tokio::time::sleep_until(moment.into()).await;
        }
        let ca_file = provider.ca_file.as_deref().map(Path::new);
        let secret = plan.access.credential.secret.clone();
        Some(Account::new(api_url, ca_file, self.clients, secret, PATIENCE, &()).asked_by(bind))
    }

    /// The result of `work`, unless it takes too long or the program is to end.
    pub async fn in_passing(
        &self,
        provider: &Provider,
        work: Pin<&mut dyn Future<Output = Findings>>,
    ) -> Findings {
        let what = format!("waiting for {} to tell about the token", provider.name);
        let detail = tokio::select! {
            biased;
            result = self.engine.waiting.during(&what, work) => return result,
            () = turned(self.stop) => "the program ends",
            () = tokio::time::sleep(LONGEST) => "it takes too long",
        };
        Err(Trouble::deferred(Fault::Lost, detail))
    }
}

/// The outcome of the account's answer for the token's hosts.
pub fn outcome(answer: &Findings) -> Outcome {
    match answer {
        Ok(_) => Outcome::Unchanged,
        Err(Trouble::Deferred(deferral)) => Outcome::Deferred(deferral.clone()),
        Err(Trouble::Rejected(refusal)) => Outcome::Rejected(refusal.clone()),
        Err(trouble @ (Trouble::Conflict(_) | Trouble::NotThere(_))) => {
            Outcome::deferred(Fault::Unintelligible, trouble.to_string())
        }
    }
}
