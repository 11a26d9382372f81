//! A host's access to its provider: the credential, and what its holds depend on.

use crate::core::memory::{Destination, SelfCheck};
use crate::core::name::Hostname;
use crate::core::protocol::Credential;
use crate::core::secret::Fingerprint;
use crate::core::time::Timestamp;
use crate::core::token::upkeep::{End, NoTerms, Terms};

/// A host's credential and place, and the fingerprints that its holds depend on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostAccess {
    /// The login and the secret.
    pub credential: Credential,
    /// The hash of login and secret: hosts with equal ones may share a request.
    pub identity: Fingerprint,
    /// The hash of these and the state of the receipt: a self-check is valid only for it.
    pub about: Fingerprint,
    /// The hash of everything whose change ends a park.
    pub fingerprint: Fingerprint,
    /// The hash of the provider's server, with its path.
    pub server: Fingerprint,
    /// Where the host's records are; its zone only if it is configured.
    pub place: Destination,
    /// The zone in the secret's receipt with its id, for which the secret itself may not ask.
    pub zone: Option<(Hostname, String)>,
    /// The terms in the secret's receipt.
    pub terms: Result<Terms, NoTerms>,
    /// When the credential expires, as the configuration says.
    pub expires: Option<Timestamp>,
}

impl HostAccess {
    /// When the credential expires, by its receipt, the configuration or the `check` of it: the soonest.
    pub fn end(&self, check: Option<&SelfCheck>) -> End {
        let by_receipt = self.terms.as_ref().map_or(End::Unknown, |terms| terms.end);
        let others = [self.expires, check.and_then(|check| check.end)];
        others.into_iter().flatten().fold(by_receipt, End::or_sooner)
    }
}
