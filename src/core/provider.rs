//! Providers are data: one entry describes how to speak to one DNS service.
//!
//! The built-in entries are in `providers.toml`, in the form that users write as `[provider.NAME]`; the
//! settings of both replace the protocol's defaults here.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::address::{Family, PerFamily};
use super::name::Hostname;
use super::order;
use super::pace::{Pace, PaceError};
use super::protocol::http::entry::{Entry, Settings, login_and_secret};
use super::protocol::http::reader::Wrong;
use super::protocol::manners::{Issuer, Manners, Omit, Protocol, Removal, Transport};
use super::provider_key::{ProviderKey, Takers};
use super::secret::Secret;
use super::server::Server;
use super::text::Text;
use super::wire::tsig::Algorithm;

/// How one provider is spoken to.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// The name that hosts refer to.
    pub name: Text,
    /// The service's name in messages.
    pub title: Text,
    /// The protocol it speaks.
    pub protocol: Protocol,
    /// Where updates go; the query is appended. Absent for `hosts-file`.
    pub update_url: Option<Text>,
    /// Where its management API is, without a final slash (deSEC).
    pub api_url: Option<Text>,
    /// The name server that accepts updates (rfc2136).
    pub name_server: Option<Server>,
    /// The hash algorithm of keys whose file does not name it (rfc2136).
    pub algorithm: Algorithm,
    /// The zone of all its hosts, when there is only one.
    pub zone: Option<Hostname>,
    /// A PEM file with one more certificate authority to trust.
    pub ca_file: Option<Text>,
    /// Whether `http://` to a private address is accepted.
    pub plain_http: bool,
    /// What happens to a family's record when a request leaves the family out.
    pub omit: Omit,
    /// How many requests per time it accepts; `None` is "off".
    pub pace: Option<Pace>,
    /// Whether the pace is for each host, instead of for each zone.
    pub pace_each_host: bool,
    /// How often an unchanged address must be confirmed so that it does not expire.
    pub refresh: Option<Duration>,
    /// How long a whole update may take: slow services carry it out and are asked again otherwise.
    pub timeout: Duration,
    /// How many hosts one request may name.
    pub batch: usize,
    /// The parameter that carries each family's addresses (dyndns2); the same name for both means one
    /// list separated by commas.
    pub parameters: PerFamily<Text>,
    /// Whether each family needs a request of its own (dyndns2).
    pub one_family: bool,
    /// The value that means "leave this family alone", where the protocol has one (dyndns2).
    pub leave: Option<Text>,
    /// Parameters that every request carries, such as `system=dyndns` (dyndns2).
    pub query: Option<Text>,
    /// Where the login comes from when the host has no `username` (dyndns2).
    pub login: Login,
    /// Whether a file of a host without `username` holds `LOGIN:PASSWORD` (dyndns2).
    pub login_in_secret: bool,
    /// The issuer of its logins, if `homing token` can make them (dyndns2).
    pub tokens: Option<Issuer>,
    /// How its API is spoken to (http).
    pub http: Option<Arc<Entry>>,
    /// Web services of the provider that answer with the asker's address.
    pub echo: PerFamily<Option<Text>>,
    /// The page where the credential is made.
    pub page: Text,
    /// The narrowest credential that the provider offers, in words.
    pub credential: Text,
    /// What that credential can write, where it is more than one name.
    pub reach: Option<Reach>,
    /// What else a user should know.
    pub note: Text,
}

/// How long a whole update may take where the configuration does not say it.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// What the narrowest credential of a provider can write.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reach {
    /// Every name of the account.
    Account,
    /// Every zone of a project, which is a part of the account.
    Project,
    /// Every name of one zone.
    Zone,
}

/// Where the login of a request comes from when the host names none.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Login {
    /// The host's own name is the login.
    Host,
    /// The user must write `username`.
    Username,
}

impl Protocol {
    /// A provider called `name` with all defaults of this protocol.
    pub fn defaults(self, name: Text) -> Provider {
        let manners = self.manners();
        Provider {
            name,
            title: Cow::Borrowed(""),
            protocol: self,
            update_url: None,
            api_url: None,
            name_server: None,
            algorithm: Algorithm::Sha256,
            zone: None,
            ca_file: None,
            plain_http: false,
            omit: manners.omit,
            pace: manners.pace,
            pace_each_host: manners.paces_each_host,
            refresh: None,
            timeout: TIMEOUT,
            batch: manners.most_hosts,
            parameters: PerFamily { v4: Cow::Borrowed("myip"), v6: Cow::Borrowed("myip") },
            one_family: false,
            leave: None,
            query: None,
            login: Login::Username,
            login_in_secret: false,
            tokens: None,
            http: None,
            echo: PerFamily { v4: None, v6: None },
            page: Cow::Borrowed(""),
            credential: Cow::Borrowed(""),
            reach: None,
            note: Cow::Borrowed(""),
        }
    }
}

