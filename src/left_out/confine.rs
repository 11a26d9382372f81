//! `confine` of a build without Landlock: confines nothing, and says so.

use std::path::Path;

use tracing::info;

use crate::config::Config;

const WORDS: &str = "no sandbox: this build of Homing has no Landlock";

/// The program without confinement.
#[derive(Clone, Copy, Debug)]
pub struct Confinement;

impl Confinement {
    /// Leaves this thread as it is.
    pub fn begin(_: &Config, _: &Path) -> Self {
        Self
    }

    /// Logs for a daemon that it is not confined.
    pub fn announce(&self, is_daemon: bool) {
        if is_daemon {
            info!("{}", WORDS);
        }
    }

    /// Forbids nothing.
    pub fn forbids(&self, _: &Config, _: &Config) -> Option<String> {
        None
    }

    /// Explains nothing; never asks for a restart.
    pub fn explain(&mut self, _: &Config) -> bool {
        false
    }
}

/// A line that says that nothing would be confined.
pub fn rehearsed(_: &Config, _: &Path) -> Vec<String> {
    vec![WORDS.to_owned()]
}
