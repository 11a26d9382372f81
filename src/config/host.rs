//! `[[host]]`: names to keep up to date, from keys to values.
//!
//! Reads one block against the sources and providers read before. A block with several names gives
//! several hosts that share everything else.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::problems::{Notes, quoted};
use super::secret::{self, SecretPlace, chmod};
use super::table::{HOST_KEYS, Scope, Section, SectionKind, Setting};
use super::url::table_key;
use super::{HostBlock, HostConfig, SourceRef, provider, source, value};
use crate::core::address::interface::InterfaceName;
use crate::core::address::{Family, PerFamily};
use crate::core::built_in;
use crate::core::closed;
use crate::core::memory::Key;
use crate::core::name::Hostname;
use crate::core::nearest::nearest;
use crate::core::order::{self, SortedMap};
use crate::core::plan::{Host, HostSettings, TakeOver, Use, WhenGone};
use crate::core::protocol::http::entry::Entry;
use crate::core::protocol::manners::{Manners, Protocol, Removal, SecretKind, Transport};
use crate::core::provider::{Login, Provider, one_of};
use crate::core::secret::Secret;
use crate::core::server::Server;
use crate::core::source::SourceKind;
use crate::core::verify::Verify;
use crate::core::wire::dns::Name;

/// The input for reading hosts, and what grows with each of them.
pub(super) struct Context<'a> {
    /// The configuration file.
    pub(super) file: &'a Path,
    /// The base of relative paths.
    pub(super) base: &'a Path,
    /// The mode that the configuration file should have; `None` if secrets may be in it.
    pub(super) exposed: Option<u32>,
    /// The named sources.
    pub(super) sources: &'a [source::SourceSection],
    /// The use of each source, in the same order.
    pub(super) usage: Vec<source::Usage>,
    /// The user's providers, then the built-in ones as hosts name them.
    pub(super) providers: Vec<provider::ProviderSection>,
    /// Where each host at each provider stands in the file, in bytes, to find repeated ones.
    pub(super) seen: SortedMap<(usize, Hostname), usize>,
    /// How many blocks were read.
    pub(super) blocks: usize,
}

