//! The command line: reads words into a command with settings, or into an error that names the word.
//!
//! `table` defines every command and option, and help is made from it. Reads only the arguments and
//! the environment, which the caller passes.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use self::table::{Flag, Group, Opt, Verb};
use crate::core::feature;
use crate::core::name::{Hostname, NameError};
use crate::core::nearest::nearest;
use crate::os::log::{Format, Level, Printable};

pub mod help;
#[cfg_attr(not(feature = "import"), path = "../left_out/import_command.rs")]
mod import;
#[cfg_attr(not(feature = "init"), path = "../left_out/init_command.rs")]
mod init;
#[cfg_attr(not(feature = "manual"), path = "../left_out/pages.rs")]
pub mod pages;
pub mod table;
#[cfg_attr(not(feature = "tokens"), path = "../left_out/token_command.rs")]
mod token;

pub use self::import::ImportCommand;
pub use self::init::InitCommand;
pub use self::token::TokenCommand;
#[cfg(feature = "tokens")]
pub use self::token::{Ask, LimitsAsked, TokenAction};

/// The result of reading a command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// A command with its settings.
    Run(Command, Common),
    /// A text to print on standard output (help, version, manual pages, completions).
    Show(String),
}

/// A command with its own settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// Stay in the foreground.
    Daemon,
    /// Run one round.
    Once(Once),
    /// Write the first configuration.
    Init(Box<InitCommand>),
    /// Show problems and what a round would do.
    Check,
    /// Show the remembered state.
    Status {
        /// Whether the output is JSON.
        json: bool,
        /// The hosts to show; empty for all.
        hosts: Vec<Hostname>,
    },
    /// Show the addresses that the sources find.
    Address,
    /// Show the last changes.
    History {
        /// The host to show alone.
        host: Option<String>,
        /// Whether the output is JSON, an object a line.
        json: bool,
    },
    /// Show the table of providers, or one of them.
    Providers(Option<String>),
    /// Issue, audit, rotate or revoke tokens.
    Token(Box<TokenCommand>),
    /// Translate another client's configuration.
    Import(ImportCommand),
}

/// The settings of one round.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Once {
    /// Whether updates are only printed, and not sent.
    pub dry_run: bool,
    /// Whether unchanged addresses are sent, too.
    pub refresh: bool,
    /// Whether hosts that are parked or wait after a fault are tried again.
    pub retry_rejected: bool,
}

/// The settings of every command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Common {
    /// The configuration file.
    pub config: PathBuf,
    /// The state directory, if it overrides the configuration.
    pub state_dir: Option<PathBuf>,
    /// The number of levels by which more is logged (fewer if negative).
    pub verbosity: i8,
    /// The form of the log, if it overrides the configuration.
    pub log_format: Option<Format>,
    /// The level of the log, if it overrides the configuration.
    pub log: Option<Level>,
}

/// The error of a command line, with the fix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Reads `arguments` (without the program's name); `variable` reads the environment.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Parsed, UsageError> {
    let given = Given::from_arguments(arguments)?;
    if given.has(Flag::Help) {
        return Ok(Parsed::Show(given.help()));
    }
    if given.has(Flag::Version) {
        return Ok(Parsed::Show(help::version()));
    }
    let entry = given.entry()?;
    if entry.is_left_out() {
        return Err(left_out(&entry.line()));
    }
    given.check_belonging(entry)?;
    let command = match entry.verb {
        Verb::Daemon => Command::Daemon,
        Verb::Once => Command::Once(Once {
            dry_run: given.has(Flag::DryRun),
            refresh: given.has(Flag::Refresh),
            retry_rejected: given.has(Flag::RetryRejected),
        }),
        Verb::Init => Command::Init(Box::new(InitCommand::of(&given, entry)?)),
        Verb::Check => Command::Check,
        Verb::Status => Command::Status { json: given.has(Flag::Json), hosts: given.hosts()? },
        Verb::Address => Command::Address,
        Verb::History => {
            Command::History { host: given.operands.first().cloned(), json: given.has(Flag::Json) }
        }
        Verb::Providers => Command::Providers(given.operands.first().cloned()),
        Verb::TokenIssue | Verb::TokenAudit | Verb::TokenRotate | Verb::TokenRevoke => {
            Command::Token(Box::new(TokenCommand::of(&given, entry)?))
        }
        Verb::Import => Command::Import(ImportCommand::of(&given, entry)?),
        Verb::Completions | Verb::Manual => return Ok(Parsed::Show(pages::asked(&given, entry)?)),
    };
    let level = variable(table::LOG_VARIABLE).filter(|level| !level.is_empty());
    let common = Common {
        config: given.path(Flag::Config, &variable).unwrap_or(table::DEFAULT_CONFIG.into()),
        state_dir: given.path(Flag::StateDir, &variable),
        verbosity: given.count(Flag::Verbose).saturating_sub(given.count(Flag::Quiet)),
        log_format: given.word(Flag::LogFormat)?,
        log: level.map(|level| word(table::LOG_VARIABLE, &level)).transpose()?,
    };
    Ok(Parsed::Run(command, common))
}