const OMITS: [(&str, Omit); 3] =
    [("keep", Omit::Keep), ("delete", Omit::Delete), ("caller", Omit::Caller)];
const REACHES: [(&str, Reach); 3] =
    [("account", Reach::Account), ("project", Reach::Project), ("zone", Reach::Zone)];
const LOGINS: [(&str, Login); 3] =
    [("username", Login::Username), ("host", Login::Host), (FILE, Login::Username)];
const TOKENS: [(&str, Issuer); 2] = [("inwx", Issuer::Inwx), ("ovh", Issuer::DynHost)];

/// The word for a login in the secret's file.
const FILE: &str = "file";

impl Manners {
    /// Whether the protocol uses the setting `key` of a provider.
    pub fn takes(&self, key: ProviderKey) -> bool {
        match key.takers() {
            Takers::All => true,
            Takers::Few => self.own_keys.contains(&key),
            Takers::Remote => self.transport != Transport::File,
            Takers::Web => self.transport == Transport::Http,
        }
    }
}

impl Provider {
    /// Whether even the narrowest credential that anybody can make for it changes more than one name.
    pub fn is_wide(&self) -> bool {
        self.reach.is_some()
    }

    /// Sets `key` to the value in `text`; the error says what is wrong with the text.
    ///
    /// The caller has checked addresses and the names of parameters. A name server and the settings of
    /// an entry have no text form here: the configuration writes the first itself.
    pub fn set(&mut self, key: ProviderKey, text: Text) -> Result<(), String> {
        match key {
            ProviderKey::Algorithm => {
                self.algorithm = text.parse().map_err(|()| {
                    let known = Algorithm::ALL.map(Algorithm::word).join(", ");
                    format!("is not a key algorithm; there are: {known}")
                })?;
            }
            ProviderKey::ApiUrl => {
                // What an entry's paths are put behind may end in a slash.
                let is_base = self.protocol.is_described();
                self.api_url = Some(match text.strip_suffix('/') {
                    Some(bare) if !is_base => Cow::Owned(bare.trim_end_matches('/').to_owned()),
                    _ => text,
                });
            }
            ProviderKey::Batch => self.batch = text.parse().map_err(|_| "is not a number")?,
            ProviderKey::CaFile => self.ca_file = Some(text),
            ProviderKey::Credential => self.credential = text,
            ProviderKey::Echo4 => self.echo.v4 = Some(text),
            ProviderKey::Echo6 => self.echo.v6 = Some(text),
            ProviderKey::Ipv4Parameter => self.parameters.v4 = text,
            ProviderKey::Ipv6Parameter => self.parameters.v6 = text,
            ProviderKey::Leave => self.leave = Some(text),
            ProviderKey::Login => {
                self.login = one_of(&text, &LOGINS)?;
                self.login_in_secret = text == FILE;
            }
            ProviderKey::Note => self.note = text,
            ProviderKey::Omit => self.omit = one_of(&text, &OMITS)?,
            ProviderKey::OneFamily => self.one_family = text == "true",
            ProviderKey::Pace => {
                let pace = if text == "off" { Ok(None) } else { text.parse().map(Some) };
                self.pace = pace.map_err(|error: PaceError| error.to_string())?;
                self.pace_each_host = false;
            }
            ProviderKey::Page => self.page = text,
            ProviderKey::PlainHttp => self.plain_http = text == "true",
            ProviderKey::Query => self.query = Some(text),
            ProviderKey::Reach => self.reach = Some(one_of(&text, &REACHES)?),
            ProviderKey::Server => {
                let manners = self.protocol.manners();
                let server = text.trim_end_matches('/');
                let paths = [Some(manners.update_path), manners.api_path];
                let url = |path| Cow::Owned(format!("{server}{path}"));
                let [update_url, api_url] = paths.map(|path| path.map(url));
                self.update_url = update_url;
                // Without a path of its own, the API is elsewhere.
                self.api_url = api_url.or(self.api_url.take());
                // Another server is another service: the built-in one need not learn the addresses.
                self.echo = PerFamily::default();
            }
            ProviderKey::Title => self.title = text,
            ProviderKey::Tokens => self.tokens = Some(one_of(&text, &TOKENS)?),
            ProviderKey::UpdateUrl => self.update_url = Some(text),
            ProviderKey::Zone => self.zone = Some(text.parse().map_err(|_| "is not a host name")?),
            // Built-in entries write whole days; the configuration reads other forms itself.
            ProviderKey::Refresh => {
                let days: Option<u64> = text.strip_suffix('d').and_then(|days| days.parse().ok());
                let days = days.ok_or("is not a number of days, such as 25d")?;
                self.refresh = Some(Duration::from_secs(days * 24 * 60 * 60));
            }
            // The others are read by the configuration, or together as an entry.
            _ => return Err("cannot be set by its text".to_owned()),
        }
        Ok(())
    }

