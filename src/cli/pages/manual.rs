//! homing(1): everything that help tells, in one page, with what help has no room for.
//!
//! Pure; commands, options and variables come from the table of the command line, exit codes from
//! their type.

use crate::cli::table::{ABOUT, COMMANDS, Command, Opt, daemon};
use crate::core::exit::Exit;
use crate::core::feature::Feature;
use crate::core::order::SortedSet;

use super::roff::{Page, bold, escaped, italic};
use super::words;

/// The page, made on `day`.
pub fn page(day: &str) -> String {
    let version = concat!("Homing ", env!("CARGO_PKG_VERSION"));
    let mut page = Page::new("HOMING", 1, day, version, "User Commands");
    page.name("homing", "keep host names pointing home (dynamic DNS)");
    page.section("SYNOPSIS");
    for (place, command) in COMMANDS.iter().filter(|command| !command.is_left_out()).enumerate() {
        page.usage(&usage(command), place == 0);
    }
    page.section("DESCRIPTION");
    page.paragraph(ABOUT);
    page.paragraph(daemon().more);
    page.paragraph("The names to keep up to date are in the configuration: see `homing.toml`(5).");
    commands(&mut page);
    options(&mut page);
    page.section("ENVIRONMENT");
    for variable in words::variables() {
        page.item(&[bold(variable.name)], &[sentence(variable.doc)]);
    }
    files(&mut page);
    page.section("EXIT STATUS");
    for exit in Exit::ALL {
        page.item(&[bold(&exit.code().to_string())], &[meaning(exit).to_owned()]);
    }
    page.paragraph("With several reasons the largest counts.");
    examples(&mut page);
    page.section("SEE ALSO");
    page.usage("\\fBhoming.toml\\fR(5), \\fBcrontab\\fR(5), \\fBsystemctl\\fR(1)", true);
    page.done()
}

/// A line that says how `command` is written, with the options of its own.
fn usage(command: &Command) -> String {
    let mut line = bold(&command.line());
    for option in words::own(command) {
        line += &format!(" [{}]", label(option, false));
    }
    if command.name.is_empty() {
        line += &format!(" [{}]...", italic("OPTION"));
    }
    if !command.operand.is_empty() {
        line += &format!(" {}", operand(command.operand));
    }
    line
}

/// Names to be replaced in italics, brackets and dots as they are.
fn operand(text: &str) -> String {
    let is_name = |c: char| c.is_ascii_uppercase();
    let word = |word: &str| {
        let start = word.find(is_name).unwrap_or(word.len());
        let end = word.rfind(is_name).map_or(start, |last| last + 1);
        escaped(&word[..start]) + &italic(&word[start..end]) + &escaped(&word[end..])
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// An option with its value; with `all` in every way to write it.
fn label(option: &Opt, all: bool) -> String {
    let mut names = words::names(option);
    names.truncate(if all { names.len() } else { 1 });
    names.sort_by_key(String::len);
    let names: Vec<_> = names.iter().map(|name| bold(name)).collect();
    let value = option.value.map(|value| format!(" {}", italic(value))).unwrap_or_default();
    names.join(", ") + &value
}

fn commands(page: &mut Page) {
    page.section("COMMANDS");
    let mut told = SortedSet::new();
    for command in words::commands() {
        if let Some(group) = command.group().filter(|group| told.insert(group.name)) {
            let mut paragraphs = vec![sentence(group.doc)];
            paragraphs.extend(group.more.lines().map(str::to_owned));
            page.item(&[term(&group.line(), group.operand)], &paragraphs);
        }
        let mut paragraphs = vec![sentence(command.doc)];
        if !command.choices.is_empty() {
            let (operand, choices) = (command.first_operand(), command.choices.join(", "));
            paragraphs.push(format!("{operand} is one of: {choices}."));
        }
        paragraphs.extend(command.more.lines().map(str::to_owned));
        page.item(&[term(&command.line(), command.operand)], &paragraphs);
    }
}

fn term(line: &str, text: &str) -> String {
    let line = bold(line);
    if text.is_empty() { line } else { format!("{line} {}", operand(text)) }
}

fn options(page: &mut Page) {
    page.section("OPTIONS");
    page.subsection("Of every command");
    page.paragraph("They may come before or after it.");
    words::common().for_each(|option| item(page, option, None));
    page.subsection("Of single commands");
    for option in words::options().filter(|option| option.commands.is_some()) {
        let takers: Vec<_> = words::commands()
            .filter(|command| option.is_taken_by(command.verb))
            .map(|command| format!("`{}`", command.line()))
            .collect();
        item(page, option, Some(&takers));
    }
}

/// An option, and for one of single commands which take it.
fn item(page: &mut Page, option: &Opt, takers: Option<&[String]>) {
    let mut words = sentence(option.doc);
    if !option.more.is_empty() {
        words = format!("{words} {}", option.more.replace('\n', " "));
    }
    let takers = takers.map(|takers| format!("Of {}.", listed(takers)));
    page.item(&[label(option, true)], &[words].into_iter().chain(takers).collect::<Vec<_>>());
}

/// `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A line of help as a sentence.
fn sentence(doc: &str) -> String {
    format!("{doc}.")
}

fn files(page: &mut Page) {
    page.section("FILES");
    for (path, words) in [
        ("/etc/homing/config.toml", "The configuration, unless --config names another."),
        (
            "/var/lib/homing",
            "The state: the published addresses, and what is waiting until when. `state.json` can \
                be read by people; `homing.lock` is locked while the daemon or --once runs, so \
                that no two of them work on the same state; `homing.told` holds by whom --once has \
                found it locked, so that it says so once. Nobody but its owner can read the \
                directory.",
        ),
        (
            "TOKENFILE.receipt",
            "Lies beside a token file that `homing token issue` has written, and says what the token \
             may do and until when. It holds no secret, and belongs to the file.",
        ),
    ] {
        let term = match path.strip_prefix("TOKENFILE") {
            Some(_) if !Feature::Tokens.is_here() => continue,
            Some(rest) => italic("TOKENFILE") + &bold(rest),
            None => bold(path),
        };
        page.item(&[term], &[words.to_owned()]);
    }
}

/// When the process ends so.
fn meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::Right => "Every host is right; an audit found no token too powerful.",
        Exit::Usage => "The command line is wrong.",
        Exit::Deferred => {
            "At least one host waits; trying later may help. Also when the state is in use by \
             another Homing, which it names."
        }
        Exit::Rejected => {
            "A provider rejected at least one host, or a token is too powerful: you must fix it."
        }
        Exit::Configuration => {
            "The configuration is wrong, and nothing was sent; or a secret file is wrong, and its \
             hosts were left out."
        }
    }
}

