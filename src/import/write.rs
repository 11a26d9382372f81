//! Writes the draft as configuration: sections in a fixed order, comments for all losses, and no
//! secret.
//!
//! The configuration's own reader checks each host, so that `homing check` accepts the result.
//! Called by the driver.

use std::path::Path;

use super::address::{Address, Kind, Source};
use super::service::{self, Own, Service, Value};
use super::{Credential, Draft, Host, Refresh, Remark, join, toml};
use crate::config::secret::{for_shell, one_line};
use crate::core::address::Family;
use crate::core::order::{SortedMap, SortedSet};
use crate::core::protocol::manners::SecretKind;
use crate::core::provider::Login;
use crate::core::secret::Secret;
use crate::core::wire::key_file;

/// The directory of secrets in comments, if none is given.
const USUAL_DIRECTORY: &str = "/etc/homing";

/// The name instead of a source that was not carried over; no such source exists, so `homing check`
/// asks for one when the host is switched on.
const TO_BE_WRITTEN: &str = "name-of-a-source";

/// The configuration and its secrets.
#[derive(Debug)]
pub struct Written {
    /// The configuration.
    pub text: String,
    /// The secrets to write into files.
    pub secrets: Vec<SecretFile>,
    /// The number of host names that it updates.
    pub carried: usize,
    /// The number of host names of the old configuration that it does not update.
    pub left_out: usize,
    /// The number of remarks that a person has to act on.
    pub to_do: usize,
}

/// A secret with its file.
#[derive(Debug)]
pub struct SecretFile {
    /// The file's name in the directory of secrets.
    pub name: String,
    /// The secret to write.
    pub secret: Secret,
}

impl Draft {
    /// Writes the draft as configuration, for a file called `origin`.
    ///
    /// Secrets are for files in `directory`; without one, comments say where to put them.
    /// `problems` returns the problems of a configuration, in sentences.
    pub fn written(
        mut self,
        origin: &str,
        directory: Option<&str>,
        problems: impl Fn(&str) -> Vec<String>,
    ) -> Written {
        self.hosts = join::joined(std::mem::take(&mut self.hosts));
        let hidden = std::mem::take(&mut self.hidden);
        for host in &mut self.hosts {
            host.withhold(&hidden);
        }
        let writer = Writer::new(directory, &self.hosts);
        self.hosts = writer.admit(std::mem::take(&mut self.hosts), problems);
        writer.whole(&self, origin)
    }
}

impl Host {
    /// Removes texts that must not be shown, and names that are not valid.
    fn withhold(&mut self, hidden: &[Secret]) {
        const SHORT: usize = 6;
        let is_in = |text: &str, secret: &str| {
            text == secret || secret.len() >= SHORT && text.contains(secret)
        };
        let holds = |text: &str| {
            holds_assignment(text) || hidden.iter().any(|secret| is_in(text, secret.expose()))
        };
        let before = self.names.len();
        self.names.retain(|name| {
            super::is_name(name) && !hidden.iter().any(|secret| secret.expose() == name)
        });
        if self.names.len() < before {
            let what = "a name there is none, or equals a password, so it is not repeated here; write it yourself";
            self.remarks.push(Remark::to_do(self.line, what));
        }
        if self.names.is_empty() {
            self.leave_out("no name is left of it");
        }
        if self.username.as_ref().is_some_and(|login| holds(login) || login.contains('\n')) {
            self.drop_login(
                "its login holds a secret, so it is not repeated here; write username yourself",
            );
        }
        for address in [&mut self.addresses.v4, &mut self.addresses.v6] {
            let Address::From(source) = address else { continue };
            let is_secret = match &source.kind {
                Kind::Command(words) => words.iter().any(|word| holds(word)),
                Kind::Interface(text) | Kind::Web(text) => holds(text),
                Kind::Static(_) => false,
            };
            if is_secret {
                let what =
                    "its source holds a secret, so it is not repeated here; write a source for it";
                *address = Address::Lost(what.to_owned());
            }
        }
        self.settle_sources();
        if self.on_change.iter().any(|word| holds(word)) {
            self.on_change.clear();
            let what = "what runs after a change holds a secret, so it is not repeated here";
            self.remarks.push(Remark::to_do(self.line, what));
        }
        let shows = match &self.service {
            Service::BuiltIn(_) | Service::Unread => false,
            Service::Own(own) => own.settings.iter().any(|(_, value)| value.any(&holds)),
            Service::Unknown(name, _) => holds(name),
        };
        let zone_shows = self.zone.take_if(|zone| holds(zone)).is_some();
        let before = self.options.len();
        self.options.retain(|(_, value)| !holds(value));
        if shows || zone_shows || self.options.len() < before {
            self.service = Service::not_known("this service", "describe it as [provider.NAME]");
        }
        if let Credential::KeyFile(path) = &self.credential
            && holds(path)
        {
            self.credential = Credential::Missing("it is not a path".to_owned());
        }
        if let Service::Unknown(_, why) = &self.service {
            // This reason takes precedence over any other.
            self.left_out = Some(why.clone());
        }
    }
}

