//! Secrets that are handed to one command: in the file of an option, on standard input, or typed.

use std::io::{self, IsTerminal};
use std::path::Path;

use super::problems::shown_path;
use super::secret::{self, Flaw, SecretError, looks_like_a_secret, one_line};
use crate::core::secret::Secret;

/// Such a secret, in the words of messages.
#[derive(Clone, Copy, Debug)]
pub struct HandedSecret {
    /// The option that names its file.
    pub option: &'static str,
    /// The name of the secret.
    pub name: &'static str,
    /// The name in one word.
    pub word: &'static str,
}

impl HandedSecret {
    /// The result of `ask` as a secret; `None` where nothing was typed.
    pub fn typed(
        self,
        ask: impl FnOnce() -> io::Result<Option<String>>,
    ) -> Result<Option<Secret>, String> {
        let Self { option, name, .. } = self;
        let typed = ask().map_err(|error| {
            format!("the terminal gives no {name}: {error}; name its file with {option}")
        })?;
        match typed.filter(|typed| !typed.is_empty()) {
            None => Ok(None),
            Some(typed) => one_line(typed.as_bytes()).map(Some).map_err(|flaw| match flaw {
                Flaw::Control => {
                    format!("the input has a control character; type or paste only the {name}")
                }
                flaw => format!("the input {flaw}"),
            }),
        }
    }

    /// The secret in the option's file; `-` is standard input.
    pub fn in_file(self, path: &Path) -> Result<Secret, String> {
        let Self { option, word, .. } = self;
        let is_input = path == Path::new("-") || path == Path::new("/dev/stdin");
        let read = if is_input {
            let input = io::stdin();
            if input.is_terminal() {
                return Err(format!(
                    "{option}: standard input is a terminal, which would show the {word}; leave \
                        out the option and Homing asks for it"
                ));
            }
            // A redirected file is open already; opening it again could fail, and would check nothing.
            secret::from_reader(input, Path::new("standard input"))
        } else {
            secret::read_handed(path)
        };
        read.map_err(|error| self.file_problem(&error))
    }

    /// The problem with the option's file, in words.
    fn file_problem(self, error: &SecretError) -> String {
        let Self { option, name, word } = self;
        let text = match error {
            // A secret that was given instead of its file's name must not appear in a log.
            SecretError::Missing(path) if looks_like_a_secret(path) => {
                format!("the file does not exist; give the name of a file, not the {word} itself")
            }
            SecretError::Missing(path) => {
                format!("{} does not exist; put the {name} on its first line", shown_path(path))
            }
            SecretError::Unreadable { path, reason, .. } => {
                format!("{} cannot be read: {reason}; run this as a user who may", shown_path(path))
            }
            SecretError::Content { holder, flaw: Flaw::Empty } => format!(
                "{holder} is empty; put the {name} on its first line, or check the command that \
                    writes it"
            ),
            error => error.to_string(),
        };
        [option, ": ", &text].concat()
    }
}
