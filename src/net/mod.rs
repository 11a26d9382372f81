//! How anything leaves this machine: over HTTP, as datagrams, as messages of DNS, by which interface.
//!
//! Knows neither providers nor what its answers mean. Used by whoever asks somebody else.

pub mod exchange;
pub mod http;
pub mod interface;
pub mod peer;
