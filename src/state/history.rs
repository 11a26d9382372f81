//! The history file: the last changes, one a line, the newest last.
//!
//! Grows at its end, so that a change costs one small write; cut by a file that takes its place, so
//! that a loss of power costs no older change. A line that cannot be read is skipped.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::form::AddressesOrNone;
use super::{StateError, write};
use crate::core::address::{Addresses, Family};
use crate::core::history::Change;
use crate::core::memory::Key;
use crate::core::name::Hostname;
use crate::core::plan::Why;
use crate::core::time::Timestamp;
use crate::os::disk;
use crate::os::hand::of_state;

/// The name of the history file.
const FILE: &str = "history.jsonl";

/// The name of the file that becomes the history file.
const NEW: &str = "history.jsonl.new";

/// The most changes that are kept.
pub const MOST: usize = 1000;

/// How many changes more may stand there until the file is cut: a cut writes it anew.
const SLACK: usize = 200;

/// How much is read or written at once, in bytes.
const PIECE: usize = 8 << 10;

/// The largest file that is read, in bytes: twice the room of as many changes of eight addresses.
const LARGEST: u64 = 4 << 20;

/// A [`Change`] in a line.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StoredChange<'a> {
    at: Timestamp,
    host: Cow<'a, Hostname>,
    provider: Cow<'a, str>,
    family: Family,
    #[serde(with = "AddressesOrNone")]
    old: Option<Addresses>,
    #[serde(with = "AddressesOrNone")]
    new: Option<Addresses>,
    why: Why,
}

impl<'a> From<&'a Change> for StoredChange<'a> {
    fn from(change: &'a Change) -> Self {
        let Change { at, ref key, family, ref old, ref new, why } = *change;
        let (host, provider) = (Cow::Borrowed(&key.host), Cow::from(&*key.provider));
        Self { at, host, provider, family, old: old.clone(), new: new.clone(), why }
    }
}

impl From<StoredChange<'_>> for Change {
    fn from(stored: StoredChange<'_>) -> Self {
        let StoredChange { at, host, provider, family, old, new, why } = stored;
        let key = Key { host: host.into_owned(), provider: (&*provider).into() };
        Self { at, key, family, old, new, why }
    }
}

/// `change` as one JSON object, as it stands in the file.
pub fn line(change: &Change) -> String {
    // Values that always have a form.
    serde_json::to_string(&StoredChange::from(change)).unwrap_or_default()
}

/// Adds `changes` to the history in `dir`. When this returns without an error, they survive a loss of
/// power. Only the holder of the lock may call it.
pub(super) fn append(dir: &Path, changes: &[Change]) -> Result<(), StateError> {
    let _hand = of_state();
    let path = dir.join(FILE);
    let newest = &changes[changes.len().saturating_sub(MOST)..];
    let added = disk::open_or_create(&path)
        .and_then(|file| file.ok_or_else(|| io::Error::other("it is not a file")))
        .and_then(|file| add(&file, newest));
    let count = added.map_err(|error| StateError::system("write", path, error))?;
    if count > MOST + SLACK { cut(dir, count - MOST) } else { Ok(()) }
}

/// Adds `changes` to `file`, each in a line, and syncs it; returns how many lines are there then.
fn add(file: &File, changes: &[Change]) -> io::Result<usize> {
    let (mut count, mut is_torn) = (0, false);
    let mut before = BufReader::with_capacity(PIECE, file);
    loop {
        let piece = before.fill_buf()?;
        let Some(last) = piece.last() else { break };
        is_torn = *last != b'\n';
        count += piece.split(|byte| *byte == b'\n').count() - 1;
        let length = piece.len();
        before.consume(length);
    }
    let mut lines = BufWriter::with_capacity(PIECE, file);
    if is_torn {
        // A loss of power may have left a part of a line.
        lines.write_all(b"\n")?;
    }
    for change in changes {
        writeln!(lines, "{}", line(change))?;
    }
    lines.flush()?;
    file.sync_all()?;
    Ok(count + changes.len() + usize::from(is_torn))
}

/// Removes the first `surplus` lines.
fn cut(dir: &Path, surplus: usize) -> Result<(), StateError> {
    let (new, path) = (dir.join(NEW), dir.join(FILE));
    let mut rest = match rest(&path, surplus) {
        Ok(rest) => rest,
        Err(error) => return Err(StateError::system("read", path, error)),
    };
    if let Err(error) = write(&new, |file| io::copy(&mut rest, file).map(drop)) {
        // A half-written file would take up space that is scarce.
        let _ = disk::remove(&new);
        return Err(StateError::system("write", new, error));
    }
    disk::replace(&new, &path).map_err(|error| StateError::system("replace", path, error))
}

/// The history file, to be read from behind its first `surplus` lines.
fn rest(path: &Path, surplus: usize) -> io::Result<BufReader<File>> {
    let mut rest = BufReader::with_capacity(PIECE, opened(path)?);
    for _ in 0..surplus {
        rest.skip_until(b'\n')?;
    }
    Ok(rest)
}

