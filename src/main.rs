//! The `homing` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(failed) = homing::os::program::become_program(std::env::args_os()) {
        return failed;
    }
    homing::drivers::run(std::env::args_os().skip(1)).code().into()
}
