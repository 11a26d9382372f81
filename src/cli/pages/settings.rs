//! homing.toml(5): every setting, from the comments of the example configuration.
//!
//! The example is written for someone who edits it, with its settings switched off by `#`; here its
//! lines are told apart once, and shown for someone who looks something up. Pure.

use super::roff::{Page, bold, escaped};

/// What the example's lines are, in their order.
#[derive(Debug, Eq, PartialEq)]
enum Part {
    /// A chapter's title.
    Chapter(String),
    /// A paragraph that belongs to no setting.
    Prose(String),
    /// Lines to type.
    Typed(Vec<String>),
    /// A table's header, with the settings below it that explain themselves.
    Table(Vec<String>),
    /// Settings that share one explanation.
    Settings(Vec<String>, String),
}

/// A line of the example, without its `#`.
enum Line<'a> {
    Blank,
    Chapter(&'a str),
    Text(&'a str),
    Typed(&'a str),
    Header(&'a str),
    Setting(&'a str),
}

/// The page, made on `day` from the text of `config.example.toml`.
pub fn page(day: &str, example: &str) -> String {
    let version = concat!("Homing ", env!("CARGO_PKG_VERSION"));
    let mut page = Page::new("HOMING.TOML", 5, day, version, "File Formats Manual");
    page.name("homing.toml", "configuration of Homing, as /etc/homing/config.toml");
    page.section("DESCRIPTION");
    page.paragraph(
        "Homing reads one file in the language TOML, by default `/etc/homing/config.toml`. It needs \
         at least one [[host]]; everything else has a default. The smallest file of a host is three \
         lines:",
    );
    page.verbatim(
        &["[[host]]", "name = \"dev1.dyn.example.com\"", "provider = \"desec\""]
            .into_iter()
            .chain(["token-file = \"/etc/homing/dev1.token\""])
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    );
    page.paragraph(
        "A key that Homing does not know is a mistake, and `homing check` shows every mistake \
            with its line. The daemon reads the file again on SIGHUP.",
    );
    page.paragraph(
        "The chapters below are those of the example that comes with Homing, \
            `config.example.toml`. Words in double quotes are yours to change; a line of the \
            example that is switched off there with # is shown here without it. Lengths of time \
            are written as \"90s\", \"5m\", \"1h 30m\" or \"20d\".",
    );
    page.section("The program as a whole, and a first host");
    for part in &parts(example) {
        match part {
            Part::Chapter(title) => page.section(title),
            Part::Prose(words) => page.paragraph(words),
            Part::Typed(lines) => page.verbatim(lines),
            Part::Table(lines) => page.verbatim(lines),
            Part::Settings(lines, words) => {
                let terms: Vec<_> = lines.iter().map(|line| term(line)).collect();
                // Above its setting a sentence may end with a colon, below it no more.
                let words =
                    words.strip_suffix(':').map_or(words.clone(), |rest| format!("{rest}."));
                page.item(&terms, &[words]);
            }
        }
    }
    page.section("FILES");
    page.item(&[bold("/etc/homing/config.toml")], &["The configuration.".into()]);
    page.section("SEE ALSO");
    page.usage("\\fBhoming\\fR(1)", true);
    page.done()
}

/// A setting with its name in bold.
fn term(line: &str) -> String {
    let (key, value) = line.split_once(" = ").unwrap_or((line, ""));
    format!("{} = {}", bold(key), escaped(value))
}

/// The parts of the example from its first table on; what stands above speaks of the file itself.
fn parts(example: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    // What a comment has said so far, until it is known what it is about.
    let mut said: Vec<Part> = Vec::new();
    let lines = example.lines().skip_while(|line| !matches!(read(line), Line::Header(_)));
    // Whether the line above was a setting or a header, so that the next one goes with it.
    let mut goes_on = false;
    for line in lines.map(read) {
        let went_on = std::mem::take(&mut goes_on);
        match line {
            Line::Blank => parts.append(&mut said),
            Line::Chapter(title) => {
                parts.append(&mut said);
                parts.push(Part::Chapter(title.to_owned()));
            }
            Line::Text(words) => match said.last_mut() {
                Some(Part::Prose(prose)) if !prose.is_empty() && !words.is_empty() => {
                    prose.push(' ');
                    prose.push_str(words);
                }
                Some(Part::Prose(prose)) if prose.is_empty() => prose.push_str(words),
                _ => said.push(Part::Prose(words.to_owned())),
            },
            Line::Typed(typed) => match said.last_mut() {
                Some(Part::Typed(lines)) => lines.push(typed.to_owned()),
                _ => said.push(Part::Typed(vec![typed.to_owned()])),
            },
            Line::Header(header) => {
                parts.append(&mut said);
                parts.push(Part::Table(vec![header.to_owned()]));
                goes_on = true;
            }
            Line::Setting(setting) => {
                goes_on = true;
                match (said.pop(), parts.last_mut()) {
                    (Some(Part::Prose(words)), _) => {
                        parts.append(&mut said);
                        parts.push(Part::Settings(vec![setting.to_owned()], words));
                    }
                    (None, Some(Part::Table(lines) | Part::Settings(lines, _))) if went_on => {
                        lines.push(setting.to_owned());
                    }
                    (other, _) => {
                        parts.append(&mut said);
                        parts.extend(other);
                        parts.push(Part::Settings(vec![setting.to_owned()], String::new()));
                    }
                }
            }
        }
    }
    parts.append(&mut said);
    parts.retain(|part| !matches!(part, Part::Prose(words) if words.is_empty()));
    parts
}

/// Every setting of the example with the kind of its section, such as `source`, its key, and what is said
/// of it.
pub fn explained(example: &str) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let mut section = String::new();
    for part in parts(example) {
        let (lines, words) = match part {
            Part::Table(lines) => {
                let header = lines.first().map_or("", String::as_str).trim_matches(['[', ']']);
                header.split('.').next().unwrap_or_default().clone_into(&mut section);
                (lines, String::new())
            }
            Part::Settings(lines, words) => (lines, words),
            Part::Chapter(_) | Part::Prose(_) | Part::Typed(_) => continue,
        };
        for (key, _) in lines.iter().filter_map(|line| line.split_once(" = ")) {
            all.push((section.clone(), key.to_owned(), words.clone()));
        }
    }
    all
}

/// What a line of the example is.
fn read(line: &str) -> Line<'_> {
    let bare = line.strip_prefix('#').unwrap_or(line);
    if line.is_empty() {
        return Line::Blank;
    }
    if let Some(title) = bare.strip_prefix(" ---- ") {
        return Line::Chapter(title.trim_end_matches('-').trim_end());
    }
    // Settings that stand in place of others are set off, so that nobody switches on both.
    let setting = bare.strip_prefix("   ").filter(|rest| is_setting(rest)).unwrap_or(bare);
    if bare.starts_with('[') {
        Line::Header(bare)
    } else if is_setting(setting) {
        Line::Setting(setting)
    } else if let Some(typed) = bare.strip_prefix("     ") {
        Line::Typed(typed)
    } else {
        Line::Text(bare.trim())
    }
}

/// Whether `line` gives a key a value.
fn is_setting(line: &str) -> bool {
    let is_key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    line.split_once(" = ").is_some_and(|(key, _)| !key.is_empty() && key.chars().all(is_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prose(words: &str) -> Part {
        Part::Prose(words.into())
    }

    fn settings(lines: &[&str], words: &str) -> Part {
        Part::Settings(lines.iter().map(|line| (*line).to_owned()).collect(), words.into())
    }

    #[test]
    fn what_explains_a_setting_stands_above_it() {
        let example =
            "# About this file.\n\n[daemon]\n# How often.\n# In all.\n#interval = \"5m\"\n";
        let expect = [
            Part::Table(vec!["[daemon]".into()]),
            settings(&["interval = \"5m\""], "How often. In all."),
        ];
        assert_eq!(parts(example), expect);
    }

    #[test]
    fn settings_without_a_word_between_them_share_what_is_said() {
        let example =
            "#[source.a]\n#web = \"x\"\n# Or.\n#agree = 1\n#   other = \"y\"\n\n# Free.\n";
        let table = Part::Table(vec!["[source.a]".into(), "web = \"x\"".into()]);
        let shared = settings(&["agree = 1", "other = \"y\""], "Or.");
        assert_eq!(parts(example), [table, shared, prose("Free.")]);
    }

    #[test]
    fn chapters_have_paragraphs_and_lines_to_type() {
        let example = "[a]\n\n# ---- A name -----\n#\n# One.\n#\n# Two\n# lines:\n#\n#     homing x\n\n#[b]\n";
        let expect = [
            Part::Table(vec!["[a]".into()]),
            Part::Chapter("A name".into()),
            prose("One."),
            prose("Two lines:"),
            Part::Typed(vec!["homing x".into()]),
            Part::Table(vec!["[b]".into()]),
        ];
        assert_eq!(parts(example), expect);
    }

    #[test]
    fn a_setting_is_told_from_a_sentence() {
        assert!(is_setting("interval = \"5m\""));
        assert!(!is_setting("The hash = a number"));
        assert!(!is_setting(" = x"));
    }
}
