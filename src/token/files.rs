//! The files of a token: its own, those of the next token until it replaces this one, and the receipts.
//!
//! | file                     | what                                                         |
//! |--------------------------|--------------------------------------------------------------|
//! | `dev1.token`             | the secret that hosts use                                    |
//! | `dev1.token.receipt`     | the known facts about the token                              |
//! | `dev1.token.new`         | a secret whose token is not ready, or not yet in place       |
//! | `dev1.token.new.receipt` | its token's id, so that a cut run can be cleaned up          |
//! | `dev1.token.old`         | the secret of a token that was replaced but not deleted      |
//!
//! A key has the first and the third (`dev1.key`, `dev1.key.new`).

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::config::SecretPlace;
use crate::config::secret::{self, Flaw, SecretError};
use crate::core::order::SortedSet;
use crate::core::secret::Secret;
use crate::os::clock;
use crate::os::disk::{self, Ownership, with_ending};
use crate::os::reason::reason;
use crate::receipt::{self, Receipt, ReceiptError};

const MAKE_WRITABLE: &str = "make that directory writable and run the command again";
const MAKE_WRITABLE_OR_OWN: &str = "make that directory writable, or run as its owner";
const MAKE_ROOM: &str = "make room there and run the command again";

/// The largest size of a token's file, in bytes.
const LARGEST: u64 = 8192;

/// A token's file, which may not exist yet.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
    ownership: Ownership,
}

/// The contents of a token's files.
#[derive(Debug, Default)]
pub struct Found {
    /// The secret in use.
    pub secret: Option<Secret>,
    /// Its receipt, or the receipt of a secret that was lost.
    pub receipt: Option<Receipt>,
    /// The receipt of a half-made token, left by a run that was cut.
    pub half_made: Option<Receipt>,
    /// Remarks to print.
    pub remarks: Vec<String>,
}

impl Found {
    /// The same without receipts that are not `here`: those of another server.
    pub fn only(mut self, here: &dyn Fn(&Receipt) -> bool) -> Self {
        self.receipt = self.receipt.filter(here);
        self.half_made = self.half_made.filter(here);
        self
    }

    /// The receipt, if it is of the secret in use.
    pub fn proven(&self) -> Option<&Receipt> {
        let secret = self.secret.as_ref()?;
        self.receipt.as_ref().filter(|receipt| receipt.is_of(secret))
    }
}

