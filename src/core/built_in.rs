//! The built-in providers: texts that build.rs makes of `core/providers.toml`, decoded one by one when
//! they are named, so that a start decodes none of them.
//!
//! Owns the form of these texts. Called by the configuration, `homing providers` and `homing import`.

use std::borrow::Cow;
use std::iter;

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

fn entries() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut parts = parts(ENTRIES);
    iter::from_fn(move || Some((parts.next()?, parts.next()?)))
}

fn provider(name: &'static str, settings: &'static str) -> Option<Provider> {
    let mut parts = parts(settings);
    let mut provider = Protocol::named(parts.next()?)?.defaults(Cow::Borrowed(name));
    for setting in parts {
        let key = ProviderKey::signed(*setting.as_bytes().first()?)?;
        provider.set(key, Cow::Borrowed(setting.get(1..)?)).ok()?;
    }
    Some(provider)
}

fn parts(mut rest: &'static str) -> impl Iterator<Item = &'static str> {
    iter::from_fn(move || {
        let &[high, low, ..] = rest.as_bytes() else { return None };
        let length = usize::from(high) << 7 | usize::from(low);
        let (part, after) = rest.get(2..)?.split_at_checked(length)?;
        rest = after;
        Some(part)
    })
}
