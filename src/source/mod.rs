//! Sources: where our own addresses come from.
//!
//! Each kind is one file that looks and returns what it saw; choosing among kernel addresses is
//! the core's. The round asks each source once a family, however many hosts use it.

pub mod command;
mod dns;
pub mod file;
mod gateway;
pub mod kernel;
pub mod outside;
pub mod sights;
mod stun;
mod web;

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use self::outside::Outside;
use crate::core::interface::InterfaceName;
use crate::core::prefix::Neighbour;

/// A named source of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// The name that hosts refer to.
    pub name: String,
    /// Where it looks.
    pub kind: Kind,
    /// Whether private and shared addresses may be published.
    pub allow_private: bool,
    /// Whether temporary IPv6 addresses are preferred to stable ones (interfaces only).
    pub prefer_temporary: bool,
}

/// Where a source looks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The first line of what a program prints; no shell unless the list names one.
    Command(Vec<String>),
    /// The first line of a file.
    File(PathBuf),
    /// The addresses that the kernel has on an interface.
    Interface(Interface),
    /// Services outside that tell the asker's address.
    Outside(Outside),
    /// Addresses written down.
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
