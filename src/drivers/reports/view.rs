//! The view: what the files about the hosts show, from the configuration and the memory.

use crate::config::HostConfig;
use crate::core::exit::Exit;
use crate::core::memory::{Entry, Key, Memory};
use crate::core::time::Timestamp;
use crate::core::token::upkeep::End;
use crate::drivers::status::{self, TokenStatus};
use crate::os::local::Local;
use crate::round::{CredentialReader, Engine};

/// What is shown.
pub struct View<'a> {
    /// When this was so, by the clocks here.
    pub as_of: Local,
    /// When the files are written again at the latest, as long as Homing runs.
    pub next_by: Timestamp,
    /// When the last round was over.
    pub last_round: Timestamp,
    /// The hosts, in the order of the configuration.
    pub hosts: Vec<HostView<'a>>,
    /// What is remembered.
    pub memory: &'a Memory,
    /// Whether the state cannot be saved.
    pub is_unsaved: bool,
}

/// What is shown of a host.
pub struct HostView<'a> {
    /// The host as configured.
    pub config: &'a HostConfig,
    /// What is remembered of it, if anything is.
    pub entry: Option<&'a Entry>,
    /// The exit code that it stands for.
    pub standing: Exit,
    /// When its unchanged addresses are sent next.
    pub refresh: Option<Timestamp>,
    /// The end of its token.
    pub end: End,
    /// Why a person must act for its token, and the fix, if one must.
    pub token_problem: Option<String>,
}

impl HostView<'_> {
    /// The host and its provider.
    pub fn key(&self) -> &Key {
        &self.config.host.key
    }

    /// Whether its secret cannot be used.
    pub fn is_left_out(&self) -> bool {
        self.entry.is_some_and(|entry| entry.left_out.is_some())
    }
}

impl<'a> View<'a> {
    /// What `engine` knows at `as_of`.
    pub fn of(engine: &'a Engine, as_of: Local, next_by: Timestamp, last_round: Timestamp) -> Self {
        let memory = engine.memory();
        let mut reader = CredentialReader::new(&engine.store);
        let hosts = engine.config.hosts.iter().map(|config| {
            let provider = &engine.config.providers[config.provider];
            let entry = memory.entry(&config.host.key);
            let token = TokenStatus::of(config, provider, &mut reader);
            let refresh = entry.and_then(|entry| status::refresh(config, entry));
            let standing = status::standing(config, &token, memory, as_of.now);
            let token_problem = token.problem(&config.host.key.host, memory, as_of);
            HostView { config, entry, standing, refresh, end: token.end(memory), token_problem }
        });
        let is_unsaved = engine.report().storage_problem.is_some();
        let hosts = hosts.collect();
        Self { as_of, next_by, last_round, hosts, memory, is_unsaved }
    }
}
