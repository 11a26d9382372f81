//! The output of commands: lines on standard output and standard error, harmless for a terminal.

use std::io::Write;

use super::log::Printable;

/// Writes a line to standard output. A reader that has gone (`| head`) is no error, and the text
/// of a server must not write codes to a terminal.
pub fn out(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", Printable(line));
}

/// Writes a text to standard error, a line at a time.
pub fn err(text: &str) {
    for line in text.lines() {
        let _ = writeln!(std::io::stderr(), "homing: {}", Printable(line));
    }
}
