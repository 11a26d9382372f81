//! The shell of the `hosts-file` protocol: reads the file and replaces it atomically.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::core::plan::Update;
use crate::core::protocol::hosts_file;
use crate::os::disk::{self, writable};
use crate::os::reason::reason;
use crate::os::walk::{DirectoryEntry, mode};

/// The most bytes of a hosts file, which is a list for people; a larger file is something else.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The file's text; a file that does not exist yet is empty.
pub fn read_hosts_file(path: &Path) -> Result<String, String> {
    let failed = |why: &str| format!("{} cannot be read: {why}", path.display());
    let of_system = |error: io::Error| failed(&reason(&error));
    let opened = match disk::open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened.map_err(of_system)?,
    };
    let Some((file, metadata)) = opened else {
        return Err(failed(if path.is_dir() {
            "it is a directory; write the name of a file in it"
        } else {
            "it is not a hosts file"
        }));
    };
    if metadata.len() > LARGEST {
        return Err(failed("it is not a hosts file"));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => failed("it is not UTF-8 text, so no hosts file"),
        _ => of_system(error),
    })?;
    Ok(text)
}

/// Fulfils `updates` in the file, all of them or none; returns whether that changed it.
pub fn update(path: &Path, updates: &[Update]) -> Result<bool, String> {
    let before = read_hosts_file(path)?;
    let after = hosts_file::updated(&before, updates);
    if after == before {
        return Ok(false);
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
    Ok(true)
}

/// Replaces what `path` names, through symbolic links, keeping its mode and owner; readers see the
/// old text or the new one, never half of it.
///
/// A file that is a mount, as `/etc/hosts` of a container, cannot be replaced and is written to.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let (place, _hand) = writable(&disk::real(path)?)?;
    let mut name = place.name().to_owned();
    name.push(".homing-new");
    let beside = place.beside(&name)?;
    // A run that was killed may have left one.
    beside.remove()?;
    let written = fill_beside(&place, &beside, text).and_then(|()| place.take_from(&name));
    match written {
        Ok(()) => place.sync(),
        Err(error) => {
            // The file beside it is of no use any more.
            let _ = beside.remove();
            match error.kind() {
                io::ErrorKind::ResourceBusy => overwrite(&place, text),
                _ => Err(error),
            }
        }
    }
}

/// Makes a file at `beside` that holds `text` and has the mode and the owner of the one at `place`.
fn fill_beside(place: &DirectoryEntry, beside: &DirectoryEntry, text: &[u8]) -> io::Result<()> {
    let before = place.found()?;
    let mut file = beside.make()?;
    // Resolvers of other users must read it.
    let mode = before.as_ref().map_or(0o644, |before| mode(before) & 0o777);
    file.set_permissions(PermissionsExt::from_mode(mode))?;
    match before {
        Some(before) => {
            // Only root may give a file away; for others it is theirs anyway.
            let (uid, gid) = (Some(before.st_uid), Some(before.st_gid));
            let _ = std::os::unix::fs::fchown(&file, uid, gid);
        }
        None => disk::hand_over_to_author(&file)?,
    }
    file.write_all(text)?;
    file.sync_all()
}

/// Writes `text` over what is in the file at `place`.
fn overwrite(place: &DirectoryEntry, text: &[u8]) -> io::Result<()> {
    let opened = place.open(OFlags::WRONLY)?;
    let (mut file, _) = opened.ok_or_else(|| io::Error::other("it is not a file"))?;
    file.write_all(text)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}
