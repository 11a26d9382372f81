//! Reports: tell people and programs how the hosts are, beside the rounds.
//!
//! A report never delays an update and never ends one: daemon and `--once` begin it when a round has
//! something to report, and what goes wrong with it is a warning, given once.

#[cfg_attr(not(feature = "pages"), path = "../../left_out/report_files.rs")]
mod files;
#[cfg_attr(not(feature = "pages"), path = "../../left_out/messages.rs")]
mod messages;
#[cfg(feature = "pages")]
mod metrics;
mod on_problem;
#[cfg(feature = "pages")]
mod page;
mod ping;
mod troubles;
#[cfg(feature = "pages")]
mod view;

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};

use self::files::Files;
use self::messages::{Failure, Messages};
use self::troubles::Troubles;
use crate::config::Config;
use crate::core::memory::Key;
use crate::core::order;
use crate::core::ping::Pinged;
use crate::core::round::Event;
use crate::round::Engine;

/// The most programs that run at once: a fault of a provider may be one of a thousand hosts.
const AT_ONCE: usize = 4;

/// A report that is done, and what went wrong.
enum Done {
    /// The program for a host.
    Program(Key, Result<(), String>),
    /// The ping.
    Ping(Result<(), String>),
    /// A file, by its setting; the error comes with the fix.
    File(&'static str, Result<(), (String, String)>),
    /// The message to the service of that label.
    Message(String, Result<(), Failure>),
}

/// The reports that wait and those under way.
pub struct Reporter {
    /// The reports that failed.
    troubles: Troubles,
    waiting: VecDeque<(Rc<Config>, Event)>,
    /// The hosts whose program runs; a host has one at a time.
    running: Vec<Key>,
    /// The last ping.
    pub pinged: Option<Pinged>,
    is_pinging: bool,
    files: Files,
    messages: Messages,
    /// The settings of the files that are being written.
    writing: Vec<&'static str>,
    /// Whether there was news for one of these meanwhile.
    is_put_off: bool,
    under_way: FuturesUnordered<Pin<Box<dyn Future<Output = Done>>>>,
}

impl Reporter {
    /// Nothing to report yet. The daemon's reporter `is_logging` what goes wrong.
    pub fn new(is_logging: bool) -> Self {
        Self {
            troubles: Troubles::new(is_logging),
            waiting: VecDeque::new(),
            running: Vec::new(),
            pinged: None,
            is_pinging: false,
            files: Files::default(),
            messages: Messages::new(is_logging),
            writing: Vec::new(),
            is_put_off: false,
            under_way: FuturesUnordered::new(),
        }
    }

    /// Begins to report what is new in `engine`.
    pub fn begin(&mut self, engine: &mut Engine) {
        let config = Rc::clone(&engine.config);
        let events = engine.take_events();
        self.messages.add(engine, &events);
        if !config.reports.on_problem.is_empty() {
            self.waiting.extend(events.into_iter().map(|event| (Rc::clone(&config), event)));
        }
        if let Some(recorded) = engine.take_recorded() {
            self.note_history(recorded);
        }
        self.start();
        self.ping(engine);
        self.make_due(engine);
    }

    /// Begins what is due after a time: messages and the files about the hosts.
    pub fn make_due(&mut self, engine: &Engine) {
        self.send_messages();
        self.write_files(engine);
    }

    /// Sends the messages that are due.
    fn send_messages(&mut self) {
        for sending in self.messages.sendings() {
            self.under_way.push(Box::pin(async move {
                let (label, result) = sending.await;
                Done::Message(label, result)
            }));
        }
    }

    /// Sends the ping that is due after the round of `engine`, if one is.
    fn ping(&mut self, engine: &Engine) {
        if self.is_pinging {
            return;
        }
        let Some(next) = ping::next(engine, self.pinged) else { return };
        (self.is_pinging, self.pinged) = (true, Some(next.pinged));
        self.under_way.push(Box::pin(async move { Done::Ping(next.send().await) }));
    }

