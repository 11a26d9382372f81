//! Checks as root whether the user who runs Homing can read a file.
//!
//! Computes this from owner, group and mode; never acts as that user. Called by `check`.

use std::fmt::Display;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::problems::shown_path;
use super::secret::{check_exposure, for_shell, open_to};
use crate::os::disk;

/// The user who runs Homing, if that is not root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceUser {
    uid: u32,
    gid: u32,
    /// The user's name, or number if there is no name.
    name: String,
}

impl ServiceUser {
    /// The owner of `state_dir`; if that is root or `state_dir` is missing, the owner of the directory
    /// of the file `config`. `None` when both are root, or this process is not root.
    pub fn of(config: &Path, state_dir: &Path) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        [state_dir, disk::directory(config)].into_iter().find_map(|directory| {
            let metadata = fs::metadata(directory).ok().filter(|found| found.uid() != 0)?;
            let (uid, gid) = (metadata.uid(), metadata.gid());
            Some(Self { uid, gid, name: for_chown(&disk::owner(directory)?, uid) })
        })
    }

    /// The reason why this user cannot read the configuration at `path`, with the fix.
    pub fn config_problem(&self, path: &Path) -> Option<String> {
        self.problem(path, &file_at(path)?, false)
    }

    /// The reason why this user cannot use the secret file at `path`, with the fix; `None` also for a
    /// missing file, and for their own file that others may read: root finds both as well.
    pub fn secret_problem(&self, path: &Path) -> Option<String> {
        let file = file_at(path)?;
        let is_exposed = check_exposure(&file).is_err();
        self.problem(path, &file, is_exposed)
    }

    fn problem(&self, path: &Path, file: &Metadata, is_exposed: bool) -> Option<String> {
        let (mode, is_own) = (file.mode() & 0o7777, file.uid() == self.uid);
        let what = match is_exposed {
            true if is_own => return None,
            true => format!("is open to {} ({mode:04o})", open_to(mode)),
            false if self.may_read(file.uid(), file.gid(), mode) => return None,
            false => format!("cannot be read by {}, as whom Homing runs", self.name),
        };
        let quoted = for_shell(path);
        let chown = (!is_own).then(|| format!("chown {} {quoted}", self.name));
        // For an owner only the owner's bits count, whatever the group may do.
        let chmod = (is_exposed || mode & 0o400 == 0).then(|| format!("chmod 600 {quoted}"));
        let fix: Vec<String> = chown.into_iter().chain(chmod).collect();
        Some(format!("{} {what}; run `{}`", shown_path(path), fix.join(" && ")))
    }

    /// Whether a file of `uid` and `gid` with the permissions `mode` lets this user read it
    /// (`path_resolution(7)`): the first that matches of owner, group and others decides.
    fn may_read(&self, uid: u32, gid: u32, mode: u32) -> bool {
        let bit = if uid == self.uid {
            0o400
        } else if gid == self.gid {
            0o040
        } else {
            0o004
        };
        mode & bit != 0
    }
}

/// The metadata of the regular file at `path`; `None` without one.
fn file_at(path: &Path) -> Option<Metadata> {
    fs::metadata(path).ok().filter(Metadata::is_file)
}

/// The user `owner` as an argument of `chown`: the name, or the number if there is no name.
fn for_chown(owner: &impl Display, uid: u32) -> String {
    let name = owner.to_string();
    if name.contains(' ') { uid.to_string() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_fits_decides() {
        let service = ServiceUser { uid: 998, gid: 996, name: "homing".to_owned() };
        for (uid, gid, mode, expect) in [
            (998, 0, 0o600, true),
            (998, 996, 0o044, false),
            (0, 996, 0o640, true),
            (0, 996, 0o604, false),
            (0, 0, 0o640, false),
            (0, 0, 0o604, true),
            (0, 0, 0o600, false),
        ] {
            assert_eq!(service.may_read(uid, gid, mode), expect, "{uid}:{gid} {mode:o}");
        }
    }

    #[test]
    fn a_user_without_a_name_goes_by_number() {
        assert_eq!(for_chown(&"homing", 998), "homing");
        assert_eq!(for_chown(&"user 998", 998), "998");
    }
}
