//! Help, printed from the table: short, for people, at most 80 columns wide.

use std::fmt::Write as _;

use super::table::{ABOUT, COMMANDS, Command, OPTIONS, Opt, PROGRAM, VARIABLES, Verb};

/// The widest line.
const WIDTH: usize = 80;

/// What `homing --version` prints.
pub fn version() -> String {
    format!("{PROGRAM} {}\n", env!("CARGO_PKG_VERSION"))
}

/// What `homing --help` prints.
pub fn overview() -> String {
    let mut text = wrapped(ABOUT, 0);
    let _ = write!(text, "\nUsage: {PROGRAM} [COMMAND] [OPTION]...\n");
    let (ready, later): (Vec<_>, Vec<_>) = COMMANDS.iter().partition(|command| command.ready);
    text += "\nCommands:\n";
    for command in ready {
        let name = if command.name.is_empty() { "(none)" } else { command.name };
        row(&mut text, format!("  {name} {}", command.operand).trim_end(), command.doc);
        for option in OPTIONS.iter().filter(|option| is_own(option, command.verb)) {
            row(&mut text, &format!("    --{}", option.long), option.doc);
        }
    }
    if !later.is_empty() {
        let names: Vec<_> = later.iter().map(|command| command.name).collect();
        let _ = writeln!(text, "  (not in this version yet: {})", names.join(", "));
    }
    text += "\nOptions of every command:\n";
    common(&mut text);
    text += "\nEnvironment:\n";
    for variable in VARIABLES {
        row(&mut text, &format!("  {}", variable.name), variable.doc);
    }
    let _ = write!(text, "\n`{PROGRAM} COMMAND --help` tells more about a command.\n");
    text
}

/// What `homing COMMAND --help` prints.
pub fn of(command: &Command) -> String {
    let usage = format!("{} {}", command.line(), command.operand);
    let mut text = format!("{}.\n\nUsage: {} [OPTION]...\n", command.doc, usage.trim_end());
    if !command.choices.is_empty() {
        let operand = command.operand.split(' ').next().unwrap_or_default();
        let _ = write!(text, "\n{operand} is one of: {}\n", command.choices.join(", "));
    }
    for paragraph in command.more.lines() {
        text.push('\n');
        text += &wrapped(paragraph, 0);
    }
    if !command.ready {
        text += "\nThis version does not have it yet.\n";
        return text;
    }
    let own: Vec<_> = OPTIONS.iter().filter(|option| is_own(option, command.verb)).collect();
    if !own.is_empty() {
        text += "\nOptions:\n";
        for option in own {
            option_row(&mut text, option);
        }
    }
    text += "\nOptions of every command:\n";
    common(&mut text);
    text
}

fn is_own(option: &Opt, verb: Verb) -> bool {
    option.commands.is_some() && option.is_taken_by(verb)
}

fn common(text: &mut String) {
    for option in OPTIONS.iter().filter(|option| option.commands.is_none()) {
        option_row(text, option);
    }
}

fn option_row(text: &mut String, option: &Opt) {
    let short = option.short.map_or("   ".to_owned(), |short| format!("-{short},"));
    let value = option.value.unwrap_or_default();
    row(text, format!("  {short} --{} {value}", option.long).trim_end(), option.doc);
}

/// A label and, in the second column, what it means.
fn row(text: &mut String, label: &str, doc: &str) {
    const COLUMN: usize = 26;
    let doc = wrapped(doc, COLUMN);
    if label.len() + 1 < COLUMN {
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
    use super::*;

    #[track_caller]
    fn is_tidy(text: &str) {
        assert!(text.ends_with('\n') && !text.contains("\n\n\n") && text.is_ascii(), "{text}");
        for line in text.lines() {
            assert!(line.len() <= WIDTH && line.trim_end() == line, "{line:?}");
        }
    }

    #[test]
    fn the_overview_names_everything_and_is_one_screen() {
        let text = overview();
        is_tidy(&text);
        for command in COMMANDS {
            assert!(text.contains(command.name), "{}", command.name);
        }
        for option in OPTIONS {
            assert!(text.contains(&format!("--{}", option.long)), "{}", option.long);
        }
        assert!(text.lines().count() <= 40, "short, for people");
    }

    #[test]
    fn the_help_of_a_command_names_the_options_that_it_takes() {
        for command in COMMANDS {
            let text = of(command);
            is_tidy(&text);
            for option in OPTIONS.iter().filter(|_| command.ready) {
                let named = text.contains(&format!(" --{}", option.long));
                let in_title = format!("--{}", option.long) == command.name;
                assert_eq!(named, in_title || option.is_taken_by(command.verb), "{text}");
            }
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
