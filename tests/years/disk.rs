//! The files of a simulated machine: the state and the secrets.
//!
//! The text of the state is written only where it is read back: at each start, and after one save in so
//! many.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use homing::config::{Config, SecretPlace};
use homing::core::memory::{Destination, Memory};
use homing::core::protocol::Credential;
use homing::core::round::{HostAccess, Shell, Subject};
use homing::core::secret::{Fingerprint, Secret};
use homing::core::token::upkeep::NoTerms;
use homing::state::{memory_in, write_text};

/// The disk with the state: the memory that its file holds.
pub struct Disk {
    pub saved: Memory,
    /// Whether nothing can be saved.
    pub full: bool,
    /// How many saves changed the state.
    pub saves: u64,
    /// What does not read back.
    pub broken: Option<String>,
    /// One save in so many is read back.
    reads_back: u64,
    /// How often a process that cron began has read it.
    runs: u64,
}

impl Disk {
    /// A disk with an empty state, from which one save in `reads_back` is read back.
    pub fn new(reads_back: u64) -> Self {
        let saved = Memory::default();
        Self { saved, full: false, saves: 0, broken: None, reads_back, runs: 0 }
    }

    /// Saves what differs from the file; the error says why that failed.
    pub fn save(&mut self, memory: &Memory) -> Result<(), String> {
        if self.saved == *memory {
            return Ok(());
        }
        if self.full {
            return Err("no space is left".to_owned());
        }
        self.saved.clone_from(memory);
        self.saves += 1;
        if self.saves.is_multiple_of(self.reads_back) {
            self.load();
        }
        Ok(())
    }

    /// The memory that a run which cron began reads: there are so many of them that one in so many, too,
    /// reads it from the text.
    pub fn load_for_run(&mut self) -> Memory {
        self.runs += 1;
        if self.runs.is_multiple_of(self.reads_back) { self.load() } else { self.saved.clone() }
    }

    /// The memory that is read from the file.
    pub fn load(&mut self) -> Memory {
        let mut text = Vec::new();
        let written = write_text(&self.saved, &mut text);
        debug_assert!(written.is_ok(), "it is written to memory");
        match std::str::from_utf8(&text).map(memory_in) {
            Ok(Ok(read)) if read == self.saved => read,
            read => {
                self.broken = Some(format!("(e) {:?} is saved and read as {read:?}", self.saved));
                Memory::default()
            }
        }
    }
}

/// A fingerprint: equal for equal parts (FNV-1a).
pub fn hash(parts: &[&str]) -> Fingerprint {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    let mixed = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |known, byte| {
        (known ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Fingerprint(mixed)
}

/// The secrets in their files.
pub type Files = BTreeMap<PathBuf, String>;

/// What decisions need of the machine at once.
pub struct Machine<'a> {
    pub disk: &'a mut Disk,
    pub config: &'a Config,
    pub files: &'a Files,
}

impl Shell for Machine<'_> {
    fn save(&mut self, memory: &Memory) -> Result<(), String> {
        self.disk.save(memory)
    }

    fn access(&self, subject: &Subject) -> Option<Rc<HostAccess>> {
        access(self.config, self.files, subject).ok()
    }
}

/// The access of a host by the secret that is in its file.
pub fn access(config: &Config, files: &Files, subject: &Subject) -> Result<Rc<HostAccess>, String> {
    let host = &config.hosts[subject.at];
    let file = host.secret.as_ref().and_then(SecretPlace::file);
    let secret = file.and_then(|file| files.get(file)).ok_or("no such file")?;
    let login = host.username.clone().unwrap_or_default();
    let identity = hash(&[&login, secret]);
    let name = host.host.key.host.as_str();
    let server = hash(&[&subject.place]);
    Ok(Rc::new(HostAccess {
        zone: None,
        credential: Credential { login: login.clone(), secret: Secret::new(secret) },
        identity,
        about: identity,
        fingerprint: hash(&[&login, secret, name]),
        server,
        place: Destination {
            fingerprint: hash(&[&subject.place, &login]),
            zone: host.host.zone.clone(),
            void_since: None,
        },
        terms: Err(NoTerms::NoReceipt),
        expires: None,
    }))
}
