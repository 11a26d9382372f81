//! The terminal: how wide it is, whether it has colours, and a question whose answer is not shown.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

use super::log::colours_are_wanted;

/// The width when it is unknown.
const USUAL: usize = 80;

/// The width of standard output, at least 40.
pub fn width() -> usize {
    const LEAST: usize = 40;
    columns(io::stdout()).unwrap_or_else(|| stated(std::env::var_os("COLUMNS"))).max(LEAST)
}

/// The width of standard error.
pub fn error_width() -> usize {
    columns(io::stderr()).unwrap_or(USUAL)
}

/// Whether standard output is a terminal.
pub fn is_shown() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard output may be coloured.
pub fn colours() -> bool {
    is_shown() && colours_are_wanted(|name| std::env::var_os(name))
}

/// How many columns `text` takes, roughly: combining marks none, East Asian letters and emoji two.
pub fn breadth(text: &str) -> usize {
    text.chars().map(breadth_of).sum()
}

/// How many columns a character takes.
pub fn breadth_of(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// Asks for one line on the terminal, without showing what is typed.
///
/// `None` when there is no terminal, and when the question is refused by Ctrl-C or Ctrl-D.
pub fn ask_hidden(prompt: &str) -> io::Result<Option<String>> {
    match OpenOptions::new().read(true).write(true).open("/dev/tty") {
        Ok(terminal) => ask_on(&terminal, prompt),
        // A cron job or a container has no terminal; any other error counts as none, too.
        Err(_) => Ok(None),
    }
}

/// Asks for one line on the terminal, which shows what is typed.
///
/// `None` when there is no terminal, and when the question is refused by Ctrl-D.
#[cfg(feature = "init")]
pub fn ask(prompt: &str) -> io::Result<Option<String>> {
    let Ok(mut terminal) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
        return Ok(None);
    };
    terminal.write_all(prompt.as_bytes())?;
    let answer = understood(line(&terminal)?)?;
    if answer.is_none() {
        // Ctrl-D ends no line.
        terminal.write_all(b"\n")?;
    }
    Ok(answer)
}

/// Ctrl-C.
const CANCEL: u8 = 3;

fn ask_on(mut terminal: &File, prompt: &str) -> io::Result<Option<String>> {
    let hidden = Hidden::new(terminal)?;
    let answer = terminal.write_all(prompt.as_bytes()).and_then(|()| line(terminal));
    drop(hidden);
    // The end of the line that was typed was not shown either.
    terminal.write_all(b"\n")?;
    understood(answer?)
}

/// A terminal that does not show what is typed; it is as before, once this is dropped.
struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn new(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut modes = before.clone();
        // A signal would end us with the terminal mute. So Ctrl-C is a character, and one that ends
        // a line: otherwise it would be read only after the next Enter.
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG);
        modes.local_modes.insert(LocalModes::ICANON);
        modes.special_codes[SpecialCodeIndex::VEOL] = CANCEL;
        let hidden = Self { terminal, before };
        // Text that was typed before has been shown, and is no answer.
        tcsetattr(terminal, OptionalActions::Flush, &modes)?;
        Ok(hidden)
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // The rest of a text of several lines must not reach the shell.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// The bytes that are typed until the line ends.
fn line(mut terminal: impl Read) -> io::Result<Vec<u8>> {
    /// More than a terminal takes as one line.
    const MOST: usize = 8192;
    let mut line = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match terminal.read(&mut buffer) {
            Ok(0) => return Ok(line),
            Ok(count) => line.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if line.len() >= MOST || matches!(line.last(), Some(b'\n' | &CANCEL)) {
            return Ok(line);
        }
    }
}

/// The text of a typed line; `None` when it refuses the question.
fn understood(mut line: Vec<u8>) -> io::Result<Option<String>> {
    // Without the end of a line, Ctrl-D ended it.
    if line.is_empty() || line.contains(&CANCEL) {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(line).map(Some).map_err(not_text)
}

fn columns(terminal: impl AsFd) -> Option<usize> {
    let columns = tcgetwinsize(terminal).ok()?.ws_col;
    (columns > 0).then_some(columns.into())
}

/// The width that `COLUMNS` states, or the usual one if it states none.
fn stated(columns: Option<impl AsRef<OsStr>>) -> usize {
    const MOST: usize = 1000;
    let number = columns.and_then(|text| text.as_ref().to_str()?.parse().ok());
    number.filter(|number| (1..=MOST).contains(number)).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_that_cannot_be_is_not_believed() {
        assert_eq!(stated(Some("132")), 132);
        for wrong in ["", "0", "-1", "wide", "1000000"] {
            assert_eq!(stated(Some(wrong)), USUAL, "{wrong}");
        }
        assert_eq!(stated(None::<&str>), USUAL);
    }

    #[test]
    fn colours_can_be_refused() {
        let are_wanted = |no_color: Option<&str>, term: Option<&str>| {
            colours_are_wanted(|name| if name == "TERM" { term } else { no_color }.map(Into::into))
        };
        assert!(are_wanted(None, Some("xterm")) && are_wanted(Some(""), None));
        assert!(!are_wanted(Some("1"), Some("xterm")) && !are_wanted(None, Some("dumb")));
    }

    #[test]
    fn wide_letters_take_two_columns() {
        assert_eq!(breadth("dev1 …"), 6);
        assert_eq!(breadth("家e\u{301}"), 3);
    }

    #[test]
    fn a_line_is_read_to_its_end_and_no_further() {
        let read = |text: &str| line(text.as_bytes()).and_then(understood).unwrap();
        assert_eq!(read("hunter2\n").as_deref(), Some("hunter2"));
        assert_eq!(read("hunter2").as_deref(), Some("hunter2"));
        assert_eq!(read("\n").as_deref(), Some(""));
        assert_eq!(read(""), None);
        assert_eq!(read("hun\x03"), None);
        assert_eq!(line(io::repeat(b'a')).unwrap().len(), 8192);
        assert!(understood(b"\xff\n".to_vec()).is_err());
    }

    /// A terminal may hand out a line in pieces.
    #[test]
    fn a_line_may_come_in_pieces() {
        let pieces = "hun".as_bytes().chain("ter2\n".as_bytes()).chain("more\n".as_bytes());
        assert_eq!(line(pieces).unwrap(), b"hunter2\n");
    }

    #[test]
    fn what_is_no_terminal_is_not_asked() {
        let file = File::open("/dev/null").unwrap();
        assert!(ask_on(&file, "?").is_err());
    }
}