fn hostname(text: &str) -> Result<Hostname, String> {
    if !text.is_ascii() {
        return Err(
            "has non-ASCII letters; write its xn-- form, as `homing status` shows it".to_owned()
        );
    }
    text.parse().map_err(|error: NameError| error.to_string())
}

/// The name in the table for an operand that is a file.
const FILE: &str = "FILE";

/// The arguments, each found in the table.
#[derive(Debug, Default)]
struct Given {
    /// The group whose word was given; its action may still follow.
    group: Option<&'static Group>,
    command: Option<&'static table::Command>,
    operands: Vec<String>,
    /// The operand that is a file; its name need not be UTF-8.
    file: Option<PathBuf>,
    options: Vec<(&'static Opt, OsString)>,
}

impl Given {
    /// The operands as host names, each once.
    fn hosts(&self) -> Result<Vec<Hostname>, UsageError> {
        let mut hosts = Vec::new();
        for word in &self.operands {
            let host = hostname(word)
                .map_err(|error| UsageError(format!("`{}` {error}", Printable(word))))?;
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        Ok(hosts)
    }

    fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        use lexopt::Arg;

        let mut given = Self::default();
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(surplus)? {
            let option = match argument {
                Arg::Value(word) => {
                    given.add_word(&word)?;
                    if given.command.is_some_and(table::Command::is_left_out) {
                        // This build lacks the command's options; only a request for help is read.
                        let mut rest = parser.raw_args().map_err(surplus)?;
                        let help = rest.any(|word| word == "--help" || word == "-h");
                        let help = table::long("help").filter(|_| help);
                        given.options.extend(help.map(|option| (option, OsString::new())));
                        return Ok(given);
                    }
                    continue;
                }
                Arg::Long(name) => {
                    if let Some(command) = table::command(&format!("--{name}")) {
                        given.add_command(command)?;
                        continue;
                    }
                    table::long(name).ok_or_else(|| unknown("option", &format!("--{name}")))?
                }
                Arg::Short(letter) => {
                    table::short(letter).ok_or_else(|| unknown("option", &format!("-{letter}")))?
                }
            };
            let value = match option.value {
                Some(name) => value(&mut parser, option.long, name)?,
                None => OsString::new(),
            };
            given.options.push((option, value));
        }
        Ok(given)
    }

    /// Reads a word that is neither an option nor an option's value.
    fn add_word(&mut self, word: &OsStr) -> Result<(), UsageError> {
        let text = shown(word);
        // `-- --once` is a word, not the option.
        let plain = word.to_str().filter(|word| !word.starts_with('-'));
        let group = plain.and_then(table::group);
        let known = plain.and_then(table::command);
        let Some(command) = self.command else {
            if let Some(group) = self.group {
                let action = group.commands().find(|command| plain == Some(command.action()));
                return self.add_command(action.ok_or_else(|| unknown_action(group, &text))?);
            }
            self.group = group;
            return match (group, known) {
                (Some(_), _) => Ok(()),
                (None, Some(command)) => self.add_command(command),
                (None, None) => Err(unknown("command", &text)),
            };
        };
        let line = command.line();
        let place = self.operands.len() + usize::from(self.file.is_some());
        let Some(operand) = command.operand_at(place) else {
            return match (group, known) {
                (Some(group), _) => Err(two_commands(&line, &group.line())),
                (None, Some(other)) => self.add_command(other),
                (None, None) => {
                    let error = format!("`{line}` does not take `{text}`; see `{line} --help`");
                    Err(UsageError(error))
                }
            };
        };
        if operand == FILE {
            self.file = Some(word.into());
            return Ok(());
        }
        let Some(operand) = word.to_str() else {
            return Err(UsageError(format!("`{text}` is not UTF-8 text; see `{line} --help`")));
        };
        self.operands.push(operand.to_owned());
        Ok(())
    }

