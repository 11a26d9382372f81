//! Safe paths to files, which nobody can redirect: from the root on, one directory after another.
//!
//! Every directory is held open while its next one is looked up, and files are used in the open
//! directory. Only links of root or of this process's user are followed: others could lead anywhere.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// The most links on a path to a file (`ELOOP` in `path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// The flags for a directory on the path, which is searched and not read.
#[cfg(target_os = "linux")]
const ON_THE_WAY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const ON_THE_WAY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A file or what may become one: an open directory, and a name in it.
#[derive(Debug)]
pub(crate) struct DirectoryEntry {
    directory: OwnedFd,
    name: OsString,
    /// The path without the links that were followed.
    path: PathBuf,
}

/// A path that is being walked.
struct Walk {
    directory: OwnedFd,
    path: PathBuf,
    /// The names still to be walked, the next one last.
    rest: Vec<OsString>,
    links: usize,
}

impl DirectoryEntry {
    /// The file that `path` leads to, through a link in its place too.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Walk::begun(path)?.into_file(true)
    }

    /// The entry at `path` itself, whether it is a link or not.
    pub(crate) fn itself(path: &Path) -> io::Result<Self> {
        Walk::begun(path)?.into_file(false)
    }

    /// The entry `name` in the directory at `path`, which may be reached through links.
    #[cfg(feature = "tokens")]
    pub(crate) fn within(path: &Path, name: &str) -> io::Result<Self> {
        let way = Walk::begun(path)?.into_directory()?;
        let path = way.path.join(name);
        Ok(Self { directory: way.directory, name: name.into(), path })
    }

    /// Its path without the links that were followed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The metadata of what is there now, if anything; a link is not followed.
    pub(crate) fn found(&self) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The metadata of its open directory.
    pub(crate) fn directory(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(&self.directory)?)
    }

    /// Opens what is there for `flags`; a file that is made is its owner's alone.
    ///
    /// Never follows a link, never waits, and makes no terminal ours.
    fn opened(&self, flags: OFlags) -> io::Result<File> {
        const ALWAYS: OFlags =
            OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
        let own = Mode::RUSR | Mode::WUSR;
        Ok(rustix::fs::openat(&self.directory, &self.name, flags | ALWAYS, own)?.into())
    }

    /// Opens the regular file there for `flags`; `None` for anything else: devices act when opened.
    pub(crate) fn open(&self, flags: OFlags) -> io::Result<Option<(File, Metadata)>> {
        match self.found()? {
            None => return Err(Errno::NOENT.into()),
            Some(found) if kind(&found) != FileType::RegularFile => return Ok(None),
            Some(_) => {}
        }
        let file = self.opened(flags)?;
        // The open file counts: another one may have come there by now.
        let metadata = file.metadata()?;
        Ok(metadata.is_file().then_some((file, metadata)))
    }

    /// Makes an empty file there, where nothing may be, for writing.
    pub(crate) fn make(&self) -> io::Result<File> {
        self.opened(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    /// Makes a directory there that is its owner's alone.
    pub(crate) fn make_directory(&self) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.directory, &self.name, Mode::RWXU)?)
    }

    /// Opens the directory that is there.
    pub(crate) fn open_directory(&self) -> io::Result<File> {
        self.opened(OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Removes the file that is there, if any.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames the file `name` in the same directory to this entry's name.
    pub(crate) fn take_from(&self, name: &OsStr) -> io::Result<()> {
        let directory = &self.directory;
        Ok(rustix::fs::renameat(directory, name, directory, &self.name)?)
    }

    /// Gives the file `name` in the same directory this entry's name, too; fails where that is taken.
    #[cfg(feature = "init")]
    pub(crate) fn link_from(&self, name: &OsStr) -> io::Result<()> {
        let directory = &self.directory;
        Ok(rustix::fs::linkat(directory, name, directory, &self.name, AtFlags::empty())?)
    }

    /// The entry `name` in the same directory.
    pub(crate) fn beside(&self, name: &OsStr) -> io::Result<Self> {
        let directory = self.directory.try_clone()?;
        Ok(Self { directory, name: name.to_owned(), path: self.path.with_file_name(name) })
    }

    /// Its name in its directory.
    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    /// Writes the names in its directory to the disk; a rename is not safe before.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::openat(&self.directory, ".", flags, Mode::empty())?;
        File::from(open).sync_all().or_else(|error| match error.kind() {
            // Some file systems (vfat, FUSE) cannot, and need not.
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Ok(()),
            _ => Err(error),
        })
    }
}

