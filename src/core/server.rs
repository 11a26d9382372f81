//! Servers as a configuration names them: a name or an address, with a port.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::address::Family;
use super::name::Hostname;

/// A server and its port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Server {
    /// An address, which can be reached over one family only.
    Address(SocketAddr),
    /// A name that has to be looked up.
    Name(Hostname, u16),
}

impl Server {
    /// Whether the server may be reached over `family`.
    pub fn may_be_reached_over(&self, family: Family) -> bool {
        match self {
            Self::Address(address) => Family::of(address.ip()) == family,
            Self::Name(..) => true,
        }
    }
}

impl From<(IpAddr, u16)> for Server {
    fn from(address: (IpAddr, u16)) -> Self {
        Self::Address(address.into())
    }
}

/// As the configuration writes it, always with the port.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}
