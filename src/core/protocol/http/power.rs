//! Powers: what a credential can do beyond its job, found out by requests that change nothing.
//!
//! An entry lists requests that a narrow credential is refused. Whoever gets an answer has a power; a
//! refusal proves nothing. Nothing is sent here: the conversation says what to ask.

use std::borrow::Cow;

use serde_json::Value;

use super::answer::{Condition, Meaning, Seen};
use super::entry::{Reader, Step as EntryStep, StepKind, Wrong, unknown};
use super::path::Path;
use super::rows;
use super::scene::{Scene, Session};
use super::session::{in_words, outcome, unset_clock};
use super::tree::Tree;
use crate::core::name::Hostname;
use crate::core::outcome::{Outcome, Silence};
use crate::core::plan::Details;
use crate::core::protocol::step::{Step, ask};
use crate::core::protocol::{Answer, HttpRequest};
use crate::core::text::Text;

/// A request that shows a power, or when the credential ends.
#[derive(Clone)]
pub struct Power {
    /// The request; `at`, `name` and `where` say which rows of its answer count.
    step: EntryStep,
    /// Of these, one must be true of the answer.
    when: Vec<Condition>,
    /// What the credential can do, in words.
    says: Option<Text>,
    /// Where the answer has the moment at which the credential ends.
    ends: Option<Path>,
    /// Whether the narrowest credential that the service offers can do it, too.
    is_narrowest: bool,
}

/// What was found out about a credential.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PowerReport {
    /// The powers that it has.
    pub found: Vec<FoundPower>,
    /// How many requests were answered, with or without a power in the answer.
    pub asked: usize,
    /// Why something could not be found out, and what, in the order of the requests.
    pub untold: Vec<(String, String)>,
    /// The moment at which it ends, as the service writes it.
    pub end: Option<String>,
    /// Whether the service refused the credential itself in every answer.
    pub is_refused: bool,
    /// The outcome of a request that got no answer, or of one that asks for a pause: nothing was asked
    /// after it.
    pub broken_off: Option<Outcome>,
}

/// A power that a credential has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundPower {
    /// What it can do, in words: `may read the account`.
    pub what: String,
    /// Whether the narrowest credential that the service offers can do it, too.
    pub is_narrowest: bool,
}

/// The conversation about the powers of one credential.
#[derive(Debug)]
pub struct PowerTalk<'a> {
    session: Session<'a>,
    /// The hosts that use the credential, at least one.
    hosts: &'a [&'a Hostname],
    scene: Scene<'a>,
    /// The index of the power that is asked for; `None` while the session is opened.
    at: Option<usize>,
    /// Whether the service accepted the credential in an answer.
    is_accepted: bool,
    report: PowerReport,
}

/// The condition of a power that has none: an answer in the service's form that is no refusal.
const WHEN: &str = "2xx json";

