//! What is sent and heard as bytes, as values: messages of DNS, STUN and gateways, keys, dates.
//!
//! Pure: sending and hearing are the shell's work, and so is drawing numbers.

pub mod calendar;
pub mod dns;
pub mod gateway;
pub mod key_file;
pub mod stun;
pub mod tsig;
pub mod whoami;
