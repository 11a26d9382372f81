//! The conversation about the powers of one credential: what to ask, and what the answers show. Nothing
//! is sent here.

use super::answer::{Meaning, Seen};
use super::entry::StepKind;
use super::power::{Power, Shown};
use super::rows;
use super::scene::{Scene, Session};
use super::session::{in_words, outcome, unset_clock};
use crate::core::name::Hostname;
use crate::core::outcome::{Outcome, Silence};
use crate::core::plan::Details;
use crate::core::protocol::step::{Heard, Step, ask};
use crate::core::protocol::{Answer, HttpRequest, talk};
use crate::core::secret::Secret;

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
    pub fn hear(&mut self, heard: Result<Heard, Silence>) -> Step<PowerReport> {
        let answer = match talk::answer(heard) {
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
        let what = || power.says.as_deref().unwrap_or("has an end").to_owned();
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
        if let (Some(tree), true) = (&tree, meaning.is_success()) {
            // What is not there, the requests that need it are not sent without.
            for (name, path) in &power.step.take {
                let value = path.text(tree).filter(|value| !value.is_empty());
                self.session.taken.extend(value.map(|it| (name.clone(), Secret::new(&it))));
            }
            let end = power.end_in(tree, &answer.body, &self.session.credential.secret);
            self.report.end = end.or(self.report.end.take());
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
