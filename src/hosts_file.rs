//! The shell of the `hosts-file` protocol: reads the file and replaces it atomically.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::core::outcome::{Fault, Outcome};
use crate::core::plan::Update;
use crate::core::protocol::{Verdict, hosts_file};
use crate::reason::reason;

/// A hosts file is a list for people; something larger is something else.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The file's text; a file that does not exist yet is empty.
pub fn read(path: &Path) -> Result<String, String> {
    let failed = |why: &str| format!("{} cannot be read: {why}", path.display());
    let of_system = |error: io::Error| failed(&reason(&error));
    // Before it is opened: a pipe would keep us waiting.
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(of_system(error)),
    };
    if metadata.is_dir() {
        return Err(failed("it is a directory; write the name of a file in it"));
    }
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(failed("it is not a hosts file"));
    }
    let file = File::open(path).map_err(of_system)?;
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => failed("it is not UTF-8 text, so no hosts file"),
        _ => of_system(error),
    })?;
    Ok(text)
}

/// Fulfils `updates` in the file, all of them or none.
pub fn update(path: &Path, updates: &[Update]) -> Verdict {
    let result = read(path).and_then(|before| {
        let after = hosts_file::updated(&before, updates);
        if after == before {
            return Ok(Outcome::Unchanged);
        }
        let failed = |error: io::Error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => {
                    let directory = path.parent().unwrap_or(path).display();
                    format!("its directory does not exist; run `mkdir -p {directory}`")
                }
                _ => reason(&error),
            };
            format!("{} cannot be written: {why}", path.display())
        };
        replace(path, after.as_bytes()).map_err(failed)?;
        Ok(Outcome::Updated)
    });
    Verdict::All(result.unwrap_or_else(|reason| Outcome::deferred(Fault::Storage, reason)))
}

/// Replaces what `path` names, through symbolic links, keeping its mode and owner; readers see the
/// old text or the new one, never half of it.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let before = fs::metadata(&path).ok();
    let mode = before.as_ref().map_or(0o644, |metadata| metadata.mode() & 0o777);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".homing-new");
    let beside: PathBuf = path.with_file_name(name);
    // What a run that was killed has left; and nobody else's link may stand in its place.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        // The mode given at creation is cut by the umask; resolvers of other users must read it.
        file.set_permissions(PermissionsExt::from_mode(mode))?;
        if let Some(before) = &before {
            // Only root may give a file away; for others it is theirs anyway.
            let _ = std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()));
        }
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    })();
    if written.is_err() {
        // What is left beside the file is of no use to anybody.
        let _ = fs::remove_file(&beside);
    }
    written
}
