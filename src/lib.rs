//! Homing keeps host names pointing home: it watches this machine's addresses and updates each
//! host's A and AAAA records when they change.
//!
//! The binary is a thin caller of [`drivers::run`]. The layers, each of which may use only those
//! above it:
//!
//! | layer | modules |
//! | --- | --- |
//! | pure core: decisions and protocols as functions of values | [`core`] |
//! | shell: files, network, time | [`account`], [`authorities`], [`clock`], [`config`], [`confine`], [`exchange`], [`hook`], [`hosts_file`], [`http`], [`mod@line`], [`log`], [`name_server`], [`peer`], [`program`], [`rails`], [`receipt`], [`source`], [`state`], [`supervisor`], [`waiting`] |
//! | round: observe, plan, update, settle, save | [`round`] |
//! | token side: issue, audit, rotate, revoke | `token` |
//! | import: other clients' set-ups as configuration, a function of text | [`import`] |
//! | drivers: daemon, once and the commands that only look | [`cli`], [`drivers`], [`exit`] |
//!
//! The token side uses configuration, client and core, and knows nothing of rounds; what a round
//! has to know of a token it finds in the receipt beside it.

pub mod account;
pub mod authorities;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg_attr(not(feature = "landlock"), path = "left_out/confine.rs")]
pub mod confine;
pub mod core;
mod disk;
pub mod drivers;
pub mod exchange;
pub mod exit;
mod hand;
pub mod hook;
pub mod hosts_file;
pub mod http;
#[cfg(feature = "import")]
pub mod import;
pub mod line;
pub mod log;
pub mod name_server;
pub mod peer;
pub mod program;
pub mod rails;
mod reason;
pub mod receipt;
pub mod round;
mod say;
mod secret_watch;
pub mod source;
pub mod state;
pub mod supervisor;
#[cfg(feature = "tokens")]
mod terminal;
#[cfg_attr(not(feature = "tokens"), path = "left_out/token.rs")]
mod token;
mod user;
pub mod waiting;
mod walk;
