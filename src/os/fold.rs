//! Long lines folded at words, as wide as a terminal shows them.

use std::io::{self, IsTerminal};

use super::terminal::{breadth, breadth_of, error_width};

/// `line` as standard error shows it: on a terminal wrapped, elsewhere as it is, for programs that read
/// it.
pub fn for_errors(line: String) -> Vec<String> {
    if io::stderr().is_terminal() { wrapped(&line, error_width()) } else { vec![line] }
}

/// `line` in lines of at most `width` columns, except that a command in backquotes is never broken;
/// those that follow are indented by two more than the first.
pub fn wrapped(line: &str, width: usize) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
