//! `[provider.NAME]`: a provider of the user's own, or other settings for a built-in one.
//!
//! The keys are those of `core/providers.toml`; a test also reads that file in this way and compares.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::rc::Rc;

use toml::de::DeValue;

use super::problems::{Notes, quoted, shown_path};
use super::table::{Section, SectionKind, Setting};
use super::url::{self, Trust};
use super::value;
use crate::core::built_in;
use crate::core::feature;
use crate::core::nearest::nearest;
use crate::core::order;
use crate::core::protocol::http::reader::Wrong;
use crate::core::protocol::http::tree::Tree;
use crate::core::protocol::manners::{MOST_HOSTS, Protocol, Transport};
use crate::core::protocol::rfc2136::PORT;
use crate::core::provider::Provider;
use crate::core::provider_key::ProviderKey;

/// A provider as it is written.
pub(super) struct ProviderSection {
    /// Its name.
    pub(super) name: String,
    /// The provider, unless its protocol is unknown.
    pub(super) provider: Option<Rc<Provider>>,
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
        notes.add(section.at, &*section.name, wrong);
    }
    let start = start(name, section, notes);
    if let Some(what) = start.as_ref().and_then(|start| start.manners().warning) {
        notes.warn(section.at, &*section.name, what);
    }
    let provider = start.map(|start| filled(start, section, base, notes));
    ProviderSection { name: name.to_owned(), provider: provider.map(Rc::new) }
}

