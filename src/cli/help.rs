//! Help, made from the table: short, for people, at most 80 columns wide.

use std::fmt::Write as _;

use super::table::{ABOUT, COMMANDS, Command, Group, OPTIONS, Opt, PROGRAM, VARIABLES, Verb};
use crate::core::feature::{self, Feature};

/// The width of the widest line.
const WIDTH: usize = 80;

/// The text in the help of a command that this build does not have.
const LEFT_OUT: &str = "\nThis build does not include it; the full build does.\n";

/// The output of `homing --version`.
pub fn version() -> String {
    let mut text = format!("{PROGRAM} {}\n", env!("CARGO_PKG_VERSION"));
    text.extend(without(feature::left_out()));
    text
}

/// A line with the features that a build leaves out, if there are any.
fn without(features: impl Iterator<Item = Feature>) -> Option<String> {
    let names: Vec<_> = features.map(Feature::word).collect();
    (!names.is_empty()).then(|| format!("(without: {})\n", names.join(", ")))
}

/// The output of `homing --help`.
pub fn overview() -> String {
    let mut text = wrapped(ABOUT, 0);
    let _ = write!(text, "\nUsage: {PROGRAM} [COMMAND] [OPTION]...\n");
    text += "\nCommands:\n";
    let mut shown: Option<&Group> = None;
    for command in COMMANDS.iter().filter(|command| !command.is_left_out()) {
        if let Some(group) = command.group() {
            // A group is one line here; its own help lists its commands.
            if shown.replace(group).is_none_or(|other| other.name != group.name) {
                row(&mut text, &format!("  {} {}", group.name, group.operand), group.doc);
            }
            continue;
        }
        let name = if command.name.is_empty() { "(none)" } else { command.name };
        row(&mut text, format!("  {name} {}", command.operand).trim_end(), command.doc);
        // The others have help of their own to look into: this is one screen.
        let shows_options = command.operand.is_empty();
        for option in OPTIONS.iter().filter(|o| shows_options && is_own(o, command.verb)) {
            row(&mut text, &format!("    --{}", option.long), option.doc);
        }
    }
    // What the full build leaves out, too, has no command.
    let of_full = feature::left_out().filter(|feature| feature.is_in_full());
    text.extend(without(of_full).map(|line| wrapped(&line, 2)));
    common_options(&mut text);
    text += "\nEnvironment:\n";
    let is_here = |feature: Option<Feature>| feature.is_none_or(Feature::is_here);
    for variable in VARIABLES.iter().filter(|variable| is_here(variable.feature)) {
        row(&mut text, &format!("  {}", variable.name), variable.doc);
    }
    let _ = write!(text, "\n`{PROGRAM} COMMAND --help` explains a command.\n");
    text
}

/// The output of `homing COMMAND --help`.
pub fn of(command: &Command) -> String {
    let mut text = usage(command.doc, &command.line(), command.operand);
    if !command.choices.is_empty() {
        let (operand, choices) = (command.first_operand(), command.choices.join(", "));
        let _ = write!(text, "\n{operand} is one of: {choices}\n");
    }
    paragraphs(&mut text, command.more);
    paragraphs(&mut text, command.group().map_or("", |group| group.more));
    if command.is_left_out() {
        return text + LEFT_OUT;
    }
    options(&mut text, "Options", |option| is_own(option, command.verb));
    common_options(&mut text);
    text
}

/// The output of the help for a group: `homing token --help`.
pub fn of_group(group: &Group) -> String {
    let line = group.line();
    let mut text = usage(group.doc, &line, group.operand);
    paragraphs(&mut text, group.more);
    if group.is_left_out() {
        return text + LEFT_OUT;
    }
    text += "\nActions:\n";
    for command in group.commands() {
        let label = format!("  {} {}", command.action(), command.operand);
        row(&mut text, label.trim_end(), command.doc);
    }
    options(&mut text, "Options of every action", |option| {
        group.commands().all(|command| is_own(option, command.verb))
    });
    common_options(&mut text);
    let _ = write!(text, "\n`{line} ACTION --help` explains an action.\n");
    text
}

fn usage(doc: &str, line: &str, operand: &str) -> String {
    let usage = format!("{line} {operand}");
    format!("{doc}.\n\nUsage: {} [OPTION]...\n", usage.trim_end())
}

fn paragraphs(text: &mut String, more: &str) {
    for paragraph in more.lines() {
        text.push('\n');
        *text += &wrapped(paragraph, 0);
    }
}

fn is_own(option: &Opt, verb: Verb) -> bool {
    option.commands.is_some() && option.is_taken_by(verb)
}

fn common_options(text: &mut String) {
    options(text, "Options of every command", |option| option.commands.is_none());
}

