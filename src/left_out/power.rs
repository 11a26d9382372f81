//! `core::protocol::http::power` of a build without token management: no entry has powers.
//!
//! The key `power` is accepted, so that a configuration serves every build, and not read.

use super::reader::{Reader, Step, Wrong};
use super::tree::Tree;

/// No power.
#[derive(Clone)]
pub enum Power {}

/// Reads nothing.
#[expect(clippy::unnecessary_wraps, reason = "it stands for one that can fail")]
pub(super) fn read(_: &Reader<'_>, _: &Tree) -> Result<Vec<Power>, Wrong> {
    Ok(Vec::new())
}

impl Power {
    /// The request of a power: there is none.
    pub fn step(&self) -> &Step {
        match *self {}
    }

    /// What it is, in words: there is none.
    pub fn words(&self) -> Option<&str> {
        match *self {}
    }
}