impl Context<'_> {
    /// Reads the `[[host]]` blocks of the file, or of the part of it in `top`, into `hosts`.
    pub(super) fn read_blocks(
        &mut self,
        top: &Section<'_>,
        hosts: &mut Vec<HostConfig>,
        notes: &mut Notes,
    ) {
        let header = "[[host]], with two brackets on each side";
        let Some(setting) = top.get("host") else {
            let what = "there is no [[host]], so there is nothing to do; write one as in config.example.toml";
            return top.lacks(&["host"], what, notes);
        };
        if !setting.value.is_array() {
            let what = format!("must be a list of sections; write {header}");
            return notes.add(setting.at, &setting.name, what);
        }
        let items = setting.items();
        if items.is_empty() {
            notes.add(setting.at, &setting.name, format!("is empty; write {header}"));
        }
        for item in items {
            let item = Setting { name: setting.name.element(self.blocks), ..item };
            self.blocks += 1;
            if let Some(mut section) = item.section(header, notes) {
                hosts.extend(self.read_hosts(&mut section, notes));
            }
        }
    }

    /// Reads one block; the hosts are complete only if no problem was noted.
    fn read_hosts(&mut self, section: &mut Section<'_>, notes: &mut Notes) -> Vec<HostConfig> {
        section.check_keys(SectionKind::Host, notes);
        let names = names(section, notes);
        let at = self.provider(section, notes);
        let known = at.and_then(|at| self.providers[at].provider.clone());
        let provider = known.as_deref();
        let manners = provider.map(Provider::manners);
        if let Some(manners) = manners {
            section.leave_out(|key, flag| misfit(key, flag, manners), notes);
        }

        for (item, name) in &names {
            if manners.is_some_and(Manners::is_local) && name.is_wildcard() {
                let what = "a hosts file cannot hold a wildcard; write each name";
                notes.add(item.at, &item.name, what);
            }
            self.check_twice((item, name), at, notes);
        }
        if let (Some(setting), Some(provider)) = (section.get("provider"), provider)
            && let Some(feature) = provider.manners().feature.filter(|feature| !feature.is_here())
        {
            let what = feature.refusal(&format!("the provider {}", provider.name));
            notes.add(setting.at, &setting.name, what);
        }
        let zone = zone(section, provider, &names, notes);
        let sources = self.sources(section, provider, notes);
        let refresh = section.parsed("refresh", notes, value::refresh);
        let refresh = refresh.unwrap_or(provider.and_then(|provider| provider.refresh));
        let secret = self.secret(section, provider, notes);
        let username = match manners.map(|manners| manners.secret) {
            Some(SecretKind::Key) => key_login(section, provider, notes),
            _ => username(section, provider, notes),
        };
        let ttl = ttl(section, notes);
        let take_over = section.flag("take-over", notes);
        let options = options(section, provider, notes);
        let path = self.path(section, manners, notes);
        let on_change = section.get("on-change").map(|setting| setting.program(notes));
        let on_change = on_change.unwrap_or_default();
        let strict_token = strict_token(section, manners, notes);
        let when_gone = self.when_gone(section, provider, &sources, notes);
        let bind = section.parsed("bind", notes, str::parse);
        if let Some(bind) = bind {
            self.warn_of_other_interfaces(bind, section, &sources, notes);
        }
        let verify = verify(section, manners, notes);
        let expires = section.parsed("expires", notes, value::moment);

        let (Some(at), Some(provider)) = (at, provider) else { return Vec::new() };
        let families = sources.map(|_, source| match source {
            None => Use::Off,
            Some(SourceRef::Auto) => Use::Auto,
            Some(SourceRef::Named(_)) => Use::Named,
        });
        let loses = PerFamily::from_fn(|family| provider.side_effect(family).is_some());
        let take_over = match take_over {
            Some(true) => TakeOver::Everything,
            Some(false) => TakeOver::Nothing,
            None => TakeOver::OnlyOne,
        };
        let block = Rc::new(HostBlock {
            provider: at,
            sources,
            secret,
            username,
            path,
            on_change,
            strict_token,
            expires,
            verify,
        });
        let settings = Rc::new(HostSettings {
            zone,
            families,
            refresh,
            loses,
            when_gone,
            bind,
            ttl,
            take_over,
            options,
        });
        let provider: Arc<str> = provider.name.as_ref().into();
        let host = |(_, host)| HostConfig {
            host: Rc::new(Host {
                key: Key { host, provider: Arc::clone(&provider) },
                settings: Rc::clone(&settings),
            }),
            block: Rc::clone(&block),
        };
        names.into_iter().map(host).collect()
    }

    /// The index of the block's provider in the list; a built-in one is added when first needed.
    fn provider(&mut self, section: &Section<'_>, notes: &mut Notes) -> Option<usize> {
        let Some(setting) = section.get("provider") else {
            let what = "needs provider; `homing providers` lists the built-in ones";
            section.lacks(&["provider"], what, notes);
            return None;
        };
        let name = setting.text(notes)?;
        if let Some(at) = self.providers.iter().position(|entry| entry.name == name) {
            return Some(at);
        }
        if let Some(provider) = built_in::named(name) {
            let (name, provider) = (name.to_owned(), Some(Rc::new(provider)));
            self.providers.push(provider::ProviderSection { name, provider });
            return Some(self.providers.len() - 1);
        }
        if let Some(closed) = closed::find(name) {
            notes.add(setting.at, &setting.name, closed.refusal(&quoted(name)));
            return None;
        }
        let own = self.providers.iter().map(|entry| &*entry.name);
        let near = nearest(name, own.chain(built_in::names()));
        let fix = match near {
            _ if let Some(protocol) = Protocol::named(name) => format!(
                "it is a protocol: describe the service as [provider.NAME] with protocol = \"{}\", and write its NAME here",
                protocol.word()
            ),
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "`homing providers` lists the built-in ones, [provider.NAME] describes another"
                .to_owned(),
        };
        notes.add(setting.at, &setting.name, format!("{} is not a provider; {fix}", quoted(name)));
        None
    }

    /// Notes a host that is already listed for the same provider.
    fn check_twice(
        &mut self,
        (item, name): (&Setting<'_>, &Hostname),
        provider: Option<usize>,
        notes: &mut Notes,
    ) {
        let Some(at) = provider else { return };
        let first = *self.seen.entry((at, name.clone())).or_insert(notes.begin + item.at);
        if first != notes.begin + item.at {
            let (provider, first) = (&self.providers[at].name, notes.line_of(first));
            let what = format!(
                "{name} at {provider} is already configured on line {first}; remove one \
                    of them"
            );
            notes.add(item.at, &item.name, what);
        }
    }

    fn sources(
        &mut self,
        section: &Section<'_>,
        provider: Option<&Provider>,
        notes: &mut Notes,
    ) -> PerFamily<Option<SourceRef>> {
        let lacks = |family: Family| {
            let entry = provider.and_then(|provider| provider.http.as_ref());
            entry.is_some_and(|entry| !entry.families[family])
        };
        let sources = PerFamily::from_fn(|family| match section.get(family.key()) {
            None if lacks(family) => None,
            None => Some(SourceRef::Auto),
            Some(setting) if lacks(family) && !section.is(family.key(), "off") => {
                let name = provider.map(|provider| &*provider.name).unwrap_or_default();
                let what = format!("{name} has no {family}; write \"off\", or remove this line");
                notes.add(setting.at, &setting.name, what);
                None
            }
            Some(setting) => self.source(family, &setting, provider, notes),
        });
        for (_, source) in sources.iter() {
            let Some(SourceRef::Named(at)) = source else { continue };
            // An unknown provider, which is reported already, is treated like a local file.
            match provider.map(|provider| provider.manners().is_local()) {
                Some(false) => self.usage[*at].public = true,
                Some(true) | None => self.usage[*at].local = true,
            }
        }
        if Family::BOTH.into_iter().all(|family| section.is(family.key(), "off")) {
            let what = "ipv4 and ipv6 are both off; remove one of the two, or the host";
            notes.add(section.at, &*section.name, what);
        }
        sources
    }

    fn source(
        &self,
        family: Family,
        setting: &Setting<'_>,
        provider: Option<&Provider>,
        notes: &mut Notes,
    ) -> Option<SourceRef> {
        let name = setting.text(notes)?;
        match name {
            "auto" => return Some(SourceRef::Auto),
            "off" => return None,
            _ => {}
        }
        let Some(at) = self.sources.iter().position(|entry| entry.name == name) else {
            let words = self.sources.iter().map(|entry| &*entry.name).chain(["auto", "off"]);
            let fix = match (source_for(name), nearest(name, words)) {
                (Some(fix), _) => fix,
                (None, Some(near)) => format!("did you mean \"{near}\"?"),
                (None, None) => format!("write \"auto\", \"off\", or a section [source.{name}]"),
            };
            let what = format!("{} is not a source; {fix}", quoted(name));
            notes.add(setting.at, &setting.name, what);
            return None;
        };
        if let Some(what) = self.sources[at].lacks(family) {
            notes.add(setting.at, &setting.name, what);
        }
        let most = self.sources[at].most(family);
        let takes_one = provider.filter(|provider| !provider.manners().can_set_several);
        if let Some(Provider { name: provider, protocol, .. }) = takes_one.filter(|_| most > 1) {
            let what = format!(
                "the source {name} may give {most} {family} addresses, and {provider} ({}) \
                    accepts one; write count = 1 in the source",
                protocol.word()
            );
            notes.add(setting.at, &setting.name, what);
        }
        Some(SourceRef::Named(at))
    }

    /// Warns of a host that is bound to one interface while its source is asked through any.
    fn warn_of_other_interfaces(
        &self,
        bind: InterfaceName,
        section: &Section<'_>,
        sources: &PerFamily<Option<SourceRef>>,
        notes: &mut Notes,
    ) {
        for (family, source) in sources.iter() {
            let Some(SourceRef::Named(at)) = source else { continue };
            let entry = &self.sources[*at];
            let kind = entry.source.as_ref().map(|source| &source.kind);
            let free = matches!(kind, Some(SourceKind::Outside(outside)) if outside.bind.is_none());
            if let Some(setting) = section.get(family.key()).filter(|_| free) {
                let name = &entry.name;
                let what = format!(
                    "the source {name} uses the system's routes, so it may return the address of \
                        another Internet connection than {bind}; write bind = \"{bind}\" in \
                        [source.{}]",
                    table_key(name)
                );
                notes.warn(setting.at, &setting.name, what);
            }
        }
    }

    /// The action for the record of a family that is gone; only some protocols can remove a record.
    fn when_gone(
        &self,
        section: &Section<'_>,
        provider: Option<&Provider>,
        sources: &PerFamily<Option<SourceRef>>,
        notes: &mut Notes,
    ) -> WhenGone {
        const DEFAULT: Duration = Duration::from_secs(60 * 60);
        let duration = |text: &str| value::duration(text, &value::GONE_AFTER);
        let after = section.parsed("gone-after", notes, duration);
        let keeps = section.is("when-gone", "keep");
        let Some(setting) = section.get("when-gone").filter(|_| !keeps) else {
            if let Some(setting) = section.get("gone-after") {
                let what = "has no effect without when-gone = \"remove\"; add that, or remove \
                    this line";
                notes.add(setting.at, &setting.name, what);
            }
            return WhenGone::Keep;
        };
        let is_remove =
            setting.parsed(notes, |text| one_of(text, &[("keep", false), ("remove", true)]));
        let (Some(true), Some(provider)) = (is_remove, provider) else { return WhenGone::Keep };
        let Some(by) = provider.removal() else {
            let what = format!(
                "{} ({}) cannot remove a record: that takes {}; write \"keep\"",
                provider.name,
                provider.protocol.word(),
                ways_to_remove()
            );
            notes.add(setting.at, &setting.name, what);
            return WhenGone::Keep;
        };
        let off = Family::BOTH.into_iter().find(|family| section.is(family.key(), "off"));
        if let (Removal::LeftOut, Some(off)) = (by, off) {
            let what = format!(
                "{} can remove a record only with an update of the other family, and {off} is \
                    off; write \"keep\"",
                provider.name
            );
            notes.add(setting.at, &setting.name, what);
        }
        let knows = |source: &Option<SourceRef>| match source {
            Some(SourceRef::Auto) => true,
            Some(SourceRef::Named(at)) => {
                let source = self.sources[*at].source.as_ref();
                source.is_none_or(|source| matches!(source.kind, SourceKind::Interface(_)))
            }
            None => false,
        };
        if !sources.iter().any(|(_, source)| knows(source)) {
            let what = "never removes anything here: only \"auto\" and sources with interface know that an address has gone";
            notes.warn(setting.at, &setting.name, what);
        }
        WhenGone::Remove { after: after.unwrap_or(DEFAULT), by }
    }

    fn secret(
        &self,
        section: &Section<'_>,
        provider: Option<&Provider>,
        notes: &mut Notes,
    ) -> Option<SecretPlace> {
        let is_secret = |scope| matches!(scope, Scope::KeySecret | Scope::Secret);
        let keys = HOST_KEYS.iter().filter(|(_, scope)| is_secret(*scope)).map(|(key, _)| *key);
        let mut given: Vec<_> =
            keys.clone().filter_map(|key| Some((key, section.get(key)?))).collect();
        // The first setting is used, and a file is the best place.
        order::sort_by_key(&mut given, |(key, _)| !key.ends_with("-file"));
        let kind = provider.map_or(SecretKind::Token, |provider| provider.manners().secret);
        if kind == SecretKind::Nothing {
            return None;
        }
        let (key, setting) = match &given[..] {
            [one] => one,
            [] => {
                let file = kind.example();
                let what = format!("has no credential; add {file}");
                section.lacks(&keys.collect::<Vec<_>>(), what, notes);
                return None;
            }
            [(first, _), rest @ ..] => {
                for (_, setting) in rest {
                    let what = format!("is a second secret beside {first}; keep one of them");
                    notes.add(setting.at, &setting.name, what);
                }
                return None;
            }
        };
        let path = |text: &str| value::path(text, self.base);
        match *key {
            "token-file" | "password-file" | "secret-file" => {
                let is_key = provider.is_some_and(Provider::has_key_file);
                let place = if is_key { SecretPlace::WholeFile } else { SecretPlace::File };
                unquoted(setting, path, notes).map(place)
            }
            "key-file" => unquoted(setting, path, notes).map(SecretPlace::KeyFile),
            "token-env" => unquoted(setting, variable, notes).map(SecretPlace::Environment),
            "token-credential" => unquoted(setting, credential, notes).map(SecretPlace::Credential),
            _ => self.inline(setting, notes),
        }
    }

    /// A secret written in the configuration itself; errors do not repeat it.
    fn inline(&self, setting: &Setting<'_>, notes: &mut Notes) -> Option<SecretPlace> {
        let exposed = (self.file, self.exposed);
        inline(setting, exposed, "token-file", notes).map(SecretPlace::Inline)
    }

    fn path(
        &self,
        section: &Section<'_>,
        manners: Option<&Manners>,
        notes: &mut Notes,
    ) -> Option<PathBuf> {
        match section.get("path") {
            None if manners.is_some_and(Manners::is_local) => {
                let example = SecretKind::Nothing.example();
                let what = format!("needs path, the file to write; write {example}");
                section.lacks(&["path"], what, notes);
                None
            }
            setting => setting?.parsed(notes, |text| {
                let path = value::path(text, self.base)?;
                if text.ends_with('/') {
                    Err("is a directory; name the file in it")
                } else {
                    Ok(path)
                }
            }),
        }
    }
}

