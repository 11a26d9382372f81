//! The state file: the memory between runs, kept so that no crash can damage it.
//!
//! Owns the state directory with its lock, the file and the salt of the fingerprints. Decides
//! nothing; the round saves before a request leaves and after its answer.
//!
//! | file                                | what                                              |
//! |-------------------------------------|---------------------------------------------------|
//! | `state.json`                        | the memory (see `form`)                           |
//! | `state.json.new`                    | the next state, until it replaces the old one     |
//! | `state.json.damaged-YYYYMMDD-HHMMSS`| a state that could not be read; the newest three  |
//! | `history.jsonl`                     | the last changes (see `history`)                  |
//! | `homing.lock`                       | locked while the daemon or `--once` runs          |
//! | `homing.told`                       | the holder of the lock that `--once` has reported |
//! | `homing.wrong`                      | the problem of the configuration, as reported     |
//! | `homing.warned`, `homing.troubles`  | what the last `--once` warned of                  |
//! | `homing.pinged`                     | the last ping of a `--once`                       |
//! | `homing.unsent`                     | the services of `notify` that lack a message      |

mod form;
mod history;
mod lock;
#[cfg(test)]
mod tests;

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ring::hmac;

pub use self::history::{Recorded, line, read as recorded};
pub use self::lock::{
    Holder, forget_said, is_new_wrong, is_news, is_said, right_again, running_daemon, said,
};

use crate::core::exit::Exit;
use crate::core::history::Change;
use crate::core::memory::Memory;
use crate::core::order;
use crate::core::secret::Fingerprint;
use crate::os::clock;
use crate::os::disk;
use crate::os::hand::{of_state, state_author};
use crate::os::reason::{SHORTAGE, is_shortage, reason};

/// The state file's name.
const FILE: &str = "state.json";

/// The name of the file that becomes the state file. One is enough, because only the holder of
/// the lock writes.
const NEW: &str = "state.json.new";

/// The largest state that is read: each host needs half a kibibyte, and the largest configuration names
/// less than a million.
const LARGEST: u64 = 512 << 20;

/// The kind of access to the state directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StateAccess {
    /// Reading and writing, by one process at a time.
    Locked {
        /// Who locks: [`DAEMON`] or `once`.
        who: &'static str,
    },
    /// Reading only; neither lock nor directory is needed.
    ReadOnly,
}

/// The daemon, as `who` in its lock.
pub const DAEMON: &str = "daemon";

/// Writes the text of a state file that holds `memory`, with a salt of zeros.
pub fn write_text(memory: &Memory, out: &mut dyn Write) -> io::Result<()> {
    form::write(memory, &Salt([0; 16]), out)
}

/// The memory in the `text` of a state file; the error says what is wrong with it.
pub fn memory_in(text: &str) -> Result<Memory, String> {
    form::parse(text).map(|(memory, _)| memory).map_err(|fault| format!("{fault:?}"))
}

/// A state directory, locked or not.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// The lock, held as long as this value lives, and its `who`; `None` for reading only.
    lock: Option<(File, &'static str)>,
    salt: Salt,
    /// The key of the fingerprints, made from the salt.
    key: OnceCell<hmac::Key>,
    /// Fingerprints made before, each at the place that the hash of its parts names.
    made: Made,
    /// The hash of the memory in the state file; `None` when there is none, or it is not known.
    on_disk: Option<u64>,
    loaded: bool,
}

/// Some fingerprints with the hashes of their parts. Hosts share their login, and rounds ask again.
type Made = [Cell<Option<(u64, Fingerprint)>>; 64];

/// The content of the state file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Loaded {
    /// The memory; empty when there was no file, or a damaged one.
    pub memory: Memory,
    /// What was wrong with the file, and what was done with it, for a warning.
    pub damage: Option<String>,
    /// Where a damaged file is now.
    pub set_aside: Option<PathBuf>,
}

/// The random key of a state's fingerprints: without the state they show nothing about a secret.
#[derive(Clone, Eq, PartialEq)]
struct Salt([u8; 16]);

