//! Progress of a command on many tokens: one line on standard error that is overwritten.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::os::clock;
use crate::os::log::Printable;
use crate::os::say::err;
use crate::os::terminal::{breadth, breadth_of, error_width};
use crate::provider::desec::Watch;

/// The line of progress; it is removed when this is dropped.
#[derive(Debug)]
pub struct Progress {
    total: Cell<usize>,
    /// Whether the line is drawn: messages are wanted, and standard error is a terminal.
    draws: bool,
    /// Whether messages are wanted.
    speaks: bool,
    /// The time of the last message off a terminal.
    told: Cell<Duration>,
    done: Cell<usize>,
    is_drawn: Cell<bool>,
}

impl Progress {
    /// Nothing of `total` is done; draws only on a terminal, and only if `speaks`.
    pub fn new(total: usize, speaks: bool) -> Self {
        let draws = speaks && io::stderr().is_terminal();
        let (total, told) = (Cell::new(total), Cell::new(clock::uptime()));
        Self { total, draws, speaks, told, done: Cell::new(0), is_drawn: Cell::new(false) }
    }

    /// Sets another total.
    pub fn expect(&self, total: usize) {
        self.total.set(total);
    }

    /// Shows that `done` are done and `what` is next.
    pub fn at(&self, done: usize, what: &str) {
        self.done.set(done);
        self.tell(done, what);
        if self.total.get() > 1 {
            self.draw(|width| bar(done, self.total.get(), what, width));
        } else {
            self.clear();
        }
    }

    /// Removes the line, so that other text can be printed; the next step draws it again.
    pub fn clear(&self) {
        if self.is_drawn.take() {
            write("\r\x1b[K");
        }
    }

    /// Off a terminal, prints the progress of long work from time to time.
    fn tell(&self, done: usize, what: &str) {
        const SELDOM: Duration = Duration::from_secs(30);
        let now = clock::uptime();
        if self.draws || !self.speaks || now.saturating_sub(self.told.get()) < SELDOM {
            return;
        }
        self.told.set(now);
        err(&format!("{done} of {} done; now {what}", self.total.get()));
    }

    fn draw(&self, line: impl FnOnce(usize) -> String) {
        if self.draws {
            // A terminal whose last column is filled begins a new line.
            let line = line(error_width().saturating_sub(1));
            write(&["\r", &line, "\x1b[K"].concat());
            self.is_drawn.set(true);
        }
    }
}

impl Watch for Progress {
    fn waits(&self, wait: Duration) {
        /// A shorter wait is not worth a line in a log.
        const LONG: Duration = Duration::from_secs(10);
        if self.draws {
            self.draw(|width| pause(self.done.get(), self.total.get(), wait, width));
        } else if wait > LONG && self.speaks {
            self.told.set(clock::uptime());
            err(&pause(self.done.get(), self.total.get(), wait, usize::MAX));
        } else if wait > LONG {
            tracing::info!(seconds = wait.as_secs(), "waiting because of the account's limits");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `[####........] 67 of 200  dev67.example.com`, in at most `width` columns.
fn bar(done: usize, total: usize, what: &str, width: usize) -> String {
    const CELLS: usize = 12;
    let full = (done.min(total) * CELLS).checked_div(total).unwrap_or_default();
    let cells: String = (0..CELLS).map(|cell| if cell < full { '#' } else { '.' }).collect();
    cut(&format!("[{cells}] {done} of {total}  {}", Printable(what)), width)
}

/// The line during a wait; the reason only if it fits.
fn pause(done: usize, total: usize, wait: Duration, width: usize) -> String {
    const REASON: &str = ": deSEC limits requests per account";
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let (number, unit) =
        if seconds <= 120 { (seconds, "s") } else { (seconds.div_ceil(60), "min") };
    let far = if total > 1 { format!("{done} of {total} ") } else { String::new() };
    let mut line = format!("{far}… waiting {number} {unit}");
    if breadth(&line) + REASON.len() <= width {
        line.push_str(REASON);
    }
    cut(&line, width)
}

/// As much of `line` as fits, with a mark where it is cut.
fn cut(line: &str, width: usize) -> String {
    if breadth(line) <= width {
        return line.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let room = left.checked_sub(breadth_of(*c));
        left = room.unwrap_or_default();
        room.is_some()
    };
    let mut short: String = line.chars().take_while(fits).collect();
    short.push('…');
    short
}

/// An error is ignored: the command goes on without its terminal.
fn write(text: &str) {
    let mut terminal = io::stderr();
    let _ = terminal.write_all(text.as_bytes());
    let _ = terminal.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_tells_how_far_it_is() {
        let line = bar(84, 200, "dev84.example.com", 79);
        assert_eq!(line, "[#####.......] 84 of 200  dev84.example.com");
        assert_eq!(bar(0, 3, "a.example", 79), "[............] 0 of 3  a.example");
        assert_eq!(bar(3, 3, "", 79), "[############] 3 of 3  ");
        assert_eq!(bar(5, 3, "", 15), "[############]…");
        assert_eq!(bar(0, 0, "\x1b[2J", 79), r"[............] 0 of 0  \u{1b}[2J");
    }

    #[test]
    fn the_line_never_fills_more_than_its_width() {
        let what = "a-very-long-name.of-a-host.example.com";
        for width in 0..90 {
            assert!(breadth(&bar(34, 200, what, width)) <= width.max(1), "{width}");
            let wait = Duration::from_secs(41);
            assert!(breadth(&pause(34, 200, wait, width)) <= width.max(1), "{width}");
        }
        assert_eq!(bar(34, 200, what, 40), "[##..........] 34 of 200  a-very-long-n…");
    }

    #[test]
    fn a_wait_is_told_with_its_reason_where_there_is_room() {
        let wait = Duration::from_millis(40_500);
        let line = "34 of 200 … waiting 41 s: deSEC limits requests per account";
        assert_eq!(pause(34, 200, wait, 79), line);
        assert_eq!(pause(34, 200, wait, 50), "34 of 200 … waiting 41 s");
        assert_eq!(pause(0, 1, Duration::from_secs(3000), 40), "… waiting 50 min");
    }

    #[test]
    fn nothing_is_drawn_for_nobody() {
        let progress = Progress::new(3, false);
        progress.at(1, "a.example");
        progress.waits(Duration::from_secs(3));
        assert!(!progress.is_drawn.get() && progress.done.get() == 1);
    }
}