/// Why a host of a protocol with these manners cannot have the setting `key`; `None` if it can. `flag`
/// is the value of a setting that is true or false.
pub(super) fn misfit(key: &str, flag: Option<bool>, manners: &Manners) -> Option<String> {
    let index = HOST_KEYS.binary_search_by_key(&key, |(known, _)| known).ok()?;
    let (_, scope) = HOST_KEYS[index];
    let (word, secret, is_local) = (manners.word, manners.secret, manners.is_local());
    let looks = manners.has_conditions || manners.compares;
    let unused = || format!("is not used by the protocol {word}; remove it");
    let unneeded = || "is not needed for a hosts file; remove it".to_owned();
    match scope {
        Scope::All => None,
        // An entry that lists nothing replaces what is there, as true says.
        Scope::Conditional if flag == Some(true) => {
            (!looks && !manners.is_described()).then(unused)
        }
        Scope::Conditional => (!looks && flag == Some(false))
            .then(|| format!("cannot be false: the protocol {word} always overwrites; remove it")),
        Scope::Judged => {
            let judges = manners.has_receipts() || manners.has_powers || flag == Some(false);
            (!judges).then(|| {
                "works only at providers whose tokens `homing token` makes or checks; remove it"
                    .to_owned()
            })
        }
        Scope::Described => (!manners.is_described()).then(unused),
        Scope::Key => (secret != SecretKind::Key).then(unused),
        Scope::KeySecret | Scope::Secret if secret == SecretKind::Nothing => Some(unneeded()),
        Scope::KeySecret | Scope::Secret => {
            let fits = (scope == Scope::KeySecret) == (secret == SecretKind::Key);
            let example = secret.example();
            (!fits).then(|| format!("is not for the protocol {word}; write {example}"))
        }
        Scope::Local => {
            (!is_local).then(|| "is for the provider hosts-file only; remove it".to_owned())
        }
        Scope::Login => (secret != SecretKind::Password).then(unused),
        Scope::Published => {
            is_local.then(|| "does not work with a hosts file; remove it".to_owned())
        }
        Scope::Remote => is_local.then(unneeded),
        Scope::TimeToLive => (!manners.says_ttl).then(|| {
            format!(
                "is not supported by the protocol {word}; remove \
                it"
            )
        }),
    }
}

