//! The values of an entry's keys: a step, its headers and body, times to live; and what is wrong with one.
//!
//! Reads one value at a time and knows no entry. Every problem has the key with its path.

use std::borrow::Cow;

use super::answer::Condition;
use super::path::{Path, Paths};
use super::template::{Form, Template, Value};
use super::tree::Tree;
use crate::core::address::PerFamily;
use crate::core::nearest::nearest;
use crate::core::protocol::Method;
use crate::core::text::Text;

/// A header with its value.
#[derive(Clone)]
pub struct Header {
    /// Its name.
    pub name: Text,
    /// Its value.
    pub value: Template,
}

/// One templated request, and how its answer is read.
#[derive(Clone)]
pub struct Step {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: Template,
    /// The body and its form.
    pub body: Option<(BodyForm, Template)>,
    /// Headers beside those of the entry.
    pub headers: Vec<Header>,
    /// Whether the entry's headers and signature are left out.
    pub is_bare: bool,
    /// Further conditions of success.
    pub ok: Vec<Condition>,
    /// Values of the answer that later templates use, by name.
    pub take: Vec<(Text, Path)>,
    /// Where the rows are.
    pub at: Path,
    /// Where a row has the id of its record.
    pub id: Option<Paths>,
    /// Where a row has its name.
    pub name: Option<Paths>,
    /// Where a row has its type.
    pub kind: Option<Paths>,
    /// Where a row has its addresses.
    pub value: Option<Paths>,
    /// Where a row has its time to live, in seconds.
    pub ttl: Option<Paths>,
    /// What must be true of a row.
    pub filter: Option<Condition>,
    /// How the next page is asked for.
    pub next: Option<Next>,
    /// Whether the rows are bare ids or names.
    pub has_bare_ids: bool,
    /// Whether the conversation goes on without this step where it is forbidden.
    pub is_optional: bool,
}

/// The form of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyForm {
    /// The form of HTML (`application/x-www-form-urlencoded`).
    Form,
    /// JSON.
    Json,
    /// Plain text.
    Text,
    /// XML.
    Xml,
}

/// How the next page of a list is asked for.
#[derive(Clone)]
pub enum Next {
    /// By the header `Link: rel=next`.
    Link,
    /// By the value at a path: as the parameter of that name, or as the URL if the name is empty.
    Value(Path, Text),
}

/// The limits of the time to live, in seconds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ttl {
    /// The value where neither the host nor a listed record has one.
    pub default: u32,
    /// The least value.
    pub min: Option<u32>,
    /// The greatest value.
    pub max: Option<u32>,
    /// The only values; others are rounded up to the next one.
    pub only: Vec<u32>,
}

/// What is wrong with a setting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrong {
    /// The key with its path, such as `list.next`.
    pub key: String,
    /// What is wrong with it, and the fix.
    pub what: String,
}

/// The time to live of a new record where the entry says nothing.
pub(super) const TTL: u32 = 300;

impl Step {
    /// Its URL, body and headers.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let body = self.body.iter().map(|(_, body)| body);
        let headers = self.headers.iter().map(|header| &header.value);
        std::iter::once(&self.url).chain(body).chain(headers)
    }

    /// The step in `value`, the value of the key `key`, whose paths are put behind `base`; the error is
    /// the first problem.
    pub fn read(value: &Tree, key: &str, base: &str) -> Result<Self, Wrong> {
        Reader::new(key, base).step(value)
    }

    /// Whether its body is JSON with sample values, if it is to be JSON: with all of them, and with
    /// those alone that it needs.
    pub fn has_right_json(&self) -> bool {
        self.body
            .iter()
            .filter(|(form, _)| *form == BodyForm::Json)
            .all(|(_, body)| [true, false].into_iter().all(|all| is_json(body, &sample(body, all))))
    }

    /// Whether the URL, the body or a header has a place called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.has_any(&|known| known == name)
    }

    /// Whether it has a place with a value of the listed record's row.
    pub fn has_old(&self) -> bool {
        self.has_any(&|known| known.starts_with("old."))
    }

    fn has_any(&self, is_one: &dyn Fn(&str) -> bool) -> bool {
        let mut found = false;
        for template in self.templates() {
            template.visit_names(&mut |known, _| found |= is_one(known));
        }
        found
    }
}

