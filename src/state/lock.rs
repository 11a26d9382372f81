//! The lock of the state directory, and its holder.
//!
//! The lock is the kernel's (flock on `homing.lock`), so a killed process leaves none behind. The
//! daemon writes a line into the file, for `status` and for runs that are refused; a line is
//! valid only while its process lives. `--once` writes none, since every run would wear the
//! flash: a holder that is not the daemon is a `--once`, and the kernel knows its process.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::DAEMON;
use crate::core::order;
use crate::core::time::Timestamp;
use crate::os::clock;
use crate::os::disk;
use crate::os::hand::of_state;
use crate::os::walk::identity;

const FILE: &str = "homing.lock";

/// The most bytes that are read of a file here; none of them is larger.
const MOST: u64 = 4096;

/// The most bytes of a daemon's line.
const LONGEST_LINE: usize = 80;

/// The file with the holder that a run of `--once` has reported last.
const TOLD: &str = "homing.told";

/// The file with the problem of the configuration that a run of `--once` has reported last.
const WRONG: &str = "homing.wrong";

/// A process that has the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holder {
    /// The daemon.
    Daemon {
        /// The number of its process.
        pid: u32,
        /// When it began.
        since: Timestamp,
    },
    /// A run of `--once`.
    Once {
        /// The number of its process, where the system shows it.
        pid: Option<u32>,
    },
}

/// Why the lock could not be taken.
#[derive(Debug)]
pub enum LockRefusal {
    /// Another process has it.
    Held(Holder),
    /// The system refused something about this path.
    System(PathBuf, io::Error),
}

/// Takes the lock in `dir` without waiting; it is held until the file is closed.
pub fn take(dir: &Path, who: &str) -> Result<File, LockRefusal> {
    let path = dir.join(FILE);
    let system = |error| LockRefusal::System(path.clone(), error);
    let opened = disk::open_or_create(&path).map_err(system)?;
    let mut file = opened.ok_or_else(|| system(no_lock()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(LockRefusal::Held(holder(&path))),
        Err(TryLockError::Error(error)) => return Err(system(error)),
    }
    if who == DAEMON {
        if !is_lock(&mut file).map_err(system)? {
            return Err(system(no_lock()));
        }
        let line = HolderLine::mine().to_string();
        let written = file.set_len(0).and_then(|()| file.rewind());
        written.and_then(|()| file.write_all(line.as_bytes())).map_err(system)?;
    }
    Ok(file)
}

/// Whether `file`, which was not read from yet, holds only the content of a lock, or what a power cut
/// has left of one: a part of the line is missing, or zeros.
fn is_lock(file: &mut File) -> io::Result<bool> {
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    bytes.retain(|byte| *byte != 0);
    // `zip` ends with the shorter one: the word may be cut, too.
    let is_ours = bytes.iter().zip(DAEMON.bytes().chain([b' '])).all(|(byte, ours)| *byte == ours);
    Ok(is_ours && bytes.len() <= LONGEST_LINE)
}

/// The daemon that runs on the state in `dir`, if there is one; takes no lock and does not wait.
pub fn running_daemon(dir: &Path) -> Option<Holder> {
    let _hand = of_state();
    let path = dir.join(FILE);
    let line = HolderLine::parse(&disk::read_text(&path, MOST).ok()??)?;
    let pid = if line.is_alive() { line.pid } else { number_outside(&line, &path)? };
    Some(Holder::Daemon { pid, since: line.since })
}

/// The process number that we see for the daemon of `line`, if it runs in a jail or container and sees
/// another number itself: the process that locks the file at `path` and began when the daemon did.
fn number_outside(line: &HolderLine, path: &Path) -> Option<u32> {
    let then = line.tick?;
    lockers(path).into_iter().find(|pid| tick(*pid) == Some(then))
}

/// Whether it is new that `holder` has the lock in `dir`; notes it as reported.
///
/// A holder that cannot be recognised later is always new, and so is one that cannot be noted.
pub fn is_news(dir: &Path, holder: &Holder) -> bool {
    matches!(holder, Holder::Once { pid: None }) || !is_said(dir, TOLD, &holder.to_string())
}

/// What was said last, according to the file `name` in `dir`.
pub fn said(dir: &Path, name: &str) -> Option<String> {
    let _hand = of_state();
    disk::read_text(&dir.join(name), MOST).ok().flatten()
}

/// Whether `text` was said before, according to the file `name` in `dir`; notes it as said.
pub fn is_said(dir: &Path, name: &str, text: &str) -> bool {
    let _hand = of_state();
    let (path, text) = (dir.join(name), format!("{text}\n"));
    let is_said = disk::read_text(&path, MOST).is_ok_and(|told| told.as_ref() == Some(&text));
    if !is_said {
        let _ = super::write(&path, |file| file.write_all(text.as_bytes()));
    }
    is_said
}

/// Whether the problem `what` of the configuration whose state is in `dir` is new; notes it as
/// reported. A problem that cannot be noted is always new.
pub fn is_new_wrong(dir: &Path, what: &str) -> bool {
    let most = usize::try_from(MOST).unwrap_or(usize::MAX);
    let noted: String = what.trim_end().chars().take(most / 5).collect();
    !dir.is_dir() || !is_said(dir, WRONG, &noted)
}

/// Forgets the problem: when it comes back, it is new.
pub fn right_again(dir: &Path) {
    forget_said(dir, WRONG);
}

/// Forgets what was said according to the file `name` in `dir`.
pub fn forget_said(dir: &Path, name: &str) {
    let _hand = of_state();
    let path = dir.join(name);
    // Usually there is no such file.
    if fs::symlink_metadata(&path).is_ok() {
        let _ = disk::remove(&path);
    }
}

/// The obstacle that keeps a run from locking `dir`: something other than a lock in its place.
pub(super) fn obstacle(dir: &Path) -> Option<LockRefusal> {
    let path = dir.join(FILE);
    match disk::open_regular(&path) {
        Ok(None) => Some(LockRefusal::System(path, no_lock())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Some(LockRefusal::System(path, error))
        }
        Ok(Some(_)) | Err(_) => None,
    }
}

fn no_lock() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not a lock of Homing")
}

