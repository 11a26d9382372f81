//! The table of commands and options, which alone defines the command line.
//!
//! Parser, help, manual page, completions and tests read it; a new command or option needs one more
//! entry here, and one line in `parse` for its result. Texts are plain ASCII.

use crate::core::feature::Feature;
use crate::os::log;

/// The commands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verb {
    /// Stay in the foreground.
    Daemon,
    /// Run one round.
    Once,
    /// Write the first configuration.
    Init,
    /// Show problems and what a round would do.
    Check,
    /// Show the remembered state.
    Status,
    /// Show the addresses that the sources find.
    Address,
    /// Show the last changes.
    History,
    /// Show the table of providers.
    Providers,
    /// Make tokens for hosts.
    TokenIssue,
    /// Show the rights of tokens.
    TokenAudit,
    /// Replace tokens by new ones.
    TokenRotate,
    /// Delete tokens.
    TokenRevoke,
    /// Translate another client's configuration.
    Import,
    /// Print the completions of a shell.
    Completions,
    /// Print a manual page.
    Manual,
}

/// The options, by their meaning.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Flag {
    /// `--all`
    All,
    /// `--allow-subnet`
    AllowSubnet,
    /// `--all-tokens`
    AllTokens,
    /// `--config`
    Config,
    /// `--create-domain`
    CreateDomain,
    /// `--dry-run`
    DryRun,
    /// `--force`
    Force,
    /// `--help`
    Help,
    /// `--option`
    HostOption,
    /// `--id`
    Id,
    /// `--ipv4`
    Ipv4,
    /// `--ipv6`
    Ipv6,
    /// `--json`
    Json,
    /// `--log-format`
    LogFormat,
    /// `--logout`
    Logout,
    /// `--management-password-file`
    ManagementPasswordFile,
    /// `--management-token-file`
    ManagementTokenFile,
    /// `--management-user`
    ManagementUser,
    /// `--max-age`
    MaxAge,
    /// `--max-unused`
    MaxUnused,
    /// `--name`
    Name,
    /// `--output`
    Output,
    /// `--password-file`
    PasswordFile,
    /// `--print`
    Print,
    /// `--provider`
    Provider,
    /// `--quiet`
    Quiet,
    /// `--refresh`
    Refresh,
    /// `--retry-rejected`
    RetryRejected,
    /// `--secrets-dir`
    SecretsDir,
    /// `--state-dir`
    StateDir,
    /// `--thorough`
    Thorough,
    /// `--token-file`
    TokenFile,
    /// `--username`
    Username,
    /// `--verbose`
    Verbose,
    /// `--version`
    Version,
    /// `--zone`
    Zone,
}

/// A command.
#[derive(Debug)]
pub struct Command {
    /// The verb of the command.
    pub verb: Verb,
    /// The words after `homing`: none for the daemon, `--once`, one word, or two for a group's command.
    pub name: &'static str,
    /// Its operands as help shows them: optional in brackets, repeatable with dots.
    pub operand: &'static str,
    /// The words that the first operand can be, if it is one of a list.
    pub choices: &'static [&'static str],
    /// A description of the command, in one line without a full stop.
    pub doc: &'static str,
    /// The rest of the help; paragraphs are separated by a line break.
    pub more: &'static str,
    /// The feature that a build needs for it; `None` if every build has it.
    pub feature: Option<Feature>,
}

/// Commands whose names begin with the same word.
#[derive(Debug)]
pub struct Group {
    /// The first word.
    pub name: &'static str,
    /// The words that may follow, as help shows them.
    pub operand: &'static str,
    /// A description of its commands, in one line without a full stop.
    pub doc: &'static str,
    /// The help that is true for all of its commands; paragraphs are separated by a line break.
    pub more: &'static str,
}

