//! The output of commands: lines on standard output and standard error, harmless for a terminal.

use std::io::Write;

use super::fold::for_errors;
use super::log::Printable;

/// Writes a line to standard output. A reader that has gone (`| head`) is no error, and the text
/// of a server must not write codes to a terminal.
pub fn out(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", Printable(line));
}

/// `json` with an escape for each character that is not ASCII: so it stays valid when [`out`] takes the
/// treacherous ones from it. Only strings hold such characters.
pub fn ascii_json(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\x7f' {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

/// Writes a text to standard error, a line at a time, each wrapped on a terminal.
pub fn err(text: &str) {
    for line in text.lines() {
        for part in for_errors(format!("homing: {}", Printable(line))) {
            let _ = writeln!(std::io::stderr(), "{part}");
        }
    }
}
