//! The servers of a zone, asked for their own data. Used by the round to verify.

use std::net::SocketAddr;

use super::name_server::NameServer;
use crate::core::address::interface::InterfaceName;
use crate::core::name::Hostname;
use crate::core::protocol::rfc2136::{beginning, zone_told};
use crate::core::server::Server;
use crate::core::verify::{name_servers, resolvers};
use crate::core::wire::dns::{Class, Message, Question, Type};
use crate::net::exchange::{Peer, Plain, ask_at_each};
use crate::net::peer;

/// The port of name servers (RFC 1035, section 4.2).
const PORT: u16 = 53;

/// The file that names the system's resolvers.
const RESOLVERS: &str = "/etc/resolv.conf";

/// A server and its addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authority {
    /// Its name for people.
    pub title: String,
    /// Its addresses, those of IPv4 first; or why there are none.
    addresses: Result<Vec<SocketAddr>, String>,
}

impl Authority {
    /// Looks the server up.
    pub async fn find(server: &Server) -> Self {
        Self { title: server.to_string(), addresses: peer::locate_all(server).await }
    }

    /// Whether both share an address, and so are one server.
    pub fn is(&self, other: &Self) -> bool {
        let (Ok(ours), Ok(theirs)) = (&self.addresses, &other.addresses) else { return false };
        ours.iter().any(|address| theirs.contains(address))
    }

    /// Its own answer, by the first address that gives one; the error follows its title.
    pub async fn ask(
        &self,
        question: &Question,
        bind: Option<InterfaceName>,
    ) -> Result<Message, String> {
        let asked = ask_at_each(TITLE, self.addresses()?, bind, &Plain::direct(question)).await;
        asked.map_err(|silence| unanswered(&silence.detail))
    }

    /// Its answer over TCP alone, where one is harder to forge; `None` if there is none.
    pub async fn ask_by_tcp(
        &self,
        question: &Question,
        bind: Option<InterfaceName>,
    ) -> Option<Message> {
        for &address in self.addresses().ok()? {
            let peer = Peer { title: TITLE, address, bind };
            if let Ok(message) = peer.ask_by_tcp(&Plain::direct(question)).await {
                return Some(message);
            }
        }
        None
    }

    fn addresses(&self) -> Result<&[SocketAddr], String> {
        self.addresses.as_deref().map_err(|why| format!("cannot be found: {why}"))
    }
}

/// The name of a server in errors; its title stands before them.
const TITLE: &str = "the server";

/// A silence in words that follow the server's name.
fn unanswered(detail: &str) -> String {
    match detail.strip_prefix("the server ") {
        Some(words) => words.to_owned(),
        None => format!("cannot be asked ({detail})"),
    }
}

/// The servers of `zone`, as `server` or else the system's resolvers report them.
pub async fn of_zone(
    zone: &Hostname,
    server: Option<NameServer<'_>>,
) -> Result<Vec<Server>, String> {
    let question = Question { name: zone.into(), record_type: Type::NS, class: Class::IN };
    let message = match server {
        Some(server) => server.answer(&question).await.map_err(|silence| silence.detail)?,
        None => resolve(&question).await?,
    };
    let names = name_servers(&message, zone);
    if names.is_empty() {
        return Err(format!("the servers of {zone} cannot be found"));
    }
    Ok(names.into_iter().map(|name| Server::Name(name, PORT)).collect())
}

/// The zone of `host`, as the system's resolvers report it.
pub async fn zone(host: &Hostname) -> Result<Hostname, String> {
    let told = zone_told(&resolve(&beginning(host)).await?, host);
    told.ok_or_else(|| format!("the resolver does not find the zone of {host}"))
}

/// The answer of the first of the system's resolvers that gives one.
async fn resolve(question: &Question) -> Result<Message, String> {
    let text = std::fs::read_to_string(RESOLVERS).unwrap_or_default();
    let mut last = String::new();
    for address in resolvers(&text) {
        let title = format!("the resolver {address}");
        let peer = Peer { title: &title, address: (address, PORT).into(), bind: None };
        match peer.ask(&Plain::of(question)).await {
            Ok(message) => return Ok(message),
            Err(silence) => last = silence.detail,
        }
    }
    Err(last)
}
