//! Reports: tell people and programs how the hosts are, beside the rounds.
//!
//! A report never delays an update and never ends one: daemon and `--once` begin it when a round has
//! something to report, and what goes wrong with it is a warning, given once.

mod on_problem;
mod troubles;

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::stream::{FuturesUnordered, StreamExt};

use self::troubles::Troubles;
use crate::config::Config;
use crate::core::memory::Key;
use crate::core::round::Event;

/// The most programs that run at once: a fault of a provider may be one of a thousand hosts.
const AT_ONCE: usize = 4;

/// A report that is done: the host that it was about, and what went wrong.
struct Done {
    key: Key,
    result: Result<(), String>,
}

/// The reports that wait and those under way.
pub struct Reporter {
    /// The reports that failed.
    troubles: Troubles,
    waiting: VecDeque<(Rc<Config>, Event)>,
    /// The hosts whose program runs; a host has one at a time.
    running: Vec<Key>,
    under_way: FuturesUnordered<Pin<Box<dyn Future<Output = Done>>>>,
}

impl Reporter {
    /// Nothing to report yet. The daemon's reporter `is_logging` what goes wrong.
    pub fn new(is_logging: bool) -> Self {
        Self {
            troubles: Troubles::new(is_logging),
            waiting: VecDeque::new(),
            running: Vec::new(),
            under_way: FuturesUnordered::new(),
        }
    }

    /// Begins to report `events` as `config` says.
    pub fn begin(&mut self, config: &Rc<Config>, events: Vec<Event>) {
        self.waiting.extend(events.into_iter().map(|event| (Rc::clone(config), event)));
        self.start();
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Waits until one more report is done, and notes how it went; returns at once when none is under
    /// way. May be dropped and begun again.
    pub async fn done(&mut self) {
        let Some(Done { key, result }) = self.under_way.next().await else { return };
        self.running.retain(|running| *running != key);
        self.troubles.note("on-problem", "run the on-problem program by hand", result);
        self.start();
    }

    /// Waits until all reports are done.
    pub async fn finish(&mut self) {
        while !self.is_idle() {
            self.done().await;
        }
    }

    /// The reports that failed, in lines.
    pub fn troubles(&self) -> Vec<String> {
        self.troubles.lines()
    }

    /// Starts what may start now, in order.
    fn start(&mut self) {
        while self.under_way.len() < AT_ONCE {
            let is_free = |(_, event): &(_, Event)| !self.running.contains(&event.key);
            let next = self.waiting.iter().position(is_free);
            let Some((config, event)) = next.and_then(|at| self.waiting.remove(at)) else { return };
            self.running.push(event.key.clone());
            self.under_way.push(Box::pin(async move {
                let program = (&config.reports.on_problem[..], config.programs_as);
                let result = on_problem::run(program, &event).await;
                Done { key: event.key, result }
            }));
        }
    }
}
