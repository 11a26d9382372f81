//! Carrying: the one loop that holds every conversation with a provider.
//!
//! Sends a talk's requests by HTTP, to a name server or to a file, and returns the answers to the talk.

use std::path::Path;

use super::hosts_file;
use super::name_server::NameServer;
use crate::core::address::interface::InterfaceName;
use crate::core::outcome::{Fault, Silence};
use crate::core::protocol::step::{Ask, Heard, Step};
use crate::core::protocol::{Credential, HttpRequest};
use crate::core::provider::Provider;
use crate::net::http::Clients;

/// The way to a provider for one host.
#[derive(Clone, Copy, Debug)]
pub struct Carrier<'a> {
    /// The clients of the round.
    pub clients: &'a Clients,
    /// The provider that is asked.
    pub provider: &'a Provider,
    /// The credential that signs messages to name servers.
    pub credential: &'a Credential,
    /// The file of the host, if its provider is a file.
    pub path: Option<&'a Path>,
    /// The only interface by which the provider may be asked; `None` is any.
    pub bind: Option<InterfaceName>,
}

impl Carrier<'_> {
    /// Holds a conversation from `step` on, whose answers go to `hear`, until it is over.
    pub async fn hold<T>(
        &self,
        mut step: Step<T>,
        mut hear: impl FnMut(Result<Heard, Silence>) -> Step<T>,
    ) -> T {
        let gap = self.provider.manners().least_gap;
        loop {
            match step {
                Step::Done(done) => return done,
                // Boxed, because it would make every round's future as large.
                Step::Ask(ask) => step = hear(Box::pin(self.carry(ask)).await),
            }
            if let (Step::Ask(_), Some(gap)) = (&step, gap) {
                tokio::time::sleep(gap).await;
            }
        }
    }

    async fn carry(&self, ask: Ask) -> Result<Heard, Silence> {
        match ask {
            Ask::Dns(asked) => {
                let server = self.provider.name_server.as_ref().ok_or_else(|| {
                    Silence::new(Fault::Unreachable, "the provider has no name server")
                })?;
                NameServer { server, bind: self.bind }.carry(&asked, self.credential).await
            }
            Ask::File(updates) => {
                let path = self.path.unwrap_or_else(|| Path::new(""));
                let changed = hosts_file::update(path, &updates).map(Heard::File);
                changed.map_err(|reason| Silence::new(Fault::Storage, reason))
            }
            Ask::Http(request) => {
                let request = HttpRequest { bind: self.bind, ..*request };
                let ca_file = self.provider.ca_file.as_deref().map(Path::new);
                let sent = self.clients.send_within(&request, ca_file, self.provider.timeout).await;
                sent.map(Heard::Answer)
            }
        }
    }
}
