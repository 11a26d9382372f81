//! `[provider.NAME]`: a provider of the user's own, or other settings for a built-in one.
//!
//! The keys are those of `core/providers.toml`; a test reads that file by this way and compares.

use std::borrow::Cow;
use std::path::Path;

use super::problems::{Notes, quoted, shown_path};
use super::table::{NOT_YET, Place, Section, Setting};
use super::url::{self, Trust};
use super::value;
use crate::cli::nearest::nearest;
use crate::core::address::Family;
use crate::core::provider::{
    BUILT_IN, Login, MOST_HOSTS, Omit, Protocol, Provider, Text, built_in,
};

/// A provider as it was written.
pub(super) struct Entry {
    /// Its name.
    pub(super) name: String,
    /// The provider, unless its protocol could not be told.
    pub(super) provider: Option<Provider>,
}

/// Words for protocols that are still to come.
const LATER: [&str; 3] = ["powerdns", "powerdns-on-rails", "rfc2136"];

/// Reads one section.
pub(super) fn read(name: &str, section: &Section<'_>, base: &Path, notes: &mut Notes) -> Entry {
    section.check_keys(Place::Provider, notes);
    if let Err(wrong) = value::entry_name(name) {
        notes.add(section.at, &section.name, wrong);
    }
    let start = start(name, section, notes);
    let provider = start.map(|start| filled(start, section, base, notes));
    Entry { name: name.to_owned(), provider }
}

/// The entry that the section's settings are laid over.
fn start(name: &str, section: &Section<'_>, notes: &mut Notes) -> Option<Provider> {
    let protocol = section.get("protocol").map(|setting| protocol(&setting, notes));
    match (built_in(name), protocol) {
        (Some(inherited), None | Some(None)) => Some(inherited.clone()),
        (Some(inherited), Some(Some(protocol))) => {
            if protocol != inherited.protocol {
                let what = format!(
                    "{name} is built in and speaks {}; give this entry another name",
                    inherited.protocol.word()
                );
                notes.add(section.at, &section.name, what);
            }
            Some(inherited.clone())
        }
        (None, Some(protocol)) => {
            let mut provider = protocol?.defaults(Cow::Owned(name.to_owned()));
            provider.title = provider.name.clone();
            Some(provider)
        }
        (None, None) => {
            let words = Protocol::ALL.map(Protocol::word);
            let near = nearest(name, BUILT_IN.iter().map(|provider| &*provider.name));
            let hint = near.map(|near| format!(" (or did you mean the built-in {near}?)"));
            let what = format!(
                "needs protocol, which is one of: {}{}",
                words.join(", "),
                hint.unwrap_or_default()
            );
            notes.add(section.at, &section.name, what);
            None
        }
    }
}

fn protocol(setting: &Setting<'_>, notes: &mut Notes) -> Option<Protocol> {
    setting.parsed(notes, |text| {
        let words = Protocol::ALL.map(Protocol::word);
        if LATER.contains(&text) {
            return Err(NOT_YET.to_owned());
        }
        let found = Protocol::ALL.into_iter().find(|protocol| protocol.word() == text);
        found.ok_or_else(|| {
            let near = nearest(text, words).map(|near| format!(" (did you mean {near}?)"));
            let near = near.unwrap_or_default();
            format!("is not a protocol{near}; there are: {}", words.join(", "))
        })
    })
}

