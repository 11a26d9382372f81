//! `drivers::import` of a build without the import of other clients' configurations: it has no command.

use crate::cli::ImportCommand;
use crate::core::exit::Exit;

/// Does nothing: no value of the command exists.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "it stands for one that holds paths")]
pub fn run(command: &ImportCommand, _: bool) -> Exit {
    match *command {}
}
