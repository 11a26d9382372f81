//! `notify` in `[report]`, and `[notify.NAME]`: who is told of problems, from keys to values.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::problems::{Notes, quoted};
use super::provider::tree;
use super::secret::{SecretPlace, read_reported};
use super::table::{Section, SectionKind, Setting};
use super::{entries, host, url, value};
use crate::core::nearest::correction;
use crate::core::notify::mail::address;
use crate::core::notify::message::Message;
use crate::core::notify::service::{self, Account, Service};
use crate::core::protocol::http::reader::Wrong;
use crate::core::protocol::{HttpRequest, origin};
use crate::core::secret::{HIDDEN, Secret};
use crate::core::text::Text;

/// The name of the service that is a program.
const MAIL: &str = "mail";

/// The program that takes mails, with its arguments: `-t` reads the mailboxes from the headers, `-i` takes
/// a line with a dot alone for a line (`sendmail(8)`).
const SENDMAIL: [&str; 3] = ["/usr/sbin/sendmail", "-i", "-t"];

/// One that is told of problems: an account at a service, or mailboxes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notifier {
    /// The name of the service, with a number from the second one on.
    label: String,
    /// How it is told.
    pub way: Way,
}

/// The way of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Way {
    /// By a request to a service.
    Http(Box<Recipient>),
    /// By a program that takes mails.
    Mail(Mail),
}

/// An account at a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// The service.
    pub service: Service,
    /// Where it is, without a slash at the end, unless its secret or its request says that.
    server: Option<String>,
    /// The place of the secret, if it has one.
    secret: Option<SecretPlace>,
    /// The options with their values.
    options: Vec<(Text, String)>,
    /// A file with authorities to trust besides the web's.
    pub ca_file: Option<PathBuf>,
}

/// Mailboxes, and the program that brings a mail there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mail {
    /// The mailboxes.
    pub to: Vec<String>,
    /// The sender; without one the program chooses it.
    pub from: Option<String>,
    /// The program with its arguments.
    pub command: Vec<String>,
}

impl Notifier {
    /// Its name in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The program that it needs, with its arguments; empty if none.
    pub fn program(&self) -> &[String] {
        match &self.way {
            Way::Http(_) => &[],
            Way::Mail(mail) => &mail.command,
        }
    }

    /// The file of authorities that it trusts besides the web's.
    pub fn ca_file(&self) -> Option<&Path> {
        match &self.way {
            Way::Http(recipient) => recipient.ca_file.as_deref(),
            Way::Mail(_) => None,
        }
    }

    /// The place of its secret.
    pub fn secret(&self) -> Option<&SecretPlace> {
        match &self.way {
            Way::Http(recipient) => recipient.secret.as_ref(),
            Way::Mail(_) => None,
        }
    }

    /// The scheme and server of its requests, as far as they are known now; `None` where a program
    /// chooses them.
    pub fn server(&self) -> Option<String> {
        let Way::Http(recipient) = &self.way else { return None };
        let url = match (&recipient.server, recipient.service.secret()) {
            (Some(server), _) => Some(server.clone()),
            (None, Some("url")) => {
                let url = recipient.read_secret().ok().flatten();
                url.map(|url| url.expose().to_owned())
            }
            (None, _) => Some(recipient.service.fixed_start().to_owned()),
        };
        // A secret that is not there yet will probably name the usual port.
        Some(url.map_or_else(|| format!("https://{HIDDEN}"), |url| origin(&url).to_owned()))
    }

    /// Where its messages go, in words without a secret.
    pub fn destination(&self) -> String {
        match &self.way {
            Way::Http(_) => self.server().unwrap_or_default(),
            Way::Mail(mail) => mail.to.join(", "),
        }
    }

    /// What is wrong with its secret, or with the request that it would make.
    pub fn problem(&self) -> Option<String> {
        self.draft().err()
    }

    /// The request that would bring a test, in one line without secrets.
    pub fn draft(&self) -> Result<String, String> {
        match &self.way {
            Way::Http(recipient) => {
                recipient.request(&Message::trial()).map(|(request, _)| request.to_string())
            }
            Way::Mail(mail) => Ok(format!("{} <{}>", mail.command.join(" "), mail.to.join(", "))),
        }
    }
}

impl Recipient {
    /// The request that brings `message`, with the secret as it is read now, if there is one; the error
    /// says what is wrong, and after a semicolon what to do.
    pub fn request(&self, message: &Message) -> Result<(HttpRequest, Option<Secret>), String> {
        let secret = self.read_secret()?;
        let (server, options) = (self.server.as_deref(), &*self.options);
        let account = Account { server, secret: secret.as_ref(), options };
        let request = self.service.request(message, account)?;
        Ok((request, secret))
    }

    /// Its secret, read now, if it has one; a URL is checked as one.
    fn read_secret(&self) -> Result<Option<Secret>, String> {
        let Some(place) = &self.secret else { return Ok(None) };
        let (is_url, title) = (self.service.secret() == Some("url"), &self.service.title);
        let what = format!("the {} of {title}", if is_url { "URL" } else { "token" });
        read_reported(place, &what, is_url).map(Some)
    }
}

