//! Small files that must not be lost or shown: made whole before they take their place.
//!
//! Used by the state and by the token side. Decides nothing but whose a file is.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Who owns a file, and what it lets them do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ownership {
    uid: u32,
    gid: u32,
    mode: u32,
    /// Whether it is that of a file whose readers must not change.
    is_kept: bool,
}

impl Ownership {
    /// That of the file at `path`, with no more than its group reading it; for a file that is not
    /// there, its directory's owner and group, and nobody else may read it.
    pub fn of(path: &Path) -> io::Result<Self> {
        const GROUP_MAY_READ: u32 = 0o640;
        match fs::metadata(path) {
            Ok(file) => {
                let mode = (file.mode() & GROUP_MAY_READ) | 0o600;
                Ok(Self { uid: file.uid(), gid: file.gid(), mode, is_kept: true })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = fs::metadata(directory(path))?;
                let (uid, gid) = (directory.uid(), directory.gid());
                Ok(Self { uid, gid, mode: 0o600, is_kept: false })
            }
            Err(error) => Err(error),
        }
    }
}

/// The file that `path` leads to: through a link in its place, which need not be followed for a
/// path whose directories are links.
///
/// A link that anybody but root or this user made is refused: it could lead root's writing to any
/// file.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            let own = rustix::process::geteuid().as_raw();
            if found.uid() != 0 && found.uid() != own {
                let what = "it is a link that somebody else made";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
            }
            fs::canonicalize(path)
        }
        _ => Ok(path.to_owned()),
    }
}

/// `path` in the one form that every way to the same file has, whether the file is there or not.
pub fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| match (path.file_name(), directory(path)) {
        (Some(name), directory) => fs::canonicalize(directory)
            .map_or_else(|_| path.to_owned(), |directory| directory.join(name)),
        (None, _) => path.to_owned(),
    })
}

/// The directory that the file at `path` is in.
pub fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Opens the file at `path` for reading; `None` when something else than a regular file is there.
///
/// Never waits: a pipe without a writer would keep us for ever.
pub fn open_regular(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata)))
}

/// The text of the file at `path`, of at most `most` bytes; `None` when there is no such file.
pub fn read_text(path: &Path, most: u64) -> io::Result<Option<String>> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let opened = match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let (file, _) = opened.ok_or_else(|| invalid("it is not a file"))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(invalid("it is too large"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| invalid("it is not text"))
}

/// Makes an empty file at `path`, where nothing may be; what a run that was killed left there goes.
///
/// Only its owner may read it from its first moment; it gets its owner, group and mode on the open
/// file. Without the right to give files away a new one stays ours, and one that is to take the
/// place of another's is refused: whoever reads that could not read this.
pub fn create(path: &Path, ownership: Ownership) -> io::Result<File> {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let Ownership { uid, gid, mode, is_kept } = ownership;
    let made = file.metadata()?;
    let owner = (made.uid() != uid).then_some(uid);
    let group = (made.gid() != gid).then_some(gid);
    if owner.is_some() || group.is_some() {
        // The group alone can be given by whoever is in it.
        let given = fchown(&file, owner, group).or_else(|error| match (owner, group) {
            (Some(_), Some(_)) if !is_kept => fchown(&file, None, group),
            _ => Err(error),
        });
        match given {
            Err(error) if is_kept || error.kind() != io::ErrorKind::PermissionDenied => {
                let _ = fs::remove_file(path);
                return Err(error);
            }
            Err(_) => return Ok(file),
            Ok(()) => {}
        }
    }
    if mode != 0o600 {
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    }
    Ok(file)
}

/// Gives `file`, which this very process has just made in `directory`, to that directory's owner, who
/// has to be able to use it when root does not run Homing.
///
/// Never for a file that was found there: its owner may put any file of root's there.
pub fn hand_over(file: &File, directory: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (owner, made) = (fs::metadata(directory)?, file.metadata()?);
    if owner.uid() == 0 || made.uid() != 0 {
        return Ok(());
    }
    match fchown(file, Some(owner.uid()), Some(owner.gid())) {
        // A root without that right runs Homing as nobody else.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// Gives the directory at `path`, which root has just made, to the owner of the one that it is in,
/// whose service has to be able to read what goes into it.
///
/// What is open counts: a link that took its place is not followed, and what is not root's, or holds
/// a directory already, stays what it is.
#[cfg(feature = "import")]
pub fn hand_over_directory(path: &Path) -> io::Result<()> {
    const LINKS_OF_AN_EMPTY_ONE: u64 = 2;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY;
    let open = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if open.metadata()?.nlink() > LINKS_OF_AN_EMPTY_ONE {
        return Ok(());
    }
    hand_over(&open, directory(path))
}

/// A user of this machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct User {
    /// Their number.
    pub uid: u32,
    /// The number of their group.
    pub gid: u32,
}

impl User {
    /// The user without any rights, in nobody's group.
    const NOBODY: Self = Self { uid: 65534, gid: 65534 };

    /// That of the number `uid`, in the group that the system gives them; `gid` is the group of one
    /// whom it does not know, unless that is root's.
    fn known(uid: u32, gid: u32) -> Self {
        let gid = if gid == 0 { Self::NOBODY.gid } else { gid };
        Self { uid, gid: account(uid).map_or(gid, |(_, own)| own) }
    }

    /// How `sudo -u` names them to a shell (`sudo(8)`).
    pub fn for_sudo(self) -> String {
        account(self.uid).map_or_else(|| format!("'#{}'", self.uid), |(name, _)| name)
    }
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match account(self.uid) {
            Some((name, _)) => f.write_str(&name),
            None => write!(f, "user {}", self.uid),
        }
    }
}

/// The name and the group of the user `uid` (`passwd(5)`).
fn account(uid: u32) -> Option<(String, u32)> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    // `homing:x:998:996:…`
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (_, number, group) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid)).then_some((name.to_owned(), group.parse().ok()?))
    })
}

/// Who else than root, which this process is, says what stands in the file at `path`, which is open
/// and has `metadata`: its owner, or its directory's, or nobody in particular when others may write
/// to it. `None` when it is root alone, or when this process is somebody else.
pub fn author(path: &Path, metadata: &Metadata) -> Option<User> {
    const BY_GROUP: u32 = 0o020;
    const BY_ALL: u32 = 0o002;
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let real = canonical(path);
    let directories = [path, &real].map(|path| fs::metadata(directory(path)).ok());
    let files = std::iter::once(metadata).chain(directories.iter().flatten());
    let owner = files.map(|file| (file.uid(), file.gid())).find(|(uid, _)| *uid != 0);
    let by_others = if metadata.gid() == 0 { BY_ALL } else { BY_ALL | BY_GROUP };
    let by_others = (metadata.mode() & by_others != 0).then_some(User::NOBODY);
    owner.map(|(uid, gid)| User::known(uid, gid)).or(by_others)
}

/// The user that owns what is at `path`; `None` when nobody may know.
pub fn owner(path: &Path) -> Option<User> {
    let found = fs::metadata(path).ok()?;
    Some(User { uid: found.uid(), gid: found.gid() })
}

/// For opening a file in a directory of somebody else: a link there could lead root anywhere.
pub fn no_link() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

/// Writes `bytes` to `file`, down to the disk.
pub fn fill(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Lets the file at `new` take the place of the one at `path`; both are in one directory.
pub fn replace(new: &Path, path: &Path) -> io::Result<()> {
    fs::rename(new, path)?;
    sync_directory(directory(path))
}

/// Takes the names in `directory` down to the disk; a rename is not safe before.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Some file systems (vfat, FUSE) cannot, and need not.
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}
