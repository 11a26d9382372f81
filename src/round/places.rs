//! Places: compares the places in the memory with those where the hosts' records are now, for a command
//! that only looks and does not save.

use std::rc::Rc;

use super::credentials::{CredentialReader, servers};
use crate::config::{Config, HostConfig};
use crate::core::memory::Memory;
use crate::core::round::{HostAccess, note_places};
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
) -> Vec<Result<Rc<HostAccess>, String>> {
    let servers = servers(config, store, memory);
    let mut reader = CredentialReader::new(store);
    let access = |host: &HostConfig| reader.access(host, &config.providers[host.provider]);
    let accesses: Vec<_> = config.hosts.iter().map(access).collect();
    let keys = config.hosts.iter().map(|host| &host.host.key);
    let places = keys.zip(&accesses).map(|(key, access)| (key, access.as_deref().ok()));
    note_places(memory, places, servers, now);
    accesses
}