/// Why the state cannot be read or written. Always deferred: nothing is sent without a state.
#[derive(Debug)]
pub enum StateError {
    /// Another process has the lock.
    Held {
        /// The state directory.
        dir: PathBuf,
        /// The process that has it, as far as the system shows.
        holder: Holder,
    },
    /// The file comes from a later version of Homing.
    Newer {
        /// The state file.
        file: PathBuf,
        /// The version of its form.
        version: u64,
    },
    /// The system refused.
    System {
        /// The action that failed, such as "write".
        action: &'static str,
        /// The path of the action.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
}

impl Store {
    /// Opens the state directory, making it if it is missing, and takes the lock.
    ///
    /// Its parent must exist. With [`StateAccess::ReadOnly`] nothing is touched and nothing fails.
    pub fn open(dir: &Path, access: StateAccess) -> Result<Self, StateError> {
        let _hand = of_state();
        let lock = match access {
            StateAccess::ReadOnly => None,
            StateAccess::Locked { who } => {
                let lock = lock_in(dir, who)?;
                // A process that was killed while writing has left it; the lock shows that none
                // is writing now.
                let new = dir.join(NEW);
                disk::remove(&new).map_err(|error| StateError::system("remove", new, error))?;
                Some((lock, who))
            }
        };
        let dir = dir.to_owned();
        let salt = Salt::random()?;
        let (key, made) = (OnceCell::new(), no_fingerprints());
        Ok(Self { dir, lock, salt, key, made, on_disk: None, loaded: false })
    }

    /// Reads the memory.
    ///
    /// A damaged file is no error: it is set aside when the directory is locked, and the memory
    /// begins empty.
    pub fn load(&mut self) -> Result<Loaded, StateError> {
        let _hand = of_state();
        let file = self.dir.join(FILE);
        let damage = match read_state_file(&file) {
            Ok(None) => {
                self.loaded = true;
                return Ok(Loaded::default());
            }
            Ok(Some(text)) => match form::parse(&text) {
                Ok((memory, salt)) => {
                    self.on_disk = Some(digest(&memory));
                    (self.key, self.made) = (OnceCell::new(), no_fingerprints());
                    self.salt = salt;
                    self.loaded = true;
                    return Ok(Loaded { memory, ..Loaded::default() });
                }
                Err(form::Fault::Newer(version)) => {
                    return Err(StateError::Newer { file, version });
                }
                Err(form::Fault::Damaged(damage)) => damage,
            },
            Err(Unreadable::Damaged(damage)) => damage,
            Err(Unreadable::System(error)) => {
                return Err(StateError::system("read", file, error));
            }
        };
        let set_aside = if self.lock.is_some() { Some(set_aside(&file)?) } else { None };
        self.on_disk = None;
        self.loaded = true;
        let fate = match &set_aside {
            Some(path) => format!("kept as {}", path.display()),
            None => "left as it is".to_owned(),
        };
        let damage =
            format!("{} is damaged ({damage}); {fate}, starting without it", file.display());
        Ok(Loaded { memory: Memory::default(), damage: Some(damage), set_aside })
    }

    /// Replaces the state on disk by `memory`, unless they are equal.
    ///
    /// When this returns without an error, the new state survives a loss of power; when it returns
    /// one, the old state is still there and nothing may be sent.
    pub fn save(&mut self, memory: &Memory) -> Result<(), StateError> {
        let _hand = of_state();
        let Some((lock, who)) = &self.lock else {
            let error = io::Error::other("it was opened for reading only");
            return Err(StateError::system("write", self.dir.clone(), error));
        };
        // The lock and the state were removed together with the directory.
        if lock.metadata().is_ok_and(|lock| lock.nlink() == 0) {
            let who = *who;
            self.lock = Some((lock_in(&self.dir, who)?, who));
            self.on_disk = None;
        }
        if !self.loaded {
            // Never overwrite a state that was not read: it may be of a newer version.
            self.load()?;
        }
        let digest = digest(memory);
        if self.on_disk == Some(digest) {
            return Ok(());
        }
        // From here to the end it is not known which of the two states a crash would leave.
        self.on_disk = None;
        let new = self.dir.join(NEW);
        if let Err(error) = write(&new, |file| form::write(memory, &self.salt, file)) {
            // A half-written file would take up space that is scarce; if removal fails too, the
            // next start removes it.
            let _ = disk::remove(&new);
            return Err(StateError::system("write", new, error));
        }
        let file = self.dir.join(FILE);
        disk::replace(&new, &file).map_err(|error| StateError::system("replace", file, error))?;
        self.on_disk = Some(digest);
        Ok(())
    }

