//! A life: the machine, its clocks, files and program, and what happens to them by the schedule of
//! faults that the simulated years have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use homing::core::address::{Family, PerFamily};
use rustix::process::{Pid, Signal, kill_process};

use super::judge::{Held, moment};
use super::servers::{Shared, World};
use super::{DAYS, HOSTS, Host, Server, millis};
use crate::support::chance::Chance;
use crate::support::home::Home;
use crate::support::virtual_clock::{Port, VirtualClock};
use crate::years::faults::{CYCLE, Fault, Kind, schedule};
use crate::years::world::{BEGIN, BOUND, DAILY};
use crate::years::{DAY, HOUR, MINUTE, Millis, SECOND};

/// The kinds of faults that can be brought about here.
const KINDS: [Kind; 22] = [
    Kind::Addresses,
    Kind::Busy,
    Kind::ClockJumps,
    Kind::ClockUnset,
    Kind::Credentials,
    Kind::DiskFull,
    Kind::FamilyGone,
    Kind::Kills,
    Kind::KillsInARow,
    Kind::Link,
    Kind::LostAnswers,
    Kind::Neighbours,
    Kind::Outage,
    Kind::Pages,
    Kind::PowerLoss,
    Kind::Prefixes,
    Kind::Rights,
    Kind::ServerErrors,
    Kind::Signals,
    Kind::Slowness,
    Kind::StateLost,
    Kind::Suspends,
];

/// A stream of chance that is no fault's.
const OWN_STREAM: u64 = 2000;

/// How long the program may take, in real time, from one event to the next: between the last two lie
/// days of polls, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much more memory a process may take after a day and more, and a later process than an early
/// one, in KiB: the allocator keeps what it had for the largest round.
const MOST_MORE: u64 = 1024;

/// How long the line keeps an address on average, while things fail.
const MEAN_STAY: Millis = 40 * MINUTE;

/// What happens at a moment.
#[derive(Clone, Copy)]
enum Event {
    Begin(usize),
    End(usize),
    Start,
    KillAgain(usize),
    /// The line gets another address, so that there is something to send while things fail.
    Move,
    /// A configuration that was wrong is put right.
    PutRight,
    Check(Check),
}

/// When everything has to be right.
#[derive(Clone, Copy)]
struct Check {
    since: Millis,
    until: Millis,
    /// What the quiet after it is to end with.
    end: Millis,
}

/// What a process takes.
#[derive(Clone, Copy, Debug)]
struct Burden {
    process: u32,
    memory: u64,
    files: usize,
}

/// A machine with its program.
pub struct Life {
    home: Home,
    shared: Shared,
    chance: Chance,
    faults: Vec<Fault>,
    events: BTreeMap<(Millis, u64), Event>,
    last: u64,
    active: BTreeSet<usize>,
    ports: [u16; 3],
    interval: Millis,
    has_hook: bool,
    child: Option<Child>,
    off_until: Millis,
    is_asleep: bool,
    is_misconfigured: bool,
    numbers: u16,
    /// The secrets that a person is about to put into a file, by the fault.
    awaited: BTreeMap<usize, (&'static str, String)>,
    secrets: BTreeMap<&'static str, Vec<String>>,
    /// What the first process in quiet took.
    early: Option<Burden>,
}

impl Life {
    /// The life of a seed, before its first day; `None` where there is no C compiler.
    pub fn new(seed: u64) -> Option<Self> {
        let mut chance = Chance::of(seed, OWN_STREAM);
        let home = Home::new("");
        let clock = Arc::new(VirtualClock::new(&home, Duration::from_millis(BEGIN))?);
        let faults = schedule(seed, &BTreeSet::from(KINDS), DAYS / 3 * 3);
        let names = ["one", "two", "three", "password", "records"];
        let secrets: BTreeMap<_, _> =
            names.map(|name| (name, vec![format!("Zx7kQp2Lm9-{name}")])).into();
        let world = World::new(faults.clone(), Chance::of(seed, OWN_STREAM + 1), |name| {
            secrets[name][0].clone()
        });
        let shared = Shared::new(clock, world);
        let ports = Server::ALL.map(|server| shared.listen(server).port());
        let minutes = [5, 15, 30, 60][usize::try_from(chance.below(4)).unwrap_or_default()];
        let mut life = Self {
            home,
            shared,
            chance,
            events: BTreeMap::new(),
            last: 0,
            active: BTreeSet::new(),
            ports,
            interval: if seed.is_multiple_of(2) { 5 } else { minutes } * MINUTE,
            has_hook: !seed.is_multiple_of(2),
            child: None,
            off_until: 0,
            is_asleep: false,
            is_misconfigured: false,
            numbers: 0,
            awaited: BTreeMap::new(),
            secrets,
            early: None,
            faults,
        };
        life.plan();
        Some(life)
    }

