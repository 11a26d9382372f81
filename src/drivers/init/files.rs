//! The files of `init`: what is there already, and how the new ones get their owner, mode and place.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use super::{DEFAULT_CONFIG, PROGRAM, SecretPlan, Stop, in_words, out};
use crate::config::problems::shown_path;
use crate::config::secret::for_shell;
use crate::os::disk::{self, Ownership};
use crate::os::hand;
use crate::os::reason::reason;
use crate::os::user::User;

/// The user that the service of packages runs as, who owns what it reads.
const SERVICE_USER: &str = "homing";

/// What is at the path of the configuration.
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A file without a setting, such as a package brings: its text is kept.
    Bare(String),
    /// A configuration, which is not touched.
    Configuration,
}

/// What is at `path`.
pub(super) fn found(path: &Path) -> Result<Found, Stop> {
    /// More than the comments that packages bring.
    const MOST: u64 = 64 * 1024;
    let stop = |what: &str| Err(Stop::configuration(format!("{} {what}", shown_path(path))));
    if path.is_dir() {
        let file = shown_path(&path.join("config.toml"));
        return stop(&format!("is a directory; name a file in it, such as {file}"));
    }
    let opened = match disk::open_named(path) {
        // A link that leads nowhere is no place for a configuration either.
        Err(error)
            if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() =>
        {
            return Ok(Found::Nothing);
        }
        Err(error) => {
            let why = reason(&error);
            return stop(&format!(
                "cannot be read: {why}; run this with sudo, or name a file of yours with --config"
            ));
        }
        Ok(opened) => opened,
    };
    let Some((file, _)) = opened else { return stop("is not a regular file; name another") };
    let mut text = Vec::new();
    let read = file.take(MOST + 1).read_to_end(&mut text);
    read.map_err(|error| {
        Stop::configuration(format!("{} cannot be read: {}", shown_path(path), reason(&error)))
    })?;
    let is_bare = |text: &String| {
        text.len() as u64 <= MOST
            && text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#'))
    };
    let bare = String::from_utf8(text).ok().filter(is_bare);
    Ok(bare.map_or(Found::Configuration, Found::Bare))
}

/// Refuses a `path` at which this user may write no file, before anything is asked.
pub(super) fn may_be_written(path: &Path) -> Result<(), Stop> {
    let directory = disk::directory(path);
    let place = if directory.exists() { path } else { directory };
    disk::may_make(place).map_err(|error| cannot(place, &error))
}

/// The problem that nothing can be made at `path`.
fn cannot(path: &Path, error: &io::Error) -> Stop {
    let shown = shown_path(path);
    let fix = match error.kind() {
        ErrorKind::NotFound => {
            format!("run `mkdir -p {}`", for_shell(disk::directory(path)))
        }
        ErrorKind::PermissionDenied => {
            "run this with sudo, or name a file of yours with --config".to_owned()
        }
        ErrorKind::AlreadyExists => "run this again, which looks at it first".to_owned(),
        _ => "nothing was changed there".to_owned(),
    };
    Stop::configuration(format!("{shown} cannot be made: {}; {fix}", reason(error)))
}

/// Writes the secret and then the configuration `text`: a run that is cut between the two leaves a
/// secret file that the next run finds.
pub(super) fn write(
    path: &Path,
    found: &Found,
    text: &str,
    secret_file: &Path,
    secret: &SecretPlan,
) -> Result<(), Stop> {
    let directory = disk::directory(path);
    let heir = heir(directory);
    if !directory.exists() {
        hand::serve(disk::authorship(heir, directory));
        disk::create_directory(directory).map_err(|error| cannot(directory, &error))?;
    }
    hand::serve(disk::authorship(heir, path));
    if let SecretPlan::Write(secret) = secret {
        let line = format!("{}\n", secret.expose().trim_end_matches('\n'));
        Ownership::of(secret_file)
            .and_then(|ownership| disk::write_new(secret_file, ownership, line.as_bytes()))
            .map_err(|error| cannot(secret_file, &error))?;
        out(&format!("{}: written; nobody but its owner may read it", shown_path(secret_file)));
    }
    let written = || {
        if let Found::Bare(_) = found {
            let path = disk::real(path)?;
            return disk::write_whole(&path, Ownership::of(&path)?, text.as_bytes());
        }
        disk::write_new(path, Ownership::of(path)?, text.as_bytes())
    };
    written().map_err(|error| cannot(path, &error))?;
    out(&format!("{}: written", shown_path(path)));
    Ok(())
}

/// The user that the files are made for: the service's, where root runs this in a directory of its own
/// and there is such a user.
fn heir(directory: &Path) -> Option<User> {
    let is_roots = disk::owner(directory).is_none_or(|owner| owner.uid == 0);
    let is_root = rustix::process::geteuid().is_root();
    User::named(SERVICE_USER).filter(|_| is_roots && is_root)
}

/// The lines that keep the hosts of `config` up to date, each with what it does.
pub(super) fn next(config: &Path) -> [(&'static str, String); 2] {
    const UNITS: [&str; 3] =
        ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let is_usual = config == Path::new(DEFAULT_CONFIG);
    let has_unit = UNITS.iter().any(|units| Path::new(units).join("homing.service").exists());
    if is_usual && has_unit && Path::new("/run/systemd/system").is_dir() {
        let start = format!("sudo systemctl enable --now {PROGRAM}");
        return [("update it once", in_words("--once", config)), ("and from now on", start)];
    }
    let program = std::env::current_exe().map_or(PROGRAM.to_owned(), |path| for_shell(&path));
    let named = if is_usual { String::new() } else { format!(" --config {}", for_shell(config)) };
    let line = format!("{program} --once{named}");
    let cron = format!("*/5 * * * *  {line}");
    [("update it once", line), ("and from now on, in `crontab -e`", cron)]
}
