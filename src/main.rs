//! The `homing` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    homing::drivers::run(std::env::args_os().skip(1)).into()
}