/// Where a list of those who are told is read.
struct Reader<'n, 'a> {
    own: &'n [Service],
    /// The names of all services of the user, those with a mistake included.
    named: Vec<&'n str>,
    /// The file of the configuration, its directory, and the mode that it should have if others may
    /// read it.
    file: &'a Path,
    base: &'a Path,
    exposed: Option<u32>,
}

/// Reads `notify` of the section `report`, with the services of the user in `top`. `file` is the
/// configuration and the directory where relative paths begin; `exposed` is the mode that the file should
/// have, if others may read it.
pub(super) fn read_notifiers(
    top: &Section<'_>,
    report: &Section<'_>,
    (file, base): (&Path, &Path),
    exposed: Option<u32>,
    notes: &mut Notes,
) -> Vec<Notifier> {
    let mut own = Vec::new();
    let mut sections = entries(top, "notify", notes);
    for (name, section) in &mut sections {
        own.extend(own_service(name, section, notes));
    }
    let named = sections.iter().map(|(name, _)| *name).collect();
    let reader = Reader { own: &own, named, file, base, exposed };
    let items = report.get("notify").map(|setting| setting.items()).unwrap_or_default();
    let mut all: Vec<Notifier> = Vec::new();
    for item in items {
        let Some((name, way)) = reader.way(&item, notes) else { continue };
        let count = 1 + all.iter().filter(|other| other.is_at(&name)).count();
        let label = if count == 1 { name } else { format!("{name} {count}") };
        all.push(Notifier { label, way });
    }
    for (name, section) in &sections {
        if own.iter().any(|it| it.name == *name) && !all.iter().any(|it| it.is_at(name)) {
            let what =
                format!("has no effect; add {{ service = \"{name}\" }} to notify in [report]");
            notes.warn(section.at, &*section.name, what);
        }
    }
    all
}

impl Notifier {
    fn is_at(&self, name: &str) -> bool {
        match &self.way {
            Way::Http(recipient) => recipient.service.name == name,
            Way::Mail(_) => name == MAIL,
        }
    }
}

/// The service of the user in `section`.
fn own_service(name: &str, section: &mut Section<'_>, notes: &mut Notes) -> Option<Service> {
    section.check_keys(SectionKind::Notify, notes);
    if let Err(wrong) = value::entry_name(name) {
        notes.add(section.at, &*section.name, wrong);
    }
    if name == MAIL || service::names().any(|known| known == name) {
        notes.add(section.at, &*section.name, "is built in; give this service another name");
    }
    let mut settings = Vec::new();
    for (word, setting) in section.settings() {
        match tree(setting.value) {
            Some(value) if Service::KEYS.contains(&word) => {
                settings.push((Cow::Owned(word.to_owned()), value));
            }
            Some(_) => {}
            None => {
                notes.add(
                    setting.at,
                    &setting.name,
                    "is a date or a fraction; write text in quotes",
                );
            }
        }
    }
    if let Some(setting) = section.get("server") {
        setting.parsed(notes, server);
    }
    match Service::read(Cow::Owned(name.to_owned()), settings) {
        Ok(service) => {
            let start = service.fixed_start();
            if let (false, Err(what)) = (start.is_empty(), url::check_ping(origin(start))) {
                notes.add(section.at, &format_args!("{}.send", section.name), what);
            }
            Some(service)
        }
        Err(Wrong { key, what }) => {
            let first = key.split('.').next().unwrap_or_default();
            let at = section.get(first).map_or(section.at, |setting| setting.at);
            notes.add(at, &format_args!("{}.{key}", section.name), what);
            None
        }
    }
}