/// The ways to remove a record, in words.
fn ways_to_remove() -> String {
    let by = |removal| {
        let able = move |protocol: &Protocol| protocol.manners().removal == Some(removal);
        Protocol::ALL.into_iter().filter(|protocol| protocol.is_here()).filter(able)
    };
    let said: Vec<_> = by(Removal::Said).map(Protocol::word).collect();
    let left_out = by(Removal::LeftOut)
        .map(|protocol| format!(", or a {} provider with omit = \"delete\"", protocol.word()));
    said.join(", ") + &left_out.collect::<String>()
}

/// The fix for `name`, which is no source but looks like an address, a URL, or a word for on or off.
fn source_for(name: &str) -> Option<String> {
    let section = |key: &str, value: &str| {
        format!("write [source.NAME] with {key} = \"{value}\", and its NAME here")
    };
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(section("static", &address.to_string()));
    }
    if name.contains("://") {
        return Some("write [source.NAME] with this address as web, and its NAME here".to_owned());
    }
    match &*name.to_ascii_lowercase() {
        "disable" | "disabled" | "false" | "ignore" | "never" | "no" | "none" => {
            Some("write \"off\"".to_owned())
        }
        "default" | "enabled" | "on" | "true" | "yes" => Some("write \"auto\"".to_owned()),
        _ => None,
    }
}

