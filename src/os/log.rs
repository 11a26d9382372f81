//! The log: an event becomes a line on standard error or a message to the system's log.
//!
//! Owns levels, forms and escaping. The drivers start it once; all others use tracing's macros.

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::clock;
use super::local::Clocks;
use super::walk::identity;
use crate::core::time::Timestamp;

/// How much is logged; each level includes those before it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Homing cannot go on.
    Error,
    /// A person may have to act.
    Warn,
    /// Something changed.
    #[default]
    Info,
    /// Nothing happened, and why.
    Debug,
    /// Every detail.
    Trace,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Format {
    /// For people: message and `key=value`.
    Text,
    /// For programs: one JSON object.
    Json,
    /// For systemd's journal: as text, without a time stamp, with a priority.
    Journal,
    /// For the system's log, instead of standard error: as text, with a priority.
    Syslog,
}

/// A word that is not in its list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownWord {
    /// What the word should have been.
    what: &'static str,
    /// The valid words.
    words: &'static [&'static str],
}

/// Writes all events up to `level` in `format`, or in the form that fits standard error. Only the first
/// call of a process has an effect.
pub fn start(format: Option<Format>, level: Level) {
    let shape = Shape::of_stderr(format);
    let output = Output::of(shape.format);
    let put = move |level, line: &str| output.put(level, line);
    let subscriber = Log { shape, level: level.filter(), put };
    // A second call would be a mistake of ours, and it must do no harm.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

impl Level {
    /// The words for the levels, the quietest first.
    pub const WORDS: &[&str] = &["error", "warn", "info", "debug", "trace"];

    const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The level `by` steps more talkative, or quieter when negative.
    #[must_use]
    pub fn shifted(self, by: i8) -> Self {
        let place = (self as usize).saturating_add_signed(isize::from(by));
        Self::ALL[place.min(Self::ALL.len() - 1)]
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl Format {
    /// The words for the forms.
    pub const WORDS: &[&str] = &["text", "json", "journal", "syslog"];

    const ALL: [Self; 4] = [Self::Text, Self::Json, Self::Journal, Self::Syslog];
}

impl FromStr for Level {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        named(text, "a log level", Self::WORDS, &Self::ALL)
    }
}

impl FromStr for Format {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        named(text, "a log format", Self::WORDS, &Self::ALL)
    }
}

/// The one of `values` whose word is `text`.
fn named<T: Copy>(
    text: &str,
    what: &'static str,
    words: &'static [&'static str],
    values: &[T],
) -> Result<T, UnknownWord> {
    let index = words.iter().position(|word| *word == text);
    index.map(|index| values[index]).ok_or(UnknownWord { what, words })
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is not {}; write one of: {}", self.what, self.words.join(", "))
    }
}

/// Text with everything escaped that could move a cursor, hide or reorder what is shown.
///
/// For text of a server, a file or an argument; control characters become `\n` or `\u{1b}`.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In pieces, not by the character: most texts are one piece.
        for piece in self.0.split_inclusive(is_treacherous) {
            let last = piece.chars().next_back().filter(|last| is_treacherous(*last));
            let harmless = piece.len() - last.map_or(0, char::len_utf8);
            f.write_str(&piece[..harmless])?;
            last.map_or(Ok(()), |last| write!(f, "{}", last.escape_default()))?;
        }
        Ok(())
    }
}

/// Whether `c` is a control character, a line separator, or invisible (some turn the direction).
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a terminal may be coloured, by the environment's `NO_COLOR` and `TERM`.
pub(super) fn colours_are_wanted(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && variable("TERM").is_none_or(|term| term != "dumb")
}

/// How each line looks.
#[derive(Clone, Copy, Debug)]
struct Shape {
    format: Format,
    /// Whether text begins with a time stamp.
    timed: bool,
    coloured: bool,
    now: fn() -> Timestamp,
    /// The clocks of all times but those for programs.
    clocks: Clocks,
}

