//! The completions for fish: one line for each word, with the condition under which it is offered.
//!
//! Pure; the words come from `words`.

use std::fmt::Write as _;

use crate::cli::table::Opt;

use super::words::{self, HOSTS, PROVIDERS, Word};

/// The script.
pub fn script() -> String {
    let mut text = String::from(
        "# Completions of homing for fish, made from the table of its commands and options.\n\n",
    );
    head(&mut text);
    let always = "complete -c homing";
    let _ = writeln!(text, "{always} -f");
    words::common().for_each(|option| line(&mut text, always, option));
    let at =
        |command: &str, place: &str| format!("{always} -n '__homing_at \"{command}\" {place}'");
    for (word, doc) in words::first() {
        let _ = writeln!(text, "{} -a {word} -d {}", at("", "0"), quoted(doc));
    }
    for (group, commands) in words::groups() {
        for command in commands {
            let (word, doc) = (command.action(), quoted(command.doc));
            let _ = writeln!(text, "{} -a {word} -d {doc}", at(group, "0"));
        }
    }
    for command in words::commands() {
        words::own(command).for_each(|option| line(&mut text, &at(command.name, ""), option));
        for (place, word) in words::operands(command).into_iter().enumerate() {
            let place = if command.takes_many() { String::new() } else { place.to_string() };
            if let Some(arguments) = arguments(word) {
                let _ = writeln!(text, "{}{arguments}", at(command.name, &place));
            }
        }
    }
    text
}

/// The functions that the lines ask.
fn head(text: &mut String) {
    *text += r#"# Sets the command so far, how many operands it has, and the configuration that it names.
function __homing_read --no-scope-shadowing
    set command ''
    set place 0
    set config $HOMING_CONFIG
    set -l option ''
    for word in (commandline -opc)[2..-1]
        if test -n "$option"
            test "$option" = --config; and set config $word
            set option ''
            continue
        end
        switch $word
"#;
    let _ = writeln!(text, "            case {}", words::with_value().join(" "));
    *text += r"                set option $word
            case '--config=*'
                set config (string replace -- --config= '' $word)
            case --once
                set command --once
            case '-*'
            case '*'
                switch $command
                    case ''
                        set command $word
";
    for (group, _) in words::groups() {
        let line = format!("set command \"{group} $word\"");
        let _ = writeln!(text, "                    case {group}\n                        {line}");
    }
    *text += r#"                    case '*'
                        set place (math $place + 1)
                end
        end
    end
end

# Whether the line has this command and, if given, so many operands.
function __homing_at
    set -l command
    set -l place
    set -l config
    __homing_read
    test "$command" = "$argv[1]"; and begin
        test (count $argv) -lt 2; or test $place = $argv[2]
    end
end

"#;
    for (name, from) in [("hosts", HOSTS), ("providers", PROVIDERS)] {
        let _ = write!(
            text,
            "function __homing_{name}\n    set -l command\n    set -l place\n    set -l config\n    \
             __homing_read\n    set -lx HOMING_CONFIG $config\n    {from}\nend\n\n",
        );
    }
}

/// The line of an option.
fn line(text: &mut String, start: &str, option: &Opt) {
    let short = option.short.map(|letter| format!(" -s {letter}")).unwrap_or_default();
    let value = words::value(option).map(|word| {
        // -x: a value and no file; -r -F: a value, which is a file.
        let arguments = arguments(word).unwrap_or_default();
        if arguments.starts_with(" -F") {
            format!(" -r{arguments}")
        } else {
            format!(" -x{arguments}")
        }
    });
    let (value, doc) = (value.unwrap_or_default(), quoted(option.doc));
    let _ = writeln!(text, "{start}{short} -l {}{value} -d {doc}", option.long);
}

/// What offers `word`, if anything can be offered.
fn arguments(word: Word) -> Option<String> {
    match word {
        Word::Choice(choices) => Some(format!(" -a '{}'", choices.join(" "))),
        Word::Directory => Some(" -a '(__fish_complete_directories)'".into()),
        Word::File => Some(" -F".into()),
        Word::Free => None,
        Word::Host => Some(" -a '(__homing_hosts)'".into()),
        Word::Provider => Some(" -a '(__homing_providers)'".into()),
    }
}

/// A text between single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
