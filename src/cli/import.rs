//! The settings of `homing import`: the client, its configuration, and the directory of secrets.

use std::path::PathBuf;

use super::table::{self, Flag};
use super::{Given, UsageError, did_you_mean};
use crate::import::Client;
use crate::os::log::Printable;

/// The command `homing import` with its settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImportCommand {
    /// The client that the configuration is from.
    pub client: Client,
    /// The client's configuration; `-` is standard input.
    pub file: PathBuf,
    /// The directory that secrets are written into.
    pub secrets_dir: Option<PathBuf>,
}

impl ImportCommand {
    /// Reads the arguments of the command `entry`.
    pub(super) fn of(given: &Given, entry: &table::Command) -> Result<Self, UsageError> {
        let (line, clients) = (entry.line(), entry.choices.join(", "));
        let needs = |what: &str| {
            UsageError(format!("`{line}` needs {what}; write `{line} {}`", entry.operand))
        };
        let Some(word) = given.operands.first() else {
            return Err(needs(&format!("a CLIENT, one of: {clients}")));
        };
        let client = Client::ALL.into_iter().find(|client| client.word() == word);
        let client = client.ok_or_else(|| {
            let meant = did_you_mean(word, entry.choices.iter().copied());
            let word = Printable(word);
            UsageError(format!(
                "`{word}` is not a client that can be imported;{meant} there are: {clients}"
            ))
        })?;
        let file = given.file.clone().filter(|file| !file.as_os_str().is_empty());
        let file = file.ok_or_else(|| needs("the FILE that holds that client's configuration"))?;
        Ok(Self { client, file, secrets_dir: given.path(Flag::SecretsDir, |_| None) })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::super::tests::{fails, run, shows};
    use super::super::{Command, Parsed, parse};
    use super::*;

    #[test]
    fn a_client_and_a_file_are_needed_and_the_rest_is_optional() {
        let file = PathBuf::from("/etc/ddclient.conf");
        let expect = ImportCommand { client: Client::Ddclient, file, secrets_dir: None };
        assert_eq!(run("import ddclient /etc/ddclient.conf").0, Command::Import(expect.clone()));
        let secrets_dir = Some("s".into());
        let expect = ImportCommand { secrets_dir, file: "-".into(), ..expect };
        assert_eq!(run("import --secrets-dir s ddclient -").0, Command::Import(expect));
        shows("import --help", "ddclient, inadyn, ddns-scripts");
        fails(
            "import",
            "`homing import` needs a CLIENT, one of: ddclient, inadyn, ddns-scripts; write `homing import CLIENT FILE`",
        );
        fails(
            "import inadyn",
            "`homing import` needs the FILE that holds that client's configuration; write `homing import CLIENT FILE`",
        );
        fails(
            "import ddclinet x",
            "`ddclinet` is not a client that can be imported; did you mean `ddclient`? there are: ddclient, inadyn, ddns-scripts",
        );
        fails("import inadyn a b", "`homing import` does not take `b`; see `homing import --help`");
    }

    #[test]
    fn the_name_of_the_file_need_not_be_text() {
        let file = OsString::from_vec(b"\xff.conf".to_vec());
        let parsed = parse(["import".into(), "inadyn".into(), file.clone()], |_| None);
        assert!(
            matches!(&parsed, Ok(Parsed::Run(Command::Import(import), _)) if import.file == file),
            "{parsed:?}"
        );
    }

    #[test]
    fn the_table_names_every_client() {
        let entry = table::command("import").unwrap();
        assert_eq!(Client::ALL.map(Client::word), *entry.choices);
    }
}
