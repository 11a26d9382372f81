//! An entry: how one service with an HTTP API of its own is spoken to, decoded from its settings.
//!
//! Checks everything that can be checked without an answer: names of places, JSON bodies, conditions,
//! paths. Built-in entries and those of users are read here in the same way.

use std::borrow::Cow;
use std::fmt;

use super::answer::{Condition, Meaning};
use super::power::{self, Power};
use super::reader::{BodyForm, Header, Reader, Step, TTL, Ttl, Wrong, is_json, sample, unknown};
use super::signing::Sign;
use super::template::{Form, Template, Value};
use super::tree::Tree;
use crate::core::address::{Family, PerFamily};
use crate::core::feature::Feature;
use crate::core::order;
use crate::core::protocol::manners::{
    Issuer, MOST_HOSTS, Manners, Protocol, Removal, SecretKind, ZoneNeed,
};
use crate::core::protocol::origin;
use crate::core::provider_key::ProviderKey;
use crate::core::secret::HIDDEN;
use crate::core::secret::Secret;
use crate::core::text::Text;

/// The settings of an entry: each key once, with its value.
pub type Settings = Vec<(ProviderKey, Tree)>;

/// How one service is spoken to.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
#[derive(Clone)]
pub struct Entry {
    /// The settings that it was made of.
    pub settings: Settings,
    /// The facts of the protocol, as this entry decides them.
    pub manners: Manners,
    /// The headers of every request that is not bare.
    pub headers: Vec<Header>,
    /// The number of parts that the secret has, separated by colons; the last one keeps its colons.
    pub secret_parts: usize,
    /// The form of the key file that the secret is, if it is one: `google` or `pem`.
    pub key: Option<Text>,
    /// Whether the secret of a host without a login holds its login as well: `LOGIN:SECRET`.
    pub login_in_secret: bool,
    /// The issuer of its tokens, if `homing token` can make them.
    pub tokens: Option<Issuer>,
    /// The names of options that a host or a provider may set.
    pub options: Vec<Text>,
    /// The families that the service has.
    pub families: PerFamily<bool>,
    /// The steps of a conversation, in the order of [`StepKind`].
    steps: [Option<Step>; StepKind::ALL.len()],
    /// The parts of `{items}`, and what stands between them.
    pub item: Option<Template>,
    /// See `item`.
    pub glue: Text,
    /// The parts of `{sets}`.
    pub set_item: Option<Template>,
    /// The label of a zone's own name.
    pub apex: Text,
    /// Whether lists name records by their labels instead of their whole names.
    pub names_are_labels: bool,
    /// Words that differ between the families.
    pub pairs: Vec<(Text, PerFamily<Text>)>,
    /// The limits of the time to live.
    pub ttl: Ttl,
    /// How requests are signed, if they are.
    pub sign: Option<Sign>,
    /// The claims of `{jwt}`.
    pub jwt: Option<Template>,
    /// Whether success and refusals are read from the status as well (REST).
    pub is_rest: bool,
    /// Whether the service answers with web pages, so that refusals count on them, too.
    pub has_pages: bool,
    /// What answers mean, in the order in which they are looked at.
    pub answers: Vec<(Meaning, Condition)>,
    /// What any other answer of the service means.
    pub otherwise: Option<Meaning>,
    /// The requests that show what a credential can do beyond its job; a build without tokens has none.
    pub powers: Vec<Power>,
}

/// The kinds of step, in the order of a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StepKind {
    /// Opens a session.
    Login,
    /// Finds the zone of a host.
    Find,
    /// Lists the records of a host.
    List,
    /// Reads one record of a list of bare ids.
    Each,
    /// Makes a record, or a set where there is none.
    Create,
    /// Gives a record another address.
    Change,
    /// Sets all addresses of a host or of one of its families.
    Set,
    /// Removes a record or a set.
    Remove,
    /// Makes the changes of a zone take effect.
    Commit,
}