/// An option.
#[derive(Debug)]
pub struct Opt {
    /// The flag of the option.
    pub flag: Flag,
    /// Its name without the hyphens.
    pub long: &'static str,
    /// Its one-letter name.
    pub short: Option<char>,
    /// The name of its value in help; `None` when it takes no value.
    pub value: Option<&'static str>,
    /// The words that its value can be, if it is one of a list.
    pub choices: &'static [&'static str],
    /// The environment variables that are read in turn when the option is not given.
    pub variables: &'static [&'static str],
    /// The commands that take it; `None` means all.
    pub commands: Option<&'static [Verb]>,
    /// A description of the option, in one line without a full stop.
    pub doc: &'static str,
    /// The rest of the help.
    pub more: &'static str,
}

/// An environment variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The feature that a build needs for it; `None` if every build has it.
    pub feature: Option<Feature>,
    /// A description of the variable, in one line without a full stop.
    pub doc: &'static str,
}

/// The name of the program.
pub const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The path of the configuration, unless the command line names another.
pub const DEFAULT_CONFIG: &str = "/etc/homing/config.toml";

/// The variable that holds a log level.
pub const LOG_VARIABLE: &str = "HOMING_LOG";

/// The variable that holds the management token; the parser does not read it.
pub const MANAGEMENT_VARIABLE: &str = "HOMING_MANAGEMENT_TOKEN";

/// The first paragraph of help and manual page.
pub const ABOUT: &str = "Homing keeps host names pointing home: it watches this machine's \
    addresses, and when they change it updates each host's A and AAAA records at its DNS provider.";

/// Every group of commands.
pub const GROUPS: &[Group] = &[Group {
    name: "token",
    operand: "ACTION [HOST]...",
    doc: "Issue, audit, rotate or revoke the tokens of hosts",
    more: "The management token, which may make and delete others, is read from \
        --management-token-file, else from HOMING_MANAGEMENT_TOKEN, else asked for on a terminal, \
        where it is not shown; `homing token audit`, and keys for your own name server, do not \
        need it. It is never stored, and cannot be given as an option.",
}];

/// The exit codes of the commands that change tokens.
macro_rules! exit_codes {
    () => {
        "Exit code: 0 done, or nothing to do; 75 trying later may help; 77 you must fix something \
            at the provider; 78 the configuration is wrong."
    };
}

/// The default fields of a command's entry.
const PLAIN: Command = Command {
    verb: Verb::Daemon,
    name: "",
    operand: "",
    choices: &[],
    doc: "",
    more: "",
    feature: None,
};