impl Ttl {
    /// `wanted` within the limits.
    pub fn within(&self, wanted: u32) -> u32 {
        let wanted = wanted.max(self.min.unwrap_or(0)).min(self.max.unwrap_or(u32::MAX));
        let next = self.only.iter().filter(|allowed| **allowed >= wanted).min();
        next.or(self.only.iter().max()).copied().unwrap_or(wanted)
    }
}

/// Reads the value of one key.
pub(super) struct Reader<'a> {
    /// The key with its path.
    key: String,
    /// What is put before a path.
    base: &'a str,
}

impl<'a> Reader<'a> {
    /// The reader of the value of `key`, whose paths are put behind `base`.
    pub(super) fn new(key: &str, base: &'a str) -> Self {
        Self { key: key.to_owned(), base }
    }

    /// The reader of the value `name` in this one's table.
    pub(super) fn of(&self, name: &str) -> Self {
        Self { key: [&*self.key, ".", name].concat(), base: self.base }
    }

    pub(super) fn wrong(&self, what: impl Into<String>) -> Wrong {
        Wrong { key: self.key.clone(), what: what.into() }
    }

    pub(super) fn text<'t>(&self, value: &'t Tree) -> Result<&'t Text, Wrong> {
        value.text().ok_or_else(|| self.wrong("must be text in quotes"))
    }

    pub(super) fn texts<'t>(&self, value: &'t Tree) -> Result<Vec<&'t Text>, Wrong> {
        value.texts().ok_or_else(|| self.wrong("must be text in quotes, or a list of texts"))
    }

    pub(super) fn table<'t>(&self, value: &'t Tree) -> Result<&'t [(Text, Tree)], Wrong> {
        value.table().ok_or_else(|| self.wrong("must be a table, such as { get = \"/…\" }"))
    }

    pub(super) fn number(&self, value: &Tree) -> Result<u32, Wrong> {
        let number = value.text().and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.wrong("must be a whole number"))
    }

    pub(super) fn flag(&self, value: &Tree) -> Result<bool, Wrong> {
        self.one_of(value, &["false", "true"]).map(|at| at == 1)
    }

    /// The index of the text among `words`.
    pub(super) fn one_of(&self, value: &Tree, words: &[&str]) -> Result<usize, Wrong> {
        let text = self.text(value)?;
        words
            .iter()
            .position(|word| word == text)
            .ok_or_else(|| self.wrong(["is not one of: ", &words.join(", ")].concat()))
    }

    pub(super) fn template(&self, value: &Tree) -> Result<Template, Wrong> {
        template(self.text(value)?, &self.key)
    }

    pub(super) fn path(&self, value: &Tree) -> Result<Path, Wrong> {
        Path::parse(self.text(value)?).map_err(|what| self.wrong(what))
    }

    pub(super) fn paths(&self, value: &Tree) -> Result<Option<Paths>, Wrong> {
        Paths::parse(self.text(value)?).map(Some).map_err(|what| self.wrong(what))
    }

    pub(super) fn conditions(&self, value: &Tree) -> Result<Vec<Condition>, Wrong> {
        let read = |text: &Text| Condition::parse(text).map_err(|what| self.wrong(what));
        self.texts(value)?.into_iter().map(read).collect()
    }

    /// Headers in the form `Name: value`.
    pub(super) fn headers(&self, value: &Tree) -> Result<Vec<Header>, Wrong> {
        let header = |text: &Text| {
            let colon =
                text.find(": ").ok_or_else(|| self.wrong("must have the form \"Name: value\""))?;
            let (name, value) = match text {
                Cow::Borrowed(text) => {
                    (Cow::Borrowed(&text[..colon]), Cow::Borrowed(&text[colon + 2..]))
                }
                Cow::Owned(text) => {
                    (Cow::Owned(text[..colon].to_owned()), Cow::Owned(text[colon + 2..].to_owned()))
                }
            };
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return Err(
                    self.wrong("has a header whose name is not letters, digits and hyphens")
                );
            }
            Ok(Header { name, value: template(&value, &self.key)? })
        };
        self.texts(value)?.into_iter().map(header).collect()
    }

    /// Words for each family: the first is IPv4's.
    pub(super) fn pairs(&self, value: &Tree) -> Result<Vec<(Text, PerFamily<Text>)>, Wrong> {
        let pair = |(name, words): &(Text, Tree)| match words.texts().as_deref() {
            Some([v4, v6]) => {
                Ok((name.clone(), PerFamily { v4: (*v4).clone(), v6: (*v6).clone() }))
            }
            _ => Err(self.of(name).wrong("must be a list of two texts: IPv4's and IPv6's")),
        };
        self.table(value)?.iter().map(pair).collect()
    }

    pub(super) fn ttl(&self, value: &Tree) -> Result<Ttl, Wrong> {
        let mut ttl = Ttl { default: TTL, ..Ttl::default() };
        for (word, value) in self.table(value)? {
            let reader = self.of(word);
            match &**word {
                "default" => ttl.default = reader.number(value)?,
                "min" => ttl.min = Some(reader.number(value)?),
                "max" => ttl.max = Some(reader.number(value)?),
                "only" => {
                    let Tree::List(list) = value else {
                        return Err(reader.wrong("must be a list of numbers"));
                    };
                    ttl.only =
                        list.iter().map(|one| reader.number(one)).collect::<Result<_, _>>()?;
                }
                _ => {
                    let words = ["default", "max", "min", "only"];
                    return Err(reader.wrong(unknown("setting of ttl", word, &words)));
                }
            }
        }
        Ok(ttl)
    }

    pub(super) fn step(&self, value: &Tree) -> Result<Step, Wrong> {
        let mut request = None;
        let mut step = Step {
            method: Method::Get,
            url: Template::default(),
            body: None,
            headers: Vec::new(),
            is_bare: false,
            ok: Vec::new(),
            take: Vec::new(),
            at: Path::default(),
            id: None,
            name: None,
            kind: None,
            value: None,
            ttl: None,
            filter: None,
            next: None,
            has_bare_ids: false,
            is_optional: false,
        };
        for (word, value) in self.table(value)? {
            let reader = self.of(word);
            let method = METHODS.into_iter().find(|(known, _)| known == word);
            let body = BODIES.into_iter().find(|(known, _)| known == word);
            match (&**word, method, body) {
                (_, Some((_, method)), _) => {
                    if request.is_some() {
                        return Err(reader.wrong("is a second request; a step has one"));
                    }
                    step.method = method;
                    request = Some(reader.url(value)?);
                }
                (_, _, Some((_, form))) => {
                    if step.body.is_some() {
                        return Err(reader.wrong("is a second body; a step has one"));
                    }
                    step.body = Some((form, reader.template(value)?));
                }
                ("at", ..) => step.at = reader.path(value)?,
                ("bare", ..) => step.is_bare = reader.flag(value)?,
                ("bare-ids", ..) => step.has_bare_ids = reader.flag(value)?,
                ("headers", ..) => step.headers = reader.headers(value)?,
                ("id", ..) => step.id = reader.paths(value)?,
                ("name", ..) => step.name = reader.paths(value)?,
                ("next", ..) => step.next = Some(reader.next(value)?),
                ("ok", ..) => step.ok = reader.conditions(value)?,
                ("optional", ..) => step.is_optional = reader.flag(value)?,
                ("take", ..) => {
                    for (name, path) in reader.table(value)? {
                        step.take.push((name.clone(), reader.of(name).path(path)?));
                    }
                }
                ("ttl", ..) => step.ttl = reader.paths(value)?,
                ("type", ..) => step.kind = reader.paths(value)?,
                ("value", ..) => step.value = reader.paths(value)?,
                ("where", ..) => {
                    let read = Condition::of_rows(reader.text(value)?);
                    step.filter = Some(read.map_err(|what| reader.wrong(what))?);
                }
                _ => {
                    let keys = METHODS.map(|(word, _)| word).into_iter();
                    let keys: Vec<_> =
                        keys.chain(BODIES.map(|(word, _)| word)).chain(STEP).collect();
                    return Err(reader.wrong(unknown("setting of a step", word, &keys)));
                }
            }
        }
        step.url = request
            .ok_or_else(|| self.wrong("has no request; write get, post, put, patch or delete"))?;
        Ok(step)
    }

    /// A path behind the base, or a whole URL.
    pub(super) fn url(&self, value: &Tree) -> Result<Template, Wrong> {
        let text = self.text(value)?;
        // A secret at the beginning is a whole URL.
        let starts = ["https://", "http://", "{secret}"];
        let is_whole = starts.iter().any(|start| text.starts_with(start));
        if is_whole {
            return self.template(value);
        }
        if self.base.is_empty() {
            return Err(self.wrong("is a path without a server; write api-url, or https://… here"));
        }
        let is_path = text.starts_with('/');
        if !(is_path || text.is_empty() || text.starts_with('?')) {
            // It would become a part of the server's name.
            return Err(self.wrong("must begin with /, ? or https://"));
        }
        let base = if is_path { self.base.trim_end_matches('/') } else { self.base };
        template(&Cow::Owned([base, text].concat()), &self.key)
    }

    pub(super) fn next(&self, value: &Tree) -> Result<Next, Wrong> {
        let text = self.text(value)?;
        if text == "link" {
            return Ok(Next::Link);
        }
        let (path, name) = text
            .split_once(" as ")
            .ok_or_else(|| self.wrong("must be \"link\" or \"PATH as PARAMETER\""))?;
        let path = Path::parse(path).map_err(|what| self.wrong(what))?;
        Ok(Next::Value(path, Cow::Owned(name.to_owned())))
    }
}

