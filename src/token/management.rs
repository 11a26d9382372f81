//! The secrets of management, a token or a user's password, which may make and delete tokens. Read for
//! one command, never stored, never shown.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::cli::TokenCommand;
use crate::config::handed::HandedSecret;
use crate::config::secret::{Flaw, one_line};
use crate::core::secret::Secret;
use crate::os::terminal;

/// The environment variable that holds the management token.
pub use crate::cli::table::MANAGEMENT_VARIABLE as VARIABLE;

const TOKEN: HandedSecret =
    HandedSecret { option: "--management-token-file", name: "management token", word: "token" };

const PASSWORD: HandedSecret = HandedSecret {
    option: "--management-password-file",
    name: "user's password",
    word: "password",
};

/// The prompt on the terminal.
const PROMPT: &str = "Management token (it is not shown): ";

/// The management token: from `file` (`-` is standard input), else from the variable, else, with
/// `may_ask`, typed on the terminal; `None` when there is none. An error includes the fix.
pub fn secret(file: Option<&Path>, may_ask: bool) -> Result<Option<Secret>, String> {
    let ask = || if may_ask { terminal::ask_hidden(PROMPT) } else { Ok(None) };
    choose(file, std::env::var_os(VARIABLE), ask)
}

/// Whether a management token is given, without asking for it.
pub fn is_given(command: &TokenCommand) -> bool {
    let is_set = || std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
    command.management_token_file.is_some() || is_set()
}

/// The password of the management user `login`: from `file`, else typed, as for [`secret`].
pub fn password(file: Option<&Path>, login: &str) -> Result<Option<Secret>, String> {
    match file {
        Some(path) => PASSWORD.in_file(path).map(Some),
        None => PASSWORD
            .typed(|| terminal::ask_hidden(&format!("Password of {login} (it is not shown): "))),
    }
}

/// As [`secret`], with the value of the variable.
fn choose(
    file: Option<&Path>,
    variable: Option<OsString>,
    ask: impl FnOnce() -> io::Result<Option<String>>,
) -> Result<Option<Secret>, String> {
    if let Some(path) = file {
        return TOKEN.in_file(path).map(Some);
    }
    // An empty value counts as unset: a unit or a script can only empty it.
    if let Some(value) = variable.filter(|value| !value.is_empty()) {
        let wrong = |flaw: Flaw| match flaw {
            Flaw::Empty => format!(
                "the environment variable {VARIABLE} contains only white space; set it to the \
                    management token"
            ),
            flaw => format!("the environment variable {VARIABLE} {flaw}"),
        };
        return one_line(value.as_encoded_bytes()).map(Some).map_err(wrong);
    }
    TOKEN.typed(ask)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions, Permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::Command;
    use std::{env, thread};

    use super::*;

    /// A path of its own for each test, free again at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = env::temp_dir().join(format!("homing-mgmt-{}-{name}", std::process::id()));
            let _ = fs::remove_file(&path);
            Self(path)
        }

        fn write(self, content: &str, mode: u32) -> Self {
            fs::write(&self.0, content).unwrap();
            fs::set_permissions(&self.0, Permissions::from_mode(mode)).unwrap();
            self
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[track_caller]
    fn check(
        file: Option<&Path>,
        variable: Option<&str>,
        typed: Option<&str>,
        expect: Result<Option<&str>, &str>,
    ) {
        let ask = || Ok(typed.map(ToOwned::to_owned));
        let found = choose(file, variable.map(Into::into), ask);
        let found = found.as_ref().map(|secret| secret.as_ref().map(Secret::expose));
        assert_eq!(found.map_err(String::as_str), expect);
    }

    #[test]
    fn the_file_counts_before_the_variable_and_that_before_the_terminal() {
        let file = Scratch::new("order").write("of-file\n", 0o600);
        check(Some(&file.0), Some("of-variable"), Some("typed"), Ok(Some("of-file")));
        check(None, Some("of-variable"), Some("typed"), Ok(Some("of-variable")));
        check(None, Some(""), Some("typed"), Ok(Some("typed")));
        check(None, None, None, Ok(None));
        check(None, None, Some(""), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_fix_and_without_the_content() {
        let wrong = "the environment variable HOMING_MANAGEMENT_TOKEN contains a line break; put \
            only the secret on one line";
        check(None, Some("hunter2\nmore"), None, Err(wrong));
        let wrong = "the environment variable HOMING_MANAGEMENT_TOKEN contains only white space; \
            set it to the management token";
        check(None, Some(" "), None, Err(wrong));
        let wrong = "the input has a control character; type or paste only the management token";
        check(None, None, Some("hunter2\x1b[D"), Err(wrong));
        let wrong = "--management-token-file: /nonexistent does not exist; put the management token on its first line";
        check(Some(Path::new("/nonexistent")), None, None, Err(wrong));
        let wrong = "--management-token-file: the file does not exist; give the name of a file, not the token itself";
        check(Some(Path::new("i4T-1uAnnTcLJ8Ks1nNEWuMnxe9w")), None, None, Err(wrong));
        let wrong =
            "--management-token-file: / is not a regular file; name the file itself".to_owned();
        check(Some(Path::new("/")), None, None, Err(&wrong));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let file = Scratch::new("exposed").write("hunter2\n", 0o644);
        let path = file.0.display();
        let told = choose(Some(&file.0), None, || Ok(None)).unwrap_err();
        assert!(
            told.starts_with(&format!("{}: {path} is open to others (0644)", TOKEN.option)),
            "{told}"
        );
        assert!(told.contains("chmod 6"), "{told}");
    }

    #[test]
    fn an_endless_or_empty_device_is_no_token() {
        let told = |path: &str| choose(Some(Path::new(path)), None, || Ok(None)).unwrap_err();
        assert!(told("/dev/null").contains("/dev/null is empty"));
        assert!(told("/dev/zero").contains("/dev/zero is larger than 4 KiB"));
    }

    #[test]
    fn a_pipe_is_waited_for() {
        let pipe = Scratch::new("pipe");
        assert!(Command::new("mkfifo").arg(&pipe.0).status().unwrap().success());
        let path = pipe.0.clone();
        let writer = thread::spawn(move || {
            let mut pipe = OpenOptions::new().write(true).open(path).unwrap();
            thread::sleep(std::time::Duration::from_millis(50));
            pipe.write_all(b"hunter2\n").unwrap();
        });
        check(Some(&pipe.0), None, None, Ok(Some("hunter2")));
        writer.join().unwrap();
    }
}