/// The problem with a text that is a list of names, or the address of a page.
fn several_names(text: &str) -> Option<String> {
    const SIGNS: [char; 3] = [',', ';', ' '];
    if text.contains("://") {
        return Some(
            "is not a host name: ':' is not allowed; write only the name, without https://"
                .to_owned(),
        );
    }
    let sign = text.chars().find(|c| SIGNS.contains(c))?;
    let names: Vec<_> = text.split(SIGNS).filter(|name| !name.is_empty()).collect();
    let list = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let are_names = names.len() > 1 && names.iter().all(|name| value::hostname(name).is_ok());
    are_names.then(|| {
        format!(
            "is not a host name: {sign:?} is not allowed; for several names, quote each one: \
            name = [{list}]"
        )
    })
}

/// The block's valid host names, with their settings.
fn names<'a>(section: &Section<'a>, notes: &mut Notes) -> Vec<(Setting<'a>, Hostname)> {
    let Some(setting) = section.get("name") else {
        let what = "needs name; write name = \"host.example.com\"";
        section.lacks(&["name"], what, notes);
        return Vec::new();
    };
    let items = setting.items();
    if items.is_empty() {
        notes.add(setting.at, &setting.name, "is empty; write at least one name");
    }
    let hostname = |item: Setting<'a>| {
        let text = item.value.as_str();
        if let Some(name) = text.and_then(|text| value::hostname(text).ok()) {
            return Some((item, name));
        }
        if let Some(fix) = text.and_then(several_names) {
            notes.add(item.at, &item.name, fix);
            return None;
        }
        item.parsed(notes, value::hostname).map(|name| (item, name))
    };
    items.into_iter().filter_map(hostname).collect()
}

