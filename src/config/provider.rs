//! `[provider.NAME]`: a provider of the user's own, or other settings for a built-in one.
//!
//! The keys are those of `core/providers.toml`; a test reads that file by this way and compares.

use std::borrow::Cow;
use std::path::Path;

use super::problems::{Notes, quoted, shown_path};
use super::table::{Place, Section, Setting};
use super::url::{self, Trust};
use super::value;
use crate::core::address::PerFamily;
use crate::core::feature;
use crate::core::nearest::nearest;
use crate::core::pace::{Pace, PaceError};
use crate::core::protocol::manners::{Manners, Transport};
use crate::core::protocol::rfc2136::PORT;
use crate::core::provider::{
    BUILT_IN, Login, MOST_HOSTS, Omit, Protocol, Provider, Text, built_in,
};
use crate::core::wire::tsig::Algorithm;

/// A provider as it was written.
pub(super) struct Entry {
    /// Its name.
    pub(super) name: String,
    /// The provider, unless its protocol could not be told.
    pub(super) provider: Option<Provider>,
}

/// Reads one section.
pub(super) fn read(name: &str, section: &mut Section<'_>, base: &Path, notes: &mut Notes) -> Entry {
    section.check_keys(Place::Provider, notes);
    if let Err(wrong) = value::entry_name(name) {
        notes.add(section.at, &section.name, wrong);
    }
    let start = start(name, section, notes);
    if let Some(what) = start.as_ref().and_then(|start| start.protocol.manners().warning) {
        notes.warn(section.at, &section.name, what);
    }
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
            let words = words();
            let near = nearest(name, BUILT_IN.iter().map(|provider| &*provider.name));
            let hint = near.map(|near| format!(" (or did you mean the built-in {near}?)"));
            let what = format!(
                "needs protocol, which is one of: {}{}",
                words.join(", "),
                hint.unwrap_or_default()
            );
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

/// The protocols that this build speaks, as they are written.
fn words() -> Vec<&'static str> {
    let here = Protocol::ALL.into_iter().filter(|protocol| protocol.is_here());
    here.map(Protocol::word).collect()
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
        if known.contains(&key) && !belongs(key, protocol.manners()) {
            let what = format!("means nothing to the protocol {}; remove it", protocol.word());
            notes.add(setting.at, &setting.name, what);
        }
    }
    let get = |key: &str| section.get(key).filter(|_| belongs(key, protocol.manners()));
    set(&mut provider.title, get("title").and_then(|it| it.text(notes).map(owned)));
    set(&mut provider.credential, get("credential").and_then(|it| it.text(notes).map(owned)));
    set(&mut provider.note, get("note").and_then(|it| it.text(notes).map(owned)));
    set(&mut provider.plain_http, get("plain-http").and_then(|it| it.flag(notes)));
    addresses(&mut provider, get, notes);
    name_server(&mut provider, get, notes);
    wire(&mut provider, get, notes);
    set(&mut provider.zone, get("zone").and_then(|it| it.parsed(notes, value::zone).map(Some)));
    let ca_file = |text: &str| ca_file(text, base).map(Some);
    set(&mut provider.ca_file, get("ca-file").and_then(|it| it.parsed(notes, ca_file)));
    if let Some(pace) = get("pace").and_then(|it| it.parsed(notes, pace)) {
        (provider.pace, provider.pace_each_host) = (pace, false);
    }
    set(&mut provider.refresh, get("refresh").and_then(|it| it.parsed(notes, value::refresh)));
    set(&mut provider.batch, get("batch").and_then(|it| it.number(1, MOST_HOSTS, notes)));
    // A wrong address has been told already.
    let has_address = ["server", "update-url"].iter().any(|key| section.get(key).is_some());
    let goes_somewhere = provider.update_url.is_some() || provider.name_server.is_some();
    let transport = protocol.manners().transport;
    if !goes_somewhere && !has_address && transport != Transport::File {
        let example = transport.server_example();
        let what = format!("does not say where updates go; write server = {example}");
        section.lacks(&["server", "update-url"], what, notes);
    }
    provider
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