/// The keys of a power.
const KEYS: [&str; 14] = [
    "at",
    "bare",
    "ends",
    "form",
    "get",
    "headers",
    "json",
    "name",
    "narrowest",
    "post",
    "says",
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
        let (mut when, mut says, mut ends, mut is_narrowest) = (None, None, None, false);
        let mut request = Vec::new();
        for (word, value) in reader.table(value)? {
            let of_word = reader.of(word);
            match &**word {
                "ends" => ends = Some(of_word.path(value)?),
                "narrowest" => is_narrowest = of_word.flag(value)?,
                "says" => says = Some(of_word.text(value)?.clone()),
                "when" => when = Some(of_word.conditions(value)?),
                "delete" | "patch" | "put" => {
                    let what = "changes something; a power is found out by get, or by a post that \
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
        Ok(Self { step, when, says, ends, is_narrowest })
    }

    /// Its request.
    pub fn step(&self) -> &EntryStep {
        &self.step
    }

    /// What it is, in words; nothing for a request that only shows an end.
    pub fn words(&self) -> Option<&str> {
        self.says.as_deref()
    }

    /// Whether a credential with this answer has the power, and the row that shows it: where rows
    /// count, one that is the zone of none of `hosts`.
    fn is_in(&self, seen: &Seen<'_>, body: &[u8], hosts: &[&Hostname]) -> Result<Shown, &str> {
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
enum Shown {
    No,
    Yes(Option<Hostname>),
}

/// The zone called `name`, unless it holds one of `hosts`, or is no zone's name.
fn foreign(name: &str, hosts: &[&Hostname]) -> Option<Hostname> {
    let zone: Hostname = name.strip_suffix('.').unwrap_or(name).parse().ok()?;
    let is_ours = hosts.iter().any(|host| host.is_within(&zone));
    (!is_ours).then_some(zone)
}

impl<'a> PowerTalk<'a> {
    /// The conversation about the credential that `hosts` use, and its first step. `details` and
    /// `zone` are those of the first host.
    pub fn begin(
        session: Session<'a>,
        hosts: &'a [&'a Hostname],
        details: &'a Details,
        zone: Option<&'a Hostname>,
    ) -> (Self, Step<PowerReport>) {
        let host = hosts.first().copied();
        let scene = Scene { host, details: Some(details), zone, ..Scene::default() };
        let (at, is_accepted, report) = (None, false, PowerReport::default());
        let mut talk = Self { session, hosts, scene, at, is_accepted, report };
        let step = match talk.session.entry.step(StepKind::Login) {
            _ if talk.session.needs_clock() => talk.break_off(unset_clock()),
            Some(login) => match talk.session.request(login, &talk.scene) {
                Ok(request) => ask(request),
                Err(_) => talk.next(),
            },
            None => talk.next(),
        };
        (talk, step)
    }

    /// The next step after the answer to the last one.
    pub fn hear(&mut self, heard: Result<Answer, Silence>) -> Step<PowerReport> {
        let answer = match heard {
            Ok(answer) => answer,
            // Nothing else would get through.
            Err(silence) => return self.break_off(silence.into()),
        };
        let Some(at) = self.at else {
            // A login that brings nothing only takes the values that some requests need.
            let _ = self.session.hear_login(Ok(answer));
            return self.next();
        };
        let Some(power) = self.session.entry.powers.get(at) else { return self.end() };
        if let Some(pause) = self.judge(power, &answer) {
            return self.break_off(pause);
        }
        self.next()
    }

    /// Notes what `answer` shows of `power`; returns why nothing else should be asked, if so.
    fn judge(&mut self, power: &Power, answer: &Answer) -> Option<Outcome> {
        let tree = rows::tree_of(&answer.body);
        let meaning = self.session.meaning_of(&[], answer, tree.as_ref());
        let what = || power.says.as_deref().unwrap_or("ends").to_owned();
        match meaning {
            Meaning::Abuse | Meaning::Agent | Meaning::Skew | Meaning::Throttled => {
                return Some(outcome("power", meaning, answer));
            }
            Meaning::Busy | Meaning::Server | Meaning::Unintelligible => {
                self.report.untold.push((what(), in_words(meaning, answer)));
                return None;
            }
            _ => {}
        }
        self.report.asked += 1;
        self.is_accepted |= meaning != Meaning::Credential;
        if let (Some(path), Some(tree), true) = (&power.ends, &tree, meaning.is_success()) {
            self.report.end = path.text(tree).or(self.report.end.take());
        }
        let Some(says) = &power.says else { return None };
        let text = String::from_utf8_lossy(&answer.body);
        let text = rows::trimmed(&text);
        let seen = Seen { status: answer.status, text, tree: tree.as_ref() };
        match power.is_in(&seen, &answer.body, self.hosts) {
            Ok(Shown::Yes(row)) => {
                let what = match row {
                    Some(row) => [says, " (", row.as_str(), ")"].concat(),
                    None => says.to_string(),
                };
                self.report.found.push(FoundPower { what, is_narrowest: power.is_narrowest });
            }
            Err(why) if meaning.is_success() => {
                self.report.untold.push((what(), format!("the answer {why}")));
            }
            Ok(Shown::No) | Err(_) => {}
        }
        None
    }

    /// The request for the next power whose places have values.
    fn next(&mut self) -> Step<PowerReport> {
        loop {
            let at = self.at.map_or(0, |at| at + 1);
            self.at = Some(at);
            let Some(power) = self.session.entry.powers.get(at) else { return self.end() };
            if let Ok(request) = self.session.request(&power.step, &self.scene) {
                return ask(HttpRequest { is_list: true, ..request });
            }
        }
    }

    fn break_off(&mut self, outcome: Outcome) -> Step<PowerReport> {
        self.report.broken_off = Some(outcome);
        self.end()
    }

    fn end(&mut self) -> Step<PowerReport> {
        let is_refused = self.report.asked > 0 && !self.is_accepted;
        Step::Done(PowerReport { is_refused, ..std::mem::take(&mut self.report) })
    }
}
