//! The system's words for its errors, for people.

use std::io;

/// The system's words for `error`, without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let words = error.to_string();
    match words.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => words,
    }
}

/// Whether there are no more file descriptors for this process, or for all.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    // EMFILE and ENFILE, on every system that Homing runs on.
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// The fix for a shortage.
pub(crate) const SHORTAGE: &str =
    "raise the limit of open files (`ulimit -n`, LimitNOFILE= of a service)";

/// The words of the system's resolver, without std's introduction.
pub(crate) fn of_look_up(words: &str) -> &str {
    words.strip_prefix("failed to lookup address information: ").unwrap_or(words)
}
