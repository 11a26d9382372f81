//! UCI's format of configuration: sections with options, as in OpenWrt's `/etc/config`.
//!
//! Reads only the syntax (OpenWrt's wiki, "The UCI system", chapter on file syntax), and no option.
//! Called by the reader of ddns-scripts.

/// A section.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Section {
    pub(super) kind: String,
    pub(super) line: usize,
    pub(super) options: Vec<Opt>,
}

/// An option with its value, or a list with its values.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Opt {
    pub(super) name: String,
    pub(super) values: Vec<String>,
    pub(super) line: usize,
}

/// The contents of a file: its sections, and the lines with problems, with the reasons.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) sections: Vec<Section>,
    pub(super) wrong: Vec<(usize, &'static str)>,
}

impl Section {
    /// The option `name`; the last one is used.
    pub(super) fn option(&self, name: &str) -> Option<&Opt> {
        self.options.iter().rfind(|option| option.name == name)
    }
}

/// Reads `text`; lines with problems are skipped and reported.
pub(super) fn parse_uci(text: &str) -> File {
    let mut file = File::default();
    for (place, line) in text.lines().enumerate() {
        let number = place + 1;
        if let Err(why) = words(line).and_then(|words| file.add(&words, number)) {
            file.wrong.push((number, why));
        }
    }
    file
}

impl File {
    /// Adds the words of a line; the error is the problem with them.
    fn add(&mut self, words: &[String], line: usize) -> Result<(), &'static str> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match (&words[..], self.sections.last_mut()) {
            ([] | ["package", _], _) => {}
            (["config", kind] | ["config", kind, _], _) => {
                let (kind, options) = ((*kind).to_owned(), Vec::new());
                self.sections.push(Section { kind, line, options });
            }
            ([form @ ("option" | "list"), name, value], Some(section)) => {
                let (name, value) = ((*name).to_owned(), (*value).to_owned());
                let mut options = section.options.iter_mut();
                match options.find(|option| *form == "list" && option.name == name) {
                    Some(list) => list.values.push(value),
                    None => section.options.push(Opt { name, values: vec![value], line }),
                }
            }
            (["option" | "list", ..], None) => {
                return Err("an option is before the first section");
            }
            (["config" | "option" | "list", ..], _) => {
                return Err("it has too few words, or too many: a value with blanks needs quotes");
            }
            _ => return Err("a line begins with config, option or list"),
        }
        Ok(())
    }
}

/// The words of a line, without quotes and comments.
///
/// A quote without an end on its line would take the next lines, and perhaps a secret, into a value;
/// no option of ddns-scripts has more than one line.
fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('"') | None, '\\') => {
                let escaped = characters.next();
                word.get_or_insert_default().extend(escaped);
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is opened and not closed on the line");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(line: &str, expect: &[&str]) {
        assert_eq!(words(line).unwrap(), expect, "{line}");
    }

    #[test]
    fn quotes_blanks_and_comments_are_those_of_uci() {
        reads("\toption a 'b c'", &["option", "a", "b c"]);
        reads("option a \"b \\\"c\\\"\"  # rest", &["option", "a", "b \"c\""]);
        reads("option a 'it'\\''s'", &["option", "a", "it's"]);
        reads("option a b#c", &["option", "a", "b#c"]);
        reads("option a ''", &["option", "a", ""]);
        reads("# option a b", &[]);
        reads("option a b\\ c", &["option", "a", "b c"]);
        assert!(words("option a 'b").is_err());
    }

    #[test]
    fn a_file_is_its_sections_and_what_is_wrong_with_it() {
        let file = parse_uci(
            "package ddns\nconfig service 'a'\n\toption x 1\n\toption x 2\n\tlist y 1\n\tlist y 2\n\
             default: wan\n\noption too many words\nconfig service\n",
        );
        assert_eq!(file.sections.len(), 2);
        let first = &file.sections[0];
        assert_eq!((&*first.kind, first.line), ("service", 2));
        assert_eq!(first.option("x").unwrap().values, ["2"]);
        assert_eq!(first.option("y").unwrap().values, ["1", "2"]);
        let wrong: Vec<_> = file.wrong.iter().map(|(line, _)| *line).collect();
        assert_eq!(wrong, [7, 9]);
    }
}
