//! Small files that must not be lost or shown: made whole before they take their place.
//!
//! Used by the state and by the token side. Decides nothing.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use rustix::fs::OFlags;

/// Who owns a file, and what it lets them do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ownership {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Ownership {
    /// That of the file at `path`, with no more than its group reading it; for a file that is not there, its
    /// directory's owner and group, and nobody else may read it.
    pub fn of(path: &Path) -> io::Result<Self> {
        const GROUP_MAY_READ: u32 = 0o640;
        match fs::metadata(path) {
            Ok(file) => {
                let mode = (file.mode() & GROUP_MAY_READ) | 0o600;
                Ok(Self { uid: file.uid(), gid: file.gid(), mode })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = fs::metadata(directory(path))?;
                Ok(Self { uid: directory.uid(), gid: directory.gid(), mode: 0o600 })
            }
            Err(error) => Err(error),
        }
    }
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
/// file. Without the right to give files away it stays ours.
pub fn create(path: &Path, ownership: Ownership) -> io::Result<File> {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let Ownership { uid, gid, mode } = ownership;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (uid, gid) {
        match fchown(&file, Some(uid), Some(gid)) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            Err(_) => return Ok(file),
            Ok(()) => {}
        }
    }
    if mode != 0o600 {
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    }
    Ok(file)
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
