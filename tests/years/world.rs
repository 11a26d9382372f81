//! The simulated world: one machine with its kernel, line, clocks, disk and process, three providers, and
//! the services that tell addresses.
//!
//! Here are its clocks and the order of what happens; each file below it is about one part.

mod checks;
mod chores;
mod driver;
mod incidents;
mod line;
mod looks;
mod requests;
mod setup;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use homing::config::Config;
use homing::core::outcome::Silence;
use homing::core::protocol::{Answer as HttpAnswer, HttpRequest};
use homing::core::round::{Now, Subject};
use homing::core::time::Timestamp;
use homing::os::clock::is_set;
use homing::source::sights::Sights;

use self::checks::Check;
pub use self::checks::{BOUND, DAILY};
use super::disk::{Disk, Files};
use super::faults::{Fault, Kind};
use super::journal::{Figures, Journal};
use super::kernel::Kernel;
use super::machine::{Conversation, Next, Process, millis};
use super::providers::Service;
use super::providers::desec::Desec;
use super::{DAY, HOUR, MINUTE, Millis, SECOND};
use crate::support::chance::Chance;

/// The moment by the wall clock at which every world begins.
pub const BEGIN: u64 = 1_800_000_000_000;

/// What happens at a moment.
enum Event {
    Begin(usize),
    End(usize),
    /// The machine is switched on, if nothing keeps it off.
    Boot,
    /// The process is started.
    Start,
    /// Cron runs it.
    Cron,
    /// The process is killed again.
    KillAgain(usize),
    /// The kernel tells of a change, or of a renewal.
    Kernel,
    /// Other machines use their zone.
    Neighbours(usize),
    /// Everything is to be right by now, or soon.
    Check(Check),
    // What belongs to the process of that number.
    Look(u64),
    Looked(u64, Box<Sights>),
    Wake(u64),
    Ask(u64, u64),
    Arrive(u64, u64, Box<HttpRequest>),
    Answer(u64, u64, Result<HttpAnswer, Silence>),
    GiveUp(u64, u64),
    /// What is no conversation with a provider has ended.
    Chore(u64, u64),
}

/// The world.
pub struct World {
    now: Millis,
    last: u64,
    events: BTreeMap<(Millis, u64), Event>,
    faults: Vec<Fault>,
    active: BTreeSet<usize>,
    chance: Chance,
    config: Rc<Config>,
    /// The hosts as rounds know them.
    subjects: Vec<Subject>,
    /// The secrets in their files.
    files: Files,
    /// The secrets that a person is about to put into a file, by the fault.
    awaited: BTreeMap<usize, (PathBuf, String)>,
    services: [Box<dyn Service>; 2],
    desec: Desec,
    kernel: Kernel,
    /// The line's address in IPv4, if it is not the kernel's.
    behind_nat: Option<Ipv4Addr>,
    numbers: u16,
    disk: Disk,
    /// When the machine was started, and how long it slept since.
    boot_at: Millis,
    slept: Millis,
    asleep_since: Option<Millis>,
    off_until: Millis,
    is_off: bool,
    /// What the wall clock is ahead; `None` where it is not set.
    ahead: Option<i64>,
    /// The time between two runs from cron, where no daemon runs.
    cron: Option<Millis>,
    process: Option<Process>,
    processes: u64,
    journal: Journal,
}

impl World {
    /// Lets `days` pass; the error is what went wrong.
    pub fn run(mut self, days: u64) -> Result<Figures, (String, u64)> {
        let end = days * DAY;
        while let Some(((now, _), event)) = self.events.pop_first() {
            if now >= end {
                break;
            }
            self.now = now;
            if let Err(what) = self.happen(event) {
                let left = now % DAY;
                let time = format!(
                    "{:02}:{:02}:{:02}",
                    left / HOUR,
                    left / MINUTE % 60,
                    left / SECOND % 60
                );
                let last = self.journal.last.into_iter().flatten();
                let last = last.fold(String::new(), |told, line| told + "\n    " + &line);
                return Err((format!("day {} at {time}: {what}{last}", now / DAY), now / DAY));
            }
        }
        self.journal.figures.saves = self.disk.saves;
        Ok(self.journal.figures)
    }

    fn at(&mut self, moment: Millis, event: Event) {
        self.last += 1;
        self.events.insert((moment.max(self.now), self.last), event);
    }

    fn after(&mut self, wait: Millis, event: Event) {
        self.at(self.now + wait, event);
    }

    fn uptime(&self) -> Millis {
        self.now - self.boot_at
    }

