//! Folders: what `issue --output` hands out, one for each token: the token, its receipt, and a
//! configuration for the machine that uses it.
//!
//! | file            | what                                                     |
//! |-----------------|----------------------------------------------------------|
//! | `config.toml`   | the blocks of the hosts that use the token               |
//! | `token`         | a copy of the token's file (`key`: of a key's)           |
//! | `token.receipt` | a copy of the receipt beside it, if there is one         |
//!
//! Everything is for its owner alone. What somebody else has put there is never overwritten.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::lock_directory;
use super::{Failure, Holder, TokenCommand, TokenFile, holder, token_file};
use crate::config::part::Parts;
use crate::config::secret::for_shell;
use crate::config::{self, Config, SecretPlace};
use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::protocol::manners::Issuer;
use crate::os::disk::{self, Ownership};
use crate::os::hand;
use crate::os::say::out;
use crate::receipt::{self, Receipt};

/// How the configuration begins that Homing has written, and may write again.
const BEGIN: &str = "# Made by `homing token issue --output`, which writes it again.\n";

/// The largest size of a file that is compared, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// More than a configuration has, in bytes.
const MOST: u64 = 32 * 1024 * 1024;

/// The folders of a command.
pub struct Folders<'a> {
    all: Vec<Folder<'a>>,
    is_dry_run: bool,
}

/// The folder of one token.
struct Folder<'a> {
    holder: Holder<'a>,
    /// The token's own file.
    source: TokenFile,
    path: PathBuf,
    configuration: String,
}

impl<'a> Folders<'a> {
    /// The folders in `directory` for the tokens of `parts`, whose hosts become those that can have one;
    /// the exit code for the others.
    pub fn plan(
        config: &'a Config,
        parts: &mut Vec<(Issuer, TokenCommand)>,
        directory: &Path,
    ) -> Result<(Self, Exit), Failure> {
        let text = disk::read_text(&config.path, MOST).ok().flatten().unwrap_or_default();
        let split = Parts::of(&text);
        let (mut exit, mut all) = (Exit::Right, Vec::<Folder<'_>>::new());
        let is_dry_run = parts.iter().any(|(_, part)| part.dry_run);
        for (issuer, part) in &mut *parts {
            let mut named = Vec::new();
            for holder in holder::asked(config, *issuer, &part.hosts)? {
                let name = holder.first().clone();
                let folder = Folder::of(holder.clone(), &split, directory);
                let is_taken = |folder: &Folder<'_>| all.iter().any(|it| it.path == folder.path);
                match folder {
                    Ok(folder) if is_taken(&folder) => {
                        let what = "another token of this name has the same folder";
                        let next = format!("give the file of {name} out by hand");
                        let failure = Failure::configuration(what, next);
                        exit = exit.max(failure.tell_of(&holder));
                    }
                    Ok(folder) => {
                        all.push(folder);
                        named.push(name);
                    }
                    Err(failure) => exit = exit.max(failure.tell_of(&holder)),
                }
            }
            part.hosts = named;
        }
        parts.retain(|(_, part)| !part.hosts.is_empty());
        Ok((Self { all, is_dry_run }, exit))
    }

    /// Makes `directory`, and keeps other runs out of it while the result lives.
    pub fn begin(&self, directory: &Path) -> Result<Option<File>, Failure> {
        if self.is_dry_run || self.all.is_empty() {
            return Ok(None);
        }
        let _caller = hand::as_caller();
        make_directory(directory)?;
        lock_directory(directory).map(Some)
    }

    /// Fills the folders of the tokens that are there; returns the exit code for those that failed.
    pub fn fill(&self) -> Exit {
        self.all.iter().map(|folder| self.fill_one(folder)).max().unwrap_or_default()
    }

    /// As [`fill`](Self::fill), for the token of `holder` alone, which is ready; nothing in a dry run.
    pub fn fill_of(&self, holder: &Holder<'_>) -> Exit {
        let own = |folder: &&Folder<'_>| !self.is_dry_run && folder.holder.place == holder.place;
        self.all.iter().find(own).map(|folder| self.fill_one(folder)).unwrap_or_default()
    }

    fn fill_one(&self, folder: &Folder<'_>) -> Exit {
        let (label, shown) = (folder.holder.label(), folder.path.display());
        match folder.fill(self.is_dry_run) {
            Ok(false) => {}
            Ok(true) if self.is_dry_run => out(&format!("{label}: + folder {shown}")),
            Ok(true) => out(&format!("{label}: ready to be handed out in {shown}")),
            Err(failure) => return failure.tell_of(&folder.holder),
        }
        Exit::Right
    }
}

impl<'a> Folder<'a> {
    /// The folder of `holder` in `directory`, in which nothing is somebody else's.
    fn of(holder: Holder<'a>, split: &Parts, directory: &Path) -> Result<Self, Failure> {
        let source = token_file(&holder)?;
        // No shell takes the star of a wildcard as it is.
        let path = directory.join(holder.first().as_str().replace('*', "_"));
        let names = holder.names();
        let names: Vec<&str> = names.iter().map(Hostname::as_str).collect();
        let configuration =
            [BEGIN, &split.configuration(&names, secret_name(holder.place))].concat();
        let folder = Self { holder, source, path, configuration };
        let parsed = config::parse(&folder.file("config.toml"), &folder.configuration, true);
        if let Err(problems) = parsed {
            let what = "the configuration for its machine would be wrong";
            return Err(Failure::configuration(format!("{what}: {problems}"), ""));
        }
        folder.refuse_foreign()?;
        Ok(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn secret_path(&self) -> PathBuf {
        self.file(secret_name(self.holder.place))
    }

    /// Refuses a folder or files that this command has not made.
    fn refuse_foreign(&self) -> Result<(), Failure> {
        let secret = text_of(self.source.path())?;
        let _caller = hand::as_caller();
        let foreign = |path: &Path, what: &str| {
            let next = "move it away, or name another --output";
            Err(Failure::configuration(format!("{} {what}", path.display()), next))
        };
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Failure::of_file(&self.path, "cannot be looked at", &error)),
            Ok(found) if !found.is_dir() => return foreign(&self.path, "is not a directory"),
            Ok(_) => {}
        }
        let (configuration, token) = (self.file("config.toml"), self.secret_path());
        if text_of(&configuration)?.is_some_and(|text| !text.starts_with(BEGIN)) {
            return foreign(&configuration, "was not made by this command");
        }
        let there = text_of(&token)?;
        let is_of_receipt = |text: &String| {
            let secret = config::secret::one_line(text.as_bytes());
            let receipt = receipt::read_receipt(&token).ok().flatten();
            secret.is_ok_and(|secret| receipt.is_some_and(|receipt| receipt.is_of(&secret)))
        };
        if there.as_ref().is_some_and(|text| there != secret && !is_of_receipt(text)) {
            return foreign(&token, "holds another secret");
        }
        let is_receipt = receipt::read_receipt(&token).is_ok();
        if is_receipt { Ok(()) } else { foreign(&receipt::path(&token), "is no receipt") }
    }