impl Shape {
    /// The shape that fits standard error.
    fn of_stderr(format: Option<Format>) -> Self {
        let terminal = io::stderr().is_terminal();
        let kind = rustix::fs::fstat(io::stderr()).ok();
        let journal = || {
            let stream = std::env::var("JOURNAL_STREAM").ok()?;
            let stat = kind.as_ref()?;
            let (device, inode) = identity(stat);
            is_journal(&stream, device, inode).then_some(Format::Journal)
        };
        let file = kind.as_ref().is_some_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
        });
        Self {
            format: format.or_else(journal).unwrap_or(Format::Text),
            // The reader of a pipe (cron, a supervisor) adds the time itself.
            timed: terminal || file,
            coloured: terminal && colours_are_wanted(|name| std::env::var_os(name)),
            now: clock::wall,
            clocks: Clocks::here(),
        }
    }

    /// Writes one event as one line.
    fn line(&self, out: &mut dyn fmt::Write, event: &Event<'_>) -> fmt::Result {
        let (level, priority, colour, label) = written(*event.metadata().level());
        let (json, clocks) = (self.format == Format::Json, self.clocks);
        let (message, fields) = (String::new(), String::new());
        let mut parts = Parts { json, clocks, message, fields };
        event.record(&mut parts);
        let Parts { message, fields, .. } = parts;
        match self.format {
            Format::Json => {
                let time = clock::rfc3339((self.now)());
                write!(out, r#"{{"time":"{time}","level":"{level}","message":"#)?;
                quoted(out, &message, true)?;
                writeln!(out, "{fields}}}")
            }
            Format::Journal => {
                writeln!(out, "<{priority}>{}{fields}", Printable(&message))
            }
            Format::Syslog => writeln!(out, "{}{fields}", Printable(&message)),
            Format::Text => {
                let (dim, plain) = if self.coloured { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
                if self.timed {
                    write!(out, "{dim}{}{plain} ", self.clocks.rfc3339((self.now)()))?;
                }
                let colour = if self.coloured { colour } else { "" };
                if !label.is_empty() {
                    write!(out, "{colour}{label}{plain} ")?;
                }
                let (dim, plain) = if fields.is_empty() { ("", "") } else { (dim, plain) };
                writeln!(out, "{}{dim}{fields}{plain}", Printable(&message))
            }
        }
    }
}

/// Gives each event within `level` to `put`, as a line.
struct Log<F> {
    shape: Shape,
    level: LevelFilter,
    put: F,
}

impl<F: Fn(tracing::Level, &str) + 'static> Subscriber for Log<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // A library's events may show requests with their secrets; only ours are written.
        metadata.is_event()
            && *metadata.level() <= self.level
            && metadata.target().starts_with(env!("CARGO_PKG_NAME"))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = String::new();
        if self.shape.line(&mut line, event).is_ok() {
            (self.put)(*event.metadata().level(), &line);
        }
    }

    // No span is enabled.

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The output for lines.
#[derive(Debug)]
enum Output {
    Stderr,
    /// The system's log, which listens at the path.
    Syslog(UnixDatagram, PathBuf),
}

impl Output {
    fn of(format: Format) -> Self {
        if format != Format::Syslog {
            return Self::Stderr;
        }
        Self::syslog(Path::new("/dev/log")).unwrap_or(Self::Stderr)
    }

    /// The system's log at `path`, which may come later, or go and come back.
    fn syslog(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // A log that does not keep up must not hold up the daemon.
        socket.set_nonblocking(true)?;
        Ok(Self::Syslog(socket, path.to_owned()))
    }

