//! Services outside that tell the asker's address: whom to ask, and how many must agree.
//!
//! Each kind of service is asked by its own file; here their answers are compared. Whether an
//! address may be published is the caller's question. Asked by the round, once a family.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::{dns, gateway, stun, web};
use crate::core::address::Family;
use crate::core::server::Server;
use crate::core::whoami::Resolver;
use crate::http::{self, Clients};

/// Services outside, and when they are believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outside {
    /// The services, asked in turn.
    pub services: Vec<Service>,
    /// How many must say the same before it is believed; at least 1, at most the number of services.
    pub agree: usize,
}

/// A service that tells the asker's address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Service {
    /// A resolver that answers with the asker's address.
    Dns(Resolver),
    /// The router of a line, which tells its own address; `None` is that of the default route.
    Gateway(Option<Ipv4Addr>),
    /// A STUN server.
    Stun(Server),
    /// A page on the web.
    Web {
        /// Its address.
        url: String,
        /// A PEM file with one more certificate authority to trust.
        ca_file: Option<PathBuf>,
    },
}

/// The address that `outside.agree` services say; the error names every service and what it said.
pub async fn seen(outside: &Outside, family: Family, clients: &Clients) -> Result<IpAddr, String> {
    let mut said = Vec::with_capacity(outside.services.len());
    for service in outside.services.iter().filter(|service| service.can_tell(family)) {
        said.push(match service.told(family, clients).await {
            Ok(address) => Said::Address(service.server(), address),
            Err(reason) => Said::Nothing(reason),
        });
        if let Some(address) = agreed(&said, outside.agree) {
            return Ok(address);
        }
    }
    Err(doubt(&said, outside.agree, family))
}

impl Outside {
    /// The services' names, for people.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.services.iter().map(ToString::to_string).collect();
        names.join(", ")
    }
}

impl Service {
    /// The key of such services in the configuration.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::Gateway(_) => "gateway",
            Self::Stun(_) => "stun",
            Self::Web { .. } => "web",
        }
    }

    /// Whether it can tell an address of `family`; where a name leads is known only when asked.
    pub fn can_tell(&self, family: Family) -> bool {
        match self {
            Self::Dns(resolver) => resolver.can_tell(family),
            Self::Gateway(_) => family == Family::V4,
            Self::Stun(server) => server.may_be_reached_over(family),
            Self::Web { .. } => true,
        }
    }

    /// What errors call it.
    fn server(&self) -> String {
        match self {
            Self::Dns(_) | Self::Gateway(None) | Self::Stun(_) => self.to_string(),
            Self::Gateway(Some(address)) => format!("gateway {address}"),
            Self::Web { url, .. } => http::server_of(url),
        }
    }

    /// The address of `family` that it tells; the error names it.
    async fn told(&self, family: Family, clients: &Clients) -> Result<IpAddr, String> {
        match self {
            Self::Dns(resolver) => dns::told(resolver, family).await,
            Self::Gateway(address) => gateway::told(*address, clients).await,
            Self::Stun(server) => stun::told(server, family).await,
            Self::Web { url, ca_file } => web::told(url, ca_file.as_deref(), family, clients).await,
        }
    }
}

/// The service as the configuration names it.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(resolver) => f.write_str(&resolver.title),
            Self::Gateway(None) => f.write_str("the default gateway"),
            Self::Gateway(Some(address)) => write!(f, "{address}"),
            Self::Stun(server) => write!(f, "{server}"),
            Self::Web { url, .. } => f.write_str(url),
        }
    }
}

/// What one service said.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Said {
    /// This server, an address.
    Address(String, IpAddr),
    /// No address, for this reason, which names the server.
    Nothing(String),
}

/// The address that `agree` of them said.
fn agreed(said: &[Said], agree: usize) -> Option<IpAddr> {
    let addresses = || {
        said.iter().filter_map(|said| match said {
            Said::Address(_, address) => Some(*address),
            Said::Nothing(_) => None,
        })
    };
    addresses().find(|found| addresses().filter(|other| other == found).count() >= agree)
}

/// Why none of the addresses is believed.
fn doubt(said: &[Said], agree: usize, family: Family) -> String {
    let answers = said.iter().filter(|said| matches!(said, Said::Address(..))).count();
    let each: Vec<String> = said
        .iter()
        .map(|said| match said {
            Said::Address(server, address) => format!("{server} says {address}"),
            Said::Nothing(reason) => reason.clone(),
        })
        .collect();
    let each = each.join("; ");
    match answers {
        0 => format!("no {family} address was told: {each}"),
        few if few < agree => {
            format!("{few} of the {agree} services needed told an {family} address: {each}")
        }
        _ => format!("no {agree} services agree on the {family} address: {each}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(server: &str, address: &str) -> Said {
        Said::Address(server.into(), address.parse().unwrap())
    }

    #[test]
    fn as_many_as_asked_for_must_say_the_same() {
        let said = [says("a", "192.0.2.1"), says("b", "192.0.2.2"), says("c", "192.0.2.2")];
        assert_eq!(agreed(&said, 1), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(agreed(&said, 2), Some("192.0.2.2".parse().unwrap()));
        assert_eq!(agreed(&said, 3), None);
        assert_eq!(agreed(&[], 1), None);
    }

    #[test]
    fn disagreement_is_told_from_too_few_answers() {
        let (one, two) = (says("a", "192.0.2.1"), says("b", "192.0.2.2"));
        let silent = Said::Nothing("c refuses the connection".into());
        assert_eq!(
            doubt(&[one.clone(), two, silent.clone()], 2, Family::V4),
            "no 2 services agree on the IPv4 address: a says 192.0.2.1; b says 192.0.2.2; \
             c refuses the connection"
        );
        assert_eq!(
            doubt(&[one, silent.clone()], 2, Family::V4),
            "1 of the 2 services needed told an IPv4 address: a says 192.0.2.1; \
             c refuses the connection"
        );
        let nothing = "no IPv6 address was told: c refuses the connection";
        assert_eq!(doubt(&[silent], 1, Family::V6), nothing);
    }
}