    /// Writes what is missing or different, or only looks in a dry run; returns whether there was
    /// anything. A token that is not known to be narrow is not handed out.
    fn fill(&self, is_dry_run: bool) -> Result<bool, Failure> {
        let secret = text_of(self.source.path())?;
        let is_fit = |receipt: &Receipt| {
            receipt.proven.is_some() && receipt.beyond.is_none() && receipt.revoked.is_none()
        };
        let has_receipt = self.holder.provider.manners().has_receipts();
        let is_ready = if has_receipt {
            self.source.look(true)?.proven().is_some_and(is_fit)
        } else {
            secret.is_some()
        };
        if !is_ready && !is_dry_run {
            return Ok(false);
        }
        let token = self.secret_path();
        let receipt = text_of(&receipt::path(self.source.path()))?;
        let files = [
            (self.file("config.toml"), Some(self.configuration.clone())),
            (token.clone(), secret),
            (receipt::path(&token), receipt),
        ];
        let _caller = hand::as_caller();
        let mut is_changed = false;
        for (path, text) in files {
            let (there, text) = (text_of(&path)?, text.unwrap_or_default());
            if there.unwrap_or_default() == text {
                continue;
            }
            is_changed = true;
            if !is_dry_run {
                make_directory(&self.path)?;
                let written = Ownership::of(&path)
                    .and_then(|ownership| disk::write_whole(&path, ownership, text.as_bytes()));
                written.map_err(|error| Failure::of_file(&path, "cannot be written", &error))?;
            }
        }
        Ok(is_changed)
    }
}

/// The text of the file at `path`, if it is there.
fn text_of(path: &Path) -> Result<Option<String>, Failure> {
    disk::read_text(path, LARGEST).map_err(|error| Failure::of_file(path, "cannot be read", &error))
}

/// The name that the file of a secret has in a folder.
fn secret_name(place: &SecretPlace) -> &'static str {
    match place {
        SecretPlace::KeyFile(_) => "key",
        _ => "token",
    }
}

/// Makes the directory at `path` if it is missing; refuses one that others can write to.
fn make_directory(path: &Path) -> Result<(), Failure> {
    const OTHERS_WRITE: u32 = 0o022;
    let failed = |error: &_| {
        let parent = for_shell(disk::directory(path));
        Failure::of_file(path, "cannot be made", error)
            .then(format!("run `mkdir -p {parent}`, or name another --output"))
    };
    match disk::create_directory(path) {
        Ok(()) => return disk::hand_over_directory(path).map_err(|error| failed(&error)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(&error)),
    }
    let found = fs::metadata(path).map_err(|error| failed(&error))?;
    if !found.is_dir() || found.mode() & OTHERS_WRITE != 0 {
        let what = "is no directory, or others can write to it";
        let next = format!("run `chmod go-w {}`, or name another --output", for_shell(path));
        return Err(Failure::configuration(format!("{} {what}", path.display()), next));
    }
    Ok(())
}
