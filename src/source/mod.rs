//! Sources: where our own addresses come from.
//!
//! Each kind is one file that looks and returns what it saw; choosing among kernel addresses is
//! the core's. The round asks each source once a family, however many hosts use it.
//! Rooms left for the kinds to come: `gateway`, and suffixes of a prefix.

pub mod command;
mod dns;
pub mod file;
pub mod kernel;
pub mod outside;
mod peer;
pub mod sights;
mod stun;
mod web;

use std::net::IpAddr;
use std::path::PathBuf;

use outside::Outside;

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
    Interface(String),
    /// Services outside that tell the asker's address.
    Outside(Outside),
    /// Addresses written down.
    Static(Vec<IpAddr>),
}
