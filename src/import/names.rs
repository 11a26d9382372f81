//! The names of services in other clients, from the entries in `core/providers.toml`.
//!
//! Owns the format of that list, which build.rs writes. Called by the reader of each client.

use super::Client;

/// The list, one name per line: the client, the name, and its meaning.
const NAMES: &str = include_str!(concat!(env!("OUT_DIR"), "/names.txt"));

/// The meaning of a service's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// The built-in provider of that name.
    BuiltIn(&'static str),
    /// A server that speaks dyndns2, and its path for updates.
    Other(&'static str, &'static str),
}

/// The names of services in `client`, in the order of the entries.
pub(super) fn of(client: Client) -> impl Iterator<Item = (&'static str, Meaning)> {
    names(client.word())
}

/// The built-in provider whose entry lists `server` as an additional one.
pub(super) fn at_server(server: &str) -> Option<&'static str> {
    names("servers").find_map(|(name, meaning)| match meaning {
        Meaning::BuiltIn(provider) if name == server => Some(provider),
        Meaning::BuiltIn(_) | Meaning::Other(..) => None,
    })
}

fn names(user: &'static str) -> impl Iterator<Item = (&'static str, Meaning)> {
    NAMES.lines().filter_map(move |line| {
        let (name, meaning) = line.strip_prefix(user)?.strip_prefix(' ')?.split_once(' ')?;
        let other = meaning.find('/').map(|end| meaning.split_at(end));
        let other = other.map(|(server, path)| Meaning::Other(server, path));
        Some((name, other.unwrap_or(Meaning::BuiltIn(meaning))))
    })
}