/// Lays the section's settings over `provider`.
fn filled(
    mut provider: Provider,
    section: &Section<'_>,
    base: &Path,
    notes: &mut Notes,
) -> Provider {
    let protocol = provider.protocol;
    let known = Place::Provider.keys().known;
    for (key, setting) in section.settings() {
        if known.contains(&key) && !belongs(key, protocol) {
            let what = format!("means nothing to the protocol {}; remove it", protocol.word());
            notes.add(setting.at, &setting.name, what);
        }
    }
    let mut get = |key: &str| section.get(key).filter(|_| belongs(key, protocol));

    if let Some(flag) = get("plain-http").and_then(|setting| setting.flag(notes)) {
        provider.plain_http = flag;
    }
    let name = provider.name.clone();
    let trust = Trust { provider: &name, plain_http: provider.plain_http };
    addresses(&mut provider, trust, &mut get, notes);
    for (family, key) in [(Family::V4, "echo4"), (Family::V6, "echo6")] {
        if let Some(url) = get(key).and_then(|setting| {
            let text = setting.text(notes)?;
            notes.keep(&setting, url::check_web(text)).map(|()| text)
        }) {
            provider.echo[family] = Some(owned(url));
        }
    }
    for (key, slot) in [
        ("title", &mut provider.title),
        ("credential", &mut provider.credential),
        ("note", &mut provider.note),
        ("ipv4-parameter", &mut provider.parameters.v4),
        ("ipv6-parameter", &mut provider.parameters.v6),
    ] {
        let Some(setting) = get(key) else { continue };
        let text = match key.ends_with("-parameter") {
            true => setting.parsed(notes, parameter),
            false => setting.text(notes).map(owned),
        };
        slot.clone_from(&text.unwrap_or_default());
    }
    if let Some(setting) = get("query") {
        let text = setting.text(notes);
        let query = text.and_then(|text| notes.keep(&setting, url::check_query(text)).map(|()| text));
        provider.query = query.map(owned);
    }
    if let Some(leave) = get("leave").and_then(|setting| setting.parsed(notes, parameter)) {
        provider.leave = Some(leave);
    }
    if let Some(zone) = get("zone").and_then(|setting| setting.parsed(notes, value::zone)) {
        provider.zone = Some(zone);
    }
    if let Some(path) = get("ca-file").and_then(|setting| setting.parsed(notes, |text| {
        let path = value::path(text, base).map_err(str::to_owned)?;
        let shown = shown_path(base);
        path.to_str().map(|path| owned(path)).ok_or_else(|| {
            format!("lies in {shown}, whose name is not UTF-8; write the whole path of a copy elsewhere")
        })
    })) {
        provider.ca_file = Some(path);
    }
    if let Some(omit) = get("omit").and_then(|setting| one_of(&setting, &OMITS, notes)) {
        provider.omit = omit;
    }
    if let Some(login) = get("login").and_then(|setting| one_of(&setting, &LOGINS, notes)) {
        provider.login = login;
    }
    if let Some(pace) = get("pace").and_then(|setting| setting.parsed(notes, |text| {
        if text == "off" { Ok(None) } else { text.parse().map(Some) }
    })) {
        provider.pace = pace;
    }
    if let Some(refresh) = get("refresh").and_then(|setting| setting.parsed(notes, value::refresh)) {
        provider.refresh = refresh;
    }
    if let Some(batch) = get("batch").and_then(|setting| setting.number(1, MOST_HOSTS, notes)) {
        provider.batch = batch;
    }
    if let Some(flag) = get("one-family").and_then(|setting| setting.flag(notes)) {
        provider.one_family = flag;
    }
    if provider.update_url.is_none() && protocol != Protocol::HostsFile {
        let asked = section.get("server").is_some() || section.get("update-url").is_some();
        // A wrong address has been told already.
        if !asked {
            let what = "does not say where updates go; write server = \"https://…\"";
            notes.add(section.at, &section.name, what);
        }
    }
    provider
}

const OMITS: [(&str, Omit); 3] =
    [("keep", Omit::Keep), ("delete", Omit::Delete), ("caller", Omit::Caller)];
const LOGINS: [(&str, Login); 2] = [("username", Login::Username), ("host", Login::Host)];

/// `server`, `update-url` and `api-url`.
fn addresses<'a>(
    provider: &mut Provider,
    trust: Trust<'_>,
    get: &mut impl FnMut(&str) -> Option<Setting<'a>>,
    notes: &mut Notes,
) {
    let mut url = |key: &str| -> Option<&'a str> {
        let setting = get(key)?;
        let text = setting.text(notes)?;
        notes.keep(&setting, url::check_provider(text, trust)).map(|()| text)
    };
    if let Some(server) = url("server") {
        let server = server.trim_end_matches('/');
        let desec = provider.protocol == Protocol::Desec;
        let tail = if desec { "/api/v1/dyndns/update" } else { "/nic/update" };
        provider.update_url = Some(Cow::Owned(format!("{server}{tail}")));
        provider.api_url = desec.then(|| Cow::Owned(format!("{server}/api/v1")));
        // Another server is another service: the built-in one's must not tell its users' address.
        provider.echo = Default::default();
    }
    if let Some(update_url) = url("update-url") {
        provider.update_url = Some(owned(update_url));
    }
    if let Some(api_url) = url("api-url") {
        provider.api_url = Some(owned(api_url.trim_end_matches('/')));
    }
}

/// Whether a setting means anything to a protocol.
fn belongs(key: &str, protocol: Protocol) -> bool {
    match key {
        "protocol" | "title" | "credential" | "note" => true,
        "api-url" => protocol == Protocol::Desec,
        "ipv4-parameter" | "ipv6-parameter" | "one-family" | "leave" | "query" | "login" => {
            protocol == Protocol::Dyndns2
        }
        _ => protocol != Protocol::HostsFile,
    }
}

fn one_of<T: Copy>(setting: &Setting<'_>, words: &[(&str, T)], notes: &mut Notes) -> Option<T> {
    let text = setting.text(notes)?;
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let what = format!("{} is not one of: {}", quoted(text), known.join(", "));
        notes.add(setting.at, &setting.name, what);
    }
    found.map(|(_, value)| *value)
}

/// The name of a parameter, or a word as its value.
fn parameter(text: &str) -> Result<Text, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match text.chars().all(fits) {
        true => Ok(owned(text)),
        false => Err("cannot stand in a query; use letters, digits, dots, hyphens and underscores"),
    }
}

fn owned(text: &str) -> Text {
    Cow::Owned(text.to_owned())
}