/// Where a service is, without a slash at the end.
fn server(text: &str) -> Result<String, &'static str> {
    url::check_ping(text)?;
    if text.contains('?') {
        return Err("must not have a query");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

impl Reader<'_, '_> {
    /// The service's name and the way to one that `item` describes.
    fn way(&self, item: &Setting<'_>, notes: &mut Notes) -> Option<(String, Way)> {
        let section = item.section("notify = [{ service = \"ntfy\", topic = \"…\" }]", notes)?;
        let built_in = service::names().chain([MAIL]);
        let known: Vec<&str> = self.named.iter().copied().chain(built_in).collect();
        let all = known.join(", ");
        let Some(setting) = section.get("service") else {
            section.lacks(&["service"], format!("needs service, which is one of: {all}"), notes);
            return None;
        };
        let name = setting.text(notes)?;
        if name == MAIL {
            return mail(&section, notes).map(|mail| (name.to_owned(), Way::Mail(mail)));
        }
        let mine = self.own.iter().find(|service| service.name == name).cloned();
        let Some(service) = mine.or_else(|| service::named(name)) else {
            // What is wrong with one of the user's own was noted already.
            if !self.named.contains(&name) {
                let otherwise = format!("there are: {all}; write another one as [notify.NAME]");
                let fix = correction(name, known.iter().copied(), otherwise);
                let what = format!("{} is not a service; {fix}", quoted(name));
                notes.add(setting.at, &setting.name, what);
            }
            return None;
        };
        let recipient = self.recipient(service, &section, notes);
        Some((name.to_owned(), Way::Http(Box::new(recipient))))
    }

    /// The account at `service` that `section` describes.
    fn recipient(&self, service: Service, section: &Section<'_>, notes: &mut Notes) -> Recipient {
        let secret = service.secret().map(secret_keys).unwrap_or_default();
        let mut keys: Vec<&str> = vec!["service", "ca-file"];
        keys.extend(secret.iter().map(String::as_str));
        keys.extend(service.options.iter().map(|name| &**name));
        keys.extend(service.has_server().then_some("server"));
        only(section, &keys, &service.title, notes);
        let mut options = Vec::new();
        for name in &service.options {
            match section.get(name) {
                Some(setting) => {
                    options.extend(option(&setting, notes).map(|text| (name.clone(), text)));
                }
                None if service.needs_option(name) => {
                    let what = format!("needs {name}; write {name} = \"…\"");
                    section.lacks(&[name], what, notes);
                }
                None => {}
            }
        }
        let given = section.parsed("server", notes, server);
        let default = || service.server.as_ref().map(|text| text.trim_end_matches('/').to_owned());
        let server = given.or_else(default).filter(|_| service.has_server());
        if service.has_server() && server.is_none() {
            section.lacks(&["server"], "needs server; write server = \"https://…\"", notes);
        }
        let place = self.secret(section, &secret, service.needs_secret(), notes);
        let ca_file = section.parsed("ca-file", notes, |text| value::path(text, self.base));
        Recipient { service, server, secret: place, options, ca_file }
    }

    /// The place of the secret that one of `keys` names.
    fn secret(
        &self,
        section: &Section<'_>,
        keys: &[String],
        is_needed: bool,
        notes: &mut Notes,
    ) -> Option<SecretPlace> {
        let mut given = keys.iter().filter_map(|key| Some((key, section.get(key)?)));
        let Some((key, setting)) = given.next() else {
            if let (true, [word, file, ..]) = (is_needed, keys) {
                let what = format!("has no {word}; add {file} = \"/etc/homing/notify\"");
                let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                section.lacks(&keys, what, notes);
            }
            return None;
        };
        if let Some((_, second)) = given.next() {
            let what = format!("is a second secret beside {key}; keep one of them");
            notes.add(second.at, &second.name, what);
        }
        match key.rsplit_once('-').map(|(_, kind)| kind) {
            Some("file") => {
                let path = |text: &str| value::path(text, self.base);
                host::unquoted(&setting, path, notes).map(SecretPlace::File)
            }
            Some("env") => {
                host::unquoted(&setting, host::variable, notes).map(SecretPlace::Environment)
            }
            Some(_) => {
                host::unquoted(&setting, host::credential, notes).map(SecretPlace::Credential)
            }
            None => {
                let instead = keys.get(1).map_or("", String::as_str);
                let secret = host::inline(&setting, (self.file, self.exposed), instead, notes)?;
                if key == "url" {
                    notes.keep(setting.at, &setting.name, url::check_ping(secret.expose()))?;
                }
                Some(SecretPlace::Inline(secret))
            }
        }
    }
}

/// The mailboxes that `section` describes.
fn mail(section: &Section<'_>, notes: &mut Notes) -> Option<Mail> {
    only(section, &["service", "command", "from", "to"], MAIL, notes);
    let mailbox = |setting: &Setting<'_>, notes: &mut Notes| {
        setting.parsed(notes, |text| address(text).map(|()| text.to_owned()))
    };
    let boxes = section.get("to").map(|setting| setting.items()).unwrap_or_default();
    if boxes.is_empty() {
        section.lacks(&["to"], "needs to; write to = \"me@example.com\"", notes);
    }
    let to: Option<Vec<_>> = boxes.iter().map(|setting| mailbox(setting, notes)).collect();
    let from = section.get("from").and_then(|setting| mailbox(&setting, notes));
    let command = match section.get("command") {
        Some(setting) => setting.program(notes),
        None => SENDMAIL.map(str::to_owned).to_vec(),
    };
    Some(Mail { to: to?, from, command })
}

/// The keys that may name a secret called `word`, the one in the configuration itself first.
fn secret_keys(word: &str) -> Vec<String> {
    ["", "-file", "-env", "-credential"].iter().map(|end| [word, end].concat()).collect()
}

/// Notes each setting of `section` that is none of `keys`.
fn only(section: &Section<'_>, keys: &[&str], title: &str, notes: &mut Notes) {
    for (key, setting) in section.settings().iter().filter(|(key, _)| !keys.contains(key)) {
        let otherwise = format!("there are: {}", keys.join(", "));
        let fix = correction(key, keys.iter().copied(), otherwise);
        notes.add(setting.at, &setting.name, format!("is not a setting of {title}; {fix}"));
    }
}

/// The value of an option: a text, or a whole number.
fn option(setting: &Setting<'_>, notes: &mut Notes) -> Option<String> {
    match setting.value {
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        _ => setting.text(notes).map(str::to_owned),
    }
}
