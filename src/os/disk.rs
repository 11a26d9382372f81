//! Small files that must not be lost or shown: they are complete before they take their place.
//!
//! Decides only who owns a file.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::hand::{self, Author, Disguise, disguised};
use super::user::User;
use super::walk::{DirectoryEntry, identity, mode};

/// The owner, the group and the mode of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ownership {
    uid: u32,
    gid: u32,
    mode: u32,
    /// Whether the file was there already, so that its readers must not change.
    is_kept: bool,
}

impl Ownership {
    /// The ownership of the file at `path`, which at most its group may read. A new file gets the owner
    /// of its directory (in root's, the user that root serves), and only that user may read it.
    pub fn of(path: &Path) -> io::Result<Self> {
        const GROUP_MAY_READ: u32 = 0o640;
        let _hand = disguised()?;
        let place = DirectoryEntry::of(path)?;
        if let Some(file) = place.found()? {
            let mode = (mode(&file) & GROUP_MAY_READ) | 0o600;
            return Ok(Self { uid: file.st_uid, gid: file.st_gid, mode, is_kept: true });
        }
        let User { uid, gid } = heir(&place)?;
        Ok(Self { uid, gid, mode: 0o600, is_kept: false })
    }

    /// The ownership of the file at `path`, which others may read if they may now; a new one all may read.
    #[cfg(feature = "pages")]
    pub fn of_shown(path: &Path) -> io::Result<Self> {
        const ALL_MAY_READ: u32 = 0o644;
        let _hand = disguised()?;
        let place = DirectoryEntry::itself(path)?;
        if let Some(file) = place.found()? {
            let mode = (mode(&file) & ALL_MAY_READ) | 0o600;
            return Ok(Self { uid: file.st_uid, gid: file.st_gid, mode, is_kept: false });
        }
        let User { uid, gid } = heir(&place)?;
        Ok(Self { uid, gid, mode: ALL_MAY_READ, is_kept: false })
    }
}

/// The owner of a new file at `place`: its directory's; in root's directory, the user that root serves.
fn heir(place: &DirectoryEntry) -> io::Result<User> {
    let directory = place.directory()?;
    let author = hand::author().filter(|_| directory.st_uid == 0);
    let owner = User { uid: directory.st_uid, gid: directory.st_gid };
    Ok(author.map_or(owner, |author| author.user))
}

/// The author of the configuration at `path`, which `user` can change; `None` without such a user.
pub fn authorship(user: Option<User>, path: &Path) -> Option<Author> {
    const BY_OTHERS: u32 = 0o022;
    let home = fs::metadata(directory(path)).ok();
    let home = home.filter(|home| home.uid() == 0 && home.mode() & BY_OTHERS == 0);
    let home = home.map(|home| (home.dev(), home.ino()));
    user.map(|user| Author { user, home })
}

/// The entry at `path`, and this thread as the user who writes there; a link there is not followed.
///
/// In root's directory, root itself makes and replaces files for the author of the configuration there.
pub(crate) fn writable(path: &Path) -> io::Result<(DirectoryEntry, Option<Disguise>)> {
    let hand = disguised()?;
    let place = DirectoryEntry::itself(path)?;
    if let Some(Author { user, home: Some(home) }) = hand::author() {
        let directory = place.directory()?;
        let is_home = identity(&directory) == home;
        if is_home && place.found()?.is_none_or(|found| found.st_uid == user.uid) {
            return Ok((place, None));
        }
    }
    Ok((place, hand))
}

/// The file that `path` leads to, through any link that root or this user made.
///
/// A link that anybody else made is refused: it could lead root's writing to any file.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    let _hand = disguised()?;
    match DirectoryEntry::of(path) {
        Ok(place) => Ok(place.path().to_owned()),
        // Other errors are reported when the file is opened.
        Err(error) if error.raw_os_error().is_some() => Ok(path.to_owned()),
        Err(error) => Err(error),
    }
}

/// The one form of all paths that lead to the same file, whether the file is there or not.
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
/// Never waits: a pipe without a writer would hold us for ever.
pub fn open_regular(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let _hand = disguised()?;
    DirectoryEntry::of(path)?.open(OFlags::RDONLY)
}

/// As [`open_regular`], for a path that the caller of Homing has named; links are followed.
pub fn open_named(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata)))
}

/// A file, pipe or device that the caller of Homing has named, such as `<(command)`.
#[derive(Debug)]
pub struct Handed {
    file: File,
    /// The latest moment at which a writer may come.
    latest: Instant,
    has_begun: bool,
}

