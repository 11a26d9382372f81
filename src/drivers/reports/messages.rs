//! The messages of `notify`: events gathered for each service, sent, and tried again while they cannot be.
//!
//! What is not sent is noted in the state directory, so that no restart loses it. A service's URL and
//! secret are in no message.

use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use crate::config::{Config, Notifier, Recipient, Way};
use crate::core::hook::LIMIT;
use crate::core::notify::mail;
use crate::core::notify::message::Message;
use crate::core::notify::outbox::{Outbox, Rhythm};
use crate::core::round::Event;
use crate::core::time::Timestamp;
use crate::net::http::Clients;
use crate::os::clock::{Clock, monotonic, parse_rfc3339, rfc3339, spread};
use crate::os::local::Local;
use crate::os::log::Printable;
use crate::os::program;
use crate::round::Engine;
use crate::state;

/// The file with the services to which something was not sent.
const UNSENT: &str = "homing.unsent";

/// How long a service may take: `--once` waits for one message of each kind.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const MOST: usize = 64 * 1024;

/// Why a message was not taken.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong, without a secret.
    problem: String,
    /// What to do about it.
    fix: String,
    /// How long the service wants to be left alone.
    pause: Duration,
}

/// A message being sent, with the label of its service.
pub type Sending = Pin<Box<dyn Future<Output = (String, Result<(), Failure>)>>>;

/// The events for each service.
pub struct Messages {
    rhythm: Rhythm,
    /// The configuration whose services these are, and the clock.
    known: Option<(Rc<Config>, Clock)>,
    /// The outbox of each service, by its label.
    outboxes: Vec<(String, Outbox)>,
    /// The file of what is not sent, and its content.
    noted: Option<(PathBuf, String)>,
}

impl Messages {
    /// None yet; `is_daemon` says whether events come over time.
    pub fn new(is_daemon: bool) -> Self {
        let rhythm = if is_daemon { Rhythm::DAEMON } else { Rhythm::ONCE };
        Self { rhythm, known: None, outboxes: Vec::new(), noted: None }
    }

    /// Takes the `events` of `engine`, with what an earlier run could not send.
    pub fn add(&mut self, engine: &Engine, events: &[Event]) {
        self.follow(engine);
        let now = monotonic();
        for (_, outbox) in &mut self.outboxes {
            if engine.is_idle() && outbox.takes_over() {
                engine.round.open_problems().iter().for_each(|it| outbox.add(clean(it), now));
            }
            events.iter().for_each(|event| outbox.add(clean(event), now));
        }
        self.note();
    }

    /// Has an outbox for each service of the configuration; after a change all are tried at once.
    fn follow(&mut self, engine: &Engine) {
        if self.known.as_ref().is_some_and(|(config, _)| Rc::ptr_eq(config, &engine.config)) {
            return;
        }
        let is_first = self.known.is_none();
        let dir = engine.store.dir();
        let unsent = is_first.then(|| state::said(dir, UNSENT)).flatten().unwrap_or_default();
        let (now, wall) = (monotonic(), engine.clock.now());
        let mut before = std::mem::take(&mut self.outboxes);
        for notifier in &engine.config.reports.notify {
            let label = notifier.label().to_owned();
            let known = before.iter().position(|(other, _)| *other == label);
            let outbox = match known.map(|at| before.swap_remove(at).1) {
                Some(mut outbox) => {
                    outbox.hurry(now);
                    outbox
                }
                None => match unsent.lines().find_map(|line| debt(line, &label)) {
                    Some((failures, at)) => {
                        Outbox::owing(self.rhythm, failures, wall.since(at), now)
                    }
                    None => Outbox::new(self.rhythm),
                },
            };
            self.outboxes.push((label, outbox));
        }
        self.known = Some((Rc::clone(&engine.config), engine.clock.clone()));
        if is_first {
            self.noted = Some((dir.to_owned(), unsent));
        }
    }

    /// The labels of the services that could not be reached, or refused, when they were last tried.
    pub fn failing(&self) -> Vec<&str> {
        let is_failing = |outbox: &Outbox| outbox.debt().is_some_and(|failures| failures > 0);
        let all = self.outboxes.iter().filter(|(_, outbox)| is_failing(outbox));
        all.map(|(label, _)| label.as_str()).collect()
    }

    /// When the next message is due, by the steady clock.
    pub fn due(&self) -> Option<Duration> {
        self.outboxes.iter().filter_map(|(_, outbox)| outbox.due()).min()
    }

