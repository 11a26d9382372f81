//! What the completions of all shells share: which words may stand where.
//!
//! Pure questions to the table of the command line; what a shell makes of them is its own file's.

use crate::cli::table::{COMMANDS, Command, Flag, GROUPS, OPTIONS, Opt, VARIABLES, Variable};
use crate::core::feature::Feature;

/// What may stand as an option's value or as an operand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Word {
    /// One of these.
    Choice(&'static [&'static str]),
    /// The name of a directory.
    Directory,
    /// The name of a file.
    File,
    /// Something that nobody can guess.
    Free,
    /// A host of the configuration.
    Host,
    /// The name of a provider.
    Provider,
}

/// Prints the hosts of the configuration, one a line; a POSIX shell's command.
///
/// Host names hold no quotes, so that a pattern is enough. Without a right to read the
/// configuration there is nothing to offer.
pub const HOSTS: &str =
    r#"homing status --json 2>/dev/null | grep -o '"host":"[^"]*"' | cut -d '"' -f 4 | sort -u"#;

/// Prints the names of the providers, one a line; a POSIX shell's command.
pub const PROVIDERS: &str = "homing providers 2>/dev/null | sed -n 's/^  //p' | tr -s ' ' '\\n'";

/// The commands that one may write: without the daemon, which has no name, and without those that
/// this build leaves out.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().filter(|command| !command.is_left_out() && !command.name.is_empty())
}

/// The first words after `homing`, each with what it does: commands, and groups in their places.
pub fn first() -> Vec<(&'static str, &'static str)> {
    let mut words: Vec<(&str, &str)> = Vec::new();
    for command in commands() {
        let word = command.group().map_or((command.name, command.doc), |g| (g.name, g.doc));
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// The groups, each with its commands.
pub fn groups() -> impl Iterator<Item = (&'static str, Vec<&'static Command>)> {
    let here = GROUPS.iter().filter(|group| !group.is_left_out());
    here.map(|group| (group.name, group.commands().filter(|c| !c.is_left_out()).collect()))
}

/// The options of this build, each taken by a command that it has.
pub fn options() -> impl Iterator<Item = &'static Opt> {
    let here = |option: &Opt| {
        COMMANDS.iter().any(|command| !command.is_left_out() && option.is_taken_by(command.verb))
    };
    OPTIONS.iter().filter(move |option| here(option))
}

/// The environment variables of this build.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    VARIABLES.iter().filter(|variable| variable.feature.is_none_or(Feature::is_here))
}

/// The options of every command.
pub fn common() -> impl Iterator<Item = &'static Opt> {
    options().filter(|option| option.commands.is_none())
}

/// The options of `command` that not every command has.
pub fn own(command: &Command) -> impl Iterator<Item = &'static Opt> {
    options().filter(|o| o.commands.is_some_and(|verbs| verbs.contains(&command.verb)))
}

/// Every way to write `option`, the long one first.
pub fn names(option: &Opt) -> Vec<String> {
    let short = option.short.map(|letter| format!("-{letter}"));
    [format!("--{}", option.long)].into_iter().chain(short).collect()
}

/// Whether it makes a difference to give `option` twice.
pub fn may_repeat(option: &Opt) -> bool {
    matches!(option.flag, Flag::AllowSubnet | Flag::HostOption | Flag::Quiet | Flag::Verbose)
}

/// The names of all options that take a value.
pub fn with_value() -> Vec<String> {
    options().filter(|option| option.value.is_some()).flat_map(names).collect()
}

/// What an option's value may be; `None` when it takes none.
pub fn value(option: &Opt) -> Option<Word> {
    let name = option.value?;
    Some(if option.choices.is_empty() { word(name) } else { Word::Choice(option.choices) })
}

/// What the operands of `command` may be, in turn; the last one stands for all further ones when
/// any number may be given.
pub fn operands(command: &Command) -> Vec<Word> {
    let words = command.operand.split_whitespace();
    let bare = |word: &'static str| word.trim_end_matches('.').trim_matches(['[', ']']);
    words
        .enumerate()
        .map(|(place, name)| match bare(name) {
            _ if place == 0 && !command.choices.is_empty() => Word::Choice(command.choices),
            // The only command with a NAME asks for a provider's.
            "NAME" => Word::Provider,
            name => word(name),
        })
        .collect()
}

/// What is meant by a name for a value in help.
fn word(name: &str) -> Word {
    match name {
        "FILE" => Word::File,
        "DIR" => Word::Directory,
        "HOST" => Word::Host,
        "PROVIDER" => Word::Provider,
        _ => Word::Free,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table;

    fn command(name: &str) -> &'static Command {
        table::command(name).unwrap()
    }

    #[test]
    fn a_group_stands_once_among_the_first_words() {
        let words: Vec<_> = first().into_iter().map(|(word, _)| word).collect();
        assert_eq!(words.iter().filter(|word| **word == "token").count(), 1, "{words:?}");
        assert!(words.contains(&"--once") && words.contains(&"check"), "{words:?}");
    }

    #[test]
    fn operands_and_values_are_what_help_calls_them() {
        assert_eq!(operands(command("check")), []);
        assert_eq!(operands(command("providers")), [Word::Provider]);
        assert_eq!(operands(command("token issue")), [Word::Host]);
        let import = operands(command("import"));
        assert!(matches!(import[..], [Word::Choice(["ddclient", ..]), Word::File]), "{import:?}");
        let value_of = |name| value(table::long(name).unwrap());
        assert_eq!(value_of("config"), Some(Word::File));
        assert_eq!(value_of("state-dir"), Some(Word::Directory));
        assert_eq!(value_of("max-age"), Some(Word::Free));
        assert_eq!(value_of("verbose"), None);
        assert!(matches!(value_of("log-format"), Some(Word::Choice(["text", ..]))));
    }
}
