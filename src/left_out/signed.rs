//! `provider::name_server::signed` of a build without name servers: nothing is signed, and nothing sent.
//!
//! The configuration refuses the protocol before it gets here.

use super::NameServer;
use crate::core::address::PerFamily;
use crate::core::feature;
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Outcome};
use crate::core::plan::{Condition, Update};
use crate::core::protocol::Credential;

impl NameServer<'_> {
    /// Says that this build cannot.
    #[expect(clippy::unused_async, reason = "it stands for one that awaits")]
    pub async fn update(
        &self,
        _: &Credential,
        _: &Hostname,
        _: &[Update],
        _: &[PerFamily<Option<Condition>>],
        _: u32,
    ) -> Outcome {
        Outcome::deferred(Fault::Unintelligible, feature::refusal("the protocol rfc2136"))
    }
}