/// Every command, in the order of help; the daemon first, those of a group together.
pub const COMMANDS: &[Command] = &[
    Command {
        verb: Verb::Daemon,
        name: "",
        doc: "Stay in the foreground and keep every host up to date",
        more: "Without a command Homing is a daemon: it acts when the kernel reports a change of \
            address, and asks the services outside at intervals. SIGHUP reads the configuration \
            again, SIGUSR1 runs a round at once, SIGTERM and SIGINT finish the request in flight \
            and stop the daemon. No failure of a provider, the network or the clock stops it.",
        ..PLAIN
    },
    Command {
        verb: Verb::Once,
        name: "--once",
        doc: "One round, then exit; for cron",
        more: "When not on a terminal, it prints only changes, and each problem once. If another \
            Homing is using the state, it exits with 75 and reports that once.\nExit code: 0 every \
            host is right, 75 trying later may help, 77 you must fix something at a provider, 78 \
            the configuration is wrong.",
        ..PLAIN
    },
    Command {
        verb: Verb::Init,
        name: "init",
        operand: "[HOST]",
        doc: "Write a first configuration; ask for what is missing",
        more: "Asks for the provider, the HOST, its credential and where its addresses come from, each \
            where no option gives it, and ends with `homing check`. Off a terminal it names what is \
            missing. The secret goes into a file of its own beside the configuration; run by root, both \
            belong to the user homing if there is one. At deSEC the token is made at once, as by \
            `homing token issue`.\n\
            Nothing is ever overwritten: where there is a configuration with settings it is left as it \
            is, what to add is printed, and the exit code is 64. Otherwise that is the one of check, or \
            of issue.",
        feature: Some(Feature::Init),
        ..PLAIN
    },
    Command {
        verb: Verb::Check,
        name: "check",
        doc: "Report every problem, and what a round would do",
        more: "Reads the configuration and the secrets, and sends nothing to a provider. Also \
            shows the Landlock sandbox, or why there is none. Exit code: 0 no problem, 78 a \
            problem.",
        ..PLAIN
    },
    Command {
        verb: Verb::Status,
        name: "status",
        operand: "[HOST]...",
        doc: "Show published addresses, and what is waiting",
        more: "Of all hosts, or of the HOSTs alone; the last line counts them. Sends nothing and does not \
            disturb the daemon. Exit code: 0 all right, 75 \
            something is waiting, 77 something was rejected.",
        ..PLAIN
    },
    Command {
        verb: Verb::Address,
        name: "address",
        doc: "Show the addresses found, and why each is used or not",
        ..PLAIN
    },
    Command {
        verb: Verb::History,
        name: "history",
        operand: "[HOST]",
        doc: "Show what was set when, and why",
        more: "The last 1000 changes, the newest last: when the provider confirmed it, the host, from \
            which addresses to which, the provider, and why it was sent. With --json one object a \
            line.",
        ..PLAIN
    },
    Command {
        verb: Verb::Providers,
        name: "providers",
        operand: "[NAME]",
        doc: "List the providers, or show what one of them needs",
        more: "With a NAME: what a host needs there, and the credential with the fewest rights \
            that the provider offers. With a part of a name, title or server: the providers that \
            match.",
        ..PLAIN
    },
    Command {
        verb: Verb::TokenIssue,
        name: "token issue",
        operand: "[HOST]...",
        doc: "Make tokens that can change only these hosts",
        more: concat!(
            "The token may write the addresses of the HOSTs and nothing else. The secret is \
                written to the token-file of the host. For HOSTs at your own name server it makes \
                a key, and prints the lines to add to the server's configuration.\n",
            exit_codes!(),
        ),
        feature: Some(Feature::Tokens),
        ..PLAIN
    },
    Command {
        verb: Verb::TokenAudit,
        name: "token audit",
        operand: "[HOST]...",
        doc: "Show whether tokens may do more than their hosts need",
        more: "Without a HOST: the tokens of every host of the configuration. Changes nothing.\n\
            For each token it shows its rights in words, its dates and its networks; of a token \
            that is too powerful only the worst right, and with -v all of them.\n\
            Exit code: 0 no token is too powerful, 77 one is, 75 something could not be \
            determined or a host's token does not work, 78 the configuration is wrong.",
        feature: Some(Feature::Tokens),
        ..PLAIN
    },
    Command {
        verb: Verb::TokenRotate,
        name: "token rotate",
        operand: "[HOST]...",
        doc: "Replace the tokens of hosts by new ones",
        more: concat!(
            "The new secret is stored before the old token is deleted. A new key for your own \
                name server is kept beside the old one; run the command again after you have added \
                it to the server.\n",
            exit_codes!(),
        ),
        feature: Some(Feature::Tokens),
        ..PLAIN
    },
    Command {
        verb: Verb::TokenRevoke,
        name: "token revoke",
        operand: "[HOST]...",
        doc: "Delete the tokens of hosts at their provider",
        more: concat!(
            "The tokens stop working at once. Give HOSTs or --id. For keys of your own name \
                server it prints the lines to remove there.\n",
            exit_codes!(),
        ),
        feature: Some(Feature::Tokens),
        ..PLAIN
    },
    Command {
        verb: Verb::Import,
        name: "import",
        operand: "CLIENT FILE",
        choices: &["ddclient", "inadyn", "ddns-scripts"],
        doc: "Print another client's set-up as Homing configuration",
        more: "FILE is that client's configuration, or - for standard input. Comments list what \
            cannot be carried over, and what to do about it. Secrets are never printed: they are \
            written to files in --secrets-dir, or stay where they are, and comments say where to \
            put them.\nExit code: 0 done, 78 FILE has nothing to carry over.",
        feature: Some(Feature::Import),
    },
    Command {
        verb: Verb::Completions,
        name: "completions",
        operand: "SHELL",
        choices: &["bash", "fish", "zsh"],
        doc: "Print the completions for a shell",
        more: "Packages bring them. After `cargo install`, bash and fish find them in \
            `~/.local/share/bash-completion/completions/homing` and \
            `~/.config/fish/completions/homing.fish`, and zsh in a file `_homing` of a directory of \
            its fpath.",
        feature: Some(Feature::Manual),
    },
    Command {
        verb: Verb::Manual,
        name: "manual",
        operand: "[PAGE]",
        choices: &["homing", "homing.toml"],
        doc: "Print a manual page, for man",
        more: "Without a PAGE that of the program, homing(1); homing.toml(5) has every setting. \
            `homing manual | man -l -` shows it; packages bring both.",
        feature: Some(Feature::Manual),
    },
];

