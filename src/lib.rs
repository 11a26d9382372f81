//! Homing keeps host names pointing home: it watches this machine's addresses and updates each
//! host's A and AAAA records when they change.
//!
//! A room is an entry of `src/`. It uses only the rooms that its row names: `tests/layers.rs` reads
//! this table and the sources, and fails when they differ.
//!
//! | room | what it does | may use |
//! | --- | --- | --- |
//! | [`core`] | values and decisions, as functions of values | |
//! | [`os`] | this machine: clock, files, programs, users, terminal, kernel | core |
//! | [`net`] | all that leaves the machine: HTTP, datagrams, DNS messages, interfaces | core, os |
//! | [`provider`] | carries requests to the providers of records | core, net, os |
//! | [`config`] | text to valid values | core, os |
//! | [`receipt`] | the known facts about a token, in a file beside the token's | core, os |
//! | [`state`] | the memory between rounds | core, os |
//! | [`source`] | finds the addresses to publish | config, core, net, os |
//! | [`import`] | other clients' set-ups as configuration, a function of text | config, core, os |
//! | [`cli`] | command-line words to a command and its settings | core, import, os |
//! | [`confine`] | the kernel's limits for this process | config, core, net, os |
//! | [`round`] | observe, plan, update, settle, save | config, core, net, os, provider, receipt, source, state |
//! | `token` | issue, audit, rotate and revoke tokens | cli, config, core, net, os, provider, receipt |
//! | [`drivers`] | daemon, once and the commands that only look | cli, config, confine, core, import, net, os, receipt, round, source, state, token |
//! | `main` | the program, a thin caller of [`drivers::run`] | drivers, os |
//! | `left_out` | replaces the files that a build leaves out, and uses what they may | |
//!
//! The token side knows nothing of rounds. A round reads the facts about a token in the receipt
//! beside the token's file.

pub mod cli;
pub mod config;
#[cfg_attr(not(feature = "landlock"), path = "left_out/confine.rs")]
pub mod confine;
pub mod core;
pub mod drivers;
#[cfg(feature = "import")]
pub mod import;
pub mod net;
pub mod os;
pub mod provider;
pub mod receipt;
pub mod round;
pub mod source;
pub mod state;
#[cfg_attr(not(feature = "tokens"), path = "left_out/token.rs")]
mod token;