    /// Writes the first files, and plans what happens.
    fn plan(&mut self) {
        self.configure();
        for (name, secrets) in &self.secrets {
            self.home.secret(name, &secrets[0]);
        }
        let first = [self.new_address(Family::V4), self.new_address(Family::V6)];
        self.hold(PerFamily { v4: Some(first[0]), v6: Some(first[1]) });
        for (at, fault) in self.faults.clone().iter().enumerate() {
            self.at(fault.begin, Event::Begin(at));
            self.at(fault.end, Event::End(at));
        }
        for cycle in 0..DAYS / 3 {
            let (begin, end) = (cycle * CYCLE, (cycle + 1) * CYCLE);
            let faults = self.faults.iter().filter(|fault| (begin..end).contains(&fault.begin));
            let faults: Vec<Fault> = faults.copied().collect();
            let since = faults.iter().map(|fault| fault.end).max().unwrap_or(begin);
            let is_daily = faults.iter().any(|fault| fault.kind == Kind::Rights);
            let bound = if is_daily { DAILY } else { BOUND };
            let until = since + bound + 2 * self.interval;
            // The last day is quiet, too.
            let end = if cycle + 1 == DAYS / 3 { DAYS * DAY } else { end };
            let end = end - SECOND;
            // What a signal puts right a minute later, and a late start, come after the last fault.
            let since = since + 2 * MINUTE;
            self.at(since, Event::Check(Check { since, until, end }));
            let mut moment = begin;
            while moment < since - HOUR {
                self.at(moment, Event::Move);
                moment += MINUTE + self.chance.below(2 * MEAN_STAY);
            }
        }
        self.at(0, Event::Start);
    }

    /// Lives until `end`; what was done, or what is wrong.
    pub fn live(mut self, end: Millis) -> Result<String, String> {
        let lived = self.live_until(end).and_then(|()| self.terminate());
        let log = self.log();
        let complaints = std::mem::take(&mut self.shared.world().judge.complaints);
        let result = match (lived, complaints.is_empty()) {
            (Ok(()), true) => self.judge_log(&log),
            (Ok(()), false) => Err(complaints.join("\n")),
            (Err(what), _) => Err(format!("{what}\n{}", complaints.join("\n"))),
        };
        result.map_err(|what| {
            let home = self.home.path("");
            // It is kept, as after a panic.
            std::mem::forget(std::mem::replace(&mut self.home, Home::new("")));
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(60)..].join("\n");
            format!("{what}\nthe end of the log (all is in {}):\n{tail}", home.display())
        })?;
        let mut world = self.shared.world();
        world.judge.figures.waits = self.shared.clock.waits();
        Ok(format!("{:?}, {} lines of log", world.judge.figures, log.lines().count()))
    }

    fn live_until(&mut self, end: Millis) -> Result<(), String> {
        while let Some(((at, _), event)) = self.events.pop_first() {
            if at >= end {
                break;
            }
            self.advance(at)?;
            self.happen(event)?;
            let judge = &self.shared.world().judge;
            if !judge.complaints.is_empty() {
                return Err("the judge complains".to_owned());
            }
        }
        self.advance(end)
    }

    fn at(&mut self, moment: Millis, event: Event) {
        self.last += 1;
        self.events.insert((moment, self.last), event);
    }

    fn after(&mut self, wait: Millis, event: Event) {
        self.at(self.now() + wait, event);
    }

    fn now(&self) -> Millis {
        millis(self.shared.clock.now())
    }

    fn wrong(&self, what: &str) -> String {
        format!("{}: {what}", moment(self.now()))
    }

    // Time.