/// The process that has the lock of the file at `path`; some process must have it.
fn holder(path: &Path) -> Holder {
    let daemon = path.parent().and_then(running_daemon);
    daemon.unwrap_or_else(|| Holder::Once { pid: lockers(path).first().copied() })
}

/// The processes that have locked a file like that at `path` according to the kernel
/// (`proc_locks(5)`), likely ones first.
fn lockers(path: &Path) -> Vec<u32> {
    let Ok(file) = rustix::fs::stat(path) else { return Vec::new() };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let (major, minor) = (rustix::fs::major(file.st_dev), rustix::fs::minor(file.st_dev));
    let (_, inode) = identity(&file);
    lockers_in(&locks, &format!("{major:02x}:{minor:02x}"), inode)
}

/// The processes that have locked a file with the number `inode` in the text of `/proc/locks`: first
/// those on `device`, then those on others, since btrfs and overlayfs show another device than stat.
fn lockers_in(locks: &str, device: &str, inode: u64) -> Vec<u32> {
    // `1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`
    let locker = |line: &str| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, file, ..] = words[..] else { return None };
        let (on, number) = file.rsplit_once(':')?;
        let is_meant = number.parse() == Ok(inode);
        // The kernel shows the number 0 for a process that is hidden from us.
        let pid = pid.parse().ok().filter(|pid| *pid != 0 && is_meant)?;
        Some((on != device, pid))
    };
    let mut found: Vec<(bool, u32)> = locks.lines().filter_map(locker).collect();
    order::sort_by_key(&mut found, |(is_elsewhere, _)| *is_elsewhere);
    found.into_iter().map(|(_, pid)| pid).collect()
}

/// The daemon's line: `daemon 1234 since 2026-11-22T04:30:00Z tick 5678`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct HolderLine {
    pid: u32,
    since: Timestamp,
    /// When the process started, in the kernel's ticks since boot: process numbers are used
    /// again, but not together with the same tick.
    tick: Option<u64>,
}

impl HolderLine {
    /// The line of this process.
    fn mine() -> Self {
        let pid = std::process::id();
        Self { pid, since: clock::wall(), tick: tick(pid) }
    }

    fn parse(text: &str) -> Option<Self> {
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        let [DAEMON, pid, "since", since, "tick", tick] = words[..] else { return None };
        let since = clock::parse_rfc3339(since)?;
        Some(Self { pid: pid.parse().ok()?, since, tick: tick.parse().ok() })
    }

    fn is_alive(&self) -> bool {
        match (self.tick, tick(self.pid)) {
            (Some(then), Some(now)) => then == now,
            // Without /proc, or with others' processes hidden in it, only the number can be checked.
            (_, None) => exists(self.pid),
            (None, Some(_)) => false,
        }
    }
}

impl fmt::Display for HolderLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = clock::rfc3339_seconds(self.since);
        write!(f, "{DAEMON} {} since {since} tick ", self.pid)?;
        match self.tick {
            Some(tick) => writeln!(f, "{tick}"),
            None => f.write_str("unknown\n"),
        }
    }
}

/// When the process started, in ticks since boot; `None` when it does not exist or is hidden.
fn tick(pid: u32) -> Option<u64> {
    // The second field is the program's name, which may hold anything (`proc_pid_stat(5)`).
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    // A zombie has ended; only its parent has not noticed yet.
    let _alive = fields.next().filter(|state| !matches!(*state, "Z" | "X"))?;
    fields.nth(18)?.parse().ok()
}

