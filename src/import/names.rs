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
    /// The closed service of the first name, which the client calls by the second one.
    Closed(&'static str, &'static str),
    /// A server that speaks dyndns2, and its path for updates.
    Other(&'static str, &'static str),
}

/// The names of services in `client`, in the order of the entries.
pub(super) fn of(client: Client) -> impl Iterator<Item = (&'static str, Meaning)> {
    names(client.word())
}

/// The service whose entry lists `server`: a built-in one, or a closed one.
pub(super) fn at_server(server: &str) -> Option<Meaning> {
    names("servers").find(|(name, _)| *name == server).map(|(_, meaning)| meaning)
}

fn names(user: &'static str) -> impl Iterator<Item = (&'static str, Meaning)> {
    NAMES.lines().filter_map(move |line| {
        let (name, meaning) = line.strip_prefix(user)?.strip_prefix(' ')?.split_once(' ')?;
        let meaning = match (meaning.strip_prefix('!'), meaning.find('/')) {
            (Some(closed), _) => Meaning::Closed(closed, name),
            (None, Some(end)) => Meaning::Other(&meaning[..end], &meaning[end..]),
            (None, None) => Meaning::BuiltIn(meaning),
        };
        Some((name, meaning))
    })
}
