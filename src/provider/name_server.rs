//! A name server: its addresses, and its answers to unsigned questions.
//!
//! Asks at each of its addresses by UDP and then over TCP, until one answers; updates are in `signed`.

#[cfg_attr(not(feature = "name-servers"), path = "../left_out/signed.rs")]
mod signed;

use crate::core::address::interface::InterfaceName;
use crate::core::name::Hostname;
use crate::core::outcome::Silence;
use crate::core::protocol::Credential;
use crate::core::protocol::rfc2136;
use crate::core::protocol::step::{Asked, Heard};
use crate::core::server::Server;
use crate::core::wire::dns::{self, Message};
use crate::net::exchange::{Plain, Question, Read, ask_at_each, unreachable};
use crate::net::peer::{self, Ignored};

#[cfg(feature = "name-servers")]
pub use self::signed::Signer;

/// A name server and the way to it.
#[derive(Clone, Copy, Debug)]
pub struct NameServer<'a> {
    /// Its name or address.
    pub server: &'a Server,
    /// The only interface by which it may be asked; `None` is any.
    pub bind: Option<InterfaceName>,
}

/// The question for the zone that holds a host.
struct ZoneOf<'a> {
    host: &'a Hostname,
    question: dns::Question,
}

impl NameServer<'_> {
    /// The result of `asked`; an update is signed with `credential`.
    pub async fn carry(&self, asked: &Asked, credential: &Credential) -> Result<Heard, Silence> {
        match asked {
            Asked::Update(zone, message) => {
                self.update(credential, zone, message).await.map(Heard::Reply)
            }
            Asked::Zone(host) => self.zone(host).await.map(Heard::Zone),
        }
    }

    /// The zone that holds `host`, as the server reports it; `None` when it reports none.
    pub async fn zone(&self, host: &Hostname) -> Result<Option<Hostname>, Silence> {
        self.ask(&ZoneOf { host, question: rfc2136::beginning(host) }).await
    }

    /// The answer to an ordinary question.
    pub async fn answer(&self, question: &dns::Question) -> Result<Message, Silence> {
        self.ask(&Plain::of(question)).await
    }

    /// Asks at the server's first address that answers.
    async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Told, Silence> {
        let title = self.server.to_string();
        let addresses = peer::locate_all(self.server).await.map_err(unreachable)?;
        ask_at_each(&title, &addresses, self.bind, question).await
    }
}

impl Question for ZoneOf<'_> {
    type Kept = ();
    type Told = Option<Hostname>;

    fn message(&self, id: u16) -> (Vec<u8>, ()) {
        Plain::of(&self.question).message(id)
    }

    /// A wrong zone stops the host's updates, and an answer over TCP is harder to forge; one by UDP is
    /// used where no TCP connection is possible.
    fn read_answer(
        &self,
        bytes: &[u8],
        id: u16,
        (): &(),
        by_tcp: bool,
    ) -> Result<Read<Self::Told>, Ignored> {
        let Read::Answer(message) =
            Plain::of(&self.question).read_answer(bytes, id, &(), by_tcp)?
        else {
            return Ok(Read::AgainByTcp);
        };
        Ok(match rfc2136::zone_told(&message, self.host) {
            told if by_tcp => Read::Answer(told),
            Some(zone) => Read::Doubtful(Some(zone)),
            None => Read::AgainByTcp,
        })
    }
}
