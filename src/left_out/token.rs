//! `token` of a build without token management: there is no command to run.

use crate::cli::TokenCommand;
use crate::config::Config;
use crate::exit::Exit;

/// Runs one token command, of which there is none.
#[expect(clippy::unused_async, reason = "it stands for one that awaits")]
pub async fn run(_: &Config, command: &TokenCommand, _: i8) -> Exit {
    match *command {}
}