/// The methods of a step by their keys.
const METHODS: [(&str, Method); 5] = [
    ("delete", Method::Delete),
    ("get", Method::Get),
    ("patch", Method::Patch),
    ("post", Method::Post),
    ("put", Method::Put),
];

/// The bodies of a step by their keys.
const BODIES: [(&str, BodyForm); 4] = [
    ("form", BodyForm::Form),
    ("json", BodyForm::Json),
    ("text", BodyForm::Text),
    ("xml", BodyForm::Xml),
];

/// The other keys of a step.
const STEP: [&str; 14] = [
    "at", "bare", "bare-ids", "headers", "id", "name", "next", "ok", "optional", "take", "ttl",
    "type", "value", "where",
];

/// A value for each place of `body`; for those that it needs alone unless `all` have one.
pub(super) fn sample(
    body: &Template,
    all: bool,
) -> impl Fn(&str) -> Option<Value<'static>> + use<> {
    let mut needed: Vec<String> = Vec::new();
    body.visit_names(&mut |name, is_needed| {
        if is_needed {
            needed.push(name.to_owned());
        }
    });
    move |name| {
        let is_given = all || needed.iter().any(|known| known == name);
        is_given.then_some(Value::Ready(Cow::Borrowed("1")))
    }
}

/// Whether `body` is JSON with the values of `value`.
pub(super) fn is_json<'v>(body: &Template, value: &dyn Fn(&str) -> Option<Value<'v>>) -> bool {
    body.fill(Form::Json, value)
        .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text.expose()).is_ok())
}

fn template(text: &Text, key: &str) -> Result<Template, Wrong> {
    Template::parse(text).map_err(|what| Wrong { key: key.to_owned(), what })
}

/// The problem with a word that is no `kind`, with the nearest of `known`.
pub fn unknown(kind: &str, word: &str, known: &[&str]) -> String {
    let near = nearest(word, known.iter().copied());
    let fix = near.map_or_else(
        || ["there are: ", &known.join(", ")].concat(),
        |near| ["did you mean ", near, "?"].concat(),
    );
    format!("has {word}, which is not a known {kind}; {fix}")
}