    fn steady(&self) -> Millis {
        let asleep = self.asleep_since.map_or(0, |since| self.now - since);
        self.uptime() - self.slept - asleep
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(match self.ahead {
            Some(ahead) => (BEGIN + self.now).saturating_add_signed(ahead),
            None => self.uptime(),
        })
    }

    fn now_of(&self, process: &Process) -> Now {
        let (wall, up) = (self.wall(), Duration::from_millis(self.uptime()));
        Now {
            wall: process.clock.shown(wall, up),
            is_set: is_set(wall),
            steady: Duration::from_millis(self.steady()),
            uptime: up,
            reckoning: process.clock.reckoned(process.round.memory.reckoning, wall, up),
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        if let Some(resume) = self.asleep_since.and(self.resumes())
            && Self::is_of_machine(&event)
        {
            self.at(resume + 1, event);
            return Ok(());
        }
        match event {
            Event::Begin(at) => self.begin(at),
            Event::End(at) => self.end(at),
            Event::Boot => self.boot(),
            Event::Start => {
                if self.cron.is_none() {
                    self.start();
                }
            }
            Event::Cron => {
                self.start();
                self.after(self.cron.unwrap_or(DAY), Event::Cron);
            }
            Event::KillAgain(at) => {
                if self.now < self.faults[at].end {
                    self.kill();
                    self.after(SECOND, Event::Start);
                    let wait = SECOND + self.chance.below(20 * SECOND);
                    self.after(wait, Event::KillAgain(at));
                }
            }
            Event::Kernel => {
                self.tell_of_kernel();
                let steady = self.steady();
                let renewal =
                    self.kernel.announced().and_then(|prefix| prefix.next_renewal(steady));
                if !self.is_off
                    && let Some(renewal) = renewal
                {
                    self.after(renewal.saturating_sub(steady), Event::Kernel);
                }
            }
            Event::Neighbours(at) => {
                if self.now < self.faults[at].end {
                    self.desec.take_by_others(self.faults[at].choice, self.now);
                    let wait = 10 * SECOND + self.chance.below(80 * SECOND);
                    self.after(wait, Event::Neighbours(at));
                }
            }
            Event::Check(check) => self.check(check)?,
            Event::Arrive(number, errand, request) => self.arrive(number, errand, &request)?,
            event => self.happen_to_process(event)?,
        }
        self.note_addresses();
        self.pump();
        self.disk.broken.take().map_or(Ok(()), Err)
    }

    fn happen_to_process(&mut self, event: Event) -> Result<(), String> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let result = match event {
            Event::Look(number) if number == process.number => {
                self.look(&mut process);
                Ok(())
            }
            Event::Looked(number, sights) if number == process.number => {
                self.looked(&mut process, &sights)
            }
            Event::Wake(number) if number == process.number => {
                process.wake_at = None;
                Ok(())
            }
            Event::Ask(number, errand) if number == process.number => {
                self.ask(&mut process, errand)
            }
            Event::Answer(number, errand, answer) if number == process.number => {
                if let Some(conversation) = process.errands.get_mut(&errand) {
                    conversation.hear(answer);
                    let gap = conversation.subject.provider.manners().least_gap;
                    match conversation.next() {
                        Next::Ask(_) => {
                            self.after(gap.map_or(0, millis), Event::Ask(number, errand));
                            Ok(())
                        }
                        Next::Done(answer) => self.heard(&mut process, errand, answer),
                    }
                } else {
                    Ok(())
                }
            }
            Event::Chore(number, errand) if number == process.number => {
                self.end_chore(&mut process, errand)
            }
            Event::GiveUp(number, errand) if number == process.number => {
                match process.errands.get(&errand).map(Conversation::given_up) {
                    Some(answer) => self.heard(&mut process, errand, answer),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        };
        self.process = Some(process);
        result
    }

    /// When the machine wakes, if it sleeps.
    fn resumes(&self) -> Option<Millis> {
        let suspends = |at: &&usize| self.faults[**at].kind == Kind::Suspends;
        self.active.iter().find(suspends).map(|at| self.faults[*at].end)
    }

    fn is_of_machine(event: &Event) -> bool {
        match event {
            Event::Arrive(..)
            | Event::Begin(_)
            | Event::Boot
            | Event::Check(_)
            | Event::End(_)
            | Event::Neighbours(_) => false,
            Event::Answer(..)
            | Event::Ask(..)
            | Event::Chore(..)
            | Event::Cron
            | Event::GiveUp(..)
            | Event::Kernel
            | Event::KillAgain(_)
            | Event::Look(_)
            | Event::Looked(..)
            | Event::Start
            | Event::Wake(_) => true,
        }
    }
}
