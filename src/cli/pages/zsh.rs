//! The completions for zsh: the command so far decides which list `_arguments` is given.
//!
//! Pure; the words come from `words`.

use std::fmt::Write as _;

use crate::cli::table::Opt;

use super::words::{self, HOSTS, PROVIDERS, Word};

const SCAN: &str = r"_homing() {
    # The command so far, and the option that waits for its value.
    local homing_command='' option='' word
    for word in ${words[2,CURRENT-1]}; do
        if [[ -n $option ]]; then
            option=''
            continue
        fi
        case $word in
";

/// The script.
pub fn script() -> String {
    let mut text = String::from(
        "#compdef homing\n# Completions of homing for zsh, made from the table of its commands and options.\n\n",
    );
    for (name, from) in [("hosts", HOSTS), ("providers", PROVIDERS)] {
        let _ = write!(
            text,
            "_homing_{name}() {{\n    local -a found\n    \
             local file=${{(Q)opt_args[--config]:-$HOMING_CONFIG}}\n    \
             found=(${{(f)\"$(HOMING_CONFIG=${{file/#\\~\\//$HOME/}}; export HOMING_CONFIG; {from})\"}})\n    \
             _wanted {name} expl {name} compadd -a found\n}}\n\n",
        );
    }
    described(&mut text, "commands", &words::first());
    for (group, commands) in words::groups() {
        let actions: Vec<_> = commands.iter().map(|c| (c.action(), c.doc)).collect();
        described(&mut text, group, &actions);
    }
    text += SCAN;
    let _ = writeln!(text, "            {}) option=$word ;;", words::with_value().join("|"));
    text += "            --once) homing_command=--once ;;\n            -*) ;;\n            *)\n";
    text += "                case $homing_command in\n";
    text += "                    '') homing_command=$word ;;\n";
    for (group, _) in words::groups() {
        let _ = writeln!(text, "                    {group}) homing_command=\"{group} $word\" ;;");
    }
    text += "                esac\n                ;;\n        esac\n    done\n";
    text += "    local -a common\n    common=(\n";
    words::common().for_each(|option| specification(&mut text, option));
    text += "    )\n    case $homing_command in\n";
    text += "        '') _arguments -s $common '1:command:_homing_commands' ;;\n";
    for (group, _) in words::groups() {
        let _ = writeln!(
            text,
            "        {group}) _arguments -s $common '1: :({group})' '2:action:_homing_{group}' ;;"
        );
    }
    for command in words::commands() {
        let _ = writeln!(text, "        '{}')\n            _arguments -s $common \\", command.name);
        words::own(command).for_each(|option| {
            let mut lines = String::new();
            specification(&mut lines, option);
            lines.lines().for_each(|line| {
                let _ = writeln!(text, "        {line} \\");
            });
        });
        let mut place = 0;
        for word in command.name.split(' ').filter(|word| !word.starts_with('-')) {
            place += 1;
            let _ = writeln!(text, "                '{place}: :({word})' \\");
        }
        for (word, name) in words::operands(command).into_iter().zip(command.operand.split(' ')) {
            place += 1;
            let place = if command.takes_many() { "*".to_owned() } else { place.to_string() };
            let name = name.trim_end_matches('.').trim_matches(['[', ']']);
            let _ = writeln!(text, "                '{place}:{name}:{}' \\", action(word));
        }
        text += "                ;;\n";
    }
    // Loaded by name it is the body of a function and has to run; sourced it only defines.
    text += "    esac\n}\n\n[[ $funcstack[1] = _homing ]] && _homing \"$@\" || compdef _homing homing\n";
    text
}

/// A function that offers words, each with what it does.
fn described(text: &mut String, name: &str, rows: &[(&str, &str)]) {
    let _ = write!(text, "_homing_{name}() {{\n    local -a found\n    found=(\n");
    for (word, doc) in rows {
        let _ = writeln!(text, "        '{word}:{}'", quoted(doc));
    }
    let _ = write!(text, "    )\n    _describe {name} found\n}}\n\n");
}

/// What `_arguments` is told of an option, one line for each way to write it.
fn specification(text: &mut String, option: &Opt) {
    let names = words::names(option);
    for name in &names {
        let before = match (words::may_repeat(option), names.len()) {
            (true, _) => "*".to_owned(),
            (false, 1) => String::new(),
            (false, _) => format!("({})", names.join(" ")),
        };
        let doc = quoted(option.doc).replace('[', "\\[").replace(']', "\\]");
        let value = match (words::value(option), option.value) {
            (Some(word), Some(value)) => format!(":{value}:{}", action(word)),
            _ => String::new(),
        };
        let equals = if value.is_empty() { "" } else { "=" };
        let _ = writeln!(text, "        '{before}{name}{equals}[{doc}]{value}'");
    }
}

/// What offers `word`.
fn action(word: Word) -> String {
    match word {
        Word::Choice(choices) => format!("({})", choices.join(" ")),
        Word::Directory => "_files -/".into(),
        Word::File => "_files".into(),
        Word::Free => " ".into(),
        Word::Host => "_homing_hosts".into(),
        Word::Provider => "_homing_providers".into(),
    }
}

/// A text between single quotes.
fn quoted(text: &str) -> String {
    text.replace('\'', r"'\''")
}
