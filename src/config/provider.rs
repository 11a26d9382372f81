//! `[provider.NAME]`: a provider of the user's own, or other settings for a built-in one.
//!
//! The keys are those of `core/providers.toml`; a test also reads that file in this way and compares.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use super::problems::{Notes, quoted, shown_path};
use super::table::{Section, SectionKind, Setting};
use super::url::{self, Trust};
use super::value;
use crate::core::built_in;
use crate::core::feature;
use crate::core::nearest::nearest;
use crate::core::order;
use crate::core::protocol::manners::{MOST_HOSTS, Protocol, Transport};
use crate::core::protocol::rfc2136::PORT;
use crate::core::provider::Provider;
use crate::core::provider_key::ProviderKey;

/// A provider as it is written.
pub(super) struct ProviderSection {
    /// Its name.
    pub(super) name: String,
    /// The provider, unless its protocol is unknown.
    pub(super) provider: Option<Provider>,
}

/// Reads one section.
pub(super) fn read_provider(
    name: &str,
    section: &mut Section<'_>,
    base: &Path,
    notes: &mut Notes,
) -> ProviderSection {
    section.check_keys(SectionKind::Provider, notes);
    if let Err(wrong) = value::entry_name(name) {
        notes.add(section.at, &section.name, wrong);
    }
    let start = start(name, section, notes);
    if let Some(what) = start.as_ref().and_then(|start| start.protocol.manners().warning) {
        notes.warn(section.at, &section.name, what);
    }
    let provider = start.map(|start| filled(start, section, base, notes));
    ProviderSection { name: name.to_owned(), provider }
}

/// The provider whose settings the section overrides.
fn start(name: &str, section: &Section<'_>, notes: &mut Notes) -> Option<Provider> {
    let protocol = section.get("protocol").map(|setting| protocol(&setting, notes));
    match (built_in::named(name), protocol) {
        (Some(inherited), None | Some(None)) => Some(inherited),
        (Some(inherited), Some(Some(protocol))) => {
            if protocol != inherited.protocol {
                let what = format!(
                    "{name} is built in and speaks {}; give this entry another name",
                    inherited.protocol.word()
                );
                notes.add(section.at, &section.name, what);
            }
            Some(inherited)
        }
        (None, Some(protocol)) => {
            let mut provider = protocol?.defaults(Cow::Owned(name.to_owned()));
            provider.title = provider.name.clone();
            Some(provider)
        }
        (None, None) => {
            let near = nearest(name, built_in::names());
            let hint = near.map(|near| format!(" (or did you mean the built-in {near}?)"));
            let (words, hint) = (words().join(", "), hint.unwrap_or_default());
            let what = format!("needs protocol, which is one of: {words}{hint}");
            section.lacks(&["protocol"], what, notes);
            None
        }
    }
}

fn protocol(setting: &Setting<'_>, notes: &mut Notes) -> Option<Protocol> {
    let text = setting.text(notes)?;
    let found = Protocol::named(text);
    let what = match found {
        Some(protocol) if protocol.is_here() => return found,
        Some(protocol) => feature::refusal(&format!("the protocol {}", protocol.word())),
        None => {
            let words = words();
            let near = nearest(text, words.iter().copied());
            let near = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
            format!("{} is not a protocol{near}; there are: {}", quoted(text), words.join(", "))
        }
    };
    notes.add(setting.at, &setting.name, what);
    None
}

/// The words for the protocols of this build.
fn words() -> Vec<&'static str> {
    Protocol::ALL.into_iter().filter(|protocol| protocol.is_here()).map(Protocol::word).collect()
}

/// Overrides settings of `provider` by those of the section.
fn filled(
    mut provider: Provider,
    section: &Section<'_>,
    base: &Path,
    notes: &mut Notes,
) -> Provider {
    let protocol = provider.protocol;
    let known = |(word, setting)| ProviderKey::named(word).map(|key: ProviderKey| (key, setting));
    let mut settings: Vec<_> = section.settings().into_iter().filter_map(known).collect();
    order::sort_by_key(&mut settings, |(key, _)| key.rank());
    for (key, setting) in &settings {
        if protocol.manners().takes(*key) {
            lay(&mut provider, *key, setting, base, notes);
        } else {
            let what = format!("means nothing to the protocol {}; remove it", protocol.word());
            notes.add(setting.at, &setting.name, what);
        }
    }
    warn_of_doubled_path(&provider, section, notes);
    // A wrong address was reported already.
    let has_address = ["server", "update-url"].iter().any(|key| section.get(key).is_some());
    let goes_somewhere = provider.update_url.is_some() || provider.name_server.is_some();
    let transport = protocol.manners().transport;
    if !goes_somewhere && !has_address && transport != Transport::File {
        let is_name = transport == Transport::Dns;
        let example = if is_name { "\"ns1.example.com\"" } else { "\"https://…\"" };
        let what = format!("does not say where updates go; write server = {example}");
        section.lacks(&["server", "update-url"], what, notes);
    }
    provider
}

