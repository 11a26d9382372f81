//! The settings of `homing init`: what is known of the first host.
//!
//! The secret is not among them: the command line names its file.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::table::{self, Flag, Opt};
use super::{Given, UsageError, shown};
use crate::core::address::PerFamily;

/// The command `homing init` with its settings; it asks for what is missing and needed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InitCommand {
    /// The name of the host.
    pub host: Option<String>,
    /// The provider, by its name or a part of it.
    pub provider: Option<String>,
    /// The login at the provider.
    pub username: Option<String>,
    /// The option (`--token-file`) that names the file with the secret, and the file; `-` is standard
    /// input.
    pub secret_file: Option<(&'static str, PathBuf)>,
    /// The domain at the provider that holds the host.
    pub zone: Option<String>,
    /// Options of the provider, each with its value.
    pub options: Vec<(String, String)>,
    /// The source of the address of each family.
    pub sources: PerFamily<Option<String>>,
    /// The file of the management token, with which a token is made.
    pub management_token_file: Option<PathBuf>,
}

impl InitCommand {
    /// Reads the arguments.
    pub(super) fn of(given: &Given, _: &table::Command) -> Result<Self, UsageError> {
        let text = |flag| given.value(flag).map(text).transpose();
        let files = [Flag::TokenFile, Flag::PasswordFile].map(|flag| given.value(flag));
        let secret_file = match files {
            [Some(_), Some(_)] => {
                let error = "--token-file and --password-file are one setting; give one of them";
                return Err(UsageError(error.to_owned()));
            }
            [Some((_, path)), None] => Some(("--token-file", path.into())),
            [None, Some((_, path))] => Some(("--password-file", path.into())),
            [None, None] => None,
        };
        let options = given.options.iter().filter(|(option, _)| option.flag == Flag::HostOption);
        Ok(Self {
            host: given.operands.first().cloned(),
            provider: text(Flag::Provider)?,
            username: text(Flag::Username)?,
            secret_file,
            zone: text(Flag::Zone)?,
            options: options.map(|(_, value)| pair(value)).collect::<Result<_, _>>()?,
            sources: PerFamily { v4: text(Flag::Ipv4)?, v6: text(Flag::Ipv6)? },
            management_token_file: given.path(Flag::ManagementTokenFile, |_| None),
        })
    }
}

fn text((option, value): (&Opt, &OsStr)) -> Result<String, UsageError> {
    let error = || UsageError(format!("--{}: `{}` is not UTF-8 text", option.long, shown(value)));
    value.to_str().map(str::to_owned).ok_or_else(error)
}

/// `NAME=VALUE` as a name and its value.
fn pair(value: &OsStr) -> Result<(String, String), UsageError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let pair = value.to_str().and_then(|text| text.split_once('='));
    let pair = pair.filter(|(name, _)| !name.is_empty() && name.chars().all(is_name));
    let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| {
        UsageError(format!("--option: `{}` is not of the form NAME=VALUE", shown(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::tests::{fails, run, shows};
    use super::*;

    #[test]
    fn everything_that_is_asked_can_be_given() {
        assert_eq!(run("init").0, Command::Init(Box::default()));
        let line = "init a.example --provider p --username u --token-file t --zone example \
            --option a=b --option c= --ipv4 eth0 --ipv6 off --management-token-file m";
        let expect = InitCommand {
            host: Some("a.example".into()),
            provider: Some("p".into()),
            username: Some("u".into()),
            secret_file: Some(("--token-file", "t".into())),
            zone: Some("example".into()),
            options: vec![("a".into(), "b".into()), ("c".into(), String::new())],
            sources: PerFamily { v4: Some("eth0".into()), v6: Some("off".into()) },
            management_token_file: Some("m".into()),
        };
        assert_eq!(run(line).0, Command::Init(Box::new(expect)));
        let secret_file = Some(("--password-file", PathBuf::from("-")));
        let expect = InitCommand { secret_file, ..InitCommand::default() };
        assert_eq!(run("init --password-file -").0, Command::Init(Box::new(expect)));
        shows("init --help", "--provider PROVIDER");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        fails(
            "init --token-file a --password-file b",
            "--token-file and --password-file are one setting; give one of them",
        );
        fails("init --option a", "--option: `a` is not of the form NAME=VALUE");
        fails("init --option =a", "--option: `=a` is not of the form NAME=VALUE");
        fails(
            "init a.example b.example",
            "`homing init` does not take `b.example`; see `homing init --help`",
        );
    }
}
