//! The process: a daemon that waits as the real one does, or a run that cron begins.
//!
//! How long a daemon waits is decided as in the shell (`src/round/waiting.rs`); when what is learnt is
//! saved is a copy of the shell's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use homing::core::round::{Occasion, Round};
use homing::os::clock::Clock;
use homing::round::Waiting;
use homing::source::sights;

use super::{Event, World};
use crate::years::Millis;
use crate::years::machine::{Process, Signal, millis};

impl World {
    pub(super) fn start(&mut self) {
        if self.is_off || self.process.is_some() {
            return;
        }
        self.processes += 1;
        self.journal.tell(self.now, || "the process starts".to_owned());
        self.journal.figures.starts += 1;
        let is_run = self.cron.is_some();
        self.journal.figures.runs += u64::from(is_run);
        let memory = if is_run { self.disk.load_for_run() } else { self.disk.load() };
        let up = Duration::from_millis(self.uptime());
        let clock = Clock::at(memory.newest(), memory.reckoning, self.wall(), up);
        let mut round = Round::new(memory, !is_run);
        round.check_tokens();
        let mut process = Process {
            number: self.processes,
            round,
            clock,
            asked: sights::Asked::default(),
            waiting: Waiting::default(),
            looking: None,
            looked: self.now,
            unsaved_since: None,
            errands: BTreeMap::new(),
            chores: BTreeMap::new(),
            signals: VecDeque::new(),
            kernel_told: false,
            secrets_told: false,
            clock_jumped: false,
            wake_at: None,
        };
        self.begin_look(&mut process, Occasion::default());
        self.process = Some(process);
    }

    pub(super) fn save(&mut self, process: &mut Process) {
        process.unsaved_since = None;
        if let Err(problem) = self.disk.save(&process.round.memory) {
            process.round.report.storage_problem = Some(problem);
        }
    }

    pub(super) fn report(&mut self, process: &mut Process) {
        self.save(process);
        let now = self.now_of(process);
        process.round.end(&now);
        let spread = self.chance.spread();
        process.waiting.note_report(&self.config, &process.round.report, &now, spread);
        process.round.begin_news();
    }

    /// Lets the process take note of everything that it waits for.
    pub(super) fn pump(&mut self) {
        if self.asleep_since.is_some() {
            return;
        }
        let Some(mut process) = self.process.take() else { return };
        if self.cron.is_some() {
            return self.pump_run(process);
        }
        if process.report_by().is_some_and(|by| by <= self.steady()) {
            self.report(&mut process);
        }
        if process.looking.is_none()
            && let Some(mut occasion) = self.next_look(&mut process)
        {
            occasion.network_changed |= self.sees_news(&process);
            self.begin_look(&mut process, occasion);
        }
        self.plan_to_wake(&mut process);
        self.process = Some(process);
    }

    /// Lets a run that cron began save, or end if everything is answered.
    fn pump_run(&mut self, mut process: Process) {
        if process.looking.is_none() && process.is_idle() {
            self.save(&mut process);
            self.journal.run_ended(process.round.memory == self.disk.saved);
            return;
        }
        let steady = self.steady();
        match process.save_by() {
            Some(by) if by <= steady => self.save(&mut process),
            Some(by) => self.wake_at(&mut process, self.now + by - steady),
            None => {}
        }
        self.process = Some(process);
    }

    /// The occasion of the look that is due, if one is.
    pub(super) fn next_look(&mut self, process: &mut Process) -> Option<Occasion> {
        let (now, settle) = (self.now_of(process), self.config.daemon.settle);
        match process.signals.pop_front() {
            Some(Signal::Round) => return Some(Occasion::default()),
            Some(Signal::Reload) => {
                return Some(Occasion { reloaded: true, ..Occasion::default() });
            }
            None => {}
        }
        if std::mem::take(&mut process.secrets_told) {
            process.waiting.note_secrets(settle, &now);
        }
        if std::mem::take(&mut process.kernel_told) {
            process.waiting.note_event(settle, &now);
        }
        if std::mem::take(&mut process.clock_jumped) {
            return Some(Occasion { network_changed: true, ..Occasion::BY_ITSELF });
        }
        if now.uptime < process.waiting.next_check(&now) {
            return None;
        }
        let snapshot = self.snapshot(process);
        let renewals = &mut process.round.memory.renewals;
        process.waiting.times_up(&self.config, &now, || {
            renewals.take_up_beginnings(&snapshot.renewals);
            Some(snapshot)
        })
    }

    pub(super) fn sees_news(&self, process: &Process) -> bool {
        process.waiting.sees_news(&self.config, &self.snapshot(process))
    }

    pub(super) fn plan_to_wake(&mut self, process: &mut Process) {
        let report = process.report_by().map(|by| self.now + by.saturating_sub(self.steady()));
        let next_check = || millis(process.waiting.next_check(&self.now_of(process)));
        let check = process.looking.is_none().then(|| self.boot_at + next_check());
        let Some(wake) = report.into_iter().chain(check).min() else { return };
        self.wake_at(process, wake);
    }

    fn wake_at(&mut self, process: &mut Process, wake: Millis) {
        if process.wake_at.is_none_or(|at| wake < at) {
            process.wake_at = Some(wake);
            self.at(wake, Event::Wake(process.number));
        }
    }
}
