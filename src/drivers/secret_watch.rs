//! Watches secret files and their receipts, so that a new one is used at once.
//!
//! Their directories are watched: a file is replaced more often than it is written to.

use std::io;

use crate::config::Config;

#[cfg(target_os = "linux")]
pub use self::linux::SecretWatch;

/// The directories of secret files; no change is reported where there is no inotify(7).
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub struct SecretWatch;

#[cfg(not(target_os = "linux"))]
impl SecretWatch {
    /// Watches nothing yet.
    pub fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Watches nothing.
    pub fn follow(&mut self, _: &Config) {}

    /// Waits for ever.
    pub async fn changed(&mut self) -> io::Result<()> {
        std::future::pending().await
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{OsStr, OsString};
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
    use rustix::io::Errno;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use super::{Config, io};
    use crate::config::SecretPlace;
    use crate::core::order::{SortedMap, SortedSet};
    use crate::os::disk;
    use crate::os::hand::disguised;
    use crate::receipt;

    /// The events of a file that is made, replaced, written, removed, or given other rights.
    const CHANGES: WatchFlags = WatchFlags::ATTRIB
        .union(WatchFlags::CLOSE_WRITE)
        .union(WatchFlags::CREATE)
        .union(WatchFlags::DELETE)
        .union(WatchFlags::MOVED_FROM)
        .union(WatchFlags::MOVED_TO)
        .union(WatchFlags::MOVE_SELF)
        .union(WatchFlags::ONLYDIR);

    /// The directories of secret files, or the nearest ones above that are there.
    #[derive(Debug)]
    pub struct SecretWatch {
        inotify: AsyncFd<OwnedFd>,
        /// The names that matter in each directory, by the kernel's number for it.
        names: SortedMap<i32, SortedSet<OsString>>,
    }

    impl SecretWatch {
        /// Watches nothing yet. Needs a tokio runtime with I/O.
        pub fn open() -> io::Result<Self> {
            let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            #[expect(
                deprecated,
                reason = "the new form is unsafe; ours keeps the descriptor it shows"
            )]
            let inotify = AsyncFd::with_interest(inotify, Interest::READABLE)?;
            Ok(Self { inotify, names: SortedMap::new() })
        }

        /// Watches the secret files of `config` where they are now; what happened before is not lost.
        pub fn follow(&mut self, config: &Config) {
            self.names.clear();
            let mut known = SortedSet::new();
            for host in &config.hosts {
                let path = host.secret.as_ref().and_then(SecretPlace::file);
                let Some(path) = path else { continue };
                if known.insert(path) {
                    self.add(path);
                    // A link stays in its place, and the file that it leads to is replaced.
                    if let Some(real) = disk::real(path).ok().filter(|real| real != path) {
                        self.add(&real);
                    }
                }
            }
        }

        /// Watches the directory of the file at `path`, or the nearest one above that is there.
        fn add(&mut self, path: &Path) {
            let Ok(_hand) = disguised() else { return };
            let mut path = path;
            loop {
                let Some(name) = path.file_name() else { return };
                let directory = disk::directory(path);
                match inotify::add_watch(self.inotify.get_ref(), directory, CHANGES) {
                    Ok(number) => {
                        let names = self.names.entry(number).or_default();
                        names.insert(name.to_owned());
                        let receipt = receipt::beside(Path::new(name));
                        names.insert(receipt.into_os_string());
                        return;
                    }
                    Err(Errno::NOENT | Errno::NOTDIR) if directory != Path::new(".") => {
                        path = directory;
                    }
                    // The poll finds the change later.
                    Err(_) => return,
                }
            }
        }

        /// Waits until something happened to one of the files; loses nothing when it is dropped.
        pub async fn changed(&mut self) -> io::Result<()> {
            loop {
                let mut ready = self.inotify.readable().await?;
                if is_news(ready.get_inner(), &self.names)? {
                    return Ok(());
                }
                ready.clear_ready();
            }
        }
    }

    /// Reads all events of `inotify`, and returns whether one of them is about `names`.
    fn is_news(inotify: &OwnedFd, names: &SortedMap<i32, SortedSet<OsString>>) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(inotify, &mut buffer);
        let mut is_news = false;
        loop {
            match events.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    let of_directory = names.get(&event.wd());
                    // An event without a name is about the directory itself: its rights, or its end.
                    is_news |= event.events().contains(ReadFlags::QUEUE_OVERFLOW)
                        || of_directory
                            .is_some_and(|names| name.is_none_or(|name| names.contains(name)));
                }
                Err(Errno::AGAIN) => return Ok(is_news),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