/// The zone of all the block's names, if it is configured.
fn zone(
    section: &Section<'_>,
    provider: Option<&Provider>,
    names: &[(Setting<'_>, Hostname)],
    notes: &mut Notes,
) -> Option<Hostname> {
    let (zone, whose) = match section.get("zone") {
        Some(setting) => (setting.parsed(notes, value::zone)?, "its zone"),
        None => {
            let provider = provider?;
            let needs = |entry: &Arc<Entry>| entry.names_zone() && !entry.finds_zone();
            if provider.zone.is_none() && provider.http.as_ref().is_some_and(needs) {
                let what = format!(
                    "needs zone, the domain that holds the host: {} cannot be asked for it",
                    provider.name
                );
                section.lacks(&["zone"], what, notes);
            }
            (provider.zone.clone()?, "its provider's zone")
        }
    };
    for (item, name) in names {
        if !name.is_within(&zone) {
            let what = format!("{name} is not in {whose} {zone}; correct one of them");
            notes.add(item.at, &item.name, what);
        }
    }
    Some(zone)
}

/// The values of options: of the block, or of the provider's zone.
fn options(
    section: &Section<'_>,
    provider: Option<&Provider>,
    notes: &mut Notes,
) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let entry = provider.and_then(|provider| provider.http.as_ref());
    let known: Vec<&str> = entry.iter().flat_map(|entry| entry.known_options()).collect();
    let given =
        section.get("options").and_then(|setting| setting.section("options = { … }", notes));
    let given = given.iter().flat_map(Section::settings).collect::<Vec<_>>();
    let zone_id = section.get("zone-id").map(|setting| ("zone-id", setting));
    for (name, setting) in given.into_iter().chain(zone_id) {
        if entry.is_some() && !known.contains(&name) {
            let near = nearest(name, known.iter().copied());
            let fix = match (near, &known[..]) {
                (Some(near), _) => format!("did you mean {near}?"),
                (None, []) => "it has none; remove it".to_owned(),
                (None, known) => format!("there are: {}", known.join(", ")),
            };
            notes.add(
                setting.at,
                &setting.name,
                format!("is not an option of the provider; {fix}"),
            );
            continue;
        }
        let value = match setting.value.as_bool() {
            Some(flag) => Some(flag.to_string()),
            None => match setting.value.as_integer() {
                Some(number) => Some(number.as_str().to_owned()),
                None => setting.text(notes).map(str::to_owned),
            },
        };
        options.extend(value.map(|value| (name.to_owned(), value)));
    }
    for required in entry.iter().flat_map(|entry| entry.required_options()) {
        if !options.iter().any(|(name, _)| name == required) {
            let what =
                format!("needs options = {{ {required} = \"…\" }}, which the provider requires");
            section.lacks(&["options"], what, notes);
        }
    }
    options
}

fn username(
    section: &Section<'_>,
    provider: Option<&Provider>,
    notes: &mut Notes,
) -> Option<String> {
    let wants = provider.filter(|provider| !provider.has_login_in_secret());
    let wants = wants.map(|provider| (provider.manners().secret, provider.login));
    match (section.get("username"), wants) {
        (Some(setting), _) => unquoted(&setting, login, notes),
        (None, Some((SecretKind::Password, Login::Username))) => {
            let what = "needs username, the login that belongs to the password";
            section.lacks(&["username"], what, notes);
            None
        }
        (None, _) => None,
    }
}

/// The login for the key of a name server whose file does not name it: `ALGORITHM:NAME`.
fn key_login(
    section: &Section<'_>,
    provider: Option<&Provider>,
    notes: &mut Notes,
) -> Option<String> {
    let setting = section.get("key-name");
    if section.get("secret-file").is_none() {
        if let Some(setting) = setting {
            let what = "is only for a secret-file: a key-file contains the key's name; remove it";
            notes.add(setting.at, &setting.name, what);
        }
        return None;
    }
    let Some(setting) = setting else {
        let what = "needs key-name, the name of the key whose secret is in secret-file";
        section.lacks(&["key-name"], what, notes);
        return None;
    };
    let name = setting.parsed(notes, |text| {
        let wrong = "is not the name of a key; write it as the name server has it";
        Name::from_text(text).ok_or(wrong)
    })?;
    Some(format!("{}:{name}", provider?.algorithm))
}

/// How long resolvers may keep the host's records, in seconds.
fn ttl(section: &Section<'_>, notes: &mut Notes) -> Option<u32> {
    /// A day: longer is useless for a machine that moves.
    const MOST: usize = 86_400;
    u32::try_from(section.get("ttl")?.number(1, MOST, notes)?).ok()
}

/// A secret written in the configuration `file` itself, which should have the mode `exposed` if others
/// may read it; the key `instead` names a file. Errors do not repeat the secret.
pub(super) fn inline(
    setting: &Setting<'_>,
    (file, exposed): (&Path, Option<u32>),
    instead: &str,
    notes: &mut Notes,
) -> Option<Secret> {
    let text = setting.raw_text(notes)?;
    if let Some(mode) = exposed {
        let chmod = chmod(file, mode);
        let what = format!(
            "is a secret in a file that others can read; run `{chmod}`, or move it into its own file and write {instead}"
        );
        notes.add(setting.at, &setting.name, what);
    }
    notes.keep(setting.at, &setting.name, secret::one_line(text.as_bytes()))
}

/// Whether only a token with a proof in its receipt may be used, or where there is no receipt, one that
/// was not found too powerful; notes a secret without the receipt that it needs.
fn strict_token(section: &Section<'_>, manners: Option<&Manners>, notes: &mut Notes) -> bool {
    let is_strict = section.flag("strict-token", notes).unwrap_or_default();
    let has_receipts = manners.is_some_and(Manners::has_receipts);
    let setting = section.get("strict-token").filter(|_| is_strict && has_receipts);
    let file = section.get("token-file").or_else(|| section.get("password-file"));
    if let (Some(setting), None) = (setting, file) {
        let what = "needs the receipt beside a token file; use token-file = \
            \"/etc/homing/host.token\" for the secret";
        notes.add(setting.at, &setting.name, what);
    }
    is_strict
}

/// How the zone's servers are asked; `None` if not. The default is to ask where updates go by DNS.
fn verify(section: &Section<'_>, manners: Option<&Manners>, notes: &mut Notes) -> Option<Verify> {
    const PORT: u16 = 53;
    let is_on = match section.get("verify") {
        Some(setting) => setting.flag(notes).unwrap_or(true),
        None => manners.is_none_or(|manners| manners.transport == Transport::Dns),
    };
    if !is_on {
        for setting in
            ["verify-servers", "verify-timeout"].into_iter().filter_map(|key| section.get(key))
        {
            let what = "has no effect without verify = true; add that, or remove this line";
            notes.add(setting.at, &setting.name, what);
        }
    }
    let servers = section.get("verify-servers").map(|setting| {
        let items = setting.items();
        if items.is_empty() {
            notes.add(setting.at, &setting.name, "is empty; name a server, or remove the line");
        }
        let server = |item: Setting<'_>| item.parsed(notes, |text| value::server(text, PORT));
        items.into_iter().filter_map(server).collect::<Vec<Server>>()
    });
    let duration = |text: &str| value::duration(text, &value::VERIFY_TIMEOUT);
    let timeout = section.parsed("verify-timeout", notes, duration);
    is_on.then(|| Verify {
        servers: servers.unwrap_or_default(),
        timeout: timeout.unwrap_or(Verify::TIMEOUT),
    })
}

/// The text as `parse` reads it; an error does not repeat the text, which may be the secret by mistake.
pub(super) fn unquoted<T>(
    setting: &Setting<'_>,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
    notes: &mut Notes,
) -> Option<T> {
    let text = setting.text(notes)?;
    notes.keep(setting.at, &setting.name, parse(text))
}

/// A login for `Basic`, in which a colon would end it (RFC 7617, section 2).
fn login(text: &str) -> Result<String, &'static str> {
    if text.contains(':') {
        return Err("must not contain a colon; put the password into its own file");
    }
    Ok(text.to_owned())
}

/// The name of an environment variable.
pub(super) fn variable(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(fits) {
        return Err("is not the name of an environment variable; write it like \"HOMING_TOKEN\"");
    }
    Ok(text.to_owned())
}

/// The name of a file in `$CREDENTIALS_DIRECTORY`.
pub(super) fn credential(text: &str) -> Result<String, &'static str> {
    if text.contains('/') || matches!(text, "." | "..") {
        return Err(
            "is not the name of a credential; write the name that LoadCredential= gives it",
        );
    }
    Ok(text.to_owned())
}