/// The commands that make new tokens.
const FRESH: &[Verb] = &[Verb::TokenIssue, Verb::TokenRotate];
const OF_ALL: &[Verb] = &[Verb::TokenIssue, Verb::TokenAudit, Verb::TokenRotate];

/// The commands about tokens.
const TOKENS: &[Verb] = &[Verb::TokenIssue, Verb::TokenAudit, Verb::TokenRotate, Verb::TokenRevoke];

/// The commands that may use the management token.
const MANAGING: &[Verb] =
    &[Verb::TokenIssue, Verb::TokenAudit, Verb::TokenRotate, Verb::TokenRevoke, Verb::Init];

/// The default fields of an option's entry: a switch that every command has.
const SWITCH: Opt = Opt {
    flag: Flag::Help,
    long: "",
    short: None,
    value: None,
    choices: &[],
    variables: &[],
    commands: None,
    doc: "",
    more: "",
};

/// Every option, in the order of help; those of single commands first.
pub const OPTIONS: &[Opt] = &[
    Opt {
        flag: Flag::DryRun,
        long: "dry-run",
        commands: Some(&[Verb::Once, Verb::TokenIssue, Verb::TokenRotate, Verb::TokenRevoke]),
        doc: "Change nothing; print what would be sent",
        more: "With --once nothing at all is sent, and the state is neither locked nor written. \
            The token commands only read what the provider has.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Refresh,
        long: "refresh",
        commands: Some(&[Verb::Once]),
        doc: "Send unchanged addresses too",
        more: "Respects rate limits; waiting hosts keep waiting.",
        ..SWITCH
    },
    Opt {
        flag: Flag::RetryRejected,
        long: "retry-rejected",
        commands: Some(&[Verb::Once]),
        doc: "Ask again about hosts that were rejected or failed",
        more: "Still respects a pause that the provider asked for, and its rate limit.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Json,
        long: "json",
        commands: Some(&[Verb::Status, Verb::History, Verb::TokenAudit]),
        doc: "Print JSON, for scripts",
        ..SWITCH
    },
    Opt {
        flag: Flag::Provider,
        long: "provider",
        value: Some("PROVIDER"),
        commands: Some(&[Verb::Init]),
        doc: "The DNS provider, by its name or a part of it",
        more: "`homing providers` lists them.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Username,
        long: "username",
        value: Some("NAME"),
        commands: Some(&[Verb::Init]),
        doc: "The login at the provider, where it wants one",
        ..SWITCH
    },
    Opt {
        flag: Flag::TokenFile,
        long: "token-file",
        value: Some("FILE"),
        commands: Some(&[Verb::Init]),
        doc: "Read the host's token from FILE; -: standard input",
        more: "It is copied into a file beside the configuration, unless FILE is that file.",
        ..SWITCH
    },
    Opt {
        flag: Flag::PasswordFile,
        long: "password-file",
        value: Some("FILE"),
        commands: Some(&[Verb::Init]),
        doc: "The same, for providers that call it a password",
        ..SWITCH
    },
    Opt {
        flag: Flag::Zone,
        long: "zone",
        value: Some("ZONE"),
        commands: Some(&[Verb::Init]),
        doc: "The domain at the provider that the host is in",
        more: "Only some providers need it.",
        ..SWITCH
    },
    Opt {
        flag: Flag::HostOption,
        long: "option",
        value: Some("NAME=VALUE"),
        commands: Some(&[Verb::Init]),
        doc: "An option of the provider; may be repeated",
        ..SWITCH
    },
    Opt {
        flag: Flag::Ipv4,
        long: "ipv4",
        value: Some("SOURCE"),
        commands: Some(&[Verb::Init]),
        doc: "Where the IPv4 address comes from [auto]",
        more: "\"auto\", \"gateway\" (the router says it), \"web\" (two services on the web that agree), the \
            name of a network interface, or \"off\" to leave the record alone.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Ipv6,
        long: "ipv6",
        value: Some("SOURCE"),
        commands: Some(&[Verb::Init]),
        doc: "Where the IPv6 address comes from [auto]",
        more: "As --ipv4, without \"gateway\".",
        ..SWITCH
    },
    Opt {
        flag: Flag::All,
        long: "all",
        commands: Some(OF_ALL),
        doc: "For every host of the configuration",
        more: "Instead of HOSTs. An audit without HOSTs is of all hosts, too.",
        ..SWITCH
    },
    Opt {
        flag: Flag::CreateDomain,
        long: "create-domain",
        value: Some("ZONE"),
        commands: Some(&[Verb::TokenIssue]),
        doc: "Register ZONE in the account first, if it is missing",
        ..SWITCH
    },
    Opt {
        flag: Flag::Name,
        long: "name",
        value: Some("NAME"),
        commands: Some(FRESH),
        doc: "Call the token NAME at the provider [homing:HOST]",
        more: "For one token; it keeps this name later, too.",
        ..SWITCH
    },
    Opt {
        flag: Flag::MaxAge,
        long: "max-age",
        value: Some("DURATION"),
        commands: Some(FRESH),
        doc: "Let it expire after this time, such as 365d; none: never",
        more: "If not given, the limit stays unchanged.",
        ..SWITCH
    },
    Opt {
        flag: Flag::MaxUnused,
        long: "max-unused",
        value: Some("DURATION"),
        commands: Some(FRESH),
        doc: "Let it expire when unused for so long; none: never",
        more: "If not given, the limit stays unchanged.",
        ..SWITCH
    },
    Opt {
        flag: Flag::AllowSubnet,
        long: "allow-subnet",
        value: Some("NETWORK"),
        commands: Some(FRESH),
        doc: "Allow use from NETWORK only, repeatable; any: no limit",
        more: "An address, or a network such as 192.0.2.0/24 or 2001:db8::/32; may be repeated. \
            If not given, the limit stays unchanged.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Force,
        long: "force",
        commands: Some(FRESH),
        doc: "Allow a limit of less than an hour",
        ..SWITCH
    },
    Opt {
        flag: Flag::Print,
        long: "print",
        commands: Some(FRESH),
        doc: "Also print the secret on standard output",
        ..SWITCH
    },
    Opt {
        flag: Flag::Output,
        long: "output",
        value: Some("DIR"),
        commands: Some(&[Verb::TokenIssue]),
        doc: "Also make a folder for each token in DIR, to hand out",
        more: "It has copies of the token and its receipt, and a config.toml for the machine that uses \
            it. DIR is created if it is missing. A file that Homing has not written there is never \
            overwritten.",
        ..SWITCH
    },
    Opt {
        flag: Flag::AllTokens,
        long: "all-tokens",
        commands: Some(&[Verb::TokenAudit]),
        doc: "Audit every token of the account, not only the hosts'",
        more: "Instead of HOSTs.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Thorough,
        long: "thorough",
        commands: Some(&[Verb::TokenAudit]),
        doc: "Try more than 15 writes for each zone",
        more: "A token without a receipt is tested with invalid writes that the server must \
            refuse. deSEC allows 100 writes per hour and zone, and your hosts need some of them.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Id,
        long: "id",
        value: Some("ID"),
        commands: Some(&[Verb::TokenRevoke]),
        doc: "Delete the token with this ID (see `homing token audit`)",
        more: "Instead of HOSTs; for tokens that this configuration does not use.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Logout,
        long: "logout",
        commands: Some(&[Verb::TokenRevoke]),
        doc: "Log out with the host's token, which deletes it",
        more: "Needs no management token.",
        ..SWITCH
    },
    Opt {
        flag: Flag::ManagementTokenFile,
        long: "management-token-file",
        value: Some("FILE"),
        commands: Some(MANAGING),
        doc: "Read the management token from FILE",
        more: "It is the first line of the file. Without this option, HOMING_MANAGEMENT_TOKEN is \
            used; without both, Homing asks for it on a terminal.",
        ..SWITCH
    },
    Opt {
        flag: Flag::ManagementUser,
        long: "management-user",
        value: Some("USER"),
        commands: Some(TOKENS),
        doc: "Act as this USER (PowerDNS on Rails, Route 53)",
        more: "At PowerDNS on Rails the user needs the role \"Auth token\"; if it also owns the \
            domain, missing records are created. At Route 53 it is the id of an access key that may \
            use IAM, and its secret is the password.",
        ..SWITCH
    },
    Opt {
        flag: Flag::ManagementPasswordFile,
        long: "management-password-file",
        value: Some("FILE"),
        commands: Some(TOKENS),
        doc: "Read that user's password from FILE",
        more: "It is the first line of the file. Without this option, Homing asks for it on a \
            terminal.",
        ..SWITCH
    },
    Opt {
        flag: Flag::SecretsDir,
        long: "secrets-dir",
        value: Some("DIR"),
        commands: Some(&[Verb::Import]),
        doc: "Write the secrets into files in DIR",
        more: "One file for each, which only its owner can read. DIR is created if it is missing. \
            A file with other content is never overwritten.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Config,
        long: "config",
        value: Some("FILE"),
        variables: &["HOMING_CONFIG"],
        doc: "Read the configuration from FILE [/etc/homing/config.toml]",
        ..SWITCH
    },
    Opt {
        flag: Flag::StateDir,
        long: "state-dir",
        value: Some("DIR"),
        variables: &["HOMING_STATE_DIR", "STATE_DIRECTORY"],
        doc: "Keep the state in DIR [/var/lib/homing]",
        more: "Without this option and without a variable, state-dir of the configuration is used.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Verbose,
        long: "verbose",
        short: Some('v'),
        doc: "Show each request and answer; twice: bodies, too",
        more: "No secret is shown. Each -v raises the log level of HOMING_LOG or the \
            configuration by one. With --dry-run and check it shows the requests that would be \
            sent.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Quiet,
        long: "quiet",
        short: Some('q'),
        doc: "Say less: only warnings and errors; twice: only errors",
        ..SWITCH
    },
    Opt {
        flag: Flag::LogFormat,
        long: "log-format",
        value: Some("FORMAT"),
        choices: log::Format::WORDS,
        doc: "Log format: text, json, journal, syslog [automatic]",
        more: "Automatic is journal under systemd, and text elsewhere. All but syslog go to \
            standard error.",
        ..SWITCH
    },
    Opt {
        flag: Flag::Help,
        long: "help",
        short: Some('h'),
        doc: "Print this help, or a command's",
        ..SWITCH
    },
    Opt {
        flag: Flag::Version,
        long: "version",
        short: Some('V'),
        doc: "Print the version",
        ..SWITCH
    },
];

