//! TOML and comments as text: any text stays one value or one comment.
//!
//! Knows nothing of the meaning. Called by `write`.

use std::time::Duration;

pub(super) use crate::core::text::toml_string as string;
use crate::os::log::Printable;

/// The widest comment, in characters.
const WIDTH: usize = 100;

/// One text, or a list of none or several.
pub(super) fn strings(texts: &[String]) -> String {
    match texts {
        [one] => string(one),
        several => list(several),
    }
}

/// A list of texts.
pub(super) fn list(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| string(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A name as part of a section's header.
pub(super) fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { string(name) }
}

/// `duration` in the largest unit without a remainder.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let fits =
        units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, letter) = fits.unwrap_or((1, "s"));
    format!("{}{letter}", seconds / unit)
}

/// `text` as comments, wrapped at words; the second line and the following are indented by `indent`.
pub(super) fn comment(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in Printable(text).to_string().split(' ').filter(|word| !word.is_empty()) {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.trim_end() != "#" {
            lines.push_str(line.trim_end());
            lines.push('\n');
            line = format!("#{:indent$}", "");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push_str(line.trim_end());
    lines.push('\n');
    lines
}

/// A line that a user may want to copy, as a comment that is not wrapped.
pub(super) fn verbatim(text: &str) -> String {
    format!("#     {}\n", Printable(text))
}

/// Every line of `text` as a comment.
pub(super) fn switched_off(text: &str) -> String {
    let off = |line: &str| {
        if line.is_empty() || line.starts_with('#') {
            format!("{line}\n")
        } else {
            format!("#{line}\n")
        }
    };
    text.lines().map(off).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_from_the_parser_as_it_was() {
        let all: String =
            (0..=0x2fff).chain(0x1_f600..0x1_f610).filter_map(char::from_u32).collect();
        for text in ["", "a", "\"", "\\", "a\\u0041", "'''", "#", "\u{202e}x", "\r\n\t\0", &all] {
            let line = format!("x = {}", string(text));
            assert_eq!(line.lines().count(), 1);
            let table: ::toml::de::DeTable<'_> =
                ::toml::de::DeTable::parse(&line).unwrap().into_inner();
            assert_eq!(table["x"].get_ref().as_str(), Some(text));
        }
    }

    #[test]
    fn a_comment_is_a_comment_on_every_line() {
        let text = format!("one\ntwo\r\u{85}{} {}", "word ".repeat(60), "x".repeat(300));
        let comment = comment(&text, 3);
        assert!(comment.lines().count() > 3);
        assert!(comment.lines().all(|line| line.starts_with('#')), "{comment}");
        assert!(comment.contains("\n#    word"), "{comment}");
        assert_eq!(comment.lines().filter(|line| line.chars().count() > WIDTH).count(), 1);
        assert!(verbatim("a\nb").lines().count() == 1);
    }

    #[test]
    fn durations_are_short() {
        let of = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!([of(300), of(86_400), of(90), of(7200), of(0)], ["5m", "1d", "90s", "2h", "0s"]);
    }

    #[test]
    fn only_plain_names_stand_without_quotes() {
        assert_eq!([key("a-b"), key("dynv6.com"), key("")], ["a-b", "\"dynv6.com\"", "\"\""]);
    }
}
