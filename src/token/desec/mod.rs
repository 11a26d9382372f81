//! Tokens of deSEC: issue, audit, probe and revoke.
//!
//! Asks the account's interface; what a token should be is the core's to say. Called by `homing token`.

pub mod audit;
pub mod issue;
pub mod job;
pub mod probe;
pub mod revoke;