    fn add_command(&mut self, command: &'static table::Command) -> Result<(), UsageError> {
        let before = match (self.command, self.group) {
            (Some(other), _) if other.verb != command.verb => other.line(),
            (None, Some(group)) if command.group().is_none_or(|own| own.name != group.name) => {
                group.line()
            }
            _ => {
                self.command = Some(command);
                return Ok(());
            }
        };
        Err(two_commands(&before, &command.line()))
    }

    /// The requested help.
    fn help(&self) -> String {
        match (self.command, self.group) {
            (Some(command), _) => help::of(command),
            (None, Some(group)) => help::of_group(group),
            (None, None) => help::overview(),
        }
    }

    /// The requested command; the daemon if there is none.
    fn entry(&self) -> Result<&'static table::Command, UsageError> {
        match (self.command, self.group) {
            (Some(command), _) => Ok(command),
            (None, Some(group)) if group.is_left_out() => Err(left_out(&group.line())),
            (None, Some(group)) => {
                let (line, actions) = (group.line(), actions(group));
                Err(UsageError(format!("`{line}` needs an action; write one of: {actions}")))
            }
            (None, None) => Ok(table::daemon()),
        }
    }

    /// Refuses options that the command does not have.
    fn check_belonging(&self, command: &table::Command) -> Result<(), UsageError> {
        let foreign = |(option, _): &&(&Opt, _)| !option.is_taken_by(command.verb);
        let Some((option, _)) = self.options.iter().find(foreign) else { return Ok(()) };
        let name = option.long;
        let takers = table::COMMANDS
            .iter()
            .filter(|other| !other.is_left_out() && option.is_taken_by(other.verb));
        let lines: Vec<_> = takers.map(|taker| format!("`{} --{name}`", taker.line())).collect();
        let lines = match lines.as_slice() {
            [] => return Err(left_out(&format!("--{name}"))),
            [others @ .., last] if !others.is_empty() => {
                format!("{} or {last}", others.join(", "))
            }
            lines => lines.concat(),
        };
        let refuser = match command.verb {
            Verb::Daemon => "the daemon".to_owned(),
            _ => format!("`{}`", command.line()),
        };
        Err(UsageError(format!("{refuser} does not take --{name}; write {lines}")))
    }

    fn has(&self, flag: Flag) -> bool {
        self.options.iter().any(|(option, _)| option.flag == flag)
    }

    fn count(&self, flag: Flag) -> i8 {
        let count = self.options.iter().filter(|(option, _)| option.flag == flag).count();
        i8::try_from(count).unwrap_or(i8::MAX)
    }

    /// The last value given for `flag`: earlier ones may come from a wrapper script.
    fn value(&self, flag: Flag) -> Option<(&'static Opt, &OsStr)> {
        let last = self.options.iter().rfind(|(option, _)| option.flag == flag);
        last.map(|(option, value)| (*option, value.as_os_str()))
    }

    /// The value given for `flag`, which is one of a list of words.
    fn word<T>(&self, flag: Flag) -> Result<Option<T>, UsageError>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let value = self.value(flag);
        value.map(|(option, value)| word(&format!("--{}", option.long), value)).transpose()
    }

    /// The path given for `flag`, else the first of its variables that is set.
    fn path(&self, flag: Flag, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        if let Some((_, value)) = self.value(flag) {
            return Some(value.into());
        }
        let option = table::OPTIONS.iter().find(|option| option.flag == flag)?;
        option.variables.iter().find_map(|name| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            // systemd separates several directories by colons (systemd.exec(5)).
            match value.to_str().filter(|_| *name == "STATE_DIRECTORY") {
                Some(list) => list.split(':').next().map(PathBuf::from),
                None => Some(value.into()),
            }
        })
    }
}

