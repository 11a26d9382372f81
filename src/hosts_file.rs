//! The shell of the `hosts-file` protocol: reads the file and replaces it atomically.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::core::outcome::{Fault, Outcome};
use crate::core::plan::Update;
use crate::core::protocol::{Verdict, hosts_file};

/// A hosts file is a list for people; something larger is something else.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The file's text; a file that does not exist yet is empty.
pub fn read(path: &Path) -> Result<String, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(failed(&error)),
    };
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(failed(&"it is not a hosts file"));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| failed(&error))?;
    Ok(text)
}

/// Fulfils `updates` in the file, all of them or none.
pub fn update(path: &Path, updates: &[Update]) -> Verdict {
    let result = read(path).and_then(|before| {
        let after = hosts_file::updated(&before, updates);
        if after == before {
            return Ok(Outcome::Unchanged);
        }
        let failed = |error| format!("{} cannot be written: {error}", path.display());
        replace(path, after.as_bytes()).map_err(failed)?;
        Ok(Outcome::Updated)
    });
    Verdict::All(result.unwrap_or_else(|reason| Outcome::deferred(Fault::Storage, reason)))
}

/// Replaces what `path` names, through symbolic links, keeping its mode; readers see the old text
/// or the new one, never half of it.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = fs::metadata(&path).map_or(0o644, |metadata| metadata.mode() & 0o777);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".homing-{}", std::process::id()));
    let beside: PathBuf = path.with_file_name(name);
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        // The mode given at creation is cut by the umask; resolvers of other users must read it.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    })();
    if written.is_err() {
        // What is left beside the file is of no use to anybody.
        let _ = fs::remove_file(&beside);
    }
    written
}