/// The names that places may have, beside those of options, pairs and what answers bring.
const NAMES: [&str; 29] = [
    "address",
    "addresses",
    "basic",
    "body-signature",
    "cookies",
    "family",
    "host",
    "id",
    "ipv4",
    "ipv6",
    "items",
    "jwt",
    "label",
    "login",
    "nonce",
    "olds",
    "own-ttl",
    "secret",
    "secret.1",
    "secret.2",
    "secret.3",
    "secret.family",
    "sets",
    "try",
    "ttl",
    "type",
    "unix",
    "unix+3600",
    "zone",
];

/// Names that are values of one record or one family, so that their step is about it alone.
const OF_ONE_FAMILY: [&str; 4] = ["address", "family", "items", "type"];

impl StepKind {
    /// Every kind, in the order of a conversation.
    pub const ALL: [Self; 9] = [
        Self::Login,
        Self::Find,
        Self::List,
        Self::Each,
        Self::Create,
        Self::Change,
        Self::Set,
        Self::Remove,
        Self::Commit,
    ];

    /// Its key in an entry.
    pub fn key(self) -> ProviderKey {
        match self {
            Self::Login => ProviderKey::Login,
            Self::Find => ProviderKey::Find,
            Self::List => ProviderKey::List,
            Self::Each => ProviderKey::Each,
            Self::Create => ProviderKey::Create,
            Self::Change => ProviderKey::Change,
            Self::Set => ProviderKey::Set,
            Self::Remove => ProviderKey::Remove,
            Self::Commit => ProviderKey::Commit,
        }
    }

    /// Whether it changes what the service holds.
    pub fn is_write(self) -> bool {
        match self {
            Self::Create | Self::Change | Self::Set | Self::Remove | Self::Commit => true,
            Self::Login | Self::Find | Self::List | Self::Each => false,
        }
    }
}

impl Entry {
    /// The entry of `settings` whose paths are put behind `api_url`; the error is the first problem.
    pub fn read(settings: Settings, api_url: Option<&Text>) -> Result<Self, Wrong> {
        let entry = Self::decode(settings, api_url)?;
        entry.check()?;
        Ok(entry)
    }

