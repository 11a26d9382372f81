//! `import`: prints another client's configuration as one of Homing, and puts its secrets into files.
//!
//! Prints the configuration or nothing; no secret ever goes to standard output or standard error.

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::err;
use crate::cli::ImportCommand;
use crate::config;
use crate::config::problems::shown_path;
use crate::config::secret::{in_shell_quotes, one_line};
use crate::core::exit::Exit;
use crate::import::{self, SecretFile, Written};
use crate::os::disk::{self, Handed, Ownership};
use crate::os::reason::reason;

/// Translates the file that `command` names; `quiet` leaves out the summary of a success.
pub fn run(command: &ImportCommand, quiet: bool) -> Exit {
    let written = match translated(command) {
        Ok(written) => written,
        Err((exit, what)) => {
            err(&what);
            return exit;
        }
    };
    if let Err(error) = print(&written.text) {
        err(&format!("the configuration cannot be written out: {}", reason(&error)));
        return Exit::Deferred;
    }
    if written.carried == 0 {
        let stored = match (&command.secrets_dir, written.secrets.len()) {
            (Some(_), 1) => " (1 secret was put into its file all the same)".to_owned(),
            (Some(_), count @ 2..) => {
                format!(" ({count} secrets were put into files all the same)")
            }
            _ => String::new(),
        };
        err(&format!(
            "no host could be carried over{stored}, so the output is not a configuration yet; its \
                comments say what to do",
        ));
        return Exit::Configuration;
    }
    if !quiet && !io::stdout().is_terminal() {
        err(&summary(&written));
    }
    Exit::Right
}

/// The configuration, with its secrets stored already; the error is the exit code and the message.
fn translated(command: &ImportCommand) -> Result<Written, (Exit, String)> {
    let from_stdin = command.file == Path::new("-");
    let shown = if from_stdin { "standard input".to_owned() } else { shown_path(&command.file) };
    let wrong = |what: String| (Exit::Configuration, what);
    let bytes =
        read_set_up(&command.file, from_stdin).map_err(|what| wrong(format!("{shown} {what}")))?;
    // Comments may be in any encoding, and the rest is ASCII; a secret that is not UTF-8 is reported.
    let text = String::from_utf8_lossy(&bytes);
    let draft = import::read_draft(command.client, &text)
        .map_err(|unusable| wrong(format!("{shown}: {unusable}")))?;
    let directory = command.secrets_dir.as_deref().map(directory).transpose()?;
    let written =
        draft.written(&shown, directory.as_ref().map(|(_, text)| &**text), config::problems_in);
    if let Some((directory, _)) = directory {
        store(&directory, &written.secrets).map_err(wrong)?;
    }
    Ok(written)
}

/// The content of `file`; an error is the end of a sentence that begins with the file's name.
fn read_set_up(file: &Path, from_stdin: bool) -> Result<Vec<u8>, String> {
    const MOST: u64 = 1024 * 1024;
    let mut bytes = Vec::new();
    let result = if from_stdin {
        io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes)
    } else {
        Handed::open(file).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
    };
    result.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "does not exist; name the old client's configuration".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "cannot be read (permission denied); run this as its owner".to_owned()
        }
        io::ErrorKind::IsADirectory => "is a directory; name the file in it".to_owned(),
        _ => format!("cannot be read: {}", reason(&error)),
    })?;
    if bytes.len() as u64 > MOST {
        return Err(
            "is larger than 1 MiB and cannot be a configuration; name the right file".to_owned()
        );
    }
    Ok(bytes)
}

/// The absolute path of the directory for secrets, also as text for the configuration.
fn directory(path: &Path) -> Result<(PathBuf, String), (Exit, String)> {
    let usage = |what: &str| (Exit::Usage, format!("--secrets-dir: {what}"));
    let whole = std::path::absolute(path)
        .map_err(|_| usage("the working directory has gone; write the whole path"))?;
    let text = whole.to_str().map(str::to_owned);
    let text = text.ok_or_else(|| {
        usage("the name is not UTF-8 text, as a configuration must be; choose another")
    })?;
    Ok((whole, text))
}

/// Writes each secret to its file in `directory`, after checking that no file holds another secret.
fn store(directory: &Path, secrets: &[SecretFile]) -> Result<(), String> {
    if secrets.is_empty() {
        return Ok(());
    }
    prepare(directory)?;
    let mut missing = Vec::new();
    for file in secrets {
        let path = directory.join(&file.name);
        let shown = shown_path(&path);
        let unreadable =
            |error: io::Error| format!("{shown} cannot be read: {}; move it away", reason(&error));
        let Some(held) = disk::read_text(&path, LONGEST).map_err(unreadable)? else {
            missing.push((path, file));
            continue;
        };
        let mode = fs::metadata(&path).map_err(unreadable)?.mode() & 0o7777;
        if one_line(held.as_bytes()).as_ref() != Ok(&file.secret) {
            return Err(format!(
                "{shown} has other content and was not changed; move it away, or name another \
                    --secrets-dir"
            ));
        }
        if mode & BEYOND_A_SECRET != 0 {
            return Err(format!(
                "{shown} is open to others ({mode:04o}); run `chmod 600 {}`",
                in_shell_quotes(&path)
            ));
        }
    }
    for (path, file) in missing {
        write_secret(&path, file).map_err(|error| {
            format!("{} cannot be written: {}", shown_path(&path), reason(&error))
        })?;
    }
    Ok(())
}

/// The mode bits that a secret file must not have; the group may read it.
const BEYOND_A_SECRET: u32 = 0o037;

/// The most that is read of a secret file, in bytes; more than any holds.
const LONGEST: u64 = 8192;

/// Makes the directory if it is missing; refuses one that a group or others can write to.
fn prepare(directory: &Path) -> Result<(), String> {
    const OTHERS_WRITE: u32 = 0o022;
    let shown = shown_path(directory);
    match disk::create_directory(directory) {
        Ok(()) => disk::hand_over_directory(directory).map_err(|error| {
            format!("{shown} cannot be given to its parent's owner: {}", reason(&error))
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = in_shell_quotes(disk::directory(directory));
            return Err(format!(
                "{shown} cannot be made: {}; run `mkdir -p {parent}`",
                reason(&error)
            ));
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(format!("{shown} cannot be made: {}", reason(&error)));
        }
        Err(_) => {}
    }
    let metadata = fs::metadata(directory)
        .map_err(|error| format!("{shown} cannot be looked at: {}", reason(&error)))?;
    if !metadata.is_dir() {
        return Err(format!("{shown} is not a directory; name another --secrets-dir"));
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        return Err(format!(
            "{shown} can be written to by others; run `chmod go-w {}`, or name another --secrets-dir",
            in_shell_quotes(directory)
        ));
    }
    Ok(())
}

/// Writes one file, which is complete before it gets its name.
fn write_secret(path: &Path, file: &SecretFile) -> io::Result<()> {
    let line = format!("{}\n", file.secret.expose());
    disk::write_whole(path, Ownership::of(path)?, line.as_bytes())
}

/// Prints all of `text`; a reader that has gone is no error.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn summary(written: &Written) -> String {
    let count = |count: usize, one: &str, several: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {several}") }
    };
    let carried = count(written.carried, "host", "hosts");
    let left_out = if written.left_out == 0 {
        String::new()
    } else {
        format!(", {} left out", written.left_out)
    };
    let to_do = count(written.to_do, "thing", "things");
    format!("{carried} carried over{left_out}, {to_do} to look at")
}
