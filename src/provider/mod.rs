//! Carries what the core says to those who keep records: servers with an interface of their own, name
//! servers, and the file of hosts.
//!
//! Decides nothing about a host. Used by rounds and by the token side.

pub mod authorities;
pub mod carry;
pub mod desec;
pub mod hosts_file;
pub mod name_server;
pub mod rails;
