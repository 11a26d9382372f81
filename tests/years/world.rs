//! The simulated world: one machine with its kernel, line, clocks, disk and process, three providers, and
//! the services that tell addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use homing::config::{self, Config};
use homing::core::address::standing::{self, ServiceAnswer, ServiceId};
use homing::core::address::{Family, PerFamily};
use homing::core::memory::{Destination, Memory};
use homing::core::name::Hostname;
use homing::core::outcome::{Fault as Trouble, Outcome, Silence};
use homing::core::plan::WhenGone;
use homing::core::protocol::step::{Moment, ZoneAnswer};
use homing::core::protocol::{Answer as HttpAnswer, Credential, HttpRequest, Verdict};
use homing::core::round::{
    Answer, Errand, HostAccess, Look, Now, Observed, Occasion, Round, Shell, Subject, Task,
};
use homing::core::secret::{Fingerprint, Secret};
use homing::core::source::{Outside, Service as Teller};
use homing::core::time::Timestamp;
use homing::core::token::upkeep::NoTerms;
use homing::os::clock::{Clock, is_set};
use homing::round::{Begun, Waiting, look_of, subjects};
use homing::source::outside::ServiceAnswers;
use homing::source::sights::{self, LONGEST_VERDICT, Sights};
use homing::source::snapshot::{Snapshot, SourceFacts};
use homing::state::{memory_in, write_text};

use super::faults::{CYCLE, Fault, Kind};
use super::journal::{Figures, Journal};
use super::kernel::{CHECK, Kernel, Prefix};
use super::machine::{Conversation, Looking, Next, Process, Signal, Topic, millis};
use super::providers::desec::Desec;
use super::providers::dyndns2::Dyndns2;
use super::providers::records::RecordApi;
use super::providers::{Complaint, Reply, Service, parts};
use super::{DAY, HOUR, MINUTE, Millis, SECOND};
use crate::support::chance::Chance;

/// The moment by the wall clock at which every world begins.
pub const BEGIN: u64 = 1_800_000_000_000;

/// The longest time after the last fault until everything is right, besides two slow polls: an hour of
/// backoff, an hour beyond a pause, and the pace of a zone.
pub const BOUND: Millis = 3 * HOUR;

/// The same after a refusal that is tried again once a day.
pub const DAILY: Millis = 25 * HOUR;

/// The number of streams of chance that are no fault's.
const OWN_STREAM: u64 = 1000;

/// The hosts of the world.
const HOSTS: &str = r#"
[source.wan]
interface = "wan"

[source.web]
web = ["ipify", "icanhazip", "ident.me"]
agree = 2

[provider.dyn]
protocol = "dyndns2"
server = "https://dyn.example"

[[host]]
name = ["a.one.example", "b.one.example", "c.one.example"]
provider = "desec"
token-file = "/t/one"

[[host]]
name = "d.one.example"
provider = "desec"
token-file = "/t/two"
when-gone = "remove"

[[host]]
name = "e.one.example"
provider = "desec"
token-file = "/t/three"
ipv6 = "off"

[[host]]
name = "f.two.example"
provider = "desec"
token-file = "/t/one"
ipv4 = "off"
ipv6 = "wan"

[[host]]
name = ["g.dyn.example", "h.dyn.example"]
provider = "dyn"
username = "me"
password-file = "/t/password"

[[host]]
name = "i.dyn.example"
provider = "dyn"
username = "me"
password-file = "/t/password"
refresh = "1d"

[[host]]
name = ["j.three.example", "k.three.example"]
provider = "cloudflare"
token-file = "/t/records"

[[host]]
name = "l.three.example"
provider = "cloudflare"
token-file = "/t/records"
ipv4 = "web"
ipv6 = "wan"
"#;

/// What happens at a moment.
enum Event {
    Begin(usize),
    End(usize),
    /// The machine is switched on, if nothing keeps it off.
    Boot,
    /// The process is started.
    Start,
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
}

/// When everything has to be right.
#[derive(Clone, Copy)]
struct Check {
    /// Since when nothing is wrong any more.
    since: Millis,
    until: Millis,
    /// Whether something may wait for a try once a day.
    is_daily: bool,
    /// Whether it was right before, so that it has to be.
    again: bool,
}

/// The disk with the state: the memory that its file holds.
struct Disk {
    saved: Memory,
    full: bool,
    saves: u64,
    /// One save in so many is read back; each that a process starts with is.
    reads_back: u64,
    /// What does not read back.
    broken: Option<String>,
}

impl Disk {
    fn new(reads_back: u64) -> Self {
        Self { saved: Memory::default(), full: false, saves: 0, reads_back, broken: None }
    }

    fn save(&mut self, memory: &Memory) -> Result<(), String> {
        if self.saved == *memory {
            return Ok(());
        }
        if self.full {
            return Err("no space is left".to_owned());
        }
        self.saved.clone_from(memory);
        self.saves += 1;
        if self.saves.is_multiple_of(self.reads_back) {
            self.load();
        }
        Ok(())
    }