impl Handed {
    /// Opens what is at `path`; does not wait for a writer.
    pub fn open(path: &Path) -> io::Result<Self> {
        const COMES_WITHIN: Duration = Duration::from_secs(2);
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        Ok(Self { file, latest: Instant::now() + COMES_WITHIN, has_begun: false })
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Read for Handed {
    /// Waits for a writer's text without limit, but only for a moment for a writer to come.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const LOOKS_EVERY: Duration = Duration::from_millis(20);
        let is_pipe = std::os::unix::fs::FileTypeExt::is_fifo(&self.file.metadata()?.file_type());
        loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) if is_pipe && !self.has_begun && Instant::now() < self.latest => {}
                result => {
                    self.has_begun = true;
                    return result;
                }
            }
            sleep(LOOKS_EVERY);
        }
    }
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

/// Makes an empty file at `path`, after removing what a killed run left there.
///
/// Only its owner may read it from its first moment; it gets its owner, group and mode on the open
/// file. Without the right to give files away a new one stays ours, and one that is to replace
/// another user's file is refused: the readers of the old file could not read it.
pub fn create(path: &Path, ownership: Ownership) -> io::Result<File> {
    let (place, _hand) = writable(path)?;
    place.remove()?;
    let file = place.make()?;
    let Ownership { uid, gid, mode, is_kept } = ownership;
    let made = file.metadata()?;
    // The mode first: after a file is given away, its mode may not be changed.
    if mode != 0o600 {
        file.set_permissions(PermissionsExt::from_mode(mode))?;
    }
    let owner = (made.uid() != uid).then_some(uid);
    let group = (made.gid() != gid).then_some(gid);
    if owner.is_some() || group.is_some() {
        // The group alone can be given by a member of it.
        let given = fchown(&file, owner, group).or_else(|error| match (owner, group) {
            (Some(_), Some(_)) if !is_kept => fchown(&file, None, group),
            _ => Err(error),
        });
        if let Err(error) = given
            && (is_kept || error.kind() != io::ErrorKind::PermissionDenied)
        {
            let _ = place.remove();
            return Err(error);
        }
    }
    Ok(file)
}

/// As [`create`], for a file that goes to its directory's owner where root runs Homing.
pub fn create_for_heir(path: &Path) -> io::Result<File> {
    let (place, _hand) = writable(path)?;
    place.remove()?;
    let file = place.make()?;
    hand_over(&file, &place)?;
    Ok(file)
}

/// Opens the file at `path` for reading and writing; `None` when it is no regular file.
///
/// A new file is given to its directory's owner; a file found there never is: it may be root's.
pub fn open_or_create(path: &Path) -> io::Result<Option<File>> {
    let (place, _hand) = writable(path)?;
    if place.found()?.is_none() {
        match place.make() {
            Ok(file) => {
                hand_over(&file, &place)?;
                return Ok(Some(file));
            }
            // Another run was first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(place.open(OFlags::RDWR)?.map(|(file, _)| file))
}

/// Makes a directory at `path` for its owner alone; where root serves a user, for that user.
pub fn create_directory(path: &Path) -> io::Result<()> {
    let (place, _hand) = writable(path)?;
    place.make_directory()?;
    hand_over_to_author(&place.open_directory()?)?;
    // Else a loss of power could take the directory with everything that was synced in it.
    place.sync().or_else(|error| match error.kind() {
        // Who may write to the directory above but not read it cannot sync it.
        io::ErrorKind::PermissionDenied => Ok(()),
        _ => Err(error),
    })
}

/// Checks whether something could be made at `path`, without making it.
pub fn may_make(path: &Path) -> io::Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};

    let (place, hand) = writable(path)?;
    if hand.is_none() {
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        return Ok(accessat(CWD, directory(place.path()), wanted, AtFlags::empty())?);
    }
    // The system would check the rights of the real user, which no disguise changes.
    let (directory, user) = (place.directory()?, hand::author().map(|author| author.user));
    let bits = match user {
        Some(user) if user.uid == directory.st_uid => 0o300,
        Some(user) if user.gid == directory.st_gid => 0o030,
        _ => 0o003,
    };
    if mode(&directory) & bits == bits { Ok(()) } else { Err(Errno::ACCESS.into()) }
}

/// Opens the directory at `path`.
#[cfg(feature = "tokens")]
pub fn open_directory(path: &Path) -> io::Result<File> {
    let _hand = disguised()?;
    DirectoryEntry::within(path, ".")?.open_directory()
}