    /// The hash of the memory in the state file; `None` when there is none, or it is not known.
    pub fn digest(&self) -> Option<u64> {
        self.on_disk
    }

    /// The directory of the state.
    #[cfg(feature = "pages")]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds `changes` to the history; when this returns without an error, they survive a loss of power.
    pub fn note_changes(&self, changes: &[Change]) -> Result<(), StateError> {
        history::append(&self.dir, changes)
    }

    /// The hash of `parts`: equal only for the same parts in the same order and with the same salt.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Fingerprint {
        let digest = digest(parts);
        let place = usize::try_from(digest % self.made.len() as u64).unwrap_or_default();
        if let Some((_, made)) = self.made[place].get().filter(|(of, _)| *of == digest) {
            return made;
        }
        let made = self.new_fingerprint(parts);
        self.made[place].set(Some((digest, made)));
        made
    }

    fn new_fingerprint(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut context = hmac::Context::with_key(self.key.get_or_init(|| self.salt.key()));
        for part in parts {
            // Without the lengths, ("ab", "c") and ("a", "bc") would be the same.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        let first =
            tag.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        Fingerprint(first)
    }
}

fn no_fingerprints() -> Made {
    std::array::from_fn(|_| Cell::new(None))
}

impl Salt {
    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }

    fn random() -> Result<Self, StateError> {
        let mut bytes = [0; 16];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
            .map(|()| Self(bytes))
            .map_err(|_| {
                let error = io::Error::other("the system has no random numbers");
                StateError::system("use", PathBuf::from("/dev/urandom"), error)
            })
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// Why the state file has no text.
enum Unreadable {
    Damaged(String),
    System(io::Error),
}

/// The text of the state file; `None` when there is no such file.
fn read_state_file(file: &Path) -> Result<Option<String>, Unreadable> {
    use Unreadable::{Damaged, System};

    let opened = match disk::open_regular(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(System(error)),
    };
    let (open, about) = opened.ok_or_else(|| Damaged("it is not a file".to_owned()))?;
    if about.len() > LARGEST {
        return Err(Damaged(format!("{} bytes are too many", about.len())));
    }
    let size = usize::try_from(about.len()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(size + 1);
    open.take(LARGEST).read_to_end(&mut bytes).map_err(System)?;
    String::from_utf8(bytes).map(Some).map_err(|_| Damaged("it is not UTF-8 text".to_owned()))
}

/// Renames the damaged `file` to a name that says so, and returns that name.
fn set_aside(file: &Path) -> Result<PathBuf, StateError> {
    let time = clock::rfc3339_seconds(clock::wall()).to_string();
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    let (day, time) = digits.split_at(8);
    let stem = format!("{FILE}.damaged-{day}-{time}");
    // Two in the same second are both kept.
    let names = std::iter::once(stem.clone()).chain((2..).map(|n| format!("{stem}-{n}")));
    let mut paths = names.map(|name| file.with_file_name(name));
    let is_free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    let path = paths.find(is_free).unwrap_or_else(|| file.with_file_name(&stem));
    match disk::replace(file, &path) {
        Ok(()) => {
            forget_older(&path);
            Ok(path)
        }
        Err(error) => Err(StateError::system("set aside", file.to_owned(), error)),
    }
}

/// Removes damaged states except `newest` and the two before it: a disk that loses bits would
/// fill up with them.
fn forget_older(newest: &Path) {
    const OTHERS: usize = 2;
    let Ok(entries) = fs::read_dir(disk::directory(newest)) else { return };
    let prefix = format!("{FILE}.damaged-");
    // The second state of a second sorts after the first, and the tenth after the second.
    let order = |name: &str| {
        let (moment, rest) =
            name.strip_prefix(&prefix)?.split_at_checked("YYYYMMDD-HHMMSS".len())?;
        let number: u32 = if rest.is_empty() { 1 } else { rest.strip_prefix('-')?.parse().ok()? };
        Some((moment.to_owned(), number))
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut damaged: Vec<_> = paths
        .filter(|path| path != newest)
        .filter_map(|path| Some((order(path.file_name()?.to_str()?)?, path)))
        .collect();
    order::sort(&mut damaged);
    for (_, path) in damaged.iter().rev().skip(OTHERS) {
        // A file that cannot be removed is tried again the next time.
        let _ = disk::remove(path);
    }
}

/// Makes a new file with `content`, which only its owner may read, and syncs it to the disk.
fn write(path: &Path, content: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    // A link or anything else that is there now is not ours.
    let mut file = disk::create_for_heir(path)?;
    content(&mut file)?;
    file.sync_all()
}

/// Takes the lock in `dir`; makes the directory when it is not there.
fn lock_in(dir: &Path, who: &str) -> Result<File, StateError> {
    let locked = match lock::take(dir, who) {
        Err(lock::LockRefusal::System(_, error)) if error.kind() == io::ErrorKind::NotFound => {
            match disk::create_directory(dir) {
                // Another run that began at the same time made it first.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
                Err(error) => return Err(StateError::system("make", dir.to_owned(), error)),
                Ok(()) => {}
            }
            lock::take(dir, who)
        }
        other => other,
    };
    locked.map_err(|refusal| match refusal {
        lock::LockRefusal::Held(holder) => StateError::Held { dir: dir.to_owned(), holder },
        lock::LockRefusal::System(path, error) => StateError::system("lock", path, error),
    })
}

/// The fix for root where the system refuses it something in `directory`: it is not root there,
/// or Landlock has confined it to a directory that was there before.
fn of_root(directory: impl fmt::Display) -> String {
    match state_author() {
        Some(user) => format!(
            "root uses the configured files as {user}, who can change the configuration: run \
                `chown {} {directory}`, or choose another directory with --state-dir",
            user.for_sudo()
        ),
        None => format!(
            "restart Homing if {directory} was made anew, or choose another directory with --state-dir"
        ),
    }
}

/// The problem of the state directory `dir`, with the fix: others can change what is in it.
pub fn exposure(dir: &Path) -> Option<String> {
    const BY_OTHERS: u32 = 0o022;
    let found = fs::metadata(dir).ok().filter(fs::Metadata::is_dir)?;
    let (shown, own) = (dir.display(), rustix::process::geteuid().as_raw());
    let mode = found.mode() & 0o7777;
    if mode & BY_OTHERS != 0 {
        let who = if mode & 0o002 != 0 { "others" } else { "its group" };
        return Some(format!(
            "the state directory {shown} can be changed by {who} ({mode:04o}); run `chmod 700 {shown}`"
        ));
    }
    // Root may manage the state of a service.
    if own == 0 || found.uid() == 0 || found.uid() == own {
        return None;
    }
    let owner = disk::owner(dir)?;
    Some(format!(
        "the state directory {shown} belongs to {owner}, who can change its files; choose another \
            with --state-dir"
    ))
}

/// The obstacle to using the state directory `dir`, if any; nothing is made or changed.
pub fn obstacle(dir: &Path) -> Option<StateError> {
    let _hand = of_state();
    let of = |action, path: &Path, error| Some(StateError::system(action, path.to_owned(), error));
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => {
            return of("use", dir, io::ErrorKind::NotADirectory.into());
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A user who only checks may lack a right of the service's start, which makes it.
            let may_be_made = |error: &io::Error| {
                error.kind() == io::ErrorKind::PermissionDenied && state_author().is_none()
            };
            let error = disk::may_make(dir).err().filter(|error| !may_be_made(error))?;
            return of("make", dir, error);
        }
        Err(error) => return of("use", dir, error),
    }
    let new = dir.join(NEW);
    if let Err(error) = disk::may_make(&new) {
        return of("write", &new, error);
    }
    match lock::obstacle(dir)? {
        lock::LockRefusal::Held(_) => None,
        lock::LockRefusal::System(path, error) => of("lock", &path, error),
    }
}

/// The hash of `value`; not for storage, since the order of fields is part of it.
fn digest<T: Hash + ?Sized>(value: &T) -> u64 {
    // A collision would skip one save in 2^64, but no copy of the value is kept.
    let mut digest = Digest(0);
    value.hash(&mut digest);
    digest.finish()
}

/// A hash by multiplication: std's takes thrice the time, and each round hashes all that is remembered.
struct Digest(u64);

impl Digest {
    /// Half of the digits of the golden ratio after the point, to be odd and without a pattern.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<8>();
        for part in whole {
            self.write_u64(u64::from_be_bytes(*part));
        }
        if !rest.is_empty() {
            let number = rest.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            self.write_u64(number ^ (rest.len() as u64) << 60);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        let sum = (self.0 ^ number).wrapping_add(Self::FACTOR);
        let upper = (u128::from(sum) * u128::from(Self::FACTOR)) >> 64;
        let lower = sum.wrapping_mul(Self::FACTOR);
        // Low digits of the number change only the low half of the product much; both halves are used.
        self.0 = u64::try_from(upper).unwrap_or_default() ^ lower.rotate_left(32) ^ Self::FACTOR;
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl StateError {
    fn system(action: &'static str, path: PathBuf, error: io::Error) -> Self {
        Self::System { action, path, error }
    }

    /// The fix, for a person.
    pub fn fix(&self) -> String {
        match self {
            Self::Held { .. } => "wait for it, or stop it".to_owned(),
            Self::Newer { file, .. } => {
                format!("install that version again, or move {} away", file.display())
            }
            Self::System { action, path, error } => system_fix(action, path, error),
        }
    }
}

/// The fix, for a person, where the system refuses `action` to `path`.
fn system_fix(action: &str, path: &Path, error: &io::Error) -> String {
    use io::ErrorKind::{InvalidData, NotFound, PermissionDenied, QuotaExceeded, StorageFull};

    let directory = path.parent().unwrap_or(path);
    let parent = directory.display();
    match (error.kind(), action) {
        _ if is_shortage(error) => SHORTAGE.to_owned(),
        (PermissionDenied, _) if error.raw_os_error().is_none() => {
            "name it by a path without that link".to_owned()
        }
        (PermissionDenied, _) if rustix::process::geteuid().is_root() => of_root(parent),
        (StorageFull | QuotaExceeded, _) => "free some space there".to_owned(),
        (PermissionDenied, "make") => format!(
            "as root run `install -d -m 700 -o USER {}`, or choose another directory with \
             --state-dir",
            path.display()
        ),
        (PermissionDenied, _) => match disk::owner(directory) {
            // The state is a service's, and a person tries Homing by hand.
            Some(owner) => format!(
                "{parent} belongs to {owner}: run `sudo -u {} homing …`, or choose another \
                 directory with --state-dir",
                owner.for_sudo()
            ),
            None => format!(
                "run Homing as the user that owns {parent}, or choose another directory with \
                 --state-dir"
            ),
        },
        (InvalidData, "lock") => format!("move {} away", path.display()),
        (NotFound, "make") => format!("run `mkdir -p {parent}`"),
        _ => "choose a writable directory with --state-dir".to_owned(),
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { dir, holder } => {
                write!(f, "the state in {} is in use by {holder}", dir.display())
            }
            Self::Newer { file, version } => {
                write!(
                    f,
                    "{} has the format {version} of a later version of Homing",
                    file.display()
                )
            }
            Self::System { action, path, error } => {
                write!(f, "cannot {action} {}: ", path.display())?;
                let other = reason(error);
                f.write_str(match error.kind() {
                    io::ErrorKind::NotADirectory => "a part of the path is a file, not a directory",
                    io::ErrorKind::NotFound if *action == "make" => {
                        "the directory above it does not exist"
                    }
                    io::ErrorKind::PermissionDenied if error.raw_os_error().is_some() => {
                        "permission denied"
                    }
                    io::ErrorKind::QuotaExceeded => "the disk quota is used up",
                    io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
                    io::ErrorKind::StorageFull => "no space is left",
                    _ => &other,
                })
            }
        }?;
        write!(f, "; {}", self.fix())
    }
}

impl std::error::Error for StateError {}

impl From<&StateError> for Exit {
    fn from(_: &StateError) -> Self {
        Self::Deferred
    }
}
