//! What the system says when it refuses, for people.

use std::io;

/// The system's words for `error`, without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let words = error.to_string();
    match words.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => words,
    }
}

/// What the system's resolver says, without std's introduction.
pub(crate) fn of_look_up(words: &str) -> &str {
    words.strip_prefix("failed to lookup address information: ").unwrap_or(words)
}
