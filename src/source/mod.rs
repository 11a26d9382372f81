//! Sources: where our own addresses come from.
//!
//! Each kind is one file that returns what it saw; the core chooses among the kernel's addresses.

pub mod command;
mod dns;
pub mod file;
mod gateway;
pub mod outside;
pub mod sights;
pub mod snapshot;
mod stun;
mod web;

#[cfg(fuzzing)]
pub use self::gateway::fuzzing;