/// Sets `key` to the written value, unless that is wrong.
fn lay(
    provider: &mut Provider,
    key: ProviderKey,
    setting: &Setting<'_>,
    base: &Path,
    notes: &mut Notes,
) {
    let trust = Trust { provider: &provider.name, plain_http: provider.plain_http };
    let text = match key {
        // It was read before all others.
        ProviderKey::Protocol => return,
        ProviderKey::Refresh => {
            return set(&mut provider.refresh, setting.parsed(notes, value::refresh));
        }
        ProviderKey::Server if provider.protocol.manners().transport == Transport::Dns => {
            let server = setting.parsed(notes, |text| value::server(text, PORT));
            return set(&mut provider.name_server, server.map(Some));
        }
        ProviderKey::Zone => {
            return set(&mut provider.zone, setting.parsed(notes, value::zone).map(Some));
        }
        ProviderKey::Batch => setting.number(1, MOST_HOSTS, notes).map(|it| it.to_string()),
        ProviderKey::OneFamily | ProviderKey::PlainHttp => {
            setting.flag(notes).map(|it| it.to_string())
        }
        ProviderKey::ApiUrl | ProviderKey::Server | ProviderKey::UpdateUrl => {
            checked(setting, notes, |text| url::check_provider(text, trust))
        }
        ProviderKey::Echo4 | ProviderKey::Echo6 => checked(setting, notes, url::check_web),
        ProviderKey::Query => checked(setting, notes, url::check_query),
        ProviderKey::CaFile => setting.parsed(notes, |text| ca_file(text, base)),
        ProviderKey::Ipv4Parameter | ProviderKey::Ipv6Parameter | ProviderKey::Leave => {
            setting.parsed(notes, parameter)
        }
        ProviderKey::Algorithm
        | ProviderKey::Credential
        | ProviderKey::Login
        | ProviderKey::Note
        | ProviderKey::Omit
        | ProviderKey::Pace
        | ProviderKey::Title => setting.text(notes).map(str::to_owned),
    };
    if let Some(text) = text {
        let written = || quoted(setting.value.as_str().unwrap_or_default());
        let result = provider.set(key, Cow::Owned(text));
        let result = result.map_err(|error| format!("{} {error}", written()));
        notes.keep(setting.at, &setting.name, result);
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

/// The text, if `check` accepts it; an error does not quote it, as it may hold a secret.
fn checked<E: fmt::Display>(
    setting: &Setting<'_>,
    notes: &mut Notes,
    check: impl FnOnce(&str) -> Result<(), E>,
) -> Option<String> {
    let text = setting.text(notes)?;
    notes.keep(setting.at, &setting.name, check(text)).map(|()| text.to_owned())
}

/// Warns of a server with a path, since the protocol's own path is appended to it.
fn warn_of_doubled_path(provider: &Provider, section: &Section<'_>, notes: &mut Notes) {
    let (Some(setting), None) = (section.get("server"), section.get("update-url")) else { return };
    let path = setting.value.as_str().and_then(|text| url::path_of(text.trim_end_matches('/')));
    let has_path = path.is_some_and(|path| !path.is_empty());
    let is_added = !provider.protocol.manners().update_path.is_empty();
    if let (true, true, Some(url)) = (has_path, is_added, &provider.update_url) {
        let what = format!(
            "has a path already, and Homing puts its own behind it: updates go to {url}; write update-url for the whole address"
        );
        notes.warn(setting.at, &setting.name, what);
    }
}

fn ca_file(text: &str, base: &Path) -> Result<String, String> {
    let path = value::path(text, base).map_err(str::to_owned)?;
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let base = shown_path(base);
        format!("lies in {base}, whose name is not UTF-8; write the whole path of a copy elsewhere")
    })
}

/// The name of a parameter, or a word that is its value.
fn parameter(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !text.chars().all(fits) {
        return Err("cannot stand in a query; use letters, digits, dots, hyphens and underscores");
    }
    Ok(text.to_owned())
}