fn examples(page: &mut Page) {
    page.section("EXAMPLES");
    for (words, line) in [
        ("Write a first configuration, with a few questions:", "homing init"),
        ("Say what is wrong with the configuration, and what a round would do:", "homing check"),
        (
            "Make a token that can change one name only, with a management token that is asked for:",
            "homing token issue dev1.dyn.example.com",
        ),
        ("From cron every five minutes, which mails what has changed:", CRON),
        ("Try all over again what a provider has refused:", "homing --once --retry-rejected"),
    ] {
        let needed = match line.split(' ').nth(1) {
            Some("init") => Some(Feature::Init),
            Some("token") => Some(Feature::Tokens),
            _ => None,
        };
        if needed.is_some_and(|feature| !feature.is_here()) {
            continue;
        }
        page.paragraph(words);
        page.verbatim(&[line.to_owned()]);
    }
}

/// A line for crontab(5).
const CRON: &str = "*/5 * * * *  homing --once";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::{GROUPS, OPTIONS, VARIABLES};

    #[test]
    fn the_page_tells_everything_that_the_table_has() {
        let page = page("2026-11-22");
        for command in COMMANDS {
            let is_told = page.contains(&format!("\n{}", term(&command.line(), command.operand)));
            assert_eq!(is_told, !command.is_left_out(), "{}", command.name);
            let doc = sentence(&escaped(command.doc));
            let is_told = page.contains(&doc) || command.name.is_empty();
            assert_eq!(is_told, !command.is_left_out(), "{doc}");
        }
        for group in GROUPS {
            let is_told = page.contains(&term(&group.line(), group.operand));
            assert_eq!(is_told, !group.is_left_out(), "{}", group.name);
        }
        for option in OPTIONS {
            let label = format!(".TP\n{}\n", label(option, true));
            let mut here = COMMANDS.iter().filter(|command| !command.is_left_out());
            let is_here = here.any(|command| option.is_taken_by(command.verb));
            assert_eq!(page.matches(&label).count(), usize::from(is_here), "{}", option.long);
        }
        for variable in VARIABLES {
            let is_told = page.contains(&format!(".TP\n{}\n", bold(variable.name)));
            let is_here = variable.feature.is_none_or(Feature::is_here);
            assert_eq!(is_told, is_here, "{}", variable.name);
        }
    }

    #[test]
    fn every_file_of_the_state_directory_is_told() {
        let page = page("2026-11-22");
        for name in ["state.json", "homing.lock", "homing.told"] {
            assert!(page.contains(&bold(name)), "{name}");
        }
    }

    #[test]
    fn what_is_to_be_replaced_stands_in_italics() {
        assert_eq!(operand("[HOST]..."), r"[\fIHOST\fR]...");
        assert_eq!(operand("CLIENT FILE"), r"\fICLIENT\fR \fIFILE\fR");
        assert_eq!(listed(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
