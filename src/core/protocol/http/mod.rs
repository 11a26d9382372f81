//! Any HTTP API, described as data: an entry says which requests are sent and what answers mean.
//!
//! `entry` decodes the settings, whose values `reader` reads, `template` fills requests, `answer` and `rows` read answers,
//! `compare` decides what to write, `session` holds the conversation, `draft` shows what it would ask,
//! `power` shows what a credential can do beyond its job. Nothing is sent here.

pub mod answer;
pub mod compare;
pub mod draft;
pub mod entry;
pub mod markup;
pub mod path;
#[cfg_attr(not(feature = "tokens"), path = "../../../left_out/power.rs")]
pub mod power;
#[cfg(feature = "tokens")]
pub mod power_talk;
pub mod reader;
pub mod rows;
pub mod scene;
pub mod session;
#[cfg(feature = "cloud")]
pub mod sign;
#[cfg(feature = "cloud")]
pub mod signing;
#[cfg(not(feature = "cloud"))]
mod signing;
pub mod template;
pub mod tree;
