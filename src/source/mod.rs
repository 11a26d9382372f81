//! Sources: where our own addresses come from.
//!
//! Each kind is one file that looks and returns what it saw; choosing among kernel addresses is
//! the core's. The round asks each source once a family, however many hosts use it.

pub mod command;
mod dns;
pub mod file;
mod gateway;
pub mod outside;
pub mod sights;
mod stun;
mod web;
