//! Places: compares the places in the memory with those where the hosts' records are now.
//!
//! Comes before every decision, of a round and of a command that only looks; the command does not save.

use super::credentials::{CredentialReader, HostAccess};
use crate::config::Config;
use crate::core::memory::{Key, Memory, ZoneKey};
use crate::core::order;
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
    let configured = order::distinct(config.hosts.iter().map(|host| &host.host.key));
    for (key, entry) in &mut memory.hosts {
        entry.note_configured(configured.contains(key), now);
    }
    let mut reader = CredentialReader::new(store);
    for provider in &config.providers {
        // A provider that was never asked has nothing to forget.
        if memory.servers.contains_key(&*provider.name) {
            memory.note_server(&provider.name, reader.server(provider));
        }
    }
    let accesses = config.hosts.iter().map(|host| {
        let access = reader.access(host, &config.providers[host.provider])?;
        let Key { provider, .. } = &host.host.key;
        let entry = memory.hosts.get_mut(&host.host.key);
        if entry.is_some_and(|entry| entry.settle_in(&access.place)) {
            // The remembered pace is that of the former zone.
            memory.paces.remove(&ZoneKey { provider: provider.clone(), zone: None });
            if let Some(token) = memory.tokens.get_mut(&access.identity) {
                token.check = None;
            }
        }
        Ok(access)
    });
    accesses.collect()
}
