//! Sources as the configuration names them: where addresses come from, and which of them are published.
//!
//! Values only: `crate::source` looks and asks. Made by the configuration.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::address::Family;
use super::address::echo::Echo;
use super::address::interface::InterfaceName;
use super::address::prefix::Neighbour;
use super::address::standing;
use super::server::Server;
use super::wire::whoami::Resolver;

/// A named source of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// The name that hosts refer to.
    pub name: String,
    /// Where the source looks.
    pub kind: SourceKind,
    /// Whether private and shared addresses may be published.
    pub allow_private: bool,
    /// Whether temporary IPv6 addresses are preferred to stable ones (interfaces only).
    pub prefer_temporary: bool,
}

/// Where a source looks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SourceKind {
    /// The first line of what a program prints; no shell unless the list names one.
    Command(Vec<String>),
    /// The first line of a file.
    File(PathBuf),
    /// The addresses that the kernel has on an interface.
    Interface(Interface),
    /// Outside services that answer with the asker's address.
    Outside(Outside),
    /// Addresses written in the configuration.
    Static(Vec<IpAddr>),
}

/// An interface, and what is published of its addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// Its name.
    pub name: InterfaceName,
    /// How many of its addresses are published at most; 1 for a neighbour.
    pub count: NonZeroUsize,
    /// The machine whose address is published in place of the interface's own; IPv6 only.
    pub neighbour: Option<Neighbour>,
}

/// Outside services, and when their answers are believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outside {
    /// The services, of one kind or of several, asked in turn.
    pub services: Vec<Service>,
    /// How many must give the same address before it is believed; at least 1, at most all services.
    pub agree: usize,
    /// The only interface that they may be asked by; `None` is as the kernel routes.
    pub bind: Option<InterfaceName>,
}

/// A service that answers with the asker's address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Service {
    /// A resolver that answers with the asker's address.
    Dns(Resolver),
    /// A router that answers with its outer address; `None` is the router of the default route.
    Gateway(Option<Ipv4Addr>),
    /// A STUN server.
    Stun(Server),
    /// A page on the web.
    Web {
        /// Its name, and where it is asked.
        echo: Echo,
        /// A PEM file with one more certificate authority to trust.
        ca_file: Option<PathBuf>,
    },
}

impl Outside {
    /// The services' names, separated by commas.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.services.iter().map(ToString::to_string).collect();
        names.join(", ")
    }

    /// How many of the services may tell an address of `family`.
    pub fn able(&self, family: Family) -> usize {
        self.services.iter().filter(|service| service.can_tell(family)).count()
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

    /// Whether it may tell an address of `family`; a name's families are known only when it is asked.
    pub fn can_tell(&self, family: Family) -> bool {
        match self {
            Self::Dns(resolver) => resolver.can_tell(family),
            Self::Gateway(_) => family == Family::V4,
            Self::Stun(server) => server.may_be_reached_over(family),
            Self::Web { echo, .. } => echo.can_tell(family),
        }
    }

    /// Whether the agreement of this and `other` proves nothing, because both are one service.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Web { echo, .. }, Self::Web { echo: other, .. }) => echo.meets(other),
            _ => self == other,
        }
    }

    /// The id under which its standing is kept.
    pub fn known_as(&self, family: Family) -> standing::ServiceId {
        standing::ServiceId { name: self.to_string(), family }
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
            Self::Web { echo, .. } => f.write_str(&echo.title),
        }
    }
}