/// The value of the option `long`, from the same argument or the next one.
fn value(parser: &mut lexopt::Parser, long: &str, name: &str) -> Result<OsString, UsageError> {
    let attached = parser.optional_value();
    let is_attached = attached.is_some();
    let value = attached.or_else(|| parser.value().ok()).unwrap_or_default();
    if value.is_empty() {
        return Err(UsageError(format!("--{long} needs a value; write --{long} {name}")));
    }
    // The value was probably forgotten, so that the next option took its place.
    if !is_attached && value.as_encoded_bytes().starts_with(b"-") && value != "-" {
        return Err(UsageError(format!(
            "--{long} needs a value; write --{long} {name}, or --{long}={} if that is meant",
            shown(&value)
        )));
    }
    Ok(value)
}

/// Parses one of a list of words; `name` is the option or variable that it was given for.
fn word<T>(name: &str, value: &OsStr) -> Result<T, UsageError>
where
    T: FromStr<Err: fmt::Display>,
{
    let error = |error| UsageError(format!("{name}: `{}` {error}", shown(value)));
    value.to_string_lossy().parse().map_err(error)
}

/// The only other error of lexopt: a value for an option without one.
fn surplus(error: lexopt::Error) -> UsageError {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => {
            let option = Printable(&option);
            UsageError(format!("{option} takes no value; write {option} alone"))
        }
        other => UsageError(other.to_string()),
    }
}

fn two_commands(one: &str, other: &str) -> UsageError {
    UsageError(format!("`{one}` and `{other}` are two commands; give one of them"))
}

fn actions(group: &Group) -> String {
    group.commands().map(table::Command::action).collect::<Vec<_>>().join(", ")
}

/// The error for a word that is no action of `group`, with the nearest action.
fn unknown_action(group: &Group, text: &str) -> UsageError {
    let meant = did_you_mean(text, group.commands().map(table::Command::action));
    let (line, actions) = (group.line(), actions(group));
    UsageError(format!("unknown action `{text}`;{meant} `{line}` takes one of: {actions}"))
}

/// A question with the word of `known` that `text` was probably meant to be; empty if there is none.
pub fn did_you_mean<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(text, known).map_or(String::new(), |meant| format!(" did you mean `{meant}`?"))
}

fn left_out(words: &str) -> UsageError {
    UsageError(feature::refusal(&format!("`{words}`")))
}

/// Words of other programs for features of Homing, with the fix.
const MEANT: [(&str, &str); 17] = [
    ("config", "write `homing check`, which checks the configuration"),
    ("configure", "write `homing init`, which writes a first configuration"),
    ("daemon", "`homing` alone is the daemon"),
    ("force", "write `homing --once --refresh`, which sends unchanged addresses, too"),
    ("ip", "write `homing address`"),
    ("list", "write `homing status`, or `homing providers`"),
    (
        "reload",
        "`kill -HUP` makes the daemon read its configuration again (`systemctl reload homing`)",
    ),
    ("restart", "use the service manager (`systemctl restart homing`)"),
    ("run", "`homing` alone is the daemon, and `homing --once` is one round"),
    ("serve", "`homing` alone is the daemon"),
    ("setup", "write `homing init`, which writes a first configuration"),
    ("show", "write `homing status`"),
    (
        "start",
        "`homing` alone is the daemon; the service manager starts it (`systemctl start homing`)",
    ),
    ("stop", "use the service manager (`systemctl stop homing`)"),
    ("sync", "write `homing --once`"),
    ("test", "write `homing check`, which sends nothing, or `homing --once --dry-run`"),
    ("update", "write `homing --once`"),
];

/// The error for a word that is not in the table, with the nearest one that is.
fn unknown(what: &str, text: &str) -> UsageError {
    let options: Vec<_> = table::OPTIONS.iter().map(|o| format!("--{}", o.long)).collect();
    let groups = table::GROUPS.iter().map(|group| group.name);
    let commands = table::COMMANDS.iter().map(|command| command.name);
    let known = groups.chain(commands).chain(options.iter().map(String::as_str));
    let is_action = |c: &&table::Command| c.group().is_some() && c.action() == text;
    let action = table::COMMANDS.iter().find(is_action);
    if let Some((_, hint)) = MEANT.iter().find(|(word, _)| what == "command" && *word == text) {
        return UsageError(format!("unknown command `{text}`; {hint}"));
    }
    let meant = action.map(|command| command.name).or_else(|| nearest(text, known));
    let (text, program) = (Printable(text), table::PROGRAM);
    UsageError(match meant {
        Some(meant) => format!("unknown {what} `{text}`; did you mean `{meant}`?"),
        None => format!("unknown {what} `{text}`; see `{program} --help`"),
    })
}

