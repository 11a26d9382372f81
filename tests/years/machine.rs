//! The process on a simulated machine: the daemon's loop over the real rounds, in a time of its own.
//!
//! How long to wait is decided as in the daemon (`src/round/waiting.rs`); when what is learnt is saved is
//! a copy of the shell's (`src/round/mod.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use homing::core::address::Family;
use homing::core::name::Hostname;
use homing::core::outcome::{Fault, Outcome, Silence};
use homing::core::plan::{Details, Request};
use homing::core::protocol::step::{Ask, Heard, Moment, Step};
use homing::core::protocol::talk::{Job, Talk, ZoneJob, ZoneTalk};
use homing::core::protocol::{
    Answer as HttpAnswer, Authorization, Credential, HttpRequest, Verdict, desec,
};
use homing::core::round::{Answer, Round, Subject, VerifyCase};
use homing::core::token::upkeep::TokenFacts;

use homing::os::clock::Clock;
use homing::round::{Begun, Waiting};
use homing::source::sights::Asked;

use super::Millis;

/// The longest delay of a save behind its answer, as in `src/round/mod.rs`.
const SAVE_LAG: Millis = 100;

/// A signal that a person sends.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Look at once.
    Round,
    /// Read the configuration again.
    Reload,
}

/// A look at the sources that is not over.
#[derive(Clone)]
pub struct Looking {
    pub look: Begun,
    /// When it began: by the true time and the steady clock.
    pub begun: (Millis, Millis),
}

/// The process.
pub struct Process {
    /// Its number: what belongs to an earlier one is not heard any more.
    pub number: u64,
    pub round: Round,
    pub clock: Clock,
    pub asked: Asked,
    pub waiting: Waiting,
    pub looking: Option<Looking>,
    /// When the last look that is over began, by the true time.
    pub looked: Millis,
    /// By the steady clock.
    pub unsaved_since: Option<Millis>,
    /// The conversations under way, by the number of their errand.
    pub errands: BTreeMap<u64, Conversation>,
    /// What else is under way, by the same.
    pub chores: BTreeMap<u64, Chore>,
    pub signals: VecDeque<Signal>,
    pub kernel_told: bool,
    pub secrets_told: bool,
    pub clock_jumped: bool,
    /// When it is to be woken, by the true time.
    pub wake_at: Option<Millis>,
}

impl Process {
    pub fn is_idle(&self) -> bool {
        self.errands.is_empty() && self.chores.is_empty()
    }

    /// Whether an update of `host` is under way.
    pub fn is_asking(&self, host: &Hostname) -> bool {
        self.errands.values().any(|conversation| match &conversation.topic {
            Topic::Update(request) => request.updates.iter().any(|update| update.host == *host),
            Topic::Greet(_) | Topic::Zone(_) => false,
        })
    }

    /// When what was learnt is to be saved, by the steady clock.
    pub fn save_by(&self) -> Option<Millis> {
        self.unsaved_since.map(|since| since + SAVE_LAG)
    }

    /// When what was learnt is to be saved and reported, by the steady clock.
    pub fn report_by(&self) -> Option<Millis> {
        self.save_by().into_iter().chain(self.waiting.report_by().map(millis)).min()
    }
}

/// What is under way and no conversation with a provider.
pub enum Chore {
    /// A check of the rights of that secret at a provider.
    Check(String, String),
    /// A question to the zones' servers.
    Look(Vec<VerifyCase>),
    /// The program of a host.
    Program,
}

/// What an errand is about.
pub enum Topic {
    /// A request that changes nothing, to that URL.
    Greet(String),
    Update(Request),
    Zone(Details),
}

/// The hosts of an update, or what else it is.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greet(_) => f.write_str("greeting"),
            Self::Zone(_) => f.write_str("question for a zone"),
            Self::Update(request) => {
                f.write_str("update of")?;
                let mut updates = request.updates.iter();
                updates.try_for_each(|update| {
                    let to = |family: Family| {
                        let content =
                            update.wishes[family].content().map(|it| it.map(ToString::to_string));
                        content.map_or("-".to_owned(), |it| it.unwrap_or("nothing".to_owned()))
                    };
                    write!(f, " {} ({}, {})", update.host, to(Family::V4), to(Family::V6))
                })
            }
        }
    }
}

