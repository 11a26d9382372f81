//! All that leaves this machine: HTTP, datagrams, messages of DNS, and the interface that they take.
//!
//! Knows neither providers nor the meaning of answers. Used by the rooms that ask servers.

pub mod exchange;
pub mod http;
pub mod interface;
pub mod peer;
mod told;