    /// The messages that are due.
    pub fn sendings(&mut self) -> Vec<Sending> {
        let Some((config, clock)) = &self.known else { return Vec::new() };
        let (now, mut all) = (monotonic(), Vec::new());
        for (label, outbox) in &mut self.outboxes {
            let is_it = |notifier: &&Notifier| notifier.label() == label;
            let Some(at) = config.reports.notify.iter().position(|it| is_it(&it)) else { continue };
            let here = Local::here(clock.now());
            let message = Message::about(outbox.take(now), &|moment| here.anywhere(moment));
            if let Some(message) = message {
                let (config, label) = (Rc::clone(config), label.clone());
                let moment = (clock.now(), clock.is_set());
                let sending: Sending = Box::pin(async move {
                    let sent = send(&config, &config.reports.notify[at], &message, moment).await;
                    (label, sent)
                });
                all.push(sending);
            }
        }
        all
    }

    /// Notes how a message to the service `label` went; returns what went wrong, and the fix.
    pub fn note_sent(
        &mut self,
        label: &str,
        result: Result<(), Failure>,
    ) -> Result<(), (String, String)> {
        let now = monotonic();
        let outbox = self.outboxes.iter_mut().find(|(known, _)| known == label);
        let noted = match (result, outbox) {
            (Ok(()), outbox) => {
                outbox.into_iter().for_each(|(_, outbox)| outbox.sent(now));
                Ok(())
            }
            (Err(Failure { problem, fix, pause }), outbox) => {
                outbox.into_iter().for_each(|(_, outbox)| outbox.failed(now, pause, spread()));
                Err((problem, fix))
            }
        };
        self.note();
        noted
    }

    /// Keeps in the state directory to which services something is not sent.
    fn note(&mut self) {
        let (Some((dir, noted)), Some((_, clock))) = (&mut self.noted, &self.known) else { return };
        let wall = clock.now();
        let line = |(label, outbox): &(String, Outbox)| {
            Some(format!("{label} {} {}\n", outbox.debt()?, rfc3339(wall)))
        };
        let unsent: String = self.outboxes.iter().filter_map(line).collect();
        let without_time = |text: &str| -> Vec<String> {
            let words = text.lines().filter_map(|line| line.rsplit_once(' '));
            words.map(|(words, _)| words.to_owned()).collect()
        };
        if without_time(&unsent) == without_time(noted) {
            return;
        }
        if unsent.is_empty() {
            state::forget_said(dir, UNSENT);
        } else {
            state::is_said(dir, UNSENT, unsent.trim_end());
        }
        *noted = unsent;
    }
}

/// The failures and the time of the last one in a line of the file, if it is about the service `label`.
fn debt(line: &str, label: &str) -> Option<(u32, Timestamp)> {
    let (failures, at) = line.strip_prefix(label)?.strip_prefix(' ')?.split_once(' ')?;
    Some((failures.parse().ok()?, parse_rfc3339(at)?))
}

/// `event` without what a terminal or a phone should not show: a part of it may be a server's own words.
fn clean(event: &Event) -> Event {
    let text = |words: &str| Printable(words).to_string();
    Event { reason: text(&event.reason), fix: text(&event.fix), ..event.clone() }
}

/// Sends `message` to `notifier` of `config` at that moment, and whether the clock can be believed.
pub async fn send(
    config: &Config,
    notifier: &Notifier,
    message: &Message,
    (now, clock_is_set): (Timestamp, bool),
) -> Result<(), Failure> {
    let failure = |problem: String, fix: &str| {
        // What is wrong with a file comes with its own fix.
        let (problem, fix) = problem.split_once("; ").unwrap_or((&problem, fix));
        Failure { problem: problem.to_owned(), fix: fix.to_owned(), pause: Duration::ZERO }
    };
    match &notifier.way {
        Way::Http(recipient) => ask(recipient, message, clock_is_set, &failure).await,
        Way::Mail(to) => {
            let text = mail::text(message, &to.to, to.from.as_deref(), now);
            let program = (&*to.command, config.programs_as);
            let fix = "run this program by hand with a mail on its input";
            program::fed(program, &text, LIMIT).await.map_err(|problem| failure(problem, fix))
        }
    }
}

/// Asks the service of `recipient` to take `message`.
async fn ask(
    recipient: &Recipient,
    message: &Message,
    clock_is_set: bool,
    failure: &dyn Fn(String, &str) -> Failure,
) -> Result<(), Failure> {
    let (request, secret) = recipient
        .request(message)
        .map_err(|problem| failure(problem, "check its table in notify"))?;
    let clients = Clients::new(clock_is_set);
    secret.iter().for_each(|secret| clients.conceal(secret));
    let ca_file = recipient.ca_file.as_deref();
    let answer = clients.send_for(&request, ca_file, (MOST, PATIENCE)).await;
    let reach = "check whether its server can be reached from here";
    let answer = answer.map_err(|silence| failure(silence.detail, reach))?;
    recipient.service.judge(&answer).map_err(|problem| Failure {
        problem,
        fix: "check its secret and its other settings in notify".to_owned(),
        pause: answer.retry_after.unwrap_or_default(),
    })
}