impl TokenFile {
    /// The file at `path`, or the file that the link there leads to.
    pub fn at(path: &Path) -> Result<Self, Failure> {
        let path = disk::real(path).map_err(|error| {
            Failure::of_file(path, "cannot be used", &error)
                .then("make it a file, or a link that root made")
        })?;
        let ownership = Ownership::of(&path).map_err(|error| {
            let directory = disk::directory(&path).display();
            let next = match error.kind() {
                io::ErrorKind::NotFound => format!("run `mkdir -p -m 750 {directory}`"),
                _ => "run as root, or as the user that owns the directory".to_owned(),
            };
            Failure::of_file(&path, "cannot be made", &error).then(next)
        })?;
        Ok(Self { path, ownership })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the next secret, until it replaces the one in use.
    pub fn new_path(&self) -> PathBuf {
        with_ending(&self.path, ".new")
    }

    /// The secret whose token is not in place yet.
    pub fn next_secret(&self) -> Option<Secret> {
        secret::read_secret(&SecretPlace::File(self.new_path())).ok()
    }

    /// Reads the files; unless `only_looking`, also completes a run that was cut at its very end.
    pub fn look(&self, only_looking: bool) -> Result<Found, Failure> {
        let mut found = Found { secret: self.secret()?, ..Found::default() };
        match receipt::read_receipt(&self.path) {
            Ok(receipt) => found.receipt = receipt,
            Err(ReceiptError::Damaged(path, what)) => {
                let aside = with_ending(&path, ".damaged");
                if !only_looking && disk::replace(&path, &aside).is_ok() {
                    let (path, aside) = (path.display(), aside.display());
                    found.remarks.push(format!("{path} is damaged ({what}); kept as {aside}"));
                } else {
                    found.remarks.push(format!("{} is damaged ({what})", path.display()));
                }
            }
            Err(error) => return Err(Failure::of_configuration(&error)),
        }
        if let (None, Some(receipt)) = (found.proven(), &found.receipt)
            && let Some(next) = self.next_secret()
            && receipt.is_of(&next)
        {
            // The run was cut between writing the receipt and replacing the secret.
            if !only_looking {
                self.put_in_place()?;
            }
            found.secret = Some(next);
        }
        self.look_for_half_made(&mut found, only_looking)?;
        Ok(found)
    }

    /// Ends with its token: removes what a cut run left, and notes in `receipt` that it was revoked.
    pub fn revoked(&self, receipt: Option<&Receipt>) -> Result<(), Failure> {
        self.remove_new();
        match receipt.filter(|known| known.revoked.is_none()) {
            Some(known) => {
                let (revoked, replaces) = (Some(clock::wall()), Vec::new());
                self.write_receipt(&Receipt { proven: None, revoked, replaces, ..known.clone() })
            }
            None => Ok(()),
        }
    }

    /// Finds the half-made token of a cut run; its receipt must be of the secret beside it.
    fn look_for_half_made(&self, found: &mut Found, only_looking: bool) -> Result<(), Failure> {
        let half = match receipt::read_receipt(&self.new_path()) {
            Ok(half) => half,
            Err(ReceiptError::Damaged(..)) => None,
            Err(error) => return Err(Failure::of_configuration(&error)),
        };
        let secret = self.next_secret();
        let in_use = found.receipt.as_ref().and_then(|receipt| receipt.id.clone());
        match half {
            Some(half) if half.id.is_some() && half.id == in_use => {}
            Some(half) if secret.is_some_and(|secret| half.is_of(&secret)) => {
                found.half_made = Some(half);
                return Ok(());
            }
            Some(_) => found.remarks.push(format!(
                "{} belongs to another secret than the one beside it; the token that it describes \
                    is unchanged",
                receipt::path(&self.new_path()).display()
            )),
            None => {}
        }
        if !only_looking {
            self.remove_new();
        }
        Ok(())
    }

    /// The secret in the file; `None` when there is no file, or an empty one.
    fn secret(&self) -> Result<Option<Secret>, Failure> {
        match secret::read_secret(&SecretPlace::File(self.path.clone())) {
            Ok(secret) => Ok(Some(secret)),
            Err(SecretError::Missing(_) | SecretError::Content { flaw: Flaw::Empty, .. }) => {
                Ok(None)
            }
            Err(error) => Err(Failure::of_configuration(&error)),
        }
    }

    /// The path for the secret of a replaced token: a free name, or a file with that secret.
    pub fn old_path(&self) -> PathBuf {
        const MOST: u32 = 99;
        let text = disk::read_text(&self.path, LARGEST).ok().flatten();
        let numbered = (2..=MOST).map(|number| format!(".old.{number}"));
        let endings = [".old".to_owned()].into_iter().chain(numbered);
        let mut paths = endings.map(|ending| with_ending(&self.path, &ending));
        let is_fit = |path: &PathBuf| {
            disk::read_text(path, LARGEST).is_ok_and(|there| there.is_none() || there == text)
        };
        paths.find(is_fit).unwrap_or_else(|| with_ending(&self.path, ".old"))
    }

    /// A message: the token in use is replaced but not deleted, and its secret is kept in this file.
    pub fn living_on_in_words(&self, kept: &Path) -> String {
        let (file, kept) = (self.path.display(), kept.display());
        format!(
            "  ! the secret in {file} is replaced, but its token still works: it is kept in {kept}"
        )
    }

    /// Keeps a copy of the secret in use at [`old_path`](Self::old_path), with its owner and mode.
    pub fn keep_old(&self) -> Result<(), Failure> {
        let path = self.old_path();
        let failed =
            |error| Failure::of_file(&path, "cannot be written", &error).then(MAKE_WRITABLE);
        let text = disk::read_text(&self.path, LARGEST).map_err(failed)?.unwrap_or_default();
        disk::write_whole(&path, self.ownership, text.as_bytes()).map_err(failed)
    }

    /// Creates the next secret's empty file: an unwritable directory shows before anything is sent.
    pub fn begin(&self) -> Result<File, Failure> {
        disk::create(&self.new_path(), self.ownership).map_err(|error| {
            Failure::of_file(&self.new_path(), "cannot be written", &error)
                .then(MAKE_WRITABLE_OR_OWN)
        })
    }

    /// Checks that the directory can be written to, and leaves nothing there.
    pub fn try_directory(&self) -> Result<(), Failure> {
        let path = with_ending(&self.path, ".new.try");
        let tried = disk::create(&path, self.ownership).and_then(|_| disk::remove(&path));
        tried.map_err(|error| {
            Failure::of_file(&path, "cannot be written", &error)
                .then(MAKE_WRITABLE_OR_OWN)
                .leaving("nothing was changed")
        })
    }

    /// Writes the next secret and the receipt that names its token, and syncs them to the disk.
    pub fn keep_half_made(
        &self,
        file: &mut File,
        secret: &Secret,
        receipt: &Receipt,
    ) -> Result<(), Failure> {
        let failed = |error| self.not_written(&error);
        disk::fill(file, format!("{}\n", secret.expose()).as_bytes()).map_err(failed)?;
        // The names of both are in one directory, which this syncs.
        receipt::write_receipt(&self.new_path(), receipt, self.ownership).map_err(failed)
    }

    /// Puts the next secret in place, after its receipt: readers of the secret then find the receipt.
    pub fn finish(&self, receipt: &Receipt) -> Result<(), Failure> {
        self.write_receipt(receipt)?;
        self.put_in_place()?;
        self.remove_new();
        Ok(())
    }

    /// Writes the next secret's whole file, and syncs it and its name to the disk.
    pub fn keep(&self, file: &mut File, text: &str) -> Result<(), Failure> {
        let synced = || disk::sync_directory(disk::directory(&self.path));
        disk::fill(file, text.as_bytes()).and_then(|()| synced()).map_err(|error| {
            self.remove_new();
            self.not_written(&error)
        })
    }

    /// The failure when the next secret or its receipt could not be written.
    fn not_written(&self, error: &io::Error) -> Failure {
        Failure::of_file(&self.new_path(), "cannot be written", error).then(MAKE_ROOM)
    }

    /// Replaces the secret in use by the next one.
    pub fn put_in_place(&self) -> Result<(), Failure> {
        disk::replace(&self.new_path(), &self.path).map_err(|error| {
            Failure::of_file(&self.path, "cannot be replaced", &error).then(MAKE_WRITABLE)
        })
    }

    /// Writes the receipt of the secret in use.
    pub fn write_receipt(&self, receipt: &Receipt) -> Result<(), Failure> {
        receipt::write_receipt(&self.path, receipt, self.ownership).map_err(|error| {
            Failure::of_file(&receipt::path(&self.path), "cannot be written", &error)
                .then(MAKE_WRITABLE)
        })
    }

    /// Confirms that the receipt of the secret in use is still right.
    pub fn confirm_receipt(&self) -> Result<(), Failure> {
        receipt::confirm(&self.path).map_err(|error| {
            Failure::of_file(&receipt::path(&self.path), "cannot be confirmed", &error)
        })
    }

    /// A receipt that holds only the server of the token, and that its secret is `secret`.
    pub fn receipt_of(&self, secret: &Secret, server: &str) -> Result<Receipt, Failure> {
        Receipt::of(secret, server)
            .map_err(|error| Failure::of_file(&self.path, "cannot be sealed", &error))
    }

    /// Removes the files of a next token that was deleted, or that is in place.
    pub fn remove_new(&self) {
        let receipts = [&self.path, &self.new_path()].map(|path| receipt::path(path));
        // The unfinished receipts of a killed run.
        let cut_short = receipts.each_ref().map(|path| with_ending(path, ".new"));
        let [_, half_made] = receipts;
        for path in [self.new_path(), half_made].into_iter().chain(cut_short) {
            // The next run handles files that could not be removed.
            let _ = disk::remove(&path);
        }
    }
}

/// Refuses a file whose next secret or receipt would overwrite another of `files`.
pub fn refuse_collisions(files: &[&Path]) -> Result<(), Failure> {
    for path in files {
        for ending in [".new", ".receipt", ".new.receipt", ".receipt.new", ".old", ".old.new"] {
            let taken = with_ending(path, ending);
            if files.contains(&taken.as_path()) {
                let (path, taken) = (path.display(), taken.display());
                return Err(Failure::configuration(
                    format!("{path} and {taken} cannot both be token files"),
                    "Homing writes the second one itself; give it another name",
                ));
            }
        }
    }
    Ok(())
}

/// Locks the receipts in the directories of `files` while the result lives.
pub fn lock<'a>(files: impl IntoIterator<Item = &'a TokenFile>) -> Result<Vec<File>, Failure> {
    // A directory with several paths is locked once.
    let directory = |file: &TokenFile| disk::canonical(disk::directory(file.path()));
    let directories = files.into_iter().map(directory).collect::<SortedSet<_>>();
    directories.iter().map(|directory| lock_directory(directory)).collect()
}

/// Locks the receipts in one directory while the result lives.
pub fn lock_directory(directory: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| Failure::of_file(directory, "cannot be locked", &error);
    let opened = disk::open_directory(directory).map_err(failed)?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => {
            let what = format!("another `homing token` is at work in {}", directory.display());
            Err(Failure::deferred(what, "wait for it, and run the command again"))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

impl Failure {
    /// A failure of the system with a file.
    pub(super) fn of_file(path: &Path, what: &str, error: &io::Error) -> Self {
        let what = format!("{} {what}: {}", path.display(), reason(error));
        Self::configuration(what, "")
    }
}
