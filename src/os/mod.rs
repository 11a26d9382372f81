//! This machine: its clock, files, programs, users, terminal and kernel.
//!
//! Knows nothing of hosts, providers or rounds. Used by every room but `core` and `exit`.

pub mod clock;
pub(crate) mod disk;
#[cfg_attr(not(feature = "tokens"), path = "../left_out/fold.rs")]
pub(crate) mod fold;
pub(crate) mod hand;
pub mod kernel;
#[cfg_attr(not(feature = "pages"), path = "../left_out/local.rs")]
pub(crate) mod local;
pub mod log;
pub mod program;
pub(crate) mod reason;
pub(crate) mod say;
#[cfg_attr(not(feature = "tokens"), path = "../left_out/styled.rs")]
pub(crate) mod styled;
pub mod supervisor;
#[cfg(feature = "tokens")]
pub(crate) mod terminal;
pub(crate) mod user;
pub mod waiting;
pub(crate) mod walk;