/// Whether `text` holds the assignment of a password, which became part of another value by mistake.
fn holds_assignment(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.match_indices("password").any(|(at, name)| {
        text[at + name.len()..]
            .trim_start_matches(|c: char| c != '=' && c.is_whitespace())
            .starts_with('=')
    })
}

/// The decisions for the whole file.
#[derive(Default)]
struct Writer<'a> {
    /// The directory of secrets, if one is given.
    directory: Option<&'a str>,
    /// The sources, with their names.
    sources: Vec<(String, Source)>,
    /// The index of each source in that list.
    source_places: SortedMap<Source, usize>,
    /// The user's own providers, with their names.
    providers: Vec<(String, Own)>,
    /// The name of each secret's file, by provider, login, kind and secret.
    files: SortedMap<FileKey, String>,
    /// Every name in use, after a word for its kind.
    taken: SortedSet<String>,
}

/// The provider, login, kind and secret that one secret file is for.
type FileKey = (String, Option<String>, &'static str, String);

impl<'a> Writer<'a> {
    fn new(directory: Option<&'a str>, hosts: &[Host]) -> Self {
        let mut writer = Self { directory, ..Self::default() };
        // Hosts that are not left out come first, and get names without a number.
        let (counting, rest): (Vec<_>, Vec<_>) =
            hosts.iter().partition(|host| host.left_out.is_none());
        for host in counting.into_iter().chain(rest) {
            for (family, address) in host.addresses.iter() {
                writer.name_source(family, address);
            }
            if let Service::Own(own) = &host.service {
                writer.name_provider(own);
            }
            if host.service.protocol().is_some() && host.key_is_named() {
                writer.name_file(host);
            }
        }
        writer
    }

    fn name_source(&mut self, family: Family, address: &Address) {
        let Address::From(source) = address else { return };
        if self.source_places.contains_key(source) {
            return;
        }
        let digit = if family == Family::V4 { '4' } else { '6' };
        let name = match &source.kind {
            Kind::Command(_) => format!("command{digit}"),
            Kind::Interface(name) => plain(name),
            Kind::Static(_) => format!("static{digit}"),
            Kind::Web(_) => format!("web{digit}"),
        };
        let name =
            if matches!(&*name, "auto" | "off") { format!("{name}-interface") } else { name };
        let name = self.free("source", &name, "");
        self.source_places.insert(source.clone(), self.sources.len());
        self.sources.push((name, source.clone()));
    }

    fn name_provider(&mut self, own: &Own) {
        if self.providers.iter().any(|(_, known)| known == own) {
            return;
        }
        let name = self.free("provider", &own.name, "");
        self.providers.push((name, own.clone()));
    }

    fn name_file(&mut self, host: &Host) {
        let key = host.file_key();
        if self.files.contains_key(&key) {
            return;
        }
        let name = host.names.first().map(|name| plain(&name.replace('*', "wildcard")));
        let end = format!(".{}", key.2);
        let name = self.free("file", &name.unwrap_or_else(|| "host".to_owned()), &end);
        self.files.insert(key, name);
    }

    /// `name` with `end`, or the first of `name-2`, `name-3`, … that is not in use for its kind.
    fn free(&mut self, kind: &str, name: &str, end: &str) -> String {
        let numbered = |number: u32| match number {
            1 => format!("{name}{end}"),
            _ => format!("{name}-{number}{end}"),
        };
        let taken = &mut self.taken;
        // Some file systems ignore case.
        let mut is_free = |name: &String| taken.insert(format!("{kind} {}", name.to_lowercase()));
        (1..=u32::MAX).map(numbered).find(|name| is_free(name)).unwrap_or_default()
    }

    /// The path of the file for the host's secret.
    fn file(&self, host: &Host) -> Option<String> {
        let name = self.files.get(&host.file_key())?;
        let directory = self.directory.unwrap_or(USUAL_DIRECTORY).trim_end_matches('/');
        Some(format!("{directory}/{name}"))
    }

    fn source_name(&self, source: &Source) -> &str {
        let place = self.source_places.get(source);
        place.map_or("auto", |place| &self.sources[*place].0)
    }

    fn provider_name<'s>(&'s self, service: &'s Service) -> &'s str {
        let Service::Own(own) = service else { return service.name() };
        let found = self.providers.iter().find(|(_, known)| known == own);
        found.map_or(&own.name, |(name, _)| name)
    }

    /// Leaves out hosts, and single names of a block, that a configuration cannot have.
    fn admit(&self, hosts: Vec<Host>, problems: impl Fn(&str) -> Vec<String>) -> Vec<Host> {
        let first_problem = |hosts: &[&Host]| match hosts {
            [] => None,
            hosts => problems(&self.sections(hosts)).into_iter().next(),
        };
        let mut admitted = Vec::with_capacity(hosts.len());
        for mut host in hosts {
            let problem = if host.left_out.is_none() { first_problem(&[&host]) } else { None };
            let Some(problem) = problem else {
                admitted.push(host);
                continue;
            };
            if host.names.len() < 2 {
                host.leave_out(problem);
                admitted.push(host);
                continue;
            }
            let mut refused = Vec::new();
            for name in std::mem::take(&mut host.names) {
                let mut single =
                    Host { names: vec![name.clone()], remarks: Vec::new(), ..host.clone() };
                match first_problem(&[&single]) {
                    None => host.names.push(name),
                    Some(problem) => {
                        single.leave_out(problem);
                        refused.push(single);
                    }
                }
            }
            match refused.first_mut() {
                Some(first) if host.names.is_empty() => first.remarks = host.remarks,
                _ => admitted.push(host),
            }
            admitted.append(&mut refused);
        }
        if first_problem(&counting(&admitted)).is_some() {
            // One by one, since some hosts conflict with others.
            for place in 0..admitted.len() {
                if let Some(problem) = first_problem(&counting(&admitted[..=place])) {
                    admitted[place].leave_out(problem);
                }
            }
        }
        admitted
    }

    /// The sections that `hosts` need, and their blocks, without remarks.
    fn sections(&self, hosts: &[&Host]) -> String {
        let mut text = self.shared(hosts, &SortedSet::new());
        for host in hosts {
            text.push_str(&self.block(host));
        }
        text
    }

    /// The sources and providers that `hosts` need, except those in `written`.
    fn shared(&self, hosts: &[&Host], written: &SortedSet<String>) -> String {
        let mut text = String::new();
        let addresses = hosts.iter().flat_map(|host| [&host.addresses.v4, &host.addresses.v6]);
        let used = addresses
            .filter_map(|address| match address {
                Address::From(source) => self.source_places.get(source).copied(),
                Address::Auto | Address::Lost(_) | Address::Off => None,
            })
            .collect::<SortedSet<_>>();
        for (name, source) in used.iter().map(|place| &self.sources[*place]) {
            let header = format!("[source.{}]", toml::key(name));
            if !written.contains(&header) {
                text += &format!("{header}\n{}\n", source_lines(source));
            }
        }
        for (name, own) in &self.providers {
            let is_used =
                |host: &&&Host| matches!(&host.service, Service::Own(used) if used == own);
            if hosts.iter().find(is_used).is_none() {
                continue;
            }
            let header = format!("[provider.{}]", toml::key(name));
            if !written.contains(&header) {
                text += &format!("{header}\n{}\n", provider_lines(own));
            }
        }
        text
    }

    /// The host's own section.
    fn block(&self, host: &Host) -> String {
        let mut text = String::from("[[host]]\n");
        let mut line = |key: &str, value: String| text += &format!("{key} = {value}\n");
        line("name", toml::strings(&host.names));
        line("provider", toml::string(self.provider_name(&host.service)));
        let kind = host.service.secret_kind();
        if let Some(username) = &host.username {
            let key = if kind == Some(SecretKind::Key) { "key-name" } else { "username" };
            line(key, toml::string(username));
        }
        match (&host.credential, kind) {
            (_, None) => {}
            (Credential::KeyFile(path), _) => line("key-file", toml::string(path)),
            (Credential::Variable(name), _) => line("token-env", toml::string(name)),
            (Credential::Missing(_) | Credential::Text(..), Some(_)) => {
                if let Some(path) = self.file(host) {
                    line(&format!("{}-file", host.secret_kind()), toml::string(&path));
                }
            }
        }
        if let Some(zone) = &host.zone {
            line("zone", toml::string(zone));
        }
        if !host.options.is_empty() {
            let option = |(name, value): &(String, String)| {
                [&toml::key(name), " = ", &toml::string(value)].concat()
            };
            let options: Vec<_> = host.options.iter().map(option).collect();
            line("options", ["{ ", &options.join(", "), " }"].concat());
        }
        for (family, address) in host.addresses.iter() {
            match address {
                Address::Auto => {}
                Address::From(source) => line(family.key(), toml::string(self.source_name(source))),
                Address::Lost(_) => line(family.key(), toml::string(TO_BE_WRITTEN)),
                Address::Off => line(family.key(), toml::string("off")),
            }
        }
        match host.refresh {
            Some(Refresh::Every(every)) => line("refresh", toml::string(&toml::duration(every))),
            Some(Refresh::Never) => line("refresh", toml::string("never")),
            None => {}
        }
        if let Some(ttl) = host.ttl {
            line("ttl", ttl.to_string());
        }
        if !host.on_change.is_empty() {
            line("on-change", toml::list(&host.on_change));
        }
        text.push('\n');
        text
    }

    fn whole(&self, draft: &Draft, origin: &str) -> Written {
        let (counting, rest): (Vec<&Host>, Vec<&Host>) =
            draft.hosts.iter().partition(|host| host.left_out.is_none());
        let mut body = Body::default();
        body.remark_all(&draft.remarks);
        if !body.text.is_empty() {
            body.text.push('\n');
        }
        if let Some(interval) = draft.interval {
            let interval = toml::string(&toml::duration(interval));
            body.text += &format!("[daemon]\ninterval = {interval}\n\n");
        }
        body.text += &self.shared(&counting, &SortedSet::new());
        let mut written = headers(&body.text);
        for host in &counting {
            body.remark_all(&host.remarks);
            self.tell_secret(host, &mut body);
            body.text += &self.block(host);
        }
        for host in &rest {
            let reason = host.left_out.as_deref().unwrap_or_default();
            body.remark(&Remark::to_do(host.line, format!("left out: {reason}")));
            body.remark_all(&host.remarks);
            if host.service == Service::Unread {
                body.text.push('\n');
                continue;
            }
            // A host that is switched on later finds its secret in place.
            if host.service.protocol().is_some() && self.directory.is_some() {
                self.tell_secret(host, &mut body);
            }
            let off = self.shared(&[host], &written) + &self.block(host);
            written.extend(headers(&off));
            body.text += &toml::switched_off(&off);
        }
        let names = |hosts: &[&Host]| hosts.iter().map(|host| host.names.len().max(1)).sum();
        let (carried, left_out) = (names(&counting), names(&rest));
        let Body { text, to_do, secrets, .. } = body;
        let mut text = header(draft, origin, (carried, left_out, to_do)) + text.trim_end();
        text.push('\n');
        let file = |(name, secret)| SecretFile { name, secret };
        let secrets = secrets.into_iter().map(file).collect();
        Written { text, secrets, carried, left_out, to_do }
    }

    /// Remarks what to do about the host's secret, or keeps the secret for its file.
    fn tell_secret(&self, host: &Host, body: &mut Body) {
        let Some(path) = self.file(host) else {
            let what = match &host.credential {
                Credential::KeyFile(path) => {
                    format!("Homing's user must be able to read {path}, and nobody else")
                }
                Credential::Variable(name) => {
                    format!("the environment variable {name} must be set for Homing, too")
                }
                Credential::Missing(_) | Credential::Text(..) => return,
            };
            return body.remark(&Remark::to_do(host.line, what));
        };
        let is_first = body.told.insert(path.clone());
        let (line, what) = match &host.credential {
            Credential::Text(secret, line) => match one_line(secret.expose().as_bytes()) {
                Ok(_) if secret.expose().contains('\u{fffd}') => {
                    (*line, "the secret there is not UTF-8 text".to_owned())
                }
                Ok(secret) if self.directory.is_some() => {
                    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                    body.secrets.insert(name, secret);
                    return;
                }
                Ok(_) => (*line, "copy the secret from that line of the old file".to_owned()),
                Err(flaw) => {
                    // The problem, without a fix that is for Homing's own files.
                    let flaw = flaw.to_string();
                    let flaw = flaw.split(';').next().unwrap_or_default();
                    (*line, format!("the secret there {flaw}"))
                }
            },
            Credential::Missing(why) => (host.line, why.clone()),
            Credential::KeyFile(_) | Credential::Variable(_) => return,
        };
        if is_first {
            let what = format!("{what}; put it into {path}, as its only line:");
            body.remark(&Remark::to_do(line, what));
            let command = format!("(umask 077 && cat > {})", for_shell(Path::new(&path)));
            body.text += &toml::verbatim(&format!("{command}  # then paste it, Enter, Ctrl-D"));
        }
    }
}

/// The sections and comments written so far.
#[derive(Default)]
struct Body {
    text: String,
    /// The number of remarks that a person has to act on.
    to_do: usize,
    /// The remarks in it.
    said: SortedSet<Remark>,
    /// The secret files that were handled.
    told: SortedSet<String>,
    /// The secrets for files, by file name.
    secrets: SortedMap<String, Secret>,
}

impl Body {
    fn remark(&mut self, remark: &Remark) {
        let Remark { line, text, is_to_do } = remark;
        let begin = if *is_to_do { "To do, line" } else { "Line" };
        self.to_do += usize::from(*is_to_do);
        self.text += &toml::comment(&format!("{begin} {line}: {text}"), 2);
    }

    /// Adds remarks that are new: a setting for all hosts gets one remark.
    fn remark_all(&mut self, remarks: &[Remark]) {
        for remark in remarks {
            if self.said.insert(remark.clone()) {
                self.remark(remark);
            }
        }
    }
}

/// The hosts that are not left out.
fn counting(hosts: &[Host]) -> Vec<&Host> {
    hosts.iter().filter(|host| host.left_out.is_none()).collect()
}

/// The headers of sections in `text`.
fn headers(text: &str) -> SortedSet<String> {
    text.lines().filter(|line| line.starts_with('[')).map(str::to_owned).collect()
}

impl Host {
    /// The ending of the name of the host's secret file.
    fn secret_kind(&self) -> &'static str {
        match self.service.secret_kind() {
            Some(SecretKind::Password) => "password",
            Some(SecretKind::Key) => "secret",
            Some(SecretKind::Nothing | SecretKind::Token) | None => "token",
        }
    }

    /// Whether the host's secret needs a file.
    fn key_is_named(&self) -> bool {
        matches!(self.credential, Credential::Missing(_) | Credential::Text(..))
    }

    fn file_key(&self) -> FileKey {
        let secret = match &self.credential {
            Credential::Text(secret, _) => secret.expose().to_owned(),
            // Two missing secrets need not be the same.
            Credential::Missing(_) => format!("\n{}", self.line),
            Credential::KeyFile(_) | Credential::Variable(_) => String::new(),
        };
        (self.service.name().to_owned(), self.username.clone(), self.secret_kind(), secret)
    }
}