    /// As [`Self::read`], without the checks of the entry as a whole: a test makes them for the built-in
    /// entries, and one that this build cannot speak to has no steps.
    pub fn decode(settings: Settings, api_url: Option<&Text>) -> Result<Self, Wrong> {
        let base = api_url.map(|text| &**text).unwrap_or_default();
        let mut entry = Self {
            settings,
            manners: *Protocol::Http.manners(),
            headers: Vec::new(),
            secret_parts: 1,
            key: None,
            login_in_secret: false,
            tokens: None,
            options: Vec::new(),
            families: PerFamily { v4: true, v6: true },
            steps: [const { None }; StepKind::ALL.len()],
            item: None,
            glue: Cow::Borrowed(","),
            set_item: None,
            apex: Cow::Borrowed("@"),
            names_are_labels: false,
            pairs: Vec::new(),
            ttl: Ttl { default: TTL, ..Ttl::default() },
            sign: None,
            jwt: None,
            is_rest: false,
            has_pages: false,
            answers: Vec::new(),
            otherwise: None,
            powers: Vec::new(),
        };
        let settings = std::mem::take(&mut entry.settings);
        let mut answers = None;
        for (key, value) in &settings {
            let reader = Reader::new(key.word(), base);
            match key {
                ProviderKey::Answer => entry.read_answers(&reader, value)?,
                ProviderKey::Answers => {
                    answers = Some(reader.one_of(value, &["rest", "words", "pages"])?);
                }
                ProviderKey::Apex => entry.apex = reader.text(value)?.clone(),
                ProviderKey::Families => {
                    let is_v4 = reader.one_of(value, &["ipv4", "ipv6"])? == 0;
                    entry.families = PerFamily { v4: is_v4, v6: !is_v4 };
                }
                ProviderKey::Glue => entry.glue = reader.text(value)?.clone(),
                ProviderKey::Headers => entry.headers = reader.headers(value)?,
                ProviderKey::Item => entry.item = Some(reader.template(value)?),
                ProviderKey::Jwt => entry.jwt = Some(reader.template(value)?),
                ProviderKey::Key => {
                    reader.one_of(value, &["google", "pem"])?;
                    entry.key = Some(reader.text(value)?.clone());
                }
                ProviderKey::Login if value.text().is_some() => {
                    reader.one_of(value, &["file"])?;
                    entry.login_in_secret = true;
                }
                ProviderKey::Names => {
                    entry.names_are_labels = reader.one_of(value, &["fqdn", "label"])? == 1;
                }
                ProviderKey::Options => {
                    let names = value.texts().ok_or_else(|| reader.wrong("must be a list"))?;
                    entry.options = names.into_iter().cloned().collect();
                }
                ProviderKey::Pair => entry.pairs = reader.pairs(value)?,
                ProviderKey::Power => entry.powers = power::read(&reader, value)?,
                ProviderKey::SecretParts => {
                    let parts = reader.number(value)?;
                    entry.secret_parts = usize::try_from(parts)
                        .ok()
                        .filter(|parts| (1..=3).contains(parts))
                        .ok_or_else(|| reader.wrong("must be 1, 2 or 3"))?;
                }
                ProviderKey::SetItem => entry.set_item = Some(reader.template(value)?),
                ProviderKey::Sign => {
                    let read = Sign::parse(reader.text(value)?);
                    entry.sign = Some(read.map_err(|what| reader.wrong(what))?);
                }
                ProviderKey::Tokens => {
                    entry.tokens = Some(Issuer::NAMED[reader.one_of(value, &Issuer::WORDS)?]);
                }
                ProviderKey::Ttl => entry.ttl = reader.ttl(value)?,
                key => {
                    if let Some(kind) = StepKind::ALL.into_iter().find(|kind| kind.key() == *key) {
                        entry.steps[kind as usize] = Some(reader.step(value)?);
                    }
                }
            }
        }
        entry.settings = settings;
        entry.is_rest = answers.map_or(entry.step(StepKind::List).is_some(), |at| at == 0);
        entry.has_pages = answers == Some(2);
        entry.manners = entry.decided_manners();
        Ok(entry)
    }

    /// The step of that kind, if the service has it.
    pub fn step(&self, kind: StepKind) -> Option<&Step> {
        self.steps[kind as usize].as_ref()
    }

    fn decided_manners(&self) -> Manners {
        let has = |kind| self.step(kind).is_some();
        let needs_zone = self.names_zone() || self.needs_zone_id();
        let shares = [StepKind::Login, StepKind::Find, StepKind::List].into_iter().any(has);
        let can_make_several = has(StepKind::List) && has(StepKind::Create);
        Manners {
            feature: if self.key.is_some() {
                Some(Feature::CloudKeys)
            } else {
                self.sign.as_ref().map(|_| Feature::Cloud)
            },
            secret: if self.needs_login() { SecretKind::Password } else { SecretKind::Token },
            tokens: self.tokens,
            has_powers: !self.powers.is_empty(),
            zone: if has(StepKind::Find) && needs_zone {
                ZoneNeed::Always
            } else {
                ZoneNeed::Never
            },
            can_leave: self.is_of_one_family(),
            can_set_several: self.item.is_some() || self.uses("addresses") || can_make_several,
            removal: has(StepKind::Remove).then_some(Removal::Said),
            says_ttl: self.states_ttl(),
            compares: self.step(StepKind::List).is_some_and(|list| !list.is_optional),
            most_hosts: if shares { MOST_HOSTS } else { 1 },
            ..*Protocol::Http.manners()
        }
    }

    /// Whether a request states the time to live.
    pub fn states_ttl(&self) -> bool {
        ["ttl", "own-ttl"].iter().any(|name| {
            let is_write = |key: &str| key != ProviderKey::Remove.word();
            self.templates().any(|(key, template)| is_write(key) && template.has(name))
        })
    }

