//! TOML as a user wrote it: sections and settings with their names and places.
//!
//! Owns the lists of all keys, for finding unknown ones, for suggestions, and for the tests of the
//! example. Reads shapes and types; the module of each section reads the meaning of values.

use std::fmt;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use super::problems::{Notes, quoted};
use crate::core::nearest::nearest;
use crate::core::order;
use crate::core::provider_key::ProviderKey;

/// The kinds of section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SectionKind {
    /// The file itself.
    Top,
    /// `[daemon]`.
    Daemon,
    /// `[source.NAME]`.
    Source,
    /// `{ … }` in the `dns` of a source.
    Resolver,
    /// `[provider.NAME]`.
    Provider,
    /// `[report]`.
    Report,
    /// `[notify.NAME]`.
    Notify,
    /// `[[host]]`.
    Host,
}

/// The keys of a kind of section.
pub(super) struct Keys {
    /// The allowed keys.
    pub(super) known: &'static [&'static str],
    /// Words of other programs, with our keys for them.
    foreign: &'static [(&'static str, &'static str)],
}

/// The hosts that may have a setting of `[[host]]`, by properties of their protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// All hosts.
    All,
    /// Hosts whose requests can depend on the content of a record.
    Conditional,
    /// Hosts of an API that an entry describes.
    Described,
    /// Hosts whose tokens have rights that their server shows.
    Judged,
    /// Hosts with the key of a name server: the setting names the key.
    Key,
    /// Hosts with the key of a name server: the setting holds the secret.
    KeySecret,
    /// Hosts in a file on this machine.
    Local,
    /// Hosts with a password, which belongs to a login.
    Login,
    /// Hosts in a zone on servers.
    Published,
    /// Hosts at a server.
    Remote,
    /// Hosts with a password or a token.
    Secret,
    /// Hosts whose requests include the TTL of a record.
    TimeToLive,
}

/// One section of the file.
pub(super) struct Section<'a> {
    /// Its name, such as `host[2]`.
    pub(super) name: Rc<Name<'a>>,
    /// The start of the section, in bytes.
    pub(super) at: usize,
    table: &'a DeTable<'a>,
    /// The marks of its keys: most settings are not there, and a search for each would be long.
    marks: u64,
    /// The keys that unknown ones were most likely meant to be.
    meant: Vec<&'static str>,
    /// Keys that are skipped because of a noted problem, whatever their values.
    left_out: Vec<&'a str>,
}

/// The name of a section or setting, put into words only where there is a problem with it: every start
/// reads thousands of settings if there are thousands of hosts.
#[derive(Clone, Default)]
pub(super) struct Name<'a> {
    /// The section that it is in; the file itself has none.
    section: Option<Rc<Self>>,
    key: &'a str,
    /// The index of an element, where the setting is one of a list.
    place: Option<usize>,
}

/// One value of the file.
pub(super) struct Setting<'a> {
    /// Its name, such as `host[2].refresh`.
    pub(super) name: Name<'a>,
    /// The start of the value, in bytes.
    pub(super) at: usize,
    /// The value, of any type.
    pub(super) value: &'a DeValue<'a>,
}

impl SectionKind {
    /// Every kind of section that has a header of its own.
    pub(super) const ALL: [Self; 7] = [
        Self::Top,
        Self::Host,
        Self::Daemon,
        Self::Source,
        Self::Provider,
        Self::Report,
        Self::Notify,
    ];

    /// The header of such a section.
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Top => "a configuration",
            Self::Daemon => "[daemon]",
            Self::Source => "[source.NAME]",
            Self::Resolver => "a table in dns",
            Self::Provider => "[provider.NAME]",
            Self::Report => "[report]",
            Self::Notify => "[notify.NAME]",
            Self::Host => "[[host]]",
        }
    }

    /// The keys of such a section.
    pub(super) fn keys(self) -> &'static Keys {
        match self {
            Self::Top => &TOP,
            Self::Daemon => &DAEMON,
            Self::Source => &SOURCE,
            Self::Resolver => &RESOLVER,
            Self::Provider => &PROVIDER,
            Self::Report => &REPORT,
            Self::Notify => &NOTIFY,
            Self::Host => &HOST,
        }
    }
}

const TOP: Keys = Keys {
    known: &["daemon", "host", "notify", "provider", "report", "source"],
    foreign: &[("domain", "host"), ("reports", "report"), ("service", "provider")],
};

const DAEMON: Keys = Keys {
    known: &["interval", "log", "log-format", "settle", "state-dir"],
    foreign: &[("period", "interval"), ("verbose", "log")],
};