/// The environment variables that a user may set, in the order of help.
pub const VARIABLES: &[Variable] = &[
    Variable { name: "HOMING_CONFIG", feature: None, doc: "As --config" },
    Variable { name: "HOMING_STATE_DIR", feature: None, doc: "As --state-dir" },
    Variable {
        name: MANAGEMENT_VARIABLE,
        feature: Some(Feature::Tokens),
        doc: "The management token itself, for the token commands",
    },
    Variable {
        name: LOG_VARIABLE,
        feature: None,
        doc: "How much to log: error, warn, info, debug or trace",
    },
    Variable { name: "STATE_DIRECTORY", feature: None, doc: "As --state-dir; set by systemd" },
    Variable { name: "NO_COLOR", feature: None, doc: "When set, log without colours" },
    Variable {
        name: "TZ",
        feature: Some(Feature::Pages),
        doc: "The time zone of what people read [that of /etc/localtime]",
    },
];

/// The command called `name`; the daemon has no name.
pub fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| !command.name.is_empty() && command.name == name)
}

/// The group called `name`.
pub fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

/// The command that runs if none is given.
pub fn daemon() -> &'static Command {
    &COMMANDS[0]
}

/// The option called `name`, without hyphens.
pub fn long(name: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.long == name)
}

/// The option with that one-letter name.
pub fn short(letter: char) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.short == Some(letter))
}