    /// Whether the time to live of a record can be changed: creating one states it in any case.
    pub fn changes_ttl(&self) -> bool {
        let states = |template: &Template| ["ttl", "own-ttl"].iter().any(|name| template.has(name));
        let step = self.step(StepKind::Set).or_else(|| self.step(StepKind::Change));
        step.is_some_and(|step| {
            let of_items = self.item.as_ref().filter(|_| step.has("items") || step.has("sets"));
            let of_sets = self.set_item.as_ref().filter(|_| step.has("sets"));
            ["ttl", "own-ttl"].iter().any(|name| step.has(name))
                || of_items.into_iter().chain(of_sets).any(states)
        })
    }

    /// Whether the step of that kind names no record, so that it is about all of the name and type.
    pub fn is_of_whole(&self, kind: StepKind) -> bool {
        self.step(kind).is_some_and(|step| {
            !step.has_old() && !["id", "address"].iter().any(|name| step.has(name))
        })
    }

    /// Whether requests name the zone, or a record's label in it.
    pub fn names_zone(&self) -> bool {
        ["zone", "label"].iter().any(|name| self.uses(name))
    }

    /// All settings of its updates, as text to be compared.
    pub fn wire_form(&self) -> String {
        let mut form = String::new();
        let of_updates = |(key, _): &&(ProviderKey, Tree)| *key != ProviderKey::Power;
        for (key, value) in self.settings.iter().filter(of_updates) {
            form.push(key.sign());
            value.write_form(&mut form);
        }
        form
    }