/// Opens the file at `path` itself for writing to it as it is; `None` when it is no regular file.
pub fn open_for_change(path: &Path) -> io::Result<Option<File>> {
    let (place, _hand) = writable(path)?;
    Ok(place.open(OFlags::WRONLY)?.map(|(file, _)| file))
}

/// Removes the file at `path`, if it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    let (place, _hand) = writable(path)?;
    place.remove()
}

/// Gives `file`, which this process has just made, to the user that root serves.
pub fn hand_over_to_author(file: &File) -> io::Result<()> {
    match hand::author() {
        Some(Author { user, .. }) if file.metadata()?.uid() != user.uid => {
            fchown(file, Some(user.uid), Some(user.gid))
        }
        _ => Ok(()),
    }
}

/// Gives `file`, which this process has just made at `place`, to its directory's owner, who may run
/// Homing next. Never for a file that was found there: it may be any file of root's.
pub(crate) fn hand_over(file: &File, place: &DirectoryEntry) -> io::Result<()> {
    let User { uid, gid } = heir(place)?;
    if uid == 0 || file.metadata()?.uid() != 0 {
        return Ok(());
    }
    match fchown(file, Some(uid), Some(gid)) {
        // Without that right, root runs Homing as no other user.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// Gives the directory at `path`, which root has just made, to its parent's owner, whose service reads
/// the files in it. One that is not root's, or holds a directory already, keeps its owner.
#[cfg(any(feature = "import", feature = "tokens"))]
pub fn hand_over_directory(path: &Path) -> io::Result<()> {
    const LINKS_OF_AN_EMPTY_ONE: u64 = 2;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (place, _hand) = writable(path)?;
    let open = place.open_directory()?;
    if open.metadata()?.nlink() > LINKS_OF_AN_EMPTY_ONE {
        return Ok(());
    }
    hand_over(&open, &place)
}

/// The user besides root that can change the open file at `path`, with `metadata`: its owner or its
/// directory's, else `User::NOBODY`. `None` where this process is not root, or root alone can.
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

/// The user that owns what is at `path`; `None` when that cannot be read.
pub fn owner(path: &Path) -> Option<User> {
    let found = fs::metadata(path).ok()?;
    Some(User { uid: found.uid(), gid: found.gid() })
}

/// Writes `bytes` to `file` and to the disk.
pub fn fill(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes `bytes` to the file at `path`, which is replaced by a whole new one with `ownership`.
pub fn write_whole(path: &Path, ownership: Ownership, bytes: &[u8]) -> io::Result<()> {
    write_beside(path, ownership, bytes, replace)
}

/// As [`write_whole`], where nothing may be at `path` yet.
#[cfg(feature = "init")]
pub fn write_new(path: &Path, ownership: Ownership, bytes: &[u8]) -> io::Result<()> {
    write_beside(path, ownership, bytes, settle)
}

/// Writes `bytes` into `PATH.new`, which `take_place` then gives the name `path`.
fn write_beside(
    path: &Path,
    ownership: Ownership,
    bytes: &[u8],
    take_place: fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let new = with_ending(path, ".new");
    let mut file = create(&new, ownership)?;
    fill(&mut file, bytes).and_then(|()| take_place(&new, path)).inspect_err(|_| {
        // It would take up space that is scarce, and hold what nobody looks for there.
        let _ = remove(&new);
    })
}

/// `path` with `ending` after its name.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Replaces the file at `path` with the one at `new`; both are in one directory.
pub fn replace(new: &Path, path: &Path) -> io::Result<()> {
    let (place, _hand) = writable(path)?;
    place.take_from(new.file_name().unwrap_or_default())?;
    place.sync()
}

/// Gives the file at `new` the name `path`, which nothing may have yet; both are in one directory.
#[cfg(feature = "init")]
pub fn settle(new: &Path, path: &Path) -> io::Result<()> {
    let (place, _hand) = writable(path)?;
    let name = new.file_name().unwrap_or_default();
    match place.link_from(name) {
        Ok(()) => place.beside(name)?.remove()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // Some file systems (vfat, FUSE) have no links.
        Err(_) if place.found()?.is_some() => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => place.take_from(name)?,
    }
    place.sync()
}

/// Writes the names in `directory` to the disk; a rename is not safe before.
#[cfg(feature = "tokens")]
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    let _hand = disguised()?;
    DirectoryEntry::within(directory, ".")?.sync()
}
