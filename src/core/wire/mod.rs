//! Bytes on the wire as values: messages of DNS, STUN and gateways, keys, dates.
//!
//! Pure: sending, receiving and drawing random numbers are the shell's work.

pub mod calendar;
pub mod dns;
pub mod gateway;
pub mod in_words;
pub mod key_file;
pub mod stun;
pub mod tsig;
pub mod whoami;