    /// The scheme and server of each step, as far as they are fixed, with the step's key.
    pub fn servers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let of =
            |kind: StepKind| Some((kind.key().word(), origin(self.step(kind)?.url.fixed_start())));
        let powers = self.powers.iter().map(Power::step);
        let of_powers = powers.map(|step| ("power", origin(step.url.fixed_start())));
        StepKind::ALL.into_iter().filter_map(of).chain(of_powers)
    }

    /// The scheme and server of its first request, as far as they are fixed.
    pub fn server(&self) -> &str {
        let kinds = [StepKind::List, StepKind::Set, StepKind::Create];
        let step = kinds.into_iter().find_map(|kind| self.step(kind));
        step.map(|step| origin(step.url.fixed_start())).unwrap_or_default()
    }

    /// As [`Self::server`] for requests about `family`, with `…` for what an option or a secret decides.
    pub fn server_for(&self, family: Family) -> String {
        let kinds = [StepKind::List, StepKind::Set, StepKind::Create];
        let Some(step) = kinds.into_iter().find_map(|kind| self.step(kind)) else {
            return String::new();
        };
        let value = |name: &str| {
            let pair = self.pairs.iter().find(|(known, _)| known == name);
            Some(Value::Ready(Cow::Borrowed(pair.map_or(HIDDEN, |(_, words)| &words[family]))))
        };
        let url = step.url.fill(Form::Plain, &value).unwrap_or_default();
        origin(url.expose()).to_owned()
    }

    /// Whether any step has a place called `name`.
    pub fn uses(&self, name: &str) -> bool {
        self.templates().any(|(_, template)| template.has(name))
    }

    /// Whether each request is about one family, so that the other one is left alone by itself.
    pub fn is_of_one_family(&self) -> bool {
        let writes = [StepKind::List, StepKind::Create, StepKind::Change, StepKind::Set];
        let has = |template: &Template| OF_ONE_FAMILY.iter().any(|name| template.has(name));
        writes
            .into_iter()
            .filter_map(|kind| self.step(kind))
            .any(|step| has(&step.url) || step.body.as_ref().is_some_and(|(_, body)| has(body)))
            || self.pairs.iter().any(|(name, _)| self.uses(name))
    }

    /// Whether requests name the zone's id.
    pub fn needs_zone_id(&self) -> bool {
        self.uses("zone-id")
    }

    /// Whether a login is used beside the secret.
    pub fn needs_login(&self) -> bool {
        self.sign.as_ref().is_some_and(Sign::needs_login)
            || ["login", "basic"].iter().any(|name| self.uses(name))
    }

    /// The login, if the secret holds it, and the secret in `text`, of a host that `has_login` beside
    /// its secret; the error says which form is wanted.
    pub fn credential_in(
        &self,
        text: &Secret,
        has_login: bool,
    ) -> Result<(Option<String>, Secret), String> {
        if self.login_in_secret && !has_login {
            return login_and_secret(text);
        }
        let mut parts = text.expose().splitn(self.secret_parts, ':');
        let is_whole = parts.clone().count() == self.secret_parts && parts.all(|it| !it.is_empty());
        if !is_whole {
            let form = ["PART:PART", "PART:PART:PART"][usize::from(self.secret_parts == 3)];
            return Err(format!(
                "must hold {} parts with colons between, {form}; `homing providers NAME` says which",
                self.secret_parts
            ));
        }
        let words = text.expose().split_ascii_whitespace().count();
        if self.uses("secret.family") && words > 2 {
            return Err(
                "must hold one secret, or two with a blank between: IPv4's and IPv6's".into()
            );
        }
        Ok((None, text.clone()))
    }

    /// Whether the service can be asked for the zone of a host.
    pub fn finds_zone(&self) -> bool {
        self.step(StepKind::Find).is_some()
    }

    /// The names of the options that a host may set.
    pub fn known_options(&self) -> Vec<&str> {
        let own = self.options.iter().map(|name| &**name);
        let zone_id =
            self.needs_zone_id().then_some("zone-id").filter(|id| !own.clone().any(|it| it == *id));
        own.clone().chain(zone_id).collect()
    }

    /// The options that a request cannot do without.
    pub fn required_options(&self) -> Vec<&str> {
        let mut required: Vec<&str> = Vec::new();
        for option in &self.options {
            let name = format!("opt.{option}");
            let mut is_required = false;
            self.templates().for_each(|(_, template)| {
                template.visit_names(&mut |known, needed| is_required |= needed && known == name);
            });
            if is_required {
                required.push(option);
            }
        }
        required
    }

    /// All templates, with the keys that hold them.
    fn templates(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        let steps = StepKind::ALL.into_iter().filter_map(|kind| Some((kind, self.step(kind)?)));
        let of_steps = steps.flat_map(|(kind, step)| {
            step.templates().map(move |template| (kind.key().word(), template))
        });
        let of_headers = self.headers.iter().map(|header| ("headers", &header.value));
        let others = [("item", &self.item), ("set-item", &self.set_item), ("jwt", &self.jwt)];
        let others = others.into_iter().filter_map(|(key, it)| Some((key, it.as_ref()?)));
        of_steps.chain(of_headers).chain(others)
    }

    fn read_answers(&mut self, reader: &Reader<'_>, value: &Tree) -> Result<(), Wrong> {
        let table = value.table().ok_or_else(|| reader.wrong("must be a table"))?;
        for (word, conditions) in table {
            let of_word = reader.of(word);
            if word == "otherwise" {
                let meaning = Meaning::named(of_word.text(conditions)?);
                self.otherwise = Some(meaning.ok_or_else(|| of_word.wrong("is not a meaning"))?);
                continue;
            }
            let meaning = Meaning::named(word).ok_or_else(|| {
                let words = Meaning::ORDER.map(Meaning::word);
                of_word.wrong(unknown("meaning of an answer", word, &words))
            })?;
            for condition in of_word.conditions(conditions)? {
                self.answers.push((meaning, condition));
            }
        }
        let rank = |meaning: Meaning| Meaning::ORDER.iter().position(|known| *known == meaning);
        order::sort_by_key(&mut self.answers, |(meaning, _)| rank(*meaning));
        Ok(())
    }

    /// Finds what is wrong with the entry as a whole.
    fn check(&self) -> Result<(), Wrong> {
        let wrong = |key: &str, what: String| Wrong { key: key.to_owned(), what };
        let has = |kind| self.step(kind).is_some();
        if !has(StepKind::Set) && !has(StepKind::Create) {
            return Err(wrong("set", "is missing: an entry needs set, or list with create".into()));
        }
        if has(StepKind::Create) && !has(StepKind::List) {
            return Err(wrong("list", "is missing: create needs a list of what is there".into()));
        }
        let is_updated = self.answers.iter().any(|(meaning, _)| *meaning == Meaning::Updated);
        let has_answers = self.settings.iter().any(|(key, _)| *key == ProviderKey::Answers);
        if !is_updated && !has(StepKind::List) && !has_answers {
            let what = "is missing: without a list Homing has to know which answer is a success; write updated = \"…\" in it, or answers = \"rest\"";
            return Err(wrong("answer", what.into()));
        }
        let powers = self.powers.iter().flat_map(|power| power.step().templates());
        let of_powers = powers.map(|template| (ProviderKey::Power.word(), template));
        for (key, template) in self.templates().chain(of_powers) {
            let mut problem = None;
            template.visit_names(&mut |name, _| {
                if problem.is_none() && !self.knows(name) {
                    problem = Some(unknown("place", name, &self.names()));
                }
            });
            if let Some(what) = problem {
                return Err(wrong(key, what));
            }
        }
        for (name, what) in [("items", &self.item), ("sets", &self.set_item)] {
            if self.uses(name) && what.is_none() {
                let key = if name == "items" { "item" } else { "set-item" };
                return Err(wrong(key, format!("is missing: {{{name}}} is made of it")));
            }
        }
        for kind in StepKind::ALL {
            let Some(step) = self.step(kind) else { continue };
            if let Some((BodyForm::Json, body)) = &step.body {
                for all in [true, false] {
                    if !self.is_json(body, all) {
                        let what = "is not JSON after its places have values".to_owned();
                        return Err(wrong(&format!("{}.json", kind.key().word()), what));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether `body` is JSON with sample values; with `all` of them, or only with what it needs.
    fn is_json(&self, body: &Template, all: bool) -> bool {
        let sample = sample(body, all);
        let filled = |template: &Template| {
            let text = template.fill(Form::Json, &sample).ok()?;
            Some(text.expose().to_owned())
        };
        let item = self.item.as_ref().and_then(filled).unwrap_or_default();
        let with_items = |name: &str| match name {
            "items" | "olds" => Some(Value::Ready(Cow::Owned(item.clone()))),
            _ => sample(name),
        };
        let set = |template: &Template| {
            Some(template.fill(Form::Json, &with_items).ok()?.expose().to_owned())
        };
        let sets = self.set_item.as_ref().and_then(set).unwrap_or_default();
        let with_sets = |name: &str| match name {
            "sets" => Some(Value::Ready(Cow::Owned(sets.clone()))),
            _ => with_items(name),
        };
        is_json(body, &with_sets)
    }

    fn knows(&self, name: &str) -> bool {
        name.starts_with("old.")
            || name.starts_with("key.")
            || self.names().contains(&name)
            || name
                .strip_prefix("opt.")
                .is_some_and(|option| self.options.iter().any(|known| known == option))
    }

    /// The names that places may have.
    fn names(&self) -> Vec<&str> {
        let steps = self.steps.iter().flatten().chain(self.powers.iter().map(Power::step));
        let taken = steps.flat_map(|step| &step.take);
        let own = taken.map(|(name, _)| &**name).chain(self.pairs.iter().map(|(name, _)| &**name));
        NAMES.into_iter().chain(["zone-id"]).chain(own).collect()
    }
}

/// The login and the secret in `text`; the error says which form is wanted.
pub fn login_and_secret(text: &Secret) -> Result<(Option<String>, Secret), String> {
    let parts = text.expose().split_once(':');
    let parts = parts.filter(|(login, secret)| !login.is_empty() && !secret.is_empty());
    let (login, secret) = parts
        .ok_or("must be LOGIN:SECRET, with a colon between; or write username in its [[host]]")?;
    Ok((Some(login.to_owned()), Secret::new(secret)))
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Entry {}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Tree {
        Tree::Text(Cow::Owned(text.to_owned()))
    }

    /// The entry of a URL with `key`, and of the settings `more`.
    fn entry(url: &str, more: Vec<(ProviderKey, Tree)>) -> Entry {
        let table = |name: &'static str, value| Tree::Table(vec![(Cow::Borrowed(name), value)]);
        let mut settings = vec![
            (ProviderKey::Set, table("get", text(url))),
            (ProviderKey::Answer, table("updated", text("200 word=OK"))),
        ];
        settings.extend(more);
        Entry::read(settings, None).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    }

    /// The login and the secret in `content`, or what is wrong with it.
    fn credential(entry: &Entry, content: &str) -> String {
        match entry.credential_in(&Secret::new(content), false) {
            Ok((login, secret)) => {
                format!("{} {}", login.unwrap_or_else(|| "-".into()), secret.expose())
            }
            Err(wrong) => wrong,
        }
    }

    #[test]
    fn a_secret_has_as_many_parts_as_its_entry_says() {
        let one = entry("https://a.example/?k={secret}", Vec::new());
        assert_eq!(credential(&one, "a:b"), "- a:b");
        let parts = |count: &str| vec![(ProviderKey::SecretParts, text(count))];
        let two = entry("https://a.example/?k={secret.1}&p={secret.2}", parts("2"));
        assert_eq!(credential(&two, "key:se:cret"), "- key:se:cret");
        for content in ["key", "key:", ":secret"] {
            let wrong = credential(&two, content);
            assert!(
                wrong.starts_with("must hold 2 parts with colons between, PART:PART;"),
                "{wrong}"
            );
        }
        let three = entry("https://a.example/?k={secret.3}", parts("3"));
        assert!(credential(&three, "a:b").contains("3 parts with colons between, PART:PART:PART;"));
        assert_eq!(credential(&three, "a:b:c"), "- a:b:c");
    }

    #[test]
    fn a_secret_may_hold_its_login_or_one_for_each_family() {
        let login = vec![(ProviderKey::Login, text("file"))];
        let both = entry("https://a.example/?u={login}&k={secret}", login);
        assert!(both.needs_login());
        assert_eq!(credential(&both, "me:se:cret"), "me se:cret");
        let beside = both.credential_in(&Secret::new("se:cret"), true);
        assert_eq!(beside, Ok((None, Secret::new("se:cret"))));
        for content in ["secret", ":secret"] {
            let wrong = credential(&both, content);
            assert!(wrong.starts_with("must be LOGIN:SECRET, with a colon between;"), "{wrong}");
        }
        let each = entry("https://a.example/{secret.family}?ip={address}", Vec::new());
        assert_eq!(credential(&each, "one two"), "- one two");
        let wrong = credential(&each, "one two three");
        assert!(wrong.starts_with("must hold one secret, or two with a blank between"), "{wrong}");
        let named = entry("https://a.example/?u={login}&k={secret}", Vec::new());
        assert!(named.needs_login());
    }

    #[test]
    fn a_time_to_live_is_within_the_limits_of_its_entry() {
        let ttl = Ttl { default: 300, min: Some(60), max: Some(3600), only: Vec::new() };
        assert_eq!([1, 60, 500, 86_400].map(|wanted| ttl.within(wanted)), [60, 60, 500, 3600]);
        let steps = Ttl { only: vec![300, 3600, 86_400], ..Ttl::default() };
        let found = [1, 300, 301, 90_000].map(|wanted| steps.within(wanted));
        assert_eq!(found, [300, 300, 3600, 86_400]);
    }

    #[test]
    fn every_built_in_entry_is_right_as_a_whole() {
        for provider in crate::core::built_in::all() {
            let Some(entry) = provider.http else { continue };
            // One that this build cannot speak to is but named.
            if entry.manners.feature.is_none_or(Feature::is_here) {
                let read = Entry::read(entry.settings.clone(), provider.api_url.as_ref());
                assert!(read.is_ok(), "{}: {:?}", provider.name, read.err());
            }
        }
    }
}