    /// Writes `line`; a line that the system's log does not accept goes to standard error.
    fn put(&self, level: tracing::Level, line: &str) {
        /// The facility of daemons (RFC 3164, section 4.1.1).
        const DAEMON: u8 = 3 << 3;
        if let Self::Syslog(socket, path) = self {
            let name = env!("CARGO_PKG_NAME");
            let (_, priority, ..) = written(level);
            let (priority, pid) = (DAEMON | priority, std::process::id());
            // Without a time: the system's log adds it.
            let message = format!("<{priority}>{name}[{pid}]: {}", line.trim_ascii_end());
            if socket.send_to(message.as_bytes(), path).is_ok() {
                return;
            }
        }
        // A closed standard error must not end the daemon.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// Whether `stream`, the value of `JOURNAL_STREAM`, names this file (systemd.exec(5)): standard error
/// may have been sent elsewhere since the variable was set.
fn is_journal(stream: &str, device: u64, inode: u64) -> bool {
    stream.split_once(':').is_some_and(|(stream_device, stream_inode)| {
        stream_device.parse() == Ok(device) && stream_inode.parse() == Ok(inode)
    })
}

/// The word of `level`, its priority in syslog(3), which systemd reads at the beginning of a line
/// (sd-daemon(3)), and the colour and label of a line for people.
fn written(level: tracing::Level) -> (&'static str, u8, &'static str, &'static str) {
    match level {
        tracing::Level::ERROR => ("error", 3, "\x1b[1;31m", "error:"),
        tracing::Level::WARN => ("warn", 4, "\x1b[1;33m", "warning:"),
        tracing::Level::INFO => ("info", 6, "", ""),
        tracing::Level::DEBUG => ("debug", 7, "\x1b[2m", "debug:"),
        tracing::Level::TRACE => ("trace", 7, "\x1b[2m", "trace:"),
    }
}

/// The parts of an event: the message as it is, and the fields in the form of the line.
#[derive(Debug)]
struct Parts {
    json: bool,
    /// The clocks by which a moment is shown, except in JSON.
    clocks: Clocks,
    message: String,
    fields: String,
}

impl Parts {
    /// Adds a field whose value needs no quotes in JSON.
    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        if self.json {
            self.json_key(field);
            // Writing to a String cannot fail.
            let _ = write!(self.fields, "{value}");
        } else {
            let _ = write!(self.fields, " {}={value}", field.name());
        }
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else if self.json {
            self.json_key(field);
            let _ = quoted(&mut self.fields, value, true);
        } else {
            let _ = write!(self.fields, " {}=", field.name());
            let shown = self.clocks.shown(value);
            let _ = text_value(&mut self.fields, shown.as_deref().unwrap_or(value));
        }
    }

    fn json_key(&mut self, field: &Field) {
        // A field must not be taken for one of the line's own.
        let own = matches!(field.name(), "time" | "level" | "message");
        let _ = write!(self.fields, r#","{}{}":"#, field.name(), if own { "_" } else { "" });
    }
}

impl Visit for Parts {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no form for a number that is not finite.
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.text(field, &value.to_string());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }
}

/// Writes a value, in quotes unless it is plain: without quotes, a blank ends it.
fn text_value(out: &mut dyn fmt::Write, value: &str) -> fmt::Result {
    let needs_quotes = |c: char| c.is_whitespace() || c == '"' || c == '=' || is_treacherous(c);
    if !value.is_empty() && !value.contains(needs_quotes) {
        return out.write_str(value);
    }
    quoted(out, value, false)
}

/// Writes `value` in quotes so that it is harmless on a terminal, for `json` by RFC 8259, section 7.
fn quoted(out: &mut dyn fmt::Write, value: &str, json: bool) -> fmt::Result {
    out.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            c if !is_treacherous(c) => out.write_char(c)?,
            c if !json || matches!(c, '\n' | '\r' | '\t') => write!(out, "{}", c.escape_default())?,
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{debug, error, info, warn};

    use super::*;

    const TEXT: Shape = Shape {
        format: Format::Text,
        timed: false,
        coloured: false,
        now: fixed,
        clocks: Clocks::UTC,
    };

    fn fixed() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_123)
    }

    /// What a log of that shape makes of the events of `say`.
    fn logged(shape: Shape, level: Level, say: impl FnOnce()) -> String {
        let said = Arc::new(Mutex::new(String::new()));
        let all = Arc::clone(&said);
        let put = move |_, line: &str| all.lock().unwrap().push_str(line);
        let subscriber = Log { shape, level: level.filter(), put };
        tracing::subscriber::with_default(subscriber, say);
        said.lock().unwrap().clone()
    }

    #[track_caller]
    fn check(shape: Shape, say: impl FnOnce(), expect: &str) {
        assert_eq!(logged(shape, Level::Debug, say), expect);
    }

    #[test]
    fn text_is_a_message_and_its_fields() {
        let say = || info!(host = %"a.example", v4 = "192.0.2.1", count = 3, "updated");
        check(TEXT, say, "updated host=a.example v4=192.0.2.1 count=3\n");
    }

    #[test]
    fn only_values_with_blanks_are_quoted() {
        let say = || info!(a = "two words", b = "", c = "x=y", d = "say \"hi\"", e = true, "m");
        check(TEXT, say, "m a=\"two words\" b=\"\" c=\"x=y\" d=\"say \\\"hi\\\"\" e=true\n");
    }

    #[test]
    fn all_but_information_is_labelled() {
        let say = || {
            error!("a");
            warn!(fix = "do it", "b");
            debug!("c");
        };
        check(TEXT, say, "error: a\nwarning: b fix=\"do it\"\ndebug: c\n");
    }

    #[test]
    fn a_time_stamp_is_utc_to_the_second() {
        let timed = Shape { timed: true, ..TEXT };
        check(timed, || info!("updated"), "2027-01-15T08:00:00Z updated\n");
    }

    #[test]
    fn colours_are_taken_back_before_the_line_ends() {
        let coloured = Shape { coloured: true, ..TEXT };
        let line = logged(coloured, Level::Info, || warn!(host = "a", "m"));
        assert_eq!(line, "\x1b[1;33mwarning:\x1b[0m m\x1b[2m host=a\x1b[0m\n");
        assert_eq!(logged(coloured, Level::Info, || info!("m")), "m\n");
    }

    #[test]
    fn the_journal_gets_a_priority_and_no_time() {
        let journal = Shape {
            format: Format::Journal,
            timed: true,
            coloured: true,
            now: fixed,
            clocks: Clocks::UTC,
        };
        let say = || {
            warn!(host = "a", "update deferred");
            info!("updated");
        };
        check(journal, say, "<4>update deferred host=a\n<6>updated\n");
    }

    #[test]
    fn the_systems_log_gets_each_line_with_its_priority() {
        let directory = std::env::temp_dir().join(format!("homing-log-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join("log");
        let syslog = Shape {
            format: Format::Syslog,
            timed: true,
            coloured: true,
            now: fixed,
            clocks: Clocks::UTC,
        };
        let output = Output::syslog(&path).unwrap();
        let put = move |level, line: &str| output.put(level, line);
        let subscriber = Log { shape: syslog, level: LevelFilter::INFO, put };
        let said = tracing::subscriber::with_default(subscriber, || {
            // To standard error, for nobody listens; the daemon goes on.
            info!("too early");
            [(); 2].map(|()| {
                let listener = UnixDatagram::bind(&path).unwrap();
                warn!(host = "a", "update deferred");
                info!("updated");
                let messages = [(); 2].map(|()| {
                    let mut message = [0; 100];
                    let length = listener.recv(&mut message).unwrap();
                    String::from_utf8(message[..length].to_vec()).unwrap()
                });
                std::fs::remove_file(&path).unwrap();
                messages
            })
        });
        std::fs::remove_dir(&directory).unwrap();
        let pid = std::process::id();
        let expect = [
            format!("<28>homing[{pid}]: update deferred host=a"),
            format!("<30>homing[{pid}]: updated"),
        ];
        assert_eq!(said, [expect.clone(), expect]);
    }

    #[test]
    fn json_is_one_object_a_line_with_typed_values() {
        let json = Shape { format: Format::Json, ..TEXT };
        let say = || warn!(host = %"a.example", n = 3, x = 0.5, ok = false, bad = f64::NAN, "m");
        check(
            json,
            say,
            "{\"time\":\"2027-01-15T08:00:00.123Z\",\"level\":\"warn\",\"message\":\"m\",\
             \"host\":\"a.example\",\"n\":3,\"x\":0.5,\"ok\":false,\"bad\":\"NaN\"}\n",
        );
    }

    #[test]
    fn json_survives_a_parser_whatever_the_value_is() {
        let nasty = "quote \" back \\ line\nreturn\r tab\t bell\x07 esc\x1b[31m del\x7f c1\u{9b} \
                     bidi\u{202e} tag\u{e0041} ümlaut 🏠";
        let json = Shape { format: Format::Json, ..TEXT };
        let line = logged(json, Level::Info, || info!(nasty, level = "mine", "{nasty}"));
        assert!(!line.trim_end().contains(is_treacherous), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["nasty"], nasty);
        assert_eq!(value["message"], nasty);
        assert_eq!(
            (value["level"].as_str(), value["level_"].as_str()),
            (Some("info"), Some("mine"))
        );
    }

    #[test]
    fn control_characters_of_others_never_reach_the_terminal() {
        let say = || info!(answer = "\x1b[2Jgood\nfake line\u{9b}", "got {}", "a\rb\u{202e}");
        check(TEXT, say, "got a\\rb\\u{202e} answer=\"\\u{1b}[2Jgood\\nfake line\\u{9b}\"\n");
    }

    #[test]
    fn events_of_libraries_are_not_written() {
        let say = || info!(target: "hyper::client", "GET /?token=hunter2");
        check(TEXT, say, "");
    }

    #[test]
    fn what_lies_beyond_the_level_is_not_written() {
        assert_eq!(logged(TEXT, Level::Warn, || info!("updated")), "");
    }

    #[test]
    fn the_journal_is_known_by_its_device_and_inode() {
        assert!(is_journal("9:1234", 9, 1234));
        assert!(!is_journal("9:1234", 9, 1235) && !is_journal("9:1234", 8, 1234));
        assert!(!is_journal("", 0, 0) && !is_journal("1", 1, 1));
    }

    #[test]
    fn levels_shift_and_stop_at_the_ends() {
        assert_eq!(Level::Info.shifted(1), Level::Debug);
        assert_eq!(Level::Info.shifted(-1), Level::Warn);
        assert_eq!(Level::Info.shifted(i8::MAX), Level::Trace);
        assert_eq!(Level::Info.shifted(i8::MIN), Level::Error);
    }

    #[test]
    fn every_word_is_read_and_no_other() {
        assert!(Level::WORDS.iter().all(|word| word.parse::<Level>().is_ok()));
        assert!(Format::WORDS.iter().all(|word| word.parse::<Format>().is_ok()));
        assert_eq!("warn".parse(), Ok(Level::Warn));
        let error = "loud".parse::<Level>().unwrap_err().to_string();
        assert_eq!(error, "is not a log level; write one of: error, warn, info, debug, trace");
        assert!("TEXT".parse::<Format>().is_err());
    }
}