const SOURCE: Keys = Keys {
    known: &[
        "agree",
        "allow-private",
        "bind",
        "ca-file",
        "command",
        "count",
        "dns",
        "file",
        "gateway",
        "interface",
        "prefer-temporary",
        "prefix-length",
        "static",
        "stun",
        "suffix",
        "suffix-mac",
        "web",
    ],
    foreign: &[("if", "interface"), ("url", "web"), ("urls", "web"), ("cmd", "command")],
};

const RESOLVER: Keys = Keys {
    known: &["class", "name", "server", "type"],
    foreign: &[("query", "name"), ("host", "name"), ("resolver", "server")],
};

const PROVIDER: Keys = Keys { known: ProviderKey::WORDS, foreign: &[("url", "update-url")] };

const REPORT: Keys = Keys {
    known: &[
        "metrics-file",
        "notify",
        "on-problem",
        "ping",
        "ping-file",
        "ping-interval",
        "ping-service",
        "problem-after",
        "status-page",
    ],
    foreign: &[
        ("html", "status-page"),
        ("on-error", "on-problem"),
        ("on-failure", "on-problem"),
        ("prometheus", "metrics-file"),
    ],
};

const NOTIFY: Keys = Keys {
    known: &["options", "send", "server", "title"],
    foreign: &[("post", "send"), ("set", "send"), ("url", "send")],
};

/// The keys of `[[host]]`, sorted, each with the hosts that may have it.
pub(super) static HOST_KEYS: [(&str, Scope); 30] = [
    ("bind", Scope::Remote),
    ("expires", Scope::Remote),
    ("gone-after", Scope::All),
    ("ipv4", Scope::All),
    ("ipv6", Scope::All),
    ("key-file", Scope::KeySecret),
    ("key-name", Scope::Key),
    ("name", Scope::All),
    ("on-change", Scope::All),
    ("options", Scope::Described),
    ("password", Scope::Secret),
    ("password-file", Scope::Secret),
    ("path", Scope::Local),
    ("provider", Scope::All),
    ("refresh", Scope::All),
    ("secret-file", Scope::KeySecret),
    ("strict-token", Scope::Judged),
    ("take-over", Scope::Conditional),
    ("token", Scope::Secret),
    ("token-credential", Scope::Secret),
    ("token-env", Scope::Secret),
    ("token-file", Scope::Secret),
    ("ttl", Scope::TimeToLive),
    ("username", Scope::Login),
    ("verify", Scope::Published),
    ("verify-servers", Scope::Published),
    ("verify-timeout", Scope::Published),
    ("when-gone", Scope::All),
    ("zone", Scope::Remote),
    ("zone-id", Scope::Described),
];

const HOST_WORDS: [&str; HOST_KEYS.len()] = {
    let mut words = [""; HOST_KEYS.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = HOST_KEYS[index].0;
        index += 1;
    }
    words
};

const HOST: Keys = Keys {
    known: &HOST_WORDS,
    foreign: &[
        ("domain", "name"),
        ("hostname", "name"),
        ("login", "username"),
        ("password-credential", "token-credential"),
        ("password-env", "token-env"),
        ("protocol", "provider"),
    ],
};

impl<'a> Section<'a> {
    /// The file itself, or a part of it.
    pub(super) fn top(table: &'a DeTable<'a>) -> Self {
        Self::new(Name::default(), 0, table)
    }

    /// The section `name` that starts at the byte `at`.
    fn new(name: Name<'a>, at: usize, table: &'a DeTable<'a>) -> Self {
        let marks = table.keys().fold(0, |marks, key| marks | mark(key.get_ref()));
        Self { name: Rc::new(name), at, table, marks, meant: Vec::new(), left_out: Vec::new() }
    }

