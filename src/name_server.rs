//! A name server: where it is, and what it answers to anybody.
//!
//! Asks at the first of its addresses that answers. Updates, which it takes from known keys alone,
//! are in `signed`; what an answer means for a host is the core's work.

#[cfg_attr(not(feature = "name-servers"), path = "left_out/signed.rs")]
mod signed;

use crate::core::address::Family;
use crate::core::dns::{self, Message};
use crate::core::interface::InterfaceName;
use crate::core::name::Hostname;
use crate::core::outcome::Fault;
use crate::core::protocol::rfc2136;
use crate::core::server::Server;
use crate::exchange::{Peer, Plain, Question, Silence};
use crate::peer;

#[cfg(feature = "name-servers")]
pub use self::signed::{Reply, Signer};

/// A name server and the way to it.
#[derive(Clone, Copy, Debug)]
pub struct NameServer<'a> {
    /// Where it is.
    pub server: &'a Server,
    /// The interface by which it is asked, or not at all.
    pub bind: Option<InterfaceName>,
}

impl NameServer<'_> {
    /// The zone that holds `host`, as the server tells it; `None` when it does not tell any.
    pub async fn zone(&self, host: &Hostname) -> Result<Option<Hostname>, Silence> {
        let message = self.answer(&rfc2136::beginning(host)).await?;
        Ok(rfc2136::zone_told(&message, host))
    }

    /// The answer to an ordinary question.
    pub async fn answer(&self, question: &dns::Question) -> Result<Message, Silence> {
        self.ask(&Plain(question)).await
    }

    /// Asks at the server's first address that answers.
    async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Told, Silence> {
        let title = self.server.to_string();
        let mut last = None;
        for family in Family::BOTH.into_iter().filter(|f| self.server.may_be_reached_over(*f)) {
            let address = match peer::locate(self.server, family).await {
                Ok(address) => address,
                Err(detail) => {
                    last.get_or_insert(Silence::unreachable(detail));
                    continue;
                }
            };
            match (Peer { title: &title, address, bind: self.bind }).ask(question).await {
                // What may have reached the server is the worse of two troubles.
                Err(silence) if silence.fault == Fault::Lost => last = Some(silence),
                Err(silence) if silence.fault == Fault::Unreachable => {
                    last =
                        last.filter(|last: &Silence| last.fault == Fault::Lost).or(Some(silence));
                }
                answered => return answered,
            }
        }
        Err(last.unwrap_or_else(|| Silence::unreachable(format!("{title} is nowhere"))))
    }
}
