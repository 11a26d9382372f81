//! `os::styled` of a build without tokens: lines for people are printed as they are, neither coloured nor
//! wrapped.

use super::say;

/// The meaning of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// A person must act.
    Bad,
    /// A person should look.
    Doubtful,
    /// As it should be.
    Good,
}

/// Writes `line` to standard output.
pub fn out_wrapped(line: &str, _: Option<Style>) {
    say::out(line);
}