/// The first lines of the configuration.
fn header(
    draft: &Draft,
    origin: &str,
    (carried, left_out, to_do): (usize, usize, usize),
) -> String {
    let client = draft.client.word();
    let mut text = toml::comment(
        &format!("Homing configuration, made by `homing import {client}` from {origin}."),
        0,
    );
    let hosts =
        |count: usize| if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") };
    let left = if left_out == 0 { String::new() } else { format!(", {left_out} left out") };
    let marked = match to_do {
        0 => String::new(),
        1 => " What needs a look is marked \"To do\" (once).".to_owned(),
        several => format!(" What needs a look is marked \"To do\" ({several} times)."),
    };
    let what = format!(
        "{} carried over{left}.{marked} Lines are those of the old file. `homing check --config FILE` and `homing --once \
         --dry-run --config FILE` show what this one does; then stop {client}, because two clients undo each other's work.",
        hosts(carried)
    );
    text.push_str(&toml::comment(&what, 0));
    text.push('\n');
    text
}

fn source_lines(source: &Source) -> String {
    let mut text = match &source.kind {
        Kind::Command(words) => format!("command = {}\n", toml::list(words)),
        Kind::Interface(name) => format!("interface = {}\n", toml::string(name)),
        Kind::Static(address) => format!("static = {}\n", toml::string(&address.to_string())),
        Kind::Web(service) => format!("web = {}\n", toml::string(service)),
    };
    if source.allow_private {
        text.push_str("allow-private = true\n");
    }
    text
}

