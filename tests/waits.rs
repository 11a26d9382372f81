//! Many machines that wait for one provider, by the core's own decisions in a time of their own: what
//! each of them plans, sends and remembers, and what a server with deSEC's limits answers.
//!
//! Nothing here repeats a rule of the core: a machine is its memory, and a round is `step`,
//! `schedule`, `sending` and `settle`.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use homing::core::address::{Addresses, PerFamily};
use homing::core::memory::{Key, Memory};
use homing::core::outcome::{Fault, Outcome};
use homing::core::pace::Pace;
use homing::core::plan::{
    Candidate, Circumstances, Host, HostSettings, Request, Seen, Step, TakeOver, Use, WhenGone,
    Wish, schedule, step,
};
use homing::core::protocol::manners::Protocol;
use homing::core::protocol::{Answer, Verdict, desec};
use homing::core::provider::Provider;
use homing::core::secret::Fingerprint;
use homing::core::settle::{
    Situation, leaving, note_missing, sending, settle, settle_pace, settle_zone, turn,
};
use homing::core::time::Timestamp;

use crate::support::chance::Chance;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// When each test's time begins.
const BEGIN: u64 = 1_800_000_000_000;

/// How long a request is on its way, and its answer.
const WAY: u64 = 40;

/// A sliding window of a server.
struct Window {
    requests: usize,
    length: u64,
    taken: VecDeque<u64>,
}

impl Window {
    fn new(requests: usize, length: u64) -> Self {
        Self { requests, length, taken: VecDeque::new() }
    }

    /// Takes a request, or tells how long it has to wait.
    fn take(&mut self, now: u64) -> Result<(), u64> {
        while self.taken.front().is_some_and(|at| at + self.length <= now) {
            self.taken.pop_front();
        }
        if self.taken.len() >= self.requests {
            return Err(self.taken[0] + self.length - now);
        }
        self.taken.push_back(now);
        Ok(())
    }
}

/// What deSEC allows an account: a refused request counts for the day's limit and not for the zone's.
struct Account {
    day: Window,
    zone: Window,
    refused: usize,
}

impl Account {
    fn new() -> Self {
        let (day, zone) = (Window::new(2000, DAY), Window::new(2, 2 * MINUTE));
        Self { day, zone, refused: 0 }
    }

    fn update(&mut self, now: u64) -> Answer {
        let waits = [self.zone.take(now).err(), self.day.take(now).err()];
        let Some(wait) = waits.into_iter().flatten().max() else {
            return Answer { status: 200, body: b"good".to_vec(), ..Answer::default() };
        };
        self.refused += 1;
        let seconds = Duration::from_secs(wait.div_ceil(SECOND));
        Answer { status: 429, retry_after: Some(seconds), ..Answer::default() }
    }
}

/// One machine with one host.
struct Machine {
    host: Host,
    memory: Memory,
}

/// What came of a machine's round.
enum Round {
    /// It left a request.
    Asks(Box<Step>, Request),
    /// Nothing is to be sent, or not before that moment.
    Rests(Option<u64>),
}

impl Machine {
    fn new(number: usize) -> Self {
        let key = Key { host: format!("m{number}.example").parse().unwrap(), provider: "p".into() };
        let settings = HostSettings {
            zone: None,
            families: PerFamily { v4: Use::Auto, v6: Use::Off },
            refresh: None,
            loses: PerFamily::default(),
            when_gone: WhenGone::Keep,
            bind: None,
            ttl: None,
            take_over: TakeOver::OnlyOne,
            options: Vec::new(),
        };
        let host = Host { key, settings: settings.into() };
        Self { host, memory: Memory::default() }
    }

    fn look(&mut self, seen: Seen, now: u64, network_changed: bool) -> Step {
        let circumstances =
            Circumstances { now: at(now), network_changed, ..Circumstances::default() };
        let seen = PerFamily { v4: seen, v6: Seen::NotAsked };
        step(&self.host, &seen, PRINT, self.memory.entry(&self.host.key), &circumstances)
    }