/// The options that `belong` under `heading`; nothing if there are none.
fn options(text: &mut String, heading: &str, belong: impl Fn(&Opt) -> bool) {
    let mut heading = Some(format!("\n{heading}:\n"));
    for option in OPTIONS.iter().filter(|option| belong(option)) {
        text.extend(heading.take());
        let short = option.short.map_or("   ".to_owned(), |short| format!("-{short},"));
        let value = option.value.unwrap_or_default();
        row(text, format!("  {short} --{} {value}", option.long).trim_end(), option.doc);
    }
}

/// A label and, in the second column, its meaning.
fn row(text: &mut String, label: &str, doc: &str) {
    const COLUMN: usize = 26;
    let doc = wrapped(doc, COLUMN);
    if label.len() < COLUMN {
        let _ = write!(text, "{label:COLUMN$}{}", doc.trim_start());
    } else {
        let _ = write!(text, "{label}\n{doc}");
    }
}

/// `text` in lines of at most `WIDTH` columns, each indented by `indent`.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.len() <= WIDTH {
            let _ = write!(lines, " {word}");
            column += 1 + word.len();
        } else {
            let end = if column > 0 { "\n" } else { "" };
            let _ = write!(lines, "{end}{:indent$}{word}", "");
            column = indent + word.len();
        }
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::super::table::{GROUPS, command};
    use super::*;

    #[track_caller]
    fn is_tidy(text: &str) {
        assert!(text.ends_with('\n') && !text.contains("\n\n\n") && text.is_ascii(), "{text}");
        for line in text.lines() {
            assert!(line.len() <= WIDTH && line.trim_end() == line, "{line:?}");
        }
    }

    /// Whether `text` has the option's name as a word of its own.
    fn names(text: &str, option: &Opt) -> bool {
        let name = format!("--{}", option.long);
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| word == name)
    }

    #[test]
    fn the_overview_names_everything_and_is_one_screen() {
        let text = overview();
        is_tidy(&text);
        let here = || COMMANDS.iter().filter(|command| !command.is_left_out());
        let alone = || here().filter(|command| command.group().is_none());
        let groups = GROUPS.iter().filter(|group| !group.is_left_out());
        for name in alone().map(|command| command.name).chain(groups.map(|g| g.name)) {
            assert!(text.contains(name), "{name}");
        }
        for option in OPTIONS {
            let is_common = option.commands.is_none();
            let shows_it = |c: &Command| c.operand.is_empty() && option.is_taken_by(c.verb);
            let is_told = is_common || alone().any(shows_it);
            assert_eq!(names(&text, option), is_told, "{}", option.long);
        }
        for variable in VARIABLES {
            let is_here = variable.feature.is_none_or(Feature::is_here);
            assert_eq!(text.contains(variable.name), is_here, "{}", variable.name);
        }
        assert!(text.lines().count() <= 44, "short, for people: {}", text.lines().count());
    }

    #[test]
    fn the_help_of_a_group_names_its_commands_and_what_they_share() {
        for group in GROUPS.iter().filter(|group| !group.is_left_out()) {
            let text = of_group(group);
            is_tidy(&text);
            for command in group.commands() {
                let row = format!("\n  {} {}", command.action(), command.operand);
                assert!(text.contains(&row) && text.contains(command.doc), "{row}: {text}");
            }
            for option in OPTIONS {
                let is_shared = group.commands().all(|command| option.is_taken_by(command.verb));
                assert_eq!(names(&text, option), is_shared, "{}: {text}", option.long);
            }
        }
    }

    #[test]
    fn the_help_of_a_command_names_the_options_that_it_takes() {
        for command in COMMANDS {
            let text = of(command);
            is_tidy(&text);
            for option in OPTIONS.iter().filter(|_| !command.is_left_out()) {
                let taken = option.is_taken_by(command.verb);
                assert_eq!(names(&text, option), taken, "{}: {text}", option.long);
            }
        }
    }

    #[test]
    fn the_help_of_the_token_commands_tells_exit_codes_and_where_the_secret_comes_from() {
        for (name, codes) in [
            ("token issue", "0 75 77 78"),
            ("token audit", "0 77 75 78"),
            ("token rotate", "0 75 77 78"),
            ("token revoke", "0 75 77 78"),
        ] {
            let text = of(command(name).unwrap()).replace('\n', " ");
            let codes: Vec<_> = codes.split(' ').map(|code| format!(" {code} ")).collect();
            let places: Vec<_> = codes.iter().map(|code| text.find(code.as_str())).collect();
            assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
            assert!(text.contains("else from HOMING_MANAGEMENT_TOKEN, else asked for"), "{text}");
        }
    }

    #[test]
    fn long_text_is_wrapped_at_words() {
        let text = wrapped(&"word ".repeat(40), 26);
        is_tidy(&text);
        assert!(text.lines().count() > 1);
        assert!(text.lines().all(|line| line.starts_with("                          word")));
    }
}