fn provider_lines(own: &Own) -> String {
    let mut text = format!("protocol = {}\n", toml::string(own.protocol.word()));
    for (key, value) in &own.settings {
        text += &format!("{key} = {}\n", value_text(value));
    }
    text
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::List(texts) => toml::list(texts),
        Value::Pair(key, value) => ["{ ", key, " = ", &value_text(value), " }"].concat(),
        Value::Text(text) => toml::string(text),
    }
}

/// A name for a section or a file that does not begin like an option or like a hidden file.
fn plain(text: &str) -> String {
    let name = service::plain(text);
    let name = name.trim_start_matches(['-', '.']);
    if name.is_empty() { "other".to_owned() } else { name.to_owned() }
}

impl Host {
    /// Sets what the provider needs besides the secret: a login, or the name of a key.
    pub(super) fn settle_login(&mut self) {
        match self.service.secret_kind() {
            Some(SecretKind::Password) => {
                let login = match &self.service {
                    Service::BuiltIn(provider) => provider.login,
                    Service::Own(_) | Service::Unknown(..) | Service::Unread => Login::Username,
                };
                // If the host's own name is the login, the login need not be written.
                if let (Login::Host, [name]) = (login, &self.names[..]) {
                    self.username.take_if(|login| login.eq_ignore_ascii_case(name));
                }
                if login == Login::Username && self.username.is_none() {
                    self.leave_out("the old file has no login; write username");
                }
            }
            Some(SecretKind::Key) => {
                if let Credential::Text(secret, _) = &self.credential
                    && !key_file::is_secret(secret.expose())
                {
                    let why = "the secret there is not Base64, as secrets of keys are";
                    self.credential = Credential::Missing(why.to_owned());
                }
            }
            // A token needs no login.
            Some(SecretKind::Nothing | SecretKind::Token) | None => self.username = None,
        }
    }
}