    /// The memory that is read from the file.
    fn load(&mut self) -> Memory {
        let mut text = Vec::new();
        let written = write_text(&self.saved, &mut text);
        debug_assert!(written.is_ok(), "it is written to memory");
        match std::str::from_utf8(&text).map(memory_in) {
            Ok(Ok(read)) if read == self.saved => read,
            read => {
                self.broken = Some(format!("(e) {:?} is saved and read as {read:?}", self.saved));
                Memory::default()
            }
        }
    }
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
    process: Option<Process>,
    processes: u64,
    journal: Journal,
}

impl World {
    /// The world of a seed in which `faults` happen; one save in `reads_back` is read back.
    pub fn new(seed: u64, faults: Vec<Fault>, days: u64, reads_back: u64) -> Self {
        let mut chance = Chance::of(seed, OWN_STREAM);
        let interval =
            ["5m", "15m", "30m", "1h"][usize::try_from(chance.below(4)).unwrap_or_default()];
        let text = format!("[daemon]\ninterval = \"{interval}\"\n{HOSTS}");
        let config = config::parse(Path::new("/t/config.toml"), &text, true);
        let config = config.unwrap_or_else(|problems| {
            panic!("{}", problems.iter().collect::<Vec<_>>().join("\n"))
        });
        let files = ["one", "two", "three", "password", "records"];
        let files = files.map(|name| (PathBuf::from(format!("/t/{name}")), name.to_owned()));
        let desec = Desec::new(
            &["one.example", "two.example"],
            &[
                ("one", &["a.one.example", "b.one.example", "c.one.example", "f.two.example"]),
                ("two", &["d.one.example"]),
                ("three", &["e.one.example"]),
            ],
        );
        let dyndns2 =
            Dyndns2::new("me", "password", &["g.dyn.example", "h.dyn.example", "i.dyn.example"]);
        let records = RecordApi::new(
            "three.example",
            "records",
            &["j.three.example", "k.three.example", "l.three.example"],
        );
        let behind_nat = chance.once_in(2).then_some(Ipv4Addr::new(9, 9, 0, 1));
        let v4 = if behind_nat.is_some() { [192, 168, 1, 2] } else { [9, 9, 0, 1] };
        let kernel = Kernel {
            v4: Some(v4.into()),
            prefixes: vec![Prefix::new(1, 0, 15 * MINUTE)],
            carrier: true,
            tunnel: false,
        };
        let mut world = Self {
            now: 0,
            last: 0,
            events: BTreeMap::new(),
            active: BTreeSet::new(),
            chance,
            subjects: subjects(&config),
            config: Rc::new(config),
            files: files.into(),
            awaited: BTreeMap::new(),
            services: [Box::new(dyndns2), Box::new(records)],
            desec,
            kernel,
            behind_nat,
            numbers: 1,
            disk: Disk::new(reads_back),
            boot_at: 0,
            slept: 0,
            asleep_since: None,
            off_until: 0,
            is_off: false,
            ahead: Some(0),
            process: None,
            processes: 0,
            journal: Journal::default(),
            faults,
        };
        world.journal.figures.host_days = days * world.config.hosts.len() as u64;
        for (at, fault) in world.faults.clone().iter().enumerate() {
            world.at(fault.begin, Event::Begin(at));
            world.at(fault.end, Event::End(at));
            *world.journal.figures.faults.entry(format!("{:?}", fault.kind)).or_default() += 1;
        }
        world.plan_checks(days);
        world.at(0, Event::Start);
        world.at(10, Event::Kernel);
        world
    }

    /// Plans when everything has to be right: at some time after the last fault of each cycle, and from
    /// then on to its end.
    fn plan_checks(&mut self, days: u64) {
        for cycle in 0..(days * DAY).div_ceil(CYCLE) {
            let (begin, end) = (cycle * CYCLE, (cycle + 1) * CYCLE);
            let faults = self.faults.iter().filter(|fault| (begin..end).contains(&fault.begin));
            let faults: Vec<Fault> = faults.copied().collect();
            let since = faults.iter().map(|fault| fault.end).max().unwrap_or(begin);
            let is_daily = faults.iter().any(|fault| fault.kind == Kind::Rights);
            let bound = if is_daily { DAILY } else { BOUND };
            let until = since + bound + 2 * millis(self.config.daemon.interval);
            self.at(since + 1, Event::Check(Check { since, until, is_daily, again: false }));
            self.at(end - 1, Event::Check(Check { since, until: end, is_daily, again: true }));
        }
    }

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
                return Err((format!("day {} at {time}: {what}", now / DAY), now / DAY));
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

    // The clocks.

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