/// The kind of file.
pub(crate) fn kind(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

/// The numbers of the device and of the file on it, as the standard library gives them.
#[allow(
    clippy::cast_lossless,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "the types of the fields depend on the system"
)]
pub(crate) fn identity(found: &Stat) -> (u64, u64) {
    (found.st_dev as u64, found.st_ino as u64)
}

/// The permission bits.
#[allow(clippy::useless_conversion, reason = "the width of the field depends on the system")]
pub(crate) fn mode(found: &Stat) -> u32 {
    u32::from(found.st_mode) & 0o7777
}

impl Walk {
    fn begun(path: &Path) -> io::Result<Self> {
        let start = if path.is_absolute() { PathBuf::from("/") } else { std::env::current_dir()? };
        let at = if path.is_absolute() { "/" } else { "." };
        let directory = rustix::fs::open(at, ON_THE_WAY, Mode::empty())?;
        let mut way = Self { directory, path: start, rest: Vec::new(), links: 0 };
        way.push(path);
        Ok(way)
    }

    /// Puts `path` before the names still to be walked.
    fn push(&mut self, path: &Path) {
        let parts = path.components().filter(|part| *part != Component::CurDir);
        let parts: Vec<OsString> = parts.map(|part| part.as_os_str().to_owned()).collect();
        self.rest.extend(parts.into_iter().rev());
    }

    fn into_file(mut self, follow: bool) -> io::Result<DirectoryEntry> {
        while let Some(name) = self.rest.pop() {
            if !self.rest.is_empty() || name == ".." || name == "/" {
                self.step(&name)?;
                continue;
            }
            if follow && self.follow(&name)? {
                continue;
            }
            let path = self.path.join(&name);
            return Ok(DirectoryEntry { directory: self.directory, name, path });
        }
        // The root, or a path that ends in `..`: a directory, by the one name that it always has.
        Ok(DirectoryEntry { directory: self.directory, name: ".".into(), path: self.path })
    }

    #[cfg(feature = "tokens")]
    fn into_directory(mut self) -> io::Result<Self> {
        while let Some(name) = self.rest.pop() {
            self.step(&name)?;
        }
        Ok(self)
    }

    /// Goes into the directory called `name`, or where the link of that name leads.
    fn step(&mut self, name: &OsStr) -> io::Result<()> {
        let entered = if name == "/" {
            rustix::fs::open("/", ON_THE_WAY, Mode::empty())
        } else {
            rustix::fs::openat(&self.directory, name, ON_THE_WAY, Mode::empty())
        };
        match entered {
            Ok(directory) => self.directory = directory,
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) if self.follow(name)? => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        match name.to_str() {
            Some("/") => self.path = "/".into(),
            Some("..") => drop(self.path.pop()),
            _ => self.path.push(name),
        }
        Ok(())
    }

    /// If `name` is a link, puts its target before the rest of the path.
    fn follow(&mut self, name: &OsStr) -> io::Result<bool> {
        let Some((owner, target)) = link(&self.directory, name)? else { return Ok(false) };
        let own = rustix::process::geteuid().as_raw();
        if owner != 0 && owner != own {
            let link = self.path.join(name);
            let what = format!("{} is a link that somebody else made", link.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        self.push(&target);
        Ok(true)
    }
}

/// The owner of the link `name` in `directory` and what it leads to; `None` when it is no link.
fn link(directory: &OwnedFd, name: &OsStr) -> io::Result<Option<(u32, PathBuf)>> {
    // On Linux the link is held open, so that owner and target are of the same link.
    #[cfg(target_os = "linux")]
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    #[cfg(target_os = "linux")]
    let looked = rustix::fs::openat(directory, name, flags, Mode::empty())
        .and_then(|open| Ok((rustix::fs::fstat(&open)?, (open, OsStr::new("")))));
    #[cfg(not(target_os = "linux"))]
    let looked = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .map(|found| (found, (directory, name)));
    let (found, (place, name)) = match looked {
        Ok(looked) => looked,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if kind(&found) != FileType::Symlink {
        return Ok(None);
    }
    let target = rustix::fs::readlinkat(&place, name, Vec::new())?;
    Ok(Some((found.st_uid, OsString::from_vec(target.into_bytes()).into())))
}