    /// Lets time pass until `at`.
    fn advance(&mut self, at: Millis) -> Result<(), String> {
        let clock = Arc::clone(&self.shared.clock);
        let begun = Instant::now();
        let left = |clock: &VirtualClock| Duration::from_millis(at).saturating_sub(clock.now());
        if self.child.is_some() && !self.is_asleep {
            clock.go_on_until(Duration::from_millis(at));
        }
        while !left(&clock).is_zero() {
            if self.is_asleep {
                clock.sleep(left(&clock));
            } else if self.child.is_none() {
                clock.pass(left(&clock));
            } else if let Some(status) = self.ended()? {
                self.fallen(status)?;
            } else if begun.elapsed() > PATIENCE {
                return Err(self.wrong(&format!("the time stands still before {}", moment(at))));
            } else {
                thread::sleep(Duration::from_micros(200));
            }
        }
        Ok(())
    }

    /// How the program has ended, if it has.
    fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait().map_err(|error| error.to_string())?;
        if status.is_some() {
            self.forget_process()?;
        }
        Ok(status)
    }

    fn forget_process(&mut self) -> Result<(), String> {
        self.child = None;
        self.is_asleep = false;
        self.shared.await_quiet(self.ports).map_err(|error| self.wrong(&error.to_string()))?;
        let now = self.now();
        let mut world = self.shared.world();
        world.program = None;
        world.judge.note_cut(now, false);
        Ok(())
    }

    /// Goes on after the program has ended while nobody ended it, or after it fell into a trap.
    fn fallen(&mut self, status: ExitStatus) -> Result<(), String> {
        self.count_end(status);
        // A state that is damaged cannot be set aside while nothing can be saved; its supervisor starts
        // it again.
        let is_full = self.active.iter().any(|at| self.faults[*at].kind == Kind::DiskFull);
        let waits_for_room = is_full && status.code() == Some(75);
        if waits_for_room || status.signal() == Some(Signal::KILL.as_raw()) {
            let wait = SECOND + self.chance.below(MINUTE);
            self.after(wait, Event::Start);
            return Ok(());
        }
        Err(self.wrong(&format!("(e) the daemon ended with {status}")))
    }

    fn count_end(&self, status: ExitStatus) {
        let ends = &mut self.shared.world().judge.figures.ends;
        *ends.entry(status.to_string()).or_default() += 1;
    }

    // The program.

    fn spawn(&mut self, arguments: &[&str]) -> Result<(), String> {
        let log = OpenOptions::new().append(true).create(true).open(self.home.path("log"));
        let log = log.map_err(|error| error.to_string())?;
        let mut command = self.home.command(arguments);
        self.shared.clock.show(&mut command);
        command.stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(|error| error.to_string())?;
        let now = self.now();
        let mut world = self.shared.world();
        world.program = Some(Pid::from_child(&child));
        world.judge.note_cut(now, false);
        world.judge.figures.starts += 1;
        drop(world);
        self.child = Some(child);
        Ok(())
    }

    fn start(&mut self) -> Result<(), String> {
        if self.child.is_some() || self.now() < self.off_until {
            return Ok(());
        }
        // Nobody starts what is not right, but to see it refused.
        self.put_right();
        match self.chance.below(8) {
            0 => {
                self.misconfigure();
                self.run_to_end(&["-v"], &[78])?;
                self.configure();
            }
            // As cron would, or a person.
            1 => self.run_to_end(&["--once"], &[0, 75, 77])?,
            2 => self.run_to_end(&["status"], &[0, 75, 77])?,
            _ => {}
        }
        self.spawn(&["-v"])
    }

    /// Runs the program until it ends by itself, with one of these codes.
    fn run_to_end(&mut self, arguments: &[&str], codes: &[i32]) -> Result<(), String> {
        self.shared.world().trap = None;
        self.spawn(arguments)?;
        let status = self.await_end(HOUR)?;
        if status.code().is_some_and(|code| codes.contains(&code)) {
            return Ok(());
        }
        Err(self.wrong(&format!("(e) {arguments:?} ended with {status}")))
    }

    /// Waits for the end of the program.
    fn await_end(&mut self, most: Millis) -> Result<ExitStatus, String> {
        let (begun, most) = (Instant::now(), self.now() + most);
        self.shared.clock.go_on_until(Duration::from_millis(most));
        loop {
            if let Some(status) = self.ended()? {
                self.count_end(status);
                return Ok(status);
            }
            if begun.elapsed() > PATIENCE || self.now() > most {
                return Err(self.wrong("(e) the program does not end"));
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // It may have ended in a trap.
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }

    fn kill(&mut self) -> Result<(), String> {
        if self.child.is_some() {
            self.signal(Signal::KILL);
            self.await_end(MINUTE)?;
        }
        Ok(())
    }

    /// Ends the program by TERM.
    fn terminate(&mut self) -> Result<(), String> {
        if self.child.is_none() {
            return Ok(());
        }
        self.resume();
        let begun = self.now();
        self.signal(Signal::TERM);
        let status = self.await_end(MINUTE)?;
        let trapped = status.signal() == Some(Signal::KILL.as_raw());
        if status.code() != Some(0) && !trapped {
            return Err(self.wrong(&format!("(e) TERM ended the daemon with {status}")));
        }
        // Three seconds for requests under way, and what else there is.
        if self.now() > begun + 5 * SECOND {
            return Err(self.wrong("(e) TERM took the daemon more than five seconds"));
        }
        Ok(())
    }

    fn resume(&mut self) {
        if std::mem::take(&mut self.is_asleep) {
            // What was counted a moment before the suspend leaves only now.
            let now = self.now();
            self.shared.world().judge.note_trouble(now);
            self.signal(Signal::CONT);
        }
    }

    /// Stops the program, as a suspend does with every program.
    fn suspend(&mut self) -> Result<(), String> {
        let Some(child) = &self.child else { return Ok(()) };
        let stat = format!("/proc/{}/stat", child.id());
        self.signal(Signal::STOP);
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&stat).unwrap_or_default();
            let state = text.rsplit(") ").next().unwrap_or_default();
            if state.starts_with(['T', 'Z']) || text.is_empty() {
                break;
            }
            if begun.elapsed() > PATIENCE {
                return Err(self.wrong("the program cannot be stopped"));
            }
            thread::sleep(Duration::from_micros(100));
        }
        self.is_asleep = true;
        self.shared.await_quiet(self.ports).map_err(|error| self.wrong(&error.to_string()))
    }

    // Files.

    fn configuration(&self, interval: Millis) -> String {
        let [desec, dyndns2, records] = self.ports.map(|port| format!("http://127.0.0.1:{port}"));
        let mut text = format!(
            "[daemon]\nstate-dir = \"state\"\ninterval = \"{}s\"\n\n\
             [source.here]\nfile = \"address\"\n\n\
             [provider.sandbox]\nprotocol = \"desec\"\nserver = \"{desec}\"\n\n\
             [provider.dyn]\nprotocol = \"dyndns2\"\nserver = \"{dyndns2}\"\n\n\
             [provider.records]\nextends = \"cloudflare\"\napi-url = \"{records}/client/v4\"\n",
            interval / SECOND
        );
        for Host { name, server, file, families } in &HOSTS {
            let (provider, key) = match server {
                Server::Desec => ("sandbox", "token-file"),
                Server::Dyndns2 => ("dyn", "username = \"me\"\npassword-file"),
                Server::Records => ("records", "token-file"),
            };
            let [v4, v6] = families.map(|is_on| if is_on { "here" } else { "off" });
            text.push_str(&format!(
                "\n[[host]]\nname = \"{name}\"\nprovider = \"{provider}\"\n{key} = \"{file}\"\n\
                 ipv4 = \"{v4}\"\nipv6 = \"{v6}\"\n"
            ));
        }
        // Confirmed once a day, and told of in one life: the program confines itself in the other.
        let hook = if self.has_hook { "on-change = [\"/bin/true\"]\n" } else { "" };
        text + "refresh = \"1d\"\n" + hook
    }

    fn configure(&mut self) {
        self.is_misconfigured = false;
        self.home.configure(&self.configuration(self.interval));
    }

    fn put_right(&mut self) {
        if self.is_misconfigured {
            self.configure();
        }
    }

    fn misconfigure(&mut self) {
        self.is_misconfigured = true;
        let text = self.configuration(self.interval).replacen("file =", "flie =", 1);
        self.home.configure(&text);
    }

    fn new_address(&mut self, family: Family) -> IpAddr {
        self.numbers += 1;
        match family {
            Family::V4 => {
                let [high, low] = self.numbers.to_be_bytes();
                IpAddr::V4(Ipv4Addr::new(9, 9, high, low))
            }
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2a00, 0x1450, self.numbers, 0, 0, 0, 0, 9)),
        }
    }

    fn held(&self) -> Held {
        self.shared.world().judge.held()
    }

    /// Lets the source hold these addresses.
    fn hold(&self, held: Held) {
        let mut world = self.shared.world();
        world.judge.note_held(millis(self.shared.clock.now()), held);
        let (file, draft) = (self.home.path("address"), self.home.path("address.new"));
        let addresses: Vec<String> =
            held.iter().filter_map(|(_, address)| Some((*address)?.to_string())).collect();
        if addresses.is_empty() {
            // It may not be there.
            let _ = fs::remove_file(file);
            return;
        }
        fs::write(&draft, addresses.join(" ") + "\n").expect("a test's own step works");
        fs::rename(draft, file).expect("a test's own step works");
    }

    /// Gives the line another address of that family, now and then the one before.
    fn renumber(&mut self, family: Family) {
        let mut held = self.held();
        if held[family].is_some() {
            let before = self.shared.world().judge.held_before(family);
            let before = before.filter(|_| self.chance.once_in(5));
            held[family] = before.or_else(|| Some(self.new_address(family)));
            self.hold(held);
        }
    }

    /// Does to the state what a bad disk or a person may do to it.
    fn tamper(&mut self, choice: u64) -> Result<(), String> {
        let path = self.home.path("state/state.json");
        let Ok(mut bytes) = fs::read(&path) else { return Ok(()) };
        let at = usize::try_from(choice / 8).unwrap_or_default() % bytes.len().max(1);
        match choice % 6 {
            0 => fs::remove_dir_all(self.home.path("state")),
            1 => fs::write(&path, &bytes[..at]),
            2 => {
                let bit = 1 << (choice / 4096 % 8);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bit);
                fs::write(&path, bytes)
            }
            3 => fs::write(&path, ""),
            4 => {
                self.start_with_newer(&path, &String::from_utf8_lossy(&bytes))?;
                fs::remove_file(&path)
            }
            _ => fs::write(&path, [&bytes[..at], &vec![0; bytes.len() - at]].concat()),
        }
        .map_err(|error| self.wrong(&error.to_string()))
    }

    /// A state of a later version is refused, and stays as it is.
    fn start_with_newer(&mut self, path: &Path, text: &str) -> Result<(), String> {
        let newer = text.replacen("\"version\": 1", "\"version\": 99", 1);
        if newer == text {
            // An earlier tampering, which no start has seen yet, has left no version in it.
            return Ok(());
        }
        fs::write(path, &newer).map_err(|error| self.wrong(&error.to_string()))?;
        self.put_right();
        self.run_to_end(&["-v"], &[75])?;
        self.run_to_end(&["--once"], &[75])?;
        if fs::read_to_string(path).unwrap_or_default() != newer {
            return Err(self.wrong("a state of a later version was overwritten"));
        }
        Ok(())
    }

    // What happens.

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Begin(at) => self.begin(at),
            Event::End(at) => {
                self.end(at);
                Ok(())
            }
            Event::Start => self.start(),
            Event::KillAgain(at) => {
                if self.now() < self.faults[at].end {
                    self.kill()?;
                    self.after(SECOND, Event::Start);
                    let wait = SECOND + self.chance.below(20 * SECOND);
                    self.after(wait, Event::KillAgain(at));
                }
                Ok(())
            }
            Event::Move => {
                let family = if self.chance.once_in(2) { Family::V4 } else { Family::V6 };
                self.renumber(family);
                Ok(())
            }
            Event::PutRight => {
                self.configure();
                self.signal(Signal::HUP);
                self.shared.world().judge.note_retry();
                Ok(())
            }
            Event::Check(check) => self.check(check),
        }
    }

    fn begin(&mut self, at: usize) -> Result<(), String> {
        let Fault { kind, choice, end, .. } = self.faults[at];
        self.active.insert(at);
        match kind {
            Kind::Addresses => self.renumber(Family::V4),
            Kind::Prefixes => self.renumber(Family::V6),
            Kind::FamilyGone => self.hold(PerFamily { v6: None, ..self.held() }),
            Kind::Link => self.hold(PerFamily::default()),
            Kind::Kills => {
                match choice % 4 {
                    0 => self.terminate()?,
                    1 => self.shared.world().trap = Some(choice % 8 == 1),
                    _ => self.kill()?,
                }
                self.at(end, Event::Start);
            }
            Kind::KillsInARow => self.after(0, Event::KillAgain(at)),
            Kind::PowerLoss => {
                self.kill()?;
                self.off_until = self.off_until.max(end);
            }
            Kind::StateLost => {
                self.kill()?;
                self.tamper(choice)?;
                let now = self.now();
                self.shared.world().judge.note_cut(now, true);
                self.at(end, Event::Start);
            }
            Kind::ClockUnset => {
                self.kill()?;
                self.boot();
                self.set_clock(None);
                self.after(10 * SECOND, Event::Start);
            }
            Kind::ClockJumps => {
                const JUMPS: [i64; 9] = [-2, 2, -72, 72, -1, 1, 1000, -30, 0];
                let hours = JUMPS[usize::try_from(choice % 9).unwrap_or_default()];
                let hour = i64::try_from(HOUR).unwrap_or_default();
                self.set_clock(Some(hours * hour).filter(|ahead| *ahead != 0));
            }
            Kind::DiskFull => self.shared.clock.fill_disk(true),
            Kind::Suspends => self.suspend()?,
            Kind::Signals => self.beckon(choice),
            Kind::Credentials => {
                let (server, file) = file_of(choice);
                let old = self.secrets[file].last().cloned().unwrap_or_default();
                let new = format!("Zx7kQp2Lm9-{file}-{at}");
                self.shared.world().service(server).replace_secret(&old, &new);
                self.awaited.insert(at, (file, new));
            }
            Kind::Rights => self.allow(choice, false),
            Kind::Outage => self.set_port(choice, Port::Refusing),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, at: usize) {
        let Fault { kind, choice, .. } = self.faults[at];
        self.active.remove(&at);
        match kind {
            Kind::FamilyGone => {
                let v6 = Some(self.new_address(Family::V6));
                if self.held().v4.is_some() {
                    self.hold(PerFamily { v6, ..self.held() });
                }
            }
            Kind::Link => {
                let mut held = self.last_held();
                for (family, times) in [(Family::V4, 2), (Family::V6, 3)] {
                    if choice % times == 0 || held[family].is_none() {
                        held[family] = Some(self.new_address(family));
                    }
                }
                self.hold(held);
            }
            Kind::PowerLoss if self.now() >= self.off_until => {
                self.boot();
                self.after(3 * SECOND, Event::Start);
            }
            Kind::ClockUnset | Kind::ClockJumps => self.set_clock(Some(0)),
            Kind::DiskFull => self.shared.clock.fill_disk(false),
            Kind::Suspends => self.resume(),
            Kind::Credentials => {
                if let Some((file, new)) = self.awaited.remove(&at) {
                    self.home.secret(file, &new);
                    self.secrets.entry(file).or_default().push(new);
                    self.shared.world().judge.note_retry();
                }
            }
            Kind::Rights => self.allow(choice, true),
            Kind::Outage => self.set_port(choice, Port::Open),
            _ => {}
        }
    }

    /// What the source held when it last held something.
    fn last_held(&self) -> Held {
        self.shared.world().judge.last_held()
    }

    /// The machine has been started: its uptime begins anew.
    fn boot(&self) {
        if self.child.is_none() {
            self.shared.clock.boot();
        }
    }

    /// Sets the wall clock so far ahead, in milliseconds; `None` is a clock that begins in 1970.
    fn set_clock(&self, ahead: Option<i64>) {
        let right = BEGIN + self.now();
        let wall = ahead.map_or(20 * SECOND, |ahead| right.saturating_add_signed(ahead));
        self.shared.clock.set_wall(Duration::from_millis(wall));
        let now = self.now();
        self.shared.world().judge.note_clock(now);
    }

    /// Sends a signal that begins a round, with and without another configuration.
    fn beckon(&mut self, choice: u64) {
        match choice % 4 {
            0 => return self.signal(Signal::USR1),
            1 => {
                let shorter = self.configuration(self.interval / 2);
                self.home.configure(&shorter);
                self.after(MINUTE, Event::PutRight);
            }
            2 => {
                self.misconfigure();
                self.after(MINUTE, Event::PutRight);
            }
            _ => {}
        }
        self.signal(Signal::HUP);
        self.shared.world().judge.note_retry();
    }

    fn allow(&self, choice: u64, allowed: bool) {
        let server = Server::of(choice);
        let hosts: Vec<_> = HOSTS.iter().filter(|host| host.server == server).collect();
        let at = usize::try_from(choice / 3).unwrap_or_default() % hosts.len();
        self.shared.world().service(server).allow(hosts[at].name, allowed);
    }

    fn set_port(&self, choice: u64, meets: Port) {
        let server = Server::of(choice);
        self.shared.clock.set_port(self.ports[server as usize], meets);
    }

    // Whether all is well.

    fn check(&mut self, check: Check) -> Result<(), String> {
        self.shared.world().trap = None;
        let Err(what) = self.is_right() else { return self.rest(check) };
        if self.now() >= check.until {
            let minutes = (self.now() - check.since) / MINUTE;
            let state = self.home.read("state/state.json");
            let what = format!("(b) {minutes} minutes after the last fault {what}\n{state}");
            return Err(self.wrong(&what));
        }
        self.after(10 * MINUTE, Event::Check(check));
        Ok(())
    }

    /// Whether every record holds what the source does.
    fn is_right(&self) -> Result<(), String> {
        let mut world = self.shared.world();
        let held = world.judge.held();
        for host in &HOSTS {
            let records = world.records(host.server, host.name);
            for (family, is_on) in Family::BOTH.into_iter().zip(host.families) {
                let wanted: BTreeSet<IpAddr> = held[family].into_iter().collect();
                if is_on && records[family] != wanted {
                    let (name, records) = (host.name, &records[family]);
                    return Err(format!("{name} holds {records:?} in place of {wanted:?}"));
                }
            }
        }
        Ok(())
    }

    /// Lets the quiet after a stretch of faults pass: nothing is sent that nobody needs.
    fn rest(&mut self, check: Check) -> Result<(), String> {
        self.judge_requests(check)?;
        self.judge_files()?;
        self.move_in_peace()?;
        let before = self.burden()?;
        self.status(0)?;
        let begun = self.now();
        self.shared.world().judge.take_counts();
        self.advance(check.end - HOUR)?;
        self.judge_quiet(begun)?;
        self.move_in_peace()?;
        let after = self.burden()?;
        self.judge_burden(before, after)?;
        self.judge_files()?;
        self.advance(check.end)?;
        self.is_right().map_err(|what| self.wrong(&format!("(b) at last {what}")))?;
        self.shared.world().judge.take_counts();
        Ok(())
    }

    /// A new address when nothing is wrong: right at the next poll, within the pace, which lets three
    /// requests for a zone leave within two minutes and a half.
    fn move_in_peace(&mut self) -> Result<(), String> {
        self.renumber(Family::V4);
        self.advance(self.now() + self.interval + 4 * MINUTE)?;
        let [looked, _] = self.shared.clock.looks().map(millis);
        if self.now() > looked + self.interval + SECOND {
            return Err(self.wrong(&format!("the source was read on {} last", moment(looked))));
        }
        self.is_right().map_err(|what| self.wrong(&format!("(b) a new address: {what}")))
    }

    /// What `status` ends with.
    fn status(&self, expected: i32) -> Result<(), String> {
        let mut command = self.home.command(&["status"]);
        self.shared.clock.show(&mut command);
        let output = command.output().map_err(|error| error.to_string())?;
        if output.status.code() == Some(expected) {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Err(self.wrong(&format!("status ended with {}:\n{said}", output.status)))
    }

    /// No more requests than a stretch of faults explains. Of a host, each reason to send something
    /// brings one request or six, when the waits of half a minute, doubling up to a quarter of an hour,
    /// are drawn at half their length; as long as a fault lasts there is one more in 450 s. A request
    /// for records takes up to six: for the zone, and three for each family.
    fn judge_requests(&self, check: Check) -> Result<(), String> {
        let begin = check.end / CYCLE * CYCLE;
        let begin = if check.end > DAYS / 3 * CYCLE { (DAYS / 3 - 1) * CYCLE } else { begin };
        let (counts, reasons) = self.shared.world().judge.take_counts();
        for server in Server::ALL {
            let hosts = HOSTS.iter().filter(|host| host.server == server).count() as u64;
            let faults = self.faults.iter().filter(|fault| {
                (begin..check.end).contains(&fault.begin)
                    && Server::of(fault.choice) == server
                    && is_of_server(fault.kind)
            });
            let faults: Vec<&Fault> = faults.collect();
            let lasted: Millis = faults.iter().map(|fault| fault.end - fault.begin).sum();
            let each = if server == Server::Records { 6 } else { 2 };
            let attempts = 6 * (reasons + 2 * faults.len() as u64) + lasted / (450 * SECOND);
            let (count, most) = (counts[server as usize], hosts * each * attempts);
            if count > most {
                let what = format!("(c) {count} requests to {server:?}, and {most} are explained");
                return Err(self.wrong(&what));
            }
        }
        Ok(())
    }

    /// In the quiet since `begun`, only what is to be refreshed is sent.
    fn judge_quiet(&self, begun: Millis) -> Result<(), String> {
        let (counts, _) = self.shared.world().judge.take_counts();
        let days = (self.now() - begun).div_ceil(DAY) + 1;
        // The host that is refreshed asks for the list, and writes the one record.
        let most = [0, 0, 6 * days];
        if counts.iter().zip(most).any(|(count, most)| *count > most) {
            let what = format!("(d) {counts:?} requests in the quiet, and {most:?} are due");
            return Err(self.wrong(&what));
        }
        Ok(())
    }

    fn burden(&self) -> Result<Burden, String> {
        let Some(child) = &self.child else { return Err(self.wrong("no program runs")) };
        let process = child.id();
        let status = fs::read_to_string(format!("/proc/{process}/status"));
        let status = status.map_err(|error| self.wrong(&error.to_string()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        let memory = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        let memory = memory.ok_or_else(|| self.wrong("the memory is not known"))?;
        let files = fs::read_dir(format!("/proc/{process}/fd"));
        let files = files.map_err(|error| self.wrong(&error.to_string()))?.count();
        Ok(Burden { process, memory, files })
    }

    fn judge_burden(&mut self, before: Burden, after: Burden) -> Result<(), String> {
        let early = *self.early.get_or_insert(before);
        let is_same = before.process == after.process;
        let grown = |than: Burden| after.memory > than.memory + MOST_MORE;
        if !is_same || grown(before) || grown(early) || after.files > before.files {
            let what = format!("(f) at first {early:?}, then {before:?}, and now {after:?}");
            return Err(self.wrong(&what));
        }
        Ok(())
    }

    /// The state's directory holds the files of the contract, and three damaged states at most.
    fn judge_files(&self) -> Result<(), String> {
        let entries = fs::read_dir(self.home.path("state")).map_err(|error| error.to_string())?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let (damaged, others): (Vec<_>, Vec<_>) =
            names.partition(|name| name.starts_with("state.json.damaged-"));
        let known = ["state.json", "history.jsonl", "homing.lock", "homing.told", "homing.wrong"];
        let is_known = |name: &String| known.contains(&name.as_str());
        let size = fs::metadata(self.home.path("state/state.json")).map_or(0, |it| it.len());
        // Half a kibibyte for each host, and as much again for paces, tokens and holds.
        if damaged.len() > 3 || !others.iter().all(is_known) || size > HOSTS.len() as u64 * 2048 {
            return Err(self.wrong(&format!("(f) {damaged:?} {others:?}, {size} bytes of state")));
        }
        Ok(())
    }

    fn log(&self) -> String {
        let bytes = fs::read(self.home.path("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn judge_log(&self, log: &str) -> Result<(), String> {
        let secrets = self.secrets.values().flatten().map(String::as_str);
        for word in secrets.chain(["panicked", "report this"]) {
            if let Some(line) = log.lines().find(|line| line.contains(word)) {
                return Err(format!("(g) {word:?} is in the log: {line}"));
            }
        }
        Ok(())
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a kind of fault is about one server.
fn is_of_server(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Busy
            | Kind::Credentials
            | Kind::LostAnswers
            | Kind::Neighbours
            | Kind::Outage
            | Kind::Pages
            | Kind::Rights
            | Kind::ServerErrors
            | Kind::Slowness
    )
}

/// The server and the file of the secret that a fault is about.
fn file_of(choice: u64) -> (Server, &'static str) {
    let server = Server::of(choice);
    let file = match (server, choice / 3 % 3) {
        (Server::Desec, 0) => "one",
        (Server::Desec, 1) => "two",
        (Server::Desec, _) => "three",
        (Server::Dyndns2, _) => "password",
        (Server::Records, _) => "records",
    };
    (server, file)
}