    /// Makes `settings` its entry: how its API is spoken to.
    pub fn describe(&mut self, mut settings: Settings) -> Result<(), Wrong> {
        // Equal settings are equal in whichever order they are written.
        order::sort_by_key(&mut settings, |(key, _)| key.sign());
        let entry = Entry::read(settings, self.api_url.as_ref())?;
        self.set_entry(entry);
        Ok(())
    }

    /// As [`Self::describe`], for the settings of a built-in entry, which are known to be right.
    pub fn describe_as_built_in(&mut self, settings: Settings) -> Result<(), Wrong> {
        let entry = Entry::decode(settings, self.api_url.as_ref())?;
        self.set_entry(entry);
        Ok(())
    }

    fn set_entry(&mut self, entry: Entry) {
        self.one_family = entry.is_of_one_family();
        self.batch = self.batch.min(entry.manners.most_hosts);
        self.http = Some(Arc::new(entry));
    }

    /// The facts about its protocol, some of which an entry decides.
    pub fn manners(&self) -> &Manners {
        match (&self.http, self.tokens) {
            (Some(entry), _) => &entry.manners,
            (None, Some(issuer)) => issuer.dyndns2(),
            (None, None) => self.protocol.manners(),
        }
    }

    /// Whether the secret of a host without `username` holds its login as well.
    pub fn has_login_in_secret(&self) -> bool {
        self.http.as_ref().map_or(self.login_in_secret, |entry| entry.login_in_secret)
    }

    /// The login, if the secret holds it, and the secret in `text`, of a host that `has_login` beside
    /// its secret; the error says which form is wanted.
    pub fn credential_in(
        &self,
        text: &Secret,
        has_login: bool,
    ) -> Result<(Option<String>, Secret), String> {
        match &self.http {
            Some(entry) => entry.credential_in(text, has_login),
            None if self.login_in_secret && !has_login => login_and_secret(text),
            None => Ok((None, text.clone())),
        }
    }

    /// Whether the secret of a host is a key file of several lines.
    pub fn has_key_file(&self) -> bool {
        self.http.as_ref().is_some_and(|entry| entry.key.is_some())
    }

    /// All settings of the entry that change what goes over the wire, as text to be compared.
    pub fn wire_form(&self) -> String {
        let absent = Text::default();
        let text = |text: &Option<Text>| text.clone().unwrap_or_else(|| absent.clone());
        [
            Text::Borrowed(self.protocol.word()),
            text(&self.update_url),
            text(&self.api_url),
            Text::Owned(self.name_server.as_ref().map(Server::to_string).unwrap_or_default()),
            text(&self.ca_file),
            text(&self.leave),
            text(&self.query),
            self.parameters.v4.clone(),
            self.parameters.v6.clone(),
            Text::Borrowed(if self.one_family { "one" } else { "both" }),
            Text::Borrowed(self.omit.word()),
            Text::Owned(self.http.as_ref().map(|entry| entry.wire_form()).unwrap_or_default()),
        ]
        .join("\n")
    }

    /// Where updates go, as text to be compared: addresses set at one place are not set at another.
    pub fn place(&self) -> String {
        let name_server = self.name_server.as_ref().map(Server::to_string).unwrap_or_default();
        let urls = [&self.update_url, &self.api_url];
        let [update, api] = urls.map(|url| url.as_deref().unwrap_or_default());
        // A path of an entry without api-url has a server of its own.
        let update = self.http.as_ref().map_or(update, |entry| entry.server());
        [self.protocol.word(), update, api, &name_server].join("\n")
    }

    /// The family that the connection of a request has to use which states only `stated` ones, so that
    /// the provider does not publish the address that it comes from for the other one; `None` is any.
    pub fn via(&self, stated: PerFamily<bool>) -> Option<Family> {
        let only = Family::BOTH.into_iter().find(|&it| stated[it] && !stated[it.other()]);
        only.filter(|_| self.omit == Omit::Caller)
    }

    /// How a record is removed there; `None` where it cannot be.
    pub fn removal(&self) -> Option<Removal> {
        let leaving_out_deletes = self.omit == Omit::Delete && !self.one_family;
        self.manners().removal.filter(|by| *by == Removal::Said || leaving_out_deletes)
    }

    /// What updating a host without `family` does to that family's record, in words; `None` when the
    /// record is left alone.
    pub fn side_effect(&self, family: Family) -> Option<String> {
        if self.manners().can_leave || self.leave.is_some() || self.one_family {
            return None;
        }
        let record = family.record_type();
        match self.omit {
            Omit::Keep => None,
            Omit::Delete => Some(format!(
                "{} deletes the {record} record of a host that is updated without {family}",
                self.name
            )),
            Omit::Caller => Some(format!(
                "{} sets the {record} record of a host that is updated without {family} to the address that the request comes from",
                self.name
            )),
        }
    }
}

impl Reach {
    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Account => "every name of the account",
            Self::Project => "every zone of the project",
            Self::Zone => "every name of its zone",
        }
    }
}

/// The value of `text` among `words`; the error says what is wrong with the text.
pub fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("is not one of: {}", known.join(", "))
    })
}