    // What happens.

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
            Event::Start => self.start(),
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
            | Event::GiveUp(..)
            | Event::Kernel
            | Event::KillAgain(_)
            | Event::Look(_)
            | Event::Looked(..)
            | Event::Start
            | Event::Wake(_) => true,
        }
    }

    fn begin(&mut self, at: usize) {
        let Fault { kind, choice, end, .. } = self.faults[at];
        self.active.insert(at);
        match kind {
            Kind::Addresses => self.renumber_v4(),
            Kind::Prefixes | Kind::DeadPrefixes => self.renumber_v6(kind == Kind::Prefixes),
            Kind::FamilyGone => {
                self.kernel.prefixes.clear();
                self.after(0, Event::Kernel);
            }
            Kind::Link => {
                self.kernel.carrier = false;
                self.after(0, Event::Kernel);
            }
            Kind::Vpn => {
                self.kernel.tunnel = self.behind_nat.is_none();
                self.after(0, Event::Kernel);
            }
            Kind::Kills | Kind::StateLost => {
                self.kill();
                if kind == Kind::StateLost {
                    self.disk.saved = Memory::default();
                    self.journal.lost_state(self.now);
                }
                self.at(end, Event::Start);
            }
            Kind::KillsInARow => self.after(0, Event::KillAgain(at)),
            Kind::PowerLoss => self.lose_power(end),
            Kind::ClockUnset => {
                self.lose_power(self.now + 10 * SECOND);
                self.ahead = None;
                self.journal.note_clock(self.now, None);
            }
            Kind::ClockJumps => {
                const JUMPS: [i64; 8] = [-2, 2, -72, 72, -1, 1, 1000, -30];
                let hours = JUMPS[usize::try_from(choice % 8).unwrap_or_default()];
                let hour = i64::try_from(HOUR).unwrap_or_default();
                self.set_clock(self.ahead.map(|_| hours * hour + i64::from(choice % 60 < 30)));
            }
            Kind::DiskFull => self.disk.full = true,
            Kind::Suspends => {
                if !self.is_off {
                    self.asleep_since = Some(self.now);
                }
            }
            Kind::Signals => {
                let signal = if choice % 2 == 0 { Signal::Round } else { Signal::Reload };
                if let Some(process) = &mut self.process {
                    process.signals.push_back(signal);
                }
            }
            Kind::Credentials => {
                let file = file_of(choice);
                let old = self.files[&file].clone();
                let new = format!("{}-{at}", old.split('-').next().unwrap_or_default());
                self.service(service_of(choice)).replace_secret(&old, &new);
                self.awaited.insert(at, (file, new));
            }
            Kind::Rights => {
                let host = self.host_of(choice);
                self.service(service_of(choice)).allow(&host, false);
            }
            Kind::Neighbours => self.after(0, Event::Neighbours(at)),
            Kind::Busy
            | Kind::EchoesLie
            | Kind::EchoesSilent
            | Kind::LostAnswers
            | Kind::Outage
            | Kind::Pages
            | Kind::ServerErrors
            | Kind::Slowness
            | Kind::Upstream => {}
        }
    }

    fn end(&mut self, at: usize) {
        let Fault { kind, choice, .. } = self.faults[at];
        self.active.remove(&at);
        match kind {
            Kind::FamilyGone => self.bring_v6(),
            Kind::Link => {
                self.kernel.carrier = true;
                if choice % 2 == 0 {
                    self.renumber_v4();
                }
                if choice % 3 == 0 {
                    self.renumber_v6(choice % 2 == 0);
                }
                self.after(0, Event::Kernel);
            }
            Kind::Vpn => {
                self.kernel.tunnel = false;
                self.after(0, Event::Kernel);
            }
            Kind::PowerLoss => self.after(0, Event::Boot),
            Kind::ClockUnset => self.set_clock(Some(0)),
            Kind::ClockJumps => self.set_clock(self.ahead.map(|_| 0)),
            Kind::DiskFull => self.disk.full = false,
            Kind::Suspends => {
                if let Some(since) = self.asleep_since.take() {
                    self.slept += self.now - since;
                    if let Some(process) = &mut self.process {
                        process.clock_jumped = true;
                    }
                    self.after(0, Event::Kernel);
                }
            }
            Kind::Credentials => {
                if let Some((file, new)) = self.awaited.remove(&at) {
                    self.files.insert(file, new);
                    if let Some(process) = &mut self.process {
                        process.secrets_told = true;
                    }
                }
            }
            Kind::Rights => {
                let host = self.host_of(choice);
                self.service(service_of(choice)).allow(&host, true);
            }
            _ => {}
        }
    }

    // The line and the kernel.

    fn renumber_v4(&mut self) {
        self.numbers += 1;
        let [high, low] = self.numbers.to_be_bytes();
        let new = Ipv4Addr::new(9, 9, high, low);
        match &mut self.behind_nat {
            // Nobody tells the machine.
            Some(public) => *public = new,
            None => {
                self.kernel.v4 = Some(new);
                self.after(0, Event::Kernel);
            }
        }
    }

    fn renumber_v6(&mut self, withdrawn: bool) {
        let steady = self.steady();
        if self.kernel.prefixes.is_empty() {
            return;
        }
        self.kernel.prefixes.iter_mut().for_each(|prefix| prefix.end(steady, withdrawn));
        self.bring_v6();
    }

    /// Announces a new prefix.
    fn bring_v6(&mut self) {
        self.numbers += 1;
        let interval = (3 + self.chance.below(27)) * MINUTE;
        self.kernel.prefixes.push(Prefix::new(self.numbers, self.steady(), interval));
        self.after(0, Event::Kernel);
        self.after(CHECK, Event::Kernel);
    }

    fn tell_of_kernel(&mut self) {
        let steady = self.steady();
        self.kernel.let_end(steady);
        if let Some(process) = &mut self.process {
            process.kernel_told = true;
        }
    }

    /// The addresses at which the machine is reached.
    fn reached(&self) -> PerFamily<Option<IpAddr>> {
        let v4 = self.behind_nat.or(self.kernel.v4).filter(|_| self.kernel.carrier);
        PerFamily { v4: v4.map(IpAddr::V4), v6: self.kernel.reached_v6(self.steady()) }
    }

    fn note_addresses(&mut self) {
        if self.is_off || self.asleep_since.is_some() {
            return;
        }
        let mut addresses: BTreeSet<IpAddr> = BTreeSet::new();
        if self.kernel.carrier {
            addresses.extend(self.kernel.addresses(self.steady()));
            addresses.extend(self.behind_nat.map(IpAddr::V4));
        }
        self.journal.note_addresses(self.now, addresses);
    }

    // The machine.

    fn lose_power(&mut self, until: Millis) {
        self.kill();
        self.is_off = true;
        self.asleep_since = None;
        self.off_until = self.off_until.max(until);
        self.at(until, Event::Boot);
    }

    fn boot(&mut self) {
        if !self.is_off || self.now < self.off_until {
            return;
        }
        (self.is_off, self.boot_at, self.slept) = (false, self.now, 0);
        let has_v6 = !self.kernel.prefixes.is_empty();
        self.kernel.prefixes.clear();
        if has_v6 {
            self.bring_v6();
        }
        self.after(3 * SECOND, Event::Start);
    }

    fn set_clock(&mut self, ahead: Option<i64>) {
        if self.ahead == ahead {
            return;
        }
        self.ahead = ahead;
        let wall = self.wall();
        self.journal.note_clock(self.now, is_set(wall).then_some(wall.millis()));
        if let Some(process) = &mut self.process {
            process.clock_jumped = true;
        }
    }

    fn kill(&mut self) {
        let Some(process) = self.process.take() else { return };
        let hosts = process.errands.values().filter_map(|conversation| match &conversation.topic {
            Topic::Update(request) => Some(request),
            Topic::Greet(_) | Topic::Zone(_) => None,
        });
        let hosts: Vec<String> = hosts
            .flat_map(|request| request.updates.iter().map(|update| update.host.to_string()))
            .collect();
        self.journal.ended(&hosts, process.round.memory != self.disk.saved);
    }

    fn start(&mut self) {
        if self.is_off || self.process.is_some() {
            return;
        }
        self.processes += 1;
        self.journal.figures.starts += 1;
        let memory = self.disk.load();
        let up = Duration::from_millis(self.uptime());
        let clock = Clock::at(memory.newest(), memory.reckoning, self.wall(), up);
        let mut process = Process {
            number: self.processes,
            round: Round::new(memory, true),
            clock,
            asked: sights::Asked::default(),
            waiting: Waiting::default(),
            looking: None,
            looked: self.now,
            unsaved_since: None,
            errands: BTreeMap::new(),
            signals: std::collections::VecDeque::new(),
            kernel_told: false,
            secrets_told: false,
            clock_jumped: false,
            wake_at: None,
        };
        self.begin_look(&mut process, Occasion::default());
        self.process = Some(process);
    }

    // Looks.

    fn begin_look(&mut self, process: &mut Process, occasion: Occasion) {
        let now = self.now_of(process);
        process.round.set_clock(&now);
        let routes = Some(self.kernel.routes(self.steady()));
        let look = Begun { occasion, at: now.uptime, routes };
        process.looking = Some(Looking { look, begun: (self.now, self.steady()) });
        self.after(0, Event::Look(process.number));
    }

    fn snapshot(&self, process: &Process) -> Snapshot {
        self.kernel.snapshot(&process.round.memory.renewals, self.steady())
    }

    fn look(&mut self, process: &mut Process) {
        let Some(Looking { look, begun }) = process.looking.clone() else { return };
        let occasion = look.occasion;
        let snapshot = self.snapshot(process);
        let patience = if occasion.by_event { 0 } else { millis(LONGEST_VERDICT) };
        let config = Rc::clone(&self.config);
        if self.steady() < begun.1 + patience
            && SourceFacts::of(&config, &snapshot).awaits_verdict()
        {
            return self.after(100, Event::Look(process.number));
        }
        let now = self.now_of(process);
        let aside = standing::aside(&process.round.memory.services, now.wall);
        let mut asked = std::mem::take(&mut process.asked);
        let mut waits = 1;
        let sights = Sights::of(
            &config,
            (Ok(snapshot), aside),
            (&mut asked, occasion.by_event, now.steady),
            &mut |outside, family, aside| {
                let told = self.tell(outside, family, aside);
                waits +=
                    if told.said.iter().any(|(_, said)| said.answer.is_err()) { 3000 } else { 200 };
                told
            },
        );
        process.asked = asked;
        let lasts = waits / 2 + self.chance.below(waits);
        self.after(lasts, Event::Looked(process.number, Box::new(sights)));
    }

    /// What the services tell, asked in turn until enough agree.
    fn tell(
        &self,
        outside: &Outside,
        family: Family,
        aside: &BTreeSet<ServiceId>,
    ) -> ServiceAnswers {
        let able = || outside.services.iter().filter(|service| service.can_tell(family));
        let is_aside = |service: &&Teller| aside.contains(&service.known_as(family));
        let mut said: Vec<(String, ServiceAnswer)> = Vec::new();
        for service in able().filter(|it| !is_aside(it)).chain(able().filter(is_aside)) {
            let answer = self.told_by(&service.to_string(), family);
            let service = service.known_as(family);
            said.push((service.name.clone(), ServiceAnswer { service, answer: answer.clone() }));
            let Ok(address) = answer else { continue };
            let same = said.iter().filter(|(_, said)| said.answer.as_ref() == Ok(&address)).count();
            if same >= outside.agree {
                return ServiceAnswers { address: Ok(address), said };
            }
        }
        ServiceAnswers { address: Err("no service is believed".to_owned()), said }
    }

    fn told_by(&self, service: &str, family: Family) -> Result<IpAddr, String> {
        const THIRD_PARTIES: [&str; 4] = ["amazon", "icanhazip", "ident.me", "ipify"];
        let silent = || Err(format!("{service} does not answer"));
        let number = THIRD_PARTIES.iter().position(|known| *known == service);
        let bit = number.map_or(4, |number| number as u64);
        if self.is_active(Kind::Upstream).is_some()
            || self.is_active(Kind::EchoesSilent).is_some_and(|choice| choice >> bit & 1 == 1)
        {
            return silent();
        }
        let lies = |choice: u64| number.is_some_and(|number| number as u64 == choice % 4);
        if self.is_active(Kind::EchoesLie).is_some_and(lies) {
            return Ok(match family {
                Family::V4 => IpAddr::V4(Ipv4Addr::new(8, 8, 9, 9)),
                Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2a00, 0x1450, 0xdead, 0, 0, 0, 0, 9)),
            });
        }
        self.reached()[family].map_or_else(silent, Ok)
    }

    /// What is chance about the active fault of a kind, if there is one.
    fn is_active(&self, kind: Kind) -> Option<u64> {
        let mut active = self.active.iter().map(|at| &self.faults[*at]);
        active.find(|fault| fault.kind == kind).map(|fault| fault.choice)
    }

    fn looked(&mut self, process: &mut Process, sights: &Sights) -> Result<(), String> {
        let Some(Looking { look: begun, begun: (at, _) }) = process.looking.take() else {
            return Ok(());
        };
        self.journal.figures.looks += 1;
        if process.unsaved_since.is_some() || process.waiting.report_by().is_some() {
            self.report(process);
        }
        process.looked = at;
        let now = self.now_of(process);
        let look = self.observe(process, sights, begun.occasion, &now);
        self.carry_out(process, &now, |round, spread, machine| {
            let errands = round.look(look, &now, spread, machine);
            round.keep_services(&sights::services(machine.config));
            errands
        })?;
        let (known, is_idle) = ((&*self.config, &process.round.report), process.is_idle());
        let spread = self.chance.spread();
        process.waiting.begin(known, sights, begun, is_idle, &now, spread);
        if process.is_idle() {
            self.report(process);
        }
        Ok(())
    }

    fn observe(
        &mut self,
        process: &mut Process,
        sights: &Sights,
        occasion: Occasion,
        now: &Now,
    ) -> Look {
        let config = Rc::clone(&self.config);
        let accesses = self.accesses();
        let known = config.providers.iter();
        let known = known.filter(|it| process.round.memory.servers.contains_key(&*it.name));
        let servers = known.map(|it| (it.name.to_string(), hash(&[&it.place()]))).collect();
        process.round.begin(&accesses, servers, occasion, now);
        let problem = |_: &str| Fingerprint(1);
        let look = look_of(&config, sights, &process.round, accesses, occasion, problem);
        for Observed { subject, seen, .. } in &look.hosts {
            self.journal.note_seen(subject.host.key.host.as_str(), seen, self.now);
        }
        look
    }

    fn accesses(&self) -> Vec<(Subject, Result<HostAccess, String>)> {
        let each = self.subjects.iter();
        each.map(|subject| (subject.clone(), self.access(subject))).collect()
    }

    fn access(&self, subject: &Subject) -> Result<HostAccess, String> {
        access(&self.config, &self.files, subject)
    }

    // Requests and answers.

    /// Gives the process what `step` returns to be asked.
    fn carry_out(
        &mut self,
        process: &mut Process,
        now: &Now,
        step: impl FnOnce(&mut Round, f64, &mut Machine<'_>) -> Vec<Errand>,
    ) -> Result<(), String> {
        let spread = self.chance.spread();
        let Self { disk, config, files, .. } = self;
        let errands = step(&mut process.round, spread, &mut Machine { disk, config, files });
        for Errand { id, task } in errands {
            self.issue(process, id, task, now)?;
        }
        Ok(())
    }

    fn issue(
        &mut self,
        process: &mut Process,
        id: u64,
        task: Task,
        now: &Now,
    ) -> Result<(), String> {
        let (subject, credential, topic, not_before) = match task {
            Task::Update { subject, credential, request, not_before } => {
                for (place, update) in request.parts() {
                    let host = update.host.as_str();
                    let refresh = process.round.subject(place).0.host.refresh.map(millis);
                    let moments = (process.looked, now.wall.millis());
                    self.journal.leaves((host, &update.wishes, refresh), moments)?;
                }
                (subject, credential, Topic::Update(request), not_before)
            }
            Task::Zone { subject, credential, details, not_before } => {
                (subject, credential, Topic::Zone(details), not_before)
            }
            Task::Greet(holder) => {
                let subject = holder.subjects[0].clone();
                let url = format!("{}/", subject.provider.api_url.as_deref().unwrap_or_default());
                (subject, holder.credential, Topic::Greet(url), holder.not_before)
            }
            Task::Check(_) | Task::Hook { .. } | Task::Look { .. } => {
                return Err(format!("nobody asked for {task:?}"));
            }
        };
        self.journal.uses(subject.host.key.host.as_str(), credential.secret.expose())?;
        let wait = not_before.unwrap_or_default().saturating_sub(now.steady);
        let begins = self.now + millis(wait);
        let moment =
            Moment { now: now.wall, clock_is_set: now.is_set, nonce: u128::from(self.now) };
        let timeout = millis(subject.provider.timeout);
        let conversation = Conversation::new(subject, credential, topic, moment);
        process.errands.insert(id, conversation);
        self.at(begins, Event::Ask(process.number, id));
        self.at(begins + timeout, Event::GiveUp(process.number, id));
        Ok(())
    }

    fn ask(&mut self, process: &mut Process, errand: u64) -> Result<(), String> {
        let Some(conversation) = process.errands.get(&errand) else { return Ok(()) };
        match conversation.next() {
            Next::Done(answer) => self.heard(process, errand, answer),
            Next::Ask(request) => {
                let service = service_at(request.url.expose());
                let is_cut_off = !self.kernel.carrier || self.is_active(Kind::Upstream).is_some();
                let (number, way) = (process.number, 20 + self.chance.below(120));
                if is_cut_off || self.strikes(Kind::Outage, service) {
                    let silence = Silence::new(Trouble::Unreachable, "no connection");
                    self.after(way * 20, Event::Answer(number, errand, Err(silence)));
                } else {
                    self.after(way, Event::Arrive(number, errand, request));
                }
                Ok(())
            }
        }
    }

    /// Whether a fault of a kind strikes a service now.
    fn strikes(&self, kind: Kind, service: usize) -> bool {
        let mut active = self.active.iter().map(|at| &self.faults[*at]);
        active.any(|fault| fault.kind == kind && service_of(fault.choice) == service)
    }

    fn arrive(&mut self, number: u64, errand: u64, request: &HttpRequest) -> Result<(), String> {
        let service = service_at(request.url.expose());
        self.journal.figures.requests += 1;
        if service == 0 {
            let (path, query) = parts(request);
            let first = query.get("hostname").and_then(|hosts| hosts.split(',').next());
            if path.contains("/dyndns/")
                && let Some(zone) = first.and_then(|host| self.desec.zone(host))
            {
                self.journal.arrives(&zone, self.now)?;
            }
        }
        let mut wait = 20 + self.chance.below(120);
        if self.strikes(Kind::Slowness, service) {
            wait += self.chance.below(100 * SECOND);
        }
        let heads = self.chance.once_in(2);
        if self.strikes(Kind::Pages, service) {
            let mut page = Reply::text(200, "<html><body>Please log in</body></html>");
            page.answer.content_type = Some("text/html".to_owned());
            self.after(wait, Event::Answer(number, errand, Ok(page.answer)));
            return Ok(());
        }
        if self.strikes(Kind::Busy, service) && heads {
            let busy = Reply::text(429, "Too many concurrent requests.");
            self.after(wait, Event::Answer(number, errand, Ok(busy.answer)));
            return Ok(());
        }
        let is_lost = self.strikes(Kind::LostAnswers, service) && self.chance.once_in(2);
        let fails = self.strikes(Kind::ServerErrors, service) && self.chance.once_in(2);
        let carries_out = !(is_lost || fails) || heads;
        let mut answer = Reply::default().answer;
        if carries_out {
            let now = self.now;
            let Reply { answer: given, changes, complaint } =
                self.service(service).serve(request, now);
            answer = given;
            for change in changes {
                let host =
                    self.config.hosts.iter().find(|it| it.host.key.host.as_str() == change.host);
                let removes = host.is_some_and(|host| host.host.when_gone != WhenGone::Keep);
                self.journal.changed(&change, removes, now)?;
            }
            match complaint {
                Some(Complaint::TooMany { own: true }) => self.journal.own_pace(now)?,
                Some(Complaint::Blocked(what)) => return Err(format!("(c) {what}")),
                Some(Complaint::TooMany { own: false }) | None => {}
            }
        }
        if is_lost {
            // The connection breaks, or nothing comes at all.
            if self.chance.once_in(2) {
                let silence = Silence::new(Trouble::Lost, "the connection broke");
                self.after(wait, Event::Answer(number, errand, Err(silence)));
            }
            return Ok(());
        }
        if fails {
            answer = self.failure(service);
        }
        self.after(wait, Event::Answer(number, errand, Ok(answer)));
        Ok(())
    }

    /// An error of the service's own.
    fn failure(&mut self, service: usize) -> HttpAnswer {
        match (service, self.chance.below(4)) {
            (1, 0) => Reply::text(200, "911").answer,
            (1, 1) => Reply::text(200, "dnserr").answer,
            (_, 2) => {
                let mut reply = Reply::text(503, "Service Unavailable");
                let wait = Duration::from_secs(1 + self.chance.below(1200));
                reply.answer.retry_after = Some(wait);
                reply.answer
            }
            _ => Reply::text(500, "Internal Server Error. We're on it!").answer,
        }
    }

    fn heard(&mut self, process: &mut Process, errand: u64, answer: Answer) -> Result<(), String> {
        let Some(conversation) = process.errands.remove(&errand) else { return Ok(()) };
        self.note_heard(process, &conversation, &answer);
        let now = self.now_of(process);
        self.carry_out(process, &now, |round, spread, machine| {
            round.heard(errand, answer, &now, spread, machine)
        })?;
        if process.round.report.has_refusal {
            self.save(process);
        }
        // A refusal that is saved is still to be reported.
        process.unsaved_since.get_or_insert(self.steady());
        if process.is_idle() {
            self.report(process);
        }
        Ok(())
    }

    /// Notes in the journal what the process hears.
    fn note_heard(&mut self, process: &Process, conversation: &Conversation, answer: &Answer) {
        let wall = self.now_of(process).wall.millis();
        let secret = conversation.credential.secret.expose();
        let outcomes: Vec<Outcome> = match (answer, &conversation.topic) {
            (Answer::Update(Verdict::All(outcome)), Topic::Update(request)) => {
                vec![outcome.clone(); request.updates.len()]
            }
            (Answer::Update(Verdict::Each(outcomes)), _) => outcomes.clone(),
            (
                Answer::Token(Some((_, Err(outcome))))
                | Answer::Zone(ZoneAnswer::Outcome(outcome), _),
                _,
            ) => vec![outcome.clone()],
            _ => Vec::new(),
        };
        // A secret that was replaced meanwhile is tried at once.
        let is_current = self
            .access(&conversation.subject)
            .is_ok_and(|access| access.credential.secret.expose() == secret);
        if is_current && outcomes.iter().any(|outcome| outcome.credential_refusal().is_some()) {
            self.journal.heard_refusal(secret);
        }
        let Topic::Update(request) = &conversation.topic else { return };
        for (update, outcome) in request.updates.iter().zip(&outcomes) {
            self.journal.heard((update.host.as_str(), &update.wishes), outcome, wall);
        }
        if let (Some(Outcome::Deferred(deferral)), "desec") =
            (outcomes.first(), &*conversation.subject.provider.name)
            && let (Trouble::Throttled, Some(wait)) = (deferral.fault, deferral.retry_after)
            && let Some(zone) = self.desec.zone(request.updates[0].host.as_str())
        {
            self.journal.heard_pause(&zone, self.now, millis(wait));
        }
    }

    // Saves, reports, and waits.

    fn save(&mut self, process: &mut Process) {
        process.unsaved_since = None;
        if let Err(problem) = self.disk.save(&process.round.memory) {
            process.round.report.storage_problem = Some(problem);
        }
    }

    fn report(&mut self, process: &mut Process) {
        self.save(process);
        let now = self.now_of(process);
        process.round.end(&now);
        let spread = self.chance.spread();
        process.waiting.note_report(&self.config, &process.round.report, &now, spread);
        process.round.begin_news();
    }

    /// Lets the process take note of everything that it waits for.
    fn pump(&mut self) {
        if self.asleep_since.is_some() {
            return;
        }
        let Some(mut process) = self.process.take() else { return };
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

    /// The occasion of the look that is due, if one is.
    fn next_look(&mut self, process: &mut Process) -> Option<Occasion> {
        let (now, settle) = (self.now_of(process), self.config.daemon.settle);
        match process.signals.pop_front() {
            Some(Signal::Round) => return Some(Occasion::default()),
            Some(Signal::Reload) => {
                self.journal.note_retry();
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

    fn sees_news(&self, process: &Process) -> bool {
        process.waiting.sees_news(&self.config, &self.snapshot(process))
    }

    fn plan_to_wake(&mut self, process: &mut Process) {
        let report = process.report_by().map(|by| self.now + by.saturating_sub(self.steady()));
        let next_check = || millis(process.waiting.next_check(&self.now_of(process)));
        let check = process.looking.is_none().then(|| self.boot_at + next_check());
        let Some(wake) = report.into_iter().chain(check).min() else { return };
        if process.wake_at.is_none_or(|at| wake < at) {
            process.wake_at = Some(wake);
            self.at(wake, Event::Wake(process.number));
        }
    }

    // Whether all is well.

    fn check(&mut self, check: Check) -> Result<(), String> {
        let Err(what) = self.is_right() else {
            if !check.again && !check.is_daily {
                let slowest = &mut self.journal.figures.slowest;
                *slowest = (*slowest).max(self.now - check.since);
            }
            return Ok(());
        };
        if check.again || self.now >= check.until {
            let minutes = (self.now - check.since) / MINUTE;
            return Err(format!("(b) {minutes} minutes after the last fault {what}"));
        }
        self.after(MINUTE, Event::Check(check));
        Ok(())
    }

    fn is_right(&self) -> Result<(), String> {
        let reached = self.reached();
        for host in &self.config.hosts {
            let (name, provider) = (&host.host.key.host, &self.config.providers[host.provider]);
            let service: &dyn Service = match &*provider.name {
                "desec" => &self.desec,
                "dyn" => &*self.services[0],
                _ => &*self.services[1],
            };
            let held = service.records(name.as_str());
            for family in Family::BOTH {
                let Some(address) = reached[family] else { continue };
                if host.sources[family].is_none() || is_interface_behind_nat(self, host, family) {
                    continue;
                }
                if held[family] != BTreeSet::from([address]) {
                    let (held, state) = (&held[family], self.state_of(name));
                    return Err(format!("{name} holds {held:?} in place of {address}: {state}"));
                }
            }
        }
        Ok(())
    }

    /// What the process remembers of a host.
    fn state_of(&self, name: &Hostname) -> String {
        let Some(process) = &self.process else { return "no process runs".to_owned() };
        let mut hosts = process.round.memory.hosts.iter();
        let entry = hosts.find(|(key, _)| key.host == *name).map(|(_, entry)| entry);
        let mut reports = process.round.report.hosts.iter();
        let report = reports.find(|report| report.key.host == *name);
        let next = process.round.report.next.map(|next| next.since(self.now_of(process).wall));
        let check = millis(process.waiting.next_check(&self.now_of(process)));
        let wait = check.saturating_sub(self.uptime());
        let errands = process.errands.len();
        format!(
            "{entry:?}\nseen {:?}\nstep {:?}\nnext {next:?}, checked in {wait} ms, {errands} errands",
            report.map(|report| &report.seen),
            report.map(|report| &report.step),
        )
    }

    // Which service, file and host a fault is about.

    fn service(&mut self, number: usize) -> &mut dyn Service {
        match number {
            0 => &mut self.desec,
            1 => &mut *self.services[0],
            _ => &mut *self.services[1],
        }
    }

    fn host_of(&self, choice: u64) -> String {
        let provider = ["desec", "dyn", "cloudflare"][service_of(choice)];
        let is_there =
            |host: &&config::HostConfig| &*self.config.providers[host.provider].name == provider;
        let hosts: Vec<_> = self.config.hosts.iter().filter(is_there).collect();
        let at = usize::try_from(choice / 3).unwrap_or_default() % hosts.len();
        hosts[at].host.key.host.to_string()
    }
}

/// Whether a source is an interface that has only a private address.
fn is_interface_behind_nat(world: &World, host: &config::HostConfig, family: Family) -> bool {
    let named = matches!(host.sources[family], Some(config::SourceRef::Named(0)));
    named && family == Family::V4 && world.behind_nat.is_some()
}

/// The number of the service that a fault is about.
fn service_of(choice: u64) -> usize {
    usize::try_from(choice % 3).unwrap_or_default()
}

/// The secret file that a fault is about.
fn file_of(choice: u64) -> PathBuf {
    let name = match (service_of(choice), choice / 3 % 3) {
        (0, 0) => "one",
        (0, 1) => "two",
        (0, _) => "three",
        (1, _) => "password",
        _ => "records",
    };
    PathBuf::from(format!("/t/{name}"))
}

/// The number of the service at a URL.
fn service_at(url: &str) -> usize {
    if url.contains("dyn.example/") {
        1
    } else if url.contains("cloudflare") {
        2
    } else {
        0
    }
}

/// A fingerprint: equal for equal parts (FNV-1a).
fn hash(parts: &[&str]) -> Fingerprint {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    let mixed = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |known, byte| {
        (known ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Fingerprint(mixed)
}

/// The secrets in their files.
type Files = BTreeMap<PathBuf, String>;

/// What decisions need of the machine at once.
struct Machine<'a> {
    disk: &'a mut Disk,
    config: &'a Config,
    files: &'a Files,
}

impl Shell for Machine<'_> {
    fn save(&mut self, memory: &Memory) -> Result<(), String> {
        self.disk.save(memory)
    }

    fn access(&self, subject: &Subject) -> Option<HostAccess> {
        access(self.config, self.files, subject).ok()
    }
}

/// The access of a host by the secret that is in its file.
fn access(config: &Config, files: &Files, subject: &Subject) -> Result<HostAccess, String> {
    let host = &config.hosts[subject.at];
    let file = host.secret.as_ref().and_then(homing::config::SecretPlace::file);
    let secret = file.and_then(|file| files.get(file)).ok_or("no such file")?;
    let login = host.username.clone().unwrap_or_default();
    let identity = hash(&[&login, secret]);
    let name = host.host.key.host.as_str();
    let server = hash(&[&subject.place]);
    Ok(HostAccess {
        credential: Credential { login: login.clone(), secret: Secret::new(secret) },
        identity,
        about: identity,
        fingerprint: hash(&[&login, secret, name]),
        server,
        place: Destination {
            fingerprint: hash(&[&subject.place, &login]),
            zone: host.host.zone.clone(),
            void_since: None,
        },
        terms: Err(NoTerms::NoReceipt),
    })
}
