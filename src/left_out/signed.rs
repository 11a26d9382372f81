//! `provider::name_server::signed` of a build without name servers: nothing is signed or sent.
//!
//! The configuration refuses the protocol earlier.

use super::NameServer;
use crate::core::feature;
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Silence};
use crate::core::protocol::Credential;
use crate::core::protocol::step::Reply;

impl NameServer<'_> {
    /// Refuses the update: this build cannot sign.
    #[expect(clippy::unused_async, reason = "it stands for one that awaits")]
    pub async fn update(&self, _: &Credential, _: &Hostname, _: &[u8]) -> Result<Reply, Silence> {
        let refusal = feature::refusal("the protocol rfc2136");
        Err(Silence::new(Fault::Unintelligible, refusal))
    }
}
