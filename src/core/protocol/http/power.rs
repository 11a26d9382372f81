//! Powers: requests that a narrow credential is refused, so that an answer shows what a credential can do
//! beyond its job. A refusal proves nothing.

use std::borrow::Cow;

use serde_json::Value;

use super::answer::{Condition, Seen};
use super::path::Path;
use super::reader::{Reader, Step, Wrong, unknown};
use super::rows;
use super::tree::Tree;
use crate::core::name::Hostname;
use crate::core::secret::Secret;
use crate::core::text::Text;

/// A request that shows a power, or when the credential ends.
#[derive(Clone)]
pub struct Power {
    /// The request; `at`, `name` and `where` say which rows of its answer count.
    pub step: Step,
    /// Of these, one must be true of the answer.
    pub when: Vec<Condition>,
    /// What the credential can do, in words.
    pub says: Option<Text>,
    /// Where the answer has the moment at which the credential ends.
    pub ends: Option<Path>,
    /// Where a row of its list has the beginning of the secret, so that the row is the credential's own.
    pub own: Option<Path>,
    /// Whether the narrowest credential that the service offers can do it, too.
    pub is_narrowest: bool,
}

/// The condition of a power that has none: an answer in the service's form that is no refusal.
const WHEN: &str = "2xx json";

/// The keys of a power.
const KEYS: [&str; 16] = [
    "at",
    "bare",
    "ends",
    "form",
    "get",
    "headers",
    "json",
    "name",
    "narrowest",
    "own",
    "post",
    "says",
    "take",
    "text",
    "when",
    "where",
];

/// Reads the list of powers.
pub(super) fn read(reader: &Reader<'_>, value: &Tree) -> Result<Vec<Power>, Wrong> {
    let Tree::List(list) = value else {
        return Err(reader.wrong("must be a list, such as [{ get = \"/account\", says = \"…\" }]"));
    };
    list.iter().map(|power| Power::read(reader, power)).collect()
}

impl Power {
    fn read(reader: &Reader<'_>, value: &Tree) -> Result<Self, Wrong> {
        let (mut when, mut says, mut ends, mut own) = (None, None, None, None);
        let mut is_narrowest = false;
        let mut request = Vec::new();
        for (word, value) in reader.table(value)? {
            let of_word = reader.of(word);
            match &**word {
                "ends" => ends = Some(of_word.path(value)?),
                "narrowest" => is_narrowest = of_word.flag(value)?,
                "own" => own = Some(of_word.path(value)?),
                "says" => says = Some(of_word.text(value)?.clone()),
                "when" => when = Some(of_word.conditions(value)?),
                "delete" | "patch" | "put" => {
                    let what = "is a request that changes something; write get, or a post that \
                        only reads";
                    return Err(of_word.wrong(what));
                }
                word if !KEYS.contains(&word) => {
                    return Err(of_word.wrong(unknown("setting of a power", word, &KEYS)));
                }
                _ => request.push((word.clone(), value.clone())),
            }
        }
        let step = reader.step(&Tree::Table(request))?;
        if says.is_none() && ends.is_none() {
            let what = "needs says, what a credential with this answer can do: \"may read the \
                account\"; or ends, where the answer says when it ends";
            return Err(reader.wrong(what));
        }
        let when = match when {
            Some(when) => when,
            None => reader.conditions(&Tree::Text(Cow::Borrowed(WHEN)))?,
        };
        Ok(Self { step, when, says, ends, own, is_narrowest })
    }

    /// Its request.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// What it is, in words; nothing for a request that only shows an end.
    pub fn words(&self) -> Option<&str> {
        self.says.as_deref()
    }

    /// The moment at which the credential with `secret` ends, as an answer with `tree` and `body` says
    /// it; `None` where it does not.
    ///
    /// In a list of credentials only the row counts that shows at least 8 characters of the secret.
    pub fn end_in(&self, tree: &Value, body: &[u8], secret: &Secret) -> Option<String> {
        const LEAST: usize = 8;
        let ends = self.ends.as_ref()?;
        let Some(own) = &self.own else { return ends.text(tree) };
        let is_own = |begin: String| begin.len() >= LEAST && secret.expose().starts_with(&begin);
        let mut end = None;
        let mut look = |row: &Value| {
            if own.text(row).is_some_and(is_own) {
                end = ends.text(row);
            }
            false
        };
        rows::rows(body, &self.step.at, &mut look).ok()?;
        end
    }

    /// Whether a credential with this answer has the power, and the row that shows it: where rows
    /// count, one that is the zone of none of `hosts`.
    pub fn is_in(&self, seen: &Seen<'_>, body: &[u8], hosts: &[&Hostname]) -> Result<Shown, &str> {
        let holds = |seen: &Seen<'_>| self.when.iter().any(|when| when.holds(seen));
        let Some(names) = &self.step.name else {
            return Ok(if holds(seen) { Shown::Yes(None) } else { Shown::No });
        };
        let mut first = None;
        let is_row = |row: &Value| {
            let is_meant = self.step.filter.as_ref().is_none_or(|filter| filter.holds_on_row(row));
            let foreign = names.text(row).and_then(|name| foreign(&name, hosts));
            first = first.take().or_else(|| foreign.filter(|_| is_meant));
            false
        };
        let read = rows::rows(body, &self.step.at, &mut { is_row })?;
        let is_hit = holds(&Seen { tree: Some(&read.rest), ..*seen });
        if is_hit && !read.found {
            return Err("has no list where the entry expects it");
        }
        Ok(first.filter(|_| is_hit).map_or(Shown::No, |name| Shown::Yes(Some(name))))
    }
}

/// Whether an answer shows a power, and by which name.
pub enum Shown {
    /// It does not.
    No,
    /// It does; where rows count, by the row of this name.
    Yes(Option<Hostname>),
}

/// The zone called `name`, unless it holds one of `hosts`, or is no zone's name.
fn foreign(name: &str, hosts: &[&Hostname]) -> Option<Hostname> {
    let zone: Hostname = name.strip_suffix('.').unwrap_or(name).parse().ok()?;
    let is_ours = hosts.iter().any(|host| host.is_within(&zone));
    (!is_ours).then_some(zone)
}
