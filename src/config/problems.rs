//! Problems of a configuration: collected all at once, reported in the order of the file.
//!
//! The user's text is quoted where it helps, but never where it may hold a secret.

use std::fmt;
use std::path::Path;

use crate::core::order;
use crate::os::log::Printable;

/// The problems of a configuration, at least one, in the order of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems(Vec<String>);

/// The problems found so far, with the data to compute their places.
pub(super) struct Notes {
    /// The path of the configuration file, as it is shown.
    file: String,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    /// Where the part of the file begins that is being read, in bytes; places are in that part.
    pub(super) begin: usize,
    /// The problems, each with its place in the text, and whether it is one of syntax.
    found: Vec<Note>,
    /// Settings that are allowed but probably not meant.
    pub(super) warnings: Vec<String>,
}

struct Note {
    at: usize,
    is_syntax: bool,
    what: String,
}

/// The most problems that are reported: a file with more is no configuration.
const MOST: usize = 100;

/// The verbs with which what is said about a setting may begin.
const VERBS: [&str; 15] = [
    "begins", "can", "cannot", "contains", "does", "has", "holds", "is", "looks", "must", "needs",
    "never", "uses", "works", "would",
];

impl Problems {
    /// A single problem without a line, such as a file that cannot be read.
    pub(super) fn of_file(path: &Path, what: impl fmt::Display) -> Self {
        Self(vec![format!("{} {what}", shown_path(path))])
    }

    /// A single problem, whose text includes its place.
    pub(super) fn single(what: String) -> Self {
        Self(vec![what])
    }

    /// The problems, one sentence each.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Prints one problem per line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

impl std::error::Error for Problems {}

impl Notes {
    /// No problems yet in `text`, from the file at `path`.
    pub(super) fn new(path: &Path, text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        let (file, found, warnings) = (shown_path(path), Vec::new(), Vec::new());
        Self { file, lines, begin: 0, found, warnings }
    }

    /// `FILE:LINE` of the byte `at`.
    pub(super) fn place(&self, at: usize) -> String {
        format!("{}:{}", self.file, self.line(at))
    }

    /// The line of the byte `at`, counted from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.line_of(self.begin + at)
    }

    /// The line of the byte `at` of the whole file.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at)
    }

    /// Notes a problem with the value at `at`, named `setting`.
    pub(super) fn add(&mut self, at: usize, setting: &dyn fmt::Display, what: impl fmt::Display) {
        let what = self.sentence(at, setting, &what.to_string());
        self.found.push(Note { at: self.begin + at, is_syntax: false, what });
    }

    /// Notes that the text at `at` is not TOML.
    pub(super) fn add_syntax(&mut self, at: usize, what: impl fmt::Display) {
        let what = format!("{}: {what}", self.place(at));
        self.found.push(Note { at: self.begin + at, is_syntax: true, what });
    }

    /// Returns the value of `result`, or notes its error at `at` under `setting`; reading goes on.
    pub(super) fn keep<T, E: fmt::Display>(
        &mut self,
        at: usize,
        setting: &dyn fmt::Display,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(at, setting, error)).ok()
    }

    /// Notes a setting that is allowed but probably not meant.
    pub(super) fn warn(&mut self, at: usize, setting: &dyn fmt::Display, what: impl fmt::Display) {
        self.warnings.push(self.sentence(at, setting, &what.to_string()));
    }

    /// The place, the setting and what is said about it: as one sentence with the setting as subject
    /// where `what` begins with a verb, else with a colon before it.
    fn sentence(&self, at: usize, setting: &dyn fmt::Display, what: &str) -> String {
        let setting = setting.to_string();
        let first = what.split([' ', ';', ':']).next().unwrap_or_default();
        let between = match &*setting {
            "" => "",
            _ if VERBS.contains(&first) => " ",
            _ => ": ",
        };
        format!("{}: {}{between}{what}", self.place(at), Printable(&setting))
    }

    /// All problems in the order of the file; `None` without any.
    ///
    /// A line that is not TOML is reported once; its other problems would be guesses.
    pub(super) fn take_problems(&mut self) -> Option<Problems> {
        order::sort_by_key(&mut self.found, |note| note.at);
        let broken: Vec<usize> = self
            .found
            .iter()
            .filter(|note| note.is_syntax)
            .map(|note| self.line_of(note.at))
            .collect();
        let mut told = 0;
        let mut problems = Vec::new();
        for note in &self.found {
            let line = self.line_of(note.at);
            if broken.binary_search(&line).is_ok() {
                if !note.is_syntax || told == line {
                    continue;
                }
                told = line;
            }
            problems.push(note.what.clone());
        }
        if problems.len() > MOST {
            let rest = problems.split_off(MOST).len();
            problems.push(format!("{}: and {rest} more problems", self.file));
        }
        (!problems.is_empty()).then_some(Problems(problems))
    }
}

/// A path that is safe to print.
pub fn shown_path(path: &Path) -> String {
    Printable(&path.display().to_string()).to_string()
}

/// A user's text in quotes, cut when it is long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let (short, cut) = match text.char_indices().nth(LONGEST) {
        Some((end, _)) => (&text[..end], "…"),
        None => (text, ""),
    };
    format!("\"{}{cut}\"", Printable(short))
}