/// The provider whose settings the section overrides.
fn start(name: &str, section: &Section<'_>, notes: &mut Notes) -> Option<Provider> {
    let protocol = section.get("protocol").map(|setting| protocol(&setting, notes));
    if let Some(setting) = section.get("extends") {
        return extended(name, &setting, protocol.flatten(), notes);
    }
    match (built_in::named(name), protocol) {
        (Some(inherited), None | Some(None)) => Some(inherited),
        (Some(inherited), Some(Some(protocol))) => {
            if protocol != inherited.protocol {
                let what = format!(
                    "{name} is built in and speaks {}; give this entry another name",
                    inherited.protocol.word()
                );
                notes.add(section.at, &*section.name, what);
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

/// The built-in provider that `setting` names, under the name of the section.
fn extended(
    name: &str,
    setting: &Setting<'_>,
    protocol: Option<Protocol>,
    notes: &mut Notes,
) -> Option<Provider> {
    let base = setting.text(notes)?;
    let Some(inherited) = built_in::named(base) else {
        let near = nearest(base, built_in::names());
        let fix = near.map_or_else(
            || "`homing providers` lists them".to_owned(),
            |near| format!("did you mean \"{near}\"?"),
        );
        let what = format!("{} is not a built-in provider; {fix}", quoted(base));
        notes.add(setting.at, &setting.name, what);
        return None;
    };
    if let Some(feature) = inherited.manners().feature.filter(|feature| !feature.is_here()) {
        let what = feature.refusal(&format!("the provider {base}"));
        notes.add(setting.at, &setting.name, what);
        return None;
    }
    if let Some(protocol) = protocol.filter(|protocol| *protocol != inherited.protocol) {
        let what = format!(
            "{base} speaks {}, not {}; remove protocol",
            inherited.protocol.word(),
            protocol.word()
        );
        notes.add(setting.at, &setting.name, what);
    }
    Some(Provider { name: Cow::Owned(name.to_owned()), ..inherited })
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
            let what = format!("has no effect with the protocol {}; remove it", protocol.word());
            notes.add(setting.at, &setting.name, what);
        }
    }
    warn_of_doubled_path(&provider, section, notes);
    // A wrong address was reported already.
    if protocol.is_described() {
        describe(&mut provider, section, notes);
        return provider;
    }
    let has_address = ["server", "update-url"].iter().any(|key| section.get(key).is_some());
    let goes_somewhere = provider.update_url.is_some() || provider.name_server.is_some();
    let transport = protocol.manners().transport;
    if !goes_somewhere && !has_address && transport != Transport::File {
        let is_name = transport == Transport::Dns;
        let example = if is_name { "\"ns1.example.com\"" } else { "\"https://…\"" };
        let what = format!("has no server; add server = {example}");
        section.lacks(&["server", "update-url"], what, notes);
    }
    provider
}

/// Makes the section's settings, over those of the entry that it extends, the provider's entry.
fn describe(provider: &mut Provider, section: &Section<'_>, notes: &mut Notes) {
    let before = provider.http.as_ref().map(|entry| entry.settings.clone());
    let mut settings = before.unwrap_or_default();
    for (word, setting) in section.settings() {
        let key = ProviderKey::named(word).filter(|key| provider.protocol.is_described_by(*key));
        let Some(key) = key else { continue };
        let Some(value) = tree(setting.value) else {
            notes.add(setting.at, &setting.name, "is a date or a fraction; write text in quotes");
            continue;
        };
        settings.retain(|(known, _)| *known != key);
        settings.push((key, value));
    }
    let trust = Trust { provider: &provider.name.clone(), plain_http: provider.plain_http };
    match provider.describe(settings) {
        Err(Wrong { key, what }) => {
            let first = key.split('.').next().unwrap_or_default();
            let at = section.get(first).map_or(section.at, |setting| setting.at);
            notes.add(at, &format_args!("{}.{key}", section.name), what);
        }
        Ok(()) => {
            let entry = provider.http.iter().flat_map(|entry| entry.servers());
            // A server that is a place is one of the entry's own.
            let is_fixed = |server: &str| !matches!(server, "" | "https://");
            for (key, server) in entry.filter(|(_, server)| is_fixed(server)) {
                if let Err(what) = url::check_provider(server, trust) {
                    let at = section.get(key).map_or(section.at, |setting| setting.at);
                    notes.add(at, &format_args!("{}.{key}", section.name), what);
                }
            }
        }
    }
}

/// The value of a setting of an entry; `None` where it holds a date or a fraction.
pub(super) fn tree(value: &DeValue<'_>) -> Option<Tree> {
    let text = |text: String| Some(Tree::Text(Cow::Owned(text)));
    match value {
        DeValue::String(value) => text(value.to_string()),
        DeValue::Integer(number) => text(number.as_str().to_owned()),
        DeValue::Boolean(flag) => text(flag.to_string()),
        DeValue::Array(list) => {
            list.iter().map(|value| tree(value.get_ref())).collect::<Option<_>>().map(Tree::List)
        }
        DeValue::Table(table) => {
            let mut entries: Vec<_> = table.iter().collect();
            order::sort_by_key(&mut entries, |(name, _)| name.span().start);
            let value = |(name, value): (&toml::Spanned<Cow<'_, str>>, &toml::Spanned<_>)| {
                Some((Cow::Owned(name.get_ref().to_string()), tree(value.get_ref())?))
            };
            entries.into_iter().map(value).collect::<Option<_>>().map(Tree::Table)
        }
        DeValue::Float(_) | DeValue::Datetime(_) => None,
    }
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
        // They were read before all others, or are read together as an entry.
        ProviderKey::Protocol | ProviderKey::Extends => return,
        key if provider.protocol.is_described_by(key) => return,
        ProviderKey::Refresh => {
            return set(&mut provider.refresh, setting.parsed(notes, value::refresh));
        }
        ProviderKey::Timeout => {
            let timeout = setting.parsed(notes, |text| value::duration(text, &value::TIMEOUT));
            return set(&mut provider.timeout, timeout);
        }
        ProviderKey::Server if provider.manners().transport == Transport::Dns => {
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
        // An entry's base may hold places and a query; its server is checked with the steps.
        ProviderKey::ApiUrl if provider.protocol.is_described() => {
            setting.text(notes).map(str::to_owned)
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
        | ProviderKey::Page
        | ProviderKey::Reach
        | ProviderKey::Title
        | ProviderKey::Tokens => setting.text(notes).map(str::to_owned),
        _ => return,
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
    let is_added = !provider.manners().update_path.is_empty();
    if let (true, true, Some(url)) = (has_path, is_added, &provider.update_url) {
        let what = format!(
            "has a path, and Homing appends its own: updates go to {url}; use update-url for the \
                whole address"
        );
        notes.warn(setting.at, &setting.name, what);
    }
}

fn ca_file(text: &str, base: &Path) -> Result<String, String> {
    let path = value::path(text, base).map_err(str::to_owned)?;
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let base = shown_path(base);
        format!("is in {base}, whose name is not UTF-8; write the whole path of a copy elsewhere")
    })
}

/// The name of a parameter, or a word that is its value.
fn parameter(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !text.chars().all(fits) {
        return Err(
            "is not a parameter's name; use letters, digits, dots, hyphens and underscores",
        );
    }
    Ok(text.to_owned())
}