    /// The setting `key`, if it is there and not skipped.
    pub(super) fn get(&self, key: &str) -> Option<Setting<'a>> {
        if self.marks & mark(key) == 0 {
            return None;
        }
        let (found, value) = self.table.get_key_value(key)?;
        if self.left_out.contains(&key) {
            return None;
        }
        Some(self.setting(found.get_ref(), found.span().start, value.get_ref()))
    }

    /// The value of the setting `key` as `parse` reads it, if it is there; see [`Setting::parsed`].
    pub(super) fn parsed<T, E: fmt::Display>(
        &self,
        key: &str,
        notes: &mut Notes,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.get(key)?.parsed(notes, parse)
    }

    /// The boolean value of the setting `key`, if it is there; notes another type.
    pub(super) fn flag(&self, key: &str, notes: &mut Notes) -> Option<bool> {
        self.get(key)?.flag(notes)
    }

    /// Whether the setting `key` is the text `word`.
    pub(super) fn is(&self, key: &str, word: &str) -> bool {
        self.get(key).is_some_and(|setting| setting.value.as_str() == Some(word))
    }

    /// All settings in the order of the file.
    pub(super) fn settings(&self) -> Vec<(&'a str, Setting<'a>)> {
        let named = |(key, at, value)| (key, self.setting(key, at, value));
        let mut settings: Vec<_> = self.entries().map(named).collect();
        order::sort_by_key(&mut settings, |(_, setting)| setting.at);
        settings
    }

    /// The key, place and value of every setting, in no order.
    fn entries(&self) -> impl Iterator<Item = (&'a str, usize, &'a DeValue<'a>)> + use<'a> {
        let table = self.table;
        table.iter().map(|(key, value)| (&**key.get_ref(), key.span().start, value.get_ref()))
    }

    fn setting(&self, key: &'a str, at: usize, value: &'a DeValue<'a>) -> Setting<'a> {
        let name = Name { section: Some(Rc::clone(&self.name)), key, place: None };
        Setting { name, at, value }
    }

    /// Notes every key that is not allowed in a section of the kind `place`.
    pub(super) fn check_keys(&mut self, place: SectionKind, notes: &mut Notes) {
        let keys = place.keys();
        for (key, at, value) in self.entries().filter(|(key, ..)| !keys.known.contains(key)) {
            let setting = self.setting(key, at, value);
            let meant = meant(key, keys);
            self.meant.extend(meant);
            notes.add(at, &setting.name, unknown(key, meant, place, &setting));
            self.left_out.push(key);
        }
    }

    /// Notes that a part of the file which should hold nothing but hosts holds something else.
    pub(super) fn check_hosts_alone(&self, notes: &mut Notes) {
        for (key, at, _) in self.entries().filter(|(key, ..)| *key != "host") {
            notes.add(at, &key, "must come before the hosts");
        }
    }

    /// Notes and skips each setting for which `misfit` returns a problem; its arguments are the key and
    /// the value if that is a boolean.
    pub(super) fn leave_out(
        &mut self,
        misfit: impl Fn(&str, Option<bool>) -> Option<String>,
        notes: &mut Notes,
    ) {
        for (key, at, value) in self.entries() {
            let what = misfit(key, value.as_bool());
            if let Some(what) = what.filter(|_| !self.left_out.contains(&key)) {
                notes.add(at, &self.setting(key, at, value).name, what);
                self.left_out.push(key);
            }
        }
    }

    /// Notes that all of `keys` are missing, unless one was skipped or was meant by an unknown key.
    pub(super) fn lacks(&self, keys: &[&str], what: impl fmt::Display, notes: &mut Notes) {
        if !keys.iter().any(|key| self.meant.contains(key) || self.left_out.contains(key)) {
            notes.add(self.at, &*self.name, what);
        }
    }
}

/// One of 64 bits, by the length and the first letter of `key`.
fn mark(key: &str) -> u64 {
    let first = key.bytes().next().unwrap_or_default();
    1 << ((usize::from(first) * 5 + key.len()) % 64)
}

/// The known key that `key` was probably meant to be.
fn meant(key: &str, keys: &Keys) -> Option<&'static str> {
    let key = key.replace('_', "-");
    if let Some((_, ours)) = keys.foreign.iter().find(|(foreign, _)| *foreign == key) {
        return Some(ours);
    }
    // Of equally near keys, the one of similar length is chosen.
    let mut known = keys.known.to_vec();
    order::sort_by_key(&mut known, |known| known.len().abs_diff(key.len()));
    nearest(&key, known)
}

/// The problem with a key that the section does not have.
fn unknown(key: &str, meant: Option<&str>, place: SectionKind, setting: &Setting<'_>) -> String {
    // `[provider.he.net]` is TOML for the table `net` in `[provider.he]`.
    if setting.value.is_table()
        && matches!(place, SectionKind::Notify | SectionKind::Provider | SectionKind::Source)
    {
        let name = setting.name.to_string();
        let (section, name) = name.split_once('.').unwrap_or_default();
        return format!(
            "a name with a dot needs quotes; write the section as [{section}.\"{name}\"]"
        );
    }
    let not_ours = match place {
        SectionKind::Top => "is not a section of the configuration".to_owned(),
        _ => format!("is not a setting of {}", place.header()),
    };
    let elsewhere = SectionKind::ALL
        .into_iter()
        .find(|other| *other != SectionKind::Top && other.keys().known.contains(&key));
    let keys = place.keys();
    match (meant, elsewhere) {
        (Some(meant), _) if keys.foreign.iter().any(|(foreign, _)| *foreign == key) => {
            format!("{not_ours}; write {meant}")
        }
        (_, Some(other)) => format!("{not_ours}; it belongs in {}", other.header()),
        (Some(meant), None) => format!("{not_ours}; did you mean {meant}?"),
        (None, None) => format!("{not_ours}; there are: {}", keys.known.join(", ")),
    }
}