    fn round(&mut self, provider: &Provider, address: u32, now: u64) -> Round {
        let step = self.look(here(address), now, false);
        if step.wishes.v4 == Wish::Leave {
            return Round::Rests(step.due.map(millis));
        }
        let (credential, counted) = (PRINT, false);
        let candidate = Candidate { host: &self.host, provider, credential, step: &step, counted };
        let schedule = schedule(&[candidate], &self.memory, at(now));
        if let Some((_, until)) = schedule.later.first() {
            return Round::Rests(Some(millis(*until)));
        }
        let request = schedule.now[0].clone();
        request.count(&mut self.memory, provider.pace.map(Pace::kept));
        let entry = self.memory.entry_mut(&self.host.key);
        entry.queued_since.get_or_insert(at(now));
        leaving(entry);
        sending(entry, &step.wishes, at(now));
        Round::Asks(Box::new(step), request)
    }

    /// Remembers that what `step` says is set.
    fn settle_as_right(&mut self, step: &Step) {
        let (now, spread, fingerprint) = (at(0), 0.0, PRINT);
        let situation = Situation { now, spread, shared: false, fingerprint, own_doing: false };
        let entry = self.memory.entry_mut(&self.host.key);
        settle(&self.host, entry, &step.wishes, &Outcome::Updated, &situation);
    }

    /// Settles what a request came to, as a round does.
    fn answered(
        &mut self,
        provider: &Provider,
        (step, request): (&Step, &Request),
        outcome: &Outcome,
        now: u64,
        chance: &mut Chance,
    ) {
        let (now, pace) = (at(now), provider.pace.map(Pace::kept));
        let outcomes = std::slice::from_ref(outcome);
        let own_doing = settle_pace(&mut self.memory, request, pace, outcomes, now);
        let (spread, fingerprint, shared) = (chance.spread(), PRINT, false);
        let situation = Situation { now, spread, shared, fingerprint, own_doing };
        let entry = self.memory.entry_mut(&self.host.key);
        settle(&self.host, entry, &step.wishes, outcome, &situation);
        let until = entry.hold.as_ref().and_then(|hold| hold.until);
        if let (Outcome::Deferred(deferral), Some(until)) = (outcome, until)
            && deferral.fault == Fault::Throttled
        {
            settle_zone(&mut self.memory, &request.zone, until, now);
        }
    }
}

const PRINT: Fingerprint = Fingerprint(7);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN + millis)
}

fn millis(moment: Timestamp) -> u64 {
    moment.millis() - BEGIN
}

fn here(address: u32) -> Seen {
    Seen::Here(Addresses::from(IpAddr::from(Ipv4Addr::from(0x0808_0000 + address))))
}

fn outcome(answer: &Answer) -> Outcome {
    match desec::verdict(answer) {
        Verdict::All(outcome) => outcome,
        Verdict::Each(_) | Verdict::NoLists(_) => panic!("an answer for one host"),
    }
}

/// When each of `count` machines was right that see another address at the moments `changed`, whose
/// requests `server` answers, and how many of them were refused.
fn times(
    count: usize,
    protocol: Protocol,
    mut changed: impl FnMut(usize, &mut Chance) -> u64,
    mut server: impl FnMut(u64) -> Outcome,
    seed: u64,
) -> Vec<u64> {
    let mut chance = Chance(seed);
    let provider = protocol.defaults("p".into());
    let mut machines: Vec<_> = (0..count).map(Machine::new).collect();
    let mut due = BinaryHeap::new();
    for number in 0..count {
        due.push(Reverse((changed(number, &mut chance), number)));
    }
    let mut right = vec![0; count];
    while let Some(Reverse((now, number))) = due.pop() {
        assert!(now < 10 * DAY, "machine {number} starves");
        let machine = &mut machines[number];
        match machine.round(&provider, 1, now) {
            Round::Asks(step, request) => {
                let outcome = server(now + WAY);
                let heard = now + 2 * WAY;
                machine.answered(&provider, (&step, &request), &outcome, heard, &mut chance);
                // A second at least lies between two rounds that nobody asked for.
                due.push(Reverse((now + SECOND, number)));
            }
            Round::Rests(Some(until)) => due.push(Reverse((until.max(now + SECOND), number))),
            Round::Rests(None) => right[number] = now,
        }
    }
    right
}

