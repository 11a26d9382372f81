//! The completions for bash: one function, which needs no library of completions.
//!
//! Pure; the words come from `words`. It fills `COMPREPLY` from `COMP_WORDS` and `COMP_CWORD`.

use std::fmt::Write as _;

use crate::cli::table::Opt;

use super::words::{self, HOSTS, PROVIDERS, Word};

const HEAD: &str = r#"# Completions of homing for bash, made from the table of its commands and options.

# Offers those lines of standard input that begin with the word under way.
_homing_offer() {
    local line
    while IFS= read -r line; do
        [[ $line == "$1"* ]] && COMPREPLY+=("$line")
    done
}

# Offers the names of files (-f) or directories (-d).
_homing_files() {
    mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
    # A slash behind directories, and quotes where a name needs them.
    compopt -o filenames 2>/dev/null
}

"#;

const SCAN: &str = r"    # bash takes `=` for a word of its own.
    local current=${COMP_WORDS[COMP_CWORD]} last=$((COMP_CWORD - 1))
    if [[ $current == = ]]; then
        current=
    elif [[ ${COMP_WORDS[last]} == = ]]; then
        last=$((last - 1))
    fi
    # The command so far, how many operands it has, and the option that waits for its value.
    local command='' place=0 option='' config=${HOMING_CONFIG-} word i
    for ((i = 1; i <= last; i++)); do
        word=${COMP_WORDS[i]}
        [[ $word == = ]] && continue
        if [[ $option ]]; then
            [[ $option == --config ]] && config=${word/#~\//$HOME/}
            option=
            continue
        fi
        case $word in
";

/// The script.
pub fn script() -> String {
    let mut text = String::from(HEAD) + &lines("hosts", HOSTS) + &lines("providers", PROVIDERS);
    text += "_homing() {\n    COMPREPLY=()\n";
    text += SCAN;
    let _ = writeln!(text, "            {}) option=$word ;;", words::with_value().join(" | "));
    text += "            --once) command=--once ;;\n            -*) ;;\n            *)\n";
    text += "                case $command in\n                    '') command=$word ;;\n";
    for (group, _) in words::groups() {
        let _ = writeln!(text, "                    {group}) command=\"{group} $word\" ;;");
    }
    text += "                    *) place=$((place + 1)) ;;\n                esac\n";
    text += "                ;;\n        esac\n    done\n";
    values(&mut text);
    options(&mut text);
    operands(&mut text);
    text += "}\n\ncomplete -F _homing homing\n";
    text
}

/// The function that offers the lines which a command prints for a configuration.
fn lines(name: &str, from: &str) -> String {
    format!(
        "_homing_{name}() {{\n    _homing_offer \"$1\" < <(\n        export HOMING_CONFIG=$2\n        \
         {from}\n    )\n}}\n\n"
    )
}

/// What follows an option that waits for its value.
fn values(text: &mut String) {
    *text += "    case $option in\n        '') ;;\n";
    for option in words::options() {
        let Some(word) = words::value(option) else { continue };
        if let Some(offer) = offer(word) {
            let names = words::names(option).join(" | ");
            let _ = writeln!(text, "        {names}) {offer} ;;");
        }
    }
    *text += "    esac\n    [[ $option ]] && return\n";
}

/// What a word with a hyphen may become.
fn options(text: &mut String) {
    *text += "    if [[ $current == -* ]]; then\n        case $command in\n";
    let list = |options: Vec<&Opt>| {
        options.iter().map(|option| format!("--{}", option.long)).collect::<Vec<_>>().join(" ")
    };
    let first = words::first().into_iter().map(|(word, _)| word).filter(|w| w.starts_with('-'));
    let first = first.collect::<Vec<_>>().join(" ");
    let _ = writeln!(text, "            '') {} ;;", among(&first));
    for command in words::commands() {
        let own = list(words::own(command).collect());
        if !own.is_empty() {
            let _ = writeln!(text, "            '{}') {} ;;", command.name, among(&own));
        }
    }
    let common = among(&list(words::common().collect()));
    let _ = writeln!(text, "        esac\n        {common}\n        return\n    fi");
}

/// What an operand may be.
fn operands(text: &mut String) {
    *text += "    case $command:$place in\n";
    let names = |words: Vec<&str>| among(&words.join(" "));
    let first = words::first().into_iter().map(|(word, _)| word).collect();
    let _ = writeln!(text, "        :0) {} ;;", names(first));
    for (group, commands) in words::groups() {
        let actions = commands.iter().map(|command| command.action()).collect();
        let _ = writeln!(text, "        {group}:0) {} ;;", names(actions));
    }
    for command in words::commands() {
        for (place, word) in words::operands(command).into_iter().enumerate() {
            let place = if command.takes_many() { "*".to_owned() } else { place.to_string() };
            if let Some(offer) = offer(word) {
                let _ = writeln!(text, "        '{}':{place}) {offer} ;;", command.name);
            }
        }
    }
    *text += "    esac\n";
}

/// The command that offers `word`, if anything can be offered.
fn offer(word: Word) -> Option<String> {
    match word {
        Word::Choice(choices) => Some(among(&choices.join(" "))),
        Word::Directory => Some("_homing_files -d \"$current\"".into()),
        Word::File => Some("_homing_files -f \"$current\"".into()),
        Word::Free => None,
        Word::Host => Some("_homing_hosts \"$current\" \"$config\"".into()),
        Word::Provider => Some("_homing_providers \"$current\" \"$config\"".into()),
    }
}

/// The command that offers those of `words`, none of which holds a character of the shell's.
fn among(words: &str) -> String {
    format!("_homing_offer \"$current\" < <(printf '%s\\n' {words})")
}
