//! Homing keeps host names pointing home: it watches this machine's addresses and updates each
//! host's A and AAAA records when they change.
//!
//! The binary is a thin caller of [`drivers::run`]. The layers, each of which may use only those
//! above it:
//!
//! | layer | modules |
//! | --- | --- |
//! | pure core: decisions and protocols as functions of values | [`core`] |
//! | shell: files, network, time | [`clock`], [`config`], [`hook`], [`hosts_file`], [`http`], [`log`], [`program`], [`source`], [`state`], [`waiting`] |
//! | round: observe, plan, update, settle, save | [`round`] |
//! | drivers: daemon, once and the commands that only look | [`cli`], [`drivers`], [`exit`] |
//!
//! A room is kept for the token side (issue, audit, rotate, revoke): it will use configuration,
//! client and core, and know nothing of rounds.

pub mod account;
pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
mod disk;
pub mod drivers;
pub mod exit;
pub mod hook;
pub mod hosts_file;
pub mod http;
pub mod log;
pub mod program;
mod reason;
pub mod receipt;
pub mod round;
pub mod source;
pub mod state;
pub mod waiting;