fn shown(word: &OsStr) -> String {
    Printable(&word.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::core::feature::Feature;

    /// Parses a line whose words hold no blanks.
    fn parsed(environment: &[(&str, &str)], line: &str) -> Result<Parsed, UsageError> {
        let variable = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        parse(line.split_whitespace().map(OsString::from), variable)
    }

    #[track_caller]
    fn run_with(environment: &[(&str, &str)], line: &str) -> (Command, Common) {
        match parsed(environment, line) {
            Ok(Parsed::Run(command, common)) => (command, common),
            other => panic!("`{line}` gave {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn run(line: &str) -> (Command, Common) {
        run_with(&[], line)
    }

    #[track_caller]
    pub(super) fn fails(line: &str, expect: &str) {
        assert_eq!(parsed(&[], line).expect_err(line).to_string(), expect);
    }

    #[track_caller]
    pub(super) fn shows(line: &str, expect: &str) {
        match parsed(&[], line) {
            Ok(Parsed::Show(text)) => assert!(text.contains(expect), "{text}"),
            other => panic!("`{line}` gave {other:?}"),
        }
    }

    #[test]
    fn nothing_at_all_is_the_daemon_with_every_default() {
        let defaults = Common {
            config: "/etc/homing/config.toml".into(),
            state_dir: None,
            verbosity: 0,
            log_format: None,
            log: None,
        };
        assert_eq!(run(""), (Command::Daemon, defaults));
    }

    #[test]
    fn every_command_is_understood() {
        let all = Once { dry_run: true, refresh: true, retry_rejected: true };
        assert_eq!(run("--once").0, Command::Once(Once::default()));
        assert_eq!(run("--retry-rejected --once --dry-run --refresh").0, Command::Once(all));
        assert_eq!(run("check").0, Command::Check);
        assert_eq!(run("status").0, Command::Status { json: false, hosts: Vec::new() });
        assert_eq!(run("status --json").0, Command::Status { json: true, hosts: Vec::new() });
        assert_eq!(run("--json status").0, Command::Status { json: true, hosts: Vec::new() });
        let hosts = vec!["a.example".parse().unwrap()];
        assert_eq!(run("status a.example").0, Command::Status { json: false, hosts });
        let error = parsed(&[], "status a,b").unwrap_err().to_string();
        assert!(error.starts_with("`a,b` is not a host name"), "{error}");
        assert_eq!(run("address").0, Command::Address);
        assert_eq!(run("history").0, Command::History { host: None, json: false });
        let host = Some("a.example".into());
        assert_eq!(run("history a.example --json").0, Command::History { host, json: true });
        assert_eq!(run("providers").0, Command::Providers(None));
        assert_eq!(run("providers desec").0, Command::Providers(Some("desec".into())));
        // A provider may be called like a command.
        assert_eq!(run("providers check").0, Command::Providers(Some("check".into())));
    }

    #[test]
    fn common_options_stand_before_or_after_the_command() {
        let options = "--config a.toml --state-dir=s -v --log-format json";
        let expect = Common {
            config: "a.toml".into(),
            state_dir: Some("s".into()),
            verbosity: 1,
            log_format: Some(Format::Json),
            log: None,
        };
        for command in ["check", "--once", "status", "address", "providers"] {
            assert_eq!(run(&format!("{options} {command}")).1, expect);
            assert_eq!(run(&format!("{command} {options}")).1, expect);
        }
        #[cfg(feature = "tokens")]
        for line in ["{} token audit", "token audit {}", "token {} audit"] {
            assert_eq!(run(&line.replace("{}", options)).1, expect);
        }
    }

    #[test]
    fn an_option_outweighs_the_environment_and_the_last_value_counts() {
        let environment = [
            ("STATE_DIRECTORY", "/var/lib/systemd:/b"),
            ("HOMING_STATE_DIR", "e"),
            ("HOMING_CONFIG", "e.toml"),
            ("HOMING_LOG", "debug"),
        ];
        let (_, common) = run_with(&environment, "--config a --config=b");
        assert_eq!(common.config, PathBuf::from("b"));
        assert_eq!(common.state_dir, Some("e".into()));
        assert_eq!(common.log, Some(Level::Debug));
        let (_, common) = run_with(&environment[..1], "");
        assert_eq!(common.state_dir, Some("/var/lib/systemd".into()));
    }

    #[test]
    fn an_empty_variable_is_as_good_as_none() {
        let names = table::VARIABLES.iter().map(|variable| (variable.name, ""));
        assert_eq!(run_with(&names.collect::<Vec<_>>(), ""), run(""));
    }

    #[test]
    fn verbosity_adds_up() {
        assert_eq!(run("-vvq -v").1.verbosity, 2);
        assert_eq!(run("-qq --verbose").1.verbosity, -1);
        assert_eq!(run(&"-v ".repeat(300)).1.verbosity, i8::MAX);
    }

    #[test]
    fn a_mistyped_word_is_answered_with_the_nearest() {
        fails("chekc", "unknown command `chekc`; did you mean `check`?");
        fails("once", "unknown command `once`; did you mean `--once`?");
        fails("help", "unknown command `help`; did you mean `--help`?");
        fails("--conf x", "unknown option `--conf`; did you mean `--config`?");
        fails("--dryrun", "unknown option `--dryrun`; did you mean `--dry-run`?");
        fails("frobnicate", "unknown command `frobnicate`; see `homing --help`");
        fails("update", "unknown command `update`; write `homing --once`");
        fails("daemon", "unknown command `daemon`; `homing` alone is the daemon");
        for (word, _) in MEANT {
            assert!(table::command(word).is_none() && table::group(word).is_none(), "{word}");
        }
        fails("-x", "unknown option `-x`; see `homing --help`");
        let empty = parse([OsString::new()], |_| None).unwrap_err().to_string();
        assert_eq!(empty, "unknown command ``; see `homing --help`");
    }

    #[test]
    fn an_option_of_another_command_is_answered_with_the_right_line() {
        fails("--refresh", "the daemon does not take --refresh; write `homing --once --refresh`");
        fails(
            "check --retry-rejected",
            "`homing check` does not take --retry-rejected; write `homing --once --retry-rejected`",
        );
    }

    #[test]
    #[cfg(feature = "tokens")]
    fn an_option_of_several_commands_is_answered_with_each_line() {
        fails(
            "check --json",
            "`homing check` does not take --json; write `homing status --json`, \
             `homing history --json` or `homing token audit --json`",
        );
        fails(
            "status --dry-run",
            "`homing status` does not take --dry-run; write `homing --once --dry-run`, \
             `homing token issue --dry-run`, `homing token rotate --dry-run` or \
             `homing token revoke --dry-run`",
        );
        fails(
            "token audit --id=x",
            "`homing token audit` does not take --id; write `homing token revoke --id`",
        );
    }

    #[test]
    fn there_is_one_command_at_a_time() {
        let two = "`homing --once` and `homing check` are two commands; give one of them";
        fails("--once check", two);
        fails(
            "check --once",
            "`homing check` and `homing --once` are two commands; give one of them",
        );
        fails("check now", "`homing check` does not take `now`; see `homing check --help`");
        fails(
            "providers a b",
            "`homing providers` does not take `b`; see `homing providers --help`",
        );
        assert_eq!(run("--once --once").0, Command::Once(Once::default()));
        for (line, one, other) in [
            ("check token issue a.example", "check", "token"),
            ("--once token", "--once", "token"),
            ("token --once", "token", "--once"),
            ("token --once issue", "token", "--once"),
            #[cfg(feature = "tokens")]
            ("token issue a.example --once", "token issue", "--once"),
        ] {
            let two = format!("`homing {one}` and `homing {other}` are two commands");
            fails(line, &format!("{two}; give one of them"));
        }
    }

    #[test]
    #[cfg(feature = "tokens")]
    fn a_group_needs_one_of_its_actions() {
        let needs = "`homing token` needs an action; write one of: issue, audit, rotate, revoke";
        let takes = "`homing token` takes one of: issue, audit, rotate, revoke";
        fails("token", needs);
        fails("-v token --all", needs);
        fails("token isue", &format!("unknown action `isue`; did you mean `issue`? {takes}"));
        fails("token a.example issue", &format!("unknown action `a.example`; {takes}"));
        fails("token token", &format!("unknown action `token`; {takes}"));
        fails("token -- --once", &format!("unknown action `--once`; {takes}"));
        fails("tokens", "unknown command `tokens`; did you mean `token`?");
        fails("token-issue", "unknown command `token-issue`; did you mean `token issue`?");
        fails("rotate a.example", "unknown command `rotate`; did you mean `token rotate`?");
        shows("token --help", "Usage: homing token ACTION");
        shows("--help token", "Usage: homing token ACTION");
        shows("token --help revoke", "Usage: homing token revoke");
        shows("token --version", "homing ");
    }

    #[test]
    fn values_are_asked_for_where_they_are_due_and_refused_where_not() {
        fails("--config", "--config needs a value; write --config FILE");
        fails("--config=", "--config needs a value; write --config FILE");
        fails(
            "--config --once",
            "--config needs a value; write --config FILE, or --config=--once if that is meant",
        );
        assert_eq!(run("--config=--once").1.config, PathBuf::from("--once"));
        fails("status --json=yes", "--json takes no value; write --json alone");
        fails("--once=yes", "--once takes no value; write --once alone");
        fails("-v=2", "-v takes no value; write -v alone");
    }

    #[test]
    fn words_of_a_list_are_listed() {
        fails(
            "--log-format xml",
            "--log-format: `xml` is not a log format; write one of: text, json, journal, syslog",
        );
        let error = parsed(&[("HOMING_LOG", "loud")], "").unwrap_err().to_string();
        assert!(error.starts_with("HOMING_LOG: `loud` is not a log level"), "{error}");
    }

    #[test]
    fn what_this_build_leaves_out_is_a_known_word() {
        for command in table::COMMANDS.iter().filter(|command| command.is_left_out()) {
            let line = command.line();
            let refusal =
                format!("this build of Homing does not include `{line}`; the full build has it");
            fails(command.name, &refusal);
            fails(&format!("{} a.example --max-age 90d --frobnicate=x", command.name), &refusal);
            shows(&format!("{} --help", command.name), "does not include it; the full build does");
        }
        for group in table::GROUPS.iter().filter(|group| group.is_left_out()) {
            let line = group.line();
            let refusal =
                format!("this build of Homing does not include `{line}`; the full build has it");
            fails(group.name, &refusal);
            shows(&format!("{} --help", group.name), "does not include it; the full build does");
        }
        let is_foreign = |option: &&Opt| {
            option.commands.is_some()
                && table::COMMANDS.iter().all(|c| c.is_left_out() || !option.is_taken_by(c.verb))
        };
        for option in table::OPTIONS.iter().filter(is_foreign) {
            let value = option.value.map_or("", |_| "=x");
            let name = option.long;
            fails(
                &format!("--{name}{value}"),
                &format!("this build of Homing does not include `--{name}`; the full build has it"),
            );
        }
        let without = |of_full: bool| {
            let features = feature::left_out().filter(|feature| feature.is_in_full() || !of_full);
            features.map(Feature::word).collect::<Vec<_>>().join(", ")
        };
        for (text, names) in [(help::version(), without(false)), (help::overview(), without(true))]
        {
            let words: Vec<_> = text.split_whitespace().collect();
            let has_it = words.join(" ").contains(&format!("(without: {names})"));
            assert_eq!(has_it, !names.is_empty(), "{text}");
        }
    }

    #[test]
    fn help_and_version_come_before_errors_of_combination() {
        shows("--help", "Usage: homing [COMMAND]");
        shows("-h", "Usage: homing [COMMAND]");
        shows("check -h --refresh", "Usage: homing check");
        shows("--help --once", "Usage: homing --once");
        shows("--version", concat!("homing ", env!("CARGO_PKG_VERSION"), "\n"));
        shows("-V check", "homing ");
    }

    #[test]
    fn what_was_typed_is_shown_without_its_control_characters() {
        fails("\u{1b}[2J", "unknown command `\\u{1b}[2J`; see `homing --help`");
        fails("--\u{7f}=\u{9b}", "unknown option `--\\u{7f}`; see `homing --help`");
    }

    #[test]
    fn paths_need_not_be_text_but_names_must() {
        let word = OsString::from_vec(b"\xff\xfe".to_vec());
        assert!(parse([word.clone()], |_| None).is_err());
        assert!(parse(["providers".into(), word.clone()], |_| None).is_err());
        let path = parse(["--config".into(), word.clone()], |_| None);
        assert!(matches!(path, Ok(Parsed::Run(_, common)) if common.config == word));
    }

    /// A value that `flag` takes.
    fn example(flag: Flag) -> &'static str {
        match flag {
            Flag::MaxAge | Flag::MaxUnused => "365d",
            Flag::AllowSubnet => "192.0.2.0/24",
            Flag::HostOption => "x=y",
            _ => "x",
        }
    }

    /// The command with the operand that it needs beside `flag`.
    fn needed(command: &table::Command, flag: Flag) -> String {
        let instead = match command.verb {
            Verb::TokenIssue | Verb::TokenRotate => Some(Flag::All),
            Verb::TokenRevoke => Some(Flag::Id),
            Verb::Import => return "import inadyn x".to_owned(),
            Verb::Completions => return "completions bash".to_owned(),
            _ => None,
        };
        let host = if instead.is_some_and(|instead| instead != flag) { " a.example" } else { "" };
        format!("{}{host}", command.name)
    }

    #[test]
    fn every_option_is_taken_where_the_table_says() {
        let options = table::OPTIONS.iter();
        for option in options.filter(|o| !matches!(o.flag, Flag::Help | Flag::Version)) {
            let example = || *option.choices.first().unwrap_or(&example(option.flag));
            let value = option.value.map(|_| example());
            let word = |name: &str| value.map_or(name.to_owned(), |v| format!("{name}={v}"));
            for command in table::COMMANDS.iter().filter(|command| !command.is_left_out()) {
                let name = needed(command, option.flag);
                let long = format!("{} {name}", word(&format!("--{}", option.long)));
                let short = option.short.map(|s| format!("{name} {}", word(&format!("-{s}"))));
                for line in [Some(long), short].into_iter().flatten() {
                    let taken = parsed(&[], &line).is_ok();
                    assert_eq!(taken, option.is_taken_by(command.verb), "{line}");
                }
            }
            for choice in option.choices {
                run(&format!("--{}={choice}", option.long));
            }
        }
    }

    #[test]
    fn the_table_is_well_formed() {
        let is_one_line = |doc: &str| !doc.is_empty() && !doc.ends_with('.') && !doc.contains('\n');
        assert_eq!(table::daemon().verb, Verb::Daemon);
        for (place, command) in table::COMMANDS.iter().enumerate() {
            let name = command.name;
            let is_twin = |c: &table::Command| c.name == name || c.verb == command.verb;
            assert!(!table::COMMANDS[..place].iter().any(is_twin), "{name}");
            assert!(is_one_line(command.doc), "{name}");
        }
        for group in table::GROUPS {
            assert!(is_one_line(group.doc) && group.commands().count() > 1, "{}", group.name);
            // A word is a command or a group, and the commands of a group stand together.
            assert!(table::command(group.name).is_none(), "{}", group.name);
            let is_in = |c: &table::Command| c.group().is_some_and(|own| own.name == group.name);
            let runs = table::COMMANDS.chunk_by(|a, b| is_in(a) == is_in(b));
            assert_eq!(runs.filter(|run| is_in(&run[0])).count(), 1, "{}", group.name);
        }
        let is_grouped = |c: &table::Command| c.name.contains(' ') == c.group().is_some();
        assert!(table::COMMANDS.iter().all(is_grouped));
        for (place, option) in table::OPTIONS.iter().enumerate() {
            let name = option.long;
            let is_twin = |o: &Opt| {
                let shorts_meet = o.short.is_some() && o.short == option.short;
                o.long == name || o.flag == option.flag || shorts_meet
            };
            assert!(!table::OPTIONS[..place].iter().any(is_twin), "{name}");
            assert!(is_one_line(option.doc), "{name}");
            assert!(option.choices.is_empty() || option.value.is_some(), "{name}");
            for name in option.variables {
                assert!(table::VARIABLES.iter().any(|variable| variable.name == *name), "{name}");
            }
        }
        assert!(table::VARIABLES.iter().all(|variable| is_one_line(variable.doc)));
        assert!(table::long("config").unwrap().doc.contains(table::DEFAULT_CONFIG));
    }
}
