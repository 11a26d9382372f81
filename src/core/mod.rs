//! The pure core: names, addresses, decisions and protocols, as values and functions of values.
//!
//! Nothing here reads a clock, a file or a socket, or draws a number: time and chance are arguments.
//! Uses std and serde alone; `tests/layers.rs` reads these files and fails when they reach further.

pub mod address;
pub mod backoff;
pub mod built_in;
pub mod closed;
#[cfg(feature = "landlock")]
pub mod confinement;
pub mod exit;
pub mod feature;
pub mod history;
pub mod hook;
pub mod memory;
pub mod name;
pub mod nearest;
#[cfg(feature = "pages")]
pub mod notify;
pub mod order;
pub mod outcome;
pub mod pace;
pub mod pairs;
mod phrases;
pub mod ping;
pub mod plan;
pub mod problem;
pub mod protocol;
pub mod provider;
pub mod provider_key;
pub mod round;
pub mod secret;
pub mod server;
pub mod settle;
pub mod source;
pub mod text;
pub mod time;
pub mod token;
pub mod veil;
pub mod verify;
pub mod wire;