/// The history file, to be read.
fn opened(path: &Path) -> io::Result<File> {
    let opened = disk::open_regular(path)?.ok_or_else(|| io::Error::other("it is not a file"))?;
    Ok(opened.0)
}

/// What the history file holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recorded {
    /// The changes, the newest last.
    pub changes: Vec<Change>,
    /// How many lines cannot be read.
    pub damaged: usize,
}

/// Reads the history in `dir`, which needs no lock; empty when there is none.
pub fn read(dir: &Path) -> Result<Recorded, StateError> {
    let _hand = of_state();
    let path = dir.join(FILE);
    let opened = match opened(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recorded::default()),
        opened => opened,
    };
    let mut bytes = Vec::new();
    let whole = opened.and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
    whole.map_err(|error| StateError::system("read", path, error))?;
    let mut recorded = Recorded::default();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<StoredChange<'_>>(line) {
            Ok(stored) => recorded.changes.push(stored.into()),
            Err(_) => recorded.damaged += 1,
        }
    }
    let surplus = recorded.changes.len().saturating_sub(MOST);
    recorded.changes.drain(..surplus);
    Ok(recorded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::IpAddr;
    use std::path::PathBuf;

    /// A directory of its own, which is removed when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("homing-history-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn text(&self) -> String {
            fs::read_to_string(self.0.join(FILE)).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn change(number: u64) -> Change {
        let address = |text: &str| Some(Addresses::from(text.parse::<IpAddr>().unwrap()));
        Change {
            at: Timestamp::from_secs(1_800_000_000 + number),
            key: Key { host: "a.example".parse().unwrap(), provider: "desec".into() },
            family: Family::V4,
            old: None,
            new: address("198.51.100.7"),
            why: Why::First,
        }
    }

    #[test]
    fn a_change_is_a_line_that_a_person_can_read() {
        let scratch = Scratch::new("line");
        append(&scratch.0, &[change(0)]).unwrap();
        let removed = Change { old: change(0).new, new: None, why: Why::Gone, ..change(1) };
        append(&scratch.0, std::slice::from_ref(&removed)).unwrap();
        let expect = concat!(
            r#"{"at":"2027-01-15T08:00:00.000Z","host":"a.example","provider":"desec","family":"ipv4","#,
            r#""old":[],"new":["198.51.100.7"],"why":"first"}"#,
            "\n",
            r#"{"at":"2027-01-15T08:00:01.000Z","host":"a.example","provider":"desec","family":"ipv4","#,
            r#""old":["198.51.100.7"],"new":[],"why":"gone"}"#,
            "\n",
        );
        assert_eq!(scratch.text(), expect);
        let recorded = read(&scratch.0).unwrap();
        assert_eq!(recorded, Recorded { changes: vec![change(0), removed], damaged: 0 });
    }

    #[test]
    fn what_was_never_written_is_empty() {
        let scratch = Scratch::new("empty");
        assert_eq!(read(&scratch.0).unwrap(), Recorded::default());
    }

    #[test]
    fn the_last_thousand_are_kept_and_a_cut_comes_seldom() {
        let scratch = Scratch::new("cut");
        let all: Vec<_> = (0..1200).map(change).collect();
        append(&scratch.0, &all[..1000]).unwrap();
        append(&scratch.0, &all[1000..]).unwrap();
        assert_eq!(scratch.text().lines().count(), 1200, "no cut yet");
        assert_eq!(read(&scratch.0).unwrap().changes, all[200..]);
        append(&scratch.0, &[change(5000)]).unwrap();
        assert_eq!(scratch.text().lines().count(), 1000);
        assert_eq!(read(&scratch.0).unwrap().changes.last(), Some(&change(5000)));
        assert!(!scratch.0.join(NEW).exists());
    }

    #[test]
    fn ten_thousand_at_once_leave_the_last_thousand() {
        let scratch = Scratch::new("many");
        let all: Vec<_> = (0..10_000).map(change).collect();
        append(&scratch.0, &all).unwrap();
        assert_eq!(read(&scratch.0).unwrap().changes, all[9000..]);
    }

    #[test]
    fn a_line_that_is_torn_or_damaged_costs_no_other() {
        let scratch = Scratch::new("torn");
        append(&scratch.0, &[change(0), change(1)]).unwrap();
        let text = scratch.text();
        // The end is missing, and before it stands what is no text at all.
        let torn = [b"\xff\xfe\n", &text.as_bytes()[..text.len() - 20]].concat();
        fs::write(scratch.0.join(FILE), torn).unwrap();
        append(&scratch.0, &[change(2)]).unwrap();
        let recorded = read(&scratch.0).unwrap();
        assert_eq!(recorded, Recorded { changes: vec![change(0), change(2)], damaged: 2 });
    }

    #[test]
    fn what_is_no_file_is_an_error_with_a_fix() {
        let scratch = Scratch::new("directory");
        fs::create_dir(scratch.0.join(FILE)).unwrap();
        for error in [append(&scratch.0, &[change(0)]).err(), read(&scratch.0).err()] {
            let text = error.unwrap().to_string();
            assert!(text.contains(FILE) && text.contains("; "), "{text}");
        }
    }
}