impl Name<'_> {
    /// The name of the element at `place` of this list.
    pub(super) fn element(&self, place: usize) -> Self {
        match self.place {
            None => Self { place: Some(place), ..self.clone() },
            Some(_) => Self { section: Some(Rc::new(self.clone())), key: "", place: Some(place) },
        }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(section) = &self.section {
            section.fmt(f)?;
            let is_top = section.section.is_none();
            f.write_str(if is_top || self.key.is_empty() { "" } else { "." })?;
        }
        f.write_str(self.key)?;
        self.place.map_or(Ok(()), |place| write!(f, "[{}]", place + 1))
    }
}

impl<'a> Setting<'a> {
    /// The value as a section; `header` is the right way to write it.
    pub(super) fn section(&self, header: &str, notes: &mut Notes) -> Option<Section<'a>> {
        let table = self.value.as_table();
        if table.is_none() {
            let what = format!("must be a section, not {}; write {header}", self.kind());
            notes.add(self.at, &self.name, what);
        }
        Some(Section::new(self.name.clone(), self.at, table?))
    }

    /// The elements of a list; any other value is returned as the only element.
    pub(super) fn items(&self) -> Vec<Self> {
        let Some(list) = self.value.as_array() else {
            return vec![Self { name: self.name.clone(), ..*self }];
        };
        let item = |(place, item): (usize, &'a toml::Spanned<DeValue<'a>>)| Self {
            name: self.name.element(place),
            at: item.span().start,
            value: item.get_ref(),
        };
        list.iter().enumerate().map(item).collect()
    }

    /// The text as it is; notes another type.
    pub(super) fn raw_text(&self, notes: &mut Notes) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            let what = format!("must be text in quotes, not {}", self.kind());
            notes.add(self.at, &self.name, what);
        }
        text
    }

    /// The text; notes one that is empty or holds control characters.
    pub(super) fn text(&self, notes: &mut Notes) -> Option<&'a str> {
        let text = self.raw_text(notes)?;
        let wrong = if text.trim().is_empty() {
            "is empty; write a value or remove the line"
        } else if text.chars().any(char::is_control) {
            "contains a line break or another control character; write it on one line"
        } else {
            return Some(text);
        };
        notes.add(self.at, &self.name, wrong);
        None
    }

    /// The texts of a list; notes anything else.
    pub(super) fn texts(&self, example: &str, notes: &mut Notes) -> Option<Vec<String>> {
        if !self.value.is_array() {
            let what = format!("must be a list, not {}; write {example}", self.kind());
            notes.add(self.at, &self.name, what);
            return None;
        }
        let items = self.items();
        let texts: Vec<_> = items.iter().map(|item| item.raw_text(notes)).collect();
        texts.into_iter().map(|text| text.map(str::to_owned)).collect()
    }

    /// A program with its arguments; notes a list that names none, and any other type.
    pub(super) fn program(&self, notes: &mut Notes) -> Vec<String> {
        let example = "[\"/usr/local/bin/notify\", \"an argument\"]";
        let program = self.texts(example, notes).unwrap_or_default();
        if program.first().is_some_and(String::is_empty) {
            notes.add(self.at, &self.name, format!("is empty; name a program: {example}"));
        }
        if program.iter().any(|argument| argument.contains('\0')) {
            notes.add(self.at, &self.name, "contains a NUL character; remove it");
        }
        program
    }

    /// The boolean value; notes another type.
    pub(super) fn flag(&self, notes: &mut Notes) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            let what = format!("must be true or false, without quotes, not {}", self.kind());
            notes.add(self.at, &self.name, what);
        }
        flag
    }

    /// The whole number between `least` and `most`; notes anything else.
    pub(super) fn number(&self, least: usize, most: usize, notes: &mut Notes) -> Option<usize> {
        let number = self
            .value
            .as_integer()
            .and_then(|number| usize::from_str_radix(number.as_str(), number.radix()).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let what = if least == most {
                format!("must be {least} here; write that, or remove the line")
            } else {
                format!("must be a whole number from {least} to {most}")
            };
            notes.add(self.at, &self.name, what);
        }
        number
    }

    /// The text as `parse` reads it; its error follows the quoted text.
    pub(super) fn parsed<T, E: fmt::Display>(
        &self,
        notes: &mut Notes,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(notes)?;
        let result = parse(text).map_err(|error| format!("{} {error}", quoted(text)));
        notes.keep(self.at, &self.name, result)
    }

    fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}
