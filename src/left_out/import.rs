//! `drivers::import` of a build without the import of other clients' set-ups: there is nothing to run.

use crate::cli::ImportCommand;
use crate::exit::Exit;

/// Runs the command, of which there is none.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "it stands for one that holds paths")]
pub fn run(command: &ImportCommand, _: bool) -> Exit {
    match *command {}
}
