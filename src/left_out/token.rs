//! `token` of a build without token management: it has no command.

use crate::cli::TokenCommand;
use crate::config::Config;
use crate::core::exit::Exit;

/// Does nothing: no value of the command exists.
#[expect(clippy::unused_async, reason = "it stands for one that awaits")]
pub async fn run(_: &Config, command: &TokenCommand, _: i8) -> Exit {
    match *command {}
}
