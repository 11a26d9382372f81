//! `cli::pages` of a build without manual pages and completions: it has no commands.
//!
//! The parser refuses the commands earlier.

use super::table;
use super::{Given, UsageError};
use crate::core::feature;

/// Refuses the command `entry`.
pub(super) fn asked(_: &Given, entry: &table::Command) -> Result<String, UsageError> {
    Err(UsageError(feature::refusal(&entry.line())))
}