#[test]
fn two_hundred_machines_of_one_zone_are_right_within_six_hours() {
    for seed in 0..12 {
        let mut account = Account::new();
        let server = |now| outcome(&account.update(now));
        let mut right = times(200, Protocol::Desec, |_, chance| chance.below(SECOND), server, seed);
        right.sort_unstable();
        let (last, refused) = (right[199], account.refused);
        assert!(last < 6 * HOUR, "seed {seed}: the last is right after {} min", last / MINUTE);
        assert!(refused < 1500, "seed {seed}: {refused} answers of 429");
    }
}

#[test]
fn nearly_all_are_right_a_quarter_of_an_hour_after_an_outage_of_an_hour() {
    for fault in [Fault::Server, Fault::Lost, Fault::Unreachable, Fault::Unintelligible] {
        let server = |now| match now {
            ..HOUR => Outcome::deferred(fault, "down"),
            _ => Outcome::Updated,
        };
        let changed = |_, chance: &mut Chance| chance.below(HOUR);
        let mut right = times(10_000, Protocol::Dyndns2, changed, server, 1);
        right.sort_unstable();
        let last = right[9_900].saturating_sub(HOUR);
        assert!(last <= 15 * MINUTE, "{fault:?}: {} s", last / SECOND);
    }
}

/// When 100,000 machines are updated that had no address for `minutes` and get one within a second.
fn after_an_absence_of(minutes: u64) -> Vec<u64> {
    let mut chance = Chance(3);
    let provider = Protocol::Dyndns2.defaults("p".into());
    let mut machine = Machine::new(0);
    let first = machine.look(here(1), 0, false);
    machine.settle_as_right(&first);
    let gone = Seen::Unknown("no address".into());
    let step = machine.look(gone, MINUTE, true);
    note_missing(machine.memory.entry_mut(&machine.host.key), &step.stands, at(MINUTE));
    let before = machine.memory;
    let times = (0..100_000).map(|_| {
        let mut machine = Machine::new(0);
        machine.memory.clone_from(&before);
        let back = MINUTE + minutes * MINUTE + chance.below(SECOND);
        let step = machine.look(here(2), back, true);
        let entry = machine.memory.entry_mut(&machine.host.key);
        let turn = turn(entry, &step.stands, true, at(back), chance.spread());
        note_missing(entry, &step.stands, at(back));
        let now = turn.map_or(back, millis);
        assert!(matches!(machine.round(&provider, 2, now), Round::Asks(..)), "{now}");
        now - MINUTE - minutes * MINUTE
    });
    let mut times: Vec<u64> = times.collect();
    times.sort_unstable();
    times
}

#[test]
fn a_hundred_thousand_lines_that_come_back_in_one_second_ask_over_a_minute() {
    let times = after_an_absence_of(11);
    let second = |at: u64| at..at + SECOND;
    let peak = (0..61).map(|n| times.iter().filter(|at| second(n * SECOND).contains(at)).count());
    let (peak, last) = (peak.max().unwrap(), times[99_999]);
    assert!(peak < 2_000, "{peak} in one second");
    assert!(last < 62 * SECOND, "{last}");
    assert!((25 * SECOND..35 * SECOND).contains(&times[50_000]));
    // A short absence makes nobody wait.
    assert!(after_an_absence_of(9)[99_999] < SECOND);
}
