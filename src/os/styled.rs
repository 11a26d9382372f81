//! Lines for people with coloured parts, wrapped at words, made harmless for a terminal.
//!
//! No terminal codes get through except those of its own styles. A colour only repeats what the words
//! say.

use std::io::Write;

use super::log::Printable;
use super::say;
use super::terminal::{self, breadth, breadth_of};

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

/// `line` in lines of at most `width` columns, except that a command in backquotes is never broken;
/// those that follow are indented by two more than the first.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let text = line.trim_start_matches(' ');
    let indent = " ".repeat(line.len() - text.len());
    filled(&indent, indent.len() + 2, pieces(text, true), (width, false))
}

/// The parts of `text` between blanks; with `keeps_commands` those in backquotes stay whole.
pub fn pieces(text: &str, keeps_commands: bool) -> impl Iterator<Item = &str> {
    let mut is_command = false;
    text.split(move |c: char| {
        is_command ^= keeps_commands && c == '`';
        c == ' ' && !is_command
    })
}

/// `pieces` with a blank between two, in lines of at most `width` columns: the first after `mark`, the
/// others indented by `below`. A longer piece is broken only with `breaks`.
pub fn filled<'a>(
    mark: &str,
    below: usize,
    pieces: impl Iterator<Item = &'a str>,
    (width, breaks): (usize, bool),
) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut used) = (mark.to_owned(), mark.len());
    // Whether the line has nothing but its beginning.
    let mut is_fresh = true;
    let mut begin_line = |line: &mut String, used: &mut usize| {
        lines.push(std::mem::replace(line, " ".repeat(below)));
        *used = below;
    };
    for (place, piece) in pieces.enumerate() {
        if place > 0 && used + 1 + breadth(piece) > width {
            begin_line(&mut line, &mut used);
            is_fresh = true;
        } else if place > 0 {
            line.push(' ');
            used += 1;
        }
        for c in piece.chars() {
            if breaks && used + breadth_of(c) > width && !is_fresh {
                begin_line(&mut line, &mut used);
            }
            line.push(c);
            used += breadth_of(c);
            is_fresh = false;
        }
    }
    lines.push(line);
    lines
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
    fn a_long_line_is_wrapped_at_words_and_a_command_stays_whole() {
        let line = "  deferred, the provider is busy; run `homing --once` later";
        let expect = [
            "  deferred, the",
            "    provider is",
            "    busy; run",
            "    `homing --once`",
            "    later",
        ];
        assert_eq!(wrapped(line, 17), expect);
        assert_eq!(wrapped("  IPv4  192.0.2.1", 80), ["  IPv4  192.0.2.1"]);
        assert_eq!(wrapped("", 80), [""]);
    }

    #[test]
    fn a_style_ends_with_its_line() {
        assert_eq!(kept("\x1b[32mnarrow"), "\x1b[32mnarrow\x1b[0m");
        assert_eq!(kept(&Style::Good.of("narrow")), "\x1b[32mnarrow\x1b[0m");
    }
}
