//! Asks a service what a credential can do beyond its job, by the requests that its entry lists.
//!
//! Used by the round's self-check and by `homing token audit`; decides nothing.

use super::carry::Carrier;
use crate::core::address::interface::InterfaceName;
use crate::core::name::Hostname;
use crate::core::plan::Details;
use crate::core::protocol::Credential;
use crate::core::protocol::http::power_talk::{PowerReport, PowerTalk};
use crate::core::protocol::http::scene::Session;
use crate::core::protocol::step::Moment;
use crate::core::provider::Provider;
use crate::net::http::Clients;

/// A credential and its hosts.
pub struct PowerJob<'a> {
    /// The clients to ask with.
    pub clients: &'a Clients,
    /// The provider of the credential.
    pub provider: &'a Provider,
    /// The credential.
    pub credential: &'a Credential,
    /// The hosts that use it; at least one.
    pub hosts: &'a [&'a Hostname],
    /// What else is known of the first host.
    pub details: &'a Details,
    /// The zone of the first host, as far as it is known.
    pub zone: Option<&'a Hostname>,
    /// The only interface by which the provider may be asked; `None` is any.
    pub bind: Option<InterfaceName>,
    /// The moment of the conversation.
    pub moment: Moment,
}

/// Asks, and returns what the answers show; nothing where the provider has no entry with powers.
pub async fn ask(job: PowerJob<'_>) -> PowerReport {
    let PowerJob { clients, provider, credential, bind, .. } = job;
    let Some(entry) = &provider.http else { return PowerReport::default() };
    let session = Session::new(provider, entry, credential, job.moment);
    let (mut talk, step) = PowerTalk::begin(session, job.hosts, job.details, job.zone);
    let carrier = Carrier { clients, provider, credential, path: None, bind };
    carrier.hold(step, |heard| talk.hear(heard)).await
}