/// `server`, `update-url`, `api-url`, `echo4` and `echo6`.
fn addresses<'a>(
    provider: &mut Provider,
    get: impl Fn(&str) -> Option<Setting<'a>>,
    notes: &mut Notes,
) {
    let name = provider.name.clone();
    let trust = Trust { provider: &name, plain_http: provider.plain_http };
    let mut url = |key: &str, check: &dyn Fn(&str) -> Result<(), String>| -> Option<&'a str> {
        let setting = get(key)?;
        let text = setting.text(notes)?;
        notes.keep(setting.at, &setting.name, check(text)).map(|()| text)
    };
    let to_provider = |text: &str| url::check_provider(text, trust);
    let manners = provider.protocol.manners();
    if manners.transport != Transport::Http {
        return;
    }
    let mut doubled = None;
    if let Some(server) = url("server", &to_provider) {
        let server = server.trim_end_matches('/');
        let (update, api) = (manners.update_path, manners.api_path);
        let url = format!("{server}{update}");
        if !update.is_empty() && url::path_of(server).is_some_and(|path| !path.is_empty()) {
            doubled = Some(url.clone());
        }
        provider.update_url = Some(Cow::Owned(url));
        provider.api_url = api.map(|api| Cow::Owned(format!("{server}{api}")));
        // Another server is another service: the built-in one need not learn its users' addresses.
        provider.echo = PerFamily::default();
    }
    let update_url = url("update-url", &to_provider).map(owned);
    let doubled = doubled.filter(|_| update_url.is_none());
    set(&mut provider.update_url, update_url.map(Some));
    let api_url = url("api-url", &to_provider).map(|text| text.trim_end_matches('/'));
    set(&mut provider.api_url, api_url.map(owned).map(Some));
    set(&mut provider.echo.v4, url("echo4", &url::check_web).map(owned).map(Some));
    set(&mut provider.echo.v6, url("echo6", &url::check_web).map(owned).map(Some));
    if let (Some(url), Some(setting)) = (doubled, get("server")) {
        let what = format!(
            "has a path already, and Homing puts its own behind it: updates go to {url}; write update-url for the whole address"
        );
        notes.warn(setting.at, &setting.name, what);
    }
}

/// `server` and `algorithm` of a name server.
fn name_server<'a>(
    provider: &mut Provider,
    get: impl Fn(&str) -> Option<Setting<'a>>,
    notes: &mut Notes,
) {
    if provider.protocol.manners().transport != Transport::Dns {
        return;
    }
    let server = |text: &str| value::server(text, PORT);
    set(&mut provider.name_server, get("server").and_then(|it| it.parsed(notes, server).map(Some)));
    let algorithm = |text: &str| {
        let known = Algorithm::ALL.map(Algorithm::word).join(", ");
        text.parse::<Algorithm>()
            .map_err(|()| format!("is no algorithm of keys; there are: {known}"))
    };
    set(&mut provider.algorithm, get("algorithm").and_then(|it| it.parsed(notes, algorithm)));
}

/// What requests look like.
fn wire<'a>(provider: &mut Provider, get: impl Fn(&str) -> Option<Setting<'a>>, notes: &mut Notes) {
    let mut word = |key: &str| get(key)?.parsed(notes, parameter);
    set(&mut provider.parameters.v4, word("ipv4-parameter"));
    set(&mut provider.parameters.v6, word("ipv6-parameter"));
    set(&mut provider.leave, word("leave").map(Some));
    if let Some(setting) = get("query") {
        let text = setting.text(notes);
        let query = text.and_then(|text| {
            notes.keep(setting.at, &setting.name, url::check_query(text)).and(Some(text))
        });
        set(&mut provider.query, query.map(owned).map(Some));
    }
    set(&mut provider.omit, get("omit").and_then(|it| one_of(&it, &OMITS, notes)));
    set(&mut provider.login, get("login").and_then(|it| one_of(&it, &LOGINS, notes)));
    set(&mut provider.one_family, get("one-family").and_then(|it| it.flag(notes)));
}

const OMITS: [(&str, Omit); 3] =
    [("keep", Omit::Keep), ("delete", Omit::Delete), ("caller", Omit::Caller)];
const LOGINS: [(&str, Login); 2] = [("username", Login::Username), ("host", Login::Host)];

fn pace(text: &str) -> Result<Option<Pace>, PaceError> {
    if text == "off" { Ok(None) } else { text.parse().map(Some) }
}

fn ca_file(text: &str, base: &Path) -> Result<Text, String> {
    let path = value::path(text, base).map_err(str::to_owned)?;
    path.to_str().map(owned).ok_or_else(|| {
        let base = shown_path(base);
        format!("lies in {base}, whose name is not UTF-8; write the whole path of a copy elsewhere")
    })
}

/// Whether a setting means anything to a protocol with these manners.
fn belongs(key: &str, manners: &Manners) -> bool {
    match key {
        "protocol" | "title" | "credential" | "note" => true,
        "server" | "zone" | "pace" | "refresh" | "batch" => !manners.is_local(),
        "ca-file" | "echo4" | "echo6" | "omit" | "plain-http" | "update-url" => {
            manners.transport == Transport::Http
        }
        _ => manners.own_keys.contains(&key),
    }
}

/// What the text stands for; anything but one of `words` is noted.
pub(super) fn one_of<T: Copy>(
    setting: &Setting<'_>,
    words: &[(&str, T)],
    notes: &mut Notes,
) -> Option<T> {
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
    if !text.chars().all(fits) {
        return Err("cannot stand in a query; use letters, digits, dots, hyphens and underscores");
    }
    Ok(owned(text))
}

fn owned(text: &str) -> Text {
    Cow::Owned(text.to_owned())
}
