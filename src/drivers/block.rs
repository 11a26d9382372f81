//! A `[[host]]` as text: complete but for the values that nobody has given, which are examples.
//!
//! `homing providers` prints it to be copied, and `homing init` writes it. `config` reads it.

use crate::core::address::{Family, PerFamily};
use crate::core::protocol::manners::SecretKind;
use crate::core::provider::{Login, Provider};
use crate::core::text::toml_string;

/// What is known of a host.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// Its provider.
    pub provider: &'a Provider,
    /// Its name.
    pub name: Option<&'a str>,
    /// Its login at the provider.
    pub username: Option<&'a str>,
    /// The file of its secret, or of the addresses where it needs no secret.
    pub file: Option<&'a str>,
    /// The domain at the provider that holds it.
    pub zone: Option<&'a str>,
    /// Options of its provider.
    pub options: &'a [(String, String)],
    /// The sources of its addresses, where the default is not meant.
    pub sources: &'a PerFamily<Option<String>>,
}

/// No source that is not the default.
const DEFAULT_SOURCES: &PerFamily<Option<String>> = &PerFamily { v4: None, v6: None };

impl<'a> Block<'a> {
    /// A host at `provider` of which nothing else is known.
    pub fn new(provider: &'a Provider) -> Self {
        let (options, sources) = (&[], DEFAULT_SOURCES);
        Self { provider, name: None, username: None, file: None, zone: None, options, sources }
    }

    /// Its lines, with an example for each value that is needed and not known.
    pub fn text(&self) -> String {
        let provider = self.provider;
        let domain = provider.zone.as_ref().map_or("example.com", |zone| zone.as_str());
        let example = format!("host.{domain}");
        let name = self.name.unwrap_or(&example);
        let mut text = String::from("[[host]]\n");
        let mut line = |key: &str, value: &str| text += &format!("{key} = {value}\n");
        line("name", &toml_string(name));
        line("provider", &toml_string(&provider.name));
        if wants_username(provider) || self.username.is_some() {
            line("username", &toml_string(self.username.unwrap_or("your login")));
        }
        let (key, example) = self.secret_setting();
        line(key, &self.file.map_or(example.to_owned(), toml_string));
        if wants_zone(provider) || self.zone.is_some() {
            // A zone holds its own name.
            let zone = self.zone.or(self.name).unwrap_or(domain);
            line("zone", &toml_string(zone));
        }
        let options = self.options();
        if !options.is_empty() {
            line("options", &format!("{{ {} }}", options.join(", ")));
        }
        for family in Family::BOTH {
            let source = self.sources[family].as_deref();
            source.iter().for_each(|source| line(family.key(), &toml_string(source)));
        }
        text
    }

    /// The setting of its secret, or of its file where it needs none, with an example in quotes.
    pub fn secret_setting(&self) -> (&'static str, &'static str) {
        let example = self.provider.manners().secret.example();
        example.split_once(" = ").unwrap_or((example, ""))
    }

    /// Its options, each as `name = "value"`, and those that it needs with an example.
    fn options(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.options.iter().map(|(name, value)| option(name, value)).collect();
        let entry = self.provider.http.as_deref();
        for name in entry.iter().flat_map(|entry| entry.required_options()) {
            if self.options.iter().all(|(known, _)| known != name) {
                lines.push(option(name, "…"));
            }
        }
        lines
    }
}

fn option(name: &str, value: &str) -> String {
    format!("{name} = {}", toml_string(value))
}

/// Whether a host there needs a login.
pub(super) fn wants_username(provider: &Provider) -> bool {
    provider.manners().secret == SecretKind::Password && provider.login == Login::Username
}

/// Whether a host there must say its zone.
pub(super) fn wants_zone(provider: &Provider) -> bool {
    let entry = provider.http.as_ref();
    provider.zone.is_none() && entry.is_some_and(|it| it.names_zone() && !it.finds_zone())
}
