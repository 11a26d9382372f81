//! `confine` of a build without Landlock: nothing is confined, and that is said.

use std::path::Path;

use tracing::info;

use crate::config::Config;

const WORDS: &str = "not confined: this build of Homing leaves out Landlock";

/// That the program is not confined.
#[derive(Clone, Copy, Debug)]
pub struct Confinement;

impl Confinement {
    /// Leaves this thread as it is.
    pub fn begin(_: &Config, _: &Path) -> Self {
        Self
    }

    /// Logs for a daemon that nothing is confined.
    pub fn announce(&self, is_daemon: bool) {
        if is_daemon {
            info!("{}", WORDS);
        }
    }

    /// Forbids nothing.
    pub fn forbids(&self, _: &Config, _: &Config) -> Option<String> {
        None
    }

    /// Has nothing to explain.
    pub fn explain(&mut self, _: &Config) -> bool {
        false
    }
}

/// That nothing would be confined.
pub fn rehearsed(_: &Config, _: &Path) -> Vec<String> {
    vec![WORDS.to_owned()]
}
