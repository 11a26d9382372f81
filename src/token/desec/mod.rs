//! Tokens of deSEC: issue, audit, probe and revoke.
//!
//! Asks the account's interface; the core decides what a token should be. Called by `homing token`.

pub mod audit;
pub mod issue;
pub mod job;
pub mod probe;
pub mod revoke;
