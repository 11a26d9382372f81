//! Places: compares the places in the memory with those where the hosts' records are now, for a command
//! that only looks and does not save.

use super::credentials::{CredentialReader, servers};
use crate::config::Config;
use crate::core::memory::Memory;
use crate::core::round::{HostAccess, note_places, settle_in};
use crate::core::time::Timestamp;
use crate::state::Store;

/// Forgets what is remembered of other places than those of the hosts of `config`, and returns
/// the access of each host, or what is wrong with its secret.
///
/// If a host's secret cannot be read, its place is not known, and nothing of it is forgotten.
pub fn take_places(
    config: &Config,
    store: &Store,
    memory: &mut Memory,
    now: Timestamp,
) -> Vec<Result<HostAccess, String>> {
    let servers = servers(config, store, memory);
    note_places(memory, config.hosts.iter().map(|host| &host.host.key), servers, now);
    let mut reader = CredentialReader::new(store);
    let accesses = config.hosts.iter().map(|host| {
        let access = reader.access(host, &config.providers[host.provider])?;
        settle_in(memory, &host.host.key, &access);
        Ok(access)
    });
    accesses.collect()
}