impl Command {
    /// The command as a user writes it, without its operand: `homing check`.
    pub fn line(&self) -> String {
        if self.name.is_empty() { PROGRAM.to_owned() } else { format!("{PROGRAM} {}", self.name) }
    }

    /// The group that it belongs to.
    pub fn group(&self) -> Option<&'static Group> {
        self.name.split_once(' ').and_then(|(name, _)| group(name))
    }

    /// Whether this build does not have it.
    pub fn is_left_out(&self) -> bool {
        self.feature.is_some_and(|feature| !feature.is_here())
    }

    /// The name of its first operand, without brackets and dots.
    pub fn first_operand(&self) -> &'static str {
        let first = self.operand.split(' ').next().unwrap_or_default();
        first.trim_end_matches('.').trim_matches(['[', ']'])
    }

    /// Its name within its group, or its whole name.
    pub fn action(&self) -> &'static str {
        self.name.split_once(' ').map_or(self.name, |(_, action)| action)
    }

    /// The name of its operand at this index, from 0; `None` where it takes no more.
    pub fn operand_at(&self, place: usize) -> Option<&'static str> {
        let mut names = self.operand.split(' ').filter(|name| !name.is_empty());
        names.nth(place).or(self.takes_many().then_some(self.operand))
    }

    /// Whether any number of operands may be given.
    pub fn takes_many(&self) -> bool {
        self.operand.ends_with("...")
    }
}

impl Group {
    /// The group as a user writes it: `homing token`.
    pub fn line(&self) -> String {
        format!("{PROGRAM} {}", self.name)
    }

    /// Whether this build has none of its commands.
    pub fn is_left_out(&self) -> bool {
        self.commands().all(Command::is_left_out)
    }

    /// Its commands, in the order of help.
    pub fn commands(&self) -> impl Iterator<Item = &'static Command> {
        COMMANDS.iter().filter(|command| command.group().is_some_and(|g| g.name == self.name))
    }
}

impl Opt {
    /// Whether the command `verb` takes this option.
    pub fn is_taken_by(&self, verb: Verb) -> bool {
        self.commands.is_none_or(|verbs| verbs.contains(&verb))
    }
}
