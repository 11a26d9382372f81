//! Lines for people with coloured parts, wrapped at words on a terminal and made harmless for it.
//!
//! No terminal codes get through except those of its own styles. A colour only repeats what the words
//! say.

use std::io::Write;

use super::fold::wrapped;
use super::log::Printable;
use super::say;
use super::terminal;

/// The style of a part of a line, where there are colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// A person must act.
    Bad,
    /// A person should look.
    Doubtful,
    /// As it should be.
    Good,
}

/// The code that ends every style.
const PLAIN: &str = "\x1b[0m";

impl Style {
    const ALL: [Self; 3] = [Self::Bad, Self::Doubtful, Self::Good];

    fn code(self) -> &'static str {
        match self {
            Self::Bad => "\x1b[1;31m",
            Self::Doubtful => "\x1b[33m",
            Self::Good => "\x1b[32m",
        }
    }

    /// `text` in this style, for [`out_styled`].
    pub fn of(self, text: &str) -> String {
        [self.code(), text, PLAIN].concat()
    }
}

/// As [`out`](crate::os::say::out), for a line with parts that [`Style::of`] made; no other code gets
/// through, and no style goes on after the line. Text from a server should be cleaned first.
pub fn out_styled(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", kept(line));
}

/// Writes `line` to standard output: on a terminal wrapped at words, and in `style` where colours are
/// wanted; elsewhere as it is, for programs that read it.
pub fn out_wrapped(line: &str, style: Option<Style>) {
    if !terminal::is_shown() {
        return say::out(line);
    }
    let style = style.filter(|_| terminal::colours());
    for line in wrapped(&Printable(line).to_string(), terminal::width()) {
        match style {
            Some(style) => out_styled(&style.of(&line)),
            None => say::out(&line),
        }
    }
}

/// `line` without codes other than those of our styles; a style that is open at its end is ended.
fn kept(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    let mut is_styled = false;
    while let Some(at) = rest.find('\x1b') {
        let (before, from) = rest.split_at(at);
        push(&mut kept, before);
        let style = Style::ALL.into_iter().map(Style::code).find(|code| from.starts_with(code));
        let code = if from.starts_with(PLAIN) { Some(PLAIN) } else { style };
        match code {
            Some(code) => kept.push_str(code),
            None => push(&mut kept, "\x1b"),
        }
        is_styled = code.map_or(is_styled, |code| code != PLAIN);
        rest = &from[code.map_or(1, str::len)..];
    }
    push(&mut kept, rest);
    if is_styled {
        kept.push_str(PLAIN);
    }
    kept
}

fn push(kept: &mut String, text: &str) {
    kept.push_str(&Printable(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_codes_get_through() {
        let line = format!("a {} b", Style::Bad.of("TOO POWERFUL"));
        assert_eq!(kept(&line), "a \x1b[1;31mTOO POWERFUL\x1b[0m b");
        assert_eq!(
            kept("\x1b]0;title\x07 \x1b[2J\u{9b}2J"),
            r"\u{1b}]0;title\u{7} \u{1b}[2J\u{9b}2J"
        );
        assert_eq!(kept("a\x1b"), r"a\u{1b}");
        assert_eq!(kept("a\rb\u{202e}"), r"a\rb\u{202e}");
    }

    #[test]
    fn a_style_ends_with_its_line() {
        assert_eq!(kept("\x1b[32mnarrow"), "\x1b[32mnarrow\x1b[0m");
        assert_eq!(kept(&Style::Good.of("narrow")), "\x1b[32mnarrow\x1b[0m");
    }
}
