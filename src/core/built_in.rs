//! The built-in providers: texts that build.rs makes of `core/providers.toml`, decoded one by one when
//! they are named, so that a start decodes none of them.
//!
//! Owns the form of these texts. Called by the configuration, `homing providers` and `homing import`.

use std::borrow::Cow;
use std::iter;

use super::phrases::expand;
use super::protocol::http::entry::Settings;
use super::protocol::http::tree::{Tree, parts};
use super::protocol::manners::Protocol;
use super::provider::Provider;
use super::provider_key::ProviderKey;

/// Two parts for each entry, sorted by name: its name and its settings. The settings are parts, too:
/// the protocol, then the sign and the value of each key, in the order of their ranks.
///
/// A part is a length in bytes, as two characters of seven bits each, and a text of that length.
const ENTRIES: &str = include_str!(concat!(env!("OUT_DIR"), "/providers.txt"));

/// The names of the built-in providers, sorted.
pub fn names<'a>() -> impl Iterator<Item = &'a str> {
    entries().map(|(name, _)| -> &'a str { name })
}

/// The built-in provider called `name`.
pub fn named(name: &str) -> Option<Provider> {
    let (name, settings) = entries().find(|(known, _)| *known == name)?;
    provider(name, settings)
}

/// The built-in providers, sorted by name.
pub fn all() -> impl Iterator<Item = Provider> {
    entries().filter_map(|(name, settings)| provider(name, settings))
}

/// The built-in providers whose settings hold `text`, sorted by name.
pub fn mentioning(text: &str) -> impl Iterator<Item = Provider> {
    let holding = entries().filter(move |(_, settings)| expand(settings).contains(text));
    holding.filter_map(|(name, settings)| provider(name, settings))
}

fn entries() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut parts = parts(ENTRIES);
    iter::from_fn(move || Some((parts.next()?, parts.next()?)))
}

fn provider(name: &'static str, settings: &'static str) -> Option<Provider> {
    let mut parts = parts(settings);
    let mut provider = Protocol::named(&expand(parts.next()?))?.defaults(Cow::Borrowed(name));
    let mut entry = Settings::new();
    for setting in parts {
        let key = ProviderKey::signed(*setting.as_bytes().first()?)?;
        let value = setting.get(1..)?;
        if provider.protocol.is_described_by(key) {
            entry.push((key, Tree::decode(value)));
        } else {
            provider.set(key, expand(value)).ok()?;
        }
    }
    if provider.protocol.is_described() {
        provider.describe_as_built_in(entry).ok()?;
    }
    Some(provider)
}