/// Whether a process of that number exists and cannot be looked at.
fn exists(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};

    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    match pid.map(test_kill_process) {
        // Where there is /proc, a process that may be signalled is also visible in it.
        Some(Ok(())) => !Path::new("/proc/self/stat").exists(),
        Some(Err(error)) => error == rustix::io::Errno::PERM,
        None => false,
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon { pid, since } => {
                let since = clock::rfc3339_seconds(*since);
                write!(f, "the daemon (process {pid}, since {since})")
            }
            Self::Once { pid: Some(pid) } => write!(f, "a run of `homing --once` (process {pid})"),
            Self::Once { pid: None } => f.write_str("a run of `homing --once`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let line = HolderLine { pid: 7, since: Timestamp::from_secs(1_800_000_000), tick: Some(9) };
        assert_eq!(line.to_string(), "daemon 7 since 2027-01-15T08:00:00Z tick 9\n");
        assert_eq!(HolderLine::parse(&line.to_string()), Some(line));
        let line = HolderLine { tick: None, ..line };
        assert_eq!(HolderLine::parse(&line.to_string()), Some(line));
        let longest = HolderLine { pid: u32::MAX, tick: Some(u64::MAX), ..line };
        assert!(longest.to_string().len() <= LONGEST_LINE);
        for wrong in ["", "daemon", "once 7 since 2027-01-15T08:00:00Z tick 9", "\u{0}\u{0}"] {
            assert_eq!(HolderLine::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_a_power_cut_leaves_of_a_line_is_a_lock_and_nobody_elses_file_is() {
        let path = std::env::temp_dir().join(format!("homing-cut-lock-{}", std::process::id()));
        let is = |text: &str| {
            fs::write(&path, text).unwrap();
            is_lock(&mut File::open(&path).unwrap()).unwrap()
        };
        let line = HolderLine { pid: 7, since: Timestamp::from_secs(1_800_000_000), tick: Some(9) };
        let line = line.to_string();
        for end in 0..=line.len() {
            assert!(is(&line[..end]) && is(&format!("{}\0\0", &line[..end])), "{end}");
        }
        assert!(is(&format!("{line}tick 9\n")), "the end of a longer one");
        assert!(is(&"\0".repeat(5000)));
        let long = format!("daemon {}", "x".repeat(LONGEST_LINE));
        for other in ["of root\n", "daemons\n", "\0of root\n", " daemon 7", &long] {
            assert!(!is(other), "{other:?}");
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn whoever_may_have_the_lock_is_found_and_first_who_has_it_on_the_same_device() {
        let locks = "1: POSIX  ADVISORY  WRITE 1 fe:01:5678 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 2 fe:02:5678 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 3 fe:01:5679 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 4 fe:01:5678 0 EOF\n\
                     4: -> FLOCK  ADVISORY  WRITE 5 fe:01:5678 0 EOF\n\
                     5: FLOCK  ADVISORY  WRITE 0 fe:01:5678 0 EOF\n";
        assert_eq!(lockers_in(locks, "fe:01", 5678), [4, 2]);
        assert_eq!(lockers_in(locks, "00:2a", 5678), [2, 4]);
        assert!(lockers_in(locks, "fe:01", 7).is_empty());
    }

    #[test]
    fn a_daemon_of_another_number_is_found_behind_others_with_the_same_inode() {
        let dir = std::env::temp_dir().join(format!("homing-outside-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let file = take(&dir, DAEMON).unwrap();
        let path = dir.join(FILE);
        let found = lockers(&path);
        assert!(found.contains(&std::process::id()), "{found:?}");
        let line = HolderLine { pid: u32::MAX, ..HolderLine::mine() };
        assert_eq!(number_outside(&line, &path), Some(std::process::id()));
        drop(file);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_holder_is_news_once() {
        let dir = std::env::temp_dir().join(format!("homing-told-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let daemon = |pid| Holder::Daemon { pid, since: Timestamp::from_secs(1_800_000_000) };
        assert!(is_news(&dir, &daemon(7)));
        assert!(!is_news(&dir, &daemon(7)));
        assert!(is_news(&dir, &daemon(8)));
        assert!(is_news(&dir, &daemon(7)), "only the last one is noted");
        let nobody = Holder::Once { pid: None };
        assert!(is_news(&dir, &nobody) && is_news(&dir, &nobody));
        assert!(!is_news(&dir, &daemon(7)));
        fs::remove_dir_all(&dir).unwrap();
        assert!(is_news(&dir, &daemon(7)) && is_news(&dir, &daemon(7)), "there is no place for it");
    }

    #[test]
    fn a_line_is_believed_only_while_its_very_process_lives() {
        let mine = HolderLine::mine();
        assert!(mine.is_alive());
        if mine.tick.is_some() {
            let another = HolderLine { tick: Some(1), ..mine };
            assert!(!another.is_alive(), "the number is mine, the start is not");
        }
        let nobody = HolderLine { pid: u32::MAX, ..mine };
        assert!(!nobody.is_alive());
    }

    #[test]
    fn a_process_that_was_not_waited_for_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        while tick(pid).is_some() {
            std::thread::yield_now();
        }
        assert!(!HolderLine { pid, tick: Some(1), ..HolderLine::mine() }.is_alive());
        child.wait().unwrap();
    }
}
