//! `drivers::init` of a build that leaves it out: it has no command.

use crate::cli::{Common, InitCommand};
use crate::core::exit::Exit;

/// Does nothing: no value of the command exists.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "it stands for one that holds paths")]
pub fn run(command: &InitCommand, _: Common) -> Exit {
    match *command {}
}