/// A conversation with a provider. The talk is made anew from its answers for each step, because it
/// borrows what it is about.
pub struct Conversation {
    pub subject: Subject,
    pub credential: Credential,
    pub topic: Topic,
    moment: Moment,
    heard: Vec<Result<HttpAnswer, Silence>>,
}

/// The next step of a conversation.
pub enum Next {
    Ask(Box<HttpRequest>),
    Done(Answer),
}

impl Conversation {
    pub fn new(subject: Subject, credential: Credential, topic: Topic, moment: Moment) -> Self {
        Self { subject, credential, topic, moment, heard: Vec::new() }
    }

    /// Notes the answer to the last step.
    pub fn hear(&mut self, heard: Result<HttpAnswer, Silence>) {
        self.heard.push(heard);
    }

    /// What is to be done after the answers so far.
    pub fn next(&self) -> Next {
        let Self { subject, credential, moment, .. } = self;
        let provider = &*subject.provider;
        match &self.topic {
            Topic::Greet(url) => {
                let token = Authorization::Token(credential.secret.clone());
                let ask = || HttpRequest::get(url.clone(), Some(token));
                let greeted = self.heard.first().map(|heard| match heard {
                    Ok(HttpAnswer { status: 200, .. }) => Ok(TokenFacts::default()),
                    Ok(answer) => match desec::verdict(answer) {
                        Verdict::All(outcome) => Err(outcome),
                        Verdict::Each(_) | Verdict::NoLists(_) => Ok(TokenFacts::default()),
                    },
                    Err(silence) => Err(silence.clone().into()),
                });
                greeted.map_or_else(
                    || Next::Ask(Box::new(ask())),
                    |greeted| Next::Done(Answer::Token(Some((None, greeted)))),
                )
            }
            Topic::Update(request) => {
                let job = Job { provider, credential, request, moment: *moment };
                let (mut talk, mut step) = Talk::begin(&job);
                for heard in self.answers() {
                    step = talk.hear(heard);
                }
                match step {
                    Step::Done(verdict) => Next::Done(Answer::Update(verdict)),
                    Step::Ask(ask) => self.by_http(ask),
                }
            }
            Topic::Zone(details) => {
                let host = &subject.host.key.host;
                let (zone, moment) = (subject.host.zone.as_ref(), *moment);
                let job = ZoneJob { provider, credential, host, zone, details, moment };
                let (mut talk, mut step) = ZoneTalk::begin(&job);
                for heard in self.answers() {
                    step = talk.hear(heard);
                }
                match step {
                    Step::Done(answer) => {
                        let lesson = talk.lesson(&answer);
                        Next::Done(Answer::Zone(answer, lesson))
                    }
                    Step::Ask(ask) => self.by_http(ask),
                }
            }
        }
    }

    /// The result when the whole takes too long.
    pub fn given_up(&self) -> Answer {
        let outcome: Outcome = Silence::new(Fault::Lost, "no answer in time").into();
        match self.topic {
            Topic::Greet(_) => Answer::Token(Some((None, Err(outcome)))),
            Topic::Update(_) => Answer::Update(Verdict::All(outcome)),
            Topic::Zone(_) => Answer::no_zone(outcome),
        }
    }

    fn answers(&self) -> impl Iterator<Item = Result<Heard, Silence>> + '_ {
        self.heard.iter().cloned().map(|heard| heard.map(Heard::Answer))
    }

    fn by_http(&self, ask: Ask) -> Next {
        match ask {
            Ask::Http(request) => Next::Ask(request),
            Ask::Dns(_) | Ask::File(_) => Next::Done(self.given_up()),
        }
    }
}

/// Whole milliseconds, rounded up: what is due then is due.
pub fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(Millis::MAX)
}