    /// Begins to write the files about the hosts, if they are due.
    fn write_files(&mut self, engine: &Engine) {
        self.is_put_off = false;
        for (topic, writing) in self.files.writings(engine) {
            // One that hangs is not waited for, and no second one is begun beside it, but after it.
            if self.writing.contains(&topic) {
                self.is_put_off = true;
                self.files.write_again();
            } else {
                self.writing.push(topic);
                self.under_way.push(Box::pin(async move { Done::File(topic, writing.await) }));
            }
        }
    }

    /// When something is to be made although nothing changes until then, by the steady clock.
    pub fn due(&self) -> Option<Duration> {
        let at_once = (self.is_put_off && self.writing.is_empty()).then_some(Duration::ZERO);
        let due = [at_once, self.files.due(), self.messages.due()];
        due.into_iter().flatten().min()
    }

    /// Notes how changes were added to the history.
    fn note_history(&mut self, recorded: Result<(), String>) {
        let what = recorded.as_ref().err().and_then(|problem| problem.split_once("; "));
        let (problem, fix) = what.unwrap_or(("it cannot be written", "look at its directory"));
        let (problem, fix) = (problem.to_owned(), fix.to_owned());
        self.troubles.note("history".into(), &fix, recorded.map_err(|_| problem));
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Waits until one more report is done, and notes how it went; returns at once when none is under
    /// way. May be dropped and begun again.
    pub async fn done(&mut self) {
        match self.under_way.next().await {
            None => {}
            Some(Done::Program(key, result)) => {
                self.running.retain(|running| *running != key);
                self.troubles.note(
                    "on-problem".into(),
                    "run the on-problem program by hand",
                    result,
                );
                self.start();
            }
            Some(Done::Ping(result)) => {
                self.is_pinging = false;
                let problem = result.as_ref().err().map_or("", String::as_str);
                // What is wrong with its file comes with its own fix.
                let (problem, fix) = problem.split_once("; ").unwrap_or((problem, ping::FIX));
                let (problem, fix) = (problem.to_owned(), fix.to_owned());
                self.troubles.note("ping".into(), &fix, result.map_err(|_| problem));
            }
            Some(Done::File(topic, result)) => {
                self.writing.retain(|writing| *writing != topic);
                if result.is_err() {
                    self.files.write_again();
                }
                let fix = result.as_ref().err().map(|(_, fix)| fix.clone()).unwrap_or_default();
                self.troubles.note(topic.into(), &fix, result.map_err(|(problem, _)| problem));
            }
            Some(Done::Message(label, result)) => {
                let result = self.messages.note_sent(&label, result);
                let fix = result.as_ref().err().map(|(_, fix)| fix.clone()).unwrap_or_default();
                let topic = format!("notify {label}").into();
                self.troubles.note(topic, &fix, result.map_err(|(problem, _)| problem));
                self.send_messages();
            }
        }
    }

    /// Waits until all reports are done.
    pub async fn finish(&mut self) {
        while !self.is_idle() {
            self.done().await;
        }
    }

    /// The reports that failed, in lines; with those of the lines `before` about services that fail and
    /// were not tried again.
    pub fn troubles(&self, before: &str) -> Vec<String> {
        let mut lines = self.troubles.lines();
        for label in self.messages.failing() {
            let begin = format!("warning: notify {label}: ");
            let is_about_it = |line: &&str| line.starts_with(&begin);
            if !lines.iter().any(|line| line.starts_with(&begin)) {
                lines.extend(before.lines().find(is_about_it).map(str::to_owned));
                order::sort(&mut lines);
            }
        }
        lines
    }

    /// Starts what may start now, in order.
    fn start(&mut self) {
        while self.running.len() < AT_ONCE {
            let is_free = |(_, event): &(_, Event)| !self.running.contains(&event.key);
            let next = self.waiting.iter().position(is_free);
            let Some((config, event)) = next.and_then(|at| self.waiting.remove(at)) else { return };
            self.running.push(event.key.clone());
            self.under_way.push(Box::pin(async move {
                let program = (&config.reports.on_problem[..], config.programs_as);
                let result = on_problem::run(program, &event).await;
                Done::Program(event.key, result)
            }));
        }
    }
}
